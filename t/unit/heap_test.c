
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"


#define HEAP_BLOCKS  400
#define HEAP_STEPS   30000


typedef struct {
    u_char  *p;
    size_t   size;
    u_char   fill;
} heap_block_t;


static void test_limits(void);
static void test_sizes(void);
static void test_random(void);
static void test_mend(void);
static void test_garbage(void);

static u_char       *memory;
static size_t        memory_size = 512 * 1024 + 200;
static sync_heap_t   heap;


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);

    memory = malloc(memory_size);
    if (memory == NULL) {
        zone_bail("no memory");
    }

    test_limits();
    test_sizes();
    test_random();
    test_mend();
    test_garbage();

    free(memory);

    return unit_done();
}


static void
start(size_t size)
{
    ngx_memset(memory, 0xa5, memory_size);
    ngx_memzero(&heap, sizeof(sync_heap_t));

    if (sync_heap_init(&heap, memory, memory + size) != SYNC_OK) {
        zone_bail("sync_heap_init() failed");
    }
}


static void
test_limits(void)
{
    int     good;
    void   *p;
    size_t  size, n;

    is_int(sync_heap_init(&heap, memory, memory + 100), SYNC_ERROR,
           "too small a heap");

    good = 1;

    for (size = 256; size < 20000; size += 40) {
        start(size);

        good &= (sync_heap_check(&heap) == NULL);
        good &= (heap.start + heap.nfree * 64 <= memory + size);
        good &= (heap.nfree == heap.ngranules);

        for (n = 0; (p = sync_heap_alloc(&heap, 64)) != NULL; n++) {
            good &= ((u_char *) p + 64 <= memory + size);
            ngx_memset(p, 0, 64);
        }

        good &= (n == heap.ngranules);
        good &= (sync_heap_check(&heap) == NULL);
    }

    ok(good, "heaps of many sizes can be used to the end");

    start(memory_size);

    ok(sync_heap_alloc(&heap, memory_size) == NULL, "more than there is");
    ok(sync_heap_alloc(&heap, (size_t) -1) == NULL, "much more");
    ok(sync_heap_check(&heap) == NULL, "nothing has changed");
}


/* any size takes its granules and no more, and gives them back */

static void
test_sizes(void)
{
    int      good;
    size_t   size, nfree;
    u_char  *p, *q;

    start(memory_size);

    good = 1;
    nfree = heap.nfree;

    for (size = 0; size < 40000; size += 1 + zone_random(100)) {
        p = sync_heap_alloc(&heap, size);
        q = sync_heap_alloc(&heap, size);

        good &= (p && q);
        good &= ((p - heap.start) % 64 == 0);
        good &= (p + size <= q || q + size <= p);
        good &= (sync_heap_block_size(&heap, p)
                 == ngx_max(1, (size + 63) / 64) * 64);
        good &= (heap.nfree
                 == nfree - 2 * ngx_max(1, (size + 63) / 64));
        good &= (sync_heap_check(&heap) == NULL);

        sync_heap_free(&heap, p);
        good &= (sync_heap_check(&heap) == NULL);
        sync_heap_free(&heap, q);
        good &= (sync_heap_check(&heap) == NULL);
        good &= (heap.nfree == nfree);
    }

    ok(good, "blocks of all sizes");

    p = sync_heap_alloc(&heap, 256 * 1024);
    ok(p != NULL, "the largest block is whole again");
}


static int
intact(heap_block_t *b)
{
    size_t  i;

    for (i = 0; i < b->size; i++) {
        if (b->p[i] != b->fill) {
            return 0;
        }
    }

    return 1;
}


static void
test_random(void)
{
    int            good;
    size_t         used, refused;
    ngx_uint_t     i, n;
    heap_block_t  *b, blocks[HEAP_BLOCKS];

    start(memory_size);
    ngx_memzero(blocks, sizeof(blocks));

    good = 1;
    refused = 0;

    for (n = 0; n < HEAP_STEPS && good; n++) {
        b = &blocks[zone_random(HEAP_BLOCKS)];

        if (b->p) {
            good &= intact(b);
            sync_heap_free(&heap, b->p);
            b->p = NULL;

        } else {
            b->size = 1 + zone_random(1 << zone_random(15));
            b->fill = (u_char) n;
            b->p = sync_heap_alloc(&heap, b->size);

            if (b->p) {
                ngx_memset(b->p, b->fill, b->size);

            } else {
                refused++;
            }
        }

        good &= (sync_heap_check(&heap) == NULL);

        used = 0;

        for (i = 0; i < HEAP_BLOCKS; i++) {
            if (blocks[i].p) {
                used += (blocks[i].size + 63) / 64;
            }
        }

        good &= (used + heap.nfree == heap.ngranules);
    }

    ok(good, "random blocks keep what is in them");
    ok(refused, "the heap was full at times");

    for (i = 0; i < HEAP_BLOCKS; i++) {
        if (blocks[i].p) {
            good &= intact(&blocks[i]);
            sync_heap_free(&heap, blocks[i].p);
        }
    }

    ok(good && heap.nfree == heap.ngranules, "all is free again");
    ok(sync_heap_alloc(&heap, 256 * 1024) != NULL, "and in one piece");
}


static void
test_mend(void)
{
    u_char       *p;
    size_t        nfree;
    ngx_uint_t    i;
    sync_heap_t   saved;

    start(memory_size);

    for (i = 0; i < 100; i++) {
        p = sync_heap_alloc(&heap, 1 + zone_random(5000));

        if (zone_random(2)) {
            sync_heap_free(&heap, p);
        }
    }

    nfree = heap.nfree;
    saved = heap;

    sync_heap_mend(&heap);
    ok(ngx_memcmp(&saved, &heap, sizeof(heap)) == 0,
       "a heap that is not busy is left alone");

    ngx_memset(heap.free, 0xa5, sizeof(heap.free));
    heap.nfree = 77;
    heap.busy = 1;

    sync_heap_mend(&heap);

    ok(sync_heap_check(&heap) == NULL, "free lists made anew");
    is_int(heap.nfree, nfree, "with all that is free");
}


static void
test_garbage(void)
{
    u_char       *p;
    sync_heap_t   saved;

    start(memory_size);

    p = sync_heap_alloc(&heap, 200);
    saved = heap;

    sync_heap_free(&heap, NULL);
    sync_heap_free(&heap, memory + memory_size);
    sync_heap_free(&heap, p + 1);
    sync_heap_free(&heap, p + 128);

    ok(ngx_memcmp(&saved, &heap, sizeof(heap)) == 0,
       "what is no block is not freed");

    sync_heap_free(&heap, p);
    saved = heap;
    sync_heap_free(&heap, p);

    ok(ngx_memcmp(&saved, &heap, sizeof(heap)) == 0,
       "what is free is not freed again");
}
