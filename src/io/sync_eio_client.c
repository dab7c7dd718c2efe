
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include <sync_eio_client.h>
#include <sync_former.h>
#include <sync_random.h>
#include <sync_room.h>
#include <sync_timer.h>
#include <sync_utf8.h>
#include <sync_wake.h>
#include <sync_ws.h>
#include <sync_ws_client.h>


/*
 * When the last ping was is known to the tick of the wheel, if there is no
 * state; what is taken off keeps the next one within 40 ms of its time.
 */
#define SYNC_EIO_TICK   32
#define SYNC_EIO_EARLY  24


/* What an upgrade's request is to become; in its pool. */

typedef struct {
    u_char                  id[SYNC_SID_LEN];
    uint32_t                endpoint;
    unsigned                probing:1;
} sync_eio_request_t;


static ngx_int_t sync_eio_client_handshake(ngx_http_request_t *r,
    sync_client_conf_t *conf, const u_char *id, uint32_t endpoint,
    ngx_uint_t probing);
static void sync_eio_client_close(sync_client_t *c, ngx_uint_t code,
    const char *reason);
static void sync_eio_client_marker(void *data);
static ngx_int_t sync_eio_client_opened(sync_client_t *c,
    ngx_http_request_t *r);
static void sync_eio_client_text(sync_client_t *c, u_char *p, size_t len);
static void sync_eio_client_binary(sync_client_t *c, u_char *p, size_t len);
static void sync_eio_client_drained(sync_client_t *c);
static void sync_eio_client_closed(sync_client_t *c);
static void sync_eio_client_probed(sync_client_t *c, sync_eio_packet_t *pkt);
static void sync_eio_client_put(sync_client_t *c, u_char *p, size_t len,
    ngx_uint_t kind);
static void sync_eio_client_decode(sync_client_t *c, sync_eio_packet_t *pkt);
static void sync_eio_client_pong(sync_client_t *c);
static void sync_eio_client_ping(sync_client_t *c);
static void sync_eio_client_control(sync_client_t *c, sync_str_t *packet);
static void sync_eio_client_queue(sync_client_t *c, sync_run_t *run);
static void sync_eio_client_free(sync_client_t *c);


static const sync_client_ops_t  sync_eio_client_ops = {
    SYNC_TRANSPORT_SOCKETIO,
    sync_ws_client_send,
    sync_eio_client_close,
    sync_ws_client_write,
    sync_eio_client_timeout,
    sync_eio_client_frame
};


const sync_client_handler_t  sync_eio_client_handler = {
    sync_eio_client_text,
    sync_eio_client_binary,
    sync_eio_client_drained,
    sync_eio_client_closed
};


sync_eio_worker_t  sync_eio_worker;


void
sync_eio_client_init_worker(const sync_eio_handler_t *handler)
{
    sync_eio_worker_t  *w;

    w = &sync_eio_worker;

    w->handler = handler;

    ngx_queue_init(&w->moving);
    sync_timer_init(&w->retry, sync_eio_client_retry_handler, 1);
}


ngx_int_t
sync_eio_client_begin(sync_client_t *c, const u_char *id, uint32_t endpoint,
    ngx_http_request_t *r)
{
    sync_eio_client_t  *eio;

    eio = ngx_calloc(sizeof(sync_eio_client_t), ngx_cycle->log);
    if (eio == NULL) {
        return SYNC_ERROR;
    }

    ngx_memcpy(eio->id, id, SYNC_SID_LEN);
    eio->endpoint = endpoint;
    eio->pinged = ngx_current_msec;
    eio->deadline = ngx_current_msec + sync_eio_client_patience(c->conf);

    c->session = eio;

    return sync_eio_worker.handler->opened(c, r);
}


ngx_int_t
sync_eio_client_websocket(ngx_http_request_t *r, sync_client_conf_t *conf,
    uint32_t endpoint)
{
    u_char  id[SYNC_SID_LEN];

    sync_random(id, SYNC_SID_LEN);

    return sync_eio_client_handshake(r, conf, id, endpoint, 0);
}


ngx_int_t
sync_eio_client_probe(ngx_http_request_t *r, sync_client_conf_t *conf,
    const u_char *id, uint32_t endpoint)
{
    return sync_eio_client_handshake(r, conf, id, endpoint, 1);
}


