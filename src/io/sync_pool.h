
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_POOL_H_INCLUDED_
#define _SYNC_POOL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>


/*
 * Pools of what comes and goes with every call of a hook.  Some are kept for
 * the next call: were they given back each time, the heap would shrink and
 * grow with what is in flight, at the price of a page fault each.
 */


/* A pool of one worker, or NULL. */
ngx_pool_t *sync_pool_create(void);

/* What is in it is gone, as with ngx_destroy_pool(). */
void sync_pool_destroy(ngx_pool_t *pool);


#endif /* _SYNC_POOL_H_INCLUDED_ */
