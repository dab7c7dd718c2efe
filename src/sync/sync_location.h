
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_LOCATION_H_INCLUDED_
#define _SYNC_LOCATION_H_INCLUDED_


#include <sync_settings.h>
#include <sync_json.h>


/*
 * updateLocation (luckystack-wire, 7.5): where the user is, kept in the
 * session, whose clients are told.  There is no answer; what is not a
 * location is ignored, and so is a client without a token.
 */
void sync_location_update(sync_client_t *c, sync_json_t *arg);


#endif /* _SYNC_LOCATION_H_INCLUDED_ */
