
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_presence_store.h>
#include <sync_room.h>


/*
 *     presences[user] -> entry -> entry
 *
 *     users[user] -> session -> session           of a user, and others
 *                       `--> room of the token -> member -> record
 *
 * An entry that takes the place of another one is linked before that one is
 * freed.  "away" is set in the records before an entry says that the user is
 * afk, and taken back after that has gone: who speaks and finds no entry just
 * clears it.
 */


/* buckets and clients looked at each time the lock is held, at most */
#define SYNC_PRESENCE_BUCKETS  4096
#define SYNC_PRESENCE_CLIENTS  1024


typedef struct {
    uint32_t             realm;
    uint32_t             hash;
    sync_str_t           user;
} sync_presence_key_t;


/* Goes from client to client of a user. */

typedef struct {
    sync_presence_key_t *key;
    sync_session_t      *session;
    sync_room_t         *room;
    ngx_queue_t         *q;
} sync_presence_walk_t;


typedef char sync_presence_is_48[
    offsetof(sync_presence_t, data) == 40 ? 1 : -1];


static ngx_int_t sync_presence_key(sync_zone_t *z, sync_presence_key_t *key,
    uint32_t realm, sync_str_t *user);
static sync_presence_t **sync_presence_find_locked(sync_zone_t *z,
    sync_presence_key_t *key);
static void sync_presence_walk_init(sync_presence_walk_t *w,
    sync_presence_key_t *key);
static sync_record_t *sync_presence_walk(sync_zone_t *z,
    sync_presence_walk_t *w);
static ngx_int_t sync_presence_leave_locked(sync_zone_t *z,
    sync_record_t *rec, sync_presence_key_t *key, sync_str_t *token,
    ngx_msec_t ms, sync_left_e reason, sync_presence_t **left);
static ngx_int_t sync_presence_put_locked(sync_zone_t *z,
    sync_presence_key_t *key, sync_presence_t *head, sync_str_t *token,
    size_t rooms, sync_presence_t **put);
static void sync_presence_free_locked(sync_zone_t *z, sync_presence_t **p);
static size_t sync_presence_size(sync_presence_t *e);
static void sync_presence_clear_locked(sync_zone_t *z,
    sync_presence_key_t *key);
static ngx_int_t sync_presence_taken_locked(sync_zone_t *z,
    sync_presence_key_t *key, sync_presence_copy_t *copy);
static size_t sync_presence_add_rooms(sync_zone_t *z, sync_record_t *rec,
    u_char *buf, size_t len);
static ngx_uint_t sync_presence_has_room(u_char *buf, size_t len,
    sync_room_t *room);
static void sync_presence_copy(sync_presence_copy_t *copy,
    sync_presence_t *e);
static void sync_presence_copy_here(sync_zone_t *z, sync_presence_key_t *key,
    sync_presence_copy_t *copy);
static ngx_uint_t sync_presence_over(sync_presence_t *e);


/* rooms of an entry that is being made; used under the lock */

static u_char  sync_presence_rooms[SYNC_PRESENCE_ROOMS];


sync_str_t  sync_presence_reasons[] = {
    sync_string("transport close"),
    sync_string("transport close"),
    sync_string("transport error"),
    sync_string("ping timeout"),
    sync_string("client namespace disconnect"),
    sync_string("server namespace disconnect"),
    sync_string("forced close"),
    sync_string("server shutting down"),
    sync_string("server namespace disconnect")
};


ngx_int_t
sync_presence_arrive(sync_zone_t *z, sync_record_t *rec, ngx_uint_t place,
    uint32_t realm, sync_presence_copy_t *copy)
{
    ngx_int_t            rc;
    sync_str_t           user;
    sync_presence_key_t  key;

    rc = SYNC_DECLINED;

    sync_registry_user(rec, &user);

    sync_zone_lock(z);

    rec->away = 0;
    rec->presence = (uint8_t) place;

    if (sync_presence_key(z, &key, realm, &user) == SYNC_OK) {
        rc = sync_presence_taken_locked(z, &key, copy);
    }

    sync_zone_unlock(z);

    return rc;
}


