
/*
 * Copyright (C) sync for nginx
 */


/*
 * The browser's side of sync for nginx: rooms and sync requests over one
 * WebSocket, channels over one EventSource.  Nothing else is needed; under
 * Node a WebSocket class is passed in as an option.
 *
 * The life of a link:
 *
 *     open() -> connecting -> connected -> reconnecting -> connected ...
 *                                   \             \
 *                                    +-------------+--> closed -> open()
 *
 * "connected" is said when the server's first frame has come and every room
 * that the page is in has been joined again; only then the requests that
 * waited meanwhile go out.  So a request never overtakes its room.
 *
 * A room keeps the position of its last message and hands it back when it is
 * joined again; what was seen already is dropped.  Where something may have
 * been missed nevertheless, "gap" says so, and the page reads its state anew.
 */


const DEFAULTS = {
    url: "/ws",
    protocols: "sync.v1",
    token: null,            /* string, or function that gives one */
    WebSocket: null,        /* class; globalThis.WebSocket */
    open: true,             /* connect at once */
    presence: false,        /* say when the page is hidden, and used */

    reconnect: true,        /* or function (close event) -> boolean */
    reconnectBase: 1000,    /* ms */
    reconnectCap: 20000,    /* ms */
    connectTimeout: 20000,  /* ms, until the first frame */
    probeTimeout: 5000,     /* ms, for an answer on a link in doubt */
    timeout: 30000,         /* ms, for an answer to a request */

    queueSize: 200,         /* requests kept while there is no link */
    queueAge: 3600000,      /* ms */
    offlineDropPolicy: "drop-oldest"
};

const POLICIES = ["drop-oldest", "drop-newest", "reject"];

/* A link that lived shorter than this does not reset the backoff. */
const STABLE = 5000;            /* ms */

/* What shows that somebody is there, and how often that is said. */
const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel"];
const SIGN_EVERY = 10000;       /* ms */

/* A volatile request is dropped while more than this waits to be sent. */
const VOLATILE_BUFFER = 65536;  /* bytes */

const REPLY = new RegExp(
    "^(sync|sync-progress|apiResponse|apiStream|joinRoom|leaveRoom"
    + "|getJoinedRooms)-(\\d+)$");

const STREAM_ENVELOPE = new Set([
    "status", "fullName", "cb", "errorCode", "errorParams", "httpStatus",
    "message"
]);


/*
 * Connects to a websocket endpoint.  Takes the URL, or options.
 */
export function connect(options = {}) {
    return new SyncClient(typeof options === "string" ? { url: options }
                                                      : options);
}


let defaultClient = null;

/*
 * The page's one client, made at the first call, with that call's options.
 */
export function getClient(options) {
    defaultClient ??= connect(options);

    return defaultClient;
}


export const joinRoom = (group, options) =>
    getClient().joinRoom(group, options);
export const leaveRoom = (group) => getClient().leaveRoom(group);
export const getJoinedRooms = () => getClient().getJoinedRooms();
export const syncRequest = (request) => getClient().syncRequest(request);
export const apiRequest = (request) => getClient().apiRequest(request);
export const upsertSyncEventCallback = (...args) =>
    getClient().upsertSyncEventCallback(...args);
export const upsertSyncEventStreamCallback = (...args) =>
    getClient().upsertSyncEventStreamCallback(...args);


export class SyncClient {
    #options;
    #status = "closed";
    #statusListeners = new Set();
    #listeners = new Map();         /* event -> Set of functions */
    #callbacks = new Map();         /* route -> function */
    #streamCallbacks = new Map();   /* route -> function */

    #socket = null;
    #openedAt = 0;                  /* ms, 0 until the first frame */
    #heardAt = 0;                   /* ms, the last frame of any kind */
    #attempt = 0;
    #timer = null;                  /* connect timeout, or the next attempt */
    #probing = false;
    #hidden = false;                /* the page is, and it was said */
    #signAt = 0;                    /* ms, the last "activity" */
    #unhint = null;

    #index = 0;
    #calls = new Map();             /* responseIndex -> call in flight */
    #queue = [];                    /* requests that wait for a link */
    #rooms = new Map();             /* group -> room the page wants */

    clientId = null;
    userId = null;

