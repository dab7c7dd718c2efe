
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_RECOVERY_H_INCLUDED_
#define _SYNC_RECOVERY_H_INCLUDED_


#include <sync_settings.h>
#include <sync_cluster.h>
#include <sync_json.h>


/*
 * Connection state recovery of Socket.IO: a client that lost its connection
 * comes back as who it was, in its rooms, and hears what it missed.
 *
 *     closed --> state, in the zone (sync_absent.h)
 *                  |
 *     CONNECT {pid, offset} --> taken --(all of its rooms have all that it
 *                                        lacks)--> the same id, recovered
 *                                  `--> a new id, and the client knows it
 *
 * The state is the client's rooms with the positions that it was queued, and
 * in what order, sync_order.h; "offset" is the position of the last message
 * it got.  What was said to it outside of recoverable rooms has no position:
 * who is in any other room is not kept.
 *
 * "pid" is the client's id and the key that goes with it.
 */


#define SYNC_RECOVERY_PID  (2 * SYNC_ID_TEXT)       /* characters */
#define SYNC_RECOVERY_MAX  32768                    /* bytes of a state */


typedef struct sync_recovery_s  sync_recovery_t;


/* The pid of a client. */
void sync_recovery_pid(u_char *text, const u_char *id);

/*
 * For a client that closes: its state, before it leaves its rooms, or NULL;
 * and keeps that when it has left.
 */
sync_recovery_t *sync_recovery_save(sync_client_t *c, sync_str_t *nsp);
void sync_recovery_keep(sync_client_t *c, sync_recovery_t *rv);

/*
 * Takes the state that a CONNECT speaks of; NULL if it speaks of none, or
 * that is not there.
 */
sync_recovery_t *sync_recovery_take(sync_client_t *c, sync_json_t *auth);

/* The id that the client had. */
u_char *sync_recovery_id(sync_recovery_t *rv);

/* Whether it is who it was. */
ngx_uint_t sync_recovery_is(sync_recovery_t *rv, sync_client_t *c,
    sync_str_t *user, sync_str_t *token, sync_str_t *nsp);

/*
 * Has its rooms follow the logs of the cluster.  Returns SYNC_OK, or
 * SYNC_AGAIN: the handler is called in a later turn.
 */
ngx_int_t sync_recovery_wait(sync_recovery_t *rv, void (*handler)(void *data),
    void *data);

/* Whether all that it lacks is there now: SYNC_OK or SYNC_DECLINED. */
ngx_int_t sync_recovery_plan(sync_recovery_t *rv);

/*
 * Has the client, which has a record, join its rooms and go on in them: what
 * it missed is queued after what the caller queues in this turn.  Returns
 * SYNC_OK, or SYNC_DECLINED, it is in none of them then.
 */
ngx_int_t sync_recovery_enter(sync_recovery_t *rv, sync_client_t *c);

/* Frees it; it may be taken again if back is set. */
void sync_recovery_free(sync_recovery_t *rv, sync_client_t *c,
    ngx_uint_t back);


#endif /* _SYNC_RECOVERY_H_INCLUDED_ */
