
/*
 * Copyright (C) sync for nginx
 */


#include "sync_eio.h"
#include "sync_utf8.h"


static const u_char  sync_eio_base64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";


static sync_int_t sync_eio_value(u_char ch);


sync_int_t
sync_eio_parse(sync_eio_packet_t *pkt, const sync_str_t *text)
{
    if (text->len == 0 || text->data[0] < '0' || text->data[0] > '6') {
        return SYNC_ERROR;
    }

    pkt->type = text->data[0] - '0';
    pkt->binary = 0;
    pkt->data.data = text->data + 1;
    pkt->data.len = text->len - 1;

    return SYNC_OK;
}


sync_int_t
sync_eio_next(sync_eio_packet_t *pkt, sync_str_t *payload)
{
    u_char      *p;
    sync_str_t   text;

    if (payload->data == NULL) {
        return SYNC_DECLINED;
    }

    text = *payload;
    p = memchr(text.data, SYNC_EIO_SEPARATOR, text.len);

    if (p) {
        text.len = p - text.data;
        payload->data = p + 1;
        payload->len -= text.len + 1;

    } else {
        payload->data = NULL;
        payload->len = 0;
    }

    if (text.len == 0 || text.data[0] != 'b') {
        return sync_eio_parse(pkt, &text);
    }

    pkt->type = SYNC_EIO_MESSAGE;
    pkt->binary = 1;
    pkt->data.data = text.data + 1;
    pkt->data.len = text.len - 1;

    return SYNC_OK;
}


sync_int_t
sync_eio_check(const sync_str_t *payload)
{
    sync_int_t         rc;
    sync_str_t         rest;
    sync_eio_packet_t  pkt;

    if (sync_utf8_check(payload->data, payload->data + payload->len)
        != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    rest = *payload;

    for ( ;; ) {
        rc = sync_eio_next(&pkt, &rest);

        if (rc != SYNC_OK) {
            return (rc == SYNC_DECLINED) ? SYNC_OK : SYNC_ERROR;
        }

        if (pkt.binary
            && sync_eio_decode(NULL, pkt.data.len, &pkt.data) < 0)
        {
            return SYNC_ERROR;
        }
    }
}


ssize_t
sync_eio_decode(u_char *dst, size_t size, const sync_str_t *data)
{
    size_t      i, n, len;
    uint32_t    bits;
    sync_int_t  value;

    len = data->len;

    if (len && len % 4 == 0 && data->data[len - 1] == '=') {
        len--;

        if (data->data[len - 1] == '=') {
            len--;
        }
    }

    if (len % 4 == 1) {
        return SYNC_ERROR;
    }

    if (len / 4 * 3 + (len % 4) * 3 / 4 > size) {
        return SYNC_BUSY;
    }

    bits = 0;
    n = 0;

    for (i = 0; i < len; i++) {
        value = sync_eio_value(data->data[i]);

        if (value == SYNC_ERROR) {
            return SYNC_ERROR;
        }

        bits = bits << 6 | value;

        /* a byte is whole with every character but the first of four */

        if (i % 4) {

            if (dst) {
                dst[n] = (u_char) (bits >> (6 - i % 4 * 2));
            }

            n++;
        }
    }

    return n;
}


static sync_int_t
sync_eio_value(u_char ch)
{
    if (ch >= 'A' && ch <= 'Z') {
        return ch - 'A';
    }

    if (ch >= 'a' && ch <= 'z') {
        return ch - 'a' + 26;
    }

    if (ch >= '0' && ch <= '9') {
        return ch - '0' + 52;
    }

    return (ch == '+') ? 62 : (ch == '/') ? 63 : SYNC_ERROR;
}


void
sync_eio_write(sync_writer_t *w, sync_uint_t type, const u_char *p,
    size_t len)
{
    if (w->len) {
        sync_write_byte(w, SYNC_EIO_SEPARATOR);
    }

    sync_write_byte(w, (u_char) ('0' + type));
    sync_write(w, p, len);
}


void
sync_eio_write_binary(sync_writer_t *w, const u_char *p, size_t len)
{
    if (w->len) {
        sync_write_byte(w, SYNC_EIO_SEPARATOR);
    }

    sync_write_byte(w, 'b');
    sync_eio_write_base64(w, p, len);
}


void
sync_eio_write_base64(sync_writer_t *w, const u_char *p, size_t len)
{
    u_char    text[4];
    uint32_t  bits;

    while (len) {
        bits = (uint32_t) p[0] << 16
               | (uint32_t) (len > 1 ? p[1] : 0) << 8
               | (len > 2 ? p[2] : 0);

        text[0] = sync_eio_base64[bits >> 18];
        text[1] = sync_eio_base64[bits >> 12 & 63];
        text[2] = (len > 1) ? sync_eio_base64[bits >> 6 & 63] : '=';
        text[3] = (len > 2) ? sync_eio_base64[bits & 63] : '=';

        sync_write(w, text, 4);

        p += (len > 3) ? 3 : len;
        len -= (len > 3) ? 3 : len;
    }
}
