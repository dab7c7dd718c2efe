// Copyright (C) sync for nginx

// Runs one seed and checks its history.
//
//     node seed.mjs N [--keep DIR] [--faults a,b] [--with a,b]
//         [--cluster | --alone] [--plain]
//
// Prints what was violated, and exits with 1, or prints one line.  With --keep
// the history is left as DIR/N.ndjson.  The other options change what the seed
// stands for: with certain faults only, with certain parts (app, stage, crowd,
// sessions), with two hosts, with one, with none of the faults and a history of
// all there is.

import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { App } from './app.mjs';
import { check, summary } from './check.mjs';
import { Client } from './client.mjs';
import { faults, lead } from './faults.mjs';
import { Host, sleep, waitFor } from './host.mjs';
import { makePlan, TOKENS } from './plan.mjs';
import { Proxy } from './proxy.mjs';
import { Redis } from './redis.mjs';
import { Tenant } from './tenant.mjs';
import { request } from './wire.mjs';

const PROBES = 3;

class Run {
	constructor(plan, dir) {
		this.plan = plan;
		this.dir = dir;
		this.history = [];
		this.began = performance.now();
		this.numbers = 0;
		this.messages = 0;
		this.receivers = new Map();     // of syncs, by mid
		this.redis = undefined;
		this.replica = undefined;
		this.proxies = [];              // by host
		this.clients = plan.clients.map((spec) => new Client(this, spec));
		this.tenants = plan.tenants.map((spec) => new Tenant(this, spec));
	}

	record(e, fields = {}) {
		const t = Math.round((performance.now() - this.began) * 10) / 10;

		this.history.push({ t, e, ...fields });
	}

	number() {
		return ++this.numbers;
	}

	message() {
		return `m${++this.messages}`;
	}

	address(host) {
		return this.hosts[host].address;
	}

	recoverable(room) {
		return /^(?:doc|wal):[^*]/.test(room);
	}

	later(what, ms) {
		setTimeout(() => this.over || what(), ms);
	}

	leadTo(redis) {
		this.redis = redis;
		lead(`${this.dir}/redis.sock`, redis);
	}

	async start() {
		const { plan, dir } = this;

		if (plan.cluster) {
			const server = new Redis(dir, 0, plan);

			await server.start();
			this.leadTo(server);

			if (plan.faults.some((f) => f.what === 'promote')) {
				this.replica = new Redis(dir, 1, plan);
				await this.replica.start();
				await this.replica.follow(server);
			}
		}

		if (plan.app) {
			this.app = new App(this, `${dir}/app.sock`);
			await this.app.start();
		}

		if (plan.proxied) {
			this.proxies = Array.from({ length: plan.hosts }, (_, n) =>
				new Proxy(`${dir}/proxy${n}.sock`,
					() => `${dir}/redis.sock`, plan.piece));

			await Promise.all(this.proxies.map((one) => one.start()));
		}

		this.hosts = Array.from({ length: plan.hosts }, (_, n) =>
			new Host(dir, n, plan, plan.cluster
				&& (this.proxies[n]?.path ?? `${dir}/redis.sock`)));

		for (const host of this.hosts) {
			await host.start();
		}

		await this.linked();

		await this.status({ first: true });
	}

	async status(fields) {
		for (const [ i, host ] of this.hosts.entries()) {
			this.record('status', { host: i, ...fields,
				...await host.ask('/status') });
		}
	}

	// all workers of all hosts have their links, and none leaves

	async linked() {
		for (const host of this.hosts) {
			const well = await waitFor(async () => {
				const status = await host.ask('/status');

				return status && !status.workers.some((w) => w.exiting)
					&& status.redis.connected === status.redis.expected
					&& (!this.plan.cluster || status.redis.subscribed);
			});

			if (!well) {
				this.record('stuck', { what: 'links', host: host.address,
					status: await host.ask('/status') });
			}
		}
	}

