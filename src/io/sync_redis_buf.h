
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REDIS_BUF_H_INCLUDED_
#define _SYNC_REDIS_BUF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>


/* Commands on their way to Redis; all zero when empty. */

typedef struct {
    u_char  *start;
    u_char  *pos;               /* the first byte to be sent */
    u_char  *last;              /* behind the last one */
    u_char  *end;
} sync_redis_buf_t;


/*
 * Appends a command as an array of bulk strings; *size is its length in
 * bytes.  Returns SYNC_OK, or SYNC_ERROR if there is no memory.
 */
ngx_int_t sync_redis_buf_command(sync_redis_buf_t *b, ngx_uint_t argc,
    const char **argv, const size_t *argvlen, size_t *size);

/* Frees the memory; the buffer is empty then. */
void sync_redis_buf_done(sync_redis_buf_t *b);


#endif /* _SYNC_REDIS_BUF_H_INCLUDED_ */
