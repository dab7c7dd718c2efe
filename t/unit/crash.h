
/*
 * Copyright (C) sync for nginx
 */


#ifndef _CRASH_H_INCLUDED_
#define _CRASH_H_INCLUDED_


/*
 * Operations on the zone in which crash_test.c has workers die, and what is
 * prepared for each of them.
 */


static void
join(const char *name, ngx_uint_t history, sync_record_t *rec)
{
    sync_joined_t  j;

    if (sync_room_join(&worker, zone_name(name), zone_rule(history), rec, 5,
                       &j)
        == SYNC_OK)
    {
        member = j.member;
    }
}


static void
prepare_none(void)
{
    zone_worker(&worker, &z, 3);
}


static void
prepare_record(void)
{
    prepare_none();
    mine = zone_client(&worker, "mine");
}


static void
prepare_join(void)
{
    prepare_record();
    join("chat:3", 0, mine);
}


static void
prepare_member(void)
{
    prepare_record();
    join("chat:2", 0, mine);
}


static void
prepare_two(void)
{
    prepare_record();
    join("chat:1", 0, mine);
    publish();
}


/* another zone is there */

static void
prepare_bridge(void)
{
    static sync_relay_hub_t  hub;

    prepare_two();

    hub.places[0].zone = worker.sh->id;
    hub.places[1].zone = 1;
    worker.hub = &hub;
    worker.place = 0;
}


static void
prepare_relay(void)
{
    prepare_bridge();
    publish();
    announce();
    publish();
}


static void
prepare_history(void)
{
    prepare_record();
    join("chat:1", 4, mine);
    publish();
    publish();
    publish();
    join("chat:4", 3, mine);
}


static void
prepare_pattern(void)
{
    prepare_record();
    join("chat:1", 0, mine);
    join("ch*", 0, mine);
    join("c*", 0, mine);
    join("*", 0, mine);
}


static void
prepare_rooms(void)
{
    prepare_pattern();
    join("his:1", 3, mine);
    join("chat:5", 3, mine);
    join("chat:6", 0, mine);
    publish();
}


static void
prepare_news(void)
{
    prepare_pattern();
    publish();
    publish();
}


static void
prepare_dead(void)
{
    sync_zone_t  w;

    prepare_rooms();
    prepare_answers();

    mine->flags |= SYNC_RECORD_MET;

    w = worker;
    prepare_two();
    sync_worker_bury_locked(&w, w.self);
}


static void
claim(void)
{
    zone_worker(&worker, &z, 3);
}


static void
release(void)
{
    sync_worker_release(&worker);
}


static void
add_record(void)
{
    mine = zone_client(&worker, "mine");
}


static void
join_first(void)
{
    join("chat:7*", 0, mine);
}


static void
join_second(void)
{
    join("chat:1", 0, mine);
}


static void
join_idle(void)
{
    join("old:2", 3, mine);
}


static void
leave(void)
{
    sync_room_leave(&worker, member);
}


static void
publish(void)
{
    sync_message_t    m;
    sync_published_t  p;

    zone_message(&m, "[\"event\",{\"x\":1}]");
    (void) sync_room_publish(&worker, zone_name("chat:1"), NULL,
                             zone_rule(0), &m, &p);
}


/* three in one bucket: the one in the middle */

static void
put_absent(u_char last)
{
    u_char  id[SYNC_ID_LEN];

    ngx_memzero(id, SYNC_ID_LEN);
    id[SYNC_ID_LEN - 1] = last;

    (void) sync_absent_put(&worker, id, ngx_current_msec + 1000, 10,
                           (u_char *) "state", 5);
}


static void
prepare_absent(void)
{
    prepare_none();

    put_absent(1);
    put_absent(2);
    put_absent(3);
}


static void
keep_absent(void)
{
    put_absent(2);
}


static void
take_absent(void)
{
    u_char    id[SYNC_ID_LEN], buf[8];
    uint64_t  deadline;

    ngx_memzero(id, SYNC_ID_LEN);
    id[SYNC_ID_LEN - 1] = 2;

    (void) sync_absent_take(&worker, id, buf, sizeof(buf), &deadline);
}


static void
sweep_absent(void)
{
    ngx_current_msec += 1000;

    sync_absent_expire(&worker);
}


static void
hit(void)
{
    ngx_msec_t         left;
    sync_rate_limit_t  limit;

    limit.n = 2;
    limit.window = 1000;

    (void) sync_rate_hit(&worker, 1, &limit, 5000, &left);
    (void) sync_rate_hit(&worker, 1, &limit, 5001, &left);
    (void) sync_rate_hit(&worker, 1, &limit, 5002, &left);
}


