
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_ROOM_H_INCLUDED_
#define _SYNC_ROOM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_name.h>
#include <sync_zone.h>
#include <sync_worker.h>
#include <sync_ids.h>
#include <sync_log.h>
#include <sync_text.h>
#include <sync_receipt.h>
#include <sync_registry.h>


/*
 * Rooms.
 *
 *     rooms[hash] -> room -> room -> ...
 *                     |
 *                     +-- log              what was said, sync_log.h
 *                     +-- interests -> one for each worker with members:
 *                     |                how many, and how far it has read
 *                     `-- members --- one for each client: its record
 *
 * A room is made by the first join (or by a publish that it must remember)
 * and goes with its last member; a room that has a history stays until it
 * expires.  How a room behaves is the rule's that it was made by; numbers of
 * a rule that changed are taken over, but a history is not begun or ended.
 * The host's own room has no name and no members, but an interest of every
 * worker: what concerns all of them is appended there.
 *
 * A room whose name ends in '*' is a subscription to all rooms that begin
 * with what stands before: a message to such a room is appended to the
 * pattern's log too, with the room's name as its subject.
 */


struct sync_interest_s {                /* in the zone, 64 bytes */
    sync_interest_t     *next;          /* of the room */
    sync_room_t         *room;
    ngx_queue_t          dirty;         /* in the worker's queue */
    uint64_t             cursor;        /* LSN read up to */
    uint64_t             cookie;        /* the worker's, opaque to others */
    uint32_t             nmembers;
    uint32_t             epoch;         /* of the log when last read */
    uint32_t             passed;        /* see sync_share.h: an LSN's lower
                                           half */
    uint16_t             slot;
    uint8_t              queued:1;      /* in the dirty queue */
    uint8_t              held:1;        /* and is not to be */
    uint8_t              late:1;        /* with what it shares */
    uint8_t              behind;        /* a member is; the worker's word */
};


struct sync_member_s {                  /* in the zone, 64 bytes */
    ngx_queue_t          queue;         /* room->members */
    sync_member_t       *next;          /* record->members */
    sync_room_t         *room;
    sync_record_t       *record;
    sync_interest_t     *interest;
    uint64_t             start;         /* LSN of the top when it joined, or
                                           SYNC_ROOM_READING */
    uint32_t             index;         /* the worker's, in its audience */
    uint32_t             joined;        /* s since the epoch */
};


/* whether it is the room of a token, which is nobody else's to see */

#define sync_room_is_private(room)                                            \
    ((room)->len && (room)->name[0] == SYNC_NAME_PRIVATE)


struct sync_room_s {                    /* in the zone, and its name after */
    sync_room_t         *next;          /* of the bucket */
    sync_interest_t     *interests;
    ngx_queue_t          members;
    ngx_queue_t          idle;          /* while it has no members */
    sync_log_t           log;
    uint64_t             seen;          /* ms, last leave or publish */
    uint32_t             ttl;           /* s to live without members */
    uint32_t             hash;
    uint32_t             nmembers;
    uint32_t             history;       /* messages kept; 0: volatile */
    uint32_t             linked;        /* see sync_room_link() */
    sync_ids_t          *ids;           /* of messages; NULL: none had one */
    uint16_t             len;
    u_char               name[1];
};


#define SYNC_ROOM_READING  ((uint64_t) -1)


/* How a room behaves, from configuration; taken when the room is made. */

typedef struct {
    uint32_t             history;       /* messages; 0: volatile */
    uint32_t             ttl;           /* s */
    size_t               limit;         /* bytes the log may hold */
    unsigned             mirrored:1;    /* its order is made elsewhere */
} sync_room_rule_t;


typedef struct {
    sync_member_t       *member;
    sync_interest_t     *interest;
    uint64_t             lsn;           /* the top of the room */
    uint32_t             nonce;
} sync_joined_t;


typedef struct {
    uint64_t             lsn;           /* what the message got */
    uint32_t             nonce;
    uint32_t             receivers;     /* clients, patterns' ones too */
    unsigned             history:1;     /* it has a position */
    unsigned             repeated:1;    /* it was known by its id */
    unsigned             replied:1;     /* m->reply was appended, too */
    sync_wake_set_t      wake;
} sync_published_t;


/*
 * What sync_room_take() gives: entries of one room above this worker's
 * cursor, copied into the caller's buffer.
 */

typedef struct {
    u_char              *buf;           /* the caller's */
    size_t               size;
    size_t               need;          /* with SYNC_AGAIN: a size that fits */

    uint64_t             cookie;        /* of the interest */
    size_t               len;           /* bytes copied */
    uint64_t             first;         /* LSN the cursor stood at */
    uint64_t             last;          /* LSN it stands at now */
    uint64_t             lost;          /* LSNs trimmed before we came */
    sync_position_t      at;            /* where it goes on, if some were, or
                                           after a reset */
    uint64_t             ahead;         /* the caller's: LSN of the host's
                                           room that it has seen, if held */
    unsigned             reset:1;       /* the log was reset since last time */
    unsigned             more:1;        /* there is more in this room */
    unsigned             peeked:1;      /* it is the host's, and still held */
} sync_take_t;


