
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"


/*
 * The naive model: who is where is a table, and what was said in a room an
 * array.  Three workers of one process do random things; after each of them
 * the zone is checked link by link, and what they get is compared.
 */

#define ROOM_WORKERS  3
#define ROOM_CLIENTS  12
#define ROOM_STEPS    30000
#define ROOM_HISTORY  4
#define ROOM_TTL      60
#define ROOM_LIMIT    (1024 * 1024)     /* bytes; more than is ever said */


typedef struct {
    uint64_t        lsn;
    uint32_t        number;
    ngx_int_t       subject;        /* index of a room, -1: none */
} model_message_t;


typedef struct {
    ngx_uint_t      held;
    ngx_uint_t      next;           /* of said[] */
    ngx_uint_t      late;           /* there is something to take */
} model_reader_t;


typedef struct {
    const char       *name;
    ngx_uint_t        history;
    ngx_uint_t        exists;
    uint64_t          top;
    uint64_t          seen;
    ngx_uint_t        n;
    model_message_t   said[ROOM_STEPS];
    model_reader_t    readers[ROOM_WORKERS];
} model_room_t;


static void test_model(void);
static void test_queries(void);
static void test_patterns(void);
static void test_full(void);
static void test_full_log(void);
static void test_limits(void);

static sync_zone_t     z, workers[ROOM_WORKERS];

static model_room_t    rooms[] = {
    { .name = "chat:1" },
    { .name = "chat:2" },
    { .name = "chat:22" },
    { .name = "chat:*" },
    { .name = "c*" },
    { .name = "*" },
    { .name = "doc:1", .history = ROOM_HISTORY },
    { .name = "doc:2", .history = ROOM_HISTORY },
    { .name = "doc:*" },
    { .name = "x" }
};

#define ROOM_HOST   unit_count(rooms)

static model_room_t    host = { .name = "" };

static sync_record_t  *clients[ROOM_CLIENTS];
static sync_member_t  *members[ROOM_CLIENTS][unit_count(rooms)];
static sync_interest_t  *interests[ROOM_WORKERS][unit_count(rooms)];
static uint32_t        number;


#define worker_of(client)  ((client) % ROOM_WORKERS)


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);

    test_model();
    test_queries();
    test_patterns();
    test_full();
    test_full_log();
    test_limits();

    return unit_done();
}


static sync_room_rule_t *
rule_of(model_room_t *room)
{
    static sync_room_rule_t  rule;

    rule.history = room->history;
    rule.ttl = ROOM_TTL;
    rule.limit = ROOM_LIMIT;

    return &rule;
}


static ngx_uint_t
count(ngx_uint_t r, ngx_uint_t w)
{
    ngx_uint_t  c, n;

    n = 0;

    for (c = 0; c < ROOM_CLIENTS; c++) {
        if (members[c][r] && (w == ROOM_WORKERS || worker_of(c) == w)) {
            n++;
        }
    }

    return n;
}


static void
forget(model_room_t *room)
{
    room->exists = 0;
    room->n = 0;
    room->top = 0;
    ngx_memzero(room->readers, sizeof(room->readers));
}


static int
do_join(ngx_uint_t c, ngx_uint_t r)
{
    ngx_int_t       rc, want;
    ngx_uint_t      w, first;
    model_room_t   *room;
    sync_joined_t   j;

    room = &rooms[r];
    w = worker_of(c);
    want = members[c][r] ? SYNC_DECLINED : SYNC_OK;
    first = (count(r, w) == 0);

    rc = sync_room_join(&workers[w], zone_name(room->name), rule_of(room),
                        clients[c], w * 100 + r, &j);

    if (rc != want || j.lsn != room->top) {
        return 0;
    }

    if (want == SYNC_DECLINED) {
        return j.member == members[c][r];
    }

    if (first) {
        ngx_memzero(&room->readers[w], sizeof(model_reader_t));
        room->readers[w].next = room->n;
        interests[w][r] = j.interest;
    }

    room->exists = 1;
    members[c][r] = j.member;

    return j.interest == interests[w][r]
           && j.member->record == clients[c]
           && j.member->start == room->top;
}


