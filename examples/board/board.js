
/*
 * Copyright (C) sync for nginx
 */


/*
 * The board's page.  What is shown is what the backend said last: a change
 * made here shows at once, goes out as a sync request, and comes back to
 * everybody, this page among them, as a message of its route.
 */


import { connect } from "/sync.js";


const ROOM = "board:main";
const HUES = [28, 65, 110, 150, 205, 265, 305, 340];
const CURSOR_EVERY = 50;        /* ms between two messages */
const CURSOR_IDLE = 10000;      /* ms until a cursor that rests is hidden */
const CURSOR_SETTLE = 70;       /* ms, time constant of its motion */
const RETRY = 2000;             /* ms */

const NAMES = [
    ["Calm", "Brisk", "Sunny", "Quiet", "Bold", "Kind", "Swift", "Merry"],
    ["Heron", "Otter", "Lynx", "Finch", "Badger", "Hare", "Seal", "Wren"]
];

const $ = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const client = connect({ url: "/ws" });

const me = {
    name: sessionStorage.name ?? NAMES.map(pick).join(" "),
    hue: Number(sessionStorage.hue ?? pick(HUES))
};


function pick(list) {
    return list[Math.floor(Math.random() * list.length)];
}


/* The board's state, and messages about it */

let epoch = null;
let loading = false;

const cards = new Map();        /* id -> {id, text, hue, rev} */
const lanes = new Map();        /* id -> {id, title, ids, rev, node, list} */
const nodes = new Map();        /* card id -> element */


/*
 * A snapshot and a message are the same: lanes and cards as of a number.
 * What is known as of a later one stays.
 */
function apply({ rev, lanes: orders, cards: changed }) {
    for (const card of changed) {
        if (!(cards.get(card.id)?.rev > card.rev)) {
            cards.set(card.id, card);
        }
    }

    for (const [id, ids] of Object.entries(orders)) {
        const lane = lanes.get(id);

        if (rev >= lane.rev) {
            lane.rev = rev;
            lane.ids = ids;
        }
    }
}


async function load() {
    if (loading) {
        return;
    }

    loading = true;

    try {
        const response = await fetch("/board", { cache: "no-store" });

        if (!response.ok) {
            throw new Error("status " + response.status);
        }

        show(await response.json());

    } catch {
        if (epoch === null) {
            showFailure();
        }

        setTimeout(load, RETRY);

    } finally {
        loading = false;
    }
}


function show(board) {
    if (board.epoch !== epoch) {
        epoch = board.epoch;
        cards.clear();
        lanes.clear();
        nodes.clear();
        $("board").replaceChildren(...board.lanes.map(makeLane));
        $("board").removeAttribute("aria-busy");
    }

    apply({
        rev: board.rev, cards: board.cards,
        lanes: Object.fromEntries(board.lanes.map((l) => [l.id, l.cards]))
    });
    render();
}


function showFailure() {
    const box = document.createElement("p");

    box.className = "failed";
    box.innerHTML = "<strong>The board does not answer</strong>"
                    + "Its backend may be starting. This page keeps trying.";
    $("board").replaceChildren(box);
}


for (const route of ["moveCard", "addCard", "editCard", "removeCard"]) {
    client.upsertSyncEventCallback({
        name: "board/" + route, version: "v1",
        callback: ({ serverOutput }) => changed(route, serverOutput)
    });
}


function changed(route, output) {
    if (epoch === null || output.epoch !== epoch) {
        void load();
        return;
    }

    apply(output);
    render();

    if (output.clientId !== client.clientId) {
        flash(output.cardId, guests.get(output.clientId));
        announce(route, output);
    }
}


function announce(route, { cardId, clientId }) {
    const verb = {
        moveCard: "moved", addCard: "added", editCard: "changed",
        removeCard: "removed"
    }[route];

    $("said").textContent = (guests.get(clientId)?.name ?? "Somebody") + " "
                            + verb + " "
                            + (cards.get(cardId)?.text ?? "a card");
}


/* Requests */

let waiting = 0;

