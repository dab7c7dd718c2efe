
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SIO_BINARY_H_INCLUDED_
#define _SYNC_SIO_BINARY_H_INCLUDED_


#include "sync_base.h"
#include "sync_json.h"
#include "sync_sio.h"
#include "sync_writer.h"


/*
 * The bytes of a binary event or acknowledgement.
 *
 *     ["e",{"base64":"AP8="}]      as every dialect can say it
 *
 *     ["e",{"_placeholder":true,"num":0}]   and a message of the two bytes,
 *                                  as Socket.IO does
 *
 * An object that means bytes has that member alone.
 */


typedef struct {
    sync_uint_t  n;
    sync_json_t  data[SYNC_SIO_ATTACHMENTS_MAX];    /* strings, in order */
} sync_sio_attachments_t;


/*
 * Appends a value with a placeholder for each object that means bytes, and
 * sets *a to their strings, which are spans of the value's text.
 *
 * Returns SYNC_OK; or SYNC_ERROR if there are more than
 * SYNC_SIO_ATTACHMENTS_MAX of them, or one is no base64, or the value has
 * what the peer would take for a placeholder: these are left as they are.
 */
sync_int_t sync_sio_take_out(sync_writer_t *w, sync_sio_attachments_t *a,
    const sync_json_t *v);

/*
 * Copies the base64 that such a string means, as some escape its slashes;
 * dst must have room for data->raw.len bytes, or is NULL.  Returns its
 * length, or SYNC_ERROR if it is none.
 */
ssize_t sync_sio_base64(u_char *dst, const sync_json_t *data);

/*
 * The same for the bytes themselves.
 */
ssize_t sync_sio_bytes(u_char *dst, const sync_json_t *data);

/*
 * Appends a value with the n attachments in the places of their
 * placeholders; one without a place is left out.
 *
 * Returns SYNC_OK; or SYNC_ERROR if a placeholder is for none of them, or
 * for one that was in its place already.
 */
sync_int_t sync_sio_put_in(sync_writer_t *w, const sync_json_t *v,
    const sync_str_t *data, sync_uint_t n);


#endif /* _SYNC_SIO_BINARY_H_INCLUDED_ */