static ngx_int_t
sync_presence_key(sync_zone_t *z, sync_presence_key_t *key, uint32_t realm,
    sync_str_t *user)
{
    if (user->len == 0) {
        return SYNC_DECLINED;
    }

    key->realm = realm;
    key->hash = sync_zone_hash(z, user->data, user->len) + realm;
    key->user = *user;

    return SYNC_OK;
}


/* Where it is linked, or where it would be: at its bucket's end. */

static sync_presence_t **
sync_presence_find_locked(sync_zone_t *z, sync_presence_key_t *key)
{
    sync_presence_t  *e, **p;

    for (p = &z->sh->presences[key->hash & z->sh->sid_mask];
         *p;
         p = &(*p)->next)
    {
        e = *p;

        if (e->hash == key->hash
            && e->realm == key->realm
            && e->user_len == key->user.len
            && ngx_memcmp(e->data, key->user.data, e->user_len) == 0)
        {
            break;
        }
    }

    return p;
}


static void
sync_presence_walk_init(sync_presence_walk_t *w, sync_presence_key_t *key)
{
    w->key = key;
    w->session = NULL;
    w->room = NULL;
    w->q = NULL;
}


/* The next client whose presence counts, or NULL. */

static sync_record_t *
sync_presence_walk(sync_zone_t *z, sync_presence_walk_t *w)
{
    u_char          buf[SYNC_TOKEN_ROOM];
    sync_str_t      name;
    sync_member_t  *m;

    for ( ;; ) {

        while (w->room && w->q != &w->room->members) {
            m = ngx_queue_data(w->q, sync_member_t, queue);
            w->q = ngx_queue_next(w->q);

            if (m->record->presence) {
                return m->record;
            }
        }

        w->session = sync_session_store_next_locked(z, w->key->realm,
                                                    &w->key->user,
                                                    w->session);
        if (w->session == NULL) {
            w->room = NULL;
            return NULL;
        }

        sync_token_room(&name, buf, w->session->id);

        w->room = sync_room_lookup_locked(z, &name);

        if (w->room) {
            w->q = ngx_queue_head(&w->room->members);
        }
    }
}


ngx_int_t
sync_presence_leave(sync_zone_t *z, sync_record_t *rec, uint32_t realm,
    sync_str_t *token, ngx_msec_t ms, sync_left_e reason,
    sync_presence_copy_t *copy)
{
    ngx_int_t             rc;
    sync_str_t            user;
    sync_presence_t      *left;
    sync_presence_key_t   key;

    if (rec->presence == 0) {
        return SYNC_DECLINED;
    }

    sync_registry_user(rec, &user);

    sync_zone_lock(z);

    if (sync_presence_key(z, &key, realm, &user) == SYNC_OK) {
        rc = sync_presence_leave_locked(z, rec, &key, token, ms, reason,
                                        &left);
        if (rc == SYNC_OK) {
            sync_presence_copy(copy, left);
        }

    } else {
        rec->presence = 0;
        rc = SYNC_DECLINED;
    }

    sync_zone_unlock(z);

    return rc;
}


/*
 * Till its byte is cleared the client counts as one that is here: who dies
 * before that is reaped, and the same is done again.
 */

