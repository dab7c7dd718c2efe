// Copyright (C) sync for nginx

// Whether the checker sees what it is there for: into histories of real runs
// bugs are put, one at a time.
//
//     node self.mjs FILE...
//
// Prints TAP.

import { readFileSync } from 'node:fs';

import { check } from './check.mjs';
import { Random } from './random.mjs';
import { bugs as ofCalls } from './self_calls.mjs';
import { bugs as ofCrowd } from './self_crowd.mjs';
import { bugs as ofSessions } from './self_sessions.mjs';

const TRIES = 4;                        // of each bug in each history

const recoverable = (e) => e.pos !== undefined;

// Places where something was heard in a room, with what the same connection
// heard right before, and right after, with nothing told between; or with what
// it was told instead of a message before.

const known = new WeakMap();

function runs(history) {
	if (known.has(history)) {
		return known.get(history);
	}

	const last = new Map();
	const found = [];

	history.forEach((e, i) => {
		const key = `${e.conn}/${e.room}`;
		const before = last.get(key);

		if (e.e === 'heard') {
			const here = { i, e, before: before?.marker ? undefined
				: before, told: before?.marker };

			if (here.before) {
				before.after = here;
			}

			last.set(key, here);
			found.push(here);

		} else if ([ 'moved', 'gap', 'joined', 'join', 'leave' ]
			.includes(e.e))
		{
			last.set(key, { marker: e });
		}
	});

	known.set(history, found);

	return found;
}

const inner = (history, which = recoverable) => runs(history).filter((one) =>
	one.before && one.after && which(one.e));

const without = (history, drop) => history.filter((e, i) => !drop(e, i));

const changed = (history, i, fields) => history.with(i,
	{ ...history[i], ...fields });

const inserted = (history, i, e) => history.toSpliced(i, 0, e);

// Each makes a history with the bug, or returns undefined if there is no place
// for it.

