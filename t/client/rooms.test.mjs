
/*
 * Copyright (C) sync for nginx
 */


/*
 * Rooms: joined, joined again before anything else, positions kept and
 * handed back, duplicates dropped, gaps told.
 */


import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { comparePositions, connect } from "../../src/client/sync.js";
import { Clock, fakeWebSocket, turn } from "./fake.mjs";


let clock, WebSocket, client, gaps, seen, refused;


beforeEach(() => {
    clock = new Clock();
    WebSocket = fakeWebSocket();
    client = connect({ url: "ws://h/ws", WebSocket });
    gaps = [];
    seen = [];
    refused = [];
    client.on("gap", (gap) => gaps.push(gap));
    client.on("refused", (answer) => refused.push(answer));
    client.on("message", (data, meta) => seen.push([data, meta?.room]));
});


afterEach(() => {
    client.close();
    clock.restore();
});


async function join(group, answer = {}) {
    const joined = client.joinRoom(group);

    await WebSocket.last.answer("joinRoom", { rooms: [group], ...answer });

    return joined;
}


async function reconnect() {
    await WebSocket.last.drop(1012);
    await clock.advance(1000);
    await WebSocket.last.hello();
}


test("joinRoom asks and resolves to the answer", async () => {
    await WebSocket.last.hello();

    const joined = client.joinRoom("r1");

    assert.deepEqual(WebSocket.last.sent,
                     [["joinRoom", { group: "r1", responseIndex: 1 }]]);

    await WebSocket.last.answer("joinRoom", { rooms: ["r0", "r1"] });
    assert.deepEqual(await joined,
                     { status: "success", rooms: ["r0", "r1"] });
    assert.deepEqual(gaps, []);
});


test("joinRoom before the link is there waits for it", async () => {
    const joined = client.joinRoom("r1");

    await WebSocket.last.hello();
    assert.equal(WebSocket.last.asked("joinRoom").group, "r1");
    await WebSocket.last.answer("joinRoom", { rooms: ["r1"] });
    assert.equal((await joined).status, "success");
    assert.equal(client.status, "connected");
});


test("two callers of one room get one answer", async () => {
    await WebSocket.last.hello();

    const both = [client.joinRoom("r1"), client.joinRoom("r1")];

    assert.equal(WebSocket.last.sent.length, 1);
    await WebSocket.last.answer("joinRoom", { rooms: ["r1"] });
    assert.deepEqual((await Promise.all(both)).map((a) => a.status),
                     ["success", "success"]);
});


test("a room asked for while others are joined again is not lost", async () => {
    await WebSocket.last.hello();
    await join("r1");
    await WebSocket.last.drop();
    await clock.advance(1000);
    await WebSocket.last.hello();

    const late = client.joinRoom("r2");

    assert.equal(WebSocket.last.asked("joinRoom").group, "r1");
    await WebSocket.last.answer("joinRoom", { rooms: ["r1"] });
    assert.equal(WebSocket.last.asked("joinRoom").group, "r2");
    await WebSocket.last.answer("joinRoom", { rooms: ["r1", "r2"] });
    assert.equal((await late).status, "success");
});


test("a refused room is not joined again", async () => {
    await WebSocket.last.hello();

    const joined = client.joinRoom("r1");
    const error = {
        status: "error", message: "m", errorCode: "room.joinBlocked",
        httpStatus: 400
    };

    await WebSocket.last.answer("joinRoom", error);
    assert.deepEqual(await joined, error);
    assert.deepEqual(refused, []);

    await reconnect();
    assert.deepEqual(WebSocket.last.sent, []);
    assert.equal(client.status, "connected");
});


test("rooms first, then connected, then what waited", async () => {
    await WebSocket.last.hello();
    await join("r1");
    await join("r2");
    await WebSocket.last.drop(1012);

    const request = client.syncRequest({ name: "a/b", receiver: "r1" });

    await clock.advance(1000);
    await WebSocket.last.hello();

    assert.deepEqual(WebSocket.last.sent.map((f) => [f[0], f[1].group]),
                     [["joinRoom", "r1"], ["joinRoom", "r2"]]);
    assert.equal(client.status, "reconnecting");

    const [first, second] = WebSocket.last.sent;

    WebSocket.last.frame("joinRoom-" + second[1].responseIndex,
                         { rooms: ["r2"] });
    await turn();
    assert.equal(WebSocket.last.sent.length, 2);

    WebSocket.last.frame("joinRoom-" + first[1].responseIndex,
                         { rooms: ["r2", "r1"] });
    await turn();
    assert.equal(client.status, "connected");
    assert.equal(WebSocket.last.sent[2][0], "sync");

    await WebSocket.last.answer("sync", { status: "success", result: {} });
    assert.equal((await request).status, "success");
});


