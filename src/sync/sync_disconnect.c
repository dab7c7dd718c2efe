
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_disconnect.h>
#include <sync_fanout.h>
#include <sync_notify.h>
#include <sync_reply.h>
#include <sync_session.h>


void
sync_disconnect_tell(sync_client_t *c)
{
    ngx_uint_t        i, n;
    ngx_time_t       *tp;
    sync_str_t       *rooms, json, user, token;
    sync_writer_t     w;
    sync_settings_t  *s;
    u_char            id[SYNC_ID_TEXT];

    s = sync_settings(c);

    if (s->hooks[SYNC_HOOK_DISCONNECT].uri.len == 0) {
        return;
    }

    n = sync_registry_rooms(c->record);

    rooms = ngx_alloc((n + 1) * sizeof(sync_str_t), ngx_cycle->log);
    if (rooms == NULL) {
        return;
    }

    (void) sync_fanout_rooms(c, rooms, n);

    tp = ngx_timeofday();

    sync_registry_print_id(id, c->record->id);
    sync_registry_user(c->record, &user);
    sync_session_token(c, &token);

    do {
        sync_reply_text(&w);

        sync_write_literal(&w, "{\"clientId\":\"");
        sync_write(&w, id, SYNC_ID_TEXT);
        sync_write_literal(&w, "\",\"userId\":");

        if (user.len) {
            sync_json_write_str(&w, &user);

        } else {
            sync_write_literal(&w, "null");
        }

        sync_write_literal(&w, ",\"token\":");

        if (token.len) {
            sync_json_write_str(&w, &token);

        } else {
            sync_write_literal(&w, "null");
        }

        sync_write_literal(&w, ",\"rooms\":[");

        for (i = 0; i < n; i++) {
            if (i) {
                sync_write_byte(&w, ',');
            }

            sync_json_write_str(&w, &rooms[i]);
        }

        sync_write_literal(&w, "],\"timestamp\":");
        sync_write_int(&w, (int64_t) tp->sec * 1000 + tp->msec);
        sync_write_byte(&w, '}');

    } while (sync_reply_again(&w));

    ngx_free(rooms);

    sync_reply_str(&json, &w);

    sync_notify_add(s, SYNC_HOOK_DISCONNECT, &json);
}
