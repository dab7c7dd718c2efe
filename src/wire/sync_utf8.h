
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_UTF8_H_INCLUDED_
#define _SYNC_UTF8_H_INCLUDED_


#include "sync_base.h"


/* U+FFFD */

#define SYNC_UTF8_REPLACEMENT  "\xef\xbf\xbd"


/*
 * Where a text stands between two of its fragments.  All zero is a valid
 * start, and so is what sync_utf8_init() makes.
 */

typedef struct {
    u_char  need;    /* bytes that the open character lacks */
    u_char  min;     /* what the next of them may be */
    u_char  max;
} sync_utf8_t;


#define sync_utf8_init(u)  ((u)->need = 0)

/* whether the text may end here, with no character left open */

#define sync_utf8_complete(u)  ((u)->need == 0)


/*
 * Checks the next fragment of a text (RFC 3629: no surrogates, no overlong
 * forms, nothing above U+10FFFF).
 *
 * Returns SYNC_OK, or SYNC_ERROR at the first byte that no valid text has
 * there; after that *u must not be used until it is initialized again.
 */
sync_int_t sync_utf8_feed(sync_utf8_t *u, const u_char *p,
    const u_char *last);

/*
 * Checks a whole text.  Returns SYNC_OK or SYNC_ERROR.
 */
sync_int_t sync_utf8_check(const u_char *p, const u_char *last);

/*
 * Returns the length in bytes, 1 to 4, of the valid character at the start
 * of [p, last), p < last, and stores it in *c; or 0 if there is none.
 */
size_t sync_utf8_decode(uint32_t *c, const u_char *p, const u_char *last);

/*
 * Returns how many bytes at the start of [p, last), p < last, where no
 * valid character starts, are to be replaced by one U+FFFD: the longest
 * piece that could have begun a character, at least 1 (as browsers do).
 */
size_t sync_utf8_skip(const u_char *p, const u_char *last);

/*
 * Writes the character c, not above U+10FFFF, and returns its length in
 * bytes, 1 to 4.  A surrogate is written as U+FFFD.
 */
size_t sync_utf8_encode(u_char *dst, uint32_t c);

/*
 * Returns the length of a valid text in UTF-16 units, as JavaScript counts.
 */
size_t sync_utf8_units(const u_char *p, const u_char *last);


#endif /* _SYNC_UTF8_H_INCLUDED_ */
