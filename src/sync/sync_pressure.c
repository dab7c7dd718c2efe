
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_pressure.h>
#include <sync_fanout.h>
#include <sync_timer.h>


static void sync_pressure_init(void);
static void sync_pressure_timer_handler(ngx_event_t *ev);
static ngx_uint_t sync_pressure_behind(sync_stream_t *s);
static ngx_uint_t sync_pressure_room(sync_stream_t *s);


static ngx_queue_t  sync_pressure_held;
static ngx_event_t  sync_pressure_turn;     /* the next one */
static ngx_event_t  sync_pressure_timer;


void
sync_pressure_hold(sync_request_t *rq)
{
    sync_stream_t  *s;

    s = rq->stream;

    if (s->held) {
        return;
    }

    sync_pressure_init();

    s->held = 1;
    ngx_queue_insert_tail(&sync_pressure_held, &s->queue);

    ngx_post_event(&sync_pressure_turn, &ngx_posted_next_events);
}


void
sync_pressure_wait(sync_request_t *rq)
{
    rq->stream->waits = 1;
    sync_pressure_hold(rq);
}


void
sync_pressure_look(void)
{
    if (sync_pressure_held.next) {
        ngx_post_event(&sync_pressure_turn, &ngx_posted_events);
    }
}


void
sync_pressure_then(sync_request_t *rq, void (*handler)(sync_request_t *rq))
{
    rq->stream->then = handler;
    sync_pressure_hold(rq);
}


static void
sync_pressure_init(void)
{
    if (sync_pressure_held.next) {
        return;
    }

    ngx_queue_init(&sync_pressure_held);

    sync_timer_init(&sync_pressure_turn, sync_pressure_timer_handler, 0);
    sync_timer_init(&sync_pressure_timer, sync_pressure_timer_handler, 1);

    sync_pending_watch(&sync_pressure_turn);
}


static void
sync_pressure_timer_handler(ngx_event_t *ev)
{
    ngx_queue_t     *q, queue;
    sync_stream_t   *s;
    sync_request_t  *rq;

    /* any of them may go by what another one does, or come anew */

    ngx_queue_init(&queue);

    if (!ngx_queue_empty(&sync_pressure_held)) {
        ngx_queue_add(&queue, &sync_pressure_held);
        ngx_queue_init(&sync_pressure_held);
    }

    while (!ngx_queue_empty(&queue)) {

        q = ngx_queue_head(&queue);
        s = ngx_queue_data(q, sync_stream_t, queue);
        rq = s->request;

        ngx_queue_remove(q);

        if (sync_pressure_behind(s)) {

            ngx_queue_insert_tail(&sync_pressure_held, q);

            if (!s->pressed) {
                s->pressed = 1;
                sync_zone_count(sync_client_zone(), SYNC_COUNT_HOOK_HELD, 1);
            }

            continue;
        }

        s->held = 0;
        s->pressed = 0;
        s->waits = 0;

        if (s->then) {
            s->then(rq);

        } else {
            sync_call_resume(rq->call);
        }
    }

    if (!ngx_queue_empty(&sync_pressure_held)
        && !sync_pressure_timer.timer_set)
    {
        ngx_add_timer(&sync_pressure_timer, SYNC_PRESSURE_TICK);
    }
}


static ngx_uint_t
sync_pressure_behind(sync_stream_t *s)
{
    ngx_uint_t       n;
    sync_client_t   *c;
    sync_request_t  *rq;

    rq = s->request;
    c = rq->client;

    n = sync_chunk_pending(rq);

    if (s->then) {
        return n != 0;
    }

    if (n > (s->waits ? 0 : SYNC_PENDING_MAX) || (s->waits && s->saving)) {
        return 1;
    }

    if (c && !c->closing && !rq->cancelled
        && sync_client_pressed(c))
    {
        return 1;
    }

    if (rq->web && !rq->cancelled && rq->web->ops->pressed(rq->web)) {
        return 1;
    }

    return sync_pressure_room(s);
}


static ngx_uint_t
sync_pressure_room(sync_stream_t *s)
{
    sync_request_t  *rq;

    rq = s->request;

    if (rq->cancelled || rq->receiver.len == 0 || rq->all || rq->self) {
        return 0;
    }

    if (!sync_room_unread(rq->settings->main->zone, &rq->receiver)) {
        s->since = 0;
        s->impatient = 0;
        return 0;
    }

    if (s->impatient) {
        return 0;
    }

    if (s->since == 0) {
        s->since = ngx_current_msec;
    }

    if (ngx_current_msec - s->since < SYNC_PRESSURE_PATIENCE) {
        return 1;
    }

    /* until it is not behind any more, or closed */

    s->impatient = 1;

    return 0;
}
