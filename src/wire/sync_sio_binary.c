
/*
 * Copyright (C) sync for nginx
 */


#include "sync_sio_binary.h"
#include "sync_eio.h"


typedef struct {
    sync_writer_t           *w;
    sync_sio_attachments_t  *out;       /* that are taken out, or NULL */
    const sync_str_t        *in;        /* that are put in */
    sync_uint_t              n;
    uint64_t                 used;      /* a bit for each of them */
    sync_int_t               rc;
} sync_sio_walk_t;


/* there is a bit for each */

typedef char sync_sio_attachments_fit[SYNC_SIO_ATTACHMENTS_MAX <= 64 ? 1 : -1];


static void sync_sio_walk(sync_sio_walk_t *walk, const sync_json_t *v);
static void sync_sio_walk_into(sync_sio_walk_t *walk, const sync_json_t *v);
static sync_int_t sync_sio_replace(sync_sio_walk_t *walk,
    const sync_json_t *v);
static sync_int_t sync_sio_is_binary(const sync_json_t *v, sync_json_t *data);
static sync_int_t sync_sio_is_placeholder(const sync_json_t *v);
static sync_int_t sync_sio_write_attachment(sync_sio_walk_t *walk,
    const sync_json_t *v);


sync_int_t
sync_sio_take_out(sync_writer_t *w, sync_sio_attachments_t *a,
    const sync_json_t *v)
{
    sync_sio_walk_t  walk;

    a->n = 0;

    memset(&walk, 0, sizeof(sync_sio_walk_t));
    walk.w = w;
    walk.out = a;

    sync_sio_walk(&walk, v);

    return walk.rc;
}


sync_int_t
sync_sio_put_in(sync_writer_t *w, const sync_json_t *v,
    const sync_str_t *data, sync_uint_t n)
{
    sync_sio_walk_t  walk;

    memset(&walk, 0, sizeof(sync_sio_walk_t));
    walk.w = w;
    walk.in = data;
    walk.n = n;

    sync_sio_walk(&walk, v);

    return walk.rc;
}


/* As deep as JSON may be. */

static void
sync_sio_walk(sync_sio_walk_t *walk, const sync_json_t *v)
{
    if (v->type == SYNC_JSON_OBJECT
        && sync_sio_replace(walk, v) == SYNC_OK)
    {
        return;
    }

    if (v->type == SYNC_JSON_ARRAY || v->type == SYNC_JSON_OBJECT) {
        sync_sio_walk_into(walk, v);
        return;
    }

    sync_write_str(walk->w, &v->raw);
}


static void
sync_sio_walk_into(sync_sio_walk_t *walk, const sync_json_t *v)
{
    sync_str_t        key;
    sync_uint_t       n;
    sync_json_t       item;
    sync_json_iter_t  it;

    sync_write(walk->w, v->raw.data, 1);
    sync_json_iter_init(&it, v);

    for (n = 0;
         sync_json_next(&it, v->type == SYNC_JSON_OBJECT ? &key : NULL, &item)
         == SYNC_OK;
         n++)
    {
        if (n) {
            sync_write_byte(walk->w, ',');
        }

        if (v->type == SYNC_JSON_OBJECT) {
            sync_write_byte(walk->w, '"');
            sync_write_str(walk->w, &key);
            sync_write_literal(walk->w, "\":");
        }

        sync_sio_walk(walk, &item);
    }

    sync_write(walk->w, v->raw.data + v->raw.len - 1, 1);
}


/* SYNC_DECLINED: the object is an object. */

static sync_int_t
sync_sio_replace(sync_sio_walk_t *walk, const sync_json_t *v)
{
    sync_json_t  data;

    if (walk->out == NULL) {
        return sync_sio_is_placeholder(v)
               ? sync_sio_write_attachment(walk, v) : SYNC_DECLINED;
    }

    if (sync_sio_is_placeholder(v)) {
        walk->rc = SYNC_ERROR;
        return SYNC_DECLINED;
    }

    if (!sync_sio_is_binary(v, &data)) {
        return SYNC_DECLINED;
    }

    if (walk->out->n == SYNC_SIO_ATTACHMENTS_MAX
        || sync_sio_base64(NULL, &data) < 0)
    {
        walk->rc = SYNC_ERROR;
        return SYNC_DECLINED;
    }

    sync_write_literal(walk->w, "{\"_placeholder\":true,\"num\":");
    sync_write_int(walk->w, walk->out->n);
    sync_write_byte(walk->w, '}');

    walk->out->data[walk->out->n++] = data;

    return SYNC_OK;
}


static sync_int_t
sync_sio_is_binary(const sync_json_t *v, sync_json_t *data)
{
    sync_str_t        key;
    sync_json_t       other;
    sync_json_iter_t  it;

    static const sync_str_t  name = sync_string("base64");

    sync_json_iter_init(&it, v);

    return sync_json_next(&it, &key, data) == SYNC_OK
           && data->type == SYNC_JSON_STRING
           && sync_json_key_is(&key, &name)
           && sync_json_next(&it, NULL, &other) == SYNC_DECLINED;
}


static sync_int_t
sync_sio_is_placeholder(const sync_json_t *v)
{
    sync_json_t  item;

    return sync_json_get(&item, v, "_placeholder") == SYNC_OK
           && item.type == SYNC_JSON_TRUE;
}


static sync_int_t
sync_sio_write_attachment(sync_sio_walk_t *walk, const sync_json_t *v)
{
    int64_t      num;
    sync_json_t  n;

    if (sync_json_get(&n, v, "num") != SYNC_OK
        || sync_json_int64(&num, &n) != SYNC_OK
        || num < 0 || num >= (int64_t) walk->n
        || (walk->used >> num & 1))
    {
        walk->rc = SYNC_ERROR;
        return SYNC_DECLINED;
    }

    walk->used |= (uint64_t) 1 << num;

    sync_write_literal(walk->w, "{\"base64\":\"");
    sync_eio_write_base64(walk->w, walk->in[num].data, walk->in[num].len);
    sync_write_literal(walk->w, "\"}");

    return SYNC_OK;
}


ssize_t
sync_sio_base64(u_char *dst, const sync_json_t *data)
{
    u_char   ch, *p, *last;
    size_t   n, pad;

    n = 0;
    pad = 0;
    last = data->raw.data + data->raw.len - 1;

    for (p = data->raw.data + 1; p < last; p++) {
        ch = *p;

        if (ch == '\\' && p + 1 < last && p[1] == '/') {
            ch = '/';
            p++;
        }

        if (ch == '=') {
            pad++;

        } else if (pad
                   || !((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z')
                        || (ch >= '0' && ch <= '9') || ch == '+'
                        || ch == '/'))
        {
            return SYNC_ERROR;
        }

        if (dst) {
            dst[n] = ch;
        }

        n++;
    }

    return (n % 4 == 0 && pad < 3) ? (ssize_t) n : SYNC_ERROR;
}


ssize_t
sync_sio_bytes(u_char *dst, const sync_json_t *data)
{
    ssize_t     n;
    sync_str_t  text;

    /* in place, as bytes are fewer than text */

    n = sync_sio_base64(dst, data);

    if (n < 0) {
        return n;
    }

    text.data = dst;
    text.len = n;

    return sync_eio_decode(dst, n, &text);
}
