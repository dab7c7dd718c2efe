
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_session_call.h>
#include <sync_session_change.h>
#include <sync_redis.h>


/*
 * A call is what is done with one token: its commands go out together, or
 * one after another, and the last answer ends it.  It goes on when whoever
 * asked is gone.
 */


#define SYNC_SESSION_ARGS  8


typedef struct sync_session_call_s  sync_session_call_t;

typedef void (*sync_session_answer_pt)(sync_session_call_t *call,
    redisReply *reply);


struct sync_session_call_s {
    ngx_pool_t              *pool;
    sync_session_conf_t     *conf;
    sync_session_op_t       *op;        /* NULL: nobody waits */
    sync_session_answer_pt   answer;    /* to the last command */
    sync_str_t               token;
    sync_str_t               key;
    sync_str_t               value;     /* what was read */
    sync_session_data_t      data;      /* what is written */
    const char              *wrong;     /* with what should be one */
    uint32_t                 stamp;
    ngx_msec_t               ttl;       /* ms, as it is to live */
    ngx_msec_t               left;      /* ms, as it was read; 0: no end */
    ngx_uint_t               commands;  /* that are not answered */
    ngx_uint_t               tries;
    unsigned                 found:1;
    unsigned                 slide:1;
    unsigned                 failed:1;
    unsigned                 cut:1;     /* no more commands follow */
};


static sync_session_call_t *sync_session_call_create(sync_session_conf_t *conf,
    sync_session_op_t *op, sync_str_t *token);
static ngx_int_t sync_session_call_start(sync_session_call_t *call,
    ngx_int_t rc);
static void sync_session_call_done(sync_session_call_t *call, ngx_int_t rc);
static void sync_session_call_destroy(sync_session_call_t *call);
static ngx_int_t sync_session_call_send(sync_session_call_t *call,
    sync_redis_reply_pt handler, ngx_uint_t n, ...);
static ngx_int_t sync_session_call_get(sync_session_call_t *call);
static void sync_session_call_got(redisReply *reply,
    sync_redis_error_e error, void *data);
static void sync_session_call_life(redisReply *reply,
    sync_redis_error_e error, void *data);
static void sync_session_call_slide(sync_session_call_t *call);
static void sync_session_call_lost(sync_session_call_t *call);
static ngx_int_t sync_session_call_store(sync_session_call_t *call);
static void sync_session_call_is(sync_session_call_t *call,
    redisReply *reply);
static void sync_session_call_edits(sync_session_call_t *call,
    redisReply *reply);
static void sync_session_call_edited(redisReply *reply,
    sync_redis_error_e error, void *data);
static ngx_int_t sync_session_call_written(sync_session_call_t *call,
    sync_session_data_t *data);
static ngx_int_t sync_session_call_keep(sync_session_call_t *call);
static void sync_session_call_saved(redisReply *reply,
    sync_redis_error_e error, void *data);
static void sync_session_call_deleted(redisReply *reply,
    sync_redis_error_e error, void *data);
static void sync_session_call_listed(redisReply *reply,
    sync_redis_error_e error, void *data);
static void sync_session_call_users(sync_session_call_t *call,
    const char *command, sync_str_t *user);
static void sync_session_call_key(sync_str_t *key, u_char *buf,
    sync_str_t *parts, sync_str_t *name);


/* writes a session if it still is what it was */

static const char  sync_session_call_script[] =
    "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end "
    "redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) return 1";


static sync_main_settings_t   *sync_session_call_main;
static sync_session_again_pt   sync_session_call_again;


void
sync_session_call_init_worker(sync_main_settings_t *main,
    sync_session_again_pt again)
{
    sync_session_call_main = main;
    sync_session_call_again = again;
}


