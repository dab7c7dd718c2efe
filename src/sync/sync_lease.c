
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_lease.h>
#include <sync_redis.h>


#define SYNC_LEASE_BATCH    256         /* rooms told at once */
#define SYNC_LEASE_ARGS     (4 + 2 * SYNC_LEASE_BATCH)
#define SYNC_LEASE_HOST     16          /* digits of an id */
#define SYNC_LEASE_KEY_MAX  (64 + 3 + SYNC_LEASE_HOST)
#define SYNC_LEASE_ROOM     (SYNC_NAME_MAX + NGX_INT_T_LEN)


/*
 * KEYS: hosts, the host's.  ARGV: its id, ms to live, clients and name, what
 * its key begins with, and whether it begins anew.  It answers whether what
 * was told is lost, and pairs of ids and names.
 */

static const char  sync_lease_script[] =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
    "if ARGV[5] == '1' then redis.call('DEL', KEYS[2]) end\n"
    "local out = { 1 - redis.call('EXISTS', KEYS[2]) - ARGV[5] }\n"
    "redis.call('HSET', KEYS[2], '', ARGV[3])\n"
    "redis.call('PEXPIRE', KEYS[2], ARGV[2])\n"
    "redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])\n"
    "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)\n"
    "for _, h in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do\n"
    "  local info = redis.call('HGET', ARGV[4] .. h, '')\n"
    "  if info then out[#out + 1] = h out[#out + 1] = info end\n"
    "end\n"
    "return out\n";


/* KEYS: the host's.  ARGV: pairs of a room and a number. */

static const char  sync_lease_tell_script[] =
    "if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end\n"
    "for i = 1, #ARGV, 2 do\n"
    "  if ARGV[i + 1] == '0' then redis.call('HDEL', KEYS[1], ARGV[i])\n"
    "  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end\n"
    "end\n"
    "return 1\n";


/* KEYS: hosts.  ARGV: the host's id, what keys begin with, a room. */

static const char  sync_lease_count_script[] =
    "local n = 0\n"
    "for _, h in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do\n"
    "  local c = h ~= ARGV[1] and redis.call('HGET', ARGV[2] .. h, ARGV[3])\n"
    "  if c then n = n + (tonumber(c:match('^%d+')) or 0) end\n"
    "end\n"
    "return n\n";


typedef struct {
    ngx_uint_t             shard;
    ngx_uint_t             n;           /* rooms */
    size_t                 len;
    const char            *argv[SYNC_LEASE_ARGS];
    size_t                 argvlen[SYNC_LEASE_ARGS];
    u_char                 own[SYNC_LEASE_KEY_MAX];
    u_char                 buf[SYNC_LEASE_BATCH * SYNC_LEASE_ROOM];
} sync_lease_batch_t;


/* One question to Redis, and who waits for its answer. */

typedef struct {
    ngx_queue_t            counts;
    ngx_uint_t             shard;
    size_t                 len;         /* of the room, which stands behind */
} sync_lease_ask_t;


struct sync_lease_count_s {
    ngx_queue_t            queue;
    sync_lease_counted_pt  handler;     /* NULL: nobody asks any more */
    void                  *data;
};


static u_char *sync_lease_prefix(u_char *p);
static void sync_lease_arg(ngx_uint_t i, const char **argv, size_t *argvlen,
    const void *data, size_t len);
static void sync_lease_beaten(redisReply *reply, sync_redis_error_e error,
    void *data);
static void sync_lease_learn(redisReply *reply);
static ngx_uint_t sync_lease_host(sync_host_t *host, redisReply *id,
    redisReply *info);
static void sync_lease_told(redisReply *reply, sync_redis_error_e error,
    void *data);
static sync_lease_ask_t *sync_lease_ask(ngx_uint_t shard, ngx_str_t *key);
static void sync_lease_counted(redisReply *reply, sync_redis_error_e error,
    void *data);


static sync_main_settings_t  *sync_lease_main;

static uint32_t  sync_lease_epochs[SYNC_REDIS_SHARDS_MAX];

static ngx_uint_t  sync_lease_anew[SYNC_REDIS_SHARDS_MAX];

static sync_lease_batch_t  sync_lease_batch;

