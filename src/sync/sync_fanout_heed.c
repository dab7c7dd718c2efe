
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_audience.h>
#include <sync_fanout.h>
#include <sync_name.h>


/*
 * What stands in a log for the worker and not for members: commands, and what
 * is said to single clients, in the host's own room; commands to those who
 * have a token, in the token's.
 *
 * They have their turn in the order of their log.  Answers to clients do not
 * wait for a message to all that takes several turns: what was said in a room
 * after an answer is not to be heard before it.
 */


static ngx_uint_t sync_fanout_heeds(sync_audience_t *a, sync_client_t *c,
    sync_entry_t *e);
static void sync_fanout_heed_all(sync_audience_t *a, sync_entry_t *e);
static sync_audience_t *sync_fanout_after(sync_str_t *name);


void
sync_fanout_obey(sync_audience_t *a)
{
    sync_entry_t  *e;

    while (a->rest_len) {
        e = (sync_entry_t *) a->rest;

        if (e->kind != SYNC_ENTRY_COMMAND
            && e->kind != SYNC_ENTRY_CLIENT
            && e->kind != SYNC_ENTRY_REPLY
            && e->kind != SYNC_ENTRY_ROOMS)
        {
            return;
        }

        a->rest += e->size;
        a->rest_len -= e->size;

        if (e->kind == SYNC_ENTRY_REPLY && e->lsn <= sync_fanout_worker.ahead)
        {
            /* it was obeyed before its turn */

            continue;
        }

        sync_fanout_worker.obey(e);
    }
}


void
sync_fanout_overtake(void)
{
    sync_fanout_worker_t  *w;

    w = &sync_fanout_worker;

    if (w->waiting) {
        w->waiting = 0;

        if (w->host->kept) {
            sync_fanout_reply(w->host->rest, w->host->rest_len);
        }
    }
}


void
sync_fanout_reply(u_char *p, size_t len)
{
    u_char        *last;
    sync_entry_t  *e;

    for (last = p + len; p < last; p += e->size) {
        e = (sync_entry_t *) p;

        if (e->lsn <= sync_fanout_worker.ahead) {
            continue;
        }

        sync_fanout_worker.ahead = e->lsn;

        if (e->kind == SYNC_ENTRY_REPLY) {
            sync_fanout_worker.obey(e);
        }
    }
}


/* Commands in the room of a token, before the next message. */

void
sync_fanout_heed(sync_audience_t *a)
{
    sync_entry_t  *e;

    while (a->rest_len) {
        e = (sync_entry_t *) a->rest;

        if (e->kind != SYNC_ENTRY_COMMAND) {
            return;
        }

        a->rest += e->size;
        a->rest_len -= e->size;

        sync_fanout_heed_all(a, e);
    }
}


static void
sync_fanout_heed_all(sync_audience_t *a, sync_entry_t *e)
{
    uint32_t        i;
    sync_client_t  *c;

    i = 0;

    while (i < a->n) {
        c = a->seats[i];

        if (c->token) {
            a->told = c->token->version;
        }

        if (e == NULL || sync_fanout_heeds(a, c, e)) {
            sync_fanout_worker.heed(c, e);
        }

        /* one that was closed left its seat to another */

        if (i < a->n && a->seats[i] == c) {
            i++;
        }
    }
}


static ngx_uint_t
sync_fanout_heeds(sync_audience_t *a, sync_client_t *c, sync_entry_t *e)
{
    u_char      *id;
    ngx_uint_t   i;

    if (sync_fanout_membership(a, c)->start >= e->lsn) {
        return 0;
    }

    id = sync_entry_except(e);

    for (i = 0; i < e->nexcept; i++) {
        if (ngx_memcmp(id, c->record->id, SYNC_ID_LEN) == 0) {
            return 0;
        }

        id += SYNC_ID_LEN;
    }

    return 1;
}


void
sync_fanout_seen(sync_client_t *c)
{
    sync_member_t    *m;
    sync_audience_t  *a;

    for (m = c->record->members; m; m = m->next) {

        if (sync_room_is_private(m->room)) {
            a = sync_fanout_audience(m);

            if (a->n == 1) {
                a->told = c->token->version;
            }

            return;
        }
    }
}


/* Whoever heeds may close clients, and with them any audience. */

void
sync_fanout_review(void)
{
    sync_str_t        name;
    sync_client_t    *c;
    sync_audience_t  *a;
    u_char            buf[SYNC_NAME_MAX];

    buf[0] = SYNC_NAME_PRIVATE;

    name.data = buf;
    name.len = 1;

    for ( ;; ) {
        a = sync_fanout_after(&name);

        if (a == NULL || !sync_name_is_private(&a->name)) {
            return;
        }

        name.len = a->name.len;
        ngx_memcpy(buf, a->name.data, name.len);

        c = a->n ? a->seats[0] : NULL;

        if (c == NULL || c->token == NULL || c->token->version == a->told) {
            continue;
        }

        a->serving = 1;

        sync_fanout_heed_all(a, NULL);

        a->serving = 0;

        if (a->gone) {
            sync_fanout_destroy(a);
        }
    }
}


/* The audience with the first name that is above this one, or NULL. */

static sync_audience_t *
sync_fanout_after(sync_str_t *name)
{
    sync_audience_t    *a, *found;
    ngx_rbtree_node_t  *node, *sentinel;

    found = NULL;
    sentinel = sync_fanout_worker.audiences.sentinel;

    for (node = sync_fanout_worker.audiences.root; node != sentinel;
         /* void */)
    {
        a = (sync_audience_t *) node;

        if (sync_fanout_compare(&a->name, name) <= 0) {
            node = node->right;

        } else {
            found = a;
            node = node->left;
        }
    }

    return found;
}
