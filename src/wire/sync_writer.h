
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_WRITER_H_INCLUDED_
#define _SYNC_WRITER_H_INCLUDED_


#include "sync_base.h"


/*
 * Appends to the caller's buffer and never beyond it.  What does not fit is
 * only counted, so that the same calls made over a buffer of no bytes tell
 * the size that is needed.
 */

typedef struct {
    u_char  *start;
    size_t   size;    /* bytes in the buffer */
    size_t   len;     /* bytes in the text, may be above size */
} sync_writer_t;


/* buf may be NULL if size is 0 */

#define sync_writer_init(w, buf, n)                                           \
    ((w)->start = (buf), (w)->size = (n), (w)->len = 0)

/* whether all that was written is in the buffer */

#define sync_writer_fits(w)  ((w)->len <= (w)->size)

#define sync_write_literal(w, text)                                           \
    sync_write(w, (const u_char *) text, sizeof(text) - 1)

#define sync_write_str(w, s)  sync_write(w, (s)->data, (s)->len)


/*
 * Appends bytes as they are.
 */
void sync_write(sync_writer_t *w, const u_char *p, size_t len);

/*
 * Appends a single byte.
 */
void sync_write_byte(sync_writer_t *w, u_char ch);

/*
 * Appends a number in decimal.
 */
void sync_write_int(sync_writer_t *w, int64_t n);


#endif /* _SYNC_WRITER_H_INCLUDED_ */
