
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"
#include <sync_sid.h>
#include <sys/wait.h>


/*
 * Sessions of three workers: by hand, by chance against what must hold after
 * each step, and with a worker that is killed anywhere.
 */

#define SID_ENDPOINT  7
#define SID_SESSIONS  40
#define SID_STEPS     20000
#define SID_DEATHS    60


/* A session, as far as its peers know it. */

typedef struct {
    u_char       id[SYNC_SID_LEN];
    sync_sid_t  *sid;
    ngx_uint_t   polls;         /* cookies given */
    sync_sid_t  *poll;          /* registered, by worker 1 */
    sync_sid_t  *sending;
    sync_sid_chunk_t  *last;
} session_t;


static void test_life(void);
static void test_overlap(void);
static void test_failed_answer(void);
static void test_move(void);
static void test_inner(void);
static void test_full(void);
static void test_random(void);
static void test_deaths(void);
static void step(session_t *s);
static sync_sid_chunk_t *chunk(sync_zone_t *w, const char *text);
static int put(sync_zone_t *w, session_t *s, const char *text);
static int right(void);
static void drain(sync_zone_t *w);
static void make(session_t *s, sync_zone_t *w);


static sync_zone_t      z, workers[3];
static session_t        sessions[SID_SESSIONS];
static sync_wake_set_t  wake;


int
main(int argc, char **argv)
{
    ngx_uint_t  i;

    zone_begin(argc, argv);
    zone_create(&z, 2 * 1024 * 1024);

    z.mend = sync_sid_mend;

    for (i = 0; i < 3; i++) {
        zone_worker(&workers[i], &z, i);
    }

    test_life();
    test_overlap();
    test_failed_answer();
    test_move();
    test_inner();
    test_full();
    test_random();
    test_deaths();

    zone_destroy();

    return unit_done();
}


static void
test_life(void)
{
    ngx_uint_t         adopt;
    session_t         *s;
    sync_str_t         nsp;
    sync_sid_t        *sid;
    sync_sid_news_t    news;
    sync_sid_chunk_t  *c;

    s = &sessions[0];
    make(s, &workers[0]);

    is_int(sync_sid_exists(&z, s->id, SID_ENDPOINT), SYNC_OK, "is there");
    is_int(sync_sid_exists(&z, s->id, 8), SYNC_DECLINED,
           "not at another endpoint");

    ok(put(&workers[1], s, "one") && put(&workers[2], s, "two"), "put");
    is_int(sync_sid_news(&workers[0], &news), SYNC_OK, "news for the owner");
    ok(news.role == SYNC_SID_OWNER && news.sid == s->sid
       && news.cookie == 1000, "of that session");
    is_int(sync_sid_news(&workers[0], &news), SYNC_DECLINED, "once");

    c = sync_sid_in(&workers[0], s->sid);
    ok(c && c->len == 3 && memcmp(c->data, "one", 3) == 0, "the first");
    sync_sid_free_chunk(&workers[0], c);

    c = sync_sid_in(&workers[0], s->sid);
    ok(c && c->len == 3 && memcmp(c->data, "two", 3) == 0, "the second");
    sync_sid_free_chunk(&workers[0], c);

    ok(sync_sid_in(&workers[0], s->sid) == NULL, "no more");

    is_int(sync_sid_poll(&workers[1], s->id, SID_ENDPOINT, 5, 0, &sid, &adopt,
                         &wake),
           SYNC_OK, "a poll");
    is_int(sync_sid_take(&workers[1], sid, &c), SYNC_AGAIN, "waits");
    is_int(sync_sid_news(&workers[0], &news), SYNC_OK, "the owner hears");
    ok(news.polling, "of a poll");

    sync_sid_give(&workers[0], s->sid, chunk(&workers[0], "out"), &wake);
    is_int(sync_sid_news(&workers[1], &news), SYNC_OK, "the poll hears");
    ok(news.role == SYNC_SID_POLL && news.cookie == 5, "it");
    is_int(sync_sid_take(&workers[1], sid, &c), SYNC_OK, "takes");
    ok(c->len == 3 && memcmp(c->data, "out", 3) == 0, "what was given");
    ok(right(), "right");

    nsp.data = (u_char *) "/foo";
    nsp.len = 4;
    is_int(sync_sid_set_namespace(&workers[0], s->sid, &nsp), SYNC_OK,
           "a namespace");
    nsp.len = 3;
    is_int(sync_sid_set_namespace(&workers[0], s->sid, &nsp), SYNC_OK,
           "another");
    ok(s->sid->nsp->len == 3 && memcmp(s->sid->nsp->data, "/fo", 3) == 0
       && right(), "in its place");
    nsp.len = 0;
    is_int(sync_sid_set_namespace(&workers[0], s->sid, &nsp), SYNC_OK,
           "the default one");
    ok(s->sid->nsp == NULL && right(), "takes nothing");
    nsp.len = 4;
    (void) sync_sid_set_namespace(&workers[0], s->sid, &nsp);

    is_int(sync_sid_set_order(&workers[0], s->sid, "order", 5), SYNC_OK,
           "an order");
    ok(s->sid->order->len == 5 && right(), "is there");
    is_int(sync_sid_set_order(&workers[0], s->sid, NULL, 0), SYNC_OK,
           "no order");
    ok(s->sid->order == NULL && right(), "is not");
    (void) sync_sid_set_order(&workers[0], s->sid, "order", 5);

    sync_sid_close(&workers[0], s->sid, &wake);
    is_int(sync_sid_exists(&z, s->id, SID_ENDPOINT), SYNC_DECLINED, "closed");
    ok(z.sh->nsids == 1, "but for the answer");

    sync_sid_sent(&workers[1], sid, c, &wake);
    ok(z.sh->nsids == 0 && right(), "gone with that");
}


