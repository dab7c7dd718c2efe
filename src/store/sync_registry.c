
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_registry.h>
#include <sync_worker.h>


/*
 *     records[] -> record -> record
 *                    |  `--> user, in clients[]
 *                    `-----> members
 *
 * A record is made whole before it is linked, and unlinked before it is
 * freed; its user is linked after it, and unlinked before it.  An id is random,
 * so its bytes are a hash already.
 */


/* buckets looked at in one call, at most */
#define SYNC_REGISTRY_PAGE_BUCKETS  4096

/* users of a bucket, the same */
#define SYNC_REGISTRY_PAGE_USERS    1024


/* the structure has the size that is stated */

typedef char sync_record_is_64[sizeof(sync_record_t) == 64 ? 1 : -1];


static sync_record_t **sync_registry_bucket(sync_zone_t *z,
    const u_char *id);
static sync_user_t *sync_registry_create_user(sync_zone_t *z,
    sync_record_t *rec, sync_str_t *id);
static void sync_registry_add_user(sync_zone_t *z, sync_user_t *user);
static void sync_registry_remove_user(sync_zone_t *z, sync_user_t *user);
static sync_user_t **sync_registry_clients(sync_zone_t *z, const u_char *id,
    size_t len);
static sync_user_t *sync_registry_resume(sync_zone_t *z, sync_str_t *user,
    sync_registry_cursor_t *cursor);


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
        rec->user = sync_registry_create_user(z, rec, user);
        if (rec->user == NULL) {
            sync_zone_free_locked(z, rec);
            sync_zone_unlock(z);
            return NULL;
        }
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

    if (rec->user) {
        sync_registry_add_user(z, rec->user);
    }

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

    if (rec->user) {
        sync_registry_remove_user(z, rec->user);
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
    user->len = rec->user ? rec->user->len : 0;
    user->data = rec->user ? rec->user->id : (u_char *) "";
}


ngx_int_t
sync_registry_set_user(sync_zone_t *z, sync_record_t *rec, sync_str_t *user)
{
    sync_user_t  *u, *old;

    u = NULL;

    sync_zone_lock(z);

    if (user->len) {
        u = sync_registry_create_user(z, rec, user);
        if (u == NULL) {
            sync_zone_unlock(z);
            return SYNC_BUSY;
        }
    }

    old = rec->user;

    if (old) {
        sync_registry_remove_user(z, old);
    }

    rec->user = u;
    sync_heap_order();

    if (u) {
        sync_registry_add_user(z, u);
    }

    if (old) {
        sync_zone_free_locked(z, old);
    }

    sync_zone_unlock(z);

    return SYNC_OK;
}


static sync_user_t *
sync_registry_create_user(sync_zone_t *z, sync_record_t *rec, sync_str_t *id)
{
    sync_user_t  *user;

    user = sync_zone_alloc_locked(z, offsetof(sync_user_t, id) + id->len);
    if (user == NULL) {
        return NULL;
    }

    user->next = NULL;
    user->place = NULL;
    user->record = rec;
    user->number = 0;
    user->len = (uint8_t) id->len;
    ngx_memcpy(user->id, id->data, id->len);

    sync_heap_order();

    return user;
}


static void
sync_registry_add_user(sync_zone_t *z, sync_user_t *user)
{
    sync_user_t  **bucket;

    bucket = sync_registry_clients(z, user->id, user->len);

    user->number = ++z->sh->user_number;
    user->next = *bucket;
    sync_heap_order();

    z->sh->stamp.user = user;
    sync_heap_order();

    user->place = bucket;

    if (user->next) {
        user->next->place = &user->next;
    }

    sync_heap_order();

    *bucket = user;
    sync_heap_order();

    z->sh->stamp.user = NULL;
    sync_heap_order();
}


static void
sync_registry_remove_user(sync_zone_t *z, sync_user_t *user)
{
    if (user->place == NULL) {
        return;
    }

    z->sh->stamp.user = user;
    sync_heap_order();

    *user->place = user->next;
    sync_heap_order();

    if (user->next) {
        user->next->place = user->place;
    }

    user->place = NULL;
    sync_heap_order();

    z->sh->stamp.user = NULL;
    sync_heap_order();
}


