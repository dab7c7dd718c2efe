
/*
 * Copyright (C) sync for nginx
 */


#include <math.h>

#include "fuzz.h"

#include "sync_json.h"
#include "sync_utf8.h"


/* a parser by recursion, which knows where it is */

typedef struct {
    const u_char  *p;
    const u_char  *last;
    int            depth;
} naive_t;


static int naive_text(const u_char *p, size_t len);
static int naive_value(naive_t *n);
static int naive_string(naive_t *n);
static int naive_number(naive_t *n);
static void naive_space(naive_t *n);
static size_t naive_unquote(u_char *dst, const u_char *p, size_t len);
static void check_value(const sync_json_t *v);
static void check_children(const sync_json_t *v);
static void check_find(const sync_json_t *obj, const sync_str_t *name);
static void check_string(const sync_json_t *v);
static void check_number(const sync_json_t *v);
static void check_write(const u_char *p, size_t len);
static void check_garbage(u_char *p, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char      *p;
    size_t       err;
    sync_int_t   rc;
    sync_str_t   text;
    sync_json_t  v;

    if (size == 0) {
        return 0;
    }

    size--;
    p = fuzz_copy(data + 1, size);

    text.data = p;
    text.len = size;
    err = size + 1;

    rc = sync_json_parse(&v, &text, &err);

    fuzz_check((rc == SYNC_OK) == naive_text(p, size));

    if (rc == SYNC_OK) {
        fuzz_check(err == size + 1);
        check_value(&v);

    } else {
        fuzz_check(rc == SYNC_ERROR && err <= size);
    }

    check_write(p, size);
    check_garbage(p, size);

    free(p);

    return 0;
}


static int
naive_text(const u_char *p, size_t len)
{
    naive_t  n;

    n.p = p;
    n.last = p + len;
    n.depth = 0;

    if (sync_utf8_check(p, p + len) != SYNC_OK) {
        return 0;
    }

    naive_space(&n);

    if (!naive_value(&n)) {
        return 0;
    }

    naive_space(&n);

    return n.p == n.last;
}


static int
naive_value(naive_t *n)
{
    u_char  close;
    size_t  i;

    static const char  *literals[] = { "null", "true", "false" };

    for (i = 0; i < 3; i++) {

        if ((size_t) (n->last - n->p) >= strlen(literals[i])
            && memcmp(n->p, literals[i], strlen(literals[i])) == 0)
        {
            n->p += strlen(literals[i]);
            return 1;
        }
    }

    if (n->p == n->last) {
        return 0;
    }

    if (*n->p == '"') {
        return naive_string(n);
    }

    if (*n->p != '[' && *n->p != '{') {
        return naive_number(n);
    }

    if (++n->depth > SYNC_JSON_DEPTH_MAX) {
        return 0;
    }

    close = (*n->p == '[') ? ']' : '}';

    for (i = 0; /* void */; i++) {
        n->p++;
        naive_space(n);

        if (n->p < n->last && *n->p == close && i == 0) {
            break;
        }

        if (close == '}') {

            if (!naive_string(n)) {
                return 0;
            }

            naive_space(n);

            if (n->p == n->last || *n->p++ != ':') {
                return 0;
            }

            naive_space(n);
        }

        if (!naive_value(n)) {
            return 0;
        }

        naive_space(n);

        if (n->p == n->last) {
            return 0;
        }

        if (*n->p == close) {
            break;
        }

        if (*n->p != ',') {
            return 0;
        }
    }

    n->p++;
    n->depth--;

    return 1;
}


