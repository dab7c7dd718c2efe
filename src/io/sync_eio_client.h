
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_EIO_CLIENT_H_INCLUDED_
#define _SYNC_EIO_CLIENT_H_INCLUDED_


#include <sync_client.h>
#include <sync_detach.h>
#include <sync_eio.h>
#include <sync_sid.h>


/*
 * Clients that speak Engine.IO 4: what polling and WebSocket share, the
 * WebSocket, and the upgrade from one to the other.
 *
 *     WebSocket alone:  open, its client made at once
 *     upgrade:          2probe --> probing --5--> claiming --> open
 *
 * A WebSocket that is to take a session over claims it, and becomes its
 * client when the session has come from its owner, which may be another
 * worker: sync_sid.h.  What the peer sends in between is put into the
 * session, behind what was posted.
 *
 * A client has a state of its own beside the sync_client_t while it polls,
 * or may still have to be told of; an open WebSocket whose client is
 * connected has none.
 *
 * A session may have more clients, each in a namespace: inner ones, which say
 * what they have to by the first, and end with it.  Each has an inner session,
 * sync_sid.h, while the first one may move:
 *
 *     this worker                         the other one
 *     moved, with a list of the others -> arrived: claims each of them
 *     moves them, one by one -----------> all are there: goes on to read
 */


#define SYNC_EIO_UPGRADE_TIMEOUT  10000     /* ms */

/*
 * ms, till there is a client: as long as one that is there may say nothing.
 */
#define sync_eio_client_patience(conf)                                        \
    ((conf)->ping_interval + (conf)->ping_timeout)


/* Kinds of chunks that are put into a session. */

#define SYNC_EIO_PAYLOAD  0             /* packets, with separators */
#define SYNC_EIO_TEXT     1             /* one packet */
#define SYNC_EIO_BINARY   2             /* the bytes of a binary message */


typedef struct {
    sync_sid_t                   *sid;      /* that is the client's; or NULL */
    u_char                        id[SYNC_SID_LEN];
    uint32_t                      endpoint;
    ngx_msec_t                    pinged;   /* when it was last; ms */
    ngx_msec_t                    deadline; /* to connect; ms, 0: none */
    ngx_queue_t                   queue;    /* of those that are to move */
    sync_str_t                    nsp;      /* len 0: the default one */
    void                         *opaque;   /* the floor's above */
    unsigned                      polled:1; /* a poll waits */
    unsigned                      probing:1;
    unsigned                      probed:1;
    unsigned                      claiming:1;
    unsigned                      moving:1; /* in the queue */
    unsigned                      left:1;   /* the peer closed it */
    unsigned                      gathering:1;  /* inner ones are to come */
    unsigned                      ninner:8;
    sync_client_t                *inner;    /* the first one */
} sync_eio_client_t;


/* That of an inner client, whose endpoint is SYNC_SID_INNER. */

typedef struct {
    sync_eio_client_t             client;
    sync_client_t                *outer;    /* NULL: it has moved */
    sync_client_t                *next;
} sync_eio_inner_t;


#define sync_eio_client(c)  ((sync_eio_client_t *) (c)->session)
#define sync_eio_inner(c)   ((sync_eio_inner_t *) (c)->session)

#define sync_eio_client_is_inner(c)                                           \
    (sync_eio_client(c)->endpoint == SYNC_SID_INNER)


/* What the floor above is told; one table for all clients of a worker. */

typedef struct {
    /* The data of messages, and the end, as of any other client. */
    sync_client_handler_t         client;

    /* A client began; its request still lives.  SYNC_OK or SYNC_ERROR. */
    ngx_int_t                   (*opened)(sync_client_t *c,
                                    ngx_http_request_t *r);

    /*
     * Another worker, or another client of this one, has claimed the
     * client's session: has it moved by sync_sid_move(), whose value it
     * returns.  With SYNC_OK the client's record is not its any more.
     */
    ngx_int_t                   (*move)(sync_client_t *c, sync_sid_t *s);

    /*
     * A session that was moved is this client's, with its record, if it has
     * one.  Returns SYNC_OK, or SYNC_ERROR: it is closed then.
     */
    ngx_int_t                   (*arrived)(sync_client_t *c, sync_sid_t *s);
} sync_eio_handler_t;


/* For sync_client_conf_t.handler; what it hears goes on to the floor above. */
extern const sync_client_handler_t  sync_eio_client_handler;

void sync_eio_client_init_worker(const sync_eio_handler_t *handler);

/* SYNC_OK or SYNC_ERROR: gives a client its state. */
ngx_int_t sync_eio_client_begin(sync_client_t *c, const u_char *id,
    uint32_t endpoint, ngx_http_request_t *r);

/*
 * Content handlers, which return what those do.  The first opens a session
 * that is a WebSocket alone; the second begins an upgrade of the one given,
 * which is there.
 */
