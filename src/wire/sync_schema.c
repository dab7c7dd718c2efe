
/*
 * Copyright (C) sync for nginx
 */


#include "sync_schema.h"


/*
 * What a check may cost, in bytes of text looked at: so many times the bytes
 * of the value, and some more.  A schema that looks at each value once costs
 * its bytes once for each level above it.
 */

#define SYNC_SCHEMA_TIMES  128
#define SYNC_SCHEMA_MORE   65536


/* Where a check is: each value has a name in the one around it. */

typedef struct sync_schema_place_s  sync_schema_place_t;

struct sync_schema_place_s {
    const sync_schema_place_t  *parent;
    sync_str_t                  name;       /* as in the text */
    sync_uint_t                 index;      /* if name.data is NULL */
    unsigned                    plain:1;    /* the name is the schema's */
};


typedef struct {
    sync_schema_match_pt        match;
    u_char                     *buf;
    sync_schema_fault_t        *fault;
    size_t                      left;       /* of what it may cost */
    sync_uint_t                 depth;
    sync_uint_t                 quiet;      /* faults are no news */
    sync_uint_t                 over;       /* a bound was met */
} sync_schema_run_t;


static sync_int_t sync_schema_run(sync_schema_run_t *r,
    const sync_schema_t *s, const sync_json_t *v,
    const sync_schema_place_t *at);
static sync_int_t sync_schema_value(sync_schema_run_t *r,
    const sync_schema_t *s, const sync_json_t *v,
    const sync_schema_place_t *at);
static sync_uint_t sync_schema_types(const sync_json_t *v, double *d);
static sync_uint_t sync_schema_whole(double d);
static sync_int_t sync_schema_values(sync_schema_run_t *r,
    const sync_schema_t *s, const sync_json_t *v,
    const sync_schema_place_t *at);
static sync_int_t sync_schema_number(sync_schema_run_t *r,
    const sync_schema_t *s, double d, const sync_schema_place_t *at);
static sync_int_t sync_schema_string(sync_schema_run_t *r,
    const sync_schema_t *s, const sync_json_t *v,
    const sync_schema_place_t *at);
static sync_int_t sync_schema_array(sync_schema_run_t *r,
    const sync_schema_t *s, const sync_json_t *v,
    const sync_schema_place_t *at);
static sync_int_t sync_schema_unique(sync_schema_run_t *r,
    const sync_json_t *v, const sync_schema_place_t *at);
static sync_int_t sync_schema_object(sync_schema_run_t *r,
    const sync_schema_t *s, const sync_json_t *v,
    const sync_schema_place_t *at);
static sync_int_t sync_schema_member(sync_schema_run_t *r,
    const sync_schema_t *s, const sync_json_t *v,
    const sync_schema_place_t *at, u_char *seen);
static sync_int_t sync_schema_logic(sync_schema_run_t *r,
    const sync_schema_t *s, const sync_json_t *v,
    const sync_schema_place_t *at);
static sync_uint_t sync_schema_some(sync_schema_run_t *r,
    const sync_schema_list_t *list, const sync_json_t *v,
    const sync_schema_place_t *at, sync_uint_t enough);
static sync_uint_t sync_schema_equal(sync_schema_run_t *r,
    const sync_json_t *v1, const sync_json_t *v2);
static sync_uint_t sync_schema_same_array(sync_schema_run_t *r,
    const sync_json_t *v1, const sync_json_t *v2);
static sync_uint_t sync_schema_same_object(sync_schema_run_t *r,
    const sync_json_t *v1, const sync_json_t *v2);
static sync_uint_t sync_schema_pay(sync_schema_run_t *r, size_t cost);
static sync_int_t sync_schema_fail(sync_schema_run_t *r, const char *keyword,
    const sync_schema_place_t *at);


static const char *const  sync_schema_sizes[] = {
    "minLength", "maxLength", "minItems", "maxItems", "minProperties",
    "maxProperties"
};


