
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_question.h>
#include <sync_random.h>
#include <sync_redis.h>
#include <sync_timer.h>


/*
 * A question is "ID HOST WHAT\nTEXT", an answer "HOST ANSWER"; the host's id
 * is 16 digits, and what it is that each host counts once by: while one of
 * its workers takes the subscriber over from another, both hear a question.
 */


#define SYNC_QUESTION_HOST   16         /* digits */
#define SYNC_QUESTION_DELAY  20         /* ms between two looks, at most */
#define SYNC_QUESTION_LIFE   "30"       /* s that an answer is kept */


struct sync_question_s {
    ngx_event_t               timer;
    sync_question_answer_pt   answer;
    sync_question_done_pt     done;
    void                     *data;
    sync_redis_call_t        *call;     /* what Redis is asked */
    ngx_msec_t                since;
    ngx_msec_t                delay;
    ngx_uint_t                heard;    /* hosts that heard it */
    ngx_uint_t                got;      /* answers */
    ngx_uint_t                n;        /* hosts that answered */
    ngx_uint_t                lost;
    uint64_t                  hosts[SYNC_QUESTION_HOSTS];
    u_char                    id[32];
};


static void sync_question_published(redisReply *reply,
    sync_redis_error_e error, void *data);
static void sync_question_look(ngx_event_t *ev);
static void sync_question_read(redisReply *reply, sync_redis_error_e error,
    void *data);
static void sync_question_got(sync_question_t *q, redisReply *reply);
static void sync_question_end(sync_question_t *q);
static void sync_question_free(sync_question_t *q);
static void sync_question_key(sync_str_t *key, u_char *buf, const u_char *id);


static sync_main_settings_t    *sync_question_main;
static sync_question_asked_pt   sync_question_asked;
static ngx_uint_t               sync_question_n;


void
sync_question_init_worker(sync_main_settings_t *main)
{
    sync_question_main = main;
    sync_question_n = 0;
}


void
sync_question_listen(sync_question_asked_pt asked)
{
    sync_question_asked = asked;
}


void
sync_question_channel(sync_str_t *channel, u_char *buf)
{
    channel->data = buf;
    channel->len = ngx_sprintf(buf, "%V:q:",
                               &sync_question_main->redis->prefix)
                   - buf;
}


static void
sync_question_key(sync_str_t *key, u_char *buf, const u_char *id)
{
    u_char  *p;

    p = ngx_sprintf(buf, "%V:a:", &sync_question_main->redis->prefix);

    key->data = buf;
    key->len = ngx_cpymem(p, id, 32) - buf;
}


ngx_int_t
sync_question_ask(const char *what, sync_str_t *text,
    sync_question_answer_pt answer, sync_question_done_pt done, void *data,
    sync_question_t **question)
{
    size_t            size;
    u_char           *p, *buf;
    ngx_int_t         rc;
    sync_str_t        channel;
    const char       *argv[3];
    sync_question_t  *q;
    size_t            argvlen[3];
    u_char            id[16], name[SYNC_QUESTION_KEY_MAX];

    if (sync_question_main == NULL) {
        return SYNC_DECLINED;
    }

    if (sync_question_n == SYNC_QUESTION_MAX) {
        return SYNC_BUSY;
    }

    size = 32 + 1 + SYNC_QUESTION_HOST + 1 + ngx_strlen(what) + 1 + text->len;

    buf = ngx_alloc(size, ngx_cycle->log);
    if (buf == NULL) {
        return SYNC_BUSY;
    }

    q = ngx_calloc(sizeof(sync_question_t), ngx_cycle->log);
    if (q == NULL) {
        ngx_free(buf);
        return SYNC_BUSY;
    }

    q->answer = answer;
    q->done = done;
    q->data = data;
    q->since = ngx_current_msec;
    q->delay = 1;

    sync_timer_init(&q->timer, sync_question_look, 0);

    sync_random(id, sizeof(id));
    (void) ngx_hex_dump(q->id, id, sizeof(id));

    p = ngx_cpymem(buf, q->id, 32);
    p = ngx_sprintf(p, " %016xL %s\n", sync_question_main->zone->sh->id,
                    what);
    p = ngx_cpymem(p, text->data, text->len);

    sync_question_channel(&channel, name);

    argv[0] = "PUBLISH";
    argvlen[0] = 7;
    argv[1] = (char *) channel.data;
    argvlen[1] = channel.len;
    argv[2] = (char *) buf;
    argvlen[2] = p - buf;

    rc = sync_redis_command(0, &q->call, sync_question_published, q, 3, argv,
                            argvlen);
    ngx_free(buf);

    if (rc != SYNC_OK) {
        ngx_free(q);
        return SYNC_DECLINED;
    }

    sync_question_n++;
    sync_zone_count(sync_question_main->zone, SYNC_COUNT_CLUSTER_QUESTIONS,
                    1);

    *question = q;

    return SYNC_OK;
}


