// Copyright (C) sync for nginx

// What a seed stands for: the hosts and their limits, the clients and what they
// do, the messages, the faults.  Times are in ms from the beginning.

import { Random } from './random.mjs';

const KINDS = [ 'ws', 'ws', 'sio', 'poll', 'sse', 'sse' ];
const ROOMS = [ 'doc:1', 'doc:2', 'wal:1', 'chat:1', 'cursor:1' ];

// which faults there may be, how often, with Redis (2) or without (1)

const FAULTS = [
	[ 'killWorker', 6, 3 ],
	[ 'stopWorker', 3, 3 ],
	[ 'reload', 3, 3 ],
	[ 'quit', 2, 3 ],
	[ 'term', 1, 3 ],
	[ 'killHost', 1, 3 ],
	[ 'redisKill', 3, 2 ],
	[ 'redisTerm', 2, 2 ],
	[ 'redisStop', 3, 2 ],
	[ 'redisPause', 2, 2 ],
	[ 'killSubscribers', 4, 2 ],
	[ 'killLinks', 2, 2 ],
	[ 'scriptFlush', 1, 2 ],
	[ 'full', 2, 2 ],
	[ 'flushAll', 1, 2 ],
	[ 'forget', 1, 2 ],
	[ 'promote', 3, 2 ],
	[ 'linkCut', 5, 2 ],
	[ 'linkWait', 4, 2 ],
	[ 'linkHold', 4, 2 ],
	[ 'linkClose', 2, 2 ],
];

// tokens, and whose they are

export const TOKENS = { t1: 'v1', t2: 'v1', t3: 'v2' };

const USERS = [ 'u1', 'u2' ];
const FAULTS_OF_APP = [ 'appKill', 'appHang' ];

// those after which some of what was said may be gone, and is told as such

const LOSSY = { 1: [ 'quit', 'term', 'killHost', 'killWorker' ],
	2: [ 'flushAll', 'forget', 'promote' ] };

export function makePlan(seed, only = {}) {
	const r = new Random('plan', seed);
	const cluster = only.cluster ?? r.chance(0.45);
	const bit = cluster ? 2 : 1;
	const small = r.chance(0.15) && !only.plain;

	const plan = {
		seed,
		cluster,
		hosts: cluster ? 2 : 1,
		workers: 2,
		zone: small ? '1m' : '16m',
		history: small ? 500 : only.plain ? 3000
			: r.pick([ 3000, 3000, 3000, 20, 6 ]),
		ttl: r.chance(0.1) && !only.plain ? '1s' : '1h',
		queue: r.pick([ 'close', 'drop' ]),
		buffer: r.pick([ '64k', '1m' ]),
		sndbuf: r.chance(0.3),
		drain: r.pick([ '100ms', '500ms' ]),
		durable: r.chance(0.8),
		ms: r.range(500, 900),
	};

	plan.app = only.with ? only.with.includes('app') : r.chance(0.35);
	plan.stage = only.with ? only.with.includes('stage')
		: plan.app && r.chance(0.5);

	plan.crowd = only.with ? only.with.includes('crowd') : r.chance(0.4);

	const pad = small ? [ 0, 2000, 6000 ] : plan.sndbuf ? [ 0, 1000, 4000 ]
		: [ 0, 0, 100 ];

	plan.clients = Array.from({ length: r.range(8, 14) }, (_, i) =>
		makeClient(r, plan, i));
	plan.publishers = Array.from({ length: r.range(2, 4) }, (_, i) =>
		makePublisher(r, plan, i, pad));
	plan.tenants = (only.with ? only.with.includes('sessions')
		: r.chance(0.3)) ? makeTenants(r, plan) : [];
	plan.changes = plan.tenants.length ? makeChanges(r, plan) : [];
	plan.orders = plan.crowd ? makeOrders(r, plan) : [];
	plan.faults = only.plain ? [] : [
		...makeFaults(r, plan, bit, only.faults),
		...plan.app ? makeAppFaults(r, plan, only.faults) : [],
	];

	// hosts have Redis behind a proxy, which breaks what it says into pieces

	plan.piece = r.pick([ 0, 0, 0, 5 ]);
	plan.proxied = cluster && plan.faults.some((f) =>
		f.what.startsWith('link'));

	plan.lossy = plan.faults.some((f) => LOSSY[bit].includes(f.what)
		|| (f.what.match(/^redis(Kill|Term)$/) && !plan.durable));

	return plan;
}

