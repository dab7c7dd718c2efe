
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REDIS_H_INCLUDED_
#define _SYNC_REDIS_H_INCLUDED_


#include <sync_redis_link.h>
#include <sync_zone.h>


/*
 * Redis, as a worker uses it.
 *
 *     every worker          command link to each shard
 *     one worker a shard    subscriber link: keys that changed, messages
 *
 * A shard is one URL of sync_redis.  Rooms are spread over the shards by
 * name; the first one is also where sessions are.  Which worker holds a
 * subscriber link stands in the zone (sync_holder.h): another one takes it
 * over when its worker dies or drains.
 */


#define SYNC_REDIS_SHARDS_MAX    16
#define SYNC_REDIS_PREFIXES_MAX  16


/*
 * A key that begins with a tracked prefix was changed or deleted, or expired;
 * key is NULL if any may have been: the link was lost, or all was flushed.
 * Called in the worker that holds the subscriber link, and nowhere else; so
 * what must be known everywhere has to go through the zone.
 */
typedef void (*sync_redis_key_pt)(sync_str_t *key, void *data);


/*
 * In a worker; conf may be NULL, then every command is declined.  done
 * closes the links: calls that still wait are forgotten.
 */
ngx_int_t sync_redis_init_worker(sync_zone_t *z, sync_redis_conf_t *conf);
void sync_redis_done(void);

/* When the worker got its slot, and each second from then on. */
void sync_redis_tick(void);

/* Number of shards; 0: no Redis. */
ngx_uint_t sync_redis_shards(void);

/* The shard of a room, or of a key. */
ngx_uint_t sync_redis_shard(sync_str_t *name);

/*
 * Sends a command to a shard; see sync_redis_link_command().  May be called
 * in any worker.
 */
ngx_int_t sync_redis_command(ngx_uint_t shard, sync_redis_call_t **call,
    sync_redis_reply_pt handler, void *data, ngx_uint_t argc,
    const char **argv, const size_t *argvlen);

void sync_redis_cancel(sync_redis_call_t *call);

/*
 * From now on the handler hears of keys with this prefix on the first shard,
 * which is not copied.  For init_worker functions, in every worker alike.
 * Returns SYNC_OK, or SYNC_BUSY if there are SYNC_REDIS_PREFIXES_MAX.
 */
ngx_int_t sync_redis_track(sync_str_t *prefix, sync_redis_key_pt handler,
    void *data);

/*
 * Whether some worker of the host hears of changed keys now: while it is
 * not, nothing kept of Redis's keys is to be trusted for long.
 */
ngx_uint_t sync_redis_tracked(void);

/* Calls of this worker that wait for their answer. */
ngx_uint_t sync_redis_pending(void);


#endif /* _SYNC_REDIS_H_INCLUDED_ */
