
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_sha1.h>
#include <sync_append.h>
#include <sync_random.h>
#include <sync_topic.h>


#define SYNC_APPEND_SHA1     20
#define SYNC_APPEND_ARGS     14
#define SYNC_APPEND_TTL_MIN  60         /* s */


/*
 * KEYS: stream, its birth, id.  ARGV: channel, packet, nonce, the halves of an
 * LSN or "", messages kept, seconds to keep them, a nonce for its birth.
 *
 * A number of Lua has 53 bits, so an LSN is two of 32.  What it answers is
 * "0", "1" (stale) or "2" (known), and a position.
 */

static const char  sync_append_script[] =
    "local function hex(s, i) return tonumber(s:sub(i, i + 7), 16) end\n"
    "if KEYS[3] then\n"
    "  local was = redis.call('GET', KEYS[3])\n"
    "  if was then return '2' .. was end\n"
    "end\n"
    "local top\n"
    "local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]\n"
    "if last then\n"
    "  top = last[2][2]:sub(1, 24)\n"
    "else\n"
    "  local birth = redis.call('GET', KEYS[2]) or ARGV[8]\n"
    "  top = '0000000000000000' .. birth\n"
    "  redis.call('DEL', KEYS[2])\n"
    "end\n"
    "local hi, lo = hex(top, 1), hex(top, 9)\n"
    "if ARGV[4] ~= '' then\n"
    "  local h, l = tonumber(ARGV[4], 16), tonumber(ARGV[5], 16)\n"
    "  if h < hi or (h == hi and l <= lo) then return '1' .. top end\n"
    "  hi, lo = h, l\n"
    "else\n"
    "  lo = lo + 1\n"
    "  if lo == 4294967296 then hi, lo = hi + 1, 0 end\n"
    "end\n"
    "local pos = string.format('%08x%08x', hi, lo) .. ARGV[3]\n"
    "local m = pos .. top .. ARGV[2]\n"
    "redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[6],\n"
    "  string.format('%.0f-%.0f', hi, lo), 'm', m)\n"
    "redis.call('EXPIRE', KEYS[1], ARGV[7])\n"
    "if KEYS[3] then redis.call('SET', KEYS[3], pos, 'EX', ARGV[7]) end\n"
    "redis.call('PUBLISH', ARGV[1], m)\n"
    "return '0' .. pos\n";


/*
 * KEYS: stream, its birth.  ARGV: a nonce, seconds to keep it.  It answers ""
 * if the stream is not empty.
 */

static const char  sync_append_birth_script[] =
    "if redis.call('EXISTS', KEYS[1]) == 1 then return '' end\n"
    "local birth = redis.call('GET', KEYS[2]) or ARGV[1]\n"
    "redis.call('SET', KEYS[2], birth, 'EX', ARGV[2])\n"
    "return birth\n";


typedef struct {
    sync_append_pt           handler;
    void                    *data;
    ngx_uint_t               shard;
    ngx_uint_t               argc;
    const char              *argv[SYNC_APPEND_ARGS];
    size_t                   argvlen[SYNC_APPEND_ARGS];
} sync_append_t;


static u_char *sync_append_arg(sync_append_t *a, u_char *p, u_char *last);
static void sync_append_answered(redisReply *reply, sync_redis_error_e error,
    void *data);
static void sync_append_done(sync_append_t *a, ngx_int_t rc,
    sync_position_t *pos, ngx_uint_t repeated);


static sync_main_settings_t  *sync_append_main;

static u_char  sync_append_sha1[2 * SYNC_APPEND_SHA1];


void
sync_append_init_worker(sync_main_settings_t *main)
{
    ngx_sha1_t  sha1;
    u_char      digest[SYNC_APPEND_SHA1];

    sync_append_main = main;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, sync_append_script,
                    sizeof(sync_append_script) - 1);
    ngx_sha1_final(digest, &sha1);

    (void) ngx_hex_dump(sync_append_sha1, digest, SYNC_APPEND_SHA1);
}


/* If it fails, the first append has it tried again. */

