
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_sio.h"


static void check_packet(const sync_sio_packet_t *pkt, const u_char *p,
    size_t len);
static sync_int_t naive(const u_char *p, size_t len);
static sync_int_t naive_data(u_char type, int id, const u_char *p,
    size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char              *p;
    sync_int_t           rc;
    sync_str_t           text;
    sync_sio_packet_t    pkt;

    /* there is nothing that resumes: all of the input is the packet */

    p = fuzz_copy(data, size);
    text.data = p;
    text.len = size;

    rc = sync_sio_parse(&pkt, &text);

    fuzz_check(rc == naive(p, size));

    if (rc == SYNC_OK) {
        check_packet(&pkt, p, size);
    }

    (void) sync_sio_event_reserved(&text);

    free(p);

    return 0;
}


/* written and parsed again it is the same, and no longer than it was */

static void
check_packet(const sync_sio_packet_t *pkt, const u_char *p, size_t len)
{
    size_t               n;
    u_char              *buf;
    sync_str_t           text;
    sync_writer_t        w;
    sync_sio_packet_t    again;

    fuzz_check(pkt->type == p[0] - '0');
    fuzz_check(pkt->nsp.len >= 1 && pkt->nsp.data[0] == '/');
    fuzz_check(pkt->attachments <= SYNC_SIO_ATTACHMENTS_MAX);

    sync_writer_init(&w, NULL, 0);
    sync_sio_write_header(&w, pkt);

    if (pkt->has_data) {
        fuzz_check(pkt->data.raw.data > p
                   && pkt->data.raw.data + pkt->data.raw.len <= p + len);
        sync_write_str(&w, &pkt->data.raw);
    }

    n = w.len;
    fuzz_check(n <= len + 1);

    buf = fuzz_alloc(n);
    sync_writer_init(&w, buf, n);
    sync_sio_write_header(&w, pkt);

    if (pkt->has_data) {
        sync_write_str(&w, &pkt->data.raw);
    }

    text.data = buf;
    text.len = n;

    fuzz_check(sync_sio_parse(&again, &text) == SYNC_OK);
    fuzz_check(again.type == pkt->type
               && again.attachments == pkt->attachments
               && again.has_id == pkt->has_id
               && again.id == pkt->id
               && again.has_data == pkt->has_data
               && sync_str_eq(&again.nsp, &pkt->nsp));

    if (pkt->has_data) {
        fuzz_check(sync_str_eq(&again.data.raw, &pkt->data.raw));
    }

    if (pkt->type == SYNC_SIO_EVENT || pkt->type == SYNC_SIO_BINARY_EVENT) {
        fuzz_check(sync_str_eq(&again.event.raw, &pkt->event.raw));
    }

    free(buf);
}


/* by the order in which the fields stand */

static sync_int_t
naive(const u_char *p, size_t len)
{
    int     id;
    char    number[32];
    size_t  i, n;
    u_char  type;

    if (len == 0 || p[0] < '0' || p[0] > '6') {
        return SYNC_ERROR;
    }

    type = p[0];
    i = 1;

    if (type == '5' || type == '6') {

        for (n = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++) {
            n = (n > 1000) ? n : n * 10 + p[i] - '0';
        }

        if (i == len || p[i] != '-' || n < 1
            || n > SYNC_SIO_ATTACHMENTS_MAX)
        {
            return SYNC_ERROR;
        }

        i++;
    }

    if (i < len && p[i] == '/') {

        while (i < len && p[i] != ',') {
            i++;
        }

        if (i < len) {
            i++;
        }
    }

    while (i + 1 < len && p[i] == '0' && p[i + 1] >= '0'
           && p[i + 1] <= '9')
    {
        i++;
    }

    for (n = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++) {

        if (n == 16) {
            return SYNC_ERROR;
        }

        number[n++] = p[i];
    }

    number[n] = '\0';
    id = (n > 0);

    if (n == 16 && strcmp(number, "9007199254740991") > 0) {
        return SYNC_ERROR;
    }

    return naive_data(type, id, p + i, len - i);
}


static sync_int_t
naive_data(u_char type, int id, const u_char *p, size_t len)
{
    sync_str_t        s;
    sync_json_t       v, e;
    sync_json_iter_t  it;

    s.data = (u_char *) p;
    s.len = len;

    if (len == 0) {
        return (type == '0' || type == '1') ? SYNC_OK : SYNC_ERROR;
    }

    if (sync_json_parse(&v, &s, NULL) != SYNC_OK) {
        return SYNC_ERROR;
    }

    sync_json_iter_init(&it, &v);

    switch (type) {

    case '0':
        return (v.type == SYNC_JSON_OBJECT) ? SYNC_OK : SYNC_ERROR;

    case '2':
    case '5':
        return (v.type == SYNC_JSON_ARRAY
                && sync_json_next(&it, NULL, &e) == SYNC_OK
                && (e.raw.data[0] == '"' || e.raw.data[0] == '-'
                    || (e.raw.data[0] >= '0' && e.raw.data[0] <= '9')))
               ? SYNC_OK : SYNC_ERROR;

    case '3':
    case '6':
        return (id && v.type == SYNC_JSON_ARRAY) ? SYNC_OK : SYNC_ERROR;

    case '4':
        return (v.type == SYNC_JSON_OBJECT || v.type == SYNC_JSON_STRING)
               ? SYNC_OK : SYNC_ERROR;

    default:
        return SYNC_ERROR;
    }
}
