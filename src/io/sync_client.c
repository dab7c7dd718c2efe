
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_client.h>
#include <sync_frame.h>
#include <sync_timer.h>
#include <sync_wake.h>
#include <sync_worker.h>
#include <sync_ws.h>

#if (__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif


#define SYNC_WHEEL_SIZE   1024          /* buckets */
#define SYNC_WHEEL_TICK   32            /* ms */

#define SYNC_CLIENT_IOVS  64
#define SYNC_CLIENT_TLS   16384         /* bytes a record */

#define SYNC_CLIENT_OUTS  16384         /* spans kept for re-use */

#define SYNC_CLIENT_BLOCK  262144       /* bytes of clients at once */
#define SYNC_CLIENT_ALIGN  8

/* what a client with the largest address takes */

#define SYNC_CLIENT_MAX    sync_client_size(NGX_SOCKADDRLEN)

#define sync_client_size(kept)                                                \
    ngx_align(offsetof(sync_client_t, sockaddr) + (kept), SYNC_CLIENT_ALIGN)

/* what is kept of an address: not the zeros at the end of a sockaddr_in */

#define sync_client_kept(sockaddr, socklen)                                   \
    ((sockaddr)->sa_family == AF_INET                                         \
     ? offsetof(struct sockaddr_in, sin_zero) : (size_t) (socklen))


typedef struct {
    sync_zone_t    *zone;

    ngx_queue_t     wheel[SYNC_WHEEL_SIZE];
    ngx_queue_t     untimed;            /* clients with no timer */
    uint32_t        tick;               /* up to where the wheel has run */
    uint32_t        armed;              /* tick the timer is set to */
    ngx_uint_t      sweep;              /* bucket to drain from */
    ngx_event_t     timer;

    sync_client_t  *flush;              /* to be written, by c->flush */
    sync_client_t **flush_last;
    ngx_event_t     turn;               /* writes, and frees the dead */

    sync_out_t     *outs;
    ngx_uint_t      nouts;

    void           *spare[SYNC_CLIENT_MAX / SYNC_CLIENT_ALIGN + 1];
    u_char         *pos;                /* the rest of the last block */
    u_char         *last;

    ngx_uint_t      nclients;
    ngx_uint_t      nalive;             /* closing ones too */
    size_t          queued;

    unsigned        ready:1;
} sync_client_worker_t;


static uint8_t sync_client_kind(const sync_client_ops_t *ops);
static void *sync_client_alloc(size_t size);
static void sync_client_free(sync_client_t *c);
static ngx_int_t sync_client_append_framed(sync_client_t *c,
    sync_run_t *run, uint32_t pos, uint32_t last);
static ngx_int_t sync_client_append(sync_client_t *c, sync_run_t *run,
    uint32_t pos, uint32_t last);
static ssize_t sync_client_writev(sync_client_t *c);
static ssize_t sync_client_write_tls(sync_client_t *c);
static void sync_client_turn_handler(ngx_event_t *ev);
static void sync_client_wheel_handler(ngx_event_t *ev);
static void sync_client_wheel_bucket(ngx_queue_t *bucket, uint32_t now);
static void sync_client_wheel_arm(void);
static size_t sync_client_print_ipv4(u_char *addr, struct sockaddr_in *sin);
static ngx_uint_t sync_client_close_queue(ngx_queue_t *queue, ngx_uint_t n,
    ngx_uint_t code, const char *reason);


static sync_client_worker_t  sync_client_worker;

const sync_client_ops_t     *sync_client_kinds[SYNC_CLIENT_KINDS];


#define sync_client_ticks(ms)  ((uint32_t) ((ms) / SYNC_WHEEL_TICK))


void
sync_client_init_worker(sync_zone_t *z)
{
    ngx_uint_t             i;
    sync_client_worker_t  *w;

    w = &sync_client_worker;

    ngx_memzero(w, sizeof(sync_client_worker_t));

    for (i = 0; i < SYNC_WHEEL_SIZE; i++) {
        ngx_queue_init(&w->wheel[i]);
    }

    ngx_queue_init(&w->untimed);
    w->flush_last = &w->flush;

    w->zone = z;
    w->tick = sync_client_ticks(ngx_current_msec);

    sync_timer_init(&w->timer, sync_client_wheel_handler, 1);
    sync_timer_init(&w->turn, sync_client_turn_handler, 0);

    w->ready = 1;
}


