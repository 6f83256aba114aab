/** Classes and sample maps of the mock. */

export const CLASSES = (
    [
        ["void", "#000000", 0.004],
        ["sky", "#4682b4", 0.27],
        ["mountain", "#96785a", 0.05],
        ["building", "#464646", 0.11],
        ["road", "#804080", 0.24],
        ["lane marking", "#ffffff", 0.012],
        ["pavement", "#f423e8", 0.05],
        ["grass", "#98fb98", 0.13],
        ["vegetation", "#6b8e23", 0.08],
        ["water", "#3de6fa", 0.02],
        ["fence", "#be9999", 0.009],
        ["pole", "#999999", 0.004],
        ["traffic sign", "#dcdc00", 0.0007],
        ["car", "#00008e", 0.018],
        ["person", "#dc143c", 0.0004],
    ] as const
).map(([name, color, share], id) => ({ id, name, color, share, is_void: id === 0 }));

export const SIDE = 128;

/** Five scenes with a sky, hills or houses, a road and what stands beside it. */
export function samples() {
    return ["Street", "Lake", "Hills", "Avenue", "Meadow"].map((name, index) => {
        const ids = new Uint8Array(SIDE * SIDE);
        const horizon = 52 + 4 * index;
        const middle = 64 + (index - 2) * 9;
        for (let y = 0; y < SIDE; y++) {
            for (let x = 0; x < SIDE; x++) ids[y * SIDE + x] = pixel(index, x, y, horizon, middle);
        }
        return { name, height: SIDE, width: SIDE, ids: Buffer.from(ids).toString("base64") };
    });
}

function pixel(index: number, x: number, y: number, horizon: number, middle: number): number {
    const hill = horizon - 14 - 9 * Math.sin((x + 40 * index) / 17) - 5 * Math.sin(x / 7);
    const tree = Math.hypot(x - 100 + 6 * index, (y - horizon + 12) * 0.9) < 17 - index;
    const trunk = Math.abs(x - 100 + 6 * index) < 3 && y > horizon - 4 && y < horizon + 14;
    if (tree && y < horizon + 8) return 8;
    if (trunk) return 11;
    if (y < horizon) {
        const hasHouses = index === 0 || index === 3;
        const roof = horizon - 12 - 9 * ((Math.floor(x / 19) * 7 + index) % 3);
        if (hasHouses && y > roof && x % 19 > 1 && Math.abs(x - middle) > 12) return 3;
        return !hasHouses && y > hill ? 2 : 1;
    }
    const depth = y - horizon;
    const half = 3 + depth * 0.85;
    const away = Math.abs(x - middle - depth * 0.12 * (index - 2));
    if (index === 0 && Math.abs(x - middle - 22) < 9 && depth > 12 && depth < 24) return 13;
    if (away < half) {
        const isDashed = (depth * depth) % 700 < 320;
        return away < depth * 0.03 + 0.5 && isDashed ? 5 : 4;
    }
    if (away < half + depth * 0.22 && index % 2 === 0) return 6;
    return index === 1 && x < middle ? 9 : 7;
}
