
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_publish.h>
#include <sync_fanout.h>
#include <sync_wake.h>
#include <sync_json.h>
#include <sync_name.h>
#include <sync_ws.h>


/* a command: its name, two ids, a room's name escaped at its worst */

#define SYNC_COMMAND_MAX  (256 + 6 * SYNC_NAME_MAX)


static void sync_publish_message(sync_message_t *m, sync_saying_t *s);
static ngx_int_t sync_publish_announce(sync_main_settings_t *main,
    sync_message_t *m, sync_said_t *said);
static ngx_int_t sync_publish_command(sync_main_settings_t *main,
    const u_char *id, const char *op, ngx_uint_t code, const char *key,
    sync_str_t *value);
static sync_client_t *sync_publish_client(sync_json_t *command);


ngx_int_t
sync_publish_room(sync_main_settings_t *main, sync_str_t *room,
    sync_room_t *to, sync_saying_t *s, sync_said_t *said)
{
    ngx_int_t          rc;
    sync_rule_t       *rule;
    sync_message_t     m;
    sync_published_t   p;

    sync_publish_message(&m, s);

    if (sync_name_is_pattern(room)) {
        m.kind = SYNC_ENTRY_PATTERN;
        m.subject = *room;

        rc = sync_publish_announce(main, &m, said);
        said->receivers = SYNC_PUBLISH_UNCOUNTED;

        return rc;
    }

    rule = sync_settings_rule(main, room);

    rc = sync_room_publish(main->zone, room, to, &rule->room, &m, &p);

    if (rc != SYNC_OK) {
        return rc;
    }

    said->lsn = p.lsn;
    said->nonce = p.nonce;
    said->receivers = p.receivers;

    sync_zone_count(main->zone, SYNC_COUNT_PUBLISHED, 1);
    sync_wake_send(main->zone, &p.wake);

    return SYNC_OK;
}


ngx_int_t
sync_publish_all(sync_main_settings_t *main, sync_saying_t *s,
    sync_said_t *said)
{
    ngx_int_t       rc;
    sync_message_t  m;

    sync_publish_message(&m, s);

    m.kind = SYNC_ENTRY_ALL;
    sync_str_set(&m.subject, "*");

    rc = sync_publish_announce(main, &m, said);
    said->receivers = main->zone->sh->nclients;

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
    m->time = (uint64_t) tp->sec * 1000 + tp->msec;
    m->nonce = (uint32_t) ngx_random();
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

    sync_zone_count(main->zone, SYNC_COUNT_PUBLISHED, 1);
    sync_wake_send(main->zone, &p.wake);

    return SYNC_OK;
}


ngx_int_t
sync_publish_disconnect(sync_main_settings_t *main, const u_char *id,
    ngx_uint_t code, sync_str_t *reason)
{
    return sync_publish_command(main, id, "disconnect", code, "reason",
                                reason);
}


ngx_int_t
sync_publish_join(sync_main_settings_t *main, const u_char *id,
    sync_str_t *room)
{
    return sync_publish_command(main, id, "join", 0, "room", room);
}


ngx_int_t
sync_publish_leave(sync_main_settings_t *main, const u_char *id,
    sync_str_t *room)
{
    return sync_publish_command(main, id, "leave", 0, "room", room);
}


/* {"id":"...","op":"...","code":1008,"reason":"..."} */

static ngx_int_t
sync_publish_command(sync_main_settings_t *main, const u_char *id,
    const char *op, ngx_uint_t code, const char *key, sync_str_t *value)
{
    ngx_int_t           rc;
    sync_said_t         said;
    ngx_time_t         *tp;
    sync_writer_t       w;
    sync_message_t      m;
    sync_record_info_t  info;
    u_char              text[SYNC_ID_TEXT], buf[SYNC_COMMAND_MAX];

    rc = sync_registry_info(main->zone, id, &info);

    if (rc != SYNC_OK) {
        return rc;
    }

    sync_registry_print_id(text, id);

    sync_writer_init(&w, buf, SYNC_COMMAND_MAX);

    sync_write_literal(&w, "{\"id\":\"");
    sync_write(&w, text, SYNC_ID_TEXT);
    sync_write_literal(&w, "\",\"op\":\"");
    sync_write(&w, (u_char *) op, ngx_strlen(op));
    sync_write_literal(&w, "\",\"code\":");
    sync_write_int(&w, code);
    sync_write_literal(&w, ",\"");
    sync_write(&w, (u_char *) key, ngx_strlen(key));
    sync_write_literal(&w, "\":");
    sync_json_write_str(&w, value);
    sync_write_byte(&w, '}');

    if (!sync_writer_fits(&w)) {
        return SYNC_BUSY;
    }

    tp = ngx_timeofday();

    ngx_memzero(&m, sizeof(sync_message_t));

    m.json.data = buf;
    m.json.len = w.len;
    m.kind = SYNC_ENTRY_COMMAND;
    m.time = (uint64_t) tp->sec * 1000 + tp->msec;

    return sync_publish_announce(main, &m, &said);
}


void
sync_publish_obey(sync_entry_t *e)
{
    int64_t         code;
    sync_str_t      text, op, value;
    sync_json_t     command, v;
    sync_client_t  *c;
    u_char          buf[SYNC_COMMAND_MAX + 1];

    text.data = sync_entry_json(e);
    text.len = e->len;

    if (sync_json_parse(&command, &text, NULL) != SYNC_OK
        || sync_json_get(&v, &command, "op") != SYNC_OK
        || sync_json_string(&op, &v, buf, SYNC_COMMAND_MAX) != SYNC_OK)
    {
        return;
    }

    c = sync_publish_client(&command);

    if (c == NULL || c->closing) {
        return;
    }

    if (sync_str_is(&op, "disconnect")) {

        if (sync_json_get(&v, &command, "code") != SYNC_OK
            || sync_json_int64(&code, &v) != SYNC_OK
            || sync_json_get(&v, &command, "reason") != SYNC_OK)
        {
            return;
        }

        value.len = sync_json_unquote(buf, SYNC_COMMAND_MAX, &v);
        buf[value.len] = '\0';

        sync_client_close(c, code, (char *) buf);

        return;
    }

    if (sync_json_get(&v, &command, "room") != SYNC_OK
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


/* The client meant, if this worker holds it. */

static sync_client_t *
sync_publish_client(sync_json_t *command)
{
    sync_str_t      text;
    sync_json_t     v;
    sync_zone_t    *z;
    sync_client_t  *c;
    sync_record_t  *rec;
    u_char          id[SYNC_ID_LEN], buf[SYNC_ID_TEXT];

    z = sync_client_zone();

    if (sync_json_get(&v, command, "id") != SYNC_OK
        || sync_json_string(&text, &v, buf, SYNC_ID_TEXT) != SYNC_OK
        || sync_registry_parse_id(id, text.data, text.len) != SYNC_OK)
    {
        return NULL;
    }

    c = NULL;

    sync_zone_lock(z);

    rec = sync_registry_lookup_locked(z, id);

    if (rec && sync_registry_slot(rec) == sync_worker_slot(z, z->self)) {
        c = (sync_client_t *) (uintptr_t) rec->cookie;
    }

    sync_zone_unlock(z);

    return c;
}
