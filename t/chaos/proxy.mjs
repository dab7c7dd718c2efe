// Copyright (C) sync for nginx

// What is between a host and Redis: a socket that passes on what comes, and can
// hold it back, break it into pieces, or end in the middle of it.

import { rmSync } from 'node:fs';
import net from 'node:net';

// One link, with a queue in each direction: "up" to Redis, "down" from it.

class Link {
	constructor(proxy, host) {
		this.proxy = proxy;
		this.over = false;
		this.redis = net.connect({ path: proxy.target() });
		this.ways = { up: this.#way(host, this.redis),
			down: this.#way(this.redis, host) };

		for (const socket of [ host, this.redis ]) {
			socket.on('error', () => this.end());
			socket.on('close', () => this.end());
			socket.on('end', () => this.end());
		}
	}

	#way(from, to) {
		const way = { from, to, left: Infinity, waits: 0, queue: [] };

		from.on('data', (data) => {
			this.name ??= /sync-(commands|subscriber)/.exec(data)?.[1];

			way.queue.push({ data, due: performance.now() + way.waits });
			this.#pass(way);
		});

		return way;
	}

	#pass(way) {
		if (way.timer || way.held) {
			return;
		}

		while (way.queue.length && !this.over) {
			const [ { data, due } ] = way.queue;
			const ms = due - performance.now();

			if (ms > 0) {
				way.timer = setTimeout(() => {
					way.timer = undefined;
					this.#pass(way);
				}, ms);

				return;
			}

			way.queue.shift();
			this.#write(way, data);
		}
	}

	#write(way, data) {
		const some = data.subarray(0, way.left);

		way.left -= some.length;

		if (way.left > 0) {
			this.#pieces(way, some);
			return;
		}

		// the last of it is passed on before the link ends

		this.over = true;
		way.to.write(some, () => this.destroy());
		setTimeout(() => this.destroy(), 100);
	}

	#pieces(way, data) {
		const { piece } = this.proxy;

		for (let i = 0; i < data.length; i += piece) {
			way.to.write(data.subarray(i, i + piece));
		}
	}

	// after so many bytes more

	cut(side, bytes) {
		this.ways[side].left = bytes;
	}

	// what comes is late by so much

	wait(side, ms) {
		this.ways[side].waits = ms;
	}

	hold(side) {
		this.ways[side].held = true;
	}

	release(side) {
		this.ways[side].held = false;
		this.#pass(this.ways[side]);
	}

	end() {
		if (!this.over) {
			this.over = true;
			this.destroy();
		}
	}

	destroy() {
		this.proxy.links.delete(this);

		for (const { from, timer } of Object.values(this.ways)) {
			clearTimeout(timer);
			from.destroy();
		}
	}
}

export class Proxy {
	// target() is the path of the socket that it leads to now

	constructor(path, target, piece) {
		this.path = path;
		this.target = target;
		this.piece = piece || Infinity;
		this.links = new Set();
		this.open = true;
	}

	// Resolves when it listens.

	start() {
		this.server = net.createServer((host) => {
			if (!this.open) {
				host.destroy();
				return;
			}

			this.links.add(new Link(this, host));
		});

		return new Promise((resolve) => this.server.listen(this.path,
			resolve));
	}

	// those of a kind: "commands", "subscriber", or both

	of(kind) {
		return [ ...this.links ].filter((link) => kind === 'both'
			|| link.name === kind);
	}

	// no links any more till it opens

	close() {
		this.open = false;
		this.links.forEach((link) => link.end());
	}

	destroy() {
		this.links.forEach((link) => link.end());
		this.server?.close();
		rmSync(this.path, { force: true });
	}
}
