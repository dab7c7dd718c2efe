
/*
 * Copyright (C) sync for nginx
 */


#include "sync_writer.h"


void
sync_write(sync_writer_t *w, const u_char *p, size_t len)
{
    size_t  n;

    if (w->len < w->size) {
        n = w->size - w->len;

        if (n > len) {
            n = len;
        }

        if (n) {
            memcpy(w->start + w->len, p, n);
        }
    }

    w->len += len;
}


void
sync_write_byte(sync_writer_t *w, u_char ch)
{
    if (w->len < w->size) {
        w->start[w->len] = ch;
    }

    w->len++;
}


void
sync_write_int(sync_writer_t *w, int64_t n)
{
    u_char    *p;
    u_char     buf[sizeof("-9223372036854775808") - 1];
    uint64_t   u;

    u = (n < 0) ? 0 - (uint64_t) n : (uint64_t) n;
    p = buf + sizeof(buf);

    do {
        *--p = '0' + u % 10;
        u /= 10;
    } while (u);

    if (n < 0) {
        *--p = '-';
    }

    sync_write(w, p, buf + sizeof(buf) - p);
}
