
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SSE_CLIENT_H_INCLUDED_
#define _SYNC_SSE_CLIENT_H_INCLUDED_


#include <sync_detach.h>


/*
 * Clients that read an event stream (WHATWG HTML, 9.2).
 *
 * Over HTTP/1.x the client is detached from its request once the header is
 * sent, as a WebSocket is, and we write the chunks ourselves.  Over HTTP/2
 * and 3 the request stays, and output goes through nginx's filters.
 *
 * send() and messages are events of the stream; a comment is sent every
 * 30 s.  A client that closes is told when to come back by "retry:".
 */


#define SYNC_SSE_KEEPALIVE  30000       /* ms */


/*
 * Answers with 200 and text/event-stream.  For a content handler, whose
 * value it returns: NGX_DONE, or a status.  GET only (HEAD gets the header);
 * a body is discarded.  opened() as for WebSocket; what it sends comes first.
 */
ngx_int_t sync_sse_client_handshake(ngx_http_request_t *r,
    sync_client_conf_t *conf, sync_client_opened_pt opened);

/*
 * Answers with a stream that says when to come back, and ends: a browser
 * does not try again when it is refused by status.  For a content handler.
 */
ngx_int_t sync_sse_client_later(ngx_http_request_t *r);


#endif /* _SYNC_SSE_CLIENT_H_INCLUDED_ */
