import { describe, expect, test } from "vitest";
import { Api, type Class } from "../../src/api.ts";
import { LabelMap } from "../../src/buffer.ts";
import { find, isRare, remember } from "../../src/classes.ts";
import { Cursor } from "../../src/cursor.ts";
import { layout, reveal, settle, toMap, zoomAt, type Panes } from "../../src/geometry.ts";
import { Gestures, TOOLS, type Settings } from "../../src/gestures.ts";
import { isMarked, SIDE } from "../../src/hatch.ts";
import { History } from "../../src/history.ts";
import { firstScene } from "../../src/scene.ts";
import { meaning, TOOL_KEYS } from "../../src/shortcuts.ts";
import de from "../../src/texts/de.json";
import en from "../../src/texts/en.json";
import { choose, keyName, setLanguage, text } from "../../src/texts.ts";
import { rows } from "./helpers.ts";

const stroke = { ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };

describe("texts", () => {
    test("both languages have the same texts with the same places", () => {
        expect(Object.keys(de)).toEqual(Object.keys(en));
        for (const [key, words] of Object.entries(en)) {
            const places = (value: string) => (value.match(/\{\w+\}/g) ?? []).sort();
            expect(places(de[key as keyof typeof de]), key).toEqual(places(words));
        }
    });

    test("the reader's language is chosen, English for all others", () => {
        expect([choose(["de-AT", "en"]), choose(["fr", "de"]), choose(["fr"]), choose([])]).toEqual([
            "de",
            "de",
            "en",
            "en",
        ]);
    });

    test("take values", () => {
        setLanguage("en");
        expect(text("useSeed", { seed: 5 })).toBe("Use seed 5");
        setLanguage("de");
        expect(keyName("Ctrl+Shift+Z")).toBe("Strg+Umschalt+Z");
        setLanguage("en");
    });
});

describe("classes", () => {
    const named = (id: number, name: string, share: number | null = 0.1): Class => ({
        id,
        name,
        color: "#000000",
        share,
        is_void: id === 0,
    });
    const classes = [
        named(0, "void", 0),
        named(1, "traffic sign", 0.0004),
        named(2, "sky"),
        named(3, "Brücke", null),
        named(4, "night sky"),
    ];

    test("are found by parts of their names, beginnings first", () => {
        expect(find(classes, "s").map(({ id }) => id)).toEqual([2, 1, 4]);
        expect(find(classes, "SIGN tra").map(({ id }) => id)).toEqual([1]);
        expect(find(classes, "bruck").map(({ id }) => id)).toEqual([3]);
        expect(find(classes, " ")).toEqual(classes);
    });

    test("below a thousandth are rare, void and unknown ones are not", () => {
        expect(classes.filter(isRare).map(({ id }) => id)).toEqual([1]);
    });

    test("six are remembered, each once", () => {
        expect([1, 2, 3, 4, 5, 6, 7, 3].reduce<number[]>(remember, [])).toEqual([3, 7, 6, 5, 4, 2]);
    });

    test("the first sixteen have different patterns", () => {
        const pattern = (id: number) =>
            Array.from({ length: SIDE * SIDE }, (_, at) => Number(isMarked(id, at % SIDE, Math.floor(at / SIDE)))).join(
                "",
            );
        expect(new Set(Array.from({ length: 16 }, (_, id) => pattern(id))).size).toBe(16);
    });
});

describe("geometry", () => {
    const map = { width: 128, height: 64 };

    test("panes lie where they are larger: beside each other or on top of each other", () => {
        const wide = layout("split", { width: 1000, height: 400 }, map);
        expect(wide.photo.x).toBeGreaterThan(wide.map.x);
        const high = layout("split", { width: 400, height: 1000 }, map);
        expect(high.photo.y).toBeGreaterThan(high.map.y);
        const overlay = layout("overlay", { width: 400, height: 400 }, map);
        expect(overlay.photo).toEqual(overlay.map);
    });

    test("zoom keeps the place under the pointer and its limits", () => {
        const panes: Panes = layout("wipe", { width: 424, height: 224 }, map);
        const before = { zoom: 1, x: 64, y: 32 };
        const at = toMap(panes.map, panes, before, 100, 80);
        const after = zoomAt(before, 3, at.x, at.y);
        expect(toMap(panes.map, panes, after, 100, 80).x).toBeCloseTo(at.x);
        expect(toMap(panes.map, panes, after, 100, 80).y).toBeCloseTo(at.y);
        expect(zoomAt(before, 100, 0, 0).zoom).toBe(8);
        expect(zoomAt(before, 0, 0, 0).zoom).toBe(1);
    });

    test("the map neither leaves the pane nor hides the cursor", () => {
        const panes = layout("wipe", { width: 424, height: 224 }, map);
        expect(settle({ zoom: 1, x: -50, y: 900 }, panes, map)).toEqual({ zoom: 1, x: 64, y: 32 });
        expect(settle({ zoom: 2, x: -50, y: 900 }, panes, map)).toEqual({ zoom: 2, x: 32, y: 48 });
        expect(reveal({ zoom: 4, x: 16, y: 8 }, panes, map, 120, 60).x).toBeGreaterThan(100);
    });
});

