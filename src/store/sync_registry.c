
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_registry.h>
#include <sync_worker.h>


/*
 *     records[] -> record -> record
 *                    |  `--> user: length, bytes
 *                    `-----> members
 *
 * A record is made whole before it is linked, and unlinked before it is
 * freed.  An id is random, so its bytes are a hash already.
 */


/* buckets looked at in one call, at most */
#define SYNC_REGISTRY_PAGE_BUCKETS  4096


/* the structure has the size that is stated */

typedef char sync_record_is_64[sizeof(sync_record_t) == 64 ? 1 : -1];


static sync_record_t **sync_registry_bucket(sync_zone_t *z,
    const u_char *id);


sync_record_t *
sync_registry_add(sync_zone_t *z, sync_transport_e transport,
    const u_char *id, sync_str_t *user, uint64_t cookie)
{
    ngx_uint_t       slot;
    sync_record_t   *rec, **bucket;

    slot = sync_worker_slot(z, z->self);

    sync_zone_lock(z);

    rec = sync_zone_alloc_locked(z, sizeof(sync_record_t));
    if (rec == NULL) {
        sync_zone_unlock(z);
        return NULL;
    }

    ngx_memzero(rec, sizeof(sync_record_t));

    if (user->len) {
        rec->user = sync_zone_alloc_locked(z, 1 + user->len);
        if (rec->user == NULL) {
            sync_zone_free_locked(z, rec);
            sync_zone_unlock(z);
            return NULL;
        }

        rec->user[0] = (u_char) user->len;
        ngx_memcpy(rec->user + 1, user->data, user->len);
    }

    ngx_memcpy(rec->id, id, SYNC_ID_LEN);
    rec->slot = (uint16_t) slot;
    rec->cookie = cookie;
    rec->transport = transport;
    rec->connected = (uint32_t) ngx_time();
    rec->active = rec->connected;

    bucket = sync_registry_bucket(z, rec->id);
    rec->next = *bucket;
    sync_heap_order();

    *bucket = rec;
    sync_worker_count_client_locked(z, slot, 1);

    sync_zone_unlock(z);

    return rec;
}


static sync_record_t **
sync_registry_bucket(sync_zone_t *z, const u_char *id)
{
    uint32_t  hash;

    ngx_memcpy(&hash, id, sizeof(uint32_t));

    return &z->sh->records[hash & z->sh->mask];
}


void
sync_registry_delete_locked(sync_zone_t *z, sync_record_t *rec)
{
    sync_record_t  **p;

    for (p = sync_registry_bucket(z, rec->id); *p != rec; p = &(*p)->next) {
        if (*p == NULL) {
            return;
        }
    }

    *p = rec->next;
    sync_heap_order();

    sync_worker_count_client_locked(z, rec->slot, -1);

    if (rec->user) {
        sync_zone_free_locked(z, rec->user);
    }

    sync_zone_free_locked(z, rec);
}


void
sync_registry_user(sync_record_t *rec, sync_str_t *user)
{
    user->len = rec->user ? rec->user[0] : 0;
    user->data = rec->user ? rec->user + 1 : (u_char *) "";
}


ngx_int_t
sync_registry_set_user(sync_zone_t *z, sync_record_t *rec, sync_str_t *user)
{
    u_char  *p, *old;

    p = NULL;

    sync_zone_lock(z);

    if (user->len) {
        p = sync_zone_alloc_locked(z, 1 + user->len);
        if (p == NULL) {
            sync_zone_unlock(z);
            return SYNC_BUSY;
        }

        p[0] = (u_char) user->len;
        ngx_memcpy(p + 1, user->data, user->len);
        sync_heap_order();
    }

    old = rec->user;
    rec->user = p;
    sync_heap_order();

    if (old) {
        sync_zone_free_locked(z, old);
    }

    sync_zone_unlock(z);

    return SYNC_OK;
}


sync_record_t *
sync_registry_lookup_locked(sync_zone_t *z, const u_char *id)
{
    sync_record_t  *rec;

    for (rec = *sync_registry_bucket(z, id); rec; rec = rec->next) {
        if (ngx_memcmp(rec->id, id, SYNC_ID_LEN) == 0) {
            return rec;
        }
    }

    return NULL;
}


ngx_int_t
sync_registry_info(sync_zone_t *z, const u_char *id,
    sync_record_info_t *info)
{
    sync_record_t  *rec;

    sync_zone_lock(z);

    rec = sync_registry_lookup_locked(z, id);

    if (rec) {
        sync_registry_copy(info, rec);
    }

    sync_zone_unlock(z);

    return rec ? SYNC_OK : SYNC_DECLINED;
}


void
sync_registry_copy(sync_record_info_t *info, sync_record_t *rec)
{
    ngx_memcpy(info->id, rec->id, SYNC_ID_LEN);

    info->connected = rec->connected;
    info->active = rec->active;
    info->left = 0;
    info->nrooms = sync_registry_rooms(rec);
    info->transport = rec->transport;
    info->user_len = 0;

    if (rec->user) {
        info->user_len = rec->user[0];
        ngx_memcpy(info->user, rec->user + 1, rec->user[0]);
    }
}


ngx_uint_t
sync_registry_page(sync_zone_t *z, uint32_t *bucket,
    sync_record_info_t *info, ngx_uint_t n)
{
    ngx_uint_t      i, len, copied;
    sync_record_t  *rec;

    copied = 0;

    sync_zone_lock(z);

    for (i = 0; i < SYNC_REGISTRY_PAGE_BUCKETS; i++) {

        if (*bucket > z->sh->mask) {
            break;
        }

        len = 0;

        for (rec = z->sh->records[*bucket]; rec; rec = rec->next) {
            len++;
        }

        if (copied && copied + len > n) {
            break;
        }

        for (rec = z->sh->records[*bucket]; rec && copied < n; rec = rec->next)
        {
            sync_registry_copy(&info[copied++], rec);
        }

        (*bucket)++;
    }

    sync_zone_unlock(z);

    return copied;
}


void
sync_registry_print_id(u_char *text, const u_char *id)
{
    ngx_str_t  src, dst;

    src.len = SYNC_ID_LEN;
    src.data = (u_char *) id;
    dst.data = text;

    ngx_encode_base64url(&dst, &src);
}


ngx_int_t
sync_registry_parse_id(u_char *id, const u_char *text, size_t len)
{
    u_char     buf[SYNC_ID_LEN + 2], again[SYNC_ID_TEXT];
    ngx_str_t  src, dst;

    if (len != SYNC_ID_TEXT) {
        return SYNC_ERROR;
    }

    src.len = len;
    src.data = (u_char *) text;
    dst.data = buf;

    if (ngx_decode_base64url(&dst, &src) != NGX_OK
        || dst.len != SYNC_ID_LEN)
    {
        return SYNC_ERROR;
    }

    /* an id has one text: the last character has bits to spare */

    sync_registry_print_id(again, buf);

    if (ngx_memcmp(again, text, SYNC_ID_TEXT) != 0) {
        return SYNC_ERROR;
    }

    ngx_memcpy(id, buf, SYNC_ID_LEN);

    return SYNC_OK;
}
