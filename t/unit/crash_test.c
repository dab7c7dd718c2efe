
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"
#include <sync_relay.h>
#include <sync_absent.h>
#include <sync_ack.h>
#include <sync_holder.h>
#include <sync_presence_store.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/ucontext.h>
#include <sys/wait.h>


/*
 * A worker that dies in the lock.
 *
 * By steps: a child does one operation, and stops after each instruction that
 * wrote to the zone.  If that changed something it is held for dead: the zone
 * is mended, checked, reaped and checked again, and then put back as it was.
 * For some of these points the same is done to the mender.
 *
 * At random: children work on the zone and are killed at any time.
 */

#define CRASH_STEPS_MAX  2000000
#define CRASH_ROUNDS     1000           /* of two deaths */
#define CRASH_MENDERS    11             /* every so many points */
#define CRASH_BUCKETS    16
#define CRASH_WORKERS    200000         /* that are to have ids of their own */
#define CRASH_HEAP       (64 * 1024)    /* what is used of it, at its end */

/* more than two deaths can lose: each what it was about to link or free */
#define CRASH_LOST       4096


typedef void (*crash_op_pt)(void);


typedef struct {
    const char      *name;
    crash_op_pt      prepare;
    crash_op_pt      op;
} crash_case_t;


static void test_steps(crash_case_t *c);
static void test_ids(void);
static void test_kills(void);

static int compare_ids(const void *one, const void *two);

static void join_first(void);
static void prepare_join(void);
static void join_second(void);
static void join_idle(void);
static void prepare_member(void);
static void leave(void);
static void prepare_two(void);
static void prepare_bridge(void);
static void prepare_relay(void);
static void pass_on(void);
static void prepare_history(void);
static void publish(void);
static void publish_large(void);
static void publish_new(void);
static void publish_id(void);
static void prepare_ids(void);
static void resume(void);
static void prepare_pattern(void);
static void take(void);
static void prepare_news(void);
static void add_record(void);
static void prepare_record(void);
static void remove_record(void);
static void prepare_rooms(void);
static void expire(void);
static void announce(void);
static void publish_reply(void);
static void announce_reply(void);
static void release(void);
static void prepare_none(void);
static void claim(void);
static void prepare_dead(void);
static void reap(void);
static void hold(void);
static void begin_ack(void);
static void prepare_ack(void);
static void put_answer(void);
static void prepare_answers(void);
static void take_answers(void);
static void end_ack(void);
static void begin_text(void);
static void prepare_text(void);
static void add_text(void);
static void grow_text(void);
static void end_text(void);
static void whole_receipt(void);
static void prepare_receipt(void);
static void say_counted(void);
static void keep_absent(void);
static void prepare_absent(void);
static void take_absent(void);
static void sweep_absent(void);
static void prepare_present(void);
static void present_arrive(void);
static void prepare_afk(void);
static void present_leave(void);
static void present_idle(void);
static void present_wake(void);
static void prepare_graces(void);
static void present_due(void);
static void prepare_lost(void);
static void hit(void);
static void prepare_hits(void);
static void prepare_over(void);
static void tell(void);


static sync_zone_t  z, worker;


#include "crash_session.h"


static void follow_load(void);
static void prepare_follow(void);
static void follow_on(void);
static void follow_anew(void);
static void prepare_unknown(void);
static void follow_begin(void);
static void prepare_loading(void);
static void follow_pass(void);
static void follow_end(void);
static void hold_one(void);
static sync_record_t *met(sync_zone_t *w, const char *user);
static void prepare_met(void);
static void prepare_formers(void);
static void former_add(void);
static void former_told(void);
static void former_expire(void);
static void prepare_sid(void);
static void prepare_move(void);
static void prepare_inner(void);
static void sid_move(void);
static void sid_inner(void);
static void prepare_arrival(void);
static void sid_arrive(void);
static void sid_create(void);
static void sid_post(void);
static void sid_get(void);
static void sid_settle(sync_zone_t *w);
static void prepare_mirror(void);
static void mirror_message(void);
static void mirror_begin(void);
static void set_user(void);
static void prepare_users(void);
static void add_user(void);
static ngx_uint_t count_user(sync_zone_t *w, const char *name);


