
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_deliver.h>
#include <sync_name.h>
#include <sync_ws.h>


/*
 *     batch --(wanted, not heard yet)--> parts of the dialect's run --> queue
 */


static ngx_uint_t sync_deliver_wants(sync_client_t *c, sync_entry_t *e);
static ngx_uint_t sync_deliver_passes(sync_batch_t *b, sync_client_t *c,
    sync_entry_t *e);
static ngx_int_t sync_deliver_queue(sync_audience_t *a, sync_batch_t *b,
    sync_client_t *c, uint32_t from, uint32_t to);
static sync_run_t *sync_deliver_run(sync_audience_t *a, sync_batch_t *b,
    sync_client_t *c);


void
sync_deliver(sync_audience_t *a, sync_batch_t *b, sync_client_t *c)
{
    uint32_t       i, from;
    uint64_t       start;
    sync_entry_t  *e;

    from = 0;

    e = (sync_entry_t *) b->entries;

    if (a->late > b->first) {

        /* some joined late: what was said before is not for them */

        start = sync_fanout_membership(a, c)->start;

        while (from < b->n && e->lsn <= start) {
            e = sync_entry_next(e);
            from++;
        }
    }

    if (!b->choosy) {
        if (from < b->n) {
            (void) sync_deliver_queue(a, b, c, from, b->n);
        }

        return;
    }

    for (i = from; i < b->n; i++) {

        if (!sync_deliver_wants(c, e)
            || (b->filtered && !sync_deliver_passes(b, c, e)))
        {

            if (from < i && sync_deliver_queue(a, b, c, from, i) != SYNC_OK) {
                return;
            }

            from = i + 1;
        }

        e = sync_entry_next(e);
    }

    if (from < b->n) {
        (void) sync_deliver_queue(a, b, c, from, b->n);
    }
}


ngx_uint_t
sync_deliver_meant(sync_audience_t *a, sync_batch_t *b, sync_client_t *c,
    sync_entry_t *e)
{
    if (a->late > b->first
        && e->lsn <= sync_fanout_membership(a, c)->start)
    {
        return 0;
    }

    return sync_deliver_wants(c, e)
           && (!b->filtered || sync_deliver_passes(b, c, e));
}


static ngx_uint_t
sync_deliver_wants(sync_client_t *c, sync_entry_t *e)
{
    u_char      *id;
    ngx_uint_t   i;
    sync_str_t   name;

    id = sync_entry_except(e);

    for (i = 0; i < e->nexcept; i++) {
        if (ngx_memcmp(id, c->record->id, SYNC_ID_LEN) == 0) {
            return 0;
        }

        /* a token stands for all its clients */

        if (c->token && ngx_memcmp(id, c->token->id, SYNC_ID_LEN) == 0) {
            return 0;
        }

        id += SYNC_ID_LEN;
    }

    switch (e->kind) {

    case SYNC_ENTRY_PATTERN:
        return c->mark == sync_fanout_worker.mark;

    case SYNC_ENTRY_MESSAGE:

        if (e->subject_len == 0) {
            return 1;
        }

        /* a member of the room itself has it from there */

        name.data = sync_entry_subject(e);
        name.len = e->subject_len;

        return sync_fanout_member(c, &name) == NULL;

    default: /* SYNC_ENTRY_ALL */
        return 1;
    }
}


/* A message with a filter is a batch by itself. */

static ngx_uint_t
sync_deliver_passes(sync_batch_t *b, sync_client_t *c, sync_entry_t *e)
{
    if (b->sieve == NULL) {
        b->sieve = sync_sieve_create(e);
    }

    if (b->sieve && sync_sieve_passes(b->sieve, c)) {
        return 1;
    }

    sync_zone_count(sync_fanout_worker.zone, SYNC_COUNT_WITHHELD, 1);

    return 0;
}


/*
 * Queues messages [from, to) of the batch.  Returns SYNC_OK, or SYNC_ERROR
 * if the client is no more.
 */

static ngx_int_t
sync_deliver_queue(sync_audience_t *a, sync_batch_t *b, sync_client_t *c,
    uint32_t from, uint32_t to)
{
    uint32_t     pos, last;
    sync_run_t  *run;

    run = sync_deliver_run(a, b, c);

    if (run == NULL) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return SYNC_ERROR;
    }

    pos = from ? run->ends[from - 1] : 0;
    last = run->ends[to - 1];

    return sync_deliver_span(a, c, run, pos, last, to - from);
}


ngx_int_t
sync_deliver_span(sync_audience_t *a, sync_client_t *c, sync_run_t *run,
    uint32_t pos, uint32_t last, ngx_uint_t n)
{
    ngx_int_t     rc;
    sync_zone_t  *z;

    z = sync_fanout_worker.zone;

    rc = sync_client_queue(c, run, pos, last);

    if (rc == SYNC_OK) {
        a->pressed |= sync_client_pressed(c);

        sync_zone_count(z, SYNC_COUNT_DELIVERED, n);
        sync_zone_count(z, SYNC_COUNT_DELIVERED_BYTES, last - pos);
        return SYNC_OK;
    }

    if (rc != SYNC_BUSY) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return SYNC_ERROR;
    }

    if (a->slow == SYNC_SLOW_DROP) {
        sync_zone_count(z, SYNC_COUNT_DROPPED, n);
        return SYNC_OK;
    }

    sync_zone_count(z, SYNC_COUNT_SLOW, 1);
    sync_client_close(c, SYNC_WS_CODE_POLICY, "too slow");

    return SYNC_ERROR;
}


static sync_run_t *
sync_deliver_run(sync_audience_t *a, sync_batch_t *b, sync_client_t *c)
{
    sync_str_t              name;
    sync_run_t            **run;
    sync_frame_deflate_t    deflate;

    run = &b->runs[c->dialect];

    if (*run == NULL) {
        deflate.level = c->conf->level;
        deflate.min = c->conf->min;

        /* a token is not told, not even by its id */

        name = a->name;

        if (sync_name_is_private(&name)) {
            name.len = 0;
        }

        *run = sync_frame_entries(c->dialect, b->entries, b->len, b->n,
                                  &name, 0, &deflate);
    }

    return *run;
}
