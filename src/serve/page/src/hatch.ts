/** Patterns that tell classes apart without their colours. */

/** Side of a pattern in pixels of the screen; patterns repeat. */
export const SIDE = 8;

export type Colour = readonly [red: number, green: number, blue: number];

type Pattern = (x: number, y: number) => boolean;

const lines: Pattern[] = [
    () => false,
    (x, y) => (x + y) % 8 < 2,
    (x, y) => (x - y + 8) % 8 < 2,
    (_, y) => y % 8 < 2,
    (x) => x % 8 < 2,
    (x, y) => x % 8 < 3 && y % 8 < 3,
    (x, y) => (x + y) % 8 < 1 || (x - y + 8) % 8 < 1,
    (x, y) => x % 8 < 1 || y % 8 < 1,
    (x, y) => (x + y) % 4 < 1,
    (x, y) => (x - y + 8) % 4 < 1,
    (_, y) => y % 4 < 1,
    (x) => x % 4 < 1,
    (x, y) => x % 4 < 2 !== y % 4 < 2,
    (x, y) => Math.hypot((x % 8) - 3.5, (y % 8) - 3.5) < 3 && Math.hypot((x % 8) - 3.5, (y % 8) - 3.5) > 1.6,
    (x, y) => (x % 8 < 4 ? (x + y) % 8 : (y - x + 16) % 8) < 2,
    (x, y) => (x + 2 * y) % 8 < 2,
];

/** Whether the pattern of a class marks a pixel of the screen. */
export function isMarked(id: number, x: number, y: number): boolean {
    return lines[id % lines.length](x % SIDE, y % SIDE);
}

/** The colour of the marks: towards black on light colours, towards white on dark ones. */
export function ink(colour: Colour): Colour {
    const [red, green, blue] = colour;
    const towards = red * 0.299 + green * 0.587 + blue * 0.114 > 140 ? 0 : 255;
    const mix = (value: number) => Math.round(value + (towards - value) * 0.65);
    return [mix(red), mix(green), mix(blue)];
}

/** For every class and place in its pattern the colour as a little-endian RGBA word. */
export function table(colours: readonly Colour[], hatched: boolean): Uint32Array {
    const words = new Uint32Array(256 * SIDE * SIDE);
    for (let id = 0; id < 256; id++) {
        const colour: Colour = colours[id] ?? [128, 128, 128];
        const marks = ink(colour);
        for (let at = 0; at < SIDE * SIDE; at++) {
            const marked = hatched && isMarked(id, at % SIDE, Math.floor(at / SIDE));
            const [red, green, blue] = marked ? marks : colour;
            words[id * SIDE * SIDE + at] = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
        }
    }
    return words;
}
