
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REPLAY_H_INCLUDED_
#define _SYNC_REPLAY_H_INCLUDED_


#include <sync_settings.h>
#include <sync_writer.h>


/*
 * Positions that clients hand back, and what they missed.
 *
 * The order is always this: the client becomes a member, then the log is
 * looked at, the client is answered, then it is read for, up to the top, and
 * from there on it hears what all hear.  So nothing falls in between.
 */


/* What a client is answered. */

typedef struct {
    sync_resume_e        reason;        /* OK: recovered; VOLATILE: nothing */
    sync_position_t      pos;           /* top, or where it starts */
} sync_resumption_t;


/*
 * Has a client that is a member of a room go on after a position, empty for
 * none.  What it missed is queued after what the caller queues in this turn.
 */
void sync_replay_resume(sync_client_t *c, sync_str_t *name, sync_str_t *pos,
    sync_resumption_t *r);

/* Writes "recovered":...,"reason":...,"pos":"..." of a recoverable room. */

#define SYNC_REPLAY_TEXT  128           /* bytes at most */

void sync_replay_write(sync_writer_t *w, sync_resumption_t *r);

/*
 * For an event stream of several channels, n of them: its events carry the
 * positions of all.  Returns SYNC_OK or SYNC_ERROR (memory).
 */
ngx_int_t sync_replay_places(sync_client_t *c, ngx_uint_t n);

/* Where it is in the i-th of them. */
void sync_replay_place(sync_client_t *c, ngx_uint_t i, sync_str_t *name,
    sync_position_t *pos);

/* For sync_client_handler_t.drained. */
void sync_replay_drained(sync_client_t *c);

/*
 * Reads the first of it at once, for a client that was answered: what is said
 * meanwhile may take the place of what it missed.
 */
void sync_replay_begin(sync_client_t *c);

/* Reads for who may go on; returns whether some have to wait for a turn. */
ngx_uint_t sync_replay_go_on(void);


#endif /* _SYNC_REPLAY_H_INCLUDED_ */
