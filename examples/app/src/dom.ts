
/*
 * Copyright (C) sync for nginx
 */


/*
 * What the pages share.
 */


import { getClient } from "./sync.js";


export function find<T extends HTMLElement>(id: string): T {
    const node = document.getElementById(id);

    if (node === null) {
        throw new Error(`no element "${id}"`);
    }

    return node as T;
}


/* Shows the state of the link on the page. */

export function show(): void {
    getClient("/ws").onStatus((status) => {
        document.body.dataset.status = status;
    });
}


export function report(answer: { status: string, message?: string }): void {
    find("error").textContent =
        answer.status === "error" ? answer.message ?? "" : "";
}
