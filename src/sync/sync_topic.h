
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_TOPIC_H_INCLUDED_
#define _SYNC_TOPIC_H_INCLUDED_


#include <sync_settings.h>


/*
 * What this host is subscribed to: in the worker that holds the subscriber of
 * a shard, a topic for each room with members on this host.
 *
 *     wanted --SUBSCRIBE--> asked --(answer)--> subscribed
 *        ^                                          |
 *        `------------ the link is lost ------------'
 *
 * A topic is made by the first join that a worker tells of, and goes a while
 * after the last member, by a look at some of them each second.  All rooms of
 * the zone are looked at, too, when a subscriber comes up, and then a few each
 * second: so what was never told heals.
 */


typedef struct {
    ngx_str_node_t       node;          /* by what its channel tells of it */
    ngx_queue_t          queue;
    ngx_queue_t          wait;          /* for the answer, if "asking" */
    sync_str_t           room;
    ngx_uint_t           shard;
    ngx_msec_t           seen;          /* it had members */
    ngx_uint_t           asked;         /* number of the SUBSCRIBE */
    uint32_t             told;          /* members that others know of */
    uint32_t             epoch;         /* of that, see sync_lease.h */

    /* of a room that keeps a history, see sync_mirror.h */

    sync_redis_call_t   *call;          /* what is read of the stream */
    ngx_msec_t           kept;          /* the stream's life, last */
    uint64_t             from;          /* LSN it is read from */
    uint32_t             link;          /* the room got of us; 0: none */
    unsigned             pattern:1;
    unsigned             recoverable:1;
    unsigned             asking:1;      /* SUBSCRIBE is not answered */
    unsigned             subscribed:1;  /* the channel, by this link */
    unsigned             whole:1;       /* reads all, and tells nobody yet */
    unsigned             begun:1;       /* something of it was read */
    unsigned             read:1;        /* all of it was, once */
    unsigned             blank:1;       /* nothing was known of it before */
    unsigned             again:1;       /* more came meanwhile */
    unsigned             behind:1;      /* could not be read, to be tried */
} sync_topic_t;


/* What is told of topics of rooms that keep a history. */

typedef struct {
    void  (*load)(sync_topic_t *topic);     /* it is subscribed to */
    void  (*keep)(sync_topic_t *topic);     /* each second or so */
    void  (*wanted)(sync_topic_t *topic);   /* somebody joins its room */
    void  (*forget)(sync_topic_t *topic);   /* it goes */
} sync_topic_handler_t;


void sync_topic_init_worker(sync_main_settings_t *main,
    const sync_topic_handler_t *handler);

/* The room has members.  Nothing happens if another worker subscribes. */
void sync_topic_add(sync_str_t *room);

/* The room whose channel this is, if it is a topic; or NULL. */
sync_topic_t *sync_topic_lookup(sync_str_t *room);

/* The same by what stands in a channel for a name that is a secret. */
sync_topic_t *sync_topic_lookup_secret(sync_str_t *digest);

void sync_topic_name(sync_topic_t *topic, sync_str_t *room);

/* Subscribes to what there is of a shard; forgets all of it. */
void sync_topic_up(ngx_uint_t shard);
void sync_topic_down(ngx_uint_t shard);

/* What may be told of a room's name; buf has SYNC_TOPIC_KEY bytes. */
void sync_topic_key(sync_str_t *room, sync_str_t *key, u_char *buf);

#define SYNC_TOPIC_DIGEST  20           /* bytes of a SHA-1 */
#define SYNC_TOPIC_KEY     (1 + 2 * SYNC_TOPIC_DIGEST)

/* Each second. */
void sync_topic_tick(void);

/*
 * Writes the channel of a room, which is not a pattern, to buf of
 * SYNC_TOPIC_CHANNEL_MAX bytes.
 */
void sync_topic_channel(sync_str_t *room, sync_str_t *channel, u_char *buf);


/* prefix ":r:" and a name, each byte of it escaped */
#define SYNC_TOPIC_CHANNEL_MAX  (64 + 3 + 2 * SYNC_NAME_MAX)


#endif /* _SYNC_TOPIC_H_INCLUDED_ */
