
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_utf8.h"


static sync_int_t naive(const u_char *p, size_t len);
static void check_pieces(uint32_t cuts, const u_char *p, size_t len);
static void check_characters(const u_char *p, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char  *p;

    if (size == 0) {
        return 0;
    }

    p = fuzz_copy(data + 1, size - 1);

    fuzz_check(sync_utf8_check(p, p + size - 1) == naive(p, size - 1));

    check_pieces(data[0], p, size - 1);
    check_characters(p, size - 1);

    free(p);

    return 0;
}


static sync_int_t
naive(const u_char *p, size_t len)
{
    size_t    i, k, n;
    uint32_t  c;

    for (i = 0; i < len; i += n) {
        n = (p[i] < 0x80) ? 1
            : (p[i] >> 5 == 6) ? 2
            : (p[i] >> 4 == 14) ? 3
            : (p[i] >> 3 == 30) ? 4 : 0;

        if (n == 0 || n > len - i) {
            return SYNC_ERROR;
        }

        c = (n == 1) ? p[i] : p[i] & (0x7f >> n);

        for (k = 1; k < n; k++) {

            if (p[i + k] >> 6 != 2) {
                return SYNC_ERROR;
            }

            c = c << 6 | (p[i + k] & 0x3f);
        }

        if ((n == 2 && c < 0x80)
            || (n == 3 && (c < 0x800 || c >> 11 == 27))
            || (n == 4 && (c < 0x10000 || c > 0x10ffff)))
        {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


static void
check_pieces(uint32_t cuts, const u_char *p, size_t len)
{
    size_t       n, left;
    u_char      *piece;
    sync_int_t   rc;
    sync_utf8_t  u;

    sync_utf8_init(&u);

    rc = SYNC_OK;

    for (left = len; left && rc == SYNC_OK; left -= n) {
        n = fuzz_piece(&cuts, left);

        piece = fuzz_copy(p + (len - left), n);
        rc = sync_utf8_feed(&u, piece, piece + n);
        free(piece);
    }

    if (rc == SYNC_OK && !sync_utf8_complete(&u)) {
        rc = SYNC_ERROR;
    }

    fuzz_check(rc == naive(p, len));
}


static void
check_characters(const u_char *p, size_t len)
{
    size_t    i, n, units, bad;
    u_char    buf[4];
    uint32_t  c;

    units = 0;
    bad = 0;

    for (i = 0; i < len; i += n) {
        n = sync_utf8_decode(&c, p + i, p + len);

        fuzz_check((n != 0) == (naive(p + i, 1) == SYNC_OK
                                || (len - i > 1
                                    && naive(p + i, 2) == SYNC_OK
                                    && p[i] >= 0xc0)
                                || (len - i > 2
                                    && naive(p + i, 3) == SYNC_OK
                                    && p[i] >= 0xe0)
                                || (len - i > 3
                                    && naive(p + i, 4) == SYNC_OK
                                    && p[i] >= 0xf0)));

        if (n) {
            fuzz_check(sync_utf8_encode(buf, c) == n);
            fuzz_check(memcmp(buf, p + i, n) == 0);
            units += (c > 0xffff) ? 2 : 1;
            continue;
        }

        n = sync_utf8_skip(p + i, p + len);

        fuzz_check(n >= 1 && n <= 3 && n <= len - i);
        bad = 1;
    }

    fuzz_check(bad == (naive(p, len) != SYNC_OK));

    if (!bad) {
        fuzz_check(sync_utf8_units(p, p + len) == units);
    }
}
