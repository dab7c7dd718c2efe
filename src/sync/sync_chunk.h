
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_CHUNK_H_INCLUDED_
#define _SYNC_CHUNK_H_INCLUDED_


#include <sync_asker.h>
#include <sync_pending.h>


/*
 * What is said while the app still thinks (luckystack-wire, 5).
 *
 *     stream      the asker alone         ["sync-progress-7",p]
 *     broadcast   the receiver's room     ["sync",{...p,cb,fullName,status}]
 *     to          clients, by token       the same
 *
 * A client hears everything in the order in which the app said it: what was
 * published is delivered in this worker before something is said to the
 * asker alone, so chunks come before the acknowledgement as well.
 *
 * Where Redis makes a room's order, that takes waiting, see sync_pending.h:
 * who says something else asks sync_chunk_pending() first.
 *
 * A room may keep the text of its chunks, for who joins in the middle: see
 * sync_text.h.
 *
 * Text may be gathered: pieces of it go out as one chunk when there are so
 * many UTF-16 units or when so much time has passed, each way for itself.
 */


#define SYNC_CHUNK_CHARS_MAX  65536     /* UTF-16 units that are gathered */
#define SYNC_CHUNK_EVERY_MAX  60000     /* ms that they wait */
#define SYNC_CHUNK_FIELD_MAX  64        /* bytes in the name of the field */
#define SYNC_CHUNK_TO_MAX     256       /* tokens and ids of one chunk */


typedef enum {
    SYNC_CHUNK_STREAM = 0,
    SYNC_CHUNK_BROADCAST,
    SYNC_CHUNK_TO,
    SYNC_CHUNK_MAX
} sync_chunk_way_e;


/* Text that waits: an object of one member, not closed yet. */

typedef struct {
    u_char              *buf;
    size_t               size;
    size_t               len;           /* 0: none */
    size_t               units;
    u_char              *to;            /* whom it is for, JSON */
    size_t               to_len;
} sync_chunk_text_t;


typedef struct {
    ngx_msec_t           every;         /* ms; 0: no matter how long */
    size_t               chars;         /* UTF-16 units; 0: do not gather */
    size_t               len;
    u_char               field[SYNC_CHUNK_FIELD_MAX];
} sync_throttle_t;


/* What a request with a streamed answer needs, in the call's pool. */

struct sync_stream_s {
    ngx_queue_t          queue;         /* of those held, sync_pressure.h */
    sync_request_t      *request;
    ngx_msec_t           since;         /* it is held by a room */
    ngx_uint_t           looks;         /* when something was published */
    ngx_event_t          timer;         /* for text that waits */
    sync_throttle_t      throttle;
    sync_chunk_text_t    texts[SYNC_CHUNK_MAX];
    sync_chunk_way_e     way;           /* of the last one published */
    sync_pending_t       pending;
    ngx_uint_t           saving;        /* sessions that are */
    void               (*then)(sync_request_t *rq);
    sync_call_result_e   result;        /* for it, the answer that waits */
    uint64_t             text;          /* that the room keeps; 0: none yet */
    size_t               text_len;      /* bytes of it said so far */
    size_t               text_limit;    /* of what is kept; 0: nothing is */
    unsigned             held:1;
    unsigned             waits:1;       /* a line, for all that is pending */
    unsigned             pressed:1;     /* and not for a turn alone */
    unsigned             said:1;        /* published, maybe not delivered */
    unsigned             impatient:1;   /* waits no more for its room */
    unsigned             unsaved:1;     /* the session could not be */
    unsigned             asked:1;       /* the room's rule, for the limit */
};


/* For a request in its call's pool.  SYNC_OK or SYNC_ERROR (memory). */
ngx_int_t sync_chunk_init(sync_request_t *rq);

/*
 * Says p that way, or gathers it; to is JSON, a string or an array of them.
 * The client may be closed.
 */
void sync_chunk_say(sync_request_t *rq, sync_chunk_way_e way, sync_json_t *p,
    sync_json_t *to);

/* How much was said that is not over, sync_pending.h. */

#define sync_chunk_pending(rq)                                                \
    sync_pending_count(&(rq)->stream->pending)

/* Says to a room, as sync_pending_say(). */

#define sync_chunk_say_room(rq, room, s)                                      \
    sync_pending_say(&(rq)->stream->pending, rq, room, s)

/* Says what was gathered. */
void sync_chunk_flush(sync_request_t *rq);

/* No more is to come: the room forgets the text that was said in it. */
void sync_chunk_end(sync_request_t *rq);

/*
 * Around whatever else is published, that way: it comes in the order of the
 * rest.
 */
void sync_chunk_turn(sync_request_t *rq, sync_chunk_way_e way);
void sync_chunk_said(sync_request_t *rq);

/*
 * Has delivered what was published, for the asker to be told of what came
 * after.  rq->client may be gone then.
 */
void sync_chunk_settle(sync_request_t *rq);


#endif /* _SYNC_CHUNK_H_INCLUDED_ */
