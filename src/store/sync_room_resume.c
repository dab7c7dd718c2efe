
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_room.h>


/*
 * Members that read for themselves.
 *
 *     join --> resume --(OK)--> read, read, ... --(done)--> as all others
 *
 * The member is there before the log is looked at.  As long as it reads for
 * itself its worker passes over it: its start is SYNC_ROOM_READING.  The read
 * that comes to the top of the log sets the start to it, in the same lock, so
 * that the worker's next batch goes on where that one ended.
 */


static void sync_room_lost(sync_log_t *log, uint64_t lsn,
    sync_position_t *at);


void
sync_room_resume(sync_zone_t *z, sync_member_t *m, sync_position_t *pos,
    sync_resumed_t *r)
{
    sync_log_t   *log;
    sync_room_t  *room;

    room = m->room;
    log = &room->log;

    sync_zone_lock(z);

    if (room->history) {
        sync_room_trim_locked(z, room);
        r->reason = sync_log_resume_locked(log, pos);

    } else {
        r->reason = SYNC_RESUME_VOLATILE;
    }

    if (r->reason == SYNC_RESUME_OK) {
        m->start = SYNC_ROOM_READING;
    }

    r->top.lsn = log->top;
    r->top.nonce = log->nonce;
    r->epoch = log->epoch;

    sync_zone_unlock(z);
}


ngx_int_t
sync_room_position(sync_zone_t *z, sync_room_t *room, uint64_t lsn,
    sync_position_t *pos)
{
    ngx_int_t  rc;

    sync_zone_lock(z);

    pos->lsn = lsn;
    rc = sync_log_nonce_locked(&room->log, lsn, &pos->nonce);

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_room_recall(sync_zone_t *z, sync_str_t *name, sync_position_t *known,
    sync_position_t *pos)
{
    ngx_int_t     rc;
    sync_room_t  *room;

    rc = SYNC_DECLINED;

    sync_zone_lock(z);

    room = sync_room_lookup_locked(z, name);

    if (room && room->history && pos->lsn <= known->lsn) {
        sync_room_trim_locked(z, room);

        if (sync_log_resume_locked(&room->log, known) == SYNC_RESUME_OK) {
            rc = sync_log_nonce_locked(&room->log, pos->lsn, &pos->nonce);
        }
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_room_read(sync_zone_t *z, sync_member_t *m, sync_read_t *r)
{
    ssize_t      n;
    uint64_t     cursor, last;
    sync_log_t  *log;

    log = &m->room->log;

    sync_zone_lock(z);

    if ((m->record->flags & SYNC_RECORD_ASKED)
        && z->self->host
        && ngx_max(z->self->host->cursor, r->ahead)
           < z->self->host->room->log.top)
    {
        sync_zone_unlock(z);
        return SYNC_BUSY;
    }

    /* a log that began anew may be shorter: all of it is new */

    cursor = (r->epoch == log->epoch) ? ngx_max(r->cursor, log->trimmed)
                                      : log->trimmed;
    last = cursor;

    n = sync_log_read_locked(log, cursor, r->buf, r->size, &last, &r->need);

    if (n == SYNC_AGAIN) {
        sync_zone_unlock(z);
        return SYNC_AGAIN;
    }

    r->lost = SYNC_RESUME_OK;

    if (r->epoch != log->epoch) {
        r->lost = SYNC_RESUME_RESET;

    } else if (cursor != r->cursor) {
        r->lost = SYNC_RESUME_TRIMMED;
    }

    if (r->lost) {
        sync_room_lost(log, cursor, &r->at);
    }

    r->len = n;
    r->cursor = last;
    r->epoch = log->epoch;
    r->done = (last == log->top);

    if (r->done) {
        m->start = last;
    }

    sync_zone_unlock(z);

    return SYNC_OK;
}


/* Where a reader goes on that missed something. */

static void
sync_room_lost(sync_log_t *log, uint64_t lsn, sync_position_t *at)
{
    at->lsn = lsn;

    if (sync_log_nonce_locked(log, lsn, &at->nonce) != SYNC_OK) {

        /* none will match: a resume from there is told as a fork */

        at->nonce = 0;
    }
}


void
sync_room_lost_locked(sync_zone_t *z, sync_interest_t *in, sync_take_t *t)
{
    if (t->lost || t->reset) {
        sync_room_lost(&in->room->log, t->first + t->lost, &t->at);
    }
}