async function send(route, data) {
    waiting++;
    showLink();

    const answer = await client.syncRequest({
        name: "board/" + route, version: "v1", data, receiver: ROOM
    });

    waiting--;
    showLink();

    if (answer.status === "error") {
        toast("That did not reach the board (" + answer.errorCode + ")");
        void load();
    }
}


async function enter() {
    const joined = await client.joinRoom(ROOM);

    if (joined.status === "error") {
        toast("The board does not let us in (" + joined.errorCode + ")");
        setTimeout(enter, RETRY);
        return;
    }

    arrive();
}


function arrive() {
    void hello();
    void load();
}


function hello() {
    return client.syncRequest({
        name: "board/hello", version: "v1", data: me, receiver: ROOM
    });
}


client.on("gap", arrive);
client.on("refused", ({ errorCode }) => {
    toast("The board does not let us in (" + errorCode + ")");
});


/* Drawing */

function makeLane({ id, title }) {
    const node = $("lane").content.firstElementChild.cloneNode(true);
    const form = node.querySelector(".composer");

    node.dataset.lane = id;
    node.querySelector("h2").textContent = title;
    lanes.set(id, {
        id, title, ids: [], rev: -1, node,
        list: node.querySelector(".cards")
    });

    writable(form, {
        save: (text) => send("addCard", { lane: id, text, hue: me.hue }),
        close: () => form.classList.remove("writing")
    });

    form.querySelector(".open").addEventListener("click", () => {
        form.classList.add("writing");
        form.querySelector("textarea").focus();
    });

    return node;
}


function makeCard(id) {
    const node = $("card").content.firstElementChild.cloneNode(true);

    node.dataset.card = id;
    node.addEventListener("dblclick", () => edit(node));
    node.querySelector(".edit").addEventListener("click", () => edit(node));
    node.addEventListener("keydown", (event) => keyed(event, node));
    node.addEventListener("pointerdown", (event) => press(event, node));
    nodes.set(id, node);

    return node;
}


/*
 * Brings the elements in line with the state; what changes its place glides
 * there.
 */
function render() {
    const before = places();

    for (const [id, node] of nodes) {
        if (![...lanes.values()].some((lane) => lane.ids.includes(id))) {
            dropCard(id, node);
        }
    }

    for (const { ids, list, node } of lanes.values()) {
        const wanted = ids.filter((id) => cards.has(id) && id !== drag?.id)
                          .map(draw);

        if (drag?.list === list) {
            wanted.splice(drag.index, 0, drag.node);
        }

        wanted.forEach((card, at) => {
            if (list.children[at] !== card) {
                list.insertBefore(card, list.children[at] ?? null);
            }
        });

        node.querySelector(".size").textContent = wanted.length || "";
    }

    glide(before);
}


function draw(id) {
    const { text, hue } = cards.get(id);
    const node = nodes.get(id) ?? makeCard(id);
    const p = node.querySelector("p");

    if (p.textContent !== text) {
        p.textContent = text;
    }

    node.style.setProperty("--hue", hue);

    return node;
}


function dropCard(id, node) {
    if (drag?.id === id) {
        drag.end(false);
    }

    node.remove();
    nodes.delete(id);
    cards.delete(id);
}


function places() {
    return new Map([...nodes.values()].filter((node) => node.isConnected).map(
        (node) => [node, node.getBoundingClientRect()]));
}


function glide(before) {
    if (calm.matches) {
        return;
    }

    for (const node of nodes.values()) {
        const from = before.get(node);
        const to = node.getBoundingClientRect();

        if (from === undefined) {
            node.animate([{ opacity: 0, transform: "scale(.94)" }, {}],
                         { duration: 260, easing: "ease-out" });

        } else if (from.left !== to.left || from.top !== to.top) {
            node.animate([{
                transform: `translate(${from.left - to.left}px,`
                           + ` ${from.top - to.top}px)`
            }, { transform: "none" }], {
                duration: 320, easing: "cubic-bezier(.2, .8, .2, 1)"
            });
        }
    }
}


function flash(id, guest) {
    nodes.get(id)?.animate([
        { boxShadow: `0 0 0 3px ${tint(guest?.hue ?? 265)}` }, {}
    ], { duration: 1400, easing: "ease-out" });
}


