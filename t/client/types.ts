
/*
 * Copyright (C) sync for nginx
 */


/*
 * The declarations, checked by tsc and never run: what must compile, and
 * after @ts-expect-error what must not.
 */


import {
    connect, getClient, getEventClient, syncRequest, upsertSyncEventCallback
} from "../../src/client/sync.js";


declare module "../../src/client/sync.js" {
    interface SyncRoutes {
        "board/moveCard/v1": {
            input: { cardId: string, toLane: string },
            serverOutput: { status: "success", order: number },
            stream: { chunk: string }
        };
    }
}


export async function requests() {
    const answer = await syncRequest({
        name: "board/moveCard", version: "v1",
        data: { cardId: "c", toLane: "l" }, receiver: "r", ignoreSelf: true,
        onStream: ({ chunk }) => chunk.length
    });

    if (answer.status === "success") {
        const order: number = answer.result.order;

        /* @ts-expect-error: no such field */
        void answer.result.cardId;

        return order;
    }

    const code: string = answer.errorCode;

    /* @ts-expect-error: a wrong input */
    void syncRequest({ name: "board/moveCard", version: "v1", data: {} });

    /* @ts-expect-error: no such policy */
    void syncRequest({ name: "a/b", offlineDropPolicy: "keep" });

    const other = await syncRequest({ name: "a/b", data: { any: 1 } });

    return other.status === "success" ? other.result.whatever : code;
}


export function callbacks(): () => void {
    const off = upsertSyncEventCallback({
        name: "board/moveCard", version: "v1",
        callback: ({ serverOutput, stream, status }) => {
            const order: number = serverOutput.order;
            const chunk: string | undefined = stream?.chunk;
            const done: boolean = status === "success";

            return [order, chunk, done];
        }
    });

    upsertSyncEventCallback("a/b", ({ clientOutput }) => clientOutput.any);

    return off;
}


export async function clients() {
    const client = connect({ url: "/ws", token: async () => "t",
                             presence: true });

    client.on("gap", ({ room, reason }) => room + reason);
    client.on("anything", (data, meta) => [data.any, meta?.room]);
    client.onStatus((status, { delay = 0 }) => status === "closed" || delay);

    const answer = await client.joinRoom("r", { pos: "0/0.00000000" });

    /* @ts-expect-error: errors have no rooms */
    void answer.rooms;

    return getClient("/ws").status;
}


export function events() {
    const client = getEventClient({ url: "/api/events" });

    client.connect("u", ["timer:u"]);

    return client.subscribe<{ n: number }>("timer:u", ({ n }) => n + 1);
}
