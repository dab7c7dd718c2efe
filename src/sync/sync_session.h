
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SESSION_H_INCLUDED_
#define _SYNC_SESSION_H_INCLUDED_


#include <sync_settings.h>


/*
 * A client and its session.
 *
 * A client has one token or none, from its handshake to its end, and so long
 * the zone has what is known of the token: neither of these blocks.
 */


/*
 * The session's JSON object, which has no "token" in it.  It is there till
 * the event that is being handled is over.  Returns SYNC_OK, or SYNC_DECLINED
 * if there is none: the user is null then.
 */
ngx_int_t sync_session_get(sync_client_t *c, sync_str_t *json);

/*
 * The client's token: borrowed, good as long as the client; empty if it has
 * none.  It must not be logged or shown.
 */
void sync_session_token(sync_client_t *c, sync_str_t *token);


#endif /* _SYNC_SESSION_H_INCLUDED_ */
