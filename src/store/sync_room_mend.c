
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_room.h>


/*
 * After a death in the lock.  What is stamped is believed where one store
 * made it so: next pointers, a member's own pointers.  All else about it is
 * made anew: prev pointers, counts, flags.  What was half there is taken
 * away: a member that is in its room or in its record only, an interest or
 * a volatile room without members.
 *
 * It is done in an order in which it may be begun again, as the mender may
 * die too: what is stamped stays so until it is mended.
 */


static void sync_room_mend_interest(sync_zone_t *z, sync_interest_t *in);
static void sync_room_mend_member(sync_member_t *m);
static void sync_room_mend_record(sync_zone_t *z, sync_stamp_t *stamp);
static void sync_room_recount_workers(sync_zone_t *z);
static void sync_room_mend_room(sync_zone_t *z, sync_room_t *room);
static void sync_room_recount(sync_room_t *room);
static void sync_room_recount_all(sync_zone_t *z);
static ngx_uint_t sync_room_is_queued(ngx_queue_t *h, ngx_queue_t *q);


void
sync_room_mend(sync_zone_t *z, sync_stamp_t *stamp)
{
    ngx_uint_t       i;
    sync_zone_sh_t  *sh;

    sh = z->sh;

    for (i = 0; i < sh->nworkers; i++) {
        if (sh->workers[i].pid == stamp->pid) {
            sync_worker_bury_locked(z, &sh->workers[i]);
        }
    }

    if (stamp->interest) {
        sync_room_mend_interest(z, stamp->interest);
        sync_heap_order();
        stamp->interest = NULL;
        sync_heap_order();
    }

    if (stamp->member) {
        sync_room_mend_member(stamp->member);
        sync_heap_order();
        stamp->member = NULL;
        sync_heap_order();
    }

    if (stamp->user) {
        sync_registry_mend_user(z, stamp->user);
        sync_heap_order();
        stamp->user = NULL;
        sync_heap_order();
    }

    if (stamp->room) {
        sync_room_mend_room(z, stamp->room);
        sync_heap_order();
        stamp->room = NULL;
        sync_heap_order();
    }

    if (stamp->record) {
        sync_room_mend_record(z, stamp);
    }
}


/*
 * A client was to go to another worker: it stays where it is now, and goes
 * with that one's slot.  An interest that was made for it has no members.
 */

static void
sync_room_mend_record(sync_zone_t *z, sync_stamp_t *stamp)
{
    sync_member_t    *m;
    sync_interest_t  *in, *next;

    for (m = stamp->record->members; m; m = m->next) {

        for (in = m->room->interests; in; in = next) {
            next = in->next;

            if (in->nmembers) {
                continue;
            }

            stamp->room = m->room;
            sync_heap_order();

            sync_room_drop_interest_locked(z, in);

            sync_heap_order();
            stamp->room = NULL;
            sync_heap_order();
        }
    }

    sync_room_recount_workers(z);
}


/* Counts of workers that live; from the records, whoever they belong to. */

static void
sync_room_recount_workers(sync_zone_t *z)
{
    uint32_t         i;
    sync_member_t   *m;
    sync_record_t   *rec;
    sync_worker_t   *w;
    sync_zone_sh_t  *sh;

    sh = z->sh;

    sh->nclients = 0;
    sh->nmembers = 0;

    for (i = 0; i < sh->nworkers; i++) {
        sh->workers[i].nclients = 0;
        sh->workers[i].nmembers = 0;
    }

    for (i = 0; i <= sh->mask; i++) {

        for (rec = sh->records[i]; rec; rec = rec->next) {
            w = &sh->workers[rec->slot];

            w->nclients += !w->dead;
            sh->nclients += !w->dead;

            for (m = rec->members; m; m = m->next) {
                w = &sh->workers[m->interest->slot];

                if (!w->dead && !sync_room_is_private(m->room)) {
                    w->nmembers++;
                    sh->nmembers++;
                }
            }
        }
    }
}


static void
sync_room_mend_interest(sync_zone_t *z, sync_interest_t *in)
{
    ngx_queue_t  *h;

    h = &z->sh->workers[in->slot].dirty;

    sync_zone_queue_mend(h);

    in->queued = sync_room_is_queued(h, &in->dirty);
}


