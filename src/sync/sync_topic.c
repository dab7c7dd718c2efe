
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_sha1.h>
#include <sync_topic.h>
#include <sync_lease.h>
#include <sync_name.h>


#define SYNC_TOPIC_PAGE    64           /* rooms read at once */
#define SYNC_TOPIC_PAGES   16           /* of them, each second */
#define SYNC_TOPIC_LINGER  5000         /* ms to keep one without members */
#define SYNC_TOPIC_BATCH   256          /* channels of a SUBSCRIBE */


typedef struct {
    sync_main_settings_t        *main;
    const sync_topic_handler_t  *handler;
    ngx_uint_t               asked;     /* number of the last SUBSCRIBE */
    ngx_rbtree_t             tree;
    ngx_rbtree_node_t        sentinel;
    ngx_queue_t              topics;    /* the next one to look at first */
    ngx_queue_t              asking[SYNC_REDIS_SHARDS_MAX];     /* in order */
    ngx_uint_t               n;
    uint32_t                 bucket;    /* of rooms, the next to look at */
    ngx_uint_t               secret;    /* whether those are looked at */
} sync_topic_worker_t;


/* What is to be said by one SUBSCRIBE. */

typedef struct {
    ngx_uint_t               shard;
    ngx_uint_t               pattern;
    ngx_uint_t               n;
    size_t                   len;
    const char              *argv[SYNC_TOPIC_BATCH + 1];
    size_t                   argvlen[SYNC_TOPIC_BATCH + 1];
    u_char                   buf[SYNC_TOPIC_BATCH * SYNC_TOPIC_CHANNEL_MAX];
} sync_topic_batch_t;


static sync_topic_t *sync_topic_find(sync_str_t *key);
static sync_topic_t *sync_topic_create(sync_str_t *room);
static void sync_topic_destroy(sync_topic_t *topic);
static void sync_topic_escape(sync_str_t *room, sync_str_t *channel,
    u_char *buf);
static ngx_uint_t sync_topic_look(ngx_uint_t whole);
static void sync_topic_batch_add(sync_topic_t *topic);
static void sync_topic_batch_send(void);
static void sync_topic_answered(redisReply *reply, sync_redis_error_e error,
    void *data);
static void sync_topic_unanswered(redisReply *reply,
    sync_redis_error_e error, void *data);
static void sync_topic_sweep(void);
static void sync_topic_tell(sync_topic_t *topic, ngx_uint_t n);


static sync_topic_worker_t  sync_topic_worker;

static sync_topic_batch_t  sync_topic_batch;


void
sync_topic_init_worker(sync_main_settings_t *main,
    const sync_topic_handler_t *handler)
{
    ngx_uint_t            i;
    sync_topic_worker_t  *w;

    w = &sync_topic_worker;

    ngx_memzero(w, sizeof(sync_topic_worker_t));

    w->main = main;
    w->handler = handler;

    ngx_rbtree_init(&w->tree, &w->sentinel, ngx_str_rbtree_insert_value);
    ngx_queue_init(&w->topics);

    for (i = 0; i < SYNC_REDIS_SHARDS_MAX; i++) {
        ngx_queue_init(&w->asking[i]);
    }
}


void
sync_topic_add(sync_str_t *room)
{
    ngx_uint_t     shard;
    sync_str_t     key;
    sync_topic_t  *topic;
    u_char         buf[SYNC_TOPIC_KEY];

    shard = sync_redis_shard(room);

    if (!sync_redis_subscribing(shard)) {
        return;
    }

    sync_topic_key(room, &key, buf);

    topic = sync_topic_find(&key);

    if (topic) {
        topic->seen = ngx_current_msec;

        if (topic->recoverable && topic->subscribed) {
            sync_topic_worker.handler->wanted(topic);
        }

        return;
    }

    topic = sync_topic_create(room);

    if (topic) {
        sync_topic_batch_add(topic);
        sync_topic_batch_send();
    }
}


sync_topic_t *
sync_topic_lookup(sync_str_t *room)
{
    return sync_topic_find(room);
}


sync_topic_t *
sync_topic_lookup_secret(sync_str_t *digest)
{
    sync_str_t  key;
    u_char      buf[SYNC_TOPIC_KEY];

    if (digest->len != SYNC_TOPIC_KEY - 1) {
        return NULL;
    }

    buf[0] = SYNC_NAME_PRIVATE;
    ngx_memcpy(buf + 1, digest->data, digest->len);

    key.data = buf;
    key.len = SYNC_TOPIC_KEY;

    return sync_topic_find(&key);
}


