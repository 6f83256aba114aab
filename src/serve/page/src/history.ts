import { LabelMap } from "./buffer.ts";

/** Steps that are always kept, however many bytes they take. */
const STEPS = 100;
/** Bytes that all steps may take before older ones are forgotten. */
const BYTES = 64 * 1024 * 1024;

/** Tiles that changed, or the whole map where another one was opened. */
type Step = { tiles: Map<number, Uint8Array<ArrayBuffer>> } | { map: LabelMap };

/** The label map with undo and redo. A step holds the other side only: undo exchanges it with the map. */
export class History {
    map: LabelMap;
    #past: Step[] = [];
    #future: Step[] = [];
    #open = false;

    readonly #bytes: number;

    /** Steps before the last hundred are kept as long as all take at most `bytes`. */
    constructor(map: LabelMap, bytes = BYTES) {
        this.map = map;
        this.#bytes = bytes;
    }

    get canUndo(): boolean {
        return this.#past.length > 0;
    }

    get canRedo(): boolean {
        return this.#future.length > 0;
    }

    get isOpen(): boolean {
        return this.#open;
    }

    begin(): void {
        if (this.#open) this.commit();
        this.map.begin();
        this.#open = true;
    }

    /** Closes the open step; false where it changed nothing, and then it is no step. */
    commit(): boolean {
        if (!this.#open) return false;
        this.#open = false;
        const tiles = this.map.commit();
        if (tiles.size === 0) return false;
        this.#push({ tiles });
        return true;
    }

    /** Takes back the open step. */
    cancel(): void {
        if (!this.#open) return;
        this.map.rollback();
        this.map.commit();
        this.#open = false;
    }

    /** Does all of an edit in one step. */
    edit(change: (map: LabelMap) => void): boolean {
        this.begin();
        change(this.map);
        return this.commit();
    }

    /** Opens another map; undo brings the old one back. */
    replace(map: LabelMap): void {
        this.cancel();
        this.#push({ map: this.map });
        this.map = map;
    }

    undo(): boolean {
        this.cancel();
        return this.#exchange(this.#past, this.#future);
    }

    redo(): boolean {
        this.cancel();
        return this.#exchange(this.#future, this.#past);
    }

    #push(step: Step): void {
        this.#past.push(step);
        this.#future = [];
        let bytes = 0;
        for (let kept = 1; kept <= this.#past.length; kept++) {
            bytes += size(this.#past[this.#past.length - kept]);
            if (kept > STEPS && bytes > this.#bytes) {
                this.#past.splice(0, this.#past.length - kept + 1);
                return;
            }
        }
    }

    #exchange(from: Step[], to: Step[]): boolean {
        const step = from.pop();
        if (!step) return false;
        if ("map" in step) {
            to.push({ map: this.map });
            this.map = step.map;
        } else {
            const tiles = new Map<number, Uint8Array<ArrayBuffer>>();
            for (const [tile, ids] of step.tiles) tiles.set(tile, this.map.swapTile(tile, ids));
            to.push({ tiles });
        }
        return true;
    }
}

function size(step: Step): number {
    if ("map" in step) return step.map.data.length;
    let bytes = 0;
    for (const ids of step.tiles.values()) bytes += ids.length;
    return bytes;
}
