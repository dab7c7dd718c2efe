
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SLOT_H_INCLUDED_
#define _SYNC_SLOT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>


/*
 * Worker slots, as they are taken and given back: what sync_worker.h draws,
 * with the rooms and the records that hang off a slot.
 */


/*
 * Takes a free slot that has an eventfd and links it into the host's own
 * room.  cookie is kept in that room's interest.
 *
 * Returns SYNC_OK with z->self set, SYNC_BUSY if no slot is free (reap, and
 * try again), or SYNC_ERROR (memory).
 */
ngx_int_t sync_worker_claim(sync_zone_t *z, uint64_t cookie);

/* Gives this worker's slot back; its records must be gone already. */
void sync_worker_release(sync_zone_t *z);

/*
 * Finds slots of dead workers and removes what they left: records, members,
 * interests, a bounded number each time the lock is held.  Reads /proc, but
 * not under the lock.  Returns the number of slots freed.
 */
ngx_uint_t sync_worker_reap(sync_zone_t *z);


#endif /* _SYNC_SLOT_H_INCLUDED_ */
