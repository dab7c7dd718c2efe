
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_room.h>


/*
 * Rooms whose order is made elsewhere.
 *
 *     rebase, mirror, mirror, ... --> linked --> mirror, mirror, ...
 *       (nobody is told of these)     (told: the log begins anew)
 *
 * The log follows another one, entry by entry, each naming the one before it.
 * When it is begun anew, what members are told of it waits until all is
 * there: they go on at its end.
 */


static void sync_room_pass(sync_zone_t *z, sync_room_t *room);


ngx_int_t
sync_room_top(sync_zone_t *z, sync_str_t *name, sync_position_t *top)
{
    sync_room_t  *room;

    sync_zone_lock(z);

    room = sync_room_lookup_locked(z, name);

    if (room) {
        top->lsn = room->log.top;
        top->nonce = room->log.nonce;
    }

    sync_zone_unlock(z);

    return room ? SYNC_OK : SYNC_DECLINED;
}


ngx_int_t
sync_room_rebase(sync_zone_t *z, sync_str_t *name, sync_room_rule_t *rule,
    sync_position_t *at)
{
    ngx_uint_t    new;
    sync_log_t   *log;
    sync_room_t  *room;

    sync_zone_lock(z);

    room = sync_room_lookup_locked(z, name);
    new = (room == NULL);

    if (new) {
        room = sync_room_create_locked(z, name, rule);
        if (room == NULL) {
            sync_zone_unlock(z);
            return SYNC_BUSY;
        }
    }

    log = &room->log;

    z->sh->stamp.room = room;
    sync_heap_order();

    /*
     * whoever is there was told another place to go on from; before the first
     * entry, where it was not known yet, that is the same
     */

    if (!new && (log->count || log->top != at->lsn
                 || (log->nonce != at->nonce && (log->top || log->nonce))))
    {
        sync_log_reset_locked(z, log);
    }

    room->linked = SYNC_ROOM_LOADING;

    log->top = at->lsn;
    log->nonce = at->nonce;
    log->birth = at->nonce;
    log->trimmed = at->lsn;
    log->oldest = at->lsn + 1;

    sync_room_pass(z, room);

    if (new) {
        sync_room_add_locked(z, room);
    }

    sync_zone_unlock(z);

    return SYNC_OK;
}


ngx_int_t
sync_room_mirror(sync_zone_t *z, sync_str_t *name, sync_position_t *prev,
    sync_message_t *m, sync_mirror_tell_e tell, sync_published_t *p)
{
    uint32_t      nonce;
    ngx_int_t     rc;
    sync_log_t   *log;
    sync_room_t  *room;

    ngx_memzero(p, offsetof(sync_published_t, wake));
    p->wake.n = 0;

    sync_zone_lock(z);

    room = sync_room_lookup_locked(z, name);

    if (room == NULL || room->history == 0) {
        sync_zone_unlock(z);
        return SYNC_AGAIN;
    }

    log = &room->log;

    if (prev->lsn == 0 && log->top == 0 && log->nonce == 0) {

        /* where it begins is known now */

        z->sh->stamp.room = room;
        sync_heap_order();

        log->birth = prev->nonce;
        log->nonce = prev->nonce;
    }

    if (m->lsn <= log->top) {
        rc = sync_log_nonce_locked(log, m->lsn, &nonce);
        rc = (rc == SYNC_OK && nonce != m->nonce) ? SYNC_ERROR
                                                  : SYNC_DECLINED;

    } else if (prev->lsn != log->top) {
        rc = (prev->lsn > log->top) ? SYNC_AGAIN : SYNC_ERROR;

    } else if (prev->nonce != log->nonce) {
        rc = SYNC_ERROR;

    } else {
        rc = sync_room_append_locked(z, room, m);
    }

    if (rc == SYNC_OK) {
        p->lsn = log->top;
        p->nonce = log->nonce;
        p->history = 1;

        sync_text_add_locked(z, name, m);

        if (tell == SYNC_MIRROR_QUIET) {
            sync_room_pass(z, room);

        } else {
            sync_room_announce_locked(z, room, p);
            sync_receipt_expect_locked(z, m,
                                       sync_room_deliverers_locked(room));
        }

        if (tell == SYNC_MIRROR_TELL) {
            (void) sync_room_patterns_locked(z, name, room, m, p);
        }
    }

    sync_zone_unlock(z);

    return rc;
}


void
sync_room_patterns(sync_zone_t *z, sync_str_t *name, sync_message_t *m,
    sync_published_t *p)
{
    ngx_memzero(p, offsetof(sync_published_t, wake));
    p->wake.n = 0;

    sync_zone_lock(z);

    (void) sync_room_patterns_locked(z, name, NULL, m, p);

    sync_zone_unlock(z);
}


void
sync_room_link(sync_zone_t *z, sync_str_t *name, uint32_t link,
    sync_wake_set_t *wake)
{
    sync_room_t       *room;
    sync_published_t   p;

    p.wake.n = 0;

    sync_zone_lock(z);

    room = sync_room_lookup_locked(z, name);

    if (room) {
        z->sh->stamp.room = room;
        sync_heap_order();

        room->linked = link;

        sync_room_announce_locked(z, room, &p);
    }

    sync_zone_unlock(z);

    *wake = p.wake;
}


void
sync_room_unlink(sync_zone_t *z, sync_str_t *name, uint32_t link)
{
    sync_room_t  *room;

    sync_zone_lock(z);

    room = sync_room_lookup_locked(z, name);

    if (room && room->linked == link) {
        room->linked = 0;
    }

    sync_zone_unlock(z);
}


uint32_t
sync_room_linked(sync_zone_t *z, sync_str_t *name)
{
    uint32_t      link;
    sync_room_t  *room;

    sync_zone_lock(z);

    room = sync_room_lookup_locked(z, name);
    link = room ? room->linked : 0;

    sync_zone_unlock(z);

    return link;
}


/*
 * Workers go on behind all there is; their members are told, but for those who
 * are to be told already.  Some may have joined since the log began anew.
 */

static void
sync_room_pass(sync_zone_t *z, sync_room_t *room)
{
    ngx_queue_t      *q;
    sync_member_t    *m;
    sync_interest_t  *in;

    for (in = room->interests; in; in = in->next) {
        sync_room_unqueue_locked(z, in);

        if (in->cursor < room->log.top && in->epoch == room->log.epoch) {
            in->epoch--;
        }

        in->cursor = room->log.top;
        in->passed = (uint32_t) room->log.top;
    }

    for (q = ngx_queue_head(&room->members);
         q != ngx_queue_sentinel(&room->members);
         q = ngx_queue_next(q))
    {
        m = ngx_queue_data(q, sync_member_t, queue);

        /* who joined later than this log got to is to hear of it */

        if (m->start > room->log.top && m->start != SYNC_ROOM_READING) {
            m->start = room->log.top;
        }
    }
}
