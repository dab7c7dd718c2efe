
/*
 * Copyright (C) sync for nginx
 */


/*
 * The board's backend: a plain HTTP server.  It keeps the board in memory,
 * gives out the page, and answers what nginx asks about it:
 *
 *     GET  /board             the whole board
 *     POST /_hook/sync        somebody changes the board, or points at it
 *     POST /_hook/join        may this client join this room?
 *     POST /_hook/disconnect  a client is gone
 *
 * It holds no connection to a browser.  What it has to say by itself (who is
 * here) it says to nginx, in POST /control/publish.
 *
 * Environment: PORT to listen on, 3000; NGINX, where nginx listens,
 * http://127.0.0.1:8080.
 */


import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";


const PORT = Number(process.env.PORT ?? 3000);
const NGINX = process.env.NGINX ?? "http://127.0.0.1:8080";

const ROOM = "board:main";
const MAX_CARDS = 200;
const MAX_TEXT = 280;       /* characters */
const MAX_BODY = 65536;     /* bytes */

const FILES = {
    "/": ["index.html", "text/html; charset=utf-8"],
    "/board.css": ["board.css", "text/css; charset=utf-8"],
    "/board.js": ["board.js", "text/javascript; charset=utf-8"]
};


/*
 * Each change has a number.  A message about it carries, whole, the lanes
 * and cards that changed: whoever has seen a later number of a lane ignores
 * an earlier one, and all pages end up the same in whatever order they hear.
 */
const epoch = randomUUID();
let rev = 0;

const cards = new Map();    /* id -> {id, text, hue, rev} */
const lanes = new Map([     /* id -> {title, cards: [id]} */
    ["ideas", { title: "Ideas", cards: [] }],
    ["doing", { title: "Doing", cards: [] }],
    ["review", { title: "Review", cards: [] }],
    ["done", { title: "Done", cards: [] }]
]);

const guests = new Map();   /* clientId -> {name, hue} */


for (const [lane, hue, text] of [
    ["ideas", 28, "Let the night theme follow the sunset"],
    ["ideas", 265, "Short tour for people who open the board for the first "
                   + "time"],
    ["ideas", 150, "Sound when a card lands in Done?"],
    ["doing", 205, "Search: rank what I edited lately higher"],
    ["doing", 340, "Invoices as PDF, in the customer's language"],
    ["review", 28, "Keyboard: move a card with Alt and the arrows"],
    ["done", 150, "Welcome mail, second draft"],
    ["done", 205, "Backups restored on a clean machine, with a stopwatch"]
]) {
    put(lane, { text, hue });
}


/* What a sync request does.  Each returns what all members will see. */

const handlers = {

    "sync/board/hello/v1": async (data, { clientId }) => {
        const { name, hue } = data;

        if (!isText(name, 40) || !isHue(hue)) {
            return refuse("board.invalidGuest");
        }

        guests.set(clientId, { name: name.trim(), hue });
        await recount();

        return { status: "success" };
    },

    "sync/board/cursor/v1": ({ lane, x, y, holding, gone }, { clientId }) => {
        if (!guests.has(clientId)) {
            return refuse("board.unknownGuest");
        }

        if (gone === true) {
            return { status: "success", clientId, gone };
        }

        if (!Number.isFinite(x) || !Number.isFinite(y)) {
            return refuse("board.invalidCursor");
        }

        return {
            status: "success", clientId, x, y,
            lane: lanes.has(lane) ? lane : null,
            holding: cards.has(holding) ? holding : null
        };
    },

    "sync/board/moveCard/v1": ({ cardId, toLane, index }, request) => {
        if (!cards.has(cardId) || !lanes.has(toLane)) {
            return refuse("board.notFound");
        }

        if (!Number.isInteger(index)) {
            return refuse("board.invalidIndex");
        }

        const from = take(cardId);
        const target = lanes.get(toLane).cards;

        target.splice(Math.min(Math.max(index, 0), target.length), 0, cardId);

        return changed([from, toLane], [], request, cardId);
    },

    "sync/board/addCard/v1": ({ lane, text, hue }, request) => {
        if (!lanes.has(lane)) {
            return refuse("board.notFound");
        }

        if (!isText(text, MAX_TEXT) || !isHue(hue)) {
            return refuse("board.invalidCard");
        }

        if (cards.size >= MAX_CARDS) {
            return refuse("board.full");
        }

        const id = put(lane, { text: text.trim(), hue });

        return changed([lane], [id], request, id);
    },

    "sync/board/editCard/v1": ({ cardId, text }, request) => {
        if (!cards.has(cardId)) {
            return refuse("board.notFound");
        }

        if (!isText(text, MAX_TEXT)) {
            return refuse("board.invalidCard");
        }

        cards.get(cardId).text = text.trim();

        return changed([], [cardId], request, cardId);
    },

    "sync/board/removeCard/v1": ({ cardId }, request) => {
        if (!cards.has(cardId)) {
            return refuse("board.notFound");
        }

        const from = take(cardId);

        cards.delete(cardId);

        return changed([from], [], request, cardId);
    }
};


