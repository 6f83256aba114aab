import type { History } from "./history.ts";
import { stroke, type Point, type Shape, type Tip } from "./tools/brush.ts";
import { fill } from "./tools/fill.ts";
import { extend, lasso } from "./tools/lasso.ts";
import { line, straight } from "./tools/line.ts";
import { grab, move, type Grabbed } from "./tools/move.ts";
import { polygon } from "./tools/polygon.ts";
import { rectangle, square } from "./tools/rectangle.ts";
import { replace } from "./tools/replace.ts";

export const TOOLS = [
    "brush",
    "eraser",
    "fill",
    "line",
    "rectangle",
    "polygon",
    "lasso",
    "move",
    "replace",
    "picker",
    "hand",
] as const;
export type Tool = (typeof TOOLS)[number];

/** The pointer on the map. */
export interface Press extends Point {
    /** 0 to 1; 1 for a mouse or a finger. */
    pressure: number;
    /** Shift: straight lines, squares. */
    straight: boolean;
}

/** What the tools are set to. */
export interface Settings {
    tool: Tool;
    id: number;
    voidId: number;
    size: number;
    shape: Shape;
}

/** Tools that work with a press alone, without a way to drag. */
export const CLICKS: readonly Tool[] = ["fill", "replace", "picker", "polygon"];

/** Turns presses and moves on the map into edits: one step of undo for each. */
export class Gestures {
    readonly #history: History;
    readonly #settings: () => Settings;
    readonly #pick: (id: number) => void;
    #start: Press | null = null;
    #last: Press | null = null;
    #grabbed: Grabbed | null = null;
    #tool: Tool = "brush";
    /** Corners of the polygon or the lasso that is being drawn. */
    path: Point[] = [];

    constructor(history: History, settings: () => Settings, pick: (id: number) => void) {
        this.#history = history;
        this.#settings = settings;
        this.#pick = pick;
    }

    /** Whether a drag is under way. */
    get isDown(): boolean {
        return this.#start !== null;
    }

    down(press: Press): void {
        const { tool, id, voidId } = this.#settings();
        if (tool !== "polygon") this.path = [];
        this.#tool = tool;
        const [x, y] = [Math.floor(press.x), Math.floor(press.y)];
        if (tool === "fill") {
            this.#history.edit((map) => fill(map, x, y, id));
        } else if (tool === "replace") {
            if (this.#map.inside(x, y)) this.#history.edit((map) => replace(map, map.at(x, y), id));
        } else if (tool === "picker") {
            if (this.#map.inside(x, y)) this.#pick(this.#map.at(x, y));
        } else if (tool === "polygon") {
            this.path.push({ x: press.x, y: press.y });
        } else if (tool !== "hand") {
            this.#start = press;
            this.#last = press;
            if (tool === "lasso") return extend(this.path, press);
            this.#history.begin();
            if (tool === "move") this.#grabbed = grab(this.#map, x, y, voidId);
            this.move(press);
        }
    }

    move(press: Press): void {
        const start = this.#start;
        const last = this.#last;
        if (!start || !last) return;
        const { id } = this.#settings();
        const tip = this.#tip();
        this.#last = press;
        switch (this.#tool) {
            case "brush":
            case "eraser":
                stroke(
                    this.#map,
                    { ...last, size: tip.size * last.pressure },
                    { ...press, size: tip.size * press.pressure },
                    tip,
                );
                break;
            case "lasso":
                extend(this.path, press);
                break;
            case "line":
                this.#map.rollback();
                line(this.#map, start, press.straight ? straight(start, press) : press, tip);
                break;
            case "rectangle":
                this.#map.rollback();
                rectangle(this.#map, start, press.straight ? square(start, press) : press, id);
                break;
            case "move":
                this.#map.rollback();
                if (this.#grabbed)
                    move(this.#map, this.#grabbed, Math.round(press.x - start.x), Math.round(press.y - start.y));
                break;
        }
    }

    up(): void {
        if (!this.#start) return;
        if (this.#tool === "lasso") this.close();
        else this.#history.commit();
        this.#release();
    }

    /** Fills the polygon or the lasso. */
    close(): void {
        const path = this.path;
        this.path = [];
        const { id } = this.#settings();
        this.#history.edit((map) => (this.#tool === "lasso" ? lasso(map, path, id) : polygon(map, path, id)));
    }

    /** Takes back what is under way; false where nothing is. */
    cancel(): boolean {
        const any = this.#start !== null || this.path.length > 0;
        if (this.#start && this.#tool !== "lasso") this.#history.cancel();
        this.path = [];
        this.#release();
        return any;
    }

    #release(): void {
        this.#start = null;
        this.#last = null;
        this.#grabbed = null;
    }

    #tip(): Tip {
        const { id, voidId, size, shape } = this.#settings();
        return { id: this.#tool === "eraser" ? voidId : id, size, shape };
    }

    get #map() {
        return this.#history.map;
    }
}