static ngx_uint_t
sync_room_is_queued(ngx_queue_t *h, ngx_queue_t *q)
{
    ngx_queue_t  *next;

    for (next = ngx_queue_head(h); next != h; next = ngx_queue_next(next)) {
        if (next == q) {
            return 1;
        }
    }

    return 0;
}


static void
sync_room_mend_member(sync_member_t *m)
{
    ngx_uint_t        in_room, n;
    ngx_queue_t      *h;
    sync_member_t   **p, **place;

    h = &m->room->members;
    place = NULL;

    sync_zone_queue_mend(h);

    in_room = sync_room_is_queued(h, &m->queue);

    for (p = &m->record->members; *p; p = &(*p)->next) {
        if (*p == m) {
            place = p;
        }
    }

    if (in_room && place == NULL) {
        sync_zone_queue_remove(&m->queue);
    }

    if (!in_room && place) {
        *place = m->next;
    }

    n = 0;

    for (p = &m->record->members; *p; p = &(*p)->next) {
        n++;
    }

    m->record->nrooms = (uint16_t) n;
}


static void
sync_room_mend_room(sync_zone_t *z, sync_room_t *room)
{
    ngx_uint_t        idle;
    sync_ids_t       *ids;
    sync_room_t      *p;
    sync_zone_sh_t   *sh;
    sync_interest_t  *in, *next;

    sh = z->sh;

    sync_zone_queue_mend(&sh->idle);
    sync_room_recount_all(z);

    for (p = sh->rooms[room->hash & sh->mask]; p; p = p->next) {
        if (p == room) {
            break;
        }
    }

    if (p == NULL && room != sh->host && room != sh->relay) {

        /* not linked yet, or no more */

        return;
    }

    sync_zone_queue_mend(&room->members);
    sync_room_recount(room);

    sync_log_reset_locked(z, &room->log);

    ids = room->ids;
    room->ids = NULL;
    sync_heap_order();

    if (ids) {
        sync_zone_free_locked(z, ids);
    }

    sync_zone_count(z, SYNC_COUNT_RESETS, 1);

    for (in = room->interests; in; in = next) {
        next = in->next;

        if (in->nmembers || room == sh->host) {
            sync_room_queue_locked(z, in);

        } else {
            sync_room_drop_interest_locked(z, in);
        }
    }

    if (room == sh->host || room == sh->relay) {
        return;
    }

    idle = sync_room_is_queued(&sh->idle, &room->idle);

    if (idle && (room->nmembers || room->history == 0)) {
        sync_zone_queue_remove(&room->idle);
    }

    if (room->nmembers == 0) {

        if (room->history == 0) {
            sync_room_destroy_locked(z, room);

        } else if (!idle) {
            sync_zone_queue_add(&sh->idle, &room->idle);
        }
    }
}


static void
sync_room_recount(sync_room_t *room)
{
    ngx_queue_t      *q;
    sync_member_t    *m;
    sync_interest_t  *in;

    for (in = room->interests; in; in = in->next) {
        in->nmembers = 0;
    }

    room->nmembers = 0;

    for (q = ngx_queue_head(&room->members);
         q != ngx_queue_sentinel(&room->members);
         q = ngx_queue_next(q))
    {
        m = ngx_queue_data(q, sync_member_t, queue);

        m->interest->nmembers++;
        room->nmembers++;
    }
}


/* Counts the rooms: it is not known whether the stamped one was counted. */

static void
sync_room_recount_all(sync_zone_t *z)
{
    uint32_t         i;
    sync_room_t     *room;
    sync_zone_sh_t  *sh;

    sh = z->sh;

    sh->nrooms = 0;
    sh->nprivate = 0;
    sh->npatterns = 0;
    ngx_memzero(sh->patterns, sizeof(sh->patterns));

    for (i = 0; i <= sh->mask; i++) {

        for (room = sh->rooms[i]; room; room = room->next) {
            sh->nrooms++;
            sh->nprivate += sync_room_is_private(room);

            if (room->name[room->len - 1] == '*') {
                sh->npatterns++;
                sh->patterns[room->len]++;
            }
        }
    }
}
