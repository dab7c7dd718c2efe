
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_ANSWER_H_INCLUDED_
#define _SYNC_ANSWER_H_INCLUDED_


#include <sync_asker.h>


/*
 * What the app answered, made a message to the room and an acknowledgement
 * to the asker, or an error to the asker alone (luckystack-wire, 2.3, 3.2).
 *
 *     answered --+-- error, or none --> asker
 *                `-- success --> room's log --> asker --> members
 *
 * The message is in the room's log before the asker is told of success, and
 * nobody hears of it before the end of the turn: so the acknowledgement is
 * first on the asker's connection.  If another worker holds that, both are
 * appended in one step, to the host's room and to the room, and the host's is
 * read first.
 *
 * Where Redis makes the room's order, the answer waits for it (sync_call.h,
 * sync_pending.h): chunks are heard before it, the message may be.
 */


/*
 * For sync_call_create(): call->opaque is the request, in the call's pool.
 * The client may be closed.
 */
void sync_answer(sync_call_t *call, sync_call_result_e result);

/*
 * Keeps what the message of a sync will need once the app has answered, as
 * its route says: what the client sent, the sender's session.  Returns
 * SYNC_OK or SYNC_ERROR (memory).
 */
ngx_int_t sync_answer_keep(sync_request_t *copy, sync_request_t *rq,
    ngx_pool_t *pool);

/*
 * A sync that nobody is asked about succeeds, with no output.  If that has to
 * wait for Redis, it takes a call that asks nothing.
 */
void sync_answer_empty(sync_request_t *rq);
ngx_uint_t sync_answer_waits(sync_request_t *rq);


#endif /* _SYNC_ANSWER_H_INCLUDED_ */