void
sync_append_connected(ngx_uint_t shard)
{
    const char  *argv[3];
    size_t       argvlen[3];

    argv[0] = "SCRIPT";
    argvlen[0] = 6;
    argv[1] = "LOAD";
    argvlen[1] = 4;
    argv[2] = sync_append_script;
    argvlen[2] = sizeof(sync_append_script) - 1;

    (void) sync_redis_command(shard, NULL, NULL, NULL, 3, argv, argvlen);
}


void
sync_append_key(sync_str_t *room, sync_str_t *key, u_char *buf)
{
    u_char  *p;

    p = ngx_sprintf(buf, "%V:s:", &sync_append_main->redis->prefix);
    p = ngx_cpymem(p, room->data, room->len);

    key->data = buf;
    key->len = p - buf;
}


void
sync_append_birth_key(sync_str_t *room, sync_str_t *key, u_char *buf)
{
    u_char  *p;

    p = ngx_sprintf(buf, "%V:b:", &sync_append_main->redis->prefix);
    p = ngx_cpymem(p, room->data, room->len);

    key->data = buf;
    key->len = p - buf;
}


ngx_int_t
sync_append_birth(ngx_uint_t shard, sync_str_t *room, sync_room_rule_t *rule,
    sync_redis_call_t **call, sync_redis_reply_pt handler, void *data)
{
    u_char      *p;
    uint32_t     nonce;
    sync_str_t   stream, birth;
    const char  *argv[7];
    size_t       argvlen[7];
    u_char       buf[2][SYNC_APPEND_KEY_MAX], text[8], ttl[NGX_INT_T_LEN];

    sync_append_key(room, &stream, buf[0]);
    sync_append_birth_key(room, &birth, buf[1]);

    sync_random((u_char *) &nonce, sizeof(nonce));
    (void) ngx_sprintf(text, "%08xD", nonce);

    p = ngx_sprintf(ttl, "%uD", ngx_max(rule->ttl, SYNC_APPEND_TTL_MIN));

    argv[0] = "EVAL";
    argvlen[0] = 4;
    argv[1] = sync_append_birth_script;
    argvlen[1] = sizeof(sync_append_birth_script) - 1;
    argv[2] = "2";
    argvlen[2] = 1;
    argv[3] = (char *) stream.data;
    argvlen[3] = stream.len;
    argv[4] = (char *) birth.data;
    argvlen[4] = birth.len;
    argv[5] = (char *) text;
    argvlen[5] = 8;
    argv[6] = (char *) ttl;
    argvlen[6] = p - ttl;

    return sync_redis_command(shard, call, handler, data, 7, argv, argvlen);
}


ngx_int_t
sync_append_parse_birth(uint32_t *nonce, redisReply *reply)
{
    ngx_int_t  n;

    if (reply->type != REDIS_REPLY_STRING) {
        return SYNC_ERROR;
    }

    if (reply->len == 0) {
        return SYNC_DECLINED;
    }

    n = (reply->len == 8) ? ngx_hextoi((u_char *) reply->str, 8) : NGX_ERROR;

    if (n == NGX_ERROR) {
        return SYNC_ERROR;
    }

    *nonce = (uint32_t) n;

    return SYNC_OK;
}


