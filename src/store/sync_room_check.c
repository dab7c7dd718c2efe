
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_room.h>
#include <sync_absent.h>
#include <sync_ack.h>
#include <sync_former.h>
#include <sync_presence_store.h>
#include <sync_share.h>


/*
 * What holds between calls, link by link.
 */


#define sync_room_must(cond, text)                                            \
    if (!(cond)) {                                                            \
        return text;                                                          \
    }


typedef struct {
    size_t               used;          /* bytes that something leads to */
    ngx_uint_t           nrooms;
    ngx_uint_t           nprivate;
    ngx_uint_t           nidle;
    ngx_uint_t           nclients;
    ngx_uint_t           nmembers;
    ngx_uint_t           nusers;        /* of records, in a chain */
    ngx_uint_t           npatterns;
    ngx_uint_t           nqueued;
    uint32_t             patterns[SYNC_NAME_MAX + 1];
    uint32_t             clients[SYNC_WORKERS_MAX];
    uint32_t             members[SYNC_WORKERS_MAX];
} sync_room_sum_t;


static const char *sync_room_check_room(sync_zone_t *z, sync_room_t *room,
    sync_room_sum_t *sum);
static const char *sync_room_check_members(sync_zone_t *z,
    sync_room_t *room, sync_room_sum_t *sum);
static const char *sync_room_check_interests(sync_zone_t *z,
    sync_room_t *room, sync_room_sum_t *sum);
static const char *sync_room_check_log(sync_zone_t *z, sync_room_t *room,
    sync_room_sum_t *sum);
static const char *sync_room_check_record(sync_zone_t *z,
    sync_record_t *rec, sync_room_sum_t *sum);
static const char *sync_room_check_workers(sync_zone_t *z,
    sync_room_sum_t *sum);
static const char *sync_room_check_idle(sync_zone_t *z,
    sync_room_sum_t *sum);
static ngx_uint_t sync_room_bucket_of(sync_zone_t *z, sync_record_t *rec);
static ngx_uint_t sync_room_in_queue(ngx_queue_t *h, ngx_queue_t *q);


const char *
sync_room_check(sync_zone_t *z, size_t *lost)
{
    uint32_t          i;
    ngx_uint_t        n;
    const char       *text;
    sync_room_t      *room;
    sync_record_t    *rec;
    sync_zone_sh_t   *sh;
    sync_room_sum_t   sum;

    sh = z->sh;
    ngx_memzero(&sum, sizeof(sync_room_sum_t));

    text = sync_heap_check(&sh->heap);
    sync_room_must(text == NULL, text);

    for (i = 0; i <= sh->mask; i++) {

        for (room = sh->rooms[i]; room; room = room->next) {
            sync_room_must((room->hash & sh->mask) == i
                           && room->hash == sync_zone_hash(z, room->name,
                                                           room->len),
                           "room: wrong bucket");

            sum.nrooms++;
            sum.nprivate += sync_room_is_private(room);

            if (room->name[room->len - 1] == '*') {
                sum.npatterns++;
                sum.patterns[room->len]++;
            }

            text = sync_room_check_room(z, room, &sum);
            sync_room_must(text == NULL, text);
        }

        for (rec = sh->records[i]; rec; rec = rec->next) {
            sync_room_must(sync_room_bucket_of(z, rec) == i,
                           "record: wrong bucket");

            text = sync_room_check_record(z, rec, &sum);
            sync_room_must(text == NULL, text);
        }
    }

    if (sh->host) {
        text = sync_room_check_room(z, sh->host, &sum);
        sync_room_must(text == NULL, text);
    }

    if (sh->relay) {
        text = sync_room_check_room(z, sh->relay, &sum);
        sync_room_must(text == NULL, text);
    }

    text = sync_room_check_workers(z, &sum);
    sync_room_must(text == NULL, text);

    text = sync_room_check_idle(z, &sum);
    sync_room_must(text == NULL, text);

    sync_room_must(sum.nrooms == sh->nrooms
                   && sum.nprivate == sh->nprivate,
                   "zone: wrong count of rooms");
    sync_room_must(sum.npatterns == sh->npatterns
                   && ngx_memcmp(sum.patterns, sh->patterns,
                                 sizeof(sum.patterns)) == 0,
                   "zone: wrong counts of patterns");

    text = sync_registry_check(z, &n);
    sync_room_must(text == NULL, text);
    sync_room_must(n == sum.nusers, "zone: wrong count of users");

    text = sync_ack_check(z, &sum.used);
    sync_room_must(text == NULL, text);

    text = sync_former_check(z, &sum.used);
    sync_room_must(text == NULL, text);

    text = sync_text_check(z, &sum.used);
    sync_room_must(text == NULL, text);

    text = sync_absent_check(z, &sum.used);
    sync_room_must(text == NULL, text);

    text = sync_share_check(z, &sum.used);
    sync_room_must(text == NULL, text);

    text = sync_presence_check(z, &sum.used);
    sync_room_must(text == NULL, text);

    *lost = (sh->heap.ngranules - sh->heap.nfree) * SYNC_HEAP_GRANULE
            - sum.used;

    return NULL;
}


