// Copyright (C) sync for nginx

// What there is to say of a room that conflates: of what has a key some may be
// missing, but never the last, and none comes after a later one.

export class Keys {
	constructor(checker) {
		this.checker = checker;
		this.last = new Map();          // said, by key and host
		this.heard = new Map();         // by connection, by both
	}

	on_publish(e) {
		if (e.key) {
			this.last.set(`${e.key}/${e.host}`, this.checker.publishes
				.get(e.k));
		}
	}

	on_heard(e) {
		const saying = e.room === 'cursor:1'
			&& this.checker.message(e.mid.split('.')[0]).sayings[0];

		if (e.room === 'cursor:1' && !saying) {
			this.checker.bad('heard before it is said', e);
		}

		if (!saying?.key || e.mid !== saying.mid) {
			return;
		}

		const keys = this.heard.get(e.conn) ?? new Map();
		const key = `${saying.key}/${saying.host}`;
		const last = keys.get(key);

		if (last?.k > saying.k) {
			this.checker.bad(`after a later one, ${last.mid}`, e);
		}

		keys.set(key, saying);
		this.heard.set(e.conn, keys);
	}

	// who is there hears the last one, before what comes then

	on_rest() {
		const { conns, counters, probes } = this.checker;
		const times = (conn) => conn.ears?.get('cursor:1')?.times;

		for (const conn of conns.values()) {
			const state = conn.rooms.get('cursor:1');

			if (!conn.open || !state?.member || counters.overrun
			    || counters.resets
			    || !times(conn)?.has(probes.get('cursor:1')))
			{
				continue;
			}

			for (const said of this.last.values()) {
				const k = this.heard.get(conn.conn)
					?.get(`${said.key}/${said.host}`)?.k ?? 0;

				if (said.host === conn.host && said.answer?.status === 200
				    && said.t > state.since && k < said.k
				    && !said.except?.includes(conn.id))
				{
					this.checker.bad(`connection ${conn.conn} is not told${
						''} the last of ${said.key}, ${said.mid}`);
				}
			}
		}
	}
}
