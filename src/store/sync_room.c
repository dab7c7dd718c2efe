
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_room.h>


/*
 *               first join               last leave
 *     (nothing) ----------> with members ----------> (nothing)
 *         |                   |       ^               volatile
 *         | publish, history  |leave  |join
 *         `--------------> in the idle queue ------> (nothing)
 *                                            ttl
 *
 * Between calls, a room that is in the hash has members, or is in the idle
 * queue and has a history.  Each of its interests but those in the host's
 * room has members.  A member is in its room's queue and in its record's
 * list; an interest is in its room's list and, with news, in its worker's
 * queue.
 *
 * All memory that a change needs is taken before anything is linked.  The
 * room is stamped before it is changed, a member and an interest while they
 * come and go; a stamp is cleared before what it points to is freed.
 */


/* idle rooms looked at in one call */
#define SYNC_ROOM_EXPIRE  64


/* the structures have the sizes that are stated */

typedef char sync_interest_is_64[sizeof(sync_interest_t) == 64 ? 1 : -1];
typedef char sync_member_is_64[sizeof(sync_member_t) == 64 ? 1 : -1];
typedef char sync_entry_is_48[sizeof(sync_entry_t) == 48 ? 1 : -1];
typedef char sync_chunk_is_32[sizeof(sync_chunk_t) == 32 ? 1 : -1];


static void sync_room_seat(sync_zone_t *z, sync_member_t *m);
static ngx_uint_t sync_room_is_read(sync_interest_t *in);
static ngx_int_t sync_room_move_to(sync_zone_t *z, sync_member_t *m,
    ngx_uint_t slot);
static void sync_room_undo_move(sync_zone_t *z, sync_record_t *rec,
    ngx_uint_t slot);
static void sync_room_move_member(sync_zone_t *z, sync_member_t *m,
    ngx_uint_t slot);


ngx_int_t
sync_room_join(sync_zone_t *z, sync_str_t *name, sync_room_rule_t *rule,
    sync_record_t *rec, uint64_t cookie, sync_joined_t *j)
{
    return sync_room_join_texts(z, name, rule, rec, cookie, j, NULL);
}


ngx_int_t
sync_room_join_texts(sync_zone_t *z, sync_str_t *name,
    sync_room_rule_t *rule, sync_record_t *rec, uint64_t cookie,
    sync_joined_t *j, sync_texts_t *texts)
{
    ngx_int_t         rc;
    ngx_uint_t        slot, new_room, new_interest;
    sync_room_t      *room;
    sync_member_t    *m;
    sync_position_t   pos;
    sync_interest_t  *in;

    slot = rec->slot;

    in = NULL;
    m = NULL;

    sync_zone_lock(z);

    if (texts) {
        texts->len = 0;
        texts->need = sync_text_need_locked(z, name);

        if (texts->need > texts->size) {
            sync_zone_unlock(z);
            return SYNC_AGAIN;
        }
    }

    room = sync_room_lookup_locked(z, name);
    new_room = (room == NULL);

    if (new_room) {
        room = sync_room_create_locked(z, name, rule);
        if (room == NULL) {
            goto full;
        }

    } else {
        sync_room_obey_locked(room, rule);

        m = sync_room_member_locked(rec, room);
        in = sync_room_interest_locked(room, slot);
    }

    rc = SYNC_DECLINED;

    if (m) {
        goto done;
    }

    new_interest = (in == NULL);

    if (new_interest) {
        in = sync_room_create_interest_locked(z, room, slot, cookie);
        if (in == NULL) {
            goto full;
        }
    }

    m = sync_zone_alloc_locked(z, sizeof(sync_member_t));

    if (m == NULL) {
        if (new_interest) {
            sync_zone_free_locked(z, in);
        }

        goto full;
    }

    m->room = room;
    m->record = rec;
    m->interest = in;
    m->start = room->log.top;
    m->index = 0;
    m->joined = (uint32_t) ngx_time();

    z->sh->stamp.room = room;
    sync_heap_order();

    if (new_room) {
        sync_room_add_locked(z, room);
    }

    if (new_interest) {
        in->next = room->interests;
        sync_heap_order();
        room->interests = in;
    }

    sync_room_seat(z, m);

    if (texts && texts->need) {
        pos.lsn = room->log.top;
        pos.nonce = room->log.nonce;

        sync_text_copy_locked(z, name, &pos, texts);
    }

    rc = SYNC_OK;

done:

    j->member = m;
    j->interest = m->interest;
    j->lsn = room->log.top;
    j->nonce = room->log.nonce;

    sync_zone_unlock(z);

    return rc;

full:

    if (new_room && room) {
        sync_zone_free_locked(z, room);
    }

    sync_zone_unlock(z);

    return SYNC_BUSY;
}


