
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_delivery.h>
#include <sync_cluster.h>
#include <sync_notify.h>
#include <sync_random.h>
#include <sync_report.h>
#include <sync_timer.h>
#include <sync_wake.h>


#define SYNC_DELIVERY_TICK  100         /* ms */
#define SYNC_DELIVERY_TAIL  128         /* bytes behind the text */


typedef struct {
    ngx_queue_t          queue;
    sync_settings_t     *settings;
    uint64_t             number;
    ngx_msec_t           start;
    ngx_msec_t           over;          /* when all here had reported */
    unsigned             done:1;        /* they have */
    size_t               len;
    u_char               text[1];       /* what is told, but for the count */
} sync_delivery_t;


static sync_delivery_t *sync_delivery_create(sync_delivery_args_t *args);
static void sync_delivery_write(sync_writer_t *w,
    sync_delivery_args_t *args);
static void sync_delivery_write_or_null(sync_writer_t *w, sync_str_t *s);
static sync_delivery_t *sync_delivery_find(uint64_t number);
static void sync_delivery_tick(ngx_event_t *ev);
static void sync_delivery_end(sync_delivery_t *d, ngx_uint_t force);
static void sync_delivery_tell(sync_delivery_t *d, ngx_uint_t clients,
    ngx_uint_t complete);


static ngx_queue_t  sync_deliveries = { &sync_deliveries, &sync_deliveries };
static ngx_event_t  sync_delivery_timer;


uint64_t
sync_delivery_begin(sync_delivery_args_t *args, sync_saying_t *s)
{
    u_char           *p;
    uint64_t          random;
    sync_zone_t      *z;
    sync_delivery_t  *d;

    z = args->settings->main->zone;

    if (z->self == NULL) {
        return 0;
    }

    d = sync_delivery_create(args);
    if (d == NULL) {
        sync_zone_count(z, SYNC_COUNT_RECEIPTS_DROPPED, 1);
        return 0;
    }

    p = ngx_alloc(SYNC_RECEIPT_EXTRA + s->extra.len, ngx_cycle->log);
    if (p == NULL) {
        sync_zone_count(z, SYNC_COUNT_RECEIPTS_DROPPED, 1);
        ngx_free(d);
        return 0;
    }

    sync_random((u_char *) &random, sizeof(random));
    d->number = sync_receipt_begin(z, random);

    if (d->number == 0) {
        sync_zone_count(z, SYNC_COUNT_RECEIPTS_DROPPED, 1);
        ngx_free(d);
        ngx_free(p);
        return 0;
    }

    sync_receipt_write(p, z->sh->id, d->number);

    if (s->extra.len) {
        ngx_memcpy(p + SYNC_RECEIPT_EXTRA, s->extra.data, s->extra.len);
    }

    s->extra.data = p;
    s->extra.len += SYNC_RECEIPT_EXTRA;
    s->flags |= SYNC_RECEIPT;

    ngx_queue_insert_tail(&sync_deliveries, &d->queue);

    if (!sync_delivery_timer.timer_set) {
        sync_timer_init(&sync_delivery_timer, sync_delivery_tick, 1);
        ngx_add_timer(&sync_delivery_timer, SYNC_DELIVERY_TICK);
    }

    return d->number;
}


static sync_delivery_t *
sync_delivery_create(sync_delivery_args_t *args)
{
    sync_writer_t     w;
    sync_delivery_t  *d;

    sync_writer_init(&w, NULL, 0);
    sync_delivery_write(&w, args);

    d = ngx_alloc(offsetof(sync_delivery_t, text) + w.len
                  + SYNC_DELIVERY_TAIL, ngx_cycle->log);
    if (d == NULL) {
        return NULL;
    }

    ngx_memzero(d, offsetof(sync_delivery_t, text));

    d->settings = args->settings;
    d->start = ngx_current_msec;
    d->len = w.len;

    sync_writer_init(&w, d->text, w.len);
    sync_delivery_write(&w, args);

    return d;
}


/*
 * {"id","route","receiver","transport","clientId","userId","token",
 * "recipientCount","complete","timestamp"}, the first ones
 */

static void
sync_delivery_write(sync_writer_t *w, sync_delivery_args_t *args)
{
    u_char  client[SYNC_ID_TEXT];

    sync_write_literal(w, "{\"id\":");
    sync_delivery_write_or_null(w, &args->id);
    sync_write_literal(w, ",\"route\":");
    sync_json_write_str(w, &args->route);
    sync_write_literal(w, ",\"receiver\":");
    sync_json_write_str(w, &args->receiver);

    if (args->client) {
        sync_registry_print_id(client, args->client);
        sync_write_literal(w, ",\"transport\":\"socket\",\"clientId\":");
        sync_json_write_string(w, client, SYNC_ID_TEXT);

    } else {
        sync_write_literal(w, ",\"transport\":\"http\",\"clientId\":null");
    }

    sync_write_literal(w, ",\"userId\":");
    sync_delivery_write_or_null(w, &args->user);
    sync_write_literal(w, ",\"token\":");
    sync_delivery_write_or_null(w, &args->token);
}


