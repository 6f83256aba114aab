import { ApiError } from "./api.ts";
import { LabelMap } from "./buffer.ts";
import { byId, download } from "./dom.ts";
import type { Editor } from "./editor.ts";
import { explain, say, type Notices } from "./notices.ts";
import { addTexts, encodeIds, isPng, readTexts } from "./png.ts";
import { firstScene, type Scene } from "./scene.ts";
import type { Session } from "./session.ts";
import { pack, unpack, type Sheet } from "./share.ts";
import { text } from "./texts.ts";
import { fittingSize, resize } from "./tools/resize.ts";

/** Keywords of the texts in a saved photo start with this. */
const KEYWORD = "dp-sims:";
/** Files above this are not read. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Opens and saves maps and photos, and puts them into links. */
export class Files {
    readonly #session: Session;
    readonly #editor: Editor;
    readonly #notices: Notices;
    /** What the link in the address holds; null while there is none. */
    #link: { map: LabelMap; edits: number; scene: Scene } | null = null;

    constructor(session: Session, editor: Editor, notices: Notices) {
        this.#session = session;
        this.#editor = editor;
        this.#notices = notices;
        this.#bindDrop();
        this.#bindPicker("label-file", (file) => this.openFile(file));
        this.#bindPicker("photo-file", (file) => this.openPhoto(file));
        // A link holds what it was made of; after an edit the address must not claim otherwise.
        editor.edits.watch(() => this.#clearAddress());
        session.scene.watch(() => this.#clearAddress());
        addEventListener("hashchange", () => void this.openAddress());
    }

    /** Opens a map in a size that the model takes, with classes that it has. */
    openMap(map: LabelMap, scene: Partial<Sheet["scene"]> = {}): void {
        const { model, classes, voidId } = this.#session;
        const size = fittingSize(map.width, map.height, {
            sideMultiple: model.side_multiple,
            maxPixels: model.max_pixels,
        });
        let opened = new LabelMap(map.width, map.height, map.data);
        if (size.width !== map.width || size.height !== map.height) {
            opened = resize(opened, size.width, size.height);
            const values = { from: `${map.width} × ${map.height}`, to: `${size.width} × ${size.height}` };
            this.#notices.show("size", { kind: "note", title: text("resized", values), seconds: 10 });
        }
        const known = new Set(classes.map(({ id }) => id));
        opened.data.forEach((id, index) => {
            if (!known.has(id)) opened.data[index] = voidId ?? classes[0].id;
        });
        this.#session.scene.set({ ...this.#session.scene.value, ...scene });
        this.#editor.open(opened);
        say(text("opened"));
    }

    /** Opens a saved photo by its texts, another PNG by the server's reader, any other picture by the segmenter. */
    async openFile(file: Blob): Promise<void> {
        await this.#report(async () => {
            if (file.size > MAX_BYTES) throw new Error(text("tooLarge"));
            const bytes = new Uint8Array(await file.arrayBuffer());
            if (!isPng(bytes)) return this.#segment(file);
            const sheet = await sheetOf(bytes);
            if (sheet) return this.#openSheet(sheet);
            const { width, height, ids } = await this.#session.api.labels(new Blob([bytes], { type: "image/png" }));
            this.openMap(new LabelMap(width, height, ids));
        }, file);
    }

    async openPhoto(file: Blob): Promise<void> {
        await this.#report(() => this.#segment(file));
    }

    /** Opens the map in the address; false where there is none. */
    async openAddress(): Promise<boolean> {
        const fragment = location.hash.slice(1);
        try {
            const sheet = await unpack(fragment);
            if (!sheet) return false;
            this.#openSheet(sheet);
            this.#setAddress(fragment);
            return true;
        } catch {
            this.#notices.show("open", { kind: "error", title: text("openFailed"), detail: text("brokenLink") });
            return false;
        }
    }

    /** Puts the map into the address and the address onto the clipboard. */
    async share(): Promise<void> {
        this.#setAddress(await pack(this.#session.sheet));
        const copied = await navigator.clipboard?.writeText(location.href).then(
            () => true,
            () => false,
        );
        const title = text(copied ? "linkCopied" : "linkInAddress");
        this.#notices.show("share", { kind: "note", title, detail: text("linkHolds"), seconds: 10 });
    }

