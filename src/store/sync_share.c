
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_share.h>


/*
 *     number: 58 bits that rise, 6 bits of the bucket
 *
 * A call has a number of the same kind.  A share's call and caller are stored
 * before its state: one that is called knows by whom.  A caller that died
 * among its shares has some that are called, which its slot's reaping finds,
 * and others that are still open, and closed by who waits.
 */


/* parcels that are freed each time the lock is held */
#define SYNC_SHARE_FREED  64


#define sync_share_bucket(number)  ((number) & (SYNC_SHARES_BUCKETS - 1))


static uint64_t sync_share_number_locked(sync_zone_t *z,
    sync_share_key_t *key);
static ngx_uint_t sync_share_same_message(sync_zone_t *z, sync_share_t *s,
    sync_share_key_t *key);
static ngx_uint_t sync_share_is_open(sync_zone_t *z, sync_share_t *s,
    sync_share_key_t *key);
static ngx_uint_t sync_share_missing_locked(sync_zone_t *z,
    sync_share_key_t *key, ngx_uint_t late);
static uint32_t sync_share_open_locked(sync_zone_t *z, sync_share_key_t *key);
static uint64_t sync_share_call_locked(sync_zone_t *z, sync_share_key_t *key,
    ngx_uint_t slot);
static sync_share_t *sync_share_create_locked(sync_zone_t *z,
    sync_share_offer_t *o);
static void sync_share_came_locked(sync_zone_t *z, sync_share_key_t *key);
static void sync_share_appoint_locked(sync_zone_t *z, sync_share_key_t *key,
    sync_wake_set_t *wake);
static ngx_int_t sync_share_free_locked(sync_zone_t *z, sync_share_t *s);


ngx_uint_t
sync_share_alone(sync_zone_t *z, sync_room_t *room, sync_interest_t *in)
{
    if (room == z->sh->host) {
        return z->sh->nclients == z->self->nclients;
    }

    return room->nmembers == in->nmembers;
}


void
sync_share_offer(sync_zone_t *z, sync_share_offer_t *o, ngx_uint_t last,
    sync_wake_set_t *wake)
{
    uint32_t    open;
    ngx_uint_t  missing;

    o->call = 0;
    o->taken = 0;
    o->share = NULL;

    sync_zone_lock(z);

    missing = sync_share_missing_locked(z, &o->key, 0);

    if (o->n) {
        open = sync_share_open_locked(z, &o->key);

        if (open && (!missing || open + o->n >= SYNC_SHARE_MAX)) {
            o->call = sync_share_call_locked(z, &o->key,
                                             sync_worker_slot(z, z->self));
            o->taken = ngx_min(o->n, SYNC_SHARE_MAX - open);
        }

        if (missing && o->taken < o->n) {
            o->share = sync_share_create_locked(z, o);
        }
    }

    if (last) {
        sync_share_came_locked(z, &o->key);

        if (!missing) {
            sync_share_appoint_locked(z, &o->key, wake);
        }
    }

    sync_zone_unlock(z);
}


static uint64_t
sync_share_number_locked(sync_zone_t *z, sync_share_key_t *key)
{
    uint32_t  hash;

    hash = (uint32_t) key->lsn ^ key->nonce;

    z->sh->share_number++;

    return z->sh->share_number * SYNC_SHARES_BUCKETS + sync_share_bucket(hash);
}


#define sync_share_first(z, key)                                              \
    ((z)->sh->shares[sync_share_bucket((uint32_t) (key)->lsn                  \
                                       ^ (key)->nonce)])


static ngx_uint_t
sync_share_same_message(sync_zone_t *z, sync_share_t *s,
    sync_share_key_t *key)
{
    return s->key.room == key->room
           && s->key.lsn == key->lsn
           && s->key.nonce == key->nonce
           && s->generation == z->generation;
}


static ngx_uint_t
sync_share_is_open(sync_zone_t *z, sync_share_t *s, sync_share_key_t *key)
{
    return s->state == SYNC_SHARE_OPEN
           && sync_share_same_message(z, s, key)
           && s->key.hook == key->hook
           && s->key.ctx == key->ctx;
}


/* Workers that have not come; with "late", they are waited for no more. */

