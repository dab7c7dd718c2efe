
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_request.h>
#include <sync_ask.h>
#include <sync_cancel.h>
#include <sync_collect.h>
#include <sync_fanout.h>
#include <sync_gate.h>
#include <sync_join.h>
#include <sync_location.h>
#include <sync_logout.h>
#include <sync_presence.h>
#include <sync_session.h>
#include <sync_subscribe.h>


#define SYNC_REQUEST_PATH_MAX  512      /* bytes in a route's name */


typedef void (*sync_request_event_pt)(sync_client_t *c, sync_json_t *arg);


typedef struct {
    sync_str_t              name;
    sync_request_event_pt   handler;
} sync_request_event_t;


static void sync_request_invalid(sync_client_t *c);
static void sync_request_sync(sync_client_t *c, sync_json_t *arg);
static void sync_request_api(sync_client_t *c, sync_json_t *arg);
static ngx_uint_t sync_request_is_token(sync_request_t *rq);
static ngx_uint_t sync_request_is_member(sync_request_t *rq);
static ngx_int_t sync_request_check_method(sync_request_t *rq,
    sync_reply_error_t *e);
static ngx_int_t sync_request_quote(sync_json_t *v, sync_str_t *name,
    u_char *buf, size_t size);
static void sync_request_init_web(sync_request_t *rq, sync_web_t *web,
    sync_settings_t *s, const sync_asker_kind_t *kind);
static void sync_request_init(sync_request_t *rq, sync_client_t *c,
    const sync_asker_kind_t *kind);
static ngx_int_t sync_request_opaque(sync_request_t *rq, sync_json_t *name,
    u_char *buf);
static ngx_int_t sync_request_route(sync_request_t *rq, sync_json_t *name,
    u_char *buf);
static ngx_int_t sync_request_receiver(sync_request_t *rq, sync_json_t *arg,
    u_char *buf);
static void sync_request_serve(sync_request_t *rq, sync_str_t *name);
static ngx_int_t sync_request_check(sync_request_t *rq, sync_str_t *name,
    sync_reply_error_t *e);
static ngx_int_t sync_request_check_receiver(sync_request_t *rq,
    sync_reply_error_t *e);
static ngx_int_t sync_request_refuse(sync_request_t *rq,
    sync_reply_error_t *e, sync_fault_e fault);


static sync_request_event_t  sync_request_events[] = {
    { sync_string("sync"), sync_request_sync },
    { sync_string("joinRoom"), sync_join_room },
    { sync_string("leaveRoom"), sync_join_leave },
    { sync_string("getJoinedRooms"), sync_join_list },
    { sync_string("subscribe"), sync_subscribe_begin },
    { sync_string("unsubscribe"), sync_subscribe_end },
    { sync_string("apiRequest"), sync_request_api },
    { sync_string("syncCancel"), sync_cancel_sync },
    { sync_string("apiCancel"), sync_cancel_api },
    { sync_string("ack"), sync_collect_event },
    { sync_string("updateLocation"), sync_location_update },
    { sync_string("intentionalDisconnect"), sync_presence_hide },
    { { 0, NULL }, NULL }
};


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

    c->record->active = (uint32_t) ngx_time();

    if (c->record->away) {
        sync_presence_heard(c);
    }

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
sync_request_sync(sync_client_t *c, sync_json_t *arg)
{
    sync_json_t          v, name;
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

        if (sync_reply_index(&rq.index, NULL, index) == SYNC_OK) {
            sync_reply_error(c, "sync", &rq.index, &e);
        }

        return;
    }

    sync_request_init(&rq, c, &sync_asker_sync);

    /* one that is not to be answered is served all the same */

    (void) sync_reply_index(&rq.index, arg, index);

    if (sync_json_get(&v, arg, "data") != SYNC_OK
        || v.type != SYNC_JSON_OBJECT)
    {
        sync_asker_fault(&rq, SYNC_FAULT_REQUEST);
        return;
    }

    rq.data = v.raw;

    if (sync_json_get(&name, arg, "name") != SYNC_OK
        || name.type != SYNC_JSON_STRING)
    {
        sync_asker_fault(&rq, SYNC_FAULT_REQUEST);
        return;
    }

    if (sync_request_route(&rq, &name, path) != SYNC_OK) {
        return;
    }

    if (sync_json_get(&v, arg, "cb") != SYNC_OK
        || v.type != SYNC_JSON_STRING || v.raw.len == 2)
    {
        sync_asker_fault(&rq, SYNC_FAULT_CALLBACK);
        return;
    }

    if (rq.route.version.len == 0) {
        rq.cb = v.raw;
    }

    if (sync_json_get(&v, arg, "ignoreSelf") == SYNC_OK) {
        rq.ignore_self = (v.type == SYNC_JSON_TRUE);
    }

    if (sync_request_receiver(&rq, arg, receiver) == SYNC_DECLINED) {
        sync_asker_fault(&rq, SYNC_FAULT_RECEIVER);
        return;
    }

    sync_request_serve(&rq, &name.raw);
}


