
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_RATE_H_INCLUDED_
#define _SYNC_RATE_H_INCLUDED_


#include <sync_zone.h>


/*
 * How often something was done in a window of time, for as many things as
 * there is room for.
 *
 *     key --> set of SYNC_RATE_SET entries --> the key's, or a free one,
 *                                              or one that is evicted
 *
 * A window begins with the first hit and has a fixed length.  What is not
 * allowed is counted as well.  Where all entries of a set are in use, the
 * one with the fewest hits gives way, of those the one that ends first: who
 * hits most is forgotten last.
 */


/* A limit: n hits in a window; n is 0: no limit. */

typedef struct {
    ngx_uint_t   n;
    ngx_msec_t   window;        /* ms */
} sync_rate_limit_t;


/*
 * A key: of the bytes that name what is counted.  Who does not know the
 * zone's own key cannot make two that are the same.
 */
uint64_t sync_rate_key(sync_zone_t *z, const u_char *data, size_t len);

/*
 * Counts a hit at the time now, ms, of a clock that all workers share and
 * that does not go back.  Takes the lock.
 *
 * Returns SYNC_OK if it is within the limit; or SYNC_BUSY and the time that
 * is left of the window, ms, at least 1.
 */
ngx_int_t sync_rate_hit(sync_zone_t *z, uint64_t key,
    sync_rate_limit_t *limit, uint64_t now, ngx_msec_t *left);

/*
 * What of a key's hits is to be told to other hosts: returns it, the time that
 * is left and the window's start; or 0 if there is nothing or the window is
 * over.  It counts as told from then on.  Takes the lock.
 */
uint32_t sync_rate_tell(sync_zone_t *z, uint64_t key, uint64_t now,
    ngx_msec_t *left, uint32_t *start);

/*
 * All hosts together have counted so many, what was told included, in a window
 * that goes on for left ms: ours ends with it.  start is what it was when this
 * was asked; if the window is another one now, nothing is done.  Takes the
 * lock.
 */
void sync_rate_told(sync_zone_t *z, uint64_t key, uint64_t now,
    uint32_t start, uint64_t total, ngx_msec_t left);

/* Whether the table is as it should be: SYNC_OK or SYNC_ERROR. */
ngx_int_t sync_rate_check_locked(sync_zone_t *z);


#endif /* _SYNC_RATE_H_INCLUDED_ */
