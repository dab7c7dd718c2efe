
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_sio_namespace.h"
#include "sync_eio.h"
#include "sync_sio.h"
#include "sync_ws.h"


#define PACKETS_MAX  64


typedef struct {
    u_char  *data;
    size_t   len;
} text_t;


static const sync_str_t  nsp = sync_string("/foo");


static u_char *renamed(size_t *len, int payload, const u_char *p, size_t size);
static void check_packets(const u_char *p, size_t len);
static void text_init(text_t *t, size_t size);
static void text_add(text_t *payload, text_t *frames, const u_char *p,
    size_t len);
static size_t naive(u_char *dst, const u_char *p, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t   len;
    u_char  *p, *to;

    /* what we did not write does no harm */

    p = fuzz_copy(data, size);

    to = renamed(&len, 0, p, size);
    free(to);

    check_packets(p, size);
    free(p);

    return 0;
}


static u_char *
renamed(size_t *len, int payload, const u_char *p, size_t size)
{
    u_char         *to;
    sync_writer_t   w;

    void          (*rename)(sync_writer_t *w, const u_char *p,
                      const u_char *last, const sync_str_t *nsp);

    rename = payload ? sync_sio_rename_payload : sync_sio_rename_frames;

    sync_writer_init(&w, NULL, 0);
    rename(&w, p, p + size, &nsp);

    *len = w.len;
    to = fuzz_alloc(*len);

    sync_writer_init(&w, to, *len);
    rename(&w, p, p + size, &nsp);
    fuzz_check(w.len == *len);

    return to;
}


/* the input's packets, as a payload and as frames, against a naive writer */

static void
check_packets(const u_char *p, size_t len)
{
    size_t   n, i, size;
    u_char  *to, *end, *packet;
    text_t   payload, frames, want, want_frames;

    size = len * 2 + PACKETS_MAX * 32;

    text_init(&payload, size);
    text_init(&frames, size);
    text_init(&want, size);
    text_init(&want_frames, size);

    packet = fuzz_alloc(len + 8);

    for (i = 0; i < PACKETS_MAX && len; i++) {
        end = memchr(p, SYNC_EIO_SEPARATOR, len);
        n = end ? (size_t) (end - p) : len;

        text_add(&payload, &frames, p, n);
        text_add(&want, &want_frames, packet, naive(packet, p, n));

        if (end == NULL) {
            break;
        }

        p += n + 1;
        len -= n + 1;
    }

    to = renamed(&n, 1, payload.data, payload.len);
    fuzz_check(n == want.len && memcmp(to, want.data, n) == 0);
    free(to);

    to = renamed(&n, 0, frames.data, frames.len);
    fuzz_check(n == want_frames.len && memcmp(to, want_frames.data, n) == 0);
    free(to);

    free(payload.data);
    free(frames.data);
    free(want.data);
    free(want_frames.data);
    free(packet);
}


static void
text_init(text_t *t, size_t size)
{
    t->data = fuzz_alloc(size);
    t->len = 0;
}


/* a packet, as a piece of a payload and as a frame */

static void
text_add(text_t *payload, text_t *frames, const u_char *p, size_t len)
{
    u_char  *end;

    memcpy(payload->data + payload->len, p, len);
    payload->len += len;
    payload->data[payload->len++] = SYNC_EIO_SEPARATOR;

    end = sync_ws_write_header(frames->data + frames->len,
                               SYNC_WS_FIN|SYNC_WS_TEXT, len);
    memcpy(end, p, len);
    frames->len = end + len - frames->data;
}


/* if it parses, it is of that namespace then; returns its length */

static size_t
naive(u_char *dst, const u_char *p, size_t len)
{
    size_t             i;
    sync_str_t         text;
    sync_sio_packet_t  was, is;

    i = 0;

    if (len >= 2 && p[0] == '4' && p[1] >= '0' && p[1] <= '6') {

        for (i = 2; p[1] > '4' && i < len && p[i] != '-'; i++) { /* void */ }

        if (p[1] > '4') {
            i = (i < len) ? i + 1 : 0;
        }
    }

    memcpy(dst, p, i);

    if (i) {
        memcpy(dst + i, "/foo,", 5);
    }

    memcpy(dst + i + (i ? 5 : 0), p + i, len - i);

    text.data = (u_char *) p + 1;
    text.len = len ? len - 1 : 0;

    if (i && sync_sio_parse(&was, &text) == SYNC_OK
        && sync_str_is(&was.nsp, "/") && (i == len || p[i] != '/'))
    {
        text.data = dst + 1;
        text.len = len + 4;

        fuzz_check(sync_sio_parse(&is, &text) == SYNC_OK);
        fuzz_check(sync_str_eq(&is.nsp, &nsp) && is.type == was.type
                   && is.has_id == was.has_id && is.id == was.id
                   && is.attachments == was.attachments);
    }

    return len + (i ? 5 : 0);
}