    /** Saves the photo that is seen, with the map and the scene that it was made from. */
    async savePhoto(): Promise<void> {
        const shown = this.#session.shown.value;
        if (!shown) return this.#notices.show("save", { kind: "note", title: text("noPhoto"), seconds: 8 });
        const parameters = new URLSearchParams(await pack(shown.sheet));
        const texts: Record<string, string> = { Software: "dp-sims" };
        for (const [name, value] of parameters) texts[KEYWORD + name] = value;
        this.#save(`photo-${shown.sheet.scene.seed}.png`, addTexts(shown.png, texts));
    }

    /** Saves the map: its ids as grey levels, or with a palette of the colours of its classes. */
    async saveMap(coloured: boolean): Promise<void> {
        const { map, colours } = this.#session;
        const palette = new Uint8Array(768);
        colours.forEach((colour, id) => palette.set(colour, 3 * id));
        const png = await encodeIds(map.width, map.height, map.data, coloured ? palette : undefined);
        this.#save(coloured ? "label-map-colours.png" : "label-map.png", png);
    }

    async #segment(photo: Blob): Promise<void> {
        if (!this.#session.model.has_segmenter) throw new Error(text("noSegmenter"));
        const { width, height, ids } = await this.#session.api.segment(photo);
        this.openMap(new LabelMap(width, height, ids));
    }

    #openSheet(sheet: Sheet): void {
        this.openMap(sheet.map, { ...firstScene(), ...sheet.scene });
        if (sheet.model === this.#session.model.hash) return;
        const detail = text("otherHashWhy");
        this.#notices.show("hash", { kind: "note", title: text("otherHash"), detail });
    }

    #save(name: string, png: Uint8Array<ArrayBuffer>): void {
        download(name, new Blob([png], { type: "image/png" }));
    }

    #setAddress(fragment: string): void {
        const { map, scene } = this.#session;
        history.replaceState(null, "", `#${fragment}`);
        this.#link = { map, edits: map.edits, scene: scene.value };
    }

    #clearAddress(): void {
        const link = this.#link;
        if (
            !link ||
            (link.map === this.#session.map &&
                link.edits === link.map.edits &&
                link.scene === this.#session.scene.value)
        )
            return;
        this.#link = null;
        history.replaceState(null, "", location.pathname + location.search);
    }

    /** Runs what opens a file, and tells what hinders it; a PNG without labels may be a photo. */
    async #report(run: () => Promise<void>, png?: Blob): Promise<void> {
        this.#notices.hide("open");
        const slow = setTimeout(() => this.#notices.show("open", { kind: "note", title: text("reading") }), 400);
        try {
            await run();
            this.#notices.hide("open");
        } catch (error) {
            const isRefused = error instanceof ApiError && !error.passes;
            const action = { label: text("asPhoto"), run: () => png && void this.openPhoto(png) };
            this.#notices.show("open", {
                kind: "error",
                title: text("openFailed"),
                detail: reason(error),
                ...(png && isRefused && this.#session.model.has_segmenter && { action }),
            });
        } finally {
            clearTimeout(slow);
        }
    }

    #bindPicker(id: string, open: (file: File) => Promise<void>): void {
        const input = byId<HTMLInputElement>(id);
        input.onchange = () => {
            const file = input.files?.[0];
            if (file) void open(file);
            input.value = "";
        };
    }

    #bindDrop(): void {
        const sign = byId("drop");
        addEventListener("dragover", (event) => {
            if (!event.dataTransfer?.types.includes("Files")) return;
            event.preventDefault();
            sign.hidden = false;
        });
        addEventListener("dragleave", (event) => {
            if (event.relatedTarget === null) sign.hidden = true;
        });
        addEventListener("drop", (event) => {
            event.preventDefault();
            sign.hidden = true;
            const file = event.dataTransfer?.files[0];
            if (file) void this.openFile(file);
        });
    }
}

/** What a saved photo was made from; null where it was saved by another program. */
async function sheetOf(png: Uint8Array): Promise<Sheet | null> {
    const parameters = new URLSearchParams();
    try {
        for (const [keyword, value] of Object.entries(readTexts(png))) {
            if (keyword.startsWith(KEYWORD)) parameters.set(keyword.slice(KEYWORD.length), value);
        }
        return await unpack(parameters.toString());
    } catch {
        throw new Error(text("brokenFile"));
    }
}

/** Why a file was not opened, in a sentence or two. */
function reason(error: unknown): string {
    const { title, detail } = explain(error);
    return error instanceof ApiError && error.passes ? `${title}. ${detail}` : detail;
}
