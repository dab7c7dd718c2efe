
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"
#include <sync_absent.h>


/*
 * Clients that may come back: kept, taken once, forgotten in time; and by
 * chance against a naive list.
 */

#define ABSENT_CLIENTS  400
#define ABSENT_STEPS    20000
#define ABSENT_MAX      300


/* What there should be. */

typedef struct {
    u_char      id[SYNC_ID_LEN];
    u_char      data[200];
    size_t      len;
    ngx_msec_t  deadline;               /* 0: it is not there */
} client_t;


static void test_keys(void);
static void test_life(void);
static void test_full(void);
static void test_random(void);
static void step(client_t *c, ngx_uint_t *bad);
static void sweep(void);
static ngx_uint_t count(void);
static int right(void);


static sync_zone_t  z, workers[2];
static client_t     clients[ABSENT_CLIENTS];
static u_char       buf[4096];


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);
    zone_create(&z, SYNC_ZONE_MIN);

    zone_worker(&workers[0], &z, 0);
    zone_worker(&workers[1], &z, 1);

    ngx_current_msec = 1000;

    test_keys();
    test_life();
    test_full();
    test_random();

    zone_destroy();

    return unit_done();
}


static void
test_keys(void)
{
    u_char  key[SYNC_ID_LEN], other[SYNC_ID_LEN], id[SYNC_ID_LEN];

    ngx_memset(id, 7, SYNC_ID_LEN);

    sync_absent_key(&workers[0], key, id);
    sync_absent_key(&workers[1], other, id);
    ok(memcmp(key, other, SYNC_ID_LEN) == 0, "one key for all workers");

    id[SYNC_ID_LEN - 1]++;
    sync_absent_key(&workers[0], other, id);
    ok(memcmp(key, other, SYNC_ID_LEN) != 0, "another id, another key");

    z.sh->key[1]++;
    id[SYNC_ID_LEN - 1]--;
    sync_absent_key(&workers[0], other, id);
    ok(memcmp(key, other, SYNC_ID_LEN) != 0, "another zone, another key");
    z.sh->key[1]--;
}


static void
test_life(void)
{
    u_char    id[SYNC_ID_LEN], alike[SYNC_ID_LEN];
    uint64_t  deadline;

    ngx_memset(id, 1, SYNC_ID_LEN);
    ngx_memcpy(alike, id, SYNC_ID_LEN);
    alike[SYNC_ID_LEN - 1] = 2;

    is_int(sync_absent_take(&z, id, buf, sizeof(buf), &deadline),
           SYNC_DECLINED, "not there");

    is_int(sync_absent_put(&workers[0], id, 2000, 10, (u_char *) "state", 5),
           SYNC_OK, "kept");
    is_int(sync_absent_put(&workers[0], alike, 2000, 10, (u_char *) "", 0),
           SYNC_OK, "one in the same bucket, with nothing");
    ok(z.sh->nabsents == 2 && right(), "right");

    is_int(sync_absent_take(&workers[1], id, buf, sizeof(buf), &deadline), 5,
           "taken by another worker");
    ok(memcmp(buf, "state", 5) == 0 && deadline == 2000, "as it was");
    is_int(sync_absent_take(&workers[1], id, buf, sizeof(buf), &deadline),
           SYNC_DECLINED, "once");
    is_int(sync_absent_take(&workers[1], alike, buf, 0, &deadline), 0,
           "the other one");
    ok(count() == 0 && right(), "none is left");

    (void) sync_absent_put(&z, id, 2000, 10, (u_char *) "state", 5);
    is_int(sync_absent_take(&z, id, buf, 4, &deadline), SYNC_DECLINED,
           "too long for who wants it");
    ok(count() == 0 && right(), "it is gone all the same");

    (void) sync_absent_put(&z, id, 2000, 10, (u_char *) "one", 3);
    (void) sync_absent_put(&z, id, 3000, 10, (u_char *) "other", 5);
    is_int(count(), 1, "one of an id");
    is_int(sync_absent_take(&z, id, buf, sizeof(buf), &deadline), 5,
           "the last one");

    (void) sync_absent_put(&z, id, 2000, 10, (u_char *) "state", 5);
    is_int(sync_absent_drop(&z, id), SYNC_OK, "dropped");
    is_int(sync_absent_drop(&z, id), SYNC_DECLINED, "once");

    (void) sync_absent_put(&z, id, 2000, 10, (u_char *) "state", 5);
    ngx_current_msec = 1999;
    sweep();
    is_int(count(), 1, "its time is not over");
    ngx_current_msec = 2000;
    is_int(sync_absent_take(&z, id, buf, sizeof(buf), &deadline),
           SYNC_DECLINED, "now it is");

    (void) sync_absent_put(&z, id, 2001, 10, (u_char *) "state", 5);
    ngx_current_msec = 2001;
    sweep();
    ok(count() == 0 && right(), "swept");
}


