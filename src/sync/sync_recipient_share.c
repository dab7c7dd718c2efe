
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_recipient_share.h>
#include <sync_recipient_call.h>
#include <sync_timer.h>
#include <sync_wake.h>


/*
 * What is said of a share's recipients goes to its worker as records: a
 * header, their places in the share, a byte each, and the JSON.
 */


#define SYNC_RECIPIENT_HOOKS  4         /* of a stage, that share calls */


typedef struct {
    sync_settings_t      *settings;
    uint32_t              n;            /* recipients; then the rest of them */
} sync_recipient_group_t;


typedef struct {
    uint32_t              len;          /* bytes of JSON */
    uint16_t              said;         /* sync_recipient_said_e */
    uint16_t              n;            /* keys */
} sync_recipient_record_t;


struct sync_recipient_other_s {
    uint64_t              number;       /* of the share */
    uint32_t              first;        /* "k" of its first recipient */
    uint32_t              n;
    uint32_t              nkeys;        /* that are spoken of */
    u_char                keys[SYNC_RECIPIENT_BATCH];
    u_char               *buf;          /* records */
    size_t                len;
    size_t                size;
    unsigned              gone:1;       /* nobody hears them */
};


static ngx_uint_t sync_recipient_share_groups(sync_stage_t *st,
    sync_recipient_group_t *groups);
static void sync_recipient_share_key_of(sync_share_key_t *key,
    sync_stage_t *st, sync_settings_t *s);
static void sync_recipient_share_came(sync_stage_t *st);
static ngx_int_t sync_recipient_share_rest(sync_stage_t *st,
    sync_recipient_group_t *g, ngx_uint_t last);
static ngx_int_t sync_recipient_share_texts(sync_recipient_call_t *call,
    sync_share_offer_t *o);
static void sync_recipient_share_offered(sync_recipient_call_t *call,
    sync_share_offer_t *o);
static void sync_recipient_share_wait(sync_recipient_call_t *call,
    sync_share_t *share);
static void sync_recipient_share_undo(sync_recipient_call_t *call,
    uint32_t from);
static void sync_recipient_share_collect(sync_recipient_call_t *call,
    uint64_t number);
static sync_recipient_other_t *sync_recipient_share_others(
    sync_recipient_call_t *call, sync_share_texts_t *t);
static void sync_recipient_share_refuse(sync_share_texts_t *t);
static void sync_recipient_share_detach(sync_recipient_call_t *call);
static void sync_recipient_share_timeout(ngx_event_t *ev);
static void sync_recipient_share_take_over(sync_recipient_call_t *call);
static void sync_recipient_share_news(sync_recipient_call_t *call);
static void sync_recipient_share_read(sync_recipient_call_t *call);
static u_char *sync_recipient_share_take(sync_recipient_call_t *call,
    size_t *len, sync_share_state_e *state);
static u_char *sync_recipient_share_record(sync_recipient_call_t *call,
    u_char *p);
static ngx_uint_t sync_recipient_share_is_told(sync_recipient_call_t *call);
static void sync_recipient_share_lost(sync_recipient_call_t *call);
static void sync_recipient_share_refuse_one(sync_recipient_other_t *o);


/* of calls whose share others ask for */

static ngx_queue_t  sync_recipient_shares = {
    &sync_recipient_shares,
    &sync_recipient_shares
};


void
sync_recipient_share(sync_stage_t *st)
{
    ngx_uint_t              i, n, last, on;
    sync_recipient_group_t  groups[SYNC_RECIPIENT_HOOKS];

    if (sync_share_alone(sync_client_zone(), st->room, st->interest)) {
        return;
    }

    n = sync_recipient_share_groups(st, groups);

    on = (n == 0);
    last = n;

    for (i = 0; i < n; i++) {

        if (groups[i].settings->hooks[SYNC_HOOK_CLIENT].share == 0) {
            groups[i].n = 0;
            continue;
        }

        on = 1;
        groups[i].n %= SYNC_RECIPIENT_BATCH;

        if (groups[i].n) {
            last = i;
        }
    }

    if (!on) {
        return;
    }

    for (i = 0; i < n && !st->gone; i++) {

        if (groups[i].n
            && sync_recipient_share_rest(st, &groups[i], i == last)
               != SYNC_OK
            && i == last)
        {
            last = n;
        }
    }

    /* others need not wait for this worker, which has nothing left over */

    if (last == n && !st->gone) {
        sync_recipient_share_came(st);
    }
}


