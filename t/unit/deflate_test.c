
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_deflate.h"


/* an allocator that counts, with a limit */

typedef struct {
    size_t  used;
    size_t  limit;
} heap_t;


static void *heap_alloc(void *opaque, uInt items, uInt size);
static void heap_free(void *opaque, void *p);
static void fill(u_char *p, size_t len, int kind);
static size_t deflated(u_char *dst, size_t size, const u_char *p,
    size_t len, int level);
static ssize_t inflate_all(sync_inflate_t *i, u_char *dst, size_t size,
    const u_char *p, size_t len, size_t in, size_t out);
static void test_round_trip(void);
static void test_too_small(void);
static void test_examples(void);
static void test_malformed(void);
static void test_limits(void);
static void test_memory(void);


static u_char  plain[70000];
static u_char  packed[80000];
static u_char  result[70000];


int
main(void)
{
    test_round_trip();
    test_too_small();
    test_examples();
    test_malformed();
    test_limits();
    test_memory();

    return unit_done();
}


static void *
heap_alloc(void *opaque, uInt items, uInt size)
{
    size_t  *p, n;
    heap_t  *h;

    h = opaque;
    n = (size_t) items * size;

    if (h->used + n > h->limit) {
        return NULL;
    }

    p = malloc(16 + n);
    if (p == NULL) {
        return NULL;
    }

    h->used += n;
    *p = n;

    return (u_char *) p + 16;
}


static void
heap_free(void *opaque, void *p)
{
    heap_t  *h;
    size_t  *size;

    h = opaque;
    size = (size_t *) ((u_char *) p - 16);
    h->used -= *size;

    free(size);
}


static void
fill(u_char *p, size_t len, int kind)
{
    size_t    i;
    uint32_t  seed;

    seed = 12345;

    for (i = 0; i < len; i++) {
        seed = seed * 1103515245 + 12345;

        switch (kind) {

        case 0:
            p[i] = 'x';
            break;

        case 1:
            p[i] = "{\"id\":1}"[seed >> 29];
            break;

        default:
            p[i] = seed >> 24;
        }
    }
}


static size_t
deflated(u_char *dst, size_t size, const u_char *p, size_t len, int level)
{
    ssize_t         n;
    heap_t          heap = { 0, 1024 * 1024 };
    sync_deflate_t  d;

    if (sync_deflate_init(&d, level, heap_alloc, heap_free, &heap)
        != SYNC_OK)
    {
        printf("Bail out! sync_deflate_init() failed\n");
        exit(2);
    }

    n = sync_deflate_message(&d, dst, size, p, len);
    sync_deflate_done(&d);

    if (n < 0 || heap.used) {
        printf("Bail out! sync_deflate_message() returned %d\n", (int) n);
        exit(2);
    }

    return n;
}


/* feeds pieces of in bytes, and takes out bytes at a time */

static ssize_t
inflate_all(sync_inflate_t *i, u_char *dst, size_t size, const u_char *p,
    size_t len, size_t in, size_t out)
{
    int            fin;
    size_t         n, total;
    u_char        *piece, *room;
    ssize_t        rc;
    const u_char  *pos, *last;

    total = 0;

    do {
        n = (len < in) ? len : in;
        fin = (n == len);
        piece = unit_guard(p, n);
        pos = piece;
        last = piece + n;

        do {
            room = unit_guard(NULL, out);
            rc = sync_inflate(i, &pos, last, room, out, fin);

            if (rc < 0) {
                return rc;
            }

            if (total + rc > size) {
                printf("Bail out! more output than expected\n");
                exit(2);
            }

            memcpy(dst + total, room, rc);
            total += rc;

            /* the piece must stay where it is while rooms come and go */

            piece = unit_guard(pos, last - pos);
            last = piece + (last - pos);
            pos = piece;

        } while ((size_t) rc == out);

        if (pos != last) {
            printf("Bail out! input was left\n");
            exit(2);
        }

        p += n;
        len -= n;

    } while (!fin);

    return total;
}