static void
left(ngx_uint_t c, ngx_uint_t r)
{
    members[c][r] = NULL;

    if (count(r, ROOM_WORKERS)) {
        return;
    }

    if (rooms[r].history) {
        rooms[r].seen = ngx_current_msec;

    } else {
        forget(&rooms[r]);
    }
}


static int
do_leave(ngx_uint_t c, ngx_uint_t r)
{
    if (members[c][r]) {
        sync_room_leave(&workers[worker_of(c)], members[c][r]);
        left(c, r);
    }

    return 1;
}


static int
do_client(ngx_uint_t c)
{
    ngx_uint_t  r;

    if (clients[c] == NULL) {
        clients[c] = zone_client(&workers[worker_of(c)], "user");
        return clients[c] != NULL;
    }

    if (zone_random(4)) {
        return 1;
    }

    sync_registry_remove(&workers[worker_of(c)], clients[c]);
    clients[c] = NULL;

    for (r = 0; r < unit_count(rooms); r++) {
        if (members[c][r]) {
            left(c, r);
        }
    }

    return 1;
}


static ngx_uint_t
matches(ngx_uint_t pattern, ngx_uint_t r)
{
    size_t       n;
    const char  *text;

    text = rooms[pattern].name;
    n = strlen(text) - 1;

    return text[n] == '*' && pattern != r
           && strncmp(text, rooms[r].name, n) == 0;
}


static void
say(model_room_t *room, uint64_t lsn, ngx_int_t subject)
{
    ngx_uint_t        w;
    model_message_t  *m;

    m = &room->said[room->n++];
    m->lsn = lsn ? lsn : room->top + 1;
    m->number = number;
    m->subject = subject;

    room->top = m->lsn;
    room->seen = ngx_current_msec;

    for (w = 0; w < ROOM_WORKERS; w++) {
        room->readers[w].late = 1;
    }
}


static ngx_uint_t
woken(sync_published_t *p, ngx_uint_t w)
{
    ngx_uint_t  i;

    for (i = 0; i < p->wake.n; i++) {
        if (p->wake.slots[i] == w) {
            return 1;
        }
    }

    return 0;
}


/* whether the worker reads one of the logs that a message to the room is in */

static ngx_uint_t
hears(ngx_uint_t w, ngx_uint_t r)
{
    ngx_uint_t  i;

    for (i = 0; i < unit_count(rooms); i++) {
        if ((i == r || (matches(i, r) && rooms[i].exists))
            && count(i, w) && !rooms[i].readers[w].held)
        {
            return 1;
        }
    }

    return 0;
}


static int
do_publish(ngx_uint_t r)
{
    char              text[512];
    u_char            except[2 * SYNC_ID_LEN];
    ngx_int_t         rc, heard;
    ngx_uint_t        i, c, k, w, n;
    model_room_t     *room;
    sync_room_t      *known;
    sync_message_t    m;
    sync_published_t  p;

    room = &rooms[r];
    number++;

    n = snprintf(text, sizeof(text), "[\"e\",%u]", number);
    i = zone_random(400);

    if (n < i) {
        ngx_memset(text + n, ' ', i - n);
        text[i] = '\0';
    }

    zone_message(&m, text);

    /* exceptions: anybody, or nobody who is there */

    m.except = except;
    ngx_memset(except, 0xff, sizeof(except));
    c = zone_random(ROOM_CLIENTS);

    if (zone_random(2)) {
        m.nexcept = 2;

        if (clients[c]) {
            ngx_memcpy(except + SYNC_ID_LEN, clients[c]->id, SYNC_ID_LEN);
        }
    }

    if (zone_random(20) == 0) {
        m.lsn = room->top + zone_random(5);
    }

    known = NULL;
    n = 0;
    heard = 0;

    for (i = 0; i < ROOM_CLIENTS; i++) {
        if (members[i][r] && zone_random(2)) {
            known = members[i][r]->room;
        }
    }

    for (w = 0; w < ROOM_WORKERS; w++) {
        workers[w].self->woken = 0;
    }

    rc = sync_room_publish(&workers[0], zone_name(room->name), known,
                           rule_of(room), &m, &p);

    if (m.lsn && m.lsn <= room->top && rc == SYNC_ERROR) {
        return room->exists && p.lsn == room->top;
    }

    if (room->exists || room->history) {
        room->exists = 1;
        say(room, m.lsn, -1);
        heard = 1;

        n += count(r, ROOM_WORKERS)
             - (m.nexcept && members[c][r] ? 1 : 0);
    }

    for (k = 0; k < unit_count(rooms); k++) {

        if (matches(k, r) && rooms[k].exists) {
            say(&rooms[k], 0, r);
            heard = 1;

            n += count(k, ROOM_WORKERS)
                 - (m.nexcept && members[c][k] ? 1 : 0);
        }
    }

    for (w = 0; w < ROOM_WORKERS; w++) {
        if (woken(&p, w) != hears(w, r)) {
            return 0;
        }
    }

    return rc == (heard ? SYNC_OK : SYNC_DECLINED)
           && p.receivers == n
           && (!room->exists || p.lsn == room->top);
}


