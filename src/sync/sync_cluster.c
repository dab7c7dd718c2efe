
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_cluster.h>
#include <sync_json.h>
#include <sync_lease.h>
#include <sync_mirror.h>
#include <sync_name.h>
#include <sync_question.h>
#include <sync_redis.h>
#include <sync_timer.h>
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
    ngx_queue_t            waiting;     /* oldest first */
    ngx_event_t            timer;       /* of the oldest */
} sync_cluster_t;


struct sync_cluster_wait_s {
    ngx_queue_t            queue;
    void                 (*handler)(void *data);
    void                  *data;
    ngx_msec_t             since;
    sync_str_t             room;
};


static void sync_cluster_tell(const char *key, sync_str_t *room);
static void sync_cluster_tell_linked(sync_str_t *room);
static void sync_cluster_wait_end(sync_cluster_wait_t *wait);
static void sync_cluster_wait_handler(ngx_event_t *ev);
static void sync_cluster_pack(sync_packet_t *packet, sync_message_t *m);
static void sync_cluster_up(ngx_uint_t shard);
static void sync_cluster_ready(ngx_uint_t shard);
static void sync_cluster_down(ngx_uint_t shard);
static void sync_cluster_connected(ngx_uint_t shard);
static void sync_cluster_channel(sync_str_t *channel, u_char *buf,
    ngx_uint_t own);
static void sync_cluster_beat(ngx_uint_t shard);
static ngx_int_t sync_cluster_send(ngx_uint_t shard, sync_str_t *channel,
    sync_message_t *m, sync_redis_reply_pt handler, void *data);
static u_char *sync_cluster_reserve(size_t size);
static void sync_cluster_message(ngx_uint_t shard, sync_str_t *channel,
    sync_str_t *payload);
static void sync_cluster_room(ngx_uint_t shard, sync_str_t *room,
    sync_str_t *payload);
static void sync_cluster_placed(ngx_uint_t shard, sync_str_t *room,
    sync_packet_place_t *place, sync_str_t *payload);
static void sync_cluster_host(ngx_uint_t shard, sync_str_t *payload);
static ngx_int_t sync_cluster_parse(ngx_uint_t shard, sync_str_t *payload,
    sync_packet_t *packet);
static ngx_uint_t sync_cluster_known(ngx_uint_t shard,
    sync_packet_t *packet);
static void sync_cluster_note(ngx_uint_t shard, sync_packet_t *packet);
static sync_cluster_sender_t *sync_cluster_sender(ngx_uint_t shard,
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


static const sync_topic_handler_t  sync_cluster_topic = {
    sync_mirror_load,
    sync_mirror_keep,
    sync_mirror_wanted,
    sync_mirror_forget
};


static const sync_mirror_handler_t  sync_cluster_mirror_handler = {
    sync_cluster_tell_linked,
    sync_cluster_known,
    sync_cluster_note
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

    ngx_queue_init(&cl->waiting);
    sync_timer_init(&cl->timer, sync_cluster_wait_handler, 0);

    sync_question_init_worker(main);
    sync_lease_init_worker(main);
    sync_append_init_worker(main);
    sync_mirror_init_worker(main, &sync_cluster_mirror_handler);
    sync_topic_init_worker(main, &sync_cluster_topic);
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
            sync_lease_beat(i);
        }
    }

    sync_topic_tick();
}


ngx_int_t
sync_cluster_send_room(sync_str_t *room, sync_message_t *m,
    sync_redis_reply_pt handler, void *data)
{
    sync_str_t  channel;
    u_char      buf[SYNC_TOPIC_CHANNEL_MAX];

    sync_topic_channel(room, &channel, buf);

    return sync_cluster_send(sync_redis_shard(room), &channel, m, handler,
                             data);
}


ngx_int_t
sync_cluster_count(sync_str_t *room, sync_lease_counted_pt handler,
    void *data, sync_lease_count_t **count)
{
    ngx_str_t   name;
    sync_str_t  key;
    u_char      buf[SYNC_TOPIC_KEY];

    if (sync_cluster.main == NULL) {
        return SYNC_DECLINED;
    }

    if (room == NULL) {
        ngx_str_set(&name, "");
        return sync_lease_count(0, &name, handler, data, count);
    }

    sync_topic_key(room, &key, buf);

    name.data = key.data;
    name.len = key.len;

    return sync_lease_count(sync_redis_shard(room), &name, handler, data,
                            count);
}


