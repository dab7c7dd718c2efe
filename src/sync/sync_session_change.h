
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SESSION_CHANGE_H_INCLUDED_
#define _SYNC_SESSION_CHANGE_H_INCLUDED_


#include <sync_session.h>


/*
 * Clients hear of a change of their session.
 *
 *     zone: value, version --(announce)--> room of the token
 *                                              | every worker with clients
 *     updateSession, logout <------(heed)------'
 *
 * What is announced is that there was a change, and its version: a client is
 * told of the session as it is by then, and the last change alone is told.
 * Where the announcement failed, or its worker died before, the slow ticks
 * look.
 */


/* except: the id of a client that knows it already, or NULL. */
void sync_session_announce(sync_main_settings_t *main,
    sync_session_change_t *change, const u_char *except);

/*
 * Tells a client how its session is: updateSession, or logout if there is
 * none any more.  One that was logged out is in no room but public ones.
 * The client may be closed by that.
 */
void sync_session_tell(sync_client_t *c);

/* Has the client known by the user that its session names. */
void sync_session_meet(sync_client_t *c);

/* For sync_fanout_init_worker(). */
void sync_session_heed(sync_client_t *c, sync_entry_t *e);

/*
 * Tells the clients of a token that another login took their place, or
 * why else they will be logged out.
 */
void sync_session_replaced(sync_main_settings_t *main, const u_char *id,
    sync_str_t *user, sync_str_t *reason);

/* A change may have been told of to nobody: all are to look. */
void sync_session_doubt(sync_zone_t *z);

/* Asks whether a session that is kept elsewhere has ended. */
typedef void (*sync_session_ended_pt)(uint32_t realm, const u_char *id);

/* The slow tick: sessions that end, and what others doubt. */
void sync_session_tick(sync_main_settings_t *main,
    sync_session_ended_pt ended);

/*
 * Has the workers that hold clients with the token act on them, as
 * sync_command.h has for one client.
 */
ngx_int_t sync_session_order(sync_main_settings_t *main, const u_char *id,
    const char *op, ngx_uint_t code, const char *key, sync_str_t *value);


#endif /* _SYNC_SESSION_CHANGE_H_INCLUDED_ */
