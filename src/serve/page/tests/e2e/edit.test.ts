import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { blank, choose, click, drag, isMock, launch, map, open, order, save, settled, type Stage } from "./page.ts";

let browser: Browser;
let stage: Stage | null = null;

beforeAll(async () => void (browser = await launch()));
afterAll(async () => browser.close());
beforeEach(async () => void (await order()));
afterEach(async () => {
    expect(stage?.errors).toEqual([]);
    expect(stage?.strangers).toEqual([]);
    await stage?.page.context().close();
});

/** Mean change of a square of 7 pixels around a place. */
function change(before: Uint8Array, after: Uint8Array, width: number, x: number, y: number): number {
    let sum = 0;
    for (let row = y - 3; row <= y + 3; row++) {
        for (let at = (row * width + x - 3) * 3; at < (row * width + x + 4) * 3; at++)
            sum += Math.abs(before[at] - after[at]);
    }
    return sum / (49 * 3);
}

test("a sky and a road: the photo changes where they are painted and not elsewhere", async () => {
    stage = await open(browser);
    const { page } = stage;
    const size = await blank(page, "grass");
    const { width, height } = size;
    const before = await save(page, "Photo");
    const sky = await choose(page, "sky");
    await page.keyboard.press("r");
    await drag(page, size, [0, 0], [width - 1, Math.floor(height / 3)]);
    const road = await choose(page, "road");
    await page.keyboard.press("b");
    await drag(page, size, [Math.floor(width / 2), height - 2], [Math.floor(width / 2), Math.floor(height * 0.6)]);
    const ids = await map(page);
    const at = (x: number, y: number) => ids.pixels[Math.floor(y) * width + Math.floor(x)];
    expect([at(width / 4, 4), at(width / 2, height * 0.8), at(width / 4, height * 0.8)]).toEqual([sky, road, size.id]);
    const after = await save(page, "Photo");
    const changed = (x: number, y: number) => change(before.pixels, after.pixels, width, Math.floor(x), Math.floor(y));
    const far = changed(width / 8, height * 0.85);
    // A model may take a little notice everywhere, the mock does not.
    if (isMock) expect(far).toBe(0);
    expect(changed(width / 4, 8)).toBeGreaterThan(10 + 3 * far);
    expect(changed(width / 2, height * 0.8)).toBeGreaterThan(10 + 3 * far);
});

test("the bucket fills a region, and undo goes back to the start", async () => {
    stage = await open(browser);
    const { page } = stage;
    const start = await map(page);
    const size = await blank(page, "grass");
    const road = await choose(page, "road");
    await page.keyboard.press("l");
    await drag(page, size, [0, 40], [size.width - 1, 40]);
    const water = await choose(page, "water");
    await page.keyboard.press("g");
    await click(page, size, 20, 90);
    const filled = await map(page);
    expect([10, 40, 100].map((y) => filled.pixels[y * size.width + 60])).toEqual([size.id, road, water]);
    expect(filled.pixels.filter((id) => id === water).length).toBeGreaterThan(size.width * (size.height - 50));
    for (let step = 0; step < 3; step++) await page.keyboard.press("Control+z");
    expect((await map(page)).pixels).toEqual(start.pixels);
    expect(await page.locator("#undo").isDisabled()).toBe(true);
    for (let step = 0; step < 3; step++) await page.keyboard.press("Control+Shift+Z");
    expect((await map(page)).pixels).toEqual(filled.pixels);
});

test("every tool leaves its mark", async () => {
    stage = await open(browser);
    const { page } = stage;
    const size = await blank(page, "grass");
    const at = async (x: number, y: number) => (await map(page)).pixels[y * size.width + x];
    const road = await choose(page, "road");
    await page.keyboard.press("p");
    for (const [x, y] of [
        [20, 20],
        [60, 20],
        [60, 50],
    ])
        await click(page, size, x, y);
    await page.getByRole("button", { name: "Close and fill" }).click();
    expect(await at(55, 25)).toBe(road);
    await page.keyboard.press("o");
    await drag(page, size, [80, 80], [110, 80], [110, 110], [80, 110]);
    expect(await at(100, 100)).toBe(road);
    await page.keyboard.press("v");
    await drag(page, size, [95, 95], [55, 95]);
    expect([await at(100, 100), await at(60, 100)]).toEqual([size.id, road]);
    await page.keyboard.press("m");
    expect(await at(size.width - 1 - 60, 100)).toBe(road);
    const water = await choose(page, "water");
    await page.keyboard.press("c");
    await click(page, size, size.width - 1 - 60, 100);
    expect((await map(page)).pixels.includes(road)).toBe(false);
    await page.keyboard.press("i");
    await click(page, size, 5, 5);
    expect(await page.locator('.class[aria-selected="true"]').getAttribute("data-id")).toBe(String(size.id));
    await page.keyboard.press("e");
    await drag(page, size, [5, 5], [9, 5]);
    expect(await at(7, 5)).not.toBe(size.id);
    expect(water).not.toBe(road);
});

test("a reload brings the map and the seed back", async () => {
    stage = await open(browser);
    const { page } = stage;
    const size = await blank(page, "sky");
    await choose(page, "mountain");
    await page.keyboard.press("b");
    await drag(page, size, [30, 60], [90, 70]);
    await page.fill("#field-seed", "4711");
    await page.keyboard.press("Enter");
    await settled(page);
    const before = await map(page);
    await page.waitForTimeout(700);
    await page.reload();
    await page.waitForSelector('#work[aria-busy="false"]');
    await settled(page);
    expect((await map(page)).pixels).toEqual(before.pixels);
    expect(await page.inputValue("#field-seed")).toBe("4711");
});

test("the keyboard alone: from the first tab to a painted road", async () => {
    stage = await open(browser);
    const { page } = stage;
    const focused = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.className);
    const find = async (name: string) => {
        await page.keyboard.press("/");
        await page.keyboard.type(name);
        await page.keyboard.press("Enter");
        return Number(await page.locator('.class[aria-selected="true"]').getAttribute("data-id"));
    };
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("skip");
    await page.keyboard.press("Enter");
    expect(await focused()).toBe("stage");
    const grass = await find("gras");
    await page.keyboard.press("Control+o");
    await page.locator(".menu .item").first().waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await settled(page);
    const road = await find("roa");
    expect(await focused()).toBe("stage");
    await page.keyboard.press("Enter");
    for (let step = 0; step < 3; step++) await page.keyboard.press("Shift+ArrowDown");
    await page.keyboard.press("Enter");
    await settled(page);
    const painted = await map(page);
    const [x, y] = [painted.width / 2, painted.height / 2];
    const at = (row: number) => painted.pixels[row * painted.width + x];
    expect([at(y), at(y + 30), at(y - 20)]).toEqual([road, road, grass]);
    await page.locator("#stage").focus();
    await page.keyboard.press("?");
    await page.waitForSelector("dialog[open]");
    for (let step = 0; step < 6; step++) {
        await page.keyboard.press("Tab");
        // The browser's own bars may have the focus in between, the page behind the dialog never.
        expect(
            await page.evaluate(
                () => document.activeElement === document.body || document.activeElement?.closest("dialog") !== null,
            ),
        ).toBe(true);
    }
    await page.keyboard.press("Escape");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("stage");
});
