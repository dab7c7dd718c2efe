
// Copyright (C) sync for nginx

// Tells rooms what changes in a PostgreSQL database.
//
//     node relay.mjs
//
// What is committed is read from a replication slot and published, in the
// order of the commits: one message a transaction and room, whose position is
// the database's own, the LSN of the commit.  Only then does the slot move on.
// So the relay may be killed at any time, and run twice: what it tells again is
// refused as stale by the room, and nothing is left out.
//
//     DATABASE_URL    postgres:///postgres
//     RELAY_CONTROL   http://127.0.0.1:8080/control
//     RELAY_SLOT      sync; made if it is not there
//     RELAY_PUBLICATION  sync; CREATE PUBLICATION sync FOR TABLE ...
//     RELAY_ROOMS     {"public.card":"board:{board}"}: the room of a row, by
//                     table; a table that is not named has "table:<name>"
//     RELAY_WAIT      50, ms between looks at a database that is quiet
//
// With REPLICA IDENTITY FULL a row that goes to another room is told to the
// one it leaves, too.

import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";

import pg from "pg";

import { Reader } from "./pgoutput.mjs";

const BATCH = 500;              // changes, and the rest of a transaction
const MESSAGE = 256 * 1024;     // bytes; more is told as "look for yourself"
const RETRY_MIN = 100;          // ms
const RETRY_MAX = 5000;

const env = {
    DATABASE_URL: "postgres:///postgres",
    RELAY_CONTROL: "http://127.0.0.1:8080/control",
    RELAY_SLOT: "sync",
    RELAY_PUBLICATION: "sync",
    RELAY_ROOMS: "{}",
    RELAY_WAIT: "50",
    ...process.env,
};

const rooms = JSON.parse(env.RELAY_ROOMS);


async function main() {
    let failures = 0;

    for (;;) {
        const db = new pg.Client({ connectionString: env.DATABASE_URL });

        db.on("error", () => {});       // the next query fails, too

        try {
            await db.connect();
            await createSlot(db);

            console.log(`relay: follows ${env.RELAY_SLOT}`);

            for (;;) {
                if (!await relay(db)) {
                    await wait(Number(env.RELAY_WAIT));
                }

                failures = 0;
            }

        } catch (e) {
            console.error(`relay: ${e.message}`);

        } finally {
            await db.end().catch(() => {});
        }

        await wait(Math.random()
                   * Math.min(RETRY_MAX, RETRY_MIN * 2 ** failures++));
    }
}


async function createSlot(db) {
    const { rowCount } = await db.query(
        "SELECT FROM pg_replication_slots WHERE slot_name = $1",
        [env.RELAY_SLOT]);

    if (rowCount === 0) {
        await db.query(
            "SELECT pg_create_logical_replication_slot($1, 'pgoutput')",
            [env.RELAY_SLOT]);
    }
}


// Tells what the slot has, some of it; returns whether there was anything.

async function relay(db) {
    const { rows } = await db.query(
        "SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, $2,"
        + " 'proto_version', '1', 'publication_names', $3)",
        [env.RELAY_SLOT, BATCH, env.RELAY_PUBLICATION]);

    const reader = new Reader();
    let changes = [];
    let told = null;

    for (const { data } of rows) {
        const message = reader.read(data);

        if (message?.kind === "begin") {
            changes = [];

        } else if (message?.kind === "commit") {
            await tell(message.lsn, changes);
            told = message.lsn;

        } else if (message) {
            changes.push(message);
        }
    }

    if (told) {
        await db.query("SELECT pg_replication_slot_advance($1, $2)",
                       [env.RELAY_SLOT, told]);
    }

    return told !== null;
}


// A transaction: all rooms at once, each by one message.

async function tell(lsn, changes) {
    const messages = new Map();

    for (const change of changes) {
        for (const room of roomsOf(change)) {
            const { kind, ...told } = change;

            if (!messages.has(room)) {
                messages.set(room, []);
            }

            messages.get(room).push(kind === "truncate"
                                    ? { action: kind, ...told } : told);
        }
    }

    await Promise.all(Array.from(messages, ([room, list]) => {
        let data = { lsn, changes: list };

        if (JSON.stringify(data).length > MESSAGE) {
            data = { lsn, changes: null, count: list.length };
        }

        return publish({ room, event: "change", data, lsn });
    }));
}


function roomsOf(change) {
    const tables = change.kind === "truncate" ? change.tables : [change];

    return new Set(tables.flatMap(({ schema, table }) => {
        const template = rooms[`${schema}.${table}`];

        // a truncation has no row, so it is told to the table's own room

        if (template === undefined || change.kind === "truncate") {
            return [`table:${table}`];
        }

        return [change.old, change.row]
            .filter((row) => row && columnsOf(template)
                .every((column) => row[column] != null))
            .map((row) => template.replace(/\{(\w+)\}/g,
                                           (_, column) => row[column]));
    }));
}


function columnsOf(template) {
    return Array.from(template.matchAll(/\{(\w+)\}/g), ([, column]) => column);
}


// Until the room has it: what it refuses as stale it had before.

async function publish(message) {
    for (let failures = 0; ; failures++) {
        let why;

        try {
            const answer = await fetch(`${env.RELAY_CONTROL}/publish`, {
                method: "POST",
                headers: { "Content-Type": "application/json" },
                body: JSON.stringify(message),
                signal: AbortSignal.timeout(10000),
            });

            const { errorCode } = await answer.json();

            if (answer.ok || errorCode === "publish.stale") {
                return;
            }

            why = errorCode ?? answer.status;

        } catch (e) {
            why = e.cause?.code ?? e.message;
        }

        if (failures === 0) {
            console.error(`relay: ${message.room}: ${why}, trying again`);
        }

        await wait(Math.random()
                   * Math.min(RETRY_MAX, RETRY_MIN * 2 ** failures));
    }
}


process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));

await main();
