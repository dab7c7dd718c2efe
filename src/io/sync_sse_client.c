
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include <sync_sse_client.h>
#include <sync_sse.h>
#include <sync_ws.h>


/*
 * Two kinds of clients, with what they say in common:
 *
 *     HTTP/1.x:  detached, writes to the socket, chunks are ours
 *     HTTP/2, 3: a stream; its request stays, output goes by one buffer
 *                through nginx's filters, and is ended as nginx ends it
 */


#define SYNC_SSE_CLIENT_BUFFER  4096    /* bytes a read */
#define SYNC_SSE_CLIENT_RETRY   1000    /* ms, and up to 4 s more */
#define SYNC_SSE_CLIENT_TEXT    64      /* bytes; what we say ourselves */

/*
 * Nobody asked for what comes behind a request.  The reads that it took to
 * drop it are counted above the bits of the state, up to a bound.
 */

#define SYNC_SSE_CLIENT_READ    0x08
#define SYNC_SSE_CLIENT_READS   0xf8

#define SYNC_SSE_STREAM_BUFFER  8192    /* bytes */


/* What a client over HTTP/2 has as its part; in the request's pool. */

typedef struct {
    sync_client_t                *client;   /* NULL: the request ends */
    ngx_http_request_t           *request;
    ngx_buf_t                    *buf;      /* on its way */

    sync_client_conf_t           *conf;
    sync_client_opened_pt         opened;
} sync_sse_stream_t;


static ngx_int_t sync_sse_client_header(ngx_http_request_t *r);
static void sync_sse_client_read_handler(ngx_event_t *rev);
static void sync_sse_client_close(sync_client_t *c, ngx_uint_t code,
    const char *reason);
static void sync_sse_client_timeout(sync_client_t *c);

static void sync_sse_client_keepalive(sync_client_t *c);
static sync_run_t *sync_sse_client_retry(sync_client_t *c);
static void sync_sse_client_write_retry(sync_writer_t *w);
static sync_run_t *sync_sse_client_run(sync_client_t *c, sync_writer_t *w,
    ngx_uint_t last);

static ngx_int_t sync_sse_stream_start(ngx_http_request_t *r,
    sync_client_conf_t *conf, sync_client_opened_pt opened);
static sync_sse_stream_t *sync_sse_stream_get(ngx_http_request_t *r);
static void sync_sse_stream_open_handler(ngx_http_request_t *r);
static void sync_sse_stream_write_handler(ngx_http_request_t *r);
static void sync_sse_stream_write(sync_client_t *c);
static void sync_sse_stream_fill(sync_client_t *c, ngx_buf_t *b);
static void sync_sse_stream_close(sync_client_t *c, ngx_uint_t code,
    const char *reason);
static void sync_sse_stream_timeout(sync_client_t *c);
static void sync_sse_stream_finalize(sync_client_t *c, ngx_int_t rc);
static void sync_sse_stream_cleanup(void *data);


static const sync_client_ops_t  sync_sse_client_ops = {
    SYNC_TRANSPORT_SSE,
    sync_client_queue_json,
    sync_sse_client_close,
    sync_detach_write,
    sync_sse_client_timeout,
    NULL
};


static const sync_client_ops_t  sync_sse_stream_ops = {
    SYNC_TRANSPORT_SSE,
    sync_client_queue_json,
    sync_sse_stream_close,
    sync_sse_stream_write,
    sync_sse_stream_timeout,
    NULL
};


