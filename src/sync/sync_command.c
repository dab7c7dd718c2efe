
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_command.h>
#include <sync_eio_client.h>
#include <sync_audience.h>
#include <sync_call.h>
#include <sync_cluster.h>
#include <sync_delivery.h>
#include <sync_fanout.h>
#include <sync_fanout_stage.h>
#include <sync_peers.h>
#include <sync_publish.h>
#include <sync_relay.h>
#include <sync_json.h>
#include <sync_ws.h>


/* a command: its name, an id or a user, a room's name escaped at its worst */

#define SYNC_COMMAND_MAX  (256 + 2 * 6 * SYNC_NAME_MAX)

#define SYNC_COMMAND_PAGE  64           /* clients of a user, at once */


static ngx_int_t sync_command_send(sync_main_settings_t *main,
    const u_char *id, const char *op, ngx_uint_t code, const char *key,
    sync_str_t *value);
static ngx_int_t sync_command_print(sync_str_t *json, u_char *buf,
    const char *who, sync_str_t *name, const char *op, ngx_uint_t code,
    const char *key, sync_str_t *value);
static void sync_command_close_user(sync_json_t *v, sync_json_t *command);
static void sync_command_obey_text(sync_json_t *v, sync_json_t *command);
static void sync_command_say(sync_entry_t *e);
static ngx_uint_t sync_command_passes(sync_entry_t *e, sync_client_t *c);
static void sync_command_reply(sync_client_t *c, sync_entry_t *e);
static sync_client_t *sync_command_client(sync_json_t *command);


sync_command_present_pt  sync_command_present;


ngx_int_t
sync_command_disconnect(sync_main_settings_t *main, const u_char *id,
    ngx_uint_t code, sync_str_t *reason)
{
    return sync_command_send(main, id, "disconnect", code, "reason",
                                reason);
}


ngx_int_t
sync_command_join(sync_main_settings_t *main, const u_char *id,
    sync_str_t *room)
{
    return sync_command_send(main, id, "join", 0, "room", room);
}


ngx_int_t
sync_command_leave(sync_main_settings_t *main, const u_char *id,
    sync_str_t *room)
{
    return sync_command_send(main, id, "leave", 0, "room", room);
}


/* {"id":"...","op":"...","code":1008,"reason":"..."} */

static ngx_int_t
sync_command_send(sync_main_settings_t *main, const u_char *id,
    const char *op, ngx_uint_t code, const char *key, sync_str_t *value)
{
    u_char              text[SYNC_ID_TEXT], buf[SYNC_COMMAND_MAX];
    ngx_int_t           rc;
    sync_str_t          json, name;
    sync_record_info_t  info;

    rc = sync_registry_info(main->zone, id, &info);

    if (rc == SYNC_DECLINED && sync_relay_wanted(main->zone)) {

        /* it may be in another zone of the host, as far as one knows */

        rc = SYNC_OK;
    }

    if (rc != SYNC_OK && !sync_cluster_enabled()) {
        return rc;
    }

    sync_registry_print_id(text, id);

    name.data = text;
    name.len = SYNC_ID_TEXT;

    if (sync_command_print(&json, buf, "id", &name, op, code, key, value)
        != SYNC_OK)
    {
        return SYNC_BUSY;
    }

    if (rc != SYNC_OK) {
        return sync_cluster_order(&json);
    }

    return sync_publish_command(main, &json);
}


ngx_int_t
sync_command_disconnect_user(sync_main_settings_t *main, sync_str_t *user,
    ngx_uint_t code, sync_str_t *reason)
{
    u_char      buf[SYNC_COMMAND_MAX];
    sync_str_t  json;

    if (sync_command_print(&json, buf, "user", user, "disconnect", code,
                           "reason", reason)
        != SYNC_OK)
    {
        return SYNC_BUSY;
    }

    return sync_publish_command(main, &json);
}


/* {"text":"room","id":"..."}; what is not told is over some time later. */

void
sync_command_end_text(sync_main_settings_t *main, sync_str_t *room,
    uint64_t id)
{
    u_char         buf[SYNC_COMMAND_MAX];
    u_char         text[16];
    sync_str_t     json;
    sync_writer_t  w;

    sync_text_end(main->zone, room, id);

    if (!sync_relay_wanted(main->zone) && !sync_cluster_enabled()) {
        return;
    }

    sync_writer_init(&w, buf, SYNC_COMMAND_MAX);

    sync_write_literal(&w, "{\"text\":");
    sync_json_write_str(&w, room);
    sync_write_literal(&w, ",\"id\":\"");
    (void) ngx_sprintf(text, "%016xL", id);
    sync_write(&w, text, sizeof(text));
    sync_write_literal(&w, "\"}");

    json.data = buf;
    json.len = w.len;

    if (sync_relay_wanted(main->zone)) {
        (void) sync_publish_command(main, &json);
    }

    if (sync_cluster_enabled()) {
        (void) sync_cluster_order(&json);
    }
}


