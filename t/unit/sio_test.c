
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_sio.h"


static void describe(sync_str_t *got, const char *text);
static void test_parse(void);
static void test_limits(void);
static void test_reserved(void);
static void test_write(void);


int
main(void)
{
    test_parse();
    test_limits();
    test_reserved();
    test_write();

    return unit_done();
}


/* "type nsp attachments id event data", "error" if malformed */

static void
describe(sync_str_t *got, const char *text)
{
    sync_str_t         s;
    sync_writer_t      w;
    sync_sio_packet_t  pkt;

    static u_char      buf[256];

    s.len = strlen(text);
    s.data = unit_guard(text, s.len);

    sync_writer_init(&w, buf, sizeof(buf));

    if (sync_sio_parse(&pkt, &s) == SYNC_OK) {
        sync_write_int(&w, pkt.type);
        sync_write_byte(&w, ' ');
        sync_write_str(&w, &pkt.nsp);
        sync_write_byte(&w, ' ');
        sync_write_int(&w, pkt.attachments);
        sync_write_byte(&w, ' ');

        if (pkt.has_id) {
            sync_write_int(&w, pkt.id);

        } else {
            sync_write_byte(&w, '-');
        }

        sync_write_byte(&w, ' ');

        if (pkt.type == SYNC_SIO_EVENT
            || pkt.type == SYNC_SIO_BINARY_EVENT)
        {
            sync_write_str(&w, &pkt.event.raw);
            sync_write_byte(&w, ' ');
        }

        if (pkt.has_data) {
            sync_write_str(&w, &pkt.data.raw);
        }

    } else {
        sync_write_literal(&w, "error");
    }

    got->data = buf;
    got->len = w.len;
}


static void
test_parse(void)
{
    size_t               i;
    sync_str_t           got;

    static const struct {
        const char        *text;
        const char        *want;
    } tests[] = {

        /* the examples of the protocol's document */

        { "0", "0 / 0 - " },
        { "0{}", "0 / 0 - {}" },
        { "0/admin,{\"token\":\"1\"}", "0 /admin 0 - {\"token\":\"1\"}" },
        { "0/admin,", "0 /admin 0 - " },
        { "0/admin", "0 /admin 0 - " },
        { "0/admin?a=b&c=d,{}", "0 /admin 0 - {}" },
        { "0/admin?", "0 /admin 0 - " },
        { "0/?a=/b,", "0 / 0 - " },
        { "2/a?b,[\"foo\"]", "2 /a?b 0 - \"foo\" [\"foo\"]" },
        { "1/admin,", "1 /admin 0 - " },
        { "1", "1 / 0 - " },
        { "2[\"foo\"]", "2 / 0 - \"foo\" [\"foo\"]" },
        { "2/admin,[\"bar\"]", "2 /admin 0 - \"bar\" [\"bar\"]" },
        { "212[\"foo\"]", "2 / 0 12 \"foo\" [\"foo\"]" },
        { "2/admin,12[\"foo\",1]", "2 /admin 0 12 \"foo\" [\"foo\",1]" },
        { "3/admin,13[\"bar\"]", "3 /admin 0 13 [\"bar\"]" },
        { "313[]", "3 / 0 13 []" },
        { "4{\"message\":\"no\"}", "4 / 0 - {\"message\":\"no\"}" },
        { "4/admin,\"no\"", "4 /admin 0 - \"no\"" },
        { "51-[\"baz\",{\"_placeholder\":true,\"num\":0}]",
          "5 / 1 - \"baz\" [\"baz\",{\"_placeholder\":true,\"num\":0}]" },
        { "52-/admin,7[\"baz\"]", "5 /admin 2 7 \"baz\" [\"baz\"]" },
        { "61-/admin,15[{}]", "6 /admin 1 15 [{}]" },

        /* as the reference, for good or bad */

        { "2[1]", "2 / 0 - 1 [1]" },
        { "2/,[\"a\"]", "2 / 0 - \"a\" [\"a\"]" },
        { "2 [\"a\"] ", "2 / 0 - \"a\" [\"a\"]" },
        { "0{\"a\":1} ", "0 / 0 - {\"a\":1}" },
        { "20[\"a\"]", "2 / 0 0 \"a\" [\"a\"]" },
        { "2007[\"a\"]", "2 / 0 7 \"a\" [\"a\"]" },
        { "0/a,b,{}", "error" },

        { "", "error" },
        { "7", "error" },
        { "a", "error" },
        { "0[]", "error" },
        { "0\"x\"", "error" },
        { "0null", "error" },
        { "1{}", "error" },
        { "1[]", "error" },
        { "2", "error" },
        { "2[]", "error" },
        { "2{}", "error" },
        { "2{\"a\":\"b\"}", "error" },
        { "2[null]", "error" },
        { "2[[\"a\"]]", "error" },
        { "2[true,\"a\"]", "error" },
        { "2\"foo\"", "error" },
        { "2[\"foo\"", "error" },
        { "2[\"foo\"]x", "error" },
        { "2[\"\xff\"]", "error" },
        { "2-1[\"a\"]", "error" },
        { "21.5[\"a\"]", "error" },
        { "2,[\"a\"]", "error" },
        { "3[]", "error" },
        { "31", "error" },
        { "31{}", "error" },
        { "4", "error" },
        { "4[]", "error" },
        { "41", "error" },
        { "5[\"a\"]", "error" },
        { "5-[\"a\"]", "error" },
        { "50-[\"a\"]", "error" },
        { "51[\"a\"]", "error" },
        { "5x-[\"a\"]", "error" },
        { "51", "error" },
        { "51-", "error" },
        { "61-[]", "error" },
        { "565-[\"a\"]", "error" },
        { "599999999999999999999999-[\"a\"]", "error" }
    };

    for (i = 0; i < unit_count(tests); i++) {
        describe(&got, tests[i].text);
        is_str(&got, tests[i].want, tests[i].text);
    }
}


