
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_session_hook.h>
#include <sync_session_change.h>
#include <sync_session_claim.h>
#include <sync_hook.h>
#include <sync_random.h>
#include <sync_timer.h>


#define SYNC_SESSION_ANSWER    (SYNC_SESSION_MAX + 4096)    /* bytes */
#define SYNC_SESSION_TTL_MAX   (10 * 365 * 24 * 3600)       /* s */
#define SYNC_SESSION_BUCKETS   256
#define SYNC_SESSION_POLL      10       /* ms, for another worker's answer */
#define SYNC_SESSION_PAUSE     1000     /* ms, after one that failed */
#define SYNC_SESSION_LINE      4096     /* that are to be asked for */


typedef struct sync_session_inquiry_s  sync_session_inquiry_t;

/* A token that is asked for; in a bucket until it is answered. */

struct sync_session_inquiry_s {
    ngx_queue_t               queue;    /* of all */
    sync_session_inquiry_t   *next;     /* of the bucket */
    sync_session_conf_t      *conf;
    sync_session_op_t        *ops;      /* that wait for it */
    sync_session_op_t       **last;
    sync_hook_t              *hook;     /* NULL: another worker asks */
    u_char                   *answer;
    size_t                    len;      /* bytes of it */
    size_t                    size;
    uint32_t                  stamp;
    uint32_t                  answers;
    u_char                    id[SYNC_ID_LEN];  /* of the token */
    unsigned                  logout:1;
    unsigned                  quiet:1;  /* begun with nobody waiting */
    unsigned                  broken:1; /* a piece of the answer was lost */
    sync_str_t                token;
    u_char                    data[1];
};


/* A session that the sweep found. */

typedef struct {
    sync_session_conf_t      *conf;
    u_char                    id[SYNC_ID_LEN];
} sync_session_due_t;


typedef struct {
    sync_main_settings_t     *main;
    ngx_queue_t               inquiries;
    sync_session_inquiry_t   *buckets[SYNC_SESSION_BUCKETS];
    ngx_event_t               poll;
    ngx_uint_t                quiet;    /* inquiries of that kind */
    ngx_msec_t                failed;   /* when one did, or 0 */

    sync_session_due_t       *line;
    ngx_uint_t                first;
    ngx_uint_t                n;
} sync_session_hook_worker_t;


static sync_session_inquiry_t *sync_session_inquiry_lookup(uint32_t realm,
    const u_char *id);
static sync_session_inquiry_t *sync_session_inquiry_create(
    sync_session_conf_t *conf, sync_str_t *token);
static void sync_session_inquiry_free(sync_session_inquiry_t *q);
static void sync_session_inquiry_wait(sync_session_inquiry_t *q,
    sync_session_op_t *op);
static ngx_int_t sync_session_inquiry_start(sync_session_inquiry_t *q);
static ngx_int_t sync_session_inquiry_send(sync_session_inquiry_t *q);
static void sync_session_inquiry_write(sync_session_inquiry_t *q,
    sync_writer_t *w, u_char *id);
static void sync_session_inquiry_poll(ngx_event_t *ev);
static void sync_session_inquiry_look(sync_session_inquiry_t *q);
static ngx_int_t sync_session_inquiry_known(sync_session_inquiry_t *q);
static ngx_int_t sync_session_inquiry_data(sync_hook_t *h, u_char *p,
    size_t len);
static void sync_session_inquiry_done(sync_hook_t *h,
    sync_hook_result_e result);
static ngx_int_t sync_session_inquiry_parse(sync_session_inquiry_t *q,
    sync_json_t *session, ngx_msec_t *ms);
static ngx_int_t sync_session_inquiry_store(sync_session_inquiry_t *q,
    sync_json_t *session);
static ngx_int_t sync_session_hook_set(sync_session_conf_t *conf,
    sync_str_t *token, sync_session_data_t *data, uint32_t stamp,
    const u_char *except);
static ngx_int_t sync_session_hook_merge(sync_session_data_t *data,
    sync_session_copy_t *old);
