
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>


#define NGX_HTTP_SYNC_HOOK_SHARE        30          /* ms */
#define NGX_HTTP_SYNC_HOOK_SHARE_MAX    60000       /* ms */
#define NGX_HTTP_SYNC_HOOK_TIMEOUT      60000       /* ms */
#define NGX_HTTP_SYNC_HOOK_TIMEOUT_MAX  86400000    /* ms */


void
ngx_http_sync_hook_times(sync_hook_conf_t *hook)
{
    hook->share = NGX_HTTP_SYNC_HOOK_SHARE;
    hook->timeout = NGX_HTTP_SYNC_HOOK_TIMEOUT;
}


ngx_int_t
ngx_http_sync_hook_time(sync_hook_conf_t *hook, ngx_str_t *value)
{
    ngx_int_t    max, n;
    ngx_str_t    s;
    ngx_msec_t  *time;

    if (ngx_http_sync_is(value, "share=off")) {
        hook->share = 0;
        return NGX_OK;
    }

    if (ngx_http_sync_starts(value, "share=", &s)) {
        time = &hook->share;
        max = NGX_HTTP_SYNC_HOOK_SHARE_MAX;

    } else if (ngx_http_sync_starts(value, "timeout=", &s)) {
        time = &hook->timeout;
        max = NGX_HTTP_SYNC_HOOK_TIMEOUT_MAX;

    } else {
        return NGX_DECLINED;
    }

    n = ngx_parse_time(&s, 0);

    if (n <= 0 || n > max) {
        return NGX_DECLINED;
    }

    *time = n;

    return NGX_OK;
}
