
/*
 * Copyright (C) sync for nginx
 */


import type { ClientParams } from "../../../../node-adapter/types.js";
import type { InputOf, OutputOf } from "../../../../node-adapter/types.js";
import type * as server from "./updateCounter_server_v1.js";


type Params = ClientParams<InputOf<typeof server>, OutputOf<typeof server>>;


export const main = async ({ clientInput, serverOutput }: Params) => ({
    status: "success" as const,
    label: `${clientInput.amount > 0 ? "up" : "down"} to `
           + `${serverOutput.newValue}`
});
