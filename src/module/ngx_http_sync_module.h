
/*
 * Copyright (C) sync for nginx
 */


#ifndef _NGX_HTTP_SYNC_MODULE_H_INCLUDED_
#define _NGX_HTTP_SYNC_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sync_settings.h>


#define NGX_HTTP_SYNC_VERSION  "0.1.0"


/* part of the zone that one room, or one message, may take */

#define NGX_HTTP_SYNC_SHARE    8


/* an MD5 in hexadecimal and its quotes */

#define NGX_HTTP_SYNC_ETAG_LEN  34


/* sync_allow_origin */

typedef struct {
    ngx_array_t             *exact;     /* of ngx_str_t, normalised */
    ngx_array_t             *regex;     /* of ngx_regex_t *; may be NULL */
    unsigned                 same:1;
    unsigned                 any:1;
} ngx_http_sync_origins_t;


/* A file that "sync_routes" named, read once. */

typedef struct {
    ngx_str_t                file;
    sync_manifest_t         *manifest;
} ngx_http_sync_manifest_t;


typedef struct {
    sync_main_settings_t     settings;
    size_t                   size;      /* of the zone, bytes */
    u_char                   etag[2][NGX_HTTP_SYNC_ETAG_LEN];
    ngx_str_t                file;      /* of the first "sync" */
    ngx_uint_t               line;
    ngx_array_t             *manifests; /* of ngx_http_sync_manifest_t */
    unsigned                 hooks:1;   /* there is a "sync_hook" */
} ngx_http_sync_main_conf_t;


typedef struct {
    sync_settings_t          settings;
    ngx_http_sync_origins_t *origins;
    ngx_str_t                csrf;      /* header in lower case; len 0: off */
    ngx_http_handler_pt      handler;   /* the endpoint; NULL: none here */
} ngx_http_sync_loc_conf_t;


/* Endpoints. */

ngx_int_t ngx_http_sync_websocket_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_sync_sse_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_sync_socketio_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_sync_control_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_sync_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_sync_client_handler(ngx_http_request_t *r);

ngx_int_t ngx_http_sync_request_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_sync_api_handler(ngx_http_request_t *r);

/*
 * Brings a body of that size, in memory or in a file, into one piece.
 * NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_sync_read_body(ngx_http_request_t *r, size_t size,
    sync_str_t *body);

/* Sets the ETags of the browser module. */
void ngx_http_sync_client_init(ngx_http_sync_main_conf_t *smcf);

/*
 * Answers with a body of this type that may not be stored; for a content
 * handler, whose value it returns.  body lives as long as the request.
 */
ngx_int_t ngx_http_sync_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body);

/* Adds a header to the answer; NGX_OK or NGX_ERROR (memory). */
ngx_int_t ngx_http_sync_add_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);

/* 405 with an Allow header, or 500; a content handler's value. */
ngx_int_t ngx_http_sync_not_allowed(ngx_http_request_t *r,
    const char *methods);

/* The first header of the request with this name in lower case, or NULL. */
ngx_str_t *ngx_http_sync_header_in(ngx_http_request_t *r, const char *name);

/* Setters of sync_session and sync_token. */
char *ngx_http_sync_session(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_sync_token(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* Inherits both; NGX_CONF_OK, or NGX_CONF_ERROR with the log written. */
char *ngx_http_sync_merge_session(ngx_conf_t *cf,
    ngx_http_sync_loc_conf_t *prev, ngx_http_sync_loc_conf_t *conf);

/* Whether a value is this; starts with this, and what then follows. */
ngx_uint_t ngx_http_sync_is(ngx_str_t *value, const char *name);
ngx_uint_t ngx_http_sync_starts(ngx_str_t *value, const char *prefix,
    ngx_str_t *rest);

/*
 * The times of a client hook: what they are unless given, and what a
 * parameter says.  NGX_OK, or NGX_DECLINED if it is none of them.
 */
void ngx_http_sync_hook_times(sync_hook_conf_t *hook);
ngx_int_t ngx_http_sync_hook_time(sync_hook_conf_t *hook, ngx_str_t *value);

/* Says what is allowed, and returns NGX_CONF_ERROR. */
char *ngx_http_sync_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, const char *allowed);

ngx_http_sync_origins_t *ngx_http_sync_origins_create(ngx_conf_t *cf);

/*
 * Parses one argument of sync_allow_origin.  Returns NGX_OK; NGX_DECLINED
 * if it is no origin; or NGX_ERROR with the log written.
 */
ngx_int_t ngx_http_sync_origins_add(ngx_conf_t *cf,
    ngx_http_sync_origins_t *origins, ngx_str_t *value);

/*
 * Whether the request may come from where it says; *origin is then what it
 * says, or NULL if it says nothing.  Returns NGX_OK or NGX_DECLINED.
 */
ngx_int_t ngx_http_sync_origins_check(ngx_http_request_t *r,
    ngx_http_sync_origins_t *origins, ngx_str_t **origin);

/*
 * The same for an HTTP call, which may say where it comes from by Referer as
 * well, where it has no Origin.
 */
ngx_int_t ngx_http_sync_origins_check_call(ngx_http_request_t *r,
    ngx_http_sync_origins_t *origins, ngx_str_t **origin);

/* The page of "sync status" for a browser. */

extern const u_char  ngx_http_sync_page[];
extern const size_t  ngx_http_sync_page_len;

/* For directives. */

ngx_uint_t ngx_http_sync_is(ngx_str_t *value, const char *name);

/* Whether the value starts with the prefix; *rest is what follows it. */
ngx_uint_t ngx_http_sync_starts(ngx_str_t *value, const char *prefix,
    ngx_str_t *rest);

/* Log what is wrong with a value and return NGX_CONF_ERROR. */
char *ngx_http_sync_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, const char *allowed);

char *ngx_http_sync_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_sync_registry(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* When all is read: resolves names.  NGX_OK, or NGX_ERROR with it logged. */
ngx_int_t ngx_http_sync_redis_init(ngx_conf_t *cf,
    ngx_http_sync_main_conf_t *smcf);

ngx_int_t ngx_http_sync_add_variables(ngx_conf_t *cf);

char *ngx_http_sync_recovery(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

char *ngx_http_sync_presence(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* Inherits it, and gives a location its place; as the above. */
char *ngx_http_sync_merge_presence(ngx_conf_t *cf,
    ngx_http_sync_loc_conf_t *prev, ngx_http_sync_loc_conf_t *conf);

/* When all is read: what the zone needs of it.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_sync_presence_init(ngx_conf_t *cf,
    ngx_http_sync_main_conf_t *smcf);

/* Setters of what stands before the app. */
char *ngx_http_sync_routes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_sync_rate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_sync_csrf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/*
 * Whether a call whose token came with a cookie has the header of sync_csrf,
 * equal to "csrfToken" of the session, which is JSON, of no bytes if there is
 * none.  A session without one asks for nothing, nor does GET, HEAD, OPTIONS.
 * Returns NGX_OK, or NGX_DECLINED: "auth.csrfMismatch", 403.
 */
ngx_int_t ngx_http_sync_csrf_check(ngx_http_request_t *r,
    sync_str_t *session);

/* Whether that is looked at: what cannot be, must not pass. */
ngx_uint_t ngx_http_sync_csrf_asks(ngx_http_request_t *r);


extern ngx_command_t  ngx_http_sync_commands[];
extern ngx_module_t   ngx_http_sync_module;


#endif /* _NGX_HTTP_SYNC_MODULE_H_INCLUDED_ */
