
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SESSION_ATTACH_H_INCLUDED_
#define _SYNC_SESSION_ATTACH_H_INCLUDED_


#include <sync_session.h>


/*
 * Gives a client, which has a record, its token: it is in the token's room
 * then.  Returns SYNC_OK, or SYNC_ERROR if the zone is full.
 */
ngx_int_t sync_session_attach(sync_client_t *c, sync_str_t *token);

/* The client came from another worker, with its token. */
ngx_int_t sync_session_arrived(sync_client_t *c);

/* Joins the rooms that the session names: roomCodes. */
void sync_session_rejoin(sync_client_t *c);

/* Joins rooms that are named by an array, up to sync_max_rooms of them. */
void sync_session_join(sync_client_t *c, sync_json_t *rooms);


#endif /* _SYNC_SESSION_ATTACH_H_INCLUDED_ */
