
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sync_hook.h>
#include <sync_hook_headers.h>
#include <sync_pool.h>


/*
 * The life of a call; each arrow but the first is one event, posted to the
 * end of the loop's turn, so that no frame of nginx's stands on the stack
 * when a request is made or freed:
 *
 *     start() ---> waits ---> runs <---> held by data()
 *                               |          |
 *                               +----------+---> ended ---> done(), freed
 *
 * The requests belong to us and never to nginx: the main request's "count"
 * and "blocked" are one higher than nginx knows, so that whatever it does to
 * terminate, keep alive or close the connection leaves them in place.  If it
 * tries to, the request's cleanup tells us, and the call has failed.
 *
 * An answer is complete if a buf with last_buf or last_in_chain came through
 * the body filter: an upstream that died in mid-body ends like one that did
 * not, but for that buf.  An answer known to be empty needs none.
 */


/* a bit of r->buffered whose owners, SSI and sub, never see our requests */

#define SYNC_HOOK_BUFFERED   NGX_HTTP_SSI_BUFFERED


struct sync_hook_s {
    ngx_connection_t            connection;  /* first: the filters cast it */
    ngx_event_t                 read;
    ngx_event_t                 write;
    ngx_event_t                 event;       /* starts, resumes or ends it */
    ngx_log_t                   log;
    ngx_http_log_ctx_t          log_ctx;
    ngx_http_connection_t       http_connection;
    ngx_http_post_subrequest_t  post;
    ngx_http_posted_request_t   posted;
    struct sockaddr_in          local;

    ngx_pool_t                 *pool;        /* the hook lies in it */
    ngx_queue_t                 queue;       /* of those like it */
    sync_hook_args_t            args;        /* a deep copy */

    ngx_http_request_t         *request;     /* the fake main request */
    ngx_http_request_t         *subrequest;
    ngx_chain_t                *in;          /* not consumed yet */

    ngx_uint_t                  status;
    ngx_str_t                   content_type;
    off_t                       length;      /* of the body; -1: not told */
    size_t                      received;    /* bytes of the body */
    sync_hook_result_e          result;

    unsigned                    running:1;   /* counts as running */
    unsigned                    busy:1;      /* data() is on the stack */
    unsigned                    held:1;      /* data() waits for resume() */
    unsigned                    ended:1;     /* the event finishes it */
    unsigned                    cancelled:1;
};


static sync_hook_t *sync_hook_create(sync_hook_args_t *args);
static ngx_int_t sync_hook_copy_args(sync_hook_t *h, sync_hook_args_t *args);
static ngx_int_t sync_hook_copy_str(ngx_pool_t *pool, ngx_str_t *s);
static void sync_hook_enter(sync_hook_t *h);
static void sync_hook_leave(sync_hook_t *h);
static void sync_hook_event_handler(ngx_event_t *ev);
static ngx_int_t sync_hook_run(sync_hook_t *h);
static void sync_hook_init_connection(sync_hook_t *h);
static ngx_int_t sync_hook_create_request(sync_hook_t *h);
static ngx_int_t sync_hook_set_body(sync_hook_t *h);
static void sync_hook_write_handler(ngx_event_t *wev);
static ngx_chain_t *sync_hook_send_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit);
static sync_hook_t *sync_hook_get(ngx_http_request_t *r);
static void sync_hook_deliver(sync_hook_t *h, u_char *p, size_t len);
static ngx_int_t sync_hook_finalize_handler(ngx_http_request_t *r, void *data,
    ngx_int_t rc);
static void sync_hook_main_handler(ngx_http_request_t *r);
static void sync_hook_cleanup(void *data);
static void sync_hook_end(sync_hook_t *h);
static void sync_hook_finish(sync_hook_t *h);
static ngx_int_t sync_hook_close(sync_hook_t *h);
static sync_hook_result_e sync_hook_result(sync_hook_t *h);
static u_char *sync_hook_log_error(ngx_log_t *log, u_char *buf, size_t len);


