
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SESSION_REDIS_H_INCLUDED_
#define _SYNC_SESSION_REDIS_H_INCLUDED_


#include <sync_session_edit.h>


/*
 * Sessions in Redis (luckystack-wire, 8).
 *
 *     key of a token      JSON, without the token       SET EX
 *     set of a user       tokens                        SADD, EXPIRE, SREM
 *
 *     client comes --> zone? --(no)--> GET, EXPIRE --> zone
 *     key changed (tracking), in one worker of the host
 *                  --> zone? --(yes)-> GET, PTTL ----> zone --> clients
 *
 * What the zone has is used without asking, as Redis tells of each key that
 * changed.  While it cannot tell, that is relied upon for SYNC_SESSION_GRACE,
 * then nothing is known; when it can again, everything is read again.
 *
 * A read that was begun before a key changed does not count: the stamp of the
 * session has risen since.  A session is edited by a script that writes only
 * if it still is what it was when it was read.
 */


/* After sync_redis_init_worker().  Returns SYNC_OK or SYNC_ERROR. */
ngx_int_t sync_session_redis_init_worker(sync_main_settings_t *main);
void sync_session_redis_tick(void);

/* A session that should have ended: it may have been put off elsewhere. */
void sync_session_redis_ended(uint32_t realm, const u_char *id);


#endif /* _SYNC_SESSION_REDIS_H_INCLUDED_ */