    constructor(options) {
        this.#options = { ...DEFAULTS, ...options };

        checkPolicy(this.#options.offlineDropPolicy);

        if (this.#options.open) {
            this.open();
        }
    }

    get status() {
        return this.#status;
    }

    /*
     * The position of the last message seen in a room, or null.
     */
    position(group) {
        return this.#rooms.get(group)?.pos ?? null;
    }

    /*
     * Connects again after close(), or after the server closed for good.
     */
    open() {
        if (this.#status !== "closed") {
            return;
        }

        this.#attempt = 0;
        this.#unhint = this.#listenHints();
        this.#setStatus("connecting", {});
        this.#dial();
    }

    /*
     * Closes for good: what waits for an answer is settled as disconnected.
     */
    close(code = 1000, reason = "") {
        if (this.#status !== "closed") {
            this.#drop(code, reason);
            this.#finish({ code, reason });
        }
    }

    /*
     * fn(status, detail) is called at each change; detail has "code" and
     * "reason" of the close, and "attempt" and "delay" where there will be
     * another.
     */
    onStatus(fn) {
        this.#statusListeners.add(fn);

        return () => this.#statusListeners.delete(fn);
    }

    /*
     * fn(data, meta) is called for each such event from the server; meta is
     * {room, pos} where it came through a room.  An event with several
     * arguments is fn(...args); for one with {ack} as the last, what the
     * first listener returns is the answer.  Three events are made here as
     * well: "recovered" {room, pos} when a room was joined again and nothing
     * is missing, "gap" {room, reason} when messages of a room may have been
     * missed, "refused" {room, errorCode, ...} when a room could not be
     * joined again.
     */
    on(event, fn) {
        let set = this.#listeners.get(event);

        if (set === undefined) {
            set = new Set();
            this.#listeners.set(event, set);
        }

        set.add(fn);

        return () => set.delete(fn);
    }

    /*
     * Joins a room, for as long as the client lives or until leaveRoom();
     * without a link, as soon as there is one.  "pos" goes on after a
     * position kept elsewhere.
     *
     * Resolves to {status: "success", rooms, recovered?, reason?, pos?}, or
     * to the server's {status: "error", errorCode, ...}.
     */
    joinRoom(group, { pos } = {}) {
        let room = this.#rooms.get(group);

        if (room === undefined) {
            room = {
                group, pos: null, socket: null, pending: false,
                waiting: [], attempt: 0, timer: null
            };

            this.#rooms.set(group, room);
        }

        if (pos !== undefined) {
            room.pos = pos;
        }

        return new Promise((resolve) => {
            room.waiting.push(resolve);

            if (this.#status === "connected") {
                void this.#join(room);
            }
        });
    }

    leaveRoom(group) {
        const room = this.#rooms.get(group);

        if (room !== undefined) {
            this.#forget(room);
            settle(room, failure("request.aborted"));
        }

        if (this.#openedAt === 0) {
            return Promise.resolve({
                status: "success", rooms: [...this.#rooms.keys()]
            });
        }

        return this.#call("leaveRoom", { group });
    }

    getJoinedRooms() {
        return this.#request({}, (settled) => {
            this.#call("getJoinedRooms", {}).then(settled);
        });
    }

    /*
     * Sends a sync request to the members of a room.
     *
     * Resolves to {status: "success", message, result}, or to {status:
     * "error", errorCode, ...}; it rejects only if data is no JSON.  Without
     * a link the request waits in a bounded queue, unless it is volatile.
     * A request that was on its way when the link broke is not repeated: its
     * outcome is unknown, and told as sync.disconnected.
     */
    async syncRequest({
        name, version, data = {}, receiver, roomCode, ignoreSelf, signal,
        timeout, onStream, offlineDropPolicy, volatile = false
    }) {
        const route = routeOf(name, version);
        const request = {
            name: "sync/" + route, data, cb: route,
            receiver: receiver ?? roomCode, ignoreSelf
        };

        JSON.stringify(request);

        if (offlineDropPolicy !== undefined) {
            checkPolicy(offlineDropPolicy);
        }

        const answer = await this.#request(
            { signal, volatile, offlineDropPolicy },
            (settled) => {
                const call = { timeout, signal, onStream };

                this.#call("sync", request, call).then(settled);
            });

        if (answer.status !== "error") {
            return {
                ...answer,
                result: isObject(answer.result) ? answer.result : {}
            };
        }

