
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_EIO_H_INCLUDED_
#define _SYNC_EIO_H_INCLUDED_


#include "sync_base.h"
#include "sync_writer.h"


/* Engine.IO, protocol 4 */

#define SYNC_EIO_OPEN       0
#define SYNC_EIO_CLOSE      1
#define SYNC_EIO_PING       2
#define SYNC_EIO_PONG       3
#define SYNC_EIO_MESSAGE    4
#define SYNC_EIO_UPGRADE    5
#define SYNC_EIO_NOOP       6

#define SYNC_EIO_SEPARATOR  0x1e


typedef struct {
    sync_str_t  data;        /* what follows the type; base64 if binary */
    u_char      type;
    unsigned    binary:1;    /* a message of bytes, "b" in a payload */
} sync_eio_packet_t;


/*
 * Parses one packet, the text of a WebSocket frame (a binary frame is a
 * message of bytes as it is).  Returns SYNC_OK and sets *pkt, its data a
 * span of the text; or SYNC_ERROR if it has no type or an unknown one.
 */
sync_int_t sync_eio_parse(sync_eio_packet_t *pkt, const sync_str_t *text);

/*
 * Takes the next packet of a polling payload and moves *payload behind it.
 * *payload starts as a whole body, which must be valid UTF-8; its data is
 * NULL once the last packet was taken.
 *
 * Returns SYNC_OK and sets *pkt; SYNC_DECLINED if there are no more; or
 * SYNC_ERROR if the packet is malformed, an empty one included, so that a body
 * of no bytes is an error.
 */
sync_int_t sync_eio_next(sync_eio_packet_t *pkt, sync_str_t *payload);

/*
 * Returns SYNC_OK if a body is a payload: valid UTF-8, of packets that are
 * not malformed, and base64 where they are binary; or SYNC_ERROR.
 */
sync_int_t sync_eio_check(const sync_str_t *payload);

/*
 * Decodes the data of a binary packet; dst may be its start, or NULL: then
 * nothing is written.  Padding may be missing.  Returns the length in bytes,
 * at most data->len / 4 * 3 + 2; SYNC_BUSY if that is above size; or
 * SYNC_ERROR if it is not base64.
 */
ssize_t sync_eio_decode(u_char *dst, size_t size, const sync_str_t *data);

/*
 * Appends a packet to a polling payload, with a separator before it unless
 * the payload is empty yet.
 */
void sync_eio_write(sync_writer_t *w, sync_uint_t type, const u_char *p,
    size_t len);

/*
 * The same for a message of bytes.
 */
void sync_eio_write_binary(sync_writer_t *w, const u_char *p, size_t len);

/*
 * Appends bytes as base64, with padding.
 */
void sync_eio_write_base64(sync_writer_t *w, const u_char *p, size_t len);


#endif /* _SYNC_EIO_H_INCLUDED_ */
