import type { Photo } from "./api.ts";
import { icon, make } from "./dom.ts";
import { say } from "./notices.ts";
import { randomSeed } from "./scene.ts";
import type { Session } from "./session.ts";
import { text } from "./texts.ts";

const COUNT = 4;
/** Pause after the photo before the variations follow it, in milliseconds. */
const AFTER = 500;

interface Variation {
    seed: number;
    isLocked: boolean;
    button: HTMLButtonElement;
    image: HTMLImageElement;
    name: HTMLElement;
    lock: HTMLButtonElement;
}

/** The same map with four other seeds. A press takes a seed for the photo; a lock keeps it when the others change. */
export class Variations {
    readonly element = make("div", { className: "variations" });
    readonly #session: Session;
    readonly #variations: Variation[];
    #timer: ReturnType<typeof setTimeout> | null = null;

    constructor(session: Session) {
        this.#session = session;
        this.#variations = Array.from({ length: COUNT }, (_, index) => this.#make(index));
        this.element.append(
            ...this.#variations.map(({ button, name, lock }) =>
                make("figure", {}, button, make("figcaption", {}, name, lock)),
            ),
        );
        session.shown.watch(() => this.#refreshSoon());
        session.scene.watch(({ seed }) => this.#mark(seed));
        this.#mark(session.scene.value.seed);
    }

    /** Gives every variation that is not locked another seed. */
    reroll(): void {
        for (const [index, variation] of this.#variations.entries()) {
            if (variation.isLocked) continue;
            variation.seed = randomSeed();
            this.#refresh(index);
        }
        this.translate();
        say(text("rerolled"));
    }

    translate(): void {
        for (const { seed, isLocked, button, name, lock } of this.#variations) {
            name.textContent = String(seed);
            button.setAttribute("aria-label", text("useSeed", { seed }));
            button.title = text("useSeed", { seed });
            lock.setAttribute("aria-label", text("lockSeed", { seed }));
            lock.title = text("lock");
            lock.setAttribute("aria-pressed", String(isLocked));
            lock.replaceChildren(icon(isLocked ? "locked" : "unlocked"));
        }
        this.#mark(this.#session.scene.value.seed);
    }

    #make(index: number): Variation {
        const image = make("img", { alt: "", className: "empty" });
        const variation: Variation = {
            seed: index + 1,
            isLocked: false,
            button: make("button", { className: "variation" }, image),
            image,
            name: make("span", {}),
            lock: make("button", { className: "button icon-only lock" }),
        };
        variation.button.onclick = () => this.#session.change({ seed: variation.seed, mix: 0 });
        variation.lock.onclick = () => {
            variation.isLocked = !variation.isLocked;
            this.translate();
        };
        return variation;
    }

    #mark(seed: number): void {
        for (const variation of this.#variations) {
            variation.button.setAttribute("aria-pressed", String(variation.seed === seed));
        }
    }

    #refreshSoon(): void {
        if (this.#timer !== null) clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#variations.forEach((_, index) => this.#refresh(index)), AFTER);
    }

    #refresh(index: number): void {
        const variation = this.#variations[index];
        const { api, scene } = this.#session;
        variation.image.classList.add("stale");
        const run = (signal: AbortSignal): Promise<Photo> => {
            // The newest map, and the style of the photo with another seed.
            return api.generate(this.#session.map, { ...scene.value, seed: variation.seed, mix: 0 }, signal);
        };
        this.#session.later(`variation:${index}`, run).then(
            ({ png }) => {
                URL.revokeObjectURL(variation.image.src);
                variation.image.src = URL.createObjectURL(new Blob([png], { type: "image/png" }));
                variation.image.classList.remove("stale", "empty");
            },
            () => variation.image.classList.remove("stale"),
        );
    }
}
