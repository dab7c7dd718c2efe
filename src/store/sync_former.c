
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_former.h>
#include <sync_presence_store.h>


/*
 * A room is packed as the length of its name less one, a byte that is 1 if a
 * position follows, the name, and the position: LSN and nonce, as they are in
 * memory.
 */

#define SYNC_FORMER_POSITION  (sizeof(uint64_t) + sizeof(uint32_t))

#define SYNC_FORMER_VICTIMS   64        /* forgotten at once to make room */
#define SYNC_FORMER_SWEEP     256       /* the same, as their time is over */
#define SYNC_FORMER_BUCKETS   4096      /* looked at in one call */


static void sync_former_add_locked(sync_zone_t *z, sync_record_t *rec);
static ngx_int_t sync_former_reserve(sync_zone_t *z, size_t size);
static size_t sync_former_bytes(sync_zone_t *z);
static sync_former_t *sync_former_newest(sync_zone_t *z);
static void sync_former_forget(sync_zone_t *z);
static sync_former_t **sync_former_bucket(sync_zone_t *z, const u_char *id);
static size_t sync_former_measure(sync_record_t *rec, size_t max,
    ngx_uint_t *n);
static void sync_former_pack(sync_record_t *rec, u_char *last, ngx_uint_t n);
static ngx_int_t sync_former_place(sync_member_t *m, sync_position_t *pos);
static sync_former_t *sync_former_lookup(sync_zone_t *z, const u_char *id);
static ngx_uint_t sync_former_hidden(sync_zone_t *z, sync_former_t *f);
static ngx_uint_t sync_former_wants(sync_former_filter_t *filter,
    sync_former_t *f);
static ngx_uint_t sync_former_wants_record(sync_former_filter_t *filter,
    sync_record_t *rec, sync_room_t *room);
static void sync_former_copy(sync_record_info_t *info, sync_former_t *f);
static ngx_uint_t sync_former_page_here(sync_zone_t *z,
    sync_former_filter_t *filter, sync_room_t *room, uint32_t bucket,
    sync_record_info_t *info, ngx_uint_t n, ngx_uint_t *copied);
static ngx_uint_t sync_former_page_gone(sync_zone_t *z,
    sync_former_filter_t *filter, uint32_t bucket, sync_record_info_t *info,
    ngx_uint_t n, ngx_uint_t *copied);


void
sync_registry_remove(sync_zone_t *z, sync_record_t *rec)
{
    sync_zone_lock(z);

    sync_registry_remove_locked(z, rec);

    sync_zone_unlock(z);
}


void
sync_registry_remove_locked(sync_zone_t *z, sync_record_t *rec)
{
    sync_former_add_locked(z, rec);
    sync_presence_lose_locked(z, rec);

    while (rec->members) {
        sync_room_leave_locked(z, rec->members);
    }

    sync_registry_delete_locked(z, rec);
}


void
sync_former_add(sync_zone_t *z, sync_record_t *rec)
{
    sync_zone_lock(z);

    rec->flags |= SYNC_RECORD_PLACED;
    sync_former_add_locked(z, rec);

    sync_zone_unlock(z);
}


