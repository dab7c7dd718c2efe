
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control_op.h>
#include <sync_command.h>
#include <sync_name.h>
#include <sync_session_change.h>
#include <sync_session_op.h>
#include <sync_session_rooms.h>


/*
 * Sessions: one of a token, or those of a user.
 *
 *     login:          save --> tokens of the user --> too many: kick, kick ...
 *     revoke, kick:            tokens of the user --> delete, delete ...
 *
 * A session that a hook gave a client without a token is in the zone of its
 * host alone: other hosts are asked to revoke those of a user, or to kick.
 *
 * Where sessions are elsewhere each step is waited for.
 */


#define SYNC_CONTROL_TTL_MAX  (10 * 365 * 24 * 3600)    /* s */


typedef struct sync_control_sessions_s  sync_control_sessions_t;

typedef ngx_int_t (*sync_control_next_pt)(sync_control_sessions_t *cs,
    ngx_int_t rc);

struct sync_control_sessions_s {
    sync_session_op_t      op;
    sync_control_t        *ctl;
    sync_control_next_pt   next;        /* what is done when it is done */
    sync_str_t             token;
    sync_str_t             user;
    sync_str_t             except;
    sync_str_t             reason;
    sync_session_rooms_t   rooms;
    ngx_uint_t             i;           /* of op.tokens */
    ngx_uint_t             n;           /* of them, that are to go */
    ngx_uint_t             done;
    json_t                *tokens;      /* of those that went; or NULL */
    unsigned               told:1;      /* their clients are told why */
    unsigned               waiting:1;
};


static sync_control_sessions_t *sync_control_sessions(sync_control_t *ctl,
    sync_control_next_pt next);
static sync_control_sessions_t *sync_control_sessions_create(
    sync_control_t *ctl, sync_control_next_pt next);
static void sync_control_sessions_cleanup(void *data);
static void sync_control_sessions_done(sync_session_op_t *op, ngx_int_t rc);
static ngx_int_t sync_control_sessions_wait(sync_control_sessions_t *cs,
    ngx_int_t rc);
static ngx_int_t sync_control_need_token(sync_control_t *ctl,
    sync_str_t *token);
static ngx_int_t sync_control_session_data(sync_control_sessions_t *cs);
static ngx_int_t sync_control_ttl(sync_control_sessions_t *cs);
static ngx_int_t sync_control_got(sync_control_sessions_t *cs, ngx_int_t rc);
static ngx_int_t sync_control_saved(sync_control_sessions_t *cs,
    ngx_int_t rc);
static ngx_int_t sync_control_deleted(sync_control_sessions_t *cs,
    ngx_int_t rc);
static ngx_int_t sync_control_logged_in(sync_control_sessions_t *cs,
    ngx_int_t rc);
static ngx_int_t sync_control_limited(sync_control_sessions_t *cs,
    ngx_int_t rc);
static ngx_int_t sync_control_listed(sync_control_sessions_t *cs,
    ngx_int_t rc);
static ngx_int_t sync_control_host(sync_control_t *ctl, ngx_uint_t told);
static ngx_int_t sync_control_each(sync_control_sessions_t *cs);
static ngx_int_t sync_control_forgotten(sync_control_sessions_t *cs);
static ngx_int_t sync_control_gone(sync_control_sessions_t *cs, ngx_int_t rc);
static ngx_int_t sync_control_member_saved(sync_control_sessions_t *cs,
    ngx_int_t rc);
static ngx_int_t sync_control_session_error(sync_control_t *ctl,
    ngx_int_t rc);


