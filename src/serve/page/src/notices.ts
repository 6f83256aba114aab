import type { ApiError } from "./api.ts";
import { byId, icon, make } from "./dom.ts";
import { text } from "./texts.ts";

export interface Notice {
    kind: "error" | "note";
    title: string;
    detail?: string;
    action?: { label: string; run: () => void };
    /** Called when the reader closes it. */
    closed?: () => void;
    /** Seconds until it goes away by itself; without it the reader closes it, or the page does. */
    seconds?: number;
}

/** Messages over the stage: at most one for each topic. */
export class Notices {
    readonly #place = byId("notices");
    readonly #shown = new Map<string, HTMLElement>();

    show(topic: string, notice: Notice): void {
        this.hide(topic);
        const words = make(
            "div",
            { className: "words", role: notice.kind === "error" ? "alert" : "status" },
            make("strong", { textContent: notice.title }),
        );
        if (notice.detail) words.append(make("span", { textContent: notice.detail }));
        const box = make("div", { className: `notice ${notice.kind}`, data: { topic } }, words);
        if (notice.kind === "error") box.prepend(icon("warning"));
        if (notice.action) {
            const { label, run } = notice.action;
            box.append(make("button", { className: "button", textContent: label, onclick: run }));
        }
        const close = make(
            "button",
            {
                className: "button icon-only",
                title: text("close"),
                onclick: () => (this.hide(topic), notice.closed?.()),
            },
            icon("close"),
        );
        close.setAttribute("aria-label", text("close"));
        box.append(close);
        this.#place.append(box);
        this.#shown.set(topic, box);
        if (notice.seconds) setTimeout(() => this.#shown.get(topic) === box && this.hide(topic), notice.seconds * 1000);
    }

    hide(topic: string): void {
        this.#shown.get(topic)?.remove();
        this.#shown.delete(topic);
    }

    /** Adds a line that changes and is not read aloud. */
    count(topic: string, line: string): void {
        const box = this.#shown.get(topic);
        if (!box) return;
        let place = box.querySelector(".count");
        if (!place) {
            place = make("span", { className: "count" });
            box.querySelector(".words")?.after(place);
        }
        place.textContent = line;
    }

    clear(): void {
        for (const topic of [...this.#shown.keys()]) this.hide(topic);
    }
}

let spoken: ReturnType<typeof setTimeout> | null = null;

/** Lets a screen reader say something once nothing newer has come for a moment. */
export function say(words: string): void {
    if (spoken !== null) clearTimeout(spoken);
    spoken = setTimeout(() => (byId("live").textContent = words), 300);
}

/** An error of the server in words: what is wrong and what to do. */
export function explain(error: unknown): { title: string; detail: string } {
    const { status, message, remedy } = error as Partial<ApiError>;
    switch (status) {
        case undefined:
            return { title: text("errorUnknown"), detail: String((error as Error)?.message ?? error) };
        case 0:
            return { title: text("errorUnreachable"), detail: text("remedyUnreachable") };
        case 401:
            return { title: text("errorToken"), detail: text("remedyToken") };
        case 429:
            return { title: text("errorBusy"), detail: text("remedyBusy") };
        case 503:
            return { title: text("errorUnready"), detail: sentence(message, remedy) || text("remedyUnready") };
        default:
            return { title: text("errorServer"), detail: sentence(message, remedy) };
    }
}

function sentence(...parts: (string | undefined)[]): string {
    return parts
        .filter((part) => part)
        .map((part) => (/[.!?]$/.test(part!) ? part! : `${part}.`))
        .map((part) => part[0].toUpperCase() + part.slice(1))
        .join(" ");
}
