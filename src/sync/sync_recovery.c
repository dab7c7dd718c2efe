
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_recovery.h>
#include <sync_absent.h>
#include <sync_fanout.h>
#include <sync_order.h>
#include <sync_replay.h>
#include <sync_roster.h>


/* A state, as it stands in the zone: head, rooms, steps, strings. */

typedef struct {
    u_char                token[SYNC_ID_LEN];   /* zeros: none */
    uint32_t              realm;
    uint16_t              nrooms;
    uint16_t              nsteps;
    uint16_t              nsp_len;
    uint8_t               user_len;
    uint8_t               cut;          /* more was queued before the steps */
    uint32_t              reserved;     /* rooms are aligned */
} sync_recovery_head_t;


typedef struct {
    uint64_t              top;          /* LSN queued up to */
    uint64_t              base;         /* before the first step */
    uint32_t              nonce;        /* of top */
    uint16_t              len;          /* bytes of its name */
    uint16_t              joined;       /* by who came back */
} sync_recovery_room_t;


typedef struct {
    uint64_t              lsn;
    uint32_t              room;         /* SYNC_RECOVERY_NONE: left */
    uint32_t              reserved;
} sync_recovery_step_t;


#define SYNC_RECOVERY_NONE  0xffffffff


struct sync_recovery_s {
    u_char                id[SYNC_ID_LEN];
    uint64_t              deadline;
    size_t                len;          /* bytes of state */
    sync_cluster_wait_t  *wait;
    ngx_uint_t            waited;       /* rooms */
    void                (*handler)(void *data);
    void                 *data;

    sync_position_t       offset;
    unsigned              has_offset:1;
    unsigned              bad_offset:1; /* it is no position */

    sync_recovery_head_t *head;
    sync_recovery_room_t *rooms;
    sync_recovery_step_t *steps;
    sync_str_t           *names;        /* of rooms */
    sync_position_t      *from;         /* where each is to go on */
    sync_str_t            nsp;
    sync_str_t            user;

    uint64_t              state[1];     /* len bytes */
};


static size_t sync_recovery_size(sync_client_t *c, sync_str_t *nsp,
    ngx_uint_t *n);
static ngx_int_t sync_recovery_write(sync_recovery_t *rv, sync_client_t *c,
    sync_str_t *nsp, ngx_uint_t n);
static ngx_int_t sync_recovery_write_room(sync_recovery_room_t *room,
    sync_client_t *c, sync_member_t *m);
static void sync_recovery_write_steps(sync_recovery_t *rv, sync_client_t *c,
    sync_order_t *order);
static sync_recovery_t *sync_recovery_create(size_t len);
static ngx_int_t sync_recovery_index(sync_recovery_t *rv);
static ngx_int_t sync_recovery_parse_pid(u_char *id, sync_json_t *v);
static void sync_recovery_parse_offset(sync_recovery_t *rv,
    sync_json_t *auth);
static void sync_recovery_linked(void *data);
static ngx_int_t sync_recovery_find(sync_recovery_t *rv, ngx_uint_t *found);
static ngx_int_t sync_recovery_place(sync_recovery_t *rv, ngx_uint_t k);
static void sync_recovery_walk(sync_recovery_t *rv, ngx_uint_t n);


void
sync_recovery_pid(u_char *text, const u_char *id)
{
    u_char  key[SYNC_ID_LEN];

    sync_absent_key(sync_client_zone(), key, id);

    sync_registry_print_id(text, id);
    sync_registry_print_id(text + SYNC_ID_TEXT, key);
}


sync_recovery_t *
sync_recovery_save(sync_client_t *c, sync_str_t *nsp)
{
    size_t            size;
    ngx_uint_t        n;
    sync_recovery_t  *rv;

    if (sync_settings(c)->recovery.time == 0 || c->expelled) {
        return NULL;
    }

    size = sync_recovery_size(c, nsp, &n);

    if (size == 0) {
        return NULL;
    }

    rv = NULL;

    if (size <= SYNC_RECOVERY_MAX) {
        rv = sync_recovery_create(size);
    }

    if (rv == NULL) {
        sync_zone_count(sync_client_zone(), SYNC_COUNT_RETURN_DROPPED, 1);
        return NULL;
    }

    ngx_memcpy(rv->id, c->record->id, SYNC_ID_LEN);

    if (sync_recovery_write(rv, c, nsp, n) != SYNC_OK) {
        ngx_free(rv);
        return NULL;
    }

    return rv;
}


