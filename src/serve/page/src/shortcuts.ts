import type { Tool } from "./gestures.ts";
import type { Key } from "./texts.ts";

export type Command =
    | "undo"
    | "redo"
    | "open"
    | "save"
    | "help"
    | "search"
    | "mirror"
    | "mode"
    | "zoomIn"
    | "zoomOut"
    | "zoomFit"
    | "smaller"
    | "larger"
    | "reroll"
    | "patterns";

/** Keys of the tools. */
export const TOOL_KEYS: Record<Tool, string> = {
    brush: "B",
    eraser: "E",
    fill: "G",
    line: "L",
    rectangle: "R",
    polygon: "P",
    lasso: "O",
    move: "V",
    replace: "C",
    picker: "I",
    hand: "H",
};

const PLAIN: Record<string, Command> = {
    "?": "help",
    "/": "search",
    m: "mirror",
    s: "mode",
    "+": "zoomIn",
    "=": "zoomIn",
    "-": "zoomOut",
    "0": "zoomFit",
    "[": "smaller",
    "]": "larger",
    n: "reroll",
    y: "patterns",
};
const WITH_CONTROL: Record<string, Command> = { z: "undo", y: "redo", o: "open", s: "save" };

export interface Stroke {
    key: string;
    ctrlKey: boolean;
    metaKey: boolean;
    altKey: boolean;
    shiftKey: boolean;
}

/** What a key does: a command, a tool or the number of a class; null for nothing. */
export function meaning(stroke: Stroke): { command: Command } | { tool: Tool } | { digit: number } | null {
    if (stroke.altKey) return null;
    const key = stroke.key.toLowerCase();
    if (stroke.ctrlKey || stroke.metaKey) {
        if (key === "z" && stroke.shiftKey) return { command: "redo" };
        return key in WITH_CONTROL ? { command: WITH_CONTROL[key] } : null;
    }
    for (const [tool, letter] of Object.entries(TOOL_KEYS)) {
        if (letter.toLowerCase() === key) return { tool: tool as Tool };
    }
    if (/^[1-9]$/.test(key)) return { digit: Number(key) };
    return key in PLAIN ? { command: PLAIN[key] } : null;
}

/** The list of the help dialog. */
export const HELP: readonly { title: Key; rows: readonly (readonly [keys: string, what: Key])[] }[] = [
    {
        title: "helpMap",
        rows: [
            ["← ↑ → ↓", "helpArrows"],
            ["Shift ← ↑ → ↓", "helpShiftArrows"],
            ["Space", "helpSpace"],
            ["Enter", "helpEnter"],
            ["Esc", "helpEscape"],
            ["Backspace", "helpBackspace"],
        ],
    },
    {
        title: "helpEdit",
        rows: [
            ["1 … 9", "helpDigits"],
            ["/", "search"],
            ["[  ]", "helpSize"],
            ["M", "mirror"],
            ["Ctrl Z", "undo"],
            ["Ctrl Shift Z", "redo"],
        ],
    },
    {
        title: "helpPage",
        rows: [
            ["S", "helpMode"],
            ["+  −  0", "helpZoom"],
            ["N", "reroll"],
            ["Y", "patterns"],
            ["Ctrl O", "open"],
            ["Ctrl S", "save"],
            ["?", "help"],
        ],
    },
    {
        title: "helpMouse",
        rows: [
            ["Wheel", "helpWheelDoes"],
            ["Middle", "helpMiddleDoes"],
            ["Fingers", "helpTwoDoes"],
            ["Shift", "helpShift"],
        ],
    },
];
