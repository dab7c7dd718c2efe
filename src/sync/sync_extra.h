
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_EXTRA_H_INCLUDED_
#define _SYNC_EXTRA_H_INCLUDED_


#include <sync_settings.h>
#include <sync_json.h>


/*
 * What goes with a sync's message for those who deliver it, in the extra of
 * its entry: {"route","receiver","data","sender"}.  What the app answered is
 * in the message itself.
 */


/* In sync_entry_t.flags, beside SYNC_FRAME_*. */

#define SYNC_EXTRA_STAGED    0x40   /* the client hook is asked, with data */
#define SYNC_EXTRA_FILTERED  0x80   /* the route's filter tells who gets it */


#define SYNC_EXTRA_ROUTE_MAX  512


typedef struct {
    sync_str_t   route;         /* sync/board/moveCard/v1 */
    sync_str_t   cb;            /* JSON, as the ones below; read only */
    sync_str_t   receiver;
    sync_str_t   data;          /* the client's */
    sync_str_t   sender;        /* its session, of no bytes if it had none */
    sync_str_t   output;        /* serverOutput */
    u_char       buf[SYNC_EXTRA_ROUTE_MAX];
} sync_extra_t;


/*
 * Which flags a route's message gets: SYNC_EXTRA_*, or 0 if it needs no
 * extra.
 */
ngx_uint_t sync_extra_flags(sync_settings_t *s, sync_str_t *route);

/*
 * Makes an extra's text, of route, receiver (plain text here), data and
 * sender, from the pool, or, if that is NULL, to be freed by ngx_free().
 * Returns SYNC_OK or SYNC_ERROR (memory).
 */
ngx_int_t sync_extra_make(sync_str_t *text, sync_extra_t *x,
    ngx_pool_t *pool);

/*
 * Reads an entry's extra: all spans of the entry, or of x->buf.  Returns
 * SYNC_OK, or SYNC_ERROR if it has none.
 */
ngx_int_t sync_extra_read(sync_extra_t *x, sync_entry_t *e);


#endif /* _SYNC_EXTRA_H_INCLUDED_ */
