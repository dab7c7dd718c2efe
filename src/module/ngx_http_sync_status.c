
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>
#include <sync_fanout.h>
#include <sync_former.h>
#include <sync_hook.h>
#include <sync_redis.h>
#include <sync_lease.h>
#include <sync_worker.h>
#include <jansson.h>


/* bytes of a family of figures, and of a worker's, as Prometheus text */

#define NGX_HTTP_SYNC_FAMILY_LEN  512
#define NGX_HTTP_SYNC_WORKER_LEN  512


typedef enum {
    NGX_HTTP_SYNC_STATUS_JSON = 0,
    NGX_HTTP_SYNC_STATUS_PROMETHEUS,
    NGX_HTTP_SYNC_STATUS_HTML,
    NGX_HTTP_SYNC_STATUS_UNKNOWN
} ngx_http_sync_status_format_e;


typedef struct {
    sync_counter_e            counter;
    const char               *name;     /* in JSON */
    const char               *metric;   /* sync_..._total */
    const char               *help;
} ngx_http_sync_counter_t;


typedef struct {
    ngx_uint_t                slot;
    ngx_pid_t                 pid;
    ngx_msec_t                age;      /* of the last beat, ms */
    ngx_uint_t                clients;
    ngx_uint_t                members;
    unsigned                  stalled:1;
    unsigned                  exiting:1;
} ngx_http_sync_worker_t;


typedef struct {
    uint64_t                  counters[SYNC_COUNT_MAX];
    size_t                    size;     /* of the zone, bytes */
    size_t                    unused;
    ngx_uint_t                clients;
    ngx_uint_t                sessions;
    ngx_uint_t                absent;
    ngx_uint_t                away;
    ngx_uint_t                rooms;
    ngx_uint_t                patterns;
    ngx_uint_t                members;
    ngx_uint_t                left;     /* clients that are remembered */
    size_t                    left_bytes;
    ngx_uint_t                redis_shards;
    ngx_uint_t                redis_connected;  /* links */
    ngx_uint_t                redis_expected;
    ngx_uint_t                redis_pending;    /* commands */
    ngx_uint_t                redis_tracked;
    ngx_uint_t                redis_subscribed; /* all shards */
    ngx_uint_t                redis_degraded;
    ngx_uint_t                redis_nhosts;
    sync_host_t              *redis_hosts;
    ngx_uint_t                nworkers;
    ngx_http_sync_worker_t   *workers;
} ngx_http_sync_status_t;


typedef struct {
    const char               *metric;
    const char               *help;
    size_t                    offset;   /* in ngx_http_sync_status_t */
} ngx_http_sync_gauge_t;