static int
do_announce(void)
{
    char              text[64];
    ngx_uint_t        w;
    sync_message_t    m;
    sync_published_t  p;

    number++;
    (void) snprintf(text, sizeof(text), "[\"e\",%u]", number);

    zone_message(&m, text);
    m.kind = SYNC_ENTRY_ALL;

    for (w = 0; w < ROOM_WORKERS; w++) {
        workers[w].self->woken = 0;
    }

    if (sync_room_announce(&workers[0], &m, &p) != SYNC_OK
        || p.receivers
        || p.wake.n != ROOM_WORKERS)
    {
        return 0;
    }

    say(&host, 0, -1);

    return p.lsn == host.top;
}


/* the copied entries are what the model says is next */

static int
same(model_room_t *room, model_reader_t *reader, sync_take_t *t)
{
    size_t            len;
    uint32_t          n;
    sync_str_t        subject;
    sync_entry_t     *e;
    model_message_t  *m;

    for (len = 0; len < t->len; len += e->size) {
        e = (sync_entry_t *) (t->buf + len);

        if (reader->next == room->n) {
            return 0;
        }

        m = &room->said[reader->next++];

        n = strtoul((char *) sync_entry_json(e) + sizeof("[\"e\",") - 1,
                    NULL, 10);

        if (e->lsn != m->lsn || n != m->number) {
            return 0;
        }

        subject.data = sync_entry_subject(e);
        subject.len = e->subject_len;

        if (m->subject == -1 ? subject.len != 0
            : !sync_str_eq(&subject, zone_name(rooms[m->subject].name)))
        {
            return 0;
        }
    }

    return len == t->len && t->more == (reader->next < room->n)
           && (len == 0 || t->last == room->said[reader->next - 1].lsn);
}


static int
do_take(ngx_uint_t w)
{
    int              good;
    ngx_int_t        rc;
    ngx_uint_t       r;
    sync_take_t      t;
    model_room_t    *room;
    model_reader_t  *reader;

    ngx_memzero(&t, sizeof(sync_take_t));

    t.size = zone_random(3) ? 200 + zone_random(2000) : zone_random(200);
    t.buf = unit_guard(NULL, ngx_align(t.size, SYNC_ENTRY_ALIGN));

    rc = sync_room_take(&workers[w], &t);

    if (rc == SYNC_AGAIN) {
        t.size = t.need;
        t.buf = unit_guard(NULL, t.size);

        rc = sync_room_take(&workers[w], &t);

        if (rc != SYNC_OK) {
            return 0;
        }
    }

    if (rc == SYNC_DECLINED) {

        /* there was nothing to take */

        for (r = 0; r < unit_count(rooms); r++) {
            if (count(r, w) && rooms[r].readers[w].late
                && !rooms[r].readers[w].held)
            {
                return 0;
            }
        }

        return !host.readers[w].late;
    }

    if (t.cookie / 100 != w || t.reset) {
        return 0;
    }

    r = t.cookie % 100;
    room = (r == ROOM_HOST) ? &host : &rooms[r];
    reader = &room->readers[w];

    /* a history is not trimmed before all have read it */

    if (reader->held || t.lost) {
        return 0;
    }

    good = same(room, reader, &t);
    reader->late = (reader->next < room->n);

    return good;
}


