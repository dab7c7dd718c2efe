
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_PROCESS_H_INCLUDED_
#define _SYNC_PROCESS_H_INCLUDED_


#include <sync_settings.h>


/*
 * A worker's life.
 *
 *     init --> serves --(reload, stop)--> drains --> exits
 *                 `------(fast stop)----------------->
 *
 * It has a slot in the zone from init till it exits.  When it drains it
 * goes on to serve the clients it has, and lets them go evenly over
 * sync_drain: with 1012 after a reload, when other workers are there to take
 * them, with 1001 when nginx stops.
 */


/*
 * In init_process and exit_process of a worker.  Nothing happens if
 * main->zone is NULL.  Returns SYNC_OK, or SYNC_ERROR if the worker cannot
 * serve and should not run.
 */
ngx_int_t sync_process_init(ngx_cycle_t *cycle, sync_main_settings_t *main);
void sync_process_exit(ngx_cycle_t *cycle);

/* SYNC_OK, or SYNC_BUSY while it has no slot or drains: answer 503. */
ngx_int_t sync_process_ready(void);

/*
 * So many requests more, or less, may become clients: while there are any, the
 * worker keeps its slot.
 */
void sync_process_expect(ngx_int_t n);


#endif /* _SYNC_PROCESS_H_INCLUDED_ */
