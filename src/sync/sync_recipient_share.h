
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_RECIPIENT_SHARE_H_INCLUDED_
#define _SYNC_RECIPIENT_SHARE_H_INCLUDED_


#include <sync_stage.h>


/*
 * Calls of the client stage that workers share, see sync_share.h:
 *
 *     rest of a stage --> share --(another worker asks)--> news: acted upon
 *                           |                              as lines are
 *                           `--(it is this one's to ask)--> call, with those
 *                                                           of others
 *
 * A share that is lost is asked for again by its own worker, alone; members
 * that heard chunks already are told of an error instead, as they would hear
 * them twice.
 */


/*
 * Before a stage asks for anybody: sees to it that what is left over of its
 * recipients is asked for together with that of other workers.
 */
void sync_recipient_share(sync_stage_t *st);

/* Looks for news of this worker's shares. */
void sync_recipient_share_look(void);


#endif /* _SYNC_RECIPIENT_SHARE_H_INCLUDED_ */
