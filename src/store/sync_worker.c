
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_worker.h>


/*
 * What of a slot needs no room: its beat, its wake-up, the life of its
 * process.  How slots are taken and given back is in sync_slot.c.
 */


/* "/proc/" and what follows it, of any pid */
#define SYNC_WORKER_PATH_MAX  (sizeof("/proc//stat") + NGX_INT64_LEN)

/* the start time is the 22nd field, the 20th after the name */
#define SYNC_WORKER_STAT_FIELD  20
#define SYNC_WORKER_STAT_MAX    1024


void
sync_worker_beat(sync_zone_t *z)
{
    z->self->beat = ngx_current_msec;
}


ngx_uint_t
sync_worker_count(sync_zone_t *z)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < z->sh->nworkers; i++) {
        if (z->sh->workers[i].pid) {
            n++;
        }
    }

    return n;
}


void
sync_worker_mark_locked(sync_zone_t *z, ngx_uint_t slot,
    sync_wake_set_t *wake)
{
    ngx_uint_t      i;
    sync_worker_t  *w;

    w = &z->sh->workers[slot];

    if (w->woken || !ngx_atomic_cmp_set(&w->woken, 0, 1)) {
        return;
    }

    /* the owner may have cleared it since it was added here */

    for (i = 0; i < wake->n; i++) {
        if (wake->slots[i] == slot) {
            return;
        }
    }

    wake->slots[wake->n++] = (uint16_t) slot;
}


/*
 * The dead worker's own counts may be wrong, and with them the sums, if it
 * died while it changed them.
 */

void
sync_worker_bury_locked(sync_zone_t *z, sync_worker_t *w)
{
    ngx_uint_t  i;

    w->dead = 1;
    w->nclients = 0;
    w->nmembers = 0;

    z->sh->nclients = 0;
    z->sh->nmembers = 0;

    for (i = 0; i < z->sh->nworkers; i++) {
        z->sh->nclients += z->sh->workers[i].nclients;
        z->sh->nmembers += z->sh->workers[i].nmembers;
    }
}


void
sync_worker_count_client_locked(sync_zone_t *z, ngx_uint_t slot, ngx_int_t n)
{
    sync_worker_t  *w;

    w = &z->sh->workers[slot];

    if (!w->dead) {
        w->nclients += n;
        z->sh->nclients += n;
    }
}


void
sync_worker_count_member_locked(sync_zone_t *z, ngx_uint_t slot, ngx_int_t n)
{
    sync_worker_t  *w;

    w = &z->sh->workers[slot];

    if (!w->dead) {
        w->nmembers += n;
        z->sh->nmembers += n;
    }
}


uint64_t
sync_worker_started(ngx_pid_t pid)
{
    int          fd;
    u_char      *p, *last;
    ssize_t      n;
    uint64_t     started;
    ngx_uint_t   field;
    u_char       path[SYNC_WORKER_PATH_MAX], buf[SYNC_WORKER_STAT_MAX];

    (void) ngx_sprintf(path, "/proc/%P/stat%Z", pid);

    fd = open((char *) path, O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return 0;
    }

    n = read(fd, buf, SYNC_WORKER_STAT_MAX);
    (void) close(fd);           /* it was only read from */

    if (n <= 0) {
        return 0;
    }

    /* the name may hold anything, parentheses too */

    last = buf + n;

    for (p = last; p > buf && p[-1] != ')'; p--) { /* void */ }

    for (field = 0; field < SYNC_WORKER_STAT_FIELD; field++) {
        p = ngx_strlchr(p, last, ' ');
        if (p == NULL) {
            return 0;
        }

        p++;
    }

    for (started = 0; p < last && *p >= '0' && *p <= '9'; p++) {
        started = started * 10 + (*p - '0');
    }

    return started;
}


ngx_uint_t
sync_worker_is_gone(ngx_pid_t pid, uint64_t started, ngx_msec_t beat)
{
    uint64_t  now;

    if (kill(pid, 0) == -1 && ngx_errno == ESRCH) {
        return 1;
    }

    if (!sync_worker_stalled(beat)) {
        return 0;
    }

    now = sync_worker_started(pid);

    return started && now && started != now;
}
