
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_eio.h"


static void test_packet(void);
static void test_payload(void);
static void test_check(void);
static void test_base64(void);
static void test_base64_errors(void);
static void test_write(void);


int
main(void)
{
    test_packet();
    test_payload();
    test_check();
    test_base64();
    test_base64_errors();
    test_write();

    return unit_done();
}


static void
test_packet(void)
{
    size_t               i;
    sync_str_t           s;
    sync_eio_packet_t    pkt;

    static const struct {
        const char        *text;
        int                type;      /* -1 if malformed */
        const char        *data;
    } tests[] = {
        { "0{\"sid\":\"a\"}", SYNC_EIO_OPEN, "{\"sid\":\"a\"}" },
        { "1", SYNC_EIO_CLOSE, "" },
        { "2", SYNC_EIO_PING, "" },
        { "2probe", SYNC_EIO_PING, "probe" },
        { "3probe", SYNC_EIO_PONG, "probe" },
        { "40", SYNC_EIO_MESSAGE, "0" },
        { "4", SYNC_EIO_MESSAGE, "" },
        { "5", SYNC_EIO_UPGRADE, "" },
        { "6", SYNC_EIO_NOOP, "" },
        { "4a\x1e" "b", SYNC_EIO_MESSAGE, "a\x1e" "b" },
        { "", -1, "" },
        { "7", -1, "" },
        { "/", -1, "" },
        { "bAQID", -1, "" },
        { " 4", -1, "" },
        { "\xff", -1, "" }
    };

    for (i = 0; i < unit_count(tests); i++) {
        s.len = strlen(tests[i].text);
        s.data = unit_guard(tests[i].text, s.len);

        if (tests[i].type == -1) {
            is_int(sync_eio_parse(&pkt, &s), SYNC_ERROR, tests[i].text);
            continue;
        }

        is_int(sync_eio_parse(&pkt, &s), SYNC_OK, tests[i].text);
        ok(pkt.type == tests[i].type && !pkt.binary, "its type");
        is_str(&pkt.data, tests[i].data, "its data");
    }
}


static void
test_payload(void)
{
    char                 got[128];
    size_t               i;
    sync_int_t           rc;
    sync_str_t           s;
    sync_eio_packet_t    pkt;

    static const struct {
        const char        *text;
        const char        *want;      /* packets, each in brackets */
    } tests[] = {
        { "4a", "[4 a]" },
        { "2\x1e" "4a\x1e" "4", "[2 ][4 a][4 ]" },
        { "4a\x1e" "bAQID\x1e" "4b", "[4 a][b AQID][4 b]" },
        { "b", "[b ]" },
        { "", "error" },
        { "\x1e", "error" },
        { "4a\x1e", "[4 a]error" },
        { "4a\x1e\x1e" "4b", "[4 a]error" },
        { "\x1e" "4a", "error" },
        { "4a\x1e" "9", "[4 a]error" }
    };

    for (i = 0; i < unit_count(tests); i++) {
        s.len = strlen(tests[i].text);
        s.data = unit_guard(tests[i].text, s.len);
        got[0] = '\0';

        while ((rc = sync_eio_next(&pkt, &s)) == SYNC_OK) {
            sprintf(got + strlen(got), "[%c ", pkt.binary ? 'b'
                                                          : '0' + pkt.type);
            strncat(got, (char *) pkt.data.data, pkt.data.len);
            strcat(got, "]");
        }

        if (rc == SYNC_ERROR) {
            strcat(got, "error");
        }

        is_mem(got, strlen(got), tests[i].want, strlen(tests[i].want),
               "a payload");
    }
}


