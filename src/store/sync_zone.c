
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_zone.h>


/*
 *     slab pool | sh | workers[] | rooms[] | records[] | sids[] | sessions[]
 *               | users[] | absents[] | presences[] | rates[] | heap
 *
 * The tables never move and never grow: at the zone's beginning, once.  What
 * comes and goes is in the heap.
 *
 * The lock is held by a pid, and so is the stamp.  The order is: lock, stamp,
 * changes, stamp cleared, unlock.  A stamp found in a lock just taken was
 * left by a holder that died; it stays until all is mended, so a mender may
 * die as well.
 */


/* bytes of the zone for each bucket of the first two hashes, at most */
#define SYNC_ZONE_BUCKET  2048

/* buckets of those for each of the third */
#define SYNC_ZONE_SIDS    4

/* bytes of the zone for each slot, at most; so many slots there are at least */
#define SYNC_ZONE_SLOT      8192
#define SYNC_ZONE_SLOTS_MIN 32

/* yields between two looks at whether the holder of the lock is alive */
#define SYNC_ZONE_YIELDS  64


static ngx_int_t sync_zone_create(sync_zone_t *z);
static void sync_zone_make_key(uint64_t *key);
static void sync_zone_wait(sync_zone_t *z);
static void sync_zone_mend(sync_zone_t *z);


ngx_int_t
sync_zone_init(sync_zone_t *z, ngx_shm_zone_t *shm_zone, sync_zone_t *old)
{
    if (z->mend == NULL) {
        return SYNC_ERROR;
    }

    z->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    z->name = shm_zone->shm.name;
    z->self = NULL;

    if (old) {
        z->sh = old->sh;

    } else if (shm_zone->shm.exists) {
        z->sh = z->shpool->data;

    } else {
        return sync_zone_create(z);
    }

    if (z->sh == NULL || z->sh->version != SYNC_ZONE_VERSION) {
        return SYNC_DECLINED;
    }

    return SYNC_OK;
}


static ngx_int_t
sync_zone_create(sync_zone_t *z)
{
    size_t           size, tables;
    u_char          *p;
    uint32_t         n;
    uint64_t         key[2];
    ngx_uint_t       i, slots;
    sync_zone_sh_t  *sh;

    size = z->shpool->pfree << ngx_pagesize_shift;

    for (n = 1; n < size / SYNC_ZONE_BUCKET && n < 0x80000000; n <<= 1) {
        /* void */
    }

    slots = ngx_max(size / SYNC_ZONE_SLOT, SYNC_ZONE_SLOTS_MIN);
    slots = ngx_min(slots, SYNC_WORKERS_MAX);

    tables = sizeof(sync_zone_sh_t)
             + slots * sizeof(sync_worker_t)
             + (size_t) n * (sizeof(sync_room_t *) + sizeof(sync_record_t *)
                             + sizeof(sync_user_t *)
                             + sizeof(sync_former_t *))
             + (size_t) n / SYNC_ZONE_SIDS * (sizeof(sync_sid_t *)
                                              + 2 * sizeof(sync_session_t *)
                                              + sizeof(sync_absent_t *)
                                              + sizeof(sync_presence_t *))
             + (size_t) n * sizeof(sync_rate_t);

    if (size < tables + SYNC_ZONE_MIN / 2) {
        return SYNC_ERROR;
    }

    p = ngx_slab_alloc(z->shpool, size);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    ngx_memzero(p, tables);

    sh = (sync_zone_sh_t *) p;
    sh->version = SYNC_ZONE_VERSION;
    sh->mask = n - 1;
    sh->nslots = slots;
    sh->workers = (sync_worker_t *) (p + sizeof(sync_zone_sh_t));
    sh->rooms = (sync_room_t **) (sh->workers + slots);
    sh->records = (sync_record_t **) (sh->rooms + n);
    sh->sid_mask = n / SYNC_ZONE_SIDS - 1;
    sh->clients = (sync_user_t **) (sh->records + n);
    sh->formers = (sync_former_t **) (sh->clients + n);
    sh->sids = (sync_sid_t **) (sh->formers + n);
    sh->sessions = (sync_session_t **) (sh->sids + n / SYNC_ZONE_SIDS);
    sh->users = sh->sessions + n / SYNC_ZONE_SIDS;
    sh->absents = (sync_absent_t **) (sh->users + n / SYNC_ZONE_SIDS);
    sh->presences = (sync_presence_t **) (sh->absents + n / SYNC_ZONE_SIDS);
    sh->rates = (sync_rate_t *) (sh->presences + n / SYNC_ZONE_SIDS);
    sh->rate_mask = n / SYNC_RATE_SET - 1;

    for (i = 0; i < slots; i++) {
        sh->workers[i].fd = -1;
        ngx_queue_init(&sh->workers[i].dirty);
    }

    ngx_queue_init(&sh->idle);
    sync_zone_make_key(sh->key);
    sync_zone_make_key(key);
    sh->id = key[0] | 1;

    if (sync_heap_init(&sh->heap, p + tables, p + size) != SYNC_OK) {
        ngx_slab_free(z->shpool, p);
        return SYNC_ERROR;
    }

    z->sh = sh;
    z->shpool->data = sh;

    return SYNC_OK;
}


