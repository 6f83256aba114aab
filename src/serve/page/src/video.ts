import { LabelMap } from "./buffer.ts";
import type { Session } from "./session.ts";

const SECONDS = 5;
const FRAMES_PER_SECOND = 30;
/** Photos asked of the server for one video: as many as it makes in half a minute. */
const MOST = 49;
const FEWEST = 9;
const PATIENCE = 30_000;

const KINDS = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];

/** The first kind of WebM that this browser records; null for none. */
export function videoKind(): string | null {
    if (typeof MediaRecorder === "undefined") return null;
    return KINDS.find((kind) => MediaRecorder.isTypeSupported(kind)) ?? null;
}

/** How many photos make a video. */
export function photoCount(milliseconds: number | null): number {
    return Math.min(MOST, Math.max(FEWEST, Math.floor(PATIENCE / (milliseconds ?? 1000))));
}

/** Photos from the noise of one seed to that of the other, in even steps; `told` hears of each. */
export async function photos(
    session: Session,
    told: (part: number) => void,
    signal: AbortSignal,
): Promise<ImageBitmap[]> {
    const { map, scene } = session.sheet;
    const count = photoCount(session.shown.value?.milliseconds ?? session.model.milliseconds_per_image);
    // Edits while the photos come must not get into the video.
    const frozen = new LabelMap(map.width, map.height, map.data);
    const result: ImageBitmap[] = [];
    for (let index = 0; index < count; index++) {
        signal.throwIfAborted();
        const mix = index / (count - 1);
        const photo = await session.later("video", (abort) => session.api.generate(frozen, { ...scene, mix }, abort));
        result.push(await createImageBitmap(new Blob([photo.png], { type: "image/png" })));
        told((index + 1) / count);
    }
    return result;
}

/** Records five seconds that fade from photo to photo. */
export async function record(frames: readonly ImageBitmap[], kind: string, signal: AbortSignal): Promise<Blob> {
    const canvas = document.createElement("canvas");
    canvas.width = frames[0].width;
    canvas.height = frames[0].height;
    const context = canvas.getContext("2d", { alpha: false })!;
    const recorder = new MediaRecorder(canvas.captureStream(FRAMES_PER_SECOND), {
        mimeType: kind,
        videoBitsPerSecond: 8_000_000,
    });
    const parts: Blob[] = [];
    recorder.ondataavailable = (event) => parts.push(event.data);
    const stopped = new Promise<void>((resolve) => (recorder.onstop = () => resolve()));
    recorder.start();
    const start = performance.now();
    await new Promise<void>((resolve) => {
        const draw = () => {
            const part = Math.min(1, (performance.now() - start) / (SECONDS * 1000));
            const place = part * (frames.length - 1);
            const first = Math.min(frames.length - 2, Math.floor(place));
            context.globalAlpha = 1;
            context.drawImage(frames[first], 0, 0);
            context.globalAlpha = place - first;
            context.drawImage(frames[first + 1], 0, 0);
            if (part < 1 && !signal.aborted) setTimeout(draw, 1000 / FRAMES_PER_SECOND);
            else resolve();
        };
        draw();
    });
    recorder.stop();
    await stopped;
    signal.throwIfAborted();
    return new Blob(parts, { type: kind.split(";")[0] });
}
