
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_process.h>
#include <sync_absent.h>
#include <sync_bridge.h>
#include <sync_call.h>
#include <sync_collect.h>
#include <sync_delivery.h>
#include <sync_client.h>
#include <sync_cluster.h>
#include <sync_command.h>
#include <sync_control_asked.h>
#include <sync_fanout.h>
#include <sync_hook.h>
#include <sync_notify.h>
#include <sync_poll_client.h>
#include <sync_presence.h>
#include <sync_publish.h>
#include <sync_recipient.h>
#include <sync_recipient_share.h>
#include <sync_redis.h>
#include <sync_room.h>
#include <sync_roster.h>
#include <sync_session_change.h>
#include <sync_session_hook.h>
#include <sync_session_redis.h>
#include <sync_slot.h>
#include <sync_tally.h>
#include <sync_timer.h>
#include <sync_wake.h>
#include <sync_ws.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif


#define SYNC_PROCESS_RETRY  1000        /* ms, to look for a free slot */
#define SYNC_PROCESS_PACE   50          /* ms, between steps of a drain */
#define SYNC_PROCESS_TRIM   256         /* handshakes worth it */
#define SYNC_PROCESS_LATE   5000        /* ms more, to deliver what was said */


typedef struct {
    sync_main_settings_t  *main;
    sync_zone_t           *zone;

    ngx_event_t            claim;
    ngx_event_t            drain;

    ngx_msec_t             drain_start;
    ngx_uint_t             drain_total; /* clients when it began */
    ngx_uint_t             drain_done;
    ngx_uint_t             code;
    ngx_uint_t             expected;    /* requests that may be clients */

    uint64_t               connects;    /* up to the last tick */
    uint64_t               trimmed;     /* the same when the heap was */

    unsigned               draining:1;
} sync_process_t;


static void sync_process_claim(void);
static void sync_process_claim_handler(ngx_event_t *ev);
static void sync_process_look(void);
static void sync_process_relayed(sync_entry_t *e);
static void sync_process_tick(void);
static void sync_process_session_ended(uint32_t realm, const u_char *id);
static void sync_process_trim(void);
static void sync_process_exiting(void);
static void sync_process_drain_handler(ngx_event_t *ev);
static void sync_process_release(void);


static const sync_wake_handler_t  sync_process_wake = {
    sync_process_look,
    sync_process_tick,
    sync_process_exiting
};


static sync_process_t  sync_process;


ngx_int_t
sync_process_init(ngx_cycle_t *cycle, sync_main_settings_t *main)
{
    sync_process_t  *w;

    if (main->zone == NULL) {
        return SYNC_OK;
    }

    w = &sync_process;

    ngx_memzero(w, sizeof(sync_process_t));

    w->main = main;
    w->zone = main->zone;

    sync_timer_init(&w->claim, sync_process_claim_handler, 1);
    sync_timer_init(&w->drain, sync_process_drain_handler, 0);

    sync_client_init_worker(w->zone);
    sync_poll_client_init_worker();
    sync_session_init_worker();
    sync_bridge_init_worker(w->zone, sync_process_relayed);

    if (sync_fanout_init_worker(main, sync_command_obey, sync_session_heed)
        != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    if (sync_redis_init_worker(w->zone, main->redis) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (sync_session_redis_init_worker(main) != SYNC_OK) {
        return SYNC_ERROR;
    }

    sync_session_hook_init_worker(main);

    sync_cluster_init_worker(main);
    sync_control_asked_init_worker(main);
    sync_tally_init_worker(main);
    sync_roster_init_worker(main);
    sync_presence_init_worker(main);

    sync_process_claim();

    return SYNC_OK;
}


/* Takes a slot; while there is none, handshakes are answered with 503. */

static void
sync_process_claim(void)
{
    ngx_int_t        rc;
    sync_process_t  *w;

    w = &sync_process;

    rc = sync_worker_claim(w->zone, sync_fanout_host_cookie());

    if (rc == SYNC_BUSY && sync_worker_reap(w->zone)) {
        rc = sync_worker_claim(w->zone, sync_fanout_host_cookie());
    }

    if (rc != SYNC_OK) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "no slot for this worker in zone \"%V\", %s",
                      &w->zone->name,
                      rc == SYNC_BUSY ? "all are taken" : "it is full");

        ngx_add_timer(&w->claim, SYNC_PROCESS_RETRY);
        return;
    }

    if (sync_wake_listen((ngx_cycle_t *) ngx_cycle, w->zone,
                         &sync_process_wake)
        != SYNC_OK)
    {
        sync_worker_release(w->zone);
        ngx_add_timer(&w->claim, SYNC_PROCESS_RETRY);
        return;
    }

    sync_worker_beat(w->zone);

    sync_bridge_tick();
    sync_redis_tick();
}


static void
sync_process_claim_handler(ngx_event_t *ev)
{
    sync_process_claim();
}


ngx_int_t
sync_process_ready(void)
{
    sync_process_t  *w;

    w = &sync_process;

    return w->zone && w->zone->self && !w->draining ? SYNC_OK : SYNC_BUSY;
}


void
sync_process_expect(ngx_int_t n)
{
    sync_process.expected += n;
}


/* Sessions may bring clients, whose rooms are looked at then. */