static void share_begin(void);
static void prepare_share(void);
static void share_call(void);
static void share_appoint(void);
static void prepare_shared(void);
static void share_close(void);
static void prepare_appointed(void);
static void share_leave(void);
static void prepare_answered(void);
static void share_take(void);
static void share_some(sync_member_t *m);


static crash_case_t  cases[] = {
    { "a claim", NULL, claim },
    { "a release", prepare_none, release },
    { "a new record", prepare_none, add_record },
    { "a join that makes a room", prepare_record, join_first },
    { "a join to a room of others", prepare_join, join_second },
    { "a join to an idle room", prepare_record, join_idle },
    { "a leave that removes a room", prepare_member, leave },
    { "a leave among others", prepare_two, leave },
    { "a leave that makes a room idle", prepare_history, leave },
    { "a publish", prepare_two, publish },
    { "a publish that needs a chunk", prepare_two, publish_large },
    { "a publish that trims", prepare_history, publish },
    { "a publish that makes a room", prepare_none, publish_new },
    { "a publish with an id", prepare_history, publish_id },
    { "a publish whose ids grow", prepare_ids, publish_id },
    { "a resume", prepare_history, resume },
    { "a publish to patterns", prepare_pattern, publish },
    { "an announcement", prepare_none, announce },
    { "a publish with answers", prepare_none, publish_reply },
    { "an announcement with answers", prepare_none, announce_reply },
    { "a publish that makes a relay", prepare_bridge, publish },
    { "a publish that is relayed", prepare_relay, publish },
    { "an announcement that is relayed", prepare_relay, announce },
    { "a relay's passing on", prepare_relay, pass_on },
    { "a take", prepare_news, take },
    { "a hold", prepare_news, hold },
    { "a new session", prepare_none, session_new },
    { "a session of another user", prepare_session, session_other },
    { "a session that is no more", prepare_session, session_end },
    { "sessions that have ended", prepare_session, session_expire },
    { "a session that is asked for", prepare_session, session_ask },
    { "a removed record that is remembered", prepare_met, remove_record },
    { "a client that is remembered", prepare_formers, former_add },
    { "clients that Redis was told of", prepare_formers, former_told },
    { "clients that are forgotten", prepare_formers, former_expire },
    { "a user of a client", prepare_record, set_user },
    { "a user of a client among its others", prepare_users, set_user },
    { "a new client among those of its user", prepare_users, add_user },
    { "one that leaves from among them", prepare_users, remove_record },
    { "a session of polls that comes and goes", prepare_none, sid_create },
    { "a POST of a session", prepare_sid, sid_post },
    { "a GET of a session", prepare_sid, sid_get },
    { "a session that moves", prepare_move, sid_move },
    { "a session that has come", prepare_arrival, sid_arrive },
    { "a session with inner ones", prepare_sid, sid_inner },
    { "an inner session that moves", prepare_inner, sid_move },
    { "a message of another log", prepare_mirror, mirror_message },
    { "a log that begins as another", prepare_mirror, mirror_begin },
    { "a log of another host that is loaded", prepare_none, follow_load },
    { "a log that follows it", prepare_follow, follow_on },
    { "a log that begins anew", prepare_follow, follow_anew },
    { "a log that learns where it begins", prepare_unknown, follow_begin },
    { "a log that is read on after a join", prepare_loading, follow_pass },
    { "a log that is followed no more", prepare_follow, follow_end },
    { "what a host has one of", prepare_none, hold_one },
    { "an expiry", prepare_none, expire },
    { "a reaping", prepare_dead, reap },
    { "an acknowledgement that is asked for", prepare_none, begin_ack },
    { "an answer", prepare_ack, put_answer },
    { "answers that are taken", prepare_answers, take_answers },
    { "an acknowledgement that ends", prepare_answers, end_ack },
    { "a text that begins", prepare_two, begin_text },
    { "a piece of a text", prepare_text, add_text },
    { "a text that grows", prepare_text, grow_text },
    { "a text that ends", prepare_text, end_text },
    { "a text whose worker goes", prepare_text, release },
    { "a receipt", prepare_two, whole_receipt },
    { "a message with a receipt", prepare_receipt, say_counted },
    { "a client that is kept", prepare_absent, keep_absent },
    { "one that comes back", prepare_absent, take_absent },
    { "those that do not", prepare_absent, sweep_absent },
    { "a user who leaves", prepare_present, present_leave },
    { "one who was afk and leaves", prepare_afk, present_leave },
    { "one who falls silent", prepare_present, present_idle },
    { "one who speaks again", prepare_afk, present_wake },
    { "one who comes back", prepare_graces, present_arrive },
    { "those who do not", prepare_graces, present_due },
    { "users of a worker that died", prepare_lost, reap },
    { "a hit", prepare_none, hit },
    { "a hit that evicts", prepare_hits, hit },
    { "a hit in a new window", prepare_over, hit },
    { "hits told and heard of", prepare_over, tell },
    { "a share", prepare_two, share_begin },
    { "a call that is shared", prepare_share, share_call },
    { "a call that another is to make", prepare_share, share_appoint },
    { "a share that has waited", prepare_shared, share_close },
    { "a share that is given up", prepare_shared, share_leave },
    { "a call that is given up", prepare_appointed, share_leave },
    { "what a share was answered", prepare_answered, share_take },
    { "shares whose worker goes", prepare_answered, release }
};


