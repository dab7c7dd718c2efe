
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_CONTROL_H_INCLUDED_
#define _SYNC_CONTROL_H_INCLUDED_


#include <sync_control_op.h>


/*
 * What the app may ask for and order, in JSON.
 *
 *     "publish" --(lookup)--> operation
 *                                 |
 *     {"room":"r",...} --(run)----+--> zone: lists, logs
 *                                 `--> the worker that holds the client
 *
 * A message is in the log when it is answered, an order to a client is on
 * its way to the worker that holds it.  An operation that has to wait for
 * something answers later.
 */


typedef struct sync_control_op_s  sync_control_op_t;


/* The operation of that name, or NULL. */
const sync_control_op_t *sync_control_lookup(sync_str_t *name);

/* Whether it changes nothing, and may be asked for by GET. */
ngx_uint_t sync_control_reads(const sync_control_op_t *op);

/*
 * Runs an operation; body is the JSON object with its fields, or empty for
 * none, and stays there as long as the pool.  Returns NGX_OK with *answer
 * filled, be it an error; NGX_ERROR (memory); or NGX_AGAIN: then done(data)
 * is called once, in another turn, unless the pool goes before.  Everything
 * comes from the pool.
 */
ngx_int_t sync_control_run(const sync_control_op_t *op,
    sync_settings_t *s, ngx_pool_t *pool, sync_str_t *body,
    sync_control_answer_t *answer, sync_control_done_pt done, void *data);

/* The same, on this host alone; for another one that asks. */
ngx_int_t sync_control_run_here(const sync_control_op_t *op,
    sync_settings_t *s, ngx_pool_t *pool, sync_str_t *body,
    sync_control_answer_t *answer, sync_control_done_pt done, void *data);

/*
 * Makes the body that means the same as the arguments of a GET, as
 * "room=a&limit=20".  Returns NGX_OK or NGX_ERROR (memory).
 */
ngx_int_t sync_control_args(ngx_pool_t *pool, ngx_str_t *args,
    sync_str_t *body);

/* An answer that is an error, of whoever calls.  NGX_OK or NGX_ERROR. */
ngx_int_t sync_control_error(ngx_pool_t *pool, ngx_uint_t status,
    const char *code, const char *message, sync_control_answer_t *answer);


#endif /* _SYNC_CONTROL_H_INCLUDED_ */
