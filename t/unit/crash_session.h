
/*
 * Copyright (C) sync for nginx
 */


#ifndef _CRASH_SESSION_H_INCLUDED_
#define _CRASH_SESSION_H_INCLUDED_


#include <sync_session_claim.h>


/* What crash_test.c does with sessions. */


static void
session_set(const char *token, const char *user, ngx_msec_t ttl)
{
    sync_str_t             t;
    sync_session_data_t    data;
    sync_session_change_t  change;

    t.data = (u_char *) token;
    t.len = strlen(token);

    sync_str_set(&data.json, "{\"id\":1}");
    data.user.data = (u_char *) user;
    data.user.len = strlen(user);
    data.anew = 1;

    (void) sync_session_store_set(&worker, 0, &t, &data, ttl, 0, 0, &change);
}


/* sessions of two users, one among the other's */

static void
prepare_session(void)
{
    prepare_none();

    session_set("other", "u1", 1000);
    session_set("token", "u1", 1000);
    session_set("third", "u2", 0);
}


static void
session_new(void)
{
    session_set("token", "u1", 1000);
}


static void
session_other(void)
{
    session_set("token", "u2", 1000);
}


static void
session_end(void)
{
    sync_str_t             t;
    sync_session_change_t  change;

    sync_str_set(&t, "token");

    (void) sync_session_store_set(&worker, 0, &t, NULL, 0, 0, 0, &change);
}


static void
session_expire(void)
{
    uint32_t               bucket;
    sync_session_change_t  changes[4];

    bucket = 0;
    ngx_current_msec += 10 * SYNC_SESSION_NONE;

    while (bucket <= worker.sh->sid_mask) {
        (void) sync_session_store_expire(&worker, &bucket, changes, 4);
    }
}


/* one that the app is asked about, and is no session */

static void
session_ask(void)
{
    uint32_t               stamp, answers;
    sync_str_t             t;
    sync_session_change_t  change;

    sync_str_set(&t, "asked");

    (void) sync_session_store_claim(&worker, SYNC_SESSION_ASKED, &t, &stamp,
                                    &answers);
    (void) sync_session_store_set(&worker, SYNC_SESSION_ASKED, &t, NULL, 0, 0,
                                  stamp, &change);
    sync_session_store_answered(&worker, SYNC_SESSION_ASKED, &t, 1000);
}


#endif /* _CRASH_SESSION_H_INCLUDED_ */
