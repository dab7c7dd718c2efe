
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"
#include <sync_session_claim.h>


/*
 * Sessions that the app is asked about: by one worker at a time, for as long
 * as an answer counts, and for who still is interested.
 */

#define CLAIM_REALM  (SYNC_SESSION_ASKED | 5)
#define CLAIM_TTL    3600000            /* ms */
#define CLAIM_CACHE  60000              /* ms */


static void test_claim(void);
static void test_due(void);
static void test_left(void);
static ngx_int_t claim(sync_zone_t *w, const char *token);
static ngx_int_t set(const char *token, const char *json);
static ngx_int_t get(const char *token, ngx_uint_t old);
static ngx_uint_t swept(void);


static sync_zone_t          z, a, b;
static uint32_t             stamp, answers;
static sync_session_copy_t  copy;


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);
    zone_create(&z, 1024 * 1024);
    zone_worker(&a, &z, 1);
    zone_worker(&b, &z, 2);

    test_claim();
    test_due();
    test_left();

    zone_destroy();

    return unit_done();
}


static void
test_claim(void)
{
    uint32_t  old;

    sync_worker_beat(&a);
    sync_worker_beat(&b);

    is_int(claim(&z, "t"), SYNC_ERROR, "without a slot");
    is_int(claim(&a, "t"), SYNC_OK, "this one asks");
    is_int(claim(&b, "t"), SYNC_AGAIN, "the other one waits");
    is_int(sync_session_store_asked(&b, CLAIM_REALM, zone_name("t"), answers),
           SYNC_AGAIN, "till it is answered");
    is_int(claim(&b, "u"), SYNC_OK, "another token");
    sync_session_store_unclaim(&b, CLAIM_REALM, zone_name("u"));
    is_int(claim(&a, "u"), SYNC_OK, "given up");
    sync_session_store_unclaim(&b, CLAIM_REALM, zone_name("u"));
    is_int(claim(&b, "u"), SYNC_AGAIN, "by who has it alone");
    sync_session_store_unclaim(&a, CLAIM_REALM, zone_name("u"));

    (void) claim(&b, "t");
    old = answers;
    is_int(set("t", "{\"id\":1}"), SYNC_OK, "the answer");
    sync_session_store_answered(&a, CLAIM_REALM, zone_name("t"), CLAIM_CACHE);
    is_int(sync_session_store_asked(&b, CLAIM_REALM, zone_name("t"), old),
           SYNC_OK, "that was waited for");
    is_int(get("t", 0), SYNC_OK, "is there");

    /* none, and then one that dies */

    (void) claim(&a, "none");
    is_int(set("none", NULL), SYNC_DECLINED, "no session");
    sync_session_store_answered(&a, CLAIM_REALM, zone_name("none"),
                                CLAIM_CACHE);
    is_int(claim(&b, "none"), SYNC_DECLINED, "known just now");
    ngx_current_msec += SYNC_SESSION_FRESH;
    is_int(claim(&a, "none"), SYNC_OK, "asked again");

    ngx_current_msec += SYNC_WORKER_STALL + 1;
    sync_worker_beat(&b);
    is_int(sync_session_store_asked(&b, CLAIM_REALM, zone_name("none"),
                                    answers),
           SYNC_DECLINED, "who stalls does not ask");
    is_int(claim(&b, "none"), SYNC_OK, "another one does");
    sync_session_store_answered(&a, CLAIM_REALM, zone_name("none"), 0);
    is_int(sync_session_store_asked(&a, CLAIM_REALM, zone_name("none"),
                                    answers),
           SYNC_OK, "a late answer is one");
    sync_worker_beat(&a);
    is_int(claim(&a, "none"), SYNC_AGAIN, "but takes nothing away");
    ok(zone_right(&z), "right");
}


