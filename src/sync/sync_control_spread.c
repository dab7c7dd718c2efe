
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control_spread.h>
#include <sync_cluster.h>
#include <sync_question.h>
#include <sync_session_change.h>


typedef struct {
    const char               *name;
    const char               *list;     /* in order, a page of it; or NULL */
    const char               *key;      /* its order's */
    const char               *sum;      /* of entries with one key; or NULL */
    const char               *total;    /* a number; or NULL */
    const char               *first;    /* what one host has; or NULL */
    ngx_uint_t              (*spreads)(sync_control_t *ctl);    /* NULL: yes */
    sync_control_merge_pt     merge;    /* of two with one key; or NULL */
} sync_control_way_t;


/* What others are asked for where it is another operation. */

typedef struct {
    const char               *name;
    const char               *asked;
} sync_control_host_t;


struct sync_control_spread_s {
    const sync_control_way_t  *way;
    sync_control_t            *ctl;
    sync_question_t           *question;    /* NULL: it is answered */
    sync_question_hosts_t      hosts;
    ngx_int_t                  rc;          /* of this host */
    ngx_uint_t                 found;       /* others that did it */
    ngx_uint_t                 failed;      /* others that could not */
    json_t                    *list;        /* entries of others */
    json_int_t                 total;
    unsigned                   local:1;     /* this host has not answered */
    unsigned                   more:1;      /* some host has more */
};


static const sync_control_way_t *sync_control_way(const char *name);
static const char *sync_control_host_way(sync_control_t *ctl,
    const char *name);
static ngx_uint_t sync_control_spreads_clients(sync_control_t *ctl);
static ngx_uint_t sync_control_spreads_kick(sync_control_t *ctl);
static ngx_uint_t sync_control_has(sync_control_t *ctl, const char *field);
static ngx_int_t sync_control_local(sync_control_t *ctl, const char *name,
    sync_control_pt run);
static void sync_control_spread_cleanup(void *data);
static void sync_control_spread_answer(void *data, sync_str_t *answer);
static void sync_control_spread_asked(void *data,
    sync_question_hosts_t *hosts);
static void sync_control_spread_add(sync_control_spread_t *sp);
static int sync_control_spread_compare(const void *one, const void *two);


