
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include <sync_poll_client.h>
#include <sync_body.h>
#include <sync_random.h>
#include <sync_timer.h>
#include <sync_wake.h>
#include <sync_ws.h>


#define SYNC_POLL_CHUNK  65536          /* bytes of an answer, about */
#define SYNC_POLL_NEWS   1024           /* sessions a turn */

/*
 * A poll that comes while another waits may be faster than the news that
 * the client gave that one up.
 */
#define SYNC_POLL_AGAIN  10             /* ms, and so many times */
#define SYNC_POLL_TRIES  50


/* A poll, from its request to the end of its answer; in the request's pool. */

typedef struct {
    ngx_queue_t               queue;    /* of the worker's */
    ngx_http_request_t       *request;
    sync_sid_t               *sid;      /* NULL: neither waits nor is sent */
    sync_sid_chunk_t         *last;     /* that is being sent */
    sync_client_conf_t       *conf;
    sync_poll_error_pt        error;
    ngx_event_t               timer;    /* to try again */
    ngx_uint_t                tries;
    uint32_t                  endpoint;
    u_char                    id[SYNC_SID_LEN];
    unsigned                  held:1;   /* the content handler has returned */
} sync_poll_t;


typedef struct {
    ngx_queue_t               polls;
    ngx_uint_t                npolls;
    unsigned                  exiting:1;
} sync_poll_worker_t;


static void sync_poll_client_close(sync_client_t *c, ngx_uint_t code,
    const char *reason);
static void sync_poll_client_write(sync_client_t *c);
static sync_client_t *sync_poll_client_create(ngx_http_request_t *r,
    sync_client_conf_t *conf, const u_char *id, uint32_t endpoint);
static void sync_poll_client_adopt(ngx_http_request_t *r,
    sync_client_conf_t *conf, const u_char *id, uint32_t endpoint);
static void sync_poll_client_last(sync_client_t *c);
static sync_poll_t *sync_poll_create(ngx_http_request_t *r);
static ngx_int_t sync_poll_register(sync_poll_t *p);
static void sync_poll_timer_handler(ngx_event_t *ev);
static void sync_poll_cleanup(void *data);
static void sync_poll_look(sync_poll_t *p, ngx_uint_t adopt);
static ngx_int_t sync_poll_answer(sync_poll_t *p);
static ngx_uint_t sync_poll_is_gone(ngx_http_request_t *r);
static ngx_int_t sync_poll_send(sync_poll_t *p, sync_sid_chunk_t *chunk);
static ngx_int_t sync_poll_say(ngx_http_request_t *r, ngx_str_t *type,
    u_char *data, size_t len);
static ngx_int_t sync_poll_release(sync_poll_t *p);
static ngx_int_t sync_poll_header(ngx_http_request_t *r, off_t len,
    ngx_str_t *type);


static const sync_client_ops_t  sync_poll_client_ops = {
    SYNC_TRANSPORT_POLLING,
    sync_client_queue_json,
    sync_poll_client_close,
    sync_poll_client_write,
    sync_eio_client_timeout,
    sync_eio_client_frame
};


static ngx_str_t  sync_poll_text = ngx_string("text/plain");
static ngx_str_t  sync_poll_html = ngx_string("text/html");


static sync_poll_worker_t  sync_poll_worker;


void
sync_poll_client_init_worker(void)
{
    ngx_memzero(&sync_poll_worker, sizeof(sync_poll_worker_t));

    ngx_queue_init(&sync_poll_worker.polls);
}


