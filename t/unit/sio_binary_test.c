
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_sio_binary.h"


#define TREE_ROUNDS  3000


/* a random value: as JSON, as what is to be taken out of it, and its bytes */

typedef struct {
    char        json[16384];
    char        text[16384];
    u_char      data[SYNC_SIO_ATTACHMENTS_MAX][16];
    sync_str_t  bytes[SYNC_SIO_ATTACHMENTS_MAX];
    size_t      n;
    int         nodes;
} tree_t;


static sync_int_t take(sync_str_t *got, sync_sio_attachments_t *a,
    const char *text);
static sync_int_t put(sync_str_t *got, const char *text,
    const sync_str_t *data, size_t n);
static void test_take_out(void);
static void test_take_errors(void);
static void test_many(void);
static void test_bytes(void);
static void test_put_in(void);
static void test_trees(void);
static void tree_value(tree_t *t, int depth);
static void tree_bytes(tree_t *t);
static void tree_add(tree_t *t, const char *text);
static void naive_base64(char *dst, const u_char *p, size_t len);


static u_char  buf[65536];


int
main(void)
{
    test_take_out();
    test_take_errors();
    test_many();
    test_bytes();
    test_put_in();
    test_trees();

    return unit_done();
}


/* over a buffer that has the size that was told, and not a byte more */

static sync_int_t
take(sync_str_t *got, sync_sio_attachments_t *a, const char *text)
{
    sync_int_t     rc;
    sync_str_t     s;
    sync_json_t    v;
    sync_writer_t  w;

    s.len = strlen(text);
    s.data = unit_guard(text, s.len);

    if (sync_json_parse(&v, &s, NULL) != SYNC_OK) {
        ok(0, text);
        return SYNC_ERROR;
    }

    sync_writer_init(&w, NULL, 0);
    (void) sync_sio_take_out(&w, a, &v);

    got->len = w.len;
    got->data = buf;

    sync_writer_init(&w, buf, got->len);
    rc = sync_sio_take_out(&w, a, &v);

    if (w.len != got->len) {
        ok(0, "the same length twice");
    }

    return rc;
}


static sync_int_t
put(sync_str_t *got, const char *text, const sync_str_t *data, size_t n)
{
    sync_int_t     rc;
    sync_str_t     s;
    sync_json_t    v;
    sync_writer_t  w;

    s.len = strlen(text);
    s.data = unit_guard(text, s.len);

    if (sync_json_parse(&v, &s, NULL) != SYNC_OK) {
        ok(0, text);
        return SYNC_ERROR;
    }

    sync_writer_init(&w, buf, sizeof(buf));
    rc = sync_sio_put_in(&w, &v, data, n);

    got->data = buf;
    got->len = w.len;

    return rc;
}


static void
test_take_out(void)
{
    size_t                   i;
    sync_str_t               got;
    sync_sio_attachments_t   a;

    static const struct {
        const char            *text;
        const char            *want;
        sync_uint_t            n;
    } tests[] = {
        { "[\"e\",{\"base64\":\"AP8=\"}]",
          "[\"e\",{\"_placeholder\":true,\"num\":0}]", 1 },
        { "[\"e\", { \"base64\" : \"\" } ]",
          "[\"e\",{\"_placeholder\":true,\"num\":0}]", 1 },
        { "[{\"a\":[{\"base64\":\"AAAA\"}],\"b\":{\"base64\":\"AA==\"}}]",
          "[{\"a\":[{\"_placeholder\":true,\"num\":0}],"
          "\"b\":{\"_placeholder\":true,\"num\":1}}]", 2 },
        { "[{\"\\u0062ase64\":\"AA==\"}]",
          "[{\"_placeholder\":true,\"num\":0}]", 1 },
        { "[{\"base64\":\"\\/\\/8=\"}]",
          "[{\"_placeholder\":true,\"num\":0}]", 1 },

        /* objects that mean themselves */

        { "[{\"base64\":\"AA==\",\"x\":1}]",
          "[{\"base64\":\"AA==\",\"x\":1}]", 0 },
        { "[{\"x\":1,\"base64\":\"AA==\"}]",
          "[{\"x\":1,\"base64\":\"AA==\"}]", 0 },
        { "[{\"base64\":\"AA==\",\"base64\":\"AA==\"}]",
          "[{\"base64\":\"AA==\",\"base64\":\"AA==\"}]", 0 },
        { "[{\"base64\":1},{\"base64\":null},{\"base64\":{}}]",
          "[{\"base64\":1},{\"base64\":null},{\"base64\":{}}]", 0 },
        { "[{\"Base64\":\"AA==\"}]", "[{\"Base64\":\"AA==\"}]", 0 },
        { "[{\"_placeholder\":false,\"num\":0}]",
          "[{\"_placeholder\":false,\"num\":0}]", 0 },
        { "[\"base64\",\"AA==\"]", "[\"base64\",\"AA==\"]", 0 },
        { "[]", "[]", 0 },
        { "{}", "{}", 0 },
        { "\"base64\"", "\"base64\"", 0 },
        { "[ 1 , { \"a\" : [ ] } ]", "[1,{\"a\":[]}]", 0 }
    };

    for (i = 0; i < unit_count(tests); i++) {
        is_int(take(&got, &a, tests[i].text), SYNC_OK, tests[i].text);
        is_str(&got, tests[i].want, "what is left");
        is_int(a.n, tests[i].n, "what is taken");
    }
}


