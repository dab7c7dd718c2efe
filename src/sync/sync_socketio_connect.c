
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_socketio.h>
#include <sync_call.h>
#include <sync_eio_client.h>
#include <sync_fanout.h>
#include <sync_former.h>
#include <sync_grant.h>
#include <sync_notify.h>
#include <sync_presence.h>
#include <sync_random.h>
#include <sync_recovery.h>
#include <sync_reply.h>
#include <sync_session_attach.h>
#include <sync_session_op.h>
#include <sync_token.h>
#include <sync_ws.h>


/*
 * CONNECT: who it is, whether the app lets it in, and where to.
 */


#define SYNC_SOCKETIO_NSP_MAX  128      /* bytes, of a namespace's name */
#define SYNC_SOCKETIO_NSPS     16       /* namespaces, of a session */


/*
 * A client between its CONNECT and the answer, while its session is read and
 * the app is asked.
 */

typedef struct {
    ngx_queue_t        queue;           /* of this worker's */
    sync_client_t     *client;
    sync_session_op_t  op;
    ngx_uint_t         reading;
    sync_recovery_t   *recovery;        /* NULL: it is nobody who was here */
    sync_str_t         auth;            /* JSON, or empty */
    sync_str_t         rooms;           /* the same, of the connect hook */
    sync_str_t         user;
    u_char             id[SYNC_ID_LEN];
    u_char             token[SYNC_TOKEN_MAX];
    u_char             name[SYNC_SESSION_USER];
    u_char             data[1];         /* of auth */
} sync_entrance_t;


static sync_client_t *sync_socketio_client(sync_client_t *c,
    sync_str_t *nsp);
static void sync_socketio_invalid(sync_client_t *c, sync_str_t *nsp);
static void sync_socketio_full(sync_client_t *c, sync_str_t *nsp);
static void sync_socketio_reject(sync_client_t *c, sync_str_t *nsp,
    sync_str_t *why);
static sync_entrance_t *sync_socketio_entrance(sync_client_t *c,
    sync_sio_packet_t *pkt);
static ngx_int_t sync_socketio_token(sync_entrance_t *en,
    sync_sio_packet_t *pkt);
static void sync_socketio_read(sync_session_op_t *op, ngx_int_t rc);
static void sync_socketio_known(sync_entrance_t *en, ngx_int_t rc);
static void sync_socketio_linked(void *data);
static void sync_socketio_decide(sync_entrance_t *en);
static void sync_socketio_ask(sync_entrance_t *en, sync_str_t *session);
static void sync_socketio_write_namespace(sync_writer_t *w,
    sync_client_t *c);
static void sync_socketio_answered(sync_call_t *call,
    sync_call_result_e result);
static void sync_socketio_grant(sync_entrance_t *en, sync_grant_t *g);
static void sync_socketio_saved(sync_session_op_t *op, ngx_int_t rc);
static void sync_socketio_admit(sync_entrance_t *en);
static void sync_socketio_identify(sync_entrance_t *en);
static ngx_int_t sync_socketio_enter(sync_entrance_t *en);
static void sync_socketio_refuse(sync_entrance_t *en, sync_str_t *code,
    ngx_uint_t status);
static void sync_socketio_leave(sync_entrance_t *en);


static ngx_queue_t  sync_socketio_entrances;


void
sync_socketio_connect_init_worker(void)
{
    ngx_queue_init(&sync_socketio_entrances);
}


void
sync_socketio_connect(sync_client_t *c, sync_sio_packet_t *pkt)
{
    ngx_int_t         rc;
    sync_str_t        nsp;
    sync_client_t    *in;
    sync_entrance_t  *en;

    if (sync_socketio_find(c, &pkt->nsp)) {
        sync_socketio_fail(c);
        return;
    }

    sync_str_set(&nsp, "");

    if (!sync_str_is(&pkt->nsp, "/")) {

        if (sync_settings(c)->hooks[SYNC_HOOK_CONNECT].uri.len == 0
            || pkt->nsp.len > SYNC_SOCKETIO_NSP_MAX)
        {
            sync_socketio_invalid(c, &pkt->nsp);
            return;
        }

        nsp = pkt->nsp;
    }

    if ((c->record || c->unknown) && sync_eio_inner_first(c)
        && sync_eio_client(c)->ninner >= SYNC_SOCKETIO_NSPS - 1)
    {
        sync_socketio_full(c, &pkt->nsp);
        return;
    }

    in = sync_socketio_client(c, &nsp);

    en = in ? sync_socketio_entrance(in, pkt) : NULL;

    if (en == NULL) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    if (sync_socketio_token(en, pkt) != SYNC_OK) {
        sync_socketio_known(en, SYNC_DECLINED);
        return;
    }

    rc = sync_session_read(&en->op);

    if (rc == SYNC_AGAIN) {
        en->reading = 1;
        return;
    }

    sync_socketio_known(en, rc);
}


