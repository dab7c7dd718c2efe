
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include <sync_ws_client.h>
#include <sync_ws_handshake.h>
#include <sync_deflate.h>
#include <sync_utf8.h>
#include <sync_ws.h>


/*
 * Input goes from one buffer a worker through the states of a part:
 *
 *     header --> payload --+--> header ...
 *        ^                 `--> message()
 *        `---- control <---'
 *
 * A part is what is there of a frame or message that is not complete.  It
 * is taken off its client while input is read, so that nothing of it is
 * left when the client is closed meanwhile, and given back if it has to
 * wait for more.  A message that came in one piece never leaves the buffer.
 */


#define SYNC_WS_CLIENT_BUFFER    65536  /* bytes a read */
#define SYNC_WS_CLIENT_READS     4      /* a turn */
#define SYNC_WS_CLIENT_FRAMES    256    /* a turn */

#define SYNC_WS_CLIENT_PART      64     /* bytes; the least allocated */
#define SYNC_WS_CLIENT_PONGS     256    /* bytes that may wait to be sent */
#define SYNC_WS_CLIENT_RATIO     200    /* of inflated to deflated */

/* what a message may be longer when deflated, and still be taken */

#define sync_ws_client_slack(n)  (((n) >> 8) + 64)


typedef struct {
    sync_ws_header_t   header;          /* of the frame that is open */
    uint64_t           offset;          /* bytes of its payload so far */
    sync_utf8_t        utf8;

    u_char             message;         /* opcode; 0 if none is open */
    u_char             nhead;           /* bytes */
    u_char             npong;           /* bytes */
    unsigned           payload:1;       /* the header is complete */
    unsigned           deflated:1;      /* the message */
    unsigned           pong:1;          /* to be sent */
    unsigned           binary:1;        /* the message */

    u_char             head[SYNC_WS_HEADER_MAX];
    u_char             control[SYNC_WS_CONTROL_MAX];
    u_char             pong_data[SYNC_WS_CONTROL_MAX];

    u_char            *data;            /* of the message, so far */
    size_t             len;
    size_t             size;

    u_char            *rest;            /* input not looked at yet */
    u_char            *rest_pos;
    u_char            *rest_last;
} sync_ws_client_part_t;


static ngx_int_t sync_ws_client_start(ngx_http_request_t *r,
    sync_detach_t *d, sync_str_t *protocol, ngx_flag_t compression);
static ngx_int_t sync_ws_client_pipelined(sync_client_t *c, u_char *p,
    size_t len);
static void sync_ws_client_read_handler(ngx_event_t *rev);
static void sync_ws_client_read(sync_client_t *c,
    sync_ws_client_part_t *part);
static void sync_ws_client_keep(sync_client_t *c,
    sync_ws_client_part_t *part, u_char *p, size_t len);
static void sync_ws_client_wait(sync_client_t *c,
    sync_ws_client_part_t *part);
static u_char *sync_ws_client_input(sync_client_t *c,
    sync_ws_client_part_t *part, u_char *p, u_char *last, ngx_uint_t *frames);
static u_char *sync_ws_client_header(sync_client_t *c,
    sync_ws_client_part_t *part, u_char *p, u_char *last);
static void sync_ws_client_data(sync_client_t *c,
    sync_ws_client_part_t *part, u_char *p, size_t len);
static ngx_int_t sync_ws_client_append(sync_client_t *c,
    sync_ws_client_part_t *part, u_char *p, size_t len);
static void sync_ws_client_message(sync_client_t *c,
    sync_ws_client_part_t *part, u_char *p, size_t len);
static void sync_ws_client_inflate(sync_client_t *c, u_char *p, size_t len);
static void sync_ws_client_control(sync_client_t *c,
    sync_ws_client_part_t *part, u_char *p, size_t len);
static void sync_ws_client_ping(sync_client_t *c,
    sync_ws_client_part_t *part, sync_str_t *payload);
static void sync_ws_client_heard(sync_client_t *c, sync_str_t *payload);
static void sync_ws_client_alive(sync_client_t *c);
static void sync_ws_client_timeout(sync_client_t *c);
static void sync_ws_client_queue(sync_client_t *c, u_char opcode, u_char *p,
    size_t len);

