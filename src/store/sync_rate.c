
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_rate.h>


static sync_rate_t *sync_rate_lookup_locked(sync_zone_t *z, uint64_t key);
static sync_rate_t *sync_rate_take_locked(sync_zone_t *z, uint64_t key,
    uint64_t now);


#define sync_rate_set(z, key)                                                 \
    ((z)->sh->rates                                                           \
     + ((key) & (z)->sh->rate_mask) * SYNC_RATE_SET)


uint64_t
sync_rate_key(sync_zone_t *z, const u_char *data, size_t len)
{
    return sync_zone_hash64(z, data, len);
}


ngx_int_t
sync_rate_hit(sync_zone_t *z, uint64_t key, sync_rate_limit_t *limit,
    uint64_t now, ngx_msec_t *left)
{
    ngx_int_t     rc;
    sync_rate_t  *e;

    if (limit->n == 0) {
        return SYNC_OK;
    }

    rc = SYNC_OK;

    sync_zone_lock(z);

    e = sync_rate_lookup_locked(z, key);

    if (e == NULL) {
        e = sync_rate_take_locked(z, key, now);
    }

    if (e->end <= now) {
        e->end = 0;
        sync_heap_order();

        e->key = key;
        e->count = 0;
        e->others = 0;
        e->told = 0;
        e->start = (uint32_t) now;
        sync_heap_order();

        e->end = now + limit->window;
    }

    if (e->count < NGX_MAX_UINT32_VALUE) {
        e->count++;
    }

    if ((uint64_t) e->count + e->others > limit->n) {
        *left = e->end - now;
        rc = SYNC_BUSY;
    }

    sync_zone_unlock(z);

    return rc;
}


static sync_rate_t *
sync_rate_lookup_locked(sync_zone_t *z, uint64_t key)
{
    ngx_uint_t    i;
    sync_rate_t  *set;

    set = sync_rate_set(z, key);

    for (i = 0; i < SYNC_RATE_SET; i++) {
        if (set[i].end && set[i].key == key) {
            return &set[i];
        }
    }

    return NULL;
}


/* An entry for a key that has none; it is over, or free. */

static sync_rate_t *
sync_rate_take_locked(sync_zone_t *z, uint64_t key, uint64_t now)
{
    ngx_uint_t    i;
    sync_rate_t  *set, *found;

    set = sync_rate_set(z, key);
    found = set;

    for (i = 0; i < SYNC_RATE_SET; i++) {

        if (set[i].end <= now) {
            return &set[i];
        }

        if (set[i].count < found->count
            || (set[i].count == found->count && set[i].end < found->end))
        {
            found = &set[i];
        }
    }

    sync_zone_count(z, SYNC_COUNT_RATE_EVICTED, 1);

    found->end = 0;

    return found;
}


uint32_t
sync_rate_tell(sync_zone_t *z, uint64_t key, uint64_t now, ngx_msec_t *left,
    uint32_t *start)
{
    uint32_t      n;
    sync_rate_t  *e;

    n = 0;

    sync_zone_lock(z);

    e = sync_rate_lookup_locked(z, key);

    if (e && e->end > now) {
        *left = e->end - now;
        *start = e->start;
        n = e->count - e->told;
        e->told = e->count;
    }

    sync_zone_unlock(z);

    return n;
}


void
sync_rate_told(sync_zone_t *z, uint64_t key, uint64_t now, uint32_t start,
    uint64_t total, ngx_msec_t left)
{
    uint64_t      others;
    sync_rate_t  *e;

    sync_zone_lock(z);

    e = sync_rate_lookup_locked(z, key);

    if (e && e->end > now && e->start == start) {

        /*
         * What another worker tells counts as told before it is in a total,
         * and answers may overtake one another.  So one that says less says
         * nothing.
         */

        if (total > e->told) {
            others = ngx_min(total - e->told, NGX_MAX_UINT32_VALUE);
            e->others = (uint32_t) ngx_max(others, e->others);
        }

        if (now + left < e->end) {
            e->end = now + ngx_max(left, 1);
        }
    }

    sync_zone_unlock(z);
}


ngx_int_t
sync_rate_check_locked(sync_zone_t *z)
{
    ngx_uint_t    i, j, n;
    sync_rate_t  *e;

    n = ((ngx_uint_t) z->sh->rate_mask + 1) * SYNC_RATE_SET;
    e = z->sh->rates;

    for (i = 0; i < n; i++) {

        if (e[i].end == 0) {
            continue;
        }

        if (sync_rate_set(z, e[i].key) != &e[i - i % SYNC_RATE_SET]
            || e[i].told > e[i].count)
        {
            return SYNC_ERROR;
        }

        for (j = i - i % SYNC_RATE_SET; j < i; j++) {
            if (e[j].end && e[j].key == e[i].key) {
                return SYNC_ERROR;
            }
        }
    }

    return SYNC_OK;
}