static void sync_session_inquiry_end(sync_session_inquiry_t *q,
    ngx_int_t rc);
static void sync_session_hook_ask(sync_session_conf_t *conf,
    sync_str_t *token);
static void sync_session_hook_go_on(void);
static ngx_uint_t sync_session_hook_trusted(void);
static void sync_session_hook_used(sync_settings_t *s, sync_str_t *token);


static const sync_hook_handler_t  sync_session_inquiry_handler = {
    sync_session_inquiry_data,
    sync_session_inquiry_done
};


static const sync_session_remote_t  sync_session_hook_remote = {
    sync_session_hook_trusted,
    sync_session_hook_used,
    sync_session_hook_used
};


/* what nginx keeps in a session */

static const sync_str_t  sync_session_kept[] = {
    sync_string("roomCodes"), sync_string("location"), { 0, NULL }
};


static sync_session_hook_worker_t  sync_session_hook;


void
sync_session_hook_init_worker(sync_main_settings_t *main)
{
    sync_session_hook_worker_t  *w;

    w = &sync_session_hook;

    ngx_memzero(w, sizeof(sync_session_hook_worker_t));

    w->main = main;

    ngx_queue_init(&w->inquiries);

    /* not cancelable: a request may wait for nothing else */

    sync_timer_init(&w->poll, sync_session_inquiry_poll, 0);

    sync_session_remotes[SYNC_SESSION_HOOK] = &sync_session_hook_remote;
}


void
sync_session_hook_exit_process(void)
{
    ngx_queue_t                 *q;
    sync_session_hook_worker_t  *w;

    w = &sync_session_hook;

    while (!ngx_queue_empty(&w->inquiries)) {
        q = ngx_queue_head(&w->inquiries);

        sync_session_inquiry_free(ngx_queue_data(q, sync_session_inquiry_t,
                                                 queue));
    }

    if (w->line) {
        ngx_free(w->line);
        w->line = NULL;
    }
}


ngx_int_t
sync_session_hook_read(sync_session_op_t *op)
{
    u_char                   id[SYNC_ID_LEN];
    ngx_int_t                rc;
    sync_session_conf_t     *conf;
    sync_session_inquiry_t  *q;

    conf = op->settings->session;

    sync_token_id(id, &op->token);

    q = sync_session_inquiry_lookup(conf->realm, id);

    if (q) {
        sync_session_inquiry_wait(q, op);
        return SYNC_AGAIN;
    }

    q = sync_session_inquiry_create(conf, &op->token);
    if (q == NULL) {
        return SYNC_ERROR;
    }

    rc = sync_session_inquiry_start(q);

    if (rc == SYNC_AGAIN) {
        sync_session_inquiry_wait(q, op);
    }

    return rc;
}


ngx_int_t
sync_session_hook_logout(sync_session_op_t *op)
{
    ngx_int_t                rc;
    sync_session_inquiry_t  *q;

    q = sync_session_inquiry_create(op->settings->session, &op->token);
    if (q == NULL) {
        return SYNC_ERROR;
    }

    q->logout = 1;

    rc = sync_session_inquiry_send(q);

    if (rc == SYNC_OK) {
        sync_session_inquiry_wait(q, op);
        return SYNC_AGAIN;
    }

    sync_session_inquiry_free(q);

    return rc;
}


void
sync_session_hook_cancel(sync_session_op_t *op)
{
    sync_session_op_t       **p;
    sync_session_inquiry_t   *q;

    q = op->call;
    op->call = NULL;

    for (p = &q->ops; *p; p = &(*p)->next) {

        if (*p == op) {
            *p = op->next;
            break;
        }
    }

    for (p = &q->ops; *p; p = &(*p)->next) { /* void */ }

    q->last = p;
}


static sync_session_inquiry_t *
sync_session_inquiry_lookup(uint32_t realm, const u_char *id)
{
    sync_session_inquiry_t  *q;

    for (q = sync_session_hook.buckets[id[0]]; q; q = q->next) {

        if (q->conf->realm == realm && ngx_memcmp(q->id, id, SYNC_ID_LEN) == 0)
        {
            return q;
        }
    }

    return NULL;
}


