
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_answer.h>
#include <sync_conflate.h>
#include <sync_pressure.h>
#include <sync_extra.h>
#include <sync_session.h>
#include <sync_fanout.h>
#include <sync_publish.h>
#include <sync_veto.h>
#include <sync_delivery.h>
#include <sync_error.h>


static uint64_t sync_answer_key(sync_request_t *rq);
static void sync_answer_late(sync_request_t *rq);
static void sync_answer_give(sync_request_t *rq, sync_call_result_e result);
static ngx_int_t sync_answer_own(sync_request_t *rq, sync_str_t *output);
static void sync_answer_failed(sync_request_t *rq, sync_call_t *call,
    sync_call_result_e result);
static void sync_answer_rejected(sync_request_t *rq, sync_call_t *call);
static void sync_answer_returned(sync_request_t *rq, sync_json_t *value);
static void sync_answer_publish(sync_request_t *rq, sync_str_t *output);
static void sync_answer_vetoed(sync_request_t *rq, ngx_uint_t goes);
static void sync_answer_go(sync_request_t *rq, sync_str_t *output);
static void sync_answer_said(sync_request_t *rq, ngx_int_t rc,
    sync_str_t *output);
static void sync_answer_published(ngx_int_t rc, sync_said_t *said,
    void *data);
static ngx_int_t sync_answer_say(sync_request_t *rq, sync_str_t *output);
static sync_saying_t *sync_answer_lead(sync_request_t *rq,
    sync_str_t *output, sync_saying_t *replies);
static uint64_t sync_answer_count(sync_request_t *rq, sync_saying_t *s);
static ngx_int_t sync_answer_send(sync_request_t *rq, sync_saying_t *s,
    sync_str_t *output);
static void sync_answer_ack(sync_request_t *rq, sync_str_t *output);
static void sync_answer_write_ack(sync_writer_t *w, sync_request_t *rq,
    sync_str_t *output);


static sync_str_t  sync_answer_no_output = sync_string("{}");


void
sync_answer(sync_call_t *call, sync_call_result_e result)
{
    sync_request_t  *rq;

    rq = call->opaque;

    if (result == SYNC_CALL_UNASKED) {
        sync_answer_publish(rq, &sync_answer_no_output);
        return;
    }

    /* chunks come before the end of an answer, good or bad */

    sync_chunk_flush(rq);

    if (sync_chunk_pending(rq) == 0) {
        sync_answer_give(rq, result);
        return;
    }

    if (result == SYNC_CALL_ANSWERED
        && sync_answer_own(rq, &call->value.raw) != SYNC_OK)
    {
        result = SYNC_CALL_FAILED;
    }

    call->value.raw = rq->output;
    rq->stream->result = result;

    sync_call_wait(call);
    sync_pressure_then(rq, sync_answer_late);
}


static void
sync_answer_late(sync_request_t *rq)
{
    sync_answer_give(rq, rq->stream->result);

    if (rq->publish == NULL && rq->veto == NULL) {
        sync_call_release(rq->call);
    }
}


static void
sync_answer_give(sync_request_t *rq, sync_call_result_e result)
{
    sync_str_t    text;
    sync_json_t   v;
    sync_call_t  *call;
    u_char        buf[16];

    call = rq->call;

    sync_chunk_settle(rq);
    sync_chunk_end(rq);

    if (rq->full) {

        /* a chunk was lost, which says more than what came after it */

        result = SYNC_CALL_FAILED;
    }

    if (result != SYNC_CALL_ANSWERED) {
        sync_answer_failed(rq, call, result);
        return;
    }

    if (sync_json_get(&v, &call->value, "status") != SYNC_OK
        || sync_json_string(&text, &v, buf, sizeof(buf)) != SYNC_OK)
    {
        sync_asker_fault(rq, SYNC_FAULT_ANSWER);
        return;
    }

    if (sync_str_is(&text, "error")) {
        sync_answer_rejected(rq, call);
        return;
    }

    if (!sync_str_is(&text, "success")) {
        sync_asker_fault(rq, SYNC_FAULT_ANSWER);
        return;
    }

    if (rq->kind == &sync_asker_api) {
        sync_answer_returned(rq, &call->value);

    } else {
        sync_answer_publish(rq, &call->value.raw);
    }
}


/* An output that is the hook's is copied. */

static ngx_int_t
sync_answer_own(sync_request_t *rq, sync_str_t *output)
{
    u_char  *p;

    if (rq->output.len && rq->output.data == output->data) {
        return SYNC_OK;
    }

    p = ngx_pnalloc(rq->call->pool, output->len);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    ngx_memcpy(p, output->data, output->len);

    rq->output.data = p;
    rq->output.len = output->len;

    return SYNC_OK;
}


