// Copyright (C) sync for nginx

// A client that joins its rooms, keeps a position of each, and comes back when
// its connection is lost, here or on another host.  All that it asks and hears
// goes to the history.

import { PollingLink, SocketIoLink, StreamLink, WebSocketLink } from
	'./links.mjs';
import { Random } from './random.mjs';

const LINKS = { ws: WebSocketLink, sio: SocketIoLink, poll: PollingLink };

export class Client {
	constructor(run, spec) {
		this.run = run;
		this.name = spec.name;
		this.kind = spec.kind;
		this.host = spec.host;
		this.rooms = new Set(spec.rooms);
		this.random = new Random(run.plan.seed, spec.name);
		this.positions = new Map();     // by room
		this.past = new Map();          // all of them
		this.last = new Map();          // the last message
		this.stays = false;
		this.user = spec.user;          // of an event stream
		this.noticed = undefined;       // the last that was said to many
		this.syncs = 0;
	}

	get streams() {
		return this.kind === 'sse';
	}

	record(e, fields) {
		this.run.record(e, { conn: this.conn, ...fields });
	}

	// the rooms whose answer is there, of this connection

	get joined() {
		return this.link && this.id
			? [ ...this.members ] : [];
	}

	get ready() {
		return this.id !== undefined && !this.pending.size
			&& [ ...this.rooms ].every((room) => this.members.has(room));
	}

	connect() {
		if (this.stopped || this.link) {
			return;
		}

		const address = this.run.address(this.host);

		this.conn = this.run.number();
		this.id = undefined;
		this.index = 0;
		this.pending = new Map();       // joins and leaves, by their number
		this.members = new Set();
		this.places = new Map();        // where it is, of this connection
		this.ordered = new Map();       // the last order, by room
		this.pid = undefined;
		this.offset = undefined;
		this.asked = new Set();         // syncs and calls with no answer

		this.record('open', { client: this.name, kind: this.kind,
			host: this.host, user: this.user });

		if (!this.streams) {
			this.link = new LINKS[this.kind](this, address);
			return;
		}

		const last = this.lastId();

		this.channels = [ ...this.rooms ];
		this.handed = last ? last.split(',') : [];

		this.channels.forEach((room, i) => this.record('join', { room,
			pos: this.run.recoverable(room) ? this.handed[i] : undefined }));

		this.link = new StreamLink(this, address, this.channels.join(',')
			+ (this.user ? `&userId=${this.user}` : ''), last);
	}

	// a position a channel; none at all now and then

	lastId() {
		const list = [ ...this.rooms ].map((room) => this.handBack(room));

		return list.some((pos) => pos) ? list.map((pos) => pos ?? '-').join(',')
			: undefined;
	}

	// the last one, or an older one, or none; after the faults the last one

	handBack(room) {
		const last = this.positions.get(room);

		if (last === undefined || this.stays) {
			return last;
		}

		const p = this.random.next();

		return p < 0.1 ? this.random.pick(this.past.get(room))
			: p < 0.15 ? undefined : last;
	}

	move(room, pos) {
		if (typeof pos === 'string') {
			this.positions.set(room, pos);

			const past = this.past.get(room);

			if (past) {
				past.push(pos);

			} else {
				this.past.set(room, [ pos ]);
			}
		}
	}

	// The connection before this one, that Socket.IO may go on with; not if it
	// is not known which rooms it is in.

	auth() {
		const b = this.broken;

		return b ? JSON.stringify({ pid: b.pid, offset: b.offset }) : '';
	}

