
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_wake.h>
#include <sync_timer.h>

#include <sys/eventfd.h>


#define SYNC_WAKE_TICK  1000            /* ms */


typedef struct {
    const sync_wake_handler_t  *handler;
    ngx_connection_t           *connection;
    ngx_event_t                 look;
    ngx_event_t                 tick;
} sync_wake_worker_t;


static void sync_wake_read_handler(ngx_event_t *ev);
static void sync_wake_write_handler(ngx_event_t *ev);
static void sync_wake_look_handler(ngx_event_t *ev);
static void sync_wake_tick_handler(ngx_event_t *ev);


/* the master's; workers of all generations inherit them */

static int         sync_wake_fds[SYNC_WORKERS_MAX];
static ngx_uint_t  sync_wake_nfds;

/* the last configuration's zone, which is there until the next one is in use */

static sync_zone_sh_t  *sync_wake_zone;

static sync_wake_worker_t  sync_wake_worker;


ngx_int_t
sync_wake_create(ngx_cycle_t *cycle, sync_zone_t *z, ngx_uint_t n)
{
    int         fd;
    ngx_uint_t  i;

    n = ngx_min(n, z->sh->nslots);

    while (sync_wake_nfds < n) {

        fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

        if (fd == -1) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                          "eventfd() failed");
            return SYNC_ERROR;
        }

        sync_wake_fds[sync_wake_nfds++] = fd;
    }

    /*
     * A zone that replaces another one gets the same eventfds: should both
     * be in use for a while, a worker looks once in vain.
     */

    if (sync_wake_zone && sync_wake_zone != z->sh) {
        sync_wake_zone->generation++;
    }

    sync_wake_zone = z->sh;

    sync_zone_lock(z);

    /* there may be more eventfds, of a larger zone before this one */

    n = ngx_min(sync_wake_nfds, z->sh->nslots);

    for (i = z->sh->nworkers; i < n; i++) {
        z->sh->workers[i].fd = sync_wake_fds[i];
    }

    z->sh->nworkers = n;
    z->sh->generation++;
    z->generation = z->sh->generation;

    sync_zone_unlock(z);

    return SYNC_OK;
}


void
sync_wake_forget(void)
{
    if (sync_wake_zone) {
        sync_wake_zone->generation++;
        sync_wake_zone = NULL;
    }
}


ngx_int_t
sync_wake_listen(ngx_cycle_t *cycle, sync_zone_t *z,
    const sync_wake_handler_t *handler)
{
    ngx_connection_t    *c;
    sync_wake_worker_t  *w;

    w = &sync_wake_worker;

    c = ngx_get_connection(z->self->fd, cycle->log);
    if (c == NULL) {
        return SYNC_ERROR;
    }

    c->read->handler = sync_wake_read_handler;
    c->read->log = cycle->log;
    c->write->handler = sync_wake_write_handler;
    c->write->log = cycle->log;

    /* nginx tells idle connections that the worker is about to exit */

    c->idle = 1;

    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_CLEAR_EVENT) != NGX_OK) {
        ngx_free_connection(c);
        return SYNC_ERROR;
    }

    w->handler = handler;
    w->connection = c;

    sync_timer_init(&w->look, sync_wake_look_handler, 0);
    sync_timer_init(&w->tick, sync_wake_tick_handler, 1);

    ngx_add_timer(&w->tick, SYNC_WAKE_TICK);

    return SYNC_OK;
}


void
sync_wake_done(void)
{
    ngx_connection_t    *c;
    sync_wake_worker_t  *w;

    w = &sync_wake_worker;
    c = w->connection;

    if (c == NULL) {
        return;
    }

    w->connection = NULL;

    if (w->tick.timer_set) {
        ngx_del_timer(&w->tick);
    }

    if (w->look.posted) {
        ngx_delete_posted_event(&w->look);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    /* the eventfd itself stays: others may be about to write to it */

    (void) ngx_del_event(c->read, NGX_READ_EVENT, 0);

    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;
}


void
sync_wake_send(sync_zone_t *z, sync_wake_set_t *wake)
{
    ngx_uint_t      i;
    sync_worker_t  *worker;

    static const uint64_t  one = 1;

    for (i = 0; i < wake->n; i++) {
        worker = &z->sh->workers[wake->slots[i]];

        if (worker == z->self) {
            sync_wake_self(1);
            continue;
        }

        sync_zone_count(z, SYNC_COUNT_WAKES, 1);

        if (write(worker->fd, &one, sizeof(one)) == -1) {
            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                          "write() to eventfd of worker slot %d failed",
                          (int) wake->slots[i]);
        }
    }
}


void
sync_wake_self(ngx_uint_t next)
{
    sync_wake_worker_t  *w;

    w = &sync_wake_worker;

    if (w->connection == NULL) {
        return;
    }

    if (next) {
        ngx_post_event(&w->look, &ngx_posted_next_events);

    } else {
        ngx_post_event(&w->look, &ngx_posted_events);
    }
}


ngx_uint_t
sync_wake_pending(void)
{
    return sync_wake_worker.look.posted;
}


static void
sync_wake_read_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    if (c->close) {

        /* nginx says it once; what comes later are wakes again */

        c->close = 0;
        c->error = 0;

        sync_wake_worker.handler->exiting();
        return;
    }

    /* edge-triggered: there is no need to read the count */

    sync_wake_self(0);
}


static void
sync_wake_write_handler(ngx_event_t *ev)
{
    /* void */
}


static void
sync_wake_look_handler(ngx_event_t *ev)
{
    sync_wake_worker.handler->look();
}


static void
sync_wake_tick_handler(ngx_event_t *ev)
{
    ngx_add_timer(ev, SYNC_WAKE_TICK);

    sync_wake_worker.handler->tick();
}
