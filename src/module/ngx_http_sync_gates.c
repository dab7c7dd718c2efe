
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>
#include <sync_route.h>


/* Directives of what stands between a request and the app. */


#define NGX_HTTP_SYNC_RATE_MAX  100000000       /* in a window */
#define NGX_HTTP_SYNC_CSRF_MAX  256             /* bytes */


static ngx_int_t ngx_http_sync_rate_parse(sync_rate_limit_t *limit,
    ngx_str_t *value);


char *
ngx_http_sync_routes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    ngx_str_t                  *value, file;
    ngx_uint_t                  i;
    ngx_http_sync_manifest_t   *m;
    ngx_http_sync_main_conf_t  *smcf;

    if (slcf->settings.manifest != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_sync_is(&value[1], "off")) {
        slcf->settings.manifest = NULL;
        return NGX_CONF_OK;
    }

    file = value[1];

    if (file.len == 0) {
        return ngx_http_sync_invalid(cf, cmd, &value[1],
                                     "a file or \"off\"");
    }

    if (ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sync_module);

    if (smcf->manifests == NULL) {
        smcf->manifests = ngx_array_create(cf->pool, 1,
                                           sizeof(ngx_http_sync_manifest_t));
        if (smcf->manifests == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    m = smcf->manifests->elts;

    for (i = 0; i < smcf->manifests->nelts; i++) {

        if (m[i].file.len == file.len
            && ngx_memcmp(m[i].file.data, file.data, file.len) == 0)
        {
            slcf->settings.manifest = m[i].manifest;
            return NGX_CONF_OK;
        }
    }

    m = ngx_array_push(smcf->manifests);
    if (m == NULL) {
        return NGX_CONF_ERROR;
    }

    m->file = file;

    m->manifest = sync_route_load(cf, &file);
    if (m->manifest == NULL) {
        return NGX_CONF_ERROR;
    }

    slcf->settings.manifest = m->manifest;

    /* a route may have a hook of its own */

    smcf->hooks = 1;

    return NGX_CONF_OK;
}


char *
ngx_http_sync_rate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    ngx_str_t          *value, s;
    ngx_uint_t          i;
    sync_settings_t    *st;
    sync_rate_limit_t  *limit;

    st = &slcf->settings;

    if (st->rate_route.n != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    st->rate_route.n = 0;
    st->rate_ip.n = 0;

    if (cf->args->nelts == 2 && ngx_http_sync_is(&value[1], "off")) {
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_http_sync_starts(&value[i], "route=", &s)) {
            limit = &st->rate_route;

        } else if (ngx_http_sync_starts(&value[i], "ip=", &s)) {
            limit = &st->rate_ip;

        } else {
            limit = NULL;
        }

        if (limit == NULL || limit->n
            || ngx_http_sync_rate_parse(limit, &s) != NGX_OK)
        {
            return ngx_http_sync_invalid(cf, cmd, &value[i],
                                         "\"route=60r/m\", \"ip=100r/m\", "
                                         "each once, with \"r/s\" or "
                                         "\"r/m\", or \"off\"");
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sync_rate_parse(sync_rate_limit_t *limit, ngx_str_t *value)
{
    u_char     *p;
    ngx_int_t   n;

    if (value->len < 4) {
        return NGX_ERROR;
    }

    p = value->data + value->len - 3;

    if (ngx_strncmp(p, "r/s", 3) == 0) {
        limit->window = 1000;

    } else if (ngx_strncmp(p, "r/m", 3) == 0) {
        limit->window = 60000;

    } else {
        return NGX_ERROR;
    }

    n = ngx_atoi(value->data, value->len - 3);

    if (n < 1 || n > NGX_HTTP_SYNC_RATE_MAX) {
        return NGX_ERROR;
    }

    limit->n = n;

    return NGX_OK;
}


char *
ngx_http_sync_csrf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    u_char      ch;
    ngx_str_t  *value;
    ngx_uint_t  i;

    if (slcf->csrf.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_sync_is(&value[1], "off")) {
        ngx_str_set(&slcf->csrf, "");
        return NGX_CONF_OK;
    }

    for (i = 0; i < value[1].len; i++) {
        ch = ngx_tolower(value[1].data[i]);

        if ((ch < 'a' || ch > 'z') && (ch < '0' || ch > '9') && ch != '-') {
            break;
        }

        value[1].data[i] = ch;
    }

    if (value[1].len == 0 || i != value[1].len) {
        return ngx_http_sync_invalid(cf, cmd, &value[1],
                                     "a header's name or \"off\"");
    }

    slcf->csrf = value[1];

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_sync_csrf_check(ngx_http_request_t *r, sync_str_t *session)
{
    u_char                     diff, buf[NGX_HTTP_SYNC_CSRF_MAX];
    ngx_str_t                 *value;
    sync_str_t                 want;
    ngx_uint_t                 i;
    sync_json_t                v, o;
    ngx_http_sync_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sync_module);

    if (!ngx_http_sync_csrf_asks(r)
        || sync_filter_value(&o, session) != SYNC_OK
        || sync_json_get(&v, &o, "csrfToken") != SYNC_OK
        || v.type == SYNC_JSON_NULL)
    {
        return NGX_OK;
    }

    if (sync_json_string(&want, &v, buf, sizeof(buf)) != SYNC_OK) {
        return NGX_DECLINED;
    }

    if (want.len == 0) {
        return NGX_OK;
    }

    value = ngx_http_sync_header_in(r, (char *) slcf->csrf.data);

    if (value == NULL || value->len != want.len) {
        return NGX_DECLINED;
    }

    /* it takes as long whichever byte is wrong */

    diff = 0;

    for (i = 0; i < want.len; i++) {
        diff |= want.data[i] ^ value->data[i];
    }

    return diff ? NGX_DECLINED : NGX_OK;
}


ngx_uint_t
ngx_http_sync_csrf_asks(ngx_http_request_t *r)
{
    ngx_http_sync_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sync_module);

    return slcf->csrf.len
           && !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_OPTIONS));
}
