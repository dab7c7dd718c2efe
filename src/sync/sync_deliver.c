
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_conflate.h>
#include <sync_deliver.h>
#include <sync_order.h>
#include <sync_relief.h>
#include <sync_report.h>
#include <sync_extra.h>
#include <sync_json.h>
#include <sync_name.h>
#include <sync_position.h>
#include <sync_ws.h>


/*
 *     batch --(wanted, not heard yet)--> parts of the dialect's run --> queue
 */


static ngx_uint_t sync_deliver_passes(sync_batch_t *b, sync_client_t *c,
    sync_entry_t *e, uint32_t i);
static ngx_int_t sync_deliver_queue(sync_audience_t *a, sync_batch_t *b,
    sync_client_t *c, uint32_t from, uint32_t to);
static uint64_t sync_deliver_lsn(sync_batch_t *b, uint32_t to);
static void sync_deliver_moved(sync_audience_t *a, sync_batch_t *b,
    sync_client_t *c, sync_entry_t *e);
static ngx_int_t sync_deliver_held(sync_client_t *c, ngx_int_t rc);
static ngx_int_t sync_deliver_slow(sync_audience_t *a, sync_batch_t *b,
    sync_client_t *c, uint32_t from, uint32_t to);
static ngx_int_t sync_deliver_listed(sync_audience_t *a, sync_batch_t *b,
    sync_client_t *c, sync_run_t *run, uint32_t from, uint32_t to);
static void sync_deliver_at(sync_audience_t *a, sync_client_t *c,
    sync_entry_t *e);
static sync_run_t *sync_deliver_run(sync_audience_t *a, sync_batch_t *b,
    sync_client_t *c);


/* of sync_resume_e */

static const char  *sync_deliver_reasons[] = {
    NULL, "new", "invalid", "trimmed", "expired", "fork", "reset", "overflow",
    "unavailable", NULL
};


void
sync_deliver(sync_audience_t *a, sync_batch_t *b, sync_client_t *c)
{
    uint32_t       from;
    uint64_t       start;
    sync_entry_t  *e;

    from = 0;
    e = (sync_entry_t *) b->entries;

    if (e->lsn == 0) {

        /* a gap in front of the first message: all are told that do not read */

        if (a->nreading
            && sync_fanout_membership(a, c)->start == SYNC_ROOM_READING)
        {
            return;
        }

    } else if (a->late > b->first) {

        /* some joined late: what was said before is not for them */

        start = sync_fanout_membership(a, c)->start;

        if (start == SYNC_ROOM_READING) {
            return;
        }

        while (from < b->n && e->lsn <= start) {
            e = sync_entry_next(e);
            from++;
        }
    }

    sync_deliver_from(a, b, c, from);
}


void
sync_deliver_from(sync_audience_t *a, sync_batch_t *b, sync_client_t *c,
    uint32_t from)
{
    uint32_t       i;
    ngx_uint_t     wanted;
    sync_entry_t  *e, *last;

    e = (sync_entry_t *) b->entries;

    if (from == 0 && b->n && e->kind == SYNC_ENTRY_GAP) {
        sync_zone_count(sync_fanout_worker.zone, SYNC_COUNT_GAPS, 1);
    }

    if (!b->choosy) {
        if (from < b->n) {
            (void) sync_deliver_queue(a, b, c, from, b->n);
        }

        return;
    }

    for (i = 0; i < from; i++) {
        e = sync_entry_next(e);
    }

    last = NULL;
    wanted = 1;
    b->reader = NULL;

    for (i = from; i < b->n; i++) {
        last = e;
        wanted = sync_deliver_wanted(c, e)
                 && (!b->filtered || sync_deliver_passes(b, c, e, i));

        if (!wanted) {

            if (from < i && sync_deliver_queue(a, b, c, from, i) != SYNC_OK) {
                return;
            }

            from = i + 1;
        }

        e = sync_entry_next(e);
    }

    if (from < b->n) {
        (void) sync_deliver_queue(a, b, c, from, b->n);
        return;
    }

    if (!wanted && b->recoverable) {
        sync_deliver_moved(a, b, c, last);
    }
}


