
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_bridge.h>
#include <sync_holder.h>
#include <sync_timer.h>
#include <sync_worker.h>

#include <sys/mman.h>
#include <sys/socket.h>


#define SYNC_BRIDGE_VARIABLE  "SYNC_BRIDGE"
#define SYNC_BRIDGE_MAGIC     0x62726467
#define SYNC_BRIDGE_PART      32768     /* bytes of an entry, at most */
#define SYNC_BRIDGE_BUFFER    65536     /* bytes, grows to the largest entry */
#define SYNC_BRIDGE_PARTS     256       /* read or sent in a turn */
#define SYNC_BRIDGE_RETRY     5         /* ms, when a socket is full */
#define SYNC_BRIDGE_STALL     3000      /* ms, of a socket that stays so */
#define SYNC_BRIDGE_ENTRY_MAX (1024 * 1024 * 1024)
#define SYNC_BRIDGE_FDS       (1 + 2 * SYNC_RELAYS_MAX)


/* What stands before each part. */

typedef struct {
    uint32_t             magic;
    uint32_t             place;         /* of the sender */
    uint64_t             from;          /* ids of the zones */
    uint64_t             to;
    uint64_t             lsn;           /* of the entry in the relay */
    uint32_t             size;          /* of the whole entry */
    uint32_t             offset;        /* of this part */
} sync_bridge_part_t;


/* An entry of which not all parts have come. */

typedef struct {
    u_char              *data;
    uint64_t             from;
    uint64_t             lsn;
    uint32_t             size;
    uint32_t             got;
} sync_bridge_entry_t;


typedef struct {
    sync_zone_t         *zone;          /* NULL: no bridge */
    sync_bridge_pt       received;
    ngx_connection_t    *connection;    /* of the holder */
    ngx_event_t          retry;

    u_char              *buf;           /* entries from the relay */
    size_t               size;
    size_t               len;
    size_t               at;            /* the entry that is being sent */
    ngx_uint_t           place;         /* to where */
    uint32_t             offset;        /* from there on */
    ngx_msec_t           blocked;       /* since when, if it is */

    sync_bridge_entry_t  entries[SYNC_RELAYS_MAX];

    unsigned             is_blocked:1;
} sync_bridge_worker_t;


static ngx_int_t sync_bridge_make(ngx_cycle_t *cycle);
static ngx_int_t sync_bridge_inherit(ngx_cycle_t *cycle);
static ngx_int_t sync_bridge_map(ngx_cycle_t *cycle);
static ngx_int_t sync_bridge_export(ngx_cycle_t *cycle);
static ngx_int_t sync_bridge_take_place(sync_zone_t *z);
static void sync_bridge_empty(ngx_uint_t place);
static ngx_uint_t sync_bridge_is_stale(ngx_uint_t place);
static uint64_t sync_bridge_time(void);
static ngx_int_t sync_bridge_listen(void);
static void sync_bridge_close(void);
static void sync_bridge_retry_handler(ngx_event_t *ev);
static ngx_int_t sync_bridge_fill(void);
static ngx_int_t sync_bridge_send(sync_entry_t *e, ngx_uint_t *parts);
static ngx_int_t sync_bridge_send_part(sync_entry_t *e);
static void sync_bridge_read_handler(ngx_event_t *ev);
static void sync_bridge_write_handler(ngx_event_t *ev);
static void sync_bridge_receive(u_char *p, size_t len);
static void sync_bridge_complete(ngx_uint_t place, sync_bridge_entry_t *in);


/* the master's, inherited by all */

static int                sync_bridge_fds[SYNC_BRIDGE_FDS];
static sync_relay_hub_t  *sync_bridge_hub;
static ngx_uint_t         sync_bridge_failed;

static sync_bridge_worker_t  sync_bridge_worker;


/* the page; what is written to and what is read from, of each place */

#define sync_bridge_page_fd      sync_bridge_fds[0]
#define sync_bridge_in_fd(i)     sync_bridge_fds[1 + 2 * (i)]
#define sync_bridge_out_fd(i)    sync_bridge_fds[2 + 2 * (i)]


