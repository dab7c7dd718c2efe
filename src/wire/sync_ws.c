
/*
 * Copyright (C) sync for nginx
 */


#include "sync_ws.h"
#include "sync_utf8.h"


/* what stands at the start of a list that is parsed */

typedef struct {
    u_char      *pos;
    u_char      *last;
} sync_ws_text_t;


/* parameters of permessage-deflate that an offer has */

#define SYNC_WS_SERVER_TAKEOVER  0x01
#define SYNC_WS_CLIENT_TAKEOVER  0x02
#define SYNC_WS_SERVER_BITS      0x04
#define SYNC_WS_CLIENT_BITS      0x08


static void sync_ws_text_init(sync_ws_text_t *t, const sync_str_t *s);
static void sync_ws_skip_space(sync_ws_text_t *t);
static sync_int_t sync_ws_take(sync_ws_text_t *t, u_char ch);
static sync_int_t sync_ws_parse_token(sync_ws_text_t *t, sync_str_t *token);
static sync_int_t sync_ws_parse_value(sync_ws_text_t *t, sync_str_t *value,
    u_char *buf, size_t size);
static sync_int_t sync_ws_is_tchar(u_char ch);
static sync_int_t sync_ws_same_token(const sync_str_t *s1,
    const sync_str_t *s2);
static sync_int_t sync_ws_parse_offer(sync_ws_text_t *t,
    sync_ws_deflate_t *d, sync_uint_t bits);
static sync_int_t sync_ws_apply(sync_ws_deflate_t *d, sync_uint_t *seen,
    const sync_str_t *name, const sync_str_t *value, sync_uint_t bits);
static sync_uint_t sync_ws_bits(const sync_str_t *value);


ssize_t
sync_ws_parse_header(sync_ws_header_t *h, const u_char *p,
    const u_char *last, sync_uint_t deflate)
{
    size_t       n, i;
    u_char       opcode;
    uint64_t     len;
    sync_uint_t  control;

    if (p == last) {
        return SYNC_AGAIN;
    }

    opcode = p[0] & 0x0f;
    control = sync_ws_is_control(opcode);

    /* opcodes 3 to 7 and 11 to 15, RSV2 and RSV3 mean nothing yet */

    if ((opcode & 0x07) > 2 || (p[0] & 0x30)) {
        return SYNC_ERROR;
    }

    if ((p[0] & SYNC_WS_RSV1)
        && (!deflate || control || opcode == SYNC_WS_CONTINUATION))
    {
        return SYNC_ERROR;
    }

    if (control && !(p[0] & SYNC_WS_FIN)) {
        return SYNC_ERROR;
    }

    if (last - p < 2) {
        return SYNC_AGAIN;
    }

    len = p[1] & 0x7f;

    if (!(p[1] & 0x80) || (control && len > SYNC_WS_CONTROL_MAX)) {
        return SYNC_ERROR;
    }

    n = (len == 127) ? 8 : (len == 126) ? 2 : 0;

    if (n) {

        if ((size_t) (last - p) < 2 + n) {
            return SYNC_AGAIN;
        }

        len = 0;

        for (i = 0; i < n; i++) {
            len = len << 8 | p[2 + i];
        }

        /* the shortest form is a must, and the highest bit is zero */

        if (len < 126 || (n == 8 && (len < 0x10000 || len >> 63))) {
            return SYNC_ERROR;
        }
    }

    n += 2;

    if ((size_t) (last - p) < n + 4) {
        return SYNC_AGAIN;
    }

    h->len = len;
    h->opcode = opcode;
    h->fin = (p[0] & SYNC_WS_FIN) ? 1 : 0;
    h->deflated = (p[0] & SYNC_WS_RSV1) ? 1 : 0;

    memcpy(h->mask, p + n, 4);

    return n + 4;
}


sync_int_t
sync_ws_check_order(u_char *message, const sync_ws_header_t *h)
{
    if (sync_ws_is_control(h->opcode)) {
        return SYNC_OK;
    }

    if ((h->opcode == SYNC_WS_CONTINUATION) != (*message != 0)) {
        return SYNC_ERROR;
    }

    if (h->fin) {
        *message = 0;

    } else if (*message == 0) {
        *message = h->opcode;
    }

    return SYNC_OK;
}


