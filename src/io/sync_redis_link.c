
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>
#include <sync_redis_link.h>
#include <sync_redis_addr.h>
#include <sync_redis_buf.h>
#include <sync_redis_hello.h>
#include <sync_redis_tls.h>
#include <sync_timer.h>


#define SYNC_REDIS_RETRY_MIN  100       /* ms, before the first attempt */
#define SYNC_REDIS_RETRY_MAX  5000      /* ms, before later ones */
#define SYNC_REDIS_SERVED     1000      /* ms ready, to have served well */
#define SYNC_REDIS_PING       1000      /* ms without a word, to ask */

#define SYNC_REDIS_READ       65536     /* bytes a read */
#define SYNC_REDIS_READS      16        /* reads a turn */
#define SYNC_REDIS_KEEP       65536     /* bytes of a buffer that is kept */

/* of a reply that has not come in full */
#define SYNC_REDIS_REPLY_MAX  (256 * 1024 * 1024)


typedef enum {
    SYNC_REDIS_WAITS = 0,
    SYNC_REDIS_RESOLVES,
    SYNC_REDIS_CONNECTS,
    SYNC_REDIS_SECURES,
    SYNC_REDIS_GREETS,
    SYNC_REDIS_READY
} sync_redis_state_e;


struct sync_redis_call_s {
    ngx_queue_t                       queue;
    sync_redis_reply_pt               handler;  /* NULL: nobody asks */
    void                             *data;
    uint64_t                          begin;    /* bytes sent before it */
    ngx_msec_t                        time;     /* when it came */
    uint32_t                          size;     /* bytes */
    uint32_t                          replies;  /* that are to come */
    sync_redis_error_e                error;
};


struct sync_redis_link_s {
    sync_redis_conf_t                *conf;
    sync_redis_url_t                 *url;
    const sync_redis_link_handler_t  *handler;
    const char                       *role;
    sync_zone_t                      *zone;
    void                             *data;

    sync_redis_state_e                state;
    ngx_peer_connection_t             peer;
    ngx_connection_t                 *connection;
    redisReader                      *reader;
    sync_redis_addr_t                 addr;
    ngx_uint_t                        tries;    /* addresses left */

    sync_redis_hello_t                hello;
    ngx_uint_t                        greeted;  /* answers to it */

    sync_redis_buf_t                  out;
    uint64_t                          queued;   /* bytes, this connection */
    uint64_t                          written;

    ngx_queue_t                       calls;    /* in order */
    ngx_uint_t                        ncalls;
    size_t                            bytes;    /* of the calls */
    ngx_queue_t                       failed;   /* to be told */

    ngx_event_t                       timer;    /* of the state */
    ngx_event_t                       limit;    /* of the oldest call */
    ngx_event_t                       tell;     /* posted: down and failed */

    ngx_uint_t                        failures; /* since it served well */
    ngx_msec_t                        since;    /* ready */
    ngx_msec_t                        heard;    /* last read */

    unsigned                          was_ready:1;
    unsigned                          down:1;   /* to be told */
    unsigned                          complained:1;
};


static void sync_redis_link_connect(sync_redis_link_t *link);
static void sync_redis_link_resolved(void *data);
static void sync_redis_link_dial(sync_redis_link_t *link);
static void sync_redis_link_write_handler(ngx_event_t *ev);
static void sync_redis_link_read_handler(ngx_event_t *ev);
static void sync_redis_link_connected(sync_redis_link_t *link);
static void sync_redis_link_secured(ngx_connection_t *c);
static void sync_redis_link_greet(sync_redis_link_t *link);
static void sync_redis_link_send(sync_redis_link_t *link);
static ngx_int_t sync_redis_link_read(sync_redis_link_t *link);
static ngx_int_t sync_redis_link_parse(sync_redis_link_t *link);
static void sync_redis_link_reply(sync_redis_link_t *link, redisReply *reply);
static void sync_redis_link_greeted(sync_redis_link_t *link,
    redisReply *reply);
static ngx_uint_t sync_redis_link_is_push(redisReply *reply);
static void sync_redis_link_answer(sync_redis_link_t *link,
    redisReply *reply);