ngx_int_t
sync_sse_client_handshake(ngx_http_request_t *r,
    sync_client_conf_t *conf, sync_client_opened_pt opened)
{
    ngx_int_t       rc;
    sync_detach_t  *d;

    rc = sync_sse_client_header(r);

    if (rc != NGX_OK || r->header_only) {
        return rc;
    }

    if (r->http_version >= NGX_HTTP_VERSION_20) {
        return sync_sse_stream_start(r, conf, opened);
    }

    d = ngx_pcalloc(r->pool, sizeof(sync_detach_t));
    if (d == NULL) {
        return NGX_ERROR;
    }

    d->ops = &sync_sse_client_ops;
    d->conf = conf;
    d->opened = opened;
    d->read = sync_sse_client_read_handler;
    d->timer = SYNC_SSE_KEEPALIVE;
    d->dialect = r->chunked ? SYNC_DIALECT_SSE : SYNC_DIALECT_SSE_RAW;

    return sync_detach_start(r, d);
}


ngx_int_t
sync_sse_client_later(ngx_http_request_t *r)
{
    ngx_int_t      rc;
    ngx_buf_t     *b;
    ngx_chain_t    out;
    sync_writer_t  w;

    rc = sync_sse_client_header(r);

    if (rc != NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_create_temp_buf(r->pool, SYNC_SSE_CLIENT_TEXT);
    if (b == NULL) {
        return NGX_ERROR;
    }

    sync_writer_init(&w, b->pos, SYNC_SSE_CLIENT_TEXT);
    sync_sse_client_write_retry(&w);

    b->last = b->pos + w.len;
    b->last_buf = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static ngx_int_t
sync_sse_client_header(ngx_http_request_t *r)
{
    ngx_int_t          rc;
    static sync_str_t  no = sync_string("no");
    static sync_str_t  no_cache = sync_string("no-cache");

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    if (r != r->main) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "subrequest asked for an event stream");
        return NGX_HTTP_BAD_REQUEST;
    }

    /* over HTTP/1.x a body is dropped with whatever else comes */

    if (r->method == NGX_HTTP_HEAD || r->http_version >= NGX_HTTP_VERSION_20) {
        rc = ngx_http_discard_request_body(r);

        if (rc != NGX_OK) {
            return rc;
        }

    } else {
        r->keepalive = 0;
    }

    if (sync_detach_header(r, "Cache-Control", &no_cache) != NGX_OK
        || sync_detach_header(r, "X-Accel-Buffering", &no) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

#if (NGX_HTTP_GZIP)

    /* gzip would hold events back */

    r->gzip_tested = 1;
    r->gzip_ok = 0;

#endif

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    if (ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
sync_sse_client_read_handler(ngx_event_t *rev)
{
    ssize_t            n;
    sync_client_t     *c;
    ngx_connection_t  *cn;
    u_char             buf[SYNC_SSE_CLIENT_BUFFER];

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

        sync_sse_client_close(c, SYNC_WS_CODE_RESTART, NULL);
        return;
    }

    while (rev->ready) {
        n = cn->recv(cn, buf, SYNC_SSE_CLIENT_BUFFER);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            sync_sse_client_close(c, SYNC_WS_CODE_ABNORMAL, NULL);
            return;
        }

        if (c->state >= SYNC_SSE_CLIENT_READS) {
            ngx_log_error(NGX_LOG_INFO, cn->log, 0,
                          "client of an event stream sent too much");
            sync_sse_client_close(c, SYNC_WS_CODE_POLICY, NULL);
            sync_detach_drain(c);
            return;
        }

        c->state += SYNC_SSE_CLIENT_READ;
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        sync_sse_client_close(c, SYNC_WS_CODE_ABNORMAL, NULL);
    }
}


static void
sync_sse_client_close(sync_client_t *c, ngx_uint_t code, const char *reason)
{
    if (code == SYNC_WS_CODE_ABNORMAL) {
        sync_detach_abort(c);
        return;
    }

    sync_detach_goodbye(c, sync_sse_client_retry(c));
}


static void
sync_sse_client_timeout(sync_client_t *c)
{
    if (c->closing) {
        sync_detach_abort(c);
        return;
    }

    sync_sse_client_keepalive(c);
}


static void
sync_sse_client_keepalive(sync_client_t *c)
{
    u_char             buf[SYNC_SSE_CLIENT_TEXT];
    sync_run_t        *run;
    sync_writer_t      w;
    static sync_str_t  ping = sync_string("ping");

    sync_client_set_timer(c, SYNC_SSE_KEEPALIVE);

    if (c->out) {
        return;
    }

    sync_writer_init(&w, buf, sizeof(buf));
    sync_sse_write_comment(&w, &ping);

    run = sync_sse_client_run(c, &w, 0);
    if (run == NULL) {
        return;
    }

    /* without memory there is no comment this time */

    (void) sync_client_queue_control(c, run);

    sync_run_unref(run);
}


static sync_run_t *
sync_sse_client_retry(sync_client_t *c)
{
    u_char         buf[SYNC_SSE_CLIENT_TEXT];
    sync_writer_t  w;

    sync_writer_init(&w, buf, sizeof(buf));
    sync_sse_client_write_retry(&w);

    return sync_sse_client_run(c, &w, 1);
}


/* The last that a client is told: not to come back with all the others. */

static void
sync_sse_client_write_retry(sync_writer_t *w)
{
    sync_sse_write_retry(w, SYNC_SSE_CLIENT_RETRY + ngx_random() % 4000);
    sync_sse_write_end(w);
}


static sync_run_t *
sync_sse_client_run(sync_client_t *c, sync_writer_t *w, ngx_uint_t last)
{
    u_char      *p, buf[2 * SYNC_SSE_CLIENT_TEXT];
    sync_run_t  *run;

    p = buf;

    if (c->dialect == SYNC_DIALECT_SSE) {
        p = ngx_sprintf(p, "%xz" CRLF, w->len);
    }

    p = ngx_cpymem(p, w->start, w->len);

    if (c->dialect == SYNC_DIALECT_SSE) {
        p = ngx_sprintf(p, CRLF "%s", last ? "0" CRLF CRLF : "");
    }

    run = sync_run_create(p - buf);
    if (run == NULL) {
        return NULL;
    }

    ngx_memcpy(run->data, buf, p - buf);

    return run;
}


static ngx_int_t
sync_sse_stream_start(ngx_http_request_t *r,
    sync_client_conf_t *conf, sync_client_opened_pt opened)
{
    sync_sse_stream_t   *s;
    ngx_http_cleanup_t  *cln;

    cln = ngx_http_cleanup_add(r, sizeof(sync_sse_stream_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    s = cln->data;

    s->client = NULL;
    s->request = r;
    s->conf = conf;
    s->opened = opened;

    s->buf = ngx_create_temp_buf(r->pool, SYNC_SSE_STREAM_BUFFER);
    if (s->buf == NULL) {
        return NGX_ERROR;
    }

    cln->handler = sync_sse_stream_cleanup;

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = sync_sse_stream_open_handler;

    /* opened() may end the request: not below its content handler */

    ngx_post_event(r->connection->write, &ngx_posted_events);

    return NGX_DONE;
}


static sync_sse_stream_t *
sync_sse_stream_get(ngx_http_request_t *r)
{
    ngx_http_cleanup_t  *cln;

    for (cln = r->cleanup; cln; cln = cln->next) {
        if (cln->handler == sync_sse_stream_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static void
sync_sse_stream_open_handler(ngx_http_request_t *r)
{
    sync_client_t      *c;
    sync_sse_stream_t  *s;

    s = sync_sse_stream_get(r);

    if (r->connection->error || s == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    c = sync_client_create(r->connection, &sync_sse_stream_ops,
                           s->conf);
    if (c == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    s->client = c;
    c->part = s;
    c->dialect = SYNC_DIALECT_SSE_RAW;

    r->write_event_handler = sync_sse_stream_write_handler;

    if (s->opened(c, r) != SYNC_OK) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, NULL);

    } else if (ngx_exiting) {
        sync_client_close(c, SYNC_WS_CODE_RESTART, NULL);
    }

    if (!c->closing) {
        sync_client_set_timer(c, SYNC_SSE_KEEPALIVE);
    }
}


static void
sync_sse_stream_write_handler(ngx_http_request_t *r)
{
    sync_sse_stream_t  *s;

    s = sync_sse_stream_get(r);

    if (s == NULL || s->client == NULL) {
        return;
    }

    if (r->connection->error
        || ((r->buffered || r->connection->buffered)
            && ngx_http_output_filter(r, NULL) == NGX_ERROR))
    {
        sync_sse_stream_finalize(s->client, NGX_ERROR);
        return;
    }

    sync_sse_stream_write(s->client);
}


static void
sync_sse_stream_write(sync_client_t *c)
{
    ngx_chain_t         out;
    sync_sse_stream_t  *s;

    s = c->part;

    if (s == NULL) {
        return;
    }

    for ( ;; ) {

        if (s->buf->pos < s->buf->last) {
            c->waiting = 1;
            return;
        }

        if (c->out == NULL) {
            break;
        }

        sync_sse_stream_fill(c, s->buf);

        out.buf = s->buf;
        out.next = NULL;

        sync_zone_count(sync_client_zone(), SYNC_COUNT_WRITES, 1);

        if (ngx_http_output_filter(s->request, &out) == NGX_ERROR) {
            sync_sse_stream_finalize(c, NGX_ERROR);
            return;
        }
    }

    c->waiting = 0;

    if (c->closing) {
        sync_sse_stream_finalize(c, ngx_http_send_special(s->request,
                                                          NGX_HTTP_LAST));
        return;
    }

    if (c->conf->handler->drained) {
        c->conf->handler->drained(c);
    }
}


static void
sync_sse_stream_fill(sync_client_t *c, ngx_buf_t *b)
{
    size_t       n;
    sync_out_t  *out;

    b->pos = b->start;
    b->last = b->start;
    b->flush = 1;

    for (out = c->out; out && b->last < b->end; out = out->next) {
        n = ngx_min((size_t) (b->end - b->last), out->last - out->pos);
        b->last = ngx_cpymem(b->last, out->run->data + out->pos, n);
    }

    sync_client_shift(c, b->last - b->pos);
}


static void
sync_sse_stream_close(sync_client_t *c, ngx_uint_t code, const char *reason)
{
    ngx_int_t    rc;
    sync_run_t  *run;

    if (code == SYNC_WS_CODE_ABNORMAL) {
        sync_sse_stream_finalize(c, NGX_ERROR);
        return;
    }

    sync_client_closed(c);

    if (c->waiting) {
        sync_client_drop_output(c);
    }

    run = sync_sse_client_retry(c);
    rc = SYNC_ERROR;

    if (run) {
        rc = sync_client_queue_control(c, run);
        sync_run_unref(run);
    }

    if (rc != SYNC_OK) {
        sync_sse_stream_finalize(c, NGX_ERROR);
        return;
    }

    sync_client_set_timer(c, SYNC_DETACH_LINGER);
}


static void
sync_sse_stream_timeout(sync_client_t *c)
{
    if (c->closing) {
        sync_sse_stream_finalize(c, NGX_ERROR);
        return;
    }

    sync_sse_client_keepalive(c);
}


static void
sync_sse_stream_finalize(sync_client_t *c, ngx_int_t rc)
{
    ngx_connection_t    *cn;
    ngx_http_request_t  *r;

    cn = c->connection;
    r = ((sync_sse_stream_t *) c->part)->request;

    sync_sse_stream_cleanup(c->part);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(cn);
}


/* The request ends, by us or by itself: so does the client. */

static void
sync_sse_stream_cleanup(void *data)
{
    sync_sse_stream_t *s = data;

    sync_client_t  *c;

    c = s->client;

    if (c == NULL) {
        return;
    }

    s->client = NULL;
    c->part = NULL;

    sync_client_destroy(c);

    c->connection = NULL;
}
