
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>
#include <sync_cancel.h>
#include <sync_control.h>
#include <sync_random.h>
#include <sync_request.h>
#include <sync_session_op.h>
#include <sync_token.h>


/*
 * "sync request" and "sync api": a request of HTTP as an asker.
 *
 *     header: origin, method --> body --> session --> sync_request_web_*()
 *                                                      |        |
 *               event: stream, of an event stream <- chunk()    |
 *               JSON, or event: final             <----------- answer()
 *
 * An event stream is opened by its first chunk, or by a success: what fails
 * before is an answer in JSON, with a status that says so.  An asker that
 * goes away has the request cancelled.
 */


#define NGX_HTTP_SYNC_ID_MAX   128      /* bytes of X-Request-Id */
#define NGX_HTTP_SYNC_BUF      4096     /* bytes for an event, at least */

#define NGX_HTTP_SYNC_METHODS                                                 \
    (NGX_HTTP_GET|NGX_HTTP_POST|NGX_HTTP_PUT|NGX_HTTP_DELETE)


typedef struct {
    sync_web_t                web;      /* first: it is cast */
    ngx_http_request_t       *request;
    sync_settings_t          *settings;
    sync_str_t                name;     /* of the route */
    sync_json_t               body;
    sync_session_op_t         op;
    ngx_chain_t              *free;
    ngx_chain_t              *busy;
    unsigned                  api:1;
    unsigned                  opened:1; /* as an event stream */
    unsigned                  ended:1;
    unsigned                  reading:1;    /* the session */
    unsigned                  cookie:1; /* that the token came with */
} ngx_http_sync_web_t;


static ngx_int_t ngx_http_sync_web(ngx_http_request_t *r, ngx_uint_t api);
static ngx_int_t ngx_http_sync_web_id(ngx_http_request_t *r, sync_str_t *id);
static ngx_int_t ngx_http_sync_web_headers(ngx_http_request_t *r,
    ngx_str_t *origin);
static ngx_uint_t ngx_http_sync_web_streams(ngx_http_request_t *r);
static void ngx_http_sync_web_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_sync_web_identify(ngx_http_sync_web_t *w);
static void ngx_http_sync_web_known(sync_session_op_t *op, ngx_int_t rc);
static void ngx_http_sync_web_ask(ngx_http_sync_web_t *w, ngx_int_t rc);
static ngx_int_t ngx_http_sync_web_session(ngx_http_sync_web_t *w);
static ngx_int_t ngx_http_sync_web_body(ngx_http_sync_web_t *w,
    sync_json_t *body);
static ngx_int_t ngx_http_sync_web_query(ngx_http_sync_web_t *w,
    sync_json_t *body);
static ngx_int_t ngx_http_sync_web_strip(ngx_http_request_t *r,
    sync_json_t *body);
static ngx_int_t ngx_http_sync_web_type(ngx_http_request_t *r,
    const char *type);
static void ngx_http_sync_web_path(ngx_http_request_t *r, sync_str_t *name);
static ngx_int_t ngx_http_sync_web_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *code);
static void ngx_http_sync_web_answer(sync_web_t *web, ngx_uint_t status,
    ngx_uint_t good, sync_str_t *json);
static void ngx_http_sync_web_chunk(sync_web_t *web, sync_str_t *json);
static ngx_uint_t ngx_http_sync_web_pressed(sync_web_t *web);
static ngx_int_t ngx_http_sync_web_open(ngx_http_sync_web_t *w);
static ngx_int_t ngx_http_sync_web_event(ngx_http_sync_web_t *w,
    const char *event, sync_str_t *json);
static ngx_buf_t *ngx_http_sync_web_buf(ngx_http_sync_web_t *w, size_t size,
    ngx_chain_t **out);
static ngx_int_t ngx_http_sync_web_output(ngx_http_sync_web_t *w,
    ngx_chain_t *out);
static ngx_int_t ngx_http_sync_web_wait(ngx_http_sync_web_t *w);
static void ngx_http_sync_web_writer(ngx_http_request_t *r);
static void ngx_http_sync_web_cleanup(void *data);


static const sync_web_ops_t  ngx_http_sync_web_ops = {
    ngx_http_sync_web_answer,
    ngx_http_sync_web_chunk,
    ngx_http_sync_web_pressed
};


static ngx_str_t  ngx_http_sync_web_json = ngx_string("application/json");
static ngx_str_t  ngx_http_sync_web_none = ngx_string("");