/* of each shard the last one, if it is not answered */

static sync_lease_ask_t  *sync_lease_asked[SYNC_REDIS_SHARDS_MAX];


void
sync_lease_init_worker(sync_main_settings_t *main)
{
    ngx_uint_t  i;

    sync_lease_main = main;
    sync_lease_batch.n = 0;

    for (i = 0; i < SYNC_REDIS_SHARDS_MAX; i++) {
        sync_lease_epochs[i] = 1;
        sync_lease_asked[i] = NULL;
    }
}


uint32_t
sync_lease_epoch(ngx_uint_t shard)
{
    return sync_lease_epochs[shard];
}


static u_char *
sync_lease_prefix(u_char *p)
{
    return ngx_sprintf(p, "%V:m:", &sync_lease_main->redis->prefix);
}


static void
sync_lease_arg(ngx_uint_t i, const char **argv, size_t *argvlen,
    const void *data, size_t len)
{
    argv[i] = data;
    argvlen[i] = len;
}


void
sync_lease_beat(ngx_uint_t shard)
{
    u_char       *p, *last;
    const char   *argv[10];
    sync_zone_t  *z;
    size_t        argvlen[10];
    u_char        hosts[SYNC_LEASE_KEY_MAX], own[SYNC_LEASE_KEY_MAX];
    u_char        life[NGX_INT_T_LEN];
    u_char        info[NGX_INT_T_LEN + 1 + SYNC_HOST_NAME];

    z = sync_lease_main->zone;

    sync_lease_arg(0, argv, argvlen, "EVAL", 4);
    sync_lease_arg(1, argv, argvlen, sync_lease_script,
                   sizeof(sync_lease_script) - 1);
    sync_lease_arg(2, argv, argvlen, "2", 1);

    p = ngx_sprintf(hosts, "%V:hosts", &sync_lease_main->redis->prefix);
    sync_lease_arg(3, argv, argvlen, hosts, p - hosts);

    p = sync_lease_prefix(own);
    last = ngx_sprintf(p, "%016xL", z->sh->id);
    sync_lease_arg(4, argv, argvlen, own, last - own);
    sync_lease_arg(5, argv, argvlen, p, last - p);
    sync_lease_arg(8, argv, argvlen, own, p - own);

    p = ngx_sprintf(life, "%d", SYNC_LEASE_LIFE);
    sync_lease_arg(6, argv, argvlen, life, p - life);

    p = ngx_snprintf(info, sizeof(info), "%ui %V", z->sh->nclients,
                     &ngx_cycle->hostname);
    sync_lease_arg(7, argv, argvlen, info, p - info);

    sync_lease_arg(9, argv, argvlen, sync_lease_anew[shard] ? "1" : "0", 1);

    if (sync_redis_command(shard, NULL, sync_lease_beaten, (void *) shard, 10,
                           argv, argvlen)
        != SYNC_OK)
    {
        return;
    }

    if (sync_lease_anew[shard]) {

        /* all is told behind it */

        sync_lease_anew[shard] = 0;
        sync_lease_epochs[shard]++;
    }
}


static void
sync_lease_beaten(redisReply *reply, sync_redis_error_e error, void *data)
{
    ngx_uint_t  shard;

    shard = (ngx_uint_t) data;

    if (error != SYNC_REDIS_OK) {
        sync_lease_anew[shard] = 1;
        return;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1
        || reply->element[0]->type != REDIS_REPLY_INTEGER)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "redis did not take the lease of this host: %s",
                      reply->type == REDIS_REPLY_ERROR ? reply->str
                                                       : "odd answer");
        return;
    }

    if (reply->element[0]->integer) {

        /* it has lapsed, or is the first */

        sync_lease_epochs[shard]++;
    }

    if (shard == 0) {
        sync_lease_learn(reply);
    }
}


/* Those of the first shard are for all to see. */

