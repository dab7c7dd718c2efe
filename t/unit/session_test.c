
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"


/*
 * Sessions against a model that is a table: what each step returns, and what
 * is there after it; with allocations that fail, and with a zone that is full.
 */

#define SESSION_TOKENS  12
#define SESSION_REALMS  2
#define SESSION_USERS   4
#define SESSION_STEPS   20000
#define MARKS           64
#define SESSION_LONG    64              /* ms, of a usual life */


/* What a session is, as the model has it. */

typedef struct {
    char           json[64];
    ngx_uint_t     user;
    uint64_t       version;
    uint64_t       began;
    ngx_msec_t     expires;
    ngx_msec_t     slid;
    ngx_msec_t     used;
    ngx_msec_t     told;
    uint32_t       stamp;
    unsigned       there:1;
    unsigned       known:1;
    unsigned       value:1;
    unsigned       lasts:1;
} model_t;


typedef struct {
    u_char         data[SYNC_TOKEN_MAX];
    sync_str_t     text;
    sync_record_t *client;              /* that holds it, or NULL */
} token_t;


static void test_life(void);
static void test_users(void);
static void test_number(void);
static void test_many(void);
static void test_full(void);
static void test_random(void);
static ngx_uint_t step(void);
static ngx_uint_t step_make(ngx_uint_t r, token_t *t, model_t *m);
static ngx_uint_t step_hold(token_t *t);
static ngx_uint_t step_set(ngx_uint_t r, token_t *t, model_t *m);
static ngx_int_t model_set(ngx_uint_t r, token_t *t, model_t *m,
    sync_session_data_t *data, ngx_uint_t user, ngx_msec_t ttl,
    uint64_t version, uint32_t stamp);
static ngx_uint_t step_get(ngx_uint_t r, token_t *t, model_t *m);
static ngx_uint_t step_stamp(ngx_uint_t r, token_t *t, model_t *m);
static ngx_uint_t step_tokens(ngx_uint_t r);
static ngx_uint_t step_page(ngx_uint_t r);
static ngx_uint_t step_expire(void);
static ngx_uint_t model_fails(void);
static ngx_uint_t model_make(model_t *m);
static ngx_uint_t model_expired(model_t *m);
static ngx_uint_t same(void);
static ngx_uint_t same_one(ngx_uint_t r, token_t *t, model_t *m);
static token_t *token_of(u_char **p);
static ngx_int_t set(ngx_uint_t realm, const char *token, const char *json,
    const char *user, ngx_msec_t ttl);


static sync_zone_t   z, worker;
static uint32_t      realms[SESSION_REALMS] = { 0, 7 };
static token_t       tokens[SESSION_TOKENS];
static model_t       model[SESSION_REALMS][SESSION_TOKENS];
static uint64_t      version;           /* the last one */
static ngx_uint_t    allocations;       /* of a step, as the model counts */
static ngx_uint_t    failing;           /* the one that fails, 0: none */
static const char   *doing;
static sync_session_mark_t  marks[MARKS];
static const char   *users[SESSION_USERS] = { "u", "1", "ann", "a user" };


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);
    zone_create(&z, 1024 * 1024);
    zone_worker(&worker, &z, 1);

    test_life();
    test_users();
    test_many();
    test_full();
    test_random();

    zone_destroy();

    return unit_done();
}


