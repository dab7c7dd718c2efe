
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_mirror.h>
#include <sync_append.h>
#include <sync_wake.h>


#define SYNC_MIRROR_PAGE  "100"         /* entries read at once */
#define SYNC_MIRROR_KEEP  3             /* part of the time to live */

/* "<half>-<half>" of an LSN */
#define SYNC_MIRROR_ID    (2 * NGX_INT64_LEN + 2)


static void sync_mirror_read(sync_topic_t *topic);
static void sync_mirror_answered(redisReply *reply, sync_redis_error_e error,
    void *data);
static void sync_mirror_empty(sync_topic_t *topic);
static void sync_mirror_born(redisReply *reply, sync_redis_error_e error,
    void *data);
static ngx_int_t sync_mirror_page(sync_topic_t *topic, redisReply *reply);
static ngx_int_t sync_mirror_entry(sync_topic_t *topic, redisReply *reply,
    ngx_uint_t first);
static void sync_mirror_whole(sync_topic_t *topic);
static void sync_mirror_done(sync_topic_t *topic);
static ngx_int_t sync_mirror_append(sync_topic_t *topic,
    sync_packet_place_t *place, sync_packet_t *packet);
static void sync_mirror_unpack(sync_message_t *m, sync_packet_place_t *place,
    sync_packet_t *packet);


static sync_main_settings_t         *sync_mirror_main;
static const sync_mirror_handler_t  *sync_mirror_handler;


void
sync_mirror_init_worker(sync_main_settings_t *main,
    const sync_mirror_handler_t *handler)
{
    sync_mirror_main = main;
    sync_mirror_handler = handler;
}


void
sync_mirror_load(sync_topic_t *topic)
{
    sync_position_t  top;

    if (topic->call) {
        topic->again = 1;
        return;
    }

    topic->again = 0;
    topic->begun = 0;

    topic->whole = (sync_room_top(sync_mirror_main->zone, &topic->room, &top)
                    != SYNC_OK);

    /* members may have come first */

    topic->blank = (!topic->whole && top.lsn == 0 && top.nonce == 0);

    sync_mirror_read(topic);
}


/* A page of the stream: from our top on, which is to be in it, too. */

static void
sync_mirror_read(sync_topic_t *topic)
{
    u_char           *p;
    sync_str_t        key;
    const char       *argv[6];
    sync_position_t   top;
    size_t            argvlen[6];
    u_char            id[SYNC_MIRROR_ID], buf[SYNC_APPEND_KEY_MAX];

    p = id;

    if (topic->whole && !topic->begun) {
        *p++ = '-';

    } else {
        if (sync_room_top(sync_mirror_main->zone, &topic->room, &top)
            != SYNC_OK)
        {
            sync_mirror_whole(topic);
            return;
        }

        topic->from = top.lsn;

        p = ngx_sprintf(p, "%uD-%uD", (uint32_t) (top.lsn >> 32),
                        (uint32_t) top.lsn);
    }

    sync_append_key(&topic->room, &key, buf);

    argv[0] = "XRANGE";
    argvlen[0] = 6;
    argv[1] = (char *) key.data;
    argvlen[1] = key.len;
    argv[2] = (char *) id;
    argvlen[2] = p - id;
    argv[3] = "+";
    argvlen[3] = 1;
    argv[4] = "COUNT";
    argvlen[4] = 5;
    argv[5] = SYNC_MIRROR_PAGE;
    argvlen[5] = sizeof(SYNC_MIRROR_PAGE) - 1;

    /* without a link, the next one that comes up loads it */

    if (sync_redis_command(topic->shard, &topic->call, sync_mirror_answered,
                           topic, 6, argv, argvlen)
        != SYNC_OK)
    {
        topic->call = NULL;
        topic->behind = 1;
    }
}


static void
sync_mirror_answered(redisReply *reply, sync_redis_error_e error, void *data)
{
    sync_topic_t *topic = data;

    topic->call = NULL;

    if (error != SYNC_REDIS_OK || reply->type != REDIS_REPLY_ARRAY) {
        topic->behind = 1;
        return;
    }

    switch (sync_mirror_page(topic, reply)) {

    case SYNC_OK:
        sync_mirror_done(topic);
        return;

    case SYNC_AGAIN:
        sync_mirror_read(topic);
        return;

    case SYNC_DECLINED:
        sync_mirror_empty(topic);
        return;

    case SYNC_ERROR:

        if (!topic->whole) {
            sync_mirror_whole(topic);
            return;
        }

        /* it changed under our hands; or the zone is full */

        /* fall through */

    default:
        topic->behind = 1;
        return;
    }
}


/* There is nothing in the stream: is it the one that we have? */

static void
sync_mirror_empty(sync_topic_t *topic)
{
    sync_rule_t  *rule;

    rule = sync_settings_rule(sync_mirror_main, &topic->room);

    if (sync_append_birth(topic->shard, &topic->room, &rule->room,
                          &topic->call, sync_mirror_born, topic)
        != SYNC_OK)
    {
        topic->call = NULL;
        topic->behind = 1;
    }
}


