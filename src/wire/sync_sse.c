
/*
 * Copyright (C) sync for nginx
 */


#include "sync_sse.h"


static void sync_sse_write_text(sync_writer_t *w, const sync_str_t *text);


void
sync_sse_write_id(sync_writer_t *w, const sync_str_t *id)
{
    sync_write_literal(w, "id: ");
    sync_sse_write_text(w, id);
}


void
sync_sse_write_event(sync_writer_t *w, const sync_str_t *event)
{
    sync_write_literal(w, "event: ");
    sync_sse_write_text(w, event);
}


void
sync_sse_write_comment(sync_writer_t *w, const sync_str_t *text)
{
    sync_write_literal(w, ": ");
    sync_sse_write_text(w, text);
    sync_sse_write_end(w);
}


/* the rest of a line, without what would end it too early */

static void
sync_sse_write_text(sync_writer_t *w, const sync_str_t *text)
{
    size_t  i, start;

    start = 0;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] == '\n'
            || text->data[i] == '\r'
            || text->data[i] == '\0')
        {
            sync_write(w, text->data + start, i - start);
            start = i + 1;
        }
    }

    if (start < text->len) {
        sync_write(w, text->data + start, text->len - start);
    }

    sync_write_byte(w, '\n');
}


void
sync_sse_write_data(sync_writer_t *w, const u_char *p, size_t len)
{
    size_t  i, start;

    sync_write_literal(w, "data: ");

    start = 0;

    for (i = 0; i < len; i++) {

        if (p[i] != '\n' && p[i] != '\r') {
            continue;
        }

        sync_write(w, p + start, i - start);
        sync_write_literal(w, "\ndata: ");

        if (p[i] == '\r' && i + 1 < len && p[i + 1] == '\n') {
            i++;
        }

        start = i + 1;
    }

    if (start < len) {
        sync_write(w, p + start, len - start);
    }

    sync_write_byte(w, '\n');
}


void
sync_sse_write_retry(sync_writer_t *w, uint32_t ms)
{
    sync_write_literal(w, "retry: ");
    sync_write_int(w, ms);
    sync_write_byte(w, '\n');
}


sync_int_t
sync_sse_next_id(sync_str_t *id, sync_str_t *list)
{
    u_char  *p;

    if (list->data == NULL) {
        return SYNC_DECLINED;
    }

    *id = *list;
    p = memchr(list->data, ',', list->len);

    if (p) {
        id->len = p - list->data;
        list->data = p + 1;
        list->len -= id->len + 1;

    } else {
        list->data = NULL;
        list->len = 0;
    }

    while (id->len && (*id->data == ' ' || *id->data == '\t')) {
        id->data++;
        id->len--;
    }

    while (id->len
           && (id->data[id->len - 1] == ' ' || id->data[id->len - 1] == '\t'))
    {
        id->len--;
    }

    if (sync_str_is(id, "-")) {
        id->len = 0;
    }

    return SYNC_OK;
}
