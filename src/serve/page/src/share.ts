import { LabelMap } from "./buffer.ts";
import { deflate, fromBase64, inflate, toBase64Url } from "./bytes.ts";
import { query, readScene, type Scene } from "./scene.ts";

/** A label map with what makes its photo: all that a link or a saved photo holds. */
export interface Sheet {
    map: LabelMap;
    scene: Scene;
    /** Hash of the model, in hex. */
    model: string;
}

/** Pixels that a link or a file may claim. */
const MAX_PIXELS = 1 << 24;

/** Packs a sheet into text: `size=WxH&map=…&model=…` and the scene; map is base64url of raw deflate. */
export async function pack(sheet: Sheet): Promise<string> {
    const parameters = new URLSearchParams({
        size: `${sheet.map.width}x${sheet.map.height}`,
        model: sheet.model,
    });
    for (const [name, value] of query(sheet.scene)) parameters.set(name, value);
    parameters.set("map", toBase64Url(await deflate(sheet.map.data)));
    return parameters.toString();
}

/** Reads what {@link pack} wrote; null where there is no map, an error where there is a broken one. */
export async function unpack(text: string): Promise<Sheet | null> {
    const parameters = new URLSearchParams(text);
    const packed = parameters.get("map");
    if (packed === null) return null;
    const size = /^(\d{1,5})x(\d{1,5})$/.exec(parameters.get("size") ?? "");
    if (!size) throw new RangeError("no size");
    const [width, height] = [Number(size[1]), Number(size[2])];
    if (width * height > MAX_PIXELS) throw new RangeError(`${width}x${height} is too large`);
    const map = new LabelMap(width, height, await inflate(fromBase64(packed), width * height));
    return { map, scene: readScene(parameters), model: parameters.get("model") ?? "" };
}
