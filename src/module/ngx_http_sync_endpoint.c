
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>
#include <ngx_md5.h>
#include <sync_body.h>
#include <sync_connect.h>
#include <sync_control.h>


static ngx_int_t ngx_http_sync_admit(ngx_http_request_t *r,
    ngx_uint_t methods, const char *names, ngx_str_t **origin);

static void ngx_http_sync_control_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_sync_control_post(ngx_http_request_t *r);
static ngx_int_t ngx_http_sync_control(ngx_http_request_t *r,
    const sync_control_op_t *op, sync_str_t *body);
static void ngx_http_sync_control_done(void *data, ngx_int_t rc,
    sync_control_answer_t *answer);
static void ngx_http_sync_control_name(ngx_http_request_t *r,
    sync_str_t *name);
static ngx_uint_t ngx_http_sync_control_json(ngx_http_request_t *r);
static ngx_int_t ngx_http_sync_control_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *code, const char *message);

static void ngx_http_sync_client_etag(u_char *etag, const u_char *data,
    size_t len);

static ngx_int_t ngx_http_sync_output(ngx_http_request_t *r,
    const u_char *data, size_t len);
static ngx_int_t ngx_http_sync_allow(ngx_http_request_t *r,
    const char *methods);
static ngx_table_elt_t *ngx_http_sync_push_header(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);


/* made of src/client/ when the module is built */

extern const u_char  sync_client_js[];
extern const size_t  sync_client_js_len;
extern const u_char  sync_client_dts[];
extern const size_t  sync_client_dts_len;


static ngx_str_t  ngx_http_sync_type_json = ngx_string("application/json");


ngx_int_t
ngx_http_sync_websocket_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_str_t                 *origin;
    ngx_http_sync_loc_conf_t  *slcf;

    rc = ngx_http_sync_admit(r, NGX_HTTP_GET, "GET", &origin);

    if (rc != NGX_OK) {
        return rc;
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sync_module);

    return sync_connect_websocket(r, &slcf->settings);
}