/* No answer, or one that is none: of a streamed one, what was wrong. */

static void
sync_answer_failed(sync_request_t *rq, sync_call_t *call,
    sync_call_result_e result)
{
    u_char                    *p;
    sync_reply_error_t         e;
    const sync_asker_fault_t  *f;
    u_char                     params[128];

    f = &rq->kind->faults[rq->full ? SYNC_FAULT_BROKER
                          : result == SYNC_CALL_FAILED ? SYNC_FAULT_FAILED
                          : SYNC_FAULT_ANSWER];

    e.code = f->code;
    e.status = f->status;
    e.params.len = 0;

    if (call->streamed && call->fault) {
        p = ngx_sprintf(params, "[{\"key\":\"reason\",\"value\":\"%s\"},"
                        "{\"key\":\"line\",\"value\":%ui}]",
                        call->fault, call->lines.n);

        e.params.data = params;
        e.params.len = p - params;
    }

    sync_asker_error(rq, &e);
}


ngx_int_t
sync_answer_keep(sync_request_t *copy, sync_request_t *rq, ngx_pool_t *pool)
{
    sync_extra_t  x;

    copy->key = sync_answer_key(rq);

    if (rq->kind != &sync_asker_sync
        || sync_extra_flags(rq->settings, &rq->route.full) == 0)
    {
        return SYNC_OK;
    }

    x.route = rq->route.full;
    x.receiver = rq->receiver;
    x.data = rq->data;
    sync_str_set(&x.sender, "");

    if (rq->web) {
        x.sender = rq->web->session;

    } else if (rq->client
               && sync_session_get(rq->client, &x.sender) != SYNC_OK)
    {
        x.sender.len = 0;
    }

    return sync_extra_make(&copy->extra, &x, pool);
}


/* By what its message replaces an earlier one, where a room conflates. */

static uint64_t
sync_answer_key(sync_request_t *rq)
{
    size_t         err;
    sync_str_t     key;
    sync_json_t    data, v;
    sync_route_t  *rt;

    rt = rq->declared;

    if (rq->kind != &sync_asker_sync || rt == NULL || rt->key.len == 0) {
        return 0;
    }

    if (sync_str_is(&rt->key, "clientId")) {

        if (rq->client == NULL) {
            return 0;
        }

        key.data = rq->id;
        key.len = SYNC_ID_LEN;

        return sync_conflate_key(&rq->route.full, &key);
    }

    if (sync_json_parse(&data, &rq->data, &err) != SYNC_OK
        || sync_json_find(&v, &data, &rt->key) != SYNC_OK)
    {
        return 0;
    }

    return sync_conflate_key(&rq->route.full, &v.raw);
}


void
sync_answer_empty(sync_request_t *rq)
{
    if (sync_answer_keep(rq, rq, NULL) != SYNC_OK) {
        sync_asker_fault(rq, SYNC_FAULT_FAILED);
        return;
    }

    sync_answer_publish(rq, &sync_answer_no_output);

    if (rq->extra.len) {
        ngx_free(rq->extra.data);
    }
}


/* The handler's own error. */

static void
sync_answer_rejected(sync_request_t *rq, sync_call_t *call)
{
    sync_error_t         e;
    sync_reply_error_t   reply;

    e.status = 400;
    sync_error_read(&e, &call->value);

    if (e.code.len == 0) {
        sync_str_set(&e.code, "error.invalidResponse");
    }

    reply.code = e.code;
    reply.params = e.params;
    reply.status = e.status;

    sync_asker_error(rq, &reply);
}


/* The handler's object, with its status of HTTP, or 200, at the end. */

static void
sync_answer_returned(sync_request_t *rq, sync_json_t *value)
{
    int64_t           status;
    sync_str_t        key;
    sync_json_t       v;
    sync_writer_t     w;
    sync_json_iter_t  it;

    static const sync_str_t  name = sync_string("httpStatus");

    status = 200;

    if (sync_json_get(&v, value, "httpStatus") == SYNC_OK
        && sync_json_int64(&status, &v) != SYNC_OK)
    {
        status = 200;
    }

    do {
        sync_reply_text(&w);
        sync_asker_write_event(&w, rq);
        sync_write_byte(&w, '{');

        sync_json_iter_init(&it, value);

        while (sync_json_next(&it, &key, &v) == SYNC_OK) {

            if (sync_json_key_is(&key, &name)) {
                continue;
            }

            sync_write_byte(&w, '"');
            sync_write_str(&w, &key);
            sync_write_literal(&w, "\":");
            sync_write_str(&w, &v.raw);
            sync_write_byte(&w, ',');
        }

        sync_write_literal(&w, "\"httpStatus\":");
        sync_write_int(&w, status);
        sync_write_byte(&w, '}');
        sync_asker_write_end(&w, rq);

    } while (sync_reply_again(&w));

    sync_asker_send(rq, &w, status, 1);
}


