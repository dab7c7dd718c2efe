
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_room.h>
#include <sync_relay.h>


/*
 *     publish --> append to the log --> interests of all workers --> wake
 *                                           | (dirty queue)
 *     take    <-- copy from the log <-------' of this one
 *
 * An interest is in its worker's queue while there may be something above
 * its cursor, so that to look in the queue is to look everywhere.
 */


/* chunks that are given up for one message, at most */
#define SYNC_ROOM_RELIEVED  64


static ngx_int_t sync_room_repeat(sync_room_t *room, sync_message_t *m,
    sync_published_t *p);
static void sync_room_discard(sync_zone_t *z, sync_room_t *room);
static ngx_int_t sync_room_reserve_id(sync_zone_t *z, sync_room_t *room);
static sync_room_t *sync_room_pattern(sync_zone_t *z, sync_str_t *name,
    size_t len);
static uint32_t sync_room_receivers(sync_zone_t *z, sync_room_t *room,
    sync_message_t *m);
static void sync_room_reply_locked(sync_zone_t *z, sync_message_t *m,
    sync_published_t *p);
static void sync_room_unreply_locked(sync_zone_t *z, sync_message_t *m);
static ngx_int_t sync_room_peek(sync_zone_t *z, sync_take_t *t);
static ngx_int_t sync_room_take_from(sync_zone_t *z, sync_interest_t *in,
    sync_take_t *t);


ngx_int_t
sync_room_publish(sync_zone_t *z, sync_str_t *name, sync_room_t *room,
    sync_room_rule_t *rule, sync_message_t *m, sync_published_t *p)
{
    ngx_int_t   rc;
    ngx_uint_t  new;

    p->lsn = 0;
    p->nonce = 0;
    p->receivers = 0;
    p->history = 0;
    p->repeated = 0;
    p->replied = 0;
    p->wake.n = 0;

    sync_zone_lock(z);

    if (room == NULL) {
        room = sync_room_lookup_locked(z, name);
    }

    if (room) {
        sync_room_obey_locked(room, rule);

        if (m->id && sync_room_repeat(room, m, p) == SYNC_OK) {
            sync_zone_unlock(z);
            return SYNC_OK;
        }
    }

    new = (room == NULL && rule && rule->history);

    if (new) {
        room = sync_room_create_locked(z, name, rule);

        if (room == NULL) {
            sync_zone_unlock(z);
            return SYNC_BUSY;
        }
    }

    rc = SYNC_DECLINED;

    if (room) {
        rc = sync_room_append_locked(z, room, m);

        p->lsn = room->log.top;
        p->nonce = room->log.nonce;
        p->history = (room->history != 0);

        if (rc != SYNC_OK) {

            if (new) {
                sync_room_discard(z, room);
            }

            sync_zone_unlock(z);

            return (rc == SYNC_DECLINED) ? SYNC_ERROR : rc;
        }

        if (new) {
            sync_room_add_locked(z, room);
        }

        p->receivers = sync_room_receivers(z, room, m);
        sync_room_announce_locked(z, room, p);
        sync_receipt_expect_locked(z, m, sync_room_deliverers_locked(room));
    }

    sync_text_add_locked(z, name, m);

    if (room == NULL) {
        sync_receipt_expect_locked(z, m, 0);
    }

    if (z->sh->npatterns
        && !sync_name_is_private(name)
        && sync_room_patterns_locked(z, name, room, m, p) == SYNC_OK)
    {
        rc = SYNC_OK;
    }

    if (m->id && p->history) {
        sync_ids_add_locked(room->ids, m->id, p->lsn, p->nonce, p->receivers);
    }

    if (rc == SYNC_OK && m->reply) {
        sync_room_reply_locked(z, m, p);
    }

    if (!m->relayed && sync_relay_wanted(z)) {
        sync_relay_append_locked(z, name, m, p);
    }

    sync_zone_unlock(z);

    return rc;
}


/*
 * No worker sees one of them without the other: the host's room is looked at
 * first.
 */