/*
 * Adds the client to the room, making the room and the worker's interest
 * where they are not there yet; cookie is kept in a new interest.  The
 * cursor of a new interest is the top of the room.
 *
 * Returns SYNC_OK; SYNC_DECLINED if it is a member already, *j being filled
 * all the same; or SYNC_BUSY if the zone is full, and nothing has changed.
 */
ngx_int_t sync_room_join(sync_zone_t *z, sync_str_t *name,
    sync_room_rule_t *rule, sync_record_t *rec, uint64_t cookie,
    sync_joined_t *j);

/*
 * The same, and copies the texts that are under way in the room, at the
 * position from which on the member hears.  Returns SYNC_AGAIN besides, if
 * texts->size is below texts->need, and nothing has changed.
 */
ngx_int_t sync_room_join_texts(sync_zone_t *z, sync_str_t *name,
    sync_room_rule_t *rule, sync_record_t *rec, uint64_t cookie,
    sync_joined_t *j, sync_texts_t *texts);

/*
 * Removes a member; the interest goes with the worker's last member, the
 * room with its last member unless it has a history.
 */
void sync_room_leave(sync_zone_t *z, sync_member_t *m);
void sync_room_leave_locked(sync_zone_t *z, sync_member_t *m);

/*
 * Appends a message to the room, and to patterns that match it, marks it
 * dirty for each worker with members and gathers those to be woken.  room
 * may be given when it is known to live, as the caller has a member in it;
 * else it is looked up by name, and made when rule says that it keeps a
 * history.  m->reply, and those that follow it, are appended to the host's
 * own room in the same step; if the zone is full they may be lost.
 *
 * A room with a history answers a message whose m->id it knows as it did the
 * first time.
 *
 * Returns SYNC_OK; SYNC_DECLINED if there is nobody to hear it and nothing
 * to remember it by; SYNC_ERROR if m->lsn is stale, p->lsn and p->nonce
 * being the top; SYNC_BUSY if the zone is full.
 */
ngx_int_t sync_room_publish(sync_zone_t *z, sync_str_t *name,
    sync_room_t *room, sync_room_rule_t *rule, sync_message_t *m,
    sync_published_t *p);

/*
 * Appends to the host's own room, which every worker reads, m->reply first.
 * p->receivers is 0.  Returns SYNC_OK or SYNC_BUSY.  The room belongs to the
 * first worker that takes a slot; before, there is nobody to hear.
 */
ngx_int_t sync_room_announce(sync_zone_t *z, sync_message_t *m,
    sync_published_t *p);

/*
 * Takes what is new in this worker's next dirty room.  The room stays
 * in the queue, at its end, while there is more.  The host's own room comes
 * before all others.  While that is held, what is new there is shown, with
 * t->peeked, before another room is taken from, and is there to be taken
 * later on.
 *
 * Returns SYNC_OK, SYNC_DECLINED if no room is dirty, SYNC_AGAIN if t->size
 * is below t->need, or SYNC_BUSY if clients came from another worker, which
 * have to be taken in first (sync_sid_news()).  A volatile room's entries
 * that all workers have taken, but for stalled ones, are freed.
 */
ngx_int_t sync_room_take(sync_zone_t *z, sync_take_t *t);

/*
 * While an interest of this worker is held, its room is not taken from; what
 * comes meanwhile is found by the first look after it is let go.
 */
void sync_room_hold(sync_zone_t *z, sync_interest_t *interest,
    ngx_uint_t hold);

/*
 * Whether some worker has more than half of what a volatile room may hold
 * yet to take, or says that a member is behind.
 */
ngx_uint_t sync_room_unread(sync_zone_t *z, sync_str_t *name);

typedef struct {
    sync_resume_e        reason;
    uint32_t             epoch;         /* of the log */
    sync_position_t      top;
} sync_resumed_t;

/*
 * Looks whether a member of this worker, which has joined, may go on after a
 * position.  With SYNC_RESUME_OK it reads for itself from there on.
 */
void sync_room_resume(sync_zone_t *z, sync_member_t *m, sync_position_t *pos,
    sync_resumed_t *r);

/*
 * The position of an LSN in a room that is known to live.  Returns SYNC_OK,
 * or SYNC_DECLINED if it cannot be told any more.
 */
ngx_int_t sync_room_position(sync_zone_t *z, sync_room_t *room, uint64_t lsn,
    sync_position_t *pos);

