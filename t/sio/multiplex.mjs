// Copyright (C) sync for nginx

// Several namespaces over one session of socket.io-client.
//
//     node multiplex.mjs url transports rounds
//
// "/no" is refused.  The others say something to a room that all of them are
// in, round by round, through the upgrade if there is one; then "/a" goes, and
// comes back.  Prints what each of them heard, and more.

import { Manager } from 'socket.io-client';

const [url, transports, rounds] = process.argv.slice(2);

const manager = new Manager(url, { transports: transports.split(','),
	reconnection: false });
const names = ['/', '/a', '/b'];
const told = { errors: {}, heard: {}, answers: 0, left: [] };

const open = (name) => new Promise((resolve) => {
	const socket = manager.socket(name, { auth: { who: name } });

	socket.once('connect', () => resolve(socket));
	socket.once('connect_error', (error) => {
		told.errors[name] = error.message;
		resolve(socket);
	});
});

const [no, ...sockets] = await Promise.all(['/no', ...names].map(open));

told.refused = !no.connected;
told.ids = new Set(sockets.map((socket) => socket.id)).size;

sockets.forEach((socket, i) => {
	told.heard[names[i]] = [];
	socket.on('sync', (m) => told.heard[names[i]].push(
		m.fullName.split('/').slice(2, 4).join('')));
	socket.on('disconnect', () => told.left.push(names[i]));
});

const ask = (socket, ...args) => socket.timeout(60000).emitWithAck(...args);

for (const socket of sockets) {
	await ask(socket, 'joinRoom', { group: 'm' });
}

const say = (socket, i, n) => ask(socket, 'sync', { cb: 'x',
	name: `sync/s/${'abc'[i]}/${n}/v1`, receiver: 'm', data: {} });

const round = async (n) => {
	const answers = await Promise.all(sockets.filter((s) => s.connected)
		.map((socket) => say(socket, sockets.indexOf(socket), n)));

	told.answers += answers.filter((a) => a.status === 'success').length;
};

// an answer comes before its message

const hears = async (name, n) => {
	for (let i = 0; i < 5000 && told.heard[name].length < n; i++) {
		await ask(sockets[0], 'getJoinedRooms', {});
	}
};

for (let n = 0; n < rounds; n++) {
	await round(n);
}

await hears('/a', 3 * rounds);

// until it was upgraded, which the messages went through

while (transports.includes(',')
	&& manager.engine.transport.name !== 'websocket') {
	await ask(sockets[0], 'getJoinedRooms', {});
}

sockets[1].disconnect();
await round('left');
await hears('/', 3 * rounds + 2);
await hears('/b', 3 * rounds + 2);

sockets[1].connect();
await new Promise((resolve) => sockets[1].once('connect', resolve));
told.again = await ask(sockets[1], 'getJoinedRooms', {});
told.rooms = await ask(sockets[2], 'getJoinedRooms', {});
told.transport = manager.engine.transport.name;
told.closed = told.left.join();

// who goes takes all along

manager._close();

console.log(JSON.stringify(told));
