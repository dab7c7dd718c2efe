
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>
#include <sync_redis.h>
#include <sync_redis_tls.h>


#define NGX_HTTP_SYNC_REDIS_PORT        6379
#define NGX_HTTP_SYNC_REDIS_DB_MAX      65535
#define NGX_HTTP_SYNC_REDIS_PREFIX_MAX  64      /* bytes */

#define NGX_HTTP_SYNC_REDIS_URL                                               \
    "redis[s]://[[user]:password@]host[:port][/database] or unix:path"


typedef struct {
    const char  *scheme;
    const char  *what;
} ngx_http_sync_redis_scheme_t;


static sync_redis_url_t *ngx_http_sync_redis_tls(sync_redis_conf_t *conf);
static char *ngx_http_sync_redis_ca(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, sync_redis_conf_t *conf);
static char *ngx_http_sync_redis_verify(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, sync_redis_conf_t *conf);
static char *ngx_http_sync_redis_url(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_redis_conf_t *conf, ngx_str_t *value);
static char *ngx_http_sync_redis_unix(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_redis_url_t *url, ngx_str_t *value);
static char *ngx_http_sync_redis_tcp(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_redis_url_t *url, ngx_str_t *value);
static char *ngx_http_sync_redis_user(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_redis_url_t *url, ngx_str_t *value);
static char *ngx_http_sync_redis_host(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_redis_url_t *url, ngx_str_t *value);
static ngx_int_t ngx_http_sync_redis_unescape(ngx_conf_t *cf, ngx_str_t *s);
static ngx_int_t ngx_http_sync_redis_server(ngx_conf_t *cf,
    sync_redis_url_t *url, ngx_str_t *host);
static ngx_int_t ngx_http_sync_redis_name(ngx_conf_t *cf,
    sync_redis_url_t *url, ngx_str_t *host);
static char *ngx_http_sync_redis_time(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_msec_t *time);
static char *ngx_http_sync_redis_prefix(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *prefix);
static char *ngx_http_sync_redis_bad(ngx_conf_t *cf, ngx_command_t *cmd,
    const char *part, ngx_str_t *value, const char *allowed);


/* what is known by name, and not to be had */

static const ngx_http_sync_redis_scheme_t  ngx_http_sync_redis_schemes[] = {
    { "redis+sentinel:", "Redis Sentinel" },
    { "redis-sentinel:", "Redis Sentinel" },
    { "sentinel:", "Redis Sentinel" },
    { "redis+cluster:", "Redis Cluster" },
    { "redis-cluster:", "Redis Cluster" },
    { "cluster:", "Redis Cluster" },
    { NULL, NULL }
};


char *
ngx_http_sync_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_main_conf_t  *smcf = conf;

    char               *rv;
    ngx_str_t          *value, text;
    ngx_uint_t          i;
    sync_redis_conf_t  *redis;

    if (smcf->settings.redis) {
        return "is duplicate";
    }

    redis = ngx_pcalloc(cf->pool, sizeof(sync_redis_conf_t));
    if (redis == NULL) {
        return NGX_CONF_ERROR;
    }

    redis->urls = ngx_array_create(cf->pool, 2, sizeof(sync_redis_url_t));
    if (redis->urls == NULL) {
        return NGX_CONF_ERROR;
    }

    redis->connect_timeout = NGX_CONF_UNSET_MSEC;
    redis->timeout = NGX_CONF_UNSET_MSEC;
    redis->verify = NGX_CONF_UNSET;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_http_sync_starts(&value[i], "prefix=", &text)) {
            rv = ngx_http_sync_redis_prefix(cf, cmd, &text, &redis->prefix);

        } else if (ngx_http_sync_starts(&value[i], "connect_timeout=", &text))
        {
            rv = ngx_http_sync_redis_time(cf, cmd, &value[i], &text,
                                          &redis->connect_timeout);

        } else if (ngx_http_sync_starts(&value[i], "timeout=", &text)) {
            rv = ngx_http_sync_redis_time(cf, cmd, &value[i], &text,
                                          &redis->timeout);

        } else if (ngx_http_sync_starts(&value[i], "ca=", &text)) {
            rv = ngx_http_sync_redis_ca(cf, cmd, &value[i], &text, redis);

        } else if (ngx_http_sync_starts(&value[i], "verify=", &text)) {
            rv = ngx_http_sync_redis_verify(cf, cmd, &value[i], &text, redis);

        } else {
            rv = ngx_http_sync_redis_url(cf, cmd, redis, &value[i]);
        }

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (redis->urls->nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no Redis in \"%V\" directive, there must be "
                           "at least one " NGX_HTTP_SYNC_REDIS_URL,
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (redis->prefix.len == 0) {
        ngx_str_set(&redis->prefix, "sync");
    }

    if (ngx_http_sync_redis_tls(redis) == NULL
        && (redis->ca.len || redis->verify != NGX_CONF_UNSET))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ca=\" and \"verify=\" in \"%V\" directive are "
                           "for \"rediss://\"", &cmd->name);
        return NGX_CONF_ERROR;
    }

    ngx_conf_init_value(redis->verify, 1);
    ngx_conf_init_msec_value(redis->connect_timeout, 2000);
    ngx_conf_init_msec_value(redis->timeout, 2000);

    redis->file = cf->conf_file->file.name;
    redis->line = cf->conf_file->line;

    smcf->settings.redis = redis;

    return NGX_CONF_OK;
}


