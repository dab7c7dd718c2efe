
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"
#include <sync_ack.h>


/*
 * Acknowledgements of two workers: numbers, bounds, what is left behind.
 */

#define ACK_ANSWERS  1000


static void test_numbers(void);
static void test_answers(void);
static void test_limit(void);
static void test_full(void);
static void test_reap(void);
static sync_ack_t *begin(sync_zone_t *w, u_char first, size_t limit);
static ngx_int_t put(sync_zone_t *w, uint64_t number, const char *text);
static int right(void);


static sync_zone_t      z, workers[2];
static sync_wake_set_t  wake;
static u_char           id[SYNC_ID_LEN] = "a client's id..";


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);
    zone_create(&z, SYNC_ZONE_MIN);

    zone_worker(&workers[0], &z, 0);
    zone_worker(&workers[1], &z, 1);

    test_numbers();
    test_answers();
    test_limit();
    test_full();
    test_reap();

    zone_destroy();

    return unit_done();
}


static void
test_numbers(void)
{
    ngx_uint_t   i, n, full;
    sync_ack_t  *acks[SYNC_ACKS_MAX];
    u_char       random[SYNC_ACK_RANDOM];

    n = 0;

    for (i = 0; i < SYNC_ACKS_MAX; i++) {
        acks[i] = begin(&workers[i % 2], 0, 100);
        n += (acks[i] && acks[i]->number && acks[i]->number >> 48 == 0
              && acks[i]->slot == i % 2);
    }

    is_int(n, SYNC_ACKS_MAX, "all are given numbers, none of them 0");
    is_int(sync_ack_count(&z), SYNC_ACKS_MAX, "are counted");

    ngx_memzero(random, sizeof(random));
    full = 0;
    ok(sync_ack_begin(&z, random, 1, &full) == NULL && full, "no more");
    ok(right(), "right");

    for (i = 0; i < SYNC_ACKS_MAX; i++) {
        sync_ack_end(&workers[i % 2], acks[i]);
    }

    ok(sync_ack_count(&z) == 0 && right(), "all are over");
}


static void
test_answers(void)
{
    uint64_t        number;
    sync_ack_t     *ack;
    sync_answer_t  *answer;

    ack = begin(&workers[0], 7, 1000);
    number = ack->number;

    ok(sync_ack_next(&workers[0], ack, NULL) == NULL, "no answer");

    wake.n = 0;
    is_int(put(&workers[1], number, "[1]"), SYNC_OK, "an answer");
    ok(wake.n == 1 && wake.slots[0] == 0, "who asked is woken");
    is_int(put(&workers[0], number, ""), SYNC_OK, "an empty one");
    is_int(put(&workers[1], number + 256, "x"), SYNC_DECLINED,
           "another number in its place");
    is_int(put(&workers[1], number + 1, "x"), SYNC_DECLINED,
           "another place");
    is_int(put(&workers[1], 0, "x"), SYNC_DECLINED, "no number");
    is_int(put(&workers[1], (uint64_t) -1, "x"), SYNC_DECLINED,
           "a large one");
    ok(right(), "right");

    answer = sync_ack_next(&workers[0], ack, NULL);
    ok(answer && answer->len == 0, "the last one first");
    answer = sync_ack_next(&workers[0], ack, answer);
    ok(answer && answer->len == 3 && memcmp(answer->data, "[1]", 3) == 0
       && memcmp(answer->id, id, SYNC_ID_LEN) == 0, "as it was given");
    ok(sync_ack_next(&workers[0], ack, answer) == NULL && right(), "taken");

    is_int(put(&workers[1], number, "[2]"), SYNC_OK, "one that is not taken");
    sync_ack_end(&workers[0], ack);
    ok(right(), "goes with it");
    is_int(put(&workers[1], number, "[2]"), SYNC_DECLINED, "too late");
}


static void
test_limit(void)
{
    sync_ack_t     *ack;
    sync_answer_t  *answer;

    ack = begin(&workers[0], 1, 2 * offsetof(sync_answer_t, data) + 4);

    is_int(put(&workers[1], ack->number, "12345678901234567890123456789012345"
               "678901234567890"), SYNC_BUSY, "more than the limit");
    is_int(put(&workers[1], ack->number, "123"), SYNC_OK, "less");
    is_int(put(&workers[1], ack->number, "12"), SYNC_BUSY, "more with it");
    is_int(put(&workers[1], ack->number, "1"), SYNC_OK, "just as much");
    is_int(put(&workers[1], ack->number, ""), SYNC_BUSY, "and no more");

    answer = sync_ack_next(&workers[0], ack, NULL);
    ok(sync_ack_next(&workers[0], ack, answer) != NULL, "taken");
    is_int(put(&workers[1], ack->number, "1"), SYNC_OK, "there is room");

    sync_ack_end(&workers[0], ack);
}


static void
test_full(void)
{
    size_t       unused;
    ngx_int_t    rc;
    ngx_uint_t   n;
    sync_ack_t  *ack;
    static char  text[20001];

    if (sync_ack_count(&z)) {
        zone_bail("some are left");
    }

    memset(text, 'x', sizeof(text) - 1);

    unused = sync_zone_unused(&z);
    ack = begin(&workers[0], 1, 2 * SYNC_ZONE_MIN);
    n = 0;

    do {
        rc = put(&workers[1], ack->number, text);
        n++;

    } while (rc == SYNC_OK && n < ACK_ANSWERS);

    is_int(rc, SYNC_BUSY, "the zone is full");
    sync_ack_end(&workers[0], ack);
    is_int(sync_zone_unused(&z), unused, "and empty again");
}


static void
test_reap(void)
{
    uint64_t     number;
    ngx_uint_t   i;
    sync_ack_t  *mine, *other;

    mine = begin(&workers[0], 1, 1000000);
    other = begin(&workers[1], 2, 1000000);
    number = mine->number;

    for (i = 0; i < ACK_ANSWERS; i++) {
        (void) put(&workers[1], number, "[1]");
        (void) put(&workers[0], other->number, "[2]");
    }

    sync_worker_release(&workers[0]);
    (void) sync_worker_reap(&workers[1]);

    is_int(sync_ack_count(&z), 1, "those of a worker go with it");
    is_int(put(&workers[1], number, "[1]"), SYNC_DECLINED, "nobody waits");
    is_int(put(&workers[1], other->number, "[1]"), SYNC_OK, "others stay");

    sync_ack_end(&workers[1], other);
    ok(sync_ack_count(&z) == 0, "all are over");
}


static sync_ack_t *
begin(sync_zone_t *w, u_char first, size_t limit)
{
    ngx_uint_t  full;
    u_char      random[SYNC_ACK_RANDOM];

    ngx_memzero(random, sizeof(random));
    random[0] = first;

    return sync_ack_begin(w, random, limit, &full);
}


static ngx_int_t
put(sync_zone_t *w, uint64_t number, const char *text)
{
    return sync_ack_put(w, number, id, (u_char *) text, strlen(text), &wake);
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
