
/*
 * Copyright (C) sync for nginx
 */


/*
 * Drives the three pages of examples/app with two pages in Chromium: app.mjs
 * URL.
 */


import assert from "node:assert/strict";

import { complaints, drive, held } from "./chromium.mjs";


const [url] = process.argv.slice(2);

await drive(run);


async function run(open) {
    await counter(open);
    await board(open);
    await chat(open);

    assert.deepEqual(complaints, []);
    held("no page complained");
}


async function counter(open) {
    const [a, b] = await both(open, "counter");

    await a.locator("#by1").click();
    await b.locator("#value", { hasText: /^1$/ }).waitFor();
    await a.locator("#value", { hasText: /^1$/ }).waitFor();
    held("counter: what A counts B sees");

    await b.locator("#by-1").click();
    await a.locator("#label", { hasText: "down to 0" }).waitFor();
    held("counter: what the client handler made of it");

    await a.locator("#by100").click();
    await a.locator("#error", { hasText: "sync.invalidInputType" }).waitFor();
    assert.equal(await b.locator("#value").textContent(), "0");
    held("counter: what the schema does not allow");

    await close(a, b);
}


async function board(open) {
    const [a, b] = await both(open, "board");

    await a.locator("#todo #c1").click();
    await b.locator("#doing #c1").waitFor();
    await b.locator("#doing #c1").click();
    await a.locator("#done #c1").waitFor();
    held("board: a card moves on both pages");

    await a.locator("#clear").click();
    await a.locator("#error", { hasText: "auth.required" }).waitFor();
    held("board: who has not logged in may not clear it");

    await close(a, b);
}


async function chat(open) {
    const [a, b] = await both(open, "chat");

    await a.locator("#text").fill("a message that comes word by word");
    await a.locator("form button").click();

    await b.locator("#messages .theirs", { hasText: "word by word" }).waitFor();
    await a.locator("#messages .mine", { hasText: "word by word" }).waitFor();
    held("chat: mine for A, theirs for B");

    for (const page of [a, b]) {
        assert.equal(await page.locator("#spoken").textContent(),
                     "a message that comes word by word");
        assert.ok(Number(await page.locator("#chunks").textContent()) > 1);
    }
    held("chat: both saw it being spoken");

    await close(a, b);

    const [c] = await both(open, "chat");

    await c.locator("#messages li", { hasText: "word by word" }).waitFor();
    held("chat: who comes later reads it");
}


async function both(open, name) {
    const pages = [];

    for (const who of ["A", "B"]) {
        const page = await open(`${url}${name}/`, `${name} ${who}`);

        await page.locator("body[data-ready='yes']").waitFor();
        pages.push(page);
    }

    return pages;
}


async function close(...pages) {
    for (const page of pages) {
        await page.close();
    }
}
