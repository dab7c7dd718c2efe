
/*
 * Copyright (C) sync for nginx
 */


#ifndef _NGX_STUB_H_INCLUDED_
#define _NGX_STUB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * What the stores need of nginx besides its slab allocator, trees and strings,
 * which are the real ones.  Time stands still: a test sets ngx_current_msec and
 * ngx_cached_time.
 */


/*
 * Sets up ngx_pagesize, ngx_cycle, the time (1,000,000 s) and the slab
 * allocator.  To be called first.
 */
void ngx_stub_init(void);

/*
 * Creates a zone of size bytes as nginx does; shm.addr is a slab pool.  The
 * memory is between two pages that cannot be touched.  Returns NULL if there
 * is none.  Destroyed by ngx_stub_zone_destroy().
 */
ngx_shm_zone_t *ngx_stub_zone_create(const char *name, size_t size);
void ngx_stub_zone_destroy(ngx_shm_zone_t *zone);

/*
 * Makes the n-th allocation from now on fail, and no other; 0 for none.
 * Counted are the calls of ngx_slab_alloc(), ngx_slab_calloc(), their
 * _locked() forms and sync_heap_alloc() by a store.
 */
void ngx_stub_slab_fail(ngx_uint_t n);

/* Returns how many allocations there were since ngx_stub_slab_fail(). */
ngx_uint_t ngx_stub_slab_count(void);

/*
 * Returns how many allocations a pool has given out and not got back, for a
 * test to see that nothing is left.
 */
ngx_uint_t ngx_stub_slab_used(ngx_slab_pool_t *pool);

/* Returns how many lines of a level, or a graver one, were logged. */
ngx_uint_t ngx_stub_logged(ngx_uint_t level);


#endif /* _NGX_STUB_H_INCLUDED_ */
