
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_PACKET_H_INCLUDED_
#define _SYNC_PACKET_H_INCLUDED_


#include <sync_base.h>
#include <sync_position.h>


/*
 * What hosts say to one another through Redis.
 *
 *     header, 64 bytes | json | subject | except | extra
 *
 * Numbers are little-endian.  A message that Redis ordered has its place in
 * front, as text that a script there can write: its LSN and nonce, then those
 * of the message before it, each 16 and 8 digits in hexadecimal.
 */


#define SYNC_PACKET_HEADER  64          /* bytes */
#define SYNC_PACKET_PLACE   48          /* bytes */
#define SYNC_PACKET_ID      16          /* bytes of each in "except" */


typedef struct {
    uint8_t      kind;                  /* the caller's */
    uint8_t      flags;                 /* the caller's */
    uint64_t     host;                  /* whose it is */
    uint64_t     number;                /* rises with each one of a sender */
    uint32_t     sender;                /* of that host */
    uint64_t     time;                  /* ms since the epoch */
    uint64_t     ack;
    uint32_t     event_len;             /* bytes of json */
    uint16_t     nexcept;
    sync_str_t   json;
    sync_str_t   subject;               /* at most 65535 bytes */
    const u_char *except;               /* nexcept ids */
    sync_str_t   extra;
} sync_packet_t;


typedef struct {
    sync_position_t  pos;
    sync_position_t  prev;
} sync_packet_place_t;


/* Bytes of a packet. */
size_t sync_packet_size(const sync_packet_t *packet);

/* Writes sync_packet_size() bytes; returns their end. */
u_char *sync_packet_write(u_char *p, const sync_packet_t *packet);

/*
 * Parses [s->data, s->data + s->len), which must be one packet.  Returns
 * SYNC_OK, the spans being parts of it, or SYNC_ERROR.
 */
sync_int_t sync_packet_parse(sync_packet_t *packet, const sync_str_t *s);

/*
 * Takes the place from the front of *s, which is moved behind it.  Returns
 * SYNC_OK; SYNC_DECLINED if there is a packet without one; or SYNC_ERROR.
 */
sync_int_t sync_packet_parse_place(sync_packet_place_t *place, sync_str_t *s);

/* 24 digits, as in a place; returns SYNC_OK or SYNC_ERROR. */
sync_int_t sync_packet_parse_position(sync_position_t *pos, const u_char *p,
    size_t len);


#endif /* _SYNC_PACKET_H_INCLUDED_ */
