import { fromBase64 } from "./bytes.ts";
import type { LabelMap } from "./buffer.ts";
import { query, type Scene } from "./scene.ts";

export interface Model {
    name: string;
    hash: string;
    classes: number;
    height: number;
    width: number;
    side_multiple: number;
    latent_dim: number;
    tokens: number;
    parameters: number;
    bytes: number;
    backend: string;
    device: string;
    milliseconds_per_image: number | null;
    max_pixels: number;
    max_samples: number;
    has_segmenter: boolean;
    has_data: boolean;
}

export interface Class {
    id: number;
    name: string;
    /** `#rrggbb` */
    color: string;
    /** Share of the training pixels, 0 to 1; null where it is not known. */
    share: number | null;
    is_void: boolean;
}

export interface Ids {
    height: number;
    width: number;
    ids: Uint8Array<ArrayBuffer>;
}

export interface Photo {
    png: Uint8Array<ArrayBuffer>;
    milliseconds: number | null;
}

/** An answer that is no success; status 0 where the server did not answer. */
export class ApiError extends Error {
    readonly status: number;
    readonly remedy: string;
    /** Seconds after which the server wants to be asked again. */
    readonly retryAfter: number | null;

    constructor(status: number, message: string, remedy = "", retryAfter: number | null = null) {
        super(message);
        this.status = status;
        this.remedy = remedy;
        this.retryAfter = retryAfter;
    }

    /** Whether the same request may succeed later. */
    get passes(): boolean {
        return [0, 408, 429, 502, 503, 504].includes(this.status);
    }
}

/** The server's interface. Addresses are relative to the page, so that it works below any path. */
export class Api {
    token: string | null = null;
    readonly #fetch: typeof fetch;

    constructor(fetcher: typeof fetch = (input, init) => fetch(input, init)) {
        this.#fetch = fetcher;
    }

    async model(): Promise<Model> {
        return (await this.#send("v1/model")).json();
    }

    async classes(): Promise<Class[]> {
        return (await this.#send("v1/classes")).json();
    }

    async samples(): Promise<(Ids & { name: string })[]> {
        const samples: (Text & { name: string })[] = await (await this.#send("v1/samples")).json();
        return samples.map((sample) => ({ ...ids(sample), name: sample.name }));
    }

    async generate(map: LabelMap, scene: Scene, signal?: AbortSignal): Promise<Photo> {
        const parameters = query(scene);
        parameters.set("height", String(map.height));
        parameters.set("width", String(map.width));
        const answer = await this.#send(`v1/generate?${parameters}`, {
            method: "POST",
            body: map.data.slice(),
            headers: { "content-type": "application/octet-stream", accept: "image/png" },
            signal: signal ?? null,
        });
        const milliseconds = answer.headers.get("x-milliseconds");
        return {
            png: new Uint8Array(await body(answer, signal)),
            milliseconds: milliseconds === null ? null : Number(milliseconds),
        };
    }

    /** Lets the server read a PNG of ids or colours. */
    async labels(png: Blob): Promise<Ids> {
        return ids(await (await this.#send("v1/labels", upload(png))).json());
    }

    /** Lets the server find the classes in a photo. */
    async segment(photo: Blob): Promise<Ids> {
        return ids(await (await this.#send("v1/segment", upload(photo))).json());
    }

    async #send(path: string, init: RequestInit = {}): Promise<Response> {
        const headers = new Headers(init.headers);
        if (this.token !== null) headers.set("authorization", `Bearer ${this.token}`);
        let answer: Response;
        try {
            answer = await this.#fetch(path, { ...init, headers });
        } catch (error) {
            throw unreachable(error, init.signal);
        }
        if (!answer.ok) throw await refusal(answer);
        return answer;
    }
}

interface Text {
    height: number;
    width: number;
    ids: string;
}

function ids(text: Text): Ids {
    return { height: text.height, width: text.width, ids: fromBase64(text.ids) };
}

function upload(body: Blob): RequestInit {
    return { method: "POST", body, headers: { "content-type": body.type || "application/octet-stream" } };
}

async function body(answer: Response, signal?: AbortSignal): Promise<ArrayBuffer> {
    try {
        return await answer.arrayBuffer();
    } catch (error) {
        throw unreachable(error, signal);
    }
}

function unreachable(error: unknown, signal?: AbortSignal | null): unknown {
    return signal?.aborted ? error : new ApiError(0, error instanceof Error ? error.message : String(error));
}

async function refusal(answer: Response): Promise<ApiError> {
    const after = Number(answer.headers.get("retry-after") ?? NaN);
    let message = `${answer.status} ${answer.statusText}`.trim();
    let remedy = "";
    try {
        const told = await answer.json();
        if (typeof told.error === "string") message = told.error;
        if (typeof told.remedy === "string") remedy = told.remedy;
    } catch {
        // A proxy in between may answer in HTML; the status says enough.
    }
    return new ApiError(answer.status, message, remedy, after >= 0 ? after : null);
}
