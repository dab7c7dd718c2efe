
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"
#include <signal.h>
#include <sys/wait.h>


static void test_init(void);
static void test_hash(void);
static void test_queue(void);
static void test_counters(void);
static void test_lock(void);
static void test_death(void);
static void test_dead_mender(void);

static sync_zone_t  z;
static ngx_uint_t   mended;


static void
mend(sync_zone_t *zone, sync_stamp_t *stamp)
{
    mended++;
}


static void
mend_and_die(sync_zone_t *zone, sync_stamp_t *stamp)
{
    (void) kill(getpid(), SIGKILL);
}


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);

    test_init();

    zone_create(&z, 1024 * 1024);

    test_hash();
    test_queue();
    test_counters();
    test_lock();
    test_death();
    test_dead_mender();

    zone_destroy();

    return unit_done();
}


static void
test_init(void)
{
    size_t           size;
    sync_zone_t      zone, next;
    ngx_shm_zone_t  *shm;

    shm = ngx_stub_zone_create("small", 256 * 1024);
    ngx_memzero(&zone, sizeof(sync_zone_t));

    is_int(sync_zone_init(&zone, shm, NULL), SYNC_ERROR, "nobody to mend");

    zone.mend = mend;
    is_int(sync_zone_init(&zone, shm, NULL), SYNC_ERROR, "too small");
    ngx_stub_zone_destroy(shm);

    for (size = SYNC_ZONE_MIN; size <= 64 * SYNC_ZONE_MIN; size *= 8) {
        shm = ngx_stub_zone_create("test", size);

        is_int(sync_zone_init(&zone, shm, NULL), SYNC_OK, "a new zone");
        is_int(sync_zone_size(&zone), size, "its size");
        ok(sync_zone_unused(&zone) > size / 10 * 7, "most of it is free");
        ok(zone.sh->mask + 1 >= size / 4096 && zone.sh->mask < size / 256
           && (zone.sh->mask & (zone.sh->mask + 1)) == 0,
           "its buckets");

        ngx_memzero(&next, sizeof(sync_zone_t));
        next.mend = mend;
        is_int(sync_zone_init(&next, shm, &zone), SYNC_OK, "after a reload");
        ok(next.sh == zone.sh, "it is the same");

        ngx_memzero(&next, sizeof(sync_zone_t));
        next.mend = mend;
        shm->shm.exists = 1;
        is_int(sync_zone_init(&next, shm, NULL), SYNC_OK, "what is there");
        ok(next.sh == zone.sh, "is taken over");

        zone.sh->version++;
        is_int(sync_zone_init(&next, shm, NULL), SYNC_DECLINED,
               "but not of another layout");

        ngx_stub_zone_destroy(shm);
    }
}


static void
test_hash(void)
{
    u_char      *p;
    char         name[64];
    uint32_t     i, n, hash, max, buckets[1024];
    uint64_t     key;

    ngx_memzero(buckets, sizeof(buckets));

    for (i = 0; i < 64 * 1024; i++) {
        n = snprintf(name, sizeof(name), "room:%u", i);
        buckets[sync_zone_hash(&z, (u_char *) name, n) % 1024]++;
    }

    max = 0;

    for (i = 0; i < 1024; i++) {
        max = ngx_max(max, buckets[i]);
    }

    ok(max < 128, "names are spread evenly");

    n = 0;

    for (i = 0; i < 300; i++) {
        p = unit_guard(NULL, i);
        hash = sync_zone_hash(&z, p, i);
        n += (hash == sync_zone_hash(&z, p, i));
    }

    is_int(n, 300, "a hash is the same each time");

    hash = sync_zone_hash(&z, (u_char *) "abc", 3);
    key = z.sh->key[0];
    z.sh->key[0] ^= 1;
    ok(hash != sync_zone_hash(&z, (u_char *) "abc", 3), "the key matters");
    z.sh->key[0] = key;
}


/* a queue has what it should, both ways */

static int
queue_is(ngx_queue_t *h, ngx_queue_t **want, ngx_uint_t n)
{
    ngx_uint_t    i;
    ngx_queue_t  *q;

    q = h;

    for (i = 0; i < n; i++) {
        if (q->next != want[i] || q->next->prev != q) {
            return 0;
        }

        q = q->next;
    }

    return q->next == h && h->prev == q;
}


