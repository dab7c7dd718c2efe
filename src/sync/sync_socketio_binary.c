
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_socketio.h>
#include <sync_collect.h>
#include <sync_eio_client.h>
#include <sync_sio_binary.h>
#include <sync_ws.h>


/*
 * Binary events and acknowledgements of clients: a packet waits till its
 * attachments are there, and goes on as JSON.
 */


/* A binary message that lacks attachments. */

typedef struct {
    sync_str_t  text;                   /* the packet */
    size_t      len;                    /* bytes of all attachments */
    ngx_uint_t  n;                      /* that are there */
    sync_str_t  data[SYNC_SIO_ATTACHMENTS_MAX];
} sync_assembly_t;


static void sync_socketio_assembled(sync_client_t *c, sync_assembly_t *as);
static void sync_socketio_free(sync_assembly_t *as);


void
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


void
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
    size_t             size;
    u_char            *p;
    sync_str_t         text;
    sync_client_t     *to;
    sync_writer_t      w;
    sync_sio_packet_t  pkt;

    (void) sync_sio_parse(&pkt, &as->text);     /* it did before */

    sync_writer_init(&w, NULL, 0);

    if (sync_sio_put_in(&w, &pkt.data, as->data, as->n) != SYNC_OK) {
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
    (void) sync_sio_put_in(&w, &pkt.data, as->data, as->n);

    text.data = p;
    text.len = size;

    to = sync_socketio_find(c, &pkt.nsp);

    if (to == NULL || sync_json_parse(&pkt.data, &text, NULL) != SYNC_OK) {

        /* it became too deep */

        sync_socketio_fail(c);

    } else if (pkt.type == SYNC_SIO_BINARY_EVENT) {
        sync_socketio_event(to, &pkt);

    } else {
        sync_collect_answer(to, pkt.id, &pkt.data.raw);
    }

    ngx_free(p);
}


void
sync_socketio_disassemble(sync_client_t *c)
{
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio && eio->opaque) {
        sync_socketio_free(eio->opaque);
        eio->opaque = NULL;
    }
}


static void
sync_socketio_free(sync_assembly_t *as)
{
    while (as->n) {
        ngx_free(as->data[--as->n].data);
    }

    ngx_free(as);
}
