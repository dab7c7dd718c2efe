
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_route.h>


struct sync_manifest_s {
    ngx_pool_t     *pool;
    ngx_uint_t      mask;               /* buckets - 1 */
    sync_route_t  **buckets;
};


/* of each name where there is no manifest */

static sync_route_t  sync_route_any = {
    .rate = SYNC_ROUTE_RATE_UNSET,
    .throttle = { 0, 0, sync_string("") },
    .server = 1,
    .client = 1
};


sync_manifest_t *
sync_route_create(ngx_pool_t *pool, ngx_uint_t n)
{
    ngx_uint_t        size;
    sync_manifest_t  *m;

    m = ngx_palloc(pool, sizeof(sync_manifest_t));
    if (m == NULL) {
        return NULL;
    }

    for (size = 16; size < n * 2; size *= 2) { /* void */ }

    m->pool = pool;
    m->mask = size - 1;

    m->buckets = ngx_pcalloc(pool, size * sizeof(sync_route_t *));
    if (m->buckets == NULL) {
        return NULL;
    }

    return m;
}


ngx_int_t
sync_route_add(sync_manifest_t *m, sync_route_t *route)
{
    sync_route_t  *rt, **bucket;

    route->hash = ngx_hash_key(route->name.data, route->name.len);

    bucket = &m->buckets[route->hash & m->mask];

    for (rt = *bucket; rt; rt = rt->next) {
        if (sync_str_eq(&rt->name, &route->name)) {
            return SYNC_DECLINED;
        }
    }

    route->next = *bucket;
    *bucket = route;

    return SYNC_OK;
}


sync_route_t *
sync_route_lookup(sync_settings_t *s, sync_str_t *full)
{
    ngx_uint_t     hash;
    sync_route_t  *rt;

    if (s->manifest == NULL) {
        return &sync_route_any;
    }

    hash = ngx_hash_key(full->data, full->len);

    for (rt = s->manifest->buckets[hash & s->manifest->mask];
         rt;
         rt = rt->next)
    {
        if (rt->hash == hash && sync_str_eq(&rt->name, full)) {
            return rt;
        }
    }

    return NULL;
}
