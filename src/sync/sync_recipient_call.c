
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


static ngx_int_t sync_recipient_start(sync_recipient_call_t *call);
static void sync_recipient_write(sync_writer_t *w,
    sync_recipient_call_t *call, ngx_str_t *id);
static void sync_recipient_write_others(sync_writer_t *w,
    sync_recipient_call_t *call);
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
    sync_json_t *k, uint32_t *list, ngx_uint_t *n);
static void sync_recipient_done(sync_hook_t *h, sync_hook_result_e result);
static void sync_recipient_last(sync_recipient_call_t *call);


static const sync_hook_handler_t  sync_recipient_handler = {
    sync_recipient_data,
    sync_recipient_done
};


ngx_int_t
sync_recipient_ask(sync_stage_t *st)
{
    sync_recipient_call_t  *call;

    call = sync_recipient_create(st);
    if (call == NULL) {
        return SYNC_ERROR;
    }

    sync_recipient_select(call, SYNC_RECIPIENT_BATCH);

    if (call->n == 0) {
        sync_recipient_free(call);
        return SYNC_DECLINED;
    }

    return sync_recipient_call(call);
}


sync_recipient_call_t *
sync_recipient_create(sync_stage_t *st)
{
    sync_recipient_call_t  *call;

    call = ngx_calloc(sizeof(sync_recipient_call_t), ngx_cycle->log);

    if (call) {
        call->stage = st;
        sync_ndjson_init(&call->lines, SYNC_RECIPIENT_LINE);
    }

    return call;
}


void
sync_recipient_select(sync_recipient_call_t *call, ngx_uint_t max)
{
    uint32_t           i;
    sync_stage_t      *st;
    sync_settings_t   *s;
    sync_recipient_t  *r;

    st = call->stage;

    for (i = st->next; i < st->n && call->n < max; i++) {
        r = &st->recipients[i];

        if (r->gone) {
            r->asked = 1;
        }

        if (r->asked) {
            continue;
        }

        s = sync_settings(r->client);

        if (call->settings == NULL) {
            call->settings = s;

        } else if (!sync_recipient_same_hook(s, call->settings)) {
            continue;
        }

        r->asked = 1;
        call->list[call->n++] = i;
    }

    while (st->next < st->n && st->recipients[st->next].asked) {
        st->next++;
    }
}


ngx_uint_t
sync_recipient_same_hook(sync_settings_t *one, sync_settings_t *two)
{
    return one == two
           || (one->client.ctx == two->client.ctx
               && one->hooks[SYNC_HOOK_CLIENT].uri.data
                  == two->hooks[SYNC_HOOK_CLIENT].uri.data);
}


ngx_int_t
sync_recipient_call(sync_recipient_call_t *call)
{
    uint32_t       i;
    sync_stage_t  *st;

    st = call->stage;

    if (sync_recipient_start(call) == SYNC_OK) {
        sync_stage_call_began(st, call);
        return SYNC_OK;
    }

    /* the hook's queue is full, or it has none */

    for (i = 0; i < call->n && !st->gone; i++) {
        sync_stage_fail(st, call->list[i], "sync.clientExecutionFailed");
    }

    sync_recipient_share_flush(call, SYNC_SHARE_LOST);
    sync_recipient_free(call);

    return SYNC_DECLINED;
}


void
sync_recipient_call_on(sync_recipient_call_t *call)
{
    uint32_t       i;
    sync_stage_t  *st;

    st = call->stage;

    if (sync_recipient_start(call) == SYNC_OK) {
        return;
    }

    call->active = 1;

    for (i = 0; i < call->n && !call->dropped; i++) {
        sync_stage_fail(st, call->list[i], "sync.clientExecutionFailed");
    }

    sync_recipient_share_flush(call, SYNC_SHARE_LOST);

    if (call->dropped) {
        sync_recipient_idle(call);
        return;
    }

    ngx_queue_remove(&call->queue);
    sync_recipient_free(call);

    sync_stage_call_ended(st);
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

    if (call->settings->hooks[SYNC_HOOK_CLIENT].uri.len == 0) {
        return SYNC_ERROR;
    }

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

    if (call->texts) {
        ngx_free(call->texts);
        call->texts = NULL;
    }

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
    uint32_t       i;
    sync_extra_t  *x;

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

        if (i) {
            sync_write_byte(w, ',');
        }

        sync_write_literal(w, "{\"k\":");
        sync_write_int(w, i);
        sync_recipient_write_about(w,
                           call->stage->recipients[call->list[i]].client);
        sync_write_byte(w, '}');
    }

    if (call->nothers) {
        sync_recipient_write_others(w, call);
    }

    sync_write_literal(w, "]}");
}


static void
sync_recipient_write_others(sync_writer_t *w, sync_recipient_call_t *call)
{
    u_char      *p;
    uint32_t     k;
    sync_str_t   text;

    p = call->texts;

    for (k = call->n; k < call->total; k++) {
        p = sync_share_read_text(p, &text);

        if (k) {
            sync_write_byte(w, ',');
        }

        sync_write_literal(w, "{\"k\":");
        sync_write_int(w, k);
        sync_write_str(w, &text);
        sync_write_byte(w, '}');
    }
}