static int
do_hold(ngx_uint_t w, ngx_uint_t r)
{
    model_reader_t  *reader;

    if (count(r, w) == 0) {
        return 1;
    }

    reader = &rooms[r].readers[w];
    reader->held = !reader->held;

    sync_room_hold(&workers[w], interests[w][r], reader->held);

    return 1;
}


static int
do_expire(void)
{
    ngx_uint_t  r, w;

    if (zone_random(3) == 0) {
        ngx_current_msec += zone_random(ROOM_TTL * 1000);
    }

    for (w = 0; w < ROOM_WORKERS; w++) {
        sync_worker_beat(&workers[w]);
    }

    sync_room_expire(&workers[0]);

    for (r = 0; r < unit_count(rooms); r++) {
        if (rooms[r].exists && rooms[r].history
            && count(r, ROOM_WORKERS) == 0
            && ngx_current_msec - rooms[r].seen >= ROOM_TTL * 1000)
        {
            forget(&rooms[r]);
        }
    }

    return 1;
}


static int
do_queries(ngx_uint_t c, ngx_uint_t r)
{
    u_char       ids[ROOM_CLIENTS * SYNC_ID_LEN];
    ngx_uint_t   i, n, total;
    sync_str_t  *name;

    name = zone_name(rooms[r].name);
    n = count(r, ROOM_WORKERS);

    if (sync_room_count(&z, name) != n
        || sync_room_members(&z, name, 0, ids, ROOM_CLIENTS, &total) != n
        || total != n
        || (clients[c] && (sync_room_is_member(&z, name, clients[c]->id)
                           == SYNC_OK) != (members[c][r] != NULL)))
    {
        return 0;
    }

    for (i = 0, n = 0; i < unit_count(rooms); i++) {
        n += rooms[i].exists;
    }

    return z.sh->nrooms == n;
}


static void
test_model(void)
{
    int          good, right;
    ngx_uint_t   i, c, r, w;

    /* it never gets full, and its buckets are walked at each step */

    zone_create(&z, 32 * ROOM_LIMIT);
    z.sh->mask = 255;

    for (w = 0; w < ROOM_WORKERS; w++) {
        zone_worker(&workers[w], &z, w * 100 + ROOM_HOST);
    }

    good = 1;
    right = 1;

    for (i = 0; i < ROOM_STEPS && good && right; i++) {
        c = zone_random(ROOM_CLIENTS);
        r = zone_random(unit_count(rooms));

        switch (zone_random(24)) {

        case 0:
            good = do_client(c);
            break;

        case 1:
            good = do_expire();
            break;

        case 2:
            good = do_announce();
            break;

        case 3:
            good = do_hold(worker_of(c), r);
            break;

        case 4:
            good = do_queries(c, r);
            break;

        case 5:
        case 6:
        case 7:
            good = do_leave(c, r);
            break;

        case 8:
        case 9:
        case 10:
        case 11:
        case 12:
        case 13:
            good = do_publish(r);
            break;

        case 14:
        case 15:
        case 16:
        case 17:
        case 18:
        case 19:
            good = do_take(c % ROOM_WORKERS);
            break;

        default:
            if (clients[c]) {
                good = do_join(c, r);
            }
        }

        right = zone_right(&z);
    }

    if (!good || !right) {
        printf("# at step %lu\n", (unsigned long) i);
    }

    ok(good, "random joins, leaves, messages: all is as in the model");
    ok(right, "the zone is right after each of them");

    for (c = 0; c < ROOM_CLIENTS; c++) {
        if (clients[c]) {
            sync_registry_remove(&workers[worker_of(c)], clients[c]);
        }
    }

    ngx_current_msec += 2 * ROOM_TTL * 1000;
    sync_room_expire(&z);

    for (w = 0; w < ROOM_WORKERS; w++) {
        sync_worker_release(&workers[w]);
    }

    ok(zone_right(&z), "the zone is right at the end");
    is_int(z.sh->nrooms, 0, "and empty");

    zone_destroy();
}


