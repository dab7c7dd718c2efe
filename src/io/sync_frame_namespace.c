
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_frame.h>
#include <sync_eio.h>
#include <sync_ws.h>


/*
 * 42["e",1]   -->   42/foo,["e",1]
 *
 * Runs are framed for the default namespace, and shared by its clients.  One
 * in another namespace has the packets written anew: there are few of them,
 * and they share nothing.
 */


/* A packet of a run, as it stands in it. */

typedef struct {
    u_char  *start;                     /* of its frame */
    u_char  *data;
    u_char  *end;                       /* of its data */
    u_char  *next;
    u_char   byte;                      /* the first one, of a frame */
} sync_frame_packet_t;


static void sync_frame_packet_find(sync_dialect_e dialect,
    sync_frame_packet_t *f, u_char *p, u_char *last);
static size_t sync_frame_packet_header(sync_frame_packet_t *f);


sync_run_t *
sync_frame_namespace(sync_dialect_e dialect, sync_run_t *run, uint32_t pos,
    uint32_t last, sync_str_t *nsp)
{
    size_t                n, len, more;
    u_char               *p, *dst, *end;
    sync_run_t           *to;
    sync_frame_packet_t   f;

    p = run->data + pos;
    end = run->data + last;

    for (n = 0; p < end; n++) {
        sync_frame_packet_find(dialect, &f, p, end);
        p = f.next;
    }

    /* a comma, and a header that is longer */

    more = nsp->len + 1 + sizeof(uint64_t);

    to = sync_run_create((last - pos) + n * more);
    if (to == NULL) {
        return NULL;
    }

    dst = to->data;

    for (p = run->data + pos; p < end; p = f.next) {
        sync_frame_packet_find(dialect, &f, p, end);

        n = sync_frame_packet_header(&f);

        if (n == 0) {
            dst = ngx_cpymem(dst, f.start, f.next - f.start);
            continue;
        }

        if (dialect == SYNC_DIALECT_SIO) {
            len = (f.end - f.data) + nsp->len + 1;
            dst = sync_ws_write_header(dst, f.byte, len);
        }

        dst = ngx_cpymem(dst, f.data, n);
        dst = ngx_cpymem(dst, nsp->data, nsp->len);
        *dst++ = ',';
        dst = ngx_cpymem(dst, f.data + n, f.next - f.data - n);
    }

    to->len = dst - to->data;
    to->ends[0] = to->len;

    return to;
}


/* What we framed ourselves is whole, and not masked (RFC 6455, 5.2). */

static void
sync_frame_packet_find(sync_dialect_e dialect, sync_frame_packet_t *f,
    u_char *p, u_char *last)
{
    size_t      n, i;
    uint64_t    len;

    f->start = p;
    f->next = last;
    f->data = p;
    f->end = last;
    f->byte = 0;

    if (dialect == SYNC_DIALECT_EIO) {
        p = ngx_strlchr(p, last, SYNC_EIO_SEPARATOR);

        if (p) {
            f->end = p;
            f->next = p + 1;
        }

        return;
    }

    len = p[1];
    n = 2;

    if (len > 125) {
        n += (len == 126) ? 2 : 8;
        len = 0;

        for (i = 2; i < n; i++) {
            len = len << 8 | p[i];
        }
    }

    f->byte = *p;
    f->data = p + n;
    f->end = f->data + len;
    f->next = f->end;
}


/*
 * The bytes before the place of the namespace: the type of a message and of
 * its packet, the number of attachments.  0: it has no such place.
 */

static size_t
sync_frame_packet_header(sync_frame_packet_t *f)
{
    u_char  *p;

    if (f->byte && f->byte != (SYNC_WS_FIN|SYNC_WS_TEXT)) {
        return 0;
    }

    p = f->data;

    if (f->end - p < 2 || p[0] != '4' || p[1] < '0' || p[1] > '6') {
        return 0;
    }

    if (p[1] < '5') {
        return 2;
    }

    for (p += 2; p < f->end && *p != '-'; p++) { /* void */ }

    return (p < f->end) ? (size_t) (p + 1 - f->data) : 0;
}
