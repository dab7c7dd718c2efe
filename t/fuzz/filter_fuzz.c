
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_condition.h"
#include "sync_filter.h"


/*
 * A session, what a client sent, what the app answered: three JSON texts, one
 * after another with a zero byte between, against conditions and a filter
 * that are made of paths and operators by the first byte.
 */


static const sync_str_t  names[] = {
    sync_string("a"), sync_string("b"), sync_string("0"), sync_string("1"),
    sync_string("id"), sync_string("\xc3\xa9")
};


static void check_filter(u_char how, const sync_str_t *texts);
static void check_conditions(u_char how, const sync_str_t *texts);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t         i, n, len;
    u_char        *copies[4], how;
    sync_str_t     texts[4];
    sync_json_t    v;
    const u_char  *p, *end;

    if (size == 0) {
        return 0;
    }

    how = data[0];
    p = data + 1;
    len = size - 1;

    memset(texts, 0, sizeof(texts));
    memset(copies, 0, sizeof(copies));

    for (i = 0, n = 0; i < 4; i++) {
        end = len ? memchr(p, '\0', len) : NULL;

        texts[i].len = end ? (size_t) (end - p) : len;
        copies[i] = fuzz_copy(p, texts[i].len);
        texts[i].data = copies[i];

        len -= texts[i].len + (end != NULL);
        p += texts[i].len + (end != NULL);

        if (sync_json_parse(&v, &texts[i], NULL) == SYNC_OK) {
            texts[i] = v.raw;
            n++;

        } else {
            texts[i].len = 0;
        }
    }

    if (n) {
        check_filter(how, texts);
        check_conditions(how, texts);
    }

    for (i = 0; i < 4; i++) {
        free(copies[i]);
    }

    return 0;
}


static void
check_filter(u_char how, const sync_str_t *texts)
{
    size_t                 i;
    sync_int_t             rc, matches;
    sync_str_t             paths[4][2];
    sync_filter_t          f;
    sync_filter_side_t     side;
    sync_filter_test_t     tests[2];
    sync_filter_operand_t  o[4];

    memset(tests, 0, sizeof(tests));
    memset(o, 0, sizeof(o));

    for (i = 0; i < 4; i++) {
        paths[i][0] = names[(how + i) % 6];
        paths[i][1] = names[(how / 6 + i) % 6];
        o[i].source = SYNC_FILTER_SENDER + (how + i) % 3;
        o[i].path.segments = paths[i];
        o[i].path.n = (how + i) % 3;
    }

    tests[0].key = o[0].path;
    tests[0].key.n = 1;
    tests[0].op = how % 5;
    tests[0].list = (how & 1);
    tests[0].n = (tests[0].op < SYNC_FILTER_EXISTS) ? 1 : 0;
    tests[1].key = o[1].path;
    tests[1].key.n = 2;
    tests[1].op = SYNC_FILTER_IN;
    tests[1].first = 1;
    tests[1].n = 3;

    f.tests = tests;
    f.ntests = 1 + (how >> 7);
    f.operands = o;
    f.noperands = 4;

    rc = sync_filter_prepare(&side, &f, texts);
    matches = sync_filter_matches(&f, &side, &texts[0]);

    fuzz_check(rc == SYNC_OK || rc == SYNC_DECLINED);
    fuzz_check(matches == 0 || matches == 1);
    fuzz_check(rc == SYNC_OK || matches == 0);
    fuzz_check(matches == sync_filter_match(&f, &texts[0], &texts[1],
                                            &texts[2], &texts[3]));
}


static void
check_conditions(u_char how, const sync_str_t *texts)
{
    sync_int_t        rc;
    sync_json_t       session, v;
    sync_uint_t       failed;
    sync_condition_t  c[2];

    if (sync_filter_value(&session, &texts[0]) != SYNC_OK) {
        return;
    }

    memset(c, 0, sizeof(c));

    c[0].key = names[how % 6];
    c[0].type = how / 6 % 4;
    c[0].nullish = how & 1;
    c[0].has_nullish = (how >> 1) & 1;
    c[0].falsy = (how >> 2) & 1;
    c[0].has_falsy = (how >> 3) & 1;
    c[1].key = names[how / 6 % 6];
    (void) sync_filter_value(&c[1].value, &texts[1]);

    failed = 9;
    rc = sync_condition_check(c, 2, &session, &failed);

    switch (rc) {

    case SYNC_OK:
        fuzz_check(sync_json_find(&v, &session, &c[1].key) == SYNC_OK);
        break;

    case SYNC_ERROR:
        fuzz_check(failed < 2
                   && sync_json_find(&v, &session, &c[failed].key)
                      != SYNC_OK);
        break;

    default:
        fuzz_check(rc == SYNC_DECLINED && failed < 2);
    }
}