static void
test_queries(void)
{
    char               name[16];
    u_char             ids[10 * SYNC_ID_LEN];
    uint32_t           bucket;
    ngx_uint_t         i, n, k, total;
    sync_joined_t      j;
    sync_record_t     *recs[10];
    sync_room_info_t   info[64];

    zone_create(&z, 1024 * 1024);
    (void) sync_worker_claim(&z, 0);

    for (i = 0; i < 10; i++) {
        recs[i] = zone_client(&z, "user");
        (void) sync_room_join(&z, zone_name("room"), zone_rule(0), recs[i], 0,
                              &j);
    }

    n = sync_room_members(&z, zone_name("room"), 2, ids, 5, &total);
    is_int(n, 5, "some members");
    is_int(total, 10, "of ten");

    for (i = 0, k = 0; i < n; i++) {
        k += (memcmp(ids + i * SYNC_ID_LEN, recs[i + 2]->id, SYNC_ID_LEN)
              == 0);
    }

    is_int(k, 5, "in the order of joining");

    n = sync_room_members(&z, zone_name("room"), 8, ids, 5, &total);
    is_int(n, 2, "the last of them");
    n = sync_room_members(&z, zone_name("none"), 0, ids, 5, &total);
    ok(n == 0 && total == 0, "a room that is not there");

    for (i = 0; i < 300; i++) {
        (void) snprintf(name, sizeof(name), "%s:%lu",
                        (i % 3) ? "many" : "few", (unsigned long) i);
        (void) sync_room_join(&z, zone_name(name), zone_rule(0), recs[0], 0,
                              &j);
    }

    n = sync_room_of(&z, recs[0]->id, info, 3);
    ok(n == 3 && memcmp(info[0].name, "room", 4) == 0
       && memcmp(info[2].name, "many:1", 6) == 0, "a client's first rooms");
    is_int(sync_room_of(&z, recs[1]->id, info, 64), 1, "another one's");
    is_int(sync_room_of(&z, (u_char *) "0123456789abcdef", info, 64), 0,
           "nobody's");

    bucket = 0;
    n = 0;

    while (bucket <= z.sh->mask) {
        k = sync_room_page(&z, zone_name("few:"), &bucket, info, 64);

        for (i = 0; i < k; i++) {
            n += (memcmp(info[i].name, "few:", 4) == 0);
        }
    }

    is_int(n, 100, "rooms by prefix");

    bucket = 0;
    n = 0;

    while (bucket <= z.sh->mask) {
        n += sync_room_page(&z, zone_name(""), &bucket, info, 64);
    }

    is_int(n, 301, "all rooms");

    ok(zone_right(&z), "the zone is right");
    zone_destroy();
}


/* names of any length, and a pattern at every length of one of them */

static void
test_patterns(void)
{
    char              name[SYNC_NAME_MAX + 1];
    ngx_int_t         rc;
    ngx_uint_t        i;
    sync_str_t        s;
    sync_joined_t     j;
    sync_record_t    *rec;
    sync_message_t    m;
    sync_published_t  p;

    zone_create(&z, 1024 * 1024);
    (void) sync_worker_claim(&z, 0);
    rec = zone_client(&z, "user");

    ngx_memset(name, 'a', SYNC_NAME_MAX);
    s.data = (u_char *) name;

    for (i = 0; i < SYNC_NAME_MAX; i++) {
        name[i] = '*';
        s.len = i + 1;

        (void) sync_room_join(&z, &s, zone_rule(0), rec, 0, &j);
        name[i] = 'a';
    }

    is_int(z.sh->npatterns, SYNC_NAME_MAX, "patterns of every length");

    for (i = 1; i <= SYNC_NAME_MAX; i += 51) {
        s.len = i;
        zone_message(&m, "[\"e\"]");
        rc = sync_room_publish(&z, &s, NULL, zone_rule(0), &m, &p);

        is_int(rc, SYNC_OK, "heard by them");
        is_int(p.receivers, ngx_min(i + 1, SYNC_NAME_MAX),
               "that are not longer than the name");
        is_int(p.lsn, 0, "the room itself has no message");
    }

    zone_message(&m, "[\"e\"]");
    rc = sync_room_publish(&z, zone_name("b"), NULL, zone_rule(0), &m, &p);
    is_int(p.receivers, 1, "only one of them matches all names");

    ok(zone_right(&z), "the zone is right");
    zone_destroy();
}


