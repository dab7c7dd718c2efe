
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REDIS_ADDR_H_INCLUDED_
#define _SYNC_REDIS_ADDR_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_base.h>


/* One URL of sync_redis. */

typedef struct {
    ngx_str_t            name;          /* without a password: for logs */
    ngx_str_t            host;          /* a name to resolve; or len 0 */
    ngx_str_t            user;
    ngx_str_t            password;
    ngx_addr_t          *addrs;         /* from the configuration */
    ngx_uint_t           naddrs;
    ngx_uint_t           db;
    ngx_str_t            server;        /* of TLS, with a null; or len 0 */
    ngx_uint_t           numeric;       /* that is an address */
    in_port_t            port;
} sync_redis_url_t;


typedef struct {
    ngx_array_t         *urls;          /* of sync_redis_url_t */
    ngx_str_t            prefix;        /* of our own keys and channels */
    ngx_msec_t           connect_timeout;
    ngx_msec_t           timeout;       /* of a command */
    ngx_ssl_t           *ssl;           /* NULL: no URL has TLS */
    ngx_str_t            ca;            /* a file; of no bytes: the system's */
    ngx_flag_t           verify;
    ngx_resolver_t      *resolver;      /* NULL: there is none */
    ngx_msec_t           resolver_timeout;
    ngx_str_t            file;          /* where it is configured */
    ngx_uint_t           line;
} sync_redis_conf_t;


/*
 * Where a Redis is.  A name is resolved when the configuration is read, and
 * again before each attempt to connect if there is a resolver in http{}; what
 * it said last goes on to do if it fails.
 */

typedef struct {
    sync_redis_conf_t   *conf;
    sync_redis_url_t    *url;
    void               (*handler)(void *data);
    void                *data;
    ngx_resolver_ctx_t  *resolving;
    ngx_addr_t          *addrs;         /* ours, or the URL's */
    ngx_uint_t           naddrs;
    ngx_uint_t           next;
} sync_redis_addr_t;


void sync_redis_addr_init(sync_redis_addr_t *a, sync_redis_conf_t *conf,
    sync_redis_url_t *url, void (*handler)(void *data), void *data);
void sync_redis_addr_done(sync_redis_addr_t *a);

/* The handler is called when addresses are there, maybe from within. */
void sync_redis_addr_resolve(sync_redis_addr_t *a);
void sync_redis_addr_cancel(sync_redis_addr_t *a);

/* Each time the next one, borrowed until the next resolve; NULL: none. */
ngx_addr_t *sync_redis_addr_next(sync_redis_addr_t *a);


#endif /* _SYNC_REDIS_ADDR_H_INCLUDED_ */
