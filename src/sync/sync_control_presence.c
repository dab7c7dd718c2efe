
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control_op.h>
#include <sync_name.h>
#include <sync_presence_store.h>


/*
 * Users, here or waited for, in the order of the bytes of their names: each
 * page looks at all clients, or at the room's, and picks those that come next.
 * So pages of several hosts are put together as those of sync_control_wide.c.
 */


#define SYNC_CONTROL_PRESENCE_PAGE  64      /* clients read at once */


typedef struct {
    ngx_uint_t              clients;
    ngx_uint_t              away;       /* of them */
    uint32_t                active;     /* s since the epoch */
    uint64_t                left;       /* ms since the epoch */
    uint64_t                end;        /* the same, of the grace; 0: none */
    uint8_t                 len;
    u_char                  user[SYNC_SESSION_USER];
} sync_control_user_t;


typedef struct {
    sync_str_t              room;       /* or none */
    sync_str_t              user;       /* the same */
    sync_str_t              cursor;
    ngx_uint_t              limit;
    ngx_uint_t              n;
    sync_control_user_t   **order;      /* limit + 1 of them */
    ngx_uint_t              more;
} sync_control_present_t;


static ngx_int_t sync_control_present_init(sync_control_t *ctl,
    sync_control_present_t *cp);
static ngx_int_t sync_control_present_clients(sync_control_t *ctl,
    sync_control_present_t *cp);
static void sync_control_present_client(sync_control_present_t *cp,
    sync_record_info_t *info);
static ngx_int_t sync_control_present_graces(sync_control_t *ctl,
    sync_control_present_t *cp);
static ngx_uint_t sync_control_present_was_in(sync_presence_copy_t *copy,
    sync_str_t *room);
static sync_control_user_t *sync_control_present_user(
    sync_control_present_t *cp, u_char *user, size_t len);
static int sync_control_present_compare(const u_char *one, size_t one_len,
    const u_char *two, size_t two_len);
static json_t *sync_control_present_json(sync_control_t *ctl,
    sync_control_user_t *u);


