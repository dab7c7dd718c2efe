
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>


/* the longest origin looked at, in bytes: a scheme, a host name, a port */

#define NGX_HTTP_SYNC_ORIGIN_MAX  300


static ngx_int_t ngx_http_sync_origin_match(ngx_http_request_t *r,
    ngx_http_sync_origins_t *origins, ngx_str_t *value);
static ngx_int_t ngx_http_sync_origin_normalize(u_char *dst, ngx_str_t *origin,
    ngx_str_t *out);
static u_char *ngx_http_sync_origin_authority(u_char *p, u_char *last,
    u_char **port);
static ngx_int_t ngx_http_sync_origin_regex(ngx_conf_t *cf,
    ngx_http_sync_origins_t *origins, ngx_str_t *pattern);
static ngx_uint_t ngx_http_sync_origin_same(ngx_http_request_t *r,
    ngx_str_t *origin);


ngx_int_t
ngx_http_sync_origins_check(ngx_http_request_t *r,
    ngx_http_sync_origins_t *origins, ngx_str_t **value)
{
    *value = ngx_http_sync_header_in(r, "origin");

    if (*value == NULL || origins->any) {
        return NGX_OK;
    }

    return ngx_http_sync_origin_match(r, origins, *value);
}


ngx_int_t
ngx_http_sync_origins_check_call(ngx_http_request_t *r,
    ngx_http_sync_origins_t *origins, ngx_str_t **value)
{
    u_char     *p, *last;
    ngx_str_t  *referer, origin;

    *value = ngx_http_sync_header_in(r, "origin");

    if (origins->any) {
        return NGX_OK;
    }

    if (*value) {
        return ngx_http_sync_origin_match(r, origins, *value);
    }

    /* no browser sends a page's POST without both */

    if (r->headers_in.referer == NULL) {
        return NGX_OK;
    }

    /* what stands before the path */

    referer = &r->headers_in.referer->value;
    last = referer->data + referer->len;

    p = ngx_strlchr(referer->data, last, ':');

    if (p == NULL || last - p < 3) {
        return NGX_DECLINED;
    }

    for (p += 3; p < last && *p != '/' && *p != '?' && *p != '#'; p++) {
        /* void */
    }

    origin.data = referer->data;
    origin.len = p - referer->data;

    return ngx_http_sync_origin_match(r, origins, &origin);
}


static ngx_int_t
ngx_http_sync_origin_match(ngx_http_request_t *r,
    ngx_http_sync_origins_t *origins, ngx_str_t *value)
{
    u_char       buf[NGX_HTTP_SYNC_ORIGIN_MAX];
    ngx_str_t    origin, *exact;
    ngx_uint_t   i;
#if (NGX_PCRE)
    ngx_regex_t **re;
#endif

    if (ngx_http_sync_origin_normalize(buf, value, &origin) != NGX_OK) {
        goto refused;
    }

    if (origins->same && ngx_http_sync_origin_same(r, &origin)) {
        return NGX_OK;
    }

    exact = origins->exact->elts;

    for (i = 0; i < origins->exact->nelts; i++) {

        if (exact[i].len == origin.len
            && ngx_memcmp(exact[i].data, origin.data, origin.len) == 0)
        {
            return NGX_OK;
        }
    }

#if (NGX_PCRE)

    if (origins->regex) {
        re = origins->regex->elts;

        for (i = 0; i < origins->regex->nelts; i++) {

            if (ngx_regex_exec(re[i], &origin, NULL, 0) >= 0) {
                return NGX_OK;
            }
        }
    }

#endif

refused:

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "origin \"%V\" is not allowed", value);

    return NGX_DECLINED;
}


/*
 * Brings an origin to one form, "https://example.com:8443": lower case, no
 * default port, nothing after the port.  dst has NGX_HTTP_SYNC_ORIGIN_MAX
 * bytes.  What is not scheme://host[:port], or "null", is declined.
 */

static ngx_int_t
ngx_http_sync_origin_normalize(u_char *dst, ngx_str_t *origin, ngx_str_t *out)
{
    size_t     scheme;
    u_char    *p, *last, *port, *end;
    ngx_int_t  n;

    if (origin->len == 0 || origin->len > NGX_HTTP_SYNC_ORIGIN_MAX) {
        return NGX_DECLINED;
    }

    ngx_strlow(dst, origin->data, origin->len);

    last = dst + origin->len;

    out->data = dst;
    out->len = origin->len;

    if (out->len == 4 && ngx_memcmp(dst, "null", 4) == 0) {
        return NGX_OK;
    }

    for (p = dst; p < last && *p != ':'; p++) {

        if ((*p < 'a' || *p > 'z')
            && (p == dst || ((*p < '0' || *p > '9')
                             && *p != '+' && *p != '-' && *p != '.')))
        {
            return NGX_DECLINED;
        }
    }

    scheme = p - dst;

    if (scheme == 0 || last - p < 4 || ngx_memcmp(p, "://", 3) != 0) {
        return NGX_DECLINED;
    }

    p += 3;

    end = ngx_http_sync_origin_authority(p, last, &port);

    if (end == NULL || (end != last && (end != last - 1 || *end != '/'))) {
        return NGX_DECLINED;
    }

    if (port != end) {
        n = ngx_atoi(port + 1, end - port - 1);

        if (n < 1 || n > 65535) {
            return NGX_DECLINED;
        }

        if ((n == 80 && scheme == 4 && ngx_memcmp(dst, "http", 4) == 0)
            || (n == 443 && scheme == 5 && ngx_memcmp(dst, "https", 5) == 0))
        {
            end = port;
        }
    }

    out->len = end - dst;

    return NGX_OK;
}


