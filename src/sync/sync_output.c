
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_output.h>
#include <sync_error.h>


typedef void (*sync_output_write_pt)(sync_writer_t *w, sync_extra_t *x,
    void *data);


static sync_output_t *sync_output_create(sync_entry_t *e, sync_extra_t *x,
    sync_str_t *source, sync_output_write_pt write, void *data);
static void sync_output_write_head(sync_writer_t *w, sync_extra_t *x);
static void sync_output_write_result(sync_writer_t *w, sync_extra_t *x,
    void *data);
static void sync_output_write_error(sync_writer_t *w, sync_extra_t *x,
    void *data);
static void sync_output_write_chunk(sync_writer_t *w, sync_extra_t *x,
    void *data);


sync_output_t *
sync_output_result(sync_entry_t *e, sync_extra_t *x, sync_json_t *result)
{
    sync_str_t      status;
    sync_json_t     v;
    ngx_uint_t      rejected;
    sync_error_t    error;
    sync_output_t  *o;
    u_char          buf[16];

    ngx_memzero(&error, offsetof(sync_error_t, buf));
    error.status = 400;
    rejected = 0;

    if (sync_json_get(&v, result, "status") == SYNC_OK
        && sync_json_string(&status, &v, buf, sizeof(buf)) == SYNC_OK)
    {
        if (sync_str_is(&status, "success")) {
            return sync_output_create(e, x, &result->raw,
                                      sync_output_write_result, result);
        }

        if (sync_str_is(&status, "error")) {
            rejected = 1;
            sync_error_read(&error, result);

            if (error.code.len == 0) {
                sync_str_set(&error.code, "sync.clientRejected");
            }
        }
    }

    if (error.code.len == 0) {
        sync_str_set(&error.code, "sync.invalidClientResponse");
    }

    o = sync_output_create(e, x, &result->raw, sync_output_write_error,
                           &error);

    if (o) {
        o->failed = 1;
        o->rejected = rejected;
        o->silent = sync_str_is(&error.code, "sync.ignore");
    }

    return o;
}


sync_output_t *
sync_output_error(sync_entry_t *e, sync_extra_t *x, const char *code)
{
    sync_str_t      none;
    sync_error_t    error;
    sync_output_t  *o;

    error.code.data = (u_char *) code;
    error.code.len = ngx_strlen(code);
    error.params.len = 0;
    error.status = 400;

    none.len = 0;
    none.data = NULL;

    o = sync_output_create(e, x, &none, sync_output_write_error, &error);

    if (o) {
        o->failed = 1;
    }

    return o;
}


sync_output_t *
sync_output_chunk(sync_entry_t *e, sync_extra_t *x, sync_json_t *payload)
{
    sync_str_t      none;
    sync_output_t  *o;

    none.len = 0;
    none.data = NULL;

    o = sync_output_create(e, x, &none, sync_output_write_chunk, payload);

    if (o) {
        o->chunk = 1;
    }

    return o;
}


/* The message's header and room, and another text. */

static sync_output_t *
sync_output_create(sync_entry_t *e, sync_extra_t *x, sync_str_t *source,
    sync_output_write_pt write, void *data)
{
    size_t          len, size;
    u_char         *p;
    sync_entry_t   *entry;
    sync_writer_t   w;
    sync_output_t  *o;

    sync_writer_init(&w, NULL, 0);
    write(&w, x, data);

    len = ngx_align(sizeof(sync_output_t), SYNC_ENTRY_ALIGN);
    size = ngx_align(sizeof(sync_entry_t) + w.len + e->subject_len,
                     SYNC_ENTRY_ALIGN);

    if (size > NGX_MAX_UINT32_VALUE) {
        return NULL;
    }

    p = ngx_alloc(len + size + source->len, ngx_cycle->log);
    if (p == NULL) {
        return NULL;
    }

    o = (sync_output_t *) p;
    ngx_memzero(o, sizeof(sync_output_t));

    o->size = len + size + source->len;

    entry = (sync_entry_t *) (p + len);
    o->entry = entry;

    *entry = *e;
    entry->size = size;
    entry->len = w.len;
    entry->event_len = sizeof("\"sync\"") - 1;
    entry->nexcept = 0;
    entry->pad = size - sizeof(sync_entry_t) - w.len - e->subject_len;

    sync_writer_init(&w, sync_entry_json(entry), w.len);
    write(&w, x, data);

    ngx_memcpy(sync_entry_subject(entry), sync_entry_subject(e),
               e->subject_len);

    if (source->len) {
        o->source.len = source->len;
        o->source.data = p + len + size;
        ngx_memcpy(o->source.data, source->data, source->len);
    }

    return o;
}