/* 0: it cannot come back, as not all that it hears has a position. */

static size_t
sync_recovery_size(sync_client_t *c, sync_str_t *nsp, ngx_uint_t *n)
{
    size_t          size;
    sync_str_t      user;
    sync_order_t   *order;
    sync_member_t  *m;

    *n = 0;
    size = 0;

    for (m = c->record->members; m; m = m->next) {

        if (sync_room_is_private(m->room)) {
            continue;
        }

        if (m->room->history == 0) {
            return 0;
        }

        size += sizeof(sync_recovery_room_t) + m->room->len;
        (*n)++;
    }

    order = sync_order(c);

    if (*n > 1 && (order == NULL
                   || (c->record->flags & SYNC_RECORD_UNORDERED)))
    {
        return 0;
    }

    if (order && *n > 1) {
        size += order->n * sizeof(sync_recovery_step_t);
    }

    sync_registry_user(c->record, &user);

    return size + sizeof(sync_recovery_head_t) + user.len + nsp->len;
}


static ngx_int_t
sync_recovery_write(sync_recovery_t *rv, sync_client_t *c, sync_str_t *nsp,
    ngx_uint_t n)
{
    u_char         *p;
    sync_str_t      user;
    sync_order_t   *order;
    sync_member_t  *m;

    ngx_memzero(rv->state, rv->len);

    rv->head = (sync_recovery_head_t *) rv->state;
    rv->rooms = (sync_recovery_room_t *) (rv->head + 1);
    rv->steps = (sync_recovery_step_t *) (rv->rooms + n);

    sync_registry_user(c->record, &user);
    order = sync_order(c);

    if (c->token) {
        ngx_memcpy(rv->head->token, c->token->id, SYNC_ID_LEN);
    }

    rv->head->realm = sync_settings(c)->session->realm;
    rv->head->nrooms = (uint16_t) n;
    rv->head->nsp_len = (uint16_t) nsp->len;
    rv->head->user_len = (uint8_t) user.len;
    rv->head->cut = (c->record->flags & SYNC_RECORD_UNORDERED)
                    || (order && order->cut);

    if (order && n > 1) {
        sync_recovery_write_steps(rv, c, order);
    }

    p = (u_char *) (rv->steps + rv->head->nsteps);
    p = ngx_cpymem(p, user.data, user.len);

    if (nsp->len) {
        p = ngx_cpymem(p, nsp->data, nsp->len);
    }

    n = 0;

    for (m = c->record->members; m; m = m->next) {

        if (sync_room_is_private(m->room)) {
            continue;
        }

        if (sync_recovery_write_room(&rv->rooms[n++], c, m) != SYNC_OK) {
            return SYNC_ERROR;
        }

        p = ngx_cpymem(p, m->room->name, m->room->len);
    }

    return SYNC_OK;
}