/* What nginx asks.  The answer is the hook's. */

const hooks = {

    "/_hook/sync": async (request) => {
        const handler = handlers[request.route];

        if (handler === undefined) {
            return refuse("sync.notFound", 404);
        }

        if (request.receiver !== ROOM) {
            return refuse("board.notFound");
        }

        return handler(request.data, request);
    },

    "/_hook/join": ({ room }) => {
        return room === ROOM ? {}
                             : { stop: { errorCode: "board.notFound" } };
    },

    "/_hook/disconnect": async () => {
        await recount();

        return {};
    }
};


function refuse(errorCode, httpStatus = 400) {
    return { status: "error", errorCode, httpStatus };
}


function isText(text, max) {
    return typeof text === "string" && text.trim() !== ""
           && text.length <= max;
}


function isHue(hue) {
    return Number.isInteger(hue) && hue >= 0 && hue < 360;
}


function put(lane, card) {
    const id = randomUUID().slice(0, 8);

    cards.set(id, { id, ...card, rev });
    lanes.get(lane).cards.push(id);

    return id;
}


function take(cardId) {
    for (const [lane, { cards: ids }] of lanes) {
        const at = ids.indexOf(cardId);

        if (at !== -1) {
            ids.splice(at, 1);

            return lane;
        }
    }
}


function changed(laneIds, cardIds, { clientId }, cardId) {
    rev++;

    for (const id of cardIds) {
        cards.get(id).rev = rev;
    }

    return {
        status: "success", epoch, rev, cardId, clientId,
        lanes: Object.fromEntries(
            laneIds.map((id) => [id, lanes.get(id).cards])),
        cards: cardIds.map((id) => cards.get(id))
    };
}


function board() {
    return {
        epoch, rev, cards: [...cards.values()],
        lanes: [...lanes].map(([id, lane]) => ({ id, ...lane }))
    };
}


/*
 * Asks nginx who is in the room, and tells the room.  While it is at it, any
 * number of calls are answered by one more round.
 */
let counting = null;
let again = null;

function recount() {
    if (counting === null) {
        counting = count().finally(() => {
            counting = null;
        });

        return counting;
    }

    again ??= counting.then(() => {
        again = null;

        return recount();
    });

    return again;
}


async function count() {
    try {
        const { count: here, members } = await control("members", {
            room: ROOM, limit: 1000
        });
        const ids = new Set(members.map((member) => member.clientId));

        for (const id of guests.keys()) {
            if (!ids.has(id)) {
                guests.delete(id);
            }
        }

        await control("publish", {
            room: ROOM, event: "here", data: {
                count: here,
                guests: [...guests].map(([id, guest]) => ({ id, ...guest }))
            }
        });

    } catch (e) {
        console.error("who is here: " + e.message);
    }
}


async function control(command, body) {
    const response = await fetch(NGINX + "/control/" + command, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(5000)
    });
    const answer = await response.json();

    if (answer.status !== "success") {
        throw new Error(command + ": " + answer.errorCode);
    }

    return answer;
}


const server = createServer(async (req, res) => {
    const { pathname } = new URL(req.url, "http://board");

    try {
        if (req.method === "POST" && Object.hasOwn(hooks, pathname)) {
            reply(res, 200, await hooks[pathname](await read(req)));

        } else if (req.method !== "GET" && req.method !== "HEAD") {
            reply(res, 405, refuse("board.methodNotAllowed", 405));

        } else if (pathname === "/board") {
            reply(res, 200, board());

        } else if (Object.hasOwn(FILES, pathname)) {
            const [name, type] = FILES[pathname];
            const text = await readFile(new URL(name, import.meta.url));

            res.writeHead(200, {
                "Content-Type": type, "Cache-Control": "no-cache"
            });
            res.end(text);

        } else {
            reply(res, 404, refuse("board.notFound", 404));
        }

    } catch (e) {
        console.error(req.method + " " + pathname + ": " + e.message);
        reply(res, 500, refuse("board.failed", 500));
    }
});


async function read(req) {
    const chunks = [];
    let size = 0;

    for await (const chunk of req) {
        size += chunk.length;

        if (size > MAX_BODY) {
            throw new Error("request too large");
        }

        chunks.push(chunk);
    }

    return JSON.parse(Buffer.concat(chunks).toString());
}


function reply(res, status, body) {
    res.writeHead(status, {
        "Content-Type": "application/json", "Cache-Control": "no-store"
    });
    res.end(JSON.stringify(body));
}


/* nginx keeps connections for 60 s, and should be the one to close them. */
server.keepAliveTimeout = 75000;

server.listen(PORT, "127.0.0.1", () => {
    console.log("listening on " + server.address().port);
});