/* All entries are one set, and in use. */

static void
prepare_hits(void)
{
    uint64_t           key;
    ngx_msec_t         left;
    sync_rate_limit_t  limit;

    zone_worker(&worker, &z, 3);

    worker.sh->rate_mask = 0;
    limit.n = 1;
    limit.window = 1000;

    for (key = 10; key < 10 + SYNC_RATE_SET; key++) {
        (void) sync_rate_hit(&worker, key, &limit, 4990, &left);
    }
}


static void
prepare_over(void)
{
    ngx_msec_t         left;
    sync_rate_limit_t  limit;

    zone_worker(&worker, &z, 3);

    limit.n = 1;
    limit.window = 100;

    (void) sync_rate_hit(&worker, 1, &limit, 100, &left);
    (void) sync_rate_hit(&worker, 1, &limit, 101, &left);
}


static void
tell(void)
{
    uint32_t    start;
    ngx_msec_t  left;

    start = 0;

    (void) sync_rate_tell(&worker, 1, 102, &left, &start);
    sync_rate_told(&worker, 1, 103, start, 7, 900);
    hit();
    (void) sync_rate_tell(&worker, 1, 5100, &left, &start);
}


static void
publish_large(void)
{
    sync_message_t    m;
    sync_published_t  p;

    static char  text[1000];

    ngx_memset(text, 'x', 999);

    zone_message(&m, text);
    (void) sync_room_publish(&worker, zone_name("chat:1"), NULL,
                             zone_rule(0), &m, &p);
}


static void
publish_new(void)
{
    sync_message_t    m;
    sync_published_t  p;

    zone_message(&m, "[\"event\",{\"x\":1}]");
    (void) sync_room_publish(&worker, zone_name("new:1"), NULL,
                             zone_rule(5), &m, &p);
}


static void
take(void)
{
    u_char       buf[4096];
    sync_take_t  t;

    do {
        t.buf = buf;
        t.size = sizeof(buf);

    } while (sync_room_take(&worker, &t) == SYNC_OK);
}


static void
publish_id(void)
{
    sync_message_t    m;
    sync_published_t  p;

    zone_message(&m, "[\"e\",1]");
    m.id = 1001;
    (void) sync_room_publish(&worker, zone_name("his:1"), NULL, zone_rule(3),
                             &m, &p);
}


/* the table is full, and is to be made anew */

static void
prepare_ids(void)
{
    ngx_uint_t        i;
    sync_message_t    m;
    sync_published_t  p;

    prepare_history();

    for (i = 0; i < 16; i++) {
        zone_message(&m, "[\"e\",1]");
        m.id = 1 + i;
        (void) sync_room_publish(&worker, zone_name("his:1"), NULL,
                                 zone_rule(3), &m, &p);
    }
}


static void
resume(void)
{
    u_char           buf[4096];
    ngx_uint_t       i;
    sync_read_t      r;
    sync_resumed_t   resumed;
    sync_position_t  pos;

    /* as often as it takes for some of the menders to die, too */

    for (i = 0; i < 6; i++) {
        pos.lsn = member->room->log.top;
        pos.nonce = member->room->log.nonce;

        sync_room_resume(&worker, member, &pos, &resumed);

        r.buf = buf;
        r.size = sizeof(buf);
        r.cursor = 0;
        r.epoch = resumed.epoch;

        (void) sync_room_read(&worker, member, &r);
    }
}


static void
remove_record(void)
{
    sync_registry_remove(&worker, mine);
}


static void
expire(void)
{
    sync_room_expire(&worker);
}


static void
pass_on(void)
{
    sync_relay_passed(&worker, worker.sh->relay->log.top - 1);
}


static void
announce(void)
{
    sync_message_t    m;
    sync_published_t  p;

    zone_message(&m, "{\"op\":\"x\"}");
    (void) sync_room_announce(&worker, &m, &p);
}


/* two answers to a client, and what they belong to */

static void
answers(sync_message_t *m, sync_message_t *replies)
{
    ngx_uint_t  i;

    static u_char  id[SYNC_ID_LEN];

    for (i = 0; i < 2; i++) {
        zone_message(&replies[i], "[\"sync-1\",{}]");
        replies[i].kind = SYNC_ENTRY_REPLY;
        replies[i].subject.data = id;
        replies[i].subject.len = SYNC_ID_LEN;
    }

    replies[0].reply = &replies[1];
    m->reply = replies;
}