static void
test_round_trip(void)
{
    int                  kind, level;
    size_t               i, k, n, len, bad;
    heap_t               heap = { 0, 1024 * 1024 };
    ssize_t              rc;
    sync_inflate_t       z;

    static const size_t  sizes[] = { 0, 1, 2, 10, 100, 1000, 40000, 70000 };
    static const size_t  cuts[] = { 1, 2, 3, 1000, 100000 };

    is_int(sync_inflate_init(&z, sizeof(plain), 0, heap_alloc, heap_free,
                             &heap), SYNC_OK, "init");
    bad = 0;

    for (kind = 0; kind < 3; kind++) {
        fill(plain, sizeof(plain), kind);

        for (level = 1; level <= 9; level += 4) {

            for (i = 0; i < unit_count(sizes); i++) {
                len = sizes[i];
                n = deflated(packed, sync_deflate_bound(len), plain, len,
                             level);

                for (k = 0; k < unit_count(cuts); k++) {

                    if (len > 1000 && cuts[k] < 1000) {
                        continue;
                    }

                    memset(result, 0, len);
                    rc = inflate_all(&z, result, len, packed, n, cuts[k],
                                     1 + cuts[k] * 2);

                    if (rc != (ssize_t) len
                        || memcmp(result, plain, len) != 0)
                    {
                        printf("# kind %d level %d size %d cut %d: %d\n",
                               kind, level, (int) len, (int) cuts[k],
                               (int) rc);
                        bad++;
                    }
                }
            }
        }
    }

    is_int(bad, 0, "what was deflated is inflated, in pieces of any size");

    fill(plain, 3000, 1);
    n = deflated(packed, sizeof(packed), plain, 3000, 6);
    bad = 0;

    for (i = 0; i <= n; i++) {
        rc = inflate_all(&z, result, 3000, packed, n, i ? i : 1, 1);
        bad += rc != 3000 || memcmp(result, plain, 3000) != 0;
    }

    is_int(bad, 0, "cut at every byte, taken byte by byte");

    sync_inflate_done(&z);
    is_int(heap.used, 0, "no memory is lost");
}


static void
test_too_small(void)
{
    size_t          n, k, bad;
    u_char         *p;
    heap_t          heap = { 0, 1024 * 1024 };
    sync_deflate_t  d;

    fill(plain, 1000, 1);

    if (sync_deflate_init(&d, 6, heap_alloc, heap_free, &heap) != SYNC_OK) {
        printf("Bail out! sync_deflate_init() failed\n");
        exit(2);
    }

    n = sync_deflate_message(&d, packed, sizeof(packed), plain, 1000);
    bad = 0;

    for (k = 0; k < n + 5; k++) {
        p = unit_guard(NULL, k);
        bad += sync_deflate_message(&d, p, k, plain, 1000) != SYNC_BUSY;
    }

    is_int(bad, 0, "too little room");

    p = unit_guard(NULL, k);
    is_int(sync_deflate_message(&d, p, k, plain, 1000), n, "just enough");
    is_mem(p, n, packed, n, "the same as before");

    fill(plain, 1000, 2);
    is_int(sync_deflate_message(&d, packed, 1000, plain, 1000), SYNC_BUSY,
           "nothing is gained from noise");

    sync_deflate_done(&d);
    is_int(heap.used, 0, "no memory is lost");
}


