
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_recipient_call.h>
#include <sync_random.h>
#include <sync_session.h>


/*
 * One call: {"v":1,"id":...,"event":"client","route":...,"data":...,
 * "serverOutput":...,"receiver":...,"recipients":[{"k":0,...}]}.  k is the
 * place in the call.  An answer is acted upon line by line as it comes, or,
 * as one JSON array, at its end.
 */


#define SYNC_RECIPIENT_LINE    1048576      /* bytes, also of JSON */
#define SYNC_RECIPIENT_ANSWER  67108864     /* bytes */


static void sync_recipient_select(sync_stage_t *st,
    sync_recipient_call_t *call);
static ngx_int_t sync_recipient_start(sync_recipient_call_t *call);
static void sync_recipient_write(sync_writer_t *w,
    sync_recipient_call_t *call, ngx_str_t *id);
static void sync_recipient_write_json(sync_writer_t *w, sync_str_t *json);
static ngx_int_t sync_recipient_data(sync_hook_t *h, u_char *p, size_t len);
static void sync_recipient_begin(sync_recipient_call_t *call);
static void sync_recipient_lines(sync_recipient_call_t *call, u_char *p,
    size_t len);
static ngx_int_t sync_recipient_grow(sync_recipient_call_t *call,
    size_t need);
static void sync_recipient_keep(sync_recipient_call_t *call, u_char *p,
    size_t len);
static void sync_recipient_line(sync_recipient_call_t *call,
    sync_str_t *line);
static void sync_recipient_value(sync_recipient_call_t *call,
    sync_json_t *v);
static ngx_uint_t sync_recipient_keys(sync_recipient_call_t *call,
    sync_json_t *k, uint32_t *list);
static ngx_int_t sync_recipient_key(sync_recipient_call_t *call,
    sync_json_t *k, uint32_t *i);
static void sync_recipient_done(sync_hook_t *h, sync_hook_result_e result);
static void sync_recipient_end(sync_recipient_call_t *call);
static void sync_recipient_free(sync_recipient_call_t *call);


static const sync_hook_handler_t  sync_recipient_handler = {
    sync_recipient_data,
    sync_recipient_done
};


ngx_int_t
sync_recipient_ask(sync_stage_t *st)
{
    ngx_int_t               rc;
    ngx_uint_t              i;
    sync_recipient_call_t  *call;

    call = ngx_alloc(sizeof(sync_recipient_call_t), ngx_cycle->log);
    if (call == NULL) {
        return SYNC_ERROR;
    }

    ngx_memzero(call, sizeof(sync_recipient_call_t));

    call->stage = st;
    sync_ndjson_init(&call->lines, SYNC_RECIPIENT_LINE);

    sync_recipient_select(st, call);

    if (call->n == 0) {
        ngx_free(call);
        return SYNC_DECLINED;
    }

    rc = SYNC_ERROR;

    if (call->settings->hooks[SYNC_HOOK_CLIENT].uri.len) {
        rc = sync_recipient_start(call);
    }

    if (rc != SYNC_OK) {

        /* the hook's queue is full, or it has none */

        for (i = 0; i < call->n && !st->gone; i++) {
            sync_stage_fail(st, call->list[i], "sync.clientExecutionFailed");
        }

        ngx_free(call);
        return SYNC_DECLINED;
    }

    ngx_queue_insert_tail(&st->calls, &call->queue);

    return SYNC_OK;
}


/* The next ones that have the same hook. */

static void
sync_recipient_select(sync_stage_t *st, sync_recipient_call_t *call)
{
    uint32_t           i;
    ngx_str_t         *uri;
    sync_settings_t   *s;
    sync_recipient_t  *r;

    uri = NULL;

    for (i = st->next; i < st->n && call->n < SYNC_RECIPIENT_BATCH; i++) {
        r = &st->recipients[i];

        if (r->gone) {
            r->asked = 1;
        }

        if (r->asked) {
            continue;
        }

        s = sync_settings(r->client);

        if (uri == NULL) {
            call->settings = s;
            uri = &s->hooks[SYNC_HOOK_CLIENT].uri;

        } else if (s != call->settings
                   && (s->client.ctx != call->settings->client.ctx
                       || s->hooks[SYNC_HOOK_CLIENT].uri.data != uri->data))
        {
            continue;
        }

        r->asked = 1;
        call->list[call->n++] = i;
    }

    while (st->next < st->n && st->recipients[st->next].asked) {
        st->next++;
    }
}


