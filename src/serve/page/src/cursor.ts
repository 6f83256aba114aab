import { CLICKS, type Gestures, type Press, type Tool } from "./gestures.ts";

/** The cursor of the keyboard: the arrow keys move it over the map, the space bar paints. */
export class Cursor {
    x = 0;
    y = 0;
    isShown = false;
    readonly #gestures: Gestures;
    readonly #tool: () => Tool;
    readonly #size: () => { width: number; height: number };

    constructor(gestures: Gestures, tool: () => Tool, size: () => { width: number; height: number }) {
        this.#gestures = gestures;
        this.#tool = tool;
        this.#size = size;
    }

    /** Puts the cursor into the middle of the map. */
    centre(): void {
        this.x = Math.floor(this.#size().width / 2);
        this.y = Math.floor(this.#size().height / 2);
    }

    /** Handles a key that goes down; false where it means nothing here. */
    down(event: { key: string; shiftKey: boolean; repeat: boolean }): boolean {
        const arrows: Record<string, [number, number]> = {
            ArrowLeft: [-1, 0],
            ArrowRight: [1, 0],
            ArrowUp: [0, -1],
            ArrowDown: [0, 1],
        };
        const arrow = arrows[event.key];
        if (arrow) {
            this.#step(arrow[0] * (event.shiftKey ? 10 : 1), arrow[1] * (event.shiftKey ? 10 : 1));
            return true;
        }
        const gestures = this.#gestures;
        if (event.key === " ") {
            this.isShown = true;
            if (event.repeat) return true;
            if (gestures.isDown) gestures.up();
            else gestures.down(this.#press());
            return true;
        }
        if (event.key === "Enter") {
            this.isShown = true;
            if (gestures.path.length > 2) {
                if (gestures.isDown) gestures.up();
                else gestures.close();
            } else if (gestures.isDown) gestures.up();
            else if (!CLICKS.includes(this.#tool())) gestures.down(this.#press());
            return true;
        }
        if (event.key === "Backspace" && gestures.path.length > 0) {
            gestures.path.pop();
            return true;
        }
        return event.key === "Escape" && gestures.cancel();
    }

    /** Handles a key that goes up: the brush leaves the map with the space bar. */
    up(event: { key: string }): boolean {
        if (event.key !== " " || !this.#gestures.isDown) return false;
        if (this.#tool() !== "brush" && this.#tool() !== "eraser") return false;
        this.#gestures.up();
        return true;
    }

    #step(dx: number, dy: number): void {
        const { width, height } = this.#size();
        this.isShown = true;
        this.x = Math.min(width - 1, Math.max(0, this.x + dx));
        this.y = Math.min(height - 1, Math.max(0, this.y + dy));
        if (this.#gestures.isDown) this.#gestures.move(this.#press());
    }

    #press(): Press {
        return { x: this.x + 0.5, y: this.y + 0.5, pressure: 1, straight: false };
    }
}
