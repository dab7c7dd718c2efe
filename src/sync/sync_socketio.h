
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SOCKETIO_H_INCLUDED_
#define _SYNC_SOCKETIO_H_INCLUDED_


#include <sync_settings.h>


/*
 * Socket.IO 5 above Engine.IO: connecting, events, binary messages.
 *
 *     open --CONNECT--> (connect hook) --> a client, with a record and rooms
 *      ^                                      |
 *      `------------DISCONNECT----------------'
 *
 * A session has one client, in the default namespace or in one that the app
 * lets it in.  Its id is the Socket.IO id, not the session's, which is a
 * secret.
 *
 * Events go the way of all others, sync_request.h.  The bytes of a binary
 * event stand in the event's JSON as {"base64":"..."}.
 */


/* Once in a worker, before it looks at anything. */
void sync_socketio_init_worker(void);


#endif /* _SYNC_SOCKETIO_H_INCLUDED_ */
