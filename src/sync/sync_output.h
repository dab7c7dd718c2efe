
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_OUTPUT_H_INCLUDED_
#define _SYNC_OUTPUT_H_INCLUDED_


#include <sync_extra.h>


/*
 * What some members of a room are told of a message: the frame with what the
 * client hook made of it for them, an error, or a chunk (luckystack-wire,
 * 3.4 and 5).  Framed once a dialect, for all who are told the same.
 */


typedef struct sync_output_s  sync_output_t;

struct sync_output_s {
    sync_output_t       *next;          /* the keeper's */
    uint32_t             hash;
    size_t               size;          /* bytes of memory, less frames */
    sync_str_t           source;        /* what the app answered */
    sync_entry_t        *entry;         /* the message as it is told */
    sync_run_t          *runs[SYNC_DIALECT_MAX];
    sync_run_t          *bare[SYNC_DIALECT_MAX];    /* with no position */
    unsigned             silent:1;      /* nothing is told at all */
    unsigned             failed:1;      /* it is an error */
    unsigned             rejected:1;    /* which the app returned */
    unsigned             chunk:1;       /* more is to follow */
};


/*
 * Of what a client handler returned; of an error with that code; of a chunk.
 * e is the message.  NULL if there is no memory.
 */
sync_output_t *sync_output_result(sync_entry_t *e, sync_extra_t *x,
    sync_json_t *result);
sync_output_t *sync_output_error(sync_entry_t *e, sync_extra_t *x,
    const char *code);
sync_output_t *sync_output_chunk(sync_entry_t *e, sync_extra_t *x,
    sync_json_t *payload);

void sync_output_destroy(sync_output_t *o);

/*
 * The frame for a client; it is the output's.  name is the room's it was read
 * from, recoverable says that messages have positions there.  NULL if there
 * is no memory.
 */
sync_run_t *sync_output_run(sync_output_t *o, sync_client_t *c,
    sync_str_t *name, ngx_uint_t recoverable);


#endif /* _SYNC_OUTPUT_H_INCLUDED_ */
