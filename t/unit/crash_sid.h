
/*
 * Copyright (C) sync for nginx
 */


#ifndef _CRASH_SID_H_INCLUDED_
#define _CRASH_SID_H_INCLUDED_


/* What crash_test.c does with Engine.IO sessions, and with copied logs. */


#define CRASH_ENDPOINT  7


static sync_sid_t       *sid;
static u_char            sid_id[SYNC_SID_LEN];
static sync_wake_set_t   sid_wake;


static void
prepare_sid(void)
{
    prepare_met();
    take();

    zone_random_id(sid_id);

    sid = sync_sid_create(&worker, sid_id, CRASH_ENDPOINT, 1);
    if (sid == NULL) {
        zone_bail("no session");
    }

    sync_sid_set_record(&worker, sid, mine);
    sid_wake.n = 0;
}


/* the survivor wants it, and all is read */

static void
prepare_move(void)
{
    prepare_sid();

    if (sync_sid_claim(&z, sid_id, CRASH_ENDPOINT, 77, &sid_wake) != SYNC_OK) {
        zone_bail("no claim");
    }
}


/* the same of an inner one */

static void
prepare_inner(void)
{
    prepare_met();
    take();

    zone_random_id(sid_id);

    sid = sync_sid_create(&worker, sid_id, SYNC_SID_INNER, 1);

    if (sid == NULL
        || sync_sid_claim(&z, sid_id, SYNC_SID_INNER, 77, &sid_wake)
           != SYNC_OK)
    {
        zone_bail("no inner session");
    }

    sync_sid_set_record(&worker, sid, mine);
    sid_wake.n = 0;
}


/* one comes and goes, and the list of them is written */

static void
sid_inner(void)
{
    sync_sid_t  *s;
    u_char       id[SYNC_SID_LEN];

    ngx_memcpy(id, sid_id, SYNC_SID_LEN);
    id[SYNC_SID_LEN - 1] ^= 1;

    s = sync_sid_create(&worker, id, SYNC_SID_INNER, 2);

    if (s == NULL) {
        return;
    }

    (void) sync_sid_set_inner(&worker, sid, id, SYNC_SID_LEN);
    (void) sync_sid_set_inner(&worker, sid, id, 3);
    (void) sync_sid_set_inner(&worker, sid, NULL, 0);

    sync_sid_close(&worker, s, &sid_wake);
}


static void
sid_move(void)
{
    (void) sync_sid_move(&worker, sid, &sid_wake);
}


/* it has come from the survivor, in a room where the worker has no member */

static void
prepare_arrival(void)
{
    sync_joined_t  j;

    prepare_none();

    mine = met(&z, "mine");
    zone_random_id(sid_id);

    (void) sync_room_join(&z, zone_name("chat:9"), zone_rule(0), mine, 4, &j);
    (void) sync_room_join(&z, zone_name("chat:1"), zone_rule(0), mine, 1, &j);

    sid = sync_sid_create(&z, sid_id, CRASH_ENDPOINT, 1);
    if (sid == NULL) {
        zone_bail("no session");
    }

    sync_sid_set_record(&z, sid, mine);

    if (sync_sid_claim(&worker, sid_id, CRASH_ENDPOINT, 78, &sid_wake)
        != SYNC_OK
        || sync_sid_move(&z, sid, &sid_wake) != SYNC_OK)
    {
        zone_bail("no move");
    }
}


static void
sid_arrive(void)
{
    sync_sid_news_t  news;

    while (sync_sid_news(&worker, &news) == SYNC_OK) { /* void */ }

    sync_sid_set_record(&worker, sid, NULL);
    remove_record();
    sync_sid_close(&worker, sid, &sid_wake);
}


static void
sid_create(void)
{
    sync_sid_t  *s;

    s = sync_sid_create(&worker, sid_id, CRASH_ENDPOINT, 2);

    if (s) {
        sync_sid_close(&worker, s, &sid_wake);
    }
}


static sync_sid_chunk_t *
sid_chunk(void)
{
    sync_sid_chunk_t  *chunk;

    chunk = sync_sid_chunk(&worker, 5);

    if (chunk) {
        chunk->kind = 0;
        ngx_memcpy(chunk->data, "chunk", 5);
    }

    return chunk;
}


/* a POST, which the owner reads */

static void
sid_post(void)
{
    ngx_uint_t         adopt;
    sync_sid_chunk_t  *chunk;

    (void) sync_sid_put(&worker, sid_id, CRASH_ENDPOINT, sid_chunk(), 1000,
                        &adopt, &sid_wake);

    chunk = sync_sid_in(&worker, sid);

    if (chunk) {
        sync_sid_free_chunk(&worker, chunk);
    }
}


/* a GET, which is answered */

static void
sid_get(void)
{
    ngx_uint_t         adopt;
    sync_sid_t        *s;
    sync_sid_chunk_t  *chunks;

    if (sync_sid_poll(&worker, sid_id, CRASH_ENDPOINT, 3, 0, &s, &adopt,
                      &sid_wake)
        != SYNC_OK)
    {
        return;
    }

    sync_sid_give(&worker, sid, sid_chunk(), &sid_wake);

    if (sync_sid_take(&worker, s, &chunks) == SYNC_OK) {
        sync_sid_sent(&worker, s, chunks, &sid_wake);
    }
}


/* The survivor closes what it has come to hold. */

static void
sid_settle(sync_zone_t *w)
{
    uint32_t          i;
    ngx_uint_t        slot;
    sync_sid_t       *s, *next;
    sync_record_t    *rec;
    sync_sid_news_t   news;

    while (sync_sid_news(w, &news) == SYNC_OK) { /* void */ }

    slot = sync_worker_slot(w, w->self);

    for (i = 0; i <= w->sh->sid_mask; i++) {

        for (s = w->sh->sids[i]; s; s = next) {
            next = s->next;

            if (s->owner.slot != slot || s->closed) {
                continue;
            }

            rec = s->record;

            sync_sid_set_record(w, s, NULL);
            sync_sid_close(w, s, &sid_wake);

            if (rec) {
                sync_registry_remove(w, rec);
            }
        }
    }
}


/* a room that follows a log elsewhere, and one that is begun for it */

static void
prepare_mirror(void)
{
    prepare_met();
    join("his:1", 3, mine);
    publish_id();
}


static void
mirror(const char *name, sync_position_t *prev, ngx_uint_t quiet)
{
    sync_message_t    m;
    sync_published_t  p;

    zone_message(&m, "[\"e\",1]");
    m.lsn = prev->lsn + 1;

    (void) sync_room_mirror(&worker, zone_name(name), prev, &m,
        quiet ? SYNC_MIRROR_QUIET : SYNC_MIRROR_TELL, &p);
}


static void
mirror_message(void)
{
    sync_position_t  top;

    (void) sync_room_top(&worker, zone_name("his:1"), &top);
    mirror("his:1", &top, 0);
}


static void
mirror_begin(void)
{
    sync_position_t  at;

    at.lsn = 5;
    at.nonce = 17;

    (void) sync_room_rebase(&worker, zone_name("old:3"), zone_rule(3), &at);
    mirror("old:3", &at, 1);
    sync_room_link(&worker, zone_name("old:3"), 4, &sid_wake);

    (void) sync_room_rebase(&worker, zone_name("new:2"), zone_rule(3), &at);
    mirror("new:2", &at, 1);
}


#endif /* _CRASH_SID_H_INCLUDED_ */