static void
test_overlap(void)
{
    ngx_uint_t         adopt;
    session_t         *s;
    sync_sid_t        *sid, *other;
    sync_sid_news_t    news;
    sync_sid_chunk_t  *c;

    s = &sessions[0];
    make(s, &workers[0]);

    (void) sync_sid_poll(&workers[1], s->id, SID_ENDPOINT, 5, 0, &sid, &adopt,
                         &wake);
    drain(&workers[0]);

    is_int(sync_sid_poll(&workers[2], s->id, SID_ENDPOINT, 6, 0, &other,
                         &adopt, &wake),
           SYNC_BUSY, "a second poll");
    is_int(sync_sid_news(&workers[0], &news), SYNC_DECLINED, "may be early");

    is_int(sync_sid_poll(&workers[2], s->id, SID_ENDPOINT, 6, 1, &other,
                         &adopt, &wake),
           SYNC_BUSY, "or not");
    (void) sync_sid_news(&workers[0], &news);
    ok(news.ended, "that ends the session");

    sync_sid_close(&workers[0], s->sid, &wake);
    is_int(sync_sid_news(&workers[1], &news), SYNC_OK, "the first hears");
    is_int(sync_sid_take(&workers[1], sid, &c), SYNC_SID_CLOSE, "of the end");
    ok(z.sh->nsids == 0 && right(), "right");
}


static void
test_failed_answer(void)
{
    ngx_uint_t         adopt;
    session_t         *s;
    sync_sid_t        *sid;
    sync_sid_chunk_t  *c, *again;

    s = &sessions[0];
    make(s, &workers[0]);

    sync_sid_give(&workers[0], s->sid, chunk(&workers[0], "a"), &wake);
    (void) sync_sid_poll(&workers[1], s->id, SID_ENDPOINT, 5, 0, &sid, &adopt,
                         &wake);
    (void) sync_sid_take(&workers[1], sid, &c);

    is_int(sync_sid_poll(&workers[2], s->id, SID_ENDPOINT, 6, 0, &sid, &adopt,
                         &wake),
           SYNC_OK, "the next poll");
    is_int(sync_sid_take(&workers[2], sid, &again), SYNC_AGAIN,
           "waits for the answer before");

    sync_sid_give(&workers[0], s->sid, chunk(&workers[0], "b"), &wake);
    sync_sid_sent(&workers[1], s->sid, NULL, &wake);

    is_int(sync_sid_take(&workers[2], sid, &again), SYNC_OK, "that failed");
    ok(again == c && again->next && again->next->data[0] == 'b',
       "and gets both in order");

    sync_sid_sent(&workers[2], sid, again->next, &wake);
    ok(s->sid->out == NULL && right(), "once");

    sync_sid_close(&workers[0], s->sid, &wake);
    drain(&workers[0]);
    drain(&workers[2]);
}


