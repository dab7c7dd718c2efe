
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>
#include <sync_bridge.h>
#include <sync_connect.h>
#include <sync_eio_client.h>
#include <sync_hook.h>
#include <sync_process.h>
#include <sync_socketio.h>
#include <sync_wake.h>


/* slots of the zone: each generation of workers takes one a worker */

#define NGX_HTTP_SYNC_GENERATIONS  4
#define NGX_HTTP_SYNC_SLOTS_MIN    32


static ngx_int_t ngx_http_sync_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_sync_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);

static ngx_int_t ngx_http_sync_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_sync_init_process(ngx_cycle_t *cycle);
static void ngx_http_sync_exit_process(ngx_cycle_t *cycle);
static sync_main_settings_t *ngx_http_sync_settings(ngx_cycle_t *cycle);

static void *ngx_http_sync_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_sync_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_sync_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_sync_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);

static ngx_int_t ngx_http_sync_init(ngx_conf_t *cf);


static ngx_http_module_t  ngx_http_sync_module_ctx = {
    ngx_http_sync_add_variables,           /* preconfiguration */
    ngx_http_sync_init,                    /* postconfiguration */

    ngx_http_sync_create_main_conf,        /* create main configuration */
    ngx_http_sync_init_main_conf,          /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_sync_create_loc_conf,         /* create location configuration */
    ngx_http_sync_merge_loc_conf           /* merge location configuration */
};


ngx_module_t  ngx_http_sync_module = {
    NGX_MODULE_V1,
    &ngx_http_sync_module_ctx,             /* module context */
    ngx_http_sync_commands,                /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_sync_init_module,             /* init module */
    ngx_http_sync_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_sync_exit_process,            /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


/*
 * The filters are installed once a configuration had a hook, and then by
 * every later one: if that is refused, workers of the present one that are
 * started again inherit the chain that it left.
 */

static ngx_uint_t  ngx_http_sync_filters;


static ngx_int_t
ngx_http_sync_header_filter(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = sync_hook_header_filter(r);

    if (rc != SYNC_DECLINED) {
        return rc;
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_sync_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t  rc;

    rc = sync_hook_body_filter(r, in);

    if (rc != SYNC_DECLINED) {
        return rc;
    }

    return ngx_http_next_body_filter(r, in);
}


static ngx_int_t
ngx_http_sync_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t             n;
    ngx_core_conf_t       *ccf;
    sync_main_settings_t  *settings;

    settings = ngx_http_sync_settings(cycle);

    if (ngx_test_config) {
        return NGX_OK;
    }

    if (settings == NULL) {
        sync_wake_forget();
        return NGX_OK;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    n = NGX_HTTP_SYNC_GENERATIONS * ngx_max(ccf->worker_processes, 1);
    n = ngx_max(n, NGX_HTTP_SYNC_SLOTS_MIN);
    n = ngx_min(n, SYNC_WORKERS_MAX);

    if (sync_wake_create(cycle, settings->zone, n) == SYNC_OK) {

        /* what is said goes by Redis, where there is one */

        if (settings->redis == NULL) {
            sync_bridge_create(cycle, settings->zone);
        }

        return NGX_OK;
    }

    /* an error here would end a master that has workers to look after */

    return ngx_is_init_cycle(cycle->old_cycle) ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_sync_init_process(ngx_cycle_t *cycle)
{
    sync_main_settings_t  *settings;

    settings = ngx_http_sync_settings(cycle);

    if (settings == NULL
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    sync_socketio_init_worker();

    return sync_process_init(cycle, settings) == SYNC_OK ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_sync_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_http_sync_settings(cycle) == NULL
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return;
    }

    sync_process_exit(cycle);
}


/* The settings if the module is used, or NULL. */

static sync_main_settings_t *
ngx_http_sync_settings(ngx_cycle_t *cycle)
{
    ngx_http_sync_main_conf_t  *smcf;

    smcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_sync_module);

    if (smcf == NULL || smcf->settings.zone == NULL) {
        return NULL;
    }

    return &smcf->settings;
}


static void *
ngx_http_sync_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_sync_main_conf_t  *smcf;

    smcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_sync_main_conf_t));
    if (smcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     smcf->settings.zone = NULL;
     *     smcf->settings.rules = NULL;
     *     smcf->settings.rule = { 0 };     open, close
     *     smcf->size = 0;
     *     smcf->file = { 0, NULL };
     *     smcf->manifests = NULL;
     *     smcf->hooks = 0;
     */

    smcf->settings.drain = NGX_CONF_UNSET_MSEC;
    smcf->settings.remember = NGX_CONF_UNSET;
    smcf->settings.rule.presence = 1;

    return smcf;
}


