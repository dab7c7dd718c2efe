// Copyright (C) sync for nginx

// Streamed answers, as socket.io-client hears them.
//
//     node stream.mjs url transports chunks
//
// Calls an api of so many chunks, sends a sync that says as many to the room and
// to itself, and gives one of each up after its first chunk.  Prints what it was
// told of each, in order: numbers of chunks, "r" before those of the room, the
// status of the answer, "m" before that of the message; and the transport that it
// ended with.

import { io } from 'socket.io-client';

const [url, transports, number] = process.argv.slice(2);
const chunks = Number(number);

const socket = io(url, { transports: transports.split(','), forceNew: true });

let index = 0;
let heard = [];
let stop = () => {};
let ended = () => {};

socket.onAny((event, value) => {
	if (value.__cancelId !== undefined) {
		stop = () => socket.emit('syncCancel', { cb: value.__cancelId });
		return;
	}

	if (event === 'sync') {
		heard.push(value.status === 'stream' ? `r${value.n}`
			: `m${value.status}`);

	} else if (/^(?:sync-progress|apiStream)-/.test(event)) {
		heard.push(value.n);

	} else {
		heard.push(value.status ?? 'joined');
	}

	ended();
});

const until = (what) => new Promise((resolve, reject) => {
	const timer = setTimeout(() => reject(new Error(
		`no ${what}: ${heard}`)), 60000);

	ended = () => {
		if (heard.includes(what)) {
			clearTimeout(timer);
			resolve();
		}
	};

	ended();
});

const ask = async (event, name, data, give, last) => {
	heard = [];
	const responseIndex = ++index;

	socket.emit(event, { name, cb: 'c', receiver: 'r', data, responseIndex });

	if (give !== undefined) {
		await until(1);
		give === 'api' ? socket.emit('apiCancel', { responseIndex }) : stop();
	}

	await until(last);

	return heard;
};

await new Promise((resolve) => socket.once('connect', resolve));

socket.emit('joinRoom', { group: 'r', responseIndex: ++index });
await until('joined');

const told = {
	api: await ask('apiRequest', 'api/t/s/v1', { n: chunks }, undefined,
		'success'),
	sync: await ask('sync', 'sync/t/s/v1', { n: chunks }, undefined,
		'msuccess'),
	apiCancelled: await ask('apiRequest', 'api/t/s/v1', { step: 'api' }, 'api',
		'success'),
	syncCancelled: await ask('sync', 'sync/t/s/v1', { step: 'sync' }, 'sync',
		'msuccess'),
	transport: socket.io.engine.transport.name,
};

console.log(JSON.stringify(told));
socket.disconnect();