static void
sync_request_api(sync_client_t *c, sync_json_t *arg)
{
    sync_json_t     v, name;
    sync_request_t  rq;
    u_char          index[SYNC_INDEX_MAX], path[SYNC_REQUEST_PATH_MAX];

    sync_request_init(&rq, c, &sync_asker_api);

    if (sync_reply_index(&rq.index, arg, index) != SYNC_OK) {
        return;
    }

    if (sync_json_get(&name, arg, "name") != SYNC_OK
        || name.type != SYNC_JSON_STRING || name.raw.len == 2
        || sync_json_get(&v, arg, "data") != SYNC_OK
        || v.type != SYNC_JSON_OBJECT)
    {
        sync_asker_fault(&rq, SYNC_FAULT_REQUEST);
        return;
    }

    rq.data = v.raw;

    if (sync_request_route(&rq, &name, path) != SYNC_OK) {
        return;
    }

    if (sync_logout_is_meant(&rq)) {
        sync_logout(&rq);
        return;
    }

    sync_request_serve(&rq, &name.raw);
}


void
sync_request_web_sync(sync_web_t *web, sync_settings_t *s, sync_str_t *name,
    sync_json_t *body)
{
    sync_json_t     v, text;
    sync_request_t  rq;
    u_char          receiver[SYNC_NAME_MAX];
    u_char          path[SYNC_REQUEST_PATH_MAX];
    u_char          quoted[SYNC_REQUEST_PATH_MAX * 6 + 2];

    sync_request_init_web(&rq, web, s, &sync_asker_sync);

    sync_str_set(&rq.data, "{}");

    if (sync_json_get(&v, body, "data") == SYNC_OK) {

        if (v.type == SYNC_JSON_ARRAY) {
            sync_asker_fault(&rq, SYNC_FAULT_REQUEST);
            return;
        }

        if (v.type == SYNC_JSON_OBJECT) {
            rq.data = v.raw;
        }
    }

    if (sync_request_quote(&text, name, quoted, sizeof(quoted)) != SYNC_OK) {
        sync_asker_fault(&rq, SYNC_FAULT_ROUTE);
        return;
    }

    if (sync_request_route(&rq, &text, path) != SYNC_OK) {
        return;
    }

    if (sync_json_get(&v, body, "ignoreSelf") == SYNC_OK) {
        rq.ignore_self = (v.type == SYNC_JSON_TRUE);
    }

    if (sync_request_receiver(&rq, body, receiver) == SYNC_DECLINED) {
        sync_asker_fault(&rq, SYNC_FAULT_RECEIVER);
        return;
    }

    sync_request_serve(&rq, &text.raw);
}


void
sync_request_web_api(sync_web_t *web, sync_settings_t *s, sync_str_t *name,
    sync_json_t *body)
{
    sync_json_t     text;
    sync_request_t  rq;
    u_char          path[SYNC_REQUEST_PATH_MAX];
    u_char          quoted[SYNC_REQUEST_PATH_MAX * 6 + 2];

    sync_request_init_web(&rq, web, s, &sync_asker_api);

    rq.data = body->raw;

    if (sync_request_quote(&text, name, quoted, sizeof(quoted)) != SYNC_OK) {
        sync_asker_fault(&rq, SYNC_FAULT_ROUTE);
        return;
    }

    if (sync_request_route(&rq, &text, path) != SYNC_OK) {
        return;
    }

    sync_request_serve(&rq, &text.raw);
}


