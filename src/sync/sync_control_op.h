
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_CONTROL_OP_H_INCLUDED_
#define _SYNC_CONTROL_OP_H_INCLUDED_


#include <sync_publish.h>
#include <sync_json.h>
#include <sync_former.h>
#include <jansson.h>


/*
 * A run of an operation.  The request's fields are spans of its body, and
 * the answer is a jansson object that is filled as it goes: what was done
 * before an error stays in it.
 *
 * What returns ngx_int_t returns SYNC_OK, SYNC_DECLINED for a field that is
 * not there, or SYNC_ERROR: with an error noted, or, if there is none, for
 * want of memory.
 *
 * An operation may return SYNC_AGAIN, and call sync_control_done() in a later
 * turn.  The request may go before: it hears of that by a cleanup that it
 * adds to the pool.
 */


#define SYNC_CONTROL_LIMIT         100      /* entries of a page */
#define SYNC_CONTROL_LIMIT_MAX     1000
#define SYNC_CONTROL_ROOMS_MAX     1000     /* of a publish, of a client */
#define SYNC_CONTROL_CLIENTS_MAX   1000     /* of a user */
#define SYNC_CONTROL_MESSAGE       256      /* bytes of an error's message */
#define SYNC_CONTROL_KEY_MAX       256      /* bytes */


typedef struct {
    ngx_uint_t             status;      /* of HTTP */
    ngx_str_t              body;        /* JSON, in the pool */
} sync_control_answer_t;


/* The answer that came later: rc is NGX_OK or NGX_ERROR (memory). */
typedef void (*sync_control_done_pt)(void *data, ngx_int_t rc,
    sync_control_answer_t *answer);


typedef struct sync_control_spread_s  sync_control_spread_t;


typedef struct {
    sync_settings_t       *settings;
    sync_main_settings_t  *main;
    ngx_pool_t            *pool;
    sync_json_t            fields;      /* an object */
    json_t                *answer;      /* an object */
    sync_str_t             members;     /* more of it, as they stand; or "" */
    sync_control_done_pt   done;        /* for an answer that comes later */
    void                  *data;
    ngx_uint_t             status;      /* of an error; 0: none */
    const char            *code;
    u_char                 message[SYNC_CONTROL_MESSAGE];
    sync_control_spread_t *spread;      /* other hosts are asked, too */
    unsigned               wide:1;      /* or were, and the same as this one */
    unsigned               local:1;     /* another host has asked */
    unsigned               failed:1;    /* the answer lacks something */
} sync_control_t;


/* Operations. */

ngx_int_t sync_control_publish(sync_control_t *ctl);
ngx_int_t sync_control_batch(sync_control_t *ctl);
ngx_int_t sync_control_emit(sync_control_t *ctl);
ngx_int_t sync_control_broadcast(sync_control_t *ctl);
ngx_int_t sync_control_kick(sync_control_t *ctl);
ngx_int_t sync_control_disconnect(sync_control_t *ctl);
ngx_int_t sync_control_join(sync_control_t *ctl);
ngx_int_t sync_control_leave(sync_control_t *ctl);

ngx_int_t sync_control_session_get(sync_control_t *ctl);
ngx_int_t sync_control_session_save(sync_control_t *ctl);
ngx_int_t sync_control_session_delete(sync_control_t *ctl);
ngx_int_t sync_control_session_revoke(sync_control_t *ctl);
ngx_int_t sync_control_session_login(sync_control_t *ctl);

/* What another host asks for: of a user's sessions, those of this one alone. */
ngx_int_t sync_control_host_kick(sync_control_t *ctl);
ngx_int_t sync_control_host_revoke(sync_control_t *ctl);

/* The token's clients join or leave "room", and its session says so. */
ngx_int_t sync_control_session_member(sync_control_t *ctl, sync_str_t *token,
    ngx_uint_t leave);

/* Ends the sessions of a token, or of a user, whose clients are told why. */
ngx_int_t sync_control_session_kick(sync_control_t *ctl, sync_str_t *token,
    sync_str_t *user, sync_str_t *reason);

ngx_int_t sync_control_rooms(sync_control_t *ctl);
ngx_int_t sync_control_members(sync_control_t *ctl);
ngx_int_t sync_control_clients(sync_control_t *ctl);
ngx_int_t sync_control_client(sync_control_t *ctl);
ngx_int_t sync_control_presence(sync_control_t *ctl);

/* The same in the order of names or ids, for several hosts. */
ngx_int_t sync_control_wide_rooms(sync_control_t *ctl);
ngx_int_t sync_control_wide_members(sync_control_t *ctl, sync_str_t *room);
ngx_int_t sync_control_wide_clients(sync_control_t *ctl,
    sync_former_filter_t *filter);

