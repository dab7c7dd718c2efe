
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SHARE_H_INCLUDED_
#define _SYNC_SHARE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>
#include <sync_worker.h>
#include <sync_room.h>


/*
 * Calls of the client hook that several workers have a share in.
 *
 * A worker asks by itself for SYNC_SHARE_MAX members at a time.  What is left
 * over is its share in a call for members of other workers as well:
 *
 *     shares[message] -> share -> share -> share
 *                          |
 *                          +-- texts         what the app is told of them
 *                          `-- parcels       what the app answered
 *
 *     OPEN --(full, or all came, or one waited too long)--> CALLED
 *          --(its caller says so)--> DONE, INVALID, LOST
 *          --(its worker has read that, or gave it up)--> gone
 *
 * Shares of one message and hook that are open are one call to be.  Who makes
 * it is written to all of them at once; it takes the texts, and hands what is
 * answered to each share.  The sum of them is never above SYNC_SHARE_MAX.
 *
 * Which workers are still to come is told by the room: each interest knows
 * the last message that its worker has come with.  One that is waited for in
 * vain is late, and waited for no more, until nobody is ahead of it.  Only
 * workers of one generation share, as a hook is known by where it stands in
 * the configuration.
 *
 * A share that is lost, as its caller is no more, or there is no room for what
 * is answered, is its own worker's to ask for.
 *
 * All links are single, and what state a call is in stands in its shares
 * alone: a death leaves nothing to mend.  Shares of a slot go with it, those
 * it was to call for are lost.
 */


#define SYNC_SHARE_MAX    64            /* recipients of a call */
#define SYNC_SHARE_TEXTS  262144        /* bytes of texts of a share */
#define SYNC_SHARE_WAIT   1048576       /* bytes of parcels that may wait */


typedef enum {
    SYNC_SHARE_OPEN = 0,
    SYNC_SHARE_CALLED,
    SYNC_SHARE_DONE,            /* the answer has ended */
    SYNC_SHARE_INVALID,         /* the same, and it was none */
    SYNC_SHARE_LOST             /* nobody asks any more */
} sync_share_state_e;


/* A message, and who is to be asked about it. */

typedef struct {
    sync_room_t         *room;          /* that it was read from */
    uint64_t             lsn;
    uint32_t             nonce;
    const void          *hook;          /* of the configuration */
    const void          *ctx;
} sync_share_key_t;


typedef struct sync_parcel_s  sync_parcel_t;

struct sync_parcel_s {                  /* in the zone, and its data after */
    sync_parcel_t       *next;
    uint32_t             len;           /* bytes of data */
    u_char               data[1];
};


struct sync_share_s {                   /* in the zone, its texts after */
    sync_share_t        *next;          /* of the bucket */
    sync_share_key_t     key;
    sync_parcel_t       *parcels;       /* newest first */
    size_t               bytes;         /* of them */
    uint64_t             number;
    uint64_t             call;          /* number of it; 0: it is open */
    uint32_t             generation;
    uint32_t             n;             /* recipients */
    uint32_t             len;           /* bytes of texts */
    uint16_t             slot;
    uint16_t             caller;        /* slot */
    uint8_t              state;
    u_char               data[1];       /* of each: length, text */
};


/* What a worker comes with, and what becomes of it. */

typedef struct {
    sync_share_key_t     key;
    uint32_t             n;             /* recipients, may be 0 */
    u_char              *texts;         /* sync_share_write_length() */
    size_t               len;           /* bytes, to SYNC_SHARE_TEXTS */

    uint64_t             call;          /* that is to be made, or 0 */
    uint32_t             taken;         /* of the first ones go with it */
    sync_share_t        *share;         /* of the others; NULL: they are to
                                           be asked for by themselves */
} sync_share_offer_t;


/* The texts of a call's other shares, in their order. */

