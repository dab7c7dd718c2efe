
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"
#include <signal.h>
#include <sys/wait.h>


static void test_claim(void);
static void test_mark(void);
static void test_gone(void);
static void test_release(void);
static void test_reap(void);
static void test_dead_reaper(void);
static void test_stalled(void);

static sync_zone_t  z;


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);
    zone_create(&z, 1024 * 1024);

    test_claim();
    test_mark();
    test_gone();
    test_release();
    test_reap();
    test_dead_reaper();
    test_stalled();

    zone_destroy();

    return unit_done();
}


static void
test_claim(void)
{
    void          *p, *all;
    ngx_uint_t     i;
    sync_zone_t    w[ZONE_SLOTS], one;

    z.sh->workers[0].fd = -1;

    for (i = 0; i < ZONE_SLOTS - 1; i++) {
        zone_worker(&w[i], &z, i + 50);
        is_int(sync_worker_slot(&z, w[i].self), i + 1,
               "a slot that has an eventfd");
    }

    ok(w[0].self->host->cookie == 50 && z.sh->host, "it is in the host room");
    is_int(w[0].self->incarnation, 1, "its first incarnation");
    is_int(sync_worker_count(&z), ZONE_SLOTS - 1, "all are taken");

    one = z;
    is_int(sync_worker_claim(&one, 1), SYNC_BUSY, "none is left");
    ok(zone_right(&z), "the zone is right");

    sync_worker_release(&w[3]);
    ok(w[3].self == NULL, "one is given back");
    is_int(sync_worker_count(&z), ZONE_SLOTS - 2, "so it is free");
    ok(zone_right(&z), "the zone is right");

    sync_zone_lock(&z);

    for (all = NULL; (p = sync_zone_alloc_locked(&z, 64)) != NULL; all = p) {
        *(void **) p = all;
    }

    sync_zone_unlock(&z);

    is_int(sync_worker_claim(&one, 1), SYNC_ERROR, "no memory");
    is_int(sync_worker_count(&z), ZONE_SLOTS - 2, "it is free still");

    sync_zone_lock(&z);

    while (all) {
        p = all;
        all = *(void **) p;
        sync_zone_free_locked(&z, p);
    }

    sync_zone_unlock(&z);

    zone_worker(&one, &z, 1);
    is_int(sync_worker_slot(&z, one.self), 4, "the free slot is taken");
    is_int(one.self->incarnation, 2, "by another incarnation");

    sync_worker_release(&one);

    for (i = 0; i < ZONE_SLOTS - 1; i++) {
        if (i != 3) {
            sync_worker_release(&w[i]);
        }
    }

    z.sh->workers[0].fd = 100;

    is_int(sync_worker_count(&z), 0, "all are given back");
    ok(zone_right(&z), "the zone is right");
}


static void
test_mark(void)
{
    sync_zone_t       a, b;
    sync_message_t    m;
    sync_wake_set_t   wake;
    sync_published_t  p;

    zone_worker(&a, &z, 0);
    zone_worker(&b, &z, 0);

    wake.n = 0;

    sync_zone_lock(&z);
    sync_worker_mark_locked(&z, 1, &wake);
    sync_worker_mark_locked(&z, 0, &wake);
    sync_worker_mark_locked(&z, 1, &wake);
    sync_zone_unlock(&z);

    ok(wake.n == 2 && wake.slots[0] == 1 && wake.slots[1] == 0,
       "each slot is woken once");

    b.self->woken = 0;

    sync_zone_lock(&z);
    sync_worker_mark_locked(&z, 1, &wake);
    sync_zone_unlock(&z);

    is_int(wake.n, 2, "by one set, even if it looked meanwhile");

    wake.n = 0;
    zone_message(&m, "[]");

    b.self->woken = 0;
    (void) sync_room_announce(&a, &m, &p);
    ok(p.wake.n == 1 && p.wake.slots[0] == 1,
       "one that is about to look is not woken");

    sync_worker_release(&a);
    sync_worker_release(&b);
}


