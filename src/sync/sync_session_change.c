
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_session_change.h>
#include <sync_command.h>
#include <sync_fanout.h>
#include <sync_publish.h>
#include <sync_reply.h>
#include <sync_ws.h>


#define SYNC_SESSION_CHANGES  64        /* told of at a time */
#define SYNC_SESSION_SWEEP    900       /* ms */
#define SYNC_SESSION_SWEPT    32768     /* buckets a time */

/* an order: its name, a room's name escaped at its worst */

#define SYNC_SESSION_ORDER  (256 + 6 * SYNC_NAME_MAX)


static void sync_session_known(sync_client_t *c, sync_str_t *json);
static void sync_session_logout(sync_client_t *c);
static void sync_session_sweep(sync_main_settings_t *main,
    sync_session_ended_pt ended);


void
sync_session_announce(sync_main_settings_t *main,
    sync_session_change_t *change, const u_char *except)
{
    sync_str_t     json;
    sync_writer_t  w;
    u_char         buf[sizeof("{\"version\":\"\"}") + NGX_INT64_LEN];

    sync_writer_init(&w, buf, sizeof(buf));

    sync_write_literal(&w, "{\"version\":");
    sync_write_int(&w, (int64_t) change->version);
    sync_write_byte(&w, '}');

    json.data = buf;
    json.len = w.len;

    sync_zone_count(main->zone, SYNC_COUNT_SESSION_CHANGES, 1);

    if (sync_publish_token_command(main, change->id, &json, except)
        == SYNC_BUSY)
    {
        sync_session_doubt(main->zone);
    }
}


void
sync_session_doubt(sync_zone_t *z)
{
    sync_zone_lock(z);

    z->sh->session_epoch++;

    sync_zone_unlock(z);
}


void
sync_session_heed(sync_client_t *c, sync_entry_t *e)
{
    int64_t      version;
    sync_str_t   text;
    sync_json_t  command, v;

    if (c->closing || c->token == NULL) {
        return;
    }

    if (e == NULL) {
        sync_session_tell(c);
        return;
    }

    text.data = sync_entry_json(e);
    text.len = e->len;

    if (sync_json_parse(&command, &text, NULL) != SYNC_OK) {
        return;
    }

    if (sync_json_get(&v, &command, "version") != SYNC_OK) {
        sync_command_do(c, &command);
        return;
    }

    /* of several changes the last one is told */

    if (sync_json_int64(&version, &v) == SYNC_OK
        && c->token->version == (uint64_t) version)
    {
        sync_session_tell(c);
    }
}


void
sync_session_tell(sync_client_t *c)
{
    sync_str_t     json;
    sync_writer_t  w;

    switch (sync_session_get(c, &json)) {

    case SYNC_OK:
        break;

    case SYNC_DECLINED:
        sync_session_logout(c);
        return;

    default:
        return;
    }

    sync_session_known(c, &json);

    do {
        sync_reply_text(&w);
        sync_write_literal(&w, "[\"updateSession\",");
        sync_json_write_str(&w, &json);
        sync_write_byte(&w, ']');

    } while (sync_reply_again(&w));

    sync_reply_send(c, &w);
}


void
sync_session_meet(sync_client_t *c)
{
    sync_str_t  json;

    if (sync_session_get(c, &json) == SYNC_OK) {
        sync_session_known(c, &json);
    }
}


/* The client's user is the session's. */

static void
sync_session_known(sync_client_t *c, sync_str_t *json)
{
    u_char                *buf;
    sync_str_t             user;
    sync_session_data_t    data;

    buf = sync_session_alloc(json->len + SYNC_SESSION_USER);

    if (buf == NULL || sync_session_parse(json, buf, &data) != NULL) {
        return;
    }

    sync_registry_user(c->record, &user);

    if (!sync_str_eq(&user, &data.user)) {

        /* with no memory it is who it was */

        (void) sync_registry_set_user(sync_client_zone(), c->record,
                                      &data.user);
    }
}


