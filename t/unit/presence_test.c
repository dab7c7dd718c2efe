
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"
#include <sync_presence_store.h>


/*
 * Users who are away: silent, in their grace, and back; and by chance against
 * a naive list.
 */

#define PRESENCE_USERS    6
#define PRESENCE_CLIENTS  24
#define PRESENCE_STEPS    20000
#define PRESENCE_GRACE    3000          /* ms */
#define PRESENCE_SILENCE  10            /* s */
#define PRESENCE_REALM    7


typedef struct {
    sync_record_t  *rec;                /* NULL: it is not there */
    ngx_uint_t      user;
    time_t          active;
} client_t;


/* What there should be. */

typedef struct {
    ngx_uint_t      state;              /* 0: here, or nothing is known */
    ngx_msec_t      deadline;
} user_t;


static void test_grace(void);
static void test_rooms(void);
static void test_afk(void);
static void test_death(void);
static void test_full(void);
static void test_random(void);
static void step(ngx_uint_t *bad);
static void step_due(ngx_uint_t *bad);
static ngx_uint_t others(client_t *c, ngx_uint_t silent);

static void session(ngx_uint_t n, const char *user);
static sync_str_t *token(ngx_uint_t n);
static sync_record_t *connect_as(sync_zone_t *w, const char *user,
    ngx_uint_t n);
static ngx_int_t leave(sync_zone_t *w, sync_record_t *rec, ngx_uint_t n,
    ngx_msec_t ms);
static void join(sync_zone_t *w, sync_record_t *rec, const char *name);
static ngx_uint_t due(ngx_uint_t end);
static sync_str_t *rooms(void);


static sync_zone_t           z, workers[2];
static client_t              clients[PRESENCE_CLIENTS];
static user_t                users[PRESENCE_USERS];
static sync_presence_copy_t  copy;

static sync_presence_rule_t  rules[] = {
    { PRESENCE_GRACE, PRESENCE_REALM }
};


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);
    zone_create(&z, SYNC_ZONE_MIN);

    z.presences = rules;
    z.npresences = 1;

    zone_worker(&workers[0], &z, 0);
    zone_worker(&workers[1], &z, 1);

    ngx_current_msec = 1000;

    test_grace();
    test_rooms();
    test_afk();
    test_death();
    test_full();
    test_random();

    zone_destroy();

    return unit_done();
}


static void
test_grace(void)
{
    sync_record_t  *one, *two, *nobody;

    session(1, "u1");
    session(2, "u1");
    session(3, "");

    one = connect_as(&workers[0], "u1", 1);
    ok(one->presence == 1 && z.sh->npresences == 0, "who is here is not kept");

    two = connect_as(&workers[1], "u1", 2);
    is_int(leave(&workers[0], one, 1, 2000), SYNC_DECLINED,
           "another client of the user, with another token");
    is_int(leave(&workers[0], one, 1, 2000), SYNC_DECLINED, "once");
    sync_registry_remove(&workers[0], one);

    is_int(leave(&workers[1], two, 2, 2000), SYNC_OK, "the last one");
    ok(copy.state == SYNC_PRESENCE_GRACE && copy.deadline == 3000
       && copy.place == 1 && copy.reason == SYNC_LEFT_ERROR
       && copy.token.len == 2 && memcmp(copy.token.data, "t2", 2) == 0
       && copy.user.len == 2 && memcmp(copy.user.data, "u1", 2) == 0,
       "what is kept of it");
    sync_registry_remove(&workers[1], two);
    ok(z.sh->npresences == 1 && zone_right(&z), "right");

    ngx_current_msec = 2999;
    is_int(due(1), 0, "not over yet");

    one = connect_as(&workers[0], "u1", 1);
    ok(copy.state == SYNC_PRESENCE_GRACE && z.sh->npresences == 0,
       "back in time");

    (void) leave(&workers[0], one, 1, 2000);
    sync_registry_remove(&workers[0], one);
    ngx_current_msec = 4999;
    is_int(due(0), 1, "over");
    is_int(due(0), 0, "found once");
    ngx_current_msec += 5000;
    is_int(due(1), 1, "and again, as it was not ended");
    is_int(due(1), 0, "ended");
    ok(z.sh->npresences == 0 && zone_right(&z), "none is left");

    nobody = connect_as(&workers[0], "", 3);
    is_int(leave(&workers[0], nobody, 3, 2000), SYNC_DECLINED,
           "who is nobody leaves nothing");
    sync_registry_remove(&workers[0], nobody);
}


