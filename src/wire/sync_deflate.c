
/*
 * Copyright (C) sync for nginx
 */


#include <limits.h>

#include "sync_deflate.h"


#define SYNC_DEFLATE_MEM_LEVEL  8

/* what a sender takes off a message's end, and a receiver puts back */

#define SYNC_DEFLATE_TAIL       4

/* in z_stream.data_type: between two blocks, no bits of a byte left over */

#define SYNC_INFLATE_BOUNDARY   128
#define SYNC_INFLATE_BITS       63


static sync_int_t sync_inflate_finish(sync_inflate_t *i);
static sync_int_t sync_inflate_step(sync_inflate_t *i);


static const u_char  sync_deflate_tail[] = { 0x00, 0x00, 0xff, 0xff };


sync_int_t
sync_deflate_init(sync_deflate_t *d, int level, alloc_func zalloc,
    free_func zfree, void *opaque)
{
    memset(&d->z, 0, sizeof(z_stream));

    d->z.zalloc = zalloc;
    d->z.zfree = zfree;
    d->z.opaque = opaque;

    if (deflateInit2(&d->z, level, Z_DEFLATED, -SYNC_DEFLATE_BITS,
                     SYNC_DEFLATE_MEM_LEVEL, Z_DEFAULT_STRATEGY)
        != Z_OK)
    {
        return SYNC_ERROR;
    }

    return SYNC_OK;
}


size_t
sync_deflate_bound(size_t len)
{
    /* at worst blocks are stored as they are, with 5 bytes before each */

    return len + (len >> 11) + 32;
}


ssize_t
sync_deflate_message(sync_deflate_t *d, u_char *dst, size_t size,
    const u_char *p, size_t len)
{
    int  rc;

    if (size == 0 || size > UINT_MAX || len > UINT_MAX) {
        return SYNC_BUSY;
    }

    if (deflateReset(&d->z) != Z_OK) {
        return SYNC_ERROR;
    }

    d->z.next_in = (u_char *) p;
    d->z.avail_in = len;
    d->z.next_out = dst;
    d->z.avail_out = size;

    rc = deflate(&d->z, Z_SYNC_FLUSH);

    if (rc != Z_OK) {
        return SYNC_ERROR;
    }

    /* with no room left it may have more to say */

    if (d->z.avail_out == 0) {
        return SYNC_BUSY;
    }

    return size - d->z.avail_out - SYNC_DEFLATE_TAIL;
}


void
sync_deflate_done(sync_deflate_t *d)
{
    /* it complains if a message was cut short, and frees all the same */

    (void) deflateEnd(&d->z);
}


sync_int_t
sync_inflate_init(sync_inflate_t *i, uint64_t max, sync_uint_t ratio,
    alloc_func zalloc, free_func zfree, void *opaque)
{
    memset(i, 0, sizeof(sync_inflate_t));

    i->z.zalloc = zalloc;
    i->z.zfree = zfree;
    i->z.opaque = opaque;

    i->max = max;
    i->ratio = ratio;

    if (inflateInit2(&i->z, -SYNC_DEFLATE_BITS) != Z_OK) {
        return SYNC_ERROR;
    }

    return SYNC_OK;
}


ssize_t
sync_inflate(sync_inflate_t *i, const u_char **p, const u_char *last,
    u_char *dst, size_t size, sync_uint_t fin)
{
    size_t  n;

    i->z.next_out = dst;
    i->z.avail_out = size;

    do {
        n = last - *p;

        if (n > INT_MAX) {
            n = INT_MAX;
        }

        i->z.next_in = (u_char *) *p;
        i->z.avail_in = n;

        if (sync_inflate_step(i) == SYNC_ERROR) {
            return SYNC_ERROR;
        }

        n -= i->z.avail_in;
        *p += n;
        i->in += n;

        n = size - i->z.avail_out;

        if (i->out + n > i->max
            || (i->ratio
                && i->out + n > SYNC_INFLATE_GRACE
                && (i->out + n) / i->ratio > i->in))
        {
            return SYNC_BUSY;
        }

    } while (n < size && *p < last);

    i->out += n;

    if (n < size && fin && sync_inflate_finish(i) != SYNC_OK) {
        return SYNC_ERROR;
    }

    return n;
}


/* the input was taken, and as there is room, all its output given */

static sync_int_t
sync_inflate_finish(sync_inflate_t *i)
{
    uInt        out;
    sync_int_t  rc;

    out = i->z.avail_out;

    i->z.next_in = (u_char *) sync_deflate_tail;
    i->z.avail_in = SYNC_DEFLATE_TAIL;

    do {
        rc = sync_inflate_step(i);

        /* it is the end of an empty block, nothing else */

        if (rc == SYNC_ERROR || i->z.avail_out != out) {
            return SYNC_ERROR;
        }

    } while (i->z.avail_in);

    if (rc != SYNC_OK || inflateReset(&i->z) != Z_OK) {
        return SYNC_ERROR;
    }

    i->in = 0;
    i->out = 0;

    return SYNC_OK;
}


/* SYNC_OK if it took its input up to the end of a block, else SYNC_AGAIN */

static sync_int_t
sync_inflate_step(sync_inflate_t *i)
{
    int  rc;

    rc = inflate(&i->z, Z_SYNC_FLUSH);

    if (rc == Z_STREAM_END) {

        /* a final block is no end, others may follow (RFC 7692, 7.2.3.4) */

        return (inflateReset(&i->z) == Z_OK) ? SYNC_OK : SYNC_ERROR;
    }

    if (rc != Z_OK && rc != Z_BUF_ERROR) {
        return SYNC_ERROR;
    }

    if ((i->z.data_type & (SYNC_INFLATE_BOUNDARY|SYNC_INFLATE_BITS))
        == SYNC_INFLATE_BOUNDARY)
    {
        return SYNC_OK;
    }

    return SYNC_AGAIN;
}


void
sync_inflate_done(sync_inflate_t *i)
{
    (void) inflateEnd(&i->z);
}
