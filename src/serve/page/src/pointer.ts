import { contains, toMap, zoomAt, type Pane } from "./geometry.ts";
import type { Gestures, Press, Tool } from "./gestures.ts";
import type { View } from "./view.ts";

export interface PointerHooks {
    tool(): Tool;
    /** After the map may have changed; `isDone` at the end of a stroke. */
    edited(isDone: boolean): void;
    /** Where the pointer is, in map pixels; null off the map. */
    hover(at: { x: number; y: number } | null): void;
    wiped(): void;
}

/** Distance in CSS pixels within which a press takes hold of the wipe or closes a polygon. */
const REACH = 12;

/** One finger, the pen or the mouse paints; two fingers, the middle button or the hand move the map; the wheel zooms. */
export function bindPointer(view: View, gestures: Gestures, hooks: PointerHooks): void {
    const { canvas } = view;
    const touches = new Map<number, { x: number; y: number }>();
    /** The pane in which the drag began. */
    let pane: Pane | null = null;
    let drag: "paint" | "pan" | "wipe" | "pinch" | null = null;
    let last = { x: 0, y: 0 };

    const place = (event: MouseEvent) => {
        const box = canvas.getBoundingClientRect();
        return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const paneAt = (x: number, y: number) => {
        const { map, photo } = view.panes;
        return contains(map, x, y) ? map : contains(photo, x, y) ? photo : null;
    };
    const press = (event: PointerEvent, on: Pane): Press => {
        const { x, y } = place(event);
        const pressure = event.pointerType === "pen" ? Math.max(0.05, event.pressure) : 1;
        return { ...toMap(on, view.panes, view.camera, x, y), pressure, straight: event.shiftKey };
    };
    const pan = (dx: number, dy: number) => {
        const scale = view.panes.fit * view.camera.zoom;
        view.moveTo({ ...view.camera, x: view.camera.x - dx / scale, y: view.camera.y - dy / scale });
    };

    canvas.addEventListener("pointerdown", (event) => {
        const at = place(event);
        canvas.setPointerCapture(event.pointerId);
        if (event.pointerType === "touch") {
            touches.set(event.pointerId, at);
            if (touches.size > 1) {
                if (gestures.cancel()) hooks.edited(true);
                drag = "pinch";
                return;
            }
        }
        if (event.button > 1) return;
        const isWipe = view.mode === "wipe" && Math.abs(at.x - view.wipeEdge()) < REACH;
        pane = paneAt(at.x, at.y);
        last = at;
        if (event.button === 1 || hooks.tool() === "hand") drag = "pan";
        else if (isWipe) drag = "wipe";
        else if (pane) {
            const first = gestures.path[0];
            const now = press(event, pane);
            const reach = REACH / (view.panes.fit * view.camera.zoom);
            drag = "paint";
            if (
                hooks.tool() === "polygon" &&
                gestures.path.length > 2 &&
                Math.hypot(first.x - now.x, first.y - now.y) < reach
            )
                gestures.close();
            else gestures.down(now);
            hooks.edited(!gestures.isDown);
        }
    });

    canvas.addEventListener("pointermove", (event) => {
        const at = place(event);
        if (drag === "pinch") {
            const before = [...touches.values()];
            touches.set(event.pointerId, at);
            const after = [...touches.values()];
            if (after.length === 2) pinch(view, before, after, paneAt(after[0].x, after[0].y) ?? view.panes.map);
            return;
        }
        const under = pane ?? paneAt(at.x, at.y);
        hooks.hover(under && toMap(under, view.panes, view.camera, at.x, at.y));
        if (drag === "paint" && pane && gestures.isDown) {
            const events = event.getCoalescedEvents?.() ?? [];
            for (const part of events.length > 0 ? events : [event]) gestures.move(press(part, pane));
            hooks.edited(false);
        } else if (drag === "pan") {
            pan(at.x - last.x, at.y - last.y);
            last = at;
        } else if (drag === "wipe") {
            const [left, right] = view.wipeRange();
            view.wipe = Math.min(1, Math.max(0, (at.x - left) / Math.max(1, right - left)));
            hooks.wiped();
            view.draw();
        } else if (view.mode === "wipe") {
            canvas.classList.toggle("wiping", Math.abs(at.x - view.wipeEdge()) < REACH);
        }
    });

    const end = (event: PointerEvent) => {
        touches.delete(event.pointerId);
        if (drag === "paint" && gestures.isDown) {
            if (event.type === "pointercancel") gestures.cancel();
            else gestures.up();
            hooks.edited(true);
        }
        if (touches.size === 0) drag = null;
        pane = null;
        if (event.pointerType === "touch") hooks.hover(null);
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("pointerleave", () => hooks.hover(null));
    canvas.addEventListener("dblclick", () => {
        if (gestures.path.length < 3) return;
        gestures.close();
        hooks.edited(true);
    });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener(
        "wheel",
        (event) => {
            event.preventDefault();
            const at = place(event);
            const on = paneAt(at.x, at.y) ?? view.panes.map;
            const map = toMap(on, view.panes, view.camera, at.x, at.y);
            const speed = event.ctrlKey ? 0.01 : 0.0015;
            view.moveTo(zoomAt(view.camera, Math.exp(-event.deltaY * speed), map.x, map.y));
        },
        { passive: false },
    );
}

/** Moves the map with two fingers: what was between them stays between them. */
function pinch(view: View, before: { x: number; y: number }[], after: { x: number; y: number }[], pane: Pane): void {
    const middle = (touches: { x: number; y: number }[]) => ({
        x: (touches[0].x + touches[1].x) / 2,
        y: (touches[0].y + touches[1].y) / 2,
    });
    const apart = (touches: { x: number; y: number }[]) =>
        Math.hypot(touches[0].x - touches[1].x, touches[0].y - touches[1].y);
    const [from, to] = [middle(before), middle(after)];
    const held = toMap(pane, view.panes, view.camera, from.x, from.y);
    const camera = zoomAt(view.camera, apart(after) / Math.max(1, apart(before)), held.x, held.y);
    const scale = view.panes.fit * camera.zoom;
    view.moveTo({ ...camera, x: camera.x - (to.x - from.x) / scale, y: camera.y - (to.y - from.y) / scale });
}
