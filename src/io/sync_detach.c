
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include <sync_detach.h>
#include <sync_ws.h>


#define SYNC_DETACH_UNSENT  131072      /* bytes the kernel may hold unsent */
#define SYNC_DETACH_DRAIN   4096        /* bytes a read */
#define SYNC_DETACH_READS   16          /* a turn */


static void sync_detach_marker(void *data);
static sync_detach_t *sync_detach_get(ngx_http_request_t *r);
static void sync_detach_handler(ngx_http_request_t *r);
static ngx_int_t sync_detach_flush(ngx_http_request_t *r);
static sync_client_t *sync_detach_open(ngx_http_request_t *r,
    sync_detach_t *d);
static void sync_detach_request(ngx_http_request_t *r, sync_client_t *c,
    ngx_event_handler_pt read);
static void sync_detach_listen(sync_client_t *c);
static void sync_detach_trim(ngx_connection_t *cn,
    ngx_http_connection_t *hc);
static void sync_detach_free_chain(ngx_pool_t *pool, ngx_chain_t *cl);
static void sync_detach_strip(ngx_connection_t *cn, ngx_log_t *log);
static ngx_int_t sync_detach_tune(ngx_connection_t *cn);
static void sync_detach_write_handler(ngx_event_t *wev);
static void sync_detach_shut(ngx_connection_t *cn);
static void sync_detach_drain_handler(ngx_event_t *rev);


ngx_int_t
sync_detach_header(ngx_http_request_t *r, const char *name, sync_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    /* newer versions of nginx have a link in it */

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->value.data = ngx_pnalloc(r->pool, value->len);
    if (h->value.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(h->value.data, value->data, value->len);

    h->value.len = value->len;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->hash = 1;

    return NGX_OK;
}


ngx_int_t
sync_detach_start(ngx_http_request_t *r, sync_detach_t *d)
{
    ngx_connection_t    *cn;
    ngx_http_cleanup_t  *cln;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = sync_detach_marker;
    cln->data = d;

    cn = r->connection;

    r->main->count++;
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = sync_detach_handler;

    /* nginx looks at the request after a content handler has returned */

    ngx_post_event(cn->write, &ngx_posted_events);

    return NGX_DONE;
}


/* Tells our cleanup from others. */

static void
sync_detach_marker(void *data)
{
    /* void */
}


static sync_detach_t *
sync_detach_get(ngx_http_request_t *r)
{
    ngx_http_cleanup_t  *cln;

    for (cln = r->cleanup; cln; cln = cln->next) {
        if (cln->handler == sync_detach_marker) {
            return cln->data;
        }
    }

    return NULL;
}


static void
sync_detach_handler(ngx_http_request_t *r)
{
    ngx_int_t       rc;
    sync_client_t  *c;
    sync_detach_t  *d;

    rc = sync_detach_flush(r);

    if (rc == NGX_AGAIN) {
        return;
    }

    d = sync_detach_get(r);

    if (rc != NGX_OK || d == NULL) {
        ngx_http_finalize_request(r, rc == NGX_OK ? NGX_ERROR : rc);
        return;
    }

    c = sync_detach_open(r, d);
    if (c == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    sync_detach_request(r, c, d->read);
}


/* Waits until the header has left nginx. */

static ngx_int_t
sync_detach_flush(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_connection_t          *cn;
    ngx_http_core_loc_conf_t  *clcf;

    cn = r->connection;
    wev = cn->write;

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, cn->log, NGX_ETIMEDOUT,
                      "client timed out");
        cn->timedout = 1;
        return NGX_HTTP_REQUEST_TIME_OUT;
    }

    if (cn->error || cn->read->eof) {
        return NGX_HTTP_CLIENT_CLOSED_REQUEST;
    }

    if (!r->buffered && !cn->buffered) {
        return NGX_OK;
    }

    if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (!r->buffered && !cn->buffered) {
        return NGX_OK;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


static sync_client_t *
sync_detach_open(ngx_http_request_t *r, sync_detach_t *d)
{
    ngx_buf_t      *b;
    sync_client_t  *c;

    c = sync_client_create(r->connection, d->ops, d->conf);
    if (c == NULL) {
        return NULL;
    }

    c->dialect = d->dialect;
    c->deflate = d->deflate;
    c->state = SYNC_DETACH_OPENING;

    if (d->opened(c, r) != SYNC_OK) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "internal error");
        return c;
    }

    if (ngx_exiting) {
        sync_client_close(c, SYNC_WS_CODE_RESTART, "restart");
    }

    if (c->closing) {
        return c;
    }

    sync_client_set_timer(c, d->timer);

    b = r->header_in;

    if (b->pos < b->last && d->input
        && d->input(c, b->pos, b->last - b->pos) != SYNC_OK)
    {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "internal error");
    }

    return c;
}


