
/*
 * Copyright (C) sync for nginx
 */


#include "sync_utf8.h"


#define SYNC_UTF8_HIGH_BITS  0x8080808080808080ULL


static sync_int_t sync_utf8_start(sync_utf8_t *u, u_char ch);
static const u_char *sync_utf8_skip_ascii(const u_char *p,
    const u_char *last);


sync_int_t
sync_utf8_feed(sync_utf8_t *u, const u_char *p, const u_char *last)
{
    while (p < last) {

        if (u->need == 0) {
            p = sync_utf8_skip_ascii(p, last);

            if (p == last) {
                break;
            }

            if (sync_utf8_start(u, *p++) != SYNC_OK) {
                return SYNC_ERROR;
            }

            continue;
        }

        if (*p < u->min || *p > u->max) {
            return SYNC_ERROR;
        }

        u->need--;
        u->min = 0x80;
        u->max = 0xbf;
        p++;
    }

    return SYNC_OK;
}


sync_int_t
sync_utf8_check(const u_char *p, const u_char *last)
{
    sync_utf8_t  u;

    sync_utf8_init(&u);

    if (sync_utf8_feed(&u, p, last) != SYNC_OK) {
        return SYNC_ERROR;
    }

    return sync_utf8_complete(&u) ? SYNC_OK : SYNC_ERROR;
}


/* sets what may follow the first byte, above 0x7f, of a character */

static sync_int_t
sync_utf8_start(sync_utf8_t *u, u_char ch)
{
    u->min = 0x80;
    u->max = 0xbf;

    if (ch < 0xc2 || ch > 0xf4) {
        return SYNC_ERROR;
    }

    if (ch < 0xe0) {
        u->need = 1;
        return SYNC_OK;
    }

    if (ch < 0xf0) {
        u->need = 2;

        if (ch == 0xe0) {
            u->min = 0xa0;
        }

        if (ch == 0xed) {
            u->max = 0x9f;
        }

        return SYNC_OK;
    }

    u->need = 3;

    if (ch == 0xf0) {
        u->min = 0x90;
    }

    if (ch == 0xf4) {
        u->max = 0x8f;
    }

    return SYNC_OK;
}


static const u_char *
sync_utf8_skip_ascii(const u_char *p, const u_char *last)
{
    uint64_t  word;

    while (last - p >= (ssize_t) sizeof(uint64_t)) {
        memcpy(&word, p, sizeof(uint64_t));

        if (word & SYNC_UTF8_HIGH_BITS) {
            break;
        }

        p += sizeof(uint64_t);
    }

    while (p < last && *p < 0x80) {
        p++;
    }

    return p;
}


size_t
sync_utf8_decode(uint32_t *c, const u_char *p, const u_char *last)
{
    size_t       n;
    uint32_t     value;
    sync_utf8_t  u;

    if (*p < 0x80) {
        *c = *p;
        return 1;
    }

    if (sync_utf8_start(&u, *p) != SYNC_OK || last - p <= u.need) {
        return 0;
    }

    value = *p & (0x3f >> u.need);

    for (n = 1; n <= u.need; n++) {

        if (p[n] < u.min || p[n] > u.max) {
            return 0;
        }

        value = value << 6 | (p[n] & 0x3f);
        u.min = 0x80;
        u.max = 0xbf;
    }

    *c = value;

    return n;
}


size_t
sync_utf8_skip(const u_char *p, const u_char *last)
{
    size_t       n;
    sync_utf8_t  u;

    if (*p < 0x80 || sync_utf8_start(&u, *p) != SYNC_OK) {
        return 1;
    }

    for (n = 1; n <= u.need && n < (size_t) (last - p); n++) {

        if (p[n] < u.min || p[n] > u.max) {
            break;
        }

        u.min = 0x80;
        u.max = 0xbf;
    }

    return n;
}


size_t
sync_utf8_encode(u_char *dst, uint32_t c)
{
    if (c < 0x80) {
        dst[0] = c;
        return 1;
    }

    if (c < 0x800) {
        dst[0] = 0xc0 | c >> 6;
        dst[1] = 0x80 | (c & 0x3f);
        return 2;
    }

    if (c < 0x10000) {

        if (c >= 0xd800 && c <= 0xdfff) {
            c = 0xfffd;
        }

        dst[0] = 0xe0 | c >> 12;
        dst[1] = 0x80 | (c >> 6 & 0x3f);
        dst[2] = 0x80 | (c & 0x3f);
        return 3;
    }

    dst[0] = 0xf0 | c >> 18;
    dst[1] = 0x80 | (c >> 12 & 0x3f);
    dst[2] = 0x80 | (c >> 6 & 0x3f);
    dst[3] = 0x80 | (c & 0x3f);

    return 4;
}


size_t
sync_utf8_units(const u_char *p, const u_char *last)
{
    size_t  n;

    /* a first byte is one unit, and one of four bytes is two */

    for (n = 0; p < last; p++) {

        if ((*p & 0xc0) != 0x80) {
            n += (*p < 0xf0) ? 1 : 2;
        }
    }

    return n;
}
