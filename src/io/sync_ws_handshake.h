
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_WS_HANDSHAKE_H_INCLUDED_
#define _SYNC_WS_HANDSHAKE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sync_base.h>


/*
 * Checks a handshake (RFC 6455, 4.2) and sends the 101: protocol is agreed
 * to where it is offered, permessage-deflate where it is and compression is
 * on.
 *
 * Returns NGX_OK, with *deflate set; or what the content handler has to
 * return: a status, or NGX_ERROR.
 */
ngx_int_t sync_ws_handshake(ngx_http_request_t *r, sync_str_t *protocol,
    ngx_flag_t compression, ngx_uint_t *deflate);


#endif /* _SYNC_WS_HANDSHAKE_H_INCLUDED_ */