static void
test_gone(void)
{
    int         status;
    pid_t       pid;
    uint64_t    started;
    ngx_msec_t  old;

    started = sync_worker_started(getpid());
    old = ngx_current_msec - SYNC_WORKER_STALL - 1;

    ok(started > 0, "a process started at some time");
    ok(started == sync_worker_started(getpid()), "which does not change");
    ok(sync_worker_started(getppid()) <= started, "after its parent");

    pid = fork();

    if (pid == 0) {
        _exit(0);
    }

    (void) waitpid(pid, &status, 0);

    is_int(sync_worker_started(pid), 0, "one that is gone did not");
    ok(sync_worker_is_gone(pid, started, ngx_current_msec), "it is gone");

    ok(!sync_worker_is_gone(getpid(), started, ngx_current_msec),
       "this one is not");
    ok(!sync_worker_is_gone(getpid(), started, old),
       "nor if it gives no beat");
    ok(sync_worker_is_gone(getpid(), started + 1, old),
       "another one had the pid before");
    ok(!sync_worker_is_gone(getpid(), 0, old), "or it cannot be told");
}


static void
join(sync_zone_t *w, const char *name, sync_record_t *rec)
{
    sync_joined_t  j;

    if (sync_room_join(w, zone_name(name), zone_rule(name[0] == 'h' ? 5 : 0),
                       rec, 1, &j)
        != SYNC_OK)
    {
        zone_bail("sync_room_join() failed");
    }
}


static void
publish(sync_zone_t *w, const char *name)
{
    sync_message_t    m;
    sync_published_t  p;

    zone_message(&m, "[\"e\"]");
    (void) sync_room_publish(w, zone_name(name), NULL, zone_rule(0), &m, &p);
}


static void
test_release(void)
{
    sync_zone_t     a, b;
    sync_record_t  *rec;

    zone_worker(&a, &z, 0);
    zone_worker(&b, &z, 0);

    rec = zone_client(&a, "user");
    join(&a, "room", rec);

    sync_worker_release(&a);

    is_int(z.sh->nclients, 0, "clients of a slot given back do not count");
    ok(zone_right(&z), "the zone is right");
    is_int(sync_worker_reap(&b), 1, "they are reaped");
    ok(zone_right(&z), "the zone is right");
    is_int(z.sh->nrooms, 0, "their room is gone");

    sync_worker_release(&b);
}


/* a child with many clients, some rooms of its own and some shared */

static pid_t
child_with_clients(void)
{
    int             fds[2], i;
    char            name[16], c;
    pid_t           pid;
    sync_zone_t     w;
    sync_record_t  *rec;

    if (pipe(fds) == -1) {
        zone_bail("pipe() failed");
    }

    pid = fork();

    if (pid == 0) {
        ngx_pid = getpid();
        zone_worker(&w, &z, 0);
        sync_zone_count(&w, SYNC_COUNT_CONNECTS, 300);

        for (i = 0; i < 300; i++) {
            rec = zone_client(&w, "child");

            (void) snprintf(name, sizeof(name), "r%d", i % 50);
            join(&w, name, rec);
            (void) snprintf(name, sizeof(name), "h%d", i % 20);
            join(&w, name, rec);
            join(&w, "shared", rec);
            publish(&w, "shared");
        }

        (void) write(fds[1], "x", 1);
        (void) pause();
        _exit(0);
    }

    (void) close(fds[1]);

    if (read(fds[0], &c, 1) != 1) {
        zone_bail("a child has no clients");
    }

    (void) close(fds[0]);

    return pid;
}