static sync_session_call_t *
sync_session_call_create(sync_session_conf_t *conf, sync_session_op_t *op,
    sync_str_t *token)
{
    u_char               *p;
    ngx_pool_t           *pool;
    sync_session_call_t  *call;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    call = ngx_pcalloc(pool, sizeof(sync_session_call_t));
    if (call == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    p = ngx_pnalloc(pool, 2 * token->len + conf->key[0].len
                          + conf->key[1].len);
    if (p == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    call->pool = pool;
    call->conf = conf;
    call->op = op;
    call->ttl = (ngx_msec_t) conf->ttl * 1000;

    call->token.data = p;
    call->token.len = token->len;
    p = ngx_cpymem(p, token->data, token->len);

    sync_session_call_key(&call->key, p, conf->key, token);

    return call;
}


static void
sync_session_call_key(sync_str_t *key, u_char *buf, sync_str_t *parts,
    sync_str_t *name)
{
    u_char  *p;

    p = ngx_cpymem(buf, parts[0].data, parts[0].len);
    p = ngx_cpymem(p, name->data, name->len);
    p = ngx_cpymem(p, parts[1].data, parts[1].len);

    key->data = buf;
    key->len = p - buf;
}


/* Returns SYNC_AGAIN if the first commands are on their way. */

static ngx_int_t
sync_session_call_start(sync_session_call_t *call, ngx_int_t rc)
{
    if (rc == SYNC_OK) {

        if (call->op) {
            call->op->call = call;
        }

        return SYNC_AGAIN;
    }

    if (call->commands) {

        /* one is on its way */

        call->op = NULL;
        call->cut = 1;

    } else {
        sync_session_call_destroy(call);
    }

    return rc == SYNC_DECLINED ? SYNC_BUSY : rc;
}


/* The call is gone. */

static void
sync_session_call_done(sync_session_call_t *call, ngx_int_t rc)
{
    sync_session_op_t  *op;

    op = call->op;

    sync_session_call_destroy(call);

    if (op) {
        op->call = NULL;
        op->done(op, rc);
    }
}


static void
sync_session_call_destroy(sync_session_call_t *call)
{
    ngx_destroy_pool(call->pool);
}


void
sync_session_call_cancel(sync_session_op_t *op)
{
    sync_session_call_t  *call;

    call = op->call;

    call->op = NULL;
    op->call = NULL;
}


/* Arguments are n pointers to sync_str_t. */

static ngx_int_t
sync_session_call_send(sync_session_call_t *call,
    sync_redis_reply_pt handler, ngx_uint_t n, ...)
{
    va_list      args;
    ngx_int_t    rc;
    ngx_uint_t   i;
    sync_str_t  *s;
    size_t       lens[SYNC_SESSION_ARGS];
    const char  *argv[SYNC_SESSION_ARGS];

    va_start(args, n);

    for (i = 0; i < n; i++) {
        s = va_arg(args, sync_str_t *);
        argv[i] = (const char *) s->data;
        lens[i] = s->len;
    }

    va_end(args);

    rc = sync_redis_command(0, NULL, handler, call, n, argv, lens);

    if (rc == SYNC_OK && handler) {
        call->commands++;
    }

    return rc;
}


/* The value, and then how long it lives. */

static ngx_int_t
sync_session_call_get(sync_session_call_t *call)
{
    ngx_int_t  rc;

    static sync_str_t  get = sync_string("GET");
    static sync_str_t  pttl = sync_string("PTTL");

    sync_zone_count(sync_session_call_main->zone, SYNC_COUNT_SESSION_READS,
                    1);

    rc = sync_session_call_send(call, sync_session_call_got, 2, &get,
                                 &call->key);
    if (rc != SYNC_OK) {
        return rc;
    }

    return sync_session_call_send(call, sync_session_call_life, 2, &pttl,
                                  &call->key);
}


static void
sync_session_call_got(redisReply *reply, sync_redis_error_e error,
    void *data)
{
    sync_session_call_t  *call = data;

    call->commands--;

    if (reply && reply->type == REDIS_REPLY_STRING) {
        call->value.data = ngx_pnalloc(call->pool, reply->len + 1);

        if (call->value.data) {
            call->value.len = reply->len;
            ngx_memcpy(call->value.data, reply->str, reply->len);
            call->found = 1;

        } else {
            call->failed = 1;
        }

    } else if (reply == NULL || reply->type != REDIS_REPLY_NIL) {

        /* of another type, no session; an error of the link, unknown */

        if (reply && reply->type == REDIS_REPLY_ERROR
            && ngx_strncmp(reply->str, "WRONGTYPE", 9) == 0)
        {
            call->wrong = "is not a string";

        } else {
            call->failed = 1;
        }
    }

    if (call->cut) {
        sync_session_call_lost(call);
        sync_session_call_done(call, SYNC_BUSY);
    }
}


static void
sync_session_call_life(redisReply *reply, sync_redis_error_e error,
    void *data)
{
    sync_session_call_t  *call = data;

    call->commands--;

    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
        call->failed = 1;

    } else {

        /* -1: it does not end; -2: it just did */

        call->left = reply->integer > 0 ? (ngx_msec_t) reply->integer : 0;

        if (reply->integer == -2 || reply->integer == 0) {
            call->found = 0;
        }
    }

    call->answer(call, reply);
}


/* What was read is what the zone has to know. */

static void
sync_session_call_is(sync_session_call_t *call, redisReply *reply)
{
    ngx_int_t  rc;

    if (call->failed) {
        sync_session_call_lost(call);
        sync_session_call_done(call, SYNC_BUSY);
        return;
    }

    rc = sync_session_call_store(call);

    if (rc == SYNC_AGAIN) {

        /* it has changed since */

        call->stamp = sync_session_store_stamp(sync_session_call_main->zone,
                                               call->conf->realm,
                                               &call->token);
        call->found = 0;
        call->wrong = NULL;

        if (++call->tries < SYNC_SESSION_TRIES && call->stamp
            && sync_session_call_get(call) == SYNC_OK)
        {
            return;
        }

        if (call->commands) {
            call->cut = 1;
            return;
        }

        rc = SYNC_BUSY;
    }

    if (rc == SYNC_BUSY || rc == SYNC_ERROR) {
        sync_session_call_lost(call);
    }

    if (rc == SYNC_OK && call->slide && call->found) {
        sync_session_call_slide(call);
    }

    sync_session_call_done(call, rc);
}


/*
 * Puts off the end, unless that was done just before: it is a change of the
 * key, that is heard of and read again.
 */

static void
sync_session_call_slide(sync_session_call_t *call)
{
    sync_str_t  ttl;
    ngx_msec_t  slides;
    u_char      buf[NGX_INT64_LEN];

    static sync_str_t  pexpire = sync_string("PEXPIRE");

    slides = sync_session_slides(call->conf);

    if (call->left && call->left + slides >= call->ttl) {
        return;
    }

    ttl.data = buf;
    ttl.len = ngx_sprintf(buf, "%M", call->ttl) - buf;

    (void) sync_session_call_send(call, NULL, 3, &pexpire, &call->key, &ttl);

    sync_session_call_users(call, "EXPIRE", &call->data.user);
}


/* What the zone was to know it does not: it is read later. */

static void
sync_session_call_lost(sync_session_call_t *call)
{
    if (call->op == NULL) {
        sync_session_call_again(call->conf);
    }
}


static ngx_int_t
sync_session_call_store(sync_session_call_t *call)
{
    u_char                 *buf;
    ngx_int_t               rc;
    const char             *wrong;
    sync_main_settings_t   *main;
    sync_session_data_t    *data;
    sync_session_change_t   change;

    main = sync_session_call_main;
    data = NULL;
    wrong = call->wrong;

    if (call->found) {
        buf = ngx_pnalloc(call->pool, call->value.len + SYNC_SESSION_USER);
        if (buf == NULL) {
            return SYNC_ERROR;
        }

        wrong = sync_session_parse(&call->value, buf, &call->data);

        if (wrong) {
            call->found = 0;

        } else {
            data = &call->data;
        }
    }

    rc = sync_session_store_set(main->zone, call->conf->realm, &call->token,
                                data, call->left, 0, call->stamp, &change);

    if (rc == SYNC_AGAIN) {
        return SYNC_AGAIN;
    }

    /* not where it was none before, and nobody asks */

    if (wrong && (rc == SYNC_OK || call->op)) {
        sync_session_invalid(main, "value in Redis", &call->token, wrong);
    }

    if (rc == SYNC_OK) {
        sync_session_announce(main, &change, NULL);
    }

    if (rc == SYNC_OK || rc == SYNC_DECLINED) {
        return data ? SYNC_OK : SYNC_DECLINED;
    }

    return SYNC_ERROR;
}


ngx_int_t
sync_session_call_fetch(sync_session_conf_t *conf, sync_str_t *token,
    uint32_t stamp, ngx_uint_t slide)
{
    sync_session_call_t  *call;

    call = sync_session_call_create(conf, NULL, token);

    if (call == NULL) {
        return SYNC_ERROR;
    }

    call->stamp = stamp;
    call->slide = slide;
    call->answer = sync_session_call_is;

    return sync_session_call_start(call, sync_session_call_get(call));
}


ngx_int_t
sync_session_call_read(sync_session_op_t *op)
{
    sync_session_call_t  *call;

    call = sync_session_call_create(op->settings->session, op, &op->token);

    if (call == NULL) {
        return SYNC_ERROR;
    }

    call->slide = 1;
    call->answer = sync_session_call_is;
    call->stamp = sync_session_store_stamp(sync_session_call_main->zone,
                                           call->conf->realm, &op->token);

    return sync_session_call_start(call, call->stamp
                                          ? sync_session_call_get(call)
                                          : SYNC_ERROR);
}


ngx_int_t
sync_session_call_edit(sync_session_op_t *op)
{
    sync_session_call_t  *call;

    call = sync_session_call_create(op->settings->session, op, &op->token);

    if (call == NULL) {
        return SYNC_ERROR;
    }

    call->answer = sync_session_call_edits;

    return sync_session_call_start(call, sync_session_call_get(call));
}


static void
sync_session_call_edits(sync_session_call_t *call, redisReply *reply)
{
    u_char               *buf;
    ngx_int_t             rc;
    sync_str_t            script, one, ttl;
    sync_session_data_t   was;
    u_char                text[NGX_INT64_LEN];

    static sync_str_t  eval = sync_string("EVAL");

    if (call->op == NULL) {
        sync_session_call_done(call, SYNC_ERROR);
        return;
    }

    if (call->failed || !call->found) {
        sync_session_call_done(call, call->failed ? SYNC_BUSY
                                                   : SYNC_DECLINED);
        return;
    }

    buf = ngx_pnalloc(call->pool, call->value.len + SYNC_SESSION_USER);

    if (buf == NULL
        || sync_session_parse(&call->value, buf, &was) != NULL)
    {
        sync_session_call_done(call, buf ? SYNC_DECLINED : SYNC_ERROR);
        return;
    }

    rc = sync_session_edited(call->op, &was.json, &call->data);

    if (rc != SYNC_OK) {
        sync_session_call_done(call, rc == SYNC_DECLINED ? SYNC_OK : rc);
        return;
    }

    script.data = (u_char *) sync_session_call_script;
    script.len = sizeof(sync_session_call_script) - 1;
    sync_str_set(&one, "1");

    ttl.data = text;
    ttl.len = ngx_sprintf(text, "%M", call->ttl) - text;

    rc = sync_session_call_keep(call);

    if (rc == SYNC_OK) {
        rc = sync_session_call_send(call, sync_session_call_edited, 7,
                                     &eval, &script, &one, &call->key,
                                     &call->value, &call->data.json, &ttl);
    }

    if (rc != SYNC_OK) {
        sync_session_call_done(call, rc == SYNC_ERROR ? SYNC_ERROR
                                                       : SYNC_BUSY);
    }
}


/* What is written is kept till it was. */

static ngx_int_t
sync_session_call_keep(sync_session_call_t *call)
{
    u_char      *p;
    sync_str_t  *json, *user;

    json = &call->data.json;
    user = &call->data.user;

    p = ngx_pnalloc(call->pool, json->len + user->len);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    ngx_memcpy(p, json->data, json->len);
    json->data = p;
    p += json->len;

    ngx_memcpy(p, user->data, user->len);
    user->data = p;

    return SYNC_OK;
}


static void
sync_session_call_edited(redisReply *reply, sync_redis_error_e error,
    void *data)
{
    sync_session_call_t  *call = data;

    call->commands--;

    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
        sync_session_call_done(call, SYNC_BUSY);
        return;
    }

    if (reply->integer == 0) {

        /* somebody else was faster */

        call->found = 0;

        if (call->op == NULL || ++call->tries == SYNC_SESSION_TRIES
            || sync_session_call_get(call) != SYNC_OK)
        {
            if (call->commands) {
                call->cut = 1;
                return;
            }

            sync_session_call_done(call, SYNC_BUSY);
        }

        return;
    }

    sync_session_call_done(call, sync_session_call_written(call,
                                                           &call->data));
}


