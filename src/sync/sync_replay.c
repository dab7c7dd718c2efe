
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_replay.h>
#include <sync_cluster.h>
#include <sync_conflate.h>
#include <sync_audience.h>
#include <sync_deliver.h>
#include <sync_late.h>
#include <sync_order.h>
#include <sync_recipient.h>
#include <sync_wake.h>
#include <sync_ws.h>


/*
 * Members that read for themselves: who came back with a position, and who
 * was too slow for the others.
 *
 *     resume, or fell behind
 *            |
 *            v       queue is short: read, deliver
 *          ready ----------------------------------> at the top: as others
 *            ^              |
 *            `--(drained)-- behind
 *
 * A client reads one room after another, and no more than its queue takes:
 * the log is where it waits.  If what it has not read is freed meanwhile, it
 * is told so before anything newer, and goes on from there.
 */


#define SYNC_REPLAY_SLICE   65536       /* bytes a read, at first */
#define SYNC_REPLAY_TURN    524288      /* bytes a turn */
#define SYNC_REPLAY_QUEUE   65536       /* bytes that may wait */


static void sync_replay_ready(sync_resume_t *rs);
static void sync_replay_slice(sync_resume_t *rs);
static size_t sync_replay_step(sync_resume_t *rs);
static ngx_int_t sync_replay_read(sync_replay_t *rp, sync_read_t *r);
static void sync_replay_end(sync_client_t *c, sync_replay_t *rp,
    uint64_t lsn);
static void sync_replay_stage(sync_client_t *c, sync_replay_t *rp,
    sync_entry_t *e);
static void sync_replay_unstage(sync_replay_t *rp);
static void sync_replay_stage_send(void *opaque, sync_client_t *c,
    sync_run_t *run, ngx_uint_t result);
static void sync_replay_stage_done(void *opaque);
static void sync_replay_stage_passed(void *opaque, sync_client_t *c);
static void sync_replay_deliver(sync_client_t *c, sync_replay_t *rp,
    sync_read_t *r, uint64_t from);
static void sync_replay_remove(sync_client_t *c, sync_replay_t *rp);
static void sync_replay_settled(sync_audience_t *a, uint64_t lsn);


static const sync_stage_handler_t  sync_replay_stage_handler = {
    sync_replay_stage_send,
    sync_replay_stage_done,
    sync_replay_stage_passed
};


static u_char  *sync_replay_buf;        /* SYNC_GAP_MAX bytes before it */
static size_t   sync_replay_size;
static size_t   sync_replay_spent;      /* bytes since the last look */


void
sync_replay_resume(sync_client_t *c, sync_str_t *name, sync_str_t *pos,
    sync_resumption_t *r)
{
    sync_zone_t      *z;
    sync_member_t    *m;
    sync_resumed_t    resumed;
    sync_position_t   position;

    z = sync_fanout_worker.zone;
    m = sync_fanout_member(c, name);

    r->reason = SYNC_RESUME_VOLATILE;

    if (m == NULL || m->room->history == 0) {
        return;
    }

    r->reason = SYNC_RESUME_NEW;

    if (!sync_cluster_linked(name)) {

        /* what there is now may not be what there was said */

        r->reason = SYNC_RESUME_UNAVAILABLE;

    } else if (pos->len) {
        r->reason = SYNC_RESUME_INVALID;

        if (sync_position_parse(&position, pos) == SYNC_OK) {
            sync_room_resume(z, m, &position, &resumed);
            r->reason = resumed.reason;
        }
    }

    if (r->reason == SYNC_RESUME_OK) {
        r->pos = resumed.top;

        if (sync_fanout_replay(c, m, position.lsn, resumed.epoch, 0)
            == SYNC_OK)
        {
            sync_late_forget(m);
            sync_zone_count(z, SYNC_COUNT_RECOVERED, 1);
            return;
        }

        m->start = resumed.top.lsn;
        r->reason = SYNC_RESUME_UNAVAILABLE;
    }

    if (pos->len) {
        sync_zone_count(z, SYNC_COUNT_LOST, 1);
    }

    if (sync_room_position(z, m->room, sync_fanout_reached(c, m), &r->pos)
        != SYNC_OK)
    {
        r->pos.nonce = 0;
    }
}


