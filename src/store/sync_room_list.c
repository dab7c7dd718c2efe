
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_room.h>


/*
 * Who is where: questions that change nothing.  All answers are copies, as
 * the lock is not held when they are looked at.
 */


/* buckets looked at in one call, at most, and rooms, beyond the last bucket */
#define SYNC_ROOM_PAGE_BUCKETS  4096
#define SYNC_ROOM_PAGE_ROOMS    1024


static ngx_uint_t sync_room_begins(sync_room_t *room, sync_str_t *prefix);
static void sync_room_copy(sync_room_info_t *info, sync_room_t *room);


ngx_uint_t
sync_room_count(sync_zone_t *z, sync_str_t *name)
{
    ngx_uint_t    n;
    sync_room_t  *room;

    sync_zone_lock(z);

    room = sync_room_lookup_locked(z, name);
    n = room ? room->nmembers : 0;

    sync_zone_unlock(z);

    return n;
}


ngx_int_t
sync_room_is_member(sync_zone_t *z, sync_str_t *name, const u_char *id)
{
    ngx_int_t       rc;
    sync_room_t    *room;
    sync_record_t  *rec;

    rc = SYNC_DECLINED;

    sync_zone_lock(z);

    room = sync_room_lookup_locked(z, name);
    rec = sync_registry_lookup_locked(z, id);

    if (room && rec && sync_room_member_locked(rec, room)) {
        rc = SYNC_OK;
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_uint_t
sync_room_members(sync_zone_t *z, sync_str_t *name, ngx_uint_t skip,
    u_char *ids, ngx_uint_t n, ngx_uint_t *total)
{
    ngx_uint_t      copied;
    ngx_queue_t    *q;
    sync_room_t    *room;
    sync_member_t  *m;

    copied = 0;
    *total = 0;

    sync_zone_lock(z);

    room = sync_room_lookup_locked(z, name);

    if (room == NULL) {
        sync_zone_unlock(z);
        return 0;
    }

    *total = room->nmembers;

    for (q = ngx_queue_head(&room->members);
         q != ngx_queue_sentinel(&room->members) && copied < n;
         q = ngx_queue_next(q))
    {
        if (skip) {
            skip--;
            continue;
        }

        m = ngx_queue_data(q, sync_member_t, queue);

        ngx_memcpy(ids + copied * SYNC_ID_LEN, m->record->id, SYNC_ID_LEN);
        copied++;
    }

    sync_zone_unlock(z);

    return copied;
}


ngx_uint_t
sync_room_hearers(sync_zone_t *z, sync_str_t *name, uint64_t lsn,
    u_char *ids, ngx_uint_t n)
{
    ngx_uint_t      copied;
    ngx_queue_t    *q;
    sync_room_t    *room;
    sync_member_t  *m;

    copied = 0;

    sync_zone_lock(z);

    room = sync_room_lookup_locked(z, name);

    if (room == NULL) {
        sync_zone_unlock(z);
        return 0;
    }

    for (q = ngx_queue_head(&room->members);
         q != ngx_queue_sentinel(&room->members) && copied < n;
         q = ngx_queue_next(q))
    {
        m = ngx_queue_data(q, sync_member_t, queue);

        if (m->start >= lsn || m->record->transport == SYNC_TRANSPORT_SSE) {
            continue;
        }

        ngx_memcpy(ids + copied * SYNC_ID_LEN, m->record->id, SYNC_ID_LEN);
        copied++;
    }

    sync_zone_unlock(z);

    return copied;
}


ngx_uint_t
sync_room_page(sync_zone_t *z, sync_str_t *prefix, uint32_t *bucket,
    sync_room_info_t *info, ngx_uint_t n)
{
    ngx_uint_t    i, len, looked, copied;
    sync_room_t  *room;

    looked = 0;
    copied = 0;

    sync_zone_lock(z);

    for (i = 0; i < SYNC_ROOM_PAGE_BUCKETS; i++) {

        if (*bucket > z->sh->mask || looked >= SYNC_ROOM_PAGE_ROOMS) {
            break;
        }

        len = 0;

        for (room = z->sh->rooms[*bucket]; room; room = room->next) {
            len += sync_room_begins(room, prefix);
            looked++;
        }

        if (copied && copied + len > n) {
            break;
        }

        for (room = z->sh->rooms[*bucket]; room && copied < n;
             room = room->next)
        {
            if (sync_room_begins(room, prefix)) {
                sync_room_copy(&info[copied++], room);
            }
        }

        (*bucket)++;
    }

    sync_zone_unlock(z);

    return copied;
}


static ngx_uint_t
sync_room_begins(sync_room_t *room, sync_str_t *prefix)
{
    ngx_uint_t  private;

    /* a secret name is listed only to who asks for secret ones */

    private = (prefix->len && sync_name_is_private(prefix));

    return private == sync_room_is_private(room)
           && room->len >= prefix->len
           && ngx_memcmp(room->name, prefix->data, prefix->len) == 0;
}


static void
sync_room_copy(sync_room_info_t *info, sync_room_t *room)
{
    info->nmembers = room->nmembers;
    info->messages = room->log.count;
    info->lsn = room->log.top;
    info->nonce = room->log.nonce;
    info->len = room->len;

    ngx_memcpy(info->name, room->name, room->len);
}


ngx_uint_t
sync_room_of(sync_zone_t *z, const u_char *id, sync_room_info_t *info,
    ngx_uint_t n)
{
    ngx_uint_t      i;
    sync_record_t  *rec;
    sync_member_t  *m;

    sync_zone_lock(z);

    rec = sync_registry_lookup_locked(z, id);

    if (rec == NULL) {
        sync_zone_unlock(z);
        return 0;
    }

    /* the list begins with the newest */

    i = sync_registry_rooms(rec);
    n = ngx_min(n, i);

    for (m = rec->members; m; m = m->next) {

        if (sync_room_is_private(m->room)) {
            continue;
        }

        i--;

        if (i < n) {
            sync_room_copy(&info[i], m->room);
        }
    }

    sync_zone_unlock(z);

    return n;
}
