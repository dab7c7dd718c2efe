
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_WS_H_INCLUDED_
#define _SYNC_WS_H_INCLUDED_


#include "sync_base.h"


/* the first byte of a frame */

#define SYNC_WS_CONTINUATION       0x00
#define SYNC_WS_TEXT               0x01
#define SYNC_WS_BINARY             0x02
#define SYNC_WS_CLOSE              0x08
#define SYNC_WS_PING               0x09
#define SYNC_WS_PONG               0x0a

#define SYNC_WS_FIN                0x80
#define SYNC_WS_RSV1               0x40     /* deflated (RFC 7692) */

#define sync_ws_is_control(opcode)  ((opcode) & 0x08)

#define SYNC_WS_CODE_NORMAL        1000
#define SYNC_WS_CODE_AWAY          1001
#define SYNC_WS_CODE_PROTOCOL      1002
#define SYNC_WS_CODE_UNSUPPORTED   1003
#define SYNC_WS_CODE_NONE          1005     /* never on the wire */
#define SYNC_WS_CODE_ABNORMAL      1006     /* never on the wire */
#define SYNC_WS_CODE_INVALID       1007
#define SYNC_WS_CODE_POLICY        1008
#define SYNC_WS_CODE_TOO_BIG       1009
#define SYNC_WS_CODE_INTERNAL      1011
#define SYNC_WS_CODE_RESTART       1012
#define SYNC_WS_CODE_TRY_LATER     1013

#define SYNC_WS_HEADER_MAX         14       /* bytes, from a client */
#define SYNC_WS_SERVER_HEADER_MAX  10       /* bytes, no mask */
#define SYNC_WS_CONTROL_MAX        125      /* bytes of payload */
#define SYNC_WS_REASON_MAX         123      /* bytes */
#define SYNC_WS_CLOSE_MAX          127      /* bytes, a whole close frame */
#define SYNC_WS_EXTENSIONS_MAX     128      /* bytes, the answer's text */

#define SYNC_WS_PROTOCOL           "sync.v1"


typedef struct {
    uint64_t   len;            /* of the payload, bytes */
    u_char     mask[4];
    u_char     opcode;         /* SYNC_WS_TEXT and so on */
    unsigned   fin:1;
    unsigned   deflated:1;     /* RSV1 */
} sync_ws_header_t;


/* an offer of permessage-deflate that was accepted */

typedef struct {
    u_char     bits;           /* our window, to be named in the answer;
                                  0 if the client did not ask */
} sync_ws_deflate_t;


/*
 * Parses the header of a client's frame at the start of [p, last).  RSV1 is
 * allowed if deflate is not 0, on the first frame of a message only.
 *
 * Returns its length in bytes, 6 to SYNC_WS_HEADER_MAX; SYNC_AGAIN if it is
 * not there in full, with nothing written to *h; or SYNC_ERROR if no client
 * may send it (RFC 6455, 5.1 and 5.2): close with 1002.  An error is told as
 * soon as it can be seen.
 *
 * Allocates nothing, keeps no pointer to the input.  The payload length is
 * the peer's word: compare it to a limit before acting on it.
 */
ssize_t sync_ws_parse_header(sync_ws_header_t *h, const u_char *p,
    const u_char *last, sync_uint_t deflate);

/*
 * Checks that a frame may stand where it does (RFC 6455, 5.4).  *message is
 * the opcode of the data message that is open, 0 if none is; it is set
 * accordingly.  Control frames may stand anywhere and change nothing.
 *
 * Returns SYNC_OK, or SYNC_ERROR: close with 1002.
 */
sync_int_t sync_ws_check_order(u_char *message, const sync_ws_header_t *h);

/*
 * Masks or unmasks len bytes that stand at offset in their frame's payload,
 * from p to dst, which may be p.
 */
void sync_ws_unmask(u_char *dst, const u_char *p, size_t len,
    const u_char mask[4], uint64_t offset);

/*
 * Returns 1 if a close frame may carry the code (RFC 6455, 7.4, and the
 * registry), else 0.
 */
sync_int_t sync_ws_close_code_valid(sync_uint_t code);

/*
 * Parses the unmasked payload of a close frame.
 *
 * Returns SYNC_OK, *code is SYNC_WS_CODE_NONE if the payload is empty; or
 * the code to close with: SYNC_WS_CODE_PROTOCOL if it has one byte only or
 * the code is not valid, SYNC_WS_CODE_INVALID if the reason is not UTF-8.
 */
sync_int_t sync_ws_parse_close(sync_uint_t *code, sync_str_t *reason,
    const sync_str_t *payload);

/*
 * Returns the length in bytes, 2 to SYNC_WS_SERVER_HEADER_MAX, of a server's
 * header for a payload of len bytes.
 */
size_t sync_ws_header_len(uint64_t len);

/*
 * Writes a server's frame header; first is the opcode with SYNC_WS_FIN and
 * SYNC_WS_RSV1 as needed.  Returns the end of what was written.
 */
u_char *sync_ws_write_header(u_char *dst, u_char first, uint64_t len);

/*
 * Reads such a header back, of a frame that we wrote, at the start of
 * [p, last).  Returns its length and sets *len to the payload's, whose end may
 * be behind last; or SYNC_AGAIN if it is not there in full.
 */
ssize_t sync_ws_parse_server_header(uint64_t *len, const u_char *p,
    const u_char *last);

/*
 * Writes a whole close frame, SYNC_WS_CLOSE_MAX bytes at most, with no
 * payload if code is SYNC_WS_CODE_NONE.  The reason must be valid UTF-8; it
 * is cut between characters if it is too long.  Returns the end of what was
 * written.
 */
u_char *sync_ws_write_close(u_char *dst, sync_uint_t code,
    const sync_str_t *reason);

/*
 * Returns 1 if a header that is a list of tokens, as "keep-alive, Upgrade",
 * has the token, whatever its case; else 0.
 */
sync_int_t sync_ws_has_token(const sync_str_t *list, const sync_str_t *token);

/*
 * Returns 1 if a Sec-WebSocket-Protocol header has the subprotocol, case
 * sensitive; else 0.
 */
sync_int_t sync_ws_has_protocol(const sync_str_t *list,
    const sync_str_t *protocol);

/*
 * Returns 1 if a Sec-WebSocket-Key could be 16 bytes in base64, else 0.
 */
sync_int_t sync_ws_key_valid(const sync_str_t *key);

/*
 * Parses a Sec-WebSocket-Extensions header for the first offer of
 * permessage-deflate (RFC 7692) that we can serve with a window of bits, 9
 * to 15, and no context takeover either way.  An offer with parameters that
 * are unknown, doubled or out of range is passed over.
 *
 * Returns SYNC_OK and sets *d; SYNC_DECLINED if there is no such offer; or
 * SYNC_ERROR if the header is malformed: answer the handshake with 400.
 */
sync_int_t sync_ws_parse_extensions(sync_ws_deflate_t *d,
    const sync_str_t *header, sync_uint_t bits);

/*
 * Writes the value of the answer's Sec-WebSocket-Extensions header,
 * SYNC_WS_EXTENSIONS_MAX bytes at most.  Returns the end of what was written.
 */
u_char *sync_ws_write_extensions(u_char *dst, const sync_ws_deflate_t *d);


#endif /* _SYNC_WS_H_INCLUDED_ */
