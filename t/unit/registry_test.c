
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"


#define REGISTRY_CLIENTS  2000


typedef struct {
    u_char          id[SYNC_ID_LEN];
    char            user[300];
    sync_record_t  *rec;
    uint64_t        cookie;
    ngx_uint_t      slot;
    ngx_uint_t      seen;
} client_t;


static void test_ids(void);
static void test_random(void);
static void test_page(void);
static void test_users(void);
static void test_full(void);

static sync_zone_t  z, workers[3];
static client_t     clients[REGISTRY_CLIENTS];


int
main(int argc, char **argv)
{
    ngx_uint_t  i;

    zone_begin(argc, argv);
    zone_create(&z, 2 * 1024 * 1024);

    for (i = 0; i < 3; i++) {
        zone_worker(&workers[i], &z, i);
    }

    test_ids();
    test_random();
    test_page();
    test_users();
    test_full();

    zone_destroy();

    return unit_done();
}


static void
test_ids(void)
{
    int     good;
    u_char  id[SYNC_ID_LEN], back[SYNC_ID_LEN], *text;
    size_t  i, n;

    text = unit_guard(NULL, SYNC_ID_TEXT);
    good = 1;

    for (n = 0; n < 1000; n++) {

        for (i = 0; i < SYNC_ID_LEN; i++) {
            id[i] = (u_char) zone_random(256);
        }

        sync_registry_print_id(text, id);

        good &= (sync_registry_parse_id(back, text, SYNC_ID_TEXT) == SYNC_OK);
        good &= (memcmp(id, back, SYNC_ID_LEN) == 0);
    }

    ok(good, "ids are printed and parsed");

    memcpy(text, "AAECAwQFBgcICQoLDA0ODw", SYNC_ID_TEXT);
    is_int(sync_registry_parse_id(back, text, SYNC_ID_TEXT), SYNC_OK,
           "an id");
    is_mem(back, SYNC_ID_LEN, "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17",
           SYNC_ID_LEN, "has these bytes");

    text[SYNC_ID_TEXT - 1] = 'x';
    is_int(sync_registry_parse_id(back, text, SYNC_ID_TEXT), SYNC_ERROR,
           "another text of the same id");

    text[SYNC_ID_TEXT - 1] = '=';
    is_int(sync_registry_parse_id(back, text, SYNC_ID_TEXT), SYNC_ERROR,
           "a wrong character");

    text[SYNC_ID_TEXT - 1] = 'w';
    text[3] = '+';
    is_int(sync_registry_parse_id(back, text, SYNC_ID_TEXT), SYNC_ERROR,
           "the other base64");

    is_int(sync_registry_parse_id(back, text, SYNC_ID_TEXT - 1), SYNC_ERROR,
           "too short");
    is_int(sync_registry_parse_id(back, text, 0), SYNC_ERROR, "empty");
}


/* half of them are of three users */

static void
choose_user(client_t *c, sync_str_t *user)
{
    size_t  len;

    len = zone_random(4) ? zone_random(40) : zone_random(256);
    ngx_memset(c->user, 'a' + (int) zone_random(26), len);
    c->user[len] = '\0';

    if (zone_random(2)) {
        len = 1 + zone_random(3);
        ngx_memset(c->user, 'U', len);
        c->user[len] = '\0';
    }

    user->data = (u_char *) c->user;
    user->len = len;
}


static void
add(client_t *c)
{
    size_t      i;
    u_char      random[SYNC_ID_LEN];
    sync_str_t  user;

    choose_user(c, &user);

    for (i = 0; i < sizeof(random); i++) {
        random[i] = (u_char) zone_random(256);
    }

    c->slot = zone_random(3);
    c->cookie = zone_random(1000000);
    c->rec = sync_registry_add(&workers[c->slot], SYNC_TRANSPORT_SSE, random,
                               &user, c->cookie);

    if (c->rec) {
        memcpy(c->id, c->rec->id, SYNC_ID_LEN);
    }
}


