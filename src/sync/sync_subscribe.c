
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_subscribe.h>
#include <sync_call.h>
#include <sync_cluster.h>
#include <sync_fanout.h>
#include <sync_gate.h>
#include <sync_join.h>
#include <sync_name.h>
#include <sync_position.h>
#include <sync_replay.h>
#include <sync_reply.h>
#include <sync_session.h>
#include <sync_ws.h>


#define SYNC_SUBSCRIBE_CODE  64         /* bytes of an error's code */


typedef struct {
    sync_str_t            room;
    sync_str_t            pos;          /* handed back; empty: none */
    sync_resumption_t     resumed;
    ngx_uint_t            status;       /* of an error; 0: none */
    size_t                len;
    u_char                code[SYNC_SUBSCRIBE_CODE];
    u_char                text[SYNC_POSITION_LEN];
} sync_subscribe_channel_t;


/* One allocation, with the channels and their names behind it. */

typedef struct {
    sync_turn_t           turn;
    sync_call_t          *call;         /* the hook that is being asked */
    sync_cluster_wait_t  *wait;         /* a room's log is being read */
    sync_str_t            index;
    ngx_uint_t            n;
    ngx_uint_t            asked;        /* channels that are decided */
    ngx_uint_t            linked;       /* whose log was waited for */
    unsigned              leave:1;
    u_char                buf[SYNC_INDEX_MAX];

    sync_subscribe_channel_t  *channels;
} sync_subscribe_t;


static void sync_subscribe_request(sync_client_t *c, sync_json_t *arg,
    ngx_uint_t leave);
static ngx_int_t sync_subscribe_count(sync_json_t *v, ngx_uint_t *n,
    size_t *len);
static sync_subscribe_t *sync_subscribe_create(sync_client_t *c,
    ngx_uint_t n, size_t len);
static void sync_subscribe_parse(sync_subscribe_t *s, sync_json_t *list,
    sync_json_t *positions);
static ngx_uint_t sync_subscribe_again(sync_subscribe_t *s,
    sync_str_t *room);
static void sync_subscribe_position(sync_subscribe_channel_t *ch,
    sync_json_t *positions);
static ngx_uint_t sync_subscribe_waits(sync_subscribe_t *s);
static ngx_int_t sync_subscribe_turn(sync_turn_t *t);
static void sync_subscribe_check(sync_subscribe_t *s,
    sync_subscribe_channel_t *ch);
static ngx_int_t sync_subscribe_ask(sync_subscribe_t *s,
    sync_subscribe_channel_t *ch);
static void sync_subscribe_answered(sync_call_t *call,
    sync_call_result_e result);
static void sync_subscribe_linked(void *data);
static void sync_subscribe_go_on(sync_subscribe_t *s);
static void sync_subscribe_enter(sync_client_t *c,
    sync_subscribe_channel_t *ch);
static void sync_subscribe_reply(sync_subscribe_t *s);
static void sync_subscribe_write(sync_writer_t *w, sync_subscribe_t *s,
    ngx_uint_t errors);
static void sync_subscribe_deny(sync_subscribe_channel_t *ch,
    const char *code, ngx_uint_t status);
static void sync_subscribe_cancel(sync_turn_t *t);


#define sync_subscribe_event(leave)                                           \
    ((leave) ? "unsubscribe" : "subscribe")


void
sync_subscribe_begin(sync_client_t *c, sync_json_t *arg)
{
    sync_subscribe_request(c, arg, 0);
}


void
sync_subscribe_end(sync_client_t *c, sync_json_t *arg)
{
    sync_subscribe_request(c, arg, 1);
}


static void
sync_subscribe_request(sync_client_t *c, sync_json_t *arg, ngx_uint_t leave)
{
    size_t             len;
    u_char             buf[SYNC_INDEX_MAX];
    ngx_uint_t         n;
    sync_str_t         index;
    sync_json_t        list, positions;
    const char        *event;
    sync_subscribe_t  *s;

    /* with no number to answer to, nothing is done at all */

    if (sync_reply_index(&index, arg, buf) != SYNC_OK) {
        return;
    }

    event = sync_subscribe_event(leave);

    if (sync_json_get(&list, arg, "channels") != SYNC_OK
        || sync_subscribe_count(&list, &n, &len) != SYNC_OK)
    {
        sync_reply_code(c, event, &index, "room.invalid", 400);
        return;
    }

    if (n > sync_settings(c)->max_rooms) {
        sync_reply_code(c, event, &index, "room.limit", 400);
        return;
    }

    s = sync_subscribe_create(c, n, len);

    if (s == NULL) {
        sync_reply_code(c, event, &index, "broker.unavailable", 503);
        return;
    }

    if (sync_json_get(&positions, arg, "positions") != SYNC_OK) {
        positions.type = SYNC_JSON_NULL;
    }

    s->leave = leave;
    s->index.len = index.len;
    ngx_memcpy(s->index.data, index.data, index.len);

    sync_subscribe_parse(s, &list, &positions);

    if (sync_join_turn(&s->turn, sync_subscribe_waits(s)) != SYNC_OK) {
        ngx_free(s);
        sync_reply_code(c, event, &index, "hook.busy", 503);
    }
}


