
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

/* Whether a client that has a seat is to hear the entry, one of the batch. */
ngx_uint_t sync_deliver_meant(sync_audience_t *a, sync_batch_t *b,
    sync_client_t *c, sync_entry_t *e);

/*
 * Queues n messages, a run's bytes [pos, last), as the room's policy for slow
 * clients says.  Returns SYNC_OK, or SYNC_ERROR if the client is no more: the
 * audience may be gone with it.
 */
ngx_int_t sync_deliver_span(sync_audience_t *a, sync_client_t *c,
    sync_run_t *run, uint32_t pos, uint32_t last, ngx_uint_t n);

/* Whether messages have positions there. */
#define sync_deliver_recoverable(a)  0


#endif /* _SYNC_DELIVER_H_INCLUDED_ */