void
sync_ws_unmask(u_char *dst, const u_char *p, size_t len,
    const u_char mask[4], uint64_t offset)
{
    size_t    i;
    u_char    key[8];
    uint64_t  word, m;

    for (i = 0; i < 8; i++) {
        key[i] = mask[(offset + i) & 3];
    }

    memcpy(&m, key, 8);

    while (len >= 8) {
        memcpy(&word, p, 8);
        word ^= m;
        memcpy(dst, &word, 8);

        p += 8;
        dst += 8;
        len -= 8;
    }

    for (i = 0; i < len; i++) {
        dst[i] = p[i] ^ key[i];
    }
}


sync_int_t
sync_ws_close_code_valid(sync_uint_t code)
{
    return (code >= 1000 && code <= 1003)
           || (code >= 1007 && code <= 1014)
           || (code >= 3000 && code <= 4999);
}


sync_int_t
sync_ws_parse_close(sync_uint_t *code, sync_str_t *reason,
    const sync_str_t *payload)
{
    u_char  *p;

    reason->len = 0;
    reason->data = payload->data;

    if (payload->len == 0) {
        *code = SYNC_WS_CODE_NONE;
        return SYNC_OK;
    }

    if (payload->len == 1) {
        return SYNC_WS_CODE_PROTOCOL;
    }

    p = payload->data;
    *code = p[0] << 8 | p[1];

    if (!sync_ws_close_code_valid(*code)) {
        return SYNC_WS_CODE_PROTOCOL;
    }

    reason->len = payload->len - 2;
    reason->data = p + 2;

    if (sync_utf8_check(reason->data, reason->data + reason->len)
        != SYNC_OK)
    {
        return SYNC_WS_CODE_INVALID;
    }

    return SYNC_OK;
}


size_t
sync_ws_header_len(uint64_t len)
{
    return (len < 126) ? 2 : (len < 0x10000) ? 4 : 10;
}


u_char *
sync_ws_write_header(u_char *dst, u_char first, uint64_t len)
{
    sync_int_t  shift;

    *dst++ = first;

    if (len < 126) {
        *dst++ = (u_char) len;
        return dst;
    }

    if (len < 0x10000) {
        *dst++ = 126;
        shift = 8;

    } else {
        *dst++ = 127;
        shift = 56;
    }

    while (shift >= 0) {
        *dst++ = (u_char) (len >> shift);
        shift -= 8;
    }

    return dst;
}


ssize_t
sync_ws_parse_server_header(uint64_t *len, const u_char *p,
    const u_char *last)
{
    ssize_t  i, n;

    if (last - p < 2) {
        return SYNC_AGAIN;
    }

    n = (p[1] < 126) ? 2 : (p[1] == 126) ? 4 : 10;

    if (last - p < n) {
        return SYNC_AGAIN;
    }

    *len = (n == 2) ? p[1] : 0;

    for (i = 2; i < n; i++) {
        *len = *len << 8 | p[i];
    }

    return n;
}


u_char *
sync_ws_write_close(u_char *dst, sync_uint_t code, const sync_str_t *reason)
{
    size_t  len;

    if (code == SYNC_WS_CODE_NONE) {
        return sync_ws_write_header(dst, SYNC_WS_FIN|SYNC_WS_CLOSE, 0);
    }

    len = reason->len;

    if (len > SYNC_WS_REASON_MAX) {
        len = SYNC_WS_REASON_MAX;

        while (len && (reason->data[len] & 0xc0) == 0x80) {
            len--;
        }
    }

    dst = sync_ws_write_header(dst, SYNC_WS_FIN|SYNC_WS_CLOSE, 2 + len);

    *dst++ = (u_char) (code >> 8);
    *dst++ = (u_char) code;

    if (len) {
        memcpy(dst, reason->data, len);
    }

    return dst + len;
}


sync_int_t
sync_ws_has_token(const sync_str_t *list, const sync_str_t *token)
{
    sync_str_t      item;
    sync_ws_text_t  t;

    sync_ws_text_init(&t, list);

    for ( ;; ) {
        sync_ws_skip_space(&t);

        if (t.pos == t.last) {
            return 0;
        }

        if (sync_ws_take(&t, ',') == SYNC_OK) {
            continue;
        }

        if (sync_ws_parse_token(&t, &item) != SYNC_OK) {
            return 0;
        }

        sync_ws_skip_space(&t);

        /* "websocket/13" is another thing than "websocket" */

        if (t.pos < t.last && *t.pos != ',') {

            t.pos = memchr(t.pos, ',', t.last - t.pos);

            if (t.pos == NULL) {
                return 0;
            }

            continue;
        }

        if (sync_ws_same_token(&item, token)) {
            return 1;
        }
    }
}


