// Copyright (C) sync for nginx

// Many clients of socket.io-client that talk in rooms, some of which come and
// go.
//
//     node load.mjs url transports clients rooms messages talks
//
// So many messages are published to each room, and while that goes on each
// client that stays talks to itself so many times a message, on average.  The
// transports are joined by commas.  A third of the clients leaves in the middle and comes back, some
// as their connections are killed, with a poll that waits, some by a close or a
// disconnect of their own.  What a client heard while it was connected must be
// all there was, in one order.  Prints {"connected", "heard", "acks", "upgraded",
// "breaks", "killed", "faults": [...]}.

import { io } from 'socket.io-client';

const [url, transports, ...numbers] = process.argv.slice(2);
const [clients, rooms, messages, talks] = numbers.map(Number);

const faults = [];
const fault = (text) => faults.length < 20 && faults.push(text);
const sum = { connected: 0, heard: 0, acks: 0, upgraded: 0, breaks: 0,
	killed: 0 };

const within = (ms, promise, what) => Promise.race([ promise,
	new Promise((_, reject) => setTimeout(
		() => reject(new Error(`${what} took too long`)), ms).unref()) ]);

class Client {
	constructor(n) {
		this.n = n;
		this.room = `room:${n % rooms}`;
		this.index = 0;
		this.talks = 0;
		this.last = undefined;          // heard in this connection
		this.heard = [];
		this.leaves = n % 3 == 2;
		this.replies = new Map();
		this.echoes = [];               // that are to come, in their order

		this.socket = io(url, {
			transports: transports.split(','),
			reconnectionDelay: 50,
			reconnectionDelayMax: 100,
			forceNew: true,
		});

		this.socket.on('said', (data) => this.said(data));
		this.socket.on('sync', (message) => this.echo(message));
		this.socket.onAny((event, value) => this.reply(event, value));
		this.socket.on('disconnect', (reason) => {
			if (!this.leaving) {
				fault(`client ${n}: ${reason}`);
			}
		});
	}

	async ready() {
		if (!this.socket.connected) {
			await within(30000, new Promise((resolve) =>
				this.socket.once('connect', resolve)), 'connecting');
		}

		sum.connected++;
		this.last = undefined;

		const { rooms } = await this.ask('joinRoom', { group: this.room });

		if (rooms[0] !== this.room) {
			fault(`client ${this.n}: joined ${rooms}`);
		}
	}

	ask(event, argument) {
		const responseIndex = ++this.index;

		this.socket.emit(event, { ...argument, responseIndex });

		return within(60000, new Promise((resolve) =>
			this.replies.set(`${event}-${responseIndex}`, resolve)),
			`${event} of client ${this.n}`);
	}

	reply(event, value) {
		this.replies.get(event)?.(value);
		this.replies.delete(event);
	}

	// what a client sends to itself comes back before or after the answer, once

	async talk() {
		const n = ++this.talks;
		const heard = new Promise((resolve) =>
			this.echoes.push({ n, resolve }));

		const answer = await this.ask('sync', {
			name: `sync/load/talk${n}/v1`,
			cb: `load/talk${n}/v1`,
			receiver: this.socket.id,
			data: {},
		});

		if (answer.status !== 'success') {
			fault(`client ${this.n}: ${JSON.stringify(answer)}`);
		}

		await within(60000, heard, `the sync of client ${this.n}`);

		sum.acks++;
	}

	echo({ cb }) {
		const { n, resolve } = this.echoes.shift() ?? {};

		if (cb !== `sync/load/talk${n}/v1`) {
			fault(`client ${this.n}: heard ${cb}, not that of ${n}`);
		}

		resolve?.();
	}

	// which takes a while if something is still to be sent

	closed() {
		const gone = this.gone();

		this.socket.io.engine.close();

		return gone;
	}

	killed() {
		const gone = this.gone();
		const { transport } = this.socket.io.engine;

		// with no goodbye: the server has a poll, or a socket, that breaks

		if (transport.name === 'websocket') {
			transport.ws.terminate();

		} else {
			transport.onError('killed');
		}

		sum.killed++;

		return gone;
	}

	gone() {
		return within(30000, new Promise((resolve) =>
			this.socket.once('disconnect', resolve)),
			`client ${this.n} to notice`);
	}

	said(seq) {
		if (this.last !== undefined && seq !== this.last + 1) {
			fault(`client ${this.n}: heard ${seq} after ${this.last}`);
		}

		this.last = seq;
		this.heard.push(seq);
		sum.heard++;
	}
}

// so many of these are as many talks as a message shall have

const turns = (i) => Math.floor((i + 1) * talks) - Math.floor(i * talks);

async function say(room, seq) {
	const r = await fetch(`${url}/control/publish`, {
		method: 'POST',
		headers: { 'Content-Type': 'application/json' },
		body: JSON.stringify({ room, event: 'said', data: seq }),
	});

	if (!r.ok) {
		fault(`publish: ${r.status} ${await r.text()}`);
	}
}

const all = Array.from({ length: clients }, (_, n) => new Client(n));

try {
	await Promise.all(all.map((c) => c.ready()));

	for (let seq = 0; seq < messages; seq++) {
		const said = Array.from({ length: rooms }, (_, n) =>
			say(`room:${n}`, seq));

		const talked = all.filter((c) => !c.leaves).flatMap((c) =>
			Array.from({ length: turns(c.n + seq) }, () => c.talk()));

		if (seq === Math.floor(messages / 3)) {
			for (const c of all.filter((c) => c.leaves)) {
				c.leaving = true;
				sum.breaks++;

				if (c.n % 4 === 1) {
					c.back = c.killed().then(() => c.ready());
					continue;
				}

				if (c.n % 2) {
					c.back = c.closed().then(() => c.ready());
					continue;
				}

				c.socket.disconnect();
				c.socket.connect();
				c.back = c.ready();
			}
		}

		await Promise.all([...said, ...talked]);
	}

	await Promise.all(all.map((c) => c.back));

	// a last round shows that everybody hears, and that all before was heard

	for (let n = 0; n < rooms; n++) {
		await say(`room:${n}`, messages);
	}

	const end = Date.now() + 30000;

	while (Date.now() < end
	       && all.some((c) => c.last !== messages))
	{
		await new Promise((resolve) => setTimeout(resolve, 10));
	}

	for (const c of all) {
		if (c.last !== messages) {
			fault(`client ${c.n}: did not hear the last message`);
		}

		if (!c.leaves && c.heard.length !== messages + 1) {
			fault(`client ${c.n}: heard ${c.heard.length} messages`);
		}
	}

	sum.upgraded = all.filter((c) =>
		c.socket.io.engine?.transport.name === 'websocket').length;

} catch (e) {
	fault(e.message);
}

for (const c of all) {
	c.leaving = true;
	c.socket.disconnect();
}

console.log(JSON.stringify({ ...sum, faults }));
