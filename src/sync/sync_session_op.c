
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_session_op.h>
#include <sync_session_call.h>
#include <sync_session_change.h>
#include <sync_session_hook.h>


static ngx_int_t sync_session_edit_zone(sync_session_op_t *op);
static ngx_int_t sync_session_list(sync_session_op_t *op, uint32_t realm,
    sync_str_t *user);
static ngx_int_t sync_session_set_zone(sync_session_op_t *op,
    sync_session_data_t *data, uint64_t version);


ngx_int_t
sync_session_read(sync_session_op_t *op)
{
    ngx_int_t            rc;
    uint64_t             version;
    sync_session_data_t  data;

    rc = sync_session_of(op->settings, &op->token, &data, &version);

    switch (sync_session_kind(op->settings, &op->token)) {

    case SYNC_SESSION_REDIS:
        return (rc == SYNC_BUSY) ? sync_session_call_read(op) : rc;

    case SYNC_SESSION_HOOK:

        /* one that there was not may be there by now */

        return (rc == SYNC_BUSY || rc == SYNC_DECLINED)
               ? sync_session_hook_read(op) : rc;

    default:
        return rc;
    }
}


ngx_int_t
sync_session_edit(sync_session_op_t *op)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    if (sync_session_kind(op->settings, &op->token) == SYNC_SESSION_REDIS) {
        return sync_session_call_edit(op);
    }

    for (i = 0; i < SYNC_SESSION_TRIES; i++) {

        rc = sync_session_edit_zone(op);

        if (rc != SYNC_AGAIN) {
            return rc;
        }
    }

    return SYNC_BUSY;
}


/* SYNC_AGAIN: it was changed meanwhile. */

static ngx_int_t
sync_session_edit_zone(sync_session_op_t *op)
{
    uint64_t             version;
    ngx_int_t            rc;
    sync_session_data_t  data;

    rc = sync_session_of(op->settings, &op->token, &data, &version);

    if (rc != SYNC_OK) {
        return rc;
    }

    rc = sync_session_edited(op, &data.json, &data);

    if (rc != SYNC_OK) {
        return rc == SYNC_DECLINED ? SYNC_OK : rc;
    }

    return sync_session_set_zone(op, &data, version);
}


static ngx_int_t
sync_session_set_zone(sync_session_op_t *op, sync_session_data_t *data,
    uint64_t version)
{
    ngx_int_t               rc;
    ngx_msec_t              ttl;
    sync_settings_t        *s;
    sync_session_change_t   change;

    s = op->settings;
    ttl = op->ttl ? op->ttl : (ngx_msec_t) s->session->ttl * 1000;

    rc = sync_session_store_set(s->main->zone,
                                sync_session_realm(s, &op->token), &op->token,
                                data, ttl, version, 0, &change);

    if (rc == SYNC_OK) {
        sync_session_announce(s->main, &change, op->except);
        return SYNC_OK;
    }

    /* nothing has changed */

    if (rc == SYNC_DECLINED) {
        return SYNC_OK;
    }

    return (rc == SYNC_AGAIN) ? SYNC_AGAIN : SYNC_ERROR;
}


ngx_int_t
sync_session_save(sync_session_op_t *op)
{
    switch (sync_session_kind(op->settings, &op->token)) {

    case SYNC_SESSION_REDIS:
        return sync_session_call_save(op);

    case SYNC_SESSION_HOOK:
        return sync_session_hook_put(op->settings->session, &op->token,
                                     &op->data, op->ttl, op->except);

    default:
        return sync_session_set_zone(op, &op->data, 0);
    }
}


ngx_int_t
sync_session_delete(sync_session_op_t *op)
{
    switch (sync_session_kind(op->settings, &op->token)) {

    case SYNC_SESSION_REDIS:
        return sync_session_call_delete(op);

    case SYNC_SESSION_HOOK:
        return op->logout
               ? sync_session_hook_logout(op)
               : sync_session_hook_put(op->settings->session, &op->token,
                                       NULL, 0, op->except);

    default:
        return sync_session_set_zone(op, NULL, 0);
    }
}


ngx_int_t
sync_session_tokens(sync_session_op_t *op, sync_str_t *user)
{
    if (op->settings->session->users[0].len) {
        return sync_session_call_tokens(op, user);
    }

    return sync_session_list(op, op->settings->session->realm, user);
}


ngx_int_t
sync_session_bound(sync_session_op_t *op, sync_str_t *user)
{
    return sync_session_list(op, 0, user);
}


static ngx_int_t
sync_session_list(sync_session_op_t *op, uint32_t realm, sync_str_t *user)
{
    u_char               *p;
    uint16_t              len;
    ngx_uint_t            n, total;
    sync_str_t           *t;
    sync_session_mark_t  *marks;

    p = ngx_pnalloc(op->pool, SYNC_SESSION_TOKENS);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    marks = ngx_palloc(op->pool,
                       SYNC_SESSION_MARKS * sizeof(sync_session_mark_t));
    if (marks == NULL) {
        return SYNC_ERROR;
    }

    n = sync_session_store_tokens(op->settings->main->zone, realm, user,
                                  marks, SYNC_SESSION_MARKS, p,
                                  SYNC_SESSION_TOKENS, &total);

    while (n--) {
        t = ngx_array_push(op->tokens);
        if (t == NULL) {
            return SYNC_ERROR;
        }

        ngx_memcpy(&len, p, sizeof(uint16_t));

        t->data = p + sizeof(uint16_t);
        t->len = len;

        p = t->data + len;
    }

    return SYNC_OK;
}


void
sync_session_cancel(sync_session_op_t *op)
{
    if (op->call == NULL) {
        return;
    }

    if (op->settings->session->kind == SYNC_SESSION_HOOK) {
        sync_session_hook_cancel(op);

    } else {
        sync_session_call_cancel(op);
    }
}