sync_int_t
sync_ws_has_protocol(const sync_str_t *list, const sync_str_t *protocol)
{
    sync_str_t      item;
    sync_ws_text_t  t;

    sync_ws_text_init(&t, list);

    for ( ;; ) {
        sync_ws_skip_space(&t);

        if (t.pos == t.last) {
            return 0;
        }

        if (sync_ws_take(&t, ',') == SYNC_OK) {
            continue;
        }

        if (sync_ws_parse_token(&t, &item) != SYNC_OK) {
            return 0;
        }

        sync_ws_skip_space(&t);

        if (t.pos < t.last && *t.pos != ',') {
            return 0;
        }

        if (sync_str_eq(&item, protocol)) {
            return 1;
        }
    }
}


static void
sync_ws_text_init(sync_ws_text_t *t, const sync_str_t *s)
{
    t->pos = s->data;
    t->last = s->len ? s->data + s->len : s->data;
}


static void
sync_ws_skip_space(sync_ws_text_t *t)
{
    while (t->pos < t->last && (*t->pos == ' ' || *t->pos == '\t')) {
        t->pos++;
    }
}


static sync_int_t
sync_ws_take(sync_ws_text_t *t, u_char ch)
{
    if (t->pos < t->last && *t->pos == ch) {
        t->pos++;
        return SYNC_OK;
    }

    return SYNC_DECLINED;
}


static sync_int_t
sync_ws_parse_token(sync_ws_text_t *t, sync_str_t *token)
{
    token->data = t->pos;

    while (t->pos < t->last && sync_ws_is_tchar(*t->pos)) {
        t->pos++;
    }

    token->len = t->pos - token->data;

    return token->len ? SYNC_OK : SYNC_ERROR;
}


static sync_int_t
sync_ws_is_tchar(u_char ch)
{
    return (ch >= '0' && ch <= '9')
           || (ch >= 'A' && ch <= 'Z')
           || (ch >= 'a' && ch <= 'z')
           || (ch && strchr("!#$%&'*+-.^_`|~", ch));
}


static sync_int_t
sync_ws_same_token(const sync_str_t *s1, const sync_str_t *s2)
{
    size_t  i;
    u_char  c1, c2;

    if (s1->len != s2->len) {
        return 0;
    }

    for (i = 0; i < s1->len; i++) {
        c1 = s1->data[i];
        c2 = s2->data[i];

        c1 = (c1 >= 'A' && c1 <= 'Z') ? c1 | 0x20 : c1;
        c2 = (c2 >= 'A' && c2 <= 'Z') ? c2 | 0x20 : c2;

        if (c1 != c2) {
            return 0;
        }
    }

    return 1;
}


sync_int_t
sync_ws_key_valid(const sync_str_t *key)
{
    size_t  i;
    u_char  ch;

    if (key->len != 24 || memcmp(key->data + 22, "==", 2) != 0) {
        return 0;
    }

    for (i = 0; i < 22; i++) {
        ch = key->data[i];

        if ((ch < '0' || ch > '9')
            && (ch < 'A' || ch > 'Z')
            && (ch < 'a' || ch > 'z')
            && ch != '+' && ch != '/')
        {
            return 0;
        }
    }

    return 1;
}


sync_int_t
sync_ws_parse_extensions(sync_ws_deflate_t *d, const sync_str_t *header,
    sync_uint_t bits)
{
    sync_int_t         rc, found;
    sync_ws_text_t     t;
    sync_ws_deflate_t  offer;

    sync_ws_text_init(&t, header);

    found = SYNC_DECLINED;

    for ( ;; ) {
        sync_ws_skip_space(&t);

        if (t.pos == t.last) {
            return found;
        }

        if (sync_ws_take(&t, ',') == SYNC_OK) {
            continue;
        }

        rc = sync_ws_parse_offer(&t, &offer, bits);

        if (rc == SYNC_ERROR) {
            return SYNC_ERROR;
        }

        /* the rest is only looked at for mistakes */

        if (rc == SYNC_OK && found == SYNC_DECLINED) {
            found = SYNC_OK;
            *d = offer;
        }

        if (t.pos < t.last && sync_ws_take(&t, ',') != SYNC_OK) {
            return SYNC_ERROR;
        }
    }
}


/* "permessage-deflate; client_max_window_bits; server_max_window_bits=10" */

