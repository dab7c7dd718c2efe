
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sync_token.h>
#include <sync_session_store.h>


static ngx_int_t sync_token_source(ngx_http_request_t *r,
    sync_token_conf_t *tc, sync_str_t *token);
static ngx_int_t sync_token_cookie(ngx_http_request_t *r, sync_str_t *name,
    sync_str_t *token);
static ngx_int_t sync_token_from(ngx_str_t *header, sync_str_t *name,
    sync_str_t *token);
static ngx_int_t sync_token_header(ngx_http_request_t *r, sync_str_t *name,
    sync_str_t *token);
static ngx_table_elt_t *sync_token_next(ngx_list_part_t **part, ngx_uint_t *i);
static ngx_int_t sync_token_decode(ngx_http_request_t *r, sync_str_t *token,
    ngx_uint_t plus);
static ngx_int_t sync_token_check(sync_settings_t *s, sync_str_t *token);


ngx_int_t
sync_token_find(ngx_http_request_t *r, sync_settings_t *s, sync_str_t *token)
{
    ngx_uint_t          i;
    sync_token_conf_t  *tc;

    if (s->tokens == NULL) {
        return SYNC_DECLINED;
    }

    tc = s->tokens->elts;

    for (i = 0; i < s->tokens->nelts; i++) {

        if (sync_token_source(r, &tc[i], token) == SYNC_OK
            && sync_token_check(s, token) == SYNC_OK)
        {
            return i;
        }
    }

    return SYNC_DECLINED;
}


static ngx_int_t
sync_token_source(ngx_http_request_t *r, sync_token_conf_t *tc,
    sync_str_t *token)
{
    ngx_str_t  value;

    switch (tc->source) {

    case SYNC_TOKEN_COOKIE:
        return sync_token_cookie(r, &tc->name, token);

    case SYNC_TOKEN_HEADER:
        return sync_token_header(r, &tc->name, token);

    case SYNC_TOKEN_QUERY:

        if (ngx_http_arg(r, tc->name.data, tc->name.len, &value) != NGX_OK
            || value.len == 0)
        {
            return SYNC_DECLINED;
        }

        token->data = value.data;
        token->len = value.len;

        return sync_token_decode(r, token, 1);

    default: /* SYNC_TOKEN_AUTH */
        return SYNC_DECLINED;
    }
}


/* The first of this name, in the first Cookie header that has it. */

static ngx_int_t
sync_token_cookie(ngx_http_request_t *r, sync_str_t *name, sync_str_t *token)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &r->headers_in.headers.part;
    i = 0;

    while ((h = sync_token_next(&part, &i)) != NULL) {

        if (h->key.len != sizeof("Cookie") - 1
            || ngx_strncasecmp(h->key.data, (u_char *) "Cookie",
                               sizeof("Cookie") - 1)
               != 0
            || sync_token_from(&h->value, name, token) != SYNC_OK)
        {
            continue;
        }

        return token->len ? sync_token_decode(r, token, 0) : SYNC_DECLINED;
    }

    return SYNC_DECLINED;
}


static ngx_int_t
sync_token_from(ngx_str_t *header, sync_str_t *name, sync_str_t *token)
{
    u_char  *p, *last, *end;

    last = header->data + header->len;

    for (p = header->data; p < last; p = end + 1) {

        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }

        end = ngx_strlchr(p, last, ';');

        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) > name->len
            && p[name->len] == '='
            && ngx_memcmp(p, name->data, name->len) == 0)
        {
            token->data = p + name->len + 1;
            token->len = end - token->data;

            while (token->len && token->data[token->len - 1] == ' ') {
                token->len--;
            }

            return SYNC_OK;
        }
    }

    return SYNC_DECLINED;
}


/* Authorization: Bearer token; any other header is the token itself. */

