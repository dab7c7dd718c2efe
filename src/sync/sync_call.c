
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include <sync_call.h>
#include <sync_session.h>
#include <sync_pool.h>
#include <sync_random.h>


#define SYNC_CALL_HEADERS  4
#define SYNC_CALL_KEEP     8192         /* bytes of headers a client keeps */


/* The headers that are kept, and passed on to the app. */

static ngx_str_t  sync_call_headers[SYNC_CALL_HEADERS] = {
    ngx_string("Cookie"),
    ngx_string("Authorization"),
    ngx_string("Accept-Language"),
    ngx_string("User-Agent")
};


/* values stand one after another behind it */

struct sync_caller_s {
    ngx_queue_t              calls;
    ngx_queue_t              waiting;
    ngx_uint_t               ncalls;
    uint16_t                 lens[SYNC_CALL_HEADERS];
    uint16_t                 token_len;     /* it stands behind them */
    uint16_t                 place;         /* its source's */
    u_char                   values[1];
};


static ngx_uint_t sync_call_asks(sync_settings_t *s);
static sync_caller_t *sync_call_caller(sync_client_t *c, size_t len);
static void sync_call_make_id(sync_call_t *call);
static ngx_uint_t sync_call_from_request(ngx_http_request_t *r,
    ngx_keyval_t *headers);
static ngx_uint_t sync_call_from_caller(sync_caller_t *caller,
    ngx_keyval_t *headers);
static ngx_int_t sync_call_data(sync_hook_t *h, u_char *p, size_t len);
static ngx_uint_t sync_call_is_ndjson(ngx_str_t *type);
static ngx_int_t sync_call_line(void *data, sync_json_t *line);
static ngx_int_t sync_call_taken(sync_call_t *call, ngx_int_t rc);
static void sync_call_hook_done(sync_hook_t *h, sync_hook_result_e result);
static void sync_call_end(sync_call_t *call, sync_hook_result_e result);
static void sync_call_finish(sync_call_t *call, sync_call_result_e rc);
static void sync_call_log(sync_call_t *call, sync_call_result_e rc);
static sync_call_result_e sync_call_parse(sync_call_t *call,
    sync_hook_result_e result);
static void sync_call_unlink(sync_call_t *call);


static const sync_hook_handler_t  sync_call_handler = {
    sync_call_data,
    sync_call_hook_done
};


/* calls that no client's queue has */

static ngx_queue_t  sync_call_others = {
    &sync_call_others, &sync_call_others
};


ngx_int_t
sync_call_keeps(sync_settings_t *s, ngx_http_request_t *r)
{
    size_t        len;
    ngx_uint_t    n;
    ngx_keyval_t  headers[SYNC_CALL_HEADERS];

    n = sync_call_asks(s) ? sync_call_from_request(r, headers) : 0;

    for (len = 0; n; n--) {
        len += headers[n - 1].value.len;
    }

    if (len <= SYNC_CALL_KEEP) {
        return SYNC_OK;
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "headers for hooks are too large: %uz bytes", len);

    return SYNC_BUSY;
}


ngx_int_t
sync_call_keep(sync_client_t *c, ngx_http_request_t *r, sync_str_t *token,
    ngx_int_t place)
{
    size_t          len;
    u_char         *p;
    ngx_uint_t      i, j, n;
    sync_caller_t  *caller;
    ngx_keyval_t    headers[SYNC_CALL_HEADERS];

    n = sync_call_asks(sync_settings(c)) ? sync_call_from_request(r, headers)
                                         : 0;
    len = 0;

    for (i = 0; i < n; i++) {
        len += headers[i].value.len;
    }

    if (n == 0 && token->len == 0) {
        return SYNC_OK;
    }

    /* it was looked at before: see sync_call_keeps() */

    if (len > SYNC_CALL_KEEP) {
        return SYNC_ERROR;
    }

    caller = sync_call_caller(c, len + token->len);
    if (caller == NULL) {
        return SYNC_ERROR;
    }

    p = caller->values;
    i = 0;

    for (j = 0; j < SYNC_CALL_HEADERS && i < n; j++) {

        if (headers[i].key.data != sync_call_headers[j].data) {
            continue;
        }

        caller->lens[j] = headers[i].value.len;
        p = ngx_cpymem(p, headers[i].value.data, headers[i].value.len);
        i++;
    }

    if (token->len) {
        caller->token_len = (uint16_t) token->len;
        caller->place = (uint16_t) place;
        ngx_memcpy(p, token->data, token->len);
    }

    return SYNC_OK;
}


