
/*
 * Copyright (C) sync for nginx
 */


#ifndef _CRASH_FORMER_H_INCLUDED_
#define _CRASH_FORMER_H_INCLUDED_


/* What crash_test.c does with clients that leave, and are remembered. */


static sync_record_t *
met(sync_zone_t *w, const char *user)
{
    sync_record_t  *rec;

    rec = zone_client(w, user);

    if (rec) {
        rec->flags |= SYNC_RECORD_MET;
    }

    return rec;
}


static void
prepare_met(void)
{
    prepare_rooms();
    mine->flags |= SYNC_RECORD_MET;
}


static void
set_user(void)
{
    (void) sync_registry_set_user(&worker, mine, zone_name("another"));
    (void) sync_registry_set_user(&worker, mine, zone_name(""));
    (void) sync_registry_set_user(&worker, mine, zone_name("third"));
}


/* of each some came before it, and some after */

static void
prepare_users(void)
{
    ngx_uint_t  i;

    static const char  *names[] = { "other", "another", "third" };

    prepare_none();

    for (i = 0; i < unit_count(names); i++) {
        (void) zone_client(&worker, names[i]);
    }

    mine = zone_client(&worker, "other");

    for (i = 0; i < unit_count(names); i++) {
        (void) zone_client(&worker, names[i]);
    }
}


static void
add_user(void)
{
    (void) zone_client(&worker, "other");
}


/* the clients of a user */

static ngx_uint_t
count_user(sync_zone_t *w, const char *name)
{
    ngx_uint_t              n, more;
    u_char                  ids[16 * SYNC_ID_LEN];
    sync_registry_cursor_t  cursor;

    n = 0;
    ngx_memzero(&cursor, sizeof(sync_registry_cursor_t));

    do {
        n += sync_registry_of_user(w, zone_name(name), &cursor, ids, 16,
                                   &more);
    } while (more);

    return n;
}


/* three have left, the first of whom was told of */

static void
prepare_formers(void)
{
    ngx_uint_t  i;

    prepare_met();

    for (i = 0; i < 3; i++) {
        sync_registry_remove(&worker, met(&worker, "former"));
    }

    sync_former_told(&worker, worker.sh->former_oldest->number);
}


static void
former_add(void)
{
    sync_former_add(&worker, mine);
}


static void
former_told(void)
{
    uint64_t  n;

    for (n = worker.sh->former_number - 2; n <= worker.sh->former_number; n++)
    {
        sync_former_told(&worker, n);
    }
}


/* none is to be remembered any more */

static void
former_expire(void)
{
    worker.remember = 0;
    sync_former_expire(&worker);
}


#endif /* _CRASH_FORMER_H_INCLUDED_ */