void
sync_topic_name(sync_topic_t *topic, sync_str_t *room)
{
    *room = topic->room;
}


/* The name, or what of a secret one may be told. */

void
sync_topic_key(sync_str_t *room, sync_str_t *key, u_char *buf)
{
    ngx_sha1_t  sha1;
    u_char      digest[SYNC_TOPIC_DIGEST];

    if (!sync_name_is_private(room)) {
        *key = *room;
        return;
    }

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, room->data, room->len);
    ngx_sha1_final(digest, &sha1);

    buf[0] = SYNC_NAME_PRIVATE;
    (void) ngx_hex_dump(buf + 1, digest, SYNC_TOPIC_DIGEST);

    key->data = buf;
    key->len = SYNC_TOPIC_KEY;
}


static sync_topic_t *
sync_topic_find(sync_str_t *key)
{
    ngx_str_t  s;

    s.data = key->data;
    s.len = key->len;

    return (sync_topic_t *) ngx_str_rbtree_lookup(
                               &sync_topic_worker.tree, &s,
                               ngx_crc32_short(key->data, key->len));
}


static sync_topic_t *
sync_topic_create(sync_str_t *room)
{
    u_char               *p;
    sync_str_t            key;
    sync_topic_t         *topic;
    sync_topic_worker_t  *w;
    u_char                buf[SYNC_TOPIC_KEY];

    w = &sync_topic_worker;

    sync_topic_key(room, &key, buf);

    topic = ngx_calloc(sizeof(sync_topic_t) + room->len + key.len,
                       ngx_cycle->log);
    if (topic == NULL) {
        return NULL;
    }

    p = (u_char *) topic + sizeof(sync_topic_t);

    topic->room.data = p;
    topic->room.len = room->len;
    p = ngx_cpymem(p, room->data, room->len);

    topic->node.str.data = p;
    topic->node.str.len = key.len;
    ngx_memcpy(p, key.data, key.len);

    topic->node.node.key = ngx_crc32_short(key.data, key.len);
    topic->shard = sync_redis_shard(room);
    topic->seen = ngx_current_msec;
    topic->pattern = sync_name_is_pattern(room) ? 1 : 0;
    topic->recoverable = !topic->pattern
                         && sync_settings_rule(w->main, room)->room.history;

    ngx_rbtree_insert(&w->tree, &topic->node.node);
    ngx_queue_insert_tail(&w->topics, &topic->queue);
    w->n++;

    return topic;
}


static void
sync_topic_destroy(sync_topic_t *topic)
{
    ngx_rbtree_delete(&sync_topic_worker.tree, &topic->node.node);
    ngx_queue_remove(&topic->queue);
    sync_topic_worker.n--;

    if (topic->asking) {
        ngx_queue_remove(&topic->wait);
    }

    if (topic->recoverable) {
        sync_topic_worker.handler->forget(topic);
    }

    ngx_free(topic);
}


void
sync_topic_channel(sync_str_t *room, sync_str_t *channel, u_char *buf)
{
    u_char      *p;
    sync_str_t   key;
    u_char       name[SYNC_TOPIC_KEY];

    sync_topic_key(room, &key, name);

    p = ngx_sprintf(buf, "%V:%c:", &sync_topic_worker.main->redis->prefix,
                    sync_name_is_private(room) ? 't' : 'r');

    if (sync_name_is_private(room)) {
        key.data++;
        key.len--;
    }

    p = ngx_cpymem(p, key.data, key.len);

    channel->data = buf;
    channel->len = p - buf;
}


/* The channels of a pattern, for PSUBSCRIBE: only its end means others. */

static void
sync_topic_escape(sync_str_t *room, sync_str_t *channel, u_char *buf)
{
    u_char  *p, *last;

    last = room->data + room->len - 1;

    channel->data = buf;

    buf = ngx_sprintf(buf, "%V:r:", &sync_topic_worker.main->redis->prefix);

    for (p = room->data; p < last; p++) {

        if (*p == '*' || *p == '?' || *p == '[' || *p == '\\') {
            *buf++ = '\\';
        }

        *buf++ = *p;
    }

    *buf++ = '*';

    channel->len = buf - channel->data;
}


