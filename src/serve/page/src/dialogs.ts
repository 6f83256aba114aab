import { make } from "./dom.ts";
import { TOOLS } from "./gestures.ts";
import { dialog } from "./menus.ts";
import { HELP, TOOL_KEYS } from "./shortcuts.ts";
import { keyName, text, type Key } from "./texts.ts";

/** The list of keys and gestures. */
export function showHelp(): void {
    if (document.querySelector("dialog")) return;
    const tools = TOOLS.map((tool) => [TOOL_KEYS[tool], `tool.${tool}` as Key] as const);
    const lists = [{ title: "tools" as Key, rows: tools }, ...HELP].map(({ title, rows }) =>
        make(
            "section",
            {},
            make("h3", { textContent: text(title) }),
            make(
                "dl",
                {},
                ...rows.map(([keys, what]) => {
                    return make(
                        "div",
                        {},
                        make("dt", {}, make("kbd", { textContent: keyName(keys) })),
                        make("dd", { textContent: text(what) }),
                    );
                }),
            ),
        ),
    );
    dialog(
        text("help"),
        make("div", { className: "help", tabIndex: 0, role: "region", aria: { label: text("help") } }, ...lists),
    );
}

/** Asks for the token of the server. */
export function askToken(done: (token: string) => void): void {
    if (document.querySelector("dialog")) return;
    const field = make("input", { type: "password", id: "token", autocomplete: "off", required: true });
    const form = make(
        "form",
        { className: "form" },
        make("p", { textContent: text("remedyToken") }),
        make("label", { htmlFor: "token", textContent: text("token") }),
        field,
        make("button", { className: "button primary", textContent: text("connect") }),
    );
    const box = dialog(text("errorToken"), form);
    form.onsubmit = (event) => {
        event.preventDefault();
        box.close();
        done(field.value.trim());
    };
    field.focus();
}