static void sync_redis_link_fail(sync_redis_link_t *link, const char *reason,
    ngx_err_t err);
static void sync_redis_link_fail_calls(sync_redis_link_t *link);
static void sync_redis_link_close(sync_redis_link_t *link);
static void sync_redis_link_tell_handler(ngx_event_t *ev);
static void sync_redis_link_timer_handler(ngx_event_t *ev);
static void sync_redis_link_limit_handler(ngx_event_t *ev);
static void sync_redis_link_arm(sync_redis_link_t *link);


/* what is read of any link, until hiredis has it */

static u_char  sync_redis_link_in[SYNC_REDIS_READ];


sync_redis_link_t *
sync_redis_link_create(sync_redis_conf_t *conf, sync_redis_url_t *url,
    const sync_redis_link_handler_t *handler, const char *role,
    sync_zone_t *zone)
{
    sync_redis_link_t  *link;

    link = ngx_calloc(sizeof(sync_redis_link_t), ngx_cycle->log);
    if (link == NULL) {
        return NULL;
    }

    link->conf = conf;
    link->url = url;
    link->handler = handler;
    link->role = role;
    link->zone = zone;

    sync_redis_addr_init(&link->addr, conf, url, sync_redis_link_resolved,
                         link);

    ngx_queue_init(&link->calls);
    ngx_queue_init(&link->failed);

    sync_timer_init(&link->timer, sync_redis_link_timer_handler, 1);
    sync_timer_init(&link->limit, sync_redis_link_limit_handler, 1);
    sync_timer_init(&link->tell, sync_redis_link_tell_handler, 1);

    /* the caller is to have the link before it hears of it */

    ngx_add_timer(&link->timer, 0);

    return link;
}


void
sync_redis_link_destroy(sync_redis_link_t *link)
{
    ngx_queue_t        *q;
    sync_redis_call_t  *call;

    sync_redis_link_close(link);

    link->handler = NULL;
    link->down = 0;

    sync_redis_link_fail_calls(link);

    while (!ngx_queue_empty(&link->failed)) {
        q = ngx_queue_head(&link->failed);
        call = ngx_queue_data(q, sync_redis_call_t, queue);

        ngx_queue_remove(q);
        ngx_free(call);
    }

    if (link->tell.posted) {
        ngx_delete_posted_event(&link->tell);
    }

    if (link->limit.timer_set) {
        ngx_del_timer(&link->limit);
    }

    sync_redis_addr_done(&link->addr);
    sync_redis_buf_done(&link->out);

    ngx_free(link);
}


ngx_int_t
sync_redis_link_command(sync_redis_link_t *link, sync_redis_call_t **handle,
    sync_redis_reply_pt handler, void *data, ngx_uint_t argc,
    const char **argv, const size_t *argvlen)
{
    size_t              size;
    ngx_connection_t   *c;
    sync_redis_call_t  *call;

    if (!sync_redis_link_hopeful(link)) {
        return SYNC_DECLINED;
    }

    if (link->ncalls >= SYNC_REDIS_CALLS_MAX
        || link->bytes >= SYNC_REDIS_BYTES_MAX)
    {
        sync_zone_count(link->zone, SYNC_COUNT_REDIS_BUSY, 1);
        return SYNC_BUSY;
    }

    call = ngx_alloc(sizeof(sync_redis_call_t), ngx_cycle->log);
    if (call == NULL) {
        return SYNC_ERROR;
    }

    if (sync_redis_buf_command(&link->out, argc, argv, argvlen, &size)
        != SYNC_OK)
    {
        ngx_free(call);
        return SYNC_ERROR;
    }

    call->handler = handler;
    call->data = data;
    call->begin = link->queued;
    call->time = ngx_current_msec;
    call->size = (uint32_t) size;
    call->replies = 1;
    call->error = SYNC_REDIS_OK;

    ngx_queue_insert_tail(&link->calls, &call->queue);

    link->ncalls++;
    link->bytes += size;
    link->queued += size;
    sync_zone_count(link->zone, SYNC_COUNT_REDIS_COMMANDS, 1);

    sync_redis_link_arm(link);

    /* what is said in one turn goes by one write, if it fits */

    c = link->connection;

    if (link->state == SYNC_REDIS_READY && c->write->ready
        && !c->write->posted)
    {
        ngx_post_event(c->write, &ngx_posted_events);
    }

    if (handle) {
        *handle = call;
    }

    return SYNC_OK;
}