static sync_session_inquiry_t *
sync_session_inquiry_create(sync_session_conf_t *conf, sync_str_t *token)
{
    sync_session_inquiry_t  *q;

    q = ngx_alloc(offsetof(sync_session_inquiry_t, data) + token->len,
                  ngx_cycle->log);
    if (q == NULL) {
        return NULL;
    }

    ngx_memzero(q, offsetof(sync_session_inquiry_t, data));

    q->conf = conf;
    q->last = &q->ops;
    q->token.data = q->data;
    q->token.len = token->len;

    ngx_memcpy(q->data, token->data, token->len);
    sync_token_id(q->id, token);

    ngx_queue_insert_tail(&sync_session_hook.inquiries, &q->queue);

    return q;
}


static void
sync_session_inquiry_free(sync_session_inquiry_t *q)
{
    ngx_queue_remove(&q->queue);

    if (q->answer) {
        ngx_free(q->answer);
    }

    if (q->quiet) {
        sync_session_hook.quiet--;
    }

    ngx_free(q);
}


static void
sync_session_inquiry_wait(sync_session_inquiry_t *q, sync_session_op_t *op)
{
    op->call = q;
    op->next = NULL;

    *q->last = op;
    q->last = &op->next;
}


/*
 * Returns SYNC_AGAIN when it is asked for, by this worker or another one; else
 * the inquiry is gone.
 */

static ngx_int_t
sync_session_inquiry_start(sync_session_inquiry_t *q)
{
    ngx_int_t                     rc;
    sync_zone_t                  *z;
    sync_session_inquiry_t      **bucket;
    sync_session_hook_worker_t   *w;

    w = &sync_session_hook;
    z = w->main->zone;

    rc = sync_session_store_claim(z, q->conf->realm, &q->token, &q->stamp,
                                  &q->answers);

    if (rc == SYNC_OK) {
        rc = sync_session_inquiry_send(q);

        if (rc != SYNC_OK) {
            sync_session_store_unclaim(z, q->conf->realm, &q->token);
            sync_session_inquiry_free(q);
            return rc;
        }

    } else if (rc != SYNC_AGAIN || q->quiet) {
        sync_session_inquiry_free(q);
        return rc;

    } else if (!w->poll.timer_set) {
        ngx_add_timer(&w->poll, SYNC_SESSION_POLL);
    }

    bucket = &w->buckets[q->id[0]];
    q->next = *bucket;
    *bucket = q;

    return SYNC_AGAIN;
}


static ngx_int_t
sync_session_inquiry_send(sync_session_inquiry_t *q)
{
    ngx_int_t                rc;
    sync_zone_t             *z;
    sync_writer_t            w;
    sync_hook_args_t         args;
    u_char                   random[SYNC_ID_LEN], id[2 * SYNC_ID_LEN];
    static struct sockaddr   unspec;

    z = sync_session_hook.main->zone;

    sync_random(random, SYNC_ID_LEN);
    (void) ngx_hex_dump(id, random, SYNC_ID_LEN);

    ngx_memzero(&args, sizeof(sync_hook_args_t));

    sync_writer_init(&w, NULL, 0);
    sync_session_inquiry_write(q, &w, id);

    args.body.len = w.len;
    args.body.data = ngx_alloc(w.len, ngx_cycle->log);

    if (args.body.data == NULL) {
        return SYNC_ERROR;
    }

    sync_writer_init(&w, args.body.data, args.body.len);
    sync_session_inquiry_write(q, &w, id);

    args.ctx = q->conf->settings->client.ctx;
    args.uri = q->conf->uri;
    args.id.data = id;
    args.id.len = 2 * SYNC_ID_LEN;
    args.sockaddr = &unspec;
    args.socklen = sizeof(struct sockaddr);
    args.max_answer = SYNC_SESSION_ANSWER;
    args.handler = &sync_session_inquiry_handler;
    args.opaque = q;

    rc = sync_hook_start(&args, &q->hook);

    ngx_free(args.body.data);

    if (rc == SYNC_OK) {
        sync_zone_count(z, SYNC_COUNT_HOOKS, 1);

        if (!q->logout) {
            sync_zone_count(z, SYNC_COUNT_SESSION_READS, 1);
        }

        return SYNC_OK;
    }

    q->hook = NULL;

    if (rc == SYNC_BUSY) {
        sync_zone_count(z, SYNC_COUNT_HOOK_BUSY, 1);
    }

    return rc;
}