static const char *
sync_room_check_room(sync_zone_t *z, sync_room_t *room, sync_room_sum_t *sum)
{
    const char  *text;

    sum->used += sync_heap_block_size(&z->sh->heap, room);

    if (room->ids) {
        text = sync_ids_check(room->ids);
        sync_room_must(text == NULL, text);

        sum->used += sync_heap_block_size(&z->sh->heap, room->ids);
    }

    text = sync_room_check_members(z, room, sum);
    sync_room_must(text == NULL, text);

    text = sync_room_check_interests(z, room, sum);
    sync_room_must(text == NULL, text);

    text = sync_room_check_log(z, room, sum);
    sync_room_must(text == NULL, text);

    if (room->nmembers == 0 && room != z->sh->host && room != z->sh->relay) {
        sync_room_must(room->history, "room: volatile without members");
        sync_room_must(sync_room_in_queue(&z->sh->idle, &room->idle) == 1,
                       "room: not in the idle queue");

        sum->nidle++;
    }

    return NULL;
}


static const char *
sync_room_check_members(sync_zone_t *z, sync_room_t *room,
    sync_room_sum_t *sum)
{
    ngx_uint_t       n;
    ngx_queue_t     *q;
    sync_member_t   *m;
    sync_record_t   *rec, *found;

    n = 0;

    sync_room_must(room->members.next->prev == &room->members,
                   "room: wrong link of members");

    for (q = ngx_queue_head(&room->members);
         q != ngx_queue_sentinel(&room->members);
         q = ngx_queue_next(q))
    {
        sync_room_must(q->next->prev == q, "room: wrong link of members");

        m = ngx_queue_data(q, sync_member_t, queue);
        rec = m->record;

        sync_room_must(m->room == room, "member: of another room");
        found = sync_registry_lookup_locked(z, rec->id);

        sync_room_must(found, "member: record is not there");
        sync_room_must(found == rec, "member: another record has its id");
        sync_room_must(sync_room_member_locked(rec, room) == m,
                       "member: not in its record");

        /* a worker that died may have been about to give it away */

        sync_room_must(m->interest
                       == sync_room_interest_locked(room, rec->slot)
                       || (z->sh->workers[rec->slot].dead
                           && m->interest
                              == sync_room_interest_locked(room,
                                                      m->interest->slot)),
                       "member: of another interest");

        sum->used += sync_heap_block_size(&z->sh->heap, m);
        sum->members[m->interest->slot] += !sync_room_is_private(room);
        sum->nmembers += !sync_room_is_private(room);
        n++;
    }

    sync_room_must(n == room->nmembers, "room: wrong count of members");

    return NULL;
}


