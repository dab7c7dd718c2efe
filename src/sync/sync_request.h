
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REQUEST_H_INCLUDED_
#define _SYNC_REQUEST_H_INCLUDED_


#include <sync_asker.h>


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

/*
 * Acts on an HTTP request: name is the route's as the path has it, body an
 * object, of a sync {"receiver","data","ignoreSelf"}, of a call the data.
 * It is answered by web->ops, maybe before this returns.
 */
void sync_request_web_sync(sync_web_t *web, sync_settings_t *s,
    sync_str_t *name, sync_json_t *body);
void sync_request_web_api(sync_web_t *web, sync_settings_t *s,
    sync_str_t *name, sync_json_t *body);


#endif /* _SYNC_REQUEST_H_INCLUDED_ */
