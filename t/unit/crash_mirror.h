
/*
 * Copyright (C) sync for nginx
 */


#ifndef _CRASH_MIRROR_H_INCLUDED_
#define _CRASH_MIRROR_H_INCLUDED_


/*
 * What crash_test.c does with rooms that follow a log elsewhere, and with what
 * a host has one of.
 */


/* an entry as of that log: the nonce is known by the LSN and the life */

static void
follow_entry(uint64_t lsn, uint32_t life, ngx_uint_t quiet)
{
    sync_message_t    m;
    sync_position_t   prev;
    sync_published_t  p;

    zone_message(&m, "[\"e\",\"of another log\"]");
    m.lsn = lsn;
    m.nonce = (uint32_t) lsn + life;

    prev.lsn = lsn - 1;
    prev.nonce = (uint32_t) lsn - 1 + life;

    (void) sync_room_mirror(&worker, zone_name("mir:1"), &prev, &m,
        quiet ? SYNC_MIRROR_QUIET : SYNC_MIRROR_TELL, &p);
}


static void
follow_rebase(uint64_t lsn, uint32_t life)
{
    sync_position_t  at;

    at.lsn = lsn;
    at.nonce = (uint32_t) lsn + life;

    (void) sync_room_rebase(&worker, zone_name("mir:1"), zone_rule(4), &at);
}


/* a room that nobody is in, with all there is in the log */

static void
follow_load(void)
{
    sync_wake_set_t  wake;

    follow_rebase(0, 100);
    follow_entry(1, 100, 1);
    follow_entry(2, 100, 1);

    sync_room_link(&worker, zone_name("mir:1"), 1, &wake);
}


static void
prepare_follow(void)
{
    prepare_record();
    follow_load();
    join("mir:1", 4, mine);
}


/* as many as push the first ones out */

static void
follow_on(void)
{
    uint64_t  lsn;

    for (lsn = 3; lsn < 8; lsn++) {
        follow_entry(lsn, 100, 0);
    }
}


/* it is another log than it was */

static void
follow_anew(void)
{
    sync_wake_set_t  wake;

    follow_rebase(5, 200);
    follow_entry(6, 200, 1);

    sync_room_link(&worker, zone_name("mir:1"), 2, &wake);
}


/* where it begins was not known before the first entry */

static void
prepare_unknown(void)
{
    sync_position_t  at;

    prepare_record();

    ngx_memzero(&at, sizeof(sync_position_t));
    (void) sync_room_rebase(&worker, zone_name("mir:1"), zone_rule(4), &at);

    join("mir:1", 4, mine);
}


static void
follow_begin(void)
{
    follow_entry(1, 100, 0);
    follow_entry(2, 100, 0);
}


/* one joined after the log began anew, and before all was there */

static void
prepare_loading(void)
{
    prepare_record();
    follow_rebase(0, 100);
    follow_entry(1, 100, 1);
    join("mir:1", 4, mine);
}


static void
follow_pass(void)
{
    follow_entry(2, 100, 1);
    follow_entry(3, 100, 1);
}


static void
follow_end(void)
{
    sync_room_unlink(&worker, zone_name("mir:1"), 1);
}


static void
hold_one(void)
{
    ngx_uint_t  i;

    for (i = 0; i < 4; i++) {
        (void) sync_holder_claim(&worker, i);
        (void) sync_holder_confirm(&worker, i);
    }

    sync_holder_release(&worker, 2);
}


#endif /* _CRASH_MIRROR_H_INCLUDED_ */
