
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_md5.h>
#include <sync_absent.h>
#include <sync_room.h>


/* buckets looked at, and entries freed, each time the lock is held */
#define SYNC_ABSENT_BUCKETS  1024
#define SYNC_ABSENT_FREED    64


static sync_absent_t **sync_absent_find_locked(sync_zone_t *z,
    const u_char *id);
static void sync_absent_free_locked(sync_zone_t *z, sync_absent_t **p);
static ngx_uint_t sync_absent_over(sync_absent_t *a);


void
sync_absent_key(sync_zone_t *z, u_char *key, const u_char *id)
{
    ngx_md5_t  md5;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, z->sh->key, sizeof(z->sh->key));
    ngx_md5_update(&md5, "absent", sizeof("absent") - 1);
    ngx_md5_update(&md5, id, SYNC_ID_LEN);
    ngx_md5_update(&md5, z->sh->key, sizeof(z->sh->key));
    ngx_md5_final(key, &md5);
}


ngx_int_t
sync_absent_put(sync_zone_t *z, const u_char *id, uint64_t deadline,
    ngx_uint_t max, const u_char *data, size_t len)
{
    sync_absent_t  *a, **p;

    sync_zone_lock(z);

    p = sync_absent_find_locked(z, id);

    if (*p) {
        sync_absent_free_locked(z, p);
    }

    a = NULL;

    if (z->sh->nabsents < max && !sync_room_pressed_locked(z)) {
        a = sync_zone_alloc_locked(z, offsetof(sync_absent_t, data) + len);
    }

    if (a == NULL) {
        sync_zone_unlock(z);
        return SYNC_BUSY;
    }

    ngx_memcpy(a->id, id, SYNC_ID_LEN);
    ngx_memcpy(a->data, data, len);
    a->len = (uint32_t) len;
    a->deadline = deadline;
    a->next = NULL;
    sync_heap_order();

    p = sync_absent_find_locked(z, id);
    *p = a;
    z->sh->nabsents++;

    sync_zone_unlock(z);

    return SYNC_OK;
}


/* Where it is linked, or where it would be: at its bucket's end. */

static sync_absent_t **
sync_absent_find_locked(sync_zone_t *z, const u_char *id)
{
    uint32_t         hash;
    sync_absent_t  **p;

    /* an id is random, so its bytes are a hash already */

    ngx_memcpy(&hash, id, sizeof(uint32_t));

    for (p = &z->sh->absents[hash & z->sh->sid_mask]; *p; p = &(*p)->next) {
        if (ngx_memcmp((*p)->id, id, SYNC_ID_LEN) == 0) {
            break;
        }
    }

    return p;
}


static void
sync_absent_free_locked(sync_zone_t *z, sync_absent_t **p)
{
    sync_absent_t  *a;

    a = *p;

    *p = a->next;
    sync_heap_order();

    z->sh->nabsents--;

    sync_zone_free_locked(z, a);
}


ssize_t
sync_absent_take(sync_zone_t *z, const u_char *id, u_char *buf, size_t size,
    uint64_t *deadline)
{
    ssize_t         n;
    sync_absent_t  *a, **p;

    n = SYNC_DECLINED;

    sync_zone_lock(z);

    p = sync_absent_find_locked(z, id);
    a = *p;

    if (a) {

        if (!sync_absent_over(a) && a->len <= size) {
            n = a->len;
            *deadline = a->deadline;
            ngx_memcpy(buf, a->data, n);
        }

        sync_absent_free_locked(z, p);
    }

    sync_zone_unlock(z);

    return n;
}


static ngx_uint_t
sync_absent_over(sync_absent_t *a)
{
    return (ngx_msec_int_t) (a->deadline - ngx_current_msec) <= 0;
}


ngx_int_t
sync_absent_drop(sync_zone_t *z, const u_char *id)
{
    ngx_int_t        rc;
    sync_absent_t  **p;

    rc = SYNC_DECLINED;

    sync_zone_lock(z);

    p = sync_absent_find_locked(z, id);

    if (*p) {
        sync_absent_free_locked(z, p);
        rc = SYNC_OK;
    }

    sync_zone_unlock(z);

    return rc;
}


void
sync_absent_expire(sync_zone_t *z)
{
    ngx_uint_t       i, n;
    sync_absent_t  **p;

    n = 0;

    sync_zone_lock(z);

    for (i = 0; i < SYNC_ABSENT_BUCKETS && z->sh->nabsents; i++) {

        p = &z->sh->absents[z->sh->absent_bucket & z->sh->sid_mask];

        while (*p && n < SYNC_ABSENT_FREED) {

            if (sync_absent_over(*p)) {
                sync_absent_free_locked(z, p);
                n++;

            } else {
                p = &(*p)->next;
            }
        }

        if (n == SYNC_ABSENT_FREED) {
            break;
        }

        z->sh->absent_bucket++;
    }

    sync_zone_unlock(z);
}


void
sync_absent_mend(sync_zone_t *z)
{
    uint32_t        i;
    sync_absent_t  *a;

    z->sh->nabsents = 0;

    for (i = 0; i <= z->sh->sid_mask; i++) {
        for (a = z->sh->absents[i]; a; a = a->next) {
            z->sh->nabsents++;
        }
    }
}


const char *
sync_absent_check(sync_zone_t *z, size_t *used)
{
    uint32_t        i, hash;
    ngx_uint_t      n;
    sync_absent_t  *a;

    n = 0;

    for (i = 0; i <= z->sh->sid_mask; i++) {
        for (a = z->sh->absents[i]; a; a = a->next) {
            n++;

            if (!sync_heap_is_block(&z->sh->heap, a)) {
                return "absent client: no block";
            }

            ngx_memcpy(&hash, a->id, sizeof(uint32_t));

            if ((hash & z->sh->sid_mask) != i) {
                return "absent client: wrong bucket";
            }

            *used += sync_heap_block_size(&z->sh->heap, a);
        }
    }

    return (n == z->sh->nabsents) ? NULL
                                  : "zone: wrong count of absent clients";
}
