
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_filter.h"


#define SENDER                                                                \
    "{\"id\":\"u1\",\"n\":1,\"location\":{\"pathName\":\"/a\"},"              \
    "\"gone\":null,\"obj\":{\"x\":1}}"

#define DATA    "{\"ids\":[\"u2\",3,null,{\"x\":1}],\"to\":\"u3\"}"
#define SERVER  "{\"status\":\"success\",\"deep\":[[0,{\"k\":\"v\"}]]}"


/* An operand: a literal, or a path in a source, as "0:1:2" cut at dots. */

typedef struct {
    const char            *key;
    sync_filter_op_e       op;
    int                    list;
    sync_filter_source_e   source;
    const char            *operand;     /* NULL: none */
    const char            *session;     /* NULL: none */
    int                    want;
} test_t;


static void test_tests(void);
static void test_and(void);
static void test_never(void);
static void path(sync_filter_path_t *p, sync_str_t *segments,
    const char *text);
static void set(sync_str_t *s, const char *text);


#define EQ   SYNC_FILTER_EQUALS
#define NE   SYNC_FILTER_NOT_EQUALS
#define IN   SYNC_FILTER_IN
#define EX   SYNC_FILTER_EXISTS
#define MI   SYNC_FILTER_MISSING

#define LIT  SYNC_FILTER_LITERAL
#define SND  SYNC_FILTER_SENDER
#define DAT  SYNC_FILTER_DATA
#define SRV  SYNC_FILTER_SERVER


static const test_t  tests[] = {

    { "location.pathName", EQ, 0, SND, "location.pathName",
      "{\"location\":{\"pathName\":\"/a\"}}", 1 },
    { "location.pathName", EQ, 0, SND, "location.pathName",
      "{\"location\":{\"pathName\":\"/b\"}}", 0 },
    { "location.pathName", EQ, 0, SND, "location.pathName",
      "{\"location\":{\"pathName\":\"\\/\\u0061\"}}", 1 },
    { "location.pathName", EQ, 0, SND, "location.pathName", "{}", 0 },
    { "location.pathName", EQ, 0, SND, "location.pathName",
      "{\"location\":\"/a\"}", 0 },
    { "location.pathName", EQ, 0, SND, "location.pathName", NULL, 0 },
    { "location.pathName", EQ, 0, SND, "location.hash",
      "{\"location\":{\"pathName\":\"/a\"}}", 0 },

    { "a", EQ, 0, LIT, "1", "{\"a\":1.0}", 1 },
    { "a", EQ, 0, LIT, "1", "{\"a\":\"1\"}", 0 },
    { "a", EQ, 0, LIT, "null", "{\"a\":null}", 1 },
    { "a", EQ, 0, LIT, "null", "{}", 0 },
    { "a", EQ, 0, SND, "gone", "{\"a\":null}", 1 },
    { "a", EQ, 0, SND, "obj", "{\"a\":{\"x\":1}}", 0 },
    { "a", EQ, 0, DAT, "to", "{\"a\":\"u3\"}", 1 },
    { "a", EQ, 0, DAT, "ids.1", "{\"a\":3}", 1 },
    { "a", EQ, 0, DAT, "ids.4", "{\"a\":3}", 0 },
    { "a", EQ, 0, DAT, "ids.01", "{\"a\":3}", 0 },
    { "a", EQ, 0, DAT, "ids.-1", "{\"a\":3}", 0 },
    { "a", EQ, 0, DAT, "ids.length", "{\"a\":4}", 0 },
    { "a", EQ, 0, DAT, "ids.1234567", "{\"a\":4}", 0 },
    { "a", EQ, 0, SRV, "deep.0.1.k", "{\"a\":\"v\"}", 1 },
    { "list.1", EQ, 0, LIT, "\"b\"", "{\"list\":[\"a\",\"b\"]}", 1 },

    { "a", NE, 0, LIT, "1", "{\"a\":2}", 1 },
    { "a", NE, 0, LIT, "1", "{\"a\":1}", 0 },
    { "a", NE, 0, LIT, "1", "{}", 0 },
    { "a", NE, 0, LIT, "1", NULL, 0 },
    { "a", NE, 0, SND, "nothing", "{\"a\":1}", 0 },
    { "id", NE, 0, SND, "id", "{\"id\":\"u1\"}", 0 },
    { "id", NE, 0, SND, "id", "{\"id\":\"u2\"}", 1 },

    { "id", IN, 1, DAT, "ids", "{\"id\":\"u2\"}", 1 },
    { "id", IN, 1, DAT, "ids", "{\"id\":3}", 1 },
    { "id", IN, 1, DAT, "ids", "{\"id\":null}", 1 },
    { "id", IN, 1, DAT, "ids", "{\"id\":\"u4\"}", 0 },
    { "id", IN, 1, DAT, "ids", "{\"id\":{\"x\":1}}", 0 },
    { "id", IN, 1, DAT, "ids", "{}", 0 },
    { "id", IN, 1, DAT, "to", "{\"id\":\"u3\"}", 0 },
    { "id", IN, 1, DAT, "none", "{\"id\":\"u3\"}", 0 },
    { "id", IN, 0, DAT, "to", "{\"id\":\"u3\"}", 1 },

    { "a.b", EX, 0, LIT, NULL, "{\"a\":{\"b\":null}}", 1 },
    { "a.b", EX, 0, LIT, NULL, "{\"a\":{}}", 0 },
    { "a.b", EX, 0, LIT, NULL, NULL, 0 },
    { "a.b", MI, 0, LIT, NULL, "{\"a\":{\"b\":null}}", 0 },
    { "a.b", MI, 0, LIT, NULL, "{\"a\":{}}", 1 },
    { "a.b", MI, 0, LIT, NULL, NULL, 1 }
};