static ngx_int_t
sync_token_header(ngx_http_request_t *r, sync_str_t *name, sync_str_t *token)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &r->headers_in.headers.part;
    i = 0;

    for ( ;; ) {
        h = sync_token_next(&part, &i);

        if (h == NULL) {
            return SYNC_DECLINED;
        }

        if (h->key.len == name->len
            && ngx_strncasecmp(h->key.data, name->data, name->len) == 0)
        {
            break;
        }
    }

    token->data = h->value.data;
    token->len = h->value.len;

    if (sync_str_is(name, "authorization")) {

        if (token->len < sizeof("Bearer ") - 1
            || ngx_strncasecmp(token->data, (u_char *) "Bearer ",
                               sizeof("Bearer ") - 1)
               != 0)
        {
            return SYNC_DECLINED;
        }

        token->data += sizeof("Bearer ") - 1;
        token->len -= sizeof("Bearer ") - 1;

        while (token->len && *token->data == ' ') {
            token->data++;
            token->len--;
        }
    }

    return token->len ? SYNC_OK : SYNC_DECLINED;
}


static ngx_table_elt_t *
sync_token_next(ngx_list_part_t **part, ngx_uint_t *i)
{
    ngx_table_elt_t  *h;

    while (*i >= (*part)->nelts) {

        if ((*part)->next == NULL) {
            return NULL;
        }

        *part = (*part)->next;
        *i = 0;
    }

    h = (*part)->elts;

    return &h[(*i)++];
}


/* What is encoded wrongly is taken as it is. */

static ngx_int_t
sync_token_decode(ngx_http_request_t *r, sync_str_t *token, ngx_uint_t plus)
{
    size_t      i;
    u_char     *p, *dst;
    ngx_int_t   high, low;

    p = ngx_pnalloc(r->pool, token->len);
    if (p == NULL) {
        return SYNC_DECLINED;
    }

    dst = p;

    for (i = 0; i < token->len; i++) {

        if (plus && token->data[i] == '+') {
            *dst++ = ' ';
            continue;
        }

        if (token->data[i] != '%') {
            *dst++ = token->data[i];
            continue;
        }

        if (token->len - i < 3) {
            return SYNC_OK;
        }

        high = ngx_hextoi(&token->data[i + 1], 1);
        low = ngx_hextoi(&token->data[i + 2], 1);

        if (high == NGX_ERROR || low == NGX_ERROR) {
            return SYNC_OK;
        }

        *dst++ = (u_char) (high << 4 | low);
        i += 2;
    }

    token->data = p;
    token->len = dst - p;

    return SYNC_OK;
}


static ngx_int_t
sync_token_check(sync_settings_t *s, sync_str_t *token)
{
    size_t  i;

    if (token->len > SYNC_TOKEN_MAX) {
        sync_zone_count(s->main->zone, SYNC_COUNT_TOKENS_INVALID, 1);

        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "client sent a token of %uz bytes, at most %d are "
                      "allowed", token->len, SYNC_TOKEN_MAX);
        return SYNC_ERROR;
    }

    for (i = 0; i < token->len; i++) {

        if (token->data[i] <= 0x20 || token->data[i] >= 0x7f) {
            sync_zone_count(s->main->zone, SYNC_COUNT_TOKENS_INVALID, 1);

            ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                          "client sent a token with a byte that none has");
            return SYNC_ERROR;
        }
    }

    return token->len ? SYNC_OK : SYNC_DECLINED;
}


ngx_int_t
sync_token_auth(sync_json_t *auth, sync_settings_t *s, u_char *buf,
    sync_str_t *token)
{
    ngx_uint_t          i;
    sync_json_t         v;
    sync_token_conf_t  *tc;

    if (s->tokens == NULL) {
        return SYNC_DECLINED;
    }

    tc = s->tokens->elts;

    for (i = 0; i < s->tokens->nelts; i++) {

        if (tc[i].source != SYNC_TOKEN_AUTH
            || sync_json_find(&v, auth, &tc[i].name) != SYNC_OK
            || v.type != SYNC_JSON_STRING)
        {
            continue;
        }

        if (sync_json_string(token, &v, buf, SYNC_TOKEN_MAX) != SYNC_OK) {

            /* it is said to be too long */

            *token = v.raw;
        }

        if (sync_token_check(s, token) == SYNC_OK) {
            return i;
        }
    }

    return SYNC_DECLINED;
}


ngx_int_t
sync_token_asks(sync_settings_t *s)
{
    ngx_uint_t          i;
    sync_token_conf_t  *tc;

    if (s->tokens == NULL) {
        return SYNC_DECLINED;
    }

    tc = s->tokens->elts;

    for (i = 0; i < s->tokens->nelts; i++) {

        if (tc[i].source == SYNC_TOKEN_AUTH) {
            return i;
        }
    }

    return SYNC_DECLINED;
}
