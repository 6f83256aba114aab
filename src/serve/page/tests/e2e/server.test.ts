import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
    address,
    blank,
    choose,
    isMock,
    launch,
    map,
    NEEDS_MOCK,
    open,
    order,
    save,
    settled,
    sweep,
    type Stage,
} from "./page.ts";

let browser: Browser;
let stage: Stage;

beforeAll(async () => void (browser = await launch()));
afterAll(async () => browser.close());
afterEach(async () => {
    await order();
    expect(stage.errors).toEqual([]);
    await stage.page.context().close();
});

describe.skipIf(!isMock)(`a server that fails${NEEDS_MOCK}`, () => {
    test.each([
        ["refuses connections", { fault: "refuse" }, "The server does not answer"],
        ["is not ready", { fault: 503 }, "The server is not ready"],
        ["is busy", { fault: 429, retryAfter: 1 }, "The server is busy"],
    ])("that %s is told in words, and the photo follows when it is back", async (_, orders, words) => {
        stage = await open(browser);
        const { page } = stage;
        const size = await blank(page, "grass");
        const before = await save(page, "Photo");
        await order(orders);
        const road = await choose(page, "road");
        await page.keyboard.press("r");
        const [x, y] = [Math.floor(size.width / 2), Math.floor(size.height / 2)];
        await sweep(page, size, [0, 0], [x, y]);
        await page.getByText(words).waitFor();
        expect((await save(page, "Photo")).pixels).toEqual(before.pixels);
        await order();
        await page.getByText(words).waitFor({ state: "detached" });
        await settled(page);
        expect((await map(page)).pixels[0]).toBe(road);
        expect(Buffer.compare((await save(page, "Photo")).pixels, before.pixels)).not.toBe(0);
    });

    test("that is down when the page opens is waited for", async () => {
        await order({ fault: 503 });
        const opening = open(browser);
        await new Promise((done) => setTimeout(done, 800));
        await order();
        stage = await opening;
        expect(await stage.page.locator(".class").count()).toBeGreaterThan(5);
    });

    test("that wants a token gets the one that is typed, or the one in the address", async () => {
        await order({ token: "secret" });
        const context = await browser.newContext({ locale: "en-GB" });
        const page = await context.newPage();
        stage = { page, errors: [], strangers: [] };
        await page.goto(address);
        await page.getByLabel("Token", { exact: true }).fill("wrong");
        await page.keyboard.press("Enter");
        await page.locator("#token:not([value=wrong])").waitFor();
        await page.locator("#token").fill("secret");
        await page.keyboard.press("Enter");
        await page.waitForSelector('#work[aria-busy="false"]');
        const other = await context.newPage();
        await other.goto(`${address}#token=secret`);
        await other.waitForSelector('#work[aria-busy="false"]');
        expect(new URL(other.url()).hash).toBe("");
    });

    test("that runs another model after a restart is noticed", async () => {
        stage = await open(browser);
        const { page } = stage;
        await order({ fault: "refuse" });
        await page.keyboard.press("m");
        await page.getByText("The server does not answer").waitFor();
        await order({ hash: "ab".repeat(32) });
        await page.getByText("The server now runs another model").waitFor();
        await page.getByRole("button", { name: "Reload" }).click();
        await page.getByText("Made with another model").waitFor();
    });

    test("that is slow gets one request at a time, and the last stroke wins", async () => {
        stage = await open(browser);
        const { page } = stage;
        const size = await blank(page, "grass");
        await page.waitForTimeout(1500);
        await order({ delay: 250 });
        const road = await choose(page, "road");
        await page.keyboard.press("r");
        for (let row = 0; row < 5; row++) {
            await sweep(page, size, [0, row * 10], [size.width - 1, row * 10 + 9]);
        }
        await page.locator("#progress").waitFor();
        await settled(page);
        const last = await save(page, "Photo");
        expect((await map(page)).pixels.filter((id) => id === road)).toHaveLength(50 * size.width);
        expect(last.texts["dp-sims:map"].length).toBeGreaterThan(0);
        expect((await order()).overlaps).toBe(0);
    });
});

test("a seed, a variation, a blend and a style each change the photo", async () => {
    stage = await open(browser);
    const { page } = stage;
    const seen = [(await save(page, "Photo")).pixels];
    const differs = async () => {
        await settled(page);
        const { pixels } = await save(page, "Photo");
        for (const other of seen) expect(Buffer.compare(other, pixels)).not.toBe(0);
        seen.push(pixels);
    };
    await page.keyboard.press("n");
    await differs();
    await page.locator("#mix").fill("0.5");
    await differs();
    await page.locator(".variation img:not(.empty, .stale)").first().waitFor();
    await page.locator(".variation").nth(2).click();
    await differs();
    if ((await page.locator(".token").count()) > 0) {
        await page.locator(".token").nth(1).click();
        await page.locator(".token").nth(4).click();
        await differs();
    }
    await page.locator(".lock").first().click();
    const kept = await page.locator(".variations figcaption span").allTextContents();
    await page.getByRole("button", { name: "New seeds for all" }).click();
    const rolled = await page.locator(".variations figcaption span").allTextContents();
    expect(rolled[0]).toBe(kept[0]);
    expect(rolled.slice(1)).not.toEqual(kept.slice(1));
});