ngx_int_t
sync_call_share(sync_client_t *c, sync_client_t *from)
{
    size_t          len;
    ngx_uint_t      i;
    sync_caller_t  *caller, *kept;

    kept = from->opaque;

    if (kept == NULL) {
        return SYNC_OK;
    }

    len = kept->token_len;

    for (i = 0; i < SYNC_CALL_HEADERS; i++) {
        len += kept->lens[i];
    }

    caller = sync_call_caller(c, len);
    if (caller == NULL) {
        return SYNC_ERROR;
    }

    ngx_memcpy(caller->lens, kept->lens, sizeof(caller->lens));
    caller->token_len = kept->token_len;
    caller->place = kept->place;
    ngx_memcpy(caller->values, kept->values, len);

    return SYNC_OK;
}


/* Whether a hook may ever be asked; a manifest may have hooks of its own. */

static ngx_uint_t
sync_call_asks(sync_settings_t *s)
{
    ngx_uint_t  i;

    for (i = 0; i < SYNC_HOOK_MAX; i++) {
        if (s->hooks[i].uri.len) {
            return 1;
        }
    }

    return s->manifest != NULL;
}


ngx_int_t
sync_call_kept_token(sync_client_t *c, sync_str_t *token)
{
    ngx_uint_t      i;
    sync_caller_t  *caller;

    caller = c->opaque;

    if (caller == NULL || caller->token_len == 0) {
        return SYNC_DECLINED;
    }

    token->data = caller->values;
    token->len = caller->token_len;

    for (i = 0; i < SYNC_CALL_HEADERS; i++) {
        token->data += caller->lens[i];
    }

    return caller->place;
}


static sync_caller_t *
sync_call_caller(sync_client_t *c, size_t len)
{
    sync_caller_t  *caller;

    /* it is made with the headers, or is found */

    if (c->opaque) {
        return len ? NULL : c->opaque;
    }

    len += offsetof(sync_caller_t, values);

    caller = ngx_alloc(len, ngx_cycle->log);
    if (caller == NULL) {
        return NULL;
    }

    ngx_memzero(caller, len);

    ngx_queue_init(&caller->calls);
    ngx_queue_init(&caller->waiting);

    c->opaque = caller;

    return caller;
}


ngx_queue_t *
sync_call_waiting(sync_client_t *c)
{
    sync_caller_t  *caller;

    caller = sync_call_caller(c, 0);

    return caller ? &caller->waiting : NULL;
}


ngx_uint_t
sync_call_busy(sync_client_t *c)
{
    ngx_queue_t    *q;
    sync_call_t    *call;
    sync_caller_t  *caller;

    caller = c->opaque;

    if (caller == NULL) {
        return 0;
    }

    for (q = ngx_queue_head(&caller->calls);
         q != ngx_queue_sentinel(&caller->calls);
         q = ngx_queue_next(q))
    {
        call = ngx_queue_data(q, sync_call_t, queue);

        if (!call->outlive) {
            return 1;
        }
    }

    return !ngx_queue_empty(&caller->waiting);
}


void
sync_call_client_closed(sync_client_t *c)
{
    ngx_queue_t    *q;
    sync_call_t    *call;
    sync_caller_t  *caller;

    caller = c->opaque;

    if (caller == NULL) {
        return;
    }

    while (!ngx_queue_empty(&caller->calls)) {
        q = ngx_queue_head(&caller->calls);
        call = ngx_queue_data(q, sync_call_t, queue);

        if (!call->outlive) {
            sync_call_cancel(call);
            continue;
        }

        sync_call_unlink(call);
        call->client = NULL;
        ngx_queue_insert_tail(&sync_call_others, &call->queue);

        if (call->left) {
            call->left(call, c->record == NULL);
        }
    }

    c->opaque = NULL;
    ngx_free(caller);
}