void
sync_replay_write(sync_writer_t *w, sync_resumption_t *r)
{
    u_char  *reason, pos[SYNC_POSITION_LEN];

    if (r->reason == SYNC_RESUME_OK) {
        sync_write_literal(w, "\"recovered\":true,\"reason\":null");

    } else {
        reason = (u_char *) sync_deliver_reason(r->reason);

        sync_write_literal(w, "\"recovered\":false,\"reason\":\"");
        sync_write(w, reason, ngx_strlen(reason));
        sync_write_byte(w, '"');
    }

    sync_write_literal(w, ",\"pos\":\"");
    sync_write(w, pos, sync_position_print(pos, &r->pos) - pos);
    sync_write_byte(w, '"');
}


uint64_t
sync_fanout_reached(sync_client_t *c, sync_member_t *m)
{
    uint64_t          lsn;
    sync_replay_t    *rp;
    sync_resume_t    *rs;
    sync_audience_t  *a;

    a = sync_fanout_audience(m);

    if (m->start == SYNC_ROOM_READING) {
        rs = c->resume;

        for (rp = rs->replays; rp; rp = rp->next) {
            if (rp->member == m) {
                return rp->cursor;
            }
        }
    }

    lsn = (a->batch && m->index < a->next) ? a->batch->last : a->last;

    /* the app may have answered for this one, and not for others */

    if (a->stage && !sync_stage_owes(a->stage, c)) {
        lsn = a->batch->last;
    }

    return ngx_max(lsn, m->start);
}


ngx_int_t
sync_fanout_replay(sync_client_t *c, sync_member_t *m, uint64_t lsn,
    uint32_t epoch, ngx_uint_t slow)
{
    sync_replay_t    *rp, **last;
    sync_resume_t    *rs;
    sync_audience_t  *a;

    rs = sync_fanout_resume(c);
    if (rs == NULL) {
        return SYNC_ERROR;
    }

    for (last = &rs->replays; *last; last = &(*last)->next) {

        if ((*last)->member == m) {
            rp = *last;

            /* what the app is asked of a message is asked of it again */

            if (rp->stage) {
                sync_stage_destroy(rp->stage);
                sync_replay_unstage(rp);

                sync_replay_ready(rs);
                sync_wake_self(0);
            }

            sync_order_replay(c, m, lsn, slow);

            rp->cursor = lsn;
            rp->epoch = epoch;

            return SYNC_OK;
        }
    }

    rp = ngx_alloc(sizeof(sync_replay_t), ngx_cycle->log);
    if (rp == NULL) {
        return SYNC_ERROR;
    }

    ngx_memzero(rp, sizeof(sync_replay_t));

    rp->client = c;
    rp->member = m;
    rp->cursor = lsn;
    rp->epoch = epoch;
    rp->slow = slow;

    *last = rp;

    sync_order_replay(c, m, lsn, slow);

    m->start = SYNC_ROOM_READING;

    a = sync_fanout_audience(m);
    a->late = SYNC_ROOM_READING;
    a->nreading++;

    /* what is being asked for it is read again, too */

    if (a->stage) {
        sync_stage_forget(a->stage, c);
    }

    if (slow) {
        c->behind = 1;

    } else {
        sync_replay_ready(rs);
        sync_wake_self(0);
    }

    return SYNC_OK;
}


ngx_int_t
sync_replay_places(sync_client_t *c, ngx_uint_t n)
{
    sync_resume_t  *rs;

    rs = sync_fanout_resume(c);
    if (rs == NULL) {
        return SYNC_ERROR;
    }

    rs->places = ngx_calloc(n * sizeof(sync_place_t), ngx_cycle->log);
    if (rs->places == NULL) {
        return SYNC_ERROR;
    }

    rs->nplaces = n;
    c->listed = 1;

    return SYNC_OK;
}


