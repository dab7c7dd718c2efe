
/*
 * Copyright (C) sync for nginx
 */


/*
 * Sync requests: their frames, answers, streams, cancelling, what waits
 * without a link and what does not; the callbacks of routes.
 */


import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { connect } from "../../src/client/sync.js";
import { Clock, fakeWebSocket, turn } from "./fake.mjs";


let clock, WebSocket, client;


beforeEach(() => {
    clock = new Clock();
    WebSocket = fakeWebSocket();
});


afterEach(() => {
    client.close();
    clock.restore();
    delete globalThis.location;
});


async function start(options = {}) {
    client = connect({ url: "ws://h/ws", WebSocket, ...options });
    await WebSocket.last.hello();
}


function ask(more = {}) {
    return client.syncRequest({
        name: "board/moveCard", version: "v1", data: { cardId: "c" },
        receiver: "r1", ...more
    });
}


async function code(promise) {
    const answer = await promise;

    assert.equal(answer.status, "error");

    return answer.errorCode;
}


test("the frame is LuckyStack's", async () => {
    await start();
    void ask({ ignoreSelf: true });

    assert.deepEqual(WebSocket.last.sent, [["sync", {
        name: "sync/board/moveCard/v1", data: { cardId: "c" },
        cb: "board/moveCard/v1", receiver: "r1", ignoreSelf: true,
        responseIndex: 1
    }]]);
});


test("version v1, no data, roomCode", async () => {
    await start();
    void client.syncRequest({ name: "/sync/a/b/", roomCode: "r" });

    assert.deepEqual(WebSocket.last.sent, [["sync", {
        name: "sync/a/b/v1", data: {}, cb: "a/b/v1", receiver: "r",
        responseIndex: 1
    }]]);
});


test("a bare name is the page's own", async () => {
    await start();

    for (const [pathname, name] of [["/", "sync/system/move/v1"],
                                    ["/games/chess/",
                                     "sync/games/chess/move/v1"]])
    {
        globalThis.location = { pathname };
        void client.syncRequest({ name: "move", receiver: "r" });
        assert.equal(WebSocket.last.asked("sync").name, name);
    }
});


test("answers find their requests in any order", async () => {
    await start();

    const requests = [ask(), ask()];
    const [first, second] = WebSocket.last.sent.map((f) => f[1].responseIndex);

    WebSocket.last.frame("sync-" + second, {
        status: "success", message: "two", result: { n: 2 }
    });
    WebSocket.last.frame("sync-" + first, {
        status: "error", message: "m", errorCode: "sync.notRoomMember",
        httpStatus: 403
    });

    assert.deepEqual(await Promise.all(requests), [
        {
            status: "error", message: "m", errorCode: "sync.notRoomMember",
            httpStatus: 403
        },
        { status: "success", message: "two", result: { n: 2 } }
    ]);
    assert.deepEqual(clock.delays, []);
});


test("a result that is no object is {}", async () => {
    await start();

    const request = ask();

    await WebSocket.last.answer("sync", { status: "success", result: 5 });
    assert.deepEqual((await request).result, {});
});


test("data that is no JSON rejects and sends nothing", async () => {
    await start();
    await assert.rejects(ask({ data: { n: 1n } }), TypeError);
    assert.deepEqual(WebSocket.last.sent, []);
});


test("chunks go to the caller, the cancel id does not", async () => {
    const chunks = [];

    await start();

    const request = ask({ onStream: (chunk) => chunks.push(chunk) });

    WebSocket.last.frame("sync-progress-1", { __cancelId: "x" });
    WebSocket.last.frame("sync-progress-1", { n: 1 });
    WebSocket.last.frame("sync-progress-1", { n: 2 });
    WebSocket.last.frame("sync-1", { status: "success", result: {} });
    WebSocket.last.frame("sync-progress-1", { n: 3 });
    await request;

    assert.deepEqual(chunks, [{ n: 1 }, { n: 2 }]);
});


test("an abort cancels by the server's id", async () => {
    await start();

    const controller = new AbortController();
    const request = ask({ signal: controller.signal });

    WebSocket.last.frame("sync-progress-1", { __cancelId: "x" });
    controller.abort();

    assert.equal(await code(request), "request.aborted");
    assert.deepEqual(WebSocket.last.asked("syncCancel"), { cb: "x" });
    assert.deepEqual(clock.delays, []);
});


test("an abort before the id cancels when it comes", async () => {
    await start();

    const controller = new AbortController();
    const request = ask({ signal: controller.signal });

    controller.abort();
    assert.equal(await code(request), "request.aborted");
    assert.equal(WebSocket.last.asked("syncCancel"), undefined);

    WebSocket.last.frame("sync-progress-1", { __cancelId: "x" });
    assert.deepEqual(WebSocket.last.asked("syncCancel"), { cb: "x" });
});


test("aborted before it began: nothing is sent", async () => {
    await start();
    assert.equal(await code(ask({ signal: AbortSignal.abort() })),
                 "request.aborted");
    assert.deepEqual(WebSocket.last.sent, []);
});


