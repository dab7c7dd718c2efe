
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REDIS_HELLO_H_INCLUDED_
#define _SYNC_REDIS_HELLO_H_INCLUDED_


#include <sync_redis_addr.h>
#include <sync_redis_buf.h>


/* What a link says first, all at once: Redis answers in order. */


#define SYNC_REDIS_GREETINGS  4


typedef enum {
    SYNC_REDIS_AUTH = 0,
    SYNC_REDIS_SELECT,
    SYNC_REDIS_NAME,
    SYNC_REDIS_ASK
} sync_redis_greeting_e;


typedef struct {
    sync_redis_buf_t        buf;
    ngx_uint_t              n;          /* greetings in it */
    sync_redis_greeting_e   greetings[SYNC_REDIS_GREETINGS];
} sync_redis_hello_t;


/* Returns SYNC_OK or SYNC_ERROR (memory). */
ngx_int_t sync_redis_hello_write(sync_redis_hello_t *h, sync_redis_url_t *url,
    const char *role);


#endif /* _SYNC_REDIS_HELLO_H_INCLUDED_ */
