
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_greeting.h>
#include <sync_request.h>
#include <sync_session_attach.h>
#include <sync_timer.h>
#include <sync_token.h>
#include <sync_ws.h>


typedef struct sync_greeting_frame_s  sync_greeting_frame_t;

struct sync_greeting_frame_s {
    sync_greeting_frame_t   *next;
    size_t                   len;
    u_char                   data[1];
};


typedef struct {
    ngx_event_t              timer;     /* the first: the event leads here */
    sync_client_t           *client;
    sync_greeting_pt         greet;
    sync_session_op_t        op;
    sync_greeting_frame_t   *frames;    /* that wait */
    sync_greeting_frame_t  **last;
    size_t                   size;      /* bytes of them */
    ngx_uint_t               n;
    unsigned                 reading:1;
    u_char                   token[SYNC_TOKEN_MAX];
    sync_str_t               rooms;
    u_char                   data[1];   /* of rooms */
} sync_greeting_t;


static void sync_greeting_timeout(ngx_event_t *ev);
static ngx_int_t sync_greeting_auth(sync_client_t *c, u_char *p, size_t len,
    u_char *buf, sync_str_t *token);
static void sync_greeting_keep(sync_greeting_t *g, u_char *p, size_t len);
static void sync_greeting_read(sync_session_op_t *op, ngx_int_t rc);
static void sync_greeting_known(sync_greeting_t *g, ngx_int_t rc);
static void sync_greeting_end(sync_greeting_t *g, sync_str_t *token);
static void sync_greeting_free(sync_greeting_t *g);


ngx_int_t
sync_greeting_begin(sync_client_t *c, sync_str_t *rooms,
    sync_greeting_pt greet)
{
    sync_greeting_t  *g;

    g = ngx_alloc(offsetof(sync_greeting_t, data) + rooms->len,
                  ngx_cycle->log);
    if (g == NULL) {
        return SYNC_ERROR;
    }

    ngx_memzero(g, offsetof(sync_greeting_t, data));

    if (rooms->len) {
        g->rooms.data = g->data;
        g->rooms.len = rooms->len;
        ngx_memcpy(g->data, rooms->data, rooms->len);
    }

    g->client = c;
    g->greet = greet;
    g->last = &g->frames;

    sync_timer_init(&g->timer, sync_greeting_timeout, 1);
    ngx_add_timer(&g->timer, SYNC_GREETING_TIME);

    c->unknown = 1;
    c->session = g;

    return SYNC_OK;
}


static void
sync_greeting_timeout(ngx_event_t *ev)
{
    sync_str_t        none;
    sync_greeting_t  *g;

    g = (sync_greeting_t *) ev;
    none.len = 0;

    sync_greeting_end(g, &none);
}


void
sync_greeting_message(sync_client_t *c, u_char *p, size_t len)
{
    ngx_int_t         rc;
    sync_str_t        none;
    sync_greeting_t  *g;

    g = c->session;

    if (g->reading) {
        sync_greeting_keep(g, p, len);
        return;
    }

    none.len = 0;
    rc = sync_greeting_auth(c, p, len, g->token, &g->op.token);

    if (rc == SYNC_DECLINED) {
        sync_greeting_end(g, &none);

        if (!c->closing) {
            sync_request_message(c, p, len);
        }

        return;
    }

    if (rc == SYNC_ERROR) {

        /* what it gave is no token */

        sync_greeting_end(g, &none);
        return;
    }

    if (g->timer.timer_set) {
        ngx_del_timer(&g->timer);
    }

    g->op.settings = sync_settings(c);
    g->op.done = sync_greeting_read;
    g->op.opaque = g;

    rc = sync_session_read(&g->op);

    if (rc == SYNC_AGAIN) {
        g->reading = 1;
        return;
    }

    sync_greeting_known(g, rc);
}


/*
 * Returns SYNC_OK with a token, in buf of SYNC_TOKEN_MAX bytes; SYNC_ERROR for
 * an "auth" without one; or SYNC_DECLINED for anything else.
 */

