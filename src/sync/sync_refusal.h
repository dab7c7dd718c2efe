
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REFUSAL_H_INCLUDED_
#define _SYNC_REFUSAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sync_base.h>


/*
 * Answers a request that is not to become a client with a status and an error
 * in JSON.  Returns what a content handler does.
 */
ngx_int_t sync_refusal_send(ngx_http_request_t *r, sync_str_t *code,
    ngx_uint_t status);

/* The same, of one whose headers are more than is kept: 431. */
ngx_int_t sync_refusal_headers(ngx_http_request_t *r);


#endif /* _SYNC_REFUSAL_H_INCLUDED_ */
