
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_stream.h>
#include <sync_command.h>
#include <sync_fanout.h>
#include <sync_pressure.h>
#include <sync_publish.h>
#include <sync_session_op.h>


/* Returns what a line handler does; SYNC_ERROR with call->fault set. */

typedef ngx_int_t (*sync_stream_op_pt)(sync_request_t *rq, sync_json_t *v,
    sync_json_t *line);


typedef struct {
    sync_str_t           name;
    sync_stream_op_pt    handler;
    unsigned             sync:1;        /* of no use to an api call */
    unsigned             free:1;        /* it waits for nothing */
} sync_stream_op_t;


typedef struct {
    sync_session_op_t    op;
    sync_request_t      *request;
    sync_json_t          value;
    unsigned             set:1;         /* else it is merged */
    unsigned             waits:1;
} sync_stream_session_t;


static ngx_uint_t sync_stream_waits(sync_request_t *rq,
    const sync_stream_op_t *op);
static ngx_int_t sync_stream_chunk(sync_request_t *rq, sync_json_t *v,
    sync_json_t *line);
static ngx_int_t sync_stream_broadcast(sync_request_t *rq, sync_json_t *v,
    sync_json_t *line);
static ngx_int_t sync_stream_to(sync_request_t *rq, sync_json_t *v,
    sync_json_t *line);
static ngx_int_t sync_stream_session(sync_request_t *rq, sync_json_t *v,
    sync_json_t *line);
static ngx_int_t sync_stream_session_edit(sync_session_op_t *op,
    sync_json_t *session, sync_writer_t *w);
static ngx_uint_t sync_stream_session_has(sync_json_t *object,
    sync_str_t *name);
static void sync_stream_session_write(sync_writer_t *w, sync_str_t *key,
    sync_json_t *v, ngx_uint_t n);
static void sync_stream_session_done(sync_session_op_t *op, ngx_int_t rc);
static void sync_stream_session_cleanup(void *data);
static ngx_int_t sync_stream_join(sync_request_t *rq, sync_json_t *v,
    sync_json_t *line);
static ngx_int_t sync_stream_leave(sync_request_t *rq, sync_json_t *v,
    sync_json_t *line);
static ngx_int_t sync_stream_room(sync_request_t *rq, sync_json_t *v,
    ngx_uint_t leave);
static ngx_int_t sync_stream_emit(sync_request_t *rq, sync_json_t *v,
    sync_json_t *line);
static ngx_int_t sync_stream_emit_to(sync_request_t *rq, sync_json_t *v,
    sync_saying_t *s);
static ngx_int_t sync_stream_ping(sync_request_t *rq, sync_json_t *v,
    sync_json_t *line);
static ngx_int_t sync_stream_throttle(sync_request_t *rq, sync_json_t *v,
    sync_json_t *line);
static ngx_int_t sync_stream_number(sync_json_t *obj, const char *name,
    ngx_uint_t max, ngx_uint_t *n);
static ngx_int_t sync_stream_final(sync_request_t *rq, sync_json_t *v,
    sync_json_t *line);
static ngx_int_t sync_stream_invalid(sync_request_t *rq, const char *fault);


static const sync_stream_op_t  sync_stream_ops[] = {
    { sync_string("stream"), sync_stream_chunk, 0, 0 },
    { sync_string("broadcast"), sync_stream_broadcast, 1, 0 },
    { sync_string("to"), sync_stream_to, 1, 0 },
    { sync_string("session"), sync_stream_session, 0, 0 },
    { sync_string("join"), sync_stream_join, 0, 0 },
    { sync_string("leave"), sync_stream_leave, 0, 0 },
    { sync_string("emit"), sync_stream_emit, 0, 0 },
    { sync_string("ping"), sync_stream_ping, 0, 1 },
    { sync_string("throttle"), sync_stream_throttle, 0, 1 },
    { sync_string("final"), sync_stream_final, 0, 0 },
    { { 0, NULL }, NULL, 0, 0 }
};


static const sync_str_t  sync_stream_payload = sync_string("payload");


