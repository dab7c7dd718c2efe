
/*
 * Copyright (C) sync for nginx
 */


#ifndef _ZONE_H_INCLUDED_
#define _ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "unit.h"
#include "ngx_stub.h"
#include <sync_slot.h>
#include <sync_session_store.h>
#include <sync_sid.h>
#include <sync_room.h>
#include <sync_former.h>
#include <sync_rate.h>


/*
 * A zone for tests of the stores, whose memory children share.  Workers are
 * sync_zone_t's of their own: several in one process, or one in a child.
 */

#define ZONE_SLOTS  8


static ngx_shm_zone_t  *zone_shm;
static uint64_t         zone_seed;


#define zone_bail(text)                                                       \
    do {                                                                      \
        printf("Bail out! %s at line %d\n", text, __LINE__);                  \
        fflush(stdout);                                                       \
        exit(2);                                                              \
    } while (0)


/*
 * SplitMix64.  Workers begin anywhere on its one round of 2^64 numbers, and
 * none comes to where another began: their clients have ids of their own.
 */

unit_unused static uint64_t
zone_random64(void)
{
    uint64_t  n;

    zone_seed += 0x9e3779b97f4a7c15;

    n = zone_seed;
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9;
    n = (n ^ n >> 27) * 0x94d049bb133111eb;

    return n ^ n >> 31;
}


/* A number below n. */

unit_unused static ngx_uint_t
zone_random(ngx_uint_t n)
{
    return zone_random64() % n;
}


unit_unused static void
zone_begin(int argc, char **argv)
{
    ngx_stub_init();

    zone_seed = (argc > 1) ? strtoull(argv[1], NULL, 10)
                           : (uint64_t) time(NULL) << 32 ^ getpid();

    printf("# seed %llu\n", (unsigned long long) zone_seed);
}


unit_unused static void
zone_create(sync_zone_t *z, size_t size)
{
    void        *p, *copy;
    ngx_uint_t   i;

    zone_shm = ngx_stub_zone_create("test", size);
    if (zone_shm == NULL) {
        zone_bail("no zone");
    }

    size = zone_shm->shm.size;
    p = zone_shm->shm.addr;

    copy = malloc(size);
    if (copy == NULL) {
        zone_bail("no memory");
    }

    memcpy(copy, p, size);

    if (mmap(p, size, PROT_READ|PROT_WRITE,
             MAP_SHARED|MAP_ANONYMOUS|MAP_FIXED, -1, 0) != p)
    {
        zone_bail("mmap() failed");
    }

    memcpy(p, copy, size);
    free(copy);

    ngx_memzero(z, sizeof(sync_zone_t));
    z->mend = sync_sid_mend;

    if (sync_zone_init(z, zone_shm, NULL) != SYNC_OK) {
        zone_bail("sync_zone_init() failed");
    }

    z->sh->nworkers = ZONE_SLOTS;

    for (i = 0; i < ZONE_SLOTS; i++) {
        z->sh->workers[i].fd = 100 + i;
    }
}


/* Another worker of the same zone, in this process. */

unit_unused static void
zone_worker(sync_zone_t *w, sync_zone_t *z, uint64_t cookie)
{
    *w = *z;
    w->self = NULL;

    if (sync_worker_claim(w, cookie) != SYNC_OK) {
        zone_bail("sync_worker_claim() failed");
    }
}


unit_unused static void
zone_destroy(void)
{
    ngx_stub_zone_destroy(zone_shm);
}


/* What is wrong with the zone, or NULL. */

unit_unused static const char *
zone_check(sync_zone_t *z, size_t *lost)
{
    size_t       used;
    const char  *text;

    sync_zone_lock(z);
    text = sync_room_check(z, lost);

    if (text == NULL && z->sh->nsessions) {
        text = sync_session_store_check(z, &used);
        *lost -= used;
    }

    if (text == NULL) {
        text = sync_sid_check(z, &used);
        *lost -= used;
    }

    if (text == NULL && sync_rate_check_locked(z) != SYNC_OK) {
        text = "a rate is wrong";
    }

    sync_zone_unlock(z);

    return text;
}


/* The zone is right and nothing is lost; says what is not. */

unit_unused static int
zone_right(sync_zone_t *z)
{
    size_t       lost;
    const char  *text;

    lost = 0;
    text = zone_check(z, &lost);

    if (text) {
        printf("# %s\n", text);
        return 0;
    }

    if (lost) {
        printf("# %lu bytes are lost\n", (unsigned long) lost);
        return 0;
    }

    return 1;
}


unit_unused static void
zone_random_id(u_char *id)
{
    size_t  i;

    for (i = 0; i < SYNC_ID_LEN; i++) {
        id[i] = (u_char) zone_random(256);
    }
}


unit_unused static sync_record_t *
zone_client(sync_zone_t *z, const char *user)
{
    u_char      id[SYNC_ID_LEN];
    sync_str_t  s;

    zone_random_id(id);

    s.data = (u_char *) user;
    s.len = strlen(user);

    return sync_registry_add(z, SYNC_TRANSPORT_WEBSOCKET, id, &s, 7);
}


unit_unused static sync_str_t *
zone_name(const char *text)
{
    static sync_str_t  s;

    s.data = (u_char *) text;
    s.len = strlen(text);

    return &s;
}


unit_unused static sync_room_rule_t *
zone_rule(uint32_t history)
{
    static sync_room_rule_t  rule;

    rule.history = history;
    rule.ttl = 60;
    rule.limit = 64 * 1024;

    return &rule;
}


unit_unused static void
zone_message(sync_message_t *m, const char *text)
{
    ngx_memzero(m, sizeof(sync_message_t));

    m->json.data = (u_char *) text;
    m->json.len = strlen(text);
    m->event_len = 3;
    m->time = (uint64_t) ngx_time() * 1000;
    m->nonce = (uint32_t) zone_random(0x7fffffff);
}


#endif /* _ZONE_H_INCLUDED_ */
