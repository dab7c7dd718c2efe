
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SESSION_ROOMS_H_INCLUDED_
#define _SYNC_SESSION_ROOMS_H_INCLUDED_


#include <sync_session_op.h>


/* A room that comes to a session's roomCodes, or goes from there. */

typedef struct {
    sync_str_t         room;
    ngx_uint_t         max;             /* rooms, the oldest one goes */
    ngx_uint_t         leave;
    size_t             oldest_len;      /* of the one that went, or 0 */
    u_char             oldest[SYNC_NAME_MAX];
} sync_session_rooms_t;


/* For sync_session_edit(): op->opaque is a sync_session_rooms_t. */
ngx_int_t sync_session_rooms_edit(sync_session_op_t *op,
    sync_json_t *session, sync_writer_t *w);


#endif /* _SYNC_SESSION_ROOMS_H_INCLUDED_ */
