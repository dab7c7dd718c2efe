
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control.h>
#include <sync_control_spread.h>


/*
 * From the name of an operation to its answer:
 *
 *     lookup --> check: JSON, an object, no field but its own --> run
 *                   `--------------------------------> finish <-----'
 *                                                         ^      (later)
 *                                                         `-- done <-'
 */


#define SYNC_CONTROL_FIELD         64       /* of an unknown field, shown */


struct sync_control_op_s {
    const char            *name;
    sync_control_pt        run;
    ngx_uint_t             reads;       /* changes nothing */
    const char            *fields;      /* " a b c " */
};


static ngx_int_t sync_control_start(const sync_control_op_t *op,
    sync_settings_t *s, ngx_pool_t *pool, sync_str_t *body,
    sync_control_answer_t *answer, sync_control_done_pt done, void *data,
    ngx_uint_t local);
static ngx_int_t sync_control_check(const sync_control_op_t *op,
    sync_control_t *ctl, sync_str_t *body);
static ngx_int_t sync_control_check_field(const sync_control_op_t *op,
    sync_control_t *ctl, sync_str_t *key);
static void sync_control_cleanup(void *data);
static ngx_int_t sync_control_finish(sync_control_t *ctl,
    sync_control_answer_t *answer);
static ngx_int_t sync_control_append(sync_control_t *ctl,
    sync_control_answer_t *answer);
static ngx_int_t sync_control_dump(ngx_pool_t *pool, json_t *json,
    ngx_str_t *body);
static void sync_control_write_arg(sync_writer_t *w, u_char *p,
    u_char *last);


static const sync_control_op_t  sync_control_ops[] = {
    { "publish", sync_control_publish, 0,
      " room rooms pattern clientId token tokens user all event data "
      "except key id lsn messages " },
    { "emit", sync_control_emit, 0,
      " room rooms pattern clientId token tokens user all event args except "
      "ack timeout binary " },
    { "broadcast", sync_control_broadcast, 0, " channel data id lsn " },
    { "kick", sync_control_kick, 0, " clientId token user reason " },
    { "disconnect", sync_control_disconnect, 0, " clientId token user " },
    { "join", sync_control_join, 0, " room clientId token " },
    { "leave", sync_control_leave, 0, " room clientId token " },
    { "session/get", sync_control_session_get, 0, " token " },
    { "session/save", sync_control_session_save, 0, " token session ttl " },
    { "session/delete", sync_control_session_delete, 0, " token " },
    { "session/revoke", sync_control_session_revoke, 0, " user except " },
    { "session/login", sync_control_session_login, 0,
      " user token session ttl supersede " },
    { "rooms", sync_control_rooms, 1, " prefix limit cursor " },
    { "members", sync_control_members, 1, " room limit cursor " },
    { "clients", sync_control_clients, 1,
      " user room connected limit cursor " },
    { "client", sync_control_client, 1, " clientId " },
    { "presence", sync_control_presence, 1, " room user limit cursor " },
    { "host/kick", sync_control_host_kick, 0, " user reason " },
    { "host/revoke", sync_control_host_revoke, 0, " user except " },
    { NULL, NULL, 0, NULL }
};


const sync_control_op_t *
sync_control_lookup(sync_str_t *name)
{
    const sync_control_op_t  *op;

    for (op = sync_control_ops; op->name; op++) {

        if (name->len == ngx_strlen(op->name)
            && ngx_strncmp(name->data, op->name, name->len) == 0)
        {
            return op;
        }
    }

    return NULL;
}


ngx_uint_t
sync_control_reads(const sync_control_op_t *op)
{
    return op->reads;
}


ngx_int_t
sync_control_run(const sync_control_op_t *op, sync_settings_t *s,
    ngx_pool_t *pool, sync_str_t *body, sync_control_answer_t *answer,
    sync_control_done_pt done, void *data)
{
    return sync_control_start(op, s, pool, body, answer, done, data, 0);
}


