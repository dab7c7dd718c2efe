
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_recipient.h>
#include <sync_recipient_call.h>
#include <sync_recipient_share.h>
#include <sync_timer.h>


#define SYNC_STAGE_KEEP  1048576        /* bytes of outputs to be shared */


static int ngx_libc_cdecl sync_stage_compare(const void *one,
    const void *two);
static sync_recipient_t *sync_stage_find(sync_stage_t *st, sync_client_t *c);
static void sync_stage_timed_out(ngx_event_t *ev);
static void sync_stage_go_on(sync_stage_t *st);
static void sync_stage_drop(sync_stage_t *st, sync_recipient_call_t *call);
static void sync_stage_outlive(sync_stage_t *st);
static void sync_stage_outlived(void *opaque);
static void sync_stage_free(sync_stage_t *st);
static void sync_stage_tell(sync_stage_t *st, sync_recipient_t *r,
    sync_output_t *o);
static sync_output_t *sync_stage_output(sync_stage_t *st, sync_json_t *out);


/* of a stage that has calls for others, and nobody of its own */

static const sync_stage_handler_t  sync_stage_nobody = {
    NULL,
    sync_stage_outlived,
    NULL
};


static ngx_queue_t  sync_stages = { &sync_stages, &sync_stages };
static ngx_uint_t   sync_nstages;
static ngx_uint_t   sync_ncalls;


sync_stage_t *
sync_stage_create(sync_entry_t *e, sync_str_t *name, ngx_uint_t recoverable,
    const sync_stage_handler_t *handler, void *opaque)
{
    u_char        *p;
    size_t         len;
    sync_stage_t  *st;

    len = ngx_align(sizeof(sync_stage_t), SYNC_ENTRY_ALIGN);

    p = ngx_alloc(len + e->size + name->len, ngx_cycle->log);
    if (p == NULL) {
        return NULL;
    }

    st = (sync_stage_t *) p;
    ngx_memzero(st, sizeof(sync_stage_t));

    st->entry = (sync_entry_t *) (p + len);
    ngx_memcpy(st->entry, e, e->size);

    st->name.len = name->len;
    st->name.data = p + len + e->size;
    ngx_memcpy(st->name.data, name->data, name->len);

    if (sync_extra_read(&st->extra, st->entry) != SYNC_OK) {

        /* the app cannot be asked: it is an error for all of them */

        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "message for the client hook has no route");

        sync_str_set(&st->extra.route, "");
        st->lame = 1;
    }

    st->handler = handler;
    st->opaque = opaque;
    st->recoverable = recoverable;

    ngx_queue_init(&st->calls);
    sync_timer_init(&st->timer, sync_stage_timed_out, 0);

    ngx_queue_insert_tail(&sync_stages, &st->queue);
    sync_nstages++;

    return st;
}


ngx_int_t
sync_stage_add(sync_stage_t *st, sync_client_t *c)
{
    uint32_t           max;
    ngx_msec_t         timeout;
    sync_recipient_t  *r;

    if (st->n == st->max) {
        max = st->max ? 2 * st->max : 16;

        r = realloc(st->recipients, max * sizeof(sync_recipient_t));
        if (r == NULL) {
            return SYNC_ERROR;
        }

        st->recipients = r;
        st->max = max;
    }

    r = &st->recipients[st->n++];

    r->client = c;
    r->asked = 0;
    r->begun = 0;
    r->told = 0;
    r->gone = 0;

    timeout = sync_settings(c)->hooks[SYNC_HOOK_CLIENT].timeout;
    st->timeout = ngx_max(st->timeout, timeout);

    return SYNC_OK;
}


void
sync_stage_share(sync_stage_t *st, sync_room_t *room,
    sync_interest_t *interest)
{
    st->room = room;
    st->interest = interest;
}


