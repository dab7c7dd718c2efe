
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>

#include "ngx_stub.h"


/* as ngx_slab.c has them for itself */

#define NGX_STUB_SLAB_TYPE   3
#define NGX_STUB_SLAB_FIRST                                                   \
    ((uintptr_t) 1 << (sizeof(uintptr_t) * 8 - 1))


void *__real_ngx_slab_alloc(ngx_slab_pool_t *pool, size_t size);
void *__real_ngx_slab_alloc_locked(ngx_slab_pool_t *pool, size_t size);
void *__real_ngx_slab_calloc(ngx_slab_pool_t *pool, size_t size);
void *__real_ngx_slab_calloc_locked(ngx_slab_pool_t *pool, size_t size);

void *__wrap_ngx_slab_alloc(ngx_slab_pool_t *pool, size_t size);
void *__wrap_ngx_slab_alloc_locked(ngx_slab_pool_t *pool, size_t size);
void *__wrap_ngx_slab_calloc(ngx_slab_pool_t *pool, size_t size);
void *__wrap_ngx_slab_calloc_locked(ngx_slab_pool_t *pool, size_t size);

/* a sync_heap_t, of which this knows nothing */

void *__real_sync_heap_alloc(void *heap, size_t size);
void *__wrap_sync_heap_alloc(void *heap, size_t size);

static ngx_int_t ngx_stub_slab_fails(void);


volatile ngx_cycle_t  *ngx_cycle;
volatile ngx_msec_t    ngx_current_msec;
volatile ngx_time_t   *ngx_cached_time;
volatile ngx_str_t     ngx_cached_err_log_time;
volatile ngx_str_t     ngx_cached_http_time;
volatile ngx_str_t     ngx_cached_http_log_time;
volatile ngx_str_t     ngx_cached_http_log_iso8601;
volatile ngx_str_t     ngx_cached_syslog_time;

ngx_pid_t   ngx_pid;
ngx_pid_t   ngx_parent;
ngx_int_t   ngx_ncpu;
ngx_int_t   ngx_process_slot;
ngx_uint_t  ngx_process;
ngx_uint_t  ngx_worker;

static ngx_log_t   ngx_stub_log;
static ngx_time_t  ngx_stub_time;
static ngx_cycle_t ngx_stub_cycle;
static ngx_uint_t  ngx_stub_lines[NGX_LOG_DEBUG + 1];
static ngx_uint_t  ngx_stub_allocations;
static ngx_uint_t  ngx_stub_failing;


void
ngx_stub_init(void)
{
    ngx_uint_t  n;

    ngx_pagesize = getpagesize();
    ngx_cacheline_size = NGX_CPU_CACHE_LINE;

    for (n = ngx_pagesize; n >>= 1; ngx_pagesize_shift++) { /* void */ }

    ngx_pid = getpid();
    ngx_parent = getppid();
    ngx_ncpu = 1;

    ngx_stub_log.log_level = NGX_LOG_DEBUG;
    ngx_stub_cycle.log = &ngx_stub_log;
    ngx_cycle = &ngx_stub_cycle;

    ngx_stub_time.sec = 1000000;
    ngx_cached_time = &ngx_stub_time;
    ngx_current_msec = (ngx_msec_t) 1000000 * 1000;

    ngx_slab_sizes_init();
}


