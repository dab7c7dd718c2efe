
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_redis.h>
#include <sync_holder.h>


/*
 * A subscriber link, as one worker of the host has it:
 *
 *     none --claim--> comes up --> tracks --> subscribed --confirm--> holds
 *       ^                                                               |
 *       `------------- another one holds it, or nobody wants it --------'
 *
 * Keys are tracked by the very connection that is told of them: what it is
 * told by and what it is told of are lost together.  RESP2 has no other way
 * to tell than a message to a channel, whose subscriber Redis finds by the
 * client's id.
 */


/* an id of a client of Redis, 63 bits */
#define SYNC_REDIS_ID_LEN  NGX_INT64_LEN


typedef struct {
    sync_str_t               prefix;
    sync_redis_key_pt        handler;
    void                    *data;
} sync_redis_prefix_t;


typedef struct {
    sync_zone_t             *zone;
    sync_redis_conf_t       *conf;      /* NULL: no Redis */
    ngx_uint_t               nshards;
    sync_redis_link_t       *links[SYNC_REDIS_SHARDS_MAX];
    sync_redis_link_t       *subscribers[SYNC_REDIS_SHARDS_MAX];
    sync_redis_prefix_t      prefixes[SYNC_REDIS_PREFIXES_MAX];
    ngx_uint_t               nprefixes;
    unsigned                 ready[SYNC_REDIS_SHARDS_MAX];

    const sync_redis_subscriber_t  *subscriber;
} sync_redis_t;


static void sync_redis_hold(ngx_uint_t shard);
static void sync_redis_let_go(ngx_uint_t shard);
static ngx_uint_t sync_redis_subscriber_shard(sync_redis_link_t *link);
static void sync_redis_command_up(sync_redis_link_t *link);
static void sync_redis_subscriber_up(sync_redis_link_t *link);
static void sync_redis_subscriber_down(sync_redis_link_t *link);
static void sync_redis_subscriber_id(redisReply *reply,
    sync_redis_error_e error, void *data);
static void sync_redis_subscriber_track(sync_redis_link_t *link,
    redisReply *id);
static ngx_uint_t sync_redis_covered(ngx_uint_t n);
static void sync_redis_subscriber_tracks(redisReply *reply,
    sync_redis_error_e error, void *data);
static void sync_redis_subscriber_go_on(sync_redis_link_t *link);
static void sync_redis_subscriber_ready(redisReply *reply,
    sync_redis_error_e error, void *data);
static void sync_redis_gone(ngx_uint_t shard);
static void sync_redis_subscriber_push(sync_redis_link_t *link,
    redisReply *reply);
static void sync_redis_key(redisReply *key);
static void sync_redis_any_key(void);
static void sync_redis_tell(void);


static const sync_redis_link_handler_t  sync_redis_link_handler = {
    sync_redis_command_up,
    NULL,
    NULL
};


static const sync_redis_link_handler_t  sync_redis_subscriber_handler = {
    sync_redis_subscriber_up,
    sync_redis_subscriber_down,
    sync_redis_subscriber_push
};


static sync_str_t  sync_redis_invalidate =
                                       sync_string("__redis__:invalidate");

static sync_redis_t  sync_redis;


ngx_int_t
sync_redis_init_worker(sync_zone_t *z, sync_redis_conf_t *conf)
{
    ngx_uint_t         i;
    sync_redis_t      *r;
    sync_redis_url_t  *url;

    r = &sync_redis;

    ngx_memzero(r, sizeof(sync_redis_t));

    r->zone = z;
    r->conf = conf;

    if (conf == NULL) {
        return SYNC_OK;
    }

    url = conf->urls->elts;

    for (i = 0; i < conf->urls->nelts; i++) {
        r->links[i] = sync_redis_link_create(conf, &url[i],
                                             &sync_redis_link_handler,
                                             "commands", z);
        if (r->links[i] == NULL) {
            return SYNC_ERROR;
        }

        *sync_redis_link_data(r->links[i]) = (void *) i;
        r->nshards++;
    }

    return SYNC_OK;
}