/* Redis has it; so has the zone.  Returns SYNC_OK or SYNC_ERROR. */

static ngx_int_t
sync_session_call_written(sync_session_call_t *call,
    sync_session_data_t *data)
{
    ngx_int_t               rc;
    sync_main_settings_t   *main;
    sync_session_change_t   change;

    main = sync_session_call_main;

    rc = sync_session_store_set(main->zone, call->conf->realm, &call->token,
                                data, call->ttl, 0, 0, &change);

    if (rc == SYNC_OK) {
        sync_session_announce(main, &change,
                              call->op ? call->op->except : NULL);
    }

    return (rc == SYNC_BUSY) ? SYNC_ERROR : SYNC_OK;
}


ngx_int_t
sync_session_call_save(sync_session_op_t *op)
{
    ngx_int_t             rc;
    sync_str_t            ttl;
    sync_session_call_t  *call;
    u_char                text[NGX_INT64_LEN];

    static sync_str_t  set = sync_string("SET");
    static sync_str_t  px = sync_string("PX");

    call = sync_session_call_create(op->settings->session, op, &op->token);

    if (call == NULL) {
        return SYNC_ERROR;
    }

    if (op->ttl) {
        call->ttl = op->ttl;
    }

    call->data = op->data;

    rc = sync_session_call_keep(call);

    ttl.data = text;
    ttl.len = ngx_sprintf(text, "%M", call->ttl) - text;

    if (rc == SYNC_OK) {
        rc = sync_session_call_send(call, sync_session_call_saved, 5, &set,
                                     &call->key, &call->data.json, &px, &ttl);
    }

    if (rc == SYNC_OK) {
        sync_session_call_users(call, "SADD", &call->data.user);
        sync_session_call_users(call, "EXPIRE", &call->data.user);
    }

    return sync_session_call_start(call, rc);
}