/*
 * The last message is not for the client.  It has to know where it is all the
 * same: from the position before, it would get the message when it comes back
 * as somebody else.
 */

static void
sync_deliver_moved(sync_audience_t *a, sync_batch_t *b, sync_client_t *c,
    sync_entry_t *e)
{
    size_t         size;
    u_char        *p;
    uint64_t       buf[sizeof(sync_entry_t) / 8 + 2];
    sync_batch_t   moved;
    sync_entry_t   copy;

    static u_char  json[] = "[\"position\"]";

    ngx_memzero(&copy, sizeof(sync_entry_t));

    size = sizeof(sync_entry_t) + sizeof(json) - 1;

    copy.lsn = e->lsn;
    copy.nonce = e->nonce;
    copy.time = e->time;
    copy.kind = SYNC_ENTRY_POSITION;
    copy.len = sizeof(json) - 1;
    copy.event_len = sizeof(json) - 3;
    copy.size = ngx_align(size, SYNC_ENTRY_ALIGN);

    p = ngx_cpymem((u_char *) buf, &copy, sizeof(sync_entry_t));
    ngx_memcpy(p, json, sizeof(json) - 1);

    sync_batch_init(&moved, (u_char *) buf, copy.size, 1);

    moved.first = b->first;
    moved.recoverable = 1;
    moved.replay = b->replay;

    (void) sync_deliver_queue(a, &moved, c, 0, 1);  /* it counts as one */

    sync_batch_done(&moved);
}


void
sync_deliver_position(sync_audience_t *a, sync_client_t *c, sync_entry_t *e)
{
    if (a->batch && a->recoverable) {
        sync_deliver_moved(a, a->batch, c, e);
    }
}


void
sync_deliver_passed(sync_audience_t *a, sync_client_t *c, sync_entry_t *e)
{
    sync_batch_t  b;

    ngx_memzero(&b, sizeof(sync_batch_t));

    b.first = e->lsn - 1;
    b.recoverable = 1;
    b.replay = 1;

    sync_deliver_moved(a, &b, c, e);
}


void
sync_batch_init(sync_batch_t *b, u_char *p, size_t len, ngx_uint_t one)
{
    sync_entry_t  *e;

    ngx_memzero(b, sizeof(sync_batch_t));

    e = (sync_entry_t *) p;

    b->entries = p;
    b->first = e->lsn - 1;

    b->staged = (e->flags & SYNC_EXTRA_STAGED) != 0;
    do {
        b->n++;
        b->len += e->size;
        b->last = e->lsn;
        b->filtered |= (e->flags & SYNC_EXTRA_FILTERED) != 0;
        b->counted |= (e->flags & SYNC_RECEIPT) != 0;
        b->choosy |= (e->nexcept || e->subject_len || b->filtered);

        e = sync_entry_next(e);

    } while (b->len < len
             && !one && e->kind != SYNC_ENTRY_COMMAND
             && !b->staged && !(e->flags & SYNC_EXTRA_STAGED));
}


void
sync_batch_done(sync_batch_t *b)
{
    ngx_uint_t  i;

    for (i = 0; i < SYNC_DIALECT_MAX; i++) {
        if (b->runs[i]) {
            sync_run_unref(b->runs[i]);
        }
    }

    for (i = 0; i < 2; i++) {
        if (b->bare[i]) {
            sync_run_unref(b->bare[i]);
        }
    }

    sync_batch_moved(b);
}


void
sync_batch_moved(sync_batch_t *b)
{
    uint32_t  i;

    if (b->sieves == NULL) {
        return;
    }

    for (i = 0; i < b->n; i++) {
        if (b->sieves[i]) {
            ngx_free(b->sieves[i]);
        }
    }

    ngx_free(b->sieves);
    b->sieves = NULL;
}


