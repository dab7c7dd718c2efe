
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"


#define LOG_STEPS  20000
#define LOG_MAX    LOG_STEPS


/* the naive model: every message ever said */

typedef struct {
    uint64_t  lsn;
    uint32_t  nonce;
    size_t    size;     /* of the entry */
    uint32_t  len;      /* of its json, all of one character */
    u_char    c;
} said_t;


static void test_append(void);
static void test_chunks(void);
static void test_full(void);
static void test_reset(void);
static void test_random(void);

static sync_zone_t  z;
static sync_log_t   tested;
static said_t       said[LOG_MAX];
static ngx_uint_t   nsaid;
static ngx_uint_t   kept;       /* index of the oldest */
static char         text[40000];


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);
    zone_create(&z, 1024 * 1024);

    test_append();
    test_chunks();
    test_full();
    test_reset();
    test_random();

    zone_destroy();

    return unit_done();
}


static void
start(size_t limit)
{
    ngx_memzero(&tested, sizeof(sync_log_t));
    tested.oldest = 1;
    tested.limit = limit;

    nsaid = 0;
    kept = 0;
}


static size_t
used(void)
{
    return z.sh->heap.ngranules * SYNC_HEAP_GRANULE - sync_zone_unused(&z);
}


static ngx_int_t
append(size_t len, uint64_t lsn)
{
    ngx_int_t        rc;
    sync_message_t   m;

    zone_message(&m, "");

    said[nsaid].c = 'a' + nsaid % 26;
    ngx_memset(text, said[nsaid].c, len);

    m.json.data = (u_char *) text;
    m.json.len = len;
    m.lsn = lsn;

    rc = sync_log_append_locked(&z, &tested, &m);

    if (rc == SYNC_OK) {
        said[nsaid].lsn = m.lsn;
        said[nsaid].nonce = m.nonce;
        said[nsaid].len = len;
        said[nsaid].size = sync_log_entry_size(&m);
        nsaid++;
    }

    return rc;
}


/* the log has what the model keeps */

static int
same(void)
{
    size_t      bytes;
    ngx_uint_t  i;

    bytes = 0;

    for (i = kept; i < nsaid; i++) {
        bytes += said[i].size;
    }

    return tested.count == nsaid - kept
           && tested.bytes == bytes
           && tested.top == (nsaid ? said[nsaid - 1].lsn : 0)
           && tested.oldest == (kept < nsaid ? said[kept].lsn
                                             : tested.top + 1)
           && tested.trimmed == (kept ? said[kept - 1].lsn : 0);
}


/* reading above a cursor, with a buffer of that size, gives what it should */

static int
reads(uint64_t cursor, size_t size)
{
    size_t         need, len;
    u_char        *buf, c;
    ssize_t        n;
    uint64_t       last;
    uint32_t       k;
    ngx_uint_t     i;
    sync_entry_t  *e;

    for (i = kept; i < nsaid && said[i].lsn <= cursor; i++) { /* void */ }

    buf = unit_guard(NULL, ngx_align(size, SYNC_ENTRY_ALIGN));
    last = 0;
    need = 0;

    n = sync_log_read_locked(&tested, cursor, buf, size, &last, &need);

    if (i == nsaid) {
        return n == 0;
    }

    if (said[i].size > size) {
        return n == SYNC_AGAIN && need == said[i].size;
    }

    for (len = 0; len < (size_t) n; len += e->size, i++) {
        e = (sync_entry_t *) (buf + len);

        if (i == nsaid
            || e->lsn != said[i].lsn
            || e->nonce != said[i].nonce
            || e->prev != (i ? said[i - 1].nonce : 0)
            || e->size != said[i].size
            || e->len != said[i].len)
        {
            return 0;
        }

        c = said[i].c;

        for (k = 0; k < e->len; k++) {
            if (sync_entry_json(e)[k] != c) {
                return 0;
            }
        }
    }

    return len == (size_t) n
           && last == said[i - 1].lsn
           && (i == nsaid || len + said[i].size > size);
}


