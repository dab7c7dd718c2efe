
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_frame.h>
#include <sync_deflate.h>
#include <sync_eio.h>
#include <sync_json.h>
#include <sync_position.h>
#include <sync_registry.h>
#include <sync_sse.h>
#include <sync_ws.h>
#include <sync_writer.h>


/*
 * A run is framed in two passes over the same entries: the first asks what
 * each needs at most, the second writes.  Both call one function, which
 * only measures if it has no place to write to.
 */


#define SYNC_FRAME_TAIL_MAX                                                   \
    (sizeof(",{\"room\":\"\",\"pos\":\"\",\"ack\":},\"\"]")                   \
     + SYNC_NAME_MAX * 6 + 2 * SYNC_POSITION_LEN + NGX_INT64_LEN)


/* What stands around the entries of a run. */

typedef struct {
    sync_dialect_e         dialect;
    sync_str_t            *name;
    ngx_uint_t             recoverable;
    sync_frame_deflate_t  *deflate;
} sync_frame_t;


static sync_run_t *sync_frame_alloc(ngx_uint_t n, size_t len);
static ssize_t sync_frame_entry(sync_frame_t *f, u_char *dst,
    sync_entry_t *e);
static size_t sync_frame_tail(sync_frame_t *f, u_char *tail,
    sync_entry_t *e);
static void sync_frame_offset(sync_frame_t *f, sync_writer_t *w,
    sync_str_t *pos);
static size_t sync_frame_event_packet(sync_dialect_e dialect, u_char *dst,
    uint64_t ack, sync_str_t *json, sync_str_t *tail);
static size_t sync_frame_text(u_char *dst, sync_str_t *json,
    sync_str_t *tail, sync_frame_deflate_t *deflate);
static ssize_t sync_frame_deflated(u_char *dst, sync_str_t *json,
    sync_str_t *tail, sync_frame_deflate_t *deflate);
static sync_deflate_t *sync_frame_deflater(ngx_int_t level);
static ssize_t sync_frame_channel(sync_frame_t *f, u_char *dst,
    sync_entry_t *e);
static size_t sync_frame_event(sync_dialect_e dialect, u_char *dst,
    sync_str_t *id, sync_str_t *event, sync_str_t *data);
static void sync_frame_write_event(sync_writer_t *w, sync_str_t *id,
    sync_str_t *event, sync_str_t *data);
static void sync_frame_data(sync_str_t *data, sync_str_t *json,
    size_t event_len);
static size_t sync_frame_event_len(sync_str_t *json);
static u_char *sync_frame_scratch(size_t size);


sync_run_t *
sync_run_create(size_t len)
{
    sync_run_t  *run;

    run = sync_frame_alloc(1, len);
    if (run == NULL) {
        return NULL;
    }

    run->len = len;
    run->ends[0] = len;

    return run;
}


static sync_run_t *
sync_frame_alloc(ngx_uint_t n, size_t len)
{
    size_t       head;
    sync_run_t  *run;

    head = offsetof(sync_run_t, ends) + n * sizeof(uint32_t);

    if (len > NGX_MAX_UINT32_VALUE) {
        return NULL;
    }

    run = ngx_alloc(head + len, ngx_cycle->log);
    if (run == NULL) {
        return NULL;
    }

    run->refs = 1;
    run->len = 0;
    run->n = n;
    run->data = (u_char *) run + head;

    return run;
}


void
sync_run_unref(sync_run_t *run)
{
    if (--run->refs == 0) {
        ngx_free(run);
    }
}


sync_run_t *
sync_frame_entries(sync_dialect_e dialect, u_char *p, size_t len,
    ngx_uint_t n, sync_str_t *name, ngx_uint_t recoverable,
    sync_frame_deflate_t *deflate)
{
    size_t         total;
    ssize_t        size;
    ngx_uint_t     i;
    sync_run_t    *run;
    sync_entry_t  *e, *last;
    sync_frame_t   f;

    f.dialect = dialect;
    f.name = name;
    f.recoverable = recoverable;
    f.deflate = deflate;

    total = 0;
    last = (sync_entry_t *) (p + len);

    for (e = (sync_entry_t *) p; e < last; e = sync_entry_next(e)) {
        size = sync_frame_entry(&f, NULL, e);
        if (size < 0) {
            return NULL;
        }

        total += size;
    }

    run = sync_frame_alloc(n, total);
    if (run == NULL) {
        return NULL;
    }

    e = (sync_entry_t *) p;

    for (i = 0; i < n; i++) {
        size = sync_frame_entry(&f, run->data + run->len, e);
        if (size < 0) {
            sync_run_unref(run);
            return NULL;
        }

        run->len += size;
        run->ends[i] = run->len;

        e = sync_entry_next(e);
    }

    return run;
}