static void
sync_process_look(void)
{
    sync_process.zone->self->woken = 0;
    ngx_memory_barrier();

    if (!sync_fanout_busy()) {
        sync_poll_client_look();
    }

    sync_recipient_share_look();

    sync_fanout_look();

    sync_collect_look();

    sync_delivery_look();

    sync_eio_client_retry();

    sync_bridge_look();
}


/* Something was said in another zone of this host. */

static void
sync_process_relayed(sync_entry_t *e)
{
    ngx_int_t  rc;

    rc = sync_publish_relayed(sync_process.main, e);

    if (rc != SYNC_OK && rc != SYNC_DECLINED) {
        sync_zone_count(sync_process.zone, SYNC_COUNT_BRIDGE_LOST, 1);

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "a message of another zone was lost, as zone \"%V\" "
                      "is full", &sync_process.zone->name);
    }
}


static void
sync_process_tick(void)
{
    sync_zone_t  *z;

    z = sync_process.zone;

    sync_worker_beat(z);

    if (sync_worker_reap(z)) {

        /* it may have changed a session and told nobody */

        sync_session_doubt(z);
    }

    sync_call_review();

    sync_room_expire(z);
    sync_roster_tick();
    sync_absent_expire(z);
    sync_presence_tick();

    sync_bridge_tick();
    sync_redis_tick();
    sync_session_redis_tick();
    sync_session_tick(sync_process.main, sync_process_session_ended);
    sync_cluster_tick();

    /* in case that a wake was lost */

    sync_process_look();

    sync_process_trim();
}


static void
sync_process_session_ended(uint32_t realm, const u_char *id)
{
    if (sync_session_is_asked(realm)) {
        sync_session_hook_ended(realm, id);

    } else {
        sync_session_redis_ended(realm, id);
    }
}


/*
 * The requests of many handshakes at once leave a heap that is large and
 * mostly free.  Once they are over, it is given back.
 */

static void
sync_process_trim(void)
{
#ifdef __GLIBC__

    uint64_t         n;
    sync_process_t  *w;

    w = &sync_process;
    n = w->zone->self->counters[SYNC_COUNT_CONNECTS];

    if (n == w->connects && n - w->trimmed >= SYNC_PROCESS_TRIM) {
        (void) malloc_trim(0);
        w->trimmed = n;
    }

    w->connects = n;

#endif
}


static void
sync_process_exiting(void)
{
    sync_process_t  *w;

    w = &sync_process;

    if (w->draining) {
        return;
    }

    w->draining = 1;
    w->zone->self->exiting = 1;

    w->drain_start = ngx_current_msec;
    w->drain_total = sync_client_count();

    /* a later configuration, and its workers, came with a reload */

    w->code = (w->zone->sh->generation != w->zone->generation)
              ? SYNC_WS_CODE_RESTART : SYNC_WS_CODE_AWAY;

    /* not cancelable: it keeps the worker till the last client is gone */

    sync_poll_client_exiting();

    ngx_add_timer(&w->drain, 1);
}


static void
sync_process_drain_handler(ngx_event_t *ev)
{
    ngx_uint_t       due, gone, n;
    ngx_msec_t       elapsed;
    sync_process_t  *w;

    w = &sync_process;

    elapsed = ngx_current_msec - w->drain_start;

    /* a client hears all that was said before its goodbye */

    sync_fanout_look();

    if (sync_fanout_behind() && elapsed < w->main->drain + SYNC_PROCESS_LATE) {
        ngx_add_timer(&w->drain, SYNC_PROCESS_PACE);
        return;
    }

    if (elapsed >= w->main->drain) {
        due = (ngx_uint_t) -1;

    } else {
        due = (ngx_uint_t) ((uint64_t) w->drain_total * elapsed
                            / w->main->drain);
    }

    /* who left by itself, as polling sessions do, need not be told */

    n = sync_client_count();
    gone = (n < w->drain_total) ? w->drain_total - n : 0;
    gone = ngx_max(gone, w->drain_done);

    if (due > gone) {
        n = sync_client_close_some(due - gone, w->code,
                                   w->code == SYNC_WS_CODE_RESTART
                                   ? "restarting" : "shutting down");

        w->drain_done += n;
        sync_zone_count(w->zone, SYNC_COUNT_DRAINED, n);
    }

    if (!sync_client_alive()) {
        sync_delivery_flush();
    }

    if (sync_client_alive()
        || sync_notify_waiting()
        || sync_roster_drain()
        || sync_redis_pending()
        || sync_collect_waiting()
        || sync_call_pending()
        || sync_stage_calls()
        || w->expected)
    {
        sync_notify_flush();
        ngx_add_timer(&w->drain, SYNC_PROCESS_PACE);
        return;
    }

    sync_process_release();
}


void
sync_process_exit(ngx_cycle_t *cycle)
{
    sync_process_t  *w;

    w = &sync_process;

    if (w->zone == NULL) {
        return;
    }

    /* a fast stop: there is time for one frame to each */

    (void) sync_client_close_some((ngx_uint_t) -1, SYNC_WS_CODE_AWAY,
                                  "shutting down");
    sync_client_finish();

    sync_call_exit_process();
    sync_hook_exit_process();
    sync_session_hook_exit_process();

    sync_process_release();
}


static void
sync_process_release(void)
{
    sync_process_t  *w;

    w = &sync_process;

    sync_bridge_done();
    sync_wake_done();
    sync_redis_done();

    if (w->zone->self) {
        sync_worker_release(w->zone);
    }
}