/* One that requests do not find, and that is not counted. */

static void
test_inner(void)
{
    session_t         *s;
    ngx_int_t          rc;
    sync_sid_t        *in;
    sync_sid_news_t    news;
    static u_char      id[SYNC_SID_LEN] = "an inner session";

    s = &sessions[0];
    make(s, &workers[0]);

    in = sync_sid_create(&workers[0], id, SYNC_SID_INNER, 9);
    ok(in && z.sh->nsids == 1 && right(), "not counted");
    is_int(sync_sid_exists(&z, id, SID_ENDPOINT), SYNC_DECLINED, "not found");

    is_int(sync_sid_set_inner(&workers[0], s->sid, id, SYNC_SID_LEN), SYNC_OK,
           "in a list");
    ok(right(), "right");
    is_int(sync_sid_claim(&workers[1], id, SYNC_SID_INNER, 70, &wake), SYNC_OK,
           "claimed");
    is_int(sync_sid_move(&workers[0], in, &wake), SYNC_OK, "moved");

    drain(&workers[0]);
    rc = sync_sid_news(&workers[1], &news);
    ok(rc == SYNC_OK && news.arrived && news.sid == in && news.cookie == 70,
       "arrives");

    sync_sid_close(&workers[1], in, &wake);
    ok(z.sh->nsids == 1 && right(), "gone");

    sync_sid_close(&workers[0], s->sid, &wake);
    ok(z.sh->nsids == 0 && right(), "the list is gone with its session");
}


/* With its client, which is in two rooms. */

static void
test_move(void)
{
    session_t         *s;
    ngx_int_t          rc;
    sync_joined_t      j1, j2;
    sync_message_t     m;
    sync_record_t     *rec;
    sync_sid_news_t    news;
    sync_take_t        t;
    sync_published_t   p;
    static uint64_t    buf[512];

    s = &sessions[0];
    make(s, &workers[0]);

    rec = zone_client(&workers[0], "u");
    sync_sid_set_record(&workers[0], s->sid, rec);

    (void) sync_room_join(&workers[0], zone_name("r1"), zone_rule(0), rec, 1,
                          &j1);
    (void) sync_room_join(&workers[0], zone_name("r2"), zone_rule(0), rec, 2,
                          &j2);

    is_int(sync_sid_claim(&workers[1], s->id, SID_ENDPOINT, 77, &wake),
           SYNC_OK, "claimed");
    is_int(sync_sid_claim(&workers[2], s->id, SID_ENDPOINT, 78, &wake),
           SYNC_BUSY, "once");

    zone_message(&m, "[\"e\",1]");
    (void) sync_room_publish(&workers[2], zone_name("r1"), NULL, NULL, &m, &p);

    is_int(sync_sid_move(&workers[0], s->sid, &wake), SYNC_AGAIN,
           "there is something to be read first");

    ngx_memzero(&t, sizeof(sync_take_t));
    t.buf = (u_char *) buf;
    t.size = sizeof(buf);

    rc = sync_room_take(&workers[0], &t);
    ok(rc == SYNC_OK && t.cookie == 1, "read by the owner");

    is_int(sync_sid_move(&workers[0], s->sid, &wake), SYNC_OK, "moved");
    ok(right(), "right");

    (void) sync_room_publish(&workers[2], zone_name("r2"), NULL, NULL, &m, &p);

    is_int(sync_room_take(&workers[1], &t), SYNC_BUSY,
           "nothing is read before it has arrived");

    drain(&workers[0]);
    is_int(sync_sid_news(&workers[1], &news), SYNC_OK, "arrives");
    ok(news.arrived && news.cookie == 77 && rec->cookie == 77
       && rec->slot == sync_worker_slot(&z, workers[1].self),
       "with its record");
    ok(j1.member->interest->cookie == 0, "to be taken in");
    is_int(sync_sid_news(&workers[1], &news), SYNC_DECLINED, "no more");

    j1.member->interest->cookie = 3;
    j2.member->interest->cookie = 4;

    rc = sync_room_take(&workers[1], &t);
    ok(rc == SYNC_OK && t.cookie == 4, "reads what came since");
    is_int(sync_room_take(&workers[0], &t), SYNC_DECLINED, "the other not");

    sync_sid_close(&workers[1], s->sid, &wake);
    sync_registry_remove(&workers[1], rec);
    ok(z.sh->nsids == 0 && right(), "right at the end");
}


