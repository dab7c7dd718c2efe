
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include <sync_connect.h>
#include <sync_gate.h>
#include <sync_call.h>
#include <sync_cancel.h>
#include <sync_cluster.h>
#include <sync_disconnect.h>
#include <sync_event_id.h>
#include <sync_fanout.h>
#include <sync_grant.h>
#include <sync_former.h>
#include <sync_greeting.h>
#include <sync_join.h>
#include <sync_name.h>
#include <sync_notify.h>
#include <sync_presence.h>
#include <sync_process.h>
#include <sync_random.h>
#include <sync_refusal.h>
#include <sync_replay.h>
#include <sync_reply.h>
#include <sync_request.h>
#include <sync_session_attach.h>
#include <sync_session_change.h>
#include <sync_session_op.h>
#include <sync_sse_client.h>
#include <sync_token.h>
#include <sync_ws.h>
#include <sync_ws_client.h>


#define SYNC_CONNECT_USER_MAX  255      /* bytes */

#define sync_connect_claims_right(cn)                                         \
    ((cn)->claim.len == 0 || sync_str_eq(&(cn)->claim, &(cn)->user))


/*
 * A request that is to become a client, in its pool.  The record is made
 * first, so that hooks can be told the client's id, and a full zone can be
 * answered for.
 */

typedef struct {
    ngx_http_request_t     *request;
    sync_settings_t        *settings;
    sync_call_t            *call;       /* being asked */
    sync_record_t          *record;     /* until the client has it */
    sync_str_t              user;
    sync_str_t              claim;      /* to be that user; of an SSE request */
    sync_str_t              token;      /* empty: none */
    sync_str_t              session;    /* the same */
    sync_session_op_t       op;         /* by which it is read */
    sync_str_t              id;         /* as text */
    u_char                  text[SYNC_ID_TEXT];

    sync_str_t              rooms;      /* JSON, of the connect hook */
    sync_str_t             *channels;   /* of an SSE request */
    ngx_uint_t              nchannels;
    ngx_uint_t              next;       /* channel to be decided on */
    sync_str_t             *denied;
    ngx_uint_t              ndenied;
    ngx_uint_t              ngranted;   /* they stand first in channels */
    ngx_uint_t              nlinked;    /* of those, whose log was waited for */
    sync_cluster_wait_t    *wait;
    sync_event_id_t         event_id;

    unsigned                sse:1;
    unsigned                reading:1;  /* the session */
    unsigned                async:1;    /* outside of the content handler */
} sync_connect_t;


static sync_connect_t *sync_connect_create(ngx_http_request_t *r,
    sync_settings_t *s);
static void sync_connect_cleanup(void *data);
static sync_connect_t *sync_connect_find(ngx_http_request_t *r);
static ngx_int_t sync_connect_channels(sync_connect_t *cn);
static ngx_int_t sync_connect_unescape(ngx_http_request_t *r,
    sync_str_t *value, const char *name);
static ngx_int_t sync_connect_identify(sync_connect_t *cn);
static void sync_connect_read(sync_session_op_t *op, ngx_int_t rc);
static ngx_int_t sync_connect_known(sync_connect_t *cn, ngx_int_t rc);
static ngx_int_t sync_connect_forbid(sync_connect_t *cn);
static ngx_int_t sync_connect_keep_session(sync_connect_t *cn);
static ngx_int_t sync_connect_begin(sync_connect_t *cn);
static void sync_connect_wait(sync_connect_t *cn);
static void sync_connect_resume(sync_connect_t *cn, ngx_int_t rc);
static ngx_int_t sync_connect_ask(sync_connect_t *cn,
    sync_hook_event_e event, sync_str_t *room);
static void sync_connect_answered(sync_call_t *call,
    sync_call_result_e result);
static ngx_int_t sync_connect_grant(sync_connect_t *cn, sync_grant_t *g);
static void sync_connect_saved(sync_session_op_t *op, ngx_int_t rc);
static ngx_int_t sync_connect_granted(sync_connect_t *cn, ngx_int_t rc);
static ngx_int_t sync_connect_go_on(sync_connect_t *cn);
static void sync_connect_linked(void *data);
static void sync_connect_decided(sync_connect_t *cn, ngx_uint_t granted);
static ngx_int_t sync_connect_refuse(sync_connect_t *cn, sync_str_t *code,
    ngx_uint_t status);
