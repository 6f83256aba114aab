import { Signal } from "./signal.ts";
import { choose, type Language } from "./texts.ts";

export type Theme = "system" | "light" | "dark";

/** What the reader chose for this browser. */
export const settings = {
    language: kept<Language>("language", choose(navigator.languages), ["en", "de"]),
    theme: kept<Theme>("theme", "system", ["system", "light", "dark"]),
    patterns: kept("patterns", "off", ["off", "on"]),
    shortcuts: kept("shortcuts", "on", ["off", "on"]),
};

/** A value that outlives the page, where the browser allows that. */
function kept<T extends string>(name: string, first: T, values: readonly T[]): Signal<T> {
    const key = `dp-sims:${name}`;
    let value = first;
    try {
        const stored = localStorage.getItem(key) as T;
        if (values.includes(stored)) value = stored;
    } catch {
        // Without storage the choice holds until the page is closed.
    }
    const signal = new Signal<T>(value);
    signal.follow((next) => {
        if (next === value) return;
        value = next;
        try {
            localStorage.setItem(key, next);
        } catch {
            // As above.
        }
    });
    return signal;
}

/** Sets the colours of the page; the system's are left to the style sheet. */
export function followTheme(changed: () => void): void {
    settings.theme.follow((theme) => {
        if (theme === "system") delete document.documentElement.dataset.theme;
        else document.documentElement.dataset.theme = theme;
        changed();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}