static ngx_int_t
sync_eio_client_handshake(ngx_http_request_t *r, sync_client_conf_t *conf,
    const u_char *id, uint32_t endpoint, ngx_uint_t probing)
{
    ngx_msec_t           timer;
    sync_eio_request_t  *rq;
    ngx_http_cleanup_t  *cln;

    timer = probing ? SYNC_EIO_UPGRADE_TIMEOUT
                    : conf->ping_interval;

    cln = ngx_http_cleanup_add(r, sizeof(sync_eio_request_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = sync_eio_client_marker;

    rq = cln->data;
    ngx_memcpy(rq->id, id, SYNC_SID_LEN);
    rq->endpoint = endpoint;
    rq->probing = probing;

    return sync_ws_client_handshake_as(r, &sync_eio_client_ops, conf,
                                       SYNC_DIALECT_SIO, timer,
                                       sync_eio_client_opened);
}


static void
sync_eio_client_close(sync_client_t *c, ngx_uint_t code, const char *reason)
{
    if (c->session) {
        sync_eio_inner_flush(c);
    }

    sync_ws_client_close(c, code, reason);
}


/* Tells our cleanup from others. */

static void
sync_eio_client_marker(void *data)
{
    /* void */
}


static ngx_int_t
sync_eio_client_opened(sync_client_t *c, ngx_http_request_t *r)
{
    sync_str_t           open;
    sync_writer_t        w;
    ngx_http_cleanup_t  *cln;
    sync_eio_request_t  *rq;
    u_char               buf[256];

    for (cln = r->cleanup; cln; cln = cln->next) {
        if (cln->handler == sync_eio_client_marker) {
            break;
        }
    }

    if (cln == NULL) {
        return SYNC_ERROR;
    }

    rq = cln->data;

    if (sync_eio_client_begin(c, rq->id, rq->endpoint, r) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (rq->probing) {
        sync_eio_client(c)->probing = 1;
        return SYNC_OK;
    }

    sync_writer_init(&w, buf, sizeof(buf));
    sync_eio_client_write_open(&w, c->conf, rq->id, 0);

    open.data = buf;
    open.len = w.len;

    sync_eio_client_control(c, &open);

    return SYNC_OK;
}


void
sync_eio_client_write_open(sync_writer_t *w, sync_client_conf_t *conf,
    const u_char *id, ngx_uint_t upgrade)
{
    u_char  text[SYNC_ID_TEXT];

    sync_registry_print_id(text, id);

    sync_write_literal(w, "0{\"sid\":\"");
    sync_write(w, text, SYNC_ID_TEXT);
    sync_write_literal(w, "\",\"upgrades\":[");

    if (upgrade) {
        sync_write_literal(w, "\"websocket\"");
    }

    sync_write_literal(w, "],\"pingInterval\":");
    sync_write_int(w, conf->ping_interval);
    sync_write_literal(w, ",\"pingTimeout\":");
    sync_write_int(w, conf->ping_timeout);
    sync_write_literal(w, ",\"maxPayload\":");
    sync_write_int(w, conf->max_message);
    sync_write_byte(w, '}');
}


/* A text message of the WebSocket. */

static void
sync_eio_client_text(sync_client_t *c, u_char *p, size_t len)
{
    sync_str_t          text;
    sync_eio_packet_t   pkt;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio && (eio->claiming || eio->gathering)) {
        sync_eio_client_put(c, p, len, SYNC_EIO_TEXT);
        return;
    }

    text.data = p;
    text.len = len;

    if (sync_eio_parse(&pkt, &text) != SYNC_OK) {
        sync_zone_count(sync_client_zone(), SYNC_COUNT_INVALID, 1);
        sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
        return;
    }

    if (eio && eio->probing) {
        sync_eio_client_probed(c, &pkt);
        return;
    }

    sync_eio_client_packet(c, &pkt);
}


static void
sync_eio_client_binary(sync_client_t *c, u_char *p, size_t len)
{
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio && (eio->claiming || eio->gathering)) {
        sync_eio_client_put(c, p, len, SYNC_EIO_BINARY);
        return;
    }

    if (eio && eio->probing) {
        sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
        return;
    }

    sync_eio_worker.handler->client.binary(c, p, len);
}


/* The session goes first: it leads to the record. */

static void
sync_eio_client_drained(sync_client_t *c)
{
    if (c->record && sync_eio_worker.handler->client.drained) {
        sync_eio_worker.handler->client.drained(c);
    }

    if (c->session && !c->closing) {
        sync_eio_inner_drained(c);
    }
}


static void
sync_eio_client_closed(sync_client_t *c)
{
    sync_sid_t         *s;
    sync_zone_t        *z;
    sync_wake_set_t     wake;
    sync_eio_client_t  *eio;

    z = sync_client_zone();
    eio = sync_eio_client(c);

    wake.n = 0;

    if (eio) {
        sync_eio_inner_end(c);
    }

    if (eio && eio->claiming) {

        if (sync_sid_unclaim(z, eio->id, (uintptr_t) c, &s, &wake)
            == SYNC_BUSY)
        {
            /* it came, but was not looked at yet */

            eio->sid = s;

            if (s->record
                && sync_eio_worker.handler->arrived(c, s) != SYNC_OK)
            {
                sync_registry_remove(z, s->record);
            }
        }

    } else if (eio && eio->probed) {
        (void) sync_sid_upgrade(z, eio->id, eio->endpoint, 0, &wake);
    }

    if (eio && eio->sid) {
        sync_sid_close(z, eio->sid, &wake);
        eio->sid = NULL;
    }

    sync_wake_send(z, &wake);

    sync_eio_worker.handler->client.closed(c);

    sync_eio_client_free(c);
}


static void
sync_eio_client_probed(sync_client_t *c, sync_eio_packet_t *pkt)
{
    ngx_int_t           rc;
    sync_str_t          answer;
    sync_zone_t        *z;
    sync_wake_set_t     wake;
    sync_eio_client_t  *eio;

    z = sync_client_zone();
    eio = sync_eio_client(c);

    wake.n = 0;
    rc = SYNC_DECLINED;

    if (!eio->probed
        && pkt->type == SYNC_EIO_PING
        && sync_str_is(&pkt->data, "probe"))
    {
        rc = sync_sid_upgrade(z, eio->id, eio->endpoint, 1, &wake);

        if (rc == SYNC_OK) {
            eio->probed = 1;

            sync_str_set(&answer, "3probe");
            sync_eio_client_control(c, &answer);
        }

    } else if (eio->probed && pkt->type == SYNC_EIO_UPGRADE) {
        rc = sync_sid_claim(z, eio->id, eio->endpoint, (uintptr_t) c, &wake);

        if (rc == SYNC_OK) {
            eio->probing = 0;
            eio->claiming = 1;
        }
    }

    sync_wake_send(z, &wake);

    if (rc != SYNC_OK) {
        sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
    }
}


/* What comes while the session is on its way goes there. */

static void
sync_eio_client_put(sync_client_t *c, u_char *p, size_t len, ngx_uint_t kind)
{
    ngx_int_t           rc;
    ngx_uint_t          adopt;
    sync_zone_t        *z;
    sync_wake_set_t     wake;
    sync_sid_chunk_t   *chunk;
    sync_eio_client_t  *eio;

    z = sync_client_zone();
    eio = sync_eio_client(c);

    chunk = sync_sid_chunk(z, len);

    if (chunk == NULL) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    ngx_memcpy(chunk->data, p, len);
    chunk->kind = (uint8_t) kind;

    wake.n = 0;

    rc = sync_sid_put(z, eio->id, eio->endpoint, chunk, c->conf->queue,
                      &adopt, &wake);

    sync_wake_send(z, &wake);

    if (rc != SYNC_OK) {
        sync_sid_free_chunk(z, chunk);
        sync_client_close(c, SYNC_WS_CODE_POLICY, "too fast");
    }
}


void
sync_eio_client_packet(sync_client_t *c, sync_eio_packet_t *pkt)
{
    switch (pkt->type) {

    case SYNC_EIO_MESSAGE:
        sync_eio_worker.handler->client.message(c, pkt->data.data,
                                                pkt->data.len);
        return;

    case SYNC_EIO_PONG:
        sync_eio_client_pong(c);
        return;

    case SYNC_EIO_CLOSE:

        if (c->session) {
            sync_eio_client(c)->left = 1;
        }

        c->left = SYNC_LEFT_CLOSED;
        sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
        return;

    case SYNC_EIO_PING:

        /* that is the server's part */

        sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
        return;

    default:
        return;
    }
}


void
sync_eio_client_payload(sync_client_t *c, u_char *p, size_t len)
{
    ngx_int_t          rc;
    sync_str_t         payload;
    sync_eio_packet_t  pkt;

    payload.data = p;
    payload.len = len;

    rc = (sync_utf8_check(p, p + len) == SYNC_OK) ? SYNC_OK : SYNC_ERROR;

    while (rc == SYNC_OK && !c->closing) {
        rc = sync_eio_next(&pkt, &payload);

        if (rc != SYNC_OK) {
            break;
        }

        if (pkt.binary) {
            sync_eio_client_decode(c, &pkt);

        } else {
            sync_eio_client_packet(c, &pkt);
        }
    }

    if (rc == SYNC_ERROR) {
        sync_zone_count(sync_client_zone(), SYNC_COUNT_INVALID, 1);
        sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
    }
}


static void
sync_eio_client_decode(sync_client_t *c, sync_eio_packet_t *pkt)
{
    u_char   *p;
    ssize_t   n;

    /* the bytes are fewer than the text */

    p = pkt->data.data;
    n = sync_eio_decode(p, pkt->data.len, &pkt->data);

    if (n < 0) {
        sync_zone_count(sync_client_zone(), SYNC_COUNT_INVALID, 1);
        sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
        return;
    }

    sync_eio_worker.handler->client.binary(c, p, n);
}


/* The next ping is due an interval after the last one. */

static void
sync_eio_client_pong(sync_client_t *c)
{
    ngx_msec_int_t  left;

    if (!c->pinged) {
        return;
    }

    c->pinged = 0;

    if (c->session) {
        sync_eio_client_arm(c);
        sync_eio_client_settle(c);
        return;
    }

    left = (int32_t) (c->due * SYNC_EIO_TICK - (uint32_t) ngx_current_msec);

    left += (ngx_msec_int_t) c->conf->ping_interval
            - (ngx_msec_int_t) c->conf->ping_timeout - SYNC_EIO_EARLY;

    sync_client_set_timer(c, ngx_max(left, 1));
}


void
sync_eio_client_arm(sync_client_t *c)
{
    ngx_msec_t          due;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    due = eio->pinged + (c->pinged ? c->conf->ping_timeout
                                   : c->conf->ping_interval);

    if (eio->deadline && (ngx_msec_int_t) (eio->deadline - due) < 0) {
        due = eio->deadline;
    }

    due -= ngx_current_msec;

    sync_client_set_timer(c, (ngx_msec_int_t) due < 1 ? 1 : due);
}


void
sync_eio_client_timeout(sync_client_t *c)
{
    ngx_msec_t          now;
    sync_eio_client_t  *eio;

    if (c->closing) {
        sync_detach_abort(c);
        return;
    }

    eio = sync_eio_client(c);
    now = ngx_current_msec;

    if (eio && (eio->probing || eio->claiming)) {
        sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
        return;
    }

    if (eio && eio->deadline
        && (c->unknown || sync_eio_inner_settled(c) != SYNC_OK))
    {
        /* it said who it is, and that is being looked at */

        eio->deadline = now + sync_eio_client_patience(c->conf);
    }

    if (eio && eio->deadline && (ngx_msec_int_t) (now - eio->deadline) >= 0) {
        sync_zone_count(sync_client_zone(), SYNC_COUNT_TIMEOUTS, 1);
        c->left = SYNC_LEFT_TIMEOUT;
        sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
        return;
    }

    if (eio && (ngx_msec_int_t) (now - eio->pinged)
               < (ngx_msec_int_t) (c->pinged ? c->conf->ping_timeout
                                             : c->conf->ping_interval))
    {
        sync_eio_client_arm(c);
        return;
    }

    if (c->pinged) {
        sync_zone_count(sync_client_zone(), SYNC_COUNT_TIMEOUTS, 1);
        c->left = SYNC_LEFT_TIMEOUT;
        sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
        return;
    }

    sync_eio_client_ping(c);
}


static void
sync_eio_client_ping(sync_client_t *c)
{
    sync_str_t          ping;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    c->pinged = 1;

    sync_str_set(&ping, "2");
    sync_eio_client_control(c, &ping);

    if (eio == NULL) {
        sync_client_set_timer(c, c->conf->ping_timeout);
        return;
    }

    eio->pinged = ngx_current_msec;

    if (eio->sid) {
        eio->sid->pinged = ngx_current_msec;
    }

    sync_eio_client_arm(c);
}


/* A packet of our own; without memory it is not sent this time. */

static void
sync_eio_client_control(sync_client_t *c, sync_str_t *packet)
{
    sync_str_t   none;
    sync_run_t  *run;

    sync_str_set(&none, "");

    run = sync_frame_packet(c->dialect, packet, &none);

    if (run) {
        (void) sync_client_queue_control(c, run);
        sync_run_unref(run);
    }
}


void
sync_eio_client_say(sync_client_t *c, sync_str_t *head, sync_str_t *data)
{
    sync_eio_client_queue(c, sync_frame_packet(c->dialect, head, data));
}


void
sync_eio_client_tell(sync_client_t *c, sync_str_t *head, sync_str_t *data)
{
    unsigned  framed;

    framed = c->framed;
    c->framed = 0;

    sync_eio_client_say(c, head, data);

    if (c->session) {
        c->framed = framed;
    }
}


void
sync_eio_client_say_binary(sync_client_t *c, sync_str_t *data)
{
    sync_eio_client_queue(c, sync_frame_binary(c->dialect, data));
}


static void
sync_eio_client_queue(sync_client_t *c, sync_run_t *run)
{
    ngx_int_t  rc;

    if (run == NULL) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    rc = sync_client_queue(c, run, 0, run->len);

    sync_run_unref(run);

    if (rc == SYNC_BUSY) {
        sync_zone_count(sync_client_zone(), SYNC_COUNT_SLOW, 1);
        sync_client_close(c, SYNC_WS_CODE_POLICY, "too slow");
    }
}


void
sync_eio_client_connected(sync_client_t *c)
{
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio == NULL) {
        return;
    }

    if (sync_eio_client_is_inner(c)) {

        /* the session has a client, whichever it is */

        sync_eio_client_connected(sync_eio_inner(c)->outer);
        return;
    }

    eio->deadline = 0;

    if (eio->sid) {
        eio->sid->connected = 1;
    }

    sync_eio_client_arm(c);
    sync_eio_client_settle(c);
}


