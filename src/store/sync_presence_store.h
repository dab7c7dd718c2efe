
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_PRESENCE_STORE_H_INCLUDED_
#define _SYNC_PRESENCE_STORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>
#include <sync_session_store.h>


/*
 * Users who are away.
 *
 *              .------ all of its clients are silent ------> afk
 *     here ----|                                              |
 *      ^       `------ the last of its clients left ----.     | left
 *      |                                                v     v
 *      +---- one of them speaks, or comes ---------- grace <--'
 *                                                       |
 *                                                     over: gone
 *
 * Of a user who is here, nothing is kept but a byte in the records of its
 * clients, "presence".  They are found by way of the sessions of the user and
 * the rooms of their tokens.  Who is away has an entry in a hash, one block:
 * it comes, goes, and is replaced by another one by one store.
 *
 * A user is known by what it is called, and its realm, see
 * sync_session_store.h.  An entry that was made when the last client left has
 * the rooms that it was in: they are to hear of it when it is over.
 *
 * A client whose worker died leaves when that is reaped: the byte is still
 * there then, and tells how long the grace is.
 */


#define SYNC_PRESENCE_SHARE   16        /* of the zone's memory, for all */
#define SYNC_PRESENCE_ROOMS   16384     /* bytes, of rooms of a user */
#define SYNC_PRESENCE_TOKENS  16        /* of a user, that are told of */
#define SYNC_PRESENCE_RULES   255
#define SYNC_PRESENCE_AGAIN   60000     /* ms, to look after who is afk */


typedef enum {
    SYNC_PRESENCE_AFK = 1,
    SYNC_PRESENCE_GRACE
} sync_presence_state_e;


/* Why a client left; see sync_presence_reasons[]. */

typedef enum {
    SYNC_LEFT_UNKNOWN = 0,      /* transport close */
    SYNC_LEFT_CLOSED,           /* the same */
    SYNC_LEFT_ERROR,            /* transport error */
    SYNC_LEFT_TIMEOUT,          /* ping timeout */
    SYNC_LEFT_CLIENT,           /* client namespace disconnect */
    SYNC_LEFT_SERVER,           /* server namespace disconnect */
    SYNC_LEFT_FORCED,           /* forced close */
    SYNC_LEFT_STOPPING,         /* server shutting down */
    SYNC_LEFT_HIDDEN            /* its page was */
} sync_left_e;


/* What goes for the clients of a location, in the order of the places. */

struct sync_presence_rule_s {
    uint32_t               transport;   /* ms, if their worker died */
    uint32_t               realm;       /* of their sessions */
};


struct sync_presence_s {        /* in the zone, 48 bytes, and data after */
    sync_presence_t       *next;        /* of the bucket */
    uint64_t               deadline;    /* ms, of ngx_current_msec */
    uint64_t               since;       /* ms since the epoch */
    uint32_t               realm;
    uint32_t               hash;
    uint8_t                state;       /* sync_presence_state_e */
    uint8_t                reason;      /* sync_left_e */
    uint8_t                place;       /* of its rule, from 1 */
    uint8_t                user_len;
    uint16_t               token_len;
    uint16_t               rooms_len;
    u_char                 data[1];     /* user, token, rooms */
};


/* A copy of an entry, with what is known of the user's clients. */

typedef struct {
    uint64_t               deadline;
    uint64_t               since;
    uint32_t               realm;
    uint8_t                state;
    uint8_t                reason;
    uint8_t                place;
    sync_str_t             user;        /* these are in data */
    sync_str_t             token;       /* of the client that left last */
    sync_str_t             rooms;       /* see sync_presence_next_room() */
    ngx_uint_t             ntokens;
    u_char                 tokens[SYNC_PRESENCE_TOKENS * SYNC_ID_LEN];
    u_char                 data[SYNC_SESSION_USER + SYNC_TOKEN_MAX
                                + SYNC_PRESENCE_ROOMS];
} sync_presence_copy_t;


/* How many clients a user has here, and how long they have been silent. */

typedef struct {
    ngx_uint_t             clients;
    uint32_t               active;      /* s since the epoch; 0: none speaks */
} sync_presence_seen_t;


