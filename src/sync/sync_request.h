
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REQUEST_H_INCLUDED_
#define _SYNC_REQUEST_H_INCLUDED_


#include <sync_settings.h>


/*
 * What clients ask for: one vocabulary, whatever they speak.
 *
 *     message --> event --> request --> checks --> sync_ask
 *
 * The order of checks, the codes and the frames: luckystack-wire, 2 and 3.
 */


/*
 * Acts on a message, a JSON array ["event",argument] as a text that may be
 * written to.  What does not parse is answered with an "error" event.
 */
void sync_request_message(sync_client_t *c, u_char *p, size_t len);


#endif /* _SYNC_REQUEST_H_INCLUDED_ */
