
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REGISTRY_H_INCLUDED_
#define _SYNC_REGISTRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>


/*
 * The registry: one record a client, in a hash by the client's id.  A
 * record is written by the worker that holds the client, and removed by it
 * or, when it died, by whoever reaps its slot.  Ids are random.
 *
 *     records[id] ---> record ---> record
 *                       |  ^
 *     clients[user] --> user --> user          the newest first
 *
 * The hash chains of records are single links: a record appears and goes by
 * one store.  Those of users are double, as there may be many clients of one
 * user; the link back is made anew where a holder of the lock died.  A user is
 * in its chain only while its record is in the other; a record whose worker
 * died may have one that is in none.
 */


#define SYNC_ID_TEXT  22                /* characters of an id, base64url */


typedef enum {
    SYNC_TRANSPORT_WEBSOCKET = 0,
    SYNC_TRANSPORT_SSE,
    SYNC_TRANSPORT_SOCKETIO,
    SYNC_TRANSPORT_POLLING
} sync_transport_e;


struct sync_record_s {                  /* in the zone, 64 bytes */
    sync_record_t       *next;          /* of the bucket */
    sync_member_t       *members;       /* rooms it is in, newest first */
    u_char               id[SYNC_ID_LEN];
    sync_user_t         *user;          /* NULL: it has none */
    uint64_t             cookie;        /* the owner's, opaque to others */
    uint32_t             connected;     /* s since the epoch */
    uint32_t             active;        /* s since the epoch */
    uint16_t             nrooms;
    uint8_t              transport;     /* sync_transport_e */
    uint8_t              flags;
    uint16_t             slot;          /* of the worker that holds it */
    uint8_t              presence;      /* see sync_presence_store.h */
    uint8_t              away;          /* its user is afk */
};


/* Whose client a record is; one block of the heap with an id of 31 bytes. */

struct sync_user_s {                    /* in the zone, 33 bytes and the id */
    sync_user_t         *next;          /* of the bucket */
    sync_user_t        **place;         /* what leads here; NULL: nothing */
    sync_record_t       *record;
    uint64_t             number;        /* rises */
    uint8_t              len;
    u_char               id[1];
};


/* flags: it is in the room of its token, which is not one to be shown */

#define SYNC_RECORD_TOKEN      0x01

/* it was a client, its members stand at their start, it was remembered */

#define SYNC_RECORD_MET        0x02
#define SYNC_RECORD_PLACED     0x04
#define SYNC_RECORD_LEFT       0x08

/* in what order it heard of its rooms is not known any more */

#define SYNC_RECORD_UNORDERED  0x10

/* it went elsewhere while it was being answered */

#define SYNC_RECORD_ASKED      0x20

/* rooms it is in, as they are shown; for its worker, or under the lock */

#define sync_registry_rooms(rec)                                              \
    ((ngx_uint_t) (rec)->nrooms - ((rec)->flags & SYNC_RECORD_TOKEN))


/* A copy of a record, for those who list clients. */

typedef struct {
    u_char               id[SYNC_ID_LEN];
    uint32_t             connected;     /* s since the epoch */
    uint32_t             active;
    uint32_t             left;          /* the same; 0: it is here */
    uint16_t             nrooms;
    uint8_t              transport;
    uint8_t              presence;      /* it counts; for one that is here */
    uint8_t              away;
    uint8_t              user_len;
    u_char               user[255];
} sync_record_info_t;


/*
 * Makes a record for a client of this worker; user may be empty, 255 bytes
 * at most.  id are SYNC_ID_LEN unguessable bytes.  Returns NULL if the zone
 * is full.
 */
sync_record_t *sync_registry_add(sync_zone_t *z, sync_transport_e transport,
    const u_char *id, sync_str_t *user, uint64_t cookie);

/*
 * Unlinks and frees a record that is in no room; see sync_registry_remove(),
 * in sync_former.h.
 */
void sync_registry_delete_locked(sync_zone_t *z, sync_record_t *rec);

/* The client's user: borrowed, empty if there is none. */
void sync_registry_user(sync_record_t *rec, sync_str_t *user);

/*
 * Gives the client another user, or none; for the worker that holds it.
 * Returns SYNC_OK, or SYNC_BUSY if the zone is full.
 */
ngx_int_t sync_registry_set_user(sync_zone_t *z, sync_record_t *rec,
    sync_str_t *user);

/* The record with this id, or NULL; good while the lock is held. */
sync_record_t *sync_registry_lookup_locked(sync_zone_t *z, const u_char *id);

/* Copies it; the caller holds the lock. */
void sync_registry_copy(sync_record_info_t *info, sync_record_t *rec);

/* SYNC_OK and a copy, or SYNC_DECLINED. */
ngx_int_t sync_registry_info(sync_zone_t *z, const u_char *id,
    sync_record_info_t *info);

/*
 * Copies up to n records, from bucket *bucket on, whole buckets while they
 * fit, and moves *bucket on; a page ends where *bucket is above sh->mask.
 * A bucket that holds more than n gives its first n.  Returns the number
 * copied, which may be 0 before the end: a bounded number of buckets is
 * looked at a call.
 */
ngx_uint_t sync_registry_page(sync_zone_t *z, uint32_t *bucket,
    sync_record_info_t *info, ngx_uint_t n);

/*
 * Where one stands among the clients of a user; all zero at the start.
 */

typedef struct {
    u_char               id[SYNC_ID_LEN];
    uint64_t             number;        /* of its user */
    uint64_t             below;         /* others were looked at; 0: none */
} sync_registry_cursor_t;


/*
 * Copies the ids of up to n clients of a user, those that came last first, and
 * moves the cursor on; who comes meanwhile is left out.  It takes no longer if
 * others have more clients.
 *
 * Returns the number copied, which may be 0 before the end: a bounded number
 * is looked at a call.  *more: there may be others.
 */
ngx_uint_t sync_registry_of_user(sync_zone_t *z, sync_str_t *user,
    sync_registry_cursor_t *cursor, u_char *ids, ngx_uint_t n,
    ngx_uint_t *more);

/* Part of sync_room_mend(). */
void sync_registry_mend_user(sync_zone_t *z, sync_user_t *user);

/*
 * Verifies the links of a record's user; NULL, or what is wrong.  For tests;
 * the caller holds the lock.
 */
const char *sync_registry_check_user(sync_zone_t *z, sync_record_t *rec);

/*
 * The same of all chains: *n becomes how many there are in them.
 */
const char *sync_registry_check(sync_zone_t *z, ngx_uint_t *n);

/* Ids as text: base64url without padding. */
void sync_registry_print_id(u_char *text, const u_char *id);
ngx_int_t sync_registry_parse_id(u_char *id, const u_char *text, size_t len);


#endif /* _SYNC_REGISTRY_H_INCLUDED_ */