test("joining survives a link that breaks before the answer", async () => {
    await WebSocket.last.hello();

    const joined = client.joinRoom("r1");

    await reconnect();
    await WebSocket.last.answer("joinRoom", { rooms: ["r1"] });
    assert.equal((await joined).status, "success");
    assert.deepEqual(gaps, []);
});


test("a room left is not joined again", async () => {
    await WebSocket.last.hello();
    await join("r1");

    const left = client.leaveRoom("r1");

    await WebSocket.last.answer("leaveRoom", { rooms: [] });
    assert.deepEqual(await left, { status: "success", rooms: [] });

    await reconnect();
    assert.deepEqual(WebSocket.last.sent, []);
});


test("a room may be left without a link", async () => {
    await WebSocket.last.hello();
    await join("r1");
    await WebSocket.last.drop();
    assert.deepEqual(await client.leaveRoom("r1"),
                     { status: "success", rooms: [] });
    await clock.advance(1000);
    await WebSocket.last.hello();
    assert.deepEqual(WebSocket.last.sent, []);
});


test("the position is kept and handed back", async () => {
    await WebSocket.last.hello();
    await join("r1", {
        recovered: false, reason: "new", pos: "0/5.0000000a"
    });
    assert.equal(client.position("r1"), "0/5.0000000a");
    assert.deepEqual(gaps, []);

    WebSocket.last.frame("message", 6, { room: "r1", pos: "0/6.0000000b" });
    await reconnect();

    assert.equal(WebSocket.last.asked("joinRoom").pos, "0/6.0000000b");

    await WebSocket.last.answer("joinRoom", {
        rooms: ["r1"], recovered: true, reason: null, pos: "0/8.0000000d"
    });

    WebSocket.last.frame("message", 7, { room: "r1", pos: "0/7.0000000c" });
    WebSocket.last.frame("message", 8, { room: "r1", pos: "0/8.0000000d" });
    assert.deepEqual(seen.map(([data]) => data), [6, 7, 8]);
    assert.deepEqual(gaps, []);
});


test("a room that is recovered is told as such", async () => {
    const recovered = [];

    client.on("recovered", (room) => recovered.push(room));

    await WebSocket.last.hello();
    await join("r1", {
        recovered: false, reason: "new", pos: "0/5.0000000a"
    });
    await reconnect();
    await WebSocket.last.answer("joinRoom", {
        rooms: ["r1"], recovered: true, reason: null, pos: "0/8.0000000d"
    });

    assert.deepEqual(recovered, [{ room: "r1", pos: "0/8.0000000d" }]);
});


test("a message for others moves the position", async () => {
    const told = [];

    client.on("position", (event) => told.push(event));

    await WebSocket.last.hello();
    await join("r1", {
        recovered: false, reason: "new", pos: "0/5.0000000a"
    });
    WebSocket.last.frame("position", { room: "r1", pos: "0/6.0000000b" });

    assert.equal(client.position("r1"), "0/6.0000000b");
    assert.deepEqual(told, []);
});


test("what was seen is dropped, in this room only", async () => {
    await WebSocket.last.hello();
    await join("r1", { recovered: false, reason: "new", pos: "0/0.00000000" });
    await join("r2", { recovered: false, reason: "new", pos: "0/0.00000000" });

    const send = (data, room, pos) =>
        WebSocket.last.frame("message", data, { room, pos });

    send(1, "r1", "0/FFFFFFFF.00000001");
    send(2, "r1", "0/FFFFFFFF.00000001");
    send(3, "r1", "0/A.00000001");
    send(4, "r2", "0/A.00000001");
    send(5, "r1", "1/0.00000001");
    send(6, "elsewhere", "0/1.00000001");
    send(7, "elsewhere", "0/1.00000001");

    assert.deepEqual(seen.map(([data]) => data), [1, 4, 5, 6, 7]);
});


test("frames of a route are dropped by position as well", async () => {
    const outputs = [];

    client.upsertSyncEventCallback({
        name: "a/b", version: "v1",
        callback: ({ serverOutput }) => outputs.push(serverOutput.n)
    });

    await WebSocket.last.hello();
    await join("r1", { recovered: false, reason: "new", pos: "0/0.00000000" });

    for (const n of [1, 1, 2]) {
        WebSocket.last.frame("sync", {
            cb: "sync/a/b/v1", fullName: "sync/a/b/v1", status: "success",
            serverOutput: { n }
        }, { room: "r1", pos: "0/" + n + ".00000001" });
    }

    assert.deepEqual(outputs, [1, 2]);
});


