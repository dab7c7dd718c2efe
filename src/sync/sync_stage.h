
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_STAGE_H_INCLUDED_
#define _SYNC_STAGE_H_INCLUDED_


#include <sync_output.h>
#include <sync_hook.h>
#include <sync_ndjson.h>
#include <sync_share.h>
#include <sync_ws.h>


/*
 * What the files of the client stage share: a stage, and one call of it.
 */


#define SYNC_RECIPIENT_BATCH  SYNC_SHARE_MAX    /* recipients a call */
#define SYNC_RECIPIENT_CALLS  16        /* at once, a stage */

#define SYNC_STAGE_BUCKETS    64
#define SYNC_STAGE_NO_MEMORY  SYNC_WS_CODE_INTERNAL


typedef struct sync_stage_s            sync_stage_t;
typedef struct sync_recipient_call_s   sync_recipient_call_t;
typedef struct sync_recipient_other_s  sync_recipient_other_t;


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
    unsigned                     begun:1;   /* chunks of it were told */
    unsigned                     told:1;    /* the result, or an error */
    unsigned                     gone:1;
} sync_recipient_t;


/* What is said of recipients. */

typedef enum {
    SYNC_RECIPIENT_OUT = 0,
    SYNC_RECIPIENT_STREAM,
    SYNC_RECIPIENT_THREW
} sync_recipient_said_e;


struct sync_stage_s {
    ngx_queue_t                  queue;     /* of the worker's */
    const sync_stage_handler_t  *handler;
    void                        *opaque;

    sync_entry_t                *entry;
    sync_extra_t                 extra;
    sync_str_t                   name;      /* of the room */
    sync_room_t                 *room;      /* NULL: shares no calls */
    sync_interest_t             *interest;

    sync_recipient_t            *recipients;    /* by client */
    uint32_t                     n;
    uint32_t                     max;
    uint32_t                     next;      /* the first that is not asked */

    ngx_queue_t                  calls;
    ngx_uint_t                   ncalls;

    ngx_event_t                  timer;
    ngx_msec_t                   timeout;   /* ms, the longest of its hooks' */

    sync_output_t               *outputs[SYNC_STAGE_BUCKETS];
    size_t                       kept;      /* bytes in them */

    unsigned                     busy:16;   /* somebody is at work in it */
    unsigned                     gone:1;    /* free it then */
    unsigned                     alone:1;
    unsigned                     lame:1;    /* of a message with no route */
    unsigned                     recoverable:1;
};


/*
 * A call has recipients of this worker, which come first, and may have those
 * that are shares of others; or it is a share itself, which another worker
 * asks for.
 */

struct sync_recipient_call_s {
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

    /* of others: who, and what the app is told of them, till it is asked */
    sync_recipient_other_t      *others;
    uint32_t                     nothers;
    uint32_t                     total;     /* recipients, all of them */
    u_char                      *texts;

    /* while it is this worker's share in another's call */
    sync_share_t                *share;
    ngx_queue_t                  waiting;   /* of the worker's */
    ngx_event_t                  timer;     /* it has waited for too long */

    unsigned                     active:1;  /* somebody is at work in it */
    unsigned                     dropped:1; /* free it then */
    unsigned                     begun:1;   /* the answer has */
    unsigned                     json:1;    /* one value, not lines */
    unsigned                     invalid:1;
};


/* What a call tells its stage; i are indices of recipients. */

void sync_stage_result(sync_stage_t *st, ngx_uint_t i, sync_json_t *out);
void sync_stage_fail(sync_stage_t *st, ngx_uint_t i, const char *code);
void sync_stage_chunk(sync_stage_t *st, uint32_t *list, ngx_uint_t n,
    sync_json_t *payload);

/* Around what may end the stage: it may be gone after the second one. */
void sync_stage_enter(sync_stage_t *st);
void sync_stage_leave(sync_stage_t *st);

/* A call comes to st->calls; it is not there any more. */
void sync_stage_call_began(sync_stage_t *st, sync_recipient_call_t *call);
void sync_stage_call_ended(sync_stage_t *st);

/*
 * The recipient is to be asked for, as if it had not been yet; for those that
 * are asked for already, sync_stage_call_ended() follows.
 */
void sync_stage_ask_again(sync_stage_t *st, ngx_uint_t i);

/*
 * What a call that other workers have a share in does about it, see
 * sync_recipient_share.h.
 *
 * Their recipient k is spoken of.  SYNC_OK, or SYNC_ERROR if it is none.
 */
ngx_int_t sync_recipient_share_key(sync_recipient_call_t *call, uint32_t k);

/* Nobody is spoken of. */
void sync_recipient_share_clear(sync_recipient_call_t *call);

/* What is said of those that are spoken of; it is kept for flush(). */
void sync_recipient_share_say(sync_recipient_call_t *call,
    sync_recipient_said_e said, sync_str_t *json);

/* Tells the other workers, and that their shares are in that state. */
void sync_recipient_share_flush(sync_recipient_call_t *call,
    sync_share_state_e state);

/* What a call has of shares goes; its own is given up. */
void sync_recipient_share_free(sync_recipient_call_t *call);


#endif /* _SYNC_STAGE_H_INCLUDED_ */