/* Adds what another host says of a user. */
void sync_control_presence_merge(sync_control_t *ctl, json_t *one,
    json_t *other);

/* Adds to the answer's "clients" those that left, as Redis has them. */
ngx_int_t sync_control_clients_gone(sync_control_t *ctl,
    sync_former_filter_t *filter);

/*
 * Ends an operation that returned SYNC_AGAIN, with what it would have
 * returned else: SYNC_OK or SYNC_ERROR.  The pool may be gone after it.
 */
void sync_control_done(sync_control_t *ctl, ngx_int_t rc);

/* Who is to hear a message. */

typedef struct {
    ngx_array_t            rooms;       /* sync_str_t; patterns, too */
    ngx_array_t            clients;     /* ids of SYNC_ID_LEN bytes */
    unsigned               all:1;       /* every client */
    unsigned               direct:1;    /* the clients, not rooms */
    unsigned               hidden:1;    /* the rooms are those of tokens */
} sync_control_target_t;


/*
 * Exactly one of "room", "rooms", "pattern", "clientId", "token", "tokens",
 * "user" and "all".
 * The clients of a user are those of this instant.
 */
ngx_int_t sync_control_targets(sync_control_t *ctl,
    sync_control_target_t *target);

/* "except". */
ngx_int_t sync_control_except(sync_control_t *ctl, sync_saying_t *s);

ngx_int_t sync_control_say_rooms(sync_control_t *ctl,
    sync_control_target_t *target, sync_saying_t *s, uint64_t *lsns);

/*
 * Says it to them, and adds "rooms" or "receivers" to the answer.  The LSN
 * that the message got in a room is put into lsns, one for each of
 * target->rooms, unless it is NULL; 0: nobody hears it there.
 */
ngx_int_t sync_control_say(sync_control_t *ctl,
    sync_control_target_t *target, sync_saying_t *s, uint64_t *lsns);

/* A field that is there; one that is null is not.  No error is noted. */
ngx_int_t sync_control_field(sync_control_t *ctl, const char *field,
    sync_json_t *v);

/* A field that is a string, the name of a room or pattern, or "clientId". */
ngx_int_t sync_control_string(sync_control_t *ctl, const char *field,
    sync_str_t *s);
ngx_int_t sync_control_name(sync_control_t *ctl, const char *field,
    sync_str_t *name);
ngx_int_t sync_control_id(sync_control_t *ctl, u_char *id);

/*
 * "limit", from min to SYNC_CONTROL_LIMIT_MAX, and "cursor", or what stands
 * for them if they are not there; never SYNC_DECLINED.
 */
ngx_int_t sync_control_page(sync_control_t *ctl, ngx_uint_t min,
    ngx_uint_t *limit, ngx_uint_t *cursor);

/* "limit" alone. */
ngx_int_t sync_control_limit(sync_control_t *ctl, ngx_uint_t min,
    ngx_uint_t *limit);

/* A token; SYNC_DECLINED and SYNC_ERROR as above. */
ngx_int_t sync_control_token(sync_control_t *ctl, sync_str_t *token);

/* An error of the caller's making; SYNC_ERROR. */
ngx_int_t sync_control_fail(sync_control_t *ctl, ngx_uint_t status,
    const char *code, const char *message);

/* What a value that is a string means. */
ngx_int_t sync_control_unquote(sync_control_t *ctl, sync_json_t *v,
    sync_str_t *s);

/* Sets a member of the answer, or within it, and takes the value. */
void sync_control_set(sync_control_t *ctl, json_t *object, const char *key,
    json_t *value);

/* The answer's "cursor": null if there is no more. */
void sync_control_set_cursor(sync_control_t *ctl, ngx_uint_t more,
    ngx_uint_t cursor);

/* A string; what is not UTF-8, as a client's user id may be, is null. */
json_t *sync_control_text(const u_char *data, size_t len);

/* These note an error, and return SYNC_ERROR. */

ngx_int_t sync_control_invalid(sync_control_t *ctl, const char *fmt, ...);
ngx_int_t sync_control_missing(sync_control_t *ctl, const char *field);
ngx_int_t sync_control_not_found(sync_control_t *ctl);
ngx_int_t sync_control_full(sync_control_t *ctl);
ngx_int_t sync_control_stale(sync_control_t *ctl);
ngx_int_t sync_control_busy(sync_control_t *ctl, const char *code,
    const char *message);


#endif /* _SYNC_CONTROL_OP_H_INCLUDED_ */