static ngx_int_t
sync_greeting_auth(sync_client_t *c, u_char *p, size_t len, u_char *buf,
    sync_str_t *token)
{
    sync_str_t         text, event;
    sync_json_t        array, v, arg;
    sync_json_iter_t   it;
    u_char             name[SYNC_EVENT_MAX];

    text.data = p;
    text.len = len;

    if (sync_json_parse(&array, &text, NULL) != SYNC_OK
        || array.type != SYNC_JSON_ARRAY)
    {
        return SYNC_DECLINED;
    }

    sync_json_iter_init(&it, &array);

    if (sync_json_next(&it, NULL, &v) != SYNC_OK
        || sync_json_string(&event, &v, name, SYNC_EVENT_MAX) != SYNC_OK
        || !sync_str_is(&event, "auth"))
    {
        return SYNC_DECLINED;
    }

    if (sync_json_next(&it, NULL, &arg) != SYNC_OK
        || sync_token_auth(&arg, sync_settings(c), buf, token)
           == SYNC_DECLINED)
    {
        return SYNC_ERROR;
    }

    /* it may be a span of the frame */

    if (token->data != buf) {
        ngx_memcpy(buf, token->data, token->len);
        token->data = buf;
    }

    return SYNC_OK;
}


static void
sync_greeting_keep(sync_greeting_t *g, u_char *p, size_t len)
{
    sync_greeting_frame_t  *frame;

    if (g->n == SYNC_GREETING_MAX
        || g->size + len > g->client->conf->max_message)
    {
        sync_client_close(g->client, SYNC_WS_CODE_POLICY,
                          "too much before the session is known");
        return;
    }

    frame = ngx_alloc(offsetof(sync_greeting_frame_t, data) + len,
                      ngx_cycle->log);
    if (frame == NULL) {
        sync_client_close(g->client, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    frame->next = NULL;
    frame->len = len;
    ngx_memcpy(frame->data, p, len);

    *g->last = frame;
    g->last = &frame->next;
    g->size += len;
    g->n++;
}


static void
sync_greeting_read(sync_session_op_t *op, ngx_int_t rc)
{
    sync_greeting_t  *g;

    g = op->opaque;
    g->reading = 0;

    sync_greeting_known(g, rc);
}


static void
sync_greeting_known(sync_greeting_t *g, ngx_int_t rc)
{
    if (rc == SYNC_OK || rc == SYNC_DECLINED) {
        sync_greeting_end(g, &g->op.token);
        return;
    }

    sync_client_close(g->client,
                      rc == SYNC_BUSY ? SYNC_WS_CODE_TRY_LATER
                                      : SYNC_WS_CODE_INTERNAL,
                      "session.unavailable");
}


/* What was said meanwhile is heard now. */

static void
sync_greeting_end(sync_greeting_t *g, sync_str_t *token)
{
    sync_client_t          *c;
    sync_greeting_frame_t  *frame;

    c = g->client;

    c->unknown = 0;
    c->session = NULL;

    g->greet(c, token, &g->rooms);

    for (frame = g->frames; frame && !c->closing; frame = frame->next) {
        sync_request_message(c, frame->data, frame->len);
    }

    sync_greeting_free(g);
}


void
sync_greeting_closed(sync_client_t *c)
{
    sync_greeting_t  *g;

    g = c->session;

    if (g->reading) {
        sync_session_cancel(&g->op);
    }

    c->unknown = 0;
    c->session = NULL;

    sync_greeting_free(g);
}


ngx_int_t
sync_greeting_token(sync_client_t *c, u_char *p, size_t len)
{
    ngx_int_t   rc;
    sync_str_t  token;
    u_char      buf[SYNC_TOKEN_MAX];

    rc = sync_greeting_auth(c, p, len, buf, &token);

    if (rc == SYNC_DECLINED) {
        return SYNC_DECLINED;
    }

    if (rc == SYNC_OK && sync_session_attach(c, &token) != SYNC_OK) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
    }

    return SYNC_OK;
}


static void
sync_greeting_free(sync_greeting_t *g)
{
    sync_greeting_frame_t  *frame, *next;

    if (g->timer.timer_set) {
        ngx_del_timer(&g->timer);
    }

    for (frame = g->frames; frame; frame = next) {
        next = frame->next;
        ngx_free(frame);
    }

    ngx_free(g);
}
