
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_frame.h>
#include <sync_eio.h>
#include <sync_json.h>
#include <sync_sio.h>
#include <sync_ws.h>


/*
 * ["e",{"base64":"AP8="}]   -->   451-["e",{"_placeholder":true,"num":0}]
 *                                 and the two bytes, in a message of its own
 *
 * Bytes stand in a room's log as JSON, so that every dialect can say them;
 * those of Socket.IO have a form for them.
 */


typedef struct {
    sync_writer_t   w;
    ngx_uint_t      n;
    sync_json_t     data[SYNC_FRAME_ATTACHMENTS];   /* strings */
    unsigned        failed:1;
} sync_frame_walk_t;


static void sync_frame_walk(sync_frame_walk_t *walk, sync_json_t *v);
static ngx_uint_t sync_frame_is_binary(sync_json_t *v, sync_json_t *data);
static ssize_t sync_frame_base64(u_char *dst, sync_json_t *data);
static size_t sync_frame_attachment(sync_dialect_e dialect, u_char *dst,
    sync_json_t *data);


ssize_t
sync_frame_attachments(sync_str_t *json)
{
    sync_json_t        v;
    sync_frame_walk_t  walk;

    walk.n = 0;
    walk.failed = 0;
    sync_writer_init(&walk.w, NULL, 0);

    if (sync_json_parse(&v, json, NULL) != SYNC_OK) {
        return SYNC_ERROR;
    }

    sync_frame_walk(&walk, &v);

    return walk.failed ? SYNC_ERROR : (ssize_t) walk.n;
}


size_t
sync_frame_binary_event(sync_dialect_e dialect, u_char *dst, uint64_t ack,
    sync_str_t *json, sync_str_t *tail)
{
    size_t              len, size;
    u_char             *p;
    ngx_uint_t          i;
    sync_json_t         v;
    sync_sio_packet_t   pkt;
    sync_frame_walk_t   walk;
    u_char              buf[64];

    walk.n = 0;
    walk.failed = 0;
    sync_writer_init(&walk.w, NULL, 0);

    if (sync_json_parse(&v, json, NULL) != SYNC_OK) {
        return 0;
    }

    sync_frame_walk(&walk, &v);

    ngx_memzero(&pkt, sizeof(sync_sio_packet_t));

    sync_str_set(&pkt.nsp, "/");
    pkt.type = walk.n ? SYNC_SIO_BINARY_EVENT : SYNC_SIO_EVENT;
    pkt.attachments = (u_char) walk.n;
    pkt.id = ack;
    pkt.has_id = (ack != 0);

    len = walk.w.len;

    sync_writer_init(&walk.w, buf, sizeof(buf));
    sync_write_literal(&walk.w, "4");
    sync_sio_write_header(&walk.w, &pkt);

    size = walk.w.len + len + (tail->len ? tail->len - 1 : 0);

    if (dst == NULL) {
        len = (dialect == SYNC_DIALECT_EIO) ? size + 1
                                            : sync_ws_header_len(size) + size;

        for (i = 0; i < walk.n; i++) {
            len += sync_frame_attachment(dialect, NULL, &walk.data[i]);
        }

        return len;
    }

    p = dst;

    if (dialect == SYNC_DIALECT_SIO) {
        p = sync_ws_write_header(p, SYNC_WS_FIN|SYNC_WS_TEXT, size);
    }

    p = ngx_cpymem(p, buf, walk.w.len);

    walk.n = 0;
    sync_writer_init(&walk.w, p, len);
    sync_frame_walk(&walk, &v);

    p += len;

    if (tail->len) {
        p = ngx_cpymem(p - 1, tail->data, tail->len);
    }

    if (dialect == SYNC_DIALECT_EIO) {
        *p++ = SYNC_EIO_SEPARATOR;
    }

    for (i = 0; i < walk.n; i++) {
        p += sync_frame_attachment(dialect, p, &walk.data[i]);
    }

    return p - dst;
}


