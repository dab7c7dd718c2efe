
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_eio.h"
#include "sync_utf8.h"


static void check_body(const u_char *p, size_t len);
static void check_payload(const u_char *p, size_t len);
static void check_binary(const u_char *p, size_t len);
static void check_decode(const u_char *p, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char  *p;

    /* there is nothing that resumes: all of the input is the payload */

    p = fuzz_copy(data, size);

    check_body(p, size);
    check_payload(p, size);
    check_binary(p, size);
    check_decode(p, size);

    free(p);

    return 0;
}


/* what passes can be taken to its end, packet by packet, and nothing else */

static void
check_body(const u_char *p, size_t len)
{
    u_char             *bytes;
    sync_int_t          rc, want;
    sync_str_t          s, body;
    sync_eio_packet_t   pkt;

    body.data = (u_char *) p;
    body.len = len;
    s = body;

    want = (sync_utf8_check(p, p + len) == SYNC_OK) ? SYNC_OK : SYNC_ERROR;

    while ((rc = sync_eio_next(&pkt, &s)) == SYNC_OK) {

        if (!pkt.binary) {
            continue;
        }

        bytes = fuzz_alloc(pkt.data.len);

        if (sync_eio_decode(bytes, pkt.data.len, &pkt.data) < 0) {
            want = SYNC_ERROR;
        }

        free(bytes);
    }

    if (rc == SYNC_ERROR) {
        want = SYNC_ERROR;
    }

    fuzz_check(sync_eio_check(&body) == want);
}


/* packets are what separators cut, and written again give the payload */

static void
check_payload(const u_char *p, size_t len)
{
    size_t              n, start, end;
    u_char             *buf, *bytes;
    ssize_t             rc;
    sync_str_t          s, text;
    sync_writer_t       w;
    sync_eio_packet_t   pkt;

    buf = fuzz_alloc(len);
    sync_writer_init(&w, buf, len);

    s.data = (u_char *) p;
    s.len = len;

    for (start = 0; start <= len; start = end + 1) {

        for (end = start; end < len && p[end] != SYNC_EIO_SEPARATOR; end++) {
            /* void */
        }

        rc = sync_eio_next(&pkt, &s);

        if (end == start
            || (p[start] != 'b' && (p[start] < '0' || p[start] > '6')))
        {
            fuzz_check(rc == SYNC_ERROR);
            break;
        }

        fuzz_check(rc == SYNC_OK);
        fuzz_check(pkt.data.data == p + start + 1);
        fuzz_check(pkt.data.len == end - start - 1);
        fuzz_check(pkt.binary == (p[start] == 'b'));
        fuzz_check(pkt.type == (pkt.binary ? SYNC_EIO_MESSAGE
                                           : p[start] - '0'));

        text.data = (u_char *) p + start;
        text.len = end - start;
        fuzz_check((sync_eio_parse(&pkt, &text) == SYNC_OK)
                   == (p[start] != 'b'));

        if (p[start] != 'b') {
            sync_eio_write(&w, pkt.type, pkt.data.data, pkt.data.len);
            fuzz_check(w.len == end && memcmp(buf, p, end) == 0);

        } else {

            /* what is not canonical base64 would not be the same again */

            bytes = fuzz_alloc(pkt.data.len);
            rc = sync_eio_decode(bytes, pkt.data.len, &pkt.data);
            fuzz_check(rc == SYNC_ERROR || rc <= (ssize_t) pkt.data.len);
            free(bytes);

            if (start) {
                sync_write_byte(&w, SYNC_EIO_SEPARATOR);
            }

            sync_write_str(&w, &text);
        }
    }

    if (start > len) {
        fuzz_check(sync_eio_next(&pkt, &s) == SYNC_DECLINED);
    }

    /* no packet is made up, none is lost */

    n = w.len;
    fuzz_check(n <= len && memcmp(buf, p, n) == 0);

    free(buf);
}


static void
check_binary(const u_char *p, size_t len)
{
    size_t              n;
    u_char             *buf, *bytes;
    sync_str_t          s;
    sync_writer_t       w;
    sync_eio_packet_t   pkt;

    sync_writer_init(&w, NULL, 0);
    sync_eio_write_binary(&w, p, len);
    n = w.len;

    buf = fuzz_alloc(n);
    sync_writer_init(&w, buf, n);
    sync_eio_write_binary(&w, p, len);

    s.data = buf;
    s.len = n;
    fuzz_check(sync_eio_next(&pkt, &s) == SYNC_OK && pkt.binary);
    fuzz_check(s.data == NULL);

    bytes = fuzz_alloc(len);
    fuzz_check(sync_eio_decode(bytes, len, &pkt.data) == (ssize_t) len);
    fuzz_check(memcmp(bytes, p, len) == 0);

    free(bytes);
    free(buf);
}


/* bit by bit */

static void
check_decode(const u_char *p, size_t len)
{
    size_t       i, k, n, bits;
    u_char      *bytes, *want;
    ssize_t      rc;
    sync_str_t   s;
    const char  *c;

    static const char  alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "abcdefghijklmnopqrstuvwxyz0123456789+/";

    s.data = (u_char *) p;
    s.len = len;
    bytes = fuzz_alloc(len);
    rc = sync_eio_decode(bytes, len, &s);

    n = len;

    for (i = 0; i < 2 && n && len % 4 == 0 && p[n - 1] == '='; i++) {
        n--;
    }

    want = fuzz_alloc(len + 1);
    memset(want, 0, len + 1);
    bits = 0;

    for (i = 0; i < n; i++) {
        c = p[i] ? strchr(alphabet, p[i]) : NULL;

        if (c == NULL) {
            break;
        }

        for (k = 0; k < 6; k++, bits++) {

            if (c - alphabet & 32 >> k) {
                want[bits / 8] |= 128 >> bits % 8;
            }
        }
    }

    if (i < n || n % 4 == 1) {
        fuzz_check(rc == SYNC_ERROR);

    } else {
        fuzz_check(rc == (ssize_t) bits / 8);
        fuzz_check(memcmp(bytes, want, rc) == 0);

        if (rc) {
            fuzz_check(sync_eio_decode(bytes, rc - 1, &s) == SYNC_BUSY);
        }
    }

    free(want);
    free(bytes);
}