static u_char         *shadow, *crashed;
static sync_record_t  *mine, *other;
static sync_member_t  *member;
static sync_ack_t     *ack;
static uint64_t        receipt;
static crash_op_pt     prepared;

static sync_presence_rule_t  rule = { 1000, 0 };


#include "crash.h"
#include "crash_trace.h"
#include "crash_former.h"
#include "crash_sid.h"
#include "crash_mirror.h"
#include "crash_share.h"
#include "crash_presence.h"


int
main(int argc, char **argv)
{
    ngx_uint_t  i;

    zone_begin(argc, argv);

    shadow = malloc(2 * SYNC_ZONE_MIN);
    if (shadow == NULL) {
        zone_bail("no memory");
    }

    crashed = shadow + SYNC_ZONE_MIN;

    /* to fork() takes longer the more was allocated, and freed */

    test_kills();
    test_ids();

    for (i = 0; i < unit_count(cases); i++) {
        test_steps(&cases[i]);
    }

    return unit_done();
}


/* what the surviving worker has, whatever the other does */

static void
create(void)
{
    sync_joined_t     j;
    sync_message_t    m;
    sync_published_t  p;

    zone_create(&z, SYNC_ZONE_MIN);
    z.remember = 60;
    z.presences = &rule;
    z.npresences = 1;

    /* a mender walks the buckets, an instruction at a time */

    z.sh->mask = CRASH_BUCKETS - 1;

    if (sync_worker_claim(&z, 1) != SYNC_OK) {
        zone_bail("no slot");
    }

    other = zone_client(&z, "other");

    (void) sync_room_join(&z, zone_name("chat:1"), zone_rule(0), other, 1,
                          &j);
    (void) sync_room_join(&z, zone_name("his:1"), zone_rule(3), other, 2, &j);
    (void) sync_room_join(&z, zone_name("ch*"), zone_rule(0), other, 3, &j);
    (void) sync_room_join(&z, zone_name("mir:1"), zone_rule(4), other, 4, &j);

    /* idle ones, the first of which is over */

    zone_message(&m, "[\"e\",0]");
    (void) sync_room_publish(&z, zone_name("old:1"), NULL, zone_rule(3), &m,
                             &p);
    ngx_current_msec += 61000;
    sync_worker_beat(&z);

    zone_message(&m, "[\"e\",0]");
    (void) sync_room_publish(&z, zone_name("old:2"), NULL, zone_rule(3), &m,
                             &p);
    (void) sync_room_publish(&z, zone_name("old:3"), NULL, zone_rule(3), &m,
                             &p);
}


/*
 * All in order behind where it was read up to, or one is told.  In these
 * rooms LSNs have no gaps.
 */

static const char *
heard(sync_take_t *t)
{
    u_char        *p;
    uint64_t       lsn;
    sync_entry_t  *e;

    lsn = t->first;

    for (p = t->buf; p < t->buf + t->len; p += e->size) {
        e = (sync_entry_t *) p;

        if (e->lsn != lsn + 1
            && (p != t->buf || e->lsn <= lsn || !(t->lost || t->reset)))
        {
            return "a hole that is not told";
        }

        lsn = e->lsn;
    }

    return (t->len && lsn != t->last) ? "a cursor is wrong" : NULL;
}


