// Copyright (C) sync for nginx

// Numbers drawn by a seed: the same seed, the same numbers.

export class Random {
	constructor(...seed) {
		this.state = 0x9e3779b9;

		for (const byte of Buffer.from(seed.join('/'))) {
			this.state = Math.imul(this.state ^ byte, 0x01000193);
		}
	}

	// 0 to 1, 1 excluded

	next() {
		this.state = (this.state + 0x6d2b79f5) | 0;

		let n = this.state;

		n = Math.imul(n ^ (n >>> 15), n | 1);
		n ^= n + Math.imul(n ^ (n >>> 7), n | 61);

		return ((n ^ (n >>> 14)) >>> 0) / 4294967296;
	}

	chance(p) {
		return this.next() < p;
	}

	// from a to b, both included

	range(a, b) {
		return a + Math.floor(this.next() * (b - a + 1));
	}

	pick(list) {
		return list[this.range(0, list.length - 1)];
	}

	// n of the list, in its order

	some(list, n) {
		const left = [ ...list ];

		while (left.length > n) {
			left.splice(this.range(0, left.length - 1), 1);
		}

		return left;
	}
}
