import { describe, expect, test } from "vitest";
import { LabelMap } from "../../src/buffer.ts";
import { dab, stroke, type Tip } from "../../src/tools/brush.ts";
import { fill } from "../../src/tools/fill.ts";
import { extend, lasso } from "../../src/tools/lasso.ts";
import { line, straight } from "../../src/tools/line.ts";
import { mirror } from "../../src/tools/mirror.ts";
import { grab, move } from "../../src/tools/move.ts";
import { polygon } from "../../src/tools/polygon.ts";
import { rectangle, square } from "../../src/tools/rectangle.ts";
import { replace } from "../../src/tools/replace.ts";
import { fittingSize, resize } from "../../src/tools/resize.ts";
import { drawn, rows } from "./helpers.ts";

const tip = (size: number, shape: Tip["shape"] = "round"): Tip => ({ size, shape, id: 1 });

describe("brush", () => {
    test("a size of one is one pixel, wherever in it the pointer is", () => {
        for (const at of [0, 0.3, 0.999]) {
            const map = drawn("...", "...", "...");
            dab(map, { x: 1 + at, y: 1 + at }, tip(1));
            expect(rows(map)).toEqual(["...", ".1.", "..."]);
        }
    });

    test("is round", () => {
        const map = new LabelMap(7, 7);
        dab(map, { x: 3.5, y: 3.5 }, tip(5));
        expect(rows(map)).toEqual([".......", "..111..", ".11111.", ".11111.", ".11111.", "..111..", "......."]);
    });

    test("is square", () => {
        const map = new LabelMap(6, 6);
        dab(map, { x: 3, y: 3 }, tip(4, "square"));
        expect(rows(map)).toEqual(["......", ".1111.", ".1111.", ".1111.", ".1111.", "......"]);
    });

    test.each([1, 2, 3, 17, 64, 128])("a size of %i is as wide and as high as that", (size) => {
        for (const shape of ["round", "square"] as const) {
            const map = new LabelMap(160, 160);
            dab(map, { x: 80.2, y: 79.7 }, tip(size, shape));
            const across = Math.max(
                ...Array.from({ length: 160 }, (_, y) =>
                    map.data.subarray(y * 160, y * 160 + 160).reduce((sum, id) => sum + id, 0),
                ),
            );
            const down = Array.from({ length: 160 }, (_, y) =>
                map.data.subarray(y * 160, y * 160 + 160).includes(1),
            ).filter(Boolean).length;
            expect([across, down]).toEqual([size, size]);
        }
    });

    test("a fast stroke has no gaps", () => {
        const map = new LabelMap(100, 20);
        stroke(map, { x: 5, y: 10, size: 4 }, { x: 95, y: 10, size: 4 }, tip(4));
        expect(rows(map)[10].slice(5, 95)).toBe("1".repeat(90));
    });

    test("pressure changes the width along the way", () => {
        const map = new LabelMap(100, 40);
        stroke(map, { x: 10, y: 20, size: 2 }, { x: 90, y: 20, size: 30 }, tip(30));
        const width = (x: number) =>
            Array.from({ length: 40 }, (_, y) => map.at(x, y)).reduce((sum, id) => sum + id, 0);
        expect(width(12)).toBeLessThan(5);
        expect(width(50)).toBeGreaterThan(10);
        expect(width(90)).toBeGreaterThan(27);
    });

    test("paints no other class than its own", () => {
        const map = drawn("2222", "2222", "2222", "2222");
        dab(map, { x: 2, y: 2 }, { size: 3, shape: "round", id: 5 });
        expect(new Set(map.data)).toEqual(new Set([2, 5]));
    });
});

describe("line", () => {
    test("joins its ends", () => {
        const map = drawn(".....", ".....", ".....");
        line(map, { x: 0.5, y: 1.5 }, { x: 4.5, y: 1.5 }, tip(1));
        expect(rows(map)).toEqual([".....", "11111", "....."]);
    });

    test("goes in eight directions with shift", () => {
        const end = straight({ x: 0, y: 0 }, { x: 10, y: 1 });
        expect(end.x).toBeCloseTo(10);
        expect(end.y).toBeCloseTo(0);
        const slope = straight({ x: 0, y: 0 }, { x: 10, y: 8 });
        expect(slope.x).toBeCloseTo(slope.y);
    });
});

describe("rectangle", () => {
    test("is filled, from any corner", () => {
        for (const [start, end] of [
            [
                { x: 1.2, y: 1.9 },
                { x: 3.1, y: 2.1 },
            ],
            [
                { x: 3.1, y: 2.1 },
                { x: 1.2, y: 1.9 },
            ],
        ]) {
            const map = drawn(".....", ".....", ".....", ".....");
            rectangle(map, start, end, 1);
            expect(rows(map)).toEqual([".....", ".111.", ".111.", "....."]);
        }
    });

    test("is a square with shift", () => {
        expect(square({ x: 5, y: 5 }, { x: 9, y: 3 })).toEqual({ x: 9, y: 1 });
    });
});

