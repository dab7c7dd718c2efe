
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_HOOK_HEADERS_H_INCLUDED_
#define _SYNC_HOOK_HEADERS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sync_base.h>


/*
 * Gives the request of a call its headers: those a call says by itself, the
 * length being r->headers_in.content_length_n, and those of the client that
 * may be passed on.  id may be empty.  What is given is borrowed, not copied.
 *
 * Returns SYNC_OK or SYNC_ERROR (memory).
 */
ngx_int_t sync_hook_set_headers(ngx_http_request_t *r, ngx_str_t *id,
    ngx_keyval_t *headers, ngx_uint_t n);


#endif /* _SYNC_HOOK_HEADERS_H_INCLUDED_ */