sync_client_t *
sync_client_create(ngx_connection_t *cn, const sync_client_ops_t *ops,
    sync_client_conf_t *conf)
{
    size_t          size, kept;
    sync_client_t  *c;

    if (!sync_client_worker.ready) {
        return NULL;
    }

    kept = sync_client_kept(cn->sockaddr, cn->socklen);
    size = sync_client_size(kept);

    c = sync_client_alloc(size);
    if (c == NULL) {
        return NULL;
    }

    ngx_memzero(c, size);

    c->connection = cn;
    c->conf = conf;
    c->kind = sync_client_kind(ops);
    c->socklen = (uint8_t) kept;
    ngx_memcpy(c->sockaddr, cn->sockaddr, kept);

    ngx_queue_insert_tail(&sync_client_worker.untimed, &c->wheel);

    sync_client_worker.nclients++;
    sync_client_worker.nalive++;

    return c;
}


sync_client_t *
sync_client_create_inner(sync_client_t *c, const sync_client_ops_t *ops)
{
    size_t          size;
    sync_client_t  *in;

    size = sync_client_size(c->socklen);

    in = sync_client_alloc(size);
    if (in == NULL) {
        return NULL;
    }

    ngx_memzero(in, size);

    in->conf = c->conf;
    in->dialect = c->dialect;
    in->kind = sync_client_kind(ops);
    in->socklen = c->socklen;
    ngx_memcpy(in->sockaddr, c->sockaddr, c->socklen);

    ngx_queue_init(&in->wheel);

    sync_client_worker.nclients++;
    sync_client_worker.nalive++;

    return in;
}


/* There are fewer tables of them than SYNC_CLIENT_KINDS. */

static uint8_t
sync_client_kind(const sync_client_ops_t *ops)
{
    uint8_t  i;

    for (i = 0; sync_client_kinds[i] && sync_client_kinds[i] != ops; i++) {
        /* void */
    }

    sync_client_kinds[i] = ops;

    return i;
}


/*
 * Clients live long.  Among the short-lived blocks of the heap each would
 * keep a page from being given back, so they have blocks of their own, which
 * are kept for the clients to come.  The blocks are not malloc()'s, which may
 * take them from the heap.
 */

static void *
sync_client_alloc(size_t size)
{
    void                  *p, **spare;
    sync_client_worker_t  *w;

    w = &sync_client_worker;
    spare = &w->spare[size / SYNC_CLIENT_ALIGN];

    if (*spare) {
        p = *spare;
        *spare = *(void **) p;
        return p;
    }

    if ((size_t) (w->last - w->pos) < size) {
        p = mmap(NULL, SYNC_CLIENT_BLOCK, PROT_READ|PROT_WRITE,
                 MAP_ANON|MAP_PRIVATE, -1, 0);

        if (p == MAP_FAILED) {
            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                          "sync: mmap(%d) failed", SYNC_CLIENT_BLOCK);
            return NULL;
        }

#if (__SANITIZE_ADDRESS__)

        /* what clients point to is looked for in malloc()'s memory only */

        __lsan_register_root_region(p, SYNC_CLIENT_BLOCK);

#endif

        w->pos = p;
        w->last = w->pos + SYNC_CLIENT_BLOCK;
    }

    p = w->pos;
    w->pos += size;

    return p;
}


static void
sync_client_free(sync_client_t *c)
{
    void  **spare;

    spare = &sync_client_worker.spare[sync_client_size(c->socklen)
                                      / SYNC_CLIENT_ALIGN];
    *(void **) c = *spare;
    *spare = c;
}


void
sync_client_closed(sync_client_t *c)
{
    c->closing = 1;

    if (c->closed) {
        return;
    }

    c->closed = 1;
    sync_client_worker.nclients--;

    c->conf->handler->closed(c);
}


void
sync_client_destroy(sync_client_t *c)
{
    sync_client_closed(c);

    sync_client_shift(c, c->queued);

    ngx_queue_remove(&c->wheel);

    sync_client_worker.nalive--;

    c->dead = 1;
    c->waiting = 0;

    sync_client_flush(c);
}


ngx_int_t
sync_client_queue(sync_client_t *c, sync_run_t *run, uint32_t pos,
    uint32_t last)
{
    ngx_int_t  rc;

    rc = sync_client_takes(c);

    return (rc == SYNC_OK) ? sync_client_queue_part(c, run, pos, last) : rc;
}


ngx_int_t
sync_client_queue_json(sync_client_t *c, sync_str_t *json)
{
    ngx_int_t    rc;
    sync_run_t  *run;

    run = sync_frame_json(c->dialect, json, NULL);
    if (run == NULL) {
        return SYNC_ERROR;
    }

    rc = sync_client_queue(c, run, 0, run->len);

    sync_run_unref(run);

    return rc;
}


