// Copyright (C) sync for nginx

// A client with a token: it keeps no rooms, and writes down what it is told of
// its session.

import { WebSocketLink } from './links.mjs';
import { Random } from './random.mjs';

export class Tenant {
	constructor(run, spec) {
		this.run = run;
		this.token = spec.token;
		this.host = spec.host;
		this.random = new Random(run.plan.seed, 'tenant', spec.name);
	}

	connect() {
		if (this.run.over || this.link) {
			return;
		}

		this.conn = this.run.number();
		this.id = undefined;
		this.told = undefined;          // the last n, or "logout"
		this.granted = undefined;       // the answer to ask()

		this.record('tenant', { token: this.token, host: this.host });

		this.link = new WebSocketLink(this, this.run.address(this.host),
			`/s/ws?token=${this.token}`);
	}

	record(e, fields) {
		this.run.record(e, { conn: this.conn, ...fields });
	}

	connected(link, id) {
		if (link === this.link) {
			this.id = id;
			this.record('seated');
		}
	}

	event(link, [ name, ...args ]) {
		if (link !== this.link) {
			return;
		}

		if (name === 'updateSession') {
			this.told = JSON.parse(args[0]).n;
			this.record('updated', { n: this.told });

		} else if (name === 'logout') {
			this.told = 'logout';
			this.record('loggedOut');

		} else if (name === 'sessionReplaced') {
			this.record('replaced');

		} else if (name.startsWith('subscribe-')) {
			this.granted = !args[0].errors;
			this.record('granted', { yes: this.granted });
		}
	}

	// whether it may join what is for those who have a session

	ask() {
		this.granted = undefined;
		this.link?.send([ 'subscribe', { channels: [ 'desk:1' ],
			responseIndex: 1 } ]);
	}

	closed(link) {
		if (link !== this.link) {
			return;
		}

		this.record('unseated');
		this.link = undefined;
		this.id = undefined;

		this.run.later(() => this.connect(), this.random.range(0, 60));
	}

	again() {
		this.link?.close();
	}
}