ngx_int_t
sync_stage_start(sync_stage_t *st)
{
    ngx_int_t  rc;

    if (st->n > 1) {
        ngx_qsort(st->recipients, st->n, sizeof(sync_recipient_t),
                  sync_stage_compare);
    }

    st->busy++;

    if (st->room && !st->lame) {
        sync_recipient_share(st);
    }

    sync_stage_go_on(st);

    st->busy--;

    if (st->gone) {
        rc = SYNC_OK;

    } else {
        rc = ngx_queue_empty(&st->calls) && st->next == st->n ? SYNC_OK
                                                              : SYNC_AGAIN;
    }

    if (rc == SYNC_OK) {
        sync_stage_free(st);

    } else {
        ngx_add_timer(&st->timer, st->timeout);
    }

    return rc;
}


/* The app took too long: it is an error for all that were not told. */

static void
sync_stage_timed_out(ngx_event_t *ev)
{
    uint32_t                i;
    ngx_queue_t            *q;
    sync_stage_t           *st;
    sync_recipient_call_t  *call;

    st = (sync_stage_t *) ((u_char *) ev - offsetof(sync_stage_t, timer));

    sync_zone_count(sync_client_zone(), SYNC_COUNT_STAGE_TIMEOUTS, 1);

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "client hook came to no end within %M ms, of a message of "
                  "\"%*s\"", st->timeout, st->extra.route.len,
                  st->extra.route.data);

    sync_stage_enter(st);

    while (!ngx_queue_empty(&st->calls)) {
        q = ngx_queue_head(&st->calls);
        call = ngx_queue_data(q, sync_recipient_call_t, queue);

        sync_recipient_share_flush(call, SYNC_SHARE_DONE);
        sync_stage_drop(st, call);
    }

    st->next = st->n;

    for (i = 0; i < st->n && !st->gone; i++) {
        sync_stage_fail(st, i, "sync.clientExecutionFailed");
    }

    sync_stage_leave(st);
}


/* By address, so that one who leaves is found. */

static int ngx_libc_cdecl
sync_stage_compare(const void *one, const void *two)
{
    uintptr_t  c1, c2;

    c1 = (uintptr_t) ((const sync_recipient_t *) one)->client;
    c2 = (uintptr_t) ((const sync_recipient_t *) two)->client;

    return (c1 > c2) - (c1 < c2);
}


static sync_recipient_t *
sync_stage_find(sync_stage_t *st, sync_client_t *c)
{
    sync_recipient_t  key;

    if (st->n == 0) {
        return NULL;
    }

    key.client = c;

    return bsearch(&key, st->recipients, st->n, sizeof(sync_recipient_t),
                   sync_stage_compare);
}


/*
 * Starts as many calls as may run; one that cannot be started is an error
 * for its recipients.
 */

static void
sync_stage_go_on(sync_stage_t *st)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    while (!st->gone
           && st->next < st->n
           && st->ncalls < SYNC_RECIPIENT_CALLS)
    {
        rc = st->lame ? SYNC_ERROR : sync_recipient_ask(st);

        if (rc != SYNC_ERROR) {
            continue;
        }

        /* there can be no call: who is not asked for is told so */

        while (!st->gone && st->next < st->n) {
            i = st->next++;

            if (!st->recipients[i].asked) {
                sync_stage_fail(st, i, "sync.clientExecutionFailed");
            }
        }
    }
}


void
sync_stage_fail(sync_stage_t *st, ngx_uint_t i, const char *code)
{
    sync_output_t     *o;
    sync_recipient_t  *r;

    r = &st->recipients[i];
    r->asked = 1;

    if (r->told || r->gone) {
        return;
    }

    o = sync_output_error(st->entry, &st->extra, code);

    if (o == NULL) {
        r->told = 1;
        sync_client_close(r->client, SYNC_STAGE_NO_MEMORY, "no memory");
        return;
    }

    sync_stage_tell(st, r, o);

    sync_output_destroy(o);
}