ngx_int_t
sync_client_queue_part(sync_client_t *c, sync_run_t *run, uint32_t pos,
    uint32_t last)
{
    if (c->framed) {
        return sync_client_append_framed(c, run, pos, last);
    }

    return sync_client_append(c, run, pos, last);
}


ngx_int_t
sync_client_takes(sync_client_t *c)
{
    if (c->closing) {
        return SYNC_ERROR;
    }

    if (sync_client_lags(c, c->conf->queue)) {
        return SYNC_BUSY;
    }

    if (c->closing) {
        return SYNC_ERROR;
    }

    return SYNC_OK;
}


ngx_uint_t
sync_client_lags(sync_client_t *c, size_t n)
{
    if (c->queued < n) {
        return 0;
    }

    /* a fast client may get more than that in one turn */

    if (!c->waiting) {
        sync_client_ops(c)->write(c);
    }

    return !c->closing && c->queued >= n;
}


static ngx_int_t
sync_client_append_framed(sync_client_t *c, sync_run_t *run, uint32_t pos,
    uint32_t last)
{
    ngx_int_t  rc;

    run = sync_client_ops(c)->frame(c, run, pos, last);

    if (run == NULL) {
        return SYNC_ERROR;
    }

    rc = sync_client_append(c, run, 0, run->len);

    sync_run_unref(run);

    return rc;
}


ngx_int_t
sync_client_queue_control(sync_client_t *c, sync_run_t *run)
{
    return sync_client_append(c, run, 0, run->len);
}


static ngx_int_t
sync_client_append(sync_client_t *c, sync_run_t *run, uint32_t pos,
    uint32_t last)
{
    sync_out_t            *out;
    sync_client_worker_t  *w;

    w = &sync_client_worker;

    if (w->outs) {
        out = w->outs;
        w->outs = out->next;
        w->nouts--;

    } else {
        out = ngx_alloc(sizeof(sync_out_t), ngx_cycle->log);
        if (out == NULL) {
            return SYNC_ERROR;
        }
    }

    out->next = NULL;
    out->tail = out;
    out->run = run;
    out->pos = pos;
    out->last = last;

    sync_run_ref(run);

    if (c->out) {
        c->out->tail->next = out;
        c->out->tail = out;

    } else {
        c->out = out;
    }

    c->queued += last - pos;
    w->queued += last - pos;

    sync_client_flush(c);

    return SYNC_OK;
}


void
sync_client_flush(sync_client_t *c)
{
    sync_client_worker_t  *w;

    if (c->flushing || c->waiting) {
        return;
    }

    w = &sync_client_worker;

    c->flushing = 1;
    c->flush = NULL;

    *w->flush_last = c;
    w->flush_last = &c->flush;

    ngx_post_event(&w->turn, &ngx_posted_events);
}


void
sync_client_shift(sync_client_t *c, size_t n)
{
    size_t                 size;
    sync_out_t            *out;
    sync_client_worker_t  *w;

    w = &sync_client_worker;

    c->queued -= n;
    w->queued -= n;

    while (c->out) {
        out = c->out;
        size = out->last - out->pos;

        if (n < size) {
            out->pos += n;
            return;
        }

        n -= size;

        c->out = out->next;

        if (c->out) {
            c->out->tail = out->tail;
        }

        sync_run_unref(out->run);

        if (w->nouts < SYNC_CLIENT_OUTS) {
            out->next = w->outs;
            w->outs = out;
            w->nouts++;

        } else {
            ngx_free(out);
        }
    }
}


void
sync_client_pass(sync_client_t *c, sync_client_t *to, size_t max)
{
    size_t       size;
    sync_out_t  *out;

    while (c->out && to->queued < max) {
        out = c->out;
        size = out->last - out->pos;

        c->out = out->next;
        c->queued -= size;

        if (c->out) {
            c->out->tail = out->tail;
        }

        out->next = NULL;
        out->tail = out;

        if (to->out) {
            to->out->tail->next = out;
            to->out->tail = out;

        } else {
            to->out = out;
        }

        to->queued += size;

        sync_client_flush(to);
    }
}