static void
sync_mirror_born(redisReply *reply, sync_redis_error_e error, void *data)
{
    sync_topic_t *topic = data;

    uint32_t          nonce;
    sync_rule_t      *rule;
    sync_position_t   top;

    topic->call = NULL;

    if (error != SYNC_REDIS_OK) {
        topic->behind = 1;
        return;
    }

    if (sync_room_top(sync_mirror_main->zone, &topic->room, &top) != SYNC_OK) {
        ngx_memzero(&top, sizeof(sync_position_t));
        topic->whole = 1;
    }

    if (!topic->whole && top.lsn != topic->from) {

        /* nothing was there then; what came since was heard */

        sync_mirror_read(topic);
        return;
    }

    switch (sync_append_parse_birth(&nonce, reply)) {

    case SYNC_OK:
        break;

    case SYNC_DECLINED:

        if (!topic->whole && top.lsn) {

            /* it ends before what we have */

            sync_mirror_whole(topic);
            return;
        }

        /* something came meanwhile */

        sync_mirror_read(topic);
        return;

    default:
        topic->behind = 1;
        return;
    }

    if (!topic->whole) {

        if (top.lsn || top.nonce != nonce) {
            sync_mirror_whole(topic);
            return;
        }

        sync_mirror_done(topic);
        return;
    }

    top.lsn = 0;
    top.nonce = nonce;

    rule = sync_settings_rule(sync_mirror_main, &topic->room);

    if (sync_room_rebase(sync_mirror_main->zone, &topic->room, &rule->room,
                         &top)
        != SYNC_OK)
    {
        topic->behind = 1;
        return;
    }

    sync_mirror_done(topic);
}


/*
 * SYNC_OK if that was all, SYNC_AGAIN if there is more, SYNC_DECLINED if there
 * is nothing at all, SYNC_ERROR if it does not follow what we have, SYNC_BUSY.
 */

static ngx_int_t
sync_mirror_page(sync_topic_t *topic, redisReply *reply)
{
    size_t     i;
    ngx_int_t  rc;

    if (reply->elements == 0) {
        return topic->begun ? SYNC_OK : SYNC_DECLINED;
    }

    for (i = 0; i < reply->elements; i++) {
        rc = sync_mirror_entry(topic, reply->element[i],
                               i == 0 && !topic->begun);

        if (rc != SYNC_OK) {
            return rc;
        }

        topic->begun = 1;
    }

    /* each page begins with the last entry of the one before */

    return reply->elements > 1 ? SYNC_AGAIN : SYNC_OK;
}


/* [id, ["m", place and packet]] */

static ngx_int_t
sync_mirror_entry(sync_topic_t *topic, redisReply *reply, ngx_uint_t first)
{
    ngx_int_t             rc;
    redisReply           *fields;
    sync_str_t            s;
    sync_rule_t          *rule;
    sync_packet_t         packet;
    sync_packet_place_t   place;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
        return SYNC_BUSY;
    }

    fields = reply->element[1];

    if (fields->type != REDIS_REPLY_ARRAY || fields->elements != 2
        || fields->element[1]->type != REDIS_REPLY_STRING)
    {
        return SYNC_BUSY;
    }

    s.data = (u_char *) fields->element[1]->str;
    s.len = fields->element[1]->len;

    if (sync_packet_parse_place(&place, &s) != SYNC_OK
        || sync_packet_parse(&packet, &s) != SYNC_OK)
    {
        sync_zone_count(sync_mirror_main->zone, SYNC_COUNT_CLUSTER_INVALID,
                        1);
        return SYNC_BUSY;
    }

    if (first && topic->whole) {
        rule = sync_settings_rule(sync_mirror_main, &topic->room);

        rc = sync_room_rebase(sync_mirror_main->zone, &topic->room,
                              &rule->room, &place.prev);
        if (rc != SYNC_OK) {
            return rc;
        }
    }

    rc = sync_mirror_append(topic, &place, &packet);

    if (rc == SYNC_OK && !topic->whole && !topic->blank) {
        sync_mirror_handler->note(topic->shard, &packet);
    }

    if (rc == SYNC_DECLINED) {
        return SYNC_OK;
    }

    return (rc == SYNC_AGAIN) ? SYNC_ERROR : rc;
}


static void
sync_mirror_whole(sync_topic_t *topic)
{
    sync_zone_count(sync_mirror_main->zone, SYNC_COUNT_CLUSTER_FORKS, 1);

    topic->whole = 1;
    topic->begun = 0;

    sync_mirror_read(topic);
}


static void
sync_mirror_done(sync_topic_t *topic)
{
    sync_zone_t      *z;
    sync_wake_set_t   wake;

    z = sync_mirror_main->zone;

    if (topic->again) {
        topic->again = 0;
        topic->begun = 0;

        /* what came meanwhile; members hear of it when all is there */

        if (topic->whole) {
            topic->begun = 1;
        }

        sync_mirror_read(topic);
        return;
    }

    topic->whole = 0;
    topic->blank = 0;
    topic->behind = 0;
    topic->read = 1;
    topic->link = z->sh->links[topic->shard];

    sync_room_link(z, &topic->room, topic->link, &wake);
    sync_wake_send(z, &wake);

    sync_mirror_handler->linked(&topic->room);
}