ngx_int_t
sync_cluster_send_all(sync_message_t *m)
{
    sync_str_t  channel;
    u_char      buf[SYNC_CLUSTER_CHANNEL_MAX];

    sync_cluster_channel(&channel, buf, 0);

    return sync_cluster_send(0, &channel, m, NULL, NULL);
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
    if (sync_cluster.main == NULL) {
        return;
    }

    if (sync_redis_subscribing(sync_redis_shard(room))) {
        sync_topic_add(room);
        return;
    }

    sync_cluster_tell("topic", room);
}


/* {key:room} */

static void
sync_cluster_tell(const char *key, sync_str_t *room)
{
    sync_str_t      json;
    sync_writer_t   w;
    sync_message_t  m;
    u_char          buf[sizeof("{\"linked\":\"\"}") + 6 * SYNC_NAME_MAX];

    sync_writer_init(&w, buf, sizeof(buf));
    sync_write_literal(&w, "{\"");
    sync_write(&w, (u_char *) key, ngx_strlen(key));
    sync_write_literal(&w, "\":");
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
sync_cluster_tell_linked(sync_str_t *room)
{
    sync_cluster_tell("linked", room);
}


void
sync_cluster_obey_linked(sync_str_t *room)
{
    ngx_queue_t          *q, *next;
    sync_cluster_t       *cl;
    sync_cluster_wait_t  *wait;

    cl = &sync_cluster;

    if (cl->main == NULL) {
        return;
    }

    for (q = ngx_queue_head(&cl->waiting);
         q != ngx_queue_sentinel(&cl->waiting);
         q = next)
    {
        next = ngx_queue_next(q);
        wait = ngx_queue_data(q, sync_cluster_wait_t, queue);

        if (sync_str_eq(&wait->room, room)) {

            /* its handler comes in a later turn, with those that are late */

            wait->since = ngx_current_msec - cl->main->redis->timeout;

            ngx_queue_remove(q);
            ngx_queue_insert_head(&cl->waiting, q);

            if (cl->timer.timer_set) {
                ngx_del_timer(&cl->timer);
            }

            ngx_add_timer(&cl->timer, 0);
        }
    }
}


/* It does not know what is waited for. */

void
sync_cluster_obey_up(void)
{
    ngx_queue_t          *q;
    sync_cluster_t       *cl;
    sync_cluster_wait_t  *wait;

    cl = &sync_cluster;

    if (cl->main == NULL) {
        return;
    }

    for (q = ngx_queue_head(&cl->waiting);
         q != ngx_queue_sentinel(&cl->waiting);
         q = ngx_queue_next(q))
    {
        wait = ngx_queue_data(q, sync_cluster_wait_t, queue);

        sync_cluster_joined(&wait->room);
    }
}


ngx_uint_t
sync_cluster_linked(sync_str_t *room)
{
    uint32_t         link;
    ngx_uint_t       shard;
    sync_cluster_t  *cl;

    cl = &sync_cluster;

    if (cl->main == NULL || sync_name_is_pattern(room)
        || sync_settings_rule(cl->main, room)->room.history == 0)
    {
        return 1;
    }

    shard = sync_redis_shard(room);
    link = cl->main->zone->sh->links[shard];

    return link && sync_redis_hears(shard)
           && sync_room_linked(cl->main->zone, room) == link;
}


ngx_uint_t
sync_cluster_reached(sync_str_t *room, sync_str_t *pos)
{
    sync_position_t  top, position;

    if (!sync_cluster_linked(room)) {
        return 0;
    }

    if (sync_cluster.main == NULL || pos->len == 0
        || sync_position_parse(&position, pos) != SYNC_OK)
    {
        return 1;
    }

    /* what was heard on one host may be on its way to another */

    return sync_room_top(sync_cluster.main->zone, room, &top) != SYNC_OK
           || position.lsn <= top.lsn;
}


ngx_int_t
sync_cluster_wait(sync_str_t *room, sync_str_t *pos,
    void (*handler)(void *data), void *data, sync_cluster_wait_t **wait)
{
    ngx_uint_t            shard;
    sync_cluster_t       *cl;
    sync_cluster_wait_t  *cw;

    cl = &sync_cluster;

    if (sync_cluster_reached(room, pos)) {
        return SYNC_OK;
    }

    shard = sync_redis_shard(room);

    if (!sync_redis_hopeful(shard) && !sync_redis_hears(shard)) {
        return SYNC_OK;
    }

    cw = ngx_alloc(sizeof(sync_cluster_wait_t) + room->len, ngx_cycle->log);
    if (cw == NULL) {
        return SYNC_OK;
    }

    cw->handler = handler;
    cw->data = data;
    cw->since = ngx_current_msec;
    cw->room.data = (u_char *) cw + sizeof(sync_cluster_wait_t);
    cw->room.len = room->len;
    ngx_memcpy(cw->room.data, room->data, room->len);

    ngx_queue_insert_tail(&cl->waiting, &cw->queue);

    if (!cl->timer.timer_set) {
        ngx_add_timer(&cl->timer, cl->main->redis->timeout);
    }

    *wait = cw;

    sync_cluster_joined(room);

    return SYNC_AGAIN;
}


void
sync_cluster_wait_cancel(sync_cluster_wait_t *wait)
{
    sync_cluster_wait_end(wait);
}


static void
sync_cluster_wait_end(sync_cluster_wait_t *wait)
{
    sync_cluster_t  *cl;

    cl = &sync_cluster;

    ngx_queue_remove(&wait->queue);
    ngx_free(wait);

    if (ngx_queue_empty(&cl->waiting) && cl->timer.timer_set) {
        ngx_del_timer(&cl->timer);
    }
}


/* A handler may cancel others, and wait anew. */

static void
sync_cluster_wait_handler(ngx_event_t *ev)
{
    void                  *data;
    void                 (*handler)(void *data);
    ngx_msec_t             passed;
    sync_cluster_t        *cl;
    sync_cluster_wait_t   *wait;

    cl = &sync_cluster;

    while (!ngx_queue_empty(&cl->waiting)) {

        wait = ngx_queue_data(ngx_queue_head(&cl->waiting),
                              sync_cluster_wait_t, queue);

        passed = ngx_current_msec - wait->since;

        if (passed < cl->main->redis->timeout) {

            if (!cl->timer.timer_set) {
                ngx_add_timer(&cl->timer, cl->main->redis->timeout - passed);
            }

            return;
        }

        handler = wait->handler;
        data = wait->data;

        sync_cluster_wait_end(wait);

        handler(data);
    }
}


ngx_int_t
sync_cluster_append(sync_str_t *room, sync_room_rule_t *rule,
    sync_message_t *m, sync_str_t *id, sync_append_pt handler, void *data)
{
    sync_packet_t  packet;

    sync_cluster_pack(&packet, m);

    return sync_append(room, rule, m, &packet, id, handler, data);
}


static void
sync_cluster_up(ngx_uint_t shard)
{
    sync_str_t   all, own, asked, none;
    const char  *argv[4];
    size_t       argvlen[4];
    u_char       buf[2][SYNC_CLUSTER_CHANNEL_MAX];
    u_char       name[SYNC_QUESTION_KEY_MAX];

    sync_cluster_channel(&all, buf[0], 0);
    sync_cluster_channel(&own, buf[1], 1);

    argv[0] = "SUBSCRIBE";
    argvlen[0] = 9;
    argv[1] = (char *) own.data;
    argvlen[1] = own.len;
    argv[2] = (char *) all.data;
    argvlen[2] = all.len;

    sync_question_channel(&asked, name);

    argv[3] = (char *) asked.data;
    argvlen[3] = asked.len;

    /* what concerns all hosts is said on the first shard */

    if (sync_redis_subscribe(shard, NULL, NULL, shard ? 2 : 4, argv, argvlen)
        != SYNC_OK)
    {
        sync_redis_resubscribe(shard, "no memory");
        return;
    }

    /* no room follows Redis before it has caught up */

    sync_cluster.main->zone->sh->links[shard]++;

    sync_topic_up(shard);
    sync_lease_up(shard);

    sync_str_set(&none, "");
    sync_cluster_tell("up", &none);
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
    sync_lease_down(shard);
}


static void
sync_cluster_connected(ngx_uint_t shard)
{
    sync_append_connected(shard);
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
sync_cluster_send(ngx_uint_t shard, sync_str_t *channel, sync_message_t *m,
    sync_redis_reply_pt handler, void *data)
{
    size_t          size;
    u_char         *p;
    ngx_int_t       rc;
    const char     *argv[3];
    sync_zone_t    *z;
    sync_packet_t   packet;
    size_t          argvlen[3];

    z = sync_cluster.main->zone;

    sync_cluster_pack(&packet, m);

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

        rc = sync_redis_command(shard, NULL, handler, data, 3, argv,
                                argvlen);
    }

    if (rc != SYNC_OK) {
        sync_zone_count(z, SYNC_COUNT_CLUSTER_UNSENT, 1);
        return SYNC_DECLINED;
    }

    sync_zone_count(z, SYNC_COUNT_CLUSTER_SENT, 1);

    return SYNC_OK;
}


static void
sync_cluster_pack(sync_packet_t *packet, sync_message_t *m)
{
    sync_zone_t     *z;
    sync_cluster_t  *cl;

    cl = &sync_cluster;
    z = cl->main->zone;

    packet->kind = m->kind;
    packet->flags = m->flags;
    packet->host = z->sh->id;
    packet->sender = z->self ? sync_worker_slot(z, z->self) : 0;
    packet->number = ++cl->number;
    packet->time = m->time;
    packet->ack = m->ack;
    packet->event_len = m->event_len;
    packet->nexcept = m->nexcept;
    packet->json = m->json;
    packet->subject = m->subject;
    packet->except = m->except;
    packet->extra = m->extra;
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

    case 'q':
        sync_question_heard(payload);
        return;

    default: /* "all" */
        sync_cluster_host(shard, payload);
        return;
    }
}


