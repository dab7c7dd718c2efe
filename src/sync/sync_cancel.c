
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_cancel.h>
#include <sync_notify.h>


static const char *sync_cancel_reason(sync_json_t *arg);
static void sync_cancel_tell(sync_request_t *rq, const char *reason);


void
sync_cancel_sync(sync_client_t *c, sync_json_t *arg)
{
    u_char       *p;
    sync_str_t    text, cb;
    sync_json_t   v;
    sync_call_t  *call;
    u_char        id[SYNC_CALL_ID_TEXT], buf[SYNC_CALL_ID_TEXT];

    if (sync_json_get(&v, arg, "cb") != SYNC_OK
        || sync_json_string(&cb, &v, buf, SYNC_CALL_ID_TEXT) != SYNC_OK)
    {
        return;
    }

    for (call = sync_call_next(c, NULL);
         call;
         call = sync_call_next(c, call))
    {
        if (call->event != SYNC_HOOK_SERVER) {
            continue;
        }

        p = sync_call_print_id(id, call);

        text.data = id;
        text.len = p - id;

        if (sync_str_eq(&text, &cb)) {
            sync_cancel_request(call->opaque, sync_cancel_reason(arg));
            return;
        }
    }
}


void
sync_cancel_api(sync_client_t *c, sync_json_t *arg)
{
    int64_t          n;
    sync_str_t       index;
    sync_json_t      v;
    sync_call_t     *call;
    sync_request_t  *rq;
    u_char           buf[SYNC_INDEX_MAX];

    if (sync_json_get(&v, arg, "responseIndex") != SYNC_OK) {
        return;
    }

    /* a number, or the same as a string */

    if (sync_json_int64(&n, &v) == SYNC_OK) {
        index.data = buf;
        index.len = ngx_sprintf(buf, "%L", n) - buf;

    } else if (sync_json_string(&index, &v, buf, SYNC_INDEX_MAX) != SYNC_OK
               || index.len == 0)
    {
        return;
    }

    for (call = sync_call_next(c, NULL);
         call;
         call = sync_call_next(c, call))
    {
        if (call->event != SYNC_HOOK_API) {
            continue;
        }

        rq = call->opaque;

        /* a number to acknowledge by may follow */

        if (rq && rq->index.len >= index.len
            && ngx_memcmp(rq->index.data, index.data, index.len) == 0
            && (rq->index.len == index.len
                || rq->index.data[index.len] == '#'))
        {
            sync_cancel_request(rq, sync_cancel_reason(arg));
            return;
        }
    }
}


/* Clients may say that it was their own time limit. */

static const char *
sync_cancel_reason(sync_json_t *arg)
{
    sync_str_t   text;
    sync_json_t  v;
    u_char       buf[16];

    if (sync_json_get(&v, arg, "reason") == SYNC_OK
        && sync_json_string(&text, &v, buf, sizeof(buf)) == SYNC_OK
        && sync_str_is(&text, "timeout"))
    {
        return "timeout";
    }

    return "cancel";
}


void
sync_cancel_left(sync_call_t *call, ngx_uint_t moved)
{
    sync_request_t  *rq;

    rq = call->opaque;
    rq->client = NULL;

    if (!moved) {

        /* there is nobody to be answered */

        rq->index.len = 0;
        sync_cancel_request(rq, "disconnect");
    }
}


void
sync_cancel_request(sync_request_t *rq, const char *reason)
{
    sync_call_t       *call;
    sync_hook_conf_t  *hook;

    call = rq->call;

    if (rq->cancelled || call->answered) {
        return;
    }

    rq->cancelled = 1;

    sync_zone_count(rq->settings->main->zone, SYNC_COUNT_HOOK_CANCELLED, 1);

    hook = &rq->settings->hooks[rq->kind->hook];

    if (!hook->close) {
        sync_cancel_tell(rq, reason);
        return;
    }

    if (call->hook) {
        sync_hook_cancel(call->hook);
        call->hook = NULL;
    }

    sync_asker_fault(rq, SYNC_FAULT_FAILED);

    sync_call_cancel(call);
}


static void
sync_cancel_tell(sync_request_t *rq, const char *reason)
{
    u_char         *p;
    ngx_time_t     *tp;
    sync_str_t      json;
    sync_writer_t   w;
    u_char          id[SYNC_CALL_ID_TEXT], client[SYNC_ID_TEXT];

    if (rq->settings->hooks[SYNC_HOOK_CANCEL].uri.len == 0) {
        return;
    }

    tp = ngx_timeofday();

    p = sync_call_print_id(id, rq->call);
    sync_registry_print_id(client, rq->id);

    do {
        sync_reply_text(&w);
        sync_write_literal(&w, "{\"id\":\"");
        sync_write(&w, id, p - id);
        sync_write_literal(&w, "\",\"reason\":\"");
        sync_write(&w, (u_char *) reason, ngx_strlen(reason));
        sync_write_literal(&w, "\",\"route\":");
        sync_json_write_str(&w, &rq->route.full);
        sync_write_literal(&w, ",\"clientId\":");

        if (rq->http) {
            sync_write_literal(&w, "null");

        } else {
            sync_json_write_string(&w, client, SYNC_ID_TEXT);
        }

        sync_write_literal(&w, ",\"timestamp\":");
        sync_write_int(&w, (int64_t) tp->sec * 1000 + tp->msec);
        sync_write_byte(&w, '}');

    } while (sync_reply_again(&w));

    if (w.len == 0) {
        return;
    }

    sync_reply_str(&json, &w);

    sync_notify_add(rq->settings, SYNC_HOOK_CANCEL, &json);
}
