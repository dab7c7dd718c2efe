
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_ask.h>
#include <sync_route.h>
#include <sync_answer.h>
#include <sync_cancel.h>
#include <sync_chunk.h>
#include <sync_stream.h>
#include <sync_veto.h>


static ngx_int_t sync_ask_copy(sync_request_t *rq, sync_call_t *call);
static void sync_ask_write(sync_writer_t *w, sync_request_t *rq,
    sync_call_t *call);


sync_call_t *
sync_ask_create(sync_request_t *rq)
{
    return sync_call_create(rq->client, rq->settings, rq->kind->hook,
                            sync_answer);
}


void
sync_ask(sync_request_t *rq, sync_call_t *call)
{
    ngx_int_t        rc;
    sync_str_t       body;
    sync_web_t      *web;
    sync_writer_t    w;

    if (rq->declared->uri.len) {
        call->uri = rq->declared->uri;
    }

    if (call->uri.len == 0 || !rq->declared->server) {

        /* nobody to ask: the message goes out as it is */

        if (!sync_answer_waits(rq) && !sync_veto_wanted(rq)) {
            sync_call_cancel(call);
            sync_answer_empty(rq);
            return;
        }

        if (sync_ask_copy(rq, call) == SYNC_OK) {
            sync_call_skip(call);
        }

        return;
    }

    if (sync_ask_copy(rq, call) != SYNC_OK) {
        return;
    }

    call->line = sync_stream_line;

    web = rq->web;

    if (web) {
        call->session = web->session;
        call->token = web->token;
        call->request_id = web->id;
    }

    do {
        sync_reply_text(&w);
        sync_ask_write(&w, rq, call);

    } while (sync_reply_again(&w));

    sync_reply_str(&body, &w);

    rc = sync_call_start(call, &body, web ? web->request : NULL);

    if (rc != SYNC_OK && web) {
        web->asked = NULL;
    }

    if (rc == SYNC_BUSY) {
        sync_asker_fault(rq, SYNC_FAULT_BUSY);

    } else if (rc != SYNC_OK) {
        sync_asker_fault(rq, SYNC_FAULT_FAILED);
    }
}


/* Has the call own its request; or answers that there is no memory. */

static ngx_int_t
sync_ask_copy(sync_request_t *rq, sync_call_t *call)
{
    sync_request_t  *copy;

    copy = ngx_palloc(call->pool, sizeof(sync_request_t));

    if (copy == NULL
        || sync_asker_copy(copy, rq, call) != SYNC_OK
        || sync_answer_keep(copy, rq, call->pool) != SYNC_OK
        || (sync_veto_wanted(rq) && sync_veto_keep(copy, rq) != SYNC_OK)
        || sync_chunk_init(copy) != SYNC_OK)
    {
        sync_call_cancel(call);
        sync_asker_fault(rq, SYNC_FAULT_FAILED);
        return SYNC_ERROR;
    }

    call->opaque = copy;
    call->outlive = 1;
    call->left = sync_cancel_left;
    call->order = sync_cancel_order;

    if (rq->web) {
        rq->web->asked = copy;
    }

    return SYNC_OK;
}


static void
sync_ask_write(sync_writer_t *w, sync_request_t *rq, sync_call_t *call)
{
    sync_str_t  user;

    if (rq->web) {
        sync_str_set(&user, "");
        sync_call_write(call, w, NULL, &user, rq->web->request);

    } else {
        sync_registry_user(rq->client->record, &user);
        sync_call_write(call, w, rq->id, &user, NULL);
    }

    sync_write_literal(w, ",\"kind\":\"");
    sync_write_str(w, &rq->kind->prefix);
    sync_write_literal(w, "\",\"route\":");
    sync_json_write_str(w, &rq->route.full);
    sync_write_literal(w, ",\"service\":");
    sync_json_write_str(w, &rq->route.service);
    sync_write_literal(w, ",\"name\":");
    sync_json_write_str(w, &rq->route.name);
    sync_write_literal(w, ",\"version\":");
    sync_json_write_str(w, &rq->route.version);
    sync_write_literal(w, ",\"transport\":\"");

    if (rq->web == NULL) {
        sync_write_literal(w, "socket\"");

    } else if (rq->web->stream) {
        sync_write_literal(w, "sse\"");

    } else {
        sync_write_literal(w, "http\"");
    }

    if (rq->receiver.len) {
        sync_write_literal(w, ",\"receiver\":");
        sync_json_write_str(w, &rq->receiver);
        sync_write_literal(w, ",\"roomCode\":");
        sync_json_write_str(w, &rq->receiver);
        sync_write_literal(w, ",\"ignoreSelf\":");

        if (rq->ignore_self) {
            sync_write_literal(w, "true");

        } else {
            sync_write_literal(w, "false");
        }
    }

    sync_write_literal(w, ",\"data\":");
    sync_write_str(w, &rq->data);
    sync_write_byte(w, '}');
}