sync_call_t *
sync_call_create(sync_client_t *c, sync_settings_t *s,
    sync_hook_event_e event, sync_call_done_pt done)
{
    ngx_pool_t     *pool;
    sync_call_t    *call;
    sync_caller_t  *caller;

    caller = NULL;

    if (c) {
        caller = sync_call_caller(c, 0);

        if (caller == NULL || caller->ncalls == SYNC_CALLS_MAX) {
            return NULL;
        }
    }

    pool = sync_pool_create();
    if (pool == NULL) {
        return NULL;
    }

    call = ngx_pcalloc(pool, sizeof(sync_call_t));
    if (call == NULL) {
        sync_pool_destroy(pool);
        return NULL;
    }

    call->pool = pool;
    call->settings = s;
    call->event = event;
    call->uri = s->hooks[event].uri;
    call->done = done;
    call->last = &call->answer;

    sync_call_make_id(call);

    if (c) {
        call->client = c;
        call->linked = 1;
        caller->ncalls++;
        ngx_queue_insert_tail(&caller->calls, &call->queue);

    } else {
        ngx_queue_insert_tail(&sync_call_others, &call->queue);
    }

    return call;
}


/* RFC 9562, 5.4 */

static void
sync_call_make_id(sync_call_t *call)
{
    u_char      *p, random[16];
    ngx_uint_t   i;

    static u_char  hex[] = "0123456789abcdef";

    sync_random(random, sizeof(random));

    random[6] = (random[6] & 0x0f) | 0x40;
    random[8] = (random[8] & 0x3f) | 0x80;

    p = call->id;

    for (i = 0; i < sizeof(random); i++) {

        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *p++ = '-';
        }

        *p++ = hex[random[i] >> 4];
        *p++ = hex[random[i] & 0x0f];
    }
}


void
sync_call_write(sync_call_t *call, sync_writer_t *w, const u_char *id,
    sync_str_t *user, ngx_http_request_t *r)
{
    ngx_uint_t       i, n;
    sync_str_t       json, token, ip;
    ngx_keyval_t     headers[SYNC_CALL_HEADERS];
    u_char           text[NGX_SOCKADDR_STRLEN];

    sync_write_literal(w, "{\"v\":1,\"id\":\"");
    sync_write(w, call->id, SYNC_CALL_ID_TEXT);
    sync_write_literal(w, "\",\"event\":\"");
    sync_write_str(w, &sync_hook_events[call->event]);

    sync_write_literal(w, "\",\"clientId\":");

    if (id) {
        sync_registry_print_id(text, id);
        sync_write_byte(w, '"');
        sync_write(w, text, SYNC_ID_TEXT);
        sync_write_byte(w, '"');

    } else {
        sync_write_literal(w, "null");
    }

    if (user->len) {
        sync_write_literal(w, ",\"userId\":");
        sync_json_write_str(w, user);
    }

    sync_write_literal(w, ",\"user\":");

    if (call->session.len) {
        sync_write_str(w, &call->session);

    } else if (call->client
               && sync_session_get(call->client, &json) == SYNC_OK)
    {
        sync_write_str(w, &json);

    } else {
        sync_write_literal(w, "null");
    }

    sync_write_literal(w, ",\"token\":");

    token = call->token;

    if (token.len == 0 && call->client) {
        sync_session_token(call->client, &token);
    }

    if (token.len) {
        sync_json_write_str(w, &token);

    } else {
        sync_write_literal(w, "null");
    }

    sync_write_literal(w, ",\"ip\":\"");

    ip.len = 0;
    n = 0;

    if (r) {
        ip.data = r->connection->addr_text.data;
        ip.len = r->connection->addr_text.len;
        n = sync_call_from_request(r, headers);

    } else if (call->client) {
        ip.data = text;
        ip.len = sync_client_address(call->client, text);
        n = sync_call_from_caller(call->client->opaque, headers);
    }

    if (ip.len) {
        sync_client_plain_address(&ip);
        sync_write_str(w, &ip);
    }

    sync_write_literal(w, "\",\"locale\":");

    for (i = 0; i < n; i++) {
        if (headers[i].key.data == sync_call_headers[2].data) {
            sync_json_write_string(w, headers[i].value.data,
                                   headers[i].value.len);
            return;
        }
    }

    sync_write_literal(w, "null");
}


