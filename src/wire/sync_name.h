
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_NAME_H_INCLUDED_
#define _SYNC_NAME_H_INCLUDED_


#include "sync_base.h"


/*
 * The name of a route, "sync/board/moveCard/v1".  All are spans of the
 * buffer that sync_name_route() filled.
 */

typedef struct {
    sync_str_t  full;        /* sync/board/moveCard/v1 */
    sync_str_t  path;        /* board/moveCard/v1 */
    sync_str_t  service;     /* board */
    sync_str_t  name;        /* moveCard, may have slashes */
    sync_str_t  version;     /* v1 */
} sync_name_route_t;


/*
 * The first byte of names that no client can say: rooms of tokens.  They
 * match no pattern, and none matches them.
 */
#define SYNC_NAME_PRIVATE  0x01

#define sync_name_is_private(s)                                               \
    ((s)->len && (s)->data[0] == SYNC_NAME_PRIVATE)

/*
 * Strips white space from both ends, as String.trim() does.  What is not
 * UTF-8 is not white space.
 */
void sync_name_trim(sync_str_t *s);

/*
 * Checks a room's name: 1 to SYNC_NAME_MAX bytes of UTF-8, not all white
 * space, no control characters (U+0000 to U+001F, U+007F to U+009F).
 * Returns SYNC_OK or SYNC_ERROR.
 */
sync_int_t sync_name_check(const sync_str_t *name);

/*
 * Checks a pattern: a name, with no "*" but at the end.  Returns SYNC_OK or
 * SYNC_ERROR.
 */
sync_int_t sync_name_check_pattern(const sync_str_t *pattern);

/* whether a checked name or pattern stands for several rooms */

#define sync_name_is_pattern(s)  ((s)->data[(s)->len - 1] == '*')

/*
 * Returns 1 if the pattern matches the name: is the same, or ends in "*"
 * and is the same up to there; else 0.
 */
sync_int_t sync_name_match(const sync_str_t *pattern, const sync_str_t *name);

/*
 * Returns 1 if one of the colon-separated parts of the name after the first
 * is the given one, which is not empty; else 0.
 */
sync_int_t sync_name_has_part(const sync_str_t *name, const sync_str_t *part);

/*
 * Brings a route's name, as a client may write it, to its one form:
 * trimmed, "\" is "/", no slashes at the ends, the prefix ("sync", "api")
 * in front whether the client wrote it or not.  Then at least three
 * segments follow, none of them empty, and the last one is "v" and digits.
 *
 * Fills buf and sets *r.  Returns SYNC_OK; SYNC_BUSY if size is too small:
 * prefix->len + 1 + name->len is always enough; or SYNC_ERROR if the name
 * is not one of a route.
 */
sync_int_t sync_name_route(sync_name_route_t *r, u_char *buf, size_t size,
    const sync_str_t *prefix, const sync_str_t *name);


#endif /* _SYNC_NAME_H_INCLUDED_ */
