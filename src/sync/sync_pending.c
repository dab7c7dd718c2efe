
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_pending.h>
#include <sync_fanout.h>


typedef struct {
    ngx_queue_t          queue;
    sync_pending_t      *pending;
    sync_request_t      *request;
    sync_publish_t      *publish;       /* NULL: Redis has answered */
    uint64_t             lsn;
    ngx_msec_t           since;         /* it has */
    sync_str_t           room;
} sync_pending_said_t;


static void sync_pending_answered(ngx_int_t rc, sync_said_t *said,
    void *data);
static ngx_uint_t sync_pending_heard(sync_pending_said_t *ps);
static void sync_pending_end(sync_pending_said_t *ps);
static void sync_pending_looked(void);


static ngx_event_t  *sync_pending_event;
static ngx_uint_t    sync_pending_unheard;  /* answered, not over */


void
sync_pending_init(sync_pending_t *p)
{
    ngx_queue_init(&p->said);
    p->n = 0;
}


ngx_int_t
sync_pending_say(sync_pending_t *p, sync_request_t *rq, sync_str_t *room,
    sync_saying_t *s)
{
    ngx_int_t              rc;
    sync_said_t            said;
    sync_pending_said_t   *ps;
    sync_main_settings_t  *main;

    main = rq->settings->main;

    if (!sync_publish_waits(main, room)) {
        return sync_publish_room(main, room, NULL, s, &said);
    }

    ps = ngx_alloc(sizeof(sync_pending_said_t) + room->len, ngx_cycle->log);
    if (ps == NULL) {
        return SYNC_BUSY;
    }

    rc = sync_publish_room_later(main, room, NULL, s, &said,
                                 sync_pending_answered, ps, &ps->publish);

    if (rc != SYNC_AGAIN) {
        ngx_free(ps);
        return rc;
    }

    ps->pending = p;
    ps->request = rq;
    ps->room.data = (u_char *) ps + sizeof(sync_pending_said_t);
    ps->room.len = room->len;
    ngx_memcpy(ps->room.data, room->data, room->len);

    ngx_queue_insert_tail(&p->said, &ps->queue);
    p->n++;

    return SYNC_OK;
}


static void
sync_pending_answered(ngx_int_t rc, sync_said_t *said, void *data)
{
    sync_pending_said_t *ps = data;

    ps->publish = NULL;
    ps->lsn = said->lsn;
    ps->since = ngx_current_msec;

    if (rc != SYNC_OK) {
        ps->request->full = 1;
    }

    if (sync_pending_unheard++ == 0) {
        sync_fanout_watch(sync_pending_looked);
    }

    if (rc != SYNC_OK || sync_pending_heard(ps)) {
        sync_pending_end(ps);
    }

    sync_pending_looked();
}


/*
 * Whether the asker has it, or need not wait for it.  What Redis has ordered
 * comes in a moment, unless the link that it comes by is lost.
 */

static ngx_uint_t
sync_pending_heard(sync_pending_said_t *ps)
{
    sync_client_t         *c;
    sync_member_t         *m;
    sync_main_settings_t  *main;

    c = ps->request->client;

    if (c == NULL || c->closing || c->record == NULL) {
        return 1;
    }

    m = sync_fanout_member(c, &ps->room);

    if (m == NULL || sync_fanout_reached(c, m) >= ps->lsn) {
        return 1;
    }

    main = ps->request->settings->main;

    return ngx_current_msec - ps->since >= main->redis->timeout;
}


static void
sync_pending_end(sync_pending_said_t *ps)
{
    if (ps->publish) {
        sync_publish_cancel(ps->publish);

    } else if (--sync_pending_unheard == 0) {
        sync_fanout_watch(NULL);
    }

    ps->pending->n--;
    ngx_queue_remove(&ps->queue);
    ngx_free(ps);
}


/* Something was delivered in this worker, or answered. */

static void
sync_pending_looked(void)
{
    if (sync_pending_event) {
        ngx_post_event(sync_pending_event, &ngx_posted_events);
    }
}


ngx_uint_t
sync_pending_count(sync_pending_t *p)
{
    ngx_queue_t          *q, *next;
    sync_pending_said_t  *ps;

    for (q = ngx_queue_head(&p->said);
         q != ngx_queue_sentinel(&p->said);
         q = next)
    {
        next = ngx_queue_next(q);
        ps = ngx_queue_data(q, sync_pending_said_t, queue);

        if (ps->publish == NULL && sync_pending_heard(ps)) {
            sync_pending_end(ps);
        }
    }

    return p->n;
}


void
sync_pending_done(sync_pending_t *p)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&p->said)) {
        q = ngx_queue_head(&p->said);
        sync_pending_end(ngx_queue_data(q, sync_pending_said_t, queue));
    }
}


void
sync_pending_watch(ngx_event_t *ev)
{
    sync_pending_event = ev;
}
