
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_DELIVER_H_INCLUDED_
#define _SYNC_DELIVER_H_INCLUDED_


#include <sync_audience.h>


/*
 * Queues to one client what of a batch it is to hear.  The client may be
 * closed by that.
 */
void sync_deliver(sync_audience_t *a, sync_batch_t *b, sync_client_t *c);

/* The same from a message on, to a member that reads for itself too. */
void sync_deliver_from(sync_audience_t *a, sync_batch_t *b, sync_client_t *c,
    uint32_t from);

/* Whether a client that has a seat is to hear the entry, one of the batch. */
ngx_uint_t sync_deliver_meant(sync_audience_t *a, sync_batch_t *b,
    sync_client_t *c, sync_entry_t *e);

/* Whether a member joined after the entry, or reads it for itself. */
ngx_uint_t sync_deliver_late(sync_audience_t *a, sync_batch_t *b,
    sync_client_t *c, sync_entry_t *e);

/*
 * Queues n messages, a run's bytes [pos, last), as the room's policy for slow
 * clients says.  Returns SYNC_OK, or SYNC_ERROR if the client is no more: the
 * audience may be gone with it.
 */
ngx_int_t sync_deliver_span(sync_audience_t *a, sync_client_t *c,
    sync_run_t *run, uint32_t pos, uint32_t last, ngx_uint_t n);

/* Whether it is not among those that the entry leaves out. */
ngx_uint_t sync_deliver_wanted(sync_client_t *c, sync_entry_t *e);

/*
 * Tells a member where the room is, after an entry of the batch that is not
 * for it; nothing where there are no positions.
 */
void sync_deliver_position(sync_audience_t *a, sync_client_t *c,
    sync_entry_t *e);

/* The same for a member that reads for itself. */
void sync_deliver_passed(sync_audience_t *a, sync_client_t *c,
    sync_entry_t *e);

/* Whether messages have positions there. */
#define sync_deliver_recoverable(a)  ((a)->recoverable)

/*
 * Makes a batch of the entries in [p, p + len), or, if one is set, of the
 * first of them only.  One that is for the client stage is a batch by itself.
 */
void sync_batch_init(sync_batch_t *b, u_char *p, size_t len, ngx_uint_t one);

/* Lets go of its runs. */
void sync_batch_done(sync_batch_t *b);

/* Its entries are elsewhere now: forgets what points to them. */
void sync_batch_moved(sync_batch_t *b);

/*
 * Writes what a member is told that missed something, in front of p, where
 * SYNC_GAP_MAX bytes are free; returns its length.
 */
size_t sync_deliver_gap(u_char *p, sync_str_t *room, sync_resume_e reason,
    sync_position_t *at);

/* The reason's name, or NULL for none. */
const char *sync_deliver_reason(sync_resume_e reason);

/*
 * Sends a message of our own to a client that has a list of positions, with
 * that before it.
 */
void sync_deliver_list(sync_client_t *c);

/*
 * To be called before the frame of an entry is queued that says no position:
 * to a client that has a list of them, and takes the frame, that is said here.
 */
void sync_deliver_place(sync_audience_t *a, sync_client_t *c,
    sync_entry_t *e);


#endif /* _SYNC_DELIVER_H_INCLUDED_ */
