
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control_op.h>
#include <sync_position.h>


/*
 * A message to some rooms, and what became of it in each:
 *
 *     say, say, say --> all done --> the answer
 *           |              ^
 *           `--(Redis)-----'
 *
 * Where hosts share a Redis, a room is done when Redis says so.  All are
 * asked for at once, and the answer waits for the last.
 */


typedef struct sync_control_rooms_s  sync_control_rooms_t;


typedef struct {
    sync_control_rooms_t   *all;
    sync_str_t             *name;
    sync_publish_t         *publish;    /* what is waited for */
    sync_said_t             said;
    ngx_int_t               rc;
} sync_control_room_t;


struct sync_control_rooms_s {
    sync_control_t         *ctl;
    sync_control_room_t    *rooms;
    ngx_uint_t              n;
    ngx_uint_t              waiting;
    unsigned                hidden:1;   /* their names are not told */
};


static ngx_int_t sync_control_rooms_say(sync_control_rooms_t *all,
    sync_saying_t *s, ngx_uint_t later);
static ngx_uint_t sync_control_rooms_twice(sync_control_rooms_t *all,
    sync_str_t *name);
static void sync_control_rooms_said(ngx_int_t rc, sync_said_t *said,
    void *data);
static void sync_control_rooms_cleanup(void *data);
static ngx_int_t sync_control_rooms_answer(sync_control_rooms_t *all);
static json_t *sync_control_rooms_position(sync_said_t *said);


ngx_int_t
sync_control_say_rooms(sync_control_t *ctl, sync_control_target_t *target,
    sync_saying_t *s, uint64_t *lsns)
{
    ngx_int_t              rc;
    ngx_uint_t             i;
    sync_str_t            *name;
    sync_control_room_t   *room;
    sync_control_rooms_t  *all;

    all = ngx_pcalloc(ctl->pool, sizeof(sync_control_rooms_t));
    if (all == NULL) {
        return SYNC_ERROR;
    }

    all->rooms = ngx_pcalloc(ctl->pool, (target->rooms.nelts + 1)
                                        * sizeof(sync_control_room_t));
    if (all->rooms == NULL) {
        return SYNC_ERROR;
    }

    all->ctl = ctl;
    all->hidden = target->hidden;

    name = target->rooms.elts;

    for (i = 0; i < target->rooms.nelts; i++) {

        if (sync_control_rooms_twice(all, &name[i])) {
            continue;
        }

        room = &all->rooms[all->n++];

        room->all = all;
        room->name = &name[i];
    }

    rc = sync_control_rooms_say(all, s, lsns == NULL);

    if (rc != SYNC_OK) {
        return rc;
    }

    for (i = 0; lsns && i < target->rooms.nelts; i++) {

        for (room = all->rooms; room->name; room++) {

            if (room->name == &name[i] && room->rc == SYNC_OK) {
                lsns[i] = room->said.lsn;
            }
        }
    }

    return sync_control_rooms_answer(all);
}


static ngx_int_t
sync_control_rooms_say(sync_control_rooms_t *all, sync_saying_t *s,
    ngx_uint_t later)
{
    ngx_uint_t            i;
    sync_control_t       *ctl;
    ngx_pool_cleanup_t   *cln;
    sync_control_room_t  *room;

    ctl = all->ctl;
    s->count = 1;

    for (i = 0; i < all->n; i++) {
        room = &all->rooms[i];

        room->rc = sync_publish_room_later(ctl->main, room->name, NULL, s,
                                           &room->said,
                                           later ? sync_control_rooms_said
                                                 : NULL,
                                           room, &room->publish);

        if (room->rc == SYNC_AGAIN) {
            all->waiting++;
        }
    }

    if (all->waiting == 0) {
        return SYNC_OK;
    }

    cln = ngx_pool_cleanup_add(ctl->pool, 0);

    if (cln == NULL) {
        sync_control_rooms_cleanup(all);
        return SYNC_ERROR;
    }

    cln->handler = sync_control_rooms_cleanup;
    cln->data = all;

    return SYNC_AGAIN;
}