/*
 * Writes one entry to dst and returns its length, or, with no dst, how long
 * it may become; SYNC_ERROR if there is no memory.
 */

static ssize_t
sync_frame_entry(sync_frame_t *f, u_char *dst, sync_entry_t *e)
{
    u_char      buf[SYNC_FRAME_TAIL_MAX];
    sync_str_t  json, tail;

    if (f->dialect == SYNC_DIALECT_SSE
        || f->dialect == SYNC_DIALECT_SSE_RAW)
    {
        return sync_frame_channel(f, dst, e);
    }

    json.data = sync_entry_json(e);
    json.len = e->len;

    tail.data = buf;
    tail.len = sync_frame_tail(f, buf, e);

    if (f->dialect == SYNC_DIALECT_SIO || f->dialect == SYNC_DIALECT_EIO) {

        if (e->flags & SYNC_FRAME_BINARY) {
            return sync_frame_binary_event(f->dialect, dst, sync_entry_ack(e),
                                           &json, &tail);
        }

        if (tail.len) {
            json.len--;
        }

        return sync_frame_event_packet(f->dialect, dst, sync_entry_ack(e),
                                       &json, &tail);
    }

    if (tail.len) {
        json.len--;
    }

    return sync_frame_text(dst, &json, &tail,
                           f->dialect == SYNC_DIALECT_WS_DEFLATE ? f->deflate
                                                                 : NULL);
}


/* What replaces the array's closing bracket, if anything does. */

static size_t
sync_frame_tail(sync_frame_t *f, u_char *tail, sync_entry_t *e)
{
    u_char           buf[SYNC_POSITION_LEN];
    uint64_t         ack;
    sync_str_t       room, pos;
    sync_writer_t    w;
    sync_position_t  position;

    pos.len = 0;

    if (f->recoverable) {
        position.lsn = e->lsn;
        position.nonce = e->nonce;

        pos.data = buf;
        pos.len = sync_position_print(buf, &position) - buf;
    }

    sync_writer_init(&w, tail, SYNC_FRAME_TAIL_MAX);

    if (e->kind == SYNC_ENTRY_GAP) {
        sync_frame_offset(f, &w, &pos);
        return w.len;
    }

    /* Socket.IO has a place of its own for the number */

    ack = (f->dialect == SYNC_DIALECT_WS
           || f->dialect == SYNC_DIALECT_WS_DEFLATE) ? sync_entry_ack(e) : 0;

    if (!f->recoverable && !(e->flags & SYNC_FRAME_ROOM)) {

        if (ack == 0) {
            return 0;
        }

        return ngx_sprintf(tail, ",{\"ack\":%uL}]", ack) - tail;
    }

    room = *f->name;

    if (e->subject_len) {
        room.data = sync_entry_subject(e);
        room.len = e->subject_len;
    }

    sync_write_literal(&w, ",{\"room\":");
    sync_json_write_str(&w, &room);

    if (pos.len) {
        sync_write_literal(&w, ",\"pos\":\"");
        sync_write_str(&w, &pos);
        sync_write_byte(&w, '"');
    }

    if (ack) {
        sync_write_literal(&w, ",\"ack\":");
        sync_write_int(&w, (int64_t) ack);
    }

    sync_write_byte(&w, '}');

    if (pos.len) {
        sync_frame_offset(f, &w, &pos);

    } else {
        sync_write_byte(&w, ']');
    }

    return w.len;
}


/*
 * A client of Socket.IO keeps the last argument of an event, if it is a
 * string, and hands it back when it connects again.
 */

static void
sync_frame_offset(sync_frame_t *f, sync_writer_t *w, sync_str_t *pos)
{
    if (f->dialect == SYNC_DIALECT_SIO || f->dialect == SYNC_DIALECT_EIO) {
        sync_write_literal(w, ",\"");
        sync_write_str(w, pos);
        sync_write_byte(w, '"');
    }

    sync_write_byte(w, ']');
}


/* "42", the id if an acknowledgement is asked for, and the array. */