static ngx_http_sync_status_format_e ngx_http_sync_status_format(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_sync_status_accepts(ngx_str_t *accept,
    const char *type);
static ngx_int_t ngx_http_sync_status_read(ngx_http_request_t *r,
    sync_zone_t *z, ngx_http_sync_status_t *st);
static ngx_int_t ngx_http_sync_status_json(ngx_http_request_t *r,
    sync_zone_t *z, ngx_http_sync_status_t *st, ngx_str_t *body);
static json_t *ngx_http_sync_status_hosts(sync_zone_t *z,
    ngx_http_sync_status_t *st);
static json_t *ngx_http_sync_status_workers(ngx_http_sync_status_t *st);
static json_t *ngx_http_sync_status_counters(ngx_http_sync_status_t *st);
static ngx_int_t ngx_http_sync_status_prometheus(ngx_http_request_t *r,
    ngx_http_sync_status_t *st, ngx_str_t *body);
static u_char *ngx_http_sync_status_family(u_char *p, u_char *last,
    const char *metric, const char *type, const char *help);


static const ngx_http_sync_counter_t  ngx_http_sync_counters[] = {

    { SYNC_COUNT_CONNECTS, "connects", "sync_connects_total",
      "Clients accepted." },

    { SYNC_COUNT_DISCONNECTS, "disconnects", "sync_disconnects_total",
      "Clients gone." },

    { SYNC_COUNT_REFUSED, "refused", "sync_refused_total",
      "Clients refused: origin, hook, limits." },

    { SYNC_COUNT_RECEIVED, "received", "sync_received_total",
      "Messages from clients." },

    { SYNC_COUNT_RECEIVED_BYTES, "receivedBytes",
      "sync_received_bytes_total", "Bytes of messages from clients." },

    { SYNC_COUNT_INVALID, "invalid", "sync_invalid_total",
      "Frames and messages of clients that do not parse." },

    { SYNC_COUNT_JOINS, "joins", "sync_joins_total", "Rooms joined." },

    { SYNC_COUNT_LEAVES, "leaves", "sync_leaves_total", "Rooms left." },

    { SYNC_COUNT_PUBLISHED, "published", "sync_published_total",
      "Messages published." },

    { SYNC_COUNT_DELIVERED, "delivered", "sync_delivered_total",
      "Messages queued to a client." },

    { SYNC_COUNT_DELIVERED_BYTES, "deliveredBytes",
      "sync_delivered_bytes_total", "Bytes queued to clients." },

    { SYNC_COUNT_WRITES, "writes", "sync_writes_total",
      "System calls that wrote to clients." },

    { SYNC_COUNT_DROPPED, "dropped", "sync_dropped_total",
      "Messages not queued to a slow client, by queue=drop." },

    { SYNC_COUNT_CONFLATED, "conflated", "sync_conflated_total",
      "Messages replaced by later ones for a slow client." },

    { SYNC_COUNT_SLOW, "slow", "sync_slow_total",
      "Clients closed for being slow, by queue=close." },

    { SYNC_COUNT_TIMEOUTS, "timeouts", "sync_timeouts_total",
      "Clients closed for not answering a ping." },

    { SYNC_COUNT_OVERRUN, "overrun", "sync_overrun_total",
      "Messages gone before a worker came to take them." },

    { SYNC_COUNT_WAKES, "wakes", "sync_wakes_total",
      "Wakes of other workers." },

    { SYNC_COUNT_HOOKS, "hooks", "sync_hooks_total", "Hook calls started." },

    { SYNC_COUNT_HOOK_FAILURES, "hookFailures", "sync_hook_failures_total",
      "Hook calls without a good answer." },

    { SYNC_COUNT_HOOK_BUSY, "hookBusy", "sync_hook_busy_total",
      "Hook calls refused, as too many waited." },

    { SYNC_COUNT_HOOK_CANCELLED, "hookCancelled",
      "sync_hook_cancelled_total", "Hook calls given up by who asked." },

    { SYNC_COUNT_HOOK_HELD, "hookHeld", "sync_hook_held_total",
      "Streamed answers held, as a client was behind." },

    { SYNC_COUNT_CHUNKS, "chunks", "sync_chunks_total",
      "Chunks of streamed answers." },

    { SYNC_COUNT_NOTIFY_DROPPED, "notifyDropped",
      "sync_notify_dropped_total", "Events that a hook was not told of." },

    { SYNC_COUNT_WITHHELD, "withheld", "sync_withheld_total",
      "Messages that members did not get, as the app says." },

    { SYNC_COUNT_CLIENT_ERRORS, "clientErrors", "sync_client_errors_total",
      "Errors that members got instead of a message." },

    { SYNC_COUNT_SHARED, "hookShared", "sync_hook_shared_total",
      "Client hook calls for members of several workers." },

    { SYNC_COUNT_SHARES_LATE, "hookSharedLate",
      "sync_hook_shared_late_total",
      "Shared calls that did not wait for all workers." },

    { SYNC_COUNT_SHARES_LOST, "hookSharedLost",
      "sync_hook_shared_lost_total",
      "Shares in a call that a worker asked for by itself instead." },

    { SYNC_COUNT_STAGE_TIMEOUTS, "hookTimeouts", "sync_hook_timeouts_total",
      "Messages for which the client hook took too long." },

    { SYNC_COUNT_TOKENS_INVALID, "tokensInvalid",
      "sync_tokens_invalid_total",
      "Tokens of clients that are too long, or can be none." },

    { SYNC_COUNT_SESSIONS_INVALID, "sessionsInvalid",
      "sync_sessions_invalid_total", "Values that are no session." },

    { SYNC_COUNT_SESSION_READS, "sessionReads", "sync_session_reads_total",
      "Sessions read from Redis or the app." },

    { SYNC_COUNT_SESSION_CHANGES, "sessionChanges",
      "sync_session_changes_total", "Changes that clients were told of." },

    { SYNC_COUNT_LOGOUTS, "logouts", "sync_logouts_total",
      "Clients whose session ended." },

    { SYNC_COUNT_FULL, "full", "sync_full_total",
      "Times the zone had no memory left." },

    { SYNC_COUNT_RESETS, "resets", "sync_resets_total",
      "Rooms reset after a worker died." },

    { SYNC_COUNT_EVICTED_COUNT, "evictedCount", "sync_evicted_count_total",
      "Messages of histories freed: too many, or too many bytes." },

    { SYNC_COUNT_EVICTED_AGE, "evictedAge", "sync_evicted_age_total",
      "Messages of histories freed for their age." },

    { SYNC_COUNT_EVICTED_PRESSURE, "evictedPressure",
      "sync_evicted_pressure_total",
      "Messages of histories freed as the zone was nearly full." },

    { SYNC_COUNT_REPEATED, "repeated", "sync_repeated_total",
      "Publishes answered as before, their id being known." },

    { SYNC_COUNT_STALE, "stale", "sync_stale_total",
      "Publishes refused for an LSN that is not above the top." },

    { SYNC_COUNT_RECOVERED, "recovered", "sync_recovered_total",
      "Positions handed back after which nothing was missing." },

    { SYNC_COUNT_LOST, "lost", "sync_lost_total",
      "Positions handed back after which something was missing." },

    { SYNC_COUNT_REPLAYED, "replayed", "sync_replayed_total",
      "Messages queued to clients that had missed them." },

    { SYNC_COUNT_GAPS, "gaps", "sync_gaps_total",
      "Times a client was told that it missed something." },

    { SYNC_COUNT_FORGOTTEN, "forgotten", "sync_forgotten_total",
      "Clients that left, forgotten before their time." },

    { SYNC_COUNT_REAPED, "reaped", "sync_reaped_total",
      "Dead workers cleaned up after." },

    { SYNC_COUNT_RATE_LIMITED, "rateLimited", "sync_rate_limited_total",
      "Requests above a rate." },

    { SYNC_COUNT_RATE_EVICTED, "rateEvicted", "sync_rate_evicted_total",
      "Counts of rates forgotten, as the zone had no room for them." },

    { SYNC_COUNT_RATE_TOLD, "rateTold", "sync_rate_told_total",
      "Requests that count for the rates of other hosts." },

    { SYNC_COUNT_RATE_UNTOLD, "rateUntold", "sync_rate_untold_total",
      "Requests that may not count for the rates of other hosts." },

    { SYNC_COUNT_DRAINED, "drained", "sync_drained_total",
      "Clients let go by a reload or stop." },

    { SYNC_COUNT_REDIS_COMMANDS, "redisCommands",
      "sync_redis_commands_total", "Commands to Redis." },

    { SYNC_COUNT_REDIS_ERRORS, "redisErrors", "sync_redis_errors_total",
      "Commands that Redis answered with an error." },

    { SYNC_COUNT_REDIS_TIMEOUTS, "redisTimeouts",
      "sync_redis_timeouts_total", "Commands that got no answer in time." },

    { SYNC_COUNT_REDIS_LOST, "redisLost", "sync_redis_lost_total",
      "Commands whose answer a broken link took with it." },

    { SYNC_COUNT_REDIS_BUSY, "redisBusy", "sync_redis_busy_total",
      "Commands not sent, as too many waited." },

    { SYNC_COUNT_REDIS_RECONNECTS, "redisReconnects",
      "sync_redis_reconnects_total", "Links to Redis that came again." },

    { SYNC_COUNT_BRIDGED, "bridged", "sync_bridged_total",
      "Messages passed on to other zones of the host." },

    { SYNC_COUNT_BRIDGE_LOST, "bridgeLost", "sync_bridge_lost_total",
      "Messages between zones of the host that were lost." },

    { SYNC_COUNT_RECEIPTS_DROPPED, "deliveredUnknown",
      "sync_delivered_unknown_total",
      "Messages whose receivers were not counted for the delivered hook." },

    { SYNC_COUNT_TEXTS_CUT, "textsTruncated", "sync_texts_truncated_total",
      "Streamed texts not kept in full for who joins." },

    { SYNC_COUNT_ACKS, "acks", "sync_acks_total",
      "Acknowledgements that were waited for." },

    { SYNC_COUNT_ACKS_LATE, "acksLate", "sync_acks_late_total",
      "Acknowledgements that nobody waited for." },

    { SYNC_COUNT_ACKS_DROPPED, "acksDropped", "sync_acks_dropped_total",
      "Acknowledgements that there was no room for." },

    { SYNC_COUNT_CLUSTER_SENT, "clusterSent", "sync_cluster_sent_total",
      "Messages sent to other hosts." },

    { SYNC_COUNT_CLUSTER_UNSENT, "clusterUnsent",
      "sync_cluster_unsent_total",
      "Messages not sent to other hosts, as Redis was away." },

    { SYNC_COUNT_CLUSTER_RECEIVED, "clusterReceived",
      "sync_cluster_received_total", "Messages of other hosts." },

    { SYNC_COUNT_CLUSTER_INVALID, "clusterInvalid",
      "sync_cluster_invalid_total",
      "Messages of other hosts that do not parse." },

    { SYNC_COUNT_CLUSTER_FORKS, "clusterForks", "sync_cluster_forks_total",
      "Histories that were begun anew, as Redis had another one." },

    { SYNC_COUNT_CLUSTER_QUESTIONS, "clusterQuestions",
      "sync_cluster_questions_total", "Operations that all hosts did." },

    { SYNC_COUNT_CLUSTER_UNANSWERED, "clusterUnanswered",
      "sync_cluster_unanswered_total",
      "Hosts that were asked to, and did not answer." },

    { SYNC_COUNT_RETURNED, "returned", "sync_returned_total",
      "Clients of Socket.IO that came back as they were." },

    { SYNC_COUNT_RETURN_FAILED, "returnFailed", "sync_return_failed_total",
      "Clients of Socket.IO that came back, and lacked something." },

    { SYNC_COUNT_RETURN_DROPPED, "returnDropped",
      "sync_return_dropped_total",
      "Clients of Socket.IO that left, and could not be kept." },

    { SYNC_COUNT_AFK, "afk", "sync_afk_total",
      "Users who hid their page, or said nothing." },

    { SYNC_COUNT_BACK, "back", "sync_back_total",
      "Users who came back in time." },

    { SYNC_COUNT_GONE, "gone", "sync_gone_total",
      "Users who did not come back in time." },

    { SYNC_COUNT_PRESENCE_DROPPED, "presenceDropped",
      "sync_presence_dropped_total",
      "Users whose absence could not be kept, or told." }
};


/* each counter is told, once */

typedef u_char  ngx_http_sync_counters_are_complete[
    sizeof(ngx_http_sync_counters) / sizeof(ngx_http_sync_counters[0])
    == SYNC_COUNT_MAX ? 1 : -1];


static const ngx_http_sync_gauge_t  ngx_http_sync_gauges[] = {

    { "sync_clients", "Clients connected.",
      offsetof(ngx_http_sync_status_t, clients) },

    { "sync_sessions", "Engine.IO sessions that poll.",
      offsetof(ngx_http_sync_status_t, sessions) },

    { "sync_absent", "Clients of Socket.IO that may come back.",
      offsetof(ngx_http_sync_status_t, absent) },

    { "sync_away", "Users who are afk, or are waited for.",
      offsetof(ngx_http_sync_status_t, away) },

    { "sync_rooms", "Rooms in the zone.",
      offsetof(ngx_http_sync_status_t, rooms) },

    { "sync_patterns", "Of these, subscriptions to patterns.",
      offsetof(ngx_http_sync_status_t, patterns) },

    { "sync_members", "Memberships, of all clients in all rooms.",
      offsetof(ngx_http_sync_status_t, members) },

    { "sync_left", "Clients that left and are remembered.",
      offsetof(ngx_http_sync_status_t, left) },

    { "sync_left_bytes", "Memory of the zone that they take.",
      offsetof(ngx_http_sync_status_t, left_bytes) },

    { "sync_zone_size_bytes", "Size of the zone.",
      offsetof(ngx_http_sync_status_t, size) },

    { "sync_zone_unused_bytes", "Memory of the zone that is free.",
      offsetof(ngx_http_sync_status_t, unused) },

    { "sync_redis_connected", "Links of workers to Redis that are up.",
      offsetof(ngx_http_sync_status_t, redis_connected) },

    { "sync_redis_expected", "Links of workers to Redis there should be.",
      offsetof(ngx_http_sync_status_t, redis_expected) },

    { "sync_redis_pending", "Commands that wait for Redis.",
      offsetof(ngx_http_sync_status_t, redis_pending) },

    { "sync_redis_tracked", "Whether changes of keys are heard of.",
      offsetof(ngx_http_sync_status_t, redis_tracked) },

    { "sync_redis_subscribed", "Whether other hosts are heard of.",
      offsetof(ngx_http_sync_status_t, redis_subscribed) },

    { "sync_redis_degraded", "Whether some of Redis is missing.",
      offsetof(ngx_http_sync_status_t, redis_degraded) },

    { "sync_redis_hosts", "Hosts that share the Redis, with this one.",
      offsetof(ngx_http_sync_status_t, redis_nhosts) }
};


ngx_int_t
ngx_http_sync_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_str_t                       type, body, vary;
    sync_zone_t                    *z;
    ngx_http_sync_status_t          st;
    ngx_http_sync_loc_conf_t       *slcf;
    ngx_http_sync_status_format_e   format;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_sync_not_allowed(r, "GET, HEAD");
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    format = ngx_http_sync_status_format(r);

    if (format == NGX_HTTP_SYNC_STATUS_UNKNOWN) {
        return NGX_HTTP_BAD_REQUEST;
    }

    ngx_str_set(&vary, "Accept");

    if (ngx_http_sync_add_header(r, "Vary", &vary) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (format == NGX_HTTP_SYNC_STATUS_HTML) {
        ngx_str_set(&type, "text/html; charset=utf-8");

        body.data = (u_char *) ngx_http_sync_page;
        body.len = ngx_http_sync_page_len;

        return ngx_http_sync_send(r, NGX_HTTP_OK, &type, &body);
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sync_module);
    z = slcf->settings.main->zone;

    if (ngx_http_sync_status_read(r, z, &st) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (format == NGX_HTTP_SYNC_STATUS_PROMETHEUS) {
        ngx_str_set(&type, "text/plain; version=0.0.4; charset=utf-8");

        rc = ngx_http_sync_status_prometheus(r, &st, &body);

    } else {
        ngx_str_set(&type, "application/json");

        rc = ngx_http_sync_status_json(r, z, &st, &body);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_sync_send(r, NGX_HTTP_OK, &type, &body);
}


/* By ?format=, else by Accept: a browser names text/html. */

static ngx_http_sync_status_format_e
ngx_http_sync_status_format(ngx_http_request_t *r)
{
    ngx_str_t  *accept, format;

    if (ngx_http_arg(r, (u_char *) "format", 6, &format) == NGX_OK) {

        if (format.len == 4 && ngx_strncmp(format.data, "json", 4) == 0) {
            return NGX_HTTP_SYNC_STATUS_JSON;
        }

        if (format.len == 4 && ngx_strncmp(format.data, "html", 4) == 0) {
            return NGX_HTTP_SYNC_STATUS_HTML;
        }

        if (format.len == 10
            && ngx_strncmp(format.data, "prometheus", 10) == 0)
        {
            return NGX_HTTP_SYNC_STATUS_PROMETHEUS;
        }

        return NGX_HTTP_SYNC_STATUS_UNKNOWN;
    }

    accept = ngx_http_sync_header_in(r, "accept");

    if (accept == NULL) {
        return NGX_HTTP_SYNC_STATUS_JSON;
    }

    if (ngx_http_sync_status_accepts(accept, "text/html")) {
        return NGX_HTTP_SYNC_STATUS_HTML;
    }

    if (ngx_http_sync_status_accepts(accept, "text/plain")) {
        return NGX_HTTP_SYNC_STATUS_PROMETHEUS;
    }

    return NGX_HTTP_SYNC_STATUS_JSON;
}


static ngx_uint_t
ngx_http_sync_status_accepts(ngx_str_t *accept, const char *type)
{
    return ngx_strlcasestrn(accept->data, accept->data + accept->len,
                            (u_char *) type, ngx_strlen(type) - 1)
           != NULL;
}


static ngx_int_t
ngx_http_sync_status_read(ngx_http_request_t *r, sync_zone_t *z,
    ngx_http_sync_status_t *st)
{
    ngx_msec_t               beat;
    ngx_uint_t               i, n;
    sync_worker_t           *worker;
    ngx_http_sync_worker_t  *w;

    n = z->sh->nworkers;

    st->workers = ngx_palloc(r->pool, (n + 1) * sizeof(ngx_http_sync_worker_t));
    if (st->workers == NULL) {
        return NGX_ERROR;
    }

    st->nworkers = 0;
    st->redis_shards = sync_redis_shards();
    st->redis_connected = 0;
    st->redis_pending = 0;

    sync_zone_lock(z);

    st->clients = z->sh->nclients;
    st->sessions = z->sh->nsids;
    st->absent = z->sh->nabsents;
    st->away = z->sh->npresences;
    st->rooms = z->sh->nrooms - z->sh->nprivate;
    st->patterns = z->sh->npatterns;
    st->members = z->sh->nmembers;

    for (i = 0; i < n; i++) {
        worker = &z->sh->workers[i];

        if (worker->pid == 0) {
            continue;
        }

        st->redis_connected += worker->redis_links;
        st->redis_pending += worker->redis_pending;

        w = &st->workers[st->nworkers++];
        beat = worker->beat;

        w->slot = i;
        w->pid = worker->pid;
        w->clients = worker->nclients;
        w->members = worker->nmembers;
        w->exiting = worker->exiting;
        w->stalled = sync_worker_stalled(beat) ? 1 : 0;
        w->age = ngx_max((ngx_msec_int_t) (ngx_current_msec - beat), 0);
    }

    sync_zone_unlock(z);

    st->redis_expected = st->nworkers * st->redis_shards;
    st->redis_tracked = sync_redis_tracked();
    st->redis_subscribed = sync_redis_heard();
    st->redis_degraded = st->redis_shards
                         && (!st->redis_subscribed
                             || st->redis_connected < st->redis_expected);

    st->redis_hosts = ngx_palloc(r->pool, SYNC_HOSTS_MAX
                                          * sizeof(sync_host_t));
    if (st->redis_hosts == NULL) {
        return NGX_ERROR;
    }

    st->redis_nhosts = sync_lease_hosts(z, st->redis_hosts);

    sync_zone_counters(z, st->counters);

    sync_former_count(z, &st->left, &st->left_bytes);

    st->size = sync_zone_size(z);
    st->unused = sync_zone_unused(z);

    return NGX_OK;
}


static ngx_int_t
ngx_http_sync_status_json(ngx_http_request_t *r, sync_zone_t *z,
    ngx_http_sync_status_t *st, ngx_str_t *body)
{
    char        *text;
    json_t      *json;
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    json = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
                     " s:I, s:I, s:I, s:{s:s%, s:I, s:I},"
                     " s:{s:I, s:I, s:I, s:I, s:I},"
                     " s:{s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:o},"
                     " s:o, s:o}",
                     "version", NGX_HTTP_SYNC_VERSION,
                     "timestamp", (json_int_t) tp->sec * 1000 + tp->msec,
                     "clients", (json_int_t) st->clients,
                     "sessions", (json_int_t) st->sessions,
                     "absent", (json_int_t) st->absent,
                     "away", (json_int_t) st->away,
                     "rooms", (json_int_t) st->rooms,
                     "patterns", (json_int_t) st->patterns,
                     "members", (json_int_t) st->members,
                     "left", (json_int_t) st->left,
                     "leftBytes", (json_int_t) st->left_bytes,
                     "zone",
                         "name", (char *) z->name.data, z->name.len,
                         "size", (json_int_t) st->size,
                         "unused", (json_int_t) st->unused,
                     "worker",
                         "pid", (json_int_t) ngx_pid,
                         "rooms", (json_int_t) sync_fanout_audiences(),
                         "queuedBytes", (json_int_t) sync_client_queued(),
                         "hooksRunning", (json_int_t) sync_hook_running(),
                         "hooksWaiting", (json_int_t) sync_hook_waiting(),
                     "redis",
                         "shards", (json_int_t) st->redis_shards,
                         "connected", (json_int_t) st->redis_connected,
                         "expected", (json_int_t) st->redis_expected,
                         "pending", (json_int_t) st->redis_pending,
                         "tracked", (int) st->redis_tracked,
                         "subscribed", (int) st->redis_subscribed,
                         "degraded", (int) st->redis_degraded,
                         "hosts", ngx_http_sync_status_hosts(z, st),
                     "workers", ngx_http_sync_status_workers(st),
                     "counters", ngx_http_sync_status_counters(st));
    if (json == NULL) {
        return NGX_ERROR;
    }

    text = json_dumps(json, JSON_INDENT(2));

    json_decref(json);

    if (text == NULL) {
        return NGX_ERROR;
    }

    body->len = ngx_strlen(text);

    body->data = ngx_pnalloc(r->pool, body->len + 1);
    if (body->data == NULL) {
        free(text);
        return NGX_ERROR;
    }

    ngx_memcpy(body->data, text, body->len);
    body->data[body->len++] = '\n';

    free(text);

    return NGX_OK;
}


static json_t *
ngx_http_sync_status_hosts(sync_zone_t *z, ngx_http_sync_status_t *st)
{
    json_t       *hosts, *host, *name;
    ngx_uint_t    i;
    sync_host_t  *h;
    u_char        id[2 * sizeof(uint64_t) + 1];

    hosts = json_array();

    for (i = 0; i < st->redis_nhosts; i++) {
        h = &st->redis_hosts[i];

        *ngx_sprintf(id, "%016xL", h->id) = '\0';

        name = json_stringn((char *) h->name,
                            ngx_min(h->len, SYNC_HOST_NAME));

        host = json_pack("{s:s, s:o, s:I, s:b}", "id", id,
                         "name", name ? name : json_null(),
                         "clients", (json_int_t) h->nclients,
                         "self", (int) (h->id == z->sh->id));

        if (json_array_append_new(hosts, host) != 0) {
            json_decref(hosts);
            return NULL;
        }
    }

    return hosts;
}


static json_t *
ngx_http_sync_status_workers(ngx_http_sync_status_t *st)
{
    json_t                  *workers, *worker;
    ngx_uint_t               i;
    ngx_http_sync_worker_t  *w;

    workers = json_array();

    for (i = 0; i < st->nworkers; i++) {
        w = &st->workers[i];

        worker = json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:b}",
                           "slot", (json_int_t) w->slot,
                           "pid", (json_int_t) w->pid,
                           "clients", (json_int_t) w->clients,
                           "members", (json_int_t) w->members,
                           "beatAge", (json_int_t) w->age,
                           "stalled", w->stalled,
                           "exiting", w->exiting);

        if (json_array_append_new(workers, worker) != 0) {
            json_decref(workers);
            return NULL;
        }
    }

    return workers;
}


