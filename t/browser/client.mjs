
/*
 * Copyright (C) sync for nginx
 */


/*
 * The browser module in a page, against nginx: client.mjs URL NGINX-PID.
 */


import assert from "node:assert/strict";

import { TIMEOUT, complaints, drive, held } from "./chromium.mjs";


const [url, nginx] = process.argv.slice(2);

await drive(run);


async function run(open) {
    await served();
    held("the module is served with its type and an ETag");

    const page = await open(url, "page");

    await page.evaluate(prepare);
    assert.match(await page.evaluate(() => client.clientId), /^\S{16,}$/);
    held("connected, with an id");

    await rooms(page);
    held("a room is joined, heard, left");

    await requests(page);
    held("a request is answered, and heard by all members");

    await refusals(page);
    held("refusals carry their codes");

    await abort(page);
    held("an aborted request leaves the link as it was");

    await channels(page);
    held("channels are heard, by name and by pattern");

    await reload(page);
    held("a reload: rooms again, then what waited, then what is new");

    await disconnect(page);
    held("a client that is disconnected comes back, one kicked does not");

    await members("r1", 1);
    await page.evaluate(() => other.close());
    await members("r1", 0);
    held("a closed client is no member");

    assert.deepEqual(complaints, []);
    held("the page did not complain");
}


async function served() {
    const first = await fetch(url + "sync.js");

    assert.equal(first.status, 200);
    assert.match(first.headers.get("content-type"),
                 /^(application|text)\/javascript\b/);
    assert.match(await first.text(), /export function connect/);

    const again = await fetch(url + "sync.js", {
        headers: { "If-None-Match": first.headers.get("etag") }
    });

    assert.equal(again.status, 304);
}


/* In the page: the module, a client, and another that hears the same. */

async function prepare() {
    window.sync = await import("/sync.js");
    window.client = sync.connect();
    window.other = sync.connect("/ws");
    window.heard = [];

    /* Resolves when look() gives something true, to that. */
    window.until = async (look) => {
        for ( ;; ) {
            const found = look();

            if (found) {
                return found;
            }

            await new Promise((resolve) => requestAnimationFrame(resolve));
        }
    };

    for (const [name, each] of [["client", client], ["other", other]]) {
        each.on("message", (data, meta) => heard.push([name, data, meta]));
        each.upsertSyncEventCallback({
            name: "t/echo", version: "v1",
            callback: ({ serverOutput }) => heard.push([name, serverOutput])
        });
    }

    await until(() => client.status === "connected"
                      && other.status === "connected");
}


async function control(command, body) {
    const response = await fetch(url + "control/" + command, {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body)
    });
    const answer = await response.json();

    assert.equal(answer.status, "success", JSON.stringify(answer));

    return answer;
}


async function members(room, count) {
    const until = Date.now() + TIMEOUT;
    let found;

    do {
        found = (await control("members", { room })).count;
    } while (found !== count && Date.now() < until);

    assert.equal(found, count);
}


async function rooms(page) {
    assert.deepEqual(await page.evaluate(async () => [
        (await client.joinRoom("r1")).rooms,
        (await client.joinRoom("r2")).rooms,
        (await other.joinRoom("r1")).rooms,
        (await client.getJoinedRooms()).rooms,
        (await client.leaveRoom("r2")).rooms
    ]), [["r1"], ["r1", "r2"], ["r1"], ["r1", "r2"], ["r1"]]);

    await control("publish", { room: "r2", event: "message", data: 0 });
    await control("publish", { room: "r1", event: "message", data: 1 });

    assert.deepEqual(await page.evaluate(async () => {
        await until(() => heard.length === 2);

        return heard.splice(0).sort().map(
            ([name, data, meta]) => [name, data, meta.room]);
    }), [["client", 1, "r1"], ["other", 1, "r1"]]);
}


async function requests(page) {
    const { answer, all } = await page.evaluate(async () => {
        const result = await client.syncRequest({
            name: "t/echo", version: "v1", receiver: "r1",
            data: { text: "ünï \u{1F388} \"\\\n" }
        });

        await until(() => heard.length === 2);

        return { answer: result, all: heard.splice(0).sort() };
    });
    const output = {
        status: "success", echo: { text: "ünï \u{1F388} \"\\\n" }
    };

    assert.equal(answer.status, "success");
    assert.deepEqual(answer.result, output);
    assert.deepEqual(all, [["client", output], ["other", output]]);
}