static void
sync_question_published(redisReply *reply, sync_redis_error_e error,
    void *data)
{
    sync_question_t *q = data;

    q->call = NULL;

    if (error != SYNC_REDIS_OK || reply->type != REDIS_REPLY_INTEGER
        || reply->integer <= 0)
    {
        q->lost = 1;
        sync_question_end(q);
        return;
    }

    q->heard = reply->integer;

    ngx_add_timer(&q->timer, q->delay);
}


static void
sync_question_look(ngx_event_t *ev)
{
    u_char           *p;
    sync_str_t        key;
    const char       *argv[4];
    sync_question_t  *q;
    size_t            argvlen[4];
    u_char            name[SYNC_QUESTION_KEY_MAX], from[NGX_INT_T_LEN];

    q = (sync_question_t *) ((u_char *) ev - offsetof(sync_question_t,
                                                      timer));

    sync_question_key(&key, name, q->id);

    p = ngx_sprintf(from, "%ui", q->got);

    argv[0] = "LRANGE";
    argvlen[0] = 6;
    argv[1] = (char *) key.data;
    argvlen[1] = key.len;
    argv[2] = (char *) from;
    argvlen[2] = p - from;
    argv[3] = "-1";
    argvlen[3] = 2;

    if (sync_redis_command(0, &q->call, sync_question_read, q, 4, argv,
                           argvlen)
        != SYNC_OK)
    {
        q->call = NULL;
        q->lost = 1;
        sync_question_end(q);
    }
}


static void
sync_question_read(redisReply *reply, sync_redis_error_e error, void *data)
{
    sync_question_t *q = data;

    size_t  i;

    q->call = NULL;

    if (error != SYNC_REDIS_OK || reply->type != REDIS_REPLY_ARRAY) {
        q->lost = 1;
        sync_question_end(q);
        return;
    }

    for (i = 0; i < reply->elements; i++) {
        sync_question_got(q, reply->element[i]);
    }

    if (q->got >= q->heard
        || ngx_current_msec - q->since >= sync_question_main->redis->timeout)
    {
        sync_question_end(q);
        return;
    }

    q->delay = ngx_min(2 * q->delay, SYNC_QUESTION_DELAY);

    ngx_add_timer(&q->timer, q->delay);
}


static void
sync_question_got(sync_question_t *q, redisReply *reply)
{
    uint64_t     host;
    ngx_uint_t   i;
    sync_str_t   answer;

    q->got++;

    if (reply->type != REDIS_REPLY_STRING
        || reply->len < SYNC_QUESTION_HOST + 1)
    {
        return;
    }

    host = 0;

    for (i = 0; i < SYNC_QUESTION_HOST; i += 8) {
        host = host << 32
               | (uint32_t) ngx_hextoi((u_char *) reply->str + i, 8);
    }

    for (i = 0; i < q->n; i++) {
        if (q->hosts[i] == host) {
            return;
        }
    }

    if (q->n == SYNC_QUESTION_HOSTS) {
        return;
    }

    q->hosts[q->n++] = host;

    if (host == sync_question_main->zone->sh->id) {
        return;
    }

    answer.data = (u_char *) reply->str + SYNC_QUESTION_HOST + 1;
    answer.len = reply->len - SYNC_QUESTION_HOST - 1;

    q->answer(q->data, &answer);
}


/* We have answered, whether we heard it or not. */

