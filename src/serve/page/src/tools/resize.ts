import { LabelMap } from "../buffer.ts";

/** What sizes a model takes. */
export interface Limits {
    sideMultiple: number;
    maxPixels: number;
}

/** The size nearest to the one given that the model takes. */
export function fittingSize(width: number, height: number, limits: Limits): { width: number; height: number } {
    const { sideMultiple: multiple, maxPixels } = limits;
    const shrink = Math.min(1, Math.sqrt(maxPixels / (width * height)));
    const near = (side: number) => Math.max(multiple, Math.round((side * shrink) / multiple) * multiple);
    const size = { width: near(width), height: near(height) };
    while (size.width * size.height > maxPixels && Math.max(size.width, size.height) > multiple) {
        if (size.width >= size.height) size.width -= multiple;
        else size.height -= multiple;
    }
    return size;
}

/** The map in another size; every pixel takes the class of the nearest one, none is mixed. */
export function resize(map: LabelMap, width: number, height: number): LabelMap {
    const result = new LabelMap(width, height);
    for (let y = 0; y < height; y++) {
        const from = Math.floor(((y + 0.5) * map.height) / height) * map.width;
        for (let x = 0; x < width; x++) {
            result.data[y * width + x] = map.data[from + Math.floor(((x + 0.5) * map.width) / width)];
        }
    }
    return result;
}
