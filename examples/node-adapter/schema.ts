
/*
 * Copyright (C) sync for nginx
 */


/*
 * A handler's schema as nginx checks it: JSON Schema, in routes.json.  zod's
 * say it of themselves, TypeBox's are it.
 */


import type { Schema } from "./types.js";


type Json = Record<string, any>;


/* What "sync_routes" knows of; of another keyword the app makes sure itself. */

const KEYWORDS = new Set([
    "type", "enum", "const", "allOf", "anyOf", "oneOf", "not", "$ref",
    "properties", "required", "additionalProperties", "patternProperties",
    "propertyNames", "minProperties", "maxProperties", "items", "prefixItems",
    "additionalItems", "minItems", "maxItems", "uniqueItems", "minLength",
    "maxLength", "pattern", "format", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "title",
    "description", "default", "examples", "$schema", "$id", "$comment",
    "deprecated", "readOnly", "writeOnly", "contentEncoding",
    "contentMediaType", "$defs", "definitions"
]);

const FORMATS = new Set(["date-time", "date", "time", "email", "uuid", "uri",
                         "ipv4", "ipv6", "hostname"]);

/* Those that hold schemas by name, and those that hold one or some. */

const NAMED = ["properties", "patternProperties", "$defs", "definitions"];
const INNER = ["allOf", "anyOf", "oneOf", "not", "additionalProperties",
               "propertyNames", "items", "prefixItems", "additionalItems"];


/* Undefined, if there is none, or it cannot be said or checked as such. */

export function jsonSchema(schema: Schema | undefined): Json | undefined {
    if (schema === undefined) {
        return undefined;
    }

    const found = describe(schema as Json);

    if (found === undefined || found.type !== "object" || !known(found)) {
        return undefined;
    }

    const { $schema, ...rest } = found;

    return rest;
}


function describe(schema: Json): Json | undefined {
    try {
        if (typeof schema.toJSONSchema === "function") {
            return schema.toJSONSchema({ io: "input" });
        }

        const standard = schema["~standard"]?.jsonSchema;

        if (standard !== undefined) {
            return standard.input({ target: "draft-2020-12" });
        }

        return typeof schema.safeParse === "function"
               ? undefined : JSON.parse(JSON.stringify(schema));

    } catch {
        /* a transformation, a class: there is no JSON Schema of it */

        return undefined;
    }
}


function known(schema: unknown): boolean {
    if (Array.isArray(schema)) {
        return schema.every(known);
    }

    if (typeof schema !== "object" || schema === null) {
        return true;
    }

    const json = schema as Json;

    return Object.keys(json).every((key) => KEYWORDS.has(key))
           && (json.format === undefined || FORMATS.has(json.format)
               || json.pattern !== undefined)
           && INNER.every((key) => known(json[key]))
           && NAMED.every((key) => known(Object.values(json[key] ?? {})));
}