static void
sync_lease_learn(redisReply *reply)
{
    size_t              i;
    ngx_uint_t          n;
    sync_zone_t        *z;
    static sync_host_t  hosts[SYNC_HOSTS_MAX];

    n = 0;
    z = sync_lease_main->zone;

    for (i = 1; i + 1 < reply->elements && n < SYNC_HOSTS_MAX; i += 2) {
        n += sync_lease_host(&hosts[n], reply->element[i],
                             reply->element[i + 1]);
    }

    sync_zone_lock(z);

    ngx_memcpy(z->sh->hosts, hosts, n * sizeof(sync_host_t));
    z->sh->nhosts = n;

    sync_zone_unlock(z);
}


static ngx_uint_t
sync_lease_host(sync_host_t *host, redisReply *id, redisReply *info)
{
    u_char  *p, *last;

    if (id->type != REDIS_REPLY_STRING || id->len != SYNC_LEASE_HOST
        || info->type != REDIS_REPLY_STRING)
    {
        return 0;
    }

    ngx_memzero(host, sizeof(sync_host_t));

    host->id = (uint64_t) ngx_hextoi((u_char *) id->str, 8) << 32
               | (uint32_t) ngx_hextoi((u_char *) id->str + 8, 8);

    p = (u_char *) info->str;
    last = ngx_strlchr(p, p + info->len, ' ');

    if (last == NULL) {
        return 0;
    }

    host->nclients = (uint32_t) ngx_atoi(p, last - p);

    p = last + 1;
    host->len = (uint8_t) ngx_min((u_char *) info->str + info->len - p,
                                  SYNC_HOST_NAME);
    ngx_memcpy(host->name, p, host->len);

    return 1;
}


void
sync_lease_up(ngx_uint_t shard)
{
    sync_lease_anew[shard] = 1;
}


void
sync_lease_down(ngx_uint_t shard)
{
    sync_lease_epochs[shard]++;

    if (shard == 0) {
        sync_lease_main->zone->sh->nhosts = 0;
    }
}


ngx_uint_t
sync_lease_hosts(sync_zone_t *z, sync_host_t *hosts)
{
    ngx_uint_t  n;

    sync_zone_lock(z);

    n = ngx_min(z->sh->nhosts, SYNC_HOSTS_MAX);
    ngx_memcpy(hosts, z->sh->hosts, n * sizeof(sync_host_t));

    sync_zone_unlock(z);

    return n;
}


void
sync_lease_tell(ngx_uint_t shard, ngx_str_t *key, ngx_uint_t n)
{
    u_char              *p;
    ngx_uint_t           i;
    sync_lease_batch_t  *b;

    b = &sync_lease_batch;

    if (b->n && (b->n == SYNC_LEASE_BATCH || b->shard != shard)) {
        sync_lease_flush();
    }

    if (b->n == 0) {
        b->shard = shard;
        b->len = 0;
    }

    i = 4 + 2 * b->n++;
    p = b->buf + b->len;

    ngx_memcpy(p, key->data, key->len);
    sync_lease_arg(i, b->argv, b->argvlen, p, key->len);

    p += key->len;
    b->len = ngx_sprintf(p, "%ui", n) - b->buf;
    sync_lease_arg(i + 1, b->argv, b->argvlen, p, b->buf + b->len - p);
}


void
sync_lease_flush(void)
{
    u_char              *p;
    sync_lease_batch_t  *b;

    b = &sync_lease_batch;

    if (b->n == 0) {
        return;
    }

    sync_lease_arg(0, b->argv, b->argvlen, "EVAL", 4);
    sync_lease_arg(1, b->argv, b->argvlen, sync_lease_tell_script,
                   sizeof(sync_lease_tell_script) - 1);
    sync_lease_arg(2, b->argv, b->argvlen, "1", 1);

    p = ngx_sprintf(sync_lease_prefix(b->own), "%016xL",
                    sync_lease_main->zone->sh->id);
    sync_lease_arg(3, b->argv, b->argvlen, b->own, p - b->own);

    if (sync_redis_command(b->shard, NULL, sync_lease_told,
                           (void *) b->shard, 4 + 2 * b->n, b->argv,
                           b->argvlen)
        != SYNC_OK)
    {
        sync_lease_epochs[b->shard]++;
    }

    b->n = 0;
}


static void
sync_lease_told(redisReply *reply, sync_redis_error_e error, void *data)
{
    if (error != SYNC_REDIS_OK || reply->type != REDIS_REPLY_INTEGER
        || reply->integer == 0)
    {
        sync_lease_epochs[(ngx_uint_t) data]++;
    }
}


