
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_CLIENT_H_INCLUDED_
#define _SYNC_CLIENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include <sync_base.h>
#include <sync_zone.h>
#include <sync_registry.h>
#include <sync_presence_store.h>
#include <sync_frame.h>


/*
 * A client: what the transports share.
 *
 *     handshake --> open --(close, error, slow, silent)--> closing --> freed
 *                            handler->closed()
 *
 * A client is one allocation of some hundred bytes on top of nginx's own
 * connection; everything that only a busy client needs hangs off it while
 * it is needed.
 *
 * Output is a queue of spans of runs, bytes that are shared by all clients
 * that get them.  Whatever is queued in a turn of the event loop is written
 * by one system call a client at the end of it.
 *
 * There is one timer a worker: a wheel in which each client has one place.
 */


typedef struct sync_client_s  sync_client_t;


/* What a transport tells the floor above. */

typedef struct {
    /*
     * A text message that came in full: valid UTF-8, not checked further.
     * It may be written to, and is gone when the call returns.  The client
     * may be closed by it.
     */
    void                        (*message)(sync_client_t *c, u_char *p,
                                    size_t len);

    /* The same for a binary one; NULL: clients may not send any. */
    void                        (*binary)(sync_client_t *c, u_char *p,
                                    size_t len);

    /* All that was queued has been written. */
    void                        (*drained)(sync_client_t *c);

    /*
     * The client is closing, whoever began: called once.  The client takes
     * no more output, and its memory stays until the end of the turn.
     */
    void                        (*closed)(sync_client_t *c);
} sync_client_handler_t;


/* Settings of the endpoint, from configuration. */

typedef struct {
    ngx_msec_t                    ping_interval;    /* ms */
    ngx_msec_t                    ping_timeout;     /* ms */
    size_t                        max_message;      /* bytes */
    size_t                        queue;            /* bytes unread at most */
    ngx_flag_t                    compression;
    ngx_int_t                     level;            /* of deflate */
    size_t                        min;              /* bytes worth deflating */
    ngx_http_conf_ctx_t          *ctx;              /* of the server{} */
    const sync_client_handler_t  *handler;
} sync_client_conf_t;


/* What the floor above asks of a transport. */

typedef struct {
    sync_transport_e              transport;

    /* Queues a JSON array for this client alone. */
    ngx_int_t                   (*send)(sync_client_t *c, sync_str_t *json);

    /*
     * Says goodbye with a code of RFC 6455 and a reason, and lets go of the
     * connection in an orderly way.
     */
    void                        (*close)(sync_client_t *c, ngx_uint_t code,
                                    const char *reason);

    /* Writes what is queued. */
    void                        (*write)(sync_client_t *c);

    /* The time given to sync_client_set_timer() is over. */
    void                        (*timeout)(sync_client_t *c);

    /*
     * For a client with framed set: what a run's span is for it, a run of its
     * own; or NULL (memory).
     */
    sync_run_t                 *(*frame)(sync_client_t *c, sync_run_t *run,
                                    uint32_t pos, uint32_t last);
} sync_client_ops_t;


/* A span of a run that waits to be written. */

typedef struct sync_out_s  sync_out_t;

struct sync_out_s {
    sync_out_t                   *next;
    sync_out_t                   *tail;     /* of the queue, in its head */
    sync_run_t                   *run;
    uint32_t                      pos;      /* bytes, in run->data */
    uint32_t                      last;
};


struct sync_client_s {
    ngx_connection_t             *connection;
    sync_client_conf_t           *conf;
    sync_record_t                *record;   /* in the zone */
    void                         *opaque;   /* the floor's above */
    void                         *part;     /* the transport's, while busy */
    void                         *session;  /* of Engine.IO, see there */
    sync_session_t               *token;    /* in the zone, or NULL */
    void                         *resume;   /* the fanout's, see there */

    sync_out_t                   *out;
    sync_client_t                *flush;    /* next to be written, or freed */
    ngx_queue_t                   wheel;
    uint32_t                      queued;   /* bytes in out */
    uint32_t                      due;      /* tick of the wheel */
    uint32_t                      seat;     /* the fanout's, see there */
    uint32_t                      mark;

    uint8_t                       dialect;  /* sync_dialect_e */
    uint8_t                       state;    /* the transport's */
    uint8_t                       kind;     /* of its ops */
    uint8_t                       socklen;  /* bytes of sockaddr */

    unsigned                      flushing:1;
    unsigned                      dead:1;       /* to be freed */
    unsigned                      waiting:1;    /* for the socket */
    unsigned                      timer:1;
    unsigned                      closing:1;
    unsigned                      closed:1;     /* handler->closed() called */
    unsigned                      pinged:1;     /* no pong yet */
    unsigned                      behind:1;     /* the fanout's, see there */
    unsigned                      listed:1;
    unsigned                      deflate:1;    /* agreed, for input */
    unsigned                      unknown:1;    /* who it is is being found */
    unsigned                      framed:1;     /* by ops->frame() */
    unsigned                      asked:1;      /* a token may come first */
    unsigned                      ordered:1;    /* sync_order.h */
    unsigned                      expelled:1;   /* told to go, for good */
    unsigned                      hidden:1;     /* is told to come back later */
    unsigned                      left:4;       /* sync_left_e, why it goes */

    u_char                        sockaddr[1];  /* sync_client_sockaddr() */
};


/* What a worker's clients have for ops, few of them: a client keeps a byte. */

#define SYNC_CLIENT_KINDS  8

