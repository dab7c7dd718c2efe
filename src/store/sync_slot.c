
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_slot.h>
#include <sync_worker.h>
#include <sync_registry.h>
#include <sync_former.h>
#include <sync_room.h>
#include <sync_ack.h>
#include <sync_share.h>
#include <sync_sid.h>


/*
 *     slot: pid, incarnation --+-- sessions and records that name the slot
 *                              `-- host: its interest in the host's own room
 *
 * A slot is taken by the store of its pid, and free again by another: what
 * hangs off it is made in between.  So a worker that dies anywhere leaves a
 * slot that is free or that can be reaped.  Sessions come first, as they lead
 * to records, whose members go with them and the interests with the last
 * members.
 *
 * A slot that is being reaped is marked as dead but keeps its pid: should
 * the reaper die, the next one begins again.  Two that reap the same slot
 * help one another.
 */


/* of the zone: what the host's own log may hold, 1/16 */
#define SYNC_SLOT_HOST_SHARE  16

/* looked at and removed each time the lock is held */
#define SYNC_SLOT_BUCKETS  1024
#define SYNC_SLOT_RECORDS  32


static sync_worker_t *sync_slot_find(sync_zone_t *z);
static void sync_slot_take(sync_zone_t *z, sync_worker_t *w,
    uint64_t started);
static void sync_slot_free(sync_zone_t *z, sync_worker_t *w);
static ngx_uint_t sync_slot_reap(sync_zone_t *z, sync_worker_t *w,
    ngx_pid_t pid, uint32_t incarnation);
static void sync_slot_reap_locked(sync_zone_t *z, ngx_uint_t slot,
    uint32_t *bucket);


ngx_int_t
sync_worker_claim(sync_zone_t *z, uint64_t cookie)
{
    uint64_t          started;
    sync_room_t      *host;
    sync_worker_t    *w;
    sync_interest_t  *in;
    sync_room_rule_t  rule;

    static sync_str_t  name = { 0, NULL };

    started = sync_worker_started(ngx_pid);

    sync_zone_lock(z);

    w = sync_slot_find(z);

    if (w == NULL) {
        sync_zone_unlock(z);
        return SYNC_BUSY;
    }

    host = z->sh->host;

    if (host == NULL) {
        ngx_memzero(&rule, sizeof(sync_room_rule_t));
        rule.limit = sync_zone_size(z) / SYNC_SLOT_HOST_SHARE;

        host = sync_room_create_locked(z, &name, &rule);

        if (host == NULL) {
            sync_zone_unlock(z);
            return SYNC_ERROR;
        }

        sync_heap_order();
        z->sh->host = host;
    }

    in = sync_room_create_interest_locked(z, host, sync_worker_slot(z, w),
                                          cookie);
    if (in == NULL) {
        sync_zone_unlock(z);
        return SYNC_ERROR;
    }

    sync_slot_take(z, w, started);

    z->sh->stamp.room = host;
    sync_heap_order();

    in->next = host->interests;
    sync_heap_order();

    host->interests = in;
    w->host = in;

    z->self = w;

    sync_zone_unlock(z);

    return SYNC_OK;
}


static sync_worker_t *
sync_slot_find(sync_zone_t *z)
{
    ngx_uint_t      i;
    sync_worker_t  *w;

    for (i = 0; i < z->sh->nworkers; i++) {
        w = &z->sh->workers[i];

        if (w->pid == 0 && w->fd != -1) {
            return w;
        }
    }

    return NULL;
}


static void
sync_slot_take(sync_zone_t *z, sync_worker_t *w, uint64_t started)
{
    w->incarnation++;
    w->generation = z->generation;
    w->started = started;
    w->woken = 0;
    w->beat = ngx_current_msec;
    w->exiting = 0;
    w->redis_links = 0;
    w->redis_pending = 0;
    w->dead = 0;
    w->arrived = 0;

    ngx_memcpy(w->counters, z->unused, sizeof(z->unused));
    ngx_memzero(z->unused, sizeof(z->unused));

    sync_heap_order();
    w->pid = ngx_pid;
    sync_heap_order();
}


