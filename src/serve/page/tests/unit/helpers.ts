import { LabelMap } from "../../src/buffer.ts";

/** Numbers from 0 to 1 that are the same in every run. */
export function numbers(seed: number): () => number {
    let state = seed;
    return () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 2 ** 32;
    };
}

/** A map from a drawing: one digit per pixel, `.` for 0. */
export function drawn(...rows: string[]): LabelMap {
    const ids = rows.join("").replaceAll(".", "0").split("").map(Number);
    return new LabelMap(rows[0].length, rows.length, Uint8Array.from(ids));
}

export function rows(map: LabelMap): string[] {
    const text = [...map.data].join("").replaceAll("0", ".");
    return Array.from({ length: map.height }, (_, y) => text.slice(y * map.width, (y + 1) * map.width));
}

/** Whether two arrays hold the same bytes; on large ones much faster than `toEqual`. */
export function isSame(a: Uint8Array, b: Uint8Array): boolean {
    return Buffer.compare(a, b) === 0;
}
