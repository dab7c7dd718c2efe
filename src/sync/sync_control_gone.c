
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control_spread.h>
#include <sync_roster.h>


/*
 * Clients that left, as Redis knows them: those of hosts that are no more, or
 * have forgotten them.
 *
 *     shard 0: look, look, ... --> shard 1: look, ... --> put in order
 *
 * Each look is at SYNC_GONE_LOOK of them at most, in the order of their ids,
 * from where the one before ended.  What Redis has of one that came back, or
 * that a host knows as well, gives way.
 */


#define SYNC_GONE_LOOK   "500"          /* clients */
#define SYNC_GONE_BYTES  "262144"       /* of an answer, and one client more */
#define SYNC_GONE_ARGS   11


/*
 * KEYS: of those who left.  ARGV: after which one, how many to look at and to
 * find, bytes, what keys begin with, and what must stand in a client's JSON, a
 * user and a room, or "".  It answers where it ended, or "", and pairs of an id
 * and its JSON.
 */

static const char  sync_gone_script[] =
    "local n, size, out = 0, 0, { '' }\n"
    "local all = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], '+', 'LIMIT', 0,\n"
    "  ARGV[2])\n"
    "for i, m in ipairs(all) do\n"
    "  local v = redis.call('GET', ARGV[5] .. m:sub(17))\n"
    "  if not v then\n"
    "    redis.call('ZREM', KEYS[1], m)\n"
    "  elseif v:find(ARGV[6], 1, true) and v:find(ARGV[7], 1, true) then\n"
    "    n = n + 1\n"
    "    size = size + #v\n"
    "    out[#out + 1] = m:sub(1, 16)\n"
    "    out[#out + 1] = v\n"
    "  end\n"
    "  if n == tonumber(ARGV[3]) or size > tonumber(ARGV[4])\n"
    "    or i == tonumber(ARGV[2])\n"
    "  then\n"
    "    out[1] = m\n"
    "    break\n"
    "  end\n"
    "end\n"
    "return out\n";


typedef struct {
    sync_control_t        *ctl;
    sync_former_filter_t  *filter;
    sync_redis_call_t     *call;        /* NULL: it was answered */
    json_t                *list;
    sync_str_t             user;        /* as in JSON, or "" */
    sync_str_t             room;
    ngx_uint_t             shard;
    ngx_uint_t             found;       /* there */
    ngx_uint_t             limit;
    size_t                 len;         /* of "from" */
    unsigned               begun:1;     /* there */
    unsigned               paged:1;     /* after[] is set */
    unsigned               more:1;
    u_char                 after[SYNC_ID_LEN];
    u_char                 from[1 + SYNC_ROSTER_MEMBER];
} sync_gone_t;


static ngx_int_t sync_gone_text(sync_gone_t *g, const char *key,
    sync_str_t *name, sync_str_t *text);
static void sync_gone_cleanup(void *data);
static ngx_int_t sync_gone_look(sync_gone_t *g);
static void sync_gone_looked(redisReply *reply, sync_redis_error_e error,
    void *data);
static ngx_int_t sync_gone_found(sync_gone_t *g, redisReply *reply);
static ngx_int_t sync_gone_add(sync_gone_t *g, redisReply *id,
    redisReply *text);
static ngx_uint_t sync_gone_wanted(sync_gone_t *g, json_t *client);
static ngx_uint_t sync_gone_is(json_t *v, sync_str_t *s);
static ngx_int_t sync_gone_end(sync_gone_t *g);


