
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_heap.h>


/*
 *     map     | U2 .  .  . | F0 | U0 | U1 .  | C0 | F0 | F3 ...
 *     memory  |  a block   |    |    | block  piece    |
 *
 * Blocks of 1 << order granules stand at multiples of their size.  The map
 * has a byte for each granule: for the first one of a block its state and
 * order, for the others nothing that means anything.  So to walk the heap
 * is to go from block to block by their orders.
 *
 * An allocation is one block in use (U) or, if its size is no power of two,
 * several in a row, ever smaller, the others marked as its pieces (C).
 *
 * The map is the truth, and all that an operation changes in it becomes so
 * by its last store: allocating splits inside of a block that is still free
 * as a whole, and then shortens it; freeing makes the merged block of the
 * byte of its first granule.  Pieces are freed from the last to the first,
 * one by one.  The free lists follow from the map; "busy" is set while they
 * do not.
 */


#define SYNC_HEAP_FREE   0x80
#define SYNC_HEAP_USED   0x40
#define SYNC_HEAP_PIECE  0x60           /* in use, and not the first */
#define SYNC_HEAP_STATE  0xe0
#define SYNC_HEAP_ORDER  0x1f


#define sync_heap_size(order)     ((uint32_t) 1 << (order))
#define sync_heap_state(h, i)     ((h)->map[i] & SYNC_HEAP_STATE)
#define sync_heap_order_of(h, i)  ((ngx_uint_t) (h)->map[i] & SYNC_HEAP_ORDER)

#define sync_heap_node(h, i)                                                  \
    ((ngx_queue_t *) ((h)->start + (size_t) (i) * SYNC_HEAP_GRANULE))

#define sync_heap_index(h, p)                                                 \
    ((uint32_t) (((u_char *) (p) - (h)->start) / SYNC_HEAP_GRANULE))


static void sync_heap_link(sync_heap_t *h, uint32_t i, ngx_uint_t order);
static void sync_heap_cut(sync_heap_t *h, uint32_t i, ngx_uint_t order,
    uint32_t n);
static void sync_heap_free_block(sync_heap_t *h, uint32_t i);


ngx_int_t
sync_heap_init(sync_heap_t *h, u_char *p, u_char *last)
{
    size_t      n;
    uint32_t    i;
    ngx_uint_t  order;

    if (p + 4 * SYNC_HEAP_GRANULE > last) {
        return SYNC_ERROR;
    }

    n = (last - p - SYNC_HEAP_GRANULE) / (SYNC_HEAP_GRANULE + 1);

    if (n > NGX_MAX_UINT32_VALUE) {
        return SYNC_ERROR;
    }

    h->map = p;
    h->start = ngx_align_ptr(p + n, SYNC_HEAP_GRANULE);
    h->ngranules = n;
    h->busy = 1;

    i = 0;
    order = SYNC_HEAP_ORDERS - 1;

    while (i < n) {

        while (sync_heap_size(order) > n - i) {
            order--;
        }

        h->map[i] = SYNC_HEAP_FREE|order;
        i += sync_heap_size(order);
    }

    sync_heap_mend(h);

    return SYNC_OK;
}


void *
sync_heap_alloc(sync_heap_t *h, size_t size)
{
    uint32_t      i, n;
    ngx_uint_t    order, o;
    ngx_queue_t  *q;

    if (size > (size_t) h->ngranules * SYNC_HEAP_GRANULE) {
        return NULL;
    }

    n = (size + SYNC_HEAP_GRANULE - 1) / SYNC_HEAP_GRANULE;
    n = ngx_max(n, 1);

    for (order = 0; order < SYNC_HEAP_ORDERS; order++) {
        if (sync_heap_size(order) >= n) {
            break;
        }
    }

    for (o = order; o < SYNC_HEAP_ORDERS; o++) {
        if (!ngx_queue_empty(&h->free[o])) {
            break;
        }
    }

    if (o >= SYNC_HEAP_ORDERS) {
        return NULL;
    }

    h->busy = 1;
    sync_heap_order();

    q = ngx_queue_head(&h->free[o]);
    ngx_queue_remove(q);

    i = sync_heap_index(h, q);

    while (o > order) {
        o--;
        h->map[i + sync_heap_size(o)] = SYNC_HEAP_FREE|o;
        sync_heap_link(h, i + sync_heap_size(o), o);
    }

    h->nfree -= n;
    sync_heap_cut(h, i, order, n);

    sync_heap_order();
    h->busy = 0;

    return q;
}


static void
sync_heap_link(sync_heap_t *h, uint32_t i, ngx_uint_t order)
{
    ngx_queue_t  *q;

    q = sync_heap_node(h, i);

    ngx_queue_insert_head(&h->free[order], q);
}


/*
 * Makes of the block, which is free in the map and in no list, n granules
 * in use and free blocks of the rest.
 */

static void
sync_heap_cut(sync_heap_t *h, uint32_t i, ngx_uint_t order, uint32_t n)
{
    u_char      first;
    uint32_t    at, half;

    at = i;
    first = 0;

    while (n < sync_heap_size(order)) {

        order--;
        half = sync_heap_size(order);

        if (n <= half) {
            h->map[at + half] = SYNC_HEAP_FREE|order;
            sync_heap_link(h, at + half, order);
            continue;
        }

        if (at == i) {
            first = SYNC_HEAP_USED|order;

        } else {
            h->map[at] = SYNC_HEAP_PIECE|order;
        }

        at += half;
        n -= half;
    }

    if (at == i) {
        first = SYNC_HEAP_USED|order;

    } else {
        h->map[at] = SYNC_HEAP_PIECE|order;
    }

    sync_heap_order();
    h->map[i] = first;
}


