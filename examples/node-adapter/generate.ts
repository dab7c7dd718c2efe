
/*
 * Copyright (C) sync for nginx
 */


/*
 * What is written down about the routes: routes.json for nginx, and
 * apiTypes.generated.ts, by which syncRequest() and the callbacks of the
 * browser module know what each route takes and gives.
 */


import type { Handler, Route, Routes } from "./discover.js";
import { jsonSchema } from "./schema.js";


export function manifest(routes: Routes): string {
    const all: Record<string, object> = {};

    for (const route of routes.values()) {
        all[route.name] = entry(route);
    }

    return JSON.stringify({ version: 1, routes: all }, null, 2) + "\n";
}


function entry({ server, client, api }: Route): object {
    const handler: Partial<Handler> = api ?? server ?? client ?? {};
    const { auth, rateLimit, throttle, httpMethod } = handler;
    const schema = jsonSchema(handler.schema);

    const common = {
        ...auth !== undefined && { auth },
        ...rateLimit !== undefined && { rateLimit },
        ...throttle !== undefined && { throttle },
        ...schema !== undefined && { schema }
    };

    if (api !== undefined) {
        return { ...common, ...httpMethod !== undefined && { httpMethod } };
    }

    return {
        ...common,
        server: server !== undefined,
        ...client !== undefined && {
            client: client.filter === undefined ? true
                    : { filter: client.filter }
        }
    };
}


/*
 * handlers is the path of the folder from the generated file, client that of
 * the browser module's types, adapter that of this folder's types.
 */
export function types(
    routes: Routes,
    paths: { handlers: string, client: string, adapter: string }): string
{
    const lines: string[] = [];
    const syncs: string[] = [];
    const apis: string[] = [];

    let n = 0;

    const declare = (file: string): string => {
        const name = `H${++n}`;

        lines.push(`import type * as ${name} from `
                   + `"${paths.handlers}/${file}.js";`);

        return name;
    };

    for (const { name, files } of routes.values()) {
        const key = JSON.stringify(name.slice(name.indexOf("/") + 1));
        const server = files.server && declare(files.server);
        const client = files.client && declare(files.client);
        const api = files.api && declare(files.api);

        if (api !== undefined) {
            apis.push(`    ${key}: {`,
                      `        input: InputOf<typeof ${api}>;`,
                      `        output: OutputOf<typeof ${api}>;`,
                      "    };");
            continue;
        }

        syncs.push(`        ${key}: {`,
                   `            input: InputOf<typeof ${server ?? client}>;`,
                   "            serverOutput: "
                   + (server ? `OutputOf<typeof ${server}>;` : "{};"),
                   "            clientOutput: "
                   + (client ? `OutputOf<typeof ${client}>;` : "{};"),
                   "        };");
    }

    return [
        "",
        "/*",
        " * Written by the adapter: not to be changed by hand.",
        " */",
        "",
        "",
        `import type { InputOf, OutputOf } from "${paths.adapter}";`,
        ...lines,
        "",
        "",
        `declare module "${paths.client}" {`,
        "    interface SyncRoutes {",
        ...syncs,
        "    }",
        "}",
        "",
        "",
        "export interface ApiRoutes {",
        ...apis,
        "}",
        ""
    ].join("\n");
}
