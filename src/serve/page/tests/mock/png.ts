import { crc32, deflateSync, inflateSync } from "node:zlib";

export interface Picture {
    width: number;
    height: number;
    /** Bytes per pixel: 1 for grey or palette, 3 for RGB, 4 for RGBA. */
    channels: number;
    pixels: Uint8Array;
}

/** Writes an 8-bit PNG of 1 or 3 channels. */
export function encode({ width, height, channels, pixels }: Picture): Buffer {
    const header = Buffer.alloc(13);
    header.writeUInt32BE(width, 0);
    header.writeUInt32BE(height, 4);
    header.set([8, channels === 1 ? 0 : 2, 0, 0, 0], 8);
    const row = width * channels;
    const rows = Buffer.alloc(height * (row + 1));
    for (let y = 0; y < height; y++) rows.set(pixels.subarray(y * row, (y + 1) * row), y * (row + 1) + 1);
    const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
    return Buffer.concat([
        signature,
        chunk("IHDR", header),
        chunk("IDAT", deflateSync(rows, { level: 1 })),
        chunk("IEND", Buffer.alloc(0)),
    ]);
}

/** Reads an 8-bit PNG that is not interlaced; a palette is left as its indices. */
export function decode(png: Buffer): Picture {
    const width = png.readUInt32BE(16);
    const height = png.readUInt32BE(20);
    const channels = { 0: 1, 2: 3, 3: 1, 6: 4 }[png[25]];
    if (png[24] !== 8 || channels === undefined || png[28] !== 0) throw new Error("only 8-bit PNG files");
    const data: Buffer[] = [];
    for (const { kind, body } of chunks(png)) if (kind === "IDAT") data.push(body);
    const rows = inflateSync(Buffer.concat(data));
    const row = width * channels;
    const pixels = new Uint8Array(height * row);
    for (let y = 0; y < height; y++) {
        const filter = rows[y * (row + 1)];
        for (let x = 0; x < row; x++) {
            const left = x >= channels ? pixels[y * row + x - channels] : 0;
            const up = y > 0 ? pixels[(y - 1) * row + x] : 0;
            const corner = x >= channels && y > 0 ? pixels[(y - 1) * row + x - channels] : 0;
            const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
            pixels[y * row + x] = rows[y * (row + 1) + 1 + x] + guess;
        }
    }
    return { width, height, channels, pixels };
}

export function* chunks(png: Buffer): Generator<{ kind: string; body: Buffer }> {
    for (let at = 8; at + 12 <= png.length;) {
        const length = png.readUInt32BE(at);
        yield { kind: png.toString("latin1", at + 4, at + 8), body: png.subarray(at + 8, at + 8 + length) };
        at += 12 + length;
    }
}

function chunk(kind: string, body: Buffer): Buffer {
    const named = Buffer.concat([Buffer.from(kind, "latin1"), body]);
    const result = Buffer.alloc(named.length + 8);
    result.writeUInt32BE(body.length, 0);
    result.set(named, 4);
    result.writeUInt32BE(crc32(named), named.length + 4);
    return result;
}

function paeth(left: number, up: number, corner: number): number {
    const guess = left + up - corner;
    const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
    if (a <= b && a <= c) return left;
    return b <= c ? up : corner;
}
