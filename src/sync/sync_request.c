
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_request.h>
#include <sync_call.h>
#include <sync_fanout.h>
#include <sync_join.h>
#include <sync_name.h>
#include <sync_publish.h>
#include <sync_reply.h>


#define SYNC_REQUEST_PATH_MAX  512      /* bytes in a route's name */


typedef void (*sync_request_event_pt)(sync_client_t *c, sync_json_t *arg);


typedef struct {
    sync_str_t              name;
    sync_request_event_pt   handler;
} sync_request_event_t;


/*
 * A sync: on the stack while its checks run, and copied into its call's pool
 * while the app thinks.
 */

typedef struct {
    sync_settings_t        *settings;
    sync_client_t          *client;     /* NULL: gone, or elsewhere */
    const char             *event;      /* that answers */
    sync_name_route_t       route;
    sync_str_t              receiver;
    sync_str_t              index;      /* empty: not to be answered */
    sync_str_t              data;       /* the client's bytes */
    u_char                  id[SYNC_ID_LEN];    /* the sender's */
    unsigned                all:1;      /* every client is meant */
    unsigned                self:1;     /* the sender alone is meant */
    unsigned                ignore_self:1;
} sync_request_t;


static void sync_request_invalid(sync_client_t *c);
static void sync_request_sync(sync_client_t *c, sync_json_t *arg);
static void sync_request_ignore(sync_client_t *c, sync_json_t *arg);
static void sync_request_api(sync_client_t *c, sync_json_t *arg);
static ngx_int_t sync_request_route(sync_client_t *c, const char *event,
    sync_str_t *index, sync_name_route_t *route, u_char *buf,
    sync_str_t *prefix, sync_json_t *name);
static ngx_int_t sync_request_receiver(sync_request_t *rq, sync_json_t *arg,
    u_char *buf);
static void sync_request_progress(sync_request_t *rq, sync_call_t *call);
static void sync_request_ask(sync_request_t *rq, sync_call_t *call);
static ngx_int_t sync_request_copy(sync_request_t *to, sync_request_t *from,
    ngx_pool_t *pool);
static void sync_request_write(sync_writer_t *w, sync_request_t *rq,
    sync_call_t *call, const char *kind);
static void sync_request_api_ask(sync_request_t *rq);
static void sync_request_api_answered(sync_call_t *call,
    sync_call_result_e result);
static void sync_request_api_success(sync_request_t *rq, sync_json_t *value);
static void sync_request_answered(sync_call_t *call,
    sync_call_result_e result);
static void sync_request_rejected(sync_request_t *rq, sync_call_t *call);
static ngx_uint_t sync_request_params_valid(sync_json_t *params);
static void sync_request_publish(sync_request_t *rq, sync_str_t *output);
static ngx_int_t sync_request_say(sync_request_t *rq, sync_str_t *output);
static void sync_request_ack(sync_request_t *rq, sync_str_t *output);
static void sync_request_reply(sync_request_t *rq, sync_writer_t *w);
static void sync_request_reply_error(sync_request_t *rq,
    sync_reply_error_t *e);
static void sync_request_error(sync_request_t *rq, const char *code,
    ngx_uint_t status);


static sync_request_event_t  sync_request_events[] = {
    { sync_string("sync"), sync_request_sync },
    { sync_string("joinRoom"), sync_join_room },
    { sync_string("leaveRoom"), sync_join_leave },
    { sync_string("getJoinedRooms"), sync_join_list },
    { sync_string("apiRequest"), sync_request_api },

    /* answers come in one piece: there is nothing to stop */

    { sync_string("syncCancel"), sync_request_ignore },
    { sync_string("apiCancel"), sync_request_ignore },
    { { 0, NULL }, NULL }
};


static sync_str_t  sync_request_prefix = sync_string("sync");
static sync_str_t  sync_request_api_prefix = sync_string("api");
static sync_str_t  sync_request_no_output = sync_string("{}");


