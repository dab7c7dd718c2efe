
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_audience.h>
#include <sync_cluster.h>
#include <sync_deliver.h>
#include <sync_fanout.h>
#include <sync_relief.h>
#include <sync_report.h>
#include <sync_fanout_stage.h>
#include <sync_late.h>
#include <sync_notify.h>
#include <sync_order.h>
#include <sync_replay.h>
#include <sync_roster.h>
#include <sync_wake.h>
#include <sync_name.h>


#define SYNC_FANOUT_BUFFER  65536       /* bytes, grows to the largest entry */
#define SYNC_FANOUT_TAKES   64          /* rooms a turn */
#define SYNC_FANOUT_AHEAD   8           /* clients looked ahead */


static void sync_fanout_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static void sync_fanout_leave_member(sync_client_t *c, sync_member_t *m);
static void sync_fanout_move(sync_audience_t *a, uint32_t to, uint32_t from);
static void sync_fanout_go_on(void);
static void sync_fanout_lost(sync_audience_t *a, sync_take_t *t);
static ngx_int_t sync_fanout_grow(size_t need);
static void sync_fanout_begin(sync_audience_t *a);
static void sync_fanout_mark(sync_entry_t *e);
static ngx_uint_t sync_fanout_serve(sync_audience_t *a, ngx_uint_t n);
static void sync_fanout_release(sync_audience_t *a);
static void sync_fanout_end(sync_audience_t *a);


sync_fanout_worker_t  sync_fanout_worker;


ngx_int_t
sync_fanout_init_worker(sync_main_settings_t *main,
    sync_fanout_obey_pt obey, sync_fanout_heed_pt heed)
{
    sync_fanout_worker_t  *w;

    static sync_str_t  name = { 0, (u_char *) "" };

    w = &sync_fanout_worker;

    ngx_memzero(w, sizeof(sync_fanout_worker_t));

    w->main = main;
    w->obey = obey;
    w->heed = heed;
    w->zone = main->zone;

    ngx_rbtree_init(&w->audiences, &w->sentinel, sync_fanout_insert);
    ngx_queue_init(&w->active);
    ngx_queue_init(&w->ready);

    w->host = sync_fanout_create(&name);

    return w->host ? SYNC_OK : SYNC_ERROR;
}


uint64_t
sync_fanout_host_cookie(void)
{
    return (uintptr_t) sync_fanout_worker.host;
}


ngx_uint_t
sync_fanout_audiences(void)
{
    /* less the host's */

    return sync_fanout_worker.naudiences
           ? sync_fanout_worker.naudiences - 1 : 0;
}


ngx_uint_t
sync_fanout_clients(sync_client_t ***clients)
{
    *clients = sync_fanout_worker.host->seats;

    return sync_fanout_worker.host->n;
}


ngx_int_t
sync_fanout_enter(sync_client_t *c)
{
    sync_audience_t  *a;

    a = sync_fanout_worker.host;

    if (sync_fanout_reserve(a) != SYNC_OK) {
        return SYNC_ERROR;
    }

    c->seat = a->n;
    a->seats[a->n++] = c;

    c->record->flags |= SYNC_RECORD_MET;

    return SYNC_OK;
}


void
sync_fanout_exit(sync_client_t *c)
{
    sync_stage_exit(c);
    sync_roster_leave(c);

    while (c->record->members) {
        sync_fanout_leave_member(c, c->record->members);
    }

    sync_fanout_forget_all(c);

    sync_fanout_unseat(sync_fanout_worker.host, c->seat);
}


ngx_int_t
sync_fanout_join(sync_client_t *c, sync_str_t *name)
{
    ngx_int_t         rc;
    sync_rule_t      *rule;
    sync_joined_t     j;
    sync_audience_t  *a;

    if (sync_fanout_member(c, name)) {
        return SYNC_DECLINED;
    }

    a = sync_fanout_lookup(name);

    if (a == NULL) {
        a = sync_fanout_create(name);
        if (a == NULL) {
            return SYNC_ERROR;
        }
    }

    rc = sync_fanout_reserve(a);

    if (rc == SYNC_OK) {
        rule = sync_settings_rule(sync_fanout_worker.main, name);

        rc = sync_late_join(c, name, &rule->room, (uintptr_t) a, &j);
    }

    if (rc != SYNC_OK) {
        if (a->n == 0) {
            sync_fanout_destroy(a);
        }

        return rc;
    }

    a->interest = j.interest;
    j.interest->cookie = (uintptr_t) a;
    a->room = j.member->room;
    a->recoverable = (a->room->history != 0);

    if (a->n == 0) {
        a->last = j.interest->cursor;
    }

    j.member->index = a->n;
    a->seats[a->n++] = c;

    if (j.member->start > a->late) {
        a->late = j.member->start;
    }

    if (a->n == 1) {
        sync_cluster_joined(name);
    }

    sync_order_joined(c, j.member);

    if (!sync_name_is_private(name)) {
        sync_zone_count(sync_fanout_worker.zone, SYNC_COUNT_JOINS, 1);
        sync_notify_client(c, SYNC_HOOK_JOINED, name);
    }

    return SYNC_OK;
}


