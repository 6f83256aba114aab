import { byId } from "./dom.ts";
import type { LiveState } from "./live.ts";
import { explain, say, type Notices } from "./notices.ts";
import { number, text } from "./texts.ts";

/** Shows that the server works, and what hinders it. */
export class Progress {
    readonly #notices: Notices;
    #status: number | null = null;
    #retryAt: number | null = null;
    #clock: ReturnType<typeof setInterval> | null = null;

    constructor(notices: Notices) {
        this.#notices = notices;
    }

    /** Shows a state; `retry` tries again at once. */
    show(state: LiveState, retry: () => void): void {
        byId("progress").hidden = !state.busy || state.error !== null;
        byId("frame").setAttribute("aria-busy", String(state.busy));
        const { error } = state;
        if (!error) {
            if (this.#status !== null) this.#recovered();
            return;
        }
        // The dialog that asks for the token says it.
        if (error.status === 401) return;
        if (this.#status !== error.status) {
            this.#status = error.status;
            const action = error.passes ? { label: text("tryNow"), run: retry } : undefined;
            this.#notices.show("server", { kind: "error", ...explain(error), ...(action && { action }) });
        }
        this.#retryAt = state.retryAt;
        this.#count();
        this.#clock ??= setInterval(() => this.#count(), 500);
    }

    #count(): void {
        const seconds = Math.ceil(((this.#retryAt ?? 0) - Date.now()) / 1000);
        this.#notices.count("server", seconds > 0 ? text("nextTry", { seconds: number(seconds) }) : "");
    }

    #recovered(): void {
        this.#status = null;
        if (this.#clock !== null) clearInterval(this.#clock);
        this.#clock = null;
        this.#notices.hide("server");
        say(text("recovered"));
    }
}
