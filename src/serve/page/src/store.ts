import { LabelMap } from "./buffer.ts";
import { firstScene, type Scene } from "./scene.ts";

/** What a reload brings back. */
export interface Saved {
    width: number;
    height: number;
    ids: Uint8Array;
    scene: Scene;
}

/**
 * What the browser keeps: the work on each model and the thumbnails of its classes.
 *
 * Private windows may refuse the database; the page then works without it.
 */
export class Store {
    readonly #database: Promise<IDBDatabase | null>;

    constructor() {
        this.#database = open().catch(() => null);
    }

    async save(model: string, map: LabelMap, scene: Scene): Promise<void> {
        const saved: Saved = { width: map.width, height: map.height, ids: map.data.slice(), scene: { ...scene } };
        await this.#put(`work:${model}`, saved);
    }

    async load(model: string): Promise<{ map: LabelMap; scene: Scene } | null> {
        const saved = (await this.#get(`work:${model}`)) as Saved | null;
        if (!saved) return null;
        try {
            const map = new LabelMap(saved.width, saved.height, saved.ids);
            return { map, scene: { ...firstScene(), ...saved.scene } };
        } catch {
            return null;
        }
    }

    async saveThumbnail(model: string, id: number, png: Uint8Array): Promise<void> {
        await this.#put(`thumbnail:${model}:${id}`, png);
    }

    async thumbnail(model: string, id: number): Promise<Uint8Array<ArrayBuffer> | null> {
        return (await this.#get(`thumbnail:${model}:${id}`)) as Uint8Array<ArrayBuffer> | null;
    }

    async #get(key: string): Promise<unknown> {
        const database = await this.#database;
        if (!database) return null;
        return finished(database.transaction("pages").objectStore("pages").get(key)).catch(() => null);
    }

    async #put(key: string, value: unknown): Promise<void> {
        const database = await this.#database;
        if (!database) return;
        // A full disk must not stop the work.
        const store = database.transaction("pages", "readwrite").objectStore("pages");
        await finished(store.put(value, key)).catch(() => undefined);
    }
}

function open(): Promise<IDBDatabase> {
    const request = indexedDB.open("dp-sims", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("pages");
    return finished(request);
}

function finished<T>(request: IDBRequest<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
}