static ngx_int_t
sync_recipient_start(sync_recipient_call_t *call)
{
    ngx_int_t               rc;
    sync_zone_t            *z;
    sync_writer_t           w;
    sync_hook_args_t        args;
    u_char                  bytes[16], id[32];
    static struct sockaddr  unspec;

    z = call->settings->main->zone;

    sync_random(bytes, sizeof(bytes));
    (void) ngx_hex_dump(id, bytes, sizeof(bytes));

    ngx_memzero(&args, sizeof(sync_hook_args_t));

    args.id.data = id;
    args.id.len = sizeof(id);

    sync_writer_init(&w, NULL, 0);
    sync_recipient_write(&w, call, &args.id);

    args.body.len = w.len;
    args.body.data = ngx_alloc(w.len, ngx_cycle->log);

    if (args.body.data == NULL) {
        return SYNC_ERROR;
    }

    sync_writer_init(&w, args.body.data, args.body.len);
    sync_recipient_write(&w, call, &args.id);

    args.ctx = call->settings->client.ctx;
    args.uri = call->settings->hooks[SYNC_HOOK_CLIENT].uri;
    args.sockaddr = &unspec;
    args.socklen = sizeof(struct sockaddr);
    args.max_answer = SYNC_RECIPIENT_ANSWER;
    args.handler = &sync_recipient_handler;
    args.opaque = call;

    rc = sync_hook_start(&args, &call->hook);

    ngx_free(args.body.data);

    if (rc == SYNC_OK) {
        sync_zone_count(z, SYNC_COUNT_HOOKS, 1);

    } else if (rc == SYNC_BUSY) {
        sync_zone_count(z, SYNC_COUNT_HOOK_BUSY, 1);
    }

    return rc;
}


static void
sync_recipient_write(sync_writer_t *w, sync_recipient_call_t *call,
    ngx_str_t *id)
{
    ngx_uint_t      i;
    sync_str_t      user, token;
    sync_extra_t   *x;
    sync_client_t  *c;
    u_char          text[SYNC_ID_TEXT];

    x = &call->stage->extra;

    sync_write_literal(w, "{\"v\":1,\"id\":\"");
    sync_write(w, id->data, id->len);
    sync_write_literal(w, "\",\"event\":\"client\",\"route\":");
    sync_json_write_str(w, &x->route);
    sync_write_literal(w, ",\"data\":");
    sync_recipient_write_json(w, &x->data);
    sync_write_literal(w, ",\"serverOutput\":");
    sync_recipient_write_json(w, &x->output);
    sync_write_literal(w, ",\"receiver\":");
    sync_recipient_write_json(w, &x->receiver);
    sync_write_literal(w, ",\"recipients\":[");

    for (i = 0; i < call->n; i++) {
        c = call->stage->recipients[call->list[i]].client;

        if (i) {
            sync_write_byte(w, ',');
        }

        sync_write_literal(w, "{\"k\":");
        sync_write_int(w, i);
        sync_write_literal(w, ",\"token\":");

        sync_session_token(c, &token);

        if (token.len) {
            sync_json_write_str(w, &token);

        } else {
            sync_write_literal(w, "null");
        }

        sync_registry_print_id(text, c->record->id);

        sync_write_literal(w, ",\"clientId\":\"");
        sync_write(w, text, SYNC_ID_TEXT);
        sync_write_literal(w, "\",\"user\":");

        if (sync_session_get(c, &user) != SYNC_OK) {
            user.len = 0;
        }

        sync_recipient_write_json(w, &user);
        sync_write_byte(w, '}');
    }

    sync_write_literal(w, "]}");
}


static void
sync_recipient_write_json(sync_writer_t *w, sync_str_t *json)
{
    if (json->len) {
        sync_write_str(w, json);

    } else {
        sync_write_literal(w, "null");
    }
}


