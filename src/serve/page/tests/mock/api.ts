import type { IncomingMessage, ServerResponse } from "node:http";
import { decode, encode } from "./png.ts";
import { CLASSES, samples, SIDE } from "./scenes.ts";

/** What the mock is told to do, by a POST of some of these to /mock. */
export interface Orders {
    /** Status of every answer of the interface; "refuse" closes the connection; null for no fault. */
    fault: number | "refuse" | null;
    /** Seconds in Retry-After. */
    retryAfter: number | null;
    /** Milliseconds before a photo comes. */
    delay: number;
    /** Token that requests need. */
    token: string | null;
    hash: string;
    hasSegmenter: boolean;
}

const FIRST: Orders = {
    fault: null,
    retryAfter: null,
    delay: 15,
    token: null,
    hash: "5ce0e5a1".repeat(8),
    hasSegmenter: false,
};
const COLOURS = CLASSES.map(({ color }) => [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16)));

/** Answers as the server does, with the colours of the classes for a photo. */
export class Mock {
    orders: Orders = { ...FIRST };
    #served: { start: number; end: number }[] = [];

    /** Whether the request was for the interface. */
    handle(request: IncomingMessage, response: ServerResponse): boolean {
        const url = new URL(request.url ?? "/", "http://mock");
        if (!url.pathname.startsWith("/v1/") && url.pathname !== "/mock") return false;
        this.#answer(url, request, response).catch((error) => refuse(response, 400, String(error)));
        return true;
    }

    async #answer(url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
        const body = await read(request);
        if (url.pathname === "/mock") {
            const { reset, ...orders } = JSON.parse(body.toString());
            this.orders = { ...(reset ? FIRST : this.orders), ...orders };
            const overlaps = this.#overlaps();
            if (reset) this.#served = [];
            return send(response, { overlaps });
        }
        const { fault, token, retryAfter } = this.orders;
        if (fault === "refuse") return void request.socket.destroy();
        if (fault !== null) {
            if (retryAfter !== null) response.setHeader("retry-after", String(retryAfter));
            return refuse(response, fault, "told to fail", "tell it not to");
        }
        if (token !== null && request.headers.authorization !== `Bearer ${token}`)
            return refuse(response, 401, "no token");
        switch (url.pathname) {
            case "/v1/model":
                return send(response, this.#model());
            case "/v1/classes":
                return send(response, CLASSES);
            case "/v1/samples":
                return send(response, samples());
            case "/v1/labels":
                return send(response, labels(body));
            case "/v1/segment":
                return send(response, samples()[1]);
            case "/v1/generate":
                return this.#generate(url.searchParams, body, response);
            default:
                return refuse(response, 404, "no such path");
        }
    }

    /** How many photos were made while another one was, both to the end. */
    #overlaps(): number {
        const served = this.#served.sort((a, b) => a.start - b.start);
        return served.filter(({ start }, index) => index > 0 && start < served[index - 1].end).length;
    }

    #model() {
        return {
            name: "mock",
            hash: this.orders.hash,
            classes: CLASSES.length,
            height: SIDE,
            width: SIDE,
            side_multiple: 16,
            latent_dim: 64,
            tokens: 8,
            parameters: 4_200_000,
            bytes: 16_800_000,
            backend: "mock",
            device: "Node",
            milliseconds_per_image: this.orders.delay,
            max_pixels: 512 * 512,
            max_samples: 8,
            has_segmenter: this.orders.hasSegmenter,
            has_data: true,
        };
    }

    async #generate(query: URLSearchParams, ids: Buffer, response: ServerResponse): Promise<void> {
        const [width, height, seed] = ["width", "height", "seed"].map((name) => Number(query.get(name)));
        if (ids.length !== width * height) return refuse(response, 400, `${ids.length} ids for ${width}x${height}`);
        const start = performance.now();
        await new Promise((done) => setTimeout(done, this.orders.delay));
        // Nobody waits for a photo that was called off.
        if (response.destroyed) return;
        this.#served.push({ start, end: performance.now() });
        const png = encode({ width, height, channels: 3, pixels: photo(width, height, ids, query) });
        response.writeHead(200, { "content-type": "image/png", "x-seed": seed, "x-milliseconds": this.orders.delay });
        response.end(png);
    }
}

/** The colour of each class, changed a little by the seed; a pixel depends on nothing but its class and place. */
export function photo(width: number, height: number, ids: Uint8Array, query: URLSearchParams): Uint8Array {
    const seed = Number(query.get("seed"));
    const to = Number(query.get("seed_to") ?? seed);
    const mix = Number(query.get("mix") ?? 0);
    const style = Number(query.get("style_seed") ?? seed);
    const tokens = new Set((query.get("style_tokens") ?? "").split(",").filter(Boolean).map(Number));
    const tints = COLOURS.map((colour, id) =>
        colour.map((value, channel) => {
            const of = (from: number) => 70 * (random(from, id * 3 + channel) - 0.5);
            const tint = tokens.has(id % 8) ? of(style) : of(seed) * (1 - mix) + of(to) * mix;
            return 30 + value * 0.75 + tint;
        }),
    );
    const pixels = new Uint8Array(width * height * 3);
    for (let at = 0; at < width * height; at++) {
        const shade = 24 * (Math.floor(at / width) / height) - 12 + 14 * (random(seed, 1000 + at) - 0.5);
        const tint = tints[ids[at]] ?? [0, 0, 0];
        for (let channel = 0; channel < 3; channel++) {
            pixels[at * 3 + channel] = Math.min(255, Math.max(0, tint[channel] + shade));
        }
    }
    return pixels;
}

function labels(png: Buffer) {
    const { width, height, channels, pixels } = decode(png);
    const ids = Buffer.alloc(width * height);
    for (let at = 0; at < ids.length; at++) {
        const colour = pixels.subarray(at * channels, at * channels + 3);
        ids[at] =
            channels === 1
                ? pixels[at]
                : COLOURS.findIndex((known) => known.every((value, channel) => value === colour[channel]));
        if (ids[at] >= CLASSES.length) throw new Error("a colour that no class has");
    }
    return { height, width, ids: ids.toString("base64") };
}

function random(seed: number, index: number): number {
    let value = Math.imul(seed * 2654435761 + index, 0x9e3779b1) >>> 0;
    value = Math.imul(value ^ (value >>> 15), 0x85ebca6b) >>> 0;
    value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35) >>> 0;
    return ((value ^ (value >>> 16)) >>> 0) / 2 ** 32;
}

async function read(request: IncomingMessage): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    return Buffer.concat(parts);
}

function send(response: ServerResponse, value: unknown): void {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, error: string, remedy = ""): void {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify({ error, remedy }));
}
