
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_collect.h>
#include <sync_random.h>
#include <sync_timer.h>
#include <sync_wake.h>


/*
 * Who is asked stands in a table by id, which is random, so its bytes are a
 * hash already.  It never fills: there is twice the place for those who
 * are expected, and half of the rest is for those who are not.
 *
 * A client that is gone is noticed by looking for it now and then, as it may
 * be any worker's.
 */


#define SYNC_COLLECT_TABLE  (SYNC_COLLECT_MAX * 2)      /* a power of two */
#define SYNC_COLLECT_LATE   (SYNC_COLLECT_MAX / 2)      /* not expected */
#define SYNC_COLLECT_STEP   250             /* ms, to look for those gone */


typedef struct {
    u_char      id[SYNC_ID_LEN];
    sync_str_t  args;                   /* len 0: no answer */
    ngx_uint_t  batch;                  /* in which it came */
    unsigned    used:1;
    unsigned    gone:1;
} sync_hearer_t;


struct sync_collect_s {
    ngx_queue_t           queue;        /* of those of this worker */
    ngx_event_t           timer;
    sync_ack_t           *ack;          /* NULL: over */
    uint64_t              number;
    sync_hearer_t        *table;
    ngx_pool_t           *pool;
    sync_zone_t          *zone;
    ngx_msec_t            end;
    ngx_uint_t            expected;
    ngx_uint_t            late;
    ngx_uint_t            batch;
    ngx_uint_t            left;         /* neither answered nor gone */
    size_t                bytes;        /* of all answers */
    sync_collect_done_pt  done;
    void                 *data;
    unsigned              started:1;
};


static void sync_collect_cleanup(void *data);
static sync_hearer_t *sync_collect_find(sync_collect_t *co, const u_char *id);
static void sync_collect_timer_handler(ngx_event_t *ev);
static void sync_collect_look_for(sync_collect_t *co);
static void sync_collect_take(sync_collect_t *co);
static void sync_collect_answered(sync_collect_t *co, sync_answer_t *answer);
static void sync_collect_finish(sync_collect_t *co);


static ngx_queue_t  sync_collects;
static ngx_uint_t   sync_collects_waiting;


sync_collect_t *
sync_collect_create(sync_main_settings_t *main, ngx_pool_t *pool,
    ngx_uint_t *full)
{
    u_char               random[SYNC_ACK_RANDOM];
    sync_collect_t      *co;
    ngx_pool_cleanup_t  *cln;

    *full = 0;

    cln = ngx_pool_cleanup_add(pool, sizeof(sync_collect_t));
    if (cln == NULL) {
        return NULL;
    }

    co = cln->data;
    ngx_memzero(co, sizeof(sync_collect_t));

    co->table = ngx_pcalloc(pool, SYNC_COLLECT_TABLE * sizeof(sync_hearer_t));
    if (co->table == NULL) {
        return NULL;
    }

    co->pool = pool;
    co->zone = main->zone;

    sync_random(random, SYNC_ACK_RANDOM);

    co->ack = sync_ack_begin(main->zone, random, SYNC_COLLECT_BYTES, full);

    if (co->ack == NULL) {
        return NULL;
    }

    co->number = co->ack->number;

    cln->handler = sync_collect_cleanup;

    return co;
}


static void
sync_collect_cleanup(void *data)
{
    sync_collect_t  *co = data;

    sync_collect_finish(co);
}


uint64_t
sync_collect_number(sync_collect_t *co)
{
    return co->number;
}


/* The client's place, or the one that it would have. */

static sync_hearer_t *
sync_collect_find(sync_collect_t *co, const u_char *id)
{
    uint32_t        i;
    sync_hearer_t  *asked;

    ngx_memcpy(&i, id, sizeof(uint32_t));

    for ( ;; ) {
        asked = &co->table[i & (SYNC_COLLECT_TABLE - 1)];

        if (!asked->used || ngx_memcmp(asked->id, id, SYNC_ID_LEN) == 0) {
            return asked;
        }

        i++;
    }
}


