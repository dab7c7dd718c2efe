
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_sha1.h>
#include <sync_session_store.h>
#include <sync_holder.h>
#include <sync_room.h>


/*
 * The chains are single links: a session appears and goes by one store.
 * While one is being changed it is stamped, for it may be in the bucket of
 * its old user, of the new one or of none, and the mender looks.
 *
 *     make:    session filled --> bucket
 *     set:     value filled --> out of users --> value --> into users
 *     remove:  out of users --> out of bucket --> freed
 */


/* buckets and sessions looked at each time the lock is held */
#define SYNC_SESSION_BUCKETS  512
#define SYNC_SESSION_LOOKS    512


static sync_session_t **sync_session_bucket(sync_zone_t *z, uint32_t realm,
    const u_char *id);
static sync_session_t **sync_session_users(sync_zone_t *z, uint32_t realm,
    const u_char *user, size_t len);
static ngx_uint_t sync_session_is(sync_session_value_t *v,
    const sync_session_data_t *data);
static ngx_uint_t sync_session_expired(sync_session_t *s);
static ngx_int_t sync_session_copy(sync_session_t *s, ngx_msec_t ttl,
    sync_session_copy_t *copy);
static void sync_session_live(sync_session_t *s, ngx_msec_t ttl);
static ngx_int_t sync_session_assign(sync_zone_t *z, sync_session_t *s,
    const sync_session_data_t *data, ngx_msec_t ttl);
static void sync_session_link_user(sync_zone_t *z, sync_session_t *s);
static void sync_session_unlink_user(sync_zone_t *z, sync_session_t *s);
static void sync_session_free_locked(sync_zone_t *z, sync_session_t *s);
static ngx_uint_t sync_session_held(sync_zone_t *z, sync_session_t *s);
static ngx_uint_t sync_session_is_of(sync_session_t *s, uint32_t realm,
    const sync_str_t *user);
static int ngx_libc_cdecl sync_session_older(const void *one,
    const void *two);
static void sync_session_place(sync_session_t *s, sync_session_mark_t *marks,
    ngx_uint_t n, u_char *buf);
static ngx_uint_t sync_session_review(sync_zone_t *z, sync_session_t *s);
static ngx_uint_t sync_session_review_asked(sync_zone_t *z,
    sync_session_t *s);
static ngx_uint_t sync_session_told(sync_session_t *s);


#define sync_session_user_of(v)  ((v)->data + (v)->len)

/* ms since then, less than 0 if it is to come */

#define sync_session_past(t)  ((ngx_msec_int_t) (ngx_current_msec - (t)))


void
sync_token_id(u_char *id, const sync_str_t *token)
{
    ngx_sha1_t  sha1;
    u_char      digest[20];

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, token->data, token->len);
    ngx_sha1_final(digest, &sha1);

    ngx_memcpy(id, digest, SYNC_ID_LEN);
}


void
sync_token_room(sync_str_t *name, u_char *buf, const u_char *id)
{
    buf[0] = SYNC_NAME_PRIVATE;
    sync_registry_print_id(buf + 1, id);

    name->data = buf;
    name->len = SYNC_TOKEN_ROOM;
}


/* Who chooses tokens does not know the key by which they are spread. */

static sync_session_t **
sync_session_bucket(sync_zone_t *z, uint32_t realm, const u_char *id)
{
    uint32_t  hash;

    hash = sync_zone_hash(z, id, SYNC_ID_LEN) + realm;

    return &z->sh->sessions[hash & z->sh->sid_mask];
}


static sync_session_t **
sync_session_users(sync_zone_t *z, uint32_t realm, const u_char *user,
    size_t len)
{
    uint32_t  hash;

    hash = sync_zone_hash(z, user, len) + realm;

    return &z->sh->users[hash & z->sh->sid_mask];
}


sync_session_t *
sync_session_store_lookup_locked(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token)
{
    u_char  id[SYNC_ID_LEN];

    sync_token_id(id, token);

    return sync_session_store_find_locked(z, realm, id);
}


sync_session_t *
sync_session_store_find_locked(sync_zone_t *z, uint32_t realm,
    const u_char *id)
{
    sync_session_t  *s;

    for (s = *sync_session_bucket(z, realm, id); s; s = s->next) {

        if (s->realm == realm && ngx_memcmp(s->id, id, SYNC_ID_LEN) == 0) {
            return s;
        }
    }

    return NULL;
}