/* An array that is not empty; *len is what its texts take at most. */

static ngx_int_t
sync_subscribe_count(sync_json_t *v, ngx_uint_t *n, size_t *len)
{
    sync_json_t       item;
    sync_json_iter_t  it;

    if (v->type != SYNC_JSON_ARRAY) {
        return SYNC_ERROR;
    }

    *n = 0;
    *len = 0;

    sync_json_iter_init(&it, v);

    while (sync_json_next(&it, NULL, &item) == SYNC_OK) {
        (*n)++;
        *len += SYNC_NAME_MAX;
    }

    return *n ? SYNC_OK : SYNC_ERROR;
}


static sync_subscribe_t *
sync_subscribe_create(sync_client_t *c, ngx_uint_t n, size_t len)
{
    size_t             size;
    ngx_uint_t         i;
    sync_subscribe_t  *s;

    size = sizeof(sync_subscribe_t) + n * sizeof(sync_subscribe_channel_t);

    s = ngx_alloc(size + len, ngx_cycle->log);
    if (s == NULL) {
        return NULL;
    }

    ngx_memzero(s, size);

    s->turn.client = c;
    s->turn.begin = sync_subscribe_turn;
    s->turn.cancel = sync_subscribe_cancel;
    s->index.data = s->buf;
    s->channels = (sync_subscribe_channel_t *) (s + 1);

    for (i = 0; i < n; i++) {
        s->channels[i].room.data = (u_char *) s + size + i * SYNC_NAME_MAX;
    }

    return s;
}


/* A name that comes twice counts once; what is no name is told as an error. */

static void
sync_subscribe_parse(sync_subscribe_t *s, sync_json_t *list,
    sync_json_t *positions)
{
    ssize_t                    len;
    sync_str_t                 room;
    sync_json_t                v;
    sync_json_iter_t           it;
    sync_subscribe_channel_t  *ch;

    sync_json_iter_init(&it, list);

    while (sync_json_next(&it, NULL, &v) == SYNC_OK) {
        ch = &s->channels[s->n];

        len = sync_json_unquote(ch->room.data, SYNC_NAME_MAX, &v);

        room.data = ch->room.data;
        room.len = ngx_max(len, 0);

        sync_name_trim(&room);

        if (sync_subscribe_again(s, &room)) {
            continue;
        }

        s->n++;
        ch->room = room;
        ch->pos.data = ch->text;

        if (sync_name_check(&room) != SYNC_OK) {
            ch->room.len = 0;
            sync_subscribe_deny(ch, "room.invalid", 400);
            continue;
        }

        sync_subscribe_position(ch, positions);
    }
}


static ngx_uint_t
sync_subscribe_again(sync_subscribe_t *s, sync_str_t *room)
{
    ngx_uint_t  i;

    for (i = 0; i < s->n; i++) {
        if (sync_str_eq(&s->channels[i].room, room)) {
            return 1;
        }
    }

    return 0;
}


/* What is no position is kept as one that does not parse. */

static void
sync_subscribe_position(sync_subscribe_channel_t *ch, sync_json_t *positions)
{
    ssize_t      len;
    sync_json_t  v;

    if (sync_json_find(&v, positions, &ch->room) != SYNC_OK
        || v.type == SYNC_JSON_NULL)
    {
        return;
    }

    len = sync_json_unquote(ch->text, SYNC_POSITION_LEN, &v);

    if (len > 0) {
        ch->pos.len = len;

    } else {
        sync_str_set(&ch->pos, "?");
    }
}


/* Whether it cannot be done at once. */

