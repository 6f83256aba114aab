import { Api, type Class, type Model } from "./api.ts";
import { LabelMap } from "./buffer.ts";
import type { Colour } from "./hatch.ts";
import type { History } from "./history.ts";
import { Live, type LiveState } from "./live.ts";
import { firstScene, type Scene } from "./scene.ts";
import type { Sheet } from "./share.ts";
import { Signal } from "./signal.ts";
import { Store } from "./store.ts";

/** The photo on the page and what it was made from. */
export interface Shown {
    sheet: Sheet;
    png: Uint8Array<ArrayBuffer>;
    milliseconds: number | null;
}

const TOKEN = "dp-sims:token";
/** Pause after the last edit before the work is saved, in milliseconds. */
const SAVE_AFTER = 400;

/** The work with one model: its classes, the scene, the photo, what is asked of the server and what is kept. */
export class Session {
    readonly api: Api;
    readonly store = new Store();
    readonly live: Live;
    readonly state = new Signal<LiveState>({ busy: false, working: false, error: null, retryAt: null });
    readonly scene = new Signal<Scene>(firstScene());
    readonly shown = new Signal<Shown | null>(null);
    /** Another model answers than the one that this page was opened with. */
    readonly isOtherModel = new Signal(false);
    readonly model: Model;
    readonly classes: readonly Class[];
    readonly colours: readonly Colour[];
    readonly voidId: number | null;
    readonly #history: History;
    #documents = 0;
    #asked: { map: LabelMap; edits: number } | null = null;
    #saving: ReturnType<typeof setTimeout> | null = null;

    constructor(first: Connected, history: History) {
        this.api = first.api;
        this.live = first.live;
        this.model = first.model;
        this.classes = first.classes;
        this.colours = colours(first.classes);
        this.voidId = first.classes.find((known) => known.is_void)?.id ?? null;
        this.#history = history;
        first.follow((state) => {
            const isBack = this.state.value.error?.passes && !state.error;
            this.state.set(state);
            // A server that went away may come back with another model.
            if (isBack) this.live.later("model", this.#compare());
        });
        addEventListener("visibilitychange", () => document.hidden && void this.saveNow());
    }

    get map(): LabelMap {
        return this.#history.map;
    }

    get sheet(): Sheet {
        return { map: this.map, scene: this.scene.value, model: this.model.hash };
    }

    change(part: Partial<Scene>): void {
        this.scene.set({ ...this.scene.value, ...part });
        this.refresh();
    }

    /** The map is another one now, not the same one after an edit. */
    opened(): void {
        this.#documents++;
    }

    /** Asks for the photo of the map as it is now, and keeps the work. */
    refresh(): void {
        this.#asked = { map: this.map, edits: this.map.edits };
        this.live.ask({ topic: `photo ${this.#documents}`, run: (signal) => this.#generate(signal) });
        if (this.#saving !== null) clearTimeout(this.#saving);
        this.#saving = setTimeout(() => void this.saveNow(), SAVE_AFTER);
    }

    /** As {@link refresh}, but not where the map is the one that was asked for last. */
    refreshIfChanged(): void {
        if (this.map === this.#asked?.map && this.map.edits === this.#asked.edits) return;
        this.refresh();
    }

    async saveNow(): Promise<void> {
        if (this.#saving === null) return;
        clearTimeout(this.#saving);
        this.#saving = null;
        await this.store.save(this.model.hash, this.map, this.scene.value);
    }

    /** Does something when the server is free; newer work with the same key takes its place. */
    later<T>(key: string, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
        return new Promise((resolve, reject) => {
            this.live.later(key, {
                topic: key,
                run: async (signal) => resolve(await run(signal)),
                failed: reject,
            });
        });
    }

    className(id: number): string {
        return this.classes.find((known) => known.id === id)?.name ?? String(id);
    }

    async #generate(signal: AbortSignal): Promise<void> {
        // The newest map and scene, not those of the moment at which the work was asked for.
        const sheet = { map: this.map, scene: { ...this.scene.value }, model: this.model.hash };
        const copy = new LabelMap(sheet.map.width, sheet.map.height, sheet.map.data);
        const { png, milliseconds } = await this.api.generate(copy, sheet.scene, signal);
        if (!signal.aborted) this.shown.set({ sheet: { ...sheet, map: copy }, png, milliseconds });
    }

    #compare() {
        return {
            topic: "model",
            run: async () => {
                const { hash } = await this.api.model();
                this.isOtherModel.set(hash !== this.model.hash);
            },
        };
    }
}

/** What the page knows of the server when it starts. */
export interface Connected {
    api: Api;
    live: Live;
    model: Model;
    classes: Class[];
    follow(listener: (state: LiveState) => void): void;
}

/** Ways out of an error. */
export interface Again {
    now(): void;
    withToken(token: string): void;
}

/** Asks for the model and its classes until the server tells them; `told` hears of every hindrance. */
export function connect(token: string | null, told: (state: LiveState, again: Again) => void): Promise<Connected> {
    const api = new Api();
    api.token = token ?? sessionStorage.getItem(TOKEN);
    if (token !== null) sessionStorage.setItem(TOKEN, token);
    let follow: (state: LiveState) => void = () => undefined;
    const again: Again = {
        now: () => live.retry(),
        withToken: (next) => {
            api.token = next;
            sessionStorage.setItem(TOKEN, next);
            live.again();
        },
    };
    const live = new Live((state) => {
        told(state, again);
        follow(state);
    });
    return new Promise((resolve) => {
        const run = async () => {
            const [model, classes] = [await api.model(), await api.classes()];
            resolve({ api, live, model, classes, follow: (listener) => (follow = listener) });
        };
        live.ask({ topic: "start", run });
    });
}

function colours(classes: readonly Class[]): Colour[] {
    const result: Colour[] = [];
    for (const { id, color } of classes) {
        const value = Number.parseInt(color.slice(1), 16);
        result[id] = [value >> 16, (value >> 8) & 255, value & 255];
    }
    return result;
}