ngx_int_t sync_eio_client_websocket(ngx_http_request_t *r,
    sync_client_conf_t *conf, uint32_t endpoint);
ngx_int_t sync_eio_client_probe(ngx_http_request_t *r,
    sync_client_conf_t *conf, const u_char *id, uint32_t endpoint);

/* Writes the packet that opens a session; the writer must have room. */
void sync_eio_client_write_open(sync_writer_t *w, sync_client_conf_t *conf,
    const u_char *id, ngx_uint_t upgrade);

/*
 * Queues a message: its head and data together, as "4" and what follows; or
 * a binary one.  As sync_client_queue(), and a client too slow is closed.
 */
void sync_eio_client_say(sync_client_t *c, sync_str_t *head,
    sync_str_t *data);
void sync_eio_client_say_binary(sync_client_t *c, sync_str_t *data);

/* The same, in no namespace but the one that head names. */
void sync_eio_client_tell(sync_client_t *c, sync_str_t *head,
    sync_str_t *data);

/*
 * One more client of a session, or NULL (memory); and those that there are,
 * the first one and the one after.
 */
sync_client_t *sync_eio_inner_create(sync_client_t *c, sync_str_t *nsp);

#define sync_eio_inner_first(c)                                               \
    (sync_eio_client(c) ? sync_eio_client(c)->inner : NULL)

#define sync_eio_inner_next(c)  sync_eio_inner(c)->next

/* An inner client goes, and what it was told is said; the others stay. */
void sync_eio_inner_leave(sync_client_t *c);

/* Whether all of them may go where the session goes: SYNC_OK or SYNC_AGAIN. */
ngx_int_t sync_eio_inner_settled(sync_client_t *c);

/* The client is connected: there is no deadline any more. */
void sync_eio_client_connected(sync_client_t *c);

/*
 * Names the namespace that the client is to be in, by an empty string the
 * default one.  SYNC_OK or SYNC_ERROR (memory).
 */
ngx_int_t sync_eio_client_name(sync_client_t *c, sync_str_t *nsp);

/*
 * From here on all that is said to the client is said there, wherever its
 * session moves.  SYNC_OK, or SYNC_BUSY if the zone is full.
 */
ngx_int_t sync_eio_client_enter(sync_client_t *c);

/* ops->frame() of both transports. */
sync_run_t *sync_eio_client_frame(sync_client_t *c, sync_run_t *run,
    uint32_t pos, uint32_t last);

/* A state for a client that has none any more; NULL if there is no memory. */
sync_eio_client_t *sync_eio_client_resume(sync_client_t *c);

/* The state is not needed by the floor above any more; opaque is NULL. */
void sync_eio_client_settle(sync_client_t *c);

/* ops->timeout() of both transports, and the timer for the next one. */
void sync_eio_client_timeout(sync_client_t *c);
void sync_eio_client_arm(sync_client_t *c);

/* A worker's look at a session whose owner it is, or has become. */
void sync_eio_client_news(sync_client_t *c, sync_sid_news_t *news);

/* Of this worker: sessions that could not be moved yet are tried again. */
void sync_eio_client_retry(void);


/* For the files of this client alone. */

typedef struct {
    const sync_eio_handler_t     *handler;
    ngx_queue_t                   moving;   /* sync_eio_client_t */
    ngx_event_t                   retry;
} sync_eio_worker_t;


extern sync_eio_worker_t  sync_eio_worker;


#define sync_eio_client_is_ws(c)                                              \
    (sync_client_ops(c)->transport == SYNC_TRANSPORT_SOCKETIO)


/* A packet, and a payload of packets, that came from the peer. */
void sync_eio_client_packet(sync_client_t *c, sync_eio_packet_t *pkt);
void sync_eio_client_payload(sync_client_t *c, u_char *p, size_t len);

void sync_eio_client_retry_handler(ngx_event_t *ev);

/* What the session's last owner left to be said. */
void sync_eio_client_output(sync_client_t *c, sync_sid_t *s);

/* The session is here with all its clients: it goes on. */
void sync_eio_client_gathered(sync_client_t *c);

/*
 * Inner clients: the session closes; it is about to move, SYNC_OK or
 * SYNC_AGAIN; it has; it has come; one of them has; there is room for output.
 */
void sync_eio_inner_end(sync_client_t *c);
ngx_int_t sync_eio_inner_depart(sync_client_t *c, sync_sid_t *s);
void sync_eio_inner_departed(sync_client_t *c);
ngx_int_t sync_eio_inner_claim(sync_client_t *c, sync_sid_t *s);
void sync_eio_inner_arrived(sync_client_t *c, sync_sid_t *s);
void sync_eio_inner_drained(sync_client_t *c);

/* All that they have to say is said now. */
void sync_eio_inner_flush(sync_client_t *c);

/* Takes one from the list of its session, if it is there. */
void sync_eio_inner_unlink(sync_client_t *c);


#endif /* _SYNC_EIO_CLIENT_H_INCLUDED_ */