static void
sync_zone_make_key(uint64_t *key)
{
    int      fd;
    ssize_t  n;

    n = 0;
    fd = open("/dev/urandom", O_RDONLY|O_CLOEXEC);

    if (fd != -1) {
        n = read(fd, key, 2 * sizeof(uint64_t));
        (void) close(fd);       /* it was only read from */
    }

    if (n != 2 * sizeof(uint64_t)) {
        key[0] = (uint64_t) ngx_random() << 32 ^ ngx_random();
        key[1] = (uint64_t) ngx_random() << 32 ^ (uintptr_t) key;
    }
}


void
sync_zone_lock(sync_zone_t *z)
{
    if (!ngx_shmtx_trylock(&z->shpool->mutex)) {
        sync_zone_wait(z);
    }

    if (z->sh->stamp.pid) {
        sync_zone_mend(z);
    }

    z->sh->stamp.pid = ngx_pid;
    sync_heap_order();
}


/*
 * The master unlocks the zones of its cycle when it has waited for a worker
 * that died; a zone that it dropped is unlocked here.  The pid is looked at
 * many times a second, so it cannot have been given to another process
 * meanwhile.
 */

static void
sync_zone_wait(sync_zone_t *z)
{
    ngx_pid_t      pid;
    ngx_uint_t     i, n, yields;
    ngx_shmtx_t   *mutex;

    mutex = &z->shpool->mutex;

    for (yields = 1; /* void */ ; yields++) {

        if (ngx_ncpu > 1) {

            for (n = 1; n < 2048; n <<= 1) {

                for (i = 0; i < n; i++) {
                    ngx_cpu_pause();
                }

                if (ngx_shmtx_trylock(mutex)) {
                    return;
                }
            }
        }

        ngx_sched_yield();

        if (ngx_shmtx_trylock(mutex)) {
            return;
        }

        if (yields % SYNC_ZONE_YIELDS == 0) {
            pid = (ngx_pid_t) *mutex->lock;

            if (pid && kill(pid, 0) == -1 && ngx_errno == ESRCH) {
                (void) ngx_shmtx_force_unlock(mutex, pid);
            }
        }
    }
}


static void
sync_zone_mend(sync_zone_t *z)
{
    sync_stamp_t  *stamp;

    stamp = &z->sh->stamp;

    sync_heap_mend(&z->sh->heap);

    z->mend(z, stamp);

    stamp->member = NULL;
    stamp->record = NULL;
    stamp->interest = NULL;
    stamp->room = NULL;
    stamp->sid = NULL;
    stamp->session = NULL;
    stamp->user = NULL;
    sync_heap_order();
}


void
sync_zone_unlock(sync_zone_t *z)
{
    sync_stamp_t  *stamp;

    stamp = &z->sh->stamp;

    sync_heap_order();
    stamp->member = NULL;
    stamp->record = NULL;
    stamp->interest = NULL;
    stamp->room = NULL;
    stamp->sid = NULL;
    stamp->session = NULL;
    stamp->user = NULL;
    sync_heap_order();
    stamp->pid = 0;

    ngx_shmtx_unlock(&z->shpool->mutex);
}


