
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control_op.h>
#include <sync_cluster.h>
#include <sync_command.h>
#include <sync_conflate.h>
#include <sync_frame.h>
#include <sync_name.h>
#include <sync_position.h>
#include <sync_relay.h>
#include <sync_session_change.h>
#include <sync_ws.h>


/*
 * Messages, which are in the log when this returns, and orders to clients,
 * which are on their way to the workers that hold them.
 */


#define SYNC_CONTROL_REASON  123        /* bytes in a close frame */


static ngx_int_t sync_control_target_client(sync_control_t *ctl,
    sync_control_target_t *target);
static ngx_int_t sync_control_target_user(sync_control_t *ctl,
    sync_control_target_t *target);
static ngx_int_t sync_control_target_tokens(sync_control_t *ctl,
    sync_json_t *value, sync_control_target_t *target);
static ngx_int_t sync_control_target_token(sync_control_t *ctl,
    sync_json_t *v, sync_control_target_t *target);
static ngx_int_t sync_control_target_list(sync_control_t *ctl,
    sync_json_t *list, ngx_array_t *names);
static ngx_int_t sync_control_once(sync_control_t *ctl, sync_saying_t *s);
static ngx_int_t sync_control_key(sync_control_t *ctl, sync_str_t *event,
    sync_saying_t *s);
static ngx_int_t sync_control_saying(sync_control_t *ctl, sync_saying_t *s);
static ngx_int_t sync_control_say_clients(sync_control_t *ctl,
    sync_control_target_t *target, sync_saying_t *s);
static ngx_int_t sync_control_say_all(sync_control_t *ctl, sync_saying_t *s);
static void sync_control_all_cleanup(void *data);
static void sync_control_all_counted(void *data, ngx_uint_t n);
static ngx_int_t sync_control_close(sync_control_t *ctl, ngx_uint_t code);
static ngx_int_t sync_control_close_user(sync_control_t *ctl, sync_str_t *user,
    ngx_uint_t code, sync_str_t *reason, ngx_uint_t *n);
static ngx_int_t sync_control_close_token(sync_control_t *ctl,
    sync_str_t *token, ngx_uint_t code, sync_str_t *reason);
static ngx_int_t sync_control_here(sync_control_t *ctl, const u_char *id);
static ngx_int_t sync_control_member(sync_control_t *ctl, u_char *id,
    sync_str_t *room);
static ngx_int_t sync_control_order(sync_control_t *ctl, ngx_int_t rc);


