
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_session.h>


ngx_int_t
sync_session_get(sync_client_t *c, sync_str_t *json)
{
    json->len = 0;
    json->data = NULL;

    return SYNC_DECLINED;
}


void
sync_session_token(sync_client_t *c, sync_str_t *token)
{
    token->len = 0;
    token->data = (u_char *) "";
}
