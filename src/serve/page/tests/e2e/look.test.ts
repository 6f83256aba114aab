import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { blank, choose, launch, map, open, order, place, settled, type Stage } from "./page.ts";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let browser: Browser;
let stage: Stage;

beforeAll(async () => void (browser = await launch()));
afterAll(async () => browser.close());
beforeEach(async () => void (await order()));
afterEach(async () => {
    expect(stage.errors).toEqual([]);
    await stage.page.context().close();
});

/** What axe finds against WCAG 2.2 AA and its own best practices. */
async function faults(page: Page): Promise<string[]> {
    await page.evaluate(axe);
    return page.evaluate(async () => {
        const { axe } = window as unknown as {
            axe: {
                run(
                    root: Document,
                    options: object,
                ): Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }>;
            };
        };
        const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
        const { violations } = await axe.run(document, { runOnly: { type: "tag", values: tags } });
        return violations.flatMap(({ id, nodes }) =>
            nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`),
        );
    });
}

describe.each(["light", "dark"] as const)("axe finds nothing in %s", (colorScheme) => {
    test("on the page, in its menus and in its dialog", async () => {
        stage = await open(browser, { colorScheme });
        const { page } = stage;
        expect(await faults(page)).toEqual([]);
        for (const [button, ready] of [
            ["#open", ".sample-map"],
            ["#save", ".item"],
            ["#settings", ".row"],
        ]) {
            await page.click(button);
            await page.locator(`.menu ${ready}`).first().waitFor();
            expect(await faults(page)).toEqual([]);
            await page.keyboard.press("Escape");
        }
        await page.click("#help");
        expect(await faults(page)).toEqual([]);
    });

    test("on a phone, with a message", async () => {
        stage = await open(browser, {
            colorScheme,
            viewport: { width: 360, height: 740 },
            hasTouch: true,
            isMobile: true,
        });
        await stage.page.locator("#share").tap();
        await stage.page.locator('[data-topic="share"]').waitFor();
        expect(await faults(stage.page)).toEqual([]);
    });
});

describe("360 pixels wide", () => {
    test("nothing sticks out, and every control is large enough for a finger", async () => {
        stage = await open(browser, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
        const { page } = stage;
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
        const small = await page.evaluate(() =>
            [...document.querySelectorAll<HTMLElement>("button, input, select, [role=option]")]
                .filter((element) => element.checkVisibility() && element.offsetParent !== null)
                .filter(
                    (element) =>
                        element.getBoundingClientRect().width < 24 || element.getBoundingClientRect().height < 24,
                )
                .map((element) => element.outerHTML),
        );
        expect(small).toEqual([]);
    });

    test("one finger paints, two zoom", async () => {
        stage = await open(browser, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
        const { page } = stage;
        const size = await blank(page, "grass");
        const road = await choose(page, "road");
        await page.evaluate(() => scrollTo(0, 0));
        const client = await page.context().newCDPSession(page);
        const touch = (type: "touchStart" | "touchMove" | "touchEnd", ...points: [number, number][]) =>
            client.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
        const [left, right] = [await place(page, 30, 60, size), await place(page, 90, 60, size)];
        await touch("touchStart", left);
        await touch("touchMove", right);
        await touch("touchEnd");
        await settled(page);
        const painted = (await map(page)).pixels;
        expect([painted[60 * size.width + 60], painted[20 * size.width + 60]]).toEqual([road, size.id]);
        const middle = [(left[0] + right[0]) / 2, left[1]];
        await touch("touchStart", [middle[0] - 10, middle[1]]);
        await touch("touchStart", [middle[0] - 10, middle[1]], [middle[0] + 10, middle[1]]);
        await touch("touchMove", [middle[0] - 40, middle[1]], [middle[0] + 40, middle[1]]);
        await touch("touchEnd");
        expect(Number.parseInt(await page.locator("#zoom-fit").innerText(), 10)).toBeGreaterThan(200);
        expect((await map(page)).pixels).toEqual(painted);
    });
});

test("the language and the colours can be switched, and stay", async () => {
    stage = await open(browser, { colorScheme: "light" });
    const { page } = stage;
    await page.click("#settings");
    await page.getByLabel("Appearance").selectOption("dark");
    await page.getByLabel("Language").selectOption("de");
    await page.keyboard.press("Escape");
    expect(await page.locator("#open").innerText()).toBe("Öffnen");
    await page.reload();
    await page.waitForSelector('#work[aria-busy="false"]');
    expect(await page.locator("#open").innerText()).toBe("Öffnen");
    expect(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)).toBe(
        "rgb(32, 32, 32)",
    );
    expect(await page.evaluate(() => document.documentElement.lang)).toBe("de");
});

test("a German browser gets a German page, and single keys can be turned off", async () => {
    stage = await open(browser, { locale: "de-AT" });
    const { page } = stage;
    expect(await page.locator("#save").innerText()).toBe("Speichern");
    await page.click("#settings");
    await page.getByLabel("Kürzel mit einer Taste").click();
    await page.keyboard.press("Escape");
    await page.locator("#stage").focus();
    await page.keyboard.press("e");
    expect(await page.locator('.tools [aria-checked="true"]').getAttribute("data-value")).toBe("brush");
});
