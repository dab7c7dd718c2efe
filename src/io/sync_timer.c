
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_timer.h>


void
sync_timer_init(ngx_event_t *ev, ngx_event_handler_pt handler,
    ngx_uint_t cancelable)
{
    static ngx_connection_t  dumb = { .fd = (ngx_socket_t) -1 };

    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->data = &dumb;
    ev->handler = handler;
    ev->log = ngx_cycle->log;
    ev->cancelable = cancelable;
}
