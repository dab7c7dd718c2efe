
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REDIS_TLS_H_INCLUDED_
#define _SYNC_REDIS_TLS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_redis_addr.h>


/*
 * TLS of a link to Redis, by nginx's own means: a connection that is secured
 * reads and writes by c->recv and c->send as any other does.
 *
 * Unless verify is off, the server's certificate must be good for the host of
 * its URL, a name or an address, by the authorities of ca or of the system.
 */


/* Once the configuration is read.  Returns NGX_OK or NGX_ERROR, logged. */
ngx_int_t sync_redis_tls_init(ngx_conf_t *cf, sync_redis_conf_t *conf);

/*
 * Begins a handshake on a connection that stands.  Returns NGX_OK if it is
 * over; NGX_AGAIN: the handler will be called then, and the handlers of the
 * connection's events are to be set again; or NGX_ERROR.
 */
ngx_int_t sync_redis_tls_begin(ngx_connection_t *c, sync_redis_conf_t *conf,
    sync_redis_url_t *url, void (*handler)(ngx_connection_t *c));

/*
 * What went wrong with the handshake, or with who is there; or NULL.  Nothing
 * must be said to the server before.
 */
const char *sync_redis_tls_error(ngx_connection_t *c, sync_redis_conf_t *conf);

/* Closes a connection, secured or not. */
void sync_redis_tls_close(ngx_connection_t *c);


#endif /* _SYNC_REDIS_TLS_H_INCLUDED_ */