        return answer;
    }

    /*
     * Calls the app.  Resolves to {status: "success", ...}, or to {status:
     * "error", errorCode, ...}; like syncRequest() in all else.
     */
    async apiRequest({
        name, version, data = {}, signal, timeout, onStream,
        offlineDropPolicy, volatile = false
    }) {
        const request = { name: "api/" + routeOf(name, version), data };

        JSON.stringify(request);

        if (offlineDropPolicy !== undefined) {
            checkPolicy(offlineDropPolicy);
        }

        return this.#request(
            { signal, volatile, offlineDropPolicy },
            (settled) => {
                const call = { timeout, signal, onStream };

                this.#call("apiRequest", request, call).then(settled);
            });
    }

    /*
     * Sets the callback of a route, in the place of an earlier one, and
     * returns what removes it.  It is called with {serverOutput,
     * clientOutput, message, status: "success"}, and with {stream, status:
     * "stream"} for a chunk of a route that has no stream callback.
     *
     * The name and the callback may be given as two arguments.
     */
    upsertSyncEventCallback(...args) {
        return upsert(this.#callbacks, ...args);
    }

    /*
     * The same for the chunks that a handler streams: callback({stream}).
     */
    upsertSyncEventStreamCallback(...args) {
        return upsert(this.#streamCallbacks, ...args);
    }


    /* The link */

    #dial() {
        const { url, protocols, connectTimeout } = this.#options;
        const WebSocket = this.#options.WebSocket ?? globalThis.WebSocket;

        if (WebSocket === undefined) {
            throw new TypeError("sync: no WebSocket here, pass one in");
        }

        const socket = new WebSocket(socketURL(url), protocols);

        this.#socket = socket;

        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#lost(1006, "connect timeout"),
                                 connectTimeout);

        socket.onopen = () => this.#authenticate(socket);

        socket.onmessage = (event) => {
            this.#heardAt = Date.now();
            this.#receive(event.data);
        };

        socket.onclose = (event) => {
            this.#lost(event.code, event.reason, event);
        };
    }

    async #authenticate(socket) {
        let { token } = this.#options;

        try {
            if (typeof token === "function") {
                token = await token();
            }

        } catch (e) {
            report(e);

            if (this.#socket === socket) {
                this.#lost(1006, "no token");
            }

            return;
        }

        if (token != null && this.#socket === socket) {
            this.#send("auth", { token });
        }
    }

    /*
     * The first frame came: rooms first, then what waited.
     */
    async #opened(hello) {
        const socket = this.#socket;

        clearTimeout(this.#timer);
        this.#timer = null;
        this.#openedAt = Date.now();
        this.clientId = hello.clientId ?? null;
        this.userId = hello.userId ?? null;

        if (this.#hidden) {
            this.#hidden = false;
            this.#send("intentionalReconnect");
        }

        await Promise.all([...this.#rooms.values()].map(
            (room) => this.#join(room)));

        if (this.#socket === socket) {
            this.#setStatus("connected", {});
            this.#joinLate();
            this.#flush();
        }
    }

    /*
     * Rooms that were asked for while the others were being joined again.
     */
    #joinLate() {
        for (const room of this.#rooms.values()) {
            if (room.waiting.length !== 0) {
                void this.#join(room);
            }
        }
    }

    #lost(code, reason, event = { code, reason }) {
        const { reconnect, reconnectBase, reconnectCap } = this.#options;
        const lived = this.#openedAt === 0 ? 0 : Date.now() - this.#openedAt;

        this.#drop(1000, "");

        const again = typeof reconnect === "function"
                      ? reconnect(event)
                      : reconnect && !unwelcome(code, reason);

        if (!again) {
            this.#finish({ code, reason });
            return;
        }

        if (lived >= STABLE) {
            this.#attempt = 0;
        }

        if (this.#hidden && globalThis.document?.visibilityState === "hidden") {

            /* till the page is seen */

            this.#setStatus("reconnecting", {
                attempt: this.#attempt, delay: null, code, reason
            });

            return;
        }

        const delay = jitter(this.#attempt, reconnectBase, reconnectCap);

        this.#attempt++;
        this.#timer = setTimeout(() => this.#dial(), delay);

        this.#setStatus("reconnecting", {
            attempt: this.#attempt, delay, code, reason
        });
    }

    /*
     * Lets go of the socket without waiting for its close event: on a dead
     * link that may take minutes.
     */
    #drop(code, reason) {
        const socket = this.#socket;

        clearTimeout(this.#timer);
        this.#timer = null;
        this.#socket = null;
        this.#openedAt = 0;
        this.#probing = false;
        this.clientId = null;

        if (socket !== null) {
            socket.onopen = socket.onmessage = socket.onclose = null;
            socket.onerror = () => {};

            if (socket.readyState < 2) {
                socket.close(code, reason);
            }
        }

        for (const room of this.#rooms.values()) {
            clearTimeout(room.timer);
            room.pending = false;
            room.attempt = 0;
        }

        const calls = [...this.#calls.values()];

        this.#calls.clear();

        for (const call of calls) {
            call.done(failure(call.event === "apiRequest"
                              ? "api.disconnected" : "sync.disconnected"));
        }
    }

    #finish(detail) {
        const queue = this.#queue;

        this.#unhint?.();
        this.#unhint = null;
        this.#queue = [];
        this.#setStatus("closed", detail);

        for (const entry of queue) {
            entry.settle(failure("sync.disconnected"));
        }

        for (const room of this.#rooms.values()) {
            settle(room, failure("sync.disconnected"));
        }
    }

    #setStatus(status, detail) {
        this.#status = status;
        notify(this.#statusListeners, status, detail);
    }

    /*
     * No frame for long is no death: pings are below us.  What the browser
     * tells about the network and the page is the reason to look.  A network
     * comes back for many pages at once, so they still spread a little.
     */
    #listenHints() {
        const { reconnectBase } = this.#options;

        const offs = [
            listen(globalThis, "online",
                   () => this.#nudge(jitter(0, reconnectBase, reconnectBase))),
            listen(globalThis, "offline", () => this.#probe()),
            listen(globalThis.document, "visibilitychange", () => {
                if (globalThis.document.visibilityState === "visible") {
                    this.#nudge(0);

                } else {
                    this.#hide();
                }
            }),
            ...SIGNS.map((sign) => listen(globalThis, sign,
                                          () => this.#sign()))
        ];

        return () => offs.forEach((off) => off());
    }

    /*
     * Presence: the server lets go of a page that is hidden, and tells the
     * others till when it is waited for.
     */
    #hide() {
        if (this.#options.presence && this.#status === "connected") {
            this.#hidden = true;
            this.#send("intentionalDisconnect");
        }
    }

    #sign() {
        const now = Date.now();

        if (this.#options.presence && this.#status === "connected"
            && now - this.#signAt >= SIGN_EVERY)
        {
            this.#signAt = now;
            this.#send("activity");
        }
    }

    /*
     * The moment is good: try again, or see whether the link still lives.
     */
    #nudge(delay) {
        if (this.#status === "reconnecting" && this.#socket === null) {
            this.#attempt = 0;
            clearTimeout(this.#timer);
            this.#timer = setTimeout(() => this.#dial(), delay);
            return;
        }

        this.#probe();
    }

    async #probe() {
        if (this.#probing || this.#status !== "connected") {
            return;
        }

        const socket = this.#socket;
        const since = Date.now();

        this.#probing = true;

        await this.#call("getJoinedRooms", {}, {
            timeout: this.#options.probeTimeout, probe: true
        });

        if (this.#socket === socket) {
            this.#probing = false;

            if (this.#heardAt < since) {
                this.#lost(1006, "no answer");
            }
        }
    }

    #send(...frame) {
        this.#socket.send(JSON.stringify(frame));
    }


    /* Rooms */

    async #join(room) {
        if (room.pending) {
            return;
        }

        const socket = this.#socket;
        const again = room.socket !== null && room.socket !== socket;
        const { group, pos } = room;

        room.pending = true;

        const answer = await this.#call(
            "joinRoom", pos === null ? { group } : { group, pos },
            { onAnswer: (reply) => this.#joined(room, reply, again) });

        if (this.#socket !== socket || this.#rooms.get(group) !== room) {
            return;
        }

        room.pending = false;

        if (answer.status === "error") {
            this.#refused(room, answer, again);
            return;
        }

        settle(room, answer);
    }

    /*
     * At once with the answer, before the next frame: what follows it is
     * told apart by its position.
     */
    #joined(room, answer, again) {
        if (this.#rooms.get(room.group) !== room
            || answer.status === "error")
        {
            return;
        }

        room.socket = this.#socket;
        room.attempt = 0;

        if (answer.recovered === true) {
            if (again) {
                this.#emit("recovered", { room: room.group, pos: answer.pos });
            }

            return;
        }

        const had = room.pos !== null;

        room.pos = typeof answer.pos === "string" ? answer.pos : null;

        if (again || had) {
            this.#emit("gap", {
                room: room.group, reason: answer.reason ?? "volatile",
                pos: room.pos
            });
        }
    }

    #refused(room, answer, again) {
        const { reconnectBase, reconnectCap } = this.#options;

        if (room.socket === this.#socket) {
            settle(room, answer);

        } else if (!again || !passing(answer)) {
            this.#forget(room);
            settle(room, answer);

        } else {
            room.timer = setTimeout(
                () => this.#join(room),
                jitter(room.attempt++, reconnectBase, reconnectCap));
        }

        if (again) {
            this.#emit("refused", { room: room.group, ...answer });
        }
    }

    #forget(room) {
        clearTimeout(room.timer);
        this.#rooms.delete(room.group);
    }

    /*
     * Moves a room's position; false if the message was seen before.
     */
    #advance({ room: group, pos }) {
        const room = this.#rooms.get(group);

        if (room === undefined || typeof pos !== "string") {
            return true;
        }

        if (room.pos !== null && comparePositions(pos, room.pos) <= 0) {
            return false;
        }

        room.pos = pos;

        return true;
    }


    /* Requests */

    /*
     * Runs start(settle) now, or when there is a link again.
     */
    #request({ signal, volatile, offlineDropPolicy }, start) {
        if (signal?.aborted) {
            return Promise.resolve(failure("request.aborted"));
        }

        if (this.#status === "connected"
            && !(volatile && this.#socket.bufferedAmount > VOLATILE_BUFFER))
        {
            return new Promise(start);
        }

        if (volatile) {
            return Promise.resolve(failure("offline.dropped"));
        }

        if (this.#status === "closed") {
            return Promise.resolve(failure("sync.disconnected"));
        }

        return new Promise((resolve) => {
            this.#enqueue(start, resolve, signal, offlineDropPolicy);
        });
    }

    #enqueue(start, resolve, signal,
        policy = this.#options.offlineDropPolicy)
    {
        this.#expire();

        if (this.#queue.length >= this.#options.queueSize) {
            if (policy !== "drop-oldest" || this.#queue.length === 0) {
                resolve(failure(policy === "reject" ? "offline.queueFull"
                                                    : "offline.dropped"));
                return;
            }

            this.#queue.shift().settle(failure("offline.dropped"));
        }

        const off = listen(signal, "abort", () => {
            this.#queue = this.#queue.filter((other) => other !== entry);
            entry.settle(failure("request.aborted"));
        });

        const entry = {
            at: Date.now(),

            start() {
                off();
                start(resolve);
            },

            settle(answer) {
                off();
                resolve(answer);
            }
        };

        this.#queue.push(entry);
    }

    #expire() {
        const oldest = Date.now() - this.#options.queueAge;

        while (this.#queue.length !== 0 && this.#queue[0].at < oldest) {
            this.#queue.shift().settle(failure("offline.dropped"));
        }
    }

    #flush() {
        this.#expire();

        const queue = this.#queue;

        this.#queue = [];

        for (const entry of queue) {
            entry.start();
        }
    }

    /*
     * Sends an event that is answered under its index.  Resolves to the
     * answer or to an error of our own, whichever is first.
     *
     * onAnswer is called with the answer as it arrives, before any later
     * frame is looked at.
     */
    #call(event, payload, options = {}) {
        const {
            timeout = this.#options.timeout, signal, onStream, onAnswer,
            probe = false
        } = options;
        const index = ++this.#index;
        const since = Date.now();

        return new Promise((resolve) => {
            const call = {
                event, onStream, onAnswer, cancelId: null, cancelled: false,

                done: (answer) => {
                    clearTimeout(timer);
                    off();
                    resolve(answer);
                }
            };

            const timer = setTimeout(() => {
                this.#cancel(index, call);
                call.done(failure("sync.requestTimeout", 504));

                if (!probe && this.#heardAt < since) {
                    void this.#probe();
                }
            }, timeout);

            const off = listen(signal, "abort", () => {
                this.#cancel(index, call);
                call.done(failure("request.aborted"));
            });

            this.#calls.set(index, call);
            this.#send(event, { ...payload, responseIndex: index });
        });
    }

    /*
     * A sync is cancelled by the id that the server gives it: if that has
     * not come yet, the call stays until it does.
     */
    #cancel(index, call) {
        call.cancelled = true;
        call.onStream = undefined;

        if (call.event === "apiRequest") {
            this.#calls.delete(index);
            this.#send("apiCancel", { responseIndex: index });

        } else if (call.event !== "sync") {
            this.#calls.delete(index);

        } else if (call.cancelId !== null) {
            this.#calls.delete(index);
            this.#send("syncCancel", { cb: call.cancelId });
        }
    }


    /* Frames */

    #receive(text) {
        let frame;

        try {
            frame = JSON.parse(text);

        } catch {
            frame = null;
        }

        if (!Array.isArray(frame) || typeof frame[0] !== "string") {
            this.#lost(1007, "invalid frame");
            return;
        }

        const [event, ...args] = frame;
        const [data] = args;
        const meta = args.length > 1 ? args.at(-1) : undefined;
        const reply = REPLY.exec(event);

        if (reply !== null) {
            this.#answered(reply[1], Number(reply[2]), data);
            return;
        }

        if (event === "position" && isObject(data)) {

            /* of a message that was not for us */

            this.#advance(data);
            return;
        }

        if (event === "connected" && this.#openedAt === 0) {
            void this.#opened(data);
        }

        if (isObject(meta) && typeof meta.room === "string"
            && !this.#advance(meta))
        {
            return;
        }

        if (event === "gap") {
            this.#gap(data);
        }

        if (event === "sync") {
            this.#sync(data);
        }

        const listeners = this.#listeners.get(event);

        if (Number.isInteger(args.at(-1)?.ack) && listeners?.size) {
            void this.#acknowledge(args.at(-1).ack, listeners, args);
            return;
        }

        this.#emit(event, ...args);
    }

    /*
     * Who published asks for an answer: what the first listener returns, or
     * what that resolves to.  The others are only told.
     */
    async #acknowledge(id, listeners, args) {
        const socket = this.#socket;
        const [first, ...others] = listeners;
        let answer;

        try {
            const value = first(...args);

            notify(others, ...args);
            answer = await value;

        } catch (e) {
            report(e);
            return;
        }

        if (this.#socket === socket && this.#status === "connected") {
            this.#send("ack", { id, args: answer === undefined ? []
                                                               : [answer] });
        }
    }

    #answered(event, index, data) {
        const call = this.#calls.get(index);

        if (call === undefined) {
            return;
        }

        if (event === "apiStream") {
            if (call.onStream !== undefined) {
                notify([call.onStream], data);
            }

        } else if (event === "sync-progress") {
            if (isObject(data) && typeof data.__cancelId === "string") {
                call.cancelId = data.__cancelId;

                if (call.cancelled) {
                    this.#cancel(index, call);
                }

            } else if (call.onStream !== undefined) {
                notify([call.onStream], data);
            }

        } else if (event === call.event
                   || (event === "apiResponse"
                       && call.event === "apiRequest"))
        {
            const answer = { status: "success", ...data };

            this.#calls.delete(index);

            if (!call.cancelled) {
                call.onAnswer?.(answer);
                call.done(answer);
            }
        }
    }

    #gap(data) {
        const room = this.#rooms.get(data?.room);

        if (room !== undefined) {
            room.pos = typeof data.pos === "string" ? data.pos : null;
        }
    }

    #sync(frame) {
        if (!isObject(frame)) {
            return;
        }

        if (frame.status === "error") {
            if (frame.errorCode !== "sync.ignore") {
                this.#emit("error", frame);
            }

            return;
        }

        const routes = new Set(
            [frame.fullName, frame.cb]
                .filter((name) => typeof name === "string")
                .map(bareRoute));

        for (const route of routes) {
            if (frame.status === "stream") {
                this.#stream(route, frame);

            } else if (this.#callbacks.has(route)) {
                notify([this.#callbacks.get(route)], {
                    serverOutput: frame.serverOutput ?? {},
                    clientOutput: frame.clientOutput ?? {},
                    message: frame.message, status: "success"
                });
            }
        }
    }

    #stream(route, frame) {
        const stream = Object.fromEntries(
            Object.entries(frame).filter(
                ([key]) => !STREAM_ENVELOPE.has(key)));

        if (this.#streamCallbacks.has(route)) {
            notify([this.#streamCallbacks.get(route)], { stream });

        } else if (this.#callbacks.has(route)) {
            notify([this.#callbacks.get(route)], {
                serverOutput: {}, clientOutput: {}, stream, status: "stream"
            });
        }
    }

    #emit(event, ...args) {
        notify(this.#listeners.get(event) ?? [], ...args);
    }
}


