
/*
 * Copyright (C) sync for nginx
 */


#include "sync_sio.h"


/* the integers that a JavaScript number holds */

#define SYNC_SIO_ID_MAX  9007199254740991ULL


static sync_int_t sync_sio_parse_number(uint64_t *n, sync_str_t *rest,
    uint64_t max);
static void sync_sio_parse_nsp(sync_sio_packet_t *pkt, sync_str_t *rest);
static sync_int_t sync_sio_parse_data(sync_sio_packet_t *pkt,
    const sync_str_t *rest);
static sync_int_t sync_sio_parse_event(sync_sio_packet_t *pkt);


sync_int_t
sync_sio_parse(sync_sio_packet_t *pkt, const sync_str_t *text)
{
    uint64_t    n;
    sync_str_t  rest;

    if (text->len == 0 || text->data[0] < '0' || text->data[0] > '6') {
        return SYNC_ERROR;
    }

    memset(pkt, 0, sizeof(sync_sio_packet_t));

    pkt->type = text->data[0] - '0';

    rest.data = text->data + 1;
    rest.len = text->len - 1;

    if (pkt->type == SYNC_SIO_BINARY_EVENT
        || pkt->type == SYNC_SIO_BINARY_ACK)
    {
        if (sync_sio_parse_number(&n, &rest, SYNC_SIO_ATTACHMENTS_MAX)
            != SYNC_OK
            || n == 0
            || rest.len == 0
            || rest.data[0] != '-')
        {
            return SYNC_ERROR;
        }

        pkt->attachments = (u_char) n;
        rest.data++;
        rest.len--;
    }

    sync_sio_parse_nsp(pkt, &rest);

    switch (sync_sio_parse_number(&n, &rest, SYNC_SIO_ID_MAX)) {

    case SYNC_OK:
        pkt->id = n;
        pkt->has_id = 1;
        break;

    case SYNC_DECLINED:
        break;

    default:
        return SYNC_ERROR;
    }

    return sync_sio_parse_data(pkt, &rest);
}


/* takes the digits at the start, SYNC_DECLINED if there are none */

static sync_int_t
sync_sio_parse_number(uint64_t *n, sync_str_t *rest, uint64_t max)
{
    size_t    i;
    uint64_t  value;

    value = 0;

    for (i = 0; i < rest->len; i++) {

        if (rest->data[i] < '0' || rest->data[i] > '9') {
            break;
        }

        value = value * 10 + (rest->data[i] - '0');

        if (value > max) {
            return SYNC_ERROR;
        }
    }

    if (i == 0) {
        return SYNC_DECLINED;
    }

    rest->data += i;
    rest->len -= i;
    *n = value;

    return SYNC_OK;
}


/*
 * "/admin,", the comma is not there if nothing follows; CONNECT may have a
 * query, which is no part of the name
 */

static void
sync_sio_parse_nsp(sync_sio_packet_t *pkt, sync_str_t *rest)
{
    u_char  *p;

    if (rest->len == 0 || rest->data[0] != '/') {
        sync_str_set(&pkt->nsp, "/");
        return;
    }

    pkt->nsp = *rest;
    p = memchr(rest->data, ',', rest->len);

    if (p) {
        pkt->nsp.len = p - rest->data;
        rest->data = p + 1;
        rest->len -= pkt->nsp.len + 1;

    } else {
        rest->data += rest->len;
        rest->len = 0;
    }

    if (pkt->type == SYNC_SIO_CONNECT) {
        p = memchr(pkt->nsp.data, '?', pkt->nsp.len);

        if (p) {
            pkt->nsp.len = p - pkt->nsp.data;
        }
    }
}


static sync_int_t
sync_sio_parse_data(sync_sio_packet_t *pkt, const sync_str_t *rest)
{
    if (rest->len) {

        if (sync_json_parse(&pkt->data, rest, NULL) != SYNC_OK) {
            return SYNC_ERROR;
        }

        pkt->has_data = 1;
    }

    switch (pkt->type) {

    case SYNC_SIO_CONNECT:
        if (pkt->has_data && pkt->data.type != SYNC_JSON_OBJECT) {
            return SYNC_ERROR;
        }

        return SYNC_OK;

    case SYNC_SIO_DISCONNECT:
        return pkt->has_data ? SYNC_ERROR : SYNC_OK;

    case SYNC_SIO_CONNECT_ERROR:
        if (!pkt->has_data
            || (pkt->data.type != SYNC_JSON_OBJECT
                && pkt->data.type != SYNC_JSON_STRING))
        {
            return SYNC_ERROR;
        }

        return SYNC_OK;

    case SYNC_SIO_EVENT:
    case SYNC_SIO_BINARY_EVENT:
        return sync_sio_parse_event(pkt);

    default: /* SYNC_SIO_ACK, SYNC_SIO_BINARY_ACK */
        if (!pkt->has_data
            || !pkt->has_id
            || pkt->data.type != SYNC_JSON_ARRAY)
        {
            return SYNC_ERROR;
        }

        return SYNC_OK;
    }
}


static sync_int_t
sync_sio_parse_event(sync_sio_packet_t *pkt)
{
    sync_json_iter_t  it;

    if (!pkt->has_data || pkt->data.type != SYNC_JSON_ARRAY) {
        return SYNC_ERROR;
    }

    sync_json_iter_init(&it, &pkt->data);

    if (sync_json_next(&it, NULL, &pkt->event) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (pkt->event.type != SYNC_JSON_STRING
        && pkt->event.type != SYNC_JSON_NUMBER)
    {
        return SYNC_ERROR;
    }

    return SYNC_OK;
}


sync_int_t
sync_sio_event_reserved(const sync_str_t *name)
{
    return sync_str_is(name, "connect")
           || sync_str_is(name, "connect_error")
           || sync_str_is(name, "disconnect")
           || sync_str_is(name, "disconnecting")
           || sync_str_is(name, "newListener")
           || sync_str_is(name, "removeListener");
}


void
sync_sio_write_header(sync_writer_t *w, const sync_sio_packet_t *pkt)
{
    sync_write_byte(w, '0' + pkt->type);

    if (pkt->type == SYNC_SIO_BINARY_EVENT
        || pkt->type == SYNC_SIO_BINARY_ACK)
    {
        sync_write_int(w, pkt->attachments);
        sync_write_byte(w, '-');
    }

    if (!sync_str_is(&pkt->nsp, "/")) {
        sync_write_str(w, &pkt->nsp);
        sync_write_byte(w, ',');
    }

    if (pkt->has_id) {
        sync_write_int(w, (int64_t) pkt->id);
    }
}
