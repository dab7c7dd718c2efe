
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_frame.h>
#include <sync_eio.h>
#include <sync_sio_binary.h>
#include <sync_sio_namespace.h>
#include <sync_ws.h>


/*
 * What is particular to Socket.IO.
 *
 * Bytes stand in a room's log as JSON, so that every dialect can say them;
 * Socket.IO has a form of its own for them.
 *
 * Runs are framed for the default namespace, and shared by its clients.  One
 * in another namespace has the packets written anew: there are few of them,
 * and they share nothing.
 */


static size_t sync_frame_attachment(sync_dialect_e dialect, u_char *dst,
    sync_json_t *data);


size_t
sync_frame_binary_event(sync_dialect_e dialect, u_char *dst, uint64_t ack,
    sync_str_t *json, sync_str_t *tail)
{
    size_t                  len, size, head;
    u_char                 *p;
    ngx_uint_t              i;
    sync_json_t             v;
    sync_writer_t           w;
    sync_sio_packet_t       pkt;
    sync_sio_attachments_t  a;
    u_char                  buf[64];

    if (sync_json_parse(&v, json, NULL) != SYNC_OK) {
        return 0;
    }

    sync_writer_init(&w, NULL, 0);
    (void) sync_sio_take_out(&w, &a, &v);       /* it was looked at before */

    len = w.len;

    ngx_memzero(&pkt, sizeof(sync_sio_packet_t));

    sync_str_set(&pkt.nsp, "/");
    pkt.type = a.n ? SYNC_SIO_BINARY_EVENT : SYNC_SIO_EVENT;
    pkt.attachments = (u_char) a.n;
    pkt.id = ack;
    pkt.has_id = (ack != 0);

    sync_writer_init(&w, buf, sizeof(buf));
    sync_write_byte(&w, '4');
    sync_sio_write_header(&w, &pkt);

    head = w.len;
    size = head + len + (tail->len ? tail->len - 1 : 0);

    if (dst == NULL) {
        len = (dialect == SYNC_DIALECT_EIO) ? size + 1
                                            : sync_ws_header_len(size) + size;

        for (i = 0; i < a.n; i++) {
            len += sync_frame_attachment(dialect, NULL, &a.data[i]);
        }

        return len;
    }

    p = dst;

    if (dialect == SYNC_DIALECT_SIO) {
        p = sync_ws_write_header(p, SYNC_WS_FIN|SYNC_WS_TEXT, size);
    }

    p = ngx_cpymem(p, buf, head);

    sync_writer_init(&w, p, len);
    (void) sync_sio_take_out(&w, &a, &v);

    p += len;

    if (tail->len) {
        p = ngx_cpymem(p - 1, tail->data, tail->len);
    }

    if (dialect == SYNC_DIALECT_EIO) {
        *p++ = SYNC_EIO_SEPARATOR;
    }

    for (i = 0; i < a.n; i++) {
        p += sync_frame_attachment(dialect, p, &a.data[i]);
    }

    return p - dst;
}


static size_t
sync_frame_attachment(sync_dialect_e dialect, u_char *dst, sync_json_t *data)
{
    size_t   head;
    u_char  *p, *bytes;
    ssize_t  n;

    if (dialect == SYNC_DIALECT_EIO) {

        if (dst == NULL) {
            return 2 + data->raw.len;
        }

        dst[0] = 'b';
        p = dst + 1;
        p += sync_sio_base64(p, data);
        *p++ = SYNC_EIO_SEPARATOR;

        return p - dst;
    }

    head = sync_ws_header_len(data->raw.len);

    if (dst == NULL) {
        return head + data->raw.len;
    }

    /* the header may be shorter than it was thought */

    bytes = dst + head;
    n = sync_sio_bytes(bytes, data);

    p = sync_ws_write_header(dst, SYNC_WS_FIN|SYNC_WS_BINARY, n);

    if (p != bytes) {
        ngx_memmove(p, bytes, n);
    }

    return p + n - dst;
}


sync_run_t *
sync_frame_namespace(sync_dialect_e dialect, sync_run_t *run, uint32_t pos,
    uint32_t last, sync_str_t *nsp)
{
    u_char         *p, *end;
    sync_run_t     *to;
    sync_writer_t   w;

    void          (*rename)(sync_writer_t *w, const u_char *p,
                      const u_char *last, const sync_str_t *nsp);

    rename = (dialect == SYNC_DIALECT_EIO) ? sync_sio_rename_payload
                                           : sync_sio_rename_frames;
    p = run->data + pos;
    end = run->data + last;

    sync_writer_init(&w, NULL, 0);
    rename(&w, p, end, nsp);

    to = sync_run_create(w.len);
    if (to == NULL) {
        return NULL;
    }

    sync_writer_init(&w, to->data, w.len);
    rename(&w, p, end, nsp);

    return to;
}