static void
sync_session_logout(sync_client_t *c)
{
    ngx_uint_t        i, n;
    sync_str_t        json, user, *rooms;
    sync_settings_t  *s;

    sync_registry_user(c->record, &user);

    if (user.len == 0) {
        return;
    }

    s = sync_settings(c);

    if (c->record->presence) {
        sync_presence_forget(sync_client_zone(), c->token->realm, &user);
    }

    user.len = 0;

    (void) sync_registry_set_user(sync_client_zone(), c->record, &user);

    sync_zone_count(sync_client_zone(), SYNC_COUNT_LOGOUTS, 1);

    n = sync_registry_rooms(c->record);
    rooms = sync_session_alloc(n * (sizeof(sync_str_t) + SYNC_NAME_MAX));

    if (rooms == NULL) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    (void) sync_fanout_rooms(c, rooms, n);

    for (i = 0; i < n; i++) {

        if (sync_settings_rule(s->main, &rooms[i])->join
            != SYNC_JOIN_PUBLIC)
        {
            (void) sync_fanout_leave(c, &rooms[i]);
        }
    }

    sync_str_set(&json, "[\"logout\",\"success\"]");

    (void) sync_client_send(c, &json);
}


void
sync_session_replaced(sync_main_settings_t *main, const u_char *id,
    sync_str_t *user, sync_str_t *reason)
{
    u_char          buf[SYNC_SESSION_ORDER];
    sync_str_t      json;
    sync_said_t     said;
    sync_saying_t   s;
    sync_writer_t   w;

    sync_writer_init(&w, buf, sizeof(buf));

    sync_write_literal(&w, "{\"reason\":");
    sync_json_write_str(&w, reason);
    sync_write_literal(&w, ",\"userId\":");
    sync_json_write_str(&w, user);
    sync_write_byte(&w, '}');

    if (!sync_writer_fits(&w)) {
        return;
    }

    json.data = buf;
    json.len = w.len;

    ngx_memzero(&s, sizeof(sync_saying_t));

    do {
        sync_reply_text(&w);
        sync_write_literal(&w, "[\"sessionReplaced\",");
        sync_json_write_str(&w, &json);
        sync_write_byte(&w, ']');

    } while (sync_reply_again(&w));

    sync_reply_str(&s.json, &w);
    s.event_len = sizeof("\"sessionReplaced\"") - 1;

    /* who is not there needs not be told, and a full zone tells nobody */

    if (s.json.len) {
        (void) sync_publish_token(main, id, &s, &said);
    }
}


ngx_int_t
sync_session_order(sync_main_settings_t *main, const u_char *id,
    const char *op, ngx_uint_t code, const char *key, sync_str_t *value)
{
    u_char         buf[SYNC_SESSION_ORDER];
    sync_str_t     json;
    sync_writer_t  w;

    sync_writer_init(&w, buf, sizeof(buf));

    sync_write_byte(&w, '{');
    sync_command_write(&w, op, code, key, value);

    if (!sync_writer_fits(&w)) {
        return SYNC_BUSY;
    }

    json.data = buf;
    json.len = w.len;

    return sync_publish_token_command(main, id, &json, NULL);
}


void
sync_session_tick(sync_main_settings_t *main, sync_session_ended_pt ended)
{
    sync_zone_t      *z;
    static uint32_t   epoch;

    z = main->zone;

    /* one worker a second */

    sync_zone_lock(z);

    if (ngx_current_msec - z->sh->session_swept < SYNC_SESSION_SWEEP) {
        sync_zone_unlock(z);

    } else {
        z->sh->session_swept = ngx_current_msec;
        sync_zone_unlock(z);

        sync_session_sweep(main, ended);
    }

    if (epoch != z->sh->session_epoch) {
        epoch = z->sh->session_epoch;
        sync_fanout_review();
    }
}


static void
sync_session_sweep(sync_main_settings_t *main, sync_session_ended_pt ended)
{
    uint32_t                first;
    ngx_uint_t              i, n;
    sync_zone_t            *z;
    sync_session_change_t   changes[SYNC_SESSION_CHANGES];

    z = main->zone;
    first = z->sh->session_bucket;

    while (z->sh->session_bucket <= z->sh->sid_mask
           && z->sh->session_bucket - first < SYNC_SESSION_SWEPT)
    {
        n = sync_session_store_expire(z, &z->sh->session_bucket, changes,
                                      SYNC_SESSION_CHANGES);

        for (i = 0; i < n; i++) {
            if (changes[i].realm) {
                ended(changes[i].realm, changes[i].id);

            } else {
                sync_session_announce(main, &changes[i], NULL);
            }
        }
    }

    if (z->sh->session_bucket > z->sh->sid_mask) {
        z->sh->session_bucket = 0;
    }
}