ngx_shm_zone_t *
ngx_stub_zone_create(const char *name, size_t size)
{
    u_char           *p;
    ngx_shm_zone_t   *zone;
    ngx_slab_pool_t  *sp;

    size = ngx_align(size, ngx_pagesize);

    p = mmap(NULL, size + 2 * ngx_pagesize, PROT_NONE,
             MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }

    p += ngx_pagesize;

    if (mprotect(p, size, PROT_READ|PROT_WRITE) == -1) {
        return NULL;
    }

    zone = calloc(1, sizeof(ngx_shm_zone_t));
    if (zone == NULL) {
        return NULL;
    }

    zone->shm.addr = p;
    zone->shm.size = size;
    zone->shm.name.data = (u_char *) name;
    zone->shm.name.len = strlen(name);
    zone->shm.log = &ngx_stub_log;

    sp = (ngx_slab_pool_t *) p;

    sp->end = p + size;
    sp->min_shift = 3;
    sp->addr = p;

    if (ngx_shmtx_create(&sp->mutex, &sp->lock, NULL) != NGX_OK) {
        free(zone);
        return NULL;
    }

    ngx_slab_init(sp);

    return zone;
}


void
ngx_stub_zone_destroy(ngx_shm_zone_t *zone)
{
    ngx_shmtx_destroy(&((ngx_slab_pool_t *) zone->shm.addr)->mutex);

    (void) munmap(zone->shm.addr - ngx_pagesize,
                  zone->shm.size + 2 * ngx_pagesize);
    free(zone);
}


void
ngx_stub_slab_fail(ngx_uint_t n)
{
    ngx_stub_failing = n;
    ngx_stub_allocations = 0;
}


ngx_uint_t
ngx_stub_slab_count(void)
{
    return ngx_stub_allocations;
}


ngx_uint_t
ngx_stub_slab_used(ngx_slab_pool_t *pool)
{
    ngx_uint_t        i, n, used;
    ngx_slab_page_t  *page;

    n = ngx_pagesize_shift - pool->min_shift;
    used = 0;

    for (i = 0; i < n; i++) {
        used += pool->stats[i].used;
    }

    /* runs of whole pages: the first is marked, the rest have all bits set */

    for (page = pool->pages; page < pool->last; page++) {
        if ((page->prev & NGX_STUB_SLAB_TYPE) == 0
            && (page->slab & NGX_STUB_SLAB_FIRST)
            && page->slab != (uintptr_t) -1)
        {
            used++;
        }
    }

    return used;
}


ngx_uint_t
ngx_stub_logged(ngx_uint_t level)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i <= level; i++) {
        n += ngx_stub_lines[i];
    }

    return n;
}


void *
__wrap_ngx_slab_alloc(ngx_slab_pool_t *pool, size_t size)
{
    return ngx_stub_slab_fails() ? NULL : __real_ngx_slab_alloc(pool, size);
}


void *
__wrap_ngx_slab_alloc_locked(ngx_slab_pool_t *pool, size_t size)
{
    return ngx_stub_slab_fails() ? NULL
                                 : __real_ngx_slab_alloc_locked(pool, size);
}


void *
__wrap_ngx_slab_calloc(ngx_slab_pool_t *pool, size_t size)
{
    return ngx_stub_slab_fails() ? NULL : __real_ngx_slab_calloc(pool, size);
}


void *
__wrap_ngx_slab_calloc_locked(ngx_slab_pool_t *pool, size_t size)
{
    return ngx_stub_slab_fails() ? NULL
                                 : __real_ngx_slab_calloc_locked(pool, size);
}


void *
__wrap_sync_heap_alloc(void *heap, size_t size)
{
    return ngx_stub_slab_fails() ? NULL : __real_sync_heap_alloc(heap, size);
}


static ngx_int_t
ngx_stub_slab_fails(void)
{
    return ++ngx_stub_allocations == ngx_stub_failing;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    u_char   line[NGX_MAX_ERROR_STR], *p;
    va_list  args;

    ngx_stub_lines[ngx_min(level, NGX_LOG_DEBUG)]++;

    if (level >= NGX_LOG_DEBUG) {
        return;
    }

    va_start(args, fmt);
    p = ngx_vslprintf(line, line + sizeof(line), fmt, args);
    va_end(args);

    fprintf(stderr, "# log %d: %.*s\n", (int) level, (int) (p - line), line);
}


void
ngx_debug_point(void)
{
    abort();
}