test("what was not recovered is told before what is new", async () => {
    const order = [];

    client.on("gap", (gap) => order.push(gap));
    client.on("message", (data) => order.push(data));

    await WebSocket.last.hello();
    await join("r1", { recovered: false, reason: "new", pos: "0/9.00000001" });
    await reconnect();

    const { responseIndex } = WebSocket.last.asked("joinRoom");

    WebSocket.last.frame("joinRoom-" + responseIndex, {
        rooms: ["r1"], recovered: false, reason: "reset", pos: "0/2.00000002"
    });
    WebSocket.last.frame("message", "next",
                         { room: "r1", pos: "0/3.00000003" });

    assert.deepEqual(order, [
        { room: "r1", reason: "reset", pos: "0/2.00000002" }, "next"
    ]);
});


test("a volatile room tells a gap when it is joined again", async () => {
    await WebSocket.last.hello();
    await join("r1");
    await join("r1");
    assert.deepEqual(gaps, []);

    await reconnect();
    await WebSocket.last.answer("joinRoom", { rooms: ["r1"] });
    assert.deepEqual(gaps, [{ room: "r1", reason: "volatile", pos: null }]);
});


test("a position of the page's own that is gone is told", async () => {
    await WebSocket.last.hello();

    const joined = client.joinRoom("r1", { pos: "0/3.0000000a" });

    assert.equal(WebSocket.last.asked("joinRoom").pos, "0/3.0000000a");
    await WebSocket.last.answer("joinRoom", {
        rooms: ["r1"], recovered: false, reason: "trimmed",
        pos: "0/9.0000000b"
    });

    assert.equal((await joined).reason, "trimmed");
    assert.deepEqual(gaps, [
        { room: "r1", reason: "trimmed", pos: "0/9.0000000b" }
    ]);
});


test("the server's gap moves the position", async () => {
    await WebSocket.last.hello();
    await join("r1", { recovered: false, reason: "new", pos: "0/9.00000001" });
    WebSocket.last.frame("gap", {
        room: "r1", reason: "reset", pos: "0/1.00000002"
    });
    WebSocket.last.frame("message", 2, { room: "r1", pos: "0/2.00000003" });

    assert.deepEqual(gaps, [
        { room: "r1", reason: "reset", pos: "0/1.00000002" }
    ]);
    assert.deepEqual(seen, [[2, "r1"]]);
});


test("a room refused for now is asked for again", async () => {
    await WebSocket.last.hello();
    await join("r1");
    await reconnect();
    await WebSocket.last.answer("joinRoom", {
        status: "error", message: "m", errorCode: "hook.busy", httpStatus: 503
    });

    assert.equal(client.status, "connected");
    assert.equal(refused[0].room, "r1");
    assert.equal(refused[0].errorCode, "hook.busy");
    assert.deepEqual(clock.delays, [500]);

    await clock.advance(500);
    await WebSocket.last.answer("joinRoom", {
        status: "error", message: "m", errorCode: "room.joinBlocked",
        httpStatus: 400
    });
    assert.deepEqual(clock.delays, [1000]);

    await clock.advance(1000);
    assert.equal(WebSocket.last.sent.length, 3);
    await WebSocket.last.answer("joinRoom", { rooms: ["r1"] });
    assert.deepEqual(gaps, [{ room: "r1", reason: "volatile", pos: null }]);
    assert.deepEqual(clock.delays, []);
});


for (const errorCode of ["auth.required", "board.notYours"]) {
    test("a room refused for good is forgotten: " + errorCode, async () => {
        await WebSocket.last.hello();
        await join("r1");
        await reconnect();
        await WebSocket.last.answer("joinRoom", {
            status: "error", message: "m", errorCode, httpStatus: 403
        });

        assert.equal(refused.length, 1);
        assert.deepEqual(clock.delays, []);

        await reconnect();
        assert.deepEqual(WebSocket.last.sent, []);
    });
}


test("positions compare by LSN as numbers", () => {
    const sorted = [
        "nonsense", "0/0.00000000", "0/9.ffffffff", "0/A.00000000",
        "0/16B3748.00000001", "1/0.00000000", "FFFFFFFF/FFFFFFFF.00000000"
    ];

    for (let i = 1; i < sorted.length; i++) {
        assert.ok(comparePositions(sorted[i - 1], sorted[i]) < 0, sorted[i]);
        assert.ok(comparePositions(sorted[i], sorted[i - 1]) > 0, sorted[i]);
    }

    assert.equal(comparePositions("0/1.00000001", "0/1.00000002"), 0);
});
