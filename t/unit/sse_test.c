
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_sse.h"


static void test_fields(void);
static void test_data(void);
static void test_ids(void);


int
main(void)
{
    test_fields();
    test_data();
    test_ids();

    return unit_done();
}


static void
test_fields(void)
{
    u_char         buf[256];
    sync_str_t     s, got;
    sync_writer_t  w;

    sync_writer_init(&w, buf, sizeof(buf));

    sync_str_set(&s, "0/16B3748.0a1b2c3d");
    sync_sse_write_id(&w, &s);
    sync_str_set(&s, "chat");
    sync_sse_write_event(&w, &s);
    sync_sse_write_data(&w, (u_char *) "{\"a\":1}", 7);
    sync_sse_write_end(&w);
    sync_sse_write_retry(&w, 30000);
    sync_sse_write_end(&w);
    sync_str_set(&s, "ping");
    sync_sse_write_comment(&w, &s);

    got.data = buf;
    got.len = w.len;

    is_str(&got, "id: 0/16B3748.0a1b2c3d\nevent: chat\ndata: {\"a\":1}\n\n"
                 "retry: 30000\n\n: ping\n\n", "all the fields");

    sync_writer_init(&w, buf, sizeof(buf));

    sync_str_set(&s, "a\nid: 7\r\ndata: x\0y\r");
    sync_sse_write_event(&w, &s);
    sync_sse_write_comment(&w, &s);
    s.len = 0;
    s.data = NULL;
    sync_sse_write_id(&w, &s);

    got.len = w.len;

    is_str(&got, "event: aid: 7data: xy\n: aid: 7data: xy\n\nid: \n",
           "line breaks in a value");

    sync_writer_init(&w, NULL, 0);
    sync_str_set(&s, "chat");
    sync_sse_write_event(&w, &s);
    sync_sse_write_data(&w, (u_char *) "a\nb", 3);
    is_int(w.len, 28, "counted if there is no room");
}


static void
test_data(void)
{
    size_t               i;
    u_char               buf[256];
    sync_str_t           got;
    sync_writer_t        w;

    static const struct {
        const char        *text;
        const char        *want;
    } tests[] = {
        { "", "data: \n" },
        { "a", "data: a\n" },
        { "a\nb", "data: a\ndata: b\n" },
        { "a\r\nb", "data: a\ndata: b\n" },
        { "a\rb", "data: a\ndata: b\n" },
        { "a\n\rb", "data: a\ndata: \ndata: b\n" },
        { "\n", "data: \ndata: \n" },
        { "a\r", "data: a\ndata: \n" },
        { "a\r\n", "data: a\ndata: \n" },
        { " a: b", "data:  a: b\n" },
        { "{\n \"a\":1\r\n}", "data: {\ndata:  \"a\":1\ndata: }\n" }
    };

    for (i = 0; i < unit_count(tests); i++) {
        sync_writer_init(&w, buf, sizeof(buf));
        sync_sse_write_data(&w, unit_guard(tests[i].text,
                                           strlen(tests[i].text)),
                            strlen(tests[i].text));
        got.data = buf;
        got.len = w.len;
        is_str(&got, tests[i].want, "data");
    }
}


static void
test_ids(void)
{
    char                 got[64];
    size_t               i;
    sync_str_t           list, id;

    static const struct {
        const char        *list;
        const char        *want;      /* items, each in brackets */
    } tests[] = {
        { "", "[]" },
        { "-", "[]" },
        { "0/1.00000000", "[0/1.00000000]" },
        { "a,b,-", "[a][b][]" },
        { "-,b", "[][b]" },
        { " a ,\tb ", "[a][b]" },
        { ",", "[][]" },
        { "a,", "[a][]" },
        { ",,a", "[][][a]" },
        { " - , -- ", "[][--]" }
    };

    for (i = 0; i < unit_count(tests); i++) {
        list.len = strlen(tests[i].list);
        list.data = unit_guard(tests[i].list, list.len);
        got[0] = '\0';

        while (sync_sse_next_id(&id, &list) == SYNC_OK) {
            strcat(got, "[");
            strncat(got, (char *) id.data, id.len);
            strcat(got, "]");
        }

        is_mem(got, strlen(got), tests[i].want, strlen(tests[i].want),
               tests[i].list);
    }
}
