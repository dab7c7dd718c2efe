// Copyright (C) sync for nginx

// The app behind the hooks.  What it answers is said by the request's data, so
// that a seed repeats it; what it was asked and has answered goes to the
// history.  It can fall silent, and it can die.

import { createServer } from 'node:http';
import { rmSync } from 'node:fs';

import { sleep } from './host.mjs';
import { Random } from './random.mjs';

// Whether one hears nothing of a message.

export const ignored = (mid, client) => new Random(mid).chance(0.3)
	&& new Random(mid, client).chance(0.3);

export class App {
	constructor(run, path) {
		this.run = run;
		this.path = path;
		this.sockets = new Set();
		this.random = new Random(run.plan.seed, 'app');
	}

	// Resolves when it listens.

	start() {
		rmSync(this.path, { force: true });

		this.server = createServer((request, response) =>
			this.#take(request, response));
		this.server.keepAliveTimeout = 0;

		this.server.on('connection', (socket) => {
			this.sockets.add(socket);
			socket.on('close', () => this.sockets.delete(socket));
		});

		return new Promise((resolve) => this.server.listen(this.path,
			resolve));
	}

	// all connections end, in the middle of what they say

	kill() {
		this.server.close();
		this.sockets.forEach((socket) => socket.destroy());
	}

	hang() {
		this.silent = new Promise((resolve) => this.speak = resolve);
	}

	// The promise that is waited for is gone when it speaks again.

	goOn() {
		this.speak?.();
		this.silent = undefined;
	}

	#take(request, response) {
		const parts = [];

		response.on('error', () => {});
		request.on('error', () => {});
		request.on('data', (data) => parts.push(data));

		request.on('end', async () => {
			const asked = JSON.parse(Buffer.concat(parts).toString());

			await this.silent;
			await this[`on_${asked.event}`](asked, response);
		});
	}

	#json(response, json, status = 200) {
		response.writeHead(status, { 'Content-Type': 'application/json' });
		response.end(JSON.stringify(json));
	}

	async #handle(asked, response) {
		const { mid, does, lines, ms } = asked.data;

		this.run.record('asked', { mid, does, of: asked.kind });
		await sleep(ms);
		await this.silent;

		switch (does) {

		case 'ok':
			this.#says(mid, 'success');
			this.#json(response, { status: 'success', mid });
			break;

		case 'no':
			this.#says(mid, 'error', 'app.no');
			this.#json(response, { status: 'error', errorCode: 'app.no' });
			break;

		case 'page':
			this.#says(mid, 'error', asked.kind === 'api'
				? 'api.internalServerError' : 'sync.serverExecutionFailed');
			this.#json(response, { status: 'success', mid }, 500);
			break;

		default:
			await this.#lines(asked, response, lines);
		}
	}

	on_server(asked, response) {
		return this.#handle(asked, response);
	}

	on_api(asked, response) {
		return this.#handle(asked, response);
	}

	#says(mid, status, code) {
		this.run.record('says', { mid, status, code });
	}

	// s: to who asked, b: to the room, t: to who asked, by name; x: it is cut,
	// g: no instruction

	async #lines(asked, response, lines) {
		const { mid, ms } = asked.data;
		const numbers = { s: 0, b: 0, t: 0 };
		const write = (json) => response.write(JSON.stringify(json) + '\n');
		const [ failed, invalid ] = asked.kind === 'api'
			? [ 'api.internalServerError', 'api.invalidResponseStatus' ]
			: [ 'sync.serverExecutionFailed', 'sync.invalidServerResponse' ];

		response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });

		for (const line of lines) {
			const i = ++numbers[line];

			switch (line) {

			case 's':
				write({ stream: { i, mid } });
				break;

			case 'b':
				write({ broadcast: { i, mid } });
				break;

			case 't':
				write({ to: asked.clientId, payload: { i, mid,
					direct: true } });
				break;

			case 'x':
				this.#says(mid, 'error', failed);
				response.socket?.destroy();
				return;

			case 'g':
				this.#says(mid, 'error', invalid);
				response.end('{"what":1}\n');
				return;
			}

			if (ms) {
				await sleep(ms);
				await this.silent;
			}
		}

		this.#says(mid, 'success');
		response.end(JSON.stringify({ final: { status: 'success', mid } })
			+ '\n');
	}

	// each hears who it is; some hear nothing

	async on_client(asked, response) {
		const { serverOutput: { mid }, recipients } = asked;
		const lines = recipients.map(({ k, clientId }) => JSON.stringify({ k,
			out: ignored(mid, clientId)
				? { status: 'error', errorCode: 'sync.ignore' }
				: { status: 'success', to: clientId, mid } }) + '\n');

		this.run.record('staged', { mid, ids: recipients.map((one) =>
			one.clientId) });

		response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });

		// in two pieces, a moment apart

		const half = this.random.range(0, lines.length);

		response.write(lines.slice(0, half).join(''));
		await sleep(this.random.pick([ 0, 0, 5, 20 ]));
		await this.silent;
		response.end(lines.slice(half).join(''));
	}

	async on_join(asked, response) {
		const yes = this.run.quiet || this.random.chance(0.7);

		await sleep(this.random.pick([ 0, 0, 5, 20 ]));

		this.run.record('gate', { id: asked.clientId, room: asked.room, yes });
		this.#json(response, yes ? {} : { stop: { errorCode: 'app.gate',
			httpStatus: 403 } });
	}

	destroy() {
		this.kill();
		rmSync(this.path, { force: true });
	}
}