static int
naive_string(naive_t *n)
{
    int  i;

    if (n->p == n->last || *n->p++ != '"') {
        return 0;
    }

    while (n->p < n->last) {

        if (*n->p == '"') {
            n->p++;
            return 1;
        }

        if (*n->p < 0x20) {
            return 0;
        }

        if (*n->p++ != '\\') {
            continue;
        }

        if (n->p == n->last || *n->p == '\0') {
            return 0;
        }

        if (strchr("\"\\/bfnrt", *n->p)) {
            n->p++;
            continue;
        }

        if (*n->p++ != 'u') {
            return 0;
        }

        for (i = 0; i < 4; i++) {

            if (n->p == n->last || *n->p == '\0'
                || strchr("0123456789abcdefABCDEF", *n->p) == NULL)
            {
                return 0;
            }

            n->p++;
        }
    }

    return 0;
}


static int
naive_number(naive_t *n)
{
    size_t  i, k;

#define digit(c)  ((c) >= '0' && (c) <= '9')
#define at(i)     ((size_t) (n->last - n->p) > (i) ? n->p[i] : 0)

    i = (at(0) == '-') ? 1 : 0;

    if (!digit(at(i)) || (at(i) == '0' && digit(at(i + 1)))) {
        return 0;
    }

    while (digit(at(i))) {
        i++;
    }

    if (at(i) == '.') {

        if (!digit(at(i + 1))) {
            return 0;
        }

        do {
            i++;
        } while (digit(at(i)));
    }

    if (at(i) == 'e' || at(i) == 'E') {
        k = (at(i + 1) == '+' || at(i + 1) == '-') ? i + 2 : i + 1;

        if (!digit(at(k))) {
            return 0;
        }

        for (i = k; digit(at(i)); i++) {
            /* void */
        }
    }

#undef digit
#undef at

    n->p += i;

    return 1;
}


static void
naive_space(naive_t *n)
{
    while (n->p < n->last && *n->p && strchr(" \t\r\n", *n->p)) {
        n->p++;
    }
}


/* what is between the quotes of a valid string, to UTF-16 and then back */

static size_t
naive_unquote(u_char *dst, const u_char *p, size_t len)
{
    char       hex[5];
    size_t     i, k, n;
    uint32_t   c;
    uint16_t  *units;

    units = malloc(2 * len + 2);

    if (units == NULL) {
        abort();
    }

    for (i = 0, n = 0; i < len; i += k) {

        if (p[i] == '\\' && p[i + 1] == 'u') {
            memcpy(hex, p + i + 2, 4);
            hex[4] = '\0';
            units[n++] = strtoul(hex, NULL, 16);
            k = 6;
            continue;
        }

        if (p[i] == '\\') {
            units[n++] = p[i + 1] == 'b' ? '\b' : p[i + 1] == 'f' ? '\f'
                         : p[i + 1] == 'n' ? '\n' : p[i + 1] == 'r' ? '\r'
                         : p[i + 1] == 't' ? '\t' : p[i + 1];
            k = 2;
            continue;
        }

        k = sync_utf8_decode(&c, p + i, p + len);

        if (c > 0xffff) {
            units[n++] = 0xd800 + ((c - 0x10000) >> 10);
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }

        units[n++] = c;
    }

    for (i = 0, k = 0; i < n; i++) {
        c = units[i];

        if (c >> 10 == 54 && i + 1 < n && units[i + 1] >> 10 == 55) {
            c = 0x10000 + ((c & 0x3ff) << 10) + (units[++i] & 0x3ff);
        }

        k += sync_utf8_encode(dst + k, c);
    }

    free(units);

    return k;
}


static void
check_value(const sync_json_t *v)
{
    sync_json_t  again;

    fuzz_check(sync_json_parse(&again, &v->raw, NULL) == SYNC_OK);
    fuzz_check(again.type == v->type);
    fuzz_check(again.raw.data == v->raw.data && again.raw.len == v->raw.len);

    check_string(v);
    check_number(v);

    fuzz_check(sync_json_equal(v, &again)
               == (v->type != SYNC_JSON_ARRAY
                   && v->type != SYNC_JSON_OBJECT));

    check_children(v);
}