static ngx_int_t
sync_command_print(sync_str_t *json, u_char *buf, const char *who,
    sync_str_t *name, const char *op, ngx_uint_t code, const char *key,
    sync_str_t *value)
{
    sync_writer_t  w;

    sync_writer_init(&w, buf, SYNC_COMMAND_MAX);

    sync_write_literal(&w, "{\"");
    sync_write(&w, (u_char *) who, ngx_strlen(who));
    sync_write_literal(&w, "\":");
    sync_json_write_str(&w, name);
    sync_write_byte(&w, ',');
    sync_command_write(&w, op, code, key, value);

    if (!sync_writer_fits(&w)) {
        return SYNC_BUSY;
    }

    json->data = buf;
    json->len = w.len;

    return SYNC_OK;
}


void
sync_command_write(sync_writer_t *w, const char *op, ngx_uint_t code,
    const char *key, sync_str_t *value)
{
    sync_write_literal(w, "\"op\":\"");
    sync_write(w, (u_char *) op, ngx_strlen(op));
    sync_write_literal(w, "\",\"code\":");
    sync_write_int(w, code);
    sync_write_literal(w, ",\"");
    sync_write(w, (u_char *) key, ngx_strlen(key));
    sync_write_literal(w, "\":");
    sync_json_write_str(w, value);
    sync_write_byte(w, '}');
}


void
sync_command_obey(sync_entry_t *e)
{
    sync_str_t      text, room;
    sync_json_t     command, v;
    sync_client_t  *c;
    u_char          buf[SYNC_NAME_MAX];

    if (e->kind == SYNC_ENTRY_CLIENT || e->kind == SYNC_ENTRY_REPLY) {
        sync_command_say(e);
        return;
    }

    if (e->kind == SYNC_ENTRY_ROOMS) {
        sync_peers_hear(e);
        return;
    }

    text.data = sync_entry_json(e);
    text.len = e->len;

    if (sync_json_parse(&command, &text, NULL) != SYNC_OK) {
        return;
    }

    if (sync_json_get(&v, &command, "topic") == SYNC_OK) {

        if (sync_json_string(&room, &v, buf, SYNC_NAME_MAX) == SYNC_OK) {
            sync_cluster_obey(&room);
        }

        return;
    }

    if (sync_json_get(&v, &command, "linked") == SYNC_OK) {

        if (sync_json_string(&room, &v, buf, SYNC_NAME_MAX) == SYNC_OK) {
            sync_cluster_obey_linked(&room);
        }

        return;
    }

    if (sync_json_get(&v, &command, "up") == SYNC_OK) {
        sync_cluster_obey_up();
        return;
    }

    if (sync_json_get(&v, &command, "present") == SYNC_OK) {
        sync_command_present(&v, &command);
        return;
    }

    if (sync_json_get(&v, &command, "text") == SYNC_OK) {
        sync_command_obey_text(&v, &command);
        return;
    }

    if (sync_json_get(&v, &command, "receipt") == SYNC_OK) {
        sync_delivery_obey(&v, &command);
        return;
    }

    if (sync_json_get(&v, &command, "cancel") == SYNC_OK) {
        sync_call_order(&command);
        return;
    }

    if (sync_json_get(&v, &command, "user") == SYNC_OK) {
        sync_command_close_user(&v, &command);
        return;
    }

    c = sync_command_client(&command);

    if (c && !c->closing) {
        sync_command_do(c, &command);
    }
}


static void
sync_command_obey_text(sync_json_t *v, sync_json_t *command)
{
    u_char       buf[SYNC_NAME_MAX], text[16];
    uint64_t     id;
    ngx_uint_t   i;
    sync_str_t   room, s;
    sync_json_t  field;

    if (sync_json_string(&room, v, buf, SYNC_NAME_MAX) != SYNC_OK
        || sync_json_get(&field, command, "id") != SYNC_OK
        || sync_json_string(&s, &field, text, sizeof(text)) != SYNC_OK
        || s.len != sizeof(text))
    {
        return;
    }

    id = 0;

    for (i = 0; i < s.len; i++) {
        id = id << 4 | (s.data[i] <= '9' ? s.data[i] - '0'
                                         : s.data[i] - 'a' + 10);
    }

    sync_text_end(sync_fanout_worker.zone, &room, id);
}


/* Has all clients of a user that this worker holds do it. */

static void
sync_command_close_user(sync_json_t *v, sync_json_t *command)
{
    u_char                   buf[256], ids[SYNC_COMMAND_PAGE * SYNC_ID_LEN];
    sync_str_t               user;
    ngx_uint_t               i, n, more;
    sync_client_t           *c;
    sync_registry_cursor_t   cursor;

    if (sync_json_string(&user, v, buf, sizeof(buf)) != SYNC_OK
        || user.len == 0)
    {
        return;
    }

    ngx_memzero(&cursor, sizeof(sync_registry_cursor_t));

    do {
        n = sync_registry_of_user(sync_fanout_worker.zone, &user, &cursor, ids,
                                  SYNC_COMMAND_PAGE, &more);

        for (i = 0; i < n; i++) {
            c = sync_command_lookup(ids + i * SYNC_ID_LEN);

            if (c && !c->closing) {
                sync_command_do(c, command);
            }
        }

    } while (more);
}