ngx_int_t
sync_stream_line(sync_call_t *call, sync_json_t *line)
{
    ngx_int_t                rc;
    sync_str_t               key;
    sync_json_t              v, more;
    sync_request_t          *rq;
    sync_json_iter_t         it;
    const sync_stream_op_t  *op, *found;

    rq = call->opaque;

    /* one member, or "to" and "payload" */

    found = NULL;

    sync_json_iter_init(&it, line);

    while (line->type == SYNC_JSON_OBJECT
           && sync_json_next(&it, &key, &more) == SYNC_OK)
    {
        for (op = sync_stream_ops; op->handler; op++) {
            if (sync_json_key_is(&key, &op->name)) {
                break;
            }
        }

        if (op->handler == NULL
            && sync_json_key_is(&key, &sync_stream_payload))
        {
            continue;
        }

        if (op->handler == NULL || found) {
            return sync_stream_invalid(rq, "instruction");
        }

        found = op;
        v = more;
    }

    if (found == NULL
        || (found->sync && rq->kind != &sync_asker_sync)
        || (sync_json_get(&more, line, "payload") == SYNC_OK
            && found->handler != sync_stream_to))
    {
        return sync_stream_invalid(rq, "instruction");
    }

    if (sync_stream_waits(rq, found)) {
        sync_pressure_wait(rq);
        return SYNC_BUSY;
    }

    if (rq->stream->unsaved) {
        return sync_stream_invalid(rq, "session");
    }

    rc = found->handler(rq, &v, line);

    if (rq->full && rc != SYNC_ERROR) {
        return sync_stream_invalid(rq, "zone");
    }

    return rc;
}


/*
 * What was said before in a room whose order Redis makes is heard before it;
 * to the same room, one follows the other.  And what was changed of the
 * session is saved before.
 */

static ngx_uint_t
sync_stream_waits(sync_request_t *rq, const sync_stream_op_t *op)
{
    ngx_uint_t  n;

    if (op->free || rq->cancelled) {
        return 0;
    }

    if (rq->stream->saving) {
        return 1;
    }

    n = sync_chunk_pending(rq);

    return n > (op->handler == sync_stream_broadcast ? SYNC_PENDING_MAX : 0);
}


static ngx_int_t
sync_stream_chunk(sync_request_t *rq, sync_json_t *v, sync_json_t *line)
{
    sync_chunk_say(rq, SYNC_CHUNK_STREAM, v, NULL);
    sync_pressure_hold(rq);

    return SYNC_AGAIN;
}


static ngx_int_t
sync_stream_broadcast(sync_request_t *rq, sync_json_t *v, sync_json_t *line)
{
    if (v->type != SYNC_JSON_OBJECT) {
        return sync_stream_invalid(rq, "value");
    }

    sync_chunk_say(rq, SYNC_CHUNK_BROADCAST, v, NULL);
    sync_pressure_hold(rq);

    return SYNC_AGAIN;
}


static ngx_int_t
sync_stream_to(sync_request_t *rq, sync_json_t *v, sync_json_t *line)
{
    ngx_uint_t        n;
    sync_json_t       payload, item;
    sync_json_iter_t  it;

    if (sync_json_get(&payload, line, "payload") != SYNC_OK
        || payload.type != SYNC_JSON_OBJECT)
    {
        return sync_stream_invalid(rq, "value");
    }

    if (v->type != SYNC_JSON_STRING && v->type != SYNC_JSON_ARRAY) {
        return sync_stream_invalid(rq, "value");
    }

    sync_json_iter_init(&it, v);

    for (n = 0; sync_json_next(&it, NULL, &item) == SYNC_OK; n++) {
        if (n == SYNC_CHUNK_TO_MAX) {
            return sync_stream_invalid(rq, "value");
        }
    }

    sync_chunk_say(rq, SYNC_CHUNK_TO, &payload, v);
    sync_pressure_hold(rq);

    return SYNC_AGAIN;
}


/*
 * The asker's session, as it is to be: its clients are told.  Elsewhere than
 * in the zone that takes its time, and what comes behind it waits.
 */