	async ready() {
		if (await waitFor(() => this.clients.every((c) => c.ready))) {
			return;
		}

		for (const c of this.clients.filter((one) => !one.ready)) {
			this.record('stuck', { what: 'client', client: c.name,
				conn: c.conn });
		}
	}

	// all that is asked is answered, where it can be

	async answered() {
		await waitFor(() => this.clients.every((c) => !c.id
			|| !c.asked.size));
	}

	async publish(item, tries = 20) {
		const { room, lsn, host, key } = item;
		const mid = item.mid ?? this.message();
		const id = item.id && this.recoverable(room) ? `id-${mid}` : undefined;
		const except = item.left ?? item.except?.map((name) =>
			this.clients.find((c) => c.name === name).id)
			.filter((one) => one);
		const body = JSON.stringify(item.sync ? { receiver: room,
			data: { mid, ...item.sync } } : { room, event: 'm', id, except,
			key,
			lsn: lsn === undefined ? undefined
				: `0/${lsn.toString(16).toUpperCase()}`,
			data: { mid, pad: 'x'.repeat(item.pad ?? 0) } });

		this.receivers.set(mid, room);

		item.mid = mid;
		item.left = except;

		for (let n = 0; n < tries && !this.over; n++) {
			const k = this.number();
			const at = (host + n) % this.plan.hosts;

			this.record('publish', { k, room, mid, id, lsn, except, key,
				host: at, http: !!item.sync });

			const answer = await request(this.address(at), 'POST', item.sync
				? `/sync/chaos/${mid}/v1` : '/control/publish',
				{ body, cut: n ? undefined : item.cut,
				headers: { 'Content-Type': 'application/json' } });

			this.record('published', { k, status: answer?.status,
				...this.#said(answer, room) });

			if (answer?.status === 200) {
				return true;
			}

			if (!id || (answer && answer.status !== 503)) {
				return false;
			}

			await sleep(25);
		}

		return false;
	}

	// the same at the same time, here, or on another host

	twice(item) {
		const mid = this.message();

		return Promise.all([ item.host, item.host + item.twice - 1 ]
			.map((host) => this.publish({ ...item, mid, host })));
	}

	// what is said to many; a client is told by its id, as it has one now

	async say(item) {
		const mid = this.message();
		const k = this.number();
		const { host, to: { client, ...to } } = item;
		const event = 'n';

		if (client) {
			to.clientId = this.clients.find((c) => c.name === client).id;

			if (!to.clientId) {
				return mid;
			}
		}

		const except = item.except?.map((name) =>
			this.clients.find((c) => c.name === name).id)
			.filter((one) => one);

		this.record('say', { k, mid, to, host, except });

		const answer = await this.#control(host, 'publish', { ...to, event,
			data: { mid }, except });

		this.record('said', { k, mid, status: answer?.status });

		return mid;
	}

	// Of a session; resolves to whether that is done for sure.

	async change({ what, token, host }) {
		const n = this.number();
		const user = TOKENS[token];
		const session = { id: user, n };

		this.record('change', { what, token, user, n });

		if (what === 'SET') {
			return await this.redis.command('SET', `session:${token}`,
				JSON.stringify(session), 'EX', '3600') === 'OK' && n;
		}

		if (what === 'DEL') {
			return await this.redis.command('DEL', `session:${token}`)
				!== undefined;
		}

		const answer = await this.#control(host, `session/${what}`,
			what === 'delete' ? { token } : what === 'save'
				? { token, session } : { token, session, user }, '/s');

