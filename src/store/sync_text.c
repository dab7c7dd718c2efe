
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_text.h>


/*
 *     piece: host 8, owner 8, id 8, before 4, at 4, len 4, limit 4, 0 4;
 *     little-endian
 *
 * What is written behind the text is not of it till its length says so.  The
 * place in the list of those that ended is moved before it is written to: a
 * death in between forgets one of them.
 */


/* what a text has room for at first */
#define SYNC_TEXT_FIRST   256


static void sync_text_read(sync_text_piece_t *piece, const u_char *p);
static sync_text_t **sync_text_lookup(sync_zone_t *z, sync_str_t *room,
    uint64_t id);
static void sync_text_begin(sync_zone_t *z, sync_str_t *room,
    sync_message_t *m, sync_text_piece_t *piece);
static ngx_int_t sync_text_make_room(sync_zone_t *z, sync_str_t *room);
static ngx_uint_t sync_text_has_ended(sync_zone_t *z, uint64_t id);
static ngx_int_t sync_text_grow(sync_zone_t *z, sync_text_t **p, size_t len,
    size_t limit);
static void sync_text_mark(sync_zone_t *z, sync_text_t *t);
static void sync_text_free(sync_zone_t *z, sync_text_t **p);
static ngx_uint_t sync_text_matches(sync_text_t *t, sync_str_t *room);
static size_t sync_text_entry_size(sync_text_t *t);
static u_char *sync_text_put(u_char *p, uint64_t n, ngx_uint_t size);
static uint64_t sync_text_get(const u_char *p, ngx_uint_t size);


#define sync_text_bucket(z, hash)                                             \
    (&(z)->sh->texts[(hash) & (SYNC_TEXTS_BUCKETS - 1)])

/* what is before the text */
#define sync_text_before(t)  ((size_t) (t)->name + (t)->head + (t)->tail)


void
sync_text_write(u_char *p, sync_text_piece_t *piece)
{
    p = sync_text_put(p, piece->host, 8);
    p = sync_text_put(p, piece->owner, 8);
    p = sync_text_put(p, piece->id, 8);
    p = sync_text_put(p, piece->before, 4);
    p = sync_text_put(p, piece->at, 4);
    p = sync_text_put(p, piece->len, 4);
    p = sync_text_put(p, piece->limit, 4);
    (void) sync_text_put(p, 0, 4);
}


static void
sync_text_read(sync_text_piece_t *piece, const u_char *p)
{
    piece->host = sync_text_get(p, 8);
    piece->owner = sync_text_get(p + 8, 8);
    piece->id = sync_text_get(p + 16, 8);
    piece->before = (uint32_t) sync_text_get(p + 24, 4);
    piece->at = (uint32_t) sync_text_get(p + 28, 4);
    piece->len = (uint32_t) sync_text_get(p + 32, 4);
    piece->limit = (uint32_t) sync_text_get(p + 36, 4);
}


void
sync_text_add_locked(sync_zone_t *z, sync_str_t *room, sync_message_t *m)
{
    u_char             *p;
    sync_text_t        *t, **place;
    sync_text_piece_t   piece;

    if (!(m->flags & SYNC_TEXT_PIECE) || m->extra.len != SYNC_TEXT_EXTRA) {
        return;
    }

    sync_text_read(&piece, m->extra.data);

    /* of another host it is what that says */

    if (piece.at > m->json.len || piece.len > m->json.len - piece.at) {
        return;
    }

    place = sync_text_lookup(z, room, piece.id);
    t = *place;

    if (t == NULL) {
        sync_text_begin(z, room, m, &piece);
        return;
    }

    if (t->cut || piece.before < t->len) {
        return;
    }

    if (piece.before > t->len
        || sync_text_grow(z, place, piece.len, piece.limit) != SYNC_OK)
    {
        sync_text_mark(z, t);
        return;
    }

    t = *place;
    p = t->data + sync_text_before(t) + t->len;

    ngx_memcpy(p, m->json.data + piece.at, piece.len);

    t->time = m->time;
    sync_heap_order();

    t->len += piece.len;
}


/* The place of what links it; it holds NULL if there is none. */

static sync_text_t **
sync_text_lookup(sync_zone_t *z, sync_str_t *room, uint64_t id)
{
    sync_text_t  **p;

    p = sync_text_bucket(z, sync_zone_hash(z, room->data, room->len));

    while (*p && ((*p)->id != id || !sync_text_matches(*p, room))) {
        p = &(*p)->next;
    }

    return p;
}


