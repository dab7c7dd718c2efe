
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_control_op.h>
#include <sync_collect.h>
#include <sync_frame.h>
#include <sync_name.h>
#include <sync_sio_binary.h>


/*
 * An event with any arguments, and the acknowledgements of who hears it:
 *
 *     emit --> said --> (no "ack") --> answered
 *                `----> asked ---(later)---> answered
 */


#define SYNC_EMIT_TIMEOUT      5000     /* ms */
#define SYNC_EMIT_TIMEOUT_MAX  60000


typedef struct {
    sync_control_t        *ctl;
    sync_collect_t        *collect;
    ngx_msec_t             timeout;
    u_char                *ids;
    sync_control_target_t  target;
    sync_saying_t          saying;
} sync_emit_t;


static ngx_int_t sync_control_emit_saying(sync_control_t *ctl,
    sync_saying_t *s);
static ngx_int_t sync_control_emit_binary(sync_str_t *json);
static ngx_int_t sync_control_emit_flag(sync_control_t *ctl,
    const char *field, ngx_uint_t *flag);
static ngx_int_t sync_control_emit_timeout(sync_control_t *ctl,
    ngx_msec_t *timeout);
static ngx_int_t sync_control_emit_ask(sync_emit_t *em);
static ngx_int_t sync_control_emit_bounds(sync_emit_t *em);
static ngx_int_t sync_control_emit_expect(sync_emit_t *em, uint64_t *lsns);
static ngx_int_t sync_control_emit_expect_all(sync_emit_t *em);
static ngx_int_t sync_control_emit_expect_ids(sync_emit_t *em, u_char *id,
    ngx_uint_t n);
static void sync_control_emit_done(void *data);
static ngx_int_t sync_control_emit_answer(sync_emit_t *em);


