
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_utf8.h"


static sync_int_t naive(const u_char *p, size_t len);
static void test_sequences(void);
static void test_characters(void);
static void test_cuts(void);
static void test_ascii(void);
static void test_skip(void);
static void test_units(void);


int
main(void)
{
    test_sequences();
    test_characters();
    test_cuts();
    test_ascii();
    test_skip();
    test_units();

    return unit_done();
}


/* decodes by shifting, then asks whether there was a shorter form */

static sync_int_t
naive(const u_char *p, size_t len)
{
    size_t                 i, k, n;
    uint32_t               c;
    static const uint32_t  least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    for (i = 0; i < len; i += n) {

        if ((p[i] & 0x80) == 0) {
            n = 1;
            continue;
        }

        n = (p[i] & 0xe0) == 0xc0 ? 2
            : (p[i] & 0xf0) == 0xe0 ? 3
            : (p[i] & 0xf8) == 0xf0 ? 4 : 0;

        if (n == 0 || i + n > len) {
            return SYNC_ERROR;
        }

        c = p[i] & (0x7f >> n);

        for (k = 1; k < n; k++) {

            if ((p[i + k] & 0xc0) != 0x80) {
                return SYNC_ERROR;
            }

            c = c << 6 | (p[i + k] & 0x3f);
        }

        if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


static void
test_sequences(void)
{
    int                  a, b, c, d, bad;
    u_char               s[4];
    uint32_t             ch;
    static const u_char  last[] = { 0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff };

    bad = 0;

    for (a = 0; a < 256; a++) {
        s[0] = a;
        bad += sync_utf8_check(s, s + 1) != naive(s, 1);
        bad += sync_utf8_decode(&ch, s, s + 1) != (a < 0x80);
    }

    is_int(bad, 0, "all sequences of one byte");

    bad = 0;

    for (a = 0; a < 65536; a++) {
        s[0] = a >> 8;
        s[1] = a;
        bad += sync_utf8_check(s, s + 2) != naive(s, 2);
    }

    is_int(bad, 0, "all sequences of two bytes");

    bad = 0;

    for (a = 0xe0; a < 256; a++) {
        for (b = 0; b < 65536; b++) {
            s[0] = a;
            s[1] = b >> 8;
            s[2] = b;
            bad += sync_utf8_check(s, s + 3) != naive(s, 3);
        }
    }

    is_int(bad, 0, "all sequences of three bytes after 0xe0");

    bad = 0;

    for (a = 0xef; a < 256; a++) {
        for (b = 0; b < 256; b++) {
            for (c = 0; c < (int) sizeof(last); c++) {
                for (d = 0; d < (int) sizeof(last); d++) {
                    s[0] = a;
                    s[1] = b;
                    s[2] = last[c];
                    s[3] = last[d];
                    bad += sync_utf8_check(s, s + 4) != naive(s, 4);
                }
            }
        }
    }

    is_int(bad, 0, "sequences of four bytes");
}


static void
test_characters(void)
{
    int        bad, surrogates;
    size_t     n;
    u_char     s[4];
    u_char    *p;
    uint32_t   c, d;

    bad = 0;
    surrogates = 0;

    for (c = 0; c <= 0x10ffff; c++) {
        n = sync_utf8_encode(s, c);

        d = 0xffffffff;
        bad += sync_utf8_check(s, s + n) != SYNC_OK
               || sync_utf8_decode(&d, s, s + n) != n;

        if (c >= 0xd800 && c <= 0xdfff) {
            surrogates += (d == 0xfffd);

        } else {
            bad += (d != c);
        }
    }

    is_int(bad, 0, "every character is decoded as it was encoded");
    is_int(surrogates, 0x800, "surrogates are encoded as U+FFFD");

    bad = 0;

    for (n = 1; n < 4; n++) {
        p = unit_guard("\xf0\x9f\x98\x80", n);
        bad += sync_utf8_decode(&c, p, p + n) != 0
               || sync_utf8_skip(p, p + n) != n;
    }

    is_int(bad, 0, "a character that is cut is not decoded");
}


static void
test_cuts(void)
{
    int                i, j, n, bad, open;
    u_char            *p;
    sync_utf8_t        u;

    static const char  text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"
                                "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf";

    n = sizeof(text) - 1;
    bad = 0;
    open = 0;

    for (i = 0; i <= n; i++) {
        for (j = i; j <= n; j++) {
            sync_utf8_init(&u);

            p = unit_guard(text, i);
            bad += sync_utf8_feed(&u, p, p + i) != SYNC_OK;
            open += !sync_utf8_complete(&u);

            bad += !sync_utf8_complete(&u) != (naive(p, i) != SYNC_OK);

            p = unit_guard(text + i, j - i);
            bad += sync_utf8_feed(&u, p, p + (j - i)) != SYNC_OK;

            p = unit_guard(text + j, n - j);
            bad += sync_utf8_feed(&u, p, p + (n - j)) != SYNC_OK;

            bad += !sync_utf8_complete(&u);
        }
    }

    is_int(bad, 0, "a text in three fragments, cut anywhere");
    ok(open > 0, "cuts inside characters were among them");

    sync_utf8_init(&u);
    ok(sync_utf8_feed(&u, (u_char *) "\xed", (u_char *) "\xed" + 1)
       == SYNC_OK, "the start of a surrogate may still be another character");
    is_int(sync_utf8_feed(&u, (u_char *) "\xa0", (u_char *) "\xa0" + 1),
           SYNC_ERROR, "a surrogate is refused at its second byte");
}


static void
test_ascii(void)
{
    int      i, n, bad;
    u_char   s[40];
    u_char  *p;

    bad = 0;

    for (n = 0; n <= (int) sizeof(s); n++) {
        memset(s, 'x', sizeof(s));

        p = unit_guard(s, n);
        bad += sync_utf8_check(p, p + n) != SYNC_OK;

        for (i = 0; i < n; i++) {
            s[i] = 0x80;
            p = unit_guard(s, n);
            bad += sync_utf8_check(p, p + n) != SYNC_ERROR;
            s[i] = 'x';
        }
    }

    is_int(bad, 0, "a wrong byte at any place in ASCII of any length");
}


static void
test_skip(void)
{
    char     got[32];
    size_t   i, n;
    u_char  *p;

    static const struct {
        const char  *text;
        const char  *want;
        const char  *name;
    } tests[] = {
        { "\x80\xbf", "11", "bytes that only continue" },
        { "\xc0\xaf", "11", "an overlong slash" },
        { "\xf0\x80\x80\x80", "1111", "an overlong zero" },
        { "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf", "2132", "pieces of Unicode 3.9" },
        { "\xed\xa0\x80", "111", "a surrogate" },
        { "\xf4\x90\x80\x80", "1111", "above U+10FFFF" },
        { "\xff\xfe", "11", "bytes that nothing has" },
        { "\xf0\x9f\x98", "3", "a character that is cut" },
        { "\xf1\x80\x80" "a", "31", "the least that may follow" },
        { "\xf1\xbf\xbf" "a", "31", "the most that may follow" }
    };

    for (i = 0; i < unit_count(tests); i++) {
        n = strlen(tests[i].text);
        p = unit_guard(tests[i].text, n);
        got[0] = '\0';

        while (n) {
            sprintf(got + strlen(got), "%d", (int) sync_utf8_skip(p, p + n));
            n -= got[strlen(got) - 1] - '0';
            p += got[strlen(got) - 1] - '0';
        }

        is_mem(got, strlen(got), tests[i].want, strlen(tests[i].want),
               tests[i].name);
    }
}


static void
test_units(void)
{
    u_char  *p;

    p = unit_guard("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10);

    is_int(sync_utf8_units(p, p), 0, "no characters, no units");
    is_int(sync_utf8_units(p, p + 10), 5, "four characters, five units");
}
