
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_HEAP_H_INCLUDED_
#define _SYNC_HEAP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>


/*
 * The zone's memory: a buddy allocator that survives the death of its user
 * at any instruction, which the slab allocator does not.
 *
 * Sizes are rounded up to SYNC_HEAP_GRANULE and no further: what a block of
 * a power of two has too much goes back at once.  Allocating and freeing
 * take a number of steps that does not depend on what else there is.
 *
 * It has no lock: the caller holds the zone's.
 */


#define SYNC_HEAP_GRANULE  64           /* bytes */
#define SYNC_HEAP_ORDERS   26           /* blocks up to 64 << 25, 2 GB */


typedef struct {                        /* in the zone */
    u_char              *map;           /* a byte for each granule */
    u_char              *start;
    uint32_t             ngranules;
    uint32_t             busy;          /* the free lists are being changed */
    size_t               nfree;         /* granules */
    ngx_queue_t          free[SYNC_HEAP_ORDERS];
} sync_heap_t;


/*
 * Keeps the compiler from moving stores across.  The order of instructions
 * is all that matters to those who come after a death: they had the lock
 * since, so they see all that was stored before it.
 */
#define sync_heap_order()  __asm__ volatile ("" ::: "memory")


/* Makes a heap of [p, last), its map included.  SYNC_OK or SYNC_ERROR. */
ngx_int_t sync_heap_init(sync_heap_t *h, u_char *p, u_char *last);

/* size bytes, aligned to SYNC_HEAP_GRANULE and not cleared; or NULL. */
void *sync_heap_alloc(sync_heap_t *h, size_t size);

/* What is not a block in use is left alone. */
void sync_heap_free(sync_heap_t *h, void *p);

/* Whether p is what sync_heap_alloc() returned, and not freed since. */
ngx_uint_t sync_heap_is_block(sync_heap_t *h, void *p);

/*
 * Makes the free lists anew, if the last user died in changing them.  What
 * it was about to allocate or to free may be lost.
 */
void sync_heap_mend(sync_heap_t *h);

/* Bytes that an allocated block takes. */
size_t sync_heap_block_size(sync_heap_t *h, void *p);

/* Verifies map and lists; NULL, or what is wrong.  For tests. */
const char *sync_heap_check(sync_heap_t *h);


#endif /* _SYNC_HEAP_H_INCLUDED_ */