void
sync_replay_place(sync_client_t *c, ngx_uint_t i, sync_str_t *name,
    sync_position_t *pos)
{
    sync_resume_t  *rs;

    rs = c->resume;

    rs->places[i].member = sync_fanout_member(c, name);
    rs->places[i].pos = *pos;
}


sync_resume_t *
sync_fanout_resume(sync_client_t *c)
{
    sync_resume_t  *rs;

    if (c->resume) {
        return c->resume;
    }

    rs = ngx_calloc(sizeof(sync_resume_t), ngx_cycle->log);
    if (rs == NULL) {
        return NULL;
    }

    rs->client = c;
    c->resume = rs;

    return rs;
}


static void
sync_replay_ready(sync_resume_t *rs)
{
    if (!rs->queued) {
        rs->queued = 1;
        rs->client->behind = (rs->held != NULL);

        ngx_queue_insert_tail(&sync_fanout_worker.ready, &rs->queue);
    }
}


void
sync_replay_drained(sync_client_t *c)
{
    sync_resume_t  *rs;

    if (!c->behind) {
        return;
    }

    rs = c->resume;

    if (rs == NULL) {
        return;
    }

    c->behind = (rs->replays != NULL);

    sync_conflate_release(c);

    if (!c->closing && rs->replays) {
        sync_replay_ready(rs);
        sync_wake_self(0);
    }
}


void
sync_replay_begin(sync_client_t *c)
{
    sync_resume_t  *rs;

    rs = c->resume;

    if (!c->closing && rs && rs->queued
        && sync_replay_spent < SYNC_REPLAY_TURN)
    {
        sync_replay_slice(rs);
    }
}


ngx_uint_t
sync_replay_go_on(void)
{
    ngx_queue_t    *h;
    sync_resume_t  *rs;

    h = &sync_fanout_worker.ready;

    sync_replay_spent = 0;

    while (sync_replay_spent < SYNC_REPLAY_TURN && !ngx_queue_empty(h)) {

        rs = ngx_queue_data(ngx_queue_head(h), sync_resume_t, queue);

        sync_replay_slice(rs);
    }

    return !ngx_queue_empty(h);
}


static void
sync_replay_slice(sync_resume_t *rs)
{
    sync_client_t  *c;

    c = rs->client;

    ngx_queue_remove(&rs->queue);
    rs->queued = 0;

    sync_replay_spent += sync_replay_step(rs);

    if (c->closing || c->resume == NULL || rs->replays == NULL
        || rs->replays->stage)
    {
        return;
    }

    if (c->queued < SYNC_REPLAY_QUEUE) {
        sync_replay_ready(rs);

    } else {
        c->behind = 1;
    }
}


/* A slice for a client; returns the bytes that were read, and some. */

static size_t
sync_replay_step(sync_resume_t *rs)
{
    uint64_t        from;
    ngx_int_t       rc;
    sync_read_t     r;
    sync_client_t  *c;
    sync_replay_t  *rp;

    c = rs->client;
    rp = rs->replays;

    if (c->closing || rp == NULL) {
        return 1;
    }

    if (rp->stage) {

        /* it goes on when its message was told */

        return 1;
    }

    from = rp->cursor;

    rc = sync_replay_read(rp, &r);

    if (rc == SYNC_BUSY) {

        /* what it is answered comes first, by another look */

        return SYNC_REPLAY_TURN;
    }

    if (rc != SYNC_OK) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return 1;
    }

    if (rp->slow && r.lost == SYNC_RESUME_TRIMMED) {
        r.lost = SYNC_RESUME_OVERFLOW;
    }

    rp->cursor = r.cursor;
    rp->epoch = r.epoch;

    if (r.lost || r.len) {
        sync_replay_deliver(c, rp, &r, from);
        return r.len + sizeof(sync_entry_t);
    }

    sync_replay_end(c, rp, r.cursor);

    return sizeof(sync_entry_t);
}


