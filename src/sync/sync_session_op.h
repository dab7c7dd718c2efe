
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SESSION_OP_H_INCLUDED_
#define _SYNC_SESSION_OP_H_INCLUDED_


#include <sync_session.h>


/*
 * What is done with sessions, wherever they are.
 *
 *     read     --> the zone knows the session, or that there is none
 *     edit     --> the session as it is --(edit)--> as it is to be
 *     save     --> a session, whether there was one or not
 *     delete   --> there is none
 *
 * In the zone it is done at once.  Elsewhere it is waited for: SYNC_AGAIN is
 * returned then, and done() called once, unless the operation is cancelled.
 * Whatever changed, the clients of the token are told.
 *
 * An edit that meets another one is done again: nothing is lost.
 */


typedef struct sync_session_op_s  sync_session_op_t;

/*
 * Writes the session as it is to be.  Returns SYNC_OK, or SYNC_DECLINED if
 * it is to stay.  It may be called more than once.
 */
typedef ngx_int_t (*sync_session_edit_pt)(sync_session_op_t *op,
    sync_json_t *session, sync_writer_t *w);

/*
 * SYNC_OK; SYNC_DECLINED if there is no session; SYNC_BUSY if that cannot be
 * told, or done, now; or SYNC_ERROR (memory, or it became too large).
 */
typedef void (*sync_session_done_pt)(sync_session_op_t *op, ngx_int_t rc);


struct sync_session_op_s {
    sync_settings_t       *settings;
    sync_str_t             token;       /* lives as long as the operation */
    sync_session_edit_pt   edit;
    sync_session_done_pt   done;
    void                  *opaque;
    const u_char          *except;      /* a client not to be told; or NULL */
    sync_session_data_t    data;        /* to be saved */
    ngx_msec_t             ttl;         /* the same; 0: as configured */
    ngx_pool_t            *pool;        /* for tokens */
    ngx_array_t           *tokens;      /* of sync_str_t */
    void                  *call;        /* what is waited for */
    ngx_uint_t             tries;
};


ngx_int_t sync_session_read(sync_session_op_t *op);
ngx_int_t sync_session_edit(sync_session_op_t *op);
ngx_int_t sync_session_save(sync_session_op_t *op);
ngx_int_t sync_session_delete(sync_session_op_t *op);

/*
 * Adds the tokens of a user that are known to op->tokens, the oldest first
 * if they are in the zone.  At most SYNC_SESSION_TOKENS bytes of them.
 */
#define SYNC_SESSION_TOKENS  (256 * 1024)

ngx_int_t sync_session_tokens(sync_session_op_t *op, sync_str_t *user);

/* Forgets one that is waited for; what was begun may be done all the same. */
void sync_session_cancel(sync_session_op_t *op);

/*
 * Writes an object with a member set: in its place, or at the end.  Members
 * whose names are in without are left out.
 */
void sync_session_write_with(sync_writer_t *w, sync_json_t *object,
    const sync_str_t *name, const sync_str_t *value,
    const sync_str_t *without);


#endif /* _SYNC_SESSION_OP_H_INCLUDED_ */
