import de from "./texts/de.json";
import en from "./texts/en.json";

export type Key = keyof typeof en;
export type Language = "en" | "de";

const TEXTS: Record<Language, Record<Key, string>> = { en, de };
export const LANGUAGES: Record<Language, string> = { en: "English", de: "Deutsch" };

let current: Language = "en";

export function language(): Language {
    return current;
}

export function setLanguage(language: Language): void {
    current = language;
}

/** The language of the page for a list of languages that the reader prefers. */
export function choose(preferred: readonly string[]): Language {
    for (const tag of preferred) {
        const code = tag.toLowerCase().split("-")[0];
        if (code in TEXTS) return code as Language;
    }
    return "en";
}

/** A text in the language of the page; `{name}` takes a value. */
export function text(key: Key, values: Record<string, string | number> = {}): string {
    return TEXTS[current][key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? `{${name}}`));
}

/** The words for keys in the language of the page: `Ctrl+Z` is `Strg+Z` in German. */
export function keyName(keys: string): string {
    return keys.replace(/[A-Za-z]{2,}/g, (name) => TEXTS[current][`key.${name}` as Key] ?? name);
}

export function number(value: number, digits = 0): string {
    return value.toLocaleString(current, { maximumFractionDigits: digits });
}

/** Writes the texts that elements name: as content, as label (with a tooltip), as placeholder. */
export function applyTexts(root: ParentNode): void {
    for (const element of root.querySelectorAll<HTMLElement>("[data-text]")) {
        element.textContent = text(element.dataset.text as Key);
    }
    for (const element of root.querySelectorAll<HTMLElement>("[data-label]")) {
        const label = text(element.dataset.label as Key);
        const keys = element.dataset.keys;
        element.setAttribute("aria-label", label);
        if (element.dataset.tip !== "no") element.title = keys ? `${label} (${keyName(keys)})` : label;
    }
    for (const element of root.querySelectorAll<HTMLInputElement>("[data-placeholder]")) {
        element.placeholder = text(element.dataset.placeholder as Key);
    }
}
