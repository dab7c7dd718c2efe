
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control_op.h>
#include <sync_name.h>
#include <sync_roster.h>


/*
 * Pages of a list that several hosts have a part of: each gives what comes
 * next after the cursor, in the order of the bytes of names or ids, which is
 * the same everywhere.  So a page is the first of what all hosts gave, and
 * what comes, goes or dies meanwhile has nothing else given twice or missed.
 *
 * A zone keeps no such order: each page looks at all there is, or at all
 * clients of a user, and picks.
 */


#define SYNC_CONTROL_WIDE_PAGE  256     /* read at once */


/* The least of those that were offered, in order. */

typedef struct {
    size_t                 size;        /* bytes of each */
    ngx_uint_t             n;
    ngx_uint_t             max;
    u_char                *elts;
    uint32_t              *order;
    int                  (*compare)(const void *one, const void *two);
    unsigned               more:1;      /* there were others */
} sync_control_pick_t;


#define sync_control_picked(pick, i)                                          \
    ((void *) ((pick)->elts + (pick)->order[i] * (pick)->size))


static ngx_int_t sync_control_pick_init(sync_control_t *ctl,
    sync_control_pick_t *pick, size_t size, ngx_uint_t max,
    int (*compare)(const void *one, const void *two));
static void sync_control_pick(sync_control_pick_t *pick, const void *elt);
static int sync_control_wide_by_name(const void *one, const void *two);
static int sync_control_wide_by_id(const void *one, const void *two);
static ngx_int_t sync_control_wide_user(sync_control_t *ctl,
    sync_former_filter_t *filter, const u_char *after,
    sync_control_pick_t *pick);
static ngx_int_t sync_control_wide_id(sync_control_t *ctl, u_char *id);
static ngx_int_t sync_control_wide_list(sync_control_t *ctl,
    sync_control_pick_t *pick, const char *name, ngx_uint_t look);