void
sync_request_message(sync_client_t *c, u_char *p, size_t len)
{
    sync_str_t             text, event;
    sync_json_t            array, v, arg;
    sync_json_iter_t       it;
    sync_request_event_t  *ev;
    u_char                 name[SYNC_EVENT_MAX];

    sync_zone_count(sync_client_zone(), SYNC_COUNT_RECEIVED, 1);
    sync_zone_count(sync_client_zone(), SYNC_COUNT_RECEIVED_BYTES, len);

    text.data = p;
    text.len = len;

    if (sync_json_parse(&array, &text, NULL) != SYNC_OK
        || array.type != SYNC_JSON_ARRAY)
    {
        sync_request_invalid(c);
        return;
    }

    sync_json_iter_init(&it, &array);

    if (sync_json_next(&it, NULL, &v) != SYNC_OK
        || sync_json_string(&event, &v, name, SYNC_EVENT_MAX) != SYNC_OK)
    {
        sync_request_invalid(c);
        return;
    }

    if (sync_json_next(&it, NULL, &arg) != SYNC_OK) {
        ngx_memzero(&arg, sizeof(sync_json_t));
    }

    /* names that are not known are nobody's fault */

    for (ev = sync_request_events; ev->handler; ev++) {
        if (sync_str_eq(&ev->name, &event)) {
            ev->handler(c, &arg);
            return;
        }
    }
}


static void
sync_request_invalid(sync_client_t *c)
{
    sync_str_t  json;

    sync_zone_count(sync_client_zone(), SYNC_COUNT_INVALID, 1);

    sync_str_set(&json, "[\"error\",{\"status\":\"error\","
                        "\"message\":\"a message is a JSON array that begins "
                        "with the name of an event\","
                        "\"errorCode\":\"protocol.invalidFrame\","
                        "\"httpStatus\":400}]");

    (void) sync_client_send(c, &json);
}


static void
sync_request_ignore(sync_client_t *c, sync_json_t *arg)
{
    /* void */
}


static void
sync_request_sync(sync_client_t *c, sync_json_t *arg)
{
    sync_json_t          v;
    sync_call_t         *call;
    sync_request_t       rq;
    sync_reply_error_t   e;
    u_char               index[SYNC_INDEX_MAX];
    u_char               receiver[SYNC_NAME_MAX];
    u_char               path[SYNC_REQUEST_PATH_MAX];

    if (arg->type != SYNC_JSON_OBJECT) {
        sync_str_set(&e.code, "sync.invalidRequest");
        e.params.len = 0;
        e.status = 400;

        sync_reply_bare_error(c, "sync", &e);
        return;
    }

    ngx_memzero(&rq, sizeof(sync_request_t));

    rq.client = c;
    rq.event = "sync";
    rq.settings = sync_settings(c);
    ngx_memcpy(rq.id, c->record->id, SYNC_ID_LEN);

    if (sync_json_get(&v, arg, "responseIndex") == SYNC_OK) {
        (void) sync_reply_index(&rq.index, &v, index);
    }

    if (sync_json_get(&v, arg, "data") != SYNC_OK
        || v.type != SYNC_JSON_OBJECT)
    {
        sync_request_error(&rq, "sync.invalidRequest", 400);
        return;
    }

    rq.data = v.raw;

    if (sync_json_get(&v, arg, "name") != SYNC_OK
        || v.type != SYNC_JSON_STRING)
    {
        sync_request_error(&rq, "sync.invalidRequest", 400);
        return;
    }

    if (sync_request_route(c, "sync", &rq.index, &rq.route, path,
                           &sync_request_prefix, &v)
        != SYNC_OK)
    {
        return;
    }

    if (sync_json_get(&v, arg, "cb") != SYNC_OK
        || v.type != SYNC_JSON_STRING || v.raw.len == 2)
    {
        sync_request_error(&rq, "sync.invalidCallback", 400);
        return;
    }

    if (sync_json_get(&v, arg, "ignoreSelf") == SYNC_OK) {
        rq.ignore_self = (v.type == SYNC_JSON_TRUE);
    }

    if (sync_request_receiver(&rq, arg, receiver) == SYNC_DECLINED) {
        sync_request_error(&rq, "sync.missingReceiver", 400);
        return;
    }

    /* the call's id is what the request could be cancelled by */

    call = sync_call_create(c, rq.settings, SYNC_HOOK_SERVER,
                            sync_request_answered);
    if (call == NULL) {
        sync_request_error(&rq, "hook.busy", 503);
        return;
    }

    sync_request_progress(&rq, call);
    sync_request_ask(&rq, call);
}


