
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sync_event_id.h>
#include <sync_deliver.h>
#include <sync_json.h>
#include <sync_position.h>
#include <sync_sse.h>


static void sync_event_id_header(ngx_http_request_t *r, sync_str_t *list);


ngx_int_t
sync_event_id_parse(ngx_http_request_t *r, sync_event_id_t *ev, ngx_uint_t n,
    sync_str_t *query)
{
    ngx_uint_t  i;
    sync_str_t  list;

    ev->n = n;

    ev->ids = ngx_pcalloc(r->pool, (n + 1) * (sizeof(sync_str_t)
                                              + sizeof(sync_resumption_t)
                                              + sizeof(ngx_uint_t)));
    if (ev->ids == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ev->resumed = (sync_resumption_t *) (ev->ids + n);
    ev->places = (ngx_uint_t *) (ev->resumed + n);

    list = *query;

    sync_event_id_header(r, &list);

    if (list.len == 0) {
        return NGX_OK;
    }

    for (i = 0; i < n; i++) {

        if (sync_sse_next_id(&ev->ids[i], &list) != SYNC_OK) {
            break;
        }
    }

    return NGX_OK;
}


/* What a browser sends by itself is newer than its URL. */

static void
sync_event_id_header(ngx_http_request_t *r, sync_str_t *list)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    static ngx_str_t  name = ngx_string("Last-Event-ID");

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        header = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (header[i].key.len == name.len && header[i].value.len
                && ngx_strncasecmp(header[i].key.data, name.data, name.len)
                   == 0)
            {
                list->data = header[i].value.data;
                list->len = header[i].value.len;
            }
        }
    }
}


ngx_int_t
sync_event_id_begin(sync_client_t *c, sync_event_id_t *ev,
    sync_str_t *channels, ngx_uint_t n)
{
    ngx_int_t         rc;
    ngx_uint_t        i, found;
    sync_str_t       *id, text;
    sync_run_t       *run;
    sync_position_t   pos;
    u_char            buf[SYNC_POSITION_LEN];

    found = 0;

    ngx_memzero(&pos, sizeof(sync_position_t));

    for (i = 0; i < n; i++) {

        id = &ev->ids[ev->places[i]];

        sync_replay_resume(c, &channels[i], id, &ev->resumed[i]);

        if (ev->resumed[i].reason == SYNC_RESUME_VOLATILE) {
            continue;
        }

        if (found++ == 0 && ev->n > 1
            && sync_replay_places(c, ev->n) != SYNC_OK)
        {
            return SYNC_ERROR;
        }

        pos = ev->resumed[i].pos;

        if (ev->resumed[i].reason == SYNC_RESUME_OK) {
            (void) sync_position_parse(&pos, id);   /* it did before */
        }

        if (c->listed) {
            sync_replay_place(c, ev->places[i], &channels[i], &pos);
        }
    }

    if (found == 0) {
        return SYNC_OK;
    }

    if (c->listed) {
        sync_deliver_list(c);
        return SYNC_OK;
    }

    text.data = buf;
    text.len = sync_position_print(buf, &pos) - buf;

    run = sync_frame_id(c->dialect, &text);
    if (run == NULL) {
        return SYNC_ERROR;
    }

    rc = sync_client_queue_control(c, run);

    sync_run_unref(run);

    return rc;
}


void
sync_event_id_write(sync_writer_t *w, sync_event_id_t *ev,
    sync_str_t *channels, ngx_uint_t n)
{
    ngx_uint_t  i, written;

    written = 0;

    for (i = 0; i < n; i++) {

        if (ev->resumed[i].reason == SYNC_RESUME_VOLATILE) {
            continue;
        }

        if (written++) {
            sync_write_byte(w, ',');

        } else {
            sync_write_literal(w, ",\"recovery\":{");
        }

        sync_json_write_str(w, &channels[i]);
        sync_write_literal(w, ":{");
        sync_replay_write(w, &ev->resumed[i]);
        sync_write_byte(w, '}');
    }

    if (written) {
        sync_write_byte(w, '}');
    }
}
