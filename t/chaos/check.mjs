// Copyright (C) sync for nginx

// Whether a history keeps the promises.  It sees the history and nothing else.
//
//     node check.mjs FILE...
//
// A position is a node; that a client heard one right after another, or was
// told that it goes on from there, is an edge.  In a room's log each node has
// one before it: of all that are claimed, the nearest one.  Every other claim
// has to be a way along that chain, and what it passes over must be for others.
// So one client that missed, doubled or swapped something contradicts those
// that did not.

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

import { Calls } from './check_calls.mjs';
import { Crowd, isWard } from './check_crowd.mjs';
import { Keys } from './check_keys.mjs';
import { Sessions } from './check_sessions.mjs';

const NOWHERE = '00000000';             // of no node: the LSN alone is known

function parse(pos) {
	const [ , hi, lo, nonce ] = /^([0-9A-F]+)\/([0-9A-F]+)\.([0-9a-f]{8})$/
		.exec(pos) ?? [];

	return { pos, nonce, lsn: nonce === undefined ? NaN
		: parseInt(hi, 16) * 2 ** 32 + parseInt(lo, 16) };
}

class Checker {
	constructor(history) {
		this.history = history;
		this.plan = history[0];
		this.conns = new Map();
		this.rooms = new Map();         // those that have positions
		this.volatile = new Map();      // what each connection heard there
		this.publishes = new Map();     // by number
		this.messages = new Map();      // by mid
		this.counters = {};
		this.probes = new Map();        // the last message, by room
		this.violations = [];
		this.calls = new Calls(this);
		this.crowd = new Crowd(this);
		this.parts = [ this.calls, this.crowd, new Sessions(this),
			new Keys(this) ];
	}

	bad(text, e) {
		this.violations.push(e ? `${text} [${JSON.stringify(e)}]` : text);
	}

	run() {
		for (const e of this.history) {
			if (e.e === 'status' && e.counters) {
				for (const [ name, n ] of Object.entries(e.counters)) {
					const known = this.counters[name] ?? 0;

					this.counters[name] = Math.max(known, n);
				}
			}
		}

		this.lossy = this.plan.lossy && !this.#harmless();
		this.well = this.#undisturbed();

		for (const e of this.history) {
			this[`on_${e.e}`]?.(e);
			this.parts.forEach((part) => part[`on_${e.e}`]?.(e));
		}

		for (const [ name, room ] of this.rooms) {
			this.#chain(name, room);
		}

		this.#refused();
		this.#volatile();
		this.parts.forEach((part) => part.end?.());

		return this.violations;
	}

	// deaths of workers only, and none of them in the lock

