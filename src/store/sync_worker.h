
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_WORKER_H_INCLUDED_
#define _SYNC_WORKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>


/*
 * Worker slots.
 *
 *     free --claim--> live --release--> free
 *                       `---(death)---> found by another: reap --> free
 *
 * A worker is known by slot, pid and incarnation; a slot's incarnation
 * rises with each claim, so what was meant for a former owner is told
 * apart.  A pid may be taken again by another process: a slot is dead when
 * its pid is gone, or belongs to a process that started at another time
 * than the owner did.
 *
 * "dirty" holds the interests (a room, as far as this worker goes) that have
 * news.  Publishers link them under the lock, the owner takes them off.
 * "woken" is set by the publisher that has to write the slot's eventfd, and
 * cleared by the owner before it looks; a publisher that dies in between is
 * made up for by the owner's slow tick, which looks without being woken.
 */


/* Slots to wake, gathered under the lock and woken after it. */

typedef struct {
    ngx_uint_t           n;
    uint16_t             slots[SYNC_WORKERS_MAX];
} sync_wake_set_t;


/* Length of ms after which a worker that gave no beat holds nothing up. */
#define SYNC_WORKER_STALL  3000


/* Stamps the slot with ngx_current_msec; clears nothing. */
void sync_worker_beat(sync_zone_t *z);

/* Slots that are taken, this one among them. */
ngx_uint_t sync_worker_count(sync_zone_t *z);

/*
 * Adds the slot to the set if nobody else is about to wake it.  The caller
 * holds the lock.
 */
void sync_worker_mark_locked(sync_zone_t *z, ngx_uint_t slot,
    sync_wake_set_t *wake);

/*
 * Marks a slot as dead: what hangs off it does not count any more, and waits
 * to be reaped.
 */
void sync_worker_bury_locked(sync_zone_t *z, sync_worker_t *w);

/* Counts a client or a member of a slot; n is 1 or -1. */
void sync_worker_count_client_locked(sync_zone_t *z, ngx_uint_t slot,
    ngx_int_t n);
void sync_worker_count_member_locked(sync_zone_t *z, ngx_uint_t slot,
    ngx_int_t n);

/* When a process started, in clock ticks; 0 if that cannot be told. */
uint64_t sync_worker_started(ngx_pid_t pid);

/*
 * Whether the process that took a slot is gone: no such pid, or it started
 * at another time, which is looked at only if the slot gives no beat.
 * Makes system calls.
 */
ngx_uint_t sync_worker_is_gone(ngx_pid_t pid, uint64_t started,
    ngx_msec_t beat);

/* Whether a beat is so old that the worker holds nothing up. */
#define sync_worker_stalled(beat)                                             \
    ((ngx_msec_int_t) (ngx_current_msec - (beat)) > SYNC_WORKER_STALL)

/* The slot's number. */
#define sync_worker_slot(z, w)  ((ngx_uint_t) ((w) - (z)->sh->workers))


#endif /* _SYNC_WORKER_H_INCLUDED_ */