const EVENT_DEFAULTS = {
    url: "/api/events",
    EventSource: null,          /* class; globalThis.EventSource */
    withCredentials: true,
    reconnectBase: 1000,        /* ms */
    reconnectCap: 20000         /* ms */
};

let defaultEventClient = null;

/*
 * The page's one event client, made at the first call, with that call's
 * options.
 */
export function getEventClient(options) {
    defaultEventClient ??= new EventClient(options);

    return defaultEventClient;
}


/*
 * Channels over one event stream.  The stream is opened for the channels of
 * connect() and of the subscriptions together, and opened again, after what
 * was seen last, when they change.
 */
export class EventClient {
    #options;
    #userId = null;
    #connected = false;             /* between connect() and disconnect() */
    #asked = new Set();             /* channels of connect() */
    #handlers = new Map();          /* channel -> Set of {event, fn} */
    #events = new Set();            /* names listened to on the source */
    #gapListeners = new Set();
    #statusListeners = new Set();
    #status = "closed";

    #source = null;
    #channels = [];                 /* of the source, in its URL's order */
    #positions = new Map();         /* channel -> position */
    #attempt = 0;
    #timer = null;
    #changed = false;

    constructor(options) {
        this.#options = { ...EVENT_DEFAULTS, ...options };
    }