/* The session's own client, if it is in no namespace; or one more. */

static sync_client_t *
sync_socketio_client(sync_client_t *c, sync_str_t *nsp)
{
    sync_client_t  *in;

    if (c->record == NULL && !c->unknown) {
        return sync_eio_client_name(c, nsp) == SYNC_OK ? c : NULL;
    }

    in = sync_eio_inner_create(c, nsp);

    if (in && sync_call_share(in, c) != SYNC_OK) {
        sync_client_destroy(in);
        return NULL;
    }

    return in;
}


sync_client_t *
sync_socketio_find(sync_client_t *c, sync_str_t *nsp)
{
    sync_client_t      *in;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if ((c->record || c->unknown)
        && (eio && eio->nsp.len ? sync_str_eq(&eio->nsp, nsp)
                                : sync_str_is(nsp, "/")))
    {
        return c;
    }

    for (in = sync_eio_inner_first(c); in; in = sync_eio_inner_next(in)) {

        eio = sync_eio_client(in);

        if (eio->nsp.len ? sync_str_eq(&eio->nsp, nsp)
                         : sync_str_is(nsp, "/"))
        {
            return in;
        }
    }

    return NULL;
}


static void
sync_socketio_full(sync_client_t *c, sync_str_t *nsp)
{
    sync_str_t  data;

    sync_zone_count(sync_client_zone(), SYNC_COUNT_REFUSED, 1);

    sync_str_set(&data, "{\"message\":\"Too many namespaces\"}");

    sync_socketio_reject(c, nsp, &data);
}


static void
sync_socketio_invalid(sync_client_t *c, sync_str_t *nsp)
{
    sync_str_t  data;

    sync_str_set(&data, "{\"message\":\"Invalid namespace\"}");

    sync_socketio_reject(c, nsp, &data);
}


/* Says no, in a namespace that the client is not in. */

static void
sync_socketio_reject(sync_client_t *c, sync_str_t *nsp, sync_str_t *why)
{
    u_char            *p;
    u_char             buf[64];
    sync_str_t         head;
    sync_writer_t      w;
    sync_sio_packet_t  pkt;

    ngx_memzero(&pkt, sizeof(sync_sio_packet_t));

    pkt.type = SYNC_SIO_CONNECT_ERROR;
    pkt.nsp = *nsp;

    p = buf;

    if (nsp->len > sizeof(buf) - 8) {
        p = ngx_alloc(nsp->len + 8, ngx_cycle->log);
        if (p == NULL) {
            sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
            return;
        }
    }

    sync_writer_init(&w, p, nsp->len + 8);
    sync_write_byte(&w, '4');
    sync_sio_write_header(&w, &pkt);

    head.data = p;
    head.len = w.len;

    sync_eio_client_tell(c, &head, why);

    if (p != buf) {
        ngx_free(p);
    }
}


static sync_entrance_t *
sync_socketio_entrance(sync_client_t *c, sync_sio_packet_t *pkt)
{
    size_t              len;
    sync_entrance_t    *en;
    sync_eio_client_t  *eio;

    len = pkt->has_data ? pkt->data.raw.len : 0;

    en = ngx_alloc(offsetof(sync_entrance_t, data) + len, ngx_cycle->log);
    if (en == NULL) {
        return NULL;
    }

    ngx_memzero(en, offsetof(sync_entrance_t, token));

    en->client = c;

    if (len) {
        en->auth.len = len;
        en->auth.data = en->data;
        ngx_memcpy(en->data, pkt->data.raw.data, len);
    }

    eio = sync_eio_client(c);

    if (eio) {
        sync_sid_client_id(sync_client_zone(), en->id, eio->id);

    } else {
        sync_random(en->id, SYNC_ID_LEN);
    }

    if (len) {
        en->recovery = sync_recovery_take(c, &pkt->data);
    }

    c->unknown = 1;

    ngx_queue_insert_tail(&sync_socketio_entrances, &en->queue);

    return en;
}


/* What the client says, or its handshake did: the first source counts. */

