
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_CONFLATE_H_INCLUDED_
#define _SYNC_CONFLATE_H_INCLUDED_


#include <sync_audience.h>


/*
 * queue=conflate: what a client that reads slowly is to hear of a room is
 * held back, and a message takes the place of an earlier one with its key.
 *
 *     batch --> queue, up to SYNC_CONFLATE_QUEUE bytes --> socket
 *           `-> held: message, message, ... --(queue is empty)--^
 *                        ^ by room and key
 *
 * The one that comes takes its place at the end, so what is heard is in the
 * order of the room.  What is held counts for the bound of the queue: a
 * client that has too many keys for that is closed.
 */


#define SYNC_CONFLATE_QUEUE  16384      /* bytes, or half of the bound */


/* Whether the client is so slow that messages are to be held back for it. */
ngx_uint_t sync_conflate_holds(sync_client_t *c);

/*
 * Holds messages [from, to) of a batch, which a run has.  Returns SYNC_OK;
 * SYNC_BUSY if that is too much; or SYNC_ERROR (memory).
 */
ngx_int_t sync_conflate_hold(sync_audience_t *a, sync_batch_t *b,
    sync_client_t *c, sync_run_t *run, uint32_t from, uint32_t to);

/* The same for a message that has a run of its own. */
ngx_int_t sync_conflate_hold_one(sync_audience_t *a, sync_client_t *c,
    sync_entry_t *e, sync_run_t *run, uint32_t pos, uint32_t last);

/* Queues what is held, if anything is. */
void sync_conflate_release(sync_client_t *c);

/* Forgets what is held of a room; of all, if that is NULL. */
void sync_conflate_forget(sync_client_t *c, sync_audience_t *a);

/*
 * The key of a message, for sync_saying_t.ack: what it is about, by the name
 * of its event or route.
 */
uint64_t sync_conflate_key(sync_str_t *event, sync_str_t *key);


#endif /* _SYNC_CONFLATE_H_INCLUDED_ */