static void sync_ws_client_fail(sync_client_t *c, ngx_uint_t code,
    const char *reason);
static void sync_ws_client_goodbye(sync_client_t *c, ngx_uint_t code,
    const char *reason);

static ngx_uint_t sync_ws_client_part_idle(sync_ws_client_part_t *part);
static void sync_ws_client_free_part(sync_client_t *c);
static void sync_ws_client_clear_part(sync_ws_client_part_t *part);


static const sync_client_ops_t  sync_ws_client_ops = {
    SYNC_TRANSPORT_WEBSOCKET,
    sync_ws_client_send,
    sync_ws_client_close,
    sync_ws_client_write,
    sync_ws_client_timeout,
    NULL
};


/* of the worker: where input is read to, and what is there of it */

static u_char                 sync_ws_client_buffer[SYNC_WS_CLIENT_BUFFER];
static sync_ws_client_part_t  sync_ws_client_current;


ngx_int_t
sync_ws_client_handshake(ngx_http_request_t *r,
    sync_client_conf_t *conf, sync_str_t *protocol,
    sync_client_opened_pt opened)
{
    sync_detach_t  *d;

    d = ngx_pcalloc(r->pool, sizeof(sync_detach_t));
    if (d == NULL) {
        return NGX_ERROR;
    }

    d->ops = &sync_ws_client_ops;
    d->conf = conf;
    d->opened = opened;
    d->timer = conf->ping_interval;
    d->dialect = SYNC_DIALECT_WS;

    return sync_ws_client_start(r, d, protocol, conf->compression);
}


ngx_int_t
sync_ws_client_handshake_as(ngx_http_request_t *r,
    const sync_client_ops_t *ops, sync_client_conf_t *conf,
    sync_dialect_e dialect, ngx_msec_t timer, sync_client_opened_pt opened)
{
    sync_detach_t      *d;
    static sync_str_t   none;

    d = ngx_pcalloc(r->pool, sizeof(sync_detach_t));
    if (d == NULL) {
        return NGX_ERROR;
    }

    d->ops = ops;
    d->conf = conf;
    d->opened = opened;
    d->timer = timer;
    d->dialect = dialect;

    return sync_ws_client_start(r, d, &none, 0);
}


static ngx_int_t
sync_ws_client_start(ngx_http_request_t *r, sync_detach_t *d,
    sync_str_t *protocol, ngx_flag_t compression)
{
    ngx_int_t   rc;
    ngx_uint_t  deflate;

    rc = sync_ws_handshake(r, protocol, compression, &deflate);

    if (rc != NGX_OK) {
        return rc;
    }

    d->read = sync_ws_client_read_handler;
    d->input = sync_ws_client_pipelined;
    d->deflate = deflate;

    if (deflate) {
        d->dialect = SYNC_DIALECT_WS_DEFLATE;
    }

    return sync_detach_start(r, d);
}


/* What came behind the handshake waits for the first read event. */

static ngx_int_t
sync_ws_client_pipelined(sync_client_t *c, u_char *p, size_t len)
{
    sync_ws_client_part_t  *part;

    part = ngx_calloc(sizeof(sync_ws_client_part_t), c->connection->log);
    if (part == NULL) {
        return SYNC_ERROR;
    }

    c->part = part;

    sync_ws_client_keep(c, part, p, len);

    return SYNC_OK;
}


static void
sync_ws_client_read_handler(ngx_event_t *rev)
{
    sync_client_t          *c;
    ngx_connection_t       *cn;
    sync_ws_client_part_t  *part, *kept;

    cn = rev->data;
    c = cn->data;

    if (c->closing) {
        sync_detach_drain(c);
        return;
    }

    if (cn->close) {

        /* nginx's time for an orderly stop is over */

        cn->close = 0;
        cn->error = 0;

        sync_ws_client_close(c, SYNC_WS_CODE_RESTART, "restart");
        return;
    }

    kept = c->part;
    c->part = NULL;

    part = kept ? kept : &sync_ws_client_current;

    sync_ws_client_read(c, part);

    if (!c->closing) {
        sync_ws_client_wait(c, part);
    }

    if (c->part) {
        return;
    }

    sync_ws_client_clear_part(part);

    if (kept) {
        ngx_free(kept);
    }

    if (c->closing) {
        sync_detach_drain(c);
    }
}


