
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_chunk.h>
#include <sync_command.h>
#include <sync_fanout.h>
#include <sync_publish.h>
#include <sync_random.h>
#include <sync_timer.h>


#define SYNC_CHUNK_LOOKS  256           /* slices of large rooms */
#define SYNC_CHUNK_RETRY  10            /* ms */


static void sync_chunk_throttle(sync_stream_t *s, sync_route_t *route);
static void sync_chunk_cleanup(void *data);
static ngx_int_t sync_chunk_gather(sync_request_t *rq, sync_chunk_way_e way,
    sync_json_t *p, sync_json_t *to);
static ngx_uint_t sync_chunk_is_text(sync_request_t *rq, sync_json_t *p,
    sync_str_t *key, sync_json_t *v);
static ngx_int_t sync_chunk_append(sync_request_t *rq, sync_chunk_text_t *t,
    sync_json_t *v, sync_json_t *to);
static ngx_int_t sync_chunk_reserve(sync_chunk_text_t *t, size_t len);
static void sync_chunk_timer_handler(ngx_event_t *ev);
static void sync_chunk_flush_way(sync_request_t *rq, sync_chunk_way_e way);
static void sync_chunk_emit(sync_request_t *rq, sync_chunk_way_e way,
    sync_json_t *p, sync_json_t *to);
static void sync_chunk_to_room(sync_request_t *rq, sync_saying_t *s,
    sync_json_t *p);
static ngx_uint_t sync_chunk_piece(sync_request_t *rq, sync_saying_t *s,
    sync_json_t *p, u_char *extra);
static void sync_chunk_write_name(sync_writer_t *w, sync_request_t *rq,
    sync_str_t *value, ngx_uint_t i);
static void sync_chunk_frame(sync_writer_t *w, sync_request_t *rq,
    sync_json_t *p);
static void sync_chunk_to(sync_request_t *rq, sync_saying_t *s,
    sync_json_t *to);
static ngx_int_t sync_chunk_to_client(sync_request_t *rq, sync_saying_t *s,
    sync_json_t *to, u_char *ids, ngx_uint_t *n);
static void sync_chunk_to_token(sync_request_t *rq, sync_saying_t *s,
    sync_json_t *to, u_char *ids, ngx_uint_t *n);
static void sync_chunk_published(sync_request_t *rq, ngx_int_t rc);


ngx_int_t
sync_chunk_init(sync_request_t *rq)
{
    sync_stream_t       *s;
    ngx_pool_cleanup_t  *cln;

    s = ngx_pcalloc(rq->call->pool, sizeof(sync_stream_t));
    if (s == NULL) {
        return SYNC_ERROR;
    }

    cln = ngx_pool_cleanup_add(rq->call->pool, 0);
    if (cln == NULL) {
        return SYNC_ERROR;
    }

    cln->handler = sync_chunk_cleanup;
    cln->data = s;

    sync_pending_init(&s->pending);

    sync_timer_init(&s->timer, sync_chunk_timer_handler, 1);

    s->request = rq;
    rq->stream = s;

    sync_chunk_throttle(s, rq->declared);

    return SYNC_OK;
}


/* What the app says of the route; its answer may say otherwise. */

static void
sync_chunk_throttle(sync_stream_t *s, sync_route_t *route)
{
    sync_throttle_t  *t;

    t = &s->throttle;

    if (route->throttle.chars == 0
        || route->throttle.field.len > SYNC_CHUNK_FIELD_MAX)
    {
        return;
    }

    t->every = route->throttle.every;
    t->chars = route->throttle.chars;
    t->len = route->throttle.field.len;

    if (t->len) {
        ngx_memcpy(t->field, route->throttle.field.data, t->len);
    }
}


static void
sync_chunk_cleanup(void *data)
{
    sync_stream_t *s = data;

    ngx_uint_t  i;

    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }

    if (s->held) {
        ngx_queue_remove(&s->queue);
    }

    sync_pending_done(&s->pending);

    if (s->request->publish) {
        sync_publish_cancel(s->request->publish);
    }

    sync_chunk_end(s->request);

    for (i = 0; i < SYNC_CHUNK_MAX; i++) {
        if (s->texts[i].buf) {
            ngx_free(s->texts[i].buf);
        }
    }
}


