
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_ws.h"


static ssize_t parse(sync_ws_header_t *h, const char *p, size_t len,
    sync_uint_t deflate);
static void test_header(void);
static void test_header_errors(void);
static void test_order(void);
static void test_unmask(void);
static void test_close(void);
static void test_write(void);
static void test_write_close(void);
static void test_tokens(void);
static void test_key(void);
static void test_extensions(void);


int
main(void)
{
    test_header();
    test_header_errors();
    test_order();
    test_unmask();
    test_close();
    test_write();
    test_write_close();
    test_tokens();
    test_key();
    test_extensions();

    return unit_done();
}


static ssize_t
parse(sync_ws_header_t *h, const char *p, size_t len, sync_uint_t deflate)
{
    u_char  *s;

    s = unit_guard(p, len);

    return sync_ws_parse_header(h, s, s + len, deflate);
}


static void
test_header(void)
{
    size_t                i, k, bad;
    sync_ws_header_t      h, untouched;

    static const struct {
        const char         *text;
        size_t              size;
        uint64_t            len;
        u_char              opcode;
        u_char              fin;
        u_char              deflated;
    } tests[] = {

#define text(t)  t "\x01\x02\x03\x04", sizeof(t) + 3

        { text("\x81\x80"), 0, SYNC_WS_TEXT, 1, 0 },
        { text("\x81\xfd"), 125, SYNC_WS_TEXT, 1, 0 },
        { text("\x01\x85"), 5, SYNC_WS_TEXT, 0, 0 },
        { text("\x82\x85"), 5, SYNC_WS_BINARY, 1, 0 },
        { text("\x00\x85"), 5, SYNC_WS_CONTINUATION, 0, 0 },
        { text("\x80\x85"), 5, SYNC_WS_CONTINUATION, 1, 0 },
        { text("\x88\x82"), 2, SYNC_WS_CLOSE, 1, 0 },
        { text("\x89\xfd"), 125, SYNC_WS_PING, 1, 0 },
        { text("\x8a\x80"), 0, SYNC_WS_PONG, 1, 0 },
        { text("\xc1\x85"), 5, SYNC_WS_TEXT, 1, 1 },
        { text("\x42\x85"), 5, SYNC_WS_BINARY, 0, 1 },
        { text("\x81\xfe\x00\x7e"), 126, SYNC_WS_TEXT, 1, 0 },
        { text("\x81\xfe\x01\x00"), 256, SYNC_WS_TEXT, 1, 0 },
        { text("\x81\xfe\xff\xff"), 65535, SYNC_WS_TEXT, 1, 0 },
        { text("\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00"), 65536,
          SYNC_WS_TEXT, 1, 0 },
        { text("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), INT64_MAX,
          SYNC_WS_TEXT, 1, 0 }

#undef text

    };

    memset(&untouched, 0x5a, sizeof(sync_ws_header_t));

    for (i = 0; i < unit_count(tests); i++) {
        bad = 0;

        for (k = 0; k < tests[i].size; k++) {
            h = untouched;
            bad += parse(&h, tests[i].text, k, 1) != SYNC_AGAIN
                   || memcmp(&h, &untouched, sizeof(sync_ws_header_t)) != 0;
        }

        is_int(bad, 0, "a header cut at every byte");

        is_int(parse(&h, tests[i].text, tests[i].size, 1), tests[i].size,
               "a header");

        ok(h.len == tests[i].len
           && h.opcode == tests[i].opcode
           && h.fin == tests[i].fin
           && h.deflated == tests[i].deflated
           && memcmp(h.mask, "\x01\x02\x03\x04", 4) == 0, "its fields");
    }
}


static void
test_header_errors(void)
{
    int                i, bad;
    char               s[16];
    sync_ws_header_t   h;

    memset(s, 0, sizeof(s));
    s[1] = (char) 0x80;

    bad = 0;

    for (i = 0; i < 256; i++) {
        s[0] = i;

        /* what a client may send is listed by hand */

        bad += (parse(&h, s, 6, 0) > 0)
               != (memchr("\x00\x80\x01\x81\x02\x82\x88\x89\x8a", i, 9)
                   != NULL);

        bad += (parse(&h, s, 6, 1) > 0)
               != (memchr("\x00\x80\x01\x81\x02\x82\x88\x89\x8a"
                          "\x41\xc1\x42\xc2", i, 13) != NULL);

        bad += (parse(&h, s, 1, 1) == SYNC_ERROR)
               != (parse(&h, s, 6, 1) == SYNC_ERROR);
    }

    is_int(bad, 0, "all first bytes, told at once");

    is_int(parse(&h, "\x81\x00", 2, 0), SYNC_ERROR, "no mask");
    is_int(parse(&h, "\x81\x7e", 2, 0), SYNC_ERROR, "no mask, 16 bits");
    is_int(parse(&h, "\x89\xfe", 2, 0), SYNC_ERROR,
           "a control frame of more than 125 bytes");
    is_int(parse(&h, "\x88\xff", 2, 0), SYNC_ERROR, "and of 64 bits");
    is_int(parse(&h, "\x81\xfe\x00\x7d", 4, 0), SYNC_ERROR,
           "16 bits where 7 are enough");
    is_int(parse(&h, "\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff", 10, 0),
           SYNC_ERROR, "64 bits where 16 are enough");
    is_int(parse(&h, "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00", 10, 0),
           SYNC_ERROR, "the highest bit");
}


static void
test_order(void)
{
    size_t               i;
    u_char               message;
    sync_ws_header_t     h;

    static const struct {
        u_char             message;
        u_char             opcode;
        u_char             fin;
        sync_int_t         rc;
        u_char             after;
    } tests[] = {
        { 0, SYNC_WS_TEXT, 1, SYNC_OK, 0 },
        { 0, SYNC_WS_TEXT, 0, SYNC_OK, SYNC_WS_TEXT },
        { 0, SYNC_WS_BINARY, 0, SYNC_OK, SYNC_WS_BINARY },
        { SYNC_WS_TEXT, SYNC_WS_CONTINUATION, 0, SYNC_OK, SYNC_WS_TEXT },
        { SYNC_WS_BINARY, SYNC_WS_CONTINUATION, 1, SYNC_OK, 0 },
        { SYNC_WS_TEXT, SYNC_WS_PING, 1, SYNC_OK, SYNC_WS_TEXT },
        { 0, SYNC_WS_CLOSE, 1, SYNC_OK, 0 },
        { 0, SYNC_WS_CONTINUATION, 1, SYNC_ERROR, 0 },
        { 0, SYNC_WS_CONTINUATION, 0, SYNC_ERROR, 0 },
        { SYNC_WS_TEXT, SYNC_WS_TEXT, 0, SYNC_ERROR, SYNC_WS_TEXT },
        { SYNC_WS_TEXT, SYNC_WS_BINARY, 1, SYNC_ERROR, SYNC_WS_TEXT }
    };

    memset(&h, 0, sizeof(sync_ws_header_t));

    for (i = 0; i < unit_count(tests); i++) {
        message = tests[i].message;
        h.opcode = tests[i].opcode;
        h.fin = tests[i].fin;

        ok(sync_ws_check_order(&message, &h) == tests[i].rc
           && message == tests[i].after, "a frame after a frame");
    }
}


static void
test_unmask(void)
{
    int                  bad;
    size_t               i, k, n;
    u_char              *p, *dst;
    u_char               text[67], want[67];

    static const u_char  mask[] = { 0x37, 0xfa, 0x21, 0x3d };

    for (i = 0; i < sizeof(text); i++) {
        text[i] = i * 7;
        want[i] = text[i] ^ mask[i % 4];
    }

    bad = 0;

    for (n = 0; n <= sizeof(text); n++) {
        for (k = 0; k <= n; k++) {
            p = unit_guard(text, n);

            sync_ws_unmask(p, p, k, mask, 0);
            sync_ws_unmask(p + k, p + k, n - k, mask, k);

            bad += memcmp(p, want, n) != 0;
        }

        p = unit_guard(text, n);
        dst = unit_guard(NULL, n);
        sync_ws_unmask(dst, p, n, mask, 4 * 1024 * 1024 * 1024ULL);

        bad += memcmp(dst, want, n) != 0 || memcmp(p, text, n) != 0;
    }

    is_int(bad, 0, "any length, resumed at any byte, in place and not");

    p = unit_guard("\x7f\x9f\x4d\x51\x58", 5);
    sync_ws_unmask(p, p, 5, mask, 0);
    is_mem(p, 5, "Hello", 5, "the example of RFC 6455");
}


static void
test_close(void)
{
    int          bad;
    u_char       s[2];
    sync_str_t   payload, reason;
    sync_uint_t  i, code;

    payload.data = unit_guard("", 0);
    payload.len = 0;
    is_int(sync_ws_parse_close(&code, &reason, &payload), SYNC_OK, "empty");
    is_int(code, SYNC_WS_CODE_NONE, "it has no code");
    is_int(reason.len, 0, "nor a reason");

    payload.data = unit_guard("\x03", 1);
    payload.len = 1;
    is_int(sync_ws_parse_close(&code, &reason, &payload),
           SYNC_WS_CODE_PROTOCOL, "one byte");

    payload.data = unit_guard("\x03\xe8", 2);
    payload.len = 2;
    is_int(sync_ws_parse_close(&code, &reason, &payload), SYNC_OK, "a code");
    is_int(code, 1000, "which is 1000");
    is_int(reason.len, 0, "without a reason");

    payload.data = unit_guard("\x0f\xa0" "bye\xc3\xa9", 7);
    payload.len = 7;
    is_int(sync_ws_parse_close(&code, &reason, &payload), SYNC_OK,
           "a code and a reason");
    is_int(code, 4000, "the code");
    is_str(&reason, "bye\xc3\xa9", "the reason");

    payload.len = 6;
    payload.data = unit_guard("\x03\xe8" "bye\xc3", 6);
    is_int(sync_ws_parse_close(&code, &reason, &payload),
           SYNC_WS_CODE_INVALID, "a reason that is cut");

    bad = 0;

    for (i = 0; i < 65536; i++) {
        s[0] = i >> 8;
        s[1] = i;
        payload.data = s;
        payload.len = 2;

        bad += (sync_ws_parse_close(&code, &reason, &payload) == SYNC_OK)
               != ((i >= 1000 && i < 1015 && i != 1004 && i != 1005
                    && i != 1006)
                   || (i >= 3000 && i < 5000));
    }

    is_int(bad, 0, "all codes");
}


static void
test_write(void)
{
    size_t               i, n;
    u_char              *p, *last;
    uint64_t             len;

    static const struct {
        uint64_t           len;
        size_t             size;
        const char        *text;
    } tests[] = {
        { 0, 2, "\x81\x00" },
        { 125, 2, "\x81\x7d" },
        { 126, 4, "\x81\x7e\x00\x7e" },
        { 65535, 4, "\x81\x7e\xff\xff" },
        { 65536, 10, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00" },
        { INT64_MAX, 10, "\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff" }
    };

    for (i = 0; i < unit_count(tests); i++) {
        n = sync_ws_header_len(tests[i].len);
        p = unit_guard(NULL, n);

        last = sync_ws_write_header(p, SYNC_WS_FIN|SYNC_WS_TEXT,
                                    tests[i].len);

        is_mem(p, last - p, tests[i].text, tests[i].size, "a header");
        is_int(n, tests[i].size, "its length");

        is_int(sync_ws_parse_server_header(&len, p, last), n, "read back");
        is_int(len, tests[i].len, "the payload's length");

        p = unit_guard(tests[i].text, n - 1);
        is_int(sync_ws_parse_server_header(&len, p, p + n - 1), SYNC_AGAIN,
               "cut off");
    }
}


static void
test_write_close(void)
{
    u_char       buf[SYNC_WS_CLOSE_MAX + 1], want[SYNC_WS_CLOSE_MAX];
    u_char      *last;
    u_char       text[200];
    sync_str_t   reason;

    sync_str_set(&reason, "bye");
    last = sync_ws_write_close(buf, SYNC_WS_CODE_POLICY, &reason);
    is_mem(buf, last - buf, "\x88\x05\x03\xf0" "bye", 7, "a close frame");

    last = sync_ws_write_close(buf, SYNC_WS_CODE_NONE, &reason);
    is_mem(buf, last - buf, "\x88\x00", 2, "without a code");

    reason.len = 0;
    reason.data = NULL;
    last = sync_ws_write_close(buf, SYNC_WS_CODE_RESTART, &reason);
    is_mem(buf, last - buf, "\x88\x02\x03\xf4", 4, "without a reason");

    memset(text, 'x', sizeof(text));
    reason.data = text;
    reason.len = SYNC_WS_REASON_MAX;
    last = sync_ws_write_close(buf, 1000, &reason);
    memcpy(want, "\x88\x7d\x03\xe8", 4);
    memset(want + 4, 'x', SYNC_WS_REASON_MAX);
    is_mem(buf, last - buf, want, SYNC_WS_CLOSE_MAX, "the longest reason");

    reason.len = sizeof(text);
    buf[SYNC_WS_CLOSE_MAX] = '.';
    last = sync_ws_write_close(buf, 1000, &reason);
    is_mem(buf, last - buf, want, SYNC_WS_CLOSE_MAX, "a longer one");
    is_int(buf[SYNC_WS_CLOSE_MAX], '.', "is cut");

    memcpy(text + SYNC_WS_REASON_MAX - 1, "\xe2\x82\xac", 3);
    want[1] = 0x7c;
    last = sync_ws_write_close(buf, 1000, &reason);
    is_mem(buf, last - buf, want, SYNC_WS_CLOSE_MAX - 1,
           "between characters");
}


static void
test_tokens(void)
{
    size_t               i;
    sync_str_t           list, token, protocol;

    static const struct {
        const char        *list;
        int                token;      /* has "Upgrade" */
        int                protocol;   /* has "sync.v1" */
    } tests[] = {
        { "", 0, 0 },
        { ",", 0, 0 },
        { "Upgrade", 1, 0 },
        { "upgrade", 1, 0 },
        { "keep-alive, Upgrade", 1, 0 },
        { "keep-alive ,\tUPGRADE ", 1, 0 },
        { ", ,upgrade,,", 1, 0 },
        { "z0Z9a!#$%&'*+-.^_`|~, upgrade", 1, 0 },
        { "upgraded", 0, 0 },
        { "not-upgrade", 0, 0 },
        { "keep alive, upgrade", 1, 0 },
        { "upgrade now", 0, 0 },
        { "upgrade/1, x", 0, 0 },
        { "up\xc3\xa9, upgrade", 1, 0 },
        { "sync.v1", 0, 1 },
        { "a, sync.v1", 0, 1 },
        { "sync.v1 ,b", 0, 1 },
        { "SYNC.V1", 0, 0 },
        { "sync.v10", 0, 0 },
        { "sync.v1 b", 0, 0 },
        { "sync.v1;b", 0, 0 },
        { "b c, sync.v1", 0, 0 }
    };

    sync_str_set(&token, "Upgrade");
    sync_str_set(&protocol, SYNC_WS_PROTOCOL);

    for (i = 0; i < unit_count(tests); i++) {
        list.len = strlen(tests[i].list);
        list.data = unit_guard(tests[i].list, list.len);

        is_int(sync_ws_has_token(&list, &token), tests[i].token,
               tests[i].list);
        is_int(sync_ws_has_protocol(&list, &protocol), tests[i].protocol,
               tests[i].list);
    }

    list.len = 0;
    list.data = NULL;
    is_int(sync_ws_has_token(&list, &token), 0, "no header");
}


static void
test_key(void)
{
    size_t               i;
    sync_str_t           key;

    static const struct {
        const char        *key;
        int                valid;
    } tests[] = {
        { "dGhlIHNhbXBsZSBub25jZQ==", 1 },
        { "AAAAAAAAAAAAAAAAAAAAAA==", 1 },
        { "++//++//++//++//++//+w==", 1 },
        { "09azAZ+/09azAZ+/09azAZ==", 1 },
        { "", 0 },
        { "dGhlIHNhbXBsZSBub25jZQ=", 0 },
        { "dGhlIHNhbXBsZSBub25jZQ", 0 },
        { "dGhlIHNhbXBsZSBub25jZQ===", 0 },
        { "dGhlIHNhbXBsZSBub25jZWE=", 0 },
        { "dGhlIHNhbXBsZSBub25jZWFh", 0 },
        { "dGhlIHNhbXBsZSBub25j Q==", 0 },
        { "dGhlIHNhbXBsZSBub25j_Q==", 0 },
        { "dGhlIHNhbXBsZSBub25j=Q==", 0 }
    };

    for (i = 0; i < unit_count(tests); i++) {
        key.len = strlen(tests[i].key);
        key.data = unit_guard(tests[i].key, key.len);

        is_int(sync_ws_key_valid(&key), tests[i].valid, tests[i].key);
    }
}


static void
test_extensions(void)
{
    size_t               i;
    u_char               buf[SYNC_WS_EXTENSIONS_MAX];
    sync_int_t           rc;
    sync_str_t           header, answer;
    sync_ws_deflate_t    d;

#define ANSWER       "permessage-deflate; server_no_context_takeover"        \
                     "; client_no_context_takeover"
#define ANSWER_BITS  ANSWER "; server_max_window_bits=15"

    static const struct {
        const char        *header;
        const char        *answer;     /* NULL if malformed */
    } tests[] = {
        { "", "" },
        { ",, ,", "" },
        { "permessage-deflate", ANSWER },
        { " permessage-deflate ", ANSWER },
        { "permessage-deflate; client_max_window_bits", ANSWER },
        { "permessage-deflate;client_max_window_bits=9", ANSWER },
        { "permessage-deflate; client_max_window_bits=8", ANSWER },
        { "permessage-deflate; client_max_window_bits=15", ANSWER },
        { "permessage-deflate; client_max_window_bits=\"1\\0\"", ANSWER },
        { "permessage-deflate; server_no_context_takeover ;"
          "client_no_context_takeover", ANSWER },
        { "permessage-deflate; server_max_window_bits=15", ANSWER_BITS },
        { "permessage-deflate; server_max_window_bits = \"15\"",
          ANSWER_BITS },
        { "x-webkit-deflate-frame, permessage-deflate", ANSWER },
        { "mux; max-channels=4; flow-control, permessage-deflate", ANSWER },
        { "a; b=\"c\", permessage-deflate", ANSWER },
        { "permessage-deflate; server_max_window_bits=9, permessage-deflate",
          ANSWER },
        { "permessage-deflate, permessage-deflate; server_max_window_bits=15",
          ANSWER },
        { "permessage-deflate; server_max_window_bits=15, permessage-deflate",
          ANSWER_BITS },

        { "permessage-deflate; unknown", "" },
        { "permessage-deflate; server_max_window_bits", "" },
        { "permessage-deflate; server_max_window_bits=14", "" },
        { "permessage-deflate; server_max_window_bits=16", "" },
        { "permessage-deflate; server_max_window_bits=015", "" },
        { "permessage-deflate; server_max_window_bits=1500", "" },
        { "permessage-deflate; server_max_window_bits=\"150000\"", "" },
        { "permessage-deflate; client_max_window_bits=7", "" },
        { "permessage-deflate; client_max_window_bits=16", "" },
        { "permessage-deflate; client_max_window_bits=08", "" },
        { "permessage-deflate; client_max_window_bits=1x", "" },
        { "permessage-deflate; server_no_context_takeover=1", "" },
        { "permessage-deflate; client_no_context_takeover=x", "" },
        { "permessage-deflate; client_max_window_bits;"
          " client_max_window_bits", "" },
        { "permessage-deflate; server_no_context_takeover;"
          " server_no_context_takeover", "" },
        { "permessage-deflate; server_max_window_bits=15;"
          " server_max_window_bits=15", "" },
        { "permessage-deflat", "" },
        { "permessage-deflate2", "" },

        { ";", NULL },
        { "permessage-deflate;", NULL },
        { "permessage-deflate; ;x", NULL },
        { "permessage-deflate; =15", NULL },
        { "permessage-deflate; client_max_window_bits=", NULL },
        { "permessage-deflate; client_max_window_bits=\"", NULL },
        { "permessage-deflate; client_max_window_bits=\"\"", NULL },
        { "permessage-deflate; client_max_window_bits=\"15", NULL },
        { "permessage-deflate; client_max_window_bits=\"15\\", NULL },
        { "permessage-deflate; client_max_window_bits=\"1 5\"", NULL },
        { "permessage-deflate client_max_window_bits", NULL },
        { "permessage-deflate, \"x\"", NULL },
        { "permessage-deflate; a=b c", NULL },
        { "permessage-deflate\xc3\xa9", NULL }
    };

#undef ANSWER
#undef ANSWER_BITS

    for (i = 0; i < unit_count(tests); i++) {
        header.len = strlen(tests[i].header);
        header.data = unit_guard(tests[i].header, header.len);

        rc = sync_ws_parse_extensions(&d, &header, 15);

        if (tests[i].answer == NULL) {
            is_int(rc, SYNC_ERROR, tests[i].header);

        } else if (tests[i].answer[0] == '\0') {
            is_int(rc, SYNC_DECLINED, tests[i].header);

        } else if (is_int(rc, SYNC_OK, tests[i].header)) {
            answer.data = buf;
            answer.len = sync_ws_write_extensions(buf, &d) - buf;
            is_str(&answer, tests[i].answer, "the answer");
        }
    }

    sync_str_set(&header, "permessage-deflate; server_max_window_bits=10");
    is_int(sync_ws_parse_extensions(&d, &header, 9), SYNC_OK,
           "a window of less than asked for");
    is_int(d.bits, 9, "it is ours that counts");
}
