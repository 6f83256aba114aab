import { defineConfig, type Plugin } from "vite";
import { Mock } from "./tests/mock/api.ts";

/** Answers the page's requests while it is developed, unless a real server does. */
function mock(): Plugin {
    const answers = new Mock();
    return {
        name: "mock",
        configureServer: (server) =>
            void server.middlewares.use((request, response, next) => {
                if (!answers.handle(request, response)) next();
            }),
    };
}

const server = process.env.DP_SIMS_PAGE_URL;

export default defineConfig({
    // The server may put the page below any path.
    base: "./",
    plugins: server ? [] : [mock()],
    server: server ? { proxy: { "/v1": server } } : {},
    build: {
        target: "es2022",
        modulePreload: { polyfill: false },
        // Data addresses would not pass the page's policy for styles, and one file less is no gain.
        assetsInlineLimit: 0,
        chunkSizeWarningLimit: 200,
    },
});
