// Copyright (C) sync for nginx

// What there is to say of requests that the app is asked about: each is
// answered once, as the app said, and what the app says comes in its order.

import { ignored } from './app.mjs';

const FAILED = 'sync.clientExecutionFailed';

export class Calls {
	constructor(checker) {
		this.checker = checker;
		this.plan = checker.plan;
		this.calls = new Map();         // by connection and number
		this.apps = new Map();          // what the app was asked, by mid
		this.stages = new Map();        // whom it was asked for, by mid
		this.gates = new Map();         // what it said of joins, by client
		this.parts = new Map();         // of answers to a room, by connection
		this.direct = new Map();        // and by name

		this.upset = this.plan.faults.some((f) => f.what.startsWith('app'));
	}

	bad(text, e) {
		this.checker.bad(text, e);
	}

	#app(mid) {
		if (!this.apps.has(mid)) {
			this.apps.set(mid, {});
		}

		return this.apps.get(mid);
	}

	on_asked(e) {
		const app = this.#app(e.mid);

		if (app.does) {
			this.bad('asked twice', e);
		}

		app.does = e.does;
	}

	on_says(e) {
		this.#app(e.mid).says = e;
	}

	on_staged(e) {
		this.stages.set(e.mid, [ ...this.stages.get(e.mid) ?? [], ...e.ids ]);
	}

	on_gate(e) {
		this.gates.set(e.id, e);
	}

	on_sync(e) {
		this.calls.set(`${e.conn}/${e.n}`, { ...e, chunks: 0 });
	}

	on_call(e) {
		this.calls.set(`${e.conn}/${e.n}`, { ...e, chunks: 0 });
	}

	on_chunk(e) {
		const call = this.calls.get(`${e.conn}/${e.n}`);

		if (!call || call.answer) {
			this.bad('a chunk of what is not asked', e);

		} else if (e.i !== ++call.chunks) {
			this.bad(`chunk ${call.chunks} is missing`, e);
		}
	}

	on_synced(e) {
		const call = this.calls.get(`${e.conn}/${e.n}`);

		if (!call) {
			this.bad('an answer to nothing', e);
			return;
		}

		if (call.answer) {
			this.bad('answered twice', e);
		}

		call.answer = e;

		if (this.plan.app) {
			this.#asSaid(call, e);
		}
	}

	#asSaid(call, e) {
		const { says } = this.#app(call.mid);

		if (e.status === 'success') {
			const n = (call.lines ?? '').split('s').length - 1;

			if (says?.status !== 'success') {
				this.bad('success, which the app did not say', e);
			}

			if (call.chunks !== n) {
				this.bad(`${call.chunks} chunks of ${n}`, e);
			}

			return;
		}

		if (says && e.code !== says.code && !this.upset
		    && !/^broker\.unavailable$/.test(e.code))
		{
			this.bad(`an error, and the app said ${says.status}`, e);
		}
	}

	on_joined(e) {
		this.parts.delete(`${e.conn}/${e.room}`);

		if (!e.room.startsWith('gate') || e.silent) {
			return;
		}

		const said = this.gates.get(this.checker.conns.get(e.conn).id);

		if (!e.error && !said?.yes) {
			this.bad('joined, which the app did not allow', e);

		} else if (e.error && said?.yes && !this.upset) {
			this.bad('allowed, and refused', e);
		}
	}

	// chunks come before the message that they are of

	on_heard(e) {
		const [ mid, i ] = (e.mid ?? '').split('.');
		const key = `${e.conn}/${e.room}`;
		const parts = this.parts.get(key) ?? new Map();
		const last = parts.get(mid);

		this.parts.set(key, parts);

		if (last !== undefined && (i === undefined ? last === Infinity
			: Number(i) <= last))
		{
			this.bad(`${e.mid} after ${last} of it`, e);
		}

		parts.set(mid, i === undefined ? Infinity : Number(i));

		this.#staged(e, i !== undefined);
	}

	#staged(e, chunk) {
		const { id } = this.checker.conns.get(e.conn);
		const ids = this.stages.get(e.mid);

		if (e.to !== undefined) {
			if (e.to !== id) {
				this.bad('for another one', e);
			}

			if (ignored(e.mid, id)) {
				this.bad('heard, and withheld by the app', e);
			}

		} else if (this.plan.stage && !chunk && this.#ofSync(e.mid)
			   && (e.code !== FAILED || !this.upset))
		{
			this.bad(`heard with no word of the app, asked: ${
				!!ids?.includes(id)}`, e);
		}
	}

	#ofSync(mid) {
		return this.checker.message(mid).sayings.some((s) => s.sync
			|| s.http);
	}

	on_direct(e) {
		const key = `${e.conn}/${e.mid}`;

		if (e.i !== (this.direct.get(key) ?? 0) + 1) {
			this.bad('by name, out of order', e);
		}

		this.direct.set(key, e.i);
	}

	// at the end there is nobody who waits

	on_rest() {
		for (const call of this.calls.values()) {
			if (!this.checker.conns.get(call.conn).open) {
				continue;
			}

			if (!call.answer) {
				this.bad('never answered', call);

			} else if (call.answer.status === 'success') {
				const n = this.direct.get(`${call.conn}/${call.mid}`) ?? 0;

				if (n !== (call.lines ?? '').split('t').length - 1) {
					this.bad(`${n} by name`, call);
				}
			}
		}
	}

	// what was said to a room and acknowledged

	answered() {
		return [ ...this.calls.values() ].filter((call) =>
			call.answer?.status === 'success' && call.room).map((call) =>
			({ ...call, host: this.checker.conns.get(call.conn).host,
				answer: { status: 200, t: call.answer.t } }));
	}

	// whether a message may be heard by nobody of a stage

	withheld(conn, mid) {
		return this.plan.stage && ignored(mid, conn.id)
			&& this.#ofSync(mid);
	}

	// An error is heard by nobody else, a success by the room.

	end() {
		const { plan, checker } = this;
		const kept = plan.history >= 1000 && plan.ttl !== '1s'
			&& plan.zone !== '1m' && !checker.lossy;

		for (const { mid, room, answer, e } of this.calls.values()) {
			const m = room && answer && checker.message(mid);

			if (!m) {
				continue;
			}

			const heard = m.positions.size || m.heard;

			if (answer.status !== 'success'
			    && answer.code !== 'broker.unavailable' && heard)
			{
				this.bad(`${mid} was refused, and heard`, answer);
			}

			if (answer.status === 'success' && !heard && kept
			    && /^(?:doc|wal):/.test(room)
			    && !this.stages.get(mid)?.some((id) => ignored(mid, id)))
			{
				this.bad(`${mid} was accepted, and heard by nobody`,
					answer);
			}
		}
	}
}