static void
test_full(void)
{
    u_char      id[SYNC_ID_LEN];
    size_t      unused;
    ngx_uint_t  i, n;

    ngx_memzero(id, SYNC_ID_LEN);
    unused = sync_zone_unused(&z);

    for (i = 0; i < 3; i++) {
        id[0] = i;
        is_int(sync_absent_put(&z, id, 5000, 2, buf, 100),
               i < 2 ? SYNC_OK : SYNC_BUSY, "two, and not a third");
    }

    id[0] = 1;
    is_int(sync_absent_put(&z, id, 5000, 2, buf, 200), SYNC_OK,
           "but one of them anew");

    for (n = 0; n < 10000; n++) {
        ngx_memcpy(id, &n, sizeof(n));

        if (sync_absent_put(&z, id, 5000, 100000, buf, 4000) != SYNC_OK) {
            break;
        }
    }

    ok(n > 10 && n < 10000, "till the zone is nearly full");
    ok(sync_zone_unused(&z) > 0 && right(), "not to the last byte");

    ngx_current_msec = 5000;
    sweep();
    ok(count() == 0 && sync_zone_unused(&z) == unused && right(),
       "all is given back");
}


static void
test_random(void)
{
    size_t      i, k;
    ngx_uint_t  bad;

    bad = 0;
    srandom(3);

    for (i = 0; i < ABSENT_CLIENTS; i++) {
        for (k = 0; k < SYNC_ID_LEN; k++) {
            clients[i].id[k] = random();
        }

        /* some in one bucket */

        if (i % 3) {
            ngx_memcpy(clients[i].id, clients[i - 1].id, sizeof(uint32_t));
        }
    }

    for (i = 0; i < ABSENT_STEPS && !bad; i++) {
        step(&clients[random() % ABSENT_CLIENTS], &bad);

        if (i % 50 == 0) {
            ngx_current_msec += 10;
            sync_absent_expire(&workers[i % 2]);
            bad |= !right();
        }
    }

    ok(!bad, "as the list has it");

    ngx_current_msec += 100000;
    sweep();
    ok(count() == 0 && right(), "nothing stays");
}


static void
step(client_t *c, ngx_uint_t *bad)
{
    size_t        i;
    ssize_t       n;
    uint64_t      deadline;
    sync_zone_t  *w;

    w = &workers[random() % 2];

    if (c->deadline && c->deadline <= ngx_current_msec) {
        c->deadline = 0;
    }

    switch (random() % 4) {

    case 0:
    case 1:
        c->len = random() % sizeof(c->data);
        c->deadline = ngx_current_msec + 1 + random() % 500;

        for (i = 0; i < c->len; i++) {
            c->data[i] = random();
        }

        if (sync_absent_put(w, c->id, c->deadline, ABSENT_MAX, c->data,
                            c->len)
            != SYNC_OK)
        {
            *bad |= (count() < ABSENT_MAX);
            c->deadline = 0;
        }

        return;

    case 2:
        (void) sync_absent_drop(w, c->id);  /* it may be over, or not */
        c->deadline = 0;
        return;

    default:
        n = sync_absent_take(w, c->id, buf, sizeof(buf), &deadline);

        *bad |= c->deadline ? (n != (ssize_t) c->len
                               || deadline != c->deadline
                               || memcmp(buf, c->data, n) != 0)
                            : (n != SYNC_DECLINED);
        c->deadline = 0;
        return;
    }
}


static void
sweep(void)
{
    uint32_t  i;

    for (i = 0; i <= 2 * z.sh->sid_mask / 64 + 64; i++) {
        sync_absent_expire(&z);
    }
}


static ngx_uint_t
count(void)
{
    return z.sh->nabsents;
}


static int
right(void)
{
    size_t       lost;
    const char  *text;

    text = zone_check(&z, &lost);

    if (text || lost) {
        printf("# %s, %lu bytes are lost\n", text ? text : "right",
               (unsigned long) lost);
        return 0;
    }

    return 1;
}
