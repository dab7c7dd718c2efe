
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_notify.h>
#include <sync_session.h>
#include <sync_hook.h>
#include <sync_json.h>
#include <sync_random.h>
#include <sync_timer.h>
#include <sync_worker.h>


#define SYNC_NOTIFY_DELAY   50          /* ms, to gather a batch */
#define SYNC_NOTIFY_RETRY   200         /* ms, doubled with each try */
#define SYNC_NOTIFY_ANSWER  65536       /* bytes, ignored */
#define SYNC_NOTIFY_EVENT   16384       /* bytes in what a client did */


typedef struct {
    ngx_queue_t               queue;
    uint64_t                  seq;
    size_t                    len;
    u_char                    data[1];
} sync_event_t;


/* One for each uri of a server; they live as long as the worker. */

typedef struct sync_target_s  sync_target_t;

struct sync_target_s {
    sync_target_t            *next;
    sync_settings_t          *settings;
    sync_hook_event_e         event;

    ngx_queue_t               events;
    ngx_uint_t                n;
    uint64_t                  seq;      /* of the next event */

    sync_hook_t              *hook;     /* in flight */
    ngx_uint_t                sent;     /* events in it, the first ones */
    ngx_uint_t                tries;
    u_char                    id[16];   /* of the batch, kept for a retry */
    ngx_event_t               timer;
};


static void sync_notify_write_str(sync_writer_t *w, sync_str_t *s);
static sync_target_t *sync_notify_target(sync_settings_t *s,
    sync_hook_event_e event);
static void sync_notify_timer_handler(ngx_event_t *ev);
static void sync_notify_send(sync_target_t *t);
static void sync_notify_write(sync_target_t *t, sync_writer_t *w);
static ngx_int_t sync_notify_data(sync_hook_t *h, u_char *p, size_t len);
static void sync_notify_done(sync_hook_t *h, sync_hook_result_e result);
static void sync_notify_failed(sync_target_t *t);
static void sync_notify_drop(sync_target_t *t, ngx_uint_t n);


static const sync_hook_handler_t  sync_notify_handler = {
    sync_notify_data,
    sync_notify_done
};


static sync_target_t  *sync_notify_targets;
static ngx_uint_t      sync_notify_total;


void
sync_notify_add(sync_settings_t *s, sync_hook_event_e event,
    sync_str_t *json)
{
    sync_event_t   *ev;
    sync_target_t  *t;

    if (s->hooks[event].uri.len == 0) {
        return;
    }

    t = sync_notify_target(s, event);
    if (t == NULL) {
        return;
    }

    if (t->n == SYNC_NOTIFY_MAX) {
        sync_zone_count(s->main->zone, SYNC_COUNT_NOTIFY_DROPPED, 1);

        if (t->hook) {
            return;
        }

        sync_notify_drop(t, 1);
    }

    ev = ngx_alloc(offsetof(sync_event_t, data) + json->len, ngx_cycle->log);
    if (ev == NULL) {
        sync_zone_count(s->main->zone, SYNC_COUNT_NOTIFY_DROPPED, 1);
        return;
    }

    ev->seq = t->seq++;
    ev->len = json->len;
    ngx_memcpy(ev->data, json->data, json->len);

    ngx_queue_insert_tail(&t->events, &ev->queue);
    t->n++;
    sync_notify_total++;

    if (t->hook) {
        return;
    }

    if (t->n >= SYNC_NOTIFY_BATCH && t->tries == 0) {
        sync_notify_send(t);

    } else if (!t->timer.timer_set) {
        ngx_add_timer(&t->timer, SYNC_NOTIFY_DELAY);
    }
}


