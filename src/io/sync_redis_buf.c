
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_redis_buf.h>


#define SYNC_REDIS_BUF_MIN  4096        /* bytes */


static ngx_int_t sync_redis_buf_reserve(sync_redis_buf_t *b, size_t size);


ngx_int_t
sync_redis_buf_command(sync_redis_buf_t *b, ngx_uint_t argc,
    const char **argv, const size_t *argvlen, size_t *size)
{
    size_t       n;
    u_char      *p;
    ngx_uint_t   i;

    n = sizeof("*\r\n") - 1 + NGX_INT_T_LEN;

    for (i = 0; i < argc; i++) {
        n += sizeof("$\r\n\r\n") - 1 + NGX_INT_T_LEN + argvlen[i];
    }

    if (sync_redis_buf_reserve(b, n) != SYNC_OK) {
        return SYNC_ERROR;
    }

    p = ngx_sprintf(b->last, "*%ui\r\n", argc);

    for (i = 0; i < argc; i++) {
        p = ngx_sprintf(p, "$%uz\r\n", argvlen[i]);
        p = ngx_cpymem(p, argv[i], argvlen[i]);
        *p++ = CR;
        *p++ = LF;
    }

    *size = p - b->last;
    b->last = p;

    return SYNC_OK;
}


static ngx_int_t
sync_redis_buf_reserve(sync_redis_buf_t *b, size_t size)
{
    size_t   used, have;
    u_char  *p;

    if ((size_t) (b->end - b->last) >= size) {
        return SYNC_OK;
    }

    used = b->last - b->pos;
    have = ngx_max(2 * (size_t) (b->end - b->start), SYNC_REDIS_BUF_MIN);
    have = ngx_max(have, used + size);

    p = ngx_alloc(have, ngx_cycle->log);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    if (b->start) {
        ngx_memcpy(p, b->pos, used);
        ngx_free(b->start);
    }

    b->start = p;
    b->pos = p;
    b->last = p + used;
    b->end = p + have;

    return SYNC_OK;
}


void
sync_redis_buf_done(sync_redis_buf_t *b)
{
    if (b->start) {
        ngx_free(b->start);
    }

    ngx_memzero(b, sizeof(sync_redis_buf_t));
}