test("a timeout cancels, and doubts the link", async () => {
    await start({ timeout: 30000, probeTimeout: 5000 });

    const request = ask();

    WebSocket.last.frame("sync-progress-1", { __cancelId: "x" });
    await clock.advance(30000);

    assert.equal(await code(request), "sync.requestTimeout");
    assert.deepEqual(WebSocket.last.asked("syncCancel"), { cb: "x" });
    assert.equal(WebSocket.last.asked("getJoinedRooms"), undefined);

    void ask({ timeout: 100 });
    await clock.advance(100);
    assert.notEqual(WebSocket.last.asked("getJoinedRooms"), undefined);
    await clock.advance(5000);
    assert.equal(client.status, "reconnecting");
});


test("a broken link settles what was on its way", async () => {
    await start();

    const request = ask();

    await WebSocket.last.drop();
    assert.equal(await code(request), "sync.disconnected");

    await clock.advance(1000);
    await WebSocket.last.hello();
    assert.deepEqual(WebSocket.last.sent, []);
});


test("without a link requests wait, and go in order", async () => {
    await start();
    await WebSocket.last.drop();

    void ask({ data: { n: 1 } });
    void ask({ data: { n: 2 } });
    void client.getJoinedRooms();
    await turn();
    assert.deepEqual(clock.delays.length, 1);

    await clock.advance(1000);
    await WebSocket.last.hello();
    assert.deepEqual(WebSocket.last.sent.map((f) => [f[0], f[1].data?.n]),
                     [["sync", 1], ["sync", 2],
                      ["getJoinedRooms", undefined]]);
});


for (const [policy, dropped, lost, kept] of [
    ["drop-oldest", 0, "offline.dropped", [1, 2]],
    ["drop-newest", 2, "offline.dropped", [0, 1]],
    ["reject", 2, "offline.queueFull", [0, 1]]
]) {
    test("a full queue: " + policy, async () => {
        await start({ queueSize: 2, offlineDropPolicy: policy });
        await WebSocket.last.drop();

        const requests = [0, 1, 2].map((n) => ask({ data: { n } }));

        assert.equal(await code(requests[dropped]), lost);

        await clock.advance(1000);
        await WebSocket.last.hello();
        assert.deepEqual(WebSocket.last.sent.map((f) => f[1].data.n), kept);
    });
}


test("a request's own policy wins", async () => {
    await start({ queueSize: 1 });
    await WebSocket.last.drop();
    void ask();
    await turn();

    assert.equal(await code(ask({ offlineDropPolicy: "reject" })),
                 "offline.queueFull");
});


test("a policy that does not exist is refused", async () => {
    await start();
    await assert.rejects(ask({ offlineDropPolicy: "keep" }), TypeError);
    assert.throws(() => connect({ offlineDropPolicy: "keep" }), TypeError);
});


test("what waited too long is not sent", async () => {
    await start({ queueAge: 300 });
    await WebSocket.last.drop();

    const old = ask({ data: { n: 1 } });

    await clock.advance(301);

    const young = ask({ data: { n: 2 } });

    assert.equal(await code(old), "offline.dropped");
    await clock.advance(200);
    await WebSocket.last.hello();
    assert.deepEqual(WebSocket.last.sent.map((f) => f[1].data.n), [2]);
    await WebSocket.last.answer("sync", { status: "success" });
    assert.equal((await young).status, "success");
});


test("an abort takes a request out of the queue", async () => {
    await start();
    await WebSocket.last.drop();

    const controller = new AbortController();
    const request = ask({ signal: controller.signal });

    await turn();
    controller.abort();
    assert.equal(await code(request), "request.aborted");
    await clock.advance(1000);
    await WebSocket.last.hello();
    assert.deepEqual(WebSocket.last.sent, []);
});


test("volatile requests never wait", async () => {
    await start();
    WebSocket.last.bufferedAmount = 65537;
    assert.equal(await code(ask({ volatile: true })), "offline.dropped");
    WebSocket.last.bufferedAmount = 65536;
    void ask({ volatile: true });
    await turn();
    assert.equal(WebSocket.last.sent.length, 1);

    await WebSocket.last.drop();
    assert.equal(await code(ask({ volatile: true })), "offline.dropped");
});


test("close() settles what waits", async () => {
    await start();
    await WebSocket.last.drop();

    const request = ask();
    const joined = client.joinRoom("r1");

    await turn();
    client.close();
    assert.equal(await code(request), "sync.disconnected");
    assert.equal(await code(joined), "sync.disconnected");
    assert.equal(await code(ask()), "sync.disconnected");
});


test("a route has one callback: the last", async () => {
    const calls = [];

    await start();

    const subscribe = (id) => client.upsertSyncEventCallback({
        name: "board/moveCard", version: "v1",
        callback: (event) => calls.push([id, event])
    });
    const first = subscribe(1);
    const second = subscribe(2);
    const frame = {
        cb: "sync/board/moveCard/v1", fullName: "sync/board/moveCard/v1",
        serverOutput: { status: "success", n: 1 }, clientOutput: {},
        message: "m", status: "success"
    };

    first();
    WebSocket.last.frame("sync", frame, { room: "r1" });
    assert.deepEqual(calls, [[2, {
        serverOutput: { status: "success", n: 1 }, clientOutput: {},
        message: "m", status: "success"
    }]]);

    second();
    WebSocket.last.frame("sync", frame, { room: "r1" });
    assert.equal(calls.length, 1);
});