static void
sync_ws_client_read(sync_client_t *c, sync_ws_client_part_t *part)
{
    u_char            *p, *last;
    ssize_t            n;
    ngx_uint_t         i, frames;
    ngx_connection_t  *cn;

    cn = c->connection;
    frames = SYNC_WS_CLIENT_FRAMES;

    if (part->rest) {
        part->rest_pos = sync_ws_client_input(c, part, part->rest_pos,
                                              part->rest_last, &frames);

        if (c->closing || part->rest_pos < part->rest_last) {
            return;
        }

        ngx_free(part->rest);
        part->rest = NULL;
    }

    for (i = 0; i < SYNC_WS_CLIENT_READS && frames && cn->read->ready; i++) {

        n = cn->recv(cn, sync_ws_client_buffer, SYNC_WS_CLIENT_BUFFER);

        if (n == NGX_AGAIN) {
            return;
        }

        if (n == NGX_ERROR || n == 0) {
            sync_ws_client_close(c, SYNC_WS_CODE_ABNORMAL, NULL);
            return;
        }

        sync_ws_client_alive(c);

        last = sync_ws_client_buffer + n;
        p = sync_ws_client_input(c, part, sync_ws_client_buffer, last,
                                 &frames);

        if (c->closing) {
            return;
        }

        if (p < last) {
            sync_ws_client_keep(c, part, p, last - p);
            return;
        }
    }
}


/* Keeps input that others' turn came before. */

