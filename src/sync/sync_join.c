
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_join.h>
#include <sync_call.h>
#include <sync_cluster.h>
#include <sync_fanout.h>
#include <sync_name.h>
#include <sync_position.h>
#include <sync_replay.h>
#include <sync_reply.h>
#include <sync_session_change.h>
#include <sync_session_rooms.h>
#include <sync_gate.h>


/* What a client asked for and has no answer to yet: one allocation. */

typedef struct {
    sync_turn_t      turn;
    sync_client_t   *client;
    sync_call_t     *call;              /* the hook that is being asked */
    sync_cluster_wait_t  *wait;         /* the room's log is being read */
    sync_str_t       room;
    sync_str_t       index;
    unsigned         leave:1;
    unsigned         fresh:1;           /* was not a member before */
    unsigned         waited:1;          /* for the room's log */
    unsigned         writing:1;         /* the session is being written */
    sync_str_t       pos;               /* handed back; empty: none */
    u_char           pos_buf[SYNC_POSITION_LEN];
    u_char           buf[SYNC_INDEX_MAX];

    sync_session_op_t  op;
    sync_session_rooms_t  rooms;
} sync_join_t;


static void sync_join_list_error(sync_client_t *c, sync_str_t *index);
static void sync_join_request(sync_client_t *c, sync_json_t *arg,
    ngx_uint_t leave);
static void sync_join_position(sync_str_t *pos, sync_json_t *arg,
    u_char *buf);
static void sync_join_reply(sync_join_t *j);
static ngx_int_t sync_join_wait(sync_client_t *c, sync_str_t *room,
    sync_str_t *index, sync_str_t *pos, ngx_uint_t leave);
static void sync_join_next(sync_client_t *c);
static ngx_int_t sync_join_queue(sync_turn_t *t);
static ngx_int_t sync_join_begin(sync_turn_t *t);
static void sync_join_cancel(sync_turn_t *t);
static ngx_int_t sync_join_ask(sync_join_t *j);
static void sync_join_answered(sync_call_t *call,
    sync_call_result_e result);
static ngx_int_t sync_join_do(sync_join_t *j);
static ngx_int_t sync_join_enter(sync_join_t *j);
static ngx_int_t sync_join_write(sync_join_t *j);
static void sync_join_written(sync_session_op_t *op, ngx_int_t rc);
static void sync_join_finish(sync_join_t *j, ngx_int_t rc);
static void sync_join_undo(sync_join_t *j);
static void sync_join_linked(void *data);
static void sync_join_done(sync_turn_t *t);
static void sync_join_blocked(sync_client_t *c, sync_str_t *index,
    ngx_uint_t leave, ngx_uint_t status);
static ngx_int_t sync_join_session(sync_client_t *c, const char *event,
    sync_str_t *index, ngx_uint_t open);
static ngx_uint_t sync_join_waits(sync_client_t *c, sync_str_t *room,
    sync_str_t *pos, ngx_uint_t leave);


#define sync_join_event(leave)  ((leave) ? "leaveRoom" : "joinRoom")


void
sync_join_room(sync_client_t *c, sync_json_t *arg)
{
    sync_join_request(c, arg, 0);
}


void
sync_join_leave(sync_client_t *c, sync_json_t *arg)
{
    sync_join_request(c, arg, 1);
}


void
sync_join_list(sync_client_t *c, sync_json_t *arg)
{
    u_char      buf[SYNC_INDEX_MAX];
    sync_str_t  index;

    if (sync_reply_index(&index, arg, buf) != SYNC_OK) {
        return;
    }

    if (sync_session_on(sync_settings(c)) && c->token == NULL) {
        sync_join_list_error(c, &index);
        return;
    }

    sync_reply_rooms(c, "getJoinedRooms", &index);
}


/* The one error that has rooms, too. */

static void
sync_join_list_error(sync_client_t *c, sync_str_t *index)
{
    sync_writer_t       w;
    sync_reply_error_t  e;

    sync_str_set(&e.code, "auth.required");
    e.params.len = 0;
    e.status = 400;

    do {
        sync_reply_text(&w);
        sync_reply_write_event(&w, "getJoinedRooms", index);
        sync_reply_write_error(&w, &e);

        /* a member more, where the envelope ended */

        w.len--;
        sync_write_literal(&w, ",\"rooms\":[]}]");

    } while (sync_reply_again(&w));

    sync_reply_send(c, &w);
}