static void
sync_question_end(sync_question_t *q)
{
    ngx_uint_t              i;
    sync_str_t              key;
    const char             *argv[2];
    size_t                  argvlen[2];
    u_char                  name[SYNC_QUESTION_KEY_MAX];
    sync_question_hosts_t   hosts;

    hosts.answered = 1;

    for (i = 0; i < q->n; i++) {
        if (q->hosts[i] != sync_question_main->zone->sh->id) {
            hosts.answered++;
        }
    }

    hosts.asked = hosts.answered;
    hosts.lost = q->lost;

    if (q->heard > q->got) {
        hosts.asked += q->heard - q->got;

        sync_zone_count(sync_question_main->zone,
                        SYNC_COUNT_CLUSTER_UNANSWERED, q->heard - q->got);
    }

    if (q->got) {
        sync_question_key(&key, name, q->id);

        argv[0] = "DEL";
        argvlen[0] = 3;
        argv[1] = (char *) key.data;
        argvlen[1] = key.len;

        (void) sync_redis_command(0, NULL, NULL, NULL, 2, argv, argvlen);
    }

    q->done(q->data, &hosts);

    sync_question_free(q);
}


void
sync_question_cancel(sync_question_t *q)
{
    sync_question_free(q);
}


static void
sync_question_free(sync_question_t *q)
{
    if (q->call) {
        sync_redis_cancel(q->call);
    }

    if (q->timer.timer_set) {
        ngx_del_timer(&q->timer);
    }

    sync_question_n--;

    ngx_free(q);
}


void
sync_question_heard(sync_str_t *payload)
{
    u_char              *p, *last, *line;
    ngx_str_t            none;
    sync_str_t           what, text;
    sync_question_id_t   id;
    u_char               own[SYNC_QUESTION_HOST];

    p = payload->data;
    last = p + payload->len;

    line = ngx_strlchr(p, last, '\n');

    if (line == NULL || line - p < 32 + 1 + SYNC_QUESTION_HOST + 1
        || p[32] != ' ' || p[33 + SYNC_QUESTION_HOST] != ' ')
    {
        sync_zone_count(sync_question_main->zone, SYNC_COUNT_CLUSTER_INVALID,
                        1);
        return;
    }

    ngx_memcpy(id.id, p, 32);

    (void) ngx_sprintf(own, "%016xL", sync_question_main->zone->sh->id);

    if (ngx_memcmp(own, p + 33, SYNC_QUESTION_HOST) == 0) {
        ngx_str_null(&none);
        sync_question_answer(&id, &none);
        return;
    }

    what.data = p + 33 + SYNC_QUESTION_HOST + 1;
    what.len = line - what.data;
    text.data = line + 1;
    text.len = last - text.data;

    sync_question_asked(&id, &what, &text);
}


void
sync_question_answer(sync_question_id_t *id, ngx_str_t *answer)
{
    u_char      *p, *buf;
    sync_str_t   key;
    const char  *argv[3];
    size_t       argvlen[3];
    u_char       name[SYNC_QUESTION_KEY_MAX];

    buf = ngx_alloc(SYNC_QUESTION_HOST + 1 + answer->len, ngx_cycle->log);
    if (buf == NULL) {
        return;
    }

    p = ngx_sprintf(buf, "%016xL ", sync_question_main->zone->sh->id);

    if (answer->len) {
        p = ngx_cpymem(p, answer->data, answer->len);
    }

    sync_question_key(&key, name, id->id);

    argv[0] = "RPUSH";
    argvlen[0] = 5;
    argv[1] = (char *) key.data;
    argvlen[1] = key.len;
    argv[2] = (char *) buf;
    argvlen[2] = p - buf;

    /* one that does not come is missing */

    (void) sync_redis_command(0, NULL, NULL, NULL, 3, argv, argvlen);

    ngx_free(buf);

    argv[0] = "EXPIRE";
    argvlen[0] = 6;
    argv[2] = SYNC_QUESTION_LIFE;
    argvlen[2] = sizeof(SYNC_QUESTION_LIFE) - 1;

    (void) sync_redis_command(0, NULL, NULL, NULL, 3, argv, argvlen);
}
