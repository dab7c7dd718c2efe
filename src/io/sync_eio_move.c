
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_eio_client.h>
#include <sync_utf8.h>
#include <sync_wake.h>
#include <sync_ws.h>


/*
 * What a session's owner hears from the zone: packets that came to other
 * workers, polls, and claims.  A session that is claimed moves when this
 * worker has read all there is and handed over what it has to say; it is
 * tried again till then.
 */


#define SYNC_EIO_RETRY  5               /* ms, to try a move again */


static void sync_eio_client_input(sync_client_t *c);
static void sync_eio_client_arrived(sync_client_t *c, sync_sid_t *s);
static void sync_eio_client_inherit(sync_client_t *c, sync_sid_t *s);
static void sync_eio_client_say_again(sync_client_t *c,
    sync_sid_chunk_t *chunk);
static ngx_int_t sync_eio_client_move(sync_client_t *c);
static ngx_int_t sync_eio_client_hand_over(sync_client_t *c, sync_sid_t *s);


void
sync_eio_client_news(sync_client_t *c, sync_sid_news_t *news)
{
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (news->closed) {

        /* it was claimed in vain */

        eio->claiming = 0;
        eio->sid = news->sid;

        sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
        return;
    }

    if (news->arrived && eio->endpoint == SYNC_SID_INNER) {
        sync_eio_inner_arrived(c, news->sid);
        return;
    }

    if (news->arrived) {
        sync_eio_client_arrived(c, news->sid);

        if (c->closing || c->session == NULL || eio->sid == NULL) {
            return;
        }
    }

    if (news->ended) {
        c->left = SYNC_LEFT_ERROR;
        sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
        return;
    }

    if (!news->moving && !eio->gathering) {
        sync_eio_client_input(c);
    }

    if (c->closing) {
        return;
    }

    if (news->polling) {
        eio->polled = 1;
        sync_client_flush(c);
    }

    if (news->moving && !eio->moving && sync_eio_client_move(c) == SYNC_AGAIN) {

        eio->moving = 1;
        ngx_queue_insert_tail(&sync_eio_worker.moving, &eio->queue);

        if (!sync_eio_worker.retry.timer_set) {
            ngx_add_timer(&sync_eio_worker.retry, SYNC_EIO_RETRY);
        }
    }
}


static void
sync_eio_client_input(sync_client_t *c)
{
    sync_zone_t        *z;
    sync_eio_packet_t   pkt;
    sync_sid_chunk_t   *chunk;
    sync_eio_client_t  *eio;

    z = sync_client_zone();

    while (!c->closing) {
        eio = sync_eio_client(c);

        chunk = sync_sid_in(z, eio->sid);

        if (chunk == NULL) {
            return;
        }

        switch (chunk->kind) {

        case SYNC_EIO_TEXT:
            pkt.data.data = chunk->data;
            pkt.data.len = chunk->len;

            if (sync_eio_parse(&pkt, &pkt.data) == SYNC_OK) {
                sync_eio_client_packet(c, &pkt);

            } else {
                sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
            }

            break;

        case SYNC_EIO_BINARY:
            sync_eio_worker.handler->client.binary(c, chunk->data,
                                                   chunk->len);
            break;

        default: /* SYNC_EIO_PAYLOAD */
            sync_eio_client_payload(c, chunk->data, chunk->len);
            break;
        }

        sync_sid_free_chunk(z, chunk);
    }
}


/* The session is ours, with all that its last owner has not sent. */

static void
sync_eio_client_arrived(sync_client_t *c, sync_sid_t *s)
{
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    eio->claiming = 0;
    eio->sid = s;
    eio->pinged = s->pinged;

    if (s->connected) {
        eio->deadline = 0;
    }

    c->pinged = s->waiting;

    if (s->record && sync_eio_worker.handler->arrived(c, s) != SYNC_OK) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    sync_eio_client_arm(c);

    if (sync_eio_client_is_ws(c)) {
        sync_eio_client_output(c, s);
    }

    sync_eio_client_inherit(c, s);

    if (c->closing) {
        return;
    }

    if (sync_eio_inner_claim(c, s) != SYNC_OK) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    if (eio->inner) {
        eio->gathering = 1;
        return;
    }

    if (sync_eio_client_is_ws(c)) {
        sync_eio_client_gathered(c);
    }
}


void
sync_eio_client_gathered(sync_client_t *c)
{
    sync_sid_t         *s;
    sync_zone_t        *z;
    sync_wake_set_t     wake;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);
    eio->gathering = 0;

    sync_eio_client_input(c);

    if (c->closing || !sync_eio_client_is_ws(c)) {
        return;
    }

    /* from here on requests do not find it any more */

    z = sync_client_zone();
    s = eio->sid;
    eio->sid = NULL;
    wake.n = 0;

    sync_sid_close(z, s, &wake);
    sync_wake_send(z, &wake);

    sync_eio_client_settle(c);
}


