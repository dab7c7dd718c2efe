
/*
 * Copyright (C) sync for nginx
 */


#include "sync_condition.h"


static sync_int_t sync_condition_holds(const sync_condition_t *c,
    const sync_json_t *v);
static sync_uint_t sync_condition_is_type(const sync_condition_t *c,
    const sync_json_t *v);


sync_int_t
sync_condition_check(const sync_condition_t *conditions, sync_uint_t n,
    const sync_json_t *session, sync_uint_t *failed)
{
    sync_uint_t  i;
    sync_json_t  v;

    for (i = 0; i < n; i++) {
        *failed = i;

        /* a null is there, a key that is not is the server's mistake */

        if (sync_json_find(&v, session, &conditions[i].key) != SYNC_OK) {
            return SYNC_ERROR;
        }

        if (!sync_condition_holds(&conditions[i], &v)) {
            return SYNC_DECLINED;
        }
    }

    return SYNC_OK;
}


static sync_int_t
sync_condition_holds(const sync_condition_t *c, const sync_json_t *v)
{
    sync_uint_t  null;

    null = (v->type == SYNC_JSON_NULL);

    if (c->has_nullish && c->nullish != null) {
        return 0;
    }

    if (!null && !sync_condition_is_type(c, v)) {
        return 0;
    }

    if (c->value.raw.len && !sync_json_equal(&c->value, v)) {
        return 0;
    }

    return !c->has_falsy || c->falsy == (sync_uint_t) sync_condition_falsy(v);
}


static sync_uint_t
sync_condition_is_type(const sync_condition_t *c, const sync_json_t *v)
{
    switch (c->type) {

    case SYNC_CONDITION_STRING:
        return v->type == SYNC_JSON_STRING;

    case SYNC_CONDITION_NUMBER:
        return v->type == SYNC_JSON_NUMBER;

    case SYNC_CONDITION_BOOLEAN:
        return v->type == SYNC_JSON_TRUE || v->type == SYNC_JSON_FALSE;

    default: /* SYNC_CONDITION_ANY */
        return 1;
    }
}


sync_int_t
sync_condition_falsy(const sync_json_t *v)
{
    double  d;

    switch (v->type) {

    case SYNC_JSON_NULL:
    case SYNC_JSON_FALSE:
        return 1;

    case SYNC_JSON_NUMBER:

        /* too large for a double is infinite, and so not false */

        return sync_json_double(&d, v) == SYNC_OK && d == 0;

    case SYNC_JSON_STRING:
        return v->raw.len == 2;

    default:
        return 0;
    }
}
