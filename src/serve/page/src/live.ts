import { ApiError } from "./api.ts";

/** Something to ask the server for. */
export interface Work {
    /** Work of another topic makes what is in flight useless. */
    topic: string;
    run(signal: AbortSignal): Promise<void>;
    /** Told of an error after which the work is not tried again. */
    failed?(error: unknown): void;
}

export interface LiveState {
    /** Whether the photo is behind the map. */
    busy: boolean;
    /** Whether anything is in flight. */
    working: boolean;
    /** What the server answered last, where that was no success. */
    error: ApiError | null;
    /** When the next try starts, in milliseconds since 1970. */
    retryAt: number | null;
}

/** Waits before the second, third… try, in milliseconds. */
const WAITS = [1000, 2000, 4000, 8000];
/** The longest wait, whatever a server asks for. */
const LONGEST = 60_000;

/**
 * Keeps one request in flight and the newest one waiting.
 *
 * Work asked for with {@link ask} goes first. Work put off with {@link later} runs while there is none, and makes
 * way for it. What may succeed later is tried again; new work waits for that time, too.
 */
export class Live {
    readonly #report: (state: LiveState) => void;
    #flight: { work: Work; key: string | null; abort: AbortController } | null = null;
    #waiting: Work | null = null;
    readonly #later = new Map<string, Work>();
    #refused: Work | null = null;
    #error: ApiError | null = null;
    #failures = 0;
    #timer: ReturnType<typeof setTimeout> | null = null;
    #retryAt: number | null = null;

    constructor(report: (state: LiveState) => void) {
        this.#report = report;
    }

    /** Takes the place of what waits. */
    ask(work: Work): void {
        this.#waiting = work;
        if (this.#error && !this.#error.passes) this.#error = null;
        const flight = this.#flight;
        if (flight && (flight.key !== null || flight.work.topic !== work.topic)) flight.abort.abort();
        this.#next();
    }

    /** Runs when nothing else does; takes the place of other work with the same key. */
    later(key: string, work: Work): void {
        this.#later.set(key, work);
        this.#next();
    }

    /** Tries again at once. */
    retry(): void {
        if (this.#timer !== null) clearTimeout(this.#timer);
        this.#timer = null;
        this.#retryAt = null;
        this.#next();
    }

    /** Asks once more for what was refused last, for instance with another token. */
    again(): void {
        if (this.#refused) this.ask(this.#refused);
    }

    #next(): void {
        if (!this.#flight && this.#timer === null) {
            const [key, work] = this.#choose();
            if (work) void this.#start(work, key);
        }
        this.#tell();
    }

    #choose(): [string | null, Work | null] {
        if (this.#waiting) {
            const work = this.#waiting;
            this.#waiting = null;
            return [null, work];
        }
        for (const [key, work] of this.#later) {
            this.#later.delete(key);
            return [key, work];
        }
        return [null, null];
    }

    async #start(work: Work, key: string | null): Promise<void> {
        const flight = { work, key, abort: new AbortController() };
        this.#flight = flight;
        try {
            await work.run(flight.abort.signal);
            this.#error = null;
            this.#failures = 0;
        } catch (error) {
            if (flight.abort.signal.aborted) this.#putBack(work, key);
            else this.#fail(error, work, key);
        }
        this.#flight = null;
        this.#next();
    }

    #fail(error: unknown, work: Work, key: string | null): void {
        if (!(error instanceof ApiError) || !error.passes) {
            if (key === null) this.#refused = work;
            if (key === null && error instanceof ApiError) this.#error = error;
            work.failed?.(error);
            return;
        }
        this.#error = error;
        const wait =
            error.retryAfter === null ? WAITS[Math.min(this.#failures, WAITS.length - 1)] : error.retryAfter * 1000;
        this.#failures++;
        this.#retryAt = Date.now() + Math.min(wait, LONGEST);
        this.#timer = setTimeout(() => this.retry(), Math.min(wait, LONGEST));
        if (key === null) this.#waiting ??= work;
        else this.#putBack(work, key);
    }

    /** Work that made way runs later, unless there is newer work in its place. */
    #putBack(work: Work, key: string | null): void {
        if (key !== null && !this.#later.has(key)) this.#later.set(key, work);
    }

    #tell(): void {
        const busy = this.#waiting !== null || this.#flight?.key === null;
        this.#report({ busy, working: this.#flight !== null, error: this.#error, retryAt: this.#retryAt });
    }
}
