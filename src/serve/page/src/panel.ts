import { byId, download, icon, make } from "./dom.ts";
import type { Icon } from "./icons.ts";
import { explain, say, type Notices } from "./notices.ts";
import { randomSeed, seed as readSeed } from "./scene.ts";
import type { Session } from "./session.ts";
import { number, text, type Key } from "./texts.ts";
import { Variations } from "./variations.ts";
import { photos, record, videoKind } from "./video.ts";

/** The noise behind the photo: its seed, variations, the way to another seed, the style of a third one. */
export class Panel {
    readonly #session: Session;
    readonly #notices: Notices;
    readonly variations: Variations;

    constructor(session: Session, notices: Notices) {
        this.#session = session;
        this.#notices = notices;
        this.variations = new Variations(session);
        byId("panel").replaceChildren(
            this.#seed(),
            this.#variations(),
            this.#blend(),
            ...(session.model.tokens > 0 ? [this.#style()] : []),
        );
    }

    /** Takes another seed for the photo. */
    reroll(): void {
        this.#session.change({ seed: randomSeed(), mix: 0 });
        say(text("newSeed", { seed: this.#session.scene.value.seed }));
    }

    translate(): void {
        this.variations.translate();
        this.#session.scene.tell();
    }

    #seed(): HTMLElement {
        const roll = button("dice", "reroll", () => this.reroll());
        roll.dataset.keys = "N";
        return make(
            "section",
            { className: "section" },
            make("div", { className: "line first" }, this.#seedField("seed", "seed"), roll),
        );
    }

    #variations(): HTMLElement {
        const box = section("variations", this.variations.element);
        box.querySelector("h2")!.after(button("dice", "rerollAll", () => this.variations.reroll()));
        return box;
    }

    #blend(): HTMLElement {
        const slider = make("input", {
            type: "range",
            min: "0",
            max: "1",
            step: "0.01",
            id: "mix",
            data: { label: "mix", tip: "no" },
        });
        slider.oninput = () => this.#session.change({ mix: slider.valueAsNumber });
        const ends = make("div", { className: "ends" }, make("output", {}), make("output", {}));
        this.#session.scene.follow(({ seed, seedTo, mix }) => {
            slider.value = String(mix);
            slider.setAttribute("aria-valuetext", text("mixIs", { seed, seedTo, share: number(mix * 100) }));
            ends.children[0].textContent = String(seed);
            ends.children[1].textContent = String(seedTo);
        });
        const line = make(
            "div",
            { className: "line" },
            this.#seedField("seedTo", "seedTo"),
            button("dice", "rerollTo", () => this.#session.change({ seedTo: randomSeed() })),
        );
        const parts: Node[] = [line, slider, ends];
        const kind = videoKind();
        if (kind) parts.push(this.#video(kind));
        return section("blend", ...parts);
    }

    #style(): HTMLElement {
        const tokens = make("div", { className: "tokens", role: "group", data: { label: "styleTokens", tip: "no" } });
        for (let token = 0; token < this.#session.model.tokens; token++) {
            const chip = make("button", { className: "token", textContent: String(token + 1) });
            chip.onclick = () => {
                const { styleTokens } = this.#session.scene.value;
                const rest = styleTokens.filter((other) => other !== token);
                this.#session.change({
                    styleTokens: rest.length < styleTokens.length ? rest : [...rest, token].sort((a, b) => a - b),
                });
            };
            tokens.append(chip);
        }
        this.#session.scene.follow(({ styleTokens }) => {
            [...tokens.children].forEach((chip, token) => {
                chip.setAttribute("aria-pressed", String(styleTokens.includes(token)));
                chip.setAttribute("aria-label", text("styleToken", { token: token + 1 }));
            });
        });
        const line = make(
            "div",
            { className: "line" },
            this.#seedField("styleSeed", "styleSeed"),
            button("dice", "rerollStyle", () => this.#session.change({ styleSeed: randomSeed() })),
        );
        return section("style", make("p", { className: "hint", data: { text: "styleHint" } }), line, tokens);
    }

    #seedField(name: "seed" | "seedTo" | "styleSeed", label: Key): HTMLElement {
        const input = make("input", {
            type: "text",
            inputMode: "numeric",
            className: "number",
            id: `field-${name}`,
            autocomplete: "off",
        });
        input.onchange = () => {
            const value = readSeed(input.value);
            if (value !== null) this.#session.change({ [name]: value });
            input.value = String(this.#session.scene.value[name]);
        };
        this.#session.scene.follow((scene) => (input.value = String(scene[name])));
        return make("label", { className: "field" }, make("span", { data: { text: label } }), input);
    }

    #video(kind: string): HTMLElement {
        const words = make("span", { data: { text: "video" } });
        const save = make("button", { className: "button wide", id: "video" }, icon("film"), words);
        let abort: AbortController | null = null;
        const show = (key: Key, values = {}) => {
            words.dataset.text = key;
            words.textContent = text(key, values);
        };
        save.onclick = async () => {
            if (abort) return abort.abort();
            abort = new AbortController();
            try {
                show("videoPhotos", { share: 0 });
                say(text("videoStarted"));
                const frames = await photos(
                    this.#session,
                    (part) => show("videoPhotos", { share: number(part * 100) }),
                    abort.signal,
                );
                show("videoRecords");
                const { seed, seedTo } = this.#session.scene.value;
                download(`photos-${seed}-${seedTo}.webm`, await record(frames, kind, abort.signal));
                say(text("videoSaved"));
            } catch (error) {
                if (!abort.signal.aborted) this.#notices.show("video", { kind: "error", ...explain(error) });
            }
            abort = null;
            show("video");
        };
        return save;
    }
}

function section(title: Key, ...content: Node[]): HTMLElement {
    return make("section", { className: "section" }, make("h2", { data: { text: title } }), ...content);
}

function button(name: Icon, label: Key, run: () => void): HTMLButtonElement {
    return make("button", { className: "button icon-only", data: { label }, onclick: run }, icon(name));
}