static ngx_int_t
sync_stream_session(sync_request_t *rq, sync_json_t *v, sync_json_t *line)
{
    u_char                 *p;
    ngx_int_t               rc;
    sync_str_t              token;
    sync_json_t             value;
    ngx_pool_t             *pool;
    ngx_pool_cleanup_t     *cln;
    sync_stream_session_t  *ss;

    token = rq->call->token;

    if (rq->client) {
        sync_session_token(rq->client, &token);
    }

    if (token.len == 0 || !sync_session_on(rq->settings)) {
        return sync_stream_invalid(rq, "session");
    }

    rc = sync_json_get(&value, v, "set");

    if (rc != SYNC_OK && sync_json_get(&value, v, "merge") != SYNC_OK) {
        return sync_stream_invalid(rq, "value");
    }

    if (value.type != SYNC_JSON_OBJECT) {
        return sync_stream_invalid(rq, "value");
    }

    pool = rq->call->pool;

    cln = ngx_pool_cleanup_add(pool, sizeof(sync_stream_session_t));
    if (cln == NULL) {
        return sync_stream_invalid(rq, "session");
    }

    p = ngx_pnalloc(pool, value.raw.len + token.len);
    if (p == NULL) {
        return sync_stream_invalid(rq, "session");
    }

    ss = cln->data;
    ngx_memzero(ss, sizeof(sync_stream_session_t));

    ss->request = rq;
    ss->set = (rc == SYNC_OK);

    ss->value.type = SYNC_JSON_OBJECT;
    ss->value.raw.data = p;
    ss->value.raw.len = value.raw.len;
    p = ngx_cpymem(p, value.raw.data, value.raw.len);

    ss->op.settings = rq->settings;
    ss->op.token.data = p;
    ss->op.token.len = token.len;
    ngx_memcpy(p, token.data, token.len);

    ss->op.edit = sync_stream_session_edit;
    ss->op.done = sync_stream_session_done;
    ss->op.opaque = ss;

    rc = sync_session_edit(&ss->op);

    if (rc == SYNC_AGAIN) {
        ss->waits = 1;
        rq->stream->saving++;
        cln->handler = sync_stream_session_cleanup;

    } else if (rc != SYNC_OK) {
        return sync_stream_invalid(rq, "session");
    }

    sync_pressure_hold(rq);

    return SYNC_AGAIN;
}


/*
 * A whole one keeps the rooms, the place and the CSRF token, unless it says
 * otherwise; a patch keeps all that it does not name.
 */

static ngx_int_t
sync_stream_session_edit(sync_session_op_t *op, sync_json_t *session,
    sync_writer_t *w)
{
    ngx_uint_t              i, n;
    sync_str_t              key;
    sync_json_t             v;
    sync_json_iter_t        it;
    sync_stream_session_t  *ss;

    static const sync_str_t  kept[] = {
        sync_string("roomCodes"), sync_string("location"),
        sync_string("csrfToken"), { 0, NULL }
    };

    ss = op->opaque;
    n = 0;

    sync_write_byte(w, '{');

    sync_json_iter_init(&it, session);

    while (sync_json_next(&it, &key, &v) == SYNC_OK) {

        for (i = 0; kept[i].len; i++) {
            if (sync_json_key_is(&key, &kept[i])) {
                break;
            }
        }

        if ((ss->set && kept[i].len == 0)
            || sync_stream_session_has(&ss->value, &key))
        {
            continue;
        }

        sync_stream_session_write(w, &key, &v, n++);
    }

    sync_json_iter_init(&it, &ss->value);

    while (sync_json_next(&it, &key, &v) == SYNC_OK) {
        sync_stream_session_write(w, &key, &v, n++);
    }

    sync_write_byte(w, '}');

    return SYNC_OK;
}


static ngx_uint_t
sync_stream_session_has(sync_json_t *object, sync_str_t *name)
{
    sync_str_t        key;
    sync_json_t       v;
    sync_json_iter_t  it;

    sync_json_iter_init(&it, object);

    while (sync_json_next(&it, &key, &v) == SYNC_OK) {
        if (sync_str_eq(&key, name)) {
            return 1;
        }
    }

    return 0;
}


static void
sync_stream_session_write(sync_writer_t *w, sync_str_t *key, sync_json_t *v,
    ngx_uint_t n)
{
    if (n) {
        sync_write_byte(w, ',');
    }

    sync_write_byte(w, '"');
    sync_write_str(w, key);
    sync_write_literal(w, "\":");
    sync_write_str(w, &v->raw);
}


