import type { Ids } from "./api.ts";
import { LabelMap } from "./buffer.ts";
import { byId, icon, make } from "./dom.ts";
import type { Editor } from "./editor.ts";
import type { Files } from "./files.ts";
import { SIDE, table } from "./hatch.ts";
import type { Session } from "./session.ts";
import { settings, type Theme } from "./settings.ts";
import { LANGUAGES, text, type Key, type Language } from "./texts.ts";

/** Opens a menu under its button; the browser closes it with Escape or a press elsewhere. */
export function menu(button: HTMLElement, label: Key, fill: (close: () => void) => (Node | string)[]): () => void {
    const box = make("div", { className: "menu", popover: "auto", role: "dialog" });
    document.body.append(box);
    button.setAttribute("aria-expanded", "false");
    box.addEventListener("toggle", (event) => {
        const isOpen = (event as ToggleEvent).newState === "open";
        button.setAttribute("aria-expanded", String(isOpen));
        if (!isOpen) box.replaceChildren();
    });
    const open = () => {
        box.setAttribute("aria-label", text(label));
        box.replaceChildren(...fill(() => box.hidePopover()));
        box.showPopover();
        const place = button.getBoundingClientRect();
        const left = Math.min(place.left, innerWidth - box.offsetWidth - 8);
        box.style.setProperty("left", `${Math.max(8, left)}px`);
        box.style.setProperty("top", `${place.bottom + 4}px`);
        box.querySelector<HTMLElement>("button, select, input")?.focus();
    };
    // The press that closes the menu is on its button, too.
    let wasOpen = false;
    button.addEventListener("pointerdown", () => (wasOpen = box.matches(":popover-open")));
    button.addEventListener("click", () => {
        if (!wasOpen) open();
        wasOpen = false;
    });
    return open;
}

/** The menu of files and sample maps. */
export function openMenu(session: Session, editor: Editor, files: Files): () => void {
    let samples: (Ids & { name: string })[] | null = null;
    return menu(byId("open"), "open", (close) => {
        const entry = (key: Key, hint: Key | null, run: () => void) =>
            item(text(key), hint === null ? null : text(hint), () => (close(), run()));
        const entries: Node[] = [entry("openLabels", "openLabelsHint", () => byId("label-file").click())];
        if (session.model.has_segmenter)
            entries.push(entry("openPhoto", "openPhotoHint", () => byId("photo-file").click()));
        entries.push(entry("blank", null, () => files.openMap(blank(session, editor.id.value))));
        const place = make("div", { className: "sample-maps" }, text("loading"));
        const show = (maps: NonNullable<typeof samples>) =>
            place.replaceChildren(
                ...maps.map((sample) =>
                    sampleButton(
                        session,
                        sample,
                        () => (close(), files.openMap(new LabelMap(sample.width, sample.height, sample.ids))),
                    ),
                ),
            );
        if (samples) show(samples);
        else
            session.api.samples().then(
                (maps) => show((samples = maps)),
                () => (place.textContent = text("noSamples")),
            );
        return [...entries, make("h2", { className: "menu-title", textContent: text("sampleMaps") }), place];
    });
}

export function saveMenu(files: Files): () => void {
    return menu(byId("save"), "save", (close) => [
        item(text("savePhoto"), text("savePhotoHint"), () => (close(), void files.savePhoto())),
        item(text("saveIds"), text("saveIdsHint"), () => (close(), void files.saveMap(false))),
        item(text("saveColours"), text("saveColoursHint"), () => (close(), void files.saveMap(true))),
    ]);
}

export function settingsMenu(): () => void {
    return menu(byId("settings"), "settings", () => [
        row("language", select<Language>(Object.entries(LANGUAGES) as [Language, string][], settings.language)),
        row(
            "theme",
            select<Theme>(
                [
                    ["system", text("theme.system")],
                    ["light", text("theme.light")],
                    ["dark", text("theme.dark")],
                ],
                settings.theme,
            ),
        ),
        row("patterns", toggle(settings.patterns)),
        row("shortcuts", toggle(settings.shortcuts)),
    ]);
}

function blank(session: Session, id: number): LabelMap {
    const { width, height } = session.model;
    return new LabelMap(width, height, new Uint8Array(width * height).fill(id));
}

function item(label: string, hint: string | null, run: () => void): HTMLElement {
    const button = make("button", { className: "item", onclick: run }, make("span", { textContent: label }));
    if (hint) button.append(make("small", { textContent: hint }));
    return button;
}

function sampleButton(session: Session, sample: Ids & { name: string }, run: () => void): HTMLElement {
    const picture = make("canvas", { width: sample.width, height: sample.height });
    const words = table(session.colours, false);
    const image = new ImageData(sample.width, sample.height);
    new Uint32Array(image.data.buffer).set(Uint32Array.from(sample.ids, (id) => words[id * SIDE * SIDE]));
    picture.getContext("2d")!.putImageData(image, 0, 0);
    return make(
        "button",
        { className: "sample-map", onclick: run },
        picture,
        make("span", { textContent: sample.name }),
    );
}

function row(key: Key, control: HTMLElement): HTMLElement {
    return make("label", { className: "row" }, make("span", { textContent: text(key) }), control);
}

function select<T extends string>(options: [T, string][], value: { value: T; set(value: T): void }): HTMLElement {
    const box = make(
        "select",
        {},
        ...options.map(([name, label]) => make("option", { value: name, textContent: label })),
    );
    box.value = value.value;
    box.onchange = () => value.set(box.value as T);
    return box;
}

function toggle(value: { value: string; set(value: string): void }): HTMLElement {
    const box = make("input", { type: "checkbox", className: "switch", role: "switch", checked: value.value === "on" });
    box.onchange = () => value.set(box.checked ? "on" : "off");
    return box;
}

/** A modal dialog: the browser keeps the focus in it and gives it back. */
export function dialog(label: string, ...content: (Node | string)[]): HTMLDialogElement {
    const close = make(
        "button",
        { className: "button icon-only", title: text("close"), onclick: () => box.close() },
        icon("close"),
    );
    close.setAttribute("aria-label", text("close"));
    const title = make("h2", { textContent: label, id: "dialog-title" });
    const box = make(
        "dialog",
        { className: "dialog", aria: { labelledby: "dialog-title" } },
        make("header", {}, title, close),
        ...content,
    );
    box.addEventListener("close", () => box.remove());
    box.addEventListener("click", (event) => event.target === box && box.close());
    document.body.append(box);
    box.showModal();
    return box;
}
