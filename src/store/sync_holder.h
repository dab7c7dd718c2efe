
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_HOLDER_H_INCLUDED_
#define _SYNC_HOLDER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>


/*
 * Who holds what a host has one of.
 *
 *     nobody --claim--> next --confirm--> owner --(drains)--> owner and next
 *        ^                |                 |                       |
 *        `-----(dies)-----+-----(dies)------'          confirm: the next one
 *
 * A worker that wants the thing is noted as the next one, makes it ready,
 * and owns it from when it confirms that.  An owner that drains keeps it till
 * then, one that is dead or stalled does not.  A worker is known by its slot
 * and incarnation.  Every change is one store.
 */


/*
 * Returns SYNC_OK if this worker owns it; SYNC_AGAIN if it is to make it
 * ready and to confirm; SYNC_DECLINED if it is another's.  To be asked again
 * each second.
 */
ngx_int_t sync_holder_claim(sync_zone_t *z, ngx_uint_t holder);

/* Returns SYNC_OK, or SYNC_DECLINED if it went to another one meanwhile. */
ngx_int_t sync_holder_confirm(sync_zone_t *z, ngx_uint_t holder);

/* Gives up what it owns or is about to. */
void sync_holder_release(sync_zone_t *z, ngx_uint_t holder);

/* Whether this worker owns it; takes no lock. */
ngx_uint_t sync_holder_mine(sync_zone_t *z, ngx_uint_t holder);

/* The slot of a living owner, or -1; takes no lock. */
ngx_int_t sync_holder_slot(sync_zone_t *z, ngx_uint_t holder);

/* This worker, as others may note it, and the one noted: NULL if it is gone. */
uint64_t sync_holder_self(sync_zone_t *z);
sync_worker_t *sync_holder_worker(sync_zone_t *z, uint64_t id);


#endif /* _SYNC_HOLDER_H_INCLUDED_ */
