
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>
#include <sync_presence_store.h>


/* sync_presence: how long a user is waited for. */


#define NGX_HTTP_SYNC_PRESENCE_MAX  (24 * 3600 * 1000)      /* ms */


typedef struct {
    const char  *name;
    size_t       offset;
} ngx_http_sync_presence_time_t;


static ngx_int_t ngx_http_sync_presence_set(sync_presence_conf_t *p,
    ngx_str_t *value);


static ngx_http_sync_presence_time_t  ngx_http_sync_presence_times[] = {
    { "tab=", offsetof(sync_presence_conf_t, tab) },
    { "transport=", offsetof(sync_presence_conf_t, transport) },
    { "other=", offsetof(sync_presence_conf_t, other) },
    { NULL, 0 }
};


char *
ngx_http_sync_presence(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    ngx_str_t             *value;
    ngx_uint_t             i;
    sync_presence_conf_t  *p;

    static const char  *allowed = "\"off\", or \"on\" and times up to 1d: "
                                  "\"tab=\", \"transport=\", \"other=\", "
                                  "\"afk=\"";

    p = &slcf->settings.presence;

    if (p->on != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_sync_is(&value[1], "off") && cf->args->nelts == 2) {
        p->on = 0;
        return NGX_CONF_OK;
    }

    if (!ngx_http_sync_is(&value[1], "on")) {
        return ngx_http_sync_invalid(cf, cmd, &value[1], allowed);
    }

    p->on = 1;
    p->tab = 20000;
    p->transport = 60000;
    p->other = 2000;
    p->afk = 5 * 60;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_sync_presence_set(p, &value[i]) != NGX_OK) {
            return ngx_http_sync_invalid(cf, cmd, &value[i], allowed);
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sync_presence_set(sync_presence_conf_t *p, ngx_str_t *value)
{
    ngx_int_t                       n;
    ngx_str_t                       s;
    ngx_http_sync_presence_time_t  *t;

    if (ngx_http_sync_starts(value, "afk=", &s)) {

        if (ngx_http_sync_is(&s, "off")) {
            p->afk = 0;
            return NGX_OK;
        }

        n = ngx_parse_time(&s, 0);

        if (n < 1 || n > NGX_HTTP_SYNC_PRESENCE_MAX) {
            return NGX_ERROR;
        }

        p->afk = (n + 999) / 1000;

        return NGX_OK;
    }

    for (t = ngx_http_sync_presence_times; t->name; t++) {

        if (!ngx_http_sync_starts(value, t->name, &s)) {
            continue;
        }

        n = ngx_parse_time(&s, 0);

        if (n < 0 || n > NGX_HTTP_SYNC_PRESENCE_MAX) {
            return NGX_ERROR;
        }

        *(ngx_msec_t *) ((u_char *) p + t->offset) = n;

        return NGX_OK;
    }

    return NGX_ERROR;
}


char *
ngx_http_sync_merge_presence(ngx_conf_t *cf, ngx_http_sync_loc_conf_t *prev,
    ngx_http_sync_loc_conf_t *conf)
{
    ngx_array_t                **presences;
    sync_settings_t             *s, **place;
    ngx_http_sync_main_conf_t   *smcf;

    s = &conf->settings;

    if (s->presence.on == NGX_CONF_UNSET) {
        s->presence = prev->settings.presence;
    }

    if (s->presence.on == NGX_CONF_UNSET) {
        s->presence.on = 0;
    }

    if (!s->presence.on
        || (conf->handler != ngx_http_sync_websocket_handler
            && conf->handler != ngx_http_sync_socketio_handler
            && conf->handler != ngx_http_sync_sse_handler))
    {
        return NGX_CONF_OK;
    }

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sync_module);
    presences = &smcf->settings.presences;

    if (*presences == NULL) {
        *presences = ngx_array_create(cf->pool, 4, sizeof(sync_settings_t *));
        if (*presences == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if ((*presences)->nelts == SYNC_PRESENCE_RULES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "more than %d locations with \"sync_presence\"",
                           SYNC_PRESENCE_RULES);
        return NGX_CONF_ERROR;
    }

    place = ngx_array_push(*presences);
    if (place == NULL) {
        return NGX_CONF_ERROR;
    }

    *place = s;
    s->presence.place = (*presences)->nelts;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_sync_presence_init(ngx_conf_t *cf, ngx_http_sync_main_conf_t *smcf)
{
    ngx_uint_t              i, n;
    sync_zone_t            *z;
    sync_settings_t       **s;
    sync_presence_rule_t   *rule;

    z = smcf->settings.zone;

    if (z == NULL || smcf->settings.presences == NULL) {
        return NGX_OK;
    }

    s = smcf->settings.presences->elts;
    n = smcf->settings.presences->nelts;

    rule = ngx_palloc(cf->pool, n * sizeof(sync_presence_rule_t));
    if (rule == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        rule[i].transport = s[i]->presence.transport;
        rule[i].realm = s[i]->session->realm;
    }

    z->presences = rule;
    z->npresences = n;

    return NGX_OK;
}