ngx_int_t
sync_call_start(sync_call_t *call, sync_str_t *body, ngx_http_request_t *r)
{
    ngx_int_t           rc;
    sync_zone_t        *z;
    ngx_sockaddr_t      sa;
    sync_hook_args_t    args;
    ngx_keyval_t        headers[SYNC_CALL_HEADERS];
    u_char              text[NGX_SOCKADDR_STRLEN];

    static struct sockaddr  unspec;     /* of who is gone */

    z = call->settings->main->zone;

    ngx_memzero(&args, sizeof(sync_hook_args_t));

    args.ctx = call->settings->client.ctx;
    args.uri = call->uri;
    args.body.data = body->data;
    args.body.len = body->len;

    args.id.data = call->id;
    args.id.len = SYNC_CALL_ID_TEXT;

    if (call->request_id.len) {
        args.id.data = call->request_id.data;
        args.id.len = call->request_id.len;
    }

    if (r) {
        args.sockaddr = r->connection->sockaddr;
        args.socklen = r->connection->socklen;
        args.addr_text = r->connection->addr_text;
        args.nheaders = sync_call_from_request(r, headers);

    } else if (call->client == NULL) {
        args.socklen = sizeof(struct sockaddr);
        args.sockaddr = &unspec;

    } else {
        args.socklen = sync_client_sockaddr(call->client, &sa);
        args.sockaddr = &sa.sockaddr;
        args.addr_text.data = text;
        args.addr_text.len = sync_client_address(call->client, text);
        args.nheaders = sync_call_from_caller(call->client->opaque, headers);
    }

    args.headers = headers;
    args.max_answer = call->line ? SYNC_CALL_LINES_MAX : SYNC_CALL_ANSWER_MAX;
    args.handler = &sync_call_handler;
    args.opaque = call;

    rc = sync_hook_start(&args, &call->hook);

    if (rc == SYNC_OK) {
        sync_zone_count(z, SYNC_COUNT_HOOKS, 1);
        return SYNC_OK;
    }

    call->hook = NULL;

    if (rc == SYNC_BUSY) {
        sync_zone_count(z, SYNC_COUNT_HOOK_BUSY, 1);
    }

    sync_call_cancel(call);

    return rc;
}


static ngx_uint_t
sync_call_from_request(ngx_http_request_t *r, ngx_keyval_t *headers)
{
    ngx_uint_t        i, j, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = 0;

    for (j = 0; j < SYNC_CALL_HEADERS; j++) {

        part = &r->headers_in.headers.part;
        h = part->elts;

        for (i = 0; /* void */; i++) {

            if (i >= part->nelts) {
                if (part->next == NULL) {
                    break;
                }

                part = part->next;
                h = part->elts;
                i = 0;
            }

            if (h[i].key.len == sync_call_headers[j].len
                && ngx_strncasecmp(h[i].key.data, sync_call_headers[j].data,
                                   h[i].key.len)
                   == 0)
            {
                headers[n].key = sync_call_headers[j];
                headers[n].value = h[i].value;
                n++;
                break;
            }
        }
    }

    return n;
}


static ngx_uint_t
sync_call_from_caller(sync_caller_t *caller, ngx_keyval_t *headers)
{
    u_char      *p;
    ngx_uint_t   j, n;

    if (caller == NULL) {
        return 0;
    }

    n = 0;
    p = caller->values;

    for (j = 0; j < SYNC_CALL_HEADERS; j++) {
        if (caller->lens[j]) {
            headers[n].key = sync_call_headers[j];
            headers[n].value.data = p;
            headers[n].value.len = caller->lens[j];
            p += caller->lens[j];
            n++;
        }
    }

    return n;
}


