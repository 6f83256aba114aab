import type { LabelMap } from "../buffer.ts";

/** Runs of pixels in rows: `[y, left, right)` after each other. */
export type Runs = number[];

/** The connected region (four neighbours) of one class around a pixel. */
export function region(map: LabelMap, x: number, y: number): Runs {
    if (!map.inside(x, y)) return [];
    const { width, height, data } = map;
    const id = map.at(x, y);
    const seen = new Uint8Array(width * height);
    const runs: Runs = [];
    const open: number[] = [y * width + x];
    const isFree = (index: number) => data[index] === id && !seen[index];
    for (let start = open.pop(); start !== undefined; start = open.pop()) {
        if (!isFree(start)) continue;
        const row = start - (start % width);
        let left = start;
        let right = start + 1;
        while (left > row && isFree(left - 1)) left--;
        while (right < row + width && isFree(right)) right++;
        seen.fill(1, left, right);
        runs.push(row / width, left - row, right - row);
        for (const next of [-width, width]) {
            if (row + next < 0 || row + next >= width * height) continue;
            for (let index = left + next; index < right + next; index++) {
                // One place to go on from for each run of free pixels.
                if (isFree(index) && (index === left + next || !isFree(index - 1))) open.push(index);
            }
        }
    }
    return runs;
}

/** Gives the connected region around a pixel another class. */
export function fill(map: LabelMap, x: number, y: number, id: number): void {
    if (!map.inside(x, y) || map.at(x, y) === id) return;
    paint(map, region(map, x, y), 0, 0, id);
}

/** Paints runs, moved by whole pixels. */
export function paint(map: LabelMap, runs: Runs, dx: number, dy: number, id: number): void {
    for (let index = 0; index < runs.length; index += 3) {
        map.span(runs[index] + dy, runs[index + 1] + dx, runs[index + 2] + dx, id);
    }
}
