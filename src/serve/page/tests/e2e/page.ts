import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { inject } from "vitest";
import { chunks, decode } from "../mock/png.ts";

export const address = inject("address");
export const isMock = inject("isMock");

/** The end of the names of tests that tell the mock to fail. */
export const NEEDS_MOCK = isMock ? "" : " (skipped: a real server cannot be told to fail)";

export async function launch(): Promise<Browser> {
    const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
    return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

/** Tells the mock what to do; what is not named goes back to normal. */
export async function order(orders: Record<string, unknown> = {}): Promise<{ overlaps: number }> {
    if (!isMock) return { overlaps: 0 };
    const answer = await fetch(new URL("mock", address), {
        method: "POST",
        body: JSON.stringify({ reset: true, ...orders }),
    });
    return (await answer.json()) as { overlaps: number };
}

export interface Stage {
    page: Page;
    /** Messages of the console and errors of the page; what the server was told to refuse is not among them. */
    errors: string[];
    /** Addresses of other hosts that were asked for. */
    strangers: string[];
}

/** Opens the page in a window of its own and waits for the first photo. */
export async function open(browser: Browser, options: BrowserContextOptions = {}, fragment = ""): Promise<Stage> {
    const context = await browser.newContext({
        viewport: { width: 1280, height: 800 },
        locale: "en-GB",
        acceptDownloads: true,
        ...options,
    });
    const page = await context.newPage();
    const stage: Stage = { page, errors: [], strangers: [] };
    page.on("pageerror", (error) => stage.errors.push(error.message));
    page.on("console", (message) => {
        if (message.type() === "error" && !/Failed to load resource|net::ERR/.test(message.text()))
            stage.errors.push(message.text());
    });
    page.on("request", (request) => {
        const { protocol, origin } = new URL(request.url());
        if (protocol !== "blob:" && origin !== new URL(address).origin) stage.strangers.push(request.url());
    });
    await page.goto(address + fragment);
    await page.waitForSelector('#work[aria-busy="false"]');
    await settled(page);
    return stage;
}

/** Waits until the photo is that of the map. */
export async function settled(page: Page): Promise<void> {
    await page.waitForSelector('#frame[aria-busy="false"]');
}

export interface Saved {
    width: number;
    height: number;
    pixels: Uint8Array;
    texts: Record<string, string>;
    bytes: Buffer;
}

/** Saves what an entry of the menu names, and reads it. */
export async function save(page: Page, entry: "Photo" | "Label map"): Promise<Saved> {
    await page.click("#save");
    const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.locator(".menu .item", { has: page.getByText(entry, { exact: true }) }).click(),
    ]);
    const parts: Buffer[] = [];
    for await (const part of await download.createReadStream()) parts.push(part as Buffer);
    const bytes = Buffer.concat(parts);
    const texts: Record<string, string> = {};
    for (const { kind, body } of chunks(bytes)) {
        if (kind !== "tEXt") continue;
        const [keyword, text] = body.toString("latin1").split("\0");
        texts[keyword] = text;
    }
    return { ...decode(bytes), texts, bytes };
}

export async function map(page: Page): Promise<Saved> {
    return save(page, "Label map");
}

/** The place of a map pixel on the screen, in the pane of the map. */
export async function place(
    page: Page,
    x: number,
    y: number,
    size: { width: number; height: number },
): Promise<[number, number]> {
    const box = (await page.locator("#stage").boundingBox())!;
    const gap = 12;
    const inner = { width: box.width - 2 * gap, height: box.height - 2 * gap };
    const column = { width: (inner.width - gap) / 2, height: inner.height };
    const row = { width: inner.width, height: (inner.height - gap) / 2 };
    const fit = (pane: { width: number; height: number }) =>
        Math.min(pane.width / size.width, pane.height / size.height);
    const pane = fit(column) >= fit(row) ? column : row;
    const scale = fit(pane);
    return [
        box.x + gap + pane.width / 2 + (x + 0.5 - size.width / 2) * scale,
        box.y + gap + pane.height / 2 + (y + 0.5 - size.height / 2) * scale,
    ];
}

export async function drag(
    page: Page,
    size: { width: number; height: number },
    ...points: [number, number][]
): Promise<void> {
    await sweep(page, size, ...points);
    await settled(page);
}

/** As {@link drag}, but without a photo at the end. */
export async function sweep(
    page: Page,
    size: { width: number; height: number },
    ...points: [number, number][]
): Promise<void> {
    const [first, ...rest] = points;
    await page.mouse.move(...(await place(page, ...first, size)));
    await page.mouse.down();
    for (const point of rest) await page.mouse.move(...(await place(page, ...point, size)), { steps: 6 });
    await page.mouse.up();
}

export async function click(page: Page, size: { width: number; height: number }, x: number, y: number): Promise<void> {
    await page.mouse.click(...(await place(page, x, y, size)));
    await settled(page);
}

/** Chooses a class by its name and returns its id. */
export async function choose(page: Page, name: string): Promise<number> {
    const row = page.locator(".class", { has: page.getByText(name, { exact: true }) });
    await row.click();
    return Number(await row.getAttribute("data-id"));
}

/** Starts on an empty map of one class. */
export async function blank(page: Page, name: string): Promise<{ width: number; height: number; id: number }> {
    const id = await choose(page, name);
    await page.click("#open");
    await page.getByText("Blank map of the current class").click();
    await settled(page);
    const { width, height } = await map(page);
    return { width, height, id };
}

/** Drops a file on the page. */
export async function drop(page: Page, bytes: Buffer, name: string, type: string): Promise<void> {
    const data = await page.evaluateHandle(
        ([base64, name, type]) => {
            const transfer = new DataTransfer();
            const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
            transfer.items.add(new File([bytes], name, { type }));
            return transfer;
        },
        [bytes.toString("base64"), name, type] as const,
    );
    await page.dispatchEvent("#stage", "drop", { dataTransfer: data });
}
