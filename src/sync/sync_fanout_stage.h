
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_FANOUT_STAGE_H_INCLUDED_
#define _SYNC_FANOUT_STAGE_H_INCLUDED_


#include <sync_audience.h>


/*
 * Has the batch, one entry, go through the client stage for all members it is
 * meant for.  Returns SYNC_OK if they were told, or SYNC_AGAIN if that is to
 * come: nothing else is said in the room till then, on this worker.
 */
ngx_int_t sync_fanout_stage(sync_audience_t *a);

/* The same for an entry that is meant for a single client. */
void sync_fanout_stage_client(sync_entry_t *e, sync_client_t *c);


#endif /* _SYNC_FANOUT_STAGE_H_INCLUDED_ */