sync_eio_client_t *
sync_eio_client_resume(sync_client_t *c)
{
    ngx_msec_t          left;
    sync_eio_client_t  *eio;

    eio = ngx_calloc(sizeof(sync_eio_client_t), ngx_cycle->log);
    if (eio == NULL) {
        return NULL;
    }

    left = (int32_t) (c->due * SYNC_EIO_TICK - (uint32_t) ngx_current_msec);

    eio->pinged = ngx_current_msec + left
                  - (c->pinged ? c->conf->ping_timeout
                               : c->conf->ping_interval);

    c->session = eio;

    return eio;
}


ngx_int_t
sync_eio_client_name(sync_client_t *c, sync_str_t *nsp)
{
    u_char             *p;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio == NULL) {

        if (nsp->len == 0) {
            return SYNC_OK;
        }

        eio = sync_eio_client_resume(c);
        if (eio == NULL) {
            return SYNC_ERROR;
        }
    }

    p = NULL;

    if (nsp->len) {
        p = ngx_alloc(nsp->len, ngx_cycle->log);
        if (p == NULL) {
            return SYNC_ERROR;
        }

        ngx_memcpy(p, nsp->data, nsp->len);
    }

    if (eio->nsp.len) {
        ngx_free(eio->nsp.data);
    }

    eio->nsp.data = p;
    eio->nsp.len = nsp->len;
    c->framed = 0;

    return SYNC_OK;
}


