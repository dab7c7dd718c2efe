
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_publish.h>
#include <sync_relay.h>
#include <sync_session_store.h>
#include <sync_cluster.h>
#include <sync_random.h>
#include <sync_wake.h>
#include <sync_name.h>


static void sync_publish_message(sync_message_t *m, sync_saying_t *s);
static void sync_publish_replies(sync_main_settings_t *main,
    sync_message_t *m, sync_message_t *replies, sync_saying_t *s);
static void sync_publish_answer(sync_message_t *m, const u_char *id,
    sync_saying_t *s);
static ngx_int_t sync_publish_others(sync_main_settings_t *main,
    sync_str_t *room, sync_message_t *m, sync_publish_done_pt done,
    void *data, sync_publish_t **publish);
static void sync_publish_count(sync_publish_t *pb, sync_str_t *room,
    sync_saying_t *s);
static void sync_publish_counted(void *data, ngx_uint_t n);
static void sync_publish_end(sync_publish_t *pb);
static void sync_publish_sent(redisReply *reply, sync_redis_error_e error,
    void *data);
static ngx_int_t sync_publish_append(sync_main_settings_t *main,
    sync_str_t *room, sync_rule_t *rule, sync_message_t *m, sync_saying_t *s,
    sync_said_t *said, sync_publish_done_pt done, void *data,
    sync_publish_t **publish);
static void sync_publish_appended(ngx_int_t rc, sync_position_t *pos,
    ngx_uint_t repeated, void *data);
static ngx_int_t sync_publish_everywhere(sync_main_settings_t *main,
    sync_message_t *m, sync_said_t *said);
static ngx_int_t sync_publish_announce(sync_main_settings_t *main,
    sync_message_t *m, sync_said_t *said);


struct sync_publish_s {
    sync_main_settings_t   *main;
    sync_publish_done_pt    done;       /* NULL: nobody asks */
    void                   *data;
    sync_said_t             said;
    ngx_int_t               rc;
    unsigned                sent:1;     /* Redis has answered */
    unsigned                counted:1;  /* the same, or is not asked */
};


ngx_int_t
sync_publish_room(sync_main_settings_t *main, sync_str_t *room,
    sync_room_t *to, sync_saying_t *s, sync_said_t *said)
{
    return sync_publish_room_later(main, room, to, s, said, NULL, NULL,
                                   NULL);
}


ngx_int_t
sync_publish_room_later(sync_main_settings_t *main, sync_str_t *room,
    sync_room_t *to, sync_saying_t *s, sync_said_t *said,
    sync_publish_done_pt done, void *data, sync_publish_t **publish)
{
    ngx_int_t          rc, sent;
    sync_rule_t       *rule;
    sync_message_t     m, replies[SYNC_REPLY_MAX];
    sync_published_t   p;

    sync_publish_message(&m, s);
    sync_publish_replies(main, &m, replies, s);

    if (sync_name_is_pattern(room)) {
        m.kind = SYNC_ENTRY_PATTERN;
        m.subject = *room;

        rc = sync_publish_everywhere(main, &m, said);
        said->receivers = SYNC_PUBLISH_UNCOUNTED;

        return rc;
    }

    rule = sync_settings_rule(main, room);

    m.lsn = s->lsn;

    if (rule->room.history && sync_cluster_enabled()) {
        said->replied = 0;

        return sync_publish_append(main, room, rule, &m, s, said, done, data,
                                   publish);
    }

    if (s->id.len) {
        m.id = sync_zone_hash64(main->zone, s->id.data, s->id.len) | 1;
    }

    rc = sync_room_publish(main->zone, room, to, &rule->room, &m, &p);

    sent = ((rc == SYNC_OK || rc == SYNC_DECLINED) && sync_cluster_enabled())
           ? sync_publish_others(main, room, &m, done, data, publish)
           : SYNC_DECLINED;

    if (sent != SYNC_DECLINED) {
        rc = SYNC_OK;
    }

    said->lsn = p.lsn;
    said->nonce = p.nonce;
    said->receivers = p.receivers;
    said->recoverable = p.history;
    said->replied = p.replied;

    if (rc == SYNC_ERROR) {
        sync_zone_count(main->zone, SYNC_COUNT_STALE, 1);
    }

    if (rc != SYNC_OK) {
        return rc;
    }

    if (p.repeated) {
        sync_zone_count(main->zone, SYNC_COUNT_REPEATED, 1);
        return SYNC_OK;
    }

    sync_zone_count(main->zone, SYNC_COUNT_PUBLISHED, 1);
    sync_wake_send(main->zone, &p.wake);

    if (sent == SYNC_AGAIN) {
        (*publish)->said = *said;
        sync_publish_count(*publish, room, s);
    }

    return (sent == SYNC_AGAIN) ? SYNC_AGAIN : SYNC_OK;
}