static ngx_queue_t  sync_hook_runs = { &sync_hook_runs, &sync_hook_runs };
static ngx_queue_t  sync_hook_waits = { &sync_hook_waits, &sync_hook_waits };

static ngx_uint_t   sync_hook_nruns;
static ngx_uint_t   sync_hook_nwaits;


ngx_int_t
sync_hook_start(sync_hook_args_t *args, sync_hook_t **hook)
{
    ngx_uint_t    max;
    sync_hook_t  *h;

    max = ngx_min(SYNC_HOOKS_MAX, ngx_max(ngx_cycle->connection_n / 4, 1));

    if (sync_hook_nruns >= max && sync_hook_nwaits >= SYNC_HOOKS_QUEUE) {
        return SYNC_BUSY;
    }

    h = sync_hook_create(args);
    if (h == NULL) {
        return SYNC_ERROR;
    }

    if (sync_hook_nruns < max) {
        sync_hook_enter(h);

    } else {
        ngx_queue_insert_tail(&sync_hook_waits, &h->queue);
        sync_hook_nwaits++;
    }

    *hook = h;

    return SYNC_OK;
}


static sync_hook_t *
sync_hook_create(sync_hook_args_t *args)
{
    ngx_pool_t   *pool;
    sync_hook_t  *h;

    pool = sync_pool_create();
    if (pool == NULL) {
        return NULL;
    }

    h = ngx_pcalloc(pool, sizeof(sync_hook_t));
    if (h == NULL) {
        sync_pool_destroy(pool);
        return NULL;
    }

    h->pool = pool;
    h->length = -1;
    h->result = SYNC_HOOK_CUT;

    h->event.handler = sync_hook_event_handler;
    h->event.data = h;
    h->event.log = ngx_cycle->log;

    if (sync_hook_copy_args(h, args) != NGX_OK) {
        sync_pool_destroy(pool);
        return NULL;
    }

    return h;
}


