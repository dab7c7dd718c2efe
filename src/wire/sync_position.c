
/*
 * Copyright (C) sync for nginx
 */


#include "sync_position.h"


static const u_char *sync_position_hex(uint32_t *value, const u_char *p,
    const u_char *last);
static u_char *sync_position_print_hex(u_char *dst, uint32_t value);


sync_int_t
sync_lsn_parse(uint64_t *lsn, const sync_str_t *s)
{
    uint32_t       high, low;
    const u_char  *p, *last;

    if (s->len == 0) {
        return SYNC_ERROR;
    }

    p = s->data;
    last = p + s->len;

    p = sync_position_hex(&high, p, last);
    if (p == NULL || p == last || *p != '/') {
        return SYNC_ERROR;
    }

    p = sync_position_hex(&low, p + 1, last);
    if (p != last) {
        return SYNC_ERROR;
    }

    *lsn = (uint64_t) high << 32 | low;

    return SYNC_OK;
}


/* parses 1 to 8 digits, returns the end of them, or NULL */

static const u_char *
sync_position_hex(uint32_t *value, const u_char *p, const u_char *last)
{
    u_char      ch;
    uint32_t    v;
    sync_int_t  n;

    v = 0;

    for (n = 0; p < last; n++, p++) {
        ch = *p | 0x20;

        if (*p >= '0' && *p <= '9') {
            ch = *p - '0';

        } else if (ch >= 'a' && ch <= 'f') {
            ch = ch - 'a' + 10;

        } else {
            break;
        }

        if (n == 8) {
            return NULL;
        }

        v = v << 4 | ch;
    }

    if (n == 0) {
        return NULL;
    }

    *value = v;

    return p;
}


u_char *
sync_lsn_print(u_char *dst, uint64_t lsn)
{
    dst = sync_position_print_hex(dst, lsn >> 32);
    *dst++ = '/';

    return sync_position_print_hex(dst, (uint32_t) lsn);
}


static u_char *
sync_position_print_hex(u_char *dst, uint32_t value)
{
    sync_int_t  shift;

    shift = 28;

    while (shift && value >> shift == 0) {
        shift -= 4;
    }

    while (shift >= 0) {
        *dst++ = "0123456789ABCDEF"[value >> shift & 0xf];
        shift -= 4;
    }

    return dst;
}


sync_int_t
sync_position_parse(sync_position_t *pos, const sync_str_t *s)
{
    uint64_t       lsn;
    uint32_t       nonce;
    sync_str_t     part;
    const u_char  *p, *last;

    /* a dot and 8 digits */

    if (s->len < 9) {
        return SYNC_ERROR;
    }

    last = s->data + s->len;
    p = last - 9;

    part.data = s->data;
    part.len = p - s->data;

    if (*p != '.'
        || sync_position_hex(&nonce, p + 1, last) != last
        || sync_lsn_parse(&lsn, &part) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    pos->lsn = lsn;
    pos->nonce = nonce;

    return SYNC_OK;
}


u_char *
sync_position_print(u_char *dst, const sync_position_t *pos)
{
    sync_int_t  shift;

    dst = sync_lsn_print(dst, pos->lsn);
    *dst++ = '.';

    for (shift = 28; shift >= 0; shift -= 4) {
        *dst++ = "0123456789abcdef"[pos->nonce >> shift & 0xf];
    }

    return dst;
}
