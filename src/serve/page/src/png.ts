/** Text in PNG files (tEXt chunks), and label maps as PNG files of ids. */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
/** Chunks that are looked at, and bytes of text that are read. */
const MAX_CHUNKS = 4096;
const MAX_TEXT = 1 << 24;

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    return value;
});

/** The CRC that PNG uses. */
export function crc(bytes: Uint8Array): number {
    let value = 0xffffffff;
    for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
    return (value ^ 0xffffffff) >>> 0;
}

export function isPng(bytes: Uint8Array): boolean {
    return SIGNATURE.every((byte, index) => bytes[index] === byte);
}

/** Puts texts behind the header of a PNG; keywords and texts are Latin-1. */
export function addTexts(png: Uint8Array, texts: Record<string, string>): Uint8Array<ArrayBuffer> {
    if (!isPng(png) || png.length < 33) throw new RangeError("not a PNG file");
    const chunks = Object.entries(texts).map(([keyword, text]) => chunk("tEXt", latin(`${keyword}\0${text}`)));
    return join([png.subarray(0, 33), ...chunks, png.subarray(33)]);
}

/** The texts of a PNG; chunks with a wrong CRC are errors, and so is more text than anyone would save here. */
export function readTexts(png: Uint8Array): Record<string, string> {
    if (!isPng(png)) throw new RangeError("not a PNG file");
    const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
    const texts: Record<string, string> = {};
    let total = 0;
    let at = 8;
    for (let count = 0; count < MAX_CHUNKS && at + 12 <= png.length; count++) {
        const length = view.getUint32(at);
        if (length > png.length - at - 12) throw new RangeError("a chunk is cut off");
        const kind = String.fromCharCode(...png.subarray(at + 4, at + 8));
        if (kind === "IEND") break;
        if (kind === "tEXt") {
            total += length;
            if (total > MAX_TEXT) throw new RangeError("too much text");
            if (crc(png.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length)) {
                throw new RangeError("a text is damaged");
            }
            const [keyword, text] = split(png.subarray(at + 8, at + 8 + length));
            texts[keyword] = text;
        }
        at += 12 + length;
    }
    return texts;
}

/** A PNG of ids: 8-bit grey, or with a palette where colours are given (three bytes each). */
export async function encodeIds(
    width: number,
    height: number,
    ids: Uint8Array,
    colours?: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
    const header = new Uint8Array(13);
    const view = new DataView(header.buffer);
    view.setUint32(0, width);
    view.setUint32(4, height);
    header.set([8, colours ? 3 : 0, 0, 0, 0], 8);
    // Every row starts with its filter: none.
    const rows = new Uint8Array(height * (width + 1));
    for (let y = 0; y < height; y++) {
        rows.set(ids.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
    }
    const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
    const data = new Uint8Array(await new Response(stream).arrayBuffer());
    const chunks = [chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", new Uint8Array())];
    if (colours) chunks.splice(1, 0, chunk("PLTE", colours));
    return join([Uint8Array.from(SIGNATURE), ...chunks]);
}

function chunk(kind: string, data: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(12 + data.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, data.length);
    bytes.set(latin(kind), 4);
    bytes.set(data, 8);
    view.setUint32(8 + data.length, crc(bytes.subarray(4, 8 + data.length)));
    return bytes;
}

function latin(text: string): Uint8Array {
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
    return bytes;
}

function split(data: Uint8Array): [string, string] {
    const end = data.indexOf(0);
    if (end < 1 || end > 79) throw new RangeError("a text has no keyword");
    const text = new TextDecoder("latin1");
    return [text.decode(data.subarray(0, end)), text.decode(data.subarray(end + 1))];
}

function join(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
    const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
        result.set(part, at);
        at += part.length;
    }
    return result;
}