ngx_int_t
sync_collect_expect(sync_collect_t *co, const u_char *id)
{
    sync_hearer_t  *asked;

    asked = sync_collect_find(co, id);

    if (asked->used) {
        return SYNC_OK;
    }

    if (co->expected == SYNC_COLLECT_MAX) {
        return SYNC_BUSY;
    }

    asked->used = 1;
    ngx_memcpy(asked->id, id, SYNC_ID_LEN);

    co->expected++;
    co->left++;

    return SYNC_OK;
}


ngx_uint_t
sync_collect_expected(sync_collect_t *co)
{
    return co->expected;
}


void
sync_collect_start(sync_collect_t *co, ngx_msec_t timeout,
    sync_collect_done_pt done, void *data)
{
    if (sync_collects.next == NULL) {
        ngx_queue_init(&sync_collects);
    }

    co->done = done;
    co->data = data;
    co->end = ngx_current_msec + timeout;
    co->started = 1;

    ngx_queue_insert_tail(&sync_collects, &co->queue);
    sync_collects_waiting++;

    sync_timer_init(&co->timer, sync_collect_timer_handler, 0);
    ngx_add_timer(&co->timer, ngx_min(timeout, SYNC_COLLECT_STEP));
}


static void
sync_collect_timer_handler(ngx_event_t *ev)
{
    sync_collect_t  *co;
    ngx_msec_int_t   left;

    co = (sync_collect_t *) ((u_char *) ev - offsetof(sync_collect_t, timer));

    /* an answer of one that is gone came before it went */

    sync_collect_look_for(co);
    sync_collect_take(co);

    left = (ngx_msec_int_t) (co->end - ngx_current_msec);

    if (co->left && left > 0) {
        ngx_add_timer(ev, ngx_min(left, SYNC_COLLECT_STEP));
        return;
    }

    sync_collect_finish(co);
    co->done(co->data);
}


static void
sync_collect_look_for(sync_collect_t *co)
{
    ngx_uint_t      i;
    sync_hearer_t  *asked;

    for (i = 0; i < SYNC_COLLECT_TABLE; i++) {
        asked = &co->table[i];

        if (!asked->used || asked->gone || asked->args.len) {
            continue;
        }

        sync_zone_lock(co->zone);

        if (sync_registry_lookup_locked(co->zone, asked->id) == NULL) {
            asked->gone = 1;
            co->left--;
        }

        sync_zone_unlock(co->zone);
    }
}


static void
sync_collect_take(sync_collect_t *co)
{
    sync_answer_t  *answer;

    answer = NULL;
    co->batch++;

    if (co->ack->answers == NULL) {

        /* the lock is not needed to see that */

        return;
    }

    for ( ;; ) {
        answer = sync_ack_next(co->zone, co->ack, answer);

        if (answer == NULL) {
            return;
        }

        sync_collect_answered(co, answer);
    }
}


/* Of a client's answers in a batch the first one is taken last. */

static void
sync_collect_answered(sync_collect_t *co, sync_answer_t *answer)
{
    u_char         *p;
    sync_hearer_t  *asked;

    asked = sync_collect_find(co, answer->id);

    if (asked->args.len && asked->batch != co->batch) {
        return;
    }

    p = NULL;

    if (answer->len <= SYNC_COLLECT_BYTES - co->bytes
        && (asked->used || co->late < SYNC_COLLECT_LATE))
    {
        p = ngx_pnalloc(co->pool, answer->len);
    }

    if (p == NULL) {
        sync_zone_count(co->zone, SYNC_COUNT_ACKS_DROPPED, 1);
        return;
    }

    ngx_memcpy(p, answer->data, answer->len);
    co->bytes += answer->len;

    if (!asked->used) {
        asked->used = 1;
        ngx_memcpy(asked->id, answer->id, SYNC_ID_LEN);
        co->late++;

    } else if (!asked->gone && asked->args.len == 0) {
        co->left--;
    }

    asked->batch = co->batch;
    asked->args.data = p;
    asked->args.len = answer->len;
}


