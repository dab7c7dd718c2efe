
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_ack.h>


/*
 *     number: 40 random bits, 8 bits of the place in acks[]
 *
 * What is freed stays linked till the moment before, so that little is lost
 * with who dies in between.  The bytes that wait are counted for the limit
 * alone: a death may leave them wrong, and nothing else depends on them.
 */


/* answers that are freed each time the lock is held */
#define SYNC_ACK_FREED  64


#define sync_ack_place(number)  ((number) & (SYNC_ACKS_MAX - 1))


static ngx_int_t sync_ack_free_locked(sync_zone_t *z, ngx_uint_t i);


sync_ack_t *
sync_ack_begin(sync_zone_t *z, const u_char *random, size_t limit,
    ngx_uint_t *full)
{
    ngx_uint_t   i, n;
    sync_ack_t  *ack;

    *full = 0;

    sync_zone_lock(z);

    for (i = 0; i < SYNC_ACKS_MAX; i++) {
        if (z->sh->acks[i] == NULL) {
            break;
        }
    }

    if (i == SYNC_ACKS_MAX) {
        sync_zone_unlock(z);
        *full = 1;
        return NULL;
    }

    ack = sync_zone_alloc_locked(z, sizeof(sync_ack_t));

    if (ack == NULL) {
        sync_zone_unlock(z);
        return NULL;
    }

    ack->number = 0;

    for (n = 0; n < SYNC_ACK_RANDOM; n++) {
        ack->number = ack->number << 8 | random[n];
    }

    ack->number = ack->number << 8 | i;

    if (ack->number == 0) {

        /* that would be none */

        ack->number = (uint64_t) 1 << 47;
    }

    ack->answers = NULL;
    ack->bytes = 0;
    ack->limit = limit;
    ack->slot = (uint16_t) sync_worker_slot(z, z->self);
    sync_heap_order();

    z->sh->acks[i] = ack;

    sync_zone_unlock(z);

    return ack;
}


void
sync_ack_end(sync_zone_t *z, sync_ack_t *ack)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    i = sync_ack_place(ack->number);

    do {
        sync_zone_lock(z);

        rc = sync_ack_free_locked(z, i);

        sync_zone_unlock(z);

    } while (rc == SYNC_AGAIN);
}


static ngx_int_t
sync_ack_free_locked(sync_zone_t *z, ngx_uint_t i)
{
    ngx_uint_t      n;
    sync_ack_t     *ack;
    sync_answer_t  *answer;

    ack = z->sh->acks[i];

    /* no more are to come */

    ack->limit = 0;

    for (n = 0; ack->answers; n++) {

        if (n == SYNC_ACK_FREED) {
            return SYNC_AGAIN;
        }

        answer = ack->answers;
        ack->answers = answer->next;
        sync_heap_order();

        sync_zone_free_locked(z, answer);
    }

    z->sh->acks[i] = NULL;
    sync_heap_order();

    sync_zone_free_locked(z, ack);

    return SYNC_OK;
}


/* It is filled under the lock, as it may be gone without. */

ngx_int_t
sync_ack_put(sync_zone_t *z, uint64_t number, const u_char *id,
    const u_char *data, size_t len, sync_wake_set_t *wake)
{
    size_t          size;
    sync_ack_t     *ack;
    sync_answer_t  *answer;

    size = offsetof(sync_answer_t, data) + len;

    sync_zone_lock(z);

    ack = z->sh->acks[sync_ack_place(number)];

    if (ack == NULL || ack->number != number) {
        sync_zone_unlock(z);
        return SYNC_DECLINED;
    }

    answer = NULL;

    if (size <= ack->limit && ack->bytes <= ack->limit - size) {
        answer = sync_zone_alloc_locked(z, size);
    }

    if (answer == NULL) {
        sync_zone_unlock(z);
        return SYNC_BUSY;
    }

    ngx_memcpy(answer->id, id, SYNC_ID_LEN);
    ngx_memcpy(answer->data, data, len);
    answer->len = (uint32_t) len;
    answer->next = ack->answers;
    ack->bytes += size;
    sync_heap_order();

    ack->answers = answer;

    sync_worker_mark_locked(z, ack->slot, wake);

    sync_zone_unlock(z);

    return SYNC_OK;
}


sync_answer_t *
sync_ack_next(sync_zone_t *z, sync_ack_t *ack, sync_answer_t *done)
{
    sync_answer_t  *answer;

    sync_zone_lock(z);

    if (done) {
        sync_zone_free_locked(z, done);
    }

    answer = ack->answers;

    if (answer) {
        ack->answers = answer->next;
        ack->bytes -= ngx_min(ack->bytes,
                              offsetof(sync_answer_t, data) + answer->len);
    }

    sync_zone_unlock(z);

    return answer;
}


ngx_uint_t
sync_ack_count(sync_zone_t *z)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < SYNC_ACKS_MAX; i++) {
        n += (z->sh->acks[i] != NULL);
    }

    return n;
}


ngx_int_t
sync_ack_reap_locked(sync_zone_t *z, ngx_uint_t slot)
{
    ngx_uint_t  i;

    for (i = 0; i < SYNC_ACKS_MAX; i++) {

        if (z->sh->acks[i] && z->sh->acks[i]->slot == slot) {
            (void) sync_ack_free_locked(z, i);  /* looked at again */

            return SYNC_AGAIN;
        }
    }

    return SYNC_OK;
}


const char *
sync_ack_check(sync_zone_t *z, size_t *used)
{
    ngx_uint_t      i;
    sync_ack_t     *ack;
    sync_answer_t  *answer;

    for (i = 0; i < SYNC_ACKS_MAX; i++) {
        ack = z->sh->acks[i];

        if (ack == NULL) {
            continue;
        }

        if (!sync_heap_is_block(&z->sh->heap, ack)) {
            return "acknowledgement: no block";
        }

        if (sync_ack_place(ack->number) != i || ack->number >> 48) {
            return "acknowledgement: wrong number";
        }

        *used += sync_heap_block_size(&z->sh->heap, ack);

        for (answer = ack->answers; answer; answer = answer->next) {

            if (!sync_heap_is_block(&z->sh->heap, answer)) {
                return "acknowledgement: an answer is no block";
            }

            *used += sync_heap_block_size(&z->sh->heap, answer);
        }
    }

    return NULL;
}