static void
test_full(void)
{
    size_t             unused;
    session_t         *s;
    ngx_uint_t         n;
    sync_sid_chunk_t  *c;

    unused = sync_zone_unused(&z);
    s = &sessions[0];
    make(s, &workers[0]);

    for (n = 0; /* void */; n++) {
        c = sync_sid_chunk(&workers[1], 4000);

        if (c == NULL) {
            break;
        }

        sync_sid_give(&workers[0], s->sid, c, &wake);
    }

    ok(n > 100 && right(), "full");

    sync_sid_close(&workers[0], s->sid, &wake);
    ok(sync_zone_unused(&z) == unused && right(), "and empty again");
}


static void
test_random(void)
{
    size_t      unused;
    ngx_uint_t  i, bad;

    unused = sync_zone_unused(&z);
    bad = 0;

    ngx_memzero(sessions, sizeof(sessions));

    for (i = 0; i < SID_STEPS; i++) {
        step(&sessions[zone_random(SID_SESSIONS)]);

        if (i % 16 == 0) {
            bad += !right();
        }
    }

    ok(bad == 0, "right after each step");

    for (i = 0; i < SID_SESSIONS; i++) {

        while (sessions[i].sid || sessions[i].poll || sessions[i].sending) {
            step(&sessions[i]);
        }
    }

    ok(z.sh->nsids == 0 && sync_zone_unused(&z) == unused && right(),
       "nothing is left");
}


/*
 * A child is worker 0, and is killed; others reap what it left.  What it had
 * in hand is lost, a few chunks, but nothing that has a place.
 */

static void
test_deaths(void)
{
    int          status;
    pid_t        pid;
    size_t       used, lost;
    ngx_uint_t   i, n, bad;
    const char  *text;

    bad = 0;

    for (n = 0; n < SID_DEATHS; n++) {
        pid = fork();

        if (pid == 0) {
            ngx_pid = getpid();

            for (i = 0; i < 3; i++) {
                zone_worker(&workers[i], &z, i);
            }

            for ( ;; ) {
                step(&sessions[zone_random(SID_SESSIONS)]);
            }
        }

        usleep(1000 + zone_random(3000));
        kill(pid, SIGKILL);
        (void) waitpid(pid, &status, 0);

        (void) sync_worker_reap(&workers[1]);

        sync_zone_lock(&z);
        text = sync_sid_check(&z, &used);

        if (text == NULL) {
            text = sync_room_check(&z, &lost);
        }

        sync_zone_unlock(&z);

        if (text || z.sh->nsids || z.sh->nclients) {
            printf("# death %lu: %s, %lu sessions\n", (unsigned long) n,
                   text ? text : "right", (unsigned long) z.sh->nsids);
            bad++;
        }
    }

    ok(bad == 0, "nothing is left of workers that died");
}