void
sync_client_drop_output(sync_client_t *c)
{
    uint32_t     i, start, end;
    sync_out_t  *first, *rest;

    first = c->out;

    if (first == NULL) {
        return;
    }

    /* the message that is on its way stays in full, but no more of the run */

    start = 0;
    end = first->pos;

    for (i = 0; i < first->run->n; i++) {
        if (first->pos <= first->run->ends[i]) {
            end = first->pos > start ? first->run->ends[i] : first->pos;
            break;
        }

        start = first->run->ends[i];
    }

    if (end > first->last) {
        end = first->last;
    }

    rest = first->next;
    first->next = NULL;
    first->tail = first;

    c->queued -= first->last - end;
    sync_client_worker.queued -= first->last - end;
    first->last = end;

    while (rest) {
        first = rest->next;

        c->queued -= rest->last - rest->pos;
        sync_client_worker.queued -= rest->last - rest->pos;

        sync_run_unref(rest->run);
        ngx_free(rest);

        rest = first;
    }

    if (c->out->pos == c->out->last) {
        sync_client_shift(c, 0);
    }
}


void
sync_client_write(sync_client_t *c)
{
    ssize_t            n;
    ngx_connection_t  *cn;

    cn = c->connection;
    c->waiting = 0;

    while (c->out) {

        if (!cn->write->ready) {
            break;
        }

        n = cn->ssl ? sync_client_write_tls(c) : sync_client_writev(c);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR) {
            sync_client_ops(c)->close(c, SYNC_WS_CODE_ABNORMAL, NULL);
            return;
        }

        sync_client_shift(c, n);
    }

    if (c->out) {
        c->waiting = 1;

        if (ngx_handle_write_event(cn->write, 0) != NGX_OK) {
            sync_client_ops(c)->close(c, SYNC_WS_CODE_ABNORMAL, NULL);
        }

        return;
    }

    if (c->conf->handler->drained && !c->closing) {
        c->conf->handler->drained(c);
    }
}


static ssize_t
sync_client_writev(sync_client_t *c)
{
    ssize_t        n;
    ngx_err_t      err;
    ngx_uint_t     i;
    sync_out_t    *out;
    struct iovec   iovs[SYNC_CLIENT_IOVS];

    i = 0;

    for (out = c->out; out && i < SYNC_CLIENT_IOVS; out = out->next) {
        iovs[i].iov_base = out->run->data + out->pos;
        iovs[i].iov_len = out->last - out->pos;
        i++;
    }

    for ( ;; ) {

        if (i == 1) {
            n = send(c->connection->fd, iovs[0].iov_base, iovs[0].iov_len, 0);

        } else {
            n = writev(c->connection->fd, iovs, i);
        }

        sync_zone_count(sync_client_worker.zone, SYNC_COUNT_WRITES, 1);

        if (n >= 0) {
            c->connection->sent += n;

            if ((size_t) n < c->queued && out == NULL) {
                c->connection->write->ready = 0;
            }

            return n;
        }

        err = ngx_errno;

        if (err == NGX_EAGAIN) {
            c->connection->write->ready = 0;
            return NGX_AGAIN;
        }

        if (err != NGX_EINTR) {
            c->connection->write->error = 1;
            (void) ngx_connection_error(c->connection, err,
                                        "send() to a client failed");
            return NGX_ERROR;
        }
    }
}


/*
 * Small spans share a record.  The buffer is the worker's: TLS wants the
 * same address and no fewer bytes again after NGX_AGAIN, and the queue of a
 * client that waits only grows.
 */

static ssize_t
sync_client_write_tls(sync_client_t *c)
{
    size_t         len, n;
    sync_out_t    *out;
    static u_char  buf[SYNC_CLIENT_TLS];

    len = 0;

    for (out = c->out; out && len < SYNC_CLIENT_TLS; out = out->next) {
        n = ngx_min(out->last - out->pos, SYNC_CLIENT_TLS - len);
        ngx_memcpy(buf + len, out->run->data + out->pos, n);
        len += n;
    }

    sync_zone_count(sync_client_worker.zone, SYNC_COUNT_WRITES, 1);

    return c->connection->send(c->connection, buf, len);
}


ngx_int_t
sync_client_send(sync_client_t *c, sync_str_t *json)
{
    ngx_int_t  rc;

    if (c->closing) {
        return SYNC_ERROR;
    }

    rc = sync_client_ops(c)->send(c, json);

    if (rc == SYNC_BUSY) {
        sync_zone_count(sync_client_worker.zone, SYNC_COUNT_SLOW, 1);
        sync_client_close(c, SYNC_WS_CODE_POLICY, "too slow");
    }

    return rc;
}