ngx_int_t
ngx_http_sync_sse_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_str_t                 *origin, value;
    ngx_http_sync_loc_conf_t  *slcf;

    rc = ngx_http_sync_admit(r, NGX_HTTP_GET|NGX_HTTP_HEAD, "GET, HEAD",
                             &origin);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_str_set(&value, "Origin");

    if (ngx_http_sync_add_header(r, "Vary", &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (origin) {
        ngx_str_set(&value, "true");

        if (ngx_http_sync_add_header(r, "Access-Control-Allow-Origin", origin)
            != NGX_OK
            || ngx_http_sync_add_header(r, "Access-Control-Allow-Credentials",
                                        &value)
               != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sync_module);

    return sync_connect_sse(r, &slcf->settings);
}


/* What is asked of a request before it may become a client. */

static ngx_int_t
ngx_http_sync_admit(ngx_http_request_t *r, ngx_uint_t methods,
    const char *names, ngx_str_t **origin)
{
    ngx_int_t                  rc;
    ngx_http_sync_loc_conf_t  *slcf;

    if (!(r->method & methods)) {
        return ngx_http_sync_not_allowed(r, names);
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sync_module);

    rc = ngx_http_sync_origins_check(r, slcf->origins, origin);

    if (rc != NGX_OK) {
        sync_zone_count(slcf->settings.main->zone, SYNC_COUNT_REFUSED, 1);

        return NGX_HTTP_FORBIDDEN;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_sync_control_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    sync_str_t                name, body;
    const sync_control_op_t  *op;

    ngx_http_sync_control_name(r, &name);

    op = sync_control_lookup(&name);

    if (op && r->method == NGX_HTTP_POST) {
        r->request_body_in_single_buf = 1;

        rc = ngx_http_read_client_request_body(r,
                                           ngx_http_sync_control_body_handler);

        return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (op == NULL) {
        return ngx_http_sync_control_error(r, NGX_HTTP_NOT_FOUND,
                                           "control.notFound",
                                           "there is no such operation");
    }

    if (!sync_control_reads(op)
        || !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)))
    {
        if (ngx_http_sync_allow(r, sync_control_reads(op) ? "GET, HEAD, POST"
                                                          : "POST")
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_sync_control_error(r, NGX_HTTP_NOT_ALLOWED,
                                           "control.methodNotAllowed",
                                           "the operation does not take this "
                                           "method");
    }

    if (sync_control_args(r->pool, &r->args, &body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_sync_control(r, op, &body);
}


static void
ngx_http_sync_control_body_handler(ngx_http_request_t *r)
{
    ngx_http_finalize_request(r, ngx_http_sync_control_post(r));
}


static ngx_int_t
ngx_http_sync_control_post(ngx_http_request_t *r)
{
    off_t                      size;
    sync_str_t                 name, body;
    ngx_chain_t               *cl;
    sync_main_settings_t      *main;
    ngx_http_sync_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sync_module);
    main = slcf->settings.main;

    size = 0;

    if (r->request_body) {

        for (cl = r->request_body->bufs; cl; cl = cl->next) {
            size += ngx_buf_size(cl->buf);
        }
    }

    if (size > (off_t) (sync_zone_size(main->zone) / NGX_HTTP_SYNC_SHARE)) {
        return ngx_http_sync_control_error(r,
                                           NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                           "control.payloadTooLarge",
                                           "the body is larger than the zone "
                                           "allows");
    }

    /* a page of another origin cannot send this type without being asked */

    if (size && !ngx_http_sync_control_json(r)) {
        return ngx_http_sync_control_error(r,
                                           NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                           "control.unsupportedMediaType",
                                           "the body must be "
                                           "application/json");
    }

    if (ngx_http_sync_read_body(r, size, &body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_sync_control_name(r, &name);

    return ngx_http_sync_control(r, sync_control_lookup(&name), &body);
}


static ngx_int_t
ngx_http_sync_control(ngx_http_request_t *r, const sync_control_op_t *op,
    sync_str_t *body)
{
    ngx_int_t                  rc;
    sync_main_settings_t      *main;
    sync_control_answer_t      answer;
    ngx_http_sync_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sync_module);
    main = slcf->settings.main;

    if (main->zone->self == NULL) {
        return ngx_http_sync_control_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           "broker.unavailable",
                                           "this worker has no slot in the "
                                           "zone");
    }

    rc = sync_control_run(op, &slcf->settings, r->pool, body, &answer,
                          ngx_http_sync_control_done, r);

    if (rc == NGX_AGAIN) {
        r->main->count++;
        r->read_event_handler = ngx_http_test_reading;
        r->write_event_handler = ngx_http_request_empty_handler;

        return NGX_DONE;
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_sync_send(r, answer.status, &ngx_http_sync_type_json,
                              &answer.body);
}


static void
ngx_http_sync_control_done(void *data, ngx_int_t rc,
    sync_control_answer_t *answer)
{
    ngx_http_request_t *r = data;

    ngx_connection_t  *c;

    c = r->connection;

    if (rc == NGX_OK) {
        rc = ngx_http_sync_send(r, answer->status, &ngx_http_sync_type_json,
                                &answer->body);

    } else {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/*
 * The operation is what follows the location's prefix, or, where there is
 * none, the last part of the path.
 */

static void
ngx_http_sync_control_name(ngx_http_request_t *r, sync_str_t *name)
{
    u_char                    *p, *last;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    p = r->uri.data;
    last = p + r->uri.len;

    if (r->uri.len > clcf->name.len
#if (NGX_PCRE)
        && clcf->regex == NULL
#endif
        && ngx_strncmp(p, clcf->name.data, clcf->name.len) == 0)
    {
        p += clcf->name.len;

        if (*p == '/') {
            p++;
        }

    } else {
        p = last;

        while (p > r->uri.data && p[-1] != '/') {
            p--;
        }
    }

    name->data = p;
    name->len = last - p;
}


ngx_int_t
ngx_http_sync_read_body(ngx_http_request_t *r, size_t size, sync_str_t *body)
{
    body->len = size;
    body->data = NULL;

    if (size == 0) {
        return NGX_OK;
    }

    body->data = ngx_pnalloc(r->pool, size);
    if (body->data == NULL) {
        return NGX_ERROR;
    }

    return sync_body_copy(r, body->data);
}


static ngx_uint_t
ngx_http_sync_control_json(ngx_http_request_t *r)
{
    size_t      len;
    ngx_str_t  *type;

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    type = &r->headers_in.content_type->value;
    len = ngx_http_sync_type_json.len;

    return type->len >= len
           && ngx_strncasecmp(type->data, ngx_http_sync_type_json.data, len)
              == 0
           && (type->len == len || type->data[len] == ';'
               || type->data[len] == ' ');
}


static ngx_int_t
ngx_http_sync_control_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *code, const char *message)
{
    sync_control_answer_t  answer;

    if (sync_control_error(r->pool, status, code, message, &answer)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_sync_send(r, status, &ngx_http_sync_type_json,
                              &answer.body);
}


ngx_int_t
ngx_http_sync_client_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_str_t                   value;
    ngx_uint_t                  types;
    ngx_table_elt_t            *h;
    ngx_http_sync_main_conf_t  *smcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_sync_not_allowed(r, "GET, HEAD");
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    types = r->uri.len > 5
            && ngx_strncmp(r->uri.data + r->uri.len - 5, ".d.ts", 5) == 0;

    r->headers_out.status = NGX_HTTP_OK;

    if (types) {
        ngx_str_set(&r->headers_out.content_type, "text/plain");
        r->headers_out.content_length_n = sync_client_dts_len;

    } else {
        ngx_str_set(&r->headers_out.content_type, "text/javascript");
        r->headers_out.content_length_n = sync_client_js_len;
    }

    r->headers_out.content_type_len = r->headers_out.content_type.len;
    ngx_str_set(&r->headers_out.charset, "utf-8");

    ngx_str_set(&value, "no-cache");

    if (ngx_http_sync_add_header(r, "Cache-Control", &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    smcf = ngx_http_get_module_main_conf(r, ngx_http_sync_module);

    value.data = smcf->etag[types];
    value.len = NGX_HTTP_SYNC_ETAG_LEN;

    /* nginx compares it to If-None-Match by itself */

    h = ngx_http_sync_push_header(r, "ETag", &value);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.etag = h;

    if (types) {
        return ngx_http_sync_output(r, sync_client_dts, sync_client_dts_len);
    }

    return ngx_http_sync_output(r, sync_client_js, sync_client_js_len);
}


void
ngx_http_sync_client_init(ngx_http_sync_main_conf_t *smcf)
{
    ngx_http_sync_client_etag(smcf->etag[0], sync_client_js,
                              sync_client_js_len);
    ngx_http_sync_client_etag(smcf->etag[1], sync_client_dts,
                              sync_client_dts_len);
}


static void
ngx_http_sync_client_etag(u_char *etag, const u_char *data, size_t len)
{
    u_char     *p, sum[16];
    ngx_md5_t   md5;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, data, len);
    ngx_md5_final(sum, &md5);

    p = etag;

    *p++ = '"';
    p = ngx_hex_dump(p, sum, sizeof(sum));
    *p = '"';
}


ngx_int_t
ngx_http_sync_send(ngx_http_request_t *r, ngx_uint_t status, ngx_str_t *type,
    ngx_str_t *body)
{
    ngx_str_t  value;

    r->headers_out.status = status;
    r->headers_out.content_length_n = body->len;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;

    ngx_str_set(&value, "no-store");

    if (ngx_http_sync_add_header(r, "Cache-Control", &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_sync_output(r, body->data, body->len);
}


/* Sends the header, and a body that outlives the request. */

static ngx_int_t
ngx_http_sync_output(ngx_http_request_t *r, const u_char *data, size_t len)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = (u_char *) data;
    b->last = b->pos + len;
    b->memory = 1;
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_sync_not_allowed(ngx_http_request_t *r, const char *methods)
{
    return ngx_http_sync_allow(r, methods) == NGX_OK
           ? NGX_HTTP_NOT_ALLOWED : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_sync_allow(ngx_http_request_t *r, const char *methods)
{
    ngx_str_t  value;

    value.data = (u_char *) methods;
    value.len = ngx_strlen(methods);

    return ngx_http_sync_add_header(r, "Allow", &value);
}


ngx_int_t
ngx_http_sync_add_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    return ngx_http_sync_push_header(r, name, value) ? NGX_OK : NGX_ERROR;
}


static ngx_table_elt_t *
ngx_http_sync_push_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return h;
}


ngx_str_t *
ngx_http_sync_header_in(ngx_http_request_t *r, const char *name)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == len
                && ngx_memcmp(h[i].lowcase_key, name, len) == 0)
            {
                return &h[i].value;
            }
        }
    }

    return NULL;
}