void
sync_redis_done(void)
{
    ngx_uint_t     i;
    sync_redis_t  *r;

    r = &sync_redis;

    /* from here on commands are declined */

    r->conf = NULL;

    for (i = 0; i < r->nshards; i++) {
        sync_redis_let_go(i);

        if (r->links[i]) {
            sync_redis_link_destroy(r->links[i]);
            r->links[i] = NULL;
        }
    }
}


void
sync_redis_tick(void)
{
    ngx_uint_t     i;
    sync_redis_t  *r;

    r = &sync_redis;

    if (r->conf == NULL) {
        return;
    }

    for (i = 0; i < r->nshards; i++) {
        sync_redis_hold(i);
    }

    sync_redis_tell();
}


/* Takes, keeps or gives up a subscriber link. */

static void
sync_redis_hold(ngx_uint_t shard)
{
    ngx_int_t           rc;
    sync_redis_t       *r;
    sync_redis_link_t  *link;

    r = &sync_redis;

    if (r->subscriber == NULL && (shard || r->nprefixes == 0)) {
        return;
    }

    rc = sync_holder_claim(r->zone, shard);

    if (rc == SYNC_DECLINED) {
        sync_redis_let_go(shard);
        return;
    }

    if (r->subscribers[shard]) {
        return;
    }

    link = sync_redis_link_create(r->conf,
                                  (sync_redis_url_t *) r->conf->urls->elts
                                  + shard,
                                  &sync_redis_subscriber_handler,
                                  "subscriber", r->zone);
    if (link == NULL) {
        /* the next tick tries again */
        return;
    }

    *sync_redis_link_data(link) = (void *) shard;
    r->subscribers[shard] = link;
}


static void
sync_redis_let_go(ngx_uint_t shard)
{
    sync_redis_t       *r;
    sync_redis_link_t  *link;

    r = &sync_redis;
    link = r->subscribers[shard];

    if (link == NULL) {
        return;
    }

    r->subscribers[shard] = NULL;

    sync_redis_gone(shard);

    sync_redis_link_destroy(link);

    sync_holder_release(r->zone, shard);
}


ngx_uint_t
sync_redis_shards(void)
{
    return sync_redis.conf ? sync_redis.nshards : 0;
}


ngx_uint_t
sync_redis_shard(sync_str_t *name)
{
    sync_redis_t  *r;

    r = &sync_redis;

    if (r->nshards < 2) {
        return 0;
    }

    /* all hosts must agree, so the zone's own hash will not do */

    return ngx_crc32_long(name->data, name->len) % r->nshards;
}


ngx_int_t
sync_redis_command(ngx_uint_t shard, sync_redis_call_t **call,
    sync_redis_reply_pt handler, void *data, ngx_uint_t argc,
    const char **argv, const size_t *argvlen)
{
    sync_redis_t  *r;

    r = &sync_redis;

    if (r->conf == NULL) {
        return SYNC_DECLINED;
    }

    return sync_redis_link_command(r->links[shard], call, handler, data, argc,
                                   argv, argvlen);
}


void
sync_redis_cancel(sync_redis_call_t *call)
{
    sync_redis_link_cancel(call);
}


ngx_int_t
sync_redis_track(sync_str_t *prefix, sync_redis_key_pt handler, void *data)
{
    sync_redis_t         *r;
    sync_redis_prefix_t  *p;

    r = &sync_redis;

    if (r->nprefixes == SYNC_REDIS_PREFIXES_MAX) {
        return SYNC_BUSY;
    }

    p = &r->prefixes[r->nprefixes++];

    p->prefix = *prefix;
    p->handler = handler;
    p->data = data;

    return SYNC_OK;
}


ngx_uint_t
sync_redis_tracked(void)
{
    sync_redis_t  *r;

    r = &sync_redis;

    return r->conf && r->zone->sh->tracked
           && sync_holder_slot(r->zone, 0) != -1;
}


