import type { LabelMap } from "../buffer.ts";

/** Exchanges left and right. */
export function mirror(map: LabelMap): void {
    for (let y = 0; y < map.height; y++) {
        map.row(y, map.data.slice(y * map.width, (y + 1) * map.width).reverse());
    }
}