static void
test_life(void)
{
    u_char                 buf[64], text[SYNC_TOKEN_MAX];
    sync_session_copy_t    copy;
    sync_session_change_t  change;

    copy.old = 0;
    copy.buf = buf;
    copy.size = 4;

    is_int(sync_session_store_get(&worker, 0, zone_name("t"), 0, &copy),
           SYNC_BUSY, "nothing is known");
    is_int(set(0, "t", "{\"id\":1}", "1", 100), SYNC_OK, "set");
    is_int(set(0, "t", "{\"id\":1}", "1", 100), SYNC_DECLINED, "the same");
    is_int(sync_session_store_get(&worker, 7, zone_name("t"), 0, &copy),
           SYNC_BUSY, "of another realm");
    is_int(sync_session_store_get(&worker, 0, zone_name("t"), 0, &copy),
           SYNC_AGAIN, "more than there is room for");
    is_int(copy.need, 8, "so much");

    copy.size = sizeof(buf);

    is_int(sync_session_store_get(&worker, 0, zone_name("t"), 0, &copy),
           SYNC_OK, "read");
    is_mem(copy.buf, copy.len, "{\"id\":1}", 8, "as it was set");
    is_mem(copy.user, copy.user_len, "1", 1, "with its user");
    is_int(copy.left, 100, "for so long");

    ngx_current_msec += 99;
    is_int(sync_session_store_get(&worker, 0, zone_name("t"), 50, &copy),
           SYNC_OK, "at its last");
    is_int(copy.left, 50, "put off");

    ngx_current_msec += 50;
    is_int(sync_session_store_get(&worker, 0, zone_name("t"), 50, &copy),
           SYNC_DECLINED, "over");

    sync_token_id(change.id, zone_name("t"));
    is_int(sync_session_store_token(&worker, 0, change.id, text), 1,
           "its token");
    is_mem(text, 1, "t", 1, "by its id");

    is_int(sync_session_store_set(&worker, 0, zone_name("t"), NULL, 0, 1, 0,
                                  &change),
           SYNC_AGAIN, "an old version");
    is_int(sync_session_store_set(&worker, 0, zone_name("t"), NULL, 0, 0, 0,
                                  &change),
           SYNC_OK, "ended");
    ok(z.sh->nsessions == 0 && zone_right(&z), "and gone");
    is_int(sync_session_store_set(&worker, 0, zone_name("t"), NULL, 0, 0, 0,
                                  &change),
           SYNC_DECLINED, "once");
}


static void
test_users(void)
{
    u_char                 buf[64];
    ngx_uint_t             total;
    sync_session_change_t  change;

    (void) set(0, "first", "{\"id\":\"u\"}", "u", 0);
    (void) set(0, "other", "{\"id\":\"v\"}", "v", 0);
    (void) set(0, "second", "{\"id\":\"u\"}", "u", 0);
    (void) set(7, "elsewhere", "{\"id\":\"u\"}", "u", 0);

    is_int(sync_session_store_tokens(&worker, 0, zone_name("u"), marks, MARKS,
                                     buf, sizeof(buf), &total),
           2, "tokens of a user");
    is_mem(buf + 2, 5, "first", 5, "the oldest first");
    is_mem(buf + 9, 6, "second", 6, "then the next");
    is_int(sync_session_store_tokens(&worker, 0, zone_name("u"), marks, MARKS,
                                     buf, 14, &total),
           1, "as many as fit");
    is_int(total, 2, "of so many");

    (void) set(0, "first", "{\"id\":\"v\"}", "v", 0);

    is_int(sync_session_store_tokens(&worker, 0, zone_name("v"), marks, MARKS,
                                     buf, sizeof(buf), &total),
           2, "a session of another user now");
    is_mem(buf + 2, 5, "first", 5, "is as old as it was");

    (void) sync_session_store_set(&worker, 0, zone_name("first"), NULL, 0, 0,
                                  0, &change);
    (void) sync_session_store_set(&worker, 0, zone_name("second"), NULL, 0, 0,
                                  0, &change);
    (void) sync_session_store_set(&worker, 0, zone_name("other"), NULL, 0, 0,
                                  0, &change);

    is_int(sync_session_store_tokens(&worker, 0, zone_name("u"), marks, MARKS,
                                     buf, sizeof(buf), &total),
           0, "none is left");
    is_int(total, 0, "indeed");

    test_number();

    /* what is elsewhere goes when nobody used it */

    (void) sync_session_store_set(&worker, 7, zone_name("elsewhere"), NULL, 0,
                                  0, 0, &change);
    is_int(z.sh->nsessions, 1, "known to be none");

    ngx_current_msec += SYNC_SESSION_NONE + 1;
    (void) step_expire();
    ok(z.sh->nsessions == 0 && zone_right(&z), "gone");
}


