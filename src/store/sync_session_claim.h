
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SESSION_CLAIM_H_INCLUDED_
#define _SYNC_SESSION_CLAIM_H_INCLUDED_


#include <sync_session_store.h>


/*
 * Sessions that the app is asked about: one worker at a time asks for one
 * token, and what it is told counts for a while.
 *
 *     claim --> asked --> answered: what it is, if that is known; due
 *       `-- another asks: wait until there are more answers
 *
 *     answer    ............ due ....................... due + GRACE
 *               it counts        it counts, and the app    it counts no more
 *                                is asked again
 *
 * A worker that dies or stalls while it asks does not ask any more: whoever
 * waits for it claims the session.
 */


#define SYNC_SESSION_FRESH  1000        /* ms, of one that is none, for who
                                           comes anew */


/*
 * Notes this worker as the one that asks.  Returns SYNC_OK; SYNC_DECLINED if
 * it is known, since SYNC_SESSION_FRESH at most, that there is no session;
 * SYNC_AGAIN if another worker asks; or SYNC_ERROR (memory, or this worker has
 * no slot).
 *
 * *stamp is for sync_session_store_set(), *answers for asked().
 */
ngx_int_t sync_session_store_claim(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, uint32_t *stamp, uint32_t *answers);

/*
 * For who was told SYNC_AGAIN.  Returns that while the other one asks; SYNC_OK
 * if it was answered, or could not be; or SYNC_DECLINED if nobody asks now.
 */
ngx_int_t sync_session_store_asked(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, uint32_t answers);

/*
 * This worker asks no more.  What is known counts for ms more, or as long as
 * it did before if ms is 0.
 */
void sync_session_store_answered(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, ngx_msec_t ms);

/* The same, and nobody was asked: who waits is to ask. */
void sync_session_store_unclaim(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token);

/* What is known was not asked for, but told just now: it counts for ms. */
void sync_session_store_renew(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, ngx_msec_t ms);


#endif /* _SYNC_SESSION_CLAIM_H_INCLUDED_ */
