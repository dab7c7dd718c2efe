
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_VETO_H_INCLUDED_
#define _SYNC_VETO_H_INCLUDED_


#include <sync_asker.h>


/*
 * The fanout hook: when the app has answered a sync, and before anybody hears
 * of it, it may say that nobody is to.
 *
 *     answer --> veto? --- {} --------> room's log, asker
 *                   `----- {"stop"} --> asker alone, an error
 */


/* Whether it is to be asked. */
#define sync_veto_wanted(rq)                                                  \
    ((rq)->kind == &sync_asker_sync                                           \
     && (rq)->settings->hooks[SYNC_HOOK_FANOUT].uri.len)

/*
 * Keeps in the request's call what the question will tell: what the client
 * sent, who it is.  Returns SYNC_OK or SYNC_ERROR (memory).
 */
ngx_int_t sync_veto_keep(sync_request_t *copy, sync_request_t *rq);

/* The message may go out; or the asker was told why not. */
typedef void (*sync_veto_pt)(sync_request_t *rq, ngx_uint_t goes);

/*
 * Asks; rq->output is what the app answered, rq->veto is set till done() was
 * called, once and in a later turn.  Returns SYNC_OK; or what
 * sync_call_start() does, and done() will not be called.
 */
ngx_int_t sync_veto_ask(sync_request_t *rq, sync_veto_pt done);


#endif /* _SYNC_VETO_H_INCLUDED_ */
