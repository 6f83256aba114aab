import "vitest";
import type { TestProject } from "vitest/node";
import { serve } from "../mock/server.ts";

declare module "vitest" {
    interface ProvidedContext {
        address: string;
        isMock: boolean;
    }
}

/** Starts the mock, unless DP_SIMS_PAGE_URL names a server. */
export default async function setup(project: TestProject) {
    const given = process.env.DP_SIMS_PAGE_URL;
    if (given) {
        project.provide("address", given);
        project.provide("isMock", false);
        return undefined;
    }
    const { server, address } = await serve("dist");
    project.provide("address", address);
    project.provide("isMock", true);
    return () => {
        server.closeAllConnections();
        server.close();
    };
}
