
// Copyright (C) sync for nginx

// Schemas that zod and TypeBox make, and values, with what ajv says of each:
// [ { name, schema, values: [ [ json, valid ] ] } ].  A value is one that is
// good, or that with one thing changed.

import { Type } from '@sinclair/typebox';
import Ajv from 'ajv';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { z } from 'zod';


const node = z.object({
    name: z.string(),
    get children() { return z.array(node); }
});

const zods = {
    card: [
        z.object({
            title: z.string().min(2).max(5),
            count: z.number().int().min(0).max(10),
            price: z.number().gt(0).lt(100).multipleOf(0.5).optional(),
            tags: z.array(z.string()).min(1).max(3),
            done: z.boolean().default(false),
            note: z.string().nullable(),
        }),
        { title: 'a\u{1f600}b', count: 3, price: 1.5, tags: [ 'x', 'y' ],
          done: true, note: null }
    ],
    formats: [
        z.object({
            email: z.email(), id: z.uuid(), at: z.iso.datetime(),
            day: z.iso.date(), url: z.url(), v4: z.ipv4(), v6: z.ipv6()
        }).partial(),
        { email: 'a.b@example.com',
          id: '0e37df36-f698-41e6-8b6a-3f1a2b3c4d5e',
          at: '2026-02-28T23:59:59Z', day: '2026-12-31',
          url: 'https://example.com/a?b=c#d', v4: '192.0.2.1', v6: '::1' }
    ],
    unions: [
        z.object({
            kind: z.enum([ 'a', 'b', 'c' ]),
            value: z.union([ z.string(), z.number(), z.array(z.number()) ]),
            shape: z.discriminatedUnion('type', [
                z.object({ type: z.literal('circle'), r: z.number() }),
                z.object({ type: z.literal('box'), w: z.number(),
                           h: z.number() })
            ]),
            many: z.literal([ 1, 'two', null ]),
            both: z.intersection(z.object({ a: z.string() }),
                                 z.object({ b: z.number() }))
        }),
        { kind: 'b', value: [ 1 ], shape: { type: 'box', w: 1, h: 2 },
          many: 'two', both: { a: '', b: 0 } },
        'input'
    ],
    lists: [
        z.object({
            pair: z.tuple([ z.string(), z.number() ]),
            rest: z.tuple([ z.string() ]).rest(z.boolean()),
            map: z.record(z.string().regex(/^[a-z]+$/), z.number()),
            any: z.any(), unknown: z.unknown().optional()
        }),
        { pair: [ 'a', 1 ], rest: [ 'a', true, false ],
          map: { a: 1, bc: 2 }, any: { x: [] }, unknown: 1 }
    ],
    strict: [
        z.strictObject({ a: z.string().startsWith('x').endsWith('y'),
                         b: z.string().includes('$').optional() }),
        { a: 'x-y', b: '5$' }, 'input'
    ],
    loose: [
        z.looseObject({ a: z.int32() }), { a: 5, more: 1 }
    ],
    tree: [
        node, { name: 'a', children: [ { name: 'b', children: [
            { name: 'c', children: [] } ] } ] }
    ]
};

const boxes = {
    card: [
        Type.Object({
            title: Type.String({ minLength: 1, maxLength: 4 }),
            count: Type.Integer({ minimum: 0, exclusiveMaximum: 10 }),
            step: Type.Optional(Type.Number({ multipleOf: 0.25 })),
            tags: Type.Array(Type.String(), { uniqueItems: true,
                minItems: 1 }),
            kind: Type.Union([ Type.Literal('a'), Type.Literal(2),
                Type.Null() ])
        }, { additionalProperties: false }),
        { title: 'ab', count: 0, step: 0.75, tags: [ 'a', 'b' ], kind: 2 }
    ],
    lists: [
        Type.Object({
            pair: Type.Tuple([ Type.String(), Type.Boolean() ]),
            none: Type.Tuple([]),
            map: Type.Record(Type.String(), Type.Number()),
            keyed: Type.Record(Type.RegExp('^k[0-9]{1,2}$'),
                Type.Number(), { additionalProperties: false }),
            both: Type.Intersect([ Type.Object({ a: Type.Number() }),
                Type.Object({ b: Type.Number() }) ]),
            not: Type.Not(Type.String()),
            text: Type.TemplateLiteral('id-${1|2|3}')
        }),
        { pair: [ 'a', true ], none: [], map: { x: 1 }, keyed: { k1: 1 },
          both: { a: 1, b: 2 }, not: 1, text: 'id-2' }
    ],
    tree: [
        Type.Recursive(me => Type.Object({ id: Type.String(),
            nodes: Type.Array(me), next: Type.Optional(me) }),
            { $id: 'Tree' }),
        { id: 'a', nodes: [ { id: 'b', nodes: [] } ],
          next: { id: 'c', nodes: [] } }
    ],
    formats: [
        Type.Object({
            mail: Type.Optional(Type.String({ format: 'email' })),
            id: Type.Optional(Type.String({ format: 'uuid' })),
            at: Type.Optional(Type.String({ format: 'date-time' })),
            day: Type.Optional(Type.String({ format: 'date' })),
            time: Type.Optional(Type.String({ format: 'time' })),
            uri: Type.Optional(Type.String({ format: 'uri' })),
            v4: Type.Optional(Type.String({ format: 'ipv4' })),
            v6: Type.Optional(Type.String({ format: 'ipv6' })),
            host: Type.Optional(Type.String({ format: 'hostname' })),
            code: Type.Optional(Type.String({
                pattern: '^\\p{Lu}[\\u00e0-\\u00ff]+$' }))
        }),
        { mail: 'a@b.org', id: '0e37df36-f698-41e6-8b6a-3f1a2b3c4d5e',
          at: '2026-01-01T00:00:00.5+01:00', day: '2024-02-29',
          time: '10:00:00Z', uri: 'urn:a:b', v4: '1.2.3.4',
          v6: '2001:db8::1.2.3.4', host: 'a-b.example', code: '\u00c9\u00e9' }
    ]
};

