
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_condition.h"


#define STRING   SYNC_CONDITION_STRING
#define NUMBER   SYNC_CONDITION_NUMBER
#define BOOLEAN  SYNC_CONDITION_BOOLEAN

#define SESSION                                                               \
    "{\"id\":\"u1\",\"admin\":true,\"banned\":false,\"age\":30,"              \
    "\"zero\":0,\"minus\":-0.0,\"tiny\":1e-400,\"huge\":1e999,\"n1\":1.0,"    \
    "\"name\":\"A\\u00e9\",\"empty\":\"\",\"gone\":null,\"one\":\"1\","       \
    "\"list\":[],\"obj\":{},\"k\\u0065y\":1,\"twice\":1,\"twice\":2}"


/* -1: not given, else the boolean */

typedef struct {
    const char   *key;
    int           nullish;
    int           type;
    const char   *value;
    int           falsy;
    int           want;
} test_t;


static void test_conditions(void);
static void test_order(void);
static void test_falsy(void);
static sync_int_t check(const test_t *t, size_t n, sync_uint_t *failed);


static const test_t  tests[] = {

    /* 1: the key is there, whatever is in it */

    { "admin", -1, 0, NULL, -1, SYNC_OK },
    { "gone", -1, 0, NULL, -1, SYNC_OK },
    { "banned", -1, 0, NULL, -1, SYNC_OK },
    { "role", -1, 0, NULL, -1, SYNC_ERROR },
    { "toString", -1, 0, NULL, -1, SYNC_ERROR },
    { "", -1, 0, NULL, -1, SYNC_ERROR },
    { "role", 1, 0, NULL, 1, SYNC_ERROR },
    { "key", -1, 0, "1", -1, SYNC_OK },
    { "twice", -1, 0, "2", -1, SYNC_OK },
    { "twice", -1, 0, "1", -1, SYNC_DECLINED },

    /* 2: value */

    { "admin", -1, 0, "true", -1, SYNC_OK },
    { "admin", -1, 0, "false", -1, SYNC_DECLINED },
    { "admin", -1, 0, "1", -1, SYNC_DECLINED },
    { "admin", -1, 0, "\"true\"", -1, SYNC_DECLINED },
    { "age", -1, 0, "30.0", -1, SYNC_OK },
    { "age", -1, 0, "3e1", -1, SYNC_OK },
    { "age", -1, 0, "\"30\"", -1, SYNC_DECLINED },
    { "one", -1, 0, "1", -1, SYNC_DECLINED },
    { "zero", -1, 0, "-0", -1, SYNC_OK },
    { "zero", -1, 0, "false", -1, SYNC_DECLINED },
    { "zero", -1, 0, "\"\"", -1, SYNC_DECLINED },
    { "name", -1, 0, "\"A\xc3\xa9\"", -1, SYNC_OK },
    { "name", -1, 0, "\"a\xc3\xa9\"", -1, SYNC_DECLINED },
    { "gone", -1, 0, "null", -1, SYNC_OK },
    { "gone", -1, 0, "false", -1, SYNC_DECLINED },
    { "list", -1, 0, "[]", -1, SYNC_DECLINED },
    { "obj", -1, 0, "{}", -1, SYNC_DECLINED },

    /* 3: type, which a null is not looked at for */

    { "name", -1, STRING, NULL, -1, SYNC_OK },
    { "empty", -1, STRING, NULL, -1, SYNC_OK },
    { "age", -1, STRING, NULL, -1, SYNC_DECLINED },
    { "age", -1, NUMBER, NULL, -1, SYNC_OK },
    { "one", -1, NUMBER, NULL, -1, SYNC_DECLINED },
    { "admin", -1, BOOLEAN, NULL, -1, SYNC_OK },
    { "banned", -1, BOOLEAN, NULL, -1, SYNC_OK },
    { "zero", -1, BOOLEAN, NULL, -1, SYNC_DECLINED },
    { "list", -1, STRING, NULL, -1, SYNC_DECLINED },
    { "gone", -1, STRING, NULL, -1, SYNC_OK },
    { "gone", -1, NUMBER, NULL, -1, SYNC_OK },

    /* 4 and 5: nullish */

    { "gone", 1, 0, NULL, -1, SYNC_OK },
    { "gone", 0, 0, NULL, -1, SYNC_DECLINED },
    { "id", 0, 0, NULL, -1, SYNC_OK },
    { "id", 1, 0, NULL, -1, SYNC_DECLINED },
    { "zero", 0, 0, NULL, -1, SYNC_OK },
    { "banned", 1, 0, NULL, -1, SYNC_DECLINED },

    /* 6 and 7: mustBeFalsy */

    { "banned", -1, 0, NULL, 1, SYNC_OK },
    { "zero", -1, 0, NULL, 1, SYNC_OK },
    { "minus", -1, 0, NULL, 1, SYNC_OK },
    { "tiny", -1, 0, NULL, 1, SYNC_OK },
    { "empty", -1, 0, NULL, 1, SYNC_OK },
    { "gone", -1, 0, NULL, 1, SYNC_OK },
    { "admin", -1, 0, NULL, 1, SYNC_DECLINED },
    { "huge", -1, 0, NULL, 1, SYNC_DECLINED },
    { "list", -1, 0, NULL, 1, SYNC_DECLINED },
    { "obj", -1, 0, NULL, 1, SYNC_DECLINED },
    { "one", -1, 0, NULL, 1, SYNC_DECLINED },
    { "admin", -1, 0, NULL, 0, SYNC_OK },
    { "obj", -1, 0, NULL, 0, SYNC_OK },
    { "huge", -1, 0, NULL, 0, SYNC_OK },
    { "banned", -1, 0, NULL, 0, SYNC_DECLINED },
    { "gone", -1, 0, NULL, 0, SYNC_DECLINED },

    /* 8: several at once, all of which hold or not */

    { "age", 0, NUMBER, "30", 0, SYNC_OK },
    { "age", 1, NUMBER, "30", 0, SYNC_DECLINED },
    { "age", 0, STRING, "30", 0, SYNC_DECLINED },
    { "age", 0, NUMBER, "31", 0, SYNC_DECLINED },
    { "age", 0, NUMBER, "30", 1, SYNC_DECLINED },
    { "gone", 1, STRING, "null", 1, SYNC_OK },
    { "gone", -1, STRING, "\"a\"", -1, SYNC_DECLINED },
    { "n1", 0, NUMBER, "1", 0, SYNC_OK }
};


