
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_CONTROL_ASKED_H_INCLUDED_
#define _SYNC_CONTROL_ASKED_H_INCLUDED_


#include <sync_settings.h>


/* In a worker: runs here what another host asks for, sync_control_spread.h. */
void sync_control_asked_init_worker(sync_main_settings_t *main);


#endif /* _SYNC_CONTROL_ASKED_H_INCLUDED_ */
