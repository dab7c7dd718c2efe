
/*
 * Copyright (C) sync for nginx
 */


/*
 * Answers nginx's hooks by the app's handlers:
 *
 *     POST {prefix}server, {prefix}api    one handler, once
 *     POST {prefix}client                 one handler for each recipient
 *     POST {prefix}cancel                 a caller gave up
 *
 * An answer is JSON, or lines of NDJSON from the first chunk on.
 */


import type { IncomingMessage, ServerResponse } from "node:http";

import type { Handler, Routes } from "./discover.js";
import type { Chunk, Functions, SessionLayout } from "./types.js";


export interface Options {
    routes: Routes;
    functions?: Functions;
    prefix?: string;            /* "/_hook/" */
    log?: (e: unknown, route: string) => void;
}

interface Question {
    id: string;
    route: string;
    data: Chunk;
    receiver: string;
    user: SessionLayout | null;
    token: string | null;
    clientId: string;
}

interface Recipient {
    k: number;
    user: SessionLayout | null;
    token: string | null;
    clientId: string;
}

type ClientQuestion = Question
    & { serverOutput: Chunk, recipients: Recipient[] };


/*
 * Whether the request is a hook's; then it is answered.
 */
export function createHooks({ routes, functions = {}, prefix = "/_hook/",
                              log = console.error }: Options)
{
    const running = new Map<string, AbortController>();

    async function ask(question: Question, reply: Reply): Promise<void> {
        const route = routes.get(question.route);
        const handler = route?.api ?? route?.server;
        const kind = question.route.startsWith("api/") ? "api" : "sync";

        if (handler === undefined) {
            reply.end({ status: "error", errorCode: `${kind}.notFound`,
                        httpStatus: 404 });
            return;
        }

        const parsed = check(handler, question.data);

        if (parsed === undefined) {
            reply.end({ status: "error",
                        errorCode: `${kind}.invalidInputType` });
            return;
        }

        const abort = new AbortController();

        running.set(question.id, abort);
        reply.onClose(() => abort.abort());

        try {
            const result = await handler.main({
                data: parsed.data,
                clientInput: parsed.data,
                user: question.user,
                token: question.token,
                clientId: question.clientId,
                receiver: question.receiver,
                roomCode: question.receiver,
                functions,
                abortSignal: abort.signal,
                flushPressure: () => reply.flushed(),
                stream: (p: Chunk = {}) => reply.line({ stream: p }),
                broadcastStream:
                    (p: Chunk = {}) => reply.line({ broadcast: p }),
                streamTo: (to: string | string[], p: Chunk = {}) =>
                    reply.line({ to: [to].flat(), payload: p })
            });

            reply.end(result);

        } catch (e) {
            log(e, question.route);
            reply.fail();

        } finally {
            running.delete(question.id);
        }
    }

    async function askForEach(question: ClientQuestion, reply: Reply)
        : Promise<void>
    {
        const main = routes.get(question.route)?.client?.main;

        await Promise.all(question.recipients.map(async (recipient) => {
            const { k, user, token, clientId } = recipient;

            try {
                const out = main === undefined
                    ? { status: "success" }
                    : await main({
                        clientInput: question.data,
                        serverOutput: question.serverOutput,
                        receiver: question.receiver,
                        roomCode: question.receiver,
                        functions, user, token, clientId,
                        stream: (p: Chunk = {}) => reply.line({ k, stream: p })
                    });

                reply.line({ k, out: out ?? null });

            } catch (e) {
                log(e, question.route);
                reply.line({ k, threw: true });
            }
        }));

        reply.done();
    }

    return async (req: IncomingMessage, res: ServerResponse)
        : Promise<boolean> =>
    {
        if (req.method !== "POST" || !req.url?.startsWith(prefix)) {
            return false;
        }

        const what = req.url.slice(prefix.length);
        const reply = new Reply(res);
        const body = await read(req);

        switch (what) {

        case "server":
        case "api":
            await ask(body, reply);
            break;

        case "client":
            await askForEach(body, reply);
            break;

        case "cancel":
            for (const { id } of body.events) {
                running.get(id)?.abort();
            }

            reply.end({});
            break;

        default:
            return false;
        }

        return true;
    };
}


function check({ schema }: Handler, data: unknown)
    : { data: unknown } | undefined
{
    const parsed = schema?.safeParse?.(data);

    if (parsed === undefined) {
        return { data };
    }

    return parsed.success ? { data: parsed.data } : undefined;
}


async function read(req: IncomingMessage): Promise<any> {
    const pieces: Buffer[] = [];

    for await (const piece of req) {
        pieces.push(piece);
    }

    return JSON.parse(Buffer.concat(pieces).toString());
}


/*
 * An answer: what is told by end() alone is JSON, else lines.
 */
class Reply {
    #res: ServerResponse;

    constructor(res: ServerResponse) {
        this.#res = res;
    }

    onClose(fn: () => void): void {
        this.#res.on("close", () => {
            if (!this.#res.writableFinished) {
                fn();
            }
        });
    }

    line(value: object): void {
        if (!this.#res.headersSent) {
            this.#res.writeHead(200,
                                { "Content-Type": "application/x-ndjson" });
        }

        this.#res.write(JSON.stringify(value) + "\n");
    }

    async flushed(): Promise<void> {
        if (this.#res.writableNeedDrain && !this.#res.destroyed) {
            await new Promise<void>((resolve) => {
                this.#res.once("drain", resolve);
                this.#res.once("close", resolve);
            });
        }
    }

    end(result: unknown): void {
        if (this.#res.headersSent) {
            this.line({ final: result ?? null });
            this.#res.end();
            return;
        }

        this.#res.writeHead(200, { "Content-Type": "application/json" });
        this.#res.end(JSON.stringify(result ?? null));
    }

    done(): void {
        if (this.#res.headersSent) {
            this.#res.end();

        } else {
            this.#res.writeHead(200, { "Content-Type": "application/json" });
            this.#res.end("[]");
        }
    }

    /* What has begun is cut off: nginx tells the caller of an error. */

    fail(): void {
        if (this.#res.headersSent) {
            this.#res.destroy();
            return;
        }

        this.#res.writeHead(500);
        this.#res.end();
    }
}
