
/*
 * Copyright (C) sync for nginx
 */


/*
 * The event client: one stream for all channels, opened again when they
 * change or when EventSource gives up, positions handed back.
 */


import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { EventClient, getEventClient } from "../../src/client/sync.js";
import { Clock, fakeEventSource, turn } from "./fake.mjs";


let clock, EventSource, client;


beforeEach(() => {
    clock = new Clock();
    EventSource = fakeEventSource();
    client = new EventClient({ url: "http://h/api/events", EventSource });
});


afterEach(() => {
    client.disconnect();
    clock.restore();
});


async function start(channels = ["timer:u1"]) {
    client.connect("u1", channels);
    await turn();
    EventSource.last.open();
}


function channels() {
    return EventSource.last.url.searchParams.get("channels");
}


test("there is one event client", () => {
    assert.equal(getEventClient(), getEventClient());
});


test("connect opens one stream for what one turn asks", async () => {
    client.connect("u1", ["timer:u1"]);
    client.connect("u1", ["notification:u1"]);
    client.subscribe("chat:room:r9", () => {});
    await turn();

    assert.equal(EventSource.all.length, 1);
    assert.equal(EventSource.last.url.pathname, "/api/events");
    assert.equal(EventSource.last.url.searchParams.get("userId"), "u1");
    assert.equal(channels(), "timer:u1,notification:u1,chat:room:r9");
    assert.deepEqual(EventSource.last.init, { withCredentials: true });
    assert.equal(client.status, "connecting");

    EventSource.last.open();
    assert.equal(client.status, "connected");
});


test("a message goes to its channel's subscribers", async () => {
    const seen = [];

    await start();

    const off = client.subscribe("timer:u1", (data, meta) => {
        seen.push([data, meta]);
    });

    client.subscribe("timer:u2", () => assert.fail());
    await turn();
    EventSource.last.open();

    const message = { channel: "timer:u1", data: { n: 1 }, timestamp: 7 };

    EventSource.last.message(message);
    assert.deepEqual(seen, [[{ n: 1 }, {
        channel: "timer:u1", event: "message", timestamp: 7
    }]]);

    off();
    EventSource.last.message(message);
    assert.equal(seen.length, 1);
});


test("a known channel opens no other stream", async () => {
    await start();
    client.subscribe("timer:u1", () => {})();
    await turn();
    assert.equal(EventSource.all.length, 1);
});


test("patterns, from either side", async () => {
    const seen = [];

    client.subscribe("notification:*", (d) => seen.push(["*", d]));
    client.subscribe("notification:u1", (d) => seen.push(["u1", d]));
    client.subscribe("notification:u2", (d) => seen.push(["u2", d]));
    await start([]);

    EventSource.last.message({ channel: "notification:u1", data: 1 });
    EventSource.last.message({ channel: "notification:*", data: 2 });

    assert.deepEqual(seen, [["*", 1], ["u1", 1], ["*", 2], ["u1", 2],
                            ["u2", 2]]);
});


test("other events have subscribers of their own", async () => {
    const seen = [];

    await start();
    client.subscribe("timer:u1", () => assert.fail());
    client.subscribe("timer:u1", (d) => seen.push(d), { event: "tick" });
    await turn();
    EventSource.last.open();
    EventSource.last.message({ channel: "timer:u1", data: 1 },
                             { type: "tick" });
    assert.deepEqual(seen, [1]);
});


test("another user's channels are let go of", async () => {
    await start();

    const first = EventSource.last;

    client.connect("u2", ["timer:u2"]);
    await turn();
    assert.equal(first.readyState, 2);
    assert.equal(channels(), "timer:u2");
    assert.equal(EventSource.last.url.searchParams.get("userId"), "u2");
});


test("disconnect closes, connect opens again", async () => {
    const seen = [];

    await start();
    client.subscribe("timer:u1", (data) => seen.push(data));
    client.disconnect();
    assert.equal(EventSource.last.readyState, 2);
    assert.equal(client.status, "closed");

    await start();
    EventSource.last.message({ channel: "timer:u1", data: 1 });
    assert.deepEqual(seen, [1]);
});


test("a broken stream is EventSource's to mend", async () => {
    await start();
    EventSource.last.fail(0);
    assert.equal(client.status, "reconnecting");
    assert.deepEqual(clock.delays, []);

    EventSource.last.open();
    assert.equal(client.status, "connected");
    assert.equal(EventSource.all.length, 1);
});


test("a refused stream is ours to open again, with jitter", async () => {
    await start();

    for (const delay of [500, 1000, 2000]) {
        const count = EventSource.all.length;

        EventSource.last.fail(2);
        assert.equal(client.status, "reconnecting");
        await clock.advance(delay - 1);
        assert.equal(EventSource.all.length, count);
        await clock.advance(1);
        assert.equal(EventSource.all.length, count + 1);
    }

    EventSource.last.open();
    EventSource.last.fail(2);
    assert.deepEqual(clock.delays, [500]);
});


test("positions go with a new stream, by channel", async () => {
    const seen = [];

    client.subscribe("a", (data) => seen.push(data));
    client.subscribe("b", (data) => seen.push(data));
    await start([]);

    const send = (channel, data, id) =>
        EventSource.last.message({ channel, data }, { id });

    send("b", 1, "-,0/5.00000001");
    send("b", 1, "-,0/5.00000001");
    send("a", 2, "0/1.00000001,0/5.00000001");
    send("b", 3, "");
    assert.deepEqual(seen, [1, 2, 3]);

    client.subscribe("c", () => {});
    await turn();
    assert.equal(EventSource.last.url.searchParams.get("lastEventId"),
                 "0/1.00000001,0/5.00000001,-");
});


test("chunks that have no id of their own are heard", async () => {
    const seen = [];
    const chunk = (n) => ({ channel: "a", data: { n, status: "stream" } });

    client.subscribe("a", (data) => seen.push(data.n), { event: "sync" });
    await start([]);

    const send = (message, id) =>
        EventSource.last.message(message, { type: "sync", id });

    send({ channel: "a", data: { n: 1 } }, "0/5.00000001");
    send(chunk(2), "0/5.00000001");
    send(chunk(3), "0/5.00000001");
    send({ channel: "a", data: { n: 4 } }, "0/6.00000001");
    send({ channel: "a", data: { n: 4 } }, "0/6.00000001");
    send(chunk(1), "0/4.00000001");
    assert.deepEqual(seen, [1, 2, 3, 4]);
});


test("a gap is told, and moves the position", async () => {
    const gaps = [];
    const seen = [];

    client.onGap((gap) => gaps.push(gap));
    client.subscribe("a", (data) => seen.push(data));
    await start([]);
    EventSource.last.message({ channel: "a", data: 1 },
                             { id: "0/9.00000001" });

    EventSource.last.open({
        recovery: {
            a: { recovered: false, reason: "reset", pos: "0/2.00000002" }
        }
    });
    EventSource.last.message({ channel: "a", data: 2 },
                             { id: "0/3.00000003" });
    EventSource.last.message(
        { room: "a", reason: "overflow", pos: "0/7.00000007" },
        { type: "gap" });
    EventSource.last.message({ channel: "a", data: 3 },
                             { id: "0/7.00000007" });

    assert.deepEqual(gaps, [{ channel: "a", reason: "reset" },
                            { channel: "a", reason: "overflow" }]);
    assert.deepEqual(seen, [1, 2]);
});