static json_t *
ngx_http_sync_status_counters(ngx_http_sync_status_t *st)
{
    json_t                         *counters;
    ngx_uint_t                      i;
    const ngx_http_sync_counter_t  *c;

    counters = json_object();

    for (i = 0; i < SYNC_COUNT_MAX; i++) {
        c = &ngx_http_sync_counters[i];

        if (json_object_set_new(counters, c->name,
                                json_integer(st->counters[c->counter]))
            != 0)
        {
            json_decref(counters);
            return NULL;
        }
    }

    return counters;
}


static ngx_int_t
ngx_http_sync_status_prometheus(ngx_http_request_t *r,
    ngx_http_sync_status_t *st, ngx_str_t *body)
{
    size_t                          size;
    u_char                         *p, *last;
    ngx_uint_t                      i, n;
    ngx_http_sync_worker_t         *w;
    const ngx_http_sync_gauge_t    *g;
    const ngx_http_sync_counter_t  *c;

    n = sizeof(ngx_http_sync_gauges) / sizeof(ngx_http_sync_gauges[0]);

    size = (SYNC_COUNT_MAX + n + 4) * NGX_HTTP_SYNC_FAMILY_LEN
           + st->nworkers * NGX_HTTP_SYNC_WORKER_LEN;

    p = ngx_pnalloc(r->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = p;
    last = p + size;

    for (i = 0; i < SYNC_COUNT_MAX; i++) {
        c = &ngx_http_sync_counters[i];

        p = ngx_http_sync_status_family(p, last, c->metric, "counter",
                                        c->help);
        p = ngx_slprintf(p, last, "%s %uL\n", c->metric,
                         st->counters[c->counter]);
    }

    for (i = 0; i < n; i++) {
        g = &ngx_http_sync_gauges[i];

        p = ngx_http_sync_status_family(p, last, g->metric, "gauge", g->help);
        p = ngx_slprintf(p, last, "%s %uz\n", g->metric,
                         *(size_t *) ((u_char *) st + g->offset));
    }

    p = ngx_http_sync_status_family(p, last, "sync_worker_clients", "gauge",
                                    "Clients of a worker.");

    for (i = 0; i < st->nworkers; i++) {
        w = &st->workers[i];
        p = ngx_slprintf(p, last, "sync_worker_clients{slot=\"%ui\"} %ui\n",
                         w->slot, w->clients);
    }

    p = ngx_http_sync_status_family(p, last, "sync_worker_beat_age_seconds",
                                    "gauge", "Time since a worker's beat.");

    for (i = 0; i < st->nworkers; i++) {
        w = &st->workers[i];
        p = ngx_slprintf(p, last,
                         "sync_worker_beat_age_seconds{slot=\"%ui\"} "
                         "%M.%03M\n", w->slot, w->age / 1000, w->age % 1000);
    }

    p = ngx_http_sync_status_family(p, last, "sync_worker_exiting", "gauge",
                                    "Whether a worker is draining.");

    for (i = 0; i < st->nworkers; i++) {
        w = &st->workers[i];
        p = ngx_slprintf(p, last, "sync_worker_exiting{slot=\"%ui\"} %ui\n",
                         w->slot, (ngx_uint_t) w->exiting);
    }

    body->len = p - body->data;

    return NGX_OK;
}


static u_char *
ngx_http_sync_status_family(u_char *p, u_char *last, const char *metric,
    const char *type, const char *help)
{
    return ngx_slprintf(p, last, "# HELP %s %s\n# TYPE %s %s\n",
                        metric, help, metric, type);
}
