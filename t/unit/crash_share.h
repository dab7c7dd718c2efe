
/*
 * Copyright (C) sync for nginx
 */


#ifndef _CRASH_SHARE_H_INCLUDED_
#define _CRASH_SHARE_H_INCLUDED_


#include <sync_share.h>


/*
 * Calls that the worker and the survivor share, for crash_test.c: of whom,
 * and whose they are to make.
 */


static sync_share_t  *own, *others;
static uint64_t       call;


/* Comes with n; what waits is *s, what is to be called for is "call". */

static void
share(sync_zone_t *w, uint32_t n, sync_share_t **s)
{
    u_char              *p;
    uint32_t             i;
    sync_wake_set_t      wake;
    sync_share_offer_t   o;

    static u_char        texts[SYNC_SHARE_MAX * sync_share_text_size(8)];

    p = texts;

    for (i = 0; i < n; i++) {
        p = sync_share_write_length(p, 8);
    }

    ngx_memzero(&o, sizeof(sync_share_offer_t));

    o.key.room = member->room;
    o.key.lsn = member->room->log.top;
    o.n = n;
    o.texts = texts;
    o.len = p - texts;

    wake.n = 0;
    sync_share_offer(w, &o, 1, &wake);

    *s = o.share;
    call = o.call;
}


static void
say(sync_zone_t *w, sync_share_t *s, sync_share_state_e state)
{
    sync_wake_set_t  wake;

    wake.n = 0;
    (void) sync_share_put(w, s->number, (u_char *) "12345678", 8, state,
                          &wake);
}


static void
make_call(sync_zone_t *w, sync_share_t *s)
{
    u_char               buf[SYNC_SHARE_MAX * sync_share_text_size(8)];
    sync_share_texts_t   t;

    t.buf = buf;
    t.size = sizeof(buf);

    (void) sync_share_collect(w, call, s, &t);
}


/* What workers that are killed at any time do with one another's shares. */

static void
share_some(sync_member_t *m)
{
    u_char               buf[SYNC_SHARE_MAX * sync_share_text_size(8)];
    uint32_t             i;
    sync_wake_set_t      wake;
    sync_share_texts_t   t;

    wake.n = 0;
    member = m;

    share(&worker, (uint32_t) zone_random(SYNC_SHARE_MAX), &own);

    if (call) {
        t.buf = buf;
        t.size = sizeof(buf);

        (void) sync_share_collect(&worker, call, NULL, &t);

        for (i = 0; i < t.n; i++) {
            (void) sync_share_put(&worker, t.numbers[i], buf, 40,
                                  SYNC_SHARE_CALLED, &wake);
            (void) sync_share_put(&worker, t.numbers[i], NULL, 0,
                                  SYNC_SHARE_DONE, &wake);
        }
    }

    if (own) {
        if (zone_random(2)) {
            (void) sync_share_close(&worker, own);
        }

        share_take();
    }
}


static void
share_begin(void)
{
    share(&worker, 10, &own);
}


/* the survivor waits */

static void
prepare_share(void)
{
    prepare_two();
    share(&z, 20, &others);
}


static void
share_call(void)
{
    sync_share_t  *s;

    s = others;

    share(&worker, 50, &own);
    make_call(&worker, NULL);

    say(&worker, s, SYNC_SHARE_CALLED);
    say(&worker, s, SYNC_SHARE_DONE);
}


/* with nothing of its own: the survivor is to make the call */

static void
share_appoint(void)
{
    share(&worker, 0, &own);
}


static void
prepare_shared(void)
{
    prepare_two();
    share(&worker, 20, &own);
}


static void
share_close(void)
{
    if (sync_share_close(&worker, own) == SYNC_OK) {
        call = own->call;
        make_call(&worker, own);
    }
}


/* the worker was to make the call for the survivor; a third one did not come */

static void
prepare_appointed(void)
{
    sync_joined_t  j;

    static sync_zone_t  third;

    prepare_two();
    zone_worker(&third, &z, 4);

    (void) sync_room_join(&third, zone_name("chat:1"), zone_rule(0),
                          zone_client(&third, "third"), 4, &j);

    share(&worker, 20, &own);
    share(&z, 20, &others);

    (void) sync_share_close(&worker, own);
}


static void
share_leave(void)
{
    sync_wake_set_t  wake;

    wake.n = 0;
    sync_share_leave(&worker, own, &wake);
}


/* the survivor has answered */

static void
prepare_answered(void)
{
    sync_share_t  *s;

    prepare_shared();

    s = own;
    share(&z, 44, &others);
    make_call(&z, NULL);

    own = s;
    say(&z, own, SYNC_SHARE_CALLED);
    say(&z, own, SYNC_SHARE_DONE);
}


static void
share_take(void)
{
    u_char               buf[512];
    size_t               len;
    sync_share_state_e   state;

    (void) sync_share_take(&worker, own, buf, sizeof(buf), &len, &state);

    share_leave();
}


#endif /* _CRASH_SHARE_H_INCLUDED_ */
