
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_JOIN_H_INCLUDED_
#define _SYNC_JOIN_H_INCLUDED_


#include <sync_settings.h>
#include <sync_json.h>


/*
 * joinRoom, leaveRoom and getJoinedRooms (luckystack-wire, 6).
 *
 * What a client asks of its rooms is done in the order asked: while a hook
 * thinks about one of them, those behind it wait, SYNC_JOIN_WAITING at most.
 */


#define SYNC_JOIN_WAITING  64


/* arg is the event's argument; anything but an object is taken as {}. */

void sync_join_room(sync_client_t *c, sync_json_t *arg);
void sync_join_leave(sync_client_t *c, sync_json_t *arg);
void sync_join_list(sync_client_t *c, sync_json_t *arg);

/* The client is closing: forgets what waits. */
void sync_join_client_closed(sync_client_t *c);


#endif /* _SYNC_JOIN_H_INCLUDED_ */
