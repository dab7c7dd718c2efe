
/*
 * Copyright (C) sync for nginx
 */

/*
 * Presence with socket.io-client as it comes from npm, as LuckyStack's pages
 * use it: one hides its page, is seen again, and leaves; the other hears it.
 *
 *     node presence.mjs URL TRANSPORTS
 */

import { io } from 'socket.io-client';

const [url, transports] = process.argv.slice(2);

const connect = (token) => io(url, { auth: { token }, forceNew: true,
    transports: transports.split(','), reconnectionDelay: 50 });

const once = (socket, event) => new Promise((resolve) => {
    socket.once(event, resolve);
});

const join = async (socket) => {
    const joined = once(socket, 'joinRoom-1');
    socket.emit('joinRoom', { group: 'r', responseIndex: 1 });
    await joined;
};

const heard = [];
const peer = connect('t1');

for (const event of ['userAfk', 'userBack', 'userLeft']) {
    peer.on(event, (data) => heard.push([event, data]));
}

await once(peer, 'connect');
await join(peer);

const socket = connect('t2');

await once(socket, 'connect');
await join(socket);

/* hidden */

const before = Date.now();
const away = once(peer, 'userAfk');
const let_go = once(socket, 'disconnect');

socket.emit('intentionalDisconnect');

const reason = await let_go;
const end = (await away).endTime - before;

/* seen: what it says is buffered till it is connected */

const back = once(peer, 'userBack');

socket.connect();
socket.emit('intentionalReconnect');
await back;

/* its connection breaks, and it comes back by itself */

const again = once(peer, 'userBack');

const connected = once(socket, 'connect');

socket.io.engine.close();
await again;
await connected;

/* it leaves */

const left = once(peer, 'userLeft');

socket.disconnect();
await left;

console.log(JSON.stringify({ reason, end, heard: heard.map(([event, data]) =>
    [event, data.userId]) }));

process.exit(0);
