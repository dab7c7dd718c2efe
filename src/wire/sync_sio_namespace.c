
/*
 * Copyright (C) sync for nginx
 */


#include "sync_sio_namespace.h"
#include "sync_eio.h"
#include "sync_ws.h"


static size_t sync_sio_place(const u_char *p, const u_char *last);
static void sync_sio_write_renamed(sync_writer_t *w, const u_char *p,
    size_t place, const u_char *last, const sync_str_t *nsp);


void
sync_sio_rename_payload(sync_writer_t *w, const u_char *p,
    const u_char *last, const sync_str_t *nsp)
{
    const u_char  *end;

    while (p < last) {
        end = memchr(p, SYNC_EIO_SEPARATOR, last - p);

        if (end == NULL) {
            end = last;
        }

        sync_sio_write_renamed(w, p, sync_sio_place(p, end), end, nsp);

        if (end == last) {
            return;
        }

        sync_write_byte(w, SYNC_EIO_SEPARATOR);
        p = end + 1;
    }
}


void
sync_sio_rename_frames(sync_writer_t *w, const u_char *p,
    const u_char *last, const sync_str_t *nsp)
{
    size_t         place;
    u_char        *end;
    u_char         first, buf[SYNC_WS_SERVER_HEADER_MAX];
    ssize_t        n;
    uint64_t       len, more;

    while (p < last) {
        first = *p;
        n = sync_ws_parse_server_header(&len, p, last);

        if (n < 0 || len > (uint64_t) (last - p - n)) {
            sync_write(w, p, last - p);
            return;
        }

        p += n;
        place = (first == (SYNC_WS_FIN|SYNC_WS_TEXT))
                ? sync_sio_place(p, p + len) : 0;

        more = place ? nsp->len + 1 : 0;

        end = sync_ws_write_header(buf, first, len + more);
        sync_write(w, buf, end - buf);

        sync_sio_write_renamed(w, p, place, p + len, nsp);
        p += len;
    }
}


static void
sync_sio_write_renamed(sync_writer_t *w, const u_char *p, size_t place,
    const u_char *last, const sync_str_t *nsp)
{
    if (place) {
        sync_write(w, p, place);
        sync_write_str(w, nsp);
        sync_write_byte(w, ',');
    }

    sync_write(w, p + place, last - p - place);
}


/*
 * The bytes before the place of the namespace: the type of a message and of
 * its packet, the number of attachments.  0: it has no such place.
 */

static size_t
sync_sio_place(const u_char *p, const u_char *last)
{
    const u_char  *dash;

    if (last - p < 2 || p[0] != '4' || p[1] < '0' || p[1] > '6') {
        return 0;
    }

    if (p[1] < '5') {
        return 2;
    }

    dash = memchr(p, '-', last - p);

    return dash ? (size_t) (dash + 1 - p) : 0;
}
