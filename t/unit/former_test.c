
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"


#define FORMER_CLIENTS  3000


static void test_rooms(void);
static void test_dead(void);
static void test_again(void);
static void test_filters(void);
static void test_model(void);
static void test_told(void);
static void test_full(void);
static void test_off(void);

static sync_record_t *client(sync_zone_t *w, const char *user);
static sync_member_t *join(sync_zone_t *w, sync_record_t *rec,
    const char *name, ngx_uint_t history);
static void publish(sync_zone_t *w, const char *name);
static ngx_uint_t count(void);
static void press(void);
static ngx_uint_t find(sync_former_filter_t *filter);

static sync_zone_t  z, other;
static u_char       ids[FORMER_CLIENTS][SYNC_ID_LEN];


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);

    test_rooms();
    test_dead();
    test_again();
    test_filters();
    test_model();
    test_told();
    test_full();
    test_off();

    return unit_done();
}


static void
begin(size_t size)
{
    zone_create(&z, size);
    z.remember = 100;

    if (sync_worker_claim(&z, 1) != SYNC_OK) {
        zone_bail("no slot");
    }

    zone_worker(&other, &z, 2);
}


static sync_record_t *
client(sync_zone_t *w, const char *user)
{
    sync_record_t  *rec;

    rec = zone_client(w, user);

    if (rec == NULL) {
        zone_bail("no record");
    }

    rec->flags |= SYNC_RECORD_MET;

    return rec;
}


static sync_member_t *
join(sync_zone_t *w, sync_record_t *rec, const char *name,
    ngx_uint_t history)
{
    sync_joined_t  j;

    if (sync_room_join(w, zone_name(name), zone_rule(history), rec, 1, &j)
        != SYNC_OK)
    {
        zone_bail("no join");
    }

    return j.member;
}


static void
publish(sync_zone_t *w, const char *name)
{
    sync_message_t    m;
    sync_published_t  p;

    zone_message(&m, "[\"e\",1]");
    (void) sync_room_publish(w, zone_name(name), NULL, zone_rule(9), &m, &p);
}


static ngx_uint_t
count(void)
{
    size_t      bytes;
    ngx_uint_t  n;

    sync_former_count(&z, &n, &bytes);

    return n;
}


/* Pages of 16 to the end; how many were found. */

static ngx_uint_t
find(sync_former_filter_t *filter)
{
    uint32_t            bucket;
    ngx_uint_t          n;
    sync_record_info_t  info[16];

    bucket = 0;
    n = 0;

    while (bucket < sync_former_buckets(&z)) {
        n += sync_former_page(&z, filter, &bucket, info, 16);
    }

    return n;
}


/* What is told of one that is here, and of the same when it left. */

