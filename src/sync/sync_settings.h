
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SETTINGS_H_INCLUDED_
#define _SYNC_SETTINGS_H_INCLUDED_


#include <sync_client.h>
#include <sync_redis.h>
#include <sync_room.h>
#include <sync_rate.h>


typedef struct sync_manifest_s  sync_manifest_t;
typedef struct sync_route_s     sync_route_t;


/*
 * Configuration, as the floor that decides who hears what needs it.  It is
 * made by the module's directives, lives as long as the cycle, and is never
 * written to by a worker.
 */


typedef enum {
    SYNC_JOIN_OPEN = 0,         /* anybody; with sessions, a live one */
    SYNC_JOIN_PUBLIC,           /* anybody */
    SYNC_JOIN_USER,             /* whose id is a part of the name */
    SYNC_JOIN_HOOK,             /* the app decides */
    SYNC_JOIN_DENY              /* nobody */
} sync_join_policy_e;


typedef enum {
    SYNC_SLOW_CLOSE = 0,        /* a client that is too slow is closed */
    SYNC_SLOW_DROP,             /* it does not get the message */
    SYNC_SLOW_CONFLATE          /* it gets the last one of each key */
} sync_slow_policy_e;


/* sync_room */

typedef struct {
    sync_str_t              pattern;
    sync_join_policy_e      join;
    sync_slow_policy_e      slow;
    ngx_flag_t              recoverable;
    ngx_flag_t              presence;   /* members hear who is away */
    size_t                  accumulate; /* bytes of a text that is streamed,
                                           kept for who joins; 0: off */
    sync_room_rule_t        room;
} sync_rule_t;


typedef enum {
    SYNC_HOOK_SERVER = 0,
    SYNC_HOOK_CONNECT,
    SYNC_HOOK_JOIN,
    SYNC_HOOK_LEAVE,
    SYNC_HOOK_DISCONNECT,
    SYNC_HOOK_API,
    SYNC_HOOK_CLIENT,
    SYNC_HOOK_FANOUT,
    SYNC_HOOK_DELIVERED,
    SYNC_HOOK_CONNECTED,
    SYNC_HOOK_JOINED,
    SYNC_HOOK_LEFT,
    SYNC_HOOK_LOCATION,
    SYNC_HOOK_CANCEL,
    SYNC_HOOK_PRESENCE,
    SYNC_HOOK_MAX
} sync_hook_event_e;


/* Their names. */
extern sync_str_t  sync_hook_events[SYNC_HOOK_MAX];


/* sync_recovery */

typedef struct {
    ngx_msec_t              time;       /* ms; 0: off */
    ngx_uint_t              max;        /* clients that are kept */
} sync_recovery_conf_t;


/* sync_presence */

typedef struct {
    ngx_flag_t              on;
    ngx_msec_t              tab;        /* ms: its page was hidden */
    ngx_msec_t              transport;  /* it was lost */
    ngx_msec_t              other;      /* it, or the server, wanted it so */
    ngx_uint_t              afk;        /* s of silence; 0: never */
    ngx_uint_t              place;      /* among the locations, from 1 */
} sync_presence_conf_t;


/* sync_hook; no hook if uri.len is 0 */

typedef struct {
    ngx_str_t               uri;
    ngx_flag_t              allow;      /* on_error=allow */
    ngx_flag_t              close;      /* cancel=close */
    ngx_msec_t              share;      /* ms, of "client": how long a worker
                                           waits for others; 0: not at all */
    ngx_msec_t              timeout;    /* ms, of "client": that may pass
                                           with no call's end */
} sync_hook_conf_t;


/* sync_session */

typedef enum {
    SYNC_SESSION_OFF = 0,
    SYNC_SESSION_MEMORY,        /* in the zone, by control */
    SYNC_SESSION_REDIS,         /* in Redis, by the app */
    SYNC_SESSION_HOOK,          /* the app is asked */
    SYNC_SESSION_KINDS
} sync_session_kind_e;


typedef struct sync_settings_s  sync_settings_t;


typedef struct {
    sync_session_kind_e     kind;
    sync_str_t              key[2];     /* of Redis: around the token */
    sync_str_t              users[2];   /* around the user; or empty */
    ngx_str_t               uri;        /* of the hook */
    sync_settings_t        *settings;   /* the same: a location of its server */
    ngx_uint_t              cache;      /* s, for which its answer counts */
    uint32_t                realm;      /* tokens of one are not another's */
    ngx_uint_t              ttl;        /* s */
    ngx_uint_t              per_user;   /* sessions; 0: any number */
} sync_session_conf_t;


/* sync_token */

typedef enum {
    SYNC_TOKEN_COOKIE = 0,
    SYNC_TOKEN_HEADER,
    SYNC_TOKEN_QUERY,
    SYNC_TOKEN_AUTH             /* what the client says when it connects */
} sync_token_source_e;


typedef struct {
    sync_token_source_e     source;
    sync_str_t              name;
} sync_token_conf_t;


/* http{} */

typedef struct {
    sync_zone_t            *zone;       /* NULL: the module is not used */
    ngx_array_t            *rules;      /* of sync_rule_t; may be NULL */
    sync_rule_t             rule;       /* of rooms that none matches */
    ngx_msec_t              drain;      /* ms */
    ngx_int_t               remember;   /* s, clients that left; 0: none */
    sync_redis_conf_t      *redis;      /* NULL: none */
    ngx_array_t            *sessions;   /* sync_session_conf_t *, of Redis */
    ngx_array_t            *asked;      /* the same, of hooks */
    ngx_array_t            *presences;  /* sync_settings_t *, of locations with
                                           presence; NULL: none */
} sync_main_settings_t;


/* A location; sync_client_t.conf points to the first member. */

struct sync_settings_s {
    sync_client_conf_t      client;
    sync_main_settings_t   *main;
    sync_hook_conf_t        hooks[SYNC_HOOK_MAX];
    sync_session_conf_t    *session;
    ngx_array_t            *tokens;     /* of sync_token_conf_t, or NULL */
    sync_manifest_t        *manifest;   /* sync_routes; NULL: any route */
    sync_rate_limit_t       rate_route; /* sync_rate, of a user and route */
    sync_rate_limit_t       rate_ip;
    ngx_flag_t              legacy;     /* older clients' names */
    ngx_flag_t              receiver_any;
    ngx_flag_t              receiver_all;
    ngx_uint_t              max_rooms;  /* a client */
    sync_recovery_conf_t    recovery;
    sync_presence_conf_t    presence;
};


#define sync_settings(c)  ((sync_settings_t *) (c)->conf)


/*
 * The first rule that matches the room; for a name that ends in "*", a
 * subscription, the strictest of those that match rooms it would hear.
 */
sync_rule_t *sync_settings_rule(sync_main_settings_t *main, sync_str_t *room);


#endif /* _SYNC_SETTINGS_H_INCLUDED_ */