static int
found(client_t *c)
{
    int                 good;
    sync_record_t      *rec;
    sync_record_info_t  info;

    sync_zone_lock(&z);
    rec = sync_registry_lookup_locked(&z, c->id);
    sync_zone_unlock(&z);

    good = (rec == c->rec);

    if (rec == NULL) {
        return good && sync_registry_info(&z, c->id, &info) == SYNC_DECLINED;
    }

    good = good && rec->slot
                   == sync_worker_slot(&z, workers[c->slot].self)
           && rec->cookie == c->cookie;

    return good && sync_registry_info(&z, c->id, &info) == SYNC_OK
           && memcmp(info.id, c->id, SYNC_ID_LEN) == 0
           && info.transport == SYNC_TRANSPORT_SSE
           && info.nrooms == 0
           && info.connected == 1000000
           && info.user_len == strlen(c->user)
           && memcmp(info.user, c->user, info.user_len) == 0;
}


static void
test_random(void)
{
    int         good, right;
    client_t   *c;
    ngx_uint_t  i, n;
    sync_str_t  user;

    good = 1;
    right = 1;

    for (n = 0; n < 20000 && good && right; n++) {
        c = &clients[zone_random(REGISTRY_CLIENTS)];

        if (c->rec == NULL) {
            add(c);
            good = (c->rec != NULL);

        } else {
            good = found(c);

            if (zone_random(4) == 0) {
                choose_user(c, &user);
                good = good && sync_registry_set_user(&workers[c->slot],
                                                      c->rec, &user)
                               == SYNC_OK;
                good = good && found(c);
            }

            if (zone_random(3) == 0) {
                sync_registry_remove(&workers[c->slot], c->rec);
                c->rec = NULL;
                good = good && found(c);
            }
        }

        if (n % 500 == 0) {
            right = zone_right(&z);
        }
    }

    ok(good, "records are added, found and removed");
    ok(right, "the zone is right");

    for (i = 0, n = 0; i < REGISTRY_CLIENTS; i++) {
        n += (clients[i].rec != NULL);
    }

    is_int(z.sh->nclients, n, "they are counted");
}


static int
page(ngx_uint_t size, int whole)
{
    uint32_t             bucket, before;
    ngx_uint_t           i, k, n, total;
    sync_record_info_t  *info;

    for (i = 0; i < REGISTRY_CLIENTS; i++) {
        clients[i].seen = 0;
    }

    info = malloc(size * sizeof(sync_record_info_t));
    if (info == NULL) {
        return 0;
    }

    total = 0;
    bucket = 0;

    while (bucket <= z.sh->mask) {
        before = bucket;
        n = sync_registry_page(&z, &bucket, info, size);

        if (n > size || bucket <= before) {
            free(info);
            return 0;
        }

        for (i = 0; i < n; i++) {

            for (k = 0; k < REGISTRY_CLIENTS; k++) {
                if (clients[k].rec
                    && memcmp(clients[k].id, info[i].id, SYNC_ID_LEN) == 0)
                {
                    clients[k].seen++;
                    total++;
                }
            }
        }
    }

    free(info);

    for (i = 0; i < REGISTRY_CLIENTS; i++) {
        if (clients[i].seen > 1) {
            return 0;
        }
    }

    return whole ? total == z.sh->nclients : total <= z.sh->nclients;
}


static void
test_page(void)
{
    ok(page(100, 1), "all are listed once, by pages of 100");
    ok(page(10, 1), "by pages of 10");
    ok(page(REGISTRY_CLIENTS, 1), "by large pages");
    ok(page(1, 0), "none twice by pages of 1");
}


/* Lists a user; at each page some of those listed and not listed go. */

