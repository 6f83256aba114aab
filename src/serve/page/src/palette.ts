import type { Class } from "./api.ts";
import { LabelMap } from "./buffer.ts";
import { find, isRare, remember } from "./classes.ts";
import { byId, make, rove } from "./dom.ts";
import type { Editor } from "./editor.ts";
import { isMarked, ink, SIDE } from "./hatch.ts";
import { firstScene } from "./scene.ts";
import type { Session } from "./session.ts";
import { settings } from "./settings.ts";
import { number, text } from "./texts.ts";

/** Side of the map from which the thumbnail of a class is made, at least. */
const THUMBNAIL = 64;

/** The list of classes. */
export class Palette {
    readonly #session: Session;
    readonly #editor: Editor;
    readonly #rows = new Map<number, HTMLElement>();
    readonly #list = byId("classes");
    readonly #search = byId<HTMLInputElement>("search");
    #recent: number[] = [];
    #found: Class[] = [];

    constructor(session: Session, editor: Editor) {
        this.#session = session;
        this.#editor = editor;
        const seen = new IntersectionObserver((entries) => {
            for (const entry of entries) {
                if (!entry.isIntersecting) continue;
                seen.unobserve(entry.target);
                void this.#thumbnail(Number((entry.target as HTMLElement).dataset.id), entry.target);
            }
        });
        for (const known of session.classes) {
            const row = this.#row(known);
            this.#rows.set(known.id, row);
            this.#list.append(row);
            seen.observe(row);
        }
        rove(this.#list, "[role=option]");
        this.#search.addEventListener("input", () => this.#filter());
        this.#search.addEventListener("keydown", (event) => {
            if (event.key === "Enter" && this.#found[0]) editor.id.set(this.#found[0].id);
            if (event.key === "Escape" || event.key === "Enter") {
                this.#search.value = "";
                this.#filter();
                editor.view.canvas.focus();
            }
        });
        editor.id.follow((id) => this.#choose(id));
        settings.patterns.follow(() => this.#paintSwatches());
        this.#filter();
    }

    /** Chooses the class with this number in the list, from 1. */
    pick(digit: number): void {
        const known = this.#found[digit - 1];
        if (known) this.#editor.id.set(known.id);
    }

    focusSearch(): void {
        this.#search.focus();
        this.#search.select();
    }

    translate(): void {
        for (const { id, share } of this.#session.classes) {
            const badge = this.#rows.get(id)?.querySelector<HTMLElement>(".rare");
            if (!badge || share === null) continue;
            badge.textContent = text("rare");
            badge.title = text("rareWhy", { share: number(share * 100, 3) });
        }
    }

    #row(known: Class): HTMLElement {
        const row = make(
            "div",
            {
                className: "class",
                role: "option",
                tabIndex: -1,
                data: { id: String(known.id) },
                aria: { selected: "false" },
            },
            make("canvas", { className: "swatch", width: 3 * SIDE, height: 3 * SIDE, data: { id: String(known.id) } }),
            make("span", { className: "thumbnail" }),
            make("span", { className: "class-name", textContent: known.name, title: known.name }),
        );
        if (isRare(known)) row.append(make("span", { className: "rare" }));
        row.append(make("kbd", { className: "digit" }));
        row.addEventListener("click", () => this.#editor.id.set(known.id));
        row.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" && event.key !== " ") return;
            event.preventDefault();
            this.#editor.id.set(known.id);
            this.#editor.view.canvas.focus();
        });
        return row;
    }