function tint(hue) {
    return `oklch(var(--tag-l) var(--tag-c) ${hue})`;
}


/* Writing */

function writable(form, { save, close }) {
    const area = form.querySelector("textarea");

    function done() {
        area.value = "";
        close();
    }

    function submit() {
        const text = area.value.trim();

        done();

        if (text !== "") {
            void save(text);
        }
    }

    form.addEventListener("submit", (event) => {
        event.preventDefault();
        submit();
    });

    form.querySelector(".cancel").addEventListener("click", done);

    area.addEventListener("keydown", (event) => {
        event.stopPropagation();

        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            submit();

        } else if (event.key === "Escape") {
            done();
        }
    });
}


function edit(node) {
    if (node.classList.contains("editing")) {
        return;
    }

    const id = node.dataset.card;
    const { text } = cards.get(id);
    const form = $("editor").content.firstElementChild.cloneNode(true);
    const area = form.querySelector("textarea");

    function close() {
        form.remove();
        node.classList.remove("editing");
        node.focus();
    }

    writable(form, {
        close,
        save: (value) => {
            if (value !== text && cards.has(id)) {
                cards.set(id, { ...cards.get(id), text: value });
                render();

                return send("editCard", { cardId: id, text: value });
            }
        }
    });

    form.querySelector(".remove").addEventListener("click", () => {
        close();
        remove(id);
    });

    area.value = text;
    node.append(form);
    node.classList.add("editing");
    area.focus();
}


function remove(id) {
    const lane = laneOf(id);

    lane.ids = lane.ids.filter((other) => other !== id);
    render();
    void send("removeCard", { cardId: id });
}


function laneOf(id) {
    return [...lanes.values()].find((lane) => lane.ids.includes(id));
}


/* Moving */

function move(id, toLane, index) {
    const from = laneOf(id);
    const to = lanes.get(toLane);

    if (from === to && from.ids.indexOf(id) === index) {
        return;
    }

    from.ids = from.ids.filter((other) => other !== id);
    to.ids = to.ids.toSpliced(index, 0, id);
    render();
    void send("moveCard", { cardId: id, toLane, index });
}


function keyed(event, node) {
    const id = node.dataset.card;

    if (event.target !== node) {
        return;
    }

    if (event.key === "Enter") {
        event.preventDefault();
        edit(node);

    } else if (event.key === "Delete") {
        remove(id);

    } else if (event.altKey && event.key.startsWith("Arrow")) {
        event.preventDefault();
        step(id, event.key);
        node.focus();
    }
}


function step(id, key) {
    const lane = laneOf(id);
    const at = lane.ids.indexOf(id);
    const order = [...lanes.keys()];
    const side = order.indexOf(lane.id)
                 + { ArrowLeft: -1, ArrowRight: 1 }[key];
    const index = at + { ArrowUp: -1, ArrowDown: 1 }[key];

    if (order[side] !== undefined) {
        move(id, order[side], Math.min(at, lanes.get(order[side]).ids.length));

    } else if (index >= 0 && index < lane.ids.length) {
        move(id, lane.id, index);
    }
}


/*
 * The card that is dragged stays in its list as a slot, which moves to where
 * the card would fall; a copy of it flies with the pointer.  A mouse drags at
 * once, a finger after it rested, so that lists can be scrolled.
 */
let drag = null;

function press(event, node) {
    if (drag !== null || event.button !== 0
        || node.classList.contains("editing")
        || event.target.closest("button") !== null)
    {
        return;
    }

    const touch = event.pointerType === "touch";
    const timer = touch ? setTimeout(begin, 220) : null;
    const stop = new AbortController();
    const { signal } = stop;

    function begin() {
        stop.abort();
        startDrag(event, node);
    }

    function giveUp() {
        clearTimeout(timer);
        stop.abort();
    }

    addEventListener("pointermove", (moved) => {
        const far = Math.hypot(moved.clientX - event.clientX,
                               moved.clientY - event.clientY);

        if (far > (touch ? 10 : 4)) {
            touch ? giveUp() : begin();
        }
    }, { signal });

    addEventListener("pointerup", giveUp, { signal });
    addEventListener("pointercancel", giveUp, { signal });
}