ngx_int_t
sync_fanout_leave(sync_client_t *c, sync_str_t *name)
{
    sync_member_t  *m;

    m = sync_fanout_member(c, name);

    if (m == NULL) {
        return SYNC_DECLINED;
    }

    sync_fanout_leave_member(c, m);
    sync_notify_client(c, SYNC_HOOK_LEFT, name);

    return SYNC_OK;
}


static void
sync_fanout_leave_member(sync_client_t *c, sync_member_t *m)
{
    sync_audience_t  *a;

    a = sync_fanout_audience(m);

    sync_late_forget(m);
    sync_fanout_forget(c, m);
    sync_order_left(c, m->room);
    sync_fanout_unseat(a, m->index);

    if (a->n == 0) {

        /* the interest may stay, for a client that is about to arrive */

        m->interest->cookie = 0;
        m->interest->behind = 0;
    }

    if (!sync_room_is_private(m->room)) {
        sync_zone_count(sync_fanout_worker.zone, SYNC_COUNT_LEAVES, 1);
    }

    sync_room_leave(sync_fanout_worker.zone, m);

    /* with its last member the interest went, and maybe the room */

    if (a->n == 0) {
        sync_fanout_destroy(a);
    }
}


ngx_uint_t
sync_fanout_is_member(sync_client_t *c, sync_str_t *name)
{
    return sync_fanout_member(c, name) != NULL;
}


sync_room_t *
sync_fanout_room(sync_client_t *c, sync_str_t *name)
{
    sync_member_t  *m;

    m = sync_fanout_member(c, name);

    return m ? m->room : NULL;
}


ngx_uint_t
sync_fanout_rooms(sync_client_t *c, sync_str_t *names, ngx_uint_t n)
{
    ngx_uint_t      i;
    sync_member_t  *m;

    i = sync_registry_rooms(c->record);

    /* they are linked newest first */

    for (m = c->record->members; m; m = m->next) {

        if (sync_room_is_private(m->room)) {
            continue;
        }

        i--;

        if (i < n) {
            names[i].data = m->room->name;
            names[i].len = m->room->len;
        }
    }

    return sync_registry_rooms(c->record);
}


/* The links are this worker's own: no lock is needed to read them. */

sync_member_t *
sync_fanout_member(sync_client_t *c, sync_str_t *name)
{
    sync_member_t  *m;

    for (m = c->record->members; m; m = m->next) {
        if (m->room->len == name->len
            && ngx_memcmp(m->room->name, name->data, name->len) == 0)
        {
            return m;
        }
    }

    return NULL;
}


/* The audiences of a worker: by name, so that prefixes are ranges. */

