
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_CONDITION_H_INCLUDED_
#define _SYNC_CONDITION_H_INCLUDED_


#include "sync_json.h"


/*
 * What a route asks of a session: the entries of auth.additional
 * (luckystack-wire, 9).
 */


typedef enum {
    SYNC_CONDITION_ANY = 0,
    SYNC_CONDITION_STRING,
    SYNC_CONDITION_NUMBER,
    SYNC_CONDITION_BOOLEAN
} sync_condition_type_e;


typedef struct {
    sync_str_t   key;           /* as UTF-8, of the session object itself */
    sync_json_t  value;         /* raw.len is 0: not compared */
    unsigned     type:2;        /* sync_condition_type_e */
    unsigned     nullish:1;     /* with has_nullish */
    unsigned     falsy:1;       /* with has_falsy */
    unsigned     has_nullish:1;
    unsigned     has_falsy:1;
} sync_condition_t;


/*
 * Looks at n conditions in their order; the session is a checked object.
 *
 * Returns SYNC_OK if all hold.  Otherwise *failed is the index of the first
 * that does not, and it returns SYNC_ERROR if the session has no such key,
 * or SYNC_DECLINED.  Allocates nothing.
 */
sync_int_t sync_condition_check(const sync_condition_t *conditions,
    sync_uint_t n, const sync_json_t *session, sync_uint_t *failed);

/* Whether JavaScript takes the value for false. */
sync_int_t sync_condition_falsy(const sync_json_t *v);


#endif /* _SYNC_CONDITION_H_INCLUDED_ */
