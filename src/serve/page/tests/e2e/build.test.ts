import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";
import { expect, test } from "vitest";

/** The files below a folder, by their paths in it. */
function files(folder: string): Map<string, Buffer> {
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
    return new Map(
        names
            .filter((name) => statSync(join(folder, name)).isFile())
            .map((name) => [name, readFileSync(join(folder, name))]),
    );
}

test("all files together take at most 80 KB gzipped", () => {
    let bytes = 0;
    for (const content of files("dist").values()) bytes += gzipSync(content).length;
    expect(bytes).toBeLessThan(80_000);
});

test("two builds give the same bytes", async () => {
    const folder = mkdtempSync(join(tmpdir(), "page-"));
    try {
        await build({ build: { outDir: folder, emptyOutDir: true }, logLevel: "error" });
        expect(files(folder)).toEqual(files("dist"));
    } finally {
        rmSync(folder, { recursive: true });
    }
});

test("the page holds nothing inline that its policy forbids", () => {
    const page = readFileSync("dist/index.html", "utf8");
    expect(page).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/);
});