static void
sync_stream_session_done(sync_session_op_t *op, ngx_int_t rc)
{
    sync_stream_session_t  *ss;

    ss = op->opaque;
    ss->waits = 0;

    ss->request->stream->saving--;
    sync_pressure_look();

    if (rc != SYNC_OK) {

        /* the answer fails with the next line, the last one if need be */

        ss->request->stream->unsaved = 1;

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "a session that hook \"%V\" changed was not saved",
                      &ss->request->call->uri);
    }
}


static void
sync_stream_session_cleanup(void *data)
{
    sync_stream_session_t *ss = data;

    if (ss->waits) {
        sync_session_cancel(&ss->op);
    }
}


static ngx_int_t
sync_stream_join(sync_request_t *rq, sync_json_t *v, sync_json_t *line)
{
    return sync_stream_room(rq, v, 0);
}


static ngx_int_t
sync_stream_leave(sync_request_t *rq, sync_json_t *v, sync_json_t *line)
{
    return sync_stream_room(rq, v, 1);
}


/* The app's own word: no rule is looked at, no hook is asked. */

static ngx_int_t
sync_stream_room(sync_request_t *rq, sync_json_t *v, ngx_uint_t leave)
{
    ngx_int_t              rc;
    sync_str_t             room;
    sync_main_settings_t  *main;
    u_char                 buf[SYNC_NAME_MAX];

    if (sync_json_string(&room, v, buf, SYNC_NAME_MAX) != SYNC_OK
        || sync_name_check_pattern(&room) != SYNC_OK)
    {
        return sync_stream_invalid(rq, "value");
    }

    main = rq->settings->main;

    if (rq->client == NULL) {
        rc = leave ? sync_command_leave(main, rq->id, &room)
                   : sync_command_join(main, rq->id, &room);

    } else {
        rc = leave ? sync_fanout_leave(rq->client, &room)
                   : sync_fanout_join(rq->client, &room);
    }

    if (rc != SYNC_OK && rc != SYNC_DECLINED) {
        rq->full = 1;
    }

    return SYNC_OK;
}


static ngx_int_t
sync_stream_emit(sync_request_t *rq, sync_json_t *v, sync_json_t *line)
{
    ngx_int_t       rc;
    sync_str_t      event, data;
    sync_json_t     field;
    sync_saying_t   s;
    sync_writer_t   w;
    u_char          buf[SYNC_EVENT_MAX];

    if (sync_json_get(&field, v, "event") != SYNC_OK
        || sync_json_string(&event, &field, buf, SYNC_EVENT_MAX) != SYNC_OK
        || event.len == 0)
    {
        return sync_stream_invalid(rq, "value");
    }

    sync_str_set(&data, "null");

    if (sync_json_get(&field, v, "data") == SYNC_OK) {
        data = field.raw;
    }

    sync_chunk_turn(rq, sync_json_get(&field, v, "room") == SYNC_OK
                        ? SYNC_CHUNK_BROADCAST : SYNC_CHUNK_TO);

    ngx_memzero(&s, sizeof(sync_saying_t));

    do {
        sync_reply_text(&w);
        sync_write_byte(&w, '[');
        sync_json_write_str(&w, &event);
        s.event_len = w.len - 1;
        sync_write_byte(&w, ',');
        sync_write_str(&w, &data);
        sync_write_byte(&w, ']');

    } while (sync_reply_again(&w));

    if (w.len == 0) {
        rq->full = 1;
        return SYNC_OK;
    }

    sync_reply_str(&s.json, &w);

    rc = sync_stream_emit_to(rq, v, &s);

    if (rc == SYNC_ERROR) {
        return sync_stream_invalid(rq, "value");
    }

    if (rc == SYNC_OK) {
        sync_chunk_said(rq);

    } else if (rc != SYNC_DECLINED) {
        rq->full = 1;
    }

    sync_pressure_hold(rq);

    return SYNC_AGAIN;
}


