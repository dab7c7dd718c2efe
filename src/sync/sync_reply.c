
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_reply.h>
#include <sync_fanout.h>


#define SYNC_REPLY_BUFFER  4096         /* bytes, at first */
#define SYNC_REPLY_KEEP    65536        /* bytes kept for the next text */

static u_char      *sync_reply_buf;
static size_t       sync_reply_size;
static ngx_uint_t   sync_reply_grown;


void
sync_reply_text(sync_writer_t *w)
{
    u_char  *p;

    if (sync_reply_size > SYNC_REPLY_KEEP && !sync_reply_grown) {
        ngx_free(sync_reply_buf);
        sync_reply_buf = NULL;
        sync_reply_size = 0;
    }

    sync_reply_grown = 0;

    if (sync_reply_buf == NULL) {
        p = ngx_alloc(SYNC_REPLY_BUFFER, ngx_cycle->log);
        if (p) {
            sync_reply_buf = p;
            sync_reply_size = SYNC_REPLY_BUFFER;
        }
    }

    sync_writer_init(w, sync_reply_buf, sync_reply_size);
}


ngx_uint_t
sync_reply_again(sync_writer_t *w)
{
    u_char  *p;

    if (sync_writer_fits(w)) {
        return 0;
    }

    p = ngx_alloc(w->len, ngx_cycle->log);

    if (p == NULL) {
        w->len = 0;
        return 0;
    }

    if (sync_reply_buf) {
        ngx_free(sync_reply_buf);
    }

    sync_reply_buf = p;
    sync_reply_size = w->len;
    sync_reply_grown = 1;

    return 1;
}


void
sync_reply_write_error(sync_writer_t *w, sync_reply_error_t *e)
{
    sync_write_literal(w, "{\"status\":\"error\",\"message\":");
    sync_json_write_str(w, &e->code);
    sync_write_literal(w, ",\"errorCode\":");
    sync_json_write_str(w, &e->code);

    if (e->params.len) {
        sync_write_literal(w, ",\"errorParams\":");
        sync_write_str(w, &e->params);
    }

    sync_write_literal(w, ",\"httpStatus\":");
    sync_write_int(w, e->status);
    sync_write_byte(w, '}');
}


void
sync_reply_error(sync_client_t *c, const char *event, sync_str_t *index,
    sync_reply_error_t *e)
{
    sync_writer_t  w;

    if (index->len == 0) {
        return;
    }

    do {
        sync_reply_text(&w);
        sync_reply_write_event(&w, event, index);
        sync_reply_write_error(&w, e);
        sync_write_byte(&w, ']');

    } while (sync_reply_again(&w));

    sync_reply_send(c, &w);
}


void
sync_reply_bare_error(sync_client_t *c, const char *event,
    sync_reply_error_t *e)
{
    sync_writer_t  w;

    do {
        sync_reply_text(&w);
        sync_write_literal(&w, "[\"");
        sync_write(&w, (u_char *) event, ngx_strlen(event));
        sync_write_literal(&w, "\",");
        sync_reply_write_error(&w, e);
        sync_write_byte(&w, ']');

    } while (sync_reply_again(&w));

    sync_reply_send(c, &w);
}


void
sync_reply_code(sync_client_t *c, const char *event, sync_str_t *index,
    const char *code, ngx_uint_t status)
{
    sync_reply_error_t  e;

    e.code.data = (u_char *) code;
    e.code.len = ngx_strlen(code);
    e.params.len = 0;
    e.status = status;

    sync_reply_error(c, event, index, &e);
}


void
sync_reply_rooms(sync_client_t *c, const char *event, sync_str_t *index)
{
    ngx_uint_t     i, n;
    sync_str_t    *rooms;
    sync_writer_t  w;

    n = sync_registry_rooms(c->record);

    rooms = ngx_alloc((n + 1) * sizeof(sync_str_t), ngx_cycle->log);
    if (rooms == NULL) {
        return;
    }

    (void) sync_fanout_rooms(c, rooms, n);

    do {
        sync_reply_text(&w);
        sync_reply_write_event(&w, event, index);
        sync_write_literal(&w, "{\"rooms\":[");

        for (i = 0; i < n; i++) {
            if (i) {
                sync_write_byte(&w, ',');
            }

            sync_json_write_str(&w, &rooms[i]);
        }

        sync_write_literal(&w, "]}]");

    } while (sync_reply_again(&w));

    ngx_free(rooms);

    sync_reply_send(c, &w);
}


/* ["<event>-<index>", */

void
sync_reply_write_event(sync_writer_t *w, const char *event,
    sync_str_t *index)
{
    sync_write_literal(w, "[\"");
    sync_write(w, (u_char *) event, ngx_strlen(event));
    sync_write_byte(w, '-');
    sync_write_str(w, index);
    sync_write_literal(w, "\",");
}


void
sync_reply_send(sync_client_t *c, sync_writer_t *w)
{
    sync_str_t  text;

    if (w->len == 0) {
        return;
    }

    sync_reply_str(&text, w);

    (void) sync_client_send(c, &text);
}


ngx_int_t
sync_reply_index(sync_str_t *index, sync_json_t *v, u_char *buf)
{
    int64_t     n;
    sync_int_t  rc;

    rc = sync_json_int64(&n, v);

    if (rc == SYNC_ERROR) {
        return SYNC_DECLINED;
    }

    if (rc == SYNC_OK) {
        index->data = buf;
        index->len = ngx_sprintf(buf, "%L", n) - buf;
        return SYNC_OK;
    }

    /* a fraction, or beyond 64 bits: as the client wrote it */

    if (v->raw.len > SYNC_INDEX_MAX) {
        return SYNC_DECLINED;
    }

    *index = v->raw;

    return SYNC_OK;
}
