
/*
 * Copyright (C) sync for nginx
 */


import { z } from "zod";

import type { AuthProps, Failure, ServerParams }
    from "../../../../node-adapter/types.js";
import { store } from "../../functions.js";


export const auth: AuthProps = { login: false };

export const schema = z.object({
    cardId: z.string(),
    toLane: z.enum(["todo", "doing", "done"])
});


type Params = ServerParams<z.infer<typeof schema>>;

interface Moved {
    status: "success";
    cardId: string;
    toLane: string;
}


export const main = async ({ data }: Params): Promise<Moved | Failure> => {
    if (!store.cards.has(data.cardId)) {
        return { status: "error", errorCode: "board.noSuchCard",
                 errorParams: [{ key: "card", value: data.cardId }],
                 httpStatus: 404 };
    }

    store.cards.set(data.cardId, data.toLane);

    return { status: "success", ...data };
};
