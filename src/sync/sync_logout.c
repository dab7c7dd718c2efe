
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_logout.h>
#include <sync_command.h>
#include <sync_gate.h>
#include <sync_publish.h>
#include <sync_session_change.h>
#include <sync_session_op.h>


typedef struct {
    sync_session_op_t   op;
    sync_request_t      request;
    ngx_pool_t         *pool;
} sync_logout_t;


static ngx_int_t sync_logout_check(sync_request_t *rq);
static sync_logout_t *sync_logout_create(sync_request_t *rq,
    ngx_pool_t *pool);
static void sync_logout_done(sync_session_op_t *op, ngx_int_t rc);
static void sync_logout_say(sync_request_t *rq);
static void sync_logout_answer(sync_request_t *rq, ngx_int_t rc);


ngx_uint_t
sync_logout_is_meant(sync_request_t *rq)
{
    return sync_session_on(rq->settings)
           && sync_str_is(&rq->route.service, "system")
           && sync_str_is(&rq->route.name, "logout");
}


/* It goes on without the client: a session that is to end does. */

void
sync_logout(sync_request_t *rq)
{
    ngx_int_t       rc;
    ngx_pool_t     *pool;
    sync_client_t  *c;
    sync_logout_t  *lo;

    c = rq->client;

    if (sync_logout_check(rq) != SYNC_OK) {
        return;
    }

    if (c->token == NULL) {
        sync_logout_answer(rq, SYNC_OK);
        return;
    }

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        sync_asker_fault(rq, SYNC_FAULT_FAILED);
        return;
    }

    lo = sync_logout_create(rq, pool);
    if (lo == NULL) {
        ngx_destroy_pool(pool);
        sync_asker_fault(rq, SYNC_FAULT_FAILED);
        return;
    }

    lo->op.settings = rq->settings;
    lo->op.done = sync_logout_done;
    lo->op.opaque = lo;
    lo->op.except = lo->request.id;
    lo->op.logout = 1;

    rc = sync_session_delete(&lo->op);

    if (rc == SYNC_AGAIN) {
        return;
    }

    if (rc == SYNC_OK) {
        sync_session_tell(c);
    }

    if (!c->closing) {
        sync_logout_answer(rq, rc);
    }

    ngx_destroy_pool(pool);
}


/* No route's rate, the address's alone. */

static ngx_int_t
sync_logout_check(sync_request_t *rq)
{
    sync_gate_t         g;
    sync_reply_error_t  e;
    u_char              ip[NGX_SOCKADDR_STRLEN];

    ngx_memzero(&g, sizeof(sync_gate_t));

    g.settings = rq->settings;
    g.api = 1;

    sync_gate_address(&g, ip, sync_client_address(rq->client, ip));

    if (sync_gate_ip(&g, &e) == SYNC_OK) {
        return SYNC_OK;
    }

    sync_asker_error(rq, &e);

    return SYNC_DECLINED;
}


static sync_logout_t *
sync_logout_create(sync_request_t *rq, ngx_pool_t *pool)
{
    u_char         *p;
    sync_str_t      token;
    sync_logout_t  *lo;

    lo = ngx_pcalloc(pool, sizeof(sync_logout_t));
    if (lo == NULL) {
        return NULL;
    }

    sync_session_token(rq->client, &token);

    p = ngx_pnalloc(pool, token.len + rq->index.len);
    if (p == NULL) {
        return NULL;
    }

    lo->pool = pool;

    lo->op.token.data = p;
    lo->op.token.len = token.len;
    p = ngx_cpymem(p, token.data, token.len);

    /* of the request no more than its answer needs */

    lo->request.kind = rq->kind;
    lo->request.settings = rq->settings;
    lo->request.index.data = p;
    lo->request.index.len = rq->index.len;
    ngx_memcpy(p, rq->index.data, rq->index.len);
    ngx_memcpy(lo->request.id, rq->id, SYNC_ID_LEN);

    return lo;
}


/* Where it took a while, the caller may be at another worker by now. */

static void
sync_logout_done(sync_session_op_t *op, ngx_int_t rc)
{
    sync_client_t  *c;
    sync_logout_t  *lo;

    lo = op->opaque;
    c = sync_command_lookup(lo->request.id);

    if (c && c->record && !c->closing) {

        if (rc == SYNC_OK) {
            sync_session_tell(c);
        }

        lo->request.client = c->closing ? NULL : c;

    } else if (rc == SYNC_OK) {
        sync_logout_say(&lo->request);
    }

    sync_logout_answer(&lo->request, rc);

    ngx_destroy_pool(lo->pool);
}


static void
sync_logout_say(sync_request_t *rq)
{
    sync_saying_t  s;

    ngx_memzero(&s, sizeof(sync_saying_t));

    sync_str_set(&s.json, "[\"logout\",\"success\"]");

    /* one that left needs not be told */

    (void) sync_publish_reply(rq->settings->main, rq->id, &s);
}


static void
sync_logout_answer(sync_request_t *rq, ngx_int_t rc)
{
    sync_writer_t       w;
    sync_reply_error_t  e;

    if (rc == SYNC_BUSY || rc == SYNC_ERROR) {
        sync_str_set(&e.code, "session.unavailable");
        e.params.len = 0;
        e.status = 503;

        sync_asker_error(rq, &e);
        return;
    }

    do {
        sync_reply_text(&w);
        sync_asker_write_event(&w, rq);
        sync_write_literal(&w, "{\"status\":\"success\",\"httpStatus\":200,"
                               "\"result\":true}");
        sync_asker_write_end(&w, rq);

    } while (sync_reply_again(&w));

    sync_asker_send(rq, &w, 200, 1);
}