void
sync_topic_up(ngx_uint_t shard)
{
    ngx_queue_t          *q;
    sync_topic_t         *topic;
    sync_topic_worker_t  *w;

    w = &sync_topic_worker;

    for (q = ngx_queue_head(&w->topics);
         q != ngx_queue_sentinel(&w->topics);
         q = ngx_queue_next(q))
    {
        topic = ngx_queue_data(q, sync_topic_t, queue);

        if (topic->shard == shard) {
            topic->subscribed = 0;
            topic->link = 0;
            sync_topic_batch_add(topic);
        }
    }

    /* and to all that other workers knew */

    w->bucket = 0;
    w->secret = 0;

    while (sync_topic_look(1)) { /* void */ }

    sync_topic_batch_send();
}


/* What is kept is what to ask for when the link comes again. */

void
sync_topic_down(ngx_uint_t shard)
{
    ngx_queue_t          *q, *next;
    sync_topic_t         *topic;
    sync_topic_worker_t  *w;

    w = &sync_topic_worker;

    if (sync_redis_subscribing(shard)) {
        return;
    }

    for (q = ngx_queue_head(&w->topics);
         q != ngx_queue_sentinel(&w->topics);
         q = next)
    {
        next = ngx_queue_next(q);
        topic = ngx_queue_data(q, sync_topic_t, queue);

        if (topic->shard == shard) {
            sync_topic_destroy(topic);
        }
    }
}


void
sync_topic_tick(void)
{
    ngx_uint_t  i;

    for (i = 0; i < SYNC_TOPIC_PAGES; i++) {
        (void) sync_topic_look(0);
    }

    sync_topic_sweep();
    sync_topic_batch_send();
    sync_lease_flush();
}


/*
 * Looks at some rooms of the zone for those that are no topic yet.  Returns
 * 0 when all were looked at; the next look begins anew.
 */

static ngx_uint_t
sync_topic_look(ngx_uint_t whole)
{
    ngx_uint_t            i, n;
    sync_str_t            prefix, room, key;
    sync_topic_t         *topic;
    sync_topic_worker_t  *w;
    u_char                buf[SYNC_TOPIC_KEY];

    static u_char            secret = SYNC_NAME_PRIVATE;
    static sync_room_info_t  info[SYNC_TOPIC_PAGE];

    w = &sync_topic_worker;

    prefix.data = &secret;
    prefix.len = w->secret ? 1 : 0;

    n = sync_room_page(w->main->zone, &prefix, &w->bucket, info,
                       SYNC_TOPIC_PAGE);

    for (i = 0; i < n; i++) {

        if (info[i].nmembers == 0) {
            continue;
        }

        room.data = info[i].name;
        room.len = info[i].len;

        if (!sync_redis_subscribing(sync_redis_shard(&room))) {
            continue;
        }

        sync_topic_key(&room, &key, buf);

        if (sync_topic_find(&key)) {
            continue;
        }

        topic = sync_topic_create(&room);

        if (topic) {
            sync_topic_batch_add(topic);
        }
    }

    if (w->bucket <= w->main->zone->sh->mask) {
        return 1;
    }

    w->bucket = 0;
    w->secret = !w->secret;

    return w->secret && whole;
}


static void
sync_topic_batch_add(sync_topic_t *topic)
{
    sync_str_t           channel;
    sync_topic_batch_t  *b;

    b = &sync_topic_batch;

    if (b->n && (b->n == SYNC_TOPIC_BATCH || b->shard != topic->shard
                 || b->pattern != topic->pattern))
    {
        sync_topic_batch_send();
    }

    if (b->n == 0) {
        b->len = 0;
        b->shard = topic->shard;
        b->pattern = topic->pattern;
    }

    if (topic->pattern) {
        sync_topic_escape(&topic->room, &channel, b->buf + b->len);

    } else {
        sync_topic_channel(&topic->room, &channel, b->buf + b->len);
    }

    /* the link may be another one than it was asked by before */

    if (topic->asking) {
        ngx_queue_remove(&topic->wait);
    }

    topic->asked = sync_topic_worker.asked + 1;
    topic->asking = 1;

    ngx_queue_insert_tail(&sync_topic_worker.asking[topic->shard],
                          &topic->wait);

    b->n++;
    b->argv[b->n] = (char *) channel.data;
    b->argvlen[b->n] = channel.len;
    b->len += channel.len;
}


