
/*
 * Copyright (C) sync for nginx
 */


/*
 * The link: what it connects to, when it tries again and when it does not,
 * how it learns that a link is dead.
 */


import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { connect } from "../../src/client/sync.js";
import { Clock, fakeTarget, fakeWebSocket, turn } from "./fake.mjs";


let clock, WebSocket, client, log;


beforeEach(() => {
    clock = new Clock();
    WebSocket = fakeWebSocket();
});


afterEach(() => {
    client.close();
    clock.restore();
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
    delete globalThis.document;
});


function start(options = {}) {
    client = connect({ url: "ws://h/ws", WebSocket, ...options });
    log = [];
    client.onStatus((status, detail) => log.push([status, detail]));
}


test("http URLs become ws, the subprotocol is offered", () => {
    start({ url: "https://h:8443/ws?x=1" });

    assert.equal(WebSocket.last.url, "wss://h:8443/ws?x=1");
    assert.equal(WebSocket.last.protocols, "sync.v1");
    assert.equal(client.status, "connecting");
});


test("connected with the first frame, not before", async () => {
    start();
    WebSocket.last.open();
    await turn();

    assert.equal(client.status, "connecting");

    await WebSocket.last.hello("abc");

    assert.equal(client.status, "connected");
    assert.equal(client.clientId, "abc");
    assert.deepEqual(log, [["connected", {}]]);
});


test("a token goes first", async () => {
    start({ token: async () => "t0" });
    WebSocket.last.open();
    await turn();

    assert.deepEqual(WebSocket.last.sent, [["auth", { token: "t0" }]]);
});


for (const [code, reason] of [
    [1000, "disconnected"], [1001, ""], [1006, ""], [1008, "too slow"],
    [1011, "internal error"], [1012, "restart"], [1013, ""]
]) {
    test("close " + code + " is followed by another attempt", async () => {
        start();
        await WebSocket.last.hello();
        await WebSocket.last.drop(code, reason);

        assert.deepEqual(log.at(-1), ["reconnecting", {
            attempt: 1, delay: 500, code, reason
        }]);

        await clock.advance(499);
        assert.equal(WebSocket.all.length, 1);

        await clock.advance(1);
        assert.equal(WebSocket.all.length, 2);
    });
}


test("close 1008 is for good, until open()", async () => {
    start();
    await WebSocket.last.hello();
    await WebSocket.last.drop(1008, "kicked");

    assert.deepEqual(log.at(-1), ["closed", { code: 1008, reason: "kicked" }]);

    await clock.advance(3600000);
    assert.equal(WebSocket.all.length, 1);
    assert.deepEqual(clock.delays, []);

    client.open();
    assert.equal(WebSocket.all.length, 2);
    await WebSocket.last.hello();
    assert.equal(client.status, "connected");
});


test("the application may decide about a close", async () => {
    start({ reconnect: ({ code }) => code === 1008 });
    await WebSocket.last.hello();
    await WebSocket.last.drop(1008);
    assert.equal(client.status, "reconnecting");

    await clock.advance(500);
    await WebSocket.last.hello();
    await WebSocket.last.drop(1006);
    assert.equal(client.status, "closed");
});


test("the jitter is full: from nothing to base * 2^n, to the cap", async () => {
    start({ reconnectBase: 1000, reconnectCap: 20000 });

    for (const step of [1000, 2000, 4000, 8000, 16000, 20000, 20000]) {
        clock.random = 0.999;
        await WebSocket.last.drop();

        const { delay } = log.at(-1)[1];

        assert.ok(Math.abs(delay - step * 0.999) < 1e-6, delay + " " + step);
        await clock.advance(step);
    }

    clock.random = 0;
    await WebSocket.last.drop();
    assert.equal(log.at(-1)[1].delay, 0);
});


test("only a link that lived resets the backoff", async () => {
    start();

    for (const [life, delay] of [[4999, 500], [4999, 1000], [5000, 500]]) {
        await WebSocket.last.hello();
        await clock.advance(life);
        await WebSocket.last.drop();

        assert.equal(log.at(-1)[1].delay, delay);
        await clock.advance(delay);
    }
});


