import { byId, icon, make, rove } from "./dom.ts";
import type { Editor } from "./editor.ts";
import { MODES, type Mode } from "./geometry.ts";
import { TOOLS, type Tool } from "./gestures.ts";
import type { Icon } from "./icons.ts";
import type { Session } from "./session.ts";
import { TOOL_KEYS } from "./shortcuts.ts";
import { Signal } from "./signal.ts";
import { text, type Key } from "./texts.ts";
import { mirror } from "./tools/mirror.ts";
import type { Shape } from "./tools/brush.ts";

const SHAPES: readonly Shape[] = ["round", "square"];
/** Tools that have a size. */
const SIZED: readonly Tool[] = ["brush", "eraser", "line"];

/** The bar of tools, and the bar of what they are set to and how the stage is seen. */
export class Toolbar {
    readonly mode = new Signal<Mode>("split");
    readonly #editor: Editor;

    constructor(session: Session, editor: Editor) {
        this.#editor = editor;
        const tools = TOOLS.filter((tool) => tool !== "eraser" || session.voidId !== null);
        radios(byId("tools"), tools, editor.tool, (tool) => [`tool.${tool}`, tool, TOOL_KEYS[tool]]);
        radios(byId("shapes"), SHAPES, editor.shape, (shape) => [`shape.${shape}`, shape]);
        radios(byId("modes"), MODES, this.mode, (mode) => [`mode.${mode}`, mode, "S"]);
        this.#bindSize();
        this.#bindView();
        editor.tool.follow((tool) => {
            byId("size-field").hidden = !SIZED.includes(tool);
            byId("shapes").hidden = !SIZED.includes(tool);
            editor.view.canvas.dataset.tool = tool;
        });
        byId("mirror").onclick = () => this.mirror();
    }

    nextMode(): void {
        this.mode.set(MODES[(MODES.indexOf(this.mode.value) + 1) % MODES.length]);
    }

    mirror(): void {
        this.#editor.gestures.cancel();
        this.#editor.history.edit(mirror);
        this.#editor.edited();
    }

    translate(): void {
        byId("amount-name").textContent = text(this.mode.value === "wipe" ? "wipe" : "opacity");
        byId("stage").setAttribute("aria-label", text("stage"));
        this.#showZoom();
    }

    #showZoom(): void {
        const button = byId("zoom-fit");
        button.textContent = `${Math.round(this.#editor.view.camera.zoom * 100)} %`;
        button.title = `${text("zoomFit")} (0)`;
        button.setAttribute("aria-label", `${button.textContent}, ${text("zoomFit")}`);
    }

    #bindSize(): void {
        const { size } = this.#editor;
        const slider = byId<HTMLInputElement>("size");
        const field = byId<HTMLInputElement>("size-number");
        slider.oninput = () => this.#editor.resize(slider.valueAsNumber);
        field.onchange = () => {
            this.#editor.resize(field.valueAsNumber || size.value);
            field.value = String(size.value);
        };
        size.follow((value) => {
            slider.value = String(value);
            field.value = String(value);
        });
    }

    #bindView(): void {
        const { view } = this.#editor;
        const amount = byId<HTMLInputElement>("amount");
        const show = () => (amount.value = String(Math.round(100 * (view.mode === "wipe" ? view.wipe : view.opacity))));
        this.mode.follow((mode) => {
            view.mode = mode;
            byId("amount-field").hidden = mode === "split";
            this.translate();
            show();
            view.moveTo(view.camera);
        });
        amount.oninput = () => {
            if (view.mode === "wipe") view.wipe = amount.valueAsNumber / 100;
            else view.opacity = amount.valueAsNumber / 100;
            view.draw();
        };
        this.#editor.edits.follow(show);
        view.onCamera = () => this.#showZoom();
        byId("zoom-in").onclick = () => this.#editor.zoom(1.5);
        byId("zoom-out").onclick = () => this.#editor.zoom(1 / 1.5);
        byId("zoom-fit").onclick = () => view.moveTo({ ...view.camera, zoom: 1 });
    }
}

/** Makes a group of buttons of which one is chosen. */
function radios<T extends string>(
    group: HTMLElement,
    values: readonly T[],
    chosen: Signal<T>,
    look: (value: T) => [label: Key, icon: Icon, keys?: string],
): void {
    for (const value of values) {
        const [label, picture, keys] = look(value);
        const button = make(
            "button",
            { className: "button icon-only", role: "radio", data: { value, label } },
            icon(picture),
        );
        if (keys) button.dataset.keys = keys;
        button.onclick = () => chosen.set(value);
        group.append(button);
    }
    rove(group, "[role=radio]");
    chosen.follow((value) => {
        for (const button of group.querySelectorAll<HTMLElement>("[role=radio]")) {
            const isChosen = button.dataset.value === value;
            button.setAttribute("aria-checked", String(isChosen));
            button.tabIndex = isChosen ? 0 : -1;
        }
    });
}
