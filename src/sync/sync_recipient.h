
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_RECIPIENT_H_INCLUDED_
#define _SYNC_RECIPIENT_H_INCLUDED_


#include <sync_stage.h>


/*
 * The client stage: what a message is to each of this worker's members of a
 * room, as the app says.
 *
 *     message, members --> calls of SYNC_RECIPIENT_BATCH members, some at once
 *                              | lines: {"k":3,"stream":...}
 *                              v        {"k":[3,4],"out":...}
 *                          send() to each of them, with the same frame where
 *                          the app said the same
 *
 * Each member that is added is told something in the end: the result, or an
 * error if the app fails, says nothing of it, or is cut short; but for one
 * that is forgotten as it leaves, and one for which the app says
 * "sync.ignore".
 *
 * Who owns a stage sees to the order: till done() is called nothing else that
 * the room says is to reach those members.
 */


/*
 * A stage for a message, which is copied, read from the room called name.
 * NULL if there is no memory.
 */
sync_stage_t *sync_stage_create(sync_entry_t *e, sync_str_t *name,
    ngx_uint_t recoverable, const sync_stage_handler_t *handler,
    void *opaque);

/* Before the start.  Each client once.  SYNC_OK or SYNC_ERROR. */
ngx_int_t sync_stage_add(sync_stage_t *st, sync_client_t *c);

/*
 * Before the start: the message was read from that room, for which this worker
 * has the interest, and calls are to be shared with others that read it.
 */
void sync_stage_share(sync_stage_t *st, sync_room_t *room,
    sync_interest_t *interest);

/*
 * Asks.  Returns SYNC_AGAIN if done() is to be called, later; or SYNC_OK if
 * there was nobody to ask for: all were told, the stage is gone.
 */
ngx_int_t sync_stage_start(sync_stage_t *st);

/* Whether the client is to be told something yet. */
ngx_uint_t sync_stage_owes(sync_stage_t *st, sync_client_t *c);

/* The client is to be told nothing more. */
void sync_stage_forget(sync_stage_t *st, sync_client_t *c);

/* Ends it at once; neither handler is called any more. */
void sync_stage_destroy(sync_stage_t *st);

/*
 * Starts a stage that stands in no room's order, and has no owner: its clients
 * are looked after by sync_stage_exit(), and while one waits it is not to go
 * to another worker.
 */
void sync_stage_detach(sync_stage_t *st);
void sync_stage_exit(sync_client_t *c);
ngx_uint_t sync_stage_waits(sync_client_t *c);

/* Of this worker: stages; their calls, with those that others make. */
ngx_uint_t sync_stage_count(void);
ngx_uint_t sync_stage_calls(void);


#endif /* _SYNC_RECIPIENT_H_INCLUDED_ */