test("a handshake that never ends is given up", async () => {
    start({ connectTimeout: 20000 });
    WebSocket.last.open();

    const socket = WebSocket.last;

    await clock.advance(20000);

    assert.equal(client.status, "reconnecting");
    assert.deepEqual(socket.closedWith, [1000, ""]);
});


test("what is no frame ends the link", async () => {
    for (const text of ["{", "{}", "[]", "[1]", "null"]) {
        start();
        await WebSocket.last.hello();
        WebSocket.last.text(text);

        assert.equal(client.status, "reconnecting", text);
        assert.equal(log.at(-1)[1].code, 1007);
        client.close();
    }
});


test("a late event of an old socket changes nothing", async () => {
    start();
    await WebSocket.last.hello();

    const old = WebSocket.last;
    let heard = 0;

    client.on("message", () => heard++);
    await old.drop();
    await clock.advance(500);
    await WebSocket.last.hello();

    old.frame("message", {}, { room: "r" });
    old.text("no frame");
    await old.drop();
    assert.equal(heard, 0);
    assert.equal(client.status, "connected");
});


test("close() stops everything", async () => {
    start();
    await WebSocket.last.hello();
    client.close(3000, "bye");

    assert.deepEqual(WebSocket.last.closedWith, [3000, "bye"]);
    assert.equal(client.status, "closed");
    assert.deepEqual(clock.delays, []);
});


test("online: the next attempt is made within the first step", async () => {
    const fire = fakeTarget(globalThis);

    start({ reconnectBase: 1000 });

    for (let i = 0; i < 5; i++) {
        await WebSocket.last.drop();
        await clock.advance(20000);
    }

    await WebSocket.last.drop();
    assert.equal(client.status, "reconnecting");

    const { length } = WebSocket.all;

    fire("online");
    fire("online");
    assert.deepEqual(clock.delays, [500]);
    await clock.advance(500);
    assert.equal(WebSocket.all.length, length + 1);

    fire("online");
    assert.equal(WebSocket.all.length, length + 1);
    await WebSocket.last.hello();
    assert.equal(client.status, "connected");
    assert.deepEqual(clock.delays, []);
});


test("visible: the next attempt is made now", async () => {
    globalThis.document = { visibilityState: "visible" };

    const fire = fakeTarget(globalThis.document);

    start();
    await WebSocket.last.drop();
    fire("visibilitychange");
    await clock.advance(0);
    assert.equal(WebSocket.all.length, 2);
});


test("visible: a link that does not answer is dead", async () => {
    globalThis.document = { visibilityState: "hidden" };

    const fire = fakeTarget(globalThis.document);

    start({ probeTimeout: 5000 });
    await WebSocket.last.hello();
    await clock.advance(1000);

    fire("visibilitychange");
    assert.deepEqual(WebSocket.last.sent, []);

    globalThis.document.visibilityState = "visible";
    fire("visibilitychange");
    fire("visibilitychange");
    assert.equal(WebSocket.last.sent.length, 1);
    assert.equal(WebSocket.last.sent[0][0], "getJoinedRooms");

    await clock.advance(5000);
    assert.equal(client.status, "reconnecting");
    assert.equal(log.at(-1)[1].reason, "no answer");
});


test("visible: any frame shows that the link lives", async () => {
    globalThis.document = { visibilityState: "visible" };

    const fire = fakeTarget(globalThis.document);

    start();
    await WebSocket.last.hello();
    await clock.advance(1000);
    fire("visibilitychange");
    await clock.advance(10);
    WebSocket.last.frame("message", {}, { room: "r" });
    await clock.advance(5000);

    assert.equal(client.status, "connected");

    fire("visibilitychange");
    await clock.advance(1);
    await WebSocket.last.answer("getJoinedRooms", { rooms: [] });
    await clock.advance(5000);
    assert.equal(client.status, "connected");
    assert.deepEqual(clock.delays, []);
});


test("listeners on the window go with the client", async () => {
    const fire = fakeTarget(globalThis);

    start();
    await WebSocket.last.hello();
    client.close();
    fire("online");
    fire("offline");
    assert.equal(WebSocket.all.length, 1);
    assert.deepEqual(WebSocket.last.sent, []);
});