static void
sync_answer_publish(sync_request_t *rq, sync_str_t *output)
{
    ngx_int_t  rc;

    if (!sync_veto_wanted(rq)) {
        sync_answer_go(rq, output);
        return;
    }

    rc = sync_answer_own(rq, output);

    if (rc == SYNC_OK) {
        rc = sync_veto_ask(rq, sync_answer_vetoed);
    }

    if (rc == SYNC_OK) {
        sync_call_wait(rq->call);
        return;
    }

    sync_asker_fault(rq, rc == SYNC_BUSY ? SYNC_FAULT_BUSY
                                         : SYNC_FAULT_FAILED);
}


static void
sync_answer_vetoed(sync_request_t *rq, ngx_uint_t goes)
{
    if (goes) {
        sync_answer_go(rq, &rq->output);
    }

    if (rq->publish == NULL) {
        sync_call_release(rq->call);
    }
}


/* The message goes out, and the caller is told how it went. */

static void
sync_answer_go(sync_request_t *rq, sync_str_t *output)
{
    ngx_int_t  rc;

    if (rq->self) {

        /* nothing holds this message up: the acknowledgement goes first */

        sync_answer_ack(rq, output);

        if (!rq->ignore_self) {
            (void) sync_answer_say(rq, output);
        }

        return;
    }

    rc = sync_answer_say(rq, output);

    if (rc == SYNC_AGAIN) {
        sync_call_wait(rq->call);
        return;
    }

    sync_answer_said(rq, rc, output);
}


static void
sync_answer_published(ngx_int_t rc, sync_said_t *said, void *data)
{
    sync_request_t *rq = data;

    rq->publish = NULL;

    if (rc != SYNC_OK && rq->receipt) {
        sync_delivery_failed(rq->receipt);
    }

    sync_answer_said(rq, rc, &rq->output);

    sync_call_release(rq->call);
}


static void
sync_answer_said(sync_request_t *rq, ngx_int_t rc, sync_str_t *output)
{
    switch (rc) {

    case SYNC_OK:
        break;

    case SYNC_DECLINED:

        /* HTTP does not mind */

        if (rq->web) {
            break;
        }

        sync_asker_fault(rq, SYNC_FAULT_NOBODY);
        return;

    default:
        sync_asker_fault(rq, SYNC_FAULT_BROKER);
        return;
    }

    if (!rq->replied) {
        sync_answer_ack(rq, output);
    }
}


ngx_uint_t
sync_answer_waits(sync_request_t *rq)
{
    return rq->kind == &sync_asker_sync
           && !rq->all && !rq->self && !rq->token
           && sync_publish_waits(rq->settings->main, &rq->receiver);
}


static ngx_int_t
sync_answer_say(sync_request_t *rq, sync_str_t *output)
{
    ngx_int_t       rc;
    sync_saying_t   s, *lead, replies[SYNC_REPLY_MAX];
    sync_writer_t   w;

    lead = sync_answer_lead(rq, output, replies);

    do {
        sync_reply_text(&w);
        sync_write_literal(&w, "[\"sync\",{\"cb\":");
        sync_asker_write_cb(&w, rq);
        sync_write_literal(&w, ",\"fullName\":");
        sync_json_write_str(&w, &rq->route.full);
        sync_write_literal(&w, ",\"serverOutput\":");
        sync_write_str(&w, output);
        sync_write_literal(&w, ",\"clientOutput\":{},\"message\":\"");
        sync_json_write_escaped(&w, rq->route.full.data, rq->route.full.len);
        sync_write_literal(&w, " sync success\",\"status\":\"success\"}]");

    } while (sync_reply_again(&w));

    if (w.len == 0) {
        return SYNC_BUSY;
    }

    ngx_memzero(&s, sizeof(sync_saying_t));

    sync_reply_str(&s.json, &w);
    s.event_len = sizeof("\"sync\"") - 1;
    s.reply = lead;
    s.asker = rq->id;

    /* a client without a token stands for it */

    if (rq->ignore_self) {
        s.except = rq->own;
        s.nexcept = 1;
    }

    s.extra = rq->extra;

    if (s.extra.len) {
        s.flags = sync_extra_flags(rq->settings, &rq->route.full);
    }

    s.ack = rq->key;
    rq->receipt = 0;

    if (rq->settings->hooks[SYNC_HOOK_DELIVERED].uri.len && !rq->self) {
        rq->receipt = sync_answer_count(rq, &s);
    }

    rc = sync_answer_send(rq, &s, output);

    if (rq->receipt) {
        sync_delivery_said(rq->receipt, &s,
                           rc == SYNC_DECLINED && rq->web == NULL
                           ? SYNC_ERROR : rc);
    }

    return rc;
}


