
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_fanout_stage.h>
#include <sync_deliver.h>
#include <sync_report.h>
#include <sync_wake.h>


/*
 *     batch of one entry --> held --> stage --(all told)--> goes on
 *
 * While the app is asked, the room is held as one is that is delivered in
 * slices: what comes meanwhile stays in the log, within its limits.  What is
 * said to all is not held up, nor does it hold up: the host's audience hears
 * orders as well.
 */


static ngx_int_t sync_fanout_stage_all(sync_audience_t *a);
static ngx_int_t sync_fanout_stage_add(sync_audience_t *a, sync_stage_t *st,
    sync_entry_t *e);
static void sync_fanout_stage_failed(sync_audience_t *a, sync_entry_t *e);
static void sync_fanout_stage_send(void *opaque, sync_client_t *c,
    sync_run_t *run, ngx_uint_t result);
static void sync_fanout_stage_done(void *opaque);
static void sync_fanout_stage_passed(void *opaque, sync_client_t *c);
static void sync_fanout_stage_said(void *opaque);


static const sync_stage_handler_t  sync_fanout_stage_handler = {
    sync_fanout_stage_send,
    sync_fanout_stage_done,
    sync_fanout_stage_passed
};

static const sync_stage_handler_t  sync_fanout_stage_alone = {
    sync_fanout_stage_send,
    sync_fanout_stage_said,
    NULL
};


ngx_int_t
sync_fanout_stage(sync_audience_t *a)
{
    ngx_int_t      rc;
    sync_entry_t  *e;

    if (a == sync_fanout_worker.host) {
        return sync_fanout_stage_all(a);
    }

    if (a->stage) {
        return SYNC_AGAIN;
    }

    e = (sync_entry_t *) a->batch->entries;

    if (sync_fanout_keep(a) != SYNC_OK) {
        sync_fanout_stage_failed(a, e);
        return SYNC_OK;
    }

    e = (sync_entry_t *) a->batch->entries;

    a->stage = sync_stage_create(e, &a->name, sync_deliver_recoverable(a),
                                 &sync_fanout_stage_handler, a);

    if (a->stage == NULL) {
        sync_fanout_stage_failed(a, e);
        return SYNC_OK;
    }

    if (sync_fanout_stage_add(a, a->stage, e) != SYNC_OK) {
        sync_stage_destroy(a->stage);
        a->stage = NULL;

        sync_fanout_stage_failed(a, e);
        return SYNC_OK;
    }

    sync_stage_share(a->stage, a->room, a->interest);

    /* what waits is not gone on with */

    ngx_queue_remove(&a->active);
    ngx_queue_init(&a->active);

    rc = sync_stage_start(a->stage);

    if (rc == SYNC_OK) {
        a->stage = NULL;
        sync_fanout_stage_done(a);
    }

    return rc;
}


static ngx_int_t
sync_fanout_stage_all(sync_audience_t *a)
{
    sync_str_t     none;
    sync_zone_t   *z;
    sync_entry_t  *e;
    sync_stage_t  *st;

    z = sync_fanout_worker.zone;
    e = (sync_entry_t *) a->batch->entries;
    sync_str_set(&none, "");

    a->batch->told = 1;

    st = sync_stage_create(e, &none, 0, &sync_fanout_stage_alone, NULL);

    if (st == NULL) {
        sync_fanout_stage_failed(a, e);
        return SYNC_OK;
    }

    if (sync_fanout_stage_add(a, st, e) != SYNC_OK) {
        sync_stage_destroy(st);
        sync_fanout_stage_failed(a, e);
        return SYNC_OK;
    }

    sync_stage_share(st, z->sh->host, z->self->host);
    sync_stage_detach(st);

    return SYNC_OK;
}


static ngx_int_t
sync_fanout_stage_add(sync_audience_t *a, sync_stage_t *st, sync_entry_t *e)
{
    uint32_t        i;
    sync_client_t  *c;

    /* from the last one on, as a client may be closed by what it is told */

    for (i = a->n; i; i--) {

        if (i > a->n) {
            continue;
        }

        c = a->seats[i - 1];

        if (c->closing || sync_deliver_late(a, a->batch, c, e)) {
            continue;
        }

        if (!sync_deliver_meant(a, a->batch, c, e)) {
            sync_deliver_position(a, c, e);
            continue;
        }

        if (sync_stage_add(st, c) != SYNC_OK) {
            return SYNC_ERROR;
        }

        if (a->batch->counted) {
            sync_report_count(a->batch, 0, 1);
        }
    }

    return SYNC_OK;
}


/* With no memory there is no other way to show that something is missing. */

static void
sync_fanout_stage_failed(sync_audience_t *a, sync_entry_t *e)
{
    uint32_t  i;

    a->batch->told = 1;

    for (i = a->n; i && !a->gone; i--) {
        if (i <= a->n && sync_deliver_meant(a, a->batch, a->seats[i - 1], e))
        {
            sync_client_close(a->seats[i - 1], SYNC_STAGE_NO_MEMORY,
                              "no memory");
        }
    }
}


static void
sync_fanout_stage_send(void *opaque, sync_client_t *c, sync_run_t *run,
    ngx_uint_t result)
{
    sync_audience_t *a = opaque;

    if (result && a && a->batch && a->recoverable) {
        sync_deliver_place(a, c, (sync_entry_t *) a->batch->entries);
    }

    (void) sync_deliver_span(a ? a : sync_fanout_worker.host, c, run, 0,
                             run->len, 1);
}


static void
sync_fanout_stage_done(void *opaque)
{
    sync_audience_t *a = opaque;

    a->stage = NULL;
    a->batch->told = 1;

    ngx_queue_insert_tail(&sync_fanout_worker.active, &a->active);

    sync_wake_self(1);
}


static void
sync_fanout_stage_passed(void *opaque, sync_client_t *c)
{
    sync_audience_t *a = opaque;

    sync_deliver_position(a, c, (sync_entry_t *) a->batch->entries);
}


static void
sync_fanout_stage_said(void *opaque)
{
    /* void */
}


void
sync_fanout_stage_client(sync_entry_t *e, sync_client_t *c)
{
    sync_str_t     none;
    sync_stage_t  *st;

    sync_str_set(&none, "");

    st = sync_stage_create(e, &none, 0, &sync_fanout_stage_alone, NULL);

    if (st && sync_stage_add(st, c) == SYNC_OK) {
        sync_stage_detach(st);
        return;
    }

    if (st) {
        sync_stage_destroy(st);
    }

    sync_client_close(c, SYNC_STAGE_NO_MEMORY, "no memory");
}
