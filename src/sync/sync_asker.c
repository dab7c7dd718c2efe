
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_asker.h>
#include <sync_publish.h>


static void sync_asker_say(sync_request_t *rq, sync_writer_t *w);


const sync_asker_kind_t  sync_asker_sync = {
    sync_string("sync"),
    SYNC_HOOK_SERVER,
    "sync",
    "sync-progress",
    {
        /* SYNC_FAULT_REQUEST */
        { sync_string("sync.invalidRequest"), 400 },
        /* SYNC_FAULT_ROUTE */
        { sync_string("routing.invalidServiceRouteName"), 400 },
        /* SYNC_FAULT_CALLBACK */
        { sync_string("sync.invalidCallback"), 400 },
        /* SYNC_FAULT_RECEIVER */
        { sync_string("sync.missingReceiver"), 400 },
        /* SYNC_FAULT_FOUND */
        { sync_string("sync.notFound"), 400 },
        /* SYNC_FAULT_ALLOWED */
        { sync_string("sync.receiverNotAllowed"), 403 },
        /* SYNC_FAULT_MEMBER */
        { sync_string("sync.notRoomMember"), 403 },
        /* SYNC_FAULT_METHOD */
        { sync_string("sync.methodNotAllowed"), 405 },
        /* SYNC_FAULT_BUSY */
        { sync_string("hook.busy"), 503 },
        /* SYNC_FAULT_FAILED */
        { sync_string("sync.serverExecutionFailed"), 400 },
        /* SYNC_FAULT_ANSWER */
        { sync_string("sync.invalidServerResponse"), 400 },
        /* SYNC_FAULT_NOBODY */
        { sync_string("sync.noReceiversFound"), 400 },
        /* SYNC_FAULT_BROKER */
        { sync_string("broker.unavailable"), 503 }
    }
};


/* an api call has no receiver */

const sync_asker_kind_t  sync_asker_api = {
    sync_string("api"),
    SYNC_HOOK_API,
    "apiResponse",
    "apiStream",
    {
        /* SYNC_FAULT_REQUEST */
        { sync_string("api.invalidRequest"), 400 },
        /* SYNC_FAULT_ROUTE */
        { sync_string("routing.invalidServiceRouteName"), 400 },
        /* SYNC_FAULT_CALLBACK */
        { sync_string("api.invalidRequest"), 400 },
        /* SYNC_FAULT_RECEIVER */
        { sync_string("api.invalidRequest"), 400 },
        /* SYNC_FAULT_FOUND */
        { sync_string("api.notFound"), 404 },
        /* SYNC_FAULT_ALLOWED */
        { sync_string("api.invalidRequest"), 400 },
        /* SYNC_FAULT_MEMBER */
        { sync_string("api.invalidRequest"), 400 },
        /* SYNC_FAULT_METHOD */
        { sync_string("api.methodNotAllowed"), 405 },
        /* SYNC_FAULT_BUSY */
        { sync_string("hook.busy"), 503 },
        /* SYNC_FAULT_FAILED */
        { sync_string("api.internalServerError"), 500 },
        /* SYNC_FAULT_ANSWER */
        { sync_string("api.invalidResponseStatus"), 500 },
        /* SYNC_FAULT_NOBODY */
        { sync_string("api.internalServerError"), 500 },
        /* SYNC_FAULT_BROKER */
        { sync_string("broker.unavailable"), 503 }
    }
};


ngx_int_t
sync_asker_copy(sync_request_t *to, sync_request_t *from, sync_call_t *call)
{
    u_char  *p;

    p = ngx_pnalloc(call->pool, from->receiver.len + from->index.len
                                + from->route.full.len + from->cb.len);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    *to = *from;

    to->receiver.data = p;
    p = ngx_cpymem(p, from->receiver.data, from->receiver.len);

    to->index.data = p;
    p = ngx_cpymem(p, from->index.data, from->index.len);

    ngx_memzero(&to->route, sizeof(sync_name_route_t));

    to->route.full.len = from->route.full.len;
    to->route.full.data = p;
    p = ngx_cpymem(p, from->route.full.data, from->route.full.len);

    to->cb.data = p;

    if (from->cb.len) {
        ngx_memcpy(p, from->cb.data, from->cb.len);
    }

    to->data.len = 0;
    to->data.data = NULL;

    to->call = call;

    return SYNC_OK;
}