ngx_int_t
sync_redis_link_subscribe(sync_redis_link_t *link,
    sync_redis_reply_pt handler, void *data, ngx_uint_t argc,
    const char **argv, const size_t *argvlen)
{
    ngx_int_t           rc;
    sync_redis_call_t  *call;

    rc = sync_redis_link_command(link, &call, handler, data, argc, argv,
                                 argvlen);
    if (rc == SYNC_OK) {
        call->replies = (uint32_t) argc - 1;
    }

    return rc;
}


void
sync_redis_link_cancel(sync_redis_call_t *call)
{
    call->handler = NULL;
}


void
sync_redis_link_drop(sync_redis_link_t *link, const char *reason)
{
    if (link->state == SYNC_REDIS_READY) {
        sync_redis_link_fail(link, reason, 0);
    }
}


ngx_uint_t
sync_redis_link_ready(sync_redis_link_t *link)
{
    return link->state == SYNC_REDIS_READY;
}


ngx_uint_t
sync_redis_link_hopeful(sync_redis_link_t *link)
{
    return link->state == SYNC_REDIS_READY || link->failures == 0;
}


ngx_uint_t
sync_redis_link_pending(sync_redis_link_t *link)
{
    return link->ncalls;
}


void **
sync_redis_link_data(sync_redis_link_t *link)
{
    return &link->data;
}


static void
sync_redis_link_connect(sync_redis_link_t *link)
{
    ngx_add_timer(&link->timer, link->conf->connect_timeout);

    link->state = SYNC_REDIS_RESOLVES;

    sync_redis_addr_resolve(&link->addr);
}


static void
sync_redis_link_resolved(void *data)
{
    sync_redis_link_t  *link;

    link = data;
    link->tries = link->addr.naddrs;

    sync_redis_link_dial(link);
}


static void
sync_redis_link_dial(sync_redis_link_t *link)
{
    ngx_int_t               rc;
    ngx_addr_t             *addr;
    ngx_connection_t       *c;
    ngx_peer_connection_t  *peer;

    addr = sync_redis_addr_next(&link->addr);

    if (addr == NULL) {
        sync_redis_link_fail(link, "no address", 0);
        return;
    }

    link->state = SYNC_REDIS_CONNECTS;
    link->tries--;

    peer = &link->peer;

    ngx_memzero(peer, sizeof(ngx_peer_connection_t));

    peer->sockaddr = addr->sockaddr;
    peer->socklen = addr->socklen;
    peer->name = &link->url->name;
    peer->get = ngx_event_get_peer;
    peer->log = ngx_cycle->log;
    peer->log_error = NGX_ERROR_INFO;
    peer->so_keepalive = 1;

    rc = ngx_event_connect_peer(peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        sync_redis_link_fail(link, "connect() failed", 0);
        return;
    }

    c = peer->connection;

    c->data = link;
    c->log_error = NGX_ERROR_INFO;
    c->read->handler = sync_redis_link_read_handler;
    c->write->handler = sync_redis_link_write_handler;

    link->connection = c;

    if (rc == NGX_OK) {
        sync_redis_link_connected(link);
    }
}


static void
sync_redis_link_write_handler(ngx_event_t *ev)
{
    int                 err;
    socklen_t           len;
    ngx_connection_t   *c;
    sync_redis_link_t  *link;

    c = ev->data;
    link = c->data;

    if (c->close) {

        /* the worker is to go; it takes this with it when its time comes */

        c->close = 0;
        c->error = 0;

        return;
    }

    if (link->state != SYNC_REDIS_CONNECTS) {
        sync_redis_link_send(link);
        return;
    }

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        sync_redis_link_fail(link, "connect() failed", err);
        return;
    }

    sync_redis_link_connected(link);
}


