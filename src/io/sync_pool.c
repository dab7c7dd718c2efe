
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_pool.h>


#define SYNC_POOL_SIZE  2048            /* bytes */
#define SYNC_POOL_HEAP  1048576         /* bytes, see sync_pool_init() */

/* with a sanitizer none is: it is to see what is used after its end */

#if (__SANITIZE_ADDRESS__)
#define SYNC_POOL_KEEP  0
#else
#define SYNC_POOL_KEEP  128             /* at most, by a worker */
#endif


static void sync_pool_init(void);


static ngx_pool_t  *sync_pools[SYNC_POOL_KEEP + 1];
static ngx_uint_t   sync_npools;
static ngx_uint_t   sync_pool_ready;


ngx_pool_t *
sync_pool_create(void)
{
    if (!sync_pool_ready) {
        sync_pool_init();
    }

    if (sync_npools) {
        return sync_pools[--sync_npools];
    }

    return ngx_create_pool(SYNC_POOL_SIZE, ngx_cycle->log);
}


/*
 * malloc() of glibc gives the end of the heap back to the system when 128K
 * of it are free, but not before twice the largest block that was ever mapped
 * and freed.  A turn of the event loop may free more than the former, for the
 * requests are nginx's, and the next one asks for it again.
 */

static void
sync_pool_init(void)
{
    void  *p;

    sync_pool_ready = 1;

    p = ngx_alloc(SYNC_POOL_HEAP, ngx_cycle->log);

    if (p) {
        ngx_free(p);
    }
}


void
sync_pool_destroy(ngx_pool_t *pool)
{
    /* one that grew is not worth its memory */

    if (sync_npools == SYNC_POOL_KEEP || pool->cleanup || pool->d.next) {
        ngx_destroy_pool(pool);
        return;
    }

    ngx_reset_pool(pool);

    sync_pools[sync_npools++] = pool;
}