static void
sync_session_inquiry_write(sync_session_inquiry_t *q, sync_writer_t *w,
    u_char *id)
{
    sync_write_literal(w, "{\"v\":1,\"id\":\"");
    sync_write(w, id, 2 * SYNC_ID_LEN);

    if (q->logout) {
        sync_write_literal(w, "\",\"event\":\"logout\",\"token\":");

    } else {
        sync_write_literal(w, "\",\"event\":\"session\",\"token\":");
    }

    sync_json_write_str(w, &q->token);
    sync_write_byte(w, '}');
}


/* Those that another worker asks for. */

static void
sync_session_inquiry_poll(ngx_event_t *ev)
{
    ngx_uint_t                   n;
    ngx_queue_t                 *p, *next;
    sync_session_inquiry_t      *q;
    sync_session_hook_worker_t  *w;

    w = &sync_session_hook;

    /* what is begun meanwhile stands at the end */

    n = 0;

    for (p = ngx_queue_head(&w->inquiries);
         p != ngx_queue_sentinel(&w->inquiries);
         p = ngx_queue_next(p))
    {
        n++;
    }

    for (p = ngx_queue_head(&w->inquiries); n; n--, p = next) {
        next = ngx_queue_next(p);

        q = ngx_queue_data(p, sync_session_inquiry_t, queue);

        if (q->hook == NULL) {
            sync_session_inquiry_look(q);
        }
    }
}


static void
sync_session_inquiry_look(sync_session_inquiry_t *q)
{
    ngx_int_t                    rc;
    sync_zone_t                 *z;
    sync_session_hook_worker_t  *w;

    w = &sync_session_hook;
    z = w->main->zone;

    rc = sync_session_store_asked(z, q->conf->realm, &q->token, q->answers);

    if (rc == SYNC_DECLINED) {

        /* nobody asks: it is for this worker to do so */

        rc = sync_session_store_claim(z, q->conf->realm, &q->token,
                                      &q->stamp, &q->answers);

        if (rc == SYNC_OK) {
            rc = sync_session_inquiry_send(q);

            if (rc == SYNC_OK) {
                return;
            }

            sync_session_store_unclaim(z, q->conf->realm, &q->token);
        }

    } else if (rc == SYNC_OK) {
        rc = sync_session_inquiry_known(q);
    }

    if (rc != SYNC_AGAIN) {
        sync_session_inquiry_end(q, rc);
        return;
    }

    if (!w->poll.timer_set) {
        ngx_add_timer(&w->poll, SYNC_SESSION_POLL);
    }
}


/* What the zone has by now. */

static ngx_int_t
sync_session_inquiry_known(sync_session_inquiry_t *q)
{
    uint64_t             version;
    sync_session_data_t  data;

    return sync_session_of(q->conf->settings, &q->token, &data, &version);
}


static ngx_int_t
sync_session_inquiry_data(sync_hook_t *h, u_char *p, size_t len)
{
    size_t                   size;
    u_char                  *answer;
    sync_session_inquiry_t  *q;

    q = sync_hook_opaque(h);

    if (len > q->size - q->len) {

        /* there is no more than max_answer of it */

        size = ngx_max(q->len + len, 2 * q->size);
        answer = ngx_alloc(size, ngx_cycle->log);

        if (answer == NULL) {
            q->broken = 1;
            return SYNC_OK;
        }

        if (q->answer) {
            ngx_memcpy(answer, q->answer, q->len);
            ngx_free(q->answer);
        }

        q->answer = answer;
        q->size = size;
    }

    ngx_memcpy(q->answer + q->len, p, len);
    q->len += len;

    return SYNC_OK;
}