static void
test_limits(void)
{
    size_t               i;
    sync_str_t           got;

    static const struct {
        const char        *text;
        const char        *want;
    } tests[] = {
        { "29007199254740991[\"a\"]",
          "2 / 0 9007199254740991 \"a\" [\"a\"]" },
        { "29007199254740992[\"a\"]", "error" },
        { "299999999999999999999999999[\"a\"]", "error" },
        { "564-[\"a\"]", "5 / 64 - \"a\" [\"a\"]" }
    };

    for (i = 0; i < unit_count(tests); i++) {
        describe(&got, tests[i].text);
        is_str(&got, tests[i].want, tests[i].text);
    }
}


static void
test_reserved(void)
{
    size_t               i;
    sync_str_t           name;

    static const struct {
        const char        *name;
        int                reserved;
    } tests[] = {
        { "connect", 1 }, { "connect_error", 1 }, { "disconnect", 1 },
        { "disconnecting", 1 }, { "newListener", 1 },
        { "removeListener", 1 }, { "", 0 }, { "Connect", 0 },
        { "connected", 0 }, { "sync", 0 }, { "error", 0 }
    };

    for (i = 0; i < unit_count(tests); i++) {
        name.len = strlen(tests[i].name);
        name.data = unit_guard(tests[i].name, name.len);
        is_int(sync_sio_event_reserved(&name), tests[i].reserved,
               tests[i].name);
    }
}


static void
test_write(void)
{
    char                 text[64];
    size_t               i;
    u_char               buf[64];
    sync_str_t           s;
    sync_writer_t        w;
    sync_sio_packet_t    pkt;

    static const char   *tests[] = {
        "0{}", "0/admin,{}", "2[\"a\"]", "212[\"a\"]", "2/admin,[\"a\"]",
        "2/admin,9007199254740991[\"a\"]", "51-[\"a\"]",
        "52-/admin,12[\"a\"]", "61-7[]", "30[]"
    };

    for (i = 0; i < unit_count(tests); i++) {
        strcpy(text, tests[i]);
        s.data = (u_char *) text;
        s.len = strlen(text);

        if (sync_sio_parse(&pkt, &s) != SYNC_OK) {
            ok(0, tests[i]);
            continue;
        }

        sync_writer_init(&w, buf, sizeof(buf));
        sync_sio_write_header(&w, &pkt);
        sync_write_str(&w, &pkt.data.raw);

        s.data = buf;
        s.len = w.len;
        is_str(&s, tests[i], "written as it was read");
    }
}