/* A path as the JSON that a client would have sent. */

static ngx_int_t
sync_request_quote(sync_json_t *v, sync_str_t *name, u_char *buf, size_t size)
{
    sync_writer_t  w;

    sync_writer_init(&w, buf, size);
    sync_json_write_str(&w, name);

    if (!sync_writer_fits(&w)) {
        return SYNC_ERROR;
    }

    v->type = SYNC_JSON_STRING;
    v->raw.data = buf;
    v->raw.len = w.len;

    return SYNC_OK;
}


/*
 * What older clients call a route, the prefix, a page's path and a name:
 * nothing is known of it but that it is one (luckystack-wire, 12.2).
 */

static ngx_int_t
sync_request_opaque(sync_request_t *rq, sync_json_t *name, u_char *buf)
{
    sync_str_t         raw;
    const sync_str_t  *prefix;

    prefix = &rq->kind->prefix;

    if (sync_json_string(&raw, name, buf, SYNC_REQUEST_PATH_MAX) != SYNC_OK) {
        return SYNC_ERROR;
    }

    sync_name_trim(&raw);

    if (raw.len < prefix->len + 2
        || raw.data[prefix->len] != '/'
        || ngx_memcmp(raw.data, prefix->data, prefix->len) != 0)
    {
        return SYNC_ERROR;
    }

    ngx_memzero(&rq->route, sizeof(sync_name_route_t));

    rq->route.full = raw;
    rq->route.path.data = raw.data + prefix->len + 1;
    rq->route.path.len = raw.len - prefix->len - 1;
    rq->route.name = rq->route.path;

    sync_str_set(&rq->route.service, "");
    sync_str_set(&rq->route.version, "");

    return SYNC_OK;
}


static void
sync_request_init_web(sync_request_t *rq, sync_web_t *web,
    sync_settings_t *s, const sync_asker_kind_t *kind)
{
    ngx_memzero(rq, sizeof(sync_request_t));

    sync_str_set(&rq->receiver, "");
    sync_str_set(&rq->index, "");
    sync_str_set(&rq->cb, "");

    rq->kind = kind;
    rq->web = web;
    rq->http = 1;
    rq->settings = s;
    sync_str_set(&rq->index, "");
    sync_str_set(&rq->receiver, "");
    sync_str_set(&rq->cb, "");

    if (web->token.len) {
        sync_token_id(rq->own, &web->token);
    }
}


static void
sync_request_init(sync_request_t *rq, sync_client_t *c,
    const sync_asker_kind_t *kind)
{
    ngx_memzero(rq, sizeof(sync_request_t));

    rq->kind = kind;
    rq->client = c;
    rq->settings = sync_settings(c);
    sync_str_set(&rq->index, "");
    sync_str_set(&rq->receiver, "");
    sync_str_set(&rq->cb, "");
    ngx_memcpy(rq->id, c->record->id, SYNC_ID_LEN);
    ngx_memcpy(rq->own, c->token ? c->token->id : c->record->id,
               SYNC_ID_LEN);
}


/*
 * Brings a route's name to its one form, in buf.  Returns SYNC_OK, or
 * SYNC_ERROR when the client has been told.
 */

static ngx_int_t
sync_request_route(sync_request_t *rq, sync_json_t *name, u_char *buf)
{
    u_char                    *p;
    sync_str_t                 raw;
    const sync_str_t          *prefix;
    sync_reply_error_t         e;
    const sync_asker_fault_t  *f;
    u_char                     text[SYNC_REQUEST_PATH_MAX];
    static u_char              params[SYNC_REQUEST_PATH_MAX * 6 + 64];

    prefix = &rq->kind->prefix;

    if (sync_json_string(&raw, name, text,
                         SYNC_REQUEST_PATH_MAX - prefix->len - 1)
        == SYNC_OK
        && sync_name_route(&rq->route, buf, SYNC_REQUEST_PATH_MAX, prefix,
                           &raw)
           == SYNC_OK)
    {
        return SYNC_OK;
    }

    if (rq->settings->legacy
        && sync_request_opaque(rq, name, buf) == SYNC_OK)
    {
        return SYNC_OK;
    }

    f = &rq->kind->faults[SYNC_FAULT_ROUTE];

    e.code = f->code;
    e.status = f->status;
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

    sync_asker_error(rq, &e);

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

        /* a name so long is no room's, but may be that of a token */

        rq->receiver = v.raw;

        if (v.raw.len > 2) {
            rq->receiver.data++;
            rq->receiver.len -= 2;
        }

        rq->token = sync_request_is_token(rq);

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

    if (rq->client && rq->receiver.len == SYNC_ID_TEXT) {
        sync_registry_print_id(id, rq->id);
        rq->self = ngx_memcmp(id, rq->receiver.data, SYNC_ID_TEXT) == 0;
    }

    rq->token = sync_request_is_token(rq);

    return SYNC_OK;
}


