/** Base64 and deflate, as the address, saved photos and the server use them. */

export function toBase64(bytes: Uint8Array): string {
    let text = "";
    for (let from = 0; from < bytes.length; from += 0x8000) {
        text += String.fromCharCode(...bytes.subarray(from, from + 0x8000));
    }
    return btoa(text);
}

/** Reads base64 or base64url; throws on anything else. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
    const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = new Uint8Array(plain.length);
    for (let at = 0; at < plain.length; at++) bytes[at] = plain.charCodeAt(at);
    return bytes;
}

/** Base64 of characters that an address may hold, without padding. */
export function toBase64Url(bytes: Uint8Array): string {
    return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Inflates to exactly `length` bytes; stops as soon as there are more, whatever the input claims. */
export async function inflate(bytes: Uint8Array<ArrayBuffer>, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    const reader = stream.getReader();
    const result = new Uint8Array(length);
    let filled = 0;
    for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        if (filled + value.length > length) {
            await reader.cancel().catch(() => undefined);
            throw new RangeError(`more than ${length} bytes`);
        }
        result.set(value, filled);
        filled += value.length;
    }
    if (filled !== length) throw new RangeError(`${filled} of ${length} bytes`);
    return result;
}