static void
sync_text_begin(sync_zone_t *z, sync_str_t *room, sync_message_t *m,
    sync_text_piece_t *piece)
{
    u_char        *p;
    size_t         head, tail, size;
    ngx_uint_t     slot;
    sync_text_t   *t, **bucket;

    if (piece->before != 0 || sync_text_has_ended(z, piece->id)) {
        return;
    }

    if (piece->host == z->sh->id) {
        slot = (piece->owner & 0xffffffff) - 1;

        if (slot >= z->sh->nworkers
            || z->sh->workers[slot].pid == 0
            || z->sh->workers[slot].dead
            || z->sh->workers[slot].incarnation != piece->owner >> 32)
        {
            return;
        }

    } else {
        piece->owner = 0;
    }

    if (sync_text_make_room(z, room) != SYNC_OK) {
        sync_zone_count(z, SYNC_COUNT_TEXTS_CUT, 1);
        return;
    }

    head = piece->at;
    tail = m->json.len - piece->at - piece->len;

    size = room->len + head + tail;
    size += (piece->len > piece->limit) ? 0
            : ngx_max(piece->len, ngx_min(SYNC_TEXT_FIRST, piece->limit));

    t = sync_zone_alloc_locked(z, offsetof(sync_text_t, data) + size);

    if (t == NULL) {
        sync_zone_count(z, SYNC_COUNT_TEXTS_CUT, 1);
        return;
    }

    t->id = piece->id;
    t->owner = piece->owner;
    t->time = m->time;
    t->hash = sync_zone_hash(z, room->data, room->len);
    t->size = (uint32_t) size;
    t->head = (uint32_t) head;
    t->tail = (uint32_t) tail;
    t->len = 0;
    t->event_len = m->event_len;
    t->name = (uint16_t) room->len;
    t->cut = 0;

    p = ngx_cpymem(t->data, room->data, room->len);
    p = ngx_cpymem(p, m->json.data, head);
    p = ngx_cpymem(p, m->json.data + piece->at + piece->len, tail);

    if (piece->len <= piece->limit) {
        ngx_memcpy(p, m->json.data + piece->at, piece->len);
        t->len = piece->len;

    } else {
        sync_text_mark(z, t);
    }

    bucket = sync_text_bucket(z, t->hash);

    t->next = *bucket;
    sync_heap_order();

    *bucket = t;
}


/* For one more: frees the one that was silent for longest and is not ours. */

static ngx_int_t
sync_text_make_room(sync_zone_t *z, sync_str_t *room)
{
    ngx_uint_t     i, n, here;
    sync_text_t  **p, **oldest;

    n = 0;
    here = 0;
    oldest = NULL;

    for (i = 0; i < SYNC_TEXTS_BUCKETS; i++) {

        for (p = &z->sh->texts[i]; *p; p = &(*p)->next) {
            n++;
            here += sync_text_matches(*p, room);

            if ((*p)->owner == 0
                && (oldest == NULL || (*p)->time < (*oldest)->time))
            {
                oldest = p;
            }
        }
    }

    if (here >= SYNC_TEXTS_ROOM) {
        return SYNC_BUSY;
    }

    if (n < SYNC_TEXTS_MAX) {
        return SYNC_OK;
    }

    if (oldest == NULL) {
        return SYNC_BUSY;
    }

    sync_text_free(z, oldest);

    return SYNC_OK;
}


static ngx_uint_t
sync_text_has_ended(sync_zone_t *z, uint64_t id)
{
    ngx_uint_t  i;

    for (i = 0; i < SYNC_TEXTS_ENDED; i++) {
        if (z->sh->texts_ended[i] == id) {
            return 1;
        }
    }

    return 0;
}


/* Makes room for len bytes; SYNC_OK, or SYNC_BUSY. */

static ngx_int_t
sync_text_grow(sync_zone_t *z, sync_text_t **p, size_t len, size_t limit)
{
    size_t        need, size;
    sync_text_t  *t, *new;

    t = *p;
    need = t->len + len;

    if (need > limit) {
        return SYNC_BUSY;
    }

    if (need <= t->size - sync_text_before(t)) {
        return SYNC_OK;
    }

    size = sync_text_before(t) + ngx_min(ngx_max(need, 2 * t->len), limit);

    new = sync_zone_alloc_locked(z, offsetof(sync_text_t, data) + size);
    if (new == NULL) {
        return SYNC_BUSY;
    }

    ngx_memcpy(new, t, offsetof(sync_text_t, data) + sync_text_before(t)
                       + t->len);
    new->size = (uint32_t) size;
    sync_heap_order();

    *p = new;
    sync_heap_order();

    sync_zone_free_locked(z, t);

    return SYNC_OK;
}


static void
sync_text_mark(sync_zone_t *z, sync_text_t *t)
{
    t->cut = 1;
    sync_zone_count(z, SYNC_COUNT_TEXTS_CUT, 1);
}


static void
sync_text_free(sync_zone_t *z, sync_text_t **p)
{
    sync_text_t  *t;

    t = *p;
    *p = t->next;
    sync_heap_order();

    sync_zone_free_locked(z, t);
}


void
sync_text_end(sync_zone_t *z, sync_str_t *room, uint64_t id)
{
    sync_text_t  **p;

    sync_zone_lock(z);

    p = sync_text_lookup(z, room, id);

    if (*p) {
        sync_text_free(z, p);
    }

    z->sh->texts_over++;
    sync_heap_order();
    z->sh->texts_ended[z->sh->texts_over % SYNC_TEXTS_ENDED] = id;

    sync_zone_unlock(z);
}


