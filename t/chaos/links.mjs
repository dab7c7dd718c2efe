// Copyright (C) sync for nginx

// A client's connection by each of the dialects.  A link calls, of its owner,
//
//     connected(id, message)   the server has taken it
//     auth()                   what a client of Socket.IO says as it connects
//     event(array)             an event came: its name and arguments
//     stream(event)            the same on an event stream: {id, event, data}
//     closed()                 once, when it is over
//
// and has send(array), cut(bytes, how), pause(), resume(), close().

import { Events, Frames, Response, Wire, frame, head, request } from
	'./wire.mjs';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

class Link {
	constructor(owner) {
		this.owner = owner;
		this.over = false;
	}

	end() {
		if (!this.over) {
			this.over = true;
			this.wire?.end();
			this.owner.closed(this);
		}
	}

	open(address, take) {
		this.wire = new Wire(address, (data) => this.over || take(data),
			() => this.end());
	}

	cut(bytes, how) {
		this.wire.cut(bytes, how);
	}

	pause() {
		this.wire.pause();
	}

	resume() {
		this.wire.resume();
	}

	close() {
		this.end();
	}
}

export class WebSocketLink extends Link {
	constructor(owner, address, path = '/ws') {
		super(owner);

		this.frames = new Frames((text) => this.over || this.text(text),
			(opcode, data) => this.#control(opcode, data));

		const response = new Response(
			(status) => status === 101 || this.end(),
			(data) => this.frames.take(data), () => this.end());

		this.open(address, (data) => response.take(data));

		this.wire.write(head('GET', path, {
			Upgrade: 'websocket',
			Connection: 'Upgrade',
			'Sec-WebSocket-Version': 13,
			'Sec-WebSocket-Key': KEY,
		}));
	}

	text(text) {
		const array = JSON.parse(text);

		if (array[0] === 'connected') {
			this.owner.connected(this, array[1].clientId);

		} else {
			this.owner.event(this, array);
		}
	}

	#control(opcode, data) {
		if (opcode === 9) {
			this.wire.write(frame(data, 10));

		} else if (opcode === 8) {
			this.end();
		}
	}

	send(array) {
		this.wire.write(frame(JSON.stringify(array)));
	}
}

// Engine.IO packets, as they come

function packet(link, text) {
	if (text === '2') {
		link.post('3');

	} else if (text.startsWith('40')) {
		const data = JSON.parse(text.slice(2));

		link.owner.connected(link, data.sid, data);

	} else if (text.startsWith('42')) {
		link.owner.event(link, JSON.parse(text.slice(2)));

	} else if (text.startsWith('0')) {
		link.sid = JSON.parse(text.slice(1)).sid;
		link.post(`40${link.owner.auth()}`);

	} else if (text !== '6' && text !== '') {
		link.end();
	}
}

export class SocketIoLink extends WebSocketLink {
	constructor(owner, address) {
		super(owner, address, '/socket.io/?EIO=4&transport=websocket');
	}

	text(text) {
		packet(this, text);
	}

	post(text) {
		this.wire.write(frame(text));
	}

	send(array) {
		this.post(`42${JSON.stringify(array)}`);
	}
}

// Each request goes over a connection of its own, to any worker.

export class PollingLink extends Link {
	constructor(owner, address) {
		super(owner);

		this.address = address;
		this.path = '/socket.io/?EIO=4&transport=polling';
		this.out = [];
		this.held = [];
		this.#poll();
	}

	async #poll() {
		while (!this.over) {
			const cut = this.next;

			this.next = undefined;

			const answer = await request(this.address, 'GET', this.#uri(),
				{ cut, wire: (w) => this.wire = w });

			if (this.over) {
				return;
			}

			if (answer?.status !== 200) {
				this.end();
				return;
			}

			if (this.paused) {
				await new Promise((resolve) => this.go = resolve);
			}

			for (const text of answer.body.split('\x1e')) {
				if (!this.over) {
					packet(this, text);
				}
			}
		}
	}

	#uri() {
		return this.path + (this.sid ? `&sid=${this.sid}` : '');
	}

	// one POST at a time

	post(text) {
		this.out.push(text);

		if (!this.posting) {
			this.#post();
		}
	}

	async #post() {
		this.posting = true;

		while (this.out.length && !this.over) {
			const cut = this.sending;

			this.sending = undefined;

			const answer = await request(this.address, 'POST', this.#uri(),
				{ body: this.out.splice(0).join('\x1e'), cut });

			if (answer?.status !== 200) {
				this.end();
			}
		}

		this.posting = false;
	}

	send(array) {
		this.post(`42${JSON.stringify(array)}`);
	}

	// in the poll that waits, in the next one, or in the next POST

	cut(bytes, how) {
		if (how.sending) {
			this.sending = { bytes, ...how };

		} else {
			this.wire.cut(bytes, how);
		}
	}

	pause() {
		this.paused = true;
	}

	resume() {
		this.paused = false;
		this.go?.();
	}

	close() {
		if (!this.over && this.sid) {
			request(this.address, 'POST', this.#uri(), { body: '1' });
		}

		super.close();
	}
}

export class StreamLink extends Link {
	constructor(owner, address, channels, lastId) {
		super(owner);

		const events = new Events((e) => this.over || this.#event(e));

		const response = new Response(
			(status) => status === 200 || this.end(),
			(data) => events.take(data), () => this.end());

		this.open(address, (data) => response.take(data));

		this.wire.write(head('GET', `/events?channels=${channels}`,
			lastId ? { 'Last-Event-ID': lastId } : {}));
	}

	#event(e) {
		const data = e.data === undefined ? null : JSON.parse(e.data);

		if (data?.type === 'connected') {
			this.owner.connected(this, data.clientId, data, e.id);

		} else if (data || e.id) {
			this.owner.stream(this, { id: e.id, event: e.event, data });
		}
	}
}