static ngx_uint_t
sync_share_missing_locked(sync_zone_t *z, sync_share_key_t *key,
    ngx_uint_t late)
{
    ngx_uint_t        n;
    sync_worker_t    *w;
    sync_interest_t  *in;

    n = 0;

    for (in = key->room->interests; in; in = in->next) {
        w = &z->sh->workers[in->slot];

        if (w == z->self
            || w->dead
            || w->generation != z->generation
            || in->late
            || (int32_t) ((uint32_t) key->lsn - in->passed) <= 0
            || (key->room == z->sh->host ? w->nclients : in->nmembers) == 0
            || sync_worker_stalled(w->beat))
        {
            continue;
        }

        n++;

        if (late) {
            in->late = 1;
        }
    }

    return n;
}


/* Recipients that wait. */

static uint32_t
sync_share_open_locked(sync_zone_t *z, sync_share_key_t *key)
{
    uint32_t       n;
    sync_share_t  *s;

    n = 0;

    for (s = sync_share_first(z, key); s; s = s->next) {

        if (sync_share_is_open(z, s, key)) {
            n += s->n;
        }
    }

    return n;
}


/* All that wait are one call now, which the slot's worker is to make. */

static uint64_t
sync_share_call_locked(sync_zone_t *z, sync_share_key_t *key, ngx_uint_t slot)
{
    uint64_t       number;
    sync_share_t  *s;

    number = sync_share_number_locked(z, key);

    for (s = sync_share_first(z, key); s; s = s->next) {

        if (sync_share_is_open(z, s, key)) {
            s->call = number;
            s->caller = (uint16_t) slot;
            sync_heap_order();

            s->state = SYNC_SHARE_CALLED;
        }
    }

    return number;
}


/* Of what the offer has not taken yet. */

static sync_share_t *
sync_share_create_locked(sync_zone_t *z, sync_share_offer_t *o)
{
    size_t         len;
    u_char        *p;
    uint32_t       i;
    sync_str_t     text;
    sync_share_t  *s;

    p = o->texts;

    for (i = 0; i < o->taken; i++) {
        p = sync_share_read_text(p, &text);
    }

    len = o->texts + o->len - p;
    s = NULL;

    if (!sync_room_pressed_locked(z)) {
        s = sync_zone_alloc_locked(z, offsetof(sync_share_t, data) + len);
    }

    if (s == NULL) {
        sync_zone_count(z, SYNC_COUNT_SHARES_LOST, 1);
        return NULL;
    }

    s->key = o->key;
    s->parcels = NULL;
    s->bytes = 0;
    s->number = sync_share_number_locked(z, &o->key);
    s->call = 0;
    s->generation = z->generation;
    s->n = o->n - o->taken;
    s->len = (uint32_t) len;
    s->slot = (uint16_t) sync_worker_slot(z, z->self);
    s->caller = 0;
    s->state = SYNC_SHARE_OPEN;

    ngx_memcpy(s->data, p, len);

    s->next = sync_share_first(z, &o->key);
    sync_heap_order();

    sync_share_first(z, &o->key) = s;

    return s;
}


/* This worker has come; if nobody is ahead, it is late no more. */

static void
sync_share_came_locked(sync_zone_t *z, sync_share_key_t *key)
{
    ngx_uint_t        ahead;
    sync_worker_t    *w;
    sync_interest_t  *in, *own;

    own = NULL;
    ahead = 0;

    for (in = key->room->interests; in; in = in->next) {
        w = &z->sh->workers[in->slot];

        if (w == z->self) {
            own = in;

        } else if (!w->dead && w->generation == z->generation) {
            ahead += ((int32_t) ((uint32_t) key->lsn - in->passed) < 0);
        }
    }

    if (own) {
        own->passed = (uint32_t) key->lsn;

        if (ahead == 0) {
            own->late = 0;
        }
    }
}


/*
 * Nobody is to come any more: of each call that is open the first one's worker
 * makes it.
 */

static void
sync_share_appoint_locked(sync_zone_t *z, sync_share_key_t *key,
    sync_wake_set_t *wake)
{
    sync_share_t  *s;

    for (s = sync_share_first(z, key); s; s = s->next) {

        if (s->state == SYNC_SHARE_OPEN && sync_share_same_message(z, s, key))
        {
            (void) sync_share_call_locked(z, &s->key, s->slot);

            sync_worker_mark_locked(z, s->slot, wake);
        }
    }
}


