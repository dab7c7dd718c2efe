
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_position.h"


static void test_lsn(void);
static void test_position(void);


int
main(void)
{
    test_lsn();
    test_position();

    return unit_done();
}


static void
test_lsn(void)
{
    size_t               i;
    u_char               buf[SYNC_LSN_LEN];
    uint64_t             lsn;
    sync_str_t           s;

    static const struct {
        const char        *text;
        uint64_t           lsn;
    } valid[] = {
        { "0/0", 0 },
        { "0/1", 1 },
        { "9/99", 0x900000099ULL },
        { "0/16B3748", 0x16b3748 },
        { "1/0", 0x100000000ULL },
        { "A/BCDEF012", 0xabcdef012ULL },
        { "FFFFFFFF/FFFFFFFF", UINT64_MAX },
        { "10/80000000", 0x1080000000ULL }
    };

    static const char   *invalid[] = {
        "", "0", "/", "0/", "/0", "0/0/0", "0//0", " 0/0", "0/0 ", "-1/0",
        "0x1/0", "g/0", "0/g", "000000000/0", "0/100000000", "0/1.", "0\\0",
        "0/+1"
    };

    for (i = 0; i < unit_count(valid); i++) {
        s.len = strlen(valid[i].text);
        s.data = unit_guard(valid[i].text, s.len);
        lsn = 12345;

        is_int(sync_lsn_parse(&lsn, &s), SYNC_OK, valid[i].text);
        ok(lsn == valid[i].lsn, "its value");

        s.data = buf;
        s.len = sync_lsn_print(buf, lsn) - buf;
        is_str(&s, valid[i].text, "printed");
    }

    for (i = 0; i < unit_count(invalid); i++) {
        s.len = strlen(invalid[i]);
        s.data = unit_guard(invalid[i], s.len);

        is_int(sync_lsn_parse(&lsn, &s), SYNC_ERROR, invalid[i]);
    }

    sync_str_set(&s, "0a/00000bc");
    is_int(sync_lsn_parse(&lsn, &s), SYNC_OK, "lower case, leading zeros");
    ok(lsn == 0xa000000bcULL, "its value");

    sync_str_set(&s, "0/0\0");
    is_int(sync_lsn_parse(&lsn, &s), SYNC_ERROR, "a zero byte");
}


static void
test_position(void)
{
    size_t               i;
    u_char               buf[SYNC_POSITION_LEN];
    sync_str_t           s;
    sync_position_t      pos;

    static const struct {
        const char        *text;
        sync_position_t    pos;
    } valid[] = {
        { "0/0.00000000", { 0, 0 } },
        { "0/16B3748.0a1b2c3d", { 0x16b3748, 0x0a1b2c3d } },
        { "FFFFFFFF/FFFFFFFF.ffffffff", { UINT64_MAX, UINT32_MAX } }
    };

    static const char   *invalid[] = {
        "", ".", "0/0", "0/0.", "0/0.0000000", "0/0.000000000", ".00000000",
        "0/.00000000", "0/0 00000000", "0/0.0000000g", "0/0.00000000 ",
        "0/0.00000000.00000000", "0.00000000", "12345678", "0/0.-0000000"
    };

    for (i = 0; i < unit_count(valid); i++) {
        s.len = strlen(valid[i].text);
        s.data = unit_guard(valid[i].text, s.len);

        is_int(sync_position_parse(&pos, &s), SYNC_OK, valid[i].text);
        ok(pos.lsn == valid[i].pos.lsn && pos.nonce == valid[i].pos.nonce,
           "its value");

        s.data = buf;
        s.len = sync_position_print(buf, &pos) - buf;
        is_str(&s, valid[i].text, "printed");
    }

    pos.lsn = 7;
    pos.nonce = 8;

    for (i = 0; i < unit_count(invalid); i++) {
        s.len = strlen(invalid[i]);
        s.data = unit_guard(invalid[i], s.len);

        is_int(sync_position_parse(&pos, &s), SYNC_ERROR, invalid[i]);
    }

    ok(pos.lsn == 7 && pos.nonce == 8, "an error sets nothing");

    sync_str_set(&s, "ab/cd.ABCDEF01");
    is_int(sync_position_parse(&pos, &s), SYNC_OK, "the other cases");
    ok(pos.lsn == 0xab000000cdULL && pos.nonce == 0xabcdef01, "its value");
}