static void
test_reap(void)
{
    int             status;
    pid_t           pid;
    uint64_t        sum[SYNC_COUNT_MAX];
    sync_zone_t     a;
    sync_record_t  *rec;

    zone_worker(&a, &z, 0);
    rec = zone_client(&a, "user");
    join(&a, "shared", rec);

    pid = child_with_clients();

    is_int(z.sh->nclients, 301, "clients of two workers");
    is_int(z.sh->nmembers, 901, "and their memberships");
    is_int(sync_worker_reap(&a), 0, "nobody is dead");
    ok(zone_right(&z), "the zone is right");

    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, &status, 0);

    is_int(sync_worker_reap(&a), 1, "one is dead");
    ok(zone_right(&z), "the zone is right");
    is_int(z.sh->nclients, 1, "its clients are gone");
    is_int(z.sh->nmembers, 1, "and their memberships");
    is_int(z.sh->nrooms, 21, "rooms with a history stay");
    is_int(sync_room_count(&z, zone_name("shared")), 1, "as does who lives");

    sync_zone_counters(&a, sum);
    is_int(sum[SYNC_COUNT_CONNECTS], 300, "its counters are kept");
    is_int(sum[SYNC_COUNT_REAPED], 2, "the reaped are counted");
    is_int(sync_worker_reap(&a), 0, "once");

    sync_registry_remove(&a, rec);
    sync_worker_release(&a);
}


static void
test_dead_reaper(void)
{
    int          status;
    pid_t        pid;
    uint32_t     i;
    sync_zone_t  a;

    zone_worker(&a, &z, 0);
    pid = child_with_clients();

    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, &status, 0);

    /* what a reaper had done when it died */

    sync_zone_lock(&a);

    for (i = 0; i < ZONE_SLOTS; i++) {
        if (z.sh->workers[i].pid == pid) {
            sync_worker_bury_locked(&a, &z.sh->workers[i]);
        }
    }

    for (i = 0; i < z.sh->mask / 2; i++) {
        while (z.sh->records[i]) {
            sync_registry_remove_locked(&a, z.sh->records[i]);
        }
    }

    sync_zone_unlock(&a);

    ok(zone_right(&z), "half of the records are reaped");
    is_int(sync_worker_reap(&a), 1, "the next reaper goes on");
    ok(zone_right(&z), "the zone is right");
    is_int(z.sh->nrooms, 20, "only rooms with a history are left");

    sync_worker_release(&a);
}


/* what a worker that does not come has not read is not kept for it */

static void
test_stalled(void)
{
    u_char           buf[4096];
    ngx_uint_t       i;
    sync_zone_t      a, b;
    sync_take_t      t;
    sync_room_t     *room;
    sync_record_t   *ra, *rb;

    zone_worker(&a, &z, 0);
    zone_worker(&b, &z, 0);
    ra = zone_client(&a, "a");
    rb = zone_client(&b, "b");
    join(&a, "room", ra);
    join(&b, "room", rb);
    room = rb->members->room;

    t.buf = buf;
    t.size = sizeof(buf);

    for (i = 0; i < 5; i++) {
        publish(&a, "room");
        ok(sync_room_take(&a, &t) == SYNC_OK && t.last == i + 1,
           "one worker has read it");
        is_int(room->log.count, i + 1, "it is kept for the other");
    }

    ngx_current_msec += SYNC_WORKER_STALL + 1;
    sync_worker_beat(&a);

    publish(&a, "room");
    is_int(sync_room_take(&a, &t), SYNC_OK, "read once more");
    is_int(room->log.count, 0, "but not kept for one that stalled");
    ok(zone_right(&z), "the zone is right");

    is_int(sync_room_take(&b, &t), SYNC_OK, "that one comes back");
    ok(t.lost == 6 && t.len == 0 && !t.reset, "and is told what it lost");
    is_int(sync_room_take(&b, &t), SYNC_DECLINED, "once");

    sync_worker_beat(&b);
    publish(&a, "room");
    is_int(sync_room_take(&a, &t), SYNC_OK, "one worker has read it");
    is_int(sync_room_take(&b, &t), SYNC_OK, "the other too");
    ok(t.lost == 0 && t.first == 6 && t.last == 7, "and nothing is lost");

    sync_registry_remove(&a, ra);
    sync_registry_remove(&b, rb);
    sync_worker_release(&a);
    sync_worker_release(&b);

    ok(zone_right(&z), "the zone is right");
}
