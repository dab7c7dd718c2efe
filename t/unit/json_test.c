
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_json.h"


static sync_int_t parse(sync_json_t *v, const char *text, size_t len);
static sync_json_t value(const char *text);
static void test_valid(void);
static void test_invalid(void);
static void test_error(void);
static void test_depth(void);
static void test_iterate(void);
static void test_find(void);
static void test_strings(void);
static void test_int64(void);
static void test_double(void);
static void test_equal(void);
static void test_plain(void);
static void test_write(void);
static void test_writer(void);


int
main(void)
{
    test_valid();
    test_invalid();
    test_error();
    test_depth();
    test_iterate();
    test_find();
    test_strings();
    test_int64();
    test_double();
    test_equal();
    test_plain();
    test_write();
    test_writer();

    return unit_done();
}


static sync_int_t
parse(sync_json_t *v, const char *text, size_t len)
{
    sync_str_t  s;

    s.data = unit_guard(text, len);
    s.len = len;

    return sync_json_parse(v, &s, NULL);
}


/* a value of a text that must be valid */

static sync_json_t
value(const char *text)
{
    sync_json_t  v;

    if (parse(&v, text, strlen(text)) != SYNC_OK) {
        printf("Bail out! \"%s\" is not valid\n", text);
        exit(2);
    }

    return v;
}


static void
test_valid(void)
{
    size_t               i, n, bad;
    sync_json_t          v;

    static const struct {
        const char        *text;
        const char        *raw;
        sync_json_type_e   type;
    } tests[] = {
        { "null", "null", SYNC_JSON_NULL },
        { " \t\r\ntrue\n", "true", SYNC_JSON_TRUE },
        { "false", "false", SYNC_JSON_FALSE },
        { "[]", "[]", SYNC_JSON_ARRAY },
        { "[ ]", "[ ]", SYNC_JSON_ARRAY },
        { "{}", "{}", SYNC_JSON_OBJECT },
        { "{ }", "{ }", SYNC_JSON_OBJECT },
        { "\"\"", "\"\"", SYNC_JSON_STRING },
        { " \"a\" ", "\"a\"", SYNC_JSON_STRING },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDe00\"",
          "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDe00\"",
          SYNC_JSON_STRING },
        { "\"\\ud800\"", "\"\\ud800\"", SYNC_JSON_STRING },
        { "\"\x7f\"", "\"\x7f\"", SYNC_JSON_STRING },
        { "\"\xf4\x8f\xbf\xbf\"", "\"\xf4\x8f\xbf\xbf\"", SYNC_JSON_STRING },
        { "[1,[2,{\"a\":[{}]}],null]", "[1,[2,{\"a\":[{}]}],null]",
          SYNC_JSON_ARRAY },
        { "{\"a\" : 1 , \"a\" : [ ] }", "{\"a\" : 1 , \"a\" : [ ] }",
          SYNC_JSON_OBJECT },
        { "{\"\":0}", "{\"\":0}", SYNC_JSON_OBJECT }
    };

    static const char    *numbers[] = {
        "0", "-0", "7", "10", "-1", "0.5", "-0.0e0", "1e5", "1E+5", "1e-05",
        "123456789012345678901234567890", "1.7976931348623157e400"
    };

    bad = 0;

    for (i = 0; i < unit_count(tests); i++) {
        n = strlen(tests[i].text);

        if (parse(&v, tests[i].text, n) != SYNC_OK
            || v.type != tests[i].type
            || v.raw.len != strlen(tests[i].raw)
            || memcmp(v.raw.data, tests[i].raw, v.raw.len) != 0)
        {
            printf("# %s\n", tests[i].text);
            bad++;
        }
    }

    is_int(bad, 0, "valid texts");

    bad = 0;

    for (i = 0; i < unit_count(numbers); i++) {
        bad += parse(&v, numbers[i], strlen(numbers[i])) != SYNC_OK
               || v.type != SYNC_JSON_NUMBER
               || v.raw.len != strlen(numbers[i]);
    }

    is_int(bad, 0, "valid numbers");

    bad = 0;

    for (i = 0; i < unit_count(tests); i++) {

        for (n = 0; n < strlen(tests[i].raw); n++) {
            bad += parse(&v, tests[i].raw, n) != SYNC_ERROR;
        }
    }

    is_int(bad, 0, "valid texts cut at every byte are not valid");
}


