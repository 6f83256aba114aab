import type { LabelMap } from "../buffer.ts";
import type { Point } from "./brush.ts";
import { polygon } from "./polygon.ts";

/** Adds a place to a freehand path unless it is within half a pixel of the last one. */
export function extend(path: Point[], point: Point): void {
    const last = path.at(-1);
    if (!last || Math.hypot(point.x - last.x, point.y - last.y) >= 0.5) path.push({ x: point.x, y: point.y });
}

/** Fills what a freehand path encloses; its ends are joined. */
export function lasso(map: LabelMap, path: readonly Point[], id: number): void {
    polygon(map, path, id);
}
