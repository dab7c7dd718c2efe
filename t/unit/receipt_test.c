
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"
#include <sync_receipt.h>


/*
 * Receipts: who is waited for, what is counted, numbers that are not there,
 * the most there may be, and workers that go.
 */


static void test_one(void);
static void test_rooms(void);
static void test_full(void);
static void test_reap(void);
static void say(const char *room, uint64_t host, uint64_t number);
static void put(uint64_t number, ngx_uint_t n, ngx_uint_t late);
static ngx_int_t end(uint64_t number, ngx_uint_t force, ngx_uint_t *n);


static sync_zone_t      z, workers[3];
static sync_record_t   *clients[3];
static sync_wake_set_t  wake;


int
main(int argc, char **argv)
{
    ngx_uint_t  i;

    zone_begin(argc, argv);
    zone_create(&z, SYNC_ZONE_MIN);

    for (i = 0; i < 3; i++) {
        zone_worker(&workers[i], &z, i);
        clients[i] = zone_client(&workers[i], "u");
    }

    test_one();
    test_rooms();
    test_full();
    test_reap();

    for (i = 1; i < 3; i++) {
        sync_registry_remove(&workers[i], clients[i]);
    }

    ok(zone_right(&z), "right in the end");

    zone_destroy();

    return unit_done();
}


static void
test_one(void)
{
    ngx_uint_t  n;
    uint64_t    host, number, number2;
    u_char      extra[SYNC_RECEIPT_EXTRA];

    number = sync_receipt_begin(&workers[0], 0);
    number2 = sync_receipt_begin(&workers[1], 0);
    ok(number && number2 && number != number2, "numbers");
    is_int(sync_receipt_count(&z), 2, "are counted");

    sync_receipt_write(extra, 0x1122334455667788, number);
    sync_receipt_read(extra, &host, &number2);
    ok(host == 0x1122334455667788 && number2 == number, "in an extra");

    is_int(end(number, 0, &n), SYNC_AGAIN, "it was not said yet");
    ok(sync_receipt_waits(&z, number), "waits");

    say("nowhere", z.sh->id, number);
    ok(!sync_receipt_waits(&z, number), "said to nobody");
    is_int(end(number, 0, &n), SYNC_OK, "is over");
    is_int(n, 0, "nobody");
    is_int(end(number, 1, &n), SYNC_DECLINED, "once");

    put(number, 7, 0);
    is_int(sync_receipt_count(&z), 1, "a report that is late");

    number = sync_receipt_begin(&workers[0], 99);
    say("nowhere", z.sh->id + 1, number);
    ok(sync_receipt_waits(&z, number), "another host's number");
    is_int(end(number, 1, &n), SYNC_OK, "forced");

    z.sh->receipts[0].number = 0;
    ngx_memzero(z.sh->receipts, sizeof(z.sh->receipts));
}


static void
test_rooms(void)
{
    ngx_uint_t     i, n;
    uint64_t       number;
    sync_joined_t  j;

    for (i = 0; i < 3; i++) {
        (void) sync_room_join(&workers[i], zone_name("a"), zone_rule(0),
                              clients[i], 1, &j);
    }

    (void) sync_room_join(&workers[2], zone_name("a*"), zone_rule(0),
                          clients[2], 1, &j);

    number = sync_receipt_begin(&workers[1], zone_random64());
    say("a", z.sh->id, number);

    wake.n = 0;
    z.sh->workers[1].woken = 0;

    put(number, 1, 0);
    put(number, 10, 0);
    put(number, 100, 0);
    ok(wake.n == 0 && sync_receipt_waits(&z, number), "one is to report");
    put(number, 5000, 1);
    ok(wake.n == 0, "another host is not");
    put(number, 1000, 0);
    ok(wake.n == 1 && wake.slots[0] == 1, "who asks is woken by the last");
    is_int(end(number, 0, &n), SYNC_OK, "is over");
    is_int(n, 6111, "all are counted");
}


static void
test_full(void)
{
    ngx_uint_t  i, n;
    uint64_t    numbers[SYNC_RECEIPTS_MAX];

    for (i = 0; i < SYNC_RECEIPTS_MAX; i++) {
        numbers[i] = sync_receipt_begin(&workers[i % 3], zone_random64());
    }

    is_int(sync_receipt_count(&z), SYNC_RECEIPTS_MAX, "as many as there are");
    ok(sync_receipt_begin(&workers[0], 7) == 0, "no more");

    for (i = 0; i < SYNC_RECEIPTS_MAX; i++) {
        (void) end(numbers[i], 1, &n);
    }

    is_int(sync_receipt_count(&z), 0, "all are over");
}


static void
test_reap(void)
{
    uint64_t  number;

    (void) sync_receipt_begin(&workers[0], 1);
    number = sync_receipt_begin(&workers[1], 2);

    sync_registry_remove(&workers[0], clients[0]);
    sync_worker_release(&workers[0]);

    is_int(sync_receipt_count(&z), 1, "a worker's go with it");
    ok(sync_receipt_waits(&z, number), "others' do not");
}


static void
say(const char *room, uint64_t host, uint64_t number)
{
    u_char             extra[SYNC_RECEIPT_EXTRA];
    sync_message_t     m;
    sync_published_t   p;

    zone_message(&m, "[\"e\",1]");
    sync_receipt_write(extra, host, number);

    m.flags = SYNC_RECEIPT;
    m.extra.data = extra;
    m.extra.len = SYNC_RECEIPT_EXTRA;

    (void) sync_room_publish(&workers[1], zone_name(room), NULL, zone_rule(0),
                             &m, &p);
}


static void
put(uint64_t number, ngx_uint_t n, ngx_uint_t late)
{
    sync_receipt_put(&workers[2], number, n, late, &wake);
}


static ngx_int_t
end(uint64_t number, ngx_uint_t force, ngx_uint_t *n)
{
    return sync_receipt_end(&workers[1], number, force, n);
}
