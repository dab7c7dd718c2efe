
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>
#include <sync_route.h>


/* Directives of what stands between a request and the app. */


char *
ngx_http_sync_routes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    ngx_str_t                  *value, file;
    ngx_uint_t                  i;
    ngx_http_sync_manifest_t   *m;
    ngx_http_sync_main_conf_t  *smcf;

    if (slcf->settings.manifest != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_sync_is(&value[1], "off")) {
        slcf->settings.manifest = NULL;
        return NGX_CONF_OK;
    }

    file = value[1];

    if (file.len == 0) {
        return ngx_http_sync_invalid(cf, cmd, &value[1],
                                     "a file or \"off\"");
    }

    if (ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sync_module);

    if (smcf->manifests == NULL) {
        smcf->manifests = ngx_array_create(cf->pool, 1,
                                           sizeof(ngx_http_sync_manifest_t));
        if (smcf->manifests == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    m = smcf->manifests->elts;

    for (i = 0; i < smcf->manifests->nelts; i++) {

        if (m[i].file.len == file.len
            && ngx_memcmp(m[i].file.data, file.data, file.len) == 0)
        {
            slcf->settings.manifest = m[i].manifest;
            return NGX_CONF_OK;
        }
    }

    m = ngx_array_push(smcf->manifests);
    if (m == NULL) {
        return NGX_CONF_ERROR;
    }

    m->file = file;

    m->manifest = sync_route_load(cf, &file);
    if (m->manifest == NULL) {
        return NGX_CONF_ERROR;
    }

    slcf->settings.manifest = m->manifest;

    /* a route may have a hook of its own */

    smcf->hooks = 1;

    return NGX_CONF_OK;
}