static void
sync_ws_client_keep(sync_client_t *c, sync_ws_client_part_t *part, u_char *p,
    size_t len)
{
    part->rest = ngx_alloc(len, c->connection->log);
    if (part->rest == NULL) {
        sync_ws_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    ngx_memcpy(part->rest, p, len);

    part->rest_pos = part->rest;
    part->rest_last = part->rest + len;
}


/* Goes on when there is more; what is there of it becomes the client's. */

static void
sync_ws_client_wait(sync_client_t *c, sync_ws_client_part_t *part)
{
    ngx_event_t  *rev;

    rev = c->connection->read;

    if (part->rest || rev->ready) {
        ngx_post_event(rev, &ngx_posted_next_events);

    } else if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        sync_ws_client_close(c, SYNC_WS_CODE_ABNORMAL, NULL);
        return;
    }

    if (sync_ws_client_part_idle(part)) {
        return;
    }

    if (part != &sync_ws_client_current) {
        c->part = part;
        return;
    }

    c->part = ngx_alloc(sizeof(sync_ws_client_part_t), rev->log);
    if (c->part == NULL) {
        sync_ws_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    ngx_memcpy(c->part, part, sizeof(sync_ws_client_part_t));
    ngx_memzero(part, sizeof(sync_ws_client_part_t));
}


/*
 * Looks at input until it ends, the client is closing, or the number of
 * frames that a turn may have is reached.  Returns where it stopped.
 */

static u_char *
sync_ws_client_input(sync_client_t *c, sync_ws_client_part_t *part,
    u_char *p, u_char *last, ngx_uint_t *frames)
{
    size_t  n;

    while (p < last && *frames && !c->closing) {

        if (!part->payload) {
            p = sync_ws_client_header(c, part, p, last);

            if (!part->payload) {
                break;
            }
        }

        n = ngx_min((uint64_t) (last - p), part->header.len - part->offset);

        if (sync_ws_is_control(part->header.opcode)) {
            sync_ws_client_control(c, part, p, n);

        } else {
            sync_ws_client_data(c, part, p, n);
        }

        p += n;

        if (!part->payload) {
            (*frames)--;
        }
    }

    return p;
}


/*
 * Takes what is there of a header; sets part->payload if that is all of it,
 * and the frame is one that may follow.
 */

static u_char *
sync_ws_client_header(sync_client_t *c, sync_ws_client_part_t *part,
    u_char *p, u_char *last)
{
    size_t             n, max;
    ssize_t            size;
    sync_ws_header_t  *h;

    h = &part->header;
    n = ngx_min(SYNC_WS_HEADER_MAX - part->nhead, last - p);

    ngx_memcpy(part->head + part->nhead, p, n);

    size = sync_ws_parse_header(h, part->head, part->head + part->nhead + n,
                                c->deflate);

    if (size == SYNC_AGAIN) {
        part->nhead += n;
        return p + n;
    }

    if (size == SYNC_ERROR) {
        sync_ws_client_fail(c, SYNC_WS_CODE_PROTOCOL, "invalid frame");
        return p;
    }

    p += size - part->nhead;
    part->nhead = 0;
    part->offset = 0;

    if (sync_ws_check_order(&part->message, h) != SYNC_OK) {
        sync_ws_client_fail(c, SYNC_WS_CODE_PROTOCOL, "fragments out of order");
        return p;
    }

    if (h->opcode == SYNC_WS_BINARY && c->conf->handler->binary == NULL) {
        sync_ws_client_fail(c, SYNC_WS_CODE_UNSUPPORTED, "binary message");
        return p;
    }

    if (h->opcode == SYNC_WS_TEXT || h->opcode == SYNC_WS_BINARY) {
        part->deflated = h->deflated;
        part->binary = (h->opcode == SYNC_WS_BINARY);
    }

    max = c->conf->max_message;

    if (part->deflated) {
        max += sync_ws_client_slack(max);
    }

    if (!sync_ws_is_control(h->opcode) && h->len > max - part->len) {
        sync_ws_client_fail(c, SYNC_WS_CODE_TOO_BIG, "message too large");
        return p;
    }

    part->payload = 1;

    return p;
}


static void
sync_ws_client_data(sync_client_t *c, sync_ws_client_part_t *part, u_char *p,
    size_t len)
{
    sync_ws_header_t  *h;

    h = &part->header;

    sync_ws_unmask(p, p, len, h->mask, part->offset);

    part->offset += len;
    part->payload = (part->offset < h->len);

    if (!part->deflated && !part->binary
        && sync_utf8_feed(&part->utf8, p, p + len) != SYNC_OK)
    {
        sync_ws_client_fail(c, SYNC_WS_CODE_INVALID, "invalid UTF-8");
        return;
    }

    if (!part->payload && h->fin && part->len == 0) {
        sync_ws_client_message(c, part, p, len);
        return;
    }

    if (sync_ws_client_append(c, part, p, len) != NGX_OK) {
        sync_ws_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    if (!part->payload && h->fin) {
        sync_ws_client_message(c, part, part->data, part->len);

        if (part->data) {
            ngx_free(part->data);
            part->data = NULL;
        }

        part->len = 0;
        part->size = 0;
    }
}


/* Memory follows what came, not what was announced. */

static ngx_int_t
sync_ws_client_append(sync_client_t *c, sync_ws_client_part_t *part,
    u_char *p, size_t len)
{
    size_t   size;
    u_char  *data;

    if (len == 0) {
        return NGX_OK;
    }

    if (part->len + len > part->size) {
        size = ngx_max(part->size * 2, part->len + len);
        size = ngx_max(size, SYNC_WS_CLIENT_PART);

        data = ngx_alloc(size, c->connection->log);
        if (data == NULL) {
            return NGX_ERROR;
        }

        if (part->data) {
            ngx_memcpy(data, part->data, part->len);
            ngx_free(part->data);
        }

        part->data = data;
        part->size = size;
    }

    ngx_memcpy(part->data + part->len, p, len);
    part->len += len;

    return NGX_OK;
}


static void
sync_ws_client_message(sync_client_t *c, sync_ws_client_part_t *part,
    u_char *p, size_t len)
{
    if (part->binary) {
        c->conf->handler->binary(c, p, len);
        return;
    }

    if (part->deflated) {
        sync_ws_client_inflate(c, p, len);
        return;
    }

    if (!sync_utf8_complete(&part->utf8)) {
        sync_ws_client_fail(c, SYNC_WS_CODE_INVALID, "invalid UTF-8");
        return;
    }

    c->conf->handler->message(c, p, len);
}


/* Messages are inflated when they are complete: one state serves a worker. */

static void
sync_ws_client_inflate(sync_client_t *c, u_char *p, size_t len)
{
    size_t                 size;
    u_char                *out;
    ssize_t                n;
    const u_char          *in;
    static ngx_uint_t      ready;
    static sync_inflate_t  inflate;

    if (!ready
        && sync_inflate_init(&inflate, 0, SYNC_WS_CLIENT_RATIO, Z_NULL, Z_NULL,
                             NULL)
           != SYNC_OK)
    {
        sync_ws_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    ready = 1;

    /* with a byte to spare one call does it all */

    size = c->conf->max_message + 1;
    inflate.max = c->conf->max_message;

    out = ngx_alloc(size, c->connection->log);
    if (out == NULL) {
        sync_ws_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    in = p;
    n = sync_inflate(&inflate, &in, p + len, out, size, 1);

    if (n < 0) {
        sync_inflate_done(&inflate);
        ready = 0;
    }

    if (n == SYNC_BUSY) {
        sync_ws_client_fail(c, SYNC_WS_CODE_TOO_BIG, "message too large");

    } else if (n < 0) {
        sync_ws_client_fail(c, SYNC_WS_CODE_INVALID, "invalid deflate stream");

    } else if (sync_utf8_check(out, out + n) != SYNC_OK) {
        sync_ws_client_fail(c, SYNC_WS_CODE_INVALID, "invalid UTF-8");

    } else {
        c->conf->handler->message(c, out, n);
    }

    ngx_free(out);
}


static void
sync_ws_client_control(sync_client_t *c, sync_ws_client_part_t *part,
    u_char *p, size_t len)
{
    sync_str_t         payload;
    sync_ws_header_t  *h;

    h = &part->header;

    sync_ws_unmask(part->control + part->offset, p, len, h->mask,
                   part->offset);

    part->offset += len;
    part->payload = (part->offset < h->len);

    if (part->payload) {
        return;
    }

    payload.data = part->control;
    payload.len = h->len;

    if (h->opcode == SYNC_WS_PING) {
        sync_ws_client_ping(c, part, &payload);

    } else if (h->opcode == SYNC_WS_CLOSE) {
        sync_ws_client_heard(c, &payload);
    }
}


/*
 * A peer that does not read its pongs gets but the last one (RFC 6455,
 * 5.5.3), when there is room again.
 */

static void
sync_ws_client_ping(sync_client_t *c, sync_ws_client_part_t *part,
    sync_str_t *payload)
{
    if (c->queued < SYNC_WS_CLIENT_PONGS) {
        part->pong = 0;
        sync_ws_client_queue(c, SYNC_WS_PONG, payload->data, payload->len);
        return;
    }

    part->pong = 1;
    part->npong = payload->len;
    ngx_memcpy(part->pong_data, payload->data, payload->len);
}


static void
sync_ws_client_heard(sync_client_t *c, sync_str_t *payload)
{
    sync_int_t   rc;
    sync_str_t   reason;
    sync_uint_t  code;

    c->state |= SYNC_DETACH_ENDED;

    rc = sync_ws_parse_close(&code, &reason, payload);

    if (rc != SYNC_OK) {
        sync_ws_client_fail(c, rc, "invalid close frame");
        return;
    }

    sync_ws_client_goodbye(c, code, NULL);
}


/* Whatever comes from the peer shows that it lives. */

static void
sync_ws_client_alive(sync_client_t *c)
{
    if (c->pinged && sync_client_ops(c) == &sync_ws_client_ops) {
        c->pinged = 0;
        sync_client_set_timer(c, c->conf->ping_interval);
    }
}


static void
sync_ws_client_timeout(sync_client_t *c)
{
    if (c->closing) {
        sync_detach_abort(c);
        return;
    }

    if (c->pinged) {
        sync_zone_count(sync_client_zone(), SYNC_COUNT_TIMEOUTS, 1);
        c->left = SYNC_LEFT_TIMEOUT;
        sync_ws_client_close(c, SYNC_WS_CODE_INTERNAL, "ping timeout");
        return;
    }

    c->pinged = 1;

    sync_ws_client_queue(c, SYNC_WS_PING, NULL, 0);
    sync_client_set_timer(c, c->conf->ping_timeout);
}


static void
sync_ws_client_queue(sync_client_t *c, u_char opcode, u_char *p, size_t len)
{
    u_char       buf[SYNC_WS_SERVER_HEADER_MAX];
    size_t       size;
    sync_run_t  *run;

    size = sync_ws_write_header(buf, SYNC_WS_FIN|opcode, len) - buf;

    run = sync_run_create(size + len);
    if (run == NULL) {
        return;
    }

    ngx_memcpy(run->data, buf, size);

    if (len) {
        ngx_memcpy(run->data + size, p, len);
    }

    /* without memory there is no ping, or no answer to one, this time */

    (void) sync_client_queue_control(c, run);

    sync_run_unref(run);
}


ngx_int_t
sync_ws_client_send(sync_client_t *c, sync_str_t *json)
{
    ngx_int_t              rc;
    sync_run_t            *run;
    sync_frame_deflate_t   deflate;

    deflate.level = c->conf->level;
    deflate.min = c->conf->min;

    run = sync_frame_json(c->dialect, json, &deflate);
    if (run == NULL) {
        return SYNC_ERROR;
    }

    rc = sync_client_queue(c, run, 0, run->len);

    sync_run_unref(run);

    return rc;
}


void
sync_ws_client_write(sync_client_t *c)
{
    sync_ws_client_part_t  *part;

    sync_detach_write(c);

    part = c->part;

    if (part == NULL || !part->pong || c->queued >= SYNC_WS_CLIENT_PONGS) {
        return;
    }

    part->pong = 0;

    sync_ws_client_queue(c, SYNC_WS_PONG, part->pong_data, part->npong);

    if (sync_ws_client_part_idle(part)) {
        sync_ws_client_free_part(c);
    }
}


void
sync_ws_client_close(sync_client_t *c, ngx_uint_t code, const char *reason)
{
    if (code == SYNC_WS_CODE_ABNORMAL) {
        sync_ws_client_free_part(c);
        sync_detach_abort(c);
        return;
    }

    sync_ws_client_goodbye(c, code, reason);
}


/* The peer's fault. */

static void
sync_ws_client_fail(sync_client_t *c, ngx_uint_t code, const char *reason)
{
    size_t  len;
    u_char  addr[NGX_SOCKADDR_STRLEN];

    len = sync_client_address(c, addr);

    ngx_log_error(NGX_LOG_INFO, c->connection->log, 0,
                  "client %*s is closed with %ui: %s",
                  len, addr, code, reason);

    sync_zone_count(sync_client_zone(), SYNC_COUNT_INVALID, 1);

    sync_client_leaves(c, code);
    sync_ws_client_goodbye(c, code, reason);
}


static void
sync_ws_client_goodbye(sync_client_t *c, ngx_uint_t code, const char *reason)
{
    size_t       len;
    u_char       buf[SYNC_WS_CLOSE_MAX];
    sync_str_t   text;
    sync_run_t  *run;

    ngx_str_null(&text);

    if (reason) {
        text.len = ngx_strlen(reason);
        text.data = (u_char *) reason;
    }

    len = sync_ws_write_close(buf, code, &text) - buf;

    run = sync_run_create(len);

    if (run) {
        ngx_memcpy(run->data, buf, len);
    }

    sync_ws_client_free_part(c);

    sync_detach_goodbye(c, run);
}


static ngx_uint_t
sync_ws_client_part_idle(sync_ws_client_part_t *part)
{
    return part->nhead == 0
           && !part->payload
           && part->message == 0
           && part->rest == NULL
           && !part->pong;
}


static void
sync_ws_client_free_part(sync_client_t *c)
{
    if (c->part) {
        sync_ws_client_clear_part(c->part);
        ngx_free(c->part);
        c->part = NULL;
    }
}


static void
sync_ws_client_clear_part(sync_ws_client_part_t *part)
{
    if (part->data) {
        ngx_free(part->data);
    }

    if (part->rest) {
        ngx_free(part->rest);
    }

    ngx_memzero(part, sizeof(sync_ws_client_part_t));
}
