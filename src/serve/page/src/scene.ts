/** What makes a photo from a label map: the noise of one seed, or of several. */
export interface Scene {
    seed: number;
    /** The seed at the other end of the slider. */
    seedTo: number;
    /** 0 for the noise of `seed`, 1 for that of `seedTo`. */
    mix: number;
    /** Takes the tokens named below from this seed. */
    styleSeed: number;
    styleTokens: number[];
}

/** Seeds are below this. */
export const SEEDS = 2 ** 32;

export function firstScene(): Scene {
    return { seed: 0, seedTo: 1, mix: 0, styleSeed: 2, styleTokens: [] };
}

export function randomSeed(): number {
    return Math.floor(Math.random() * 100_000);
}

/** The scene as a query; what has no effect is left out, so that equal photos have equal queries. */
export function query(scene: Scene): URLSearchParams {
    const parameters = new URLSearchParams({ seed: String(scene.seed) });
    if (scene.mix > 0) {
        parameters.set("seed_to", String(scene.seedTo));
        parameters.set("mix", String(scene.mix));
    }
    if (scene.styleTokens.length > 0) {
        parameters.set("style_seed", String(scene.styleSeed));
        parameters.set("style_tokens", scene.styleTokens.join(","));
    }
    return parameters;
}

/** Reads a scene from a query; what is missing or out of range takes its first value. */
export function readScene(parameters: URLSearchParams): Scene {
    const scene = firstScene();
    scene.seed = seed(parameters.get("seed")) ?? scene.seed;
    scene.seedTo = seed(parameters.get("seed_to")) ?? scene.seedTo;
    scene.styleSeed = seed(parameters.get("style_seed")) ?? scene.styleSeed;
    const mix = Number(parameters.get("mix") ?? 0);
    if (mix >= 0 && mix <= 1) scene.mix = mix;
    const tokens = (parameters.get("style_tokens") ?? "").split(",").filter((token) => /^\d{1,4}$/.test(token));
    scene.styleTokens = [...new Set(tokens.map(Number))];
    return scene;
}

/** A seed from text; null where it is none. */
export function seed(text: string | null): number | null {
    if (text === null || !/^\d{1,10}$/.test(text.trim())) return null;
    const value = Number(text);
    return value < SEEDS ? value : null;
}
