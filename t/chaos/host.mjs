// Copyright (C) sync for nginx

// An nginx in a directory of its own, and what can be done to it.  The address
// is one of 127.0.0.0/8 that nobody else has, so that ports need not be drawn.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, readlinkSync, writeFileSync }
	from 'node:fs';
import { fileURLToPath } from 'node:url';

import { request } from './wire.mjs';

const NGINX = process.env.SYNC_NGINX || '/usr/sbin/nginx';
const BUILT = fileURLToPath(new URL('../build/ngx_http_sync_module.so',
	import.meta.url));
const SLOW = Number(process.env.SYNC_SLOW || 1);

export const sleep = (ms) => new Promise((resolve) =>
	setTimeout(resolve, ms));

// Calls a function until it returns true, and returns that, or false.

export async function waitFor(condition, seconds = 60) {
	const end = Date.now() + seconds * 1000 * SLOW;

	for ( ;; ) {
		const result = await condition();

		if (result || Date.now() > end) {
			return result;
		}

		await sleep(10);
	}
}

// n is the host's number: pids have 22 bits, what is left tells hosts apart

export function addressOf(n) {
	const pid = process.pid;

	return `127.${64 + n * 64 + (pid >> 16)}.${(pid >> 8) & 255}.${pid & 255}`;
}

const read = (file) => {
	try {
		return readFileSync(file, 'utf8');

	} catch {
		return '';
	}
};

export class Host {
	constructor(dir, n, plan, redis) {
		this.dir = `${dir}/host${n}`;
		this.address = addressOf(n);
		this.workers = plan.workers;
		this.fallen = [];               // pids that faults ended

		mkdirSync(this.dir);
		writeFileSync(`${this.dir}/nginx.conf`, this.#conf(plan, redis));
	}

	#conf(plan, redis) {
		const paths = [ 'client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi' ]
			.map((name) => `${name}_temp_path ${this.dir}/${name};`);
		const module = process.env.SYNC_MODULE ?? BUILT;

		return `
pid ${this.dir}/nginx.pid;
error_log ${this.dir}/error.log ${process.env.SYNC_LOG || 'notice'};
worker_processes ${plan.workers};
${module ? `load_module ${module};` : ''}
${process.getuid() === 0 ? 'user root;' : ''}

events {
    worker_connections 512;
}

http {
    access_log off;
    ${paths.join('\n    ')}

    sync_zone  zone=sync:${plan.zone};
    ${redis ? `sync_redis unix:${redis} prefix=chaos timeout=1s;` : ''}
    sync_room  "doc:*" recoverable history=${plan.history} ttl=${plan.ttl}
               queue=${plan.queue};
    sync_room  "wal:*" recoverable history=${plan.history} ttl=${plan.ttl}
               queue=${plan.queue};
    sync_room  "chat:*" queue=${plan.queue};
    sync_room  "cursor:*" queue=conflate;
    sync_room  "gate:*" queue=${plan.queue} join=hook;
    sync_drain ${plan.drain};

    upstream app {
        server unix:${this.dir}/../app.sock;
        keepalive 4;
    }

    server {
        listen ${this.address}:8000 ${plan.sndbuf ? 'sndbuf=8k' : ''};

        sync_queue ${plan.buffer};
        sync_ping  1s 3s;
        lingering_close off;

        ${plan.app ? this.#hooks(plan) : ''}
        ${plan.tenants.length ? this.#sessions(redis) : ''}

        location /ws         { sync websocket; }
        location /socket.io/ { sync socketio; sync_recovery 1m; }
        location /events     { sync sse; }
        location /control/   { sync control; }
        location /status     { sync status; }
    }
}
`;
	}

