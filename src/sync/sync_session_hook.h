
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SESSION_HOOK_H_INCLUDED_
#define _SYNC_SESSION_HOOK_H_INCLUDED_


#include <sync_session_edit.h>


/*
 * Sessions that the app has, and is asked for by a hook.
 *
 *     token --> zone? --(no)--> {"v":1,"id","event":"session","token"}
 *                 ^                            |
 *                 `---- {"session":{...},"ttl":s}, {"session":null}
 *
 * An answer counts for cache= seconds, or ttl.  Then the app is asked again:
 * when the session is used, or within a second or so while a client has the
 * token.  What the zone has is used meanwhile, and for SYNC_SESSION_GRACE if
 * the app cannot be asked; after that nothing is known.
 *
 * One token is asked for once at a time: who comes meanwhile, at this worker
 * or at another one, waits for the same answer (sync_session_claim.h).
 *
 * What nginx itself keeps in a session, roomCodes and location, stays if the
 * answer has none.
 */


#define SYNC_SESSION_INQUIRIES  256     /* at once, that nobody waits for */


void sync_session_hook_init_worker(sync_main_settings_t *main);
void sync_session_hook_exit_process(void);

/* A session that is to be asked for anew, as the sweep found. */
void sync_session_hook_ended(uint32_t realm, const u_char *id);

/* As in sync_session_op.h: SYNC_AGAIN, or what there is at once. */
ngx_int_t sync_session_hook_read(sync_session_op_t *op);

/* Tells the app of a logout; what the zone has ends if it agrees. */
ngx_int_t sync_session_hook_logout(sync_session_op_t *op);

/*
 * What the app says without being asked: data, or that there is no session if
 * that is NULL.  It counts as an answer, for ttl ms at most if that is not 0.
 * Returns SYNC_OK, SYNC_BUSY, or SYNC_ERROR.
 */
ngx_int_t sync_session_hook_put(sync_session_conf_t *conf, sync_str_t *token,
    sync_session_data_t *data, ngx_msec_t ttl, const u_char *except);

void sync_session_hook_cancel(sync_session_op_t *op);


#endif /* _SYNC_SESSION_HOOK_H_INCLUDED_ */