/*
 * The acknowledgement of a client that another worker holds, to go with the
 * message; or NULL, if it is to be told by itself.
 */

static sync_saying_t *
sync_answer_lead(sync_request_t *rq, sync_str_t *output,
    sync_saying_t *replies)
{
    sync_writer_t  w;

    if (rq->client || rq->http || rq->self || sync_asker_silent(rq)
        || sync_answer_waits(rq))
    {
        return NULL;
    }

    do {
        sync_reply_text(&w);
        sync_answer_write_ack(&w, rq, output);

    } while (sync_reply_again(&w));

    return sync_reply_keep(replies, &w, rq->call->pool);
}


/* Has it counted whom the message reaches; by HTTP that may be nobody. */

static uint64_t
sync_answer_count(sync_request_t *rq, sync_saying_t *s)
{
    sync_delivery_args_t  args;

    ngx_memzero(&args, sizeof(sync_delivery_args_t));

    args.settings = rq->settings;
    args.route = rq->route.full;
    args.receiver = rq->receiver;
    args.client = rq->http ? NULL : rq->id;

    if (rq->call) {
        args.id.data = rq->call->id;
        args.id.len = SYNC_CALL_ID_TEXT;
    }

    if (rq->client) {
        sync_registry_user(rq->client->record, &args.user);
        sync_session_token(rq->client, &args.token);

    } else if (rq->web) {
        args.token = rq->web->token;
    }

    return sync_delivery_begin(&args, s);
}


static ngx_int_t
sync_answer_send(sync_request_t *rq, sync_saying_t *s, sync_str_t *output)
{
    ngx_int_t     rc;
    sync_room_t  *room;
    sync_said_t   said;

    said.replied = 0;

    if (rq->all) {
        rc = sync_publish_all(rq->settings->main, s, &said);
        rq->replied = (rc == SYNC_OK && said.replied);

        return rc;
    }

    if (rq->self) {
        return rq->client && s->extra.len == 0
               ? sync_client_send(rq->client, &s->json)
               : sync_publish_client(rq->settings->main, rq->id, s);
    }

    if (rq->token) {
        rc = sync_publish_token(rq->settings->main, rq->own, s, &said);
        rq->replied = (rc == SYNC_OK && said.replied);

        return rc;
    }

    room = rq->client ? sync_fanout_room(rq->client, &rq->receiver) : NULL;

    if (!sync_answer_waits(rq)) {
        rc = sync_publish_room(rq->settings->main, &rq->receiver, room, s,
                               &said);
        rq->replied = (rc == SYNC_OK && said.replied);

        return rc;
    }

    if (sync_answer_own(rq, output) != SYNC_OK) {
        return SYNC_BUSY;
    }

    return sync_publish_room_later(rq->settings->main, &rq->receiver, room, s,
                                   &said, sync_answer_published, rq,
                                   &rq->publish);
}


static void
sync_answer_ack(sync_request_t *rq, sync_str_t *output)
{
    sync_writer_t  w;

    if (sync_asker_silent(rq)) {
        return;
    }

    do {
        sync_reply_text(&w);
        sync_answer_write_ack(&w, rq, output);

    } while (sync_reply_again(&w));

    sync_asker_send(rq, &w, 200, 1);
}


static void
sync_answer_write_ack(sync_writer_t *w, sync_request_t *rq,
    sync_str_t *output)
{
    sync_json_t  value, message;

    value.raw = *output;
    value.type = SYNC_JSON_OBJECT;

    /* by HTTP the handler's own message is told */

    if (rq->web == NULL
        || sync_json_get(&message, &value, "message") != SYNC_OK)
    {
        message.type = SYNC_JSON_NULL;
    }

    sync_asker_write_event(w, rq);
    sync_write_literal(w, "{\"status\":\"success\",\"message\":");

    if (message.type == SYNC_JSON_STRING) {
        sync_write_str(w, &message.raw);

    } else {
        sync_write_literal(w, "\"sync ");
        sync_json_write_escaped(w, rq->route.full.data, rq->route.full.len);
        sync_write_literal(w, " success\"");
    }

    sync_write_literal(w, ",\"result\":");
    sync_write_str(w, output);
    sync_write_byte(w, '}');
    sync_asker_write_end(w, rq);
}
