
/*
 * Copyright (C) sync for nginx
 */


/*
 * Drives the demo with two pages in Chromium: board.mjs URL NGINX-PID, or
 * board.mjs URL NGINX-PID DIR to keep pictures.
 */


import assert from "node:assert/strict";
import { join } from "node:path";

import { TIMEOUT, complaints, drive, held } from "./chromium.mjs";


const [url, nginx, pictures] = process.argv.slice(2);

await drive(run);


async function run(open) {
    const a = await enter(open, "A");

    await a.locator("#count[data-count='1']").waitFor();
    await a.locator("#alone").waitFor();
    await picture(a, "alone");
    held("a page alone is told so");

    const b = await enter(open, "B");

    assert.deepEqual(await board(a), await board(b));
    held("both pages show the same board");

    await here(2, a, b);
    held("two are here");

    await drag(a, card(a, "Welcome mail"), lane(a, "doing"));
    await lane(b, "doing").locator(".card", { hasText: "Welcome mail" })
                          .waitFor();
    await same(a, b);
    held("a card moved in A is moved in B");

    await touch(b, card(b, "Invoices"), lane(b, "review"));
    await lane(a, "review").locator(".card", { hasText: "Invoices" })
                           .waitFor();
    await same(a, b);
    held("a card moved by a finger in B is moved in A");

    await a.mouse.move(500, 300);
    await a.mouse.move(420, 500, { steps: 4 });
    await cursor(b, await a.locator("#me").getAttribute("title"), 420, 500);
    await picture(b, "cursor");
    held("B sees where A points");

    await grab(a, card(a, "Search"));
    await b.locator(".card.held", { hasText: "Search" }).waitFor();
    await picture(a, "dragging");
    await picture(b, "held");
    await a.keyboard.press("Escape");
    await a.mouse.up();
    await b.locator(".card.held").waitFor({ state: "detached" });
    await same(a, b);
    held("B sees which card A holds, and that it was put back");

    await lane(b, "ideas").locator(".open").click();
    await lane(b, "ideas").locator("textarea").fill("Ünï <b>codé</b> 🎈");
    await lane(b, "ideas").locator("textarea").press("Enter");
    await card(a, "Ünï <b>codé</b> 🎈").waitFor();
    held("a card added in B is added in A");

    await card(a, "codé").focus();
    await a.keyboard.press("Enter");
    await a.locator(".editor textarea").fill("Changed");
    await a.locator(".editor .primary").click();
    await card(b, "Changed").waitFor();
    held("a card edited in A is edited in B");

    const again = [reconnected(a), reconnected(b)];

    process.kill(Number(nginx), "SIGHUP");
    await Promise.all(again);
    await here(2, a, b);
    held("after a reload of nginx both are connected again");

    await card(a, "Changed").focus();
    await a.keyboard.press("Alt+ArrowRight");
    await lane(b, "doing").locator(".card", { hasText: "Changed" }).waitFor();
    await card(b, "Changed").focus();
    await b.keyboard.press("Delete");
    await card(a, "Changed").waitFor({ state: "detached" });
    await same(a, b);
    held("and go on in both directions");

    await b.close();
    await here(1, a);
    held("one is here when B is closed");

    assert.deepEqual(complaints, []);
    held("no page complained");
}


async function enter(open, name) {
    const page = await open(url, name);

    await page.locator("#link[data-status='connected']").waitFor();
    await page.locator(".card").first().waitFor();

    return page;
}


async function picture(page, name) {
    if (pictures !== undefined) {
        await page.screenshot({ path: join(pictures, name + ".png") });
    }
}


function lane(page, id) {
    return page.locator(`.lane[data-lane="${id}"]`);
}


function card(page, text) {
    return page.locator(".lane .card", { hasText: text });
}


async function here(count, ...pages) {
    for (const page of pages) {
        await page.locator(`#count[data-count="${count}"]`).waitFor();
    }
}


function board(page) {
    return page.evaluate(() => Object.fromEntries(
        [...document.querySelectorAll(".lane")].map((node) => [
            node.dataset.lane,
            [...node.querySelectorAll(".card > p")].map((p) => p.textContent)
        ])));
}


async function same(a, b) {
    await b.waitForFunction(
        (want) => want === JSON.stringify(Object.fromEntries(
            [...document.querySelectorAll(".lane")].map((node) => [
                node.dataset.lane,
                [...node.querySelectorAll(".card > p")].map(
                    (p) => p.textContent)
            ]))),
        JSON.stringify(await board(a)));
}


async function middle(locator) {
    const { x, y, width, height } = await locator.boundingBox();

    return [x + width / 2, y + height / 2];
}


async function grab(page, what) {
    const [x, y] = await middle(what);

    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x + 30, y + 20, { steps: 5 });
    await page.locator(".card.flying").waitFor();
}


async function drag(page, what, where) {
    await grab(page, what);
    await page.mouse.move(...await middle(where), { steps: 10 });
    await where.locator(".card.slot").waitFor();
    await page.mouse.up();
    await page.locator(".card.flying").waitFor({ state: "detached" });
}


async function touch(page, what, where) {
    const input = await page.context().newCDPSession(page);
    const [x, y] = await middle(what);
    const [toX, toY] = await middle(where);

    const send = (type, ...points) => input.send("Input.dispatchTouchEvent", {
        type, touchPoints: points.map(([px, py]) => ({ x: px, y: py }))
    });

    await send("touchStart", [x, y]);
    await page.locator(".card.flying").waitFor();
    await send("touchMove", [(x + toX) / 2, (y + toY) / 2]);
    await send("touchMove", [toX, toY]);
    await where.locator(".card.slot").waitFor();
    await send("touchEnd");
    await page.locator(".card.flying").waitFor({ state: "detached" });
}


/*
 * The other's cursor comes to rest where it points.
 */
function cursor(page, name, x, y) {
    return page.waitForFunction(([label, left, top]) => {
        const node = document.querySelector(".cursor.seen");
        const box = node?.getBoundingClientRect();

        return box !== undefined && node.textContent.trim() === label
               && Math.hypot(box.left - left, box.top - top) < 2;
    }, [name, x, y]);
}


/*
 * Resolves when the link was lost and is there again; a loss too short to be
 * polled counts.
 */
function reconnected(page) {
    return page.evaluate((timeout) => new Promise((resolve, reject) => {
        const link = document.getElementById("link");
        let lost = false;

        const timer = setTimeout(() => reject(new Error(
            lost ? "not connected again" : "not let go")), timeout);

        new MutationObserver((records, observer) => {
            lost ||= link.dataset.status === "reconnecting";

            if (lost && link.dataset.status === "connected") {
                observer.disconnect();
                clearTimeout(timer);
                resolve();
            }
        }).observe(link, { attributes: true });
    }), TIMEOUT * 2);
}
