
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_NDJSON_H_INCLUDED_
#define _SYNC_NDJSON_H_INCLUDED_


#include "sync_base.h"


/*
 * Cuts a stream that comes in pieces into lines.  A line that is whole in a
 * piece is given as a span of it; the buffer, which is the caller's, holds
 * a line that began in an earlier piece, and is not needed until then.
 */

typedef struct {
    u_char    *buf;
    size_t     size;       /* bytes in buf */
    size_t     len;        /* bytes of the open line in buf */
    size_t     max;        /* bytes a line may have */
    size_t     need;       /* bytes that buf must have, after SYNC_BUSY */
    unsigned   given:1;    /* the line in buf was given to the caller */
} sync_ndjson_t;


/*
 * Prepares to read lines of up to max bytes, without a buffer.
 */
void sync_ndjson_init(sync_ndjson_t *n, size_t max);

/*
 * Gives a buffer that is larger than the last one.  What the last one held
 * is copied; it is the caller's again.
 */
void sync_ndjson_set_buffer(sync_ndjson_t *n, u_char *buf, size_t size);

/*
 * Takes the next line from *in, moving it.  Lines end with LF or CRLF, which
 * is not part of the line; empty ones are passed over.
 *
 * Returns SYNC_OK and sets *line, valid until the next call; SYNC_AGAIN if
 * all of *in was taken and no line is whole; SYNC_BUSY if the buffer must
 * have n->need bytes, which is never above max + 1, nothing was lost: call
 * sync_ndjson_set_buffer() and come again; or SYNC_ERROR if the line is
 * longer than max.
 */
sync_int_t sync_ndjson_next(sync_ndjson_t *n, sync_str_t *line,
    sync_str_t *in);

/*
 * Takes the last line, at the end of the stream, if it lacks its LF.
 *
 * Returns SYNC_OK and sets *line, or SYNC_DECLINED if there is none, or
 * SYNC_ERROR if the line is longer than max.
 */
sync_int_t sync_ndjson_last(sync_ndjson_t *n, sync_str_t *line);


#endif /* _SYNC_NDJSON_H_INCLUDED_ */
