
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_audience.h>
#include <sync_fanout.h>
#include <sync_late.h>
#include <sync_wake.h>


/*
 * A client that goes to another worker with its session:
 *
 *     this worker                           the other one
 *     all is read --(moved, one instant)--> arrived: takes its seats
 *     gives up its seats
 *
 * What was said up to that instant is in the client's queue here, what is
 * said later is for the other worker to read.  It takes from no room before
 * it has seated who arrived: sync_room_take().
 */


/*
 * The seats are known by the members, which are not this worker's any more
 * once they were moved.
 */

ngx_int_t
sync_fanout_depart(sync_client_t *c, sync_sid_t *s)
{
    uint32_t          *seats;
    ngx_int_t          rc;
    ngx_uint_t         i, n;
    sync_member_t     *m;
    sync_wake_set_t    wake;
    sync_audience_t  **audiences;

    n = c->record->nrooms;
    audiences = NULL;

    if (n) {
        audiences = ngx_alloc(n * (sizeof(sync_audience_t *)
                                   + sizeof(uint32_t)), ngx_cycle->log);
        if (audiences == NULL) {
            return SYNC_BUSY;
        }
    }

    seats = (uint32_t *) (audiences + n);
    rc = SYNC_OK;

    /* who catches up does so first, by way of what is left for a poll */

    if (sync_fanout_worker.host->batch || sync_stage_waits(c)
        || sync_fanout_reading(c) || sync_late_waits(c))
    {
        rc = SYNC_AGAIN;
    }

    i = 0;

    for (m = c->record->members; m; m = m->next) {
        audiences[i] = sync_fanout_audience(m);
        seats[i] = m->index;

        if (audiences[i]->batch) {
            rc = SYNC_AGAIN;
        }

        if (audiences[i]->n == 1) {

            /* the interest may stay, for clients that are about to arrive */

            m->interest->cookie = 0;
            m->interest->behind = 0;
        }

        i++;
    }

    wake.n = 0;

    if (rc == SYNC_OK) {
        rc = sync_sid_move(sync_fanout_worker.zone, s, &wake);
    }

    if (rc == SYNC_OK) {
        sync_fanout_forget_all(c);

        c->record = NULL;

        for (i = 0; i < n; i++) {
            sync_fanout_unseat(audiences[i], seats[i]);

            if (audiences[i]->n == 0) {
                sync_fanout_destroy(audiences[i]);
            }
        }

        sync_fanout_unseat(sync_fanout_worker.host, c->seat);

    } else {

        for (i = 0; i < n; i++) {
            audiences[i]->interest->cookie = (uintptr_t) audiences[i];
        }
    }

    if (audiences) {
        ngx_free(audiences);
    }

    sync_wake_send(sync_fanout_worker.zone, &wake);

    return rc;
}


ngx_int_t
sync_fanout_arrive(sync_client_t *c)
{
    sync_str_t        name;
    sync_member_t    *m;
    sync_audience_t  *a, *host;

    host = sync_fanout_worker.host;

    if (sync_fanout_reserve(host) != SYNC_OK) {
        return SYNC_ERROR;
    }

    for (m = c->record->members; m; m = m->next) {
        a = sync_fanout_audience(m);

        if (a == NULL) {
            name.data = m->room->name;
            name.len = m->room->len;

            a = sync_fanout_create(&name);
            if (a == NULL) {
                return SYNC_ERROR;
            }

            a->room = m->room;
            a->recoverable = (m->room->history != 0);
            a->last = m->interest->cursor;
            a->interest = m->interest;
            m->interest->cookie = (uintptr_t) a;
        }

        if (sync_fanout_reserve(a) != SYNC_OK) {
            return SYNC_ERROR;
        }
    }

    for (m = c->record->members; m; m = m->next) {
        a = sync_fanout_audience(m);

        m->index = a->n;
        a->seats[a->n++] = c;

        a->late = ngx_max(a->late, m->start);
    }

    c->seat = host->n;
    host->seats[host->n++] = c;

    return SYNC_OK;
}


ngx_uint_t
sync_fanout_busy(void)
{
    return sync_fanout_worker.host->batch != NULL;
}
