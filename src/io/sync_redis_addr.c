
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_redis_addr.h>


static void sync_redis_addr_handler(ngx_resolver_ctx_t *ctx);
static ngx_int_t sync_redis_addr_copy(sync_redis_addr_t *a,
    ngx_resolver_ctx_t *ctx);


void
sync_redis_addr_init(sync_redis_addr_t *a, sync_redis_conf_t *conf,
    sync_redis_url_t *url, void (*handler)(void *data), void *data)
{
    a->conf = conf;
    a->url = url;
    a->handler = handler;
    a->data = data;
    a->resolving = NULL;
    a->addrs = url->addrs;
    a->naddrs = url->naddrs;
    a->next = 0;
}


void
sync_redis_addr_done(sync_redis_addr_t *a)
{
    sync_redis_addr_cancel(a);

    if (a->addrs != a->url->addrs) {
        ngx_free(a->addrs);
    }
}


void
sync_redis_addr_resolve(sync_redis_addr_t *a)
{
    ngx_resolver_ctx_t  *ctx, temp;

    if (a->url->host.len == 0 || a->conf->resolver == NULL) {
        a->handler(a->data);
        return;
    }

    ngx_memzero(&temp, sizeof(ngx_resolver_ctx_t));
    temp.name = a->url->host;

    ctx = ngx_resolve_start(a->conf->resolver, &temp);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        a->handler(a->data);
        return;
    }

    ctx->name = a->url->host;
    ctx->handler = sync_redis_addr_handler;
    ctx->data = a;
    ctx->timeout = a->conf->resolver_timeout;

    a->resolving = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        a->resolving = NULL;
        a->handler(a->data);
    }
}


void
sync_redis_addr_cancel(sync_redis_addr_t *a)
{
    if (a->resolving) {
        ngx_resolve_name_done(a->resolving);
        a->resolving = NULL;
    }
}


ngx_addr_t *
sync_redis_addr_next(sync_redis_addr_t *a)
{
    return a->naddrs ? &a->addrs[a->next++ % a->naddrs] : NULL;
}


static void
sync_redis_addr_handler(ngx_resolver_ctx_t *ctx)
{
    sync_redis_addr_t  *a;

    a = ctx->data;

    if (ctx->state) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "redis %V: \"%V\" could not be resolved (%i: %s)",
                      &a->url->name, &ctx->name, ctx->state,
                      ngx_resolver_strerror(ctx->state));

    } else if (sync_redis_addr_copy(a, ctx) != SYNC_OK) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "redis %V: no memory for addresses", &a->url->name);
    }

    ngx_resolve_name_done(ctx);
    a->resolving = NULL;

    a->handler(a->data);
}


static ngx_int_t
sync_redis_addr_copy(sync_redis_addr_t *a, ngx_resolver_ctx_t *ctx)
{
    size_t       size;
    u_char      *p;
    ngx_uint_t   i;
    ngx_addr_t  *addrs;

    size = ctx->naddrs * (sizeof(ngx_addr_t) + sizeof(ngx_sockaddr_t));

    p = ngx_calloc(size, ngx_cycle->log);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    addrs = (ngx_addr_t *) p;
    p += ctx->naddrs * sizeof(ngx_addr_t);

    for (i = 0; i < ctx->naddrs; i++) {
        addrs[i].sockaddr = (struct sockaddr *) p;
        addrs[i].socklen = ctx->addrs[i].socklen;
        addrs[i].name = a->url->name;

        ngx_memcpy(p, ctx->addrs[i].sockaddr, addrs[i].socklen);
        ngx_inet_set_port(addrs[i].sockaddr, a->url->port);

        p += sizeof(ngx_sockaddr_t);
    }

    if (a->addrs != a->url->addrs) {
        ngx_free(a->addrs);
    }

    a->addrs = addrs;
    a->naddrs = ctx->naddrs;

    return SYNC_OK;
}
