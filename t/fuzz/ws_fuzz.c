
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_ws.h"
#include "sync_utf8.h"


/* what a receiver saw of a stream of frames, as a sum and a count */

typedef struct {
    uint64_t     sum;
    size_t       frames;
    size_t       taken;     /* bytes */
    sync_int_t   rc;
} digest_t;


static ssize_t naive_header(sync_ws_header_t *h, const u_char *p, size_t len,
    int deflate);
static void receive(digest_t *d, uint32_t cuts, const u_char *p, size_t len,
    int deflate);
static void add(digest_t *d, uint64_t n);
static void check_close(const u_char *p, size_t len);
static void check_write(const u_char *p, size_t len);
static void check_lists(const u_char *p, size_t len);
static int naive_has(const u_char *p, size_t len, const char *token,
    int any_case);
static int naive_token(u_char ch);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                deflate;
    u_char            *p;
    digest_t           whole, cut;
    sync_ws_header_t   h, n;

    if (size == 0) {
        return 0;
    }

    size--;
    p = fuzz_copy(data + 1, size);

    for (deflate = 0; deflate < 2; deflate++) {
        memset(&h, 0, sizeof(sync_ws_header_t));
        memset(&n, 0, sizeof(sync_ws_header_t));

        fuzz_check(sync_ws_parse_header(&h, p, p + size, deflate)
                   == naive_header(&n, p, size, deflate));
        fuzz_check(memcmp(&h, &n, sizeof(sync_ws_header_t)) == 0);

        receive(&whole, 0, p, size, deflate);
        receive(&cut, data[0], p, size, deflate);

        fuzz_check(whole.sum == cut.sum && whole.frames == cut.frames
                   && whole.rc == cut.rc);
    }

    check_close(p, size);
    check_write(p, size);
    check_lists(p, size);

    free(p);

    return 0;
}


/* asks for one thing after another, as RFC 6455, 5.2 has them */

static ssize_t
naive_header(sync_ws_header_t *h, const u_char *p, size_t len, int deflate)
{
    size_t    i, n;
    u_char    opcode;
    uint64_t  payload;

    if (len < 1) {
        return SYNC_AGAIN;
    }

    opcode = p[0] & 15;

    if (opcode != 0 && opcode != 1 && opcode != 2 && opcode != 8
        && opcode != 9 && opcode != 10)
    {
        return SYNC_ERROR;
    }

    if ((p[0] & 32) || (p[0] & 16)) {
        return SYNC_ERROR;
    }

    if ((p[0] & 64) && !(deflate && (opcode == 1 || opcode == 2))) {
        return SYNC_ERROR;
    }

    if (opcode >= 8 && (p[0] & 128) == 0) {
        return SYNC_ERROR;
    }

    if (len < 2) {
        return SYNC_AGAIN;
    }

    if ((p[1] & 128) == 0) {
        return SYNC_ERROR;
    }

    payload = p[1] & 127;
    n = 2;

    if (opcode >= 8 && payload > 125) {
        return SYNC_ERROR;
    }

    if (payload == 126) {
        n = 4;

        if (len < n) {
            return SYNC_AGAIN;
        }

        payload = p[2] * 256 + p[3];

        if (payload < 126) {
            return SYNC_ERROR;
        }

    } else if (payload == 127) {
        n = 10;

        if (len < n) {
            return SYNC_AGAIN;
        }

        for (i = 2, payload = 0; i < 10; i++) {
            payload = payload * 256 + p[i];
        }

        if (payload < 65536 || payload > INT64_MAX) {
            return SYNC_ERROR;
        }
    }

    if (len < n + 4) {
        return SYNC_AGAIN;
    }

    h->len = payload;
    h->opcode = opcode;
    h->fin = p[0] >> 7;
    h->deflated = p[0] >> 6 & 1;
    memcpy(h->mask, p + n, 4);

    return n + 4;
}


/* keeps a header until it is whole, unmasks a payload as it comes */

static void
receive(digest_t *d, uint32_t cuts, const u_char *p, size_t len, int deflate)
{
    size_t             i, n, take, kept;
    u_char             buf[SYNC_WS_HEADER_MAX];
    u_char             message;
    u_char            *piece, *pos, *last, *header;
    ssize_t            rc;
    uint64_t           offset;
    sync_ws_header_t   h;

    memset(d, 0, sizeof(digest_t));

    message = 0;
    kept = 0;
    offset = 0;
    h.len = 0;

    while (len) {
        n = fuzz_piece(&cuts, len);
        piece = fuzz_copy(p, n);

        p += n;
        len -= n;
        pos = piece;
        last = piece + n;

        while (pos < last) {

            if (offset < h.len) {
                take = last - pos;

                if (take > h.len - offset) {
                    take = h.len - offset;
                }

                sync_ws_unmask(pos, pos, take, h.mask, offset);

                for (i = 0; i < take; i++) {
                    add(d, pos[i]);
                }

                offset += take;
                pos += take;
                continue;
            }

            /* a header byte by byte, from memory of its own size */

            buf[kept++] = *pos++;
            header = fuzz_copy(buf, kept);
            rc = sync_ws_parse_header(&h, header, header + kept, deflate);
            free(header);

            if (rc == SYNC_AGAIN) {
                fuzz_check(kept < SYNC_WS_HEADER_MAX);
                continue;
            }

            if (rc == SYNC_ERROR
                || sync_ws_check_order(&message, &h) != SYNC_OK)
            {
                d->rc = SYNC_ERROR;
                free(piece);
                return;
            }

            fuzz_check((size_t) rc == kept);

            kept = 0;
            offset = 0;

            d->frames++;
            add(d, h.len);
            add(d, h.opcode + 16 * h.fin + 32 * h.deflated);
            add(d, message);
        }

        free(piece);
    }
}


