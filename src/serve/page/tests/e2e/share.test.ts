import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { encode } from "../mock/png.ts";
import {
    blank,
    choose,
    drag,
    drop,
    isMock,
    launch,
    map,
    NEEDS_MOCK,
    open,
    order,
    save,
    settled,
    type Stage,
} from "./page.ts";

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

/** A map that no sample holds, with a seed of its own. */
async function draw() {
    stage = await open(browser);
    const { page } = stage;
    const size = await blank(page, "sky");
    await choose(page, "building");
    await page.keyboard.press("r");
    await drag(page, size, [20, 30], [50, 100]);
    await page.fill("#field-seed", "77");
    await page.keyboard.press("Enter");
    await settled(page);
    return { page, painted: await map(page) };
}

test("a link opens the same map and seed in another browser", async () => {
    const { page, painted } = await draw();
    await page.click("#share");
    await page.waitForFunction(() => location.hash.includes("map="));
    const fragment = new URL(page.url()).hash;
    await page.context().close();
    stage = await open(browser, {}, fragment);
    expect((await map(stage.page)).pixels).toEqual(painted.pixels);
    expect(await stage.page.inputValue("#field-seed")).toBe("77");
    expect(await stage.page.locator('[data-topic="hash"]').count()).toBe(0);
});

test("a link of another model opens with a note, a broken one with an error", async () => {
    const { page, painted } = await draw();
    await page.click("#share");
    await page.waitForFunction(() => location.hash.includes("map="));
    const fragment = new URL(page.url()).hash;
    await page.context().close();
    stage = await open(browser, {}, fragment.replace(/model=\w+/, "model=0000"));
    await stage.page.getByText("Made with another model").waitFor();
    expect((await map(stage.page)).pixels).toEqual(painted.pixels);
    await stage.page.context().close();
    stage = await open(browser, {}, `${fragment.slice(0, -20)}`);
    await stage.page.getByText("The link is cut off or damaged").waitFor();
});

test("a saved photo opens again when it is dropped", async () => {
    const { page, painted } = await draw();
    const photo = await save(page, "Photo");
    expect(photo.texts["dp-sims:seed"]).toBe("77");
    expect(photo.texts["dp-sims:model"]).toMatch(/^[0-9a-f]+$/);
    await page.context().close();
    stage = await open(browser);
    await drop(stage.page, photo.bytes, "photo.png", "image/png");
    await stage.page.waitForFunction(() => (document.querySelector("#field-seed") as HTMLInputElement).value === "77");
    await settled(stage.page);
    expect((await map(stage.page)).pixels).toEqual(painted.pixels);
    expect(Buffer.compare((await save(stage.page, "Photo")).pixels, photo.pixels)).toBe(0);
});

const OWN_SIZE = isMock ? "" : " (skipped: the program answers in the size of its model)";

test.skipIf(!isMock)(`a PNG of ids from elsewhere opens, in a size that the model takes${OWN_SIZE}`, async () => {
    stage = await open(browser);
    const { page } = stage;
    const ids = (await map(page)).pixels[0];
    const grey = encode({ width: 100, height: 70, channels: 1, pixels: new Uint8Array(7000).fill(ids) });
    await drop(page, grey, "labels.png", "image/png");
    await page.getByText(/Scaled from 100 × 70 to/).waitFor();
    await settled(page);
    const opened = await map(page);
    expect(new Set(opened.pixels)).toEqual(new Set([ids]));
    expect(opened.width).toBeGreaterThan(opened.height);
});

test("a saved photo that is damaged is refused in words", async () => {
    stage = await open(browser);
    const photo = await save(stage.page, "Photo");
    photo.bytes[photo.bytes.indexOf("dp-sims:size") + 14] ^= 1;
    await drop(stage.page, photo.bytes, "photo.png", "image/png");
    await stage.page.getByText("The file is damaged").waitFor();
});

test("what is no picture is refused in words", async () => {
    stage = await open(browser);
    await drop(stage.page, Buffer.from("hello"), "notes.txt", "text/plain");
    await stage.page.getByText("This could not be opened").waitFor();
});

test.skipIf(!isMock)(`a photo opens through the segmenter${NEEDS_MOCK}`, async () => {
    await order({ hasSegmenter: true });
    stage = await open(browser);
    const { page } = stage;
    await page.click("#open");
    await page.getByText("The segmenter finds its classes").waitFor();
    await page.keyboard.press("Escape");
    const before = await map(page);
    await page.setInputFiles("#photo-file", { name: "photo.jpg", mimeType: "image/jpeg", buffer: Buffer.from("jpeg") });
    await page.waitForFunction(() => !(document.querySelector("#undo") as HTMLButtonElement).disabled);
    await settled(page);
    const found = await map(page);
    expect(Buffer.compare(found.pixels, before.pixels)).not.toBe(0);
    // A PNG that holds no labels may be a photo.
    await page.keyboard.press("Control+z");
    const grey = encode({ width: 16, height: 16, channels: 3, pixels: new Uint8Array(768).fill(77) });
    await drop(page, grey, "photo.png", "image/png");
    await page.getByRole("button", { name: "Read it as a photo" }).click();
    await page.waitForFunction(() => (document.querySelector("#redo") as HTMLButtonElement).disabled);
    expect((await map(page)).pixels).toEqual(found.pixels);
});

test("a video of five seconds is saved as WebM", async () => {
    stage = await open(browser);
    const [download] = await Promise.all([stage.page.waitForEvent("download"), stage.page.click("#video")]);
    expect(download.suggestedFilename()).toMatch(/\.webm$/);
    const parts: Buffer[] = [];
    for await (const part of await download.createReadStream()) parts.push(part as Buffer);
    const bytes = Buffer.concat(parts);
    expect([...bytes.subarray(0, 4)]).toEqual([0x1a, 0x45, 0xdf, 0xa3]);
    expect(bytes.length).toBeGreaterThan(5000);
    // A slow model takes half a minute for the photos.
}, 120_000);
