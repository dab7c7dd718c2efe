
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_RELAY_H_INCLUDED_
#define _SYNC_RELAY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>
#include <sync_room.h>


/*
 * What is said in a zone while another zone of the host lives.
 *
 *     publish --> the room's log
 *            `--> the relay, a log of its own --(sync_bridge.h)--> zones
 *
 * Zones that live side by side, as after a reload that changed the size or
 * while two binaries serve, each have a place in a page that all of them
 * map.  While another place is taken, whatever is appended to a log of this
 * zone is also appended to its relay, under the same lock and so in the same
 * order; not so what came from another zone.  One worker, the holder of the
 * bridge, takes it from there.
 *
 * The relay is a room without a name, members and interests, made when it
 * is first needed.  An entry's subject is the room that it stood in.
 */


#define SYNC_RELAY_MAGIC    0x73796e63  /* "sync" */
#define SYNC_RELAY_VERSION  (0x100 + SYNC_ZONE_VERSION)
#define SYNC_RELAY_STALE    10000       /* ms without a beat: nobody is there */
#define SYNC_RELAY_HOLDER   (SYNC_HOLDERS_MAX - 1)


typedef struct {                        /* in the page, 24 bytes */
    ngx_atomic_t         zone;          /* its id; 0: free */
    ngx_atomic_t         beat;          /* ms, by the holder of its bridge */
    ngx_atomic_t         since;         /* ms since the epoch */
} sync_relay_place_t;


struct sync_relay_hub_s {               /* the page */
    uint32_t             magic;
    uint32_t             version;       /* of what goes over the bridge */
    sync_relay_place_t   places[SYNC_RELAYS_MAX];
};


/* Whether the place is another zone's. */
#define sync_relay_is_other(z, i)                                             \
    ((i) != (z)->place && (z)->hub->places[i].zone != 0)

/* Whether there is another zone; takes no lock. */
ngx_uint_t sync_relay_wanted(sync_zone_t *z);

/*
 * Keeps a message for the other zones; name is the room it stands in, or
 * NULL if it is the host's own.  Wakes the holder of the bridge through p.
 * The room that was stamped is not any more.  A message for which there is
 * no memory is counted as lost.
 */
void sync_relay_append_locked(sync_zone_t *z, sync_str_t *name,
    sync_message_t *m, sync_published_t *p);

/*
 * Copies whole entries that were not passed on yet, oldest first.  Returns
 * the bytes copied, 0 if there are none; or SYNC_AGAIN if not even one fits,
 * and its size in *need.  *lost is how many were trimmed before.
 */
ssize_t sync_relay_read(sync_zone_t *z, u_char *p, size_t size,
    uint64_t *lost, size_t *need);

/* All up to and with lsn were passed on: frees them. */
void sync_relay_passed(sync_zone_t *z, uint64_t lsn);

/*
 * Notes that a message came from the zone in a place.  Returns SYNC_OK, with
 * the number of those that should have come before it in *lost; or
 * SYNC_DECLINED if it came already.
 */
ngx_int_t sync_relay_note(sync_zone_t *z, ngx_uint_t place, uint64_t zone,
    uint64_t lsn, uint64_t *lost);


#endif /* _SYNC_RELAY_H_INCLUDED_ */
