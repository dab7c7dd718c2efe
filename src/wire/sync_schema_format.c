
/*
 * Copyright (C) sync for nginx
 */


#include "sync_schema.h"


/*
 * Values of "format": what RFC 3339, 4122, 5321, 3986, 4291 and 1123 have of
 * them, as far as it is common.
 */


typedef struct {
    sync_str_t             name;
    sync_schema_format_pt  check;
} sync_schema_format_t;


static sync_int_t sync_schema_date_time(const sync_str_t *s);
static sync_int_t sync_schema_date(const sync_str_t *s);
static sync_int_t sync_schema_time(const sync_str_t *s);
static sync_int_t sync_schema_email(const sync_str_t *s);
static sync_int_t sync_schema_uuid(const sync_str_t *s);
static sync_int_t sync_schema_uri(const sync_str_t *s);
static sync_int_t sync_schema_ipv4(const sync_str_t *s);
static sync_int_t sync_schema_ipv6(const sync_str_t *s);
static sync_int_t sync_schema_hostname(const sync_str_t *s);
static sync_uint_t sync_schema_is_date(const u_char *p);
static sync_uint_t sync_schema_is_time(const u_char *p, const u_char *last);
static sync_uint_t sync_schema_is_host(const u_char *p, const u_char *last);
static sync_uint_t sync_schema_is_ipv4(const u_char *p, const u_char *last);
static sync_int_t sync_schema_number(const u_char *p, size_t n);
static sync_uint_t sync_schema_alnum(u_char ch);
static sync_uint_t sync_schema_hex(u_char ch);


static const sync_schema_format_t  sync_schema_formats[] = {
    { sync_string("date-time"), sync_schema_date_time },
    { sync_string("date"), sync_schema_date },
    { sync_string("time"), sync_schema_time },
    { sync_string("email"), sync_schema_email },
    { sync_string("uuid"), sync_schema_uuid },
    { sync_string("uri"), sync_schema_uri },
    { sync_string("ipv4"), sync_schema_ipv4 },
    { sync_string("ipv6"), sync_schema_ipv6 },
    { sync_string("hostname"), sync_schema_hostname },
    { { 0, NULL }, NULL }
};


sync_schema_format_pt
sync_schema_format(const sync_str_t *name)
{
    const sync_schema_format_t  *f;

    for (f = sync_schema_formats; f->check; f++) {
        if (sync_str_eq(&f->name, name)) {
            return f->check;
        }
    }

    return NULL;
}


static sync_int_t
sync_schema_date_time(const sync_str_t *s)
{
    u_char  t;

    if (s->len < sizeof("2026-01-01T00:00:00Z") - 1) {
        return 0;
    }

    t = s->data[10];

    return sync_schema_is_date(s->data) && (t == 'T' || t == 't' || t == ' ')
           && sync_schema_is_time(s->data + 11, s->data + s->len);
}


static sync_int_t
sync_schema_date(const sync_str_t *s)
{
    return s->len == 10 && sync_schema_is_date(s->data);
}


static sync_int_t
sync_schema_time(const sync_str_t *s)
{
    return sync_schema_is_time(s->data, s->data + s->len);
}


/* 2026-02-28: ten bytes */

static sync_uint_t
sync_schema_is_date(const u_char *p)
{
    sync_int_t  y, m, d, days;

    static const u_char  months[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    y = sync_schema_number(p, 4);
    m = sync_schema_number(p + 5, 2);
    d = sync_schema_number(p + 8, 2);

    if (y < 0 || m < 1 || m > 12 || d < 1 || p[4] != '-' || p[7] != '-') {
        return 0;
    }

    days = months[m - 1];

    if (m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0)) {
        days = 29;
    }

    return d <= days;
}


/* 23:59:59.123Z or +01:00; a leap second is one at the end of a day UTC. */

static sync_uint_t
sync_schema_is_time(const u_char *p, const u_char *last)
{
    sync_int_t  h, m, s, oh, om, utc;

    if (last - p < 9) {
        return 0;
    }

    h = sync_schema_number(p, 2);
    m = sync_schema_number(p + 3, 2);
    s = sync_schema_number(p + 6, 2);

    if (h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 60
        || p[2] != ':' || p[5] != ':')
    {
        return 0;
    }

    p += 8;

    if (*p == '.') {

        if (++p == last || *p < '0' || *p > '9') {
            return 0;
        }

        while (p < last && *p >= '0' && *p <= '9') {
            p++;
        }
    }

    oh = 0;
    om = 0;

    if (last - p == 1 && (*p == 'Z' || *p == 'z')) {
        /* void */

    } else if (last - p == 6 && (*p == '+' || *p == '-') && p[3] == ':') {

        oh = sync_schema_number(p + 1, 2);
        om = sync_schema_number(p + 4, 2);

        if (oh < 0 || oh > 23 || om < 0 || om > 59) {
            return 0;
        }

        if (*p == '-') {
            oh = -oh;
            om = -om;
        }

    } else {
        return 0;
    }

    if (s < 60) {
        return 1;
    }

    utc = (h * 60 + m - oh * 60 - om + 2 * 1440) % 1440;

    return utc == 1439;
}


/* local@domain: the local part has dots between its atoms only */