/* As many as are looked at, in their order, whatever that of the bucket is. */

static void
test_number(void)
{
    char                   name[16];
    u_char                 buf[1024], *p;
    ngx_uint_t             i, total;
    sync_session_change_t  change;

    for (i = 0; i < 40; i++) {
        sprintf(name, "n%02u", (unsigned) (i * 7) % 40);
        (void) set(0, name, "{\"id\":\"n\"}", "n", 0);
    }

    for (i = 0; i < 40; i += 3) {
        sprintf(name, "n%02u", (unsigned) i);
        (void) set(0, name, "{\"id\":\"n\",\"x\":1}", "n", 0);
    }

    is_int(sync_session_store_tokens(&worker, 0, zone_name("n"), marks, MARKS,
                                     buf, sizeof(buf), &total),
           40, "tokens of a user with many");

    for (i = 0, p = buf; i < 40; i++, p += 5) {
        sprintf(name, "n%02u", (unsigned) (i * 7) % 40);

        if (memcmp(p + 2, name, 3) != 0) {
            break;
        }
    }

    is_int(i, 40, "by their age");
    is_int(sync_session_store_tokens(&worker, 0, zone_name("n"), marks, 10,
                                     buf, sizeof(buf), &total),
           10, "some of them");
    is_int(total, 40, "of so many");

    for (i = 0; i < 40; i++) {
        sprintf(name, "n%02u", (unsigned) i);
        (void) sync_session_store_set(&worker, 0, zone_name(name), NULL, 0, 0,
                                      0, &change);
    }
}


/* A bucket may have more that ended than there is room to tell of. */

static void
test_many(void)
{
    char                   name[16];
    u_char                 id[SYNC_ID_LEN];
    uint32_t               bucket;
    ngx_uint_t             i, n, calls;
    sync_record_t         *clients[8];
    sync_session_change_t  change;

    for (i = 0, n = 0; i < 8; n++) {
        sprintf(name, "m%u", (unsigned) n);
        sync_token_id(id, zone_name(name));

        if ((sync_zone_hash(&z, id, SYNC_ID_LEN) + 7) & z.sh->sid_mask) {
            continue;
        }

        (void) set(7, name, "{\"id\":1}", "1", 10);

        tokens[0].text = *zone_name(name);
        tokens[0].client = NULL;

        (void) step_hold(&tokens[0]);
        clients[i++] = tokens[0].client;
    }

    ngx_current_msec += SYNC_SESSION_AGAIN;

    bucket = 0;
    n = 0;

    for (calls = 0; bucket <= z.sh->sid_mask && calls < 10000; calls++) {
        n += sync_session_store_expire(&worker, &bucket, &change, 1);
    }

    ok(calls < 10000, "comes to an end");
    is_int(n, 8, "all are told of");

    bucket = 0;
    n = 0;

    while (bucket <= z.sh->sid_mask) {
        n += sync_session_store_expire(&worker, &bucket, &change, 1);
    }

    is_int(n, 0, "not again at once");

    for (i = 0; i < 8; i++) {
        sync_registry_remove(&worker, clients[i]);
    }

    tokens[0].client = NULL;

    ngx_current_msec += SYNC_SESSION_IDLE + 1;
    bucket = 0;

    while (bucket <= z.sh->sid_mask) {
        (void) sync_session_store_expire(&worker, &bucket, &change, 1);
    }

    ok(z.sh->nsessions == 0 && zone_right(&z), "and gone");
}


