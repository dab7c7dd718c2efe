
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_random.h>

#include <sys/random.h>


#define SYNC_RANDOM_POOL  1024          /* bytes */


typedef struct {
    ngx_pid_t   pid;
    size_t      left;                   /* bytes, at the end of data */
    u_char      data[SYNC_RANDOM_POOL];
} sync_random_t;


static sync_random_t  sync_random_pool;


void
sync_random(u_char *p, size_t len)
{
    u_char         *from;
    size_t          n;
    ssize_t         got;
    sync_random_t  *pool;

    pool = &sync_random_pool;

    /* a forked process must not hand out what its parent did */

    if (pool->left < len || pool->pid != ngx_pid) {

        for (n = 0; n < SYNC_RANDOM_POOL; /* void */) {
            got = getrandom(pool->data + n, SYNC_RANDOM_POOL - n, 0);

            if (got > 0) {
                n += got;
            }
        }

        pool->left = SYNC_RANDOM_POOL;
        pool->pid = ngx_pid;
    }

    from = pool->data + SYNC_RANDOM_POOL - pool->left;

    ngx_memcpy(p, from, len);
    ngx_memzero(from, len);

    pool->left -= len;
}
