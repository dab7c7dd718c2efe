
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_relay.h>
#include <sync_holder.h>


/* of the zone: what may wait to be passed on, 1/8 */
#define SYNC_RELAY_SHARE  8


ngx_uint_t
sync_relay_wanted(sync_zone_t *z)
{
    ngx_uint_t  i;

    if (z->hub == NULL) {
        return 0;
    }

    for (i = 0; i < SYNC_RELAYS_MAX; i++) {
        if (sync_relay_is_other(z, i)) {
            return 1;
        }
    }

    return 0;
}


void
sync_relay_append_locked(sync_zone_t *z, sync_str_t *name,
    sync_message_t *m, sync_published_t *p)
{
    ngx_int_t         slot;
    sync_room_t      *room;
    sync_message_t    message;
    sync_room_rule_t  rule;

    static sync_str_t  none = { 0, NULL };

    room = z->sh->relay;

    if (room == NULL) {
        ngx_memzero(&rule, sizeof(sync_room_rule_t));
        rule.limit = sync_zone_size(z) / SYNC_RELAY_SHARE;

        room = sync_room_create_locked(z, &none, &rule);

        if (room == NULL) {
            sync_zone_count(z, SYNC_COUNT_BRIDGE_LOST, 1);
            return;
        }

        sync_heap_order();
        z->sh->relay = room;
    }

    message = *m;
    message.lsn = 0;
    message.id = 0;

    if (name) {
        message.subject = *name;
    }

    z->sh->stamp.room = room;
    sync_heap_order();

    if (sync_log_append_locked(z, &room->log, &message) != SYNC_OK) {
        sync_zone_count(z, SYNC_COUNT_BRIDGE_LOST, 1);
        return;
    }

    slot = sync_holder_slot(z, SYNC_RELAY_HOLDER);

    if (slot != -1) {
        sync_worker_mark_locked(z, slot, &p->wake);
    }
}


ssize_t
sync_relay_read(sync_zone_t *z, u_char *p, size_t size, uint64_t *lost,
    size_t *need)
{
    ssize_t      n;
    uint64_t     cursor, last;
    sync_log_t  *log;

    *lost = 0;

    /* none is taken away again: who sees one need not lock */

    if (z->sh->relay == NULL) {
        return 0;
    }

    sync_zone_lock(z);

    log = &z->sh->relay->log;

    cursor = ngx_max(z->sh->relayed, log->trimmed);
    *lost = cursor - z->sh->relayed;
    last = cursor;

    n = sync_log_read_locked(log, cursor, p, size, &last, need);

    sync_zone_unlock(z);

    return n;
}


void
sync_relay_passed(sync_zone_t *z, uint64_t lsn)
{
    sync_zone_lock(z);

    z->sh->stamp.room = z->sh->relay;
    sync_heap_order();

    z->sh->relayed = lsn;
    sync_heap_order();

    sync_log_trim_locked(z, &z->sh->relay->log, lsn);

    sync_zone_unlock(z);
}


ngx_int_t
sync_relay_note(sync_zone_t *z, ngx_uint_t place, uint64_t zone,
    uint64_t lsn, uint64_t *lost)
{
    ngx_int_t           rc;
    sync_relay_seen_t  *seen;

    *lost = 0;
    rc = SYNC_OK;

    sync_zone_lock(z);

    seen = &z->sh->seen[place];

    if (seen->zone != zone) {
        seen->lsn = lsn;
        sync_heap_order();
        seen->zone = zone;

    } else if (lsn <= seen->lsn) {
        rc = SYNC_DECLINED;

    } else {
        *lost = lsn - seen->lsn - 1;
        seen->lsn = lsn;
    }

    sync_zone_unlock(z);

    return rc;
}
