import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ApiError } from "../../src/api.ts";
import { Live, type LiveState, type Work } from "../../src/live.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Work that takes some time, and a log of what happened to it. */
function bench() {
    const log: string[] = [];
    const states: LiveState[] = [];
    let inFlight = 0;
    const live = new Live((state) => states.push(state));
    const work = (name: string, { takes = 100, topic = "map", error = null as unknown } = {}): Work => ({
        topic,
        run: async (signal) => {
            log.push(`start ${name}`);
            inFlight++;
            expect(inFlight).toBe(1);
            try {
                await new Promise<void>((done, stop) => {
                    setTimeout(done, takes);
                    signal.addEventListener("abort", () => stop(signal.reason));
                });
                if (error) throw error;
                log.push(`end ${name}`);
            } finally {
                inFlight--;
                if (signal.aborted) log.push(`abort ${name}`);
            }
        },
        failed: () => log.push(`failed ${name}`),
    });
    return { live, log, states, work, last: () => states[states.length - 1] };
}

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

describe("strokes", () => {
    test("one is in flight, the newest one waits, the others are dropped", async () => {
        const { live, log, work, last } = bench();
        for (const name of ["a", "b", "c", "d"]) live.ask(work(name));
        expect(last().busy).toBe(true);
        await pass(250);
        expect(log).toEqual(["start a", "end a", "start d", "end d"]);
        expect(last()).toEqual({ busy: false, working: false, error: null, retryAt: null });
    });

    test("work of another topic stops what is in flight", async () => {
        const { live, log, work } = bench();
        live.ask(work("old", { topic: "map 1" }));
        await pass(10);
        live.ask(work("new", { topic: "map 2" }));
        await pass(150);
        expect(log).toEqual(["start old", "abort old", "start new", "end new"]);
    });
});

describe("work that was put off", () => {
    test("runs after strokes, makes way for them and runs again", async () => {
        const { live, log, work } = bench();
        live.ask(work("a"));
        live.later("thumbnail", work("thumbnail"));
        await pass(150);
        live.ask(work("b"));
        await pass(500);
        expect(log).toEqual([
            "start a",
            "end a",
            "start thumbnail",
            "abort thumbnail",
            "start b",
            "end b",
            "start thumbnail",
            "end thumbnail",
        ]);
    });

    test("takes the place of older work with its key", async () => {
        const { live, log, work } = bench();
        live.ask(work("a"));
        live.later("variation", work("old"));
        live.later("variation", work("new"));
        await pass(500);
        expect(log).toEqual(["start a", "end a", "start new", "end new"]);
    });

    test("that made way is forgotten where newer work has its key", async () => {
        const { live, log, work } = bench();
        live.later("variation", work("old"));
        await pass(10);
        live.ask(work("a"));
        live.later("variation", work("new"));
        await pass(500);
        expect(log).toEqual(["start old", "abort old", "start a", "end a", "start new", "end new"]);
    });

    test("an error of it is told to it alone", async () => {
        const { live, log, work, last } = bench();
        live.later("thumbnail", work("thumbnail", { error: new ApiError(400, "no") }));
        await pass(150);
        expect(log).toContain("failed thumbnail");
        expect(last().error).toBeNull();
    });
});

describe("errors", () => {
    test("a server that is away is asked again, later and later, for the newest work", async () => {
        const { live, log, work, last } = bench();
        const away = new ApiError(0, "refused");
        live.ask(work("a", { takes: 0, error: away }));
        await pass(1);
        expect(last().error).toBe(away);
        expect(last().retryAt).toBe(Date.now() + 999);
        live.ask(work("b", { takes: 0, error: away }));
        expect(log).toEqual(["start a"]);
        await pass(1000);
        expect(log).toEqual(["start a", "start b"]);
        await pass(1900);
        expect(log).toHaveLength(2);
        live.ask(work("c"));
        await pass(300);
        expect(log).toEqual(["start a", "start b", "start c", "end c"]);
        expect(last().error).toBeNull();
    });

    test("Retry-After is kept, up to a minute", async () => {
        for (const [asked, kept] of [
            [7, 7],
            [3600, 60],
        ]) {
            const { live, log, work } = bench();
            live.ask(work("a", { takes: 0, error: new ApiError(429, "busy", "", asked) }));
            await pass(kept * 1000 - 10);
            expect(log).toHaveLength(1);
            await pass(20);
            expect(log).toHaveLength(2);
        }
    });

    test("the reader can try at once", async () => {
        const { live, log, work } = bench();
        live.ask(work("a", { takes: 0, error: new ApiError(503, "loading", "", 30) }));
        await pass(1);
        live.ask(work("b"));
        live.retry();
        await pass(150);
        expect(log).toEqual(["start a", "start b", "end b"]);
    });

    test("what will not pass is told and not tried again until there is new work", async () => {
        const { live, log, work, last } = bench();
        live.ask(work("a", { takes: 0, error: new ApiError(413, "too large") }));
        await pass(60_000);
        expect(log).toEqual(["start a", "failed a"]);
        expect(last().error?.status).toBe(413);
        live.ask(work("b"));
        expect(last().error).toBeNull();
        await pass(150);
        expect(log.at(-1)).toBe("end b");
    });

    test("refused work runs again with a token", async () => {
        const { live, log, work } = bench();
        live.ask(work("a", { takes: 0, error: new ApiError(401, "no token") }));
        await pass(1);
        live.again();
        await pass(1);
        expect(log.filter((line) => line === "start a")).toHaveLength(2);
    });
});
