
/*
 * Copyright (C) sync for nginx
 */


/*
 * React hooks over sync.js.  Where no client is given it is the page's one,
 * which is made when the first component is mounted, not while rendering: on
 * a server nothing connects.
 */


import {
    useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore
} from "react";

import { getClient, getEventClient } from "./sync.js";


/*
 * The link's status, again at each change, and what one asks of it.
 */
export function useSync(client) {
    const status = useSyncExternalStore(
        useCallback((fn) => (client ?? getClient()).onStatus(fn), [client]),
        () => (client ?? getClient()).status,
        () => "connecting");

    const requests = useMemo(() => ({
        syncRequest: (request) => (client ?? getClient()).syncRequest(request)
    }), [client]);

    return { status, ...requests };
}


/*
 * In the room while the component is mounted, with all others that are.
 *
 * Returns {joined, error}; onGap({room, reason}) is called when messages may
 * have been missed.
 */
export function useRoom(group, { client, onGap } = {}) {
    const [answer, setAnswer] = useState(null);
    const gap = useLatest(onGap);

    useEffect(() => {
        const own = client ?? getClient();
        let mounted = true;

        enter(own, group).then((now) => {
            if (mounted) {
                setAnswer(now);
            }
        });

        const offs = [
            own.on("gap", (what) => {
                if (what.room === group) {
                    setAnswer({ status: "success" });
                    gap.current?.(what);
                }
            }),

            own.on("refused", (what) => {
                if (what.room === group) {
                    setAnswer(what);
                }
            })
        ];

        return () => {
            mounted = false;
            offs.forEach((off) => off());
            setAnswer(null);
            leave(own, group);
        };
    }, [client, group]);

    return {
        joined: answer?.status === "success",
        error: answer?.status === "error" ? answer : null
    };
}


/*
 * The callback of a route while the component is mounted; it may be another
 * function at each render.
 */
export function useSyncEvent({ name, version, callback, client }) {
    const latest = useLatest(callback);

    useEffect(() => (client ?? getClient()).upsertSyncEventCallback({
        name, version, callback: (event) => latest.current(event)
    }), [client, name, version]);
}


/*
 * upsertSyncEventCallback() and upsertSyncEventStreamCallback(), whose
 * callbacks go with the component.
 */
export function useSyncEvents(client) {
    const offs = useRef(new Map());

    useEffect(() => {
        const mine = offs.current;

        return () => {
            mine.forEach((off) => off());
            mine.clear();
        };
    }, [client]);

    return useMemo(() => {
        const keep = (method) => (...args) => {
            const off = (client ?? getClient())[method](...args);
            const [what] = args;
            const key = method + " " + (what.name ?? what) + " "
                        + (what.version ?? "v1");

            offs.current.set(key, off);

            return off;
        };

        return {
            upsertSyncEventCallback: keep("upsertSyncEventCallback"),
            upsertSyncEventStreamCallback:
                keep("upsertSyncEventStreamCallback")
        };
    }, [client]);
}


/*
 * Who is away, of those in rooms with us: {[userId]: {status, endTime?}},
 * where status is "afk", till endTime, or "left".  Who is not in it is here, as
 * far as one knows.
 */
export function usePresence(client) {
    const [away, setAway] = useState({});

    useEffect(() => {
        const own = client ?? getClient();

        const put = ({ userId }, state) => setAway(({ [userId]: was, ...rest }) =>
            state === null ? rest : { ...rest, [userId]: state });

        const offs = [
            own.on("userAfk", (data) => put(data, {
                status: "afk", endTime: data.endTime
            })),
            own.on("userBack", (data) => put(data, null)),
            own.on("userLeft", (data) => put(data, { status: "left" }))
        ];

        return () => {
            offs.forEach((off) => off());
            setAway({});
        };
    }, [client]);

    return away;
}


/*
 * Messages of an event client's channel while the component is mounted.
 */
export function useChannel(channel, callback, { client, event } = {}) {
    const latest = useLatest(callback);

    useEffect(() => (client ?? getEventClient()).subscribe(
        channel, (...args) => latest.current(...args), { event }
    ), [client, channel, event]);
}


function useLatest(value) {
    const ref = useRef(value);

    useEffect(() => {
        ref.current = value;
    });

    return ref;
}


/*
 * How many components want a room.  It is left when the turn ends with none:
 * one that is only mounted anew does not leave in between.
 */
const wanted = new WeakMap();       /* client -> Map of group -> number */

function count(client, group, by) {
    const groups = wanted.get(client) ?? new Map();
    const now = (groups.get(group) ?? 0) + by;

    wanted.set(client, groups);
    groups.set(group, now);

    return now;
}


function enter(client, group) {
    count(client, group, 1);

    return client.joinRoom(group);
}


function leave(client, group) {
    count(client, group, -1);

    queueMicrotask(() => {
        if (count(client, group, 0) === 0
            && wanted.get(client).delete(group))
        {
            void client.leaveRoom(group);
        }
    });
}
