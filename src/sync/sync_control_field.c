
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control_op.h>
#include <sync_name.h>
#include <sync_session_store.h>


/*
 * The fields of a request and the members of its answer.
 */


static ngx_int_t sync_control_number(sync_control_t *ctl, const char *field,
    ngx_uint_t min, ngx_uint_t max, ngx_uint_t *n);


ngx_int_t
sync_control_name(sync_control_t *ctl, const char *field, sync_str_t *name)
{
    ngx_int_t  rc;

    rc = sync_control_string(ctl, field, name);

    if (rc != SYNC_OK) {
        return rc;
    }

    if (sync_name_check(name) != SYNC_OK) {
        return sync_control_invalid(ctl, "\"%s\" must be a name of 1 to %d "
                                    "bytes, not blank, without control "
                                    "characters", field, SYNC_NAME_MAX);
    }

    return SYNC_OK;
}


ngx_int_t
sync_control_id(sync_control_t *ctl, u_char *id)
{
    ngx_int_t   rc;
    sync_str_t  text;

    rc = sync_control_string(ctl, "clientId", &text);

    if (rc != SYNC_OK) {
        return rc;
    }

    if (sync_registry_parse_id(id, text.data, text.len) != SYNC_OK) {
        return sync_control_invalid(ctl, "\"clientId\" is not the id of a "
                                    "client");
    }

    return SYNC_OK;
}


ngx_int_t
sync_control_token(sync_control_t *ctl, sync_str_t *token)
{
    ngx_int_t  rc;

    rc = sync_control_string(ctl, "token", token);

    if (rc == SYNC_OK && (token->len == 0 || token->len > SYNC_TOKEN_MAX)) {
        return sync_control_invalid(ctl, "\"token\" must be 1 to %d bytes "
                                    "long", SYNC_TOKEN_MAX);
    }

    return rc;
}


ngx_int_t
sync_control_page(sync_control_t *ctl, ngx_uint_t min, ngx_uint_t *limit,
    ngx_uint_t *cursor)
{
    *cursor = 0;

    if (sync_control_limit(ctl, min, limit) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (sync_control_number(ctl, "cursor", 0, 0xffffffff, cursor)
        == SYNC_ERROR)
    {
        return SYNC_ERROR;
    }

    return SYNC_OK;
}


ngx_int_t
sync_control_limit(sync_control_t *ctl, ngx_uint_t min, ngx_uint_t *limit)
{
    *limit = SYNC_CONTROL_LIMIT;

    return (sync_control_number(ctl, "limit", min, SYNC_CONTROL_LIMIT_MAX,
                                limit)
            == SYNC_ERROR)
           ? SYNC_ERROR : SYNC_OK;
}


/* A number, or a string with one, as in the arguments of a GET. */

static ngx_int_t
sync_control_number(sync_control_t *ctl, const char *field, ngx_uint_t min,
    ngx_uint_t max, ngx_uint_t *n)
{
    int64_t      value;
    sync_str_t   s;
    sync_json_t  v;

    if (sync_control_field(ctl, field, &v) != SYNC_OK) {
        return SYNC_DECLINED;
    }

    value = -1;

    if (v.type == SYNC_JSON_STRING) {

        if (sync_control_unquote(ctl, &v, &s) != SYNC_OK) {
            return SYNC_ERROR;
        }

        value = ngx_atoi(s.data, s.len);

    } else if (sync_json_int64(&value, &v) != SYNC_OK) {
        value = -1;
    }

    if (value < (int64_t) min || value > (int64_t) max) {
        return sync_control_invalid(ctl, "\"%s\" must be a number from %ui "
                                    "to %ui", field, min, max);
    }

    *n = value;

    return SYNC_OK;
}


ngx_int_t
sync_control_string(sync_control_t *ctl, const char *field, sync_str_t *s)
{
    sync_json_t  v;

    if (sync_control_field(ctl, field, &v) != SYNC_OK) {
        return SYNC_DECLINED;
    }

    if (v.type != SYNC_JSON_STRING) {
        return sync_control_invalid(ctl, "\"%s\" must be a string", field);
    }

    return sync_control_unquote(ctl, &v, s);
}


ngx_int_t
sync_control_unquote(sync_control_t *ctl, sync_json_t *v, sync_str_t *s)
{
    u_char  *p;

    p = ngx_pnalloc(ctl->pool, v->raw.len);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    return sync_json_string(s, v, p, v->raw.len);
}


ngx_int_t
sync_control_field(sync_control_t *ctl, const char *field, sync_json_t *v)
{
    sync_str_t   name;
    sync_json_t  found;

    name.data = (u_char *) field;
    name.len = ngx_strlen(field);

    if (sync_json_find(&found, &ctl->fields, &name) != SYNC_OK
        || found.type == SYNC_JSON_NULL)
    {
        return SYNC_DECLINED;
    }

    *v = found;

    return SYNC_OK;
}


void
sync_control_set(sync_control_t *ctl, json_t *object, const char *key,
    json_t *value)
{
    if (json_object_set_new(object, key, value) != 0) {
        ctl->failed = 1;
    }
}


json_t *
sync_control_text(const u_char *data, size_t len)
{
    json_t  *text;

    text = json_stringn((const char *) data, len);

    return text ? text : json_null();
}


void
sync_control_set_cursor(sync_control_t *ctl, ngx_uint_t more,
    ngx_uint_t cursor)
{
    u_char  text[NGX_INT_T_LEN + 1];

    *ngx_sprintf(text, "%ui", cursor) = '\0';

    sync_control_set(ctl, ctl->answer, "cursor",
                     more ? json_string((char *) text) : json_null());
}


ngx_int_t
sync_control_invalid(sync_control_t *ctl, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    ctl->status = NGX_HTTP_BAD_REQUEST;
    ctl->code = "control.invalidRequest";

    va_start(args, fmt);
    p = ngx_vslprintf(ctl->message, ctl->message + SYNC_CONTROL_MESSAGE - 1,
                      fmt, args);
    va_end(args);

    *p = '\0';

    return SYNC_ERROR;
}


ngx_int_t
sync_control_missing(sync_control_t *ctl, const char *field)
{
    return sync_control_invalid(ctl, "\"%s\" is missing", field);
}


ngx_int_t
sync_control_not_found(sync_control_t *ctl)
{
    return sync_control_fail(ctl, NGX_HTTP_NOT_FOUND, "client.notFound",
                             "there is no client with this id");
}


ngx_int_t
sync_control_full(sync_control_t *ctl)
{
    return sync_control_fail(ctl, NGX_HTTP_SERVICE_UNAVAILABLE,
                             "broker.unavailable", "the zone is full");
}


ngx_int_t
sync_control_busy(sync_control_t *ctl, const char *code, const char *message)
{
    return sync_control_fail(ctl, NGX_HTTP_SERVICE_UNAVAILABLE, code,
                             message);
}


ngx_int_t
sync_control_stale(sync_control_t *ctl)
{
    return sync_control_fail(ctl, NGX_HTTP_CONFLICT, "publish.stale",
                             "\"lsn\" is not above the last one of the room");
}


ngx_int_t
sync_control_fail(sync_control_t *ctl, ngx_uint_t status, const char *code,
    const char *message)
{
    ctl->status = status;
    ctl->code = code;

    (void) ngx_cpystrn(ctl->message, (u_char *) message,
                       SYNC_CONTROL_MESSAGE);

    return SYNC_ERROR;
}