	#sessions(redis) {
		return `
        location /s/ {
            sync_session ${redis
		? 'redis key=session:$sync_token users=users:$sync_user' : 'memory'}
                per_user=single;
            sync_token query:token;

            location /s/ws       { sync websocket; }
            location /s/control/ { sync control; }
        }`;
	}

	#hooks(plan) {
		return `
        sync_hook server /_hook/;
        sync_hook api    /_hook/;
        sync_hook join   /_hook/;
        ${plan.stage ? 'sync_hook client /_hook/;' : ''}

        location /sync/ { sync request; sync_receiver any; }
        location /api/  { sync api; }

        location /_hook/ {
            internal;
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }`;
	}

	// Returns when all workers are initialised.

	async start() {
		const { status, stderr } = spawnSync(NGINX, [ '-p', `${this.dir}/`,
			'-c', 'nginx.conf', '-e', `${this.dir}/error.log` ],
			{ cwd: this.dir, stdio: [ 'ignore', 'ignore', 'pipe' ],
				encoding: 'utf8' });

		if (status !== 0) {
			throw new Error(`nginx did not start: ${stderr}`);
		}

		if (!await waitFor(() => this.pids().length === this.workers)) {
			throw new Error(`nginx did not start:\n${this.log()}`);
		}
	}

	get master() {
		return Number(read(`${this.dir}/nginx.pid`)) || undefined;
	}

	// of the workers that are initialised and do not leave, oldest first

	pids(title = 'nginx: worker process') {
		const master = this.master;

		return read(`/proc/${master}/task/${master}/children`).split(' ')
			.filter((pid) => pid && read(`/proc/${pid}/cmdline`)
				.replaceAll('\0', ' ').trim() === title)
			.map(Number);
	}

	// Returns when there are new workers.

	async reload() {
		const old = new Set(this.pids());

		this.signal('SIGHUP');

		await waitFor(() => {
			const now = this.pids();

			return now.length === this.workers
				&& !now.some((pid) => old.has(pid));
		});
	}

	signal(name, pid = this.master) {
		try {
			process.kill(pid, name);

		} catch {
			// it is not there any more
		}
	}

	// Returns when there is another one in its place.

	async killWorker(n) {
		const pid = this.pids()[n];

		if (!pid) {
			return;
		}

		this.fallen.push(pid);
		this.signal('SIGKILL', pid);

		await waitFor(() => {
			const now = this.pids();

			return now.length === this.workers && !now.includes(pid);
		});
	}

	// Returns when all of its processes have ended.  Workers that are leaving
	// and are told to hurry say that they leave connections: nginx's own way.

	async stop(signal) {
		if (signal === 'SIGTERM'
		    && this.pids('nginx: worker process is shutting down').length)
		{
			this.hurried = true;
		}

		// a pid that is not there any more may be another's

		if (this.processes().includes(this.master)) {
			this.signal(signal);
		}

		if (await waitFor(() => !this.processes().length)) {
			return;
		}

		const left = this.processes();

		left.forEach((pid) => this.signal('SIGKILL', pid));

		throw new Error(`left after ${signal}: ${left}\n${this.log()}`);
	}

	// all, of all generations

	processes() {
		return readdirSync('/proc').filter((name) => {
			if (!/^\d+$/.test(name)) {
				return false;
			}

			try {
				return readlinkSync(`/proc/${name}/cwd`) === this.dir
					&& !/\) [ZX] /.test(read(`/proc/${name}/stat`));

			} catch {
				return false;
			}
		}).map(Number);
	}

	destroy() {
		for (const pid of this.processes()) {
			this.signal('SIGKILL', pid);
		}
	}

	log() {
		return read(`${this.dir}/error.log`);
	}

	// lines that must not be there

	faults() {
		const fallen = new RegExp(
			`(?:process|locked by) (?:${this.fallen.join('|')})\\b`);

		return this.log().split('\n').filter((line) =>
			(/\[(?:crit|alert|emerg)\]/.test(line)
			 || /exited (?:with code [1-9]|on signal)/.test(line)
			 || /runtime error:|Sanitizer:/.test(line))
			&& !/connect\(\) to unix:\S+ failed/.test(line)
			&& !(this.fallen.length && fallen.test(line))
			&& !(this.hurried && /left in connection|aborting/.test(line)));
	}

	async ask(path) {
		const answer = await request(this.address, 'GET', path);

		return answer?.status === 200 ? JSON.parse(answer.body) : undefined;
	}
}
