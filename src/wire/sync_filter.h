
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_FILTER_H_INCLUDED_
#define _SYNC_FILTER_H_INCLUDED_


#include "sync_json.h"


/*
 * Who of a room's members gets a message, as its route states:
 *
 *     { "key": "location.pathName", "equals": "$sender.location.pathName" }
 *
 *     recipient's session -- key path --.
 *                                        >-- test --> all hold: it is told
 *     the message's side -- operands ---'
 *
 * The message's side is looked up once a message, the recipient's once a
 * recipient.  A key that is missing on either side does not match, but for
 * "exists", which asks for just that.
 */


#define SYNC_FILTER_TESTS_MAX     16    /* in a filter */
#define SYNC_FILTER_OPERANDS_MAX  64    /* in a filter */
#define SYNC_FILTER_PATH_MAX      16    /* segments in a path */


typedef enum {
    SYNC_FILTER_LITERAL = 0,
    SYNC_FILTER_SENDER,         /* the sender's session */
    SYNC_FILTER_DATA,           /* what the client sent */
    SYNC_FILTER_SERVER,         /* serverOutput */
    SYNC_FILTER_SOURCES
} sync_filter_source_e;


typedef enum {
    SYNC_FILTER_EQUALS = 0,
    SYNC_FILTER_NOT_EQUALS,
    SYNC_FILTER_IN,
    SYNC_FILTER_EXISTS,
    SYNC_FILTER_MISSING         /* "exists": false */
} sync_filter_op_e;


/* Member names one in another; a name that is a number is also an index. */

typedef struct {
    const sync_str_t       *segments;
    sync_uint_t             n;          /* 0: the value itself */
} sync_filter_path_t;


typedef struct {
    sync_filter_source_e    source;
    sync_filter_path_t      path;
    sync_json_t             literal;
} sync_filter_operand_t;


typedef struct {
    sync_filter_path_t      key;        /* in the recipient's session */
    sync_filter_op_e        op;
    unsigned                list:1;     /* of IN: its one operand is an array */
    sync_uint_t             first;      /* of the filter's operands */
    sync_uint_t             n;
} sync_filter_test_t;


typedef struct {
    const sync_filter_test_t     *tests;
    sync_uint_t                   ntests;
    const sync_filter_operand_t  *operands;
    sync_uint_t                   noperands;
} sync_filter_t;


/* The message's side: values of the operands, spans of what they were in. */

typedef struct {
    sync_json_t             values[SYNC_FILTER_OPERANDS_MAX];
    unsigned                never:1;    /* matches nobody */
} sync_filter_side_t;


/*
 * Looks up the message's side.  texts are checked JSON values with nothing
 * around them, by source, that of SYNC_FILTER_LITERAL is not used; one of no
 * bytes is not there.  The values live as long as the texts.
 *
 * Returns SYNC_OK, or SYNC_DECLINED if no recipient can match.
 */
sync_int_t sync_filter_prepare(sync_filter_side_t *side,
    const sync_filter_t *f, const sync_str_t texts[SYNC_FILTER_SOURCES]);

/*
 * Whether a recipient gets the message; its session is a checked JSON value,
 * of no bytes if it has none.  Returns 1 or 0; allocates nothing.
 */
sync_int_t sync_filter_matches(const sync_filter_t *f,
    const sync_filter_side_t *side, const sync_str_t *session);

/* Both at once, for a single recipient. */
sync_int_t sync_filter_match(const sync_filter_t *f,
    const sync_str_t *recipient, const sync_str_t *sender,
    const sync_str_t *data, const sync_str_t *server);

/*
 * Makes a value of a text that was checked before.  Returns SYNC_OK, or
 * SYNC_DECLINED if it has no bytes.
 */
sync_int_t sync_filter_value(sync_json_t *v, const sync_str_t *text);

/* Follows a path.  Returns SYNC_OK, or SYNC_DECLINED, *v is spoilt then. */
sync_int_t sync_filter_find(sync_json_t *v, const sync_filter_path_t *path);


#endif /* _SYNC_FILTER_H_INCLUDED_ */