static ngx_int_t
sync_presence_leave_locked(sync_zone_t *z, sync_record_t *rec,
    sync_presence_key_t *key, sync_str_t *token, ngx_msec_t ms,
    sync_left_e reason, sync_presence_t **left)
{
    size_t                 len;
    ngx_int_t              rc;
    ngx_time_t            *tp;
    sync_record_t         *r;
    sync_presence_t        head, *old, **p;
    sync_presence_walk_t   w;

    sync_presence_walk_init(&w, key);

    for (r = sync_presence_walk(z, &w); r; r = sync_presence_walk(z, &w)) {

        if (r != rec) {
            rec->presence = 0;
            return SYNC_DECLINED;
        }
    }

    tp = ngx_timeofday();
    p = sync_presence_find_locked(z, key);
    old = *p;

    head.state = SYNC_PRESENCE_GRACE;
    head.reason = (uint8_t) reason;
    head.place = rec->presence;
    head.deadline = ngx_current_msec + ms;
    head.since = (uint64_t) tp->sec * 1000 + tp->msec;

    len = 0;

    if (old && old->state == SYNC_PRESENCE_GRACE) {
        head.deadline = old->deadline;
        head.since = old->since;

        len = old->rooms_len;
        ngx_memcpy(sync_presence_rooms,
                   old->data + old->user_len + old->token_len, len);
    }

    len = sync_presence_add_rooms(z, rec, sync_presence_rooms, len);

    rc = sync_presence_put_locked(z, key, &head, token, len, left);

    sync_heap_order();
    rec->presence = 0;

    return rc;
}


void
sync_presence_lose_locked(sync_zone_t *z, sync_record_t *rec)
{
    u_char                 id[SYNC_ID_LEN];
    sync_str_t             user, token;
    sync_member_t         *m;
    sync_session_t        *s;
    sync_presence_t       *left;
    sync_presence_key_t    key;
    sync_presence_rule_t  *rule;

    if (rec->presence == 0) {
        return;
    }

    sync_registry_user(rec, &user);

    if (rec->presence > z->npresences || user.len == 0) {
        rec->presence = 0;
        return;
    }

    rule = &z->presences[rec->presence - 1];
    key.realm = rule->realm;
    token.len = 0;

    for (m = rec->members; m; m = m->next) {

        if (!sync_room_is_private(m->room)
            || sync_registry_parse_id(id, m->room->name + 1, SYNC_ID_TEXT)
               != SYNC_OK)
        {
            continue;
        }

        s = sync_session_store_find_locked(z, rule->realm, id);

        /* or it is bound to the connection */

        if (s == NULL) {
            s = sync_session_store_find_locked(z, 0, id);
        }

        if (s) {
            key.realm = s->realm;
            token.data = s->token;
            token.len = s->len;
        }
    }

    (void) sync_presence_key(z, &key, key.realm, &user);

    /* what cannot be kept is counted */

    (void) sync_presence_leave_locked(z, rec, &key, &token, rule->transport,
                                      SYNC_LEFT_CLOSED, &left);
}


/*
 * Makes an entry of what stands in head, a token, and the bytes of rooms that
 * were gathered; it takes the place of another one of the user.
 */

static ngx_int_t
sync_presence_put_locked(sync_zone_t *z, sync_presence_key_t *key,
    sync_presence_t *head, sync_str_t *token, size_t rooms,
    sync_presence_t **put)
{
    u_char            *last;
    size_t             size, limit;
    sync_presence_t   *e, *old, **p;

    size = offsetof(sync_presence_t, data) + key->user.len + token->len
           + rooms;

    limit = (size_t) z->sh->heap.ngranules * SYNC_HEAP_GRANULE
            / SYNC_PRESENCE_SHARE;

    e = NULL;

    if (z->sh->presence_bytes + ngx_align(size, SYNC_HEAP_GRANULE) <= limit
        && !sync_room_pressed_locked(z))
    {
        e = sync_zone_alloc_locked(z, size);
    }

    p = sync_presence_find_locked(z, key);
    old = *p;

    if (e == NULL) {
        sync_zone_count(z, SYNC_COUNT_PRESENCE_DROPPED, 1);

        if (old) {
            sync_presence_free_locked(z, p);
        }

        return SYNC_BUSY;
    }

    ngx_memcpy(e, head, offsetof(sync_presence_t, data));

    e->realm = key->realm;
    e->hash = key->hash;
    e->user_len = (uint8_t) key->user.len;
    e->token_len = (uint16_t) token->len;
    e->rooms_len = (uint16_t) rooms;
    e->next = old ? old->next : NULL;

    last = ngx_cpymem(e->data, key->user.data, key->user.len);

    if (token->len) {
        last = ngx_cpymem(last, token->data, token->len);
    }

    ngx_memcpy(last, sync_presence_rooms, rooms);
    sync_heap_order();

    *p = e;
    sync_heap_order();

    z->sh->presence_bytes += sync_presence_size(e);

    if (old) {
        z->sh->presence_bytes -= sync_presence_size(old);
        sync_zone_free_locked(z, old);

    } else {
        z->sh->npresences++;
    }

    *put = e;

    return SYNC_OK;
}


