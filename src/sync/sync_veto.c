
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_veto.h>
#include <sync_session.h>


static ngx_int_t sync_veto_copy(ngx_pool_t *pool, sync_str_t *to,
    sync_str_t *from);
static void sync_veto_write(sync_writer_t *w, sync_request_t *rq,
    sync_call_t *call);
static void sync_veto_done(sync_call_t *call, sync_call_result_e result);


/* The asker may be gone, or elsewhere, when it is asked. */

ngx_int_t
sync_veto_keep(sync_request_t *copy, sync_request_t *rq)
{
    sync_str_t    session, token;
    sync_call_t  *call;

    call = copy->call;

    if (sync_veto_copy(call->pool, &copy->data, &rq->data) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (rq->web) {
        session = rq->web->session;
        token = rq->web->token;

    } else {
        sync_session_token(rq->client, &token);

        if (sync_session_get(rq->client, &session) != SYNC_OK) {
            session.len = 0;
        }
    }

    return sync_veto_copy(call->pool, &call->session, &session) == SYNC_OK
           && sync_veto_copy(call->pool, &call->token, &token) == SYNC_OK
           ? SYNC_OK : SYNC_ERROR;
}


static ngx_int_t
sync_veto_copy(ngx_pool_t *pool, sync_str_t *to, sync_str_t *from)
{
    to->len = from->len;
    to->data = NULL;

    if (from->len == 0) {
        return SYNC_OK;
    }

    to->data = ngx_pnalloc(pool, from->len);
    if (to->data == NULL) {
        return SYNC_ERROR;
    }

    ngx_memcpy(to->data, from->data, from->len);

    return SYNC_OK;
}


ngx_int_t
sync_veto_ask(sync_request_t *rq, sync_veto_pt done)
{
    ngx_int_t       rc;
    sync_str_t      body;
    sync_call_t    *call;
    sync_writer_t   w;

    call = sync_call_create(rq->client, rq->settings, SYNC_HOOK_FANOUT,
                            sync_veto_done);
    if (call == NULL) {
        return SYNC_BUSY;
    }

    call->opaque = rq;
    call->outlive = 1;
    call->session = rq->call->session;
    call->token = rq->call->token;

    rq->vetoed = done;

    do {
        sync_reply_text(&w);
        sync_veto_write(&w, rq, call);

    } while (sync_reply_again(&w));

    if (w.len == 0) {
        sync_call_cancel(call);
        return SYNC_ERROR;
    }

    sync_reply_str(&body, &w);

    rc = sync_call_start(call, &body, rq->web ? rq->web->request : NULL);

    rq->veto = (rc == SYNC_OK) ? call : NULL;

    return rc;
}


static void
sync_veto_write(sync_writer_t *w, sync_request_t *rq, sync_call_t *call)
{
    sync_str_t  user;

    sync_str_set(&user, "");

    if (rq->client) {
        sync_registry_user(rq->client->record, &user);
    }

    sync_call_write(call, w, rq->http ? NULL : rq->id, &user,
                    rq->web ? rq->web->request : NULL);

    sync_write_literal(w, ",\"route\":");
    sync_json_write_str(w, &rq->route.full);
    sync_write_literal(w, ",\"transport\":\"");

    if (!rq->http) {
        sync_write_literal(w, "socket");

    } else if (rq->web && rq->web->stream) {
        sync_write_literal(w, "sse");

    } else {
        sync_write_literal(w, "http");
    }

    sync_write_literal(w, "\",\"receiver\":");
    sync_json_write_str(w, &rq->receiver);

    if (rq->ignore_self) {
        sync_write_literal(w, ",\"ignoreSelf\":true,\"data\":");

    } else {
        sync_write_literal(w, ",\"ignoreSelf\":false,\"data\":");
    }

    sync_write_str(w, &rq->data);
    sync_write_literal(w, ",\"serverOutput\":");
    sync_write_str(w, &rq->output);
    sync_write_byte(w, '}');
}


static void
sync_veto_done(sync_call_t *call, sync_call_result_e result)
{
    ngx_uint_t           goes;
    sync_request_t      *rq;
    sync_reply_error_t   e;

    rq = call->opaque;
    rq->veto = NULL;

    goes = 1;

    if (result != SYNC_CALL_ANSWERED) {

        if (!rq->settings->hooks[SYNC_HOOK_FANOUT].allow) {
            goes = 0;
            sync_asker_fault(rq, SYNC_FAULT_FAILED);
        }

    } else {
        sync_str_set(&e.code, "sync.fanoutBlocked");
        e.status = 400;
        e.params.len = 0;

        if (sync_call_stop(call, &e.code, &e.status)) {
            goes = 0;
            sync_asker_error(rq, &e);
        }
    }

    rq->vetoed(rq, goes);
}
