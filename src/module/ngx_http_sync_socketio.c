
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>
#include <sync_call.h>
#include <sync_refusal.h>
#include <ngx_md5.h>
#include <sync_eio_client.h>
#include <sync_poll_client.h>
#include <sync_process.h>


/* Errors of Engine.IO: their numbers, as a page may see them. */

#define NGX_HTTP_SYNC_EIO_TRANSPORT  0
#define NGX_HTTP_SYNC_EIO_SID        1
#define NGX_HTTP_SYNC_EIO_METHOD     2
#define NGX_HTTP_SYNC_EIO_BAD        3
#define NGX_HTTP_SYNC_EIO_VERSION    5


/* What a request says of itself. */

typedef struct {
    u_char       id[SYNC_SID_LEN];
    ngx_uint_t   sid;                   /* there is one, though maybe bad */
    ngx_uint_t   polling;
    ngx_uint_t   upgrade;               /* asks for a WebSocket */
} ngx_http_sync_eio_t;


static ngx_int_t ngx_http_sync_eio_cors(ngx_http_request_t *r,
    ngx_str_t *origin);
static ngx_int_t ngx_http_sync_eio_preflight(ngx_http_request_t *r);
static ngx_int_t ngx_http_sync_eio_parse(ngx_http_request_t *r,
    ngx_http_sync_eio_t *rq);
static ngx_int_t ngx_http_sync_eio_open(ngx_http_request_t *r,
    ngx_http_sync_eio_t *rq);
static ngx_int_t ngx_http_sync_eio_session(ngx_http_request_t *r,
    ngx_http_sync_eio_t *rq);
static ngx_int_t ngx_http_sync_eio_websocket(ngx_http_request_t *r,
    ngx_http_sync_eio_t *rq);
static ngx_int_t ngx_http_sync_eio_post(ngx_http_request_t *r);
static void ngx_http_sync_eio_body_handler(ngx_http_request_t *r);
static ngx_uint_t ngx_http_sync_eio_upgraded(ngx_http_request_t *r);
static ngx_int_t ngx_http_sync_eio_result(ngx_http_request_t *r,
    ngx_int_t rc);
static ngx_int_t ngx_http_sync_eio_error(ngx_http_request_t *r,
    ngx_uint_t code);
static uint32_t ngx_http_sync_eio_endpoint(ngx_http_request_t *r);
static ngx_uint_t ngx_http_sync_eio_arg(ngx_http_request_t *r,
    const char *name, const char *value);


#define ngx_http_sync_eio_conf(r)                                             \
    (&((ngx_http_sync_loc_conf_t *)                                           \
       ngx_http_get_module_loc_conf(r, ngx_http_sync_module))                 \
     ->settings.client)


ngx_int_t
ngx_http_sync_socketio_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_str_t                 *origin;
    ngx_http_sync_eio_t        rq;
    ngx_http_sync_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sync_module);

    if (ngx_http_sync_origins_check(r, slcf->origins, &origin) != NGX_OK) {
        sync_zone_count(slcf->settings.main->zone, SYNC_COUNT_REFUSED, 1);

        return ngx_http_sync_eio_error(r, NGX_HTTP_SYNC_EIO_BAD);
    }

    if (ngx_http_sync_eio_cors(r, origin) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_sync_eio_preflight(r);
    }

    rc = ngx_http_sync_eio_parse(r, &rq);

    if (rc != NGX_OK) {
        return ngx_http_sync_eio_error(r, NGX_HTTP_SYNC_EIO_TRANSPORT);
    }

    /* a worker that exits still serves the sessions there are */

    if (slcf->settings.main->zone->self == NULL
        || (!rq.sid && sync_process_ready() != SYNC_OK))
    {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    return rq.sid ? ngx_http_sync_eio_session(r, &rq)
                  : ngx_http_sync_eio_open(r, &rq);
}


