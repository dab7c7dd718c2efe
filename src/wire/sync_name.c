
/*
 * Copyright (C) sync for nginx
 */


#include "sync_name.h"
#include "sync_utf8.h"


static sync_int_t sync_name_is_space(uint32_t c);
static sync_int_t sync_name_has_control(const sync_str_t *s);
static sync_int_t sync_name_route_split(sync_name_route_t *r);


void
sync_name_trim(sync_str_t *s)
{
    size_t         n;
    uint32_t       c;
    const u_char  *p, *last;

    if (s->len == 0) {
        return;
    }

    p = s->data;
    last = p + s->len;

    while (p < last) {
        n = sync_utf8_decode(&c, p, last);

        if (n == 0 || !sync_name_is_space(c)) {
            break;
        }

        p += n;
    }

    s->len = last - p;
    s->data = (u_char *) p;

    while (p < last) {

        for (n = 1; n < 4 && n < s->len; n++) {

            if ((*(last - n) & 0xc0) != 0x80) {
                break;
            }
        }

        if (sync_utf8_decode(&c, last - n, last) != n
            || !sync_name_is_space(c))
        {
            break;
        }

        last -= n;
        s->len -= n;
    }
}


/* what String.trim() removes */

static sync_int_t
sync_name_is_space(uint32_t c)
{
    return c == 0x20
           || (c >= 0x09 && c <= 0x0d)
           || c == 0xa0
           || c == 0x1680
           || (c >= 0x2000 && c <= 0x200a)
           || c == 0x2028
           || c == 0x2029
           || c == 0x202f
           || c == 0x205f
           || c == 0x3000
           || c == 0xfeff;
}


sync_int_t
sync_name_check(const sync_str_t *name)
{
    sync_str_t  s;

    if (name->len == 0
        || name->len > SYNC_NAME_MAX
        || sync_utf8_check(name->data, name->data + name->len) != SYNC_OK
        || sync_name_has_control(name))
    {
        return SYNC_ERROR;
    }

    s = *name;
    sync_name_trim(&s);

    return s.len ? SYNC_OK : SYNC_ERROR;
}


static sync_int_t
sync_name_has_control(const sync_str_t *s)
{
    size_t   i;
    u_char  *p;

    p = s->data;

    for (i = 0; i < s->len; i++) {

        if (p[i] < 0x20 || p[i] == 0x7f) {
            return 1;
        }

        /* U+0080 to U+009F */

        if (p[i] == 0xc2 && i + 1 < s->len && p[i + 1] < 0xa0) {
            return 1;
        }
    }

    return 0;
}


sync_int_t
sync_name_check_pattern(const sync_str_t *pattern)
{
    u_char  *p;

    if (sync_name_check(pattern) != SYNC_OK) {
        return SYNC_ERROR;
    }

    p = memchr(pattern->data, '*', pattern->len);

    if (p && p != pattern->data + pattern->len - 1) {
        return SYNC_ERROR;
    }

    return SYNC_OK;
}


sync_int_t
sync_name_match(const sync_str_t *pattern, const sync_str_t *name)
{
    size_t  n;

    if (pattern->len == 0) {
        return 0;
    }

    if (!sync_name_is_pattern(pattern)) {
        return sync_str_eq(pattern, name);
    }

    n = pattern->len - 1;

    return n == 0
           || (name->len >= n && memcmp(pattern->data, name->data, n) == 0);
}


sync_int_t
sync_name_has_part(const sync_str_t *name, const sync_str_t *part)
{
    size_t   n;
    u_char  *p, *next, *last;

    if (name->len == 0 || part->len == 0) {
        return 0;
    }

    last = name->data + name->len;
    p = memchr(name->data, ':', name->len);

    while (p) {
        p++;

        next = memchr(p, ':', last - p);
        n = (next ? next : last) - p;

        if (n == part->len && memcmp(p, part->data, n) == 0) {
            return 1;
        }

        p = next;
    }

    return 0;
}


sync_int_t
sync_name_route(sync_name_route_t *r, u_char *buf, size_t size,
    const sync_str_t *prefix, const sync_str_t *name)
{
    size_t       i;
    u_char      *p;
    sync_str_t   s;

    s = *name;
    sync_name_trim(&s);

    while (s.len && (*s.data == '/' || *s.data == '\\')) {
        s.data++;
        s.len--;
    }

    while (s.len
           && (s.data[s.len - 1] == '/' || s.data[s.len - 1] == '\\'))
    {
        s.len--;
    }

    if (s.len == 0
        || sync_utf8_check(s.data, s.data + s.len) != SYNC_OK
        || sync_name_has_control(&s))
    {
        return SYNC_ERROR;
    }

    if (s.len > prefix->len
        && memcmp(s.data, prefix->data, prefix->len) == 0
        && (s.data[prefix->len] == '/' || s.data[prefix->len] == '\\'))
    {
        s.data += prefix->len + 1;
        s.len -= prefix->len + 1;
    }

    if (prefix->len + 1 + s.len > size) {
        return SYNC_BUSY;
    }

    memcpy(buf, prefix->data, prefix->len);
    p = buf + prefix->len;
    *p++ = '/';

    for (i = 0; i < s.len; i++) {
        p[i] = (s.data[i] == '\\') ? '/' : s.data[i];
    }

    r->full.data = buf;
    r->full.len = prefix->len + 1 + s.len;
    r->path.data = p;
    r->path.len = s.len;

    return sync_name_route_split(r);
}


static sync_int_t
sync_name_route_split(sync_name_route_t *r)
{
    u_char  *p, *first, *slash, *last;

    last = r->path.data + r->path.len;
    first = NULL;
    slash = NULL;

    if (r->path.data[0] == '/') {
        return SYNC_ERROR;
    }

    for (p = r->path.data; p < last; p++) {

        if (*p != '/') {
            continue;
        }

        /* the last character is no slash */

        if (p[1] == '/') {
            return SYNC_ERROR;
        }

        if (first == NULL) {
            first = p;
        }

        slash = p;
    }

    if (first == slash || slash[1] != 'v' || slash + 2 == last) {
        return SYNC_ERROR;
    }

    for (p = slash + 2; p < last; p++) {

        if (*p < '0' || *p > '9') {
            return SYNC_ERROR;
        }
    }

    r->service.data = r->path.data;
    r->service.len = first - r->path.data;
    r->name.data = first + 1;
    r->name.len = slash - (first + 1);
    r->version.data = slash + 1;
    r->version.len = last - (slash + 1);

    return SYNC_OK;
}