static ngx_int_t
sync_socketio_token(sync_entrance_t *en, sync_sio_packet_t *pkt)
{
    ngx_int_t           place, kept;
    sync_str_t          token;
    sync_session_op_t  *op;

    op = &en->op;

    op->settings = sync_settings(en->client);
    op->done = sync_socketio_read;
    op->opaque = en;

    place = pkt->has_data
            ? sync_token_auth(&pkt->data, op->settings, en->token, &op->token)
            : SYNC_DECLINED;

    kept = sync_call_kept_token(en->client, &token);

    if (kept != SYNC_DECLINED
        && (place == SYNC_DECLINED || kept < place))
    {
        place = kept;
        op->token = token;
    }

    if (place == SYNC_DECLINED) {
        op->token.len = 0;
        return SYNC_DECLINED;
    }

    if (op->token.data != en->token) {
        ngx_memmove(en->token, op->token.data, op->token.len);
        op->token.data = en->token;
    }

    return SYNC_OK;
}


static void
sync_socketio_read(sync_session_op_t *op, ngx_int_t rc)
{
    sync_entrance_t  *en;

    en = op->opaque;
    en->reading = 0;

    sync_socketio_known(en, rc);
}


static void
sync_socketio_known(sync_entrance_t *en, ngx_int_t rc)
{
    uint64_t             version;
    sync_str_t           code;
    sync_settings_t     *s;
    sync_session_data_t  data;

    s = sync_settings(en->client);

    if (rc == SYNC_BUSY || rc == SYNC_ERROR) {
        sync_str_set(&code, "session.unavailable");
        sync_socketio_refuse(en, &code, 503);
        return;
    }

    if (rc == SYNC_OK
        && sync_session_of(s, &en->op.token, &data, &version) == SYNC_OK)
    {
        en->user.data = en->name;
        en->user.len = data.user.len;
        ngx_memcpy(en->name, data.user.data, data.user.len);
    }

    if (en->recovery
        && sync_recovery_wait(en->recovery, sync_socketio_linked, en)
           == SYNC_AGAIN)
    {
        return;
    }

    sync_socketio_decide(en);
}


static void
sync_socketio_linked(void *data)
{
    sync_socketio_decide(data);
}


static void
sync_socketio_decide(sync_entrance_t *en)
{
    uint64_t             version;
    sync_settings_t     *s;
    sync_session_data_t  data;

    s = sync_settings(en->client);

    if (en->recovery) {

        if (sync_recovery_plan(en->recovery) == SYNC_OK) {
            ngx_memcpy(en->id, sync_recovery_id(en->recovery), SYNC_ID_LEN);

        } else {
            sync_recovery_free(en->recovery, en->client, 0);
            en->recovery = NULL;

            sync_zone_count(sync_client_zone(), SYNC_COUNT_RETURN_FAILED, 1);
        }
    }

    if (s->hooks[SYNC_HOOK_CONNECT].uri.len == 0) {
        sync_socketio_admit(en);
        return;
    }

    if (en->op.token.len == 0
        || sync_session_of(s, &en->op.token, &data, &version) != SYNC_OK)
    {
        data.json.len = 0;
    }

    sync_socketio_ask(en, &data.json);
}


static void
sync_socketio_ask(sync_entrance_t *en, sync_str_t *session)
{
    ngx_int_t       rc;
    sync_str_t      body, code;
    sync_call_t    *call;
    sync_client_t  *c;
    sync_writer_t   w;

    c = en->client;

    sync_str_set(&code, "hook.unavailable");

    call = sync_call_create(c, sync_settings(c), SYNC_HOOK_CONNECT,
                            sync_socketio_answered);
    if (call == NULL) {
        sync_socketio_refuse(en, &code, 503);
        return;
    }

    call->opaque = en;
    call->session = *session;
    call->token = en->op.token;

    do {
        sync_reply_text(&w);
        sync_call_write(call, &w, en->id, &en->user, NULL);
        sync_write_literal(&w, ",\"transport\":\"socketio\",\"namespace\":");
        sync_socketio_write_namespace(&w, c);
        sync_write_literal(&w, ",\"auth\":");

        if (en->auth.len) {
            sync_write_str(&w, &en->auth);

        } else {
            sync_write_literal(&w, "null");
        }

        sync_write_byte(&w, '}');

    } while (sync_reply_again(&w));

    sync_reply_str(&body, &w);

    rc = sync_call_start(call, &body, NULL);

    if (rc != SYNC_OK) {

        if (rc == SYNC_BUSY) {
            sync_str_set(&code, "hook.busy");
        }

        sync_socketio_refuse(en, &code, 503);
    }
}


