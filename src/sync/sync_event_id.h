
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_EVENT_ID_H_INCLUDED_
#define _SYNC_EVENT_ID_H_INCLUDED_


#include <ngx_http.h>
#include <sync_replay.h>


/*
 * Positions on an event stream: Last-Event-ID holds those of the channels in
 * the order of the URL, each event's id what they are after it.
 */


typedef struct {
    ngx_uint_t           n;             /* channels of the URL */
    sync_str_t          *ids;           /* handed back; empty: none */
    ngx_uint_t          *places;        /* in the URL, of the granted ones */
    sync_resumption_t   *resumed;       /* of the granted ones */
} sync_event_id_t;


/*
 * Takes what the client handed back: the header, or, if there is none, query.
 * Returns NGX_OK or NGX_HTTP_INTERNAL_SERVER_ERROR.  The caller fills places.
 */
ngx_int_t sync_event_id_parse(ngx_http_request_t *r, sync_event_id_t *ev,
    ngx_uint_t n, sync_str_t *query);

/*
 * Has a client that is a member of n channels go on in each of them, and
 * queues the id of its first event.  Returns SYNC_OK or SYNC_ERROR (memory).
 */
ngx_int_t sync_event_id_begin(sync_client_t *c, sync_event_id_t *ev,
    sync_str_t *channels, ngx_uint_t n);

/* Writes ,"recovery":{...}, if any of them is recoverable. */
void sync_event_id_write(sync_writer_t *w, sync_event_id_t *ev,
    sync_str_t *channels, ngx_uint_t n);


#endif /* _SYNC_EVENT_ID_H_INCLUDED_ */