typedef struct {
    u_char              *buf;           /* the caller's */
    size_t               size;
    size_t               need;          /* with SYNC_AGAIN: a size that fits */

    uint32_t             n;             /* shares; known with SYNC_AGAIN, too */
    uint64_t             numbers[SYNC_SHARE_MAX];
    uint32_t             counts[SYNC_SHARE_MAX];    /* recipients */
} sync_share_texts_t;


/* Whether no other worker has members there; without the lock. */
ngx_uint_t sync_share_alone(sync_zone_t *z, sync_room_t *room,
    sync_interest_t *in);

/*
 * Comes with what is left over.  With "last" the worker has come with all it
 * has of that message; calls that nobody else is to come to are made then, by
 * this worker, or by another, that is woken.
 */
void sync_share_offer(sync_zone_t *z, sync_share_offer_t *o, ngx_uint_t last,
    sync_wake_set_t *wake);

/*
 * The share has waited for long enough.  SYNC_OK if this worker is to make
 * the call, or SYNC_DECLINED if another does.  Others that have not come are
 * late.
 */
ngx_int_t sync_share_close(sync_zone_t *z, sync_share_t *s);

/* Whether this worker is to make the share's call; without the lock. */
#define sync_share_is_caller(z, s)                                            \
    (*(volatile uint8_t *) &(s)->state == SYNC_SHARE_CALLED                   \
     && (s)->caller == sync_worker_slot(z, (z)->self))

/*
 * Takes the texts of a call that this worker makes; its own share, which may
 * be NULL, is gone then.  SYNC_OK, or SYNC_AGAIN if t->size is below t->need.
 */
ngx_int_t sync_share_collect(sync_zone_t *z, uint64_t call,
    sync_share_t *own, sync_share_texts_t *t);

/*
 * Hands what was answered to a share, and says what state it is in.  Returns
 * SYNC_OK, or SYNC_DECLINED if it is not there, or is lost, as there is no
 * room.
 */
ngx_int_t sync_share_put(sync_zone_t *z, uint64_t number, const u_char *data,
    size_t len, sync_share_state_e state, sync_wake_set_t *wake);

/* Whether there is something to be read; without the lock. */
#define sync_share_has_news(s)                                                \
    (*(sync_parcel_t *volatile *) &(s)->parcels != NULL                       \
     || *(volatile uint8_t *) &(s)->state > SYNC_SHARE_CALLED)

/*
 * Takes all parcels, oldest first.  SYNC_OK, with their bytes in *len and the
 * share's state, or SYNC_AGAIN if size is below *len.
 */
ngx_int_t sync_share_take(sync_zone_t *z, sync_share_t *s, u_char *buf,
    size_t size, size_t *len, sync_share_state_e *state);

/* Whether who makes the call gave no beat for long; without the lock. */
ngx_uint_t sync_share_stalled(sync_zone_t *z, sync_share_t *s);

/* Gives up a share of this worker. */
void sync_share_leave(sync_zone_t *z, sync_share_t *s, sync_wake_set_t *wake);

/*
 * A text stands behind its length.  Writes that, in front of a text that is
 * there; returns what follows.
 */
#define sync_share_text_size(len)  (sizeof(uint32_t) + (len))
u_char *sync_share_write_length(u_char *p, size_t len);

/* Reads a text; returns what follows. */
u_char *sync_share_read_text(u_char *p, sync_str_t *text);

/* How many there are, of all workers; without the lock. */
ngx_uint_t sync_share_count(sync_zone_t *z);

/* Ends some of those of a slot; SYNC_OK, or SYNC_AGAIN if there are more. */
ngx_int_t sync_share_reap_locked(sync_zone_t *z, ngx_uint_t slot);

/*
 * Verifies all of them; NULL, or what is wrong.  Adds the bytes that they
 * take to *used.  For tests; the caller holds the lock.
 */
const char *sync_share_check(sync_zone_t *z, size_t *used);


#endif /* _SYNC_SHARE_H_INCLUDED_ */
