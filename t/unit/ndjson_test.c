
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_ndjson.h"


static sync_int_t feed(sync_ndjson_t *n, const char *p, size_t len);
static void test_cuts(void);
static void test_whole(void);
static void test_limit(void);
static void test_last(void);


static char    lines[4096];      /* each in brackets */
static u_char  buffers[2][64];


int
main(void)
{
    test_cuts();
    test_whole();
    test_limit();
    test_last();

    return unit_done();
}


/* adds the lines of a piece to those that came before */

static sync_int_t
feed(sync_ndjson_t *n, const char *p, size_t len)
{
    sync_int_t  rc;
    sync_str_t  in, line;

    in.data = unit_guard(p, len);
    in.len = len;

    for ( ;; ) {
        rc = sync_ndjson_next(n, &line, &in);

        if (rc == SYNC_BUSY) {

            if (n->need > n->max + 1 || n->need <= n->size) {
                return SYNC_BUSY;
            }

            /* as small as it may be, so that it grows often */

            sync_ndjson_set_buffer(n, n->buf == buffers[0] ? buffers[1]
                                                           : buffers[0],
                                   n->need);
            continue;
        }

        if (rc != SYNC_OK) {
            return rc;
        }

        strcat(lines, "[");
        strncat(lines, (char *) line.data, line.len);
        strcat(lines, "]");
    }
}


static void
test_cuts(void)
{
    size_t              i, j, len, bad;
    sync_str_t          line;
    sync_ndjson_t       n;

    static const char   text[] = "{\"a\":1}\n\r\n{\"bb\":22}\r\n\n\nx\n"
                                 "a\rb\r\r\n\r\rc\nlast";
    static const char  *want = "[{\"a\":1}][{\"bb\":22}][x][a\rb\r][\r\rc]";

    len = sizeof(text) - 1;
    bad = 0;

    for (i = 0; i <= len; i++) {
        for (j = i; j <= len; j++) {
            sync_ndjson_init(&n, 20);
            lines[0] = '\0';

            bad += feed(&n, text, i) != SYNC_AGAIN;
            bad += feed(&n, text + i, j - i) != SYNC_AGAIN;
            bad += feed(&n, text + j, len - j) != SYNC_AGAIN;
            bad += strcmp(lines, want) != 0;

            bad += sync_ndjson_last(&n, &line) != SYNC_OK
                   || line.len != 4
                   || memcmp(line.data, "last", 4) != 0;
        }
    }

    is_int(bad, 0, "three pieces, cut anywhere");

    sync_ndjson_init(&n, 20);
    lines[0] = '\0';
    bad = 0;

    for (i = 0; i < len; i++) {
        bad += feed(&n, text + i, 1) != SYNC_AGAIN;
    }

    is_int(bad, 0, "byte by byte");
    is_mem(lines, strlen(lines), want, strlen(want), "the same lines");
}


static void
test_whole(void)
{
    sync_str_t     in, line;
    sync_ndjson_t  n;

    sync_ndjson_init(&n, 20);

    in.data = unit_guard("one\ntwo\r\n", 9);
    in.len = 9;

    is_int(sync_ndjson_next(&n, &line, &in), SYNC_OK, "a line");
    is_str(&line, "one", "its text");
    ok(line.data + 4 == in.data, "not copied");
    is_int(sync_ndjson_next(&n, &line, &in), SYNC_OK, "another line");
    is_str(&line, "two", "its text");
    is_int(sync_ndjson_next(&n, &line, &in), SYNC_AGAIN, "no more");
    is_int(n.size, 0, "no buffer was asked for");
    is_int(sync_ndjson_last(&n, &line), SYNC_DECLINED, "no last line");
}


static void
test_limit(void)
{
    size_t               i, k, len, bad;
    sync_ndjson_t        n;

    static const struct {
        const char        *text;
        sync_int_t         rc;
        const char        *lines;
    } tests[] = {
        { "12345\n", SYNC_AGAIN, "[12345]" },
        { "12345\r\n", SYNC_AGAIN, "[12345]" },
        { "123456\n", SYNC_ERROR, "" },
        { "12345\r\r\n", SYNC_ERROR, "" },
        { "1\n123456\r\n", SYNC_ERROR, "[1]" },
        { "1234567", SYNC_ERROR, "" },
        { "1\n1234567890", SYNC_ERROR, "[1]" }
    };

    for (i = 0; i < unit_count(tests); i++) {
        len = strlen(tests[i].text);
        bad = 0;

        for (k = 0; k <= len; k++) {
            sync_ndjson_init(&n, 5);
            lines[0] = '\0';

            if (feed(&n, tests[i].text, k) == SYNC_ERROR) {
                bad += tests[i].rc != SYNC_ERROR;

            } else {
                bad += feed(&n, tests[i].text + k, len - k) != tests[i].rc;
            }

            bad += strcmp(lines, tests[i].lines) != 0;
        }

        is_int(bad, 0, "a line at its limit");
    }
}


static void
test_last(void)
{
    sync_str_t     line;
    sync_ndjson_t  n;

    sync_ndjson_init(&n, 5);
    is_int(sync_ndjson_last(&n, &line), SYNC_DECLINED, "nothing came");

    lines[0] = '\0';
    is_int(feed(&n, "1\n2", 3), SYNC_AGAIN, "a line that has no end");
    is_int(sync_ndjson_last(&n, &line), SYNC_OK, "is the last one");
    is_str(&line, "2", "its text");
    is_int(sync_ndjson_last(&n, &line), SYNC_DECLINED, "only once");

    sync_ndjson_init(&n, 5);
    is_int(feed(&n, "2\r", 2), SYNC_AGAIN, "a CR at the end");
    is_int(sync_ndjson_last(&n, &line), SYNC_OK, "is the last line");
    is_str(&line, "2", "without it");

    sync_ndjson_init(&n, 5);
    is_int(feed(&n, "\r", 1), SYNC_AGAIN, "a CR alone");
    is_int(sync_ndjson_last(&n, &line), SYNC_DECLINED, "is no line");

    sync_ndjson_init(&n, 5);
    is_int(feed(&n, "123456", 6), SYNC_AGAIN, "a CR could follow");
    is_int(sync_ndjson_last(&n, &line), SYNC_ERROR, "it did not");
}
