
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_RECEIPT_H_INCLUDED_
#define _SYNC_RECEIPT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>
#include <sync_worker.h>
#include <sync_log.h>


/*
 * Messages of which it is asked how many clients they went to.
 *
 *     one worker             zone                        workers
 *     begin -----> receipts[i]: number
 *     publish ---> waits += workers with members
 *                  waits--, clients += n   <-----------  put
 *     end   <----- waits is 0
 *
 * A message with SYNC_RECEIPT has the receipt's number in front of its extra.
 * How many workers are to report is known when it is appended, under one
 * lock.  One that dies, or lost its members, does not report: who asks has to
 * have a time limit.
 *
 * A receipt is a row of a table, and leads nowhere: a death leaves it with
 * wrong numbers at worst, and nothing to mend.
 */


/* In sync_entry_t.flags. */

#define SYNC_RECEIPT        0x10

#define SYNC_RECEIPT_EXTRA  16          /* bytes in front of the extra */


/*
 * Begins one; random is what makes its number.  Returns the number, or 0 if
 * SYNC_RECEIPTS_MAX are under way.
 */
uint64_t sync_receipt_begin(sync_zone_t *z, uint64_t random);

/* Writes what stands in front of the extra. */
void sync_receipt_write(u_char *p, uint64_t host, uint64_t number);

/* What is written there. */
void sync_receipt_read(const u_char *p, uint64_t *host, uint64_t *number);

/*
 * n clients more were told, by a worker that was to report, or, with late, by
 * another host's.  *wake gets the worker that asks if nobody else is to
 * report.
 */
void sync_receipt_put(sync_zone_t *z, uint64_t number, ngx_uint_t n,
    ngx_uint_t late, sync_wake_set_t *wake);

/*
 * Ends it, if nobody is to report any more, or in any case if it is forced.
 * Returns SYNC_OK and the number of clients, SYNC_AGAIN, or SYNC_DECLINED if
 * it is not there.
 */
ngx_int_t sync_receipt_end(sync_zone_t *z, uint64_t number, ngx_uint_t force,
    ngx_uint_t *clients);

/* Whether somebody is to report; without the lock. */
ngx_uint_t sync_receipt_waits(sync_zone_t *z, uint64_t number);

/* How many are under way. */
ngx_uint_t sync_receipt_count(sync_zone_t *z);


/* For the stores alone; the caller holds the lock. */

/* The message is appended for n workers to deliver. */
void sync_receipt_expect_locked(sync_zone_t *z, sync_message_t *m,
    ngx_uint_t n);

/* Frees those of a slot. */
void sync_receipt_reap_locked(sync_zone_t *z, ngx_uint_t slot);


#endif /* _SYNC_RECEIPT_H_INCLUDED_ */
