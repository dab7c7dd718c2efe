
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <jansson.h>
#include <sync_route_file.h>
#include <sync_name.h>


/*
 * Reads a manifest.  Jansson says whether the file is JSON, in its words and
 * with the line; then our own reader goes through the text, as its values
 * are spans: where one is wrong, its line is known.
 */


#define SYNC_ROUTE_CONDITIONS_MAX  32
#define SYNC_ROUTE_EVERY_MAX       60000        /* ms */
#define SYNC_ROUTE_CHARS_MAX       65536


static ngx_int_t sync_route_file_read(sync_route_file_t *f);
static ngx_int_t sync_route_file_parse(sync_route_file_t *f);
static ngx_int_t sync_route_file_version(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_routes(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_route(sync_route_file_t *f,
    sync_str_t *key, sync_json_t *v);
static ngx_int_t sync_route_file_auth(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_login(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_additional(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_condition_key(sync_route_file_t *f,
    void *dst, sync_json_t *v);
static ngx_int_t sync_route_file_condition_value(sync_route_file_t *f,
    void *dst, sync_json_t *v);
static ngx_int_t sync_route_file_condition_type(sync_route_file_t *f,
    void *dst, sync_json_t *v);
static ngx_int_t sync_route_file_condition_nullish(sync_route_file_t *f,
    void *dst, sync_json_t *v);
static ngx_int_t sync_route_file_condition_falsy(sync_route_file_t *f,
    void *dst, sync_json_t *v);
static ngx_int_t sync_route_file_rate(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_server(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_client(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_filter(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_hook(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_method(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_throttle(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_every(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_chars(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_field(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_volatile(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_key(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_schema(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_file_flag(sync_route_file_t *f, sync_json_t *v,
    ngx_uint_t *flag);


static sync_route_key_t  sync_route_file_keys[] = {
    { sync_string("version"), sync_route_file_version },
    { sync_string("routes"), sync_route_file_routes },
    { { 0, NULL }, NULL }
};


static sync_route_key_t  sync_route_file_route_keys[] = {
    { sync_string("auth"), sync_route_file_auth },
    { sync_string("rateLimit"), sync_route_file_rate },
    { sync_string("server"), sync_route_file_server },
    { sync_string("client"), sync_route_file_client },
    { sync_string("hook"), sync_route_file_hook },
    { sync_string("httpMethod"), sync_route_file_method },
    { sync_string("throttle"), sync_route_file_throttle },
    { sync_string("volatile"), sync_route_file_volatile },
    { sync_string("key"), sync_route_file_key },
    { sync_string("schema"), sync_route_file_schema },
    { { 0, NULL }, NULL }
};


static sync_route_key_t  sync_route_file_auth_keys[] = {
    { sync_string("login"), sync_route_file_login },
    { sync_string("additional"), sync_route_file_additional },
    { { 0, NULL }, NULL }
};


static sync_route_key_t  sync_route_file_condition_keys[] = {
    { sync_string("key"), sync_route_file_condition_key },
    { sync_string("value"), sync_route_file_condition_value },
    { sync_string("type"), sync_route_file_condition_type },
    { sync_string("nullish"), sync_route_file_condition_nullish },
    { sync_string("mustBeFalsy"), sync_route_file_condition_falsy },
    { { 0, NULL }, NULL }
};


static sync_route_key_t  sync_route_file_client_keys[] = {
    { sync_string("filter"), sync_route_file_filter },
    { { 0, NULL }, NULL }
};


static sync_route_key_t  sync_route_file_throttle_keys[] = {
    { sync_string("everyMs"), sync_route_file_every },
    { sync_string("chars"), sync_route_file_chars },
    { sync_string("field"), sync_route_file_field },
    { { 0, NULL }, NULL }
};


static const sync_str_t  sync_route_file_prefixes[] = {
    sync_string("sync"),
    sync_string("api")
};


static const char  *sync_route_file_methods[] = {
    "\"\"", "\"GET\"", "\"POST\"", "\"PUT\"", "\"DELETE\""
};


sync_manifest_t *
sync_route_load(ngx_conf_t *cf, ngx_str_t *file)
{
    sync_route_file_t  f;

    ngx_memzero(&f, sizeof(sync_route_file_t));

    f.cf = cf;
    f.name = file;

    if (sync_route_file_read(&f) != SYNC_OK
        || sync_route_file_parse(&f) != SYNC_OK)
    {
        return NULL;
    }

    return f.manifest;
}


static ngx_int_t
sync_route_file_read(sync_route_file_t *f)
{
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_file_t       file;
    ngx_file_info_t  fi;

    fd = ngx_open_file(f->name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, f->cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", f->name);
        return SYNC_ERROR;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.fd = fd;
    file.name = *f->name;
    file.log = f->cf->log;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, f->cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", f->name);
        goto failed;
    }

    if (ngx_file_size(&fi) > SYNC_ROUTE_FILE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, f->cf, 0,
                           "\"%V\" is larger than 16m", f->name);
        goto failed;
    }

    f->text.len = ngx_file_size(&fi);

    f->text.data = ngx_pnalloc(f->cf->pool, f->text.len + 1);
    if (f->text.data == NULL) {
        goto failed;
    }

    n = ngx_read_file(&file, f->text.data, f->text.len, 0);

    if (n != (ssize_t) f->text.len) {

        if (n != NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, f->cf, 0,
                               ngx_read_file_n " \"%V\" returned only "
                               "%z bytes of %uz", f->name, n, f->text.len);
        }

        goto failed;
    }

    (void) ngx_close_file(fd);

    return SYNC_OK;

failed:

    (void) ngx_close_file(fd);

    return SYNC_ERROR;
}


static ngx_int_t
sync_route_file_parse(sync_route_file_t *f)
{
    size_t        at;
    json_t       *json;
    sync_json_t   v;
    json_error_t  e;

    json = json_loadb((char *) f->text.data, f->text.len,
                      JSON_REJECT_DUPLICATES|JSON_DECODE_ANY, &e);

    if (json == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, f->cf, 0, "%s in %V:%d",
                           e.text, f->name, e.line);
        return SYNC_ERROR;
    }

    json_decref(json);

    if (sync_json_parse(&v, &f->text, &at) != SYNC_OK) {
        return sync_route_file_error(f, f->text.data + at,
                                     "invalid JSON, or nested too deep");
    }

    if (sync_route_file_object(f, sync_route_file_keys, NULL, &v,
                               "a manifest") != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    if (f->manifest == NULL) {
        return sync_route_file_error(f, v.raw.data, "no \"routes\"");
    }

    if (!f->version) {
        return sync_route_file_error(f, v.raw.data, "no \"version\"");
    }

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_version(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    int64_t  n;

    if (sync_json_int64(&n, v) != SYNC_OK || n != 1) {
        return sync_route_file_error(f, v->raw.data, "\"version\" must be 1");
    }

    f->version = 1;

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_routes(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    ngx_uint_t        n;
    sync_str_t        key;
    sync_json_t       route;
    sync_json_iter_t  it;

    if (v->type != SYNC_JSON_OBJECT) {
        return sync_route_file_error(f, v->raw.data,
                                     "\"routes\" must be an object");
    }

    sync_json_iter_init(&it, v);

    for (n = 0; sync_json_next(&it, &key, &route) == SYNC_OK; n++) {
        /* void */
    }

    f->manifest = sync_route_create(f->cf->pool, n);
    if (f->manifest == NULL) {
        return SYNC_ERROR;
    }

    sync_json_iter_init(&it, v);

    while (sync_json_next(&it, &key, &route) == SYNC_OK) {
        if (sync_route_file_route(f, &key, &route) != SYNC_OK) {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_route(sync_route_file_t *f, sync_str_t *key, sync_json_t *v)
{
    u_char             *p;
    ngx_uint_t          i;
    sync_str_t          name;
    sync_route_t       *rt;
    sync_name_route_t   r;

    name = *key;

    if (sync_route_file_unquote(f, &name) != SYNC_OK) {
        return SYNC_ERROR;
    }

    p = ngx_pnalloc(f->cf->pool, name.len + sizeof("sync/"));
    if (p == NULL) {
        return SYNC_ERROR;
    }

    rt = ngx_pcalloc(f->cf->pool, sizeof(sync_route_t));
    if (rt == NULL) {
        return SYNC_ERROR;
    }

    for (i = 0; i < 2; i++) {

        if (sync_name_route(&r, p, name.len + sizeof("sync/"),
                            &sync_route_file_prefixes[i], &name)
            == SYNC_OK
            && sync_str_eq(&r.full, &name))
        {
            break;
        }
    }

    if (i == 2) {
        return sync_route_file_error(f, key->data,
                                     "route \"%V\" must be named as "
                                     "\"sync/service/name/v1\" or "
                                     "\"api/service/name/v1\"", &name);
    }

    rt->name = name;
    rt->rate = SYNC_ROUTE_RATE_UNSET;
    sync_str_set(&rt->throttle.field, "");
    rt->server = 1;

    if (sync_route_file_object(f, sync_route_file_route_keys, rt, v,
                               "a route") != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    if (i == 1 && (rt->client || rt->filter || !rt->server || rt->fleeting
                   || rt->key.len))
    {
        return sync_route_file_error(f, key->data,
                                     "\"server\", \"client\", \"volatile\" "
                                     "and \"key\" are not of an api, as "
                                     "\"%V\"", &name);
    }

    if (i == 0 && rt->method) {
        return sync_route_file_error(f, key->data,
                                     "\"httpMethod\" is not of a sync, as "
                                     "\"%V\"", &name);
    }

    if (sync_route_add(f->manifest, rt) != SYNC_OK) {
        return sync_route_file_error(f, key->data, "duplicate route \"%V\"",
                                     &name);
    }

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_auth(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    return sync_route_file_object(f, sync_route_file_auth_keys, dst, v,
                                  "\"auth\"");
}


static ngx_int_t
sync_route_file_login(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    ngx_uint_t  flag;

    if (sync_route_file_flag(f, v, &flag) != SYNC_OK) {
        return SYNC_ERROR;
    }

    rt->login = flag;

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_additional(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    sync_json_t        item;
    sync_json_iter_t   it;
    sync_condition_t  *c;

    if (v->type != SYNC_JSON_ARRAY) {
        return sync_route_file_error(f, v->raw.data,
                                     "\"additional\" must be an array");
    }

    rt->additional = ngx_pcalloc(f->cf->pool, SYNC_ROUTE_CONDITIONS_MAX
                                              * sizeof(sync_condition_t));
    if (rt->additional == NULL) {
        return SYNC_ERROR;
    }

    sync_json_iter_init(&it, v);

    while (sync_json_next(&it, NULL, &item) == SYNC_OK) {

        if (rt->nadditional == SYNC_ROUTE_CONDITIONS_MAX) {
            return sync_route_file_error(f, item.raw.data,
                                         "more than 32 conditions in "
                                         "\"additional\"");
        }

        c = &rt->additional[rt->nadditional++];

        if (sync_route_file_object(f, sync_route_file_condition_keys, c,
                                   &item, "an entry of \"additional\"")
            != SYNC_OK)
        {
            return SYNC_ERROR;
        }

        if (c->key.data == NULL) {
            return sync_route_file_error(f, item.raw.data,
                                         "an entry of \"additional\" has no "
                                         "\"key\"");
        }
    }

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_condition_key(sync_route_file_t *f, void *dst,
    sync_json_t *v)
{
    sync_condition_t  *c = dst;

    return sync_route_file_string(f, &c->key, v);
}


static ngx_int_t
sync_route_file_condition_value(sync_route_file_t *f, void *dst,
    sync_json_t *v)
{
    sync_condition_t  *c = dst;

    c->value = *v;

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_condition_type(sync_route_file_t *f, void *dst,
    sync_json_t *v)
{
    sync_condition_t  *c = dst;

    sync_str_t  type;

    if (sync_route_file_string(f, &type, v) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (sync_str_is(&type, "string")) {
        c->type = SYNC_CONDITION_STRING;

    } else if (sync_str_is(&type, "number")) {
        c->type = SYNC_CONDITION_NUMBER;

    } else if (sync_str_is(&type, "boolean")) {
        c->type = SYNC_CONDITION_BOOLEAN;

    } else if (type.len) {
        return sync_route_file_error(f, v->raw.data,
                                     "\"type\" must be \"string\", "
                                     "\"number\" or \"boolean\"");
    }

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_condition_nullish(sync_route_file_t *f, void *dst,
    sync_json_t *v)
{
    sync_condition_t  *c = dst;

    ngx_uint_t  flag;

    if (v->type == SYNC_JSON_NULL) {
        return SYNC_OK;
    }

    if (sync_route_file_flag(f, v, &flag) != SYNC_OK) {
        return SYNC_ERROR;
    }

    c->nullish = flag;
    c->has_nullish = 1;

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_condition_falsy(sync_route_file_t *f, void *dst,
    sync_json_t *v)
{
    sync_condition_t  *c = dst;

    ngx_uint_t  flag;

    if (v->type == SYNC_JSON_NULL) {
        return SYNC_OK;
    }

    if (sync_route_file_flag(f, v, &flag) != SYNC_OK) {
        return SYNC_ERROR;
    }

    c->falsy = flag;
    c->has_falsy = 1;

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_rate(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    int64_t  n;

    if (v->type == SYNC_JSON_FALSE) {
        rt->rate = 0;
        return SYNC_OK;
    }

    if (sync_json_int64(&n, v) != SYNC_OK || n > NGX_MAX_INT32_VALUE) {
        return sync_route_file_error(f, v->raw.data,
                                     "\"rateLimit\" must be a number of "
                                     "requests a minute, or false");
    }

    rt->rate = (n > 0) ? n : 0;

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_server(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    ngx_uint_t  flag;

    if (sync_route_file_flag(f, v, &flag) != SYNC_OK) {
        return SYNC_ERROR;
    }

    rt->server = flag;

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_client(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    if (v->type == SYNC_JSON_TRUE || v->type == SYNC_JSON_FALSE) {
        rt->client = (v->type == SYNC_JSON_TRUE);
        return SYNC_OK;
    }

    return sync_route_file_object(f, sync_route_file_client_keys, rt, v,
                                  "\"client\"");
}


static ngx_int_t
sync_route_file_filter(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    rt->filter = sync_route_filter_compile(f, v);

    return rt->filter ? SYNC_OK : SYNC_ERROR;
}


static ngx_int_t
sync_route_file_hook(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    sync_str_t  uri;

    if (sync_route_file_string(f, &uri, v) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (uri.len == 0 || uri.data[0] != '/') {
        return sync_route_file_error(f, v->raw.data,
                                     "\"hook\" must be an uri of an "
                                     "internal location, as \"/_hook/a\"");
    }

    rt->uri.data = uri.data;
    rt->uri.len = uri.len;

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_method(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    ngx_uint_t  i;

    for (i = SYNC_ROUTE_GET; i <= SYNC_ROUTE_DELETE; i++) {

        if (v->raw.len == ngx_strlen(sync_route_file_methods[i])
            && ngx_memcmp(v->raw.data, sync_route_file_methods[i],
                          v->raw.len) == 0)
        {
            rt->method = i;
            return SYNC_OK;
        }
    }

    return sync_route_file_error(f, v->raw.data,
                                 "\"httpMethod\" must be \"GET\", \"POST\", "
                                 "\"PUT\" or \"DELETE\"");
}


static ngx_int_t
sync_route_file_throttle(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    rt->throttle.every = 50;
    rt->throttle.chars = 32;
    sync_str_set(&rt->throttle.field, "chunk");

    return sync_route_file_object(f, sync_route_file_throttle_keys, rt, v,
                                  "\"throttle\"");
}


static ngx_int_t
sync_route_file_every(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    int64_t  n;

    if (sync_json_int64(&n, v) != SYNC_OK
        || n < 1 || n > SYNC_ROUTE_EVERY_MAX)
    {
        return sync_route_file_error(f, v->raw.data,
                                     "\"everyMs\" must be a number from 1 to "
                                     "60000");
    }

    rt->throttle.every = n;

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_chars(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    int64_t  n;

    if (sync_json_int64(&n, v) != SYNC_OK
        || n < 1 || n > SYNC_ROUTE_CHARS_MAX)
    {
        return sync_route_file_error(f, v->raw.data,
                                     "\"chars\" must be a number from 1 to "
                                     "65536");
    }

    rt->throttle.chars = n;

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_field(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    return sync_route_file_string(f, &rt->throttle.field, v);
}


static ngx_int_t
sync_route_file_volatile(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    ngx_uint_t  flag;

    if (sync_route_file_flag(f, v, &flag) != SYNC_OK) {
        return SYNC_ERROR;
    }

    rt->fleeting = flag;

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_key(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    if (sync_route_file_string(f, &rt->key, v) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (rt->key.len == 0) {
        return sync_route_file_error(f, v->raw.data, "\"key\" is empty");
    }

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_schema(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_t  *rt = dst;

    rt->schema = sync_route_schema_compile(f, v);

    return rt->schema ? SYNC_OK : SYNC_ERROR;
}


ngx_int_t
sync_route_file_object(sync_route_file_t *f, sync_route_key_t *keys,
    void *dst, sync_json_t *v, const char *what)
{
    sync_str_t         key;
    sync_json_t        value;
    sync_json_iter_t   it;
    sync_route_key_t  *k;

    if (v->type != SYNC_JSON_OBJECT) {
        return sync_route_file_error(f, v->raw.data, "%s must be an object",
                                     what);
    }

    sync_json_iter_init(&it, v);

    while (sync_json_next(&it, &key, &value) == SYNC_OK) {

        for (k = keys; k->handler; k++) {
            if (sync_json_key_is(&key, &k->name)) {
                break;
            }
        }

        if (k->handler == NULL) {
            return sync_route_file_error(f, key.data,
                                         "unknown key \"%V\" in %s", &key,
                                         what);
        }

        f->key = &k->name;

        if (k->handler(f, dst, &value) != SYNC_OK) {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


/* A string's meaning; a span of the file where it has no escapes. */

ngx_int_t
sync_route_file_string(sync_route_file_t *f, sync_str_t *s, sync_json_t *v)
{
    if (v->type != SYNC_JSON_STRING) {
        return sync_route_file_error(f, v->raw.data, "\"%V\" must be a "
                                     "string", f->key);
    }

    s->data = v->raw.data + 1;
    s->len = v->raw.len - 2;

    return sync_route_file_unquote(f, s);
}


/* The same for a key, which comes without its quotes. */

ngx_int_t
sync_route_file_unquote(sync_route_file_t *f, sync_str_t *s)
{
    u_char       *p;
    sync_json_t   v;

    if (s->len == 0 || ngx_strlchr(s->data, s->data + s->len, '\\') == NULL) {
        return SYNC_OK;
    }

    v.type = SYNC_JSON_STRING;
    v.raw.data = s->data - 1;
    v.raw.len = s->len + 2;

    p = ngx_pnalloc(f->cf->pool, v.raw.len);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    s->len = sync_json_unquote(p, v.raw.len, &v);
    s->data = p;

    return SYNC_OK;
}


static ngx_int_t
sync_route_file_flag(sync_route_file_t *f, sync_json_t *v, ngx_uint_t *flag)
{
    *flag = (v->type == SYNC_JSON_TRUE);

    if (v->type != SYNC_JSON_TRUE && v->type != SYNC_JSON_FALSE) {
        return sync_route_file_error(f, v->raw.data, "\"%V\" must be true or "
                                     "false", f->key);
    }

    return SYNC_OK;
}


ngx_int_t
sync_route_file_error(sync_route_file_t *f, const u_char *at,
    const char *fmt, ...)
{
    u_char        *p, *last, text[NGX_MAX_CONF_ERRSTR];
    va_list        args;
    ngx_uint_t     line;
    const u_char  *c;

    va_start(args, fmt);
    last = ngx_vslprintf(text, text + sizeof(text), fmt, args);
    va_end(args);

    line = 1;

    for (c = f->text.data; c < at; c++) {
        line += (*c == '\n');
    }

    /* what the file says may hold anything */

    for (p = text; p < last; p++) {
        if (*p < ' ') {
            *p = '?';
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, f->cf, 0, "%*s in %V:%ui",
                       (size_t) (last - text), text, f->name, line);

    return SYNC_ERROR;
}
