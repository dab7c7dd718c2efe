
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_WAKE_H_INCLUDED_
#define _SYNC_WAKE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_worker.h>


/*
 * Workers wake one another by eventfds, which the master makes once: those
 * of a reload's old and new generation have all of them.  A wake says
 * nothing but "look": what there is stands in the zone.
 *
 * The connection on the worker's own eventfd is also the one that hears of
 * a reload or stop: nginx closes idle connections then, and calls its read
 * handler with c->close set.
 */


/* looked: there may be news.  tick: each second.  exiting: once. */

typedef struct {
    void  (*look)(void);
    void  (*tick)(void);
    void  (*exiting)(void);
} sync_wake_handler_t;


/*
 * In the master, for each new configuration: makes the eventfds that the
 * zone's slots lack, up to n of them, and raises the zone's generation, by
 * which a worker tells a reload from a stop; that of a zone that is given up
 * as well.  Returns SYNC_OK, or SYNC_ERROR
 * with the log written.
 */
ngx_int_t sync_wake_create(ngx_cycle_t *cycle, sync_zone_t *z, ngx_uint_t n);

/* The same for a configuration that has no zone. */
void sync_wake_forget(void);

/*
 * In a worker that has a slot: listens on its eventfd, and starts the slow
 * tick once a second, which does not hold up a worker that exits.
 */
ngx_int_t sync_wake_listen(ngx_cycle_t *cycle, sync_zone_t *z,
    const sync_wake_handler_t *handler);

/* Lets go of the connection and the tick. */
void sync_wake_done(void);

/*
 * Wakes the slots of the set.  This worker itself looks in its next turn, so
 * that all that is published in one turn is delivered together.
 */
void sync_wake_send(sync_zone_t *z, sync_wake_set_t *wake);

/* Looks at the end of this turn, or, if next, at the end of the next. */
void sync_wake_self(ngx_uint_t next);

/* Whether this worker is about to look. */
ngx_uint_t sync_wake_pending(void);


#endif /* _SYNC_WAKE_H_INCLUDED_ */
