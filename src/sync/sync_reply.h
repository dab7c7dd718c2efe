
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REPLY_H_INCLUDED_
#define _SYNC_REPLY_H_INCLUDED_


#include <sync_settings.h>
#include <sync_publish.h>
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


/*
 * Sends a text that was written, and the acknowledgement that it is; an empty
 * one is not sent.
 */
void sync_reply_send(sync_client_t *c, sync_writer_t *w);

/*
 * Writes ["<event>-<index>", for an argument to follow: it has to be the
 * beginning of the text.
 */
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

/* The same with more members, as they stand, behind the rooms. */
void sync_reply_rooms_and(sync_client_t *c, const char *event,
    sync_str_t *index, sync_str_t *more);

/*
 * What a request is to be answered by: its responseIndex, as it stands in the
 * answering event's name; where a client of Socket.IO wants the answer as an
 * acknowledgement, too, its number is behind a "#". "7", "7#12" or "#12".
 *
 * Set from the request's argument, or, if that is NULL, for the
 * acknowledgement alone; it may be a span of buf.  Returns SYNC_OK, or
 * SYNC_DECLINED if no answer is wanted.  buf holds SYNC_INDEX_MAX bytes.
 */
#define SYNC_INDEX_MAX  56

ngx_int_t sync_reply_index(sync_str_t *index, sync_json_t *arg, u_char *buf);

/*
 * While a packet is served: the number by which its sender wants to hear, or
 * NULL again.
 */
void sync_reply_want(uint64_t *number);

/*
 * Sends a text to a client of this host that is not here any more; one that
 * left is not told.
 */
void sync_reply_publish(sync_main_settings_t *main, const u_char *id,
    sync_writer_t *w);

/*
 * The same text as sayings for sync_publish_room(), which go with a message:
 * the first one of s[SYNC_REPLY_MAX], linked by "reply", or NULL.
 */
sync_saying_t *sync_reply_keep(sync_saying_t *s, sync_writer_t *w,
    ngx_pool_t *pool);


#endif /* _SYNC_REPLY_H_INCLUDED_ */
