
/*
 * Copyright (C) sync for nginx
 */


/*
 * The hooks: what they hold while a component is mounted, and that nothing
 * is left when it is gone.
 */


import assert from "node:assert/strict";
import { register } from "node:module";
import { afterEach, beforeEach, test } from "node:test";

import { StrictMode, act, createElement } from "react";
import { create } from "react-test-renderer";

import { EventClient, connect } from "../../src/client/sync.js";
import { Clock, fakeEventSource, fakeWebSocket, turn } from "./fake.mjs";


/* The application has react; here it stands beside the tests. */

register("data:text/javascript," + encodeURIComponent(`
    export function resolve(name, context, next) {
        return next(name, name === "react"
            ? { ...context, parentURL: ${JSON.stringify(import.meta.url)} }
            : context);
    }
`));

const { useChannel, usePresence, useRoom, useSync, useSyncEvent,
        useSyncEvents } =
    await import("../../src/client/react.js");


globalThis.IS_REACT_ACT_ENVIRONMENT = true;

let clock, WebSocket, client, roots;


beforeEach(async () => {
    clock = new Clock();
    WebSocket = fakeWebSocket();
    client = connect({ url: "ws://h/ws", WebSocket });
    roots = [];
    await WebSocket.last.hello();
});


afterEach(async () => {
    for (const root of roots) {
        await act(() => root.unmount());
    }

    client.close();
    clock.restore();
});


async function mount(use) {
    const seen = [];
    let root;

    function Component(props) {
        seen.push(use(props));

        return null;
    }

    const element = (props) =>
        createElement(StrictMode, null, createElement(Component, props));

    await act(() => {
        root = create(element({}));
        roots.push(root);
    });

    return {
        seen, last: () => seen.at(-1),
        update: (props) => act(() => root.update(element(props))),
        unmount: () => act(() => root.unmount())
    };
}


function events(name) {
    return WebSocket.last.sent.filter((frame) => frame[0] === name);
}


function frame(serverOutput) {
    return act(() => WebSocket.last.frame("sync", {
        cb: "sync/a/b/v1", fullName: "sync/a/b/v1", status: "success",
        serverOutput
    }));
}


test("useSync gives the status as it changes", async () => {
    const { last } = await mount(() => useSync(client));

    assert.equal(last().status, "connected");
    await act(() => WebSocket.last.drop());
    assert.equal(last().status, "reconnecting");

    void last().syncRequest({ name: "a/b", receiver: "r" });
    await act(() => clock.advance(500));
    await act(() => WebSocket.last.hello());
    assert.equal(last().status, "connected");
    assert.equal(WebSocket.last.asked("sync").name, "sync/a/b/v1");
});


test("useRoom joins, tells, leaves", async () => {
    const { last, unmount } = await mount(() => useRoom("r1", { client }));

    assert.deepEqual(last(), { joined: false, error: null });
    assert.equal(events("joinRoom").length, 1);

    await act(() => WebSocket.last.answer("joinRoom", { rooms: ["r1"] }));
    assert.deepEqual(last(), { joined: true, error: null });
    assert.equal(events("leaveRoom").length, 0);

    await unmount();
    await turn();
    assert.equal(WebSocket.last.asked("leaveRoom").group, "r1");
});


test("useRoom tells a refusal", async () => {
    const { last } = await mount(() => useRoom("r1", { client }));

    await act(() => WebSocket.last.answer("joinRoom", {
        status: "error", message: "m", errorCode: "auth.required",
        httpStatus: 400
    }));

    assert.equal(last().joined, false);
    assert.equal(last().error.errorCode, "auth.required");
});


test("useRoom tells a gap, to the callback of the last render", async () => {
    const gaps = [];
    const { update } = await mount(({ n = 1 }) => useRoom("r1", {
        client, onGap: ({ reason }) => gaps.push([n, reason])
    }));

    await act(() => WebSocket.last.answer("joinRoom", { rooms: ["r1"] }));
    await update({ n: 2 });
    await act(() => WebSocket.last.drop());
    await act(() => clock.advance(500));
    await act(() => WebSocket.last.hello());
    await act(() => WebSocket.last.answer("joinRoom", { rooms: ["r1"] }));

    assert.deepEqual(gaps, [[2, "volatile"]]);
});


test("a room is left with its last component", async () => {
    const first = await mount(() => useRoom("r1", { client }));
    const second = await mount(() => useRoom("r1", { client }));

    await act(() => WebSocket.last.answer("joinRoom", { rooms: ["r1"] }));
    await first.unmount();
    await turn();
    assert.equal(events("leaveRoom").length, 0);

    await second.unmount();
    await turn();
    assert.equal(events("leaveRoom").length, 1);
});


test("another room is joined, the first left", async () => {
    const { update } = await mount(
        ({ group = "r1" }) => useRoom(group, { client }));

    await update({ group: "r2" });
    await turn();
    assert.equal(WebSocket.last.asked("joinRoom").group, "r2");
    assert.equal(WebSocket.last.asked("leaveRoom").group, "r1");
});


test("useSyncEvent calls the callback of the last render", async () => {
    const calls = [];
    const { update, unmount } = await mount(({ n = 1 }) => useSyncEvent({
        name: "a/b", version: "v1", client,
        callback: ({ serverOutput }) => calls.push([n, serverOutput.x])
    }));

    await frame({ x: 1 });
    await update({ n: 2 });
    await frame({ x: 2 });
    await unmount();
    await frame({ x: 3 });

    assert.deepEqual(calls, [[1, 1], [2, 2]]);
});


test("useSyncEvents: the callbacks go with the component", async () => {
    const calls = [];
    const { last, unmount } = await mount(() => useSyncEvents(client));

    last().upsertSyncEventCallback("a/b", () => calls.push("first"));
    last().upsertSyncEventCallback({
        name: "a/b", version: "v1", callback: () => calls.push("second")
    });
    await frame({});
    await unmount();
    await frame({});

    assert.deepEqual(calls, ["second"]);
});


test("useChannel subscribes while it is mounted", async () => {
    const EventSource = fakeEventSource();
    const channels = new EventClient({
        url: "http://h/api/events", EventSource
    });
    const seen = [];
    const { unmount } = await mount(() => useChannel(
        "timer:u1", (data) => seen.push(data), { client: channels }));

    channels.connect("u1");
    await turn();
    EventSource.last.open();
    EventSource.last.message({ channel: "timer:u1", data: 1 });
    await unmount();
    EventSource.last.message({ channel: "timer:u1", data: 2 });
    channels.disconnect();

    assert.deepEqual(seen, [1]);
});


test("usePresence: who is away", async () => {
    const { last, unmount } = await mount(() => usePresence(client));

    assert.deepEqual(last(), {});

    await act(() => WebSocket.last.frame("userAfk",
                                         { userId: "u1", endTime: 5 }));
    await act(() => WebSocket.last.frame("userLeft", { userId: "u2" }));

    assert.deepEqual(last(), {
        u1: { status: "afk", endTime: 5 }, u2: { status: "left" }
    });

    await act(() => WebSocket.last.frame("userBack", { userId: "u1" }));

    assert.deepEqual(last(), { u2: { status: "left" } });

    await unmount();
    WebSocket.last.frame("userLeft", { userId: "u3" });

    assert.deepEqual(last(), { u2: { status: "left" } });
});
