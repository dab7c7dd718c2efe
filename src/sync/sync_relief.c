
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_relief.h>
#include <sync_timer.h>


static void sync_relief_handler(ngx_event_t *ev);


static ngx_queue_t  sync_relief_rooms;
static ngx_event_t  sync_relief_timer;


void
sync_relief_begin(sync_audience_t *a)
{
    /* what is said to all, or by name, has no room to be held up */

    if (a == sync_fanout_worker.host || a->gone || a->interest == NULL) {
        return;
    }

    if (sync_relief_rooms.next == NULL) {
        ngx_queue_init(&sync_relief_rooms);
        sync_timer_init(&sync_relief_timer, sync_relief_handler, 1);
    }

    a->pressed = 1;
    a->interest->behind = 1;

    ngx_queue_insert_tail(&sync_relief_rooms, &a->relief);

    if (!sync_relief_timer.timer_set) {
        ngx_add_timer(&sync_relief_timer, SYNC_RELIEF_TICK);
    }
}


void
sync_relief_forget(sync_audience_t *a)
{
    if (a->pressed) {
        ngx_queue_remove(&a->relief);
        a->pressed = 0;
    }
}


static void
sync_relief_handler(ngx_event_t *ev)
{
    uint32_t          i;
    ngx_queue_t      *q, *next;
    sync_audience_t  *a;

    for (q = ngx_queue_head(&sync_relief_rooms);
         q != ngx_queue_sentinel(&sync_relief_rooms);
         q = next)
    {
        next = ngx_queue_next(q);
        a = ngx_queue_data(q, sync_audience_t, relief);

        for (i = 0; i < a->n; i++) {
            if (!a->seats[i]->closing && sync_client_pressed(a->seats[i])) {
                break;
            }
        }

        if (i == a->n) {
            sync_relief_forget(a);
            a->interest->behind = 0;
        }
    }

    if (!ngx_queue_empty(&sync_relief_rooms)) {
        ngx_add_timer(&sync_relief_timer, SYNC_RELIEF_TICK);
    }
}
