
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_name.h"


static void test_trim(void);
static void test_check(void);
static void test_match(void);
static void test_parts(void);
static void test_route(void);
static void test_route_size(void);


int
main(void)
{
    test_trim();
    test_check();
    test_match();
    test_parts();
    test_route();
    test_route_size();

    return unit_done();
}


static void
test_trim(void)
{
    size_t               i;
    sync_str_t           s;

    static const struct {
        const char        *text;
        const char        *want;
    } tests[] = {
        { "", "" },
        { " ", "" },
        { "a", "a" },
        { " \t\n\v\f\ra b\r\n", "a b" },
        { "\xc2\xa0\xe1\x9a\x80\xe2\x80\x80\xe2\x80\x8a" "a"
          "\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaf\xe2\x81\x9f\xe3\x80\x80"
          "\xef\xbb\xbf", "a" },
        { "\xef\xbb\xbf\xc2\xa0", "" },
        { "\xe2\x80\x8b" "a\xe2\x80\x8b", "\xe2\x80\x8b" "a\xe2\x80\x8b" },
        { "\xc2\x85" "a", "\xc2\x85" "a" },
        { "\xc3\xa9 ", "\xc3\xa9" },
        { "a\xa0", "a\xa0" },
        { "\x80\x80\x80\x80 ", "\x80\x80\x80\x80" },
        { "\xa0", "\xa0" },
        { " \xe3\x80", "\xe3\x80" },
        { "\xf0\x9f\x98\x80 ", "\xf0\x9f\x98\x80" }
    };

    for (i = 0; i < unit_count(tests); i++) {
        s.len = strlen(tests[i].text);
        s.data = unit_guard(tests[i].text, s.len);
        sync_name_trim(&s);
        is_str(&s, tests[i].want, "trimmed");
    }

    s.len = 0;
    s.data = NULL;
    sync_name_trim(&s);
    is_int(s.len, 0, "nothing to trim");
}


static void
test_check(void)
{
    size_t               i;
    u_char               text[SYNC_NAME_MAX + 1];
    sync_str_t           s;

    static const struct {
        const char        *text;
        sync_int_t         name;
        sync_int_t         pattern;
    } tests[] = {
        { "", SYNC_ERROR, SYNC_ERROR },
        { "a", SYNC_OK, SYNC_OK },
        { " ", SYNC_ERROR, SYNC_ERROR },
        { "\xc2\xa0\xe3\x80\x80", SYNC_ERROR, SYNC_ERROR },
        { " a ", SYNC_OK, SYNC_OK },
        { "chat:room:r9", SYNC_OK, SYNC_OK },
        { "caf\xc3\xa9 \xf0\x9f\x98\x80", SYNC_OK, SYNC_OK },
        { "a\x80", SYNC_ERROR, SYNC_ERROR },
        { "\xed\xa0\x80", SYNC_ERROR, SYNC_ERROR },
        { "a\tb", SYNC_ERROR, SYNC_ERROR },
        { "\tb", SYNC_ERROR, SYNC_ERROR },
        { "a\n", SYNC_ERROR, SYNC_ERROR },
        { "a\x7f", SYNC_ERROR, SYNC_ERROR },
        { "a\xc2\x80", SYNC_ERROR, SYNC_ERROR },
        { "a\xc2\x9f", SYNC_ERROR, SYNC_ERROR },
        { "a\xc2\xa1", SYNC_OK, SYNC_OK },
        { "a\xc3\x80", SYNC_OK, SYNC_OK },
        { "*", SYNC_OK, SYNC_OK },
        { "doc:*", SYNC_OK, SYNC_OK },
        { "*a", SYNC_OK, SYNC_ERROR },
        { "a*b", SYNC_OK, SYNC_ERROR },
        { "**", SYNC_OK, SYNC_ERROR }
    };

    for (i = 0; i < unit_count(tests); i++) {
        s.len = strlen(tests[i].text);
        s.data = unit_guard(tests[i].text, s.len);
        is_int(sync_name_check(&s), tests[i].name, "a name");
        is_int(sync_name_check_pattern(&s), tests[i].pattern, "a pattern");
    }

    memset(text, 'x', sizeof(text));
    s.data = text;
    s.len = SYNC_NAME_MAX;
    is_int(sync_name_check(&s), SYNC_OK, "the longest name");
    s.len = SYNC_NAME_MAX + 1;
    is_int(sync_name_check(&s), SYNC_ERROR, "a longer one");

    sync_str_set(&s, "a\0b");
    is_int(sync_name_check(&s), SYNC_ERROR, "a zero byte");

    sync_str_set(&s, "a*");
    ok(sync_name_is_pattern(&s), "a pattern of several rooms");
    sync_str_set(&s, "a");
    ok(!sync_name_is_pattern(&s), "a pattern of one room");
}


static void
test_match(void)
{
    size_t               i;
    sync_str_t           pattern, name;

    static const struct {
        const char        *pattern;
        const char        *name;
        int                match;
    } tests[] = {
        { "doc", "doc", 1 },
        { "doc", "doc1", 0 },
        { "doc", "do", 0 },
        { "doc:*", "doc:1", 1 },
        { "doc:*", "doc:", 1 },
        { "doc:*", "doc", 0 },
        { "doc:*", "Doc:1", 0 },
        { "doc:*", "doc:*", 1 },
        { "*", "anything", 1 },
        { "*", "", 1 },
        { "", "", 0 },
        { "a", "", 0 }
    };

    for (i = 0; i < unit_count(tests); i++) {
        pattern.len = strlen(tests[i].pattern);
        pattern.data = unit_guard(tests[i].pattern, pattern.len);
        name.len = strlen(tests[i].name);
        name.data = unit_guard(tests[i].name, name.len);

        is_int(sync_name_match(&pattern, &name), tests[i].match,
               tests[i].pattern);
    }
}


