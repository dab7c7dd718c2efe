
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_RECIPIENT_CALL_H_INCLUDED_
#define _SYNC_RECIPIENT_CALL_H_INCLUDED_


#include <sync_stage.h>


/*
 * Asks for the next recipients, moving st->next.  Returns SYNC_OK;
 * SYNC_DECLINED if they were told that it failed; or SYNC_ERROR if there is
 * no memory.
 */
ngx_int_t sync_recipient_ask(sync_stage_t *st);

/* Cancels a call and frees it, when nobody is at work in it. */
void sync_recipient_drop(sync_recipient_call_t *call);


/* For what is shared with other workers, see sync_recipient_share.h. */

/* A call that has no recipients, and is not among the stage's; or NULL. */
sync_recipient_call_t *sync_recipient_create(sync_stage_t *st);
void sync_recipient_free(sync_recipient_call_t *call);

/*
 * Chooses up to max recipients that are not asked, moving st->next: those
 * that have the hook of call->settings, or, if that is NULL, of the first.
 */
void sync_recipient_select(sync_recipient_call_t *call, ngx_uint_t max);

/* Whether calls for both of them are the same. */
ngx_uint_t sync_recipient_same_hook(sync_settings_t *one,
    sync_settings_t *two);

/*
 * Starts the hook, and adds the call to those of the stage.  SYNC_OK, or
 * SYNC_DECLINED if all were told that it failed: the call is gone.
 */
ngx_int_t sync_recipient_call(sync_recipient_call_t *call);

/* The same for a call that is among them; it is active. */
void sync_recipient_call_on(sync_recipient_call_t *call);

/* Writes what the app is told of a recipient, behind its "k". */
void sync_recipient_write_about(sync_writer_t *w, sync_client_t *c);

/*
 * Ends an active call: who was not told of anything is told of an error.  It
 * is gone then.
 */
void sync_recipient_end(sync_recipient_call_t *call);

/* Nobody is at work in it any more: it is gone if it was dropped. */
void sync_recipient_idle(sync_recipient_call_t *call);


#endif /* _SYNC_RECIPIENT_CALL_H_INCLUDED_ */