/* everything is in use but so many bytes */

static void *
fill(size_t but)
{
    void    *p, *all;
    u_char  *hole;

    sync_zone_lock(&z);

    hole = but ? sync_zone_alloc_locked(&z, but) : NULL;

    for (all = NULL; (p = sync_zone_alloc_locked(&z, 64)) != NULL; all = p) {
        *(void **) p = all;
    }

    if (hole) {
        sync_zone_free_locked(&z, hole);
    }

    sync_zone_unlock(&z);

    return all;
}


static void
drain(void *all)
{
    void  *p;

    sync_zone_lock(&z);

    while (all) {
        p = all;
        all = *(void **) p;
        sync_zone_free_locked(&z, p);
    }

    sync_zone_unlock(&z);
}


/* nothing is allocated that is not given back, wherever memory ends */

static void
test_full(void)
{
    int               good, right;
    void             *all;
    size_t            but, lost, nfree;
    ngx_int_t         join, publish, remember;
    const char       *text;
    sync_joined_t     j;
    sync_record_t    *rec;
    sync_message_t    m;
    sync_published_t  p;

    zone_create(&z, 1024 * 1024);
    (void) sync_worker_claim(&z, 0);
    rec = zone_client(&z, "user");
    nfree = sync_zone_unused(&z);

    good = 1;
    right = 1;
    join = SYNC_BUSY;
    publish = SYNC_BUSY;
    remember = SYNC_BUSY;

    for (but = 0; but < 4096; but += 64) {
        all = fill(but);

        join = sync_room_join(&z, zone_name("room"), zone_rule(0), rec, 0, &j);

        if (join == SYNC_BUSY) {
            good &= (z.sh->nrooms == 0 && rec->members == NULL);
            good &= (sync_zone_unused(&z) == but);
        }

        zone_message(&m, "[\"e\"]");
        publish = sync_room_publish(&z, zone_name("room"), NULL,
                                    zone_rule(0), &m, &p);

        good &= (join == SYNC_BUSY ? publish == SYNC_DECLINED
                                   : publish == SYNC_BUSY
                                     || (publish == SYNC_OK
                                         && p.receivers == 1));

        zone_message(&m, "[\"e\"]");
        remember = sync_room_publish(&z, zone_name("his:1"), NULL,
                                     zone_rule(5), &m, &p);

        if (remember == SYNC_BUSY) {
            good &= (z.sh->nrooms == (join == SYNC_OK));
        }

        text = zone_check(&z, &lost);
        right &= (text == NULL);

        if (join == SYNC_OK) {
            sync_room_leave(&z, j.member);
        }

        drain(all);

        ngx_current_msec += 61000;
        sync_room_expire(&z);

        good &= (sync_zone_unused(&z) == nfree);
    }

    ok(good, "a refusal changes nothing, and nothing is lost");
    ok(right, "the zone is right");
    ok(join == SYNC_OK && publish == SYNC_OK && remember == SYNC_OK,
       "with memory enough all is done");

    zone_destroy();
}


/* a room gives up its own oldest, if there is no other to do it */

