
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_BODY_H_INCLUDED_
#define _SYNC_BODY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * The body of a request that ngx_http_read_client_request_body() has read,
 * be it in memory or in a file.
 */


/* Its size in bytes. */
off_t sync_body_size(ngx_http_request_t *r);

/* Copies all of it to p.  Returns NGX_OK, or NGX_ERROR if a read failed. */
ngx_int_t sync_body_copy(ngx_http_request_t *r, u_char *p);


#endif /* _SYNC_BODY_H_INCLUDED_ */