static void
sync_room_seat(sync_zone_t *z, sync_member_t *m)
{
    sync_room_t    *room;
    sync_record_t  *rec;

    room = m->room;
    rec = m->record;

    if (room->nmembers == 0) {
        sync_zone_queue_remove(&room->idle);
    }

    z->sh->stamp.member = m;
    sync_heap_order();

    sync_zone_queue_add(&room->members, &m->queue);

    m->next = rec->members;
    sync_heap_order();
    rec->members = m;

    room->nmembers++;
    m->interest->nmembers++;
    rec->nrooms++;

    if (!sync_room_is_private(room)) {
        sync_worker_count_member_locked(z, m->interest->slot, 1);
    }
}


void
sync_room_leave(sync_zone_t *z, sync_member_t *m)
{
    sync_zone_lock(z);

    sync_room_leave_locked(z, m);

    sync_zone_unlock(z);
}


void
sync_room_leave_locked(sync_zone_t *z, sync_member_t *m)
{
    sync_room_t      *room;
    sync_stamp_t     *stamp;
    sync_member_t   **p;
    sync_interest_t  *in;

    room = m->room;
    in = m->interest;
    stamp = &z->sh->stamp;

    stamp->room = room;
    stamp->member = m;
    sync_heap_order();

    for (p = &m->record->members; *p != m; p = &(*p)->next) {
        /* void */
    }

    *p = m->next;
    sync_heap_order();

    sync_zone_queue_remove(&m->queue);

    room->nmembers--;
    in->nmembers--;
    m->record->nrooms--;

    if (!sync_room_is_private(room)) {
        sync_worker_count_member_locked(z, in->slot, -1);
    }

    sync_heap_order();
    stamp->member = NULL;
    sync_heap_order();

    sync_zone_free_locked(z, m);

    if (in->nmembers == 0) {
        sync_room_drop_interest_locked(z, in);
    }

    if (room->nmembers == 0) {

        if (room->history == 0) {
            sync_room_destroy_locked(z, room);

        } else {
            room->seen = ngx_current_msec;
            sync_zone_queue_add(&z->sh->idle, &room->idle);
            sync_room_trim_locked(z, room);
        }

    } else {
        sync_room_trim_locked(z, room);
    }

    /* the caller may go on with another room */

    sync_heap_order();
    stamp->room = NULL;
    sync_heap_order();
}


ngx_int_t
sync_room_move_locked(sync_zone_t *z, sync_record_t *rec, ngx_uint_t slot)
{
    sync_member_t  *m;

    if (!sync_room_is_read(z->self->host)
        || !sync_room_is_read(z->sh->workers[slot].host))
    {
        return SYNC_AGAIN;
    }

    for (m = rec->members; m; m = m->next) {
        if (!sync_room_is_read(m->interest)) {
            return SYNC_AGAIN;
        }
    }

    z->sh->stamp.record = rec;
    sync_heap_order();

    for (m = rec->members; m; m = m->next) {
        if (sync_room_move_to(z, m, slot) != SYNC_OK) {
            sync_room_undo_move(z, rec, slot);
            return SYNC_BUSY;
        }
    }

    for (m = rec->members; m; m = m->next) {
        sync_room_move_member(z, m, slot);
    }

    sync_worker_count_client_locked(z, rec->slot, -1);
    sync_heap_order();
    rec->slot = (uint16_t) slot;
    sync_heap_order();
    sync_worker_count_client_locked(z, rec->slot, 1);

    return SYNC_OK;
}


static ngx_uint_t
sync_room_is_read(sync_interest_t *in)
{
    return !in->held
           && in->cursor == in->room->log.top
           && in->epoch == in->room->log.epoch;
}


/* Makes sure that the slot has an interest, which may have no members yet. */