    get status() {
        return this.#status;
    }

    /*
     * Adds channels for a user; another user's are let go of first.
     */
    connect(userId, channels = []) {
        if (this.#connected && userId !== this.#userId) {
            this.disconnect();
        }

        this.#userId = userId;
        this.#connected = true;
        this.#attempt = 0;
        channels.forEach((channel) => this.#asked.add(channel));
        this.#change();
    }

    /*
     * fn(data, {channel, event, timestamp}) is called for each message of a
     * channel; the channel may end in "*".  Returns what ends it.
     */
    subscribe(channel, fn, { event = "message" } = {}) {
        const handler = { event, fn };
        let set = this.#handlers.get(channel);

        if (set === undefined) {
            set = new Set();
            this.#handlers.set(channel, set);
        }

        set.add(handler);
        this.#change();

        return () => {
            set.delete(handler);

            if (set.size === 0 && this.#handlers.get(channel) === set) {
                this.#handlers.delete(channel);
                this.#change();
            }
        };
    }

    /*
     * fn({channel, reason}) is called when messages may have been missed.
     */
    onGap(fn) {
        this.#gapListeners.add(fn);

        return () => this.#gapListeners.delete(fn);
    }

    onStatus(fn) {
        this.#statusListeners.add(fn);

        return () => this.#statusListeners.delete(fn);
    }

    /*
     * Closes the stream; the subscriptions stay for the next connect().
     */
    disconnect() {
        this.#connected = false;
        this.#asked.clear();
        this.#positions.clear();
        this.#shut();
        this.#setStatus("closed");
    }

    /*
     * Several changes in one turn open one stream.
     */
    #change() {
        if (this.#changed) {
            return;
        }

        this.#changed = true;

        queueMicrotask(() => {
            this.#changed = false;

            if (this.#connected && this.#differs()) {
                this.#shut();
                this.#open();
            }
        });
    }