void
sync_collect_look(void)
{
    ngx_queue_t     *q;
    sync_collect_t  *co;

    if (sync_collects_waiting == 0) {
        return;
    }

    for (q = ngx_queue_head(&sync_collects);
         q != ngx_queue_sentinel(&sync_collects);
         q = ngx_queue_next(q))
    {
        co = ngx_queue_data(q, sync_collect_t, queue);

        sync_collect_take(co);

        if (co->left == 0) {

            /* who is told may end others as well: by a turn of its own */

            ngx_del_timer(&co->timer);
            ngx_add_timer(&co->timer, 0);
        }
    }
}


static void
sync_collect_finish(sync_collect_t *co)
{
    if (co->started) {
        co->started = 0;

        ngx_queue_remove(&co->queue);
        sync_collects_waiting--;

        if (co->timer.timer_set) {
            ngx_del_timer(&co->timer);
        }
    }

    if (co->ack) {

        /* a worker that gave its slot back has given this up with it */

        if (co->zone->self) {
            sync_ack_end(co->zone, co->ack);
        }

        co->ack = NULL;
    }
}


void
sync_collect_write(sync_collect_t *co, sync_writer_t *w)
{
    u_char          id[SYNC_ID_TEXT];
    ngx_uint_t      i, n;
    sync_hearer_t  *asked;

    sync_write_literal(w, "\"acks\":{");

    for (i = 0, n = 0; i < SYNC_COLLECT_TABLE; i++) {
        asked = &co->table[i];

        if (!asked->used || asked->args.len == 0) {
            continue;
        }

        if (n++) {
            sync_write_byte(w, ',');
        }

        sync_registry_print_id(id, asked->id);

        sync_write_byte(w, '"');
        sync_write(w, id, SYNC_ID_TEXT);
        sync_write_literal(w, "\":");
        sync_write_str(w, &asked->args);
    }

    sync_write_literal(w, "},\"missing\":[");

    for (i = 0, n = 0; i < SYNC_COLLECT_TABLE; i++) {
        asked = &co->table[i];

        if (!asked->used || asked->args.len) {
            continue;
        }

        if (n++) {
            sync_write_byte(w, ',');
        }

        sync_registry_print_id(id, asked->id);

        sync_write_byte(w, '"');
        sync_write(w, id, SYNC_ID_TEXT);
        sync_write_byte(w, '"');
    }

    sync_write_byte(w, ']');
}


void
sync_collect_answer(sync_client_t *c, uint64_t number, sync_str_t *args)
{
    ngx_int_t        rc;
    sync_zone_t     *z;
    sync_wake_set_t  wake;

    z = sync_client_zone();

    wake.n = 0;

    rc = sync_ack_put(z, number, c->record->id, args->data, args->len, &wake);

    sync_zone_count(z, rc == SYNC_OK ? SYNC_COUNT_ACKS
                       : rc == SYNC_BUSY ? SYNC_COUNT_ACKS_DROPPED
                                         : SYNC_COUNT_ACKS_LATE, 1);

    sync_wake_send(z, &wake);
}


void
sync_collect_event(sync_client_t *c, sync_json_t *arg)
{
    int64_t      number;
    sync_str_t   args;
    sync_json_t  v;

    if (sync_json_get(&v, arg, "id") != SYNC_OK
        || sync_json_int64(&number, &v) != SYNC_OK)
    {
        return;
    }

    sync_str_set(&args, "[]");

    if (sync_json_get(&v, arg, "args") == SYNC_OK) {

        if (v.type != SYNC_JSON_ARRAY) {
            return;
        }

        args = v.raw;
    }

    sync_collect_answer(c, number, &args);
}


ngx_uint_t
sync_collect_waiting(void)
{
    return sync_collects_waiting;
}
