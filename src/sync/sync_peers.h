
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_PEERS_H_INCLUDED_
#define _SYNC_PEERS_H_INCLUDED_


#include <sync_audience.h>


/*
 * What is said to the members of several rooms, by sync_publish_rooms().
 *
 * It goes to each client of this worker that is in one of them, once, past
 * the rooms' logs: it has no position, and an event stream is told "*" for
 * its channel.  Who does not take it is told by its room's policy for slow
 * clients: "drop" drops it, the others close.
 */
void sync_peers_hear(sync_entry_t *e);


#endif /* _SYNC_PEERS_H_INCLUDED_ */
