
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_LATE_H_INCLUDED_
#define _SYNC_LATE_H_INCLUDED_


#include <sync_audience.h>


/*
 * Who joins a room while texts are said in it: what there is of each is told
 * in one frame, before anything that was said after it joined.
 *
 *     join: member, and copies of the texts, at one instant
 *       |
 *     answer to the join
 *       |
 *     look: the texts --> then what is new
 */


/*
 * Makes the client a member, as sync_room_join() does, and keeps what it is
 * to be told.  Returns what that does, or SYNC_ERROR (memory).
 */
ngx_int_t sync_late_join(sync_client_t *c, sync_str_t *name,
    sync_room_rule_t *rule, uint64_t cookie, sync_joined_t *j);

/* Tells all that is kept; clients may be closed by that. */
void sync_late_tell(void);

/* Whether something is kept for the client. */
ngx_uint_t sync_late_waits(sync_client_t *c);

/* The member leaves its room, or gets what it missed otherwise. */
void sync_late_forget(sync_member_t *m);


#endif /* _SYNC_LATE_H_INCLUDED_ */
