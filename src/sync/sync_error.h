
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_ERROR_H_INCLUDED_
#define _SYNC_ERROR_H_INCLUDED_


#include <sync_json.h>
#include <ngx_config.h>
#include <ngx_core.h>


/*
 * An error that a handler of the app answered, {"status":"error",...}, made
 * what the wire has (luckystack-wire, 10).
 */


#define SYNC_ERROR_CODE_MAX  256        /* bytes */


typedef struct {
    sync_str_t   code;          /* of no bytes if there is none */
    sync_str_t   params;        /* JSON array, or of no bytes */
    ngx_uint_t   status;
    u_char       buf[SYNC_ERROR_CODE_MAX];
} sync_error_t;


/* Spans of the value, or of e->buf; status is what it was if none is given. */
void sync_error_read(sync_error_t *e, sync_json_t *v);


#endif /* _SYNC_ERROR_H_INCLUDED_ */