static void
sync_output_write_head(sync_writer_t *w, sync_extra_t *x)
{
    sync_write_literal(w, "[\"sync\",{\"cb\":");
    sync_write_str(w, &x->cb);
    sync_write_literal(w, ",\"fullName\":");
    sync_json_write_str(w, &x->route);
}


static void
sync_output_write_result(sync_writer_t *w, sync_extra_t *x, void *data)
{
    sync_json_t *result = data;

    sync_json_t  v;

    sync_output_write_head(w, x);
    sync_write_literal(w, ",\"serverOutput\":");
    sync_write_str(w, &x->output);
    sync_write_literal(w, ",\"clientOutput\":");
    sync_write_str(w, &result->raw);
    sync_write_literal(w, ",\"message\":");

    if (sync_json_get(&v, result, "message") == SYNC_OK
        && v.type == SYNC_JSON_STRING
        && v.raw.len > 2)
    {
        sync_write_str(w, &v.raw);

    } else {
        sync_write_byte(w, '"');
        sync_json_write_escaped(w, x->route.data, x->route.len);
        sync_write_literal(w, " sync success\"");
    }

    sync_write_literal(w, ",\"status\":\"success\"}]");
}


static void
sync_output_write_error(sync_writer_t *w, sync_extra_t *x, void *data)
{
    sync_error_t *error = data;

    sync_output_write_head(w, x);
    sync_write_literal(w, ",\"status\":\"error\",\"message\":");
    sync_json_write_str(w, &error->code);
    sync_write_literal(w, ",\"errorCode\":");
    sync_json_write_str(w, &error->code);

    if (error->params.len) {
        sync_write_literal(w, ",\"errorParams\":");
        sync_write_str(w, &error->params);
    }

    sync_write_literal(w, ",\"httpStatus\":");
    sync_write_int(w, error->status);
    sync_write_literal(w, "}]");
}


/* What the handler said comes first; the names of a frame are the wire's. */

static void
sync_output_write_chunk(sync_writer_t *w, sync_extra_t *x, void *data)
{
    sync_json_t *payload = data;

    ngx_uint_t        i;
    sync_str_t        key;
    sync_json_t       v;
    sync_json_iter_t  it;

    static const sync_str_t  own[] = {
        sync_string("cb"),
        sync_string("fullName"),
        sync_string("status")
    };

    sync_write_literal(w, "[\"sync\",{");

    if (payload->type == SYNC_JSON_OBJECT) {
        sync_json_iter_init(&it, payload);

        while (sync_json_next(&it, &key, &v) == SYNC_OK) {

            for (i = 0; i < 3; i++) {
                if (sync_json_key_is(&key, &own[i])) {
                    break;
                }
            }

            if (i < 3) {
                continue;
            }

            sync_write_byte(w, '"');
            sync_write_str(w, &key);
            sync_write_literal(w, "\":");
            sync_write_str(w, &v.raw);
            sync_write_byte(w, ',');
        }
    }

    sync_write_literal(w, "\"cb\":");
    sync_write_str(w, &x->cb);
    sync_write_literal(w, ",\"fullName\":");
    sync_json_write_str(w, &x->route);
    sync_write_literal(w, ",\"status\":\"stream\"}]");
}


void
sync_output_destroy(sync_output_t *o)
{
    ngx_uint_t  i;

    for (i = 0; i < SYNC_DIALECT_MAX; i++) {
        if (o->runs[i]) {
            sync_run_unref(o->runs[i]);
        }

        if (o->bare[i]) {
            sync_run_unref(o->bare[i]);
        }
    }

    ngx_free(o);
}


sync_run_t *
sync_output_run(sync_output_t *o, sync_client_t *c, sync_str_t *name,
    ngx_uint_t recoverable)
{
    sync_run_t           **run;
    sync_frame_deflate_t   deflate;

    run = c->listed ? &o->bare[c->dialect] : &o->runs[c->dialect];

    if (*run == NULL) {
        deflate.level = c->conf->level;
        deflate.min = c->conf->min;

        /* the position is the message's: who has a chunk only is not there */

        *run = sync_frame_entries(c->dialect, (u_char *) o->entry,
                                  o->entry->size, 1, name,
                                  recoverable && !o->chunk && !c->listed,
                                  &deflate);
    }

    return *run;
}