static size_t
sync_frame_event_packet(sync_dialect_e dialect, u_char *dst, uint64_t ack,
    sync_str_t *json, sync_str_t *tail)
{
    size_t   len, n;
    u_char  *p, head[2 + NGX_INT64_LEN];

    p = ngx_cpymem(head, "42", 2);

    if (ack) {
        p = ngx_sprintf(p, "%uL", ack);
    }

    n = p - head;
    len = n + json->len + tail->len;

    if (dst == NULL) {
        return (dialect == SYNC_DIALECT_EIO) ? len + 1
                                             : sync_ws_header_len(len) + len;
    }

    p = dst;

    if (dialect == SYNC_DIALECT_SIO) {
        p = sync_ws_write_header(p, SYNC_WS_FIN|SYNC_WS_TEXT, len);
    }

    p = ngx_cpymem(p, head, n);
    p = ngx_cpymem(p, json->data, json->len);
    p = ngx_cpymem(p, tail->data, tail->len);

    if (dialect == SYNC_DIALECT_EIO) {
        *p++ = SYNC_EIO_SEPARATOR;
    }

    return p - dst;
}


/* A text frame of json and tail, deflated if that makes it shorter. */

static size_t
sync_frame_text(u_char *dst, sync_str_t *json, sync_str_t *tail,
    sync_frame_deflate_t *deflate)
{
    size_t   len;
    u_char  *p;
    ssize_t  n;

    len = json->len + tail->len;

    if (dst == NULL) {
        return sync_ws_header_len(len) + len;
    }

    if (deflate && len >= deflate->min) {
        n = sync_frame_deflated(dst, json, tail, deflate);

        if (n > 0) {
            return n;
        }
    }

    p = sync_ws_write_header(dst, SYNC_WS_FIN|SYNC_WS_TEXT, len);
    p = ngx_cpymem(p, json->data, json->len);
    p = ngx_cpymem(p, tail->data, tail->len);

    return p - dst;
}


/* Returns SYNC_DECLINED if the message has to go as it is. */

static ssize_t
sync_frame_deflated(u_char *dst, sync_str_t *json, sync_str_t *tail,
    sync_frame_deflate_t *deflate)
{
    size_t           len;
    u_char          *p, *payload;
    ssize_t          n;
    sync_deflate_t  *d;

    d = sync_frame_deflater(deflate->level);
    if (d == NULL) {
        return SYNC_DECLINED;
    }

    len = json->len + tail->len;
    p = json->data;

    if (tail->len) {
        p = sync_frame_scratch(len);
        if (p == NULL) {
            return SYNC_DECLINED;
        }

        ngx_memcpy(p, json->data, json->len);
        ngx_memcpy(p + json->len, tail->data, tail->len);
    }

    payload = dst + sync_ws_header_len(len);

    n = sync_deflate_message(d, payload, len, p, len);

    if (n < 0) {
        return SYNC_DECLINED;
    }

    /* the header is shorter if the length is */

    p = sync_ws_write_header(dst, SYNC_WS_FIN|SYNC_WS_RSV1|SYNC_WS_TEXT, n);

    if (p != payload) {
        ngx_memmove(p, payload, n);
    }

    return p + n - dst;
}


/* One a worker; made anew where locations differ in their levels. */

static sync_deflate_t *
sync_frame_deflater(ngx_int_t level)
{
    static ngx_int_t       current;
    static sync_deflate_t  deflate;

    if (current == level) {
        return &deflate;
    }

    if (current) {
        sync_deflate_done(&deflate);
        current = 0;
    }

    if (sync_deflate_init(&deflate, level, Z_NULL, Z_NULL, NULL) != SYNC_OK) {
        return NULL;
    }

    current = level;

    return &deflate;
}


/* An event of a room: {"channel":...,"data":...,"timestamp":...}. */