static void
sync_join_request(sync_client_t *c, sync_json_t *arg, ngx_uint_t leave)
{
    u_char        buf[SYNC_INDEX_MAX], name[SYNC_NAME_MAX];
    u_char        text[SYNC_POSITION_LEN];
    sync_str_t    room, index, pos;
    sync_json_t   v;
    ngx_uint_t    invalid, open, waits;
    sync_join_t   j;
    sync_rule_t  *rule;
    ngx_queue_t  *waiting;

    /* with no number to answer to, nothing is done at all */

    if (sync_reply_index(&index, arg, buf) != SYNC_OK) {
        return;
    }

    if (sync_json_get(&v, arg, "group") != SYNC_OK
        || sync_json_string(&room, &v, name, SYNC_NAME_MAX) != SYNC_OK)
    {
        room.len = 0;
    }

    sync_name_trim(&room);

    invalid = (sync_name_check(&room) != SYNC_OK);

    rule = invalid ? &sync_settings(c)->main->rule
                   : sync_settings_rule(sync_settings(c)->main, &room);

    open = (!invalid && rule->join == SYNC_JOIN_PUBLIC);

    if (!open && sync_session_on(sync_settings(c)) && c->token == NULL) {
        sync_reply_code(c, sync_join_event(leave), &index, "auth.required",
                        400);
        return;
    }

    if (invalid) {
        sync_reply_code(c, sync_join_event(leave), &index, "room.invalid",
                        400);
        return;
    }

    if (sync_join_session(c, sync_join_event(leave), &index, open)
        != SYNC_OK)
    {
        return;
    }

    if (!leave
        && (rule->join == SYNC_JOIN_DENY
            || (rule->join == SYNC_JOIN_USER
                && !sync_gate_owns(c, &room))))
    {
        sync_join_blocked(c, &index, leave, 403);
        return;
    }

    sync_join_position(&pos, arg, text);

    waits = sync_join_waits(c, &room, &pos, leave);

    waiting = c->opaque ? sync_call_waiting(c) : NULL;

    if (!waits && (waiting == NULL || ngx_queue_empty(waiting))) {
        ngx_memzero(&j, offsetof(sync_join_t, rooms));

        j.client = c;
        j.room = room;
        j.index = index;
        j.pos = pos;
        j.leave = leave;

        /* sync_join_waits() has looked: what is here cannot be waited for */

        j.waited = 1;

        (void) sync_join_do(&j);
        return;
    }

    if (sync_join_wait(c, &room, &index, &pos, leave) != SYNC_OK) {
        sync_reply_code(c, sync_join_event(leave), &index, "hook.busy", 503);
    }
}


/*
 * Rooms that are not open to all are for those that have a session.  Returns
 * SYNC_OK, or SYNC_DECLINED when the client has been told.
 */

static ngx_int_t
sync_join_session(sync_client_t *c, const char *event, sync_str_t *index,
    ngx_uint_t open)
{
    sync_str_t  json;

    if (open || !sync_session_on(sync_settings(c))) {
        return SYNC_OK;
    }

    switch (sync_session_get(c, &json)) {

    case SYNC_OK:
        return SYNC_OK;

    case SYNC_DECLINED:
        sync_reply_code(c, event, index, "session.notFound", 400);
        return SYNC_DECLINED;

    default:
        sync_reply_code(c, event, index, "session.unavailable", 503);
        return SYNC_DECLINED;
    }
}


/* What is no position is kept as one that does not parse. */

static void
sync_join_position(sync_str_t *pos, sync_json_t *arg, u_char *buf)
{
    sync_json_t  v;

    pos->len = 0;
    pos->data = buf;

    if (sync_json_get(&v, arg, "pos") != SYNC_OK
        || v.type == SYNC_JSON_NULL)
    {
        return;
    }

    if (v.type != SYNC_JSON_STRING
        || sync_json_string(pos, &v, buf, SYNC_POSITION_LEN) != SYNC_OK
        || pos->len == 0)
    {
        sync_str_set(pos, "?");
    }
}


/* Whether it cannot be done at once. */

static ngx_uint_t
sync_join_waits(sync_client_t *c, sync_str_t *room, sync_str_t *pos,
    ngx_uint_t leave)
{
    return sync_join_asks(c, room, leave)
           || (!leave && !sync_cluster_reached(room, pos))
           || (c->token
               && sync_settings(c)->session->kind == SYNC_SESSION_REDIS);
}


/* Whether the app is to be asked first. */

