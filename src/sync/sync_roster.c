
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_roster.h>
#include <sync_audience.h>


#define SYNC_ROSTER_BATCH  32768        /* bytes, of formers */

/* of them, at most */
#define SYNC_ROSTER_MAX    (SYNC_ROSTER_BATCH / sizeof(sync_former_t) + 1)


/*
 * KEYS: of those who left, of when they lapse.  ARGV: the time, s, for how
 * long all are kept, and pairs of a time and an id.  Those whose time is over
 * go, more of them than have come.
 */

static const char  sync_roster_script[] =
    "for i = 3, #ARGV, 2 do\n"
    "  redis.call('ZADD', KEYS[1], 0, ARGV[i + 1])\n"
    "  redis.call('ZADD', KEYS[2], ARGV[i], ARGV[i + 1])\n"
    "end\n"
    "local over = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1],\n"
    "  'LIMIT', 0, #ARGV + 64)\n"
    "for _, m in ipairs(over) do\n"
    "  redis.call('ZREM', KEYS[1], m)\n"
    "  redis.call('ZREM', KEYS[2], m)\n"
    "end\n"
    "redis.call('EXPIRE', KEYS[1], ARGV[2])\n"
    "redis.call('EXPIRE', KEYS[2], ARGV[2])\n"
    "return 1\n";


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
static ngx_int_t sync_roster_index(ngx_uint_t shard, ngx_uint_t n);
static void sync_roster_member(u_char *p, const u_char *id);
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

    for (i = 0; n && !r->failed && i < sync_redis_shards(); i++) {

        switch (sync_roster_index(i, n)) {

        case SYNC_OK:
            r->pending++;
            break;

        case SYNC_DECLINED:
            break;

        default:
            r->failed = 1;
            break;
        }
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


/* Of the batch those on a shard.  Returns SYNC_DECLINED if there are none. */

static ngx_int_t
sync_roster_index(ngx_uint_t shard, ngx_uint_t n)
{
    u_char             *p;
    ngx_uint_t          argc;
    sync_str_t          key, left, lapse;
    sync_former_t      *f;
    sync_roster_t      *r;
    u_char              buf[3][SYNC_ROSTER_KEY], now[2][NGX_TIME_T_LEN];
    static size_t       argvlen[7 + 2 * SYNC_ROSTER_MAX];
    static const char  *argv[7 + 2 * SYNC_ROSTER_MAX];
    static u_char       text[SYNC_ROSTER_MAX]
                            [NGX_TIME_T_LEN + SYNC_ROSTER_MEMBER];

    r = &sync_roster;
    argc = 7;

    for (f = (sync_former_t *) r->buf; n; n--) {

        if (sync_roster_key(r->main, &key, buf[0], f->id) == shard) {
            p = text[(argc - 7) / 2];

            argv[argc] = (char *) p;
            argvlen[argc] = ngx_sprintf(p, "%T", (time_t) f->left
                                        + r->zone->remember) - p;

            p += argvlen[argc++];
            sync_roster_member(p, f->id);

            argv[argc] = (char *) p;
            argvlen[argc++] = SYNC_ROSTER_MEMBER;
        }

        f = sync_former_following(f);
    }

    if (argc == 7) {
        return SYNC_DECLINED;
    }

    sync_roster_left_key(r->main, &left, buf[1], 0);
    sync_roster_left_key(r->main, &lapse, buf[2], 1);

    argv[0] = "EVAL";
    argvlen[0] = 4;
    argv[1] = sync_roster_script;
    argvlen[1] = sizeof(sync_roster_script) - 1;
    argv[2] = "2";
    argvlen[2] = 1;
    argv[3] = (char *) left.data;
    argvlen[3] = left.len;
    argv[4] = (char *) lapse.data;
    argvlen[4] = lapse.len;
    argv[5] = (char *) now[0];
    argvlen[5] = ngx_sprintf(now[0], "%T", ngx_time()) - now[0];
    argv[6] = (char *) now[1];
    argvlen[6] = ngx_sprintf(now[1], "%uD", r->zone->remember + 60) - now[1];

    return sync_redis_command(shard, NULL, sync_roster_done, NULL, argc, argv,
                              argvlen)
           == SYNC_OK ? SYNC_OK : SYNC_ERROR;
}


static void
sync_roster_member(u_char *p, const u_char *id)
{
    p = ngx_cpymem(p, id, SYNC_ID_LEN);
    sync_registry_print_id(p, id);
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


/* If it fails Redis has one more that left, as long as that is remembered. */

void
sync_roster_back(sync_client_t *c)
{
    size_t       argvlen[3];
    ngx_uint_t   shard;
    sync_str_t   key, left;
    const char  *argv[3];
    u_char       buf[2][SYNC_ROSTER_KEY], member[SYNC_ROSTER_MEMBER];

    if (sync_redis_shards() == 0 || sync_roster.zone->remember == 0) {
        return;
    }

    shard = sync_roster_key(sync_roster.main, &key, buf[0], c->record->id);

    argv[0] = "DEL";
    argvlen[0] = 3;
    argv[1] = (char *) key.data;
    argvlen[1] = key.len;

    (void) sync_redis_command(shard, NULL, NULL, NULL, 2, argv, argvlen);

    sync_roster_left_key(sync_roster.main, &left, buf[1], 0);
    sync_roster_member(member, c->record->id);

    argv[0] = "ZREM";
    argvlen[0] = 4;
    argv[1] = (char *) left.data;
    argvlen[1] = left.len;
    argv[2] = (char *) member;
    argvlen[2] = SYNC_ROSTER_MEMBER;

    (void) sync_redis_command(shard, NULL, NULL, NULL, 3, argv, argvlen);
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


void
sync_roster_left_key(sync_main_settings_t *main, sync_str_t *key, u_char *buf,
    ngx_uint_t lapse)
{
    key->data = buf;
    key->len = ngx_sprintf(buf, "%V:%s", &main->redis->prefix,
                           lapse ? "lapse" : "left")
               - buf;
}
