
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_FRAME_H_INCLUDED_
#define _SYNC_FRAME_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_log.h>


/*
 * Runs: messages as they go over the wire, framed once a dialect and shared
 * by all clients that speak it.
 */


typedef enum {
    SYNC_DIALECT_WS = 0,        /* text frames */
    SYNC_DIALECT_WS_DEFLATE,    /* the same with permessage-deflate */
    SYNC_DIALECT_SSE,           /* events, each an HTTP/1.1 chunk */
    SYNC_DIALECT_SSE_RAW,       /* events with nothing around them */
    SYNC_DIALECT_SIO,           /* Socket.IO packets in text frames */
    SYNC_DIALECT_EIO,           /* the same as pieces of a payload */
    SYNC_DIALECT_MAX
} sync_dialect_e;


/* In sync_entry_t.flags. */

#define SYNC_FRAME_ROOM    0x01     /* {"room":...} is the last argument */
#define SYNC_FRAME_ARGS    0x02     /* there are several arguments */
#define SYNC_FRAME_BINARY  0x04     /* {"base64":"..."} are bytes */
#define SYNC_FRAME_REPLY   0x08     /* the JSON acknowledges the client's */


typedef struct {
    uint32_t             refs;
    uint32_t             len;           /* bytes of data */
    uint32_t             n;             /* messages */
    u_char              *data;
    uint32_t             ends[1];       /* of each message, n of them */
} sync_run_t;


/* A run of len bytes to be filled by the caller, with one reference. */
sync_run_t *sync_run_create(size_t len);

void sync_run_unref(sync_run_t *run);

#define sync_run_ref(run)  ((run)->refs++)


/* How a dialect's deflate is set up; one for all clients of a worker. */

typedef struct {
    ngx_int_t            level;
    size_t               min;           /* bytes worth deflating */
} sync_frame_deflate_t;


/*
 * Frames the n entries in [p, p + len), as sync_log_read_locked() copied
 * them, that were read from the room called name.  An entry with a subject
 * is framed with that as its room.  recoverable says that they have
 * positions.
 *
 * A gap is told as it stands, and a position alone, without a message, where
 * a client is to know that it moved.
 *
 * Returns a run with one reference, or NULL if there is no memory.
 */
sync_run_t *sync_frame_entries(sync_dialect_e dialect, u_char *p, size_t len,
    ngx_uint_t n, sync_str_t *name, ngx_uint_t recoverable,
    sync_frame_deflate_t *deflate);

/*
 * Frames an Engine.IO packet, head and data together, for one of the two
 * dialects of Socket.IO; of a payload's pieces each ends in a separator.
 */
sync_run_t *sync_frame_packet(sync_dialect_e dialect, sync_str_t *head,
    sync_str_t *data);

/* The same for a binary one; its data alone. */
sync_run_t *sync_frame_binary(sync_dialect_e dialect, sync_str_t *data);

/*
 * Writes an event that has bytes, as sync_sio_take_out() takes them, for one
 * of the two dialects of Socket.IO, and returns its length, or, with no dst,
 * how long it may become.  json is the whole array; tail, if it is not empty,
 * stands for its bracket.
 */
size_t sync_frame_binary_event(sync_dialect_e dialect, u_char *dst,
    uint64_t ack, sync_str_t *json, sync_str_t *tail);

/*
 * Writes packets [pos, last) of a run of Socket.IO anew, as those of a
 * namespace; bytes that belong to them stay as they are.  NULL if there is
 * no memory.
 */
sync_run_t *sync_frame_namespace(sync_dialect_e dialect, sync_run_t *run,
    uint32_t pos, uint32_t last, sync_str_t *nsp);

/*
 * Frames the id of an event that follows, for a dialect of event streams.
 */
sync_run_t *sync_frame_id(sync_dialect_e dialect, sync_str_t *id);

/* Frames one JSON array, as send() of a transport does. */
sync_run_t *sync_frame_json(sync_dialect_e dialect, sync_str_t *json,
    sync_frame_deflate_t *deflate);


#endif /* _SYNC_FRAME_H_INCLUDED_ */
