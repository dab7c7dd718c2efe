
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_FANOUT_H_INCLUDED_
#define _SYNC_FANOUT_H_INCLUDED_


#include <sync_audience.h>


/*
 * From the log to the clients of this worker.
 *
 *     zone                     this worker
 *     room <-- interest  <-->  audience: seat, seat, seat ...
 *      | log      cursor                  |
 *      |                                client
 *      `--(take)--> batch --(once a dialect)--> run --> queues --> flush
 *
 * An audience is this worker's part of a room: the clients to walk.  A seat
 * is a client in it.  What is taken from a room in one go is a batch; it is
 * framed once for each dialect that is present and queued to each member,
 * SYNC_FANOUT_SLICE of them at a time.  A member that joined in the middle
 * of a batch gets the rest of the run, one that is excepted from a message
 * gets the run's parts around it.
 *
 * While a batch is being delivered the room is not taken from again, so the
 * order of a room is that of its log for every member.
 */


#define SYNC_FANOUT_SLICE  1024         /* members a turn and room */


/* Once in a worker.  Returns SYNC_OK or SYNC_ERROR (memory). */
ngx_int_t sync_fanout_init_worker(sync_main_settings_t *main,
    sync_fanout_obey_pt obey, sync_fanout_heed_pt heed);

/* The client came to its token's room, and knows the session as it is. */
void sync_fanout_seen(sync_client_t *c);

/*
 * Calls heed, with no entry, for the clients whose token's session has
 * another version than they were told of.
 */
void sync_fanout_review(void);

/* The cookie of the interest in the host's own room. */
uint64_t sync_fanout_host_cookie(void);

/*
 * Has the client, which has a record, hear what is said to all.  Returns
 * SYNC_OK or SYNC_ERROR (memory).
 */
ngx_int_t sync_fanout_enter(sync_client_t *c);

/*
 * Makes the client a member of the room.  Returns SYNC_OK, SYNC_DECLINED if
 * it is a member already, SYNC_BUSY if the zone is full, or SYNC_ERROR
 * (memory).  No hook is asked, no rule looked at.
 */
ngx_int_t sync_fanout_join(sync_client_t *c, sync_str_t *name);

/* Returns SYNC_OK, or SYNC_DECLINED if the client is not a member. */
ngx_int_t sync_fanout_leave(sync_client_t *c, sync_str_t *name);

/* Leaves all rooms, and hears nothing any more: for a client that closes. */
void sync_fanout_exit(sync_client_t *c);

/*
 * Has the client's session moved to who claimed it, as sync_sid_move() does,
 * whose value it returns: with SYNC_OK the client has left this worker, and
 * its record is NULL.
 */
ngx_int_t sync_fanout_depart(sync_client_t *c, sync_sid_t *s);

/*
 * Seats a client whose record came from elsewhere, in all its rooms; not
 * while sync_fanout_busy().  Returns SYNC_OK, or SYNC_ERROR (memory): the
 * record can only be removed then.
 */
ngx_int_t sync_fanout_arrive(sync_client_t *c);

/* Whether something is being said to all: who arrives has heard it before. */
ngx_uint_t sync_fanout_busy(void);

/* Whether the client is a member. */
ngx_uint_t sync_fanout_is_member(sync_client_t *c, sync_str_t *name);

/*
 * The member's room in the zone, good while it is a member; or NULL.
 */
sync_room_t *sync_fanout_room(sync_client_t *c, sync_str_t *name);

/*
 * The rooms of a client in the order of joining: up to n borrowed names.
 * Returns how many there are.
 */
ngx_uint_t sync_fanout_rooms(sync_client_t *c, sync_str_t *names,
    ngx_uint_t n);

/* The clients of this worker that hear what is said to all, and how many. */
ngx_uint_t sync_fanout_clients(sync_client_t ***clients);

/* Takes what is new and delivers it; for sync_wake_handler_t.look. */
void sync_fanout_look(void);

/* Whether the last look left something to a later turn. */
ngx_uint_t sync_fanout_behind(void);

/* Looks so far; by that one knows whether there was one. */
ngx_uint_t sync_fanout_looks(void);

/* Called at the end of each look; NULL: nothing is. */
void sync_fanout_watch(void (*looked)(void));

/* Of this worker: rooms with members. */
ngx_uint_t sync_fanout_audiences(void);


#endif /* _SYNC_FANOUT_H_INCLUDED_ */
