
/*
 * Copyright (C) sync for nginx
 */


#include <stdlib.h>
#include <float.h>

#include "sync_json.h"
#include "sync_utf8.h"


/* decimal exponents beyond it are as good as infinite */

#define SYNC_JSON_EXPONENT_MAX  1000000000


static uint32_t sync_json_char(const u_char **pp, const u_char *last);
static uint32_t sync_json_escape(const u_char **pp, const u_char *last);
static uint32_t sync_json_hex(const u_char *p);
static int64_t sync_json_exponent(const u_char *p, const u_char *last);
static void sync_json_write_control(sync_writer_t *w, u_char ch);


sync_int_t
sync_json_string(sync_str_t *s, const sync_json_t *v, u_char *buf,
    size_t size)
{
    size_t   len;
    ssize_t  n;

    if (v->type != SYNC_JSON_STRING) {
        return SYNC_ERROR;
    }

    len = v->raw.len - 2;

    if (memchr(v->raw.data + 1, '\\', len) == NULL) {

        if (len > size) {
            return SYNC_BUSY;
        }

        s->data = v->raw.data + 1;
        s->len = len;

        return SYNC_OK;
    }

    n = sync_json_unquote(buf, size, v);

    if (n < 0) {
        return n;
    }

    s->data = buf;
    s->len = n;

    return SYNC_OK;
}


ssize_t
sync_json_unquote(u_char *dst, size_t size, const sync_json_t *v)
{
    size_t         n, len;
    u_char         buf[4];
    const u_char  *p, *next, *last;

    if (v->type != SYNC_JSON_STRING) {
        return SYNC_ERROR;
    }

    p = v->raw.data + 1;
    last = v->raw.data + v->raw.len - 1;
    len = 0;

    while (p < last) {
        next = memchr(p, '\\', last - p);

        if (next == NULL) {
            next = last;
        }

        n = next - p;

        if (n > size - len) {
            return SYNC_BUSY;
        }

        if (n) {
            memmove(dst + len, p, n);
            len += n;
        }

        p = next;

        if (p == last) {
            break;
        }

        n = sync_utf8_encode(buf, sync_json_escape(&p, last));

        if (n > size - len) {
            return SYNC_BUSY;
        }

        memcpy(dst + len, buf, n);
        len += n;
    }

    return len;
}


ssize_t
sync_json_string_units(const sync_json_t *v)
{
    ssize_t        n;
    const u_char  *p, *last;

    if (v->type != SYNC_JSON_STRING) {
        return SYNC_ERROR;
    }

    p = v->raw.data + 1;
    last = v->raw.data + v->raw.len - 1;

    for (n = 0; p < last; n++) {

        if (sync_json_char(&p, last) > 0xffff) {
            n++;
        }
    }

    return n;
}


ssize_t
sync_json_string_points(const sync_json_t *v)
{
    ssize_t        n;
    const u_char  *p, *last;

    if (v->type != SYNC_JSON_STRING) {
        return SYNC_ERROR;
    }

    p = v->raw.data + 1;
    last = v->raw.data + v->raw.len - 1;

    for (n = 0; p < last; n++) {
        (void) sync_json_char(&p, last);
    }

    return n;
}


sync_int_t
sync_json_keys_equal(const sync_str_t *k1, const sync_str_t *k2)
{
    const u_char  *p, *q, *last, *end;

    if (sync_str_eq(k1, k2)) {
        return 1;
    }

    p = k1->data;
    last = p + k1->len;
    q = k2->data;
    end = q + k2->len;

    while (p < last && q < end) {
        if (sync_json_char(&p, last) != sync_json_char(&q, end)) {
            return 0;
        }
    }

    return p == last && q == end;
}


sync_int_t
sync_json_key_is(const sync_str_t *key, const sync_str_t *name)
{
    size_t         n;
    u_char         buf[4];
    uint32_t       c;
    const u_char  *p, *q, *last, *end;

    /* an escape is longer than what it means */

    if (key->len == 0 || key->len < name->len) {
        return key->len == name->len;
    }

    p = key->data;
    last = p + key->len;
    q = name->data;
    end = q + name->len;

    if (q < end && *p != *q && *p != '\\') {
        return 0;
    }

    if (memchr(p, '\\', key->len) == NULL) {
        return sync_str_eq(key, name);
    }

    while (p < last) {
        c = sync_json_char(&p, last);
        n = sync_utf8_encode(buf, c);

        if ((size_t) (end - q) < n || memcmp(q, buf, n) != 0) {
            return 0;
        }

        q += n;
    }

    return q == end;
}


