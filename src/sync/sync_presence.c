
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_presence.h>
#include <sync_cluster.h>
#include <sync_command.h>
#include <sync_fanout.h>
#include <sync_notify.h>
#include <sync_presence_ask.h>
#include <sync_publish.h>
#include <sync_relay.h>
#include <sync_reply.h>
#include <sync_ws.h>


#define SYNC_PRESENCE_SWEEP   900       /* ms */
#define SYNC_PRESENCE_LATE    5000      /* ms, to do it again */
#define SYNC_PRESENCE_GONE    4096      /* users a sweep */
#define SYNC_PRESENCE_LOOKS   4096      /* clients a tick, or a part of them */
#define SYNC_PRESENCE_PART    16
#define SYNC_PRESENCE_IDLE    256       /* users a tick */
#define SYNC_PRESENCE_ASKS    2000      /* ms, between two looks of that kind */


/* a user's id escaped at its worst */

#define SYNC_PRESENCE_EVENT   (128 + 6 * SYNC_SESSION_USER)


typedef enum {
    SYNC_PRESENCE_TELL_AFK = 0,
    SYNC_PRESENCE_TELL_BACK,
    SYNC_PRESENCE_TELL_LEFT
} sync_presence_tell_e;


typedef struct {
    sync_main_settings_t  *main;
    sync_zone_t           *zone;
    ngx_uint_t             next;        /* client to be looked at */
    ngx_msec_t             asked;       /* others, about those who are silent */
} sync_presence_worker_t;


static uint32_t sync_presence_realm(sync_client_t *c);
static void sync_presence_token(sync_client_t *c, sync_str_t *token);
static ngx_msec_t sync_presence_grace(sync_client_t *c);
static void sync_presence_hidden(ngx_msec_t tab);
static void sync_presence_hidden_all(sync_presence_asked_t *who);
static void sync_presence_tell(sync_presence_tell_e kind, uint64_t end);
static void sync_presence_say(sync_presence_tell_e kind, sync_str_t *rooms,
    uint64_t end);
static void sync_presence_hook(sync_settings_t *s, sync_presence_tell_e kind,
    sync_str_t *rooms, uint64_t end);
static size_t sync_presence_audible(u_char *buf);
static sync_settings_t *sync_presence_settings(ngx_uint_t place);
static uint64_t sync_presence_now(void);
static void sync_presence_look(void);
static void sync_presence_obey(sync_json_t *v, sync_json_t *command);
static void sync_presence_came(sync_client_t *c, ngx_uint_t told);
static ngx_uint_t sync_presence_is_idle(sync_client_t *c);
static void sync_presence_idles(sync_client_t *c);
static void sync_presence_idles_all(sync_presence_asked_t *who);
static void sync_presence_sweep(void);
static void sync_presence_gone_all(sync_presence_asked_t *who);
static void sync_presence_gone(uint32_t realm, sync_str_t *user);


static sync_str_t  sync_presence_events[] = {
    sync_string("userAfk"),
    sync_string("userBack"),
    sync_string("userLeft")
};

static sync_str_t  sync_presence_kinds[] = {
    sync_string("afk"),
    sync_string("back"),
    sync_string("left")
};


static sync_presence_worker_t  sync_presence;

/* the user that is being told of */

static sync_presence_copy_t    sync_presence_user;


void
sync_presence_init_worker(sync_main_settings_t *main)
{
    ngx_memzero(&sync_presence, sizeof(sync_presence_worker_t));

    sync_command_present = sync_presence_obey;

    sync_presence.main = main;
    sync_presence.zone = main->zone;
}


void
sync_presence_enter(sync_client_t *c)
{
    ngx_uint_t        told;
    sync_settings_t  *s;

    s = sync_settings(c);

    if (!s->presence.on || c->token == NULL || c->closing) {
        return;
    }

    told = (sync_presence_arrive(sync_presence.zone, c->record,
                                 s->presence.place, sync_presence_realm(c),
                                 &sync_presence_user)
            == SYNC_OK);

    if (told) {
        sync_presence_tell(SYNC_PRESENCE_TELL_BACK, 0);
    }

    sync_presence_came(c, told);
}


/*
 * The user is here: other hosts, and another zone of this one, wait for it no
 * more.  {"present":"user","realm":n,"told":0}
 */

