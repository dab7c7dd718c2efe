// Copyright (C) sync for nginx

// Raw peers, which can be cut at any byte, in either direction, and can stop
// reading.

import net from 'node:net';
import { randomBytes } from 'node:crypto';

const EMPTY = Buffer.alloc(0);

// One TCP connection.  take(data) is called with what comes, ended() once, when
// nothing comes any more.

export class Wire {
	constructor(address, take, ended) {
		this.take = take;
		this.ended = ended;
		this.left = Infinity;           // bytes to read till it is cut
		this.sendLeft = Infinity;       // bytes to write till it is cut
		this.over = false;

		this.socket = net.connect({ host: address, port: 8000,
			noDelay: true });

		this.socket.on('data', (data) => this.#read(data));
		this.socket.on('error', () => this.end());
		this.socket.on('close', () => this.end());
		this.socket.on('end', () => this.end());
	}

	#read(data) {
		if (this.over) {
			return;
		}

		const some = data.length > this.left
			? data.subarray(0, this.left) : data;

		this.left -= some.length;

		if (some.length) {
			this.take(some);
		}

		if (this.left <= 0) {
			this.end();
		}
	}

	write(data) {
		if (this.over) {
			return;
		}

		const bytes = Buffer.from(data);

		if (bytes.length < this.sendLeft) {
			this.sendLeft -= bytes.length;
			this.socket.write(bytes);
			return;
		}

		// the last of it goes out before the connection ends

		this.socket.write(bytes.subarray(0, this.sendLeft),
			() => this.end());
		this.sendLeft = Infinity;
	}

	// after so many bytes of what comes, or of what is sent; with a reset, or
	// an orderly end

	cut(bytes, { reset = false, sending = false } = {}) {
		this.reset = reset;

		if (sending) {
			this.sendLeft = bytes;

		} else if (bytes) {
			this.left = bytes;

		} else {
			this.end();
		}
	}

	pause() {
		this.socket.pause();
	}

	resume() {
		this.socket.resume();
	}

	end() {
		if (this.over) {
			return;
		}

		this.over = true;

		if (this.reset) {
			this.socket.resetAndDestroy();

		} else {
			this.socket.destroy();
		}

		this.ended();
	}
}

// The head of an HTTP response; then body(data) is called with what follows,
// without the chunks, and done() at the end of it, if there is one.

export class Response {
	constructor(head, body, done) {
		this.head = head;
		this.body = body;
		this.done = done;
		this.data = EMPTY;
		this.status = 0;
		this.left = Infinity;
	}

	take(data) {
		this.data = this.data.length ? Buffer.concat([ this.data, data ])
			: data;

		if (!this.status && !this.#head()) {
			return;
		}

		if (this.chunked) {
			this.#chunks();
			return;
		}

		const all = this.data.subarray(0, this.left);

		this.data = EMPTY;
		this.left -= all.length;

		if (all.length) {
			this.body(all);
		}

		if (this.left === 0) {
			this.left = Infinity;
			this.done();
		}
	}

	#head() {
		const end = this.data.indexOf('\r\n\r\n');

		if (end < 0) {
			return false;
		}

		const text = this.data.subarray(0, end).toString('latin1');
		const length = /^content-length: *(\d+)/im.exec(text);

		this.status = Number(text.split(' ')[1]);
		this.chunked = /^transfer-encoding: *chunked/im.test(text);
		this.left = length ? Number(length[1]) : Infinity;
		this.data = this.data.subarray(end + 4);

		this.head(this.status);

		return true;
	}

	#chunks() {
		for ( ;; ) {
			const end = this.data.indexOf('\r\n');

			if (end < 0) {
				return;
			}

			const size = parseInt(this.data.subarray(0, end)
				.toString('latin1'), 16);

			if (this.data.length < end + 4 + size) {
				return;
			}

			const body = this.data.subarray(end + 2, end + 2 + size);

			this.data = this.data.subarray(end + 4 + size);

			if (size === 0) {
				this.done();
				return;
			}

			this.body(body);
		}
	}
}

// Frames of a WebSocket that a server sends.

export class Frames {
	constructor(text, control) {
		this.text = text;
		this.control = control;
		this.data = EMPTY;
		this.parts = [];
	}

	take(data) {
		this.data = this.data.length ? Buffer.concat([ this.data, data ])
			: data;

		while (this.#frame()) {
			// one more
		}
	}

	#frame() {
		const d = this.data;

		if (d.length < 2) {
			return false;
		}

		let length = d[1] & 127;
		let at = 2;

		if (length === 126) {
			if (d.length < 4) {
				return false;
			}

			length = d.readUInt16BE(2);
			at = 4;

		} else if (length === 127) {
			if (d.length < 10) {
				return false;
			}

			length = Number(d.readBigUInt64BE(2));
			at = 10;
		}

		if (d.length < at + length) {
			return false;
		}

		const payload = d.subarray(at, at + length);

		this.data = d.subarray(at + length);

		if (d[0] & 8) {
			this.control(d[0] & 15, payload);
			return true;
		}

		this.parts.push(payload);

		if (d[0] & 128) {
			const all = Buffer.concat(this.parts);

			this.parts = [];
			this.text(all.toString());
		}

		return true;
	}
}

// A frame of a client.

export function frame(payload, opcode = 1) {
	const body = Buffer.from(payload);
	const mask = randomBytes(4);
	const head = body.length < 126 ? Buffer.from([ 128 | opcode,
		128 | body.length ]) : Buffer.from([ 128 | opcode, 128 | 126,
		body.length >> 8, body.length & 255 ]);

	for (let i = 0; i < body.length; i++) {
		body[i] ^= mask[i & 3];
	}

	return Buffer.concat([ head, mask, body ]);
}

// Events of an event stream: {id, event, data}.

export class Events {
	constructor(event) {
		this.event = event;
		this.text = '';
		this.decoder = new TextDecoder();
	}

	take(data) {
		this.text += this.decoder.decode(data, { stream: true });

		for ( ;; ) {
			const end = this.text.indexOf('\n\n');

			if (end < 0) {
				return;
			}

			const e = {};

			for (const line of this.text.slice(0, end).split('\n')) {
				const [ , name, value ] = /^(\w*): ?(.*)$/s.exec(line)
					?? [];

				if (name) {
					e[name] = name in e ? `${e[name]}\n${value}`
						: value;
				}
			}

			this.text = this.text.slice(end + 2);
			this.event(e);
		}
	}
}

// One request over a connection of its own; resolves to {status, body}, or to
// null if there was no full answer.

export function request(address, method, path, { body, headers = {}, cut,
	wire } = {}) {
	return new Promise((resolve) => {
		const parts = [];
		let status;

		const response = new Response((s) => status = s,
			(data) => parts.push(Buffer.from(data)),
			() => finish({ status, body: Buffer.concat(parts).toString() }));

		const finish = (result) => {
			resolve(result);
			w.end();
		};

		const w = new Wire(address, (data) => response.take(data),
			() => resolve(null));

		wire?.(w);

		if (cut) {
			w.cut(cut.bytes, cut);
		}

		w.write(head(method, path, { ...headers, Connection: 'close' }, body)
			+ (body ?? ''));
	});
}

export function head(method, path, headers, body) {
	const lines = Object.entries(headers).map(([ k, v ]) => `${k}: ${v}\r\n`);

	if (body !== undefined) {
		lines.push(`Content-Length: ${Buffer.byteLength(body)}\r\n`);
	}

	return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n`
		+ `${lines.join('')}\r\n`;
}