static ngx_uint_t
sync_text_matches(sync_text_t *t, sync_str_t *room)
{
    return t->name == room->len
           && ngx_memcmp(t->data, room->data, room->len) == 0;
}


static size_t
sync_text_entry_size(sync_text_t *t)
{
    return ngx_align(sizeof(sync_entry_t) + t->head + t->tail + t->len,
                     SYNC_ENTRY_ALIGN);
}


size_t
sync_text_need_locked(sync_zone_t *z, sync_str_t *room)
{
    size_t        need;
    uint32_t      hash;
    sync_text_t  *t;

    need = 0;

    hash = sync_zone_hash(z, room->data, room->len);

    for (t = *sync_text_bucket(z, hash); t; t = t->next) {
        if (sync_text_matches(t, room)) {
            need += sync_text_entry_size(t);
        }
    }

    return need;
}


void
sync_text_copy_locked(sync_zone_t *z, sync_str_t *room, sync_position_t *pos,
    sync_texts_t *texts)
{
    u_char        *p;
    uint32_t       hash;
    sync_text_t   *t;
    sync_entry_t  *e;

    texts->len = 0;

    hash = sync_zone_hash(z, room->data, room->len);

    for (t = *sync_text_bucket(z, hash); t; t = t->next) {

        if (!sync_text_matches(t, room)) {
            continue;
        }

        e = (sync_entry_t *) (texts->buf + texts->len);

        ngx_memzero(e, sizeof(sync_entry_t));

        e->lsn = pos->lsn;
        e->nonce = pos->nonce;
        e->time = t->time;
        e->size = (uint32_t) sync_text_entry_size(t);
        e->len = t->head + t->len + t->tail;
        e->event_len = t->event_len;
        e->kind = SYNC_ENTRY_MESSAGE;
        e->flags = t->cut ? SYNC_TEXT_CUT : 0;

        p = t->data + t->name;

        p = ngx_cpymem(sync_entry_json(e), p, t->head);
        p = ngx_cpymem(p, t->data + sync_text_before(t), t->len);
        p = ngx_cpymem(p, t->data + t->name + t->head, t->tail);

        e->pad = (uint8_t) ((u_char *) e + e->size - p);
        ngx_memzero(p, e->pad);

        texts->len += e->size;
    }
}


void
sync_text_reap_locked(sync_zone_t *z, ngx_uint_t slot)
{
    ngx_uint_t     i;
    sync_text_t  **p;

    for (i = 0; i < SYNC_TEXTS_BUCKETS; i++) {

        p = &z->sh->texts[i];

        while (*p) {

            if (((*p)->owner & 0xffffffff) == slot + 1) {
                sync_text_free(z, p);

            } else {
                p = &(*p)->next;
            }
        }
    }
}


void
sync_text_expire_locked(sync_zone_t *z)
{
    uint64_t       now;
    ngx_time_t    *tp;
    sync_text_t  **p;

    tp = ngx_timeofday();
    now = (uint64_t) tp->sec * 1000 + tp->msec;

    p = &z->sh->texts[z->sh->texts_swept++ % SYNC_TEXTS_BUCKETS];

    while (*p) {

        if (now > (*p)->time && now - (*p)->time > SYNC_TEXT_IDLE) {
            sync_text_free(z, p);

        } else {
            p = &(*p)->next;
        }
    }
}


ngx_uint_t
sync_text_count(sync_zone_t *z)
{
    ngx_uint_t    i, n;
    sync_text_t  *t;

    n = 0;

    sync_zone_lock(z);

    for (i = 0; i < SYNC_TEXTS_BUCKETS; i++) {
        for (t = z->sh->texts[i]; t; t = t->next) {
            n++;
        }
    }

    sync_zone_unlock(z);

    return n;
}


static u_char *
sync_text_put(u_char *p, uint64_t n, ngx_uint_t size)
{
    while (size--) {
        *p++ = (u_char) n;
        n >>= 8;
    }

    return p;
}


static uint64_t
sync_text_get(const u_char *p, ngx_uint_t size)
{
    uint64_t  n;

    n = 0;

    while (size--) {
        n = n << 8 | p[size];
    }

    return n;
}


const char *
sync_text_check(sync_zone_t *z, size_t *used)
{
    ngx_uint_t    i, n;
    sync_text_t  *t;

    n = 0;

    for (i = 0; i < SYNC_TEXTS_BUCKETS; i++) {

        for (t = z->sh->texts[i]; t; t = t->next) {

            if (!sync_heap_is_block(&z->sh->heap, t)) {
                return "text: no block";
            }

            if ((t->hash & (SYNC_TEXTS_BUCKETS - 1)) != i
                || t->hash != sync_zone_hash(z, t->data, t->name))
            {
                return "text: wrong bucket";
            }

            if (sync_text_before(t) + t->len > t->size
                || offsetof(sync_text_t, data) + t->size
                   > sync_heap_block_size(&z->sh->heap, t))
            {
                return "text: wrong length";
            }

            *used += sync_heap_block_size(&z->sh->heap, t);
            n++;
        }
    }

    return (n > SYNC_TEXTS_MAX) ? "text: too many" : NULL;
}
