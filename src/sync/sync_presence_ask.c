
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_presence_ask.h>
#include <sync_json.h>
#include <sync_reply.h>


struct sync_presence_ask_s {
    sync_presence_asked_pt   handler;
    sync_question_t         *question;
    ngx_uint_t               n;
    sync_presence_asked_t    who[SYNC_PRESENCE_ASK];
};


static ngx_int_t sync_presence_ask_pair(sync_json_t *v, int64_t *n,
    sync_json_t *second);
static void sync_presence_ask_heard(void *data, sync_str_t *answer);
static void sync_presence_ask_done(void *data, sync_question_hosts_t *hosts);


void
sync_presence_ask_add(sync_presence_ask_t **ask,
    sync_presence_asked_pt handler, uint32_t realm, sync_str_t *user,
    const u_char *id)
{
    sync_presence_asked_t  *who;

    if (*ask == NULL) {
        *ask = ngx_alloc(sizeof(sync_presence_ask_t), ngx_cycle->log);
        if (*ask == NULL) {
            return;
        }

        (*ask)->handler = handler;
        (*ask)->n = 0;
    }

    who = &(*ask)->who[(*ask)->n++];

    ngx_memzero(who, sizeof(sync_presence_asked_t));

    who->realm = realm;
    who->len = (uint8_t) user->len;
    ngx_memcpy(who->user, user->data, user->len);

    if (id) {
        ngx_memcpy(who->id, id, SYNC_ID_LEN);
    }

    if ((*ask)->n == SYNC_PRESENCE_ASK) {
        sync_presence_ask_send(ask);
    }
}


void
sync_presence_ask_send(sync_presence_ask_t **ask)
{
    ngx_uint_t            i;
    sync_str_t            text, user;
    sync_writer_t         w;
    sync_presence_ask_t  *a;

    a = *ask;
    *ask = NULL;

    if (a == NULL) {
        return;
    }

    do {
        sync_reply_text(&w);

        for (i = 0; i < a->n; i++) {
            user.data = a->who[i].user;
            user.len = a->who[i].len;

            sync_write_byte(&w, i ? ',' : '[');
            sync_write_byte(&w, '[');
            sync_write_int(&w, a->who[i].realm);
            sync_write_byte(&w, ',');
            sync_json_write_str(&w, &user);
            sync_write_byte(&w, ']');
        }

        sync_write_byte(&w, ']');

    } while (sync_reply_again(&w));

    sync_reply_str(&text, &w);

    /* who is asked for later is found again */

    if (text.len == 0
        || sync_question_ask("present", &text, sync_presence_ask_heard,
                             sync_presence_ask_done, a, &a->question)
           != SYNC_OK)
    {
        ngx_free(a);
    }
}


/* [n,second] */

static ngx_int_t
sync_presence_ask_pair(sync_json_t *v, int64_t *n, sync_json_t *second)
{
    sync_json_t       first;
    sync_json_iter_t  it;

    if (v->type != SYNC_JSON_ARRAY) {
        return SYNC_ERROR;
    }

    sync_json_iter_init(&it, v);

    return (sync_json_next(&it, NULL, &first) == SYNC_OK
            && sync_json_int64(n, &first) == SYNC_OK
            && sync_json_next(&it, NULL, second) == SYNC_OK)
           ? SYNC_OK : SYNC_ERROR;
}


static void
sync_presence_ask_heard(void *data, sync_str_t *answer)
{
    sync_presence_ask_t *a = data;

    int64_t                 i, silent;
    sync_json_t             list, v, second;
    sync_json_iter_t        it;
    sync_presence_asked_t  *who;

    if (sync_json_parse(&list, answer, NULL) != SYNC_OK
        || list.type != SYNC_JSON_ARRAY)
    {
        return;
    }

    sync_json_iter_init(&it, &list);

    while (sync_json_next(&it, NULL, &v) == SYNC_OK) {

        if (sync_presence_ask_pair(&v, &i, &second) != SYNC_OK
            || sync_json_int64(&silent, &second) != SYNC_OK
            || i < 0 || i >= (int64_t) a->n)
        {
            continue;
        }

        who = &a->who[i];
        who->there = 1;

        if (silent >= 0 && silent <= 0x7fffffff
            && (!who->spoke || silent < (int64_t) who->silent))
        {
            who->spoke = 1;
            who->silent = (uint32_t) silent;
        }
    }
}


static void
sync_presence_ask_done(void *data, sync_question_hosts_t *hosts)
{
    sync_presence_ask_t *a = data;

    ngx_uint_t  i;

    for (i = 0; i < a->n && !hosts->lost; i++) {
        a->handler(&a->who[i]);
    }

    ngx_free(a);
}


void
sync_presence_ask_answer(sync_zone_t *z, sync_question_id_t *id,
    sync_str_t *text)
{
    int64_t               realm;
    ngx_str_t             answer;
    ngx_uint_t            i, n;
    sync_str_t            user, s;
    sync_json_t           list, v, second;
    sync_writer_t         w;
    sync_json_iter_t      it;
    sync_presence_seen_t  seen;
    u_char                buf[SYNC_SESSION_USER];

    if (sync_json_parse(&list, text, NULL) != SYNC_OK
        || list.type != SYNC_JSON_ARRAY)
    {
        return;
    }

    do {
        n = 0;

        sync_reply_text(&w);
        sync_write_byte(&w, '[');

        sync_json_iter_init(&it, &list);

        for (i = 0; sync_json_next(&it, NULL, &v) == SYNC_OK; i++) {

            if (sync_presence_ask_pair(&v, &realm, &second) != SYNC_OK
                || sync_json_string(&user, &second, buf, sizeof(buf))
                   != SYNC_OK)
            {
                continue;
            }

            sync_presence_see(z, (uint32_t) realm, &user, &seen);

            if (seen.clients == 0) {
                continue;
            }

            if (n++) {
                sync_write_byte(&w, ',');
            }

            sync_write_byte(&w, '[');
            sync_write_int(&w, i);
            sync_write_byte(&w, ',');
            sync_write_int(&w, seen.active
                               ? ngx_max(ngx_time() - seen.active, 0) : -1);
            sync_write_byte(&w, ']');
        }

        sync_write_byte(&w, ']');

    } while (sync_reply_again(&w));

    sync_reply_str(&s, &w);

    answer.data = s.data;
    answer.len = s.len;

    sync_question_answer(id, &answer);
}
