
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_WS_CLIENT_H_INCLUDED_
#define _SYNC_WS_CLIENT_H_INCLUDED_


#include <sync_detach.h>


/*
 * WebSocket clients (RFC 6455) over HTTP/1.1, plain or TLS.
 *
 * After the 101 a client is detached: the request, its pools and its
 * buffers are freed, and only the sync_client_t and nginx's connection
 * stay.  Input is read into one buffer a worker; a client has memory of its
 * own for input only while a frame or a message is incomplete.
 */


/*
 * Checks the handshake (RFC 6455, 4.2) and answers it.  For a content
 * handler, whose value it returns: NGX_DONE when the 101 is on its way, or
 * a status: 400 (a header is missing or malformed; the log says which), 405,
 * 426 (no upgrade asked, or another version; Sec-WebSocket-Version: 13 is
 * added).  protocol is the subprotocol to agree to where offered.
 */
ngx_int_t sync_ws_client_handshake(ngx_http_request_t *r,
    sync_client_conf_t *conf, sync_str_t *protocol,
    sync_client_opened_pt opened);

/*
 * The same for a protocol above WebSocket that looks after its own pings:
 * its operations are those below, but for its timeout.  There is neither a
 * subprotocol nor compression, and the first timeout comes in timer ms.
 */
ngx_int_t sync_ws_client_handshake_as(ngx_http_request_t *r,
    const sync_client_ops_t *ops, sync_client_conf_t *conf,
    sync_dialect_e dialect, ngx_msec_t timer, sync_client_opened_pt opened);

ngx_int_t sync_ws_client_send(sync_client_t *c, sync_str_t *json);
void sync_ws_client_close(sync_client_t *c, ngx_uint_t code,
    const char *reason);
void sync_ws_client_write(sync_client_t *c);


#endif /* _SYNC_WS_CLIENT_H_INCLUDED_ */