/*
 * Tells other hosts of a message to a volatile room.  Who waits for Redis
 * before it says the next one is heard in that order everywhere.
 */

static ngx_int_t
sync_publish_others(sync_main_settings_t *main, sync_str_t *room,
    sync_message_t *m, sync_publish_done_pt done, void *data,
    sync_publish_t **publish)
{
    sync_publish_t  *pb;

    if (done == NULL) {
        return sync_cluster_send_room(room, m, NULL, NULL);
    }

    pb = ngx_calloc(sizeof(sync_publish_t), ngx_cycle->log);
    if (pb == NULL) {
        return sync_cluster_send_room(room, m, NULL, NULL);
    }

    pb->main = main;
    pb->done = done;
    pb->data = data;
    pb->counted = 1;

    if (sync_cluster_send_room(room, m, sync_publish_sent, pb) != SYNC_OK) {
        ngx_free(pb);
        return SYNC_DECLINED;
    }

    *publish = pb;

    return SYNC_AGAIN;
}


/* Other hosts may not have it; the members here do. */

static void
sync_publish_sent(redisReply *reply, sync_redis_error_e error, void *data)
{
    sync_publish_t *pb = data;

    pb->sent = 1;

    sync_publish_end(pb);
}


/* How many others hear it; that is known after it was sent. */

static void
sync_publish_count(sync_publish_t *pb, sync_str_t *room, sync_saying_t *s)
{
    sync_lease_count_t  *count;

    if (s->count
        && sync_cluster_count(room, sync_publish_counted, pb, &count)
           == SYNC_OK)
    {
        pb->counted = 0;
    }
}


static void
sync_publish_counted(void *data, ngx_uint_t n)
{
    sync_publish_t *pb = data;

    pb->counted = 1;
    pb->said.receivers += n;

    sync_publish_end(pb);
}


static void
sync_publish_end(sync_publish_t *pb)
{
    if (!pb->sent || !pb->counted) {
        return;
    }

    if (pb->done) {
        pb->done(pb->rc, &pb->said, pb->data);
    }

    ngx_free(pb);
}


/* To a room whose order Redis makes. */

static ngx_int_t
sync_publish_append(sync_main_settings_t *main, sync_str_t *room,
    sync_rule_t *rule, sync_message_t *m, sync_saying_t *s,
    sync_said_t *said, sync_publish_done_pt done, void *data,
    sync_publish_t **publish)
{
    sync_publish_t  *pb;

    ngx_memzero(said, sizeof(sync_said_t));
    said->recoverable = 1;
    said->receivers = sync_room_count(main->zone, room);

    pb = ngx_calloc(sizeof(sync_publish_t), ngx_cycle->log);

    if (pb) {
        pb->main = main;
        pb->done = done;
        pb->data = data;
        pb->said = *said;
        pb->counted = 1;

        if (sync_cluster_append(room, &rule->room, m, &s->id,
                                sync_publish_appended, pb)
            == SYNC_OK)
        {
            if (done == NULL) {
                return SYNC_OK;
            }

            *publish = pb;

            sync_publish_count(pb, room, s);

            return SYNC_AGAIN;
        }

        ngx_free(pb);
    }

    said->unavailable = 1;

    return SYNC_BUSY;
}


static void
sync_publish_appended(ngx_int_t rc, sync_position_t *pos, ngx_uint_t repeated,
    void *data)
{
    sync_publish_t *pb = data;

    sync_zone_t  *z;

    z = pb->main->zone;

    if (pos) {
        pb->said.lsn = pos->lsn;
        pb->said.nonce = pos->nonce;
    }

    if (rc == SYNC_BUSY) {
        pb->said.unavailable = 1;
        sync_zone_count(z, SYNC_COUNT_CLUSTER_UNSENT, 1);

    } else if (rc == SYNC_ERROR) {
        sync_zone_count(z, SYNC_COUNT_STALE, 1);

    } else if (repeated) {
        sync_zone_count(z, SYNC_COUNT_REPEATED, 1);

    } else {
        sync_zone_count(z, SYNC_COUNT_PUBLISHED, 1);
        sync_zone_count(z, SYNC_COUNT_CLUSTER_SENT, 1);
    }

    pb->rc = rc;
    pb->sent = 1;

    sync_publish_end(pb);
}