void
sync_chunk_say(sync_request_t *rq, sync_chunk_way_e way, sync_json_t *p,
    sync_json_t *to)
{
    if (rq->cancelled) {
        return;
    }

    sync_zone_count(rq->settings->main->zone, SYNC_COUNT_CHUNKS, 1);

    if (rq->stream->throttle.chars
        && sync_chunk_gather(rq, way, p, to) == SYNC_OK)
    {
        return;
    }

    /* what is not text does not overtake it */

    sync_chunk_flush_way(rq, way);
    sync_chunk_emit(rq, way, p, to);
}


/* Returns SYNC_DECLINED if it is no text, or there is no memory. */

static ngx_int_t
sync_chunk_gather(sync_request_t *rq, sync_chunk_way_e way, sync_json_t *p,
    sync_json_t *to)
{
    sync_str_t          key;
    sync_json_t         v;
    sync_stream_t      *s;
    sync_chunk_text_t  *t;

    s = rq->stream;

    if (!sync_chunk_is_text(rq, p, &key, &v)) {
        return SYNC_DECLINED;
    }

    t = &s->texts[way];

    if (t->len && to
        && (t->to_len != to->raw.len
            || ngx_memcmp(t->to, to->raw.data, t->to_len) != 0))
    {
        sync_chunk_flush_way(rq, way);
    }

    if (sync_chunk_append(rq, t, &v, to) != SYNC_OK) {
        return SYNC_DECLINED;
    }

    if (t->units >= s->throttle.chars) {
        sync_chunk_flush_way(rq, way);

    } else if (s->throttle.every && !s->timer.timer_set) {
        ngx_add_timer(&s->timer, s->throttle.every);
    }

    return SYNC_OK;
}


/* Whether it is text and nothing else; what of it is, and by which key. */

static ngx_uint_t
sync_chunk_is_text(sync_request_t *rq, sync_json_t *p, sync_str_t *key,
    sync_json_t *v)
{
    sync_str_t         field, other;
    sync_json_t        more;
    sync_throttle_t   *throttle;
    sync_json_iter_t   it;

    throttle = &rq->stream->throttle;

    if (throttle->chars) {
        field.data = throttle->field;
        field.len = throttle->len;

    } else {
        sync_str_set(&field, "chunk");
    }

    if (p->type != SYNC_JSON_OBJECT) {
        return 0;
    }

    sync_json_iter_init(&it, p);

    return sync_json_next(&it, key, v) == SYNC_OK
           && sync_json_key_is(key, &field)
           && v->type == SYNC_JSON_STRING
           && sync_json_next(&it, &other, &more) != SYNC_OK;
}


/* Strings that are joined between their quotes are the string joined. */

static ngx_int_t
sync_chunk_append(sync_request_t *rq, sync_chunk_text_t *t, sync_json_t *v,
    sync_json_t *to)
{
    size_t            len;
    sync_writer_t     w;
    sync_throttle_t  *throttle;

    throttle = &rq->stream->throttle;

    /* whom it is for stands in front, and the end is yet to be written */

    len = v->raw.len - 2 + sizeof("\"}") - 1;

    if (t->len == 0) {
        len += sizeof("{:\"") - 1 + 2 + 6 * throttle->len
               + (to ? to->raw.len : 0);
    }

    if (sync_chunk_reserve(t, t->len + len) != SYNC_OK) {
        return SYNC_ERROR;
    }

    sync_writer_init(&w, t->buf, t->size);
    w.len = t->len;

    if (t->len == 0) {
        t->units = 0;
        t->to_len = 0;

        if (to) {
            t->to_len = to->raw.len;
            sync_write_str(&w, &to->raw);
        }

        sync_write_byte(&w, '{');
        sync_json_write_string(&w, throttle->field, throttle->len);
        sync_write_literal(&w, ":\"");
    }

    sync_write(&w, v->raw.data + 1, v->raw.len - 2);

    t->to = t->buf;
    t->len = w.len;
    t->units += sync_json_string_units(v);

    return SYNC_OK;
}


