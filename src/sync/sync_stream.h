
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_STREAM_H_INCLUDED_
#define _SYNC_STREAM_H_INCLUDED_


#include <sync_chunk.h>


/*
 * An answer in lines: each is one instruction, acted upon as it comes.
 *
 *     {"throttle":{...}}           first, if at all
 *     {"stream":p} {"broadcast":p} {"to":[...],"payload":p}
 *     {"session":{...}} {"join":room} {"leave":room} {"emit":{...}}
 *     {"ping":1}
 *     {"final":result}             last
 */


/* A sync_call_line_pt; call->opaque is the request. */
ngx_int_t sync_stream_line(sync_call_t *call, sync_json_t *line);


#endif /* _SYNC_STREAM_H_INCLUDED_ */
