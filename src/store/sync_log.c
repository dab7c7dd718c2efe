
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_log.h>


/*
 * Chunk sizes double from SYNC_LOG_CHUNK_MIN to SYNC_LOG_CHUNK_MAX while the
 * log is not empty; an entry that is larger gets a chunk of its own.  A log
 * that got empty keeps a chunk of SYNC_LOG_CHUNK_KEEP bytes at most, so that
 * a quiet room that says something now and then does not allocate.
 *
 * Between calls, every chunk but the one that an empty log keeps has an
 * entry that is not freed.  At any instant, head and the next pointers lead
 * through chunks that are not freed, which is all that a reset goes by.
 */


#define SYNC_LOG_CHUNK_MIN   256
#define SYNC_LOG_CHUNK_MAX   16384
#define SYNC_LOG_CHUNK_KEEP  512


#define sync_log_entry(c, off)  ((sync_entry_t *) ((u_char *) (c) + (off)))


static sync_chunk_t *sync_log_create_chunk(sync_zone_t *z, sync_log_t *log,
    size_t size);
static void sync_log_write(sync_log_t *log, sync_entry_t *e,
    sync_message_t *m, size_t size);
static sync_entry_t *sync_log_find(sync_log_t *log, uint64_t lsn);
static void sync_log_empty(sync_zone_t *z, sync_log_t *log);


size_t
sync_log_entry_size(sync_message_t *m)
{
    size_t  size;

    size = sizeof(sync_entry_t) + m->json.len + m->subject.len
           + (size_t) m->nexcept * SYNC_ID_LEN + m->extra.len;

    return ngx_align(size, SYNC_ENTRY_ALIGN);
}


ngx_int_t
sync_log_append_locked(sync_zone_t *z, sync_log_t *log, sync_message_t *m)
{
    size_t         size;
    uint64_t       lsn;
    sync_chunk_t  *c, *spare;

    lsn = m->lsn ? m->lsn : log->top + 1;

    /* the LSN after it must be one as well */

    if (lsn <= log->top || lsn == (uint64_t) -1) {
        return SYNC_DECLINED;
    }

    size = sync_log_entry_size(m);
    spare = NULL;
    c = log->tail;

    if (c == NULL || c->size - c->used < size) {

        c = sync_log_create_chunk(z, log, size);
        if (c == NULL) {
            return SYNC_BUSY;
        }

        if (log->count == 0) {
            spare = log->tail;
        }
    }

    m->lsn = lsn;

    sync_log_write(log, sync_log_entry(c, c->used), m, size);

    if (c->used == sizeof(sync_chunk_t)) {
        c->first = lsn;
    }

    c->last = lsn;
    c->used += size;
    sync_heap_order();

    if (log->count == 0) {
        log->head = c;
        log->head_off = sizeof(sync_chunk_t);
        log->oldest = lsn;

    } else if (c != log->tail) {
        log->tail->next = c;
    }

    log->tail = c;
    log->top = lsn;
    log->nonce = m->nonce;
    log->bytes += size;
    log->count++;

    if (spare) {
        sync_zone_free_locked(z, spare);
    }

    while (log->bytes > log->limit && log->count > 1) {
        log->why = SYNC_LOG_COUNT;
        sync_log_trim_locked(z, log, log->oldest);
    }

    return SYNC_OK;
}


static sync_chunk_t *
sync_log_create_chunk(sync_zone_t *z, sync_log_t *log, size_t size)
{
    size_t         want;
    sync_chunk_t  *c;

    size += sizeof(sync_chunk_t);
    want = log->tail ? (size_t) 2 * log->tail->size : SYNC_LOG_CHUNK_MIN;

    while (want < size) {
        want *= 2;
    }

    want = ngx_min(want, SYNC_LOG_CHUNK_MAX);
    want = ngx_max(want, size);

    if (want > NGX_MAX_UINT32_VALUE) {
        return NULL;
    }

    c = sync_zone_alloc_locked(z, want);

    if (c == NULL && want > size) {
        want = size;
        c = sync_zone_alloc_locked(z, want);
    }

    if (c == NULL) {
        return NULL;
    }

    c->next = NULL;
    c->size = want;
    c->used = sizeof(sync_chunk_t);

    return c;
}


