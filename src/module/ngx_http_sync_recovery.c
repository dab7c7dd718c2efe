
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>


#define NGX_HTTP_SYNC_RECOVERY_TIME  (24 * 3600 * 1000)     /* ms */
#define NGX_HTTP_SYNC_RECOVERY_MAX   1000000                /* clients */


char *
ngx_http_sync_recovery(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    ngx_int_t              n;
    ngx_str_t             *value, s;
    ngx_uint_t             i;
    sync_recovery_conf_t  *rc;

    rc = &slcf->settings.recovery;

    if (rc->time != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    rc->max = 10000;

    for (i = 1; i < cf->args->nelts; i++) {

        if (i == 1 && ngx_http_sync_is(&value[1], "off")
            && cf->args->nelts == 2)
        {
            rc->time = 0;
            continue;
        }

        if (i == 1) {
            n = ngx_parse_time(&value[1], 0);

            if (n > 0 && n <= NGX_HTTP_SYNC_RECOVERY_TIME) {
                rc->time = n;
                continue;
            }
        }

        if (i == 2 && ngx_http_sync_starts(&value[2], "max=", &s)) {
            n = ngx_atoi(s.data, s.len);

            if (n > 0 && n <= NGX_HTTP_SYNC_RECOVERY_MAX) {
                rc->max = n;
                continue;
            }
        }

        return ngx_http_sync_invalid(cf, cmd, &value[i],
                                     "\"off\", or a time up to 1d and "
                                     "\"max=number\" from 1 to 1000000");
    }

    return NGX_CONF_OK;
}
