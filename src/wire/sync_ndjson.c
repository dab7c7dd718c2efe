
/*
 * Copyright (C) sync for nginx
 */


#include "sync_ndjson.h"


static sync_int_t sync_ndjson_trim(sync_ndjson_t *n, sync_str_t *line);


void
sync_ndjson_init(sync_ndjson_t *n, size_t max)
{
    memset(n, 0, sizeof(sync_ndjson_t));

    n->max = max;
}


void
sync_ndjson_set_buffer(sync_ndjson_t *n, u_char *buf, size_t size)
{
    if (n->len) {
        memcpy(buf, n->buf, n->len);
    }

    n->buf = buf;
    n->size = size;
}


sync_int_t
sync_ndjson_next(sync_ndjson_t *n, sync_str_t *line, sync_str_t *in)
{
    size_t       len;
    u_char      *p;
    sync_int_t   rc;

    if (n->given) {
        n->given = 0;
        n->len = 0;
    }

    while (in->len) {
        p = memchr(in->data, '\n', in->len);
        len = p ? (size_t) (p - in->data) : in->len;

        /* a CR is on top of the limit */

        if (len > n->max + 1 - n->len) {
            return SYNC_ERROR;
        }

        if (p && n->len == 0) {
            line->data = in->data;
            line->len = len;

        } else {

            if (len > n->size - n->len) {
                n->need = n->len + len;
                return SYNC_BUSY;
            }

            memcpy(n->buf + n->len, in->data, len);
            n->len += len;

            line->data = n->buf;
            line->len = n->len;
        }

        in->data += len;
        in->len -= len;

        if (p == NULL) {
            break;
        }

        in->data++;
        in->len--;

        rc = sync_ndjson_trim(n, line);

        if (rc == SYNC_DECLINED) {
            n->len = 0;
            continue;
        }

        n->given = 1;

        return rc;
    }

    return SYNC_AGAIN;
}


sync_int_t
sync_ndjson_last(sync_ndjson_t *n, sync_str_t *line)
{
    sync_int_t  rc;

    if (n->given || n->len == 0) {
        return SYNC_DECLINED;
    }

    line->data = n->buf;
    line->len = n->len;

    rc = sync_ndjson_trim(n, line);

    n->given = 1;

    return rc;
}


static sync_int_t
sync_ndjson_trim(sync_ndjson_t *n, sync_str_t *line)
{
    if (line->len && line->data[line->len - 1] == '\r') {
        line->len--;
    }

    if (line->len == 0) {
        return SYNC_DECLINED;
    }

    return (line->len <= n->max) ? SYNC_OK : SYNC_ERROR;
}