void
sync_schema_init(sync_schema_t *s)
{
    memset(s, 0, sizeof(sync_schema_t));

    s->sizes[SYNC_SCHEMA_MAX_LENGTH] = SIZE_MAX;
    s->sizes[SYNC_SCHEMA_MAX_ITEMS] = SIZE_MAX;
    s->sizes[SYNC_SCHEMA_MAX_PROPERTIES] = SIZE_MAX;
}


sync_int_t
sync_schema_check(const sync_schema_t *s, const sync_json_t *v,
    sync_schema_match_pt match, u_char *buf, sync_schema_fault_t *fault)
{
    sync_schema_run_t  r;

    memset(&r, 0, sizeof(sync_schema_run_t));

    r.match = match;
    r.buf = buf;
    r.fault = fault;
    r.left = SYNC_SCHEMA_MORE;

    if (v->raw.len < (SIZE_MAX - r.left) / SYNC_SCHEMA_TIMES) {
        r.left += v->raw.len * SYNC_SCHEMA_TIMES;
    }

    fault->keyword = "";
    fault->len = 0;

    return sync_schema_run(&r, s, v, NULL);
}


static sync_int_t
sync_schema_run(sync_schema_run_t *r, const sync_schema_t *s,
    const sync_json_t *v, const sync_schema_place_t *at)
{
    sync_int_t  rc;

    if (r->depth == SYNC_SCHEMA_DEPTH_MAX
        || !sync_schema_pay(r, v->raw.len + 1))
    {
        r->over = 1;
        return sync_schema_fail(r, "limit", at);
    }

    r->depth++;

    rc = sync_schema_value(r, s, v, at);

    if (rc == SYNC_OK && s->ref) {
        rc = sync_schema_run(r, s->ref, v, at);
    }

    if (rc == SYNC_OK) {
        rc = sync_schema_logic(r, s, v, at);
    }

    r->depth--;

    return rc;
}


static sync_int_t
sync_schema_value(sync_schema_run_t *r, const sync_schema_t *s,
    const sync_json_t *v, const sync_schema_place_t *at)
{
    double       d;
    sync_uint_t  types;

    if (s->never) {
        return sync_schema_fail(r, "false", at);
    }

    types = sync_schema_types(v, &d);

    if (s->types && (s->types & types) == 0) {
        return sync_schema_fail(r, "type", at);
    }

    if (s->has_values && sync_schema_values(r, s, v, at) != SYNC_OK) {
        return SYNC_DECLINED;
    }

    switch (v->type) {

    case SYNC_JSON_NUMBER:
        return s->has_bounds ? sync_schema_number(r, s, d, at) : SYNC_OK;

    case SYNC_JSON_STRING:
        return sync_schema_string(r, s, v, at);

    case SYNC_JSON_ARRAY:
        return sync_schema_array(r, s, v, at);

    case SYNC_JSON_OBJECT:
        return sync_schema_object(r, s, v, at);

    default:
        return SYNC_OK;
    }
}


/* The types that a value is of; one beyond a double is of none. */

static sync_uint_t
sync_schema_types(const sync_json_t *v, double *d)
{
    switch (v->type) {

    case SYNC_JSON_NULL:
        return SYNC_SCHEMA_NULL;

    case SYNC_JSON_FALSE:
    case SYNC_JSON_TRUE:
        return SYNC_SCHEMA_BOOLEAN;

    case SYNC_JSON_NUMBER:

        if (sync_json_double(d, v) != SYNC_OK) {
            *d = 0;
            return 0;
        }

        return sync_schema_whole(*d)
               ? SYNC_SCHEMA_NUMBER | SYNC_SCHEMA_INTEGER
               : SYNC_SCHEMA_NUMBER;

    case SYNC_JSON_STRING:
        return SYNC_SCHEMA_STRING;

    case SYNC_JSON_ARRAY:
        return SYNC_SCHEMA_ARRAY;

    default: /* SYNC_JSON_OBJECT */
        return SYNC_SCHEMA_OBJECT;
    }
}


