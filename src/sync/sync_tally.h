
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_TALLY_H_INCLUDED_
#define _SYNC_TALLY_H_INCLUDED_


#include <sync_settings.h>


/*
 * Rates over several hosts: what was counted in this host's zone is told to
 * the others by way of Redis.
 *
 *     hit --> counted in the zone --> noted, by key --100 ms--> told
 *                   ^                                             |
 *                   `------ total and time left, from Redis <-----'
 *
 *     prefix:l:SHA1      a counter that lives as long as its window; of what
 *                        is counted no more than a digest is shown
 *
 * Nobody waits for it: a hit is allowed or refused by what the zone knows.
 * Each worker tells of keys that it noted, of what all workers of the host
 * counted for them.  It remembers SYNC_TALLY_KEYS between two ticks and sends
 * as many in a tick at most; it sends none while all of its calls wait for an
 * answer.
 */


#define SYNC_TALLY_TIME   100           /* ms */
#define SYNC_TALLY_KEYS   2048          /* a worker and tick */
#define SYNC_TALLY_BATCH  64            /* keys of a call */


void sync_tally_init_worker(sync_main_settings_t *main);

/*
 * A hit was counted for a key of sync_rate_key(), of these bytes.  Does
 * nothing if there is no Redis.
 */
void sync_tally_add(uint64_t key, const u_char *data, size_t len);


#endif /* _SYNC_TALLY_H_INCLUDED_ */