static ngx_uint_t
sync_subscribe_waits(sync_subscribe_t *s)
{
    ngx_uint_t                 i;
    sync_client_t             *c;
    sync_subscribe_channel_t  *ch;

    c = s->turn.client;

    for (i = 0; i < s->n; i++) {
        ch = &s->channels[i];

        if (ch->status == 0
            && (sync_join_asks(c, &ch->room, s->leave)
                || (!s->leave && !sync_cluster_reached(&ch->room, &ch->pos))))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
sync_subscribe_turn(sync_turn_t *t)
{
    sync_client_t             *c;
    sync_subscribe_t          *s;
    sync_subscribe_channel_t  *ch;

    s = (sync_subscribe_t *) t;
    c = t->client;

    while (s->asked < s->n) {
        ch = &s->channels[s->asked++];

        if (ch->status == 0) {
            sync_subscribe_check(s, ch);
        }

        if (ch->status
            || !sync_join_asks(c, &ch->room, s->leave)
            || sync_fanout_is_member(c, &ch->room) != s->leave)
        {
            continue;
        }

        if (sync_subscribe_ask(s, ch) == SYNC_OK) {
            return SYNC_AGAIN;
        }
    }

    /* logs are to be what they are elsewhere before the client hears them */

    while (!s->leave && s->linked < s->n) {
        ch = &s->channels[s->linked++];

        if (ch->status == 0
            && sync_cluster_wait(&ch->room, &ch->pos, sync_subscribe_linked,
                                 s, &s->wait)
               == SYNC_AGAIN)
        {
            return SYNC_AGAIN;
        }
    }

    sync_subscribe_reply(s);

    return SYNC_OK;
}


/* What can be said without asking anybody. */

static void
sync_subscribe_check(sync_subscribe_t *s, sync_subscribe_channel_t *ch)
{
    sync_str_t        json;
    sync_rule_t      *rule;
    sync_client_t    *c;
    sync_settings_t  *st;

    c = s->turn.client;
    st = sync_settings(c);
    rule = sync_settings_rule(st->main, &ch->room);

    if (sync_session_on(st) && rule->join != SYNC_JOIN_PUBLIC) {

        if (c->token == NULL) {
            sync_subscribe_deny(ch, "auth.required", 400);
            return;
        }

        switch (sync_session_get(c, &json)) {

        case SYNC_OK:
            break;

        case SYNC_DECLINED:
            sync_subscribe_deny(ch, "session.notFound", 400);
            return;

        default:
            sync_subscribe_deny(ch, "session.unavailable", 503);
            return;
        }
    }

    if (s->leave) {
        return;
    }

    if (rule->join == SYNC_JOIN_DENY
        || (rule->join == SYNC_JOIN_USER && !sync_gate_owns(c, &ch->room))
        || (rule->join == SYNC_JOIN_HOOK
            && st->hooks[SYNC_HOOK_JOIN].uri.len == 0))
    {
        sync_subscribe_deny(ch, "room.joinBlocked", 403);
    }
}


/* Returns SYNC_OK if it was asked; else the channel is denied. */

static ngx_int_t
sync_subscribe_ask(sync_subscribe_t *s, sync_subscribe_channel_t *ch)
{
    ngx_int_t       rc;
    sync_str_t      body, user;
    sync_call_t    *call;
    sync_writer_t   w;
    sync_client_t  *c;

    c = s->turn.client;

    call = sync_call_create(c, sync_settings(c),
                            s->leave ? SYNC_HOOK_LEAVE : SYNC_HOOK_JOIN,
                            sync_subscribe_answered);
    if (call == NULL) {
        sync_subscribe_deny(ch, "hook.busy", 503);
        return SYNC_BUSY;
    }

    call->opaque = s;

    sync_registry_user(c->record, &user);

    do {
        sync_reply_text(&w);
        sync_call_write(call, &w, c->record->id, &user, NULL);
        sync_write_literal(&w, ",\"room\":");
        sync_json_write_str(&w, &ch->room);
        sync_write_byte(&w, '}');

    } while (sync_reply_again(&w));

    sync_reply_str(&body, &w);

    rc = sync_call_start(call, &body, NULL);

    if (rc == SYNC_OK) {
        s->call = call;
        return SYNC_OK;
    }

    sync_subscribe_deny(ch, rc == SYNC_BUSY ? "hook.busy"
                                            : "room.joinBlocked",
                        rc == SYNC_BUSY ? 503 : 400);

    return SYNC_BUSY;
}


static void
sync_subscribe_answered(sync_call_t *call, sync_call_result_e result)
{
    ngx_uint_t                 stop, status;
    sync_str_t                 code;
    sync_subscribe_t          *s;
    sync_subscribe_channel_t  *ch;

    s = call->opaque;
    s->call = NULL;

    ch = &s->channels[s->asked - 1];

    /* a client may try again where it was not the app's word */

    status = (result == SYNC_CALL_ANSWERED) ? 400 : 503;
    code.data = (u_char *) (s->leave ? "room.leaveBlocked"
                                     : "room.joinBlocked");
    code.len = ngx_strlen(code.data);

    if (result == SYNC_CALL_ANSWERED) {
        stop = sync_call_stop(call, &code, &status);

    } else {
        stop = !call->settings->hooks[call->event].allow;
    }

    if (stop) {
        ch->status = status;
        ch->len = ngx_min(code.len, SYNC_SUBSCRIBE_CODE);
        ngx_memcpy(ch->code, code.data, ch->len);
    }

    sync_subscribe_go_on(s);
}


static void
sync_subscribe_linked(void *data)
{
    sync_subscribe_t *s = data;

    s->wait = NULL;

    sync_subscribe_go_on(s);
}


static void
sync_subscribe_go_on(sync_subscribe_t *s)
{
    sync_client_t  *c;

    c = s->turn.client;

    /* a client that was closed has forgotten it already */

    if (sync_subscribe_turn(&s->turn) != SYNC_AGAIN && !c->closing) {
        sync_join_over(&s->turn);
    }
}


static void
sync_subscribe_enter(sync_client_t *c, sync_subscribe_channel_t *ch)
{
    ngx_int_t  rc;

    if (sync_registry_rooms(c->record) >= sync_settings(c)->max_rooms
        && !sync_fanout_is_member(c, &ch->room))
    {
        sync_subscribe_deny(ch, "room.limit", 400);
        return;
    }

    rc = sync_fanout_join(c, &ch->room);

    if (rc != SYNC_OK && rc != SYNC_DECLINED) {
        sync_subscribe_deny(ch, "broker.unavailable", 503);
        return;
    }

    sync_replay_resume(c, &ch->room, &ch->pos, &ch->resumed);
}


/* What was missed follows the answer, and then what is new. */

static void
sync_subscribe_reply(sync_subscribe_t *s)
{
    size_t                     size;
    u_char                    *buf;
    ngx_uint_t                 i;
    sync_str_t                 more;
    sync_client_t             *c;
    sync_writer_t              w;
    sync_subscribe_channel_t  *ch;

    c = s->turn.client;
    size = sizeof("\"recovery\":{},\"errors\":{}");

    for (i = 0; i < s->n; i++) {
        ch = &s->channels[i];

        if (ch->status == 0 && s->leave) {
            (void) sync_fanout_leave(c, &ch->room);

        } else if (ch->status == 0) {
            sync_subscribe_enter(c, ch);
        }

        size += 6 * (ch->room.len + SYNC_SUBSCRIBE_CODE) + SYNC_REPLAY_TEXT;
    }

    buf = ngx_alloc(size, ngx_cycle->log);

    if (buf == NULL) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    sync_writer_init(&w, buf, size);

    sync_subscribe_write(&w, s, 0);
    sync_subscribe_write(&w, s, 1);

    more.data = buf;
    more.len = w.len;

    sync_reply_rooms_and(c, sync_subscribe_event(s->leave), &s->index, &more);

    ngx_free(buf);

    sync_replay_begin(c);
}


/* An object, by channel, unless it would be empty. */

static void
sync_subscribe_write(sync_writer_t *w, sync_subscribe_t *s, ngx_uint_t errors)
{
    ngx_uint_t                 i, n;
    sync_subscribe_channel_t  *ch;

    n = 0;

    for (i = 0; i < s->n; i++) {
        ch = &s->channels[i];

        if (errors != (ch->status != 0)
            || (!errors && (s->leave
                            || ch->resumed.reason == SYNC_RESUME_VOLATILE)))
        {
            continue;
        }

        if (n++) {
            sync_write_byte(w, ',');

        } else {
            if (w->len) {
                sync_write_byte(w, ',');
            }

            if (errors) {
                sync_write_literal(w, "\"errors\":{");

            } else {
                sync_write_literal(w, "\"recovery\":{");
            }
        }

        sync_json_write_str(w, &ch->room);
        sync_write_literal(w, ":{");

        if (errors) {
            sync_write_literal(w, "\"errorCode\":");
            sync_json_write_string(w, ch->code, ch->len);
            sync_write_literal(w, ",\"httpStatus\":");
            sync_write_int(w, ch->status);

        } else {
            sync_replay_write(w, &ch->resumed);
        }

        sync_write_byte(w, '}');
    }

    if (n) {
        sync_write_byte(w, '}');
    }
}


static void
sync_subscribe_deny(sync_subscribe_channel_t *ch, const char *code,
    ngx_uint_t status)
{
    ch->status = status;
    ch->len = ngx_strlen(code);
    ngx_memcpy(ch->code, code, ch->len);
}


static void
sync_subscribe_cancel(sync_turn_t *t)
{
    sync_subscribe_t  *s;

    s = (sync_subscribe_t *) t;

    if (s->call) {
        sync_call_cancel(s->call);
    }

    if (s->wait) {
        sync_cluster_wait_cancel(s->wait);
    }
}
