
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_ORDER_H_INCLUDED_
#define _SYNC_ORDER_H_INCLUDED_


#include <sync_audience.h>


/*
 * In which order a client of Socket.IO was queued messages of several
 * recoverable rooms.  When it comes back it has one position, that of the
 * last message it got; what it has of its other rooms is what was queued
 * before that one.
 *
 *     base      A:1  B:7
 *     steps     A:3  B:8  A:4  B:9          got A:4  -->  has A:4, B:8
 *
 * A client that was in one such room, and heard all of it as it was said,
 * needs none of this.  Of what is older than the last SYNC_ORDER_MAX steps
 * nothing can be said.
 */


#define SYNC_ORDER_MAX  32


typedef struct {
    sync_room_t        *room;           /* NULL: left since then */
    uint64_t            lsn;            /* queued up to */
} sync_order_step_t;


struct sync_order_s {
    sync_order_step_t  *bases;          /* of each room, before the steps */
    ngx_uint_t          nbases;
    ngx_uint_t          max;
    ngx_uint_t          n;
    unsigned            cut:1;          /* there were steps before */
    sync_order_step_t   steps[SYNC_ORDER_MAX];
};


/* For clients that may come back. */

#define sync_order_kept(c)                                                    \
    (((c)->record->transport == SYNC_TRANSPORT_SOCKETIO                       \
      || (c)->record->transport == SYNC_TRANSPORT_POLLING)                    \
     && sync_settings(c)->recovery.time)

#define sync_order(c)                                                         \
    ((c)->resume ? ((sync_resume_t *) (c)->resume)->order : NULL)


/* It joined a room. */
void sync_order_joined(sync_client_t *c, sync_member_t *m);

/* The order goes with the client's session to another worker. */
void sync_order_depart(sync_client_t *c, sync_sid_t *s);
void sync_order_arrived(sync_client_t *c, sync_sid_t *s);

/* It is about to read for itself what is above lsn, anew or still. */
void sync_order_replay(sync_client_t *c, sync_member_t *m, uint64_t lsn,
    ngx_uint_t slow);

/* It left the room. */
void sync_order_left(sync_client_t *c, sync_room_t *room);

/* It was queued what the room has, up to lsn. */
void sync_order_step(sync_client_t *c, sync_room_t *room, uint64_t lsn);

#define sync_order_note(c, a, lsn)                                            \
    if ((c)->ordered && (a)->recoverable) {                                   \
        sync_order_step(c, (a)->room, lsn);                                   \
    }

void sync_order_free(sync_order_t *order);


#endif /* _SYNC_ORDER_H_INCLUDED_ */