    #filter(): void {
        this.#found = find(this.#session.classes, this.#search.value);
        const digits = new Map(this.#found.slice(0, 9).map((known, index) => [known.id, index + 1]));
        const found = new Set(this.#found.map((known) => known.id));
        for (const [id, row] of this.#rows) {
            row.hidden = !found.has(id);
            row.querySelector(".digit")!.textContent = String(digits.get(id) ?? "");
        }
        // Best matches first, as their numbers are.
        this.#list.append(...this.#found.map((known) => this.#rows.get(known.id)!));
        byId("no-class").hidden = found.size > 0;
        this.#list.hidden = found.size === 0;
        this.#placeStop();
    }

    #choose(id: number): void {
        for (const [other, row] of this.#rows) row.setAttribute("aria-selected", String(other === id));
        const row = this.#rows.get(id);
        if (row) this.#reveal(row);
        this.#recent = remember(this.#recent, id);
        this.#showRecent();
        this.#placeStop();
    }

    /** Scrolls the list alone: `scrollIntoView` would move the page, and the place from which the tab key goes on. */
    #reveal(row: HTMLElement): void {
        const [list, inside] = [this.#list.getBoundingClientRect(), row.getBoundingClientRect()];
        this.#list.scrollBy({
            left: Math.min(0, inside.left - list.left) + Math.max(0, inside.right - list.right),
            top: Math.min(0, inside.top - list.top) + Math.max(0, inside.bottom - list.bottom),
        });
    }

    /** The tab key stops at the chosen class, or at the first where that one is filtered out. */
    #placeStop(): void {
        const shown = [...this.#rows.values()].filter((row) => !row.hidden);
        const stop = shown.find((row) => row.getAttribute("aria-selected") === "true") ?? shown[0];
        for (const row of this.#rows.values()) row.tabIndex = row === stop ? 0 : -1;
    }

    #showRecent(): void {
        const place = byId("recent");
        place.hidden = this.#recent.length < 2;
        place.replaceChildren(
            ...this.#recent.map((id) => {
                const swatch = make("canvas", {
                    className: "swatch",
                    width: 3 * SIDE,
                    height: 3 * SIDE,
                    data: { id: String(id) },
                });
                const button = make(
                    "button",
                    { className: "recent-class", title: this.#session.className(id) },
                    swatch,
                );
                button.setAttribute("aria-label", this.#session.className(id));
                button.setAttribute("aria-pressed", String(id === this.#editor.id.value));
                button.addEventListener("click", () => this.#editor.id.set(id));
                return button;
            }),
        );
        this.#paintSwatches(place);
    }

    #paintSwatches(root: ParentNode = byId("palette")): void {
        for (const canvas of root.querySelectorAll<HTMLCanvasElement>("canvas.swatch")) {
            const id = Number(canvas.dataset.id);
            const colour = this.#session.colours[id] ?? [128, 128, 128];
            const context = canvas.getContext("2d")!;
            context.fillStyle = `rgb(${colour.join(" ")})`;
            context.fillRect(0, 0, canvas.width, canvas.height);
            if (settings.patterns.value === "off") continue;
            context.fillStyle = `rgb(${ink(colour).join(" ")})`;
            for (let y = 0; y < canvas.height; y++) {
                for (let x = 0; x < canvas.width; x++) if (isMarked(id, x, y)) context.fillRect(x, y, 1, 1);
            }
        }
    }

    /** What the model makes of the class alone; the colour stays where that fails. */
    async #thumbnail(id: number, row: Element): Promise<void> {
        const { store, model, api } = this.#session;
        let png = await store.thumbnail(model.hash, id);
        if (!png) {
            const side = Math.ceil(THUMBNAIL / model.side_multiple) * model.side_multiple;
            const map = new LabelMap(side, side, new Uint8Array(side * side).fill(id));
            try {
                const photo = await this.#session.later(`thumbnail:${id}`, (signal) =>
                    api.generate(map, firstScene(), signal),
                );
                png = photo.png;
            } catch {
                return;
            }
            void store.saveThumbnail(model.hash, id, png);
        }
        const image = make("img", { alt: "", src: URL.createObjectURL(new Blob([png], { type: "image/png" })) });
        row.querySelector(".thumbnail")!.replaceChildren(image);
    }
}