static void
test_invalid(void)
{
    size_t               i;
    sync_json_t          v;

    static const struct {
        const char        *text;
        size_t             len;
    } tests[] = {

#define text(s)  { s, sizeof(s) - 1 }

        text(""), text(" "), text("nul"), text("nulll"), text("True"),
        text("NaN"), text("Infinity"), text("undefined"), text("1 2"),
        text("[1,]"), text("[,1]"), text("[1 2]"), text("[1"), text("]"),
        text("[}"), text("{]"), text("{\"a\"}"), text("{\"a\":}"),
        text("{\"a\":1,}"), text("{,}"), text("{a:1}"), text("{1:1}"),
        text("{\"a\":1 \"b\":2}"), text("{\"a\":1}}"), text("{'a':1}"),
        text("{\"a\":1:2}"), text("[\"a\":1]"), text("{[]:1}"),
        text("01"), text("-"), text("+1"), text(".5"), text("1."),
        text("1.e5"), text("1e"), text("1e+"), text("0x10"), text("--1"),
        text("1.2.3"), text("1e5.5"), text("-a"), text("00"), text("-01"),
        text("\""), text("\"\\\""), text("\"\\x\""), text("\"\\u12\""),
        text("\"\\u12g4\""), text("\"\\U1234\""), text("\"\\u\""),
        text("\"\t\""), text("\"\n\""), text("\"\0\""), text("\"\x1f\""),
        text("\"\\\0\""), text("\"\x80\""), text("\"\xc3\""),
        text("\"\xc0\xaf\""), text("\"\xed\xa0\x80\""),
        text("\"\xf4\x90\x80\x80\""), text("\xef\xbb\xbf{}"), text("{}\0"),
        text("\f1"), text("1\v"), text("\xc2\xa0" "1"), text("/**/1"),
        text("[1]//"), text("\xff")

#undef text

    };

    for (i = 0; i < unit_count(tests); i++) {
        is_int(parse(&v, tests[i].text, tests[i].len), SYNC_ERROR,
               "a text that is not valid");
    }
}


static void
test_error(void)
{
    size_t               i, err;
    sync_str_t           s;
    sync_json_t          v;

    static const struct {
        const char        *text;
        size_t             err;
    } tests[] = {
        { "", 0 }, { "  ", 2 }, { "[1,]", 3 }, { "[1] x", 4 }, { "nulx", 3 },
        { "{\"a\":01}", 6 }, { "{\"a\" 1}", 5 }, { "{\"a\":1,b}", 7 },
        { "[\"a\\qb\"]", 4 }, { "[\"a\x01\"]", 3 }, { "[\"a\\u00g0\"]", 7 },
        { "[1", 2 }, { "\"abc", 4 }, { "\"a\xff\"", 2 }, { "[1}", 2 },
        { "-", 1 }, { "1.x", 2 }, { "1ex", 2 }
    };

    for (i = 0; i < unit_count(tests); i++) {
        s.len = strlen(tests[i].text);
        s.data = unit_guard(tests[i].text, s.len);
        err = 12345;

        (void) sync_json_parse(&v, &s, &err);

        is_int(err, tests[i].err, "the offset of a mistake");
    }
}


