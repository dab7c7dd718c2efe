
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_cluster.h>
#include <sync_json.h>
#include <sync_name.h>
#include <sync_redis.h>
#include <sync_topic.h>
#include <sync_wake.h>


/*
 * A message carries its host, its sender there (a worker's slot) and a number
 * that rises with each of the sender's on a shard.  Redis keeps their order.
 * So one that comes twice, as a room's and as that of a pattern which matches
 * the room, or to a worker that takes the subscriber over from another, is
 * known by its number.
 */


#define SYNC_CLUSTER_SENDERS  1024      /* remembered, a power of two */

/* channels end in this at most, prefix apart: ":h:" and an id */
#define SYNC_CLUSTER_CHANNEL_MAX  (64 + 3 + SYNC_CLUSTER_ID_TEXT)

/* ms without our own heart beat, beyond twice the time limit */
#define SYNC_CLUSTER_SILENCE  3000


typedef struct {
    uint64_t               host;
    uint64_t               number;
    uint32_t               sender;
    uint32_t               shard;
} sync_cluster_sender_t;


typedef struct {
    sync_main_settings_t  *main;        /* NULL: one host alone */
    uint64_t               number;      /* of the last message sent */
    u_char                *buf;         /* of the one to be sent */
    size_t                 size;
    ngx_msec_t             heard[SYNC_REDIS_SHARDS_MAX];
    sync_cluster_sender_t *senders;     /* of messages that came */
} sync_cluster_t;


static void sync_cluster_up(ngx_uint_t shard);
static void sync_cluster_ready(ngx_uint_t shard);
static void sync_cluster_down(ngx_uint_t shard);
static void sync_cluster_connected(ngx_uint_t shard);
static void sync_cluster_channel(sync_str_t *channel, u_char *buf,
    ngx_uint_t own);
static void sync_cluster_beat(ngx_uint_t shard);
static ngx_int_t sync_cluster_send(ngx_uint_t shard, sync_str_t *channel,
    sync_message_t *m);
static u_char *sync_cluster_reserve(size_t size);
static void sync_cluster_message(ngx_uint_t shard, sync_str_t *channel,
    sync_str_t *payload);
static void sync_cluster_room(ngx_uint_t shard, sync_str_t *room,
    sync_str_t *payload);
static void sync_cluster_host(ngx_uint_t shard, sync_str_t *payload);
static ngx_int_t sync_cluster_parse(ngx_uint_t shard, sync_str_t *payload,
    sync_packet_t *packet);
static ngx_uint_t sync_cluster_known(ngx_uint_t shard,
    sync_packet_t *packet);
static void sync_cluster_unpack(sync_message_t *m, sync_packet_t *packet);
static void sync_cluster_announce(sync_message_t *m);


static const sync_redis_subscriber_t  sync_cluster_subscriber = {
    sync_cluster_up,
    sync_cluster_ready,
    sync_cluster_down,
    sync_cluster_message,
    sync_cluster_connected
};


static sync_cluster_t  sync_cluster;


void
sync_cluster_init_worker(sync_main_settings_t *main)
{
    ngx_time_t      *tp;
    sync_cluster_t  *cl;

    cl = &sync_cluster;

    ngx_memzero(cl, sizeof(sync_cluster_t));

    if (main->redis == NULL) {
        return;
    }

    cl->main = main;

    /* above what a former worker of the slot can have got to */

    tp = ngx_timeofday();
    cl->number = ((uint64_t) tp->sec * 1000 + tp->msec) << 20;

    sync_topic_init_worker(main);
    sync_redis_listen(&sync_cluster_subscriber);
}


ngx_uint_t
sync_cluster_enabled(void)
{
    return sync_cluster.main != NULL;
}


void
sync_cluster_tick(void)
{
    ngx_uint_t       i;
    sync_cluster_t  *cl;

    cl = &sync_cluster;

    if (cl->main == NULL) {
        return;
    }

    for (i = 0; i < sync_redis_shards(); i++) {

        if (sync_redis_subscribed(i)) {
            sync_cluster_beat(i);
        }
    }

    sync_topic_tick();
}