const bugs = {
	'a message that is skipped'(history, r) {
		const { i } = r.pick(inner(history)) ?? {};

		return i && without(history, (_, n) => n === i);
	},

	'two that are skipped'(history, r) {
		const { i, after } = r.pick(inner(history).filter((one) =>
			one.after.after)) ?? {};

		return i && without(history, (_, n) => n === i || n === after.i);
	},

	'a message that comes twice'(history, r) {
		const { i, e, after } = r.pick(inner(history)) ?? {};

		return i && inserted(history, after.i + r.range(0, 1), e);
	},

	'two that change places'(history, r) {
		const { i, e, after } = r.pick(inner(history)) ?? {};

		return i && changed(changed(history, i, { pos: after.e.pos,
			mid: after.e.mid }), after.i, { pos: e.pos, mid: e.mid });
	},

	'another order on one host'(history, r) {
		const said = new Set(history.filter((o) => o.e === 'published')
			.map((o) => o.position));
		const { e, after } = r.pick(inner(history, (o) =>
			said.has(o.pos))) ?? {};

		if (!e) {
			return undefined;
		}

		const { host } = history.find((o) => o.e === 'open'
			&& o.conn === e.conn);
		const conns = new Set(history.filter((o) => o.e === 'open'
			&& o.host === host).map((o) => o.conn));

		// the contents change places, the positions do not

		return history.map((o) => o.e === 'heard' && conns.has(o.conn)
			&& o.room === e.room && (o.pos === e.pos
			|| o.pos === after.e.pos) ? { ...o, mid: o.pos === e.pos
				? after.e.mid : e.mid } : o);
	},

	// what it missed does not come

	'a flag that lies'(history, r) {
		const { i } = r.pick(runs(history).filter((one) =>
			one.told?.recovered && one.after)) ?? {};

		return i && without(history, (_, n) => n === i);
	},

	'a flag that lies of an older position'(history, r) {
		const { told } = r.pick(runs(history).filter((one) =>
			one.told?.recovered)) ?? {};
		const i = told && history.findLastIndex((o) => o.e === 'join'
			&& o.conn === told.conn && o.room === told.room
			&& o.t <= told.t);
		const older = told && history[i].pos && history.find((o) =>
			o.e === 'heard' && o.room === told.room && recoverable(o)
			&& lsn(o.pos) < lsn(history[i].pos));

		return older && changed(history, i, { pos: older.pos });
	},

	'a message to one who is no member'(history, r) {
		const { i, e } = r.pick(runs(history)) ?? {};
		const opened = i && history.filter((o, n) => o.e === 'connected'
			&& n < i && !history.slice(0, i).some((j) => j.e === 'joined'
				&& j.conn === o.conn && j.room === e.room)).at(-1);

		return opened && inserted(history, i, { ...e, conn: opened.conn });
	},

	'a message to one who left'(history, r) {
		const left = history.map((e, i) => ({ e, i })).filter(({ e }) =>
			e.e === 'left');
		const { e, i } = r.pick(left) ?? {};
		const other = e && history.slice(i).find((o) => o.e === 'heard'
			&& o.room === e.room && o.conn !== e.conn);

		return other && inserted(history, i + 1, { ...other,
			conn: e.conn });
	},

	'another content'(history, r) {
		const { i, e } = r.pick(inner(history)) ?? {};

		return i && changed(history, i, { mid: `${e.mid}x` });
	},

	'an accepted message that nobody hears'(history, r) {
		const stays = new Set(history.filter((e) => e.e === 'publish'
			&& e.room !== 'doc:9').map((e) => e.k));
		const { position } = r.pick(history.filter((e) =>
			e.status === 200 && e.position && stays.has(e.k))) ?? {};

		return position && without(history, (e) => e.e === 'heard'
			&& e.pos === position);
	},

	'a position that is not the one accepted'(history, r) {
		const stays = new Set(history.filter((e) => e.e === 'publish'
			&& e.room !== 'doc:9').map((e) => e.k));
		const { e, i } = r.pick(history.map((one, n) => ({ e: one, i: n }))
			.filter(({ e: one }) => one.status === 200
				&& one.position && stays.has(one.k))) ?? {};

		return e && changed(history, i, { position: e.position
			.replace(/.$/, (c) => c === '0' ? '1' : '0') });
	},

	'one id at two positions'(history, r) {
		const said = history.filter((e) => e.e === 'publish' && e.id);
		const { k, mid, room } = r.pick(said) ?? {};
		const other = k && history.find((e) => e.e === 'heard'
			&& e.room === room && e.mid !== mid && recoverable(e));
		const i = other ? history.findIndex((e) => e.e === 'published'
			&& e.k === k && e.position) : -1;

		return i >= 0 ? inserted(history, i, { ...history[i],
			position: other.pos }) : undefined;
	},

	'a position that is passed over'(history, r) {
		const { i, e } = r.pick(inner(history)) ?? {};

		return i && changed(history, i, { e: 'moved', mid: undefined });
	},

	'an end that is not heard'(history, r) {
		const probes = history.filter((e) => e.e === 'probe'
			&& !e.room.startsWith('chat'));
		const { mid } = probes.at(-1);
		const { conn } = r.pick(history.filter((e) => e.e === 'heard'
			&& e.mid === mid));

		return without(history, (e) => e.e === 'heard' && e.mid === mid
			&& e.conn === conn);
	},

	'a member too many'(history, r) {
		const list = history.map((e, i) => ({ e, i })).filter(({ e }) =>
			e.e === 'members');
		const { e, i } = r.pick(list);

		return changed(history, i, { ids: [ ...e.ids, 'zz' ] });
	},

	'a member too few'(history, r) {
		const list = history.map((e, i) => ({ e, i })).filter(({ e }) =>
			e.e === 'members' && e.ids.length);
		const { e, i } = r.pick(list);

		return changed(history, i, { ids: e.ids.slice(1) });
	},

	'a volatile message that comes twice'(history, r) {
		const { e, after } = r.pick(inner(history, (o) =>
			!recoverable(o))) ?? {};

		return e && inserted(history, after.i, e);
	},

	'two volatile ones that change places'(history, r) {
		const host = new Map(history.filter((o) => o.e === 'open')
			.map((o) => [ o.conn, o.host ]));
		const heard = new Map();        // by whom, by mid

		for (const { e } of runs(history)) {
			heard.set(e.mid, [ ...heard.get(e.mid) ?? [], e.conn ]);
		}

		const { i, e, after } = r.pick(inner(history, (o) =>
			o.room === 'chat:1').filter((one) => heard.get(one.e.mid)
			.some((conn) => conn !== one.e.conn
				&& host.get(conn) === host.get(one.e.conn)
				&& heard.get(one.after.e.mid).includes(conn)))) ?? {};

		return e && changed(changed(history, i, { mid: after.e.mid }),
			after.i, { mid: e.mid });
	},

	'a key that goes back'(history, r) {
		const key = new Map(history.filter((e) => e.key)
			.map((e) => [ e.mid, `${e.key}/${e.host}` ]));
		const heard = history.map((e, i) => ({ e, i })).filter(({ e }) =>
			e.e === 'heard' && key.has(e.mid));
		const { e, i } = r.pick(heard) ?? {};
		const next = e && heard.find((o) => o.i > i && o.e.conn === e.conn
			&& key.get(o.e.mid) === key.get(e.mid));

		return next && changed(changed(history, i, { mid: next.e.mid }),
			next.i, { mid: e.mid });
	},

	'a last word that is not heard'(history, r) {
		const hosts = Array.from({ length: history[0].hosts }, (_, n) => n);
		const said = [ 'a', 'b', 'c' ].flatMap((key) => hosts.map((host) =>
			history.findLast((e) => e.key === key && e.host === host)))
			.filter((e) => e);
		const rest = history.findIndex((e) => e.e === 'rest');
		const closed = new Set(history.slice(0, rest).filter((e) =>
			e.e === 'close').map((e) => e.conn));
		const mid = r.pick(said)?.mid;
		const { host } = history.find((e) => e.mid === mid) ?? {};
		const i = history.findIndex((e) => e.e === 'heard' && e.mid === mid
			&& !closed.has(e.conn) && history.some((o) => o.e === 'open'
				&& o.conn === e.conn && o.host === host));

		return i >= 0 ? without(history, (_, n) => n === i) : undefined;
	},

	'what was refused'(history, r) {
		const i = history.findIndex((e) => e.e === 'heard'
			&& recoverable(e));
		const k = history.length;

		return [ ...history.slice(0, i),
			{ t: 0, e: 'publish', k, room: history[i].room, mid: 'never' },
			{ t: 0, e: 'published', k, status: 400 },
			{ ...history[i], pos: 'F/0.0000000a', mid: 'never' },
			...history.slice(i) ];
	},

	'an alert'(history) {
		return inserted(history, history.length - 1, { e: 'log',
			line: '[alert] x' });
	},

	'clients that are left'(history) {
		return history.map((e) => e.last ? { ...e, members: 1 } : e);
	},
};

