
/*
 * Copyright (C) sync for nginx
 */

/* link: store */


#include "zone.h"
#include <sync_text.h>


/*
 * Texts that are said in pieces: what who joins is given, against a model;
 * limits, pieces that are missing, doubled or late, owners that die.
 */

#define TEXT_LIMIT   4000
#define TEXT_MODELS  20
#define TEXT_ROUNDS  20000
#define TEXT_HEAD    "[\"e\",{\"c\":\""
#define TEXT_TAIL    "\",\"n\":7}]"


typedef struct {
    char        room[16];
    uint64_t    id;
    size_t      said;
    size_t      len;
    int         known;
    int         cut;
    char        text[TEXT_LIMIT];
} text_model_t;


static void test_one(void);
static void test_limits(void);
static void test_hosts(void);
static void test_owners(void);
static void test_model(void);
static ngx_int_t say(sync_zone_t *w, const char *room, uint64_t id,
    size_t before, const char *text, size_t limit);
static sync_str_t *late(const char *room, ngx_uint_t *n, ngx_uint_t *cut);
static int model_right(text_model_t *m);
static void leave(void);


static sync_zone_t     z, workers[2];
static sync_record_t  *client;
static uint64_t        host;
static sync_texts_t    texts;
static u_char          buf[1024 * 1024] __attribute__ ((aligned(8)));
static text_model_t    models[TEXT_MODELS];


int
main(int argc, char **argv)
{
    zone_begin(argc, argv);
    zone_create(&z, 4 * SYNC_ZONE_MIN);

    zone_worker(&workers[0], &z, 0);
    zone_worker(&workers[1], &z, 1);

    host = z.sh->id;
    client = zone_client(&workers[1], "late");

    test_one();
    test_limits();
    test_hosts();
    test_owners();
    test_model();

    sync_registry_remove(&workers[1], client);
    ok(zone_right(&z), "right in the end");

    zone_destroy();

    return unit_done();
}


static void
test_one(void)
{
    ngx_int_t      rc;
    ngx_uint_t     n, cut;
    sync_joined_t  j;
    sync_entry_t  *e;

    is_int(say(&workers[0], "a", 7, 0, "", 100), SYNC_DECLINED,
           "nobody is there");
    (void) say(&workers[0], "a", 7, 0, "Once ", 100);
    (void) say(&workers[0], "a", 7, 5, "upon", 100);
    is_int(sync_text_count(&z), 1, "a text");

    texts.buf = buf;
    texts.size = 8;
    rc = sync_room_join_texts(&workers[1], zone_name("a"), zone_rule(0),
                              client, 1, &j, &texts);
    ok(rc == SYNC_AGAIN && texts.need > 8 && client->nrooms == 0,
       "a buffer that is too small: nothing has changed");

    is_str(late("a", &n, &cut), "Once upon", "who joins is given it");
    ok(n == 1 && !cut, "one entry");

    e = (sync_entry_t *) buf;
    ok(e->len == sizeof(TEXT_HEAD) - 1 + 9 + sizeof(TEXT_TAIL) - 1
       && e->event_len == 3 && e->kind == SYNC_ENTRY_MESSAGE
       && e->size % SYNC_ENTRY_ALIGN == 0
       && sync_entry_extra_len(e) == 0, "as an entry of a log");

    is_str(late("b", &n, &cut), "", "another room");

    (void) say(&workers[0], "a", 7, 5, "upon", 100);
    is_str(late("a", &n, &cut), "Once upon", "a piece that comes again");
    (void) say(&workers[0], "a", 8, 0, "x", 100);
    (void) late("a", &n, &cut);
    is_int(n, 2, "another text");

    sync_text_end(&z, zone_name("a"), 7);
    sync_text_end(&z, zone_name("b"), 8);
    is_str(late("a", &n, &cut), "x", "one has ended");
    (void) say(&workers[0], "a", 7, 0, "Once ", 100);
    is_str(late("a", &n, &cut), "x", "and does not begin again");
    sync_text_end(&z, zone_name("a"), 8);
    ok(sync_text_count(&z) == 0 && zone_right(&z), "all have ended");
}


