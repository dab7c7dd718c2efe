
/*
 * Copyright (C) sync for nginx
 */


#ifndef _FUZZ_H_INCLUDED_
#define _FUZZ_H_INCLUDED_


#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync_base.h"


/*
 * A target checks what must hold whatever the input is, and aborts if it
 * does not.  The first byte of an input chooses how the rest is cut.
 */

#define fuzz_check(cond)                                                      \
    do {                                                                      \
        if (!(cond)) {                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);        \
            abort();                                                          \
        }                                                                     \
    } while (0)

#define fuzz_unused  __attribute__((unused))


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* room of exactly len bytes, to be freed */

fuzz_unused static u_char *
fuzz_alloc(size_t len)
{
    u_char  *p;

    p = malloc(len);

    if (p == NULL) {
        abort();
    }

    return p;
}


/* a copy without a byte after it, to be freed */

fuzz_unused static u_char *
fuzz_copy(const u_char *p, size_t len)
{
    u_char  *copy;

    copy = fuzz_alloc(len);

    if (len) {
        memcpy(copy, p, len);
    }

    return copy;
}


/*
 * Returns the length of the next piece, of which len bytes are left.  cuts
 * is the first byte of the input at first: 0 cuts nothing, up to 127 pieces
 * of as many bytes, above that of any size, some of them empty.
 */
fuzz_unused static size_t
fuzz_piece(uint32_t *cuts, size_t len)
{
    size_t  n;

    if (*cuts == 0) {
        return len;
    }

    if (*cuts < 128) {
        return (*cuts < len) ? *cuts : len;
    }

    *cuts = *cuts * 1103515245 + 12345;
    *cuts |= 128;

    n = (*cuts >> 16) % ((*cuts >> 8 & 0x0f) * 8 + 2);

    return (n < len) ? n : len;
}


#endif /* _FUZZ_H_INCLUDED_ */