static void
sync_room_reply_locked(sync_zone_t *z, sync_message_t *m, sync_published_t *p)
{
    sync_room_t     *host;
    sync_message_t  *r;

    host = z->sh->host;
    p->replied = 1;

    for (r = m->reply; host && r; r = r->reply) {

        r->lsn = 0;

        if (sync_room_append_locked(z, host, r) != SYNC_OK) {
            r->lsn = 0;
        }
    }

    if (host) {
        sync_room_announce_locked(z, host, p);
    }
}


/* What they stood before was not said: they are nobody's. */

static void
sync_room_unreply_locked(sync_zone_t *z, sync_message_t *m)
{
    sync_log_t      *log;
    sync_message_t  *r;

    log = &z->sh->host->log;

    for (r = m->reply; r; r = r->reply) {
        sync_log_forget_locked(log, r->lsn);
    }
}


/* The answer to a message that is known. */

static ngx_int_t
sync_room_repeat(sync_room_t *room, sync_message_t *m, sync_published_t *p)
{
    sync_ids_slot_t  *slot;

    slot = sync_ids_lookup_locked(room->ids, m->id);

    if (slot == NULL) {
        return SYNC_DECLINED;
    }

    p->lsn = slot->lsn;
    p->nonce = slot->nonce;
    p->receivers = slot->receivers;
    p->history = 1;
    p->repeated = 1;

    return SYNC_OK;
}


/* Frees a room that was not linked. */

static void
sync_room_discard(sync_zone_t *z, sync_room_t *room)
{
    z->sh->stamp.room = NULL;
    sync_heap_order();

    if (room->ids) {
        sync_zone_free_locked(z, room->ids);
    }

    sync_zone_free_locked(z, room);
}


/* Makes sure that the message's id can be kept. */

static ngx_int_t
sync_room_reserve_id(sync_zone_t *z, sync_room_t *room)
{
    sync_ids_t  *ids, *old;

    old = room->ids;

    ids = sync_ids_reserve_locked(z, old, room->history);

    if (ids == NULL) {
        return SYNC_BUSY;
    }

    if (ids != old) {
        sync_heap_order();
        room->ids = ids;
        sync_heap_order();

        if (old) {
            sync_zone_free_locked(z, old);
        }
    }

    return SYNC_OK;
}


/*
 * If there is no memory, a volatile room gives up its own oldest messages;
 * who has not read them will be told how many.  One that has a history has
 * others give up theirs first.
 */

ngx_int_t
sync_room_append_locked(sync_zone_t *z, sync_room_t *room, sync_message_t *m)
{
    uint32_t     n;
    ngx_int_t    rc;
    ngx_uint_t   i;
    sync_log_t  *log;

    log = &room->log;

    z->sh->stamp.room = room;
    sync_heap_order();

    if (m->id && room->history) {
        rc = sync_room_reserve_id(z, room);

        if (rc != SYNC_OK) {
            return rc;
        }
    }

    if (room->history && sync_room_pressed_locked(z)) {
        (void) sync_room_relieve_locked(z, room);   /* there may be none */
    }

    n = log->count + 1;

    rc = sync_log_append_locked(z, log, m);

    if (rc == SYNC_BUSY) {
        sync_room_trim_locked(z, room);

        rc = sync_log_append_locked(z, log, m);
    }

    for (i = 0; rc == SYNC_BUSY && i < SYNC_ROOM_RELIEVED; i++) {

        if (room->history == 0
            || sync_room_relieve_locked(z, room) != SYNC_OK)
        {
            if (log->count == 0) {
                break;
            }

            sync_room_give_up_locked(z, room);
            n = log->count + 1;
        }

        rc = sync_log_append_locked(z, log, m);
    }

    if (rc != SYNC_OK) {
        return rc;
    }

    room->seen = ngx_current_msec;

    if (room->history) {
        sync_zone_count(z, SYNC_COUNT_EVICTED_COUNT, n - log->count);
        sync_room_trim_locked(z, room);
    }

    return SYNC_OK;
}


/* Puts the room's interests in their workers' queues. */