static void
test_limits(void)
{
    char        room[16];
    ngx_uint_t  i, n, cut, total;
    uint64_t    sum[SYNC_COUNT_MAX], was;

    (void) say(&workers[0], "a", 9, 0, "1234567890", 15);
    (void) say(&workers[0], "a", 9, 10, "12345", 15);
    (void) late("a", &n, &cut);
    ok(n == 1 && !cut, "at the limit");
    (void) say(&workers[0], "a", 9, 15, "x", 15);
    is_str(late("a", &n, &cut), "123456789012345", "above it");
    ok(cut, "is marked");
    (void) say(&workers[0], "a", 9, 16, "", 15);
    (void) say(&workers[0], "a", 9, 15, "", 15);
    is_str(late("a", &n, &cut), "123456789012345", "nothing after it");
    sync_text_end(&z, zone_name("a"), 9);

    (void) say(&workers[0], "a", 10, 0, "123456", 5);
    is_str(late("a", &n, &cut), "", "all of it above the limit");
    ok(n == 1 && cut, "is marked");
    sync_text_end(&z, zone_name("a"), 10);

    (void) say(&workers[0], "a", 11, 3, "x", 100);
    (void) late("a", &n, &cut);
    is_int(n, 0, "the beginning is missing");
    (void) say(&workers[0], "a", 11, 0, "abc", 100);
    (void) say(&workers[0], "a", 11, 4, "e", 100);
    is_str(late("a", &n, &cut), "abc", "a piece is missing");
    ok(cut, "is marked");
    sync_text_end(&z, zone_name("a"), 11);

    for (i = 0; i < SYNC_TEXTS_ROOM + 3; i++) {
        (void) say(&workers[0], "a", 100 + i, 0, "x", 100);
    }

    (void) late("a", &n, &cut);
    is_int(n, SYNC_TEXTS_ROOM, "texts of a room");

    sync_zone_counters(&z, sum);
    was = sum[SYNC_COUNT_TEXTS_CUT];

    for (i = 0; i < SYNC_TEXTS_MAX; i++) {
        sprintf(room, "r%d", (int) i);
        (void) say(&workers[0], room, 1000 + i, 0, "x", 100);
    }

    total = sync_text_count(&z);
    sync_zone_counters(&z, sum);

    ok(total == SYNC_TEXTS_MAX
       && sum[SYNC_COUNT_TEXTS_CUT] - was == SYNC_TEXTS_ROOM,
       "texts of a zone, others are counted");
    ok(zone_right(&z), "right");

    for (i = 0; i < SYNC_TEXTS_MAX; i++) {
        sprintf(room, "r%d", (int) i);
        sync_text_end(&z, zone_name(room), 1000 + i);
        sync_text_end(&z, zone_name("a"), 100 + i);
    }

    ok(sync_text_count(&z) == 0 && zone_right(&z), "all have ended");
}


static void
test_hosts(void)
{
    ngx_uint_t  i, n, cut;

    host = z.sh->id + 1;

    for (i = 0; i < SYNC_TEXTS_MAX + 5; i++) {
        char  room[16];

        sprintf(room, "h%d", (int) i);
        (void) say(&workers[0], room, 2000 + i, 0, "x", 100);
    }

    is_int(sync_text_count(&z), SYNC_TEXTS_MAX,
           "those of other hosts give way");
    is_str(late("h260", &n, &cut), "x", "to newer ones");

    for (i = 0; i <= SYNC_TEXTS_BUCKETS; i++) {
        sync_room_expire(&z);
    }

    is_int(sync_text_count(&z), SYNC_TEXTS_MAX, "none is over");

    ngx_cached_time->sec += SYNC_TEXT_IDLE / 1000 + 2;

    for (i = 0; i <= SYNC_TEXTS_BUCKETS; i++) {
        sync_room_expire(&z);
    }

    is_int(sync_text_count(&z), 0, "till they were silent for long");

    ngx_cached_time->sec -= SYNC_TEXT_IDLE / 1000 + 2;
    host = z.sh->id;
    ok(zone_right(&z), "right");
}


static void
test_owners(void)
{
    ngx_uint_t   n, cut;
    sync_zone_t  gone;

    zone_worker(&gone, &z, 2);

    (void) say(&workers[0], "a", 31, 0, "mine", 100);
    (void) say(&gone, "a", 32, 0, "gone", 100);
    (void) late("a", &n, &cut);
    is_int(n, 2, "two owners");

    sync_worker_release(&gone);
    is_str(late("a", &n, &cut), "mine", "one gives up its slot");

    gone.self = &z.sh->workers[2];
    (void) say(&gone, "a", 33, 0, "late", 100);
    is_str(late("a", &n, &cut), "mine", "and begins none");

    sync_text_end(&z, zone_name("a"), 31);
    ok(zone_right(&z), "right");
}