static void
sync_redis_link_read_handler(ngx_event_t *ev)
{
    ngx_connection_t   *c;
    sync_redis_link_t  *link;

    c = ev->data;
    link = c->data;

    if (c->close) {
        c->close = 0;
        c->error = 0;

        return;
    }

    if (link->state == SYNC_REDIS_CONNECTS) {
        sync_redis_link_write_handler(c->write);

        if (link->connection != c || link->state == SYNC_REDIS_SECURES) {
            return;
        }
    }

    if (sync_redis_link_read(link) != SYNC_OK) {
        return;
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        sync_redis_link_fail(link, "no event", 0);
    }
}


static void
sync_redis_link_connected(sync_redis_link_t *link)
{
    ngx_int_t  rc;

    if (link->url->server.len == 0) {
        sync_redis_link_greet(link);
        return;
    }

    link->state = SYNC_REDIS_SECURES;

    rc = sync_redis_tls_begin(link->connection, link->conf, link->url,
                              sync_redis_link_secured);

    if (rc != NGX_AGAIN) {
        sync_redis_link_secured(link->connection);
    }
}


static void
sync_redis_link_secured(ngx_connection_t *c)
{
    const char         *error;
    sync_redis_link_t  *link;

    link = c->data;
    error = sync_redis_tls_error(c, link->conf);

    if (error) {
        sync_redis_link_fail(link, error, 0);
        return;
    }

    c->read->handler = sync_redis_link_read_handler;
    c->write->handler = sync_redis_link_write_handler;

    sync_redis_link_greet(link);
}


static void
sync_redis_link_greet(sync_redis_link_t *link)
{
    link->state = SYNC_REDIS_GREETS;
    link->greeted = 0;

    link->reader = redisReaderCreate();

    if (link->reader == NULL
        || sync_redis_hello_write(&link->hello, link->url, link->role)
           != SYNC_OK)
    {
        sync_redis_link_fail(link, "no memory", 0);
        return;
    }

    sync_redis_link_send(link);
}


static void
sync_redis_link_send(sync_redis_link_t *link)
{
    ssize_t            n;
    ngx_connection_t  *c;
    sync_redis_buf_t  *b;

    c = link->connection;
    b = (link->state == SYNC_REDIS_READY) ? &link->out : &link->hello.buf;

    while (b->pos < b->last) {

        n = c->send(c, b->pos, b->last - b->pos);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            sync_redis_link_fail(link, "write failed", 0);
            return;
        }

        b->pos += n;

        if (link->state == SYNC_REDIS_READY) {
            link->written += n;
        }
    }

    if (b->pos == b->last) {
        b->pos = b->start;
        b->last = b->start;

        if (b->end - b->start > SYNC_REDIS_KEEP) {
            sync_redis_buf_done(b);
        }
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        sync_redis_link_fail(link, "no event", 0);
    }
}


/* Returns SYNC_OK, or SYNC_DECLINED if the connection is another one now. */

static ngx_int_t
sync_redis_link_read(sync_redis_link_t *link)
{
    ssize_t            n;
    ngx_uint_t         reads;
    ngx_connection_t  *c;

    c = link->connection;

    for (reads = 0; reads < SYNC_REDIS_READS; reads++) {

        n = c->recv(c, sync_redis_link_in, SYNC_REDIS_READ);

        if (n == NGX_AGAIN) {
            return SYNC_OK;
        }

        if (n <= 0) {
            sync_redis_link_fail(link, n ? "read failed"
                                         : "Redis closed the connection", 0);
            return SYNC_DECLINED;
        }

        link->heard = ngx_current_msec;

        if (redisReaderFeed(link->reader, (char *) sync_redis_link_in, n)
            != REDIS_OK)
        {
            sync_redis_link_fail(link, "no memory for a reply", 0);
            return SYNC_DECLINED;
        }

        if (sync_redis_link_parse(link) != SYNC_OK) {
            return SYNC_DECLINED;
        }

        if (!c->read->ready) {
            return SYNC_OK;
        }
    }

    /* others have their turn first */

    ngx_post_event(c->read, &ngx_posted_next_events);

    return SYNC_OK;
}


