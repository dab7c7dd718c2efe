
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SESSION_OP_H_INCLUDED_
#define _SYNC_SESSION_OP_H_INCLUDED_


#include <sync_session_edit.h>


/*
 * What is done with sessions, wherever they are.
 *
 *     read     --> the zone knows the session, or that there is none
 *     edit     --> the session as it is --(edit)--> as it is to be
 *     save     --> a session, whether there was one or not
 *     delete   --> there is none
 *
 * Of sessions that the app has, the zone keeps what is written, and the app is
 * told of a logout.
 *
 * In the zone it is done at once.  Elsewhere it is waited for: SYNC_AGAIN is
 * returned then, and done() called once, unless the operation is cancelled.
 * Whatever changed, the clients of the token are told.
 *
 * An edit that meets another one is done again: nothing is lost.
 */


ngx_int_t sync_session_read(sync_session_op_t *op);
ngx_int_t sync_session_edit(sync_session_op_t *op);
ngx_int_t sync_session_save(sync_session_op_t *op);
ngx_int_t sync_session_delete(sync_session_op_t *op);

/*
 * Adds the tokens of a user that are known to op->tokens, the oldest first
 * if they are in the zone.  At most SYNC_SESSION_TOKENS bytes of them.
 */
ngx_int_t sync_session_tokens(sync_session_op_t *op, sync_str_t *user);

/*
 * The same of those that were made for a connection of this host, whose
 * sessions are in its zone; and of all others there, if that is where sessions
 * are.
 */
ngx_int_t sync_session_bound(sync_session_op_t *op, sync_str_t *user);

/* Forgets one that is waited for; what was begun may be done all the same. */
void sync_session_cancel(sync_session_op_t *op);

#endif /* _SYNC_SESSION_OP_H_INCLUDED_ */