void
sync_stage_result(sync_stage_t *st, ngx_uint_t i, sync_json_t *out)
{
    sync_output_t     *o;
    sync_recipient_t  *r;

    r = &st->recipients[i];

    if (r->told || r->gone) {
        return;
    }

    o = sync_stage_output(st, out);

    if (o == NULL) {
        r->told = 1;
        sync_client_close(r->client, SYNC_STAGE_NO_MEMORY, "no memory");
        return;
    }

    sync_stage_tell(st, r, o);

    if (o->size == 0) {

        /* not kept: there is too much already */

        sync_output_destroy(o);
    }
}


void
sync_stage_chunk(sync_stage_t *st, uint32_t *list, ngx_uint_t n,
    sync_json_t *payload)
{
    ngx_uint_t         i;
    sync_output_t     *o;
    sync_recipient_t  *r;

    o = sync_output_chunk(st->entry, &st->extra, payload);
    if (o == NULL) {
        return;
    }

    for (i = 0; i < n && !st->gone; i++) {
        r = &st->recipients[list[i]];

        if (!r->told && !r->gone) {
            r->begun = 1;
            sync_stage_tell(st, r, o);
        }
    }

    sync_output_destroy(o);
}


static void
sync_stage_tell(sync_stage_t *st, sync_recipient_t *r, sync_output_t *o)
{
    sync_run_t   *run;
    sync_zone_t  *z;

    z = sync_client_zone();

    if (!o->chunk) {
        r->told = 1;

        /* older clients are passed over then, and know no error of it */

        if (o->silent
            || (o->rejected && sync_settings(r->client)->legacy))
        {
            sync_zone_count(z, SYNC_COUNT_WITHHELD, 1);

            if (st->handler->passed) {
                st->handler->passed(st->opaque, r->client);
            }

            return;
        }

        if (o->failed) {
            sync_zone_count(z, SYNC_COUNT_CLIENT_ERRORS, 1);
        }
    }

    run = sync_output_run(o, r->client, &st->name, st->recoverable);

    if (run == NULL) {
        sync_client_close(r->client, SYNC_STAGE_NO_MEMORY, "no memory");
        return;
    }

    st->handler->send(st->opaque, r->client, run, !o->chunk);
}


/* What the app said before is found; o->size is 0 if it is not kept. */

static sync_output_t *
sync_stage_output(sync_stage_t *st, sync_json_t *out)
{
    uint32_t        hash;
    ngx_uint_t      n;
    sync_output_t  *o;

    hash = ngx_crc32_long(out->raw.data, out->raw.len);
    n = hash % SYNC_STAGE_BUCKETS;

    for (o = st->outputs[n]; o; o = o->next) {
        if (o->hash == hash && sync_str_eq(&o->source, &out->raw)) {
            return o;
        }
    }

    o = sync_output_result(st->entry, &st->extra, out);
    if (o == NULL) {
        return NULL;
    }

    o->hash = hash;

    if (st->kept + o->size > SYNC_STAGE_KEEP) {
        o->size = 0;
        return o;
    }

    st->kept += o->size;
    o->next = st->outputs[n];
    st->outputs[n] = o;

    return o;
}


void
sync_stage_call_began(sync_stage_t *st, sync_recipient_call_t *call)
{
    ngx_queue_insert_tail(&st->calls, &call->queue);

    st->ncalls++;
    sync_ncalls++;
}


void
sync_stage_ask_again(sync_stage_t *st, ngx_uint_t i)
{
    st->recipients[i].asked = 0;
    st->next = (uint32_t) ngx_min(st->next, i);
}


void
sync_stage_call_ended(sync_stage_t *st)
{
    st->ncalls--;
    sync_ncalls--;

    /* a large room may take long, as long as its calls come to an end */

    if (st->timer.timer_set) {
        ngx_add_timer(&st->timer, st->timeout);
    }

    sync_stage_go_on(st);
}


void
sync_stage_enter(sync_stage_t *st)
{
    st->busy++;
}


/* What ended while it was at work ends now. */