static void
test_rooms(void)
{
    sync_record_t  *one, *two;

    one = connect_as(&workers[0], "u1", 1);
    two = connect_as(&workers[1], "u1", 2);

    join(&workers[0], one, "a");
    join(&workers[0], one, "b");
    join(&workers[1], two, "b");
    join(&workers[1], two, "c");
    join(&workers[1], two, "c*");

    (void) leave(&workers[0], one, 1, 1000);
    sync_registry_remove(&workers[0], one);
    (void) leave(&workers[1], two, 2, 1000);
    is_str(rooms(), "c b", "the rooms of the last one, without patterns");
    sync_registry_remove(&workers[1], two);

    one = connect_as(&workers[0], "u1", 1);
    is_str(rooms(), "c b", "who comes back left these");
    join(&workers[0], one, "d");
    (void) leave(&workers[0], one, 1, 1000);
    sync_registry_remove(&workers[0], one);

    /* a client that nobody knew to be the user's */

    two = connect_as(&workers[1], "", 2);
    join(&workers[1], two, "e");
    (void) sync_registry_set_user(&workers[1], two, zone_name("u1"));
    ngx_current_msec += 500;
    (void) leave(&workers[1], two, 2, 1000);
    is_str(rooms(), "d e", "rooms are added");
    is_int(copy.deadline - ngx_current_msec, 500, "the first grace counts");
    sync_registry_remove(&workers[1], two);

    sync_presence_forget(&z, PRESENCE_REALM, zone_name("u1"));
    ok(z.sh->npresences == 0 && zone_right(&z), "forgotten");
}


static void
test_afk(void)
{
    sync_record_t         *one, *two, *sse;
    sync_presence_seen_t   seen;

    one = connect_as(&workers[0], "u1", 1);
    two = connect_as(&workers[1], "u1", 2);
    join(&workers[0], one, "a");
    join(&workers[1], two, "b");

    one->active -= 20;
    is_int(sync_presence_idle(&workers[0], one, PRESENCE_REALM, token(1), 10,
                              &copy),
           SYNC_DECLINED, "another client is not silent");

    sync_presence_see(&z, PRESENCE_REALM, zone_name("u1"), &seen);
    ok(seen.clients == 2 && seen.active == two->active, "who was seen when");

    two->active -= 15;
    sse = connect_as(&workers[1], "u1", 1);
    sse->transport = SYNC_TRANSPORT_SSE;

    is_int(sync_presence_idle(&workers[0], one, PRESENCE_REALM, token(1), 10,
                              &copy),
           SYNC_OK, "all that speak are silent");
    is_str(rooms(), "b a", "all their rooms");
    ok(copy.ntokens == 2, "and tokens");
    ok(one->away && two->away && copy.state == SYNC_PRESENCE_AFK,
       "they are marked");
    is_int(sync_presence_idle(&workers[1], two, PRESENCE_REALM, token(2), 10,
                              &copy),
           SYNC_DECLINED, "once");

    ngx_current_msec += SYNC_PRESENCE_AGAIN + 1;
    is_int(due(1), 0, "it is not over");
    ok(z.sh->npresences == 1, "and stays");

    is_int(sync_presence_wake(&workers[1], two, PRESENCE_REALM, &copy),
           SYNC_OK, "one speaks");
    ok(!one->away && !two->away && z.sh->npresences == 0 && zone_right(&z),
       "none is marked");

    (void) sync_presence_idle(&workers[0], one, PRESENCE_REALM, token(1), 10,
                              &copy);
    (void) leave(&workers[0], one, 1, 1000);
    sync_registry_remove(&workers[0], one);
    (void) leave(&workers[1], sse, 1, 1000);
    sync_registry_remove(&workers[1], sse);
    is_int(leave(&workers[1], two, 2, 1000), SYNC_OK,
           "who was afk leaves");
    sync_registry_remove(&workers[1], two);
    ok(copy.state == SYNC_PRESENCE_GRACE && z.sh->npresences == 1
       && zone_right(&z), "one took the other's place");

    ngx_current_msec += 1001;
    is_int(due(1), 1, "over");
}