static ngx_int_t
sync_call_data(sync_hook_t *h, u_char *p, size_t len)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;
    sync_call_t  *call;

    call = sync_hook_opaque(h);

    if (call->answered) {

        /* nobody waits for what follows the last line */

        return SYNC_OK;
    }

    if (!call->begun) {
        call->begun = 1;

        call->streamed = call->line
                         && sync_call_is_ndjson(sync_hook_content_type(h));

        sync_lines_init(&call->lines, SYNC_CALL_ANSWER_MAX, sync_call_line,
                        call);
    }

    if (call->streamed) {
        call->busy = 1;
        rc = sync_lines_read(&call->lines, p, len);

        rc = sync_call_taken(call, rc);

        return (rc == SYNC_AGAIN) ? SYNC_AGAIN : SYNC_OK;
    }

    if (len > SYNC_CALL_ANSWER_MAX - call->len) {
        sync_call_finish(call, SYNC_CALL_INVALID);
        sync_call_cancel(call);
        return SYNC_OK;
    }

    cl = ngx_alloc_chain_link(call->pool);
    if (cl == NULL) {
        call->broken = 1;
        return SYNC_OK;
    }

    b = ngx_create_temp_buf(call->pool, len);
    if (b == NULL) {
        call->broken = 1;
        return SYNC_OK;
    }

    b->last = ngx_cpymem(b->last, p, len);

    cl->buf = b;
    cl->next = NULL;

    *call->last = cl;
    call->last = &cl->next;
    call->len += len;

    return SYNC_OK;
}


static ngx_uint_t
sync_call_is_ndjson(ngx_str_t *type)
{
    size_t  len;

    len = sizeof("application/x-ndjson") - 1;

    return type->len >= len
           && ngx_strncasecmp(type->data, (u_char *) "application/x-ndjson",
                              len)
              == 0
           && (type->len == len || type->data[len] == ';'
               || type->data[len] == ' ');
}


/* One that has the call cancelled is the last. */

static ngx_int_t
sync_call_line(void *data, sync_json_t *line)
{
    sync_call_t *call = data;

    ngx_int_t  rc;

    rc = call->line(call, line);

    return call->gone ? SYNC_ERROR : rc;
}


/*
 * Lines were taken, the call being busy.  Returns SYNC_OK, SYNC_AGAIN if the
 * rest has to wait, or SYNC_DONE if there is none; the call may be gone then.
 */

static ngx_int_t
sync_call_taken(sync_call_t *call, ngx_int_t rc)
{
    call->busy = 0;

    if (call->gone) {
        sync_call_cancel(call);
        return SYNC_DONE;
    }

    if (rc == SYNC_OK || rc == SYNC_AGAIN) {
        return rc;
    }

    if (rc == SYNC_DONE) {

        /* the connection is kept if the app ends the answer now */

        sync_call_finish(call, SYNC_CALL_ANSWERED);

        if (call->gone || call->hook == NULL) {
            sync_call_cancel(call);
        }

        return SYNC_DONE;
    }

    sync_call_finish(call, rc == SYNC_DECLINED ? SYNC_CALL_FAILED
                                               : SYNC_CALL_INVALID);
    sync_call_cancel(call);

    return SYNC_DONE;
}


static void
sync_call_hook_done(sync_hook_t *h, sync_hook_result_e result)
{
    sync_call_t  *call;

    call = sync_hook_opaque(h);

    call->status = sync_hook_status(h);
    call->hook = NULL;

    if (sync_lines_wait(&call->lines) && !call->answered) {

        /* it failed behind lines that wait */

        call->over = 1;
        call->ended = result;
        return;
    }

    sync_call_end(call, result);
}