/*
 * The same for a room that may be gone, and have come again: "known" is a
 * position at or above the LSN, of the log that is meant.  SYNC_OK means that
 * all after it is there.
 */
ngx_int_t sync_room_recall(sync_zone_t *z, sync_str_t *name,
    sync_position_t *known, sync_position_t *pos);

typedef struct {
    u_char              *buf;           /* the caller's */
    size_t               size;
    size_t               need;          /* with SYNC_AGAIN: a size that fits */

    uint64_t             cursor;        /* LSN read up to: from, and to */
    uint64_t             ahead;         /* as in sync_take_t */
    uint32_t             epoch;         /* of the log when last read */

    size_t               len;           /* bytes copied */
    sync_resume_e        lost;          /* why something was missed, or OK */
    sync_position_t      at;            /* then: where it goes on */
    unsigned             done:1;        /* it has read all there is */
} sync_read_t;

/*
 * Reads for one member what is above the cursor.  When that is all there is,
 * its worker goes on for it.  Returns SYNC_OK; SYNC_AGAIN if r->size is below
 * r->need; or SYNC_BUSY if the client is answered by other workers, and the
 * host's room has news, which come first.
 */
ngx_int_t sync_room_read(sync_zone_t *z, sync_member_t *m, sync_read_t *r);

/* Members of a room by name, all workers; 0 if there is no such room. */
ngx_uint_t sync_room_count(sync_zone_t *z, sync_str_t *name);

/* SYNC_OK if the client with this id is a member; else SYNC_DECLINED. */
ngx_int_t sync_room_is_member(sync_zone_t *z, sync_str_t *name,
    const u_char *id);

/*
 * Copies the ids of up to n members, skipping the first ones; returns the
 * number copied and the room's whole number in *total.
 */
ngx_uint_t sync_room_members(sync_zone_t *z, sync_str_t *name,
    ngx_uint_t skip, u_char *ids, ngx_uint_t n, ngx_uint_t *total);

/*
 * The same for those who hear the message with that LSN and can answer it:
 * who was in the room before, and is no event stream.
 */
ngx_uint_t sync_room_hearers(sync_zone_t *z, sync_str_t *name, uint64_t lsn,
    u_char *ids, ngx_uint_t n);

typedef struct {
    uint32_t             nmembers;
    uint32_t             messages;      /* kept */
    uint64_t             lsn;
    uint32_t             nonce;
    uint16_t             len;
    u_char               name[SYNC_NAME_MAX];
} sync_room_info_t;

/*
 * Copies up to n rooms whose name begins with prefix, as
 * sync_registry_page() does.  The host's own room is not among them.
 */
ngx_uint_t sync_room_page(sync_zone_t *z, sync_str_t *prefix,
    uint32_t *bucket, sync_room_info_t *info, ngx_uint_t n);

/* The names of the rooms a client is in, oldest first; at most n copied. */
ngx_uint_t sync_room_of(sync_zone_t *z, const u_char *id,
    sync_room_info_t *info, ngx_uint_t n);

/*
 * Gives a client of this worker, with its memberships, to another slot, or
 * to this one again: at one instant, at which this worker has read all there
 * is in the client's rooms, and both have read the host's.  From there on
 * the other worker reads for it, and members start anew at the top.  An
 * interest made for it has no cookie yet.
 *
 * Returns SYNC_OK; SYNC_AGAIN if there is something to be read first, or a
 * room is held; or SYNC_BUSY if the zone is full.
 */
ngx_int_t sync_room_move_locked(sync_zone_t *z, sync_record_t *rec,
    ngx_uint_t slot);

/*
 * Frees rooms without members whose time is over, and what is too old in
 * others; a bounded number a call.
 */
void sync_room_expire(sync_zone_t *z);

/*
 * A sync_zone_mend_pt: relinks what is stamped along its next pointers,
 * recounts, and resets the room's log.  The dead holder's slot waits to be
 * reaped then.
 */
void sync_room_mend(sync_zone_t *z, sync_stamp_t *stamp);

/*
 * Verifies every link and count of the zone; NULL, or what is wrong.  *lost
 * is the number of bytes in use that nothing leads to.  For tests: the
 * caller holds the lock, and it walks everything.
 */
const char *sync_room_check(sync_zone_t *z, size_t *lost);


/*
 * Rooms whose order is made elsewhere, see sync_room_mirror.c.
 *
 * The room's top: SYNC_OK, or SYNC_DECLINED if there is no such room.
 */
ngx_int_t sync_room_top(sync_zone_t *z, sync_str_t *name,
    sync_position_t *top);

/*
 * Begins the room's log anew behind a position, making the room if there is
 * none.  Members are told by sync_room_link().  Returns SYNC_OK or SYNC_BUSY.
 */
ngx_int_t sync_room_rebase(sync_zone_t *z, sync_str_t *name,
    sync_room_rule_t *rule, sync_position_t *at);