async function refusals(page) {
    assert.deepEqual(await page.evaluate(async () => {
        const ask = (name, receiver) => client.syncRequest(
            { name, version: "v1", receiver });

        return (await Promise.all([
            client.joinRoom("private:1"),
            client.joinRoom(""),
            ask("t/echo", "elsewhere"),
            ask("t/echo", ""),
            ask("t/refuse", "r1"),
            ask("t/fail", "r1")
        ])).map((answer) => answer.errorCode);
    }), [
        "room.joinBlocked", "room.invalid", "sync.notRoomMember",
        "sync.missingReceiver", "t.refused", "sync.serverExecutionFailed"
    ]);
}


async function abort(page) {
    assert.deepEqual(await page.evaluate(async () => {
        const controller = new AbortController();
        const slow = client.syncRequest({
            name: "t/slow", version: "v1", receiver: "r1",
            signal: controller.signal
        });

        await client.getJoinedRooms();
        controller.abort();

        return [(await slow).errorCode,
                (await client.getJoinedRooms()).rooms, client.status];
    }), ["request.aborted", ["r1"], "connected"]);
}


async function channels(page) {
    await page.evaluate(async () => {
        window.events = sync.getEventClient();
        window.said = [];

        events.connect("u1", ["timer:u1"]);
        events.subscribe("timer:u1", (data) => said.push(["timer", data]));
        events.subscribe("timer:u1", (data) => said.push(["tick", data]),
                         { event: "tick" });
        events.subscribe("notification:*",
                         (data) => said.push(["all", data]));

        await until(() => events.status === "connected");
    });

    await control("publish", { room: "timer:u2", event: "message", data: 0 });
    await control("publish", { room: "timer:u1", event: "message", data: 1 });
    await control("publish", { room: "timer:u1", event: "tick", data: 2 });
    await control("broadcast", { channel: "notification:u7", data: 3 });
    await control("publish", {
        pattern: "notification:*", event: "message", data: 4
    });

    assert.deepEqual(await page.evaluate(async () => {
        await until(() => said.length === 4);

        return said.splice(0).sort();
    }), [["all", 3], ["all", 4], ["tick", 2], ["timer", 1]]);
}


/*
 * Each request waits for its link and needs its room: it succeeds only if it
 * went out after the room was joined again.
 */
async function reload(page) {
    const done = page.evaluate(async () => {
        const gaps = [];
        const codes = [];

        client.on("gap", ({ room, reason }) => gaps.push([room, reason]));

        const answers = new Promise((resolve) => {
            const off = client.onStatus((status, { code }) => {
                if (status === "reconnecting") {
                    off();
                    codes.push(code);
                    resolve(client.syncRequest({
                        name: "t/echo", version: "v1", receiver: "r1",
                        data: { after: true }
                    }));
                }
            });
        });

        const streams = new Promise((resolve) => {
            const off = events.onStatus((status) => {
                if (status === "connected") {
                    off();
                    resolve();
                }
            });
        });

        other.close();

        const answer = await answers;

        await streams;

        return { gaps, codes, answer, status: client.status };
    });

    await members("r1", 1);
    process.kill(Number(nginx), "SIGHUP");

    const { gaps, codes, answer, status } = await done;

    assert.deepEqual(gaps, [["r1", "volatile"]]);
    assert.deepEqual(codes, [1012]);
    assert.equal(status, "connected");
    assert.equal(answer.status, "success", JSON.stringify(answer));

    await page.evaluate(() => heard.splice(0));
    await control("publish", { room: "r1", event: "message", data: 9 });
    await control("publish", { room: "timer:u1", event: "message", data: 9 });

    assert.deepEqual(await page.evaluate(async () => {
        await until(() => heard.length === 1 && said.length === 1);

        return [heard[0][1], said[0]];
    }), [9, ["timer", 9]]);
}


async function disconnect(page) {
    const [one, two] = await page.evaluate(async () => {
        window.closes = [];

        other.open();
        await until(() => other.status === "connected");

        for (const each of [client, other]) {
            each.onStatus((status, { code }) => closes.push([status, code]));
        }

        return [client.clientId, other.clientId];
    });

    await control("kick", { clientId: one, reason: "enough" });
    await page.evaluate(() => until(() => client.status === "closed"));
    await control("disconnect", { clientId: two });

    assert.deepEqual(await page.evaluate(async () => {
        await until(() => closes.length === 3);

        return closes;
    }), [["closed", 1008], ["reconnecting", 1000], ["connected", undefined]]);
}
