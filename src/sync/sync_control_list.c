
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control_op.h>
#include <sync_name.h>


/*
 * Lists are given in pages.  Where a page ended is told by its cursor: a
 * bucket of the zone's hash, or how many members were given.  The zone may
 * change between two pages: what comes or goes meanwhile may be missed, and
 * a member whose place in the room changes.
 */


/*
 * The zone gives whole buckets: more clients or rooms than this in one are
 * not to be expected.
 */

#define SYNC_CONTROL_BUCKET  16


static json_t *sync_control_record(sync_control_t *ctl, const u_char *id,
    sync_record_info_t *info);


static const char  *sync_control_transports[] = {
    "websocket", "sse", "socketio", "polling"
};


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

        if (json_array_append_new(members,
                                  sync_control_record(ctl, id, &info))
            != 0)
        {
            return SYNC_ERROR;
        }
    }

    sync_control_set_cursor(ctl, cursor + n < total && limit, cursor + n);

    return SYNC_OK;
}


ngx_int_t
sync_control_clients(sync_control_t *ctl)
{
    json_t              *clients;
    uint32_t             bucket;
    ngx_uint_t           i, n, limit, cursor;
    sync_zone_t         *z;
    sync_record_info_t  *info;

    if (sync_control_page(ctl, SYNC_CONTROL_BUCKET, &limit, &cursor)
        != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    info = ngx_palloc(ctl->pool, limit * sizeof(sync_record_info_t));
    if (info == NULL) {
        return SYNC_ERROR;
    }

    n = 0;
    z = ctl->main->zone;
    bucket = cursor;

    while (bucket <= z->sh->mask && limit - n >= SYNC_CONTROL_BUCKET) {
        n += sync_registry_page(z, &bucket, &info[n], limit - n);
    }

    clients = json_array();

    sync_control_set(ctl, ctl->answer, "count", json_integer(z->sh->nclients));
    sync_control_set(ctl, ctl->answer, "clients", clients);

    for (i = 0; i < n; i++) {

        if (json_array_append_new(clients,
                                  sync_control_record(ctl, info[i].id,
                                                      &info[i]))
            != 0)
        {
            return SYNC_ERROR;
        }
    }

    sync_control_set_cursor(ctl, bucket <= z->sh->mask, bucket);

    return SYNC_OK;
}


ngx_int_t
sync_control_client(sync_control_t *ctl)
{
    u_char               id[SYNC_ID_LEN];
    json_t              *client, *names;
    ngx_int_t            rc;
    ngx_uint_t           i, n;
    sync_room_info_t    *room;
    sync_record_info_t   info;

    rc = sync_control_id(ctl, id);

    if (rc == SYNC_DECLINED) {
        return sync_control_missing(ctl, "clientId");
    }

    if (rc != SYNC_OK) {
        return SYNC_ERROR;
    }

    rc = sync_registry_info(ctl->main->zone, id, &info);

    if (rc != SYNC_OK) {
        return sync_control_not_found(ctl);
    }

    n = ngx_min(info.nrooms, SYNC_CONTROL_ROOMS_MAX);

    room = ngx_palloc(ctl->pool, (n + 1) * sizeof(sync_room_info_t));
    if (room == NULL) {
        return SYNC_ERROR;
    }

    n = sync_room_of(ctl->main->zone, id, room, n);

    client = sync_control_record(ctl, id, &info);
    names = json_array();

    sync_control_set(ctl, ctl->answer, "client", client);
    sync_control_set(ctl, client, "rooms", names);

    for (i = 0; i < n; i++) {

        if (json_array_append_new(names, sync_control_text(room[i].name,
                                                           room[i].len))
            != 0)
        {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


static json_t *
sync_control_record(sync_control_t *ctl, const u_char *id,
    sync_record_info_t *info)
{
    u_char   text[SYNC_ID_TEXT];
    json_t  *client;

    client = json_object();

    sync_registry_print_id(text, id);

    sync_control_set(ctl, client, "clientId",
                     sync_control_text(text, SYNC_ID_TEXT));
    sync_control_set(ctl, client, "userId",
                     info->user_len
                     ? sync_control_text(info->user, info->user_len)
                     : json_null());
    sync_control_set(ctl, client, "transport",
                     json_string(sync_control_transports[info->transport]));
    sync_control_set(ctl, client, "connectedAt",
                     json_integer((json_int_t) info->connected * 1000));
    sync_control_set(ctl, client, "lastActivity",
                     json_integer((json_int_t) info->active * 1000));
    sync_control_set(ctl, client, "roomCount", json_integer(info->nrooms));

    return client;
}
