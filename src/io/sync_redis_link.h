
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REDIS_LINK_H_INCLUDED_
#define _SYNC_REDIS_LINK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>
#include <sync_zone.h>
#include <sync_redis_addr.h>
#include <hiredis/hiredis.h>


/*
 * One connection to Redis, that comes again when it is lost.
 *
 *     waits --> resolves --> connects --> secures --> greets --> ready
 *       ^           |            |           |           |         |
 *       `-----------+------------+-----------+-----------+---------'
 *
 * It is secured where its URL says so (sync_redis_tls.h).  hiredis parses
 * what Redis says; reading, writing and time limits are nginx's.  To greet is
 * to send AUTH, SELECT, CLIENT SETNAME and PING: a server that still loads its
 * data is not ready.  After a loss the first attempt follows in at most 100
 * ms, later ones wait up to 5 s, with jitter.
 *
 * Commands are answered in the order they are sent, so calls wait in one
 * queue.  A call whose owner is gone, or was told of a timeout, stays there
 * without a handler till its answer comes.
 */


#define SYNC_REDIS_CALLS_MAX  4096      /* unanswered commands of a link */
#define SYNC_REDIS_BYTES_MAX  (16 * 1024 * 1024)    /* of their commands */


typedef struct sync_redis_link_s  sync_redis_link_t;
typedef struct sync_redis_call_s  sync_redis_call_t;


typedef enum {
    SYNC_REDIS_OK = 0,
    SYNC_REDIS_UNSENT,      /* there is no link: it was not done */
    SYNC_REDIS_LOST,        /* no answer came: nobody knows if it was done */
    SYNC_REDIS_TIMEOUT      /* the same, and it may still be done */
} sync_redis_error_e;


/*
 * The answer to a command, once: reply is borrowed for the call, and NULL
 * unless error is SYNC_REDIS_OK.  What Redis refused comes as a reply of the
 * type REDIS_REPLY_ERROR.
 */
typedef void (*sync_redis_reply_pt)(redisReply *reply,
    sync_redis_error_e error, void *data);


/*
 * What a link tells; all may be NULL, none is called from within a function
 * of the link.  push is a message of a subscription, reply being borrowed.
 */

typedef struct {
    void  (*up)(sync_redis_link_t *link);
    void  (*down)(sync_redis_link_t *link);
    void  (*push)(sync_redis_link_t *link, redisReply *reply);
} sync_redis_link_handler_t;


/*
 * Makes a link and begins to connect; role is a literal, for CLIENT SETNAME.
 * What happens to it is counted in the zone.
 * Everything given must outlive it.  Returns NULL if there is no memory.
 */
sync_redis_link_t *sync_redis_link_create(sync_redis_conf_t *conf,
    sync_redis_url_t *url, const sync_redis_link_handler_t *handler,
    const char *role, sync_zone_t *zone);

/*
 * Closes the connection and frees the link and its calls, whose handlers are
 * not called; not to be called from a handler of the link or of its calls.
 */
void sync_redis_link_destroy(sync_redis_link_t *link);

/*
 * Sends a command, which is copied.  While a link comes up for the first
 * time, or anew after it served well, commands wait for it.
 *
 * Returns SYNC_OK: the handler, which may be NULL, will be called, never
 * from within; *call, if wanted, is for sync_redis_link_cancel() until then.
 * SYNC_DECLINED: there is no link.  SYNC_BUSY: too many commands wait.
 * SYNC_ERROR: no memory.  The handler is not called then.
 */
ngx_int_t sync_redis_link_command(sync_redis_link_t *link,
    sync_redis_call_t **call, sync_redis_reply_pt handler, void *data,
    ngx_uint_t argc, const char **argv, const size_t *argvlen);

/*
 * The same for SUBSCRIBE and its kin, which Redis answers once for each
 * channel: the handler is called with the last answer.
 */
ngx_int_t sync_redis_link_subscribe(sync_redis_link_t *link,
    sync_redis_reply_pt handler, void *data, ngx_uint_t argc,
    const char **argv, const size_t *argvlen);

/* The handler will not be called; the command may still be done. */
void sync_redis_link_cancel(sync_redis_call_t *call);

/*
 * Drops the connection, as if Redis had; it comes again.
 */
void sync_redis_link_drop(sync_redis_link_t *link, const char *reason);

ngx_uint_t sync_redis_link_ready(sync_redis_link_t *link);

/* Whether it is there, or is being made with nothing that failed so far. */
ngx_uint_t sync_redis_link_hopeful(sync_redis_link_t *link);

/* Calls that wait for their answer. */
ngx_uint_t sync_redis_link_pending(sync_redis_link_t *link);

/* The opaque pointer of who made the link. */
void **sync_redis_link_data(sync_redis_link_t *link);


#endif /* _SYNC_REDIS_LINK_H_INCLUDED_ */
