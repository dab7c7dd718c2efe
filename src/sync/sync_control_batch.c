
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control.h>


/*
 * Many messages by one request, each as a publish of its own:
 *
 *     messages --> run, run, run, ... --> all answered --> the answer
 *                       |    ^
 *                       `----' those that wait for Redis
 *
 * They begin in the order in which they stand, and none waits for the one
 * before: what goes to Redis goes by one write, and Redis keeps its order.
 * Only beyond a number that is not answered yet the next ones wait.
 */


#define SYNC_BATCH_MAX     1000         /* messages */
#define SYNC_BATCH_FLIGHT  256          /* not answered yet, at once */
#define SYNC_BATCH_ASKED   16           /* of these, that ask other hosts */


typedef struct sync_batch_s  sync_batch_t;


typedef struct {
    sync_batch_t            *batch;
    sync_control_answer_t    answer;
    unsigned                 asks:1;    /* other hosts */
} sync_batch_item_t;


struct sync_batch_s {
    sync_control_t          *ctl;
    const sync_control_op_t *op;
    sync_json_iter_t         it;        /* of what has not begun */
    sync_batch_item_t       *items;
    ngx_uint_t               n;
    ngx_uint_t               begun;
    ngx_uint_t               waiting;
    ngx_uint_t               asking;
    unsigned                 failed:1;  /* no memory */
};


static ngx_int_t sync_batch_check(sync_control_t *ctl, sync_json_t *list,
    ngx_uint_t *n);
static ngx_int_t sync_batch_go(sync_batch_t *b);
static ngx_int_t sync_batch_begin(sync_batch_t *b, sync_json_t *message);
static ngx_uint_t sync_batch_asks(sync_json_t *message);
static void sync_batch_done(void *data, ngx_int_t rc,
    sync_control_answer_t *answer);
static ngx_int_t sync_batch_answer(sync_batch_t *b);
static ngx_int_t sync_batch_refused(sync_batch_t *b, ngx_uint_t i);


