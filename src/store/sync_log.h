
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_LOG_H_INCLUDED_
#define _SYNC_LOG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_position.h>
#include <sync_zone.h>


/*
 * A room's messages, oldest first.
 *
 *     head                                    tail
 *     +--------------------+    +--------------------------+
 *     | xx | entry | entry | -> | entry | entry |   free   |
 *     +--------------------+    +--------------------------+
 *            ^ head_off                         ^ used
 *
 * Entries stand packed in chunks, whose size grows with the room's use, so
 * that a message takes its bytes and a header and not a slab size.  LSNs
 * rise along the log; "oldest" is the LSN of the first entry kept, "top"
 * that of the last one ever appended.  A reader keeps an LSN, its cursor,
 * and reads what is above it; if that is below "trimmed" it missed some, as
 * LSNs may have gaps of their own.
 *
 * An entry is copied out whole, header and all, and read from the copy,
 * which must be aligned to SYNC_ENTRY_ALIGN.
 *
 * Each entry has a random nonce and knows that of the one before it.  So a
 * position, LSN and nonce, names one message of one life of the log: who
 * comes back with it can be told whether the log goes on from there, or is
 * another one that got as far.  What stands before the first entry has a
 * nonce as well, made with the log.
 */


#define SYNC_ENTRY_ALIGN  8

#define SYNC_LOG_KEYED    ((uint64_t) 1 << 63)


typedef enum {
    SYNC_ENTRY_MESSAGE = 0,     /* to the members of the room it stands in */
    SYNC_ENTRY_PATTERN,         /* host room: to rooms that match the subject */
    SYNC_ENTRY_ALL,             /* host room: to every client */
    SYNC_ENTRY_COMMAND,         /* host room: for the workers, JSON */
    SYNC_ENTRY_CLIENT,          /* host room: to a client, whose id is the
                                   subject */
    SYNC_ENTRY_REPLY,           /* the same, an answer: it may overtake */
    SYNC_ENTRY_ROOMS,           /* host room: to members of several rooms, see
                                   sync_peers.h */
    SYNC_ENTRY_GAP,             /* in no log: what a member is told it missed */
    SYNC_ENTRY_POSITION         /* in no log: its position moved silently */
} sync_entry_kind_e;


/* What became of a position that was handed back. */

typedef enum {
    SYNC_RESUME_OK = 0,         /* the log goes on from there */
    SYNC_RESUME_NEW,            /* there was none */
    SYNC_RESUME_INVALID,        /* it does not parse */
    SYNC_RESUME_TRIMMED,        /* older than the oldest kept */
    SYNC_RESUME_EXPIRED,        /* the whole log is too old */
    SYNC_RESUME_FORK,           /* of another life of the log */
    SYNC_RESUME_RESET,          /* the log is younger, or was lost */
    SYNC_RESUME_OVERFLOW,       /* the client is too slow */
    SYNC_RESUME_UNAVAILABLE,    /* it cannot be told now */
    SYNC_RESUME_VOLATILE        /* the room has no positions */
} sync_resume_e;


/* Why an entry was freed before its time. */

typedef enum {
    SYNC_LOG_READ = 0,          /* nobody needs it any more */
    SYNC_LOG_COUNT,             /* too many, or too many bytes */
    SYNC_LOG_AGE,
    SYNC_LOG_PRESSURE,          /* the zone is short of memory */
    SYNC_LOG_RESET              /* a writer died */
} sync_log_why_e;


/*
 * What follows an entry's header: json, subject, the ids of clients that must
 * not get it (SYNC_ID_LEN bytes each), then the extra: what those who deliver
 * it need to know besides, and no client is sent as it is.  size is the whole,
 * a multiple of SYNC_ENTRY_ALIGN.
 */

typedef struct {                /* in the zone, 48 bytes */
    uint64_t             lsn;
    uint64_t             time;          /* ms since the epoch */
    uint32_t             nonce;
    uint32_t             prev;          /* the nonce before this one */
    uint32_t             size;          /* bytes, with this header */
    uint32_t             len;           /* of json: ["event",data...] */
    uint32_t             event_len;     /* of the quoted event name */
    uint16_t             subject_len;   /* the room meant, if not this one */
    uint16_t             nexcept;
    uint8_t              kind:4;        /* sync_entry_kind_e */
    uint8_t              keyed:1;       /* "ack" is its key */
    uint8_t              pad:3;         /* bytes at the end that say nothing */
    uint8_t              flags;         /* the caller's */
    uint16_t             ack[3];        /* see sync_entry_number() */
} sync_entry_t;


#define sync_entry_json(e)     ((u_char *) (e) + sizeof(sync_entry_t))
#define sync_entry_subject(e)  (sync_entry_json(e) + (e)->len)
#define sync_entry_except(e)   (sync_entry_subject(e) + (e)->subject_len)
#define sync_entry_extra(e)                                                   \
    (sync_entry_except(e) + (size_t) (e)->nexcept * SYNC_ID_LEN)

#define sync_entry_extra_len(e)                                               \
    ((size_t) ((u_char *) (e) + (e)->size - (e)->pad - sync_entry_extra(e)))

