
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_CANCEL_H_INCLUDED_
#define _SYNC_CANCEL_H_INCLUDED_


#include <sync_asker.h>


/*
 * A request is given up by its asker, who says so, or is gone.
 *
 * It hears of no more chunks, nor does anybody else.  The "cancel" hook is
 * told, and the result still counts; or, with cancel=close, the hook's
 * connection is closed, and there is no result.
 *
 * A session of Socket.IO may be with another worker by then: what is not known
 * here is told to the others.  That it is gone is looked for, too, as it may
 * have died with its worker.
 */


/* The events; arg is their argument. */
void sync_cancel_sync(sync_client_t *c, sync_json_t *arg);
void sync_cancel_api(sync_client_t *c, sync_json_t *arg);

/* The client closes: so that it is known where it asked before it moved. */
void sync_cancel_leave(sync_client_t *c);

/* A sync_call_left_pt. */
void sync_cancel_left(sync_call_t *call, ngx_uint_t moved);

/* A sync_call_order_pt. */
ngx_uint_t sync_cancel_order(sync_call_t *call, sync_json_t *order);

/*
 * Gives it up; reason is "cancel", "timeout" or "disconnect".  The call may
 * be gone then.
 */
void sync_cancel_request(sync_request_t *rq, const char *reason);


#endif /* _SYNC_CANCEL_H_INCLUDED_ */