ngx_uint_t
sync_redis_pending(void)
{
    ngx_uint_t     i, n;
    sync_redis_t  *r;

    r = &sync_redis;
    n = 0;

    for (i = 0; r->conf && i < r->nshards; i++) {
        n += sync_redis_link_pending(r->links[i]);
    }

    return n;
}


void
sync_redis_listen(const sync_redis_subscriber_t *subscriber)
{
    sync_redis.subscriber = subscriber;
}


ngx_int_t
sync_redis_subscribe(ngx_uint_t shard, sync_redis_reply_pt handler,
    void *data, ngx_uint_t argc, const char **argv, const size_t *argvlen)
{
    sync_redis_link_t  *link;

    link = sync_redis.subscribers[shard];

    if (link == NULL || !sync_redis_link_ready(link)) {
        return SYNC_DECLINED;
    }

    return sync_redis_link_subscribe(link, handler, data, argc, argv,
                                     argvlen);
}


void
sync_redis_resubscribe(ngx_uint_t shard, const char *reason)
{
    if (sync_redis.subscribers[shard]) {
        sync_redis_link_drop(sync_redis.subscribers[shard], reason);
    }
}


ngx_uint_t
sync_redis_connected(ngx_uint_t shard)
{
    sync_redis_t  *r;

    r = &sync_redis;

    return r->conf && sync_redis_link_ready(r->links[shard]);
}


ngx_uint_t
sync_redis_hopeful(ngx_uint_t shard)
{
    sync_redis_t  *r;

    r = &sync_redis;

    return r->conf && sync_redis_link_hopeful(r->links[shard]);
}


ngx_uint_t
sync_redis_hears(ngx_uint_t shard)
{
    sync_redis_t  *r;

    r = &sync_redis;

    return r->conf && (r->zone->sh->subscribed & 1u << shard)
           && sync_holder_slot(r->zone, shard) != -1;
}


ngx_uint_t
sync_redis_heard(void)
{
    ngx_uint_t     i;
    sync_redis_t  *r;

    r = &sync_redis;

    for (i = 0; r->conf && i < r->nshards; i++) {

        if (!sync_redis_hears(i)) {
            return 0;
        }
    }

    return r->conf != NULL;
}


ngx_uint_t
sync_redis_subscribing(ngx_uint_t shard)
{
    return sync_redis.subscribers[shard] != NULL;
}


ngx_uint_t
sync_redis_subscribed(ngx_uint_t shard)
{
    return sync_redis.ready[shard]
           && sync_holder_mine(sync_redis.zone, shard);
}


static ngx_uint_t
sync_redis_subscriber_shard(sync_redis_link_t *link)
{
    return (ngx_uint_t) *sync_redis_link_data(link);
}


static void
sync_redis_command_up(sync_redis_link_t *link)
{
    sync_redis_t  *r;

    r = &sync_redis;

    if (r->subscriber) {
        r->subscriber->connected((ngx_uint_t) *sync_redis_link_data(link));
    }
}


static void
sync_redis_subscriber_up(sync_redis_link_t *link)
{
    static const char    *argv[] = { "CLIENT", "ID" };
    static const size_t   argvlen[] = { 6, 2 };

    if (sync_redis_subscriber_shard(link) || sync_redis.nprefixes == 0) {
        sync_redis_subscriber_go_on(link);
        return;
    }

    if (sync_redis_link_command(link, NULL, sync_redis_subscriber_id, link, 2,
                                argv, argvlen)
        != SYNC_OK)
    {
        sync_redis_link_drop(link, "no memory");
    }
}


static void
sync_redis_subscriber_id(redisReply *reply, sync_redis_error_e error,
    void *data)
{
    sync_redis_link_t  *link = data;

    if (error == SYNC_REDIS_OK && reply->type == REDIS_REPLY_INTEGER) {
        sync_redis_subscriber_track(link, reply);
        return;
    }

    if (error != SYNC_REDIS_LOST && error != SYNC_REDIS_UNSENT) {
        sync_redis_link_drop(link, "CLIENT ID failed");
    }
}


/* CLIENT TRACKING ON REDIRECT id BCAST PREFIX a PREFIX b ... */

