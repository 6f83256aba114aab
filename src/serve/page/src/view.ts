import type { LabelMap } from "./buffer.ts";
import { covered, layout, settle, type Camera, type Mode, type Pane, type Panes } from "./geometry.ts";
import { SIDE, table, type Colour } from "./hatch.ts";

/** What lies over the map: the brush, an open polygon, the cursor of the keyboard. */
export interface Marks {
    /** Outline of the brush in map pixels. */
    tip: { x: number; y: number; size: number; square: boolean } | null;
    /** Pixel of the keyboard's cursor. */
    cursor: { x: number; y: number } | null;
    path: readonly { x: number; y: number }[];
    isClosed: boolean;
}

/** Draws the label map and the photo on one canvas. Draws once per frame at most, and only after a change. */
export class View {
    readonly canvas: HTMLCanvasElement;
    readonly #context: CanvasRenderingContext2D;
    readonly #flat = document.createElement("canvas");
    readonly #hatched = document.createElement("canvas");
    #map: LabelMap;
    #photo: ImageBitmap | null = null;
    #words = table([], false);
    #patterns: Uint32Array | null = null;
    #frame = 0;
    camera: Camera = { zoom: 1, x: 0, y: 0 };
    mode: Mode = "split";
    /** Opacity of the map over the photo, 0 to 1. */
    opacity = 0.5;
    /** Share of the width that shows the map, 0 to 1. */
    wipe = 0.5;
    marks: Marks = { tip: null, cursor: null, path: [], isClosed: false };
    /** Called after the panes moved. */
    onCamera: () => void = () => undefined;

    constructor(canvas: HTMLCanvasElement, map: LabelMap) {
        this.canvas = canvas;
        this.#context = canvas.getContext("2d", { alpha: false })!;
        this.#map = map;
        this.show(map);
        new ResizeObserver(() => this.moveTo(this.camera)).observe(canvas);
    }

    get panes(): Panes {
        return layout(this.mode, { width: this.canvas.clientWidth, height: this.canvas.clientHeight }, this.#map);
    }

    /** Shows another map, or this one after an edit. */
    show(map: LabelMap): void {
        if (this.#map.width !== map.width || this.#map.height !== map.height || this.camera.x === 0) {
            this.camera = { zoom: 1, x: map.width / 2, y: map.height / 2 };
        }
        if (map !== this.#map || this.#flat.width !== map.width || this.#flat.height !== map.height) {
            this.#map = map;
            this.#flat.width = map.width;
            this.#flat.height = map.height;
            map.takeDirty();
            this.#paint(0, 0, map.width, map.height);
        } else {
            const dirty = map.takeDirty();
            if (dirty) this.#paint(dirty.left, dirty.top, dirty.right, dirty.bottom);
        }
        this.draw();
    }

    setPhoto(photo: ImageBitmap | null): void {
        this.#photo?.close();
        this.#photo = photo;
        this.draw();
    }

    setColours(colours: readonly Colour[], hatched: boolean): void {
        this.#words = table(colours, false);
        this.#patterns = hatched ? table(colours, true) : null;
        this.#paint(0, 0, this.#map.width, this.#map.height);
        this.draw();
    }

    moveTo(camera: Camera): void {
        this.camera = settle(camera, this.panes, this.#map);
        this.onCamera();
        this.draw();
    }

    draw(): void {
        if (this.#frame) return;
        this.#frame = requestAnimationFrame(() => {
            this.#frame = 0;
            this.#render();
        });
    }

    #paint(left: number, top: number, right: number, bottom: number): void {
        const width = right - left;
        const image = new ImageData(width, bottom - top);
        const pixels = new Uint32Array(image.data.buffer);
        for (let y = top; y < bottom; y++) {
            for (let x = left; x < right; x++) {
                pixels[(y - top) * width + x - left] = this.#words[this.#map.at(x, y) * SIDE * SIDE];
            }
        }
        this.#flat.getContext("2d")!.putImageData(image, left, top);
    }

