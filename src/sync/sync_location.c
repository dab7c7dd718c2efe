
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_location.h>
#include <sync_notify.h>
#include <sync_reply.h>
#include <sync_session_op.h>


#define SYNC_LOCATION_PATH    2048      /* UTF-16 units */
#define SYNC_LOCATION_PARAMS  50
#define SYNC_LOCATION_KEY     256
#define SYNC_LOCATION_VALUE   1024


/* It lives until the session is written, whether the client does or not. */

typedef struct {
    sync_session_op_t   op;
    sync_settings_t    *settings;
    ngx_pool_t         *pool;
    sync_str_t          value;          /* JSON */
    sync_str_t          old;            /* JSON, or empty */
    sync_str_t          user;           /* or empty */
    u_char              id[SYNC_ID_LEN];
} sync_location_t;


static ngx_int_t sync_location_check(sync_json_t *arg);
static ngx_int_t sync_location_check_params(sync_json_t *params);
static ngx_uint_t sync_location_has_nul(sync_json_t *v);
static ngx_int_t sync_location_edit(sync_session_op_t *op,
    sync_json_t *session, sync_writer_t *w);
static void sync_location_done(sync_session_op_t *op, ngx_int_t rc);
static void sync_location_tell(sync_location_t *l);


void
sync_location_update(sync_client_t *c, sync_json_t *arg)
{
    u_char           *p;
    ngx_int_t         rc;
    sync_str_t        user;
    ngx_pool_t       *pool;
    sync_location_t  *l;

    if (c->token == NULL
        || !sync_session_on(sync_settings(c))
        || sync_location_check(arg) != SYNC_OK)
    {
        return;
    }

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    l = ngx_pcalloc(pool, sizeof(sync_location_t));
    if (l == NULL) {
        ngx_destroy_pool(pool);
        return;
    }

    sync_registry_user(c->record, &user);

    p = ngx_pnalloc(pool, arg->raw.len + c->token->len + user.len);
    if (p == NULL) {
        ngx_destroy_pool(pool);
        return;
    }

    l->pool = pool;
    l->settings = sync_settings(c);
    ngx_memcpy(l->id, c->record->id, SYNC_ID_LEN);

    l->value.data = p;
    l->value.len = arg->raw.len;
    p = ngx_cpymem(p, arg->raw.data, arg->raw.len);

    l->op.token.data = p;
    l->op.token.len = c->token->len;
    p = ngx_cpymem(p, c->token->token, c->token->len);

    l->user.data = p;
    l->user.len = user.len;
    ngx_memcpy(p, user.data, user.len);

    l->op.settings = l->settings;
    l->op.edit = sync_location_edit;
    l->op.done = sync_location_done;
    l->op.opaque = l;

    rc = sync_session_edit(&l->op);

    if (rc != SYNC_AGAIN) {
        sync_location_done(&l->op, rc);
    }
}


static ngx_int_t
sync_location_check(sync_json_t *arg)
{
    ssize_t      n;
    sync_json_t  v;

    if (sync_json_get(&v, arg, "pathName") != SYNC_OK
        || v.type != SYNC_JSON_STRING
        || v.raw.len < 3 || v.raw.data[1] != '/'
        || sync_location_has_nul(&v))
    {
        return SYNC_DECLINED;
    }

    n = sync_json_string_units(&v);

    if (n < 0 || n > SYNC_LOCATION_PATH) {
        return SYNC_DECLINED;
    }

    if (sync_json_get(&v, arg, "searchParams") != SYNC_OK) {
        return SYNC_OK;
    }

    return sync_location_check_params(&v);
}


