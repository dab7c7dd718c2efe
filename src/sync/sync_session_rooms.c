
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_session_rooms.h>


static void sync_session_rooms_write(sync_session_rooms_t *sr,
    sync_json_t *codes, sync_writer_t *w);


ngx_int_t
sync_session_rooms_edit(sync_session_op_t *op, sync_json_t *session,
    sync_writer_t *w)
{
    u_char                *buf;
    size_t                 size;
    sync_str_t             value;
    sync_json_t            codes;
    sync_writer_t          cw;
    sync_session_rooms_t  *sr;

    static const sync_str_t  name = sync_string("roomCodes");
    static const sync_str_t  without[] = {
        sync_string("code"), sync_string("codes"), { 0, NULL }
    };

    sr = op->opaque;

    if (sync_json_get(&codes, session, "roomCodes") != SYNC_OK) {
        codes.type = SYNC_JSON_NULL;
        codes.raw.len = 0;
    }

    /* a byte is six at most when it is quoted */

    size = codes.raw.len + 6 * sr->room.len + sizeof("[,\"\"]");

    buf = sync_session_alloc(size);
    if (buf == NULL) {
        return SYNC_DECLINED;
    }

    sync_writer_init(&cw, buf, size);
    sync_session_rooms_write(sr, &codes, &cw);

    value.data = buf;
    value.len = cw.len;

    sync_session_write_with(w, session, &name, &value, without);

    return SYNC_OK;
}


/* Those there are, in their order; the oldest one goes for a new one. */

static void
sync_session_rooms_write(sync_session_rooms_t *sr, sync_json_t *codes,
    sync_writer_t *w)
{
    ngx_uint_t         n, there, written;
    sync_str_t         room;
    sync_json_t        v;
    sync_json_iter_t   it;
    u_char             name[SYNC_NAME_MAX];

    n = 0;
    there = 0;

    sync_json_iter_init(&it, codes);

    while (sync_json_next(&it, NULL, &v) == SYNC_OK) {
        n++;

        if (v.type == SYNC_JSON_STRING
            && sync_json_string(&room, &v, name, SYNC_NAME_MAX) == SYNC_OK
            && sync_str_eq(&room, &sr->room))
        {
            there = 1;
        }
    }

    n += (!sr->leave && !there);
    written = 0;
    sr->oldest_len = 0;

    sync_write_byte(w, '[');

    sync_json_iter_init(&it, codes);

    while (sync_json_next(&it, NULL, &v) == SYNC_OK) {

        if (v.type != SYNC_JSON_STRING
            || sync_json_string(&room, &v, name, SYNC_NAME_MAX) != SYNC_OK)
        {
            n--;
            continue;
        }

        if (sr->leave && sync_str_eq(&room, &sr->room)) {
            continue;
        }

        if (!sr->leave && !there && n > sr->max) {
            n--;

            sr->oldest_len = room.len;
            ngx_memcpy(sr->oldest, room.data, room.len);
            continue;
        }

        if (written++) {
            sync_write_byte(w, ',');
        }

        sync_write_str(w, &v.raw);
    }

    if (!sr->leave && !there) {

        if (written) {
            sync_write_byte(w, ',');
        }

        sync_json_write_str(w, &sr->room);
    }

    sync_write_byte(w, ']');
}