		return answer?.status === 200 && n;
	}

	// till it is done

	async changed(what, token) {
		let n;

		await waitFor(async () => n = await this.change({ what, token,
			host: 0 }));

		return n;
	}

	async changes(began) {
		for (const item of this.plan.changes) {
			await sleep(began + item.at - performance.now());
			await this.change(item);
		}
	}

	// All have a session as they come; then each is told of the next one, of
	// another login, and of the end.

	async settleSessions() {
		for (const token of Object.keys(TOKENS)) {
			await this.changed('save', token);
		}

		this.tenants.forEach((one) => one.again());

		await this.seated();

		for (const token of Object.keys(TOKENS)) {
			await this.told(token, await this.changed('save', token));
		}

		await this.told('t1', await this.changed('login', 't1'));
		await this.told('t2', 'logout');
		await this.changed('delete', 't3');
		await this.told('t3', 'logout');
	}

	async seated() {
		if (!await waitFor(() => this.tenants.every((one) => one.id))) {
			this.record('stuck', { what: 'tenants' });
		}
	}

	async told(token, is) {
		const all = this.tenants.filter((one) => one.token === token);

		await waitFor(() => all.every((one) => one.told === is), 30);

		all.forEach((one) => one.ask());

		await waitFor(() => all.every((one) => one.granted !== undefined), 30);

		for (const { conn, told, granted } of all) {
			this.record('settled', { conn, token, is, told, granted });
		}
	}

	#control(host, operation, json, prefix = '') {
		return request(this.address(host), 'POST',
			`${prefix}/control/${operation}`,
			{ body: JSON.stringify(json),
				headers: { 'Content-Type': 'application/json' } });
	}

	// Orders are given one after another, so that the last one counts.

	async order(item) {
		const { what, room, host, user } = item;
		const c = this.clients.find((one) => one.name === item.client);
		const k = this.number();
		const who = user ? { user } : { clientId: c.id };

		// a stream has positions of the rooms of its URL alone

		if (!user && (!c.id || (room && c.ordered.get(room) === 'leave')
		    || (room === 'doc:9' && c.streams)))
		{
			return;
		}

		c?.ordered.set(room, what);
		this.record('order', { k, what, room, user, id: c?.id,
			client: c?.conn, host });

		const answer = await this.#control(host, what, room
			? { room, ...who } : who);
		const { hosts, degraded } = answer?.body.startsWith('{')
			? JSON.parse(answer.body) : {};

		this.record('ordered', { k, status: answer?.status,
			sure: answer?.status === 200 && !degraded
				&& (!hosts || (hosts.asked === this.plan.hosts
				    && hosts.answered === hosts.asked)) });
	}

	async orders(began) {
		for (const item of this.plan.orders) {
			await sleep(began + item.at - performance.now());
			await this.order(item);
		}
	}

	#said(answer, room) {
		if (!answer?.body.startsWith('{')) {
			return {};
		}

		const { errorCode: code, rooms } = JSON.parse(answer.body);

		return { code, position: rooms?.[room]?.position ?? undefined };
	}

	async publisher({ items }, began) {
		for (const [ i, item ] of items.entries()) {
			await sleep(began + item.at - performance.now());

			// what has the LSN of the one before is the same message

			const again = item.lsn !== undefined
				&& items.slice(0, i).find((one) => one.lsn === item.lsn);

			await (item.to ? this.say(item) : item.twice
				&& this.recoverable(item.room) ? this.twice(item) : this.publish(again || item));
		}
	}

	// those of a host, and those of Redis, one after another

	async faults(list, began) {
		for (const f of list) {
			await sleep(began + f.at - performance.now());

			this.record('fault', { ...f, begins: true });
			await faults[f.what](this, f);
			this.record('fault', { what: f.what, ends: true });
		}
	}

	async work() {
		const { plan } = this;

		for (const token of plan.tenants.length ? Object.keys(TOKENS) : []) {
			await this.changed('save', token);
		}

		for (const c of [ ...this.clients, ...this.tenants ]) {
			c.connect();
		}

		await this.ready();

		const began = performance.now();

		this.record('work');

		for (const [ i, spec ] of plan.clients.entries()) {
			for (const a of spec.actions) {
				this.later(() => this.quiet || this.clients[i].act(a), a.at);
			}
		}

		const ofHost = (n) => plan.faults.filter((f) => f.host === n
			&& FAULTS_OF_HOSTS.has(f.what));
		const ofApp = plan.faults.filter((f) => f.what.startsWith('app'));
		const ofRedis = plan.faults.filter((f) =>
			!FAULTS_OF_HOSTS.has(f.what) && !ofApp.includes(f));

		await Promise.all([
			sleep(plan.ms),
			...plan.publishers.map((p) => this.publisher(p, began)),
			this.orders(began),
			this.changes(began),
			...this.hosts.map((_, n) => this.faults(ofHost(n), began)),
			this.faults(ofRedis, began),
			this.faults(ofApp, began),
		]);
	}

	// nothing is done to anybody any more: all come to the same end

	async settle() {
		this.quiet = true;
		this.record('quiet');

		for (const c of this.clients) {
			c.stays = true;

			if (c.link?.wire) {
				c.link.wire.left = Infinity;
				c.link.wire.sendLeft = Infinity;
			}

			if (c.link) {
				c.link.next = c.link.sending = undefined;
				c.link.resume();
			}
		}

		await this.linked();
		await this.ready();
		await this.answered();
		await this.status({ well: true });

		for (const room of [ 'doc:1', 'doc:2', 'wal:1', 'chat:1',
			'cursor:1' ])
		{
			await this.probe(room);
		}

		if (this.plan.crowd) {
			await this.hail({ all: true }, () => true);
			await this.hail({ user: 'u1' }, (c) => c.user === 'u1');
			await this.hail({ pattern: 'chat:*' }, (c) => c.rooms.has('chat:1')
				|| c.rooms.has('chat:*'));
		}

		if (this.tenants.length) {
			await this.settleSessions();
		}

		await this.readers();
		await this.rest();
	}

	// What is said to a volatile room may be missed by who comes back just
	// then, and so may what a recoverable one has forgotten meanwhile, which
	// the client is told: so it is said until all have heard.

	async probe(room) {
		const volatile = !this.recoverable(room);
		const members = this.clients.filter((c) => c.rooms.has(room));
		const mids = [];

		for (let round = 0; round < (volatile ? 50 : 5); round++) {
			let item;

			for (let n = 0; n < PROBES; n++) {
				item = { room, host: n % this.plan.hosts, id: true };
				await this.publish(item, 400);
			}

			mids.push(item.mid);
			this.record('probe', { room, mid: item.mid });

			if (await waitFor(() => members.every((c) =>
				mids.includes(c.last.get(room))), volatile ? 2 : 15))
			{
				return;
			}

			await this.ready();
		}

		for (const c of members) {
			if (!mids.includes(c.last.get(room))) {
				this.record('stuck', { what: 'deaf', room, client: c.name,
					conn: c.conn });
			}
		}
	}

	// so that all of those have heard

	async hail(to, which) {
		const mids = [];
		const deaf = () => this.clients.filter((c) => which(c)
			&& !mids.includes(c.noticed));

		for (let round = 0; round < 50; round++) {
			mids.push(await this.say({ to, host: round % this.plan.hosts }));

			if (await waitFor(() => !deaf().length, 2)) {
				return;
			}

			await this.ready();
		}

		for (const c of deaf()) {
			this.record('stuck', { what: 'deaf', to, client: c.name,
				conn: c.conn });
		}
	}

	// Who comes with the first position there was reads all there is.

	async readers() {
		const rooms = [ 'doc:1', 'doc:2', 'wal:1' ];
		const readers = this.hosts.flatMap((_, host) => rooms.map((room) => {
			const c = new Client(this, { name: `reader-${host}-${room}`,
				kind: 'ws', host, rooms: [ room ] });
			const first = this.history.find((e) => e.e === 'joined'
				&& e.room === room && e.pos);

			c.stays = true;

			if (first) {
				c.positions.set(room, first.pos);
				c.past.set(room, [ first.pos ]);
			}

			c.connect();

			return c;
		}));

		this.clients.push(...readers);

		await this.ready();

		for (const room of rooms) {
			await this.probe(room);
		}
	}

	// who is where

	async rest() {
		const expected = new Map();

		for (const c of this.clients) {
			for (const room of c.rooms) {
				expected.set(room, [ ...expected.get(room) ?? [], c.id ]);
			}
		}

		for (const [ room, ids ] of expected) {
			const list = ids.sort().join();
			let found;

			await waitFor(async () => {
				found = await this.members(room);

				return found.join() === list;
			});

			this.record('members', { room, ids: found });
		}

		for (const room of this.plan.crowd ? [ 'ward:1', 'doc:9' ] : []) {
			const there = (id) => this.clients.some((c) => c.id === id);
			let ids;

			// who was lost is found out after a while

			await waitFor(async () => {
				ids = await this.members(room);

				return ids.every(there);
			});

			this.record('ward', { room, ids });
		}

		this.record('rest');
		await this.status({ rest: true });
	}

	async members(room) {
		const all = new Set();

		for (const host of this.hosts) {
			const answer = await host.ask('/control/members?limit=1000&room='
				+ encodeURIComponent(room));

			answer?.members.forEach((m) => all.add(m.clientId));
		}

		return [ ...all ].sort();
	}

	// all go; what they took comes back

	async leave() {
		this.over = true;

		for (const c of this.clients) {
			c.stop();
		}

		this.tenants.forEach((one) => one.again());

		for (const [ i, host ] of this.hosts.entries()) {
			let status;

			await waitFor(async () => {
				status = await host.ask('/status');

				return status && status.clients === 0
					&& status.members === 0 && status.sessions === 0
					&& (this.plan.ttl !== '1s' || status.rooms === 0);
			});

			this.record('status', { host: i, last: true, ...status });
		}

		for (const host of this.hosts) {
			await host.stop('SIGTERM');
		}

		for (const host of this.hosts) {
			for (const line of host.faults()) {
				this.record('log', { line });
			}
		}
	}

	destroy() {
		this.over = true;
		this.hosts?.forEach((host) => host.destroy());
		this.proxies.forEach((proxy) => proxy.destroy());
		this.app?.destroy();
		this.redis?.destroy();
		this.replica?.destroy();
	}
}