static ngx_int_t
sync_redis_link_parse(sync_redis_link_t *link)
{
    void              *reply;
    ngx_connection_t  *c;

    c = link->connection;

    for ( ;; ) {

        if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
            sync_redis_link_fail(link, link->reader->errstr, 0);
            return SYNC_DECLINED;
        }

        if (reply == NULL) {
            break;
        }

        sync_redis_link_reply(link, reply);

        freeReplyObject(reply);

        if (link->connection != c) {
            return SYNC_DECLINED;
        }
    }

    if (link->reader->len > SYNC_REDIS_REPLY_MAX) {
        sync_redis_link_fail(link, "a reply is too long", 0);
        return SYNC_DECLINED;
    }

    return SYNC_OK;
}


static void
sync_redis_link_reply(sync_redis_link_t *link, redisReply *reply)
{
    if (link->state == SYNC_REDIS_GREETS) {
        sync_redis_link_greeted(link, reply);
        return;
    }

    if (link->handler->push && sync_redis_link_is_push(reply)) {
        link->handler->push(link, reply);
        return;
    }

    if (ngx_queue_empty(&link->calls)) {
        sync_redis_link_fail(link, "a reply that nobody asked for", 0);
        return;
    }

    sync_redis_link_answer(link, reply);

    /* a name may lead to another server by now */

    if (link->state == SYNC_REDIS_READY && reply->type == REDIS_REPLY_ERROR
        && ngx_strncmp(reply->str, "READONLY", 8) == 0)
    {
        sync_redis_link_fail(link, "it is a replica", 0);
    }
}


static void
sync_redis_link_greeted(sync_redis_link_t *link, redisReply *reply)
{
    sync_redis_greeting_e  greeting;

    greeting = link->hello.greetings[link->greeted++];

    /* a name is for people: an ACL may not allow to set one */

    if (reply->type == REDIS_REPLY_ERROR && greeting != SYNC_REDIS_NAME) {
        sync_redis_link_fail(link, reply->str, 0);
        return;
    }

    if (link->greeted < link->hello.n) {
        return;
    }

    sync_redis_buf_done(&link->hello.buf);

    if (link->complained || link->was_ready) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "redis %V: connected (%s)", &link->url->name,
                      link->role);
    }

    if (link->was_ready) {
        sync_zone_count(link->zone, SYNC_COUNT_REDIS_RECONNECTS, 1);
    }

    link->state = SYNC_REDIS_READY;
    link->since = ngx_current_msec;
    link->was_ready = 1;
    link->complained = 0;

    ngx_add_timer(&link->timer, SYNC_REDIS_PING);

    if (link->handler->up) {
        link->handler->up(link);
    }

    if (link->state == SYNC_REDIS_READY && link->out.pos < link->out.last) {
        ngx_post_event(link->connection->write, &ngx_posted_events);
    }
}


static ngx_uint_t
sync_redis_link_is_push(redisReply *reply)
{
    redisReply  *kind;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3) {
        return 0;
    }

    kind = reply->element[0];

    return kind->type == REDIS_REPLY_STRING
           && ((kind->len == 7 && ngx_memcmp(kind->str, "message", 7) == 0)
               || (kind->len == 8
                   && ngx_memcmp(kind->str, "pmessage", 8) == 0));
}


static void
sync_redis_link_answer(sync_redis_link_t *link, redisReply *reply)
{
    ngx_queue_t          *q;
    sync_redis_call_t    *call;

    q = ngx_queue_head(&link->calls);
    call = ngx_queue_data(q, sync_redis_call_t, queue);

    /* an error is the only answer */

    if (reply->type != REDIS_REPLY_ERROR && --call->replies) {
        return;
    }

    ngx_queue_remove(q);

    link->ncalls--;
    link->bytes -= call->size;

    link->limit.cancelable = ngx_queue_empty(&link->calls);

    if (reply->type == REDIS_REPLY_ERROR) {
        sync_zone_count(link->zone, SYNC_COUNT_REDIS_ERRORS, 1);

        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "redis %V: %s", &link->url->name, reply->str);
    }

    if (call->handler) {
        call->handler(reply, SYNC_REDIS_OK, call->data);
    }

    ngx_free(call);
}


/* The connection, or the attempt to have one, is over. */