static void
test_full_log(void)
{
    void             *all;
    u_char           *buf;
    uint64_t          top, sum[SYNC_COUNT_MAX];
    ngx_int_t         rc;
    ngx_uint_t        i, n;
    sync_take_t       t;
    sync_joined_t     j;
    sync_record_t    *rec;
    sync_message_t    m;
    sync_published_t  p;

    zone_create(&z, 1024 * 1024);
    (void) sync_worker_claim(&z, 0);
    rec = zone_client(&z, "user");

    (void) sync_room_join(&z, zone_name("room"), rule_of(&rooms[0]), rec, 0,
                          &j);
    (void) sync_room_join(&z, zone_name("doc"), rule_of(&rooms[6]), rec, 1,
                          &j);

    all = fill(20000);
    rc = SYNC_OK;

    for (i = 0; i < 1000 && rc == SYNC_OK; i++) {
        zone_message(&m, "[\"event\",1]");
        rc = sync_room_publish(&z, zone_name("room"), NULL, NULL, &m, &p);
    }

    is_int(rc, SYNC_OK, "a volatile room takes more than there is place for");
    is_int(p.lsn, 1000, "every message");
    top = p.lsn;

    buf = unit_guard(NULL, 100000);
    t.buf = buf;
    t.size = 100000;

    is_int(sync_room_take(&z, &t), SYNC_OK, "a worker takes what is there");
    ok(t.lost > 500 && t.lost < 1000, "and is told what it lost");
    is_int(t.len, (top - t.lost) * 64, "the rest is all there");
    is_int(((sync_entry_t *) buf)->lsn, t.lost + 1, "from there on");

    drain(all);
    all = fill(20000);

    rc = SYNC_OK;

    for (i = 0; i < 1000 && rc == SYNC_OK; i++) {
        zone_message(&m, "[\"event\",1]");
        rc = sync_room_publish(&z, zone_name("doc"), NULL, NULL, &m, &p);
    }

    is_int(rc, SYNC_OK, "a room with a history takes more, too");

    sync_zone_counters(&z, sum);
    n = (ngx_uint_t) sum[SYNC_COUNT_EVICTED_PRESSURE];
    ok(n > 500 && n < 1000, "what it gave up is counted");

    t.buf = buf;
    is_int(sync_room_take(&z, &t), SYNC_OK, "a worker takes the rest");
    is_int(t.lost, n, "and is told what it lost");
    ok(t.at.lsn == n && t.at.nonce == ((sync_entry_t *) buf)->prev,
       "and where it goes on");

    drain(all);

    ok(zone_right(&z), "the zone is right");
    zone_destroy();
}


static void
test_limits(void)
{
    u_char           *buf;
    ngx_uint_t        i;
    sync_take_t       t;
    sync_stamp_t      stamp;
    sync_joined_t     j;
    sync_record_t    *rec;
    sync_message_t    m;
    sync_room_rule_t  rule;
    sync_published_t  p;

    zone_create(&z, 1024 * 1024);
    (void) sync_worker_claim(&z, 0);
    rec = zone_client(&z, "user");

    ngx_memzero(&rule, sizeof(sync_room_rule_t));
    rule.limit = 640;

    (void) sync_room_join(&z, zone_name("room"), &rule, rec, 5, &j);

    for (i = 0; i < 100; i++) {
        zone_message(&m, "[\"event\",1]");
        (void) sync_room_publish(&z, zone_name("room"), NULL, NULL, &m, &p);
    }

    buf = unit_guard(NULL, 4096);
    t.buf = buf;
    t.size = 4096;

    is_int(sync_room_take(&z, &t), SYNC_OK, "a room that is full");
    ok(t.lost == 90 && t.len == 640 && t.cookie == 5, "keeps its limit");

    /* an LSN is not the next one: nothing is lost */

    zone_message(&m, "[\"event\",1]");
    m.lsn = 5000;
    (void) sync_room_publish(&z, zone_name("room"), NULL, NULL, &m, &p);

    t.buf = buf;
    is_int(sync_room_take(&z, &t), SYNC_OK, "a gap in the LSNs");
    ok(t.lost == 0 && t.first == 100 && t.last == 5000, "is no loss");

    /* as the mender does */

    stamp.pid = -1;
    stamp.room = j.member->room;
    stamp.member = NULL;
    stamp.interest = NULL;

    sync_zone_lock(&z);
    sync_room_mend(&z, &stamp);
    sync_zone_unlock(&z);

    t.buf = buf;
    is_int(sync_room_take(&z, &t), SYNC_OK, "a room that was reset");
    ok(t.reset && t.len == 0, "is told as such");
    is_int(sync_room_take(&z, &t), SYNC_DECLINED, "once");

    zone_destroy();
}