extern const sync_client_ops_t  *sync_client_kinds[SYNC_CLIENT_KINDS];

#define sync_client_ops(c)  sync_client_kinds[(c)->kind]


/*
 * Called once in a worker before anything else; z is kept.  Takes no memory
 * and starts no timer before there is a client.
 */
void sync_client_init_worker(sync_zone_t *z);

/*
 * Makes a client for a connection, with its address copied, no transport
 * state, no record, not in the wheel.  NULL if there is no memory.
 */
sync_client_t *sync_client_create(ngx_connection_t *c,
    const sync_client_ops_t *ops, sync_client_conf_t *conf);

/*
 * One more client of the same peer, whose output goes out by "c": it has no
 * connection, is in no wheel, and is not found by sync_client_close_some().
 */
sync_client_t *sync_client_create_inner(sync_client_t *c,
    const sync_client_ops_t *ops);

/*
 * Puts output of an inner client behind that of the other one, as long as
 * less than max bytes wait there.
 */
void sync_client_pass(sync_client_t *c, sync_client_t *to, size_t max);

/*
 * Tells the floor above that the client is closing, if that was not done:
 * from now on it takes only what the transport queues itself.  Output and
 * timer stay.  For transports.
 */
void sync_client_closed(sync_client_t *c);

/* sync_client_closed(), and frees the client at the end of the turn. */
void sync_client_destroy(sync_client_t *c);

/*
 * Queues run[pos, last) and has it written at the end of the turn.  Returns
 * SYNC_OK; SYNC_BUSY if conf->queue bytes or more wait already: nothing was
 * queued then; or SYNC_ERROR (memory, or the client is closing).  The run's
 * reference count is raised.
 */
ngx_int_t sync_client_queue(sync_client_t *c, sync_run_t *run, uint32_t pos,
    uint32_t last);

/* The same for a message of the client's own, in its dialect. */
ngx_int_t sync_client_queue_json(sync_client_t *c, sync_str_t *json);

/*
 * Whether it would be queued: the same returns.  And the same without the
 * bound, for who has asked.
 */
ngx_int_t sync_client_takes(sync_client_t *c);
ngx_int_t sync_client_queue_part(sync_client_t *c, sync_run_t *run,
    uint32_t pos, uint32_t last);

/* Whether n bytes or more wait, though it was tried to write them. */
ngx_uint_t sync_client_lags(sync_client_t *c, size_t n);

/* The same without the bound, for a transport's own frames. */
ngx_int_t sync_client_queue_control(sync_client_t *c, sync_run_t *run);

/*
 * Queues a JSON array for this client alone; a client that is slower than
 * its bound is closed, unless it is closing.
 */
ngx_int_t sync_client_send(sync_client_t *c, sync_str_t *json);

/*
 * Closes by ops->close().  Codes: SYNC_WS_CODE_*, other transports say it
 * in their own way.  Does nothing to a client that is closing already.
 */
void sync_client_close(sync_client_t *c, ngx_uint_t code,
    const char *reason);

/* Why it goes, if that is not known yet: because of a close code. */
void sync_client_leaves(sync_client_t *c, ngx_uint_t code);

/*
 * An ops->write for clients that own their socket: writes as much as the
 * socket takes, and waits for it when it takes no more.  Sets c->error of
 * nothing: a failed write calls ops->close() with SYNC_WS_CODE_ABNORMAL,
 * which must let go of the connection at once.
 */
void sync_client_write(sync_client_t *c);

/*
 * Takes n bytes off the front of the output: for transports that write what
 * is in c->out themselves.
 */
void sync_client_shift(sync_client_t *c, size_t n);

/* Drops all output that is not begun: what is sent of a frame is finished. */
void sync_client_drop_output(sync_client_t *c);

/* ops->timeout() in ms from now, within 32 ms; replaces an earlier one. */
void sync_client_set_timer(sync_client_t *c, ngx_msec_t ms);
void sync_client_del_timer(sync_client_t *c);

/* Asks for the flush at the end of this turn; the queue may be empty. */
void sync_client_flush(sync_client_t *c);

/* Writes the client's address; returns its length, bytes. */
socklen_t sync_client_sockaddr(sync_client_t *c, ngx_sockaddr_t *sa);

/* The client's address; addr must hold NGX_SOCKADDR_STRLEN bytes. */
size_t sync_client_address(sync_client_t *c, u_char *addr);

/* Cuts what makes an IPv6 address of an IPv4 one: ::ffff:1.2.3.4. */
void sync_client_plain_address(sync_str_t *addr);

/* Clients of this worker that are not closing; all that still have memory. */
ngx_uint_t sync_client_count(void);
ngx_uint_t sync_client_alive(void);

/*
 * Writes to all that have output, and frees those that are gone: as at the
 * end of each turn, unless this worker is about to look at its rooms.  Then
 * who looks calls it after.
 */
void sync_client_finish(void);

/*
 * Closes up to n clients of this worker that are not closing; returns how
 * many.  For draining, and, with n = (ngx_uint_t) -1, for a fast stop.
 */
ngx_uint_t sync_client_close_some(ngx_uint_t n, ngx_uint_t code,
    const char *reason);

/* Of this worker: bytes that wait in output queues. */
size_t sync_client_queued(void);

sync_zone_t *sync_client_zone(void);

/* Whether more waits for the client than half of what may. */

#define sync_client_pressed(c)  ((c)->queued > (c)->conf->queue / 2)


#endif /* _SYNC_CLIENT_H_INCLUDED_ */