/*
 * Returns the end of "host[:port]" at p, and where ":port" begins in *port,
 * which is the end if there is none; or NULL if there is no host.
 */

static u_char *
ngx_http_sync_origin_authority(u_char *p, u_char *last, u_char **port)
{
    u_char  *start;

    start = p;

    if (p < last && *p == '[') {

        while (p < last && *p != ']') {
            p++;
        }

        if (p == last) {
            return NULL;
        }

        p++;

        if (p < last && *p != ':' && *p != '/') {
            return NULL;
        }
    }

    while (p < last && *p != ':' && *p != '/') {

        if (*p <= ' ' || *p >= 0x7f || ngx_strchr("?#@\\[]", *p)) {
            return NULL;
        }

        p++;
    }

    if (p == start) {
        return NULL;
    }

    *port = p;

    if (p < last && *p == ':') {

        do {
            p++;
        } while (p < last && *p >= '0' && *p <= '9');
    }

    return p;
}


static ngx_uint_t
ngx_http_sync_origin_same(ngx_http_request_t *r, ngx_str_t *origin)
{
    u_char     *p, buf[NGX_HTTP_SYNC_ORIGIN_MAX],
                own[NGX_HTTP_SYNC_ORIGIN_MAX];
    ngx_str_t   text, same, *host;

    if (r->headers_in.host == NULL) {
        return 0;
    }

    host = &r->headers_in.host->value;

    if (host->len > sizeof(own) - (sizeof("https://") - 1)) {
        return 0;
    }

#if (NGX_HTTP_SSL)

    if (r->connection->ssl) {
        p = ngx_cpymem(own, "https://", sizeof("https://") - 1);

    } else

#endif
    {
        p = ngx_cpymem(own, "http://", sizeof("http://") - 1);
    }

    p = ngx_cpymem(p, host->data, host->len);

    text.data = own;
    text.len = p - own;

    return ngx_http_sync_origin_normalize(buf, &text, &same) == NGX_OK
           && same.len == origin->len
           && ngx_memcmp(same.data, origin->data, same.len) == 0;
}


ngx_http_sync_origins_t *
ngx_http_sync_origins_create(ngx_conf_t *cf)
{
    ngx_http_sync_origins_t  *origins;

    origins = ngx_pcalloc(cf->pool, sizeof(ngx_http_sync_origins_t));
    if (origins == NULL) {
        return NULL;
    }

    origins->exact = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
    if (origins->exact == NULL) {
        return NULL;
    }

    return origins;
}


ngx_int_t
ngx_http_sync_origins_add(ngx_conf_t *cf, ngx_http_sync_origins_t *origins,
    ngx_str_t *value)
{
    u_char      buf[NGX_HTTP_SYNC_ORIGIN_MAX];
    ngx_str_t   origin, *exact;

    if (value->len == 1 && value->data[0] == '*') {
        origins->any = 1;
        return NGX_OK;
    }

    if (value->len == 4 && ngx_strncmp(value->data, "same", 4) == 0) {
        origins->same = 1;
        return NGX_OK;
    }

    if (value->len && value->data[0] == '~') {
        origin.data = value->data + 1;
        origin.len = value->len - 1;

        return ngx_http_sync_origin_regex(cf, origins, &origin);
    }

    if (ngx_http_sync_origin_normalize(buf, value, &origin) != NGX_OK) {
        return NGX_DECLINED;
    }

    exact = ngx_array_push(origins->exact);
    if (exact == NULL) {
        return NGX_ERROR;
    }

    exact->len = origin.len;
    exact->data = ngx_pstrdup(cf->pool, &origin);
    if (exact->data == NULL) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sync_origin_regex(ngx_conf_t *cf, ngx_http_sync_origins_t *origins,
    ngx_str_t *pattern)
{
#if (NGX_PCRE)
    u_char                errstr[NGX_MAX_CONF_ERRSTR];
    ngx_regex_t         **re;
    ngx_regex_compile_t   rc;

    if (pattern->len == 0) {
        return NGX_DECLINED;
    }

    if (origins->regex == NULL) {
        origins->regex = ngx_array_create(cf->pool, 1, sizeof(ngx_regex_t *));
        if (origins->regex == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

    rc.pattern = *pattern;
    rc.pool = cf->pool;
    rc.err.len = NGX_MAX_CONF_ERRSTR;
    rc.err.data = errstr;

    if (ngx_regex_compile(&rc) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V", &rc.err);
        return NGX_ERROR;
    }

    re = ngx_array_push(origins->regex);
    if (re == NULL) {
        return NGX_ERROR;
    }

    *re = rc.regex;

    return NGX_OK;

#else

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "using regex \"~%V\" in \"sync_allow_origin\" "
                       "requires PCRE library", pattern);

    return NGX_ERROR;

#endif
}
