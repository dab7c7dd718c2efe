
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SIO_H_INCLUDED_
#define _SYNC_SIO_H_INCLUDED_


#include "sync_base.h"
#include "sync_json.h"
#include "sync_writer.h"


/* Socket.IO, protocol 5 */

#define SYNC_SIO_CONNECT        0
#define SYNC_SIO_DISCONNECT     1
#define SYNC_SIO_EVENT          2
#define SYNC_SIO_ACK            3
#define SYNC_SIO_CONNECT_ERROR  4
#define SYNC_SIO_BINARY_EVENT   5
#define SYNC_SIO_BINARY_ACK     6

#define SYNC_SIO_ATTACHMENTS_MAX  64


typedef struct {
    sync_str_t   nsp;            /* "/" if the packet names none */
    sync_json_t  data;           /* if has_data */
    sync_json_t  event;          /* an event's name, mostly a string */
    uint64_t     id;             /* if has_id, below 2^53 */
    u_char       type;
    u_char       attachments;    /* binary messages that follow */
    unsigned     has_data:1;
    unsigned     has_id:1;
} sync_sio_packet_t;


/*
 * Parses a packet, the data of an Engine.IO text message.
 *
 * Returns SYNC_OK and sets *pkt, its spans are of the text or static; or
 * SYNC_ERROR if the packet is malformed: an unknown type, a number that is
 * none or too large, attachments not 1 to SYNC_SIO_ATTACHMENTS_MAX, data
 * that is not JSON or not what the type asks for: CONNECT nothing or an
 * object, DISCONNECT nothing, CONNECT_ERROR a string or an object, events
 * an array with a string or a number first, acks an array and an id.
 *
 * Where the data has placeholders of attachments they are not looked at.
 */
sync_int_t sync_sio_parse(sync_sio_packet_t *pkt, const sync_str_t *text);

/*
 * Returns 1 if clients may not send an event of that name, else 0.
 */
sync_int_t sync_sio_event_reserved(const sync_str_t *name);

/*
 * Appends what stands before a packet's data: its type, attachments,
 * namespace and id.  The data is for the caller to append; pkt->data and
 * pkt->event are not looked at.
 */
void sync_sio_write_header(sync_writer_t *w, const sync_sio_packet_t *pkt);


#endif /* _SYNC_SIO_H_INCLUDED_ */
