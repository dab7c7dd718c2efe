
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_DETACH_H_INCLUDED_
#define _SYNC_DETACH_H_INCLUDED_


#include <sync_client.h>


/*
 * Connections that outlive their requests.
 *
 *     content handler --> header sent --(posted)--> opened(), detached
 *
 *     open --goodbye()--> closing --(written)--> shut --(EOF)--> let go
 *                            `------(the peer has ended too)------^
 *
 * A detached connection keeps nothing of its request: the request, its
 * buffers and, without TLS, the connection's own pool are freed.  Closing
 * takes SYNC_DETACH_LINGER ms at most: the last bytes are written, the
 * sending side is shut, and input is dropped until the peer's end; else the
 * kernel would answer unread input with a reset, and destroy what we said.
 */


#define SYNC_DETACH_LINGER   3000       /* ms */


/* Bits of sync_client_t.state; transports may have others. */

#define SYNC_DETACH_OPENING  0x01       /* the request still lives */
#define SYNC_DETACH_ENDED    0x02       /* the peer says no more */
#define SYNC_DETACH_SHUT     0x04       /* nor do we */


/*
 * What opened() is told; everything but the request is the transport's.  It
 * is called when the header is on its way and the request still lives: the
 * last moment to look at its headers.  Its return value other than SYNC_OK
 * closes the client with 1011.
 */
typedef ngx_int_t (*sync_client_opened_pt)(sync_client_t *c,
    ngx_http_request_t *r);


typedef struct {
    const sync_client_ops_t      *ops;
    sync_client_conf_t           *conf;
    sync_client_opened_pt         opened;
    ngx_event_handler_pt          read;     /* of the connection, then */

    /* bytes that came behind the request, borrowed; may be NULL */
    ngx_int_t                   (*input)(sync_client_t *c, u_char *p,
                                    size_t len);

    ngx_msec_t                    timer;    /* ms, the first */
    sync_dialect_e                dialect;
    unsigned                      deflate:1;
} sync_detach_t;


/* Adds a header to the answer.  Returns NGX_OK or NGX_ERROR. */
ngx_int_t sync_detach_header(ngx_http_request_t *r, const char *name,
    sync_str_t *value);

/*
 * Detaches the connection of a request whose header was sent, once the
 * content handler has returned; *d must live as long as the request.
 * Returns what the content handler has to: NGX_DONE, or a status.
 */
ngx_int_t sync_detach_start(ngx_http_request_t *r, sync_detach_t *d);

/* An ops->write: sync_client_write(), and what follows in closing. */
void sync_detach_write(sync_client_t *c);

/*
 * Begins to close: run is the last that is said, NULL if there was no memory
 * for it; one reference is taken over.
 */
void sync_detach_goodbye(sync_client_t *c, sync_run_t *run);

/* For a read handler of a client that is closing: drops the input. */
void sync_detach_drain(sync_client_t *c);

/*
 * Closes the connection at once and destroys the client, whose connection
 * is NULL then; as long as the request lives, both wait for its end.  Does
 * nothing the second time.
 */
void sync_detach_let_go(sync_client_t *c);

/* The same without as much as a TLS alert, for a peer that is gone. */
void sync_detach_abort(sync_client_t *c);


#endif /* _SYNC_DETACH_H_INCLUDED_ */