static void
sync_redis_link_fail(sync_redis_link_t *link, const char *reason,
    ngx_err_t err)
{
    ngx_uint_t  level;
    ngx_msec_t  delay;

    if (link->state == SYNC_REDIS_CONNECTS && link->tries) {

        /* a name may have addresses where nobody listens */

        sync_redis_link_close(link);

        ngx_add_timer(&link->timer, link->conf->connect_timeout);
        sync_redis_link_dial(link);

        return;
    }

    if (link->state == SYNC_REDIS_READY) {
        link->down = 1;

        if (ngx_current_msec - link->since >= SYNC_REDIS_SERVED) {
            link->failures = 0;

        } else {
            link->failures++;
        }

    } else {
        link->failures++;
    }

    delay = SYNC_REDIS_RETRY_MIN;

    if (link->failures) {
        delay <<= ngx_min(link->failures - 1, 10);
        delay = ngx_min(delay, SYNC_REDIS_RETRY_MAX);
    }

    delay = delay / 2 + ngx_random() % (delay / 2 + 1);

    /* once an outage */

    level = link->complained ? NGX_LOG_INFO : NGX_LOG_ERR;
    link->complained = 1;

    ngx_log_error(level, ngx_cycle->log, err,
                  "redis %V: %s (%s), next attempt in %M ms",
                  &link->url->name, reason, link->role, delay);

    sync_redis_link_close(link);
    sync_redis_link_fail_calls(link);

    ngx_add_timer(&link->timer, delay);
}


static void
sync_redis_link_fail_calls(sync_redis_link_t *link)
{
    ngx_queue_t        *q;
    sync_redis_call_t  *call;

    while (!ngx_queue_empty(&link->calls)) {
        q = ngx_queue_head(&link->calls);
        call = ngx_queue_data(q, sync_redis_call_t, queue);

        ngx_queue_remove(q);

        if (call->begin < link->written) {
            call->error = SYNC_REDIS_LOST;
            sync_zone_count(link->zone, SYNC_COUNT_REDIS_LOST, 1);

        } else {
            call->error = SYNC_REDIS_UNSENT;
        }

        ngx_queue_insert_tail(&link->failed, q);
    }

    link->ncalls = 0;
    link->bytes = 0;
    link->queued = 0;
    link->written = 0;
    link->out.pos = link->out.start;
    link->out.last = link->out.start;

    /* who asked is told at the end of this turn, and nobody from within */

    if (!ngx_queue_empty(&link->failed) || link->down) {
        link->limit.cancelable = ngx_queue_empty(&link->failed);
        ngx_post_event(&link->tell, &ngx_posted_events);
    }
}


static void
sync_redis_link_close(sync_redis_link_t *link)
{
    sync_redis_addr_cancel(&link->addr);

    if (link->connection) {
        sync_redis_tls_close(link->connection);
        link->connection = NULL;
    }

    if (link->reader) {
        redisReaderFree(link->reader);
        link->reader = NULL;
    }

    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    sync_redis_buf_done(&link->hello.buf);

    link->state = SYNC_REDIS_WAITS;
}


static void
sync_redis_link_tell_handler(ngx_event_t *ev)
{
    ngx_queue_t        *q;
    sync_redis_call_t  *call;
    sync_redis_link_t  *link;

    link = (sync_redis_link_t *) ((u_char *) ev
                                  - offsetof(sync_redis_link_t, tell));

    if (link->down) {
        link->down = 0;

        if (link->handler->down) {
            link->handler->down(link);
        }
    }

    while (!ngx_queue_empty(&link->failed)) {
        q = ngx_queue_head(&link->failed);
        call = ngx_queue_data(q, sync_redis_call_t, queue);

        ngx_queue_remove(q);

        if (call->handler) {
            call->handler(NULL, call->error, call->data);
        }

        ngx_free(call);
    }

    link->limit.cancelable = ngx_queue_empty(&link->calls);
}


