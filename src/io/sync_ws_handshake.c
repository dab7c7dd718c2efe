
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_sha1.h>
#include <sync_ws_handshake.h>
#include <sync_deflate.h>
#include <sync_detach.h>
#include <sync_ws.h>


#define SYNC_WS_GUID      "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define SYNC_WS_SHA1_LEN  20            /* bytes */

#define SYNC_WS_UPGRADE_REQUIRED  426


typedef struct {
    sync_str_t         *protocol;       /* ours */
    ngx_flag_t          compression;

    sync_str_t          key;
    sync_str_t          version;
    ngx_uint_t          keys;
    ngx_uint_t          versions;
    sync_ws_deflate_t   extension;
    unsigned            upgrade:1;
    unsigned            connection:1;
    unsigned            agreed:1;       /* to the protocol */
    unsigned            deflate:1;
} sync_ws_handshake_t;


static ngx_int_t sync_ws_handshake_parse(ngx_http_request_t *r,
    sync_ws_handshake_t *h);
static ngx_int_t sync_ws_handshake_parse_header(sync_ws_handshake_t *h,
    ngx_table_elt_t *header);
static ngx_int_t sync_ws_handshake_check(ngx_http_request_t *r,
    sync_ws_handshake_t *h);
static ngx_int_t sync_ws_handshake_refuse(ngx_http_request_t *r,
    const char *what);
static ngx_int_t sync_ws_handshake_answer(ngx_http_request_t *r,
    sync_ws_handshake_t *h);
static ngx_int_t sync_ws_handshake_accept(ngx_http_request_t *r,
    sync_str_t *key);


static sync_str_t  sync_ws_handshake_upgrade = sync_string("websocket");


ngx_int_t
sync_ws_handshake(ngx_http_request_t *r, sync_str_t *protocol,
    ngx_flag_t compression, ngx_uint_t *deflate)
{
    ngx_int_t            rc;
    sync_ws_handshake_t  h;

    if (r->method != NGX_HTTP_GET) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    ngx_memzero(&h, sizeof(sync_ws_handshake_t));

    h.protocol = protocol;
    h.compression = compression;

    rc = sync_ws_handshake_parse(r, &h);

    if (rc == NGX_OK) {
        rc = sync_ws_handshake_check(r, &h);
    }

    if (rc == NGX_OK) {
        rc = sync_ws_handshake_answer(r, &h);
    }

    *deflate = h.deflate;

    return rc;
}


static ngx_int_t
sync_ws_handshake_parse(ngx_http_request_t *r, sync_ws_handshake_t *h)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (sync_ws_handshake_parse_header(h, &header[i]) != SYNC_OK) {
            return sync_ws_handshake_refuse(r, "Sec-WebSocket-Extensions");
        }
    }

    return NGX_OK;
}


static ngx_int_t
sync_ws_handshake_parse_header(sync_ws_handshake_t *h,
    ngx_table_elt_t *header)
{
    ngx_int_t          rc;
    sync_str_t         name, value;
    static sync_str_t  upgrade = sync_string("upgrade");

    name.len = header->key.len;
    name.data = header->lowcase_key;

    value.len = header->value.len;
    value.data = header->value.data;

    if (sync_str_is(&name, "upgrade")) {
        h->upgrade |= sync_ws_has_token(&value, &sync_ws_handshake_upgrade);

    } else if (sync_str_is(&name, "connection")) {
        h->connection |= sync_ws_has_token(&value, &upgrade);

    } else if (sync_str_is(&name, "sec-websocket-key")) {
        h->key = value;
        h->keys++;

    } else if (sync_str_is(&name, "sec-websocket-version")) {
        h->version = value;
        h->versions++;

    } else if (sync_str_is(&name, "sec-websocket-protocol")) {
        h->agreed |= h->protocol->len
                     && sync_ws_has_protocol(&value, h->protocol);

    } else if (sync_str_is(&name, "sec-websocket-extensions")) {

        if (!h->compression || h->deflate) {
            return SYNC_OK;
        }

        rc = sync_ws_parse_extensions(&h->extension, &value,
                                      SYNC_DEFLATE_BITS);

        if (rc == SYNC_ERROR) {
            return SYNC_ERROR;
        }

        h->deflate = (rc == SYNC_OK);
    }

    return SYNC_OK;
}


static ngx_int_t
sync_ws_handshake_check(ngx_http_request_t *r, sync_ws_handshake_t *h)
{
    static sync_str_t  version = sync_string("13");

    if (r != r->main) {
        return sync_ws_handshake_refuse(r, "connection of its own");
    }

    if (r->http_version != NGX_HTTP_VERSION_11) {
        return sync_ws_handshake_refuse(r, "HTTP version");
    }

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {
        return sync_ws_handshake_refuse(r, "body");
    }

    if (h->upgrade && !h->connection) {
        return sync_ws_handshake_refuse(r, "Connection");
    }

    if (h->upgrade && h->versions != 1) {
        return sync_ws_handshake_refuse(r, "Sec-WebSocket-Version");
    }

    if (!h->upgrade || !sync_str_eq(&h->version, &version)) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "client asked for no WebSocket of version 13");

        if (sync_detach_header(r, "Upgrade", &sync_ws_handshake_upgrade)
            != NGX_OK
            || sync_detach_header(r, "Sec-WebSocket-Version", &version)
               != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return SYNC_WS_UPGRADE_REQUIRED;
    }

    if (h->keys != 1 || !sync_ws_key_valid(&h->key)) {
        return sync_ws_handshake_refuse(r, "Sec-WebSocket-Key");
    }

    return NGX_OK;
}


static ngx_int_t
sync_ws_handshake_refuse(ngx_http_request_t *r, const char *what)
{
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "client sent a WebSocket handshake with no or wrong %s",
                  what);

    return NGX_HTTP_BAD_REQUEST;
}


static ngx_int_t
sync_ws_handshake_answer(ngx_http_request_t *r, sync_ws_handshake_t *h)
{
    ngx_int_t   rc;
    sync_str_t  extension;
    u_char      buf[SYNC_WS_EXTENSIONS_MAX];

    if (sync_detach_header(r, "Upgrade", &sync_ws_handshake_upgrade) != NGX_OK
        || sync_ws_handshake_accept(r, &h->key) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (h->agreed
        && sync_detach_header(r, "Sec-WebSocket-Protocol", h->protocol)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (h->deflate) {
        extension.data = buf;
        extension.len = sync_ws_write_extensions(buf, &h->extension) - buf;

        if (sync_detach_header(r, "Sec-WebSocket-Extensions", &extension)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    r->keepalive = 0;
    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return rc;
    }

    if (ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
sync_ws_handshake_accept(ngx_http_request_t *r, sync_str_t *key)
{
    ngx_str_t   hash, text;
    ngx_sha1_t  sha1;
    sync_str_t  accept;
    u_char      digest[SYNC_WS_SHA1_LEN];
    u_char      buf[ngx_base64_encoded_length(SYNC_WS_SHA1_LEN)];

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, key->data, key->len);
    ngx_sha1_update(&sha1, SYNC_WS_GUID,
                    sizeof(SYNC_WS_GUID) - 1);
    ngx_sha1_final(digest, &sha1);

    hash.len = SYNC_WS_SHA1_LEN;
    hash.data = digest;
    text.data = buf;

    ngx_encode_base64(&text, &hash);

    accept.len = text.len;
    accept.data = text.data;

    return sync_detach_header(r, "Sec-WebSocket-Accept", &accept);
}
