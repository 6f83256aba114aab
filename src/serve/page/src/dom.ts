import { PATHS, type Icon } from "./icons.ts";

/** An element of the page by its id; the page is broken without it. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
    const found = document.getElementById(id);
    if (!found) throw new Error(`the page has no element #${id}`);
    return found as T;
}

type Properties<T> = Partial<Omit<T, "dataset">> & { data?: Record<string, string>; aria?: Record<string, string> };

/** Makes an element with its properties and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
    tag: K,
    properties: Properties<HTMLElementTagNameMap[K]> = {},
    ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
    const { data = {}, aria = {}, ...rest } = properties;
    const element = Object.assign(document.createElement(tag), rest);
    Object.assign(element.dataset, data);
    for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
    element.append(...children);
    return element;
}

export function icon(name: Icon): SVGSVGElement {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 20 20");
    svg.setAttribute("aria-hidden", "true");
    svg.classList.add("icon");
    for (const path of PATHS[name].split("|")) {
        const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
        line.setAttribute("d", path);
        svg.append(line);
    }
    return svg;
}

/** Puts the icons into the elements that name one. */
export function placeIcons(root: ParentNode): void {
    for (const element of root.querySelectorAll<HTMLElement>("[data-icon]")) {
        element.prepend(icon(element.dataset.icon as Icon));
        delete element.dataset.icon;
    }
}

/** Lets the browser save bytes under a name. */
export function download(name: string, content: Blob): void {
    const address = URL.createObjectURL(content);
    make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Makes a group of elements one stop of the tab key; the arrow keys go from one to the next. */
export function rove(group: HTMLElement, selector: string): void {
    group.addEventListener("keydown", (event) => {
        const steps: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
        const items = [...group.querySelectorAll<HTMLElement>(selector)].filter((item) => !item.hidden);
        const at = items.indexOf(document.activeElement as HTMLElement);
        if (at < 0) return;
        let next = at + (steps[event.key] ?? 0);
        if (event.key === "Home") next = 0;
        if (event.key === "End") next = items.length - 1;
        if (next === at) return;
        event.preventDefault();
        event.stopPropagation();
        const target = items[(next + items.length) % items.length];
        target.focus();
        target.click();
    });
}