static void
test_rooms(void)
{
    size_t               len;
    u_char               buf[512], id[SYNC_ID_LEN];
    uint32_t             nonce;
    const u_char        *p;
    sync_member_t       *m;
    sync_record_t       *rec;
    sync_record_info_t   info;
    sync_former_room_t   room;

    begin(2 * 1024 * 1024);

    rec = client(&z, "ann");
    memcpy(id, rec->id, SYNC_ID_LEN);

    (void) join(&z, rec, "first", 0);
    m = join(&z, rec, "second", 9);
    (void) join(&z, rec, "third", 9);
    publish(&z, "second");
    publish(&z, "second");
    publish(&z, "third");

    m->room->interests->cursor = 1;

    nonce = 0;
    is_int(sync_log_nonce_locked(&m->room->log, 1, &nonce), SYNC_OK,
           "a position in the middle");

    is_int(sync_former_info(&z, id, &info, buf, sizeof(buf), &len), SYNC_OK,
           "a client that is here");
    is_int(info.left, 0, "and did not leave");

    p = buf;
    ok(sync_former_next(&p, buf + len, &room) == SYNC_OK
       && sync_str_is(&room.name, "first") && !room.known, "its first room");
    ok(sync_former_next(&p, buf + len, &room) == SYNC_OK
       && sync_str_is(&room.name, "second") && room.known
       && room.pos.lsn == 1 && room.pos.nonce == nonce, "what it has heard");
    ok(sync_former_next(&p, buf + len, &room) == SYNC_OK
       && sync_str_is(&room.name, "third") && room.known
       && room.pos.lsn == 0, "what it has not heard yet");
    is_int(sync_former_next(&p, buf + len, &room), SYNC_DECLINED, "no more");

    is_int(sync_former_info(&z, id, &info, buf, 20, &len), SYNC_OK, "a few");
    is_int(len, 2 + 5 + 12, "the newest ones");

    /* what its worker says goes before what can be seen */

    m->start = 2;
    rec->members->start = 1;
    sync_former_add(&z, rec);
    is_int(count(), 1, "remembered");
    sync_registry_remove(&z, rec);
    is_int(count(), 1, "once");

    is_int(sync_former_info(&z, id, &info, buf, sizeof(buf), &len), SYNC_OK,
           "one that left");
    ok(info.left && info.nrooms == 3 && info.user_len == 3
       && memcmp(info.user, "ann", 3) == 0, "who it was");

    p = buf;
    (void) sync_former_next(&p, buf + len, &room);
    (void) sync_former_next(&p, buf + len, &room);
    ok(sync_str_is(&room.name, "second") && room.pos.lsn == 2,
       "where it was told to be");
    (void) sync_former_next(&p, buf + len, &room);
    ok(sync_str_is(&room.name, "third") && room.pos.lsn == 1, "and there");

    ok(zone_right(&z), "all is there");

    zone_destroy();
}


/* Whoever reaps a dead worker remembers its clients. */

static void
test_dead(void)
{
    size_t               len;
    u_char               buf[512], id[SYNC_ID_LEN];
    const u_char        *p;
    sync_member_t       *m;
    sync_record_t       *rec;
    sync_record_info_t   info;
    sync_former_room_t   room;

    begin(2 * 1024 * 1024);

    rec = client(&other, "ann");
    memcpy(id, rec->id, SYNC_ID_LEN);
    m = join(&other, rec, "his", 9);
    (void) join(&other, rec, "behind", 9);
    publish(&z, "his");
    m->interest->cursor = 1;
    rec->members->start = SYNC_ROOM_READING;

    (void) client(&z, "living");
    (void) zone_client(&other, "never met");

    other.self->pid = 1 << 30;
    sync_zone_lock(&z);
    sync_worker_bury_locked(&z, other.self);
    sync_zone_unlock(&z);

    is_int(sync_worker_reap(&z), 1, "a dead worker");
    is_int(count(), 1, "its client");
    is_int(sync_former_info(&z, id, &info, buf, sizeof(buf), &len), SYNC_OK,
           "is remembered");

    p = buf;
    ok(sync_former_next(&p, buf + len, &room) == SYNC_OK && room.known
       && room.pos.lsn == 1, "what its worker had taken");
    ok(sync_former_next(&p, buf + len, &room) == SYNC_OK && !room.known,
       "where it read for itself nobody knows");
    ok(zone_right(&z), "all is there");

    zone_destroy();
}


/* An id that comes and goes twice. */