/* what sync_room_linked() returns until then; never a link */
#define SYNC_ROOM_LOADING  ((uint32_t) -1)

typedef enum {
    SYNC_MIRROR_TELL = 0,
    SYNC_MIRROR_MEMBERS,                /* patterns know of it */
    SYNC_MIRROR_QUIET                   /* nobody is told */
} sync_mirror_tell_e;

/*
 * Appends a message that has its place, m->lsn and m->nonce behind prev.
 *
 * Returns SYNC_OK; SYNC_DECLINED if it is there already; SYNC_AGAIN if what
 * stands before it is missing; SYNC_ERROR if it is of another life of the
 * log; or SYNC_BUSY if the zone is full.
 */
ngx_int_t sync_room_mirror(sync_zone_t *z, sync_str_t *name,
    sync_position_t *prev, sync_message_t *m, sync_mirror_tell_e tell,
    sync_published_t *p);

/* Tells only the patterns that match the room. */
void sync_room_patterns(sync_zone_t *z, sync_str_t *name, sync_message_t *m,
    sync_published_t *p);

/*
 * Notes that the room follows the log elsewhere, for as long as "link", which
 * is not 0, is what it is now; and that it does so no more, if it was by that
 * link.
 */
void sync_room_link(sync_zone_t *z, sync_str_t *name, uint32_t link,
    sync_wake_set_t *wake);
void sync_room_unlink(sync_zone_t *z, sync_str_t *name, uint32_t link);
uint32_t sync_room_linked(sync_zone_t *z, sync_str_t *name);


/* For the stores alone; the caller holds the lock. */

/* Appends to the room's log. */
ngx_int_t sync_room_append_locked(sync_zone_t *z, sync_room_t *room,
    sync_message_t *m);

/* Puts the room's interests in their workers' queues. */
void sync_room_announce_locked(sync_zone_t *z, sync_room_t *room,
    sync_published_t *p);

/* How many workers deliver what is said in the room. */
ngx_uint_t sync_room_deliverers_locked(sync_room_t *room);

/* Appends to the patterns that match the room; SYNC_OK, or SYNC_DECLINED. */
ngx_int_t sync_room_patterns_locked(sync_zone_t *z, sync_str_t *name,
    sync_room_t *room, sync_message_t *m, sync_published_t *p);

sync_room_t *sync_room_lookup_locked(sync_zone_t *z, sync_str_t *name);

/* A new room, linked to nothing; or NULL. */
sync_room_t *sync_room_create_locked(sync_zone_t *z, sync_str_t *name,
    sync_room_rule_t *rule);

/* Links it, as one without members; the room must be stamped. */
void sync_room_add_locked(sync_zone_t *z, sync_room_t *room);

/* Unlinks a room that has no members, and frees it. */
void sync_room_destroy_locked(sync_zone_t *z, sync_room_t *room);

sync_interest_t *sync_room_interest_locked(sync_room_t *room,
    ngx_uint_t slot);

/* A new interest, linked to nothing, that has read all there is; or NULL. */
sync_interest_t *sync_room_create_interest_locked(sync_zone_t *z,
    sync_room_t *room, ngx_uint_t slot, uint64_t cookie);

/* Unlinks it from everything and frees it; its room must be stamped. */
void sync_room_drop_interest_locked(sync_zone_t *z, sync_interest_t *in);

/* Puts it in its worker's queue, or takes it off. */
void sync_room_queue_locked(sync_zone_t *z, sync_interest_t *in);
void sync_room_unqueue_locked(sync_zone_t *z, sync_interest_t *in);

/* Frees what of the room's log need not be kept any more. */
void sync_room_trim_locked(sync_zone_t *z, sync_room_t *room);

/* Whether the zone is nearly full. */
ngx_uint_t sync_room_pressed_locked(sync_zone_t *z);

/*
 * Has another room without members give up its oldest messages.  Returns
 * SYNC_OK, or SYNC_DECLINED if none was found that has any.
 */
ngx_int_t sync_room_relieve_locked(sync_zone_t *z, sync_room_t *but);

/* Frees the oldest chunk of a room's log, which is not empty. */
void sync_room_give_up_locked(sync_zone_t *z, sync_room_t *room);

/* Looks at a part of all rooms for what is too old. */
void sync_room_sweep_locked(sync_zone_t *z);

/* Sets t->at, if it is needed. */
void sync_room_lost_locked(sync_zone_t *z, sync_interest_t *in,
    sync_take_t *t);

/* Takes over the numbers of a rule that changed. */
void sync_room_obey_locked(sync_room_t *room, sync_room_rule_t *rule);

/* The client's membership in the room, or NULL. */
sync_member_t *sync_room_member_locked(sync_record_t *rec,
    sync_room_t *room);


#endif /* _SYNC_ROOM_H_INCLUDED_ */
