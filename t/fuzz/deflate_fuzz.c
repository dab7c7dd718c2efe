
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_deflate.h"


#define MAX    (256 * 1024)
#define RATIO  200


/* how a message ended */

typedef struct {
    u_char    *data;
    size_t     len;
    ssize_t    rc;
} output_t;


static void *zalloc(void *opaque, uInt items, uInt size);
static void zfree(void *opaque, void *p);
static void inflate_message(output_t *o, uint32_t cuts, uint64_t max,
    sync_uint_t ratio, const u_char *p, size_t len);
static int naive(output_t *o, const u_char *p, size_t len);
static void check_inflate(uint32_t cuts, const u_char *p, size_t len);
static void check_round_trip(uint32_t cuts, const u_char *p, size_t len);


static size_t  zblocks;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }

    check_inflate(data[0], data + 1, size - 1);
    check_round_trip(data[0], data + 1, size - 1);

    fuzz_check(zblocks == 0);

    return 0;
}


static void *
zalloc(void *opaque, uInt items, uInt size)
{
    (void) opaque;

    zblocks++;

    return malloc((size_t) items * size);
}


static void
zfree(void *opaque, void *p)
{
    (void) opaque;

    zblocks--;
    free(p);
}


static void
inflate_message(output_t *o, uint32_t cuts, uint64_t max, sync_uint_t ratio,
    const u_char *p, size_t len)
{
    size_t           n, room;
    u_char          *piece, *dst;
    uint32_t         rooms;
    const u_char    *pos, *last;
    sync_inflate_t   i;

    if (sync_inflate_init(&i, max, ratio, zalloc, zfree, NULL) != SYNC_OK) {
        abort();
    }

    rooms = cuts ? cuts | 128 : 0;
    o->data = fuzz_alloc(MAX + 1);
    o->len = 0;

    do {
        n = fuzz_piece(&cuts, len);
        piece = fuzz_copy(p, n);
        pos = piece;
        last = piece + n;
        p += n;
        len -= n;

        do {
            room = 1 + fuzz_piece(&rooms, MAX);
            dst = fuzz_alloc(room);
            o->rc = sync_inflate(&i, &pos, last, dst, room, len == 0);

            fuzz_check(o->rc <= (ssize_t) room);

            if (o->rc > 0) {
                fuzz_check(o->len + o->rc <= MAX);
                memcpy(o->data + o->len, dst, o->rc);
                o->len += o->rc;
            }

            free(dst);

        } while (o->rc == (ssize_t) room);

        fuzz_check(o->rc < 0 || pos == last);
        free(piece);

    } while (o->rc >= 0 && len);

    sync_inflate_done(&i);
}


/*
 * With zlib alone, all at once: returns 1 if the message is whole, with no
 * final block in it, 0 if it is not, and -1 if it is left open here: it is
 * too long, or has a final block.
 */

static int
naive(output_t *o, const u_char *p, size_t len)
{
    int        rc;
    u_char    *in;
    z_stream   z;

    in = fuzz_alloc(len + 4);
    memcpy(in, p, len);
    memcpy(in + len, "\x00\x00\xff\xff", 4);

    memset(&z, 0, sizeof(z_stream));
    fuzz_check(inflateInit2(&z, -15) == Z_OK);

    o->data = fuzz_alloc(MAX + 1);

    z.next_in = in;
    z.avail_in = len;
    z.next_out = o->data;
    z.avail_out = MAX + 1;

    rc = inflate(&z, Z_SYNC_FLUSH);
    o->len = MAX + 1 - z.avail_out;

    if (rc == Z_STREAM_END || z.avail_out == 0) {
        rc = -1;

    } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
        rc = 0;

    } else {
        z.avail_in = 4;
        rc = inflate(&z, Z_SYNC_FLUSH);

        if (rc == Z_STREAM_END) {
            rc = -1;

        } else {
            rc = (rc == Z_OK && (z.data_type & 0xff) == 128
                  && o->len == MAX + 1 - z.avail_out);
        }
    }

    inflateEnd(&z);
    free(in);

    return rc;
}


static void
check_inflate(uint32_t cuts, const u_char *p, size_t len)
{
    int       rc;
    output_t  whole, cut, want;

    inflate_message(&whole, 0, MAX, 0, p, len);
    inflate_message(&cut, cuts, MAX, 0, p, len);

    fuzz_check((whole.rc < 0) == (cut.rc < 0));

    if (whole.rc >= 0) {
        fuzz_check(whole.len == cut.len);
        fuzz_check(memcmp(whole.data, cut.data, cut.len) == 0);

    } else {
        fuzz_check(whole.rc == cut.rc);
    }

    rc = naive(&want, p, len);

    if (rc == 1) {
        fuzz_check(whole.rc >= 0 && whole.len == want.len);
        fuzz_check(memcmp(whole.data, want.data, want.len) == 0);
    }

    if (rc == 0) {
        fuzz_check(whole.rc == SYNC_ERROR);
    }

    free(cut.data);

    /* a smaller limit may refuse a message, and changes nothing else */

    inflate_message(&cut, cuts, MAX, RATIO, p, len);

    if (cut.rc >= 0) {
        fuzz_check(cut.len == whole.len);
        fuzz_check(cut.len <= SYNC_INFLATE_GRACE
                   || cut.len <= RATIO * (len + 1));

    } else if (whole.rc >= 0) {
        fuzz_check(cut.rc == SYNC_BUSY && whole.len > SYNC_INFLATE_GRACE);
    }

    free(cut.data);

    if (whole.rc >= 0 && whole.len) {
        inflate_message(&cut, cuts, whole.len - 1, 0, p, len);
        fuzz_check(cut.rc == SYNC_BUSY);
        free(cut.data);
    }

    free(whole.data);
    free(want.data);
}


static void
check_round_trip(uint32_t cuts, const u_char *p, size_t len)
{
    size_t           size;
    u_char          *packed;
    ssize_t          n;
    output_t         o;
    sync_deflate_t   d;

    if (sync_deflate_init(&d, 1 + cuts % 9, zalloc, zfree, NULL)
        != SYNC_OK)
    {
        abort();
    }

    size = sync_deflate_bound(len);
    packed = fuzz_alloc(size);

    n = sync_deflate_message(&d, packed, size, p, len);
    fuzz_check(n >= 1);

    inflate_message(&o, cuts, len, 0, packed, n);
    fuzz_check(o.rc >= 0 && o.len == len);
    fuzz_check(memcmp(o.data, p, len) == 0);

    free(o.data);
    free(packed);

    /* the room that is said to be needed is needed, and enough */

    packed = fuzz_alloc(n + 5);
    fuzz_check(sync_deflate_message(&d, packed, n + 4, p, len) == SYNC_BUSY);
    fuzz_check(sync_deflate_message(&d, packed, n + 5, p, len) == n);
    free(packed);

    sync_deflate_done(&d);
}
