
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_order.h>


static sync_order_t *sync_order_single(sync_client_t *c);
static sync_order_t *sync_order_get(sync_client_t *c);
static ngx_int_t sync_order_add(sync_order_t *order, sync_room_t *room,
    uint64_t lsn);
static sync_order_step_t *sync_order_base(sync_order_t *order,
    sync_room_t *room);
static void sync_order_forget(sync_order_t *order);
static void sync_order_lost(sync_client_t *c);


/* With a second room there is an order. */

void
sync_order_joined(sync_client_t *c, sync_member_t *m)
{
    sync_order_t   *order;
    sync_member_t  *o;

    if (m->room->history == 0 || !sync_order_kept(c)
        || (c->record->flags & SYNC_RECORD_UNORDERED))
    {
        return;
    }

    order = sync_order(c);

    if (order == NULL) {

        for (o = c->record->members; o; o = o->next) {
            if (o != m && o->room->history) {
                break;
            }
        }

        if (o == NULL) {
            return;
        }

        order = sync_order_get(c);

        if (order == NULL
            || sync_order_add(order, o->room, o->start) != SYNC_OK)
        {
            sync_order_lost(c);
            return;
        }
    }

    if (sync_order_add(order, m->room, m->start) != SYNC_OK) {
        sync_order_lost(c);
        return;
    }

    if (order->nbases < 2 || c->ordered) {
        return;
    }

    c->ordered = 1;

    for (o = c->record->members; o; o = o->next) {
        if (o != m && o->room->history) {
            sync_order_step(c, o->room, sync_fanout_reached(c, o));
        }
    }
}


/* Rooms are known by their places in the zone, which all workers see. */

void
sync_order_depart(sync_client_t *c, sync_sid_t *s)
{
    size_t             size;
    u_char            *p;
    ngx_int_t          rc;
    sync_order_t      *order;
    sync_order_step_t  head;

    if (!sync_order_kept(c)) {
        return;
    }

    order = sync_order(c);

    if (order == NULL) {
        order = sync_order_single(c);
    }

    if (order == NULL) {
        return;
    }

    size = (1 + order->nbases + order->n) * sizeof(sync_order_step_t);

    p = ngx_alloc(size, ngx_cycle->log);

    if (p == NULL) {
        sync_order_lost(c);
        return;
    }

    ngx_memzero(&head, sizeof(sync_order_step_t));
    head.lsn = (uint64_t) order->n << 1 | order->cut;

    ngx_memcpy(p, &head, sizeof(sync_order_step_t));
    ngx_memcpy(p + sizeof(sync_order_step_t), order->bases,
               order->nbases * sizeof(sync_order_step_t));
    ngx_memcpy(p + (1 + order->nbases) * sizeof(sync_order_step_t),
               order->steps, order->n * sizeof(sync_order_step_t));

    rc = sync_sid_set_order(sync_fanout_worker.zone, s, p, size);

    ngx_free(p);

    if (rc != SYNC_OK) {
        sync_order_lost(c);
    }
}


/* With one room nothing but where it began is to be known. */

static sync_order_t *
sync_order_single(sync_client_t *c)
{
    sync_order_t   *order;
    sync_member_t  *m;

    for (m = c->record->members; m; m = m->next) {
        if (m->room->history && sync_fanout_reached(c, m) != m->start) {
            break;
        }
    }

    if (m == NULL) {
        return NULL;
    }

    order = sync_order_get(c);

    if (order == NULL
        || sync_order_add(order, m->room, m->start) != SYNC_OK)
    {
        sync_order_lost(c);
        return NULL;
    }

    return order;
}


void
sync_order_arrived(sync_client_t *c, sync_sid_t *s)
{
    u_char             *p;
    ngx_uint_t          n;
    sync_order_t       *order;
    sync_order_step_t   step;

    if (s->order == NULL) {
        return;
    }

    order = sync_order_get(c);

    if (order == NULL) {
        sync_order_lost(c);
        return;
    }

    p = s->order->data;
    ngx_memcpy(&step, p, sizeof(sync_order_step_t));

    order->cut = step.lsn & 1;
    order->n = step.lsn >> 1;

    n = s->order->len / sizeof(sync_order_step_t) - 1 - order->n;

    while (order->nbases < n) {
        p += sizeof(sync_order_step_t);
        ngx_memcpy(&step, p, sizeof(sync_order_step_t));

        if (sync_order_add(order, step.room, step.lsn) != SYNC_OK) {
            sync_order_lost(c);
            return;
        }
    }

    p += sizeof(sync_order_step_t);
    ngx_memcpy(order->steps, p, order->n * sizeof(sync_order_step_t));

    c->ordered = (n > 1);

    (void) sync_sid_set_order(sync_fanout_worker.zone, s, NULL, 0);
}


