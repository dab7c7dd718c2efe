
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_RANDOM_H_INCLUDED_
#define _SYNC_RANDOM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Fills [p, p + len) with bytes that nobody can guess, len being at most
 * 256: ids of clients and of calls are secrets.  The kernel's generator is
 * asked for many at once, never blocking once the system is up.
 */
void sync_random(u_char *p, size_t len);


#endif /* _SYNC_RANDOM_H_INCLUDED_ */
