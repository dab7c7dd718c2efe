
/*
 * Copyright (C) sync for nginx
 */


#include "sync_json.h"
#include "sync_utf8.h"


/* the containers that are open are bits of a word */

#if (SYNC_JSON_DEPTH_MAX > 64)
#error SYNC_JSON_DEPTH_MAX is above 64
#endif


/* a word of eight equal bytes */

#define sync_json_bytes(ch)  (0x0101010101010101ULL * (ch))

/* what programs write has none */

#define sync_json_skip_space(pp, last)                                        \
    do {                                                                      \
        if (*(pp) < (last) && **(pp) <= ' ') {                                \
            sync_json_skip_spaces(pp, last);                                  \
        }                                                                     \
    } while (0)


static sync_int_t sync_json_scan(const u_char **pp, const u_char *last);
static sync_int_t sync_json_scan_scalar(const u_char **pp,
    const u_char *last);
static sync_int_t sync_json_scan_key(const u_char **pp, const u_char *last);
static sync_int_t sync_json_scan_string(const u_char **pp,
    const u_char *last);
static sync_int_t sync_json_scan_escape(const u_char **pp,
    const u_char *last);
static sync_int_t sync_json_scan_number(const u_char **pp,
    const u_char *last);
static sync_int_t sync_json_scan_digits(const u_char **pp,
    const u_char *last);
static sync_int_t sync_json_scan_literal(const u_char **pp,
    const u_char *last, const char *text);
static void sync_json_skip_spaces(const u_char **pp, const u_char *last);
static void sync_json_set(sync_json_t *v, const u_char *p,
    const u_char *last);
static sync_int_t sync_json_skip(const u_char **pp, const u_char *last);
static sync_int_t sync_json_skip_container(const u_char **pp,
    const u_char *last);
static sync_int_t sync_json_skip_string(const u_char **pp,
    const u_char *last);


sync_int_t
sync_json_parse(sync_json_t *v, const sync_str_t *text, size_t *err)
{
    sync_int_t     rc;
    const u_char  *p, *start, *end, *last;

    if (text->len == 0) {

        if (err) {
            *err = 0;
        }

        return SYNC_ERROR;
    }

    p = text->data;
    last = p + text->len;

    sync_json_skip_space(&p, last);

    start = p;
    rc = sync_json_scan(&p, last);
    end = p;

    if (rc == SYNC_OK) {
        sync_json_skip_space(&p, last);

        if (p == last) {
            sync_json_set(v, start, end);
            return SYNC_OK;
        }
    }

    if (err) {
        *err = p - text->data;
    }

    return SYNC_ERROR;
}


/* moves *pp behind a value, or to what is wrong in it */

static sync_int_t
sync_json_scan(const u_char **pp, const u_char *last)
{
    u_char       ch;
    uint64_t     objects;
    sync_uint_t  depth;

    objects = 0;
    depth = 0;

    for ( ;; ) {

        if (*pp == last) {
            return SYNC_ERROR;
        }

        ch = **pp;

        if (ch == '{' || ch == '[') {

            if (depth == SYNC_JSON_DEPTH_MAX) {
                return SYNC_ERROR;
            }

            depth++;
            objects = objects << 1 | (ch == '{');

            (*pp)++;
            sync_json_skip_space(pp, last);

            if (*pp == last) {
                return SYNC_ERROR;
            }

            /* "{" and "}", "[" and "]" differ by two */

            if (**pp != ch + 2) {

                if (ch == '{' && sync_json_scan_key(pp, last) != SYNC_OK) {
                    return SYNC_ERROR;
                }

                continue;
            }

        } else if (sync_json_scan_scalar(pp, last) != SYNC_OK) {
            return SYNC_ERROR;
        }

        /* what was opened is closed, as far as it is */

        for ( ;; ) {

            if (depth == 0) {
                return SYNC_OK;
            }

            sync_json_skip_space(pp, last);

            if (*pp == last || **pp != ((objects & 1) ? '}' : ']')) {
                break;
            }

            (*pp)++;
            depth--;
            objects >>= 1;
        }

        if (*pp == last || **pp != ',') {
            return SYNC_ERROR;
        }

        (*pp)++;
        sync_json_skip_space(pp, last);

        if ((objects & 1) && sync_json_scan_key(pp, last) != SYNC_OK) {
            return SYNC_ERROR;
        }
    }
}


static sync_int_t
sync_json_scan_scalar(const u_char **pp, const u_char *last)
{
    switch (**pp) {

    case '"':
        return sync_json_scan_string(pp, last);

    case 't':
        return sync_json_scan_literal(pp, last, "true");

    case 'f':
        return sync_json_scan_literal(pp, last, "false");

    case 'n':
        return sync_json_scan_literal(pp, last, "null");

    default:
        return sync_json_scan_number(pp, last);
    }
}


