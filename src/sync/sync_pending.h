
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_PENDING_H_INCLUDED_
#define _SYNC_PENDING_H_INCLUDED_


#include <sync_asker.h>
#include <sync_publish.h>


/*
 * What a request has said in rooms whose order Redis makes (sync_publish.h),
 * until that is over:
 *
 *     said --> Redis has answered --> the asker heard it, if it is a member
 *
 * In one room messages keep their order without waiting for one another.
 * What is said elsewhere, to the asker alone, say, has to wait for them.
 */


#define SYNC_PENDING_MAX  64            /* at once, a request */


typedef struct {
    ngx_queue_t          said;
    ngx_uint_t           n;
} sync_pending_t;


void sync_pending_init(sync_pending_t *p);

/*
 * Says it, and remembers it if it is not over then.  Returns as
 * sync_publish_room(); if Redis refuses it later, rq->full is set.
 */
ngx_int_t sync_pending_say(sync_pending_t *p, sync_request_t *rq,
    sync_str_t *room, sync_saying_t *s);

/* How many are not over. */
ngx_uint_t sync_pending_count(sync_pending_t *p);

/* Forgets them all; they may be said all the same. */
void sync_pending_done(sync_pending_t *p);

/* Posted, one for all, when something is over; one may have to look anew. */
void sync_pending_watch(ngx_event_t *ev);


#endif /* _SYNC_PENDING_H_INCLUDED_ */
