
/*
 * Copyright (C) sync for nginx
 */


/*
 * Drives the chat of docs/start.md with two pages in Chromium: start.mjs URL.
 * What has to happen beside them is asked for: "do WHAT" is printed, and a
 * line awaited.
 */


import { createInterface } from "node:readline";

import { complaints, drive, held } from "./chromium.mjs";


const [url] = process.argv.slice(2);
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();

await drive(run);

input.close();


async function run(open) {
    const a = await open(url, "A");
    const b = await open(url, "B");

    await connected(a);
    await connected(b);
    held("two pages are connected");

    await say(a, "hello");
    await told("hello", a, b);
    held("what one says both show");

    const refused = dialog(b);

    await say(b, " ");
    equal(await refused, "chat.empty");
    held("what the app refuses the sender is told");

    const c = await open(url, "C");

    await told("hello", c);
    await c.close();
    held("who comes later sees it, too");

    await ask("stop");

    const failed = dialog(a);

    await say(a, "lost");
    equal(await failed, "sync.serverExecutionFailed");
    await connected(a);
    await connected(b);
    held("without the app pages stay connected");

    await ask("start");
    await say(a, "again");
    await told("again", a, b);
    held("with a new app they go on");

    await ask("reload");
    await say(b, "reloaded");
    await told("reloaded", a, b);
    await connected(a);
    await connected(b);
    held("so they do after a reload of nginx");

    await ask("notice");
    await told("Lunch!", a, b);
    held("anybody may speak by control");

    await say(a, "?why");
    await told("You asked: why", a, b);
    held("an answer comes word by word");

    /* the one that the stopped app caused is the browser's own */
    equal(complaints.filter((text) => !text.includes("502")).join("\n"), "");
    held("no page complained");
}


async function connected(page) {
    await page.locator("#status", { hasText: /^connected$/ }).waitFor();
}


async function say(page, text) {
    await page.locator("input").fill(text);
    await page.locator("input").press("Enter");
}


async function told(text, ...pages) {
    for (const page of pages) {
        const item = page.locator("li").getByText(text, { exact: true });

        await item.waitFor();
        equal(await item.count(), 1);
    }
}


function dialog(page) {
    return new Promise((resolve) => {
        page.once("dialog", (dialog) => {
            resolve(dialog.message());
            dialog.accept();
        });
    });
}


async function ask(what) {
    console.log("do " + what);
    await lines.next();
}


function equal(value, expected) {
    if (value !== expected) {
        throw new Error(`${JSON.stringify(value)}, not ${expected}`);
    }
}
