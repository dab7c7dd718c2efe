// Copyright (C) sync for nginx

// A session of socket.io-client with one namespace or several.
//
//     node namespace.mjs url transports namespace ...
//
// The first one joins a room "n", and hears what it says to itself there.
// Prints {"errors": [...], "rooms", "heard"}.

import { Manager } from 'socket.io-client';

const [url, transports, ...namespaces] = process.argv.slice(2);

const manager = new Manager(url, { transports: transports.split(',') });
const errors = [];
let rooms;
const heard = [];

const settled = (socket) => new Promise((resolve) => {
	socket.once('connect', resolve);
	socket.once('connect_error', (error) => {
		errors.push(error.message);
		resolve();
	});
});

const sockets = [];

for (const name of namespaces) {
	const socket = manager.socket(name);

	sockets.push(socket);
	await settled(socket);
}

if (sockets[0].connected) {
	const socket = sockets[0].timeout(60000);

	rooms = await socket.emitWithAck('joinRoom', { group: 'n' });

	const message = new Promise((resolve) => sockets[0].once('sync', resolve));

	await socket.emitWithAck('sync', { name: 'sync/a/b/v1', cb: 'x',
		receiver: 'n', data: {} });
	heard.push((await message).cb === 'sync/a/b/v1' ? 'x' : 'other');
}

console.log(JSON.stringify({ errors, rooms, heard }));
manager._close();