ngx_int_t
sync_control_presence(sync_control_t *ctl)
{
    json_t                  *users;
    ngx_uint_t               i;
    sync_control_user_t     *last;
    sync_control_present_t   cp;

    if (sync_control_present_init(ctl, &cp) != SYNC_OK
        || sync_control_present_clients(ctl, &cp) != SYNC_OK
        || sync_control_present_graces(ctl, &cp) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    if (cp.room.len) {
        sync_control_set(ctl, ctl->answer, "room",
                         sync_control_text(cp.room.data, cp.room.len));
    }

    users = json_array();
    sync_control_set(ctl, ctl->answer, "users", users);

    for (i = 0; i < cp.n; i++) {

        if (json_array_append_new(users,
                                  sync_control_present_json(ctl, cp.order[i]))
            != 0)
        {
            return SYNC_ERROR;
        }
    }

    last = (cp.more && cp.n) ? cp.order[cp.n - 1] : NULL;

    sync_control_set(ctl, ctl->answer, "cursor",
                     last ? sync_control_text(last->user, last->len)
                          : json_null());

    return SYNC_OK;
}


static ngx_int_t
sync_control_present_init(sync_control_t *ctl, sync_control_present_t *cp)
{
    ngx_uint_t            i;
    sync_control_user_t  *users;

    ngx_memzero(cp, sizeof(sync_control_present_t));

    if (sync_control_name(ctl, "room", &cp->room) == SYNC_ERROR
        || sync_control_string(ctl, "user", &cp->user) == SYNC_ERROR
        || sync_control_string(ctl, "cursor", &cp->cursor) == SYNC_ERROR
        || sync_control_limit(ctl, 1, &cp->limit) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    if (cp->cursor.len > SYNC_SESSION_USER) {
        return sync_control_invalid(ctl, "\"cursor\" is none of this list");
    }

    cp->order = ngx_palloc(ctl->pool,
                           cp->limit * sizeof(sync_control_user_t *));
    if (cp->order == NULL) {
        return SYNC_ERROR;
    }

    users = ngx_palloc(ctl->pool, cp->limit * sizeof(sync_control_user_t));
    if (users == NULL) {
        return SYNC_ERROR;
    }

    for (i = 0; i < cp->limit; i++) {
        cp->order[i] = &users[i];
    }

    return SYNC_OK;
}


static ngx_int_t
sync_control_present_clients(sync_control_t *ctl, sync_control_present_t *cp)
{
    u_char              *ids;
    uint32_t             bucket;
    ngx_uint_t           i, n, from, total;
    sync_zone_t         *z;
    sync_record_info_t  *info;

    z = ctl->main->zone;

    info = ngx_palloc(ctl->pool, SYNC_CONTROL_PRESENCE_PAGE
                                 * (sizeof(sync_record_info_t) + SYNC_ID_LEN));
    if (info == NULL) {
        return SYNC_ERROR;
    }

    if (cp->room.len == 0) {
        bucket = 0;

        while (bucket <= z->sh->mask) {
            n = sync_registry_page(z, &bucket, info,
                                   SYNC_CONTROL_PRESENCE_PAGE);

            for (i = 0; i < n; i++) {
                sync_control_present_client(cp, &info[i]);
            }
        }

        return SYNC_OK;
    }

    from = 0;
    ids = (u_char *) &info[SYNC_CONTROL_PRESENCE_PAGE];

    do {
        n = sync_room_members(z, &cp->room, from, ids,
                              SYNC_CONTROL_PRESENCE_PAGE, &total);

        for (i = 0; i < n; i++) {

            if (sync_registry_info(z, ids + i * SYNC_ID_LEN, info)
                == SYNC_OK)
            {
                sync_control_present_client(cp, info);
            }
        }

        from += n;

    } while (n == SYNC_CONTROL_PRESENCE_PAGE);

    return SYNC_OK;
}


static void
sync_control_present_client(sync_control_present_t *cp,
    sync_record_info_t *info)
{
    sync_control_user_t  *u;

    if (!info->presence) {
        return;
    }

    u = sync_control_present_user(cp, info->user, info->user_len);

    if (u) {
        u->clients++;
        u->away += info->away;
        u->active = ngx_max(u->active, info->active);
    }
}


static ngx_int_t
sync_control_present_graces(sync_control_t *ctl, sync_control_present_t *cp)
{
    uint32_t               bucket;
    uint64_t               now;
    ngx_time_t            *tp;
    ngx_uint_t             skip;
    sync_control_user_t   *u;
    sync_presence_copy_t  *copy;

    copy = ngx_palloc(ctl->pool, sizeof(sync_presence_copy_t));
    if (copy == NULL) {
        return SYNC_ERROR;
    }

    skip = 0;
    bucket = 0;
    tp = ngx_timeofday();
    now = (uint64_t) tp->sec * 1000 + tp->msec;

    while (sync_presence_list(ctl->main->zone, &bucket, &skip, copy)
           == SYNC_OK)
    {
        if (copy->state != SYNC_PRESENCE_GRACE
            || (cp->room.len && !sync_control_present_was_in(copy, &cp->room)))
        {
            continue;
        }

        u = sync_control_present_user(cp, copy->user.data, copy->user.len);

        if (u) {
            u->left = copy->since;
            u->end = now + (ngx_msec_int_t) (copy->deadline
                                             - ngx_current_msec);
        }
    }

    return SYNC_OK;
}


static ngx_uint_t
sync_control_present_was_in(sync_presence_copy_t *copy, sync_str_t *room)
{
    sync_str_t     name;
    const u_char  *p;

    p = copy->rooms.data;

    while (sync_presence_next_room(&p, copy->rooms.data + copy->rooms.len,
                                   &name)
           == SYNC_OK)
    {
        if (sync_str_eq(&name, room)) {
            return 1;
        }
    }

    return 0;
}


/* The user's place in the page, or NULL if it has none there. */

static sync_control_user_t *
sync_control_present_user(sync_control_present_t *cp, u_char *user,
    size_t len)
{
    int                   rc;
    ngx_uint_t            low, high, middle;
    sync_control_user_t  *u;

    if (len == 0
        || (cp->user.len && (len != cp->user.len
                             || ngx_memcmp(user, cp->user.data, len) != 0))
        || (cp->cursor.len
            && sync_control_present_compare(user, len, cp->cursor.data,
                                            cp->cursor.len)
               <= 0))
    {
        return NULL;
    }

    low = 0;
    high = cp->n;

    while (low < high) {
        middle = (low + high) / 2;
        u = cp->order[middle];

        rc = sync_control_present_compare(u->user, u->len, user, len);

        if (rc == 0) {
            return u;
        }

        if (rc < 0) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    if (cp->n == cp->limit) {

        cp->more = 1;

        if (low == cp->n) {
            return NULL;
        }

        cp->n--;
    }

    /* the place of the greatest, or one that was free */

    u = cp->order[cp->n];

    ngx_memmove(&cp->order[low + 1], &cp->order[low],
                (cp->n - low) * sizeof(sync_control_user_t *));

    cp->order[low] = u;
    cp->n++;

    ngx_memzero(u, sizeof(sync_control_user_t));

    u->len = (uint8_t) len;
    ngx_memcpy(u->user, user, len);

    return u;
}


static int
sync_control_present_compare(const u_char *one, size_t one_len,
    const u_char *two, size_t two_len)
{
    int  rc;

    rc = ngx_memcmp(one, two, ngx_min(one_len, two_len));

    return rc ? rc : (int) one_len - (int) two_len;
}


static json_t *
sync_control_present_json(sync_control_t *ctl, sync_control_user_t *u)
{
    json_t      *json;
    const char  *state;

    state = "grace";

    if (u->clients) {
        state = (u->away < u->clients) ? "online" : "afk";
    }

    json = json_object();

    sync_control_set(ctl, json, "userId", sync_control_text(u->user, u->len));
    sync_control_set(ctl, json, "state", json_string(state));
    sync_control_set(ctl, json, "clients", json_integer(u->clients));

    if (u->clients) {
        sync_control_set(ctl, json, "lastActivity",
                         json_integer((json_int_t) u->active * 1000));

    } else {
        sync_control_set(ctl, json, "leftAt", json_integer(u->left));
        sync_control_set(ctl, json, "endTime", json_integer(u->end));
    }

    return json;
}


/* The same user, as another host has it. */

void
sync_control_presence_merge(sync_control_t *ctl, json_t *one, json_t *other)
{
    json_t      *v;
    json_int_t   n;
    const char  *s, *t;

    n = json_integer_value(json_object_get(one, "clients"));
    s = json_string_value(json_object_get(one, "state"));
    t = json_string_value(json_object_get(other, "state"));

    if (s == NULL || t == NULL || ngx_strcmp(t, "grace") == 0) {
        return;
    }

    /* whoever has clients knows more, and a later word counts */

    if (n == 0) {
        (void) json_object_del(one, "leftAt");
        (void) json_object_del(one, "endTime");
        (void) json_object_update(one, other);
        return;
    }

    n += json_integer_value(json_object_get(other, "clients"));
    sync_control_set(ctl, one, "clients", json_integer(n));

    if (ngx_strcmp(s, "afk") == 0) {
        sync_control_set(ctl, one, "state", json_string(t));
    }

    v = json_object_get(other, "lastActivity");

    if (json_integer_value(v)
        > json_integer_value(json_object_get(one, "lastActivity")))
    {
        sync_control_set(ctl, one, "lastActivity", json_incref(v));
    }
}