ngx_int_t
sync_control_batch(sync_control_t *ctl)
{
    ngx_uint_t     n;
    sync_str_t     name;
    sync_json_t    list;
    sync_batch_t  *b;

    n = 0;

    if (sync_control_field(ctl, "messages", &list) != SYNC_OK
        || sync_batch_check(ctl, &list, &n) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    b = ngx_pcalloc(ctl->pool, sizeof(sync_batch_t));
    if (b == NULL) {
        return SYNC_ERROR;
    }

    b->items = ngx_pcalloc(ctl->pool, n * sizeof(sync_batch_item_t));
    if (b->items == NULL) {
        return SYNC_ERROR;
    }

    sync_str_set(&name, "publish");

    b->ctl = ctl;
    b->op = sync_control_lookup(&name);
    b->n = n;

    sync_json_iter_init(&b->it, &list);

    return sync_batch_go(b);
}


/* Nothing is said if this fails. */

static ngx_int_t
sync_batch_check(sync_control_t *ctl, sync_json_t *list, ngx_uint_t *n)
{
    ngx_uint_t        fields;
    sync_str_t        key;
    sync_json_t       v, inner;
    sync_json_iter_t  it;

    fields = 0;

    sync_json_iter_init(&it, &ctl->fields);

    while (sync_json_next(&it, &key, &v) == SYNC_OK) {
        fields++;
    }

    if (fields != 1) {
        return sync_control_invalid(ctl, "\"messages\" stands alone");
    }

    if (list->type != SYNC_JSON_ARRAY) {
        return sync_control_invalid(ctl, "\"messages\" must be an array");
    }

    sync_json_iter_init(&it, list);

    while (sync_json_next(&it, NULL, &v) == SYNC_OK) {

        if (++*n > SYNC_BATCH_MAX) {
            return sync_control_invalid(ctl, "\"messages\" has more than %d "
                                        "messages", SYNC_BATCH_MAX);
        }

        if (v.type != SYNC_JSON_OBJECT
            || sync_json_get(&inner, &v, "messages") == SYNC_OK)
        {
            return sync_control_invalid(ctl, "\"messages\" must hold objects "
                                        "without \"messages\"");
        }
    }

    if (*n == 0) {
        return sync_control_invalid(ctl, "\"messages\" is empty");
    }

    return SYNC_OK;
}


/* Begins what may begin.  Returns as an operation does. */

static ngx_int_t
sync_batch_go(sync_batch_t *b)
{
    sync_json_t  message;

    while (b->begun < b->n && !b->failed) {

        if (b->waiting >= SYNC_BATCH_FLIGHT
            || b->asking >= SYNC_BATCH_ASKED)
        {
            return SYNC_AGAIN;
        }

        if (sync_json_next(&b->it, NULL, &message) != SYNC_OK
            || sync_batch_begin(b, &message) != SYNC_OK)
        {
            b->failed = 1;
        }
    }

    if (b->waiting) {
        return SYNC_AGAIN;
    }

    return b->failed ? SYNC_ERROR : sync_batch_answer(b);
}


static ngx_int_t
sync_batch_begin(sync_batch_t *b, sync_json_t *message)
{
    ngx_int_t           rc;
    sync_batch_item_t  *item;

    item = &b->items[b->begun++];

    item->batch = b;

    rc = sync_control_run(b->op, b->ctl->settings, b->ctl->pool,
                          &message->raw, &item->answer, sync_batch_done,
                          item);

    if (rc == NGX_AGAIN) {
        item->asks = sync_batch_asks(message);

        b->waiting++;
        b->asking += item->asks;

        return SYNC_OK;
    }

    return (rc == NGX_OK) ? SYNC_OK : SYNC_ERROR;
}


static ngx_uint_t
sync_batch_asks(sync_json_t *message)
{
    sync_json_t  v;

    return sync_json_get(&v, message, "user") == SYNC_OK
           || sync_json_get(&v, message, "clientId") == SYNC_OK;
}


static void
sync_batch_done(void *data, ngx_int_t rc, sync_control_answer_t *answer)
{
    sync_batch_item_t *item = data;

    sync_batch_t  *b;

    b = item->batch;

    item->answer = *answer;

    b->waiting--;
    b->asking -= item->asks;

    if (rc != NGX_OK) {
        b->failed = 1;
    }

    rc = sync_batch_go(b);

    if (rc != SYNC_AGAIN) {
        sync_control_done(b->ctl, rc);
    }
}


/* One answer for each message; the first that was refused is told of. */

static ngx_int_t
sync_batch_answer(sync_batch_t *b)
{
    size_t           len;
    u_char          *p;
    ngx_str_t       *body;
    ngx_uint_t       i;
    sync_control_t  *ctl;

    ctl = b->ctl;
    len = sizeof("\"messages\":[]") - 1;

    for (i = 0; i < b->n; i++) {
        len += b->items[i].answer.body.len + 1;
    }

    p = ngx_pnalloc(ctl->pool, len);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    ctl->members.data = p;

    p = ngx_cpymem(p, "\"messages\":[", sizeof("\"messages\":[") - 1);

    for (i = 0; i < b->n; i++) {
        body = &b->items[i].answer.body;

        if (i) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, body->data, body->len);
    }

    *p++ = ']';

    ctl->members.len = p - ctl->members.data;

    for (i = 0; i < b->n; i++) {
        if (b->items[i].answer.status != 200) {
            return sync_batch_refused(b, i);
        }
    }

    return SYNC_OK;
}


static ngx_int_t
sync_batch_refused(sync_batch_t *b, ngx_uint_t i)
{
    char                   *code;
    sync_str_t              text;
    sync_json_t             v, name;
    sync_control_t         *ctl;
    sync_control_answer_t  *answer;
    u_char                  message[SYNC_CONTROL_MESSAGE];

    ctl = b->ctl;
    answer = &b->items[i].answer;

    text.data = answer->body.data;
    text.len = answer->body.len;

    if (sync_json_parse(&v, &text, NULL) != SYNC_OK
        || sync_json_get(&name, &v, "errorCode") != SYNC_OK
        || name.type != SYNC_JSON_STRING)
    {
        return SYNC_ERROR;
    }

    /* codes are ours, and have nothing that is escaped */

    code = ngx_pnalloc(ctl->pool, name.raw.len);
    if (code == NULL) {
        return SYNC_ERROR;
    }

    (void) ngx_cpystrn((u_char *) code, name.raw.data + 1,
                       name.raw.len - 1);

    *ngx_snprintf(message, sizeof(message) - 1,
                  "message %ui was refused, of those that begin at 0", i)
        = '\0';

    return sync_control_fail(ctl, answer->status, code, (char *) message);
}
