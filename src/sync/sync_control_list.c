
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control_op.h>
#include <sync_name.h>
#include <sync_roster.h>


/*
 * Lists are given in pages.  Where a page ended is told by its cursor: a
 * bucket of the zone's hash, or how many members were given.  The zone may
 * change between two pages: what comes or goes meanwhile may be missed, and
 * a member whose place in the room changes.  With other hosts there is another
 * order, see sync_control_wide.c.
 */


/*
 * The zone gives whole buckets: more clients or rooms than this in one are
 * not to be expected.
 */

#define SYNC_CONTROL_BUCKET  16


ngx_int_t
sync_control_rooms(sync_control_t *ctl)
{
    json_t            *rooms, *room;
    uint32_t           bucket;
    ngx_int_t          rc;
    ngx_uint_t         i, n, limit, cursor;
    sync_str_t         prefix;
    sync_zone_t       *z;
    sync_room_info_t  *info;

    if (ctl->wide) {
        return sync_control_wide_rooms(ctl);
    }

    sync_str_set(&prefix, "");

    rc = sync_control_string(ctl, "prefix", &prefix);

    if (rc == SYNC_ERROR
        || sync_control_page(ctl, SYNC_CONTROL_BUCKET, &limit, &cursor)
           != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    info = ngx_palloc(ctl->pool, limit * sizeof(sync_room_info_t));
    if (info == NULL) {
        return SYNC_ERROR;
    }

    n = 0;
    z = ctl->main->zone;
    bucket = cursor;

    while (bucket <= z->sh->mask && limit - n >= SYNC_CONTROL_BUCKET) {
        n += sync_room_page(z, &prefix, &bucket, &info[n], limit - n);
    }

    rooms = json_array();

    sync_control_set(ctl, ctl->answer, "rooms", rooms);

    for (i = 0; i < n; i++) {
        room = json_object();

        sync_control_set(ctl, room, "room",
                         sync_control_text(info[i].name, info[i].len));
        sync_control_set(ctl, room, "members", json_integer(info[i].nmembers));

        if (json_array_append_new(rooms, room) != 0) {
            return SYNC_ERROR;
        }
    }

    sync_control_set_cursor(ctl, bucket <= z->sh->mask, bucket);

    return SYNC_OK;
}


ngx_int_t
sync_control_members(sync_control_t *ctl)
{
    u_char              *ids, *id;
    json_t              *members;
    ngx_int_t            rc;
    ngx_uint_t           i, n, total, limit, cursor;
    sync_str_t           room;
    sync_record_info_t   info;

    rc = sync_control_name(ctl, "room", &room);

    if (rc == SYNC_DECLINED) {
        return sync_control_missing(ctl, "room");
    }

    if (rc == SYNC_OK && ctl->wide) {
        return sync_control_wide_members(ctl, &room);
    }

    if (rc != SYNC_OK
        || sync_control_page(ctl, 0, &limit, &cursor) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    ids = ngx_pnalloc(ctl->pool, limit * SYNC_ID_LEN + 1);
    if (ids == NULL) {
        return SYNC_ERROR;
    }

    n = sync_room_members(ctl->main->zone, &room, cursor, ids, limit, &total);

    members = json_array();

    sync_control_set(ctl, ctl->answer, "room",
                     sync_control_text(room.data, room.len));
    sync_control_set(ctl, ctl->answer, "count", json_integer(total));
    sync_control_set(ctl, ctl->answer, "members", members);

    for (i = 0; i < n; i++) {
        id = ids + i * SYNC_ID_LEN;

        if (sync_registry_info(ctl->main->zone, id, &info) != SYNC_OK) {
            continue;
        }

        if (json_array_append_new(members, sync_roster_json(&info, NULL, 0))
            != 0)
        {
            return SYNC_ERROR;
        }
    }

    sync_control_set_cursor(ctl, cursor + n < total && limit, cursor + n);

    return SYNC_OK;
}