static void
test_depth(void)
{
    int          i;
    char        *text;
    size_t       n;
    sync_json_t  v;

    n = 100000;
    text = malloc(n);

    if (text == NULL) {
        printf("Bail out! malloc() failed\n");
        exit(2);
    }

    memset(text, '[', SYNC_JSON_DEPTH_MAX);
    memset(text + SYNC_JSON_DEPTH_MAX, ']', SYNC_JSON_DEPTH_MAX);
    is_int(parse(&v, text, 2 * SYNC_JSON_DEPTH_MAX), SYNC_OK,
           "arrays as deep as allowed");

    memset(text, '[', SYNC_JSON_DEPTH_MAX + 1);
    memset(text + SYNC_JSON_DEPTH_MAX + 1, ']', SYNC_JSON_DEPTH_MAX + 1);
    is_int(parse(&v, text, 2 * SYNC_JSON_DEPTH_MAX + 2), SYNC_ERROR,
           "arrays that are too deep");

    memset(text, '[', n);
    is_int(parse(&v, text, n), SYNC_ERROR, "arrays without end");

    /* an array in an object in an array: the kinds are told apart */

    text[0] = '\0';

    for (i = 0; i < SYNC_JSON_DEPTH_MAX / 2; i++) {
        strcat(text, "[{\"k\":");
    }

    strcat(text, "1");

    for (i = 0; i < SYNC_JSON_DEPTH_MAX / 2; i++) {
        strcat(text, "}]");
    }

    n = strlen(text);
    is_int(parse(&v, text, n), SYNC_OK, "arrays and objects in turn");

    text[n - 2] = ']';
    text[n - 1] = '}';
    is_int(parse(&v, text, n), SYNC_ERROR, "closed in the wrong order");

    free(text);
}


static void
test_iterate(void)
{
    sync_str_t        key;
    sync_json_t       v, e;
    sync_json_iter_t  it;

    v = value("[ 1 ,\"a,]\\\"\",[2,[3]] , {\"k\":[]},null]");

    sync_json_iter_init(&it, &v);

    is_int(sync_json_next(&it, NULL, &e), SYNC_OK, "an array's element");
    is_str(&e.raw, "1", "a number");
    is_int(sync_json_next(&it, &key, &e), SYNC_OK, "the second");
    is_str(&e.raw, "\"a,]\\\"\"", "a string with brackets");
    is_int(sync_json_next(&it, &key, &e), SYNC_OK, "the third");
    is_str(&e.raw, "[2,[3]]", "an array in an array");
    is_int(sync_json_next(&it, &key, &e), SYNC_OK, "the fourth");
    is_str(&e.raw, "{\"k\":[]}", "an object in an array");
    is_int(sync_json_next(&it, &key, &e), SYNC_OK, "the fifth");
    is_int(e.type, SYNC_JSON_NULL, "a null");
    is_int(sync_json_next(&it, &key, &e), SYNC_DECLINED, "no sixth");
    is_int(sync_json_next(&it, &key, &e), SYNC_DECLINED, "no seventh");

    v = value("{ \"a\" : 1 , \"\" : {} ,\"a\\u0062\":\"}\" }");

    sync_json_iter_init(&it, &v);

    is_int(sync_json_next(&it, &key, &e), SYNC_OK, "an object's member");
    is_str(&key, "a", "its key");
    is_str(&e.raw, "1", "its value");
    is_int(sync_json_next(&it, &key, &e), SYNC_OK, "the second");
    is_str(&key, "", "an empty key");
    is_str(&e.raw, "{}", "an empty object");
    is_int(sync_json_next(&it, NULL, &e), SYNC_OK, "the third");
    is_str(&e.raw, "\"}\"", "a string with a brace");
    is_int(sync_json_next(&it, &key, &e), SYNC_DECLINED, "no fourth");

    v = value("[\"a\\\\\",\"\\\"\",\"\\\\\\\"]\",-12.5e3 ,true]");
    sync_json_iter_init(&it, &v);
    is_int(sync_json_next(&it, NULL, &e), SYNC_OK, "a string");
    is_str(&e.raw, "\"a\\\\\"", "that ends with a backslash");
    is_int(sync_json_next(&it, NULL, &e), SYNC_OK, "a string");
    is_str(&e.raw, "\"\\\"\"", "that is a quote");
    is_int(sync_json_next(&it, NULL, &e), SYNC_OK, "a string");
    is_str(&e.raw, "\"\\\\\\\"]\"", "with both");
    is_int(sync_json_next(&it, NULL, &e), SYNC_OK, "a number");
    is_str(&e.raw, "-12.5e3", "of several bytes");
    is_int(sync_json_next(&it, NULL, &e), SYNC_OK, "a literal");
    is_str(&e.raw, "true", "at the end");

    v = value("\"[1,2]\"");
    sync_json_iter_init(&it, &v);
    is_int(sync_json_next(&it, &key, &e), SYNC_DECLINED,
           "a string has no elements");

    v = value("{ }");
    sync_json_iter_init(&it, &v);
    is_int(sync_json_next(&it, &key, &e), SYNC_DECLINED,
           "an empty object has no members");
}