static ngx_int_t
sync_chunk_reserve(sync_chunk_text_t *t, size_t len)
{
    size_t   size;
    u_char  *p;

    if (len <= t->size) {
        return SYNC_OK;
    }

    size = ngx_max(len, 2 * t->size);

    p = realloc(t->buf, size);
    if (p == NULL) {
        return SYNC_ERROR;
    }

    t->buf = p;
    t->size = size;

    return SYNC_OK;
}


static void
sync_chunk_timer_handler(ngx_event_t *ev)
{
    sync_stream_t  *s;

    s = (sync_stream_t *) ((u_char *) ev - offsetof(sync_stream_t, timer));

    if (sync_chunk_pending(s->request)) {
        ngx_add_timer(ev, SYNC_CHUNK_RETRY);
        return;
    }

    sync_chunk_flush(s->request);
}


void
sync_chunk_flush(sync_request_t *rq)
{
    ngx_uint_t      i;
    sync_stream_t  *s;

    s = rq->stream;

    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }

    for (i = 0; i < SYNC_CHUNK_MAX; i++) {
        sync_chunk_flush_way(rq, i);
    }
}


static void
sync_chunk_flush_way(sync_request_t *rq, sync_chunk_way_e way)
{
    sync_json_t         p, to;
    sync_chunk_text_t  *t;

    t = &rq->stream->texts[way];

    if (t->len == 0) {
        return;
    }

    to.type = (t->to_len && t->buf[0] == '[') ? SYNC_JSON_ARRAY
                                              : SYNC_JSON_STRING;
    to.raw.data = t->buf;
    to.raw.len = t->to_len;

    p.type = SYNC_JSON_OBJECT;
    p.raw.data = t->buf + t->to_len;
    p.raw.len = ngx_cpymem(t->buf + t->len, "\"}", 2) - p.raw.data;

    t->len = 0;

    sync_chunk_emit(rq, way, &p, &to);
}


static void
sync_chunk_emit(sync_request_t *rq, sync_chunk_way_e way, sync_json_t *p,
    sync_json_t *to)
{
    sync_said_t            said;
    sync_writer_t          w;
    sync_saying_t          s;
    sync_main_settings_t  *main;

    if (rq->cancelled) {
        return;
    }

    if (way == SYNC_CHUNK_STREAM) {
        sync_chunk_settle(rq);
        sync_asker_chunk(rq, &p->raw);
        return;
    }

    sync_chunk_turn(rq, way);

    do {
        sync_reply_text(&w);
        sync_chunk_frame(&w, rq, p);

    } while (sync_reply_again(&w));

    if (w.len == 0) {
        rq->full = 1;
        return;
    }

    main = rq->settings->main;

    ngx_memzero(&s, sizeof(sync_saying_t));

    sync_reply_str(&s.json, &w);
    s.event_len = sizeof("\"sync\"") - 1;

    if (way == SYNC_CHUNK_TO) {
        sync_chunk_to(rq, &s, to);

    } else if (rq->all) {
        sync_chunk_published(rq, sync_publish_all(main, &s, &said));

    } else if (rq->token) {
        sync_chunk_published(rq, sync_publish_token(main, rq->own, &s,
                                                    &said));

    } else if (!rq->self) {
        sync_chunk_to_room(rq, &s, p);

    } else {

        /* by the host's room, behind what was published before */

        sync_chunk_published(rq, sync_publish_client(main, rq->id, &s));
    }
}


static void
sync_chunk_to_room(sync_request_t *rq, sync_saying_t *s, sync_json_t *p)
{
    u_char  extra[SYNC_TEXT_EXTRA];

    if (sync_chunk_piece(rq, s, p, extra)) {
        s->flags |= SYNC_TEXT_PIECE;
        s->extra.data = extra;
        s->extra.len = SYNC_TEXT_EXTRA;
    }

    sync_chunk_published(rq, sync_chunk_say_room(rq, &rq->receiver, s));
}


/* Whether the chunk is a piece of the text that its room keeps. */

