
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_roster.h>
#include <sync_audience.h>


#define SYNC_ROSTER_BATCH  32768        /* bytes, of formers */


typedef struct {
    sync_main_settings_t  *main;
    sync_zone_t           *zone;
    u_char                *buf;         /* SYNC_ROSTER_BATCH, or NULL */
    uint64_t               number;      /* of the last of the batch */
    ngx_uint_t             pending;     /* of it, at Redis */
    unsigned               failed:1;    /* Redis did not take all of it */
    unsigned               draining:1;
} sync_roster_t;


static void sync_roster_write(void);
static ngx_int_t sync_roster_set(sync_former_t *f);
static void sync_roster_done(redisReply *reply, sync_redis_error_e error,
    void *data);
static void sync_roster_info(sync_record_info_t *info, sync_former_t *f);
static json_t *sync_roster_text(const u_char *data, size_t len);
static json_t *sync_roster_time(uint32_t s);
static ngx_int_t sync_roster_rooms(json_t *client, const u_char *p,
    const u_char *last);


static const char  *sync_roster_transports[] = {
    "websocket", "sse", "socketio", "polling"
};


static sync_roster_t  sync_roster;


void
sync_roster_init_worker(sync_main_settings_t *main)
{
    ngx_memzero(&sync_roster, sizeof(sync_roster_t));

    sync_roster.main = main;
    sync_roster.zone = main->zone;
}


void
sync_roster_tick(void)
{
    sync_former_expire(sync_roster.zone);

    if (sync_redis_shards() && sync_redis_subscribed(0)) {
        sync_roster_write();
    }
}


ngx_uint_t
sync_roster_drain(void)
{
    if (sync_redis_shards() == 0) {
        return 0;
    }

    if (!sync_roster.draining) {
        sync_roster.draining = 1;
        sync_roster.failed = 0;
    }

    if (!sync_roster.failed) {
        sync_roster_write();
    }

    return sync_roster.pending != 0;
}


static void
sync_roster_write(void)
{
    size_t          len;
    ngx_uint_t      i, n;
    sync_former_t  *f;
    sync_roster_t  *r;

    r = &sync_roster;

    if (r->pending) {
        return;
    }

    if (r->buf == NULL) {
        r->buf = ngx_alloc(SYNC_ROSTER_BATCH, ngx_cycle->log);
        if (r->buf == NULL) {
            return;
        }
    }

    r->failed = 0;

    n = sync_former_untold(r->zone, r->buf, SYNC_ROSTER_BATCH, &len,
                           &r->number);

    f = (sync_former_t *) r->buf;

    for (i = 0; i < n; i++) {

        if (sync_roster_set(f) != SYNC_OK) {
            r->failed = 1;
            break;
        }

        r->pending++;
        f = sync_former_following(f);
    }

    if (n == 0) {
        ngx_free(r->buf);
        r->buf = NULL;
    }
}


static ngx_int_t
sync_roster_set(sync_former_t *f)
{
    char                *text;
    time_t               age;
    json_t              *json;
    u_char              *rooms;
    size_t               argvlen[5];
    ngx_int_t            rc;
    ngx_uint_t           shard;
    sync_str_t           key;
    const char          *argv[5];
    sync_record_info_t   info;
    u_char               buf[SYNC_ROSTER_KEY], ttl[NGX_TIME_T_LEN];

    sync_roster_info(&info, f);

    rooms = f->data + f->user_len;
    json = sync_roster_json(&info, rooms, f->rooms);
    text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);

    if (text == NULL) {
        return SYNC_ERROR;
    }

    shard = sync_roster_key(sync_roster.main, &key, buf, f->id);

    age = ngx_time() - (time_t) f->left;
    age = ngx_max((time_t) sync_roster.zone->remember - age, 1);

    argv[0] = "SET";
    argv[1] = (char *) key.data;
    argv[2] = text;
    argv[3] = "EX";
    argv[4] = (char *) ttl;

    argvlen[0] = 3;
    argvlen[1] = key.len;
    argvlen[2] = ngx_strlen(text);
    argvlen[3] = 2;
    argvlen[4] = ngx_sprintf(ttl, "%T", age) - ttl;

    rc = sync_redis_command(shard, NULL, sync_roster_done, NULL, 5, argv,
                            argvlen);
    free(text);

    return rc;
}