static ssize_t
sync_frame_channel(sync_frame_t *f, u_char *dst, sync_entry_t *e)
{
    size_t           size;
    u_char          *p, pos[SYNC_POSITION_LEN], text[SYNC_ID_TEXT];
    sync_str_t       json, event, data, room, id;
    sync_writer_t    w;
    sync_position_t  position;

    json.data = sync_entry_json(e);
    json.len = e->len;

    event.data = json.data + 1;
    event.len = e->event_len;

    sync_frame_data(&data, &json, e->event_len);

    room = *f->name;

    if (e->subject_len) {
        room.data = sync_entry_subject(e);
        room.len = e->subject_len;
    }

    if (e->kind == SYNC_ENTRY_CLIENT) {

        /* its own, of which it is the only one to hear */

        sync_registry_print_id(text, room.data);
        room.data = text;
        room.len = SYNC_ID_TEXT;
    }

    size = sizeof("{\"channel\":\"\",\"data\":[],\"timestamp\":}")
           + NGX_INT64_LEN + room.len * 6 + data.len;

    p = sync_frame_scratch(size);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    sync_writer_init(&w, p, size);

    sync_write_literal(&w, "{\"channel\":");
    sync_json_write_str(&w, &room);
    sync_write_literal(&w, ",\"data\":");

    if (e->flags & SYNC_FRAME_ARGS) {
        sync_write_byte(&w, '[');
        sync_write_str(&w, &data);
        sync_write_byte(&w, ']');

    } else {
        sync_write_str(&w, &data);
    }

    sync_write_literal(&w, ",\"timestamp\":");
    sync_write_int(&w, e->time);
    sync_write_byte(&w, '}');

    data.data = p;
    data.len = w.len;

    id.len = 0;
    id.data = pos;

    if (f->recoverable) {
        position.lsn = e->lsn;
        position.nonce = e->nonce;
        id.len = sync_position_print(pos, &position) - pos;
    }

    if (e->kind == SYNC_ENTRY_POSITION) {

        /* the browser keeps the id, and there is no event */

        data.len = 0;
        event.len = 0;
    }

    return sync_frame_event(f->dialect, dst, &id, &event, &data);
}


/* An event of the stream, as a chunk where the dialect has chunks. */

static size_t
sync_frame_event(sync_dialect_e dialect, u_char *dst, sync_str_t *id,
    sync_str_t *event, sync_str_t *data)
{
    u_char         *p, head[NGX_INT64_LEN];
    size_t          len, size;
    sync_writer_t   w;

    sync_writer_init(&w, NULL, 0);
    sync_frame_write_event(&w, id, event, data);

    len = w.len;
    size = 0;

    if (dialect == SYNC_DIALECT_SSE) {
        size = ngx_sprintf(head, "%xz" CRLF, len) - head;
    }

    if (dst) {
        p = ngx_cpymem(dst, head, size);

        sync_writer_init(&w, p, len);
        sync_frame_write_event(&w, id, event, data);

        if (size) {
            ngx_memcpy(p + len, CRLF, sizeof(CRLF) - 1);
        }
    }

    if (size) {
        size += sizeof(CRLF) - 1;
    }

    return size + len;
}


static void
sync_frame_write_event(sync_writer_t *w, sync_str_t *id, sync_str_t *event,
    sync_str_t *data)
{
    u_char       buf[SYNC_EVENT_MAX];
    sync_str_t   name;
    sync_json_t  v;

    if (id->len) {
        sync_sse_write_id(w, id);
    }

    if (event->len == 0) {
        sync_sse_write_end(w);
        return;
    }

    v.raw = *event;
    v.type = SYNC_JSON_STRING;

    if (sync_json_string(&name, &v, buf, sizeof(buf)) == SYNC_OK
        && name.len
        && !sync_str_is(&name, "message"))
    {
        sync_sse_write_event(w, &name);
    }

    sync_sse_write_data(w, data->data, data->len);
    sync_sse_write_end(w);
}


/* What stands between the event's name and the closing bracket. */

static void
sync_frame_data(sync_str_t *data, sync_str_t *json, size_t event_len)
{
    if (json->len > event_len + 3) {
        data->data = json->data + event_len + 2;
        data->len = json->len - event_len - 3;

    } else {
        sync_str_set(data, "null");
    }
}


