
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


/* What waits for its turn; the first member of an allocation. */

typedef struct sync_turn_s  sync_turn_t;

struct sync_turn_s {
    ngx_queue_t      queue;
    sync_client_t   *client;

    /* SYNC_OK if it is done; SYNC_AGAIN: sync_join_over() will be called */
    ngx_int_t      (*begin)(sync_turn_t *t);

    /* The client is closing: what it waits for is to be given up. */
    void           (*cancel)(sync_turn_t *t);
};


/*
 * Has it take its turn: begins it, in this call where nothing waits, and
 * frees it when it is over.  "waits" says that it may have to wait itself.
 * Returns SYNC_OK; or SYNC_BUSY if too many wait, or SYNC_ERROR: it is the
 * caller's then.
 */
ngx_int_t sync_join_turn(sync_turn_t *t, ngx_uint_t waits);

/* It is done, after it said SYNC_AGAIN: frees it, and goes on. */
void sync_join_over(sync_turn_t *t);

/* Whether the app is to be asked before the client joins or leaves. */
ngx_uint_t sync_join_asks(sync_client_t *c, sync_str_t *room,
    ngx_uint_t leave);


/* arg is the event's argument; anything but an object is taken as {}. */

void sync_join_room(sync_client_t *c, sync_json_t *arg);
void sync_join_leave(sync_client_t *c, sync_json_t *arg);
void sync_join_list(sync_client_t *c, sync_json_t *arg);

/* The client is closing: forgets what waits. */
void sync_join_client_closed(sync_client_t *c);


#endif /* _SYNC_JOIN_H_INCLUDED_ */