static void
sync_redis_subscriber_track(sync_redis_link_t *link, redisReply *id)
{
    ngx_int_t       rc;
    ngx_uint_t      i, n;
    sync_redis_t   *r;
    u_char          text[SYNC_REDIS_ID_LEN];
    size_t          argvlen[6 + 2 * SYNC_REDIS_PREFIXES_MAX];
    const char     *argv[6 + 2 * SYNC_REDIS_PREFIXES_MAX];

    r = &sync_redis;

    argv[0] = "CLIENT";
    argvlen[0] = 6;
    argv[1] = "TRACKING";
    argvlen[1] = 8;
    argv[2] = "ON";
    argvlen[2] = 2;
    argv[3] = "REDIRECT";
    argvlen[3] = 8;
    argv[4] = (char *) text;
    argvlen[4] = ngx_sprintf(text, "%L", (int64_t) id->integer) - text;
    argv[5] = "BCAST";
    argvlen[5] = 5;

    n = 6;

    for (i = 0; i < r->nprefixes; i++) {

        if (sync_redis_covered(i)) {
            continue;
        }

        argv[n] = "PREFIX";
        argvlen[n++] = 6;
        argv[n] = (char *) r->prefixes[i].prefix.data;
        argvlen[n++] = r->prefixes[i].prefix.len;
    }

    rc = sync_redis_link_command(link, NULL, sync_redis_subscriber_tracks,
                                 link, n, argv, argvlen);

    if (rc == SYNC_OK) {
        argv[0] = "SUBSCRIBE";
        argvlen[0] = 9;
        argv[1] = (char *) sync_redis_invalidate.data;
        argvlen[1] = sync_redis_invalidate.len;

        rc = sync_redis_link_subscribe(link, NULL, NULL, 2, argv, argvlen);
    }

    if (rc != SYNC_OK) {
        sync_redis_link_drop(link, "no memory");
        return;
    }

    sync_redis_subscriber_go_on(link);
}


/* The last answer says that all that was asked for before is there. */

static void
sync_redis_subscriber_go_on(sync_redis_link_t *link)
{
    sync_redis_t  *r;

    static const char    *argv[] = { "PING" };
    static const size_t   argvlen[] = { 4 };

    r = &sync_redis;

    if (r->subscriber) {
        r->subscriber->up(sync_redis_subscriber_shard(link));
    }

    if (sync_redis_link_command(link, NULL, sync_redis_subscriber_ready,
                                link, 1, argv, argvlen)
        != SYNC_OK)
    {
        sync_redis_link_drop(link, "no memory");
    }
}


/* Redis wants no prefix twice, nor one that begins with another one. */

static ngx_uint_t
sync_redis_covered(ngx_uint_t n)
{
    ngx_uint_t   i;
    sync_str_t  *p, *other;

    p = &sync_redis.prefixes[n].prefix;

    for (i = 0; i < sync_redis.nprefixes; i++) {
        other = &sync_redis.prefixes[i].prefix;

        if (i != n && other->len <= p->len
            && ngx_memcmp(other->data, p->data, other->len) == 0
            && (other->len < p->len || i < n))
        {
            return 1;
        }
    }

    return 0;
}


static void
sync_redis_subscriber_tracks(redisReply *reply, sync_redis_error_e error,
    void *data)
{
    sync_redis_link_t  *link = data;

    if (error == SYNC_REDIS_TIMEOUT) {
        sync_redis_link_drop(link, "CLIENT TRACKING took too long");

    } else if (error == SYNC_REDIS_OK && reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "redis refused CLIENT TRACKING: %s", reply->str);

        sync_redis_link_drop(link, "CLIENT TRACKING failed");
    }
}