static void
test_full(void)
{
    char                   name[16];
    size_t                 unused;
    ngx_int_t              rc;
    ngx_uint_t             i, n;
    sync_session_copy_t    copy;
    sync_session_change_t  change;
    static char            json[4000];
    static u_char          buf[4000];

    memset(json, ' ', sizeof(json) - 1);
    memcpy(json, "{\"id\":\"u\"}", 10);

    unused = sync_zone_unused(&z);

    for (n = 0; /* void */; n++) {
        sprintf(name, "t%u", (unsigned) n);

        rc = set(n % 2 ? 7 : 0, name, json, "u", 1000);

        if (rc != SYNC_OK) {
            break;
        }
    }

    is_int(rc, SYNC_BUSY, "full");
    ok(n > 100 && zone_right(&z), "and right");

    /* what does not fit changes nothing, but what is elsewhere is unknown */

    json[11] = '\t';
    copy.old = 0;
    copy.buf = buf;
    copy.size = sizeof(buf);

    ngx_current_msec += 10;

    is_int(set(0, "t0", json, "u", 5000), SYNC_BUSY, "no room for a change");
    is_int(sync_session_store_get(&worker, 0, zone_name("t0"), 0, &copy),
           SYNC_OK, "what was is there");
    ok(copy.left == 990 && buf[11] == ' ', "as it was");

    is_int(set(7, "t1", json, "u", 5000), SYNC_BUSY, "nor elsewhere");
    is_int(sync_session_store_get(&worker, 7, zone_name("t1"), 0, &copy),
           SYNC_BUSY, "where it is another one now");

    /* an end always fits */

    for (i = 0; i < n; i++) {
        sprintf(name, "t%u", (unsigned) i);

        if (sync_session_store_set(&worker, i % 2 ? 7 : 0, zone_name(name),
                                   NULL, 0, 0, 0, &change)
            != SYNC_OK)
        {
            break;
        }
    }

    is_int(i, n, "all ended");

    ngx_current_msec += SYNC_SESSION_NONE + 1;
    (void) step_expire();

    ok(z.sh->nsessions == 0 && sync_zone_unused(&z) == unused
       && zone_right(&z), "and empty again");
}


static void
test_random(void)
{
    size_t                 unused, len;
    uint32_t               bucket;
    ngx_uint_t             i, n;
    sync_session_change_t  change;

    unused = sync_zone_unused(&z);
    version = z.sh->session_version;

    for (i = 0; i < SESSION_TOKENS; i++) {

        /* as short and as long as they may be */

        len = (i == 0) ? 1 : (i == 1) ? SYNC_TOKEN_MAX
                                      : 2 + zone_random(200);

        for (n = 0; n < len; n++) {
            tokens[i].data[n] = (u_char) ('!' + zone_random(90));
        }

        tokens[i].data[0] = (u_char) ('a' + i);
        tokens[i].text.data = tokens[i].data;
        tokens[i].text.len = len;
    }

    for (i = 0; i < SESSION_STEPS; i++) {

        if (!step() || !same()) {
            printf("# step %u: %s\n", (unsigned) i, doing);
            break;
        }
    }

    is_int(i, SESSION_STEPS, "as the model has it after each step");

    ngx_stub_slab_fail(0);

    for (i = 0; i < SESSION_TOKENS; i++) {

        if (tokens[i].client) {
            sync_registry_remove(&worker, tokens[i].client);
        }

        tokens[i].client = NULL;
    }

    for (i = 0; i < SESSION_TOKENS * SESSION_REALMS; i++) {
        (void) sync_session_store_set(&worker, realms[i % SESSION_REALMS],
                                      &tokens[i / SESSION_REALMS].text, NULL,
                                      0, 0, 0, &change);
    }

    ngx_current_msec += SYNC_SESSION_NONE + 1;

    bucket = 0;

    while (bucket <= z.sh->sid_mask) {
        (void) sync_session_store_expire(&worker, &bucket, &change, 1);
    }

    ok(z.sh->nsessions == 0 && sync_zone_unused(&z) == unused
       && zone_right(&z), "nothing is left");
}