/* Recipients by hook; those beyond so many hooks share nothing. */

static ngx_uint_t
sync_recipient_share_groups(sync_stage_t *st, sync_recipient_group_t *groups)
{
    uint32_t          i;
    ngx_uint_t        k, n;
    sync_settings_t  *s;

    n = 0;
    k = 0;

    for (i = 0; i < st->n; i++) {

        if (st->recipients[i].gone) {
            continue;
        }

        s = sync_settings(st->recipients[i].client);

        if (s->hooks[SYNC_HOOK_CLIENT].uri.len == 0) {
            continue;
        }

        /* most have the hook of the one before */

        if (n == 0 || groups[k].settings != s) {

            for (k = 0; k < n; k++) {
                if (sync_recipient_same_hook(groups[k].settings, s)) {
                    break;
                }
            }

            if (k == SYNC_RECIPIENT_HOOKS) {
                k = 0;
                continue;
            }

            if (k == n) {
                groups[n].settings = s;
                groups[n++].n = 0;
            }
        }

        groups[k].n++;
    }

    return n;
}


static void
sync_recipient_share_key_of(sync_share_key_t *key, sync_stage_t *st,
    sync_settings_t *s)
{
    key->room = st->room;
    key->lsn = st->entry->lsn;
    key->nonce = st->entry->nonce;
    key->hook = s ? s->hooks[SYNC_HOOK_CLIENT].uri.data : NULL;
    key->ctx = s ? s->client.ctx : NULL;
}


static void
sync_recipient_share_came(sync_stage_t *st)
{
    sync_zone_t         *z;
    sync_wake_set_t      wake;
    sync_share_offer_t   o;

    z = sync_client_zone();

    sync_recipient_share_key_of(&o.key, st, NULL);

    o.n = 0;
    wake.n = 0;

    sync_share_offer(z, &o, 1, &wake);
    sync_wake_send(z, &wake);
}


/* SYNC_OK, or SYNC_ERROR if the worker has not come with it. */

static ngx_int_t
sync_recipient_share_rest(sync_stage_t *st, sync_recipient_group_t *g,
    ngx_uint_t last)
{
    sync_zone_t            *z;
    sync_wake_set_t         wake;
    sync_share_offer_t      o;
    sync_recipient_call_t  *call;

    z = sync_client_zone();

    call = sync_recipient_create(st);
    if (call == NULL) {
        return SYNC_ERROR;
    }

    call->settings = g->settings;
    sync_recipient_select(call, g->n);

    if (sync_recipient_share_texts(call, &o) != SYNC_OK) {
        sync_zone_count(z, SYNC_COUNT_SHARES_LOST, 1);

        sync_recipient_share_undo(call, 0);
        sync_recipient_free(call);

        return SYNC_ERROR;
    }

    sync_recipient_share_key_of(&o.key, st, call->settings);

    wake.n = 0;

    sync_share_offer(z, &o, last, &wake);
    sync_wake_send(z, &wake);

    ngx_free(o.texts);

    sync_recipient_share_offered(call, &o);

    return SYNC_OK;
}


/* SYNC_OK, or SYNC_ERROR if they are too long, or there is no memory. */

