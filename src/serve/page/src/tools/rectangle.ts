import type { LabelMap } from "../buffer.ts";
import type { Point } from "./brush.ts";

/** A filled rectangle; both corner pixels belong to it. */
export function rectangle(map: LabelMap, start: Point, end: Point, id: number): void {
    const left = Math.floor(Math.min(start.x, end.x));
    const right = Math.floor(Math.max(start.x, end.x)) + 1;
    const bottom = Math.floor(Math.max(start.y, end.y));
    for (let y = Math.floor(Math.min(start.y, end.y)); y <= bottom; y++) map.span(y, left, right, id);
}

/** The end moved so that the rectangle is a square. */
export function square(start: Point, end: Point): Point {
    const side = Math.max(Math.abs(end.x - start.x), Math.abs(end.y - start.y));
    return { x: start.x + side * Math.sign(end.x - start.x), y: start.y + side * Math.sign(end.y - start.y) };
}
