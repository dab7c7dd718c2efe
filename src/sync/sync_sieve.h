
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SIEVE_H_INCLUDED_
#define _SYNC_SIEVE_H_INCLUDED_


#include <sync_extra.h>
#include <sync_route.h>


/*
 * A route's filter at work on one message: the message's side of it is
 * looked up once, for members of one location; who comes by another one has
 * it looked up again, as another manifest may be set there.
 */


typedef struct {
    sync_extra_t         extra;
    sync_settings_t     *settings;      /* whose filter it is */
    sync_filter_t       *filter;        /* NULL: nobody gets it */
    sync_filter_side_t   side;
    unsigned             never:1;
} sync_sieve_t;


/* For an entry that has an extra; or NULL: there is no memory. */
sync_sieve_t *sync_sieve_create(sync_entry_t *e);

/* Whether the client, with that session, gets the message. */
ngx_uint_t sync_sieve_passes(sync_sieve_t *sv, sync_client_t *c,
    sync_str_t *session);

/* The client's session for it: of no bytes if there is none. */
void sync_sieve_session(sync_str_t *session, sync_client_t *c);


#endif /* _SYNC_SIEVE_H_INCLUDED_ */