ngx_int_t
sync_eio_client_enter(sync_client_t *c)
{
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio == NULL) {
        return SYNC_OK;
    }

    if (eio->sid
        && sync_sid_set_namespace(sync_client_zone(), eio->sid, &eio->nsp)
           != SYNC_OK)
    {
        return SYNC_BUSY;
    }

    c->framed = (eio->nsp.len != 0);

    return SYNC_OK;
}


sync_run_t *
sync_eio_client_frame(sync_client_t *c, sync_run_t *run, uint32_t pos,
    uint32_t last)
{
    return sync_frame_namespace(c->dialect, run, pos, last,
                                &sync_eio_client(c)->nsp);
}


void
sync_eio_client_settle(sync_client_t *c)
{
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio
        && sync_eio_client_is_ws(c)
        && eio->sid == NULL
        && eio->deadline == 0
        && eio->opaque == NULL
        && eio->nsp.len == 0
        && eio->inner == NULL
        && !sync_eio_client_is_inner(c)
        && !eio->probing
        && !eio->claiming
        && !c->pinged)
    {
        sync_eio_client_free(c);
    }
}


static void
sync_eio_client_free(sync_client_t *c)
{
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio == NULL) {
        return;
    }

    if (sync_eio_client_is_inner(c)) {
        sync_eio_inner_unlink(c);
    }

    if (eio->moving) {
        ngx_queue_remove(&eio->queue);
    }

    if (eio->nsp.len) {
        ngx_free(eio->nsp.data);
    }

    c->framed = 0;
    c->session = NULL;
    ngx_free(eio);
}