/*
 * Brings a route's name to its one form, in buf.  Returns SYNC_OK, or
 * SYNC_ERROR when the client has been told.
 */

static ngx_int_t
sync_request_route(sync_client_t *c, const char *event, sync_str_t *index,
    sync_name_route_t *route, u_char *buf, sync_str_t *prefix,
    sync_json_t *name)
{
    u_char               *p;
    sync_str_t            raw;
    sync_reply_error_t    e;
    u_char                text[SYNC_REQUEST_PATH_MAX];
    static u_char         params[SYNC_REQUEST_PATH_MAX * 6 + 64];

    if (sync_json_string(&raw, name, text,
                         SYNC_REQUEST_PATH_MAX - prefix->len - 1)
        == SYNC_OK
        && sync_name_route(route, buf, SYNC_REQUEST_PATH_MAX, prefix, &raw)
           == SYNC_OK)
    {
        return SYNC_OK;
    }

    sync_str_set(&e.code, "routing.invalidServiceRouteName");
    e.status = 400;
    e.params.len = 0;

    if (name->raw.len < sizeof(params) - 64) {
        p = ngx_cpymem(params, "[{\"key\":\"name\",\"value\":",
                       sizeof("[{\"key\":\"name\",\"value\":") - 1);
        p = ngx_cpymem(p, name->raw.data, name->raw.len);
        *p++ = '}';
        *p++ = ']';

        e.params.data = params;
        e.params.len = p - params;
    }

    sync_reply_error(c, event, index, &e);

    return SYNC_ERROR;
}


/*
 * Who is meant.  Returns SYNC_DECLINED if the request does not say; whether
 * the client may is looked at later.
 */

static ngx_int_t
sync_request_receiver(sync_request_t *rq, sync_json_t *arg, u_char *buf)
{
    sync_json_t  v;
    u_char       id[SYNC_ID_TEXT];

    if (sync_json_get(&v, arg, "receiver") != SYNC_OK
        || v.type != SYNC_JSON_STRING)
    {
        return SYNC_DECLINED;
    }

    if (sync_json_string(&rq->receiver, &v, buf, SYNC_NAME_MAX) != SYNC_OK) {

        /* a name so long is no room's */

        rq->receiver = v.raw;
        return SYNC_OK;
    }

    sync_name_trim(&rq->receiver);

    if (rq->receiver.len == 0) {
        return SYNC_DECLINED;
    }

    if (sync_str_is(&rq->receiver, "all")) {
        rq->all = 1;
        return SYNC_OK;
    }

    if (rq->receiver.len == SYNC_ID_TEXT) {
        sync_registry_print_id(id, rq->id);
        rq->self = ngx_memcmp(id, rq->receiver.data, SYNC_ID_TEXT) == 0;
    }

    return SYNC_OK;
}


/* The name by which the request can be cancelled comes before all else. */

static void
sync_request_progress(sync_request_t *rq, sync_call_t *call)
{
    u_char         *p;
    sync_writer_t   w;
    u_char          id[SYNC_CALL_ID_TEXT];

    if (rq->index.len == 0) {
        return;
    }

    p = sync_call_print_id(id, call);

    do {
        sync_reply_text(&w);
        sync_reply_write_event(&w, "sync-progress", &rq->index);
        sync_write_literal(&w, "{\"__cancelId\":\"");
        sync_write(&w, id, p - id);
        sync_write_literal(&w, "\"}]");

    } while (sync_reply_again(&w));

    sync_reply_send(rq->client, &w);
}


/* The gates, then the hook.  The call is used up in any case. */