static void
sync_fanout_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t  **p;

    for ( ;; ) {

        p = sync_fanout_compare(&((sync_audience_t *) node)->name,
                                &((sync_audience_t *) temp)->name) < 0
            ? &temp->left : &temp->right;

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


ngx_int_t
sync_fanout_compare(sync_str_t *s1, sync_str_t *s2)
{
    ngx_int_t  rc;

    rc = ngx_memcmp(s1->data, s2->data, ngx_min(s1->len, s2->len));

    return rc ? rc : (ngx_int_t) s1->len - (ngx_int_t) s2->len;
}


sync_audience_t *
sync_fanout_lookup(sync_str_t *name)
{
    ngx_int_t           rc;
    sync_audience_t    *a;
    ngx_rbtree_node_t  *node, *sentinel;

    node = sync_fanout_worker.audiences.root;
    sentinel = sync_fanout_worker.audiences.sentinel;

    while (node != sentinel) {
        a = (sync_audience_t *) node;

        rc = sync_fanout_compare(name, &a->name);

        if (rc == 0) {
            return a;
        }

        node = rc < 0 ? node->left : node->right;
    }

    return NULL;
}


sync_audience_t *
sync_fanout_create(sync_str_t *name)
{
    sync_audience_t  *a;

    a = ngx_alloc(sizeof(sync_audience_t) + name->len, ngx_cycle->log);
    if (a == NULL) {
        return NULL;
    }

    ngx_memzero(a, sizeof(sync_audience_t));

    a->name.len = name->len;
    a->name.data = (u_char *) a + sizeof(sync_audience_t);
    ngx_memcpy(a->name.data, name->data, name->len);

    /* the host's has no name, and no rule */

    if (name->len) {
        a->slow = sync_settings_rule(sync_fanout_worker.main, name)->slow;
    }

    ngx_rbtree_insert(&sync_fanout_worker.audiences, &a->node);
    sync_fanout_worker.naudiences++;

    return a;
}


void
sync_fanout_destroy(sync_audience_t *a)
{
    if (!a->gone) {
        ngx_rbtree_delete(&sync_fanout_worker.audiences, &a->node);
        sync_fanout_worker.naudiences--;
        a->gone = 1;
    }

    sync_relief_forget(a);

    if (a->serving) {
        return;
    }

    if (a->stage) {
        sync_stage_destroy(a->stage);
        a->stage = NULL;
    }

    if (a->batch) {
        sync_fanout_end(a);
        sync_fanout_release(a);
    }

    if (a->seats) {
        ngx_free(a->seats);
    }

    ngx_free(a);
}


ngx_int_t
sync_fanout_reserve(sync_audience_t *a)
{
    uint32_t         max;
    sync_client_t  **seats;

    if (a->n < a->max) {
        return SYNC_OK;
    }

    max = a->max + a->max / 8 + 2;

    seats = realloc(a->seats, max * sizeof(sync_client_t *));
    if (seats == NULL) {
        return SYNC_ERROR;
    }

    a->seats = seats;
    a->max = max;

    return SYNC_OK;
}


/*
 * The last seat fills the hole.  In the middle of a batch the seats before
 * a->next were served: the last of them fills the hole first, and the last
 * of all takes its place, so that nobody is served twice or passed over.
 */

void
sync_fanout_unseat(sync_audience_t *a, uint32_t i)
{
    if (a->stage) {
        sync_stage_forget(a->stage, a->seats[i]);
    }

    if (i < a->next) {
        a->next--;
        sync_fanout_move(a, i, a->next);
        i = a->next;
    }

    a->n--;
    sync_fanout_move(a, i, a->n);
}


static void
sync_fanout_move(sync_audience_t *a, uint32_t to, uint32_t from)
{
    sync_client_t  *c;

    if (to == from) {
        return;
    }

    c = a->seats[from];
    a->seats[to] = c;

    if (a == sync_fanout_worker.host) {
        c->seat = to;

    } else {
        sync_fanout_membership(a, c)->index = to;
    }
}


sync_member_t *
sync_fanout_membership(sync_audience_t *a, sync_client_t *c)
{
    sync_member_t  *m;

    m = c->record->members;

    while (m->interest != a->interest) {
        m = m->next;
    }

    return m;
}


void
sync_fanout_look(void)
{
    ngx_int_t              rc;
    ngx_uint_t             i, n, served;
    sync_take_t            t;
    sync_zone_t           *z;
    sync_audience_t       *a;
    sync_fanout_worker_t  *w;

    w = &sync_fanout_worker;
    z = w->zone;

    w->looks++;

    sync_late_tell();
    sync_fanout_go_on();

    ngx_memzero(&t, sizeof(sync_take_t));

    n = SYNC_FANOUT_SLICE;

    for (i = 0; i < SYNC_FANOUT_TAKES && n; i++) {

        sync_fanout_overtake();

        t.buf = w->buf + SYNC_GAP_MAX;
        t.size = w->size;
        t.ahead = w->ahead;

        rc = sync_room_take(z, &t);

        if (rc == SYNC_AGAIN) {
            if (sync_fanout_grow(t.need) != SYNC_OK) {
                break;
            }

            continue;
        }

        if (rc == SYNC_BUSY) {

            /* clients that came from another worker are seated first */

            sync_wake_self(1);
            break;
        }

        if (rc != SYNC_OK) {
            break;
        }

        if (t.lost) {
            sync_zone_count(z, SYNC_COUNT_OVERRUN, t.lost);
        }

        a = (sync_audience_t *) (uintptr_t) t.cookie;

        if (t.peeked) {

            /* what is said to all takes several turns */

            sync_fanout_reply(t.buf, t.len);
            continue;
        }

        if (a == NULL) {

            /* for clients that were about to come from one that died */

            continue;
        }

        a->rest = t.buf;
        a->rest_len = t.len;

        if (a->recoverable && (t.lost || t.reset)) {
            sync_fanout_lost(a, &t);
        }

        if (a->rest_len) {

            /* who heeds a command may be the last to leave */

            a->serving = 1;

            sync_fanout_begin(a);

            served = sync_fanout_serve(a, n);
            n -= ngx_min(served, n);
        }
    }

    sync_fanout_overtake();

    w->behind = sync_replay_go_on();

    w->behind |= (i == SYNC_FANOUT_TAKES || n == 0
                  || !ngx_queue_empty(&w->active));

    sync_client_finish();

    if (w->behind) {
        sync_wake_self(1);
    }

    if (w->looked) {
        w->looked();
    }
}


void
sync_fanout_watch(void (*looked)(void))
{
    sync_fanout_worker.looked = looked;
}


ngx_uint_t
sync_fanout_behind(void)
{
    return sync_fanout_worker.behind;
}


ngx_uint_t
sync_fanout_looks(void)
{
    return sync_fanout_worker.looks;
}


/* What earlier turns left goes on, a slice of it. */

static void
sync_fanout_go_on(void)
{
    ngx_uint_t             n, served;
    ngx_queue_t           *q;
    sync_audience_t       *a;
    sync_fanout_worker_t  *w;

    w = &sync_fanout_worker;
    n = SYNC_FANOUT_SLICE;

    while (n && !ngx_queue_empty(&w->active)) {
        a = ngx_queue_data(ngx_queue_head(&w->active), sync_audience_t,
                           active);

        served = sync_fanout_serve(a, n);
        n -= ngx_min(served, n);
    }

    /* the next time another one is first */

    if (!ngx_queue_empty(&w->active)) {
        q = ngx_queue_head(&w->active);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&w->active, q);
    }
}


