
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_peers.h>
#include <sync_deliver.h>
#include <sync_presence_store.h>
#include <sync_ws.h>


typedef struct {
    sync_entry_t  *entry;
    sync_entry_t  *plain;               /* with the message alone */
    sync_run_t    *runs[SYNC_DIALECT_MAX];
} sync_peers_t;


static void sync_peers_room(sync_peers_t *ps, sync_audience_t *a);
static void sync_peers_tell(sync_peers_t *ps, sync_audience_t *a,
    sync_client_t *c);
static sync_run_t *sync_peers_run(sync_peers_t *ps, sync_client_t *c);


void
sync_peers_hear(sync_entry_t *e)
{
    size_t            size;
    ngx_uint_t        i;
    sync_str_t        name;
    const u_char     *p, *last;
    sync_peers_t      ps;
    sync_audience_t  *a;

    size = ngx_align(sizeof(sync_entry_t) + e->len, SYNC_ENTRY_ALIGN);

    ngx_memzero(&ps, sizeof(sync_peers_t));

    ps.entry = e;
    ps.plain = ngx_alloc(size, ngx_cycle->log);

    if (ps.plain == NULL) {
        sync_zone_count(sync_fanout_worker.zone, SYNC_COUNT_OVERRUN, 1);
        return;
    }

    ngx_memcpy(ps.plain, e, sizeof(sync_entry_t) + e->len);

    ps.plain->size = size;
    ps.plain->pad = size - sizeof(sync_entry_t) - e->len;
    ps.plain->kind = SYNC_ENTRY_ALL;
    ps.plain->subject_len = 0;
    ps.plain->nexcept = 0;

    sync_fanout_worker.mark++;

    p = sync_entry_subject(e);
    last = p + e->subject_len;

    while (sync_presence_next_room(&p, last, &name) == SYNC_OK) {
        a = sync_fanout_lookup(&name);

        if (a) {
            sync_peers_room(&ps, a);
        }
    }

    for (i = 0; i < SYNC_DIALECT_MAX; i++) {
        if (ps.runs[i]) {
            sync_run_unref(ps.runs[i]);
        }
    }

    ngx_free(ps.plain);
}


static void
sync_peers_room(sync_peers_t *ps, sync_audience_t *a)
{
    uint32_t        i;
    sync_client_t  *c;

    i = 0;
    a->serving = 1;

    while (i < a->n) {
        c = a->seats[i];

        if (c->mark != sync_fanout_worker.mark) {
            c->mark = sync_fanout_worker.mark;

            if (sync_deliver_wanted(c, ps->entry)) {
                sync_peers_tell(ps, a, c);
            }
        }

        /* one that was closed left its seat to another */

        if (i < a->n && a->seats[i] == c) {
            i++;
        }
    }

    a->serving = 0;

    if (a->gone) {
        sync_fanout_destroy(a);
    }
}


static void
sync_peers_tell(sync_peers_t *ps, sync_audience_t *a, sync_client_t *c)
{
    ngx_int_t     rc;
    sync_run_t   *run;
    sync_zone_t  *z;

    z = sync_fanout_worker.zone;
    run = sync_peers_run(ps, c);

    rc = run ? sync_client_queue(c, run, 0, run->len) : SYNC_ERROR;

    if (rc == SYNC_OK) {
        sync_zone_count(z, SYNC_COUNT_DELIVERED, 1);
        sync_zone_count(z, SYNC_COUNT_DELIVERED_BYTES, run->len);
        return;
    }

    if (rc == SYNC_BUSY && a->slow == SYNC_SLOW_DROP) {
        sync_zone_count(z, SYNC_COUNT_DROPPED, 1);
        return;
    }

    if (rc == SYNC_BUSY) {
        sync_zone_count(z, SYNC_COUNT_SLOW, 1);
        sync_client_close(c, SYNC_WS_CODE_POLICY, "too slow");

    } else {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
    }
}


static sync_run_t *
sync_peers_run(sync_peers_t *ps, sync_client_t *c)
{
    sync_str_t              name;
    sync_run_t            **run;
    sync_frame_deflate_t    deflate;

    run = &ps->runs[c->dialect];

    if (*run == NULL) {
        deflate.level = c->conf->level;
        deflate.min = c->conf->min;

        sync_str_set(&name, "*");

        *run = sync_frame_entries(c->dialect, (u_char *) ps->plain,
                                  ps->plain->size, 1, &name, 0, &deflate);
    }

    return *run;
}
