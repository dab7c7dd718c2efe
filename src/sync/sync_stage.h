
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_STAGE_H_INCLUDED_
#define _SYNC_STAGE_H_INCLUDED_


#include <sync_output.h>
#include <sync_hook.h>
#include <sync_ndjson.h>
#include <sync_ws.h>


/*
 * What the files of the client stage share: a stage, and one call of it.
 */


#define SYNC_RECIPIENT_BATCH  64        /* recipients a call */
#define SYNC_RECIPIENT_CALLS  16        /* at once, a stage */

#define SYNC_STAGE_BUCKETS    64
#define SYNC_STAGE_NO_MEMORY  SYNC_WS_CODE_INTERNAL


typedef struct sync_stage_s  sync_stage_t;


/* Clients may be closed, members leave and the stage be destroyed by both. */

typedef struct {
    /*
     * Queues a frame to a member.  With the result, which is not a chunk, the
     * message is over for it: a client that has a list of positions is told
     * that in the same event.
     */
    void       (*send)(void *opaque, sync_client_t *c, sync_run_t *run,
                   ngx_uint_t result);

    /* All were told; called once.  The stage is gone when it returns. */
    void       (*done)(void *opaque);

    /* The message is over for a member that hears nothing.  May be NULL. */
    void       (*passed)(void *opaque, sync_client_t *c);
} sync_stage_handler_t;


typedef struct {
    sync_client_t               *client;    /* not to be used once gone */
    unsigned                     asked:1;
    unsigned                     told:1;    /* the result, or an error */
    unsigned                     gone:1;
} sync_recipient_t;


struct sync_stage_s {
    ngx_queue_t                  queue;     /* of the worker's */
    const sync_stage_handler_t  *handler;
    void                        *opaque;

    sync_entry_t                *entry;
    sync_extra_t                 extra;
    sync_str_t                   name;      /* of the room */

    sync_recipient_t            *recipients;    /* by client */
    uint32_t                     n;
    uint32_t                     max;
    uint32_t                     next;      /* the first that is not asked */

    ngx_queue_t                  calls;
    ngx_uint_t                   ncalls;

    sync_output_t               *outputs[SYNC_STAGE_BUCKETS];
    size_t                       kept;      /* bytes in them */

    unsigned                     busy:16;   /* somebody is at work in it */
    unsigned                     gone:1;    /* free it then */
    unsigned                     alone:1;
    unsigned                     lame:1;    /* of a message with no route */
    unsigned                     recoverable:1;
};


typedef struct {
    ngx_queue_t                  queue;     /* of the stage's */
    sync_stage_t                *stage;
    sync_settings_t             *settings;
    sync_hook_t                 *hook;

    sync_ndjson_t                lines;
    u_char                      *buf;       /* of an open line, or of JSON */
    size_t                       len;
    size_t                       size;

    uint32_t                     n;
    uint32_t                     list[SYNC_RECIPIENT_BATCH];

    unsigned                     begun:1;   /* the answer has */
    unsigned                     json:1;    /* one value, not lines */
    unsigned                     invalid:1;
} sync_recipient_call_t;


/* What a call tells its stage; i are indices of recipients. */

void sync_stage_result(sync_stage_t *st, ngx_uint_t i, sync_json_t *out);
void sync_stage_fail(sync_stage_t *st, ngx_uint_t i, const char *code);
void sync_stage_chunk(sync_stage_t *st, uint32_t *list, ngx_uint_t n,
    sync_json_t *payload);

/* Around what may end the stage: it may be gone after the second one. */
void sync_stage_enter(sync_stage_t *st);
void sync_stage_leave(sync_stage_t *st);

/* A call is not in st->calls any more. */
void sync_stage_call_ended(sync_stage_t *st);


#endif /* _SYNC_STAGE_H_INCLUDED_ */
