
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_BASE_H_INCLUDED_
#define _SYNC_BASE_H_INCLUDED_


#include <sys/types.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>


/* the values are those of NGX_OK and so on */

#define SYNC_OK              0
#define SYNC_ERROR          -1
#define SYNC_AGAIN          -2
#define SYNC_BUSY           -3
#define SYNC_DECLINED       -5

#define SYNC_NAME_MAX        256        /* bytes in a room's name */
#define SYNC_EVENT_MAX       128        /* bytes in an event's name */
#define SYNC_JSON_DEPTH_MAX  64         /* arrays and objects, one in another */


typedef intptr_t   sync_int_t;
typedef uintptr_t  sync_uint_t;


/* has the layout of ngx_str_t */

typedef struct {
    size_t   len;
    u_char  *data;
} sync_str_t;


#define sync_string(text)  { sizeof(text) - 1, (u_char *) text }

#define sync_str_set(s, text)                                                 \
    (s)->len = sizeof(text) - 1; (s)->data = (u_char *) text

/* text is a literal that is not empty */

#define sync_str_is(s, text)                                                  \
    ((s)->len == sizeof(text) - 1                                             \
     && memcmp((s)->data, text, sizeof(text) - 1) == 0)

#define sync_str_eq(s1, s2)                                                   \
    ((s1)->len == (s2)->len                                                   \
     && ((s1)->len == 0 || memcmp((s1)->data, (s2)->data, (s1)->len) == 0))


#endif /* _SYNC_BASE_H_INCLUDED_ */