void
sync_stage_leave(sync_stage_t *st)
{
    void                        *opaque;
    const sync_stage_handler_t  *handler;

    if (--st->busy) {
        return;
    }

    if (st->gone) {
        sync_stage_free(st);
        return;
    }

    if (st->next < st->n || !ngx_queue_empty(&st->calls)) {
        return;
    }

    opaque = st->opaque;
    handler = st->handler;

    sync_stage_free(st);

    handler->done(opaque);
}


ngx_uint_t
sync_stage_owes(sync_stage_t *st, sync_client_t *c)
{
    sync_recipient_t  *r;

    r = sync_stage_find(st, c);

    return r && !r->told && !r->gone;
}


void
sync_stage_forget(sync_stage_t *st, sync_client_t *c)
{
    sync_recipient_t  *r;

    r = sync_stage_find(st, c);

    if (r) {
        r->gone = 1;
    }
}


void
sync_stage_destroy(sync_stage_t *st)
{
    ngx_queue_t            *q, *next;
    sync_recipient_call_t  *call;

    for (q = ngx_queue_head(&st->calls); q != &st->calls; q = next) {
        next = ngx_queue_next(q);
        call = ngx_queue_data(q, sync_recipient_call_t, queue);

        if (call->nothers == 0) {
            sync_stage_drop(st, call);
        }
    }

    if (!ngx_queue_empty(&st->calls)) {
        sync_stage_outlive(st);
        return;
    }

    st->gone = 1;

    if (st->busy == 0) {
        sync_stage_free(st);
    }
}


static void
sync_stage_drop(sync_stage_t *st, sync_recipient_call_t *call)
{
    sync_recipient_drop(call);

    st->ncalls--;
    sync_ncalls--;
}


/* Calls that other workers have a share in go on: it ends with them. */

static void
sync_stage_outlive(sync_stage_t *st)
{
    uint32_t  i;

    for (i = 0; i < st->n; i++) {
        st->recipients[i].asked = 1;
        st->recipients[i].gone = 1;
    }

    st->next = st->n;
    st->room = NULL;
    st->alone = 0;
    st->handler = &sync_stage_nobody;
    st->opaque = NULL;
}


static void
sync_stage_outlived(void *opaque)
{
    /* void */
}


static void
sync_stage_free(sync_stage_t *st)
{
    ngx_uint_t      i;
    sync_output_t  *o, *next;

    for (i = 0; i < SYNC_STAGE_BUCKETS; i++) {
        for (o = st->outputs[i]; o; o = next) {
            next = o->next;
            sync_output_destroy(o);
        }
    }

    if (st->timer.timer_set) {
        ngx_del_timer(&st->timer);
    }

    ngx_queue_remove(&st->queue);
    sync_nstages--;

    if (st->recipients) {
        free(st->recipients);
    }

    ngx_free(st);
}


void
sync_stage_detach(sync_stage_t *st)
{
    st->alone = 1;

    (void) sync_stage_start(st);
}


void
sync_stage_exit(sync_client_t *c)
{
    ngx_queue_t   *q;
    sync_stage_t  *st;

    for (q = ngx_queue_head(&sync_stages);
         q != &sync_stages;
         q = ngx_queue_next(q))
    {
        st = ngx_queue_data(q, sync_stage_t, queue);

        if (st->alone) {
            sync_stage_forget(st, c);
        }
    }
}


ngx_uint_t
sync_stage_waits(sync_client_t *c)
{
    ngx_queue_t       *q;
    sync_stage_t      *st;
    sync_recipient_t  *r;

    for (q = ngx_queue_head(&sync_stages);
         q != &sync_stages;
         q = ngx_queue_next(q))
    {
        st = ngx_queue_data(q, sync_stage_t, queue);

        if (!st->alone) {
            continue;
        }

        r = sync_stage_find(st, c);

        if (r && !r->told && !r->gone) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
sync_stage_count(void)
{
    return sync_nstages;
}


ngx_uint_t
sync_stage_calls(void)
{
    return sync_ncalls;
}