void
sync_recipient_write_about(sync_writer_t *w, sync_client_t *c)
{
    sync_str_t  user, token;
    u_char      text[SYNC_ID_TEXT];

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
    call->active = 1;

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

    sync_recipient_share_flush(call, SYNC_SHARE_CALLED);
    sync_recipient_idle(call);
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
    sync_int_t  rc;
    sync_str_t  in, line;

    in.data = p;
    in.len = len;

    while (!call->dropped && !call->invalid) {

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
        sync_recipient_share_say(call, SYNC_RECIPIENT_STREAM, &what.raw);

        if (n) {
            sync_stage_chunk(st, list, n, &what);
        }

        return;
    }

    if (sync_json_get(&what, v, "out") == SYNC_OK) {
        sync_recipient_share_say(call, SYNC_RECIPIENT_OUT, &what.raw);

        for (i = 0; i < n && !call->dropped; i++) {
            sync_stage_result(st, list[i], &what);
        }

        return;
    }

    if (sync_json_get(&what, v, "threw") == SYNC_OK) {
        sync_recipient_share_say(call, SYNC_RECIPIENT_THREW, &what.raw);

        for (i = 0; i < n && !call->dropped; i++) {
            sync_stage_fail(st, list[i], "sync.clientExecutionFailed");
        }

        return;
    }

    call->invalid = 1;
}


/*
 * One recipient, or a list of them; none that this call did not ask for.
 * Returns how many of this worker's there are.
 */

static ngx_uint_t
sync_recipient_keys(sync_recipient_call_t *call, sync_json_t *k,
    uint32_t *list)
{
    ngx_uint_t        i, n;
    sync_json_t       v;
    sync_json_iter_t  it;

    n = 0;

    sync_recipient_share_clear(call);

    if (k->type != SYNC_JSON_ARRAY) {
        call->invalid = (sync_recipient_key(call, k, list, &n) != SYNC_OK);
        return n;
    }

    sync_json_iter_init(&it, k);

    for (i = 0; sync_json_next(&it, NULL, &v) == SYNC_OK; i++) {

        if (i == SYNC_RECIPIENT_BATCH
            || sync_recipient_key(call, &v, list, &n) != SYNC_OK)
        {
            call->invalid = 1;
            return 0;
        }
    }

    return n;
}


static ngx_int_t
sync_recipient_key(sync_recipient_call_t *call, sync_json_t *k,
    uint32_t *list, ngx_uint_t *n)
{
    int64_t  i;

    if (sync_json_int64(&i, k) != SYNC_OK
        || i < 0 || i >= SYNC_RECIPIENT_BATCH)
    {
        return SYNC_ERROR;
    }

    if (i >= call->n) {
        return sync_recipient_share_key(call, (uint32_t) i);
    }

    list[(*n)++] = call->list[i];

    return SYNC_OK;
}


static void
sync_recipient_done(sync_hook_t *h, sync_hook_result_e result)
{
    sync_stage_t           *st;
    sync_recipient_call_t  *call;

    call = sync_hook_opaque(h);
    st = call->stage;

    sync_stage_enter(st);
    call->active = 1;

    if (result == SYNC_HOOK_LARGE) {
        call->invalid = 1;
    }

    if (result == SYNC_HOOK_DONE && !call->invalid) {
        sync_recipient_last(call);
    }

    /* the call is gone with its stage, if that is */

    if (!call->dropped) {
        call->hook = NULL;
        sync_recipient_end(call);

    } else {
        sync_recipient_idle(call);
    }

    sync_stage_leave(st);
}


/* The answer is there in full. */

static void
sync_recipient_last(sync_recipient_call_t *call)
{
    sync_str_t        line;
    sync_json_t       v, item;
    sync_json_iter_t  it;

    if (!call->json) {

        if (sync_ndjson_last(&call->lines, &line) == SYNC_OK) {
            sync_recipient_line(call, &line);
        }

        return;
    }

    line.data = call->buf;
    line.len = call->len;

    if (sync_json_parse(&v, &line, NULL) != SYNC_OK) {
        call->invalid = 1;
        return;
    }

    if (v.type != SYNC_JSON_ARRAY) {
        sync_recipient_value(call, &v);
        return;
    }

    sync_json_iter_init(&it, &v);

    while (!call->dropped && !call->invalid
           && sync_json_next(&it, NULL, &item) == SYNC_OK)
    {
        sync_recipient_value(call, &item);
    }
}


void
sync_recipient_end(sync_recipient_call_t *call)
{
    ngx_uint_t         i, missing;
    sync_stage_t      *st;
    sync_recipient_t  *r;

    st = call->stage;
    missing = 0;

    call->active = 1;

    sync_recipient_share_flush(call, call->invalid ? SYNC_SHARE_INVALID
                                                   : SYNC_SHARE_DONE);

    for (i = 0; i < call->n && !call->dropped; i++) {
        r = &st->recipients[call->list[i]];

        if (!r->told && !r->gone) {
            missing++;
            sync_stage_fail(st, call->list[i],
                            call->invalid ? "sync.invalidClientResponse"
                                          : "sync.clientExecutionFailed");
        }
    }

    if (call->dropped) {
        sync_recipient_idle(call);
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
        call->hook = NULL;
    }

    ngx_queue_remove(&call->queue);

    call->dropped = 1;

    if (!call->active) {
        sync_recipient_free(call);
    }
}


void
sync_recipient_idle(sync_recipient_call_t *call)
{
    call->active = 0;

    if (call->dropped) {
        sync_recipient_free(call);
    }
}


void
sync_recipient_free(sync_recipient_call_t *call)
{
    sync_recipient_share_free(call);

    if (call->buf) {
        ngx_free(call->buf);
    }

    ngx_free(call);
}