ngx_int_t
sync_share_close(sync_zone_t *z, sync_share_t *s)
{
    ngx_int_t  rc;

    sync_zone_lock(z);

    if (s->state == SYNC_SHARE_OPEN) {
        (void) sync_share_missing_locked(z, &s->key, 1);
        (void) sync_share_call_locked(z, &s->key, s->slot);

        sync_zone_count(z, SYNC_COUNT_SHARES_LATE, 1);
    }

    rc = sync_share_is_caller(z, s) ? SYNC_OK : SYNC_DECLINED;

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_share_collect(sync_zone_t *z, uint64_t call, sync_share_t *own,
    sync_share_texts_t *t)
{
    u_char        *p;
    sync_share_t  *s;

    sync_zone_lock(z);

    t->need = 0;
    t->n = 0;

    for (s = z->sh->shares[sync_share_bucket(call)]; s; s = s->next) {

        if (s->call == call && s != own) {
            t->numbers[t->n] = s->number;
            t->counts[t->n] = s->n;

            t->n++;
            t->need += s->len;
        }
    }

    if (t->need > t->size) {
        sync_zone_unlock(z);
        return SYNC_AGAIN;
    }

    p = t->buf;

    for (s = z->sh->shares[sync_share_bucket(call)]; s; s = s->next) {
        if (s->call == call && s != own) {
            p = ngx_cpymem(p, s->data, s->len);
        }
    }

    if (own) {

        /* it has no parcels */

        (void) sync_share_free_locked(z, own);
    }

    sync_zone_unlock(z);

    return SYNC_OK;
}


/* It is filled under the lock, as it may be gone without. */

ngx_int_t
sync_share_put(sync_zone_t *z, uint64_t number, const u_char *data,
    size_t len, sync_share_state_e state, sync_wake_set_t *wake)
{
    ngx_int_t       rc;
    sync_share_t   *s;
    sync_parcel_t  *parcel;

    rc = SYNC_OK;

    sync_zone_lock(z);

    for (s = z->sh->shares[sync_share_bucket(number)]; s; s = s->next) {
        if (s->number == number) {
            break;
        }
    }

    if (s == NULL || s->state != SYNC_SHARE_CALLED) {
        sync_zone_unlock(z);
        return SYNC_DECLINED;
    }

    if (len) {
        parcel = NULL;

        if ((s->parcels == NULL || s->bytes + len <= SYNC_SHARE_WAIT)
            && !sync_room_pressed_locked(z))
        {
            parcel = sync_zone_alloc_locked(z, offsetof(sync_parcel_t, data)
                                               + len);
        }

        if (parcel) {
            ngx_memcpy(parcel->data, data, len);
            parcel->len = (uint32_t) len;
            parcel->next = s->parcels;
            s->bytes += len;
            sync_heap_order();

            s->parcels = parcel;

        } else {
            state = SYNC_SHARE_LOST;
            rc = SYNC_DECLINED;
        }
    }

    sync_heap_order();
    s->state = (uint8_t) state;

    sync_worker_mark_locked(z, s->slot, wake);

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_share_take(sync_zone_t *z, sync_share_t *s, u_char *buf, size_t size,
    size_t *len, sync_share_state_e *state)
{
    u_char         *p;
    sync_parcel_t  *parcel;

    sync_zone_lock(z);

    *len = 0;

    for (parcel = s->parcels; parcel; parcel = parcel->next) {
        *len += parcel->len;
    }

    if (*len > size) {
        sync_zone_unlock(z);
        return SYNC_AGAIN;
    }

    p = buf + *len;

    while (s->parcels) {
        parcel = s->parcels;

        p -= parcel->len;
        ngx_memcpy(p, parcel->data, parcel->len);

        s->parcels = parcel->next;
        sync_heap_order();

        sync_zone_free_locked(z, parcel);
    }

    s->bytes = 0;
    *state = s->state;

    sync_zone_unlock(z);

    return SYNC_OK;
}


ngx_uint_t
sync_share_stalled(sync_zone_t *z, sync_share_t *s)
{
    return *(volatile uint8_t *) &s->state == SYNC_SHARE_CALLED
           && sync_worker_stalled(z->sh->workers[s->caller].beat);
}


void
sync_share_leave(sync_zone_t *z, sync_share_t *s, sync_wake_set_t *wake)
{
    ngx_int_t      rc;
    sync_share_t  *other;

    do {
        sync_zone_lock(z);

        if (sync_share_is_caller(z, s)) {

            /* it was to make the call, and did not come to it */

            for (other = z->sh->shares[sync_share_bucket(s->call)];
                 other;
                 other = other->next)
            {
                if (other->call == s->call && other != s) {
                    other->state = SYNC_SHARE_LOST;
                    sync_worker_mark_locked(z, other->slot, wake);
                }
            }
        }

        rc = sync_share_free_locked(z, s);

        sync_zone_unlock(z);

    } while (rc == SYNC_AGAIN);
}


static ngx_int_t
sync_share_free_locked(sync_zone_t *z, sync_share_t *s)
{
    ngx_uint_t       n;
    sync_share_t   **p;
    sync_parcel_t   *parcel;

    /* no more are to come */

    s->state = SYNC_SHARE_LOST;

    for (n = 0; s->parcels; n++) {

        if (n == SYNC_SHARE_FREED) {
            return SYNC_AGAIN;
        }

        parcel = s->parcels;
        s->parcels = parcel->next;
        sync_heap_order();

        sync_zone_free_locked(z, parcel);
    }

    for (p = &z->sh->shares[sync_share_bucket(s->number)]; *p != s;
         p = &(*p)->next)
    {
        /* void */
    }

    *p = s->next;
    sync_heap_order();

    sync_zone_free_locked(z, s);

    return SYNC_OK;
}


u_char *
sync_share_write_length(u_char *p, size_t len)
{
    uint32_t  n;

    n = (uint32_t) len;
    p = ngx_cpymem(p, &n, sizeof(uint32_t));

    return p + len;
}


u_char *
sync_share_read_text(u_char *p, sync_str_t *text)
{
    uint32_t  n;

    ngx_memcpy(&n, p, sizeof(uint32_t));

    text->data = p + sizeof(uint32_t);
    text->len = n;

    return text->data + n;
}


ngx_uint_t
sync_share_count(sync_zone_t *z)
{
    ngx_uint_t     i, n;
    sync_share_t  *s;

    n = 0;

    sync_zone_lock(z);

    for (i = 0; i < SYNC_SHARES_BUCKETS; i++) {
        for (s = z->sh->shares[i]; s; s = s->next) {
            n++;
        }
    }

    sync_zone_unlock(z);

    return n;
}


/* Workers whose shares are lost find that by themselves, within a second. */

ngx_int_t
sync_share_reap_locked(sync_zone_t *z, ngx_uint_t slot)
{
    ngx_uint_t     i;
    sync_share_t  *s;

    for (i = 0; i < SYNC_SHARES_BUCKETS; i++) {

        for (s = z->sh->shares[i]; s; s = s->next) {

            if (s->slot == slot) {
                (void) sync_share_free_locked(z, s);    /* looked at again */

                return SYNC_AGAIN;
            }

            if (s->caller == slot && s->state == SYNC_SHARE_CALLED) {
                s->state = SYNC_SHARE_LOST;
            }
        }
    }

    return SYNC_OK;
}


const char *
sync_share_check(sync_zone_t *z, size_t *used)
{
    ngx_uint_t      i;
    sync_share_t   *s;
    sync_parcel_t  *parcel;

    for (i = 0; i < SYNC_SHARES_BUCKETS; i++) {

        for (s = z->sh->shares[i]; s; s = s->next) {

            if (!sync_heap_is_block(&z->sh->heap, s)) {
                return "share: no block";
            }

            if (sync_share_bucket(s->number) != i
                || s->n == 0 || s->n >= SYNC_SHARE_MAX
                || s->slot >= z->sh->nworkers
                || z->sh->workers[s->slot].pid == 0)
            {
                return "share: wrong";
            }

            if (s->state == SYNC_SHARE_CALLED
                && (s->call == 0 || sync_share_bucket(s->call) != i
                    || s->caller >= z->sh->nworkers
                    || z->sh->workers[s->caller].pid == 0))
            {
                return "share: wrong caller";
            }

            *used += sync_heap_block_size(&z->sh->heap, s);

            for (parcel = s->parcels; parcel; parcel = parcel->next) {

                if (!sync_heap_is_block(&z->sh->heap, parcel)) {
                    return "share: a parcel is no block";
                }

                *used += sync_heap_block_size(&z->sh->heap, parcel);
            }
        }
    }

    return NULL;
}