sync_session_t *
sync_session_store_make(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token)
{
    u_char           id[SYNC_ID_LEN];
    sync_session_t  *s;

    sync_token_id(id, token);

    sync_zone_lock(z);

    s = sync_session_store_find_locked(z, realm, id);

    if (s == NULL) {
        s = sync_session_store_make_locked(z, realm, id, token);
    }

    if (s) {
        s->used = ngx_current_msec;
    }

    sync_zone_unlock(z);

    return s;
}


sync_session_t *
sync_session_store_make_locked(sync_zone_t *z, uint32_t realm,
    const u_char *id, const sync_str_t *token)
{
    sync_session_t  *s, **bucket;

    s = sync_zone_alloc_locked(z, offsetof(sync_session_t, token)
                                  + token->len);
    if (s == NULL) {
        return NULL;
    }

    ngx_memzero(s, sizeof(sync_session_t));

    ngx_memcpy(s->id, id, SYNC_ID_LEN);
    s->version = ++z->sh->session_version;
    s->used = ngx_current_msec;
    s->stamp = 1;
    s->realm = realm;
    s->len = (uint16_t) token->len;
    ngx_memcpy(s->token, token->data, token->len);

    bucket = sync_session_bucket(z, realm, id);
    s->next = *bucket;
    sync_heap_order();

    *bucket = s;
    z->sh->nsessions++;

    return s;
}