/* Worker 0 owns, 1 polls, 2 posts and claims. */

static void
step(session_t *s)
{
    ngx_int_t          rc;
    ngx_uint_t         adopt;
    sync_sid_chunk_t  *c;

    wake.n = 0;

    if (s->sid == NULL && s->poll == NULL && s->sending == NULL) {
        make(s, &workers[0]);
        return;
    }

    switch (zone_random(10)) {

    case 0:
    case 1:
        (void) put(&workers[2], s, "some text");
        break;

    case 2:
        if (s->sid) {
            c = sync_sid_in(&workers[0], s->sid);

            if (c) {
                sync_sid_free_chunk(&workers[0], c);
            }
        }

        break;

    case 3:
        c = s->sid ? chunk(&workers[0], "some more") : NULL;

        if (c) {
            sync_sid_give(&workers[0], s->sid, c, &wake);
        }

        break;

    case 4:
        if (s->poll == NULL) {
            (void) sync_sid_poll(&workers[1], s->id, SID_ENDPOINT, 9, 0,
                                 &s->poll, &adopt, &wake);
        }

        break;

    case 5:
        if (s->poll == NULL || s->sending) {
            break;
        }

        rc = sync_sid_take(&workers[1], s->poll, &c);

        if (rc == SYNC_OK) {
            s->sending = s->poll;

            for (s->last = c; s->last->next; s->last = s->last->next) {
                /* void */
            }
        }

        if (rc != SYNC_AGAIN) {
            s->poll = NULL;
        }

        break;

    case 6:
        if (s->sending) {
            sync_sid_sent(&workers[1], s->sending,
                          zone_random(2) ? s->last : NULL, &wake);
            s->sending = NULL;
        }

        break;

    case 7:
        if (s->poll) {
            sync_sid_unpoll(&workers[1], s->poll, &wake);
            s->poll = NULL;
        }

        break;

    case 8:
        drain(&workers[zone_random(3)]);
        break;

    default:
        if (s->sid && zone_random(4) == 0) {
            sync_sid_close(&workers[0], s->sid, &wake);
            s->sid = NULL;
        }

        break;
    }
}


static sync_sid_chunk_t *
chunk(sync_zone_t *w, const char *text)
{
    sync_sid_chunk_t  *c;

    c = sync_sid_chunk(w, strlen(text));

    if (c) {
        memcpy(c->data, text, strlen(text));
    }

    return c;
}


static int
put(sync_zone_t *w, session_t *s, const char *text)
{
    ngx_uint_t         adopt;
    sync_sid_chunk_t  *c;

    c = chunk(w, text);

    if (c == NULL) {
        return 0;
    }

    if (sync_sid_put(w, s->id, SID_ENDPOINT, c, 1000, &adopt, &wake)
        == SYNC_OK)
    {
        return 1;
    }

    sync_sid_free_chunk(w, c);

    return 0;
}


/* Whatever is not a session's is a room's, and nothing is lost. */

static int
right(void)
{
    size_t       used, lost;
    const char  *text;

    sync_zone_lock(&z);

    text = sync_sid_check(&z, &used);

    if (text == NULL) {
        text = sync_room_check(&z, &lost);
    }

    sync_zone_unlock(&z);

    if (text == NULL && lost != used) {
        text = "bytes are lost";
    }

    if (text) {
        printf("# %s\n", text);
    }

    return text == NULL;
}


static void
drain(sync_zone_t *w)
{
    sync_sid_news_t  news;

    while (sync_sid_news(w, &news) == SYNC_OK) {
        /* void */
    }
}


static void
make(session_t *s, sync_zone_t *w)
{
    ngx_uint_t  i;

    for (i = 0; i < SYNC_SID_LEN; i++) {
        s->id[i] = (u_char) zone_random(256);
    }

    s->poll = NULL;
    s->sending = NULL;
    s->sid = sync_sid_create(w, s->id, SID_ENDPOINT, 1000);

    if (s->sid == NULL) {
        zone_bail("no session");
    }
}
