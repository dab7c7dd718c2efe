
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_CONNECT_H_INCLUDED_
#define _SYNC_CONNECT_H_INCLUDED_


#include <sync_settings.h>


/*
 * A client's way in and out.
 *
 *     request --> connect hook --> handshake --> record, rooms, "connected"
 *                    `-- stop: its status
 *     closed  --> rooms left, record removed, disconnect hook
 */


/*
 * Content handlers of `sync websocket` and `sync sse`, origin checked.  They
 * return what a content handler does.  An SSE request takes its channels
 * from the query (channels, userId), percent-encoded, separated by commas.
 */
ngx_int_t sync_connect_websocket(ngx_http_request_t *r, sync_settings_t *s);
ngx_int_t sync_connect_sse(ngx_http_request_t *r, sync_settings_t *s);

/* What transports call; for sync_client_conf_t.handler. */
extern const sync_client_handler_t  sync_connect_handler;

/* Takes a client out: of its rooms, of the registry; its calls are dropped. */
void sync_connect_closed(sync_client_t *c);

/* The id, as text, of the client that a request became; or NULL. */
sync_str_t *sync_connect_id(ngx_http_request_t *r);


#endif /* _SYNC_CONNECT_H_INCLUDED_ */
