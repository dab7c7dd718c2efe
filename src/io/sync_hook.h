
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_HOOK_H_INCLUDED_
#define _SYNC_HOOK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sync_base.h>


/*
 * A hook: one POST of JSON to an internal location, whose answer is handed
 * up piece by piece as it arrives.
 *
 * Each call runs on a fake main request of its own, which lives on a
 * connection structure without a socket, with one subrequest inside; so
 * neither a client nor its request is needed while the app thinks, and
 * nginx's own proxying (upstream, keepalive, retries, time limits) does the
 * work.  The answer is taken from the subrequest by our header and body
 * filters, which know it by the connection's send_chain.
 *
 *     sync_hook_start() --+-- handler->data() ... --+-- handler->done()
 *                         |                         |
 *                         +---- sync_hook_cancel() -+   (no done() then)
 *
 * A worker runs at most SYNC_HOOKS_MAX calls at once, and with them takes no
 * more than a quarter of worker_connections; SYNC_HOOKS_QUEUE more wait in
 * order; beyond that sync_hook_start() answers SYNC_BUSY.
 */


#define SYNC_HOOKS_MAX    512
#define SYNC_HOOKS_QUEUE  4096


typedef struct sync_hook_s  sync_hook_t;


typedef enum {
    SYNC_HOOK_DONE = 0,         /* a 2xx answer that came in full */
    SYNC_HOOK_STATUS,           /* another status; see sync_hook_status() */
    SYNC_HOOK_CUT,              /* the answer ended before its end */
    SYNC_HOOK_LARGE,            /* the answer is above args->max_answer */
    SYNC_HOOK_FAILED            /* no answer: no memory, no such location */
} sync_hook_result_e;


/*
 * data() is called with each piece of a 2xx answer's body in order; the
 * bytes are borrowed for the time of the call.  It returns SYNC_OK, or
 * SYNC_AGAIN to have the reading of the answer stop after this piece until
 * sync_hook_resume(), which holds the app up through TCP.
 *
 * done() is called once, last; the hook is gone when it returns.  While
 * data() holds the answer, only a failure is told.
 *
 * Neither is called from within sync_hook_start(), sync_hook_resume() or
 * sync_hook_cancel().  Both may call the latter on their own hook: in data(),
 * done() is then not called.
 */

typedef ngx_int_t (*sync_hook_data_pt)(sync_hook_t *h, u_char *p, size_t len);
typedef void (*sync_hook_done_pt)(sync_hook_t *h, sync_hook_result_e result);


typedef struct {
    sync_hook_data_pt           data;
    sync_hook_done_pt           done;
} sync_hook_handler_t;


typedef struct {
    ngx_http_conf_ctx_t        *ctx;        /* of the server{} block */
    ngx_str_t                   uri;        /* a path, no arguments */
    ngx_str_t                   body;       /* JSON */
    ngx_str_t                   id;         /* X-Request-Id; may be empty */
    struct sockaddr            *sockaddr;   /* the client's; never NULL */
    socklen_t                   socklen;
    ngx_str_t                   addr_text;
    ngx_keyval_t               *headers;    /* of the client, see below */
    ngx_uint_t                  nheaders;
    size_t                      max_answer; /* bytes of the body */
    const sync_hook_handler_t  *handler;
    void                       *opaque;     /* the caller's */
} sync_hook_args_t;


/*
 * Starts a call, or queues it.  Everything in *args but ctx, handler and
 * opaque is copied.  Of the headers those are passed on that speak neither
 * of the client's connection nor of a body or the form of an answer; Host
 * is "localhost" unless it is among them.  May be called from anywhere.
 *
 * Returns SYNC_OK with the hook in *hook, SYNC_BUSY where the queue is full,
 * or SYNC_ERROR (memory).
 */
ngx_int_t sync_hook_start(sync_hook_args_t *args, sync_hook_t **hook);

/*
 * Drops the call: the upstream connection is closed at once, no handler is
 * called any more, the hook is gone for the caller.
 */
void sync_hook_cancel(sync_hook_t *h);

/* Goes on with an answer that data() holds, or is about to. */
void sync_hook_resume(sync_hook_t *h);

void *sync_hook_opaque(sync_hook_t *h);

/*
 * The answer's HTTP status, 0 before the header; its Content-Type as sent,
 * borrowed, valid until done() returns.
 */
ngx_uint_t sync_hook_status(sync_hook_t *h);
ngx_str_t *sync_hook_content_type(sync_hook_t *h);

/* Of this worker: calls in flight, calls that wait. */
ngx_uint_t sync_hook_running(void);
ngx_uint_t sync_hook_waiting(void);

/* Drops all calls of this worker; for the module's exit_process. */
void sync_hook_exit_process(void);

/*
 * For the module's filters: SYNC_DECLINED if the request is not a hook's,
 * and the next filter has to be called; else what the filter returns.
 */
ngx_int_t sync_hook_header_filter(ngx_http_request_t *r);
ngx_int_t sync_hook_body_filter(ngx_http_request_t *r, ngx_chain_t *in);


#endif /* _SYNC_HOOK_H_INCLUDED_ */