static ngx_uint_t
step(void)
{
    token_t     *t;
    model_t     *m;
    ngx_uint_t   r, i;

    r = zone_random(SESSION_REALMS);
    i = zone_random(SESSION_TOKENS);

    t = &tokens[i];
    m = &model[r][i];

    allocations = 0;
    failing = zone_random(4) ? 0 : 1 + zone_random(2);

    ngx_stub_slab_fail(failing);

    switch (zone_random(16)) {

    case 0:
        return step_make(r, t, m);

    case 1:
    case 2:
        return step_hold(t);

    case 3:
    case 4:
        return step_stamp(r, t, m);

    case 5:
        return step_tokens(r);

    case 6:
        return zone_random(4) ? 1 : step_page(r);

    case 7:
        return step_expire();

    case 8:
        doing = "time";
        ngx_current_msec += zone_random(20) ? zone_random(SESSION_LONG)
                                            : zone_random(SYNC_SESSION_IDLE);
        return 1;

    case 9:
    case 10:
    case 11:
        return step_get(r, t, m);

    default:
        return step_set(r, t, m);
    }
}


static ngx_uint_t
step_make(ngx_uint_t r, token_t *t, model_t *m)
{
    sync_session_t  *s;

    doing = "make";

    s = sync_session_store_make(&worker, realms[r], &t->text);

    if (model_make(m) == 0) {
        return s == NULL;
    }

    m->used = ngx_current_msec;

    return s != NULL;
}


/* A client comes, or goes. */

static ngx_uint_t
step_hold(token_t *t)
{
    u_char         id[SYNC_ID_LEN], buf[SYNC_TOKEN_ROOM];
    sync_str_t     room;
    sync_joined_t  j;

    doing = "hold";

    ngx_stub_slab_fail(0);

    if (t->client) {
        sync_registry_remove(&worker, t->client);
        t->client = NULL;
        return 1;
    }

    sync_token_id(id, &t->text);
    sync_token_room(&room, buf, id);

    t->client = zone_client(&worker, "u");

    return t->client
           && sync_room_join(&worker, &room, zone_rule(0), t->client, 1, &j)
              == SYNC_OK;
}


static ngx_uint_t
step_set(ngx_uint_t r, token_t *t, model_t *m)
{
    uint64_t               of;
    uint32_t               stamp;
    ngx_int_t              rc;
    ngx_msec_t             ttl;
    ngx_uint_t             user, was;
    sync_session_data_t    data, *d;
    sync_session_change_t  change;
    char                   json[64];

    doing = "set";

    user = zone_random(SESSION_USERS);
    ttl = zone_random(4) ? 1 + zone_random(SESSION_LONG) : 0;
    of = zone_random(3) ? 0 : m->version + !zone_random(4);
    stamp = zone_random(3) ? 0 : m->stamp + !zone_random(4);

    sprintf(json, "{\"id\":\"%s\",\"n\":%u}", users[user],
            (unsigned) zone_random(3));

    data.json.data = (u_char *) json;
    data.json.len = strlen(json);
    data.user.data = (u_char *) users[user];
    data.user.len = strlen(users[user]);
    data.anew = !zone_random(8);

    d = zone_random(4) ? &data : NULL;
    was = m->there;

    rc = sync_session_store_set(&worker, realms[r], &t->text, d, ttl, of,
                                stamp, &change);

    if (rc != model_set(r, t, m, d, user, ttl, of, stamp)) {
        return 0;
    }

    /* one that is ended may be gone: its change had the last version */

    if (rc == SYNC_OK && (change.realm != realms[r]
                          || change.version != version))
    {
        return 0;
    }

    return was || rc != SYNC_AGAIN || of || stamp;
}


