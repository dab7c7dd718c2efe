
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_ndjson.h"


#define MAX_LINE  24


static sync_int_t read_pieces(u_char *lines, size_t *len, uint32_t cuts,
    const u_char *p, size_t size);
static sync_int_t take(sync_ndjson_t *n, u_char *lines, size_t *len,
    sync_str_t *in);
static sync_int_t naive(u_char *lines, size_t *len, const u_char *p,
    size_t size);
static void add(u_char *lines, size_t *len, const u_char *p, size_t n);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t       n, k;
    u_char      *lines, *want;
    sync_int_t   rc;

    if (size == 0) {
        return 0;
    }

    lines = fuzz_alloc(2 * size);
    want = fuzz_alloc(2 * size);

    rc = naive(want, &k, data + 1, size - 1);

    fuzz_check(read_pieces(lines, &n, data[0], data + 1, size - 1) == rc);
    fuzz_check(n == k && memcmp(lines, want, n) == 0);

    free(want);
    free(lines);

    return 0;
}


static sync_int_t
read_pieces(u_char *lines, size_t *len, uint32_t cuts, const u_char *p,
    size_t size)
{
    size_t          k;
    u_char         *piece;
    sync_int_t      rc;
    sync_str_t      in, line;
    sync_ndjson_t   n;

    sync_ndjson_init(&n, MAX_LINE);

    *len = 0;
    rc = SYNC_AGAIN;

    while (size && rc == SYNC_AGAIN) {
        k = fuzz_piece(&cuts, size);
        piece = fuzz_copy(p, k);
        in.data = piece;
        in.len = k;

        rc = take(&n, lines, len, &in);

        fuzz_check(rc == SYNC_ERROR || in.len == 0);

        free(piece);
        p += k;
        size -= k;
    }

    if (rc == SYNC_AGAIN) {
        rc = sync_ndjson_last(&n, &line);

        if (rc == SYNC_OK) {
            add(lines, len, line.data, line.len);

        } else if (rc == SYNC_DECLINED) {
            rc = SYNC_OK;
        }
    }

    free(n.buf);

    return rc;
}


static sync_int_t
take(sync_ndjson_t *n, u_char *lines, size_t *len, sync_str_t *in)
{
    u_char      *buf, *old;
    sync_int_t   rc;
    sync_str_t   line;

    for ( ;; ) {
        rc = sync_ndjson_next(n, &line, in);

        if (rc == SYNC_OK) {
            fuzz_check(line.len > 0 && line.len <= MAX_LINE);
            add(lines, len, line.data, line.len);
            continue;
        }

        if (rc != SYNC_BUSY) {
            return rc;
        }

        fuzz_check(n->need > n->size && n->need <= MAX_LINE + 1);

        buf = fuzz_alloc(n->need);
        old = n->buf;
        sync_ndjson_set_buffer(n, buf, n->need);
        free(old);
    }
}


static sync_int_t
naive(u_char *lines, size_t *len, const u_char *p, size_t size)
{
    size_t  i, n, start;

    *len = 0;

    for (i = 0, start = 0; i <= size; i++) {

        if (i < size && p[i] != '\n') {
            continue;
        }

        n = i - start;

        if (n && p[i - 1] == '\r') {
            n--;
        }

        if (n > MAX_LINE) {
            return SYNC_ERROR;
        }

        if (n) {
            add(lines, len, p + start, n);
        }

        start = i + 1;
    }

    return SYNC_OK;
}


static void
add(u_char *lines, size_t *len, const u_char *p, size_t n)
{
    memcpy(lines + *len, p, n);
    *len += n;
    lines[(*len)++] = '\n';
}
