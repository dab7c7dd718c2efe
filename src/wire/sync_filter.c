
/*
 * Copyright (C) sync for nginx
 */


#include "sync_filter.h"


static sync_int_t sync_filter_element(sync_json_t *v, const sync_str_t *name);
static sync_int_t sync_filter_test(const sync_filter_test_t *t,
    const sync_filter_side_t *side, const sync_json_t *session);
static sync_int_t sync_filter_in(const sync_filter_test_t *t,
    const sync_filter_side_t *side, const sync_json_t *v);


sync_int_t
sync_filter_prepare(sync_filter_side_t *side, const sync_filter_t *f,
    const sync_str_t texts[SYNC_FILTER_SOURCES])
{
    sync_uint_t                   i, j, n;
    sync_json_t                  *v;
    const sync_filter_test_t     *t;
    const sync_filter_operand_t  *o;

    side->never = 0;

    for (i = 0; i < f->noperands; i++) {
        o = &f->operands[i];
        v = &side->values[i];

        if (o->source == SYNC_FILTER_LITERAL) {
            *v = o->literal;

        } else if (sync_filter_value(v, &texts[o->source]) != SYNC_OK
                   || sync_filter_find(v, &o->path) != SYNC_OK)
        {
            v->raw.len = 0;
        }
    }

    /* a test none of whose operands is there fails for everybody */

    for (i = 0; i < f->ntests; i++) {
        t = &f->tests[i];

        if (t->n == 0) {
            continue;
        }

        for (j = 0, n = 0; j < t->n; j++) {
            n += (side->values[t->first + j].raw.len != 0);
        }

        if (n == 0) {
            side->never = 1;
            return SYNC_DECLINED;
        }
    }

    return SYNC_OK;
}


sync_int_t
sync_filter_matches(const sync_filter_t *f, const sync_filter_side_t *side,
    const sync_str_t *session)
{
    sync_uint_t  i;
    sync_json_t  v;

    if (side->never) {
        return 0;
    }

    if (sync_filter_value(&v, session) != SYNC_OK) {
        v.type = SYNC_JSON_NULL;
        v.raw.len = 0;
        v.raw.data = NULL;
    }

    for (i = 0; i < f->ntests; i++) {
        if (!sync_filter_test(&f->tests[i], side, &v)) {
            return 0;
        }
    }

    return 1;
}


sync_int_t
sync_filter_match(const sync_filter_t *f, const sync_str_t *recipient,
    const sync_str_t *sender, const sync_str_t *data,
    const sync_str_t *server)
{
    sync_str_t          texts[SYNC_FILTER_SOURCES];
    sync_filter_side_t  side;

    texts[SYNC_FILTER_LITERAL].len = 0;
    texts[SYNC_FILTER_SENDER] = *sender;
    texts[SYNC_FILTER_DATA] = *data;
    texts[SYNC_FILTER_SERVER] = *server;

    return sync_filter_prepare(&side, f, texts) == SYNC_OK
           && sync_filter_matches(f, &side, recipient);
}


static sync_int_t
sync_filter_test(const sync_filter_test_t *t, const sync_filter_side_t *side,
    const sync_json_t *session)
{
    sync_json_t         v;
    const sync_json_t  *operand;

    v = *session;

    if (sync_filter_find(&v, &t->key) != SYNC_OK) {
        return t->op == SYNC_FILTER_MISSING;
    }

    operand = &side->values[t->first];

    switch (t->op) {

    case SYNC_FILTER_EQUALS:
        return operand->raw.len && sync_json_equal(&v, operand);

    case SYNC_FILTER_NOT_EQUALS:
        return operand->raw.len && !sync_json_equal(&v, operand);

    case SYNC_FILTER_IN:
        return sync_filter_in(t, side, &v);

    case SYNC_FILTER_EXISTS:
        return 1;

    default: /* SYNC_FILTER_MISSING */
        return 0;
    }
}


static sync_int_t
sync_filter_in(const sync_filter_test_t *t, const sync_filter_side_t *side,
    const sync_json_t *v)
{
    sync_uint_t         i;
    sync_json_t         element;
    sync_json_iter_t    it;
    const sync_json_t  *operand;

    if (t->list) {
        operand = &side->values[t->first];

        if (operand->raw.len == 0 || operand->type != SYNC_JSON_ARRAY) {
            return 0;
        }

        sync_json_iter_init(&it, operand);

        while (sync_json_next(&it, NULL, &element) == SYNC_OK) {
            if (sync_json_equal(v, &element)) {
                return 1;
            }
        }

        return 0;
    }

    for (i = 0; i < t->n; i++) {
        operand = &side->values[t->first + i];

        if (operand->raw.len && sync_json_equal(v, operand)) {
            return 1;
        }
    }

    return 0;
}


sync_int_t
sync_filter_value(sync_json_t *v, const sync_str_t *text)
{
    if (text->len == 0) {
        return SYNC_DECLINED;
    }

    v->raw = *text;
    v->type = sync_json_type(text->data[0]);

    return SYNC_OK;
}


sync_int_t
sync_filter_find(sync_json_t *v, const sync_filter_path_t *path)
{
    sync_uint_t  i;
    sync_json_t  parent;

    if (v->raw.len == 0) {
        return SYNC_DECLINED;
    }

    for (i = 0; i < path->n; i++) {

        if (v->type == SYNC_JSON_ARRAY) {

            if (sync_filter_element(v, &path->segments[i]) != SYNC_OK) {
                return SYNC_DECLINED;
            }

            continue;
        }

        parent = *v;

        if (sync_json_find(v, &parent, &path->segments[i]) != SYNC_OK) {
            return SYNC_DECLINED;
        }
    }

    return SYNC_OK;
}


/* An element of an array, by its number in decimal. */

static sync_int_t
sync_filter_element(sync_json_t *v, const sync_str_t *name)
{
    size_t            i;
    sync_uint_t       n;
    sync_json_iter_t  it;

    if (name->len == 0 || name->len > 6
        || (name->len > 1 && name->data[0] == '0'))
    {
        return SYNC_DECLINED;
    }

    n = 0;

    for (i = 0; i < name->len; i++) {

        if (name->data[i] < '0' || name->data[i] > '9') {
            return SYNC_DECLINED;
        }

        n = n * 10 + (name->data[i] - '0');
    }

    sync_json_iter_init(&it, v);

    do {
        if (sync_json_next(&it, NULL, v) != SYNC_OK) {
            return SYNC_DECLINED;
        }

    } while (n--);

    return SYNC_OK;
}