static void
sync_topic_batch_send(void)
{
    ngx_int_t            rc;
    ngx_uint_t           id;
    sync_topic_batch_t  *b;

    b = &sync_topic_batch;

    if (b->n == 0) {
        return;
    }

    id = ++sync_topic_worker.asked * SYNC_REDIS_SHARDS_MAX + b->shard;

    b->argv[0] = b->pattern ? "PSUBSCRIBE" : "SUBSCRIBE";
    b->argvlen[0] = ngx_strlen(b->argv[0]);

    /* if the link is not there, it asks for all when it comes */

    rc = sync_redis_subscribe(b->shard, sync_topic_answered, (void *) id,
                              b->n + 1, b->argv,
                              b->argvlen);

    if (rc == SYNC_BUSY || rc == SYNC_ERROR) {
        sync_redis_resubscribe(b->shard, "too much to subscribe to");
    }

    b->n = 0;
}


/* Redis answers in order: all that was asked before is there as well. */

static void
sync_topic_answered(redisReply *reply, sync_redis_error_e error, void *data)
{
    ngx_uint_t            shard, asked;
    ngx_queue_t          *h;
    sync_topic_t         *topic;
    sync_topic_worker_t  *w;

    w = &sync_topic_worker;
    shard = (ngx_uint_t) data % SYNC_REDIS_SHARDS_MAX;
    asked = (ngx_uint_t) data / SYNC_REDIS_SHARDS_MAX;

    if (error == SYNC_REDIS_TIMEOUT
        || (error == SYNC_REDIS_OK && reply->type == REDIS_REPLY_ERROR))
    {
        sync_redis_resubscribe(shard, "SUBSCRIBE failed");
        return;
    }

    if (error != SYNC_REDIS_OK) {
        return;
    }

    h = &w->asking[shard];

    while (!ngx_queue_empty(h)) {
        topic = ngx_queue_data(ngx_queue_head(h), sync_topic_t, wait);

        if (topic->asked > asked) {
            break;
        }

        ngx_queue_remove(&topic->wait);

        topic->asking = 0;
        topic->subscribed = 1;

        if (topic->recoverable) {
            w->handler->load(topic);
        }
    }
}


static void
sync_topic_unanswered(redisReply *reply, sync_redis_error_e error,
    void *data)
{
    if (error == SYNC_REDIS_TIMEOUT
        || (error == SYNC_REDIS_OK && reply->type == REDIS_REPLY_ERROR))
    {
        sync_redis_resubscribe((ngx_uint_t) data, "UNSUBSCRIBE failed");
    }
}


/* Lets go of what has had no members for a while. */

static void
sync_topic_sweep(void)
{
    ngx_uint_t            i, n, nmembers;
    ngx_queue_t          *q;
    sync_str_t            channel;
    const char           *argv[2];
    sync_topic_t         *topic;
    sync_topic_worker_t  *w;
    size_t                argvlen[2];
    u_char                buf[SYNC_TOPIC_CHANNEL_MAX];

    w = &sync_topic_worker;
    n = ngx_min(w->n, ngx_max(SYNC_LEASE_ROOMS, w->n / 8));

    for (i = 0; i < n; i++) {
        q = ngx_queue_head(&w->topics);
        topic = ngx_queue_data(q, sync_topic_t, queue);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&w->topics, q);

        if (topic->recoverable && topic->subscribed) {
            w->handler->keep(topic);
        }

        nmembers = sync_room_count(w->main->zone, &topic->room);

        sync_topic_tell(topic, nmembers);

        if (nmembers) {
            topic->seen = ngx_current_msec;
            continue;
        }

        if (ngx_current_msec - topic->seen < SYNC_TOPIC_LINGER) {
            continue;
        }

        if (topic->pattern) {
            sync_topic_escape(&topic->room, &channel, buf);
            argv[0] = "PUNSUBSCRIBE";

        } else {
            sync_topic_channel(&topic->room, &channel, buf);
            argv[0] = "UNSUBSCRIBE";
        }

        argvlen[0] = ngx_strlen(argv[0]);
        argv[1] = (char *) channel.data;
        argvlen[1] = channel.len;

        if (sync_redis_subscribe(topic->shard, sync_topic_unanswered,
                                 (void *) topic->shard, 2, argv, argvlen)
            == SYNC_BUSY)
        {
            continue;
        }

        sync_topic_destroy(topic);
    }
}


static void
sync_topic_tell(sync_topic_t *topic, ngx_uint_t n)
{
    uint32_t  epoch;

    epoch = sync_lease_epoch(topic->shard);

    if (topic->epoch != epoch) {

        /* nothing is known of it any more */

        topic->epoch = epoch;
        topic->told = 0;
    }

    if (topic->told != n) {
        topic->told = (uint32_t) n;
        sync_lease_tell(topic->shard, &topic->node.str, n);
    }
}
