
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SID_H_INCLUDED_
#define _SYNC_SID_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>
#include <sync_worker.h>
#include <sync_registry.h>


/*
 * Engine.IO sessions that are not a WebSocket alone: each request of one may
 * come to any worker.
 *
 *     any worker                    zone                  owner
 *     POST ----------> in:  chunk -> chunk ------------> its client
 *     GET, waits <---- out: chunk -> chunk <------------ its client
 *
 * A session has one owner, the worker that holds its client.  What came for
 * it stands in "in".  The owner keeps what it has to say to itself till a
 * poll waits, and then puts a chunk of it into "out", where it stays until
 * the poll has been answered in full: an answer that failed is given to the
 * next poll.
 *
 *     GET --> polling --(out)--> sending --(sent)--> (no poll)
 *               `--(client went)----------------------^
 *
 * Who has news for the owner, or for the worker with the poll, links the
 * session into that worker's list and wakes it.  The lists are single links:
 * a session comes and goes by one store, and a flag says that it is there.
 *
 * A session changes its owner when another worker asks for it, as the
 * WebSocket of an upgrade or a poll has come there and stays: it claims the
 * session, and the owner moves it.
 *
 *     claim --> moving --(owner: all is read, said and put in "out")--> moved
 *
 * The owner closes a session.  With a poll about it lives on as closed until
 * that has been answered.
 *
 * An inner session is of no use to requests: it stands for one more client of
 * another session, and follows that one wherever it is moved.
 */


#define SYNC_SID_LEN  16                /* bytes of an id, random */

#define SYNC_SID_INNER  ((uint32_t) -1) /* no endpoint: of an inner session */


typedef struct sync_sid_chunk_s  sync_sid_chunk_t;

struct sync_sid_chunk_s {               /* in the zone, and its data after */
    sync_sid_chunk_t    *next;
    uint32_t             len;           /* bytes of data */
    uint8_t              kind;          /* of those in "in", the caller's */
    u_char               data[1];
};


struct sync_sid_node_s {                /* in the zone, in a session */
    sync_sid_node_t     *next;          /* of the worker's list */
    sync_sid_t          *sid;
    uint64_t             cookie;        /* the worker's, opaque to others */
    uint16_t             slot;
    uint8_t              queued;        /* in the list */
};


struct sync_sid_s {                     /* in the zone, 176 bytes */
    sync_sid_t          *next;          /* of the bucket */
    u_char               id[SYNC_SID_LEN];
    sync_record_t       *record;        /* of the client; NULL: none yet */
    sync_sid_chunk_t    *in;            /* for the owner, oldest first */
    sync_sid_chunk_t    *out;           /* for a poll, oldest first */
    sync_sid_chunk_t    *nsp;           /* the client's namespace, or NULL */
    sync_sid_chunk_t    *order;         /* what it was told, for its next
                                           owner; or NULL */
    sync_sid_chunk_t    *inner;         /* those that are to follow it, for
                                           the same; or NULL */
    sync_sid_node_t      owner;
    sync_sid_node_t      poll;          /* of the poll that waits */
    uint64_t             claim;         /* cookie of who asked for it */
    uint64_t             pinged;        /* ms, the last ping; by the owner */
    uint32_t             endpoint;      /* which one it belongs to */
    uint32_t             nin;           /* bytes */
    uint16_t             claimer;       /* slot of who asked for it */
    uint16_t             sender;        /* slot of who sends "out" */
    uint8_t              polling;       /* a poll waits */
    uint8_t              sending;       /* "out" is on its way to a poll */
    uint8_t              upgrading;     /* polls are not to wait any more */
    uint8_t              upgraded;      /* nor to come: a WebSocket has it */
    uint8_t              moving;        /* asked for by the claimer */
    uint8_t              arrived;       /* moved, and not seen by the owner */
    uint8_t              ended;         /* the peer's fault: to be closed */
    uint8_t              closed;        /* not there for requests any more */
    uint8_t              waiting;       /* no pong yet; by the owner */
    uint8_t              connected;     /* had a client; by the owner */
};


/* What a worker is told of: as the owner, or as the one with the poll. */

typedef enum {
    SYNC_SID_OWNER = 0,
    SYNC_SID_POLL
} sync_sid_role_e;


typedef struct {
    sync_sid_t          *sid;
    uint64_t             cookie;
    sync_sid_role_e      role;
    unsigned             polling:1;     /* as they were when it was taken */
    unsigned             moving:1;
    unsigned             arrived:1;
    unsigned             ended:1;
    unsigned             closed:1;
    unsigned             adopt:1;       /* the owner of the polled one exits */
} sync_sid_news_t;


