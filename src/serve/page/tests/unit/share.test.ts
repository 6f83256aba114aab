import { deflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { LabelMap } from "../../src/buffer.ts";
import { deflate, fromBase64, inflate, toBase64, toBase64Url } from "../../src/bytes.ts";
import { addTexts, crc, encodeIds, isPng, readTexts } from "../../src/png.ts";
import { firstScene, query, readScene, seed } from "../../src/scene.ts";
import { pack, unpack } from "../../src/share.ts";
import { decode, encode } from "../mock/png.ts";
import { isSame, numbers } from "./helpers.ts";

const random = numbers(3);
const map = new LabelMap(
    48,
    32,
    Uint8Array.from({ length: 48 * 32 }, () => random() * 16),
);

describe("bytes", () => {
    test("base64 and base64url go both ways", () => {
        const bytes = Uint8Array.from({ length: 70_001 }, (_, index) => index * 7);
        expect(isSame(fromBase64(toBase64(bytes)), bytes)).toBe(true);
        expect(isSame(fromBase64(toBase64Url(bytes)), bytes)).toBe(true);
        expect(toBase64Url(Uint8Array.of(255, 254, 253, 252))).toBe("__79_A");
    });

    test("inflate takes exactly what was promised", async () => {
        const packed = await deflate(map.data);
        expect(await inflate(packed, map.data.length)).toEqual(map.data);
        await expect(inflate(packed, map.data.length - 1)).rejects.toThrow(RangeError);
        await expect(inflate(packed, map.data.length + 1)).rejects.toThrow(RangeError);
    });

    test("a bomb is not unpacked", async () => {
        const bomb = new Uint8Array(deflateRawSync(Buffer.alloc(50_000_000)));
        await expect(inflate(bomb, 1000)).rejects.toThrow("more than 1000 bytes");
    });
});

describe("links", () => {
    test("hold the map, the scene and the model", async () => {
        const scene = { seed: 7, seedTo: 9, mix: 0.25, styleSeed: 3, styleTokens: [0, 4] };
        const sheet = await unpack(await pack({ map, scene, model: "abc123" }));
        expect(sheet?.map.width).toBe(48);
        expect(sheet?.map.data).toEqual(map.data);
        expect(sheet?.scene).toEqual(scene);
        expect(sheet?.model).toBe("abc123");
    });

    test("without a map are no links", async () => {
        expect(await unpack("")).toBeNull();
        expect(await unpack("stage")).toBeNull();
    });

    test.each([
        "size=48x32&map=AAAA",
        "size=4x4&map=***",
        "map=AAAA",
        "size=0x4&map=AAAA",
        "size=99999x99999&map=AAAA",
    ])("that are broken are errors: %s", async (text) => {
        await expect(unpack(text)).rejects.toThrow();
    });
});

describe("scenes", () => {
    test("leave out what has no effect", () => {
        expect(String(query(firstScene()))).toBe("seed=0");
        expect(String(query({ ...firstScene(), mix: 0.5 }))).toBe("seed=0&seed_to=1&mix=0.5");
        expect(String(query({ ...firstScene(), styleTokens: [1, 3] }))).toBe("seed=0&style_seed=2&style_tokens=1%2C3");
    });

    test("take first values for nonsense", () => {
        expect(readScene(new URLSearchParams("seed=-1&mix=7&style_tokens=a,1,1"))).toEqual({
            ...firstScene(),
            styleTokens: [1],
        });
        expect([seed("12"), seed("4294967295"), seed("4294967296"), seed("1.5"), seed("")]).toEqual([
            12,
            4294967295,
            null,
            null,
            null,
        ]);
    });
});

describe("texts in PNG files", () => {
    const png = new Uint8Array(encode({ width: 4, height: 4, channels: 3, pixels: new Uint8Array(48) }));

    test("go both ways and leave the picture as it is", () => {
        const texts = { "dp-sims:seed": "7", "dp-sims:map": "x".repeat(100_000) };
        const marked = addTexts(png, texts);
        expect(readTexts(marked)).toEqual(texts);
        expect(decode(Buffer.from(marked)).pixels).toEqual(new Uint8Array(48));
    });

    test("hold a whole sheet", async () => {
        const parameters = new URLSearchParams(await pack({ map, scene: firstScene(), model: "ff" }));
        const read = readTexts(addTexts(png, Object.fromEntries(parameters)));
        expect((await unpack(String(new URLSearchParams(read))))?.map.data).toEqual(map.data);
    });

    test("the CRC is that of PNG", () => {
        expect(crc(new TextEncoder().encode("IEND"))).toBe(0xae426082);
    });

    test("damage is noticed", () => {
        const marked = addTexts(png, { seed: "7" });
        marked[33 + 8 + 5] ^= 1;
        expect(() => readTexts(marked)).toThrow("a text is damaged");
        expect(() => readTexts(addTexts(png, { seed: "7" }).subarray(0, 45))).toThrow("cut off");
        expect(() => readTexts(new Uint8Array(50))).toThrow("not a PNG");
        expect(() => readTexts(addTexts(png, { "": "7" }))).toThrow("no keyword");
    });

    test("no more is read than anyone would save", () => {
        const huge = addTexts(png, { map: "x".repeat((1 << 24) + 1) });
        expect(() => readTexts(huge)).toThrow("too much text");
    });
});

describe("label maps as PNG files", () => {
    test("hold the ids, with a palette or without", async () => {
        for (const colours of [undefined, new Uint8Array(768).fill(9)]) {
            const png = await encodeIds(48, 32, map.data, colours);
            expect(isPng(png)).toBe(true);
            expect(png[25]).toBe(colours ? 3 : 0);
            expect(decode(Buffer.from(png)).pixels).toEqual(map.data);
        }
    });
});