static ngx_int_t
sync_room_move_to(sync_zone_t *z, sync_member_t *m, ngx_uint_t slot)
{
    sync_room_t      *room;
    sync_interest_t  *in;

    room = m->room;

    if (sync_room_interest_locked(room, slot)) {
        return SYNC_OK;
    }

    in = sync_room_create_interest_locked(z, room, slot, 0);
    if (in == NULL) {
        return SYNC_BUSY;
    }

    z->sh->stamp.room = room;
    sync_heap_order();

    in->next = room->interests;
    sync_heap_order();
    room->interests = in;

    sync_heap_order();
    z->sh->stamp.room = NULL;
    sync_heap_order();

    return SYNC_OK;
}


static void
sync_room_undo_move(sync_zone_t *z, sync_record_t *rec, ngx_uint_t slot)
{
    sync_member_t    *m;
    sync_interest_t  *in;

    for (m = rec->members; m; m = m->next) {
        in = sync_room_interest_locked(m->room, slot);

        if (in == NULL || in->nmembers) {
            continue;
        }

        z->sh->stamp.room = m->room;
        sync_heap_order();

        sync_room_drop_interest_locked(z, in);

        sync_heap_order();
        z->sh->stamp.room = NULL;
        sync_heap_order();
    }
}


static void
sync_room_move_member(sync_zone_t *z, sync_member_t *m, ngx_uint_t slot)
{
    sync_room_t      *room;
    sync_interest_t  *in;

    in = m->interest;
    room = m->room;

    m->start = room->log.top;

    if (in->slot == slot) {
        return;
    }

    z->sh->stamp.room = room;
    sync_heap_order();

    m->interest = sync_room_interest_locked(room, slot);
    m->interest->nmembers++;
    in->nmembers--;

    if (!sync_room_is_private(room)) {
        sync_worker_count_member_locked(z, in->slot, -1);
        sync_worker_count_member_locked(z, slot, 1);
    }

    if (in->nmembers == 0) {
        sync_room_drop_interest_locked(z, in);
    }

    sync_heap_order();
    z->sh->stamp.room = NULL;
    sync_heap_order();
}


void
sync_room_expire(sync_zone_t *z)
{
    ngx_uint_t    i;
    ngx_queue_t  *q;
    sync_room_t  *room;

    sync_zone_lock(z);

    for (i = 0; i < SYNC_ROOM_EXPIRE; i++) {

        q = ngx_queue_head(&z->sh->idle);

        if (q == ngx_queue_sentinel(&z->sh->idle)) {
            break;
        }

        room = ngx_queue_data(q, sync_room_t, idle);

        z->sh->stamp.room = room;
        sync_heap_order();

        sync_zone_queue_remove(q);

        if ((ngx_msec_int_t) (ngx_current_msec - room->seen)
            >= (ngx_msec_int_t) room->ttl * 1000)
        {
            sync_room_destroy_locked(z, room);

        } else {
            sync_zone_queue_add(&z->sh->idle, q);
        }

        sync_heap_order();
        z->sh->stamp.room = NULL;
        sync_heap_order();
    }

    sync_room_sweep_locked(z);
    sync_text_expire_locked(z);

    sync_zone_unlock(z);
}


sync_room_t *
sync_room_lookup_locked(sync_zone_t *z, sync_str_t *name)
{
    uint32_t      hash;
    sync_room_t  *room;

    hash = sync_zone_hash(z, name->data, name->len);

    for (room = z->sh->rooms[hash & z->sh->mask]; room; room = room->next) {

        if (room->hash == hash
            && room->len == name->len
            && ngx_memcmp(room->name, name->data, name->len) == 0)
        {
            return room;
        }
    }

    return NULL;
}


sync_room_t *
sync_room_create_locked(sync_zone_t *z, sync_str_t *name,
    sync_room_rule_t *rule)
{
    sync_room_t  *room;

    room = sync_zone_alloc_locked(z, offsetof(sync_room_t, name)
                                     + ngx_max(name->len, 1));
    if (room == NULL) {
        return NULL;
    }

    ngx_memzero(room, offsetof(sync_room_t, name));

    ngx_queue_init(&room->members);
    room->log.oldest = 1;
    room->log.limit = rule->limit;
    room->seen = ngx_current_msec;
    room->ttl = rule->ttl;
    room->history = rule->history;
    room->len = (uint16_t) name->len;

    /*
     * two logs do not begin alike, of this zone or of another; but where they
     * are copies of one, it is not known yet where that begins
     */

    if (!rule->mirrored) {
        z->sh->births++;
        room->log.birth = sync_zone_hash(z, (u_char *) &z->sh->births,
                                         sizeof(z->sh->births));
        room->log.nonce = room->log.birth;
    }

    /* a subscription hears what is kept where it was said */

    if (name->len && name->data[name->len - 1] == '*') {
        room->history = 0;
    }

    if (name->len) {
        room->hash = sync_zone_hash(z, name->data, name->len);
        ngx_memcpy(room->name, name->data, name->len);
    }

    return room;
}


