/** Where the map and the photo lie on the stage. All lengths are CSS pixels. */

export type Mode = "split" | "overlay" | "wipe";
export const MODES: readonly Mode[] = ["split", "overlay", "wipe"];

export interface Size {
    width: number;
    height: number;
}

export interface Pane extends Size {
    x: number;
    y: number;
}

export interface Panes {
    map: Pane;
    photo: Pane;
    /** CSS pixels per map pixel at 100 %, where the whole map fits. */
    fit: number;
}

/** What the panes look at: `zoom` 1 to 8, and the place of the map in their middle. */
export interface Camera {
    zoom: number;
    x: number;
    y: number;
}

export const MAX_ZOOM = 8;
const GAP = 12;

export function layout(mode: Mode, stage: Size, map: Size): Panes {
    const inner = {
        x: GAP,
        y: GAP,
        width: Math.max(1, stage.width - 2 * GAP),
        height: Math.max(1, stage.height - 2 * GAP),
    };
    if (mode !== "split") return { map: inner, photo: inner, fit: fit(inner, map) };
    const column = { ...inner, width: Math.max(1, (inner.width - GAP) / 2) };
    const row = { ...inner, height: Math.max(1, (inner.height - GAP) / 2) };
    if (fit(column, map) >= fit(row, map)) {
        return { map: column, photo: { ...column, x: column.x + column.width + GAP }, fit: fit(column, map) };
    }
    return { map: row, photo: { ...row, y: row.y + row.height + GAP }, fit: fit(row, map) };
}

/** The part of a pane that the map covers. */
export function covered(pane: Pane, panes: Panes, camera: Camera, map: Size): Pane {
    const scale = panes.fit * camera.zoom;
    const x = pane.x + pane.width / 2 - camera.x * scale;
    const y = pane.y + pane.height / 2 - camera.y * scale;
    return { x, y, width: map.width * scale, height: map.height * scale };
}

/** The place of the map under a place of the stage. */
export function toMap(pane: Pane, panes: Panes, camera: Camera, x: number, y: number): { x: number; y: number } {
    const scale = panes.fit * camera.zoom;
    return {
        x: camera.x + (x - pane.x - pane.width / 2) / scale,
        y: camera.y + (y - pane.y - pane.height / 2) / scale,
    };
}

export function contains(pane: Pane, x: number, y: number): boolean {
    return x >= pane.x && y >= pane.y && x < pane.x + pane.width && y < pane.y + pane.height;
}

/** Zooms by a factor so that a place of the map stays where it is. */
export function zoomAt(camera: Camera, factor: number, x: number, y: number): Camera {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, camera.zoom * factor));
    const kept = camera.zoom / zoom;
    return { zoom, x: x + (camera.x - x) * kept, y: y + (camera.y - y) * kept };
}

/** Keeps the map in the pane: centred where it is smaller, without a gap where it is larger. */
export function settle(camera: Camera, panes: Panes, map: Size): Camera {
    const scale = panes.fit * camera.zoom;
    const side = (at: number, pane: number, size: number) => {
        const half = pane / 2 / scale;
        return 2 * half >= size ? size / 2 : Math.min(size - half, Math.max(half, at));
    };
    return {
        zoom: camera.zoom,
        x: side(camera.x, panes.map.width, map.width),
        y: side(camera.y, panes.map.height, map.height),
    };
}

/** Moves the camera as little as it takes to see a place. */
export function reveal(camera: Camera, panes: Panes, map: Size, x: number, y: number): Camera {
    const scale = panes.fit * camera.zoom;
    const halfX = (panes.map.width / 2 / scale) * 0.9;
    const halfY = (panes.map.height / 2 / scale) * 0.9;
    const moved = {
        zoom: camera.zoom,
        x: Math.min(x + halfX, Math.max(x - halfX, camera.x)),
        y: Math.min(y + halfY, Math.max(y - halfY, camera.y)),
    };
    return settle(moved, panes, map);
}

function fit(pane: Size, map: Size): number {
    return Math.min(pane.width / map.width, pane.height / map.height);
}