describe("keys", () => {
    test("every tool has its own, and none hides a command", () => {
        const keys = TOOLS.map((tool) => TOOL_KEYS[tool].toLowerCase());
        expect(new Set(keys).size).toBe(keys.length);
        for (const key of ["?", "/", "m", "s", "+", "-", "0", "[", "]", "n", "y"]) {
            expect(keys).not.toContain(key);
            expect(meaning({ ...stroke, key })).toHaveProperty("command");
        }
    });

    test("undo, redo, digits, and what belongs to the browser", () => {
        expect(meaning({ ...stroke, key: "z", ctrlKey: true })).toEqual({ command: "undo" });
        expect(meaning({ ...stroke, key: "Z", metaKey: true, shiftKey: true })).toEqual({ command: "redo" });
        expect(meaning({ ...stroke, key: "7" })).toEqual({ digit: 7 });
        expect(meaning({ ...stroke, key: "b", ctrlKey: true })).toBeNull();
        expect(meaning({ ...stroke, key: "Tab" })).toBeNull();
    });
});

describe("the keyboard's cursor", () => {
    function bench(tool: Settings["tool"]) {
        const history = new History(new LabelMap(7, 3));
        const gestures = new Gestures(
            history,
            () => ({ tool, id: 1, voidId: 0, size: 1, shape: "round" }),
            () => undefined,
        );
        const cursor = new Cursor(
            gestures,
            () => tool,
            () => history.map,
        );
        const press = (...keys: string[]) =>
            keys.forEach((key) => cursor.down({ key, shiftKey: false, repeat: false }));
        return { history, cursor, press };
    }

    test("paints while the space bar is held", () => {
        const { history, cursor, press } = bench("brush");
        press("ArrowDown", "ArrowRight", " ", "ArrowRight", "ArrowRight");
        cursor.up({ key: " " });
        press("ArrowRight");
        expect(rows(history.map)).toEqual([".......", ".111...", "......."]);
        history.undo();
        expect(history.canUndo).toBe(false);
    });

    test("paints between two presses of Enter", () => {
        const { history, press } = bench("brush");
        press("Enter", "ArrowRight", "Enter", "ArrowRight");
        expect(rows(history.map)[0]).toBe("11.....");
    });

    test("draws rectangles and polygons", () => {
        const rectangle = bench("rectangle");
        rectangle.press(" ", "ArrowRight", "ArrowDown", " ");
        expect(rows(rectangle.history.map)).toEqual(["11.....", "11.....", "......."]);
        const polygon = bench("polygon");
        polygon.press(" ", ..."ArrowRight ".repeat(4).trim().split(" "), " ", "ArrowDown", "ArrowDown", " ", "Enter");
        expect(polygon.history.canUndo).toBe(true);
    });

    test("Escape takes the stroke back", () => {
        const { history, press } = bench("line");
        press(" ", "ArrowRight", "ArrowRight", "Escape");
        expect(history.map.data.every((id) => id === 0)).toBe(true);
        expect(history.canUndo).toBe(false);
    });

    test("stays on the map", () => {
        const { cursor } = bench("brush");
        for (let step = 0; step < 3; step++) cursor.down({ key: "ArrowRight", shiftKey: true, repeat: false });
        expect([cursor.x, cursor.y]).toEqual([6, 0]);
    });
});

describe("the interface", () => {
    const api = (answer: () => Response | Promise<Response>, seen: Request[] = []) => {
        return new Api(async (input, init) => {
            seen.push(new Request(new URL(String(input), "http://server/"), init as RequestInit));
            return answer();
        });
    };

    test("sends the ids, the scene and the token", async () => {
        const seen: Request[] = [];
        const server = api(() => new Response(Uint8Array.of(1, 2), { headers: { "x-milliseconds": "12" } }), seen);
        server.token = "secret";
        const photo = await server.generate(new LabelMap(2, 1, Uint8Array.of(5, 6)), { ...firstScene(), seed: 4 });
        expect(photo).toEqual({ png: Uint8Array.of(1, 2), milliseconds: 12 });
        expect(seen[0].url).toBe("http://server/v1/generate?seed=4&height=1&width=2");
        expect(seen[0].headers.get("authorization")).toBe("Bearer secret");
        expect(new Uint8Array(await seen[0].arrayBuffer())).toEqual(Uint8Array.of(5, 6));
    });

    test("tells what the server said", async () => {
        const refusal = () =>
            new Response('{"error":"busy","remedy":"wait"}', { status: 429, headers: { "retry-after": "3" } });
        await expect(api(refusal).model()).rejects.toMatchObject({
            status: 429,
            message: "busy",
            remedy: "wait",
            retryAfter: 3,
            passes: true,
        });
        const proxy = () => new Response("<html>", { status: 500, statusText: "Internal" });
        await expect(api(proxy).model()).rejects.toMatchObject({
            status: 500,
            message: "500 Internal",
            retryAfter: null,
            passes: false,
        });
    });

    test("a server that does not answer is status 0", async () => {
        const away = () => Promise.reject(new TypeError("Failed to fetch"));
        await expect(api(away).classes()).rejects.toMatchObject({ status: 0, passes: true });
    });
});
