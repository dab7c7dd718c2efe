
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_http_sync_module.h>
#include <sync_name.h>
#include <sync_sid.h>


/* What a directive with one bounded value takes. */

typedef struct {
    ngx_int_t             (*parse)(ngx_str_t *value);
    ngx_int_t               min;
    ngx_int_t               max;
    const char             *allowed;
} ngx_http_sync_bounds_t;


typedef struct {
    const char             *name;
    ngx_http_handler_pt     handler;
} ngx_http_sync_kind_t;


typedef struct {
    const char             *name;
    sync_hook_event_e       event;
    unsigned                decides:1;  /* an answer may stop it */
} ngx_http_sync_event_t;


/* of a recoverable room that does not say */

#define NGX_HTTP_SYNC_ROOM_HISTORY      100
#define NGX_HTTP_SYNC_ROOM_TTL          3600    /* s */

#define NGX_HTTP_SYNC_ROOM_TEXT         65536   /* bytes */

#define NGX_HTTP_SYNC_ROOM_HISTORY_MAX  1000000
#define NGX_HTTP_SYNC_ROOM_TTL_MAX      (365 * 86400)   /* s */


typedef enum {
    NGX_HTTP_SYNC_ROOM_VOLATILE = 0,
    NGX_HTTP_SYNC_ROOM_RECOVERABLE,
    NGX_HTTP_SYNC_ROOM_JOIN,
    NGX_HTTP_SYNC_ROOM_QUEUE,
    NGX_HTTP_SYNC_ROOM_PRESENCE
} ngx_http_sync_room_parameter_e;


typedef struct {
    const char                      *name;
    ngx_http_sync_room_parameter_e   type;
    ngx_uint_t                       value;
} ngx_http_sync_room_parameter_t;