static void
sync_presence_came(sync_client_t *c, ngx_uint_t told)
{
    sync_str_t     json, user;
    sync_writer_t  w;
    u_char         buf[SYNC_PRESENCE_EVENT];

    sync_registry_user(c->record, &user);

    if (user.len == 0
        || (!sync_cluster_enabled() && !sync_relay_wanted(sync_presence.zone)))
    {
        return;
    }

    sync_writer_init(&w, buf, SYNC_PRESENCE_EVENT);

    sync_write_literal(&w, "{\"present\":");
    sync_json_write_str(&w, &user);
    sync_write_literal(&w, ",\"realm\":");
    sync_write_int(&w, sync_presence_realm(c));
    sync_write_literal(&w, ",\"told\":");
    sync_write_int(&w, told);
    sync_write_byte(&w, '}');

    json.data = buf;
    json.len = w.len;

    /* who does not hear of it asks before the user is held for gone */

    if (sync_cluster_enabled()) {
        (void) sync_cluster_order(&json);

    } else {
        (void) sync_publish_command(sync_presence.main, &json);
    }
}


static void
sync_presence_obey(sync_json_t *v, sync_json_t *command)
{
    int64_t      realm, told;
    sync_str_t   user;
    sync_json_t  field;
    u_char       buf[SYNC_SESSION_USER];

    if (sync_json_string(&user, v, buf, sizeof(buf)) != SYNC_OK
        || sync_json_get(&field, command, "realm") != SYNC_OK
        || sync_json_int64(&realm, &field) != SYNC_OK
        || sync_json_get(&field, command, "told") != SYNC_OK
        || sync_json_int64(&told, &field) != SYNC_OK)
    {
        return;
    }

    if (sync_presence_take(sync_presence.zone, (uint32_t) realm, &user,
                           &sync_presence_user)
        == SYNC_OK
        && !told)
    {
        sync_presence_tell(SYNC_PRESENCE_TELL_BACK, 0);
    }
}


static uint32_t
sync_presence_realm(sync_client_t *c)
{
    return c->token->realm;
}


static void
sync_presence_token(sync_client_t *c, sync_str_t *token)
{
    token->data = c->token->token;
    token->len = c->token->len;
}


void
sync_presence_exit(sync_client_t *c)
{
    sync_str_t  token;

    if (c->record->presence == 0 || c->token == NULL) {
        return;
    }

    sync_presence_token(c, &token);

    /* what could not be kept is counted, and nobody told of */

    (void) sync_presence_leave(sync_presence.zone, c->record,
                               sync_presence_realm(c), &token,
                               sync_presence_grace(c), c->left,
                               &sync_presence_user);
}


static ngx_msec_t
sync_presence_grace(sync_client_t *c)
{
    sync_presence_conf_t  *p;

    p = &sync_settings(c)->presence;

    switch (c->left) {

    case SYNC_LEFT_HIDDEN:
        return p->tab;

    case SYNC_LEFT_CLIENT:
    case SYNC_LEFT_SERVER:
    case SYNC_LEFT_FORCED:
        return p->other;

    default:
        return p->transport;
    }
}


void
sync_presence_heard(sync_client_t *c)
{
    if (c->token == NULL) {
        c->record->away = 0;
        return;
    }

    if (sync_presence_wake(sync_presence.zone, c->record,
                           sync_presence_realm(c), &sync_presence_user)
        == SYNC_OK)
    {
        sync_presence_tell(SYNC_PRESENCE_TELL_BACK, 0);
        sync_presence_came(c, 1);
    }
}


void
sync_presence_hide(sync_client_t *c, sync_json_t *arg)
{
    ngx_msec_t  tab;
    sync_str_t  token;

    if (c->record->presence == 0 || c->token == NULL) {
        return;
    }

    c->left = SYNC_LEFT_HIDDEN;

    tab = sync_presence_grace(c);
    sync_presence_token(c, &token);

    /* with another client the user is here */

    if (sync_presence_leave(sync_presence.zone, c->record,
                            sync_presence_realm(c), &token, tab, c->left,
                            &sync_presence_user)
        == SYNC_OK)
    {
        sync_presence_hidden(tab);
    }

    if (c->record->transport == SYNC_TRANSPORT_WEBSOCKET) {
        sync_client_close(c, SYNC_WS_CODE_NORMAL, "hidden");
        return;
    }

    c->hidden = 1;
}