static void
test_due(void)
{
    sync_session_change_t  change;

    (void) claim(&a, "d");
    (void) set("d", "{\"id\":1}");
    sync_session_store_answered(&a, CLAIM_REALM, zone_name("d"), CLAIM_CACHE);

    ngx_current_msec += CLAIM_CACHE - 1;
    is_int(get("d", 0), SYNC_OK, "it counts");
    is_int(copy.late, 0, "and is not late");
    ngx_current_msec += 1;
    is_int(get("d", 0), SYNC_OK, "it still counts");
    is_int(copy.late, 1, "but is late");
    ngx_current_msec += SYNC_SESSION_GRACE - 1;
    is_int(get("d", 0), SYNC_OK, "to the last");
    ngx_current_msec += 1;
    is_int(get("d", 0), SYNC_BUSY, "and no longer");
    is_int(get("d", 1), SYNC_OK, "except for what is kept in it");

    sync_worker_beat(&a);
    is_int(claim(&a, "d"), SYNC_OK, "asked");
    sync_session_store_answered(&a, CLAIM_REALM, zone_name("d"), 0);
    is_int(get("d", 0), SYNC_BUSY, "in vain");
    sync_session_store_renew(&a, CLAIM_REALM, zone_name("d"), CLAIM_CACHE);
    is_int(get("d", 0), SYNC_OK, "told");

    /* what was asked for before is not the latest */

    (void) claim(&a, "d");
    (void) sync_session_store_outdated(&b, CLAIM_REALM, zone_name("d"));
    is_int(sync_session_store_set(&a, CLAIM_REALM, zone_name("d"), NULL, 0, 0,
                                  stamp, &change),
           SYNC_AGAIN, "an answer that came too late");
    sync_session_store_answered(&a, CLAIM_REALM, zone_name("d"), 0);
}


/* Those that clients have are to be asked for, others go in the end. */

static void
test_left(void)
{
    u_char          id[SYNC_ID_LEN], buf[SYNC_TOKEN_ROOM];
    sync_str_t      room;
    sync_joined_t   j;
    sync_record_t  *client;

    ngx_current_msec += 2 * CLAIM_TTL;
    (void) swept();
    is_int(z.sh->nsessions, 0, "nobody has one");

    (void) claim(&a, "l");
    (void) set("l", "{\"id\":1}");
    sync_session_store_answered(&a, CLAIM_REALM, zone_name("l"), CLAIM_CACHE);

    client = zone_client(&a, "u");
    sync_token_id(id, zone_name("l"));
    sync_token_room(&room, buf, id);
    (void) sync_room_join(&a, &room, zone_rule(0), client, 1, &j);

    is_int(swept(), 0, "not yet");
    ngx_current_msec += CLAIM_CACHE;
    is_int(swept(), 1, "to be asked for");
    is_int(swept(), 0, "once");
    ngx_current_msec += SYNC_SESSION_AGAIN;
    sync_worker_beat(&a);
    (void) claim(&a, "l");
    is_int(swept(), 0, "it is");
    sync_session_store_answered(&a, CLAIM_REALM, zone_name("l"), 0);
    ngx_current_msec += 2 * CLAIM_TTL;
    is_int(swept(), 1, "a client has it");

    sync_registry_remove(&a, client);
    is_int(swept(), 0, "nobody has it");
    ok(z.sh->nsessions == 0 && zone_right(&z), "it is gone");
}


static ngx_int_t
claim(sync_zone_t *w, const char *token)
{
    return sync_session_store_claim(w, CLAIM_REALM, zone_name(token), &stamp,
                                    &answers);
}


static ngx_int_t
set(const char *token, const char *json)
{
    sync_session_data_t    data;
    sync_session_change_t  change;

    if (json) {
        data.json.data = (u_char *) json;
        data.json.len = strlen(json);
    }

    sync_str_set(&data.user, "1");
    data.anew = 0;

    return sync_session_store_set(&a, CLAIM_REALM, zone_name(token),
                                  json ? &data : NULL, CLAIM_TTL, 0, stamp,
                                  &change);
}


static ngx_int_t
get(const char *token, ngx_uint_t old)
{
    static u_char  buf[64];

    copy.buf = buf;
    copy.size = sizeof(buf);
    copy.old = old;

    return sync_session_store_get(&b, CLAIM_REALM, zone_name(token), 0,
                                  &copy);
}


/* How many are told of. */

static ngx_uint_t
swept(void)
{
    uint32_t               bucket;
    ngx_uint_t             n;
    sync_session_change_t  changes[4];

    bucket = 0;
    n = 0;

    while (bucket <= z.sh->sid_mask) {
        n += sync_session_store_expire(&a, &bucket, changes, 4);
    }

    return n;
}