function makeClient(r, plan, i) {
	const kind = r.pick(KINDS);
	const all = plan.app ? [ ...ROOMS, 'gate:1' ] : ROOMS;
	const rooms = r.some(all, r.range(1, all.length));
	const client = { name: `c${i + 1}`, kind, rooms,
		host: r.range(0, plan.hosts - 1), actions: [],
		user: kind === 'sse' ? r.pick(USERS) : undefined };

	if (plan.crowd && r.chance(0.4)) {
		rooms.push(r.pick([ 'chat:*', 'doc:*' ]));
	}

	for (let n = r.range(0, 5); n > 0; n--) {
		client.actions.push({ at: r.range(20, plan.ms),
			...makeAction(r, plan, client) });
	}

	for (let n = plan.app ? r.range(1, 6) : 0; n > 0; n--) {
		client.actions.push({ at: r.range(20, plan.ms),
			...makeCall(r, plan, client) });
	}

	client.actions.sort((a, b) => a.at - b.at);

	return client;
}

function makeAction(r, plan, client) {
	const what = r.pick([ 'cut', 'cut', 'cut', 'close', 'move', 'pause',
		'rejoin', 'sync', 'sync', 'sync', 'leave' ]);

	switch (what) {

	case 'cut':
		return { what, bytes: r.pick([ 0, r.range(1, 40), r.range(1, 3000) ]),
			reset: r.chance(0.4), sending: r.chance(0.2) };

	case 'move':
		return { what, host: r.range(0, plan.hosts - 1) };

	case 'pause':
		return { what, ms: r.range(20, 400) };

	case 'rejoin':
		return { what, room: r.pick(client.rooms) };

	case 'sync':
		return makeSync(r, plan, client);

	case 'leave':
		return { what, room: r.pick(client.rooms), ms: r.range(0, 200) };

	default:
		return { what };
	}
}

function makeSync(r, plan, client) {
	return { what: 'sync', room: r.pick(client.rooms),
		ignoreSelf: r.chance(0.3),
		data: plan.app ? makeData(r, 'sbbtt') : {} };
}

function makeCall(r, plan, client) {
	return r.chance(0.7) ? makeSync(r, plan, client)
		: { what: 'api', data: makeData(r, 's') };
}

// what the app is to do: see there

function makeData(r, kinds) {
	const does = r.pick([ 'ok', 'ok', 'lines', 'lines', 'lines', 'no', 'page' ]);

	return { does, ms: r.pick([ 0, 0, 5, 30 ]), lines: does === 'lines'
		? Array.from({ length: r.range(1, 6) }, () => r.pick([ ...kinds ]))
			.join('') + r.pick([ '', '', '', 'x', 'g' ]) : undefined };
}

// One sends its messages one after another.  Only the first says its own LSNs,
// as they would contradict others'.

function makePublisher(r, plan, i, pad) {
	const items = [];
	let lsn = 0x16b3700;

	for (let at = r.range(0, 20); at < plan.ms; at += r.range(1, 12)) {
		const wal = i === 0 && r.chance(0.4);
		const room = wal ? 'wal:1' : r.pick([ 'doc:1', 'doc:1', 'doc:2',
			'chat:1' ]);
		const item = { at, room, host: r.range(0, plan.hosts - 1),
			pad: r.pick(pad) };

		// one says what has keys, so that there is an order of it

		if (i === 0 && !wal && r.chance(0.4)) {
			item.room = 'cursor:1';
			item.key = r.pick([ 'a', 'b', 'c' ]);
			items.push(item);
			continue;
		}

		if (wal) {
			// some say once more what they said before

			item.lsn = r.chance(0.1) && lsn > 0x16b3700
				? lsn : lsn += r.pick([ 1, 1, 8, 240 ]);

		} else if (r.chance(0.5)) {
			item.id = true;
			item.twice = r.chance(0.15) && r.range(1, plan.hosts);
		}

		if (!item.twice && r.chance(0.1)) {
			item.except = r.some(plan.clients.map((c) => c.name),
				r.range(1, 3));
		}

		if (plan.crowd && !wal && r.chance(0.2)) {
			item.twice = undefined;
			item.to = r.pick([ { all: true }, { user: r.pick(USERS) },
				{ client: r.pick(plan.clients).name },
				{ pattern: r.pick([ 'chat:*', 'doc:*' ]) } ]);
			item.id = undefined;

		} else if (plan.crowd && !wal && r.chance(0.1)) {
			item.room = r.pick([ 'ward:1', 'doc:9' ]);
		}

		if (plan.app && !item.to && !wal && r.chance(0.15)) {
			item.sync = makeData(r, 'sb');
			item.id = item.except = item.twice = undefined;
		}

		if (r.chance(0.04)) {
			item.cut = { bytes: r.range(1, 250), sending: true,
				reset: r.chance(0.5) };
		}

		items.push(item);
	}

	return { items };
}