void
sync_room_announce_locked(sync_zone_t *z, sync_room_t *room,
    sync_published_t *p)
{
    sync_interest_t  *in;

    for (in = room->interests; in; in = in->next) {

        if (in->held) {
            continue;
        }

        sync_room_queue_locked(z, in);
        sync_worker_mark_locked(z, in->slot, &p->wake);
    }
}


/* Workers that will deliver what was appended. */

ngx_uint_t
sync_room_deliverers_locked(sync_room_t *room)
{
    ngx_uint_t        n;
    sync_interest_t  *in;

    n = 0;

    for (in = room->interests; in; in = in->next) {
        n++;
    }

    return n;
}


ngx_int_t
sync_room_patterns_locked(sync_zone_t *z, sync_str_t *name,
    sync_room_t *room, sync_message_t *m, sync_published_t *p)
{
    size_t           len;
    ngx_int_t        rc;
    sync_room_t     *pattern;
    sync_message_t   message;

    rc = SYNC_DECLINED;

    for (len = 0; len <= name->len && len < SYNC_NAME_MAX; len++) {

        if (z->sh->patterns[len + 1] == 0) {
            continue;
        }

        pattern = sync_room_pattern(z, name, len);

        if (pattern == NULL || pattern == room) {
            continue;
        }

        message = *m;
        message.subject = *name;
        message.lsn = 0;
        message.id = 0;

        /* the room's own log has it, so this one's lack is only counted */

        if (sync_room_append_locked(z, pattern, &message) != SYNC_OK) {
            continue;
        }

        p->receivers += sync_room_receivers(z, pattern, m);
        sync_room_announce_locked(z, pattern, p);
        sync_receipt_expect_locked(z, m,
                                   sync_room_deliverers_locked(pattern));

        rc = SYNC_OK;
    }

    return rc;
}


/* The room of the pattern that is the first len bytes of the name and '*'. */

static sync_room_t *
sync_room_pattern(sync_zone_t *z, sync_str_t *name, size_t len)
{
    sync_str_t  s;
    u_char      pattern[SYNC_NAME_MAX];

    ngx_memcpy(pattern, name->data, len);
    pattern[len] = '*';

    s.data = pattern;
    s.len = len + 1;

    return sync_room_lookup_locked(z, &s);
}


/* The room's members, less those that must not get the message. */

static uint32_t
sync_room_receivers(sync_zone_t *z, sync_room_t *room, sync_message_t *m)
{
    uint32_t        n;
    uint16_t        i;
    sync_record_t  *rec;

    n = room->nmembers;

    for (i = 0; i < m->nexcept; i++) {

        rec = sync_registry_lookup_locked(z, m->except
                                             + (size_t) i * SYNC_ID_LEN);

        if (rec && sync_room_member_locked(rec, room)) {
            n--;
        }
    }

    return n;
}


