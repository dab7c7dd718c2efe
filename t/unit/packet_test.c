
/*
 * Copyright (C) sync for nginx
 */


#include "unit.h"

#include "sync_packet.h"


static void packet_make(sync_packet_t *p);
static void packet_round(void);
static void packet_cut(void);
static void packet_place(void);
static void packet_lies(void);


static u_char  packet_ids[] = "0123456789abcdefFEDCBA9876543210";


int
main(void)
{
    packet_round();
    packet_cut();
    packet_place();
    packet_lies();

    return unit_done();
}


static void
packet_make(sync_packet_t *p)
{
    static sync_str_t  json = sync_string("[\"x\",1]");
    static sync_str_t  subject = sync_string("room");
    static sync_str_t  extra = sync_string("more of it");

    memset(p, 0, sizeof(sync_packet_t));

    p->kind = 3;
    p->flags = 0x81;
    p->host = 0x0123456789abcdef;
    p->number = 0xfedcba9876543210;
    p->sender = 511;
    p->time = 1764253200123;
    p->ack = 0xffffffffffff;
    p->event_len = 3;
    p->nexcept = 2;
    p->except = packet_ids;
    p->json = json;
    p->subject = subject;
    p->extra = extra;
}


static void
packet_round(void)
{
    u_char         buf[256];
    sync_str_t     s;
    sync_packet_t  p, q;

    packet_make(&p);

    s.data = buf;
    s.len = sync_packet_write(buf, &p) - buf;

    ok(s.len == sync_packet_size(&p), "it has the size that it says");
    ok(sync_packet_parse(&q, &s) == SYNC_OK, "it parses");

    ok(q.kind == p.kind && q.flags == p.flags && q.host == p.host
       && q.number == p.number && q.sender == p.sender && q.time == p.time
       && q.ack == p.ack && q.event_len == p.event_len
       && q.nexcept == p.nexcept, "numbers");

    ok(sync_str_eq(&q.json, &p.json) && sync_str_eq(&q.subject, &p.subject)
       && sync_str_eq(&q.extra, &p.extra)
       && memcmp(q.except, p.except, 2 * SYNC_PACKET_ID) == 0, "bytes");
}


/* no part of one is one, nor is one with more behind it */

static void
packet_cut(void)
{
    size_t         n, len;
    u_char        *part;
    u_char         buf[256];
    sync_str_t     s;
    sync_uint_t    bad;
    sync_packet_t  p;

    packet_make(&p);
    len = sync_packet_write(buf, &p) - buf;
    bad = 0;

    for (n = 0; n <= len + 1; n++) {

        /* of its own, for the sanitizer */

        part = malloc(n ? n : 1);
        if (part == NULL) {
            abort();
        }

        memcpy(part, buf, n < len ? n : len);

        s.data = part;
        s.len = n;

        bad += ((sync_packet_parse(&p, &s) == SYNC_OK) != (n == len));

        free(part);
    }

    ok(bad == 0, "cut at every byte");
}


static void
packet_place(void)
{
    sync_str_t           s;
    sync_packet_place_t  place;
    static u_char        text[] =
                         "0000000100000002deadbeef00000001000000010badcafes1";

    s.data = text;
    s.len = sizeof(text) - 1;

    ok(sync_packet_parse_place(&place, &s) == SYNC_OK
       && place.pos.lsn == 0x100000002 && place.pos.nonce == 0xdeadbeef
       && place.prev.lsn == 0x100000001 && place.prev.nonce == 0x0badcafe
       && s.len == 2, "a place, and what is behind it");

    ok(sync_packet_parse_place(&place, &s) == SYNC_DECLINED,
       "a packet has none");

    s.data = text;
    s.len = SYNC_PACKET_PLACE - 1;
    ok(sync_packet_parse_place(&place, &s) == SYNC_ERROR, "half a place");

    text[5] = 'G';
    s.len = sizeof(text) - 1;
    ok(sync_packet_parse_place(&place, &s) == SYNC_ERROR, "no digit");
}


/* lengths that are not true: each byte of the header, all of its values */

static void
packet_lies(void)
{
    size_t          i, n, len;
    u_char          was, buf[256];
    u_char         *part;
    sync_str_t      s;
    sync_packet_t   p;
    sync_uint_t     inside;

    packet_make(&p);
    len = sync_packet_write(buf, &p) - buf;
    inside = 1;

    part = malloc(len);
    if (part == NULL) {
        abort();
    }

    memcpy(part, buf, len);

    s.data = part;
    s.len = len;

    for (i = 0; i < SYNC_PACKET_HEADER; i++) {
        was = part[i];

        for (n = 0; n < 256; n++) {
            part[i] = (u_char) n;

            if (sync_packet_parse(&p, &s) == SYNC_OK) {
                inside &= (p.extra.data + p.extra.len == part + len
                           && p.event_len <= p.json.len);
            }
        }

        part[i] = was;
    }

    free(part);

    ok(inside, "what parses is inside");
}
