
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_POLL_CLIENT_H_INCLUDED_
#define _SYNC_POLL_CLIENT_H_INCLUDED_


#include <sync_eio_client.h>


/*
 * Engine.IO by long polling.
 *
 *     handshake --> a session in the zone, its client in this worker
 *     GET       --> is answered when the session has something to say
 *     POST      --> its packets are put into the session
 *
 * GET and POST may come to any worker; the client has no connection, and its
 * output is put into the session a chunk at a time, when a poll waits.
 *
 * What is called for a request returns what a content handler does; a status
 * below NGX_HTTP_SPECIAL_RESPONSE means an error that is to be told in JSON:
 * SYNC_POLL_UNKNOWN or SYNC_POLL_BAD.  Headers are the caller's, but for
 * Content-Type and Cache-Control.
 */


#define SYNC_POLL_UNKNOWN  1            /* Session ID unknown */
#define SYNC_POLL_BAD      3            /* Bad request */


/* Opens a session. */
ngx_int_t sync_poll_client_handshake(ngx_http_request_t *r,
    sync_client_conf_t *conf, uint32_t endpoint);

/*
 * A poll.  What is found out later goes through error(), which makes of it
 * what the request is to be finalized with.
 */
typedef ngx_int_t (*sync_poll_error_pt)(ngx_http_request_t *r, ngx_int_t rc);

ngx_int_t sync_poll_client_get(ngx_http_request_t *r,
    sync_client_conf_t *conf, const u_char *id, uint32_t endpoint,
    sync_poll_error_pt error);

/*
 * A payload, when its body was read.
 */
ngx_int_t sync_poll_client_post(ngx_http_request_t *r,
    sync_client_conf_t *conf, const u_char *id, uint32_t endpoint);

void sync_poll_client_init_worker(void);

/* Looks at the sessions that there are news of; for a worker's look. */
void sync_poll_client_look(void);

/*
 * The worker is about to exit: the polls it holds are answered, and others
 * that hold polls of its sessions are told.
 */
void sync_poll_client_exiting(void);

/* Of this worker: polls that are held or being answered. */
ngx_uint_t sync_poll_client_polls(void);


#endif /* _SYNC_POLL_CLIENT_H_INCLUDED_ */
