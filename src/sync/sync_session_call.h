
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SESSION_CALL_H_INCLUDED_
#define _SYNC_SESSION_CALL_H_INCLUDED_


#include <sync_session_edit.h>


/* What is said to Redis about a session. */


/* Something of these sessions could not be read: all are to be, later. */
typedef void (*sync_session_again_pt)(sync_session_conf_t *conf);


/* Once in a worker. */
void sync_session_call_init_worker(sync_main_settings_t *main,
    sync_session_again_pt again);

/*
 * Reads a session for the zone, and puts off its end if slide is set.  What
 * is read counts if nothing has changed since the stamp was taken.  Returns
 * SYNC_AGAIN if it was asked for.
 */
ngx_int_t sync_session_call_fetch(sync_session_conf_t *conf, sync_str_t *token,
    uint32_t stamp, ngx_uint_t slide);

/* As in sync_session_op.h: SYNC_AGAIN, or what was wrong at once. */
ngx_int_t sync_session_call_read(sync_session_op_t *op);
ngx_int_t sync_session_call_edit(sync_session_op_t *op);
ngx_int_t sync_session_call_save(sync_session_op_t *op);
ngx_int_t sync_session_call_delete(sync_session_op_t *op);
ngx_int_t sync_session_call_tokens(sync_session_op_t *op, sync_str_t *user);
void sync_session_call_cancel(sync_session_op_t *op);


#endif /* _SYNC_SESSION_CALL_H_INCLUDED_ */