ngx_int_t
sync_cluster_send_room(sync_str_t *room, sync_message_t *m)
{
    sync_str_t  channel;
    u_char      buf[SYNC_TOPIC_CHANNEL_MAX];

    sync_topic_channel(room, &channel, buf);

    return sync_cluster_send(sync_redis_shard(room), &channel, m);
}


ngx_int_t
sync_cluster_send_all(sync_message_t *m)
{
    sync_str_t  channel;
    u_char      buf[SYNC_CLUSTER_CHANNEL_MAX];

    sync_cluster_channel(&channel, buf, 0);

    return sync_cluster_send(0, &channel, m);
}


ngx_int_t
sync_cluster_order(sync_str_t *json)
{
    sync_message_t  m;

    ngx_memzero(&m, sizeof(sync_message_t));

    m.json = *json;
    m.kind = SYNC_ENTRY_COMMAND;
    m.time = (uint64_t) ngx_time() * 1000;

    return sync_cluster_send_all(&m);
}


/* The one that holds the subscriber hears of it like all workers. */

void
sync_cluster_joined(sync_str_t *room)
{
    ngx_uint_t      shard;
    sync_str_t      json;
    sync_writer_t   w;
    sync_message_t  m;
    u_char          buf[sizeof("{\"topic\":\"\"}")
                        + 6 * SYNC_NAME_MAX];

    if (sync_cluster.main == NULL) {
        return;
    }

    shard = sync_redis_shard(room);

    if (sync_redis_subscribing(shard)) {
        sync_topic_add(room);
        return;
    }

    sync_writer_init(&w, buf, sizeof(buf));
    sync_write_literal(&w, "{\"topic\":");
    sync_json_write_str(&w, room);
    sync_write_byte(&w, '}');

    if (!sync_writer_fits(&w)) {
        return;
    }

    json.data = buf;
    json.len = w.len;

    ngx_memzero(&m, sizeof(sync_message_t));

    m.json = json;
    m.kind = SYNC_ENTRY_COMMAND;

    sync_cluster_announce(&m);
}


void
sync_cluster_obey(sync_str_t *room)
{
    if (sync_cluster.main) {
        sync_topic_add(room);
    }
}


static void
sync_cluster_up(ngx_uint_t shard)
{
    sync_str_t   all, own;
    const char  *argv[3];
    size_t       argvlen[3];
    u_char       buf[2][SYNC_CLUSTER_CHANNEL_MAX];

    sync_cluster_channel(&all, buf[0], 0);
    sync_cluster_channel(&own, buf[1], 1);

    argv[0] = "SUBSCRIBE";
    argvlen[0] = 9;
    argv[1] = (char *) own.data;
    argvlen[1] = own.len;
    argv[2] = (char *) all.data;
    argvlen[2] = all.len;

    if (sync_redis_subscribe(shard, NULL, NULL, shard ? 2 : 3, argv, argvlen)
        != SYNC_OK)
    {
        sync_redis_resubscribe(shard, "no memory");
        return;
    }

    sync_topic_up(shard);
}


static void
sync_cluster_ready(ngx_uint_t shard)
{
    sync_cluster.heard[shard] = ngx_current_msec;
}


static void
sync_cluster_down(ngx_uint_t shard)
{
    sync_topic_down(shard);
}


static void
sync_cluster_connected(ngx_uint_t shard)
{
    /* void */
}


static void
sync_cluster_channel(sync_str_t *channel, u_char *buf, ngx_uint_t own)
{
    u_char     *p;
    ngx_str_t  *prefix;

    prefix = &sync_cluster.main->redis->prefix;

    p = own ? ngx_sprintf(buf, "%V:h:%016xL", prefix,
                          sync_cluster.main->zone->sh->id)
            : ngx_sprintf(buf, "%V:all", prefix);

    channel->data = buf;
    channel->len = p - buf;
}


/*
 * To ourselves, by way of Redis: if it does not come, though commands are
 * answered, the subscriber is not what it seems.
 */