static void
sync_socketio_write_namespace(sync_writer_t *w, sync_client_t *c)
{
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    if (eio && eio->nsp.len) {
        sync_json_write_str(w, &eio->nsp);

    } else {
        sync_write_literal(w, "\"/\"");
    }
}


static void
sync_socketio_answered(sync_call_t *call, sync_call_result_e result)
{
    ngx_uint_t        stop, status;
    sync_str_t        code;
    sync_grant_t      g;
    sync_entrance_t  *en;

    en = call->opaque;

    sync_str_set(&code, "auth.forbidden");
    status = 403;

    if (result == SYNC_CALL_ANSWERED
        && sync_call_stop(call, &code, &status))
    {
        sync_socketio_refuse(en, &code, status);
        return;
    }

    if (result == SYNC_CALL_ANSWERED
        && sync_grant_parse(&g, call) == SYNC_OK)
    {
        sync_socketio_grant(en, &g);
        return;
    }

    stop = !call->settings->hooks[call->event].allow;

    if (stop) {
        sync_str_set(&code, "hook.unavailable");
        sync_socketio_refuse(en, &code, 503);
        return;
    }

    sync_socketio_admit(en);
}


/* The app gives it a session, and rooms. */

static void
sync_socketio_grant(sync_entrance_t *en, sync_grant_t *g)
{
    ngx_int_t    rc;
    sync_str_t  *rooms;

    rooms = &g->rooms.raw;

    if (rooms->len) {
        en->rooms.data = ngx_alloc(rooms->len, ngx_cycle->log);

        if (en->rooms.data == NULL) {
            sync_socketio_saved(&en->op, SYNC_ERROR);
            return;
        }

        en->rooms.len = rooms->len;
        ngx_memcpy(en->rooms.data, rooms->data, rooms->len);
    }

    if (!g->session) {
        sync_socketio_admit(en);
        return;
    }

    en->op.settings = sync_settings(en->client);
    en->op.done = sync_socketio_saved;
    en->op.opaque = en;

    rc = sync_grant_save(g, &en->op, en->token);

    if (rc == SYNC_AGAIN) {
        en->reading = 1;
        return;
    }

    sync_socketio_saved(&en->op, rc);
}


static void
sync_socketio_saved(sync_session_op_t *op, ngx_int_t rc)
{
    uint64_t              version;
    sync_str_t            code;
    sync_entrance_t      *en;
    sync_session_data_t   data;

    en = op->opaque;
    en->reading = 0;

    if (rc != SYNC_OK) {
        sync_str_set(&code, "session.unavailable");
        sync_socketio_refuse(en, &code, 503);
        return;
    }

    en->user.len = 0;

    if (sync_session_of(op->settings, &op->token, &data, &version)
        == SYNC_OK)
    {
        en->user.data = en->name;
        en->user.len = data.user.len;
        ngx_memcpy(en->name, data.user.data, data.user.len);
    }

    sync_socketio_admit(en);
}


static void
sync_socketio_admit(sync_entrance_t *en)
{
    u_char             *p;
    u_char              text[64 + SYNC_ID_TEXT + SYNC_RECOVERY_PID];
    ngx_int_t           recovered;
    sync_str_t          code, head, data;
    sync_zone_t        *z;
    sync_client_t      *c;
    sync_record_t      *rec;
    sync_eio_client_t  *eio;

    c = en->client;
    z = sync_client_zone();
    eio = sync_eio_client(c);

    sync_socketio_identify(en);

    rec = sync_registry_add(z, sync_client_ops(c)->transport, en->id,
                            &en->user, (uintptr_t) c);

    if (rec == NULL) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "zone \"%V\" is full, client refused", &z->name);

        sync_str_set(&code, "broker.unavailable");
        sync_socketio_refuse(en, &code, 503);
        return;
    }

    c->record = rec;

    if (sync_socketio_enter(en) != SYNC_OK) {
        sync_socketio_leave(en);
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    if (eio && eio->sid) {
        sync_sid_set_record(z, eio->sid, rec);
    }

    if (sync_eio_client_enter(c) != SYNC_OK) {
        sync_socketio_leave(en);
        sync_client_close(c, SYNC_WS_CODE_TRY_LATER, "no memory");
        return;
    }

    sync_zone_count(z, SYNC_COUNT_CONNECTS, 1);

    recovered = SYNC_OK;

    if (en->recovery) {
        recovered = sync_recovery_enter(en->recovery, c);

        sync_recovery_free(en->recovery, c, 0);
        en->recovery = NULL;
    }

    sync_registry_print_id(text, en->id);
    p = text + SYNC_ID_TEXT;

    if (sync_settings(c)->recovery.time && recovered == SYNC_OK) {
        p = ngx_cpymem(p, "\",\"pid\":\"", sizeof("\",\"pid\":\"") - 1);
        sync_recovery_pid(p, en->id);
        p += SYNC_RECOVERY_PID;
    }

    p = ngx_cpymem(p, "\"}", 2);

    sync_str_set(&head, "40{\"sid\":\"");
    data.data = text;
    data.len = p - text;

    sync_socketio_leave(en);

    sync_eio_client_say(c, &head, &data);

    if (!c->closing) {
        sync_notify_client(c, SYNC_HOOK_CONNECTED, NULL);
        sync_presence_enter(c);
        sync_eio_client_connected(c);
    }
}