static void
sync_session_inquiry_done(sync_hook_t *h, sync_hook_result_e result)
{
    ngx_int_t                    rc;
    ngx_msec_t                   ms;
    sync_json_t                  session;
    sync_session_hook_worker_t  *w;
    sync_session_inquiry_t      *q;

    q = sync_hook_opaque(h);
    w = &sync_session_hook;

    ms = 0;
    rc = SYNC_BUSY;

    if (result == SYNC_HOOK_DONE && !q->broken) {
        rc = sync_session_inquiry_parse(q, &session, &ms);
    }

    if (rc != SYNC_OK) {
        sync_zone_count(w->main->zone, SYNC_COUNT_HOOK_FAILURES, 1);

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "hook \"%V\" %s, status %ui", &q->conf->uri,
                      result == SYNC_HOOK_DONE ? "answered what is no session"
                                               : "failed",
                      sync_hook_status(h));

        w->failed = ngx_current_msec;

    } else {
        w->failed = 0;

        rc = q->logout
             ? sync_session_hook_put(q->conf, &q->token, NULL, 0,
                                     q->ops ? q->ops->except : NULL)
             : sync_session_inquiry_store(q, &session);
    }

    q->hook = NULL;

    if (!q->logout) {
        sync_session_store_answered(w->main->zone, q->conf->realm, &q->token,
                                    ms);
    }

    sync_session_inquiry_end(q, rc);
}


/*
 * {"session":object or null,"ttl":seconds}, or any object to a logout.
 * Returns SYNC_OK, or SYNC_BUSY for anything else.
 */

static ngx_int_t
sync_session_inquiry_parse(sync_session_inquiry_t *q, sync_json_t *session,
    ngx_msec_t *ms)
{
    int64_t      n;
    sync_str_t   text;
    sync_json_t  answer, v;

    text.data = q->answer;
    text.len = q->len;

    if (sync_json_parse(&answer, &text, NULL) != SYNC_OK
        || answer.type != SYNC_JSON_OBJECT)
    {
        return SYNC_BUSY;
    }

    if (q->logout) {
        return SYNC_OK;
    }

    if (sync_json_get(session, &answer, "session") != SYNC_OK) {
        return SYNC_BUSY;
    }

    n = q->conf->cache;

    if (sync_json_get(&v, &answer, "ttl") == SYNC_OK
        && (sync_json_int64(&n, &v) != SYNC_OK
            || n < 1 || n > SYNC_SESSION_TTL_MAX))
    {
        return SYNC_BUSY;
    }

    *ms = (ngx_msec_t) n * 1000;

    return SYNC_OK;
}


/* Returns SYNC_OK, SYNC_DECLINED, or SYNC_ERROR if the zone is full. */

static ngx_int_t
sync_session_inquiry_store(sync_session_inquiry_t *q, sync_json_t *session)
{
    u_char               *buf;
    ngx_int_t             rc;
    const char           *wrong;
    sync_session_data_t   data;

    wrong = NULL;

    if (session->type != SYNC_JSON_NULL) {

        buf = sync_session_alloc(session->raw.len + SYNC_SESSION_USER);
        if (buf == NULL) {
            return SYNC_ERROR;
        }

        wrong = sync_session_parse(&session->raw, buf, &data);
        data.anew = 0;
    }

    if (wrong) {
        sync_session_invalid(sync_session_hook.main, "answer of the hook",
                             &q->token, wrong);
    }

    rc = sync_session_hook_set(q->conf, &q->token,
                               session->type == SYNC_JSON_NULL || wrong
                               ? NULL : &data, q->stamp, NULL);

    /* what was told meanwhile is newer */

    return (rc == SYNC_AGAIN) ? sync_session_inquiry_known(q) : rc;
}