static sync_uint_t
sync_schema_whole(double d)
{
    /* beyond 2^53 there are no fractions */

    if (d >= 9007199254740992.0 || d <= -9007199254740992.0) {
        return 1;
    }

    return (double) (int64_t) d == d;
}


static sync_int_t
sync_schema_values(sync_schema_run_t *r, const sync_schema_t *s,
    const sync_json_t *v, const sync_schema_place_t *at)
{
    sync_uint_t  i;

    for (i = 0; i < s->nvalues; i++) {
        if (sync_schema_equal(r, &s->values[i], v)) {
            return SYNC_OK;
        }
    }

    return sync_schema_fail(r, s->constant ? "const" : "enum", at);
}


static sync_int_t
sync_schema_number(sync_schema_run_t *r, const sync_schema_t *s, double d,
    const sync_schema_place_t *at)
{
    double       q, rest;
    sync_uint_t  has;

    has = s->has_bounds;

    if ((has & 1 << SYNC_SCHEMA_MINIMUM)
        && d < s->bounds[SYNC_SCHEMA_MINIMUM])
    {
        return sync_schema_fail(r, "minimum", at);
    }

    if ((has & 1 << SYNC_SCHEMA_MAXIMUM)
        && d > s->bounds[SYNC_SCHEMA_MAXIMUM])
    {
        return sync_schema_fail(r, "maximum", at);
    }

    if ((has & 1 << SYNC_SCHEMA_EXCLUSIVE_MINIMUM)
        && d <= s->bounds[SYNC_SCHEMA_EXCLUSIVE_MINIMUM])
    {
        return sync_schema_fail(r, "exclusiveMinimum", at);
    }

    if ((has & 1 << SYNC_SCHEMA_EXCLUSIVE_MAXIMUM)
        && d >= s->bounds[SYNC_SCHEMA_EXCLUSIVE_MAXIMUM])
    {
        return sync_schema_fail(r, "exclusiveMaximum", at);
    }

    if (has & 1 << SYNC_SCHEMA_MULTIPLE_OF) {
        q = d / s->bounds[SYNC_SCHEMA_MULTIPLE_OF];

        if (q < 0) {
            q = -q;
        }

        /* 0.07 is 7 times 0.01, which a double does not know */

        if (q < 9007199254740992.0) {
            rest = q - (double) (int64_t) (q + 0.5);

            if (rest < 0) {
                rest = -rest;
            }

            if (rest > 1e-9 * (q < 1 ? 1 : q)) {
                return sync_schema_fail(r, "multipleOf", at);
            }
        }
    }

    return SYNC_OK;
}


static sync_int_t
sync_schema_string(sync_schema_run_t *r, const sync_schema_t *s,
    const sync_json_t *v, const sync_schema_place_t *at)
{
    size_t       n;
    sync_str_t   text;
    sync_uint_t  min, max;

    min = SYNC_SCHEMA_MIN_LENGTH;
    max = SYNC_SCHEMA_MAX_LENGTH;

    if (s->sizes[min] > 0 || s->sizes[max] != SIZE_MAX) {
        n = sync_json_string_points(v);

        if (n < s->sizes[min]) {
            return sync_schema_fail(r, sync_schema_sizes[min], at);
        }

        if (n > s->sizes[max]) {
            return sync_schema_fail(r, sync_schema_sizes[max], at);
        }
    }

    if (s->regex == NULL && s->format == NULL) {
        return SYNC_OK;
    }

    if (sync_json_string(&text, v, r->buf, SYNC_SCHEMA_TEXT_MAX) != SYNC_OK) {
        r->over = 1;
        return sync_schema_fail(r, "limit", at);
    }

    if (s->format && !s->format(&text)) {
        return sync_schema_fail(r, "format", at);
    }

    if (s->regex && !r->match(s->regex, &text)) {
        return sync_schema_fail(r, "pattern", at);
    }

    return SYNC_OK;
}


