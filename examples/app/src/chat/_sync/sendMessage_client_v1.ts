
/*
 * Copyright (C) sync for nginx
 */


import type { ClientParams, InputOf, OutputOf }
    from "../../../../node-adapter/types.js";
import type * as server from "./sendMessage_server_v1.js";


type Params = ClientParams<InputOf<typeof server>, OutputOf<typeof server>>;


export const main = async ({ serverOutput, clientId }: Params) => ({
    status: "success" as const,
    mine: serverOutput.from === clientId
});