static void
test_again(void)
{
    size_t                 len;
    u_char                 buf[64], id[SYNC_ID_LEN];
    sync_str_t             user;
    sync_record_t         *rec;
    sync_record_info_t     info;
    sync_former_filter_t   filter;

    begin(2 * 1024 * 1024);
    memset(&filter, 0, sizeof(filter));

    rec = client(&z, "one");
    memcpy(id, rec->id, SYNC_ID_LEN);
    sync_registry_remove(&z, rec);

    sync_str_set(&user, "two");
    rec = sync_registry_add(&z, SYNC_TRANSPORT_SSE, id, &user, 1);
    rec->flags |= SYNC_RECORD_MET;

    filter.gone = 1;
    is_int(find(&filter), 0, "who is back did not leave");

    sync_registry_remove(&z, rec);

    is_int(find(&filter), 1, "who left twice is one");
    is_int(sync_former_info(&z, id, &info, buf, sizeof(buf), &len), SYNC_OK,
           "found");
    ok(memcmp(info.user, "two", 3) == 0, "as it was last");
    is_int(count(), 2, "both are kept");

    z.remember = 0;
    sync_former_expire(&z);
    is_int(count(), 0, "both go");
    ok(zone_right(&z), "all is there");

    zone_destroy();
}


static void
test_filters(void)
{
    ngx_uint_t             i;
    sync_record_t         *rec;
    sync_former_filter_t   filter;

    begin(2 * 1024 * 1024);
    memset(&filter, 0, sizeof(filter));

    for (i = 0; i < 200; i++) {
        rec = client(&z, i % 2 ? "odd" : "even");

        if (i % 5 == 0) {
            (void) join(&z, rec, "five", 0);
        }

        if (i % 4 < 2) {
            sync_registry_remove(&z, rec);
        }
    }

    is_int(find(&filter), 0, "nobody asked for");
    filter.here = 1;
    is_int(find(&filter), 100, "who is here");
    filter.gone = 1;
    is_int(find(&filter), 200, "all");
    filter.by_user = 1;
    sync_str_set(&filter.user, "odd");
    is_int(find(&filter), 100, "of a user");
    filter.here = 0;
    is_int(find(&filter), 50, "of those who left");
    filter.by_user = 0;
    filter.by_room = 1;
    sync_str_set(&filter.room, "five");
    is_int(find(&filter), 20, "who were in a room");
    filter.here = 1;
    is_int(find(&filter), 40, "who are, or were");
    sync_str_set(&filter.room, "six");
    is_int(find(&filter), 0, "no such room");

    zone_destroy();
}


/* At random, and what is left must be the last that left. */

static void
test_model(void)
{
    size_t               len, bytes;
    u_char               buf[4];
    ngx_uint_t           i, n, good;
    sync_record_t       *rec;
    uint64_t             sum[SYNC_COUNT_MAX];
    sync_record_info_t   info;
    char                 user[256];

    begin(SYNC_ZONE_MIN);
    memset(user, 'u', sizeof(user));
    good = 1;

    for (i = 0; i < FORMER_CLIENTS; i++) {
        n = zone_random(255);
        user[n] = '\0';
        rec = client(&z, user);
        user[n] = 'u';

        memcpy(ids[i], rec->id, SYNC_ID_LEN);
        sync_registry_remove(&z, rec);

        sync_former_count(&z, &n, &bytes);
        good &= (bytes <= z.sh->heap.ngranules * SYNC_HEAP_GRANULE
                          / SYNC_FORMER_SHARE);

        if (i % 100 == 0) {
            good &= zone_right(&z);
        }
    }

    ok(good, "bounded, and right at any time");
    ok(n > 100 && n < FORMER_CLIENTS, "not all are kept");

    for (i = 0; i < FORMER_CLIENTS; i++) {
        if ((sync_former_info(&z, ids[i], &info, buf, 4, &len) == SYNC_OK)
            != (i >= FORMER_CLIENTS - n))
        {
            break;
        }
    }

    is_int(i, FORMER_CLIENTS, "the last ones are");

    sync_zone_counters(&z, sum);
    is_int(sum[SYNC_COUNT_FORGOTTEN], FORMER_CLIENTS - n, "and counted");

    zone_destroy();
}