static ngx_int_t
model_set(ngx_uint_t r, token_t *t, model_t *m, sync_session_data_t *data,
    ngx_uint_t user, ngx_msec_t ttl, uint64_t of, uint32_t stamp)
{
    if (of && (!m->there || m->version != of)) {
        return SYNC_AGAIN;
    }

    if (!m->there && data == NULL) {
        return SYNC_DECLINED;
    }

    if (!model_make(m)) {
        return SYNC_BUSY;
    }

    if (stamp && m->stamp != stamp) {
        return SYNC_AGAIN;
    }

    m->used = ngx_current_msec;

    if (data == NULL && !m->value) {
        m->known = 1;
        return SYNC_DECLINED;
    }

    if (data && !(m->value && !data->anew
                  && strcmp(m->json, (char *) data->json.data) == 0)
        && model_fails())
    {
        if (r) {
            m->known = 0;

        } else if (!m->value && t->client == NULL) {
            m->there = 0;
        }

        return SYNC_BUSY;
    }

    m->known = 1;

    if (data == NULL) {
        m->value = 0;
        m->version = ++version;

        if (r == 0 && t->client == NULL) {
            m->there = 0;
        }

        return SYNC_OK;
    }

    m->expires = ngx_current_msec + ttl;
    m->slid = ngx_current_msec;
    m->lasts = (ttl == 0);

    if (m->value && !data->anew
        && strcmp(m->json, (char *) data->json.data) == 0)
    {
        return SYNC_DECLINED;
    }

    m->version = ++version;

    if (!m->value || data->anew) {
        m->began = m->version;
    }

    m->value = 1;
    m->user = user;
    strcpy(m->json, (char *) data->json.data);

    return SYNC_OK;
}


static ngx_uint_t
step_get(ngx_uint_t r, token_t *t, model_t *m)
{
    u_char               buf[64];
    ngx_int_t            rc;
    ngx_msec_t           ttl;
    sync_session_copy_t  copy;

    doing = "get";

    ttl = zone_random(2) ? 0 : 1 + zone_random(SESSION_LONG);

    copy.old = 0;
    copy.buf = buf;
    copy.size = zone_random(4) ? sizeof(buf) : zone_random(16);

    rc = sync_session_store_get(&worker, realms[r], &t->text, ttl, &copy);

    if (!m->there || !m->known) {
        return rc == SYNC_BUSY;
    }

    m->used = ngx_current_msec;

    if (!m->value || model_expired(m)) {
        return rc == SYNC_DECLINED && copy.version == m->version;
    }

    if (copy.size < strlen(m->json)) {
        return rc == SYNC_AGAIN && copy.need == strlen(m->json);
    }

    if (ttl) {
        m->expires = ngx_current_msec + ttl;
        m->slid = ngx_current_msec;
        m->lasts = 0;
    }

    return rc == SYNC_OK
           && copy.version == m->version
           && copy.len == strlen(m->json)
           && memcmp(copy.buf, m->json, copy.len) == 0
           && copy.user_len == strlen(users[m->user])
           && memcmp(copy.user, users[m->user], copy.user_len) == 0
           && copy.slid == m->slid
           && copy.left == (m->lasts ? 0 : m->expires - ngx_current_msec);
}


static ngx_uint_t
step_stamp(ngx_uint_t r, token_t *t, model_t *m)
{
    uint32_t    stamp;
    ngx_uint_t  slides;

    switch (zone_random(3)) {

    case 0:
        doing = "stamp";
        stamp = sync_session_store_stamp(&worker, realms[r], &t->text);

        if (!model_make(m)) {
            return stamp == 0;
        }

        m->used = ngx_current_msec;

        return stamp == m->stamp;

    case 1:
        doing = "outdated";
        stamp = sync_session_store_outdated(&worker, realms[r], &t->text);

        return stamp == (m->there ? ++m->stamp : 0);

    default:
        doing = "slides";
        slides = sync_session_store_slides(&worker, realms[r], &t->text, 10);

        if (!m->there || !m->value || ngx_current_msec - m->slid < 10) {
            return slides == 0;
        }

        m->slid = ngx_current_msec;

        return slides == 1;
    }
}