static int
of_user(const char *name, ngx_uint_t size, ngx_uint_t leave)
{
    int                     good;
    u_char                  ids[100 * SYNC_ID_LEN];
    client_t               *c;
    ngx_uint_t              i, k, n, more, calls;
    sync_str_t              user;
    sync_registry_cursor_t  cursor;

    for (k = 0; k < REGISTRY_CLIENTS; k++) {
        clients[k].seen = 0;
    }

    user.data = (u_char *) name;
    user.len = strlen(name);

    good = 1;
    calls = 0;

    memset(&cursor, 0, sizeof(cursor));

    do {
        n = sync_registry_of_user(&z, &user, &cursor, ids, size, &more);
        good = good && n <= size && calls++ < 10000;

        for (i = 0; i < n; i++) {

            for (k = 0; k < REGISTRY_CLIENTS; k++) {
                c = &clients[k];

                if (memcmp(c->id, ids + i * SYNC_ID_LEN, SYNC_ID_LEN) == 0) {
                    good = good && c->rec && strcmp(c->user, name) == 0;
                    c->seen++;
                }
            }
        }

        for (i = 0; i < leave; i++) {
            c = &clients[zone_random(REGISTRY_CLIENTS)];

            if (i == 0 && n) {

                /* the one where it stands */

                for (k = 0; k < REGISTRY_CLIENTS; k++) {
                    if (memcmp(clients[k].id, ids + (n - 1) * SYNC_ID_LEN,
                               SYNC_ID_LEN)
                        == 0)
                    {
                        c = &clients[k];
                    }
                }
            }

            if (c->rec) {
                sync_registry_remove(&workers[c->slot], c->rec);
                c->rec = NULL;
            }
        }

    } while (more && good);

    for (k = 0; k < REGISTRY_CLIENTS; k++) {
        c = &clients[k];

        good = good && c->seen <= 1;

        if (c->rec && strcmp(c->user, name) == 0) {
            good = good && c->seen == 1;
        }
    }

    return good;
}


static void
fill(void)
{
    ngx_uint_t  i;

    for (i = 0; i < REGISTRY_CLIENTS; i++) {
        if (clients[i].rec == NULL) {
            add(&clients[i]);
        }
    }
}


static void
empty(void)
{
    ngx_uint_t  i;

    for (i = 0; i < REGISTRY_CLIENTS; i++) {
        if (clients[i].rec) {
            sync_registry_remove(&workers[clients[i].slot], clients[i].rec);
            clients[i].rec = NULL;
        }
    }
}


static void
test_users(void)
{
    int       good;
    uint32_t  mask;

    fill();

    ok(of_user("U", 100, 0), "clients of a user");
    ok(of_user("UU", 7, 0), "by pages of 7");
    ok(of_user("UUU", 1, 0), "one by one");
    ok(of_user("nobody", 100, 0), "of a user without any");

    /* all in one chain, longer than what is looked at in one call */

    empty();
    mask = z.sh->mask;
    z.sh->mask = 0;
    fill();

    ok(of_user("U", 100, 0), "in a chain with all others");
    ok(zone_right(&z), "the zone is right");

    good = 1;

    while (z.sh->nclients > REGISTRY_CLIENTS / 4) {
        good = good && of_user("UU", 3, 5);
    }

    ok(good, "some leave meanwhile");
    ok(zone_right(&z), "the zone is right");

    empty();
    z.sh->mask = mask;
}


static void
test_full(void)
{
    int             good;
    uint64_t        sum[SYNC_COUNT_MAX];
    ngx_uint_t      i, n;
    sync_record_t  *rec, *first;

    for (i = 0; i < REGISTRY_CLIENTS; i++) {
        if (clients[i].rec) {
            sync_registry_remove(&workers[clients[i].slot], clients[i].rec);
        }
    }

    is_int(z.sh->nclients, 0, "all are removed");
    ok(zone_right(&z), "the zone is right");

    first = zone_client(&workers[0], "first");
    good = (first != NULL);

    for (n = 0; (rec = zone_client(&workers[0], "user")) != NULL; n++) {
        rec->cookie = n;
    }

    ok(good && n > 5000, "a zone full of records");
    ok(zone_right(&z), "is right");

    sync_zone_counters(&workers[0], sum);
    is_int(sum[SYNC_COUNT_FULL], 1, "its refusal is counted");

    /* room for the record and not for the user */

    while (zone_client(&workers[0], "") != NULL) { /* void */ }

    sync_registry_remove(&workers[0], first);
    first = zone_client(&workers[0], "");
    ok(first != NULL, "a record without a user");
    ok(zone_client(&workers[0], "user") == NULL, "none with one");
    ok(zone_right(&z), "the zone is right");
}
