
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


#endif /* _SYNC_DELIVER_H_INCLUDED_ */