/* the rest of the world goes on */

static const char *
go_on(sync_zone_t *w)
{
    size_t              lost;
    ngx_int_t           rc;
    ngx_uint_t          i;
    ngx_msec_t          left;
    sync_take_t         t;
    const char         *text;
    sync_joined_t       j;
    sync_record_t      *rec;
    sync_message_t      m;
    sync_published_t    p;
    sync_rate_limit_t   limit;

    static uint64_t     buf[8192];
    static const char  *names[] = { "chat:1", "chat:2", "his:1", "old:2" };

    rec = met(w, "survivor");
    if (rec == NULL) {
        return "no record";
    }

    if (count_user(w, "survivor") == 0 || count_user(w, "other") == 0) {
        return "no user";
    }

    for (i = 0; i < unit_count(names); i++) {

        rc = sync_room_join(w, zone_name(names[i]), zone_rule(names[i][0]
                                                              == 'c' ? 0 : 3),
                            rec, 9, &j);
        if (rc != SYNC_OK) {
            return "no join";
        }

        zone_message(&m, "[\"e\",1]");
        rc = sync_room_publish(w, zone_name(names[i]), NULL, zone_rule(0), &m,
                               &p);
        if (rc != SYNC_OK || p.receivers == 0) {
            return "no publish";
        }
    }

    i = 0;

    do {
        t.buf = (u_char *) buf;
        t.size = sizeof(buf);
        rc = sync_room_take(w, &t);
        text = (rc == SYNC_OK) ? heard(&t) : NULL;
        i++;

    } while (rc == SYNC_OK && text == NULL && i < 1000);

    if (text) {
        return text;
    }

    if (rc != SYNC_DECLINED) {
        return "no end of news";
    }

    sync_registry_remove(w, rec);

    limit.n = 1000;
    limit.window = 1000;

    for (i = 0; i < 20; i++) {

        if (sync_rate_hit(w, i % 4, &limit, 5500 + i, &left) != SYNC_OK) {
            return "no hit";
        }
    }

    return zone_check(w, &lost);
}


/*
 * The worker and the mender in the zone are dead: all can be mended.  Both
 * only stand still, so the zone becomes what it was.
 */

static int
survives(pid_t pid, pid_t mender)
{
    size_t       lost;
    ngx_uint_t   i;
    const char  *text;

    (void) ngx_shmtx_force_unlock(&z.shpool->mutex, pid);
    (void) ngx_shmtx_force_unlock(&z.shpool->mutex, mender);

    text = zone_check(&z, &lost);

    if (text == NULL && lost > CRASH_LOST) {
        text = "too much is lost";
    }

    for (i = 0; i < ZONE_SLOTS; i++) {
        if (z.sh->workers[i].pid == pid) {
            sync_worker_bury_locked(&z, &z.sh->workers[i]);
        }
    }

    if (text == NULL) {
        (void) sync_worker_reap(&z);
        text = zone_check(&z, &lost);
    }

    if (text == NULL) {
        text = present_kept(&z, prepared);
    }

    for (i = 0; i < ZONE_SLOTS && text == NULL; i++) {
        if (z.sh->workers[i].pid && &z.sh->workers[i] != z.self) {
            text = "a slot is left";
        }
    }

    if (text == NULL) {
        sid_settle(&z);
        text = zone_check(&z, &lost);
    }

    if (text == NULL && (z.sh->nclients != 1 || z.sh->nmembers != 4)) {
        text = "clients are left";
    }

    if (text == NULL) {
        text = go_on(&z);
    }

    memcpy(zone_shm->shm.addr, shadow, SYNC_ZONE_MIN);

    if (text) {
        printf("# %s\n", text);
        return 0;
    }

    return 1;
}


/*
 * Takes the zone to the shadow if it has changed.  Looked at is what is in
 * use; at the end of a case all is.
 */