static sync_int_t
sync_schema_email(const sync_str_t *s)
{
    u_char         prev;
    const u_char  *p, *at, *last;

    last = s->data + s->len;
    at = memchr(s->data, '@', s->len);

    if (at == NULL || at == s->data || at - s->data > 64
        || last - at > 255)
    {
        return 0;
    }

    prev = '.';

    for (p = s->data; p < at; p++) {

        if (*p == '.') {

            if (prev == '.') {
                return 0;
            }

        } else if (!sync_schema_alnum(*p)
                   && (*p <= ' ' || *p >= 0x7f
                       || strchr("!#$%&'*+/=?^_`{|}~-", *p) == NULL))
        {
            return 0;
        }

        prev = *p;
    }

    return prev != '.' && memchr(at, '.', last - at) != NULL
           && sync_schema_is_host(at + 1, last);
}


static sync_int_t
sync_schema_uuid(const sync_str_t *s)
{
    size_t  i;

    if (s->len != 36) {
        return 0;
    }

    for (i = 0; i < 36; i++) {

        if (i == 8 || i == 13 || i == 18 || i == 23) {

            if (s->data[i] != '-') {
                return 0;
            }

        } else if (!sync_schema_hex(s->data[i])) {
            return 0;
        }
    }

    return 1;
}


/* scheme:something, of the characters that may stand in one */

static sync_int_t
sync_schema_uri(const sync_str_t *s)
{
    const u_char  *p, *last;

    p = s->data;
    last = p + s->len;

    if (p == last || ((*p | 0x20) < 'a' || (*p | 0x20) > 'z')) {
        return 0;
    }

    while (p < last && (sync_schema_alnum(*p) || *p == '+' || *p == '-'
                        || *p == '.'))
    {
        p++;
    }

    if (p == last || *p++ != ':' || p == last) {
        return 0;
    }

    while (p < last) {

        if (*p == '%') {

            if (last - p < 3 || !sync_schema_hex(p[1])
                || !sync_schema_hex(p[2]))
            {
                return 0;
            }

            p += 3;
            continue;
        }

        if (*p <= ' ' || *p >= 0x7f || strchr("\"<>\\^`{|}", *p) != NULL) {
            return 0;
        }

        p++;
    }

    return 1;
}


static sync_int_t
sync_schema_ipv4(const sync_str_t *s)
{
    return sync_schema_is_ipv4(s->data, s->data + s->len);
}


static sync_uint_t
sync_schema_is_ipv4(const u_char *p, const u_char *last)
{
    sync_int_t   n;
    sync_uint_t  i, len;

    for (i = 0; i < 4; i++) {

        for (len = 0; p + len < last && p[len] != '.'; len++) { /* void */ }

        if (len < 1 || len > 3 || (len > 1 && *p == '0')) {
            return 0;
        }

        n = sync_schema_number(p, len);

        if (n < 0 || n > 255) {
            return 0;
        }

        p += len;

        if (i < 3 && (p == last || *p++ != '.')) {
            return 0;
        }
    }

    return p == last;
}


static sync_int_t
sync_schema_ipv6(const sync_str_t *s)
{
    sync_uint_t    n, len, gap;
    const u_char  *p, *last;

    p = s->data;
    last = p + s->len;
    gap = 0;

    if (s->len < 2) {
        return 0;
    }

    if (*p == ':') {

        if (p[1] != ':') {
            return 0;
        }

        gap = 1;
        p += 2;
    }

    for (n = 0; p < last; n++) {

        for (len = 0; p + len < last && sync_schema_hex(p[len]); len++) {
            /* void */
        }

        if (p + len < last && p[len] == '.') {

            /* the last 32 bits as an IPv4 address */

            n += 2;

            return sync_schema_is_ipv4(p, last) && (gap ? n < 8 : n == 8);
        }

        if (len < 1 || len > 4) {
            return 0;
        }

        p += len;

        if (p == last) {
            continue;
        }

        if (*p++ != ':' || p == last) {
            return 0;
        }

        if (*p == ':') {

            if (gap) {
                return 0;
            }

            gap = 1;
            p++;
        }
    }

    return gap ? n < 8 : n == 8;
}


static sync_int_t
sync_schema_hostname(const sync_str_t *s)
{
    return sync_schema_is_host(s->data, s->data + s->len);
}


/* labels of 1 to 63 letters, digits and hyphens, with dots between them */

static sync_uint_t
sync_schema_is_host(const u_char *p, const u_char *last)
{
    const u_char  *start;

    if (p == last || last - p > 253) {
        return 0;
    }

    for ( ;; ) {

        for (start = p; p < last && *p != '.'; p++) {

            if (!sync_schema_alnum(*p) && *p != '-') {
                return 0;
            }
        }

        if (p == start || p - start > 63 || *start == '-' || p[-1] == '-') {
            return 0;
        }

        if (p++ == last) {
            return 1;
        }
    }
}


/* n digits, or -1 */

static sync_int_t
sync_schema_number(const u_char *p, size_t n)
{
    sync_int_t  value;

    for (value = 0; n; n--, p++) {

        if (*p < '0' || *p > '9') {
            return -1;
        }

        value = value * 10 + (*p - '0');
    }

    return value;
}


static sync_uint_t
sync_schema_alnum(u_char ch)
{
    return (ch >= '0' && ch <= '9')
           || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z');
}


static sync_uint_t
sync_schema_hex(u_char ch)
{
    return (ch >= '0' && ch <= '9')
           || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f');
}
