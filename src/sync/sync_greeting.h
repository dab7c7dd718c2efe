
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_GREETING_H_INCLUDED_
#define _SYNC_GREETING_H_INCLUDED_


#include <sync_session_op.h>


/*
 * A WebSocket whose first frame may tell its token:
 *
 *     open --["auth",{"token":...}]--> session read --> greeted with it
 *       `----(another frame, 5 s)----> greeted without one
 *
 * Nothing is said to it before it is greeted, and nothing it says is heard:
 * frames that follow the first one wait for the session, SYNC_GREETING_MAX of
 * them at most.
 *
 * Without sessions a greeting would tell nothing of the token: the client is
 * greeted at once, and has the token from its first frame on.
 */


#define SYNC_GREETING_TIME  5000        /* ms */
#define SYNC_GREETING_MAX   64          /* frames */


/* The client is who it is, and takes part from now on.  It may be closed. */
typedef void (*sync_greeting_pt)(sync_client_t *c, sync_str_t *token,
    sync_str_t *rooms);


/* Keeps rooms, a text, for greet().  Returns SYNC_OK or SYNC_ERROR (memory). */
ngx_int_t sync_greeting_begin(sync_client_t *c, sync_str_t *rooms,
    sync_greeting_pt greet);

/* For a client that is c->unknown. */
void sync_greeting_message(sync_client_t *c, u_char *p, size_t len);
void sync_greeting_closed(sync_client_t *c);

/*
 * The first frame of a client that was greeted without sessions.  Returns
 * SYNC_OK if it was an "auth", with a good token or not; or SYNC_DECLINED.
 */
ngx_int_t sync_greeting_token(sync_client_t *c, u_char *p, size_t len);


#endif /* _SYNC_GREETING_H_INCLUDED_ */