void
sync_eio_client_output(sync_client_t *c, sync_sid_t *s)
{
    sync_zone_t       *z;
    sync_sid_chunk_t  *chunk;

    z = sync_client_zone();

    while (!c->closing) {
        chunk = sync_sid_out(z, s);

        if (chunk == NULL) {
            return;
        }

        sync_eio_client_say_again(c, chunk);
        sync_sid_free_chunk(z, chunk);
    }
}


/* What the last owner said is in the namespace already. */

static void
sync_eio_client_inherit(sync_client_t *c, sync_sid_t *s)
{
    sync_str_t  nsp;

    if (s->nsp == NULL || c->closing) {
        return;
    }

    nsp.data = s->nsp->data;
    nsp.len = s->nsp->len;

    if (sync_eio_client_name(c, &nsp) != SYNC_OK) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    c->framed = 1;
}


/* Packets that were meant for a poll go out by the WebSocket. */

static void
sync_eio_client_say_again(sync_client_t *c, sync_sid_chunk_t *chunk)
{
    u_char              head;
    ssize_t             n;
    sync_str_t          payload, type;
    sync_eio_packet_t   pkt;

    payload.data = chunk->data;
    payload.len = chunk->len - 1;

    type.data = &head;
    type.len = 1;

    while (sync_eio_next(&pkt, &payload) == SYNC_OK) {

        if (!pkt.binary) {
            head = (u_char) ('0' + pkt.type);
            sync_eio_client_say(c, &type, &pkt.data);
            continue;
        }

        n = sync_eio_decode(pkt.data.data, pkt.data.len, &pkt.data);

        if (n >= 0) {
            pkt.data.len = n;
            sync_eio_client_say_binary(c, &pkt.data);
        }
    }
}


/*
 * All that was said to the client by this worker goes with its session.
 * Returns SYNC_OK, the client is gone then; SYNC_AGAIN; or SYNC_DECLINED.
 */

static ngx_int_t
sync_eio_client_move(sync_client_t *c)
{
    ngx_int_t           rc;
    sync_sid_t         *s;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);
    s = eio->sid;

    if (eio->gathering || sync_eio_inner_depart(c, s) != SYNC_OK) {
        return SYNC_AGAIN;
    }

    if (sync_eio_client_hand_over(c, s) != SYNC_OK) {
        return SYNC_AGAIN;
    }

    s->pinged = eio->pinged;
    s->waiting = c->pinged;

    rc = sync_eio_worker.handler->move(c, s);

    if (rc == SYNC_BUSY) {
        return SYNC_AGAIN;
    }

    if (rc != SYNC_OK) {
        return rc;
    }

    eio->sid = NULL;

    sync_eio_inner_departed(c);
    sync_client_destroy(c);

    return SYNC_OK;
}


static ngx_int_t
sync_eio_client_hand_over(sync_client_t *c, sync_sid_t *s)
{
    u_char            *p;
    sync_out_t        *out;
    sync_zone_t       *z;
    sync_wake_set_t    wake;
    sync_sid_chunk_t  *chunk;

    if (c->out == NULL) {
        return SYNC_OK;
    }

    z = sync_client_zone();

    chunk = sync_sid_chunk(z, c->queued);
    if (chunk == NULL) {
        return SYNC_BUSY;
    }

    p = chunk->data;

    for (out = c->out; out; out = out->next) {
        p = ngx_cpymem(p, out->run->data + out->pos, out->last - out->pos);
    }

    sync_client_shift(c, c->queued);

    wake.n = 0;

    sync_sid_give(z, s, chunk, &wake);
    sync_wake_send(z, &wake);

    return SYNC_OK;
}


void
sync_eio_client_retry_handler(ngx_event_t *ev)
{
    sync_eio_client_retry();
}


void
sync_eio_client_retry(void)
{
    ngx_int_t           rc;
    ngx_queue_t         queue, *q;
    sync_client_t      *c;
    sync_eio_client_t  *eio;

    if (ngx_queue_empty(&sync_eio_worker.moving)) {
        return;
    }

    ngx_queue_init(&queue);
    ngx_queue_add(&queue, &sync_eio_worker.moving);
    ngx_queue_init(&sync_eio_worker.moving);

    while (!ngx_queue_empty(&queue)) {
        q = ngx_queue_head(&queue);
        eio = ngx_queue_data(q, sync_eio_client_t, queue);

        c = (sync_client_t *) (uintptr_t) eio->sid->owner.cookie;

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&sync_eio_worker.moving, q);

        rc = sync_eio_client_move(c);

        if (rc == SYNC_DECLINED) {
            ngx_queue_remove(q);
            eio->moving = 0;
        }
    }

    if (!ngx_queue_empty(&sync_eio_worker.moving)
        && !sync_eio_worker.retry.timer_set)
    {
        ngx_add_timer(&sync_eio_worker.retry, SYNC_EIO_RETRY);
    }
}
