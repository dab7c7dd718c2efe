
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"


/*
 * Rooms that follow a log elsewhere, against a model of that log: what comes
 * is lost, comes twice, late, or is of another life of it.
 */

#define MIRROR_STEPS  20000
#define MIRROR_MAX    40000             /* entries of a life */


typedef struct {
    uint64_t    lsn;
    uint32_t    nonce;
} place_t;


static void test_rules(void);
static void test_follow(void);
static ngx_int_t give(place_t *prev, place_t *at, ngx_uint_t quiet);
static ngx_int_t rebase(place_t *at);
static int at_top(place_t *at);


static sync_zone_t   z;
static place_t       stream[MIRROR_MAX];
static ngx_uint_t    n;


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);

    test_rules();
    test_follow();

    return unit_done();
}


static ngx_int_t
give(place_t *prev, place_t *at, ngx_uint_t quiet)
{
    sync_message_t    m;
    sync_position_t   pos;
    sync_published_t  p;

    zone_message(&m, "[\"e\",1]");
    m.lsn = at->lsn;
    m.nonce = at->nonce;

    pos.lsn = prev->lsn;
    pos.nonce = prev->nonce;

    return sync_room_mirror(&z, zone_name("r"), &pos, &m,
        quiet ? SYNC_MIRROR_QUIET : SYNC_MIRROR_TELL, &p);
}


static ngx_int_t
rebase(place_t *at)
{
    sync_position_t  pos;

    pos.lsn = at->lsn;
    pos.nonce = at->nonce;

    return sync_room_rebase(&z, zone_name("r"), zone_rule(20), &pos);
}


static int
at_top(place_t *at)
{
    sync_position_t  top;

    return sync_room_top(&z, zone_name("r"), &top) == SYNC_OK
           && top.lsn == at->lsn && top.nonce == at->nonce;
}


static void
test_rules(void)
{
    place_t            zero, birth, other, one, two, three, four;
    sync_joined_t      j;
    sync_record_t     *rec;
    sync_position_t    top;
    sync_wake_set_t    wake;

    zone_create(&z, SYNC_ZONE_MIN);

    if (sync_worker_claim(&z, 1) != SYNC_OK) {
        zone_bail("no slot");
    }

    zero.lsn = zero.nonce = 0;
    birth.lsn = 0, birth.nonce = 0xb1;
    other.lsn = 0, other.nonce = 0xb2;
    one.lsn = 1, one.nonce = 0x11;
    two.lsn = 7, two.nonce = 0x22;
    three.lsn = 8, three.nonce = 0x33;
    four.lsn = 9, four.nonce = 0x44;

    ok(sync_room_top(&z, zone_name("r"), &top) == SYNC_DECLINED, "no room");
    ok(give(&birth, &one, 0) == SYNC_AGAIN, "it is to be loaded first");

    ok(rebase(&birth) == SYNC_OK && at_top(&birth), "begun");
    ok(sync_room_linked(&z, zone_name("r")) == SYNC_ROOM_LOADING,
       "it is not linked");
    ok(give(&other, &one, 0) == SYNC_ERROR, "what began elsewhere");
    ok(give(&birth, &one, 0) == SYNC_OK && at_top(&one), "the first");
    ok(give(&birth, &one, 0) == SYNC_DECLINED, "twice");
    ok(give(&two, &three, 0) == SYNC_AGAIN, "one is missing");
    ok(give(&one, &two, 0) == SYNC_OK && at_top(&two), "LSNs may have gaps");

    one.nonce++;
    ok(give(&birth, &one, 0) == SYNC_ERROR, "another one that is there");
    one.nonce--;

    two.nonce++;
    ok(give(&two, &three, 0) == SYNC_ERROR, "one behind another one");
    two.nonce--;

    three.lsn = 7;
    ok(give(&one, &three, 0) == SYNC_ERROR, "another one at the top");
    three.lsn = 8;

    sync_room_link(&z, zone_name("r"), 3, &wake);
    ok(sync_room_linked(&z, zone_name("r")) == 3, "linked");

    ok(rebase(&three) == SYNC_OK && at_top(&three), "begun anew");
    ok(sync_room_linked(&z, zone_name("r")) == SYNC_ROOM_LOADING,
       "it is not linked");
    ok(give(&three, &four, 1) == SYNC_OK && at_top(&four), "and goes on");
    ok(zone_right(&z), "the zone is right");

    /* where a room begins is not known at first */

    rec = zone_client(&z, "u");
    ok(rebase(&zero) == SYNC_OK
       && sync_room_join(&z, zone_name("r"), zone_rule(20), rec, 1, &j)
          == SYNC_OK, "somebody joins");
    ok(give(&birth, &one, 0) == SYNC_OK && at_top(&one), "then it is");
    ok(give(&other, &two, 0) == SYNC_ERROR, "and stays so");
    ok(zone_right(&z), "the zone is right");

    zone_destroy();
}


/*
 * The mirror's top is always a place of the stream as it is, or of the life
 * before; what it takes is in order and complete; and after a reload of all
 * it has the stream's top.
 */

static void
test_follow(void)
{
    ngx_int_t    rc, want;
    place_t      next, birth, *prev, top;
    ngx_uint_t   i, at, step, bad, taken, lives;

    zone_create(&z, SYNC_ZONE_MIN);

    if (sync_worker_claim(&z, 1) != SYNC_OK) {
        zone_bail("no slot");
    }

    bad = 0;
    taken = 0;
    lives = 1;
    n = 0;
    at = 0;                             /* entries that the mirror has */

    birth.lsn = 0;
    birth.nonce = 1 + zone_random(0x7ffffffe);

    (void) rebase(&birth);

    for (step = 0; step < MIRROR_STEPS; step++) {

        if (zone_random(500) == 0) {

            /* another life: the mirror hears of it by what comes */

            lives++;
            n = 0;
            birth.nonce = 1 + zone_random(0x7ffffffe);

            next.lsn = 1;
            next.nonce = 1 + zone_random(0x7ffffffe);
            stream[n++] = next;

            /* it is behind what the mirror has, or does not follow it */

            bad += (give(&birth, &next, 0) == SYNC_OK);

            (void) rebase(&birth);
            at = 0;
            continue;
        }

        if (n < MIRROR_MAX && zone_random(2)) {
            prev = n ? &stream[n - 1] : &birth;
            next.lsn = prev->lsn + 1 + zone_random(3);
            next.nonce = 1 + zone_random(0x7ffffffe);
            stream[n++] = next;
        }

        if (n == 0) {
            continue;
        }

        /* one that was said, mostly the one that is next */

        i = (zone_random(4) && at < n) ? at : zone_random(n);
        prev = i ? &stream[i - 1] : &birth;

        rc = give(prev, &stream[i], zone_random(2));
        want = (i == at) ? SYNC_OK : (i < at) ? SYNC_DECLINED : SYNC_AGAIN;

        if (rc != want) {
            bad++;
        }

        if (rc == SYNC_OK) {
            taken++;
            at++;
        }

        top = at ? stream[at - 1] : birth;
        bad += !at_top(&top);
    }

    ok(bad == 0, "it takes what is next, and that alone");
    ok(taken > 1000 && lives > 5, "there was much of it");
    ok(zone_right(&z), "the zone is right");

    zone_destroy();
}