ngx_int_t
sync_poll_client_handshake(ngx_http_request_t *r, sync_client_conf_t *conf,
    uint32_t endpoint)
{
    u_char             *p;
    sync_zone_t        *z;
    sync_client_t      *c;
    sync_writer_t       w;
    sync_eio_client_t  *eio;
    u_char              id[SYNC_SID_LEN];

    z = sync_client_zone();

    sync_random(id, SYNC_SID_LEN);

    p = ngx_pnalloc(r->pool, 256);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    c = sync_poll_client_create(r, conf, id, endpoint);
    if (c == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    eio = sync_eio_client(c);
    eio->sid = sync_sid_create(z, id, endpoint, (uintptr_t) c);

    if (eio->sid == NULL) {
        sync_client_destroy(c);
        sync_zone_count(z, SYNC_COUNT_REFUSED, 1);

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "zone \"%V\" is full, client refused", &z->name);

        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    sync_eio_client_arm(c);

    sync_writer_init(&w, p, 256);
    sync_eio_client_write_open(&w, conf, id, 1);

    return sync_poll_say(r, &sync_poll_text, p, w.len);
}


/* A client without a connection; its session is the caller's to set. */

static sync_client_t *
sync_poll_client_create(ngx_http_request_t *r, sync_client_conf_t *conf,
    const u_char *id, uint32_t endpoint)
{
    sync_client_t  *c;

    c = sync_client_create(r->connection, &sync_poll_client_ops, conf);
    if (c == NULL) {
        return NULL;
    }

    c->connection = NULL;
    c->dialect = SYNC_DIALECT_EIO;

    if (sync_eio_client_begin(c, id, endpoint, r) != SYNC_OK) {
        sync_client_destroy(c);
        return NULL;
    }

    return c;
}


/*
 * The session's owner is about to exit: it becomes this worker's.  Without
 * memory it stays where it is, and ends with its owner.
 */

static void
sync_poll_client_adopt(ngx_http_request_t *r, sync_client_conf_t *conf,
    const u_char *id, uint32_t endpoint)
{
    sync_zone_t      *z;
    sync_client_t    *c;
    sync_wake_set_t   wake;

    z = sync_client_zone();

    c = sync_poll_client_create(r, conf, id, endpoint);
    if (c == NULL) {
        return;
    }

    wake.n = 0;

    if (sync_sid_claim(z, id, endpoint, (uintptr_t) c, &wake) == SYNC_OK) {
        sync_eio_client(c)->claiming = 1;
        sync_client_set_timer(c, SYNC_EIO_UPGRADE_TIMEOUT);

    } else {
        sync_client_destroy(c);
    }

    sync_wake_send(z, &wake);
}


/* Puts what waits into the session, if a poll is there for it. */

static void
sync_poll_client_write(sync_client_t *c)
{
    u_char             *p;
    size_t              len;
    sync_out_t         *out, *last;
    sync_zone_t        *z;
    sync_wake_set_t     wake;
    sync_sid_chunk_t   *chunk;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio == NULL || eio->sid == NULL || !eio->polled || c->out == NULL) {
        return;
    }

    z = sync_client_zone();
    len = 0;

    for (out = c->out; out && len < SYNC_POLL_CHUNK; out = out->next) {
        len += out->last - out->pos;
    }

    last = out;

    chunk = sync_sid_chunk(z, len);
    if (chunk == NULL) {
        return;
    }

    p = chunk->data;

    for (out = c->out; out != last; out = out->next) {
        p = ngx_cpymem(p, out->run->data + out->pos, out->last - out->pos);
    }

    sync_client_shift(c, len);

    eio->polled = 0;
    wake.n = 0;

    sync_sid_give(z, eio->sid, chunk, &wake);
    sync_wake_send(z, &wake);

    if (c->out == NULL && c->conf->handler->drained && !c->closing) {
        c->conf->handler->drained(c);
    }
}


/* A poll that waits hears of the end, after all that was said before. */

static void
sync_poll_client_close(sync_client_t *c, ngx_uint_t code, const char *reason)
{
    if (c->closed) {
        return;
    }

    if (sync_eio_client(c) && sync_eio_client(c)->sid) {
        sync_eio_inner_flush(c);
        sync_poll_client_last(c);
    }

    sync_client_destroy(c);
}