static void
test_find(void)
{
    sync_str_t   name, key;
    sync_json_t  v, e;

    v = value("{\"a\":1,\"b\":{\"a\":2},\"a\":3,\"\\u0063\\uD83D\\ude00\":4,"
              "\"\":5,\"d\\\\\":6,\"e\\ud800\":7,\"nul\\u0000\":8}");

    is_int(sync_json_get(&e, &v, "a"), SYNC_OK, "a member that is doubled");
    is_str(&e.raw, "3", "the last one wins");

    is_int(sync_json_get(&e, &v, "b"), SYNC_OK, "a member");
    is_str(&e.raw, "{\"a\":2}", "its value");

    is_int(sync_json_get(&e, &v, "c\xf0\x9f\x98\x80"), SYNC_OK,
           "a key with escapes");
    is_str(&e.raw, "4", "its value");

    is_int(sync_json_get(&e, &v, ""), SYNC_OK, "an empty key");
    is_str(&e.raw, "5", "its value");

    is_int(sync_json_get(&e, &v, "d\\"), SYNC_OK, "a backslash in a key");
    is_int(sync_json_get(&e, &v, "d\\\\"), SYNC_DECLINED,
           "a key is compared by its meaning");
    is_int(sync_json_get(&e, &v, "e\xef\xbf\xbd"), SYNC_OK,
           "a key with a lone surrogate");
    is_int(sync_json_get(&e, &v, "nul\0"), SYNC_OK, "a key with a zero");
    is_int(sync_json_get(&e, &v, "nul"), SYNC_DECLINED, "and without");
    is_int(sync_json_get(&e, &v, "c"), SYNC_DECLINED, "a key's start");

    e.type = SYNC_JSON_TRUE;
    is_int(sync_json_get(&e, &v, "x"), SYNC_DECLINED, "no such member");
    is_int(e.type, SYNC_JSON_TRUE, "the value is untouched");

    v = value("[\"a\",1]");
    is_int(sync_json_get(&e, &v, "a"), SYNC_DECLINED,
           "an array has no members");

    key.data = (u_char *) "ab\\u0063";
    key.len = 8;
    name.data = unit_guard("ab", 2);
    name.len = 2;
    is_int(sync_json_key_is(&key, &name), 0, "a name shorter than the key");
}