/* The user in sync_presence_user has no other client here. */

static void
sync_presence_hidden(ngx_msec_t tab)
{
    sync_presence_ask_t  *ask;

    if (!sync_cluster_enabled()) {
        sync_presence_tell(SYNC_PRESENCE_TELL_AFK, sync_presence_now() + tab);
        return;
    }

    ask = NULL;

    sync_presence_ask_add(&ask, sync_presence_hidden_all,
                          sync_presence_user.realm, &sync_presence_user.user,
                          NULL);
    sync_presence_ask_send(&ask);
}


/* Other hosts have answered; it may have come back. */

static void
sync_presence_hidden_all(sync_presence_asked_t *who)
{
    sync_str_t      user;
    ngx_msec_int_t  left;

    user.data = who->user;
    user.len = who->len;

    if (who->there) {
        (void) sync_presence_end(sync_presence.zone, who->realm, &user);
        return;
    }

    if (sync_presence_waits(sync_presence.zone, who->realm, &user,
                            &sync_presence_user)
        != SYNC_OK
        || sync_presence_user.reason != SYNC_LEFT_HIDDEN)
    {
        return;
    }

    left = sync_presence_user.deadline - ngx_current_msec;

    sync_presence_tell(SYNC_PRESENCE_TELL_AFK,
                       sync_presence_now() + ngx_max(left, 0));
}


/* Tells of the user in sync_presence_user. */

static void
sync_presence_tell(sync_presence_tell_e kind, uint64_t end)
{
    sync_str_t        rooms;
    sync_settings_t  *s;
    static u_char     buf[SYNC_PRESENCE_ROOMS];

    s = sync_presence_settings(sync_presence_user.place);

    if (s == NULL) {
        return;
    }

    sync_zone_count(sync_presence.zone, SYNC_COUNT_AFK + kind, 1);

    rooms.data = buf;
    rooms.len = sync_presence_audible(buf);

    if (rooms.len) {
        sync_presence_say(kind, &rooms, end);
    }

    sync_presence_hook(s, kind, &rooms, end);
}


/* After a reload there may be other locations: the first one tells, then. */

static sync_settings_t *
sync_presence_settings(ngx_uint_t place)
{
    ngx_array_t       *presences;
    sync_settings_t  **s;

    presences = sync_presence.main->presences;

    if (presences == NULL) {
        return NULL;
    }

    s = presences->elts;

    return s[place && place <= presences->nelts ? place - 1 : 0];
}


/* Those of the rooms whose rule says so. */

static size_t
sync_presence_audible(u_char *buf)
{
    u_char        *p;
    sync_str_t     name, *rooms;
    const u_char  *pos;

    p = buf;
    rooms = &sync_presence_user.rooms;
    pos = rooms->data;

    while (sync_presence_next_room(&pos, rooms->data + rooms->len, &name)
           == SYNC_OK)
    {
        if (sync_settings_rule(sync_presence.main, &name)->presence) {
            *p++ = (u_char) (name.len - 1);
            p = ngx_cpymem(p, name.data, name.len);
        }
    }

    return p - buf;
}


/* Who has a token of the user does not hear it. */

static void
sync_presence_say(sync_presence_tell_e kind, sync_str_t *rooms, uint64_t end)
{
    u_char                *p;
    sync_str_t            *event;
    sync_saying_t          s;
    sync_writer_t          w;
    sync_presence_copy_t  *copy;
    u_char                 buf[SYNC_PRESENCE_EVENT];
    u_char                 ids[(SYNC_PRESENCE_TOKENS + 1) * SYNC_ID_LEN];

    copy = &sync_presence_user;
    event = &sync_presence_events[kind];

    sync_writer_init(&w, buf, SYNC_PRESENCE_EVENT);

    sync_write_literal(&w, "[\"");
    sync_write_str(&w, event);
    sync_write_literal(&w, "\",{\"userId\":");
    sync_json_write_str(&w, &copy->user);

    if (kind == SYNC_PRESENCE_TELL_AFK) {
        sync_write_literal(&w, ",\"endTime\":");
        sync_write_int(&w, end);
    }

    sync_write_literal(&w, "}]");

    ngx_memzero(&s, sizeof(sync_saying_t));

    s.json.data = buf;
    s.json.len = w.len;
    s.event_len = event->len + 2;

    p = ngx_cpymem(ids, copy->tokens, copy->ntokens * SYNC_ID_LEN);

    if (copy->token.len) {
        sync_token_id(p, &copy->token);
        p += SYNC_ID_LEN;
    }

    s.except = ids;
    s.nexcept = (p - ids) / SYNC_ID_LEN;

    if (sync_publish_rooms(sync_presence.main, rooms, &s) != SYNC_OK) {
        sync_zone_count(sync_presence.zone, SYNC_COUNT_PRESENCE_DROPPED, 1);
    }
}


