
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SCHEMA_H_INCLUDED_
#define _SYNC_SCHEMA_H_INCLUDED_


#include "sync_json.h"


/*
 * Whether JSON is as a JSON Schema has it, drafts 7 and 2020-12, as far as
 * generators of schemas go.
 *
 *     schema: a tree, or a graph where it has "$ref" --.
 *                                                       >-- first fault:
 *     value: spans of its text, read once a schema -----'   path, keyword
 *
 * Depth and work are bounded, whatever schema and value are: what is beyond
 * a bound is at fault.  Members with the same name are all looked at.
 */


#define SYNC_SCHEMA_DEPTH_MAX       256     /* schemas, one in another */
#define SYNC_SCHEMA_PROPERTIES_MAX  1024    /* of a schema */
#define SYNC_SCHEMA_TEXT_MAX        65536   /* bytes that a pattern is for */
#define SYNC_SCHEMA_PATH_MAX        512     /* bytes of a fault's path */


/* bits of sync_schema_t.types */

#define SYNC_SCHEMA_NULL     0x01
#define SYNC_SCHEMA_BOOLEAN  0x02
#define SYNC_SCHEMA_INTEGER  0x04
#define SYNC_SCHEMA_NUMBER   0x08
#define SYNC_SCHEMA_STRING   0x10
#define SYNC_SCHEMA_ARRAY    0x20
#define SYNC_SCHEMA_OBJECT   0x40


typedef enum {
    SYNC_SCHEMA_MIN_LENGTH = 0,         /* code points */
    SYNC_SCHEMA_MAX_LENGTH,
    SYNC_SCHEMA_MIN_ITEMS,
    SYNC_SCHEMA_MAX_ITEMS,
    SYNC_SCHEMA_MIN_PROPERTIES,
    SYNC_SCHEMA_MAX_PROPERTIES,
    SYNC_SCHEMA_SIZES
} sync_schema_size_e;


typedef enum {
    SYNC_SCHEMA_MINIMUM = 0,
    SYNC_SCHEMA_MAXIMUM,
    SYNC_SCHEMA_EXCLUSIVE_MINIMUM,
    SYNC_SCHEMA_EXCLUSIVE_MAXIMUM,
    SYNC_SCHEMA_MULTIPLE_OF,
    SYNC_SCHEMA_BOUNDS
} sync_schema_bound_e;


typedef enum {
    SYNC_SCHEMA_ALL_OF = 0,
    SYNC_SCHEMA_ANY_OF,
    SYNC_SCHEMA_ONE_OF,
    SYNC_SCHEMA_PREFIX,                 /* prefixItems */
    SYNC_SCHEMA_LISTS
} sync_schema_list_e;


typedef struct sync_schema_s  sync_schema_t;

typedef sync_int_t (*sync_schema_format_pt)(const sync_str_t *s);

/* Whether the string matches: 1 or 0. */
typedef sync_int_t (*sync_schema_match_pt)(void *regex, const sync_str_t *s);


typedef struct {
    sync_str_t               name;      /* as UTF-8 */
    sync_schema_t           *schema;    /* NULL: "required" alone names it */
    unsigned                 required:1;
} sync_schema_property_t;


typedef struct {
    void                    *regex;
    sync_schema_t           *schema;
} sync_schema_pattern_t;


typedef struct {
    sync_schema_t          **schemas;
    sync_uint_t              n;
} sync_schema_list_t;


struct sync_schema_s {
    unsigned                 never:1;   /* "false" */
    unsigned                 unique:1;
    unsigned                 has_values:1;
    unsigned                 constant:1;        /* "const", not "enum" */
    unsigned                 types:7;           /* 0: any */
    unsigned                 has_bounds:5;      /* bits by number */

    size_t                   sizes[SYNC_SCHEMA_SIZES];
    double                   bounds[SYNC_SCHEMA_BOUNDS];
    sync_schema_list_t       lists[SYNC_SCHEMA_LISTS];

    sync_json_t             *values;    /* of "enum", or one of "const" */
    sync_uint_t              nvalues;

    sync_schema_property_t  *properties;
    sync_uint_t              nproperties;
    sync_schema_pattern_t   *patterns;
    sync_uint_t              npatterns;
    sync_schema_t           *additional;        /* these: NULL, anything */
    sync_schema_t           *names;
    sync_schema_t           *items;     /* behind those of prefixItems */
    sync_schema_t           *not;
    sync_schema_t           *ref;

    void                    *regex;     /* "pattern", NULL: none */
    sync_schema_format_pt    format;
};


/*
 * What is at fault: "cards.0.title", "minLength".  The path may stand in a
 * JSON string as it is.
 */

typedef struct {
    const char              *keyword;
    size_t                   len;       /* bytes in path */
    u_char                   path[SYNC_SCHEMA_PATH_MAX];
} sync_schema_fault_t;


/* An empty schema, which allows everything. */
void sync_schema_init(sync_schema_t *s);

/*
 * Checks a value that sync_json_parse() found.  buf is room for strings that
 * have escapes, SYNC_SCHEMA_TEXT_MAX bytes.
 *
 * Returns SYNC_OK, or SYNC_DECLINED with *fault filled: names of members and
 * numbers of elements with dots between them, cut where it is too long.
 * Allocates nothing.
 */
sync_int_t sync_schema_check(const sync_schema_t *s, const sync_json_t *v,
    sync_schema_match_pt match, u_char *buf, sync_schema_fault_t *fault);

/* The format of this name, or NULL; sync_schema_format.c. */
sync_schema_format_pt sync_schema_format(const sync_str_t *name);


#endif /* _SYNC_SCHEMA_H_INCLUDED_ */
