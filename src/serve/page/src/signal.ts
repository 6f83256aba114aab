/** A value that others can follow. */
export class Signal<T> {
    #value: T;
    readonly #listeners: ((value: T) => void)[] = [];

    constructor(value: T) {
        this.#value = value;
    }

    get value(): T {
        return this.#value;
    }

    /** Tells everyone who follows, where the value is another one. */
    set(value: T): void {
        if (Object.is(value, this.#value)) return;
        this.#value = value;
        this.tell();
    }

    tell(): void {
        for (const listener of this.#listeners) listener(this.#value);
    }

    /** Calls the listener at every change from now on. */
    watch(listener: (value: T) => void): void {
        this.#listeners.push(listener);
    }

    /** Calls the listener now and at every change. */
    follow(listener: (value: T) => void): void {
        this.#listeners.push(listener);
        listener(this.#value);
    }
}