// whom the app puts somewhere, and whom it sends away

function makeOrders(r, plan) {
	const orders = [];

	for (let at = r.range(0, 60); at < plan.ms; at += r.range(5, 60)) {
		const item = { at, what: r.pick([ 'join', 'join', 'join', 'leave',
			'leave', 'kick', 'disconnect' ]),
			host: r.range(0, plan.hosts - 1),
			client: r.pick(plan.clients).name };

		if (item.what === 'join' || item.what === 'leave') {
			item.room = r.pick([ 'ward:1', 'doc:9' ]);

		} else if (r.chance(0.3)) {
			item.user = r.pick(USERS);
			item.client = undefined;
		}

		orders.push(item);
	}

	return orders;
}

function makeTenants(r, plan) {
	return Array.from({ length: r.range(4, 7) }, (_, i) => ({ name: i,
		token: r.pick(Object.keys(TOKENS)),
		host: r.range(0, plan.hosts - 1) }));
}

// what becomes of sessions; with Redis the app writes some of it there

function makeChanges(r, plan) {
	const changes = [];

	for (let at = r.range(0, 60); at < plan.ms; at += r.range(5, 60)) {
		changes.push({ at, what: r.pick([ 'save', 'save', 'save', 'delete',
			'login', ...plan.cluster ? [ 'SET', 'SET', 'DEL' ] : [] ]),
			token: r.pick(Object.keys(TOKENS)),
			host: r.range(0, plan.hosts - 1) });
	}

	return changes;
}

function makeAppFaults(r, plan, only) {
	const bag = FAULTS_OF_APP.filter((name) => !only || only.includes(name));

	return Array.from({ length: bag.length && r.pick([ 0, 0, 1, 2 ]) }, () =>
		({ at: r.range(50, Math.floor(plan.ms * 0.9)), what: r.pick(bag),
			ms: r.range(10, 300) })).sort((a, b) => a.at - b.at);
}

function makeFaults(r, plan, bit, only) {
	const bag = FAULTS.filter(([ name, , where ]) => (where & bit)
		&& (!only || only.includes(name)))
		.flatMap(([ name, n ]) => Array(n).fill(name));
	const faults = [];

	for (let n = r.pick([ 0, 1, 1, 1, 2, 2, 3 ]); n > 0 && bag.length; n--) {
		faults.push({
			at: r.range(50, Math.floor(plan.ms * 0.9)),
			what: r.pick(bag),
			host: r.range(0, plan.hosts - 1),
			worker: r.range(0, plan.workers - 1),
			ms: r.chance(0.05) ? 3500 : r.range(10, 400),
			lag: r.range(0, 200),
		});
	}

	for (const f of faults) {
		if (f.what.startsWith('link')) {
			f.kind = r.pick([ 'commands', 'subscriber', 'both' ]);
			f.side = r.pick([ 'up', 'down' ]);
			f.bytes = r.range(0, 400);
		}
	}

	// a replica can be promoted once

	let promoted = false;

	return faults.filter((f) => f.what !== 'promote' || !promoted
		&& (promoted = true)).sort((a, b) => a.at - b.at);
}