static char *
ngx_http_sync_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_sync_main_conf_t  *smcf = conf;

    size_t        limit;
    ngx_uint_t    i;
    sync_rule_t  *rule;

    ngx_conf_init_msec_value(smcf->settings.drain, 30000);
    ngx_conf_init_value(smcf->settings.remember, 24 * 60 * 60);

    if (smcf->settings.zone == NULL) {
        return NGX_CONF_OK;
    }

    smcf->settings.zone->remember = smcf->settings.remember;

    limit = smcf->size / NGX_HTTP_SYNC_SHARE;

    smcf->settings.rule.room.limit = limit;

    if (smcf->settings.rules) {
        rule = smcf->settings.rules->elts;

        for (i = 0; i < smcf->settings.rules->nelts; i++) {
            rule[i].room.limit = limit;
            rule[i].room.mirrored = (smcf->settings.redis != NULL);
        }
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_sync_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_sync_loc_conf_t  *slcf;

    slcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_sync_loc_conf_t));
    if (slcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     slcf->settings.client.ctx = NULL;
     *     slcf->settings.main = NULL;
     *     slcf->settings.hooks = { { { 0, NULL }, 0 } };
     *     slcf->settings.session = NULL;
     *     slcf->settings.tokens = NULL;
     *     slcf->origins = NULL;
     *     slcf->csrf = { 0, NULL };
     *     slcf->handler = NULL;
     */

    slcf->settings.client.ping_interval = NGX_CONF_UNSET_MSEC;
    slcf->settings.client.ping_timeout = NGX_CONF_UNSET_MSEC;
    slcf->settings.client.max_message = NGX_CONF_UNSET_SIZE;
    slcf->settings.client.queue = NGX_CONF_UNSET_SIZE;
    slcf->settings.client.compression = NGX_CONF_UNSET;
    slcf->settings.client.level = NGX_CONF_UNSET;
    slcf->settings.client.min = NGX_CONF_UNSET_SIZE;
    slcf->settings.manifest = NGX_CONF_UNSET_PTR;
    slcf->settings.rate_route.n = NGX_CONF_UNSET_UINT;
    slcf->settings.receiver_any = NGX_CONF_UNSET;
    slcf->settings.receiver_all = NGX_CONF_UNSET;
    slcf->settings.max_rooms = NGX_CONF_UNSET_UINT;
    slcf->settings.recovery.time = NGX_CONF_UNSET_MSEC;
    slcf->settings.presence.on = NGX_CONF_UNSET;

    return slcf;
}


static char *
ngx_http_sync_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_sync_loc_conf_t *prev = parent;
    ngx_http_sync_loc_conf_t *conf = child;

    ngx_uint_t                  i;
    sync_settings_t            *s, *ps;
    ngx_http_core_srv_conf_t   *cscf;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_sync_main_conf_t  *smcf;

    s = &conf->settings;
    ps = &prev->settings;

    ngx_conf_merge_msec_value(s->client.ping_interval,
                              ps->client.ping_interval, 25000);
    ngx_conf_merge_msec_value(s->client.ping_timeout,
                              ps->client.ping_timeout, 20000);
    ngx_conf_merge_size_value(s->client.max_message, ps->client.max_message,
                              64 * 1024);
    ngx_conf_merge_size_value(s->client.queue, ps->client.queue, 1024 * 1024);
    ngx_conf_merge_value(s->client.compression, ps->client.compression, 0);
    ngx_conf_merge_value(s->client.level, ps->client.level, 6);
    ngx_conf_merge_size_value(s->client.min, ps->client.min, 256);
    ngx_conf_merge_ptr_value(s->manifest, ps->manifest, NULL);

    if (s->rate_route.n == NGX_CONF_UNSET_UINT) {
        s->rate_route = ps->rate_route;
        s->rate_ip = ps->rate_ip;
    }

    if (s->rate_route.n == NGX_CONF_UNSET_UINT) {
        s->rate_route.n = 0;
    }

    ngx_conf_merge_value(s->receiver_any, ps->receiver_any, 0);
    ngx_conf_merge_value(s->receiver_all, ps->receiver_all, 0);
    ngx_conf_merge_uint_value(s->max_rooms, ps->max_rooms, 50);

    if (s->recovery.time == NGX_CONF_UNSET_MSEC) {
        s->recovery = ps->recovery;
    }

    if (s->recovery.time == NGX_CONF_UNSET_MSEC) {
        s->recovery.time = 0;
    }

    for (i = 0; i < SYNC_HOOK_MAX; i++) {

        if (s->hooks[i].uri.data == NULL) {
            s->hooks[i] = ps->hooks[i];
        }
    }

    ngx_conf_merge_str_value(conf->csrf, prev->csrf, "x-csrf-token");

    if (conf->origins == NULL) {
        conf->origins = prev->origins;
    }

    if (conf->origins == NULL) {
        conf->origins = ngx_http_sync_origins_create(cf);
        if (conf->origins == NULL) {
            return NGX_CONF_ERROR;
        }

        conf->origins->same = 1;
        prev->origins = conf->origins;
    }

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sync_module);
    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    s->main = &smcf->settings;
    s->client.ctx = cscf->ctx;

    /* "if" and "limit_except" blocks are locations without a name */

    if (clcf->noname && conf->handler == NULL) {
        conf->handler = prev->handler;
    }

    s->client.handler = (conf->handler == ngx_http_sync_socketio_handler)
                        ? &sync_eio_client_handler : &sync_connect_handler;

    if (clcf->lmt_excpt && clcf->handler == NULL) {
        clcf->handler = conf->handler;
    }

    if (ngx_http_sync_merge_session(cf, prev, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_sync_merge_presence(cf, prev, conf);
}


static ngx_int_t
ngx_http_sync_init(ngx_conf_t *cf)
{
    ngx_http_sync_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sync_module);

    if (smcf->settings.zone == NULL && smcf->file.len) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"sync\" directive requires \"sync_zone\" in the "
                      "\"http\" block, in %V:%ui", &smcf->file, smcf->line);
        return NGX_ERROR;
    }

    if (smcf->settings.sessions && smcf->settings.redis == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"sync_session redis\" requires \"sync_redis\" in the "
                      "\"http\" block");
        return NGX_ERROR;
    }

    if (ngx_http_sync_redis_init(cf, smcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_sync_presence_init(cf, smcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (smcf->hooks) {
        ngx_http_sync_filters = 1;
    }

    if (ngx_http_sync_filters) {
        ngx_http_next_header_filter = ngx_http_top_header_filter;
        ngx_http_top_header_filter = ngx_http_sync_header_filter;

        ngx_http_next_body_filter = ngx_http_top_body_filter;
        ngx_http_top_body_filter = ngx_http_sync_body_filter;
    }

    return NGX_OK;
}