static void
test_check(void)
{
    size_t               i;
    sync_str_t           s;

    static const struct {
        const char        *text;
        sync_int_t         rc;
    } tests[] = {
        { "4a", SYNC_OK },
        { "2\x1e" "4\xc3\xa9\x1e" "6", SYNC_OK },
        { "b", SYNC_OK },
        { "4a\x1e" "bAQI=\x1e" "bAQ", SYNC_OK },
        { "", SYNC_ERROR },
        { "x", SYNC_ERROR },
        { "4a\x1e", SYNC_ERROR },
        { "4a\x1e\x1e" "4b", SYNC_ERROR },
        { "4\xc3", SYNC_ERROR },
        { "bA", SYNC_ERROR },
        { "4a\x1e" "bA*==", SYNC_ERROR }
    };

    for (i = 0; i < unit_count(tests); i++) {
        s.len = strlen(tests[i].text);
        s.data = unit_guard(tests[i].text, s.len);

        is_int(sync_eio_check(&s), tests[i].rc, "a body");
    }
}


static void
test_base64(void)
{
    size_t               i, k, n, bad;
    u_char              *buf;
    u_char               bytes[256];
    sync_str_t           s, padded;
    sync_writer_t        w;

    static const struct {
        const char        *bytes;
        const char        *text;
    } tests[] = {
        { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" }, { "\xfb\xff\xbf", "+/+/" }
    };

    for (i = 0; i < unit_count(tests); i++) {
        n = strlen(tests[i].bytes);
        padded.len = strlen(tests[i].text);

        for (k = 0; k < 2; k++) {
            s.len = k ? strcspn(tests[i].text, "=") : padded.len;
            s.data = unit_guard(tests[i].text, s.len);

            buf = unit_guard(NULL, n);
            is_mem(buf, sync_eio_decode(buf, n, &s), tests[i].bytes, n,
                   "RFC 4648, with padding and without");

            is_mem(s.data, sync_eio_decode(s.data, s.len, &s),
                   tests[i].bytes, n, "in place");
        }

        buf = unit_guard(NULL, padded.len + 1);
        sync_writer_init(&w, buf, padded.len + 1);
        sync_eio_write_binary(&w, unit_guard(tests[i].bytes, n), n);
        is_mem(buf + 1, w.len - 1, tests[i].text, padded.len, "written");
    }

    for (i = 0; i < sizeof(bytes); i++) {
        bytes[i] = i * 73;
    }

    bad = 0;

    for (n = 0; n < sizeof(bytes); n++) {
        k = 1 + (n + 2) / 3 * 4;
        buf = unit_guard(NULL, k);
        sync_writer_init(&w, buf, k);
        sync_eio_write_binary(&w, bytes, n);
        bad += w.len != k || buf[0] != 'b';

        s.data = buf + 1;
        s.len = k - 1;

        if (n) {
            bad += sync_eio_decode(buf, n - 1, &s) != SYNC_BUSY;
        }

        bad += sync_eio_decode(buf, n, &s) != (ssize_t) n
               || memcmp(buf, bytes, n) != 0;
    }

    is_int(bad, 0, "any bytes, there and back");
}


static void
test_base64_errors(void)
{
    size_t               i;
    u_char               buf[64];
    sync_str_t           s;

    static const char   *tests[] = {
        "A", "AAAAA", "=", "==", "A=", "A===", "AA=A", "AAA=AAAA", "A A=",
        "AA-_", "AAAA=", "AAAA==", "====", "AA\xc3\xa9"
    };

    for (i = 0; i < unit_count(tests); i++) {
        s.len = strlen(tests[i]);
        s.data = unit_guard(tests[i], s.len);
        is_int(sync_eio_decode(buf, sizeof(buf), &s), SYNC_ERROR, tests[i]);
    }
}


static void
test_write(void)
{
    u_char         buf[128];
    sync_str_t     got;
    sync_writer_t  w;

    sync_writer_init(&w, buf, sizeof(buf));

    sync_eio_write(&w, SYNC_EIO_MESSAGE, (u_char *) "0{}", 3);
    sync_eio_write_binary(&w, (u_char *) "\1\2\3\4", 4);
    sync_eio_write(&w, SYNC_EIO_PING, NULL, 0);

    got.data = buf;
    got.len = w.len;

    is_str(&got, "40{}\x1e" "bAQIDBA==\x1e" "2", "a payload");

    sync_writer_init(&w, buf, sizeof(buf));
    sync_eio_write(&w, SYNC_EIO_NOOP, NULL, 0);
    got.len = w.len;
    is_str(&got, "6", "a packet alone");
}
