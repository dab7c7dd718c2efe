
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_report.h>
#include <sync_cluster.h>
#include <sync_wake.h>


static void sync_report_send(sync_entry_t *e, ngx_uint_t n);


/* With no memory it is said that they went to nobody. */

void
sync_report_count(sync_batch_t *b, uint32_t from, uint32_t to)
{
    if (b->counts == NULL) {
        b->counts = ngx_calloc(b->n * sizeof(uint32_t), ngx_cycle->log);
        if (b->counts == NULL) {
            return;
        }
    }

    while (from < to) {
        b->counts[from++]++;
    }
}


void
sync_report_batch(sync_batch_t *b)
{
    uint32_t       i;
    sync_entry_t  *e;

    e = (sync_entry_t *) b->entries;

    for (i = 0; i < b->n; i++, e = sync_entry_next(e)) {

        if (e->flags & SYNC_RECEIPT) {
            sync_report_send(e, b->counts ? b->counts[i] : 0);
        }
    }

    if (b->counts) {
        ngx_free(b->counts);
        b->counts = NULL;
    }
}


/* {"receipt":"...","n":...}, of a message of another host */

static void
sync_report_send(sync_entry_t *e, ngx_uint_t n)
{
    u_char            buf[64];
    uint64_t          host, number;
    sync_str_t        json;
    sync_zone_t      *z;
    sync_wake_set_t   wake;

    if (sync_entry_extra_len(e) < SYNC_RECEIPT_EXTRA) {
        return;
    }

    z = sync_fanout_worker.zone;

    sync_receipt_read(sync_entry_extra(e), &host, &number);

    if (host == z->sh->id) {
        wake.n = 0;

        sync_receipt_put(z, number, n, 0, &wake);
        sync_wake_send(z, &wake);

        return;
    }

    if (n && sync_cluster_enabled()) {
        json.data = buf;
        json.len = ngx_sprintf(buf, "{\"receipt\":\"%016xL\",\"n\":%ui}",
                               number, n)
                   - buf;

        (void) sync_cluster_order(&json);
    }
}