static void
sync_roster_done(redisReply *reply, sync_redis_error_e error, void *data)
{
    sync_roster_t  *r;

    r = &sync_roster;

    if (error != SYNC_REDIS_OK || reply->type == REDIS_REPLY_ERROR) {
        r->failed = 1;
    }

    if (--r->pending) {
        return;
    }

    /* what failed is tried again by the next tick, with all that came since */

    if (!r->failed) {
        sync_former_told(r->zone, r->number);
        sync_roster_write();
    }
}


static void
sync_roster_info(sync_record_info_t *info, sync_former_t *f)
{
    ngx_memcpy(info->id, f->id, SYNC_ID_LEN);
    ngx_memcpy(info->user, f->data, f->user_len);

    info->connected = f->connected;
    info->active = f->active;
    info->left = f->left;
    info->nrooms = f->nrooms;
    info->transport = f->transport;
    info->user_len = f->user_len;
}


void
sync_roster_leave(sync_client_t *c)
{
    uint64_t        lsn;
    sync_member_t  *m;

    if (sync_roster.zone->remember == 0) {
        return;
    }

    /* nobody hears anything for it any more */

    for (m = c->record->members; m; m = m->next) {
        lsn = sync_fanout_reached(c, m);

        sync_fanout_forget(c, m);

        m->start = lsn;
    }

    sync_former_add(sync_roster.zone, c->record);
}


json_t *
sync_roster_json(sync_record_info_t *info, const u_char *rooms, size_t len)
{
    json_t  *client;
    u_char   id[SYNC_ID_TEXT];

    sync_registry_print_id(id, info->id);

    client = json_pack("{s:o, s:o, s:s, s:b, s:o, s:o, s:I}",
                       "clientId", sync_roster_text(id, SYNC_ID_TEXT),
                       "userId", info->user_len
                                 ? sync_roster_text(info->user,
                                                    info->user_len)
                                 : json_null(),
                       "transport", sync_roster_transports[info->transport],
                       "connected", info->left == 0,
                       "connectedAt", sync_roster_time(info->connected),
                       "lastActivity", sync_roster_time(info->active),
                       "roomCount", (json_int_t) info->nrooms);
    if (client == NULL) {
        return NULL;
    }

    if ((info->left
         && json_object_set_new(client, "leftAt",
                                sync_roster_time(info->left)) != 0)
        || (rooms && sync_roster_rooms(client, rooms, rooms + len) != SYNC_OK))
    {
        json_decref(client);
        return NULL;
    }

    return client;
}


static ngx_int_t
sync_roster_rooms(json_t *client, const u_char *p, const u_char *last)
{
    json_t              *names, *positions;
    sync_former_room_t   room;
    u_char               pos[SYNC_POSITION_LEN];

    names = json_array();
    positions = json_object();

    if (json_object_set_new(client, "rooms", names) != 0
        || json_object_set_new(client, "lastPosition", positions) != 0)
    {
        return SYNC_ERROR;
    }

    while (sync_former_next(&p, last, &room) == SYNC_OK) {

        if (json_array_append_new(names, sync_roster_text(room.name.data,
                                                          room.name.len))
            != 0)
        {
            return SYNC_ERROR;
        }

        if (!room.known) {
            continue;
        }

        if (json_object_setn_new(positions, (char *) room.name.data,
                                 room.name.len,
                                 sync_roster_text(pos,
                                                  sync_position_print(pos,
                                                         &room.pos) - pos))
            != 0)
        {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


/* What is not UTF-8, as a client's user id may be, is null. */

static json_t *
sync_roster_text(const u_char *data, size_t len)
{
    json_t  *text;

    text = json_stringn((char *) data, len);

    return text ? text : json_null();
}


static json_t *
sync_roster_time(uint32_t s)
{
    return json_integer((json_int_t) s * 1000);
}


ngx_uint_t
sync_roster_key(sync_main_settings_t *main, sync_str_t *key, u_char *buf,
    const u_char *id)
{
    u_char  *p;

    p = ngx_sprintf(buf, "%V:c:", &main->redis->prefix);

    sync_registry_print_id(p, id);

    key->data = buf;
    key->len = p + SYNC_ID_TEXT - buf;

    return sync_redis_shard(key);
}