static const sync_control_way_t  sync_control_ways[] = {
    { "rooms", "rooms", "room", "members", NULL, NULL, NULL, NULL },
    { "members", "members", "clientId", NULL, "count", NULL, NULL, NULL },
    { "clients", "clients", "clientId", NULL, "count", NULL, NULL, NULL },
    { "client", NULL, NULL, NULL, NULL, "client", NULL, NULL },
    { "presence", "users", "userId", NULL, NULL, NULL, NULL,
      sync_control_presence_merge },
    { "kick", NULL, NULL, NULL, "clients", NULL, sync_control_spreads_kick,
      NULL },
    { "disconnect", NULL, NULL, NULL, "clients", NULL, NULL, NULL },
    { "join", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "leave", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "publish", NULL, NULL, NULL, "receivers", NULL,
      sync_control_spreads_clients, NULL },
    { "emit", NULL, NULL, NULL, "receivers", NULL,
      sync_control_spreads_clients, NULL },
    { "session/revoke", NULL, NULL, NULL, "sessions", NULL, NULL, NULL },
    { "host/kick", NULL, NULL, NULL, "sessions", NULL, NULL, NULL },
    { "host/revoke", NULL, NULL, NULL, "sessions", NULL, NULL, NULL },
    { NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};


static const sync_control_host_t  sync_control_hosts[] = {
    { "kick", "host/kick" },
    { "session/revoke", "host/revoke" },
    { NULL, NULL }
};


/* of the list that is sorted */

static const char  *sync_control_spread_key;


ngx_int_t
sync_control_spread(sync_control_t *ctl, const char *name,
    sync_control_pt run)
{
    ngx_int_t                  rc;
    ngx_pool_cleanup_t        *cln;
    sync_control_spread_t     *sp;
    const sync_control_way_t  *way;

    if (ctl->local) {
        return sync_control_local(ctl, name, run);
    }

    name = sync_control_host_way(ctl, name);
    way = sync_control_way(name);

    if (way == NULL || !sync_cluster_enabled()
        || (way->spreads && !way->spreads(ctl)))
    {
        return run(ctl);
    }

    cln = ngx_pool_cleanup_add(ctl->pool, sizeof(sync_control_spread_t));
    if (cln == NULL) {
        return SYNC_ERROR;
    }

    sp = cln->data;
    ngx_memzero(sp, sizeof(sync_control_spread_t));

    cln->handler = sync_control_spread_cleanup;

    sp->way = way;
    sp->ctl = ctl;

    ctl->wide = 1;

    rc = run(ctl);

    if (rc == SYNC_ERROR && ctl->status != NGX_HTTP_NOT_FOUND) {
        return SYNC_ERROR;
    }

    sp->rc = rc;
    sp->local = (rc == SYNC_AGAIN);

    if (sync_question_ask(name, &ctl->fields.raw, sync_control_spread_answer,
                          sync_control_spread_asked, sp, &sp->question)
        != SYNC_OK)
    {
        sync_control_set(ctl, ctl->answer, "degraded", json_true());
        return rc;
    }

    ctl->spread = sp;

    return SYNC_AGAIN;
}


static const sync_control_way_t *
sync_control_way(const char *name)
{
    const sync_control_way_t  *way;

    for (way = sync_control_ways; way->name; way++) {
        if (ngx_strcmp(way->name, name) == 0) {
            return way;
        }
    }

    return NULL;
}


/* Of sessions each host ends those that it has alone. */

static const char *
sync_control_host_way(sync_control_t *ctl, const char *name)
{
    const sync_control_host_t  *host;

    if (!sync_session_on(ctl->settings) || !sync_control_has(ctl, "user")) {
        return name;
    }

    for (host = sync_control_hosts; host->name; host++) {
        if (ngx_strcmp(host->name, name) == 0) {
            return host->asked;
        }
    }

    return name;
}


/* Rooms are Redis's; who acknowledges what is asked for here. */

static ngx_uint_t
sync_control_spreads_clients(sync_control_t *ctl)
{
    return (sync_control_has(ctl, "clientId") || sync_control_has(ctl, "user"))
           && !sync_control_has(ctl, "ack");
}


/* The end of a session is heard everywhere. */

static ngx_uint_t
sync_control_spreads_kick(sync_control_t *ctl)
{
    return sync_control_has(ctl, "clientId")
           || !sync_session_on(ctl->settings);
}


static ngx_uint_t
sync_control_has(sync_control_t *ctl, const char *field)
{
    sync_json_t  v;

    return sync_control_field(ctl, field, &v) == SYNC_OK;
}


/* Another host asks.  It has seen to the session of a token itself. */

static ngx_int_t
sync_control_local(sync_control_t *ctl, const char *name,
    sync_control_pt run)
{
    u_char      id[SYNC_ID_LEN];
    sync_str_t  token, room;

    if (sync_control_way(name) == NULL) {
        return sync_control_invalid(ctl, "each host does it for itself");
    }

    ctl->wide = 1;

    if ((ngx_strcmp(name, "join") == 0 || ngx_strcmp(name, "leave") == 0)
        && sync_control_token(ctl, &token) == SYNC_OK)
    {
        if (sync_control_name(ctl, "room", &room) != SYNC_OK) {
            return SYNC_ERROR;
        }

        sync_token_id(id, &token);

        return (sync_session_order(ctl->main, id, name, 0, "room", &room)
                == SYNC_BUSY)
               ? sync_control_full(ctl) : SYNC_OK;
    }

    return run(ctl);
}


static void
sync_control_spread_cleanup(void *data)
{
    sync_control_spread_t *sp = data;

    if (sp->question) {
        sync_question_cancel(sp->question);
    }

    json_decref(sp->list);
}


static void
sync_control_spread_answer(void *data, sync_str_t *answer)
{
    sync_control_spread_t *sp = data;

    json_t      *json, *v;
    const char  *status;

    json = json_loadb((char *) answer->data, answer->len, 0, NULL);

    status = json_string_value(json_object_get(json, "status"));

    if (status == NULL || ngx_strcmp(status, "success") != 0) {

        v = json_object_get(json, "errorCode");

        if (status == NULL || !json_is_string(v)
            || ngx_strcmp(json_string_value(v), "client.notFound") != 0)
        {
            sp->failed++;
        }

        json_decref(json);
        return;
    }

    sp->found++;

    if (sp->way->total) {
        sp->total += json_integer_value(json_object_get(json,
                                                        sp->way->total));
    }

    if (sp->way->first) {
        v = json_object_get(json, sp->way->first);

        if (v) {
            sync_control_set(sp->ctl, sp->ctl->answer, sp->way->first,
                             json_incref(v));
        }
    }

    if (sp->way->list) {

        if (sp->list == NULL) {
            sp->list = json_array();
        }

        v = json_object_get(json, sp->way->list);

        if (v && json_array_extend(sp->list, v) != 0) {
            sp->ctl->failed = 1;
        }

        v = json_object_get(json, "cursor");

        if (v && !json_is_null(v)) {
            sp->more = 1;
        }
    }

    json_decref(json);
}


static void
sync_control_spread_asked(void *data, sync_question_hosts_t *hosts)
{
    sync_control_spread_t *sp = data;

    sp->question = NULL;
    sp->hosts = *hosts;

    if (!sp->local) {
        sync_control_done(sp->ctl, sp->rc);
    }
}


ngx_int_t
sync_control_spread_done(sync_control_t *ctl, ngx_int_t rc)
{
    json_t                 *hosts;
    sync_control_spread_t  *sp;

    sp = ctl->spread;

    if (sp == NULL) {
        return rc;
    }

    sp->rc = rc;
    sp->local = 0;

    if (sp->question) {
        return SYNC_AGAIN;
    }

    if (rc != SYNC_OK && ctl->status != NGX_HTTP_NOT_FOUND) {
        return rc;
    }

    hosts = json_object();

    sync_control_set(ctl, ctl->answer, "hosts", hosts);
    sync_control_set(ctl, hosts, "asked",
                     json_integer((json_int_t) sp->hosts.asked));
    sync_control_set(ctl, hosts, "answered",
                     json_integer((json_int_t) (sp->hosts.answered
                                                - sp->failed)));

    if (sp->hosts.lost) {
        sync_control_set(ctl, ctl->answer, "degraded", json_true());
    }

    if (sp->found == 0) {
        return rc;
    }

    /* somebody did it */

    ctl->status = 0;

    sync_control_spread_add(sp);

    return sp->way->list
           ? sync_control_merge(ctl, sp->way->list, sp->way->key, sp->way->sum,
                                sp->way->merge, sp->list, sp->more)
           : SYNC_OK;
}


static void
sync_control_spread_add(sync_control_spread_t *sp)
{
    json_t          *v;
    sync_control_t  *ctl;

    ctl = sp->ctl;

    if (sp->way->total == NULL) {
        return;
    }

    v = json_object_get(ctl->answer, sp->way->total);

    sync_control_set(ctl, ctl->answer, sp->way->total,
                     json_integer(sp->total + json_integer_value(v)));
}


ngx_int_t
sync_control_merge(sync_control_t *ctl, const char *name, const char *key,
    const char *sum, sync_control_merge_pt merge, json_t *more_of_it,
    ngx_uint_t more)
{
    size_t       i, n;
    json_t      *own, *list, *last, *v, **all;
    ngx_uint_t   limit;

    own = json_object_get(ctl->answer, name);

    v = json_object_get(ctl->answer, "cursor");

    if (v && !json_is_null(v)) {
        more = 1;
    }

    if (own == NULL || more_of_it == NULL
        || json_array_extend(more_of_it, own) != 0
        || sync_control_limit(ctl, 0, &limit) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    n = json_array_size(more_of_it);

    all = ngx_palloc(ctl->pool, (n + 1) * sizeof(json_t *));
    if (all == NULL) {
        return SYNC_ERROR;
    }

    for (i = 0; i < n; i++) {
        all[i] = json_array_get(more_of_it, i);
    }

    sync_control_spread_key = key;

    ngx_qsort(all, n, sizeof(json_t *), sync_control_spread_compare);

    list = json_array();
    last = NULL;

    sync_control_set(ctl, ctl->answer, name, list);

    for (i = 0; i < n; i++) {

        if (last && sync_control_spread_compare(&last, &all[i]) == 0) {

            if (sum) {
                v = json_object_get(last, sum);

                sync_control_set(ctl, last, sum, json_integer(
                      json_integer_value(v) + json_integer_value(
                                            json_object_get(all[i], sum))));
            }

            if (merge) {
                merge(ctl, last, all[i]);
                continue;
            }

            /* one that is here did not leave */

            if (json_is_true(json_object_get(all[i], "connected"))) {
                last = all[i];

                if (json_array_set(list, json_array_size(list) - 1, last)
                    != 0)
                {
                    return SYNC_ERROR;
                }
            }

            continue;
        }

        if (json_array_size(list) == limit) {
            more = 1;
            break;
        }

        last = all[i];

        if (json_array_append(list, last) != 0) {
            return SYNC_ERROR;
        }
    }

    v = last ? json_object_get(last, key) : NULL;

    sync_control_set(ctl, ctl->answer, "cursor",
                     more && v ? json_incref(v) : json_null());

    return SYNC_OK;
}


/* By the bytes; of ids the text has another order than the bytes. */

static int
sync_control_spread_compare(const void *one, const void *two)
{
    json_t      *v1, *v2;
    u_char       id1[SYNC_ID_LEN], id2[SYNC_ID_LEN];
    const char  *s1, *s2;

    v1 = json_object_get(*(json_t * const *) one, sync_control_spread_key);
    v2 = json_object_get(*(json_t * const *) two, sync_control_spread_key);

    s1 = json_string_value(v1);
    s2 = json_string_value(v2);

    if (s1 == NULL || s2 == NULL) {
        return (s1 != NULL) - (s2 != NULL);
    }

    if (ngx_strcmp(sync_control_spread_key, "clientId") == 0
        && sync_registry_parse_id(id1, (u_char *) s1, json_string_length(v1))
           == SYNC_OK
        && sync_registry_parse_id(id2, (u_char *) s2, json_string_length(v2))
           == SYNC_OK)
    {
        return ngx_memcmp(id1, id2, SYNC_ID_LEN);
    }

    return strcmp(s1, s2);
}
