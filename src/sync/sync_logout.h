
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_LOGOUT_H_INCLUDED_
#define _SYNC_LOGOUT_H_INCLUDED_


#include <sync_asker.h>


/*
 * The one route that is not the app's: system/logout, of any version
 * (luckystack-wire, 2.5).  The session is deleted, all clients of its token
 * are logged out, and the call is answered after that.
 */


/* Whether it is that: an api call, its route known, where sessions are. */
ngx_uint_t sync_logout_is_meant(sync_request_t *rq);

/* The client may be closed. */
void sync_logout(sync_request_t *rq);


#endif /* _SYNC_LOGOUT_H_INCLUDED_ */