size_t
sync_deliver_gap(u_char *p, sync_str_t *room, sync_resume_e reason,
    sync_position_t *at)
{
    size_t          size;
    u_char         *name;
    ngx_time_t     *tp;
    sync_entry_t   *e;
    sync_writer_t   w;
    u_char          pos[SYNC_POSITION_LEN];
    u_char          buf[SYNC_GAP_MAX];

    sync_writer_init(&w, buf, SYNC_GAP_MAX);

    sync_write_literal(&w, "[\"gap\",{\"room\":");
    sync_json_write_str(&w, room);
    sync_write_literal(&w, ",\"reason\":\"");

    name = (u_char *) sync_deliver_reason(reason);
    sync_write(&w, name, ngx_strlen(name));

    sync_write_literal(&w, "\",\"pos\":\"");
    sync_write(&w, pos, sync_position_print(pos, at) - pos);
    sync_write_literal(&w, "\"}]");

    size = ngx_align(sizeof(sync_entry_t) + w.len, SYNC_ENTRY_ALIGN);
    tp = ngx_timeofday();

    e = (sync_entry_t *) (p - size);

    ngx_memzero(e, size);

    e->lsn = at->lsn;
    e->nonce = at->nonce;
    e->time = (uint64_t) tp->sec * 1000 + tp->msec;
    e->size = size;
    e->len = w.len;
    e->event_len = sizeof("\"gap\"") - 1;
    e->kind = SYNC_ENTRY_GAP;
    e->pad = size - sizeof(sync_entry_t) - w.len;

    ngx_memcpy(sync_entry_json(e), buf, w.len);

    return size;
}


const char *
sync_deliver_reason(sync_resume_e reason)
{
    return sync_deliver_reasons[reason];
}


ngx_uint_t
sync_deliver_meant(sync_audience_t *a, sync_batch_t *b, sync_client_t *c,
    sync_entry_t *e)
{
    b->reader = NULL;

    return !sync_deliver_late(a, b, c, e)
           && sync_deliver_wanted(c, e)
           && (!b->filtered || sync_deliver_passes(b, c, e, 0));
}


ngx_uint_t
sync_deliver_late(sync_audience_t *a, sync_batch_t *b, sync_client_t *c,
    sync_entry_t *e)
{
    return a->late > b->first
           && e->lsn <= sync_fanout_membership(a, c)->start;
}


ngx_uint_t
sync_deliver_wanted(sync_client_t *c, sync_entry_t *e)
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


/* Whether the filter of the i-th entry, if it has one, lets it through. */

static ngx_uint_t
sync_deliver_passes(sync_batch_t *b, sync_client_t *c, sync_entry_t *e,
    uint32_t i)
{
    size_t  size;

    if (!(e->flags & SYNC_EXTRA_FILTERED)) {
        return 1;
    }

    if (b->sieves == NULL) {
        size = b->n * sizeof(sync_sieve_t *);

        b->sieves = ngx_alloc(size, ngx_cycle->log);

        if (b->sieves) {
            ngx_memzero(b->sieves, size);
        }
    }

    if (b->sieves && b->sieves[i] == NULL) {
        b->sieves[i] = sync_sieve_create(e);
    }

    if (b->reader != c) {
        b->reader = c;
        sync_sieve_session(&b->session, c);
    }

    if (b->sieves && b->sieves[i]
        && sync_sieve_passes(b->sieves[i], c, &b->session))
    {
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
    uint32_t      pos, last;
    ngx_int_t     rc;
    sync_run_t   *run;
    sync_zone_t  *z;

    z = sync_fanout_worker.zone;

    if (b->counted && !b->replay) {
        sync_report_count(b, from, to);
    }

    run = sync_deliver_run(a, b, c);

    if (run == NULL) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return SYNC_ERROR;
    }

    pos = from ? run->ends[from - 1] : 0;
    last = run->ends[to - 1];

    if (a->slow == SYNC_SLOW_CONFLATE && sync_conflate_holds(c)) {
        return sync_deliver_held(c, sync_conflate_hold(a, b, c, run, from,
                                                       to));
    }

    rc = (c->listed && b->recoverable)
         ? sync_deliver_listed(a, b, c, run, from, to)
         : sync_client_queue(c, run, pos, last);

    if (rc == SYNC_OK) {
        sync_relief_note(a, c);
        sync_order_note(c, a, sync_deliver_lsn(b, to));

        sync_zone_count(z, SYNC_COUNT_DELIVERED, to - from);
        sync_zone_count(z, SYNC_COUNT_DELIVERED_BYTES, last - pos);
        return SYNC_OK;
    }

    if (rc != SYNC_BUSY) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return SYNC_ERROR;
    }

    return sync_deliver_slow(a, b, c, from, to);
}