void *
sync_zone_alloc_locked(sync_zone_t *z, size_t size)
{
    void  *p;

    p = sync_heap_alloc(&z->sh->heap, size);

    if (p == NULL) {
        sync_zone_count(z, SYNC_COUNT_FULL, 1);
    }

    return p;
}


void
sync_zone_free_locked(sync_zone_t *z, void *p)
{
    sync_heap_free(&z->sh->heap, p);
}


size_t
sync_zone_size(sync_zone_t *z)
{
    return z->shpool->end - (u_char *) z->shpool;
}


size_t
sync_zone_unused(sync_zone_t *z)
{
    return z->sh->heap.nfree * SYNC_HEAP_GRANULE;
}


void
sync_zone_counters(sync_zone_t *z, uint64_t *sum)
{
    ngx_uint_t       i, n;
    sync_zone_sh_t  *sh;

    sh = z->sh;

    sync_zone_lock(z);

    for (n = 0; n < SYNC_COUNT_MAX; n++) {
        sum[n] = sh->counters[n] + z->unused[n];
    }

    for (i = 0; i < sh->nworkers; i++) {

        if (sh->workers[i].pid == 0) {
            continue;
        }

        for (n = 0; n < SYNC_COUNT_MAX; n++) {
            sum[n] += sh->workers[i].counters[n];
        }
    }

    sync_zone_unlock(z);
}


/* SipHash, with one round a word and three at the end */

#define sync_zone_rotate(x, n)  ((x) << (n) | (x) >> (64 - (n)))

#define sync_zone_round(v)                                                    \
    (v)[0] += (v)[1];                                                         \
    (v)[1] = sync_zone_rotate((v)[1], 13) ^ (v)[0];                           \
    (v)[0] = sync_zone_rotate((v)[0], 32);                                    \
    (v)[2] += (v)[3];                                                         \
    (v)[3] = sync_zone_rotate((v)[3], 16) ^ (v)[2];                           \
    (v)[0] += (v)[3];                                                         \
    (v)[3] = sync_zone_rotate((v)[3], 21) ^ (v)[0];                           \
    (v)[2] += (v)[1];                                                         \
    (v)[1] = sync_zone_rotate((v)[1], 17) ^ (v)[2];                           \
    (v)[2] = sync_zone_rotate((v)[2], 32)


uint32_t
sync_zone_hash(sync_zone_t *z, const u_char *data, size_t len)
{
    uint64_t  m;

    m = sync_zone_hash64(z, data, len);

    return (uint32_t) (m ^ m >> 32);
}


uint64_t
sync_zone_hash64(sync_zone_t *z, const u_char *data, size_t len)
{
    size_t     n;
    uint64_t   m, v[4];

    v[0] = z->sh->key[0] ^ 0x736f6d6570736575;
    v[1] = z->sh->key[1] ^ 0x646f72616e646f6d;
    v[2] = z->sh->key[0] ^ 0x6c7967656e657261;
    v[3] = z->sh->key[1] ^ 0x7465646279746573;

    for (n = len; n >= sizeof(uint64_t); n -= sizeof(uint64_t)) {
        ngx_memcpy(&m, data, sizeof(uint64_t));
        data += sizeof(uint64_t);

        v[3] ^= m;
        sync_zone_round(v);
        v[0] ^= m;
    }

    m = 0;
    ngx_memcpy(&m, data, n);
    m ^= (uint64_t) len << 56;

    v[3] ^= m;
    sync_zone_round(v);
    v[0] ^= m;

    v[2] ^= 0xff;
    sync_zone_round(v);
    sync_zone_round(v);
    sync_zone_round(v);

    return v[0] ^ v[1] ^ v[2] ^ v[3];
}


void
sync_zone_queue_add(ngx_queue_t *h, ngx_queue_t *q)
{
    q->prev = h->prev;
    q->next = h;
    sync_heap_order();

    h->prev->next = q;
    sync_heap_order();

    h->prev = q;
}


void
sync_zone_queue_remove(ngx_queue_t *q)
{
    q->prev->next = q->next;
    sync_heap_order();

    q->next->prev = q->prev;
}


void
sync_zone_queue_mend(ngx_queue_t *h)
{
    ngx_queue_t  *q;

    q = h;

    do {
        q->next->prev = q;
        q = q->next;

    } while (q != h);
}
