
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_holder.h>
#include <sync_worker.h>


static ngx_uint_t sync_holder_others(sync_zone_t *z);


ngx_int_t
sync_holder_claim(sync_zone_t *z, ngx_uint_t holder)
{
    uint64_t        self;
    ngx_int_t       rc;
    sync_holder_t  *h;
    sync_worker_t  *w;

    if (z->self == NULL) {
        return SYNC_DECLINED;
    }

    h = &z->sh->holders[holder];
    self = sync_holder_self(z);

    sync_zone_lock(z);

    w = sync_holder_worker(z, h->owner);

    if (h->owner == self) {
        rc = SYNC_OK;

    } else if (w && !w->exiting) {
        rc = SYNC_DECLINED;

    } else if (z->self->exiting && (w || sync_holder_others(z))) {
        rc = SYNC_DECLINED;

    } else {
        w = sync_holder_worker(z, h->next);

        if (w == NULL || (w->exiting && !z->self->exiting)) {
            h->next = self;
        }

        rc = (h->next == self) ? SYNC_AGAIN : SYNC_DECLINED;
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_holder_confirm(sync_zone_t *z, ngx_uint_t holder)
{
    uint64_t        self;
    ngx_int_t       rc;
    sync_holder_t  *h;

    if (z->self == NULL) {
        return SYNC_DECLINED;
    }

    h = &z->sh->holders[holder];
    self = sync_holder_self(z);

    sync_zone_lock(z);

    if (h->owner != self && h->next == self) {
        h->owner = self;
    }

    rc = (h->owner == self) ? SYNC_OK : SYNC_DECLINED;

    if (h->next == self) {
        h->next = 0;
    }

    sync_zone_unlock(z);

    return rc;
}


void
sync_holder_release(sync_zone_t *z, ngx_uint_t holder)
{
    uint64_t        self;
    sync_holder_t  *h;

    if (z->self == NULL) {
        return;
    }

    h = &z->sh->holders[holder];
    self = sync_holder_self(z);

    sync_zone_lock(z);

    if (h->owner == self) {
        h->owner = 0;
    }

    if (h->next == self) {
        h->next = 0;
    }

    sync_zone_unlock(z);
}


ngx_uint_t
sync_holder_mine(sync_zone_t *z, ngx_uint_t holder)
{
    return z->self && z->sh->holders[holder].owner == sync_holder_self(z);
}


ngx_int_t
sync_holder_slot(sync_zone_t *z, ngx_uint_t holder)
{
    sync_worker_t  *w;

    w = sync_holder_worker(z, z->sh->holders[holder].owner);

    return w ? (ngx_int_t) sync_worker_slot(z, w) : -1;
}


uint64_t
sync_holder_self(sync_zone_t *z)
{
    return (uint64_t) z->self->incarnation << 32
           | (sync_worker_slot(z, z->self) + 1);
}


/* The worker if it lives and comes round, or NULL. */

sync_worker_t *
sync_holder_worker(sync_zone_t *z, uint64_t id)
{
    ngx_msec_t      beat;
    sync_worker_t  *w;

    if (id == 0) {
        return NULL;
    }

    w = &z->sh->workers[(id & 0xffffffff) - 1];
    beat = w->beat;

    if (w->pid == 0 || w->dead || w->incarnation != id >> 32
        || (w != z->self && sync_worker_stalled(beat)))
    {
        return NULL;
    }

    return w;
}


/* Whether there is a worker that does not drain. */

static ngx_uint_t
sync_holder_others(sync_zone_t *z)
{
    ngx_msec_t      beat;
    ngx_uint_t      i;
    sync_worker_t  *w;

    for (i = 0; i < z->sh->nworkers; i++) {
        w = &z->sh->workers[i];
        beat = w->beat;

        if (w->pid && !w->dead && !w->exiting && !sync_worker_stalled(beat)) {
            return 1;
        }
    }

    return 0;
}
