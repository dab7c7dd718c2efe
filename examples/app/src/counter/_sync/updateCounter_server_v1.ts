
/*
 * Copyright (C) sync for nginx
 */


import { z } from "zod";

import type { AuthProps, ServerParams } from "../../../../node-adapter/types.js";
import { store } from "../../functions.js";


export const auth: AuthProps = { login: false };

export const rateLimit = 600;

export const schema = z.object({ amount: z.number().int().min(-10).max(10) });


export const main = async ({ clientInput }: ServerParams<{ amount: number }>) => {
    store.counter += clientInput.amount;

    return { status: "success" as const, newValue: store.counter };
};