void
sync_command_do(sync_client_t *c, sync_json_t *command)
{
    int64_t      code;
    sync_str_t   op, value;
    sync_json_t  v;
    u_char       buf[SYNC_COMMAND_MAX + 1];

    if (sync_json_get(&v, command, "op") != SYNC_OK
        || sync_json_string(&op, &v, buf, SYNC_COMMAND_MAX) != SYNC_OK)
    {
        return;
    }

    if (sync_str_is(&op, "disconnect")) {

        if (sync_json_get(&v, command, "code") != SYNC_OK
            || sync_json_int64(&code, &v) != SYNC_OK
            || sync_json_get(&v, command, "reason") != SYNC_OK)
        {
            return;
        }

        value.len = sync_json_unquote(buf, SYNC_COMMAND_MAX, &v);
        buf[value.len] = '\0';

        c->expelled = 1;

        sync_client_close(c, code, (char *) buf);

        return;
    }

    if (sync_json_get(&v, command, "room") != SYNC_OK
        || sync_json_string(&value, &v, buf, SYNC_COMMAND_MAX) != SYNC_OK)
    {
        return;
    }

    if (sync_str_is(&op, "join")) {
        (void) sync_fanout_join(c, &value);

    } else if (sync_str_is(&op, "leave")) {
        (void) sync_fanout_leave(c, &value);
    }
}


/* Something is to be said to a client. */

static void
sync_command_say(sync_entry_t *e)
{
    ngx_int_t             rc;
    sync_run_t           *run;
    sync_str_t            none;
    sync_client_t        *c;
    sync_frame_deflate_t  deflate;

    c = sync_command_lookup(sync_entry_subject(e));

    if (c == NULL || c->closing) {
        return;
    }

    if ((e->flags & SYNC_EXTRA_FILTERED) && !sync_command_passes(e, c)) {
        return;
    }

    if (e->flags & SYNC_EXTRA_STAGED) {
        sync_fanout_stage_client(e, c);
        return;
    }

    if (e->flags & SYNC_FRAME_REPLY) {
        sync_command_reply(c, e);
        return;
    }

    deflate.level = c->conf->level;
    deflate.min = c->conf->min;

    sync_str_set(&none, "");

    run = sync_frame_entries(c->dialect, (u_char *) e, e->size, 1, &none, 0,
                             &deflate);

    rc = run ? sync_client_queue(c, run, 0, run->len) : SYNC_ERROR;

    if (run) {
        sync_run_unref(run);
    }

    if (rc == SYNC_BUSY) {
        sync_zone_count(sync_client_zone(), SYNC_COUNT_SLOW, 1);
        sync_client_close(c, SYNC_WS_CODE_POLICY, "too slow");

    } else if (rc != SYNC_OK) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
    }
}


/* Whether the message's filter lets the client have it. */

static ngx_uint_t
sync_command_passes(sync_entry_t *e, sync_client_t *c)
{
    sync_str_t     session;
    ngx_uint_t     passes;
    sync_sieve_t  *sv;

    sv = sync_sieve_create(e);

    sync_sieve_session(&session, c);

    passes = (sv && sync_sieve_passes(sv, c, &session));

    if (sv) {
        ngx_free(sv);
    }

    if (!passes) {
        sync_zone_count(sync_client_zone(), SYNC_COUNT_WITHHELD, 1);
    }

    return passes;
}


/* The number is one more than the client's, as that may be 0. */

static void
sync_command_reply(sync_client_t *c, sync_entry_t *e)
{
    u_char      buf[NGX_INT64_LEN + 2];
    sync_str_t  head, data;

    head.data = buf;
    head.len = ngx_sprintf(buf, "43%uL", sync_entry_ack(e) - 1) - buf;
    data.data = sync_entry_json(e);
    data.len = e->len;

    sync_eio_client_say(c, &head, &data);
}


/* The client meant, if this worker holds it. */

static sync_client_t *
sync_command_client(sync_json_t *command)
{
    u_char       id[SYNC_ID_LEN], buf[SYNC_ID_TEXT];
    sync_str_t   text;
    sync_json_t  v;

    if (sync_json_get(&v, command, "id") != SYNC_OK
        || sync_json_string(&text, &v, buf, SYNC_ID_TEXT) != SYNC_OK
        || sync_registry_parse_id(id, text.data, text.len) != SYNC_OK)
    {
        return NULL;
    }

    return sync_command_lookup(id);
}


sync_client_t *
sync_command_lookup(const u_char *id)
{
    sync_zone_t    *z;
    sync_client_t  *c;
    sync_record_t  *rec;

    z = sync_client_zone();
    c = NULL;

    sync_zone_lock(z);

    rec = sync_registry_lookup_locked(z, id);

    if (rec && rec->slot == sync_worker_slot(z, z->self)) {
        c = (sync_client_t *) (uintptr_t) rec->cookie;
    }

    sync_zone_unlock(z);

    return c;
}