static void
test_model(void)
{
    char           piece[300];
    size_t         len;
    ngx_uint_t     i, k, bad;
    text_model_t  *m;

    bad = 0;

    for (i = 0; i < TEXT_ROUNDS && bad == 0; i++) {

        m = &models[zone_random(TEXT_MODELS)];

        if (m->id == 0) {
            ngx_memzero(m, sizeof(text_model_t));
            sprintf(m->room, "m%d", (int) zone_random(5));
            m->id = zone_random64() | 1;
            m->known = 1;
        }

        switch (zone_random(50)) {

        case 0:
            sync_text_end(&workers[zone_random(2)], zone_name(m->room),
                          m->id);
            m->id = 0;
            break;

        case 1:

            /* one gets lost */

            m->known &= (m->said > 0);
            m->said += 1;
            break;

        case 2:
        case 3:
        case 4:
            bad += !model_right(m);
            break;

        default:
            len = zone_random(sizeof(piece));

            for (k = 0; k < len; k++) {
                piece[k] = (char) ('a' + zone_random(26));
            }

            piece[len] = '\0';

            (void) say(&workers[zone_random(2)], m->room, m->id, m->said,
                       piece, TEXT_LIMIT);

            if (m->said == m->len && !m->cut && m->known
                && m->len + len <= TEXT_LIMIT)
            {
                memcpy(m->text + m->len, piece, len);
                m->len += len;

            } else {
                m->cut = 1;
            }

            m->said += len;
        }
    }

    is_int(bad, 0, "as the model");

    for (i = 0; i < TEXT_MODELS; i++) {
        if (models[i].id) {
            sync_text_end(&z, zone_name(models[i].room), models[i].id);
        }
    }

    ok(sync_text_count(&z) == 0 && zone_right(&z), "nothing is left");
}


static int
model_right(text_model_t *m)
{
    size_t         len;
    u_char        *p;
    ngx_uint_t     n, cut;
    sync_entry_t  *e;

    (void) late(m->room, &n, &cut);

    for (p = buf; p < buf + texts.len; p += e->size) {
        e = (sync_entry_t *) p;
        len = e->len - (sizeof(TEXT_HEAD) - 1) - (sizeof(TEXT_TAIL) - 1);

        if (len == m->len
            && memcmp(sync_entry_json(e) + sizeof(TEXT_HEAD) - 1, m->text,
                      len) == 0)
        {
            return !m->known || m->said == 0
                   || ((e->flags & SYNC_TEXT_CUT) != 0) == m->cut
                   || len == 0;
        }
    }

    return !m->known || m->said == 0;
}


static ngx_int_t
say(sync_zone_t *w, const char *room, uint64_t id, size_t before,
    const char *text, size_t limit)
{
    u_char              extra[SYNC_TEXT_EXTRA];
    sync_message_t      m;
    sync_published_t    p;
    sync_text_piece_t   piece;

    static char         json[1024];

    sprintf(json, TEXT_HEAD "%s" TEXT_TAIL, text);
    zone_message(&m, json);

    piece.host = host;
    piece.owner = sync_text_owner(w);
    piece.id = id;
    piece.before = (uint32_t) before;
    piece.at = sizeof(TEXT_HEAD) - 1;
    piece.len = (uint32_t) strlen(text);
    piece.limit = (uint32_t) limit;

    sync_text_write(extra, &piece);

    m.flags = SYNC_TEXT_PIECE;
    m.extra.data = extra;
    m.extra.len = SYNC_TEXT_EXTRA;

    return sync_room_publish(w, zone_name(room), NULL, zone_rule(0), &m, &p);
}


/* What who joins now is given: the first text, and how many there are. */

static sync_str_t *
late(const char *room, ngx_uint_t *n, ngx_uint_t *cut)
{
    u_char         *p;
    size_t          len;
    sync_entry_t   *e;
    sync_joined_t   j;

    static sync_str_t  s;

    *n = 0;
    *cut = 0;
    s.len = 0;

    texts.buf = buf;
    texts.size = sizeof(buf);

    if (sync_room_join_texts(&workers[1], zone_name(room), zone_rule(0),
                             client, 1, &j, &texts)
        != SYNC_OK)
    {
        zone_bail("no join");
    }

    for (p = buf; p < buf + texts.len; p += e->size) {
        e = (sync_entry_t *) p;

        if ((*n)++ == 0) {
            len = e->len - (sizeof(TEXT_HEAD) - 1) - (sizeof(TEXT_TAIL) - 1);
            s.data = sync_entry_json(e) + sizeof(TEXT_HEAD) - 1;
            s.len = len;
            *cut = e->flags & SYNC_TEXT_CUT;
        }
    }

    leave();

    return &s;
}


static void
leave(void)
{
    while (client->members) {
        sync_room_leave(&workers[1], client->members);
    }
}