void
sync_notify_client(sync_client_t *c, sync_hook_event_e event,
    sync_str_t *room)
{
    ngx_time_t       *tp;
    sync_str_t        json, user, token;
    sync_writer_t     w;
    sync_settings_t  *s;
    u_char            id[SYNC_ID_TEXT];
    static u_char     buf[SYNC_NOTIFY_EVENT];

    s = sync_settings(c);

    if (s->hooks[event].uri.len == 0) {
        return;
    }

    tp = ngx_timeofday();

    sync_registry_print_id(id, c->record->id);
    sync_registry_user(c->record, &user);
    sync_session_token(c, &token);

    sync_writer_init(&w, buf, SYNC_NOTIFY_EVENT);

    sync_write_literal(&w, "{\"clientId\":\"");
    sync_write(&w, id, SYNC_ID_TEXT);
    sync_write_literal(&w, "\",\"userId\":");
    sync_notify_write_str(&w, &user);
    sync_write_literal(&w, ",\"token\":");
    sync_notify_write_str(&w, &token);

    if (room) {
        sync_write_literal(&w, ",\"room\":");
        sync_json_write_str(&w, room);
    }

    sync_write_literal(&w, ",\"timestamp\":");
    sync_write_int(&w, (int64_t) tp->sec * 1000 + tp->msec);
    sync_write_byte(&w, '}');

    if (!sync_writer_fits(&w)) {
        sync_zone_count(s->main->zone, SYNC_COUNT_NOTIFY_DROPPED, 1);
        return;
    }

    json.data = buf;
    json.len = w.len;

    sync_notify_add(s, event, &json);
}


static void
sync_notify_write_str(sync_writer_t *w, sync_str_t *s)
{
    if (s->len) {
        sync_json_write_str(w, s);

    } else {
        sync_write_literal(w, "null");
    }
}


static sync_target_t *
sync_notify_target(sync_settings_t *s, sync_hook_event_e event)
{
    ngx_str_t      *uri;
    sync_target_t  *t;

    uri = &s->hooks[event].uri;

    for (t = sync_notify_targets; t; t = t->next) {
        if (t->event == event
            && t->settings->client.ctx == s->client.ctx
            && t->settings->hooks[event].uri.len == uri->len
            && ngx_memcmp(t->settings->hooks[event].uri.data, uri->data,
                          uri->len)
               == 0)
        {
            return t;
        }
    }

    t = ngx_alloc(sizeof(sync_target_t), ngx_cycle->log);
    if (t == NULL) {
        return NULL;
    }

    ngx_memzero(t, sizeof(sync_target_t));

    t->settings = s;
    t->event = event;
    t->seq = 1;

    ngx_queue_init(&t->events);

    sync_timer_init(&t->timer, sync_notify_timer_handler, 1);

    t->next = sync_notify_targets;
    sync_notify_targets = t;

    return t;
}


static void
sync_notify_timer_handler(ngx_event_t *ev)
{
    sync_notify_send((sync_target_t *) ((u_char *) ev
                                        - offsetof(sync_target_t, timer)));
}


static void
sync_notify_send(sync_target_t *t)
{
    ngx_int_t                 rc;
    sync_writer_t             w;
    sync_hook_args_t          args;
    static struct sockaddr    unspec;

    if (t->hook || t->n == 0) {
        return;
    }

    if (t->timer.timer_set) {
        ngx_del_timer(&t->timer);
    }

    if (t->tries == 0) {
        sync_random(t->id, sizeof(t->id));
    }

    t->sent = ngx_min(t->n, SYNC_NOTIFY_BATCH);

    ngx_memzero(&args, sizeof(sync_hook_args_t));

    sync_writer_init(&w, NULL, 0);
    sync_notify_write(t, &w);

    args.body.len = w.len;
    args.body.data = ngx_alloc(w.len, ngx_cycle->log);

    if (args.body.data == NULL) {
        sync_notify_failed(t);
        return;
    }

    sync_writer_init(&w, args.body.data, args.body.len);
    sync_notify_write(t, &w);

    args.ctx = t->settings->client.ctx;
    args.uri = t->settings->hooks[t->event].uri;
    args.sockaddr = &unspec;
    args.socklen = sizeof(struct sockaddr);
    args.max_answer = SYNC_NOTIFY_ANSWER;
    args.handler = &sync_notify_handler;
    args.opaque = t;

    rc = sync_hook_start(&args, &t->hook);

    ngx_free(args.body.data);

    if (rc != SYNC_OK) {
        t->hook = NULL;
        sync_notify_failed(t);
        return;
    }

    sync_zone_count(t->settings->main->zone, SYNC_COUNT_HOOKS, 1);
}


