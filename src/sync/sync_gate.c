
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_gate.h>
#include <sync_name.h>
#include <sync_session.h>
#include <sync_tally.h>


/* bytes in what an error tells; a longer name is not told */

#define SYNC_GATE_PARAMS_MAX  4096

/* bytes of a user's id, a route's name and what is around them */

#define SYNC_GATE_ID_MAX      256
#define SYNC_GATE_KEY_MAX     1024

/* of a route's own rate, ms */

#define SYNC_GATE_WINDOW      60000


static sync_int_t sync_gate_match(void *regex, const sync_str_t *s);
static ngx_uint_t sync_gate_has_user(sync_json_t *session);
static ngx_int_t sync_gate_user(sync_str_t *id, sync_str_t *session,
    u_char *buf);
static ngx_int_t sync_gate_hit(sync_gate_t *g, sync_reply_error_t *e,
    const char *scope, sync_str_t *id, sync_str_t *what,
    sync_rate_limit_t *limit);
static ngx_int_t sync_gate_refuse(sync_reply_error_t *e, const char *code,
    ngx_uint_t status);
static void sync_gate_param(sync_reply_error_t *e, const char *key,
    sync_str_t *json);


static u_char  sync_gate_params[SYNC_GATE_PARAMS_MAX];
static u_char  sync_gate_text[SYNC_SCHEMA_TEXT_MAX];


ngx_int_t
sync_gate_auth(sync_gate_t *g, sync_reply_error_t *e)
{
    ngx_int_t       rc;
    sync_json_t     session;
    sync_uint_t     failed;
    sync_route_t   *rt;
    sync_writer_t   w;
    u_char          key[SYNC_GATE_PARAMS_MAX / 2];
    sync_str_t      text;

    rt = sync_route_lookup(g->settings, &g->full);

    g->route = rt;

    if (rt == NULL) {

        if (!g->api) {
            return sync_gate_refuse(e, "sync.notFound", 400);
        }

        (void) sync_gate_refuse(e, "api.notFound", 404);
        sync_gate_param(e, "name", &g->name);

        return SYNC_DECLINED;
    }

    if (!rt->login && rt->nadditional == 0) {
        return SYNC_OK;
    }

    if (g->unknown) {
        return sync_gate_refuse(e, "session.unavailable", 503);
    }

    if (sync_json_parse(&session, &g->session, NULL) != SYNC_OK
        || session.type != SYNC_JSON_OBJECT)
    {
        session.type = SYNC_JSON_NULL;
    }

    if (rt->login && !sync_gate_has_user(&session)) {
        return sync_gate_refuse(e, "auth.required", g->api ? 401 : 400);
    }

    if (rt->nadditional == 0) {
        return SYNC_OK;
    }

    failed = 0;

    if (session.type == SYNC_JSON_NULL) {

        if (!g->api) {
            return sync_gate_refuse(e, "auth.required", 400);
        }

        rc = SYNC_DECLINED;

    } else {
        rc = sync_condition_check(rt->additional, rt->nadditional, &session,
                                  &failed);
        if (rc == SYNC_OK) {
            return SYNC_OK;
        }
    }

    if (rc == SYNC_ERROR) {
        (void) sync_gate_refuse(e, "auth.invalidCondition", 500);

    } else {
        (void) sync_gate_refuse(e, "auth.forbidden", 403);
    }

    sync_writer_init(&w, key, sizeof(key));
    sync_json_write_str(&w, &rt->additional[failed].key);

    text.data = key;
    text.len = w.len;

    sync_gate_param(e, "key", &text);

    return SYNC_DECLINED;
}


/* Whether there is a user: a session, with an id that is something. */

static ngx_uint_t
sync_gate_has_user(sync_json_t *session)
{
    sync_json_t  id;

    return sync_json_get(&id, session, "id") == SYNC_OK
           && !sync_condition_falsy(&id);
}


/* Fixed windows, in the zone; what is refused is counted as well. */

