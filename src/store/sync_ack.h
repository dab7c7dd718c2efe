
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_ACK_H_INCLUDED_
#define _SYNC_ACK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>
#include <sync_worker.h>


/*
 * Messages that clients are asked to acknowledge, and what they answered.
 *
 *     one worker              zone                      any worker
 *     begin -------> acks[i]: number
 *     next <-------- answers: answer <- answer <------- put
 *     end
 *
 * An acknowledgement is known by its number, which holds its place in the
 * table and 40 random bits: a client that was not asked cannot answer.  The
 * worker that asked is woken, and takes the answers one by one; one that is
 * taken is the taker's.
 *
 * All links are single: an answer comes and goes by one store, and so does
 * an acknowledgement.  Those of a worker that died are reaped by its slot.
 */


#define SYNC_ACK_RANDOM  5              /* bytes, of a number */


typedef struct sync_answer_s  sync_answer_t;

struct sync_answer_s {                  /* in the zone, and its data after */
    sync_answer_t       *next;
    u_char               id[SYNC_ID_LEN];   /* of the client */
    uint32_t             len;           /* bytes of data */
    u_char               data[1];
};


struct sync_ack_s {                     /* in the zone, 40 bytes */
    uint64_t             number;        /* 48 bits */
    sync_answer_t       *answers;       /* newest first */
    size_t               bytes;         /* of them */
    size_t               limit;         /* bytes that may wait */
    uint16_t             slot;          /* of who asked */
};


/*
 * Begins to wait; up to limit bytes of answers are kept till they are taken.
 * random are SYNC_ACK_RANDOM bytes.  Returns NULL with *full set if
 * SYNC_ACKS_MAX are waited for already, or if there is no memory.
 */
sync_ack_t *sync_ack_begin(sync_zone_t *z, const u_char *random,
    size_t limit, ngx_uint_t *full);

/* Ends it: answers that were not taken are gone, later ones are declined. */
void sync_ack_end(sync_zone_t *z, sync_ack_t *ack);

/*
 * Hands a client's answer to who waits for it.  Returns SYNC_OK;
 * SYNC_DECLINED if nobody waits for that number; or SYNC_BUSY if too much
 * waits, or the zone is full.
 */
ngx_int_t sync_ack_put(sync_zone_t *z, uint64_t number, const u_char *id,
    const u_char *data, size_t len, sync_wake_set_t *wake);

/*
 * Takes an answer, in no order; or NULL.  The one before is given back with
 * it, unless done is NULL.
 */
sync_answer_t *sync_ack_next(sync_zone_t *z, sync_ack_t *ack,
    sync_answer_t *done);

/* How many are waited for, by all workers. */
ngx_uint_t sync_ack_count(sync_zone_t *z);

/* Ends some of those of a slot; SYNC_OK, or SYNC_AGAIN if there are more. */
ngx_int_t sync_ack_reap_locked(sync_zone_t *z, ngx_uint_t slot);

/*
 * Verifies all of them; NULL, or what is wrong.  Adds the bytes that they
 * take to *used.  For tests; the caller holds the lock.
 */
const char *sync_ack_check(sync_zone_t *z, size_t *used);


#endif /* _SYNC_ACK_H_INCLUDED_ */
