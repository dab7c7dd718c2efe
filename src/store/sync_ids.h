
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_IDS_H_INCLUDED_
#define _SYNC_IDS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>


/*
 * What publishers called their messages: the answer that each was given, to
 * be given again.
 *
 *     heads[hash] -> slot -> slot          slots: a ring, oldest overwritten
 *
 * The ring grows with its use up to the number of messages that the room
 * keeps, but holds SYNC_IDS_MIN to SYNC_IDS_MAX of them.  A slot is known by
 * a hash of 64 bits under the zone's key: that two names meet is less likely
 * than that the memory fails.
 *
 * A death in it takes the whole table with it, as it does with the log.
 */


#define SYNC_IDS_MIN  64
#define SYNC_IDS_MAX  4096


typedef struct {                        /* in the zone, 32 bytes */
    uint64_t             hash;
    uint64_t             lsn;
    uint32_t             nonce;
    uint32_t             receivers;
    uint32_t             next;          /* of the chain: slot + 1, or 0 */
    uint32_t             reserved;
} sync_ids_slot_t;


struct sync_ids_s {                     /* in the zone, and heads after */
    uint32_t             size;          /* slots and heads, a power of two */
    uint32_t             n;             /* slots in use */
    uint32_t             next;          /* slot to be written */
    uint32_t             reserved;
    sync_ids_slot_t      slots[1];
};


/*
 * The slot of a hash, good while the lock is held; or NULL.  ids may be NULL.
 */
sync_ids_slot_t *sync_ids_lookup_locked(sync_ids_t *ids, uint64_t hash);

/*
 * Makes sure that one more fits; history is the number of messages that the
 * room keeps.  Returns the table, which is another one if it had to grow: the
 * caller links it, and frees the former.  NULL if the zone is full.
 */
sync_ids_t *sync_ids_reserve_locked(sync_zone_t *z, sync_ids_t *ids,
    uint32_t history);

/* Adds one whose hash is not there; room for it was reserved. */
void sync_ids_add_locked(sync_ids_t *ids, uint64_t hash, uint64_t lsn,
    uint32_t nonce, uint32_t receivers);

/* NULL, or what is wrong with it.  For tests. */
const char *sync_ids_check(sync_ids_t *ids);


#endif /* _SYNC_IDS_H_INCLUDED_ */
