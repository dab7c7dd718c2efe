
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"
#include <sync_share.h>


/*
 * Shares of up to four workers in calls: who makes them, who is waited for,
 * what is read, and that nothing is left.  Then the same at random, where
 * each recipient is to be asked for once, in as few calls as can be.
 */

#define SHARE_WORKERS  4
#define SHARE_ROUNDS   3000


typedef struct {
    sync_share_t   *share;
    uint32_t        n;              /* recipients of it */
    uint32_t        asked;          /* for, in any way */
    uint32_t        calls;
} share_worker_t;


static void test_alone(void);
static void test_fill(void);
static void test_appointed(void);
static void test_late(void);
static void test_split(void);
static void test_parcels(void);
static void test_limits(void);
static void test_given_up(void);
static void test_hooks(void);
static void test_generations(void);
static void test_reap(void);
static void test_host(void);
static void test_random(void);
static void create(void);
static void next_message(void);
static ngx_uint_t offer(ngx_uint_t i, uint32_t n);
static ngx_uint_t collect(ngx_uint_t i, uint64_t call, sync_share_t *own);
static int right(void);


static sync_zone_t         z, workers[SHARE_WORKERS];
static sync_record_t      *records[SHARE_WORKERS];
static sync_interest_t    *interests[SHARE_WORKERS];
static sync_share_offer_t  o;
static sync_share_texts_t  t;
static sync_wake_set_t     wake;
static u_char              buf[1024 * 1024];
static int                 hooks[2];


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);

    test_alone();
    test_fill();
    test_appointed();
    test_late();
    test_split();
    test_parcels();
    test_limits();
    test_given_up();
    test_hooks();
    test_generations();
    test_reap();
    test_host();
    test_random();

    return unit_done();
}


static void
test_alone(void)
{
    create();

    ok(!sync_share_alone(&workers[0], o.key.room, interests[0]),
       "others have members");

    next_message();

    /* nobody else is to come */

    interests[1]->passed = (uint32_t) o.key.lsn;
    interests[2]->passed = (uint32_t) o.key.lsn + 1;
    interests[3]->late = 1;

    ok(offer(0, 10) == 10 && o.call == 0 && o.share == NULL, "alone");
    is_int(interests[0]->passed, (uint32_t) o.key.lsn, "has come");
    is_int(sync_share_count(&z), 0, "no share");

    zone_destroy();
}


static void
test_fill(void)
{
    sync_share_t  *first, *second;

    create();
    next_message();

    ok(offer(0, 20) == 0 && o.share, "the first one waits");
    first = o.share;
    ok(offer(1, 24) == 0 && o.share, "so does the second");
    second = o.share;

    ok(offer(2, 20) == 0 && o.call && o.taken == 20 && o.share == NULL,
       "the third one fills the call");
    ok(right(), "right");

    is_int(collect(2, o.call, NULL), 44, "it gets the texts of others");
    is_int(t.n, 2, "of two");
    ok(!sync_share_is_caller(&workers[0], first)
       && !sync_share_is_caller(&workers[1], second), "they do not call");

    ok(offer(3, 5) == 5 && o.call == 0, "the last one is alone");

    is_int(sync_share_close(&workers[0], first), SYNC_DECLINED,
           "it is called for already");

    sync_share_leave(&workers[0], first, &wake);
    sync_share_leave(&workers[1], second, &wake);
    ok(right() && sync_share_count(&z) == 0, "nothing is left");

    zone_destroy();
}


/* who comes last has nothing left over */

static void
test_appointed(void)
{
    sync_share_t  *s[2];

    create();
    next_message();

    (void) offer(0, 1);
    s[0] = o.share;
    (void) offer(1, 2);
    s[1] = o.share;
    (void) offer(2, 0);

    wake.n = 0;
    workers[0].self->woken = 0;
    workers[1].self->woken = 0;
    ok(offer(3, 0) == 0 && o.call == 0, "has nothing");
    is_int(wake.n, 1, "one is woken");

    ok(sync_share_is_caller(&workers[1], s[1])
       && !sync_share_is_caller(&workers[0], s[0])
       && s[0]->call == s[1]->call && wake.slots[0] == s[1]->slot,
       "and makes the call");

    is_int(collect(1, s[1]->call, s[1]), 1, "for the other as well");
    is_int(sync_share_count(&z), 1, "its own share is gone");

    is_int(sync_share_put(&workers[1], s[0]->number, NULL, 0, SYNC_SHARE_DONE,
                          &wake), SYNC_OK, "it is over");
    ok(sync_share_has_news(s[0]), "that is news");

    sync_share_leave(&workers[0], s[0], &wake);
    ok(right(), "right");

    /* one leaves that was to make the call */

    next_message();

    (void) offer(0, 1);
    s[0] = o.share;
    (void) offer(1, 2);
    s[1] = o.share;
    (void) offer(2, 0);
    (void) offer(3, 0);

    sync_share_leave(&workers[1], s[1], &wake);
    is_int(s[0]->state, SYNC_SHARE_LOST, "nobody makes the call");
    sync_share_leave(&workers[0], s[0], &wake);
    ok(right(), "right");

    zone_destroy();
}


