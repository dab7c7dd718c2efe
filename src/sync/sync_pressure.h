
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_PRESSURE_H_INCLUDED_
#define _SYNC_PRESSURE_H_INCLUDED_


#include <sync_chunk.h>


/*
 * A hook is read no faster than what it says is taken.
 *
 *     lines --> hold --(next turn)--> is somebody behind? -- no --> resume
 *                                        |      ^
 *                                       yes     | each SYNC_PRESSURE_TICK
 *                                        `------'
 *
 * Behind is an asker who has more to read than half of its "sync_queue"; a
 * member of the receiver's room who has, in whatever worker, but for no longer
 * than SYNC_PRESSURE_PATIENCE, so that one that does not read at all meets
 * its bound; and a worker that has left half of what the room's log may hold
 * unread; and who has said too much that Redis has not answered for.
 *
 * After each piece of an answer, a few kilobytes, the loop has a turn in any
 * case: then what was said is on its way.
 */


#define SYNC_PRESSURE_TICK      10      /* ms */
#define SYNC_PRESSURE_PATIENCE  5000    /* ms */


/* The answer has to wait: what a line handler returns is SYNC_AGAIN. */
void sync_pressure_hold(sync_request_t *rq);

/*
 * A line has to wait till nothing is pending, sync_chunk.h, and what was
 * changed of the session is saved: what its handler returns is SYNC_BUSY.
 */
void sync_pressure_wait(sync_request_t *rq);

/* Something that is waited for is over: looks anew, in this turn. */
void sync_pressure_look(void);

/*
 * Calls the handler then, in a later turn, instead of going on with lines;
 * not if the request goes before.
 */
void sync_pressure_then(sync_request_t *rq,
    void (*handler)(sync_request_t *rq));


#endif /* _SYNC_PRESSURE_H_INCLUDED_ */
