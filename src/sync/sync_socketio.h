
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SOCKETIO_H_INCLUDED_
#define _SYNC_SOCKETIO_H_INCLUDED_


#include <sync_settings.h>
#include <sync_sio.h>


/*
 * Socket.IO 5 above Engine.IO: connecting, events, binary messages.
 *
 *     open --CONNECT--> (connect hook) --> a client, with a record and rooms
 *      ^                                      |
 *      `------------DISCONNECT----------------'
 *
 * A session has a client in each namespace that it is in: the default one, or
 * one that the app lets it in.  The first is the session's own, others are
 * inner clients, see sync_eio_client.h.  A client's id is the Socket.IO id,
 * not the session's, which is a secret.
 *
 * Events go the way of all others, sync_request.h.  The bytes of a binary
 * event stand in the event's JSON as {"base64":"..."}.
 */


/* Once in a worker, before it looks at anything. */
void sync_socketio_init_worker(void);


/* For the files of Socket.IO alone. */

void sync_socketio_connect_init_worker(void);

/* A CONNECT came. */
void sync_socketio_connect(sync_client_t *c, sync_sio_packet_t *pkt);

/*
 * The session's client that is in the namespace or is to be in it, or NULL; c
 * is its own.
 */
sync_client_t *sync_socketio_find(sync_client_t *c, sync_str_t *nsp);

/* The client is gone while its CONNECT waits. */
void sync_socketio_forget(sync_client_t *c);

/* An event came, in full. */
void sync_socketio_event(sync_client_t *c, sync_sio_packet_t *pkt);

/*
 * A packet whose attachments follow, its text, which is copied; and one of
 * them.
 */
void sync_socketio_assemble(sync_client_t *c, sync_sio_packet_t *pkt,
    sync_str_t *text);
void sync_socketio_binary(sync_client_t *c, u_char *p, size_t len);

/* Frees what sync_socketio_assemble() made and has not gone on yet. */
void sync_socketio_disassemble(sync_client_t *c);

/* Closes the client for a fault of its own. */
void sync_socketio_fail(sync_client_t *c);


#endif /* _SYNC_SOCKETIO_H_INCLUDED_ */