static void
test_late(void)
{
    uint64_t           lsn;
    sync_share_t      *s;
    sync_share_key_t   key;

    create();
    next_message();
    key = o.key;

    (void) offer(0, 7);
    s = o.share;
    (void) offer(1, 0);
    (void) offer(2, 0);

    is_int(sync_share_close(&workers[0], s), SYNC_OK, "waited for too long");
    is_int(collect(0, s->call, s), 0, "asks for its own");
    is_int(interests[3]->late, 1, "one is late");

    lsn = o.key.lsn;
    next_message();
    (void) offer(0, 7);
    s = o.share;
    (void) offer(1, 0);
    ok(offer(2, 3) == 0 && o.call, "it is not waited for");
    is_int(collect(2, o.call, NULL), 7, "the others share");
    sync_share_leave(&workers[0], s, &wake);

    /* it comes */

    o.key = key;
    ok(o.key.lsn == lsn && offer(3, 9) == 9, "it asks by itself");
    is_int(interests[3]->late, 1, "others are ahead");

    o.key.lsn = lsn + 1;
    (void) offer(3, 0);
    is_int(interests[3]->late, 0, "nobody is ahead");

    next_message();
    (void) offer(0, 1);
    s = o.share;
    (void) offer(1, 0);
    (void) offer(2, 0);
    ok(s->state == SYNC_SHARE_OPEN, "it is waited for again");
    ok(offer(3, 1) == 0 && o.call, "and comes");
    sync_share_leave(&workers[0], s, &wake);

    /* one that gives no beat is not waited for */

    next_message();
    workers[3].self->beat = ngx_current_msec - SYNC_WORKER_STALL - 1;
    (void) offer(0, 1);
    s = o.share;
    (void) offer(1, 0);
    ok(offer(2, 1) == 0 && o.call, "a stalled one is not waited for");

    workers[2].self->beat = workers[3].self->beat;
    ok(sync_share_stalled(&workers[0], s), "nor does one call for others");

    sync_share_leave(&workers[0], s, &wake);
    ok(right() && sync_share_count(&z) == 0, "nothing is left");

    zone_destroy();
}


static void
test_split(void)
{
    uint64_t       call;
    sync_share_t  *s[3];

    create();
    next_message();

    (void) offer(0, 50);
    s[0] = o.share;

    ok(offer(1, 50) == 0 && o.call && o.taken == 14 && o.share
       && o.share->n == 36, "a part fills the call, the rest waits");
    call = o.call;
    s[1] = o.share;
    is_int(collect(1, call, NULL), 50, "its own share is not of that call");

    ok(offer(2, 50) == 0 && o.taken == 28 && o.share->n == 22, "again");
    s[2] = o.share;

    ok(offer(3, 50) == 8 && o.taken == 42 && o.share == NULL,
       "the last one asks for its rest");
    is_int(collect(3, o.call, NULL), 22, "and for others");

    sync_share_leave(&workers[0], s[0], &wake);
    sync_share_leave(&workers[1], s[1], &wake);
    sync_share_leave(&workers[2], s[2], &wake);
    ok(right() && sync_share_count(&z) == 0, "nothing is left");

    zone_destroy();
}