/* Whether the receiver is the asker's own token. */

static ngx_uint_t
sync_request_is_token(sync_request_t *rq)
{
    u_char  id[SYNC_ID_LEN];

    if (rq->client) {
        return sync_session_is_token(rq->client, &rq->receiver);
    }

    if (rq->web->token.len == 0) {
        return 0;
    }

    sync_token_id(id, &rq->receiver);

    return ngx_memcmp(id, rq->own, SYNC_ID_LEN) == 0;
}


/* A request that is well formed: its checks, then the app. */

static void
sync_request_serve(sync_request_t *rq, sync_str_t *name)
{
    sync_call_t         *call;
    sync_reply_error_t   e;

    call = sync_ask_create(rq);

    if (call == NULL) {
        sync_asker_fault(rq, SYNC_FAULT_BUSY);
        return;
    }

    if (rq->kind == &sync_asker_sync && rq->client) {

        /* the name to cancel it by comes before all else */

        sync_asker_progress(rq, call);

        if (rq->client->closing) {

            /* it was too slow to be told; the call is gone with it */

            return;
        }
    }

    if (sync_request_check(rq, name, &e) == SYNC_OK) {
        sync_ask(rq, call);
        return;
    }

    /* the client may be closed by what it is told, its calls with it */

    sync_call_cancel(call);
    sync_asker_error(rq, &e);
}


/*
 * Between parsing and the app: whether there is such a route, and whether
 * the client may call it.  Returns SYNC_OK, or SYNC_DECLINED and the error.
 */

static ngx_int_t
sync_request_check(sync_request_t *rq, sync_str_t *name,
    sync_reply_error_t *e)
{
    ngx_str_t    *addr;
    sync_gate_t   g;
    u_char        ip[NGX_SOCKADDR_STRLEN];

    ngx_memzero(&g, sizeof(sync_gate_t));

    g.settings = rq->settings;
    g.full = rq->route.full;
    g.name = *name;
    g.data = rq->data;
    g.api = (rq->kind == &sync_asker_api);

    if (rq->web) {
        g.session = rq->web->session;
        g.token = rq->web->token;
        g.unknown = rq->web->unknown;
        addr = &rq->web->request->connection->addr_text;
        sync_gate_address(&g, addr->data, addr->len);

    } else {
        sync_gate_client(&g, rq->client, ip);
    }

    if (sync_gate_auth(&g, e) != SYNC_OK) {
        return SYNC_DECLINED;
    }

    rq->declared = g.route;

    if (!g.api && sync_request_check_receiver(rq, e) != SYNC_OK) {
        return SYNC_DECLINED;
    }

    if (sync_gate_rate(&g, e) != SYNC_OK
        || (g.api && rq->web && sync_request_check_method(rq, e) != SYNC_OK)
        || sync_gate_input(&g, e) != SYNC_OK)
    {
        return SYNC_DECLINED;
    }

    /* with no hook, no api is found */

    if (g.api && rq->settings->hooks[rq->kind->hook].uri.len == 0
        && g.route->uri.len == 0)
    {
        return sync_request_refuse(rq, e, SYNC_FAULT_FOUND);
    }

    return SYNC_OK;
}


