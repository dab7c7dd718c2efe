
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"


#define KEYS   64
#define STEPS  200000


/* what a window would be with room for all */

typedef struct {
    uint64_t  end;
    uint64_t  count;
    uint64_t  others;
    uint64_t  told;
    uint32_t  start;
} model_t;


static void test_window(void);
static void test_model(void);
static void test_eviction(void);
static void test_hosts(void);
static void test_keys(void);
static void create(void);
static ngx_int_t hit(uint64_t key, ngx_uint_t n, uint64_t now);
static uint32_t tell(uint64_t now);


static sync_zone_t  z;
static ngx_msec_t   left;
static uint32_t     start;


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);

    test_window();
    test_model();
    test_eviction();
    test_hosts();
    test_keys();

    return unit_done();
}


static void
test_window(void)
{
    create();

    is_int(hit(1, 2, 1000), SYNC_OK, "first");
    is_int(hit(1, 2, 1001), SYNC_OK, "second");
    is_int(hit(1, 2, 1002), SYNC_BUSY, "third");
    is_int(left, 998, "time that is left");
    is_int(hit(2, 2, 1002), SYNC_OK, "another key");
    is_int(hit(1, 2, 1999), SYNC_BUSY, "the last ms");
    is_int(left, 1, "1 ms is left");
    is_int(hit(1, 2, 2000), SYNC_OK, "a new window");
    is_int(hit(1, 2, 2000), SYNC_OK, "its second");
    is_int(hit(1, 2, 2999), SYNC_BUSY, "its third");
    is_int(hit(1, 4, 2999), SYNC_OK, "a higher limit, what was refused counts");
    is_int(hit(1, 4, 2999), SYNC_BUSY, "the fifth");
    is_int(hit(1, 0, 2999), SYNC_OK, "no limit");
    is_int(hit(1, 1, 9000), SYNC_OK, "long after");
    is_int(hit(1, 1, 9001), SYNC_BUSY, "and again");
    ok(zone_right(&z), "zone is right");

    zone_destroy();
}


/* Few keys in a large table: as if there was room for all. */

static void
test_model(void)
{
    model_t    *m, model[KEYS];
    uint64_t    key, now, total, rest;
    ngx_int_t   rc, want;
    ngx_uint_t  i, n, other, wrong;

    create();

    ngx_memzero(model, sizeof(model));
    now = 1;
    wrong = 0;

    for (i = 0; i < STEPS; i++) {
        now += zone_random(4);
        key = zone_random(KEYS);
        n = 1 + key % 20;
        m = &model[key];

        if (m->end <= now) {
            ngx_memzero(m, sizeof(model_t));
        }

        switch (zone_random(8)) {

        case 0:
            total = sync_rate_tell(&z, key, now, &left, &start);

            wrong += (total != m->count - m->told);
            wrong += (total && left != m->end - now);
            wrong += (total && start != m->start);

            m->told = m->count;
            break;

        case 1:
            total = zone_random(30);
            rest = zone_random(1000);
            other = (zone_random(4) == 0);

            sync_rate_told(&z, key, now, m->start + other, total, rest);

            if (m->end == 0 || other) {
                break;
            }

            if (total > m->told && total - m->told > m->others) {
                m->others = total - m->told;
            }

            if (now + rest < m->end) {
                m->end = now + ngx_max(rest, 1);
            }

            break;

        default:
            rc = hit(key, n, now);

            if (m->end == 0) {
                m->end = now + 1000;
                m->start = (uint32_t) now;
            }

            m->count++;

            want = (m->count + m->others > n) ? SYNC_BUSY : SYNC_OK;

            wrong += (rc != want);
            wrong += (rc == SYNC_BUSY && left != m->end - now);
        }

        if (i % 1000 == 0) {
            wrong += !zone_right(&z);
        }
    }

    is_int(wrong, 0, "as the model has it");

    zone_destroy();
}