static void
test_append(void)
{
    u_char          *buf;
    size_t           need;
    ssize_t          n;
    uint64_t         last;
    sync_entry_t    *e;
    sync_message_t   m;

    start(10000);

    zone_message(&m, "[\"e\",1]");
    m.subject.data = (u_char *) "chat:1";
    m.subject.len = 6;
    m.except = (u_char *) "0123456789abcdefABCDEFGHIJKLMNOP";
    m.nexcept = 2;
    m.extra.data = (u_char *) "{\"route\":1}";
    m.extra.len = 11;
    m.kind = SYNC_ENTRY_PATTERN;
    m.flags = 5;
    m.time = 123456789;
    m.nonce = 77;

    is_int(sync_log_entry_size(&m), 48 + 7 + 6 + 32 + 11, "size of an entry");
    is_int(sync_log_append_locked(&z, &tested, &m), SYNC_OK, "appended");
    is_int(m.lsn, 1, "the first LSN");

    buf = unit_guard(NULL, 1024);
    n = sync_log_read_locked(&tested, 0, buf, 1024, &last, &need);
    e = (sync_entry_t *) buf;

    is_int(n, e->size, "one entry");
    is_mem(sync_entry_json(e), e->len, "[\"e\",1]", 7, "its json");
    is_mem(sync_entry_subject(e), e->subject_len, "chat:1", 6,
           "its subject");
    is_mem(sync_entry_except(e), e->nexcept * SYNC_ID_LEN, m.except, 32,
           "its exceptions");
    is_mem(sync_entry_extra(e), sync_entry_extra_len(e), "{\"route\":1}", 11,
           "its extra");
    ok(e->kind == SYNC_ENTRY_PATTERN && e->flags == 5 && e->event_len == 3
       && e->time == 123456789 && e->nonce == 77 && e->prev == 0,
       "its header");

    m.lsn = 0x16B3748;
    is_int(sync_log_append_locked(&z, &tested, &m), SYNC_OK, "a named LSN");
    is_int(tested.top, 0x16B3748, "is the top");

    m.lsn = 0x16B3748;
    is_int(sync_log_append_locked(&z, &tested, &m), SYNC_DECLINED,
           "the same again is stale");
    m.lsn = (uint64_t) -1;
    is_int(sync_log_append_locked(&z, &tested, &m), SYNC_DECLINED,
           "the last LSN of all");
    is_int(tested.count, 2, "nothing was added");

    sync_log_trim_locked(&z, &tested, tested.top);
    is_int(tested.count, 0, "trimmed");
    is_int(tested.trimmed, 0x16B3748, "up to the top");
    sync_log_free_locked(&z, &tested);
}


/* what a quiet log keeps, and what a busy one gives back */

static void
test_chunks(void)
{
    size_t      before, bytes;
    ngx_uint_t  i;

    start(1024 * 1024);
    before = used();

    is_int(append(64, 0), SYNC_OK, "one message");
    is_int(used() - before, 256, "takes a small chunk");

    sync_log_trim_locked(&z, &tested, tested.top);
    is_int(used() - before, 256, "which is kept");

    for (i = 0; i < 1000; i++) {
        (void) append(64, 0);
    }

    bytes = 1000 * (64 + 96);
    ok(used() - before < bytes, "1000 messages of 64 bytes: 96 more each");

    sync_log_trim_locked(&z, &tested, tested.top);
    is_int(used() - before, 0, "a large chunk is not kept");

    is_int(append(33000, 0), SYNC_OK, "a large message");
    ok(used() - before < 33000 + 96 + 64, "has a chunk of its size");

    sync_log_trim_locked(&z, &tested, tested.top);
    is_int(used() - before, 0, "which is not kept");

    start(64 * 1024);

    for (i = 0; i < 3000; i++) {
        (void) append(100, 0);
    }

    ok(tested.bytes <= 64 * 1024 && tested.bytes > 63 * 1024,
       "a limit of bytes");
    ok(used() - before < 64 * 1024 + 2 * 16384, "and of memory");

    is_int(append(39000, 0), SYNC_OK, "a large message");
    ok(tested.count > 1, "pushes out some");

    tested.limit = 1000;
    is_int(append(30000, 0), SYNC_OK, "one above the limit");
    is_int(tested.count, 1, "is alone");

    sync_log_trim_locked(&z, &tested, tested.top);
    is_int(used() - before, 0, "nothing is left");
}


