
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_ROSTER_H_INCLUDED_
#define _SYNC_ROSTER_H_INCLUDED_


#include <sync_settings.h>
#include <sync_former.h>
#include <jansson.h>


/*
 * Who is a client, and who was one (sync_former.h).
 *
 *     a client leaves --> zone --(one worker)--> SET prefix:c:ID JSON EX
 *
 * With Redis those who left are known to all hosts.  The worker that hears
 * the first shard writes them, a batch at a time, in the order in which they
 * left; what Redis did not take it gets again.
 *
 *     prefix:left        on each shard, of the clients there: their ids, as
 *                        bytes and text, in order
 *     prefix:lapse       the same, by when they are to be forgotten
 */


#define SYNC_ROSTER_PREFIX  64          /* bytes, of sync_redis */
#define SYNC_ROSTER_KEY     (SYNC_ROSTER_PREFIX + 3 + SYNC_ID_TEXT)
#define SYNC_ROSTER_MEMBER  (SYNC_ID_LEN + SYNC_ID_TEXT)    /* of them */


/* In a worker; then each second, while it has a slot. */
void sync_roster_init_worker(sync_main_settings_t *main);
void sync_roster_tick(void);

/*
 * For a worker that exits: writes what there is.  Returns whether that is
 * still to be waited for.
 */
ngx_uint_t sync_roster_drain(void);

/* The client leaves its rooms now; for its worker. */
void sync_roster_leave(sync_client_t *c);

/* One that left is back, with its id. */
void sync_roster_back(sync_client_t *c);

/*
 * A client as it is told of; with rooms, which are packed, "rooms" and
 * "lastPosition", too.  NULL if there is no memory.
 */
json_t *sync_roster_json(sync_record_info_t *info, const u_char *rooms,
    size_t len);

/* The key of one who left, and its shard; buf has SYNC_ROSTER_KEY bytes. */
ngx_uint_t sync_roster_key(sync_main_settings_t *main, sync_str_t *key,
    u_char *buf, const u_char *id);

/* Those who left; or, with lapse, when.  The same buf. */
void sync_roster_left_key(sync_main_settings_t *main, sync_str_t *key,
    u_char *buf, ngx_uint_t lapse);


#endif /* _SYNC_ROSTER_H_INCLUDED_ */
