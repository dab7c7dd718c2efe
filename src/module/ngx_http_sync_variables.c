
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>
#include <sync_connect.h>
#include <sync_token.h>


static ngx_int_t ngx_http_sync_client_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_sync_user_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_sync_rooms_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_sync_token_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_sync_no_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_sync_record(ngx_http_request_t *r,
    sync_record_info_t *info);
static ngx_int_t ngx_http_sync_set_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, const u_char *data, size_t len);


static ngx_http_variable_t  ngx_http_sync_vars[] = {

    { ngx_string("sync_client"), NULL, ngx_http_sync_client_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sync_user"), NULL, ngx_http_sync_user_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sync_rooms"), NULL, ngx_http_sync_rooms_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sync_close"), NULL, ngx_http_sync_no_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sync_token"), NULL, ngx_http_sync_token_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_int_t
ngx_http_sync_client_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    sync_str_t  *id;

    id = sync_connect_id(r);

    if (id == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_sync_set_variable(r, v, id->data, id->len);
}


static ngx_int_t
ngx_http_sync_user_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    sync_record_info_t  info;

    if (ngx_http_sync_record(r, &info) != NGX_OK || info.user_len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_sync_set_variable(r, v, info.user, info.user_len);
}


static ngx_int_t
ngx_http_sync_rooms_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char               text[NGX_INT_T_LEN];
    sync_record_info_t   info;

    if (ngx_http_sync_record(r, &info) != NGX_OK) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_sync_set_variable(r, v, text,
                              ngx_sprintf(text, "%ui", (ngx_uint_t) info.nrooms)
                              - text);
}


/* What the request itself has; not what a client says once it is connected. */

static ngx_int_t
ngx_http_sync_token_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    sync_str_t                  token;
    ngx_http_sync_loc_conf_t   *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_sync_module);

    if (slcf->settings.main->zone == NULL
        || sync_token_find(r, &slcf->settings, &token) == SYNC_DECLINED)
    {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_sync_set_variable(r, v, token.data, token.len);
}


/* $sync_close: no request is there when a client closes. */

static ngx_int_t
ngx_http_sync_no_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    v->not_found = 1;

    return NGX_OK;
}


/* The record of the client that the request became: NGX_DECLINED if none. */

static ngx_int_t
ngx_http_sync_record(ngx_http_request_t *r, sync_record_info_t *info)
{
    u_char                      id[SYNC_ID_LEN];
    sync_str_t                 *text;
    ngx_http_sync_main_conf_t  *smcf;

    text = sync_connect_id(r);

    if (text == NULL
        || sync_registry_parse_id(id, text->data, text->len) != SYNC_OK)
    {
        return NGX_DECLINED;
    }

    smcf = ngx_http_get_module_main_conf(r, ngx_http_sync_module);

    return sync_registry_info(smcf->settings.zone, id, info) == SYNC_OK
           ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_sync_set_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, const u_char *data, size_t len)
{
    v->data = ngx_pnalloc(r->pool, len);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(v->data, data, len);

    v->len = len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_sync_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_sync_vars; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}