ngx_int_t
sync_session_store_read(sync_zone_t *z, sync_session_t *s, ngx_msec_t ttl,
    sync_session_copy_t *copy)
{
    ngx_int_t  rc;

    sync_zone_lock(z);

    rc = sync_session_copy(s, ttl, copy);

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_session_store_get(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, ngx_msec_t ttl, sync_session_copy_t *copy)
{
    u_char           id[SYNC_ID_LEN];
    ngx_int_t        rc;
    sync_session_t  *s;

    sync_token_id(id, token);

    sync_zone_lock(z);

    s = sync_session_store_find_locked(z, realm, id);
    rc = s ? sync_session_copy(s, ttl, copy) : SYNC_BUSY;

    sync_zone_unlock(z);

    return rc;
}


static ngx_int_t
sync_session_copy(sync_session_t *s, ngx_msec_t ttl,
    sync_session_copy_t *copy)
{
    sync_session_value_t  *v;

    if (s->state == SYNC_SESSION_UNKNOWN) {
        return SYNC_BUSY;
    }

    copy->late = sync_session_is_asked(s->realm)
                 && sync_session_past(s->due) >= 0;

    if (copy->late && !copy->old
        && sync_session_past(s->due) >= SYNC_SESSION_GRACE)
    {
        return SYNC_BUSY;
    }

    v = s->value;

    copy->version = s->version;
    s->used = ngx_current_msec;

    /* one that has ended is there until it is told of */

    if (v == NULL || sync_session_expired(s)) {
        return SYNC_DECLINED;
    }

    copy->need = v->len;

    if (copy->size < v->len) {
        return SYNC_AGAIN;
    }

    if (ttl) {
        sync_session_live(s, ttl);
    }

    copy->len = v->len;
    copy->left = s->lasts ? 0 : s->expires - ngx_current_msec;
    copy->slid = s->slid;
    copy->user_len = v->user_len;

    ngx_memcpy(copy->buf, v->data, v->len);
    ngx_memcpy(copy->user, sync_session_user_of(v), v->user_len);

    return SYNC_OK;
}


static ngx_uint_t
sync_session_expired(sync_session_t *s)
{
    return !s->lasts && sync_session_past(s->expires) >= 0;
}


static void
sync_session_live(sync_session_t *s, ngx_msec_t ttl)
{
    s->expires = ngx_current_msec + ttl;
    s->slid = ngx_current_msec;
    s->lasts = (ttl == 0);
}


ngx_int_t
sync_session_store_set(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, const sync_session_data_t *data, ngx_msec_t ttl,
    uint64_t version, uint32_t stamp, sync_session_change_t *change)
{
    ngx_int_t        rc;
    sync_session_t  *s;

    sync_token_id(change->id, token);
    change->realm = realm;

    sync_zone_lock(z);

    s = sync_session_store_find_locked(z, realm, change->id);

    if (version && (s == NULL || s->version != version)) {
        sync_zone_unlock(z);
        return SYNC_AGAIN;
    }

    if (s == NULL) {

        if (data == NULL) {
            sync_zone_unlock(z);
            return SYNC_DECLINED;
        }

        s = sync_session_store_make_locked(z, realm, change->id, token);

        if (s == NULL) {
            sync_zone_unlock(z);
            return SYNC_BUSY;
        }
    }

    if (stamp && stamp != s->stamp) {
        sync_zone_unlock(z);
        return SYNC_AGAIN;
    }

    s->used = ngx_current_msec;

    if (sync_session_is(s->value, data) && (data == NULL || !data->anew)) {

        if (data) {
            sync_session_live(s, ttl);
        }

        s->state = SYNC_SESSION_KNOWN;
        change->version = s->version;
        sync_zone_unlock(z);
        return SYNC_DECLINED;
    }

    rc = sync_session_assign(z, s, data, ttl);

    /* what is kept elsewhere is another one there by now */

    if (rc != SYNC_OK && realm) {
        s->state = SYNC_SESSION_UNKNOWN;
    }

    change->version = s->version;

    /* nobody has to be told, and none is found here as easily */

    if (s->value == NULL && realm == 0 && !sync_session_held(z, s)) {
        sync_session_free_locked(z, s);
    }

    sync_zone_unlock(z);

    return rc;
}


static ngx_uint_t
sync_session_is(sync_session_value_t *v, const sync_session_data_t *data)
{
    if (v == NULL || data == NULL) {
        return v == NULL && data == NULL;
    }

    return v->len == data->json.len
           && ngx_memcmp(v->data, data->json.data, v->len) == 0;
}


static ngx_int_t
sync_session_assign(sync_zone_t *z, sync_session_t *s,
    const sync_session_data_t *data, ngx_msec_t ttl)
{
    sync_session_value_t  *v, *old;

    v = NULL;

    if (data) {
        v = sync_zone_alloc_locked(z, offsetof(sync_session_value_t, data)
                                      + data->json.len + data->user.len);
        if (v == NULL) {
            return SYNC_BUSY;
        }

        v->len = (uint32_t) data->json.len;
        v->user_len = (uint8_t) data->user.len;

        ngx_memcpy(v->data, data->json.data, data->json.len);
        ngx_memcpy(sync_session_user_of(v), data->user.data, data->user.len);

        sync_session_live(s, ttl);
    }

    z->sh->stamp.session = s;
    sync_heap_order();

    old = s->value;

    if (old) {
        sync_session_unlink_user(z, s);
    }

    sync_heap_order();
    s->value = v;
    sync_heap_order();

    if (v) {
        sync_session_link_user(z, s);
    }

    s->version = ++z->sh->session_version;
    s->state = SYNC_SESSION_KNOWN;

    if (old == NULL || (data && data->anew)) {
        s->began = s->version;
    }

    sync_heap_order();
    z->sh->stamp.session = NULL;
    sync_heap_order();

    if (old) {
        sync_zone_free_locked(z, old);
    }

    return SYNC_OK;
}


static void
sync_session_link_user(sync_zone_t *z, sync_session_t *s)
{
    sync_session_t  **bucket;

    bucket = sync_session_users(z, s->realm, sync_session_user_of(s->value),
                                s->value->user_len);
    s->user = *bucket;
    sync_heap_order();

    *bucket = s;
}


static void
sync_session_unlink_user(sync_zone_t *z, sync_session_t *s)
{
    sync_session_t  **p;

    p = sync_session_users(z, s->realm, sync_session_user_of(s->value),
                           s->value->user_len);

    while (*p) {

        if (*p == s) {
            *p = s->user;
            return;
        }

        p = &(*p)->user;
    }
}


static void
sync_session_free_locked(sync_zone_t *z, sync_session_t *s)
{
    sync_session_t        **p;
    sync_session_value_t   *v;

    z->sh->stamp.session = s;
    sync_heap_order();

    v = s->value;

    if (v) {
        sync_session_unlink_user(z, s);
        sync_heap_order();
    }

    p = sync_session_bucket(z, s->realm, s->id);

    while (*p != s) {
        p = &(*p)->next;
    }

    *p = s->next;
    sync_heap_order();

    z->sh->nsessions--;

    z->sh->stamp.session = NULL;
    sync_heap_order();

    if (v) {
        sync_zone_free_locked(z, v);
    }

    sync_zone_free_locked(z, s);
}


/* Whether a client has the token. */

static ngx_uint_t
sync_session_held(sync_zone_t *z, sync_session_t *s)
{
    u_char       buf[SYNC_TOKEN_ROOM];
    sync_str_t   name;

    sync_token_room(&name, buf, s->id);

    return sync_room_lookup_locked(z, &name) != NULL;
}


size_t
sync_session_store_token(sync_zone_t *z, uint32_t realm, const u_char *id,
    u_char *buf)
{
    size_t           len;
    sync_session_t  *s;

    len = 0;

    sync_zone_lock(z);

    s = sync_session_store_find_locked(z, realm, id);

    if (s) {
        len = s->len;
        ngx_memcpy(buf, s->token, len);
    }

    sync_zone_unlock(z);

    return len;
}


uint32_t
sync_session_store_stamp(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token)
{
    u_char           id[SYNC_ID_LEN];
    uint32_t         stamp;
    sync_session_t  *s;

    sync_token_id(id, token);
    stamp = 0;

    sync_zone_lock(z);

    s = sync_session_store_find_locked(z, realm, id);

    if (s == NULL) {
        s = sync_session_store_make_locked(z, realm, id, token);
    }

    if (s) {
        s->used = ngx_current_msec;
        stamp = s->stamp;
    }

    sync_zone_unlock(z);

    return stamp;
}


uint32_t
sync_session_store_outdated(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token)
{
    uint32_t         stamp;
    sync_session_t  *s;

    stamp = 0;

    sync_zone_lock(z);

    s = sync_session_store_lookup_locked(z, realm, token);

    if (s) {
        s->stamp += (s->stamp == (uint32_t) -1) ? 2 : 1;
        stamp = s->stamp;
    }

    sync_zone_unlock(z);

    return stamp;
}


ngx_uint_t
sync_session_store_slides(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, ngx_msec_t ms)
{
    ngx_uint_t       slides;
    sync_session_t  *s;

    slides = 0;

    sync_zone_lock(z);

    s = sync_session_store_lookup_locked(z, realm, token);

    if (s && s->value && ngx_current_msec - s->slid >= ms) {
        s->slid = ngx_current_msec;
        slides = 1;
    }

    sync_zone_unlock(z);

    return slides;
}


ngx_uint_t
sync_session_store_page(sync_zone_t *z, uint32_t realm, uint32_t *bucket,
    ngx_uint_t unknown, u_char *buf, size_t size)
{
    size_t           need;
    u_char          *p;
    ngx_uint_t       i, n;
    sync_session_t  *s;

    n = 0;
    p = buf;

    sync_zone_lock(z);

    for (i = 0; i < SYNC_SESSION_BUCKETS && *bucket <= z->sh->sid_mask; i++) {

        need = 0;

        for (s = z->sh->sessions[*bucket]; s; s = s->next) {
            need += sizeof(uint16_t) + s->len;
        }

        if (n && need > (size_t) (buf + size - p)) {
            break;
        }

        for (s = z->sh->sessions[*bucket]; s; s = s->next) {

            if (s->realm != realm
                || sizeof(uint16_t) + s->len > (size_t) (buf + size - p))
            {
                continue;
            }

            if (unknown) {
                s->state = SYNC_SESSION_UNKNOWN;
            }

            ngx_memcpy(p, &s->len, sizeof(uint16_t));
            p = ngx_cpymem(p + sizeof(uint16_t), s->token, s->len);
            n++;
        }

        (*bucket)++;
    }

    sync_zone_unlock(z);

    return n;
}


/*
 * The bucket is gone through twice, and sorted in between without the lock:
 * however many there are, the time that it is held is proportional to that.
 */

ngx_uint_t
sync_session_store_tokens(sync_zone_t *z, uint32_t realm,
    const sync_str_t *user, sync_session_mark_t *marks, ngx_uint_t n,
    u_char *buf, size_t size, ngx_uint_t *total)
{
    size_t           offset;
    u_char          *p;
    ngx_uint_t       i, k, max;
    sync_session_t  *s;

    max = n;
    n = 0;
    *total = 0;

    sync_zone_lock(z);

    for (s = *sync_session_users(z, realm, user->data, user->len);
         s;
         s = s->user)
    {
        if (!sync_session_is_of(s, realm, user)) {
            continue;
        }

        (*total)++;

        if (n < max) {
            marks[n].began = s->began;
            marks[n].len = s->len;
            n++;
        }
    }

    sync_zone_unlock(z);

    ngx_qsort(marks, n, sizeof(sync_session_mark_t), sync_session_older);

    offset = 0;

    for (i = 0; i < n; i++) {

        if (size - offset < sizeof(uint16_t) + marks[i].len) {
            break;
        }

        marks[i].offset = (uint32_t) offset;
        marks[i].found = 0;
        offset += sizeof(uint16_t) + marks[i].len;
    }

    n = i;

    sync_zone_lock(z);

    for (s = *sync_session_users(z, realm, user->data, user->len);
         s;
         s = s->user)
    {
        if (sync_session_is_of(s, realm, user)) {
            sync_session_place(s, marks, n, buf);
        }
    }

    sync_zone_unlock(z);

    /* some may be gone since */

    p = buf;
    k = 0;

    for (i = 0; i < n; i++) {

        if (marks[i].found) {
            ngx_memmove(p, buf + marks[i].offset,
                        sizeof(uint16_t) + marks[i].len);
            p += sizeof(uint16_t) + marks[i].len;
            k++;
        }
    }

    return k;
}


static ngx_uint_t
sync_session_is_of(sync_session_t *s, uint32_t realm, const sync_str_t *user)
{
    sync_session_value_t  *v;

    v = s->value;

    return s->realm == realm
           && v->user_len == user->len
           && ngx_memcmp(sync_session_user_of(v), user->data, user->len) == 0
           && !sync_session_expired(s);
}


sync_session_t *
sync_session_store_next_locked(sync_zone_t *z, uint32_t realm,
    const sync_str_t *user, sync_session_t *s)
{
    for (s = s ? s->user
               : *sync_session_users(z, realm, user->data, user->len);
         s;
         s = s->user)
    {
        if (s->realm == realm
            && s->value->user_len == user->len
            && ngx_memcmp(sync_session_user_of(s->value), user->data,
                          user->len)
               == 0)
        {
            break;
        }
    }

    return s;
}


static int ngx_libc_cdecl
sync_session_older(const void *one, const void *two)
{
    const sync_session_mark_t  *a, *b;

    a = one;
    b = two;

    return (a->began > b->began) - (a->began < b->began);
}


/* Writes the token where its mark says. */

static void
sync_session_place(sync_session_t *s, sync_session_mark_t *marks,
    ngx_uint_t n, u_char *buf)
{
    u_char      *p;
    ngx_uint_t   i, first, last;

    first = 0;
    last = n;

    while (first < last) {
        i = (first + last) / 2;

        if (marks[i].began < s->began) {
            first = i + 1;

        } else {
            last = i;
        }
    }

    if (first == n
        || marks[first].began != s->began
        || marks[first].len != s->len)
    {
        return;
    }

    marks[first].found = 1;

    p = buf + marks[first].offset;

    ngx_memcpy(p, &s->len, sizeof(uint16_t));
    ngx_memcpy(p + sizeof(uint16_t), s->token, s->len);
}


ngx_uint_t
sync_session_store_expire(sync_zone_t *z, uint32_t *bucket,
    sync_session_change_t *changes, ngx_uint_t n)
{
    ngx_uint_t       i, looks, changed;
    sync_session_t  *s, *next;

    changed = 0;
    looks = 0;

    sync_zone_lock(z);

    for (i = 0; i < SYNC_SESSION_BUCKETS && looks < SYNC_SESSION_LOOKS; i++) {

        if (*bucket > z->sh->sid_mask) {
            break;
        }

        for (s = z->sh->sessions[*bucket]; s; s = next) {
            next = s->next;
            looks++;

            if (changed == n) {
                sync_zone_unlock(z);
                return changed;
            }

            if (sync_session_review(z, s)) {
                ngx_memcpy(changes[changed].id, s->id, SYNC_ID_LEN);
                changes[changed].version = s->version;
                changes[changed].realm = s->realm;
                changed++;
            }
        }

        (*bucket)++;
    }

    sync_zone_unlock(z);

    return changed;
}


/* Returns 1 if it is to be told of; it may be gone if it is not. */

static ngx_uint_t
sync_session_review(sync_zone_t *z, sync_session_t *s)
{
    sync_str_t  token;

    if (sync_session_is_asked(s->realm)) {
        return sync_session_review_asked(z, s);
    }

    if (s->value && sync_session_expired(s)) {

        /* what is kept elsewhere may live on there */

        if (s->realm == 0) {
            (void) sync_session_assign(z, s, NULL, 0);
        }

        if (sync_session_held(z, s)) {
            return sync_session_told(s);
        }
    }

    token.data = s->token;
    token.len = s->len;

    /* what is kept elsewhere is not kept here for nobody */

    if ((s->value == NULL || s->realm || sync_token_is_bound(&token))
        && sync_session_past(s->used) > (s->value ? SYNC_SESSION_IDLE
                                                  : SYNC_SESSION_NONE)
        && !sync_session_held(z, s))
    {
        sync_session_free_locked(z, s);
    }

    return 0;
}


/* What clients have in it is kept for a while after the last of them. */

static ngx_uint_t
sync_session_review_asked(sync_zone_t *z, sync_session_t *s)
{
    ngx_uint_t  over;

    over = s->value ? sync_session_expired(s)
                    : sync_session_past(s->used) > SYNC_SESSION_NONE;

    if ((!over && s->state == SYNC_SESSION_KNOWN
         && sync_session_past(s->due) < 0)
        || sync_holder_worker(z, s->asker))
    {
        return 0;
    }

    if (sync_session_held(z, s)) {
        return sync_session_told(s);
    }

    if (over) {
        sync_session_free_locked(z, s);
    }

    return 0;
}


static ngx_uint_t
sync_session_told(sync_session_t *s)
{
    if (s->realm == 0) {
        return 1;
    }

    if (sync_session_past(s->told) < SYNC_SESSION_AGAIN) {
        return 0;
    }

    s->told = ngx_current_msec;

    return 1;
}


void
sync_session_store_mend(sync_zone_t *z, sync_session_t *session)
{
    uint32_t          i;
    ngx_uint_t        there;
    sync_session_t   *s, **p;

    there = 0;
    z->sh->nsessions = 0;

    for (i = 0; i <= z->sh->sid_mask; i++) {

        for (s = z->sh->sessions[i]; s; s = s->next) {
            z->sh->nsessions++;
            there |= (s == session);
        }
    }

    if (session == NULL) {
        return;
    }

    /* it may be in one of the buckets, and is taken out of that */

    for (i = 0; i <= z->sh->sid_mask; i++) {

        for (p = &z->sh->users[i]; *p; p = &(*p)->user) {

            if (*p == session) {
                *p = session->user;
                break;
            }
        }
    }

    sync_heap_order();

    if (there && session->value) {
        sync_session_link_user(z, session);
    }
}


const char *
sync_session_store_check(sync_zone_t *z, size_t *used)
{
    uint32_t         i;
    ngx_uint_t       n, nvalues, nusers;
    sync_session_t  *s;

    n = 0;
    nvalues = 0;
    nusers = 0;
    *used = 0;

    for (i = 0; i <= z->sh->sid_mask; i++) {

        for (s = z->sh->sessions[i]; s; s = s->next) {
            n++;

            if (sync_session_bucket(z, s->realm, s->id)
                != &z->sh->sessions[i])
            {
                return "session: wrong bucket";
            }

            *used += sync_heap_block_size(&z->sh->heap, s);

            if (s->value) {
                nvalues++;
                *used += sync_heap_block_size(&z->sh->heap, s->value);
            }
        }

        for (s = z->sh->users[i]; s; s = s->user) {
            nusers++;

            if (s->value == NULL) {
                return "session: of a user, without a value";
            }

            if (sync_session_users(z, s->realm,
                                   sync_session_user_of(s->value),
                                   s->value->user_len)
                != &z->sh->users[i])
            {
                return "session: wrong bucket of users";
            }
        }
    }

    if (nusers != nvalues) {
        return "session: not among its user's";
    }

    return (n == z->sh->nsessions) ? NULL : "zone: wrong count of tokens";
}
