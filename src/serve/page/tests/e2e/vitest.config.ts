import { defineConfig } from "vitest/config";

export default defineConfig({
    test: {
        include: ["tests/e2e/**/*.test.ts"],
        globalSetup: "tests/e2e/setup.ts",
        // The tests share a server that some of them tell to fail.
        fileParallelism: false,
        // A browser on a busy machine may miss a deadline once.
        retry: 1,
        testTimeout: 30_000,
        hookTimeout: 30_000,
    },
});