void
sync_bridge_create(ngx_cycle_t *cycle, sync_zone_t *z)
{
    ngx_int_t  rc;

    if (sync_bridge_failed) {
        return;
    }

    if (sync_bridge_hub == NULL) {
        rc = sync_bridge_inherit(cycle);

        if (rc == SYNC_DECLINED) {
            rc = sync_bridge_make(cycle);
        }

        if (rc != SYNC_OK) {
            sync_bridge_failed = 1;
            return;
        }
    }

    if (sync_bridge_export(cycle) != SYNC_OK) {
        return;
    }

    z->hub = sync_bridge_hub;

    if (sync_bridge_take_place(z) != SYNC_OK) {
        z->hub = NULL;

        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "no place for zone \"%V\" beside other zones of this "
                      "host, what is said there is not heard here",
                      &z->name);
    }
}


/* The descriptors are not closed by exec(): another binary inherits them. */

static ngx_int_t
sync_bridge_make(ngx_cycle_t *cycle)
{
    int         fds[2];
    ngx_uint_t  i;

    sync_bridge_page_fd = memfd_create("sync_bridge", 0);

    if (sync_bridge_page_fd == -1
        || ftruncate(sync_bridge_page_fd, ngx_pagesize) == -1)
    {
        ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                      "memfd_create() for a bridge between zones failed");
        return SYNC_ERROR;
    }

    if (sync_bridge_map(cycle) != SYNC_OK) {
        return SYNC_ERROR;
    }

    for (i = 0; i < SYNC_RELAYS_MAX; i++) {

        if (socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_NONBLOCK, 0, fds) == -1) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                          "socketpair() for a bridge between zones failed");
            sync_bridge_hub = NULL;
            return SYNC_ERROR;
        }

        sync_bridge_in_fd(i) = fds[0];
        sync_bridge_out_fd(i) = fds[1];
    }

    sync_bridge_hub->version = SYNC_RELAY_VERSION;
    sync_bridge_hub->magic = SYNC_RELAY_MAGIC;

    return SYNC_OK;
}


static ngx_int_t
sync_bridge_map(ngx_cycle_t *cycle)
{
    void  *p;

    p = mmap(NULL, ngx_pagesize, PROT_READ|PROT_WRITE, MAP_SHARED,
             sync_bridge_page_fd, 0);

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                      "mmap() for a bridge between zones failed");
        return SYNC_ERROR;
    }

    sync_bridge_hub = p;

    return SYNC_OK;
}


/* SYNC_DECLINED if no other binary left anything. */

static ngx_int_t
sync_bridge_inherit(ngx_cycle_t *cycle)
{
    u_char           *p, *last, *end;
    ngx_int_t         fd;
    ngx_uint_t        i;
    struct stat       st;

    p = (u_char *) getenv(SYNC_BRIDGE_VARIABLE);

    if (p == NULL || ngx_is_init_cycle(cycle->old_cycle) == 0) {
        return SYNC_DECLINED;
    }

    end = p + ngx_strlen(p);

    for (i = 0; i < SYNC_BRIDGE_FDS; i++) {

        last = ngx_strlchr(p, end, ';');
        fd = last ? ngx_atoi(p, last - p) : NGX_ERROR;

        if (fd == NGX_ERROR || fstat(fd, &st) == -1
            || (i ? !S_ISSOCK(st.st_mode)
                  : st.st_size != (off_t) ngx_pagesize))
        {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "invalid " SYNC_BRIDGE_VARIABLE
                          " environment variable, ignored");
            return SYNC_DECLINED;
        }

        sync_bridge_fds[i] = fd;
        p = last + 1;
    }

    if (sync_bridge_map(cycle) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (sync_bridge_hub->magic != SYNC_RELAY_MAGIC
        || sync_bridge_hub->version != SYNC_RELAY_VERSION)
    {
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                      "the old binary has another layout of messages: what "
                      "is said in its zone is not heard here");

        (void) munmap((void *) sync_bridge_hub, ngx_pagesize);
        sync_bridge_hub = NULL;

        return SYNC_DECLINED;
    }

    return SYNC_OK;
}


