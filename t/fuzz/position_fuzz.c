
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_position.h"


static sync_int_t naive(sync_position_t *pos, const u_char *p, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char           *p;
    u_char            buf[SYNC_POSITION_LEN];
    uint64_t          lsn;
    sync_int_t        rc;
    sync_str_t        s;
    sync_position_t   pos, want, again;

    /* there is nothing that resumes: all of the input is the text */

    p = fuzz_copy(data, size);
    s.data = p;
    s.len = size;

    rc = sync_position_parse(&pos, &s);

    fuzz_check(rc == naive(&want, p, size));

    if (rc == SYNC_OK) {
        fuzz_check(pos.lsn == want.lsn && pos.nonce == want.nonce);

        s.len = size - 9;
        fuzz_check(sync_lsn_parse(&lsn, &s) == SYNC_OK && lsn == pos.lsn);

        s.data = buf;
        s.len = sync_position_print(buf, &pos) - buf;

        fuzz_check(s.len <= SYNC_POSITION_LEN && s.len <= size);
        fuzz_check(sync_position_parse(&again, &s) == SYNC_OK);
        fuzz_check(again.lsn == pos.lsn && again.nonce == pos.nonce);
    }

    s.data = p;
    s.len = size;
    rc = sync_lsn_parse(&lsn, &s);

    if (rc == SYNC_OK) {
        fuzz_check(size <= SYNC_LSN_LEN && memchr(p, '/', size));
    }

    free(p);

    return 0;
}


static sync_int_t
naive(sync_position_t *pos, const u_char *p, size_t len)
{
    char    text[64], again[64];
    size_t  high, low, nonce;

    static const char  digits[] = "0123456789abcdefABCDEF";

    if (len >= sizeof(text)) {
        return SYNC_ERROR;
    }

    memcpy(text, p, len);
    text[len] = '\0';

    high = strspn(text, digits);

    if (high < 1 || high > 8 || text[high] != '/') {
        return SYNC_ERROR;
    }

    low = strspn(text + high + 1, digits);

    if (low < 1 || low > 8 || text[high + 1 + low] != '.') {
        return SYNC_ERROR;
    }

    nonce = strspn(text + high + 1 + low + 1, digits);

    if (nonce != 8 || high + 1 + low + 1 + nonce != len) {
        return SYNC_ERROR;
    }

    pos->lsn = (uint64_t) strtoul(text, NULL, 16) << 32
               | strtoul(text + high + 1, NULL, 16);
    pos->nonce = strtoul(text + high + 1 + low + 1, NULL, 16);

    /* and as sprintf() prints it */

    sprintf(again, "%X/%X.%08x", (unsigned) (pos->lsn >> 32),
            (unsigned) pos->lsn, (unsigned) pos->nonce);

    sync_position_print((u_char *) text, pos);
    fuzz_check(memcmp(text, again, strlen(again)) == 0);

    return SYNC_OK;
}