static void
test_eviction(void)
{
    uint64_t    key, sum[SYNC_COUNT_MAX];
    ngx_uint_t  i, wrong;

    create();

    z.sh->rate_mask = 0;

    /* one that hits often among more than there is room for */

    for (i = 0; i < 10; i++) {
        (void) hit(1000, 5, 1);
    }

    wrong = 0;

    for (key = 1; key < 500; key++) {
        wrong += (hit(key, 1, 2) != SYNC_OK);
        wrong += (hit(1000, 5, 2) != SYNC_BUSY);
        wrong += !zone_right(&z);
    }

    is_int(wrong, 0, "who hits most is not forgotten");

    sync_zone_counters(&z, sum);
    is_int(sum[SYNC_COUNT_RATE_EVICTED], 499 - (SYNC_RATE_SET - 1),
           "evictions are counted");

    /* windows that are over go first */

    for (key = 1; key < SYNC_RATE_SET; key++) {
        (void) hit(key, 1, 1500);
    }

    sync_zone_counters(&z, sum);
    is_int(sum[SYNC_COUNT_RATE_EVICTED], 499 - (SYNC_RATE_SET - 1),
           "nothing in use was evicted");

    zone_destroy();
}


static void
test_hosts(void)
{
    create();

    is_int(tell(1000), 0, "nothing to tell");
    sync_rate_told(&z, 1, 1000, 0, 100, 500);
    is_int(hit(1, 3, 1000), SYNC_OK, "what was not asked for is not heard");

    is_int(tell(1010), 1, "one to tell");
    is_int(left, 990, "and till when");
    is_int(start, 1000, "and since when");
    is_int(tell(1010), 0, "once");

    sync_rate_told(&z, 1, 1020, 1000, 2, 990);
    is_int(hit(1, 3, 1030), SYNC_OK, "1 there, 2 here");
    is_int(hit(1, 3, 1030), SYNC_BUSY, "1 there, 3 here");
    is_int(left, 970, "our window does not grow");
    is_int(tell(1040), 2, "two more to tell");

    sync_rate_told(&z, 1, 1050, 1000, 3, 990);
    is_int(hit(1, 4, 1050), SYNC_BUSY, "an answer that was overtaken");
    sync_rate_told(&z, 1, 1050, 1000, 6, 990);
    is_int(hit(1, 8, 1050), SYNC_OK, "3 there, 5 here");
    is_int(hit(1, 8, 1050), SYNC_BUSY, "3 there, 6 here");

    sync_rate_told(&z, 1, 1060, 1000, (uint64_t) 1 << 40, 990);
    is_int(hit(1, 1000, 1060), SYNC_BUSY, "more than can be counted");

    sync_rate_told(&z, 1, 1100, 1000, 9, 200);
    is_int(hit(1, 1, 1299), SYNC_BUSY, "a window that ends earlier elsewhere");
    is_int(left, 1, "ends here, too");
    is_int(hit(1, 1, 1300), SYNC_OK, "a new one");

    sync_rate_told(&z, 1, 1310, 1000, 500, 5);
    is_int(hit(1, 2, 1320), SYNC_OK, "what was said of the last one is late");
    is_int(tell(1330), 2, "nothing of it was told");

    sync_rate_told(&z, 1, 1340, 1300, 2, 0);
    is_int(hit(1, 1, 1340), SYNC_BUSY, "a window has 1 ms at least");
    is_int(hit(1, 1, 1341), SYNC_OK, "and is over then");

    sync_rate_told(&z, 1, 2341, 1341, 500, 1000);
    is_int(hit(1, 1, 2341), SYNC_OK, "nothing is heard of one that is over");
    ok(zone_right(&z), "zone is right");

    zone_destroy();
}


static void
test_keys(void)
{
    uint64_t  k1, k2;

    create();

    k1 = sync_rate_key(&z, (u_char *) "user:1", 6);
    k2 = sync_rate_key(&z, (u_char *) "user:2", 6);

    ok(k1 != k2, "keys differ");
    ok(k1 == sync_rate_key(&z, (u_char *) "user:1", 6), "and stay");
    ok((k1 >> 32) != (k2 >> 32) && (uint32_t) k1 != (uint32_t) k2,
       "in all of their bits");

    zone_destroy();
}


static void
create(void)
{
    zone_create(&z, 1024 * 1024);

    if (sync_worker_claim(&z, 1) != SYNC_OK) {
        zone_bail("no slot");
    }
}


static ngx_int_t
hit(uint64_t key, ngx_uint_t n, uint64_t now)
{
    sync_rate_limit_t  limit;

    limit.n = n;
    limit.window = 1000;

    return sync_rate_hit(&z, key, &limit, now, &left);
}


/* Of the first key. */

static uint32_t
tell(uint64_t now)
{
    return sync_rate_tell(&z, 1, now, &left, &start);
}
