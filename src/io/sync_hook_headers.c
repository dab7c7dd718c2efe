
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sync_hook_headers.h>
#include <sync_writer.h>


#define sync_hook_name_is(n, name)                                            \
    ((n)->len == (name)->len                                                  \
     && ngx_strncasecmp((n)->data, (name)->data, (name)->len) == 0)


/* A header of every call. */

typedef struct {
    ngx_str_t    key;
    u_char      *lowcase_key;
    size_t       offset;                /* in ngx_http_headers_in_t, or 0 */
    ngx_uint_t   hash;                  /* 0: not told yet */
} sync_hook_header_t;


static ngx_int_t sync_hook_add_known(ngx_http_request_t *r,
    sync_hook_header_t *known, ngx_str_t *value);
static ngx_uint_t sync_hook_is_own(ngx_str_t *name);
static ngx_int_t sync_hook_set_host(ngx_http_request_t *r, ngx_str_t *value);
static ngx_int_t sync_hook_add_header(ngx_http_request_t *r,
    ngx_keyval_t *kv);
static ngx_int_t sync_hook_link_header(ngx_http_request_t *r,
    ngx_table_elt_t *header);


/* what a call says by itself, or what is between the client and nginx */

static ngx_str_t  sync_hook_own_headers[] = {
    ngx_string("accept-encoding"),
    ngx_string("connection"),
    ngx_string("content-encoding"),
    ngx_string("content-length"),
    ngx_string("content-type"),
    ngx_string("expect"),
    ngx_string("host"),
    ngx_string("if-match"),
    ngx_string("if-modified-since"),
    ngx_string("if-none-match"),
    ngx_string("if-range"),
    ngx_string("if-unmodified-since"),
    ngx_string("keep-alive"),
    ngx_string("proxy-connection"),
    ngx_string("range"),
    ngx_string("te"),
    ngx_string("trailer"),
    ngx_string("transfer-encoding"),
    ngx_string("upgrade"),
    ngx_string("x-request-id"),
    ngx_null_string
};

static ngx_str_t  sync_hook_localhost = ngx_string("localhost");
static ngx_str_t  sync_hook_json = ngx_string("application/json");

static sync_hook_header_t  sync_hook_host = {
    ngx_string("Host"), (u_char *) "host",
    offsetof(ngx_http_headers_in_t, host), 0
};

static sync_hook_header_t  sync_hook_type = {
    ngx_string("Content-Type"), (u_char *) "content-type",
    offsetof(ngx_http_headers_in_t, content_type), 0
};

static sync_hook_header_t  sync_hook_length = {
    ngx_string("Content-Length"), (u_char *) "content-length",
    offsetof(ngx_http_headers_in_t, content_length), 0
};

static sync_hook_header_t  sync_hook_id = {
    ngx_string("X-Request-Id"), (u_char *) "x-request-id", 0, 0
};