static void
sync_former_add_locked(sync_zone_t *z, sync_record_t *rec)
{
    size_t           size, rooms;
    ngx_uint_t       n;
    sync_str_t       user;
    sync_former_t   *f, *newest, **bucket;
    sync_zone_sh_t  *sh;

    if (z->remember == 0
        || (rec->flags & (SYNC_RECORD_MET|SYNC_RECORD_LEFT))
           != SYNC_RECORD_MET)
    {
        return;
    }

    sh = z->sh;

    sync_registry_user(rec, &user);

    rooms = sync_former_measure(rec, SYNC_FORMER_ROOMS, &n);
    size = offsetof(sync_former_t, data) + user.len + rooms;

    f = NULL;

    if (sync_former_reserve(z, size) == SYNC_OK) {
        f = sync_zone_alloc_locked(z, size);
    }

    if (f == NULL) {
        sync_zone_count(z, SYNC_COUNT_FORGOTTEN, 1);
        rec->flags |= SYNC_RECORD_LEFT;
        return;
    }

    newest = sync_former_newest(z);

    ngx_memzero(f, offsetof(sync_former_t, data));

    f->number = sh->former_number + 1;

    if (newest && f->number <= newest->number) {
        f->number = newest->number + 1;
    }

    f->size = size;
    f->sum = (newest ? newest->sum : 0) + ngx_align(size, SYNC_HEAP_GRANULE);
    f->connected = rec->connected;
    f->active = rec->active;
    f->left = (uint32_t) ngx_time();
    f->nrooms = sync_registry_rooms(rec);
    f->rooms = rooms;
    f->transport = rec->transport;
    f->user_len = user.len;

    ngx_memcpy(f->id, rec->id, SYNC_ID_LEN);
    ngx_memcpy(f->data, user.data, user.len);

    sync_former_pack(rec, f->data + user.len + rooms, n);

    bucket = sync_former_bucket(z, f->id);
    f->next = *bucket;
    sync_heap_order();

    if (newest) {
        newest->newer = f;

    } else {
        sh->former_oldest = f;
    }

    sync_heap_order();

    sh->former_newest = f;
    sh->former_number = f->number;
    *bucket = f;
    rec->flags |= SYNC_RECORD_LEFT;
}


/* SYNC_OK if there may be one more, of that size. */

static ngx_int_t
sync_former_reserve(sync_zone_t *z, size_t size)
{
    size_t      limit;
    ngx_uint_t  n, pressed;

    limit = (size_t) z->sh->heap.ngranules * SYNC_HEAP_GRANULE
            / SYNC_FORMER_SHARE;

    size = ngx_align(size, SYNC_HEAP_GRANULE);
    pressed = sync_room_pressed_locked(z);

    /* in a zone that is nearly full there come to be less of them */

    for (n = 0; n < SYNC_FORMER_VICTIMS && z->sh->former_oldest; n++) {

        if (sync_former_bytes(z) + size <= limit && (!pressed || n == 2)) {
            break;
        }

        sync_former_forget(z);
        sync_zone_count(z, SYNC_COUNT_FORGOTTEN, 1);
    }

    return (sync_former_bytes(z) + size <= limit && (!pressed || n))
           ? SYNC_OK : SYNC_BUSY;
}


static size_t
sync_former_bytes(sync_zone_t *z)
{
    sync_former_t  *f, *newest;

    f = z->sh->former_oldest;
    newest = sync_former_newest(z);

    return newest ? newest->sum - f->sum
                    + ngx_align(f->size, SYNC_HEAP_GRANULE)
                  : 0;
}


static sync_former_t *
sync_former_newest(sync_zone_t *z)
{
    sync_former_t  *f;

    f = z->sh->former_newest;

    if (f == NULL) {
        f = z->sh->former_oldest;
    }

    while (f && f->newer) {
        f = f->newer;
    }

    z->sh->former_newest = f;

    return f;
}


/* The oldest. */

static void
sync_former_forget(sync_zone_t *z)
{
    sync_former_t   *f, **p;
    sync_zone_sh_t  *sh;

    sh = z->sh;
    f = sh->former_oldest;

    for (p = sync_former_bucket(z, f->id); *p; p = &(*p)->next) {

        if (*p == f) {
            *p = f->next;
            break;
        }
    }

    sync_heap_order();

    if (sh->former_told == f) {
        sh->former_told = NULL;
    }

    if (sh->former_newest == f) {
        sh->former_newest = NULL;
    }

    sync_heap_order();

    sh->former_oldest = f->newer;
    sync_heap_order();

    sync_zone_free_locked(z, f);
}


static sync_former_t **
sync_former_bucket(sync_zone_t *z, const u_char *id)
{
    uint32_t  hash;

    ngx_memcpy(&hash, id, sizeof(uint32_t));

    return &z->sh->formers[hash & z->sh->mask];
}


/* Bytes of the newest *n rooms, as many as take no more than max. */

