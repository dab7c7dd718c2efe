
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_AUDIENCE_H_INCLUDED_
#define _SYNC_AUDIENCE_H_INCLUDED_


#include <sync_settings.h>
#include <sync_recipient.h>
#include <sync_sieve.h>
#include <sync_session_store.h>
#include <sync_sid.h>


/*
 * What the files of the fanout share: this worker's part of each room.
 */


/* Does what a command in the host's own room says; the entry is a copy. */
typedef void (*sync_fanout_obey_pt)(sync_entry_t *e);

/*
 * Does what a command in a token's room says to one of those that have the
 * token, who may be closed by that.
 */
typedef void (*sync_fanout_heed_pt)(sync_client_t *c, sync_entry_t *e);


/* What is being delivered; entries are the take buffer's, or kept. */

typedef struct {
    u_char             *entries;
    size_t              len;            /* bytes */
    uint32_t            n;              /* entries */
    uint64_t            first;          /* LSN before the first one */
    uint64_t            last;
    sync_run_t         *runs[SYNC_DIALECT_MAX];
    sync_run_t         *bare[2];        /* of event streams, with no ids */
    unsigned            recoverable:1;  /* they have positions */
    unsigned            replay:1;       /* for one member */
    unsigned            choosy:1;       /* not every member gets every one */
    sync_sieve_t      **sieves;         /* of entries with filters, or NULL */
    sync_client_t      *reader;         /* whose session is: */
    sync_str_t          session;
    unsigned            staged:1;       /* one entry, for the client stage */
    unsigned            told:1;         /* and all were told */
    uint32_t           *counts;         /* clients, of each entry, or NULL */
    unsigned            filtered:1;     /* some entry has a filter */
    unsigned            counted:1;      /* some entry has a receipt */
} sync_batch_t;


typedef struct {
    ngx_rbtree_node_t   node;           /* by name, in the order of bytes */
    ngx_queue_t         active;         /* while a batch is being delivered */
    ngx_queue_t         relief;         /* while pressed */

    sync_room_t        *room;
    sync_interest_t    *interest;

    sync_client_t     **seats;
    uint32_t            n;
    uint32_t            max;
    uint32_t            next;           /* seat, the ones before are served */

    uint64_t            late;           /* the latest start of a member */
    uint64_t            last;           /* LSN that all were served up to */
    uint32_t            nreading;       /* members that read for themselves */
    sync_batch_t       *batch;
    sync_stage_t       *stage;          /* of the batch, under way */
    u_char             *rest;           /* entries to make batches of */
    size_t              rest_len;
    u_char             *kept;           /* the copy that both are in */

    uint64_t            told;           /* version of a token's session */
    sync_slow_policy_e  slow;
    unsigned            serving:1;
    unsigned            gone:1;         /* free it when it was served */
    unsigned            pressed:1;      /* some member was behind */
    unsigned            recoverable:1;
    sync_str_t          name;
} sync_audience_t;


typedef struct {
    sync_main_settings_t  *main;
    sync_zone_t           *zone;
    sync_fanout_obey_pt    obey;
    sync_fanout_heed_pt    heed;

    ngx_rbtree_t           audiences;
    ngx_rbtree_node_t      sentinel;
    ngx_uint_t             naudiences;
    ngx_queue_t            active;
    sync_audience_t       *host;        /* all clients of this worker */
    ngx_queue_t            ready;       /* of sync_resume_t, to be read for */
    uint32_t               mark;        /* of the last pattern publish */
    uint64_t               ahead;       /* LSN of the host's room that answers
                                           were looked for up to */
    sync_batch_t          *spare;

    u_char                *buf;
    size_t                 size;
    ngx_uint_t             looks;
    void                 (*looked)(void);
    unsigned               behind:1;
    unsigned               waiting:1;   /* answers may stand behind what is
                                           said to all, taken with it */
} sync_fanout_worker_t;


extern sync_fanout_worker_t  sync_fanout_worker;


/* A member that reads for itself, see sync_replay.h. */

typedef struct sync_replay_s  sync_replay_t;
typedef struct sync_order_s   sync_order_t;