static sync_int_t
sync_schema_array(sync_schema_run_t *r, const sync_schema_t *s,
    const sync_json_t *v, const sync_schema_place_t *at)
{
    sync_uint_t                n, min, max;
    sync_json_t                item;
    sync_json_iter_t           it;
    const sync_schema_t       *schema;
    sync_schema_place_t        place;
    const sync_schema_list_t  *prefix;

    min = SYNC_SCHEMA_MIN_ITEMS;
    max = SYNC_SCHEMA_MAX_ITEMS;
    prefix = &s->lists[SYNC_SCHEMA_PREFIX];

    place.parent = at;
    place.name.data = NULL;
    place.name.len = 0;
    place.plain = 0;

    sync_json_iter_init(&it, v);

    for (n = 0; sync_json_next(&it, NULL, &item) == SYNC_OK; n++) {

        schema = (n < prefix->n) ? prefix->schemas[n] : s->items;

        if (schema == NULL) {
            continue;
        }

        place.index = n;

        if (sync_schema_run(r, schema, &item, &place) != SYNC_OK) {
            return SYNC_DECLINED;
        }
    }

    if (n < s->sizes[min]) {
        return sync_schema_fail(r, sync_schema_sizes[min], at);
    }

    if (n > s->sizes[max]) {
        return sync_schema_fail(r, sync_schema_sizes[max], at);
    }

    return s->unique ? sync_schema_unique(r, v, at) : SYNC_OK;
}


static sync_int_t
sync_schema_unique(sync_schema_run_t *r, const sync_json_t *v,
    const sync_schema_place_t *at)
{
    sync_json_t       a, b;
    sync_json_iter_t  outer, inner;

    sync_json_iter_init(&outer, v);

    while (sync_json_next(&outer, NULL, &a) == SYNC_OK) {
        inner = outer;

        while (sync_json_next(&inner, NULL, &b) == SYNC_OK) {

            if (sync_schema_equal(r, &a, &b)) {
                return sync_schema_fail(r, "uniqueItems", at);
            }
        }
    }

    /* where comparing would have cost too much, it is not known */

    return r->over ? sync_schema_fail(r, "limit", at) : SYNC_OK;
}


static sync_int_t
sync_schema_object(sync_schema_run_t *r, const sync_schema_t *s,
    const sync_json_t *v, const sync_schema_place_t *at)
{
    u_char               seen[SYNC_SCHEMA_PROPERTIES_MAX / 8];
    sync_uint_t          i, n, min, max;
    sync_json_t          value;
    sync_json_iter_t     it;
    sync_schema_place_t  place;

    min = SYNC_SCHEMA_MIN_PROPERTIES;
    max = SYNC_SCHEMA_MAX_PROPERTIES;

    memset(seen, 0, (s->nproperties + 7) / 8);

    place.parent = at;
    place.index = 0;
    place.plain = 0;

    sync_json_iter_init(&it, v);

    for (n = 0; sync_json_next(&it, &place.name, &value) == SYNC_OK; n++) {

        if (sync_schema_member(r, s, &value, &place, seen) != SYNC_OK) {
            return SYNC_DECLINED;
        }
    }

    for (i = 0; i < s->nproperties; i++) {

        if (s->properties[i].required && !(seen[i / 8] & 1 << i % 8)) {
            place.name = s->properties[i].name;
            place.plain = 1;
            return sync_schema_fail(r, "required", &place);
        }
    }

    if (n < s->sizes[min]) {
        return sync_schema_fail(r, sync_schema_sizes[min], at);
    }

    if (n > s->sizes[max]) {
        return sync_schema_fail(r, sync_schema_sizes[max], at);
    }

    return SYNC_OK;
}


