
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_refusal.h>
#include <sync_reply.h>


#define SYNC_REFUSAL_HEADERS  431       /* RFC 6585, 5 */


ngx_int_t
sync_refusal_send(ngx_http_request_t *r, sync_str_t *code, ngx_uint_t status)
{
    ngx_int_t             rc;
    ngx_buf_t            *b;
    ngx_chain_t           out;
    sync_writer_t         w;
    sync_reply_error_t    e;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    e.code = *code;
    e.params.len = 0;
    e.status = status;

    do {
        sync_reply_text(&w);
        sync_reply_write_error(&w, &e);

    } while (sync_reply_again(&w));

    b = ngx_create_temp_buf(r->pool, w.len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_cpymem(b->last, w.start, w.len);
    b->last_buf = 1;
    b->last_in_chain = 1;

    r->headers_out.status = status;
    r->headers_out.content_length_n = w.len;
    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
sync_refusal_headers(ngx_http_request_t *r)
{
    sync_str_t  code;

    sync_str_set(&code, "protocol.headersTooLarge");

    return sync_refusal_send(r, &code, SYNC_REFUSAL_HEADERS);
}