/* The LSN of the message before the one numbered "to". */

static uint64_t
sync_deliver_lsn(sync_batch_t *b, uint32_t to)
{
    sync_entry_t  *e;

    if (to == b->n) {
        return b->last;
    }

    for (e = (sync_entry_t *) b->entries; to > 1; to--) {
        e = sync_entry_next(e);
    }

    return e->lsn;
}


ngx_int_t
sync_deliver_span(sync_audience_t *a, sync_client_t *c, sync_run_t *run,
    uint32_t pos, uint32_t last, ngx_uint_t n)
{
    ngx_int_t       rc;
    sync_zone_t    *z;
    sync_member_t  *m;

    z = sync_fanout_worker.zone;

    if (a->slow == SYNC_SLOW_CONFLATE && a->batch && n == 1
        && sync_conflate_holds(c))
    {
        rc = sync_conflate_hold_one(a, c, (sync_entry_t *) a->batch->entries,
                                    run, pos, last);
        return sync_deliver_held(c, rc);
    }

    rc = sync_client_queue(c, run, pos, last);

    if (rc == SYNC_OK) {
        sync_relief_note(a, c);
        sync_order_note(c, a, a->batch ? a->batch->last : a->last);

        sync_zone_count(z, SYNC_COUNT_DELIVERED, n);
        sync_zone_count(z, SYNC_COUNT_DELIVERED_BYTES, last - pos);
        return SYNC_OK;
    }

    if (rc != SYNC_BUSY) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return SYNC_ERROR;
    }

    if (a->recoverable && a->slow == SYNC_SLOW_DROP) {

        /* it reads that message, and those behind it, by itself */

        m = sync_fanout_membership(a, c);

        if (m->start == SYNC_ROOM_READING
            || sync_fanout_replay(c, m, a->last, m->room->log.epoch, 1)
               == SYNC_OK)
        {
            return SYNC_OK;
        }

    } else if (a->slow == SYNC_SLOW_DROP) {
        sync_zone_count(z, SYNC_COUNT_DROPPED, n);
        return SYNC_OK;
    }

    sync_zone_count(z, SYNC_COUNT_SLOW, 1);
    sync_client_close(c, SYNC_WS_CODE_POLICY, "too slow");

    return SYNC_ERROR;
}


/* What came of holding messages back; returns as the above. */

static ngx_int_t
sync_deliver_held(sync_client_t *c, ngx_int_t rc)
{
    if (rc == SYNC_OK) {
        return SYNC_OK;
    }

    if (rc == SYNC_BUSY) {
        sync_zone_count(sync_fanout_worker.zone, SYNC_COUNT_SLOW, 1);
        sync_client_close(c, SYNC_WS_CODE_POLICY, "too slow");

    } else {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
    }

    return SYNC_ERROR;
}


/*
 * The client's queue is full.  In a room with a history it may read later
 * what it does not get now.
 */

static ngx_int_t
sync_deliver_slow(sync_audience_t *a, sync_batch_t *b, sync_client_t *c,
    uint32_t from, uint32_t to)
{
    uint32_t        i, epoch;
    uint64_t        lsn;
    sync_entry_t   *e;
    sync_zone_t    *z;
    sync_member_t  *m;

    z = sync_fanout_worker.zone;

    if (b->recoverable && (a->slow == SYNC_SLOW_DROP || b->replay)) {
        lsn = b->first;
        e = (sync_entry_t *) b->entries;

        for (i = 0; i < from; i++) {
            lsn = e->lsn;
            e = sync_entry_next(e);
        }

        m = sync_fanout_membership(a, c);
        epoch = m->room->log.epoch;

        if (from == 0 && e->kind == SYNC_ENTRY_GAP) {

            /* it is to be told again, if not by what was trimmed */

            lsn = 0;
            epoch -= (m->room->log.trimmed == 0);
        }

        if (sync_fanout_replay(c, m, lsn, epoch, 1) == SYNC_OK) {
            return SYNC_ERROR;
        }

    } else if (a->slow == SYNC_SLOW_DROP) {
        sync_zone_count(z, SYNC_COUNT_DROPPED, to - from);
        return SYNC_OK;
    }

    sync_zone_count(z, SYNC_COUNT_SLOW, 1);
    sync_client_close(c, SYNC_WS_CODE_POLICY, "too slow");

    return SYNC_ERROR;
}