static ngx_int_t
sync_stream_emit_to(sync_request_t *rq, sync_json_t *v, sync_saying_t *s)
{
    ngx_int_t              rc;
    sync_str_t             text;
    sync_said_t            said;
    sync_json_t            field;
    sync_main_settings_t  *main;
    u_char                 id[SYNC_ID_LEN], buf[SYNC_NAME_MAX];
    u_char                 token[SYNC_TOKEN_MAX];

    main = rq->settings->main;

    if (sync_json_get(&field, v, "room") == SYNC_OK) {

        if (sync_json_string(&text, &field, buf, SYNC_NAME_MAX) != SYNC_OK
            || sync_name_check_pattern(&text) != SYNC_OK)
        {
            return SYNC_ERROR;
        }

        s->flags = SYNC_FRAME_ROOM;

        rc = sync_chunk_say_room(rq, &text, s);

        return (rc == SYNC_ERROR) ? SYNC_BUSY : rc;
    }

    if (sync_json_get(&field, v, "clientId") == SYNC_OK) {

        if (sync_json_string(&text, &field, buf, SYNC_NAME_MAX) != SYNC_OK
            || sync_registry_parse_id(id, text.data, text.len) != SYNC_OK)
        {
            return SYNC_ERROR;
        }

        return sync_publish_client(main, id, s);
    }

    if (sync_json_get(&field, v, "token") == SYNC_OK) {

        if (sync_json_string(&text, &field, token, SYNC_TOKEN_MAX) != SYNC_OK
            || text.len == 0)
        {
            return SYNC_ERROR;
        }

        sync_token_id(id, &text);

        return sync_publish_token(main, id, s, &said);
    }

    return SYNC_ERROR;
}


static ngx_int_t
sync_stream_ping(sync_request_t *rq, sync_json_t *v, sync_json_t *line)
{
    return SYNC_OK;
}


static ngx_int_t
sync_stream_throttle(sync_request_t *rq, sync_json_t *v, sync_json_t *line)
{
    ngx_uint_t        every, chars;
    sync_str_t        field;
    sync_json_t       f;
    sync_throttle_t  *t;
    u_char            buf[SYNC_CHUNK_FIELD_MAX];

    if (rq->call->lines.n != 1) {
        return sync_stream_invalid(rq, "instruction");
    }

    if (v->type != SYNC_JSON_OBJECT) {
        return sync_stream_invalid(rq, "value");
    }

    every = 50;
    chars = 32;
    sync_str_set(&field, "chunk");

    if (sync_stream_number(v, "everyMs", SYNC_CHUNK_EVERY_MAX, &every)
        != SYNC_OK
        || sync_stream_number(v, "chars", SYNC_CHUNK_CHARS_MAX, &chars)
           != SYNC_OK
        || chars == 0)
    {
        return sync_stream_invalid(rq, "value");
    }

    if (sync_json_get(&f, v, "field") == SYNC_OK
        && sync_json_string(&field, &f, buf, SYNC_CHUNK_FIELD_MAX) != SYNC_OK)
    {
        return sync_stream_invalid(rq, "value");
    }

    t = &rq->stream->throttle;

    t->every = every;
    t->chars = chars;
    t->len = field.len;
    ngx_memcpy(t->field, field.data, field.len);

    return SYNC_OK;
}


/* A number of 0 to max, or false for 0; or what it was, if there is none. */

static ngx_int_t
sync_stream_number(sync_json_t *obj, const char *name, ngx_uint_t max,
    ngx_uint_t *n)
{
    int64_t      value;
    sync_str_t   key;
    sync_json_t  v;

    key.data = (u_char *) name;
    key.len = ngx_strlen(name);

    if (sync_json_find(&v, obj, &key) != SYNC_OK) {
        return SYNC_OK;
    }

    if (v.type == SYNC_JSON_FALSE) {
        *n = 0;
        return SYNC_OK;
    }

    if (sync_json_int64(&value, &v) != SYNC_OK
        || value < 0 || value > (int64_t) max)
    {
        return SYNC_ERROR;
    }

    *n = value;

    return SYNC_OK;
}


static ngx_int_t
sync_stream_final(sync_request_t *rq, sync_json_t *v, sync_json_t *line)
{
    if (v->type != SYNC_JSON_OBJECT) {
        return sync_stream_invalid(rq, "value");
    }

    rq->call->value = *v;

    return SYNC_DONE;
}


static ngx_int_t
sync_stream_invalid(sync_request_t *rq, const char *fault)
{
    rq->call->fault = fault;

    return SYNC_ERROR;
}
