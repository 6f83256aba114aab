import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { Mock } from "./api.ts";

const KINDS: Record<string, string> = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
};
const POLICY = "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'";

/** Serves a folder of built files and the mock's answers, under the policy that the real server sets. */
export async function serve(folder: string, port = 0): Promise<{ server: Server; address: string }> {
    const mock = new Mock();
    const server = createServer((request, response) => {
        if (mock.handle(request, response)) return;
        const path = normalize(new URL(request.url ?? "/", "http://mock").pathname);
        const file = join(folder, path === "/" ? "index.html" : path);
        if (!existsSync(file) || !statSync(file).isFile()) return void response.writeHead(404).end();
        response.writeHead(200, {
            "content-type": KINDS[extname(file)] ?? "application/octet-stream",
            "content-security-policy": POLICY,
            "x-content-type-options": "nosniff",
        });
        createReadStream(file).pipe(response);
    });
    await new Promise<void>((done) => server.listen(port, "127.0.0.1", done));
    return { server, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}
