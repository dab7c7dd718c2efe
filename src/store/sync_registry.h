
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
 * The hash chains are single links: a record appears and goes by one store.
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
    u_char              *user;          /* length byte, then the user's id */
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

/* Ids as text: base64url without padding. */
void sync_registry_print_id(u_char *text, const u_char *id);
ngx_int_t sync_registry_parse_id(u_char *id, const u_char *text, size_t len);


#endif /* _SYNC_REGISTRY_H_INCLUDED_ */