static size_t
sync_former_measure(sync_record_t *rec, size_t max, ngx_uint_t *n)
{
    size_t          len, size;
    sync_member_t  *m;

    size = 0;
    *n = 0;

    for (m = rec->members; m; m = m->next) {

        if (sync_room_is_private(m->room)) {
            continue;
        }

        len = 2 + m->room->len;

        if (m->room->history) {
            len += SYNC_FORMER_POSITION;
        }

        if (size + len > max) {
            break;
        }

        size += len;
        (*n)++;
    }

    return size;
}


/* Packs the newest n rooms so that they end at last, the newest there. */

static void
sync_former_pack(sync_record_t *rec, u_char *last, ngx_uint_t n)
{
    u_char           *p;
    sync_member_t    *m;
    sync_position_t   pos;

    for (m = rec->members; n; m = m->next) {

        if (sync_room_is_private(m->room)) {
            continue;
        }

        n--;
        last -= 2 + m->room->len;

        if (m->room->history) {
            last -= SYNC_FORMER_POSITION;
        }

        p = last;

        *p++ = (u_char) (m->room->len - 1);
        *p++ = (m->room->history != 0);
        p = ngx_cpymem(p, m->room->name, m->room->len);

        if (m->room->history == 0) {
            continue;
        }

        /* a nonce alone tells of none */

        if (sync_former_place(m, &pos) != SYNC_OK) {
            pos.lsn = (uint64_t) -1;
            pos.nonce = 0;
        }

        p = ngx_cpymem(p, &pos.lsn, sizeof(uint64_t));
        ngx_memcpy(p, &pos.nonce, sizeof(uint32_t));
    }
}


/*
 * Where a member is.  What its worker has taken is as good as told; where it
 * reads for itself only the worker knows.
 */

static ngx_int_t
sync_former_place(sync_member_t *m, sync_position_t *pos)
{
    sync_log_t  *log;

    log = &m->room->log;

    if (m->start == SYNC_ROOM_READING || m->interest->epoch != log->epoch) {
        return SYNC_DECLINED;
    }

    pos->lsn = m->start;

    if (!(m->record->flags & SYNC_RECORD_PLACED)) {
        pos->lsn = ngx_max(m->start, m->interest->cursor);
    }

    return sync_log_nonce_locked(log, pos->lsn, &pos->nonce);
}


ngx_int_t
sync_former_next(const u_char **p, const u_char *last,
    sync_former_room_t *room)
{
    const u_char  *next;

    next = *p;

    if (next == last) {
        return SYNC_DECLINED;
    }

    room->name.len = (size_t) next[0] + 1;
    room->name.data = (u_char *) next + 2;
    room->known = 0;

    *p = next + 2 + room->name.len;

    if (next[1]) {
        ngx_memcpy(&room->pos.lsn, *p, sizeof(uint64_t));
        ngx_memcpy(&room->pos.nonce, *p + sizeof(uint64_t), sizeof(uint32_t));

        room->known = (room->pos.lsn != (uint64_t) -1);
        *p += SYNC_FORMER_POSITION;
    }

    return SYNC_OK;
}


ngx_int_t
sync_former_info(sync_zone_t *z, const u_char *id, sync_record_info_t *info,
    u_char *buf, size_t size, size_t *len)
{
    ngx_int_t       rc;
    ngx_uint_t      n;
    sync_record_t  *rec;
    sync_former_t  *f;

    rc = SYNC_OK;

    sync_zone_lock(z);

    rec = sync_registry_lookup_locked(z, id);

    if (rec) {
        sync_registry_copy(info, rec);
        *len = sync_former_measure(rec, size, &n);
        sync_former_pack(rec, buf + *len, n);

    } else {
        f = sync_former_lookup(z, id);

        if (f) {
            sync_former_copy(info, f);
            *len = ngx_min(size, f->rooms);
            ngx_memcpy(buf, f->data + f->user_len, *len);

        } else {
            rc = SYNC_DECLINED;
        }
    }

    sync_zone_unlock(z);

    return rc;
}


/* The one that left last. */

