
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_reply.h>
#include <sync_eio_client.h>
#include <sync_fanout.h>
#include <sync_publish.h>


#define SYNC_REPLY_BUFFER  4096         /* bytes, at first */
#define SYNC_REPLY_KEEP    65536        /* bytes kept for the next text */

#define SYNC_REPLY_NUMBER  32           /* bytes, of a responseIndex */


/* The text being written, and whom else it answers. */

typedef struct {
    u_char   *buf;
    size_t    size;
    size_t    args;                     /* where the argument begins */
    size_t    number_len;
    uint64_t  want;                     /* by the packet that is served */
    u_char    number[NGX_INT64_LEN];
    unsigned  grown:1;
    unsigned  wanted:1;
    unsigned  ack:1;
    unsigned  mute:1;                   /* for the acknowledgement alone */
} sync_reply_t;


static void sync_reply_number(sync_saying_t *s);


static sync_reply_t  sync_reply;


void
sync_reply_text(sync_writer_t *w)
{
    u_char  *p;

    sync_reply.ack = 0;
    sync_reply.mute = 0;

    if (sync_reply.size > SYNC_REPLY_KEEP && !sync_reply.grown) {
        ngx_free(sync_reply.buf);
        sync_reply.buf = NULL;
        sync_reply.size = 0;
    }

    sync_reply.grown = 0;

    if (sync_reply.buf == NULL) {
        p = ngx_alloc(SYNC_REPLY_BUFFER, ngx_cycle->log);
        if (p) {
            sync_reply.buf = p;
            sync_reply.size = SYNC_REPLY_BUFFER;
        }
    }

    sync_writer_init(w, sync_reply.buf, sync_reply.size);
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

    if (sync_reply.buf) {
        ngx_free(sync_reply.buf);
    }

    sync_reply.buf = p;
    sync_reply.size = w->len;
    sync_reply.grown = 1;

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
    sync_str_t  none;

    none.len = 0;

    sync_reply_rooms_and(c, event, index, &none);
}


void
sync_reply_rooms_and(sync_client_t *c, const char *event, sync_str_t *index,
    sync_str_t *more)
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

        sync_write_byte(&w, ']');

        if (more->len) {
            sync_write_byte(&w, ',');
            sync_write_str(&w, more);
        }

        sync_write_literal(&w, "}]");

    } while (sync_reply_again(&w));

    ngx_free(rooms);

    sync_reply_send(c, &w);
}


/* ["<event>-<index>", */

void
sync_reply_write_event(sync_writer_t *w, const char *event,
    sync_str_t *index)
{
    size_t   len, n;
    u_char  *p, *last;

    last = index->data + index->len;
    p = ngx_strlchr(index->data, last, '#');
    len = p ? (size_t) (p - index->data) : index->len;

    sync_write_literal(w, "[\"");
    sync_write(w, (u_char *) event, ngx_strlen(event));
    sync_write_byte(w, '-');
    sync_write(w, index->data, len);
    sync_write_literal(w, "\",");

    if (p == NULL) {
        return;
    }

    sync_reply.mute = (len == 0);

    /* what comes before the answer is not it */

    if (ngx_strcmp(event, "sync-progress") == 0
        || ngx_strcmp(event, "apiStream") == 0)
    {
        return;
    }

    sync_reply.ack = 1;
    sync_reply.args = w->len;
    n = last - p - 1;
    sync_reply.number_len = ngx_min(n, NGX_INT64_LEN);
    ngx_memcpy(sync_reply.number, p + 1, sync_reply.number_len);
}


void
sync_reply_send(sync_client_t *c, sync_writer_t *w)
{
    u_char     *p, buf[NGX_INT64_LEN + 3];
    sync_str_t  text, head;

    if (w->len == 0) {
        return;
    }

    if (!sync_reply.mute) {
        sync_reply_str(&text, w);

        (void) sync_client_send(c, &text);
    }

    if (!sync_reply.ack || c->closing) {
        return;
    }

    p = ngx_cpymem(buf, "43", 2);
    p = ngx_cpymem(p, sync_reply.number, sync_reply.number_len);
    *p++ = '[';

    head.data = buf;
    head.len = p - buf;
    text.data = w->start + sync_reply.args;
    text.len = w->len - sync_reply.args;

    sync_eio_client_say(c, &head, &text);
}


void
sync_reply_publish(sync_main_settings_t *main, const u_char *id,
    sync_writer_t *w)
{
    sync_saying_t  s;

    if (w->len == 0) {
        return;
    }

    ngx_memzero(&s, sizeof(sync_saying_t));

    /* a full zone tells nobody */

    if (!sync_reply.mute) {
        sync_reply_str(&s.json, w);

        (void) sync_publish_reply(main, id, &s);
    }

    if (sync_reply.ack) {
        sync_reply_str(&s.json, w);
        sync_reply_number(&s);

        (void) sync_publish_reply(main, id, &s);
    }
}


sync_saying_t *
sync_reply_keep(sync_saying_t *s, sync_writer_t *w, ngx_pool_t *pool)
{
    u_char         *p;
    sync_saying_t  *first, **next;

    first = NULL;
    next = &first;

    ngx_memzero(s, SYNC_REPLY_MAX * sizeof(sync_saying_t));

    p = w->len ? ngx_pnalloc(pool, 2 * w->len) : NULL;

    if (p == NULL) {
        return NULL;
    }

    if (!sync_reply.mute) {
        s->json.data = p;
        s->json.len = w->len;
        p = ngx_cpymem(p, w->start, w->len);

        *next = s;
        next = &s->reply;
        s++;
    }

    if (sync_reply.ack) {
        s->json.data = p;
        s->json.len = w->len;
        ngx_memcpy(p, w->start, w->len);

        sync_reply_number(s);
        *next = s;
    }

    return first;
}


/*
 * Makes an acknowledgement of a text: the bracket takes the place of the comma
 * before the argument.
 */

static void
sync_reply_number(sync_saying_t *s)
{
    s->json.data += sync_reply.args - 1;
    s->json.len -= sync_reply.args - 1;
    s->json.data[0] = '[';

    s->flags = SYNC_FRAME_REPLY;
    s->ack = ngx_atoi(sync_reply.number, sync_reply.number_len) + 1;
}


void
sync_reply_want(uint64_t *number)
{
    sync_reply.wanted = (number != NULL);

    if (number) {
        sync_reply.want = *number;
    }
}


ngx_int_t
sync_reply_index(sync_str_t *index, sync_json_t *arg, u_char *buf)
{
    u_char      *p;
    int64_t      n;
    sync_int_t   rc;
    sync_json_t  v;

    p = buf;

    if (arg && sync_json_get(&v, arg, "responseIndex") == SYNC_OK) {

        rc = sync_json_int64(&n, &v);

        if (rc == SYNC_OK) {
            p = ngx_sprintf(p, "%L", n);

        } else if (rc == SYNC_DECLINED && v.raw.len <= SYNC_REPLY_NUMBER) {

            /* a fraction, or beyond 64 bits: as the client wrote it */

            p = ngx_cpymem(p, v.raw.data, v.raw.len);
        }
    }

    if (sync_reply.wanted) {
        p = ngx_sprintf(p, "#%uL", sync_reply.want);
    }

    index->data = buf;
    index->len = p - buf;

    return index->len ? SYNC_OK : SYNC_DECLINED;
}
