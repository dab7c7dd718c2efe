// Copyright (C) sync for nginx

// What is done to hosts and to Redis.  Each returns when it is over: when all
// that was stopped goes on.

import { rmSync, symlinkSync } from 'node:fs';

import { sleep } from './host.mjs';

export const faults = {
	killWorker: (run, f) => run.hosts[f.host].killWorker(f.worker),

	async stopWorker(run, f) {
		const host = run.hosts[f.host];
		const pid = host.pids()[f.worker];

		if (pid) {
			host.signal('SIGSTOP', pid);
			await sleep(f.ms);
			host.signal('SIGCONT', pid);
		}
	},

	reload: (run, f) => run.hosts[f.host].reload(),

	quit: (run, f) => restart(run, f, 'SIGQUIT'),
	term: (run, f) => restart(run, f, 'SIGTERM'),

	// the master and all workers

	async killHost(run, f) {
		const host = run.hosts[f.host];
		const all = host.processes();

		host.fallen.push(...all);
		all.forEach((pid) => host.signal('SIGKILL', pid));

		await restart(run, f, 'SIGKILL');
	},

	redisKill: (run, f) => restartRedis(run, f, 'SIGKILL'),
	redisTerm: (run, f) => restartRedis(run, f, 'SIGTERM'),

	async redisStop(run, f) {
		run.redis.signal('SIGSTOP');
		await sleep(f.ms * 2);
		run.redis.signal('SIGCONT');
	},

	redisPause: (run, f) => run.redis.command('CLIENT', 'PAUSE',
		String(f.ms * 2)),
	killSubscribers: (run) => run.redis.command('CLIENT', 'KILL', 'TYPE',
		'pubsub'),
	killLinks: (run) => run.redis.command('CLIENT', 'KILL', 'TYPE', 'normal'),
	scriptFlush: (run) => run.redis.command('SCRIPT', 'FLUSH'),
	flushAll: (run) => run.redis.command('FLUSHALL'),
	forget: (run) => run.redis.command('DEL', 'chaos:s:doc:1'),

	async full(run, f) {
		await run.redis.command('CONFIG', 'SET', 'maxmemory', '1');
		await sleep(f.ms);
		await run.redis.command('CONFIG', 'SET', 'maxmemory', '0');
	},

	// the host's links to Redis end after some bytes, in either direction

	async linkCut(run, f) {
		for (const link of run.proxies[f.host].of(f.kind)) {
			link.cut(f.side, f.bytes);
		}
	},

	async linkWait(run, f) {
		const links = run.proxies[f.host].of(f.kind);

		links.forEach((link) => link.wait(f.side, f.lag));
		await sleep(f.ms);
		links.forEach((link) => link.wait(f.side, 0));
	},

	async linkHold(run, f) {
		const links = run.proxies[f.host].of(f.kind);

		links.forEach((link) => link.hold(f.side));
		await sleep(f.ms);
		links.forEach((link) => link.release(f.side));
	},

	async linkClose(run, f) {
		run.proxies[f.host].close();
		await sleep(f.ms);
		run.proxies[f.host].open = true;
	},

	// what the app says is cut short, and it is not there for a while

	async appKill(run, f) {
		run.app.kill();
		await sleep(f.ms);
		await run.app.start();
	},

	async appHang(run, f) {
		run.app.hang();
		await sleep(f.ms);
		run.app.goOn();
	},

	// a replica that lagged takes over

	async promote(run, f) {
		const [ old, other ] = [ run.redis, run.replica ];

		await other.lag();
		await sleep(f.lag);
		await old.stop('SIGKILL');
		await sleep(f.ms);
		await other.command('REPLICAOF', 'NO', 'ONE');

		run.leadTo(other);
	},
};

async function restart(run, f, signal) {
	const host = run.hosts[f.host];

	await host.stop(signal);
	await host.start();
}

async function restartRedis(run, f, signal) {
	await run.redis.stop(signal);
	await sleep(f.ms);
	await run.redis.start();
}

// the link that hosts know, as by a name that moves to another server

export function lead(link, redis) {
	rmSync(link, { force: true });
	symlinkSync(redis.socket, link);
}