ngx_int_t
ngx_http_sync_request_handler(ngx_http_request_t *r)
{
    return ngx_http_sync_web(r, 0);
}


ngx_int_t
ngx_http_sync_api_handler(ngx_http_request_t *r)
{
    return ngx_http_sync_web(r, 1);
}


static ngx_int_t
ngx_http_sync_web(ngx_http_request_t *r, ngx_uint_t api)
{
    ngx_int_t                  rc;
    ngx_str_t                 *origin, methods;
    ngx_http_cleanup_t        *cln;
    ngx_http_sync_web_t       *w;
    ngx_http_sync_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sync_module);

    w = ngx_pcalloc(r->pool, sizeof(ngx_http_sync_web_t));
    if (w == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    w->request = r;
    w->api = api;
    w->settings = &slcf->settings;
    w->web.ops = &ngx_http_sync_web_ops;
    w->web.request = r;

    rc = ngx_http_sync_origins_check_call(r, slcf->origins, &origin);

    if (rc != NGX_OK) {
        sync_zone_count(slcf->settings.main->zone, SYNC_COUNT_REFUSED, 1);
        return NGX_HTTP_FORBIDDEN;
    }

    if (ngx_http_sync_web_id(r, &w->web.id) != NGX_OK
        || ngx_http_sync_add_header(r, "X-Request-Id",
                                    (ngx_str_t *) &w->web.id)
           != NGX_OK
        || ngx_http_sync_web_headers(r, origin) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        rc = ngx_http_discard_request_body(r);

        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_http_sync_send(r, NGX_HTTP_NO_CONTENT,
                                  &ngx_http_sync_web_none,
                                  &ngx_http_sync_web_none);
    }

    if (!(r->method & (api ? NGX_HTTP_SYNC_METHODS : NGX_HTTP_POST))) {

        ngx_str_set(&methods, "GET, POST, PUT, DELETE");

        if (!api) {
            ngx_str_set(&methods, "POST");
        }

        if (ngx_http_sync_add_header(r, "Allow", &methods) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_sync_web_error(r, NGX_HTTP_NOT_ALLOWED,
                                       api ? "api.methodNotAllowed"
                                           : "sync.methodNotAllowed");
    }

    if (slcf->settings.main->zone->self == NULL) {
        return ngx_http_sync_web_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                       "broker.unavailable");
    }

    w->web.stream = ngx_http_sync_web_streams(r);

    w->web.method = (r->method == NGX_HTTP_GET) ? SYNC_ROUTE_GET
                    : (r->method == NGX_HTTP_POST) ? SYNC_ROUTE_POST
                    : (r->method == NGX_HTTP_PUT) ? SYNC_ROUTE_PUT
                    : SYNC_ROUTE_DELETE;

    if (r->headers_in.content_length_n
        > (off_t) slcf->settings.client.max_message)
    {
        return ngx_http_sync_web_error(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                       "api.payloadTooLarge");
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_sync_web_cleanup;
    cln->data = w;

    ngx_http_set_ctx(r, w, ngx_http_sync_module);

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_sync_web_body_handler);

    return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
}


/* The client's own, if it is a decent one. */