/*
 * {"kind","userId","token","rooms","timestamp"}, "endTime" of one who is afk,
 * "reason" of one who left.
 */

static void
sync_presence_hook(sync_settings_t *s, sync_presence_tell_e kind,
    sync_str_t *rooms, uint64_t end)
{
    sync_str_t             name, json;
    ngx_uint_t             n;
    const u_char          *p;
    sync_writer_t          w;
    sync_presence_copy_t  *copy;

    if (s->hooks[SYNC_HOOK_PRESENCE].uri.len == 0) {
        return;
    }

    copy = &sync_presence_user;

    do {
        n = 0;
        p = rooms->data;

        sync_reply_text(&w);
        sync_write_literal(&w, "{\"kind\":\"");
        sync_write_str(&w, &sync_presence_kinds[kind]);
        sync_write_literal(&w, "\",\"userId\":");
        sync_json_write_str(&w, &copy->user);
        sync_write_literal(&w, ",\"token\":");
        sync_json_write_str(&w, &copy->token);
        sync_write_literal(&w, ",\"rooms\":[");

        while (sync_presence_next_room(&p, rooms->data + rooms->len, &name)
               == SYNC_OK)
        {
            if (n++) {
                sync_write_byte(&w, ',');
            }

            sync_json_write_str(&w, &name);
        }

        sync_write_byte(&w, ']');

        if (kind == SYNC_PRESENCE_TELL_AFK) {
            sync_write_literal(&w, ",\"endTime\":");
            sync_write_int(&w, end);

        } else if (kind == SYNC_PRESENCE_TELL_LEFT) {
            sync_write_literal(&w, ",\"reason\":");
            sync_json_write_str(&w, &sync_presence_reasons[copy->reason]);
        }

        sync_write_literal(&w, ",\"timestamp\":");
        sync_write_int(&w, sync_presence_now());
        sync_write_byte(&w, '}');

    } while (sync_reply_again(&w));

    if (w.len == 0) {
        sync_zone_count(sync_presence.zone, SYNC_COUNT_NOTIFY_DROPPED, 1);
        return;
    }

    sync_reply_str(&json, &w);

    sync_notify_add(s, SYNC_HOOK_PRESENCE, &json);
}


static uint64_t
sync_presence_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}


void
sync_presence_tick(void)
{
    sync_zone_t  *z;

    z = sync_presence.zone;

    if (sync_presence.main->presences == NULL && z->sh->npresences == 0) {
        return;
    }

    sync_presence_look();

    /* one worker a second; who drains may be gone before all is told */

    if (z->self->exiting) {
        return;
    }

    sync_zone_lock(z);

    if (ngx_current_msec - z->sh->presence_swept < SYNC_PRESENCE_SWEEP) {
        sync_zone_unlock(z);
        return;
    }

    z->sh->presence_swept = ngx_current_msec;

    sync_zone_unlock(z);

    sync_presence_sweep();
}


/* A part of this worker's clients, or all if they are few. */

static void
sync_presence_look(void)
{
    ngx_uint_t             i, n, asks, total;
    sync_str_t             user;
    sync_client_t         *c, **clients;
    sync_presence_ask_t   *ask;

    if (sync_presence.main->presences == NULL) {
        return;
    }

    asks = sync_cluster_enabled();

    if (asks) {

        if (ngx_current_msec - sync_presence.asked < SYNC_PRESENCE_ASKS) {
            return;
        }

        sync_presence.asked = ngx_current_msec;
    }

    n = 0;
    ask = NULL;
    total = sync_fanout_clients(&clients);
    i = ngx_min(total, ngx_max(SYNC_PRESENCE_LOOKS,
                               total / SYNC_PRESENCE_PART));

    while (i-- && n < SYNC_PRESENCE_IDLE) {

        if (sync_presence.next >= total) {
            sync_presence.next = 0;
        }

        c = clients[sync_presence.next++];

        if (!sync_presence_is_idle(c)) {
            continue;
        }

        n++;

        if (asks) {
            sync_registry_user(c->record, &user);
            sync_presence_ask_add(&ask, sync_presence_idles_all,
                                  sync_presence_realm(c), &user,
                                  c->record->id);

        } else {
            sync_presence_idles(c);
        }
    }

    sync_presence_ask_send(&ask);
}


