
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_TOKEN_H_INCLUDED_
#define _SYNC_TOKEN_H_INCLUDED_


#include <sync_settings.h>
#include <sync_json.h>


/*
 * The token of a request: the first source of sync_token that has one.
 *
 * What is longer than SYNC_TOKEN_MAX, or has bytes that no token has, is no
 * token: it is counted and logged, and the next source is looked at.
 */


/*
 * Looks at cookies, headers and arguments.  Returns the place of the source,
 * from 0, with *token in the request or its pool, or SYNC_DECLINED.
 */
ngx_int_t sync_token_find(ngx_http_request_t *r, sync_settings_t *s,
    sync_str_t *token);

/*
 * The same for what a client says when it connects, an object; buf holds
 * SYNC_TOKEN_MAX bytes.
 */
ngx_int_t sync_token_auth(sync_json_t *auth, sync_settings_t *s, u_char *buf,
    sync_str_t *token);

/* The place of the first "auth:" source, or SYNC_DECLINED. */
ngx_int_t sync_token_asks(sync_settings_t *s);


#endif /* _SYNC_TOKEN_H_INCLUDED_ */