void
sync_order_replay(sync_client_t *c, sync_member_t *m, uint64_t lsn,
    ngx_uint_t slow)
{
    uint64_t            start;
    sync_order_t       *order;
    sync_order_step_t  *base;

    if (!sync_order_kept(c)) {
        return;
    }

    order = sync_order(c);
    start = slow ? m->start : lsn;

    if (order == NULL) {
        order = sync_order_get(c);

        if (order == NULL || sync_order_add(order, m->room, start) != SYNC_OK)
        {
            sync_order_lost(c);
        }

        return;
    }

    base = sync_order_base(order, m->room);

    if (base && !slow) {
        base->lsn = lsn;
    }
}


static sync_order_t *
sync_order_get(sync_client_t *c)
{
    sync_order_t   *order;
    sync_resume_t  *rs;

    rs = sync_fanout_resume(c);

    if (rs == NULL) {
        return NULL;
    }

    order = ngx_alloc(sizeof(sync_order_t), ngx_cycle->log);
    if (order == NULL) {
        return NULL;
    }

    ngx_memzero(order, offsetof(sync_order_t, steps));
    rs->order = order;

    return order;
}


static ngx_int_t
sync_order_add(sync_order_t *order, sync_room_t *room, uint64_t lsn)
{
    ngx_uint_t          max;
    sync_order_step_t  *bases;

    if (order->nbases == order->max) {
        max = order->max ? order->max * 2 : 2;

        bases = ngx_alloc(max * sizeof(sync_order_step_t), ngx_cycle->log);
        if (bases == NULL) {
            return SYNC_ERROR;
        }

        if (order->bases) {
            ngx_memcpy(bases, order->bases,
                       order->nbases * sizeof(sync_order_step_t));
            ngx_free(order->bases);
        }

        order->bases = bases;
        order->max = max;
    }

    bases = &order->bases[order->nbases++];
    bases->room = room;
    bases->lsn = lsn;

    return SYNC_OK;
}


static sync_order_step_t *
sync_order_base(sync_order_t *order, sync_room_t *room)
{
    ngx_uint_t  i;

    for (i = 0; i < order->nbases; i++) {
        if (order->bases[i].room == room) {
            return &order->bases[i];
        }
    }

    return NULL;
}


void
sync_order_step(sync_client_t *c, sync_room_t *room, uint64_t lsn)
{
    sync_order_t       *order;
    sync_order_step_t  *step, *base;

    order = sync_order(c);

    step = order->n ? &order->steps[order->n - 1] : NULL;

    if (step && step->room == room && step->lsn <= lsn) {
        step->lsn = lsn;
        return;
    }

    base = sync_order_base(order, room);

    if (base == NULL || (step == NULL && base->lsn == lsn)) {
        return;
    }

    if ((step && step->room == room) || lsn < base->lsn) {

        /* its log began anew: what was before is not to be compared */

        while (order->n) {
            sync_order_forget(order);
        }

        base->lsn = lsn;
        order->cut = 1;
        return;
    }

    if (order->n == SYNC_ORDER_MAX) {
        sync_order_forget(order);
    }

    step = &order->steps[order->n++];
    step->room = room;
    step->lsn = lsn;
}


/* The oldest step is what comes before all others now. */

static void
sync_order_forget(sync_order_t *order)
{
    sync_order_step_t  *step, *base;

    step = &order->steps[0];
    base = step->room ? sync_order_base(order, step->room) : NULL;

    if (base) {
        base->lsn = step->lsn;
    }

    order->cut = 1;
    order->n--;

    ngx_memmove(step, step + 1, order->n * sizeof(sync_order_step_t));
}


void
sync_order_left(sync_client_t *c, sync_room_t *room)
{
    ngx_uint_t          i;
    sync_order_t       *order;
    sync_order_step_t  *base;

    order = sync_order(c);

    if (order == NULL) {
        return;
    }

    base = sync_order_base(order, room);

    if (base) {
        *base = order->bases[--order->nbases];
    }

    for (i = 0; i < order->n; i++) {
        if (order->steps[i].room == room) {
            order->steps[i].room = NULL;
        }
    }
}


/* Without memory for the order nothing can be said of it later. */

static void
sync_order_lost(sync_client_t *c)
{
    sync_resume_t  *rs;

    c->ordered = 0;
    c->record->flags |= SYNC_RECORD_UNORDERED;

    rs = c->resume;

    if (rs && rs->order) {
        sync_order_free(rs->order);
        rs->order = NULL;
    }
}


void
sync_order_free(sync_order_t *order)
{
    if (order->bases) {
        ngx_free(order->bases);
    }

    ngx_free(order);
}