/* As if it stood in an "env" directive: nginx hands such variables on. */

static ngx_int_t
sync_bridge_export(ngx_cycle_t *cycle)
{
    u_char           *p;
    ngx_str_t        *var;
    ngx_uint_t        i;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    p = ngx_pnalloc(cycle->pool, sizeof(SYNC_BRIDGE_VARIABLE "=")
                                 + SYNC_BRIDGE_FDS * (NGX_INT_T_LEN + 1));
    if (p == NULL) {
        return SYNC_ERROR;
    }

    var = ngx_array_push(&ccf->env);
    if (var == NULL) {
        return SYNC_ERROR;
    }

    var->data = p;
    var->len = sizeof(SYNC_BRIDGE_VARIABLE) - 1;

    p = ngx_cpymem(p, SYNC_BRIDGE_VARIABLE "=", var->len + 1);

    for (i = 0; i < SYNC_BRIDGE_FDS; i++) {
        p = ngx_sprintf(p, "%d;", sync_bridge_fds[i]);
    }

    *p = '\0';

    return SYNC_OK;
}


/* The one it has, a free one, or one that nobody looks after any more. */

static ngx_int_t
sync_bridge_take_place(sync_zone_t *z)
{
    ngx_uint_t           i, stale;
    ngx_atomic_uint_t    old;
    sync_relay_place_t  *places;

    places = z->hub->places;

    for (i = 0; i < SYNC_RELAYS_MAX; i++) {
        if (places[i].zone == z->sh->id) {
            z->place = i;
            return SYNC_OK;
        }
    }

    for (stale = 0; stale < 2; stale++) {

        for (i = 0; i < SYNC_RELAYS_MAX; i++) {
            old = places[i].zone;

            if (old && (stale == 0 || !sync_bridge_is_stale(i))) {
                continue;
            }

            places[i].beat = ngx_current_msec;
            places[i].since = sync_bridge_time();

            if (ngx_atomic_cmp_set(&places[i].zone, old, z->sh->id)) {
                sync_bridge_empty(i);
                z->place = i;
                return SYNC_OK;
            }
        }
    }

    return SYNC_ERROR;
}


/* What was for the zone that had the place. */

static void
sync_bridge_empty(ngx_uint_t place)
{
    u_char  byte;

    while (recv(sync_bridge_in_fd(place), &byte, 1, 0) >= 0) {
        /* void */
    }
}


static ngx_uint_t
sync_bridge_is_stale(ngx_uint_t place)
{
    ngx_msec_t  beat;

    beat = sync_bridge_hub->places[place].beat;

    return (ngx_msec_int_t) (ngx_current_msec - beat) > SYNC_RELAY_STALE;
}


static uint64_t
sync_bridge_time(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}


void
sync_bridge_init_worker(sync_zone_t *z, sync_bridge_pt received)
{
    sync_bridge_worker_t  *w;

    w = &sync_bridge_worker;

    ngx_memzero(w, sizeof(sync_bridge_worker_t));

    if (z->hub) {
        w->zone = z;
        w->received = received;

        sync_timer_init(&w->retry, sync_bridge_retry_handler, 1);
    }
}


void
sync_bridge_tick(void)
{
    ngx_int_t              rc;
    ngx_uint_t             i;
    ngx_atomic_uint_t      zone;
    sync_zone_t           *z;
    sync_relay_place_t    *places;
    sync_bridge_worker_t  *w;

    w = &sync_bridge_worker;
    z = w->zone;

    if (z == NULL) {
        return;
    }

    rc = sync_holder_claim(z, SYNC_RELAY_HOLDER);

    if (rc == SYNC_AGAIN) {
        rc = sync_bridge_listen();

        if (rc == SYNC_OK) {
            rc = sync_holder_confirm(z, SYNC_RELAY_HOLDER);
        }
    }

    if (rc != SYNC_OK) {
        sync_bridge_close();
        return;
    }

    if (w->connection == NULL && sync_bridge_listen() != SYNC_OK) {
        return;
    }

    places = z->hub->places;

    places[z->place].beat = ngx_current_msec;

    /* given to another while all of this zone stood still, or given up */

    if (places[z->place].zone != z->sh->id
        && sync_bridge_take_place(z) != SYNC_OK)
    {
        return;
    }

    for (i = 0; i < SYNC_RELAYS_MAX; i++) {
        zone = places[i].zone;

        if (zone && i != z->place && sync_bridge_is_stale(i)) {
            (void) ngx_atomic_cmp_set(&places[i].zone, zone, 0);
        }
    }

    /* in case that it was heard of before this worker was the holder */

    ngx_post_event(w->connection->read, &ngx_posted_events);

    sync_bridge_look();
}