const FAULTS_OF_HOSTS = new Set([ 'killWorker', 'stopWorker', 'reload', 'quit',
	'term', 'killHost' ]);

const args = process.argv.slice(2);
const option = (name) => {
	const i = args.indexOf(name);

	return i < 0 ? undefined : args[i + 1];
};

const seed = Number(args[0]);
const plan = makePlan(seed, {
	faults: option('--faults')?.split(','),
	with: option('--with')?.split(','),
	plain: args.includes('--plain'),
	cluster: args.includes('--cluster') ? true
		: args.includes('--alone') ? false : undefined,
});

const keep = option('--keep');
const dir = mkdtempSync(join(tmpdir(), 'sync-chaos-'));
const run = new Run(plan, dir);

process.on('exit', () => {
	run.destroy();

	if (!process.env.SYNC_LEAVE) {
		rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
	}
});

for (const name of [ 'SIGINT', 'SIGTERM', 'SIGHUP' ]) {
	process.on(name, () => process.exit(1));
}

run.record('begin', { ...plan, clients: plan.clients.length,
	publishers: plan.publishers.length });

let violations;

try {
	await run.start();
	await run.work();
	await run.settle();
	await run.leave();

	run.record('end');
	violations = check(run.history);

} catch (error) {
	violations = [ `run: ${error.stack}` ];
}

if (keep) {
	mkdirSync(keep, { recursive: true });
	writeFileSync(`${keep}/${seed}.ndjson`, run.history.map((e) =>
		JSON.stringify(e)).join('\n') + '\n');
}

console.log(`seed ${seed}: ${summary(run.history)}`);

for (const text of violations.slice(0, 20)) {
	console.log(`  ${text}`);
}

process.exit(violations.length ? 1 : 0);
