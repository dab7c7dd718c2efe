
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_session_redis.h>
#include <sync_session_call.h>
#include <sync_redis.h>
#include <sync_timer.h>


#define SYNC_SESSION_BATCH   512        /* sessions read again at a time */
#define SYNC_SESSION_PACE    20         /* ms between two of them */
#define SYNC_SESSION_RETRY   500        /* ms, where it failed */
#define SYNC_SESSION_PAGE    65536      /* bytes of tokens */


/* Sessions of a realm that are read again, some at a time. */

typedef struct {
    sync_session_conf_t     *conf;
    uint32_t                 bucket;
    unsigned                 active:1;
    unsigned                 unknown:1;
} sync_session_sweep_t;


typedef struct {
    sync_main_settings_t    *main;
    ngx_event_t              timer;
    ngx_msec_t               trusted;   /* the last time it was */
    sync_session_sweep_t    *sweeps;
    ngx_uint_t               nsweeps;
    ngx_uint_t               reading;   /* calls of sweeps */
} sync_session_remote_worker_t;


static void sync_session_redis_changed(sync_str_t *key, void *data);
static void sync_session_redis_later(sync_session_conf_t *conf);
static void sync_session_redis_sweep(ngx_event_t *ev);
static ngx_uint_t sync_session_redis_trusted(void);
static void sync_session_redis_used(sync_settings_t *s, sync_str_t *token);
static void sync_session_redis_wanted(sync_settings_t *s, sync_str_t *token);

static const sync_session_remote_t  sync_session_redis_remote = {
    sync_session_redis_trusted,
    sync_session_redis_used,
    sync_session_redis_wanted
};


static sync_session_remote_worker_t  sync_session_redis;


