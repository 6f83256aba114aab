import { defineConfig } from "vitest/config";

export default defineConfig({
    // The limit is for machines that have other things to do.
    test: { include: ["tests/unit/**/*.test.ts"], testTimeout: 30_000 },
});
