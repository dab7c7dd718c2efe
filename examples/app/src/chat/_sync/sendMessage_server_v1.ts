
/*
 * Copyright (C) sync for nginx
 */


import { z } from "zod";

import { createStreamThrottle } from "../../../../node-adapter/throttle.js";
import type { AuthProps, ServerParams } from "../../../../node-adapter/types.js";
import { store } from "../../functions.js";


export const auth: AuthProps = { login: false };

export const schema = z.object({ text: z.string().min(1).max(500) });


/*
 * Everybody sees the message being spoken, piece by piece, then all of it.
 */
export const main = async ({ data, clientId, broadcastStream, abortSignal }
                           : ServerParams<z.infer<typeof schema>>) =>
{
    const throttle = createStreamThrottle({ flushAtChars: 8 });

    for (const word of data.text.split(/(?<= )/)) {
        if (abortSignal.aborted) {
            break;
        }

        throttle.push(word, broadcastStream);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }

    throttle.flush(broadcastStream);

    store.messages.push({ from: clientId, text: data.text });

    return { status: "success" as const, from: clientId, text: data.text };
};
