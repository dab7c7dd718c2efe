
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
 * dirty holds the interests (a room, as far as this worker goes) that have
 * news.  Publishers link them under the lock, the owner takes them off.
 * "woken" is set by the publisher that has to write the slot's eventfd, and
 * cleared by the owner before it looks; a publisher that dies in between is
 * made up for by the owner's slow tick, which looks without being woken.
 */


struct sync_worker_s {                  /* in the zone, SYNC_WORKERS_MAX */
    ngx_pid_t            pid;           /* 0: free */
    uint32_t             incarnation;
    int32_t              fd;            /* eventfd, the same in all, or -1 */
    uint64_t             started;       /* of the process, clock ticks */
    ngx_atomic_t         woken;
    ngx_atomic_t         beat;          /* ms, by the owner's slow tick */
    unsigned             exiting:1;     /* drains: takes no new clients */
    unsigned             dead:1;        /* being reaped */
    uint32_t             nclients;
    uint32_t             nmembers;
    ngx_queue_t          dirty;         /* of sync_interest_t */
    sync_interest_t     *host;          /* in the host's own room */
    uint64_t             counters[SYNC_COUNT_MAX];
};


/* Slots to wake, gathered under the lock and woken after it. */

typedef struct {
    ngx_uint_t           n;
    uint16_t             slots[SYNC_WORKERS_MAX];
} sync_wake_set_t;


/* Length of ms after which a worker that gave no beat holds nothing up. */
#define SYNC_WORKER_STALL  3000


/*
 * Takes a free slot that has an eventfd for this process and links it into
 * the host's own room.  cookie is kept in that room's interest.
 *
 * Returns SYNC_OK with z->self set, SYNC_BUSY if no slot is free (reap, and
 * try again), or SYNC_ERROR (memory).
 */
ngx_int_t sync_worker_claim(sync_zone_t *z, uint64_t cookie);

/* Gives this worker's slot back; its records must be gone already. */
void sync_worker_release(sync_zone_t *z);

/* Stamps the slot with ngx_current_msec; clears nothing. */
void sync_worker_beat(sync_zone_t *z);

/*
 * Finds slots of dead workers and removes what they left: records, members,
 * interests, a bounded number each time the lock is held.  Reads /proc, but
 * not under the lock.  Returns the number of slots freed.
 */
ngx_uint_t sync_worker_reap(sync_zone_t *z);

/* True if at most that many slots are live, this one among them. */
ngx_uint_t sync_worker_count(sync_zone_t *z);

/*
 * Adds the slot to the set if nobody else is about to wake it.  The caller
 * holds the lock.
 */
void sync_worker_mark_locked(sync_zone_t *z, ngx_uint_t slot,
    sync_wake_set_t *wake);

/* The slot's number. */
#define sync_worker_slot(z, w)  ((ngx_uint_t) ((w) - (z)->sh->workers))


#endif /* _SYNC_WORKER_H_INCLUDED_ */