/* The members are to know before they hear what came after. */

static void
sync_fanout_lost(sync_audience_t *a, sync_take_t *t)
{
    size_t  len;

    len = sync_deliver_gap(t->buf, &a->name,
                           t->reset ? SYNC_RESUME_RESET : SYNC_RESUME_TRIMMED,
                           &t->at);

    a->rest = t->buf - len;
    a->rest_len += len;
}


static ngx_int_t
sync_fanout_grow(size_t need)
{
    u_char                *p;
    sync_fanout_worker_t  *w;

    w = &sync_fanout_worker;

    need = ngx_max(need, SYNC_FANOUT_BUFFER);

    p = ngx_alloc(SYNC_GAP_MAX + need, ngx_cycle->log);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    if (w->buf) {
        ngx_free(w->buf);
    }

    w->buf = p;
    w->size = need;

    return SYNC_OK;
}


/*
 * Makes a batch of what is in a->rest: all of it, or, for the host's
 * audience, the next message, commands before it being obeyed.
 */

static void
sync_fanout_begin(sync_audience_t *a)
{
    sync_batch_t          *b;
    sync_fanout_worker_t  *w;

    w = &sync_fanout_worker;

    if (a == w->host) {
        sync_fanout_obey(a);

    } else if (sync_name_is_private(&a->name)) {
        sync_fanout_heed(a);
    }

    if (a->rest_len == 0) {
        return;
    }

    b = w->spare;

    if (b) {
        w->spare = NULL;

    } else {
        b = ngx_alloc(sizeof(sync_batch_t), ngx_cycle->log);
        if (b == NULL) {
            sync_zone_count(w->zone, SYNC_COUNT_OVERRUN, 1);
            a->rest_len = 0;
            return;
        }
    }

    sync_batch_init(b, a->rest, a->rest_len, a == w->host);

    b->recoverable = a->recoverable;

    a->rest += b->len;
    a->rest_len -= b->len;
    a->batch = b;
    a->next = 0;

    if (((sync_entry_t *) b->entries)->kind == SYNC_ENTRY_PATTERN) {
        sync_fanout_mark((sync_entry_t *) b->entries);
    }
}


/* Marks the clients that are in a room the pattern matches. */