static ngx_int_t
sync_request_check_receiver(sync_request_t *rq, sync_reply_error_t *e)
{
    sync_settings_t  *s;

    s = rq->settings;

    /* a client that hears many rooms may not speak to them all */

    if (rq->all ? !s->receiver_all
                : !rq->token && sync_name_is_pattern(&rq->receiver))
    {
        return sync_request_refuse(rq, e, SYNC_FAULT_ALLOWED);
    }

    if (!rq->all && !rq->self && !rq->token
        && (sync_name_check(&rq->receiver) != SYNC_OK
            || (!s->receiver_any
                && !sync_request_is_member(rq))))
    {
        if (rq->web && rq->web->unknown) {
            sync_str_set(&e->code, "session.unavailable");
            e->params.len = 0;
            e->status = NGX_HTTP_SERVICE_UNAVAILABLE;

            return SYNC_DECLINED;
        }

        return sync_request_refuse(rq, e, SYNC_FAULT_MEMBER);
    }

    return SYNC_OK;
}


/* Who asks by HTTP is in the rooms of its session. */

static ngx_uint_t
sync_request_is_member(sync_request_t *rq)
{
    sync_str_t        name;
    sync_json_t       session, rooms, v;
    sync_json_iter_t  it;
    u_char            buf[SYNC_NAME_MAX];

    if (rq->client) {
        return sync_fanout_is_member(rq->client, &rq->receiver);
    }

    session.raw = rq->web->session;
    session.type = SYNC_JSON_OBJECT;

    if (session.raw.len == 0
        || sync_json_get(&rooms, &session, "roomCodes") != SYNC_OK
        || rooms.type != SYNC_JSON_ARRAY)
    {
        return 0;
    }

    sync_json_iter_init(&it, &rooms);

    while (sync_json_next(&it, NULL, &v) == SYNC_OK) {

        if (sync_json_string(&name, &v, buf, SYNC_NAME_MAX) == SYNC_OK
            && sync_str_eq(&name, &rq->receiver))
        {
            return 1;
        }
    }

    return 0;
}


/* Of an HTTP call: what the app says, or what the name begins with. */

static ngx_int_t
sync_request_check_method(sync_request_t *rq, sync_reply_error_t *e)
{
    u_char               *p, *last;
    ngx_uint_t            i;
    sync_str_t            name;
    sync_route_method_e   method;

    static struct {
        sync_str_t            prefix;
        sync_route_method_e   method;
    } verbs[] = {
        { sync_string("get"), SYNC_ROUTE_GET },
        { sync_string("fetch"), SYNC_ROUTE_GET },
        { sync_string("list"), SYNC_ROUTE_GET },
        { sync_string("delete"), SYNC_ROUTE_DELETE },
        { sync_string("remove"), SYNC_ROUTE_DELETE },
        { sync_string("update"), SYNC_ROUTE_PUT },
        { sync_string("edit"), SYNC_ROUTE_PUT },
        { sync_string("patch"), SYNC_ROUTE_PUT },
        { { 0, NULL }, SYNC_ROUTE_POST }
    };

    static sync_str_t  errors[] = {
        sync_string("[]"),
        sync_string("[{\"key\":\"method\",\"value\":\"GET\"}]"),
        sync_string("[{\"key\":\"method\",\"value\":\"POST\"}]"),
        sync_string("[{\"key\":\"method\",\"value\":\"PUT\"}]"),
        sync_string("[{\"key\":\"method\",\"value\":\"DELETE\"}]")
    };

    method = rq->declared->method;

    if (method == SYNC_ROUTE_METHOD_UNSET) {
        name = rq->route.name;
        last = name.data + name.len;

        for (p = last; p > name.data && p[-1] != '/'; p--) { /* void */ }

        for (i = 0; verbs[i].prefix.len; i++) {
            if ((size_t) (last - p) >= verbs[i].prefix.len
                && ngx_strncmp(p, verbs[i].prefix.data, verbs[i].prefix.len)
                   == 0)
            {
                break;
            }
        }

        method = verbs[i].method;
    }

    if (method == rq->web->method) {
        return SYNC_OK;
    }

    (void) sync_request_refuse(rq, e, SYNC_FAULT_METHOD);

    e->params = errors[method];

    return SYNC_DECLINED;
}


static ngx_int_t
sync_request_refuse(sync_request_t *rq, sync_reply_error_t *e,
    sync_fault_e fault)
{
    const sync_asker_fault_t  *f;

    f = &rq->kind->faults[fault];

    e->code = f->code;
    e->status = f->status;
    e->params.len = 0;

    return SYNC_DECLINED;
}
