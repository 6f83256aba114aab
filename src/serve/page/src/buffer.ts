/** Pixels from `left` and `top` up to but without `right` and `bottom`. */
export interface Rect {
    left: number;
    top: number;
    right: number;
    bottom: number;
}

/** Side of a tile in pixels. A step of undo keeps the tiles that it changed. */
export const TILE = 32;

/**
 * A label map: one class id per pixel, row by row.
 *
 * Every tool writes through {@link span} or {@link row}, so that undo and drawing know what changed.
 */
export class LabelMap {
    readonly width: number;
    readonly height: number;
    readonly data: Uint8Array<ArrayBuffer>;
    /** Tiles as they were before the open step, by their number; null while no step is open. */
    #before: Map<number, Uint8Array<ArrayBuffer>> | null = null;
    #dirty: Rect | null;
    /** Grows with every write. */
    edits = 0;

    constructor(width: number, height: number, data?: Uint8Array) {
        if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
            throw new RangeError(`a label map cannot be ${width}x${height}`);
        }
        if (data && data.length !== width * height) {
            throw new RangeError(`${data.length} ids do not fill ${width}x${height}`);
        }
        this.width = width;
        this.height = height;
        this.data = data ? new Uint8Array(data) : new Uint8Array(width * height);
        this.#dirty = this.bounds;
    }

    get bounds(): Rect {
        return { left: 0, top: 0, right: this.width, bottom: this.height };
    }

    inside(x: number, y: number): boolean {
        return x >= 0 && y >= 0 && x < this.width && y < this.height;
    }

    at(x: number, y: number): number {
        return this.data[y * this.width + x];
    }

    /** Fills a row from `left` up to `right` with a class; what is outside the map is left out. */
    span(y: number, left: number, right: number, id: number): void {
        const from = Math.max(0, left);
        const to = Math.min(this.width, right);
        if (y < 0 || y >= this.height || from >= to) return;
        this.#touch(y, from, to);
        this.data.fill(id, y * this.width + from, y * this.width + to);
    }

    /** Writes a whole row. */
    row(y: number, ids: Uint8Array): void {
        this.#touch(y, 0, this.width);
        this.data.set(ids, y * this.width);
    }

    /** What changed since the last call; null for nothing. */
    takeDirty(): Rect | null {
        const dirty = this.#dirty;
        this.#dirty = null;
        return dirty;
    }

    /** Opens a step: from here on, tiles are kept before they change. */
    begin(): void {
        this.#before = new Map();
    }

    /** Puts back what the open step changed; the step stays open. */
    rollback(): void {
        if (!this.#before) return;
        const before = this.#before;
        this.#before = null;
        for (const [tile, ids] of before) this.swapTile(tile, ids);
        this.#before = new Map();
    }

    /** Closes the step and returns the tiles that differ, as they were before it. */
    commit(): Map<number, Uint8Array<ArrayBuffer>> {
        const before = this.#before ?? new Map<number, Uint8Array<ArrayBuffer>>();
        this.#before = null;
        for (const [tile, ids] of before) {
            if (same(ids, this.#copyTile(tile))) before.delete(tile);
        }
        return before;
    }

    /** Exchanges a tile with other ids; returns what it held. */
    swapTile(tile: number, ids: Uint8Array): Uint8Array<ArrayBuffer> {
        const held = this.#copyTile(tile);
        const { left, top, right, bottom } = this.#tileRect(tile);
        for (let y = top; y < bottom; y++) {
            const from = (y - top) * (right - left);
            this.data.set(ids.subarray(from, from + right - left), y * this.width + left);
        }
        this.#grow(left, top, right, bottom);
        return held;
    }

    #touch(y: number, left: number, right: number): void {
        this.#grow(left, y, right, y + 1);
        if (!this.#before) return;
        const row = Math.floor(y / TILE) * this.#tilesAcross;
        const last = Math.floor((right - 1) / TILE);
        for (let column = Math.floor(left / TILE); column <= last; column++) {
            if (!this.#before.has(row + column)) this.#before.set(row + column, this.#copyTile(row + column));
        }
    }

    #grow(left: number, top: number, right: number, bottom: number): void {
        this.edits++;
        const dirty = this.#dirty;
        if (!dirty) {
            this.#dirty = { left, top, right, bottom };
            return;
        }
        dirty.left = Math.min(dirty.left, left);
        dirty.top = Math.min(dirty.top, top);
        dirty.right = Math.max(dirty.right, right);
        dirty.bottom = Math.max(dirty.bottom, bottom);
    }

    get #tilesAcross(): number {
        return Math.ceil(this.width / TILE);
    }

    #tileRect(tile: number): Rect {
        const left = (tile % this.#tilesAcross) * TILE;
        const top = Math.floor(tile / this.#tilesAcross) * TILE;
        return { left, top, right: Math.min(left + TILE, this.width), bottom: Math.min(top + TILE, this.height) };
    }

    #copyTile(tile: number): Uint8Array<ArrayBuffer> {
        const { left, top, right, bottom } = this.#tileRect(tile);
        const ids = new Uint8Array((right - left) * (bottom - top));
        for (let y = top; y < bottom; y++) {
            const from = y * this.width + left;
            ids.set(this.data.subarray(from, from + right - left), (y - top) * (right - left));
        }
        return ids;
    }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
    for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
    return true;
}
