
/*
 * Copyright (C) sync for nginx
 */


import type { AuthProps } from "../../../../node-adapter/types.js";
import { store } from "../../functions.js";


export const auth: AuthProps = { login: false };


export const main = async () => ({
    status: "success" as const,
    cards: Object.fromEntries(store.cards)
});