ngx_int_t
sync_control_wide_rooms(sync_control_t *ctl)
{
    json_t               *rooms, *room;
    uint32_t              bucket;
    ngx_int_t             rc;
    ngx_uint_t            i, n, limit;
    sync_str_t            prefix, cursor;
    sync_zone_t          *z;
    sync_room_info_t     *info, after;
    sync_control_pick_t   pick;

    sync_str_set(&prefix, "");
    sync_str_set(&cursor, "");

    if (sync_control_string(ctl, "prefix", &prefix) == SYNC_ERROR
        || sync_control_limit(ctl, 1, &limit) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    rc = sync_control_string(ctl, "cursor", &cursor);

    if (rc == SYNC_ERROR) {
        return SYNC_ERROR;
    }

    if (cursor.len > SYNC_NAME_MAX) {
        return sync_control_invalid(ctl, "\"cursor\" is none of this list");
    }

    after.len = (uint16_t) cursor.len;
    ngx_memcpy(after.name, cursor.data, cursor.len);

    info = ngx_palloc(ctl->pool,
                      SYNC_CONTROL_WIDE_PAGE * sizeof(sync_room_info_t));
    if (info == NULL) {
        return SYNC_ERROR;
    }

    if (sync_control_pick_init(ctl, &pick, sizeof(sync_room_info_t), limit,
                               sync_control_wide_by_name)
        != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    z = ctl->main->zone;
    bucket = 0;

    while (bucket <= z->sh->mask) {

        n = sync_room_page(z, &prefix, &bucket, info, SYNC_CONTROL_WIDE_PAGE);

        for (i = 0; i < n; i++) {
            if (sync_control_wide_by_name(&info[i], &after) > 0) {
                sync_control_pick(&pick, &info[i]);
            }
        }
    }

    rooms = json_array();

    sync_control_set(ctl, ctl->answer, "rooms", rooms);

    for (i = 0; i < pick.n; i++) {
        info = sync_control_picked(&pick, i);
        room = json_object();

        sync_control_set(ctl, room, "room",
                         sync_control_text(info->name, info->len));
        sync_control_set(ctl, room, "members", json_integer(info->nmembers));

        if (json_array_append_new(rooms, room) != 0) {
            return SYNC_ERROR;
        }
    }

    sync_control_set(ctl, ctl->answer, "cursor",
                     pick.more ? sync_control_text(info->name, info->len)
                               : json_null());

    return SYNC_OK;
}


ngx_int_t
sync_control_wide_members(sync_control_t *ctl, sync_str_t *room)
{
    u_char               *ids, after[SYNC_ID_LEN];
    ngx_int_t             rc;
    ngx_uint_t            i, n, from, total, limit;
    sync_record_info_t    info;
    sync_control_pick_t   pick;

    rc = sync_control_wide_id(ctl, after);

    if (rc == SYNC_ERROR || sync_control_limit(ctl, 0, &limit) != SYNC_OK) {
        return SYNC_ERROR;
    }

    ids = ngx_pnalloc(ctl->pool, SYNC_CONTROL_WIDE_PAGE * SYNC_ID_LEN);
    if (ids == NULL) {
        return SYNC_ERROR;
    }

    if (sync_control_pick_init(ctl, &pick, sizeof(sync_record_info_t), limit,
                               sync_control_wide_by_id)
        != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    ngx_memzero(&info, sizeof(sync_record_info_t));

    from = 0;

    do {
        n = sync_room_members(ctl->main->zone, room, from, ids,
                              SYNC_CONTROL_WIDE_PAGE, &total);

        for (i = 0; i < n; i++) {

            if (rc == SYNC_OK
                && ngx_memcmp(ids + i * SYNC_ID_LEN, after, SYNC_ID_LEN) <= 0)
            {
                continue;
            }

            ngx_memcpy(info.id, ids + i * SYNC_ID_LEN, SYNC_ID_LEN);
            sync_control_pick(&pick, &info);
        }

        from += n;

    } while (n == SYNC_CONTROL_WIDE_PAGE && limit);

    sync_control_set(ctl, ctl->answer, "room",
                     sync_control_text(room->data, room->len));
    sync_control_set(ctl, ctl->answer, "count", json_integer(total));

    return sync_control_wide_list(ctl, &pick, "members", 1);
}


ngx_int_t
sync_control_wide_clients(sync_control_t *ctl, sync_former_filter_t *filter)
{
    u_char                after[SYNC_ID_LEN];
    uint32_t              bucket;
    ngx_int_t             rc;
    ngx_uint_t            i, n, limit;
    sync_zone_t          *z;
    sync_record_info_t   *info;
    sync_control_pick_t   pick;

    rc = sync_control_wide_id(ctl, after);

    if (rc == SYNC_ERROR || sync_control_limit(ctl, 1, &limit) != SYNC_OK) {
        return SYNC_ERROR;
    }

    info = ngx_palloc(ctl->pool,
                      SYNC_CONTROL_WIDE_PAGE * sizeof(sync_record_info_t));
    if (info == NULL) {
        return SYNC_ERROR;
    }

    if (sync_control_pick_init(ctl, &pick, sizeof(sync_record_info_t), limit,
                               sync_control_wide_by_id)
        != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    z = ctl->main->zone;
    bucket = 0;

    if (filter->by_user && filter->user.len && !filter->gone) {
        bucket = sync_former_buckets(z);

        if (sync_control_wide_user(ctl, filter, rc == SYNC_OK ? after : NULL,
                                   &pick)
            != SYNC_OK)
        {
            return SYNC_ERROR;
        }
    }

    while (bucket < sync_former_buckets(z)) {

        n = sync_former_page(z, filter, &bucket, info,
                             SYNC_CONTROL_WIDE_PAGE);

        for (i = 0; i < n; i++) {

            if (rc != SYNC_OK
                || ngx_memcmp(info[i].id, after, SYNC_ID_LEN) > 0)
            {
                sync_control_pick(&pick, &info[i]);
            }
        }
    }

    sync_control_set(ctl, ctl->answer, "count", json_integer(z->sh->nclients));

    return sync_control_wide_list(ctl, &pick, "clients", 0);
}


/* Picks of the clients of a user, who may have many. */

static ngx_int_t
sync_control_wide_user(sync_control_t *ctl, sync_former_filter_t *filter,
    const u_char *after, sync_control_pick_t *pick)
{
    u_char                  *ids, *id;
    ngx_uint_t               n, more;
    sync_zone_t             *z;
    sync_record_info_t       info;
    sync_registry_cursor_t   cursor;

    ids = ngx_pnalloc(ctl->pool, SYNC_CONTROL_WIDE_PAGE * SYNC_ID_LEN);
    if (ids == NULL) {
        return SYNC_ERROR;
    }

    z = ctl->main->zone;

    ngx_memzero(&cursor, sizeof(sync_registry_cursor_t));

    do {
        n = sync_registry_of_user(z, &filter->user, &cursor, ids,
                                  SYNC_CONTROL_WIDE_PAGE, &more);

        for (id = ids; n; n--, id += SYNC_ID_LEN) {

            if ((after == NULL || ngx_memcmp(id, after, SYNC_ID_LEN) > 0)
                && sync_registry_info(z, id, &info) == SYNC_OK
                && (!filter->by_room
                    || sync_room_is_member(z, &filter->room, id) == SYNC_OK))
            {
                sync_control_pick(pick, &info);
            }
        }

    } while (more);

    return SYNC_OK;
}


/* Of the clients picked; look: there are the ids alone. */

static ngx_int_t
sync_control_wide_list(sync_control_t *ctl, sync_control_pick_t *pick,
    const char *name, ngx_uint_t look)
{
    u_char               text[SYNC_ID_TEXT];
    json_t              *list;
    ngx_uint_t           i;
    sync_record_info_t  *found, info;

    list = json_array();
    found = NULL;

    sync_control_set(ctl, ctl->answer, name, list);

    for (i = 0; i < pick->n; i++) {
        found = sync_control_picked(pick, i);
        info = *found;

        if (look
            && sync_registry_info(ctl->main->zone, found->id, &info)
               != SYNC_OK)
        {
            continue;
        }

        if (json_array_append_new(list, sync_roster_json(&info, NULL, 0))
            != 0)
        {
            return SYNC_ERROR;
        }
    }

    if (found == NULL || !pick->more) {
        sync_control_set(ctl, ctl->answer, "cursor", json_null());
        return SYNC_OK;
    }

    sync_registry_print_id(text, found->id);
    sync_control_set(ctl, ctl->answer, "cursor",
                     sync_control_text(text, SYNC_ID_TEXT));

    return SYNC_OK;
}


/* A cursor that is a client's id. */

static ngx_int_t
sync_control_wide_id(sync_control_t *ctl, u_char *id)
{
    ngx_int_t   rc;
    sync_str_t  text;

    rc = sync_control_string(ctl, "cursor", &text);

    if (rc != SYNC_OK) {
        return rc;
    }

    if (sync_registry_parse_id(id, text.data, text.len) != SYNC_OK) {
        return sync_control_invalid(ctl, "\"cursor\" is none of this list");
    }

    return SYNC_OK;
}


static ngx_int_t
sync_control_pick_init(sync_control_t *ctl, sync_control_pick_t *pick,
    size_t size, ngx_uint_t max,
    int (*compare)(const void *one, const void *two))
{
    ngx_memzero(pick, sizeof(sync_control_pick_t));

    pick->size = size;
    pick->max = max;
    pick->compare = compare;

    /* one more: a list of none has places, too */

    pick->elts = ngx_palloc(ctl->pool, (max + 1) * size);
    if (pick->elts == NULL) {
        return SYNC_ERROR;
    }

    pick->order = ngx_palloc(ctl->pool, (max + 1) * sizeof(uint32_t));
    if (pick->order == NULL) {
        return SYNC_ERROR;
    }

    return SYNC_OK;
}


static void
sync_control_pick(sync_control_pick_t *pick, const void *elt)
{
    uint32_t    at;
    ngx_uint_t  low, high, middle;

    low = 0;
    high = pick->n;

    while (low < high) {
        middle = (low + high) / 2;

        if (pick->compare(sync_control_picked(pick, middle), elt) < 0) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    if (pick->n == pick->max) {

        pick->more = 1;

        if (low == pick->n) {
            return;
        }

        /* the greatest gives its place */

        at = pick->order[--pick->n];

    } else {
        at = (uint32_t) pick->n;
    }

    ngx_memmove(&pick->order[low + 1], &pick->order[low],
                (pick->n - low) * sizeof(uint32_t));

    pick->order[low] = at;
    pick->n++;

    ngx_memcpy(pick->elts + at * pick->size, elt, pick->size);
}


static int
sync_control_wide_by_name(const void *one, const void *two)
{
    int                      rc;
    const sync_room_info_t  *r1, *r2;

    r1 = one;
    r2 = two;

    rc = ngx_memcmp(r1->name, r2->name, ngx_min(r1->len, r2->len));

    return rc ? rc : (int) r1->len - (int) r2->len;
}


static int
sync_control_wide_by_id(const void *one, const void *two)
{
    const sync_record_info_t  *r1, *r2;

    r1 = one;
    r2 = two;

    return ngx_memcmp(r1->id, r2->id, SYNC_ID_LEN);
}
