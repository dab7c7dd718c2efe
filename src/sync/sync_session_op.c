
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_session_op.h>
#include <sync_reply.h>
#include <sync_session_change.h>


#define SYNC_SESSION_TRIES  64          /* of an edit that meets others */


static ngx_int_t sync_session_edit_zone(sync_session_op_t *op);
static ngx_int_t sync_session_set_zone(sync_session_op_t *op,
    sync_session_data_t *data, uint64_t version);


ngx_int_t
sync_session_read(sync_session_op_t *op)
{
    uint64_t             version;
    sync_session_data_t  data;

    return sync_session_of(op->settings, &op->token, &data, &version);
}


ngx_int_t
sync_session_edit(sync_session_op_t *op)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

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
    u_char               *buf;
    uint64_t              version;
    ngx_int_t             rc;
    sync_str_t            text;
    sync_json_t           session;
    sync_writer_t         w;
    sync_session_data_t   data;

    rc = sync_session_of(op->settings, &op->token, &data, &version);

    if (rc != SYNC_OK) {
        return rc;
    }

    if (sync_json_parse(&session, &data.json, NULL) != SYNC_OK) {
        return SYNC_ERROR;
    }

    do {
        sync_reply_text(&w);

        rc = op->edit(op, &session, &w);

        if (rc == SYNC_DECLINED) {
            return SYNC_OK;
        }

    } while (sync_reply_again(&w));

    sync_reply_str(&text, &w);

    buf = sync_session_alloc(text.len + SYNC_SESSION_USER);

    if (buf == NULL || sync_session_parse(&text, buf, &data) != NULL) {
        return SYNC_ERROR;
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

    rc = sync_session_store_set(s->main->zone, s->session->realm, &op->token,
                                data, ttl, version, &change);

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
    return sync_session_set_zone(op, &op->data, 0);
}


ngx_int_t
sync_session_delete(sync_session_op_t *op)
{
    return sync_session_set_zone(op, NULL, 0);
}


ngx_int_t
sync_session_tokens(sync_session_op_t *op, sync_str_t *user)
{
    u_char           *p;
    uint16_t          len;
    ngx_uint_t        n, total;
    sync_str_t       *t;
    sync_settings_t  *s;

    s = op->settings;

    p = ngx_pnalloc(op->pool, SYNC_SESSION_TOKENS);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    n = sync_session_store_tokens(s->main->zone, s->session->realm, user, p,
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
    op->call = NULL;
}


void
sync_session_write_with(sync_writer_t *w, sync_json_t *object,
    const sync_str_t *name, const sync_str_t *value,
    const sync_str_t *without)
{
    ngx_uint_t         n, there;
    sync_str_t         key;
    sync_json_t        v;
    const sync_str_t  *p;
    sync_json_iter_t   it;

    sync_json_iter_init(&it, object);

    n = 0;
    there = 0;

    sync_write_byte(w, '{');

    while (sync_json_next(&it, &key, &v) == SYNC_OK) {

        for (p = without; p->len; p++) {
            if (sync_json_key_is(&key, p)) {
                break;
            }
        }

        if (p->len) {
            continue;
        }

        if (sync_json_key_is(&key, name)) {

            if (there++) {
                continue;
            }

            v.raw = *value;
        }

        if (n++) {
            sync_write_byte(w, ',');
        }

        sync_write_byte(w, '"');
        sync_write_str(w, &key);
        sync_write_literal(w, "\":");
        sync_write_str(w, &v.raw);
    }

    if (!there) {

        if (n) {
            sync_write_byte(w, ',');
        }

        sync_json_write_str(w, name);
        sync_write_byte(w, ':');
        sync_write_str(w, value);
    }

    sync_write_byte(w, '}');
}
