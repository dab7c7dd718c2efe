
/*
 * Copyright (C) sync for nginx
 */


/*
 * The app: a plain HTTP server, for nginx's hooks and for the pages' files.
 *
 * Environment: PORT to listen on, 3000.
 */


import { readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { discover } from "../node-adapter/discover.js";
import { createHooks } from "../node-adapter/serve.js";


const PORT = Number(process.env.PORT ?? 3000);

const BUILT = join(dirname(fileURLToPath(import.meta.url)), "src");
const SOURCES = resolve(process.env.SOURCES ?? "src");

const PAGES = ["counter", "board", "chat"];
const SHARED = ["api", "dom", "apiTypes.generated"];


const hooks = createHooks({ routes: await discover(BUILT) });

createServer(async (req, res) => {
    try {
        if (!await hooks(req, res)) {
            await file(new URL(req.url ?? "/", "http://app").pathname, res);
        }

    } catch (e) {
        console.error(e);
        res.writeHead(500).end();
    }

}).listen(PORT, "127.0.0.1");


/* Nothing but what is named here is given out: no handler, no source. */

async function file(path: string, res: ServerResponse): Promise<void> {
    const [page = "", name = ""] = path.slice(1).split("/");

    if (path === "/") {
        res.writeHead(302, { Location: "/counter/" }).end();

    } else if (path === "/app.css") {
        await send(res, "text/css", join(SOURCES, "app.css"));

    } else if (PAGES.includes(page) && name === "") {
        await send(res, "text/html", join(SOURCES, page, "index.html"));

    } else if (PAGES.includes(page) && name === "page.js") {
        await send(res, "text/javascript", join(BUILT, page, name));

    } else if (SHARED.includes(page.slice(0, -3)) && name === "") {
        await send(res, "text/javascript", join(BUILT, page));

    } else {
        res.writeHead(404).end();
    }
}


async function send(res: ServerResponse, type: string, path: string)
    : Promise<void>
{
    const text = await readFile(path);

    res.writeHead(200, { "Content-Type": `${type}; charset=utf-8` });
    res.end(text);
}
