import type { LabelMap } from "../buffer.ts";
import type { Point } from "./brush.ts";

/** Fills a polygon by the even-odd rule: a pixel belongs to it where its middle does. */
export function polygon(map: LabelMap, points: readonly Point[], id: number): void {
    if (points.length < 3) return;
    const top = Math.max(0, Math.floor(Math.min(...points.map((point) => point.y))));
    const bottom = Math.min(map.height - 1, Math.ceil(Math.max(...points.map((point) => point.y))));
    for (let y = top; y <= bottom; y++) {
        const crossings = crossingsAt(points, y + 0.5);
        for (let index = 0; index + 1 < crossings.length; index += 2) {
            map.span(y, Math.ceil(crossings[index] - 0.5), Math.ceil(crossings[index + 1] - 0.5), id);
        }
    }
}

function crossingsAt(points: readonly Point[], y: number): number[] {
    const crossings: number[] = [];
    for (let index = 0; index < points.length; index++) {
        const a = points[index];
        const b = points[(index + 1) % points.length];
        if (a.y <= y !== b.y <= y) crossings.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
    }
    return crossings.sort((a, b) => a - b);
}