/*
 * Makes a session that this worker owns.  Returns NULL if the zone is full.
 */
sync_sid_t *sync_sid_create(sync_zone_t *z, const u_char *id,
    uint32_t endpoint, uint64_t cookie);

/*
 * Closes a session of this worker, which must not use it any more.  A poll
 * that waits gets what is in "out" and is told.
 */
void sync_sid_close(sync_zone_t *z, sync_sid_t *s, sync_wake_set_t *wake);

/*
 * The id that the session's client is to have: it tells nothing of the
 * session's to who does not know the zone's key, and can be made of that one
 * again.
 */
void sync_sid_client_id(sync_zone_t *z, u_char *client, const u_char *id);

/*
 * A chunk for len bytes, in no session; NULL if the zone is full.  It is
 * the caller's till it is handed on.
 */
sync_sid_chunk_t *sync_sid_chunk(sync_zone_t *z, size_t len);
void sync_sid_free_chunk(sync_zone_t *z, sync_sid_chunk_t *chunk);

/*
 * Requests, of any worker, know a session by its id and endpoint.
 *
 * sync_sid_put() hands a chunk to the owner.  Returns SYNC_OK; SYNC_DECLINED
 * if there is no such session; or SYNC_BUSY if more than limit bytes wait:
 * the chunk stays the caller's then.  *adopt is set as below.
 */
ngx_int_t sync_sid_put(sync_zone_t *z, const u_char *id, uint32_t endpoint,
    sync_sid_chunk_t *chunk, size_t limit, ngx_uint_t *adopt,
    sync_wake_set_t *wake);

/*
 * Registers a poll.  Returns SYNC_OK with *sid, good until the poll is let
 * go; SYNC_DECLINED; SYNC_ERROR if a WebSocket has taken its place; or
 * SYNC_BUSY if there is a poll already: if end is set the session is closed
 * then, and both polls are to end.  If the owner is about to exit,
 * *adopt is set: this worker should claim the session.
 */
ngx_int_t sync_sid_poll(sync_zone_t *z, const u_char *id, uint32_t endpoint,
    uint64_t cookie, ngx_uint_t end, sync_sid_t **sid, ngx_uint_t *adopt,
    sync_wake_set_t *wake);

/*
 * What the poll is to be answered with.  Returns SYNC_AGAIN if it has to
 * wait; SYNC_OK with the chunks, which stay in the session until
 * sync_sid_sent(); or, if there is nothing to say but that, SYNC_SID_NOOP or
 * SYNC_SID_CLOSE: the session must not be used any more then.
 */

#define SYNC_SID_NOOP   1
#define SYNC_SID_CLOSE  2

ngx_int_t sync_sid_take(sync_zone_t *z, sync_sid_t *s,
    sync_sid_chunk_t **chunks);

/*
 * The answer was sent up to and with the chunk last, or, if that is NULL,
 * was not: then it is kept for the next poll.  The session must not be used
 * any more.
 */
void sync_sid_sent(sync_zone_t *z, sync_sid_t *s, sync_sid_chunk_t *last,
    sync_wake_set_t *wake);

/* The poll does not wait any more, and must not use the session. */
void sync_sid_unpoll(sync_zone_t *z, sync_sid_t *s, sync_wake_set_t *wake);

/*
 * Whether requests may use it: SYNC_OK, SYNC_DECLINED, or SYNC_BUSY if it is
 * being upgraded or moved.
 */
ngx_int_t sync_sid_exists(sync_zone_t *z, const u_char *id,
    uint32_t endpoint);

/*
 * Says that an upgrade has begun, and polls are to be answered at once, or
 * that it was given up.  Returns SYNC_OK, or SYNC_DECLINED if that is so
 * already, or there is no such session.
 */
ngx_int_t sync_sid_upgrade(sync_zone_t *z, const u_char *id,
    uint32_t endpoint, ngx_uint_t upgrading, sync_wake_set_t *wake);

/*
 * Asks the owner for the session, which tells cookie's worker when it was
 * moved.  Returns SYNC_OK, SYNC_DECLINED, or SYNC_BUSY if another has asked.
 */
ngx_int_t sync_sid_claim(sync_zone_t *z, const u_char *id,
    uint32_t endpoint, uint64_t cookie, sync_wake_set_t *wake);

