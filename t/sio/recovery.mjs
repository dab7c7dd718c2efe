// Copyright (C) sync for nginx

// Clients of socket.io-client whose connection breaks, and who come back.
//
//     node recovery.mjs url transports clients
//
// Each is in two recoverable rooms, to which messages are published all the
// time, and breaks its connection several times.  It must come back as who it
// was, have heard everything once, and in order.  Then it joins a volatile room,
// breaks once more, and must come back as somebody else.  Prints {"recovered",
// "fresh", "heard", "faults": [...]}.

import { io } from 'socket.io-client';

const [url, transports, number] = process.argv.slice(2);

const BREAKS = 4;
const faults = [];
const fault = (text) => faults.length < 20 && faults.push(text);
const sum = { recovered: 0, fresh: 0, heard: 0 };
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

const post = async (op, body) => (await fetch(`${url}/control/${op}`, {
	method: 'POST', headers: { 'Content-Type': 'application/json' },
	body: JSON.stringify(body) })).json();

const once = (socket, event) => new Promise((done, failed) => {
	const timer = setTimeout(() => failed(new Error(`no ${event}`)), 30000);

	socket.once(event, (value) => {
		clearTimeout(timer);
		done(value);
	});
});

const call = async (socket, event, arg) => {
	call.index = (call.index ?? 0) + 1;

	const answer = once(socket, `${event}-${call.index}`);

	socket.emit(event, { ...arg, responseIndex: call.index });
	return answer;
};

// A client that is closed while it upgrades forgets positions that it has got.

const breaks = async (socket) => {
	while (socket.io.engine.upgrading) {
		await pause(5);
	}

	socket.io.engine.close();
	await once(socket, 'connect');
};

async function client(n) {
	const rooms = [`doc:${transports}:${n}:a`, `doc:${transports}:${n}:b`];
	const heard = new Map(rooms.map((room) => [room, []]));
	const said = new Map(rooms.map((room) => [room, 0]));
	let over = false;

	const socket = io(url, {
		transports: transports.split(','),
		reconnectionDelay: 20,
		reconnectionDelayMax: 50,
		forceNew: true,
	});

	socket.on('said', (value, { room }) => {
		heard.get(room)?.push(value);
		sum.heard++;
	});

	await once(socket, 'connect');

	for (const group of rooms) {
		await call(socket, 'joinRoom', { group });
	}

	const publisher = (async () => {
		while (!over) {
			for (const room of rooms) {
				const value = said.get(room) + 1;

				said.set(room, value);
				await post('publish', { room, event: 'said', data: value });
			}

			await pause(5);
		}
	})();

	for (let i = 0; i < BREAKS; i++) {
		const { id } = socket;

		await pause(30 + 20 * n);

		await breaks(socket);

		if (socket.recovered && socket.id === id) {
			sum.recovered++;

		} else {
			fault(`client ${n}: not recovered, ${i}`);
		}
	}

	over = true;
	await publisher;

	for (let i = 0; i < 300; i++) {
		if (rooms.every((room) => heard.get(room).length >= said.get(room))) {
			break;
		}

		await pause(20);
	}

	await pause(20);

	for (const room of rooms) {
		const got = heard.get(room);

		if (got.length !== said.get(room)
			|| got.some((value, i) => value !== i + 1))
		{
			fault(`client ${n}: ${room}, ${said.get(room)} said: ${got}`);
		}
	}

	await call(socket, 'joinRoom', { group: 'chat' });

	const { id } = socket;

	await breaks(socket);

	if (!socket.recovered && socket.id !== id) {
		sum.fresh++;

	} else {
		fault(`client ${n}: recovered, though it was in a volatile room`);
	}

	socket.disconnect();
}

try {
	await Promise.all(Array.from({ length: +number }, (_, n) => client(n)));

} catch (e) {
	fault(e.stack);
}

console.log(JSON.stringify({ ...sum, faults }));
process.exit(0);