static void
sync_request_ask(sync_request_t *rq, sync_call_t *call)
{
    ngx_int_t         rc;
    sync_str_t        body;
    sync_writer_t     w;
    sync_request_t   *copy;
    sync_settings_t  *s;

    s = rq->settings;

    if (rq->client->closing) {

        /* it was too slow to be told the id; the call is gone with it */

        return;
    }

    /* a client that hears many rooms may not speak to them all */

    if (rq->all ? !s->receiver_all : sync_name_is_pattern(&rq->receiver)) {
        sync_request_error(rq, "sync.receiverNotAllowed", 403);
        sync_call_cancel(call);
        return;
    }

    if (!rq->all && !rq->self
        && (sync_name_check(&rq->receiver) != SYNC_OK
            || (!s->receiver_any
                && !sync_fanout_is_member(rq->client, &rq->receiver))))
    {
        sync_request_error(rq, "sync.notRoomMember", 403);
        sync_call_cancel(call);
        return;
    }

    if (s->hooks[SYNC_HOOK_SERVER].uri.len == 0) {
        sync_call_cancel(call);
        sync_request_publish(rq, &sync_request_no_output);
        return;
    }

    copy = ngx_palloc(call->pool, sizeof(sync_request_t));

    if (copy == NULL || sync_request_copy(copy, rq, call->pool) != SYNC_OK) {
        sync_request_error(rq, "sync.serverExecutionFailed", 400);
        sync_call_cancel(call);
        return;
    }

    call->opaque = copy;
    call->outlive = 1;

    do {
        sync_reply_text(&w);
        sync_request_write(&w, rq, call, "sync");
        sync_write_literal(&w, ",\"receiver\":");
        sync_json_write_str(&w, &rq->receiver);
        sync_write_literal(&w, ",\"roomCode\":");
        sync_json_write_str(&w, &rq->receiver);
        sync_write_literal(&w, ",\"ignoreSelf\":");

        if (rq->ignore_self) {
            sync_write_literal(&w, "true");

        } else {
            sync_write_literal(&w, "false");
        }

        sync_write_literal(&w, ",\"data\":");
        sync_write_str(&w, &rq->data);
        sync_write_byte(&w, '}');

    } while (sync_reply_again(&w));

    sync_reply_str(&body, &w);

    rc = sync_call_start(call, &body, NULL);

    if (rc == SYNC_BUSY) {
        sync_request_error(rq, "hook.busy", 503);

    } else if (rc != SYNC_OK) {
        sync_request_error(rq, "sync.serverExecutionFailed", 400);
    }
}


/* What the hooks of both kinds of requests are told. */

static void
sync_request_write(sync_writer_t *w, sync_request_t *rq, sync_call_t *call,
    const char *kind)
{
    sync_str_t  user;

    sync_registry_user(rq->client->record, &user);

    sync_call_write(call, w, rq->id, &user, NULL);

    sync_write_literal(w, ",\"kind\":\"");
    sync_write(w, (u_char *) kind, ngx_strlen(kind));
    sync_write_literal(w, "\",\"route\":");
    sync_json_write_str(w, &rq->route.full);
    sync_write_literal(w, ",\"service\":");
    sync_json_write_str(w, &rq->route.service);
    sync_write_literal(w, ",\"name\":");
    sync_json_write_str(w, &rq->route.name);
    sync_write_literal(w, ",\"version\":");
    sync_json_write_str(w, &rq->route.version);
    sync_write_literal(w, ",\"transport\":\"socket\"");
}


/* What is needed once the app has answered; not the data. */

static ngx_int_t
sync_request_copy(sync_request_t *to, sync_request_t *from, ngx_pool_t *pool)
{
    u_char  *p;

    p = ngx_pnalloc(pool, from->receiver.len + from->index.len
                          + from->route.full.len);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    *to = *from;

    to->receiver.data = p;
    p = ngx_cpymem(p, from->receiver.data, from->receiver.len);

    to->index.data = p;
    p = ngx_cpymem(p, from->index.data, from->index.len);

    ngx_memzero(&to->route, sizeof(sync_name_route_t));

    to->route.full.len = from->route.full.len;
    to->route.full.data = p;
    ngx_memcpy(p, from->route.full.data, from->route.full.len);

    to->data.len = 0;
    to->data.data = NULL;

    return SYNC_OK;
}