static ngx_int_t
sync_bridge_listen(void)
{
    ngx_connection_t      *c;
    sync_bridge_worker_t  *w;

    w = &sync_bridge_worker;

    if (w->connection) {
        return SYNC_OK;
    }

    c = ngx_get_connection(sync_bridge_in_fd(w->zone->place), ngx_cycle->log);
    if (c == NULL) {
        return SYNC_ERROR;
    }

    c->read->handler = sync_bridge_read_handler;
    c->read->log = ngx_cycle->log;
    c->write->handler = sync_bridge_write_handler;
    c->write->log = ngx_cycle->log;

    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_CLEAR_EVENT) != NGX_OK) {
        ngx_free_connection(c);
        c->fd = (ngx_socket_t) -1;
        return SYNC_ERROR;
    }

    w->connection = c;

    return SYNC_OK;
}


/* The socket stays open: it is the zone's. */

static void
sync_bridge_close(void)
{
    ngx_uint_t             i;
    ngx_connection_t      *c;
    sync_bridge_worker_t  *w;

    w = &sync_bridge_worker;
    c = w->connection;

    if (c == NULL) {
        return;
    }

    w->connection = NULL;

    if (w->retry.timer_set) {
        ngx_del_timer(&w->retry);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    (void) ngx_del_event(c->read, NGX_READ_EVENT, 0);

    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;

    /* who holds it next begins with the entry that was not freed */

    w->len = 0;
    w->at = 0;
    w->place = 0;
    w->offset = 0;
    w->is_blocked = 0;

    for (i = 0; i < SYNC_RELAYS_MAX; i++) {

        if (w->entries[i].data) {
            ngx_free(w->entries[i].data);
            w->entries[i].data = NULL;
        }
    }
}


void
sync_bridge_done(void)
{
    sync_zone_t           *z;
    sync_bridge_worker_t  *w;

    w = &sync_bridge_worker;
    z = w->zone;

    if (z == NULL) {
        return;
    }

    if (z->self) {
        sync_bridge_look();
    }

    sync_bridge_close();

    if (w->buf) {
        ngx_free(w->buf);
        w->buf = NULL;
    }

    w->zone = NULL;

    if (z->self == NULL) {
        return;
    }

    sync_holder_release(z, SYNC_RELAY_HOLDER);

    if (sync_worker_count(z) == 1) {
        (void) ngx_atomic_cmp_set(&z->hub->places[z->place].zone, z->sh->id,
                                  0);
    }
}


static void
sync_bridge_retry_handler(ngx_event_t *ev)
{
    sync_bridge_look();
}


void
sync_bridge_look(void)
{
    ngx_int_t              rc;
    ngx_uint_t             parts;
    sync_entry_t          *e;
    sync_bridge_worker_t  *w;

    w = &sync_bridge_worker;

    if (w->connection == NULL
        || !sync_holder_mine(w->zone, SYNC_RELAY_HOLDER))
    {
        return;
    }

    parts = 0;

    for ( ;; ) {

        if (w->at == w->len) {
            rc = sync_bridge_fill();

            if (rc != SYNC_OK) {
                return;
            }
        }

        e = (sync_entry_t *) (w->buf + w->at);

        rc = sync_bridge_send(e, &parts);

        if (rc == SYNC_AGAIN) {
            ngx_add_timer(&w->retry, SYNC_BRIDGE_RETRY);
            return;
        }

        w->at += e->size;
        w->place = 0;
        w->offset = 0;

        sync_zone_count(w->zone, SYNC_COUNT_BRIDGED, 1);

        if (w->at == w->len) {
            sync_relay_passed(w->zone, e->lsn);
        }
    }
}


/* SYNC_DECLINED if there is nothing. */

static ngx_int_t
sync_bridge_fill(void)
{
    size_t                 need;
    u_char                *p;
    ssize_t                n;
    uint64_t               lost;
    sync_bridge_worker_t  *w;

    w = &sync_bridge_worker;

    w->at = 0;
    w->len = 0;

    need = SYNC_BRIDGE_BUFFER;

    for ( ;; ) {

        if (need > w->size || w->buf == NULL) {
            p = ngx_alloc(need, ngx_cycle->log);
            if (p == NULL) {
                return SYNC_ERROR;
            }

            if (w->buf) {
                ngx_free(w->buf);
            }

            w->buf = p;
            w->size = need;
        }

        n = sync_relay_read(w->zone, w->buf, w->size, &lost, &need);

        if (n != SYNC_AGAIN) {
            break;
        }
    }

    if (n == 0) {
        return SYNC_DECLINED;
    }

    if (lost) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "%uL messages of zone \"%V\" were not passed on to "
                      "other zones, as too many waited",
                      lost, &w->zone->name);
    }

    w->len = n;

    return SYNC_OK;
}