static void
test_parcels(void)
{
    size_t               len;
    uint64_t             number;
    sync_share_t        *s;
    sync_share_state_e   state;

    create();
    next_message();

    (void) offer(0, 3);
    s = o.share;
    number = s->number;

    is_int(sync_share_put(&workers[1], number, (u_char *) "x", 1,
                          SYNC_SHARE_CALLED, &wake), SYNC_DECLINED,
           "nobody has asked yet");

    (void) offer(1, 61);

    is_int(sync_share_put(&workers[1], number + SYNC_SHARES_BUCKETS,
                          (u_char *) "x", 1, SYNC_SHARE_CALLED, &wake),
           SYNC_DECLINED, "another one");

    ok(!sync_share_has_news(s), "no news");
    (void) sync_share_put(&workers[1], number, (u_char *) "one", 3,
                          SYNC_SHARE_CALLED, &wake);
    (void) sync_share_put(&workers[1], number, (u_char *) "+two", 4,
                          SYNC_SHARE_CALLED, &wake);
    ok(sync_share_has_news(s) && right(), "news");

    ok(sync_share_take(&workers[0], s, buf, 6, &len, &state) == SYNC_AGAIN
       && len == 7, "it takes so much");
    ok(sync_share_take(&workers[0], s, buf, 7, &len, &state) == SYNC_OK
       && len == 7 && memcmp(buf, "one+two", 7) == 0
       && state == SYNC_SHARE_CALLED, "taken in order");
    ok(!sync_share_has_news(s), "no more");

    (void) sync_share_put(&workers[1], number, (u_char *) "three", 5,
                          SYNC_SHARE_INVALID, &wake);
    is_int(sync_share_put(&workers[1], number, (u_char *) "x", 1,
                          SYNC_SHARE_DONE, &wake), SYNC_DECLINED,
           "nothing comes after the end");
    ok(sync_share_take(&workers[0], s, buf, 100, &len, &state) == SYNC_OK
       && len == 5 && state == SYNC_SHARE_INVALID, "the end");

    sync_share_leave(&workers[0], s, &wake);
    is_int(sync_share_put(&workers[1], number, (u_char *) "x", 1,
                          SYNC_SHARE_CALLED, &wake), SYNC_DECLINED,
           "it is gone");
    ok(right() && sync_share_count(&z) == 0, "nothing is left");

    zone_destroy();
}


static void
test_limits(void)
{
    size_t         unused;
    ngx_uint_t     n;
    sync_share_t  *s;

    create();
    next_message();
    unused = sync_zone_unused(&z);

    (void) offer(0, 3);
    s = o.share;
    (void) offer(1, 61);

    is_int(sync_share_put(&workers[1], s->number, buf, SYNC_SHARE_WAIT / 2,
                          SYNC_SHARE_CALLED, &wake), SYNC_OK, "a half");
    is_int(sync_share_put(&workers[1], s->number, buf,
                          SYNC_SHARE_WAIT / 2 + 1, SYNC_SHARE_CALLED, &wake),
           SYNC_DECLINED, "what is not read has a bound");
    is_int(s->state, SYNC_SHARE_LOST, "the share is lost");

    sync_share_leave(&workers[0], s, &wake);
    is_int(sync_zone_unused(&z), unused, "nothing is left");

    /* more parcels than are freed at once */

    next_message();
    (void) offer(0, 3);
    s = o.share;
    (void) offer(1, 61);

    for (n = 0; n < 500; n++) {
        (void) sync_share_put(&workers[1], s->number, buf, 10,
                              SYNC_SHARE_CALLED, &wake);
    }

    sync_share_leave(&workers[0], s, &wake);
    is_int(sync_zone_unused(&z), unused, "nor of many");

    /* no memory */

    next_message();
    ngx_stub_slab_fail(1);
    ok(offer(0, 3) == 3 && o.share == NULL, "no memory: alone");
    ngx_stub_slab_fail(0);
    ok(right(), "right");

    zone_destroy();
}


static void
test_given_up(void)
{
    uint64_t       number;
    sync_share_t  *s;

    create();
    next_message();

    (void) offer(0, 30);
    s = o.share;
    number = s->number;
    sync_share_leave(&workers[0], s, &wake);

    ok(offer(1, 40) == 0 && o.call == 0 && o.share->n == 40,
       "what is gone does not count");
    s = o.share;
    (void) offer(2, 24);
    is_int(collect(2, o.call, NULL), 40, "nor is it asked for");
    is_int(sync_share_put(&workers[2], number, buf, 1, SYNC_SHARE_CALLED,
                          &wake), SYNC_DECLINED, "nor told");

    sync_share_leave(&workers[1], s, &wake);
    ok(right() && sync_share_count(&z) == 0, "nothing is left");

    zone_destroy();
}


/* members of locations with hooks of their own */