void
sync_worker_release(sync_zone_t *z)
{
    sync_worker_t  *w;

    w = z->self;
    z->self = NULL;

    sync_zone_lock(z);

    if (w->nclients
        || sync_ack_reap_locked(z, sync_worker_slot(z, w)) == SYNC_AGAIN
        || sync_share_reap_locked(z, sync_worker_slot(z, w)) == SYNC_AGAIN)
    {
        /* something is left: others will reap */
        sync_worker_bury_locked(z, w);

    } else {
        sync_slot_free(z, w);
    }

    sync_zone_unlock(z);
}


/* Its records are gone; so are its interests, but in the host's room. */

static void
sync_slot_free(sync_zone_t *z, sync_worker_t *w)
{
    ngx_uint_t        i;
    sync_room_t      *host;
    sync_zone_sh_t   *sh;
    sync_interest_t  *in;

    sh = z->sh;
    host = sh->host;

    sync_text_reap_locked(z, sync_worker_slot(z, w));
    sync_receipt_reap_locked(z, sync_worker_slot(z, w));

    w->host = NULL;

    if (host) {
        sh->stamp.room = host;
        sync_heap_order();

        in = sync_room_interest_locked(host, sync_worker_slot(z, w));

        if (in) {
            sync_room_drop_interest_locked(z, in);
        }

        sync_room_trim_locked(z, host);
    }

    for (i = 0; i < SYNC_COUNT_MAX; i++) {
        sh->counters[i] += w->counters[i];
        w->counters[i] = 0;
    }

    sync_heap_order();
    w->pid = 0;
    sync_heap_order();
}


ngx_uint_t
sync_worker_reap(sync_zone_t *z)
{
    uint32_t        incarnation;
    ngx_pid_t       pid;
    ngx_uint_t      i, n;
    sync_worker_t  *w;

    n = 0;

    for (i = 0; i < z->sh->nworkers; i++) {
        w = &z->sh->workers[i];

        /* read without the lock, and looked at again with it */

        pid = w->pid;
        incarnation = w->incarnation;

        if (pid == 0 || w == z->self) {
            continue;
        }

        if (w->dead || sync_worker_is_gone(pid, w->started, w->beat)) {
            n += sync_slot_reap(z, w, pid, incarnation);
        }
    }

    return n;
}


static ngx_uint_t
sync_slot_reap(sync_zone_t *z, sync_worker_t *w, ngx_pid_t pid,
    uint32_t incarnation)
{
    uint32_t  bucket, sid;

    bucket = 0;
    sid = 0;

    for ( ;; ) {

        sync_zone_lock(z);

        if (w->pid != pid || w->incarnation != incarnation) {
            sync_zone_unlock(z);
            return 0;
        }

        if (!w->dead) {
            sync_worker_bury_locked(z, w);
        }

        if (sync_ack_reap_locked(z, sync_worker_slot(z, w)) == SYNC_AGAIN
            || sync_share_reap_locked(z, sync_worker_slot(z, w))
               == SYNC_AGAIN)
        {

            /* the next time */

        } else if (sid <= z->sh->sid_mask) {
            sync_sid_reap_locked(z, sync_worker_slot(z, w), &sid);

        } else {
            sync_slot_reap_locked(z, sync_worker_slot(z, w), &bucket);
        }

        if (bucket > z->sh->mask) {
            break;
        }

        sync_zone_unlock(z);

        ngx_sched_yield();
    }

    sync_slot_free(z, w);
    sync_zone_count(z, SYNC_COUNT_REAPED, 1);

    sync_zone_unlock(z);

    return 1;
}


/* Removes some records of the slot, from a bucket on. */

static void
sync_slot_reap_locked(sync_zone_t *z, ngx_uint_t slot, uint32_t *bucket)
{
    ngx_uint_t      i, n;
    sync_record_t  *rec, *next;

    n = 0;

    for (i = 0; i < SYNC_SLOT_BUCKETS && *bucket <= z->sh->mask; i++) {

        for (rec = z->sh->records[*bucket]; rec; rec = next) {
            next = rec->next;

            if (rec->slot != slot) {
                continue;
            }

            if (n == SYNC_SLOT_RECORDS) {
                return;
            }

            sync_registry_remove_locked(z, rec);
            n++;
        }

        (*bucket)++;
    }
}
