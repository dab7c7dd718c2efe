
// Copyright (C) sync for nginx

// Reads what PostgreSQL's own output plugin says of a change (PostgreSQL
// documentation, "Logical Replication Message Formats", version 1).

// One reader for the messages of one decoding, in their order: it keeps what
// the relations look like.

export class Reader {

    #relations = new Map();

    // Returns {kind: "begin"}, {kind: "commit", lsn}, {kind: "change", action,
    // schema, table, row, old}, or null for what is of no interest here.  row
    // and old are objects of column names to text or null; a large value that
    // a change did not touch is not in row.

    read(bytes) {
        const r = new Bytes(bytes);

        switch (r.char()) {

        case "B":
            return { kind: "begin" };

        case "C":
            r.skip(1 + 8);
            return { kind: "commit", lsn: lsn(r.uint64()) };

        case "R":
            this.#relation(r);
            return null;

        case "I":
            return this.#change("insert", r);

        case "U":
            return this.#change("update", r);

        case "D":
            return this.#change("delete", r);

        case "T":
            return this.#truncate(r);

        default:        // types, origins
            return null;
        }
    }

    #relation(r) {
        const id = r.uint32();
        const schema = r.string();
        const table = r.string();
        const columns = [];

        r.skip(1);

        for (let n = r.uint16(); n > 0; n--) {
            const key = r.uint8() === 1;

            columns.push({ name: r.string(), key });
            r.skip(4 + 4);
        }

        this.#relations.set(id, { schema, table, columns });
    }

    #change(action, r) {
        const { schema, table, columns } = this.#relations.get(r.uint32());
        const change = { kind: "change", action, schema, table,
                         row: null, old: null };

        // K: the old key alone, O: the old row, N: the new one

        while (!r.end()) {
            const what = r.char();
            const tuple = this.#tuple(columns, r);

            if (what === "N") {
                change.row = tuple;

            } else if (what === "O") {
                change.old = tuple;

            } else {
                change.old = Object.fromEntries(columns
                    .filter((column) => column.key)
                    .map((column) => [column.name, tuple[column.name]]));
            }
        }

        return change;
    }

    #tuple(columns, r) {
        const row = {};

        const n = r.uint16();

        for (let i = 0; i < n; i++) {
            switch (r.char()) {

            case "n":
                row[columns[i].name] = null;
                break;

            case "t":
                row[columns[i].name] = r.text(r.uint32());
                break;

            default:    // u: as it was
                break;
            }
        }

        return row;
    }

    #truncate(r) {
        const n = r.uint32();

        r.skip(1);

        const relations = Array.from({ length: n },
                                     () => this.#relations.get(r.uint32()));

        return { kind: "truncate", tables: relations
            .map(({ schema, table }) => ({ schema, table })) };
    }
}


class Bytes {

    #data;
    #pos = 0;

    constructor(data) {
        this.#data = data;
    }

    end() {
        return this.#pos >= this.#data.length;
    }

    skip(n) {
        this.#pos += n;
    }

    #next(n) {
        this.#pos += n;
        return this.#pos - n;
    }

    uint8() {
        return this.#data.readUInt8(this.#next(1));
    }

    uint16() {
        return this.#data.readUInt16BE(this.#next(2));
    }

    uint32() {
        return this.#data.readUInt32BE(this.#next(4));
    }

    uint64() {
        return this.#data.readBigUInt64BE(this.#next(8));
    }

    char() {
        return String.fromCharCode(this.uint8());
    }

    text(n) {
        const pos = this.#next(n);

        return this.#data.toString("utf8", pos, pos + n);
    }

    string() {
        const text = this.text(this.#data.indexOf(0, this.#pos) - this.#pos);

        this.skip(1);
        return text;
    }
}


// As PostgreSQL writes one: 0/16B3748.

function lsn(n) {
    return `${(n >> 32n).toString(16)}/${(n & 0xffffffffn).toString(16)}`
        .toUpperCase();
}
