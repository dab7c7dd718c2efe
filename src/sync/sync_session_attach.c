
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_session_attach.h>
#include <sync_fanout.h>


ngx_int_t
sync_session_attach(sync_client_t *c, sync_str_t *token)
{
    ngx_int_t         rc;
    u_char            id[SYNC_ID_LEN], buf[SYNC_TOKEN_ROOM];
    sync_str_t        room;
    sync_session_t   *session;
    sync_settings_t  *s;

    sync_token_id(id, token);
    sync_token_room(&room, buf, id);

    rc = sync_fanout_join(c, &room);

    if (rc != SYNC_OK) {
        return SYNC_ERROR;
    }

    c->record->flags |= SYNC_RECORD_TOKEN;

    /* it stays where it is while the client is in the room */

    s = sync_settings(c);

    session = sync_session_store_make(sync_client_zone(),
                                      sync_session_realm(s, token), token);
    if (session == NULL) {
        return SYNC_ERROR;
    }

    c->token = session;

    sync_fanout_seen(c);

    /* it may have been forgotten since it was read */

    if (session->state == SYNC_SESSION_UNKNOWN
        && sync_session_remote(s, token))
    {
        sync_session_remote(s, token)->wanted(s, token);
    }

    return SYNC_OK;
}


ngx_int_t
sync_session_arrived(sync_client_t *c)
{
    u_char          id[SYNC_ID_LEN];
    sync_zone_t    *z;
    sync_member_t  *m;

    if (!(c->record->flags & SYNC_RECORD_TOKEN)) {
        return SYNC_OK;
    }

    z = sync_client_zone();

    for (m = c->record->members; m; m = m->next) {

        if (sync_room_is_private(m->room)
            && sync_registry_parse_id(id, m->room->name + 1, SYNC_ID_TEXT)
               == SYNC_OK)
        {
            sync_zone_lock(z);

            c->token = sync_session_store_find_locked(z,
                                         sync_settings(c)->session->realm,
                                         id);

            /* or it is bound to the connection */

            if (c->token == NULL) {
                c->token = sync_session_store_find_locked(z, 0, id);
            }

            sync_zone_unlock(z);
            break;
        }
    }

    if (c->token == NULL) {
        return SYNC_ERROR;
    }

    sync_fanout_seen(c);

    return SYNC_OK;
}


void
sync_session_rejoin(sync_client_t *c)
{
    sync_str_t   json;
    sync_json_t  session, codes;

    if (sync_session_get(c, &json) == SYNC_OK
        && sync_json_parse(&session, &json, NULL) == SYNC_OK
        && sync_json_get(&codes, &session, "roomCodes") == SYNC_OK)
    {
        sync_session_join(c, &codes);
    }
}


void
sync_session_join(sync_client_t *c, sync_json_t *rooms)
{
    ngx_uint_t         n;
    sync_str_t         room;
    sync_json_t        v;
    sync_json_iter_t   it;
    u_char             name[SYNC_NAME_MAX];

    if (rooms->type != SYNC_JSON_ARRAY) {
        return;
    }

    n = 0;
    sync_json_iter_init(&it, rooms);

    while (n < sync_settings(c)->max_rooms
           && sync_json_next(&it, NULL, &v) == SYNC_OK)
    {
        if (v.type != SYNC_JSON_STRING
            || sync_json_string(&room, &v, name, SYNC_NAME_MAX) != SYNC_OK)
        {
            continue;
        }

        sync_name_trim(&room);

        if (sync_name_check(&room) != SYNC_OK) {
            continue;
        }

        if (sync_fanout_join(c, &room) == SYNC_OK) {
            n++;
        }
    }
}
