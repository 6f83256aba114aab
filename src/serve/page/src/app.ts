import { LabelMap } from "./buffer.ts";
import { showHelp } from "./dialogs.ts";
import { byId } from "./dom.ts";
import { Editor } from "./editor.ts";
import { Files } from "./files.ts";
import { History } from "./history.ts";
import { openMenu, saveMenu, settingsMenu } from "./menus.ts";
import { say, type Notices } from "./notices.ts";
import { Palette } from "./palette.ts";
import { Panel } from "./panel.ts";
import { pack } from "./share.ts";
import { Session, type Connected, type Shown } from "./session.ts";
import { followTheme, settings } from "./settings.ts";
import { meaning, type Command } from "./shortcuts.ts";
import { applyTexts, number, setLanguage, text } from "./texts.ts";
import { Toolbar } from "./toolbar.ts";

/** The page once the server has told of its model. */
export class App {
    readonly #session: Session;
    readonly #editor: Editor;
    readonly #toolbar: Toolbar;
    readonly #palette: Palette;
    readonly #panel: Panel;
    readonly #files: Files;
    readonly #notices: Notices;
    readonly #commands: Record<Command, () => void>;

    constructor(connected: Connected, notices: Notices) {
        const { width, height } = connected.model;
        const work = new History(new LabelMap(width, height));
        const session = new Session(connected, work);
        work.map.data.fill(session.voidId ?? session.classes[0].id);
        const editor = new Editor(session, work);
        this.#session = session;
        this.#editor = editor;
        this.#notices = notices;
        this.#toolbar = new Toolbar(session, editor);
        this.#palette = new Palette(session, editor);
        this.#panel = new Panel(session, notices);
        this.#files = new Files(session, editor, notices);
        this.#commands = {
            undo: () => editor.undo(),
            redo: () => editor.redo(),
            open: openMenu(session, editor, this.#files),
            save: saveMenu(this.#files),
            help: showHelp,
            search: () => this.#palette.focusSearch(),
            mirror: () => this.#toolbar.mirror(),
            mode: () => this.#toolbar.nextMode(),
            zoomIn: () => editor.zoom(1.5),
            zoomOut: () => editor.zoom(1 / 1.5),
            zoomFit: () => editor.zoom(0),
            smaller: () => editor.resize(editor.size.value - Math.max(1, editor.size.value / 8)),
            larger: () => editor.resize(editor.size.value + Math.max(1, editor.size.value / 8)),
            reroll: () => this.#panel.reroll(),
            patterns: () => settings.patterns.set(settings.patterns.value === "on" ? "off" : "on"),
        };
        settingsMenu();
        this.#bind();
    }

    /** Opens what the address holds, else the work of last time, else the first sample map. */
    async start(): Promise<void> {
        const session = this.#session;
        const saved = await session.store.load(session.model.hash);
        if (saved) {
            session.scene.set(saved.scene);
            this.#editor.begin(saved.map);
        } else if (!location.hash.includes("map=")) {
            const [sample] = await session.api.samples().catch(() => []);
            if (sample) this.#editor.begin(new LabelMap(sample.width, sample.height, sample.ids));
        }
        await this.#files.openAddress();
        session.refresh();
        byId("work").setAttribute("aria-busy", "false");
    }

    #bind(): void {
        const session = this.#session;
        const editor = this.#editor;
        byId("undo").onclick = () => editor.undo();
        byId("redo").onclick = () => editor.redo();
        byId("share").onclick = () => void this.#files.share();
        byId("help").onclick = showHelp;
        byId("patterns").onclick = () => this.#commands.patterns();
        settings.patterns.follow((value) => byId("patterns").setAttribute("aria-pressed", String(value === "on")));
        editor.edits.follow(() => {
            byId<HTMLButtonElement>("undo").disabled = !editor.history.canUndo;
            byId<HTMLButtonElement>("redo").disabled = !editor.history.canRedo;
        });
        followTheme(() => editor.view.draw());
        settings.language.follow((value) => {
            setLanguage(value);
            document.documentElement.lang = value;
            this.#translate();
        });
        session.shown.watch((shown) => void this.#showPhoto(shown));
        session.isOtherModel.watch((isOther) => isOther && this.#offerReload());
        editor.isDrawing.watch((isDrawing) => this.#offerClose(isDrawing));
        addEventListener("keydown", (event) => this.#key(event));
    }

    #translate(): void {
        this.#toolbar.translate();
        this.#palette.translate();
        this.#panel.translate();
        applyTexts(document);
        this.#showFacts();
    }

    async #showPhoto(shown: Shown | null): Promise<void> {
        if (!shown) return;
        const picture = await createImageBitmap(new Blob([shown.png], { type: "image/png" }));
        if (this.#session.shown.value !== shown) return picture.close();
        this.#editor.view.setPhoto(picture);
        this.#showFacts();
        if (!this.#session.state.value.busy) say(text("photoReady"));
    }

    #showFacts(): void {
        const { model, shown } = this.#session;
        const { width, height } = this.#editor.history.map;
        const milliseconds = shown.value?.milliseconds ?? model.milliseconds_per_image;
        const facts = [
            `${width} × ${height}`,
            milliseconds === null ? "" : text("milliseconds", { value: number(milliseconds) }),
            model.device,
            model.name,
        ];
        byId("facts").textContent = facts.filter((fact) => fact !== "").join(" · ");
        byId("facts").title = text("modelFacts", {
            name: model.name,
            hash: model.hash.slice(0, 12),
            parameters: number(model.parameters / 1e6, 1),
        });
    }

    #offerReload(): void {
        const run = async () => {
            location.hash = await pack(this.#session.sheet);
            location.reload();
        };
        this.#notices.show("model", {
            kind: "note",
            title: text("newModel"),
            action: { label: text("reload"), run: () => void run() },
        });
    }

    #offerClose(isDrawing: boolean): void {
        if (!isDrawing) return this.#notices.hide("path");
        const action = { label: text("closeShape"), run: () => this.#editor.closePath() };
        this.#notices.show("path", {
            kind: "note",
            title: text("shapeOpen"),
            action,
            closed: () => this.#editor.cancelPath(),
        });
    }

    #key(event: KeyboardEvent): void {
        const target = event.target as HTMLElement;
        const isText = target.matches("input:not([type=range], [type=checkbox]), select, textarea");
        const isModal = document.querySelector("dialog[open]") !== null;
        const found = meaning(event);
        if (!found || isModal) return;
        const isPlain = !event.ctrlKey && !event.metaKey;
        if (isPlain && (isText || settings.shortcuts.value === "off")) return;
        // In a field, Ctrl+Z belongs to the field.
        if (isText && "command" in found && ["undo", "redo"].includes(found.command)) return;
        event.preventDefault();
        if ("tool" in found) {
            const isThere = found.tool !== "eraser" || this.#session.voidId !== null;
            if (isThere) this.#editor.tool.set(found.tool);
        } else if ("digit" in found) this.#palette.pick(found.digit);
        else this.#commands[found.command]();
    }
}
