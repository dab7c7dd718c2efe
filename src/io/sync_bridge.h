
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_BRIDGE_H_INCLUDED_
#define _SYNC_BRIDGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_relay.h>


/*
 * The bridge between zones of one host that live side by side: after a
 * reload that changed the size, and while two binaries serve.
 *
 *     zone A                 page: places, sockets           zone B
 *     publish -> relay       +----+----+----+----+
 *                  |         | A  | B  |    |    |
 *               holder ------|----|--->|socket   |---> holder -> publish
 *                            +----+----+----+----+
 *
 * The first master makes a page of memory with SYNC_RELAYS_MAX places, and
 * a pair of sockets for each; workers of all generations inherit them, and
 * so does another binary, by the variable SYNC_BRIDGE of its environment,
 * as nginx hands on what it listens to.  A zone takes a place before its
 * workers start.
 *
 * In each zone one worker holds the bridge (sync_holder.h); when it dies or
 * drains, another one does within a second.  It takes what the relay has
 * (sync_relay.h) and sends it to the sockets of all other places, and it
 * reads the socket of its own.  What comes is published without being kept
 * for the relay: so each message makes one step and there is no way around.
 * What a zone said arrives in its order, as one worker sends and one reads.
 *
 * An entry goes in parts of a size that a socket takes whole.  A message is
 * freed from the relay when all places have got it.  A holder that follows
 * one that died sends what was not freed again, and what came already is
 * known by its number.
 *
 * All is bounded: the relay by a share of the zone, a socket by its buffer.
 * A place that takes nothing for SYNC_BRIDGE_STALL is passed over.  Who
 * gets a message finds by its number how many are missing, counts them and
 * says so in the log.
 */


/* A message of another zone, a copy: publishes it here, and nowhere else. */
typedef void (*sync_bridge_pt)(sync_entry_t *e);


/*
 * In the master, for each new configuration: makes or inherits the page and
 * the sockets, and has the zone take its place.  Without them, which is
 * logged, the zone goes on alone.
 */
void sync_bridge_create(ngx_cycle_t *cycle, sync_zone_t *z);

/* In a worker, before it has its slot; nothing is done without a place. */
void sync_bridge_init_worker(sync_zone_t *z, sync_bridge_pt received);

/* Once it has its slot, and each second: holds the bridge if nobody does. */
void sync_bridge_tick(void);

/* Passes on what is new. */
void sync_bridge_look(void);

/*
 * Before the slot is given back: gives up the bridge, and the zone's place
 * if this is its last worker.
 */
void sync_bridge_done(void);


#endif /* _SYNC_BRIDGE_H_INCLUDED_ */
