
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_NOTIFY_H_INCLUDED_
#define _SYNC_NOTIFY_H_INCLUDED_


#include <sync_settings.h>


/*
 * Hooks that are told of what happened and not asked: batched, numbered, at
 * least once.
 *
 *     add --> pending --(50 ms, or 64 of them)--> in flight --2xx--> gone
 *                ^                                    |
 *                `----(later and later, 5 times)------'
 *
 * There is one queue for each event and uri of a server.  When
 * SYNC_NOTIFY_MAX events wait, the oldest one is dropped for a new one, or the
 * new one while a call is in flight; what failed too often is dropped.  All
 * are counted.
 * The body is {"v":1,"id":...,"event":"disconnect","seq":n,"worker":...,
 * "events":[...]}; seq is that of the first event, and rises by one with
 * each event of a worker, whose slot and incarnation "worker" tells: an app
 * that keeps the last one knows what it saw already.
 */


#define SYNC_NOTIFY_MAX     4096        /* events that wait */
#define SYNC_NOTIFY_BATCH   64          /* events a call */
#define SYNC_NOTIFY_TRIES   5


/* Tells of an event, a JSON object; nothing if no such hook is set. */
void sync_notify_add(sync_settings_t *s, sync_hook_event_e event,
    sync_str_t *json);

/*
 * Tells of what a client did: {"clientId","userId","token","room",
 * "timestamp"}, with no room if that is NULL.
 */
void sync_notify_client(sync_client_t *c, sync_hook_event_e event,
    sync_str_t *room);

/* Sends what waits without delay: for a worker that is about to exit. */
void sync_notify_flush(void);

/* Of this worker: events that wait or are in flight. */
ngx_uint_t sync_notify_waiting(void);


#endif /* _SYNC_NOTIFY_H_INCLUDED_ */