void
sync_mirror_message(ngx_uint_t shard, sync_topic_t *topic, sync_str_t *room,
    sync_packet_place_t *place, sync_packet_t *packet)
{
    ngx_int_t          rc;
    sync_message_t     m;
    sync_published_t   p;

    if ((topic == NULL || topic->whole || topic->blank)
        && !sync_mirror_handler->known(shard, packet))
    {
        sync_mirror_unpack(&m, place, packet);
        sync_room_patterns(sync_mirror_main->zone, room, &m, &p);
        sync_wake_send(sync_mirror_main->zone, &p.wake);

        sync_mirror_handler->note(shard, packet);
    }

    if (topic == NULL) {
        return;
    }

    rc = sync_mirror_append(topic, place, packet);

    if (rc == SYNC_OK) {
        sync_mirror_handler->note(shard, packet);
    }

    if (rc != SYNC_OK && rc != SYNC_DECLINED) {
        sync_mirror_load(topic);
    }
}


static ngx_int_t
sync_mirror_append(sync_topic_t *topic, sync_packet_place_t *place,
    sync_packet_t *packet)
{
    ngx_int_t            rc;
    sync_message_t       m;
    sync_published_t     p;
    sync_mirror_tell_e   tell;

    sync_mirror_unpack(&m, place, packet);

    tell = topic->whole ? SYNC_MIRROR_QUIET : SYNC_MIRROR_TELL;

    /* till then, patterns heard of it as it came, or are not to */

    if (!topic->whole
        && (topic->blank
            || (!topic->read
                && sync_mirror_handler->known(topic->shard, packet))))
    {
        tell = SYNC_MIRROR_MEMBERS;
    }

    rc = sync_room_mirror(sync_mirror_main->zone, &topic->room, &place->prev,
                          &m, tell, &p);

    if (rc == SYNC_OK) {
        sync_wake_send(sync_mirror_main->zone, &p.wake);
    }

    return rc;
}


static void
sync_mirror_unpack(sync_message_t *m, sync_packet_place_t *place,
    sync_packet_t *packet)
{
    ngx_memzero(m, sizeof(sync_message_t));

    m->json = packet->json;
    m->event_len = packet->event_len;
    m->subject = packet->subject;
    m->except = packet->except;
    m->nexcept = packet->nexcept;
    m->kind = SYNC_ENTRY_MESSAGE;
    m->flags = packet->flags;
    m->time = packet->time;
    m->ack = packet->ack;
    m->extra = packet->extra;
    m->lsn = place->pos.lsn;
    m->nonce = place->pos.nonce;
}


void
sync_mirror_wanted(sync_topic_t *topic)
{
    if (topic->call) {
        return;
    }

    /*
     * it may be linked, and that have been told too early; or it was, and
     * another worker's subscriber came, or went
     */

    if (topic->behind || topic->link) {
        topic->behind = 0;
        sync_mirror_load(topic);
    }
}


void
sync_mirror_keep(sync_topic_t *topic)
{
    sync_str_t        key;
    ngx_msec_t        ttl;
    const char       *argv[3];
    sync_rule_t      *rule;
    sync_position_t   top;
    size_t            argvlen[3];
    u_char            buf[SYNC_APPEND_KEY_MAX], text[NGX_INT_T_LEN];

    if (topic->behind && topic->call == NULL) {
        topic->behind = 0;
        sync_mirror_load(topic);
    }

    rule = sync_settings_rule(sync_mirror_main, &topic->room);
    ttl = ngx_max((ngx_msec_t) rule->room.ttl * 1000, 60000);

    if (ngx_current_msec - topic->kept < ttl / SYNC_MIRROR_KEEP) {
        return;
    }

    topic->kept = ngx_current_msec;

    if (sync_room_top(sync_mirror_main->zone, &topic->room, &top) == SYNC_OK
        && top.lsn == 0)
    {
        sync_append_birth_key(&topic->room, &key, buf);

    } else {
        sync_append_key(&topic->room, &key, buf);
    }

    argv[0] = "PEXPIRE";
    argvlen[0] = 7;
    argv[1] = (char *) key.data;
    argvlen[1] = key.len;
    argv[2] = (char *) text;
    argvlen[2] = ngx_sprintf(text, "%M", ttl) - text;

    /* there is time for many more attempts */

    (void) sync_redis_command(topic->shard, NULL, NULL, NULL, 3, argv,
                              argvlen);
}


void
sync_mirror_forget(sync_topic_t *topic)
{
    if (topic->call) {
        sync_redis_cancel(topic->call);
        topic->call = NULL;
    }

    /* another worker may follow the room as well, and go on */

    sync_room_unlink(sync_mirror_main->zone, &topic->room, topic->link);
}