    #render(): void {
        const { canvas } = this;
        const ratio = devicePixelRatio;
        const width = Math.round(canvas.clientWidth * ratio);
        const height = Math.round(canvas.clientHeight * ratio);
        if (width === 0 || height === 0) return;
        if (canvas.width !== width || canvas.height !== height) {
            canvas.width = width;
            canvas.height = height;
        }
        const context = this.#context;
        context.setTransform(ratio, 0, 0, ratio, 0, 0);
        context.fillStyle = getComputedStyle(canvas).backgroundColor;
        context.fillRect(0, 0, canvas.clientWidth, canvas.clientHeight);
        const panes = this.panes;
        if (this.mode === "split") {
            this.#clipped(panes.map, () => this.#drawMap(panes.map, panes));
            this.#clipped(panes.photo, () => this.#drawPhoto(panes.photo, panes));
            for (const pane of [panes.map, panes.photo]) this.#clipped(pane, () => this.#drawMarks(pane, panes));
            return;
        }
        this.#clipped(panes.map, () => {
            this.#drawPhoto(panes.photo, panes);
            if (this.mode === "overlay") {
                context.globalAlpha = this.#photo ? this.opacity : 1;
                this.#drawMap(panes.map, panes);
                context.globalAlpha = 1;
            } else {
                const box = covered(panes.map, panes, this.camera, this.#map);
                const edge = this.wipeEdge(panes);
                const left = { x: box.x, y: box.y, width: edge - box.x, height: box.height };
                this.#clipped(left, () => this.#drawMap(panes.map, panes));
                context.fillStyle = "#fff";
                context.fillRect(edge - 1, panes.map.y, 2, panes.map.height);
                context.fillStyle = "#000";
                context.fillRect(edge + 1, panes.map.y, 1, panes.map.height);
            }
            this.#drawMarks(panes.map, panes);
        });
    }

    /** From where to where the wipe goes. */
    wipeRange(panes = this.panes): [number, number] {
        const box = covered(panes.map, panes, this.camera, this.#map);
        return [Math.max(box.x, panes.map.x), Math.min(box.x + box.width, panes.map.x + panes.map.width)];
    }

    /** Where the wipe divides the pane. */
    wipeEdge(panes = this.panes): number {
        const [left, right] = this.wipeRange(panes);
        return left + (right - left) * this.wipe;
    }

    #clipped(pane: Pane, draw: () => void): void {
        this.#context.save();
        this.#context.beginPath();
        this.#context.rect(pane.x, pane.y, pane.width, pane.height);
        this.#context.clip();
        draw();
        this.#context.restore();
    }

    #drawMap(pane: Pane, panes: Panes): void {
        const box = covered(pane, panes, this.camera, this.#map);
        this.#context.imageSmoothingEnabled = false;
        if (this.#patterns) this.#drawPatterns(pane, box, this.#patterns);
        else this.#context.drawImage(this.#flat, box.x, box.y, box.width, box.height);
    }

    #drawPhoto(pane: Pane, panes: Panes): void {
        const box = covered(pane, panes, this.camera, this.#map);
        const context = this.#context;
        if (this.#photo) {
            context.imageSmoothingEnabled = true;
            context.imageSmoothingQuality = "high";
            context.drawImage(this.#photo, box.x, box.y, box.width, box.height);
        } else {
            context.fillStyle = getComputedStyle(this.canvas).getPropertyValue("--empty");
            context.fillRect(box.x, box.y, box.width, box.height);
        }
    }

    /** Patterns have the size of the screen's pixels at every zoom, so they are drawn pixel by pixel. */
    #drawPatterns(pane: Pane, box: Pane, words: Uint32Array): void {
        const ratio = devicePixelRatio;
        const left = Math.max(pane.x, box.x);
        const top = Math.max(pane.y, box.y);
        const width = Math.round((Math.min(pane.x + pane.width, box.x + box.width) - left) * ratio);
        const height = Math.round((Math.min(pane.y + pane.height, box.y + box.height) - top) * ratio);
        if (width < 1 || height < 1) return;
        const image = new ImageData(width, height);
        const pixels = new Uint32Array(image.data.buffer);
        const scale = box.width / this.#map.width;
        const columns = Int32Array.from({ length: width }, (_, x) =>
            this.#nearest((left - box.x + (x + 0.5) / ratio) / scale, this.#map.width),
        );
        const coarse = Math.max(1, Math.round(ratio));
        for (let y = 0; y < height; y++) {
            const row = this.#nearest((top - box.y + (y + 0.5) / ratio) / scale, this.#map.height) * this.#map.width;
            const line = (Math.floor(y / coarse) % SIDE) * SIDE;
            for (let x = 0; x < width; x++) {
                const id = this.#map.data[row + columns[x]];
                pixels[y * width + x] = words[id * SIDE * SIDE + line + (Math.floor(x / coarse) % SIDE)];
            }
        }
        this.#hatched.width = width;
        this.#hatched.height = height;
        this.#hatched.getContext("2d")!.putImageData(image, 0, 0);
        this.#context.drawImage(this.#hatched, left, top, width / ratio, height / ratio);
    }

    #nearest(at: number, size: number): number {
        return Math.min(size - 1, Math.max(0, Math.floor(at)));
    }

    #drawMarks(pane: Pane, panes: Panes): void {
        const context = this.#context;
        const box = covered(pane, panes, this.camera, this.#map);
        const scale = box.width / this.#map.width;
        const { tip, cursor, path, isClosed } = this.marks;
        const at = (point: { x: number; y: number }) => [box.x + point.x * scale, box.y + point.y * scale] as const;
        if (path.length > 0) {
            context.beginPath();
            for (const point of path) context.lineTo(...at(point));
            if (isClosed) context.closePath();
            this.#outline();
            for (const point of isClosed ? [] : path) {
                context.beginPath();
                context.arc(...at(point), 3, 0, 7);
                this.#outline();
            }
        }
        if (tip) {
            context.beginPath();
            const [x, y] = at(tip);
            const half = Math.max(1.5, (tip.size * scale) / 2);
            if (tip.square) context.rect(x - half, y - half, 2 * half, 2 * half);
            else context.arc(x, y, half, 0, 7);
            this.#outline();
        }
        if (cursor) {
            const [x, y] = at({ x: cursor.x + 0.5, y: cursor.y + 0.5 });
            context.beginPath();
            const reach = Math.max(8, scale);
            for (const [dx, dy] of [
                [1, 0],
                [-1, 0],
                [0, 1],
                [0, -1],
            ]) {
                context.moveTo(x + (dx * scale) / 2, y + (dy * scale) / 2);
                context.lineTo(x + dx * reach * 1.5, y + dy * reach * 1.5);
            }
            this.#outline();
        }
    }

    /** White within black: seen on every colour. */
    #outline(): void {
        const context = this.#context;
        context.lineJoin = "round";
        context.strokeStyle = "#000";
        context.lineWidth = 3;
        context.stroke();
        context.strokeStyle = "#fff";
        context.lineWidth = 1.25;
        context.stroke();
    }
}
