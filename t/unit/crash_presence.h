
/*
 * Copyright (C) sync for nginx
 */


#ifndef _CRASH_PRESENCE_H_INCLUDED_
#define _CRASH_PRESENCE_H_INCLUDED_


/* What crash_test.c does with users who are away. */


static sync_presence_copy_t  presence;


/* A client in the room of its token, the session of which is a user's. */

static void
present(const char *token, const char *user)
{
    u_char         id[SYNC_ID_LEN], buf[SYNC_TOKEN_ROOM];
    sync_str_t     t, room;
    sync_joined_t  j;

    session_set(token, user, 0);

    t.data = (u_char *) token;
    t.len = strlen(token);

    sync_token_id(id, &t);
    sync_token_room(&room, buf, id);

    mine = zone_client(&worker, user);

    (void) sync_room_join(&worker, &room, zone_rule(0), mine, 1, &j);
    (void) sync_room_join(&worker, zone_name("chat:1"), zone_rule(0), mine,
                          2, &j);
}


static void
present_here(const char *token, const char *user)
{
    present(token, user);

    (void) sync_presence_arrive(&worker, mine, 1, 0, &presence);
}


static void
present_leave(void)
{
    sync_str_t  token;

    sync_str_set(&token, "token");

    (void) sync_presence_leave(&worker, mine, 0, &token, 1000,
                               SYNC_LEFT_CLOSED, &presence);
    sync_registry_remove(&worker, mine);
}


static void
present_idle(void)
{
    sync_str_t  token;

    sync_str_set(&token, "token");

    mine->active -= 10;

    (void) sync_presence_idle(&worker, mine, 0, &token, 10, &presence);
}


static void
present_wake(void)
{
    (void) sync_presence_wake(&worker, mine, 0, &presence);
}


static void
present_arrive(void)
{
    (void) sync_presence_arrive(&worker, mine, 1, 0, &presence);
}


static void
present_due(void)
{
    uint32_t  bucket;

    bucket = 0;
    ngx_current_msec += 1000;

    while (bucket <= worker.sh->sid_mask) {

        if (sync_presence_due(&worker, &bucket, 1000, &presence) == SYNC_OK) {
            (void) sync_presence_end(&worker, 0, &presence.user);
        }
    }
}


static void
prepare_present(void)
{
    prepare_none();
    present_here("token", "away");
}


static void
prepare_afk(void)
{
    prepare_present();
    present_idle();
}


/* two are in their grace; a client of one of them has come */

static void
prepare_graces(void)
{
    prepare_present();
    present_leave();
    present_here("second", "another");
    present_leave();
    present("token", "away");
}


/* two of one user, one of whom is afk, and one of another */

static void
prepare_lost(void)
{
    sync_zone_t  w;

    prepare_present();
    present_idle();
    present_here("token", "away");
    present_here("second", "another");

    w = worker;
    prepare_two();
    sync_worker_bury_locked(&w, w.self);
}


/* Who was here when a worker died has a grace. */

static const char *
present_kept(sync_zone_t *w, crash_op_pt prepare)
{
    if (prepare != prepare_present && prepare != prepare_afk
        && prepare != prepare_lost)
    {
        return NULL;
    }

    return sync_presence_waits(w, 0, zone_name("away"), &presence)
           == SYNC_OK
           ? NULL : "a user is lost";
}


#endif /* _CRASH_PRESENCE_H_INCLUDED_ */