int
main(void)
{
    test_tests();
    test_and();
    test_never();

    return unit_done();
}


static void
test_tests(void)
{
    char                   name[256];
    size_t                 i;
    sync_str_t             key[8], operand[8], texts[4], session;
    const test_t          *t;
    sync_filter_t          f;
    sync_filter_test_t     test;
    sync_filter_operand_t  o;

    for (i = 0; i < unit_count(tests); i++) {
        t = &tests[i];

        set(&texts[1], SENDER);
        set(&texts[2], DATA);
        set(&texts[3], SERVER);

        memset(&test, 0, sizeof(test));
        memset(&o, 0, sizeof(o));

        path(&test.key, key, t->key);
        test.op = t->op;
        test.list = t->list;
        test.n = (t->operand != NULL);

        if (t->operand && t->source == SYNC_FILTER_LITERAL) {
            set(&session, t->operand);
            (void) sync_json_parse(&o.literal, &session, NULL);

        } else if (t->operand) {
            o.source = t->source;
            path(&o.path, operand, t->operand);
        }

        f.tests = &test;
        f.ntests = 1;
        f.operands = &o;
        f.noperands = test.n;

        set(&session, t->session);

        snprintf(name, sizeof(name), "%s, op %d, %s, %s", t->key, t->op,
                 t->operand ? t->operand : "-",
                 t->session ? t->session : "no session");

        is_int(sync_filter_match(&f, &session, &texts[1], &texts[2],
                                 &texts[3]),
               t->want, name);
    }
}


/* All tests must hold; several literals of one "in". */

static void
test_and(void)
{
    size_t                 i;
    sync_str_t             a[1], b[1], session, none;
    sync_filter_t          f;
    sync_filter_test_t     test[2];
    sync_filter_operand_t  o[3];

    static const struct {
        const char  *session;
        int          want;
    } cases[] = {
        { "{\"a\":1,\"b\":1}", 1 },
        { "{\"a\":1,\"b\":2}", 1 },
        { "{\"a\":1,\"b\":3}", 0 },
        { "{\"a\":2,\"b\":1}", 0 },
        { "{\"a\":1}", 0 },
        { "{\"b\":1}", 0 }
    };

    memset(test, 0, sizeof(test));
    memset(o, 0, sizeof(o));

    path(&test[0].key, a, "a");
    test[0].n = 1;

    path(&test[1].key, b, "b");
    test[1].op = SYNC_FILTER_IN;
    test[1].first = 1;
    test[1].n = 2;

    for (i = 0; i < 3; i++) {
        o[i].literal.type = SYNC_JSON_NUMBER;
        set(&o[i].literal.raw, (i == 2) ? "2" : "1");
    }

    f.tests = test;
    f.ntests = 2;
    f.operands = o;
    f.noperands = 3;

    set(&none, NULL);

    for (i = 0; i < unit_count(cases); i++) {
        set(&session, cases[i].session);

        is_int(sync_filter_match(&f, &session, &none, &none, &none),
               cases[i].want, cases[i].session);
    }

    f.ntests = 0;
    f.noperands = 0;

    ok(sync_filter_match(&f, &none, &none, &none, &none), "no tests");
}


/* What can match nobody is known before the first recipient. */

static void
test_never(void)
{
    sync_str_t             a[1], b[1], session, texts[4];
    sync_filter_t          f;
    sync_filter_side_t     side;
    sync_filter_test_t     test;
    sync_filter_operand_t  o[2];

    memset(&test, 0, sizeof(test));
    memset(o, 0, sizeof(o));
    memset(texts, 0, sizeof(texts));

    path(&test.key, a, "a");
    test.op = SYNC_FILTER_IN;
    test.n = 2;

    o[0].source = SYNC_FILTER_SENDER;
    path(&o[0].path, b, "n");
    o[1].source = SYNC_FILTER_DATA;
    o[1].path = o[0].path;

    f.tests = &test;
    f.ntests = 1;
    f.operands = o;
    f.noperands = 2;

    set(&session, "{\"a\":1}");

    is_int(sync_filter_prepare(&side, &f, texts), SYNC_DECLINED,
           "nothing there");
    ok(!sync_filter_matches(&f, &side, &session), "matches nobody");

    set(&texts[1], SENDER);

    is_int(sync_filter_prepare(&side, &f, texts), SYNC_OK, "one is there");
    ok(sync_filter_matches(&f, &side, &session), "matches");
}


static void
path(sync_filter_path_t *p, sync_str_t *segments, const char *text)
{
    size_t  n;

    p->segments = segments;
    p->n = 0;

    for ( ;; ) {
        n = strcspn(text, ".");

        segments[p->n].data = (u_char *) text;
        segments[p->n].len = n;
        p->n++;

        if (text[n] == '\0') {
            return;
        }

        text += n + 1;
    }
}


static void
set(sync_str_t *s, const char *text)
{
    s->len = text ? strlen(text) : 0;
    s->data = unit_guard(text, s->len);
}