static void
sync_redis_subscriber_ready(redisReply *reply, sync_redis_error_e error,
    void *data)
{
    sync_redis_link_t  *link = data;

    ngx_uint_t     shard;
    sync_redis_t  *r;

    if (error == SYNC_REDIS_LOST || error == SYNC_REDIS_UNSENT) {
        return;
    }

    if (error != SYNC_REDIS_OK || reply->type == REDIS_REPLY_ERROR) {
        sync_redis_link_drop(link, "SUBSCRIBE failed");
        return;
    }

    r = &sync_redis;
    shard = sync_redis_subscriber_shard(link);

    if (sync_holder_confirm(r->zone, shard) != SYNC_OK) {
        /* another one was faster; the next tick lets go */
        return;
    }

    r->ready[shard] = 1;
    r->zone->sh->subscribed |= 1u << shard;

    if (shard == 0 && r->nprefixes) {
        r->zone->sh->tracked = 1;
        sync_redis_any_key();
    }

    if (r->subscriber) {
        r->subscriber->ready(shard);
    }
}


static void
sync_redis_subscriber_down(sync_redis_link_t *link)
{
    sync_redis_gone(sync_redis_subscriber_shard(link));
}


static void
sync_redis_gone(ngx_uint_t shard)
{
    ngx_uint_t     mine;
    sync_redis_t  *r;

    r = &sync_redis;
    mine = sync_holder_mine(r->zone, shard);

    r->ready[shard] = 0;

    if (mine) {
        r->zone->sh->subscribed &= ~(1u << shard);

        if (shard == 0 && r->nprefixes) {
            r->zone->sh->tracked = 0;
            sync_redis_any_key();
        }
    }

    if (r->subscriber) {
        r->subscriber->down(shard);
    }
}


/*
 * ["message",channel,payload] or ["pmessage",pattern,channel,payload]; what
 * Redis tells of keys is an array of them, or null for all.
 */

static void
sync_redis_subscriber_push(sync_redis_link_t *link, redisReply *reply)
{
    size_t         i;
    ngx_uint_t     shard;
    redisReply    *channel, *payload;
    sync_str_t     name, text;
    sync_redis_t  *r;

    r = &sync_redis;
    shard = sync_redis_subscriber_shard(link);

    if (!sync_holder_mine(r->zone, shard)) {
        return;
    }

    channel = reply->element[reply->elements - 2];
    payload = reply->element[reply->elements - 1];

    if (channel->type != REDIS_REPLY_STRING) {
        return;
    }

    name.data = (u_char *) channel->str;
    name.len = channel->len;

    if (sync_str_eq(&name, &sync_redis_invalidate)) {

        if (payload->type != REDIS_REPLY_ARRAY) {
            sync_redis_any_key();
            return;
        }

        for (i = 0; i < payload->elements; i++) {
            sync_redis_key(payload->element[i]);
        }

        return;
    }

    if (payload->type == REDIS_REPLY_STRING && r->subscriber) {
        text.data = (u_char *) payload->str;
        text.len = payload->len;

        r->subscriber->message(shard, &name, &text);
    }
}


static void
sync_redis_key(redisReply *key)
{
    sync_str_t            name;
    ngx_uint_t            i;
    sync_redis_t         *r;
    sync_redis_prefix_t  *p;

    if (key->type != REDIS_REPLY_STRING) {
        return;
    }

    name.data = (u_char *) key->str;
    name.len = key->len;

    r = &sync_redis;

    for (i = 0; i < r->nprefixes; i++) {
        p = &r->prefixes[i];

        if (name.len >= p->prefix.len
            && ngx_memcmp(name.data, p->prefix.data, p->prefix.len) == 0)
        {
            p->handler(&name, p->data);
        }
    }
}


static void
sync_redis_any_key(void)
{
    ngx_uint_t     i;
    sync_redis_t  *r;

    r = &sync_redis;

    for (i = 0; i < r->nprefixes; i++) {
        r->prefixes[i].handler(NULL, r->prefixes[i].data);
    }
}


/* For the status; each second will do. */

static void
sync_redis_tell(void)
{
    ngx_uint_t      i, n;
    sync_redis_t   *r;
    sync_worker_t  *w;

    r = &sync_redis;
    w = r->zone->self;

    n = 0;

    for (i = 0; i < r->nshards; i++) {
        n += sync_redis_link_ready(r->links[i]);
    }

    w->redis_links = n;
    w->redis_pending = sync_redis_pending();
}
