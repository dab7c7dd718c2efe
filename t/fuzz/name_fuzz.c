
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_name.h"
#include "sync_utf8.h"


static void check_trim(const sync_str_t *s);
static void check_room(const sync_str_t *pattern, const sync_str_t *name);
static void check_route(const sync_str_t *prefix, const sync_str_t *name);
static int naive_part(const sync_str_t *name, const sync_str_t *part);
static size_t naive_route(u_char *dst, const sync_str_t *prefix,
    const sync_str_t *name);
static int naive_space(uint32_t c);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t      n;
    sync_str_t  s1, s2, prefix;

    if (size == 0) {
        return 0;
    }

    /* the first byte cuts the rest in two */

    n = (data[0] < size - 1) ? data[0] : size - 1;

    s1.len = n;
    s1.data = fuzz_copy(data + 1, n);
    s2.len = size - 1 - n;
    s2.data = fuzz_copy(data + 1 + n, s2.len);

    sync_str_set(&prefix, "sync");

    check_trim(&s1);
    check_trim(&s2);
    check_room(&s1, &s2);
    check_route(&prefix, &s1);
    check_route(&prefix, &s2);

    free(s1.data);
    free(s2.data);

    return 0;
}


static void
check_trim(const sync_str_t *s)
{
    size_t      i, n, start, end;
    uint32_t    c;
    sync_str_t  t;

    t = *s;
    sync_name_trim(&t);

    if (sync_utf8_check(s->data, s->data + s->len) != SYNC_OK) {
        fuzz_check(t.data >= s->data
                   && t.data + t.len <= s->data + s->len);
        return;
    }

    /* from the first to the last that is not a space */

    start = s->len;
    end = s->len;

    for (i = 0; i < s->len; i += n) {
        n = sync_utf8_decode(&c, s->data + i, s->data + s->len);

        if (!naive_space(c)) {

            if (start == s->len) {
                start = i;
            }

            end = i + n;
        }
    }

    fuzz_check(t.len == end - start);
    fuzz_check(t.len == 0 || t.data == s->data + start);
}


static int
naive_space(uint32_t c)
{
    size_t  i;

    static const uint32_t  spaces[] = {
        0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0xa0, 0x1680, 0x2000, 0x2001,
        0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009,
        0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff
    };

    for (i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {

        if (spaces[i] == c) {
            return 1;
        }
    }

    return 0;
}


static void
check_room(const sync_str_t *pattern, const sync_str_t *name)
{
    int         good, spaces;
    size_t      i, n;
    uint32_t    c;
    sync_int_t  rc;

    good = (name->len > 0 && name->len <= SYNC_NAME_MAX);
    spaces = 1;

    for (i = 0; good && i < name->len; i += n) {
        n = sync_utf8_decode(&c, name->data + i, name->data + name->len);

        if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            good = 0;
        }

        spaces = spaces && naive_space(c);
    }

    rc = sync_name_check(name);
    fuzz_check((rc == SYNC_OK) == (good && !spaces));

    if (sync_name_check_pattern(name) == SYNC_OK) {
        fuzz_check(rc == SYNC_OK);

        for (i = 0; i + 1 < name->len; i++) {
            fuzz_check(name->data[i] != '*');
        }

        fuzz_check(sync_name_match(name, name));
    }

    n = pattern->len;

    if (n == 0) {
        good = 0;

    } else if (pattern->data[n - 1] == '*') {
        good = (name->len >= n - 1
                && memcmp(pattern->data, name->data, n - 1) == 0);

    } else {
        good = (name->len == n && memcmp(pattern->data, name->data, n) == 0);
    }

    fuzz_check(sync_name_match(pattern, name) == good);

    fuzz_check(sync_name_has_part(name, pattern)
               == naive_part(name, pattern));
}


static int
naive_part(const sync_str_t *name, const sync_str_t *part)
{
    size_t  i, n;

    n = part->len;

    if (n == 0 || memchr(part->data, ':', n)) {
        return 0;
    }

    for (i = 0; i + 1 + n <= name->len; i++) {

        if (name->data[i] == ':'
            && memcmp(name->data + i + 1, part->data, n) == 0
            && (i + 1 + n == name->len || name->data[i + 1 + n] == ':'))
        {
            return 1;
        }
    }

    return 0;
}


static void
check_route(const sync_str_t *prefix, const sync_str_t *name)
{
    size_t              n, size;
    u_char             *buf, *again, *want;
    sync_int_t          rc;
    sync_name_route_t   r, r2;

    size = prefix->len + 1 + name->len;
    want = fuzz_alloc(size);
    n = naive_route(want, prefix, name);

    buf = fuzz_alloc(size);
    rc = sync_name_route(&r, buf, size, prefix, name);

    fuzz_check((rc == SYNC_OK) == (n != 0));

    if (rc == SYNC_OK) {
        fuzz_check(r.full.len == n && memcmp(r.full.data, want, n) == 0);

        fuzz_check(r.path.data == r.full.data + prefix->len + 1);
        fuzz_check(r.path.data + r.path.len == r.full.data + r.full.len);
        fuzz_check(r.service.data == r.path.data && r.service.len);
        fuzz_check(r.name.data == r.service.data + r.service.len + 1
                   && r.name.len);
        fuzz_check(r.version.data == r.name.data + r.name.len + 1
                   && r.version.len >= 2);
        fuzz_check(r.version.data + r.version.len
                   == r.full.data + r.full.len);

        /* it is its own one form, in no more room than that */

        again = fuzz_alloc(n);
        fuzz_check(sync_name_route(&r2, again, n, prefix, &r.full)
                   == SYNC_OK);
        fuzz_check(sync_str_eq(&r2.full, &r.full));
        fuzz_check(sync_str_eq(&r2.name, &r.name));
        fuzz_check(sync_name_route(&r2, again, n - 1, prefix, &r.full)
                   == SYNC_BUSY);
        free(again);
    }

    free(want);
    free(buf);
}


/* in small steps, on a copy; returns the length or 0 */

static size_t
naive_route(u_char *dst, const sync_str_t *prefix, const sync_str_t *name)
{
    size_t      i, k, n, segments;
    u_char     *p;
    uint32_t    c;
    sync_str_t  s;

    s = *name;
    sync_name_trim(&s);

    memcpy(dst, prefix->data, prefix->len);
    dst[prefix->len] = '/';
    p = dst + prefix->len + 1;
    n = s.len;

    for (i = 0; i < n; i++) {
        p[i] = s.data[i] == '\\' ? '/' : s.data[i];
    }

    while (n && p[n - 1] == '/') {
        n--;
    }

    while (n && p[0] == '/') {
        memmove(p, p + 1, --n);
    }

    if (n > prefix->len && memcmp(p, prefix->data, prefix->len) == 0
        && p[prefix->len] == '/')
    {
        n -= prefix->len + 1;
        memmove(p, p + prefix->len + 1, n);
    }

    for (i = 0, segments = 1; i < n; i++) {

        if (p[i] == '/') {
            segments++;

            if (i == 0 || p[i - 1] == '/') {
                return 0;
            }
        }
    }

    if (segments < 3) {
        return 0;
    }

    for (i = n; i && p[i - 1] >= '0' && p[i - 1] <= '9'; i--) {
        /* void */
    }

    if (i == n || i < 2 || p[i - 1] != 'v' || p[i - 2] != '/') {
        return 0;
    }

    for (i = 0; i < n; i += k) {
        k = sync_utf8_decode(&c, p + i, p + n);

        if (k == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            return 0;
        }
    }

    return prefix->len + 1 + n;
}