ngx_int_t
sync_session_redis_init_worker(sync_main_settings_t *main)
{
    ngx_uint_t                      i;
    sync_session_conf_t           **conf;
    sync_session_remote_worker_t   *w;

    w = &sync_session_redis;

    ngx_memzero(w, sizeof(sync_session_remote_worker_t));

    w->main = main;
    w->trusted = ngx_current_msec;

    sync_timer_init(&w->timer, sync_session_redis_sweep, 1);

    sync_session_call_init_worker(main, sync_session_redis_later);

    sync_session_remotes[SYNC_SESSION_REDIS] = &sync_session_redis_remote;

    if (main->sessions == NULL) {
        return SYNC_OK;
    }

    conf = main->sessions->elts;
    w->nsweeps = main->sessions->nelts;

    w->sweeps = ngx_pcalloc(ngx_cycle->pool,
                            w->nsweeps * sizeof(sync_session_sweep_t));
    if (w->sweeps == NULL) {
        return SYNC_ERROR;
    }

    for (i = 0; i < w->nsweeps; i++) {
        w->sweeps[i].conf = conf[i];

        if (sync_redis_track(&conf[i]->key[0], sync_session_redis_changed,
                             &w->sweeps[i])
            != SYNC_OK)
        {
            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                          "too many keys of sessions, at most %d",
                          SYNC_REDIS_PREFIXES_MAX);
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


void
sync_session_redis_tick(void)
{
    if (sync_redis_tracked()) {
        sync_session_redis.trusted = ngx_current_msec;
    }
}


static ngx_uint_t
sync_session_redis_trusted(void)
{
    return sync_redis_tracked()
           || ngx_current_msec - sync_session_redis.trusted
              < SYNC_SESSION_GRACE;
}


/* In the worker that hears of changes. */

static void
sync_session_redis_changed(sync_str_t *key, void *data)
{
    uint32_t               stamp;
    sync_str_t             token, *parts;
    sync_session_sweep_t  *sw;

    sw = data;
    parts = sw->conf->key;

    if (key == NULL) {

        /* what was too long not heard of is not used till it is read */

        sw->bucket = 0;
        sw->active = 1;
        sw->unknown = (ngx_current_msec - sync_session_redis.trusted
                       >= SYNC_SESSION_GRACE);

        if (!sync_session_redis.timer.timer_set) {
            ngx_add_timer(&sync_session_redis.timer, 1);
        }

        return;
    }

    if (key->len <= parts[0].len + parts[1].len
        || key->len > parts[0].len + parts[1].len + SYNC_TOKEN_MAX
        || ngx_memcmp(key->data + key->len - parts[1].len, parts[1].data,
                      parts[1].len)
           != 0)
    {
        return;
    }

    token.data = key->data + parts[0].len;
    token.len = key->len - parts[0].len - parts[1].len;

    stamp = sync_session_store_outdated(sync_session_redis.main->zone,
                                        sw->conf->realm, &token);
    if (stamp
        && sync_session_call_fetch(sw->conf, &token, stamp, 0) != SYNC_AGAIN)
    {
        sync_session_redis_later(sw->conf);
    }
}


/* What could not be read now is read when it can, and all the rest with it. */

static void
sync_session_redis_later(sync_session_conf_t *conf)
{
    ngx_uint_t                     i;
    sync_session_remote_worker_t  *w;

    w = &sync_session_redis;

    for (i = 0; i < w->nsweeps; i++) {

        if (w->sweeps[i].conf->realm == conf->realm) {
            w->sweeps[i].bucket = 0;
            w->sweeps[i].active = 1;
        }
    }

    if (!w->timer.timer_set) {
        ngx_add_timer(&w->timer, SYNC_SESSION_RETRY);
    }
}


static void
sync_session_redis_sweep(ngx_event_t *ev)
{
    u_char                        *p;
    uint16_t                       len;
    uint32_t                       stamp;
    ngx_uint_t                     i, n;
    sync_str_t                     token;
    sync_zone_t                   *z;
    sync_session_sweep_t          *sw;
    sync_session_remote_worker_t  *w;
    static u_char                  buf[SYNC_SESSION_PAGE];

    w = &sync_session_redis;
    z = w->main->zone;
    n = 0;

    for (i = 0; i < w->nsweeps; i++) {
        sw = &w->sweeps[i];

        while (sw->active && n < SYNC_SESSION_BATCH
               && sync_redis_pending() < SYNC_REDIS_CALLS_MAX / 2)
        {
            p = buf;
            n = sync_session_store_page(z, sw->conf->realm, &sw->bucket,
                                        sw->unknown, buf, sizeof(buf));

            while (n) {
                ngx_memcpy(&len, p, sizeof(uint16_t));

                token.data = p + sizeof(uint16_t);
                token.len = len;
                p = token.data + len;
                n--;

                stamp = sync_session_store_outdated(z, sw->conf->realm,
                                                    &token);
                if (stamp
                    && sync_session_call_fetch(sw->conf, &token, stamp, 0)
                       != SYNC_AGAIN)
                {
                    /* from the beginning */

                    sync_session_redis_later(sw->conf);
                    return;
                }
            }

            if (sw->bucket > z->sh->sid_mask) {
                sw->active = 0;
            }
        }

        if (sw->active && !w->timer.timer_set) {
            ngx_add_timer(&w->timer, SYNC_SESSION_PACE);
        }
    }
}


void
sync_session_redis_ended(uint32_t realm, const u_char *id)
{
    uint32_t               stamp;
    ngx_uint_t             i;
    sync_str_t             token;
    sync_zone_t           *z;
    static u_char          buf[SYNC_TOKEN_MAX];

    z = sync_session_redis.main->zone;

    for (i = 0; i < sync_session_redis.nsweeps; i++) {

        if (sync_session_redis.sweeps[i].conf->realm != realm) {
            continue;
        }

        token.data = buf;
        token.len = sync_session_store_token(z, realm, id, buf);

        stamp = token.len ? sync_session_store_outdated(z, realm, &token) : 0;

        if (stamp) {
            (void) sync_session_call_fetch(sync_session_redis.sweeps[i].conf,
                                           &token, stamp, 0);
        }

        return;
    }
}


static void
sync_session_redis_used(sync_settings_t *s, sync_str_t *token)
{
    if (!sync_session_store_slides(s->main->zone, s->session->realm, token,
                                   sync_session_slides(s->session)))
    {
        return;
    }

    sync_session_redis_wanted(s, token);
}


static void
sync_session_redis_wanted(sync_settings_t *s, sync_str_t *token)
{
    uint32_t  stamp;

    stamp = sync_session_store_stamp(s->main->zone, s->session->realm, token);

    if (stamp) {
        (void) sync_session_call_fetch(s->session, token, stamp, 1);
    }
}
