
/*
 * Copyright (C) sync for nginx
 */


/*
 * A clock that stands until it is moved, and the two classes that the module
 * connects with, driven from the server's side.
 */


export class Clock {
    #now = 1000000;
    #id = 0;
    #timers = new Map();
    #real = {
        setTimeout: globalThis.setTimeout,
        clearTimeout: globalThis.clearTimeout,
        now: Date.now,
        random: Math.random
    };

    random = 0.5;

    constructor() {
        globalThis.setTimeout = (fn, delay) => {
            const id = ++this.#id;

            this.#timers.set(id, { at: this.#now + delay, delay, fn });

            return id;
        };

        globalThis.clearTimeout = (id) => this.#timers.delete(id);
        Date.now = () => this.#now;
        Math.random = () => this.random;
    }

    restore() {
        globalThis.setTimeout = this.#real.setTimeout;
        globalThis.clearTimeout = this.#real.clearTimeout;
        Date.now = this.#real.now;
        Math.random = this.#real.random;
    }

    /* ms of each timer that is armed */
    get delays() {
        return [...this.#timers.values()].map((timer) => timer.delay);
    }

    async advance(ms) {
        const end = this.#now + ms;

        for ( ;; ) {
            const next = [...this.#timers]
                .filter(([, timer]) => timer.at <= end)
                .sort(([, a], [, b]) => a.at - b.at)[0];

            if (next === undefined) {
                break;
            }

            this.#timers.delete(next[0]);
            this.#now = Math.max(this.#now, next[1].at);
            next[1].fn();
            await turn();
        }

        this.#now = end;
        await turn();
    }
}


export function turn() {
    return new Promise((resolve) => setImmediate(resolve));
}


export function fakeWebSocket() {
    class FakeWebSocket {
        static all = [];

        static get last() {
            return this.all.at(-1);
        }

        readyState = 0;
        bufferedAmount = 0;
        sent = [];
        closedWith = null;

        constructor(url, protocols) {
            this.url = url;
            this.protocols = protocols;
            FakeWebSocket.all.push(this);
        }

        send(text) {
            if (this.readyState === 0) {
                throw new Error("InvalidStateError");
            }

            this.sent.push(JSON.parse(text));
        }

        close(code, reason) {
            this.readyState = 2;
            this.closedWith = [code, reason];
        }

        /* The server's side */

        open() {
            this.readyState = 1;
            this.onopen?.();
        }

        frame(...frame) {
            this.onmessage?.({ data: JSON.stringify(frame) });
        }

        text(data) {
            this.onmessage?.({ data });
        }

        hello(clientId = "c1") {
            this.open();
            this.frame("connected", {
                clientId, userId: null, channels: [], timestamp: 1
            });

            return turn();
        }

        drop(code = 1006, reason = "") {
            this.readyState = 3;
            this.onclose?.({ code, reason });

            return turn();
        }

        /* The last frame sent of an event. */
        asked(event) {
            return this.sent.filter((frame) => frame[0] === event).at(-1)?.[1];
        }

        answer(event, data) {
            this.frame(event + "-" + this.asked(event).responseIndex, data);

            return turn();
        }
    }

    return FakeWebSocket;
}


export function fakeEventSource() {
    class FakeEventSource {
        static all = [];

        static get last() {
            return this.all.at(-1);
        }

        readyState = 0;
        #listeners = new Map();

        constructor(url, init) {
            this.url = new URL(url);
            this.init = init;
            FakeEventSource.all.push(this);
        }

        addEventListener(type, fn) {
            this.#listeners.set(type, fn);
        }

        close() {
            this.readyState = 2;
        }

        /* The server's side */

        message(data, { type = "message", id = "" } = {}) {
            this.#listeners.get(type)?.({
                type, data: JSON.stringify(data), lastEventId: id
            });
        }

        open(more = {}) {
            this.readyState = 1;
            this.onopen?.();
            this.message({
                type: "connected", userId: null, channels: [], timestamp: 1,
                ...more
            });
        }

        fail(readyState) {
            this.readyState = readyState;
            this.onerror?.({ type: "error" });
        }
    }

    return FakeEventSource;
}


/* An EventTarget's two methods on a global, as a window has them. */
export function fakeTarget(target) {
    const events = new EventTarget();

    target.addEventListener = events.addEventListener.bind(events);
    target.removeEventListener = events.removeEventListener.bind(events);

    return (type) => events.dispatchEvent(new Event(type));
}