static void
test_full(void)
{
    void        *p, *all;
    uint64_t     top;
    ngx_uint_t   n;

    start(1024 * 1024);
    (void) append(64, 0);

    /* all memory, in a list */

    for (all = NULL; (p = sync_zone_alloc_locked(&z, 64)) != NULL; all = p) {
        *(void **) p = all;
    }

    for (n = 0; append(64, 0) == SYNC_OK; n++) { /* void */ }

    top = tested.top;

    is_int(n, 1, "what is left of the chunk is used");
    is_int(append(64, 0), SYNC_BUSY, "then it is full");
    ok(tested.top == top && same(), "nothing has changed");

    p = all;
    all = *(void **) p;
    sync_zone_free_locked(&z, p);

    is_int(append(0, 0), SYNC_BUSY, "64 bytes are not enough");
    ok(same(), "nothing has changed");

    while (all) {
        p = all;
        all = *(void **) p;
        sync_zone_free_locked(&z, p);

        if (append(1000, 0) == SYNC_OK) {
            break;
        }
    }

    ok(all != NULL, "a chunk smaller than usual is taken");
    ok(same() && reads(0, 4000), "and read");

    while (all) {
        p = all;
        all = *(void **) p;
        sync_zone_free_locked(&z, p);
    }

    sync_log_trim_locked(&z, &tested, tested.top);
    sync_log_free_locked(&z, &tested);
}


static void
test_reset(void)
{
    u_char    buf[100];
    size_t    need, before;
    uint64_t  last;

    start(1024 * 1024);
    before = used();

    (void) append(64, 0);
    (void) append(20000, 0);
    (void) append(64, 0);

    sync_log_reset_locked(&z, &tested);

    is_int(used(), before, "a reset frees the chunks");
    ok(tested.top == 3 && tested.oldest == 4 && tested.trimmed == 3
       && tested.epoch == 1 && tested.count == 0, "a log that was reset");
    is_int(sync_log_read_locked(&tested, 0, buf, 100, &last, &need), 0,
           "has nothing");

    (void) append(64, 0);
    is_int(tested.top, 4, "its LSNs go on");

    sync_log_trim_locked(&z, &tested, tested.top);
    sync_log_free_locked(&z, &tested);
}


static void
test_random(void)
{
    int         good;
    size_t      before, size, bytes;
    uint64_t    lsn, cursor;
    ngx_uint_t  n, i, what;

    start(100000);
    before = used();
    good = 1;

    for (n = 0; n < LOG_STEPS && good; n++) {
        what = zone_random(500);

        if (what == 0) {

            if (nsaid > kept) {
                lsn = said[kept + zone_random(nsaid - kept)].lsn
                      + zone_random(2);
                sync_log_trim_locked(&z, &tested, lsn);

                while (kept < nsaid && said[kept].lsn <= lsn) {
                    kept++;
                }
            }

        } else if (what < 150) {
            cursor = tested.top + 2;

            if (nsaid && zone_random(8)) {
                cursor = said[zone_random(nsaid)].lsn - zone_random(2);
            }

            size = zone_random(zone_random(4) ? 2000 : 100000);

            good = reads(ngx_max(cursor, tested.trimmed), size);

        } else {
            size = zone_random(zone_random(50) ? 300 : 30000);
            lsn = zone_random(10) ? 0 : tested.top + 1 + zone_random(20);

            good = (append(size, lsn) == SYNC_OK);

            bytes = 0;

            for (i = nsaid; i > kept; i--) {
                bytes += said[i - 1].size;

                if (bytes > tested.limit && i != nsaid) {
                    break;
                }
            }

            kept = i;
        }

        good = good && same();
    }

    ok(good, "random messages, trims and reads");

    sync_log_trim_locked(&z, &tested, tested.top);
    sync_log_free_locked(&z, &tested);
    is_int(used(), before, "nothing is left");
}
