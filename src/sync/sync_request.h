
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REQUEST_H_INCLUDED_
#define _SYNC_REQUEST_H_INCLUDED_


#include <sync_settings.h>


/*
 * What clients ask for: one vocabulary, whatever they speak.
 *
 *     sync --> checks --> server hook --> room --> acknowledgement
 *
 * The order of checks, the codes and the frames: luckystack-wire, 2 and 3.
 * The message is in the room's log before the caller is told of success, and
 * nobody hears of it before the end of the turn: so the acknowledgement is
 * first on the caller's connection.
 */


/*
 * Acts on a message, a JSON array ["event",argument] as a text that may be
 * written to.  What does not parse is answered with an "error" event.
 */
void sync_request_message(sync_client_t *c, u_char *p, size_t len);


#endif /* _SYNC_REQUEST_H_INCLUDED_ */
