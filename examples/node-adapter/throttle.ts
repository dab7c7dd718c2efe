
/*
 * Copyright (C) sync for nginx
 */


/*
 * Puts small pieces of text together to larger chunks: one is sent when it
 * has flushAtChars UTF-16 units, or flushEveryMs after its first piece.
 */


import type { Chunk } from "./types.js";


type Send = (payload: Chunk) => void;


export interface StreamThrottle {
    push(text: string, send: Send): void;
    flush(send: Send): void;
    reset(): void;
}


export function createStreamThrottle(
    { flushAtChars = 32, flushEveryMs = 50, field = "chunk" }
    : { flushAtChars?: number, flushEveryMs?: number | false,
        field?: string } = {})
    : StreamThrottle
{
    let buffer = "";
    let timer: ReturnType<typeof setTimeout> | undefined;

    const reset = (): void => {
        clearTimeout(timer);
        timer = undefined;
        buffer = "";
    };

    const flush = (send: Send): void => {
        const text = buffer;

        reset();

        if (text !== "") {
            send({ [field]: text });
        }
    };

    const push = (text: string, send: Send): void => {
        buffer += text;

        if (buffer.length >= flushAtChars) {
            flush(send);

        } else if (flushEveryMs !== false && buffer !== "") {
            timer ??= setTimeout(() => flush(send), flushEveryMs);
        }
    };

    return { push, flush, reset };
}