static void
sync_delivery_write_or_null(sync_writer_t *w, sync_str_t *s)
{
    if (s->len) {
        sync_json_write_str(w, s);

    } else {
        sync_write_literal(w, "null");
    }
}


void
sync_delivery_said(uint64_t number, sync_saying_t *s, ngx_int_t rc)
{
    sync_delivery_t  *d;

    ngx_free(s->extra.data);

    if (rc == SYNC_OK || rc == SYNC_AGAIN) {
        return;
    }

    if (rc != SYNC_DECLINED) {
        sync_delivery_failed(number);
        return;
    }

    d = sync_delivery_find(number);

    if (d) {
        sync_delivery_end(d, 1);
    }
}


void
sync_delivery_failed(uint64_t number)
{
    ngx_uint_t        n;
    sync_delivery_t  *d;

    d = sync_delivery_find(number);

    if (d) {
        (void) sync_receipt_end(d->settings->main->zone, d->number, 1, &n);

        ngx_queue_remove(&d->queue);
        ngx_free(d);
    }
}


static sync_delivery_t *
sync_delivery_find(uint64_t number)
{
    ngx_queue_t      *q;
    sync_delivery_t  *d;

    for (q = ngx_queue_head(&sync_deliveries);
         q != ngx_queue_sentinel(&sync_deliveries);
         q = ngx_queue_next(q))
    {
        d = ngx_queue_data(q, sync_delivery_t, queue);

        if (d->number == number) {
            return d;
        }
    }

    return NULL;
}


void
sync_delivery_look(void)
{
    ngx_queue_t      *q, *next;
    sync_delivery_t  *d;

    for (q = ngx_queue_head(&sync_deliveries);
         q != ngx_queue_sentinel(&sync_deliveries);
         q = next)
    {
        next = ngx_queue_next(q);
        d = ngx_queue_data(q, sync_delivery_t, queue);

        if (ngx_current_msec - d->start >= SYNC_DELIVERY_TIME) {
            sync_delivery_end(d, 1);
            continue;
        }

        if (sync_receipt_waits(d->settings->main->zone, d->number)) {
            continue;
        }

        if (sync_cluster_enabled()) {

            if (!d->done) {
                d->done = 1;
                d->over = ngx_current_msec;
            }

            if (ngx_current_msec - d->over < SYNC_DELIVERY_OTHERS) {
                continue;
            }
        }

        sync_delivery_end(d, 0);
    }
}


static void
sync_delivery_tick(ngx_event_t *ev)
{
    sync_delivery_look();

    if (!ngx_queue_empty(&sync_deliveries)) {
        ngx_add_timer(ev, SYNC_DELIVERY_TICK);
    }
}


void
sync_delivery_flush(void)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&sync_deliveries)) {
        q = ngx_queue_head(&sync_deliveries);
        sync_delivery_end(ngx_queue_data(q, sync_delivery_t, queue), 1);
    }
}


static void
sync_delivery_end(sync_delivery_t *d, ngx_uint_t force)
{
    ngx_int_t     rc;
    ngx_uint_t    n, waits;
    sync_zone_t  *z;

    n = 0;
    z = d->settings->main->zone;
    waits = sync_receipt_waits(z, d->number);

    rc = sync_receipt_end(z, d->number, force, &n);

    if (rc == SYNC_AGAIN) {
        return;
    }

    ngx_queue_remove(&d->queue);

    sync_delivery_tell(d, n, rc == SYNC_OK && !waits);

    ngx_free(d);
}


static void
sync_delivery_tell(sync_delivery_t *d, ngx_uint_t clients,
    ngx_uint_t complete)
{
    u_char      *p;
    ngx_time_t  *tp;
    sync_str_t   json;

    tp = ngx_timeofday();

    p = ngx_sprintf(d->text + d->len,
                    ",\"recipientCount\":%ui,\"complete\":%s,"
                    "\"timestamp\":%L}",
                    clients, complete ? "true" : "false",
                    (int64_t) tp->sec * 1000 + tp->msec);

    json.data = d->text;
    json.len = p - d->text;

    sync_notify_add(d->settings, SYNC_HOOK_DELIVERED, &json);
}


/* Whoever asks knows the number; for others it says nothing. */

void
sync_delivery_obey(sync_json_t *v, sync_json_t *command)
{
    u_char            buf[16];
    int64_t           n;
    uint64_t          number;
    ngx_uint_t        i;
    sync_str_t        s;
    sync_json_t       field;
    sync_wake_set_t   wake;
    sync_delivery_t  *d;

    if (sync_json_string(&s, v, buf, sizeof(buf)) != SYNC_OK
        || s.len != sizeof(buf)
        || sync_json_get(&field, command, "n") != SYNC_OK
        || sync_json_int64(&n, &field) != SYNC_OK
        || n < 0 || n > 0x7fffffff)
    {
        return;
    }

    number = 0;

    for (i = 0; i < s.len; i++) {
        number = number << 4 | (s.data[i] <= '9' ? s.data[i] - '0'
                                                 : s.data[i] - 'a' + 10);
    }

    d = sync_delivery_find(number);

    if (d) {
        wake.n = 0;
        sync_receipt_put(d->settings->main->zone, number, n, 1, &wake);
    }
}
