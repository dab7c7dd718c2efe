
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SUBSCRIBE_H_INCLUDED_
#define _SYNC_SUBSCRIBE_H_INCLUDED_


#include <sync_settings.h>
#include <sync_json.h>


/*
 * subscribe and unsubscribe: many rooms in one message.
 *
 *     {channels, positions} --> may it? may it? ... --> join, join, ...
 *                                   (hooks, Redis)       answer, what it missed
 *
 * It takes its turn among the client's joins (sync_join.h).  All that may
 * take time comes first: the rooms are entered, and their positions looked
 * at, in the turn in which the client is answered.
 */


/* arg is the event's argument; anything but an object is taken as {}. */

void sync_subscribe_begin(sync_client_t *c, sync_json_t *arg);
void sync_subscribe_end(sync_client_t *c, sync_json_t *arg);


#endif /* _SYNC_SUBSCRIBE_H_INCLUDED_ */
