
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SESSION_STORE_H_INCLUDED_
#define _SYNC_SESSION_STORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>


/*
 * Sessions, by their tokens, and the tokens of each user.
 *
 *     sessions[token] -> session -> session        all of a zone's
 *                          `--> value: JSON, user
 *     users[user] ----> session -> session         those that have a value
 *
 * A session stands here while it has a value that is not known elsewhere,
 * or while a client has its token: it is in the token's room then, which
 * holds the session in place.  One that has neither goes when it was not
 * used for SYNC_SESSION_IDLE.
 *
 * A value is made whole, linked by one store, and never written to again.
 * Each change gives the session a new version, of which the zone has each
 * only once, so that who hears of a change can tell whether there was a
 * later one.
 *
 * A token is known by its id, a digest.  The room of those that have it has
 * a name that no client may use.
 */


#define SYNC_TOKEN_MAX      4096        /* bytes of a token */
#define SYNC_SESSION_MAX    65536       /* bytes of a session's JSON */
#define SYNC_SESSION_USER   255         /* bytes of a user's id */
#define SYNC_SESSION_IDLE   60000       /* ms */
#define SYNC_SESSION_NONE   5000        /* ms, of one that is none */
#define SYNC_SESSION_AGAIN  900         /* ms, until it is told of again */

/*
 * ms for which what is known counts on, when it cannot be known whether it
 * still is right
 */

#define SYNC_SESSION_GRACE  10000

/* realms: kept elsewhere; of those that the app is asked about */

#define SYNC_SESSION_KEPT   0x80000000
#define SYNC_SESSION_ASKED  0x40000000

#define sync_session_is_asked(realm)  ((realm) & SYNC_SESSION_ASKED)

/*
 * A token that was made for a connection, and is nobody else's: its session is
 * kept for SYNC_SESSION_IDLE after that.
 */

#define SYNC_TOKEN_BOUND    45          /* bytes: '@' and base64url */

#define sync_token_is_bound(token)                                            \
    ((token)->len == SYNC_TOKEN_BOUND && (token)->data[0] == '@')

/* bytes in the name of a token's room */

#define SYNC_TOKEN_ROOM     23


typedef struct {                        /* in the zone, JSON and user after */
    uint32_t               len;         /* bytes of JSON */
    uint8_t                user_len;
    u_char                 data[1];
} sync_session_value_t;


typedef enum {
    SYNC_SESSION_UNKNOWN = 0,           /* to be read before it is used */
    SYNC_SESSION_KNOWN                  /* value is what it is */
} sync_session_state_e;


struct sync_session_s {                 /* in the zone, the token after */
    sync_session_t        *next;        /* of the bucket */
    sync_session_t        *user;        /* next of the bucket of users */
    sync_session_value_t  *value;       /* NULL: there is no session */
    u_char                 id[SYNC_ID_LEN];     /* of the token */
    uint64_t               version;
    uint64_t               began;       /* version of the first value */
    ngx_msec_t             expires;     /* ngx_current_msec; if it does */
    ngx_msec_t             slid;        /* when that was last set */
    ngx_msec_t             used;
    ngx_msec_t             told;        /* when its end last was */
    ngx_msec_t             due;         /* the app is asked anew; see ... */
    ngx_msec_t             asked;       /* ... sync_session_claim.h */
    uint64_t               asker;
    uint32_t               answers;
    uint32_t               realm;
    uint32_t               stamp;       /* rises when it is to be read anew */
    uint16_t               len;         /* of the token */
    uint8_t                state;       /* sync_session_state_e */
    uint8_t                lasts;       /* it does not expire */
    u_char                 token[1];
};


/* A value to be stored: borrowed. */

typedef struct {
    sync_str_t             json;
    sync_str_t             user;
    unsigned               anew:1;      /* a login: its age begins now */
} sync_session_data_t;


/* What is known of a session, copied out. */

typedef struct {
    u_char                *buf;         /* the caller's, for the JSON */
    size_t                 size;
    size_t                 need;        /* with SYNC_AGAIN */
    size_t                 len;         /* bytes of JSON */
    uint64_t               version;
    ngx_msec_t             left;        /* ms to live; 0: no end */
    ngx_msec_t             slid;        /* when that was last put off */
    ngx_uint_t             late;        /* the app is to be asked anew */
    ngx_uint_t             old;         /* set: also what counts no more */
    uint8_t                user_len;
    u_char                 user[SYNC_SESSION_USER];
} sync_session_copy_t;


/* Who was changed, for those who are to hear of it. */

typedef struct {
    u_char                 id[SYNC_ID_LEN];
    uint64_t               version;
    uint32_t               realm;
} sync_session_change_t;


/* The id of a token; SYNC_ID_LEN bytes. */
void sync_token_id(u_char *id, const sync_str_t *token);

/* The name of its room, in buf of SYNC_TOKEN_ROOM bytes. */
void sync_token_room(sync_str_t *name, u_char *buf, const u_char *id);