/*
 * An event stream of several channels: before each event goes the list of
 * all their positions, which is the client's alone.
 */

static ngx_int_t
sync_deliver_listed(sync_audience_t *a, sync_batch_t *b, sync_client_t *c,
    sync_run_t *run, uint32_t from, uint32_t to)
{
    uint32_t       i;
    ngx_int_t      rc;
    sync_entry_t  *e;

    rc = sync_client_takes(c);

    if (rc != SYNC_OK) {
        return rc;
    }

    e = (sync_entry_t *) b->entries;

    for (i = 0; i < to; i++, e = sync_entry_next(e)) {

        if (i < from) {
            continue;
        }

        sync_deliver_at(a, c, e);

        rc = sync_client_queue_part(c, run, i ? run->ends[i - 1] : 0,
                                    run->ends[i]);

        if (rc != SYNC_OK) {
            return rc;
        }
    }

    return SYNC_OK;
}


static void
sync_deliver_at(sync_audience_t *a, sync_client_t *c, sync_entry_t *e)
{
    ngx_uint_t      i;
    sync_resume_t  *rs;

    rs = c->resume;

    for (i = 0; i < rs->nplaces; i++) {
        if (rs->places[i].member && rs->places[i].member->room == a->room) {
            rs->places[i].pos.lsn = e->lsn;
            rs->places[i].pos.nonce = e->nonce;
        }
    }

    sync_deliver_list(c);
}


void
sync_deliver_place(sync_audience_t *a, sync_client_t *c, sync_entry_t *e)
{
    if (c->listed && sync_client_takes(c) == SYNC_OK) {
        sync_deliver_at(a, c, e);
    }
}


void
sync_deliver_list(sync_client_t *c)
{
    u_char         *p, *list;
    ngx_uint_t      i;
    sync_str_t      id;
    sync_run_t     *run;
    sync_resume_t  *rs;

    rs = c->resume;

    list = ngx_alloc(rs->nplaces * (SYNC_POSITION_LEN + 1), ngx_cycle->log);
    if (list == NULL) {
        return;
    }

    p = list;

    for (i = 0; i < rs->nplaces; i++) {

        if (i) {
            *p++ = ',';
        }

        if (rs->places[i].member) {
            p = sync_position_print(p, &rs->places[i].pos);

        } else {
            *p++ = '-';
        }
    }

    id.data = list;
    id.len = p - list;

    run = sync_frame_id(c->dialect, &id);

    ngx_free(list);

    if (run) {
        (void) sync_client_queue_control(c, run);   /* or it has no id */
        sync_run_unref(run);
    }
}


static sync_run_t *
sync_deliver_run(sync_audience_t *a, sync_batch_t *b, sync_client_t *c)
{
    sync_str_t              name;
    sync_run_t            **run;
    sync_frame_deflate_t    deflate;

    run = (c->listed && b->recoverable)
          ? &b->bare[c->dialect == SYNC_DIALECT_SSE_RAW]
          : &b->runs[c->dialect];

    if (*run == NULL) {
        deflate.level = c->conf->level;
        deflate.min = c->conf->min;

        /* a token is not told, not even by its id */

        name = a->name;

        if (sync_name_is_private(&name)) {
            name.len = 0;
        }

        *run = sync_frame_entries(c->dialect, b->entries, b->len, b->n,
                                  &name, b->recoverable && !c->listed,
                                  &deflate);
    }

    return *run;
}