static int
changed(void)
{
    size_t   n, at;
    u_char  *addr;

    addr = zone_shm->shm.addr;

    n = (u_char *) &z.sh->workers[ZONE_SLOTS] - addr;
    at = (u_char *) z.sh->rooms - addr;

    if (memcmp(shadow, addr, n) == 0
        && memcmp(shadow + at, addr + at,
                  CRASH_BUCKETS * sizeof(void *)) == 0
        && memcmp(shadow + SYNC_ZONE_MIN - CRASH_HEAP,
                  addr + SYNC_ZONE_MIN - CRASH_HEAP, CRASH_HEAP) == 0)
    {
        at = (u_char *) z.sh->records - addr;
        n = z.sh->heap.start - addr;

        if (memcmp(shadow + at, addr + at, n - at) == 0) {
            return 0;
        }
    }

    memcpy(shadow, addr, SYNC_ZONE_MIN);

    return 1;
}


static void
lock(void)
{
    sync_zone_lock(&z);
    sync_zone_unlock(&z);
}


/*
 * The zone is that of a crash: a mender takes it on, and dies after each of
 * its changes.  The parent's slot is not the mender's.
 */

static ngx_uint_t
step_mender(pid_t dead)
{
    u_char      *addr;
    pid_t        pid;
    ngx_uint_t   n;

    addr = zone_shm->shm.addr;

    memcpy(crashed, addr, SYNC_ZONE_MIN);
    (void) ngx_shmtx_force_unlock(&z.shpool->mutex, dead);

    pid = trace(NULL, lock);
    memcpy(shadow, addr, SYNC_ZONE_MIN);
    n = 0;

    while (step(pid)) {

        if (!changed()) {
            continue;
        }

        n++;

        if (!survives(dead, pid)) {
            n = 0;
            break;
        }
    }

    finish(pid);

    memcpy(addr, crashed, SYNC_ZONE_MIN);

    return n;
}


static void
test_steps(crash_case_t *c)
{
    int          good;
    char         text[128];
    pid_t        pid;
    u_char      *addr;
    ngx_uint_t   n, steps, points, menders;

    create();

    addr = zone_shm->shm.addr;
    points = 0;
    menders = 0;
    good = 1;

    prepared = c->prepare;
    pid = trace(c->prepare, c->op);
    memcpy(shadow, addr, SYNC_ZONE_MIN);

    for (steps = 0; good && steps < CRASH_STEPS_MAX && step(pid); steps++) {

        if (!changed()) {
            continue;
        }

        points++;
        good = survives(pid, pid);

        if (good && points % CRASH_MENDERS == 0) {
            n = step_mender(pid);
            menders += n;
            good = (n > 0);

            memcpy(shadow, addr, SYNC_ZONE_MIN);
        }
    }

    if (good && memcmp(shadow, addr, SYNC_ZONE_MIN) != 0) {
        zone_bail("a change was not seen");
    }

    finish(pid);

    (void) snprintf(text, sizeof(text),
                    "%s may die at any of %lu points, menders at %lu",
                    c->name, (unsigned long) points, (unsigned long) menders);

    ok(good && points > 4, text);

    zone_destroy();
}


/*
 * Two clients with one id would look like one that is lost: the workers that
 * are killed must not come to have the same one.
 */

static void
test_ids(void)
{
    u_char      *ids, *id;
    uint64_t     seed, parent;
    ngx_uint_t   i, same;

    ids = malloc(CRASH_WORKERS * SYNC_ID_LEN);
    if (ids == NULL) {
        zone_bail("no memory");
    }

    for (i = 0; i < CRASH_WORKERS; i++) {
        seed = zone_random64();
        parent = zone_seed;
        zone_seed = seed;

        zone_random_id(ids + i * SYNC_ID_LEN);

        zone_seed = parent;
    }

    qsort(ids, CRASH_WORKERS, SYNC_ID_LEN, compare_ids);

    same = 0;

    for (i = 1; i < CRASH_WORKERS; i++) {
        id = ids + i * SYNC_ID_LEN;
        same += (compare_ids(id - SYNC_ID_LEN, id) == 0);
    }

    is_int(same, 0, "workers give ids of their own");

    free(ids);
}


static int
compare_ids(const void *one, const void *two)
{
    return memcmp(one, two, SYNC_ID_LEN);
}


/* works until it is killed */