static void
sync_call_end(sync_call_t *call, sync_hook_result_e result)
{
    ngx_int_t  rc;

    if (call->answered) {
        sync_call_cancel(call);
        return;
    }

    if (!call->streamed) {
        sync_call_finish(call, sync_call_parse(call, result));
        sync_call_cancel(call);
        return;
    }

    if (result != SYNC_HOOK_DONE) {
        call->fault = (result == SYNC_HOOK_LARGE) ? "size"
                      : (result == SYNC_HOOK_CUT) ? "cut" : NULL;

        sync_call_finish(call, result == SYNC_HOOK_LARGE ? SYNC_CALL_INVALID
                                                         : SYNC_CALL_FAILED);
        sync_call_cancel(call);
        return;
    }

    /* the last line may lack its LF, and may have to wait */

    call->busy = 1;
    rc = sync_lines_end(&call->lines);

    if (rc == SYNC_AGAIN && !call->gone) {
        call->busy = 0;
        call->over = 1;
        call->ended = result;
        return;
    }

    if (rc == SYNC_OK) {
        call->fault = "final";
        rc = SYNC_DECLINED;
    }

    (void) sync_call_taken(call, rc);
}


/*
 * Tells the asker.  The client may be closed by what it is told: a call that
 * outlives it hears of that, and others have let go of it before.
 */

static void
sync_call_finish(sync_call_t *call, sync_call_result_e rc)
{
    call->answered = 1;

    if (!call->outlive) {
        sync_call_unlink(call);
    }

    if (call->hook) {
        call->status = sync_hook_status(call->hook);
    }

    if (rc != SYNC_CALL_ANSWERED) {
        sync_call_log(call, rc);
    }

    call->busy = 1;

    call->done(call, rc);

    call->busy = 0;

    if (call->waits) {
        return;
    }

    sync_call_unlink(call);
    call->client = NULL;

    /* its hook may go on for a while */

    ngx_queue_insert_tail(&sync_call_others, &call->queue);
}


static void
sync_call_log(sync_call_t *call, sync_call_result_e rc)
{
    ngx_str_t   *uri;
    const char  *what;

    if (call->fault == NULL) {
        call->fault = call->lines.fault;
    }

    sync_zone_count(call->settings->main->zone, SYNC_COUNT_HOOK_FAILURES, 1);

    uri = &call->uri;

    what = (rc == SYNC_CALL_FAILED) ? "failed"
           : call->streamed ? "answered an invalid line"
           : "answered no JSON object";

    if (call->fault) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "hook \"%V\" %s, status %ui, line %ui, wrong: %s",
                      uri, what, call->status, call->lines.n, call->fault);

    } else {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "hook \"%V\" %s, status %ui", uri, what,
                      call->status);
    }
}


static sync_call_result_e
sync_call_parse(sync_call_t *call, sync_hook_result_e result)
{
    u_char       *p;
    sync_str_t    text;
    ngx_chain_t  *cl;

    if (result == SYNC_HOOK_LARGE) {
        return SYNC_CALL_INVALID;
    }

    if (result != SYNC_HOOK_DONE || call->broken) {
        call->fault = (result == SYNC_HOOK_CUT) ? "cut" : NULL;
        return SYNC_CALL_FAILED;
    }

    if (call->answer && call->answer->next == NULL) {
        text.data = call->answer->buf->pos;

    } else {
        text.data = ngx_pnalloc(call->pool, call->len + 1);
        if (text.data == NULL) {
            return SYNC_CALL_FAILED;
        }

        p = text.data;

        for (cl = call->answer; cl; cl = cl->next) {
            p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
        }
    }

    text.len = call->len;

    if (sync_json_parse(&call->value, &text, NULL) != SYNC_OK
        || call->value.type != SYNC_JSON_OBJECT)
    {
        return SYNC_CALL_INVALID;
    }

    return SYNC_CALL_ANSWERED;
}


void
sync_call_cancel(sync_call_t *call)
{
    if (call->hook) {
        sync_hook_cancel(call->hook);
        call->hook = NULL;
    }

    if (call->waits) {
        call->gone = 1;
        return;
    }

    sync_call_unlink(call);

    if (call->busy) {
        call->gone = 1;
        return;
    }

    sync_lines_done(&call->lines);

    sync_pool_destroy(call->pool);
}


void
sync_call_skip(sync_call_t *call)
{
    call->answered = 1;
    call->busy = 1;

    call->done(call, SYNC_CALL_UNASKED);

    call->busy = 0;

    sync_call_cancel(call);
}


