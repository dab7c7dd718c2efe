// Copyright (C) sync for nginx

// Clients of socket.io-client that say who they are, each in its way.
//
//     node session.mjs url '{"name":{"transports":[...],"auth":{...}}, ...}'
//
// An option "late" has a client wait for ["name","connect"].  What is read, a
// line ["name",event,argument], is emitted; what a client hears is printed, a
// line ["name",event,arguments].  "connect" and "transport" are heard as well.

import { createInterface } from 'node:readline';
import { io } from 'socket.io-client';

const [url, options] = process.argv.slice(2);
const clients = {};

const say = (...line) => console.log(JSON.stringify(line));

for (const [name, { late, ...rest }] of Object.entries(JSON.parse(options))) {
	const socket = io(url, { forceNew: true, autoConnect: !late, ...rest });

	socket.on('connect', () => {
		say(name, 'connect', []);

		// the first packet of all

		socket.emit('getJoinedRooms', { responseIndex: 0 });
	});
	socket.io.on('open', () => socket.io.engine.on('upgrade', (transport) =>
		say(name, 'transport', [transport.name])));
	socket.on('connect_error', (e) => say(name, 'error', [e.message, e.data]));
	socket.onAny((event, ...args) => say(name, event, args));

	clients[name] = socket;
}

for await (const line of createInterface({ input: process.stdin })) {
	const [name, event, argument] = JSON.parse(line);

	if (event === 'connect') {
		clients[name].connect();
	} else {
		clients[name].emit(event, argument);
	}
}

Object.values(clients).forEach((socket) => socket.disconnect());