static void
publish_reply(void)
{
    sync_message_t    m, replies[2];
    sync_published_t  p;

    zone_message(&m, "[\"e\",1]");
    answers(&m, replies);

    (void) sync_room_publish(&worker, zone_name("chat:1"), NULL, zone_rule(0),
                             &m, &p);
}


static void
announce_reply(void)
{
    sync_message_t    m, replies[2];
    sync_published_t  p;

    zone_message(&m, "[\"e\",1]");
    m.kind = SYNC_ENTRY_ALL;
    answers(&m, replies);

    (void) sync_room_announce(&worker, &m, &p);
}


static void
reap(void)
{
    (void) sync_worker_reap(&worker);
}


static void
hold(void)
{
    sync_room_hold(&worker, member->interest, 1);
    sync_room_hold(&worker, member->interest, 0);
}


static void
begin_ack(void)
{
    ngx_uint_t  full;

    static u_char  random[SYNC_ACK_RANDOM] = { 1, 2, 3, 4, 5 };

    ack = sync_ack_begin(&worker, random, 4096, &full);
}


static void
prepare_ack(void)
{
    prepare_none();
    begin_ack();
}


static void
put_answer(void)
{
    sync_wake_set_t  wake;

    static u_char  id[SYNC_ID_LEN];

    wake.n = 0;
    (void) sync_ack_put(&worker, ack->number, id, (u_char *) "[1,2]", 5,
                        &wake);
}


static void
prepare_answers(void)
{
    prepare_ack();
    put_answer();
    put_answer();
}


static void
take_answers(void)
{
    sync_answer_t  *answer;

    answer = NULL;

    do {
        answer = sync_ack_next(&worker, ack, answer);

    } while (answer);
}


static void
end_ack(void)
{
    sync_ack_end(&worker, ack);
}


static void
say_piece(size_t before, size_t len)
{
    u_char              extra[SYNC_TEXT_EXTRA];
    sync_message_t      m;
    sync_published_t    p;
    sync_text_piece_t   piece;

    static char         json[600];

    memset(json, 'x', sizeof(json) - 1);
    memcpy(json, "[\"e\",\"", 6);
    zone_message(&m, json);

    piece.host = worker.sh->id;
    piece.owner = sync_text_owner(&worker);
    piece.id = 7;
    piece.before = (uint32_t) before;
    piece.at = 6;
    piece.len = (uint32_t) len;
    piece.limit = 4096;

    sync_text_write(extra, &piece);

    m.json.len = 6 + len + 2;
    m.flags = SYNC_TEXT_PIECE;
    m.extra.data = extra;
    m.extra.len = SYNC_TEXT_EXTRA;

    (void) sync_room_publish(&worker, zone_name("chat:1"), NULL, zone_rule(0),
                             &m, &p);
}


static void
begin_text(void)
{
    say_piece(0, 100);
}


static void
prepare_text(void)
{
    prepare_two();
    begin_text();
}


static void
add_text(void)
{
    say_piece(100, 20);
}


static void
grow_text(void)
{
    say_piece(100, 500);
}


static void
end_text(void)
{
    sync_text_end(&worker, zone_name("chat:1"), 7);
}


static void
prepare_receipt(void)
{
    prepare_two();
    receipt = sync_receipt_begin(&worker, 0x123456789abcdef);
}


static void
say_counted(void)
{
    u_char             extra[SYNC_RECEIPT_EXTRA];
    sync_message_t     m;
    sync_published_t   p;

    zone_message(&m, "[\"e\",1]");

    sync_receipt_write(extra, worker.sh->id, receipt);

    m.flags = SYNC_RECEIPT;
    m.extra.data = extra;
    m.extra.len = SYNC_RECEIPT_EXTRA;

    (void) sync_room_publish(&worker, zone_name("chat:1"), NULL, zone_rule(0),
                             &m, &p);
}


/* One after another, as each is a few stores. */

static void
whole_receipt(void)
{
    ngx_uint_t       n;
    sync_wake_set_t  wake;

    receipt = sync_receipt_begin(&worker, 0x123456789abcdef);

    wake.n = 0;
    sync_receipt_put(&worker, receipt, 5, 0, &wake);

    (void) sync_receipt_end(&worker, receipt, 1, &n);
}


#endif /* _CRASH_H_INCLUDED_ */