#define sync_entry_number(e)                                                  \
    ((uint64_t) (e)->ack[0] << 32 | (uint64_t) (e)->ack[1] << 16              \
     | (e)->ack[2])

/* the number by which clients are to acknowledge it, 48 bits; 0: not at all */

#define sync_entry_ack(e)  ((e)->keyed ? 0 : sync_entry_number(e))

/* what a later one with the same key may take the place of; 0: none */

#define sync_entry_key(e)  ((e)->keyed ? sync_entry_number(e) : 0)

#define sync_entry_next(e)     ((sync_entry_t *) ((u_char *) (e) + (e)->size))


struct sync_chunk_s {           /* in the zone, 32 bytes, entries follow */
    sync_chunk_t        *next;
    uint32_t             size;          /* bytes, with this header */
    uint32_t             used;          /* the same */
    uint64_t             first;         /* LSN of its first entry */
    uint64_t             last;          /* LSN of its last entry */
};


/* What to append; everything is borrowed for the call. */

typedef struct sync_message_s  sync_message_t;

struct sync_message_s {
    sync_str_t           json;          /* ["event",data...] */
    uint32_t             event_len;
    sync_str_t           subject;
    const u_char        *except;        /* nexcept ids */
    uint16_t             nexcept;
    uint8_t              kind;
    uint8_t              flags;
    uint64_t             time;          /* ms since the epoch */
    uint64_t             lsn;           /* 0: one above the top */
    uint32_t             nonce;         /* random */
    uint64_t             id;            /* hash of its name; 0: it has none */
    uint64_t             ack;           /* 48 bits; 0: none is asked for;
                                           or a key, with SYNC_LOG_KEYED */
    sync_str_t           extra;         /* for those who deliver it */
    sync_message_t      *reply;         /* to the host's own room, to be read
                                           before this one; NULL: nothing */
    unsigned             relayed:1;     /* from another zone of the host */
};


typedef struct {                        /* in a sync_room_t */
    sync_chunk_t        *head;
    sync_chunk_t        *tail;
    uint32_t             head_off;      /* bytes, of the oldest entry */
    uint32_t             count;         /* entries kept */
    size_t               bytes;         /* of the entries kept */
    size_t               limit;         /* bytes kept at most */
    uint64_t             top;
    uint64_t             oldest;        /* top + 1 when there is none */
    uint64_t             trimmed;       /* LSN of the last one freed, or 0 */
    uint32_t             nonce;         /* of top */
    uint32_t             epoch;         /* rises with each reset */
    uint32_t             birth;         /* the nonce before the first entry */
    uint32_t             why;           /* sync_log_why_e, of "trimmed" */
} sync_log_t;


/* Bytes that a message takes in a log. */
size_t sync_log_entry_size(sync_message_t *m);

/*
 * Appends; m->lsn and m->nonce are set to what the entry got.  Returns
 * SYNC_OK, SYNC_DECLINED if m->lsn is not above the top, or SYNC_BUSY if the
 * zone is full; then nothing has changed.  What is above the limit in
 * front of the new entry is trimmed.
 */
ngx_int_t sync_log_append_locked(sync_zone_t *z, sync_log_t *log,
    sync_message_t *m);

/*
 * Has an entry be for nobody, if it is still there: the subject of a message
 * to one client is no client's then.
 */
void sync_log_forget_locked(sync_log_t *log, uint64_t lsn);

/* Frees entries up to and with lsn. */
void sync_log_trim_locked(sync_zone_t *z, sync_log_t *log, uint64_t lsn);

/* Frees every chunk of a log that goes itself. */
void sync_log_free_locked(sync_zone_t *z, sync_log_t *log);

/*
 * Copies whole entries above cursor into [p, p + size), as many as fit.
 * Returns the bytes copied, 0 if there are none, and the last LSN copied in
 * *last; or SYNC_AGAIN if not even one fits, and its size in *need.
 */
ssize_t sync_log_read_locked(sync_log_t *log, uint64_t cursor, u_char *p,
    size_t size, uint64_t *last, size_t *need);

/*
 * The nonce that belongs to an LSN at or below the top.  Returns SYNC_OK; or
 * SYNC_DECLINED if no entry has it, or it is too old to tell.
 */
ngx_int_t sync_log_nonce_locked(sync_log_t *log, uint64_t lsn,
    uint32_t *nonce);

/*
 * Whether what came after a position is there in full: SYNC_RESUME_OK, or
 * why not.
 */
sync_resume_e sync_log_resume_locked(sync_log_t *log, sync_position_t *pos);

/*
 * Frees entries that are older than ms since the epoch, n of them at most,
 * and none above lsn.  Returns the number freed.
 */
ngx_uint_t sync_log_age_locked(sync_zone_t *z, sync_log_t *log, uint64_t ms,
    uint64_t lsn, ngx_uint_t n);

/*
 * Forgets every entry, for a log whose writer died in it: nothing of it is
 * believed but the links of the chunks, which are freed.
 */
void sync_log_reset_locked(sync_zone_t *z, sync_log_t *log);


#endif /* _SYNC_LOG_H_INCLUDED_ */