static void
sync_request_answered(sync_call_t *call, sync_call_result_e result)
{
    sync_str_t       text;
    sync_json_t      v;
    sync_request_t  *rq;
    u_char           buf[16];

    rq = call->opaque;

    /* a caller who left is not told, but the others are */

    rq->client = call->client;

    if (result == SYNC_CALL_FAILED) {
        sync_request_error(rq, "sync.serverExecutionFailed", 400);
        return;
    }

    if (result == SYNC_CALL_INVALID
        || sync_json_get(&v, &call->value, "status") != SYNC_OK
        || sync_json_string(&text, &v, buf, sizeof(buf)) != SYNC_OK)
    {
        sync_request_error(rq, "sync.invalidServerResponse", 400);
        return;
    }

    if (sync_str_is(&text, "success")) {
        sync_request_publish(rq, &call->value.raw);

    } else if (sync_str_is(&text, "error")) {
        sync_request_rejected(rq, call);

    } else {
        sync_request_error(rq, "sync.invalidServerResponse", 400);
    }
}


/* The handler's own error, made what the wire has (luckystack-wire, 10). */

static void
sync_request_rejected(sync_request_t *rq, sync_call_t *call)
{
    int64_t              n;
    u_char              *buf;
    sync_json_t          v;
    sync_reply_error_t   e;

    sync_str_set(&e.code, "error.invalidResponse");
    e.params.len = 0;
    e.status = 400;

    if (sync_json_get(&v, &call->value, "errorCode") == SYNC_OK
        && v.type == SYNC_JSON_STRING)
    {
        buf = ngx_pnalloc(call->pool, v.raw.len);

        if (buf && sync_json_string(&e.code, &v, buf, v.raw.len) == SYNC_OK) {
            sync_name_trim(&e.code);
        }

        if (e.code.len == 0) {
            sync_str_set(&e.code, "error.invalidResponse");
        }
    }

    if (sync_json_get(&v, &call->value, "errorParams") == SYNC_OK
        && sync_request_params_valid(&v))
    {
        e.params = v.raw;
    }

    if (sync_json_get(&v, &call->value, "httpStatus") == SYNC_OK
        && sync_json_int64(&n, &v) == SYNC_OK
        && n >= 100 && n <= 999)
    {
        e.status = n;
    }

    sync_request_reply_error(rq, &e);
}


/* An array of {key: string, value: string|number|boolean}, every item. */

static ngx_uint_t
sync_request_params_valid(sync_json_t *params)
{
    sync_json_t       item, v;
    sync_json_iter_t  it;

    if (params->type != SYNC_JSON_ARRAY) {
        return 0;
    }

    sync_json_iter_init(&it, params);

    while (sync_json_next(&it, NULL, &item) == SYNC_OK) {

        if (sync_json_get(&v, &item, "key") != SYNC_OK
            || v.type != SYNC_JSON_STRING
            || sync_json_get(&v, &item, "value") != SYNC_OK
            || v.type == SYNC_JSON_NULL
            || v.type == SYNC_JSON_ARRAY
            || v.type == SYNC_JSON_OBJECT)
        {
            return 0;
        }
    }

    return 1;
}


/* The message goes out, and the caller is told how it went. */

static void
sync_request_publish(sync_request_t *rq, sync_str_t *output)
{
    if (rq->self) {

        /* nothing holds this message up: the acknowledgement goes first */

        sync_request_ack(rq, output);

        if (!rq->ignore_self) {
            (void) sync_request_say(rq, output);
        }

        return;
    }

    switch (sync_request_say(rq, output)) {

    case SYNC_OK:
        break;

    case SYNC_DECLINED:
        sync_request_error(rq, "sync.noReceiversFound", 400);
        return;

    default:
        sync_request_error(rq, "broker.unavailable", 503);
        return;
    }

    sync_request_ack(rq, output);
}