    #wanted() {
        return [...new Set([...this.#asked, ...this.#handlers.keys()])];
    }

    #differs() {
        const wanted = this.#wanted();
        const events = this.#wantedEvents();

        return this.#source === null
               || wanted.length !== this.#channels.length
               || wanted.some((name) => !this.#channels.includes(name))
               || events.some((name) => !this.#events.has(name));
    }

    #wantedEvents() {
        const events = new Set(["message", "gap"]);

        for (const set of this.#handlers.values()) {
            set.forEach((handler) => events.add(handler.event));
        }

        return [...events];
    }

    #url() {
        const url = new URL(this.#options.url, globalThis.location?.href);
        const positions = this.#channels.map(
            (name) => this.#positions.get(name) ?? "-");

        if (this.#userId != null) {
            url.searchParams.set("userId", this.#userId);
        }

        url.searchParams.set("channels", this.#channels.join(","));

        if (positions.some((pos) => pos !== "-")) {
            url.searchParams.set("lastEventId", positions.join(","));
        }

        return url.href;
    }

    #open() {
        const EventSource = this.#options.EventSource
                            ?? globalThis.EventSource;
        const { withCredentials } = this.#options;

        this.#channels = this.#wanted();
        this.#events = new Set(this.#wantedEvents());

        if (this.#channels.length === 0) {
            this.#setStatus("closed");
            return;
        }

        if (this.#status === "closed") {
            this.#setStatus("connecting");
        }

        const source = new EventSource(this.#url(), { withCredentials });

        this.#source = source;

        for (const name of this.#events) {
            source.addEventListener(name, (event) => this.#receive(event));
        }

        /* not when it opens: a stream may only say when to come back */

        source.onerror = () => this.#failed(source);
    }

    /*
     * EventSource retries a broken stream by itself; after a refusal it
     * gives up, and the next attempt is ours.
     */
    #failed(source) {
        this.#setStatus("reconnecting");

        if (source.readyState !== 2) {
            return;
        }

        const { reconnectBase, reconnectCap } = this.#options;

        this.#shut();
        this.#timer = setTimeout(
            () => this.#open(),
            jitter(this.#attempt++, reconnectBase, reconnectCap));
    }

    #shut() {
        clearTimeout(this.#timer);
        this.#timer = null;
        this.#source?.close();
        this.#source = null;
    }

    #setStatus(status) {
        if (this.#status !== status) {
            this.#status = status;
            notify(this.#statusListeners, status);
        }
    }

    #receive({ type, data, lastEventId }) {
        const message = parse(data);

        if (!isObject(message)) {
            return;
        }

        if (message.type === "connected" && message.channel === undefined) {
            this.#opened(message);
            return;
        }

        if (type === "gap") {
            this.#gap(message.data ?? message);
            return;
        }

        if (this.#advance(message.channel, lastEventId)
            || (type === "sync" && message.data?.status === "stream"
                && this.#isAt(message.channel, lastEventId)))
        {
            this.#deliver(type, message);
        }
    }

    #opened({ recovery = {} }) {
        this.#attempt = 0;
        this.#setStatus("connected");

        for (const [channel, { recovered, reason, pos }]
             of Object.entries(recovery))
        {
            if (recovered === false) {
                const had = this.#positions.has(channel);

                this.#place(channel, pos);

                if (had) {
                    notify(this.#gapListeners, { channel, reason });
                }
            }
        }
    }

    #gap({ room, reason, pos }) {
        this.#place(room, pos);
        notify(this.#gapListeners, { channel: room, reason });
    }

    #place(channel, pos) {
        if (typeof pos === "string") {
            this.#positions.set(channel, pos);

        } else {
            this.#positions.delete(channel);
        }
    }

    /*
     * The id of a message holds the positions of all channels of the URL, in
     * its order.
     */
    #advance(channel, id) {
        const at = this.#channels.indexOf(channel);
        const ids = typeof id === "string" ? id.split(",") : [];

        if (at === -1 || ids.length !== this.#channels.length) {
            return true;
        }

        const last = this.#positions.get(channel);

        if (!POSITION.test(ids[at])) {
            return true;
        }

        if (last !== undefined && comparePositions(ids[at], last) <= 0) {
            return false;
        }

        this.#positions.set(channel, ids[at]);

        return true;
    }

    /*
     * What the app said to this client of a message that is still to come has
     * no id of its own: it shows the one before it.
     */
    #isAt(channel, id) {
        return id.split(",")[this.#channels.indexOf(channel)]
            === this.#positions.get(channel);
    }

    #deliver(event, { channel, data, timestamp }) {
        for (const [name, set] of this.#handlers) {
            if (covers(name, channel) || covers(channel, name)) {
                const fns = [...set].filter((h) => h.event === event)
                                    .map((h) => h.fn);

                notify(fns, data, { channel, event, timestamp });
            }
        }
    }
}


const POSITION = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})\.[0-9a-f]{8}$/i;

/*
 * Negative, 0 or positive, by the LSN alone.  What is no position stands
 * before all that are.
 */
export function comparePositions(a, b) {
    const [x, y] = [a, b].map((pos) => {
        const m = POSITION.exec(pos);

        return m === null ? -1
               : parseInt(m[1], 16) * 2 ** 32 + parseInt(m[2], 16);
    });

    return x - y;
}


/*
 * Full jitter: anywhere between nothing and the whole step.
 */
function jitter(attempt, base, cap) {
    return Math.random() * Math.min(cap, base * 2 ** Math.min(attempt, 30));
}


/*
 * "board/moveCard", "v1" -> "board/moveCard/v1".  A name without a service
 * is one of the page's own: "moveCard" on /board is "board/moveCard".
 */
function routeOf(name, version = "v1") {
    let route = bareRoute(name);

    if (!route.includes("/")) {
        const page = globalThis.location?.pathname ?? "/";

        route = (bareRoute(page) || "system") + "/" + route;
    }

    return route + "/" + version;
}


function bareRoute(name) {
    return name.replace(/^\/+|\/+$/g, "").replace(/^(?:sync|api)\//, "");
}


function upsert(callbacks, request, fn) {
    const { name, version, callback } =
        typeof request === "string" ? { name: request, callback: fn }
                                    : request;
    const route = routeOf(name, version);

    callbacks.set(route, callback);

    return () => {
        if (callbacks.get(route) === callback) {
            callbacks.delete(route);
        }
    };
}


/*
 * A close by policy is the server's word to stay away, but for a page that
 * was asleep and did not read: it is awake now.
 */
function unwelcome(code, reason) {
    return code === 1008 && reason !== "too slow";
}


/*
 * Refusals of a room that may not be the last word: the server is short of
 * something, or nobody answered for the application.
 */
function passing({ errorCode, httpStatus }) {
    return httpStatus >= 500 || errorCode === "room.joinBlocked";
}


function settle(room, answer) {
    room.waiting.splice(0).forEach((resolve) => resolve(answer));
}


function failure(errorCode, httpStatus = 400) {
    return { status: "error", message: errorCode, errorCode, httpStatus };
}


function checkPolicy(policy) {
    if (!POLICIES.includes(policy)) {
        throw new TypeError("sync: offlineDropPolicy \"" + policy
                            + "\" is none of " + POLICIES.join(", "));
    }
}


function socketURL(url) {
    const absolute = new URL(url, globalThis.location?.href);

    absolute.protocol = absolute.protocol.replace("http", "ws");

    return absolute.href;
}


function covers(pattern, name) {
    return pattern === name
           || (pattern.endsWith("*") && name.startsWith(pattern.slice(0, -1)));
}


function listen(target, event, fn) {
    if (typeof target?.addEventListener !== "function") {
        return () => {};
    }

    target.addEventListener(event, fn);

    return () => target.removeEventListener(event, fn);
}


function isObject(value) {
    return typeof value === "object" && value !== null
           && !Array.isArray(value);
}


function parse(text) {
    try {
        return JSON.parse(text);

    } catch {
        return null;
    }
}


/*
 * One listener's fault is not the others': it is thrown where no one stands.
 */
function notify(fns, ...args) {
    for (const fn of [...fns]) {
        try {
            fn(...args);

        } catch (e) {
            report(e);
        }
    }
}


function report(e) {
    queueMicrotask(() => {
        throw e;
    });
}
