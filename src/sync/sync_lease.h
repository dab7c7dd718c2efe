
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_LEASE_H_INCLUDED_
#define _SYNC_LEASE_H_INCLUDED_


#include <sync_settings.h>


/*
 * Which hosts there are, and how many members each has in its rooms.
 *
 *     prefix:hosts       the hosts, by when their leases end
 *     prefix:m:HOST      of a host: room => members; "" => clients, and its
 *                        name.  It is the lease: it lapses SYNC_LEASE_LIFE
 *                        after the host was last heard of
 *
 * These are on every shard, for the rooms there.  The worker that holds the
 * shard's subscriber says each second that the host lives, and how many
 * members rooms have whose number is another than it last said.  So what is
 * known of others is a second or so old; with more than SYNC_LEASE_ROOMS rooms
 * it may be older.
 */


#define SYNC_LEASE_LIFE   5000          /* ms */
#define SYNC_LEASE_ROOMS  4096          /* looked at each second, or an
                                           eighth of them */


typedef void (*sync_lease_counted_pt)(void *data, ngx_uint_t n);

typedef struct sync_lease_count_s  sync_lease_count_t;


/* In a worker that has a Redis. */
void sync_lease_init_worker(sync_main_settings_t *main);

/*
 * Each second, in the worker that holds the shard's subscriber: the host
 * lives.
 */
void sync_lease_beat(ngx_uint_t shard);

/*
 * This worker hears the shard now; what another one told may not hold any
 * more.  Or it does not.
 */
void sync_lease_up(ngx_uint_t shard);
void sync_lease_down(ngx_uint_t shard);

/*
 * A room, by what may be told of it, has so many members here.  They are told
 * together, at the latest by sync_lease_flush().
 */
void sync_lease_tell(ngx_uint_t shard, ngx_str_t *key, ngx_uint_t n);
void sync_lease_flush(void);

/*
 * What was told may be forgotten: each time, another number.  While it is
 * what it was, what was told stays told.
 */
uint32_t sync_lease_epoch(ngx_uint_t shard);

/*
 * How many members a room has on other hosts, as far as is known; with no
 * name, how many clients there are.  Returns SYNC_OK, the handler being called
 * in a later turn, once; or SYNC_DECLINED if there are no other hosts, or they
 * are not known.
 */
ngx_int_t sync_lease_count(ngx_uint_t shard, ngx_str_t *key,
    sync_lease_counted_pt handler, void *data, sync_lease_count_t **count);
void sync_lease_cancel(sync_lease_count_t *count);

/* Copies what hosts there are, at most SYNC_HOSTS_MAX; returns how many. */
ngx_uint_t sync_lease_hosts(sync_zone_t *z, sync_host_t *hosts);


#endif /* _SYNC_LEASE_H_INCLUDED_ */