static void
test_death(void)
{
    sync_zone_t     dying;
    sync_record_t  *rec;

    zone_worker(&dying, &z, 2);

    rec = connect_as(&dying, "u1", 1);
    join(&dying, rec, "a");
    (void) connect_as(&dying, "u1", 2);

    sync_zone_lock(&dying);
    sync_worker_bury_locked(&dying, dying.self);
    sync_zone_unlock(&dying);

    (void) sync_worker_reap(&z);

    ok(z.sh->npresences == 1 && zone_right(&z), "a dead worker's user");

    ngx_current_msec += PRESENCE_GRACE - 1;
    is_int(due(1), 0, "has its grace");
    ngx_current_msec += 1;
    is_int(due(1), 1, "which is over");
    is_int(copy.reason, SYNC_LEFT_CLOSED, "why");
}


static void
test_full(void)
{
    ngx_uint_t      i, busy;
    uint64_t        dropped;
    sync_record_t  *rec;
    char            name[16];

    busy = 0;
    dropped = workers[0].self->counters[SYNC_COUNT_PRESENCE_DROPPED];

    for (i = 0; i < 2000 && busy < 10; i++) {
        (void) sprintf(name, "f%lu", (unsigned long) i);
        session(10, name);

        rec = connect_as(&workers[0], name, 10);
        busy += (leave(&workers[0], rec, 10, 1000) == SYNC_BUSY);
        sync_registry_remove(&workers[0], rec);
    }

    ok(busy == 10 && z.sh->presence_bytes
                     <= z.sh->heap.ngranules * SYNC_HEAP_GRANULE / 16,
       "they take a share of the zone");
    is_int(workers[0].self->counters[SYNC_COUNT_PRESENCE_DROPPED] - dropped,
           10, "others are counted");

    ngx_current_msec += 1000;
    is_int(due(1), i - 10, "all are over");
    ok(z.sh->npresences == 0 && zone_right(&z), "right");
}


static void
test_random(void)
{
    char        name[16];
    ngx_uint_t  i, bad;

    for (i = 0; i < PRESENCE_CLIENTS; i++) {
        clients[i].user = i % PRESENCE_USERS;

        (void) sprintf(name, "r%lu", (unsigned long) clients[i].user);
        session(100 + i, name);
    }

    bad = 0;

    for (i = 0; i < PRESENCE_STEPS && bad == 0; i++) {
        step(&bad);

        if (i % 100 == 0 && !zone_right(&z)) {
            bad++;
        }
    }

    ok(bad == 0 && zone_right(&z), "by chance");
}


static void
step(ngx_uint_t *bad)
{
    user_t       *u;
    client_t     *c;
    ngx_int_t     rc, should;
    ngx_uint_t    i;
    sync_zone_t  *w;
    char          name[16];

    i = zone_random(PRESENCE_CLIENTS);
    c = &clients[i];
    u = &users[c->user];
    w = &workers[i % 2];

    (void) sprintf(name, "r%lu", (unsigned long) c->user);

    ngx_current_msec += zone_random(200);

    switch (zone_random(5)) {

    case 0:
        step_due(bad);
        return;

    case 1:
        if (c->rec == NULL) {
            copy.state = 0;
            c->rec = connect_as(w, name, 100 + i);
            *bad += (copy.state != u->state);
            u->state = 0;
            c->active = ngx_time();
            return;
        }

        /* fall through */

    case 2:
        if (c->rec == NULL) {
            return;
        }

        if (zone_random(2)) {
            should = others(c, 0) ? SYNC_DECLINED : SYNC_OK;
            rc = leave(w, c->rec, 100 + i, PRESENCE_GRACE);
            *bad += (rc != should);
        }

        sync_registry_remove(w, c->rec);
        c->rec = NULL;

        if (others(c, 0) == 0) {
            u->state = SYNC_PRESENCE_GRACE;
            u->deadline = ngx_current_msec + PRESENCE_GRACE;
        }

        return;

    case 3:
        if (c->rec == NULL) {
            return;
        }

        c->active = ngx_time() - zone_random(2 * PRESENCE_SILENCE);
        c->rec->active = c->active;

        if (c->rec->away) {
            rc = sync_presence_wake(w, c->rec, PRESENCE_REALM, &copy);
            *bad += (rc != SYNC_OK || u->state != SYNC_PRESENCE_AFK);
            u->state = 0;
        }

        return;

    default:
        if (c->rec == NULL) {
            return;
        }

        should = (others(c, 1) == 0
                  && ngx_time() - c->active >= PRESENCE_SILENCE
                  && u->state == 0) ? SYNC_OK : SYNC_DECLINED;

        rc = sync_presence_idle(w, c->rec, PRESENCE_REALM, token(100 + i),
                                PRESENCE_SILENCE, &copy);
        *bad += (rc != should);

        if (rc == SYNC_OK) {
            u->state = SYNC_PRESENCE_AFK;
        }
    }
}