/* SYNC_AGAIN if a socket is full, or enough was sent in this turn. */

static ngx_int_t
sync_bridge_send(sync_entry_t *e, ngx_uint_t *parts)
{
    ngx_int_t              rc;
    sync_zone_t           *z;
    sync_bridge_worker_t  *w;

    w = &sync_bridge_worker;
    z = w->zone;

    while (w->place < SYNC_RELAYS_MAX) {

        /* what was said before a zone was there is not for it */

        while (w->offset < e->size
               && sync_relay_is_other(z, w->place)
               && z->hub->places[w->place].since <= e->time)
        {

            if ((*parts)++ == SYNC_BRIDGE_PARTS) {
                return SYNC_AGAIN;
            }

            rc = sync_bridge_send_part(e);

            if (rc == SYNC_OK) {
                w->is_blocked = 0;
                continue;
            }

            if (rc == SYNC_AGAIN) {

                if (!w->is_blocked) {
                    w->is_blocked = 1;
                    w->blocked = ngx_current_msec;
                }

                if (ngx_current_msec - w->blocked < SYNC_BRIDGE_STALL) {
                    return SYNC_AGAIN;
                }
            }

            /* it will find that this one is missing */

            w->is_blocked = 0;

            ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                          "a zone beside \"%V\" takes no messages",
                          &z->name);
            break;
        }

        w->place++;
        w->offset = 0;
    }

    return SYNC_OK;
}


static ngx_int_t
sync_bridge_send_part(sync_entry_t *e)
{
    ssize_t                n;
    ngx_err_t              err;
    sync_zone_t           *z;
    struct iovec           iov[2];
    struct msghdr          msg;
    sync_bridge_part_t     part;
    sync_bridge_worker_t  *w;

    w = &sync_bridge_worker;
    z = w->zone;

    part.magic = SYNC_BRIDGE_MAGIC;
    part.place = z->place;
    part.from = z->sh->id;
    part.to = z->hub->places[w->place].zone;
    part.lsn = e->lsn;
    part.size = e->size;
    part.offset = w->offset;

    iov[0].iov_base = &part;
    iov[0].iov_len = sizeof(sync_bridge_part_t);
    iov[1].iov_base = (u_char *) e + w->offset;
    iov[1].iov_len = ngx_min(e->size - w->offset, SYNC_BRIDGE_PART);

    ngx_memzero(&msg, sizeof(struct msghdr));

    msg.msg_iov = iov;
    msg.msg_iovlen = 2;

    do {
        n = sendmsg(sync_bridge_out_fd(w->place), &msg,
                    MSG_DONTWAIT|MSG_NOSIGNAL);

    } while (n == -1 && ngx_socket_errno == NGX_EINTR);

    if (n != -1) {
        w->offset += iov[1].iov_len;
        return SYNC_OK;
    }

    err = ngx_socket_errno;

    if (err == NGX_EAGAIN || err == ENOBUFS) {
        return SYNC_AGAIN;
    }

    ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, err,
                  "sendmsg() to a zone beside \"%V\" failed", &z->name);

    return SYNC_ERROR;
}


