
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"


/*
 * Positions that are handed back, and ids of messages, against models that
 * remember everything.
 */

#define RESUME_STEPS    20000
#define RESUME_MAX      40000
#define RESUME_HISTORY  20
#define RESUME_IDS      500


typedef struct {
    uint64_t    lsn;
    uint32_t    nonce;
    ngx_uint_t  life;               /* of the log */
} given_t;


static void test_resume(void);
static void test_ids(void);
static void test_expired(void);
static ngx_uint_t change(sync_joined_t *j, ngx_uint_t life);
static ngx_uint_t resume(sync_joined_t *j, uint64_t lsn);

static sync_zone_t  z;
static given_t      given[RESUME_MAX];
static ngx_uint_t   ngiven;
static ngx_uint_t   good, replayed;
static u_char       buf[65536] __attribute__((aligned(SYNC_ENTRY_ALIGN)));


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);

    test_resume();
    test_ids();
    test_expired();

    return unit_done();
}


static void
give(uint64_t lsn, uint32_t nonce, ngx_uint_t life)
{
    given[ngiven].lsn = lsn;
    given[ngiven].nonce = nonce;
    given[ngiven].life = life;
    ngiven++;
}


/*
 * What was given in this life and is not below what was freed is good, and
 * nothing else is.
 */

static int
right(sync_log_t *log, given_t *g, ngx_uint_t life)
{
    sync_resume_e    reason;
    sync_position_t  pos;

    pos.lsn = g->lsn;
    pos.nonce = g->nonce;

    reason = sync_log_resume_locked(log, &pos);

    if (g->life != life) {
        return reason != SYNC_RESUME_OK;
    }

    if (g->lsn > log->top) {
        return reason == SYNC_RESUME_RESET;
    }

    return (reason == SYNC_RESUME_OK) == (g->lsn >= log->trimmed);
}


static void
test_resume(void)
{
    ngx_uint_t      i, life, wrong;
    sync_log_t     *log;
    sync_joined_t   j;
    sync_record_t  *rec;

    zone_create(&z, 1024 * 1024);
    (void) sync_worker_claim(&z, 0);
    rec = zone_client(&z, "user");

    wrong = 0;
    good = 0;
    replayed = 0;
    ngiven = 0;
    life = 0;
    log = NULL;

    for (i = 0; i < RESUME_STEPS && wrong == 0; i++) {

        if (log == NULL) {
            life++;
            (void) sync_room_join(&z, zone_name("doc"),
                                  zone_rule(RESUME_HISTORY), rec, 1, &j);
            log = &j.member->room->log;
            give(0, j.nonce, life);
        }

        if (zone_random(400) == 0) {

            /* another life: the room goes, and comes again */

            sync_room_leave(&z, j.member);
            ngx_current_msec += 61 * 1000;
            sync_worker_beat(&z);
            sync_room_expire(&z);
            log = NULL;
            continue;
        }

        wrong += change(&j, life);

        wrong += !right(log, &given[zone_random(ngiven)], life);
        wrong += !right(log, &given[ngiven - 1 - zone_random(
                                    ngx_min(ngiven, 40))], life);

        wrong += resume(&j, given[ngiven - 1 - zone_random(
                                  ngx_min(ngiven, 30))].lsn);
    }

    is_int(wrong, 0, "positions are good where nothing is missing");
    ok(good > 1000 && replayed > 1000, "many were");
    ok(life > 3, "in several lives of the room");

    zone_destroy();
}


/* Something happens to the log; returns how much of it is wrong. */

static ngx_uint_t
change(sync_joined_t *j, ngx_uint_t life)
{
    ngx_int_t          rc;
    sync_log_t        *log;
    sync_read_t        r;
    sync_message_t     m;
    sync_published_t   p;

    log = &j->member->room->log;

    switch (zone_random(20)) {

    case 0:
        sync_log_trim_locked(&z, log, log->oldest + zone_random(5));
        return 0;

    case 1:
        if (zone_random(10) == 0) {
            sync_log_reset_locked(&z, log);
        }

        return 0;

    default:
        break;
    }

    zone_message(&m, "[\"e\",1]");
    m.lsn = zone_random(4) ? 0 : log->top + 1 + zone_random(9);

    rc = sync_room_publish(&z, zone_name("doc"), NULL,
                           zone_rule(RESUME_HISTORY), &m, &p);

    give(p.lsn, p.nonce, life);

    /* all is read at once: the history is what is kept */

    r.buf = buf;
    r.size = sizeof(buf);
    r.cursor = p.lsn - 1;
    r.epoch = log->epoch;
    (void) sync_room_read(&z, j->member, &r);
    j->interest->cursor = log->top;
    j->interest->epoch = log->epoch;

    return rc != SYNC_OK || !p.history || ngiven == RESUME_MAX;
}


