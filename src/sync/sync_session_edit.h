
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SESSION_EDIT_H_INCLUDED_
#define _SYNC_SESSION_EDIT_H_INCLUDED_


#include <sync_session.h>


/* What is asked of sessions, and the making of one from another. */


/* bytes of a user's tokens that are looked at, and how many */

#define SYNC_SESSION_TOKENS  (256 * 1024)
#define SYNC_SESSION_MARKS   16384


#define SYNC_SESSION_TRIES  64          /* of an edit that meets others */


typedef struct sync_session_op_s  sync_session_op_t;

/*
 * Writes the session as it is to be.  Returns SYNC_OK, or SYNC_DECLINED if
 * it is to stay.  It may be called more than once.
 */
typedef ngx_int_t (*sync_session_edit_pt)(sync_session_op_t *op,
    sync_json_t *session, sync_writer_t *w);

/*
 * SYNC_OK; SYNC_DECLINED if there is no session; SYNC_BUSY if that cannot be
 * told, or done, now; or SYNC_ERROR (memory, or it became too large).
 */
typedef void (*sync_session_done_pt)(sync_session_op_t *op, ngx_int_t rc);


struct sync_session_op_s {
    sync_settings_t       *settings;
    sync_str_t             token;       /* lives as long as the operation */
    sync_session_edit_pt   edit;
    sync_session_done_pt   done;
    void                  *opaque;
    const u_char          *except;      /* a client not to be told; or NULL */
    sync_session_data_t    data;        /* to be saved */
    ngx_msec_t             ttl;         /* the same; 0: as configured */
    ngx_pool_t            *pool;        /* for tokens */
    ngx_array_t           *tokens;      /* of sync_str_t */
    void                  *call;        /* what is waited for */
    sync_session_op_t     *next;        /* that waits for the same */
    unsigned               logout:1;    /* of a delete: by a client */
};


/*
 * Has op->edit make the text of the session as it is to be, and takes it
 * apart.  Returns SYNC_OK; SYNC_DECLINED if it is to stay; or SYNC_ERROR.
 * *data is there till the event that is being handled is over.
 */
ngx_int_t sync_session_edited(sync_session_op_t *op, sync_str_t *json,
    sync_session_data_t *data);

/*
 * Writes an object with a member set: in its place, or at the end.  Members
 * whose names are in without are left out.
 */
void sync_session_write_with(sync_writer_t *w, sync_json_t *object,
    const sync_str_t *name, const sync_str_t *value,
    const sync_str_t *without);


#endif /* _SYNC_SESSION_EDIT_H_INCLUDED_ */