static ngx_int_t
sync_location_check_params(sync_json_t *params)
{
    u_char            *p;
    ngx_uint_t         n;
    sync_str_t         key;
    sync_json_t        v, k;
    sync_json_iter_t   it;

    if (params->type != SYNC_JSON_OBJECT) {
        return SYNC_DECLINED;
    }

    n = 0;
    sync_json_iter_init(&it, params);

    while (sync_json_next(&it, &key, &v) == SYNC_OK) {

        if (++n > SYNC_LOCATION_PARAMS) {
            return SYNC_DECLINED;
        }

        /* the key has its quotes around it in the text */

        p = key.data - 1;

        k.type = SYNC_JSON_STRING;
        k.raw.data = p;
        k.raw.len = key.len + 2;

        if (sync_json_string_units(&k) > SYNC_LOCATION_KEY
            || (v.type == SYNC_JSON_STRING
                && sync_json_string_units(&v) > SYNC_LOCATION_VALUE))
        {
            return SYNC_DECLINED;
        }
    }

    return SYNC_OK;
}


/* A zero byte can only stand there as an escape. */

static ngx_uint_t
sync_location_has_nul(sync_json_t *v)
{
    u_char  *p, *last;

    last = v->raw.data + v->raw.len - 5;

    for (p = v->raw.data; p < last; p++) {

        if (*p != '\\') {
            continue;
        }

        if (ngx_memcmp(p + 1, "u0000", 5) == 0) {
            return 1;
        }

        p++;
    }

    return 0;
}


static ngx_int_t
sync_location_edit(sync_session_op_t *op, sync_json_t *session,
    sync_writer_t *w)
{
    sync_json_t       old;
    sync_location_t  *l;

    static const sync_str_t  name = sync_string("location");
    static const sync_str_t  without[] = {
        sync_string("code"), sync_string("codes"), { 0, NULL }
    };

    l = op->opaque;
    l->old.len = 0;

    if (sync_json_find(&old, session, &name) == SYNC_OK) {
        l->old.data = ngx_pnalloc(l->pool, old.raw.len);

        if (l->old.data) {
            l->old.len = old.raw.len;
            ngx_memcpy(l->old.data, old.raw.data, old.raw.len);
        }
    }

    sync_session_write_with(w, session, &name, &l->value, without);

    return SYNC_OK;
}


static void
sync_location_done(sync_session_op_t *op, ngx_int_t rc)
{
    sync_location_t  *l;

    l = op->opaque;

    if (rc == SYNC_OK) {
        sync_location_tell(l);
    }

    ngx_destroy_pool(l->pool);
}


/*
 * The location hook: {"clientId","userId","token","oldLocation",
 * "newLocation","timestamp"}.
 */

static void
sync_location_tell(sync_location_t *l)
{
    ngx_time_t     *tp;
    sync_str_t      json;
    sync_writer_t   w;
    u_char          id[SYNC_ID_TEXT];

    static sync_str_t  null = sync_string("null");

    if (l->settings->hooks[SYNC_HOOK_LOCATION].uri.len == 0) {
        return;
    }

    tp = ngx_timeofday();

    sync_registry_print_id(id, l->id);

    do {
        sync_reply_text(&w);
        sync_write_literal(&w, "{\"clientId\":\"");
        sync_write(&w, id, SYNC_ID_TEXT);
        sync_write_literal(&w, "\",\"userId\":");

        if (l->user.len) {
            sync_json_write_str(&w, &l->user);

        } else {
            sync_write_str(&w, &null);
        }

        sync_write_literal(&w, ",\"token\":");
        sync_json_write_str(&w, &l->op.token);
        sync_write_literal(&w, ",\"oldLocation\":");
        sync_write_str(&w, l->old.len ? &l->old : &null);
        sync_write_literal(&w, ",\"newLocation\":");
        sync_write_str(&w, &l->value);
        sync_write_literal(&w, ",\"timestamp\":");
        sync_write_int(&w, (int64_t) tp->sec * 1000 + tp->msec);
        sync_write_byte(&w, '}');

    } while (sync_reply_again(&w));

    if (w.len == 0) {
        sync_zone_count(l->settings->main->zone, SYNC_COUNT_NOTIFY_DROPPED,
                        1);
        return;
    }

    sync_reply_str(&json, &w);

    sync_notify_add(l->settings, SYNC_HOOK_LOCATION, &json);
}