ngx_int_t
sync_control_clients_gone(sync_control_t *ctl, sync_former_filter_t *filter)
{
    ngx_int_t            rc;
    sync_str_t           text;
    sync_gone_t         *g;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(ctl->pool, sizeof(sync_gone_t));
    if (cln == NULL) {
        return SYNC_ERROR;
    }

    g = cln->data;
    ngx_memzero(g, sizeof(sync_gone_t));

    cln->handler = sync_gone_cleanup;

    g->ctl = ctl;
    g->list = json_array();

    g->filter = ngx_palloc(ctl->pool, sizeof(sync_former_filter_t));
    if (g->filter == NULL || g->list == NULL) {
        return SYNC_ERROR;
    }

    *g->filter = *filter;

    sync_str_set(&g->user, "");
    sync_str_set(&g->room, "");

    if (sync_control_limit(ctl, 1, &g->limit) != SYNC_OK
        || (filter->by_user
            && sync_gone_text(g, "\"userId\":", &filter->user, &g->user)
               != SYNC_OK)
        || (filter->by_room
            && sync_gone_text(g, "", &filter->room, &g->room) != SYNC_OK))
    {
        return SYNC_ERROR;
    }

    rc = sync_control_string(ctl, "cursor", &text);

    g->paged = (rc == SYNC_OK
                && sync_registry_parse_id(g->after, text.data, text.len)
                   == SYNC_OK);

    return sync_gone_look(g);
}


/* What stands in the JSON of each that is asked for, and maybe of others. */

static ngx_int_t
sync_gone_text(sync_gone_t *g, const char *key, sync_str_t *name,
    sync_str_t *text)
{
    char    *quoted;
    size_t   len;
    json_t  *json;
    u_char  *p;

    json = (name->len || *key == '\0')
           ? json_stringn((char *) name->data, name->len) : json_null();

    quoted = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;

    json_decref(json);

    if (quoted == NULL) {

        /* what is not UTF-8 is null there */

        return SYNC_OK;
    }

    len = ngx_strlen(quoted);

    p = ngx_pnalloc(g->ctl->pool, ngx_strlen(key) + len);

    if (p) {
        text->data = p;
        p = ngx_cpymem(p, key, ngx_strlen(key));
        p = ngx_cpymem(p, quoted, len);
        text->len = p - text->data;
    }

    free(quoted);

    return p ? SYNC_OK : SYNC_ERROR;
}


static void
sync_gone_cleanup(void *data)
{
    sync_gone_t *g = data;

    if (g->call) {
        sync_redis_cancel(g->call);
    }

    json_decref(g->list);
}


/* Returns SYNC_AGAIN, or what the operation returns. */

static ngx_int_t
sync_gone_look(sync_gone_t *g)
{
    u_char      *p;
    sync_str_t   key;
    const char  *argv[SYNC_GONE_ARGS];
    size_t       argvlen[SYNC_GONE_ARGS];
    u_char       buf[SYNC_ROSTER_KEY], prefix[SYNC_ROSTER_KEY];
    u_char       n[NGX_INT_T_LEN];

    if (g->shard == sync_redis_shards()) {
        return sync_gone_end(g);
    }

    if (!g->begun) {
        g->begun = 1;
        g->found = 0;

        /* no text of an id has such a byte */

        p = g->from;
        *p++ = g->paged ? '(' : '-';

        if (g->paged) {
            p = ngx_cpymem(p, g->after, SYNC_ID_LEN);
            *p++ = 0xff;
        }

        g->len = p - g->from;
    }

    sync_roster_left_key(g->ctl->main, &key, buf, 0);

    argv[0] = "EVAL";
    argvlen[0] = 4;
    argv[1] = sync_gone_script;
    argvlen[1] = sizeof(sync_gone_script) - 1;
    argv[2] = "1";
    argvlen[2] = 1;
    argv[3] = (char *) key.data;
    argvlen[3] = key.len;
    argv[4] = (char *) g->from;
    argvlen[4] = g->len;
    argv[5] = SYNC_GONE_LOOK;
    argvlen[5] = sizeof(SYNC_GONE_LOOK) - 1;
    argv[6] = (char *) n;
    argvlen[6] = ngx_sprintf(n, "%ui", g->limit + 1 - g->found) - n;
    argv[7] = SYNC_GONE_BYTES;
    argvlen[7] = sizeof(SYNC_GONE_BYTES) - 1;
    argv[8] = (char *) prefix;
    argvlen[8] = ngx_sprintf(prefix, "%V:c:", &g->ctl->main->redis->prefix)
                 - prefix;
    argv[9] = (char *) g->user.data;
    argvlen[9] = g->user.len;
    argv[10] = (char *) g->room.data;
    argvlen[10] = g->room.len;

    if (sync_redis_command(g->shard, &g->call, sync_gone_looked, g,
                           SYNC_GONE_ARGS, argv, argvlen)
        != SYNC_OK)
    {
        g->call = NULL;
        sync_control_set(g->ctl, g->ctl->answer, "degraded", json_true());

        return sync_gone_end(g);
    }

    return SYNC_AGAIN;
}


