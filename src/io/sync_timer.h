
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_TIMER_H_INCLUDED_
#define _SYNC_TIMER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/*
 * Prepares a timer, or an event to be posted, that belongs to no connection.
 * nginx's debug log looks for one in ev->data, so it has to be there: the
 * handler finds its own by where the event is.
 *
 * A cancelable timer does not hold up a worker that exits.
 */
void sync_timer_init(ngx_event_t *ev, ngx_event_handler_pt handler,
    ngx_uint_t cancelable);


#endif /* _SYNC_TIMER_H_INCLUDED_ */
