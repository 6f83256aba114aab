import { describe, expect, test } from "vitest";
import { LabelMap, TILE } from "../../src/buffer.ts";
import { History } from "../../src/history.ts";
import { dab } from "../../src/tools/brush.ts";
import { mirror } from "../../src/tools/mirror.ts";
import { isSame, numbers } from "./helpers.ts";

describe("the label map", () => {
    test("leaves out what a span has outside", () => {
        const map = new LabelMap(4, 3);
        map.span(1, -5, 2, 7);
        map.span(2, 3, 99, 8);
        map.span(-1, 0, 4, 9);
        map.span(3, 0, 4, 9);
        expect([...map.data]).toEqual([0, 0, 0, 0, 7, 7, 0, 0, 0, 0, 0, 8]);
    });

    test("tells once what changed", () => {
        const map = new LabelMap(100, 50);
        expect(map.takeDirty()).toEqual(map.bounds);
        map.span(10, 5, 9, 1);
        map.span(12, 20, 30, 1);
        expect(map.takeDirty()).toEqual({ left: 5, top: 10, right: 30, bottom: 13 });
        expect(map.takeDirty()).toBeNull();
    });

    test("refuses sizes and data that do not fit", () => {
        expect(() => new LabelMap(0, 5)).toThrow(RangeError);
        expect(() => new LabelMap(2.5, 5)).toThrow(RangeError);
        expect(() => new LabelMap(2, 2, new Uint8Array(5))).toThrow("5 ids do not fill 2x2");
    });

    test("keeps only the tiles that differ", () => {
        const map = new LabelMap(4 * TILE, 2 * TILE);
        map.begin();
        map.span(0, 0, 4 * TILE, 0);
        map.span(0, TILE, TILE + 1, 3);
        expect([...map.commit().keys()]).toEqual([1]);
    });
});

describe("undo and redo", () => {
    test("go back to the start and forward to the end over 150 steps of every kind", () => {
        const random = numbers(5);
        const history = new History(new LabelMap(75, 53));
        const states = [history.map.data.slice()];
        for (let step = 0; step < 150; step++) {
            if (step % 40 === 39) history.replace(new LabelMap(33 + step, 20, undefined));
            else if (step % 10 === 9)
                history.edit((map) => (map.data.some((id) => id > 0) ? mirror(map) : map.span(0, 0, 5, 1)));
            else {
                const tip = { size: 1 + random() * 20, shape: "round" as const, id: 1 + (step % 250) };
                const at = { x: random() * 33, y: random() * 20 };
                history.edit((map) => dab(map, at, tip));
            }
            states.push(history.map.data.slice());
        }
        for (let step = states.length - 2; step >= 0; step--) {
            expect(history.undo()).toBe(true);
            expect(isSame(history.map.data, states[step])).toBe(true);
        }
        expect(history.undo()).toBe(false);
        for (let step = 1; step < states.length; step++) {
            expect(history.redo()).toBe(true);
            expect(isSame(history.map.data, states[step])).toBe(true);
        }
        expect(history.redo()).toBe(false);
    });

    test("an edit that changes nothing is no step", () => {
        const history = new History(new LabelMap(8, 8));
        expect(history.edit((map) => map.span(0, 0, 8, 0))).toBe(false);
        expect(history.canUndo).toBe(false);
    });

    test("an edit forgets what was undone", () => {
        const history = new History(new LabelMap(8, 8));
        history.edit((map) => map.span(0, 0, 8, 1));
        history.undo();
        history.edit((map) => map.span(0, 0, 8, 2));
        expect(history.canRedo).toBe(false);
        history.undo();
        expect(history.map.at(0, 0)).toBe(0);
    });

    test("a stroke can be taken back while it is drawn", () => {
        const history = new History(new LabelMap(64, 64));
        history.edit((map) => map.span(3, 0, 64, 4));
        const before = history.map.data.slice();
        history.begin();
        history.map.span(3, 0, 40, 9);
        history.map.span(50, 0, 40, 9);
        history.cancel();
        expect(isSame(history.map.data, before)).toBe(true);
        history.undo();
        expect(history.map.data.every((id) => id === 0)).toBe(true);
    });

    test("a hundred steps stay, however large they are, and more while they are small", () => {
        const undone = (bytes: number) => {
            const history = new History(new LabelMap(64, 64), bytes);
            for (let step = 0; step < 130; step++) history.edit((map) => map.span(5, 0, 64, 1 + (step % 2)));
            let count = 0;
            while (history.undo()) count++;
            return count;
        };
        expect([undone(1000), undone(1_000_000)]).toEqual([100, 130]);
    });
});
