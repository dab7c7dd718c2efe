
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_CALL_H_INCLUDED_
#define _SYNC_CALL_H_INCLUDED_


#include <sync_settings.h>
#include <sync_hook.h>
#include <sync_json.h>
#include <sync_lines.h>


/*
 * A hook asked on behalf of a client, and its answer in JSON.
 *
 *     prepare --> write the body --> start --> done() once, or cancel
 *                                      |
 *                                      +--> line() ...
 *
 * An asker that sets call->line may be answered in NDJSON as well, line by
 * line: the one of which line() says that it is the last makes the answer.
 * Such an answer that ends without one has failed.
 *
 * Lines may have to wait for something: then the reading stops in front of one
 * of them, and goes on with it.  And done() may have to: then the call stays
 * till it is released.
 *
 * A call belongs to its client until the client closes.  Then it is
 * cancelled, unless it was asked to outlive the client: its answer still
 * counts for others, and call->client is NULL.
 */


#define SYNC_CALL_ANSWER_MAX  1048576   /* bytes; of a line, too */
#define SYNC_CALL_LINES_MAX   67108864  /* bytes of all lines of an answer */
#define SYNC_CALLS_MAX        512       /* at once, a client */
#define SYNC_CALL_ID_TEXT     36        /* bytes */


typedef enum {
    SYNC_CALL_ANSWERED = 0,     /* a JSON object */
    SYNC_CALL_FAILED,           /* no answer, another status, cut short */
    SYNC_CALL_INVALID,          /* no JSON object, or too large */
    SYNC_CALL_UNASKED           /* see sync_call_skip() */
} sync_call_result_e;


/* What of a handshake a hook may need later, on; kept by each client. */

typedef struct sync_caller_s  sync_caller_t;
typedef struct sync_call_s    sync_call_t;

typedef void (*sync_call_done_pt)(sync_call_t *call,
    sync_call_result_e result);

/*
 * As a sync_lines_pt.  With SYNC_AGAIN or SYNC_BUSY it goes on by
 * sync_call_resume(); with SYNC_DONE call->value is set to the result; with
 * SYNC_ERROR, call->fault.
 */
typedef ngx_int_t (*sync_call_line_pt)(sync_call_t *call, sync_json_t *line);

/*
 * The client of a call that outlives it is gone, or, if moved, held by
 * another worker from now on.
 */
typedef void (*sync_call_left_pt)(sync_call_t *call, ngx_uint_t moved);

/*
 * An order of another worker, for a call whose client is there or was: returns
 * 1 if it is for this one alone.  order is NULL for a look whether its client
 * is still there.  The call may be gone then.
 */
typedef ngx_uint_t (*sync_call_order_pt)(sync_call_t *call,
    sync_json_t *order);


struct sync_call_s {
    ngx_queue_t              queue;     /* of the client's calls */
    sync_client_t           *client;    /* NULL: gone, or not there yet */
    sync_str_t               session;   /* of who has no token yet; */
    sync_str_t               token;     /* ... they may be empty */
    sync_settings_t         *settings;
    sync_hook_t             *hook;
    sync_call_done_pt        done;
    sync_call_line_pt        line;      /* NULL: the answer is one object */
    sync_call_left_pt        left;      /* may be NULL */
    sync_call_order_pt       order;     /* the same */
    ngx_pool_t              *pool;      /* the call's; gone after done() */
    void                    *opaque;    /* the asker's */
    sync_hook_event_e        event;
    ngx_str_t                uri;       /* the event's; or a route's own */
    unsigned                 outlive:1;
    unsigned                 linked:1;  /* in the client's queue */
    unsigned                 broken:1;  /* a piece of the answer was lost */
    unsigned                 begun:1;   /* the answer has */
    unsigned                 streamed:1;    /* the answer is in lines */
    unsigned                 answered:1;    /* done() was called */
    unsigned                 busy:1;    /* line() is on the stack */
    unsigned                 waits:1;   /* done() was not all */
    unsigned                 gone:1;    /* to be freed once it is neither */
    unsigned                 over:1;    /* the hook ended before the lines */

    sync_str_t               request_id;    /* empty: the call's id */