static ngx_uint_t
sync_chunk_piece(sync_request_t *rq, sync_saying_t *s, sync_json_t *p,
    u_char *extra)
{
    sync_str_t              key;
    sync_json_t             v;
    sync_zone_t            *z;
    sync_stream_t          *st;
    sync_text_piece_t       piece;
    sync_main_settings_t   *main;

    st = rq->stream;
    main = rq->settings->main;
    z = main->zone;

    if (!st->asked) {
        st->asked = 1;
        st->text_limit = sync_settings_rule(main, &rq->receiver)->accumulate;
    }

    if (st->text_limit == 0 || z->self == NULL
        || !sync_chunk_is_text(rq, p, &key, &v))
    {
        return 0;
    }

    piece.len = (uint32_t) (v.raw.len - 2);
    piece.at = (uint32_t) (sizeof("[\"sync\",{\"") - 1 + key.len
                           + sizeof("\":\"") - 1);

    /* a field with one of the frame's own names is not said as it is */

    if (piece.at + piece.len > s->json.len
        || ngx_memcmp(s->json.data + piece.at, v.raw.data + 1, piece.len)
           != 0)
    {
        return 0;
    }

    if (st->text == 0) {
        sync_random((u_char *) &st->text, sizeof(st->text));
        st->text |= 1;
    }

    piece.host = z->sh->id;
    piece.owner = sync_text_owner(z);
    piece.id = st->text;
    piece.before = (uint32_t) st->text_len;
    piece.limit = (uint32_t) st->text_limit;

    st->text_len += piece.len;

    sync_text_write(extra, &piece);

    return 1;
}


void
sync_chunk_end(sync_request_t *rq)
{
    sync_stream_t  *s;

    s = rq->stream;

    if (s->text) {
        sync_command_end_text(rq->settings->main, &rq->receiver, s->text);
        s->text = 0;
        s->text_limit = 0;
    }
}


static void
sync_chunk_write_name(sync_writer_t *w, sync_request_t *rq,
    sync_str_t *value, ngx_uint_t i)
{
    if (i == 0) {
        sync_asker_write_cb(w, rq);

    } else {
        sync_json_write_str(w, value);
    }
}


/* The route's names stand where the chunk has its own, or at the end. */

static void
sync_chunk_frame(sync_writer_t *w, sync_request_t *rq, sync_json_t *p)
{
    ngx_uint_t          i, n, there;
    sync_str_t          key, values[3];
    sync_json_t         v;
    sync_json_iter_t    it;

    static sync_str_t   names[3] = {
        sync_string("cb"), sync_string("fullName"), sync_string("status")
    };

    values[0] = rq->route.full;
    values[1] = rq->route.full;
    sync_str_set(&values[2], "stream");

    sync_write_literal(w, "[\"sync\",{");

    there = 0;
    n = 0;

    sync_json_iter_init(&it, p);

    while (sync_json_next(&it, &key, &v) == SYNC_OK) {

        if (n++) {
            sync_write_byte(w, ',');
        }

        sync_write_byte(w, '"');
        sync_write_str(w, &key);
        sync_write_literal(w, "\":");

        for (i = 0; i < 3; i++) {
            if (sync_json_key_is(&key, &names[i])) {
                break;
            }
        }

        if (i == 3) {
            sync_write_str(w, &v.raw);

        } else {
            there |= 1 << i;
            sync_chunk_write_name(w, rq, &values[i], i);
        }
    }

    for (i = 0; i < 3; i++) {

        if (there & (1 << i)) {
            continue;
        }

        if (n++) {
            sync_write_byte(w, ',');
        }

        sync_json_write_str(w, &names[i]);
        sync_write_byte(w, ':');
        sync_chunk_write_name(w, rq, &values[i], i);
    }

    sync_write_literal(w, "}]");
}


/* Each client once, whatever names it: by its id, or by its token. */