void
sync_call_wait(sync_call_t *call)
{
    call->waits = 1;
}


void
sync_call_release(sync_call_t *call)
{
    call->waits = 0;

    sync_call_unlink(call);
    call->client = NULL;

    if (call->gone || call->hook == NULL) {
        sync_call_cancel(call);
        return;
    }

    /* its hook goes on for a while */

    ngx_queue_insert_tail(&sync_call_others, &call->queue);
}


void
sync_call_resume(sync_call_t *call)
{
    ngx_int_t  rc;

    if (sync_lines_wait(&call->lines)) {

        call->busy = 1;
        rc = sync_lines_again(&call->lines);

        if (sync_call_taken(call, rc) != SYNC_OK) {
            return;
        }
    }

    if (call->over) {
        sync_call_end(call, call->ended);
        return;
    }

    if (call->hook) {
        sync_hook_resume(call->hook);
    }
}


sync_call_t *
sync_call_next(sync_client_t *c, sync_call_t *call)
{
    ngx_queue_t    *q;
    sync_caller_t  *caller;

    caller = c->opaque;

    if (caller == NULL) {
        return NULL;
    }

    q = call ? ngx_queue_next(&call->queue) : ngx_queue_head(&caller->calls);

    return (q == ngx_queue_sentinel(&caller->calls))
           ? NULL : ngx_queue_data(q, sync_call_t, queue);
}


static void
sync_call_unlink(sync_call_t *call)
{
    sync_caller_t  *caller;

    if (call->linked) {
        caller = call->client->opaque;
        caller->ncalls--;
        call->linked = 0;
    }

    if (call->queue.next) {
        ngx_queue_remove(&call->queue);
        call->queue.next = NULL;
    }
}


void
sync_call_order(sync_json_t *order)
{
    ngx_queue_t  *q, *next;
    sync_call_t  *call;

    for (q = ngx_queue_head(&sync_call_others);
         q != ngx_queue_sentinel(&sync_call_others);
         q = next)
    {
        next = ngx_queue_next(q);
        call = ngx_queue_data(q, sync_call_t, queue);

        if (call->order && call->order(call, order)) {
            return;
        }
    }
}


ngx_uint_t
sync_call_pending(void)
{
    ngx_queue_t  *q;
    sync_call_t  *call;

    for (q = ngx_queue_head(&sync_call_others);
         q != ngx_queue_sentinel(&sync_call_others);
         q = ngx_queue_next(q))
    {
        call = ngx_queue_data(q, sync_call_t, queue);

        if (call->order && (!call->answered || call->waits)) {
            return 1;
        }
    }

    return 0;
}


void
sync_call_exit_process(void)
{
    ngx_queue_t  *q;
    sync_call_t  *call;

    while (!ngx_queue_empty(&sync_call_others)) {
        q = ngx_queue_head(&sync_call_others);

        call = ngx_queue_data(q, sync_call_t, queue);
        call->waits = 0;

        sync_call_cancel(call);
    }
}


ngx_uint_t
sync_call_stop(sync_call_t *call, sync_str_t *code, ngx_uint_t *status)
{
    u_char       *buf;
    int64_t       n;
    sync_str_t    text;
    sync_json_t   stop, v;

    if (sync_json_get(&stop, &call->value, "stop") != SYNC_OK
        || stop.type == SYNC_JSON_NULL
        || stop.type == SYNC_JSON_FALSE)
    {
        return 0;
    }

    if (sync_json_get(&v, &stop, "errorCode") == SYNC_OK
        && v.type == SYNC_JSON_STRING)
    {
        buf = ngx_pnalloc(call->pool, v.raw.len);

        if (buf && sync_json_string(&text, &v, buf, v.raw.len) == SYNC_OK
            && text.len)
        {
            *code = text;
        }
    }

    if (sync_json_get(&v, &stop, "httpStatus") == SYNC_OK
        && sync_json_int64(&n, &v) == SYNC_OK
        && n >= 400 && n <= 599)
    {
        *status = n;
    }

    return 1;
}