function lsn(pos) {
	const [ hi, lo ] = pos.split('.')[0].split('/');

	return parseInt(hi, 16) * 2 ** 32 + parseInt(lo, 16);
}

const files = process.argv.slice(2);
const histories = files.map((file) => readFileSync(file, 'utf8').trim()
	.split('\n').map((line) => JSON.parse(line)));
const results = [];

const ok = (right, name) => results.push(`${right ? 'ok' : 'not ok'} ${
	results.length + 1} - ${name}`);

histories.forEach((history, i) =>
	ok(!check(history).length, `${files[i]}: kept as it is`));

const all = { ...bugs, ...ofCalls, ...ofCrowd, ...ofSessions };

for (const [ name, bug ] of Object.entries(all)) {
	let made = 0;
	let seen = 0;
	const missed = [];

	histories.forEach((history, i) => {
		for (let n = 0; n < TRIES; n++) {
			const wrong = bug(history, new Random(name, n));

			if (!wrong) {
				continue;
			}

			made++;

			if (check(wrong).length) {
				seen++;

			} else {
				missed.push(`${files[i]}, ${n}`);
			}
		}
	});

	ok(made && seen === made, `${name}: ${seen} of ${made}${
		missed.length ? `; missed: ${missed[0]}` : ''}`);
}

console.log(results.join('\n'));
console.log(`1..${results.length}`);

process.exit(results.some((line) => line.startsWith('not')) ? 1 : 0);