static void
sync_cluster_beat(ngx_uint_t shard)
{
    sync_str_t       channel;
    const char      *argv[3];
    sync_cluster_t  *cl;
    size_t           argvlen[3];
    u_char           buf[SYNC_CLUSTER_CHANNEL_MAX];

    cl = &sync_cluster;

    if (ngx_current_msec - cl->heard[shard]
        > 2 * cl->main->redis->timeout + SYNC_CLUSTER_SILENCE)
    {
        sync_redis_resubscribe(shard, "no heart beat came back");
        return;
    }

    sync_cluster_channel(&channel, buf, 1);

    argv[0] = "PUBLISH";
    argvlen[0] = 7;
    argv[1] = (char *) channel.data;
    argvlen[1] = channel.len;
    argv[2] = "beat";
    argvlen[2] = 4;

    if (sync_redis_command(shard, NULL, NULL, NULL, 3, argv, argvlen)
        != SYNC_OK)
    {
        /* it says nothing of the subscriber */
        cl->heard[shard] = ngx_current_msec;
    }
}


static ngx_int_t
sync_cluster_send(ngx_uint_t shard, sync_str_t *channel, sync_message_t *m)
{
    size_t           size;
    u_char          *p;
    ngx_int_t        rc;
    const char      *argv[3];
    sync_zone_t     *z;
    sync_packet_t    packet;
    sync_cluster_t  *cl;
    size_t           argvlen[3];

    cl = &sync_cluster;
    z = cl->main->zone;

    packet.kind = m->kind;
    packet.flags = m->flags;
    packet.host = z->sh->id;
    packet.sender = z->self ? sync_worker_slot(z, z->self) : 0;
    packet.number = ++cl->number;
    packet.time = m->time;
    packet.ack = m->ack;
    packet.event_len = m->event_len;
    packet.nexcept = m->nexcept;
    packet.json = m->json;
    packet.subject = m->subject;
    packet.except = m->except;
    packet.extra = m->extra;

    size = sync_packet_size(&packet);
    p = sync_cluster_reserve(size);

    rc = SYNC_ERROR;

    if (p) {
        (void) sync_packet_write(p, &packet);

        argv[0] = "PUBLISH";
        argvlen[0] = 7;
        argv[1] = (char *) channel->data;
        argvlen[1] = channel->len;
        argv[2] = (char *) p;
        argvlen[2] = size;

        rc = sync_redis_command(shard, NULL, NULL, NULL, 3, argv, argvlen);
    }

    if (rc != SYNC_OK) {
        sync_zone_count(z, SYNC_COUNT_CLUSTER_UNSENT, 1);
        return SYNC_DECLINED;
    }

    sync_zone_count(z, SYNC_COUNT_CLUSTER_SENT, 1);

    return SYNC_OK;
}


static u_char *
sync_cluster_reserve(size_t size)
{
    u_char          *p;
    sync_cluster_t  *cl;

    cl = &sync_cluster;

    if (size <= cl->size) {
        return cl->buf;
    }

    size = ngx_max(size, 2 * cl->size);

    p = ngx_alloc(size, ngx_cycle->log);
    if (p == NULL) {
        return NULL;
    }

    if (cl->buf) {
        ngx_free(cl->buf);
    }

    cl->buf = p;
    cl->size = size;

    return p;
}


/* prefix, ":", a letter, ":", and what is meant by it; or "all" */

static void
sync_cluster_message(ngx_uint_t shard, sync_str_t *channel,
    sync_str_t *payload)
{
    size_t         len;
    u_char         kind;
    sync_str_t     name;
    sync_topic_t  *topic;

    len = sync_cluster.main->redis->prefix.len + 3;

    if (channel->len < len) {
        return;
    }

    kind = channel->data[len - 2];
    name.data = channel->data + len;
    name.len = channel->len - len;

    switch (kind) {

    case 'r':
        sync_cluster_room(shard, &name, payload);
        return;

    case 't':
        topic = sync_topic_lookup_secret(&name);

        if (topic) {
            sync_topic_name(topic, &name);
            sync_cluster_room(shard, &name, payload);
        }

        return;

    case 'h':
        sync_cluster.heard[shard] = ngx_current_msec;
        return;

    default: /* "all" */
        sync_cluster_host(shard, payload);
        return;
    }
}