ngx_uint_t
sync_join_asks(sync_client_t *c, sync_str_t *room, ngx_uint_t leave)
{
    sync_settings_t  *s;

    s = sync_settings(c);

    if (sync_settings_rule(s->main, room)->join != SYNC_JOIN_HOOK) {
        return 0;
    }

    /* with nobody to ask, a join is refused, a leave is done */

    return !leave || s->hooks[SYNC_HOOK_LEAVE].uri.len;
}


static ngx_int_t
sync_join_wait(sync_client_t *c, sync_str_t *room, sync_str_t *index,
    sync_str_t *pos, ngx_uint_t leave)
{
    ngx_int_t     rc;
    sync_join_t  *j;

    j = ngx_alloc(sizeof(sync_join_t) + room->len, ngx_cycle->log);
    if (j == NULL) {
        return SYNC_ERROR;
    }

    ngx_memzero(j, offsetof(sync_join_t, rooms));

    j->client = c;
    j->leave = leave;

    j->index.data = j->buf;
    j->index.len = index->len;
    ngx_memcpy(j->buf, index->data, index->len);

    j->pos.data = j->pos_buf;
    j->pos.len = pos->len;
    ngx_memcpy(j->pos_buf, pos->data, pos->len);

    j->room.data = (u_char *) j + sizeof(sync_join_t);
    j->room.len = room->len;
    ngx_memcpy(j->room.data, room->data, room->len);

    j->turn.client = c;
    j->turn.begin = sync_join_begin;
    j->turn.cancel = sync_join_cancel;

    rc = sync_join_queue(&j->turn);

    if (rc != SYNC_OK) {
        ngx_free(j);
    }

    return rc;
}


ngx_int_t
sync_join_turn(sync_turn_t *t, ngx_uint_t waits)
{
    ngx_queue_t  *waiting;

    if (waits) {
        return sync_join_queue(t);
    }

    waiting = t->client->opaque ? sync_call_waiting(t->client) : NULL;

    if (waiting && !ngx_queue_empty(waiting)) {
        return sync_join_queue(t);
    }

    if (t->begin(t) != SYNC_AGAIN) {
        ngx_free(t);
        return SYNC_OK;
    }

    /* what it was to wait for, or not, is another worker's to change */

    waiting = sync_call_waiting(t->client);

    if (waiting == NULL) {
        t->cancel(t);
        return SYNC_ERROR;
    }

    ngx_queue_insert_head(waiting, &t->queue);

    return SYNC_OK;
}


static ngx_int_t
sync_join_queue(sync_turn_t *t)
{
    ngx_uint_t    n;
    ngx_queue_t  *q, *waiting;

    waiting = sync_call_waiting(t->client);

    if (waiting == NULL) {
        return SYNC_ERROR;
    }

    n = 0;

    for (q = ngx_queue_head(waiting);
         q != ngx_queue_sentinel(waiting);
         q = ngx_queue_next(q))
    {
        if (++n == SYNC_JOIN_WAITING) {
            return SYNC_BUSY;
        }
    }

    ngx_queue_insert_tail(waiting, &t->queue);

    if (n == 0) {
        sync_join_next(t->client);
    }

    return SYNC_OK;
}


void
sync_join_over(sync_turn_t *t)
{
    sync_client_t  *c;

    c = t->client;

    sync_join_done(t);
    sync_join_next(c);
}


/* Goes on with what waits till a hook has to be waited for. */

static void
sync_join_next(sync_client_t *c)
{
    ngx_queue_t  *waiting;
    sync_turn_t  *t;

    while (!c->closing) {
        waiting = sync_call_waiting(c);

        if (waiting == NULL || ngx_queue_empty(waiting)) {
            return;
        }

        t = ngx_queue_data(ngx_queue_head(waiting), sync_turn_t, queue);

        if (t->begin(t) == SYNC_AGAIN) {
            return;
        }

        /* a client that was closed has forgotten it already */

        if (!c->closing) {
            sync_join_done(t);
        }
    }
}


static ngx_int_t
sync_join_begin(sync_turn_t *t)
{
    ngx_int_t       rc;
    sync_join_t    *j;
    sync_client_t  *c;

    j = (sync_join_t *) t;
    c = j->client;

    if (!sync_join_asks(c, &j->room, j->leave)
        || (!j->leave && sync_fanout_is_member(c, &j->room)))
    {
        return sync_join_do(j);
    }

    if (!j->leave && sync_settings(c)->hooks[SYNC_HOOK_JOIN].uri.len == 0) {
        sync_join_blocked(c, &j->index, 0, 403);
        return SYNC_OK;
    }

    rc = sync_join_ask(j);

    if (rc == SYNC_OK) {
        return SYNC_AGAIN;
    }

    if (rc == SYNC_BUSY) {
        sync_reply_code(c, sync_join_event(j->leave), &j->index,
                        "hook.busy", 503);

    } else {
        sync_join_blocked(c, &j->index, j->leave, 400);
    }

    return SYNC_OK;
}


