
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_sid.h>
#include <sync_absent.h>
#include <sync_former.h>
#include <sync_presence_store.h>
#include <sync_room.h>
#include <sync_session_store.h>


/*
 * Sessions of a worker that ends or died: others take them over, or they go;
 * a list that was being changed is mended.  And the check of all that, for
 * tests.
 */


/* sessions looked at and removed each time the lock is held, in a reaping */
#define SYNC_SID_BUCKETS  1024
#define SYNC_SID_REAPED   32


static ngx_uint_t sync_sid_reap_one(sync_zone_t *z, sync_sid_t *s,
    ngx_uint_t slot);
static void sync_sid_mend_owner(sync_zone_t *z, sync_sid_t *s);
static void sync_sid_mend_node(sync_zone_t *z, sync_sid_node_t *node);
static const char *sync_sid_check_one(sync_zone_t *z, sync_sid_t *s,
    size_t *used);
static const char *sync_sid_check_node(sync_zone_t *z, sync_sid_node_t *node);


void
sync_sid_nudge(sync_zone_t *z, uint32_t *bucket, sync_wake_set_t *wake)
{
    ngx_uint_t   i, slot;
    sync_sid_t  *s;

    slot = sync_worker_slot(z, z->self);

    sync_zone_lock(z);

    for (i = 0; i < SYNC_SID_BUCKETS && *bucket <= z->sh->sid_mask; i++) {

        for (s = z->sh->sids[*bucket]; s; s = s->next) {

            if (s->owner.slot == slot && s->polling) {
                sync_sid_mark_locked(z, &s->poll, wake);
            }
        }

        (*bucket)++;
    }

    sync_zone_unlock(z);
}


void
sync_sid_reap_locked(sync_zone_t *z, ngx_uint_t slot, uint32_t *bucket)
{
    ngx_uint_t   i, n;
    sync_sid_t  *s, *next;

    n = 0;

    for (i = 0; i < SYNC_SID_BUCKETS && *bucket <= z->sh->sid_mask; i++) {

        for (s = z->sh->sids[*bucket]; s; s = next) {
            next = s->next;

            if (n == SYNC_SID_REAPED) {
                return;
            }

            n += sync_sid_reap_one(z, s, slot);
        }

        (*bucket)++;
    }
}


/* Who hears of it looks by its slow tick at the latest. */

static ngx_uint_t
sync_sid_reap_one(sync_zone_t *z, sync_sid_t *s, ngx_uint_t slot)
{
    sync_record_t  *rec;

    if (s->sending && s->sender == slot) {
        s->sending = 0;

        if (s->polling) {
            sync_sid_mark_locked(z, &s->poll, NULL);
        }
    }

    if (s->polling && s->poll.slot == slot) {
        sync_sid_unmark_locked(z, &s->poll);
        s->polling = 0;
    }

    if (s->moving && s->claimer == slot) {
        s->moving = 0;
        s->ended = 1;

        if (s->owner.slot != slot) {
            sync_sid_mark_locked(z, &s->owner, NULL);
        }
    }

    rec = s->record;

    if (s->owner.slot == slot && !s->closed) {
        sync_sid_close_locked(z, s, NULL);

        if (rec) {
            sync_registry_remove_locked(z, rec);
        }
    }

    if (!sync_sid_unused(s)) {
        return 0;
    }

    sync_sid_free_locked(z, s);

    return 1;
}


void
sync_sid_mend(sync_zone_t *z, sync_stamp_t *stamp)
{
    uint32_t     i;
    sync_sid_t  *s;

    if (stamp->sid) {
        sync_sid_mend_node(z, &stamp->sid->owner);
        sync_sid_mend_node(z, &stamp->sid->poll);
        sync_sid_mend_owner(z, stamp->sid);
        sync_heap_order();

        stamp->sid = NULL;
        sync_heap_order();
    }

    z->sh->nsids = 0;

    for (i = 0; i <= z->sh->sid_mask; i++) {
        for (s = z->sh->sids[i]; s; s = s->next) {
            z->sh->nsids += (s->endpoint != SYNC_SID_INNER);
        }
    }

    sync_absent_mend(z);
    sync_presence_mend(z);

    sync_session_store_mend(z, stamp->session);
    sync_heap_order();

    stamp->session = NULL;
    sync_heap_order();

    sync_room_mend(z, stamp);
}