static void
test_hooks(void)
{
    uint64_t       call;
    sync_share_t  *one, *two;

    create();
    next_message();

    o.n = 10;
    o.len = 10 * sync_share_text_size(4);
    sync_share_offer(&workers[0], &o, 0, &wake);
    one = o.share;
    ok(one && interests[0]->passed != (uint32_t) o.key.lsn,
       "more is to come of it");

    o.key.hook = &hooks[1];
    (void) offer(0, 10);
    two = o.share;

    ok(offer(1, 60) == 0 && o.taken == 54 && o.share->n == 6,
       "a call of one hook");
    call = o.call;
    sync_share_leave(&workers[1], o.share, &wake);
    is_int(collect(1, call, NULL), 10, "has nobody of the other");

    (void) offer(2, 0);
    (void) offer(3, 0);
    ok(sync_share_is_caller(&workers[0], one)
       && !sync_share_is_caller(&workers[0], two), "the other is called for");

    sync_share_leave(&workers[0], one, &wake);
    sync_share_leave(&workers[0], two, &wake);
    ok(right() && sync_share_count(&z) == 0, "nothing is left");

    zone_destroy();
}


static void
test_generations(void)
{
    sync_share_t  *s;

    create();
    next_message();

    workers[2].generation = workers[3].generation = 7;
    workers[2].self->generation = workers[3].self->generation = 7;

    (void) offer(0, 10);
    s = o.share;
    ok(offer(2, 10) == 0 && o.share && s->state == SYNC_SHARE_OPEN,
       "each generation has its own calls");
    sync_share_leave(&workers[2], o.share, &wake);

    ok(offer(1, 10) == 0 && o.call && collect(1, o.call, NULL) == 10,
       "and waits for its own workers");

    sync_share_leave(&workers[0], s, &wake);
    ok(right() && sync_share_count(&z) == 0, "nothing is left");

    zone_destroy();
}


static void
test_reap(void)
{
    sync_share_t  *s[3];

    create();
    next_message();

    (void) offer(0, 10);
    s[0] = o.share;
    (void) offer(2, 10);
    s[2] = o.share;
    (void) offer(1, 44);
    (void) sync_share_put(&workers[1], s[0]->number, buf, 100,
                          SYNC_SHARE_CALLED, &wake);
    (void) sync_share_put(&workers[1], s[2]->number, buf, 100,
                          SYNC_SHARE_CALLED, &wake);

    /* a contributor */

    sync_registry_remove(&workers[0], records[0]);
    sync_worker_release(&workers[0]);
    (void) sync_worker_reap(&workers[3]);
    ok(right() && sync_share_count(&z) == 1, "its share goes with a worker");
    is_int(s[2]->state, SYNC_SHARE_CALLED, "others stay");

    /* the caller */

    sync_worker_bury_locked(&workers[1], workers[1].self);
    (void) sync_worker_reap(&workers[3]);
    is_int(s[2]->state, SYNC_SHARE_LOST, "those a worker called for are lost");

    sync_share_leave(&workers[2], s[2], &wake);
    ok(right() && sync_share_count(&z) == 0, "nothing is left");

    zone_destroy();
}


/* what is said to all */

static void
test_host(void)
{
    ngx_uint_t     i;
    sync_share_t  *s;

    create();

    o.key.room = z.sh->host;
    o.key.lsn = 1;

    ok(!sync_share_alone(&workers[0], z.sh->host, workers[0].self->host),
       "others have clients");

    (void) offer(0, 1);
    s = o.share;
    (void) offer(1, 0);
    (void) offer(2, 1);
    is_int(s->state, SYNC_SHARE_OPEN, "all who have clients are waited for");
    sync_share_leave(&workers[2], o.share, &wake);

    sync_registry_remove(&workers[3], records[3]);
    (void) offer(2, 1);
    is_int(s->state, SYNC_SHARE_CALLED, "and nobody else");

    for (i = 0; i < 3; i++) {
        is_int(workers[i].self->host->passed, 1, "has come");
    }

    sync_share_leave(&workers[0], s, &wake);
    ok(right() && sync_share_count(&z) == 0, "nothing is left");

    zone_destroy();
}


/*
 * Workers come in any order with any number; now and then one does not come,
 * or leaves.  Who is in time is asked for in as few calls as can be.
 */

