
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_route_file.h>


/*
 * Compiles a route's schema.
 *
 *     span of the file --> known already? --> node, known from now on
 *                                         --> its keywords, other schemas
 *
 * A schema is known by where it stands, so "$ref" may lead back to one that
 * is being compiled.  Keywords that only describe are left out, any other
 * that is not checked is refused.
 */


#define SYNC_ROUTE_SCHEMA_DEPTH    100      /* one in another, with "$ref"s */
#define SYNC_ROUTE_SCHEMA_NODES    4096     /* in a route */

/* what PCRE may try, and what JavaScript's "u" flag says */

#define SYNC_ROUTE_SCHEMA_PATTERN  "(*UTF)(*LIMIT_MATCH=100000)"


/* A schema while it is compiled. */

typedef struct {
    sync_route_file_t       *file;
    sync_json_t              root;
    ngx_array_t             *known;     /* of sync_route_known_t */
    ngx_uint_t               depth;
} sync_route_schema_t;


typedef struct {
    const u_char            *at;
    sync_schema_t           *schema;
} sync_route_known_t;


typedef struct sync_route_word_s  sync_route_word_t;

typedef ngx_int_t (*sync_route_word_pt)(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);

struct sync_route_word_s {
    sync_str_t               name;
    sync_route_word_pt       handler;   /* NULL: it only describes */
    ngx_uint_t               n;         /* of a table, or an offset */
};


static sync_schema_t *sync_route_schema(sync_route_schema_t *c,
    sync_json_t *v);
static ngx_int_t sync_route_schema_words(sync_route_schema_t *c,
    sync_schema_t *s, sync_json_t *v);
