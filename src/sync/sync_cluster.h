
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_CLUSTER_H_INCLUDED_
#define _SYNC_CLUSTER_H_INCLUDED_


#include <sync_settings.h>
#include <sync_packet.h>
#include <sync_append.h>
#include <sync_lease.h>


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
 *     prefix:q:          questions, see sync_question.h
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
 * if Redis cannot be reached now, which is counted.  The handler, which may be
 * NULL, is called when Redis has answered, or not.
 */
ngx_int_t sync_cluster_send_room(sync_str_t *room, sync_message_t *m,
    sync_redis_reply_pt handler, void *data);

/*
 * Appends a message to a room that keeps a history; the members, here as
 * elsewhere, hear of it when it comes back.  See sync_append.h.
 */
ngx_int_t sync_cluster_append(sync_str_t *room, sync_room_rule_t *rule,
    sync_message_t *m, sync_str_t *id, sync_append_pt handler, void *data);

/*
 * As sync_lease_count(), for a room, or, if it is NULL, for all clients.
 */
ngx_int_t sync_cluster_count(sync_str_t *room, sync_lease_counted_pt handler,
    void *data, sync_lease_count_t **count);

/* What goes to the workers of every host, by m->kind; as send_room does. */
ngx_int_t sync_cluster_send_all(sync_message_t *m);

/* An order, JSON, for the workers of all other hosts. */
ngx_int_t sync_cluster_order(sync_str_t *json);

/* The worker has its first member in the room. */
void sync_cluster_joined(sync_str_t *room);

/* In each worker: another one has its first member in the room. */
void sync_cluster_obey(sync_str_t *room);

/* The same: the room's log follows Redis now. */
void sync_cluster_obey_linked(sync_str_t *room);

/* The same: another one hears a shard now. */
void sync_cluster_obey_up(void);

/*
 * Whether the log of a room is what it is in Redis, as far as can be told.
 * A room that keeps no history, or a host without a Redis, always is.
 */
ngx_uint_t sync_cluster_linked(sync_str_t *room);

/*
 * The same, and whether it has come as far as a position, which may be empty,
 * or none at all.
 */
ngx_uint_t sync_cluster_reached(sync_str_t *room, sync_str_t *pos);

typedef struct sync_cluster_wait_s  sync_cluster_wait_t;

/*
 * Has the room follow Redis, for one who is about to join it with a position.
 * Returns SYNC_OK if there is nothing to wait for: it has reached that, or it
 * cannot now; or SYNC_AGAIN: the handler is called in a later turn, when it
 * was read, or when it took too long.
 */
ngx_int_t sync_cluster_wait(sync_str_t *room, sync_str_t *pos,
    void (*handler)(void *data), void *data, sync_cluster_wait_t **wait);
void sync_cluster_wait_cancel(sync_cluster_wait_t *wait);


#endif /* _SYNC_CLUSTER_H_INCLUDED_ */