sync_int_t
sync_json_equal(const sync_json_t *v1, const sync_json_t *v2)
{
    double         d1, d2;
    const u_char  *p, *q, *last, *end;

    if (v1->type != v2->type) {
        return 0;
    }

    switch (v1->type) {

    case SYNC_JSON_NULL:
    case SYNC_JSON_FALSE:
    case SYNC_JSON_TRUE:
        return 1;

    case SYNC_JSON_NUMBER:
        if (sync_json_double(&d1, v1) == SYNC_OK
            && sync_json_double(&d2, v2) == SYNC_OK)
        {
            return d1 == d2;
        }

        return sync_str_eq(&v1->raw, &v2->raw);

    case SYNC_JSON_STRING:
        break;

    default:
        return 0;
    }

    p = v1->raw.data + 1;
    last = v1->raw.data + v1->raw.len - 1;
    q = v2->raw.data + 1;
    end = v2->raw.data + v2->raw.len - 1;

    while (p < last && q < end) {

        if (sync_json_char(&p, last) != sync_json_char(&q, end)) {
            return 0;
        }
    }

    return p == last && q == end;
}


/* takes one character of a string's inside, p < last */

static uint32_t
sync_json_char(const u_char **pp, const u_char *last)
{
    size_t    n;
    uint32_t  c;

    if (**pp == '\\') {
        return sync_json_escape(pp, last);
    }

    n = sync_utf8_decode(&c, *pp, last);

    if (n == 0) {
        n = sync_utf8_skip(*pp, last);
        c = 0xfffd;
    }

    *pp += n;

    return c;
}