ngx_int_t
sync_control_run_here(const sync_control_op_t *op, sync_settings_t *s,
    ngx_pool_t *pool, sync_str_t *body, sync_control_answer_t *answer,
    sync_control_done_pt done, void *data)
{
    return sync_control_start(op, s, pool, body, answer, done, data, 1);
}


static ngx_int_t
sync_control_start(const sync_control_op_t *op, sync_settings_t *s,
    ngx_pool_t *pool, sync_str_t *body, sync_control_answer_t *answer,
    sync_control_done_pt done, void *data, ngx_uint_t local)
{
    ngx_int_t            rc;
    sync_control_t      *ctl;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, sizeof(sync_control_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    ctl = cln->data;
    ngx_memzero(ctl, sizeof(sync_control_t));

    ctl->settings = s;
    ctl->main = s->main;
    ctl->pool = pool;
    ctl->done = done;
    ctl->data = data;
    ctl->local = local;

    ctl->answer = json_object();
    if (ctl->answer == NULL) {
        return NGX_ERROR;
    }

    cln->handler = sync_control_cleanup;

    sync_control_set(ctl, ctl->answer, "status", json_string("success"));

    rc = sync_control_check(op, ctl, body);

    if (rc == SYNC_OK) {
        rc = sync_control_spread(ctl, op->name, op->run);
    }

    if (rc == SYNC_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == SYNC_OK || ctl->status) {
        return sync_control_finish(ctl, answer);
    }

    return NGX_ERROR;
}


void
sync_control_done(sync_control_t *ctl, ngx_int_t rc)
{
    sync_control_answer_t  answer;

    rc = sync_control_spread_done(ctl, rc);

    if (rc == SYNC_AGAIN) {
        return;
    }

    ngx_memzero(&answer, sizeof(sync_control_answer_t));

    rc = (rc == SYNC_OK || ctl->status) ? sync_control_finish(ctl, &answer)
                                        : NGX_ERROR;

    ctl->done(ctl->data, rc, &answer);
}


static void
sync_control_cleanup(void *data)
{
    sync_control_t  *ctl = data;

    json_decref(ctl->answer);
}


static ngx_int_t
sync_control_check(const sync_control_op_t *op, sync_control_t *ctl,
    sync_str_t *body)
{
    size_t            err;
    sync_str_t        text, key;
    sync_json_t       v;
    sync_json_iter_t  it;

    text = *body;

    if (text.len == 0) {
        sync_str_set(&text, "{}");
    }

    if (sync_json_parse(&ctl->fields, &text, &err) != SYNC_OK) {
        return sync_control_invalid(ctl, "the body is not JSON at byte %uz",
                                    err);
    }

    if (ctl->fields.type != SYNC_JSON_OBJECT) {
        return sync_control_invalid(ctl, "the body is not a JSON object");
    }

    sync_json_iter_init(&it, &ctl->fields);

    while (sync_json_next(&it, &key, &v) == SYNC_OK) {

        if (sync_control_check_field(op, ctl, &key) != SYNC_OK) {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


static ngx_int_t
sync_control_check_field(const sync_control_op_t *op, sync_control_t *ctl,
    sync_str_t *key)
{
    u_char  *last, word[SYNC_CONTROL_FIELD + 3];

    if (key->len > SYNC_CONTROL_FIELD) {
        return sync_control_invalid(ctl, "unknown field of %uz bytes",
                                    key->len);
    }

    last = ngx_snprintf(word, sizeof(word) - 1, " %*s ", key->len, key->data);
    *last = '\0';

    if (ngx_strchr(word + 1, ' ') == (char *) last - 1) {

        if (ngx_strstr(op->fields, word)) {
            return SYNC_OK;
        }
    }

    return sync_control_invalid(ctl, "unknown field \"%*s\"", key->len,
                                key->data);
}


static ngx_int_t
sync_control_finish(sync_control_t *ctl, sync_control_answer_t *answer)
{
    answer->status = NGX_HTTP_OK;

    if (ctl->status) {
        answer->status = ctl->status;

        sync_control_set(ctl, ctl->answer, "status", json_string("error"));
        sync_control_set(ctl, ctl->answer, "errorCode",
                         json_string(ctl->code));
        sync_control_set(ctl, ctl->answer, "message",
                         json_string((char *) ctl->message));
    }

    if (ctl->failed) {
        return NGX_ERROR;
    }

    if (sync_control_dump(ctl->pool, ctl->answer, &answer->body) != NGX_OK) {
        return NGX_ERROR;
    }

    return sync_control_append(ctl, answer);
}


/* What is not jansson's, byte by byte as it came. */

static ngx_int_t
sync_control_append(sync_control_t *ctl, sync_control_answer_t *answer)
{
    u_char  *p, *body;

    if (ctl->members.len == 0) {
        return NGX_OK;
    }

    body = ngx_pnalloc(ctl->pool, answer->body.len + 1 + ctl->members.len);
    if (body == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(body, answer->body.data, answer->body.len - 1);
    *p++ = ',';
    p = ngx_cpymem(p, ctl->members.data, ctl->members.len);
    *p++ = '}';

    answer->body.data = body;
    answer->body.len = p - body;

    return NGX_OK;
}


ngx_int_t
sync_control_error(ngx_pool_t *pool, ngx_uint_t status, const char *code,
    const char *message, sync_control_answer_t *answer)
{
    json_t     *json;
    ngx_int_t   rc;

    json = json_pack("{s:s, s:s, s:s}", "status", "error", "errorCode", code,
                     "message", message);
    if (json == NULL) {
        return NGX_ERROR;
    }

    rc = sync_control_dump(pool, json, &answer->body);

    answer->status = status;

    json_decref(json);

    return rc;
}


static ngx_int_t
sync_control_dump(ngx_pool_t *pool, json_t *json, ngx_str_t *body)
{
    char  *text;

    text = json_dumps(json, JSON_COMPACT);
    if (text == NULL) {
        return NGX_ERROR;
    }

    body->len = ngx_strlen(text);

    body->data = ngx_pnalloc(pool, body->len);
    if (body->data == NULL) {
        free(text);
        return NGX_ERROR;
    }

    ngx_memcpy(body->data, text, body->len);

    free(text);

    return NGX_OK;
}


ngx_int_t
sync_control_args(ngx_pool_t *pool, ngx_str_t *args, sync_str_t *body)
{
    size_t          size;
    u_char         *p, *last, *end, *eq, *buf, *src;
    sync_writer_t   w;

    if (args->len == 0) {
        body->len = 0;
        body->data = NULL;

        return NGX_OK;
    }

    /* a byte is six at most when it is quoted, and there are quotes */

    size = 6 * args->len + sizeof("{\"\":\"\"}");

    buf = ngx_pnalloc(pool, size + args->len);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    src = buf + size;
    last = src + args->len;

    ngx_memcpy(src, args->data, args->len);

    for (p = src; p < last; p++) {

        if (*p == '+') {
            *p = ' ';
        }
    }

    sync_writer_init(&w, buf, size);

    sync_write_byte(&w, '{');

    for (p = src; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');

        if (end == NULL) {
            end = last;
        }

        if (end == p) {
            continue;
        }

        eq = ngx_strlchr(p, end, '=');

        if (eq == NULL) {
            eq = end;
        }

        if (w.len > 1) {
            sync_write_byte(&w, ',');
        }

        sync_control_write_arg(&w, p, eq);
        sync_write_byte(&w, ':');
        sync_control_write_arg(&w, eq < end ? eq + 1 : end, end);
    }

    sync_write_byte(&w, '}');

    body->data = buf;
    body->len = w.len;

    return sync_writer_fits(&w) ? NGX_OK : NGX_ERROR;
}


static void
sync_control_write_arg(sync_writer_t *w, u_char *p, u_char *last)
{
    u_char  *dst, *src;

    dst = p;
    src = p;

    ngx_unescape_uri(&dst, &src, last - p, 0);

    sync_json_write_string(w, p, dst - p);
}
