
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
#include <sync_notify.h>
#include <sync_random.h>
#include <sync_reply.h>
#include <sync_request.h>
#include <sync_sio.h>
#include <sync_wake.h>
#include <sync_ws.h>


/* of acknowledgements: clients count theirs, and an entry has 48 bits */

#define SYNC_SOCKETIO_ID_MAX  (((uint64_t) 1 << 48) - 1)


/* A binary message that lacks attachments. */

typedef struct {
    sync_str_t              text;       /* the packet */
    size_t                  len;        /* bytes of all attachments */
    ngx_uint_t              n;          /* that are there */
    sync_str_t              data[SYNC_SIO_ATTACHMENTS_MAX];
} sync_assembly_t;


static ngx_int_t sync_socketio_opened(sync_client_t *c,
    ngx_http_request_t *r);
static ngx_int_t sync_socketio_move(sync_client_t *c, sync_sid_t *s);
static ngx_int_t sync_socketio_arrived(sync_client_t *c, sync_sid_t *s);
static void sync_socketio_message(sync_client_t *c, u_char *p, size_t len);
static void sync_socketio_packet(sync_client_t *c, sync_sio_packet_t *pkt,
    sync_str_t *text);
static void sync_socketio_connect(sync_client_t *c, sync_sio_packet_t *pkt);
static void sync_socketio_ask(sync_client_t *c, sync_sio_packet_t *pkt,
    const u_char *id);
static void sync_socketio_answered(sync_call_t *call,
    sync_call_result_e result);
static void sync_socketio_admit(sync_client_t *c, const u_char *id);
static void sync_socketio_refuse(sync_client_t *c, sync_str_t *code,
    ngx_uint_t status);
static void sync_socketio_disconnect(sync_client_t *c);
static void sync_socketio_event(sync_client_t *c, sync_sio_packet_t *pkt);
static void sync_socketio_assemble(sync_client_t *c, sync_sio_packet_t *pkt,
    sync_str_t *text);
static void sync_socketio_binary(sync_client_t *c, u_char *p, size_t len);
static void sync_socketio_assembled(sync_client_t *c, sync_assembly_t *as);
static ngx_int_t sync_socketio_write(sync_writer_t *w, sync_json_t *v,
    sync_assembly_t *as);
static ngx_int_t sync_socketio_write_attachment(sync_writer_t *w,
    sync_json_t *v, sync_assembly_t *as);
static void sync_socketio_free(sync_assembly_t *as);
static void sync_socketio_fail(sync_client_t *c);
static void sync_socketio_closed(sync_client_t *c);


static const sync_eio_handler_t  sync_socketio_handler = {
    { sync_socketio_message,
      sync_socketio_binary,
      NULL,
      sync_socketio_closed },
    sync_socketio_opened,
    sync_socketio_move,
    sync_socketio_arrived
};


void
sync_socketio_init_worker(void)
{
    sync_eio_client_init_worker(&sync_socketio_handler);
}


static ngx_int_t
sync_socketio_opened(sync_client_t *c, ngx_http_request_t *r)
{
    return sync_call_keep(c, r);
}


/* A decision that is asked for is waited for; other answers find the client. */