ngx_uint_t
sync_publish_waits(sync_main_settings_t *main, sync_str_t *room)
{
    return sync_cluster_enabled()
           && !sync_name_is_pattern(room)
           && sync_settings_rule(main, room)->room.history != 0;
}


void
sync_publish_cancel(sync_publish_t *publish)
{
    publish->done = NULL;
}


ngx_int_t
sync_publish_all(sync_main_settings_t *main, sync_saying_t *s,
    sync_said_t *said)
{
    ngx_int_t       rc;
    sync_message_t  m, replies[SYNC_REPLY_MAX];

    sync_publish_message(&m, s);
    sync_publish_replies(main, &m, replies, s);

    m.kind = SYNC_ENTRY_ALL;
    sync_str_set(&m.subject, "*");

    rc = sync_publish_everywhere(main, &m, said);
    said->receivers = main->zone->sh->nclients;

    return rc;
}


ngx_int_t
sync_publish_rooms(sync_main_settings_t *main, sync_str_t *rooms,
    sync_saying_t *s)
{
    sync_said_t     said;
    sync_message_t  m;

    sync_publish_message(&m, s);

    m.kind = SYNC_ENTRY_ROOMS;
    m.subject = *rooms;

    return sync_publish_everywhere(main, &m, &said);
}


ngx_int_t
sync_publish_client(sync_main_settings_t *main, const u_char *id,
    sync_saying_t *s)
{
    ngx_int_t            rc;
    sync_said_t          said;
    sync_message_t       m;
    sync_record_info_t   info;

    rc = sync_registry_info(main->zone, id, &info);

    if (rc == SYNC_DECLINED && sync_relay_wanted(main->zone)) {

        /* it may be in another zone of the host, as far as one knows */

        rc = SYNC_OK;
    }

    if (rc != SYNC_OK && !sync_cluster_enabled()) {
        return rc;
    }

    sync_publish_message(&m, s);

    m.kind = SYNC_ENTRY_CLIENT;
    m.subject.data = (u_char *) id;
    m.subject.len = SYNC_ID_LEN;

    if (rc != SYNC_OK) {
        return sync_cluster_send_all(&m);
    }

    return sync_publish_announce(main, &m, &said);
}


ngx_int_t
sync_publish_reply(sync_main_settings_t *main, const u_char *id,
    sync_saying_t *s)
{
    sync_said_t          said;
    sync_message_t       m;
    sync_record_info_t   info;

    /* sessions go to other workers, and not to other zones */

    if (sync_registry_info(main->zone, id, &info) != SYNC_OK) {
        return SYNC_DECLINED;
    }

    sync_publish_answer(&m, id, s);

    return sync_publish_announce(main, &m, &said);
}


static void
sync_publish_answer(sync_message_t *m, const u_char *id, sync_saying_t *s)
{
    sync_publish_message(m, s);

    m->kind = SYNC_ENTRY_REPLY;
    m->subject.data = (u_char *) id;
    m->subject.len = SYNC_ID_LEN;
    m->relayed = 1;
}


/* What is to be heard first by the one that asked, if it is still there. */

static void
sync_publish_replies(sync_main_settings_t *main, sync_message_t *m,
    sync_message_t *replies, sync_saying_t *s)
{
    sync_saying_t       *r;
    sync_message_t     **next;
    sync_record_info_t   info;

    if (s->reply == NULL
        || sync_registry_info(main->zone, s->asker, &info) != SYNC_OK)
    {
        return;
    }

    next = &m->reply;

    for (r = s->reply; r; r = r->reply) {
        sync_publish_answer(replies, s->asker, r);

        *next = replies;
        next = &replies->reply;

        replies++;
    }
}


ngx_int_t
sync_publish_token(sync_main_settings_t *main, const u_char *id,
    sync_saying_t *s, sync_said_t *said)
{
    u_char      buf[SYNC_TOKEN_ROOM];
    sync_str_t  room;

    sync_token_room(&room, buf, id);

    return sync_publish_room(main, &room, NULL, s, said);
}