function startDrag({ clientX, clientY, pointerId }, node) {
    const box = node.getBoundingClientRect();
    const copy = node.cloneNode(true);
    const stop = new AbortController();
    const { signal } = stop;
    const id = node.dataset.card;
    const lane = laneOf(id);

    copy.classList.add("flying");
    copy.style.width = box.width + "px";
    copy.style.left = box.left + "px";
    copy.style.top = box.top + "px";
    document.body.append(copy);
    document.documentElement.classList.add("dragging");
    node.classList.add("slot");
    getSelection().removeAllRanges();

    drag = {
        id, node, copy, lane, list: lane.list, index: lane.ids.indexOf(id),
        x: clientX, y: clientY, startX: clientX, startY: clientY,

        end(dropped) {
            const { lane: target, index } = drag;

            stop.abort();
            drag = null;
            document.documentElement.classList.remove("dragging");
            target.node.classList.remove("target");
            land(copy, node);

            if (dropped) {
                move(id, target.id, index);

            } else {
                render();
            }

            point({ clientX: pointer.x, clientY: pointer.y });
        }
    };

    const mine = (fn) => (event) => {
        if (event.pointerId === pointerId) {
            fn(event);
        }
    };

    addEventListener("pointermove", mine((event) => {
        drag.x = event.clientX;
        drag.y = event.clientY;
    }), { signal });
    addEventListener("pointerup", mine(() => drag.end(true)), { signal });
    addEventListener("pointercancel", mine(() => drag.end(false)), { signal });
    addEventListener("touchmove", (event) => event.preventDefault(),
                     { signal, passive: false });
    addEventListener("contextmenu", (event) => event.preventDefault(),
                     { signal });
    addEventListener("keydown", (event) => {
        if (event.key === "Escape") {
            drag.end(false);
        }
    }, { signal });

    requestAnimationFrame(fly);
}


function fly() {
    if (drag === null) {
        return;
    }

    const { copy, x, y, startX, startY, node } = drag;

    copy.style.transform = `translate(${x - startX}px, ${y - startY}px)`
                           + " rotate(1.6deg)";

    creep($("board"), "scrollLeft", x, "left", "right");
    aim(x, y);
    creep(node.parentElement, "scrollTop", y, "top", "bottom");

    requestAnimationFrame(fly);
}


/*
 * Scrolls what ends under the pointer.
 */
function creep(node, property, at, near, far) {
    const box = node.getBoundingClientRect();

    if (at < box[near] + 40) {
        node[property] -= 8;

    } else if (at > box[far] - 40) {
        node[property] += 8;
    }
}


function aim(x, y) {
    const lane = [...lanes.values()].find((candidate) => {
        const box = candidate.node.getBoundingClientRect();

        return x >= box.left - 8 && x < box.right + 8;
    });

    if (lane === undefined) {
        return;
    }

    const others = [...lane.list.children].filter((n) => n !== drag.node);
    const below = others.findIndex((other) => {
        const box = other.getBoundingClientRect();

        return y < box.top + box.height / 2;
    });
    const index = below === -1 ? others.length : below;

    if (lane !== drag.lane || index !== drag.index) {
        drag.lane.node.classList.remove("target");
        lane.node.classList.add("target");
        drag.lane = lane;
        drag.list = lane.list;
        drag.index = index;
        render();
    }
}


function land(copy, node) {
    const from = copy.getBoundingClientRect();

    copy.style.transform = "";
    node.classList.remove("slot");

    if (calm.matches || !node.isConnected) {
        copy.remove();
        return;
    }

    const to = node.getBoundingClientRect();
    const base = copy.getBoundingClientRect();

    node.style.visibility = "hidden";

    copy.animate([
        { transform: `translate(${from.left - base.left}px,`
                     + ` ${from.top - base.top}px) rotate(1.6deg)` },
        { transform: `translate(${to.left - base.left}px,`
                     + ` ${to.top - base.top}px)` }
    ], { duration: 180, easing: "cubic-bezier(.2, .8, .2, 1)" })
        .onfinish = () => {
            node.style.visibility = "";
            copy.remove();
        };
}