static void
sync_log_write(sync_log_t *log, sync_entry_t *e, sync_message_t *m,
    size_t size)
{
    u_char  *p;

    ngx_memzero(e, sizeof(sync_entry_t));

    e->lsn = m->lsn;
    e->time = m->time;
    e->nonce = m->nonce;
    e->prev = log->nonce;
    e->size = size;
    e->len = m->json.len;
    e->event_len = m->event_len;
    e->subject_len = m->subject.len;
    e->nexcept = m->nexcept;
    e->kind = m->kind;
    e->keyed = ((m->ack & SYNC_LOG_KEYED) != 0);
    e->flags = m->flags;
    e->ack[0] = (uint16_t) (m->ack >> 32);
    e->ack[1] = (uint16_t) (m->ack >> 16);
    e->ack[2] = (uint16_t) m->ack;

    p = ngx_cpymem(sync_entry_json(e), m->json.data, m->json.len);

    if (m->subject.len) {
        p = ngx_cpymem(p, m->subject.data, m->subject.len);
    }

    if (m->nexcept) {
        p = ngx_cpymem(p, m->except, (size_t) m->nexcept * SYNC_ID_LEN);
    }

    if (m->extra.len) {
        p = ngx_cpymem(p, m->extra.data, m->extra.len);
    }

    e->pad = (u_char *) e + size - p;

    ngx_memzero(p, e->pad);
}


void
sync_log_trim_locked(sync_zone_t *z, sync_log_t *log, uint64_t lsn)
{
    sync_entry_t  *e;
    sync_chunk_t  *c;

    while (log->count) {
        c = log->head;
        e = sync_log_entry(c, log->head_off);

        if (e->lsn > lsn) {
            log->oldest = e->lsn;
            return;
        }

        log->count--;
        log->bytes -= e->size;
        log->trimmed = e->lsn;
        log->head_off += e->size;

        if (log->head_off == c->used && c->next) {
            log->head = c->next;
            log->head_off = sizeof(sync_chunk_t);

            sync_heap_order();
            sync_zone_free_locked(z, c);
        }
    }

    sync_log_empty(z, log);
}


static void
sync_log_empty(sync_zone_t *z, sync_log_t *log)
{
    sync_chunk_t  *c;

    log->oldest = log->top + 1;
    c = log->tail;

    if (c == NULL) {
        return;
    }

    if (c->size <= SYNC_LOG_CHUNK_KEEP) {
        c->used = sizeof(sync_chunk_t);
        log->head_off = sizeof(sync_chunk_t);
        return;
    }

    log->head = NULL;
    log->tail = NULL;
    sync_heap_order();

    sync_zone_free_locked(z, c);
}


void
sync_log_free_locked(sync_zone_t *z, sync_log_t *log)
{
    sync_chunk_t  *c, *next;

    for (c = log->head; c; c = next) {
        next = c->next;
        sync_zone_free_locked(z, c);
    }
}


ssize_t
sync_log_read_locked(sync_log_t *log, uint64_t cursor, u_char *p,
    size_t size, uint64_t *last, size_t *need)
{
    size_t         n, len;
    uint32_t       off, end;
    sync_entry_t  *e;
    sync_chunk_t  *c;

    if (log->count == 0 || cursor >= log->top) {
        return 0;
    }

    c = (cursor >= log->tail->first) ? log->tail : log->head;

    while (c->last <= cursor) {
        c = c->next;
    }

    off = (c == log->head) ? log->head_off : sizeof(sync_chunk_t);

    for (e = sync_log_entry(c, off); e->lsn <= cursor; e = sync_entry_next(e))
    {
        off += e->size;
    }

    n = 0;

    do {
        end = c->used;
        len = end - off;

        if (len <= size - n) {
            *last = c->last;

        } else {
            end = off;
            e = sync_log_entry(c, off);

            while (end - off + e->size <= size - n) {
                end += e->size;
                *last = e->lsn;
                e = sync_entry_next(e);
            }

            len = end - off;
        }

        if (len == 0) {
            break;
        }

        ngx_memcpy(p + n, (u_char *) c + off, len);
        n += len;

        if (end < c->used) {
            break;
        }

        c = c->next;
        off = sizeof(sync_chunk_t);

    } while (c);

    if (n == 0) {
        *need = e->size;
        return SYNC_AGAIN;
    }

    return n;
}


