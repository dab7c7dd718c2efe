
/*
 * Copyright (C) sync for nginx
 */


/*
 * node write.js HANDLERS ROUTES TYPES CLIENT ADAPTER
 *
 * Writes routes.json and apiTypes.generated.ts for the compiled handlers in a
 * folder.  The latter is to lie in the folder of the sources; CLIENT and
 * ADAPTER are the paths of the browser module and of types.js from there.
 */


import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";

import { discover } from "./discover.js";
import { manifest, types } from "./generate.js";


const [handlers, json, generated, client, adapter] = process.argv.slice(2);

if (handlers === undefined || json === undefined || generated === undefined
    || client === undefined || adapter === undefined)
{
    console.error("usage: write.js HANDLERS ROUTES TYPES CLIENT ADAPTER");
    process.exit(1);
}

const routes = await discover(resolve(handlers));

await writeFile(json, manifest(routes));
await writeFile(generated, types(routes, { handlers: ".", client, adapter }));