/*
 * A resume that is good reads all there is, in order.  From the latest
 * position with this LSN; returns how much of it is wrong.
 */

static ngx_uint_t
resume(sync_joined_t *j, uint64_t lsn)
{
    uint32_t          last;
    ngx_uint_t        i, wrong;
    sync_log_t       *log;
    sync_read_t       r;
    sync_entry_t     *e;
    sync_resumed_t    resumed;
    sync_position_t   pos;

    log = &j->member->room->log;

    for (i = ngiven - 1; given[i].lsn != lsn; i--) {
        /* void */
    }

    pos.lsn = lsn;
    pos.nonce = given[i].nonce;

    sync_room_resume(&z, j->member, &pos, &resumed);

    if (resumed.reason != SYNC_RESUME_OK) {
        return 0;
    }

    good++;
    r.buf = buf;
    r.size = sizeof(buf);
    r.cursor = lsn;
    r.epoch = resumed.epoch;

    wrong = (sync_room_read(&z, j->member, &r) != SYNC_OK || r.lost
             || !r.done || j->member->start != log->top);

    last = pos.nonce;

    for (e = (sync_entry_t *) buf; (u_char *) e < buf + r.len;
         e = sync_entry_next(e))
    {
        wrong += (e->prev != last);
        last = e->nonce;
        replayed++;
    }

    return wrong + (last != log->nonce);
}


static void
test_ids(void)
{
    uint64_t           model[RESUME_IDS];
    ngx_uint_t         i, n, id, wrong, known;
    uint64_t           when[RESUME_IDS];
    sync_message_t     m;
    sync_published_t   p;

    zone_create(&z, 4 * 1024 * 1024);
    (void) sync_worker_claim(&z, 0);

    ngx_memzero(model, sizeof(model));
    ngx_memzero(when, sizeof(when));
    wrong = 0;
    known = 0;
    n = 0;

    for (i = 0; i < RESUME_STEPS; i++) {
        id = zone_random(RESUME_IDS);

        zone_message(&m, "[\"e\",1]");
        m.id = 1000 + id * 64;

        wrong += sync_room_publish(&z, zone_name("doc"), NULL, zone_rule(100),
                                   &m, &p) != SYNC_OK;

        /* a ring of 128: an id that is as old is forgotten */

        if (when[id] && n - when[id] < 128) {
            wrong += (!p.repeated || p.lsn != model[id]);
            known++;
            continue;
        }

        n++;
        wrong += p.repeated;
        model[id] = p.lsn;
        when[id] = n;
    }

    is_int(wrong, 0, "ids are known as long as they should be");
    ok(known > 1000, "many were");
    ok(zone_right(&z), "the zone is right");

    zone_destroy();
}


static void
test_expired(void)
{
    sync_log_t        *log;
    sync_room_t       *room;
    sync_message_t     m;
    sync_position_t    pos;
    sync_published_t   p;

    zone_create(&z, 1024 * 1024);
    (void) sync_worker_claim(&z, 0);

    zone_message(&m, "[\"e\",1]");
    m.time -= 59 * 1000;
    (void) sync_room_publish(&z, zone_name("doc"), NULL, zone_rule(10), &m,
                             &p);
    pos.lsn = p.lsn;
    pos.nonce = p.nonce;

    zone_message(&m, "[\"e\",2]");
    m.time -= 59 * 1000;
    (void) sync_room_publish(&z, zone_name("doc"), NULL, zone_rule(10), &m,
                             &p);

    room = sync_room_lookup_locked(&z, zone_name("doc"));
    log = &room->log;

    is_int(log->count, 2, "young enough");
    is_int(sync_log_resume_locked(log, &pos), SYNC_RESUME_OK, "and good");

    room->ttl = 58;
    sync_room_trim_locked(&z, room);

    is_int(log->count, 0, "too old");
    is_int(sync_log_resume_locked(log, &pos), SYNC_RESUME_EXPIRED, "expired");

    pos.lsn = p.lsn;
    pos.nonce = p.nonce;
    is_int(sync_log_resume_locked(log, &pos), SYNC_RESUME_OK,
           "the last position is good for ever");

    z.sh->stamp.room = NULL;
    ok(zone_right(&z), "the zone is right");

    zone_destroy();
}
