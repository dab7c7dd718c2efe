
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>
#include <sync_session_store.h>


/* sync_session and sync_token. */


#define NGX_HTTP_SYNC_SESSION_TTL    (7 * 24 * 3600)    /* s */
#define NGX_HTTP_SYNC_SESSION_KEPT   3600               /* s, of a hook's */
#define NGX_HTTP_SYNC_SESSION_CACHE  60                 /* s */


typedef struct {
    const char           *prefix;
    sync_token_source_e   source;
} ngx_http_sync_source_t;


static char *ngx_http_sync_session_parameter(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *value, sync_session_conf_t *session);
static char *ngx_http_sync_session_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_session_conf_t *session);
static char *ngx_http_sync_session_hook(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_session_conf_t *session);
static ngx_int_t ngx_http_sync_session_template(ngx_str_t *text,
    const char *name, sync_str_t *parts);
static ngx_int_t ngx_http_sync_session_per_user(ngx_str_t *s,
    ngx_uint_t *n);
static ngx_int_t ngx_http_sync_session_server(ngx_conf_t *cf,
    sync_settings_t *s);


static const char  ngx_http_sync_session_kinds[] =
    "\"off\", \"memory\", \"redis\", or \"hook\"";


static const char  *ngx_http_sync_session_allowed[SYNC_SESSION_KINDS] = {
    NULL,
    "\"ttl=time\" or \"per_user=single|multiple[:number]\"",
    "\"key=\", \"users=\", \"ttl=time\", or "
    "\"per_user=single|multiple[:number]\"",
    "\"cache=time\", \"ttl=time\", or "
    "\"per_user=single|multiple[:number]\""
};


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
    ngx_uint_t            i, first;
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
        session->kind = SYNC_SESSION_HOOK;

    } else {
        return ngx_http_sync_invalid(cf, cmd, &value[1],
                                     ngx_http_sync_session_kinds);
    }

    first = 2;

    if (session->kind == SYNC_SESSION_HOOK) {
        rv = ngx_http_sync_session_hook(cf, cmd, session);

        if (rv != NGX_CONF_OK) {
            return rv;
        }

        first = 3;
    }

    for (i = first; i < cf->args->nelts; i++) {

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


static char *
ngx_http_sync_session_hook(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_session_conf_t *session)
{
    ngx_str_t                  *value, none;
    ngx_http_sync_main_conf_t  *smcf;

    ngx_str_null(&none);

    value = cf->args->elts;
    value = (cf->args->nelts > 2) ? &value[2] : &none;

    if (value->len == 0 || value->data[0] != '/'
        || ngx_strlchr(value->data, value->data + value->len, '?'))
    {
        return ngx_http_sync_invalid(cf, cmd, value,
                                     "the path of an internal location, "
                                     "\"/...\"");
    }

    session->uri = *value;
    session->ttl = NGX_HTTP_SYNC_SESSION_KEPT;
    session->cache = NGX_HTTP_SYNC_SESSION_CACHE;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sync_module);
    smcf->hooks = 1;

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

    session->realm = (crc & ~SYNC_SESSION_ASKED) | SYNC_SESSION_KEPT;

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

    if (session->kind == SYNC_SESSION_HOOK
        && ngx_http_sync_starts(value, "cache=", &s))
    {
        n = ngx_parse_time(&s, 1);

        if (n < 1 || n > 24 * 3600) {
            return ngx_http_sync_invalid(cf, cmd, value,
                                         "\"cache=time\" from 1s to 1d");
        }

        session->cache = n;
        return NGX_CONF_OK;
    }

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
                            ngx_http_sync_session_allowed[session->kind]);
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

    if (s->session->kind == SYNC_SESSION_HOOK
        && ngx_http_sync_session_server(cf, s) != NGX_OK)
    {
        return NGX_CONF_ERROR;
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


/*
 * A hook is a server's own: what one app says of a token is not another's
 * word.  What is set for all servers is parted here.  The realm is the same
 * after a reload.
 */

static ngx_int_t
ngx_http_sync_session_server(ngx_conf_t *cf, sync_settings_t *s)
{
    uint32_t                     crc;
    ngx_uint_t                   i, n;
    sync_session_conf_t         *session, **p;
    ngx_http_core_srv_conf_t    *cscf, **servers;
    ngx_http_core_main_conf_t   *cmcf;

    if (s->session->settings) {

        if (s->session->settings->client.ctx == s->client.ctx) {
            return NGX_OK;
        }

        session = ngx_palloc(cf->pool, sizeof(sync_session_conf_t));
        if (session == NULL) {
            return NGX_ERROR;
        }

        *session = *s->session;
        s->session = session;
    }

    session = s->session;
    session->settings = s;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    servers = cmcf->servers.elts;
    n = 0;

    for (i = 0; i < cmcf->servers.nelts && servers[i] != cscf; i++) {

        if (servers[i]->server_name.len == cscf->server_name.len
            && ngx_memcmp(servers[i]->server_name.data,
                          cscf->server_name.data, cscf->server_name.len)
               == 0)
        {
            n++;
        }
    }

    ngx_crc32_init(crc);
    ngx_crc32_update(&crc, session->uri.data, session->uri.len);
    ngx_crc32_update(&crc, (u_char *) "", 1);
    ngx_crc32_update(&crc, cscf->server_name.data, cscf->server_name.len);
    ngx_crc32_update(&crc, (u_char *) &n, sizeof(ngx_uint_t));
    ngx_crc32_final(crc);

    session->realm = (crc & ~SYNC_SESSION_KEPT) | SYNC_SESSION_ASKED;

    if (s->main->asked == NULL) {
        s->main->asked = ngx_array_create(cf->pool, 2,
                                          sizeof(sync_session_conf_t *));
        if (s->main->asked == NULL) {
            return NGX_ERROR;
        }
    }

    p = ngx_array_push(s->main->asked);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *p = session;

    return NGX_OK;
}