static ngx_int_t
sync_recovery_write_room(sync_recovery_room_t *room, sync_client_t *c,
    sync_member_t *m)
{
    ngx_uint_t        i;
    sync_order_t     *order;
    sync_position_t   top;

    room->top = sync_fanout_reached(c, m);
    room->base = m->start;
    room->len = m->room->len;

    order = sync_order(c);

    for (i = 0; order && i < order->nbases; i++) {
        if (order->bases[i].room == m->room) {
            room->base = order->bases[i].lsn;
        }
    }

    if (sync_room_position(sync_client_zone(), m->room, room->top, &top)
        != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    room->nonce = top.nonce;

    return SYNC_OK;
}


static void
sync_recovery_write_steps(sync_recovery_t *rv, sync_client_t *c,
    sync_order_t *order)
{
    ngx_uint_t             i, k;
    sync_member_t         *m;
    sync_recovery_step_t  *step;

    for (i = 0; i < order->n; i++) {
        step = &rv->steps[rv->head->nsteps++];

        step->lsn = order->steps[i].lsn;
        step->room = SYNC_RECOVERY_NONE;

        k = 0;

        for (m = c->record->members; m; m = m->next) {

            if (sync_room_is_private(m->room)) {
                continue;
            }

            if (m->room == order->steps[i].room) {
                step->room = k;
            }

            k++;
        }
    }
}


void
sync_recovery_keep(sync_client_t *c, sync_recovery_t *rv)
{
    sync_settings_t  *s;

    s = sync_settings(c);

    rv->deadline = ngx_current_msec + s->recovery.time;

    sync_recovery_free(rv, c, 1);
}


static sync_recovery_t *
sync_recovery_create(size_t len)
{
    sync_recovery_t  *rv;

    rv = ngx_alloc(sizeof(sync_recovery_t) + len, ngx_cycle->log);
    if (rv == NULL) {
        return NULL;
    }

    ngx_memzero(rv, sizeof(sync_recovery_t));
    rv->len = len;

    return rv;
}


sync_recovery_t *
sync_recovery_take(sync_client_t *c, sync_json_t *auth)
{
    ssize_t           n;
    u_char            id[SYNC_ID_LEN];
    uint64_t          deadline;
    sync_json_t       v;
    sync_zone_t      *z;
    sync_recovery_t  *rv;

    static uint64_t   buf[SYNC_RECOVERY_MAX / sizeof(uint64_t)];

    if (sync_settings(c)->recovery.time == 0
        || sync_json_get(&v, auth, "pid") != SYNC_OK)
    {
        return NULL;
    }

    z = sync_client_zone();
    n = SYNC_DECLINED;

    if (sync_recovery_parse_pid(id, &v) == SYNC_OK) {
        n = sync_absent_take(z, id, (u_char *) buf, sizeof(buf), &deadline);
    }

    rv = (n >= 0) ? sync_recovery_create(n) : NULL;

    if (rv == NULL) {
        sync_zone_count(z, SYNC_COUNT_RETURN_FAILED, 1);
        return NULL;
    }

    ngx_memcpy(rv->id, id, SYNC_ID_LEN);
    ngx_memcpy(rv->state, buf, n);
    rv->deadline = deadline;

    if (sync_recovery_index(rv) != SYNC_OK) {
        sync_recovery_free(rv, c, 0);
        sync_zone_count(z, SYNC_COUNT_RETURN_FAILED, 1);
        return NULL;
    }

    sync_recovery_parse_offset(rv, auth);

    return rv;
}


/* Where all is in the state, which some worker wrote. */

static ngx_int_t
sync_recovery_index(sync_recovery_t *rv)
{
    u_char                *p;
    ngx_uint_t             i;
    sync_recovery_head_t  *head;

    head = (sync_recovery_head_t *) rv->state;

    rv->head = head;
    rv->rooms = (sync_recovery_room_t *) (head + 1);
    rv->steps = (sync_recovery_step_t *) (rv->rooms + head->nrooms);

    rv->names = ngx_alloc((head->nrooms + 1) * (sizeof(sync_str_t)
                                                + sizeof(sync_position_t)),
                          ngx_cycle->log);
    if (rv->names == NULL) {
        return SYNC_ERROR;
    }

    rv->from = (sync_position_t *) (rv->names + head->nrooms + 1);

    p = (u_char *) (rv->steps + head->nsteps);

    rv->user.data = p;
    rv->user.len = head->user_len;
    p += head->user_len;

    rv->nsp.data = p;
    rv->nsp.len = head->nsp_len;
    p += head->nsp_len;

    for (i = 0; i < head->nrooms; i++) {
        rv->names[i].data = p;
        rv->names[i].len = rv->rooms[i].len;
        p += rv->rooms[i].len;
    }

    return SYNC_OK;
}


/* Nobody learns by the time it takes how much of a key was right. */

static ngx_int_t
sync_recovery_parse_pid(u_char *id, sync_json_t *v)
{
    u_char       diff, buf[SYNC_RECOVERY_PID];
    u_char       key[SYNC_ID_LEN], given[SYNC_ID_LEN];
    ngx_uint_t   i;
    sync_str_t   pid;

    if (sync_json_string(&pid, v, buf, sizeof(buf)) != SYNC_OK
        || pid.len != SYNC_RECOVERY_PID
        || sync_registry_parse_id(id, pid.data, SYNC_ID_TEXT) != SYNC_OK
        || sync_registry_parse_id(given, pid.data + SYNC_ID_TEXT,
                                  SYNC_ID_TEXT) != SYNC_OK)
    {
        return SYNC_DECLINED;
    }

    sync_absent_key(sync_client_zone(), key, id);

    diff = 0;

    for (i = 0; i < SYNC_ID_LEN; i++) {
        diff |= key[i] ^ given[i];
    }

    return diff ? SYNC_DECLINED : SYNC_OK;
}


static void
sync_recovery_parse_offset(sync_recovery_t *rv, sync_json_t *auth)
{
    u_char       buf[SYNC_POSITION_LEN];
    sync_str_t   s;
    sync_json_t  v;

    if (sync_json_get(&v, auth, "offset") != SYNC_OK
        || v.type == SYNC_JSON_NULL)
    {
        return;
    }

    if (sync_json_string(&s, &v, buf, sizeof(buf)) == SYNC_OK
        && sync_position_parse(&rv->offset, &s) == SYNC_OK)
    {
        rv->has_offset = 1;
        return;
    }

    rv->bad_offset = 1;
}


u_char *
sync_recovery_id(sync_recovery_t *rv)
{
    return rv->id;
}


ngx_uint_t
sync_recovery_is(sync_recovery_t *rv, sync_client_t *c, sync_str_t *user,
    sync_str_t *token, sync_str_t *nsp)
{
    u_char  id[SYNC_ID_LEN];

    ngx_memzero(id, SYNC_ID_LEN);

    if (token->len) {
        sync_token_id(id, token);
    }

    return ngx_memcmp(rv->head->token, id, SYNC_ID_LEN) == 0
           && rv->head->realm == sync_settings(c)->session->realm
           && sync_str_eq(&rv->user, user)
           && sync_str_eq(&rv->nsp, nsp);
}


ngx_int_t
sync_recovery_wait(sync_recovery_t *rv, void (*handler)(void *data),
    void *data)
{
    sync_str_t  none;

    rv->handler = handler;
    rv->data = data;

    /* what it knows it was told here */

    none.len = 0;

    while (rv->waited < rv->head->nrooms) {

        if (sync_cluster_wait(&rv->names[rv->waited++], &none,
                              sync_recovery_linked, rv, &rv->wait)
            == SYNC_AGAIN)
        {
            return SYNC_AGAIN;
        }
    }

    return SYNC_OK;
}


static void
sync_recovery_linked(void *data)
{
    sync_recovery_t *rv = data;

    rv->wait = NULL;

    if (sync_recovery_wait(rv, rv->handler, rv->data) == SYNC_OK) {
        rv->handler(rv->data);
    }
}


ngx_int_t
sync_recovery_plan(sync_recovery_t *rv)
{
    ngx_int_t         rc;
    ngx_uint_t        i, k;
    sync_zone_t      *z;
    sync_position_t   known;

    z = sync_client_zone();

    if (rv->head->nrooms == 0) {
        return SYNC_OK;
    }

    if (rv->bad_offset) {
        return SYNC_DECLINED;
    }

    for (i = 0; i < rv->head->nrooms; i++) {

        if (!sync_cluster_linked(&rv->names[i])) {
            return SYNC_DECLINED;
        }

        rv->from[i].lsn = rv->rooms[i].base;
    }

    if (rv->has_offset) {
        rc = sync_recovery_find(rv, &k);

        if (rc == SYNC_OK) {
            rc = sync_recovery_place(rv, k);
        }

    } else {

        /* it got nothing at all */

        rc = rv->head->cut ? SYNC_DECLINED : SYNC_OK;
    }

    for (i = 0; rc == SYNC_OK && i < rv->head->nrooms; i++) {
        known.lsn = rv->rooms[i].top;
        known.nonce = rv->rooms[i].nonce;

        rc = sync_room_recall(z, &rv->names[i], &known, &rv->from[i]);
    }

    return rc == SYNC_OK ? SYNC_OK : SYNC_DECLINED;
}


/* The room that the offset is of. */

static ngx_int_t
sync_recovery_find(sync_recovery_t *rv, ngx_uint_t *found)
{
    ngx_uint_t        i, n;
    sync_position_t   known, pos;

    n = 0;
    *found = 0;

    for (i = 0; i < rv->head->nrooms; i++) {
        known.lsn = rv->rooms[i].top;
        known.nonce = rv->rooms[i].nonce;
        pos.lsn = rv->offset.lsn;

        if (sync_room_recall(sync_client_zone(), &rv->names[i], &known, &pos)
            == SYNC_OK
            && pos.nonce == rv->offset.nonce)
        {
            *found = i;
            n++;
        }
    }

    return (n == 1) ? SYNC_OK : SYNC_DECLINED;
}


/* What had been queued of the others before the offset, of the room k. */

static ngx_int_t
sync_recovery_place(sync_recovery_t *rv, ngx_uint_t k)
{
    uint64_t     lsn;
    ngx_uint_t   i, j;

    lsn = rv->offset.lsn;
    rv->from[k].lsn = lsn;

    if (rv->head->nrooms == 1) {
        return SYNC_OK;
    }

    for (i = rv->head->nsteps; i > 0; i--) {

        if (rv->steps[i - 1].room != k || rv->steps[i - 1].lsn < lsn) {
            continue;
        }

        for (j = i - 1; j > 0; j--) {
            if (rv->steps[j - 1].room == k) {
                break;
            }
        }

        if (lsn > (j ? rv->steps[j - 1].lsn : rv->rooms[k].base)) {
            sync_recovery_walk(rv, i - 1);
            rv->from[k].lsn = lsn;

            return SYNC_OK;
        }
    }

    /* older than all that it was queued: it got none of that */

    return (lsn <= rv->rooms[k].base && !rv->head->cut) ? SYNC_OK
                                                        : SYNC_DECLINED;
}


static void
sync_recovery_walk(sync_recovery_t *rv, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (rv->steps[i].room != SYNC_RECOVERY_NONE) {
            rv->from[rv->steps[i].room].lsn = rv->steps[i].lsn;
        }
    }
}


