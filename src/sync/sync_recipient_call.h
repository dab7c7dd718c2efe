
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

/* Cancels a call and frees it. */
void sync_recipient_drop(sync_recipient_call_t *call);


#endif /* _SYNC_RECIPIENT_CALL_H_INCLUDED_ */