ngx_int_t
sync_hook_set_headers(ngx_http_request_t *r, ngx_str_t *id,
    ngx_keyval_t *headers, ngx_uint_t n)
{
    ngx_str_t      host, length;
    ngx_uint_t     i;
    sync_writer_t  w;

    host = sync_hook_localhost;

    for (i = 0; i < n; i++) {
        if (sync_hook_name_is(&headers[i].key, &sync_hook_host.key)) {
            host = headers[i].value;
        }
    }

    length.data = ngx_pnalloc(r->pool, NGX_OFF_T_LEN);
    if (length.data == NULL) {
        return SYNC_ERROR;
    }

    sync_writer_init(&w, length.data, NGX_OFF_T_LEN);
    sync_write_int(&w, r->headers_in.content_length_n);
    length.len = w.len;

    if (ngx_list_init(&r->headers_in.headers, r->pool, 4 + n,
                      sizeof(ngx_table_elt_t))
        != NGX_OK
        || sync_hook_set_host(r, &host) != NGX_OK
        || sync_hook_add_known(r, &sync_hook_host, &host) != NGX_OK
        || sync_hook_add_known(r, &sync_hook_type, &sync_hook_json) != NGX_OK
        || sync_hook_add_known(r, &sync_hook_length, &length) != NGX_OK
        || (id->len
            && sync_hook_add_known(r, &sync_hook_id, id) != NGX_OK))
    {
        return SYNC_ERROR;
    }

    for (i = 0; i < n; i++) {

        if (!sync_hook_is_own(&headers[i].key)
            && sync_hook_add_header(r, &headers[i]) != NGX_OK)
        {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


static ngx_int_t
sync_hook_add_known(ngx_http_request_t *r, sync_hook_header_t *known,
    ngx_str_t *value)
{
    ngx_table_elt_t  *header;

    if (known->hash == 0) {
        known->hash = ngx_hash_key(known->lowcase_key, known->key.len);
    }

    header = ngx_list_push(&r->headers_in.headers);
    if (header == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(header, sizeof(ngx_table_elt_t));

    header->hash = known->hash;
    header->key = known->key;
    header->value = *value;
    header->lowcase_key = known->lowcase_key;

    if (known->offset) {
        *(ngx_table_elt_t **) ((u_char *) &r->headers_in + known->offset)
            = header;
    }

    return NGX_OK;
}


static ngx_uint_t
sync_hook_is_own(ngx_str_t *name)
{
    ngx_str_t  *own;

    for (own = sync_hook_own_headers; own->len; own++) {
        if (sync_hook_name_is(name, own)) {
            return 1;
        }
    }

    return 0;
}


/* $host: the name alone, in lower case */

static ngx_int_t
sync_hook_set_host(ngx_http_request_t *r, ngx_str_t *value)
{
    u_char      *p, ch;
    size_t       i;
    ngx_uint_t   literal;

    if (value->data == sync_hook_localhost.data) {
        r->headers_in.server = *value;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, value->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    literal = 0;

    for (i = 0; i < value->len; i++) {
        ch = value->data[i];

        if (ch == ':' && !literal) {
            break;
        }

        literal = (ch == '[' || (literal && ch != ']'));
        p[i] = ngx_tolower(ch);
    }

    r->headers_in.server.data = p;
    r->headers_in.server.len = i;

    return NGX_OK;
}


static ngx_int_t
sync_hook_add_header(ngx_http_request_t *r, ngx_keyval_t *kv)
{
    ngx_table_elt_t  *header;

    header = ngx_list_push(&r->headers_in.headers);
    if (header == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(header, sizeof(ngx_table_elt_t));

    header->key = kv->key;
    header->value = kv->value;

    header->lowcase_key = ngx_pnalloc(r->pool, kv->key.len);
    if (header->lowcase_key == NULL) {
        return NGX_ERROR;
    }

    header->hash = ngx_hash_strlow(header->lowcase_key, kv->key.data,
                                   kv->key.len);

    return sync_hook_link_header(r, header);
}


/* the headers that nginx's own code and variables find by a pointer */

static ngx_int_t
sync_hook_link_header(ngx_http_request_t *r, ngx_table_elt_t *header)
{
    ngx_table_elt_t           **ph;
    ngx_http_header_t          *hh;
    ngx_http_core_main_conf_t  *cmcf;
#if (nginx_version < 1023000)
    ngx_array_t                *a;
#endif

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    hh = ngx_hash_find(&cmcf->headers_in_hash, header->hash,
                       header->lowcase_key, header->key.len);

    if (hh == NULL || hh->offset == 0) {
        return NGX_OK;
    }

    ph = (ngx_table_elt_t **) ((u_char *) &r->headers_in + hh->offset);

#if (nginx_version >= 1023000)

    while (*ph) {
        ph = &(*ph)->next;
    }

#else

    if (hh->offset == offsetof(ngx_http_headers_in_t, cookies)
#if (NGX_HTTP_X_FORWARDED_FOR)
        || hh->offset == offsetof(ngx_http_headers_in_t, x_forwarded_for)
#endif
       )
    {
        a = (ngx_array_t *) ph;

        if (a->elts == NULL
            && ngx_array_init(a, r->pool, 1, sizeof(ngx_table_elt_t *))
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        ph = ngx_array_push(a);
        if (ph == NULL) {
            return NGX_ERROR;
        }
    }

#endif

    *ph = header;

    return NGX_OK;
}