ngx_int_t
sync_room_announce(sync_zone_t *z, sync_message_t *m, sync_published_t *p)
{
    ngx_int_t     rc;
    sync_room_t  *room;

    p->lsn = 0;
    p->nonce = 0;
    p->receivers = 0;
    p->replied = 0;
    p->wake.n = 0;

    rc = SYNC_OK;
    m->lsn = 0;

    sync_zone_lock(z);

    room = z->sh->host;

    if (room && room->interests) {

        if (m->reply) {
            sync_room_reply_locked(z, m, p);
        }

        rc = sync_room_append_locked(z, room, m);

        if (rc != SYNC_OK && m->reply) {
            sync_room_unreply_locked(z, m);
        }

        if (rc == SYNC_OK) {
            p->lsn = room->log.top;
            p->nonce = room->log.nonce;

            sync_room_announce_locked(z, room, p);
            sync_receipt_expect_locked(z, m,
                                       sync_room_deliverers_locked(room));
        }
    }

    if (rc == SYNC_OK && !m->relayed && sync_relay_wanted(z)) {
        sync_relay_append_locked(z, NULL, m, p);
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_room_take(sync_zone_t *z, sync_take_t *t)
{
    ngx_int_t         rc;
    ngx_queue_t      *h;
    sync_interest_t  *in;

    h = &z->self->dirty;
    rc = SYNC_DECLINED;
    t->peeked = 0;

    sync_zone_lock(z);

    if (z->self->arrived) {
        sync_zone_unlock(z);
        return SYNC_BUSY;
    }

    if (ngx_queue_head(h) != h) {
        rc = sync_room_peek(z, t);
    }

    /* an interest in the queue may have no news, if its log was trimmed */

    while (rc == SYNC_DECLINED && ngx_queue_head(h) != h) {

        in = ngx_queue_data(ngx_queue_head(h), sync_interest_t, dirty);

        /* what is said to clients by name comes before what follows it */

        if (z->self->host && z->self->host->queued) {
            in = z->self->host;
        }

        rc = sync_room_take_from(z, in, t);

        if (rc == SYNC_AGAIN) {
            break;
        }

        sync_room_unqueue_locked(z, in);

        if (t->more) {
            sync_room_queue_locked(z, in);
        }

        sync_room_trim_locked(z, in->room);
    }

    sync_zone_unlock(z);

    return rc;
}


/* Shows what the host's room has, if it is held; or SYNC_DECLINED. */

static ngx_int_t
sync_room_peek(sync_zone_t *z, sync_take_t *t)
{
    ssize_t           n;
    uint64_t          cursor;
    sync_log_t       *log;
    sync_interest_t  *in;

    in = z->self->host;

    if (in == NULL || !in->held) {
        return SYNC_DECLINED;
    }

    log = &in->room->log;
    cursor = ngx_max(ngx_max(in->cursor, t->ahead), log->trimmed);

    if (cursor >= log->top) {
        return SYNC_DECLINED;
    }

    n = sync_log_read_locked(log, cursor, t->buf, t->size, &t->last,
                             &t->need);
    if (n == SYNC_AGAIN) {
        return SYNC_AGAIN;
    }

    t->cookie = in->cookie;
    t->len = n;
    t->lost = 0;
    t->reset = 0;
    t->more = 1;
    t->peeked = 1;

    return SYNC_OK;
}


static ngx_int_t
sync_room_take_from(sync_zone_t *z, sync_interest_t *in, sync_take_t *t)
{
    ssize_t      n;
    uint64_t     cursor;
    sync_log_t  *log;

    log = &in->room->log;

    cursor = ngx_max(in->cursor, log->trimmed);

    t->last = cursor;
    t->more = 0;

    n = sync_log_read_locked(log, cursor, t->buf, t->size, &t->last,
                             &t->need);
    if (n == SYNC_AGAIN) {
        return SYNC_AGAIN;
    }

    t->cookie = in->cookie;
    t->len = n;
    t->first = in->cursor;
    t->lost = cursor - in->cursor;
    t->reset = (in->epoch != log->epoch);
    sync_room_lost_locked(z, in, t);
    t->more = (t->last < log->top);

    in->cursor = t->last;
    in->epoch = log->epoch;

    return (t->len || t->lost || t->reset) ? SYNC_OK : SYNC_DECLINED;
}


void
sync_room_hold(sync_zone_t *z, sync_interest_t *interest, ngx_uint_t hold)
{
    sync_zone_lock(z);

    if (hold) {
        sync_room_unqueue_locked(z, interest);
        interest->held = 1;

    } else {
        interest->held = 0;

        if (interest->cursor < interest->room->log.top
            || interest->epoch != interest->room->log.epoch)
        {
            sync_room_queue_locked(z, interest);
        }
    }

    sync_zone_unlock(z);
}


/* What all have taken is freed, so what is there is what one has not. */

ngx_uint_t
sync_room_unread(sync_zone_t *z, sync_str_t *name)
{
    ngx_uint_t        unread;
    sync_room_t      *room;
    sync_interest_t  *in;

    unread = 0;

    sync_zone_lock(z);

    room = sync_room_lookup_locked(z, name);

    if (room) {
        unread = (room->history == 0
                  && room->log.bytes > room->log.limit / 2);

        for (in = room->interests; in; in = in->next) {
            unread |= in->behind;
        }
    }

    sync_zone_unlock(z);

    return unread;
}