ngx_int_t
sync_control_publish(sync_control_t *ctl)
{
    sync_json_t            v;
    sync_saying_t          s;
    sync_control_target_t  target;

    if (sync_control_field(ctl, "messages", &v) == SYNC_OK) {
        return sync_control_batch(ctl);
    }

    if (sync_control_targets(ctl, &target) != SYNC_OK
        || sync_control_saying(ctl, &s) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    if (!target.all && !target.direct && !target.hidden) {
        s.flags = SYNC_FRAME_ROOM;
    }

    return sync_control_say(ctl, &target, &s, NULL);
}


ngx_int_t
sync_control_broadcast(sync_control_t *ctl)
{
    ngx_int_t               rc;
    sync_str_t             *name;
    sync_saying_t           s;
    sync_control_target_t   target;

    ngx_memzero(&target, sizeof(sync_control_target_t));

    if (ngx_array_init(&target.rooms, ctl->pool, 1, sizeof(sync_str_t))
        != NGX_OK)
    {
        return SYNC_ERROR;
    }

    name = ngx_array_push(&target.rooms);
    if (name == NULL) {
        return SYNC_ERROR;
    }

    rc = sync_control_name(ctl, "channel", name);

    if (rc == SYNC_DECLINED) {
        return sync_control_missing(ctl, "channel");
    }

    if (rc != SYNC_OK || sync_control_saying(ctl, &s) != SYNC_OK) {
        return SYNC_ERROR;
    }

    s.flags = SYNC_FRAME_ROOM;

    return sync_control_say(ctl, &target, &s, NULL);
}


ngx_int_t
sync_control_targets(sync_control_t *ctl, sync_control_target_t *target)
{
    ngx_uint_t   i, n;
    sync_str_t  *name;
    sync_json_t  v, value;
    const char  *field;

    static const char  *fields[] = { "room", "pattern", "rooms", "clientId",
                                     "user", "all", "token", "tokens" };

    ngx_memzero(target, sizeof(sync_control_target_t));

    if (ngx_array_init(&target->rooms, ctl->pool, 1, sizeof(sync_str_t))
        != NGX_OK
        || ngx_array_init(&target->clients, ctl->pool, 1, SYNC_ID_LEN)
           != NGX_OK)
    {
        return SYNC_ERROR;
    }

    n = 0;
    field = NULL;

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {

        if (sync_control_field(ctl, fields[i], &v) == SYNC_OK) {
            field = fields[i];
            value = v;
            n++;
        }
    }

    if (n != 1) {
        return sync_control_invalid(ctl, "exactly one of \"room\", \"rooms\", "
                                    "\"pattern\", \"clientId\", \"token\", "
                                    "\"tokens\", \"user\" and \"all\" must be "
                                    "given");
    }

    if (field == fields[7] || field == fields[6]) {
        return sync_control_target_tokens(ctl, &value, target);
    }

    if (field == fields[5]) {
        target->all = 1;

        return (value.type == SYNC_JSON_TRUE)
               ? SYNC_OK
               : sync_control_invalid(ctl, "\"all\" must be true");
    }

    if (field == fields[4]) {
        return sync_control_target_user(ctl, target);
    }

    if (field == fields[3]) {
        return sync_control_target_client(ctl, target);
    }

    if (field == fields[2]) {
        return sync_control_target_list(ctl, &value, &target->rooms);
    }

    name = ngx_array_push(&target->rooms);
    if (name == NULL) {
        return SYNC_ERROR;
    }

    if (sync_control_name(ctl, field, name) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (field == fields[1] && !sync_name_is_pattern(name)) {
        return sync_control_invalid(ctl, "\"pattern\" must end in \"*\"");
    }

    return SYNC_OK;
}


static ngx_int_t
sync_control_target_client(sync_control_t *ctl, sync_control_target_t *target)
{
    u_char              *id;
    sync_record_info_t   info;

    target->direct = 1;

    id = ngx_array_push(&target->clients);
    if (id == NULL) {
        return SYNC_ERROR;
    }

    if (sync_control_id(ctl, id) != SYNC_OK) {
        return SYNC_ERROR;
    }

    return sync_registry_info(ctl->main->zone, id, &info) == SYNC_OK
           ? SYNC_OK : sync_control_not_found(ctl);
}


static ngx_int_t
sync_control_target_user(sync_control_t *ctl, sync_control_target_t *target)
{
    u_char                  *id, *ids;
    sync_str_t               user;
    ngx_uint_t               n, more;
    sync_registry_cursor_t   cursor;

    target->direct = 1;

    if (sync_control_string(ctl, "user", &user) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (user.len == 0) {
        return sync_control_invalid(ctl, "\"user\" is empty");
    }

    ids = ngx_pnalloc(ctl->pool, SYNC_CONTROL_LIMIT * SYNC_ID_LEN);
    if (ids == NULL) {
        return SYNC_ERROR;
    }

    ngx_memzero(&cursor, sizeof(sync_registry_cursor_t));

    do {
        n = sync_registry_of_user(ctl->main->zone, &user, &cursor, ids,
                                  SYNC_CONTROL_LIMIT, &more);

        if (target->clients.nelts + n > SYNC_CONTROL_CLIENTS_MAX) {
            return sync_control_invalid(ctl, "\"user\" has more than %d "
                                        "clients", SYNC_CONTROL_CLIENTS_MAX);
        }

        if (n) {
            id = ngx_array_push_n(&target->clients, n);
            if (id == NULL) {
                return SYNC_ERROR;
            }

            ngx_memcpy(id, ids, n * SYNC_ID_LEN);
        }

    } while (more);

    return SYNC_OK;
}


/* Those that have a token, or one of some. */

static ngx_int_t
sync_control_target_tokens(sync_control_t *ctl, sync_json_t *value,
    sync_control_target_t *target)
{
    sync_json_t       v;
    sync_json_iter_t  it;

    target->hidden = 1;

    if (value->type == SYNC_JSON_STRING) {
        return sync_control_target_token(ctl, value, target);
    }

    if (value->type != SYNC_JSON_ARRAY) {
        return sync_control_invalid(ctl, "\"token\" must be a string, "
                                    "\"tokens\" an array");
    }

    sync_json_iter_init(&it, value);

    while (sync_json_next(&it, NULL, &v) == SYNC_OK) {

        if (target->rooms.nelts == SYNC_CONTROL_ROOMS_MAX) {
            return sync_control_invalid(ctl, "\"tokens\" has more than %d "
                                        "tokens", SYNC_CONTROL_ROOMS_MAX);
        }

        if (sync_control_target_token(ctl, &v, target) != SYNC_OK) {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


static ngx_int_t
sync_control_target_token(sync_control_t *ctl, sync_json_t *v,
    sync_control_target_t *target)
{
    u_char       id[SYNC_ID_LEN], *buf;
    ngx_uint_t   i;
    sync_str_t   token, *name;

    if (v->type != SYNC_JSON_STRING) {
        return sync_control_invalid(ctl, "\"tokens\" must hold strings");
    }

    if (sync_control_unquote(ctl, v, &token) != SYNC_OK) {
        return SYNC_ERROR;
    }

    buf = ngx_pnalloc(ctl->pool, SYNC_TOKEN_ROOM);
    if (buf == NULL) {
        return SYNC_ERROR;
    }

    name = ngx_array_push(&target->rooms);
    if (name == NULL) {
        return SYNC_ERROR;
    }

    sync_token_id(id, &token);
    sync_token_room(name, buf, id);

    /* a client hears it once */

    for (i = 0; i < target->rooms.nelts - 1; i++) {

        if (sync_str_eq(name, (sync_str_t *) target->rooms.elts + i)) {
            target->rooms.nelts--;
            break;
        }
    }

    return SYNC_OK;
}


static ngx_int_t
sync_control_target_list(sync_control_t *ctl, sync_json_t *list,
    ngx_array_t *names)
{
    sync_str_t       *name;
    sync_json_t       v;
    sync_json_iter_t  it;

    if (list->type != SYNC_JSON_ARRAY) {
        return sync_control_invalid(ctl, "\"rooms\" must be an array");
    }

    sync_json_iter_init(&it, list);

    while (sync_json_next(&it, NULL, &v) == SYNC_OK) {

        if (names->nelts == SYNC_CONTROL_ROOMS_MAX) {
            return sync_control_invalid(ctl, "\"rooms\" has more than %d "
                                        "names", SYNC_CONTROL_ROOMS_MAX);
        }

        name = ngx_array_push(names);
        if (name == NULL) {
            return SYNC_ERROR;
        }

        if (v.type != SYNC_JSON_STRING) {
            return sync_control_invalid(ctl, "\"rooms\" must hold strings");
        }

        if (sync_control_unquote(ctl, &v, name) != SYNC_OK) {
            return SYNC_ERROR;
        }

        if (sync_name_check(name) != SYNC_OK) {
            return sync_control_invalid(ctl, "\"rooms\" holds what is not a "
                                        "name of a room");
        }
    }

    if (names->nelts == 0) {
        return sync_control_invalid(ctl, "\"rooms\" is empty");
    }

    return SYNC_OK;
}


/* What a publish may be repeated by: "id", and "lsn", its own place. */

static ngx_int_t
sync_control_once(sync_control_t *ctl, sync_saying_t *s)
{
    int64_t      n;
    ngx_int_t    rc;
    sync_str_t   text;
    sync_json_t  v;

    rc = sync_control_string(ctl, "id", &s->id);

    if (rc == SYNC_ERROR) {
        return SYNC_ERROR;
    }

    if (rc == SYNC_OK && (s->id.len == 0 || s->id.len > SYNC_NAME_MAX)) {
        return sync_control_invalid(ctl, "\"id\" must be 1 to %d bytes long",
                                    SYNC_NAME_MAX);
    }

    if (sync_control_field(ctl, "lsn", &v) == SYNC_OK) {

        if (v.type == SYNC_JSON_STRING) {

            if (sync_control_unquote(ctl, &v, &text) != SYNC_OK) {
                return SYNC_ERROR;
            }

            if (sync_lsn_parse(&s->lsn, &text) != SYNC_OK) {
                s->lsn = 0;
            }

        } else if (sync_json_int64(&n, &v) == SYNC_OK && n > 0) {
            s->lsn = n;
        }

        if (s->lsn == 0 || s->lsn == (uint64_t) -1) {
            return sync_control_invalid(ctl, "\"lsn\" must be a number above "
                                        "0, or as \"0/16B3748\"");
        }
    }

    if ((s->id.len || s->lsn)
        && sync_control_field(ctl, "room", &v) != SYNC_OK
        && sync_control_field(ctl, "rooms", &v) != SYNC_OK
        && sync_control_field(ctl, "channel", &v) != SYNC_OK)
    {
        return sync_control_invalid(ctl, "\"id\" and \"lsn\" are for rooms");
    }

    return SYNC_OK;
}


/* Makes ["event",data] of the fields; data goes in unaltered. */

static ngx_int_t
sync_control_saying(sync_control_t *ctl, sync_saying_t *s)
{
    size_t         size;
    u_char        *p;
    ngx_int_t      rc;
    sync_str_t     event, data;
    sync_json_t    v;
    sync_writer_t  w;

    ngx_memzero(s, sizeof(sync_saying_t));

    rc = sync_control_string(ctl, "event", &event);

    if (rc == SYNC_ERROR || sync_control_once(ctl, s) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (rc == SYNC_DECLINED) {
        sync_str_set(&event, "message");
    }

    if (event.len == 0 || event.len > SYNC_EVENT_MAX) {
        return sync_control_invalid(ctl, "\"event\" must be 1 to %d bytes "
                                    "long", SYNC_EVENT_MAX);
    }

    sync_str_set(&data, "null");

    if (sync_control_field(ctl, "data", &v) == SYNC_OK) {
        data = v.raw;
    }

    /* a byte is six at most when it is quoted */

    size = sizeof("[\"\",]") - 1 + 6 * event.len + data.len;

    p = ngx_pnalloc(ctl->pool, size);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    sync_writer_init(&w, p, size);

    sync_write_byte(&w, '[');
    sync_json_write_str(&w, &event);

    s->event_len = w.len - 1;

    sync_write_byte(&w, ',');
    sync_write_str(&w, &data);
    sync_write_byte(&w, ']');

    s->json.data = p;
    s->json.len = w.len;

    if (sync_control_key(ctl, &event, s) != SYNC_OK) {
        return SYNC_ERROR;
    }

    return sync_control_except(ctl, s);
}


/* What makes it replace an earlier one, where a room conflates. */

static ngx_int_t
sync_control_key(sync_control_t *ctl, sync_str_t *event, sync_saying_t *s)
{
    ngx_int_t   rc;
    sync_str_t  key;

    rc = sync_control_string(ctl, "key", &key);

    if (rc != SYNC_OK) {
        return rc == SYNC_DECLINED ? SYNC_OK : SYNC_ERROR;
    }

    if (key.len == 0 || key.len > SYNC_CONTROL_KEY_MAX) {
        return sync_control_invalid(ctl, "\"key\" must be 1 to %d bytes "
                                    "long", SYNC_CONTROL_KEY_MAX);
    }

    s->ack = sync_conflate_key(event, &key);

    return SYNC_OK;
}


ngx_int_t
sync_control_except(sync_control_t *ctl, sync_saying_t *s)
{
    u_char            *ids;
    sync_str_t         text;
    sync_json_t        list, v;
    sync_json_iter_t   it;

    if (sync_control_field(ctl, "except", &list) != SYNC_OK) {
        return SYNC_OK;
    }

    if (list.type != SYNC_JSON_ARRAY) {
        return sync_control_invalid(ctl, "\"except\" must be an array");
    }

    ids = ngx_pnalloc(ctl->pool, SYNC_EXCEPT_MAX * SYNC_ID_LEN);
    if (ids == NULL) {
        return SYNC_ERROR;
    }

    sync_json_iter_init(&it, &list);

    while (sync_json_next(&it, NULL, &v) == SYNC_OK) {

        if (s->nexcept == SYNC_EXCEPT_MAX) {
            return sync_control_invalid(ctl, "\"except\" has more than %d "
                                        "ids", SYNC_EXCEPT_MAX);
        }

        if (v.type != SYNC_JSON_STRING) {
            return sync_control_invalid(ctl, "\"except\" must hold strings");
        }

        if (sync_control_unquote(ctl, &v, &text) != SYNC_OK) {
            return SYNC_ERROR;
        }

        if (sync_registry_parse_id(ids + s->nexcept * SYNC_ID_LEN,
                                   text.data, text.len)
            != SYNC_OK)
        {
            return sync_control_invalid(ctl, "\"except\" holds what is not "
                                        "the id of a client");
        }

        s->nexcept++;
    }

    s->except = ids;

    return SYNC_OK;
}


ngx_int_t
sync_control_say(sync_control_t *ctl, sync_control_target_t *target,
    sync_saying_t *s, uint64_t *lsns)
{
    if (target->all) {
        return sync_control_say_all(ctl, s);
    }

    if (target->direct) {
        return sync_control_say_clients(ctl, target, s);
    }

    return sync_control_say_rooms(ctl, target, s, lsns);
}


static ngx_int_t
sync_control_say_clients(sync_control_t *ctl, sync_control_target_t *target,
    sync_saying_t *s)
{
    u_char      *id;
    ngx_int_t    rc;
    ngx_uint_t   i, j, n;

    n = 0;
    id = target->clients.elts;

    for (i = 0; i < target->clients.nelts; i++, id += SYNC_ID_LEN) {

        for (j = 0; j < s->nexcept; j++) {
            if (ngx_memcmp(s->except + j * SYNC_ID_LEN, id, SYNC_ID_LEN) == 0)
            {
                break;
            }
        }

        if (j < s->nexcept) {
            continue;
        }

        rc = sync_publish_client(ctl->main, id, s);

        if (rc != SYNC_OK && rc != SYNC_DECLINED) {
            return sync_control_full(ctl);
        }

        n += (rc == SYNC_OK);
    }

    sync_control_set(ctl, ctl->answer, "receivers", json_integer(n));

    return SYNC_OK;
}


/* There are clients on other hosts as well. */

typedef struct {
    sync_control_t         *ctl;
    sync_lease_count_t     *count;      /* NULL: they were counted */
    ngx_uint_t              receivers;
} sync_control_all_t;


static ngx_int_t
sync_control_say_all(sync_control_t *ctl, sync_saying_t *s)
{
    ngx_int_t            rc;
    sync_said_t          said;
    ngx_pool_cleanup_t  *cln;
    sync_control_all_t  *all;

    cln = ngx_pool_cleanup_add(ctl->pool, sizeof(sync_control_all_t));
    if (cln == NULL) {
        return SYNC_ERROR;
    }

    ngx_memzero(&said, sizeof(sync_said_t));

    rc = sync_publish_all(ctl->main, s, &said);

    if (rc != SYNC_OK && rc != SYNC_DECLINED) {
        return sync_control_full(ctl);
    }

    all = cln->data;
    all->ctl = ctl;
    all->receivers = said.receivers;

    if (sync_cluster_count(NULL, sync_control_all_counted, all, &all->count)
        == SYNC_OK)
    {
        cln->handler = sync_control_all_cleanup;
        return SYNC_AGAIN;
    }

    sync_control_set(ctl, ctl->answer, "receivers",
                     json_integer(said.receivers));

    return SYNC_OK;
}


static void
sync_control_all_cleanup(void *data)
{
    sync_control_all_t *all = data;

    if (all->count) {
        sync_lease_cancel(all->count);
    }
}


static void
sync_control_all_counted(void *data, ngx_uint_t n)
{
    sync_control_all_t *all = data;

    all->count = NULL;

    sync_control_set(all->ctl, all->ctl->answer, "receivers",
                     json_integer((json_int_t) (all->receivers + n)));

    sync_control_done(all->ctl, SYNC_OK);
}


ngx_int_t
sync_control_kick(sync_control_t *ctl)
{
    return sync_control_close(ctl, SYNC_WS_CODE_POLICY);
}


ngx_int_t
sync_control_disconnect(sync_control_t *ctl)
{
    return sync_control_close(ctl, SYNC_WS_CODE_NORMAL);
}


/* A client by its id, or all of a user. */

static ngx_int_t
sync_control_close(sync_control_t *ctl, ngx_uint_t code)
{
    u_char      id[SYNC_ID_LEN];
    ngx_int_t   rc, rcu, rct;
    ngx_uint_t  n;
    sync_str_t  user, token, reason;

    sync_str_set(&reason, "");

    rc = sync_control_string(ctl, "reason", &reason);

    if (rc == SYNC_ERROR) {
        return SYNC_ERROR;
    }

    if (reason.len > SYNC_CONTROL_REASON
        || ngx_strlchr(reason.data, reason.data + reason.len, '\0'))
    {
        return sync_control_invalid(ctl, "\"reason\" must be up to %d bytes "
                                    "without zeros", SYNC_CONTROL_REASON);
    }

    rc = sync_control_id(ctl, id);
    rcu = sync_control_string(ctl, "user", &user);
    rct = sync_control_token(ctl, &token);

    if (rc == SYNC_ERROR || rcu == SYNC_ERROR || rct == SYNC_ERROR) {
        return SYNC_ERROR;
    }

    if ((rc == SYNC_OK) + (rcu == SYNC_OK) + (rct == SYNC_OK) != 1) {
        return sync_control_invalid(ctl, "exactly one of \"clientId\", "
                                    "\"token\" and \"user\" must be given");
    }

    n = 1;

    if (code == SYNC_WS_CODE_POLICY && rc != SYNC_OK
        && sync_session_on(ctl->settings))
    {
        return sync_control_session_kick(ctl, rct == SYNC_OK ? &token : NULL,
                                         &user, &reason);
    }

    if (rct == SYNC_OK) {
        return sync_control_close_token(ctl, &token, code, &reason);
    }

    if (rc == SYNC_OK && sync_control_here(ctl, id) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (rc == SYNC_OK) {
        rc = sync_control_order(ctl,
                     sync_command_disconnect(ctl->main, id, code, &reason));

    } else {
        rc = sync_control_close_user(ctl, &user, code, &reason, &n);
    }

    if (rc != SYNC_OK) {
        return rc;
    }

    sync_control_set(ctl, ctl->answer, "clients", json_integer(n));

    return SYNC_OK;
}


static ngx_int_t
sync_control_close_user(sync_control_t *ctl, sync_str_t *user,
    ngx_uint_t code, sync_str_t *reason, ngx_uint_t *n)
{
    u_char                  *ids;
    ngx_int_t                rc;
    ngx_uint_t               i, got, more;
    sync_zone_t             *z;
    sync_registry_cursor_t   cursor;

    if (user->len == 0) {
        return sync_control_invalid(ctl, "\"user\" is empty");
    }

    ids = ngx_pnalloc(ctl->pool, SYNC_CONTROL_LIMIT * SYNC_ID_LEN);
    if (ids == NULL) {
        return SYNC_ERROR;
    }

    *n = 0;
    z = ctl->main->zone;

    ngx_memzero(&cursor, sizeof(sync_registry_cursor_t));

    do {
        got = sync_registry_of_user(z, user, &cursor, ids, SYNC_CONTROL_LIMIT,
                                    &more);

        for (i = 0; i < got; i++) {
            rc = sync_command_disconnect(ctl->main, ids + i * SYNC_ID_LEN,
                                         code, reason);

            if (rc == SYNC_OK) {
                (*n)++;

            } else if (rc != SYNC_DECLINED) {
                return sync_control_full(ctl);
            }
        }

    } while (more);

    /* those of other zones are not counted */

    if (sync_relay_wanted(z)
        && sync_command_disconnect_user(ctl->main, user, code, reason)
           != SYNC_OK)
    {
        return sync_control_full(ctl);
    }

    return SYNC_OK;
}


/* Those that have a token are told all at once, wherever they are. */

static ngx_int_t
sync_control_close_token(sync_control_t *ctl, sync_str_t *token,
    ngx_uint_t code, sync_str_t *reason)
{
    u_char      id[SYNC_ID_LEN], buf[SYNC_TOKEN_ROOM];
    ngx_uint_t  n;
    sync_str_t  room;

    sync_token_id(id, token);
    sync_token_room(&room, buf, id);

    n = sync_room_count(ctl->main->zone, &room);

    if (sync_session_order(ctl->main, id, "disconnect", code, "reason",
                           reason)
        == SYNC_BUSY)
    {
        return sync_control_full(ctl);
    }

    sync_control_set(ctl, ctl->answer, "clients", json_integer(n));

    return SYNC_OK;
}


/* A client; or all that have a token, who are there when they come back. */

ngx_int_t
sync_control_join(sync_control_t *ctl)
{
    u_char      id[SYNC_ID_LEN];
    sync_str_t  room, token;

    switch (sync_control_token(ctl, &token)) {

    case SYNC_OK:
        return sync_control_session_member(ctl, &token, 0);

    case SYNC_ERROR:
        return SYNC_ERROR;
    }

    if (sync_control_member(ctl, id, &room) != SYNC_OK) {
        return SYNC_ERROR;
    }

    return sync_control_order(ctl, sync_command_join(ctl->main, id, &room));
}


ngx_int_t
sync_control_leave(sync_control_t *ctl)
{
    u_char      id[SYNC_ID_LEN];
    sync_str_t  room, token;

    switch (sync_control_token(ctl, &token)) {

    case SYNC_OK:
        return sync_control_session_member(ctl, &token, 1);

    case SYNC_ERROR:
        return SYNC_ERROR;
    }

    if (sync_control_member(ctl, id, &room) != SYNC_OK) {
        return SYNC_ERROR;
    }

    return sync_control_order(ctl, sync_command_leave(ctl->main, id, &room));
}


static ngx_int_t
sync_control_member(sync_control_t *ctl, u_char *id, sync_str_t *room)
{
    ngx_int_t  rc;

    rc = sync_control_name(ctl, "room", room);

    if (rc == SYNC_DECLINED) {
        return sync_control_missing(ctl, "room");
    }

    if (rc == SYNC_OK) {
        rc = sync_control_id(ctl, id);
    }

    if (rc == SYNC_DECLINED) {
        return sync_control_missing(ctl, "clientId");
    }

    return (rc == SYNC_OK) ? sync_control_here(ctl, id) : rc;
}


/* Where other hosts are asked, each looks for the client alone. */

static ngx_int_t
sync_control_here(sync_control_t *ctl, const u_char *id)
{
    sync_record_info_t  info;

    if (!ctl->wide
        || sync_relay_wanted(ctl->main->zone)
        || sync_registry_info(ctl->main->zone, id, &info) == SYNC_OK)
    {
        return SYNC_OK;
    }

    return sync_control_not_found(ctl);
}


/* What became of an order to a client. */

static ngx_int_t
sync_control_order(sync_control_t *ctl, ngx_int_t rc)
{
    if (rc == SYNC_OK) {
        return SYNC_OK;
    }

    if (rc == SYNC_DECLINED) {
        return sync_control_not_found(ctl);
    }

    return sync_control_full(ctl);
}