static const char *
sync_room_check_interests(sync_zone_t *z, sync_room_t *room,
    sync_room_sum_t *sum)
{
    ngx_uint_t        n, nmembers;
    ngx_queue_t      *q;
    sync_member_t    *m;
    sync_worker_t    *w;
    sync_interest_t  *in;

    nmembers = 0;

    for (in = room->interests; in; in = in->next) {
        w = &z->sh->workers[in->slot];
        n = 0;

        sync_room_must(in->room == room, "interest: of another room");
        sync_room_must(in->slot < z->sh->nworkers && w->pid,
                       "interest: of a free slot");
        sync_room_must(sync_room_interest_locked(room, in->slot) == in,
                       "interest: two of one worker");

        for (q = ngx_queue_head(&room->members);
             q != ngx_queue_sentinel(&room->members);
             q = ngx_queue_next(q))
        {
            m = ngx_queue_data(q, sync_member_t, queue);
            n += (m->interest == in);
        }

        sync_room_must(n == in->nmembers, "interest: wrong count of members");
        sync_room_must(n || room == z->sh->host, "interest: no members");
        sync_room_must(in->cursor <= room->log.top, "interest: ahead");
        sync_room_must(sync_room_in_queue(&w->dirty, &in->dirty)
                       == in->queued,
                       "interest: flag and queue disagree");
        sync_room_must(!in->queued || !in->held, "interest: held and queued");

        /*
         * a worker that died may have been about to queue it, or to trim; that
         * a log is loaded anew is told when all is there
         */

        sync_room_must(in->queued || in->held || w->dead
                       || (in->cursor == room->log.top
                           && (in->epoch == room->log.epoch
                               || room->linked == SYNC_ROOM_LOADING)),
                       "interest: has news and is not queued");

        sum->used += sync_heap_block_size(&z->sh->heap, in);
        sum->nqueued += in->queued;
        nmembers += n;
    }

    sync_room_must(nmembers == room->nmembers, "room: interests are missing");

    return NULL;
}


static const char *
sync_room_check_log(sync_zone_t *z, sync_room_t *room, sync_room_sum_t *sum)
{
    size_t            bytes;
    uint32_t          off;
    uint64_t          last, cursor;
    ngx_uint_t        n;
    sync_log_t       *log;
    sync_entry_t     *e;
    sync_chunk_t     *c;
    sync_interest_t  *in;

    log = &room->log;
    last = log->trimmed;
    bytes = 0;
    n = 0;

    for (c = log->head; c; c = c->next) {

        off = (c == log->head) ? log->head_off : sizeof(sync_chunk_t);

        sync_room_must(c->used <= c->size && off <= c->used,
                       "chunk: wrong sizes");
        sync_room_must(off < c->used || log->count == 0, "chunk: empty");
        sync_room_must(c->next || c == log->tail, "log: wrong tail");

        while (off < c->used) {
            e = (sync_entry_t *) ((u_char *) c + off);

            sync_room_must(e->lsn > last && e->lsn <= log->top,
                           "entry: wrong LSN");
            sync_room_must(n || e->lsn == log->oldest,
                           "log: wrong oldest LSN");
            sync_room_must(e->size >= sizeof(sync_entry_t)
                           && e->size % SYNC_ENTRY_ALIGN == 0
                           && e->size <= c->used - off,
                           "entry: wrong size");

            last = e->lsn;
            bytes += e->size;
            off += e->size;
            n++;
        }

        sync_room_must(n == 0 || c->last == last, "chunk: wrong last LSN");

        sum->used += sync_heap_block_size(&z->sh->heap, c);
    }

    sync_room_must(n == log->count, "log: wrong count");
    sync_room_must(bytes == log->bytes, "log: wrong count of bytes");
    sync_room_must(n == 0 || last == log->top, "log: wrong top");
    sync_room_must(n || log->oldest == log->top + 1, "log: wrong oldest LSN");
    sync_room_must(n <= 1 || bytes <= log->limit, "log: above its limit");

    /* the relay's reader stands in the zone */

    cursor = (room == z->sh->relay) ? z->sh->relayed : log->top;

    for (in = room->interests; in; in = in->next) {
        cursor = z->sh->workers[in->slot].dead ? 0
                                               : ngx_min(cursor, in->cursor);
    }

    if (room->history) {
        sync_room_must(n <= room->history || log->oldest > cursor,
                       "log: above its history");
        return NULL;
    }

    sync_room_must(n == 0 || cursor < log->top, "log: keeps what all read");

    return NULL;
}