static ngx_int_t
sync_recipient_share_texts(sync_recipient_call_t *call, sync_share_offer_t *o)
{
    u_char         *p;
    uint32_t        i;
    sync_writer_t   w;
    sync_client_t  *c;
    u_char         *texts;

    sync_writer_init(&w, NULL, 0);

    for (i = 0; i < call->n; i++) {
        sync_recipient_write_about(&w,
                           call->stage->recipients[call->list[i]].client);
    }

    o->n = call->n;
    o->len = w.len + call->n * sync_share_text_size(0);

    if (o->len > SYNC_SHARE_TEXTS) {
        return SYNC_ERROR;
    }

    texts = ngx_alloc(o->len, ngx_cycle->log);
    if (texts == NULL) {
        return SYNC_ERROR;
    }

    p = texts;

    for (i = 0; i < call->n; i++) {
        c = call->stage->recipients[call->list[i]].client;

        /* it is written behind its length */

        sync_writer_init(&w, p + sync_share_text_size(0),
                         texts + o->len - p - sync_share_text_size(0));
        sync_recipient_write_about(&w, c);

        p = sync_share_write_length(p, w.len);
    }

    o->texts = texts;

    return SYNC_OK;
}


/* The first o->taken of the call's recipients are asked for with it. */

static void
sync_recipient_share_offered(sync_recipient_call_t *call,
    sync_share_offer_t *o)
{
    sync_zone_t            *z;
    sync_stage_t           *st;
    sync_wake_set_t         wake;
    sync_recipient_call_t  *rest;

    st = call->stage;

    if (o->share == NULL) {
        sync_recipient_share_undo(call, o->taken);

    } else if (o->call == 0) {
        sync_recipient_share_wait(call, o->share);
        return;

    } else {
        rest = sync_recipient_create(st);

        if (rest) {
            rest->settings = call->settings;
            rest->n = call->n - o->taken;
            ngx_memcpy(rest->list, call->list + o->taken,
                       rest->n * sizeof(uint32_t));

            sync_recipient_share_wait(rest, o->share);

        } else {
            z = sync_client_zone();
            wake.n = 0;

            sync_share_leave(z, o->share, &wake);
            sync_wake_send(z, &wake);

            sync_recipient_share_undo(call, o->taken);
        }
    }

    call->n = o->taken;

    if (o->call == 0) {
        sync_recipient_free(call);
        return;
    }

    sync_recipient_share_collect(call, o->call);
    (void) sync_recipient_call(call);
}


static void
sync_recipient_share_wait(sync_recipient_call_t *call, sync_share_t *share)
{
    call->share = share;

    ngx_queue_insert_tail(&sync_recipient_shares, &call->waiting);

    sync_timer_init(&call->timer, sync_recipient_share_timeout, 0);
    ngx_add_timer(&call->timer,
                  call->settings->hooks[SYNC_HOOK_CLIENT].share);

    sync_stage_call_began(call->stage, call);
}


/* Who was chosen from there on is as it was. */

static void
sync_recipient_share_undo(sync_recipient_call_t *call, uint32_t from)
{
    while (from < call->n) {
        sync_stage_ask_again(call->stage, call->list[from++]);
    }
}


/*
 * The call is this worker's to make: takes the others' texts.  Its own share
 * is gone then.  With no memory theirs are lost, and it is made for its own.
 */

static void
sync_recipient_share_collect(sync_recipient_call_t *call, uint64_t number)
{
    ngx_int_t                rc;
    sync_zone_t             *z;
    sync_share_texts_t       t;
    sync_recipient_other_t  *others;

    z = sync_client_zone();

    others = NULL;
    t.buf = NULL;
    t.size = 0;

    while ((rc = sync_share_collect(z, number, call->share, &t))
           == SYNC_AGAIN)
    {
        if (t.buf) {
            ngx_free(t.buf);
        }

        t.size = t.need;
        t.buf = ngx_alloc(t.size, ngx_cycle->log);

        if (t.buf == NULL) {
            break;
        }
    }

    if (rc == SYNC_OK) {
        sync_recipient_share_detach(call);
    }

    if (rc == SYNC_OK && t.n) {
        others = sync_recipient_share_others(call, &t);
    }

    if (others == NULL) {
        sync_recipient_share_refuse(&t);
        sync_recipient_share_free(call);

        if (t.buf) {
            ngx_free(t.buf);
        }

        return;
    }

    call->others = others;
    call->nothers = t.n;
    call->texts = t.buf;

    sync_zone_count(z, SYNC_COUNT_SHARED, 1);
}