static ngx_int_t
sync_join_ask(sync_join_t *j)
{
    ngx_int_t       rc;
    sync_str_t      body, user;
    sync_call_t    *call;
    sync_writer_t   w;
    sync_client_t  *c;

    c = j->client;

    call = sync_call_create(c, sync_settings(c),
                            j->leave ? SYNC_HOOK_LEAVE : SYNC_HOOK_JOIN,
                            sync_join_answered);
    if (call == NULL) {
        return SYNC_BUSY;
    }

    call->opaque = j;

    sync_registry_user(c->record, &user);

    do {
        sync_reply_text(&w);
        sync_call_write(call, &w, c->record->id, &user, NULL);
        sync_write_literal(&w, ",\"room\":");
        sync_json_write_str(&w, &j->room);
        sync_write_byte(&w, '}');

    } while (sync_reply_again(&w));

    sync_reply_str(&body, &w);

    rc = sync_call_start(call, &body, NULL);

    if (rc == SYNC_OK) {
        j->call = call;
    }

    return rc;
}


static void
sync_join_answered(sync_call_t *call, sync_call_result_e result)
{
    ngx_uint_t          stop;
    sync_join_t        *j;
    sync_client_t      *c;
    sync_reply_error_t  e;

    j = call->opaque;
    c = j->client;
    j->call = NULL;

    /* a client may try again where it was not the app's word */

    e.params.len = 0;
    e.status = (result == SYNC_CALL_ANSWERED) ? 400 : 503;
    e.code.data = (u_char *) (j->leave ? "room.leaveBlocked"
                                       : "room.joinBlocked");
    e.code.len = ngx_strlen(e.code.data);

    if (result == SYNC_CALL_ANSWERED) {
        stop = sync_call_stop(call, &e.code, &e.status);

    } else {
        stop = !call->settings->hooks[call->event].allow;
    }

    if (stop) {
        sync_reply_error(c, sync_join_event(j->leave), &j->index, &e);

    } else if (sync_join_do(j) == SYNC_AGAIN) {
        return;
    }

    if (c->closing) {
        return;
    }

    sync_join_over(&j->turn);
}


/* Returns SYNC_OK when the client has been told, or SYNC_AGAIN. */

static ngx_int_t
sync_join_do(sync_join_t *j)
{
    ngx_int_t       rc;
    sync_client_t  *c;

    c = j->client;

    /* its log is to be what it is elsewhere before the client is in it */

    if (!j->leave && !j->waited
        && sync_cluster_wait(&j->room, &j->pos, sync_join_linked, j, &j->wait)
           == SYNC_AGAIN)
    {
        return SYNC_AGAIN;
    }

    if (j->leave) {
        j->fresh = (sync_fanout_leave(c, &j->room) == SYNC_OK);

    } else if (sync_join_enter(j) != SYNC_OK) {
        sync_reply_code(c, "joinRoom", &j->index, "broker.unavailable", 503);
        return SYNC_OK;
    }

    rc = sync_join_write(j);

    if (rc != SYNC_AGAIN) {
        sync_join_finish(j, rc);
    }

    return rc == SYNC_AGAIN ? SYNC_AGAIN : SYNC_OK;
}


static ngx_int_t
sync_join_enter(sync_join_t *j)
{
    ngx_int_t       rc;
    sync_str_t      oldest;
    sync_client_t  *c;
    u_char          name[SYNC_NAME_MAX];

    c = j->client;

    if (sync_registry_rooms(c->record) >= sync_settings(c)->max_rooms
        && !sync_fanout_is_member(c, &j->room))
    {
        /* the name is the room's, which may go with its last member */

        (void) sync_fanout_rooms(c, &oldest, 1);

        ngx_memcpy(name, oldest.data, oldest.len);
        oldest.data = name;

        (void) sync_fanout_leave(c, &oldest);
    }

    rc = sync_fanout_join(c, &j->room);

    j->fresh = (rc == SYNC_OK);

    return rc == SYNC_DECLINED ? SYNC_OK : rc;
}


/* The session's roomCodes, if there is one.  Returns as the operation does. */