static void
test_examples(void)
{
    size_t               i, cut, bad;
    heap_t               heap = { 0, 1024 * 1024 };
    ssize_t              rc;
    sync_inflate_t       z;

    static const struct {
        const char        *name;
        const char        *text;
        size_t             len;
        const char        *want;
    } tests[] = {

#define text(t)  t, sizeof(t) - 1

        { "RFC 7692, 7.2.3.1", text("\xf2\x48\xcd\xc9\xc9\x07\x00"),
          "Hello" },
        { "RFC 7692, 7.2.3.3, a block that is stored",
          text("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "Hello" },
        { "RFC 7692, 7.2.3.4, a final block",
          text("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "Hello" },
        { "RFC 7692, 7.2.3.5, two blocks",
          text("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
          "Hello" },
        { "RFC 7692, 7.2.3.6, an empty message", text("\x00"), "" },
        { "two final blocks",
          text("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00"
               "\x00"), "HelloHello" }

#undef text

    };

    if (sync_inflate_init(&z, 100, 0, heap_alloc, heap_free, &heap)
        != SYNC_OK)
    {
        printf("Bail out! sync_inflate_init() failed\n");
        exit(2);
    }

    for (i = 0; i < unit_count(tests); i++) {
        bad = 0;

        for (cut = 1; cut <= tests[i].len; cut++) {
            rc = inflate_all(&z, result, 100, (u_char *) tests[i].text,
                             tests[i].len, cut, 1 + cut);

            bad += rc != (ssize_t) strlen(tests[i].want)
                   || memcmp(result, tests[i].want, rc) != 0;
        }

        is_int(bad, 0, tests[i].name);
    }

    sync_inflate_done(&z);
}


static void
test_malformed(void)
{
    size_t               i, cut, bad;
    heap_t               heap = { 0, 1024 * 1024 };
    sync_inflate_t       z;

    static const struct {
        const char        *name;
        const char        *text;
        size_t             len;
    } tests[] = {

#define text(t)  t, sizeof(t) - 1

        { "no bytes", text("") },
        { "a block type that is reserved", text("\x06") },
        { "a stored block whose lengths differ",
          text("\x00\x05\x00\xfa\xfe" "Hello") },
        { "a distance before the start", text("\x4a\x04\x22\x00\x00") },
        { "cut inside a block", text("\xf2\x48\xcd\xc9") },
        { "cut inside a stored block", text("\x00\x05\x00\xfa\xff\x48") },
        { "text", text("Hello, world") },
        { "a final block with no empty one after it",
          text("\xf3\x48\xcd\xc9\xc9\x07\x00") }

#undef text

    };

    for (i = 0; i < unit_count(tests); i++) {
        bad = 0;

        for (cut = 1; cut <= tests[i].len + 1; cut++) {

            if (sync_inflate_init(&z, 100, 0, heap_alloc, heap_free, &heap)
                != SYNC_OK)
            {
                printf("Bail out! sync_inflate_init() failed\n");
                exit(2);
            }

            bad += inflate_all(&z, result, 100, (u_char *) tests[i].text,
                               tests[i].len, cut, 1 + cut) != SYNC_ERROR;

            sync_inflate_done(&z);
        }

        is_int(bad, 0, tests[i].name);
    }

    is_int(heap.used, 0, "no memory is lost");
}


static void
test_limits(void)
{
    size_t               i, n;
    heap_t               heap = { 0, 1024 * 1024 };
    sync_inflate_t       z;

    static const struct {
        const char        *name;
        int                kind;
        size_t             len;
        uint64_t           max;
        sync_uint_t        ratio;
        ssize_t            rc;
    } tests[] = {
        { "as long as allowed", 1, 1000, 1000, 0, 1000 },
        { "too long", 1, 1000, 999, 0, SYNC_BUSY },
        { "much too long", 0, 70000, 10, 0, SYNC_BUSY },
        { "a ratio that is allowed", 1, 70000, 70000, 100, 70000 },
        { "a ratio that is not", 0, 70000, 70000, 100, SYNC_BUSY },
        { "a ratio that is not looked at", 0, SYNC_INFLATE_GRACE, 70000, 2,
          SYNC_INFLATE_GRACE },
        { "a ratio that is", 0, SYNC_INFLATE_GRACE + 1, 70000, 2,
          SYNC_BUSY }
    };

    for (i = 0; i < unit_count(tests); i++) {
        fill(plain, tests[i].len, tests[i].kind);
        n = deflated(packed, sizeof(packed), plain, tests[i].len, 6);

        if (sync_inflate_init(&z, tests[i].max, tests[i].ratio, heap_alloc,
                              heap_free, &heap)
            != SYNC_OK)
        {
            printf("Bail out! sync_inflate_init() failed\n");
            exit(2);
        }

        is_int(inflate_all(&z, result, sizeof(result), packed, n, 16, 512),
               tests[i].rc, tests[i].name);

        /* limits are of a message, not of the client's whole life */

        if (tests[i].rc > 0) {
            is_int(inflate_all(&z, result, sizeof(result), packed, n, 1000,
                               4096), tests[i].rc, tests[i].name);
        }

        sync_inflate_done(&z);
    }

    is_int(heap.used, 0, "no memory is lost");
}


static void
test_memory(void)
{
    heap_t          heap = { 0, 1024 * 1024 };
    size_t          n;
    sync_inflate_t  z;
    sync_deflate_t  d;

    is_int(sync_deflate_init(&d, 9, heap_alloc, heap_free, &heap), SYNC_OK,
           "deflate");
    ok(heap.used < 320 * 1024, "it needs what the header says");
    n = heap.used;

    fill(plain, sizeof(plain), 1);
    (void) sync_deflate_message(&d, packed, sizeof(packed), plain,
                                sizeof(plain));
    is_int(heap.used, n, "nothing more for a message");
    sync_deflate_done(&d);

    n = deflated(packed, sizeof(packed), plain, sizeof(plain), 6);

    is_int(sync_inflate_init(&z, sizeof(plain), 0, heap_alloc, heap_free,
                             &heap), SYNC_OK, "inflate");
    ok(heap.used < 12 * 1024, "it needs what the header says");

    (void) inflate_all(&z, result, sizeof(result), packed, n, 100, 1000);
    ok(heap.used < 44 * 1024, "and once it has output");

    heap.limit = heap.used;
    is_int(inflate_all(&z, result, sizeof(result), packed, n, 100, 1000),
           sizeof(plain), "another message needs nothing more");

    sync_inflate_done(&z);
    is_int(heap.used, 0, "no memory is lost");

    heap.limit = 1000;
    is_int(sync_deflate_init(&d, 6, heap_alloc, heap_free, &heap),
           SYNC_ERROR, "no memory to deflate");
    is_int(sync_inflate_init(&z, 100, 0, heap_alloc, heap_free, &heap),
           SYNC_ERROR, "no memory to inflate");
    is_int(heap.used, 0, "no memory is lost");

    heap.limit = 12 * 1024;

    if (sync_inflate_init(&z, 70000, 0, heap_alloc, heap_free, &heap)
        == SYNC_OK)
    {
        is_int(inflate_all(&z, result, sizeof(result), packed, n, 100, 1000),
               SYNC_ERROR, "no memory for the window");
        sync_inflate_done(&z);
    }

    is_int(heap.used, 0, "no memory is lost");
}
