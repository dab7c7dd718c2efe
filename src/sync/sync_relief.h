
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_RELIEF_H_INCLUDED_
#define _SYNC_RELIEF_H_INCLUDED_


#include <sync_audience.h>


/*
 * Rooms of this worker with members who are behind, for those who stream to
 * a room to see, whatever worker they are in: the interest in the zone says
 * so from when a member has more to read than half of its bound until a
 * look, each SYNC_RELIEF_TICK, finds none.
 */


#define SYNC_RELIEF_TICK  10            /* ms */


/* After something was queued to a member. */

#define sync_relief_note(a, c)                                                \
    if (!(a)->pressed && sync_client_pressed(c)) {                            \
        sync_relief_begin(a);                                                 \
    }


void sync_relief_begin(sync_audience_t *a);

/* The audience is to be freed. */
void sync_relief_forget(sync_audience_t *a);


#endif /* _SYNC_RELIEF_H_INCLUDED_ */