static sync_former_t *
sync_former_lookup(sync_zone_t *z, const u_char *id)
{
    sync_former_t  *f;

    for (f = *sync_former_bucket(z, id); f; f = f->next) {
        if (ngx_memcmp(f->id, id, SYNC_ID_LEN) == 0) {
            break;
        }
    }

    return f;
}


static void
sync_former_copy(sync_record_info_t *info, sync_former_t *f)
{
    ngx_memcpy(info->id, f->id, SYNC_ID_LEN);

    info->connected = f->connected;
    info->active = f->active;
    info->left = f->left;
    info->nrooms = f->nrooms;
    info->transport = f->transport;
    info->user_len = f->user_len;

    ngx_memcpy(info->user, f->data, f->user_len);
}


ngx_uint_t
sync_former_page(sync_zone_t *z, sync_former_filter_t *filter,
    uint32_t *bucket, sync_record_info_t *info, ngx_uint_t n)
{
    ngx_uint_t    i, here, done, copied;
    sync_room_t  *room;

    copied = 0;

    sync_zone_lock(z);

    room = filter->by_room ? sync_room_lookup_locked(z, &filter->room) : NULL;
    here = filter->here && (room || !filter->by_room);

    for (i = 0; i < SYNC_FORMER_BUCKETS; i++) {

        if (*bucket <= z->sh->mask) {

            if (!here) {
                *bucket = z->sh->mask + 1;
                continue;
            }

            done = sync_former_page_here(z, filter, room, *bucket, info, n,
                                         &copied);

        } else if (*bucket < sync_former_buckets(z) && filter->gone) {
            done = sync_former_page_gone(z, filter, *bucket & z->sh->mask,
                                         info, n, &copied);

        } else {
            *bucket = sync_former_buckets(z);
            break;
        }

        if (!done) {
            break;
        }

        (*bucket)++;
    }

    sync_zone_unlock(z);

    return copied;
}


/* A bucket; 0 if it does not fit behind others. */

static ngx_uint_t
sync_former_page_here(sync_zone_t *z, sync_former_filter_t *filter,
    sync_room_t *room, uint32_t bucket, sync_record_info_t *info,
    ngx_uint_t n, ngx_uint_t *copied)
{
    ngx_uint_t      first;
    sync_record_t  *rec;

    first = *copied;

    for (rec = z->sh->records[bucket]; rec; rec = rec->next) {

        if (!sync_former_wants_record(filter, rec, room)) {
            continue;
        }

        if (*copied == n) {

            if (first == 0) {
                return 1;
            }

            *copied = first;
            return 0;
        }

        sync_registry_copy(&info[(*copied)++], rec);
    }

    return 1;
}


static ngx_uint_t
sync_former_page_gone(sync_zone_t *z, sync_former_filter_t *filter,
    uint32_t bucket, sync_record_info_t *info, ngx_uint_t n,
    ngx_uint_t *copied)
{
    ngx_uint_t      first;
    sync_former_t  *f;

    first = *copied;

    for (f = z->sh->formers[bucket]; f; f = f->next) {

        if (sync_former_hidden(z, f) || !sync_former_wants(filter, f)) {
            continue;
        }

        if (*copied == n) {

            if (first == 0) {
                return 1;
            }

            *copied = first;
            return 0;
        }

        sync_former_copy(&info[(*copied)++], f);
    }

    return 1;
}


/* It is back, or it left once more. */

static ngx_uint_t
sync_former_hidden(sync_zone_t *z, sync_former_t *f)
{
    return sync_former_lookup(z, f->id) != f
           || sync_registry_lookup_locked(z, f->id);
}