static void
sync_redis_link_timer_handler(ngx_event_t *ev)
{
    sync_redis_link_t  *link;

    static const char    *ping[] = { "PING" };
    static const size_t   len[] = { 4 };

    link = (sync_redis_link_t *) ((u_char *) ev
                                  - offsetof(sync_redis_link_t, timer));

    switch (link->state) {

    case SYNC_REDIS_WAITS:
        sync_redis_link_connect(link);
        return;

    case SYNC_REDIS_RESOLVES:
        sync_redis_link_fail(link, "resolving its name takes too long", 0);
        return;

    case SYNC_REDIS_CONNECTS:
        sync_redis_link_fail(link, "connect() takes too long", 0);
        return;

    case SYNC_REDIS_SECURES:
        sync_redis_link_fail(link, "a TLS handshake takes too long", 0);
        return;

    case SYNC_REDIS_GREETS:
        sync_redis_link_fail(link, "no answer in time", 0);
        return;

    default: /* SYNC_REDIS_READY */
        break;
    }

    /* a link that is quiet is asked: it may be gone without a word */

    ngx_add_timer(&link->timer, SYNC_REDIS_PING);

    if (ngx_queue_empty(&link->calls)
        && ngx_current_msec - link->heard >= SYNC_REDIS_PING
        && sync_redis_link_command(link, NULL, NULL, NULL, 1, ping, len)
           == SYNC_OK)
    {
        sync_zone_count(link->zone, SYNC_COUNT_REDIS_COMMANDS, -1);
    }
}


static void
sync_redis_link_limit_handler(ngx_event_t *ev)
{
    ngx_msec_t            now, timeout;
    ngx_queue_t          *q;
    sync_redis_call_t    *call;
    sync_redis_link_t    *link;
    sync_redis_state_e    state;
    sync_redis_reply_pt   handler;

    link = (sync_redis_link_t *) ((u_char *) ev
                                  - offsetof(sync_redis_link_t, limit));

    now = ngx_current_msec;
    timeout = link->conf->timeout;

    /* the calls stay: their answers come first, if any come */

    for (q = ngx_queue_head(&link->calls);
         q != ngx_queue_sentinel(&link->calls);
         q = ngx_queue_next(q))
    {
        call = ngx_queue_data(q, sync_redis_call_t, queue);

        if (now - call->time < timeout) {
            break;
        }

        handler = call->handler;

        if (handler) {
            call->handler = NULL;
            sync_zone_count(link->zone, SYNC_COUNT_REDIS_TIMEOUTS, 1);

            state = link->state;

            handler(NULL, SYNC_REDIS_TIMEOUT, call->data);

            if (link->state != state) {

                /* it gave the link up, and the calls stand elsewhere */

                return;
            }
        }
    }

    if (link->state == SYNC_REDIS_READY && !ngx_queue_empty(&link->calls)) {
        q = ngx_queue_head(&link->calls);
        call = ngx_queue_data(q, sync_redis_call_t, queue);

        if (now - call->time >= 2 * timeout
            && now - link->heard >= 2 * timeout)
        {
            sync_redis_link_fail(link, "no answer in time", 0);
            return;
        }
    }

    sync_redis_link_arm(link);
}


/*
 * For the next call that is due, or for the connection, that is given up
 * when nothing at all comes for twice as long.
 */

static void
sync_redis_link_arm(sync_redis_link_t *link)
{
    ngx_msec_t          now, due, timeout;
    ngx_queue_t        *q;
    ngx_msec_int_t      left;
    sync_redis_call_t  *call;

    link->limit.cancelable = ngx_queue_empty(&link->calls);

    if (link->limit.timer_set || ngx_queue_empty(&link->calls)) {
        return;
    }

    now = ngx_current_msec;
    timeout = link->conf->timeout;

    q = ngx_queue_head(&link->calls);
    call = ngx_queue_data(q, sync_redis_call_t, queue);

    due = call->time + timeout;

    if (now - call->time >= timeout) {
        due = ngx_max(call->time, link->heard) + 2 * timeout;

        for (q = ngx_queue_next(q);
             q != ngx_queue_sentinel(&link->calls);
             q = ngx_queue_next(q))
        {
            call = ngx_queue_data(q, sync_redis_call_t, queue);

            if (now - call->time < timeout) {
                due = ngx_min(due, call->time + timeout);
                break;
            }
        }
    }

    left = (ngx_msec_int_t) (due - now);

    ngx_add_timer(&link->limit, ngx_max(left, 1));
}
