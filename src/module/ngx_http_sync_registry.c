
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>


/* How long clients that left are remembered. */


#define NGX_HTTP_SYNC_REGISTRY_MAX  (365 * 24 * 60 * 60)    /* s */


char *
ngx_http_sync_registry(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_main_conf_t  *smcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value, s;

    if (smcf->settings.remember != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_sync_is(&value[1], "off")) {
        smcf->settings.remember = 0;
        return NGX_CONF_OK;
    }

    if (ngx_http_sync_starts(&value[1], "ttl=", &s)) {
        n = ngx_parse_time(&s, 1);

        if (n >= 1 && n <= NGX_HTTP_SYNC_REGISTRY_MAX) {
            smcf->settings.remember = n;
            return NGX_CONF_OK;
        }
    }

    return ngx_http_sync_invalid(cf, cmd, &value[1], "\"ttl=\" and a time "
                                 "from 1s to 365d, or \"off\"");
}