static void
sync_fanout_mark(sync_entry_t *e)
{
    size_t                 len;
    uint32_t               i;
    sync_str_t             prefix, wide;
    sync_audience_t       *a;
    ngx_rbtree_node_t     *node, *next, *sentinel;
    sync_fanout_worker_t  *w;
    u_char                 name[SYNC_NAME_MAX + 1];

    w = &sync_fanout_worker;
    w->mark++;

    prefix.data = sync_entry_subject(e);
    prefix.len = e->subject_len - 1;

    /* wider patterns */

    wide.data = name;

    for (len = 0; w->zone->sh->npatterns && len < prefix.len; len++) {

        ngx_memcpy(name, prefix.data, len);
        name[len] = '*';
        wide.len = len + 1;

        a = sync_fanout_lookup(&wide);

        for (i = 0; a && i < a->n; i++) {
            a->seats[i]->mark = w->mark;
        }
    }

    /* all names that begin with the prefix stand together */

    sentinel = w->audiences.sentinel;
    next = NULL;

    for (node = w->audiences.root; node != sentinel; /* void */) {
        a = (sync_audience_t *) node;

        if (sync_fanout_compare(&a->name, &prefix) < 0) {
            node = node->right;

        } else {
            next = node;
            node = node->left;
        }
    }

    for (node = next; node; node = ngx_rbtree_next(&w->audiences, node)) {
        a = (sync_audience_t *) node;

        if (a == w->host || sync_name_is_private(&a->name)) {
            continue;
        }

        if (a->name.len < prefix.len
            || ngx_memcmp(a->name.data, prefix.data, prefix.len) != 0)
        {
            break;
        }

        for (i = 0; i < a->n; i++) {
            a->seats[i]->mark = w->mark;
        }
    }
}


/*
 * Delivers the batch to the next n members; returns how many were served.
 * The audience may be gone then: its last member may have been closed.
 */

static ngx_uint_t
sync_fanout_serve(sync_audience_t *a, ngx_uint_t n)
{
    ngx_uint_t  served;

    served = 0;
    a->serving = 1;

    while (a->batch) {

        if (a->batch->staged) {

            if (!a->batch->told && sync_fanout_stage(a) == SYNC_AGAIN) {
                break;
            }

            a->next = a->n;
        }

        if (a->next == a->n) {
            sync_fanout_end(a);

            if (a->rest_len) {
                sync_fanout_begin(a);
            }

            continue;
        }

        if (served >= n && sync_fanout_keep(a) == SYNC_OK) {
            break;
        }

        if (a->next + SYNC_FANOUT_AHEAD < a->n) {
            __builtin_prefetch(a->seats[a->next + SYNC_FANOUT_AHEAD]);
        }

        sync_deliver(a, a->batch, a->seats[a->next++]);
        served++;
    }

    a->serving = 0;

    if (a->batch == NULL) {
        sync_fanout_release(a);
    }

    if (a->gone) {
        sync_fanout_destroy(a);
    }

    return served;
}


/*
 * The delivery goes on in another turn: the entries must outlive the take
 * buffer, and no more are to be taken from the room till then.
 */

ngx_int_t
sync_fanout_keep(sync_audience_t *a)
{
    size_t         len;
    u_char        *p;
    sync_batch_t  *b;

    if (a->kept) {
        return SYNC_OK;
    }

    b = a->batch;
    len = b->len + a->rest_len;

    p = ngx_alloc(len, ngx_cycle->log);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    ngx_memcpy(p, b->entries, len);

    b->entries = p;
    sync_batch_moved(b);

    a->rest = p + b->len;
    a->kept = p;

    ngx_queue_insert_tail(&sync_fanout_worker.active, &a->active);

    if (a == sync_fanout_worker.host) {
        a->interest = sync_fanout_worker.zone->self->host;
        sync_fanout_worker.waiting = 1;
    }

    sync_room_hold(sync_fanout_worker.zone, a->interest, 1);

    return SYNC_OK;
}


static void
sync_fanout_release(sync_audience_t *a)
{
    if (a->kept == NULL) {
        return;
    }

    ngx_queue_remove(&a->active);
    ngx_free(a->kept);
    a->kept = NULL;

    if (!a->gone) {
        sync_room_hold(sync_fanout_worker.zone, a->interest, 0);
    }
}


static void
sync_fanout_end(sync_audience_t *a)
{
    sync_batch_t          *b;
    sync_fanout_worker_t  *w;

    w = &sync_fanout_worker;
    b = a->batch;

    if (b->counted) {
        sync_report_batch(b);
    }

    sync_batch_done(b);

    a->last = b->last;

    if (w->spare == NULL) {
        w->spare = b;

    } else {
        ngx_free(b);
    }

    a->batch = NULL;
    a->next = 0;
}