/* What is said from now on comes with the others'. */

static void
sync_replay_end(sync_client_t *c, sync_replay_t *rp, uint64_t lsn)
{
    sync_replay_settled(sync_fanout_audience(rp->member), lsn);
    sync_replay_remove(c, rp);
    ngx_free(rp);
}


static ngx_int_t
sync_replay_read(sync_replay_t *rp, sync_read_t *r)
{
    size_t      size;
    u_char     *p;
    ngx_int_t   rc;

    if (sync_replay_buf == NULL) {
        r->need = SYNC_REPLAY_SLICE;

    } else {
        r->need = 0;
    }

    for ( ;; ) {

        if (r->need) {
            size = r->need;

            p = ngx_alloc(SYNC_GAP_MAX + size, ngx_cycle->log);
            if (p == NULL) {
                return SYNC_ERROR;
            }

            if (sync_replay_buf) {
                ngx_free(sync_replay_buf - SYNC_GAP_MAX);
            }

            sync_replay_buf = p + SYNC_GAP_MAX;
            sync_replay_size = size;
        }

        r->buf = sync_replay_buf;
        r->size = sync_replay_size;
        r->cursor = rp->cursor;
        r->epoch = rp->epoch;
        r->ahead = sync_fanout_worker.ahead;

        rc = sync_room_read(sync_fanout_worker.zone, rp->member, r);

        if (rc != SYNC_AGAIN) {
            return rc;
        }
    }
}


static void
sync_replay_deliver(sync_client_t *c, sync_replay_t *rp, sync_read_t *r,
    uint64_t from)
{
    size_t            len;
    u_char           *p, *last;
    uint64_t          cursor;
    sync_batch_t      b;
    sync_member_t    *m;
    sync_audience_t  *a;

    m = rp->member;
    a = sync_fanout_audience(m);
    p = r->buf;
    len = r->len;
    cursor = r->cursor;

    if (r->lost) {
        from = r->at.lsn;
        len = sync_deliver_gap(p, &a->name, r->lost, &r->at);
        p -= len;
        len += r->len;
    }

    /* as long as it is delivered to, nobody else reads for it */

    m->start = SYNC_ROOM_READING;

    for (last = p + len; p < last; p += b.len) {

        sync_batch_init(&b, p, last - p, 0);

        b.first = from;
        b.recoverable = 1;
        b.replay = 1;

        from = b.last;
        rp->cursor = b.last;

        sync_zone_count(sync_fanout_worker.zone, SYNC_COUNT_REPLAYED, b.n);

        if (b.staged) {
            sync_replay_stage(c, rp, (sync_entry_t *) b.entries);

        } else {
            sync_deliver_from(a, &b, c, 0);
        }

        sync_batch_done(&b);

        /* it may be closed, waiting, or full and set back */

        if (c->closing || rp->stage || rp->cursor != from) {
            return;
        }
    }

    if (r->done) {
        m->start = cursor;
        sync_replay_end(c, rp, cursor);
    }
}


/* The app is asked what the client is to hear of a message. */