static void
work(uint64_t seed)
{
    char              text[200], name[16];
    ngx_uint_t        n;
    sync_record_t    *rec, *recs[4];
    sync_message_t    m;
    sync_published_t  p;

    zone_seed = seed;
    ngx_pid = getpid();
    zone_worker(&worker, &z, 1);

    ngx_memzero(recs, sizeof(recs));
    ngx_memset(text, 'y', sizeof(text));

    for ( ;; ) {
        sync_zone_count(&worker, SYNC_COUNT_RECEIVED, 1);

        n = zone_random(4);
        rec = recs[n];

        (void) snprintf(name, sizeof(name), "%s:%lu",
                        zone_random(3) ? "chat" : "his",
                        (unsigned long) zone_random(4));

        if (rec == NULL) {
            recs[n] = met(&worker, "user");
            continue;
        }

        switch (zone_random(16)) {

        case 0:
            sync_registry_remove(&worker, rec);
            recs[n] = NULL;
            break;

        case 1:
            sync_room_expire(&worker);
            worker.remember = zone_random(2);
            sync_former_expire(&worker);
            break;

        case 2:
            (void) sync_worker_reap(&worker);
            break;

        case 3:
        case 4:
            take();
            break;

        case 5:
            announce();
            break;

        case 6:
            join("chat:*", 0, rec);
            hit();
            break;

        case 7:
            if (rec->members) {
                share_some(rec->members);
            }

            break;

        case 8:
        case 9:
            if (rec->members) {
                sync_room_leave(&worker, rec->members);
            }

            break;

        case 10:
        case 11:
        case 12:
            text[zone_random(199)] = '\0';
            zone_message(&m, text);
            m.id = zone_random(2) ? 1 + zone_random(40) : 0;
            (void) sync_room_publish(&worker, zone_name(name), NULL,
                                     zone_rule(name[0] == 'c' ? 0 : 5),
                                     &m, &p);
            break;

        default:
            join(name, name[0] == 'c' ? 0 : 5, rec);
        }
    }
}


static pid_t
start_work(void)
{
    pid_t       pid;
    uint64_t    seed;
    ngx_uint_t  i, busy;

    seed = zone_random64();
    (void) fflush(stdout);

    pid = fork();

    if (pid == -1) {
        zone_bail("fork() failed");
    }

    if (pid == 0) {
        work(seed);
    }

    do {
        (void) sched_yield();
        busy = 0;

        for (i = 0; i < ZONE_SLOTS; i++) {
            if (*(volatile ngx_pid_t *) &z.sh->workers[i].pid == pid) {
                busy = z.sh->workers[i].counters[SYNC_COUNT_RECEIVED];
            }
        }

        if (waitpid(pid, NULL, WNOHANG) != 0) {
            zone_bail("a worker exited");
        }

    } while (busy == 0);

    return pid;
}


static void
test_kills(void)
{
    size_t       lost;
    pid_t        pids[2];
    const char  *text;
    ngx_uint_t   i, k, inside, resets;
    uint64_t     sum[SYNC_COUNT_MAX];

    text = NULL;
    inside = 0;
    resets = 0;

    for (i = 0; i < CRASH_ROUNDS && text == NULL; i++) {

        if (i % 200 == 0) {

            if (i) {
                zone_destroy();
            }

            zone_create(&z, 4 * SYNC_ZONE_MIN);
            (void) sync_worker_claim(&z, 1);
        }

        pids[0] = start_work();
        pids[1] = start_work();

        for (k = 0; k < 2 && text == NULL; k++) {

            /* at some instant of its work */

            (void) usleep(zone_random(300));

            finish(pids[k]);

            inside += (z.sh->stamp.pid == pids[k]);

            text = zone_check(&z, &lost);

            if (text == NULL && sync_worker_reap(&z) > 1) {
                text = "a living worker was reaped";
            }

            if (text == NULL) {
                text = zone_check(&z, &lost);
            }
        }

        if (text) {
            finish(pids[1]);
            break;
        }

        if (z.sh->nclients || z.sh->nmembers || sync_worker_count(&z) != 1) {
            text = "a dead worker left something";

        } else if (lost > 200 * CRASH_LOST) {
            text = "too much is lost";
        }

        sync_zone_counters(&z, sum);
        resets = sum[SYNC_COUNT_RESETS];
    }

    if (text) {
        printf("# %s\n", text);
    }

    printf("# %lu rounds, %lu deaths seen in the lock, %lu resets of late\n",
           (unsigned long) i, (unsigned long) inside,
           (unsigned long) resets);

    ok(text == NULL, "workers killed at any time");
    ok(inside > 0, "some of them in the lock");

    zone_destroy();
}