ngx_int_t
sync_control_emit(sync_control_t *ctl)
{
    ngx_uint_t    ack;
    sync_emit_t  *em;

    em = ngx_pcalloc(ctl->pool, sizeof(sync_emit_t));
    if (em == NULL) {
        return SYNC_ERROR;
    }

    em->ctl = ctl;

    if (sync_control_targets(ctl, &em->target) != SYNC_OK
        || sync_control_emit_saying(ctl, &em->saying) != SYNC_OK
        || sync_control_emit_flag(ctl, "ack", &ack) != SYNC_OK
        || sync_control_emit_timeout(ctl, &em->timeout) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    if (ack) {
        return sync_control_emit_ask(em);
    }

    return sync_control_say(ctl, &em->target, &em->saying, NULL);
}


/* Makes ["event",args...]; the arguments go in unaltered. */

static ngx_int_t
sync_control_emit_saying(sync_control_t *ctl, sync_saying_t *s)
{
    size_t            size;
    u_char           *p;
    ngx_int_t         rc;
    ngx_uint_t        n, binary;
    sync_str_t        event;
    sync_json_t       args, v;
    sync_writer_t     w;
    sync_json_iter_t  it;

    ngx_memzero(s, sizeof(sync_saying_t));

    rc = sync_control_string(ctl, "event", &event);

    if (rc == SYNC_DECLINED) {
        return sync_control_missing(ctl, "event");
    }

    if (rc != SYNC_OK
        || sync_control_emit_flag(ctl, "binary", &binary) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    if (event.len == 0 || event.len > SYNC_EVENT_MAX) {
        return sync_control_invalid(ctl, "\"event\" must be 1 to %d bytes "
                                    "long", SYNC_EVENT_MAX);
    }

    if (sync_control_field(ctl, "args", &args) != SYNC_OK) {
        ngx_memzero(&args, sizeof(sync_json_t));

    } else if (args.type != SYNC_JSON_ARRAY) {
        return sync_control_invalid(ctl, "\"args\" must be an array");
    }

    /* a byte is six at most when it is quoted; commas are there already */

    size = sizeof("[\"\",]") - 1 + 6 * event.len + args.raw.len;

    p = ngx_pnalloc(ctl->pool, size);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    sync_writer_init(&w, p, size);

    sync_write_byte(&w, '[');
    sync_json_write_str(&w, &event);

    s->event_len = w.len - 1;

    sync_json_iter_init(&it, &args);

    for (n = 0; sync_json_next(&it, NULL, &v) == SYNC_OK; n++) {
        sync_write_byte(&w, ',');
        sync_write_str(&w, &v.raw);
    }

    sync_write_byte(&w, ']');

    s->json.data = p;
    s->json.len = w.len;

    if (n > 1) {
        s->flags |= SYNC_FRAME_ARGS;
    }

    if (binary) {

        if (sync_control_emit_binary(&s->json) != SYNC_OK) {
            return sync_control_invalid(ctl, "\"args\" must hold up to %d "
                                        "objects {\"base64\":\"...\"} and no "
                                        "placeholders, with \"binary\"",
                                        SYNC_SIO_ATTACHMENTS_MAX);
        }

        s->flags |= SYNC_FRAME_BINARY;
    }

    return sync_control_except(ctl, s);
}


/* Whether what it says as bytes can be said so. */

static ngx_int_t
sync_control_emit_binary(sync_str_t *json)
{
    sync_json_t             v;
    sync_writer_t           w;
    sync_sio_attachments_t  a;

    if (sync_json_parse(&v, json, NULL) != SYNC_OK) {
        return SYNC_ERROR;
    }

    sync_writer_init(&w, NULL, 0);

    return sync_sio_take_out(&w, &a, &v);
}


static ngx_int_t
sync_control_emit_flag(sync_control_t *ctl, const char *field,
    ngx_uint_t *flag)
{
    sync_json_t  v;

    *flag = 0;

    if (sync_control_field(ctl, field, &v) != SYNC_OK) {
        return SYNC_OK;
    }

    if (v.type != SYNC_JSON_TRUE && v.type != SYNC_JSON_FALSE) {
        return sync_control_invalid(ctl, "\"%s\" must be true or false",
                                    field);
    }

    *flag = (v.type == SYNC_JSON_TRUE);

    return SYNC_OK;
}


static ngx_int_t
sync_control_emit_timeout(sync_control_t *ctl, ngx_msec_t *timeout)
{
    ngx_int_t   rc, ms;
    ngx_str_t   text;
    sync_str_t  s;

    *timeout = SYNC_EMIT_TIMEOUT;

    rc = sync_control_string(ctl, "timeout", &s);

    if (rc != SYNC_OK) {
        return rc == SYNC_DECLINED ? SYNC_OK : SYNC_ERROR;
    }

    text.data = s.data;
    text.len = s.len;

    ms = text.len ? ngx_parse_time(&text, 0) : NGX_ERROR;

    if (ms < 1 || ms > SYNC_EMIT_TIMEOUT_MAX) {
        return sync_control_invalid(ctl, "\"timeout\" must be a time from "
                                    "\"1ms\" to \"60s\"");
    }

    *timeout = ms;

    return SYNC_OK;
}


/*
 * The number is begun before the message is said, and who is expected is
 * found after: answers are looked at in a later turn only.
 */

static ngx_int_t
sync_control_emit_ask(sync_emit_t *em)
{
    uint64_t        *lsns;
    ngx_uint_t       full;
    sync_control_t  *ctl;

    ctl = em->ctl;

    if (sync_control_emit_bounds(em) != SYNC_OK) {
        return SYNC_ERROR;
    }

    lsns = ngx_pcalloc(ctl->pool, (em->target.rooms.nelts + 1)
                                  * sizeof(uint64_t));
    if (lsns == NULL) {
        return SYNC_ERROR;
    }

    em->ids = ngx_pnalloc(ctl->pool, SYNC_COLLECT_MAX * SYNC_ID_LEN);
    if (em->ids == NULL) {
        return SYNC_ERROR;
    }

    em->collect = sync_collect_create(ctl->main, ctl->pool, &full);

    if (em->collect == NULL) {
        return full ? sync_control_busy(ctl, "emit.busy", "too many messages "
                                        "wait for acknowledgements")
                    : sync_control_full(ctl);
    }

    em->saying.ack = sync_collect_number(em->collect);

    /* all are met before it is said, to hear of those who come and go */

    if (em->target.all && sync_control_emit_expect_all(em) != SYNC_OK) {
        return SYNC_ERROR;
    }

    if (sync_control_say(ctl, &em->target, &em->saying, lsns) != SYNC_OK
        || sync_control_emit_expect(em, lsns) != SYNC_OK)
    {
        return SYNC_ERROR;
    }

    if (sync_collect_expected(em->collect) == 0) {
        return sync_control_emit_answer(em);
    }

    sync_collect_start(em->collect, em->timeout, sync_control_emit_done, em);

    return SYNC_AGAIN;
}


/* Nothing is said to more than can be waited for. */

static ngx_int_t
sync_control_emit_bounds(sync_emit_t *em)
{
    ngx_uint_t       i, n;
    sync_str_t      *name;
    sync_control_t  *ctl;

    ctl = em->ctl;
    n = em->target.all ? ctl->main->zone->sh->nclients
                       : em->target.clients.nelts;

    name = em->target.rooms.elts;

    for (i = 0; i < em->target.rooms.nelts; i++) {

        if (sync_name_is_pattern(&name[i])) {
            return sync_control_invalid(ctl, "\"ack\" cannot be asked of a "
                                        "pattern");
        }

        n += sync_room_count(ctl->main->zone, &name[i]);
    }

    if (n > SYNC_COLLECT_MAX) {
        return sync_control_invalid(ctl, "\"ack\" cannot be asked of %ui "
                                    "clients, %d is the most", n,
                                    SYNC_COLLECT_MAX);
    }

    return SYNC_OK;
}


static ngx_int_t
sync_control_emit_expect(sync_emit_t *em, uint64_t *lsns)
{
    ngx_uint_t    i, n;
    sync_str_t   *name;
    sync_zone_t  *z;

    z = em->ctl->main->zone;
    name = em->target.rooms.elts;

    for (i = 0; i < em->target.rooms.nelts; i++) {

        if (lsns[i] == 0) {
            continue;
        }

        n = sync_room_hearers(z, &name[i], lsns[i], em->ids,
                              SYNC_COLLECT_MAX);

        if (sync_control_emit_expect_ids(em, em->ids, n) != SYNC_OK) {
            return SYNC_ERROR;
        }
    }

    return sync_control_emit_expect_ids(em, em->target.clients.elts,
                                        em->target.clients.nelts);
}


static ngx_int_t
sync_control_emit_expect_all(sync_emit_t *em)
{
    uint32_t             bucket;
    ngx_int_t            rc;
    ngx_uint_t           i, n;
    sync_zone_t         *z;
    sync_record_info_t  *info;

    info = ngx_palloc(em->ctl->pool,
                      SYNC_CONTROL_LIMIT * sizeof(sync_record_info_t));
    if (info == NULL) {
        return SYNC_ERROR;
    }

    z = em->ctl->main->zone;

    for (bucket = 0; bucket <= z->sh->mask; /* void */) {

        n = sync_registry_page(z, &bucket, info, SYNC_CONTROL_LIMIT);

        for (i = 0; i < n; i++) {

            if (info[i].transport == SYNC_TRANSPORT_SSE) {
                continue;
            }

            rc = sync_control_emit_expect_ids(em, info[i].id, 1);

            if (rc != SYNC_OK) {
                return rc;
            }
        }
    }

    return SYNC_OK;
}


/* But for the excepted ones.  Those above the bound came in the meantime. */

static ngx_int_t
sync_control_emit_expect_ids(sync_emit_t *em, u_char *id, ngx_uint_t n)
{
    ngx_uint_t      i;
    sync_saying_t  *s;

    s = &em->saying;

    while (n--) {

        for (i = 0; i < s->nexcept; i++) {
            if (ngx_memcmp(s->except + i * SYNC_ID_LEN, id, SYNC_ID_LEN) == 0)
            {
                break;
            }
        }

        if (i == s->nexcept
            && sync_collect_expect(em->collect, id) != SYNC_OK)
        {
            break;
        }

        id += SYNC_ID_LEN;
    }

    return SYNC_OK;
}


static void
sync_control_emit_done(void *data)
{
    sync_emit_t *em = data;

    sync_control_done(em->ctl, sync_control_emit_answer(em));
}


static ngx_int_t
sync_control_emit_answer(sync_emit_t *em)
{
    u_char        *p;
    sync_writer_t  w;

    sync_writer_init(&w, NULL, 0);
    sync_collect_write(em->collect, &w);

    p = ngx_pnalloc(em->ctl->pool, w.len);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    sync_writer_init(&w, p, w.len);
    sync_collect_write(em->collect, &w);

    em->ctl->members.data = p;
    em->ctl->members.len = w.len;

    return SYNC_OK;
}
