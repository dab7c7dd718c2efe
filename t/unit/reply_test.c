
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"
#include <sync_room.h>


/*
 * An answer to a client and the message that it stands for: they come in one
 * step, and are read in that order, whatever the reader is busy with.
 */


static void test_publish(void);
static void test_held(void);
static void test_read(void);
static void test_announce(void);
static void test_full(void);

static void begin(size_t size);
static void end(void);
static ngx_int_t publish(const char *room);
static ngx_int_t announce(const char *text, ngx_uint_t with);
static void answers(sync_message_t *m);
static ngx_int_t take(void);
static sync_entry_t *entry(ngx_uint_t n);


static sync_zone_t       z, workers[2];
static sync_record_t    *rec;
static sync_joined_t     joined;
static sync_take_t       t;
static sync_message_t    replies[2];
static sync_published_t  p;
static uint64_t          buf[8192];


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);

    test_publish();
    test_held();
    test_read();
    test_announce();
    test_full();

    return unit_done();
}


static void
test_publish(void)
{
    begin(1024 * 1024);

    is_int(publish("r"), SYNC_OK, "published");
    ok(p.replied, "with answers");
    is_int(p.lsn, 1, "the LSN is the room's");

    is_int(take(), SYNC_OK, "taken");
    is_int(t.cookie, 1, "the host's room first");
    ok(entry(0)->kind == SYNC_ENTRY_REPLY && entry(1)->kind == SYNC_ENTRY_REPLY
       && entry(1)->lsn == entry(0)->lsn + 1, "both answers");
    ok(ngx_memcmp(sync_entry_subject(entry(0)), rec->id, SYNC_ID_LEN) == 0,
       "for the client");
    is_int(take(), SYNC_OK, "taken");
    is_int(t.cookie, 7, "then the room");
    is_int(take(), SYNC_DECLINED, "no more");

    is_int(publish("nobody"), SYNC_DECLINED, "nobody hears it");
    ok(!p.replied, "and nobody is answered");
    is_int(take(), SYNC_DECLINED, "by anything");

    end();
}


static void
test_held(void)
{
    uint64_t  lsn;

    begin(1024 * 1024);

    (void) announce("[\"all\",1]", 0);
    is_int(take(), SYNC_OK, "taken");
    sync_room_hold(&workers[1], workers[1].self->host, 1);

    (void) publish("r");
    (void) announce("[\"all\",2]", 0);

    is_int(take(), SYNC_OK, "held: shown");
    ok(t.peeked && t.cookie == 1 && entry(0)->kind == SYNC_ENTRY_REPLY
       && entry(2)->kind == SYNC_ENTRY_ALL, "held: all there is");
    lsn = t.last;
    t.ahead = lsn;
    is_int(take(), SYNC_OK, "held: taken");
    ok(!t.peeked && t.cookie == 7, "held: the room");
    is_int(take(), SYNC_DECLINED, "held: no more");

    (void) publish("r");
    t.size = 8;
    is_int(take(), SYNC_AGAIN, "held: no place");
    t.size = sizeof(buf);
    is_int(take(), SYNC_OK, "held: what is new");
    ok(t.peeked && entry(0)->lsn == lsn + 1, "held: and nothing else");
    t.ahead = t.last;
    is_int(take(), SYNC_OK, "held: then the room");

    sync_room_hold(&workers[1], workers[1].self->host, 0);
    is_int(take(), SYNC_OK, "let go: taken");
    ok(!t.peeked && t.cookie == 1 && entry(0)->lsn == lsn - 2,
       "let go: what was shown is there");

    end();
}


/* Who reads for itself does not read past what it is answered. */