static void
sync_detach_request(ngx_http_request_t *r, sync_client_t *c,
    ngx_event_handler_pt read)
{
    ngx_log_t                 *log;
    ngx_connection_t          *cn;
    ngx_http_connection_t     *hc;
    ngx_http_core_loc_conf_t  *clcf;

    cn = r->connection;
    hc = r->http_connection;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    log = clcf->error_log;

    if (cn->read->timer_set) {
        ngx_del_timer(cn->read);
    }

    if (cn->write->timer_set) {
        ngx_del_timer(cn->write);
    }

    cn->write->delayed = 0;

    /*
     * This marks the connection as destroyed, and it stays marked: nginx is
     * still on the stack, and would go on with the connection's request.
     */

    ngx_http_free_request(r, 0);

    cn->data = c;

    cn->read->handler = read;
    cn->write->handler = sync_detach_write_handler;

    if (cn->ssl) {
        sync_detach_trim(cn, hc);

    } else {
        sync_detach_strip(cn, log);
    }

    sync_detach_listen(c);
}


/* TLS lives in the connection's pool: frees only what is large. */

static void
sync_detach_trim(ngx_connection_t *cn, ngx_http_connection_t *hc)
{
    if (ngx_pfree(cn->pool, cn->buffer->start) == NGX_OK) {
        cn->buffer = NULL;
    }

    sync_detach_free_chain(cn->pool, hc->free);
    hc->free = NULL;

    sync_detach_free_chain(cn->pool, hc->busy);
    hc->busy = NULL;
    hc->nbusy = 0;

#if (NGX_HTTP_SSL)
    ngx_ssl_free_buffer(cn);
#endif

    cn->log->action = "serving a detached client";
}


static void
sync_detach_free_chain(ngx_pool_t *pool, ngx_chain_t *cl)
{
    while (cl) {
        ngx_pfree(pool, cl->buf->start);
        cl = cl->next;
    }
}


static void
sync_detach_strip(ngx_connection_t *cn, ngx_log_t *log)
{
    ngx_pool_t  *pool;

    pool = cn->pool;

    cn->pool = NULL;
    cn->buffer = NULL;
    cn->proxy_protocol = NULL;

    cn->sockaddr = NULL;
    cn->socklen = 0;
    cn->local_sockaddr = NULL;
    cn->local_socklen = 0;
    ngx_str_null(&cn->addr_text);

    cn->log = log;
    cn->read->log = log;
    cn->write->log = log;

    ngx_destroy_pool(pool);
}


static void
sync_detach_listen(sync_client_t *c)
{
    ngx_event_t       *rev;
    ngx_connection_t  *cn;

    cn = c->connection;
    rev = cn->read;

    c->state &= ~SYNC_DETACH_OPENING;

    if ((c->state & SYNC_DETACH_SHUT) || sync_detach_tune(cn) != NGX_OK) {
        sync_client_ops(c)->close(c, SYNC_WS_CODE_ABNORMAL, NULL);
        return;
    }

    if (rev->ready || c->part) {
        ngx_post_event(rev, &ngx_posted_events);

    } else if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        sync_client_ops(c)->close(c, SYNC_WS_CODE_ABNORMAL, NULL);
        return;
    }

    if (c->closing) {
        sync_client_flush(c);
    }
}


static ngx_int_t
sync_detach_tune(ngx_connection_t *cn)
{
#ifdef TCP_NOTSENT_LOWAT
    int  lowat;
#endif

    if (cn->tcp_nopush == NGX_TCP_NOPUSH_SET) {

        if (ngx_tcp_push(cn->fd) == -1) {
            ngx_connection_error(cn, ngx_socket_errno,
                                 ngx_tcp_push_n " failed");
            return NGX_ERROR;
        }

        cn->tcp_nopush = NGX_TCP_NOPUSH_UNSET;
    }

#ifdef TCP_NOTSENT_LOWAT

    /* the queue is ours to bound, not the kernel's to grow */

    lowat = SYNC_DETACH_UNSENT;

    if (setsockopt(cn->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
                   (const void *) &lowat, sizeof(int))
        == -1)
    {
        ngx_log_debug0(NGX_LOG_DEBUG_EVENT, cn->log, ngx_socket_errno,
                       "setsockopt(TCP_NOTSENT_LOWAT) failed");
    }

#endif

    return ngx_tcp_nodelay(cn);
}


static void
sync_detach_write_handler(ngx_event_t *wev)
{
    sync_client_t     *c;
    ngx_connection_t  *cn;

    cn = wev->data;
    c = cn->data;

    /* each input event of epoll comes with one that tells of room */

    if (c->waiting) {
        sync_client_ops(c)->write(c);
    }
}