ngx_int_t
sync_recovery_enter(sync_recovery_t *rv, sync_client_t *c)
{
    ngx_int_t           rc;
    ngx_uint_t          i;
    sync_str_t          pos;
    sync_resumption_t   r;
    u_char              buf[SYNC_POSITION_LEN];

    rc = sync_recovery_plan(rv);

    /* the last one is what it joined first */

    for (i = rv->head->nrooms; rc == SYNC_OK && i-- > 0; /* void */) {

        rc = sync_fanout_join(c, &rv->names[i]);

        if (rc == SYNC_OK) {
            rv->rooms[i].joined = 1;

        } else if (rc != SYNC_DECLINED) {
            break;
        }

        rc = SYNC_OK;

        pos.data = buf;
        pos.len = sync_position_print(buf, &rv->from[i]) - buf;

        sync_replay_resume(c, &rv->names[i], &pos, &r);

        if (r.reason != SYNC_RESUME_OK) {
            rc = SYNC_DECLINED;
        }
    }

    if (rc == SYNC_OK) {
        sync_zone_count(sync_client_zone(), SYNC_COUNT_RETURNED, 1);
        sync_roster_back(c);
        return SYNC_OK;
    }

    sync_zone_count(sync_client_zone(), SYNC_COUNT_RETURN_FAILED, 1);

    for (i = 0; i < rv->head->nrooms; i++) {
        if (rv->rooms[i].joined) {
            (void) sync_fanout_leave(c, &rv->names[i]); /* it is there */
        }
    }

    return SYNC_DECLINED;
}


void
sync_recovery_free(sync_recovery_t *rv, sync_client_t *c, ngx_uint_t back)
{
    sync_zone_t  *z;

    z = sync_client_zone();

    if (rv->wait) {
        sync_cluster_wait_cancel(rv->wait);
    }

    if (back
        && sync_absent_put(z, rv->id, rv->deadline,
                           sync_settings(c)->recovery.max,
                           (u_char *) rv->state, rv->len)
           != SYNC_OK)
    {
        sync_zone_count(z, SYNC_COUNT_RETURN_DROPPED, 1);
    }

    if (rv->names) {
        ngx_free(rv->names);
    }

    ngx_free(rv);
}