static char *ngx_http_sync_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_sync_init_zone(ngx_shm_zone_t *shm_zone, void *data);
static char *ngx_http_sync_room(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sync_room_parameter(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, sync_rule_t *rule);
static char *ngx_http_sync_room_stream(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *s, sync_rule_t *rule);
static char *ngx_http_sync_room_history(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_rule_t *rule);
static char *ngx_http_sync_endpoint(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sync_hook(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sync_hook_parameters(ngx_conf_t *cf,
    ngx_command_t *cmd, sync_hook_conf_t *hook, ngx_http_sync_event_t *event);
static char *ngx_http_sync_allow_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sync_receiver(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sync_ping(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sync_compression(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sync_bounded(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_sync_parse(ngx_http_sync_bounds_t *b,
    ngx_str_t *value);
static ngx_int_t ngx_http_sync_parse_size(ngx_str_t *value);
static ngx_int_t ngx_http_sync_parse_msec(ngx_str_t *value);
static ngx_int_t ngx_http_sync_parse_number(ngx_str_t *value);


static ngx_http_sync_bounds_t  ngx_http_sync_message_bounds = {
    ngx_http_sync_parse_size, 1, 64 * 1024 * 1024,
    "a size from 1 byte to 64m"
};


static ngx_http_sync_bounds_t  ngx_http_sync_queue_bounds = {
    ngx_http_sync_parse_size, 1024, 1024 * 1024 * 1024,
    "a size from 1k to 1024m"
};


static ngx_http_sync_bounds_t  ngx_http_sync_rooms_bounds = {
    ngx_http_sync_parse_number, 1, 65535,
    "a number from 1 to 65535"
};


static ngx_http_sync_bounds_t  ngx_http_sync_drain_bounds = {
    ngx_http_sync_parse_msec, 0, 24 * 3600 * 1000,
    "a time up to 1d"
};


static ngx_http_sync_bounds_t  ngx_http_sync_ping_bounds = {
    ngx_http_sync_parse_msec, 50, 24 * 3600 * 1000,
    "two times from 50ms to 1d: the interval and the timeout"
};


static ngx_http_sync_bounds_t  ngx_http_sync_level_bounds = {
    ngx_http_sync_parse_number, 1, 9,
    "\"level=number\" from 1 to 9"
};


static ngx_http_sync_bounds_t  ngx_http_sync_min_bounds = {
    ngx_http_sync_parse_size, 0, 64 * 1024 * 1024,
    "\"min=size\" up to 64m"
};


static ngx_http_sync_kind_t  ngx_http_sync_kinds[] = {
    { "websocket", ngx_http_sync_websocket_handler },
    { "sse", ngx_http_sync_sse_handler },
    { "socketio", ngx_http_sync_socketio_handler },
    { "control", ngx_http_sync_control_handler },
    { "status", ngx_http_sync_status_handler },
    { "client", ngx_http_sync_client_handler },
    { "request", ngx_http_sync_request_handler },
    { "api", ngx_http_sync_api_handler },
    { NULL, NULL }
};


static ngx_http_sync_event_t  ngx_http_sync_events[] = {
    { "server", SYNC_HOOK_SERVER, 0 },
    { "connect", SYNC_HOOK_CONNECT, 1 },
    { "join", SYNC_HOOK_JOIN, 1 },
    { "leave", SYNC_HOOK_LEAVE, 1 },
    { "disconnect", SYNC_HOOK_DISCONNECT, 0 },
    { "client", SYNC_HOOK_CLIENT, 0 },
    { "connected", SYNC_HOOK_CONNECTED, 0 },
    { "joined", SYNC_HOOK_JOINED, 0 },
    { "left", SYNC_HOOK_LEFT, 0 },
    { "api", SYNC_HOOK_API, 0 },
    { "fanout", SYNC_HOOK_FANOUT, 1 },
    { "delivered", SYNC_HOOK_DELIVERED, 0 },
    { "location", SYNC_HOOK_LOCATION, 0 },
    { "presence", SYNC_HOOK_PRESENCE, 0 },
    { "cancel", SYNC_HOOK_CANCEL, 0 },
    { NULL, SYNC_HOOK_MAX, 0 }
};


static ngx_http_sync_room_parameter_t  ngx_http_sync_room_parameters[] = {
    { "volatile", NGX_HTTP_SYNC_ROOM_VOLATILE, 0 },
    { "history=0", NGX_HTTP_SYNC_ROOM_VOLATILE, 0 },
    { "join=open", NGX_HTTP_SYNC_ROOM_JOIN, SYNC_JOIN_OPEN },
    { "join=public", NGX_HTTP_SYNC_ROOM_JOIN, SYNC_JOIN_PUBLIC },
    { "join=user", NGX_HTTP_SYNC_ROOM_JOIN, SYNC_JOIN_USER },
    { "join=hook", NGX_HTTP_SYNC_ROOM_JOIN, SYNC_JOIN_HOOK },
    { "join=deny", NGX_HTTP_SYNC_ROOM_JOIN, SYNC_JOIN_DENY },
    { "queue=close", NGX_HTTP_SYNC_ROOM_QUEUE, SYNC_SLOW_CLOSE },
    { "queue=drop", NGX_HTTP_SYNC_ROOM_QUEUE, SYNC_SLOW_DROP },
    { "queue=conflate", NGX_HTTP_SYNC_ROOM_QUEUE, SYNC_SLOW_CONFLATE },
    { "recoverable", NGX_HTTP_SYNC_ROOM_RECOVERABLE, 0 },
    { "presence=on", NGX_HTTP_SYNC_ROOM_PRESENCE, 1 },
    { "presence=off", NGX_HTTP_SYNC_ROOM_PRESENCE, 0 },
    { NULL, NGX_HTTP_SYNC_ROOM_VOLATILE, 0 }
};


ngx_command_t  ngx_http_sync_commands[] = {

    { ngx_string("sync_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_sync_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_sync_redis,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_room"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_sync_room,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_registry"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_sync_registry,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_drain"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_sync_bounded,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_sync_main_conf_t, settings.drain),
      &ngx_http_sync_drain_bounds },

    { ngx_string("sync"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_sync_endpoint,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_hook"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_2MORE,
      ngx_http_sync_hook,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_session"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sync_session,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_token"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sync_token,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_routes"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sync_routes,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_csrf"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sync_csrf,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_rate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_sync_rate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_allow_origin"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sync_allow_origin,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_receiver"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_sync_receiver,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_ping"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_sync_ping,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_max_message"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sync_bounded,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sync_loc_conf_t, settings.client.max_message),
      &ngx_http_sync_message_bounds },

    { ngx_string("sync_recovery"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_sync_recovery,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_presence"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sync_presence,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sync_max_rooms"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sync_bounded,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sync_loc_conf_t, settings.max_rooms),
      &ngx_http_sync_rooms_bounds },

    { ngx_string("sync_queue"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sync_bounded,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sync_loc_conf_t, settings.client.queue),
      &ngx_http_sync_queue_bounds },

    { ngx_string("sync_compression"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE123,
      ngx_http_sync_compression,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static char *
ngx_http_sync_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_main_conf_t  *smcf = conf;

    u_char          *p;
    ssize_t          size;
    ngx_str_t       *value, name, s;
    sync_zone_t     *z;
    ngx_shm_zone_t  *shm_zone;

    if (smcf->settings.zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (!ngx_http_sync_starts(&value[1], "zone=", &name)) {
        return ngx_http_sync_invalid(cf, cmd, &value[1], "zone=name:size");
    }

    p = ngx_strlchr(name.data, name.data + name.len, ':');

    if (p == NULL || p == name.data) {
        return ngx_http_sync_invalid(cf, cmd, &value[1], "zone=name:size");
    }

    s.data = p + 1;
    s.len = name.data + name.len - s.data;

    name.len = p - name.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR || size < SYNC_ZONE_MIN) {
        return ngx_http_sync_invalid(cf, cmd, &value[1],
                                     "zone=name:size, with a size of at "
                                     "least 1m");
    }

    z = ngx_pcalloc(cf->pool, sizeof(sync_zone_t));
    if (z == NULL) {
        return NGX_CONF_ERROR;
    }

    z->name = name;
    z->mend = sync_sid_mend;

    shm_zone = ngx_shared_memory_add(cf, &name, size, &ngx_http_sync_module);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_http_sync_init_zone;
    shm_zone->data = z;

    smcf->settings.zone = z;
    smcf->size = size;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sync_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_int_t     rc;
    sync_zone_t  *z = shm_zone->data;

    rc = sync_zone_init(z, shm_zone, data);

    if (rc == SYNC_OK) {
        return NGX_OK;
    }

    if (rc == SYNC_DECLINED) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "sync_zone \"%V\" was made by another version of the "
                      "module, give it another name", &shm_zone->shm.name);

    } else {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "sync_zone \"%V\" is too small", &shm_zone->shm.name);
    }

    return NGX_ERROR;
}


static char *
ngx_http_sync_room(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_main_conf_t  *smcf = conf;

    char         *rv;
    ngx_str_t    *value;
    sync_str_t    pattern;
    ngx_uint_t    i;
    sync_rule_t  *rule;

    value = cf->args->elts;

    pattern.data = value[1].data;
    pattern.len = value[1].len;

    if (sync_name_check_pattern(&pattern) != SYNC_OK) {
        return ngx_http_sync_invalid(cf, cmd, &value[1],
                                     "a room's name of 1 to 256 bytes, or "
                                     "the beginning of one and \"*\"");
    }

    if (smcf->settings.rules == NULL) {
        smcf->settings.rules = ngx_array_create(cf->pool, 4,
                                                sizeof(sync_rule_t));
        if (smcf->settings.rules == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    rule = smcf->settings.rules->elts;

    for (i = 0; i < smcf->settings.rules->nelts; i++) {

        if (sync_str_eq(&rule[i].pattern, &pattern)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate pattern \"%V\" in \"%V\" directive",
                               &value[1], &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    rule = ngx_array_push(smcf->settings.rules);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(rule, sizeof(sync_rule_t));

    rule->pattern = pattern;
    rule->join = SYNC_JOIN_OPEN;
    rule->slow = SYNC_SLOW_CLOSE;
    rule->recoverable = NGX_CONF_UNSET;
    rule->presence = 1;

    for (i = 2; i < cf->args->nelts; i++) {

        rv = ngx_http_sync_room_parameter(cf, cmd, &value[i], rule);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return ngx_http_sync_room_history(cf, cmd, rule);
}


/* The parameters of a history stand in any order. */

static char *
ngx_http_sync_room_history(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_rule_t *rule)
{
    ngx_conf_init_value(rule->recoverable, 0);

    if (rule->recoverable) {

        if (rule->slow == SYNC_SLOW_CONFLATE) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"queue=conflate\" contradicts "
                               "\"recoverable\" in \"%V\" directive",
                               &cmd->name);
            return NGX_CONF_ERROR;
        }

        if (rule->room.history == 0) {
            rule->room.history = NGX_HTTP_SYNC_ROOM_HISTORY;
        }

        if (rule->room.ttl == 0) {
            rule->room.ttl = NGX_HTTP_SYNC_ROOM_TTL;
        }

        return NGX_CONF_OK;
    }

    if (rule->room.history || rule->room.ttl) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"history=\" and \"ttl=\" require "
                           "\"recoverable\" in \"%V\" directive", &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sync_room_parameter(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, sync_rule_t *rule)
{
    ngx_int_t                        n;
    ngx_str_t                        s;
    ngx_http_sync_room_parameter_t  *p;

    static const char  *allowed = "\"volatile\", \"recoverable\", "
                                  "\"history=number\", \"ttl=time\", "
                                  "\"join=open\", "
                                  "\"join=public\", \"join=user\", "
                                  "\"join=hook\", "
                                  "\"join=deny\", \"queue=close\", "
                                  "\"queue=drop\", "
                                  "\"queue=conflate\", \"presence=on\", "
                                  "\"presence=off\", or "
                                  "\"stream=accumulate\"";

    for (p = ngx_http_sync_room_parameters; p->name; p++) {

        if (!ngx_http_sync_is(value, p->name)) {
            continue;
        }

        switch (p->type) {

        case NGX_HTTP_SYNC_ROOM_JOIN:
            rule->join = p->value;
            break;

        case NGX_HTTP_SYNC_ROOM_QUEUE:
            rule->slow = p->value;
            break;

        case NGX_HTTP_SYNC_ROOM_PRESENCE:
            rule->presence = p->value;
            break;

        default: /* NGX_HTTP_SYNC_ROOM_VOLATILE, _RECOVERABLE */

            if (rule->recoverable != NGX_CONF_UNSET
                && rule->recoverable
                   != (p->type == NGX_HTTP_SYNC_ROOM_RECOVERABLE))
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "\"%V\" contradicts \"%s\" in \"%V\" "
                                   "directive", value,
                                   rule->recoverable ? "recoverable"
                                                     : "volatile",
                                   &cmd->name);
                return NGX_CONF_ERROR;
            }

            rule->recoverable = (p->type == NGX_HTTP_SYNC_ROOM_RECOVERABLE);
            break;
        }

        return NGX_CONF_OK;
    }

    if (ngx_http_sync_starts(value, "history=", &s)) {
        n = ngx_atoi(s.data, s.len);

        if (n < 1 || n > NGX_HTTP_SYNC_ROOM_HISTORY_MAX) {
            return ngx_http_sync_invalid(cf, cmd, value, "\"history=\" and a "
                                         "number of messages up to 1000000");
        }

        rule->room.history = n;

        return NGX_CONF_OK;
    }

    if (ngx_http_sync_starts(value, "ttl=", &s)) {
        n = ngx_parse_time(&s, 1);

        if (n < 1 || n > NGX_HTTP_SYNC_ROOM_TTL_MAX) {
            return ngx_http_sync_invalid(cf, cmd, value, "\"ttl=\" and a time "
                                         "from 1s to 365d");
        }

        rule->room.ttl = n;

        return NGX_CONF_OK;
    }

    if (ngx_http_sync_starts(value, "stream=", &s)) {
        return ngx_http_sync_room_stream(cf, cmd, value, &s, rule);
    }

    return ngx_http_sync_invalid(cf, cmd, value, allowed);
}


static char *
ngx_http_sync_room_stream(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_str_t *s, sync_rule_t *rule)
{
    ssize_t    n;
    ngx_str_t  size;

    if (ngx_http_sync_is(s, "off")) {
        rule->accumulate = 0;
        return NGX_CONF_OK;
    }

    n = -1;

    if (ngx_http_sync_is(s, "accumulate")) {
        n = NGX_HTTP_SYNC_ROOM_TEXT;

    } else if (ngx_http_sync_starts(s, "accumulate:", &size)) {
        n = ngx_parse_size(&size);
    }

    if (n < 1024 || n > 1024 * 1024) {
        return ngx_http_sync_invalid(cf, cmd, value, "\"stream=off\", "
                                     "\"stream=accumulate\", or "
                                     "\"stream=accumulate:\" and a size "
                                     "from 1k to 1m");
    }

    rule->accumulate = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_sync_endpoint(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    ngx_str_t                  *value;
    ngx_http_sync_kind_t       *kind;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_sync_main_conf_t  *smcf;

    static const char  *allowed = "\"websocket\", \"sse\", \"socketio\", "
                                  "\"control\", \"status\", \"client\", "
                                  "\"request\", or \"api\"";

    if (slcf->handler) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (kind = ngx_http_sync_kinds; kind->name; kind++) {

        if (ngx_http_sync_is(&value[1], kind->name)) {
            break;
        }
    }

    if (kind->name == NULL) {
        return ngx_http_sync_invalid(cf, cmd, &value[1], allowed);
    }

    if (cf->args->nelts == 3) {

        if (kind->handler != ngx_http_sync_websocket_handler
            && kind->handler != ngx_http_sync_socketio_handler)
        {
            return ngx_http_sync_invalid(cf, cmd, &value[2], "left out");
        }

        if (!ngx_http_sync_is(&value[2], "legacy")) {
            return ngx_http_sync_invalid(cf, cmd, &value[2], "\"legacy\"");
        }

        slcf->settings.legacy = 1;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sync_module);

    clcf->handler = kind->handler;
    slcf->handler = kind->handler;

    if (smcf->file.len == 0) {
        smcf->file = cf->conf_file->file.name;
        smcf->line = cf->conf_file->line;
    }

    if (kind->handler == ngx_http_sync_client_handler) {
        ngx_http_sync_client_init(smcf);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sync_hook(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    ngx_str_t                  *value;
    sync_hook_conf_t           *hook;
    ngx_http_sync_event_t      *event;
    ngx_http_sync_main_conf_t  *smcf;

    static const char  *allowed = "\"server\", \"api\", \"connect\", \"join\", "
                                  "\"leave\", \"client\", \"fanout\", "
                                  "\"delivered\", "
                                  "\"disconnect\", \"connected\", "
                                  "\"joined\", \"left\", "
                                  "\"location\", \"presence\", or "
                                  "\"cancel\"";

    value = cf->args->elts;

    for (event = ngx_http_sync_events; event->name; event++) {

        if (ngx_http_sync_is(&value[1], event->name)) {
            break;
        }
    }

    if (event->name == NULL) {
        return ngx_http_sync_invalid(cf, cmd, &value[1], allowed);
    }

    hook = &slcf->settings.hooks[event->event];

    if (hook->uri.data) {
        return "is duplicate";
    }

    if (value[2].len == 0 || value[2].data[0] != '/'
        || ngx_strlchr(value[2].data, value[2].data + value[2].len, '?'))
    {
        return ngx_http_sync_invalid(cf, cmd, &value[2],
                                     "the path of an internal location, "
                                     "\"/...\", without arguments");
    }

    hook->uri = value[2];
    ngx_http_sync_hook_times(hook);

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_sync_module);
    smcf->hooks = 1;

    return ngx_http_sync_hook_parameters(cf, cmd, hook, event);
}


static char *
ngx_http_sync_hook_parameters(ngx_conf_t *cf, ngx_command_t *cmd,
    sync_hook_conf_t *hook, ngx_http_sync_event_t *event)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 3; i < cf->args->nelts; i++) {

        if (ngx_http_sync_is(&value[i], "on_error=deny")
            || ngx_http_sync_is(&value[i], "cancel=notify"))
        {
            continue;
        }

        if (ngx_http_sync_is(&value[i], "on_error=allow")) {

            if (!event->decides) {
                return ngx_http_sync_invalid(cf, cmd, &value[i],
                                             "\"on_error=deny\" for an event "
                                             "that is not asked for "
                                             "permission");
            }

            hook->allow = 1;
            continue;
        }

        if (ngx_http_sync_is(&value[i], "cancel=close")) {

            if (event->event != SYNC_HOOK_SERVER
                && event->event != SYNC_HOOK_API)
            {
                return ngx_http_sync_invalid(cf, cmd, &value[i],
                                             "\"cancel=notify\" for an event "
                                             "that is neither \"server\" nor "
                                             "\"api\"");
            }

            hook->close = 1;
            continue;
        }

        if (event->event == SYNC_HOOK_CLIENT) {

            if (ngx_http_sync_hook_time(hook, &value[i]) == NGX_OK) {
                continue;
            }

            return ngx_http_sync_invalid(cf, cmd, &value[i],
                                         "\"share=off\", or \"share=\" or "
                                         "\"timeout=\" and a time");
        }

        return ngx_http_sync_invalid(cf, cmd, &value[i],
                                     "\"on_error=deny\", \"on_error=allow\", "
                                     "\"cancel=notify\", or "
                                     "\"cancel=close\"");
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sync_allow_origin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    ngx_int_t    rc;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (slcf->origins) {
        return "is duplicate";
    }

    slcf->origins = ngx_http_sync_origins_create(cf);
    if (slcf->origins == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        rc = ngx_http_sync_origins_add(cf, slcf->origins, &value[i]);

        if (rc == NGX_DECLINED) {
            return ngx_http_sync_invalid(cf, cmd, &value[i],
                                         "\"same\", an origin as "
                                         "\"https://example.com\", "
                                         "\"~regex\", or \"*\"");
        }

        if (rc != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sync_receiver(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    ngx_str_t        *value;
    sync_settings_t  *s;

    s = &slcf->settings;

    if (s->receiver_any != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_sync_is(&value[1], "member")) {
        s->receiver_any = 0;

    } else if (ngx_http_sync_is(&value[1], "any")) {
        s->receiver_any = 1;

    } else {
        return ngx_http_sync_invalid(cf, cmd, &value[1],
                                     "\"member\" or \"any\"");
    }

    if (cf->args->nelts == 2 || ngx_http_sync_is(&value[2], "all=off")) {
        s->receiver_all = 0;

    } else if (ngx_http_sync_is(&value[2], "all=on")) {
        s->receiver_all = 1;

    } else {
        return ngx_http_sync_invalid(cf, cmd, &value[2],
                                     "\"all=on\" or \"all=off\"");
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sync_ping(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    ngx_int_t               n[2];
    ngx_str_t              *value;
    ngx_uint_t              i;
    ngx_http_sync_bounds_t  *b;

    if (slcf->settings.client.ping_interval != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    b = &ngx_http_sync_ping_bounds;
    value = cf->args->elts;

    for (i = 0; i < 2; i++) {
        n[i] = ngx_http_sync_parse(b, &value[i + 1]);

        if (n[i] == NGX_ERROR) {
            return ngx_http_sync_invalid(cf, cmd, &value[i + 1], b->allowed);
        }
    }

    slcf->settings.client.ping_interval = n[0];
    slcf->settings.client.ping_timeout = n[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_sync_compression(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sync_loc_conf_t  *slcf = conf;

    ngx_int_t            n;
    ngx_str_t           *value, s;
    ngx_uint_t           i;
    sync_client_conf_t  *client;

    client = &slcf->settings.client;

    if (client->compression != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_sync_is(&value[1], "off")) {
        client->compression = 0;

    } else if (ngx_http_sync_is(&value[1], "on")) {
        client->compression = 1;

    } else {
        return ngx_http_sync_invalid(cf, cmd, &value[1], "\"on\" or \"off\"");
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_sync_starts(&value[i], "level=", &s)) {
            n = ngx_http_sync_parse(&ngx_http_sync_level_bounds, &s);

            if (n == NGX_ERROR) {
                return ngx_http_sync_invalid(cf, cmd, &value[i],
                                    ngx_http_sync_level_bounds.allowed);
            }

            client->level = n;
            continue;
        }

        if (ngx_http_sync_starts(&value[i], "min=", &s)) {
            n = ngx_http_sync_parse(&ngx_http_sync_min_bounds, &s);

            if (n == NGX_ERROR) {
                return ngx_http_sync_invalid(cf, cmd, &value[i],
                                    ngx_http_sync_min_bounds.allowed);
            }

            client->min = n;
            continue;
        }

        return ngx_http_sync_invalid(cf, cmd, &value[i],
                                     "\"level=number\" or \"min=size\"");
    }

    return NGX_CONF_OK;
}


/* A directive with one value within bounds; all such fields have one size. */

static char *
ngx_http_sync_bounded(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_int_t               *field;
    ngx_str_t               *value;
    ngx_http_sync_bounds_t  *b;

    field = (ngx_int_t *) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    b = cmd->post;
    value = cf->args->elts;

    *field = ngx_http_sync_parse(b, &value[1]);

    if (*field == NGX_ERROR) {
        return ngx_http_sync_invalid(cf, cmd, &value[1], b->allowed);
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sync_parse(ngx_http_sync_bounds_t *b, ngx_str_t *value)
{
    ngx_int_t  n;

    n = b->parse(value);

    return (n < b->min || n > b->max) ? NGX_ERROR : n;
}


static ngx_int_t
ngx_http_sync_parse_size(ngx_str_t *value)
{
    return ngx_parse_size(value);
}


static ngx_int_t
ngx_http_sync_parse_msec(ngx_str_t *value)
{
    return ngx_parse_time(value, 0);
}


static ngx_int_t
ngx_http_sync_parse_number(ngx_str_t *value)
{
    return ngx_atoi(value->data, value->len);
}


ngx_uint_t
ngx_http_sync_is(ngx_str_t *value, const char *name)
{
    return value->len == ngx_strlen(name)
           && ngx_strncmp(value->data, name, value->len) == 0;
}


ngx_uint_t
ngx_http_sync_starts(ngx_str_t *value, const char *prefix, ngx_str_t *rest)
{
    size_t  len;

    len = ngx_strlen(prefix);

    if (value->len < len || ngx_strncmp(value->data, prefix, len) != 0) {
        return 0;
    }

    rest->data = value->data + len;
    rest->len = value->len - len;

    return 1;
}


char *
ngx_http_sync_invalid(ngx_conf_t *cf, ngx_command_t *cmd, ngx_str_t *value,
    const char *allowed)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\" directive, "
                       "it must be %s", value, &cmd->name, allowed);

    return NGX_CONF_ERROR;
}
