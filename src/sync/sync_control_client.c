
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control_op.h>
#include <sync_roster.h>


/*
 * The registry: who is a client of this host, and who was one.  With Redis
 * it knows those who left other hosts, too.
 *
 *     client ---> zone? --(no)--> Redis? --> not found
 *     clients --> zone, and those who left by Redis as well
 */


/* the zone gives whole buckets: there is to be room for one */

#define SYNC_CONTROL_BUCKET  16

/* bytes of the rooms of one client */

#define SYNC_CONTROL_ROOMS   65536


typedef struct {
    sync_control_t        *ctl;
    sync_redis_call_t     *call;        /* NULL: it was answered */
} sync_control_asked_t;


static ngx_int_t sync_control_filter(sync_control_t *ctl,
    sync_former_filter_t *filter);
static ngx_int_t sync_control_connected(sync_control_t *ctl,
    sync_former_filter_t *filter);
static ngx_int_t sync_control_elsewhere(sync_control_t *ctl,
    const u_char *id);
static void sync_control_elsewhere_cleanup(void *data);
static void sync_control_elsewhere_done(redisReply *reply,
    sync_redis_error_e error, void *data);


ngx_int_t
sync_control_clients(sync_control_t *ctl)
{
    json_t                *clients;
    uint32_t               bucket;
    ngx_int_t              rc;
    ngx_uint_t             i, n, limit, cursor;
    sync_zone_t           *z;
    sync_record_info_t    *info;
    sync_former_filter_t   filter;

    if (sync_control_filter(ctl, &filter) != SYNC_OK) {
        return SYNC_ERROR;
    }

    /* those of a user are known by it, and are put in order as well */

    if (ctl->wide || (filter.by_user && filter.user.len && !filter.gone)) {
        rc = sync_control_wide_clients(ctl, &filter);

        return (rc == SYNC_OK && ctl->wide && !ctl->local && filter.gone)
               ? sync_control_clients_gone(ctl, &filter) : rc;
    }

    if (sync_control_page(ctl, SYNC_CONTROL_BUCKET, &limit, &cursor)
        != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    info = ngx_palloc(ctl->pool, limit * sizeof(sync_record_info_t));
    if (info == NULL) {
        return SYNC_ERROR;
    }

    n = 0;
    z = ctl->main->zone;
    bucket = ngx_min(cursor, sync_former_buckets(z));

    while (bucket < sync_former_buckets(z)
           && limit - n >= SYNC_CONTROL_BUCKET)
    {
        n += sync_former_page(z, &filter, &bucket, &info[n], limit - n);
    }

    clients = json_array();

    sync_control_set(ctl, ctl->answer, "count", json_integer(z->sh->nclients));
    sync_control_set(ctl, ctl->answer, "clients", clients);

    for (i = 0; i < n; i++) {

        if (json_array_append_new(clients, sync_roster_json(&info[i], NULL, 0))
            != 0)
        {
            return SYNC_ERROR;
        }
    }

    sync_control_set_cursor(ctl, bucket < sync_former_buckets(z), bucket);

    return SYNC_OK;
}


static ngx_int_t
sync_control_filter(sync_control_t *ctl, sync_former_filter_t *filter)
{
    ngx_int_t  rc;

    ngx_memzero(filter, sizeof(sync_former_filter_t));

    rc = sync_control_string(ctl, "user", &filter->user);

    if (rc == SYNC_ERROR) {
        return SYNC_ERROR;
    }

    filter->by_user = (rc == SYNC_OK);

    rc = sync_control_name(ctl, "room", &filter->room);

    if (rc == SYNC_ERROR) {
        return SYNC_ERROR;
    }

    filter->by_room = (rc == SYNC_OK);

    return sync_control_connected(ctl, filter);
}


/* As an argument of a GET it is a string. */

static ngx_int_t
sync_control_connected(sync_control_t *ctl, sync_former_filter_t *filter)
{
    sync_str_t   s;
    sync_json_t  v;

    filter->here = 1;

    if (sync_control_field(ctl, "connected", &v) != SYNC_OK) {
        return SYNC_OK;
    }

    if (v.type == SYNC_JSON_TRUE) {
        return SYNC_OK;
    }

    if (v.type == SYNC_JSON_FALSE) {
        filter->here = 0;
        filter->gone = 1;
        return SYNC_OK;
    }

    if (v.type == SYNC_JSON_STRING
        && sync_control_unquote(ctl, &v, &s) == SYNC_OK)
    {
        if (sync_str_is(&s, "true")) {
            return SYNC_OK;
        }

        if (sync_str_is(&s, "false") || sync_str_is(&s, "any")) {
            filter->here = (s.len == 3);
            filter->gone = 1;
            return SYNC_OK;
        }
    }

    return sync_control_invalid(ctl, "\"connected\" must be true, false, or "
                                "\"any\"");
}


ngx_int_t
sync_control_client(sync_control_t *ctl)
{
    size_t               len;
    u_char              *rooms, id[SYNC_ID_LEN];
    ngx_int_t            rc;
    sync_record_info_t   info;

    rc = sync_control_id(ctl, id);

    if (rc == SYNC_DECLINED) {
        return sync_control_missing(ctl, "clientId");
    }

    if (rc != SYNC_OK) {
        return SYNC_ERROR;
    }

    rooms = ngx_pnalloc(ctl->pool, SYNC_CONTROL_ROOMS);
    if (rooms == NULL) {
        return SYNC_ERROR;
    }

    rc = sync_former_info(ctl->main->zone, id, &info, rooms,
                          SYNC_CONTROL_ROOMS, &len);

    if (rc != SYNC_OK) {
        return ctl->local ? sync_control_not_found(ctl)
                          : sync_control_elsewhere(ctl, id);
    }

    sync_control_set(ctl, ctl->answer, "client",
                     sync_roster_json(&info, rooms, len));

    return SYNC_OK;
}


static ngx_int_t
sync_control_elsewhere(sync_control_t *ctl, const u_char *id)
{
    size_t                 argvlen[2];
    ngx_uint_t             shard;
    sync_str_t             key;
    const char            *argv[2];
    ngx_pool_cleanup_t    *cln;
    sync_control_asked_t  *asked;
    u_char                 buf[SYNC_ROSTER_KEY];

    if (sync_redis_shards() == 0) {
        return sync_control_not_found(ctl);
    }

    cln = ngx_pool_cleanup_add(ctl->pool, sizeof(sync_control_asked_t));
    if (cln == NULL) {
        return SYNC_ERROR;
    }

    asked = cln->data;
    asked->ctl = ctl;
    asked->call = NULL;

    shard = sync_roster_key(ctl->main, &key, buf, id);

    argv[0] = "GET";
    argv[1] = (char *) key.data;
    argvlen[0] = 3;
    argvlen[1] = key.len;

    if (sync_redis_command(shard, &asked->call, sync_control_elsewhere_done,
                           asked, 2, argv, argvlen)
        != SYNC_OK)
    {
        return sync_control_busy(ctl, "broker.unavailable",
                                 "Redis cannot be asked");
    }

    cln->handler = sync_control_elsewhere_cleanup;

    return SYNC_AGAIN;
}


static void
sync_control_elsewhere_cleanup(void *data)
{
    sync_control_asked_t *asked = data;

    if (asked->call) {
        sync_redis_cancel(asked->call);
    }
}


static void
sync_control_elsewhere_done(redisReply *reply, sync_redis_error_e error,
    void *data)
{
    sync_control_asked_t *asked = data;

    json_t          *client;
    ngx_int_t        rc;
    sync_control_t  *ctl;

    ctl = asked->ctl;
    asked->call = NULL;
    rc = SYNC_OK;

    if (error != SYNC_REDIS_OK || reply->type == REDIS_REPLY_ERROR) {
        rc = sync_control_busy(ctl, "broker.unavailable",
                               "Redis did not answer");

    } else {
        client = (reply->type == REDIS_REPLY_STRING)
                 ? json_loadb(reply->str, reply->len, JSON_ALLOW_NUL, NULL)
                 : NULL;

        if (client) {
            sync_control_set(ctl, ctl->answer, "client", client);

        } else {
            rc = sync_control_not_found(ctl);
        }
    }

    sync_control_done(ctl, rc);
}