static void
sync_replay_stage(sync_client_t *c, sync_replay_t *rp, sync_entry_t *e)
{
    sync_stage_t     *st;
    sync_audience_t  *a;

    a = sync_fanout_audience(rp->member);

    if (!sync_deliver_wanted(c, e)) {
        sync_deliver_passed(a, c, e);
        return;
    }

    rp->entry = ngx_alloc(e->size, ngx_cycle->log);

    if (rp->entry == NULL) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    ngx_memcpy(rp->entry, e, e->size);

    st = sync_stage_create(rp->entry, &a->name, 1, &sync_replay_stage_handler,
                           rp);

    if (st == NULL || sync_stage_add(st, c) != SYNC_OK) {

        if (st) {
            sync_stage_destroy(st);
        }

        ngx_free(rp->entry);
        rp->entry = NULL;

        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    rp->stage = st;

    if (sync_stage_start(st) == SYNC_OK) {
        sync_replay_unstage(rp);
    }
}


static void
sync_replay_unstage(sync_replay_t *rp)
{
    rp->stage = NULL;

    if (rp->entry) {
        ngx_free(rp->entry);
        rp->entry = NULL;
    }
}


static void
sync_replay_stage_send(void *opaque, sync_client_t *c, sync_run_t *run,
    ngx_uint_t result)
{
    sync_replay_t *rp = opaque;

    ngx_int_t  rc;

    if (result) {
        sync_deliver_place(sync_fanout_audience(rp->member), c, rp->entry);
    }

    rc = sync_client_queue(c, run, 0, run->len);

    if (rc == SYNC_OK) {
        sync_order_note(c, sync_fanout_audience(rp->member), rp->entry->lsn);
        return;
    }

    if (rc == SYNC_BUSY) {

        /* once more, when there is room for it */

        rp->cursor = rp->entry->lsn - 1;
        return;
    }

    sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
}


static void
sync_replay_stage_done(void *opaque)
{
    sync_replay_t *rp = opaque;

    sync_client_t  *c;

    c = rp->client;

    sync_replay_unstage(rp);

    if (!c->closing) {
        sync_replay_ready(c->resume);
        sync_wake_self(1);
    }
}


static void
sync_replay_stage_passed(void *opaque, sync_client_t *c)
{
    sync_replay_t *rp = opaque;

    sync_deliver_passed(sync_fanout_audience(rp->member), c, rp->entry);
}


/* Takes it from the client's list. */

static void
sync_replay_remove(sync_client_t *c, sync_replay_t *rp)
{
    sync_replay_t  **p;
    sync_resume_t   *rs;

    rs = c->resume;

    for (p = &rs->replays; *p != rp; p = &(*p)->next) {
        /* void */
    }

    *p = rp->next;
}


/* One member less reads for itself; all have started at lsn at the latest. */

static void
sync_replay_settled(sync_audience_t *a, uint64_t lsn)
{
    if (--a->nreading == 0) {
        a->late = lsn;
    }
}


ngx_uint_t
sync_fanout_reading(sync_client_t *c)
{
    sync_resume_t  *rs;

    rs = c->resume;

    if (rs == NULL || (rs->replays == NULL && rs->held == NULL)) {
        return 0;
    }

    if (c->out == NULL) {
        sync_replay_drained(c);
    }

    return 1;
}


void
sync_fanout_forget(sync_client_t *c, sync_member_t *m)
{
    ngx_uint_t        i;
    sync_replay_t    *rp;
    sync_resume_t    *rs;

    rs = c->resume;

    if (rs == NULL) {
        return;
    }

    sync_conflate_forget(c, sync_fanout_audience(m));

    for (i = 0; i < rs->nplaces; i++) {
        if (rs->places[i].member == m) {
            rs->places[i].member = NULL;
        }
    }

    for (rp = rs->replays; rp; rp = rp->next) {

        if (rp->member == m) {

            /* some may have joined before this one, and none after the top */

            if (rp->stage) {
                sync_stage_destroy(rp->stage);
                sync_replay_unstage(rp);
            }

            sync_replay_end(c, rp, m->room->log.top);

            return;
        }
    }
}


void
sync_fanout_forget_all(sync_client_t *c)
{
    sync_resume_t  *rs;

    rs = c->resume;

    if (rs == NULL) {
        return;
    }

    while (rs->replays) {
        sync_fanout_forget(c, rs->replays->member);
    }

    sync_conflate_forget(c, NULL);

    if (rs->queued) {
        ngx_queue_remove(&rs->queue);
    }

    if (rs->places) {
        ngx_free(rs->places);
    }

    if (rs->order) {
        sync_order_free(rs->order);
    }

    ngx_free(rs);

    c->resume = NULL;
    c->behind = 0;
    c->listed = 0;
    c->ordered = 0;
}