/* Now that its session is known: who comes back may be somebody else. */

static void
sync_socketio_identify(sync_entrance_t *en)
{
    sync_str_t          nsp;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(en->client);
    sync_str_set(&nsp, "");

    if (en->recovery == NULL
        || sync_recovery_is(en->recovery, en->client, &en->user,
                            &en->op.token, eio ? &eio->nsp : &nsp))
    {
        return;
    }

    /* who it was may come yet */

    sync_recovery_free(en->recovery, en->client, 1);
    en->recovery = NULL;

    sync_random(en->id, SYNC_ID_LEN);

    sync_zone_count(sync_client_zone(), SYNC_COUNT_RETURN_FAILED, 1);
}


/* It is in its rooms before anything it says is heard. */

static ngx_int_t
sync_socketio_enter(sync_entrance_t *en)
{
    sync_str_t     *token;
    sync_client_t  *c;

    c = en->client;
    token = &en->op.token;

    if (sync_fanout_enter(c) != SYNC_OK) {
        sync_registry_remove(sync_client_zone(), c->record);
        c->record = NULL;

        return SYNC_ERROR;
    }

    if (token->len) {

        if (sync_session_attach(c, token) != SYNC_OK) {
            return SYNC_ERROR;
        }

        sync_session_rejoin(c);
    }

    sync_grant_join(c, &en->rooms);

    return SYNC_OK;
}


static void
sync_socketio_refuse(sync_entrance_t *en, sync_str_t *code, ngx_uint_t status)
{
    sync_str_t          data, nsp;
    sync_client_t      *c;
    sync_writer_t       w;
    sync_eio_client_t  *eio;

    c = en->client;
    eio = sync_eio_client(c);

    sync_socketio_leave(en);

    sync_zone_count(sync_client_zone(), SYNC_COUNT_REFUSED, 1);

    do {
        sync_reply_text(&w);
        sync_write_literal(&w, "{\"message\":");
        sync_json_write_str(&w, code);
        sync_write_literal(&w, ",\"data\":{\"errorCode\":");
        sync_json_write_str(&w, code);
        sync_write_literal(&w, ",\"httpStatus\":");
        sync_write_int(&w, status);
        sync_write_literal(&w, "}}");

    } while (sync_reply_again(&w));

    sync_reply_str(&data, &w);

    sync_str_set(&nsp, "/");

    sync_socketio_reject(c, eio && eio->nsp.len ? &eio->nsp : &nsp, &data);

    if (!c->closing && eio && sync_eio_client_is_inner(c)) {
        sync_eio_inner_leave(c);
        return;
    }

    if (!c->closing) {
        sync_str_set(&nsp, "");

        (void) sync_eio_client_name(c, &nsp);   /* takes no memory */
    }
}


static void
sync_socketio_leave(sync_entrance_t *en)
{
    if (en->reading) {
        sync_session_cancel(&en->op);
    }

    if (en->recovery) {
        sync_recovery_free(en->recovery, en->client, 1);
    }

    en->client->unknown = 0;

    if (en->rooms.data) {
        ngx_free(en->rooms.data);
    }

    ngx_queue_remove(&en->queue);
    ngx_free(en);
}


void
sync_socketio_forget(sync_client_t *c)
{
    ngx_queue_t      *q;
    sync_entrance_t  *en;

    for (q = ngx_queue_head(&sync_socketio_entrances);
         q != ngx_queue_sentinel(&sync_socketio_entrances);
         q = ngx_queue_next(q))
    {
        en = ngx_queue_data(q, sync_entrance_t, queue);

        if (en->client == c) {
            sync_socketio_leave(en);
            return;
        }
    }
}