static sync_recipient_other_t *
sync_recipient_share_others(sync_recipient_call_t *call,
    sync_share_texts_t *t)
{
    uint32_t                 i;
    sync_recipient_other_t  *others;

    others = ngx_calloc(t->n * sizeof(sync_recipient_other_t),
                        ngx_cycle->log);
    if (others == NULL) {
        return NULL;
    }

    call->total = call->n;

    for (i = 0; i < t->n; i++) {
        others[i].number = t->numbers[i];
        others[i].first = call->total;
        others[i].n = t->counts[i];

        call->total += t->counts[i];
    }

    return others;
}


static void
sync_recipient_share_refuse(sync_share_texts_t *t)
{
    uint32_t          i;
    sync_zone_t      *z;
    sync_wake_set_t   wake;

    z = sync_client_zone();
    wake.n = 0;

    for (i = 0; i < t->n; i++) {
        (void) sync_share_put(z, t->numbers[i], NULL, 0, SYNC_SHARE_LOST,
                              &wake);
    }

    sync_wake_send(z, &wake);
}


/* The share is not there any more. */

static void
sync_recipient_share_detach(sync_recipient_call_t *call)
{
    if (call->share == NULL) {
        return;
    }

    call->share = NULL;
    ngx_queue_remove(&call->waiting);

    if (call->timer.timer_set) {
        ngx_del_timer(&call->timer);
    }
}


static void
sync_recipient_share_timeout(ngx_event_t *ev)
{
    sync_stage_t           *st;
    sync_recipient_call_t  *call;

    call = (sync_recipient_call_t *) ((u_char *) ev
                                      - offsetof(sync_recipient_call_t,
                                                 timer));
    st = call->stage;

    if (sync_share_close(sync_client_zone(), call->share) != SYNC_OK) {
        return;
    }

    sync_stage_enter(st);

    sync_recipient_share_take_over(call);

    sync_stage_leave(st);
}


/* It is this worker's to ask, for itself and for others. */

static void
sync_recipient_share_take_over(sync_recipient_call_t *call)
{
    uint32_t       i, n;
    sync_stage_t  *st;

    st = call->stage;
    n = 0;

    /* some may have left */

    for (i = 0; i < call->n; i++) {
        if (!st->recipients[call->list[i]].gone) {
            call->list[n++] = call->list[i];
        }
    }

    call->n = n;

    sync_recipient_share_collect(call, call->share->call);
    sync_recipient_call_on(call);
}


/* Each is looked at once, whatever becomes of the others meanwhile. */

void
sync_recipient_share_look(void)
{
    ngx_queue_t            *q, queue;
    sync_stage_t           *st;
    sync_recipient_call_t  *call;

    if (ngx_queue_empty(&sync_recipient_shares)) {
        return;
    }

    ngx_queue_init(&queue);
    ngx_queue_add(&queue, &sync_recipient_shares);
    ngx_queue_init(&sync_recipient_shares);

    while (!ngx_queue_empty(&queue)) {
        q = ngx_queue_head(&queue);
        call = ngx_queue_data(q, sync_recipient_call_t, waiting);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&sync_recipient_shares, q);

        st = call->stage;

        sync_stage_enter(st);

        sync_recipient_share_news(call);

        sync_stage_leave(st);
    }
}


static void
sync_recipient_share_news(sync_recipient_call_t *call)
{
    sync_zone_t  *z;

    z = sync_client_zone();

    if (sync_share_has_news(call->share)) {
        sync_recipient_share_read(call);

    } else if (sync_share_is_caller(z, call->share)) {
        sync_recipient_share_take_over(call);

    } else if (sync_share_stalled(z, call->share)) {
        sync_recipient_share_lost(call);
    }
}


