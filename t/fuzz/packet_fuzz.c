
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_packet.h"


static void check_packet(const sync_packet_t *pkt, u_char *p, size_t len);
static void check_inside(const u_char *data, size_t n, const u_char *p,
    size_t len);
static void check_place(const sync_packet_place_t *place, const u_char *p);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char               *p;
    sync_int_t            rc;
    sync_str_t            s;
    sync_packet_t         pkt;
    sync_position_t       pos;
    sync_packet_place_t   place;

    /* there is nothing that resumes: all of the input is what Redis said */

    p = fuzz_copy(data, size);
    s.data = p;
    s.len = size;

    rc = sync_packet_parse_place(&place, &s);

    if (rc == SYNC_OK) {
        fuzz_check(s.data == p + SYNC_PACKET_PLACE);
        fuzz_check(s.len == size - SYNC_PACKET_PLACE);
        check_place(&place, p);

    } else {
        fuzz_check(s.data == p && s.len == size);
        fuzz_check((rc == SYNC_DECLINED)
                   == (size >= 2 && memcmp(p, "s1", 2) == 0));
    }

    if (sync_packet_parse(&pkt, &s) == SYNC_OK) {
        check_packet(&pkt, s.data, s.len);
    }

    if (sync_packet_parse_position(&pos, p, size) == SYNC_OK) {
        fuzz_check(size == 24);
    }

    free(p);

    return 0;
}


/* its parts fill it, and written again it is the same but for what is 0 */

static void
check_packet(const sync_packet_t *pkt, u_char *p, size_t len)
{
    u_char  *buf;
    size_t   i;

    check_inside(pkt->json.data, pkt->json.len, p, len);
    check_inside(pkt->subject.data, pkt->subject.len, p, len);
    check_inside(pkt->except, (size_t) pkt->nexcept * SYNC_PACKET_ID, p, len);
    check_inside(pkt->extra.data, pkt->extra.len, p, len);

    fuzz_check(pkt->event_len <= pkt->json.len);
    fuzz_check(sync_packet_size(pkt) == len);

    buf = fuzz_alloc(len);

    fuzz_check(sync_packet_write(buf, pkt) == buf + len);

    for (i = 0; i < len; i++) {
        fuzz_check(buf[i] == p[i]
                   || (buf[i] == 0 && ((i >= 12 && i < 16)
                                       || (i >= 60 && i < 64))));
    }

    free(buf);
}


static void
check_inside(const u_char *data, size_t n, const u_char *p, size_t len)
{
    fuzz_check(data >= p + SYNC_PACKET_HEADER && data + n <= p + len);
}


/* as sprintf() prints it */

static void
check_place(const sync_packet_place_t *place, const u_char *p)
{
    char  text[SYNC_PACKET_PLACE + 1];

    sprintf(text, "%016llx%08x%016llx%08x",
            (unsigned long long) place->pos.lsn, (unsigned) place->pos.nonce,
            (unsigned long long) place->prev.lsn,
            (unsigned) place->prev.nonce);

    fuzz_check(memcmp(text, p, SYNC_PACKET_PLACE) == 0);
}
