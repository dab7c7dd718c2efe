
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_session_edit.h>
#include <sync_reply.h>


ngx_int_t
sync_session_edited(sync_session_op_t *op, sync_str_t *json,
    sync_session_data_t *data)
{
    u_char         *buf;
    sync_str_t      text;
    sync_json_t     session;
    sync_writer_t   w;

    if (sync_json_parse(&session, json, NULL) != SYNC_OK) {
        return SYNC_ERROR;
    }

    do {
        sync_reply_text(&w);

        if (op->edit(op, &session, &w) == SYNC_DECLINED) {
            return SYNC_DECLINED;
        }

    } while (sync_reply_again(&w));

    /* the buffer it is written in is everybody's */

    buf = sync_session_alloc(2 * w.len + SYNC_SESSION_USER);
    if (buf == NULL) {
        return SYNC_ERROR;
    }

    text.data = buf + w.len + SYNC_SESSION_USER;
    text.len = w.len;
    ngx_memcpy(text.data, w.start, w.len);

    data->anew = 0;

    return sync_session_parse(&text, buf, data) == NULL ? SYNC_OK
                                                        : SYNC_ERROR;
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