static ngx_int_t
sync_socketio_move(sync_client_t *c, sync_sid_t *s)
{
    ngx_int_t        rc;
    sync_wake_set_t  wake;

    if (sync_call_busy(c) || sync_eio_client(c)->opaque) {
        return SYNC_AGAIN;
    }

    if (c->record) {
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

    c->record->transport = c->ops->transport;

    return SYNC_OK;
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
    if (pkt->type == SYNC_SIO_CONNECT) {
        sync_socketio_connect(c, pkt);
        return;
    }

    if (c->record == NULL || !sync_str_is(&pkt->nsp, "/")) {
        sync_socketio_fail(c);
        return;
    }

    switch (pkt->type) {

    case SYNC_SIO_DISCONNECT:
        sync_socketio_disconnect(c);
        return;

    case SYNC_SIO_EVENT:
        sync_socketio_event(c, pkt);
        return;

    case SYNC_SIO_ACK:
        sync_collect_answer(c, pkt->id, &pkt->data.raw);
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


static void
sync_socketio_connect(sync_client_t *c, sync_sio_packet_t *pkt)
{
    u_char              id[SYNC_ID_LEN];
    sync_str_t          head, data;
    sync_writer_t       w;
    sync_eio_client_t  *eio;

    if (!sync_str_is(&pkt->nsp, "/")) {

        do {
            sync_reply_text(&w);
            sync_write_str(&w, &pkt->nsp);
            sync_write_literal(&w, ",{\"message\":\"Invalid namespace\"}");

        } while (sync_reply_again(&w));

        sync_str_set(&head, "44");
        sync_reply_str(&data, &w);

        sync_eio_client_say(c, &head, &data);
        return;
    }

    if (c->record || sync_call_busy(c)) {
        sync_socketio_fail(c);
        return;
    }

    eio = sync_eio_client(c);

    if (eio) {
        sync_sid_client_id(sync_client_zone(), id, eio->id);

    } else {
        sync_random(id, SYNC_ID_LEN);
    }

    if (sync_settings(c)->hooks[SYNC_HOOK_CONNECT].uri.len) {
        sync_socketio_ask(c, pkt, id);

    } else {
        sync_socketio_admit(c, id);
    }
}


static void
sync_socketio_ask(sync_client_t *c, sync_sio_packet_t *pkt, const u_char *id)
{
    ngx_int_t      rc;
    sync_str_t     body, user, code;
    sync_call_t   *call;
    sync_writer_t  w;

    sync_str_set(&code, "hook.unavailable");

    call = sync_call_create(c, sync_settings(c), SYNC_HOOK_CONNECT,
                            sync_socketio_answered);

    if (call) {
        call->opaque = ngx_pnalloc(call->pool, SYNC_ID_LEN);

        if (call->opaque == NULL) {
            sync_call_cancel(call);
            call = NULL;
        }
    }

    if (call == NULL) {
        sync_socketio_refuse(c, &code, 503);
        return;
    }

    ngx_memcpy(call->opaque, id, SYNC_ID_LEN);
    user.len = 0;

    do {
        sync_reply_text(&w);
        sync_call_write(call, &w, id, &user, NULL);
        sync_write_literal(&w, ",\"transport\":\"socketio\",\"auth\":");

        if (pkt->has_data) {
            sync_write_str(&w, &pkt->data.raw);

        } else {
            sync_write_literal(&w, "null");
        }

        sync_write_byte(&w, '}');

    } while (sync_reply_again(&w));

    sync_reply_str(&body, &w);

    rc = sync_call_start(call, &body, NULL);

    if (rc != SYNC_OK) {

        if (rc == SYNC_BUSY) {
            sync_str_set(&code, "hook.busy");
        }

        sync_socketio_refuse(c, &code, 503);
    }
}


static void
sync_socketio_answered(sync_call_t *call, sync_call_result_e result)
{
    ngx_uint_t      stop, status;
    sync_str_t      code;
    sync_client_t  *c;

    c = call->client;

    sync_str_set(&code, "auth.forbidden");
    status = 403;

    if (result == SYNC_CALL_ANSWERED) {
        stop = sync_call_stop(call, &code, &status);

    } else {
        stop = !call->settings->hooks[call->event].allow;

        sync_str_set(&code, "hook.unavailable");
        status = 503;
    }

    if (stop) {
        sync_socketio_refuse(c, &code, status);
        return;
    }

    sync_socketio_admit(c, call->opaque);
}


static void
sync_socketio_admit(sync_client_t *c, const u_char *id)
{
    u_char              text[SYNC_ID_TEXT + 2];
    sync_str_t          code, user, head, data;
    sync_zone_t        *z;
    sync_record_t      *rec;
    sync_eio_client_t  *eio;

    z = sync_client_zone();
    eio = sync_eio_client(c);
    user.len = 0;

    rec = sync_registry_add(z, c->ops->transport, id, &user, (uintptr_t) c);

    if (rec == NULL) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "zone \"%V\" is full, client refused", &z->name);

        sync_str_set(&code, "broker.unavailable");
        sync_socketio_refuse(c, &code, 503);
        return;
    }

    c->record = rec;

    if (sync_fanout_enter(c) != SYNC_OK) {
        sync_registry_remove(z, rec);
        c->record = NULL;

        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    if (eio && eio->sid) {
        sync_sid_set_record(z, eio->sid, rec);
    }

    sync_zone_count(z, SYNC_COUNT_CONNECTS, 1);

    sync_registry_print_id(text, id);
    text[SYNC_ID_TEXT] = '"';
    text[SYNC_ID_TEXT + 1] = '}';

    sync_str_set(&head, "40{\"sid\":\"");
    data.data = text;
    data.len = SYNC_ID_TEXT + 2;

    sync_eio_client_say(c, &head, &data);

    if (!c->closing) {
        sync_notify_client(c, SYNC_HOOK_CONNECTED, NULL);
        sync_eio_client_connected(c);
    }
}


static void
sync_socketio_refuse(sync_client_t *c, sync_str_t *code, ngx_uint_t status)
{
    sync_str_t     head, data;
    sync_writer_t  w;

    sync_zone_count(sync_client_zone(), SYNC_COUNT_REFUSED, 1);

    do {
        sync_reply_text(&w);
        sync_write_literal(&w, "{\"message\":");
        sync_json_write_str(&w, code);
        sync_write_literal(&w, ",\"data\":{\"errorCode\":");
        sync_json_write_str(&w, code);
        sync_write_literal(&w, ",\"httpStatus\":");
        sync_write_int(&w, status);
        sync_write_literal(&w, "}}");

    } while (sync_reply_again(&w));

    sync_str_set(&head, "44");
    sync_reply_str(&data, &w);

    sync_eio_client_say(c, &head, &data);
}


/* The session stays open; an event that still comes closes it. */

static void
sync_socketio_disconnect(sync_client_t *c)
{
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio && eio->sid) {
        sync_sid_set_record(sync_client_zone(), eio->sid, NULL);
    }

    sync_connect_closed(c);
}


static void
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
}


