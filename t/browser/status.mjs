
/*
 * Copyright (C) sync for nginx
 */


/*
 * Looks at the status page: status.mjs URL CLIENTS, or status.mjs URL CLIENTS
 * DIR to keep pictures.
 */


import assert from "node:assert/strict";
import { join } from "node:path";

import { complaints, drive, held } from "./chromium.mjs";


const [url, clients, pictures] = process.argv.slice(2);

await drive(run);


async function run(open) {
    const page = await open(url + "/status", "status");
    const card = page.locator(".card", { hasText: "clients" }).locator("b");
    const state = page.locator("#state");

    await card.getByText(clients, { exact: true }).waitFor();
    assert.equal(await state.textContent(), "live");
    assert.notEqual(await page.locator("#workers tr").count(), 0);

    if (pictures) {
        await page.screenshot({ path: join(pictures, "status.png"),
                                fullPage: true });
    }

    held("the page shows the clients");

    const socket = await page.evaluateHandle(
        (to) => new WebSocket(to), url.replace("http", "ws") + "/ws");

    await card.getByText(String(Number(clients) + 1), { exact: true })
              .waitFor();
    await socket.evaluate((ws) => ws.close());
    await card.getByText(clients, { exact: true }).waitFor();
    held("it follows by itself");

    await page.route("**/status?format=json", (route) => route.abort());
    await page.locator("#state.bad").waitFor();
    assert.match(await state.textContent(), /^no answer/);
    held("it tells when there is no answer");

    await page.unroute("**/status?format=json");
    await state.getByText("live", { exact: true }).waitFor();
    held("and when there is one again");

    assert.deepEqual(
        complaints.filter((text) => !text.includes("ERR_FAILED")), []);
    held("the page did not complain");
}
