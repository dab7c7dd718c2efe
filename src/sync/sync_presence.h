
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_PRESENCE_H_INCLUDED_
#define _SYNC_PRESENCE_H_INCLUDED_


#include <sync_settings.h>
#include <sync_json.h>


/*
 * Who is away, and who hears of it (luckystack-wire, 7).
 *
 *     client leaves, hides, is silent --> zone: grace, afk
 *                                           |        |
 *              slow tick: it is over -------'        |
 *                           |                        |
 *                        userLeft                 userAfk
 *
 *     client comes, speaks --> zone: it is here --> userBack
 *
 * Only clients with a token count, by the user of their session: the user is
 * here while one of its clients is, on whichever worker.  The members of the
 * rooms that it is in, or was when its last client left, are told, and the
 * presence hook.
 */


/* In a worker; then each second, while it has a slot. */
void sync_presence_init_worker(sync_main_settings_t *main);
void sync_presence_tick(void);

/* The client is there, in the rooms it is in from the start. */
void sync_presence_enter(sync_client_t *c);

/* It goes, as c->left says, and still is in its rooms. */
void sync_presence_exit(sync_client_t *c);

/* It has said something, and "away" was set in its record. */
void sync_presence_heard(sync_client_t *c);

/*
 * intentionalDisconnect: its page is hidden.  The client leaves: a plain
 * WebSocket is closed, another one has "hidden" set, and is to be told.
 */
void sync_presence_hide(sync_client_t *c, sync_json_t *arg);


#endif /* _SYNC_PRESENCE_H_INCLUDED_ */
