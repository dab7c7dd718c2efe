
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_sio_binary.h"


static void check_take(const sync_json_t *v, const u_char *p, size_t len);
static void check_back(const sync_str_t *text,
    const sync_sio_attachments_t *a);
static void check_put(const sync_json_t *v, const u_char *p, size_t len);
static u_char *written(size_t *len, sync_int_t rc, const sync_json_t *v,
    const sync_str_t *data, sync_uint_t n);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t       n;
    u_char      *p;
    sync_str_t   text;
    sync_json_t  v;

    if (size == 0) {
        return 0;
    }

    /* the first byte is how many attachments there are */

    n = size - 1;
    p = fuzz_copy(data + 1, n);

    text.data = p;
    text.len = n;

    if (sync_json_parse(&v, &text, NULL) == SYNC_OK) {
        check_take(&v, p, n);
        check_put(&v, p, data[0] % (SYNC_SIO_ATTACHMENTS_MAX + 1));
    }

    free(p);

    return 0;
}


/* what is taken is of the text, what is left is JSON, and of both it is made */

static void
check_take(const sync_json_t *v, const u_char *p, size_t len)
{
    u_char                  *buf;
    sync_int_t               rc;
    sync_str_t               text;
    sync_uint_t              i;
    sync_json_t              again;
    sync_writer_t            w;
    sync_sio_attachments_t   a;

    sync_writer_init(&w, NULL, 0);
    rc = sync_sio_take_out(&w, &a, v);

    text.len = w.len;
    buf = fuzz_alloc(text.len);

    sync_writer_init(&w, buf, text.len);
    fuzz_check(sync_sio_take_out(&w, &a, v) == rc && w.len == text.len);
    fuzz_check(a.n <= SYNC_SIO_ATTACHMENTS_MAX);

    text.data = buf;
    fuzz_check(sync_json_parse(&again, &text, NULL) == SYNC_OK);

    for (i = 0; i < a.n; i++) {
        fuzz_check(a.data[i].raw.data > p
                   && a.data[i].raw.data + a.data[i].raw.len <= p + len);
        fuzz_check(a.data[i].type == SYNC_JSON_STRING);
    }

    if (rc == SYNC_OK) {
        check_back(&text, &a);
    }

    free(buf);
}


static void
check_back(const sync_str_t *text, const sync_sio_attachments_t *a)
{
    size_t                   len;
    u_char                  *buf, *p[SYNC_SIO_ATTACHMENTS_MAX];
    ssize_t                  n;
    sync_str_t               t, data[SYNC_SIO_ATTACHMENTS_MAX];
    sync_uint_t              i;
    sync_json_t              v;
    sync_writer_t            w;
    sync_sio_attachments_t   b;

    for (i = 0; i < a->n; i++) {
        p[i] = fuzz_alloc(a->data[i].raw.len);

        n = sync_sio_base64(p[i], &a->data[i]);
        fuzz_check(n >= 0 && n % 4 == 0
                   && (size_t) n <= a->data[i].raw.len - 2);

        n = sync_sio_bytes(p[i], &a->data[i]);
        fuzz_check(n >= 0);

        data[i].data = p[i];
        data[i].len = n;
    }

    fuzz_check(sync_json_parse(&v, text, NULL) == SYNC_OK);
    buf = written(&len, SYNC_OK, &v, data, a->n);

    t.data = buf;
    t.len = len;

    fuzz_check(sync_json_parse(&v, &t, NULL) == SYNC_OK);

    sync_writer_init(&w, NULL, 0);
    fuzz_check(sync_sio_take_out(&w, &b, &v) == SYNC_OK);
    fuzz_check(b.n == a->n && w.len == text->len);

    for (i = 0; i < a->n; i++) {
        free(p[i]);
    }

    free(buf);
}


/* a peer's packet may say anything, and is never longer than all there is */

static void
check_put(const sync_json_t *v, const u_char *p, size_t n)
{
    size_t         i, len;
    u_char        *buf;
    sync_int_t     rc;
    sync_str_t     t, data[SYNC_SIO_ATTACHMENTS_MAX];
    sync_json_t    again;
    sync_writer_t  w;

    static u_char  bytes[] = "0123456789";

    for (i = 0; i < n; i++) {
        data[i].data = bytes;
        data[i].len = i % sizeof(bytes);
    }

    sync_writer_init(&w, NULL, 0);
    rc = sync_sio_put_in(&w, v, data, n);

    buf = written(&len, rc, v, data, n);

    fuzz_check(len <= v->raw.len + n * (sizeof("{\"base64\":\"\"}") + 16));

    t.data = buf;
    t.len = len;

    if (sync_json_parse(&again, &t, NULL) != SYNC_OK) {

        /* nothing but its depth can be wrong */

        fuzz_check(n > 0);
    }

    free(buf);
}


static u_char *
written(size_t *len, sync_int_t rc, const sync_json_t *v,
    const sync_str_t *data, sync_uint_t n)
{
    u_char         *buf;
    sync_writer_t   w;

    sync_writer_init(&w, NULL, 0);
    fuzz_check(sync_sio_put_in(&w, v, data, n) == rc);

    *len = w.len;
    buf = fuzz_alloc(w.len);

    sync_writer_init(&w, buf, *len);
    fuzz_check(sync_sio_put_in(&w, v, data, n) == rc && w.len == *len);

    return buf;
}