ngx_int_t
sync_log_nonce_locked(sync_log_t *log, uint64_t lsn, uint32_t *nonce)
{
    sync_entry_t  *e;

    if (lsn == log->top) {
        *nonce = log->nonce;
        return SYNC_OK;
    }

    if (lsn > log->top || log->count == 0 || lsn < log->trimmed) {
        return SYNC_DECLINED;
    }

    if (lsn == log->trimmed) {
        *nonce = sync_log_entry(log->head, log->head_off)->prev;
        return SYNC_OK;
    }

    e = sync_log_find(log, lsn);

    if (e == NULL) {
        return SYNC_DECLINED;
    }

    *nonce = e->nonce;

    return SYNC_OK;
}


/* Its entry, or NULL; it is above what was trimmed, and not above the top. */

static sync_entry_t *
sync_log_find(sync_log_t *log, uint64_t lsn)
{
    uint32_t       off;
    sync_entry_t  *e;
    sync_chunk_t  *c;

    c = log->head;
    off = log->head_off;

    while (c->last < lsn) {
        c = c->next;
        off = sizeof(sync_chunk_t);
    }

    for (e = sync_log_entry(c, off); e->lsn < lsn; e = sync_entry_next(e)) {
        /* void */
    }

    return (e->lsn == lsn) ? e : NULL;
}


void
sync_log_forget_locked(sync_log_t *log, uint64_t lsn)
{
    sync_entry_t  *e;

    if (log->count == 0 || lsn < log->oldest || lsn > log->top) {
        return;
    }

    e = sync_log_find(log, lsn);

    if (e) {
        ngx_memzero(sync_entry_subject(e), e->subject_len);
    }
}


sync_resume_e
sync_log_resume_locked(sync_log_t *log, sync_position_t *pos)
{
    uint32_t  nonce;

    if (pos->lsn > log->top) {
        return SYNC_RESUME_RESET;
    }

    if (sync_log_nonce_locked(log, pos->lsn, &nonce) == SYNC_OK) {
        return (nonce == pos->nonce) ? SYNC_RESUME_OK : SYNC_RESUME_FORK;
    }

    if (log->count && pos->lsn > log->trimmed) {

        /* nobody was ever given that */

        return SYNC_RESUME_FORK;
    }

    if (log->why == SYNC_LOG_RESET) {
        return SYNC_RESUME_RESET;
    }

    return (log->count == 0 && log->why == SYNC_LOG_AGE)
           ? SYNC_RESUME_EXPIRED : SYNC_RESUME_TRIMMED;
}


ngx_uint_t
sync_log_age_locked(sync_zone_t *z, sync_log_t *log, uint64_t ms,
    uint64_t lsn, ngx_uint_t n)
{
    ngx_uint_t     i;
    sync_entry_t  *e;

    for (i = 0; i < n && log->count; i++) {
        e = sync_log_entry(log->head, log->head_off);

        if (e->time >= ms || e->lsn > lsn) {
            break;
        }

        log->why = SYNC_LOG_AGE;
        sync_log_trim_locked(z, log, e->lsn);
    }

    return i;
}


void
sync_log_reset_locked(sync_zone_t *z, sync_log_t *log)
{
    sync_chunk_t  *c;

    /* a mender that dies here is followed by one that goes on */

    while (sync_heap_is_block(&z->sh->heap, log->head)) {
        c = log->head;
        log->head = c->next;

        sync_heap_order();
        sync_zone_free_locked(z, c);
    }

    log->head = NULL;
    log->tail = NULL;
    log->count = 0;
    log->bytes = 0;
    log->oldest = log->top + 1;
    log->trimmed = log->top;
    log->why = SYNC_LOG_RESET;
    log->epoch++;
}
