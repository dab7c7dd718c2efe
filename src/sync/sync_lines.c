
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_lines.h>


#define SYNC_LINES_BUFFER  4096         /* bytes for a line, at first */


static ngx_int_t sync_lines_take(sync_lines_t *l, sync_str_t *text);
static ngx_int_t sync_lines_grow(sync_lines_t *l);
static ngx_int_t sync_lines_keep(sync_lines_t *l, sync_str_t *text,
    sync_str_t *in);


void
sync_lines_init(sync_lines_t *l, size_t max, sync_lines_pt handler,
    void *data)
{
    ngx_memzero(l, sizeof(sync_lines_t));

    l->handler = handler;
    l->data = data;

    sync_ndjson_init(&l->ndjson, max);
}


void
sync_lines_done(sync_lines_t *l)
{
    if (l->buf) {
        ngx_free(l->buf);
    }

    if (l->kept) {
        ngx_free(l->kept);
    }
}


ngx_int_t
sync_lines_read(sync_lines_t *l, u_char *p, size_t len)
{
    ngx_int_t   rc, held;
    sync_str_t  in, text;

    in.data = p;
    in.len = len;

    held = SYNC_OK;

    do {
        rc = sync_ndjson_next(&l->ndjson, &text, &in);

        if (rc == SYNC_OK) {
            rc = sync_lines_take(l, &text);

            if (rc == SYNC_BUSY) {
                return sync_lines_keep(l, &text, &in);
            }

            if (rc == SYNC_AGAIN) {
                held = SYNC_AGAIN;
                rc = SYNC_OK;
            }

        } else if (rc == SYNC_BUSY) {
            rc = sync_lines_grow(l);

        } else if (rc == SYNC_ERROR) {
            l->n++;
            l->fault = "size";
        }

    } while (rc == SYNC_OK);

    return (rc == SYNC_AGAIN) ? held : rc;
}


ngx_int_t
sync_lines_again(sync_lines_t *l)
{
    sync_str_t  in;

    in = l->rest;
    l->rest.len = 0;

    return sync_lines_read(l, in.data, in.len);
}


ngx_int_t
sync_lines_end(sync_lines_t *l)
{
    ngx_int_t   rc;
    sync_str_t  in, text;

    rc = sync_ndjson_last(&l->ndjson, &text);

    if (rc == SYNC_OK) {
        rc = sync_lines_take(l, &text);

        if (rc == SYNC_BUSY) {
            in.data = NULL;
            in.len = 0;

            return sync_lines_keep(l, &text, &in);
        }

        return (rc == SYNC_AGAIN) ? SYNC_OK : rc;
    }

    if (rc == SYNC_ERROR) {
        l->n++;
        l->fault = "size";
        return SYNC_ERROR;
    }

    return SYNC_OK;
}


static ngx_int_t
sync_lines_take(sync_lines_t *l, sync_str_t *text)
{
    sync_json_t  v;

    l->n++;

    if (sync_json_parse(&v, text, NULL) != SYNC_OK) {
        l->fault = "json";
        return SYNC_ERROR;
    }

    return l->handler(l->data, &v);
}


/* Returns SYNC_OK or SYNC_DECLINED (memory). */

static ngx_int_t
sync_lines_grow(sync_lines_t *l)
{
    size_t   size;
    u_char  *p;

    size = ngx_max(2 * l->ndjson.need, SYNC_LINES_BUFFER);
    size = ngx_min(size, l->ndjson.max + 1);

    p = ngx_alloc(size, ngx_cycle->log);
    if (p == NULL) {
        return SYNC_DECLINED;
    }

    sync_ndjson_set_buffer(&l->ndjson, p, size);

    if (l->buf) {
        ngx_free(l->buf);
    }

    l->buf = p;

    return SYNC_OK;
}


/* Returns SYNC_AGAIN, or SYNC_DECLINED (memory). */

static ngx_int_t
sync_lines_keep(sync_lines_t *l, sync_str_t *text, sync_str_t *in)
{
    size_t   len;
    u_char  *p;

    l->n--;

    if (l->kept && text->data >= l->kept && text->data < l->kept + l->size) {

        /* it waited before, and what is behind it stands there as well */

        l->rest.data = text->data;
        l->rest.len = in->data + in->len - text->data;

        return SYNC_AGAIN;
    }

    len = text->len + 1 + in->len;

    if (len > l->size) {

        p = ngx_alloc(len, ngx_cycle->log);
        if (p == NULL) {
            return SYNC_DECLINED;
        }

        if (l->kept) {
            ngx_free(l->kept);
        }

        l->kept = p;
        l->size = len;
    }

    p = ngx_cpymem(l->kept, text->data, text->len);
    *p++ = '\n';

    if (in->len) {
        ngx_memcpy(p, in->data, in->len);
    }

    l->rest.data = l->kept;
    l->rest.len = len;

    return SYNC_AGAIN;
}