static sync_user_t **
sync_registry_clients(sync_zone_t *z, const u_char *id, size_t len)
{
    return &z->sh->clients[sync_zone_hash(z, id, len) & z->sh->mask];
}


/* Along the links that lead on all is right; it is there or not. */

void
sync_registry_mend_user(sync_zone_t *z, sync_user_t *user)
{
    ngx_uint_t     found;
    sync_user_t  **p;

    found = 0;

    for (p = sync_registry_clients(z, user->id, user->len);
         *p;
         p = &(*p)->next)
    {
        (*p)->place = p;
        found |= (*p == user);
    }

    if (!found) {
        user->place = NULL;
    }
}


ngx_uint_t
sync_registry_of_user(sync_zone_t *z, sync_str_t *user,
    sync_registry_cursor_t *cursor, u_char *ids, ngx_uint_t n,
    ngx_uint_t *more)
{
    ngx_uint_t    i, copied;
    sync_user_t  *u;

    copied = 0;

    sync_zone_lock(z);

    u = sync_registry_resume(z, user, cursor);

    for (i = 0; u && copied < n && i < SYNC_REGISTRY_PAGE_USERS; i++) {

        if (cursor->below == 0 || u->number < cursor->below) {
            cursor->below = u->number;

            if (u->len == user->len
                && ngx_memcmp(u->id, user->data, user->len) == 0)
            {
                ngx_memcpy(ids + copied++ * SYNC_ID_LEN, u->record->id,
                           SYNC_ID_LEN);
            }
        }

        cursor->number = u->number;
        ngx_memcpy(cursor->id, u->record->id, SYNC_ID_LEN);

        u = u->next;
    }

    sync_zone_unlock(z);

    *more = (u != NULL);

    return copied;
}


/* From the start, if the one where it stood is gone. */

static sync_user_t *
sync_registry_resume(sync_zone_t *z, sync_str_t *user,
    sync_registry_cursor_t *cursor)
{
    sync_record_t  *rec;

    rec = cursor->number ? sync_registry_lookup_locked(z, cursor->id) : NULL;

    if (rec && rec->user && rec->user->place
        && rec->user->number == cursor->number)
    {
        return rec->user->next;
    }

    return *sync_registry_clients(z, user->data, user->len);
}


const char *
sync_registry_check_user(sync_zone_t *z, sync_record_t *rec)
{
    sync_user_t  *user;

    user = rec->user;

    if (user == NULL) {
        return NULL;
    }

    if (user->record != rec) {
        return "user: of another record";
    }

    if (user->place == NULL) {
        return z->sh->workers[rec->slot].dead ? NULL : "user: in no chain";
    }

    return (*user->place == user) ? NULL : "user: wrong link back";
}


const char *
sync_registry_check(sync_zone_t *z, ngx_uint_t *n)
{
    uint32_t       i;
    uint64_t       above;
    sync_user_t   *user, **p;

    *n = 0;

    for (i = 0; i <= z->sh->mask; i++) {
        above = (uint64_t) -1;

        for (p = &z->sh->clients[i]; *p; p = &user->next) {
            user = *p;

            if (user->place != p) {
                return "user: wrong link back";
            }

            if (sync_registry_clients(z, user->id, user->len)
                != &z->sh->clients[i])
            {
                return "user: wrong bucket";
            }

            if (user->number >= above) {
                return "user: out of order";
            }

            above = user->number;

            if (sync_registry_lookup_locked(z, user->record->id)
                != user->record
                || user->record->user != user)
            {
                return "user: its record is not there";
            }

            (*n)++;
        }
    }

    return NULL;
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
    info->presence = rec->presence;
    info->away = rec->away;
    info->user_len = 0;

    if (rec->user) {
        info->user_len = rec->user->len;
        ngx_memcpy(info->user, rec->user->id, rec->user->len);
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
