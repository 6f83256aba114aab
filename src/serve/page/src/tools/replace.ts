import type { LabelMap } from "../buffer.ts";

/** Gives every pixel of one class another class. */
export function replace(map: LabelMap, from: number, to: number): void {
    if (from === to) return;
    for (let y = 0; y < map.height; y++) {
        for (let x = 0; x < map.width; x++) {
            if (map.at(x, y) !== from) continue;
            const left = x;
            while (x < map.width && map.at(x, y) === from) x++;
            map.span(y, left, x, to);
        }
    }
}
