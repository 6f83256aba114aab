import { Cursor } from "./cursor.ts";
import { byId } from "./dom.ts";
import type { LabelMap } from "./buffer.ts";
import { reveal, zoomAt } from "./geometry.ts";
import { Gestures, type Tool } from "./gestures.ts";
import type { History } from "./history.ts";
import { say } from "./notices.ts";
import { bindPointer } from "./pointer.ts";
import type { Session } from "./session.ts";
import { settings } from "./settings.ts";
import { Signal } from "./signal.ts";
import { text } from "./texts.ts";
import { MAX_SIZE, type Shape } from "./tools/brush.ts";
import { View } from "./view.ts";

/** The stage: the map under the tools, its view and its history. */
export class Editor {
    readonly tool = new Signal<Tool>("brush");
    readonly id: Signal<number>;
    readonly size = new Signal(12);
    readonly shape = new Signal<Shape>("round");
    /** Told after every edit, undo and opening. */
    readonly edits = new Signal<null>(null);
    /** A polygon is being drawn. */
    readonly isDrawing = new Signal(false);
    readonly view: View;
    readonly gestures: Gestures;
    readonly history: History;
    readonly #session: Session;
    readonly #cursor: Cursor;

    constructor(session: Session, history: History) {
        this.#session = session;
        this.id = new Signal((session.classes.find((known) => !known.is_void) ?? session.classes[0]).id);
        this.history = history;
        this.view = new View(byId<HTMLCanvasElement>("stage"), history.map);
        const current = () => ({
            tool: this.tool.value,
            id: this.id.value,
            voidId: session.voidId ?? 0,
            size: this.size.value,
            shape: this.shape.value,
        });
        this.gestures = new Gestures(history, current, (id) => {
            this.id.set(id);
            say(session.className(id));
        });
        this.#cursor = new Cursor(
            this.gestures,
            () => this.tool.value,
            () => history.map,
        );
        this.#cursor.centre();
        settings.patterns.follow((patterns) => this.view.setColours(session.colours, patterns === "on"));
        this.tool.follow(() => {
            if (this.gestures.cancel()) this.edited();
            this.#hover(null);
        });
        bindPointer(this.view, this.gestures, {
            tool: () => this.tool.value,
            edited: () => this.edited(),
            hover: (at) => {
                this.#cursor.isShown = false;
                this.#hover(at);
            },
            wiped: () => this.edits.tell(),
        });
        this.#bindKeys();
    }

    /** Shows and sends the map after an edit. */
    edited(): void {
        const { view, gestures, history } = this;
        view.marks.path = gestures.path;
        view.marks.isClosed = this.tool.value === "lasso";
        this.isDrawing.set(this.tool.value === "polygon" && gestures.path.length > 0);
        view.show(history.map);
        this.#session.refreshIfChanged();
        this.edits.tell();
    }

    /** Starts with a map: there is no step before it. */
    begin(map: LabelMap): void {
        this.history.map = map;
        this.#session.opened();
        this.#cursor.centre();
        this.view.show(map);
        this.edits.tell();
    }

    /** Opens a map; undo brings the old one back. */
    open(map: LabelMap): void {
        this.gestures.cancel();
        this.history.replace(map);
        this.#session.opened();
        this.#cursor.centre();
        this.edited();
    }

    undo(): void {
        const { width, height } = this.history.map;
        if (this.gestures.cancel() || !this.history.undo()) return this.edited();
        this.#afterTravel(width, height);
        say(text("undone"));
    }

    redo(): void {
        const { width, height } = this.history.map;
        if (this.gestures.cancel() || !this.history.redo()) return this.edited();
        this.#afterTravel(width, height);
        say(text("redone"));
    }

    resize(size: number): void {
        this.size.set(Math.min(MAX_SIZE, Math.max(1, Math.round(size))));
    }

    /** Zooms around the middle of the view. */
    zoom(factor: number): void {
        const { x, y } = this.view.camera;
        this.view.moveTo(zoomAt(this.view.camera, factor, x, y));
    }

    closePath(): void {
        this.gestures.close();
        this.edited();
    }

    cancelPath(): void {
        this.gestures.cancel();
        this.edited();
    }

    #afterTravel(width: number, height: number): void {
        const { map } = this.history;
        if (map.width !== width || map.height !== height) {
            this.#session.opened();
            this.#cursor.centre();
        }
        this.edited();
    }

    #hover(at: { x: number; y: number } | null): void {
        const { view } = this;
        const brushes: readonly Tool[] = ["brush", "eraser", "line"];
        const isBrush = brushes.includes(this.tool.value);
        view.marks.tip = at && isBrush ? { ...at, size: this.size.value, square: this.shape.value === "square" } : null;
        view.marks.cursor = this.#cursor.isShown ? this.#cursor : null;
        view.draw();
        byId("place").textContent = at ? this.#name(Math.floor(at.x), Math.floor(at.y)) : "";
    }

    #name(x: number, y: number): string {
        const { map } = this.history;
        return map.inside(x, y) ? text("place", { x, y, name: this.#session.className(map.at(x, y)) }) : "";
    }

    #bindKeys(): void {
        const { canvas } = this.view;
        const after = () => {
            const { x, y } = this.#cursor;
            this.view.moveTo(reveal(this.view.camera, this.view.panes, this.history.map, x + 0.5, y + 0.5));
            this.edited();
            this.#hover({ x: x + 0.5, y: y + 0.5 });
            say(this.#name(x, y));
        };
        canvas.addEventListener("keydown", (event) => {
            if (event.ctrlKey || event.metaKey || event.altKey || !this.#cursor.down(event)) return;
            event.preventDefault();
            event.stopPropagation();
            after();
        });
        canvas.addEventListener("keyup", (event) => {
            if (this.#cursor.up(event)) after();
        });
        canvas.addEventListener("blur", () => {
            // A key that goes up elsewhere must not leave the brush on the map.
            if (this.gestures.isDown && this.#cursor.isShown) {
                this.gestures.up();
                this.edited();
            }
            this.#cursor.isShown = false;
            this.#hover(null);
        });
    }
}