static ngx_int_t
sync_hook_copy_args(sync_hook_t *h, sync_hook_args_t *args)
{
    ngx_uint_t     i;
    ngx_pool_t    *pool;
    ngx_keyval_t  *kv;

    pool = h->pool;
    h->args = *args;

    h->args.sockaddr = ngx_palloc(pool, args->socklen);
    if (h->args.sockaddr == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(h->args.sockaddr, args->sockaddr, args->socklen);

    if (sync_hook_copy_str(pool, &h->args.uri) != NGX_OK
        || sync_hook_copy_str(pool, &h->args.body) != NGX_OK
        || sync_hook_copy_str(pool, &h->args.id) != NGX_OK
        || sync_hook_copy_str(pool, &h->args.addr_text) != NGX_OK)
    {
        return NGX_ERROR;
    }

    kv = ngx_palloc(pool, args->nheaders * sizeof(ngx_keyval_t));
    if (kv == NULL) {
        return NGX_ERROR;
    }

    h->args.headers = kv;

    for (i = 0; i < args->nheaders; i++) {
        kv[i] = args->headers[i];

        if (sync_hook_copy_str(pool, &kv[i].key) != NGX_OK
            || sync_hook_copy_str(pool, &kv[i].value) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* gives *s bytes of its own */

static ngx_int_t
sync_hook_copy_str(ngx_pool_t *pool, ngx_str_t *s)
{
    if (s->len == 0) {
        s->data = NULL;
        return NGX_OK;
    }

    s->data = ngx_pstrdup(pool, s);

    return (s->data == NULL) ? NGX_ERROR : NGX_OK;
}


static void
sync_hook_enter(sync_hook_t *h)
{
    h->running = 1;

    ngx_queue_insert_tail(&sync_hook_runs, &h->queue);
    sync_hook_nruns++;

    ngx_post_event(&h->event, &ngx_posted_events);
}


static void
sync_hook_leave(sync_hook_t *h)
{
    ngx_queue_t  *q;

    ngx_queue_remove(&h->queue);

    if (!h->running) {
        sync_hook_nwaits--;
        return;
    }

    sync_hook_nruns--;

    if (sync_hook_nwaits == 0) {
        return;
    }

    q = ngx_queue_head(&sync_hook_waits);
    ngx_queue_remove(q);
    sync_hook_nwaits--;

    sync_hook_enter(ngx_queue_data(q, sync_hook_t, queue));
}


static void
sync_hook_event_handler(ngx_event_t *ev)
{
    sync_hook_t  *h;

    h = ev->data;

    if (h->ended) {
        sync_hook_finish(h);
        return;
    }

    if (h->request == NULL) {

        if (sync_hook_run(h) != NGX_OK) {
            h->result = SYNC_HOOK_FAILED;
            h->ended = 1;
        }

    } else if (!h->held) {
        h->write.delayed = 0;
        sync_hook_write_handler(&h->write);
    }

    if (h->ended) {
        sync_hook_finish(h);
    }
}


static ngx_int_t
sync_hook_run(sync_hook_t *h)
{
    ngx_http_request_t  *r;

    sync_hook_init_connection(h);

    if (sync_hook_create_request(h) != NGX_OK) {
        return NGX_ERROR;
    }

    r = h->request;
    h->post.handler = sync_hook_finalize_handler;
    h->post.data = h;

    if (ngx_http_subrequest(r, &r->uri, NULL, &h->subrequest, &h->post, 0)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    h->subrequest->method = r->method;
    h->subrequest->method_name = r->method_name;

    ngx_http_run_posted_requests(&h->connection);

    return NGX_OK;
}


/*
 * A connection with no socket under it: its events say that they are in the
 * kernel already, so that nginx adds them nowhere, and that it is writable.
 */

static void
sync_hook_init_connection(sync_hook_t *h)
{
    ngx_connection_t  *c;

    c = &h->connection;

    h->log = *ngx_cycle->log;
    h->log.handler = sync_hook_log_error;
    h->log.data = &h->log_ctx;
    h->log.action = "calling hook";
    h->log_ctx.connection = c;

    h->http_connection.conf_ctx = h->args.ctx;

    h->local.sin_family = AF_INET;
    h->local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    c->data = &h->http_connection;
    c->read = &h->read;
    c->write = &h->write;
    c->fd = (ngx_socket_t) -1;
    c->send_chain = sync_hook_send_chain;
    c->log = &h->log;
    c->log_error = NGX_ERROR_INFO;
    c->pool = h->pool;
    c->sockaddr = h->args.sockaddr;
    c->socklen = h->args.socklen;
    c->addr_text = h->args.addr_text;
    c->local_sockaddr = (struct sockaddr *) &h->local;
    c->local_socklen = sizeof(struct sockaddr_in);
    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c->start_time = ngx_current_msec;

    h->log.connection = c->number;

    c->read->handler = ngx_http_empty_handler;
    c->read->data = c;
    c->read->log = c->log;
    c->read->active = 1;

    c->write->handler = sync_hook_write_handler;
    c->write->data = c;
    c->write->log = c->log;
    c->write->write = 1;
    c->write->ready = 1;

    /* a ready event of a level-triggered method must not be active */

    c->write->active = (ngx_event_flags & NGX_USE_CLEAR_EVENT) ? 1 : 0;
}


static ngx_int_t
sync_hook_create_request(sync_hook_t *h)
{
    u_char              *p;
    ngx_connection_t    *c;
    ngx_http_cleanup_t  *cln;
    ngx_http_request_t  *r;

    c = &h->connection;

    r = ngx_http_create_request(c);
    if (r == NULL) {
        return NGX_ERROR;
    }

#if (NGX_STAT_STUB)
    /* not a client's request */
    (void) ngx_atomic_fetch_add(ngx_stat_reading, -1);
    r->stat_reading = 0;
    (void) ngx_atomic_fetch_add(ngx_stat_requests, -1);
#endif

    c->data = r;
    h->request = r;

    r->count++;
    r->blocked++;
    r->logged = 1;
    r->write_event_handler = sync_hook_main_handler;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = sync_hook_cleanup;
    cln->data = h;

    r->method = NGX_HTTP_POST;
    ngx_str_set(&r->method_name, "POST");
    r->http_version = NGX_HTTP_VERSION_11;
    ngx_str_set(&r->http_protocol, "HTTP/1.1");
    r->uri = h->args.uri;
    r->unparsed_uri = h->args.uri;

    r->request_line.len = sizeof("POST  HTTP/1.1") - 1 + h->args.uri.len;

    p = ngx_pnalloc(r->pool, r->request_line.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    r->request_line.data = p;
    p = ngx_cpymem(p, "POST ", sizeof("POST ") - 1);
    p = ngx_cpymem(p, h->args.uri.data, h->args.uri.len);
    (void) ngx_cpymem(p, " HTTP/1.1", sizeof(" HTTP/1.1") - 1);

    r->headers_in.content_length_n = h->args.body.len;

    if (sync_hook_set_headers(r, &h->args.id, h->args.headers,
                              h->args.nheaders)
        != SYNC_OK)
    {
        return NGX_ERROR;
    }

    return sync_hook_set_body(h);
}


static ngx_int_t
sync_hook_set_body(sync_hook_t *h)
{
    ngx_buf_t           *b;
    ngx_http_request_t  *r;

    r = h->request;

    r->request_body = ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t));
    if (r->request_body == NULL) {
        return NGX_ERROR;
    }

    if (h->args.body.len == 0) {
        return NGX_OK;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    /* nginx rewinds to start before it tries another server */

    b->start = h->args.body.data;
    b->pos = b->start;
    b->last = b->start + h->args.body.len;
    b->memory = 1;

    r->request_body->bufs = ngx_alloc_chain_link(r->pool);
    if (r->request_body->bufs == NULL) {
        return NGX_ERROR;
    }

    r->request_body->bufs->buf = b;
    r->request_body->bufs->next = NULL;

    return NGX_OK;
}


void
sync_hook_resume(sync_hook_t *h)
{
    if (!h->held || h->ended) {
        return;
    }

    h->held = 0;

    if (!h->busy) {
        ngx_post_event(&h->event, &ngx_posted_events);
    }
}


/* what a filter that let something go, or limit_req's timer, calls */

static void
sync_hook_write_handler(ngx_event_t *wev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    c = wev->data;
    r = c->data;

    ngx_http_set_log_request(c->log, r);

    if (wev->delayed && wev->timedout) {
        wev->delayed = 0;
        wev->timedout = 0;
    }

    r->write_event_handler(r);

    ngx_http_run_posted_requests(c);
}


/*
 * Marks the connections of hooks.  Only what subrequests of the subrequest
 * put out may come here, and has nowhere to go.
 */

static ngx_chain_t *
sync_hook_send_chain(ngx_connection_t *c, ngx_chain_t *in, off_t limit)
{
    ngx_chain_t  *cl;

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    return NULL;
}


static sync_hook_t *
sync_hook_get(ngx_http_request_t *r)
{
    sync_hook_t  *h;

    if (r->connection->send_chain != sync_hook_send_chain) {
        return NULL;
    }

    h = (sync_hook_t *) r->connection;

    return (r == h->subrequest) ? h : NULL;
}


ngx_int_t
sync_hook_header_filter(ngx_http_request_t *r)
{
    sync_hook_t  *h;

    h = sync_hook_get(r);

    if (h == NULL) {
        return SYNC_DECLINED;
    }

    r->header_sent = 1;
    r->filter_need_in_memory = 1;

    if (r->upstream) {
        r->upstream->buffering = 0;
    }

    h->status = r->headers_out.status;
    h->content_type = r->headers_out.content_type;
    h->length = r->headers_out.content_length_n;

    /* no status is HTTP/0.9: whatever it sent, no header */

    if (h->status == 0
        || sync_hook_copy_str(h->pool, &h->content_type) != NGX_OK)
    {
        h->result = SYNC_HOOK_FAILED;
        sync_hook_end(h);
        return NGX_OK;
    }

    /* no buf may follow then */

    if (h->length == 0 || h->status == NGX_HTTP_NO_CONTENT) {
        h->length = 0;
        h->result = SYNC_HOOK_DONE;
    }

    if (h->length != -1 && (uint64_t) h->length > h->args.max_answer) {
        h->result = SYNC_HOOK_LARGE;
        sync_hook_end(h);
    }

    return NGX_OK;
}


ngx_int_t
sync_hook_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t    *b;
    sync_hook_t  *h;
    ngx_chain_t  *cl;

    h = sync_hook_get(r);

    if (h == NULL) {
        return SYNC_DECLINED;
    }

    if (ngx_chain_add_copy(r->pool, &h->in, in) != NGX_OK) {
        return NGX_ERROR;
    }

    while (h->in && !h->held && !h->ended) {
        cl = h->in;
        b = cl->buf;

        if (ngx_buf_in_memory(b) && b->pos != b->last) {
            sync_hook_deliver(h, b->pos, b->last - b->pos);
            b->pos = b->last;
        }

        b->file_pos = b->file_last;

        if ((b->last_buf || b->last_in_chain) && !h->ended) {
            h->result = SYNC_HOOK_DONE;
        }

        h->in = cl->next;
        ngx_free_chain(r->pool, cl);
    }

    if (h->in == NULL && !h->held) {
        r->buffered &= ~SYNC_HOOK_BUFFERED;
        return NGX_OK;
    }

    /* delayed: no send_timeout for a client that the call cannot see */

    r->buffered |= SYNC_HOOK_BUFFERED;
    h->write.delayed = 1;

    return NGX_AGAIN;
}


static void
sync_hook_deliver(sync_hook_t *h, u_char *p, size_t len)
{
    if (len > h->args.max_answer - h->received) {
        h->result = SYNC_HOOK_LARGE;
        sync_hook_end(h);
        return;
    }

    h->received += len;

    if (h->status / 100 != 2) {
        return;
    }

    h->busy = 1;
    h->held = 1;

    if (h->args.handler->data(h, p, len) != SYNC_AGAIN) {
        h->held = 0;
    }

    h->busy = 0;
}


/*
 * Every ngx_http_finalize_request() of the subrequest, of which there may be
 * several: an error becomes a page, which may be made by another location.
 *
 * What would make nginx terminate the main request is kept from it.
 */

static ngx_int_t
sync_hook_finalize_handler(ngx_http_request_t *r, void *data, ngx_int_t rc)
{
    sync_hook_t *h = data;

    ngx_connection_t  *c;

    c = r->connection;

    if (rc == NGX_ERROR
        || rc == NGX_HTTP_REQUEST_TIME_OUT
        || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST
        || rc == NGX_HTTP_CLOSE
        || c->error)
    {
        c->error = 0;
        c->timedout = 0;

        if (h->status == 0 && rc > 0) {
            h->status = rc;
        }

    } else if (rc >= NGX_HTTP_SPECIAL_RESPONSE
               || rc == NGX_HTTP_CREATED
               || rc == NGX_HTTP_NO_CONTENT)
    {
        if (!r->header_sent) {
            return rc;
        }

    } else if (r->buffered || r->postponed) {

        /* to be finalized again once all of it is out */

        return rc;
    }

    sync_hook_end(h);

    return NGX_OK;
}


/* the subrequest is done, or a thread that worked for it is */

static void
sync_hook_main_handler(ngx_http_request_t *r)
{
    sync_hook_end((sync_hook_t *) r->connection);
}


static void
sync_hook_cleanup(void *data)
{
    sync_hook_t *h = data;

    if (!h->ended) {
        h->result = SYNC_HOOK_FAILED;
        sync_hook_end(h);
    }
}


static void
sync_hook_end(sync_hook_t *h)
{
    h->ended = 1;

    ngx_post_event(&h->event, &ngx_posted_events);
}


void
sync_hook_cancel(sync_hook_t *h)
{
    if (h->cancelled) {
        return;
    }

    h->cancelled = 1;

    if (h->busy) {
        sync_hook_end(h);
        return;
    }

    h->ended = 1;
    sync_hook_finish(h);
}


static void
sync_hook_finish(sync_hook_t *h)
{
    if (sync_hook_close(h) == NGX_AGAIN) {
        return;
    }

    sync_hook_leave(h);

    if (!h->cancelled) {
        h->cancelled = 1;
        h->args.handler->done(h, sync_hook_result(h));
    }

    if (h->event.posted) {
        ngx_delete_posted_event(&h->event);
    }

    sync_pool_destroy(h->pool);
}


static ngx_int_t
sync_hook_close(sync_hook_t *h)
{
    ngx_http_request_t  *r;

    r = h->request;

    if (r == NULL) {
        return NGX_OK;
    }

    if (r->blocked > 1) {

        /* a thread reads a file for it, and runs posted requests after */

        (void) ngx_http_post_request(r, &h->posted);
        return NGX_AGAIN;
    }

    h->request = NULL;
    h->connection.timedout = 0;

    ngx_http_free_request(r, 0);

    if (h->read.timer_set) {
        ngx_del_timer(&h->read);
    }

    if (h->write.timer_set) {
        ngx_del_timer(&h->write);
    }

    return NGX_OK;
}


static sync_hook_result_e
sync_hook_result(sync_hook_t *h)
{
    if (h->result == SYNC_HOOK_FAILED || h->status == 0) {
        return SYNC_HOOK_FAILED;
    }

    if (h->status / 100 != 2) {
        return SYNC_HOOK_STATUS;
    }

    /* nginx does not compare them where the protocol is not HTTP */

    if (h->result == SYNC_HOOK_DONE
        && h->length != -1
        && (size_t) h->length != h->received)
    {
        return SYNC_HOOK_CUT;
    }

    return h->result;
}


void
sync_hook_exit_process(void)
{
    ngx_queue_t  *q, *next;

    while (!ngx_queue_empty(&sync_hook_waits)) {
        q = ngx_queue_head(&sync_hook_waits);
        sync_hook_cancel(ngx_queue_data(q, sync_hook_t, queue));
    }

    for (q = ngx_queue_head(&sync_hook_runs);
         q != ngx_queue_sentinel(&sync_hook_runs);
         q = next)
    {
        next = ngx_queue_next(q);
        sync_hook_cancel(ngx_queue_data(q, sync_hook_t, queue));
    }
}


void *
sync_hook_opaque(sync_hook_t *h)
{
    return h->args.opaque;
}


ngx_uint_t
sync_hook_status(sync_hook_t *h)
{
    return h->status;
}


ngx_str_t *
sync_hook_content_type(sync_hook_t *h)
{
    return &h->content_type;
}


ngx_uint_t
sync_hook_running(void)
{
    return sync_hook_nruns;
}


ngx_uint_t
sync_hook_waiting(void)
{
    return sync_hook_nwaits;
}


static u_char *
sync_hook_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char              *p;
    sync_hook_t         *h;
    ngx_http_request_t  *r;
    ngx_http_log_ctx_t  *ctx;

    p = buf;
    ctx = log->data;
    r = ctx->request;
    h = (sync_hook_t *) ctx->connection;

    if (log->action) {
        p = ngx_snprintf(p, len, " while %s", log->action);
        len -= p - buf;
        buf = p;
    }

    p = ngx_snprintf(p, len, ", client: %V, hook: \"%V\"",
                     &h->args.addr_text, &h->args.uri);
    len -= p - buf;

    return r ? r->log_handler(r, ctx->current_request, p, len) : p;
}
