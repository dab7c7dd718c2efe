
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
static char *ngx_http_sync_session_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_session_conf_t *session);
static ngx_int_t ngx_http_sync_session_template(ngx_str_t *text,
    const char *name, sync_str_t *parts);
static ngx_int_t ngx_http_sync_session_per_user(ngx_str_t *s,
    ngx_uint_t *n);


static const char  ngx_http_sync_session_kinds[] = "\"off\", \"memory\", or "
                                           "\"redis\"";


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

    } else if (ngx_http_sync_is(&value[1], "redis")) {
        session->kind = SYNC_SESSION_REDIS;

    } else if (ngx_http_sync_is(&value[1], "hook")) {
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

    if (session->kind == SYNC_SESSION_REDIS) {
        return ngx_http_sync_session_redis(cf, cmd, session);
    }

    return NGX_CONF_OK;
}


/* Sessions under one key have one realm, whatever the location. */

static char *
ngx_http_sync_session_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_session_conf_t *session)
{
    uint32_t                    crc;
    sync_session_conf_t       **p;
    ngx_http_sync_main_conf_t  *smcf;

    if (session->key[0].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"key=\" is missing in \"%V redis\" directive",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    ngx_crc32_init(crc);
    ngx_crc32_update(&crc, session->key[0].data, session->key[0].len);
    ngx_crc32_update(&crc, (u_char *) "", 1);
    ngx_crc32_update(&crc, session->key[1].data, session->key[1].len);
    ngx_crc32_final(crc);

    session->realm = crc | 0x80000000;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sync_module);

    if (smcf->settings.sessions == NULL) {
        smcf->settings.sessions = ngx_array_create(cf->pool, 2,
                                              sizeof(sync_session_conf_t *));
        if (smcf->settings.sessions == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    p = ngx_array_push(smcf->settings.sessions);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    *p = session;

    return NGX_CONF_OK;
}


/* A text with one variable in it, cut at that. */

static ngx_int_t
ngx_http_sync_session_template(ngx_str_t *text, const char *name,
    sync_str_t *parts)
{
    u_char  *p, *last;
    size_t   len;

    len = ngx_strlen(name);
    last = text->data + text->len;

    p = ngx_strlchr(text->data, last, '$');

    if (p == NULL || p == text->data
        || (size_t) (last - p) < len
        || ngx_strncmp(p, name, len) != 0
        || ngx_strlchr(p + 1, last, '$'))
    {
        return NGX_ERROR;
    }

    parts[0].data = text->data;
    parts[0].len = p - text->data;
    parts[1].data = p + len;
    parts[1].len = last - parts[1].data;

    return NGX_OK;
}


static char *
ngx_http_sync_session_parameter(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, sync_session_conf_t *session)
{
    ngx_int_t  n;
    ngx_str_t  s;

    if (session->kind == SYNC_SESSION_REDIS) {

        if (ngx_http_sync_starts(value, "key=", &s)) {

            if (ngx_http_sync_session_template(&s, "$sync_token",
                                               session->key)
                != NGX_OK)
            {
                return ngx_http_sync_invalid(cf, cmd, value,
                                             "\"key=prefix$sync_token\"");
            }

            return NGX_CONF_OK;
        }

        if (ngx_http_sync_starts(value, "users=", &s)) {

            if (ngx_http_sync_session_template(&s, "$sync_user",
                                               session->users)
                != NGX_OK)
            {
                return ngx_http_sync_invalid(cf, cmd, value,
                                             "\"users=prefix$sync_user\"");
            }

            return NGX_CONF_OK;
        }
    }

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
                                 session->kind == SYNC_SESSION_REDIS
                                 ? "\"key=\", \"users=\", \"ttl=time\", or "
                                   "\"per_user=single|multiple[:number]\""
                                 : "\"ttl=time\" or \"per_user=single|"
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