static void
check_children(const sync_json_t *v)
{
    size_t            n;
    u_char           *name;
    naive_t           text;
    sync_str_t        key, s;
    sync_json_t       child;
    sync_json_iter_t  it;

    sync_json_iter_init(&it, v);
    n = 0;

    text.p = v->raw.data + 1;
    text.last = v->raw.data + v->raw.len;

    while (sync_json_next(&it, &key, &child) == SYNC_OK) {

        /* the same as the naive parser finds */

        naive_space(&text);

        if (v->type == SYNC_JSON_OBJECT) {
            fuzz_check(key.data == text.p + 1);
            fuzz_check(naive_string(&text));
            fuzz_check(key.data + key.len == text.p - 1);

            naive_space(&text);
            text.p++;
            naive_space(&text);
        }

        text.depth = 0;

        fuzz_check(child.raw.data == text.p);
        fuzz_check(naive_value(&text));
        fuzz_check(child.raw.data + child.raw.len == text.p);

        naive_space(&text);

        check_value(&child);
        n++;

        if (v->type == SYNC_JSON_OBJECT) {
            name = fuzz_alloc(3 * key.len + 1);
            s.data = name;
            s.len = naive_unquote(name, key.data, key.len);

            fuzz_check(sync_json_key_is(&key, &s));

            if (n < 16) {
                check_find(v, &s);
            }

            free(name);
        }

        if (*text.p == ',') {
            text.p++;
        }
    }

    fuzz_check(n == 0 || text.p == text.last - 1);
    fuzz_check(sync_json_next(&it, &key, &child) == SYNC_DECLINED);
}


static void
check_find(const sync_json_t *obj, const sync_str_t *name)
{
    u_char           *buf;
    size_t            n;
    sync_str_t        key;
    sync_json_t       v, found, want;
    sync_json_iter_t  it;

    want.raw.data = NULL;

    sync_json_iter_init(&it, obj);

    while (sync_json_next(&it, &key, &v) == SYNC_OK) {
        buf = fuzz_alloc(3 * key.len + 1);
        n = naive_unquote(buf, key.data, key.len);

        if (n == name->len && memcmp(buf, name->data, n) == 0) {
            want = v;
        }

        free(buf);
    }

    fuzz_check(sync_json_find(&found, obj, name) == SYNC_OK);
    fuzz_check(found.raw.data == want.raw.data);
}


static void
check_string(const sync_json_t *v)
{
    u_char         *buf, *want;
    size_t          n, i, units;
    sync_str_t      s;
    sync_json_t     again;
    sync_writer_t   w;

    if (v->type != SYNC_JSON_STRING) {
        fuzz_check(sync_json_unquote(NULL, 0, v) == SYNC_ERROR);
        fuzz_check(sync_json_string(&s, v, NULL, 0) == SYNC_ERROR);
        fuzz_check(sync_json_string_units(v) == SYNC_ERROR);
        return;
    }

    want = fuzz_alloc(3 * v->raw.len);
    n = naive_unquote(want, v->raw.data + 1, v->raw.len - 2);

    fuzz_check(n <= v->raw.len - 2);

    buf = fuzz_alloc(n);
    fuzz_check(sync_json_unquote(buf, n, v) == (ssize_t) n);
    fuzz_check(memcmp(buf, want, n) == 0);

    fuzz_check(sync_json_string(&s, v, buf, n) == SYNC_OK);
    fuzz_check(s.len == n && memcmp(s.data, want, n) == 0);

    for (i = 0, units = 0; i < n; i++) {
        units += (want[i] & 0xc0) != 0x80;
        units += want[i] >= 0xf0;
    }

    fuzz_check(sync_json_string_units(v) == (ssize_t) units);

    if (n) {
        fuzz_check(sync_json_unquote(buf, n - 1, v) == SYNC_BUSY);
        fuzz_check(sync_json_string(&s, v, buf, n - 1) == SYNC_BUSY);
    }

    free(buf);

    /* written and read again it is the same */

    sync_writer_init(&w, NULL, 0);
    sync_json_write_string(&w, want, n);
    buf = fuzz_alloc(w.len);
    sync_writer_init(&w, buf, w.len);
    sync_json_write_string(&w, want, n);

    s.data = buf;
    s.len = w.len;
    fuzz_check(sync_json_parse(&again, &s, NULL) == SYNC_OK);
    fuzz_check(sync_json_equal(&again, v) && sync_json_equal(v, &again));

    free(buf);
    free(want);
}