sync_run_t *
sync_frame_json(sync_dialect_e dialect, sync_str_t *json,
    sync_frame_deflate_t *deflate)
{
    size_t       size;
    sync_str_t   tail, id, event, data;
    sync_run_t  *run;

    sync_str_set(&tail, "");
    sync_str_set(&id, "");

    if (dialect == SYNC_DIALECT_SIO || dialect == SYNC_DIALECT_EIO) {
        size = sync_frame_event_packet(dialect, NULL, 0, json, &tail);

        run = sync_frame_alloc(1, size);
        if (run == NULL) {
            return NULL;
        }

        (void) sync_frame_event_packet(dialect, run->data, 0, json, &tail);

    } else if (dialect == SYNC_DIALECT_WS
               || dialect == SYNC_DIALECT_WS_DEFLATE)
    {

        if (dialect == SYNC_DIALECT_WS) {
            deflate = NULL;
        }

        size = sync_frame_text(NULL, json, &tail, NULL);

        run = sync_frame_alloc(1, size);
        if (run == NULL) {
            return NULL;
        }

        size = sync_frame_text(run->data, json, &tail, deflate);

    } else {
        event.data = json->data + 1;
        event.len = sync_frame_event_len(json);

        sync_frame_data(&data, json, event.len);

        size = sync_frame_event(dialect, NULL, &id, &event, &data);

        run = sync_frame_alloc(1, size);
        if (run == NULL) {
            return NULL;
        }

        (void) sync_frame_event(dialect, run->data, &id, &event, &data);
    }

    run->len = size;
    run->ends[0] = size;

    return run;
}


sync_run_t *
sync_frame_id(sync_dialect_e dialect, sync_str_t *id)
{
    u_char         *p;
    size_t          len, size;
    sync_run_t     *run;
    sync_writer_t   w;
    u_char          head[NGX_INT64_LEN];

    sync_writer_init(&w, NULL, 0);
    sync_sse_write_id(&w, id);

    len = w.len;
    size = 0;

    if (dialect == SYNC_DIALECT_SSE) {
        size = ngx_sprintf(head, "%xz" CRLF, len) - head;
    }

    run = sync_run_create(size + len + (size ? sizeof(CRLF) - 1 : 0));
    if (run == NULL) {
        return NULL;
    }

    p = ngx_cpymem(run->data, head, size);

    sync_writer_init(&w, p, len);
    sync_sse_write_id(&w, id);

    if (size) {
        ngx_memcpy(p + len, CRLF, sizeof(CRLF) - 1);
    }

    return run;
}


sync_run_t *
sync_frame_packet(sync_dialect_e dialect, sync_str_t *head, sync_str_t *data)
{
    size_t       len;
    u_char      *p;
    sync_run_t  *run;

    len = head->len + data->len;

    run = sync_run_create(dialect == SYNC_DIALECT_EIO
                          ? len + 1 : sync_ws_header_len(len) + len);
    if (run == NULL) {
        return NULL;
    }

    p = run->data;

    if (dialect == SYNC_DIALECT_SIO) {
        p = sync_ws_write_header(p, SYNC_WS_FIN|SYNC_WS_TEXT, len);
    }

    p = ngx_cpymem(p, head->data, head->len);
    p = ngx_cpymem(p, data->data, data->len);

    if (dialect == SYNC_DIALECT_EIO) {
        *p = SYNC_EIO_SEPARATOR;
    }

    return run;
}


sync_run_t *
sync_frame_binary(sync_dialect_e dialect, sync_str_t *data)
{
    size_t          len;
    u_char         *p;
    sync_run_t     *run;
    sync_writer_t   w;

    if (dialect == SYNC_DIALECT_SIO) {
        run = sync_run_create(sync_ws_header_len(data->len) + data->len);
        if (run == NULL) {
            return NULL;
        }

        p = sync_ws_write_header(run->data, SYNC_WS_FIN|SYNC_WS_BINARY,
                                 data->len);
        ngx_memcpy(p, data->data, data->len);

        return run;
    }

    len = 1 + (data->len + 2) / 3 * 4;

    run = sync_run_create(len + 1);
    if (run == NULL) {
        return NULL;
    }

    sync_writer_init(&w, run->data, len);
    sync_eio_write_binary(&w, data->data, data->len);

    run->data[len] = SYNC_EIO_SEPARATOR;

    return run;
}


/* The length of the name that ["name",...] begins with, and its quotes. */

static size_t
sync_frame_event_len(sync_str_t *json)
{
    u_char  *p, *last;

    last = json->data + json->len;

    for (p = json->data + 2; p < last && *p != '"'; p++) {
        if (*p == '\\') {
            p++;
        }
    }

    return p - json->data;
}


/* Memory for one message at a time, as large as the largest was. */

static u_char *
sync_frame_scratch(size_t size)
{
    static u_char  *scratch;
    static size_t   allocated;

    if (size <= allocated) {
        return scratch;
    }

    if (scratch) {
        ngx_free(scratch);
    }

    allocated = 0;

    scratch = ngx_alloc(size, ngx_cycle->log);
    if (scratch == NULL) {
        return NULL;
    }

    allocated = size;

    return scratch;
}