ngx_int_t
sync_session_hook_put(sync_session_conf_t *conf, sync_str_t *token,
    sync_session_data_t *data, ngx_msec_t ttl, const u_char *except)
{
    ngx_int_t     rc;
    ngx_msec_t    ms;
    sync_zone_t  *z;

    z = sync_session_hook.main->zone;

    ms = (ngx_msec_t) conf->cache * 1000;

    if (ttl && ttl < ms) {
        ms = ttl;
    }

    (void) sync_session_store_outdated(z, conf->realm, token);

    rc = sync_session_hook_set(conf, token, data, 0, except);

    sync_session_store_renew(z, conf->realm, token, ms);

    return (data == NULL && rc == SYNC_DECLINED) ? SYNC_OK : rc;
}


/*
 * What is kept meanwhile is not lost.  Returns SYNC_OK; SYNC_DECLINED if there
 * is no session; SYNC_AGAIN if the stamp is another one; SYNC_BUSY; or
 * SYNC_ERROR if the zone is full.
 */

static ngx_int_t
sync_session_hook_set(sync_session_conf_t *conf, sync_str_t *token,
    sync_session_data_t *data, uint32_t stamp, const u_char *except)
{
    ngx_int_t               rc;
    ngx_uint_t              i;
    sync_zone_t            *z;
    sync_session_data_t     merged;
    sync_session_copy_t     old;
    sync_session_change_t   change;

    z = sync_session_hook.main->zone;

    old.size = SYNC_SESSION_MAX;
    old.buf = sync_session_alloc(old.size);

    if (old.buf == NULL) {
        return SYNC_ERROR;
    }

    for (i = 0; i < SYNC_SESSION_TRIES; i++) {

        old.version = 0;
        old.old = 1;

        rc = sync_session_store_get(z, conf->realm, token, 0, &old);

        if (data) {
            merged = *data;

            if (rc == SYNC_OK
                && sync_session_hook_merge(&merged, &old) != SYNC_OK)
            {
                return SYNC_ERROR;
            }
        }

        rc = sync_session_store_set(z, conf->realm, token,
                                    data ? &merged : NULL,
                                    (ngx_msec_t) conf->ttl * 1000,
                                    old.version, stamp, &change);

        if (rc == SYNC_OK) {
            sync_session_announce(sync_session_hook.main, &change, except);
        }

        if (rc == SYNC_OK || rc == SYNC_DECLINED) {
            return data ? SYNC_OK : SYNC_DECLINED;
        }

        if (rc != SYNC_AGAIN) {
            return SYNC_ERROR;
        }

        if (stamp
            && sync_session_store_stamp(z, conf->realm, token) != stamp)
        {
            return SYNC_AGAIN;
        }
    }

    return SYNC_BUSY;
}


static ngx_int_t
sync_session_hook_merge(sync_session_data_t *data,
    sync_session_copy_t *old)
{
    u_char            *buf, *text;
    size_t             size;
    sync_str_t         was;
    sync_json_t        session, kept, v;
    sync_writer_t      w;
    const sync_str_t  *name;

    static const sync_str_t  none[] = { { 0, NULL } };

    was.data = old->buf;
    was.len = old->len;

    if (data->user.len != old->user_len
        || ngx_memcmp(data->user.data, old->user, old->user_len) != 0
        || sync_json_parse(&kept, &was, NULL) != SYNC_OK)
    {
        return SYNC_OK;
    }

    for (name = sync_session_kept; name->len; name++) {

        if (sync_json_find(&v, &kept, name) != SYNC_OK
            || sync_json_parse(&session, &data->json, NULL) != SYNC_OK)
        {
            continue;
        }

        was = v.raw;

        if (sync_json_find(&v, &session, name) == SYNC_OK) {
            continue;
        }

        size = data->json.len + name->len + was.len + sizeof(",\"\":");

        if (size > SYNC_SESSION_MAX) {
            continue;
        }

        text = sync_session_alloc(size);
        buf = sync_session_alloc(size + SYNC_SESSION_USER);

        if (text == NULL || buf == NULL) {
            return SYNC_ERROR;
        }

        sync_writer_init(&w, text, size);
        sync_session_write_with(&w, &session, name, &was, none);

        was.data = text;
        was.len = w.len;

        if (sync_session_parse(&was, buf, data) != NULL) {
            return SYNC_ERROR;
        }
    }

    return SYNC_OK;
}