/* Writes the value with a placeholder for each of those objects. */

static void
sync_frame_walk(sync_frame_walk_t *walk, sync_json_t *v)
{
    ngx_uint_t        n;
    sync_str_t        key;
    sync_json_t       item;
    sync_writer_t    *w;
    sync_json_iter_t  it;

    w = &walk->w;

    if (v->type != SYNC_JSON_ARRAY && v->type != SYNC_JSON_OBJECT) {
        sync_write_str(w, &v->raw);
        return;
    }

    if (sync_frame_is_binary(v, &item)) {

        if (walk->n == SYNC_FRAME_ATTACHMENTS
            || sync_frame_base64(NULL, &item) < 0)
        {
            walk->failed = 1;
            sync_write_str(w, &v->raw);
            return;
        }

        sync_write_literal(w, "{\"_placeholder\":true,\"num\":");
        sync_write_int(w, walk->n);
        sync_write_byte(w, '}');

        walk->data[walk->n++] = item;
        return;
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

        sync_frame_walk(walk, &item);
    }

    sync_write(w, v->raw.data + v->raw.len - 1, 1);
}


/* Whether it is an object of that member alone. */

static ngx_uint_t
sync_frame_is_binary(sync_json_t *v, sync_json_t *data)
{
    sync_str_t        key;
    sync_json_t       other;
    sync_json_iter_t  it;

    static const sync_str_t  name = sync_string("base64");

    if (v->type != SYNC_JSON_OBJECT) {
        return 0;
    }

    sync_json_iter_init(&it, v);

    return sync_json_next(&it, &key, data) == SYNC_OK
           && data->type == SYNC_JSON_STRING
           && sync_json_key_is(&key, &name)
           && sync_json_next(&it, NULL, &other) == SYNC_DECLINED;
}


/*
 * Copies base64 as it is meant: some escape its slashes.  Returns its length,
 * up to that of the string, or SYNC_ERROR if it is none.
 */

static ssize_t
sync_frame_base64(u_char *dst, sync_json_t *data)
{
    u_char   ch, *p, *last;
    size_t   n, pad;

    n = 0;
    pad = 0;
    last = data->raw.data + data->raw.len - 1;

    for (p = data->raw.data + 1; p < last; p++) {
        ch = *p;

        if (ch == '\\' && p + 1 < last && p[1] == '/') {
            ch = '/';
            p++;
        }

        if (ch == '=') {
            pad++;

        } else if (pad
                   || !((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z')
                        || (ch >= '0' && ch <= '9') || ch == '+'
                        || ch == '/'))
        {
            return SYNC_ERROR;
        }

        if (dst) {
            dst[n] = ch;
        }

        n++;
    }

    return (n % 4 == 0 && pad < 3) ? (ssize_t) n : SYNC_ERROR;
}


static size_t
sync_frame_attachment(sync_dialect_e dialect, u_char *dst, sync_json_t *data)
{
    size_t      head;
    u_char     *p;
    ngx_str_t   text, bytes;

    if (dialect == SYNC_DIALECT_EIO) {

        if (dst == NULL) {
            return 2 + data->raw.len;
        }

        dst[0] = 'b';
        p = dst + 1;
        p += sync_frame_base64(p, data);
        *p++ = SYNC_EIO_SEPARATOR;

        return p - dst;
    }

    head = sync_ws_header_len(data->raw.len);

    if (dst == NULL) {
        return head + data->raw.len;
    }

    /* in place, as bytes are fewer than text; the header may be shorter */

    text.data = dst + head;
    text.len = sync_frame_base64(text.data, data);
    bytes.data = text.data;

    if (ngx_decode_base64(&bytes, &text) != NGX_OK) {
        bytes.len = 0;
    }

    p = sync_ws_write_header(dst, SYNC_WS_FIN|SYNC_WS_BINARY, bytes.len);

    if (p != bytes.data) {
        ngx_memmove(p, bytes.data, bytes.len);
    }

    return p + bytes.len - dst;
}
