
/*
 * Copyright (C) sync for nginx
 */


/*
 * Finds handlers, by where they lie:
 *
 *     src/{page}/_sync/{name}_server_v1.ts    once, when a sync comes
 *     src/{page}/_sync/{name}_client_v1.ts    for each who is to hear of it
 *     src/{page}/_api/{name}_v1.ts            a call
 *
 * A route's name is made of the page, with all its folders, and the name; of
 * files in src/ itself the page is "system".
 */


import { readdir } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { pathToFileURL } from "node:url";

import type { AuthProps, FilterTest, Schema } from "./types.js";


export interface Handler {
    main: (params: any) => unknown;
    auth?: AuthProps;
    rateLimit?: number | false;
    schema?: Schema;
    filter?: FilterTest[];
    throttle?: { everyMs: number, chars: number, field?: string };
    httpMethod?: "GET" | "POST" | "PUT" | "DELETE";
}

export interface Route {
    name: string;               /* sync/board/moveCard/v1 */
    server?: Handler;
    client?: Handler;
    api?: Handler;

    /* Paths of the files, from the folder, without their extensions. */
    files: { server?: string, client?: string, api?: string };
}

export type Routes = Map<string, Route>;


const FILE = /^(?:(.+)\/)?_(sync|api)\/([\w-]+?)(?:_(server|client))?_v(\d+)$/;


export async function discover(folder: string): Promise<Routes> {
    const routes: Routes = new Map();

    for (const file of (await walk(folder)).sort()) {
        const found = FILE.exec(file);

        if (found === null) {
            continue;
        }

        const [, page = "system", kind, short, part, version] = found;

        if ((kind === "sync") !== (part !== undefined)) {
            throw new Error(`${file}: a sync's handler is named _server or `
                            + `_client, an api's is not`);
        }

        const name = `${kind}/${page}/${short}/v${version}`;
        const route = routes.get(name) ?? { name, files: {} };
        const slot = (part ?? "api") as "server" | "client" | "api";

        route[slot] = await load(join(folder, file));
        route.files[slot] = file;
        routes.set(name, route);
    }

    return routes;
}


async function walk(folder: string): Promise<string[]> {
    const entries = await readdir(folder,
                                  { recursive: true, withFileTypes: true });

    return entries
        .filter((entry) => entry.isFile() && entry.name.endsWith(".js"))
        .map((entry) => relative(folder, join(entry.parentPath, entry.name))
            .slice(0, -3).split(sep).join("/"));
}


async function load(path: string): Promise<Handler> {
    const handler = await import(pathToFileURL(path + ".js").href);

    if (typeof handler.main !== "function") {
        throw new Error(`${path}: exports no function "main"`);
    }

    return handler;
}