static sync_int_t
sync_schema_member(sync_schema_run_t *r, const sync_schema_t *s,
    const sync_json_t *v, const sync_schema_place_t *at, u_char *seen)
{
    sync_str_t   text;
    sync_uint_t  i, known;
    sync_json_t  name;

    if (!sync_schema_pay(r, 1 + s->nproperties / 4)) {
        r->over = 1;
        return sync_schema_fail(r, "limit", at);
    }

    known = 0;

    for (i = 0; i < s->nproperties; i++) {

        if (!sync_json_key_is(&at->name, &s->properties[i].name)) {
            continue;
        }

        seen[i / 8] |= 1 << i % 8;

        if (s->properties[i].schema) {
            known = 1;

            if (sync_schema_run(r, s->properties[i].schema, v, at)
                != SYNC_OK)
            {
                return SYNC_DECLINED;
            }
        }

        break;
    }

    if (s->names == NULL && s->npatterns == 0 && s->additional == NULL) {
        return SYNC_OK;
    }

    name.type = SYNC_JSON_STRING;
    name.raw.data = at->name.data - 1;
    name.raw.len = at->name.len + 2;

    if (s->names && sync_schema_run(r, s->names, &name, at) != SYNC_OK) {
        return SYNC_DECLINED;
    }

    for (i = 0; i < s->npatterns; i++) {

        if (sync_json_string(&text, &name, r->buf, SYNC_SCHEMA_TEXT_MAX)
            != SYNC_OK
            || !sync_schema_pay(r, text.len + 1))
        {
            r->over = 1;
            return sync_schema_fail(r, "limit", at);
        }

        if (!r->match(s->patterns[i].regex, &text)) {
            continue;
        }

        known = 1;

        if (sync_schema_run(r, s->patterns[i].schema, v, at) != SYNC_OK) {
            return SYNC_DECLINED;
        }
    }

    if (known || s->additional == NULL) {
        return SYNC_OK;
    }

    if (s->additional->never) {
        return sync_schema_fail(r, "additionalProperties", at);
    }

    return sync_schema_run(r, s->additional, v, at);
}


static sync_int_t
sync_schema_logic(sync_schema_run_t *r, const sync_schema_t *s,
    const sync_json_t *v, const sync_schema_place_t *at)
{
    sync_int_t                 rc;
    sync_uint_t                i;
    const sync_schema_list_t  *list;

    list = &s->lists[SYNC_SCHEMA_ALL_OF];

    for (i = 0; i < list->n; i++) {
        if (sync_schema_run(r, list->schemas[i], v, at) != SYNC_OK) {
            return SYNC_DECLINED;
        }
    }

    list = &s->lists[SYNC_SCHEMA_ANY_OF];

    if (list->n && sync_schema_some(r, list, v, at, 1) == 0) {
        return sync_schema_fail(r, "anyOf", at);
    }

    list = &s->lists[SYNC_SCHEMA_ONE_OF];

    if (list->n && sync_schema_some(r, list, v, at, 2) != 1) {
        return sync_schema_fail(r, "oneOf", at);
    }

    if (s->not) {
        r->quiet++;
        rc = sync_schema_run(r, s->not, v, at);
        r->quiet--;

        if (rc == SYNC_OK || r->over) {
            return sync_schema_fail(r, "not", at);
        }
    }

    return SYNC_OK;
}


/* How many of the schemas the value is of, enough being enough. */

static sync_uint_t
sync_schema_some(sync_schema_run_t *r, const sync_schema_list_t *list,
    const sync_json_t *v, const sync_schema_place_t *at, sync_uint_t enough)
{
    sync_uint_t  i, n;

    r->quiet++;

    for (i = 0, n = 0; i < list->n && n < enough; i++) {

        if (sync_schema_run(r, list->schemas[i], v, at) == SYNC_OK) {
            n++;
        }

        if (r->over) {

            /* what was not looked at to the end counts for nothing */

            n = 0;
            break;
        }
    }

    r->quiet--;

    return n;
}