/* a key, the colon, and the space up to the value */

static sync_int_t
sync_json_scan_key(const u_char **pp, const u_char *last)
{
    if (*pp == last || **pp != '"') {
        return SYNC_ERROR;
    }

    if (sync_json_scan_string(pp, last) != SYNC_OK) {
        return SYNC_ERROR;
    }

    sync_json_skip_space(pp, last);

    if (*pp == last || **pp != ':') {
        return SYNC_ERROR;
    }

    (*pp)++;
    sync_json_skip_space(pp, last);

    return SYNC_OK;
}


static sync_int_t
sync_json_scan_string(const u_char **pp, const u_char *last)
{
    size_t         n;
    uint32_t       c;
    const u_char  *p;

    p = *pp + 1;

    for ( ;; ) {
        p = sync_json_skip_plain(p, last);

        if (p == last || *p < 0x20) {
            break;
        }

        if (*p == '"') {
            *pp = p + 1;
            return SYNC_OK;
        }

        if (*p == '\\') {

            if (sync_json_scan_escape(&p, last) != SYNC_OK) {
                break;
            }

            continue;
        }

        n = sync_utf8_decode(&c, p, last);
        if (n == 0) {
            break;
        }

        p += n;
    }

    *pp = p;

    return SYNC_ERROR;
}