    u_char                   id[SYNC_CALL_ID_TEXT];  /* a random UUID */
    ngx_chain_t             *answer;
    ngx_chain_t            **last;
    size_t                   len;       /* bytes of the answer */
    ngx_uint_t               status;
    sync_json_t              value;     /* the object answered */

    sync_lines_t             lines;
    sync_hook_result_e       ended;     /* how the hook did, if over */
    const char              *fault;     /* what is wrong with it, or NULL */
};


/* Whether that is not too much: SYNC_OK or SYNC_BUSY. */
ngx_int_t sync_call_keeps(sync_settings_t *s, ngx_http_request_t *r);

/*
 * Keeps what hooks need of the request's headers, if any is configured, and
 * a token that its client may come to have, which may be empty.  Returns
 * SYNC_OK or SYNC_ERROR (memory).
 */
ngx_int_t sync_call_keep(sync_client_t *c, ngx_http_request_t *r,
    sync_str_t *token, ngx_int_t place);

/* The same for one more client of a peer: what the other one keeps. */
ngx_int_t sync_call_share(sync_client_t *c, sync_client_t *from);

/* That token and the place of its source, or SYNC_DECLINED. */
ngx_int_t sync_call_kept_token(sync_client_t *c, sync_str_t *token);

/*
 * The client is closing: cancels its calls but for those that outlive it.
 */
void sync_call_client_closed(sync_client_t *c);

/* Hands an order to those of the calls with no client that it is for. */
void sync_call_order(sync_json_t *order);

/* Has all of them look for their clients, who may have died with a worker. */
#define sync_call_review()  sync_call_order(NULL)

/* Whether there are any whose answer is still to come. */
ngx_uint_t sync_call_pending(void);

/* Drops the calls of this worker that have no client; for its exit. */
void sync_call_exit_process(void);

/*
 * Whether anything is asked on the client's behalf that would not outlive
 * it, or waits to be.
 */
ngx_uint_t sync_call_busy(sync_client_t *c);

/* A place for the requests that wait for a hook of their client. */
ngx_queue_t *sync_call_waiting(sync_client_t *c);

/*
 * Prepares a call for a client, or, if c is NULL, for a request that is to
 * become one.  NULL if there is no memory, or if the client has too many.
 */
sync_call_t *sync_call_create(sync_client_t *c, sync_settings_t *s,
    sync_hook_event_e event, sync_call_done_pt done);

/*
 * Writes what every hook's body has in common: {"v":1,"id":...,"event":...,
 * "clientId":...,"user":...,"token":...,"ip":...,"locale":... with no closing
 * brace.  id is the client's, or NULL.
 */
void sync_call_write(sync_call_t *call, sync_writer_t *w, const u_char *id,
    sync_str_t *user, ngx_http_request_t *r);

/*
 * Sends it.  r is given if there is no client yet; with neither, the app is
 * told no address and no headers.  Returns SYNC_OK;
 * SYNC_BUSY if too many calls wait; or SYNC_ERROR.  Unless SYNC_OK is
 * returned, the call is gone, and done() will not be called.
 */
ngx_int_t sync_call_start(sync_call_t *call, sync_str_t *body,
    ngx_http_request_t *r);

/* Drops the call; done() will not be called. */
void sync_call_cancel(sync_call_t *call);

/* Goes on with an answer that line() holds; not from within. */
void sync_call_resume(sync_call_t *call);

/*
 * Asks nothing: done() is called at once, with SYNC_CALL_UNASKED.  For a call
 * that outlives its client.
 */
void sync_call_skip(sync_call_t *call);

/*
 * From done(): the call, which outlives its client, has more to do.  Till
 * sync_call_release(), after which it is gone, it is not freed.
 */
void sync_call_wait(sync_call_t *call);
void sync_call_release(sync_call_t *call);

/* The first call of a client, and the one after; NULL: there is none. */
sync_call_t *sync_call_next(sync_client_t *c, sync_call_t *call);

/*
 * {"stop":{"errorCode":...,"httpStatus":...}} in an answer: returns 1, the
 * code, or *code as it was if there is none, and the status, likewise.
 */
ngx_uint_t sync_call_stop(sync_call_t *call, sync_str_t *code,
    ngx_uint_t *status);


#endif /* _SYNC_CALL_H_INCLUDED_ */