static void
add(digest_t *d, uint64_t n)
{
    d->sum = (d->sum ^ n) * 1099511628211ULL + 1;
}


static void
check_close(const u_char *p, size_t len)
{
    u_char       buf[SYNC_WS_CLOSE_MAX];
    u_char      *last;
    sync_int_t   rc;
    sync_str_t   payload, reason;
    sync_uint_t  code;

    payload.data = (u_char *) p;
    payload.len = len;

    rc = sync_ws_parse_close(&code, &reason, &payload);

    if (rc != SYNC_OK) {
        fuzz_check(rc == SYNC_WS_CODE_PROTOCOL
                   || (rc == SYNC_WS_CODE_INVALID && len > 2));
        return;
    }

    last = sync_ws_write_close(buf, code, &reason);

    fuzz_check(last - buf <= SYNC_WS_CLOSE_MAX && buf[0] == 0x88);
    fuzz_check(buf[1] == last - buf - 2);

    if (len <= SYNC_WS_CONTROL_MAX) {
        fuzz_check((size_t) (last - buf) == 2 + len);
        fuzz_check(memcmp(buf + 2, p, len) == 0);

    } else {
        fuzz_check(memcmp(buf + 2, p, last - buf - 2) == 0);
        fuzz_check(sync_utf8_check(buf + 4, last) == SYNC_OK);
        fuzz_check(last - buf > SYNC_WS_CLOSE_MAX - 4);
    }
}


/* a server's header, with a mask put in, is a client's */

static void
check_write(const u_char *p, size_t len)
{
    u_char             buf[SYNC_WS_HEADER_MAX];
    u_char            *last;
    uint64_t           n, again;
    sync_ws_header_t   h;

    if (len < sizeof(uint64_t) + 1) {
        return;
    }

    memcpy(&n, p, sizeof(uint64_t));
    n = n >> 1 >> (p[8] & 63);

    last = sync_ws_write_header(buf, SYNC_WS_FIN|SYNC_WS_RSV1|SYNC_WS_BINARY,
                                n);

    fuzz_check((size_t) (last - buf) == sync_ws_header_len(n));
    fuzz_check(sync_ws_parse_server_header(&again, buf, last) == last - buf
               && again == n);

    buf[1] |= 0x80;
    memcpy(last, "abcd", 4);

    fuzz_check(sync_ws_parse_header(&h, buf, last + 4, 1) == last + 4 - buf);
    fuzz_check(h.len == n && h.fin && h.deflated
               && h.opcode == SYNC_WS_BINARY
               && memcmp(h.mask, "abcd", 4) == 0);
}


static void
check_lists(const u_char *p, size_t len)
{
    u_char              buf[SYNC_WS_EXTENSIONS_MAX];
    u_char             *again;
    sync_int_t          rc;
    sync_str_t          list, token;
    sync_ws_deflate_t   d;

    list.data = (u_char *) p;
    list.len = len;

    sync_str_set(&token, "Upgrade");
    fuzz_check(sync_ws_has_token(&list, &token)
               == naive_has(p, len, "upgrade", 1));

    sync_str_set(&token, SYNC_WS_PROTOCOL);
    rc = sync_ws_has_protocol(&list, &token);
    fuzz_check(rc == 0 || naive_has(p, len, SYNC_WS_PROTOCOL, 0));

    (void) sync_ws_key_valid(&list);

    rc = sync_ws_parse_extensions(&d, &list, 15);

    if (rc == SYNC_OK) {
        fuzz_check(d.bits == 0 || d.bits == 15);
        fuzz_check(len >= sizeof("permessage-deflate") - 1);

        /* one more offer in front, which cannot be met, changes nothing */

        again = fuzz_alloc(len + 4);
        memcpy(again, "x;y,", 4);
        memcpy(again + 4, p, len);
        list.data = again;
        list.len = len + 4;

        fuzz_check(sync_ws_parse_extensions(&d, &list, 15) == SYNC_OK);
        free(again);

        /* the answer is itself an offer that is taken */

        list.data = buf;
        list.len = sync_ws_write_extensions(buf, &d) - buf;

        fuzz_check(list.len <= SYNC_WS_EXTENSIONS_MAX);
        fuzz_check(sync_ws_parse_extensions(&d, &list, 15) == SYNC_OK);
    }
}


/* whether an item between commas, without spaces around it, is the token */

static int
naive_has(const u_char *p, size_t len, const char *token, int any_case)
{
    char    ch;
    size_t  i, k, start, end;

    for (i = 0, start = 0; i <= len; i++) {

        if (i < len && p[i] != ',') {
            continue;
        }

        end = i;

        while (start < end && (p[start] == ' ' || p[start] == '\t')) {
            start++;
        }

        while (start < end && (p[end - 1] == ' ' || p[end - 1] == '\t')) {
            end--;
        }

        /* what begins with no token makes the rest of it unreadable */

        if (start < end && !naive_token(p[start])) {
            return 0;
        }

        for (k = 0; token[k] && start + k < end; k++) {
            ch = p[start + k];

            if (any_case && ch >= 'A' && ch <= 'Z') {
                ch += 'a' - 'A';
            }

            if (ch != token[k]) {
                break;
            }
        }

        if (token[k] == '\0' && start + k == end) {
            return 1;
        }

        start = i + 1;
    }

    return 0;
}


static int
naive_token(u_char ch)
{
    return ch > 0x20 && ch < 0x7f && strchr("()<>@,;:\\\"/[]?={}", ch) == NULL;
}