static ngx_uint_t
sync_former_wants(sync_former_filter_t *filter, sync_former_t *f)
{
    const u_char        *p, *last;
    sync_former_room_t   room;

    if (filter->by_user
        && (f->user_len != filter->user.len
            || ngx_memcmp(f->data, filter->user.data, f->user_len) != 0))
    {
        return 0;
    }

    if (!filter->by_room) {
        return 1;
    }

    p = f->data + f->user_len;
    last = p + f->rooms;

    while (sync_former_next(&p, last, &room) == SYNC_OK) {
        if (sync_str_eq(&room.name, &filter->room)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
sync_former_wants_record(sync_former_filter_t *filter, sync_record_t *rec,
    sync_room_t *room)
{
    sync_str_t  user;

    if (filter->by_user) {
        sync_registry_user(rec, &user);

        if (!sync_str_eq(&user, &filter->user)) {
            return 0;
        }
    }

    return !filter->by_room || sync_room_member_locked(rec, room);
}


ngx_uint_t
sync_former_untold(sync_zone_t *z, u_char *buf, size_t size, size_t *len,
    uint64_t *number)
{
    ngx_uint_t      n;
    sync_former_t  *f;

    n = 0;
    *len = 0;

    sync_zone_lock(z);

    f = z->sh->former_told;

    for (f = f ? f->newer : z->sh->former_oldest; f; f = f->newer) {

        if (*len + ngx_align(f->size, 8) > size) {
            break;
        }

        ngx_memcpy(buf + *len, f, f->size);

        *len += ngx_align(f->size, 8);
        *number = f->number;
        n++;
    }

    sync_zone_unlock(z);

    return n;
}


void
sync_former_told(sync_zone_t *z, uint64_t n)
{
    sync_former_t  *f, *next;

    sync_zone_lock(z);

    f = z->sh->former_told;
    next = f ? f->newer : z->sh->former_oldest;

    while (next && next->number <= n) {
        f = next;
        next = f->newer;
    }

    z->sh->former_told = f;

    sync_zone_unlock(z);
}


void
sync_former_expire(sync_zone_t *z)
{
    time_t          now;
    ngx_uint_t      i;
    sync_former_t  *f;

    now = ngx_time();

    sync_zone_lock(z);

    for (i = 0; i < SYNC_FORMER_SWEEP; i++) {
        f = z->sh->former_oldest;

        if (f == NULL || now - (time_t) f->left < (time_t) z->remember) {
            break;
        }

        sync_former_forget(z);
    }

    for (i = 0; i < SYNC_FORMER_VICTIMS && sync_room_pressed_locked(z); i++) {

        if (z->sh->former_oldest == NULL) {
            break;
        }

        sync_former_forget(z);
        sync_zone_count(z, SYNC_COUNT_FORGOTTEN, 1);
    }

    sync_zone_unlock(z);
}


void
sync_former_count(sync_zone_t *z, ngx_uint_t *n, size_t *bytes)
{
    sync_former_t  *newest;

    sync_zone_lock(z);

    newest = sync_former_newest(z);

    *n = newest ? newest->number - z->sh->former_oldest->number + 1 : 0;
    *bytes = sync_former_bytes(z);

    sync_zone_unlock(z);
}


const char *
sync_former_check(sync_zone_t *z, size_t *used)
{
    size_t          bytes;
    uint32_t        i;
    ngx_uint_t      n, linked, told;
    sync_former_t  *f, *p;

    n = 0;
    linked = 0;
    told = (z->sh->former_told == NULL);
    bytes = 0;

    for (f = z->sh->former_oldest; f; f = f->newer) {

        if (f->newer && (f->newer->number <= f->number
                         || f->newer->sum
                            != f->sum + ngx_align(f->newer->size,
                                                  SYNC_HEAP_GRANULE)))
        {
            return "former: wrong number or sum";
        }

        for (p = *sync_former_bucket(z, f->id); p && p != f; p = p->next) {
            /* void */
        }

        told |= (f == z->sh->former_told);
        linked += (p == f);
        bytes += ngx_align(f->size, SYNC_HEAP_GRANULE);
        *used += sync_heap_block_size(&z->sh->heap, f);
    }

    for (i = 0; i <= z->sh->mask; i++) {
        for (f = z->sh->formers[i]; f; f = f->next) {
            n++;
        }
    }

    if (n != linked) {
        return "former: found by id, and not in the queue";
    }

    if (!told) {
        return "former: the last one told of is not there";
    }

    if (bytes != sync_former_bytes(z)) {
        return "former: wrong sum of bytes";
    }

    return NULL;
}