const u_char *
sync_json_skip_plain(const u_char *p, const u_char *last)
{
    uint64_t  word, quote, escape, found;

    /*
     * Eight bytes at a time: a subtraction sets the highest bit of a byte
     * that is below what is taken off.  A borrow may set those of bytes that
     * are above it, and so never the lowest one that is set.
     */

    while (last - p >= (ssize_t) sizeof(uint64_t)) {
        memcpy(&word, p, sizeof(uint64_t));

        quote = word ^ sync_json_bytes('"');
        escape = word ^ sync_json_bytes('\\');

        found = (word
                 | (word - sync_json_bytes(0x20))
                 | (quote - sync_json_bytes(1))
                 | (escape - sync_json_bytes(1))) & sync_json_bytes(0x80);

        if (found) {
#if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
            return p + __builtin_ctzll(found) / 8;
#else
            break;
#endif
        }

        p += sizeof(uint64_t);
    }

    while (p < last
           && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
    {
        p++;
    }

    return p;
}


static sync_int_t
sync_json_scan_escape(const u_char **pp, const u_char *last)
{
    u_char         ch;
    sync_uint_t    i;
    const u_char  *p;

    p = *pp + 1;

    if (p == last) {
        goto failed;
    }

    if (*p != 'u') {

        if (memchr("\"\\/bfnrt", *p, sizeof("\"\\/bfnrt") - 1) == NULL) {
            goto failed;
        }

        *pp = p + 1;
        return SYNC_OK;
    }

    p++;

    for (i = 0; i < 4; i++, p++) {

        if (p == last) {
            goto failed;
        }

        ch = *p | 0x20;

        if ((*p < '0' || *p > '9') && (ch < 'a' || ch > 'f')) {
            goto failed;
        }
    }

    *pp = p;

    return SYNC_OK;

failed:

    *pp = p;

    return SYNC_ERROR;
}


static sync_int_t
sync_json_scan_number(const u_char **pp, const u_char *last)
{
    if (**pp == '-') {
        (*pp)++;
    }

    if (*pp < last && **pp == '0') {
        (*pp)++;

    } else if (sync_json_scan_digits(pp, last) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (*pp < last && **pp == '.') {
        (*pp)++;

        if (sync_json_scan_digits(pp, last) != SYNC_OK) {
            return SYNC_ERROR;
        }
    }

    if (*pp < last && (**pp == 'e' || **pp == 'E')) {
        (*pp)++;

        if (*pp < last && (**pp == '+' || **pp == '-')) {
            (*pp)++;
        }

        if (sync_json_scan_digits(pp, last) != SYNC_OK) {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


static sync_int_t
sync_json_scan_digits(const u_char **pp, const u_char *last)
{
    const u_char  *p;

    p = *pp;

    while (p < last && *p >= '0' && *p <= '9') {
        p++;
    }

    if (p == *pp) {
        return SYNC_ERROR;
    }

    *pp = p;

    return SYNC_OK;
}


static sync_int_t
sync_json_scan_literal(const u_char **pp, const u_char *last,
    const char *text)
{
    while (*text) {

        if (*pp == last || **pp != (u_char) *text) {
            return SYNC_ERROR;
        }

        (*pp)++;
        text++;
    }

    return SYNC_OK;
}


static void
sync_json_skip_spaces(const u_char **pp, const u_char *last)
{
    const u_char  *p;

    p = *pp;

    while (p < last
           && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
    {
        p++;
    }

    *pp = p;
}


static void
sync_json_set(sync_json_t *v, const u_char *p, const u_char *last)
{
    v->raw.data = (u_char *) p;
    v->raw.len = last - p;
    v->type = sync_json_type(*p);
}


sync_json_type_e
sync_json_type(u_char ch)
{
    switch (ch) {

    case '{':
        return SYNC_JSON_OBJECT;

    case '[':
        return SYNC_JSON_ARRAY;

    case '"':
        return SYNC_JSON_STRING;

    case 't':
        return SYNC_JSON_TRUE;

    case 'f':
        return SYNC_JSON_FALSE;

    case 'n':
        return SYNC_JSON_NULL;

    default:
        return SYNC_JSON_NUMBER;
    }
}


void
sync_json_iter_init(sync_json_iter_t *it, const sync_json_t *v)
{
    it->object = (v->type == SYNC_JSON_OBJECT);

    if (v->type == SYNC_JSON_OBJECT || v->type == SYNC_JSON_ARRAY) {
        it->pos = v->raw.data + 1;
        it->last = v->raw.data + v->raw.len - 1;

    } else {
        it->pos = v->raw.data;
        it->last = v->raw.data;
    }
}


sync_int_t
sync_json_next(sync_json_iter_t *it, sync_str_t *key, sync_json_t *v)
{
    const u_char  *p, *start;

    p = it->pos;

    sync_json_skip_space(&p, it->last);

    if (p == it->last) {
        return SYNC_DECLINED;
    }

    if (it->object) {
        start = p;

        if (sync_json_skip_string(&p, it->last) != SYNC_OK) {
            return SYNC_ERROR;
        }

        if (key) {
            key->data = (u_char *) start + 1;
            key->len = p - start - 2;
        }

        sync_json_skip_space(&p, it->last);

        if (p == it->last || *p++ != ':') {
            return SYNC_ERROR;
        }

        sync_json_skip_space(&p, it->last);
    }

    start = p;

    if (sync_json_skip(&p, it->last) != SYNC_OK) {
        return SYNC_ERROR;
    }

    sync_json_set(v, start, p);

    sync_json_skip_space(&p, it->last);

    if (p < it->last && *p++ != ',') {
        return SYNC_ERROR;
    }

    it->pos = p;

    return SYNC_OK;
}


/* moves *pp behind a value that is valid if the caller kept his word */

static sync_int_t
sync_json_skip(const u_char **pp, const u_char *last)
{
    const u_char  *p;

    p = *pp;

    if (p == last) {
        return SYNC_ERROR;
    }

    if (*p == '"') {
        return sync_json_skip_string(pp, last);
    }

    if (*p == '{' || *p == '[') {
        return sync_json_skip_container(pp, last);
    }

    while (p < last
           && *p != ',' && *p != ']' && *p != '}'
           && *p != ' ' && *p != '\t' && *p != '\n' && *p != '\r')
    {
        p++;
    }

    if (p == *pp) {
        return SYNC_ERROR;
    }

    *pp = p;

    return SYNC_OK;
}


static sync_int_t
sync_json_skip_container(const u_char **pp, const u_char *last)
{
    size_t         depth;
    const u_char  *p;

    p = *pp;
    depth = 0;

    while (p < last) {

        switch (*p) {

        case '{':
        case '[':
            depth++;
            p++;
            break;

        case '}':
        case ']':
            p++;

            if (--depth == 0) {
                *pp = p;
                return SYNC_OK;
            }

            break;

        case '"':
            if (sync_json_skip_string(&p, last) != SYNC_OK) {
                return SYNC_ERROR;
            }

            break;

        default:
            p++;
        }
    }

    return SYNC_ERROR;
}


static sync_int_t
sync_json_skip_string(const u_char **pp, const u_char *last)
{
    const u_char  *p, *q;

    if (*pp == last || **pp != '"') {
        return SYNC_ERROR;
    }

    for (p = *pp + 1; p < last; p++) {
        p = memchr(p, '"', last - p);

        if (p == NULL) {
            break;
        }

        /* an odd number of backslashes, back to a quote at most, hides it */

        q = p;

        while (q[-1] == '\\') {
            q--;
        }

        if ((p - q) % 2 == 0) {
            *pp = p + 1;
            return SYNC_OK;
        }
    }

    return SYNC_ERROR;
}


sync_int_t
sync_json_find(sync_json_t *v, const sync_json_t *obj,
    const sync_str_t *name)
{
    sync_int_t        rc;
    sync_str_t        key;
    sync_json_t       value;
    sync_json_iter_t  it;

    if (obj->type != SYNC_JSON_OBJECT) {
        return SYNC_DECLINED;
    }

    rc = SYNC_DECLINED;

    sync_json_iter_init(&it, obj);

    while (sync_json_next(&it, &key, &value) == SYNC_OK) {

        if (sync_json_key_is(&key, name)) {
            *v = value;
            rc = SYNC_OK;
        }
    }

    return rc;
}