static void
test_told(void)
{
    size_t          len;
    u_char         *buf;
    uint64_t        number;
    ngx_uint_t      i, n, all;
    sync_former_t  *f;

    begin(2 * 1024 * 1024);

    buf = malloc(SYNC_FORMER_MAX);
    if (buf == NULL) {
        zone_bail("no memory");
    }

    for (i = 0; i < 100; i++) {
        sync_registry_remove(&z, client(&z, "user"));
    }

    n = sync_former_untold(&z, buf, SYNC_FORMER_MAX, &len, &number);
    ok(n > 10 && n < 100, "as many as fit");

    f = (sync_former_t *) buf;

    for (i = 0; i < n; i++) {
        if (f->number != i + 1 || f->user_len != 4) {
            break;
        }

        f = sync_former_following(f);
    }

    ok(i == n && (u_char *) f == buf + len, "one behind the other");

    all = sync_former_untold(&z, buf, SYNC_FORMER_MAX, &len, &number);
    is_int(all, n, "again, as nobody was told");

    for (all = 0; all < 100; all += n) {
        sync_former_told(&z, number);
        n = sync_former_untold(&z, buf, SYNC_FORMER_MAX, &len, &number);

        if (n == 0) {
            break;
        }
    }

    is_int(z.sh->former_told->number, 100, "all were told of");
    is_int(n, 0, "and none is left");

    sync_registry_remove(&z, client(&z, "user"));
    is_int(sync_former_untold(&z, buf, SYNC_FORMER_MAX, &len, &number), 1,
           "one more");

    z.remember = 0;
    sync_former_expire(&z);
    is_int(sync_former_untold(&z, buf, SYNC_FORMER_MAX, &len, &number), 0,
           "forgotten");
    ok(z.sh->former_told == NULL, "and nothing points to them");

    z.remember = 100;
    sync_registry_remove(&z, client(&z, "user"));
    is_int(sync_former_untold(&z, buf, SYNC_FORMER_MAX, &len, &number), 1,
           "and one more");
    is_int(number, 102, "numbers rise");
    sync_former_told(&z, 101);
    is_int(sync_former_untold(&z, buf, SYNC_FORMER_MAX, &len, &number), 1,
           "it is not the one before");

    free(buf);
    zone_destroy();
}


static void
press(void)
{
    void  *p;

    sync_zone_lock(&z);

    do {
        p = sync_zone_alloc_locked(&z, 64);
    } while (p && !sync_room_pressed_locked(&z));

    sync_zone_unlock(&z);
}


/* In a zone that is nearly full there are less and less of them. */

static void
test_full(void)
{
    ngx_uint_t      i, n;
    sync_record_t  *rec;

    begin(SYNC_ZONE_MIN);

    for (i = 0; i < 20; i++) {
        sync_registry_remove(&z, client(&z, "user"));
    }

    rec = client(&z, "late");

    press();
    sync_registry_remove(&z, rec);
    is_int(count(), 19, "two for one");

    press();
    sync_former_expire(&z);
    ok(count() < 19, "then less");

    for (n = 0; count() && n < 20; n++) {
        press();
        sync_former_expire(&z);
    }

    is_int(count(), 0, "and none");

    rec = client(&z, "later");
    press();
    sync_registry_remove(&z, rec);
    is_int(count(), 0, "nor a new one");

    n = 0;

    ngx_stub_slab_fail(1);
    rec = zone_client(&z, "u");
    n += (rec == NULL);
    ngx_stub_slab_fail(0);

    is_int(n, 1, "a client that there is no memory for");

    zone_destroy();
}


static void
test_off(void)
{
    begin(SYNC_ZONE_MIN);
    z.remember = 0;
    sync_registry_remove(&z, client(&z, "user"));
    is_int(count(), 0, "nobody is remembered");

    z.remember = 10;
    sync_registry_remove(&z, zone_client(&z, "user"));
    is_int(count(), 0, "nor who was no client");

    ngx_stub_slab_fail(2);
    sync_registry_remove(&z, client(&z, ""));
    ngx_stub_slab_fail(0);
    is_int(count(), 0, "nor whom there is no memory for");
    ok(zone_right(&z), "all is there");

    zone_destroy();
}
