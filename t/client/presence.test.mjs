
/*
 * Copyright (C) sync for nginx
 */


/*
 * Presence: what a page says of itself when it is hidden, seen and used.
 */


import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { connect } from "../../src/client/sync.js";
import { Clock, fakeTarget, fakeWebSocket, turn } from "./fake.mjs";


let clock, WebSocket, client, page, input;


beforeEach(() => {
    clock = new Clock();
    WebSocket = fakeWebSocket();
    globalThis.document = { visibilityState: "visible" };
    page = fakeTarget(globalThis.document);
    input = fakeTarget(globalThis);
});


afterEach(() => {
    client.close();
    clock.restore();
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
    delete globalThis.document;
});


async function start(options = {}) {
    client = connect({ url: "ws://h/ws", WebSocket, presence: true,
                       ...options });
    await WebSocket.last.hello();
}


function see(state) {
    globalThis.document.visibilityState = state;
    page("visibilitychange");

    return turn();
}


test("hidden: said, let go, and not connected again", async () => {
    await start();
    await see("hidden");

    assert.deepEqual(WebSocket.last.sent, [["intentionalDisconnect"]]);

    await WebSocket.last.drop(1000, "hidden");
    await clock.advance(3600000);

    assert.equal(client.status, "reconnecting");
    assert.equal(WebSocket.all.length, 1);
});


test("seen again: connected, and said", async () => {
    await start();
    await see("hidden");
    await WebSocket.last.drop(1000, "hidden");
    await see("visible");
    await clock.advance(0);

    assert.equal(WebSocket.all.length, 2);

    await WebSocket.last.hello();

    assert.equal(client.status, "connected");
    assert.deepEqual(WebSocket.last.sent[0], ["intentionalReconnect"]);

    await see("hidden");
    assert.deepEqual(WebSocket.last.sent.at(-1), ["intentionalDisconnect"]);
});


test("seen before the server has let go: connected at once", async () => {
    await start();
    await see("hidden");
    await see("visible");
    await WebSocket.last.drop(1000, "hidden");
    await clock.advance(1000);

    assert.equal(WebSocket.all.length, 2);
});


test("used: said now and then", async () => {
    await start();

    input("keydown");
    input("pointermove");
    assert.deepEqual(WebSocket.last.sent, [["activity"]]);

    await clock.advance(9999);
    input("pointerdown");
    assert.equal(WebSocket.last.sent.length, 1);

    await clock.advance(1);
    input("wheel");
    assert.equal(WebSocket.last.sent.length, 2);
});


test("without presence nothing is said", async () => {
    await start({ presence: false });
    input("keydown");
    await see("hidden");

    assert.deepEqual(WebSocket.last.sent, []);

    await WebSocket.last.drop(1006);
    await clock.advance(1000);
    assert.equal(WebSocket.all.length, 2);
});