/* The first URL that has TLS, or NULL. */

static sync_redis_url_t *
ngx_http_sync_redis_tls(sync_redis_conf_t *conf)
{
    ngx_uint_t         i;
    sync_redis_url_t  *url;

    url = conf->urls->elts;

    for (i = 0; i < conf->urls->nelts; i++) {
        if (url[i].server.len) {
            return &url[i];
        }
    }

    return NULL;
}


static char *
ngx_http_sync_redis_ca(ngx_conf_t *cf, ngx_command_t *cmd, ngx_str_t *value,
    ngx_str_t *text, sync_redis_conf_t *conf)
{
    if (conf->ca.len) {
        return "has a duplicate parameter";
    }

    if (text->len == 0) {
        return ngx_http_sync_invalid(cf, cmd, value, "\"ca=file\"");
    }

    conf->ca = *text;

    return NGX_CONF_OK;
}


static char *
ngx_http_sync_redis_verify(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, sync_redis_conf_t *conf)
{
    if (conf->verify != NGX_CONF_UNSET) {
        return "has a duplicate parameter";
    }

    if (ngx_http_sync_is(text, "on")) {
        conf->verify = 1;

    } else if (ngx_http_sync_is(text, "off")) {
        conf->verify = 0;

    } else {
        return ngx_http_sync_invalid(cf, cmd, value,
                                     "\"verify=on\" or \"verify=off\"");
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sync_redis_url(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_redis_conf_t *conf, ngx_str_t *value)
{
    char                                *rv;
    ngx_str_t                            rest;
    ngx_uint_t                           i;
    sync_redis_url_t                    *url, *other;
    const ngx_http_sync_redis_scheme_t  *s;

    for (s = ngx_http_sync_redis_schemes; s->scheme; s++) {

        if (ngx_http_sync_starts(value, s->scheme, &rest)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "%s (\"%s\") in \"%V\" directive is not "
                               "supported by this version, it must be "
                               NGX_HTTP_SYNC_REDIS_URL,
                               s->what, s->scheme, &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    if (conf->urls->nelts == SYNC_REDIS_SHARDS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many Redis servers in \"%V\" directive, "
                           "there may be %d", &cmd->name,
                           SYNC_REDIS_SHARDS_MAX);
        return NGX_CONF_ERROR;
    }

    url = ngx_array_push(conf->urls);
    if (url == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(url, sizeof(sync_redis_url_t));

    if (ngx_http_sync_starts(value, "redis://", &rest)) {
        rv = ngx_http_sync_redis_tcp(cf, cmd, url, &rest);

    } else if (ngx_http_sync_starts(value, "rediss://", &rest)) {
        url->server.len = 1;    /* set with the host */
        rv = ngx_http_sync_redis_tcp(cf, cmd, url, &rest);

    } else if (ngx_http_sync_starts(value, "unix:", &rest)) {
        rv = ngx_http_sync_redis_unix(cf, cmd, url, value);

    } else {

        /* whatever it is, it may hold a password */

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter in \"%V\" directive, it must "
                           "be " NGX_HTTP_SYNC_REDIS_URL ", \"prefix=\", "
                           "\"connect_timeout=\", \"timeout=\", \"ca=\", or "
                           "\"verify=\"",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    other = conf->urls->elts;

    for (i = 0; i < conf->urls->nelts - 1; i++) {

        if (other[i].name.len == url->name.len
            && ngx_memcmp(other[i].name.data, url->name.data, url->name.len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate Redis \"%V\" in \"%V\" directive",
                               &url->name, &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sync_redis_unix(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_redis_url_t *url, ngx_str_t *value)
{
    ngx_url_t  u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = *value;

    if (value->len == 5 || ngx_parse_url(cf->pool, &u) != NGX_OK) {
        return ngx_http_sync_redis_bad(cf, cmd, "socket", value,
                                       "the path of a socket, \"unix:/...\"");
    }

    url->name = *value;
    url->addrs = u.addrs;
    url->naddrs = u.naddrs;

    return NGX_CONF_OK;
}


/* What follows "redis://" or "rediss://". */

static char *
ngx_http_sync_redis_tcp(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_redis_url_t *url, ngx_str_t *value)
{
    char       *rv;
    u_char     *p, *at, *last;
    ngx_int_t   n;
    ngx_str_t   user, host, db;

    last = value->data + value->len;

    /* a password may hold anything, the rest holds no "@" */

    for (at = last; at > value->data && at[-1] != '@'; at--) { /* void */ }

    if (at > value->data) {
        user.data = value->data;
        user.len = at - 1 - value->data;

        rv = ngx_http_sync_redis_user(cf, cmd, url, &user);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    host.data = at;
    host.len = last - at;

    p = ngx_strlchr(at, last, '/');

    if (p) {
        host.len = p - at;

        db.data = p + 1;
        db.len = last - db.data;

        n = db.len ? ngx_atoi(db.data, db.len) : 0;

        if (n == NGX_ERROR || n > NGX_HTTP_SYNC_REDIS_DB_MAX) {
            return ngx_http_sync_redis_bad(cf, cmd, "database", &db,
                                           "a number from 0 to 65535");
        }

        url->db = n;
    }

    return ngx_http_sync_redis_host(cf, cmd, url, &host);
}


/* "[user]:password", each with %XX for what an URL may not hold. */

static char *
ngx_http_sync_redis_user(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_redis_url_t *url, ngx_str_t *value)
{
    u_char  *p, *last;

    last = value->data + value->len;

    p = ngx_strlchr(value->data, last, ':');

    if (p == NULL || p + 1 == last) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no password before \"@\" in \"%V\" directive, it "
                           "must be " NGX_HTTP_SYNC_REDIS_URL, &cmd->name);
        return NGX_CONF_ERROR;
    }

    url->user.data = value->data;
    url->user.len = p - value->data;

    url->password.data = p + 1;
    url->password.len = last - url->password.data;

    if (ngx_http_sync_redis_unescape(cf, &url->user) != NGX_OK) {
        return ngx_http_sync_redis_bad(cf, cmd, "user", &url->user,
                                       "a name, with %XX for \":\", \"@\", "
                                       "\"/\" and \"%\"");
    }

    if (ngx_http_sync_redis_unescape(cf, &url->password) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid password in \"%V\" directive, a \"%%\" "
                           "in it must be followed by two hexadecimal "
                           "digits", &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sync_redis_unescape(ngx_conf_t *cf, ngx_str_t *s)
{
    u_char     *p, *dst, *last;
    ngx_int_t   n;

    if (s->len == 0) {
        return NGX_OK;
    }

    dst = ngx_pnalloc(cf->pool, s->len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    last = s->data + s->len;
    p = s->data;

    s->data = dst;

    while (p < last) {

        if (*p != '%') {
            *dst++ = *p++;
            continue;
        }

        n = (last - p > 2) ? ngx_hextoi(p + 1, 2) : NGX_ERROR;

        if (n == NGX_ERROR) {
            s->len = dst - s->data;
            return NGX_ERROR;
        }

        *dst++ = (u_char) n;
        p += 3;
    }

    s->len = dst - s->data;

    return NGX_OK;
}


static char *
ngx_http_sync_redis_host(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_redis_url_t *url, ngx_str_t *value)
{
    u_char      ch;
    ngx_url_t   u;
    ngx_uint_t  i;

    for (i = 0; i < value->len; i++) {
        ch = value->data[i];

        if (ch <= ' ' || ch == ',' || ch == '?' || ch == '#' || ch == 0x7f) {
            return ngx_http_sync_redis_bad(cf, cmd, "host", value,
                                           NGX_HTTP_SYNC_REDIS_URL);
        }
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = *value;
    u.default_port = NGX_HTTP_SYNC_REDIS_PORT;
    u.no_resolve = 1;

    if (value->len == 0
        || (value->len > 4 && ngx_strncasecmp(value->data,
                                              (u_char *) "unix:", 5) == 0)
        || ngx_parse_url(cf->pool, &u) != NGX_OK)
    {
        return ngx_http_sync_redis_bad(cf, cmd, u.err ? u.err : "host",
                                       value, NGX_HTTP_SYNC_REDIS_URL);
    }

    url->port = u.port;

    if (u.naddrs) {
        url->addrs = u.addrs;
        url->naddrs = u.naddrs;

    } else {
        url->host = u.host;
    }

    if (url->server.len
        && ngx_http_sync_redis_server(cf, url, &u.host) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_sync_redis_name(cf, url, &u.host) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Whose certificate it must be; an address is one without its brackets. */

static ngx_int_t
ngx_http_sync_redis_server(ngx_conf_t *cf, sync_redis_url_t *url,
    ngx_str_t *host)
{
    ngx_str_t  name;

    name = *host;

    if (name.len > 2 && name.data[0] == '[') {
        name.data++;
        name.len -= 2;
    }

    url->server.len = name.len;
    url->server.data = ngx_pnalloc(cf->pool, name.len + 1);

    if (url->server.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(url->server.data, name.data, name.len + 1);

    url->numeric = (url->naddrs != 0);

    return NGX_OK;
}


/* "host:port", and "/database" if it is not the first one. */

static ngx_int_t
ngx_http_sync_redis_name(ngx_conf_t *cf, sync_redis_url_t *url,
    ngx_str_t *host)
{
    u_char  *p;

    p = ngx_pnalloc(cf->pool, host->len + 2 * NGX_INT_T_LEN + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    url->name.data = p;

    p = ngx_sprintf(p, "%V:%ui", host, (ngx_uint_t) url->port);

    if (url->db) {
        p = ngx_sprintf(p, "/%ui", url->db);
    }

    url->name.len = p - url->name.data;

    return NGX_OK;
}


static char *
ngx_http_sync_redis_time(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *text, ngx_msec_t *time)
{
    ngx_int_t  n;

    if (*time != NGX_CONF_UNSET_MSEC) {
        return "has a duplicate parameter";
    }

    n = ngx_parse_time(text, 0);

    if (n < 10 || n > 3600 * 1000) {
        return ngx_http_sync_invalid(cf, cmd, value,
                                     "a time from 10ms to 1h");
    }

    *time = n;

    return NGX_CONF_OK;
}


/* It begins keys and channels, and is no part of a pattern. */

static char *
ngx_http_sync_redis_prefix(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *prefix)
{
    u_char      ch;
    ngx_uint_t  i;

    if (prefix->len) {
        return "has a duplicate parameter";
    }

    if (value->len == 0 || value->len > NGX_HTTP_SYNC_REDIS_PREFIX_MAX) {
        goto invalid;
    }

    for (i = 0; i < value->len; i++) {
        ch = value->data[i];

        if (!(ch >= 'a' && ch <= 'z') && !(ch >= 'A' && ch <= 'Z')
            && !(ch >= '0' && ch <= '9') && ch != '-' && ch != '_'
            && ch != '.' && ch != ':')
        {
            goto invalid;
        }
    }

    *prefix = *value;

    return NGX_CONF_OK;

invalid:

    return ngx_http_sync_redis_bad(cf, cmd, "prefix", value,
                                   "1 to 64 letters, digits, \"-\", \"_\", "
                                   "\".\" and \":\"");
}


static char *
ngx_http_sync_redis_bad(ngx_conf_t *cf, ngx_command_t *cmd,
    const char *part, ngx_str_t *value, const char *allowed)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid %s \"%V\" in \"%V\" directive, it must be %s",
                       ngx_strncmp(part, "invalid ", 8) == 0 ? part + 8
                                                             : part,
                       value, &cmd->name, allowed);

    return NGX_CONF_ERROR;
}


/*
 * Names are resolved when all is read: a resolver may come after sync_redis,
 * and makes up for a name that leads nowhere yet.
 */

ngx_int_t
ngx_http_sync_redis_init(ngx_conf_t *cf, ngx_http_sync_main_conf_t *smcf)
{
    ngx_url_t                  u;
    ngx_uint_t                 i, level;
    sync_redis_url_t          *url;
    sync_redis_conf_t         *redis;
    ngx_http_core_loc_conf_t  *clcf;

    redis = smcf->settings.redis;

    if (redis == NULL) {
        return NGX_OK;
    }

    if (ngx_http_sync_redis_tls(redis)
        && sync_redis_tls_init(cf, redis) != NGX_OK)
    {
        return NGX_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->resolver && clcf->resolver->connections.nelts) {
        redis->resolver = clcf->resolver;
        redis->resolver_timeout = clcf->resolver_timeout;
    }

    url = redis->urls->elts;

    for (i = 0; i < redis->urls->nelts; i++) {

        if (url[i].host.len == 0) {
            continue;
        }

        ngx_memzero(&u, sizeof(ngx_url_t));

        u.url = url[i].host;
        u.default_port = url[i].port;

        if (ngx_parse_url(cf->pool, &u) == NGX_OK) {
            url[i].addrs = u.addrs;
            url[i].naddrs = u.naddrs;
            continue;
        }

        level = redis->resolver ? NGX_LOG_WARN : NGX_LOG_EMERG;

        ngx_log_error(level, cf->log, 0,
                      "%s \"%V\" of \"sync_redis\" directive in %V:%ui",
                      u.err ? u.err : "cannot resolve", &url[i].host,
                      &redis->file, redis->line);

        if (redis->resolver == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
