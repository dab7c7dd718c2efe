
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_ABSENT_H_INCLUDED_
#define _SYNC_ABSENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>


/*
 * Clients that lost their connection and may come back as who they were:
 * what is kept of them till then, which is the caller's alone to read.
 *
 *     absents[id] -> absent -> absent
 *
 * Each is one block, and the links are single: it comes and goes by one
 * store.  It is known by the client's id; who comes back has to show the id's
 * key, which can be made of the id and the zone's own.
 */


struct sync_absent_s {                  /* in the zone, and its data after */
    sync_absent_t       *next;          /* of the bucket */
    uint64_t             deadline;      /* ms, of ngx_current_msec */
    u_char               id[SYNC_ID_LEN];
    uint32_t             len;           /* bytes of data */
    u_char               data[1];
};


/* The key of a client's id, SYNC_ID_LEN bytes. */
void sync_absent_key(sync_zone_t *z, u_char *key, const u_char *id);

/*
 * Keeps data for a client till the deadline.  Returns SYNC_OK; or SYNC_BUSY
 * if max are kept already, or the zone is nearly full.
 */
ngx_int_t sync_absent_put(sync_zone_t *z, const u_char *id,
    uint64_t deadline, ngx_uint_t max, const u_char *data, size_t len);

/*
 * Takes it back, into a buffer of size bytes; nobody else has it then.
 * Returns its length, or SYNC_DECLINED if there is none, or not any more, or
 * it does not fit.
 */
ssize_t sync_absent_take(sync_zone_t *z, const u_char *id, u_char *buf,
    size_t size, uint64_t *deadline);

/* Forgets a client, if it is there: SYNC_OK, or SYNC_DECLINED. */
ngx_int_t sync_absent_drop(sync_zone_t *z, const u_char *id);

/* Frees those whose time is over; a bounded number a call. */
void sync_absent_expire(sync_zone_t *z);

/* For sync_sid_mend(): counts anew. */
void sync_absent_mend(sync_zone_t *z);

/* NULL, or what is wrong; adds to *used the bytes that they take. */
const char *sync_absent_check(sync_zone_t *z, size_t *used);


#endif /* _SYNC_ABSENT_H_INCLUDED_ */
