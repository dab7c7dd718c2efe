
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_DISCONNECT_H_INCLUDED_
#define _SYNC_DISCONNECT_H_INCLUDED_


#include <sync_settings.h>


/*
 * The disconnect hook is told of a client that leaves and still is in its
 * rooms: {"clientId","userId","token","rooms","timestamp"}.
 */
void sync_disconnect_tell(sync_client_t *c);


#endif /* _SYNC_DISCONNECT_H_INCLUDED_ */