void
sync_heap_free(sync_heap_t *h, void *p)
{
    uint32_t    i, pieces[SYNC_HEAP_ORDERS];
    ngx_uint_t  n;

    if (!sync_heap_is_block(h, p)) {
        return;
    }

    i = sync_heap_index(h, p);
    n = 0;

    do {
        pieces[n++] = i;
        i += sync_heap_size(sync_heap_order_of(h, i));

    } while (n < SYNC_HEAP_ORDERS
             && i < h->ngranules
             && sync_heap_state(h, i) == SYNC_HEAP_PIECE);

    h->busy = 1;
    sync_heap_order();

    while (n) {
        sync_heap_free_block(h, pieces[--n]);
    }

    sync_heap_order();
    h->busy = 0;
}


static void
sync_heap_free_block(sync_heap_t *h, uint32_t i)
{
    uint32_t    buddy;
    ngx_uint_t  order;

    order = sync_heap_order_of(h, i);

    h->nfree += sync_heap_size(order);

    while (order < SYNC_HEAP_ORDERS - 1) {

        buddy = i ^ sync_heap_size(order);

        if (buddy >= h->ngranules
            || h->map[buddy] != (SYNC_HEAP_FREE|order))
        {
            break;
        }

        ngx_queue_remove(sync_heap_node(h, buddy));

        i = ngx_min(i, buddy);
        order++;
    }

    sync_heap_order();
    h->map[i] = SYNC_HEAP_FREE|order;
    sync_heap_order();

    sync_heap_link(h, i, order);
}


ngx_uint_t
sync_heap_is_block(sync_heap_t *h, void *p)
{
    size_t  off;

    if ((u_char *) p < h->start) {
        return 0;
    }

    off = (u_char *) p - h->start;

    return off % SYNC_HEAP_GRANULE == 0
           && off / SYNC_HEAP_GRANULE < h->ngranules
           && sync_heap_state(h, off / SYNC_HEAP_GRANULE) == SYNC_HEAP_USED;
}


void
sync_heap_mend(sync_heap_t *h)
{
    uint32_t    i;
    ngx_uint_t  order;

    if (!h->busy) {
        return;
    }

    for (order = 0; order < SYNC_HEAP_ORDERS; order++) {
        ngx_queue_init(&h->free[order]);
    }

    h->nfree = 0;

    for (i = 0; i < h->ngranules; i += sync_heap_size(order)) {
        order = sync_heap_order_of(h, i);

        if (sync_heap_state(h, i) == SYNC_HEAP_FREE) {
            sync_heap_link(h, i, order);
            h->nfree += sync_heap_size(order);
        }
    }

    sync_heap_order();
    h->busy = 0;
}


size_t
sync_heap_block_size(sync_heap_t *h, void *p)
{
    size_t    n;
    uint32_t  i;

    i = sync_heap_index(h, p);
    n = 0;

    do {
        n += sync_heap_size(sync_heap_order_of(h, i + n));

    } while (i + n < h->ngranules
             && sync_heap_state(h, i + n) == SYNC_HEAP_PIECE);

    return n * SYNC_HEAP_GRANULE;
}


const char *
sync_heap_check(sync_heap_t *h)
{
    size_t        nfree, nblocks;
    uint32_t      i, size;
    ngx_uint_t    order, last;
    ngx_queue_t  *q;

    if (h->busy) {
        return "heap: busy";
    }

    nfree = 0;
    nblocks = 0;
    last = 0;

    for (i = 0; i < h->ngranules; i += size) {
        order = sync_heap_order_of(h, i);
        size = sync_heap_size(order);

        if (order >= SYNC_HEAP_ORDERS
            || i % size
            || size > h->ngranules - i)
        {
            return "heap: a block is out of place";
        }

        switch (sync_heap_state(h, i)) {

        case SYNC_HEAP_FREE:
            nfree += size;
            nblocks++;
            last = 0;
            break;

        case SYNC_HEAP_USED:
            last = order;
            break;

        case SYNC_HEAP_PIECE:
            if (order >= last) {
                return "heap: a piece of nothing";
            }

            last = order;
            break;

        default:
            return "heap: a block of no state";
        }
    }

    for (order = 0; order < SYNC_HEAP_ORDERS; order++) {

        for (q = ngx_queue_head(&h->free[order]);
             q != ngx_queue_sentinel(&h->free[order]);
             q = ngx_queue_next(q))
        {
            i = sync_heap_index(h, q);

            if (i >= h->ngranules
                || q != sync_heap_node(h, i)
                || q->next->prev != q
                || h->map[i] != (SYNC_HEAP_FREE|order)
                || nblocks-- == 0)
            {
                return "heap: a free list is wrong";
            }
        }
    }

    if (nblocks) {
        return "heap: a free block is in no list";
    }

    if (nfree != h->nfree) {
        return "heap: wrong count of free granules";
    }

    return NULL;
}
