// Copyright (C) sync for nginx

// What there is to say of sessions: a client hears of its own one's changes, in
// their order, and of its end, if it ended; and at the end it is what the last
// change made of it.

export class Sessions {
	constructor(checker) {
		this.checker = checker;
		this.changes = [];
		this.conns = new Map();
	}

	bad(text, e) {
		this.checker.bad(text, e);
	}

	on_change(e) {
		this.changes.push(e);
	}

	on_tenant(e) {
		this.conns.set(e.conn, { ...e, n: 0 });
	}

	on_updated(e) {
		const conn = this.conns.get(e.conn);

		if (!this.changes.some((c) => c.token === conn.token
			&& c.n === e.n))
		{
			this.bad(`not a session of ${conn.token}`, e);
		}

		if (e.n < conn.n && !this.checker.lossy) {
			this.bad(`a session of before, after ${conn.n}`, e);
		}

		conn.n = e.n;
	}

	on_loggedOut(e) {
		const { token } = this.conns.get(e.conn);

		if (!this.checker.lossy && !this.changes.some((c) =>
			(c.token === token && /^(?:delete|DEL)$/.test(c.what))
			|| this.#replaces(c, token)))
		{
			this.bad('logged out for no reason', e);
		}
	}

	on_replaced(e) {
		const { token } = this.conns.get(e.conn);

		if (!this.changes.some((c) => this.#replaces(c, token))) {
			this.bad('replaced by nobody', e);
		}
	}

	// a login of the same user by another token

	#replaces({ what, token, user }, other) {
		return what === 'login' && token !== other
			&& this.changes.some((c) => c.token === other
				&& c.user === user);
	}

	// what a client heard last, and was granted, of a change that is over

	on_settled(e) {
		if (e.told !== e.is) {
			this.bad('not told what became of its session', e);
		}

		if (e.granted !== (e.is !== 'logout')) {
			this.bad('granted what its session does not', e);
		}
	}
}
