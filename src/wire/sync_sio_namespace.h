
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SIO_NAMESPACE_H_INCLUDED_
#define _SYNC_SIO_NAMESPACE_H_INCLUDED_


#include "sync_base.h"
#include "sync_writer.h"


/*
 *     42["e",1]       -->  42/foo,["e",1]
 *     451-["e",...]   -->  451-/foo,["e",...]
 *
 * Packets are written for the default namespace, of which these make those
 * of another.  Other packets, and bytes, stay as they are.
 */


/*
 * Appends packets that stand in [p, last), whole and written by us: each a
 * piece of a payload, with a separator after it.
 */
void sync_sio_rename_payload(sync_writer_t *w, const u_char *p,
    const u_char *last, const sync_str_t *nsp);

/*
 * The same for frames of a WebSocket, none of them deflated.
 */
void sync_sio_rename_frames(sync_writer_t *w, const u_char *p,
    const u_char *last, const sync_str_t *nsp);


#endif /* _SYNC_SIO_NAMESPACE_H_INCLUDED_ */