static void
test_random(void)
{
    uint32_t         n, rest, total, calls, asked;
    ngx_uint_t       i, k, round, bad, quiet;
    ngx_uint_t       order[SHARE_WORKERS];
    share_worker_t   w[SHARE_WORKERS];

    create();
    bad = 0;

    for (round = 0; round < SHARE_ROUNDS && bad == 0; round++) {
        next_message();
        ngx_memzero(w, sizeof(w));

        quiet = zone_random(5) == 0;
        total = 0;
        calls = 0;
        asked = 0;

        for (i = 0; i < SHARE_WORKERS; i++) {
            k = zone_random(i + 1);
            order[i] = order[k];
            order[k] = i;
        }

        for (i = 0; i < SHARE_WORKERS; i++) {
            k = order[i];

            if (quiet && i == SHARE_WORKERS - 1) {
                break;
            }

            n = (uint32_t) zone_random(SYNC_SHARE_MAX);
            total += n;
            rest = (uint32_t) offer(k, n);

            if (o.call) {
                calls++;
                w[k].share = o.share;
                asked += o.taken + collect(k, o.call, NULL);

            } else {
                w[k].share = o.share;
            }

            if (rest) {
                calls++;
                asked += rest;
            }

            if (zone_random(100) == 0 && !right()) {
                bad = 1;
            }
        }

        for (k = 0; k < SHARE_WORKERS; k++) {

            if (w[k].share == NULL) {
                continue;
            }

            if (sync_share_close(&workers[k], w[k].share) == SYNC_OK) {
                calls++;
                asked += w[k].share->n;
                asked += collect(k, w[k].share->call, w[k].share);
                w[k].share = NULL;
            }
        }

        for (k = 0; k < SHARE_WORKERS; k++) {
            if (w[k].share) {
                sync_share_leave(&workers[k], w[k].share, &wake);
            }
        }

        if (asked != total
            || calls != (total + SYNC_SHARE_MAX - 1) / SYNC_SHARE_MAX
            || sync_share_count(&z))
        {
            printf("# round %lu: %lu of %lu in %lu calls\n",
                   (unsigned long) round, (unsigned long) asked,
                   (unsigned long) total, (unsigned long) calls);
            bad = 1;
        }

        if (quiet) {
            (void) offer(order[SHARE_WORKERS - 1], 0);
        }
    }

    ok(bad == 0 && right(), "each once, in as few calls as can be");

    zone_destroy();
}


static void
create(void)
{
    ngx_uint_t     i;
    sync_joined_t  j;

    zone_create(&z, 8 * SYNC_ZONE_MIN);

    for (i = 0; i < SHARE_WORKERS; i++) {
        zone_worker(&workers[i], &z, i);
        records[i] = zone_client(&workers[i], "u");

        (void) sync_room_join(&workers[i], zone_name("r"), zone_rule(0),
                              records[i], i, &j);
        interests[i] = j.interest;
    }

    ngx_memzero(&o, sizeof(o));

    o.key.room = interests[0]->room;
    o.key.hook = &hooks[0];
    o.texts = buf;
}


static void
next_message(void)
{
    o.key.lsn++;
    o.key.nonce = (uint32_t) zone_random(1000);
    o.key.hook = &hooks[0];
}


/* Comes with n; returns how many are to be asked for by the worker alone. */

static ngx_uint_t
offer(ngx_uint_t i, uint32_t n)
{
    u_char    *p;
    uint32_t   k;

    p = buf;

    for (k = 0; k < n; k++) {
        memcpy(p + sync_share_text_size(0), "text", 4);
        p = sync_share_write_length(p, 4);
    }

    o.n = n;
    o.len = p - buf;

    sync_share_offer(&workers[i], &o, 1, &wake);

    return o.share ? 0 : n - o.taken;
}


/* Takes the texts of a call; returns how many there are. */

static ngx_uint_t
collect(ngx_uint_t i, uint64_t call, sync_share_t *own)
{
    u_char      *p;
    uint32_t     k;
    ngx_uint_t   n;
    sync_str_t   text;

    t.buf = NULL;
    t.size = 0;

    if (sync_share_collect(&workers[i], call, own, &t) == SYNC_AGAIN) {
        t.buf = buf;
        t.size = t.need;

        if (sync_share_collect(&workers[i], call, own, &t) != SYNC_OK) {
            zone_bail("no texts");
        }
    }

    n = 0;

    for (k = 0; k < t.n; k++) {
        n += t.counts[k];
    }

    p = buf;

    for (k = 0; k < n; k++) {
        p = sync_share_read_text(p, &text);

        if (text.len != 4 || memcmp(text.data, "text", 4) != 0) {
            zone_bail("a wrong text");
        }
    }

    return n;
}


static int
right(void)
{
    return zone_right(&z);
}
