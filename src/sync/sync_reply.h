
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REPLY_H_INCLUDED_
#define _SYNC_REPLY_H_INCLUDED_


#include <sync_settings.h>
#include <sync_json.h>


/*
 * What is told to a single client, and the envelope of errors
 * (luckystack-wire, 10).
 */


/*
 * The worker's buffer to write a text in; it grows till the text fits:
 *
 *     do {
 *         sync_reply_text(&w);
 *         ... write ...
 *     } while (sync_reply_again(&w));
 *
 * The text, w.start and w.len, is there till the next one is begun.  If
 * there is no memory, it is empty.
 */
void sync_reply_text(sync_writer_t *w);
ngx_uint_t sync_reply_again(sync_writer_t *w);

#define sync_reply_str(s, w)                                                  \
    (s)->data = (w)->start;                                                   \
    (s)->len = (w)->len


typedef struct {
    sync_str_t   code;
    sync_str_t   params;        /* JSON array, or empty */
    ngx_uint_t   status;
} sync_reply_error_t;


/* Sends a text that was written; an empty one is not sent. */
void sync_reply_send(sync_client_t *c, sync_writer_t *w);

/* Writes ["<event>-<index>", for an argument to follow. */
void sync_reply_write_event(sync_writer_t *w, const char *event,
    sync_str_t *index);

/* Writes the envelope: {"status":"error",...}. */
void sync_reply_write_error(sync_writer_t *w, sync_reply_error_t *e);

/*
 * Sends ["<event>-<index>",{envelope}], or nothing if the index is empty;
 * the bare one is ["<event>",{envelope}].
 */
void sync_reply_error(sync_client_t *c, const char *event,
    sync_str_t *index, sync_reply_error_t *e);
void sync_reply_bare_error(sync_client_t *c, const char *event,
    sync_reply_error_t *e);

/* The same for an error without parameters. */
void sync_reply_code(sync_client_t *c, const char *event, sync_str_t *index,
    const char *code, ngx_uint_t status);

/* Sends ["<event>-<index>",{"rooms":[...]}]. */
void sync_reply_rooms(sync_client_t *c, const char *event,
    sync_str_t *index);

/*
 * A responseIndex as it stands in the answering event's name; it may be a
 * span of the request.  Returns SYNC_OK, or SYNC_DECLINED if v is no number.
 * buf holds SYNC_INDEX_MAX bytes.
 */
#define SYNC_INDEX_MAX  32

ngx_int_t sync_reply_index(sync_str_t *index, sync_json_t *v, u_char *buf);


#endif /* _SYNC_REPLY_H_INCLUDED_ */