	#harmless() {
		return !this.plan.cluster && !this.counters.resets
			&& !this.plan.faults.some((f) =>
				/^(quit|term|killHost)$/.test(f.what));
	}

	// When all was well at the end, if no link to Redis was lost since then.

	#undisturbed() {
		const names = [ 'redisTimeouts', 'redisLost', 'redisReconnects' ];
		const at = (which) => this.history.filter((e) =>
			e.e === 'status' && e[which]);
		const sum = (list) => names.map((name) => list.map((e) =>
			e.counters?.[name]).join()).join(';');
		const well = at('well');

		return well.length && sum(well) === sum(at('rest'))
			? well.at(-1).t : Infinity;
	}

	room(name) {
		let room = this.rooms.get(name);

		if (!room) {
			room = { nodes: new Map(), edges: [] };
			this.rooms.set(name, room);
		}

		return room;
	}

	node(name, pos) {
		const { nodes } = this.room(name);
		let node = nodes.get(pos);

		if (!node) {
			node = { ...parse(pos), mids: new Set() };
			nodes.set(pos, node);

			if (Number.isNaN(node.lsn)) {
				this.bad(`${name}: no position: ${pos}`);
			}
		}

		return node;
	}

	// what is out of order is told elsewhere

	edge(name, from, to, conn, e) {
		if (from && from.lsn < to.lsn) {
			this.room(name).edges.push({ from, to, conn, e });
		}
	}

	message(mid) {
		let m = this.messages.get(mid);

		if (!m) {
			m = { mid, sayings: [], positions: new Set(), answers: [] };
			this.messages.set(mid, m);
		}

		return m;
	}

	member(e) {
		const conn = this.conns.get(e.conn);
		let state = conn.rooms.get(e.room);

		if (!state) {
			state = { member: false, last: undefined, asked: [] };
			conn.rooms.set(e.room, state);
		}

		return state;
	}

	on_open(e) {
		this.conns.set(e.conn, { ...e, rooms: new Map(), open: true });
	}

	on_connected(e) {
		const conn = this.conns.get(e.conn);

		conn.id = e.id;
		conn.since = e.t;
	}

	on_close(e) {
		this.conns.get(e.conn).open = false;
	}

	on_publish(e) {
		const saying = { ...e, answer: undefined };

		this.publishes.set(e.k, saying);
		this.message(e.mid).sayings.push(saying);
	}

	on_published(e) {
		const p = this.publishes.get(e.k);

		p.answer = e;

		if (e.status === 200 && e.position) {
			const node = this.node(p.room, e.position);

			node.accepted = e.t;
			this.#content(p.room, node, p.mid, e);

			if (p.lsn !== undefined && node.lsn !== p.lsn) {
				this.bad('accepted at another LSN', e);
			}

		} else if (e.status === 409 && e.position
		           && parse(e.position).lsn < p.lsn)
		{
			this.bad('stale, though above the top', e);
		}
	}

	on_sync(e) {
		this.message(e.mid).sayings.push({ ...e, sync: true,
			by: this.conns.get(e.conn).id });
	}

	#content(room, node, mid, e) {
		if (mid === undefined) {
			this.bad(`${room}: unknown content`, e);
			return;
		}

		node.mids.add(mid);

		const m = this.message(mid);

		m.room = room;
		m.positions.add(node.pos);

		if (node.mids.size > 1) {
			this.bad(`${room}: ${node.pos} is ${[ ...node.mids ]}`, e);
		}
	}

	on_join(e) {
		this.member(e).asked.push(e.pos);
	}

	on_joined(e) {
		const state = this.member(e);
		const asked = state.asked.shift();

		if (e.error) {
			return;
		}

		state.member = true;
		state.since = e.t;
		state.silent = e.silent;
		state.unsure = e.reason === 'unavailable';

		if (e.pos === undefined) {
			return;
		}

		const top = this.node(e.room, e.pos);

		if (!e.recovered) {
			state.last = top;
			this.#reason(e, asked, top);
			return;
		}

		if (asked === undefined || asked === '-') {
			this.bad('recovered from nowhere', e);
			return;
		}

		const from = this.node(e.room, asked);

		state.last = from;

		if (top.lsn < from.lsn) {
			this.bad('recovered beyond the top', e);
		}

		// where it says that the room is has to come after where it was

		top.claims ??= [];
		top.claims.push({ from, e });
	}

	// whether that is a reason here

	#reason(e, asked, top) {
		const small = this.plan.history < 1000;
		const known = asked !== undefined && asked !== '-';
		const nodes = this.room(e.room).nodes.size;

		const wrong = {
			new: known,
			invalid: true,
			trimmed: !small && this.plan.zone !== '1m'
				&& this.plan.ttl === '1h' && nodes < this.plan.history,
			expired: this.plan.ttl !== '1s',
			fork: !this.lossy && !(asked ?? '').endsWith(NOWHERE),
			reset: !this.lossy && !this.#forgets(),
			overflow: this.plan.queue !== 'drop',
			unavailable: !this.plan.cluster || e.t > this.well,
		}[e.reason];

		if (wrong || wrong === undefined) {
			this.bad(`reason ${e.reason} after ${asked}, ${top.lsn
				- parse(asked ?? '').lsn} messages`, e);
		}
	}

	// a room may be gone, or what is copied of one

	#forgets() {
		return this.plan.ttl === '1s' || this.counters.resets
			|| (this.plan.cluster && (this.plan.history < 1000
			    || this.plan.zone === '1m'));
	}

	on_left(e) {
		if (!e.error) {
			this.member(e).member = false;
		}
	}

	on_heard(e) {
		const conn = this.conns.get(e.conn);
		const state = this.member(e);

		if (!state.member && !this.crowd.mayHear(conn, e.room)) {
			this.bad('heard by one who is no member', e);
		}

		if (this.#withheld(conn, this.message(e.mid ?? ''))) {
			this.bad('heard by one who was left out', e);
		}

		if (e.pos === undefined) {
			this.#heardVolatile(conn, e);
			return;
		}

		const node = this.node(e.room, e.pos);

		node.heard = true;
		this.#content(e.room, node, e.mid, e);
		this.#goOn(conn, state, node, e);
	}

	on_moved(e) {
		const conn = this.conns.get(e.conn);
		const state = this.member(e);
		const node = this.node(e.room, e.pos);

		if (!state.member && !this.crowd.mayHear(conn, e.room)) {
			this.bad('told to one who is no member', e);
		}

		node.passed ??= [];
		node.passed.push({ conn, e });
		this.#goOn(conn, state, node, e);
	}

	#goOn(conn, state, node, e) {
		const { silent } = state;

		state.silent = false;

		// who goes on as who it was may hear again what it has heard

		if (silent && state.last && node.lsn <= state.last.lsn) {
			state.last = node;
			return;
		}

		if (state.last && node.lsn <= state.last.lsn) {
			this.bad(node === state.last ? 'heard twice'
				: `out of order, after ${state.last.pos}`, e);
		}

		if (!state.last && !isWard(e.room)) {
			this.bad('no position before it', e);
		}

		this.edge(e.room, state.last, node, conn, e);
		state.last = node;
	}

	on_gap(e) {
		const state = this.member(e);

		if (!state.member
		    && !this.crowd.mayHear(this.conns.get(e.conn), e.room))
		{
			this.bad('a gap told to one who is no member', e);
		}

		state.last = this.node(e.room, e.pos);

		// where nothing could be told, nothing is wrong later

		if (!state.unsure) {
			this.#reason(e, '', state.last);
		}
	}

	on_members(e) {
		const there = [ ...this.conns.values() ].filter((c) => c.open && c.id
			&& c.rooms.get(e.room)?.member).map((c) => c.id).sort();

		if (there.join() !== e.ids.join()) {
			const extra = e.ids.filter((id) => !there.includes(id));
			const missing = there.filter((id) => !e.ids.includes(id));

			this.bad(`members of ${e.room}: ${extra.length} too many: ${
				extra}; missing: ${missing}`);
		}
	}

	on_stuck(e) {
		this.bad(`stuck: ${e.what}`, e);
	}

	on_log(e) {
		this.bad(`log: ${e.line}`);
	}

	on_fault(e) {
		if (e.ends) {
			this.healed = e.t;
		}
	}

	on_probe(e) {
		this.probes.set(e.room, e.mid);
	}

	// at the end all members have heard the last of what was said

	on_rest(e) {
		for (const conn of this.conns.values()) {
			for (const [ name, { member, last } ] of conn.rooms) {
				const probe = this.probes.get(name);

				if (conn.open && member && probe && this.rooms.has(name)
				    && !last?.mids.has(probe))
				{
					this.bad(`${name}: connection ${conn.conn} is at ${
						last?.pos} at the end`);
				}
			}
		}
	}

	on_status(e) {
		if (!e.last) {
			return;
		}

		if (e.clients || e.members || e.sessions) {
			this.bad('not empty at rest', { clients: e.clients,
				members: e.members, sessions: e.sessions });
		}
	}

	// Whether a message was not for a connection.

	#withheld(conn, message) {
		return message.sayings.some((s) => s.except?.includes(conn.id)
			|| (s.ignoreSelf && s.by === conn.id));
	}

	mayMiss(conn, message) {
		return this.#withheld(conn, message)
			|| this.calls.withheld(conn, message.mid);
	}

	#mayBeWithheld(name, conn, node) {
		const [ mid ] = node.mids;

		if (mid !== undefined) {
			return this.mayMiss(conn, this.messages.get(mid));
		}

		return this.#unknown(name, conn) > 0;
	}

	// how many messages may be in the log that nobody can tell the position
	// of, or that of this life, and that are not for the connection

	#unknown(name, conn) {
		let n = 0;

		for (const m of this.messages.values()) {
			if (m.sayings[0]?.room === name
			    && (!m.positions.size || this.lossy)
			    && this.mayMiss(conn, m))
			{
				n++;
			}
		}

		return n;
	}

	#chain(name, room) {
		const before = new Map();

		for (const { from, to } of room.edges) {
			const known = before.get(to);

			if (from.nonce !== NOWHERE
			    && (!known || from.lsn > known.lsn))
			{
				before.set(to, from);
			}
		}

		for (const edge of room.edges) {
			this.#walk(name, before, edge);
		}

		const nodes = [ ...room.nodes.values() ].filter((n) =>
			n.nonce !== NOWHERE).sort((a, b) => a.lsn - b.lsn);

		for (const node of nodes) {
			for (const { conn, e } of node.passed ?? []) {
				if (!this.#mayBeWithheld(name, conn, node)) {
					this.bad(`${name}: passed over`, e);
				}
			}

			for (const { from, e } of node.claims ?? []) {
				this.#descends(name, before, node, from, e);
			}
		}

		if (!this.lossy) {
			this.#oneLife(name, room, nodes);

		} else {
			this.#lastLife(name, room, before, nodes);
		}
	}

	// from "to" back to "from", along the chain

	#walk(name, before, { from, to, conn, e }) {
		let at = to;
		let missing = 0;

		for ( ;; ) {
			const prev = before.get(at);

			// in these each message is one above the last

			if (name.startsWith('doc')) {
				const low = prev && prev.lsn > from.lsn ? prev : from;

				missing += at.lsn - low.lsn - 1;
			}

			if (!prev || prev === from) {
				break;
			}

			if (prev.lsn <= from.lsn) {
				if (from.nonce !== NOWHERE) {
					this.bad(`${name}: ${to.pos} follows ${from.pos}, ${
						''}but others heard ${prev.pos} before ${at.pos}`,
						e);
				}

				break;
			}

			if (!this.#mayBeWithheld(name, conn, prev)) {
				this.bad(`${name}: a hole: ${prev.pos} (${
					[ ...prev.mids ]}) after ${from.pos}`, e);
				return;
			}

			at = prev;
		}

		if (missing > this.#unknown(name, conn)) {
			this.bad(`${name}: a hole of ${missing} after ${from.pos}`, e);
		}
	}

	// "from" is on the way back from a node, as far as that is known

	#descends(name, before, node, from, e) {
		let at = node;

		while (at && at.lsn > from.lsn) {
			at = before.get(at);
		}

		if (at && at !== from && from.nonce !== NOWHERE) {
			this.bad(`${name}: recovered, but ${node.pos} is after ${at.pos}`,
				e);
		}
	}

	// Nothing may be lost: all positions are of one order.

	#oneLife(name, room, nodes) {
		const index = new Map(nodes.map((n, i) => [ n, i ]));

		nodes.forEach((n, i) => {
			if (i && nodes[i - 1].lsn === n.lsn) {
				this.bad(`${name}: ${nodes[i - 1].pos} and ${n.pos}`);
			}
		});

		for (const { from, to, conn, e } of room.edges) {
			const first = index.has(from) ? index.get(from) + 1
				: nodes.findIndex((n) => n.lsn > from.lsn);

			for (let i = first; i < index.get(to); i++) {
				if (!this.#mayBeWithheld(name, conn, nodes[i])) {
					this.bad(`${name}: a hole: ${nodes[i].pos} (${
						[ ...nodes[i].mids ]}) after ${from.pos}`, e);
				}
			}
		}

		for (const m of this.messages.values()) {
			if (m.positions.size > 1 && m.room === name) {
				this.bad(`${name}: ${m.mid} is at ${[ ...m.positions ]}`);
			}
		}
	}

	// What was accepted when all was well again is in the log that there is at
	// the end.

	#lastLife(name, room, before, nodes) {
		const m = this.messages.get(this.probes.get(name));
		const [ pos ] = m ? [ ...m.positions ].slice(-1) : [];
		const chain = new Set();
		let at = room.nodes.get(pos);
		let lowest = Infinity;

		while (at) {
			chain.add(at);
			lowest = at.lsn;
			at = before.get(at);
		}

		for (const n of nodes) {
			// what is for nobody who was there is heard by nobody

			const said = this.messages.get([ ...n.mids ][0])?.sayings ?? [];

			if (!n.heard && said.some((s) => s.except || s.ignoreSelf)) {
				continue;
			}

			if (n.accepted > this.healed && n.lsn > lowest && !chain.has(n)
			    && this.messages.get([ ...n.mids ][0]).sayings.every((s) =>
				s.t > this.healed))
			{
				this.bad(`${name}: ${n.pos} (${[ ...n.mids ]}) is lost`);
			}
		}
	}

	// What was refused is heard by nobody.

	#refused() {
		for (const m of this.messages.values()) {
			const refused = m.sayings.length && m.sayings.every((s) =>
				s.answer && (/^4/.test(s.answer.status ?? '')
				|| (s.answer.status === 503 && !this.plan.cluster)));

			if (refused && (m.positions.size || m.heard)) {
				this.bad(`${m.mid} was refused, and heard`, m.sayings[0]);
			}
		}
	}

	#heardVolatile(conn, e) {
		const m = this.message(e.mid);

		conn.ears ??= new Map();        // by room

		if (!conn.ears.has(e.room)) {
			conn.ears.set(e.room, { conn, room: e.room, heard: [],
				times: new Map() });
		}

		const { heard, times } = conn.ears.get(e.room);

		if (times.has(e.mid)) {
			this.bad('heard twice', e);
		}

		m.heard = true;
		heard.push({ mid: e.mid, since: conn.rooms.get(e.room).since });
		times.set(e.mid, heard.length - 1);
	}

	// On a host there is one order of what is said in a volatile room; and who
	// hears what is said later has heard what was said before.

	#volatile() {
		this.said = [ ...this.publishes.values(),
			...this.calls.answered() ].filter((p) =>
			p.answer?.status === 200);

		// where keys are, a message takes the place of another

		const ears = [ ...this.conns.values() ].flatMap((c) =>
			[ ...c.ears?.values() ?? [] ]).filter(({ room }) =>
			room !== 'cursor:1');

		for (const a of ears) {
			for (const b of ears) {
				if (a.room === b.room && a.conn.host === b.conn.host
				    && a.conn.conn < b.conn.conn)
				{
					this.#sameOrder(a, b);
				}
			}

			if (!this.counters.dropped && !this.counters.overrun
			    && !this.counters.resets)
			{
				this.#heardAll(a);
			}
		}
	}

	#sameOrder(a, b) {
		let last = -1;

		for (const { mid } of a.heard) {
			const at = b.times.get(mid);

			if (at === undefined) {
				continue;
			}

			if (at < last) {
				this.bad(`${a.room}: connections ${a.conn.conn} and ${
					b.conn.conn} heard ${mid} in another order`);
				return;
			}

			last = at;
		}
	}

	#heardAll({ conn, room, heard, times }) {
		const said = this.said.filter((p) => p.host === conn.host
			&& p.room === room);

		for (const later of said.filter((p) => times.has(p.mid))) {
			const { since } = heard[times.get(later.mid)];
			const missed = said.find((p) => p.t > since
				&& p.answer.t < later.t && !times.has(p.mid)
				&& !this.mayMiss(conn, this.messages.get(p.mid)));

			if (missed) {
				this.bad(`connection ${conn.conn} heard ${later.mid}, and ${
					''}missed ${missed.mid}`);
				return;
			}
		}
	}
}

export function check(history) {
	return new Checker(history).run();
}

// a line about a history

export function summary(history) {
	const count = (e) => history.filter((one) => one.e === e).length;
	const { cluster, history: kept, ttl, zone, faults } = history[0];
	const recovered = history.filter((e) => e.e === 'joined' && e.recovered);

	return `${cluster ? '2 hosts' : '1 host'}, history ${kept}, ttl ${ttl}, ${
		''}zone ${zone}; ${faults.map((f) => f.what).join(', ')
		|| 'no faults'}; ${count('open')} connections, ${
		''}${recovered.length} recovered, ${count('gap')} gaps, ${
		''}${count('published')} publishes, ${count('heard')} heard; ${
		''}${(history.at(-1).t / 1000).toFixed(1)} s`;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
	let failed = false;

	for (const file of process.argv.slice(2)) {
		const history = readFileSync(file, 'utf8').trim().split('\n')
			.map((line) => JSON.parse(line));
		const violations = check(history);

		console.log(`${file}: ${violations.length || 'no'} violations`);
		violations.slice(0, 20).forEach((text) => console.log(`  ${text}`));
		failed ||= violations.length > 0;
	}

	process.exit(failed ? 1 : 0);
}