ngx_int_t
sync_append(sync_str_t *room, sync_room_rule_t *rule, sync_message_t *m,
    sync_packet_t *packet, sync_str_t *id, sync_append_pt handler,
    void *data)
{
    size_t          size;
    u_char         *p, *start;
    uint32_t        birth;
    ngx_int_t       rc;
    sync_str_t      key, channel;
    sync_append_t  *a;
    u_char          buf[SYNC_APPEND_KEY_MAX];

    /* names and numbers, an id, and the packet */

    size = 4 * SYNC_APPEND_KEY_MAX + id->len + 128 + sync_packet_size(packet);

    a = ngx_alloc(sizeof(sync_append_t) + size, ngx_cycle->log);
    if (a == NULL) {
        return SYNC_BUSY;
    }

    a->handler = handler;
    a->data = data;
    a->shard = sync_redis_shard(room);
    a->argc = 2;

    p = (u_char *) a + sizeof(sync_append_t);

    start = p;
    *p++ = id->len ? '3' : '2';
    p = sync_append_arg(a, start, p);

    sync_append_key(room, &key, buf);

    start = p;
    p = ngx_cpymem(p, key.data, key.len);
    p = sync_append_arg(a, start, p);

    sync_append_birth_key(room, &key, buf);

    start = p;
    p = ngx_cpymem(p, key.data, key.len);
    p = sync_append_arg(a, start, p);

    if (id->len) {
        start = p;
        p = ngx_sprintf(p, "%V:i:", &sync_append_main->redis->prefix);
        p = ngx_cpymem(p, room->data, room->len);
        *p++ = ':';
        p = ngx_cpymem(p, id->data, id->len);
        p = sync_append_arg(a, start, p);
    }

    sync_topic_channel(room, &channel, buf);

    start = p;
    p = ngx_cpymem(p, channel.data, channel.len);
    p = sync_append_arg(a, start, p);

    start = p;
    p = sync_packet_write(p, packet);
    p = sync_append_arg(a, start, p);

    start = p;
    p = ngx_sprintf(p, "%08xD", m->nonce);
    p = sync_append_arg(a, start, p);

    start = p;

    if (m->lsn) {
        p = ngx_sprintf(p, "%08xD", (uint32_t) (m->lsn >> 32));
    }

    p = sync_append_arg(a, start, p);

    start = p;
    p = ngx_sprintf(p, "%08xD", (uint32_t) m->lsn);
    p = sync_append_arg(a, start, p);

    start = p;
    p = ngx_sprintf(p, "%uD", rule->history);
    p = sync_append_arg(a, start, p);

    start = p;
    p = ngx_sprintf(p, "%uD", ngx_max(rule->ttl, SYNC_APPEND_TTL_MIN));
    p = sync_append_arg(a, start, p);

    sync_random((u_char *) &birth, sizeof(birth));

    start = p;
    p = ngx_sprintf(p, "%08xD", birth);
    (void) sync_append_arg(a, start, p);

    a->argv[0] = "EVALSHA";
    a->argvlen[0] = 7;
    a->argv[1] = (char *) sync_append_sha1;
    a->argvlen[1] = 2 * SYNC_APPEND_SHA1;

    rc = sync_redis_command(a->shard, NULL, sync_append_answered, a, a->argc,
                            a->argv, a->argvlen);

    if (rc != SYNC_OK) {
        ngx_free(a);
        return SYNC_BUSY;
    }

    return SYNC_OK;
}


static u_char *
sync_append_arg(sync_append_t *a, u_char *p, u_char *last)
{
    a->argv[a->argc] = (char *) p;
    a->argvlen[a->argc++] = last - p;

    return last;
}


static void
sync_append_answered(redisReply *reply, sync_redis_error_e error, void *data)
{
    sync_append_t *a = data;

    sync_position_t  pos;

    if (error != SYNC_REDIS_OK) {
        sync_append_done(a, SYNC_BUSY, NULL, 0);
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR
        && ngx_strncmp(reply->str, "NOSCRIPT", 8) == 0)
    {
        /*
         * Sent again it would come behind what was sent after it, which may
         * have been done: it is refused, and what follows goes on.
         */

        sync_append_connected(a->shard);
        sync_append_done(a, SYNC_BUSY, NULL, 0);
        return;
    }

    if (reply->type != REDIS_REPLY_STRING || reply->len < 1
        || sync_packet_parse_position(&pos, (u_char *) reply->str + 1,
                                      reply->len - 1)
           != SYNC_OK)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "redis did not append a message: %s",
                      reply->type == REDIS_REPLY_ERROR ? reply->str
                                                       : "odd answer");

        sync_append_done(a, SYNC_BUSY, NULL, 0);
        return;
    }

    sync_append_done(a, reply->str[0] == '1' ? SYNC_ERROR : SYNC_OK, &pos,
                     reply->str[0] == '2');
}


static void
sync_append_done(sync_append_t *a, ngx_int_t rc, sync_position_t *pos,
    ngx_uint_t repeated)
{
    a->handler(rc, pos, repeated, a->data);

    ngx_free(a);
}
