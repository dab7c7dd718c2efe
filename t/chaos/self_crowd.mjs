// Copyright (C) sync for nginx

// Bugs of what is said to many, and of what the app orders.

const without = (history, drop) => history.filter((e, i) => !drop(e, i));

const changed = (history, i, fields) => history.with(i,
	{ ...history[i], ...fields });

// a place of what has these fields, at random

function place(history, r, which) {
	const places = history.map((e, i) => which(e, i) ? i : -1).filter((i) =>
		i >= 0);

	return places.length ? r.pick(places) : undefined;
}

const saying = (history, mid) => history.find((e) => e.e === 'say'
	&& e.mid === mid);

// Of what one connection heard of a kind, what is between two others that were
// said on its own host, one after another.

function between(history, r, kind, which) {
	const host = new Map(history.filter((e) => e.e === 'open')
		.map((e) => [ e.conn, e.host ]));
	const last = new Map();
	const found = [];

	history.forEach((e, i) => {
		if (e.e === kind && which(e)
		    && said(history, e.mid)?.host === host.get(e.conn))
		{
			const key = `${e.conn}/${group(history, e)}`;
			const list = last.get(key) ?? [];

			last.set(key, list);
			list.push(i);
		}
	});

	for (const list of last.values()) {
		for (let n = 1; n + 1 < list.length; n++) {
			if (answered(history, history[list[n]].mid)
			    < said(history, history[list[n + 1]].mid).t)
			{
				found.push(list[n]);
			}
		}
	}

	return found.length ? r.pick(found) : undefined;
}

const said = (history, mid) => history.find((e) => (e.e === 'say'
	|| e.e === 'publish') && e.mid === mid);

const answered = (history, mid) => history.find((e) => (e.e === 'said'
	&& e.mid === mid) || (e.e === 'published'
	&& e.k === said(history, mid).k))?.t ?? Infinity;

const group = (history, e) => e.room
	?? JSON.stringify(saying(history, e.mid).to);

// what is settled at the end: whom an order is about who is still there

function settled(history, r, what) {
	const rest = history.findIndex((e) => e.e === 'rest');
	const closed = new Set(history.slice(0, rest).filter((e) =>
		e.e === 'close').map((e) => e.conn));
	const last = new Map();

	history.filter((e) => e.e === 'order' && e.room).forEach((e) =>
		last.set(`${e.client}/${e.room}`, e));

	const all = [ ...last.values() ].filter((e) => e.what === what
		&& !closed.has(e.client));

	return all.length ? r.pick(all) : undefined;
}

export const bugs = {
	'a message to all that comes twice'(history, r) {
		const i = place(history, r, (e) => e.e === 'noticed');

		return i && history.toSpliced(i, 0, history[i]);
	},

	'a message to all that is missed'(history, r) {
		const i = between(history, r, 'noticed', (e) =>
			saying(history, e.mid)?.to.all);

		return i && without(history, (_, n) => n === i);
	},

	'a message to a pattern that is missed'(history, r) {
		const i = between(history, r, 'noticed', (e) => {
			const { pattern } = saying(history, e.mid)?.to ?? {};

			return pattern === 'chat:*' && !history.some((o) =>
				o.conn === e.conn && (o.e === 'leave'
				|| (o.e === 'joined' && o.silent)));
		});

		return i && without(history, (_, n) => n === i);
	},

	'a message to another one'(history, r) {
		const i = place(history, r, (e) => e.e === 'noticed'
			&& saying(history, e.mid)?.to.clientId);
		const conn = i && history.find((e) => e.e === 'connected'
			&& e.conn !== history[i].conn)?.conn;

		return conn && changed(history, i, { conn });
	},

	'a message to another user'(history, r) {
		const i = place(history, r, (e) => e.e === 'noticed'
			&& saying(history, e.mid)?.to.user);
		const conn = i && history.find((e) => e.e === 'open'
			&& e.kind === 'ws')?.conn;

		return conn && changed(history, i, { conn });
	},

	'a message of a pattern that comes twice'(history, r) {
		const i = place(history, r, (e) => e.e === 'overheard');

		return i && history.toSpliced(i, 0, history[i]);
	},

	'a message of a pattern that is missed'(history, r) {
		const i = between(history, r, 'overheard', (e) =>
			e.room !== 'doc:9' && e.room !== 'ward:1'
			&& (!history[0].cluster || e.room === 'chat:1')
			&& !history.some((o) => o.conn === e.conn
				&& (o.room === e.room ? o.e === 'join'
					: o.e === 'leave' || o.silent)));

		return i && without(history, (_, n) => n === i);
	},

	'messages of a pattern that change places'(history, r) {
		const placed = new Set(history.filter((e) => e.e === 'published'
			&& e.position).map((e) => e.k));
		const of = (mid) => history.some((p) => p.e === 'publish'
			&& p.mid === mid && placed.has(p.k));
		const i = place(history, r, (e, n) => e.e === 'overheard'
			&& of(e.mid) && history.slice(n + 1).some((o) =>
			o.e === 'overheard' && o.conn === e.conn
			&& o.room === e.room && of(o.mid)));
		const e = i && history[i];
		const next = i && history.findIndex((o, n) => n > i
			&& o.e === 'overheard' && o.conn === e.conn
			&& o.room === e.room && of(o.mid));

		return i && changed(changed(history, i,
			{ mid: history[next].mid }), next, { mid: e.mid });
	},

	'a message of a pattern to one who has none'(history, r) {
		const i = place(history, r, (e) => e.e === 'overheard');
		const conn = i && history.slice(0, i).find((e) =>
			e.e === 'connected' && !history.some((o) => o.e === 'joined'
				&& o.conn === e.conn && o.room.endsWith('*')))?.conn;

		return conn && changed(history, i, { conn });
	},

	'one that is not put into a room'(history, r) {
		const e = settled(history, r, 'join');
		const i = e && history.findIndex((o) => o.e === 'ward'
			&& o.room === e.room);

		return i && changed(history, i, { ids: history[i].ids.filter((id) =>
			id !== e.id) });
	},

	'one that is not put out of a room'(history, r) {
		const e = settled(history, r, 'leave');
		const i = e && history.findIndex((o) => o.e === 'ward'
			&& o.room === e.room);

		return i && changed(history, i, { ids: [ ...history[i].ids, e.id ] });
	},

	'a message to one who was not put there'(history, r) {
		const i = place(history, r, (e) => e.e === 'heard'
			&& (e.room === 'ward:1' || e.room === 'doc:9'));
		const conn = i && history.slice(0, i).find((e) =>
			e.e === 'connected' && !history.some((o) => o.e === 'order'
				&& o.client === e.conn) && !history.some((o) =>
				o.e === 'recovered' && o.conn === e.conn))?.conn;

		return conn && changed(history, i, { conn });
	},

	'one that was sent away, and stays'(history, r) {
		const i = place(history, r, (e) => e.e === 'order' && e.client
			&& /^(?:kick|disconnect)$/.test(e.what)
			&& history.some((o) => o.e === 'ordered' && o.k === e.k
				&& o.sure));
		const conn = i && history[i].client;

		return conn && without(history, (e) => e.e === 'close'
			&& e.conn === conn);
	},
};
