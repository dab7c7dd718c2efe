
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_CLUSTER_H_INCLUDED_
#define _SYNC_CLUSTER_H_INCLUDED_


#include <sync_settings.h>
#include <sync_packet.h>


/*
 * Hosts that share a Redis.
 *
 *     a message --> members here --> PUBLISH prefix:r:ROOM --> other hosts
 *
 *     members here --> SUBSCRIBE prefix:r:ROOM        once a host and room
 *
 * One worker of a host hears what is said on a shard (sync_redis.h), and puts
 * it in the zone as if it had been said here: from there on all is as on one
 * host.  Nothing that a host said comes back to it.
 *
 *     channel            what is said there
 *     prefix:r:ROOM      messages to a room
 *     prefix:t:SHA1      the same to a room whose name is a secret
 *     prefix:all         what concerns all hosts: to patterns, to everybody,
 *                        to a client wherever it is, orders
 *     prefix:h:HOST      what concerns one host; its heart beat
 */


#define SYNC_CLUSTER_ID_TEXT  16        /* digits of a host's id */


/* In a worker, before the links to Redis are made. */
void sync_cluster_init_worker(sync_main_settings_t *main);

/* Each second, while the worker has a slot. */
void sync_cluster_tick(void);

/* Whether there may be other hosts. */
ngx_uint_t sync_cluster_enabled(void);

/*
 * Tells the other hosts of a message to a room that keeps no history, which
 * the members of this host have already.  Returns SYNC_OK, or SYNC_DECLINED
 * if Redis cannot be reached now, which is counted.
 */
ngx_int_t sync_cluster_send_room(sync_str_t *room, sync_message_t *m);

/* The same for what goes to the workers of every host, by m->kind. */
ngx_int_t sync_cluster_send_all(sync_message_t *m);

/* An order, JSON, for the workers of all other hosts. */
ngx_int_t sync_cluster_order(sync_str_t *json);

/* The worker has its first member in the room. */
void sync_cluster_joined(sync_str_t *room);

/* In each worker: another one has its first member in the room. */
void sync_cluster_obey(sync_str_t *room);


#endif /* _SYNC_CLUSTER_H_INCLUDED_ */