static ngx_uint_t
sync_control_rooms_twice(sync_control_rooms_t *all, sync_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < all->n; i++) {

        if (sync_str_eq(all->rooms[i].name, name)) {
            return 1;
        }
    }

    return 0;
}


static void
sync_control_rooms_said(ngx_int_t rc, sync_said_t *said, void *data)
{
    sync_control_room_t *room = data;

    sync_control_rooms_t  *all;

    all = room->all;

    room->publish = NULL;
    room->said = *said;
    room->rc = rc;

    if (--all->waiting == 0) {
        sync_control_done(all->ctl, sync_control_rooms_answer(all));
    }
}


/* Nobody is there to be answered. */

static void
sync_control_rooms_cleanup(void *data)
{
    sync_control_rooms_t *all = data;

    ngx_uint_t  i;

    for (i = 0; i < all->n; i++) {

        if (all->rooms[i].publish) {
            sync_publish_cancel(all->rooms[i].publish);
            all->rooms[i].publish = NULL;
        }
    }
}


static ngx_int_t
sync_control_rooms_answer(sync_control_rooms_t *all)
{
    json_t               *rooms, *json;
    ngx_uint_t            i, stale, unavailable, receivers;
    sync_control_t       *ctl;
    sync_control_room_t  *room;
    char                  key[SYNC_NAME_MAX + 1];

    ctl = all->ctl;
    stale = 0;
    unavailable = 0;
    rooms = NULL;
    receivers = 0;

    if (!all->hidden) {
        rooms = json_object();

        sync_control_set(ctl, ctl->answer, "rooms", rooms);
    }

    for (i = 0; i < all->n; i++) {
        room = &all->rooms[i];

        (void) ngx_cpystrn((u_char *) key, room->name->data,
                           room->name->len + 1);

        if (room->rc == SYNC_BUSY && !room->said.unavailable) {
            return sync_control_full(ctl);
        }

        if (room->rc == SYNC_ERROR || room->rc == SYNC_BUSY) {

            /* the others have it */

            if (rooms) {
                json = json_object();

                if (room->rc == SYNC_ERROR) {
                    sync_control_set(ctl, json, "errorCode",
                                     json_string("publish.stale"));
                    sync_control_set(ctl, json, "position",
                                     sync_control_rooms_position(
                                                                &room->said));

                } else {
                    sync_control_set(ctl, json, "errorCode",
                                     json_string("broker.unavailable"));
                }

                sync_control_set(ctl, rooms, key, json);
            }

            stale |= (room->rc == SYNC_ERROR);
            unavailable |= (room->rc == SYNC_BUSY);

            continue;
        }

        receivers += room->said.receivers;

        if (rooms == NULL) {
            continue;
        }

        json = json_object();

        sync_control_set(ctl, json, "receivers",
                         room->said.receivers == SYNC_PUBLISH_UNCOUNTED
                         ? json_null() : json_integer(room->said.receivers));
        sync_control_set(ctl, json, "position",
                         sync_control_rooms_position(&room->said));
        sync_control_set(ctl, rooms, key, json);
    }

    if (all->hidden) {
        sync_control_set(ctl, ctl->answer, "receivers",
                         json_integer(receivers));
    }

    if (unavailable) {
        return sync_control_busy(ctl, "broker.unavailable",
                                 "Redis did not say that it has the message");
    }

    return stale ? sync_control_stale(ctl) : SYNC_OK;
}


static json_t *
sync_control_rooms_position(sync_said_t *said)
{
    u_char           *p;
    sync_position_t   pos;
    u_char            text[SYNC_POSITION_LEN];

    if (!said->recoverable) {
        return json_null();
    }

    pos.lsn = said->lsn;
    pos.nonce = said->nonce;

    p = sync_position_print(text, &pos);

    return json_stringn((char *) text, p - text);
}