static void
sync_cluster_room(ngx_uint_t shard, sync_str_t *room, sync_str_t *payload)
{
    sync_zone_t       *z;
    sync_packet_t      packet;
    sync_message_t     m;
    sync_published_t   p;

    if (sync_cluster_parse(shard, payload, &packet) != SYNC_OK
        || packet.kind != SYNC_ENTRY_MESSAGE)
    {
        return;
    }

    /* hosts that do not agree on a rule: an order of its own is not theirs */

    if (sync_settings_rule(sync_cluster.main, room)->room.history) {
        return;
    }

    z = sync_cluster.main->zone;

    sync_cluster_unpack(&m, &packet);

    if (sync_room_publish(z, room, NULL, NULL, &m, &p) == SYNC_OK) {
        sync_wake_send(z, &p.wake);
    }
}


static void
sync_cluster_host(ngx_uint_t shard, sync_str_t *payload)
{
    sync_packet_t       packet;
    sync_message_t      m;
    sync_record_info_t  info;

    if (sync_cluster_parse(shard, payload, &packet) != SYNC_OK) {
        return;
    }

    sync_cluster_unpack(&m, &packet);

    switch (m.kind) {

    case SYNC_ENTRY_PATTERN:
    case SYNC_ENTRY_ALL:
    case SYNC_ENTRY_COMMAND:
        break;

    case SYNC_ENTRY_CLIENT:

        if (m.subject.len != SYNC_ID_LEN
            || sync_registry_info(sync_cluster.main->zone, m.subject.data,
                                  &info)
               != SYNC_OK)
        {
            return;
        }

        break;

    default:
        return;
    }

    sync_cluster_announce(&m);
}


/* SYNC_OK, or SYNC_DECLINED if it is not to be acted upon. */

static ngx_int_t
sync_cluster_parse(ngx_uint_t shard, sync_str_t *payload,
    sync_packet_t *packet)
{
    sync_zone_t  *z;

    z = sync_cluster.main->zone;

    if (sync_packet_parse(packet, payload) != SYNC_OK) {
        sync_zone_count(z, SYNC_COUNT_CLUSTER_INVALID, 1);
        return SYNC_DECLINED;
    }

    if (packet->host == z->sh->id || sync_cluster_known(shard, packet)) {
        return SYNC_DECLINED;
    }

    sync_zone_count(z, SYNC_COUNT_CLUSTER_RECEIVED, 1);

    return SYNC_OK;
}


/* Whether it was here before; two senders may push one another out. */

static ngx_uint_t
sync_cluster_known(ngx_uint_t shard, sync_packet_t *packet)
{
    uint64_t                h;
    sync_cluster_t         *cl;
    sync_cluster_sender_t  *s;

    cl = &sync_cluster;

    if (cl->senders == NULL) {
        cl->senders = ngx_calloc(SYNC_CLUSTER_SENDERS
                                 * sizeof(sync_cluster_sender_t),
                                 ngx_cycle->log);
        if (cl->senders == NULL) {
            return 0;
        }
    }

    h = packet->host + packet->sender * 0x9e3779b97f4a7c15 + shard;

    s = &cl->senders[(h ^ h >> 32) & (SYNC_CLUSTER_SENDERS - 1)];

    if (s->host != packet->host || s->sender != packet->sender
        || s->shard != shard)
    {
        s->host = packet->host;
        s->sender = packet->sender;
        s->shard = (uint32_t) shard;
        s->number = 0;
    }

    if (packet->number <= s->number) {
        return 1;
    }

    s->number = packet->number;

    return 0;
}


static void
sync_cluster_unpack(sync_message_t *m, sync_packet_t *packet)
{
    ngx_memzero(m, sizeof(sync_message_t));

    m->json = packet->json;
    m->event_len = packet->event_len;
    m->subject = packet->subject;
    m->except = packet->except;
    m->nexcept = packet->nexcept;
    m->kind = packet->kind;
    m->flags = packet->flags;
    m->time = packet->time;
    m->ack = packet->ack;
    m->extra = packet->extra;
    m->nonce = (uint32_t) ngx_random();
}


static void
sync_cluster_announce(sync_message_t *m)
{
    sync_zone_t       *z;
    sync_published_t   p;

    z = sync_cluster.main->zone;

    if (m->time == 0) {
        m->time = (uint64_t) ngx_time() * 1000;
    }

    if (sync_room_announce(z, m, &p) == SYNC_OK) {
        sync_wake_send(z, &p.wake);
    }
}
