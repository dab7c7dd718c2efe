
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_FORMER_H_INCLUDED_
#define _SYNC_FORMER_H_INCLUDED_


#include <sync_room.h>


/*
 * Clients that left: who they were, the rooms they were in, and how far they
 * had come there.
 *
 *     oldest --> former --> former --> newest         by when they left
 *                  ^           ^
 *     formers[id] -'-----------'                      by id
 *
 * One is made where a client's record goes, by its worker or by who reaps
 * that, and is forgotten z->remember seconds later; or before, the oldest
 * first, where there are more than SYNC_FORMER_SHARE of the zone has room
 * for, or the zone is nearly full.
 *
 * A holder of the lock that dies leaves nothing to mend: a former is linked
 * into each list by one store, to the queue first.  It is found by id or not;
 * "newest" may be one behind, or NULL, and is then found along the queue;
 * what they take is the difference of two sums.
 */


#define SYNC_FORMER_SHARE   16          /* of the zone's memory, for all */
#define SYNC_FORMER_ROOMS   4096        /* bytes, of rooms of one */


struct sync_former_s {                  /* in the zone, 73 bytes and data */
    sync_former_t       *next;          /* of the bucket */
    sync_former_t       *newer;         /* of the queue */
    uint64_t             number;        /* rises */
    uint64_t             sum;           /* bytes, of those up to this one */
    u_char               id[SYNC_ID_LEN];
    uint32_t             size;          /* bytes */
    uint32_t             connected;     /* s since the epoch */
    uint32_t             active;
    uint32_t             left;
    uint16_t             nrooms;        /* it was in */
    uint16_t             rooms;         /* bytes, of those that are kept */
    uint8_t              transport;
    uint8_t              user_len;
    u_char               data[1];       /* the user, then rooms */
};


/* A room of a client, as it is packed; the name is borrowed. */

typedef struct {
    sync_str_t           name;
    sync_position_t      pos;
    unsigned             known:1;       /* "pos" is */
} sync_former_room_t;


/* Which clients are asked for. */

typedef struct {
    sync_str_t           user;
    sync_str_t           room;
    unsigned             by_user:1;
    unsigned             by_room:1;
    unsigned             here:1;        /* those that are connected */
    unsigned             gone:1;        /* those that left */
} sync_former_filter_t;


/* Leaves every room and frees the record; the client may be remembered. */
void sync_registry_remove(sync_zone_t *z, sync_record_t *rec);
void sync_registry_remove_locked(sync_zone_t *z, sync_record_t *rec);

/*
 * Remembers a client of this worker that is about to leave its rooms, each
 * member's "start" being the LSN that it has come to.
 */
void sync_former_add(sync_zone_t *z, sync_record_t *rec);

/*
 * A client that is here, or was; and its rooms, the oldest first, as
 * sync_former_next() reads them: the newest of them if they are too many for
 * size bytes, which *len becomes.  Returns SYNC_OK or SYNC_DECLINED.
 */
ngx_int_t sync_former_info(sync_zone_t *z, const u_char *id,
    sync_record_info_t *info, u_char *buf, size_t size, size_t *len);

/* The room at *p, which moves on; SYNC_DECLINED at last. */
ngx_int_t sync_former_next(const u_char **p, const u_char *last,
    sync_former_room_t *room);

/*
 * Copies up to n clients that are asked for, from bucket *bucket on, as
 * sync_registry_page() does; there is no more when that is
 * sync_former_buckets().
 */
ngx_uint_t sync_former_page(sync_zone_t *z, sync_former_filter_t *filter,
    uint32_t *bucket, sync_record_info_t *info, ngx_uint_t n);

#define sync_former_buckets(z)  (2 * ((z)->sh->mask + 1))

/*
 * Copies those that were not told of yet, whole, one behind the other, each
 * aligned to 8 bytes; *len becomes the bytes copied, at most size, which must
 * hold one at least.  *number is that of the last one.  Returns how many.
 */
ngx_uint_t sync_former_untold(sync_zone_t *z, u_char *buf, size_t size,
    size_t *len, uint64_t *number);

#define SYNC_FORMER_MAX                                                       \
    (sizeof(sync_former_t) + 255 + SYNC_FORMER_ROOMS + 8)

#define sync_former_following(f)                                              \
    ((sync_former_t *) ((u_char *) (f) + ngx_align((f)->size, 8)))

/* Those up to number n were told of. */
void sync_former_told(sync_zone_t *z, uint64_t n);

/* Forgets those whose time is over, a bounded number a call. */
void sync_former_expire(sync_zone_t *z);

/* How many there are, and what they take. */
void sync_former_count(sync_zone_t *z, ngx_uint_t *n, size_t *bytes);

/*
 * Verifies every link; NULL, or what is wrong.  *used rises by what they
 * take.  For tests; the caller holds the lock.
 */
const char *sync_former_check(sync_zone_t *z, size_t *used);


#endif /* _SYNC_FORMER_H_INCLUDED_ */
