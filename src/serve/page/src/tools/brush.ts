import type { LabelMap } from "../buffer.ts";

export type Shape = "round" | "square";

/** A place on the map in pixels, with fractions; the middle of the first pixel is 0.5, 0.5. */
export interface Point {
    x: number;
    y: number;
}

/** The brush where it touches the map. */
export interface Tip {
    /** Diameter or side in pixels, 1 to 128. */
    size: number;
    shape: Shape;
    id: number;
}

export const MAX_SIZE = 128;

/** Presses the brush once. */
export function dab(map: LabelMap, at: Point, tip: Tip): void {
    const size = Math.max(1, Math.round(tip.size));
    // An odd brush sits on a pixel, an even one on a corner: its form is the same everywhere.
    const x = centre(at.x, size);
    const y = centre(at.y, size);
    const radius = size / 2;
    for (let row = Math.round(y - radius); row < Math.round(y + radius); row++) {
        let half = radius;
        if (tip.shape === "round") half = Math.sqrt(radius * radius - (row + 0.5 - y) ** 2);
        map.span(row, Math.ceil(x - half - 0.5), Math.floor(x + half - 0.5) + 1, tip.id);
    }
}

/** Draws the brush from one place to another; the size goes evenly from `from.size` to `to.size`. */
export function stroke(map: LabelMap, start: Point & { size: number }, end: Point & { size: number }, tip: Tip): void {
    const length = Math.hypot(end.x - start.x, end.y - start.y);
    // Close enough that the edge of a round brush departs from the straight line by less than half a pixel.
    const step = Math.max(0.5, Math.min(start.size, end.size) / 10);
    const count = Math.max(1, Math.ceil(length / step));
    for (let index = 0; index <= count; index++) {
        const part = index / count;
        const size = start.size + (end.size - start.size) * part;
        const at = { x: start.x + (end.x - start.x) * part, y: start.y + (end.y - start.y) * part };
        dab(map, at, { ...tip, size });
    }
}

function centre(at: number, size: number): number {
    return size % 2 === 1 ? Math.floor(at) + 0.5 : Math.round(at);
}
