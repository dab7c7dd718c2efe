
/*
 * Copyright (C) sync for nginx
 */


#include <sync_packet.h>


/* the first bytes, and the number of this layout */

#define SYNC_PACKET_MAGIC    "s1"

#define SYNC_PACKET_DIGITS   24         /* of a position */


static u_char *sync_packet_put(u_char *p, uint64_t n, sync_uint_t bytes);
static uint64_t sync_packet_get(const u_char *p, sync_uint_t bytes);
static u_char *sync_packet_copy(u_char *p, const void *data, size_t len);
static sync_int_t sync_packet_hex(uint64_t *n, const u_char *p, size_t len);


size_t
sync_packet_size(const sync_packet_t *packet)
{
    return SYNC_PACKET_HEADER + packet->json.len + packet->subject.len
           + (size_t) packet->nexcept * SYNC_PACKET_ID + packet->extra.len;
}


/*
 *      0  "s1"          16  host          48  json, length
 *      2  kind          24  number        52  extra, length
 *      3  flags         32  time          56  subject, length
 *      4  event_len     40  ack           58  nexcept
 *      8  sender                          60  0
 *     12  0
 */

u_char *
sync_packet_write(u_char *p, const sync_packet_t *packet)
{
    *p++ = SYNC_PACKET_MAGIC[0];
    *p++ = SYNC_PACKET_MAGIC[1];
    *p++ = packet->kind;
    *p++ = packet->flags;

    p = sync_packet_put(p, packet->event_len, 4);
    p = sync_packet_put(p, packet->sender, 4);
    p = sync_packet_put(p, 0, 4);
    p = sync_packet_put(p, packet->host, 8);
    p = sync_packet_put(p, packet->number, 8);
    p = sync_packet_put(p, packet->time, 8);
    p = sync_packet_put(p, packet->ack, 8);
    p = sync_packet_put(p, packet->json.len, 4);
    p = sync_packet_put(p, packet->extra.len, 4);
    p = sync_packet_put(p, packet->subject.len, 2);
    p = sync_packet_put(p, packet->nexcept, 2);
    p = sync_packet_put(p, 0, 4);

    p = sync_packet_copy(p, packet->json.data, packet->json.len);
    p = sync_packet_copy(p, packet->subject.data, packet->subject.len);
    p = sync_packet_copy(p, packet->except,
                         (size_t) packet->nexcept * SYNC_PACKET_ID);

    return sync_packet_copy(p, packet->extra.data, packet->extra.len);
}


sync_int_t
sync_packet_parse(sync_packet_t *packet, const sync_str_t *s)
{
    u_char  *p;

    p = s->data;

    if (s->len < SYNC_PACKET_HEADER
        || memcmp(p, SYNC_PACKET_MAGIC, sizeof(SYNC_PACKET_MAGIC) - 1) != 0)
    {
        return SYNC_ERROR;
    }

    packet->kind = p[2];
    packet->flags = p[3];
    packet->event_len = (uint32_t) sync_packet_get(p + 4, 4);
    packet->sender = (uint32_t) sync_packet_get(p + 8, 4);
    packet->host = sync_packet_get(p + 16, 8);
    packet->number = sync_packet_get(p + 24, 8);
    packet->time = sync_packet_get(p + 32, 8);
    packet->ack = sync_packet_get(p + 40, 8);
    packet->json.len = (size_t) sync_packet_get(p + 48, 4);
    packet->extra.len = (size_t) sync_packet_get(p + 52, 4);
    packet->subject.len = (size_t) sync_packet_get(p + 56, 2);
    packet->nexcept = (uint16_t) sync_packet_get(p + 58, 2);

    /* lengths of 32 bits at most: their sum does not wrap */

    if (sizeof(size_t) < 8
        && (packet->json.len > s->len || packet->extra.len > s->len))
    {
        return SYNC_ERROR;
    }

    if (sync_packet_size(packet) != s->len
        || packet->event_len > packet->json.len)
    {
        return SYNC_ERROR;
    }

    p += SYNC_PACKET_HEADER;

    packet->json.data = p;
    p += packet->json.len;

    packet->subject.data = p;
    p += packet->subject.len;

    packet->except = p;
    p += (size_t) packet->nexcept * SYNC_PACKET_ID;

    packet->extra.data = p;

    return SYNC_OK;
}


sync_int_t
sync_packet_parse_place(sync_packet_place_t *place, sync_str_t *s)
{
    u_char  *p;

    p = s->data;

    if (s->len >= sizeof(SYNC_PACKET_MAGIC) - 1
        && memcmp(p, SYNC_PACKET_MAGIC, sizeof(SYNC_PACKET_MAGIC) - 1) == 0)
    {
        return SYNC_DECLINED;
    }

    if (s->len < SYNC_PACKET_PLACE
        || sync_packet_parse_position(&place->pos, p, SYNC_PACKET_DIGITS)
           != SYNC_OK
        || sync_packet_parse_position(&place->prev, p + SYNC_PACKET_DIGITS,
                                      SYNC_PACKET_DIGITS)
           != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    s->data += SYNC_PACKET_PLACE;
    s->len -= SYNC_PACKET_PLACE;

    return SYNC_OK;
}


sync_int_t
sync_packet_parse_position(sync_position_t *pos, const u_char *p, size_t len)
{
    uint64_t  lsn, nonce;

    if (len != SYNC_PACKET_DIGITS
        || sync_packet_hex(&lsn, p, 16) != SYNC_OK
        || sync_packet_hex(&nonce, p + 16, 8) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    pos->lsn = lsn;
    pos->nonce = (uint32_t) nonce;

    return SYNC_OK;
}


static u_char *
sync_packet_put(u_char *p, uint64_t n, sync_uint_t bytes)
{
    sync_uint_t  i;

    for (i = 0; i < bytes; i++) {
        *p++ = (u_char) (n >> 8 * i);
    }

    return p;
}


static uint64_t
sync_packet_get(const u_char *p, sync_uint_t bytes)
{
    uint64_t     n;
    sync_uint_t  i;

    n = 0;

    for (i = 0; i < bytes; i++) {
        n |= (uint64_t) p[i] << 8 * i;
    }

    return n;
}


static u_char *
sync_packet_copy(u_char *p, const void *data, size_t len)
{
    if (len) {
        memcpy(p, data, len);
    }

    return p + len;
}


static sync_int_t
sync_packet_hex(uint64_t *n, const u_char *p, size_t len)
{
    u_char  ch;
    size_t  i;

    *n = 0;

    for (i = 0; i < len; i++) {
        ch = p[i];

        if (ch >= '0' && ch <= '9') {
            ch -= '0';

        } else if (ch >= 'a' && ch <= 'f') {
            ch -= 'a' - 10;

        } else {
            return SYNC_ERROR;
        }

        *n = *n << 4 | ch;
    }

    return SYNC_OK;
}
