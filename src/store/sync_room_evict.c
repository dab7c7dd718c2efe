
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_room.h>


/*
 * How much of what was said is kept.
 *
 *     oldest                                          top
 *     | read by all ............ | not read by some .. |
 *     | volatile: freed          |
 *     | history:  the last "history" of all, no older than "ttl"
 *
 * What a living worker has not read is kept by both, up to the log's limit
 * in bytes: to count is no reason to take from members what they are about
 * to hear.
 *
 * If the zone is nearly full, rooms without members give up their oldest
 * messages, the room that was silent longest first.  The rest of the zone is
 * for clients and their rooms.
 */


#define SYNC_ROOM_FREE_SHARE  8         /* of the zone's memory stays free */
#define SYNC_ROOM_VICTIMS     32        /* idle rooms to choose from */
#define SYNC_ROOM_AGE         1024      /* entries freed at once */
#define SYNC_ROOM_SWEEP       64        /* buckets a call */
#define SYNC_ROOM_RELIEF      16        /* chunks a call */


static void sync_room_keep(sync_zone_t *z, sync_room_t *room);
static uint64_t sync_room_read_by_all(sync_zone_t *z, sync_room_t *room);
static sync_room_t *sync_room_victim(sync_zone_t *z, sync_room_t *but);


void
sync_room_trim_locked(sync_zone_t *z, sync_room_t *room)
{
    uint64_t  lsn;

    if (room->log.count == 0) {
        return;
    }

    if (room->history) {
        sync_room_keep(z, room);
        return;
    }

    lsn = sync_room_read_by_all(z, room);

    if (lsn < room->log.oldest) {
        return;
    }

    z->sh->stamp.room = room;
    sync_heap_order();

    room->log.why = SYNC_LOG_READ;
    sync_log_trim_locked(z, &room->log, lsn);
}


static void
sync_room_keep(sync_zone_t *z, sync_room_t *room)
{
    uint64_t      lsn, now;
    ngx_uint_t    n;
    ngx_time_t   *tp;
    sync_log_t   *log;

    log = &room->log;
    lsn = sync_room_read_by_all(z, room);

    if (log->oldest > lsn) {
        return;
    }

    z->sh->stamp.room = room;
    sync_heap_order();

    for (n = 0; log->count > room->history && log->oldest <= lsn; n++) {
        log->why = SYNC_LOG_COUNT;
        sync_log_trim_locked(z, log, log->oldest);
    }

    sync_zone_count(z, SYNC_COUNT_EVICTED_COUNT, n);

    tp = ngx_timeofday();
    now = (uint64_t) tp->sec * 1000 + tp->msec;

    n = sync_log_age_locked(z, log, now - (uint64_t) room->ttl * 1000, lsn,
                            SYNC_ROOM_AGE);

    sync_zone_count(z, SYNC_COUNT_EVICTED_AGE, n);
}


/* The LSN that all workers have read up to, but for dead and stalled ones. */

static uint64_t
sync_room_read_by_all(sync_zone_t *z, sync_room_t *room)
{
    uint64_t          lsn;
    sync_worker_t    *w;
    sync_interest_t  *in;

    lsn = room->log.top;

    for (in = room->interests; in; in = in->next) {
        w = &z->sh->workers[in->slot];

        if (in->cursor < lsn && !w->dead && !sync_worker_stalled(w->beat)) {
            lsn = in->cursor;
        }
    }

    return lsn;
}


ngx_uint_t
sync_room_pressed_locked(sync_zone_t *z)
{
    return z->sh->heap.nfree < z->sh->heap.ngranules / SYNC_ROOM_FREE_SHARE;
}


ngx_int_t
sync_room_relieve_locked(sync_zone_t *z, sync_room_t *but)
{
    sync_room_t  *room;

    room = sync_room_victim(z, but);

    if (room == NULL) {
        return SYNC_DECLINED;
    }

    sync_room_give_up_locked(z, room);

    return SYNC_OK;
}


void
sync_room_give_up_locked(sync_zone_t *z, sync_room_t *room)
{
    uint32_t      n;
    sync_log_t   *log;
    sync_room_t  *stamped;

    log = &room->log;
    n = log->count;

    stamped = z->sh->stamp.room;
    z->sh->stamp.room = room;
    sync_heap_order();

    log->why = SYNC_LOG_PRESSURE;
    sync_log_trim_locked(z, log, log->head->last);

    sync_heap_order();
    z->sh->stamp.room = stamped;
    sync_heap_order();

    if (room->history) {
        sync_zone_count(z, SYNC_COUNT_EVICTED_PRESSURE, n - log->count);
    }
}


static sync_room_t *
sync_room_victim(sync_zone_t *z, sync_room_t *but)
{
    ngx_uint_t    i;
    ngx_queue_t  *q;
    sync_room_t  *room, *found;

    found = NULL;
    q = ngx_queue_head(&z->sh->idle);

    for (i = 0; i < SYNC_ROOM_VICTIMS; i++) {

        if (q == ngx_queue_sentinel(&z->sh->idle)) {
            break;
        }

        room = ngx_queue_data(q, sync_room_t, idle);
        q = ngx_queue_next(q);

        if (room != but && room->log.count
            && (found == NULL
                || (ngx_msec_int_t) (room->seen - found->seen) < 0))
        {
            found = room;
        }
    }

    return found;
}


/*
 * What gets too old in rooms where nothing is said is freed bucket by bucket;
 * who resumes there looks at the age itself.
 */

void
sync_room_sweep_locked(sync_zone_t *z)
{
    ngx_uint_t       i;
    sync_room_t     *room;
    sync_zone_sh_t  *sh;

    sh = z->sh;

    for (i = 0; i < SYNC_ROOM_SWEEP; i++) {

        sh->sweep = (sh->sweep + 1) & sh->mask;

        for (room = sh->rooms[sh->sweep]; room; room = room->next) {

            if (room->history && room->log.count) {
                sync_room_keep(z, room);
            }
        }
    }

    sync_heap_order();
    sh->stamp.room = NULL;
    sync_heap_order();

    for (i = 0; i < SYNC_ROOM_RELIEF && sync_room_pressed_locked(z); i++) {

        if (sync_room_relieve_locked(z, NULL) != SYNC_OK) {
            break;
        }
    }
}
