
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


/* What a subscriber hears.  All are called in the worker that holds it. */

typedef struct {

    /* the link is there: subscribe to everything, by the function below */
    void  (*up)(ngx_uint_t shard);

    /* all that is subscribed: from here on nothing is missed */
    void  (*ready)(ngx_uint_t shard);

    /* the link is lost, or another worker's */
    void  (*down)(ngx_uint_t shard);

    void  (*message)(ngx_uint_t shard, sync_str_t *channel,
        sync_str_t *payload);

    /* in every worker: its command link is there */
    void  (*connected)(ngx_uint_t shard);
} sync_redis_subscriber_t;


/* For init_worker functions; one for all. */
void sync_redis_listen(const sync_redis_subscriber_t *subscriber);

/*
 * SUBSCRIBE, PSUBSCRIBE and so on, on the subscriber link of a shard, if this
 * worker has it; otherwise SYNC_DECLINED.  See sync_redis_link_subscribe().
 */
ngx_int_t sync_redis_subscribe(ngx_uint_t shard, sync_redis_reply_pt handler,
    void *data, ngx_uint_t argc, const char **argv, const size_t *argvlen);

/* Drops the subscriber link of this worker; it comes again. */
void sync_redis_resubscribe(ngx_uint_t shard, const char *reason);

/* Whether this worker's command link to a shard is there. */
ngx_uint_t sync_redis_connected(ngx_uint_t shard);

/* The same, or whether it is being made and nothing has failed. */
ngx_uint_t sync_redis_hopeful(ngx_uint_t shard);

/* Whether some worker of the host hears a shard, or every one, now. */
ngx_uint_t sync_redis_hears(ngx_uint_t shard);
ngx_uint_t sync_redis_heard(void);

/* Whether this worker has the shard's subscriber link, or is about to. */
ngx_uint_t sync_redis_subscribing(ngx_uint_t shard);

/* Whether this worker holds the shard's subscriber, and it is ready. */
ngx_uint_t sync_redis_subscribed(ngx_uint_t shard);

/* Calls of this worker that wait for their answer. */
ngx_uint_t sync_redis_pending(void);


#endif /* _SYNC_REDIS_H_INCLUDED_ */
