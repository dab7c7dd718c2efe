
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_socketio.h>
#include <sync_collect.h>
#include <sync_call.h>
#include <sync_connect.h>
#include <sync_eio_client.h>
#include <sync_fanout.h>
#include <sync_order.h>
#include <sync_recovery.h>
#include <sync_replay.h>
#include <sync_reply.h>
#include <sync_request.h>
#include <sync_session_attach.h>
#include <sync_token.h>
#include <sync_wake.h>
#include <sync_ws.h>


/* of acknowledgements: clients count theirs, and an entry has 48 bits */

#define SYNC_SOCKETIO_NSP     160       /* bytes, of a packet's header */

#define SYNC_SOCKETIO_ID_MAX  (((uint64_t) 1 << 48) - 1)


static ngx_int_t sync_socketio_opened(sync_client_t *c,
    ngx_http_request_t *r);
static ngx_int_t sync_socketio_move(sync_client_t *c, sync_sid_t *s);
static ngx_int_t sync_socketio_arrived(sync_client_t *c, sync_sid_t *s);
static void sync_socketio_message(sync_client_t *c, u_char *p, size_t len);
static void sync_socketio_packet(sync_client_t *c, sync_sio_packet_t *pkt,
    sync_str_t *text);
static void sync_socketio_disconnect(sync_client_t *c);
static void sync_socketio_hide(sync_client_t *c);
static void sync_socketio_closed(sync_client_t *c);


static const sync_eio_handler_t  sync_socketio_handler = {
    { sync_socketio_message,
      sync_socketio_binary,
      sync_replay_drained,
      sync_socketio_closed },
    sync_socketio_opened,
    sync_socketio_move,
    sync_socketio_arrived
};


void
sync_socketio_init_worker(void)
{
    sync_socketio_connect_init_worker();
    sync_eio_client_init_worker(&sync_socketio_handler);
}


static ngx_int_t
sync_socketio_opened(sync_client_t *c, ngx_http_request_t *r)
{
    ngx_int_t   place;
    sync_str_t  token;

    place = sync_token_find(r, sync_settings(c), &token);

    if (place == SYNC_DECLINED) {
        token.len = 0;
    }

    return sync_call_keep(c, r, &token, place);
}


/* A decision that is asked for is waited for; other answers find the client. */

static ngx_int_t
sync_socketio_move(sync_client_t *c, sync_sid_t *s)
{
    ngx_int_t        rc;
    sync_wake_set_t  wake;

    if (c->unknown || sync_call_busy(c) || sync_eio_client(c)->opaque
        || sync_eio_inner_settled(c) != SYNC_OK)
    {
        return SYNC_AGAIN;
    }

    if (c->record) {

        if (sync_call_next(c, NULL)) {
            c->record->flags |= SYNC_RECORD_ASKED;
        }

        sync_order_depart(c, s);
        return sync_fanout_depart(c, s);
    }

    wake.n = 0;

    rc = sync_sid_move(sync_client_zone(), s, &wake);

    sync_wake_send(sync_client_zone(), &wake);

    return rc;
}


static ngx_int_t
sync_socketio_arrived(sync_client_t *c, sync_sid_t *s)
{
    c->record = s->record;

    if (sync_fanout_arrive(c) != SYNC_OK) {
        c->record = NULL;
        return SYNC_ERROR;
    }

    c->record->transport = sync_client_ops(c)->transport;

    sync_order_arrived(c, s);

    return sync_session_arrived(c);
}


static void
sync_socketio_message(sync_client_t *c, u_char *p, size_t len)
{
    sync_str_t          text;
    sync_sio_packet_t   pkt;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    text.data = p;
    text.len = len;

    if ((eio && eio->opaque) || sync_sio_parse(&pkt, &text) != SYNC_OK) {
        sync_socketio_fail(c);
        return;
    }

    sync_socketio_packet(c, &pkt, &text);
}