static ngx_int_t
ngx_http_sync_eio_cors(ngx_http_request_t *r, ngx_str_t *origin)
{
    ngx_str_t  value;

    ngx_str_set(&value, "Origin");

    if (ngx_http_sync_add_header(r, "Vary", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_set(&value, "true");

    if (ngx_http_sync_add_header(r, "Access-Control-Allow-Credentials",
                                 &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (origin == NULL) {
        return NGX_OK;
    }

    return ngx_http_sync_add_header(r, "Access-Control-Allow-Origin", origin);
}


static ngx_int_t
ngx_http_sync_eio_preflight(ngx_http_request_t *r)
{
    ngx_int_t   rc;
    ngx_str_t   value, *headers;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_str_set(&value, "GET,POST,PUT,DELETE,OPTIONS");

    if (ngx_http_sync_add_header(r, "Access-Control-Allow-Methods", &value)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    headers = ngx_http_sync_header_in(r, "access-control-request-headers");

    if (headers
        && ngx_http_sync_add_header(r, "Access-Control-Allow-Headers",
                                    headers)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->header_only = 1;

    return ngx_http_send_header(r);
}


static ngx_int_t
ngx_http_sync_eio_parse(ngx_http_request_t *r, ngx_http_sync_eio_t *rq)
{
    ngx_str_t  sid, *upgrade;

    ngx_memzero(rq, sizeof(ngx_http_sync_eio_t));

    rq->polling = ngx_http_sync_eio_arg(r, "transport", "polling");

    if (!rq->polling && !ngx_http_sync_eio_arg(r, "transport", "websocket")) {
        return NGX_DECLINED;
    }

    upgrade = ngx_http_sync_header_in(r, "upgrade");

    rq->upgrade = upgrade && upgrade->len == 9
                  && ngx_strncasecmp(upgrade->data, (u_char *) "websocket", 9)
                     == 0;

    if (ngx_http_arg(r, (u_char *) "sid", 3, &sid) == NGX_OK) {
        rq->sid = 1;

        /* what is no id is that of no session: there is none of all zeros */

        (void) sync_registry_parse_id(rq->id, sid.data, sid.len);
    }

    return NGX_OK;
}


/* A new session. */

static ngx_int_t
ngx_http_sync_eio_open(ngx_http_request_t *r, ngx_http_sync_eio_t *rq)
{
    ngx_int_t                  rc;
    ngx_http_sync_loc_conf_t  *slcf;

    if (r->method != NGX_HTTP_GET) {
        return ngx_http_sync_eio_error(r, NGX_HTTP_SYNC_EIO_METHOD);
    }

    if (rq->polling == rq->upgrade) {
        return ngx_http_sync_eio_error(r, NGX_HTTP_SYNC_EIO_BAD);
    }

    if (!ngx_http_sync_eio_arg(r, "EIO", "4")) {
        return ngx_http_sync_eio_error(r, NGX_HTTP_SYNC_EIO_VERSION);
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sync_module);

    if (sync_call_keeps(&slcf->settings, r) != SYNC_OK) {
        sync_zone_count(slcf->settings.main->zone, SYNC_COUNT_REFUSED, 1);

        return sync_refusal_headers(r);
    }

    if (rq->upgrade) {
        return sync_eio_client_websocket(r, ngx_http_sync_eio_conf(r),
                                         ngx_http_sync_eio_endpoint(r));
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    return sync_poll_client_handshake(r, ngx_http_sync_eio_conf(r),
                                      ngx_http_sync_eio_endpoint(r));
}


static ngx_int_t
ngx_http_sync_eio_session(ngx_http_request_t *r, ngx_http_sync_eio_t *rq)
{
    ngx_int_t  rc;

    if (!rq->polling) {
        return ngx_http_sync_eio_websocket(r, rq);
    }

    if (rq->upgrade) {
        return ngx_http_sync_eio_error(r, NGX_HTTP_SYNC_EIO_BAD);
    }

    if (r->method == NGX_HTTP_POST) {
        return ngx_http_sync_eio_post(r);
    }

    if (r->method != NGX_HTTP_GET) {
        return ngx_http_sync_eio_error(r, NGX_HTTP_SYNC_EIO_BAD);
    }

    rc = sync_poll_client_get(r, ngx_http_sync_eio_conf(r), rq->id,
                              ngx_http_sync_eio_endpoint(r),
                              ngx_http_sync_eio_result);

    return ngx_http_sync_eio_result(r, rc);
}


static ngx_int_t
ngx_http_sync_eio_websocket(ngx_http_request_t *r, ngx_http_sync_eio_t *rq)
{
    uint32_t      endpoint;
    sync_zone_t  *z;

    z = sync_client_zone();
    endpoint = ngx_http_sync_eio_endpoint(r);

    switch (sync_sid_exists(z, rq->id, endpoint)) {

    case SYNC_DECLINED:
        return ngx_http_sync_eio_result(r, SYNC_POLL_UNKNOWN);

    case SYNC_BUSY:
        return ngx_http_sync_eio_error(r, NGX_HTTP_SYNC_EIO_BAD);

    default: /* SYNC_OK */
        break;
    }

    if (!rq->upgrade || r->method != NGX_HTTP_GET) {
        return ngx_http_sync_eio_error(r, NGX_HTTP_SYNC_EIO_BAD);
    }

    if (sync_process_ready() != SYNC_OK) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    return sync_eio_client_probe(r, ngx_http_sync_eio_conf(r), rq->id,
                                 endpoint);
}


static ngx_int_t
ngx_http_sync_eio_post(ngx_http_request_t *r)
{
    ngx_int_t   rc;
    ngx_str_t  *type;

    type = r->headers_in.content_type ? &r->headers_in.content_type->value
                                      : NULL;

    if (type && type->len >= 24
        && ngx_strncasecmp(type->data, (u_char *) "application/octet-stream",
                           24)
           == 0)
    {
        return ngx_http_sync_eio_error(r, NGX_HTTP_SYNC_EIO_BAD);
    }

    if (r->headers_in.content_length_n
        > (off_t) ngx_http_sync_eio_conf(r)->max_message)
    {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_sync_eio_body_handler);

    return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
}


static void
ngx_http_sync_eio_body_handler(ngx_http_request_t *r)
{
    ngx_int_t            rc;
    ngx_http_sync_eio_t  rq;

    (void) ngx_http_sync_eio_parse(r, &rq);     /* it did before */

    rc = sync_poll_client_post(r, ngx_http_sync_eio_conf(r), rq.id,
                               ngx_http_sync_eio_endpoint(r));

    ngx_http_finalize_request(r, ngx_http_sync_eio_result(r, rc));
}


static ngx_int_t
ngx_http_sync_eio_result(ngx_http_request_t *r, ngx_int_t rc)
{
    switch (rc) {

    case SYNC_POLL_UNKNOWN:

        if (ngx_http_sync_eio_upgraded(r)) {
            return ngx_http_sync_eio_error(r, NGX_HTTP_SYNC_EIO_BAD);
        }

        return ngx_http_sync_eio_error(r, NGX_HTTP_SYNC_EIO_SID);

    case SYNC_POLL_BAD:
        return ngx_http_sync_eio_error(r, NGX_HTTP_SYNC_EIO_BAD);

    case NGX_HTTP_BAD_REQUEST:
        r->headers_out.status = NGX_HTTP_BAD_REQUEST;
        r->headers_out.content_length_n = 0;
        r->header_only = 1;

        return ngx_http_send_header(r);

    default:
        return rc;
    }
}


/* Whether the session is a WebSocket by now: its client is still there. */

static ngx_uint_t
ngx_http_sync_eio_upgraded(ngx_http_request_t *r)
{
    u_char                id[SYNC_ID_LEN];
    sync_zone_t          *z;
    sync_record_info_t    info;
    ngx_http_sync_eio_t   rq;

    z = sync_client_zone();

    (void) ngx_http_sync_eio_parse(r, &rq);     /* it did before */

    sync_sid_client_id(z, id, rq.id);

    return sync_registry_info(z, id, &info) == SYNC_OK;
}


/* In a handshake for a WebSocket the body is the bare message. */

static ngx_int_t
ngx_http_sync_eio_error(ngx_http_request_t *r, ngx_uint_t code)
{
    u_char                     *p;
    ngx_int_t                   rc;
    ngx_str_t                   body, type;
    ngx_http_sync_loc_conf_t   *slcf;

    static const char  *messages[] = {
        "Transport unknown",
        "Session ID unknown",
        "Bad handshake method",
        "Bad request",
        "Forbidden",
        "Unsupported protocol version"
    };

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sync_module);

    sync_zone_count(slcf->settings.main->zone, SYNC_COUNT_REFUSED, 1);

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    p = ngx_pnalloc(r->pool, 64);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body.data = p;

    if (ngx_http_sync_header_in(r, "upgrade")) {
        ngx_str_set(&type, "text/html");
        p = ngx_sprintf(p, "%s", messages[code]);

    } else {
        ngx_str_set(&type, "application/json");
        p = ngx_sprintf(p, "{\"code\":%ui,\"message\":\"%s\"}", code,
                        messages[code]);
    }

    body.len = p - body.data;

    return ngx_http_sync_send(r, NGX_HTTP_BAD_REQUEST, &type, &body);
}


/*
 * Sessions of one endpoint are not another's.  It is known by what stays the
 * same when the configuration is read again.
 */

static uint32_t
ngx_http_sync_eio_endpoint(ngx_http_request_t *r)
{
    uint32_t                   hash;
    ngx_http_core_srv_conf_t  *cscf;
    ngx_http_core_loc_conf_t  *clcf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_crc32_init(hash);
    ngx_crc32_update(&hash, cscf->server_name.data, cscf->server_name.len);
    ngx_crc32_update(&hash, (u_char *) " ", 1);
    ngx_crc32_update(&hash, clcf->name.data, clcf->name.len);
    ngx_crc32_final(hash);

    return hash;
}


static ngx_uint_t
ngx_http_sync_eio_arg(ngx_http_request_t *r, const char *name,
    const char *value)
{
    ngx_str_t  arg;

    return ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &arg) == NGX_OK
           && arg.len == ngx_strlen(value)
           && ngx_strncmp(arg.data, value, arg.len) == 0;
}