static void
sync_cluster_room(ngx_uint_t shard, sync_str_t *room, sync_str_t *payload)
{
    ngx_int_t             rc;
    sync_zone_t          *z;
    sync_packet_t         packet;
    sync_message_t        m;
    sync_published_t      p;
    sync_packet_place_t   place;

    rc = sync_packet_parse_place(&place, payload);

    if (rc == SYNC_OK) {
        sync_cluster_placed(shard, room, &place, payload);
        return;
    }

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


/* One that Redis ordered; this host's own come back like all others. */

static void
sync_cluster_placed(ngx_uint_t shard, sync_str_t *room,
    sync_packet_place_t *place, sync_str_t *payload)
{
    sync_zone_t    *z;
    sync_topic_t   *topic;
    sync_packet_t   packet;

    z = sync_cluster.main->zone;

    if (sync_packet_parse(&packet, payload) != SYNC_OK) {
        sync_zone_count(z, SYNC_COUNT_CLUSTER_INVALID, 1);
        return;
    }

    topic = sync_topic_lookup(room);

    if (topic && !topic->recoverable) {
        return;
    }

    if (packet.host != z->sh->id) {
        sync_zone_count(z, SYNC_COUNT_CLUSTER_RECEIVED, 1);
    }

    sync_mirror_message(shard, topic, room, place, &packet);
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
    case SYNC_ENTRY_ROOMS:
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

    sync_cluster_note(shard, packet);

    sync_zone_count(z, SYNC_COUNT_CLUSTER_RECEIVED, 1);

    return SYNC_OK;
}


/* Whether it was here before; two senders may push one another out. */

static ngx_uint_t
sync_cluster_known(ngx_uint_t shard, sync_packet_t *packet)
{
    sync_cluster_sender_t  *s;

    s = sync_cluster_sender(shard, packet);

    return s && packet->number <= s->number;
}


static void
sync_cluster_note(ngx_uint_t shard, sync_packet_t *packet)
{
    sync_cluster_sender_t  *s;

    s = sync_cluster_sender(shard, packet);

    if (s && packet->number > s->number) {
        s->number = packet->number;
    }
}


static sync_cluster_sender_t *
sync_cluster_sender(ngx_uint_t shard, sync_packet_t *packet)
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
            return NULL;
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

    return s;
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