ngx_int_t
sync_gate_rate(sync_gate_t *g, sync_reply_error_t *e)
{
    sync_str_t          id;
    sync_rate_limit_t   limit;
    u_char              buf[SYNC_GATE_ID_MAX];

    limit = g->settings->rate_route;

    if (g->route->rate != SYNC_ROUTE_RATE_UNSET) {
        limit.n = g->route->rate;
        limit.window = SYNC_GATE_WINDOW;
    }

    if (limit.n == 0) {
        return sync_gate_ip(g, e);
    }

    if (sync_gate_user(&id, &g->session, buf) == SYNC_OK) {

        if (sync_gate_hit(g, e, "user:", &id, &g->full, &limit) != SYNC_OK) {
            return SYNC_DECLINED;
        }

        return sync_gate_ip(g, e);
    }

    if (sync_gate_hit(g, e, "ip:", &g->ip, &g->full, &limit) != SYNC_OK) {
        return SYNC_DECLINED;
    }

    return sync_gate_ip(g, e);
}


/*
 * The session's id: a number, or what is longer than anybody reads, as it
 * stands.  buf is SYNC_GATE_ID_MAX bytes.
 */

static ngx_int_t
sync_gate_user(sync_str_t *id, sync_str_t *session, u_char *buf)
{
    sync_json_t  v, o;

    if (sync_filter_value(&o, session) != SYNC_OK
        || sync_json_get(&v, &o, "id") != SYNC_OK
        || sync_condition_falsy(&v))
    {
        return SYNC_DECLINED;
    }

    if (sync_json_string(id, &v, buf, SYNC_GATE_ID_MAX) != SYNC_OK) {
        *id = v.raw;
    }

    return SYNC_OK;
}


ngx_uint_t
sync_gate_is_owner(sync_str_t *session, sync_str_t *room)
{
    sync_str_t  id;
    u_char      buf[SYNC_GATE_ID_MAX];

    return sync_gate_user(&id, session, buf) == SYNC_OK
           && sync_name_has_part(room, &id);
}


ngx_uint_t
sync_gate_owns(sync_client_t *c, sync_str_t *room)
{
    sync_str_t  session;

    return sync_session_get(c, &session) == SYNC_OK
           && sync_gate_is_owner(&session, room);
}


ngx_int_t
sync_gate_ip(sync_gate_t *g, sync_reply_error_t *e)
{
    static sync_str_t  all = sync_string("all");

    if (g->settings->rate_ip.n == 0) {
        return SYNC_OK;
    }

    return sync_gate_hit(g, e, "ip:", &g->ip, &all, &g->settings->rate_ip);
}


static ngx_int_t
sync_gate_hit(sync_gate_t *g, sync_reply_error_t *e, const char *scope,
    sync_str_t *id, sync_str_t *what, sync_rate_limit_t *limit)
{
    u_char         *p;
    size_t          len;
    uint64_t        key;
    ngx_int_t       rc;
    ngx_msec_t      left;
    sync_str_t      text;
    sync_writer_t   w;
    sync_zone_t    *z;
    u_char          buf[SYNC_GATE_KEY_MAX];
    u_char          digest[SYNC_ID_LEN], n[2 * SYNC_ID_LEN];

    z = g->settings->main->zone;

    /* user:u1:sync:sync/board/moveCard/v1 */

    sync_writer_init(&w, buf, sizeof(buf));

    sync_write(&w, (u_char *) scope, ngx_strlen(scope));

    if (id->len <= SYNC_GATE_ID_MAX) {
        sync_write_str(&w, id);

    } else {
        sync_token_id(digest, id);
        p = ngx_hex_dump(n, digest, SYNC_ID_LEN);
        sync_write(&w, n, p - n);
    }

    if (g->api) {
        sync_write_literal(&w, ":api:");

    } else {
        sync_write_literal(&w, ":sync:");
    }

    sync_write_str(&w, what);

    len = ngx_min(w.len, sizeof(buf));
    key = sync_rate_key(z, buf, len);

    rc = sync_rate_hit(z, key, limit, ngx_current_msec, &left);

    sync_tally_add(key, buf, len);

    if (rc == SYNC_OK) {
        return SYNC_OK;
    }

    sync_zone_count(z, SYNC_COUNT_RATE_LIMITED, 1);

    (void) sync_gate_refuse(e, g->api ? "api.rateLimitExceeded"
                                      : "sync.rateLimitExceeded", 429);

    text.data = n;
    text.len = ngx_sprintf(n, "%ui", (ngx_uint_t) (left + 999) / 1000) - n;

    sync_gate_param(e, "seconds", &text);

    return SYNC_DECLINED;
}


