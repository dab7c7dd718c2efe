
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_late.h>
#include <sync_deliver.h>
#include <sync_wake.h>


#define SYNC_LATE_BUFFER  4096          /* bytes, at first */


typedef struct {
    ngx_queue_t          queue;
    sync_client_t       *client;
    sync_member_t       *member;
    size_t               len;           /* bytes of entries */
    uint64_t             entries[1];
} sync_late_t;


static ngx_int_t sync_late_keep(sync_client_t *c, sync_member_t *m);
static u_char *sync_late_copy(u_char *p, sync_entry_t *e);
static void sync_late_deliver(sync_late_t *l);


/* behind the text and its names, at the end of ["sync",{...}] */

static sync_str_t  sync_late_whole = sync_string(",\"accumulated\":true}]");
static sync_str_t  sync_late_cut = sync_string(",\"accumulated\":true,"
                                               "\"truncated\":true}]");

static sync_texts_t  sync_late_texts;
static ngx_queue_t   sync_late_queue = { &sync_late_queue, &sync_late_queue };


ngx_int_t
sync_late_join(sync_client_t *c, sync_str_t *name, sync_room_rule_t *rule,
    uint64_t cookie, sync_joined_t *j)
{
    u_char        *p;
    size_t         size;
    ngx_int_t      rc;
    sync_texts_t  *t;

    t = &sync_late_texts;

    for ( ;; ) {

        rc = sync_room_join_texts(sync_fanout_worker.zone, name, rule,
                                  c->record, cookie, j, t);

        if (rc != SYNC_AGAIN) {
            break;
        }

        size = ngx_max(2 * t->need, SYNC_LATE_BUFFER);

        p = ngx_alloc(size, ngx_cycle->log);
        if (p == NULL) {
            return SYNC_ERROR;
        }

        if (t->buf) {
            ngx_free(t->buf);
        }

        t->buf = p;
        t->size = size;
    }

    if (rc == SYNC_OK && t->len && sync_late_keep(c, j->member) != SYNC_OK) {
        sync_room_leave(sync_fanout_worker.zone, j->member);
        return SYNC_ERROR;
    }

    return rc;
}


static ngx_int_t
sync_late_keep(sync_client_t *c, sync_member_t *m)
{
    size_t         size;
    u_char        *p, *dst;
    sync_late_t   *l;
    sync_entry_t  *e;
    sync_texts_t  *t;

    t = &sync_late_texts;
    size = 0;

    for (p = t->buf; p < t->buf + t->len; p += e->size) {
        e = (sync_entry_t *) p;
        size += e->size + ngx_align(sync_late_cut.len, SYNC_ENTRY_ALIGN);
    }

    l = ngx_alloc(offsetof(sync_late_t, entries) + size, ngx_cycle->log);
    if (l == NULL) {
        return SYNC_ERROR;
    }

    l->client = c;
    l->member = m;

    dst = (u_char *) l->entries;

    for (p = t->buf; p < t->buf + t->len; p += e->size) {
        e = (sync_entry_t *) p;
        dst = sync_late_copy(dst, e);
    }

    l->len = dst - (u_char *) l->entries;

    ngx_queue_insert_tail(&sync_late_queue, &l->queue);
    sync_wake_self(0);

    return SYNC_OK;
}


/* Says what it is, for who would take it for a piece; returns its end. */

static u_char *
sync_late_copy(u_char *dst, sync_entry_t *e)
{
    size_t         size, len;
    u_char        *p;
    sync_str_t    *end;
    sync_entry_t  *copy;

    end = (e->flags & SYNC_TEXT_CUT) ? &sync_late_cut : &sync_late_whole;

    len = e->len - (sizeof("}]") - 1);
    size = sizeof(sync_entry_t) + len + end->len;

    copy = (sync_entry_t *) dst;

    *copy = *e;

    copy->flags = 0;
    copy->len = (uint32_t) (len + end->len);
    copy->size = (uint32_t) ngx_align(size, SYNC_ENTRY_ALIGN);
    copy->pad = (uint8_t) (copy->size - size);

    p = ngx_cpymem(sync_entry_json(copy), sync_entry_json(e), len);
    p = ngx_cpymem(p, end->data, end->len);
    ngx_memzero(p, copy->pad);

    return dst + copy->size;
}


void
sync_late_tell(void)
{
    sync_late_t  *l;

    while (!ngx_queue_empty(&sync_late_queue)) {
        l = ngx_queue_data(ngx_queue_head(&sync_late_queue), sync_late_t,
                           queue);

        ngx_queue_remove(&l->queue);

        if (!l->client->closing) {
            sync_late_deliver(l);
        }

        ngx_free(l);
    }
}


static void
sync_late_deliver(sync_late_t *l)
{
    sync_batch_t      b;
    sync_audience_t  *a;

    a = sync_fanout_audience(l->member);

    sync_batch_init(&b, (u_char *) l->entries, l->len, 0);

    /* they move no position */

    b.first = ((sync_entry_t *) l->entries)->lsn;
    b.recoverable = a->recoverable;

    sync_deliver_from(a, &b, l->client, 0);

    sync_batch_done(&b);
}


ngx_uint_t
sync_late_waits(sync_client_t *c)
{
    sync_late_t  *l;
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&sync_late_queue);
         q != ngx_queue_sentinel(&sync_late_queue);
         q = ngx_queue_next(q))
    {
        l = ngx_queue_data(q, sync_late_t, queue);

        if (l->client == c) {
            return 1;
        }
    }

    return 0;
}


void
sync_late_forget(sync_member_t *m)
{
    sync_late_t  *l;
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&sync_late_queue);
         q != ngx_queue_sentinel(&sync_late_queue);
         q = ngx_queue_next(q))
    {
        l = ngx_queue_data(q, sync_late_t, queue);

        if (l->member == m) {
            ngx_queue_remove(&l->queue);
            ngx_free(l);
            return;
        }
    }
}