static void
sync_chunk_to(sync_request_t *rq, sync_saying_t *s, sync_json_t *to)
{
    ngx_uint_t        m, n;
    sync_json_t       v;
    sync_json_iter_t  it;
    u_char            ids[SYNC_CHUNK_TO_MAX * SYNC_ID_LEN];
    u_char            tokens[SYNC_CHUNK_TO_MAX * SYNC_ID_LEN];

    m = 0;
    n = 0;

    if (to->type == SYNC_JSON_STRING) {
        if (sync_chunk_to_client(rq, s, to, ids, &n) != SYNC_OK) {
            sync_chunk_to_token(rq, s, to, tokens, &m);
        }

        return;
    }

    sync_json_iter_init(&it, to);

    while (sync_json_next(&it, NULL, &v) == SYNC_OK) {
        (void) sync_chunk_to_client(rq, s, &v, ids, &n);
    }

    /* those who have a token have not heard it by their ids */

    s->except = ids;
    s->nexcept = n;

    sync_json_iter_init(&it, to);

    while (sync_json_next(&it, NULL, &v) == SYNC_OK) {
        sync_chunk_to_token(rq, s, &v, tokens, &m);
    }
}


/* Adds it to the n that were told.  SYNC_DECLINED: it is no client's id. */

static ngx_int_t
sync_chunk_to_client(sync_request_t *rq, sync_saying_t *s, sync_json_t *to,
    u_char *ids, ngx_uint_t *n)
{
    u_char      *id;
    ngx_int_t    rc;
    ngx_uint_t   i;
    sync_str_t   text;
    u_char       buf[SYNC_ID_TEXT];

    id = ids + *n * SYNC_ID_LEN;

    if (*n == SYNC_CHUNK_TO_MAX
        || sync_json_string(&text, to, buf, SYNC_ID_TEXT) != SYNC_OK
        || sync_registry_parse_id(id, text.data, text.len) != SYNC_OK)
    {
        return SYNC_DECLINED;
    }

    for (i = 0; i < *n; i++) {
        if (ngx_memcmp(ids + i * SYNC_ID_LEN, id, SYNC_ID_LEN) == 0) {
            return SYNC_OK;
        }
    }

    rc = sync_publish_client(rq->settings->main, id, s);

    if (rc == SYNC_DECLINED) {
        return SYNC_DECLINED;
    }

    (*n)++;

    sync_chunk_published(rq, rc);

    return SYNC_OK;
}


static void
sync_chunk_to_token(sync_request_t *rq, sync_saying_t *s, sync_json_t *to,
    u_char *ids, ngx_uint_t *n)
{
    u_char      *id;
    ngx_uint_t   i;
    sync_str_t   token;
    sync_said_t  said;
    u_char       buf[SYNC_TOKEN_MAX];

    if (*n == SYNC_CHUNK_TO_MAX
        || sync_json_string(&token, to, buf, SYNC_TOKEN_MAX) != SYNC_OK
        || token.len == 0)
    {
        return;
    }

    id = ids + *n * SYNC_ID_LEN;

    sync_token_id(id, &token);

    for (i = 0; i < *n; i++) {
        if (ngx_memcmp(ids + i * SYNC_ID_LEN, id, SYNC_ID_LEN) == 0) {
            return;
        }
    }

    (*n)++;

    sync_chunk_published(rq, sync_publish_token(rq->settings->main, id, s,
                                                &said));
}


static void
sync_chunk_published(sync_request_t *rq, ngx_int_t rc)
{
    if (rc == SYNC_OK) {
        sync_chunk_said(rq);

    } else if (rc != SYNC_DECLINED) {
        rq->full = 1;
    }
}


/* Rooms and clients are told by logs of their own: one after the other. */

void
sync_chunk_turn(sync_request_t *rq, sync_chunk_way_e way)
{
    if (rq->stream->way != way) {
        sync_chunk_settle(rq);
        rq->stream->way = way;
    }
}


void
sync_chunk_said(sync_request_t *rq)
{
    rq->stream->said = 1;
    rq->stream->looks = sync_fanout_looks();
}


void
sync_chunk_settle(sync_request_t *rq)
{
    ngx_uint_t      i;
    sync_stream_t  *s;

    s = rq->stream;

    if (!s->said) {
        return;
    }

    s->said = 0;

    if (s->looks != sync_fanout_looks() && !sync_fanout_behind()) {
        return;
    }

    for (i = 0; i < SYNC_CHUNK_LOOKS; i++) {

        sync_fanout_look();

        if (!sync_fanout_behind()) {
            break;
        }
    }
}
