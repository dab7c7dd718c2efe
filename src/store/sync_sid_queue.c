
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_sid.h>


/*
 * What goes through a session: chunks that came for its owner, chunks that
 * are for a poll, and the polls.
 *
 * A chunk is filled by its maker before it is linked, without the lock; so
 * one that is linked is whole, and one whose maker died is lost.
 */


sync_sid_chunk_t *
sync_sid_chunk(sync_zone_t *z, size_t len)
{
    sync_sid_chunk_t  *chunk;

    sync_zone_lock(z);

    chunk = sync_zone_alloc_locked(z, offsetof(sync_sid_chunk_t, data) + len);

    sync_zone_unlock(z);

    if (chunk) {
        chunk->next = NULL;
        chunk->len = (uint32_t) len;
        chunk->kind = 0;
    }

    return chunk;
}


void
sync_sid_free_chunk(sync_zone_t *z, sync_sid_chunk_t *chunk)
{
    sync_zone_lock(z);

    sync_zone_free_locked(z, chunk);

    sync_zone_unlock(z);
}


void
sync_sid_append(sync_sid_chunk_t **list, sync_sid_chunk_t *chunk)
{
    while (*list) {
        list = &(*list)->next;
    }

    sync_heap_order();
    *list = chunk;
    sync_heap_order();
}


sync_sid_chunk_t *
sync_sid_shift(sync_sid_chunk_t **list)
{
    sync_sid_chunk_t  *chunk;

    chunk = *list;

    if (chunk) {
        *list = chunk->next;
        sync_heap_order();
        chunk->next = NULL;
    }

    return chunk;
}


ngx_int_t
sync_sid_put(sync_zone_t *z, const u_char *id, uint32_t endpoint,
    sync_sid_chunk_t *chunk, size_t limit, ngx_uint_t *adopt,
    sync_wake_set_t *wake)
{
    ngx_int_t    rc;
    sync_sid_t  *s;

    rc = SYNC_DECLINED;

    sync_zone_lock(z);

    s = sync_sid_find_locked(z, id, endpoint);

    if (s && s->nin > limit) {
        rc = SYNC_BUSY;

    } else if (s) {
        rc = SYNC_OK;

        z->sh->stamp.sid = s;
        sync_heap_order();

        sync_sid_append(&s->in, chunk);
        s->nin += chunk->len;

        sync_sid_mark_locked(z, &s->owner, wake);

        *adopt = sync_sid_may_adopt(z, s);
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_sid_poll(sync_zone_t *z, const u_char *id, uint32_t endpoint,
    uint64_t cookie, ngx_uint_t end, sync_sid_t **sid, ngx_uint_t *adopt,
    sync_wake_set_t *wake)
{
    ngx_int_t    rc;
    sync_sid_t  *s;

    rc = SYNC_DECLINED;

    sync_zone_lock(z);

    s = sync_sid_find_locked(z, id, endpoint);

    if (s && s->upgraded) {
        rc = SYNC_ERROR;

    } else if (s && s->polling) {
        rc = SYNC_BUSY;

        if (end) {
            s->ended = 1;
            sync_sid_mark_locked(z, &s->owner, wake);
        }

    } else if (s) {
        rc = SYNC_OK;
        *sid = s;

        s->poll.cookie = cookie;
        s->poll.slot = (uint16_t) sync_worker_slot(z, z->self);
        sync_heap_order();
        s->polling = 1;

        sync_sid_mark_locked(z, &s->owner, wake);

        *adopt = sync_sid_may_adopt(z, s);
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_sid_take(sync_zone_t *z, sync_sid_t *s, sync_sid_chunk_t **chunks)
{
    ngx_int_t  rc;

    sync_zone_lock(z);

    if (s->sending) {
        rc = SYNC_AGAIN;

    } else if (s->out) {
        rc = SYNC_OK;
        *chunks = s->out;

        s->sender = s->poll.slot;
        sync_heap_order();
        s->sending = 1;

    } else if (s->closed) {
        rc = SYNC_SID_CLOSE;

    } else if (s->upgrading) {
        rc = SYNC_SID_NOOP;

    } else {
        rc = SYNC_AGAIN;
    }

    if (rc != SYNC_AGAIN) {
        sync_sid_unmark_locked(z, &s->poll);
        s->polling = 0;
    }

    if (sync_sid_unused(s)) {
        sync_sid_free_locked(z, s);
    }

    sync_zone_unlock(z);

    return rc;
}


void
sync_sid_sent(sync_zone_t *z, sync_sid_t *s, sync_sid_chunk_t *last,
    sync_wake_set_t *wake)
{
    sync_sid_chunk_t  *chunk;

    sync_zone_lock(z);

    while (last && s->out) {
        chunk = sync_sid_shift(&s->out);

        if (chunk == last) {
            last = NULL;
        }

        sync_zone_free_locked(z, chunk);
    }

    s->sending = 0;

    if (s->polling) {
        sync_sid_mark_locked(z, &s->poll, wake);
    }

    if (s->upgrading && !s->closed) {
        sync_sid_mark_locked(z, &s->owner, wake);
    }

    if (sync_sid_unused(s)) {
        sync_sid_free_locked(z, s);
    }

    sync_zone_unlock(z);
}


void
sync_sid_unpoll(sync_zone_t *z, sync_sid_t *s, sync_wake_set_t *wake)
{
    sync_zone_lock(z);

    sync_sid_unmark_locked(z, &s->poll);
    s->polling = 0;

    if (s->upgrading && !s->closed) {
        sync_sid_mark_locked(z, &s->owner, wake);
    }

    if (sync_sid_unused(s)) {
        sync_sid_free_locked(z, s);
    }

    sync_zone_unlock(z);
}


sync_sid_chunk_t *
sync_sid_in(sync_zone_t *z, sync_sid_t *s)
{
    sync_sid_chunk_t  *chunk;

    sync_zone_lock(z);

    z->sh->stamp.sid = s;
    sync_heap_order();

    chunk = sync_sid_shift(&s->in);

    if (chunk) {
        s->nin -= chunk->len;
    }

    sync_zone_unlock(z);

    return chunk;
}


void
sync_sid_give(sync_zone_t *z, sync_sid_t *s, sync_sid_chunk_t *chunk,
    sync_wake_set_t *wake)
{
    sync_zone_lock(z);

    sync_sid_append(&s->out, chunk);

    if (s->polling) {
        sync_sid_mark_locked(z, &s->poll, wake);
    }

    sync_zone_unlock(z);
}


sync_sid_chunk_t *
sync_sid_out(sync_zone_t *z, sync_sid_t *s)
{
    sync_sid_chunk_t  *chunk;

    sync_zone_lock(z);

    chunk = sync_sid_shift(&s->out);

    sync_zone_unlock(z);

    return chunk;
}