test("a frame is matched by cb without its prefix", async () => {
    let calls = 0;

    await start();
    client.upsertSyncEventCallback("a/b", () => calls++);
    WebSocket.last.frame("sync", { cb: "a/b/v1", status: "success" });
    WebSocket.last.frame("sync", { cb: "a/b/v2", status: "success" });
    WebSocket.last.frame("sync", {
        cb: "a/b/v1", fullName: "sync/a/b/v1", status: "success"
    });
    assert.equal(calls, 2);
});


test("chunks of a route, merged or to a callback of their own", async () => {
    const merged = [];
    const own = [];

    await start();
    client.upsertSyncEventCallback({
        name: "a/b", version: "v1", callback: (event) => merged.push(event)
    });

    const chunk = {
        chunk: "hi", cb: "a/b/v1", fullName: "sync/a/b/v1", status: "stream",
        message: "lost"
    };

    WebSocket.last.frame("sync", chunk, { room: "r1" });
    client.upsertSyncEventStreamCallback({
        name: "a/b", version: "v1", callback: (event) => own.push(event)
    });
    WebSocket.last.frame("sync", chunk, { room: "r1" });

    assert.deepEqual(merged, [{
        serverOutput: {}, clientOutput: {}, stream: { chunk: "hi" },
        status: "stream"
    }]);
    assert.deepEqual(own, [{ stream: { chunk: "hi" } }]);
});


test("errors reach no callback, sync.ignore nobody", async () => {
    const errors = [];

    await start();
    client.upsertSyncEventCallback("a/b", () => assert.fail());
    client.on("error", (error) => errors.push(error.errorCode));

    for (const errorCode of ["sync.clientRejected", "sync.ignore"]) {
        WebSocket.last.frame("sync", {
            cb: "sync/a/b/v1", fullName: "sync/a/b/v1", status: "error",
            message: errorCode, errorCode, httpStatus: 400
        });
    }

    assert.deepEqual(errors, ["sync.clientRejected"]);
});


test("a callback that throws stops no other", async (t) => {
    const thrown = [];
    const heard = [];
    const real = globalThis.queueMicrotask;

    t.after(() => {
        globalThis.queueMicrotask = real;
    });

    globalThis.queueMicrotask = (fn) => thrown.push(fn);

    await start();
    client.on("message", () => {
        throw new Error("mine");
    });
    client.on("message", (data, meta) => heard.push([data, meta]));
    WebSocket.last.frame("message", 1, { room: "r1" });

    assert.deepEqual(heard, [[1, { room: "r1" }]]);
    assert.throws(thrown[0], /mine/);
    assert.equal(client.status, "connected");
});

test("acknowledgement: what the first listener returns", async () => {
    const heard = [];

    await start();
    client.on("ask", async (...args) => ({ sum: args[0] + args[1] }));
    client.on("ask", (...args) => heard.push(args));
    client.on("bare", () => {});
    WebSocket.last.frame("ask", 1, 2, { ack: 7 });
    WebSocket.last.frame("bare", { ack: 8 });
    WebSocket.last.frame("unheard", { ack: 9 });
    await turn();

    assert.deepEqual(heard, [[1, 2, { ack: 7 }]]);
    assert.deepEqual(WebSocket.last.sent.filter(([event]) => event === "ack"),
        [["ack", { id: 7, args: [{ sum: 3 }] }], ["ack", { id: 8, args: [] }]]);
});


test("a call of the app: its frame, chunks, answer", async () => {
    const chunks = [];

    await start();

    const request = client.apiRequest({
        name: "board/getCards", version: "v2", data: { lane: 1 },
        onStream: (chunk) => chunks.push(chunk)
    });

    assert.deepEqual(WebSocket.last.asked("apiRequest"), {
        name: "api/board/getCards/v2", data: { lane: 1 }, responseIndex: 1
    });

    WebSocket.last.frame("apiStream-1", { n: 1 });
    WebSocket.last.frame("apiStream-1", "text");
    WebSocket.last.frame("apiResponse-1",
                         { cards: [], status: "success", httpStatus: 200 });
    WebSocket.last.frame("apiStream-1", { n: 2 });

    assert.deepEqual(await request,
                     { cards: [], status: "success", httpStatus: 200 });
    assert.deepEqual(chunks, [{ n: 1 }, "text"]);
});


test("a call that is aborted is cancelled by its index", async () => {
    await start();

    const controller = new AbortController();
    const request = client.apiRequest({
        name: "board/getCards", signal: controller.signal
    });

    controller.abort();

    assert.equal(await code(request), "request.aborted");
    assert.deepEqual(WebSocket.last.asked("apiCancel"), { responseIndex: 1 });
});


test("a call on its way when the link breaks is not repeated", async () => {
    await start();

    const request = client.apiRequest({ name: "board/getCards" });

    client.close();

    assert.equal(await code(request), "api.disconnected");
});