static void
sync_session_call_saved(redisReply *reply, sync_redis_error_e error,
    void *data)
{
    sync_session_call_t  *call = data;

    call->commands--;

    if (reply == NULL || reply->type != REDIS_REPLY_STATUS) {
        sync_session_call_done(call, SYNC_BUSY);
        return;
    }

    sync_session_call_done(call, sync_session_call_written(call,
                                                           &call->data));
}


ngx_int_t
sync_session_call_delete(sync_session_op_t *op)
{
    ngx_int_t             rc;
    uint64_t              version;
    sync_session_call_t  *call;

    static sync_str_t  del = sync_string("DEL");

    call = sync_session_call_create(op->settings->session, op, &op->token);

    if (call == NULL) {
        return SYNC_ERROR;
    }

    rc = sync_session_call_send(call, sync_session_call_deleted, 2, &del,
                                 &call->key);

    if (rc == SYNC_OK
        && sync_session_of(op->settings, &op->token, &call->data, &version)
           == SYNC_OK)
    {
        sync_session_call_users(call, "SREM", &call->data.user);
    }

    return sync_session_call_start(call, rc);
}


static void
sync_session_call_deleted(redisReply *reply, sync_redis_error_e error,
    void *data)
{
    sync_session_call_t  *call = data;

    call->commands--;

    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
        sync_session_call_done(call, SYNC_BUSY);
        return;
    }

    /* an end always fits */

    (void) sync_session_call_written(call, NULL);

    sync_session_call_done(call, reply->integer ? SYNC_OK : SYNC_DECLINED);
}