ngx_int_t
sync_control_session_get(sync_control_t *ctl)
{
    sync_control_sessions_t  *cs;

    cs = sync_control_sessions(ctl, sync_control_got);

    if (cs == NULL
        || sync_control_need_token(ctl, &cs->op.token) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    return sync_control_sessions_wait(cs, sync_session_read(&cs->op));
}


static ngx_int_t
sync_control_got(sync_control_sessions_t *cs, ngx_int_t rc)
{
    json_t               *json;
    uint64_t              version;
    sync_control_t       *ctl;
    sync_session_data_t   data;

    ctl = cs->ctl;

    if (rc == SYNC_OK) {
        rc = sync_session_of(ctl->settings, &cs->op.token, &data, &version);
    }

    if (rc != SYNC_OK) {
        return sync_control_session_error(ctl, rc);
    }

    json = json_loadb((char *) data.json.data, data.json.len,
                      JSON_ALLOW_NUL, NULL);

    sync_control_set(ctl, ctl->answer, "session", json ? json : json_null());

    return SYNC_OK;
}


ngx_int_t
sync_control_session_save(sync_control_t *ctl)
{
    sync_control_sessions_t  *cs;

    cs = sync_control_sessions(ctl, sync_control_saved);

    if (cs == NULL
        || sync_control_need_token(ctl, &cs->op.token) != SYNC_OK
        || sync_control_session_data(cs) != SYNC_OK
        || sync_control_ttl(cs) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    return sync_control_sessions_wait(cs, sync_session_save(&cs->op));
}


static ngx_int_t
sync_control_saved(sync_control_sessions_t *cs, ngx_int_t rc)
{
    return (rc == SYNC_OK) ? SYNC_OK
                           : sync_control_session_error(cs->ctl, rc);
}


ngx_int_t
sync_control_session_delete(sync_control_t *ctl)
{
    sync_control_sessions_t  *cs;

    cs = sync_control_sessions(ctl, sync_control_deleted);

    if (cs == NULL
        || sync_control_need_token(ctl, &cs->op.token) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    return sync_control_sessions_wait(cs, sync_session_delete(&cs->op));
}


static ngx_int_t
sync_control_deleted(sync_control_sessions_t *cs, ngx_int_t rc)
{
    return (rc == SYNC_OK || rc == SYNC_DECLINED)
           ? SYNC_OK : sync_control_session_error(cs->ctl, rc);
}


ngx_int_t
sync_control_session_revoke(sync_control_t *ctl)
{
    ngx_int_t                 rc;
    sync_control_sessions_t  *cs;

    cs = sync_control_sessions(ctl, sync_control_listed);

    if (cs == NULL) {
        return SYNC_ERROR;
    }

    rc = sync_control_string(ctl, "user", &cs->user);

    if (rc == SYNC_DECLINED) {
        return sync_control_missing(ctl, "user");
    }

    if (rc != SYNC_OK
        || sync_control_string(ctl, "except", &cs->except) == SYNC_ERROR)
    {
        return SYNC_ERROR;
    }

    return sync_control_sessions_wait(cs, sync_session_tokens(&cs->op,
                                                              &cs->user));
}


ngx_int_t
sync_control_session_kick(sync_control_t *ctl, sync_str_t *token,
    sync_str_t *user, sync_str_t *reason)
{
    sync_str_t               *t;
    sync_control_sessions_t  *cs;

    cs = sync_control_sessions(ctl, sync_control_listed);

    if (cs == NULL) {
        return SYNC_ERROR;
    }

    cs->told = 1;
    cs->reason = *reason;

    if (reason->len == 0) {
        sync_str_set(&cs->reason, "session-replaced");
    }

    if (token == NULL) {
        cs->user = *user;

        return sync_control_sessions_wait(cs, sync_session_tokens(&cs->op,
                                                                  &cs->user));
    }

    t = ngx_array_push(cs->op.tokens);
    if (t == NULL) {
        return SYNC_ERROR;
    }

    *t = *token;

    return sync_control_listed(cs, SYNC_OK);
}


ngx_int_t
sync_control_session_login(sync_control_t *ctl)
{
    ngx_int_t                 rc;
    sync_control_sessions_t  *cs;

    cs = sync_control_sessions(ctl, sync_control_logged_in);

    if (cs == NULL
        || sync_control_need_token(ctl, &cs->op.token) != SYNC_OK
        || sync_control_session_data(cs) != SYNC_OK
        || sync_control_ttl(cs) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    rc = sync_control_string(ctl, "user", &cs->user);

    if (rc == SYNC_ERROR
        || sync_control_string(ctl, "supersede", &cs->except) == SYNC_ERROR)
    {
        return SYNC_ERROR;
    }

    if (rc == SYNC_OK && !sync_str_eq(&cs->user, &cs->op.data.user)) {
        return sync_control_invalid(ctl, "\"user\" is not the \"id\" of the "
                                    "session");
    }

    cs->user = cs->op.data.user;
    cs->token = cs->op.token;
    cs->told = 1;
    cs->op.data.anew = 1;
    sync_str_set(&cs->reason, "session-replaced");

    return sync_control_sessions_wait(cs, sync_session_save(&cs->op));
}


static ngx_int_t
sync_control_logged_in(sync_control_sessions_t *cs, ngx_int_t rc)
{
    if (rc != SYNC_OK) {
        return sync_control_session_error(cs->ctl, rc);
    }

    if (cs->ctl->settings->session->per_user == 0 && cs->except.len == 0) {
        sync_control_set(cs->ctl, cs->ctl->answer, "replaced",
                         json_integer(0));
        return SYNC_OK;
    }

    cs->next = sync_control_limited;

    return sync_control_sessions_wait(cs, sync_session_tokens(&cs->op,
                                                              &cs->user));
}


/* The oldest ones go, so that the newest of several logins stays. */

static ngx_int_t
sync_control_limited(sync_control_sessions_t *cs, ngx_int_t rc)
{
    ngx_uint_t   i, n, max;
    sync_str_t  *t;

    if (rc != SYNC_OK) {
        return sync_control_session_error(cs->ctl, rc);
    }

    max = cs->ctl->settings->session->per_user;
    t = cs->op.tokens->elts;
    n = cs->op.tokens->nelts;

    /* the token of the same browser goes without a word, and is no excess */

    for (i = 0; i < n; i++) {

        if (cs->except.len && sync_str_eq(&t[i], &cs->except)) {
            t[i] = t[0];
            t[0] = cs->except;
            cs->n = 1;
        }
    }

    if (max && n - cs->n > max) {
        cs->n = n - max;
    }

    return sync_control_each(cs);
}


static ngx_int_t
sync_control_listed(sync_control_sessions_t *cs, ngx_int_t rc)
{
    if (rc != SYNC_OK && rc != SYNC_DECLINED) {
        return sync_control_session_error(cs->ctl, rc);
    }

    if (cs->user.len
        && (cs->ctl->local || cs->ctl->settings->session->realm)
        && sync_session_bound(&cs->op, &cs->user) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    cs->n = cs->op.tokens->nelts;

    return sync_control_each(cs);
}


ngx_int_t
sync_control_host_kick(sync_control_t *ctl)
{
    return sync_control_host(ctl, 1);
}


ngx_int_t
sync_control_host_revoke(sync_control_t *ctl)
{
    return sync_control_host(ctl, 0);
}


static ngx_int_t
sync_control_host(sync_control_t *ctl, ngx_uint_t told)
{
    sync_control_sessions_t  *cs;

    if (!ctl->local) {
        return sync_control_invalid(ctl, "it is for hosts to ask of others");
    }

    cs = sync_control_sessions_create(ctl, sync_control_listed);

    if (cs == NULL
        || sync_control_string(ctl, "user", &cs->user) != SYNC_OK
        || sync_control_string(ctl, "except", &cs->except) == SYNC_ERROR
        || sync_control_string(ctl, "reason", &cs->reason) == SYNC_ERROR)
    {
        return SYNC_ERROR;
    }

    cs->told = told;

    if (cs->reason.len == 0) {
        sync_str_set(&cs->reason, "session-replaced");
    }

    return sync_control_listed(cs, SYNC_OK);
}


static ngx_int_t
sync_control_each(sync_control_sessions_t *cs)
{
    u_char       id[SYNC_ID_LEN];
    ngx_int_t    rc;
    sync_str_t  *t;

    cs->next = sync_control_gone;
    t = cs->op.tokens->elts;

    while (cs->i < cs->n) {
        cs->op.token = t[cs->i++];

        if (cs->except.len && sync_str_eq(&cs->op.token, &cs->except)) {

            if (cs->token.len == 0) {

                /* all but this one */

                continue;
            }

        } else if (cs->told) {
            sync_token_id(id, &cs->op.token);

            sync_session_replaced(cs->ctl->main, id, &cs->user, &cs->reason);
        }

        cs->done++;

        if (sync_control_forgotten(cs) != SYNC_OK) {
            return SYNC_ERROR;
        }

        rc = sync_session_delete(&cs->op);

        if (rc == SYNC_AGAIN) {
            cs->waiting = 1;
            return SYNC_AGAIN;
        }

        if (rc != SYNC_OK && rc != SYNC_DECLINED) {
            return sync_control_session_error(cs->ctl, rc);
        }
    }

    sync_control_set(cs->ctl, cs->ctl->answer,
                     cs->token.len ? "replaced" : "sessions",
                     json_integer(cs->done));

    return SYNC_OK;
}


/* What the app itself has it is to forget: it is told of which tokens. */

static ngx_int_t
sync_control_forgotten(sync_control_sessions_t *cs)
{
    if (cs->ctl->settings->session->kind != SYNC_SESSION_HOOK
        || sync_token_is_bound(&cs->op.token))
    {
        return SYNC_OK;
    }

    if (cs->tokens == NULL) {
        cs->tokens = json_array();

        sync_control_set(cs->ctl, cs->ctl->answer, "tokens", cs->tokens);
    }

    /* a token has nothing but ASCII */

    return json_array_append_new(cs->tokens,
                                 json_stringn((char *) cs->op.token.data,
                                              cs->op.token.len))
           == 0 ? SYNC_OK : SYNC_ERROR;
}


static ngx_int_t
sync_control_gone(sync_control_sessions_t *cs, ngx_int_t rc)
{
    if (rc != SYNC_OK && rc != SYNC_DECLINED) {
        return sync_control_session_error(cs->ctl, rc);
    }

    return sync_control_each(cs);
}


ngx_int_t
sync_control_session_member(sync_control_t *ctl, sync_str_t *token,
    ngx_uint_t leave)
{
    u_char                    id[SYNC_ID_LEN];
    ngx_int_t                 rc;
    sync_control_sessions_t  *cs;

    cs = sync_control_sessions(ctl, sync_control_member_saved);

    if (cs == NULL) {
        return SYNC_ERROR;
    }

    rc = sync_control_name(ctl, "room", &cs->rooms.room);

    if (rc == SYNC_DECLINED) {
        return sync_control_missing(ctl, "room");
    }

    if (rc != SYNC_OK) {
        return SYNC_ERROR;
    }

    sync_token_id(id, token);

    if (sync_session_order(ctl->main, id, leave ? "leave" : "join", 0, "room",
                           &cs->rooms.room)
        == SYNC_BUSY)
    {
        return sync_control_full(ctl);
    }

    if (!sync_session_on(ctl->settings)) {
        return SYNC_OK;
    }

    cs->rooms.leave = leave;
    cs->rooms.max = ctl->settings->max_rooms;
    cs->op.token = *token;
    cs->op.edit = sync_session_rooms_edit;
    cs->op.opaque = &cs->rooms;

    return sync_control_sessions_wait(cs, sync_session_edit(&cs->op));
}


static ngx_int_t
sync_control_member_saved(sync_control_sessions_t *cs, ngx_int_t rc)
{
    return sync_control_deleted(cs, rc);
}


static sync_control_sessions_t *
sync_control_sessions(sync_control_t *ctl, sync_control_next_pt next)
{
    if (!sync_session_on(ctl->settings)) {
        (void) sync_control_invalid(ctl, "there are no sessions: "
                                    "\"sync_session\" is off");
        return NULL;
    }

    return sync_control_sessions_create(ctl, next);
}


static sync_control_sessions_t *
sync_control_sessions_create(sync_control_t *ctl, sync_control_next_pt next)
{
    ngx_pool_cleanup_t       *cln;
    sync_control_sessions_t  *cs;

    cln = ngx_pool_cleanup_add(ctl->pool, sizeof(sync_control_sessions_t));
    if (cln == NULL) {
        return NULL;
    }

    cs = cln->data;
    ngx_memzero(cs, sizeof(sync_control_sessions_t));

    cln->handler = sync_control_sessions_cleanup;

    cs->ctl = ctl;
    cs->next = next;
    cs->op.settings = ctl->settings;
    cs->op.done = sync_control_sessions_done;
    cs->op.pool = ctl->pool;

    cs->op.tokens = ngx_array_create(ctl->pool, 4, sizeof(sync_str_t));
    if (cs->op.tokens == NULL) {
        return NULL;
    }

    return cs;
}


static void
sync_control_sessions_cleanup(void *data)
{
    sync_control_sessions_t *cs = data;

    if (cs->waiting) {
        sync_session_cancel(&cs->op);
    }
}


static void
sync_control_sessions_done(sync_session_op_t *op, ngx_int_t rc)
{
    sync_control_sessions_t  *cs;

    cs = (sync_control_sessions_t *) op;
    cs->waiting = 0;

    rc = cs->next(cs, rc);

    if (rc != SYNC_AGAIN) {
        sync_control_done(cs->ctl, rc);
    }
}


static ngx_int_t
sync_control_sessions_wait(sync_control_sessions_t *cs, ngx_int_t rc)
{
    if (rc == SYNC_AGAIN) {
        cs->waiting = 1;
        return SYNC_AGAIN;
    }

    return cs->next(cs, rc);
}


static ngx_int_t
sync_control_need_token(sync_control_t *ctl, sync_str_t *token)
{
    ngx_int_t  rc;

    rc = sync_control_token(ctl, token);

    return (rc == SYNC_DECLINED) ? sync_control_missing(ctl, "token") : rc;
}


static ngx_int_t
sync_control_session_data(sync_control_sessions_t *cs)
{
    u_char       *buf;
    const char   *wrong;
    sync_json_t   v;

    if (sync_control_field(cs->ctl, "session", &v) != SYNC_OK) {
        return sync_control_missing(cs->ctl, "session");
    }

    buf = ngx_pnalloc(cs->ctl->pool, v.raw.len + SYNC_SESSION_USER);
    if (buf == NULL) {
        return SYNC_ERROR;
    }

    wrong = sync_session_parse(&v.raw, buf, &cs->op.data);

    if (wrong) {
        return sync_control_invalid(cs->ctl, "\"session\" %s", wrong);
    }

    return SYNC_OK;
}


/* "ttl", in seconds. */

static ngx_int_t
sync_control_ttl(sync_control_sessions_t *cs)
{
    int64_t      n;
    sync_json_t  v;

    if (sync_control_field(cs->ctl, "ttl", &v) != SYNC_OK) {
        return SYNC_OK;
    }

    if (sync_json_int64(&n, &v) != SYNC_OK
        || n < 1 || n > SYNC_CONTROL_TTL_MAX)
    {
        return sync_control_invalid(cs->ctl, "\"ttl\" must be a number of "
                                    "seconds up to %d",
                                    SYNC_CONTROL_TTL_MAX);
    }

    cs->op.ttl = (ngx_msec_t) n * 1000;

    return SYNC_OK;
}


static ngx_int_t
sync_control_session_error(sync_control_t *ctl, ngx_int_t rc)
{
    switch (rc) {

    case SYNC_DECLINED:
        return sync_control_fail(ctl, NGX_HTTP_NOT_FOUND, "session.notFound",
                                 "there is no session of this token");

    case SYNC_BUSY:
        return sync_control_fail(ctl, NGX_HTTP_SERVICE_UNAVAILABLE,
                                 "session.unavailable",
                                 "sessions cannot be reached now");

    default:
        return sync_control_full(ctl);
    }
}
