
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_extra.h>
#include <sync_route.h>


static void sync_extra_write(sync_writer_t *w, sync_extra_t *x);
static void sync_extra_write_json(sync_writer_t *w, sync_str_t *json);
static void sync_extra_get(sync_str_t *s, sync_json_t *object,
    const char *name);


ngx_uint_t
sync_extra_flags(sync_settings_t *s, sync_str_t *route)
{
    ngx_uint_t     flags;
    sync_route_t  *rt;

    rt = sync_route_lookup(s, route);

    if (rt == NULL) {
        return 0;
    }

    flags = 0;

    if (rt->client && s->hooks[SYNC_HOOK_CLIENT].uri.len) {
        flags |= SYNC_EXTRA_STAGED;
    }

    if (rt->filter) {
        flags |= SYNC_EXTRA_FILTERED;
    }

    return flags;
}


ngx_int_t
sync_extra_make(sync_str_t *text, sync_extra_t *x, ngx_pool_t *pool)
{
    u_char         *p;
    sync_writer_t   w;

    sync_writer_init(&w, NULL, 0);
    sync_extra_write(&w, x);

    p = pool ? ngx_pnalloc(pool, w.len) : ngx_alloc(w.len, ngx_cycle->log);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    sync_writer_init(&w, p, w.len);
    sync_extra_write(&w, x);

    text->data = p;
    text->len = w.len;

    return SYNC_OK;
}


static void
sync_extra_write(sync_writer_t *w, sync_extra_t *x)
{
    sync_write_literal(w, "{\"route\":");
    sync_json_write_str(w, &x->route);
    sync_write_literal(w, ",\"receiver\":");
    sync_json_write_str(w, &x->receiver);
    sync_write_literal(w, ",\"data\":");
    sync_extra_write_json(w, &x->data);
    sync_write_literal(w, ",\"sender\":");
    sync_extra_write_json(w, &x->sender);
    sync_write_byte(w, '}');
}


static void
sync_extra_write_json(sync_writer_t *w, sync_str_t *json)
{
    if (json->len) {
        sync_write_str(w, json);

    } else {
        sync_write_literal(w, "null");
    }
}


ngx_int_t
sync_extra_read(sync_extra_t *x, sync_entry_t *e)
{
    sync_str_t        text;
    sync_json_t       v, arg;
    sync_json_iter_t  it;

    text.data = sync_entry_extra(e);
    text.len = sync_entry_extra_len(e);

    if ((e->flags & SYNC_RECEIPT) && text.len >= SYNC_RECEIPT_EXTRA) {
        text.data += SYNC_RECEIPT_EXTRA;
        text.len -= SYNC_RECEIPT_EXTRA;
    }

    if (text.len == 0
        || sync_json_parse(&v, &text, NULL) != SYNC_OK
        || sync_json_get(&arg, &v, "route") != SYNC_OK
        || sync_json_string(&x->route, &arg, x->buf, SYNC_EXTRA_ROUTE_MAX)
           != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    sync_extra_get(&x->receiver, &v, "receiver");
    sync_extra_get(&x->data, &v, "data");
    sync_extra_get(&x->sender, &v, "sender");

    /* ["sync",{"serverOutput":...}] */

    text.data = sync_entry_json(e);
    text.len = e->len;

    if (sync_json_parse(&v, &text, NULL) != SYNC_OK) {
        return SYNC_ERROR;
    }

    sync_json_iter_init(&it, &v);

    if (sync_json_next(&it, NULL, &arg) != SYNC_OK
        || sync_json_next(&it, NULL, &arg) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    sync_extra_get(&x->cb, &arg, "cb");
    sync_extra_get(&x->output, &arg, "serverOutput");

    return SYNC_OK;
}


static void
sync_extra_get(sync_str_t *s, sync_json_t *object, const char *name)
{
    sync_str_t   key;
    sync_json_t  v;

    key.data = (u_char *) name;
    key.len = ngx_strlen(name);

    s->len = 0;
    s->data = NULL;

    if (sync_json_find(&v, object, &key) == SYNC_OK
        && v.type != SYNC_JSON_NULL)
    {
        *s = v.raw;
    }
}