static void
sync_poll_client_last(sync_client_t *c)
{
    sync_str_t          packet, none;
    sync_run_t         *run;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (!eio->polled) {
        return;
    }

    /* who closed it is not told again */

    if (eio->left) {
        sync_str_set(&packet, "6");

    } else {
        sync_str_set(&packet, "1");
    }

    sync_str_set(&none, "");

    run = sync_frame_packet(c->dialect, &packet, &none);

    if (run) {
        (void) sync_client_queue_control(c, run);
        sync_run_unref(run);
    }

    while (c->out && eio->polled) {
        sync_poll_client_write(c);

        if (eio->polled) {
            return;
        }

        eio->polled = (c->out != NULL);
    }
}


ngx_int_t
sync_poll_client_get(ngx_http_request_t *r, sync_client_conf_t *conf,
    const u_char *id, uint32_t endpoint, sync_poll_error_pt error)
{
    ngx_int_t     rc;
    sync_poll_t  *p;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    p = sync_poll_create(r);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p->conf = conf;
    p->error = error;
    p->endpoint = endpoint;
    ngx_memcpy(p->id, id, SYNC_SID_LEN);

    rc = sync_poll_register(p);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_DONE;
}


/* NGX_DECLINED if the request has to wait. */

static ngx_int_t
sync_poll_register(sync_poll_t *p)
{
    ngx_int_t            rc;
    ngx_uint_t           adopt;
    sync_zone_t         *z;
    sync_wake_set_t      wake;

    z = sync_client_zone();
    wake.n = 0;

    rc = sync_sid_poll(z, p->id, p->endpoint, (uintptr_t) p,
                       p->tries == SYNC_POLL_TRIES, &p->sid, &adopt, &wake);

    sync_wake_send(z, &wake);

    if (rc == SYNC_BUSY && p->tries < SYNC_POLL_TRIES) {
        p->tries++;
        ngx_add_timer(&p->timer, SYNC_POLL_AGAIN);
        return NGX_DECLINED;
    }

    if (rc != SYNC_OK) {
        return (rc == SYNC_DECLINED) ? SYNC_POLL_UNKNOWN
               : (rc == SYNC_ERROR) ? SYNC_POLL_BAD : NGX_HTTP_BAD_REQUEST;
    }

    if (adopt) {
        sync_poll_client_adopt(p->request, p->conf, p->id, p->endpoint);
    }

    rc = sync_poll_answer(p);

    if (rc == NGX_DECLINED) {

        if (sync_poll_worker.exiting) {
            return sync_poll_release(p);
        }

        p->held = 1;
    }

    return rc;
}


static void
sync_poll_timer_handler(ngx_event_t *ev)
{
    ngx_int_t            rc;
    sync_poll_t         *p;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    p = (sync_poll_t *) ((u_char *) ev - offsetof(sync_poll_t, timer));

    rc = sync_poll_register(p);

    if (rc == NGX_DECLINED) {
        return;
    }

    r = p->request;
    c = r->connection;

    ngx_http_finalize_request(r, p->error(r, rc));
    ngx_http_run_posted_requests(c);
}


static sync_poll_t *
sync_poll_create(ngx_http_request_t *r)
{
    sync_poll_t         *p;
    ngx_http_cleanup_t  *cln;

    cln = ngx_http_cleanup_add(r, sizeof(sync_poll_t));
    if (cln == NULL) {
        return NULL;
    }

    p = cln->data;
    ngx_memzero(p, sizeof(sync_poll_t));

    p->request = r;
    sync_timer_init(&p->timer, sync_poll_timer_handler, 1);

    cln->handler = sync_poll_cleanup;

    ngx_queue_insert_tail(&sync_poll_worker.polls, &p->queue);
    sync_poll_worker.npolls++;

    return p;
}


/* The request ends: all was sent, or it was given up. */

static void
sync_poll_cleanup(void *data)
{
    sync_poll_t  *p = data;

    ngx_uint_t           sent;
    sync_zone_t         *z;
    sync_wake_set_t      wake;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    if (p->timer.timer_set) {
        ngx_del_timer(&p->timer);
    }

    ngx_queue_remove(&p->queue);
    sync_poll_worker.npolls--;

    if (p->sid == NULL) {
        return;
    }

    r = p->request;
    c = r->connection;
    z = sync_client_zone();

    wake.n = 0;

    if (p->last) {
        sent = r->header_sent && !r->buffered && !c->buffered && !c->error
               && !c->timedout && !c->write->error;

        sync_sid_sent(z, p->sid, sent ? p->last : NULL, &wake);

    } else {
        sync_sid_unpoll(z, p->sid, &wake);
    }

    sync_wake_send(z, &wake);
}


