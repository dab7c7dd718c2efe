
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_cancel.h>
#include <sync_notify.h>
#include <sync_publish.h>


static ngx_uint_t sync_cancel_is(sync_call_t *call, sync_hook_event_e event,
    sync_str_t *name);
static void sync_cancel_elsewhere(sync_client_t *c, const char *kind,
    sync_str_t *name, const char *reason);
static void sync_cancel_review(sync_request_t *rq);
static const char *sync_cancel_reason(sync_json_t *arg);
static void sync_cancel_tell(sync_request_t *rq, const char *reason);


void
sync_cancel_sync(sync_client_t *c, sync_json_t *arg)
{
    sync_str_t    cb;
    sync_json_t   v;
    sync_call_t  *call;
    u_char        buf[SYNC_CALL_ID_TEXT];

    if (sync_json_get(&v, arg, "cb") != SYNC_OK
        || sync_json_string(&cb, &v, buf, SYNC_CALL_ID_TEXT) != SYNC_OK)
    {
        return;
    }

    for (call = sync_call_next(c, NULL);
         call;
         call = sync_call_next(c, call))
    {
        if (sync_cancel_is(call, SYNC_HOOK_SERVER, &cb)) {
            sync_cancel_request(call->opaque, sync_cancel_reason(arg));
            return;
        }
    }

    if (cb.len == SYNC_CALL_ID_TEXT) {
        sync_cancel_elsewhere(c, "sync", &cb, sync_cancel_reason(arg));
    }
}


void
sync_cancel_api(sync_client_t *c, sync_json_t *arg)
{
    int64_t       n;
    sync_str_t    index;
    sync_json_t   v;
    sync_call_t  *call;
    u_char        buf[SYNC_INDEX_MAX];

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
        if (sync_cancel_is(call, SYNC_HOOK_API, &index)) {
            sync_cancel_request(call->opaque, sync_cancel_reason(arg));
            return;
        }
    }

    sync_cancel_elsewhere(c, "api", &index, sync_cancel_reason(arg));
}


/* Whether it is of that kind, and has that name: an id, or an index. */

static ngx_uint_t
sync_cancel_is(sync_call_t *call, sync_hook_event_e event, sync_str_t *name)
{
    sync_str_t       id;
    sync_request_t  *rq;

    if (call->event != event) {
        return 0;
    }

    if (event == SYNC_HOOK_SERVER) {
        id.data = call->id;
        id.len = SYNC_CALL_ID_TEXT;

        return sync_str_eq(&id, name);
    }

    rq = call->opaque;

    /* a number to acknowledge by may follow */

    return rq
           && rq->index.len >= name->len
           && ngx_memcmp(rq->index.data, name->data, name->len) == 0
           && (rq->index.len == name->len
               || rq->index.data[name->len] == '#');
}


/*
 * A session that came by polling may have been with another worker when it
 * asked, and the call is there.
 */

static void
sync_cancel_elsewhere(sync_client_t *c, const char *kind, sync_str_t *name,
    const char *reason)
{
    sync_str_t     json;
    sync_writer_t  w;
    u_char         id[SYNC_ID_TEXT];

    if ((c->record->flags & SYNC_RECORD_ASKED) == 0) {
        return;
    }

    sync_registry_print_id(id, c->record->id);

    do {
        sync_reply_text(&w);
        sync_write_literal(&w, "{\"cancel\":\"");
        sync_write(&w, id, SYNC_ID_TEXT);

        if (kind) {
            sync_write_literal(&w, "\",\"kind\":\"");
            sync_write(&w, (u_char *) kind, ngx_strlen(kind));
            sync_write_literal(&w, "\",\"name\":");
            sync_json_write_str(&w, name);
            sync_write_byte(&w, ',');

        } else {
            sync_write_literal(&w, "\",");
        }

        sync_write_literal(&w, "\"reason\":\"");
        sync_write(&w, (u_char *) reason, ngx_strlen(reason));
        sync_write_literal(&w, "\"}");

    } while (sync_reply_again(&w));

    if (w.len) {
        sync_reply_str(&json, &w);

        /* if the zone is full, it is not cancelled */

        (void) sync_publish_command(sync_settings(c)->main, &json);
    }
}


void
sync_cancel_leave(sync_client_t *c)
{
    sync_cancel_elsewhere(c, NULL, NULL, "disconnect");
}


ngx_uint_t
sync_cancel_order(sync_call_t *call, sync_json_t *order)
{
    sync_str_t       text;
    sync_json_t      v;
    sync_request_t  *rq;
    u_char           id[SYNC_ID_LEN], buf[SYNC_INDEX_MAX];

    rq = call->opaque;

    if (rq == NULL || rq->http) {
        return 0;
    }

    if (order == NULL) {
        sync_cancel_review(rq);
        return 0;
    }

    if (sync_json_get(&v, order, "cancel") != SYNC_OK
        || sync_json_string(&text, &v, buf, sizeof(buf)) != SYNC_OK
        || sync_registry_parse_id(id, text.data, text.len) != SYNC_OK
        || ngx_memcmp(id, rq->id, SYNC_ID_LEN) != 0)
    {
        return 0;
    }

    if (sync_json_get(&v, order, "kind") != SYNC_OK) {

        /* all that it asked for */

        sync_cancel_left(call, 0);
        return 0;
    }

    if (sync_json_string(&text, &v, buf, sizeof(buf)) != SYNC_OK
        || !sync_str_eq(&text, &rq->kind->prefix)
        || sync_json_get(&v, order, "name") != SYNC_OK
        || sync_json_string(&text, &v, buf, sizeof(buf)) != SYNC_OK
        || !sync_cancel_is(call, rq->kind->hook, &text))
    {
        return 0;
    }

    sync_cancel_request(rq, sync_cancel_reason(order));

    return 1;
}


/* Who is with another worker has a record; that goes with the worker. */

static void
sync_cancel_review(sync_request_t *rq)
{
    sync_record_info_t  info;

    if (!rq->cancelled
        && sync_registry_info(rq->settings->main->zone, rq->id, &info)
           == SYNC_DECLINED)
    {
        sync_cancel_left(rq->call, 0);
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
    ngx_time_t     *tp;
    sync_str_t      json;
    sync_writer_t   w;
    u_char          client[SYNC_ID_TEXT];

    if (rq->settings->hooks[SYNC_HOOK_CANCEL].uri.len == 0) {
        return;
    }

    tp = ngx_timeofday();

    sync_registry_print_id(client, rq->id);

    do {
        sync_reply_text(&w);
        sync_write_literal(&w, "{\"id\":\"");
        sync_write(&w, rq->call->id, SYNC_CALL_ID_TEXT);
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
