
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>
#include <sync_sid.h>
#include <sync_room.h>


/*
 *     sids[id] -> session -> session
 *                  |  |  `--> out: chunk -> chunk
 *                  |  `-----> in:  chunk -> chunk
 *                  `--------> record
 *
 *     worker: sids -> node -> node        the newest first
 *
 * A session is freed by the last of those that need it: its owner, the poll
 * that waits or is being sent, and who claimed it.  It stays in the hash till
 * then, so that a death among them leaves nothing that cannot be found.
 */


/* the structure has the size that is stated */

typedef char sync_sid_is_176[sizeof(sync_sid_t) == 176 ? 1 : -1];


static sync_sid_t *sync_sid_lookup_locked(sync_zone_t *z, const u_char *id);
static ngx_int_t sync_sid_set(sync_zone_t *z, sync_sid_chunk_t **place,
    const void *data, size_t len);
static void sync_sid_unset_locked(sync_zone_t *z, sync_sid_chunk_t **place);


sync_sid_t *
sync_sid_create(sync_zone_t *z, const u_char *id, uint32_t endpoint,
    uint64_t cookie)
{
    sync_sid_t  *s, **bucket;

    sync_zone_lock(z);

    s = sync_zone_alloc_locked(z, sizeof(sync_sid_t));

    if (s == NULL) {
        sync_zone_unlock(z);
        return NULL;
    }

    ngx_memzero(s, sizeof(sync_sid_t));

    ngx_memcpy(s->id, id, SYNC_SID_LEN);
    s->endpoint = endpoint;
    s->pinged = ngx_current_msec;

    s->owner.sid = s;
    s->owner.cookie = cookie;
    s->owner.slot = (uint16_t) sync_worker_slot(z, z->self);
    s->poll.sid = s;

    bucket = sync_sid_bucket(z, id);
    s->next = *bucket;
    sync_heap_order();

    *bucket = s;
    z->sh->nsids += (endpoint != SYNC_SID_INNER);

    sync_zone_unlock(z);

    return s;
}


/* An id is random, so its bytes are a hash already. */

sync_sid_t **
sync_sid_bucket(sync_zone_t *z, const u_char *id)
{
    uint32_t  hash;

    ngx_memcpy(&hash, id, sizeof(uint32_t));

    return &z->sh->sids[hash & z->sh->sid_mask];
}


static sync_sid_t *
sync_sid_lookup_locked(sync_zone_t *z, const u_char *id)
{
    sync_sid_t  *s;

    for (s = *sync_sid_bucket(z, id); s; s = s->next) {
        if (ngx_memcmp(s->id, id, SYNC_SID_LEN) == 0) {
            return s;
        }
    }

    return NULL;
}


/* What a request may use. */

sync_sid_t *
sync_sid_find_locked(sync_zone_t *z, const u_char *id, uint32_t endpoint)
{
    sync_sid_t  *s;

    s = sync_sid_lookup_locked(z, id);

    return s && s->endpoint == endpoint && !s->closed ? s : NULL;
}


void
sync_sid_close(sync_zone_t *z, sync_sid_t *s, sync_wake_set_t *wake)
{
    sync_zone_lock(z);

    if (s->closed) {

        /* it was claimed when its owner closed it */

        s->moving = 0;
    }

    sync_sid_close_locked(z, s, wake);

    if (sync_sid_unused(s)) {
        sync_sid_free_locked(z, s);
    }

    sync_zone_unlock(z);
}


void
sync_sid_close_locked(sync_zone_t *z, sync_sid_t *s, sync_wake_set_t *wake)
{
    s->closed = 1;
    s->record = NULL;

    sync_sid_unmark_locked(z, &s->owner);

    if (s->moving) {
        s->owner.slot = s->claimer;
        s->owner.cookie = s->claim;

        sync_sid_mark_locked(z, &s->owner, wake);
    }

    if (s->polling) {
        sync_sid_mark_locked(z, &s->poll, wake);
    }
}


ngx_uint_t
sync_sid_unused(sync_sid_t *s)
{
    return s->closed && !s->moving && !s->polling && !s->sending;
}


void
sync_sid_free_locked(sync_zone_t *z, sync_sid_t *s)
{
    sync_sid_t        **p;
    sync_sid_chunk_t   *chunk;

    sync_sid_unmark_locked(z, &s->owner);
    sync_sid_unmark_locked(z, &s->poll);

    while (s->in || s->out) {
        chunk = sync_sid_shift(s->in ? &s->in : &s->out);
        sync_zone_free_locked(z, chunk);
    }

    sync_sid_unset_locked(z, &s->nsp);
    sync_sid_unset_locked(z, &s->order);
    sync_sid_unset_locked(z, &s->inner);

    for (p = sync_sid_bucket(z, s->id); *p != s; p = &(*p)->next) {
        /* void */
    }

    *p = s->next;
    sync_heap_order();

    z->sh->nsids -= (s->endpoint != SYNC_SID_INNER);

    sync_zone_free_locked(z, s);
}