void
sync_detach_write(sync_client_t *c)
{
    ngx_connection_t  *cn;

    cn = c->connection;

    if (cn == NULL || (c->state & SYNC_DETACH_SHUT)) {
        return;
    }

    sync_client_write(c);

    if (c->connection == NULL
        || c->out
        || !c->closing
        || (c->state & SYNC_DETACH_OPENING))
    {
        return;
    }

    if ((c->state & SYNC_DETACH_ENDED) || cn->read->eof) {
        sync_detach_let_go(c);
        return;
    }

    c->state |= SYNC_DETACH_SHUT;

    sync_detach_shut(cn);
}


void
sync_detach_goodbye(sync_client_t *c, sync_run_t *run)
{
    ngx_int_t  rc;

    sync_client_closed(c);

    /*
     * A peer that does not read would not see what is behind its queue.
     * A record of TLS that is begun has to be sent to its end, though.
     */

    if (c->waiting && c->connection->ssl == NULL) {
        sync_client_drop_output(c);
    }

    rc = SYNC_ERROR;

    if (run) {
        rc = sync_client_queue_control(c, run);
        sync_run_unref(run);
    }

    if (rc != SYNC_OK) {
        sync_detach_abort(c);
        return;
    }

    sync_client_set_timer(c, SYNC_DETACH_LINGER);
}


/* Nothing more will be sent; what the peer still sends is dropped. */

static void
sync_detach_shut(ngx_connection_t *cn)
{
    sync_client_t  *c;

    c = cn->data;

#if (NGX_HTTP_SSL)

    if (cn->ssl) {
        ngx_int_t  rc;

        cn->ssl->shutdown_without_free = 1;

        rc = ngx_ssl_shutdown(cn);

        if (rc == NGX_ERROR) {
            sync_detach_abort(c);
            return;
        }

        if (rc == NGX_AGAIN) {
            cn->ssl->handler = sync_detach_shut;
            return;
        }

        /* it may have had handlers and a timer of its own */

        if (cn->read->timer_set) {
            ngx_del_timer(cn->read);
        }
    }

#endif

    cn->read->handler = sync_detach_drain_handler;
    cn->write->handler = sync_detach_write_handler;

    if (ngx_shutdown_socket(cn->fd, NGX_WRITE_SHUTDOWN) == -1) {
        ngx_connection_error(cn, ngx_socket_errno,
                             ngx_shutdown_socket_n " failed");
        sync_detach_abort(c);
        return;
    }

    sync_detach_drain(c);
}


static void
sync_detach_drain_handler(ngx_event_t *rev)
{
    ngx_connection_t  *cn;

    cn = rev->data;

    sync_detach_drain(cn->data);
}


void
sync_detach_drain(sync_client_t *c)
{
    ssize_t            n;
    ngx_uint_t         i;
    ngx_event_t       *rev;
    ngx_connection_t  *cn;
    u_char             buf[SYNC_DETACH_DRAIN];

    cn = c->connection;

    if (cn == NULL) {
        return;
    }

    rev = cn->read;

    if (cn->close) {
        sync_detach_abort(c);
        return;
    }

    for (i = 0; rev->ready && !rev->eof; i++) {

        if (i == SYNC_DETACH_READS) {
            ngx_post_event(rev, &ngx_posted_next_events);
            return;
        }

        n = cn->recv(cn, buf, SYNC_DETACH_DRAIN);

        if (n == NGX_ERROR) {
            sync_detach_abort(c);
            return;
        }

        if (n == NGX_AGAIN) {
            break;
        }
    }

    /* the peer may still read what is not written yet */

    if (rev->eof && c->out == NULL) {
        sync_detach_let_go(c);
        return;
    }

    if (ngx_handle_read_event(rev, rev->eof ? NGX_CLOSE_EVENT : 0) != NGX_OK) {
        sync_detach_abort(c);
    }
}


void
sync_detach_abort(sync_client_t *c)
{
    if (c->connection) {
        c->connection->error = 1;
    }

    sync_detach_let_go(c);
}


void
sync_detach_let_go(sync_client_t *c)
{
    ngx_connection_t  *cn;

    cn = c->connection;

    if (cn == NULL) {
        return;
    }

    if (c->state & SYNC_DETACH_OPENING) {
        sync_client_closed(c);
        c->state |= SYNC_DETACH_SHUT;
        return;
    }

    sync_client_destroy(c);

    c->connection = NULL;

    if (cn->pool) {
        ngx_http_close_connection(cn);
        return;
    }

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, -1);
#endif

    ngx_close_connection(cn);
}
