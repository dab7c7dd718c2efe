
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_ROUTE_FILE_H_INCLUDED_
#define _SYNC_ROUTE_FILE_H_INCLUDED_


#include <sync_route.h>


/*
 * A manifest while it is read: what the files that compile parts of it share.
 */


typedef struct {
    ngx_conf_t        *cf;
    ngx_str_t         *name;        /* of the file */
    sync_str_t         text;        /* lives as long as the configuration */
    sync_manifest_t   *manifest;
    const sync_str_t  *key;         /* the one being read */
    unsigned           version:1;   /* it was said */
} sync_route_file_t;


typedef ngx_int_t (*sync_route_key_pt)(sync_route_file_t *f, void *dst,
    sync_json_t *v);


/* A key that an object may have; the last one has no handler. */

typedef struct {
    sync_str_t         name;
    sync_route_key_pt  handler;
} sync_route_key_t;


/* All of these return SYNC_OK, or SYNC_ERROR with the log written. */

/*
 * Calls the handlers of an object's keys, with dst; what is the object's
 * name in messages.
 */
ngx_int_t sync_route_file_object(sync_route_file_t *f,
    sync_route_key_t *keys, void *dst, sync_json_t *v, const char *what);

/* What a string means, and a key as sync_json_next() gives it. */
ngx_int_t sync_route_file_string(sync_route_file_t *f, sync_str_t *s,
    sync_json_t *v);
ngx_int_t sync_route_file_unquote(sync_route_file_t *f, sync_str_t *s);

/* Logs what is wrong, as ngx_sprintf() has it, and the line of at. */
ngx_int_t sync_route_file_error(sync_route_file_t *f, const u_char *at,
    const char *fmt, ...);

/* Compiles "filter"; NULL with the log written. */
sync_filter_t *sync_route_filter_compile(sync_route_file_t *f,
    sync_json_t *v);


/* Compiles "schema"; the same. */
sync_schema_t *sync_route_schema_compile(sync_route_file_t *f,
    sync_json_t *v);


#endif /* _SYNC_ROUTE_FILE_H_INCLUDED_ */