static sync_int_t
sync_ws_parse_offer(sync_ws_text_t *t, sync_ws_deflate_t *d,
    sync_uint_t bits)
{
    u_char       buf[4];
    sync_int_t   rc;
    sync_str_t   name, value;
    sync_uint_t  seen;

    if (sync_ws_parse_token(t, &name) != SYNC_OK) {
        return SYNC_ERROR;
    }

    rc = sync_str_is(&name, "permessage-deflate") ? SYNC_OK : SYNC_DECLINED;
    d->bits = 0;
    seen = 0;

    for ( ;; ) {
        sync_ws_skip_space(t);

        if (sync_ws_take(t, ';') != SYNC_OK) {
            return rc;
        }

        sync_ws_skip_space(t);

        if (sync_ws_parse_token(t, &name) != SYNC_OK) {
            return SYNC_ERROR;
        }

        sync_ws_skip_space(t);

        value.len = 0;
        value.data = NULL;

        if (sync_ws_take(t, '=') == SYNC_OK) {
            sync_ws_skip_space(t);

            if (sync_ws_parse_value(t, &value, buf, sizeof(buf))
                != SYNC_OK)
            {
                return SYNC_ERROR;
            }
        }

        if (rc == SYNC_OK) {
            rc = sync_ws_apply(d, &seen, &name, &value, bits);
        }
    }
}


/*
 * a token, or a quoted string whose meaning is one (RFC 6455, 9.1); of a
 * quoted one only the start is kept, which is longer than any we know
 */

static sync_int_t
sync_ws_parse_value(sync_ws_text_t *t, sync_str_t *value, u_char *buf,
    size_t size)
{
    if (sync_ws_take(t, '"') != SYNC_OK) {
        return sync_ws_parse_token(t, value);
    }

    value->len = 0;
    value->data = buf;

    while (sync_ws_take(t, '"') != SYNC_OK) {

        (void) sync_ws_take(t, '\\');

        if (t->pos == t->last || !sync_ws_is_tchar(*t->pos)) {
            return SYNC_ERROR;
        }

        if (value->len < size) {
            buf[value->len++] = *t->pos;
        }

        t->pos++;
    }

    return value->len ? SYNC_OK : SYNC_ERROR;
}


static sync_int_t
sync_ws_apply(sync_ws_deflate_t *d, sync_uint_t *seen,
    const sync_str_t *name, const sync_str_t *value, sync_uint_t bits)
{
    sync_uint_t  flag, n;

    n = sync_ws_bits(value);

    if (sync_str_is(name, "server_no_context_takeover")) {
        flag = SYNC_WS_SERVER_TAKEOVER;

        if (value->data) {
            return SYNC_DECLINED;
        }

    } else if (sync_str_is(name, "client_no_context_takeover")) {
        flag = SYNC_WS_CLIENT_TAKEOVER;

        if (value->data) {
            return SYNC_DECLINED;
        }

    } else if (sync_str_is(name, "server_max_window_bits")) {
        flag = SYNC_WS_SERVER_BITS;

        if (n < bits) {
            return SYNC_DECLINED;
        }

        d->bits = bits;

    } else if (sync_str_is(name, "client_max_window_bits")) {
        flag = SYNC_WS_CLIENT_BITS;

        if (value->data && n == 0) {
            return SYNC_DECLINED;
        }

    } else {
        return SYNC_DECLINED;
    }

    if (*seen & flag) {
        return SYNC_DECLINED;
    }

    *seen |= flag;

    return SYNC_OK;
}


/* 8 to 15, written without leading zeros, or 0 */

static sync_uint_t
sync_ws_bits(const sync_str_t *value)
{
    u_char  *p;

    p = value->data;

    if (value->len == 1 && (p[0] == '8' || p[0] == '9')) {
        return p[0] - '0';
    }

    if (value->len == 2 && p[0] == '1' && p[1] >= '0' && p[1] <= '5') {
        return 10 + p[1] - '0';
    }

    return 0;
}


u_char *
sync_ws_write_extensions(u_char *dst, const sync_ws_deflate_t *d)
{
    static const char  text[] = "permessage-deflate"
                                "; server_no_context_takeover"
                                "; client_no_context_takeover";
    static const char  window[] = "; server_max_window_bits=";

    memcpy(dst, text, sizeof(text) - 1);
    dst += sizeof(text) - 1;

    if (d->bits) {
        memcpy(dst, window, sizeof(window) - 1);
        dst += sizeof(window) - 1;

        if (d->bits >= 10) {
            *dst++ = '1';
        }

        *dst++ = '0' + d->bits % 10;
    }

    return dst;
}