/* Tells those that wait; it is gone then. */

static void
sync_session_inquiry_end(sync_session_inquiry_t *q, ngx_int_t rc)
{
    sync_session_op_t        *op;
    sync_session_inquiry_t  **p;

    for (p = &sync_session_hook.buckets[q->id[0]]; *p; p = &(*p)->next) {

        if (*p == q) {
            *p = q->next;
            break;
        }
    }

    while (q->ops) {
        op = q->ops;
        q->ops = op->next;

        op->call = NULL;
        op->done(op, rc);
    }

    sync_session_inquiry_free(q);

    sync_session_hook_go_on();
}


void
sync_session_hook_ended(uint32_t realm, const u_char *id)
{
    ngx_uint_t                    i;
    sync_session_due_t           *due;
    sync_session_conf_t         **conf;
    sync_session_hook_worker_t   *w;

    w = &sync_session_hook;

    if (w->main->asked == NULL || w->n == SYNC_SESSION_LINE) {
        return;
    }

    if (w->line == NULL) {
        w->line = ngx_alloc(SYNC_SESSION_LINE * sizeof(sync_session_due_t),
                            ngx_cycle->log);
        if (w->line == NULL) {
            return;
        }
    }

    conf = w->main->asked->elts;

    for (i = 0; i < w->main->asked->nelts; i++) {

        if (conf[i]->realm == realm) {
            due = &w->line[(w->first + w->n++) % SYNC_SESSION_LINE];
            due->conf = conf[i];
            ngx_memcpy(due->id, id, SYNC_ID_LEN);
            break;
        }
    }

    sync_session_hook_go_on();
}


/* The next ones that are due; after a failure one by one, and not at once. */

static void
sync_session_hook_go_on(void)
{
    ngx_uint_t                   max;
    sync_str_t                   token;
    sync_session_due_t           due;
    sync_session_hook_worker_t  *w;
    static u_char                buf[SYNC_TOKEN_MAX];

    w = &sync_session_hook;

    max = SYNC_SESSION_INQUIRIES;

    if (w->failed) {

        if (ngx_current_msec - w->failed < SYNC_SESSION_PAUSE) {
            w->n = 0;
            return;
        }

        max = 1;
    }

    while (w->n && w->quiet < max) {
        due = w->line[w->first];
        w->first = (w->first + 1) % SYNC_SESSION_LINE;
        w->n--;

        token.data = buf;
        token.len = sync_session_store_token(w->main->zone, due.conf->realm,
                                             due.id, buf);
        if (token.len) {
            sync_session_hook_ask(due.conf, &token);
        }
    }
}


/* Nobody waits for it, but its clients hear of a change. */

static void
sync_session_hook_ask(sync_session_conf_t *conf, sync_str_t *token)
{
    u_char                       id[SYNC_ID_LEN];
    sync_session_inquiry_t      *q;
    sync_session_hook_worker_t  *w;

    w = &sync_session_hook;

    sync_token_id(id, token);

    if (sync_session_inquiry_lookup(conf->realm, id)) {
        return;
    }

    q = sync_session_inquiry_create(conf, token);
    if (q == NULL) {
        return;
    }

    q->quiet = 1;
    w->quiet++;

    (void) sync_session_inquiry_start(q);
}


static ngx_uint_t
sync_session_hook_trusted(void)
{
    return 1;
}


static void
sync_session_hook_used(sync_settings_t *s, sync_str_t *token)
{
    sync_session_hook_worker_t  *w;

    w = &sync_session_hook;

    if (w->quiet < SYNC_SESSION_INQUIRIES
        && (w->failed == 0
            || ngx_current_msec - w->failed >= SYNC_SESSION_PAUSE))
    {
        sync_session_hook_ask(s->session, token);
    }
}