static void
sync_recipient_share_read(sync_recipient_call_t *call)
{
    size_t               len;
    u_char              *p, *buf;
    sync_share_state_e   state;

    buf = sync_recipient_share_take(call, &len, &state);

    if (buf == NULL) {
        sync_recipient_share_lost(call);
        return;
    }

    call->active = 1;

    for (p = buf; p < buf + len && !call->dropped; /* void */) {
        p = sync_recipient_share_record(call, p);
    }

    ngx_free(buf);

    if (call->dropped) {
        sync_recipient_idle(call);

    } else if (state == SYNC_SHARE_LOST) {
        sync_recipient_share_lost(call);

    } else if (state != SYNC_SHARE_CALLED
               || sync_recipient_share_is_told(call))
    {
        call->invalid = (state == SYNC_SHARE_INVALID);
        sync_recipient_end(call);

    } else {
        sync_recipient_idle(call);
    }
}


/* All that came, to be freed; or NULL. */

static u_char *
sync_recipient_share_take(sync_recipient_call_t *call, size_t *len,
    sync_share_state_e *state)
{
    size_t   size;
    u_char  *buf;

    size = *(volatile size_t *) &call->share->bytes;

    for ( ;; ) {
        buf = ngx_alloc(size + 1, ngx_cycle->log);
        if (buf == NULL) {
            return NULL;
        }

        if (sync_share_take(sync_client_zone(), call->share, buf, size, len,
                            state)
            == SYNC_OK)
        {
            return buf;
        }

        ngx_free(buf);
        size = *len;
    }
}


static u_char *
sync_recipient_share_record(sync_recipient_call_t *call, u_char *p)
{
    uint32_t                  i, list[SYNC_RECIPIENT_BATCH];
    sync_str_t                text;
    sync_json_t               v;
    sync_stage_t             *st;
    sync_recipient_record_t   record;

    st = call->stage;

    ngx_memcpy(&record, p, sizeof(sync_recipient_record_t));
    p += sizeof(sync_recipient_record_t);

    for (i = 0; i < record.n; i++) {
        list[i] = call->list[*p++];
    }

    text.data = p;
    text.len = record.len;
    p += record.len;

    if (record.said == SYNC_RECIPIENT_THREW) {

        for (i = 0; i < record.n && !call->dropped; i++) {
            sync_stage_fail(st, list[i], "sync.clientExecutionFailed");
        }

        return p;
    }

    /* it was read by who asked */

    if (sync_json_parse(&v, &text, NULL) != SYNC_OK) {
        return p;
    }

    if (record.said == SYNC_RECIPIENT_STREAM) {
        sync_stage_chunk(st, list, record.n, &v);
        return p;
    }

    for (i = 0; i < record.n && !call->dropped; i++) {
        sync_stage_result(st, list[i], &v);
    }

    return p;
}


static ngx_uint_t
sync_recipient_share_is_told(sync_recipient_call_t *call)
{
    uint32_t           i;
    sync_recipient_t  *r;

    for (i = 0; i < call->n; i++) {
        r = &call->stage->recipients[call->list[i]];

        if (!r->told && !r->gone) {
            return 0;
        }
    }

    return 1;
}


static void
sync_recipient_share_lost(sync_recipient_call_t *call)
{
    uint32_t           i;
    sync_stage_t      *st;
    sync_recipient_t  *r;

    st = call->stage;

    sync_zone_count(sync_client_zone(), SYNC_COUNT_SHARES_LOST, 1);

    call->active = 1;

    for (i = 0; i < call->n; i++) {
        r = &st->recipients[call->list[i]];

        if (!r->told && !r->gone && !r->begun) {
            sync_stage_ask_again(st, call->list[i]);
        }
    }

    for (i = 0; i < call->n && !call->dropped; i++) {
        if (st->recipients[call->list[i]].begun) {
            sync_stage_fail(st, call->list[i], "sync.clientExecutionFailed");
        }
    }

    if (call->dropped) {
        sync_recipient_idle(call);
        return;
    }

    ngx_queue_remove(&call->queue);
    sync_recipient_free(call);

    sync_stage_call_ended(st);
}