static ngx_int_t sync_route_schema_type(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static ngx_uint_t sync_route_schema_type_bit(sync_json_t *v);
static ngx_int_t sync_route_schema_values(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static ngx_int_t sync_route_schema_size(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static ngx_int_t sync_route_schema_bound(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static ngx_int_t sync_route_schema_one(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static ngx_int_t sync_route_schema_list(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static ngx_int_t sync_route_schema_items(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static ngx_int_t sync_route_schema_unique(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static ngx_int_t sync_route_schema_properties(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static ngx_int_t sync_route_schema_required(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static sync_schema_property_t *sync_route_schema_property(
    sync_route_schema_t *c, sync_schema_t *s, sync_str_t *name,
    const u_char *at);
static ngx_int_t sync_route_schema_patterns(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static ngx_int_t sync_route_schema_pattern(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static void *sync_route_schema_regex(sync_route_schema_t *c, sync_str_t *s,
    const u_char *at);
static void sync_route_schema_translate(ngx_str_t *dst, sync_str_t *s);
static sync_int_t sync_route_schema_unknown(const sync_str_t *s);
static ngx_int_t sync_route_schema_format(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static ngx_int_t sync_route_schema_defs(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static ngx_int_t sync_route_schema_ref(sync_route_schema_t *c,
    sync_schema_t *s, const sync_route_word_t *w, sync_json_t *v);
static ngx_int_t sync_route_schema_pointer(sync_json_t *v, sync_str_t *path);
static ngx_int_t sync_route_schema_id(sync_json_t *v, sync_json_t *in,
    sync_str_t *id);


static const sync_route_word_t  sync_route_words[] = {
    { sync_string("type"), sync_route_schema_type, 0 },
    { sync_string("enum"), sync_route_schema_values, 0 },
    { sync_string("const"), sync_route_schema_values, 1 },
    { sync_string("properties"), sync_route_schema_properties, 0 },
    { sync_string("required"), sync_route_schema_required, 0 },
    { sync_string("additionalProperties"), sync_route_schema_one,
      offsetof(sync_schema_t, additional) },
    { sync_string("patternProperties"), sync_route_schema_patterns, 0 },
    { sync_string("propertyNames"), sync_route_schema_one,
      offsetof(sync_schema_t, names) },
    { sync_string("minProperties"), sync_route_schema_size,
      SYNC_SCHEMA_MIN_PROPERTIES },
    { sync_string("maxProperties"), sync_route_schema_size,
      SYNC_SCHEMA_MAX_PROPERTIES },
    { sync_string("items"), sync_route_schema_items, 0 },
    { sync_string("prefixItems"), sync_route_schema_list,
      SYNC_SCHEMA_PREFIX },
    { sync_string("additionalItems"), sync_route_schema_items, 1 },
    { sync_string("minItems"), sync_route_schema_size,
      SYNC_SCHEMA_MIN_ITEMS },
    { sync_string("maxItems"), sync_route_schema_size,
      SYNC_SCHEMA_MAX_ITEMS },
    { sync_string("uniqueItems"), sync_route_schema_unique, 0 },
    { sync_string("allOf"), sync_route_schema_list, SYNC_SCHEMA_ALL_OF },
    { sync_string("anyOf"), sync_route_schema_list, SYNC_SCHEMA_ANY_OF },
    { sync_string("oneOf"), sync_route_schema_list, SYNC_SCHEMA_ONE_OF },
    { sync_string("not"), sync_route_schema_one,
      offsetof(sync_schema_t, not) },
    { sync_string("minLength"), sync_route_schema_size,
      SYNC_SCHEMA_MIN_LENGTH },
    { sync_string("maxLength"), sync_route_schema_size,
      SYNC_SCHEMA_MAX_LENGTH },
    { sync_string("pattern"), sync_route_schema_pattern, 0 },
    { sync_string("format"), sync_route_schema_format, 0 },
    { sync_string("minimum"), sync_route_schema_bound,
      SYNC_SCHEMA_MINIMUM },
    { sync_string("maximum"), sync_route_schema_bound,
      SYNC_SCHEMA_MAXIMUM },
    { sync_string("exclusiveMinimum"), sync_route_schema_bound,
      SYNC_SCHEMA_EXCLUSIVE_MINIMUM },
    { sync_string("exclusiveMaximum"), sync_route_schema_bound,
      SYNC_SCHEMA_EXCLUSIVE_MAXIMUM },
    { sync_string("multipleOf"), sync_route_schema_bound,
      SYNC_SCHEMA_MULTIPLE_OF },
    { sync_string("$ref"), sync_route_schema_ref, 0 },
    { sync_string("$defs"), sync_route_schema_defs, 0 },
    { sync_string("definitions"), sync_route_schema_defs, 0 },

    { sync_string("$schema"), NULL, 0 },
    { sync_string("$id"), NULL, 0 },
    { sync_string("$comment"), NULL, 0 },
    { sync_string("id"), NULL, 0 },
    { sync_string("title"), NULL, 0 },
    { sync_string("description"), NULL, 0 },
    { sync_string("default"), NULL, 0 },
    { sync_string("examples"), NULL, 0 },
    { sync_string("deprecated"), NULL, 0 },
    { sync_string("readOnly"), NULL, 0 },
    { sync_string("writeOnly"), NULL, 0 },
    { sync_string("contentEncoding"), NULL, 0 },
    { sync_string("contentMediaType"), NULL, 0 },
    { { 0, NULL }, NULL, 0 }
};


/* in the order of their bits */

static const char  *sync_route_schema_types[] = {
    "\"null\"", "\"boolean\"", "\"integer\"", "\"number\"", "\"string\"",
    "\"array\"", "\"object\""
};


sync_schema_t *
sync_route_schema_compile(sync_route_file_t *f, sync_json_t *v)
{
    sync_route_schema_t  c;

    c.file = f;
    c.root = *v;
    c.depth = 0;

    c.known = ngx_array_create(f->cf->temp_pool, 16,
                               sizeof(sync_route_known_t));
    if (c.known == NULL) {
        return NULL;
    }

    return sync_route_schema(&c, v);
}


static sync_schema_t *
sync_route_schema(sync_route_schema_t *c, sync_json_t *v)
{
    ngx_uint_t           i;
    sync_schema_t       *s;
    sync_route_known_t  *known;

    known = c->known->elts;

    for (i = 0; i < c->known->nelts; i++) {
        if (known[i].at == v->raw.data) {
            return known[i].schema;
        }
    }

    if (c->known->nelts == SYNC_ROUTE_SCHEMA_NODES
        || c->depth == SYNC_ROUTE_SCHEMA_DEPTH)
    {
        (void) sync_route_file_error(c->file, v->raw.data,
                                     "\"schema\" is too large or nested too "
                                     "deep");
        return NULL;
    }

    s = ngx_palloc(c->file->cf->pool, sizeof(sync_schema_t));
    if (s == NULL) {
        return NULL;
    }

    sync_schema_init(s);

    known = ngx_array_push(c->known);
    if (known == NULL) {
        return NULL;
    }

    known->at = v->raw.data;
    known->schema = s;

    if (v->type == SYNC_JSON_TRUE) {
        return s;
    }

    if (v->type == SYNC_JSON_FALSE) {
        s->never = 1;
        return s;
    }

    c->depth++;

    if (sync_route_schema_words(c, s, v) != SYNC_OK) {
        return NULL;
    }

    c->depth--;

    return s;
}


static ngx_int_t
sync_route_schema_words(sync_route_schema_t *c, sync_schema_t *s,
    sync_json_t *v)
{
    sync_str_t                key;
    sync_json_t               value;
    sync_json_iter_t          it;
    const sync_route_word_t  *w;

    if (v->type != SYNC_JSON_OBJECT) {
        return sync_route_file_error(c->file, v->raw.data, "a schema must be "
                                     "an object, true or false");
    }

    sync_json_iter_init(&it, v);

    while (sync_json_next(&it, &key, &value) == SYNC_OK) {

        for (w = sync_route_words; w->name.len; w++) {
            if (sync_json_key_is(&key, &w->name)) {
                break;
            }
        }

        if (w->name.len == 0) {
            return sync_route_file_error(c->file, key.data, "keyword \"%V\" "
                                         "of \"schema\" is not supported",
                                         &key);
        }

        if (w->handler && w->handler(c, s, w, &value) != SYNC_OK) {
            return SYNC_ERROR;
        }
    }

    /* zod tells the last of several patterns beside "allOf" of them */

    if (s->format == sync_route_schema_unknown && s->regex == NULL
        && s->lists[SYNC_SCHEMA_ALL_OF].n == 0)
    {
        (void) sync_json_get(&value, v, "format");

        return sync_route_file_error(c->file, value.raw.data,
                                     "\"format\" %V is not known, and there "
                                     "is no \"pattern\" beside it",
                                     &value.raw);
    }

    if (s->format == sync_route_schema_unknown) {
        s->format = NULL;
    }

    return SYNC_OK;
}


static ngx_int_t
sync_route_schema_type(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    ngx_uint_t        bit;
    sync_json_t       item;
    sync_json_iter_t  it;

    if (v->type == SYNC_JSON_ARRAY) {
        sync_json_iter_init(&it, v);

        while (sync_json_next(&it, NULL, &item) == SYNC_OK) {
            bit = sync_route_schema_type_bit(&item);

            if (bit == 0) {
                v = &item;
                goto invalid;
            }

            s->types |= bit;
        }

        if (s->types) {
            return SYNC_OK;
        }

    } else {
        s->types = sync_route_schema_type_bit(v);

        if (s->types) {
            return SYNC_OK;
        }
    }

invalid:

    return sync_route_file_error(c->file, v->raw.data, "\"type\" %V must be "
                                 "\"null\", \"boolean\", \"integer\", "
                                 "\"number\", \"string\", \"array\", "
                                 "\"object\", or an array of these",
                                 &v->raw);
}


static ngx_uint_t
sync_route_schema_type_bit(sync_json_t *v)
{
    ngx_uint_t  i;

    for (i = 0; i < 7; i++) {

        if (v->raw.len == ngx_strlen(sync_route_schema_types[i])
            && ngx_memcmp(v->raw.data, sync_route_schema_types[i],
                          v->raw.len) == 0)
        {
            return 1 << i;
        }
    }

    return 0;
}


static ngx_int_t
sync_route_schema_values(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    ngx_uint_t        n;
    sync_json_t       item;
    sync_json_iter_t  it;

    if (s->has_values) {
        return sync_route_file_error(c->file, v->raw.data, "\"enum\" and "
                                     "\"const\" at once are not supported");
    }

    s->has_values = 1;
    s->constant = w->n;

    if (w->n == 0 && v->type != SYNC_JSON_ARRAY) {
        return sync_route_file_error(c->file, v->raw.data,
                                     "\"enum\" must be an array");
    }

    n = 1;

    if (w->n == 0) {
        sync_json_iter_init(&it, v);

        for (n = 0; sync_json_next(&it, NULL, &item) == SYNC_OK; n++) {
            /* void */
        }
    }

    s->values = ngx_palloc(c->file->cf->pool, (n + 1) * sizeof(sync_json_t));
    if (s->values == NULL) {
        return SYNC_ERROR;
    }

    s->nvalues = n;

    if (w->n) {
        s->values[0] = *v;
        return SYNC_OK;
    }

    sync_json_iter_init(&it, v);

    for (n = 0; n < s->nvalues; n++) {
        (void) sync_json_next(&it, NULL, &s->values[n]);
    }

    return SYNC_OK;
}


static ngx_int_t
sync_route_schema_size(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    int64_t  n;

    if (sync_json_int64(&n, v) != SYNC_OK || n < 0) {
        return sync_route_file_error(c->file, v->raw.data, "\"%V\" must be "
                                     "a number that is not negative",
                                     &w->name);
    }

    s->sizes[w->n] = n;

    return SYNC_OK;
}


static ngx_int_t
sync_route_schema_bound(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    double  d;

    if (sync_json_double(&d, v) != SYNC_OK
        || (w->n == SYNC_SCHEMA_MULTIPLE_OF && d <= 0))
    {
        return sync_route_file_error(c->file, v->raw.data, "\"%V\" must be "
                                     "a number%s", &w->name,
                                     w->n == SYNC_SCHEMA_MULTIPLE_OF
                                     ? " above 0" : "");
    }

    s->bounds[w->n] = d;
    s->has_bounds |= 1 << w->n;

    return SYNC_OK;
}


static ngx_int_t
sync_route_schema_one(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    sync_schema_t  **field;

    field = (sync_schema_t **) ((u_char *) s + w->n);

    *field = sync_route_schema(c, v);

    return *field ? SYNC_OK : SYNC_ERROR;
}


static ngx_int_t
sync_route_schema_list(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    ngx_uint_t           n;
    sync_json_t          item;
    sync_json_iter_t     it;
    sync_schema_list_t  *list;

    if (v->type != SYNC_JSON_ARRAY) {
        return sync_route_file_error(c->file, v->raw.data, "\"%V\" must be "
                                     "an array", &w->name);
    }

    sync_json_iter_init(&it, v);

    for (n = 0; sync_json_next(&it, NULL, &item) == SYNC_OK; n++) {
        /* void */
    }

    list = &s->lists[w->n];
    list->n = 0;

    list->schemas = ngx_palloc(c->file->cf->pool,
                               (n + 1) * sizeof(sync_schema_t *));
    if (list->schemas == NULL) {
        return SYNC_ERROR;
    }

    sync_json_iter_init(&it, v);

    while (sync_json_next(&it, NULL, &item) == SYNC_OK) {
        list->schemas[list->n] = sync_route_schema(c, &item);

        if (list->schemas[list->n++] == NULL) {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


/*
 * "items" is a schema, or of draft 7 a list; then "additionalItems" is what
 * follows, and else it means nothing.
 */

static ngx_int_t
sync_route_schema_items(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    sync_route_word_t  list;

    if (w->n == 0 && v->type == SYNC_JSON_ARRAY) {
        list = *w;
        list.n = SYNC_SCHEMA_PREFIX;

        return sync_route_schema_list(c, s, &list, v);
    }

    if (w->n && s->items) {
        return SYNC_OK;
    }

    s->items = sync_route_schema(c, v);

    return s->items ? SYNC_OK : SYNC_ERROR;
}


static ngx_int_t
sync_route_schema_unique(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    if (v->type != SYNC_JSON_TRUE && v->type != SYNC_JSON_FALSE) {
        return sync_route_file_error(c->file, v->raw.data, "\"uniqueItems\" "
                                     "must be true or false");
    }

    s->unique = (v->type == SYNC_JSON_TRUE);

    return SYNC_OK;
}


static ngx_int_t
sync_route_schema_properties(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    sync_str_t               name;
    sync_json_t              value;
    sync_schema_t           *schema;
    sync_json_iter_t         it;
    sync_schema_property_t  *p;

    if (v->type != SYNC_JSON_OBJECT) {
        return sync_route_file_error(c->file, v->raw.data, "\"properties\" "
                                     "must be an object");
    }

    sync_json_iter_init(&it, v);

    while (sync_json_next(&it, &name, &value) == SYNC_OK) {

        schema = sync_route_schema(c, &value);
        if (schema == NULL) {
            return SYNC_ERROR;
        }

        p = sync_route_schema_property(c, s, &name, name.data);
        if (p == NULL) {
            return SYNC_ERROR;
        }

        p->schema = schema;
    }

    return SYNC_OK;
}


static ngx_int_t
sync_route_schema_required(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    sync_str_t               name;
    sync_json_t              item;
    sync_json_iter_t         it;
    sync_schema_property_t  *p;

    if (v->type != SYNC_JSON_ARRAY) {
        return sync_route_file_error(c->file, v->raw.data, "\"required\" "
                                     "must be an array");
    }

    sync_json_iter_init(&it, v);

    while (sync_json_next(&it, NULL, &item) == SYNC_OK) {

        if (item.type != SYNC_JSON_STRING) {
            return sync_route_file_error(c->file, item.raw.data,
                                         "\"required\" must be an array of "
                                         "strings");
        }

        name.data = item.raw.data + 1;
        name.len = item.raw.len - 2;

        p = sync_route_schema_property(c, s, &name, item.raw.data);
        if (p == NULL) {
            return SYNC_ERROR;
        }

        p->required = 1;
    }

    return SYNC_OK;
}


/* The property of this name, which is as the text has it; made if need be. */

static sync_schema_property_t *
sync_route_schema_property(sync_route_schema_t *c, sync_schema_t *s,
    sync_str_t *name, const u_char *at)
{
    ngx_uint_t               i, n;
    sync_schema_property_t  *p;

    if (sync_route_file_unquote(c->file, name) != SYNC_OK) {
        return NULL;
    }

    for (i = 0; i < s->nproperties; i++) {
        if (sync_str_eq(&s->properties[i].name, name)) {
            return &s->properties[i];
        }
    }

    n = s->nproperties;

    if (n == SYNC_SCHEMA_PROPERTIES_MAX) {
        (void) sync_route_file_error(c->file, at, "more than %d properties "
                                     "in a schema",
                                     SYNC_SCHEMA_PROPERTIES_MAX);
        return NULL;
    }

    if (n == 0 || (n >= 8 && (n & (n - 1)) == 0)) {

        /* 8, 16, 32, ... */

        p = ngx_pcalloc(c->file->cf->pool,
                        ngx_max(2 * n, 8) * sizeof(sync_schema_property_t));
        if (p == NULL) {
            return NULL;
        }

        if (n) {
            ngx_memcpy(p, s->properties, n * sizeof(sync_schema_property_t));
        }

        s->properties = p;
    }

    p = &s->properties[s->nproperties++];
    p->name = *name;

    return p;
}


static ngx_int_t
sync_route_schema_patterns(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    ngx_uint_t              n;
    sync_str_t              name;
    sync_json_t             value;
    sync_json_iter_t        it;
    sync_schema_pattern_t  *p;

    if (v->type != SYNC_JSON_OBJECT) {
        return sync_route_file_error(c->file, v->raw.data,
                                     "\"patternProperties\" must be an "
                                     "object");
    }

    sync_json_iter_init(&it, v);

    for (n = 0; sync_json_next(&it, &name, &value) == SYNC_OK; n++) {
        /* void */
    }

    s->patterns = ngx_pcalloc(c->file->cf->pool,
                              (n + 1) * sizeof(sync_schema_pattern_t));
    if (s->patterns == NULL) {
        return SYNC_ERROR;
    }

    sync_json_iter_init(&it, v);

    while (sync_json_next(&it, &name, &value) == SYNC_OK) {
        p = &s->patterns[s->npatterns++];

        if (sync_route_file_unquote(c->file, &name) != SYNC_OK) {
            return SYNC_ERROR;
        }

        p->regex = sync_route_schema_regex(c, &name, value.raw.data);

        if (p->regex == NULL) {
            return SYNC_ERROR;
        }

        p->schema = sync_route_schema(c, &value);

        if (p->schema == NULL) {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


static ngx_int_t
sync_route_schema_pattern(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    sync_str_t  pattern;

    c->file->key = &w->name;

    if (sync_route_file_string(c->file, &pattern, v) != SYNC_OK) {
        return SYNC_ERROR;
    }

    s->regex = sync_route_schema_regex(c, &pattern, v->raw.data);

    return s->regex ? SYNC_OK : SYNC_ERROR;
}


static void *
sync_route_schema_regex(sync_route_schema_t *c, sync_str_t *s,
    const u_char *at)
{
#if (NGX_PCRE)
    u_char               errstr[NGX_MAX_CONF_ERRSTR];
    ngx_regex_compile_t  rc;

    ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

    /* at most, "$" becomes "\z", and "\u0000" "\x{0000}" */

    rc.pattern.data = ngx_pnalloc(c->file->cf->pool,
                                  sizeof(SYNC_ROUTE_SCHEMA_PATTERN)
                                  + 2 * s->len);
    if (rc.pattern.data == NULL) {
        return NULL;
    }

    sync_route_schema_translate(&rc.pattern, s);

    rc.pool = c->file->cf->pool;
    rc.err.len = NGX_MAX_CONF_ERRSTR;
    rc.err.data = errstr;

    if (ngx_regex_compile(&rc) != NGX_OK) {
        (void) sync_route_file_error(c->file, at, "%V", &rc.err);
        return NULL;
    }

    return rc.regex;

#else

    (void) sync_route_file_error(c->file, at, "\"pattern\" requires PCRE "
                                 "library");

    return NULL;

#endif
}


/* What JavaScript means, for PCRE: the end is the end, "\u" is a number. */

static void
sync_route_schema_translate(ngx_str_t *dst, sync_str_t *s)
{
    u_char      *p, *last, *d;
    ngx_uint_t   class;

    d = ngx_cpymem(dst->data, SYNC_ROUTE_SCHEMA_PATTERN,
                   sizeof(SYNC_ROUTE_SCHEMA_PATTERN) - 1);
    p = s->data;
    last = p + s->len;
    class = 0;

    while (p < last) {

        if (*p == '\\' && last - p >= 2) {

            if (p[1] == 'u' && last - p >= 6 && p[2] != '{') {
                d = ngx_cpymem(d, "\\x{", 3);
                d = ngx_cpymem(d, p + 2, 4);
                *d++ = '}';
                p += 6;
                continue;
            }

            *d++ = *p++;
            *d++ = (*p == 'u') ? 'x' : *p;
            p++;
            continue;
        }

        if (*p == '[') {
            class = 1;

        } else if (*p == ']') {
            class = 0;

        } else if (*p == '$' && !class) {
            *d++ = '\\';
            *d++ = 'z';
            p++;
            continue;
        }

        *d++ = *p++;
    }

    dst->len = d - dst->data;
}


static ngx_int_t
sync_route_schema_format(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    sync_str_t  name;

    c->file->key = &w->name;

    if (sync_route_file_string(c->file, &name, v) != SYNC_OK) {
        return SYNC_ERROR;
    }

    s->format = sync_schema_format(&name);

    /* one with a pattern beside it is checked by that */

    if (s->format == NULL) {
        s->format = sync_route_schema_unknown;
    }

    return SYNC_OK;
}


/* stands for a format that is not known, till all of the schema is read */

static sync_int_t
sync_route_schema_unknown(const sync_str_t *s)
{
    return 1;
}


/* What "$ref" may lead to is looked at whether or not one does. */

static ngx_int_t
sync_route_schema_defs(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    sync_str_t        name;
    sync_json_t       value;
    sync_json_iter_t  it;

    if (v->type != SYNC_JSON_OBJECT) {
        return sync_route_file_error(c->file, v->raw.data, "\"%V\" must be "
                                     "an object", &w->name);
    }

    sync_json_iter_init(&it, v);

    while (sync_json_next(&it, &name, &value) == SYNC_OK) {
        if (sync_route_schema(c, &value) == NULL) {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


static ngx_int_t
sync_route_schema_ref(sync_route_schema_t *c, sync_schema_t *s,
    const sync_route_word_t *w, sync_json_t *v)
{
    ngx_int_t    rc;
    sync_str_t   ref, path;
    sync_json_t  target;

    c->file->key = &w->name;

    if (sync_route_file_string(c->file, &ref, v) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (ref.len && ref.data[0] == '#') {
        path.data = ref.data + 1;
        path.len = ref.len - 1;
        target = c->root;

        rc = sync_route_schema_pointer(&target, &path);

    } else {
        rc = sync_route_schema_id(&target, &c->root, &ref);
    }

    if (rc != SYNC_OK) {
        return sync_route_file_error(c->file, v->raw.data, "\"$ref\" leads "
                                     "nowhere in this \"schema\": \"%V\"",
                                     &ref);
    }

    s->ref = sync_route_schema(c, &target);

    return s->ref ? SYNC_OK : SYNC_ERROR;
}


/* Follows "/$defs/a~1b", RFC 6901. */

static ngx_int_t
sync_route_schema_pointer(sync_json_t *v, sync_str_t *path)
{
    u_char              *p, *last, *d, name[256];
    sync_str_t           s;
    sync_json_t          in;
    sync_filter_path_t   element;

    p = path->data;
    last = p + path->len;

    while (p < last) {

        if (*p++ != '/') {
            return SYNC_DECLINED;
        }

        for (d = name; p < last && *p != '/'; p++) {

            if (d == name + sizeof(name)) {
                return SYNC_DECLINED;
            }

            if (*p == '~' && last - p >= 2 && (p[1] == '0' || p[1] == '1')) {
                *d++ = (*++p == '1') ? '/' : '~';
                continue;
            }

            *d++ = *p;
        }

        s.data = name;
        s.len = d - name;

        in = *v;

        if (in.type == SYNC_JSON_ARRAY) {
            element.segments = &s;
            element.n = 1;

            if (sync_filter_find(v, &element) != SYNC_OK) {
                return SYNC_DECLINED;
            }

        } else if (sync_json_find(v, &in, &s) != SYNC_OK) {
            return SYNC_DECLINED;
        }
    }

    return SYNC_OK;
}


/* Finds the schema with this "$id"; a text's depth is bounded. */

static ngx_int_t
sync_route_schema_id(sync_json_t *v, sync_json_t *in, sync_str_t *id)
{
    sync_json_t       value;
    sync_json_iter_t  it;

    if (sync_json_get(&value, in, "$id") == SYNC_OK
        && value.type == SYNC_JSON_STRING
        && value.raw.len == id->len + 2
        && ngx_memcmp(value.raw.data + 1, id->data, id->len) == 0)
    {
        *v = *in;
        return SYNC_OK;
    }

    sync_json_iter_init(&it, in);

    while (sync_json_next(&it, NULL, &value) == SYNC_OK) {
        if (sync_route_schema_id(v, &value, id) == SYNC_OK) {
            return SYNC_OK;
        }
    }

    return SYNC_DECLINED;
}