static void
test_strings(void)
{
    size_t               i, k, n, bad;
    ssize_t              rc;
    u_char              *buf;
    sync_str_t           s;
    sync_json_t          v;

    static const struct {
        const char        *text;
        const char        *want;
        size_t             len;
        size_t             units;
    } tests[] = {

#define text(t, w, units)  { t, w, sizeof(w) - 1, units }

        text("\"\"", "", 0),
        text("\"abc\"", "abc", 3),
        text("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8),
        text("\"a\\u0000b\"", "a\0b", 3),
        text("\"\\u00e9\xc3\xa9\"", "\xc3\xa9\xc3\xa9", 2),
        text("\"\\u20AC\\u20ac\"", "\xe2\x82\xac\xe2\x82\xac", 2),
        text("\"\\uD83D\\uDE00\"", "\xf0\x9f\x98\x80", 2),
        text("\"\xf0\x9f\x98\x80\"", "\xf0\x9f\x98\x80", 2),
        text("\"\\uffff\\ue000\"", "\xef\xbf\xbf\xee\x80\x80", 2),
        text("\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf", 2),
        text("\"\\ud800\\udc00\"", "\xf0\x90\x80\x80", 2),
        text("\"\\ud800\"", "\xef\xbf\xbd", 1),
        text("\"\\ud800x\"", "\xef\xbf\xbdx", 2),
        text("\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd", 2),
        text("\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80", 3),
        text("\"\\ud83d\\u0041\"", "\xef\xbf\xbd" "A", 2),
        text("\"\\ud83d\\n\"", "\xef\xbf\xbd\n", 2),
        text("\"x\\\\u0041\"", "x\\u0041", 7)

#undef text

    };

    bad = 0;

    for (i = 0; i < unit_count(tests); i++) {
        v = value(tests[i].text);
        n = tests[i].len;

        buf = unit_guard(NULL, n);
        rc = sync_json_unquote(buf, n, &v);

        if (!is_mem(buf, rc, tests[i].want, n, "unquoted")) {
            continue;
        }

        bad += sync_json_string_units(&v) != (ssize_t) tests[i].units;

        bad += sync_json_string(&s, &v, buf, n) != SYNC_OK
               || s.len != n
               || (n && memcmp(s.data, tests[i].want, n) != 0);

        for (k = 0; k < n; k++) {
            buf = unit_guard(NULL, k);
            bad += sync_json_unquote(buf, k, &v) != SYNC_BUSY;
            bad += sync_json_string(&s, &v, buf, k) != SYNC_BUSY;
        }

        /* in place */

        bad += sync_json_unquote(v.raw.data, v.raw.len - 2, &v)
               != (ssize_t) n;
        bad += memcmp(v.raw.data, tests[i].want, n) != 0;
    }

    is_int(bad, 0, "their units, too little room, in place");

    v = value("\"abc\"");
    is_int(sync_json_string(&s, &v, NULL, 3), SYNC_OK, "without escapes");
    ok(s.data == v.raw.data + 1, "nothing is copied");

    v = value("7");
    is_int(sync_json_unquote(NULL, 0, &v), SYNC_ERROR, "not a string");
    is_int(sync_json_string(&s, &v, NULL, 0), SYNC_ERROR, "not a string");
    is_int(sync_json_string_units(&v), SYNC_ERROR, "not a string");
}


static void
test_int64(void)
{
    size_t               i;
    int64_t              n;
    sync_int_t           rc;
    sync_json_t          v;

    static const struct {
        const char        *text;
        sync_int_t         rc;
        int64_t            n;
    } tests[] = {
        { "0", SYNC_OK, 0 },
        { "-0", SYNC_OK, 0 },
        { "0.000e99999999999999999999", SYNC_OK, 0 },
        { "7", SYNC_OK, 7 },
        { "7.0", SYNC_OK, 7 },
        { "-7.000", SYNC_OK, -7 },
        { "70e-1", SYNC_OK, 7 },
        { "0.07e2", SYNC_OK, 7 },
        { "0.07E+2", SYNC_OK, 7 },
        { "1e3", SYNC_OK, 1000 },
        { "1020", SYNC_OK, 1020 },
        { "102000e-2", SYNC_OK, 1020 },
        { "1.02e5", SYNC_OK, 102000 },
        { "9007199254740993", SYNC_OK, 9007199254740993LL },
        { "9223372036854775807", SYNC_OK, INT64_MAX },
        { "-9223372036854775808", SYNC_OK, INT64_MIN },
        { "9223372036854775808", SYNC_DECLINED, 0 },
        { "-9223372036854775809", SYNC_DECLINED, 0 },
        { "18446744073709551616", SYNC_DECLINED, 0 },
        { "18446744073709551615", SYNC_DECLINED, 0 },
        { "99999999999999999999999999999999", SYNC_DECLINED, 0 },
        { "1e18", SYNC_OK, 1000000000000000000LL },
        { "1e19", SYNC_DECLINED, 0 },
        { "92233720368547758070e-1", SYNC_OK, INT64_MAX },
        { "1e999999999999999999999999", SYNC_DECLINED, 0 },
        { "1e-999999999999999999999999", SYNC_DECLINED, 0 },
        { "0.5", SYNC_DECLINED, 0 },
        { "1.5e0", SYNC_DECLINED, 0 },
        { "15e-1", SYNC_DECLINED, 0 },
        { "\"7\"", SYNC_ERROR, 0 },
        { "null", SYNC_ERROR, 0 },
        { "true", SYNC_ERROR, 0 },
        { "[7]", SYNC_ERROR, 0 }
    };

    for (i = 0; i < unit_count(tests); i++) {
        v = value(tests[i].text);
        n = 0;
        rc = sync_json_int64(&n, &v);

        is_int(rc, tests[i].rc, tests[i].text);
        is_int(n, tests[i].n, tests[i].text);
    }
}


static void
test_double(void)
{
    char                  text[256];
    double                d;
    size_t                i;
    sync_json_t           v;

    static const char    *numbers[] = {
        "0", "-0.0", "0.1", "1.1", "-123.456e-7", "1e308", "1e-400",
        "2.2250738585072011e-308", "9007199254740993", "1.7976931348623157e308",
        "0.0000000000000000000000000000000000000000000000001e49", "1E5"
    };

    for (i = 0; i < unit_count(numbers); i++) {
        v = value(numbers[i]);
        d = -1;

        ok(sync_json_double(&d, &v) == SYNC_OK
           && d == strtod(numbers[i], NULL), numbers[i]);
    }

    v = value("1e309");
    is_int(sync_json_double(&d, &v), SYNC_DECLINED, "too large");
    v = value("-1e999999999999999999999");
    is_int(sync_json_double(&d, &v), SYNC_DECLINED, "too large, negative");
    v = value("\"1\"");
    is_int(sync_json_double(&d, &v), SYNC_ERROR, "not a number");

    memset(text, '1', sizeof(text));

    text[SYNC_JSON_NUMBER_MAX] = '\0';
    v = value(text);
    is_int(sync_json_double(&d, &v), SYNC_OK, "as long as allowed");

    text[SYNC_JSON_NUMBER_MAX] = '1';
    text[SYNC_JSON_NUMBER_MAX + 1] = '\0';
    v = value(text);
    is_int(sync_json_double(&d, &v), SYNC_DECLINED, "too long");
}


static void
test_equal(void)
{
    size_t               i;
    sync_json_t          v1, v2;

    static const struct {
        const char        *v1;
        const char        *v2;
        int                equal;
    } tests[] = {
        { "null", "null", 1 }, { "true", "true", 1 }, { "true", "false", 0 },
        { "0", "false", 0 }, { "1", "1.0", 1 }, { "1e2", "100", 1 },
        { "-0", "0", 1 }, { "1", "2", 0 }, { "1", "\"1\"", 0 },
        { "1e999", "1e999", 1 }, { "1e999", "2e999", 0 },
        { "\"a\"", "\"a\"", 1 }, { "\"a\"", "\"\\u0061\"", 1 },
        { "\"a\"", "\"ab\"", 0 }, { "\"ab\"", "\"a\"", 0 },
        { "\"\"", "\"\"", 1 }, { "\"/x\"", "\"\\/x\"", 1 },
        { "\"\xf0\x9f\x98\x80\"", "\"\\ud83d\\ude00\"", 1 },
        { "\"a\"", "\"A\"", 0 }, { "[]", "[]", 0 }, { "{}", "{}", 0 }
    };

    for (i = 0; i < unit_count(tests); i++) {
        v1 = value(tests[i].v1);
        v2 = value(tests[i].v2);

        is_int(sync_json_equal(&v1, &v2), tests[i].equal, tests[i].v1);
        is_int(sync_json_equal(&v2, &v1), tests[i].equal, tests[i].v2);
    }
}


static void
test_plain(void)
{
    int      ch, bad, stop;
    size_t   i, n;
    u_char   s[20];
    u_char  *p;

    bad = 0;

    for (n = 1; n <= sizeof(s); n++) {
        memset(s, 'x', sizeof(s));

        p = unit_guard(s, n);
        bad += sync_json_skip_plain(p, p + n) != p + n;

        for (i = 0; i < n; i++) {

            for (ch = 0; ch < 256; ch++) {
                s[i] = ch;
                stop = (ch < 0x20 || ch > 0x7f || ch == '"' || ch == '\\');

                p = unit_guard(s, n);
                bad += sync_json_skip_plain(p, p + n)
                       != p + (stop ? i : n);
            }

            /* a byte that may stand there after one that may not */

            s[i] = (i % 2) ? ' ' : '!';
        }
    }

    is_int(bad, 0, "every byte at every place of strings of any length");
}


static void
test_write(void)
{
    size_t               i, k, n, bad;
    u_char              *buf, *text;
    sync_json_t          v;
    sync_writer_t        w;

    static const struct {
        const char        *text;
        size_t             len;
        const char        *want;
    } tests[] = {

#define text(t, w)  { t, sizeof(t) - 1, w }

        text("", "\"\""),
        text("abc", "\"abc\""),
        text("\"\\/", "\"\\\"\\\\/\""),
        text("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""),
        text("\0\x01\x1f\x7f", "\"\\u0000\\u0001\\u001f\x7f\""),
        text("\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\""),
        text("a\xff" "b", "\"a\xef\xbf\xbd" "b\""),
        text("\x80", "\"\xef\xbf\xbd\""),
        text("\xe2\x82", "\"\xef\xbf\xbd\""),
        text("\xe2\x82\"", "\"\xef\xbf\xbd\\\"\""),
        text("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""),
        text("\xe2\x80\xa8", "\"\xe2\x80\xa8\"")

#undef text

    };

    bad = 0;

    for (i = 0; i < unit_count(tests); i++) {
        n = strlen(tests[i].want);
        text = unit_guard(tests[i].text, tests[i].len);
        buf = unit_guard(NULL, n);

        sync_writer_init(&w, buf, n);
        sync_json_write_string(&w, text, tests[i].len);

        is_mem(buf, w.len, tests[i].want, n, "a string in quotes");
        bad += parse(&v, (char *) buf, n) != SYNC_OK;

        for (k = 0; k < n; k++) {
            buf = unit_guard(NULL, k);
            sync_writer_init(&w, buf, k);
            sync_json_write_string(&w, (u_char *) tests[i].text,
                                   tests[i].len);
            bad += w.len != n || sync_writer_fits(&w);
        }
    }

    is_int(bad, 0, "they are valid, and counted if there is no room");
}


static void
test_writer(void)
{
    u_char         buf[128];
    sync_str_t     s;
    sync_writer_t  w;

    sync_str_set(&s, "r\xc3\xa9");
    sync_writer_init(&w, buf, sizeof(buf));

    sync_write_literal(&w, "[\"joinRoom-");
    sync_write_int(&w, 7);
    sync_write_literal(&w, "\",");
    sync_json_write_str(&w, &s);
    sync_write_byte(&w, ',');
    sync_write_int(&w, INT64_MIN);
    sync_write_byte(&w, ',');
    sync_write_int(&w, INT64_MAX);
    sync_write_byte(&w, ',');
    sync_write_int(&w, 0);
    sync_write_byte(&w, ',');
    sync_write_int(&w, -10);
    sync_write(&w, (u_char *) "]", 1);

    s.data = buf;
    s.len = w.len;

    is_str(&s, "[\"joinRoom-7\",\"r\xc3\xa9\",-9223372036854775808,"
           "9223372036854775807,0,-10]", "an array in pieces");
    ok(sync_writer_fits(&w), "it is whole");

    sync_writer_init(&w, NULL, 0);
    sync_write_str(&w, &s);
    sync_write(&w, NULL, 0);
    is_int(w.len, s.len, "nothing but counted");

    memset(buf, '.', sizeof(buf));
    sync_writer_init(&w, buf, 5);
    sync_write_literal(&w, "abc");
    sync_write_literal(&w, "defg");
    sync_write_literal(&w, "hi");
    is_mem(buf, 7, "abcde..", 7, "what fits is there, and no more");
    is_int(w.len, 9, "what does not is counted");
    ok(!sync_writer_fits(&w), "it is not whole");
}
