// Copyright (C) sync for nginx

// What there is to say of what is said to many by other ways than a room: to
// all, to a user, to one client, to a pattern; and of what the app orders: whom
// it puts into a room, or out of it, and whom it sends away.

// rooms that only orders lead to

export const isWard = (room) => room === 'ward:1' || room === 'doc:9';

const covers = (pattern, room) => room.startsWith(pattern.slice(0, -1));

export class Crowd {
	constructor(checker) {
		this.checker = checker;
		this.plan = checker.plan;
		this.sayings = new Map();       // by mid
		this.orders = new Map();        // by number
		this.ears = new Map();          // by connection
		this.wards = new Map();         // by connection, by room
		this.away = new Map();          // since when it is to be gone
	}

	bad(text, e) {
		this.checker.bad(text, e);
	}

	#ears(conn) {
		if (!this.ears.has(conn)) {
			this.ears.set(conn, { noticed: new Map(), overheard: new Map(),
				order: [] });
		}

		return this.ears.get(conn);
	}

	#ward(conn) {
		if (!this.wards.has(conn)) {
			this.wards.set(conn, new Map());
		}

		return this.wards.get(conn);
	}

	on_say(e) {
		this.sayings.set(e.mid, { ...e, key: Object.entries(e.to).join() });
	}

	on_said(e) {
		this.sayings.get(e.mid).answer = e;
	}

	on_noticed(e) {
		const conn = this.checker.conns.get(e.conn);
		const said = this.sayings.get(e.mid);
		const { noticed } = this.#ears(e.conn);

		if (!said) {
			this.bad('nobody said that', e);
			return;
		}

		if (noticed.has(e.mid)) {
			this.bad('noticed twice', e);
		}

		noticed.set(e.mid, noticed.size);

		if (!this.#meant(conn, said.to) || said.except?.includes(conn.id)) {
			this.bad('noticed by one whom it is not for', e);
		}
	}

	#meant(conn, { all, user, clientId, pattern }) {
		return all || (user && user === conn.user)
			|| (clientId && clientId === conn.id)
			|| (pattern && this.#since(conn, pattern) !== undefined);
	}

	// Since when one is in a room that a pattern covers, or has asked for it.

	#since(conn, pattern) {
		const rooms = [ ...conn.rooms ].filter(([ room ]) =>
			covers(pattern, room)
			|| (room.endsWith('*') && covers(room, pattern.slice(0, -1))));
		const wards = [ ...this.wards.get(conn.conn)?.keys() ?? [] ];

		if (wards.some((room) => covers(pattern, room))) {
			return Infinity;
		}

		return rooms.length ? Math.min(...rooms.map(([ , state ]) =>
			state.steady ?? Infinity)) : undefined;
	}

	// it is in such a room, or was, from its answer on

	on_joined(e) {
		const state = this.checker.member(e);

		if (!e.error && state.steady === undefined) {
			state.steady = e.t;
		}
	}

	on_leave(e) {
		this.checker.member(e).steady = Infinity;
	}

	// heard by a pattern, in a room that it is not in

	on_overheard(e) {
		const conn = this.checker.conns.get(e.conn);
		const { overheard, order } = this.#ears(e.conn);
		const m = this.checker.message(e.mid ?? '');
		const times = conn.ears?.get(e.room)?.times;

		if (![ ...conn.rooms ].some(([ room, { member } ]) => member
			&& room.endsWith('*') && covers(room, e.room)))
		{
			this.bad('overheard with no pattern', e);
		}

		if (overheard.has(e.mid) || times?.has(e.mid)) {
			this.bad('overheard twice', e);
		}

		if (m.sayings.some((s) => s.except?.includes(conn.id)
			|| (s.ignoreSelf && s.by === conn.id)))
		{
			this.bad('overheard by one who was left out', e);
		}

		m.heard = true;
		overheard.set(e.mid, order.length);
		order.push(e);
	}

	on_heard(e) {
		if (e.pos === undefined && this.#ears(e.conn).overheard.has(e.mid)) {
			this.bad('heard, and overheard before', e);
		}
	}

	on_recovered(e) {
		for (const [ room ] of this.wards.get(e.from) ?? []) {
			this.#ward(e.conn).set(room, 'unsure');
		}
	}

	on_order(e) {
		this.orders.set(e.k, e);

		if (e.what === 'join' || e.what === 'leave') {
			this.#ward(e.client).set(e.room, 'unsure');
		}
	}

	on_ordered(e) {
		const order = this.orders.get(e.k);

		if (!e.sure) {
			return;
		}

		switch (order.what) {

		case 'join':
			this.#ward(order.client).set(order.room, 'in');
			break;

		case 'leave':
			this.#ward(order.client).set(order.room, 'out');
			break;

		default:
			for (const conn of this.checker.conns.values()) {
				if (conn.id && conn.since < order.t
				    && (order.user ? conn.user === order.user
				        : conn.id === order.id))
				{
					this.away.set(conn.conn, order);
				}
			}
		}
	}

	// whether one may hear what is said there

	mayHear(conn, room) {
		return isWard(room) && this.wards.get(conn.conn)?.has(room);
	}

	on_ward(e) {
		for (const conn of this.checker.conns.values()) {
			if (!conn.open || !conn.id) {
				continue;
			}

			const is = e.ids.includes(conn.id);
			const state = this.wards.get(conn.conn)?.get(e.room) ?? 'out';

			if (state !== 'unsure' && is !== (state === 'in')) {
				this.bad(`${e.room}: connection ${conn.conn} is to be ${
					state}`);
			}
		}

		const there = new Set([ ...this.checker.conns.values() ]
			.filter((c) => c.open).map((c) => c.id));

		for (const id of e.ids.filter((one) => !there.has(one))) {
			this.bad(`${e.room}: ${id} is nobody`);
		}
	}

	on_rest() {
		for (const [ conn, order ] of this.away) {
			if (this.checker.conns.get(conn).open) {
				this.bad(`connection ${conn} was sent away, and is there`,
					order);
			}
		}
	}

	end() {
		const { counters, conns } = this.checker;

		for (const conn of conns.values()) {
			this.#inOrder(conn);

			if (!counters.dropped && !counters.overrun && !counters.resets) {
				this.#noticedAll(conn);
				this.#overheardAll(conn);
			}
		}
	}

	// what is overheard of a room comes in its order

	#inOrder(conn) {
		const last = new Map();

		if (this.checker.lossy) {
			return;
		}

		for (const e of this.ears.get(conn.conn)?.order ?? []) {
			const [ pos ] = this.checker.message(e.mid).positions;

			if (pos === undefined) {
				continue;
			}

			const { lsn } = this.checker.room(e.room).nodes.get(pos);

			if (lsn <= last.get(e.room)) {
				this.bad('overheard out of order', e);
			}

			last.set(e.room, lsn);
		}
	}

	// who hears what was said later has heard what was said before, on a host

	#missed(said, conn, has, since) {
		for (const later of said.filter((p) => has(p.mid))) {
			const missed = said.find((p) => p.t > since(p)
				&& p.answer.t < later.t && !has(p.mid)
				&& !p.except?.includes(conn.id)
				&& !this.checker.mayMiss(conn,
					this.checker.message(p.mid)));

			if (missed) {
				this.bad(`connection ${conn.conn} heard of ${later.mid}, ${
					''}and missed ${missed.mid}`);
				return;
			}
		}
	}

	#noticedAll(conn) {
		const noticed = this.ears.get(conn.conn)?.noticed;
		const keys = new Set([ ...this.sayings.values() ].map((p) => p.key));

		if (!noticed) {
			return;
		}

		for (const key of keys) {
			const said = [ ...this.sayings.values() ].filter((p) =>
				p.key === key && p.host === conn.host
				&& p.answer?.status === 200);

			this.#missed(said, conn, (mid) => noticed.has(mid), (p) =>
				p.to.pattern ? this.#since(conn, p.to.pattern)
					?? Infinity : conn.since);
		}
	}

	#overheardAll(conn) {
		const overheard = this.ears.get(conn.conn)?.overheard;

		if (!overheard) {
			return;
		}

		const rooms = new Set([ ...overheard.keys() ].map((mid) =>
			this.checker.message(mid).sayings[0]?.room));

		for (const room of rooms) {
			const state = [ ...conn.rooms ].find(([ name ]) =>
				name.endsWith('*') && covers(name, room ?? ''))?.[1];
			const times = conn.ears?.get(room)?.times;

			// not of those that it came to and left; and what Redis orders
			// is lost to patterns with the link

			if (state && !conn.rooms.has(room) && !times
			    && (!this.plan.cluster || room === 'chat:1'))
			{
				this.#missed(this.checker.said.filter((p) =>
					p.room === room && p.host === conn.host
					&& !p.ignoreSelf), conn,
					(mid) => overheard.has(mid),
					() => state.steady ?? Infinity);
			}
		}
	}
}
