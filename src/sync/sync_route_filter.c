
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_route_file.h>


/*
 * Compiles a route's filter: an array of tests, each with a key and one
 * operator.  Paths are cut at their dots here, once.
 */


/* A filter while it is compiled. */

typedef struct {
    sync_filter_t          *filter;
    sync_filter_test_t     *test;
    sync_filter_test_t     *tests;
    sync_filter_operand_t  *operands;
    unsigned                op:1;       /* the test has its operator */
} sync_route_filter_t;


typedef struct {
    sync_str_t              prefix;
    sync_filter_source_e    source;
} sync_route_filter_source_t;


static ngx_int_t sync_route_filter_key(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_filter_equals(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_filter_not_equals(sync_route_file_t *f,
    void *dst, sync_json_t *v);
static ngx_int_t sync_route_filter_in(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_filter_exists(sync_route_file_t *f, void *dst,
    sync_json_t *v);
static ngx_int_t sync_route_filter_op(sync_route_file_t *f,
    sync_route_filter_t *rf, sync_json_t *v, sync_filter_op_e op);
static ngx_int_t sync_route_filter_operand(sync_route_file_t *f,
    sync_route_filter_t *rf, sync_json_t *v);
static ngx_int_t sync_route_filter_path(sync_route_file_t *f,
    sync_filter_path_t *path, sync_str_t *s, sync_json_t *v);


static sync_route_key_t  sync_route_filter_keys[] = {
    { sync_string("key"), sync_route_filter_key },
    { sync_string("equals"), sync_route_filter_equals },
    { sync_string("notEquals"), sync_route_filter_not_equals },
    { sync_string("in"), sync_route_filter_in },
    { sync_string("exists"), sync_route_filter_exists },
    { { 0, NULL }, NULL }
};


static const sync_route_filter_source_t  sync_route_filter_sources[] = {
    { sync_string("$sender"), SYNC_FILTER_SENDER },
    { sync_string("$data"), SYNC_FILTER_DATA },
    { sync_string("$clientInput"), SYNC_FILTER_DATA },
    { sync_string("$server"), SYNC_FILTER_SERVER },
    { sync_string("$serverOutput"), SYNC_FILTER_SERVER },
    { { 0, NULL }, SYNC_FILTER_LITERAL }
};


sync_filter_t *
sync_route_filter_compile(sync_route_file_t *f, sync_json_t *v)
{
    sync_json_t           item;
    sync_json_iter_t      it;
    sync_route_filter_t   rf;

    if (v->type != SYNC_JSON_ARRAY) {
        (void) sync_route_file_error(f, v->raw.data,
                                     "\"filter\" must be an array");
        return NULL;
    }

    ngx_memzero(&rf, sizeof(sync_route_filter_t));

    rf.filter = ngx_pcalloc(f->cf->pool, sizeof(sync_filter_t));
    if (rf.filter == NULL) {
        return NULL;
    }

    rf.tests = ngx_pcalloc(f->cf->pool, SYNC_FILTER_TESTS_MAX
                                        * sizeof(sync_filter_test_t));
    if (rf.tests == NULL) {
        return NULL;
    }

    rf.operands = ngx_pcalloc(f->cf->pool, SYNC_FILTER_OPERANDS_MAX
                                           * sizeof(sync_filter_operand_t));
    if (rf.operands == NULL) {
        return NULL;
    }

    rf.filter->tests = rf.tests;
    rf.filter->operands = rf.operands;

    sync_json_iter_init(&it, v);

    while (sync_json_next(&it, NULL, &item) == SYNC_OK) {

        if (rf.filter->ntests == SYNC_FILTER_TESTS_MAX) {
            (void) sync_route_file_error(f, item.raw.data,
                                         "more than %d tests in \"filter\"",
                                         SYNC_FILTER_TESTS_MAX);
            return NULL;
        }

        rf.test = &rf.tests[rf.filter->ntests++];
        rf.op = 0;

        if (sync_route_file_object(f, sync_route_filter_keys, &rf, &item,
                                   "a test of \"filter\"") != SYNC_OK)
        {
            return NULL;
        }

        if (rf.test->key.n == 0 || !rf.op) {
            (void) sync_route_file_error(f, item.raw.data,
                                         "a test of \"filter\" must have "
                                         "\"key\" and one of \"equals\", "
                                         "\"notEquals\", \"in\", "
                                         "\"exists\"");
            return NULL;
        }
    }

    return rf.filter;
}


static ngx_int_t
sync_route_filter_key(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_filter_t  *rf = dst;

    sync_str_t  s;

    if (sync_route_file_string(f, &s, v) != SYNC_OK) {
        return SYNC_ERROR;
    }

    return sync_route_filter_path(f, &rf->test->key, &s, v);
}


static ngx_int_t
sync_route_filter_equals(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_filter_t  *rf = dst;

    if (sync_route_filter_op(f, rf, v, SYNC_FILTER_EQUALS) != SYNC_OK) {
        return SYNC_ERROR;
    }

    return sync_route_filter_operand(f, rf, v);
}


static ngx_int_t
sync_route_filter_not_equals(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_filter_t  *rf = dst;

    if (sync_route_filter_op(f, rf, v, SYNC_FILTER_NOT_EQUALS) != SYNC_OK) {
        return SYNC_ERROR;
    }

    return sync_route_filter_operand(f, rf, v);
}


static ngx_int_t
sync_route_filter_in(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_filter_t  *rf = dst;

    sync_json_t       item;
    sync_json_iter_t  it;

    if (sync_route_filter_op(f, rf, v, SYNC_FILTER_IN) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (v->type == SYNC_JSON_STRING && v->raw.data[1] == '$') {
        rf->test->list = 1;
        return sync_route_filter_operand(f, rf, v);
    }

    if (v->type != SYNC_JSON_ARRAY || v->raw.len == 2) {
        return sync_route_file_error(f, v->raw.data,
                                     "\"in\" must be an array, or \"$...\" "
                                     "that is one");
    }

    sync_json_iter_init(&it, v);

    while (sync_json_next(&it, NULL, &item) == SYNC_OK) {
        if (sync_route_filter_operand(f, rf, &item) != SYNC_OK) {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


static ngx_int_t
sync_route_filter_exists(sync_route_file_t *f, void *dst, sync_json_t *v)
{
    sync_route_filter_t  *rf = dst;

    if (v->type != SYNC_JSON_TRUE && v->type != SYNC_JSON_FALSE) {
        return sync_route_file_error(f, v->raw.data,
                                     "\"exists\" must be true or false");
    }

    return sync_route_filter_op(f, rf, v, v->type == SYNC_JSON_TRUE
                                          ? SYNC_FILTER_EXISTS
                                          : SYNC_FILTER_MISSING);
}


static ngx_int_t
sync_route_filter_op(sync_route_file_t *f, sync_route_filter_t *rf,
    sync_json_t *v, sync_filter_op_e op)
{
    if (rf->op) {
        return sync_route_file_error(f, v->raw.data,
                                     "a test of \"filter\" has two "
                                     "operators");
    }

    rf->op = 1;
    rf->test->op = op;
    rf->test->first = rf->filter->noperands;

    return SYNC_OK;
}


/* A literal, or a path in the message's side; "$$" is a literal dollar. */

static ngx_int_t
sync_route_filter_operand(sync_route_file_t *f, sync_route_filter_t *rf,
    sync_json_t *v)
{
    u_char                            *p;
    sync_str_t                         s;
    sync_filter_operand_t             *o;
    const sync_route_filter_source_t  *src;

    if (rf->filter->noperands == SYNC_FILTER_OPERANDS_MAX) {
        return sync_route_file_error(f, v->raw.data,
                                     "more than %d values in \"filter\"",
                                     SYNC_FILTER_OPERANDS_MAX);
    }

    if (v->type == SYNC_JSON_ARRAY || v->type == SYNC_JSON_OBJECT) {
        return sync_route_file_error(f, v->raw.data,
                                     "an array or object equals nothing");
    }

    o = &rf->operands[rf->filter->noperands++];
    rf->test->n++;

    o->source = SYNC_FILTER_LITERAL;
    o->literal = *v;

    if (v->type != SYNC_JSON_STRING || v->raw.data[1] != '$') {
        return SYNC_OK;
    }

    if (v->raw.data[2] == '$') {
        p = ngx_pnalloc(f->cf->pool, v->raw.len - 1);
        if (p == NULL) {
            return SYNC_ERROR;
        }

        *p = '"';
        ngx_memcpy(p + 1, v->raw.data + 2, v->raw.len - 2);

        o->literal.raw.data = p;
        o->literal.raw.len = v->raw.len - 1;

        return SYNC_OK;
    }

    if (sync_route_file_string(f, &s, v) != SYNC_OK) {
        return SYNC_ERROR;
    }

    for (src = sync_route_filter_sources; src->prefix.len; src++) {

        if (s.len < src->prefix.len
            || ngx_memcmp(s.data, src->prefix.data, src->prefix.len) != 0)
        {
            continue;
        }

        if (s.len == src->prefix.len) {
            o->source = src->source;
            return SYNC_OK;
        }

        if (s.data[src->prefix.len] != '.') {
            continue;
        }

        s.data += src->prefix.len + 1;
        s.len -= src->prefix.len + 1;

        o->source = src->source;

        return sync_route_filter_path(f, &o->path, &s, v);
    }

    return sync_route_file_error(f, v->raw.data,
                                 "\"%V\" must begin with \"$sender\", "
                                 "\"$data\", \"$server\", or with \"$$\" "
                                 "for a dollar", &s);
}


static ngx_int_t
sync_route_filter_path(sync_route_file_t *f, sync_filter_path_t *path,
    sync_str_t *s, sync_json_t *v)
{
    u_char      *p, *dot, *last;
    sync_str_t  *segments;

    segments = ngx_palloc(f->cf->pool,
                          SYNC_FILTER_PATH_MAX * sizeof(sync_str_t));
    if (segments == NULL) {
        return SYNC_ERROR;
    }

    path->segments = segments;
    path->n = 0;

    p = s->data;
    last = p + s->len;

    for ( ;; ) {
        dot = ngx_strlchr(p, last, '.');

        if (dot == NULL) {
            dot = last;
        }

        if (dot == p || path->n == SYNC_FILTER_PATH_MAX) {
            return sync_route_file_error(f, v->raw.data,
                                         "path \"%V\" must be 1 to %d names "
                                         "with dots between them", s,
                                         SYNC_FILTER_PATH_MAX);
        }

        segments[path->n].data = p;
        segments[path->n].len = dot - p;
        path->n++;

        if (dot == last) {
            return SYNC_OK;
        }

        p = dot + 1;
    }
}