/* The set of a user's tokens, if there is one, follows without an answer. */

static void
sync_session_call_users(sync_session_call_t *call, const char *command,
    sync_str_t *user)
{
    u_char      *p;
    sync_str_t   key, name, ttl;
    u_char       text[NGX_INT64_LEN];

    if (call->conf->users[0].len == 0) {
        return;
    }

    p = ngx_pnalloc(call->pool, call->conf->users[0].len
                                + call->conf->users[1].len + user->len);
    if (p == NULL) {
        return;
    }

    sync_session_call_key(&key, p, call->conf->users, user);

    name.data = (u_char *) command;
    name.len = ngx_strlen(command);

    if (ngx_strcmp(command, "EXPIRE") == 0) {
        ttl.data = text;
        ttl.len = ngx_sprintf(text, "%M", call->ttl / 1000 + 1) - text;

        (void) sync_session_call_send(call, NULL, 3, &name, &key, &ttl);
        return;
    }

    (void) sync_session_call_send(call, NULL, 3, &name, &key, &call->token);
}


ngx_int_t
sync_session_call_tokens(sync_session_op_t *op, sync_str_t *user)
{
    u_char               *p;
    ngx_int_t             rc;
    sync_str_t            key;
    sync_session_conf_t  *conf;
    sync_session_call_t  *call;

    static sync_str_t  none = sync_string("");
    static sync_str_t  smembers = sync_string("SMEMBERS");

    conf = op->settings->session;

    /* one that is about a user has no token */

    call = sync_session_call_create(conf, op, op->token.len ? &op->token
                                                            : &none);

    if (call == NULL) {
        return SYNC_ERROR;
    }

    p = ngx_pnalloc(call->pool, conf->users[0].len + conf->users[1].len
                                + user->len);
    if (p == NULL) {
        sync_session_call_destroy(call);
        return SYNC_ERROR;
    }

    sync_session_call_key(&key, p, conf->users, user);

    rc = sync_session_call_send(call, sync_session_call_listed, 2,
                                 &smembers, &key);

    return sync_session_call_start(call, rc);
}