/* Equal in depth, as JSON Schema has it. */

static sync_uint_t
sync_schema_equal(sync_schema_run_t *r, const sync_json_t *v1,
    const sync_json_t *v2)
{
    if (!sync_schema_pay(r, 1)) {
        r->over = 1;
        return 0;
    }

    if (v1->type != v2->type) {
        return 0;
    }

    if (v1->type == SYNC_JSON_ARRAY) {
        return sync_schema_same_array(r, v1, v2);
    }

    if (v1->type == SYNC_JSON_OBJECT) {
        return sync_schema_same_object(r, v1, v2);
    }

    return sync_json_equal(v1, v2);
}


static sync_uint_t
sync_schema_same_array(sync_schema_run_t *r, const sync_json_t *v1,
    const sync_json_t *v2)
{
    sync_int_t        rc;
    sync_json_t       a, b;
    sync_json_iter_t  it1, it2;

    sync_json_iter_init(&it1, v1);
    sync_json_iter_init(&it2, v2);

    for ( ;; ) {
        rc = sync_json_next(&it1, NULL, &a);

        if (sync_json_next(&it2, NULL, &b) != rc) {
            return 0;
        }

        if (rc != SYNC_OK) {
            return 1;
        }

        if (!sync_schema_equal(r, &a, &b)) {
            return 0;
        }
    }
}


static sync_uint_t
sync_schema_same_object(sync_schema_run_t *r, const sync_json_t *v1,
    const sync_json_t *v2)
{
    sync_str_t        key, other;
    sync_uint_t       n;
    sync_json_t       a, b;
    sync_json_iter_t  it1, it2;

    n = 0;

    sync_json_iter_init(&it1, v1);

    while (sync_json_next(&it1, &key, &a) == SYNC_OK) {
        n++;

        if (!sync_schema_pay(r, v2->raw.len)) {
            r->over = 1;
            return 0;
        }

        sync_json_iter_init(&it2, v2);

        for ( ;; ) {

            if (sync_json_next(&it2, &other, &b) != SYNC_OK) {
                return 0;
            }

            if (sync_json_keys_equal(&key, &other)) {
                break;
            }
        }

        if (!sync_schema_equal(r, &a, &b)) {
            return 0;
        }
    }

    sync_json_iter_init(&it2, v2);

    while (sync_json_next(&it2, NULL, &b) == SYNC_OK) {
        n--;
    }

    return n == 0;
}


static sync_uint_t
sync_schema_pay(sync_schema_run_t *r, size_t cost)
{
    if (r->over || cost > r->left) {
        return 0;
    }

    r->left -= cost;

    return 1;
}


/* The first fault that counts is the one that is told. */

static sync_int_t
sync_schema_fail(sync_schema_run_t *r, const char *keyword,
    const sync_schema_place_t *at)
{
    size_t                      len;
    sync_uint_t                 n, i, count;
    sync_writer_t               w;
    const sync_schema_place_t  *p;

    if (r->quiet) {
        return SYNC_DECLINED;
    }

    r->fault->keyword = r->over ? "limit" : keyword;

    count = 0;

    for (p = at; p; p = p->parent) {
        count++;
    }

    sync_writer_init(&w, r->fault->path, SYNC_SCHEMA_PATH_MAX);
    len = 0;

    for (n = count; n; n--) {

        for (p = at, i = 1; i < n; i++) {
            p = p->parent;
        }

        if (n != count) {
            sync_write_byte(&w, '.');
        }

        if (p->plain) {
            sync_json_write_escaped(&w, p->name.data, p->name.len);

        } else if (p->name.data) {
            sync_write_str(&w, &p->name);

        } else {
            sync_write_int(&w, p->index);
        }

        if (!sync_writer_fits(&w)) {
            break;
        }

        len = w.len;
    }

    r->fault->len = len;

    return SYNC_DECLINED;
}