static void
sync_gone_looked(redisReply *reply, sync_redis_error_e error, void *data)
{
    sync_gone_t *g = data;

    ngx_int_t  rc;

    g->call = NULL;

    if (error == SYNC_REDIS_OK && reply->type == REDIS_REPLY_ARRAY
        && reply->elements >= 1
        && reply->element[0]->type == REDIS_REPLY_STRING)
    {
        rc = sync_gone_found(g, reply);

        if (rc == SYNC_OK) {
            rc = sync_gone_look(g);
        }

    } else {
        sync_control_set(g->ctl, g->ctl->answer, "degraded", json_true());
        rc = sync_gone_end(g);
    }

    if (rc != SYNC_AGAIN) {
        sync_control_done(g->ctl, rc);
    }
}


static ngx_int_t
sync_gone_found(sync_gone_t *g, redisReply *reply)
{
    size_t       i;
    redisReply  *last;

    for (i = 1; i + 1 < reply->elements; i += 2) {

        if (sync_gone_add(g, reply->element[i], reply->element[i + 1])
            != SYNC_OK)
        {
            return SYNC_ERROR;
        }
    }

    last = reply->element[0];

    if (last->len != SYNC_ROSTER_MEMBER || g->found > g->limit) {
        g->more |= (g->found > g->limit);
        g->begun = 0;
        g->shard++;

        return SYNC_OK;
    }

    g->from[0] = '(';
    ngx_memcpy(g->from + 1, last->str, SYNC_ROSTER_MEMBER);
    g->len = 1 + SYNC_ROSTER_MEMBER;

    return SYNC_OK;
}


static ngx_int_t
sync_gone_add(sync_gone_t *g, redisReply *id, redisReply *text)
{
    json_t              *client;
    sync_record_info_t   info;

    if (id->type != REDIS_REPLY_STRING || id->len != SYNC_ID_LEN
        || text->type != REDIS_REPLY_STRING
        || sync_registry_info(g->ctl->main->zone, (u_char *) id->str, &info)
           == SYNC_OK)
    {
        return SYNC_OK;
    }

    client = json_loadb(text->str, text->len, JSON_ALLOW_NUL, NULL);

    if (client == NULL || !sync_gone_wanted(g, client)) {
        json_decref(client);
        return SYNC_OK;
    }

    /* as lists show clients */

    (void) json_object_del(client, "rooms");
    (void) json_object_del(client, "lastPosition");

    g->found++;

    return (json_array_append_new(g->list, client) == 0) ? SYNC_OK
                                                         : SYNC_ERROR;
}


static ngx_uint_t
sync_gone_wanted(sync_gone_t *g, json_t *client)
{
    size_t   i;
    json_t  *rooms, *user;

    user = json_object_get(client, "userId");

    if (g->filter->by_user && !sync_gone_is(user, &g->filter->user)
        && (g->filter->user.len || json_is_string(user)))
    {
        return 0;
    }

    if (!g->filter->by_room) {
        return 1;
    }

    rooms = json_object_get(client, "rooms");

    for (i = 0; i < json_array_size(rooms); i++) {
        if (sync_gone_is(json_array_get(rooms, i), &g->filter->room)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
sync_gone_is(json_t *v, sync_str_t *s)
{
    return json_is_string(v) && json_string_length(v) == s->len
           && ngx_memcmp(json_string_value(v), s->data, s->len) == 0;
}


static ngx_int_t
sync_gone_end(sync_gone_t *g)
{
    return sync_control_merge(g->ctl, "clients", "clientId", NULL, NULL,
                              g->list, g->more);
}