static void
sync_socketio_assemble(sync_client_t *c, sync_sio_packet_t *pkt,
    sync_str_t *text)
{
    sync_assembly_t    *as;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio == NULL) {
        eio = sync_eio_client_resume(c);
    }

    as = NULL;

    if (eio) {
        as = ngx_calloc(sizeof(sync_assembly_t) + text->len, ngx_cycle->log);
    }

    if (as == NULL) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    as->text.len = text->len;
    as->text.data = (u_char *) as + sizeof(sync_assembly_t);
    ngx_memcpy(as->text.data, text->data, text->len);

    eio->opaque = as;
}


static void
sync_socketio_binary(sync_client_t *c, u_char *p, size_t len)
{
    sync_assembly_t    *as;
    sync_sio_packet_t   pkt;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);
    as = eio ? eio->opaque : NULL;

    if (as == NULL || as->len + len > c->conf->max_message) {
        sync_socketio_fail(c);
        return;
    }

    as->data[as->n].data = ngx_alloc(len + 1, ngx_cycle->log);

    if (as->data[as->n].data == NULL) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    ngx_memcpy(as->data[as->n].data, p, len);
    as->data[as->n].len = len;
    as->len += len;
    as->n++;

    (void) sync_sio_parse(&pkt, &as->text);     /* it did before */

    if (as->n < pkt.attachments) {
        return;
    }

    eio->opaque = NULL;

    sync_socketio_assembled(c, as);
    sync_socketio_free(as);

    if (!c->closing && c->session) {
        sync_eio_client_settle(c);
    }
}


