
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SSE_H_INCLUDED_
#define _SYNC_SSE_H_INCLUDED_


#include "sync_base.h"
#include "sync_writer.h"


/* ends an event */

#define sync_sse_write_end(w)  sync_write_byte(w, '\n')


/*
 * Appends an "id" field.  A line break in a value would end the field, so
 * that it is left out, as is a zero byte.
 */
void sync_sse_write_id(sync_writer_t *w, const sync_str_t *id);

/*
 * Appends an "event" field, with the same care.
 */
void sync_sse_write_event(sync_writer_t *w, const sync_str_t *event);

/*
 * Appends "data" fields, one for each line of the text: a line ends with
 * CR, LF or CRLF, and the browser joins them with LF.  A JSON text means the
 * same after that.
 */
void sync_sse_write_data(sync_writer_t *w, const u_char *p, size_t len);

/*
 * Appends a "retry" field.
 */
void sync_sse_write_retry(sync_writer_t *w, uint32_t ms);

/*
 * Appends a comment, with the care of sync_sse_write_id(), and the empty
 * line after it.
 */
void sync_sse_write_comment(sync_writer_t *w, const sync_str_t *text);

/*
 * Takes the next item of a list as "a,b,-", which is what Last-Event-ID is,
 * and moves *list behind it.  *list starts as the whole header, its data not
 * NULL; that is NULL once the last item was taken.
 *
 * Returns SYNC_OK and sets *id, without spaces around it, to no bytes for
 * "-" and for an empty item; or SYNC_DECLINED if there are no more.
 */
sync_int_t sync_sse_next_id(sync_str_t *id, sync_str_t *list);


#endif /* _SYNC_SSE_H_INCLUDED_ */