static ngx_int_t
sync_request_say(sync_request_t *rq, sync_str_t *output)
{
    sync_room_t    *room;
    sync_said_t     said;
    sync_saying_t   s;
    sync_writer_t   w;

    do {
        sync_reply_text(&w);
        sync_write_literal(&w, "[\"sync\",{\"cb\":");
        sync_json_write_str(&w, &rq->route.full);
        sync_write_literal(&w, ",\"fullName\":");
        sync_json_write_str(&w, &rq->route.full);
        sync_write_literal(&w, ",\"serverOutput\":");
        sync_write_str(&w, output);
        sync_write_literal(&w, ",\"clientOutput\":{},\"message\":\"");
        sync_json_write_escaped(&w, rq->route.full.data, rq->route.full.len);
        sync_write_literal(&w, " sync success\",\"status\":\"success\"}]");

    } while (sync_reply_again(&w));

    if (w.len == 0) {
        return SYNC_BUSY;
    }

    ngx_memzero(&s, sizeof(sync_saying_t));

    sync_reply_str(&s.json, &w);
    s.event_len = sizeof("\"sync\"") - 1;

    /* with no sessions, a client stands for its token */

    if (rq->ignore_self) {
        s.except = rq->id;
        s.nexcept = 1;
    }

    if (rq->all) {
        return sync_publish_all(rq->settings->main, &s, &said);
    }

    if (rq->self) {
        return rq->client
               ? sync_client_send(rq->client, &s.json)
               : sync_publish_client(rq->settings->main, rq->id, &s);
    }

    room = rq->client ? sync_fanout_room(rq->client, &rq->receiver) : NULL;

    return sync_publish_room(rq->settings->main, &rq->receiver, room, &s,
                             &said);
}


static void
sync_request_ack(sync_request_t *rq, sync_str_t *output)
{
    sync_writer_t  w;

    if (rq->index.len == 0) {
        return;
    }

    do {
        sync_reply_text(&w);
        sync_reply_write_event(&w, "sync", &rq->index);
        sync_write_literal(&w, "{\"status\":\"success\",\"message\":\"sync ");
        sync_json_write_escaped(&w, rq->route.full.data, rq->route.full.len);
        sync_write_literal(&w, " success\",\"result\":");
        sync_write_str(&w, output);
        sync_write_literal(&w, "}]");

    } while (sync_reply_again(&w));

    sync_request_reply(rq, &w);
}


/* A client whose session was moved while the app thought is told there. */

static void
sync_request_reply(sync_request_t *rq, sync_writer_t *w)
{
    sync_saying_t  s;

    if (rq->client) {
        sync_reply_send(rq->client, w);
        return;
    }

    if (w->len == 0) {
        return;
    }

    ngx_memzero(&s, sizeof(sync_saying_t));
    sync_reply_str(&s.json, w);

    /* one that left is not told, and a full zone tells nobody */

    (void) sync_publish_client(rq->settings->main, rq->id, &s);
}


static void
sync_request_reply_error(sync_request_t *rq, sync_reply_error_t *e)
{
    sync_writer_t  w;

    if (rq->index.len == 0) {
        return;
    }

    do {
        sync_reply_text(&w);
        sync_reply_write_event(&w, rq->event, &rq->index);
        sync_reply_write_error(&w, e);
        sync_write_byte(&w, ']');

    } while (sync_reply_again(&w));

    sync_request_reply(rq, &w);
}


static void
sync_request_error(sync_request_t *rq, const char *code, ngx_uint_t status)
{
    sync_reply_error_t  e;

    e.code.data = (u_char *) code;
    e.code.len = ngx_strlen(code);
    e.params.len = 0;
    e.status = status;

    sync_request_reply_error(rq, &e);
}


/* A call of the app: with no hook, no route is found. */

static void
sync_request_api(sync_client_t *c, sync_json_t *arg)
{
    sync_json_t     name, data, v;
    sync_request_t  rq;
    u_char          buf[SYNC_INDEX_MAX], path[SYNC_REQUEST_PATH_MAX];

    ngx_memzero(&rq, sizeof(sync_request_t));

    rq.client = c;
    rq.event = "apiResponse";
    rq.settings = sync_settings(c);
    sync_str_set(&rq.receiver, "");
    ngx_memcpy(rq.id, c->record->id, SYNC_ID_LEN);

    if (sync_json_get(&v, arg, "responseIndex") != SYNC_OK
        || sync_reply_index(&rq.index, &v, buf) != SYNC_OK)
    {
        return;
    }

    if (sync_json_get(&name, arg, "name") != SYNC_OK
        || name.type != SYNC_JSON_STRING || name.raw.len == 2
        || sync_json_get(&data, arg, "data") != SYNC_OK
        || data.type != SYNC_JSON_OBJECT)
    {
        sync_request_error(&rq, "api.invalidRequest", 400);
        return;
    }

    rq.data = data.raw;

    if (sync_request_route(c, "apiResponse", &rq.index, &rq.route, path,
                           &sync_request_api_prefix, &name)
        != SYNC_OK)
    {
        return;
    }

    if (rq.settings->hooks[SYNC_HOOK_API].uri.len == 0) {
        sync_request_error(&rq, "api.notFound", 404);
        return;
    }

    sync_request_api_ask(&rq);
}


