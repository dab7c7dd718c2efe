// Copyright (C) sync for nginx

// Acknowledgements and bytes, as socket.io-client has them.
//
//     node acks.mjs url transports
//
// Prints {"connected":id} when it is in the room "acks", then, when it has heard
// "end", an object with what it was answered and what it heard.

import { io } from 'socket.io-client';

const [url, transports] = process.argv.slice(2);

const socket = io(url, { transports: transports.split(','), forceNew: true });
const heard = [];

socket.on('quiz', (...args) => {
	const answer = args.pop();

	heard.push(args);
	answer('right', { n: 1.5 }, Buffer.from([ 0, 255 ]));
});

socket.on('bytes', (a, b) => heard.push(
	[ Buffer.isBuffer(a.x) && a.x.toString('hex'), b.map(
		(c) => Buffer.isBuffer(c) ? c.toString('hex') : c) ]));

await new Promise((resolve) => socket.once('connect', resolve));

const ask = (event, argument) =>
	socket.timeout(60000).emitWithAck(event, argument);
const sync = { name: 'sync/a/b/v1', cb: 'a/b/v1', receiver: 'acks' };

const answers = {
	join: await ask('joinRoom', { group: 'acks' }),
	joinBoth: await ask('joinRoom', { group: 'more', responseIndex: 7 }),
	list: await ask('getJoinedRooms', {}),
	leave: await ask('leaveRoom', { group: 'more' }),
	sync: await ask('sync', { ...sync, data: { a: 1 } }),
	refused: await ask('sync', { ...sync, data: {}, receiver: 'other' }),
	none: await ask('sync', 'text'),
	api: await ask('apiRequest', { name: 'api/a/b/v1', data: {} }),
	unknown: await socket.timeout(200).emitWithAck('unknown', {})
		.catch((error) => error.message),
};

const end = new Promise((resolve) => socket.once('end', resolve));

console.log(JSON.stringify({ connected: socket.id }));

await end;

console.log(JSON.stringify({ answers, heard }));
socket.disconnect();
