
/*
 * Copyright (C) sync for nginx
 */


import type { ApiParams, AuthProps } from "../../../../node-adapter/types.js";
import { store } from "../../functions.js";


export const auth: AuthProps = {
    login: true,
    additional: [{ key: "admin", value: true }]
};


export const main = async ({ user }: ApiParams) => {
    store.cards.clear();

    return { status: "success" as const, by: user!.id };
};