static void
test_take_errors(void)
{
    size_t                   i;
    sync_str_t               got;
    sync_sio_attachments_t   a;

    static const char       *tests[] = {
        "[{\"base64\":\"A\"}]", "[{\"base64\":\"AA\"}]",
        "[{\"base64\":\"AA=\"}]", "[{\"base64\":\"A===\"}]",
        "[{\"base64\":\"====\"}]", "[{\"base64\":\"AA=A\"}]",
        "[{\"base64\":\"A=A=\"}]", "[{\"base64\":\"A-_=\"}]",
        "[{\"base64\":\"AA==AA==\"}]", "[{\"base64\":\"\\u0041A==\"}]",
        "[{\"base64\":\"AA=\\\\\"}]", "[{\"base64\":\"\xc3\xa4==\"}]",

        /* the peer would look for its bytes */

        "[{\"_placeholder\":true,\"num\":0}]",
        "[{\"_placeholder\":true}]",
        "[{\"_placeholder\":false,\"_placeholder\":true}]",
        "[{\"_placeholder\":true,\"base64\":\"AA==\"}]"
    };

    for (i = 0; i < unit_count(tests); i++) {
        is_int(take(&got, &a, tests[i]), SYNC_ERROR, tests[i]);
        is_str(&got, tests[i], "left as it is");
        is_int(a.n, 0, "nothing is taken");
    }
}


static void
test_many(void)
{
    int                      i, n;
    char                     text[4096];
    sync_str_t               got;
    sync_sio_attachments_t   a;

    for (n = SYNC_SIO_ATTACHMENTS_MAX; n < SYNC_SIO_ATTACHMENTS_MAX + 2; n++) {
        strcpy(text, "[0");

        for (i = 0; i < n; i++) {
            strcat(text, ",{\"base64\":\"AAAA\"}");
        }

        strcat(text, "]");

        is_int(take(&got, &a, text),
               n == SYNC_SIO_ATTACHMENTS_MAX ? SYNC_OK : SYNC_ERROR,
               "so many, and one more");
        is_int(a.n, SYNC_SIO_ATTACHMENTS_MAX, "all that there may be");
    }
}


static void
test_bytes(void)
{
    size_t                   i;
    u_char                  *p;
    ssize_t                  n;
    sync_json_t              v;

    static const struct {
        const char            *text;
        const char            *base64;
        const char            *want;
        size_t                 len;
    } tests[] = {
        { "\"\"", "", "", 0 },
        { "\"AP8=\"", "AP8=", "\0\xff", 2 },
        { "\"\\/\\/8=\"", "//8=", "\xff\xff", 2 },
        { "\"YWJj\"", "YWJj", "abc", 3 },
        { "\"YWJjZA==\"", "YWJjZA==", "abcd", 4 }
    };

    for (i = 0; i < unit_count(tests); i++) {
        v.type = SYNC_JSON_STRING;
        v.raw.len = strlen(tests[i].text);
        v.raw.data = unit_guard(tests[i].text, v.raw.len);

        is_int(sync_sio_base64(NULL, &v), strlen(tests[i].base64),
               tests[i].text);

        p = unit_guard(NULL, v.raw.len);
        n = sync_sio_base64(p, &v);
        is_mem(p, n, (u_char *) tests[i].base64, strlen(tests[i].base64),
               "its base64");

        n = sync_sio_bytes(p, &v);
        is_mem(p, n, (u_char *) tests[i].want, tests[i].len, "its bytes");
    }

    v.raw.data = unit_guard("\"AA=\"", 5);
    v.raw.len = 5;

    is_int(sync_sio_bytes(buf, &v), SYNC_ERROR, "no base64, no bytes");
}