static void
sync_socketio_assembled(sync_client_t *c, sync_assembly_t *as)
{
    size_t              size;
    u_char             *p;
    sync_str_t          text;
    sync_writer_t       w;
    sync_sio_packet_t   pkt;

    (void) sync_sio_parse(&pkt, &as->text);     /* it did before */

    sync_writer_init(&w, NULL, 0);

    if (sync_socketio_write(&w, &pkt.data, as) != SYNC_OK) {
        sync_socketio_fail(c);
        return;
    }

    size = w.len;

    p = ngx_alloc(size, ngx_cycle->log);
    if (p == NULL) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    sync_writer_init(&w, p, size);
    (void) sync_socketio_write(&w, &pkt.data, as);

    text.data = p;
    text.len = size;

    if (sync_json_parse(&pkt.data, &text, NULL) != SYNC_OK) {

        /* it became too deep */

        sync_socketio_fail(c);

    } else if (pkt.type == SYNC_SIO_BINARY_EVENT) {
        sync_socketio_event(c, &pkt);

    } else {
        sync_collect_answer(c, pkt.id, &pkt.data.raw);
    }

    ngx_free(p);
}


/* Writes a value, with the attachments where their placeholders are. */

static ngx_int_t
sync_socketio_write(sync_writer_t *w, sync_json_t *v, sync_assembly_t *as)
{
    ngx_int_t         rc;
    ngx_uint_t        n;
    sync_str_t        key;
    sync_json_t       item;
    sync_json_iter_t  it;

    if (v->type != SYNC_JSON_ARRAY && v->type != SYNC_JSON_OBJECT) {
        sync_write_str(w, &v->raw);
        return SYNC_OK;
    }

    if (sync_json_get(&item, v, "_placeholder") == SYNC_OK
        && item.type == SYNC_JSON_TRUE)
    {
        return sync_socketio_write_attachment(w, v, as);
    }

    sync_write(w, v->raw.data, 1);
    sync_json_iter_init(&it, v);

    for (n = 0;
         sync_json_next(&it, v->type == SYNC_JSON_OBJECT ? &key : NULL, &item)
         == SYNC_OK;
         n++)
    {
        if (n) {
            sync_write_byte(w, ',');
        }

        if (v->type == SYNC_JSON_OBJECT) {
            sync_write_byte(w, '"');
            sync_write_str(w, &key);
            sync_write_literal(w, "\":");
        }

        rc = sync_socketio_write(w, &item, as);

        if (rc != SYNC_OK) {
            return rc;
        }
    }

    sync_write(w, v->raw.data + v->raw.len - 1, 1);

    return SYNC_OK;
}


static ngx_int_t
sync_socketio_write_attachment(sync_writer_t *w, sync_json_t *v,
    sync_assembly_t *as)
{
    u_char       text[4];
    size_t       i;
    int64_t      num;
    ngx_str_t    src, dst, *data;
    sync_json_t  n;

    if (sync_json_get(&n, v, "num") != SYNC_OK
        || sync_json_int64(&num, &n) != SYNC_OK
        || num < 0 || num >= (int64_t) as->n)
    {
        return SYNC_ERROR;
    }

    data = (ngx_str_t *) &as->data[num];
    dst.data = text;

    sync_write_literal(w, "{\"base64\":\"");

    for (i = 0; i < data->len; i += 3) {
        src.data = data->data + i;
        src.len = ngx_min(data->len - i, 3);

        ngx_encode_base64(&dst, &src);
        sync_write(w, dst.data, dst.len);
    }

    sync_write_literal(w, "\"}");

    return SYNC_OK;
}


static void
sync_socketio_free(sync_assembly_t *as)
{
    while (as->n) {
        ngx_free(as->data[--as->n].data);
    }

    ngx_free(as);
}


/* The peer's fault. */

static void
sync_socketio_fail(sync_client_t *c)
{
    sync_zone_count(sync_client_zone(), SYNC_COUNT_INVALID, 1);

    sync_client_close(c, SYNC_WS_CODE_NONE, NULL);
}


static void
sync_socketio_closed(sync_client_t *c)
{
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio && eio->opaque) {
        sync_socketio_free(eio->opaque);
        eio->opaque = NULL;
    }

    sync_connect_closed(c);
}