static ngx_uint_t
step_tokens(ngx_uint_t r)
{
    u_char         *p;
    uint64_t        after;
    model_t        *m;
    token_t        *t;
    ngx_uint_t      i, n, user, count, total;
    static u_char   buf[SESSION_TOKENS * (SYNC_TOKEN_MAX + 2)];

    doing = "tokens";

    user = zone_random(SESSION_USERS);
    count = 0;

    n = sync_session_store_tokens(&worker, realms[r], zone_name(users[user]),
                                  marks, MARKS, buf, sizeof(buf), &total);

    for (i = 0; i < SESSION_TOKENS; i++) {
        m = &model[r][i];
        count += m->there && m->value && m->user == user && !model_expired(m);
    }

    if (n != count || total != count) {
        return 0;
    }

    after = 0;
    p = buf;

    while (n--) {
        t = token_of(&p);

        if (t == NULL) {
            return 0;
        }

        m = &model[r][t - tokens];

        if (!m->there || !m->value || m->user != user || model_expired(m)
            || m->began <= after)
        {
            return 0;
        }

        after = m->began;
    }

    return 1;
}


static ngx_uint_t
step_page(ngx_uint_t r)
{
    u_char         *p;
    uint32_t        bucket;
    token_t        *t;
    ngx_uint_t      n, i, unknown, seen;
    static u_char   buf[SYNC_TOKEN_MAX + 1000];

    doing = "page";

    unknown = zone_random(2);
    bucket = 0;
    seen = 0;

    while (bucket <= z.sh->sid_mask) {
        p = buf;
        n = sync_session_store_page(&worker, realms[r], &bucket, unknown, buf,
                                    sizeof(buf));

        while (n--) {
            t = token_of(&p);

            if (t == NULL || (seen & (1 << (t - tokens)))) {
                return 0;
            }

            seen |= 1 << (t - tokens);
        }
    }

    for (i = 0; i < SESSION_TOKENS; i++) {

        if (model[r][i].there != ((seen >> i) & 1)) {
            return 0;
        }

        if (unknown) {
            model[r][i].known = 0;
        }
    }

    return 1;
}


static ngx_uint_t
step_expire(void)
{
    u_char                  id[SYNC_ID_LEN];
    model_t                *m;
    uint32_t                bucket;
    ngx_uint_t              i, r, n, k, told;
    ngx_msec_int_t          idle;
    sync_session_change_t   changes[SESSION_TOKENS * SESSION_REALMS + 1];

    doing = "expire";

    bucket = 0;
    n = 0;

    while (bucket <= z.sh->sid_mask) {
        n += sync_session_store_expire(&worker, &bucket, changes + n,
                                       unit_count(changes) - n);
    }

    told = 0;

    for (i = 0; i < SESSION_TOKENS * SESSION_REALMS; i++) {
        r = i % SESSION_REALMS;
        m = &model[r][i / SESSION_REALMS];
        idle = ngx_current_msec - m->used;

        if (!m->there) {
            continue;
        }

        sync_token_id(id, &tokens[i / SESSION_REALMS].text);

        if (m->value && model_expired(m)) {

            for (k = 0; k < n; k++) {

                if (changes[k].realm == realms[r]
                    && memcmp(changes[k].id, id, SYNC_ID_LEN) == 0)
                {
                    break;
                }
            }

            if (r == 0) {
                m->value = 0;
                m->known = 1;
                version++;

                /* in the order of their buckets */

                if (k < n) {
                    m->version = changes[k].version;

                } else {
                    m->version = 0;
                }
            }

            if (tokens[i / SESSION_REALMS].client) {

                /* what is elsewhere is told of again, but not at once */

                if (r && ngx_current_msec - m->told < SYNC_SESSION_AGAIN) {

                    if (k != n) {
                        return 0;
                    }

                    continue;
                }

                if (k == n) {
                    return 0;
                }

                m->told = ngx_current_msec;
                told++;
                continue;
            }

            if (k != n) {
                return 0;
            }
        }

        if (tokens[i / SESSION_REALMS].client == NULL
            && (m->value ? r && idle > SYNC_SESSION_IDLE
                         : idle > SYNC_SESSION_NONE))
        {
            m->there = 0;
        }
    }

    return told == n && version == z.sh->session_version;
}