static void
step_due(ngx_uint_t *bad)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < PRESENCE_USERS; i++) {

        if (users[i].state == SYNC_PRESENCE_GRACE
            && users[i].deadline <= ngx_current_msec)
        {
            users[i].state = 0;
            n++;
        }
    }

    *bad += (due(1) != n);
}


/* Other clients of the user; with silent set, those that are not. */

static ngx_uint_t
others(client_t *c, ngx_uint_t silent)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < PRESENCE_CLIENTS; i++) {

        if (&clients[i] != c && clients[i].rec
            && clients[i].user == c->user
            && (!silent || ngx_time() - clients[i].active < PRESENCE_SILENCE))
        {
            n++;
        }
    }

    return n;
}


static sync_str_t *
token(ngx_uint_t n)
{
    static char        text[16];
    static sync_str_t  s;

    s.data = (u_char *) text;
    s.len = sprintf(text, "t%lu", (unsigned long) n);

    return &s;
}


static void
session(ngx_uint_t n, const char *user)
{
    sync_session_data_t    data;
    sync_session_change_t  change;

    sync_str_set(&data.json, "{\"id\":1}");
    data.user.data = (u_char *) user;
    data.user.len = strlen(user);
    data.anew = 1;

    if (sync_session_store_set(&z, PRESENCE_REALM, token(n), &data, 0, 0, 0,
                               &change)
        != SYNC_OK)
    {
        zone_bail("no session");
    }
}


static sync_record_t *
connect_as(sync_zone_t *w, const char *user, ngx_uint_t n)
{
    u_char          id[SYNC_ID_LEN], buf[SYNC_TOKEN_ROOM];
    sync_str_t      room;
    sync_joined_t   j;
    sync_record_t  *rec;

    rec = zone_client(w, user);

    if (rec == NULL) {
        zone_bail("no record");
    }

    sync_token_id(id, token(n));
    sync_token_room(&room, buf, id);

    if (sync_room_join(w, &room, zone_rule(0), rec, 1, &j) != SYNC_OK) {
        zone_bail("no join");
    }

    (void) sync_presence_arrive(w, rec, 1, PRESENCE_REALM, &copy);

    return rec;
}


static ngx_int_t
leave(sync_zone_t *w, sync_record_t *rec, ngx_uint_t n, ngx_msec_t ms)
{
    return sync_presence_leave(w, rec, PRESENCE_REALM, token(n), ms,
                               SYNC_LEFT_ERROR, &copy);
}


static void
join(sync_zone_t *w, sync_record_t *rec, const char *name)
{
    sync_joined_t  j;

    if (sync_room_join(w, zone_name(name), zone_rule(0), rec, 1, &j)
        != SYNC_OK)
    {
        zone_bail("no join");
    }
}


/* How many are over; end: they are no more. */

static ngx_uint_t
due(ngx_uint_t end)
{
    uint32_t    bucket;
    ngx_uint_t  n;

    n = 0;
    bucket = 0;

    while (bucket <= z.sh->sid_mask) {

        if (sync_presence_due(&z, &bucket, 5000, &copy) != SYNC_OK) {
            continue;
        }

        n++;

        if (end
            && (sync_presence_waits(&z, PRESENCE_REALM, &copy.user, &copy)
                != SYNC_OK
                || sync_presence_end(&z, PRESENCE_REALM, &copy.user)
                   != SYNC_OK))
        {
            return 0;
        }
    }

    return n;
}


static sync_str_t *
rooms(void)
{
    u_char             *last;
    sync_str_t          name;
    const u_char       *p;
    static u_char       text[1024];
    static sync_str_t   all;

    p = copy.rooms.data;
    last = text;

    while (sync_presence_next_room(&p, copy.rooms.data + copy.rooms.len,
                                   &name)
           == SYNC_OK)
    {
        if (last > text) {
            *last++ = ' ';
        }

        last = ngx_cpymem(last, name.data, name.len);
    }

    all.data = text;
    all.len = last - text;

    return &all;
}
