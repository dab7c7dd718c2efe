// Copyright (C) sync for nginx

// Bugs of sessions.

const changed = (history, i, fields) => history.with(i,
	{ ...history[i], ...fields });

function place(history, r, which) {
	const places = history.map((e, i) => which(e, i) ? i : -1).filter((i) =>
		i >= 0);

	return places.length ? r.pick(places) : undefined;
}

export const bugs = {
	"a session of another token's"(history, r) {
		const i = place(history, r, (e) => e.e === 'updated');
		const token = i && history.find((e) => e.e === 'tenant'
			&& e.conn === history[i].conn).token;
		const other = i && history.find((e) => e.e === 'change'
			&& e.token !== token);

		return other && changed(history, i, { n: other.n });
	},

	'sessions that change places'(history, r) {
		const i = place(history, r, (e, n) => e.e === 'updated'
			&& history.slice(n + 1).some((o) => o.e === 'updated'
				&& o.conn === e.conn && o.n !== e.n));
		const next = i && history.findIndex((o, n) => n > i
			&& o.e === 'updated' && o.conn === history[i].conn
			&& o.n !== history[i].n);

		return i && changed(changed(history, i, { n: history[next].n }),
			next, { n: history[i].n });
	},

	'a change that is not told'(history, r) {
		const i = place(history, r, (e) => e.e === 'settled'
			&& e.is !== 'logout');

		return i && changed(history, i, { told: history[i].told - 1 });
	},

	'an end that is not told'(history, r) {
		const i = place(history, r, (e) => e.e === 'settled'
			&& e.is === 'logout');

		return i && changed(history, i, { told: 7 });
	},

	'a grant to one who was logged out'(history, r) {
		const i = place(history, r, (e) => e.e === 'settled'
			&& e.is === 'logout');

		return i && changed(history, i, { granted: true });
	},

	'a session that is not honoured'(history, r) {
		const i = place(history, r, (e) => e.e === 'settled'
			&& e.is !== 'logout');

		return i && changed(history, i, { granted: false });
	},

	// nothing was done to the sessions till then

	'a logout for no reason'(history) {
		const conn = history.find((e) => e.e === 'tenant')?.conn;

		return conn && history.filter((e) => e.e !== 'change'
			|| e.what === 'save').toSpliced(-1, 0,
			{ t: 0, e: 'loggedOut', conn });
	},

	'a replacement by nobody'(history) {
		const conn = history.find((e) => e.e === 'tenant'
			&& e.token === 't3')?.conn;

		return conn && history.toSpliced(-1, 0,
			{ t: 0, e: 'replaced', conn });
	},
};