static ngx_int_t sync_connect_opened(sync_client_t *c,
    ngx_http_request_t *r);
static ngx_int_t sync_connect_enter(sync_client_t *c);
static ngx_int_t sync_connect_keep(sync_client_t *c, ngx_http_request_t *r);
static ngx_int_t sync_connect_forget(sync_client_t *c);
static void sync_connect_greeted(sync_client_t *c, sync_str_t *token,
    sync_str_t *rooms);
static void sync_connect_message(sync_client_t *c, u_char *p, size_t len);
static void sync_connect_greet(sync_client_t *c, sync_connect_t *cn);
static void sync_connect_write_names(sync_writer_t *w, sync_str_t *names,
    ngx_uint_t n);


const sync_client_handler_t  sync_connect_handler = {
    sync_connect_message,
    NULL,
    sync_replay_drained,
    sync_connect_closed
};


static sync_str_t  sync_connect_protocol = sync_string(SYNC_WS_PROTOCOL);


ngx_int_t
sync_connect_websocket(ngx_http_request_t *r, sync_settings_t *s)
{
    sync_connect_t  *cn;

    if (sync_process_ready() != SYNC_OK) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    cn = sync_connect_create(r, s);
    if (cn == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return sync_connect_identify(cn);
}


ngx_int_t
sync_connect_sse(ngx_http_request_t *r, sync_settings_t *s)
{
    ngx_int_t        rc;
    sync_connect_t  *cn;

    if (sync_process_ready() != SYNC_OK) {

        /* a browser gives up on an event stream that is refused */

        return ngx_exiting ? sync_sse_client_later(r)
                           : NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    cn = sync_connect_create(r, s);
    if (cn == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cn->sse = 1;

    rc = sync_connect_channels(cn);

    if (rc != NGX_OK) {
        return rc;
    }

    return sync_connect_identify(cn);
}


static sync_connect_t *
sync_connect_create(ngx_http_request_t *r, sync_settings_t *s)
{
    sync_connect_t      *cn;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(sync_connect_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = sync_connect_cleanup;

    cn = cln->data;
    ngx_memzero(cn, sizeof(sync_connect_t));

    cn->request = r;
    cn->settings = s;

    sync_process_expect(1);

    return cn;
}


static void
sync_connect_cleanup(void *data)
{
    sync_connect_t  *cn = data;

    sync_process_expect(-1);

    if (cn->call) {
        sync_call_cancel(cn->call);
    }

    if (cn->reading) {
        sync_session_cancel(&cn->op);
    }

    if (cn->wait) {
        sync_cluster_wait_cancel(cn->wait);
    }

    if (cn->record) {
        sync_registry_remove(cn->settings->main->zone, cn->record);
    }
}


static sync_connect_t *
sync_connect_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == sync_connect_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


sync_str_t *
sync_connect_id(ngx_http_request_t *r)
{
    sync_connect_t  *cn;

    cn = sync_connect_find(r->main);

    return cn && cn->id.len ? &cn->id : NULL;
}


/* The query of an SSE request: channels=a,b and userId=u. */

static ngx_int_t
sync_connect_channels(sync_connect_t *cn)
{
    u_char              *p, *last, *next;
    ngx_uint_t           i, n;
    sync_str_t           list, name;
    ngx_http_request_t  *r;

    r = cn->request;

    if (sync_connect_unescape(r, &cn->user, "userId") != NGX_OK
        || cn->user.len > SYNC_CONNECT_USER_MAX)
    {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "client sent a \"userId\" of more than %d bytes",
                      SYNC_CONNECT_USER_MAX);
        return NGX_HTTP_BAD_REQUEST;
    }

    if (sync_connect_unescape(r, &list, "channels") != NGX_OK) {
        return NGX_HTTP_BAD_REQUEST;
    }

    n = 1;

    for (p = list.data; p < list.data + list.len; p++) {
        n += (*p == ',');
    }

    cn->channels = ngx_palloc(r->pool, 2 * n * sizeof(sync_str_t));
    if (cn->channels == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cn->denied = cn->channels + n;

    last = list.data + list.len;

    for (p = list.data; p < last; p = next + 1) {

        next = ngx_strlchr(p, last, ',');
        next = next ? next : last;

        name.data = p;
        name.len = next - p;

        sync_name_trim(&name);

        if (name.len == 0) {
            continue;
        }

        if (sync_name_check(&name) != SYNC_OK
            || cn->nchannels == cn->settings->max_rooms)
        {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "client asked for %s",
                          cn->nchannels == cn->settings->max_rooms
                          ? "too many channels" : "an invalid channel");
            return NGX_HTTP_BAD_REQUEST;
        }

        for (i = 0; i < cn->nchannels; i++) {
            if (sync_str_eq(&cn->channels[i], &name)) {
                break;
            }
        }

        if (i == cn->nchannels) {
            cn->channels[cn->nchannels++] = name;
        }
    }

    if (sync_connect_unescape(r, &list, "lastEventId") != NGX_OK) {
        return NGX_HTTP_BAD_REQUEST;
    }

    return sync_event_id_parse(r, &cn->event_id, cn->nchannels, &list);
}


static ngx_int_t
sync_connect_unescape(ngx_http_request_t *r, sync_str_t *value,
    const char *name)
{
    u_char     *src, *dst;
    ngx_str_t   arg;

    value->len = 0;
    value->data = (u_char *) "";

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &arg) != NGX_OK) {
        return NGX_OK;
    }

    dst = ngx_pnalloc(r->pool, arg.len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    value->data = dst;

    for (src = arg.data; src < arg.data + arg.len; src++) {
        *dst++ = (*src == '+') ? ' ' : *src;
    }

    src = value->data;
    dst = value->data;

    ngx_unescape_uri(&dst, &src, arg.len, 0);

    value->len = dst - value->data;

    return NGX_OK;
}


/* Who it is is known before anything else is done. */

static ngx_int_t
sync_connect_identify(sync_connect_t *cn)
{
    ngx_int_t           rc;
    sync_session_op_t  *op;

    if (sync_call_keeps(cn->settings, cn->request) != SYNC_OK) {
        sync_zone_count(cn->settings->main->zone, SYNC_COUNT_REFUSED, 1);

        return sync_refusal_headers(cn->request);
    }

    if (sync_token_find(cn->request, cn->settings, &cn->token)
        == SYNC_DECLINED)
    {
        cn->token.len = 0;
        return sync_connect_known(cn, SYNC_DECLINED);
    }

    op = &cn->op;

    op->settings = cn->settings;
    op->token = cn->token;
    op->done = sync_connect_read;
    op->opaque = cn;

    rc = sync_session_read(op);

    if (rc != SYNC_AGAIN) {
        return sync_connect_known(cn, rc);
    }

    cn->reading = 1;

    sync_connect_wait(cn);

    return NGX_DONE;
}


static void
sync_connect_read(sync_session_op_t *op, ngx_int_t rc)
{
    sync_connect_t  *cn;

    cn = op->opaque;
    cn->reading = 0;

    sync_connect_resume(cn, sync_connect_known(cn, rc));
}


static ngx_int_t
sync_connect_known(sync_connect_t *cn, ngx_int_t rc)
{
    sync_str_t  code;

    if (rc == SYNC_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == SYNC_BUSY) {
        sync_str_set(&code, "session.unavailable");
        return sync_connect_refuse(cn, &code, NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    if (!sync_session_on(cn->settings)) {
        return sync_connect_begin(cn);
    }

    cn->claim = cn->user;
    cn->user.len = 0;

    if (rc == SYNC_OK && sync_connect_keep_session(cn) != SYNC_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the app may say who it is */

    if ((cn->user.len
         || cn->settings->hooks[SYNC_HOOK_CONNECT].uri.len == 0)
        && !sync_connect_claims_right(cn))
    {
        return sync_connect_forbid(cn);
    }

    return sync_connect_begin(cn);
}


static ngx_int_t
sync_connect_forbid(sync_connect_t *cn)
{
    sync_str_t  code;

    sync_str_set(&code, "auth.forbidden");

    return sync_connect_refuse(cn, &code, NGX_HTTP_FORBIDDEN);
}


static ngx_int_t
sync_connect_keep_session(sync_connect_t *cn)
{
    u_char               *p;
    uint64_t              version;
    sync_session_data_t   data;

    /* it may have ended since */

    if (sync_session_of(cn->settings, &cn->token, &data, &version)
        != SYNC_OK)
    {
        return SYNC_OK;
    }

    p = ngx_pnalloc(cn->request->pool, data.json.len + data.user.len);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    cn->session.data = p;
    cn->session.len = data.json.len;
    p = ngx_cpymem(p, data.json.data, data.json.len);

    cn->user.data = p;
    cn->user.len = data.user.len;
    ngx_memcpy(p, data.user.data, data.user.len);

    return SYNC_OK;
}


static ngx_int_t
sync_connect_begin(sync_connect_t *cn)
{
    sync_zone_t  *z;
    u_char        random[SYNC_ID_LEN];

    z = cn->settings->main->zone;

    sync_random(random, SYNC_ID_LEN);

    cn->record = sync_registry_add(z, cn->sse ? SYNC_TRANSPORT_SSE
                                              : SYNC_TRANSPORT_WEBSOCKET,
                                   random, &cn->user, 0);
    if (cn->record == NULL) {
        sync_zone_count(z, SYNC_COUNT_REFUSED, 1);

        ngx_log_error(NGX_LOG_ERR, cn->request->connection->log, 0,
                      "zone \"%V\" is full, client refused", &z->name);

        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    sync_registry_print_id(cn->text, cn->record->id);
    cn->id.data = cn->text;
    cn->id.len = SYNC_ID_TEXT;

    if (cn->settings->hooks[SYNC_HOOK_CONNECT].uri.len) {
        return sync_connect_ask(cn, SYNC_HOOK_CONNECT, NULL);
    }

    return sync_connect_go_on(cn);
}


/*
 * Asks a hook.  Returns NGX_DONE when the request waits for it, or a status
 * to end it with.
 */

static ngx_int_t
sync_connect_ask(sync_connect_t *cn, sync_hook_event_e event,
    sync_str_t *room)
{
    ngx_int_t            rc;
    sync_str_t           body, code;
    sync_call_t         *call;
    sync_writer_t        w;
    ngx_http_request_t  *r;

    r = cn->request;

    call = sync_call_create(NULL, cn->settings, event,
                            sync_connect_answered);
    if (call == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    call->opaque = cn;
    call->session = cn->session;
    call->token = cn->token;

    do {
        sync_reply_text(&w);
        sync_call_write(call, &w, cn->record->id, &cn->user, r);

        if (cn->sse) {
            sync_write_literal(&w, ",\"transport\":\"sse\"");

        } else {
            sync_write_literal(&w, ",\"transport\":\"websocket\"");
        }

        if (room) {
            sync_write_literal(&w, ",\"room\":");
            sync_json_write_str(&w, room);
        }

        sync_write_byte(&w, '}');

    } while (sync_reply_again(&w));

    sync_reply_str(&body, &w);

    rc = sync_call_start(call, &body, r);

    if (rc == SYNC_BUSY) {
        sync_str_set(&code, "hook.busy");
        return sync_connect_refuse(cn, &code, NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    if (rc != SYNC_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cn->call = call;

    sync_connect_wait(cn);

    return NGX_DONE;
}


static void
sync_connect_wait(sync_connect_t *cn)
{
    ngx_http_request_t  *r;

    if (cn->async) {
        return;
    }

    cn->async = 1;

    r = cn->request;

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
}


/* What was waited for is there, and rc what it comes to. */

static void
sync_connect_resume(sync_connect_t *cn, ngx_int_t rc)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    if (rc == NGX_DONE && (cn->call || cn->reading || cn->wait)) {

        /* waits for the next answer */

        return;
    }

    r = cn->request;
    c = r->connection;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
sync_connect_answered(sync_call_t *call, sync_call_result_e result)
{
    ngx_int_t        rc;
    ngx_uint_t       stop, status;
    sync_str_t       code;
    sync_grant_t     g;
    sync_connect_t  *cn;

    cn = call->opaque;
    cn->call = NULL;

    ngx_memzero(&g, sizeof(sync_grant_t));

    sync_str_set(&code, "auth.forbidden");
    status = NGX_HTTP_FORBIDDEN;
    stop = 0;

    if (result == SYNC_CALL_ANSWERED) {
        stop = sync_call_stop(call, &code, &status);

        if (!stop && call->event == SYNC_HOOK_CONNECT
            && sync_grant_parse(&g, call) != SYNC_OK)
        {
            g.session = 0;
            g.rooms.raw.len = 0;
            result = SYNC_CALL_INVALID;
        }
    }

    if (result != SYNC_CALL_ANSWERED) {
        stop = !call->settings->hooks[call->event].allow;
    }

    if (call->event == SYNC_HOOK_JOIN) {
        sync_connect_decided(cn, !stop);
        rc = sync_connect_go_on(cn);

    } else if (stop) {

        if (result != SYNC_CALL_ANSWERED) {
            sync_str_set(&code, "hook.unavailable");
            status = NGX_HTTP_SERVICE_UNAVAILABLE;
        }

        rc = sync_connect_refuse(cn, &code, status);

    } else {
        rc = sync_connect_grant(cn, &g);
    }

    sync_connect_resume(cn, rc);
}


/* The app gives it a session, and rooms. */

static ngx_int_t
sync_connect_grant(sync_connect_t *cn, sync_grant_t *g)
{
    u_char              *p;
    ngx_int_t            rc;
    sync_session_op_t   *op;

    if (g->rooms.raw.len) {
        p = ngx_pnalloc(cn->request->pool, g->rooms.raw.len);
        if (p == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        cn->rooms.data = p;
        cn->rooms.len = g->rooms.raw.len;
        ngx_memcpy(p, g->rooms.raw.data, g->rooms.raw.len);
    }

    if (!g->session) {
        return sync_connect_granted(cn, SYNC_DECLINED);
    }

    p = ngx_pnalloc(cn->request->pool, SYNC_TOKEN_BOUND);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    op = &cn->op;

    op->settings = cn->settings;
    op->token = cn->token;
    op->done = sync_connect_saved;
    op->opaque = cn;

    rc = sync_grant_save(g, op, p);

    cn->token = op->token;

    if (rc == SYNC_AGAIN) {
        cn->reading = 1;
        return NGX_DONE;
    }

    return sync_connect_granted(cn, rc);
}


static void
sync_connect_saved(sync_session_op_t *op, ngx_int_t rc)
{
    sync_connect_t  *cn;

    cn = op->opaque;
    cn->reading = 0;

    sync_connect_resume(cn, sync_connect_granted(cn, rc));
}


static ngx_int_t
sync_connect_granted(sync_connect_t *cn, ngx_int_t rc)
{
    sync_str_t  code;

    if (rc == SYNC_BUSY) {
        sync_str_set(&code, "session.unavailable");
        return sync_connect_refuse(cn, &code, NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    if (rc == SYNC_ERROR
        || (rc == SYNC_OK && sync_connect_keep_session(cn) != SYNC_OK)
        || (rc == SYNC_OK
            && sync_registry_set_user(cn->settings->main->zone, cn->record,
                                      &cn->user)
               != SYNC_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!sync_connect_claims_right(cn)) {
        return sync_connect_forbid(cn);
    }

    return sync_connect_go_on(cn);
}


/* The channels one by one, then the handshake. */

static ngx_int_t
sync_connect_go_on(sync_connect_t *cn)
{
    ngx_uint_t        i;
    sync_str_t        pos, code;
    sync_rule_t      *rule;
    sync_settings_t  *s;

    s = cn->settings;

    while (cn->next < cn->nchannels) {

        rule = sync_settings_rule(s->main, &cn->channels[cn->next]);

        if (rule->join == SYNC_JOIN_DENY
            || (rule->join == SYNC_JOIN_OPEN
                && sync_session_on(s) && cn->session.len == 0)
            || (rule->join == SYNC_JOIN_USER
                && !sync_gate_is_owner(&cn->session,
                                       &cn->channels[cn->next]))
            || (rule->join == SYNC_JOIN_HOOK
                && s->hooks[SYNC_HOOK_JOIN].uri.len == 0))
        {
            sync_connect_decided(cn, 0);
            continue;
        }

        if (rule->join == SYNC_JOIN_HOOK) {
            return sync_connect_ask(cn, SYNC_HOOK_JOIN,
                                    &cn->channels[cn->next]);
        }

        sync_connect_decided(cn, 1);
    }

    if (cn->ndenied && cn->ngranted == 0) {
        sync_str_set(&code, "room.joinBlocked");
        return sync_connect_refuse(cn, &code, NGX_HTTP_FORBIDDEN);
    }

    /* logs are to be what they are elsewhere before the client hears them */

    while (cn->nlinked < cn->ngranted) {

        i = cn->nlinked++;

        if (cn->sse) {
            pos = cn->event_id.ids[cn->event_id.places[i]];

        } else {
            pos.len = 0;
        }

        if (sync_cluster_wait(&cn->channels[i], &pos, sync_connect_linked, cn,
                              &cn->wait)
            == SYNC_AGAIN)
        {
            sync_connect_wait(cn);
            return NGX_DONE;
        }
    }

    if (cn->sse) {
        return sync_sse_client_handshake(cn->request, &s->client,
                                         sync_connect_opened);
    }

    return sync_ws_client_handshake(cn->request, &s->client,
                                    &sync_connect_protocol,
                                    sync_connect_opened);
}


static void
sync_connect_linked(void *data)
{
    sync_connect_t *cn = data;

    cn->wait = NULL;

    sync_connect_resume(cn, sync_connect_go_on(cn));
}


static void
sync_connect_decided(sync_connect_t *cn, ngx_uint_t granted)
{
    sync_str_t  *name;

    name = &cn->channels[cn->next++];

    if (granted) {
        cn->event_id.places[cn->ngranted] = cn->next - 1;
        cn->channels[cn->ngranted++] = *name;

    } else {
        cn->denied[cn->ndenied++] = *name;
    }
}


static ngx_int_t
sync_connect_refuse(sync_connect_t *cn, sync_str_t *code, ngx_uint_t status)
{
    sync_zone_count(cn->settings->main->zone, SYNC_COUNT_REFUSED, 1);

    return sync_refusal_send(cn->request, code, status);
}


/* The client is there; the request still is. */

static ngx_int_t
sync_connect_opened(sync_client_t *c, ngx_http_request_t *r)
{
    ngx_uint_t       i;
    sync_connect_t  *cn;

    cn = sync_connect_find(r);

    if (cn == NULL || cn->record == NULL) {
        return SYNC_ERROR;
    }

    c->record = cn->record;
    c->record->cookie = (uintptr_t) c;
    cn->record = NULL;

    if (sync_connect_keep(c, r) != SYNC_OK) {
        return sync_connect_forget(c);
    }

    sync_zone_count(cn->settings->main->zone, SYNC_COUNT_CONNECTS, 1);

    if (!cn->sse && cn->token.len == 0
        && sync_token_asks(cn->settings) != SYNC_DECLINED)
    {
        /* its first frame may be what it is known by */

        if (sync_session_on(cn->settings)) {
            return sync_greeting_begin(c, &cn->rooms, sync_connect_greeted)
                   == SYNC_OK ? SYNC_OK : sync_connect_forget(c);
        }

        /* without sessions the greeting would be the same */

        c->asked = 1;
    }

    if (sync_connect_enter(c) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (cn->token.len && sync_session_attach(c, &cn->token) != SYNC_OK) {
        return SYNC_ERROR;
    }

    sync_notify_client(c, SYNC_HOOK_CONNECTED, NULL);

    for (i = 0; i < cn->ngranted; i++) {
        if (sync_fanout_join(c, &cn->channels[i]) != SYNC_OK) {
            return SYNC_ERROR;
        }
    }

    if (!cn->sse) {
        sync_session_rejoin(c);
        sync_grant_join(c, &cn->rooms);
        sync_connect_greet(c, NULL);
        sync_presence_enter(c);

        return SYNC_OK;
    }

    if (sync_event_id_begin(c, &cn->event_id, cn->channels, cn->ngranted)
        != SYNC_OK) {
        return SYNC_ERROR;
    }

    sync_grant_join(c, &cn->rooms);
    sync_connect_greet(c, cn);
    sync_presence_enter(c);

    return SYNC_OK;
}


static ngx_int_t
sync_connect_enter(sync_client_t *c)
{
    return sync_fanout_enter(c) == SYNC_OK ? SYNC_OK : sync_connect_forget(c);
}


/* Its token is known by now, or comes by itself. */

static ngx_int_t
sync_connect_keep(sync_client_t *c, ngx_http_request_t *r)
{
    sync_str_t  none;

    none.len = 0;

    return sync_call_keep(c, r, &none, 0);
}


/* One that has no seat, and is not unknown, has no record, either. */

static ngx_int_t
sync_connect_forget(sync_client_t *c)
{
    sync_registry_remove(sync_settings(c)->main->zone, c->record);
    c->record = NULL;

    return SYNC_ERROR;
}


/* A client that was asked for its token: it has it, or has none. */

static void
sync_connect_greeted(sync_client_t *c, sync_str_t *token, sync_str_t *rooms)
{
    if (sync_connect_enter(c) != SYNC_OK
        || (token->len && sync_session_attach(c, token) != SYNC_OK))
    {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    sync_session_meet(c);

    sync_notify_client(c, SYNC_HOOK_CONNECTED, NULL);

    sync_session_rejoin(c);
    sync_grant_join(c, rooms);
    sync_connect_greet(c, NULL);
    sync_presence_enter(c);
}


static void
sync_connect_message(sync_client_t *c, u_char *p, size_t len)
{
    ngx_uint_t  asked;

    if (c->unknown) {
        sync_greeting_message(c, p, len);
        return;
    }

    asked = c->asked;
    c->asked = 0;

    if (!asked || sync_greeting_token(c, p, len) != SYNC_OK) {
        sync_request_message(c, p, len);
    }
}


static void
sync_connect_greet(sync_client_t *c, sync_connect_t *cn)
{
    ngx_uint_t      n;
    ngx_time_t     *tp;
    sync_str_t      user, *rooms;
    sync_writer_t   w;
    u_char          id[SYNC_ID_TEXT];

    n = sync_registry_rooms(c->record);
    rooms = sync_session_alloc((n + 1) * sizeof(sync_str_t));

    if (rooms == NULL) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    (void) sync_fanout_rooms(c, rooms, n);

    tp = ngx_timeofday();

    sync_registry_print_id(id, c->record->id);
    sync_registry_user(c->record, &user);

    do {
        sync_reply_text(&w);

        if (c->record->transport == SYNC_TRANSPORT_SSE) {
            sync_write_literal(&w, "[\"message\",{\"type\":\"connected\",");

        } else {
            sync_write_literal(&w, "[\"connected\",{");
        }

        sync_write_literal(&w, "\"clientId\":\"");
        sync_write(&w, id, SYNC_ID_TEXT);
        sync_write_literal(&w, "\",\"userId\":");

        if (user.len) {
            sync_json_write_str(&w, &user);

        } else {
            sync_write_literal(&w, "null");
        }

        sync_write_literal(&w, ",\"channels\":");
        sync_connect_write_names(&w, rooms, n);
        sync_write_literal(&w, ",\"timestamp\":");
        sync_write_int(&w, (int64_t) tp->sec * 1000 + tp->msec);

        if (cn) {
            sync_event_id_write(&w, &cn->event_id, cn->channels,
                                cn->ngranted);
        }

        if (cn && cn->ndenied) {
            sync_write_literal(&w, ",\"denied\":");
            sync_connect_write_names(&w, cn->denied, cn->ndenied);
        }

        sync_write_literal(&w, "}]");

    } while (sync_reply_again(&w));

    sync_reply_send(c, &w);
}


static void
sync_connect_write_names(sync_writer_t *w, sync_str_t *names, ngx_uint_t n)
{
    ngx_uint_t  i;

    sync_write_byte(w, '[');

    for (i = 0; i < n; i++) {
        if (i) {
            sync_write_byte(w, ',');
        }

        sync_json_write_str(w, &names[i]);
    }

    sync_write_byte(w, ']');
}


void
sync_connect_closed(sync_client_t *c)
{
    sync_zone_t  *z;

    if (c->record == NULL) {
        sync_call_client_closed(c);
        return;
    }

    z = sync_settings(c)->main->zone;

    sync_zone_count(z, SYNC_COUNT_DISCONNECTS, 1);

    if (c->unknown) {

        /* nobody has heard of it yet */

        sync_greeting_closed(c);
        sync_call_client_closed(c);

        sync_registry_remove(z, c->record);
        c->record = NULL;
        return;
    }

    sync_disconnect_tell(c);
    sync_presence_exit(c);
    sync_cancel_leave(c);

    sync_join_client_closed(c);
    sync_call_client_closed(c);
    sync_fanout_exit(c);

    sync_registry_remove(z, c->record);
    c->record = NULL;
    c->token = NULL;
}