/* The reasons' names. */
extern sync_str_t  sync_presence_reasons[];


/*
 * A client is there, by the rule at a place from 1; its user may be empty.
 * Returns SYNC_OK if the user was away, *copy being how, with all rooms that
 * it is or was in; or SYNC_DECLINED.
 */
ngx_int_t sync_presence_arrive(sync_zone_t *z, sync_record_t *rec,
    ngx_uint_t place, uint32_t realm, sync_presence_copy_t *copy);

/*
 * A client is about to leave its rooms.  Returns SYNC_OK if it is the user's
 * last one, which has a grace of ms from now on, or the rest of an earlier
 * one; SYNC_DECLINED if it is not, or there is no user; or SYNC_BUSY if that
 * cannot be kept, which is counted.  Once for a client, others are declined.
 */
ngx_int_t sync_presence_leave(sync_zone_t *z, sync_record_t *rec,
    uint32_t realm, sync_str_t *token, ngx_msec_t ms, sync_left_e reason,
    sync_presence_copy_t *copy);

/* The same for one whose worker died; the caller holds the lock. */
void sync_presence_lose_locked(sync_zone_t *z, sync_record_t *rec);

/*
 * A client was silent for some seconds.  Returns SYNC_OK if all the clients of
 * its user were, which is afk now; SYNC_DECLINED if not, or it was that
 * before; or SYNC_BUSY.
 */
ngx_int_t sync_presence_idle(sync_zone_t *z, sync_record_t *rec,
    uint32_t realm, sync_str_t *token, ngx_uint_t seconds,
    sync_presence_copy_t *copy);

/* A client that has "away" set speaks: SYNC_OK if its user was afk. */
ngx_int_t sync_presence_wake(sync_zone_t *z, sync_record_t *rec,
    uint32_t realm, sync_presence_copy_t *copy);

/* What there is of a user here. */
void sync_presence_see(sync_zone_t *z, uint32_t realm, sync_str_t *user,
    sync_presence_seen_t *seen);

/*
 * The user came elsewhere: SYNC_OK and what it was here, or SYNC_DECLINED.
 * And: it is nobody any more.
 */
ngx_int_t sync_presence_take(sync_zone_t *z, uint32_t realm,
    sync_str_t *user, sync_presence_copy_t *copy);
void sync_presence_forget(sync_zone_t *z, uint32_t realm, sync_str_t *user);

/*
 * Looks from bucket *bucket on, some a call, for a grace that is over.
 * Returns SYNC_OK with a copy, the entry being found again after ms unless it
 * is ended; or SYNC_DECLINED, at the end if *bucket is above sh->sid_mask.
 */
ngx_int_t sync_presence_due(sync_zone_t *z, uint32_t *bucket, ngx_msec_t ms,
    sync_presence_copy_t *copy);

/*
 * The user's grace, if it still has one; and: it has none any more.  SYNC_OK or
 * SYNC_DECLINED.
 */
ngx_int_t sync_presence_waits(sync_zone_t *z, uint32_t realm,
    sync_str_t *user, sync_presence_copy_t *copy);
ngx_int_t sync_presence_end(sync_zone_t *z, uint32_t realm,
    sync_str_t *user);

/*
 * Copies the next entry in the order of buckets, *skip of the first bucket
 * being left out; both move on.  Returns SYNC_OK or, at the end,
 * SYNC_DECLINED.
 */
ngx_int_t sync_presence_list(sync_zone_t *z, uint32_t *bucket,
    ngx_uint_t *skip, sync_presence_copy_t *copy);

/* The room at *p, which moves on; SYNC_DECLINED at last. */
ngx_int_t sync_presence_next_room(const u_char **p, const u_char *last,
    sync_str_t *name);

/* For sync_sid_mend(): counts anew. */
void sync_presence_mend(sync_zone_t *z);

/* NULL, or what is wrong; adds to *used the bytes that they take. */
const char *sync_presence_check(sync_zone_t *z, size_t *used);


#endif /* _SYNC_PRESENCE_STORE_H_INCLUDED_ */