static uint32_t
sync_json_escape(const u_char **pp, const u_char *last)
{
    u_char         ch;
    uint32_t       c, low;
    const u_char  *p;

    p = *pp + 1;

    if (p == last) {
        *pp = p;
        return 0xfffd;
    }

    ch = *p++;

    if (ch != 'u') {
        *pp = p;

        switch (ch) {
        case 'b':
            return '\b';
        case 'f':
            return '\f';
        case 'n':
            return '\n';
        case 'r':
            return '\r';
        case 't':
            return '\t';
        default:
            return ch;
        }
    }

    if (last - p < 4) {
        *pp = last;
        return 0xfffd;
    }

    c = sync_json_hex(p);
    p += 4;
    *pp = p;

    if (c < 0xd800 || c > 0xdfff) {
        return c;
    }

    if (c < 0xdc00 && last - p >= 6 && p[0] == '\\' && p[1] == 'u') {
        low = sync_json_hex(p + 2);

        if (low >= 0xdc00 && low <= 0xdfff) {
            *pp = p + 6;
            return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
    }

    return 0xfffd;
}


static uint32_t
sync_json_hex(const u_char *p)
{
    uint32_t     c;
    sync_uint_t  i;

    c = 0;

    for (i = 0; i < 4; i++) {
        c = c << 4 | (*p <= '9' ? *p & 0xf : (*p & 0xf) + 9);
        p++;
    }

    return c;
}


sync_int_t
sync_json_int64(int64_t *n, const sync_json_t *v)
{
    u_char         ch;
    int64_t        exp;
    uint64_t       u, max;
    sync_uint_t    zeros, fraction, negative;
    const u_char  *p, *last;

    if (v->type != SYNC_JSON_NUMBER) {
        return SYNC_ERROR;
    }

    p = v->raw.data;
    last = p + v->raw.len;

    negative = (*p == '-');
    p += negative;

    /* the value is u * 10^(zeros + exp) */

    u = 0;
    exp = 0;
    zeros = 0;
    fraction = 0;

    while (p < last && *p != 'e' && *p != 'E') {
        ch = *p++;

        if (ch == '.') {
            fraction = 1;
            continue;
        }

        exp -= fraction;

        if (ch == '0') {
            zeros++;
            continue;
        }

        /* the digits up to here matter: the last one is not zero */

        for (zeros = u ? zeros + 1 : 1; zeros; zeros--) {

            if (u > UINT64_MAX / 10) {
                return SYNC_DECLINED;
            }

            u *= 10;
        }

        if (u > UINT64_MAX - (ch - '0')) {
            return SYNC_DECLINED;
        }

        u += ch - '0';
    }

    if (u == 0) {
        *n = 0;
        return SYNC_OK;
    }

    exp += zeros + sync_json_exponent(p, last);

    if (exp < 0) {
        return SYNC_DECLINED;
    }

    max = (uint64_t) INT64_MAX + negative;

    while (exp-- && u <= max) {

        if (u > UINT64_MAX / 10) {
            return SYNC_DECLINED;
        }

        u *= 10;
    }

    if (u > max) {
        return SYNC_DECLINED;
    }

    *n = negative ? (int64_t) (0 - u) : (int64_t) u;

    return SYNC_OK;
}


sync_int_t
sync_json_double(double *d, const sync_json_t *v)
{
    u_char         buf[SYNC_JSON_NUMBER_MAX + sizeof("e-9223372036854775808")];
    double         value;
    int64_t        exp;
    sync_uint_t    fraction;
    const u_char  *p, *last;
    sync_writer_t  w;

    if (v->type != SYNC_JSON_NUMBER) {
        return SYNC_ERROR;
    }

    if (v->raw.len > SYNC_JSON_NUMBER_MAX) {
        return SYNC_DECLINED;
    }

    p = v->raw.data;
    last = p + v->raw.len;
    exp = 0;
    fraction = 0;

    /* without a point, so that the locale does not matter */

    sync_writer_init(&w, buf, sizeof(buf) - 1);

    while (p < last && *p != 'e' && *p != 'E') {

        if (*p == '.') {
            fraction = 1;

        } else {
            sync_write_byte(&w, *p);
            exp -= fraction;
        }

        p++;
    }

    exp += sync_json_exponent(p, last);

    sync_write_byte(&w, 'e');
    sync_write_int(&w, exp);
    buf[w.len] = '\0';

    value = strtod((char *) buf, NULL);

    if (value > DBL_MAX || value < -DBL_MAX) {
        return SYNC_DECLINED;
    }

    *d = value;

    return SYNC_OK;
}


/* the value of "e+5", or 0 if there is none */

static int64_t
sync_json_exponent(const u_char *p, const u_char *last)
{
    int64_t      exp;
    sync_uint_t  negative;

    if (p == last) {
        return 0;
    }

    p++;
    negative = (*p == '-');

    if (*p == '-' || *p == '+') {
        p++;
    }

    for (exp = 0; p < last && exp < SYNC_JSON_EXPONENT_MAX; p++) {
        exp = exp * 10 + (*p - '0');
    }

    return negative ? -exp : exp;
}


void
sync_json_write_string(sync_writer_t *w, const u_char *p, size_t len)
{
    sync_write_byte(w, '"');
    sync_json_write_escaped(w, p, len);
    sync_write_byte(w, '"');
}


void
sync_json_write_escaped(sync_writer_t *w, const u_char *p, size_t len)
{
    size_t         n;
    uint32_t       c;
    const u_char  *start, *last;

    if (len == 0) {
        return;
    }

    last = p + len;
    start = p;

    for ( ;; ) {
        p = sync_json_skip_plain(p, last);

        if (p == last) {
            break;
        }

        if (*p >= 0x80) {
            n = sync_utf8_decode(&c, p, last);

            if (n) {
                p += n;
                continue;
            }
        }

        /* what must not stay as it is */

        sync_write(w, start, p - start);

        if (*p >= 0x80) {
            sync_write_literal(w, SYNC_UTF8_REPLACEMENT);
            p += sync_utf8_skip(p, last);

        } else {
            sync_json_write_control(w, *p++);
        }

        start = p;
    }

    sync_write(w, start, p - start);
}


static void
sync_json_write_control(sync_writer_t *w, u_char ch)
{
    sync_write_byte(w, '\\');

    switch (ch) {

    case '"':
    case '\\':
        sync_write_byte(w, ch);
        break;

    case '\b':
        sync_write_byte(w, 'b');
        break;

    case '\f':
        sync_write_byte(w, 'f');
        break;

    case '\n':
        sync_write_byte(w, 'n');
        break;

    case '\r':
        sync_write_byte(w, 'r');
        break;

    case '\t':
        sync_write_byte(w, 't');
        break;

    default:
        sync_write_literal(w, "u00");
        sync_write_byte(w, '0' + (ch >> 4));
        sync_write_byte(w, "0123456789abcdef"[ch & 0xf]);
        break;
    }
}
