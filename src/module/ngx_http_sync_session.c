
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>


/* sync_session and sync_token. */


#define NGX_HTTP_SYNC_SESSION_TTL  (7 * 24 * 3600)      /* s */


typedef struct {
    const char           *prefix;
    sync_token_source_e   source;
} ngx_http_sync_source_t;


static char *ngx_http_sync_session_parameter(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *value, sync_session_conf_t *session);
static ngx_int_t ngx_http_sync_session_per_user(ngx_str_t *s,
    ngx_uint_t *n);


static const char  ngx_http_sync_session_kinds[] = "\"off\" or \"memory\"";


static ngx_http_sync_source_t  ngx_http_sync_sources[] = {
    { "cookie:", SYNC_TOKEN_COOKIE },
    { "header:", SYNC_TOKEN_HEADER },
    { "query:", SYNC_TOKEN_QUERY },
    { "auth:", SYNC_TOKEN_AUTH },
    { NULL, SYNC_TOKEN_COOKIE }
};


static sync_session_conf_t  ngx_http_sync_session_off;


char *
ngx_http_sync_session(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    char                 *rv;
    ngx_str_t            *value;
    ngx_uint_t            i;
    sync_session_conf_t  *session;

    if (slcf->settings.session) {
        return "is duplicate";
    }

    session = ngx_pcalloc(cf->pool, sizeof(sync_session_conf_t));
    if (session == NULL) {
        return NGX_CONF_ERROR;
    }

    slcf->settings.session = session;

    session->ttl = NGX_HTTP_SYNC_SESSION_TTL;
    session->per_user = 0;

    value = cf->args->elts;

    if (ngx_http_sync_is(&value[1], "off")) {
        session->kind = SYNC_SESSION_OFF;

        if (cf->args->nelts > 2) {
            return ngx_http_sync_invalid(cf, cmd, &value[2],
                                         "left out after \"off\"");
        }

        return NGX_CONF_OK;
    }

    if (ngx_http_sync_is(&value[1], "memory")) {
        session->kind = SYNC_SESSION_MEMORY;

    } else if (ngx_http_sync_is(&value[1], "redis")
               || ngx_http_sync_is(&value[1], "hook"))
    {
        return ngx_http_sync_unsupported(cf, cmd, &value[1],
                                         ngx_http_sync_session_kinds);

    } else {
        return ngx_http_sync_invalid(cf, cmd, &value[1],
                                     ngx_http_sync_session_kinds);
    }

    for (i = 2; i < cf->args->nelts; i++) {

        rv = ngx_http_sync_session_parameter(cf, cmd, &value[i], session);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sync_session_parameter(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, sync_session_conf_t *session)
{
    ngx_int_t  n;
    ngx_str_t  s;

    if (ngx_http_sync_starts(value, "ttl=", &s)) {
        n = ngx_parse_time(&s, 1);

        if (n < 1 || n > 10 * 365 * 24 * 3600) {
            return ngx_http_sync_invalid(cf, cmd, value,
                                         "\"ttl=time\" from 1s to 10y");
        }

        session->ttl = n;
        return NGX_CONF_OK;
    }

    if (ngx_http_sync_starts(value, "per_user=", &s)) {

        if (ngx_http_sync_session_per_user(&s, &session->per_user)
            != NGX_OK)
        {
            return ngx_http_sync_invalid(cf, cmd, value,
                                         "\"per_user=single\", "
                                         "\"per_user=multiple\", or "
                                         "\"per_user=multiple:number\" up "
                                         "to 1000");
        }

        return NGX_CONF_OK;
    }

    return ngx_http_sync_invalid(cf, cmd, value,
                                 "\"ttl=time\" or \"per_user=single|"
                                 "multiple[:number]\"");
}


static ngx_int_t
ngx_http_sync_session_per_user(ngx_str_t *s, ngx_uint_t *n)
{
    ngx_int_t  max;
    ngx_str_t  text;

    if (ngx_http_sync_is(s, "single")) {
        *n = 1;
        return NGX_OK;
    }

    if (ngx_http_sync_is(s, "multiple")) {
        *n = 0;
        return NGX_OK;
    }

    if (!ngx_http_sync_starts(s, "multiple:", &text)) {
        return NGX_ERROR;
    }

    max = ngx_atoi(text.data, text.len);

    if (max < 1 || max > 1000) {
        return NGX_ERROR;
    }

    *n = max;

    return NGX_OK;
}


char *
ngx_http_sync_token(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    ngx_str_t               *value, name;
    ngx_uint_t               i;
    sync_token_conf_t       *token;
    ngx_http_sync_source_t  *source;

    if (slcf->settings.tokens) {
        return "is duplicate";
    }

    slcf->settings.tokens = ngx_array_create(cf->pool, cf->args->nelts,
                                             sizeof(sync_token_conf_t));
    if (slcf->settings.tokens == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (source = ngx_http_sync_sources; source->prefix; source++) {

            if (ngx_http_sync_starts(&value[i], source->prefix, &name)) {
                break;
            }
        }

        if (source->prefix == NULL || name.len == 0) {
            return ngx_http_sync_invalid(cf, cmd, &value[i],
                                         "\"cookie:name\", \"header:name\", "
                                         "\"query:name\", or "
                                         "\"auth:name\"");
        }

        token = ngx_array_push(slcf->settings.tokens);
        if (token == NULL) {
            return NGX_CONF_ERROR;
        }

        token->source = source->source;
        token->name.data = name.data;
        token->name.len = name.len;

        if (token->source == SYNC_TOKEN_HEADER) {
            ngx_strlow(name.data, name.data, name.len);
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_sync_merge_session(ngx_conf_t *cf, ngx_http_sync_loc_conf_t *prev,
    ngx_http_sync_loc_conf_t *conf)
{
    sync_settings_t  *s, *ps;

    s = &conf->settings;
    ps = &prev->settings;

    if (s->session == NULL) {
        s->session = ps->session ? ps->session : &ngx_http_sync_session_off;
    }

    if (s->tokens == NULL) {
        s->tokens = ps->tokens;
    }

    if (s->session->kind != SYNC_SESSION_OFF
        && s->tokens == NULL
        && (conf->handler == ngx_http_sync_websocket_handler
            || conf->handler == ngx_http_sync_sse_handler
            || conf->handler == ngx_http_sync_socketio_handler))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"sync_session\" requires \"sync_token\" where "
                           "clients connect");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
