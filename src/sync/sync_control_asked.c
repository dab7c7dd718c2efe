
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control_asked.h>
#include <sync_control.h>
#include <sync_presence_ask.h>
#include <sync_question.h>


#define SYNC_CONTROL_ASKED_POOL  4096   /* bytes */


typedef struct {
    sync_question_id_t       id;
    ngx_pool_t              *pool;
} sync_control_asked_t;


static void sync_control_asked(sync_question_id_t *id, sync_str_t *what,
    sync_str_t *text);
static void sync_control_asked_done(void *data, ngx_int_t rc,
    sync_control_answer_t *answer);


/* of no location: what depends on one was done by who asks */

static sync_session_conf_t  sync_control_asked_session;

static sync_settings_t  sync_control_asked_settings;


void
sync_control_asked_init_worker(sync_main_settings_t *main)
{
    sync_control_asked_session.kind = SYNC_SESSION_OFF;

    sync_control_asked_settings.main = main;
    sync_control_asked_settings.session = &sync_control_asked_session;

    sync_question_listen(sync_control_asked);
}


static void
sync_control_asked(sync_question_id_t *id, sync_str_t *what,
    sync_str_t *text)
{
    ngx_int_t                 rc;
    ngx_pool_t               *pool;
    sync_str_t                body;
    sync_control_asked_t     *ca;
    sync_control_answer_t     answer;
    const sync_control_op_t  *op;

    if (sync_str_is(what, "present")) {
        sync_presence_ask_answer(sync_control_asked_settings.main->zone, id,
                                 text);
        return;
    }

    op = sync_control_lookup(what);

    if (op == NULL) {

        /* a host of another version: it hears nothing of this one */

        return;
    }

    pool = ngx_create_pool(SYNC_CONTROL_ASKED_POOL, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    ca = ngx_palloc(pool, sizeof(sync_control_asked_t));
    if (ca == NULL) {
        ngx_destroy_pool(pool);
        return;
    }

    body.data = ngx_pnalloc(pool, text->len + 1);
    if (body.data == NULL) {
        ngx_destroy_pool(pool);
        return;
    }

    body.len = text->len;
    ngx_memcpy(body.data, text->data, text->len);

    ca->id = *id;
    ca->pool = pool;

    ngx_memzero(&answer, sizeof(sync_control_answer_t));

    rc = sync_control_run_here(op, &sync_control_asked_settings, pool, &body,
                               &answer, sync_control_asked_done, ca);

    if (rc != NGX_AGAIN) {
        sync_control_asked_done(ca, rc, &answer);
    }
}


static void
sync_control_asked_done(void *data, ngx_int_t rc,
    sync_control_answer_t *answer)
{
    sync_control_asked_t *ca = data;

    if (rc == NGX_OK) {
        sync_question_answer(&ca->id, &answer->body);
    }

    ngx_destroy_pool(ca->pool);
}
