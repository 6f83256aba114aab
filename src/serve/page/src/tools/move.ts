import type { LabelMap } from "../buffer.ts";
import { paint, region, type Runs } from "./fill.ts";

/** A region that is being moved. */
export interface Grabbed {
    runs: Runs;
    id: number;
    /** The class that the region leaves behind. */
    under: number;
}

/** Takes hold of the connected region around a pixel; null outside the map. */
export function grab(map: LabelMap, x: number, y: number, voidId: number): Grabbed | null {
    if (!map.inside(x, y)) return null;
    const runs = region(map, x, y);
    return { runs, id: map.at(x, y), under: neighbour(map, runs, map.at(x, y)) ?? voidId };
}

/** Moves a region by whole pixels; the map must be as it was when the region was grabbed. */
export function move(map: LabelMap, grabbed: Grabbed, dx: number, dy: number): void {
    if (dx === 0 && dy === 0) return;
    paint(map, grabbed.runs, 0, 0, grabbed.under);
    paint(map, grabbed.runs, dx, dy, grabbed.id);
}

/** The class that borders the region most; null for a region that fills the map. */
function neighbour(map: LabelMap, runs: Runs, id: number): number | null {
    const counts = new Map<number, number>();
    const count = (x: number, y: number) => {
        if (!map.inside(x, y) || map.at(x, y) === id) return;
        counts.set(map.at(x, y), (counts.get(map.at(x, y)) ?? 0) + 1);
    };
    for (let index = 0; index < runs.length; index += 3) {
        const [y, left, right] = runs.slice(index, index + 3);
        count(left - 1, y);
        count(right, y);
        for (let x = left; x < right; x++) {
            count(x, y - 1);
            count(x, y + 1);
        }
    }
    let most: number | null = null;
    for (const [other, times] of counts) if (most === null || times > counts.get(most)!) most = other;
    return most;
}