static ngx_int_t
sync_recipient_data(sync_hook_t *h, u_char *p, size_t len)
{
    sync_stage_t           *st;
    sync_recipient_call_t  *call;

    call = sync_hook_opaque(h);
    st = call->stage;

    sync_stage_enter(st);

    if (!call->begun) {
        call->begun = 1;
        sync_recipient_begin(call);
    }

    if (call->invalid) {

        /* nothing of what follows is believed */

    } else if (call->json) {
        sync_recipient_keep(call, p, len);

    } else {
        sync_recipient_lines(call, p, len);
    }

    sync_stage_leave(st);

    return SYNC_OK;
}


static void
sync_recipient_begin(sync_recipient_call_t *call)
{
    ngx_str_t  *type;

    type = sync_hook_content_type(call->hook);

    call->json = !(type
                   && type->len >= sizeof("application/x-ndjson") - 1
                   && ngx_strncasecmp(type->data,
                                      (u_char *) "application/x-ndjson",
                                      sizeof("application/x-ndjson") - 1)
                      == 0);
}


static void
sync_recipient_lines(sync_recipient_call_t *call, u_char *p, size_t len)
{
    sync_int_t     rc;
    sync_str_t     in, line;
    sync_stage_t  *st;

    st = call->stage;

    in.data = p;
    in.len = len;

    while (!st->gone && !call->invalid) {

        rc = sync_ndjson_next(&call->lines, &line, &in);

        if (rc == SYNC_OK) {
            sync_recipient_line(call, &line);
            continue;
        }

        if (rc == SYNC_AGAIN) {
            return;
        }

        if (rc == SYNC_ERROR
            || sync_recipient_grow(call, call->lines.need) != SYNC_OK)
        {
            call->invalid = 1;
        }
    }
}


static ngx_int_t
sync_recipient_grow(sync_recipient_call_t *call, size_t need)
{
    u_char  *p;

    need = ngx_max(need, 2 * call->size);

    p = ngx_alloc(need, ngx_cycle->log);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    if (!call->json) {
        sync_ndjson_set_buffer(&call->lines, p, need);

    } else if (call->len) {
        ngx_memcpy(p, call->buf, call->len);
    }

    if (call->buf) {
        ngx_free(call->buf);
    }

    call->buf = p;
    call->size = need;

    return SYNC_OK;
}


static void
sync_recipient_keep(sync_recipient_call_t *call, u_char *p, size_t len)
{
    if (len > SYNC_RECIPIENT_LINE - call->len
        || (call->len + len > call->size
            && sync_recipient_grow(call, call->len + len) != SYNC_OK))
    {
        call->invalid = 1;
        return;
    }

    ngx_memcpy(call->buf + call->len, p, len);
    call->len += len;
}


static void
sync_recipient_line(sync_recipient_call_t *call, sync_str_t *line)
{
    sync_json_t  v;

    if (sync_json_parse(&v, line, NULL) != SYNC_OK) {
        call->invalid = 1;
        return;
    }

    sync_recipient_value(call, &v);
}


/* {"k":...} with "out", "stream" or "threw". */

static void
sync_recipient_value(sync_recipient_call_t *call, sync_json_t *v)
{
    uint32_t       list[SYNC_RECIPIENT_BATCH];
    ngx_uint_t     i, n;
    sync_json_t    k, what;
    sync_stage_t  *st;

    st = call->stage;

    if (sync_json_get(&k, v, "k") != SYNC_OK) {

        /* {"ping":1} keeps the connection alive */

        call->invalid = (sync_json_get(&k, v, "ping") != SYNC_OK);
        return;
    }

    n = sync_recipient_keys(call, &k, list);

    if (call->invalid) {
        return;
    }

    if (sync_json_get(&what, v, "stream") == SYNC_OK) {
        sync_stage_chunk(st, list, n, &what);
        return;
    }

    if (sync_json_get(&what, v, "out") == SYNC_OK) {
        for (i = 0; i < n && !st->gone; i++) {
            sync_stage_result(st, list[i], &what);
        }

        return;
    }

    if (sync_json_get(&what, v, "threw") == SYNC_OK) {
        for (i = 0; i < n && !st->gone; i++) {
            sync_stage_fail(st, list[i], "sync.clientExecutionFailed");
        }

        return;
    }

    call->invalid = 1;
}