static void
sync_bridge_read_handler(ngx_event_t *ev)
{
    ssize_t                n;
    ngx_uint_t             i;
    ngx_connection_t      *c;
    sync_bridge_worker_t  *w;
    static u_char          buf[sizeof(sync_bridge_part_t) + SYNC_BRIDGE_PART];

    w = &sync_bridge_worker;
    c = ev->data;

    /* a worker that is told to exit goes on until it has no clients */

    c->close = 0;
    c->error = 0;

    for (i = 0; i < SYNC_BRIDGE_PARTS; i++) {

        /* what it publishes may end this worker's part in it */

        if (c != w->connection
            || !sync_holder_mine(w->zone, SYNC_RELAY_HOLDER))
        {
            return;
        }

        n = recv(c->fd, buf, sizeof(buf), 0);

        if (n == -1 && ngx_socket_errno == NGX_EINTR) {
            continue;
        }

        if (n <= 0) {
            return;
        }

        sync_bridge_receive(buf, n);
    }

    ngx_post_event(ev, &ngx_posted_next_events);
}


static void
sync_bridge_write_handler(ngx_event_t *ev)
{
    /* void */
}


static void
sync_bridge_receive(u_char *p, size_t len)
{
    sync_zone_t           *z;
    sync_bridge_part_t     part;
    sync_bridge_entry_t   *in;
    sync_bridge_worker_t  *w;

    w = &sync_bridge_worker;
    z = w->zone;

    if (len <= sizeof(sync_bridge_part_t)) {
        return;
    }

    ngx_memcpy(&part, p, sizeof(sync_bridge_part_t));

    p += sizeof(sync_bridge_part_t);
    len -= sizeof(sync_bridge_part_t);

    /* what is for the zone that had the place before is dropped */

    if (part.magic != SYNC_BRIDGE_MAGIC
        || part.to != z->sh->id
        || part.place >= SYNC_RELAYS_MAX
        || part.size < sizeof(sync_entry_t)
        || part.size > SYNC_BRIDGE_ENTRY_MAX
        || part.offset > part.size
        || len > part.size - part.offset)
    {
        return;
    }

    in = &w->entries[part.place];

    if (part.offset == 0) {

        if (in->data) {
            ngx_free(in->data);
        }

        in->data = ngx_alloc(part.size, ngx_cycle->log);
        if (in->data == NULL) {
            return;
        }

        in->from = part.from;
        in->lsn = part.lsn;
        in->size = part.size;
        in->got = 0;
    }

    if (in->data == NULL
        || in->from != part.from
        || in->lsn != part.lsn
        || in->size != part.size
        || in->got != part.offset)
    {
        return;
    }

    ngx_memcpy(in->data + in->got, p, len);
    in->got += len;

    if (in->got == in->size) {
        sync_bridge_complete(part.place, in);
    }
}


static void
sync_bridge_complete(ngx_uint_t place, sync_bridge_entry_t *in)
{
    size_t                 len;
    uint64_t               lost;
    sync_zone_t           *z;
    sync_entry_t          *e;
    sync_bridge_worker_t  *w;

    w = &sync_bridge_worker;
    z = w->zone;

    e = (sync_entry_t *) in->data;
    in->data = NULL;

    len = sizeof(sync_entry_t) + (size_t) e->len + e->subject_len
          + (size_t) e->nexcept * SYNC_ID_LEN + e->pad;

    if (e->size == in->size && len <= in->size && e->event_len <= e->len
        && sync_relay_note(z, place, in->from, in->lsn, &lost) == SYNC_OK)
    {
        if (lost) {
            sync_zone_count(z, SYNC_COUNT_BRIDGE_LOST, lost);

            ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                          "%uL messages of another zone were lost on their "
                          "way to zone \"%V\"", lost, &z->name);
        }

        w->received(e);
    }

    ngx_free(e);
}