ngx_int_t
sync_gate_input(sync_gate_t *g, sync_reply_error_t *e)
{
    sync_json_t          data;
    sync_writer_t        w;
    sync_schema_fault_t  fault;

    if (g->route->schema == NULL) {
        return SYNC_OK;
    }

    if (sync_filter_value(&data, &g->data) != SYNC_OK) {
        data.type = SYNC_JSON_NULL;
    }

    if (sync_schema_check(g->route->schema, &data, sync_gate_match,
                          sync_gate_text, &fault) == SYNC_OK)
    {
        return SYNC_OK;
    }

    (void) sync_gate_refuse(e, g->api ? "api.invalidInputType"
                                      : "sync.invalidInputType", 400);

    sync_writer_init(&w, sync_gate_params, SYNC_GATE_PARAMS_MAX);

    sync_write_literal(&w, "[{\"key\":\"path\",\"value\":\"");
    sync_write(&w, fault.path, fault.len);
    sync_write_literal(&w, "\"},{\"key\":\"keyword\",\"value\":\"");
    sync_write(&w, (u_char *) fault.keyword, ngx_strlen(fault.keyword));
    sync_write_literal(&w, "\"}]");

    e->params.data = sync_gate_params;
    e->params.len = w.len;

    return SYNC_DECLINED;
}


/* A pattern; one that PCRE gives up on does not match. */

static sync_int_t
sync_gate_match(void *regex, const sync_str_t *s)
{
#if (NGX_PCRE)
    ngx_str_t  text;

    text.data = s->data;
    text.len = s->len;

    return ngx_regex_exec((ngx_regex_t *) regex, &text, NULL, 0) >= 0;
#else
    return 0;
#endif
}


void
sync_gate_client(sync_gate_t *g, sync_client_t *c, u_char *ip)
{
    ngx_int_t  rc;

    rc = sync_session_get(c, &g->session);

    if (rc != SYNC_OK) {
        g->session.len = 0;
    }

    g->unknown = (rc == SYNC_BUSY);

    sync_session_token(c, &g->token);

    sync_gate_address(g, ip, sync_client_address(c, ip));
}


/* An IPv4 address is one, however the client came. */

void
sync_gate_address(sync_gate_t *g, u_char *text, size_t len)
{
    g->ip.data = text;
    g->ip.len = len;

    sync_client_plain_address(&g->ip);
}


static ngx_int_t
sync_gate_refuse(sync_reply_error_t *e, const char *code, ngx_uint_t status)
{
    e->code.data = (u_char *) code;
    e->code.len = ngx_strlen(code);
    e->params.len = 0;
    e->status = status;

    return SYNC_DECLINED;
}


/* One parameter, whose value is JSON. */

static void
sync_gate_param(sync_reply_error_t *e, const char *key, sync_str_t *json)
{
    sync_writer_t  w;

    sync_writer_init(&w, sync_gate_params, SYNC_GATE_PARAMS_MAX);

    sync_write_literal(&w, "[{\"key\":\"");
    sync_write(&w, (u_char *) key, ngx_strlen(key));
    sync_write_literal(&w, "\",\"value\":");
    sync_write_str(&w, json);
    sync_write_literal(&w, "}]");

    if (w.len > SYNC_GATE_PARAMS_MAX) {
        return;
    }

    e->params.data = sync_gate_params;
    e->params.len = w.len;
}
