
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"
#include <sync_holder.h>


/*
 * What a host has one of: who gets it, and who gets it next, against what must
 * hold whatever the workers do.
 */

#define HOLDER_WORKERS  5
#define HOLDER_STEPS    20000


static void test_first(void);
static void test_drain(void);
static void test_death(void);
static void test_stall(void);
static void test_random(void);
static void begin(void);
static void start(ngx_uint_t i);
static void die(ngx_uint_t i);


static sync_zone_t  z, w[HOLDER_WORKERS];
static ngx_uint_t   alive[HOLDER_WORKERS];


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);

    test_first();
    test_drain();
    test_death();
    test_stall();
    test_random();

    return unit_done();
}


static void
begin(void)
{
    zone_create(&z, SYNC_ZONE_MIN);
    ngx_memzero(alive, sizeof(alive));
}


static void
start(ngx_uint_t i)
{
    zone_worker(&w[i], &z, i + 1);
    sync_worker_beat(&w[i]);
    alive[i] = 1;
}


/* its slot is free, and may be another's */

static void
die(ngx_uint_t i)
{
    sync_worker_release(&w[i]);
    alive[i] = 0;
}


static void
test_first(void)
{
    begin();
    start(0);
    start(1);

    ok(sync_holder_slot(&z, 0) == -1, "nobody has it");
    ok(sync_holder_claim(&z, 0) == SYNC_DECLINED, "who has no slot");
    ok(sync_holder_claim(&w[0], 0) == SYNC_AGAIN, "the first makes it ready");
    ok(sync_holder_claim(&w[1], 0) == SYNC_DECLINED, "the second does not");
    ok(!sync_holder_mine(&w[0], 0), "it is not there yet");
    ok(sync_holder_confirm(&w[1], 0) == SYNC_DECLINED, "nor the second's");
    ok(sync_holder_confirm(&w[0], 0) == SYNC_OK, "confirmed");
    ok(sync_holder_mine(&w[0], 0) && sync_holder_slot(&z, 0) >= 0, "owned");
    ok(sync_holder_claim(&w[0], 0) == SYNC_OK, "still");
    ok(sync_holder_claim(&w[1], 0) == SYNC_DECLINED, "by one alone");
    ok(sync_holder_slot(&z, 1) == -1, "other things are others");

    sync_holder_release(&w[1], 0);
    ok(sync_holder_mine(&w[0], 0), "nobody gives up what is another's");

    sync_holder_release(&w[0], 0);
    ok(sync_holder_slot(&z, 0) == -1, "given up");
    ok(sync_holder_claim(&w[1], 0) == SYNC_AGAIN, "the other may have it");

    zone_destroy();
}


static void
test_drain(void)
{
    begin();
    start(0);

    (void) sync_holder_claim(&w[0], 0);
    (void) sync_holder_confirm(&w[0], 0);

    w[0].self->exiting = 1;

    ok(sync_holder_claim(&w[0], 0) == SYNC_OK, "kept while it drains alone");

    start(1);

    ok(sync_holder_claim(&w[1], 0) == SYNC_AGAIN, "a new one makes it ready");
    ok(sync_holder_claim(&w[0], 0) == SYNC_OK, "kept till then");
    ok(sync_holder_confirm(&w[1], 0) == SYNC_OK, "taken over");
    ok(sync_holder_claim(&w[0], 0) == SYNC_DECLINED, "it has it no more");
    ok(sync_holder_claim(&w[0], 1) == SYNC_DECLINED,
       "nor does it get anything where there is another");

    zone_destroy();
}


static void
test_death(void)
{
    begin();
    start(0);
    start(1);

    (void) sync_holder_claim(&w[0], 0);
    die(0);

    ok(sync_holder_claim(&w[1], 0) == SYNC_AGAIN, "one that died on its way");
    ok(sync_holder_confirm(&w[1], 0) == SYNC_OK, "does not hold it up");

    die(1);
    start(2);

    /* the slot is the dead one's */

    ok(!sync_holder_mine(&w[2], 0), "a slot's next one is not its last one");
    ok(sync_holder_slot(&z, 0) == -1, "whose things are nobody's");
    ok(sync_holder_claim(&w[2], 0) == SYNC_AGAIN, "and may be had");

    zone_destroy();
}


static void
test_stall(void)
{
    begin();
    start(0);
    start(1);

    (void) sync_holder_claim(&w[0], 0);
    (void) sync_holder_confirm(&w[0], 0);

    ngx_current_msec += 60000;
    sync_worker_beat(&w[1]);

    ok(sync_holder_claim(&w[1], 0) == SYNC_AGAIN, "one that stands still");
    ok(sync_holder_confirm(&w[1], 0) == SYNC_OK, "is not waited for");

    sync_worker_beat(&w[0]);
    ok(!sync_holder_mine(&w[0], 0), "and has lost it when it goes on");

    zone_destroy();
}


/*
 * Whatever they do, at most one has it, and where somebody lives that claims
 * and confirms again and again, somebody has it in the end.
 */

static void
test_random(void)
{
    ngx_int_t   slot;
    ngx_uint_t  i, n, step, twice, lost, none;

    begin();

    twice = 0;
    lost = 0;
    none = 0;

    for (step = 0; step < HOLDER_STEPS; step++) {

        i = zone_random(HOLDER_WORKERS);

        switch (zone_random(12)) {

        case 0:
            if (alive[i]) {
                die(i);
            }

            break;

        case 1:
            if (alive[i]) {
                w[i].self->exiting = 1;
            }

            break;

        case 2:
            if (alive[i]) {
                sync_holder_release(&w[i], 0);
            }

            break;

        case 3:
        case 4:
            if (!alive[i]) {
                start(i);
            }

            break;

        case 5:
        case 6:
            if (alive[i]) {
                (void) sync_holder_confirm(&w[i], 0);
            }

            break;

        default:
            if (alive[i]) {
                (void) sync_holder_claim(&w[i], 0);
            }

            break;
        }

        n = 0;

        for (i = 0; i < HOLDER_WORKERS; i++) {

            if (!alive[i]) {
                continue;
            }

            sync_worker_beat(&w[i]);

            if (sync_holder_mine(&w[i], 0)) {
                n++;

                slot = sync_holder_slot(&z, 0);
                lost += (slot != (ngx_int_t) sync_worker_slot(&z, w[i].self));
            }
        }

        twice += (n > 1);

        if (step % 100) {
            continue;
        }

        /* each one's next tick */

        for (i = 0; i < HOLDER_WORKERS; i++) {

            if (alive[i] && sync_holder_claim(&w[i], 0) == SYNC_AGAIN) {
                (void) sync_holder_confirm(&w[i], 0);
            }
        }

        n = 0;

        for (i = 0; i < HOLDER_WORKERS; i++) {
            n += alive[i];
        }

        none += (n && sync_holder_slot(&z, 0) == -1);
    }

    ok(twice == 0, "it is never two workers'");
    ok(lost == 0, "who has it is known");
    ok(none == 0, "somebody has it soon");

    zone_destroy();
}