ngx_int_t
sync_recipient_share_key(sync_recipient_call_t *call, uint32_t k)
{
    uint32_t                 i;
    sync_recipient_other_t  *o;

    for (i = 0; i < call->nothers; i++) {
        o = &call->others[i];

        if (k < o->first || k - o->first >= o->n) {
            continue;
        }

        /* one that is named twice is told once, as its own worker sees */

        if (o->nkeys < SYNC_RECIPIENT_BATCH) {
            o->keys[o->nkeys++] = (u_char) (k - o->first);
        }

        return SYNC_OK;
    }

    return SYNC_ERROR;
}


void
sync_recipient_share_clear(sync_recipient_call_t *call)
{
    uint32_t  i;

    for (i = 0; i < call->nothers; i++) {
        call->others[i].nkeys = 0;
    }
}


void
sync_recipient_share_say(sync_recipient_call_t *call,
    sync_recipient_said_e said, sync_str_t *json)
{
    size_t                    need;
    u_char                   *p;
    uint32_t                  i;
    sync_recipient_other_t   *o;
    sync_recipient_record_t   record;

    for (i = 0; i < call->nothers; i++) {
        o = &call->others[i];

        if (o->gone || o->nkeys == 0) {
            continue;
        }

        record.len = (uint32_t) json->len;
        record.said = said;
        record.n = (uint16_t) o->nkeys;

        need = o->len + sizeof(sync_recipient_record_t) + o->nkeys
               + json->len;

        if (need > o->size) {
            need += o->size;

            p = realloc(o->buf, need);

            if (p == NULL) {

                /* what it is told has a hole: nothing of it counts */

                sync_recipient_share_refuse_one(o);
                continue;
            }

            o->buf = p;
            o->size = need;
        }

        p = o->buf + o->len;
        p = ngx_cpymem(p, &record, sizeof(sync_recipient_record_t));
        p = ngx_cpymem(p, o->keys, o->nkeys);
        p = ngx_cpymem(p, json->data, json->len);

        o->len = p - o->buf;
    }
}


static void
sync_recipient_share_refuse_one(sync_recipient_other_t *o)
{
    sync_share_texts_t  t;

    t.n = 1;
    t.numbers[0] = o->number;

    sync_recipient_share_refuse(&t);

    o->gone = 1;
}


void
sync_recipient_share_flush(sync_recipient_call_t *call,
    sync_share_state_e state)
{
    uint32_t                 i;
    sync_zone_t             *z;
    sync_wake_set_t          wake;
    sync_recipient_other_t  *o;

    z = sync_client_zone();
    wake.n = 0;

    for (i = 0; i < call->nothers; i++) {
        o = &call->others[i];

        if (o->gone || (o->len == 0 && state == SYNC_SHARE_CALLED)) {
            continue;
        }

        if (sync_share_put(z, o->number, o->buf, o->len, state, &wake)
            != SYNC_OK)
        {
            o->gone = 1;
        }

        o->len = 0;
    }

    sync_wake_send(z, &wake);
}


void
sync_recipient_share_free(sync_recipient_call_t *call)
{
    uint32_t          i;
    sync_zone_t      *z;
    sync_share_t     *share;
    sync_wake_set_t   wake;

    share = call->share;

    if (share) {
        sync_recipient_share_detach(call);

        z = sync_client_zone();
        wake.n = 0;

        sync_share_leave(z, share, &wake);
        sync_wake_send(z, &wake);
    }

    for (i = 0; i < call->nothers; i++) {
        if (call->others[i].buf) {
            free(call->others[i].buf);
        }
    }

    if (call->others) {
        ngx_free(call->others);
        call->others = NULL;
        call->nothers = 0;
    }

    if (call->texts) {
        ngx_free(call->texts);
        call->texts = NULL;
    }
}