// drafts have things that neither of the two says

const others = {
    mixed: [
        { type: 'object',
          required: [ 'a', 'absent' ],
          properties: {
              a: { type: [ 'string', 'null', 'integer' ] },
              b: { enum: [ { x: [ 1, 2.0 ] }, [ 'a', { y: null } ], 3 ] },
              c: { const: { k: 'v', l: [] } },
              d: { items: [ { type: 'number' } ],
                   additionalItems: { type: 'string' } },
              e: { oneOf: [ { minimum: 5 }, { multipleOf: 2 } ] },
              f: { $ref: '#/definitions/a~1b' }
          },
          minProperties: 3, maxProperties: 7,
          propertyNames: { maxLength: 6 },
          definitions: { 'a/b': { type: 'array', uniqueItems: true } } },
        { a: 1, absent: 0, b: { x: [ 1, 2 ] }, c: { l: [], k: 'v' },
          d: [ 1, 'a' ], e: 6.0000001e0, f: [ 1, '1', { a: 1 } ] }
    ]
};

// what things are changed to

const values = [
    null, true, false, 0, 1, -1, 2.5, 10, 11, 100, 1e300, '', 'a', 'x', 'xy',
    'ab\u{1f600}de\u{1f600}', '\u00c9\u00e9\n', '$', 'id-2\n', 'k1',
    'a@b', 'a@b.c', '.a@b.org', 'a..b@c.de', 'a b@c.de', '@b.org', 'a@-b.org',
    '0E37DF36-f698-41e6-8b6a-3f1a2b3c4d5e', '0e37df36f69841e68b6a3f1a2b3c4d5e',
    '2026-02-29', '2024-02-29', '2026-13-01', '2026-1-1',
    '2026-01-01T00:00:00', '2026-01-01T24:00:00Z', '2026-01-01T23:59:60Z',
    '2026-01-01T00:00:00.123456Z', '2026-01-01T00:00:00+01:00',
    '10:00:00', '23:59:60Z', '25:00:00Z', '12:00:00.1-05:30',
    'http://', 'http://a b', '/relative', 'mailto:a@b', '1http://a',
    'http://[::1]/%41', '256.0.0.1', '01.2.3.4', '1.2.3', '::', '1::2::3',
    '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7', ':1', '::ffff:1.2.3.4', '-a', 'a-',
    'a..b', 'circle', 'box', 'two', 'c', [], [ 1 ], [ 'a' ], [ 'a', 1 ],
    [ 'a', true ], [ 1, 1 ], [ 1, 1.0 ], [ { a: 1 }, { a: 1 } ],
    [ '1', 1, true ], [ 'a', 'a' ], [ 'a', 'b', 'c', 'd' ], {}, { a: 1 },
    { a: 'x' }, { a: 1, b: 2 }, { a: 'x', b: 2 }, { k: 'v', l: [] },
    { x: [ 1, 2 ] }, { k1: 1 }, { k123: 1 }, { A: 1 }, { type: 'circle' },
    { type: 'circle', r: 1 }, { type: 'box', r: 1 }, { name: 'a' },
    { name: 'a', children: [] }, { id: 'a', nodes: [] },
    { id: 'a', nodes: [ { id: 1, nodes: [] } ] }
];

function places(value, path = []) {
    if (value === null || typeof value !== 'object')
        return [ path ];

    return [ path, ...Object.keys(value).flatMap(
        key => places(value[key], [ ...path, key ])) ];
}

function change(value, path, how) {
    const copy = structuredClone(value);
    const parent = path.slice(0, -1).reduce((v, key) => v[key], copy);

    how(parent, path.at(-1));

    return copy;
}

function variants(good) {
    const all = [ good, { ...good, extra: 1 }, {} ];

    for (const [ n, path ] of places(good).slice(1).entries()) {

        // every other one, each of them in its turn

        for (const v of values.filter((v, i) => (i + n) % 2))
            all.push(change(good, path, (p, key) => { p[key] = v; }));

        all.push(change(good, path, (p, key) => {
            Array.isArray(p) ? p.splice(key, 1) : delete p[key];
        }));
    }

    return all;
}

function cases(name, schema, good, ajv) {
    const check = ajv.compile(schema);

    if (!check(good))
        throw new Error(`${name}: ${JSON.stringify(check.errors)}`);

    return { name, schema: JSON.parse(JSON.stringify(schema)),
             values: variants(good).map(v => [ JSON.stringify(v),
                 check(JSON.parse(JSON.stringify(v))) ]) };
}

function ajv(Class) {
    const a = new Class({ strict: false, logger: false,
        multipleOfPrecision: 9 });
    addFormats(a);

    // those of zod are patterns as well

    return a;
}

const all = [];

for (const [ name, [ type, good, io ] ] of Object.entries(zods))
    all.push(cases(`zod ${name}`, z.toJSONSchema(type, { io }), good,
        ajv(Ajv2020)));

for (const [ name, [ schema, good ] ] of Object.entries(boxes))
    all.push(cases(`typebox ${name}`, schema, good, ajv(Ajv)));

for (const [ name, [ schema, good ] ] of Object.entries(others))
    all.push(cases(`other ${name}`, schema, good, ajv(Ajv)));

console.log(JSON.stringify(all));
