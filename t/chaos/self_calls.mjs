// Copyright (C) sync for nginx

// Bugs of requests that the app is asked about.

import { ignored } from './app.mjs';

const without = (history, drop) => history.filter((e, i) => !drop(e, i));

const changed = (history, i, fields) => history.with(i,
	{ ...history[i], ...fields });

// a place of what has these fields, at random

function place(history, r, which) {
	const places = history.map((e, i) => which(e, i) ? i : -1).filter((i) =>
		i >= 0);

	return places.length ? r.pick(places) : undefined;
}

const midOf = (history, { conn, n }) => history.find((e) =>
	(e.e === 'sync' || e.e === 'call') && e.conn === conn && e.n === n).mid;

function stays(history) {
	const rest = history.findIndex((e) => e.e === 'rest');
	const closed = new Set(history.slice(0, rest).filter((e) =>
		e.e === 'close').map((e) => e.conn));

	return (conn) => !closed.has(conn);
}

const answered = (e) => e.e === 'synced';
const good = (e) => e.e === 'synced' && e.status === 'success';

// what the app was asked for each recipient

function stage(history, r, which) {
	const all = history.filter((e) => e.e === 'staged').flatMap((e) =>
		e.ids.map((id) => ({ mid: e.mid, id })))
		.filter(({ mid, id }) => which(mid, id));

	return all.length ? r.pick(all) : {};
}

export const bugs = {
	'an answer that comes twice'(history, r) {
		const i = place(history, r, answered);

		return i && history.toSpliced(i, 0, history[i]);
	},

	'an answer that does not come'(history, r) {
		const there = stays(history);
		const i = place(history, r, (e) => answered(e) && there(e.conn));

		return i && without(history, (_, n) => n === i);
	},

	'an answer to nothing'(history, r) {
		const i = place(history, r, answered);

		return i && changed(history, i, { n: 99 });
	},

	'a success that the app did not say'(history, r) {
		const i = history[0].app && place(history, r, (e) => answered(e)
			&& e.code === 'app.no');

		return i && changed(history, i, { status: 'success',
			code: undefined });
	},

	'an error that the app did not say'(history, r) {
		const i = history[0].app && place(history, r, good);

		return i && changed(history, i, { status: 'error',
			code: 'sync.serverExecutionFailed' });
	},

	'a request that the app is asked twice'(history, r) {
		const i = place(history, r, (e) => e.e === 'asked');

		return i && history.toSpliced(i, 0, history[i]);
	},

	'a chunk that is missing'(history, r) {
		const i = place(history, r, (e) => e.e === 'chunk'
			&& history.some((a) => good(a) && a.conn === e.conn
				&& a.n === e.n));

		return i && without(history, (_, n) => n === i);
	},

	'a chunk after the answer'(history, r) {
		const i = place(history, r, (e) => e.e === 'chunk'
			&& history.some((a) => answered(a) && a.conn === e.conn
				&& a.n === e.n));
		const at = i && history.findIndex((a) => answered(a)
			&& a.conn === history[i].conn && a.n === history[i].n);

		return i && history.toSpliced(at + 1, 0, history[i])
			.toSpliced(i, 1);
	},

	'chunks by name that change places'(history, r) {
		const i = place(history, r, (e) => e.e === 'direct' && e.i > 1);
		const before = i && history.findIndex((e) => e.e === 'direct'
			&& e.mid === history[i].mid && e.i === history[i].i - 1);

		return i && before >= 0 ? changed(changed(history, i,
			{ i: history[i].i - 1 }), before, { i: history[i].i })
			: undefined;
	},

	// the same for all, as the order of the room

	'a chunk after its message'(history, r) {
		const i = place(history, r, (e) => e.e === 'heard'
			&& e.mid.endsWith('.1') && history.some((a) =>
			a.e === 'heard' && a.mid === e.mid.slice(0, -2)
			&& a.conn === e.conn));
		const chunk = i && history[i].mid;
		const mid = chunk && chunk.slice(0, -2);

		return mid && history.map((e) => e.e !== 'heard' ? e
			: e.mid === mid ? { ...e, mid: chunk, to: undefined }
			: e.mid === chunk ? { ...e, mid } : e);
	},

	'a message that was refused'(history, r) {
		const i = place(history, r, (e) => good(e) && history.some((a) =>
			a.e === 'heard' && a.mid === midOf(history, e)));
		const mid = i && midOf(history, history[i]);
		const code = 'app.no';

		return mid && history.map((e, n) => n === i
			|| (e.e === 'says' && e.mid === mid)
			? { ...e, status: 'error', code } : e);
	},

	'an acknowledged message that nobody hears'(history, r) {
		const i = place(history, r, (e) => good(e)
			&& history.some((a) => a.e === 'sync' && a.conn === e.conn
				&& a.n === e.n && a.room === 'wal:1')
			&& !history.some((a) => a.e === 'staged'
				&& a.mid === midOf(history, e)
				&& a.ids.some((id) => ignored(a.mid, id))));
		const mid = i && midOf(history, history[i]);

		return mid && without(history, (e) => e.e === 'heard'
			&& e.mid === mid);
	},

	"another one's result"(history, r) {
		const i = place(history, r, (e) => e.e === 'heard'
			&& e.to !== undefined);

		return i && changed(history, i, { to: `${history[i].to}x` });
	},

	'a message that the app did not let pass'(history, r) {
		const i = history[0].stage && place(history, r, (e) =>
			e.e === 'heard' && e.to !== undefined);

		return i && changed(history, i, { to: undefined });
	},

	'a message that the app withheld'(history, r) {
		const { mid, id } = stage(history, r, (a, b) => ignored(a, b)
			&& history.some((e) => e.e === 'heard' && e.mid === a));
		const came = history.findIndex((e) => e.e === 'connected'
			&& e.id === id);
		const i = came >= 0 ? history.findIndex((e, n) => n > came
			&& e.e === 'heard' && e.mid === mid) : -1;

		return i >= 0 ? history.toSpliced(i, 0, { ...history[i],
			conn: history[came].conn, to: id }) : undefined;
	},

	'a room that the app did not open'(history, r) {
		const i = place(history, r, (e) => e.e === 'gate' && e.yes
			&& history.some((a) => a.e === 'connected' && a.id === e.id));

		return i && changed(history, i, { yes: false });
	},

	'a room that opened, and was not entered'(history, r) {
		const i = place(history, r, (e) => e.e === 'joined'
			&& e.room === 'gate:1' && !e.error && !e.silent);

		return i && changed(history, i, { error: 'room.joinBlocked' });
	},
};