void
sync_room_obey_locked(sync_room_t *room, sync_room_rule_t *rule)
{
    if (rule && rule->history && room->history) {
        room->history = rule->history;
        room->ttl = rule->ttl;
        room->log.limit = rule->limit;
    }
}


void
sync_room_add_locked(sync_zone_t *z, sync_room_t *room)
{
    sync_room_t     **bucket;
    sync_zone_sh_t   *sh;

    sh = z->sh;
    bucket = &sh->rooms[room->hash & sh->mask];

    room->next = *bucket;
    sync_heap_order();
    *bucket = room;
    sync_heap_order();

    sync_zone_queue_add(&sh->idle, &room->idle);

    sh->nrooms++;
    sh->nprivate += sync_room_is_private(room);

    if (room->name[room->len - 1] == '*') {
        sh->npatterns++;
        sh->patterns[room->len]++;
    }
}


void
sync_room_destroy_locked(sync_zone_t *z, sync_room_t *room)
{
    sync_room_t     **p;
    sync_zone_sh_t   *sh;

    sh = z->sh;

    for (p = &sh->rooms[room->hash & sh->mask]; *p != room; p = &(*p)->next) {
        /* void */
    }

    *p = room->next;
    sync_heap_order();

    sh->nrooms--;
    sh->nprivate -= sync_room_is_private(room);

    if (room->name[room->len - 1] == '*') {
        sh->npatterns--;
        sh->patterns[room->len]--;
    }

    /* nothing leads to it but the stamp */

    sync_heap_order();
    sh->stamp.room = NULL;
    sync_heap_order();

    sync_log_free_locked(z, &room->log);

    if (room->ids) {
        sync_zone_free_locked(z, room->ids);
    }

    sync_zone_free_locked(z, room);
}


sync_interest_t *
sync_room_interest_locked(sync_room_t *room, ngx_uint_t slot)
{
    sync_interest_t  *in;

    for (in = room->interests; in; in = in->next) {
        if (in->slot == slot) {
            return in;
        }
    }

    return NULL;
}


sync_interest_t *
sync_room_create_interest_locked(sync_zone_t *z, sync_room_t *room,
    ngx_uint_t slot, uint64_t cookie)
{
    sync_interest_t  *in;

    in = sync_zone_alloc_locked(z, sizeof(sync_interest_t));
    if (in == NULL) {
        return NULL;
    }

    ngx_memzero(in, sizeof(sync_interest_t));

    in->room = room;
    in->cursor = room->log.top;
    in->passed = (uint32_t) room->log.top;
    in->cookie = cookie;
    in->epoch = room->log.epoch;
    in->slot = (uint16_t) slot;

    return in;
}


void
sync_room_drop_interest_locked(sync_zone_t *z, sync_interest_t *in)
{
    sync_interest_t  **p;

    sync_room_unqueue_locked(z, in);

    for (p = &in->room->interests; *p != in; p = &(*p)->next) {
        /* void */
    }

    *p = in->next;
    sync_heap_order();

    sync_zone_free_locked(z, in);
}


void
sync_room_queue_locked(sync_zone_t *z, sync_interest_t *in)
{
    if (in->queued || in->held) {
        return;
    }

    z->sh->stamp.interest = in;
    sync_heap_order();

    sync_zone_queue_add(&z->sh->workers[in->slot].dirty, &in->dirty);
    in->queued = 1;

    sync_heap_order();
    z->sh->stamp.interest = NULL;
    sync_heap_order();
}


void
sync_room_unqueue_locked(sync_zone_t *z, sync_interest_t *in)
{
    if (!in->queued) {
        return;
    }

    z->sh->stamp.interest = in;
    sync_heap_order();

    sync_zone_queue_remove(&in->dirty);
    in->queued = 0;

    sync_heap_order();
    z->sh->stamp.interest = NULL;
    sync_heap_order();
}


sync_member_t *
sync_room_member_locked(sync_record_t *rec, sync_room_t *room)
{
    sync_member_t  *m;

    for (m = rec->members; m; m = m->next) {
        if (m->room == room) {
            return m;
        }
    }

    return NULL;
}