/* Of a token that is not there: unknown.  NULL if the zone is full. */
sync_session_t *sync_session_store_make_locked(sync_zone_t *z,
    uint32_t realm, const u_char *id, const sync_str_t *token);

/*
 * The session of a token in a realm, made if it is not there: unknown then.
 * It is good while a client of the caller's is in the token's room.
 * Returns NULL if the zone is full.
 */
sync_session_t *sync_session_store_make(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token);

/*
 * The token with this id: copied to buf of SYNC_TOKEN_MAX bytes.  Returns its
 * length, 0 if it is not there.
 */
size_t sync_session_store_token(sync_zone_t *z, uint32_t realm,
    const u_char *id, u_char *buf);

/* The one that is there, by token or by the token's id; or NULL. */
sync_session_t *sync_session_store_lookup_locked(sync_zone_t *z,
    uint32_t realm, const sync_str_t *token);
sync_session_t *sync_session_store_find_locked(sync_zone_t *z,
    uint32_t realm, const u_char *id);

/*
 * Copies what is known, and puts off the end of its life to ttl ms from now
 * if ttl is not 0.  Returns SYNC_OK; SYNC_AGAIN if copy->size is below
 * copy->need; SYNC_DECLINED if there is no session; or SYNC_BUSY if it is
 * not known.  copy->version is set in any case but the last.
 */
ngx_int_t sync_session_store_read(sync_zone_t *z, sync_session_t *s,
    ngx_msec_t ttl, sync_session_copy_t *copy);

/* The same for a token that no client may have. */
ngx_int_t sync_session_store_get(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, ngx_msec_t ttl, sync_session_copy_t *copy);

/*
 * Stores what a session is: data, or, if that is NULL, that there is none.
 * It lives ttl ms, or has no end if ttl is 0.  If version is not 0, nothing
 * is done unless it is the present one; the same goes for stamp.
 *
 * Returns SYNC_OK with *change; SYNC_DECLINED if it was just that before, or
 * is not there and should not be; SYNC_AGAIN if the version is another; or
 * SYNC_BUSY if the zone is full: of realm 0 it is what it was then, another
 * one is unknown.
 */
ngx_int_t sync_session_store_set(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, const sync_session_data_t *data, ngx_msec_t ttl,
    uint64_t version, uint32_t stamp, sync_session_change_t *change);

/*
 * What a session is is asked for elsewhere.  Answers that were asked for
 * before an outdated() count no more.  stamp() makes the session if it is not
 * there; 0 if the zone is full.  outdated() returns 0 if it is not there: then
 * nobody needs it.
 */
uint32_t sync_session_store_stamp(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token);
uint32_t sync_session_store_outdated(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token);

/*
 * Whether the end of its life should be put off, that being every ms: then
 * the next one is asked in that time.
 */
ngx_uint_t sync_session_store_slides(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, ngx_msec_t ms);

/*
 * Tokens of a realm from bucket *bucket on, some buckets a call, as
 * sync_session_store_tokens() writes them; with unknown set, they are unknown
 * from then on.  Returns how many.
 */
ngx_uint_t sync_session_store_page(sync_zone_t *z, uint32_t realm,
    uint32_t *bucket, ngx_uint_t unknown, u_char *buf, size_t size);

/*
 * Tokens of a user, oldest first, into buf: each a uint16_t length and its
 * bytes.  Those that do not fit are left out, the newest first; of a user with
 * more than n sessions some n are looked at.  marks has room for n of them.
 * Returns the number written; *total is that of all.
 */

typedef struct {
    uint64_t               began;       /* no two are the same */
    uint32_t               offset;      /* in buf */
    uint16_t               len;         /* of the token */
    uint16_t               found;
} sync_session_mark_t;

ngx_uint_t sync_session_store_tokens(sync_zone_t *z, uint32_t realm,
    const sync_str_t *user, sync_session_mark_t *marks, ngx_uint_t n,
    u_char *buf, size_t size, ngx_uint_t *total);

/*
 * The next session of a user after one of them, or the first if that is NULL;
 * whether it has ended or not.  NULL if there is none.
 */
sync_session_t *sync_session_store_next_locked(sync_zone_t *z,
    uint32_t realm, const sync_str_t *user, sync_session_t *s);

/*
 * Sessions that have ended, and those that nobody needs, from bucket *bucket
 * on, some buckets a call.  Those that ended while clients have their token
 * are told of, up to n of them; of realm 0 they are no more, others are told
 * of again after SYNC_SESSION_AGAIN, as are those that the app is to be asked
 * about.  Returns how many.
 */
ngx_uint_t sync_session_store_expire(sync_zone_t *z, uint32_t *bucket,
    sync_session_change_t *changes, ngx_uint_t n);

/* A part of sync_zone_mend_pt. */
void sync_session_store_mend(sync_zone_t *z, sync_session_t *s);

/*
 * Verifies every session; NULL, or what is wrong.  *used is the number of
 * bytes they take.  For tests; the caller holds the lock.
 */
const char *sync_session_store_check(sync_zone_t *z, size_t *used);


#endif /* _SYNC_SESSION_STORE_H_INCLUDED_ */