void
sync_client_close(sync_client_t *c, ngx_uint_t code, const char *reason)
{
    if (!c->closing) {
        sync_client_leaves(c, code);
        sync_client_ops(c)->close(c, code, reason);
    }
}


void
sync_client_leaves(sync_client_t *c, ngx_uint_t code)
{
    if (c->left != SYNC_LEFT_UNKNOWN) {
        return;
    }

    switch (code) {

    case SYNC_WS_CODE_NONE:
    case SYNC_WS_CODE_PROTOCOL:
    case SYNC_WS_CODE_UNSUPPORTED:
    case SYNC_WS_CODE_INVALID:
        c->left = SYNC_LEFT_FORCED;
        return;

    case SYNC_WS_CODE_AWAY:
    case SYNC_WS_CODE_RESTART:
        c->left = SYNC_LEFT_STOPPING;
        return;

    case SYNC_WS_CODE_ABNORMAL:
    case SYNC_WS_CODE_TOO_BIG:
    case SYNC_WS_CODE_INTERNAL:
    case SYNC_WS_CODE_TRY_LATER:
        c->left = SYNC_LEFT_ERROR;
        return;

    default:
        c->left = c->expelled ? SYNC_LEFT_SERVER : SYNC_LEFT_ERROR;
    }
}


/* The end of a turn: each client with output is written, the dead freed. */

static void
sync_client_turn_handler(ngx_event_t *ev)
{
    /* what the rooms are about to tell goes by the same write */

    if (!sync_wake_pending()) {
        sync_client_finish();
    }
}


void
sync_client_finish(void)
{
    sync_client_t         *c, *dead;
    sync_client_worker_t  *w;

    w = &sync_client_worker;
    dead = NULL;

    while (w->flush) {
        c = w->flush;

        w->flush = c->flush;
        if (w->flush == NULL) {
            w->flush_last = &w->flush;
        }

        c->flushing = 0;

        if (c->dead) {
            c->flush = dead;
            dead = c;
            continue;
        }

        sync_client_ops(c)->write(c);
    }

    while (dead) {
        c = dead;
        dead = c->flush;

        sync_client_free(c);
    }
}


void
sync_client_set_timer(sync_client_t *c, ngx_msec_t ms)
{
    uint32_t               due;
    sync_client_worker_t  *w;

    w = &sync_client_worker;

    /* round up: a timer is never early */

    due = sync_client_ticks(ngx_current_msec + ms) + 1;

    if ((int32_t) (due - w->tick) <= 0) {
        due = w->tick + 1;
    }

    ngx_queue_remove(&c->wheel);
    ngx_queue_insert_tail(&w->wheel[due % SYNC_WHEEL_SIZE], &c->wheel);

    c->due = due;
    c->timer = 1;

    if (!w->timer.timer_set || (int32_t) (due - w->armed) < 0) {
        w->armed = due;
        ngx_add_timer(&w->timer, (ngx_msec_t) (due * SYNC_WHEEL_TICK
                      - (uint32_t) ngx_current_msec));
    }
}


void
sync_client_del_timer(sync_client_t *c)
{
    ngx_queue_remove(&c->wheel);
    ngx_queue_insert_tail(&sync_client_worker.untimed, &c->wheel);

    c->timer = 0;
}


static void
sync_client_wheel_handler(ngx_event_t *ev)
{
    uint32_t               now;
    ngx_uint_t             n;
    sync_client_worker_t  *w;

    w = &sync_client_worker;
    now = sync_client_ticks(ngx_current_msec);

    for (n = 0; n < SYNC_WHEEL_SIZE && w->tick != now; n++) {
        w->tick++;
        sync_client_wheel_bucket(&w->wheel[w->tick % SYNC_WHEEL_SIZE], now);
    }

    w->tick = now;

    sync_client_wheel_arm();
}


static void
sync_client_wheel_bucket(ngx_queue_t *bucket, uint32_t now)
{
    ngx_queue_t     later;
    sync_client_t  *c;

    if (ngx_queue_empty(bucket)) {
        return;
    }

    /* a timeout may close clients, and put some into this bucket again */

    ngx_queue_init(&later);
    ngx_queue_add(&later, bucket);
    ngx_queue_init(bucket);

    while (!ngx_queue_empty(&later)) {
        c = ngx_queue_data(ngx_queue_head(&later), sync_client_t, wheel);

        ngx_queue_remove(&c->wheel);

        if ((int32_t) (c->due - now) > 0) {
            ngx_queue_insert_tail(bucket, &c->wheel);
            continue;
        }

        ngx_queue_insert_tail(&sync_client_worker.untimed, &c->wheel);
        c->timer = 0;

        sync_client_ops(c)->timeout(c);
    }
}