int
main(void)
{
    test_conditions();
    test_order();
    test_falsy();

    return unit_done();
}


static void
test_conditions(void)
{
    char         name[128];
    size_t       i;
    sync_uint_t  failed;

    for (i = 0; i < unit_count(tests); i++) {
        failed = 7;

        snprintf(name, sizeof(name), "%s, nullish %d, type %d, value %s, "
                 "falsy %d", tests[i].key, tests[i].nullish, tests[i].type,
                 tests[i].value ? tests[i].value : "-", tests[i].falsy);

        is_int(check(&tests[i], 1, &failed), tests[i].want, name);

        if (tests[i].want != SYNC_OK) {
            is_int(failed, 0, "the one that failed");
        }
    }
}


/* The first that fails decides. */

static void
test_order(void)
{
    sync_uint_t  failed;

    static const test_t  good_bad_missing[] = {
        { "id", -1, STRING, NULL, -1, 0 },
        { "admin", -1, 0, "false", -1, 0 },
        { "role", -1, 0, NULL, -1, 0 }
    };

    static const test_t  good_missing_bad[] = {
        { "id", -1, STRING, NULL, -1, 0 },
        { "role", -1, 0, NULL, -1, 0 },
        { "admin", -1, 0, "false", -1, 0 }
    };

    static const test_t  good[] = {
        { "id", -1, STRING, NULL, -1, 0 },
        { "admin", -1, 0, "true", -1, 0 },
        { "gone", 1, 0, NULL, -1, 0 }
    };

    is_int(check(good_bad_missing, 3, &failed), SYNC_DECLINED, "forbidden");
    is_int(failed, 1, "by the second");

    is_int(check(good_missing_bad, 3, &failed), SYNC_ERROR, "invalid");
    is_int(failed, 1, "by the second");

    is_int(check(good, 3, &failed), SYNC_OK, "all hold");
    is_int(check(NULL, 0, &failed), SYNC_OK, "none");
}


static void
test_falsy(void)
{
    size_t       i;
    sync_str_t   text;
    sync_json_t  v;

    static const struct {
        const char  *text;
        int          falsy;
    } values[] = {
        { "false", 1 }, { "null", 1 }, { "0", 1 }, { "-0", 1 }, { "\"\"", 1 },
        { "0.0e5", 1 }, { "true", 0 }, { "\"0\"", 0 }, { "\"false\"", 0 },
        { "\" \"", 0 }, { "1e-300", 0 }, { "-1", 0 }, { "[]", 0 }, { "{}", 0 }
    };

    for (i = 0; i < unit_count(values); i++) {
        text.len = strlen(values[i].text);
        text.data = unit_guard(values[i].text, text.len);

        if (sync_json_parse(&v, &text, NULL) != SYNC_OK) {
            ok(0, values[i].text);
            continue;
        }

        is_int(sync_condition_falsy(&v), values[i].falsy, values[i].text);
    }
}


static sync_int_t
check(const test_t *t, size_t n, sync_uint_t *failed)
{
    size_t            i;
    sync_str_t        text;
    sync_json_t       session;
    sync_condition_t  c[4];

    memset(c, 0, sizeof(c));

    for (i = 0; i < n; i++) {
        c[i].key.data = (u_char *) t[i].key;
        c[i].key.len = strlen(t[i].key);
        c[i].type = t[i].type;

        if (t[i].nullish >= 0) {
            c[i].has_nullish = 1;
            c[i].nullish = t[i].nullish;
        }

        if (t[i].falsy >= 0) {
            c[i].has_falsy = 1;
            c[i].falsy = t[i].falsy;
        }

        if (t[i].value) {
            text.data = (u_char *) t[i].value;
            text.len = strlen(t[i].value);

            if (sync_json_parse(&c[i].value, &text, NULL) != SYNC_OK) {
                return 99;
            }
        }
    }

    text.len = sizeof(SESSION) - 1;
    text.data = unit_guard(SESSION, text.len);

    if (sync_json_parse(&session, &text, NULL) != SYNC_OK) {
        return 99;
    }

    return sync_condition_check(c, n, &session, failed);
}