static void
sync_sid_mend_node(sync_zone_t *z, sync_sid_node_t *node)
{
    sync_sid_node_t  *n;

    node->queued = 0;

    for (n = z->sh->workers[node->slot].sids; n; n = n->next) {
        if (n == node) {
            node->queued = 1;
        }
    }
}


/* What came for it is counted again; a new owner is told that it is that. */

static void
sync_sid_mend_owner(sync_zone_t *z, sync_sid_t *s)
{
    size_t             nin;
    sync_worker_t     *w;
    sync_sid_chunk_t  *chunk;

    nin = 0;

    for (chunk = s->in; chunk; chunk = chunk->next) {
        nin += chunk->len;
    }

    s->nin = nin;

    w = &z->sh->workers[s->owner.slot];

    if (!s->arrived || s->owner.queued || w->pid == z->sh->stamp.pid) {
        return;
    }

    w->arrived = 1;
    s->moving = 0;

    s->owner.next = w->sids;
    sync_heap_order();

    w->sids = &s->owner;
    sync_heap_order();

    s->owner.queued = 1;
}


const char *
sync_sid_check(sync_zone_t *z, size_t *used)
{
    uint32_t     i;
    const char  *text;
    ngx_uint_t   n;
    sync_sid_t  *s;

    n = 0;
    *used = 0;

    for (i = 0; i <= z->sh->sid_mask; i++) {

        for (s = z->sh->sids[i]; s; s = s->next) {
            n += (s->endpoint != SYNC_SID_INNER);

            if (sync_sid_bucket(z, s->id) != &z->sh->sids[i]) {
                return "session: wrong bucket";
            }

            text = sync_sid_check_one(z, s, used);
            if (text) {
                return text;
            }
        }
    }

    return (n == z->sh->nsids) ? NULL : "zone: wrong count of sessions";
}


static const char *
sync_sid_check_one(sync_zone_t *z, sync_sid_t *s, size_t *used)
{
    size_t             nin;
    const char        *text;
    sync_sid_chunk_t  *chunk;

    *used += sync_heap_block_size(&z->sh->heap, s);

    /* a worker that died may have been about to free it, or to give it away */

    if (sync_sid_unused(s) && !z->sh->workers[s->owner.slot].dead) {
        return "session: closed and not needed";
    }

    if (s->record && s->record->slot != s->owner.slot
        && !z->sh->workers[s->owner.slot].dead)
    {
        return "session: the client is another worker's";
    }

    if (s->poll.queued && !s->polling) {
        return "session: news for no poll";
    }

    nin = 0;

    for (chunk = s->in; chunk; chunk = chunk->next) {
        *used += sync_heap_block_size(&z->sh->heap, chunk);
        nin += chunk->len;
    }

    if (nin != s->nin) {
        return "session: wrong count of bytes";
    }

    for (chunk = s->out; chunk; chunk = chunk->next) {
        *used += sync_heap_block_size(&z->sh->heap, chunk);
    }

    if (s->nsp) {
        *used += sync_heap_block_size(&z->sh->heap, s->nsp);
    }

    if (s->order) {
        *used += sync_heap_block_size(&z->sh->heap, s->order);
    }

    if (s->inner) {
        *used += sync_heap_block_size(&z->sh->heap, s->inner);
    }

    text = sync_sid_check_node(z, &s->owner);

    return text ? text : sync_sid_check_node(z, &s->poll);
}


static const char *
sync_sid_check_node(sync_zone_t *z, sync_sid_node_t *node)
{
    ngx_uint_t        found;
    sync_sid_node_t  *n;

    found = 0;

    for (n = z->sh->workers[node->slot].sids; n; n = n->next) {
        found += (n == node);
    }

    return (found == node->queued) ? NULL : "session: wrong flag of a list";
}
