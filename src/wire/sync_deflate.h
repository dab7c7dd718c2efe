
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_DEFLATE_H_INCLUDED_
#define _SYNC_DEFLATE_H_INCLUDED_


#include <zlib.h>

#include "sync_base.h"


/*
 * Messages as RFC 7692 has them, each on its own (no context takeover).
 *
 * A sync_deflate_t takes below 320 KB from its allocator at init, then
 * nothing; one serves any number of clients, a message after another.  A
 * sync_inflate_t takes below 12 KB at init and 32 KB more with the first
 * output; it serves a message after another too, but is one client's while
 * a message is open.
 */

#define SYNC_DEFLATE_BITS    15       /* the window, as agreed */

/* bytes of output up to which no ratio is looked at */

#define SYNC_INFLATE_GRACE   4096


typedef struct {
    z_stream      z;
} sync_deflate_t;


typedef struct {
    z_stream      z;
    uint64_t      in;          /* bytes of this message so far */
    uint64_t      out;
    uint64_t      max;         /* bytes a message may have */
    sync_uint_t   ratio;       /* what output over input may be */
} sync_inflate_t;


/*
 * Prepares to deflate at a level, 1 to 9.  The allocator is as zlib has it
 * and must outlive *d.  Returns SYNC_OK, or SYNC_ERROR if it fails.
 */
sync_int_t sync_deflate_init(sync_deflate_t *d, int level,
    alloc_func zalloc, free_func zfree, void *opaque);

/*
 * Returns the size that is enough to deflate any message of len bytes.
 */
size_t sync_deflate_bound(size_t len);

/*
 * Deflates a whole message into one payload, without its last four bytes,
 * as RFC 7692, 7.2.1 says.
 *
 * Returns its length in bytes, at least 1; or SYNC_BUSY if that and 5 bytes
 * more are not in size (with the message's own length as size it means that
 * nothing is gained: send it plain); or SYNC_ERROR.  *d serves the next
 * message in any case.
 */
ssize_t sync_deflate_message(sync_deflate_t *d, u_char *dst, size_t size,
    const u_char *p, size_t len);

/*
 * Gives back all memory.
 */
void sync_deflate_done(sync_deflate_t *d);

/*
 * Prepares to inflate a message of at most max bytes.  Once it is longer
 * than SYNC_INFLATE_GRACE, it may not be longer than ratio times its input;
 * 0 is no limit (no deflate stream exceeds 1032).  Returns SYNC_OK, or
 * SYNC_ERROR if the allocator fails.
 */
sync_int_t sync_inflate_init(sync_inflate_t *i, uint64_t max,
    sync_uint_t ratio, alloc_func zalloc, free_func zfree, void *opaque);

/*
 * Inflates what arrived of a message: takes from [*p, last), moving *p, and
 * writes up to size bytes, 1 to INT_MAX, to dst.  fin tells that [*p, last)
 * is the end of the message.
 *
 * Returns how many bytes it wrote.  If that is size, call again with what
 * is left, be it nothing, and the same fin.  If it is less, all input was
 * taken, and if fin, the message is complete and *i ready for another one.
 *
 * Returns SYNC_BUSY if the message is longer than allowed: close with 1009;
 * SYNC_ERROR if it is malformed or ends too early: close with 1007.  In
 * both cases only sync_inflate_done() may follow.
 */
ssize_t sync_inflate(sync_inflate_t *i, const u_char **p, const u_char *last,
    u_char *dst, size_t size, sync_uint_t fin);

/*
 * Gives back all memory.
 */
void sync_inflate_done(sync_inflate_t *i);


#endif /* _SYNC_DEFLATE_H_INCLUDED_ */