void
sync_sid_client_id(sync_zone_t *z, u_char *client, const u_char *id)
{
    ngx_md5_t  md5;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, z->sh->key, sizeof(z->sh->key));
    ngx_md5_update(&md5, id, SYNC_SID_LEN);
    ngx_md5_update(&md5, z->sh->key, sizeof(z->sh->key));
    ngx_md5_final(client, &md5);
}


ngx_int_t
sync_sid_upgrade(sync_zone_t *z, const u_char *id, uint32_t endpoint,
    ngx_uint_t upgrading, sync_wake_set_t *wake)
{
    ngx_int_t    rc;
    sync_sid_t  *s;

    rc = SYNC_DECLINED;

    sync_zone_lock(z);

    s = sync_sid_find_locked(z, id, endpoint);

    if (s && !s->moving && s->upgrading != upgrading) {
        rc = SYNC_OK;
        s->upgrading = (uint8_t) upgrading;

        if (s->polling && upgrading) {
            sync_sid_mark_locked(z, &s->poll, wake);
        }
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_sid_exists(sync_zone_t *z, const u_char *id, uint32_t endpoint)
{
    ngx_int_t    rc;
    sync_sid_t  *s;

    sync_zone_lock(z);

    s = sync_sid_find_locked(z, id, endpoint);

    rc = (s == NULL) ? SYNC_DECLINED
         : (s->upgrading || s->moving) ? SYNC_BUSY : SYNC_OK;

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_sid_claim(sync_zone_t *z, const u_char *id, uint32_t endpoint,
    uint64_t cookie, sync_wake_set_t *wake)
{
    ngx_int_t    rc;
    sync_sid_t  *s;

    rc = SYNC_DECLINED;

    sync_zone_lock(z);

    s = sync_sid_find_locked(z, id, endpoint);

    if (s && s->moving) {
        rc = SYNC_BUSY;

    } else if (s) {
        rc = SYNC_OK;

        s->claim = cookie;
        s->claimer = (uint16_t) sync_worker_slot(z, z->self);
        sync_heap_order();
        s->upgraded = s->upgrading;
        s->moving = 1;

        sync_sid_mark_locked(z, &s->owner, wake);
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_sid_unclaim(sync_zone_t *z, const u_char *id, uint64_t cookie,
    sync_sid_t **sid, sync_wake_set_t *wake)
{
    ngx_int_t    rc;
    ngx_uint_t   slot;
    sync_sid_t  *s;

    rc = SYNC_DECLINED;
    slot = sync_worker_slot(z, z->self);

    sync_zone_lock(z);

    s = sync_sid_lookup_locked(z, id);

    if (s && s->moving && s->claim == cookie && s->claimer == slot) {
        rc = SYNC_OK;
        s->moving = 0;

        if (sync_sid_unused(s)) {
            sync_sid_free_locked(z, s);

        } else if (s->closed) {
            sync_sid_unmark_locked(z, &s->owner);

        } else {
            s->ended = 1;
            sync_sid_mark_locked(z, &s->owner, wake);
        }

    } else if (s && !s->closed && s->owner.cookie == cookie
               && s->owner.slot == slot)
    {
        rc = SYNC_BUSY;
        *sid = s;
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_sid_news(sync_zone_t *z, sync_sid_news_t *news)
{
    sync_sid_t       *s;
    sync_sid_node_t  *node;

    sync_zone_lock(z);

    node = z->self->sids;

    if (node == NULL) {
        z->self->arrived = 0;
        sync_zone_unlock(z);
        return SYNC_DECLINED;
    }

    s = node->sid;

    sync_sid_unmark_locked(z, node);

    news->sid = s;
    news->cookie = node->cookie;
    news->role = (node == &s->owner) ? SYNC_SID_OWNER : SYNC_SID_POLL;
    news->polling = s->polling;
    news->moving = s->moving;
    news->arrived = s->arrived;
    news->ended = s->ended;
    news->closed = s->closed;
    news->adopt = sync_sid_may_adopt(z, s);

    if (news->role == SYNC_SID_OWNER) {
        s->arrived = 0;
    }

    sync_zone_unlock(z);

    return SYNC_OK;
}


/*
 * The record names its new slot before the session does: should the owner
 * die in between, the session is reaped with the record.
 */

ngx_int_t
sync_sid_move(sync_zone_t *z, sync_sid_t *s, sync_wake_set_t *wake)
{
    ngx_int_t       rc;
    sync_worker_t  *w;

    sync_zone_lock(z);

    w = &z->sh->workers[s->claimer];

    if (!s->moving || w->dead) {
        sync_zone_unlock(z);
        return SYNC_DECLINED;
    }

    if (s->upgrading && (s->polling || s->sending)) {

        /* what was not sent to it is for the WebSocket */

        sync_zone_unlock(z);
        return SYNC_AGAIN;
    }

    if (s->record) {
        rc = sync_room_move_locked(z, s->record, s->claimer);

        if (rc != SYNC_OK) {
            sync_zone_unlock(z);
            return rc;
        }

        s->record->cookie = s->claim;
    }

    sync_sid_unmark_locked(z, &s->owner);

    z->sh->stamp.sid = s;
    sync_heap_order();

    w->arrived = 1;
    s->arrived = 1;
    s->owner.cookie = s->claim;
    sync_heap_order();

    s->owner.slot = s->claimer;
    sync_heap_order();

    s->moving = 0;

    sync_sid_mark_locked(z, &s->owner, wake);

    sync_zone_unlock(z);

    return SYNC_OK;
}


ngx_int_t
sync_sid_set_namespace(sync_zone_t *z, sync_sid_t *s, sync_str_t *nsp)
{
    return sync_sid_set(z, &s->nsp, nsp->data, nsp->len);
}


ngx_int_t
sync_sid_set_order(sync_zone_t *z, sync_sid_t *s, const void *data,
    size_t len)
{
    return sync_sid_set(z, &s->order, data, len);
}


ngx_int_t
sync_sid_set_inner(sync_zone_t *z, sync_sid_t *s, const void *data,
    size_t len)
{
    return sync_sid_set(z, &s->inner, data, len);
}


static ngx_int_t
sync_sid_set(sync_zone_t *z, sync_sid_chunk_t **place, const void *data,
    size_t len)
{
    sync_sid_chunk_t  *chunk;

    chunk = NULL;

    sync_zone_lock(z);

    if (len) {
        chunk = sync_zone_alloc_locked(z, offsetof(sync_sid_chunk_t, data)
                                          + len);
        if (chunk == NULL) {
            sync_zone_unlock(z);
            return SYNC_BUSY;
        }

        ngx_memzero(chunk, offsetof(sync_sid_chunk_t, data));
        chunk->len = (uint32_t) len;
        ngx_memcpy(chunk->data, data, len);
        sync_heap_order();
    }

    sync_sid_unset_locked(z, place);
    *place = chunk;

    sync_zone_unlock(z);

    return SYNC_OK;
}


static void
sync_sid_unset_locked(sync_zone_t *z, sync_sid_chunk_t **place)
{
    sync_sid_chunk_t  *chunk;

    chunk = *place;

    if (chunk) {
        *place = NULL;
        sync_heap_order();

        sync_zone_free_locked(z, chunk);
    }
}


void
sync_sid_set_record(sync_zone_t *z, sync_sid_t *s, sync_record_t *rec)
{
    sync_zone_lock(z);

    s->record = rec;

    sync_zone_unlock(z);
}


/* The owner is about to exit, and this worker is not. */

ngx_uint_t
sync_sid_may_adopt(sync_zone_t *z, sync_sid_t *s)
{
    return z->sh->workers[s->owner.slot].exiting
           && !z->self->exiting
           && !s->moving
           && !s->closed;
}


void
sync_sid_mark_locked(sync_zone_t *z, sync_sid_node_t *node,
    sync_wake_set_t *wake)
{
    sync_worker_t  *w;

    w = &z->sh->workers[node->slot];

    if (!node->queued) {
        z->sh->stamp.sid = node->sid;
        sync_heap_order();

        node->next = w->sids;
        sync_heap_order();

        w->sids = node;
        sync_heap_order();

        node->queued = 1;
        sync_heap_order();

        z->sh->stamp.sid = NULL;
        sync_heap_order();
    }

    if (wake) {
        sync_worker_mark_locked(z, node->slot, wake);
    }
}


void
sync_sid_unmark_locked(sync_zone_t *z, sync_sid_node_t *node)
{
    sync_sid_node_t  **p;

    if (!node->queued) {
        return;
    }

    z->sh->stamp.sid = node->sid;
    sync_heap_order();

    for (p = &z->sh->workers[node->slot].sids; *p != node; p = &(*p)->next) {
        /* void */
    }

    *p = node->next;
    sync_heap_order();

    node->queued = 0;
    sync_heap_order();

    z->sh->stamp.sid = NULL;
    sync_heap_order();
}
