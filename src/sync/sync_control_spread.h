
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_CONTROL_SPREAD_H_INCLUDED_
#define _SYNC_CONTROL_SPREAD_H_INCLUDED_


#include <sync_control_op.h>


/*
 * An operation on all hosts that share a Redis:
 *
 *     run here --> ask the others --> add up --> the answer
 *                     |                 ^
 *                     `--> run there ---'
 *
 * What an operation does by way of Redis itself, to rooms or sessions, is not
 * asked for.
 */


typedef ngx_int_t (*sync_control_pt)(sync_control_t *ctl);


/* Runs it, here and wherever else it is to be; returns as it does. */
ngx_int_t sync_control_spread(sync_control_t *ctl, const char *name,
    sync_control_pt run);

/*
 * It has an answer, of rc: SYNC_AGAIN if others have not, or what is to be
 * answered.
 */
ngx_int_t sync_control_spread_done(sync_control_t *ctl, ngx_int_t rc);


/* Adds what "other" has, of the same key, to one. */
typedef void (*sync_control_merge_pt)(sync_control_t *ctl, json_t *one,
    json_t *other);

/*
 * Makes a page of the answer's list of that name and of more entries: in the
 * order of their key, each once; "sum" is added up, if it is not NULL, or
 * merge called.  more: there are others behind them.  Returns SYNC_OK or
 * SYNC_ERROR.
 */
ngx_int_t sync_control_merge(sync_control_t *ctl, const char *name,
    const char *key, const char *sum, sync_control_merge_pt merge,
    json_t *list, ngx_uint_t more);


#endif /* _SYNC_CONTROL_SPREAD_H_INCLUDED_ */