static void
sync_socketio_packet(sync_client_t *c, sync_sio_packet_t *pkt,
    sync_str_t *text)
{
    sync_client_t  *to;

    if (pkt->type == SYNC_SIO_CONNECT) {
        sync_socketio_connect(c, pkt);
        return;
    }

    to = sync_socketio_find(c, &pkt->nsp);

    if (to == NULL || to->record == NULL) {
        sync_socketio_fail(c);
        return;
    }

    switch (pkt->type) {

    case SYNC_SIO_DISCONNECT:
        to->left = SYNC_LEFT_CLIENT;
        sync_socketio_disconnect(to);
        return;

    case SYNC_SIO_EVENT:
        sync_socketio_event(to, pkt);
        return;

    case SYNC_SIO_ACK:
        sync_collect_answer(to, pkt->id, &pkt->data.raw);
        return;

    case SYNC_SIO_BINARY_EVENT:
    case SYNC_SIO_BINARY_ACK:
        sync_socketio_assemble(c, pkt, text);
        return;

    default: /* SYNC_SIO_CONNECT_ERROR */
        sync_socketio_fail(c);
        return;
    }
}


/* The session stays open; an event that still comes closes it. */

static void
sync_socketio_disconnect(sync_client_t *c)
{
    sync_str_t          nsp;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio && eio->sid) {
        sync_sid_set_record(sync_client_zone(), eio->sid, NULL);
    }

    sync_connect_closed(c);

    if (eio && sync_eio_client_is_inner(c)) {
        sync_eio_inner_leave(c);
        return;
    }

    c->left = SYNC_LEFT_UNKNOWN;
    c->hidden = 0;

    if (eio && eio->nsp.len) {
        sync_str_set(&nsp, "");

        (void) sync_eio_client_name(c, &nsp);   /* takes no memory */
        (void) sync_eio_client_enter(c);        /* the same */
    }
}


void
sync_socketio_event(sync_client_t *c, sync_sio_packet_t *pkt)
{
    u_char      buf[SYNC_EVENT_MAX];
    sync_str_t  name;

    if (pkt->event.type != SYNC_JSON_STRING) {
        return;
    }

    if (sync_json_string(&name, &pkt->event, buf, SYNC_EVENT_MAX) == SYNC_OK
        && sync_sio_event_reserved(&name))
    {
        sync_socketio_fail(c);
        return;
    }

    sync_reply_want(pkt->has_id && pkt->id < SYNC_SOCKETIO_ID_MAX ? &pkt->id
                                                                  : NULL);

    sync_request_message(c, pkt->data.raw.data, pkt->data.raw.len);

    sync_reply_want(NULL);

    if (c->hidden) {
        sync_socketio_hide(c);
    }
}


/* The namespace is closed to it, and it closes the session. */

static void
sync_socketio_hide(sync_client_t *c)
{
    u_char              buf[SYNC_SOCKETIO_NSP];
    sync_str_t          head, data;
    sync_writer_t       w;
    sync_sio_packet_t   pkt;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    ngx_memzero(&pkt, sizeof(sync_sio_packet_t));

    pkt.type = SYNC_SIO_DISCONNECT;
    sync_str_set(&pkt.nsp, "/");

    if (eio && eio->nsp.len) {
        pkt.nsp = eio->nsp;
    }

    sync_writer_init(&w, buf, SYNC_SOCKETIO_NSP);
    sync_write_byte(&w, '4');
    sync_sio_write_header(&w, &pkt);

    head.data = buf;
    head.len = w.len;
    sync_str_set(&data, "");

    sync_eio_client_tell(c, &head, &data);

    if (!c->closing) {
        sync_socketio_disconnect(c);
    }
}


void
sync_socketio_fail(sync_client_t *c)
{
    sync_zone_count(sync_client_zone(), SYNC_COUNT_INVALID, 1);

    sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
}


static void
sync_socketio_closed(sync_client_t *c)
{
    sync_str_t          nsp;
    sync_recovery_t    *rv;
    sync_eio_client_t  *eio;

    sync_socketio_disassemble(c);

    if (c->unknown) {
        sync_socketio_forget(c);
    }

    rv = NULL;

    if (c->record) {
        eio = sync_eio_client(c);
        sync_str_set(&nsp, "");

        rv = sync_recovery_save(c, eio ? &eio->nsp : &nsp);
    }

    sync_connect_closed(c);

    if (rv) {
        sync_recovery_keep(c, rv);
    }
}