ngx_int_t
sync_publish_token_command(sync_main_settings_t *main, const u_char *id,
    sync_str_t *json, const u_char *except)
{
    u_char             buf[SYNC_TOKEN_ROOM];
    ngx_int_t          rc;
    sync_str_t         room;
    sync_saying_t      s;
    sync_message_t     m;
    sync_published_t   p;

    ngx_memzero(&s, sizeof(sync_saying_t));

    s.json = *json;
    s.except = except;
    s.nexcept = (except != NULL);

    sync_publish_message(&m, &s);

    m.kind = SYNC_ENTRY_COMMAND;

    sync_token_room(&room, buf, id);

    rc = sync_room_publish(main->zone, &room, NULL, &main->rule.room, &m, &p);

    if (rc == SYNC_OK) {
        sync_wake_send(main->zone, &p.wake);
    }

    return rc;
}


static void
sync_publish_message(sync_message_t *m, sync_saying_t *s)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    ngx_memzero(m, sizeof(sync_message_t));

    m->json = s->json;
    m->event_len = s->event_len;
    m->except = s->except;
    m->nexcept = (uint16_t) s->nexcept;
    m->kind = SYNC_ENTRY_MESSAGE;
    m->flags = s->flags;
    m->ack = s->ack;
    m->extra = s->extra;
    m->time = (uint64_t) tp->sec * 1000 + tp->msec;

    /*
     * It tells one life of a log from another: two that started alike, as
     * copies of a machine do, must not go on alike.
     */

    sync_random((u_char *) &m->nonce, sizeof(m->nonce));
}


/* To the workers of this host, and to those of others. */

static ngx_int_t
sync_publish_everywhere(sync_main_settings_t *main, sync_message_t *m,
    sync_said_t *said)
{
    ngx_int_t  rc;

    rc = sync_publish_announce(main, m, said);

    if (rc == SYNC_OK && sync_cluster_enabled()) {

        /* what Redis does not get is counted, and heard here all the same */

        (void) sync_cluster_send_all(m);
    }

    return rc;
}


static ngx_int_t
sync_publish_announce(sync_main_settings_t *main, sync_message_t *m,
    sync_said_t *said)
{
    ngx_int_t         rc;
    sync_published_t  p;

    rc = sync_room_announce(main->zone, m, &p);

    if (rc != SYNC_OK) {
        return rc;
    }

    said->lsn = 0;
    said->nonce = 0;
    said->replied = p.replied;

    sync_zone_count(main->zone, SYNC_COUNT_PUBLISHED, 1);
    sync_wake_send(main->zone, &p.wake);

    return SYNC_OK;
}


ngx_int_t
sync_publish_command(sync_main_settings_t *main, sync_str_t *json)
{
    ngx_time_t      *tp;
    sync_said_t      said;
    sync_message_t   m;

    tp = ngx_timeofday();

    ngx_memzero(&m, sizeof(sync_message_t));

    m.json = *json;
    m.kind = SYNC_ENTRY_COMMAND;
    m.time = (uint64_t) tp->sec * 1000 + tp->msec;

    return sync_publish_announce(main, &m, &said);
}


ngx_int_t
sync_publish_relayed(sync_main_settings_t *main, sync_entry_t *e)
{
    ngx_int_t         rc;
    sync_str_t        name;
    sync_rule_t      *rule;
    sync_said_t       said;
    sync_message_t    m;
    sync_published_t  p;

    ngx_memzero(&m, sizeof(sync_message_t));

    m.json.data = sync_entry_json(e);
    m.json.len = e->len;
    m.event_len = e->event_len;
    m.except = sync_entry_except(e);
    m.nexcept = e->nexcept;
    m.extra.data = sync_entry_extra(e);
    m.extra.len = sync_entry_extra_len(e);
    m.kind = e->kind;
    m.flags = e->flags;
    m.time = e->time;
    m.nonce = e->nonce;
    m.ack = sync_entry_number(e) | (e->keyed ? SYNC_LOG_KEYED : 0);
    m.relayed = 1;

    name.data = sync_entry_subject(e);
    name.len = e->subject_len;

    /* a command may stand in a token's room */

    if (e->kind != SYNC_ENTRY_MESSAGE
        && (e->kind != SYNC_ENTRY_COMMAND || name.len == 0))
    {
        m.subject = name;

        return sync_publish_announce(main, &m, &said);
    }

    rule = sync_settings_rule(main, &name);

    rc = sync_room_publish(main->zone, &name, NULL, &rule->room, &m, &p);

    if (rc == SYNC_OK) {
        sync_zone_count(main->zone, SYNC_COUNT_PUBLISHED, 1);
        sync_wake_send(main->zone, &p.wake);
    }

    return rc;
}