/* The others */

const guests = new Map();       /* clientId -> {id, name, hue} */
const cursors = new Map();      /* clientId -> cursor */

client.on("here", ({ count, guests: list }) => {
    guests.clear();
    list.forEach((guest) => guests.set(guest.id, guest));
    showHere(count);

    for (const [id, cursor] of cursors) {
        if (!guests.has(id)) {
            hold(cursor, null);
            cursor.node.remove();
            cursors.delete(id);
        }
    }
});


function showHere(count) {
    const others = [...guests.values()].filter(
        (guest) => guest.id !== client.clientId);
    const faces = others.slice(0, 5).map(({ name, hue }) => {
        const face = document.createElement("li");

        face.textContent = initials(name);
        face.title = name;
        face.style.setProperty("--hue", hue);

        return face;
    });

    if (others.length > 5) {
        const more = document.createElement("li");

        more.className = "more";
        more.textContent = "+" + (others.length - 5);
        faces.push(more);
    }

    $("faces").replaceChildren(...faces);
    $("count").dataset.count = count;
    $("count").textContent = count === 1 ? "Only you" : count + " here";
    $("alone").hidden = count !== 1;
}


function initials(name) {
    return name.split(/\s+/).slice(0, 2).map((w) => [...w][0] ?? "").join("")
               .toUpperCase();
}


/*
 * A cursor is told by lane, as a share of its width and in pixels from the
 * top of its list: so it points at the same card in a window of any size.
 * Outside the lanes it is a share of the window.
 */
const pointer = { x: 0, y: 0 };
let sentAt = 0;
let sendTimer = null;

function point({ clientX, clientY }) {
    pointer.x = clientX;
    pointer.y = clientY;

    sendTimer ??= setTimeout(() => {
        sendTimer = null;
        sentAt = performance.now();
        void sendCursor(locate(pointer));
    }, Math.max(0, sentAt + CURSOR_EVERY - performance.now()));
}


function locate({ x, y }) {
    const holding = drag?.id ?? null;

    for (const { id, node, list } of lanes.values()) {
        const box = node.getBoundingClientRect();

        if (x >= box.left && x < box.right && y >= box.top && y < box.bottom) {
            return {
                lane: id, x: (x - box.left) / box.width, holding,
                y: y - list.getBoundingClientRect().top + list.scrollTop
            };
        }
    }

    return { lane: null, x: x / innerWidth, y: y / innerHeight, holding };
}


async function sendCursor(data) {
    if (guests.size < 2) {
        return;
    }

    const answer = await client.syncRequest({
        name: "board/cursor", version: "v1", data, receiver: ROOM,
        volatile: true
    });

    if (answer.errorCode === "board.unknownGuest") {
        await hello();
    }
}


addEventListener("pointermove", point);
document.documentElement.addEventListener("pointerleave", () => {
    clearTimeout(sendTimer);
    sendTimer = null;
    void sendCursor({ gone: true });
});


client.upsertSyncEventCallback({
    name: "board/cursor", version: "v1",
    callback: ({ serverOutput }) => {
        const { clientId, gone } = serverOutput;
        const guest = guests.get(clientId);

        if (clientId === client.clientId || guest === undefined) {
            return;
        }

        const cursor = cursors.get(clientId) ?? makeCursor(guest);

        cursor.guest = guest;
        cursor.at = gone ? cursor.at : serverOutput;
        cursor.until = gone ? 0 : performance.now() + CURSOR_IDLE;
        hold(cursor, serverOutput.holding ?? null);
        wake();
    }
});


function makeCursor(guest) {
    const node = $("cursor").content.firstElementChild.cloneNode(true);
    const cursor = {
        node, guest, at: null, until: 0, x: null, y: null, holding: null
    };

    $("cursors").append(node);
    cursors.set(guest.id, cursor);

    return cursor;
}


/*
 * Marks the card that somebody else drags.
 */
function hold(cursor, id) {
    const { guest } = cursor;

    if (cursor.holding !== null && cursor.holding !== id) {
        nodes.get(cursor.holding)?.classList.remove("held");
    }

    cursor.holding = id;

    const node = nodes.get(id);

    if (node !== undefined) {
        node.dataset.holder = guest.name;
        node.style.setProperty("--holder", tint(guest.hue));
        node.classList.add("held");
    }
}