	connected(link, id, data, eventId) {
		if (link !== this.link) {
			return;
		}

		this.id = id;
		this.record('connected', { id });

		if (!this.streams) {
			this.pid = data?.pid;

			if (this.pid !== undefined && this.pid === this.broken?.pid) {
				this.record('recovered', { from: this.broken.conn });
				this.recover(this.broken);

			} else {
				this.broken = undefined;
			}

			for (const room of this.rooms) {
				if (!this.members.has(room)) {
					this.join(room);
				}
			}

			return;
		}

		this.at = eventId?.split(',') ?? [];

		this.channels.forEach((room, i) => {
			const r = data.recovery?.[room];

			if (!data.channels.includes(room)) {
				this.record('joined', { room, error: 'denied' });
				this.run.later(() => link.close(), 50);
				return;
			}

			this.members.add(room);
			this.record('joined', { room, ...r });

			// the stream's own first id is where it goes on from

			if (r) {
				this.move(room, this.at[i]);
			}
		});
	}

	// it is in its rooms, with no word of that

	recover({ members, places }) {
		for (const room of members) {
			const pos = places.get(room);

			this.record('join', { room, pos });
			this.record('joined', { room, pos, recovered: true,
				silent: true });
			this.members.add(room);
			this.places.set(room, pos);

			if (!this.rooms.has(room)) {
				this.leave(room);
			}
		}
	}

	join(room, pos = this.handBack(room)) {
		const responseIndex = ++this.index;

		this.pending.set(`joinRoom-${responseIndex}`, { room, pos });
		this.record('join', { room, pos });
		this.link.send([ 'joinRoom', { group: room, pos, responseIndex } ]);
	}

	leave(room) {
		const responseIndex = ++this.index;

		this.pending.set(`leaveRoom-${responseIndex}`, { room, left: true });
		this.record('leave', { room });
		this.link.send([ 'leaveRoom', { group: room, responseIndex } ]);
	}

	event(link, [ name, ...args ]) {
		if (link !== this.link) {
			return;
		}

		if (typeof args.at(-1) === 'string') {
			this.offset = args.at(-1);
		}

		const asked = this.pending.get(name);

		if (asked) {
			this.pending.delete(name);
			this.#answer(asked, args[0]);
			return;
		}

		const answer = /^(?:sync|apiResponse)-(\d+)$/.exec(name);

		if (answer) {
			const n = Number(answer[1]);

			this.asked.delete(n);
			this.record('synced', { n, code: args[0].errorCode,
				status: args[0].status });
			return;
		}

		const chunk = /^(?:sync-progress|apiStream)-(\d+)$/.exec(name);

		if (chunk) {
			if (args[0].i) {
				this.record('chunk', { n: Number(chunk[1]), i: args[0].i });
			}

			return;
		}

		if (name === 'gap' || name === 'position') {
			this.#moved(name, args[0]);

		} else if (name === 'm' || name === 'sync' || name === 'n') {
			const where = args[1] ?? {};

			this.#heard(name, args[0], where.room, where.pos);
		}
	}

	#answer({ room, pos, left }, answer) {
		if (left) {
			this.members.delete(room);
			this.record('left', { room, error: answer.errorCode });
			return;
		}

		if (answer.status === 'error') {
			this.record('joined', { room, error: answer.errorCode });
			this.run.later(() => this.rejoin(room), 50);
			return;
		}

		this.members.add(room);
		this.record('joined', { room, pos: answer.pos,
			recovered: answer.recovered, reason: answer.reason });