/* The timer goes to the next bucket that holds anything. */

static void
sync_client_wheel_arm(void)
{
    uint32_t               i;
    sync_client_worker_t  *w;

    w = &sync_client_worker;

    for (i = 1; i <= SYNC_WHEEL_SIZE; i++) {
        if (!ngx_queue_empty(&w->wheel[(w->tick + i) % SYNC_WHEEL_SIZE])) {
            w->armed = w->tick + i;
            ngx_add_timer(&w->timer, (ngx_msec_t) (w->armed * SYNC_WHEEL_TICK
                          - (uint32_t) ngx_current_msec));
            return;
        }
    }
}


socklen_t
sync_client_sockaddr(sync_client_t *c, ngx_sockaddr_t *sa)
{
    ngx_memzero(sa, sizeof(ngx_sockaddr_t));
    ngx_memcpy(sa, c->sockaddr, c->socklen);

    return sa->sockaddr.sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                             : c->socklen;
}


size_t
sync_client_address(sync_client_t *c, u_char *addr)
{
    socklen_t       socklen;
    ngx_sockaddr_t  sa;

    socklen = sync_client_sockaddr(c, &sa);

    if (sa.sockaddr.sa_family == AF_INET) {
        return sync_client_print_ipv4(addr, &sa.sockaddr_in);
    }

    return ngx_sock_ntop(&sa.sockaddr, socklen, addr, NGX_SOCKADDR_STRLEN, 0);
}


/* every hook call tells it, where a format would be a sizeable part */

static size_t
sync_client_print_ipv4(u_char *addr, struct sockaddr_in *sin)
{
    u_char      *p, *bytes;
    ngx_uint_t   i;

    p = addr;
    bytes = (u_char *) &sin->sin_addr;

    for (i = 0; i < 4; i++) {

        if (i) {
            *p++ = '.';
        }

        if (bytes[i] >= 100) {
            *p++ = '0' + bytes[i] / 100;
        }

        if (bytes[i] >= 10) {
            *p++ = '0' + bytes[i] / 10 % 10;
        }

        *p++ = '0' + bytes[i] % 10;
    }

    return p - addr;
}


void
sync_client_plain_address(sync_str_t *addr)
{
    size_t  len;

    len = sizeof("::ffff:") - 1;

    if (addr->len > len
        && ngx_memcmp(addr->data, "::ffff:", len) == 0
        && ngx_strlchr(addr->data, addr->data + addr->len, '.'))
    {
        addr->data += len;
        addr->len -= len;
    }
}


ngx_uint_t
sync_client_count(void)
{
    return sync_client_worker.nclients;
}


ngx_uint_t
sync_client_alive(void)
{
    return sync_client_worker.nalive;
}


size_t
sync_client_queued(void)
{
    return sync_client_worker.queued;
}


sync_zone_t *
sync_client_zone(void)
{
    return sync_client_worker.zone;
}


ngx_uint_t
sync_client_close_some(ngx_uint_t n, ngx_uint_t code, const char *reason)
{
    ngx_uint_t             i, closed;
    sync_client_worker_t  *w;

    w = &sync_client_worker;

    if (!w->ready) {
        return 0;
    }

    closed = sync_client_close_queue(&w->untimed, n, code, reason);

    for (i = 0; i < SYNC_WHEEL_SIZE && closed < n; i++) {
        closed += sync_client_close_queue(&w->wheel[w->sweep], n - closed,
                                          code, reason);

        if (closed < n) {
            w->sweep = (w->sweep + 1) % SYNC_WHEEL_SIZE;
        }
    }

    return closed;
}


static ngx_uint_t
sync_client_close_queue(ngx_queue_t *queue, ngx_uint_t n, ngx_uint_t code,
    const char *reason)
{
    ngx_uint_t      closed;
    ngx_queue_t    *q, *next;
    sync_client_t  *c;

    closed = 0;

    for (q = ngx_queue_head(queue);
         q != ngx_queue_sentinel(queue) && closed < n;
         q = next)
    {
        next = ngx_queue_next(q);
        c = ngx_queue_data(q, sync_client_t, wheel);

        if (c->closing) {
            continue;
        }

        /* moves at most itself: elsewhere, or to the end of this queue */

        sync_client_ops(c)->close(c, code, reason);
        closed++;
    }

    return closed;
}