static void
test_read(void)
{
    ngx_uint_t   i;
    ngx_int_t    rc;
    sync_read_t  r;

    begin(1024 * 1024);

    ngx_memzero(&r, sizeof(sync_read_t));
    r.buf = (u_char *) buf;
    r.size = sizeof(buf);

    (void) publish("r");

    is_int(sync_room_read(&workers[1], joined.member, &r), SYNC_OK,
           "who asked nobody else reads");
    ok(r.done && r.len, "all");

    rec->flags |= SYNC_RECORD_ASKED;
    r.cursor = 0;

    is_int(sync_room_read(&workers[1], joined.member, &r), SYNC_BUSY,
           "who did does not");

    r.ahead = replies[1].lsn;
    is_int(sync_room_read(&workers[1], joined.member, &r), SYNC_OK,
           "but when that was seen");

    r.ahead = 0;
    r.cursor = 0;

    for (i = 0; i < 2; i++) {
        (void) take();
    }

    rc = sync_room_read(&workers[1], joined.member, &r);
    is_int(rc, SYNC_OK, "or taken");

    end();
}


static void
test_announce(void)
{
    begin(1024 * 1024);

    is_int(announce("[\"all\",1]", 1), SYNC_OK, "announced");
    ok(p.replied && p.receivers == 0, "with answers");

    is_int(take(), SYNC_OK, "taken");
    ok(entry(0)->kind == SYNC_ENTRY_REPLY && entry(1)->kind == SYNC_ENTRY_REPLY
       && entry(2)->kind == SYNC_ENTRY_ALL && p.lsn == entry(2)->lsn,
       "the answers first");

    end();
}


/* What cannot be said is not answered for. */

static void
test_full(void)
{
    char        *text;
    ngx_uint_t   i, answered;

    begin(SYNC_ZONE_MIN);

    text = malloc(2 * SYNC_ZONE_MIN);
    if (text == NULL) {
        zone_bail("no memory");
    }

    ngx_memset(text, 'x', 2 * SYNC_ZONE_MIN - 1);
    text[2 * SYNC_ZONE_MIN - 1] = '\0';

    is_int(announce(text, 1), SYNC_BUSY, "too large for the zone");

    free(text);

    answered = 0;

    if (take() == SYNC_OK) {
        for (i = 0; i < 2 && t.len; i++) {
            answered += (ngx_memcmp(sync_entry_subject(entry(i)), rec->id,
                                    SYNC_ID_LEN) == 0);
        }
    }

    is_int(answered, 0, "nobody is answered");

    end();
}


/* The second worker has a client in a room. */

static void
begin(size_t size)
{
    zone_create(&z, size);

    zone_worker(&workers[0], &z, 0);
    zone_worker(&workers[1], &z, 1);

    rec = zone_client(&workers[1], "u");

    (void) sync_room_join(&workers[1], zone_name("r"), zone_rule(0), rec, 7,
                          &joined);

    ngx_memzero(&t, sizeof(sync_take_t));
    t.size = sizeof(buf);
}


static void
end(void)
{
    ok(zone_right(&z), "the zone is right");
    zone_destroy();
}


static ngx_int_t
publish(const char *room)
{
    sync_message_t  m;

    zone_message(&m, "[\"e\",1]");
    answers(&m);

    return sync_room_publish(&workers[0], zone_name(room), NULL, NULL, &m,
                             &p);
}


static ngx_int_t
announce(const char *text, ngx_uint_t with)
{
    sync_message_t  m;

    zone_message(&m, text);
    m.kind = SYNC_ENTRY_ALL;

    if (with) {
        answers(&m);
    }

    return sync_room_announce(&workers[0], &m, &p);
}


static void
answers(sync_message_t *m)
{
    ngx_uint_t  i;

    for (i = 0; i < 2; i++) {
        zone_message(&replies[i], "[\"sync-1\",{}]");
        replies[i].kind = SYNC_ENTRY_REPLY;
        replies[i].subject.data = rec->id;
        replies[i].subject.len = SYNC_ID_LEN;
    }

    replies[0].reply = &replies[1];
    m->reply = replies;
}


static ngx_int_t
take(void)
{
    t.buf = (u_char *) buf;

    return sync_room_take(&workers[1], &t);
}


static sync_entry_t *
entry(ngx_uint_t n)
{
    sync_entry_t  *e;

    e = (sync_entry_t *) buf;

    while (n--) {
        e = sync_entry_next(e);
    }

    return e;
}