/*
 * Many messages to one room are counted together: while Redis has not said
 * how many there are, another one asks by the same question.
 */

ngx_int_t
sync_lease_count(ngx_uint_t shard, ngx_str_t *key,
    sync_lease_counted_pt handler, void *data, sync_lease_count_t **count)
{
    sync_lease_ask_t    *ask;
    sync_lease_count_t  *lc;

    if (sync_lease_main->zone->sh->nhosts < 2) {
        return SYNC_DECLINED;
    }

    lc = ngx_alloc(sizeof(sync_lease_count_t), ngx_cycle->log);
    if (lc == NULL) {
        return SYNC_DECLINED;
    }

    lc->handler = handler;
    lc->data = data;

    ask = sync_lease_asked[shard];

    if (ask == NULL || ask->len != key->len
        || ngx_memcmp((u_char *) ask + sizeof(sync_lease_ask_t), key->data,
                      key->len)
           != 0)
    {
        ask = sync_lease_ask(shard, key);

        if (ask == NULL) {
            ngx_free(lc);
            return SYNC_DECLINED;
        }
    }

    ngx_queue_insert_tail(&ask->counts, &lc->queue);

    *count = lc;

    return SYNC_OK;
}


static sync_lease_ask_t *
sync_lease_ask(ngx_uint_t shard, ngx_str_t *key)
{
    u_char            *p;
    const char        *argv[7];
    sync_lease_ask_t  *ask;
    size_t             argvlen[7];
    u_char             hosts[SYNC_LEASE_KEY_MAX], id[SYNC_LEASE_HOST];
    u_char             prefix[SYNC_LEASE_KEY_MAX];

    ask = ngx_alloc(sizeof(sync_lease_ask_t) + key->len, ngx_cycle->log);
    if (ask == NULL) {
        return NULL;
    }

    ngx_queue_init(&ask->counts);

    ask->shard = shard;
    ask->len = key->len;
    ngx_memcpy((u_char *) ask + sizeof(sync_lease_ask_t), key->data,
               key->len);

    sync_lease_arg(0, argv, argvlen, "EVAL", 4);
    sync_lease_arg(1, argv, argvlen, sync_lease_count_script,
                   sizeof(sync_lease_count_script) - 1);
    sync_lease_arg(2, argv, argvlen, "1", 1);

    p = ngx_sprintf(hosts, "%V:hosts", &sync_lease_main->redis->prefix);
    sync_lease_arg(3, argv, argvlen, hosts, p - hosts);

    p = ngx_sprintf(id, "%016xL", sync_lease_main->zone->sh->id);
    sync_lease_arg(4, argv, argvlen, id, p - id);

    p = sync_lease_prefix(prefix);
    sync_lease_arg(5, argv, argvlen, prefix, p - prefix);
    sync_lease_arg(6, argv, argvlen, key->data, key->len);

    if (sync_redis_command(shard, NULL, sync_lease_counted, ask, 7, argv,
                           argvlen)
        != SYNC_OK)
    {
        ngx_free(ask);
        return NULL;
    }

    sync_lease_asked[shard] = ask;

    return ask;
}


static void
sync_lease_counted(redisReply *reply, sync_redis_error_e error, void *data)
{
    sync_lease_ask_t *ask = data;

    ngx_uint_t           n;
    ngx_queue_t         *q;
    sync_lease_count_t  *lc;

    n = (error == SYNC_REDIS_OK && reply->type == REDIS_REPLY_INTEGER)
        ? reply->integer : 0;

    if (sync_lease_asked[ask->shard] == ask) {
        sync_lease_asked[ask->shard] = NULL;
    }

    while (!ngx_queue_empty(&ask->counts)) {
        q = ngx_queue_head(&ask->counts);
        lc = ngx_queue_data(q, sync_lease_count_t, queue);

        ngx_queue_remove(q);

        if (lc->handler) {
            lc->handler(lc->data, n);
        }

        ngx_free(lc);
    }

    ngx_free(ask);
}


void
sync_lease_cancel(sync_lease_count_t *count)
{
    count->handler = NULL;
}
