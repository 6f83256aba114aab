import type { Class } from "./api.ts";

/** Below this share of the training pixels the model hardly saw a class. */
const RARE = 0.001;
const RECENT = 6;

export function isRare(known: Class): boolean {
    return known.share !== null && known.share < RARE && !known.is_void;
}

/** The classes whose names hold every word of a search; those that start with it come first. */
export function find(classes: readonly Class[], search: string): Class[] {
    const words = plain(search)
        .split(/\s+/)
        .filter((word) => word !== "");
    if (words.length === 0) return [...classes];
    const found = classes.filter((known) => words.every((word) => plain(known.name).includes(word)));
    const starts = (known: Class) => plain(known.name).startsWith(words[0]);
    return [...found.filter(starts), ...found.filter((known) => !starts(known))];
}

/** The classes used last, newest first, with one more. */
export function remember(recent: readonly number[], id: number): number[] {
    return [id, ...recent.filter((other) => other !== id)].slice(0, RECENT);
}

function plain(text: string): string {
    return text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
}
