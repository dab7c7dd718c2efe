// Copyright (C) sync for nginx

// A real redis-server in a directory of its own.

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';

import { addressOf, waitFor } from './host.mjs';

export class Redis {
	constructor(dir, n, plan) {
		this.dir = `${dir}/redis${n}`;
		this.socket = `${this.dir}/redis.sock`;
		this.address = addressOf(2);
		this.port = 6379 + n;
		this.plan = plan;

		mkdirSync(this.dir);
	}

	// Returns when it answers.

	async start() {
		const conf = [
			`bind ${this.address}`,
			`port ${this.port}`,
			'protected-mode no',
			`unixsocket ${this.socket}`,
			`dir ${this.dir}`,
			`logfile ${this.dir}/log`,
			'save ""',
			`appendonly ${this.plan.durable ? 'yes' : 'no'}`,
			'appendfsync always',
			'repl-diskless-sync-delay 0',
		];

		writeFileSync(`${this.dir}/conf`, conf.join('\n') + '\n');

		this.process = spawn('/usr/bin/redis-server', [ `${this.dir}/conf` ],
			{ stdio: 'ignore', cwd: this.dir });

		this.ended = new Promise((resolve) =>
			this.process.on('exit', resolve));

		if (!await waitFor(async () => await this.command('PING') === 'PONG'))
		{
			throw new Error('redis-server did not start:\n'
				+ readFileSync(`${this.dir}/log`, 'utf8'));
		}
	}

	// Resolves to the answer, a string, or to undefined.

	command(...args) {
		return new Promise((resolve) => {
			const socket = net.connect({ path: this.socket });
			let text = '';

			const finish = (answer) => {
				clearTimeout(timer);
				socket.destroy();
				resolve(answer);
			};

			const timer = setTimeout(finish, 10000);

			socket.on('error', () => finish());
			socket.on('close', () => finish());

			socket.on('data', (data) => {
				text += data;

				const simple = /^[+:-](.*)\r\n/.exec(text);
				const bulk = /^\$(\d+)\r\n/.exec(text);

				if (simple) {
					finish(simple[1]);

				} else if (bulk && text.length
				           >= bulk[0].length + Number(bulk[1]))
				{
					finish(text.slice(bulk[0].length, -2));
				}
			});

			socket.write(`*${args.length}\r\n` + args.map((arg) =>
				`$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join(''));
		});
	}

	// Follows another one; returns when it has all of it.

	async follow(master) {
		await this.command('REPLICAOF', master.address, String(master.port));

		await waitFor(async () => /master_link_status:up/.test(
			await this.command('INFO', 'replication')));
	}

	// It is a replica that hears nothing any more.

	async lag() {
		await this.command('REPLICAOF', this.address, '1');
	}

	signal(name) {
		this.process.kill(name);
	}

	async stop(signal) {
		this.signal('SIGCONT');
		this.signal(signal);

		await this.ended;
	}

	destroy() {
		this.process?.kill('SIGKILL');
	}
}