static void
test_queue(void)
{
    int           good;
    ngx_uint_t    i, k, n;
    ngx_queue_t   h, q[16], *want[16];

    ngx_queue_init(&h);
    n = 0;
    good = 1;

    for (i = 0; i < 10000; i++) {

        if (zone_random(2)) {

            for (k = 0; k < n && want[k] != &q[i % 16]; k++) { /* void */ }

            if (k == n) {
                sync_zone_queue_add(&h, &q[i % 16]);
                want[n++] = &q[i % 16];
            }

        } else if (n) {
            k = zone_random(n);
            sync_zone_queue_remove(want[k]);
            ngx_memmove(&want[k], &want[k + 1], (--n - k) * sizeof(*want));
        }

        good = good && queue_is(&h, want, n);

        /* prev pointers are made anew of the next ones */

        h.prev = NULL;

        for (k = 0; k < n; k++) {
            want[k]->prev = NULL;
        }

        sync_zone_queue_mend(&h);

        good = good && queue_is(&h, want, n);
    }

    ok(good, "queues are added to, removed from and mended");
}


static void
test_counters(void)
{
    uint64_t     sum[SYNC_COUNT_MAX];
    sync_zone_t  a, b;

    sync_zone_count(&z, SYNC_COUNT_HOOKS, 3);
    zone_worker(&a, &z, 0);
    zone_worker(&b, &z, 0);
    ngx_memzero(z.unused, sizeof(z.unused));

    sync_zone_count(&a, SYNC_COUNT_HOOKS, 10);
    sync_zone_count(&b, SYNC_COUNT_HOOKS, 100);

    sync_zone_counters(&z, sum);
    is_int(sum[SYNC_COUNT_HOOKS], 116, "counters are summed");

    sync_worker_release(&b);
    sync_zone_counters(&z, sum);
    is_int(sum[SYNC_COUNT_HOOKS], 116, "those of a slot given back too");

    sync_worker_release(&a);
}


/* children count to a number that is not atomic */

static void
test_lock(void)
{
    int          status;
    pid_t        pids[4];
    ngx_uint_t   i, k;

    z.sh->nrooms = 0;

    for (i = 0; i < 4; i++) {
        pids[i] = fork();

        if (pids[i] == 0) {
            ngx_pid = getpid();
            ngx_ncpu = 1 + i % 2;

            for (k = 0; k < 20000; k++) {
                sync_zone_lock(&z);
                z.sh->nrooms++;
                sync_zone_unlock(&z);
            }

            _exit(0);
        }
    }

    for (i = 0; i < 4; i++) {
        (void) waitpid(pids[i], &status, 0);
    }

    is_int(z.sh->nrooms, 80000, "one holder at a time");
    is_int(z.sh->stamp.pid, 0, "the stamp is clear");

    z.sh->nrooms = 0;
}


/* a holder that died, once unlocked by a waiter, once by the master */

static void
test_death(void)
{
    int         status;
    pid_t       pid;
    ngx_uint_t  i, forced;

    for (i = 0; i < 2; i++) {
        z.mend = mend;
        mended = 0;

        pid = fork();

        if (pid == 0) {
            ngx_pid = getpid();
            sync_zone_lock(&z);
            z.sh->heap.busy = 1;
            (void) kill(getpid(), SIGKILL);
        }

        (void) waitpid(pid, &status, 0);

        is_int(z.sh->stamp.pid, pid, "the dead holder's stamp");

        if (i) {
            forced = ngx_shmtx_force_unlock(&z.shpool->mutex, pid);
            is_int(forced, 1, "the master unlocks");
        }

        sync_zone_lock(&z);
        is_int(mended, 1, "the next holder mends");
        is_int(z.sh->heap.busy, 0, "the heap as well");
        is_int(z.sh->stamp.pid, getpid(), "and has the lock");
        sync_zone_unlock(&z);

        sync_zone_lock(&z);
        is_int(mended, 1, "once");
        sync_zone_unlock(&z);
    }
}


static void
test_dead_mender(void)
{
    int         status;
    pid_t       first, second;

    first = fork();

    if (first == 0) {
        ngx_pid = getpid();
        sync_zone_lock(&z);
        (void) kill(getpid(), SIGKILL);
    }

    (void) waitpid(first, &status, 0);

    second = fork();

    if (second == 0) {
        ngx_pid = getpid();
        z.mend = mend_and_die;
        sync_zone_lock(&z);
        _exit(0);
    }

    (void) waitpid(second, &status, 0);

    ok(WIFSIGNALED(status), "a mender died");
    is_int(z.sh->stamp.pid, first, "the stamp is that of the first");

    mended = 0;
    sync_zone_lock(&z);
    is_int(mended, 1, "it is mended again");
    sync_zone_unlock(&z);
}