static void
check_number(const sync_json_t *v)
{
    char        text[SYNC_JSON_NUMBER_MAX + 1];
    double      d, want;
    size_t      n;
    int64_t     i;
    sync_int_t  rc;

    rc = sync_json_int64(&i, v);

    if (v->type != SYNC_JSON_NUMBER) {
        fuzz_check(rc == SYNC_ERROR);
        fuzz_check(sync_json_double(&d, v) == SYNC_ERROR);
        return;
    }

    if (v->raw.len > SYNC_JSON_NUMBER_MAX) {
        fuzz_check(sync_json_double(&d, v) == SYNC_DECLINED);
        return;
    }

    memcpy(text, v->raw.data, v->raw.len);
    text[v->raw.len] = '\0';
    want = strtod(text, NULL);

    if (isinf(want)) {
        fuzz_check(sync_json_double(&d, v) == SYNC_DECLINED);
        fuzz_check(rc == SYNC_DECLINED);
        return;
    }

    fuzz_check(sync_json_double(&d, v) == SYNC_OK);
    fuzz_check(d == want);

    if (rc == SYNC_OK) {
        fuzz_check((double) i == want);

    } else {
        fuzz_check(rc == SYNC_DECLINED);
        n = strspn(text, "-0123456789");
        fuzz_check(n != v->raw.len || n > 18);
    }
}


/* any bytes are written as a string that is valid and of the counted size */

static void
check_write(const u_char *p, size_t len)
{
    size_t          k, n, size;
    u_char         *buf, *got;
    uint32_t        c;
    sync_str_t      text;
    sync_json_t     v;
    sync_writer_t   w;

    sync_writer_init(&w, NULL, 0);
    sync_json_write_string(&w, p, len);
    size = w.len;
    fuzz_check(!sync_writer_fits(&w));

    buf = fuzz_alloc(size);
    sync_writer_init(&w, buf, size);
    sync_json_write_string(&w, p, len);
    fuzz_check(w.len == size && sync_writer_fits(&w));

    text.data = buf;
    text.len = size;
    fuzz_check(sync_json_parse(&v, &text, NULL) == SYNC_OK);
    fuzz_check(v.type == SYNC_JSON_STRING);

    got = fuzz_alloc(3 * len);
    n = sync_json_unquote(got, 3 * len, &v);
    size = 0;

    while (len) {
        k = sync_utf8_decode(&c, p, p + len);

        if (k == 0) {
            fuzz_check(memcmp(got + size, SYNC_UTF8_REPLACEMENT, 3) == 0);
            k = sync_utf8_skip(p, p + len);
            size += 3;

        } else {
            fuzz_check(memcmp(got + size, p, k) == 0);
            size += k;
        }

        p += k;
        len -= k;
    }

    fuzz_check(n == size);

    free(got);
    free(buf);
}


/* a caller who did not check the text gets nonsense, but no crash */

static void
check_garbage(u_char *p, size_t len)
{
    size_t            n;
    sync_str_t        key;
    sync_json_t       v, child;
    sync_json_iter_t  it;

    if (len < 2) {
        return;
    }

    v.raw.data = p;
    v.raw.len = len;

    for (n = 0; n < 2; n++) {
        v.type = n ? SYNC_JSON_OBJECT : SYNC_JSON_ARRAY;

        sync_json_iter_init(&it, &v);

        while (sync_json_next(&it, &key, &child) == SYNC_OK) {
            fuzz_check(child.raw.data > p);
            fuzz_check(child.raw.data + child.raw.len < p + len);
        }
    }
}
