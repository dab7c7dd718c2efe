
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_ASKER_H_INCLUDED_
#define _SYNC_ASKER_H_INCLUDED_


#include <sync_settings.h>
#include <sync_call.h>
#include <sync_name.h>
#include <sync_reply.h>
#include <sync_route.h>


/*
 * A request under way, and how whoever asked is told about it.
 *
 *     sync_request: parse, checks --> sync_ask: hook --> sync_answer: room,
 *                                                        acknowledgement
 *
 * There are two kinds, sync and api, that differ in names and codes: these
 * stand in one table.
 */


/* What may be wrong with a request, whoever finds it. */

typedef enum {
    SYNC_FAULT_REQUEST = 0,     /* no name, or no data */
    SYNC_FAULT_ROUTE,           /* the name is not one of a route */
    SYNC_FAULT_CALLBACK,
    SYNC_FAULT_RECEIVER,        /* missing */
    SYNC_FAULT_FOUND,           /* no such route */
    SYNC_FAULT_ALLOWED,         /* a receiver that is not allowed */
    SYNC_FAULT_MEMBER,          /* not a member of the room */
    SYNC_FAULT_METHOD,          /* of HTTP, not the route's */
    SYNC_FAULT_BUSY,            /* too many hooks */
    SYNC_FAULT_FAILED,          /* the app has not answered in full */
    SYNC_FAULT_ANSWER,          /* what it answered is no answer */
    SYNC_FAULT_NOBODY,          /* nobody to hear it */
    SYNC_FAULT_BROKER,          /* the message could not be kept */
    SYNC_FAULT_MAX
} sync_fault_e;


typedef struct {
    sync_str_t                code;
    ngx_uint_t                status;   /* of HTTP */
} sync_asker_fault_t;


typedef struct {
    sync_str_t                prefix;   /* of its routes; the hook's "kind" */
    sync_hook_event_e         hook;
    const char               *answer;   /* the events that the asker hears */
    const char               *chunk;
    sync_asker_fault_t        faults[SYNC_FAULT_MAX];
} sync_asker_kind_t;


extern const sync_asker_kind_t  sync_asker_sync;
extern const sync_asker_kind_t  sync_asker_api;


typedef struct sync_request_s  sync_request_t;
typedef struct sync_stream_s   sync_stream_t;


/*
 * An HTTP request as an asker: it has no client, but a session of its own,
 * and is answered once, after which it may be gone.
 */

typedef struct sync_web_s  sync_web_t;

typedef struct {
    /*
     * The answer, a JSON object, with a status of HTTP.  good: it is a
     * success.  Called once, unless the request was aborted before.
     */
    void                    (*answer)(sync_web_t *web, ngx_uint_t status,
                                ngx_uint_t good, sync_str_t *json);

    /* A chunk before it, any JSON value. */
    void                    (*chunk)(sync_web_t *web, sync_str_t *json);

    /* Whether more waits to be sent than is good. */
    ngx_uint_t              (*pressed)(sync_web_t *web);
} sync_web_ops_t;


struct sync_web_s {
    const sync_web_ops_t     *ops;
    ngx_http_request_t       *request;
    sync_request_t           *asked;    /* while the app thinks */
    sync_str_t                id;       /* X-Request-Id */
    sync_str_t                session;  /* JSON object; len 0: none */
    sync_str_t                token;    /* len 0: none */
    sync_route_method_e       method;
    unsigned                  stream:1; /* chunks are wanted */
    unsigned                  unknown:1;    /* the session cannot be known */
};


/*
 * On the stack while its checks run, and copied into its call's pool while
 * the app thinks.
 */

struct sync_request_s {
    const sync_asker_kind_t  *kind;
    sync_settings_t          *settings;
    sync_client_t            *client;   /* NULL: gone, or elsewhere */
    sync_web_t               *web;      /* or this; NULL: gone */
    sync_call_t              *call;     /* once the app is asked */
    sync_stream_t            *stream;   /* the same, see sync_chunk.h */
    sync_name_route_t         route;
    sync_route_t             *declared; /* what the app says of the route */
    sync_str_t                receiver;
    sync_str_t                index;    /* empty: not to be answered */
    sync_str_t                data;     /* the client's bytes */
    sync_str_t                cb;       /* JSON; empty: the route's name */
    sync_str_t                extra;    /* see sync_answer_keep() */
    uint64_t                  key;      /* the same; 0: it has none */
    sync_str_t                output;   /* the app's, while it waits */
    struct sync_publish_s    *publish;  /* the message that does */
    uint64_t                  receipt;  /* of that, see sync_delivery.h */
    sync_call_t              *veto;     /* the question whether it may */
    void                    (*vetoed)(sync_request_t *rq, ngx_uint_t goes);
    u_char                    id[SYNC_ID_LEN];  /* the sender's */
    u_char                    own[SYNC_ID_LEN]; /* of its token, or that */
    unsigned                  all:1;    /* every client is meant */
    unsigned                  self:1;   /* the sender alone is meant */
    unsigned                  token:1;  /* all that have its token */
    unsigned                  ignore_self:1;
    unsigned                  cancelled:1;  /* hears of no more chunks */
    unsigned                  http:1;   /* it came by HTTP */
    unsigned                  full:1;   /* a chunk could not be kept */
    unsigned                  replied:1;    /* told of the success */
};


/*
 * Copies what is needed once the app has answered, into the call's pool; not
 * the data.  Returns SYNC_OK or SYNC_ERROR (memory).
 */
ngx_int_t sync_asker_copy(sync_request_t *to, sync_request_t *from,
    sync_call_t *call);

/*
 * Tells the asker the name by which the request can be cancelled.  The
 * client may be closed by that, and the call be gone with it.
 */
void sync_asker_progress(sync_request_t *rq, sync_call_t *call);

/* Whether there is nobody to be answered: a client that gave no index. */

#define sync_asker_silent(rq)  ((rq)->web == NULL && (rq)->index.len == 0)

/* Writes the "cb" of frames: the route's name, or what an older client said. */
void sync_asker_write_cb(sync_writer_t *w, sync_request_t *rq);

/*
 * Begin and end the answer, ["sync-7", and "]" around one object, or nothing
 * around it for HTTP.
 */
void sync_asker_write_event(sync_writer_t *w, sync_request_t *rq);
void sync_asker_write_end(sync_writer_t *w, sync_request_t *rq);

/*
 * Sends the answer that was written, wherever the client is now; the client
 * may be closed by that.  status is of HTTP, good says that it is a success.
 */
void sync_asker_send(sync_request_t *rq, sync_writer_t *w,
    ngx_uint_t status, ngx_uint_t good);

/* Sends a chunk, any JSON value. */
void sync_asker_chunk(sync_request_t *rq, sync_str_t *json);

/* Answers with an error. */
void sync_asker_error(sync_request_t *rq, sync_reply_error_t *e);
void sync_asker_fault(sync_request_t *rq, sync_fault_e fault);


#endif /* _SYNC_ASKER_H_INCLUDED_ */