		if (this.run.recoverable(room)) {
			const at = answer.recovered ? pos : answer.pos;

			this.move(room, at);
			this.places.set(room, at);
		}
	}

	rejoin(room) {
		if (this.link && this.id && this.rooms.has(room)
		    && !this.members.has(room))
		{
			this.join(room);
		}
	}

	#heard(name, data, room, pos) {
		if (name === 'n') {
			this.record('noticed', { mid: data.mid });
			this.noticed = data.mid;
			return;
		}

		const whole = name === 'm' ? data?.mid
			: /^sync\/chaos\/(\w+)\//.exec(data?.fullName)?.[1];
		const mid = data?.status === 'stream' ? `${whole}.${data.i}` : whole;

		if (data?.direct) {
			this.record('direct', { mid: whole, i: data.i });
			return;
		}

		// of a sync to a volatile room, it is not said which one

		room ??= this.run.receivers.get(whole);

		if (pos === undefined && (this.run.recoverable(room)
		    || (!this.members.has(room) && [ ...this.members ].some((one) =>
			one.endsWith('*') && room.startsWith(one.slice(0, -1))))))
		{
			this.record('overheard', { room, mid });
			return;
		}

		this.record('heard', { room, pos, mid, to: data?.clientOutput?.to,
			code: data?.errorCode });
		this.move(room, pos);
		this.places.set(room, pos);
		this.last.set(room, mid);
	}

	#moved(name, { room, pos, reason }) {
		this.record(name === 'gap' ? 'gap' : 'moved', { room, pos, reason });
		this.move(room, pos);

		if (name === 'gap') {
			this.places.set(room, pos);
		}
	}

	// the id has a position of each channel, its own and those of the others

	stream(link, { id, event, data }) {
		if (link !== this.link) {
			return;
		}

		const at = id?.split(',') ?? this.at;
		const own = data ? this.channels.indexOf(data.channel) : -1;

		at.forEach((pos, i) => {
			if (i !== own && pos !== this.at[i] && pos !== '-') {
				this.#moved('position', { room: this.channels[i], pos });
			}
		});

		if (data) {
			const pos = own < 0 || at[own] === '-' ? undefined : at[own];

			if (event === 'gap') {
				this.#moved('gap', data.data);

			} else {
				this.#heard(event, data.data, data.channel, pos);
			}
		}

		this.at = at;
	}

	api(data) {
		if (this.streams) {
			return;
		}

		const responseIndex = ++this.index;
		const mid = this.run.message();

		this.asked.add(responseIndex);
		this.record('call', { n: responseIndex, mid, lines: data.lines });
		this.link.send([ 'apiRequest', { name: `api/chaos/${mid}/v1`,
			data: { mid, ...data }, responseIndex } ]);
	}

	sync(room, ignoreSelf, data = {}) {
		if (this.streams || !this.members?.has(room)) {
			return;
		}

		const responseIndex = ++this.index;
		const mid = this.run.message();

		this.run.receivers.set(mid, room);
		this.asked.add(responseIndex);
		this.record('sync', { n: responseIndex, room, mid, ignoreSelf,
			lines: data.lines });
		this.link.send([ 'sync', { name: `sync/chaos/${mid}/v1`, cb: 'c',
			data: { mid, ...data }, receiver: room, ignoreSelf,
			responseIndex } ]);
	}

	// what the plan says of it

	act(a) {
		const link = this.link;

		if (!link || !this.id) {
			return;
		}

		switch (a.what) {

		case 'cut':
			link.cut(a.bytes, a);
			break;

		case 'close':
			link.close();
			break;

		case 'move':
			this.host = a.host;
			link.close();
			break;

		case 'pause':
			link.pause();
			this.run.later(() => link.resume(), a.ms);
			break;

		case 'rejoin':
			if (!this.streams && this.members.has(a.room)) {
				this.join(a.room);
			}

			break;

		case 'sync':
			this.sync(a.room, a.ignoreSelf, a.data);
			break;

		case 'api':
			this.api(a.data);
			break;

		case 'leave':
			if (this.streams || !this.members.has(a.room)) {
				break;
			}

			this.rooms.delete(a.room);
			this.leave(a.room);

			this.run.later(() => {
				this.rooms.add(a.room);

				if (this.link && this.id) {
					this.join(a.room);
				}
			}, a.ms);

			break;
		}
	}

	closed(link) {
		if (link !== this.link) {
			return;
		}

		this.record('close');

		this.broken = this.pid === undefined || this.pending.size
			? undefined : { pid: this.pid, conn: this.conn,
				members: this.members,
				places: this.places,
				offset: this.offset ?? this.broken?.offset };

		this.link = undefined;
		this.id = undefined;

		this.run.later(() => this.connect(), this.random.range(0, 60));
	}

	stop() {
		this.stopped = true;
		this.link?.close();
	}
}