static void
test_parts(void)
{
    size_t               i;
    sync_str_t           name, part;

    static const struct {
        const char        *name;
        const char        *part;
        int                has;
    } tests[] = {
        { "timer:u1", "u1", 1 },
        { "u1:timer", "u1", 0 },
        { "u1", "u1", 0 },
        { "chat:u1:x", "u1", 1 },
        { "chat:x:u1", "u1", 1 },
        { "chat:u12", "u1", 0 },
        { "chat:u", "u1", 0 },
        { "chat:x u1", "u1", 0 },
        { "chat::u1", "u1", 1 },
        { "chat:", "", 0 },
        { "chat::", "", 0 },
        { "", "u1", 0 },
        { "chat:a:b", "a:b", 0 },
        { "chat:u1:", "u1", 1 },
        { ":u1", "u1", 1 }
    };

    for (i = 0; i < unit_count(tests); i++) {
        name.len = strlen(tests[i].name);
        name.data = unit_guard(tests[i].name, name.len);
        part.len = strlen(tests[i].part);
        part.data = unit_guard(tests[i].part, part.len);

        is_int(sync_name_has_part(&name, &part), tests[i].has,
               tests[i].name);
    }
}


static void
test_route(void)
{
    char                 got[256];
    size_t               i, n;
    u_char              *buf;
    sync_str_t           name, prefix;
    sync_name_route_t    r;

    static const struct {
        const char        *name;
        const char        *want;      /* full|path|service|name|version */
    } tests[] = {
        { "sync/board/moveCard/v1",
          "sync/board/moveCard/v1|board/moveCard/v1|board|moveCard|v1" },
        { "board/moveCard/v1",
          "sync/board/moveCard/v1|board/moveCard/v1|board|moveCard|v1" },
        { " //sync\\board/a\\b/v12/\\ ",
          "sync/board/a/b/v12|board/a/b/v12|board|a/b|v12" },
        { "sync/sync/a/v1", "sync/sync/a/v1|sync/a/v1|sync|a|v1" },
        { "sync/a/v1", "" },
        { "sync/sync/v1", "" },
        { "syncing/a/v1", "sync/syncing/a/v1|syncing/a/v1|syncing|a|v1" },
        { "Sync/a/v1", "sync/Sync/a/v1|Sync/a/v1|Sync|a|v1" },
        { "api/a/b/v1", "sync/api/a/b/v1|api/a/b/v1|api|a/b|v1" },
        { "a/v1/v2", "sync/a/v1/v2|a/v1/v2|a|v1|v2" },
        { "caf\xc3\xa9/a/v1",
          "sync/caf\xc3\xa9/a/v1|caf\xc3\xa9/a/v1|caf\xc3\xa9|a|v1" },
        { "", "" },
        { " ", "" },
        { "/", "" },
        { "///", "" },
        { "sync", "" },
        { "sync/", "" },
        { "a", "" },
        { "a/b", "" },
        { "a/v1", "" },
        { "a/b/c", "" },
        { "a/b/v", "" },
        { "a/b/v1x", "" },
        { "a/b/vx", "" },
        { "a/b/V1", "" },
        { "a/b/1", "" },
        { "a//b/v1", "" },
        { "a\\/b/v1", "" },
        { "sync//a/b/v1", "" },
        { "a/b//v1", "" },
        { "a/b/v1 /", "" },
        { "a/b\xff/v1", "" },
        { "a/b\t/v1", "" }
    };

    sync_str_set(&prefix, "sync");

    for (i = 0; i < unit_count(tests); i++) {
        name.len = strlen(tests[i].name);
        name.data = unit_guard(tests[i].name, name.len);
        n = prefix.len + 1 + name.len;
        buf = unit_guard(NULL, n);
        got[0] = '\0';

        if (sync_name_route(&r, buf, n, &prefix, &name) == SYNC_OK) {
            strncat(got, (char *) r.full.data, r.full.len);
            strcat(got, "|");
            strncat(got, (char *) r.path.data, r.path.len);
            strcat(got, "|");
            strncat(got, (char *) r.service.data, r.service.len);
            strcat(got, "|");
            strncat(got, (char *) r.name.data, r.name.len);
            strcat(got, "|");
            strncat(got, (char *) r.version.data, r.version.len);
        }

        is_mem(got, strlen(got), tests[i].want, strlen(tests[i].want),
               tests[i].name);
    }
}


static void
test_route_size(void)
{
    size_t             k, bad;
    u_char            *buf;
    sync_str_t         name, prefix;
    sync_name_route_t  r;

    sync_str_set(&prefix, "api");
    sync_str_set(&name, "/api/t/ok/v1/");
    bad = 0;

    for (k = 0; k < sizeof("api/t/ok/v1") - 1; k++) {
        buf = unit_guard(NULL, k);
        bad += sync_name_route(&r, buf, k, &prefix, &name) != SYNC_BUSY;
    }

    is_int(bad, 0, "too little room");

    buf = unit_guard(NULL, k);
    is_int(sync_name_route(&r, buf, k, &prefix, &name), SYNC_OK,
           "just enough");
    is_str(&r.full, "api/t/ok/v1", "the name");
}