/*
 * Takes a claim back; the session is to be closed then.  Returns SYNC_OK;
 * SYNC_BUSY with *sid if it was moved here already and its owner is the
 * caller; or SYNC_DECLINED.
 */
ngx_int_t sync_sid_unclaim(sync_zone_t *z, const u_char *id,
    uint64_t cookie, sync_sid_t **sid, sync_wake_set_t *wake);

/* What is new for this worker.  SYNC_OK or SYNC_DECLINED. */
ngx_int_t sync_sid_news(sync_zone_t *z, sync_sid_news_t *news);

/* For the owner: the oldest chunk that came for it, its own now; or NULL. */
sync_sid_chunk_t *sync_sid_in(sync_zone_t *z, sync_sid_t *s);

/* For the owner: puts a chunk into "out". */
void sync_sid_give(sync_zone_t *z, sync_sid_t *s, sync_sid_chunk_t *chunk,
    sync_wake_set_t *wake);

/*
 * For the owner: gives the session and its client to whoever claimed it;
 * for a WebSocket it waits till no poll is about.  Returns what
 * sync_room_move_locked() does, or SYNC_DECLINED if the claim was taken back.
 */
ngx_int_t sync_sid_move(sync_zone_t *z, sync_sid_t *s,
    sync_wake_set_t *wake);

/* Takes what is left in "out", oldest first; or NULL.  For the owner. */
sync_sid_chunk_t *sync_sid_out(sync_zone_t *z, sync_sid_t *s);

/*
 * Sets the client's namespace; nsp is empty for the default one.  For the
 * owner.  SYNC_OK or SYNC_BUSY.
 */
ngx_int_t sync_sid_set_namespace(sync_zone_t *z, sync_sid_t *s,
    sync_str_t *nsp);

/*
 * The same for what the next owner is to know; len 0: nothing.
 */
ngx_int_t sync_sid_set_order(sync_zone_t *z, sync_sid_t *s,
    const void *data, size_t len);

ngx_int_t sync_sid_set_inner(sync_zone_t *z, sync_sid_t *s,
    const void *data, size_t len);

/* Sets the session's client; for the owner. */
void sync_sid_set_record(sync_zone_t *z, sync_sid_t *s, sync_record_t *rec);

/*
 * For a worker about to exit: has those that hold polls of its sessions look
 * at them, some buckets from *bucket on.
 */
void sync_sid_nudge(sync_zone_t *z, uint32_t *bucket, sync_wake_set_t *wake);

/*
 * Removes sessions whose owner was the slot, and polls it had, from a bucket
 * on; the records of their clients go too.
 */
void sync_sid_reap_locked(sync_zone_t *z, ngx_uint_t slot, uint32_t *bucket);

/* A sync_zone_mend_pt: those of rooms and tokens, and what is stamped here. */
void sync_sid_mend(sync_zone_t *z, sync_stamp_t *stamp);

/*
 * Verifies every session; NULL, or what is wrong.  *used is the number of
 * bytes they take.  For tests; the caller holds the lock.
 */
const char *sync_sid_check(sync_zone_t *z, size_t *used);


/* For the files of this store alone; the caller holds the lock. */

sync_sid_t **sync_sid_bucket(sync_zone_t *z, const u_char *id);

/* A session that requests may use, or NULL. */
sync_sid_t *sync_sid_find_locked(sync_zone_t *z, const u_char *id,
    uint32_t endpoint);

void sync_sid_close_locked(sync_zone_t *z, sync_sid_t *s,
    sync_wake_set_t *wake);

/* Whether nobody needs it any more: it is to be freed then. */
ngx_uint_t sync_sid_unused(sync_sid_t *s);
void sync_sid_free_locked(sync_zone_t *z, sync_sid_t *s);

void sync_sid_append(sync_sid_chunk_t **list, sync_sid_chunk_t *chunk);
sync_sid_chunk_t *sync_sid_shift(sync_sid_chunk_t **list);

/* Whether the owner is about to exit, and this worker is not. */
ngx_uint_t sync_sid_may_adopt(sync_zone_t *z, sync_sid_t *s);

/* Links it into its worker's list, which is woken if wake is not NULL. */
void sync_sid_mark_locked(sync_zone_t *z, sync_sid_node_t *node,
    sync_wake_set_t *wake);
void sync_sid_unmark_locked(sync_zone_t *z, sync_sid_node_t *node);


#endif /* _SYNC_SID_H_INCLUDED_ */