static void
test_put_in(void)
{
    size_t               i;
    sync_str_t           got;

    static const sync_str_t  data[] = {
        sync_string("\x00\xff"), sync_string(""), sync_string("abc")
    };

    static const struct {
        const char        *text;
        const char        *want;      /* NULL: an error */
    } tests[] = {
        { "[\"e\",{\"_placeholder\":true,\"num\":0}]",
          "[\"e\",{\"base64\":\"AP8=\"}]" },
        { "[{\"num\":2,\"_placeholder\":true},"
          "{\"_placeholder\":true,\"num\":1.0,\"x\":[]}]",
          "[{\"base64\":\"YWJj\"},{\"base64\":\"\"}]" },
        { "[{\"_placeholder\":false,\"num\":9}]",
          "[{\"_placeholder\":false,\"num\":9}]" },
        { "[\"_placeholder\"]", "[\"_placeholder\"]" },
        { "{\"a\" : {\"_placeholder\":true,\"num\":0}}",
          "{\"a\":{\"base64\":\"AP8=\"}}" },

        { "[{\"_placeholder\":true}]", NULL },
        { "[{\"_placeholder\":true,\"num\":3}]", NULL },
        { "[{\"_placeholder\":true,\"num\":-1}]", NULL },
        { "[{\"_placeholder\":true,\"num\":0.5}]", NULL },
        { "[{\"_placeholder\":true,\"num\":\"0\"}]", NULL },
        { "[{\"_placeholder\":true,\"num\":64}]", NULL },
        { "[{\"_placeholder\":true,\"num\":1e300}]", NULL },

        /* bytes would be as many as somebody likes */

        { "[{\"_placeholder\":true,\"num\":0},"
          "{\"_placeholder\":true,\"num\":0}]", NULL }
    };

    for (i = 0; i < unit_count(tests); i++) {

        if (tests[i].want == NULL) {
            is_int(put(&got, tests[i].text, data, unit_count(data)),
                   SYNC_ERROR, tests[i].text);
            continue;
        }

        is_int(put(&got, tests[i].text, data, unit_count(data)), SYNC_OK,
               tests[i].text);
        is_str(&got, tests[i].want, "with the bytes in it");
    }

    is_int(put(&got, "[{\"_placeholder\":true,\"num\":0}]", NULL, 0),
           SYNC_ERROR, "there are none");
}


/* What is taken out of a value and put in again makes the value. */

static void
test_trees(void)
{
    int                      round, bad;
    size_t                   i;
    u_char                   p[64];
    ssize_t                  n;
    sync_str_t               got;
    sync_sio_attachments_t   a;

    static tree_t            t;

    bad = 0;
    srandom(7);

    for (round = 0; round < TREE_ROUNDS && !bad; round++) {
        memset(&t, 0, sizeof(tree_t));
        tree_value(&t, 0);

        if (take(&got, &a, t.json) != SYNC_OK
            || a.n != t.n
            || got.len != strlen(t.text)
            || memcmp(got.data, t.text, got.len) != 0)
        {
            bad = 1;
        }

        for (i = 0; i < t.n && !bad; i++) {
            n = sync_sio_bytes(p, &a.data[i]);
            bad = (n != (ssize_t) t.bytes[i].len
                   || memcmp(p, t.bytes[i].data, n) != 0);
        }

        if (put(&got, t.text, t.bytes, t.n) != SYNC_OK
            || got.len != strlen(t.json)
            || memcmp(got.data, t.json, got.len) != 0)
        {
            bad = 1;
        }
    }

    if (!ok(!bad, "random values there and back")) {
        printf("# %s\n", t.json);
    }
}


static void
tree_value(tree_t *t, int depth)
{
    int   i, n, type;
    char  key[32];

    static const char  *leaves[] = {
        "1", "true", "null", "\"a\\\"b\"", "\"base64\"", "-2.5e3", "\"\""
    };

    type = (t->nodes++ > 200 || depth > 6) ? 0 : random() % 5;

    if (type == 1 && t->n < SYNC_SIO_ATTACHMENTS_MAX) {
        tree_bytes(t);
        return;
    }

    if (type < 2) {
        tree_add(t, leaves[random() % unit_count(leaves)]);
        return;
    }

    n = random() % 5;
    tree_add(t, type == 2 ? "{" : "[");

    for (i = 0; i < n; i++) {
        tree_add(t, i ? "," : "");

        if (type == 2) {
            sprintf(key, "\"k\\n%d\":", i);
            tree_add(t, key);
        }

        tree_value(t, depth + 1);
    }

    tree_add(t, type == 2 ? "}" : "]");
}


static void
tree_bytes(tree_t *t)
{
    char     text[64];
    size_t   i, len;
    u_char  *p;

    p = t->data[t->n];
    len = random() % sizeof(t->data[0]);

    for (i = 0; i < len; i++) {
        p[i] = random();
    }

    t->bytes[t->n].data = p;
    t->bytes[t->n].len = len;

    naive_base64(text, p, len);
    sprintf(t->json + strlen(t->json), "{\"base64\":\"%s\"}", text);
    sprintf(t->text + strlen(t->text),
            "{\"_placeholder\":true,\"num\":%d}", (int) t->n++);
}


static void
tree_add(tree_t *t, const char *text)
{
    strcat(t->json, text);
    strcat(t->text, text);
}


/* bit by bit */

static void
naive_base64(char *dst, const u_char *p, size_t len)
{
    size_t  i, k, bit, value;

    static const char  chars[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (i = 0; i < len * 8; i += 6) {
        value = 0;

        for (k = i; k < i + 6; k++) {
            bit = (k < len * 8) ? p[k / 8] >> (7 - k % 8) & 1 : 0;
            value = value << 1 | bit;
        }

        *dst++ = chars[value];
    }

    for (i = len % 3; i && i < 3; i++) {
        *dst++ = '=';
    }

    *dst = '\0';
}