/* In no order; the caller's own token is put last, as the newest one. */

static void
sync_session_call_listed(redisReply *reply, sync_redis_error_e error,
    void *data)
{
    sync_session_call_t  *call = data;

    size_t       i, size;
    ngx_uint_t   own;
    sync_str_t  *t, token;
    redisReply  *member;

    call->commands--;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
        sync_session_call_done(call, SYNC_BUSY);
        return;
    }

    if (call->op == NULL) {
        sync_session_call_done(call, SYNC_OK);
        return;
    }

    own = 0;
    size = 0;

    for (i = 0; i < reply->elements; i++) {
        member = reply->element[i];

        if (member->type != REDIS_REPLY_STRING || member->len == 0
            || member->len > SYNC_TOKEN_MAX)
        {
            continue;
        }

        token.data = (u_char *) member->str;
        token.len = member->len;

        if (sync_str_eq(&token, &call->token)) {
            own = 1;
            continue;
        }

        size += token.len;

        if (size > SYNC_SESSION_TOKENS) {
            break;
        }

        t = ngx_array_push(call->op->tokens);
        if (t == NULL) {
            sync_session_call_done(call, SYNC_ERROR);
            return;
        }

        t->len = token.len;
        t->data = ngx_pnalloc(call->op->pool, token.len);
        if (t->data == NULL) {
            sync_session_call_done(call, SYNC_ERROR);
            return;
        }

        ngx_memcpy(t->data, token.data, token.len);
    }

    if (own) {
        t = ngx_array_push(call->op->tokens);
        if (t == NULL) {
            sync_session_call_done(call, SYNC_ERROR);
            return;
        }

        *t = call->op->token;
    }

    sync_session_call_done(call, SYNC_OK);
}