/* One recipient, or a list of them; none that this call did not ask for. */

static ngx_uint_t
sync_recipient_keys(sync_recipient_call_t *call, sync_json_t *k,
    uint32_t *list)
{
    ngx_uint_t        n;
    sync_json_t       v;
    sync_json_iter_t  it;

    n = 0;

    if (k->type != SYNC_JSON_ARRAY) {
        call->invalid = (sync_recipient_key(call, k, &list[0]) != SYNC_OK);
        return 1;
    }

    sync_json_iter_init(&it, k);

    while (sync_json_next(&it, NULL, &v) == SYNC_OK) {

        if (n == SYNC_RECIPIENT_BATCH
            || sync_recipient_key(call, &v, &list[n]) != SYNC_OK)
        {
            call->invalid = 1;
            return 0;
        }

        n++;
    }

    return n;
}


static ngx_int_t
sync_recipient_key(sync_recipient_call_t *call, sync_json_t *k, uint32_t *i)
{
    int64_t  n;

    if (sync_json_int64(&n, k) != SYNC_OK || n < 0 || n >= call->n) {
        return SYNC_ERROR;
    }

    *i = call->list[n];

    return SYNC_OK;
}


static void
sync_recipient_done(sync_hook_t *h, sync_hook_result_e result)
{
    sync_str_t              line;
    sync_json_t             v, item;
    sync_stage_t           *st;
    sync_json_iter_t        it;
    sync_recipient_call_t  *call;

    call = sync_hook_opaque(h);
    st = call->stage;

    sync_stage_enter(st);

    if (result == SYNC_HOOK_LARGE) {
        call->invalid = 1;
    }

    if (result == SYNC_HOOK_DONE && !call->invalid) {

        if (!call->json) {

            if (sync_ndjson_last(&call->lines, &line) == SYNC_OK) {
                sync_recipient_line(call, &line);
            }

        } else {
            line.data = call->buf;
            line.len = call->len;

            if (sync_json_parse(&v, &line, NULL) != SYNC_OK) {
                call->invalid = 1;

            } else if (v.type != SYNC_JSON_ARRAY) {
                sync_recipient_value(call, &v);

            } else {
                sync_json_iter_init(&it, &v);

                while (!st->gone && !call->invalid
                       && sync_json_next(&it, NULL, &item) == SYNC_OK)
                {
                    sync_recipient_value(call, &item);
                }
            }
        }
    }

    /* the call is gone with its stage, if that is */

    if (!st->gone) {
        call->hook = NULL;
        sync_recipient_end(call);
    }

    sync_stage_leave(st);
}


/* Who was not told of anything is told of an error. */

static void
sync_recipient_end(sync_recipient_call_t *call)
{
    ngx_uint_t         i, missing;
    sync_stage_t      *st;
    sync_recipient_t  *r;

    st = call->stage;
    missing = 0;

    for (i = 0; i < call->n && !st->gone; i++) {
        r = &st->recipients[call->list[i]];

        if (!r->told && !r->gone) {
            missing++;
            sync_stage_fail(st, call->list[i],
                            call->invalid ? "sync.invalidClientResponse"
                                          : "sync.clientExecutionFailed");
        }
    }

    if (st->gone) {
        return;
    }

    if (missing || call->invalid) {
        sync_zone_count(call->settings->main->zone, SYNC_COUNT_HOOK_FAILURES,
                        1);

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "hook \"%V\" %s, %ui of %uD recipients without a "
                      "result",
                      &call->settings->hooks[SYNC_HOOK_CLIENT].uri,
                      call->invalid ? "answered what is no answer"
                                    : "failed, or was cut short",
                      missing, call->n);
    }

    ngx_queue_remove(&call->queue);
    sync_recipient_free(call);

    sync_stage_call_ended(st);
}


void
sync_recipient_drop(sync_recipient_call_t *call)
{
    if (call->hook) {
        sync_hook_cancel(call->hook);
    }

    ngx_queue_remove(&call->queue);
    sync_recipient_free(call);
}


static void
sync_recipient_free(sync_recipient_call_t *call)
{
    if (call->buf) {
        ngx_free(call->buf);
    }

    ngx_free(call);
}