static ngx_uint_t
sync_presence_is_idle(sync_client_t *c)
{
    sync_record_t    *rec;
    sync_settings_t  *s;

    s = sync_settings(c);
    rec = c->record;

    return s->presence.on
           && s->presence.afk
           && rec->presence
           && !rec->away
           && rec->user
           && rec->transport != SYNC_TRANSPORT_SSE
           && c->token
           && (ngx_uint_t) (ngx_time() - rec->active) > s->presence.afk;
}


static void
sync_presence_idles(sync_client_t *c)
{
    sync_str_t        token;
    sync_settings_t  *s;

    s = sync_settings(c);

    sync_presence_token(c, &token);

    if (sync_presence_idle(sync_presence.zone, c->record,
                           sync_presence_realm(c), &token,
                           s->presence.afk + 1, &sync_presence_user)
        == SYNC_OK)
    {
        sync_presence_tell(SYNC_PRESENCE_TELL_AFK, sync_presence_now());
    }
}


/* Other hosts have answered; the client may have spoken, or be gone. */

static void
sync_presence_idles_all(sync_presence_asked_t *who)
{
    sync_client_t  *c;

    c = sync_command_lookup(who->id);

    if (c == NULL || c->closing || !sync_presence_is_idle(c)
        || (who->spoke && who->silent <= sync_settings(c)->presence.afk))
    {
        return;
    }

    sync_presence_idles(c);
}


static void
sync_presence_sweep(void)
{
    uint32_t              bucket;
    ngx_uint_t            n;
    sync_zone_t          *z;
    sync_presence_ask_t  *ask;

    n = 0;
    bucket = 0;
    ask = NULL;
    z = sync_presence.zone;

    while (z->sh->npresences && bucket <= z->sh->sid_mask
           && n < SYNC_PRESENCE_GONE)
    {
        if (sync_presence_due(z, &bucket, SYNC_PRESENCE_LATE,
                              &sync_presence_user)
            != SYNC_OK)
        {
            continue;
        }

        n++;

        if (sync_cluster_enabled()) {
            sync_presence_ask_add(&ask, sync_presence_gone_all,
                                  sync_presence_user.realm,
                                  &sync_presence_user.user, NULL);

        } else {
            sync_presence_gone(sync_presence_user.realm,
                               &sync_presence_user.user);
        }
    }

    sync_presence_ask_send(&ask);
}


/* Other hosts have answered; who is there may have been told of as away. */

static void
sync_presence_gone_all(sync_presence_asked_t *who)
{
    sync_str_t  user;

    user.data = who->user;
    user.len = who->len;

    if (!who->there) {
        sync_presence_gone(who->realm, &user);
        return;
    }

    if (sync_presence_take(sync_presence.zone, who->realm, &user,
                           &sync_presence_user)
        == SYNC_OK
        && sync_presence_user.reason == SYNC_LEFT_HIDDEN)
    {
        sync_presence_tell(SYNC_PRESENCE_TELL_BACK, 0);
    }
}


/*
 * Who dies before the end of this leaves it to another sweep: it is told of
 * twice rather than not at all.  Who came meanwhile was told of too early.
 */

static void
sync_presence_gone(uint32_t realm, sync_str_t *user)
{
    if (sync_presence_waits(sync_presence.zone, realm, user,
                            &sync_presence_user)
        != SYNC_OK)
    {
        return;
    }

    sync_presence_tell(SYNC_PRESENCE_TELL_LEFT, 0);

    if (sync_presence_end(sync_presence.zone, sync_presence_user.realm,
                          &sync_presence_user.user)
        != SYNC_OK)
    {
        sync_presence_tell(SYNC_PRESENCE_TELL_BACK, 0);
    }
}