/* Whether the next allocation does. */

static ngx_uint_t
model_fails(void)
{
    return ++allocations == failing;
}


static ngx_uint_t
model_make(model_t *m)
{
    if (m->there) {
        return 1;
    }

    if (model_fails()) {
        return 0;
    }

    ngx_memzero(m, sizeof(model_t));

    m->there = 1;
    m->stamp = 1;
    m->version = ++version;
    m->used = ngx_current_msec;

    return 1;
}


static ngx_uint_t
model_expired(model_t *m)
{
    return !m->lasts && (ngx_msec_int_t) (ngx_current_msec - m->expires) >= 0;
}


/* Whether the zone is what the model is, and right. */

static ngx_uint_t
same(void)
{
    ngx_uint_t  i, r, n;

    n = 0;

    for (i = 0; i < SESSION_TOKENS; i++) {

        for (r = 0; r < SESSION_REALMS; r++) {

            if (!same_one(r, &tokens[i], &model[r][i])) {
                printf("# token %u of realm %u\n", (unsigned) i,
                       (unsigned) realms[r]);
                return 0;
            }

            n += model[r][i].there;
        }
    }

    return n == z.sh->nsessions && zone_right(&z);
}


static ngx_uint_t
same_one(ngx_uint_t r, token_t *t, model_t *m)
{
    sync_session_t  *s;

    sync_zone_lock(&worker);
    s = sync_session_store_lookup_locked(&worker, realms[r], &t->text);
    sync_zone_unlock(&worker);

    if (s == NULL || !m->there) {
        return s == NULL && !m->there;
    }

    /* an end that nobody was told of */

    if (m->version == 0) {
        m->version = s->version;
    }

    if (s->version != m->version
        || s->stamp != m->stamp
        || s->used != m->used
        || s->len != t->text.len
        || memcmp(s->token, t->text.data, s->len) != 0
        || (s->state == SYNC_SESSION_KNOWN) != m->known
        || (s->value != NULL) != m->value)
    {
        return 0;
    }

    return !m->value
           || (s->value->len == strlen(m->json)
               && memcmp(s->value->data, m->json, s->value->len) == 0
               && s->began == m->began
               && s->lasts == m->lasts
               && s->expires == m->expires
               && s->slid == m->slid);
}


/* The one that is written at *p, which is moved. */

static token_t *
token_of(u_char **p)
{
    uint16_t    len;
    ngx_uint_t  i;

    memcpy(&len, *p, sizeof(uint16_t));

    for (i = 0; i < SESSION_TOKENS; i++) {

        if (len == tokens[i].text.len
            && memcmp(*p + sizeof(uint16_t), tokens[i].data, len) == 0)
        {
            *p += sizeof(uint16_t) + len;
            return &tokens[i];
        }
    }

    return NULL;
}


static ngx_int_t
set(ngx_uint_t realm, const char *token, const char *json, const char *user,
    ngx_msec_t ttl)
{
    sync_session_data_t    data;
    sync_session_change_t  change;

    data.json.data = (u_char *) json;
    data.json.len = strlen(json);
    data.user.data = (u_char *) user;
    data.user.len = strlen(user);
    data.anew = 0;

    return sync_session_store_set(&worker, realm, zone_name(token), &data,
                                  ttl, 0, 0, &change);
}