/* There is news for a poll that is held. */

static void
sync_poll_look(sync_poll_t *p, ngx_uint_t adopt)
{
    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    if (!p->held) {
        return;
    }

    r = p->request;
    c = r->connection;

    rc = sync_poll_answer(p);

    if (rc == NGX_DECLINED) {

        if (adopt) {
            sync_poll_client_adopt(r, p->conf, p->id, p->endpoint);
        }

        return;
    }

    p->held = 0;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* NGX_DECLINED if there is nothing to be said yet. */

static ngx_int_t
sync_poll_answer(sync_poll_t *p)
{
    ngx_int_t          rc;
    sync_sid_chunk_t  *chunk;

    if (sync_poll_is_gone(p->request)) {
        return NGX_HTTP_CLIENT_CLOSED_REQUEST;
    }

    rc = sync_sid_take(sync_client_zone(), p->sid, &chunk);

    switch (rc) {

    case SYNC_OK:
        return sync_poll_send(p, chunk);

    case SYNC_AGAIN:
        return NGX_DECLINED;

    case SYNC_SID_NOOP:
        p->sid = NULL;
        return sync_poll_say(p->request, &sync_poll_text, (u_char *) "6", 1);

    default: /* SYNC_SID_CLOSE */
        p->sid = NULL;
        return sync_poll_say(p->request, &sync_poll_text, (u_char *) "1", 1);
    }
}


/*
 * A client that closed its end may not read any more, and what is written
 * to it would be lost, though the kernel takes it.
 */

static ngx_uint_t
sync_poll_is_gone(ngx_http_request_t *r)
{
    ssize_t  n;
    u_char   byte;

    if (r->http_version >= NGX_HTTP_VERSION_20) {
        return r->connection->error;
    }

    n = recv(r->connection->fd, &byte, 1, MSG_PEEK);

    return n == 0 || (n == -1 && ngx_socket_errno != NGX_EAGAIN
                      && ngx_socket_errno != NGX_EINTR);
}


/* The bytes are sent from where they are, and stay there till then. */

static ngx_int_t
sync_poll_send(sync_poll_t *p, sync_sid_chunk_t *chunk)
{
    off_t                len;
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t         *out, **ll;
    ngx_http_request_t  *r;

    r = p->request;
    out = NULL;
    len = 0;
    ll = &out;

    p->last = chunk;

    while (chunk) {
        *ll = ngx_alloc_chain_link(r->pool);
        if (*ll == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        b = ngx_calloc_buf(r->pool);
        if (b == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        b->pos = chunk->data;
        b->last = chunk->data + chunk->len;
        b->memory = 1;

        len += chunk->len;

        (*ll)->buf = b;
        (*ll)->next = NULL;
        ll = &(*ll)->next;

        p->last = chunk;

        if (chunk->next == NULL) {

            /* the last packet has no separator behind it */

            b->last--;
            len--;

            b->last_buf = 1;
            b->last_in_chain = 1;
        }

        chunk = chunk->next;
    }

    rc = sync_poll_header(r, len, &sync_poll_text);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, out);
}


static ngx_int_t
sync_poll_say(ngx_http_request_t *r, ngx_str_t *type, u_char *data,
    size_t len)
{
    ngx_int_t    rc;
    ngx_buf_t   *b;
    ngx_chain_t  out;

    rc = sync_poll_header(r, len, type);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = data;
    b->last = data + len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static ngx_int_t
sync_poll_header(ngx_http_request_t *r, off_t len, ngx_str_t *type)
{
    static sync_str_t  no_store = sync_string("no-store");

    if (sync_detach_header(r, "Cache-Control", &no_store) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = len;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;

    if (type == &sync_poll_text) {
        ngx_str_set(&r->headers_out.charset, "UTF-8");
    }

    return ngx_http_send_header(r);
}


ngx_int_t
sync_poll_client_post(ngx_http_request_t *r, sync_client_conf_t *conf,
    const u_char *id, uint32_t endpoint)
{
    off_t              size;
    ngx_int_t          rc, valid;
    ngx_uint_t         adopt;
    sync_str_t         payload;
    sync_zone_t       *z;
    sync_wake_set_t    wake;
    sync_sid_chunk_t  *chunk;

    z = sync_client_zone();
    size = sync_body_size(r);

    if (size > (off_t) conf->max_message) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    chunk = sync_sid_chunk(z, size);
    if (chunk == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    chunk->kind = SYNC_EIO_PAYLOAD;

    if (sync_body_copy(r, chunk->data) != NGX_OK) {
        sync_sid_free_chunk(z, chunk);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* what is malformed goes to the owner, too, who closes the session */

    payload.data = chunk->data;
    payload.len = size;

    valid = sync_eio_check(&payload);

    wake.n = 0;
    adopt = 0;

    rc = sync_sid_put(z, id, endpoint, chunk, conf->queue, &adopt, &wake);

    sync_wake_send(z, &wake);

    if (rc != SYNC_OK) {
        sync_sid_free_chunk(z, chunk);

        return (rc == SYNC_DECLINED) ? SYNC_POLL_UNKNOWN
                                     : NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    if (adopt) {
        sync_poll_client_adopt(r, conf, id, endpoint);
    }

    if (valid != SYNC_OK) {
        return SYNC_POLL_BAD;
    }

    return sync_poll_say(r, &sync_poll_html, (u_char *) "ok", 2);
}


void
sync_poll_client_look(void)
{
    ngx_uint_t        i;
    sync_zone_t      *z;
    sync_sid_news_t   news;

    z = sync_client_zone();

    for (i = 0; i < SYNC_POLL_NEWS; i++) {

        if (sync_sid_news(z, &news) != SYNC_OK) {
            return;
        }

        if (news.role == SYNC_SID_POLL) {
            sync_poll_look((sync_poll_t *) (uintptr_t) news.cookie,
                           news.adopt);

        } else {
            sync_eio_client_news((sync_client_t *) (uintptr_t) news.cookie,
                                 &news);
        }
    }

    sync_wake_self(1);
}


void
sync_poll_client_exiting(void)
{
    uint32_t              bucket;
    sync_zone_t          *z;
    sync_poll_t          *p;
    ngx_queue_t          *q, *next;
    sync_wake_set_t       wake;
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    sync_poll_worker_t   *w;

    w = &sync_poll_worker;
    z = sync_client_zone();

    w->exiting = 1;

    for (q = ngx_queue_head(&w->polls);
         q != ngx_queue_sentinel(&w->polls);
         q = next)
    {
        next = ngx_queue_next(q);
        p = ngx_queue_data(q, sync_poll_t, queue);

        if (!p->held) {
            continue;
        }

        r = p->request;
        c = r->connection;

        ngx_http_finalize_request(r, sync_poll_release(p));
        ngx_http_run_posted_requests(c);
    }

    bucket = 0;

    while (bucket <= z->sh->sid_mask) {
        wake.n = 0;

        sync_sid_nudge(z, &bucket, &wake);
        sync_wake_send(z, &wake);
    }
}


/* The client is to poll again, another worker. */

static ngx_int_t
sync_poll_release(sync_poll_t *p)
{
    sync_sid_t       *s;
    sync_zone_t      *z;
    sync_wake_set_t   wake;

    s = p->sid;
    z = sync_client_zone();

    p->sid = NULL;
    p->held = 0;
    p->request->keepalive = 0;

    wake.n = 0;

    sync_sid_unpoll(z, s, &wake);
    sync_wake_send(z, &wake);

    return sync_poll_say(p->request, &sync_poll_text, (u_char *) "6", 1);
}


ngx_uint_t
sync_poll_client_polls(void)
{
    return sync_poll_worker.npolls;
}