static const char *
sync_room_check_record(sync_zone_t *z, sync_record_t *rec,
    sync_room_sum_t *sum)
{
    ngx_uint_t      n, slot;
    const char     *text;
    sync_member_t  *m;

    n = 0;
    slot = rec->slot;

    sync_room_must(slot < z->sh->nworkers && z->sh->workers[slot].pid,
                   "record: of a free slot");

    for (m = rec->members; m; m = m->next) {
        sync_room_must(m->record == rec, "member: of another record");
        sync_room_must(sync_room_in_queue(&m->room->members, &m->queue) == 1,
                       "member: not in its room");
        n++;
    }

    sync_room_must(n == rec->nrooms, "record: wrong count of rooms");

    sum->used += sync_heap_block_size(&z->sh->heap, rec);

    if (rec->user) {
        sum->used += sync_heap_block_size(&z->sh->heap, rec->user);
        sum->nusers += (rec->user->place != NULL);
    }

    text = sync_registry_check_user(z, rec);
    sync_room_must(text == NULL, text);

    sum->clients[slot]++;
    sum->nclients++;

    return NULL;
}


static const char *
sync_room_check_workers(sync_zone_t *z, sync_room_sum_t *sum)
{
    ngx_uint_t      i, nqueued, nclients, nmembers;
    ngx_queue_t    *q;
    sync_worker_t  *w;

    nqueued = 0;
    nclients = 0;
    nmembers = 0;

    for (i = 0; i < z->sh->nslots; i++) {
        w = &z->sh->workers[i];

        sync_room_must(w->dirty.next->prev == &w->dirty,
                       "worker: wrong link of the dirty queue");

        for (q = ngx_queue_head(&w->dirty); q != &w->dirty;
             q = ngx_queue_next(q))
        {
            sync_room_must(q->next->prev == q,
                           "worker: wrong link of the dirty queue");
            nqueued++;
        }

        nclients += w->nclients;
        nmembers += w->nmembers;

        if (w->pid == 0) {
            sync_room_must(w->dirty.next == &w->dirty && w->host == NULL,
                           "worker: a free slot has interests");
            sync_room_must(w->nclients == 0 && w->nmembers == 0,
                           "worker: a free slot has clients");
        }

        sync_room_must(w->nclients == (w->dead ? 0 : sum->clients[i]),
                       "worker: wrong count of clients");
        sync_room_must(w->nmembers == (w->dead ? 0 : sum->members[i]),
                       "worker: wrong count of members");
    }

    sync_room_must(nqueued == sum->nqueued, "worker: queued without a room");
    sync_room_must(nclients == z->sh->nclients,
                   "zone: wrong count of clients");
    sync_room_must(nmembers == z->sh->nmembers,
                   "zone: wrong count of members");

    return NULL;
}


static const char *
sync_room_check_idle(sync_zone_t *z, sync_room_sum_t *sum)
{
    ngx_uint_t    n;
    ngx_queue_t  *q;

    n = 0;

    sync_room_must(z->sh->idle.next->prev == &z->sh->idle,
                   "zone: wrong link of the idle queue");

    for (q = ngx_queue_head(&z->sh->idle); q != &z->sh->idle;
         q = ngx_queue_next(q))
    {
        sync_room_must(q->next->prev == q,
                       "zone: wrong link of the idle queue");
        n++;
    }

    sync_room_must(n == sum->nidle, "zone: idle room with members");

    return NULL;
}


static ngx_uint_t
sync_room_bucket_of(sync_zone_t *z, sync_record_t *rec)
{
    uint32_t  hash;

    ngx_memcpy(&hash, rec->id, sizeof(uint32_t));

    return hash & z->sh->mask;
}


/* How many times. */

static ngx_uint_t
sync_room_in_queue(ngx_queue_t *h, ngx_queue_t *q)
{
    ngx_uint_t    n;
    ngx_queue_t  *next;

    n = 0;

    for (next = ngx_queue_head(h); next != h; next = ngx_queue_next(next)) {
        n += (next == q);
    }

    return n;
}
