
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_GRANT_H_INCLUDED_
#define _SYNC_GRANT_H_INCLUDED_


#include <sync_call.h>
#include <sync_session_edit.h>


/*
 * What the app gives a client that it lets in, by its answer to "connect":
 *
 *     {"session":{...},"rooms":["a","b"]}
 *
 * The session is that of the client's token.  A client without one gets a
 * token that is nobody else's, and goes with its session when it leaves.  The
 * rooms are joined before anything the client says is heard.
 */


typedef struct {
    sync_json_t           rooms;        /* an array, or null */
    sync_session_data_t   data;
    unsigned              session:1;    /* there is one, in data */
} sync_grant_t;


/*
 * Takes the answer apart; what is found is borrowed from it, and is there till
 * the event that is being handled is over.  Returns SYNC_OK, or SYNC_ERROR,
 * which is logged, if the app may not answer so.
 */
ngx_int_t sync_grant_parse(sync_grant_t *g, sync_call_t *call);

/*
 * Saves the session, as sync_session_save() does.  Where op->token is empty
 * it is made, in buf of SYNC_TOKEN_BOUND bytes.
 */
ngx_int_t sync_grant_save(sync_grant_t *g, sync_session_op_t *op,
    u_char *buf);

/* Joins rooms that are given as text. */
void sync_grant_join(sync_client_t *c, sync_str_t *rooms);


#endif /* _SYNC_GRANT_H_INCLUDED_ */