static ngx_int_t
ngx_http_sync_web_id(ngx_http_request_t *r, sync_str_t *id)
{
    u_char      ch, *p, random[16];
    size_t      i;
    ngx_str_t  *value;

    value = ngx_http_sync_header_in(r, "x-request-id");

    for (i = 0; value && i < value->len; i++) {
        ch = value->data[i];

        if ((ch < '0' || ch > '9') && (ch < 'A' || ch > 'Z')
            && (ch < 'a' || ch > 'z') && ch != '-')
        {
            value = NULL;
        }
    }

    if (value && value->len && value->len <= NGX_HTTP_SYNC_ID_MAX) {
        id->data = value->data;
        id->len = value->len;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, 2 * sizeof(random));
    if (p == NULL) {
        return NGX_ERROR;
    }

    sync_random(random, sizeof(random));

    id->data = p;
    id->len = ngx_hex_dump(p, random, sizeof(random)) - p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sync_web_headers(ngx_http_request_t *r, ngx_str_t *origin)
{
    ngx_uint_t  i;

    static struct {
        const char  *name;
        ngx_str_t    value;
    } headers[] = {
        { "Access-Control-Allow-Credentials", ngx_string("true") },
        { "Access-Control-Allow-Methods",
          ngx_string("GET, POST, PUT, DELETE, OPTIONS") },
        { "Access-Control-Allow-Headers",
          ngx_string("Content-Type, Authorization, X-Session-Based-Token, "
                     "X-CSRF-Token, X-Request-Id") },
        { "Access-Control-Expose-Headers",
          ngx_string("X-Session-Token, X-Request-Id") },
        { "Vary", ngx_string("Origin") },
        { NULL, ngx_null_string }
    };

    if (origin
        && ngx_http_sync_add_header(r, "Access-Control-Allow-Origin", origin)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = origin ? 0 : 4; headers[i].name; i++) {
        if (ngx_http_sync_add_header(r, headers[i].name, &headers[i].value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* "Accept: text/event-stream", or the query "stream=true" or "stream=1". */

static ngx_uint_t
ngx_http_sync_web_streams(ngx_http_request_t *r)
{
    ngx_str_t  *accept, arg;

    if (ngx_http_arg(r, (u_char *) "stream", 6, &arg) == NGX_OK
        && ((arg.len == 4 && ngx_strncmp(arg.data, "true", 4) == 0)
            || (arg.len == 1 && arg.data[0] == '1')))
    {
        return 1;
    }

    accept = ngx_http_sync_header_in(r, "accept");

    return accept
           && ngx_strlcasestrn(accept->data, accept->data + accept->len,
                               (u_char *) "text/event-stream", 17 - 1)
              != NULL;
}


static void
ngx_http_sync_web_body_handler(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    sync_str_t            name;
    sync_json_t           body;
    const char           *code;
    ngx_http_sync_web_t  *w;

    w = ngx_http_get_module_ctx(r, ngx_http_sync_module);

    rc = (r->method == NGX_HTTP_GET) ? ngx_http_sync_web_query(w, &body)
                                     : ngx_http_sync_web_body(w, &body);

    ngx_http_sync_web_path(r, &name);

    code = (rc == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) ? "api.payloadTooLarge"
           : (rc == NGX_HTTP_UNSUPPORTED_MEDIA_TYPE)
             ? "api.unsupportedMediaType"
           : (rc == NGX_HTTP_INTERNAL_SERVER_ERROR) ? "server.internalError"
           : "api.invalidRequestFormat";

    if (rc == NGX_OK && name.len == 0) {
        rc = NGX_HTTP_BAD_REQUEST;
        code = w->api ? "api.invalidName" : "sync.invalidName";
    }

    if (rc != NGX_OK) {
        ngx_http_finalize_request(r, ngx_http_sync_web_error(r, rc, code));
        return;
    }

    w->name = name;
    w->body = body;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    rc = ngx_http_sync_web_identify(w);

    if (rc != SYNC_AGAIN) {
        ngx_http_sync_web_ask(w, rc);
    }
}


/*
 * Who asks.  Returns SYNC_AGAIN if that is waited for, or what sync_session_
 * read() does.
 */

static ngx_int_t
ngx_http_sync_web_identify(ngx_http_sync_web_t *w)
{
    ngx_int_t           rc, place;
    sync_session_op_t  *op;
    sync_token_conf_t  *sources;

    place = SYNC_DECLINED;

    if (sync_session_on(w->settings)) {
        place = sync_token_find(w->request, w->settings, &w->web.token);
    }

    if (place == SYNC_DECLINED) {
        w->web.token.len = 0;
        return SYNC_DECLINED;
    }

    if (w->settings->tokens) {
        sources = w->settings->tokens->elts;
        w->cookie = (sources[place].source == SYNC_TOKEN_COOKIE);
    }

    op = &w->op;

    op->settings = w->settings;
    op->token = w->web.token;
    op->done = ngx_http_sync_web_known;
    op->opaque = w;

    rc = sync_session_read(op);

    w->reading = (rc == SYNC_AGAIN);

    return rc;
}


static void
ngx_http_sync_web_known(sync_session_op_t *op, ngx_int_t rc)
{
    ngx_http_sync_web_t  *w;

    w = op->opaque;
    w->reading = 0;

    ngx_http_sync_web_ask(w, rc);
}


static void
ngx_http_sync_web_ask(ngx_http_sync_web_t *w, ngx_int_t rc)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = w->request;
    c = r->connection;

    if (rc == SYNC_OK) {
        rc = ngx_http_sync_web_session(w);
    }

    /* what needs no session goes on without, but for who a browser may be */

    if (rc == SYNC_BUSY && !(w->cookie && ngx_http_sync_csrf_asks(r))) {
        w->web.unknown = 1;
        rc = SYNC_DECLINED;
    }

    if (rc == SYNC_OK && w->cookie
        && ngx_http_sync_csrf_check(r, &w->web.session) != NGX_OK)
    {
        rc = ngx_http_sync_web_error(r, NGX_HTTP_FORBIDDEN,
                                     "auth.csrfMismatch");

    } else if (rc == SYNC_BUSY) {
        rc = ngx_http_sync_web_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "session.unavailable");

    } else if (rc == SYNC_ERROR
               || (w->api && ngx_http_sync_web_strip(r, &w->body) != NGX_OK))
    {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {

        if (w->api) {
            sync_request_web_api(&w->web, w->settings, &w->name, &w->body);

        } else {
            sync_request_web_sync(&w->web, w->settings, &w->name, &w->body);
        }

        return;
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* A copy: the app may take its time.  It may have ended since. */

static ngx_int_t
ngx_http_sync_web_session(ngx_http_sync_web_t *w)
{
    u_char               *p;
    uint64_t              version;
    sync_session_data_t   data;

    if (sync_session_of(w->settings, &w->web.token, &data, &version)
        != SYNC_OK)
    {
        return SYNC_DECLINED;
    }

    p = ngx_pnalloc(w->request->pool, data.json.len);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    ngx_memcpy(p, data.json.data, data.json.len);

    w->web.session.data = p;
    w->web.session.len = data.json.len;

    return SYNC_OK;
}


/* The body as an object.  Returns NGX_OK or the status of an error. */

static ngx_int_t
ngx_http_sync_web_body(ngx_http_sync_web_t *w, sync_json_t *body)
{
    off_t                size;
    ngx_str_t            args;
    sync_str_t           text;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = w->request;
    size = 0;

    if (r->request_body) {

        for (cl = r->request_body->bufs; cl; cl = cl->next) {
            size += ngx_buf_size(cl->buf);
        }
    }

    if (size > (off_t) w->settings->client.max_message) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    if (ngx_http_sync_read_body(r, size, &text) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (text.len
        && ngx_http_sync_web_type(r, "application/x-www-form-urlencoded"))
    {
        args.data = text.data;
        args.len = text.len;

        if (sync_control_args(r->pool, &args, &text) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

    } else if (text.len && !ngx_http_sync_web_type(r, "application/json")) {
        return NGX_HTTP_UNSUPPORTED_MEDIA_TYPE;
    }

    if (text.len == 0) {
        sync_str_set(&text, "{}");
    }

    if (sync_json_parse(body, &text, NULL) != SYNC_OK
        || body->type != SYNC_JSON_OBJECT)
    {
        return NGX_HTTP_BAD_REQUEST;
    }

    return NGX_OK;
}


/* The same of the query's arguments, which are strings. */

static ngx_int_t
ngx_http_sync_web_query(ngx_http_sync_web_t *w, sync_json_t *body)
{
    u_char              *p;
    sync_str_t           text;
    sync_json_t          v;
    ngx_http_request_t  *r;

    r = w->request;

    if (sync_control_args(r->pool, &r->args, &text) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (text.len == 0) {
        sync_str_set(&text, "{}");
    }

    if (sync_json_parse(body, &text, NULL) != SYNC_OK) {
        return NGX_HTTP_BAD_REQUEST;
    }

    /* a whole object in one argument */

    if (sync_json_get(&v, body, "__luckystack_data") != SYNC_OK) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, v.raw.len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.data = p;
    text.len = 0;

    if (v.type == SYNC_JSON_STRING) {
        text.len = sync_json_unquote(p, v.raw.len, &v);
    }

    if (sync_json_parse(body, &text, NULL) != SYNC_OK
        || body->type != SYNC_JSON_OBJECT)
    {
        return NGX_HTTP_BAD_REQUEST;
    }

    return NGX_OK;
}


/* "stream" says how to answer, and is no data of a call. */

static ngx_int_t
ngx_http_sync_web_strip(ngx_http_request_t *r, sync_json_t *body)
{
    u_char             *p;
    sync_str_t          key;
    sync_json_t         v;
    sync_writer_t       w;
    sync_json_iter_t    it;

    static sync_str_t   name = sync_string("stream");

    if (sync_json_find(&v, body, &name) != SYNC_OK) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, body->raw.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    sync_writer_init(&w, p, body->raw.len);

    sync_write_byte(&w, '{');

    sync_json_iter_init(&it, body);

    while (sync_json_next(&it, &key, &v) == SYNC_OK) {

        if (sync_json_key_is(&key, &name)) {
            continue;
        }

        if (w.len > 1) {
            sync_write_byte(&w, ',');
        }

        sync_write_byte(&w, '"');
        sync_write_str(&w, &key);
        sync_write_literal(&w, "\":");
        sync_write_str(&w, &v.raw);
    }

    sync_write_byte(&w, '}');

    body->raw.data = p;
    body->raw.len = w.len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sync_web_type(ngx_http_request_t *r, const char *type)
{
    size_t      len;
    ngx_str_t  *value;

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    value = &r->headers_in.content_type->value;
    len = ngx_strlen(type);

    return value->len >= len
           && ngx_strncasecmp(value->data, (u_char *) type, len) == 0
           && (value->len == len || value->data[len] == ';'
               || value->data[len] == ' ');
}


/* What follows the location's prefix; else all of it. */

static void
ngx_http_sync_web_path(ngx_http_request_t *r, sync_str_t *name)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    name->data = r->uri.data;
    name->len = r->uri.len;

    if (r->uri.len >= clcf->name.len
#if (NGX_PCRE)
        && clcf->regex == NULL
#endif
        && ngx_strncmp(r->uri.data, clcf->name.data, clcf->name.len) == 0)
    {
        name->data += clcf->name.len;
        name->len -= clcf->name.len;
    }
}


/* What is no request at all: no route has been looked at. */

static ngx_int_t
ngx_http_sync_web_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *code)
{
    u_char     *p;
    size_t      len;
    ngx_int_t   rc;
    ngx_str_t   body;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    len = ngx_strlen(code);

    p = ngx_pnalloc(r->pool, 128 + 2 * len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body.data = p;
    body.len = ngx_sprintf(p, "{\"status\":\"error\",\"httpStatus\":%ui,"
                           "\"message\":\"%s\",\"errorCode\":\"%s\"}",
                           status, code, code)
               - p;

    return ngx_http_sync_send(r, status, &ngx_http_sync_web_json, &body);
}


static void
ngx_http_sync_web_answer(sync_web_t *web, ngx_uint_t status, ngx_uint_t good,
    sync_str_t *json)
{
    ngx_int_t             rc;
    ngx_str_t             body;
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_sync_web_t  *w;

    w = (ngx_http_sync_web_t *) web;
    r = w->request;
    c = r->connection;

    w->ended = 1;

    if (w->opened || (web->stream && good)) {
        rc = ngx_http_sync_web_event(w, "final", json);

        if (rc != NGX_ERROR) {
            rc = ngx_http_send_special(r, NGX_HTTP_LAST);
        }

    } else {
        body.len = json->len;
        body.data = ngx_pnalloc(r->pool, json->len);

        if (body.data == NULL) {
            rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

        } else {
            ngx_memcpy(body.data, json->data, json->len);
            rc = ngx_http_sync_send(r, status, &ngx_http_sync_web_json,
                                    &body);
        }
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_sync_web_chunk(sync_web_t *web, sync_str_t *json)
{
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_sync_web_t  *w;

    w = (ngx_http_sync_web_t *) web;

    if (w->ended) {
        return;
    }

    r = w->request;
    c = r->connection;

    if (ngx_http_sync_web_event(w, "stream", json) == NGX_ERROR) {
        w->ended = 1;
        ngx_http_finalize_request(r, NGX_ERROR);
        ngx_http_run_posted_requests(c);
    }
}


static ngx_uint_t
ngx_http_sync_web_pressed(sync_web_t *web)
{
    size_t                size;
    ngx_chain_t          *cl;
    ngx_http_sync_web_t  *w;

    w = (ngx_http_sync_web_t *) web;
    size = 0;

    for (cl = w->busy; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    return size > w->settings->client.queue / 2;
}


static ngx_int_t
ngx_http_sync_web_open(ngx_http_sync_web_t *w)
{
    ngx_int_t            rc;
    ngx_str_t            value;
    ngx_buf_t           *b;
    ngx_chain_t         *out;
    ngx_http_request_t  *r;

    r = w->request;
    w->opened = 1;

    r->headers_out.status = NGX_HTTP_OK;
    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    ngx_http_clear_content_length(r);

    ngx_str_set(&value, "no-cache, no-transform");

    if (ngx_http_sync_add_header(r, "Cache-Control", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_set(&value, "no");

    if (ngx_http_sync_add_header(r, "X-Accel-Buffering", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return NGX_ERROR;
    }

    r->write_event_handler = ngx_http_sync_web_writer;

    b = ngx_http_sync_web_buf(w, sizeof(": connected\n\n") - 1, &out);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, ": connected\n\n",
                         sizeof(": connected\n\n") - 1);

    return ngx_http_sync_web_output(w, out);
}


/* JSON has line ends between its values at most: there a space will do. */

static ngx_int_t
ngx_http_sync_web_event(ngx_http_sync_web_t *w, const char *event,
    sync_str_t *json)
{
    u_char       *p, *last;
    ngx_buf_t    *b;
    ngx_chain_t  *out;

    if (!w->opened && ngx_http_sync_web_open(w) == NGX_ERROR) {
        return NGX_ERROR;
    }

    b = ngx_http_sync_web_buf(w, json->len + 64, &out);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_sprintf(b->last, "event: %s\ndata: ", event);

    last = json->data + json->len;

    for (p = json->data; p < last; p++) {
        *b->last++ = (*p == '\n' || *p == '\r') ? ' ' : *p;
    }

    *b->last++ = '\n';
    *b->last++ = '\n';

    return ngx_http_sync_web_output(w, out);
}


/* A buf that was sent, or a new one; what is too small for reuse is freed. */

static ngx_buf_t *
ngx_http_sync_web_buf(ngx_http_sync_web_t *w, size_t size, ngx_chain_t **out)
{
    u_char       *p;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;
    ngx_pool_t   *pool;

    pool = w->request->pool;
    size = ngx_max(size, NGX_HTTP_SYNC_BUF);

    cl = ngx_chain_get_free_buf(pool, &w->free);
    if (cl == NULL) {
        return NULL;
    }

    b = cl->buf;

    if ((size_t) (b->end - b->start) < size) {

        if (b->start) {
            (void) ngx_pfree(pool, b->start);
        }

        p = ngx_palloc(pool, size);
        if (p == NULL) {
            return NULL;
        }

        b->start = p;
        b->end = p + size;
    }

    b->pos = b->start;
    b->last = b->start;
    b->temporary = 1;
    b->flush = 1;
    b->tag = (ngx_buf_tag_t) &ngx_http_sync_module;

    *out = cl;

    return b;
}


static ngx_int_t
ngx_http_sync_web_output(ngx_http_sync_web_t *w, ngx_chain_t *out)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = w->request;

    rc = ngx_http_output_filter(r, out);

    ngx_chain_update_chains(r->pool, &w->free, &w->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_sync_module);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    return w->ended ? NGX_OK : ngx_http_sync_web_wait(w);
}


/* Has what is left sent when the connection takes it. */

static ngx_int_t
ngx_http_sync_web_wait(ngx_http_sync_web_t *w)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = w->request->connection->write;
    clcf = ngx_http_get_module_loc_conf(w->request->main,
                                        ngx_http_core_module);

    if (w->busy) {

        if (!wev->timer_set) {
            ngx_add_timer(wev, clcf->send_timeout);
        }

    } else if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    return ngx_handle_write_event(wev, clcf->send_lowat);
}


static void
ngx_http_sync_web_writer(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_chain_t          *out;
    ngx_http_sync_web_t  *w;

    w = ngx_http_get_module_ctx(r, ngx_http_sync_module);

    if (r->connection->write->timedout) {
        r->connection->timedout = 1;
        w->ended = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    out = NULL;
    rc = ngx_http_output_filter(r, NULL);

    ngx_chain_update_chains(r->pool, &w->free, &w->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_sync_module);

    if (rc == NGX_ERROR || ngx_http_sync_web_wait(w) != NGX_OK) {
        w->ended = 1;
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


static void
ngx_http_sync_web_cleanup(void *data)
{
    ngx_http_sync_web_t *w = data;

    sync_request_t  *rq;

    if (w->reading) {
        sync_session_cancel(&w->op);
    }

    rq = w->web.asked;

    if (rq == NULL) {
        return;
    }

    rq->web = NULL;
    w->web.asked = NULL;

    sync_cancel_request(rq, "disconnect");
}