void
sync_asker_progress(sync_request_t *rq, sync_call_t *call)
{
    sync_writer_t  w;

    if (rq->index.len == 0) {
        return;
    }

    do {
        sync_reply_text(&w);
        sync_reply_write_event(&w, rq->kind->chunk, &rq->index);
        sync_write_literal(&w, "{\"__cancelId\":\"");
        sync_write(&w, call->id, SYNC_CALL_ID_TEXT);
        sync_write_literal(&w, "\"}]");

    } while (sync_reply_again(&w));

    sync_reply_send(rq->client, &w);
}


void
sync_asker_write_cb(sync_writer_t *w, sync_request_t *rq)
{
    if (rq->cb.len) {
        sync_write_str(w, &rq->cb);

    } else {
        sync_json_write_str(w, &rq->route.full);
    }
}


void
sync_asker_write_event(sync_writer_t *w, sync_request_t *rq)
{
    if (rq->web == NULL) {
        sync_reply_write_event(w, rq->kind->answer, &rq->index);
    }
}


void
sync_asker_write_end(sync_writer_t *w, sync_request_t *rq)
{
    if (rq->web == NULL) {
        sync_write_byte(w, ']');
    }
}


void
sync_asker_send(sync_request_t *rq, sync_writer_t *w, ngx_uint_t status,
    ngx_uint_t good)
{
    sync_web_t  *web;
    sync_str_t   json;

    web = rq->web;

    if (web == NULL) {
        sync_asker_say(rq, w);
        return;
    }

    /* it is told once, and may be gone then */

    rq->web = NULL;
    web->asked = NULL;

    if (w->len == 0) {
        sync_str_set(&json, "{\"status\":\"error\",\"message\":"
                            "\"server.internalError\",\"errorCode\":"
                            "\"server.internalError\",\"httpStatus\":500}");

        web->ops->answer(web, 500, 0, &json);
        return;
    }

    sync_reply_str(&json, w);

    web->ops->answer(web, status, good, &json);
}


/* A client whose session was moved while the app thought is told there. */

static void
sync_asker_say(sync_request_t *rq, sync_writer_t *w)
{
    if (rq->client) {
        sync_reply_send(rq->client, w);

    } else {
        sync_reply_publish(rq->settings->main, rq->id, w);
    }
}


void
sync_asker_chunk(sync_request_t *rq, sync_str_t *json)
{
    sync_writer_t  w;

    if (rq->web) {
        if (rq->web->stream) {
            rq->web->ops->chunk(rq->web, json);
        }

        return;
    }

    if (rq->index.len == 0) {
        return;
    }

    do {
        sync_reply_text(&w);
        sync_reply_write_event(&w, rq->kind->chunk, &rq->index);
        sync_write_str(&w, json);
        sync_write_byte(&w, ']');

    } while (sync_reply_again(&w));

    sync_asker_say(rq, &w);
}


void
sync_asker_error(sync_request_t *rq, sync_reply_error_t *e)
{
    sync_writer_t  w;

    if (sync_asker_silent(rq)) {
        return;
    }

    do {
        sync_reply_text(&w);
        sync_asker_write_event(&w, rq);
        sync_reply_write_error(&w, e);
        sync_asker_write_end(&w, rq);

    } while (sync_reply_again(&w));

    sync_asker_send(rq, &w, e->status, 0);
}


void
sync_asker_fault(sync_request_t *rq, sync_fault_e fault)
{
    sync_reply_error_t  e;

    e.code = rq->kind->faults[fault].code;
    e.status = rq->kind->faults[fault].status;
    e.params.len = 0;

    sync_asker_error(rq, &e);
}
