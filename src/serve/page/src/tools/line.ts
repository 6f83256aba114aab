import type { LabelMap } from "../buffer.ts";
import { stroke, type Point, type Tip } from "./brush.ts";

/** A straight line as wide as the brush. */
export function line(map: LabelMap, start: Point, end: Point, tip: Tip): void {
    stroke(map, { ...start, size: tip.size }, { ...end, size: tip.size }, tip);
}

/** The end moved to the nearest of eight directions. */
export function straight(start: Point, end: Point): Point {
    const angle = (Math.round(Math.atan2(end.y - start.y, end.x - start.x) / (Math.PI / 4)) * Math.PI) / 4;
    const along = (end.x - start.x) * Math.cos(angle) + (end.y - start.y) * Math.sin(angle);
    return { x: start.x + along * Math.cos(angle), y: start.y + along * Math.sin(angle) };
}
