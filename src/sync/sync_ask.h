
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_ASK_H_INCLUDED_
#define _SYNC_ASK_H_INCLUDED_


#include <sync_asker.h>


/*
 * Asks the app for a request that passed its checks, and has the answer
 * acted upon.  The call, which was made for it by sync_ask_create(), is used
 * up in any case; the client may be closed.
 */
void sync_ask(sync_request_t *rq, sync_call_t *call);

/* NULL if there is no memory, or if the client has too many. */
sync_call_t *sync_ask_create(sync_request_t *rq);


#endif /* _SYNC_ASK_H_INCLUDED_ */