describe("polygon and lasso", () => {
    test("fills what lies between the edges", () => {
        const map = new LabelMap(6, 5);
        polygon(
            map,
            [
                { x: 0, y: 0 },
                { x: 5, y: 0 },
                { x: 0, y: 5 },
            ],
            1,
        );
        expect(rows(map)).toEqual(["1111..", "111...", "11....", "1.....", "......"]);
    });

    test("leaves a hole where it crosses itself", () => {
        const map = new LabelMap(8, 8);
        polygon(
            map,
            [
                { x: 0, y: 0 },
                { x: 8, y: 0 },
                { x: 8, y: 8 },
                { x: 0, y: 8 },
                { x: 0, y: 0 },
                { x: 2, y: 2 },
                { x: 6, y: 2 },
                { x: 6, y: 6 },
                { x: 2, y: 6 },
                { x: 2, y: 2 },
            ],
            1,
        );
        expect(map.at(4, 4)).toBe(0);
        expect(map.at(1, 4)).toBe(1);
    });

    test("two corners are nothing, and corners may lie outside", () => {
        const map = new LabelMap(4, 4);
        polygon(
            map,
            [
                { x: 0, y: 0 },
                { x: 4, y: 4 },
            ],
            1,
        );
        expect(map.data.every((id) => id === 0)).toBe(true);
        polygon(
            map,
            [
                { x: -99, y: -99 },
                { x: 99, y: -99 },
                { x: 99, y: 99 },
                { x: -99, y: 99 },
            ],
            1,
        );
        expect(map.data.every((id) => id === 1)).toBe(true);
    });

    test("neighbours share no pixel and leave none out", () => {
        const map = new LabelMap(16, 16);
        const middle = { x: 7.3, y: 8.6 };
        polygon(map, [{ x: 0, y: 0 }, { x: 16, y: 0 }, middle], 1);
        polygon(map, [{ x: 16, y: 0 }, { x: 16, y: 16 }, middle], 2);
        polygon(map, [{ x: 16, y: 16 }, { x: 0, y: 16 }, middle], 3);
        const three = map.data.slice();
        polygon(map, [{ x: 0, y: 16 }, { x: 0, y: 0 }, middle], 4);
        expect(map.data.includes(0)).toBe(false);
        three.forEach((id, index) => id > 0 && expect(map.data[index]).toBe(id));
    });

    test("the lasso joins its ends", () => {
        const path: { x: number; y: number }[] = [];
        for (const point of [
            { x: 1, y: 1 },
            { x: 1.1, y: 1 },
            { x: 4, y: 1 },
            { x: 4, y: 3 },
            { x: 1, y: 3 },
        ])
            extend(path, point);
        expect(path).toHaveLength(4);
        const map = new LabelMap(5, 4);
        lasso(map, path, 1);
        expect(rows(map)).toEqual([".....", ".111.", ".111.", "....."]);
    });
});

describe("fill", () => {
    test("stops at other classes and does not go through corners", () => {
        const map = drawn("..2..", ".2...", "2..2.", "...2.");
        fill(map, 0, 0, 1);
        expect(rows(map)).toEqual(["112..", "12...", "2..2.", "...2."]);
    });

    test("finds its way around", () => {
        const map = drawn(".....", ".222.", ".2.2.", ".2.2.", "...2.");
        fill(map, 4, 4, 1);
        expect(rows(map)).toEqual(["11111", "12221", "12121", "12121", "11121"]);
    });

    test("fills a whole large map", () => {
        const map = new LabelMap(700, 500);
        fill(map, 350, 250, 3);
        expect(map.data.every((id) => id === 3)).toBe(true);
    });

    test("its own class and places outside are left alone", () => {
        const map = drawn("12", "21");
        fill(map, 0, 0, 1);
        fill(map, 5, 5, 3);
        expect(rows(map)).toEqual(["12", "21"]);
    });
});

describe("move", () => {
    test("takes the connected region and leaves what was around it", () => {
        const map = drawn("33333", "31133", "31133", "33331");
        const grabbed = grab(map, 1, 1, 0)!;
        move(map, grabbed, 2, 1);
        expect(rows(map)).toEqual(["33333", "33333", "33311", "33311"]);
    });

    test("loses what leaves the map, and void stays where nothing borders", () => {
        const map = drawn("55", "55");
        move(map, grab(map, 0, 0, 9)!, 1, 0);
        expect(rows(map)).toEqual(["95", "95"]);
        expect(grab(map, 2, 0, 0)).toBeNull();
    });
});

describe("replace, mirror, resize", () => {
    test("replace reaches every pixel of a class", () => {
        const map = drawn("1.1", ".2.", "1.1");
        replace(map, 1, 4);
        expect(rows(map)).toEqual(["4.4", ".2.", "4.4"]);
    });

    test("mirror twice is nothing", () => {
        const map = drawn("123", "45.");
        mirror(map);
        expect(rows(map)).toEqual(["321", ".54"]);
        mirror(map);
        expect(rows(map)).toEqual(["123", "45."]);
    });

    test("resize mixes no classes", () => {
        expect(rows(resize(drawn("19", "91"), 4, 2))).toEqual(["1199", "9911"]);
        expect(rows(resize(drawn("1199", "1199", "5577", "5577"), 2, 2))).toEqual(["19", "57"]);
    });

    test.each([
        [500, 375, 32, 1 << 20, 512, 384],
        [128, 128, 16, 1 << 20, 128, 128],
        [3, 3, 16, 1 << 20, 16, 16],
        [4000, 1000, 32, 1 << 16, 512, 128],
    ])("%i x %i fits a model", (width, height, sideMultiple, maxPixels, toWidth, toHeight) => {
        expect(fittingSize(width, height, { sideMultiple, maxPixels })).toEqual({ width: toWidth, height: toHeight });
    });

    test("no size is above the limit", () => {
        for (let side = 1; side < 900; side += 13) {
            const { width, height } = fittingSize(side * 3, side, { sideMultiple: 32, maxPixels: 40_000 });
            expect(width * height).toBeLessThanOrEqual(40_000);
        }
    });
});