static void
sync_presence_free_locked(sync_zone_t *z, sync_presence_t **p)
{
    sync_presence_t  *e;

    e = *p;

    *p = e->next;
    sync_heap_order();

    z->sh->npresences--;
    z->sh->presence_bytes -= sync_presence_size(e);

    sync_zone_free_locked(z, e);
}


static size_t
sync_presence_size(sync_presence_t *e)
{
    return ngx_align(offsetof(sync_presence_t, data) + e->user_len
                     + e->token_len + e->rooms_len, SYNC_HEAP_GRANULE);
}


ngx_int_t
sync_presence_idle(sync_zone_t *z, sync_record_t *rec, uint32_t realm,
    sync_str_t *token, ngx_uint_t seconds, sync_presence_copy_t *copy)
{
    ngx_int_t              rc;
    ngx_time_t            *tp;
    ngx_uint_t             n;
    sync_str_t             user;
    sync_record_t         *r;
    sync_presence_t        head, *e;
    sync_presence_key_t    key;
    sync_presence_walk_t   w;

    sync_registry_user(rec, &user);

    sync_zone_lock(z);

    if (sync_presence_key(z, &key, realm, &user) != SYNC_OK
        || rec->presence == 0)
    {
        sync_zone_unlock(z);
        return SYNC_DECLINED;
    }

    n = 0;
    tp = ngx_timeofday();
    sync_presence_walk_init(&w, &key);

    for (r = sync_presence_walk(z, &w); r; r = sync_presence_walk(z, &w)) {

        /* of more than can be looked at one may well speak */

        if (++n > SYNC_PRESENCE_CLIENTS
            || (r->transport != SYNC_TRANSPORT_SSE
                && (ngx_uint_t) (tp->sec - r->active) < seconds))
        {
            sync_zone_unlock(z);
            return SYNC_DECLINED;
        }
    }

    e = *sync_presence_find_locked(z, &key);

    if (e) {

        /* it is afk, and this one was not known to be the user's then */

        rec->away = (e->state == SYNC_PRESENCE_AFK);

        sync_zone_unlock(z);
        return SYNC_DECLINED;
    }

    n = 0;
    sync_presence_walk_init(&w, &key);

    for (r = sync_presence_walk(z, &w);
         r && n++ < SYNC_PRESENCE_CLIENTS;
         r = sync_presence_walk(z, &w))
    {
        r->away = 1;
    }

    rec->away = 1;
    sync_heap_order();

    head.state = SYNC_PRESENCE_AFK;
    head.reason = 0;
    head.place = rec->presence;
    head.deadline = ngx_current_msec + SYNC_PRESENCE_AGAIN;
    head.since = (uint64_t) tp->sec * 1000 + tp->msec;

    rc = sync_presence_put_locked(z, &key, &head, token, 0, &e);

    if (rc == SYNC_OK) {
        sync_presence_copy(copy, e);
        sync_presence_copy_here(z, &key, copy);
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_presence_wake(sync_zone_t *z, sync_record_t *rec, uint32_t realm,
    sync_presence_copy_t *copy)
{
    return sync_presence_arrive(z, rec, rec->presence, realm, copy);
}


/* Takes the entry of a user who is back. */

static ngx_int_t
sync_presence_taken_locked(sync_zone_t *z, sync_presence_key_t *key,
    sync_presence_copy_t *copy)
{
    sync_presence_t  **p;

    p = sync_presence_find_locked(z, key);

    if (*p == NULL) {
        return SYNC_DECLINED;
    }

    sync_presence_copy(copy, *p);
    sync_presence_copy_here(z, key, copy);

    sync_presence_free_locked(z, p);

    if (copy->state == SYNC_PRESENCE_AFK) {
        sync_presence_clear_locked(z, key);
    }

    return SYNC_OK;
}


static void
sync_presence_clear_locked(sync_zone_t *z, sync_presence_key_t *key)
{
    ngx_uint_t             n;
    sync_record_t         *r;
    sync_presence_walk_t   w;

    n = 0;
    sync_presence_walk_init(&w, key);

    for (r = sync_presence_walk(z, &w);
         r && n++ < SYNC_PRESENCE_CLIENTS;
         r = sync_presence_walk(z, &w))
    {
        r->away = 0;
    }
}


void
sync_presence_see(sync_zone_t *z, uint32_t realm, sync_str_t *user,
    sync_presence_seen_t *seen)
{
    sync_record_t         *r;
    sync_presence_key_t    key;
    sync_presence_walk_t   w;

    seen->clients = 0;
    seen->active = 0;

    sync_zone_lock(z);

    if (sync_presence_key(z, &key, realm, user) == SYNC_OK) {

        sync_presence_walk_init(&w, &key);

        for (r = sync_presence_walk(z, &w);
             r && seen->clients++ < SYNC_PRESENCE_CLIENTS;
             r = sync_presence_walk(z, &w))
        {
            if (r->transport != SYNC_TRANSPORT_SSE) {
                seen->active = ngx_max(seen->active, r->active);
            }
        }
    }

    sync_zone_unlock(z);
}


ngx_int_t
sync_presence_take(sync_zone_t *z, uint32_t realm, sync_str_t *user,
    sync_presence_copy_t *copy)
{
    ngx_int_t             rc;
    sync_presence_key_t   key;

    rc = SYNC_DECLINED;

    sync_zone_lock(z);

    if (sync_presence_key(z, &key, realm, user) == SYNC_OK) {
        rc = sync_presence_taken_locked(z, &key, copy);
    }

    sync_zone_unlock(z);

    return rc;
}


void
sync_presence_forget(sync_zone_t *z, uint32_t realm, sync_str_t *user)
{
    sync_presence_t      **p;
    sync_presence_key_t    key;

    sync_zone_lock(z);

    if (sync_presence_key(z, &key, realm, user) == SYNC_OK) {
        p = sync_presence_find_locked(z, &key);

        if (*p) {
            sync_presence_free_locked(z, p);
            sync_presence_clear_locked(z, &key);
        }
    }

    sync_zone_unlock(z);
}


ngx_int_t
sync_presence_due(sync_zone_t *z, uint32_t *bucket, ngx_msec_t ms,
    sync_presence_copy_t *copy)
{
    ngx_uint_t             i;
    sync_presence_t       *e, **p;
    sync_presence_key_t    key;
    sync_presence_walk_t   w;

    sync_zone_lock(z);

    for (i = 0; i < SYNC_PRESENCE_BUCKETS && *bucket <= z->sh->sid_mask; i++) {

        p = &z->sh->presences[*bucket];

        while (*p) {
            e = *p;

            if (!sync_presence_over(e)) {
                p = &e->next;
                continue;
            }

            key.realm = e->realm;
            key.hash = e->hash;
            key.user.data = e->data;
            key.user.len = e->user_len;

            sync_presence_walk_init(&w, &key);

            if ((sync_presence_walk(z, &w) == NULL)
                == (e->state == SYNC_PRESENCE_AFK))
            {
                /* it came back unseen, or went by a logout */

                sync_presence_free_locked(z, p);
                continue;
            }

            if (e->state == SYNC_PRESENCE_AFK) {
                e->deadline = ngx_current_msec + SYNC_PRESENCE_AGAIN;
                p = &e->next;
                continue;
            }

            e->deadline = ngx_current_msec + ms;
            sync_presence_copy(copy, e);

            sync_zone_unlock(z);

            return SYNC_OK;
        }

        (*bucket)++;
    }

    sync_zone_unlock(z);

    return SYNC_DECLINED;
}


static ngx_uint_t
sync_presence_over(sync_presence_t *e)
{
    return (ngx_msec_int_t) (e->deadline - ngx_current_msec) <= 0;
}


ngx_int_t
sync_presence_waits(sync_zone_t *z, uint32_t realm, sync_str_t *user,
    sync_presence_copy_t *copy)
{
    ngx_int_t             rc;
    sync_presence_t      *e;
    sync_presence_key_t   key;

    rc = SYNC_DECLINED;

    sync_zone_lock(z);

    if (sync_presence_key(z, &key, realm, user) == SYNC_OK) {
        e = *sync_presence_find_locked(z, &key);

        if (e && e->state == SYNC_PRESENCE_GRACE) {
            sync_presence_copy(copy, e);
            rc = SYNC_OK;
        }
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_presence_end(sync_zone_t *z, uint32_t realm, sync_str_t *user)
{
    ngx_int_t             rc;
    sync_presence_t     **p;
    sync_presence_key_t   key;

    rc = SYNC_DECLINED;

    sync_zone_lock(z);

    if (sync_presence_key(z, &key, realm, user) == SYNC_OK) {
        p = sync_presence_find_locked(z, &key);

        if (*p && (*p)->state == SYNC_PRESENCE_GRACE) {
            sync_presence_free_locked(z, p);
            rc = SYNC_OK;
        }
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_presence_list(sync_zone_t *z, uint32_t *bucket, ngx_uint_t *skip,
    sync_presence_copy_t *copy)
{
    ngx_uint_t        i;
    sync_presence_t  *e;

    sync_zone_lock(z);

    while (*bucket <= z->sh->sid_mask) {

        i = 0;

        for (e = z->sh->presences[*bucket]; e; e = e->next) {

            if (i++ == *skip) {
                (*skip)++;
                sync_presence_copy(copy, e);
                sync_zone_unlock(z);

                return SYNC_OK;
            }
        }

        *skip = 0;
        (*bucket)++;
    }

    sync_zone_unlock(z);

    return SYNC_DECLINED;
}


/* Adds the rooms that are not there yet; returns the bytes of all. */

static size_t
sync_presence_add_rooms(sync_zone_t *z, sync_record_t *rec, u_char *buf,
    size_t len)
{
    sync_room_t    *room;
    sync_member_t  *m;

    for (m = rec->members; m; m = m->next) {
        room = m->room;

        if (sync_room_is_private(room)
            || room->name[room->len - 1] == '*'
            || sync_presence_has_room(buf, len, room))
        {
            continue;
        }

        if (SYNC_PRESENCE_ROOMS - len < (size_t) room->len + 1) {
            sync_zone_count(z, SYNC_COUNT_PRESENCE_DROPPED, 1);
            break;
        }

        buf[len++] = (u_char) (room->len - 1);
        ngx_memcpy(buf + len, room->name, room->len);
        len += room->len;
    }

    return len;
}


static ngx_uint_t
sync_presence_has_room(u_char *buf, size_t len, sync_room_t *room)
{
    sync_str_t     name;
    const u_char  *p;

    p = buf;

    while (sync_presence_next_room(&p, buf + len, &name) == SYNC_OK) {

        if (name.len == room->len
            && ngx_memcmp(name.data, room->name, name.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
sync_presence_next_room(const u_char **p, const u_char *last,
    sync_str_t *name)
{
    const u_char  *s;

    s = *p;

    if (s >= last) {
        return SYNC_DECLINED;
    }

    name->len = (size_t) s[0] + 1;
    name->data = (u_char *) s + 1;

    if (name->len > (size_t) (last - s - 1)) {
        return SYNC_DECLINED;
    }

    *p = s + 1 + name->len;

    return SYNC_OK;
}


static void
sync_presence_copy(sync_presence_copy_t *copy, sync_presence_t *e)
{
    copy->deadline = e->deadline;
    copy->since = e->since;
    copy->realm = e->realm;
    copy->state = e->state;
    copy->reason = e->reason;
    copy->place = e->place;
    copy->ntokens = 0;

    copy->user.data = copy->data;
    copy->user.len = e->user_len;
    copy->token.data = copy->data + e->user_len;
    copy->token.len = e->token_len;
    copy->rooms.data = copy->token.data + e->token_len;
    copy->rooms.len = e->rooms_len;

    ngx_memcpy(copy->data, e->data, (size_t) e->user_len + e->token_len
                                    + e->rooms_len);
}


/* Adds the rooms that clients of the user are in, and their tokens. */

static void
sync_presence_copy_here(sync_zone_t *z, sync_presence_key_t *key,
    sync_presence_copy_t *copy)
{
    ngx_uint_t             n;
    sync_record_t         *r;
    sync_session_t        *s;
    sync_presence_walk_t   w;

    n = 0;
    s = NULL;
    sync_presence_walk_init(&w, key);

    for (r = sync_presence_walk(z, &w);
         r && n++ < SYNC_PRESENCE_CLIENTS;
         r = sync_presence_walk(z, &w))
    {
        copy->rooms.len = sync_presence_add_rooms(z, r, copy->rooms.data,
                                                  copy->rooms.len);

        if (w.session != s && copy->ntokens < SYNC_PRESENCE_TOKENS) {
            s = w.session;

            ngx_memcpy(copy->tokens + copy->ntokens * SYNC_ID_LEN, s->id,
                       SYNC_ID_LEN);
            copy->ntokens++;
        }
    }
}


void
sync_presence_mend(sync_zone_t *z)
{
    uint32_t          i;
    sync_presence_t  *e;

    z->sh->npresences = 0;
    z->sh->presence_bytes = 0;

    for (i = 0; i <= z->sh->sid_mask; i++) {
        for (e = z->sh->presences[i]; e; e = e->next) {
            z->sh->npresences++;
            z->sh->presence_bytes += sync_presence_size(e);
        }
    }
}


const char *
sync_presence_check(sync_zone_t *z, size_t *used)
{
    size_t                bytes, size;
    uint32_t              i;
    ngx_uint_t            n;
    sync_presence_t      *e;
    sync_presence_key_t   key;

    n = 0;
    bytes = 0;

    for (i = 0; i <= z->sh->sid_mask; i++) {

        for (e = z->sh->presences[i]; e; e = e->next) {
            n++;

            if (!sync_heap_is_block(&z->sh->heap, e)) {
                return "presence: no block";
            }

            size = sync_heap_block_size(&z->sh->heap, e);

            if (size != sync_presence_size(e)) {
                return "presence: wrong size";
            }

            key.realm = e->realm;
            key.hash = sync_zone_hash(z, e->data, e->user_len) + e->realm;
            key.user.data = e->data;
            key.user.len = e->user_len;

            if (key.hash != e->hash || (e->hash & z->sh->sid_mask) != i) {
                return "presence: wrong bucket";
            }

            if (*sync_presence_find_locked(z, &key) != e) {
                return "presence: a user has two";
            }

            bytes += size;
        }
    }

    *used += bytes;

    if (bytes != z->sh->presence_bytes) {
        return "zone: wrong sum of presences";
    }

    return (n == z->sh->npresences) ? NULL : "zone: wrong count of presences";
}