struct sync_replay_s {
    sync_replay_t      *next;           /* of the client */
    sync_member_t      *member;
    uint64_t            cursor;         /* LSN read up to */
    uint32_t            epoch;          /* of the log then */
    sync_client_t      *client;
    sync_stage_t       *stage;          /* of one entry, under way */
    sync_entry_t       *entry;          /* that one; freed with the stage */
    unsigned            slow:1;         /* fell behind, did not come back */
};


/* A channel of an event stream, and the position that its client is at. */

typedef struct {
    sync_member_t      *member;         /* NULL: none */
    sync_position_t     pos;
} sync_place_t;


/* What is held back for a client, see sync_conflate.h. */

typedef struct sync_conflate_s  sync_conflate_t;


/* What a client has that is behind, or has more than one position. */

typedef struct {
    ngx_queue_t         queue;          /* of the worker, if it may go on */
    sync_client_t      *client;
    sync_replay_t      *replays;        /* the first is read for */
    sync_conflate_t    *held;           /* NULL: nothing */
    sync_place_t       *places;         /* in the order of the URL */
    ngx_uint_t          nplaces;
    sync_order_t       *order;          /* of Socket.IO, or NULL */
    unsigned            queued:1;
} sync_resume_t;


/* a gap: its header, a room's name twice at its worst, and a position */

#define SYNC_GAP_MAX  (512 + 6 * SYNC_NAME_MAX)


#define sync_fanout_audience(m)                                               \
    ((sync_audience_t *) (uintptr_t) (m)->interest->cookie)


/* The one with this name, or NULL. */
sync_audience_t *sync_fanout_lookup(sync_str_t *name);

/* A new one without seats, in the tree; or NULL. */
sync_audience_t *sync_fanout_create(sync_str_t *name);

/* Takes it from the tree, and frees it, when it was served at the latest. */
void sync_fanout_destroy(sync_audience_t *a);

/* Their order, by names. */
ngx_int_t sync_fanout_compare(sync_str_t *s1, sync_str_t *s2);

/*
 * Acts on what comes before the next message of the audience, the host's or
 * a token's.
 */
void sync_fanout_obey(sync_audience_t *a);
void sync_fanout_heed(sync_audience_t *a);

/*
 * Passes on the answers among what the host's room has ahead: entries, and
 * those that were taken and have to wait.
 */
void sync_fanout_reply(u_char *p, size_t len);
void sync_fanout_overtake(void);

/* Makes room for a seat.  SYNC_OK or SYNC_ERROR. */
ngx_int_t sync_fanout_reserve(sync_audience_t *a);

void sync_fanout_unseat(sync_audience_t *a, uint32_t i);

/*
 * Makes the batch outlive the turn, and has nothing more taken from the room
 * till it is over.  SYNC_OK or SYNC_ERROR.
 */
ngx_int_t sync_fanout_keep(sync_audience_t *a);

/* The client's row in a room; NULL if it is no member. */
sync_member_t *sync_fanout_member(sync_client_t *c, sync_str_t *name);

/* The row of a client that has a seat. */
sync_member_t *sync_fanout_membership(sync_audience_t *a, sync_client_t *c);


/* What the client has of that; NULL if there is no memory. */
sync_resume_t *sync_fanout_resume(sync_client_t *c);

/*
 * Has the member, which is behind, read for itself what is above lsn.  It is
 * left to the end of the turn.  Returns SYNC_OK or SYNC_ERROR (memory).
 */
ngx_int_t sync_fanout_replay(sync_client_t *c, sync_member_t *m,
    uint64_t lsn, uint32_t epoch, ngx_uint_t slow);

/* What the client has of these, made if there is none; or NULL (memory). */
sync_resume_t *sync_fanout_resume(sync_client_t *c);

/* The LSN up to which all of a room was queued to a member, or withheld. */
uint64_t sync_fanout_reached(sync_client_t *c, sync_member_t *m);

/* The member leaves its room, or another worker reads for it. */
void sync_fanout_forget(sync_client_t *c, sync_member_t *m);

/* The client closes, or goes to another worker. */
void sync_fanout_forget_all(sync_client_t *c);

/* Whether the client still catches up in a room, which goes on then. */
ngx_uint_t sync_fanout_reading(sync_client_t *c);


#endif /* _SYNC_AUDIENCE_H_INCLUDED_ */