static void
sync_notify_write(sync_target_t *t, sync_writer_t *w)
{
    ngx_uint_t      i;
    ngx_queue_t    *q;
    sync_zone_t    *z;
    sync_event_t   *ev;
    u_char          id[2 * sizeof(t->id)];

    z = t->settings->main->zone;

    q = ngx_queue_head(&t->events);
    ev = ngx_queue_data(q, sync_event_t, queue);

    sync_write_literal(w, "{\"v\":1,\"id\":\"");
    (void) ngx_hex_dump(id, t->id, sizeof(t->id));
    sync_write(w, id, sizeof(id));
    sync_write_literal(w, "\",\"event\":\"");
    sync_write_str(w, &sync_hook_events[t->event]);
    sync_write_literal(w, "\",\"worker\":\"");

    if (z->self) {
        sync_write_int(w, sync_worker_slot(z, z->self));
        sync_write_byte(w, '.');
        sync_write_int(w, z->self->incarnation);
    }

    sync_write_literal(w, "\",\"seq\":");
    sync_write_int(w, ev->seq);
    sync_write_literal(w, ",\"events\":[");

    for (i = 0; i < t->sent; i++) {
        ev = ngx_queue_data(q, sync_event_t, queue);

        if (i) {
            sync_write_byte(w, ',');
        }

        sync_write(w, ev->data, ev->len);

        q = ngx_queue_next(q);
    }

    sync_write_literal(w, "]}");
}


static ngx_int_t
sync_notify_data(sync_hook_t *h, u_char *p, size_t len)
{
    /* whatever it says */

    return SYNC_OK;
}


static void
sync_notify_done(sync_hook_t *h, sync_hook_result_e result)
{
    sync_target_t  *t;

    t = sync_hook_opaque(h);
    t->hook = NULL;

    if (result != SYNC_HOOK_DONE && result != SYNC_HOOK_LARGE) {
        sync_zone_count(t->settings->main->zone, SYNC_COUNT_HOOK_FAILURES, 1);
        sync_notify_failed(t);
        return;
    }

    sync_notify_drop(t, t->sent);
    t->tries = 0;

    if (t->n >= SYNC_NOTIFY_BATCH) {
        sync_notify_send(t);

    } else if (t->n) {
        ngx_add_timer(&t->timer, SYNC_NOTIFY_DELAY);
    }
}


/* Later, or never: then what was to be told is dropped. */

static void
sync_notify_failed(sync_target_t *t)
{
    ngx_msec_t  delay;

    if (++t->tries == SYNC_NOTIFY_TRIES) {

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "hook \"%V\" failed %d times, %ui events dropped",
                      &t->settings->hooks[t->event].uri, SYNC_NOTIFY_TRIES,
                      t->sent);

        sync_zone_count(t->settings->main->zone, SYNC_COUNT_NOTIFY_DROPPED,
                        t->sent);
        sync_notify_drop(t, t->sent);
        t->tries = 0;
    }

    if (t->n) {
        delay = SYNC_NOTIFY_RETRY << t->tries;
        ngx_add_timer(&t->timer, delay / 2 + ngx_random() % delay);
    }
}


static void
sync_notify_drop(sync_target_t *t, ngx_uint_t n)
{
    sync_event_t  *ev;

    while (n--) {
        ev = ngx_queue_data(ngx_queue_head(&t->events), sync_event_t, queue);

        ngx_queue_remove(&ev->queue);
        ngx_free(ev);

        t->n--;
        sync_notify_total--;
    }
}


void
sync_notify_flush(void)
{
    sync_target_t  *t;

    for (t = sync_notify_targets; t; t = t->next) {
        sync_notify_send(t);
    }
}


ngx_uint_t
sync_notify_waiting(void)
{
    return sync_notify_total;
}