static void
sync_request_api_ask(sync_request_t *rq)
{
    ngx_int_t        rc;
    sync_str_t       body;
    sync_call_t     *call;
    sync_writer_t    w;
    sync_request_t  *copy;

    call = sync_call_create(rq->client, rq->settings, SYNC_HOOK_API,
                            sync_request_api_answered);
    if (call == NULL) {
        sync_request_error(rq, "hook.busy", 503);
        return;
    }

    copy = ngx_palloc(call->pool, sizeof(sync_request_t));

    if (copy == NULL || sync_request_copy(copy, rq, call->pool) != SYNC_OK) {
        sync_request_error(rq, "api.internalServerError", 500);
        sync_call_cancel(call);
        return;
    }

    call->opaque = copy;
    call->outlive = 1;

    do {
        sync_reply_text(&w);
        sync_request_write(&w, rq, call, "api");
        sync_write_literal(&w, ",\"data\":");
        sync_write_str(&w, &rq->data);
        sync_write_byte(&w, '}');

    } while (sync_reply_again(&w));

    sync_reply_str(&body, &w);

    rc = sync_call_start(call, &body, NULL);

    if (rc == SYNC_BUSY) {
        sync_request_error(rq, "hook.busy", 503);

    } else if (rc != SYNC_OK) {
        sync_request_error(rq, "api.internalServerError", 500);
    }
}


static void
sync_request_api_answered(sync_call_t *call, sync_call_result_e result)
{
    sync_str_t       text;
    sync_json_t      v;
    sync_request_t  *rq;
    u_char           buf[16];

    rq = call->opaque;
    rq->client = call->client;

    if (result == SYNC_CALL_FAILED) {
        sync_request_error(rq, "api.internalServerError", 500);
        return;
    }

    if (result == SYNC_CALL_INVALID
        || sync_json_get(&v, &call->value, "status") != SYNC_OK
        || sync_json_string(&text, &v, buf, sizeof(buf)) != SYNC_OK)
    {
        sync_request_error(rq, "api.invalidResponseStatus", 500);
        return;
    }

    if (sync_str_is(&text, "success")) {
        sync_request_api_success(rq, &call->value);

    } else if (sync_str_is(&text, "error")) {
        sync_request_rejected(rq, call);

    } else {
        sync_request_error(rq, "api.invalidResponseStatus", 500);
    }
}


/* The handler's object, with its status of HTTP, or 200, at the end. */

static void
sync_request_api_success(sync_request_t *rq, sync_json_t *value)
{
    int64_t           status;
    sync_str_t        key;
    sync_json_t       v;
    sync_writer_t     w;
    sync_json_iter_t  it;

    static const sync_str_t  name = sync_string("httpStatus");

    status = 200;

    if (sync_json_get(&v, value, "httpStatus") == SYNC_OK
        && sync_json_int64(&status, &v) != SYNC_OK)
    {
        status = 200;
    }

    do {
        sync_reply_text(&w);
        sync_reply_write_event(&w, rq->event, &rq->index);
        sync_write_byte(&w, '{');

        sync_json_iter_init(&it, value);

        while (sync_json_next(&it, &key, &v) == SYNC_OK) {

            if (sync_json_key_is(&key, &name)) {
                continue;
            }

            sync_write_byte(&w, '"');
            sync_write_str(&w, &key);
            sync_write_literal(&w, "\":");
            sync_write_str(&w, &v.raw);
            sync_write_byte(&w, ',');
        }

        sync_write_literal(&w, "\"httpStatus\":");
        sync_write_int(&w, status);
        sync_write_literal(&w, "}]");

    } while (sync_reply_again(&w));

    sync_request_reply(rq, &w);
}
