
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_grant.h>
#include <sync_random.h>
#include <sync_session_attach.h>
#include <sync_session_op.h>


ngx_int_t
sync_grant_parse(sync_grant_t *g, sync_call_t *call)
{
    u_char       *buf;
    const char   *wrong;
    sync_json_t   v;

    ngx_memzero(g, sizeof(sync_grant_t));

    g->rooms.type = SYNC_JSON_NULL;
    wrong = NULL;

    if (sync_json_get(&v, &call->value, "rooms") == SYNC_OK) {
        g->rooms = v;

        if (v.type != SYNC_JSON_ARRAY && v.type != SYNC_JSON_NULL) {
            wrong = "\"rooms\" is not an array";
        }
    }

    if (wrong == NULL
        && sync_session_on(call->settings)
        && sync_json_get(&v, &call->value, "session") == SYNC_OK
        && v.type != SYNC_JSON_NULL)
    {
        buf = sync_session_alloc(v.raw.len + SYNC_SESSION_USER);

        wrong = buf ? sync_session_parse(&v.raw, buf, &g->data) : "no memory";
        g->session = 1;
    }

    if (wrong == NULL) {
        return SYNC_OK;
    }

    sync_zone_count(call->settings->main->zone, SYNC_COUNT_HOOK_FAILURES, 1);

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "hook \"%V\" answered what it may not: %s%s", &call->uri,
                  g->session ? "\"session\" " : "", wrong);

    return SYNC_ERROR;
}


ngx_int_t
sync_grant_save(sync_grant_t *g, sync_session_op_t *op, u_char *buf)
{
    u_char  random[2 * SYNC_ID_LEN];

    if (op->token.len == 0) {
        sync_random(random, sizeof(random));

        buf[0] = '@';
        sync_registry_print_id(buf + 1, random);
        sync_registry_print_id(buf + 1 + SYNC_ID_TEXT, random + SYNC_ID_LEN);

        op->token.data = buf;
        op->token.len = SYNC_TOKEN_BOUND;
    }

    op->data = g->data;

    return sync_session_save(op);
}


void
sync_grant_join(sync_client_t *c, sync_str_t *rooms)
{
    sync_json_t  v;

    if (rooms->len && sync_json_parse(&v, rooms, NULL) == SYNC_OK) {
        sync_session_join(c, &v);
    }
}