let awake = false;
let frameAt = 0;

function wake() {
    if (!awake) {
        awake = true;
        frameAt = performance.now();
        requestAnimationFrame(follow);
    }
}


/*
 * Each frame every cursor goes a part of its way, the same in the same time
 * at any frame rate.
 */
function follow(now) {
    const part = calm.matches
                 ? 1 : 1 - Math.exp(-Math.max(0, now - frameAt)
                                    / CURSOR_SETTLE);

    frameAt = now;
    awake = false;

    for (const cursor of cursors.values()) {
        const { node, guest, at, until } = cursor;
        const seen = now < until && at !== null;

        node.classList.toggle("seen", seen);

        if (!seen) {
            cursor.x = null;
            hold(cursor, null);
            continue;
        }

        const { x, y } = target(at);
        const first = cursor.x === null;

        awake = true;
        cursor.x = first ? x : cursor.x + (x - cursor.x) * part;
        cursor.y = first ? y : cursor.y + (y - cursor.y) * part;
        node.style.transform = `translate(${cursor.x}px, ${cursor.y}px)`;
        node.style.setProperty("--hue", guest.hue);
        node.lastElementChild.textContent = guest.name;
    }

    if (awake) {
        requestAnimationFrame(follow);
    }
}


function target({ lane, x, y }) {
    if (!lanes.has(lane)) {
        return { x: x * innerWidth, y: y * innerHeight };
    }

    const { node, list } = lanes.get(lane);
    const box = node.getBoundingClientRect();
    const down = list.getBoundingClientRect().top + y - list.scrollTop;

    return {
        x: box.left + x * box.width,
        y: Math.min(Math.max(down, box.top), box.bottom)
    };
}


/* The link, and what has to be said */

let retryAt = 0;
let linkTimer = null;

client.onStatus((status, { delay }) => {
    retryAt = delay === undefined ? 0 : performance.now() + delay;
    showLink();
});


function showLink() {
    const left = Math.ceil((retryAt - performance.now()) / 1000);
    const kept = waiting === 0 ? ""
                 : waiting === 1 ? ", 1 change waits"
                 : ", " + waiting + " changes wait";
    const texts = {
        connecting: "Connecting",
        connected: "Live",
        reconnecting: (left > 1 ? "Reconnecting in " + left + " s"
                                : "Reconnecting") + kept,
        closed: "Disconnected"
    };

    $("link").dataset.status = client.status;
    $("link-text").textContent = texts[client.status];
    clearTimeout(linkTimer);

    if (client.status === "reconnecting" && left > 0) {
        linkTimer = setTimeout(showLink, 500);
    }
}


let toastTimer = null;

function toast(text) {
    $("toast").textContent = text;
    $("toast").classList.add("shown");
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => $("toast").classList.remove("shown"), 4000);
}


$("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(location.href);
    toast("Copied. Paste it into a second window.");
});


/* Who I am */

function showMe() {
    sessionStorage.name = me.name;
    sessionStorage.hue = me.hue;
    $("me").textContent = initials(me.name);
    $("me").title = me.name;
    $("me").style.setProperty("--hue", me.hue);

    for (const button of $("hues").children) {
        button.ariaPressed = String(Number(button.dataset.hue) === me.hue);
    }
}


$("hues").replaceChildren(...HUES.map((hue, i) => {
    const button = document.createElement("button");

    button.type = "button";
    button.dataset.hue = hue;
    button.ariaLabel = "Colour " + (i + 1);
    button.style.setProperty("--hue", hue);
    button.addEventListener("click", () => {
        me.hue = hue;
        showMe();
        void hello();
    });

    return button;
}));

$("profile").addEventListener("submit", (event) => {
    event.preventDefault();
    $("profile").hidePopover();
});

$("name").addEventListener("change", () => {
    me.name = $("name").value.trim() || me.name;
    $("name").value = me.name;
    showMe();
    void hello();
});

$("name").value = me.name;
showMe();
showLink();
void enter();