static ngx_int_t
sync_join_write(sync_join_t *j)
{
    ngx_int_t           rc;
    sync_client_t      *c;
    sync_session_op_t  *op;

    c = j->client;
    op = &j->op;

    if (c->token == NULL || !sync_session_on(sync_settings(c))) {
        return SYNC_DECLINED;
    }

    op->settings = sync_settings(c);
    op->edit = sync_session_rooms_edit;
    op->done = sync_join_written;
    op->opaque = &j->rooms;
    op->except = c->record->id;

    j->rooms.room = j->room;
    j->rooms.max = sync_settings(c)->max_rooms;
    j->rooms.leave = j->leave;
    j->rooms.oldest_len = 0;

    sync_session_token(c, &op->token);

    rc = sync_session_edit(op);

    j->writing = (rc == SYNC_AGAIN);

    return rc;
}


static void
sync_join_written(sync_session_op_t *op, ngx_int_t rc)
{
    sync_join_t    *j;
    sync_client_t  *c;

    j = (sync_join_t *) ((u_char *) op - offsetof(sync_join_t, op));
    c = j->client;
    j->writing = 0;

    sync_join_finish(j, rc);

    if (c->closing) {
        return;
    }

    sync_join_over(&j->turn);
}


/* The client may be closed by what it is told. */

static void
sync_join_finish(sync_join_t *j, ngx_int_t rc)
{
    sync_str_t      oldest;
    sync_client_t  *c;

    c = j->client;

    if (rc == SYNC_OK) {

        if (j->rooms.oldest_len) {
            oldest.data = j->rooms.oldest;
            oldest.len = j->rooms.oldest_len;

            (void) sync_fanout_leave(c, &oldest);
        }

        /* the session comes before the answer */

        sync_session_tell(c);

        if (c->closing) {
            return;
        }

    } else if (rc != SYNC_DECLINED) {
        sync_join_undo(j);
        sync_reply_code(c, sync_join_event(j->leave), &j->index,
                        "session.unavailable", 503);
        return;
    }

    if (j->leave) {
        sync_reply_rooms(c, "leaveRoom", &j->index);

    } else {
        sync_join_reply(j);
    }
}


/* What was missed follows the answer, and then what is new. */

static void
sync_join_reply(sync_join_t *j)
{
    sync_str_t         more;
    sync_writer_t      w;
    sync_resumption_t  r;
    u_char             buf[SYNC_REPLAY_TEXT];

    sync_replay_resume(j->client, &j->room, &j->pos, &r);

    if (r.reason == SYNC_RESUME_VOLATILE) {
        sync_reply_rooms(j->client, "joinRoom", &j->index);
        return;
    }

    sync_writer_init(&w, buf, sizeof(buf));
    sync_replay_write(&w, &r);

    sync_reply_str(&more, &w);
    sync_reply_rooms_and(j->client, "joinRoom", &j->index, &more);

    sync_replay_begin(j->client);
}


static void
sync_join_undo(sync_join_t *j)
{
    if (!j->fresh) {
        return;
    }

    /* with no room for it in the zone it is out */

    if (j->leave) {
        (void) sync_fanout_join(j->client, &j->room);

    } else {
        (void) sync_fanout_leave(j->client, &j->room);
    }
}


static void
sync_join_linked(void *data)
{
    sync_join_t *j = data;

    sync_client_t  *c;

    c = j->client;

    j->wait = NULL;
    j->waited = 1;

    if (sync_join_do(j) == SYNC_AGAIN || c->closing) {
        return;
    }

    sync_join_over(&j->turn);
}


static void
sync_join_done(sync_turn_t *t)
{
    ngx_queue_remove(&t->queue);
    ngx_free(t);
}


static void
sync_join_blocked(sync_client_t *c, sync_str_t *index, ngx_uint_t leave,
    ngx_uint_t status)
{
    sync_reply_code(c, sync_join_event(leave), index,
                    leave ? "room.leaveBlocked" : "room.joinBlocked",
                    status);
}


void
sync_join_client_closed(sync_client_t *c)
{
    ngx_queue_t  *waiting;
    sync_turn_t  *t;

    if (c->opaque == NULL) {
        return;
    }

    waiting = sync_call_waiting(c);

    while (!ngx_queue_empty(waiting)) {
        t = ngx_queue_data(ngx_queue_head(waiting), sync_turn_t, queue);

        t->cancel(t);

        sync_join_done(t);
    }
}


static void
sync_join_cancel(sync_turn_t *t)
{
    sync_join_t  *j;

    j = (sync_join_t *) t;

    if (j->call) {
        sync_call_cancel(j->call);
    }

    if (j->wait) {
        sync_cluster_wait_cancel(j->wait);
    }

    if (j->writing) {
        sync_session_cancel(&j->op);
    }
}
